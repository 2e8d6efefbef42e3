"""Chapter 09, a GRU step and a padded sequence, from outside: plausible wrong answers that no misconception was
written for, and unusual right ones. Each wrong answer comes with words that its report must hold, or None.
"""

import torch
from torch.nn import functional as F

from utils.exercises.chapter_09.references import gru_step, read_sequence

# 9.1 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def blocks(x, h, w, u, b, c):
    return F.linear(x, w, b).chunk(3, -1), F.linear(h, u, c).chunk(3, -1)


def made(combine):
    return lambda x, h, w, u, b, c: combine(h, *blocks(x, h, w, u, b, c))


def gated(i, s):
    return torch.sigmoid(i[0] + s[0]), torch.sigmoid(i[1] + s[1])


def update_first_block(h, i, s):
    """Candidate, reset, update: all three blocks one place on."""
    update, reset = torch.sigmoid(i[2] + s[2]), torch.sigmoid(i[1] + s[1])
    return (1 - update) * torch.tanh(i[0] + reset * s[0]) + update * h


def state_added(h, i, s):
    r, z = gated(i, s)
    return h + (1 - z) * torch.tanh(i[2] + r * s[2])


def one_gate_for_both(h, i, s):
    r, _ = gated(i, s)
    return (1 - r) * torch.tanh(i[2] + r * s[2]) + r * h


def relu_candidate(h, i, s):
    r, z = gated(i, s)
    return (1 - z) * torch.relu(i[2] + r * s[2]) + z * h


def no_tanh(h, i, s):
    r, z = gated(i, s)
    return (1 - z) * (i[2] + r * s[2]) + z * h


def update_times_both(h, i, s):
    r, z = gated(i, s)
    return z * torch.tanh(i[2] + r * s[2]) + z * h


def all_three(x, h, w, u, b, c):
    i, s = blocks(x, h, w, u, b, c)
    r, z = gated(i, s)
    g = torch.tanh(i[2] + r * s[2])
    return r, z, (1 - z) * g + z * h


def interleaved(x, h, w, u, b, c):
    """Takes every third row for a block."""
    i, s = F.linear(x, w, b), F.linear(h, u, c)
    r, z = torch.sigmoid(i[:, 0::3] + s[:, 0::3]), torch.sigmoid(i[:, 1::3] + s[:, 1::3])
    return (1 - z) * torch.tanh(i[:, 2::3] + r * s[:, 2::3]) + z * h


def in_place(x, h, w, u, b, c):
    new = gru_step(x, h, w, u, b, c)
    return h.mul_(0).add_(new)


def input_ignored(x, h, w, u, b, c):
    return gru_step(torch.zeros_like(x), h, w, u, b, c)


def first_sentence(x, h, w, u, b, c):
    return gru_step(x, h, w, u, b, c)[:1].expand_as(h)


def by_lstm(h, i, s):
    """Forget by one gate, add by another, as an LSTM."""
    r, z = gated(i, s)
    return z * h + r * torch.tanh(i[2] + s[2])


def kept_detached(h, i, s):
    r, z = gated(i, s)
    return (1 - z) * torch.tanh(i[2] + r * s[2]) + z * h.detach()


WRONG_9_1 = {
    "old state detached": (made(kept_detached), "gradient of `state`"),
    "blocks one place on": (made(update_first_block), None),
    "added to the state": (made(state_added), None),
    "one gate for both": (made(one_gate_for_both), None),
    "ReLU": (made(relu_candidate), None),
    "no tanh": (made(no_tanh), None),
    "update times both": (made(update_times_both), None),
    "gates too": (all_three, "tuple"),
    "every third row": (interleaved, None),
    "state changed in place": (in_place, "`state`"),
    "input ignored": (input_ignored, "`x`"),
    "state ignored": (lambda x, h, w, u, b, c: gru_step(x, torch.zeros_like(h), w, u, b, c), "`state`"),
    "first sentence for all": (first_sentence, None),
    "as an LSTM": (made(by_lstm), None),
    "update of the candidate alone": (made(lambda h, i, s: gated(i, s)[1] * h), None),
    "detached": (lambda *a: gru_step(*a).detach(), "gradient"),
    "float64": (lambda *a: gru_step(*a).double(), "float64"),
    "with an axis of time": (lambda *a: gru_step(*a)[:, None], "shape"),
    "turned": (lambda *a: gru_step(*a).T, "shape"),
    "no biases": (lambda x, h, w, u, b, c: gru_step(x, h, w, u, 0 * b, 0 * c), None),
    "biases exchanged": (lambda x, h, w, u, b, c: gru_step(x, h, w, u, c, b), None),
    "wrong sign": (lambda *a: -gru_step(*a), "sign"),
    "finished cell": (lambda *a: torch.gru_cell(a[0], a[1], *a[2:]), "by itself"),
    "nothing": (lambda *a: None, "return"),
}


def gate_by_gate(x, state, input_weight, hidden_weight, input_bias, hidden_bias):
    size = state.size(1)

    def side(block, vector, weight, bias):
        rows = slice(block * size, (block + 1) * size)
        return vector @ weight[rows].mT + bias[rows]

    def both(block):
        return side(block, x, input_weight, input_bias) + side(block, state, hidden_weight, hidden_bias)

    r, z = 1 / (1 + (-both(0)).exp()), both(1).sigmoid()
    g = (side(2, x, input_weight, input_bias) + r * side(2, state, hidden_weight, hidden_bias)).tanh()
    return torch.lerp(g, state, z)


def by_einsum(x, h, w, u, b, c):
    i = (torch.einsum("bi,oi->bo", x, w) + b).unflatten(1, (3, -1))
    s = (torch.einsum("bi,oi->bo", h, u) + c).unflatten(1, (3, -1))
    gates = (i[:, :2] + s[:, :2]).sigmoid()
    g = (i[:, 2] + gates[:, 0] * s[:, 2]).tanh()
    return g + gates[:, 1] * (h - g)


def by_halves(x, h, w, u, b, c):
    """tanh for every sigmoid: σ(a) = (1 + tanh(a / 2)) / 2."""
    i, s = blocks(x, h, w, u, b, c)
    r, z = ((1 + ((one + other) / 2).tanh()) / 2 for one, other in list(zip(i, s, strict=True))[:2])
    return h - (1 - z) * (h - (i[2] + r * s[2]).tanh())


def sentence_by_sentence(x, h, w, u, b, c):
    return torch.cat([gru_step(one[None], state[None], w, u, b, c) for one, state in zip(x, h, strict=True)])


def unit_by_unit(x, h, w, u, b, c):
    size, columns = h.size(1), []
    for k in range(size):
        sums = [(x @ w[k + j * size] + b[k + j * size], h @ u[k + j * size] + c[k + j * size]) for j in range(3)]
        r, z = (sum(pair).sigmoid() for pair in sums[:2])
        columns.append((1 - z) * (sums[2][0] + r * sums[2][1]).tanh() + z * h[:, k])
    return torch.stack(columns, 1)


RIGHT_9_1 = {
    "gate by gate": gate_by_gate,
    "einsum": by_einsum,
    "tanh for sigmoid": by_halves,
    "sentence by sentence": sentence_by_sentence,
    "unit by unit": unit_by_unit,
    "split": lambda x, h, w, u, b, c: made(
        lambda h, i, s: torch.lerp((i[2] + gated(i, s)[0] * s[2]).tanh(), h, gated(i, s)[1])
    )(x, h, w, u, b, c),
    "float64 inside": lambda *a: gru_step(*(part.double() for part in a)).to(a[0].dtype),
    "extra keyword": lambda x, h, w, u, b, c, keep=True: gru_step(x, h, w, u, b, c),
}


# 9.2 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def run(cell, inputs, state, order=None):
    states = []
    for t in order or range(inputs.size(1)):
        state = cell(inputs[:, t], state)
        states.append(state)
    return torch.stack(states, 1), state


def stops_at_shortest(cell, inputs, real, state):
    length = max(1, int(real.sum(1).min()))
    states, last = run(cell, inputs[:, :length], state)
    return torch.cat([states, last[:, None].expand(-1, inputs.size(1) - length, -1)], 1), last


def any_real(cell, inputs, real, state):
    """Asks whether any sentence has a word there."""
    states = []
    for t in range(inputs.size(1)):
        if real[:, t].any():
            state = cell(inputs[:, t], state)
        states.append(state)
    return torch.stack(states, 1), state


def one_late(cell, inputs, real, state):
    shifted = torch.cat([real[:, :1], real[:, :-1]], 1)
    return read_sequence(cell, inputs, shifted, state)


def backwards(cell, inputs, real, state):
    states, last = read_sequence(cell, inputs.flip(1), real.flip(1), state)
    return states.flip(1), last


def packed_to_front(cell, inputs, real, state):
    """Moves words to the front, and leaves the states there."""
    order = (~real).long().argsort(dim=1, stable=True)
    moved = inputs.gather(1, order[..., None].expand_as(inputs))
    return read_sequence(cell, moved, real.gather(1, order), state)


def half_step(cell, inputs, real, state):
    states = []
    for t in range(inputs.size(1)):
        new = cell(inputs[:, t], state)
        state = torch.where(real[:, t, None], (new + state) / 2, state)
        states.append(state)
    return torch.stack(states, 1), state


def last_is_mean(cell, inputs, real, state):
    states, _ = read_sequence(cell, inputs, real, state)
    return states, states.mean(1)


def state_in_place(cell, inputs, real, state):
    states, last = read_sequence(cell, inputs, real, state)
    state.copy_(last)
    return states, last


def inputs_in_place(cell, inputs, real, state):
    inputs.masked_fill_(~real[..., None], 0.0)
    return read_sequence(cell, inputs, real, state)


def last_column(cell, inputs, real, state):
    states, _ = read_sequence(cell, inputs, real, state)
    return states, states[:, -1:]


def with_first(cell, inputs, real, state):
    states, last = read_sequence(cell, inputs, real, state)
    return torch.cat([state[:, None], states], 1), last


def in_a_list(cell, inputs, real, state):
    states, last = read_sequence(cell, inputs, real, state)
    return list(states.unbind(1)), last


def cut_between(cell, inputs, real, state):
    states, last = read_sequence(cell, inputs, real, state.detach())
    return states.detach(), last.detach()


def cut_to_the_longest(cell, inputs, real, state):
    """Leaves out columns in which nobody has a word."""
    length = int(real.sum(1).max())
    return read_sequence(cell, inputs[:, :length], real[:, :length], state)


def ends_at_first_padding(cell, inputs, real, state):
    return read_sequence(cell, inputs, real.long().cumprod(1).bool(), state)


def cut_at_each_step(cell, inputs, real, state):
    states = []
    for t in range(inputs.size(1)):
        state = torch.where(real[:, t, None], cell(inputs[:, t], state.detach()), state)
        states.append(state)
    return torch.stack(states, 1), state


def last_by_count(cell, inputs, real, state):
    """Takes the state after as many positions as there are words."""
    states, _ = read_sequence(cell, inputs, real, state)
    return states, states[torch.arange(len(states)), real.sum(1).clamp(min=1) - 1]


WRONG_9_2 = {
    "cut to the longest": (cut_to_the_longest, "shape"),
    "ends at the first padding": (ends_at_first_padding, "in front of words"),
    "cut at each step": (cut_at_each_step, "gradient"),
    "last by count": (last_by_count, "in front of words"),
    "stops at the shortest": (stops_at_shortest, None),
    "all wait for none": (any_real, None),
    "mask one late": (one_late, None),
    "backwards": (backwards, None),
    "words moved to the front": (packed_to_front, None),
    "half a step": (half_step, None),
    "last is the mean": (last_is_mean, None),
    "state changed": (state_in_place, "`state`"),
    "inputs changed": (inputs_in_place, "`inputs`"),
    "last with an axis": (last_column, "shape"),
    "the first state too": (with_first, "shape"),
    "a list": (in_a_list, None),
    "detached": (cut_between, "gradient"),
    "states alone": (lambda *a: read_sequence(*a)[0], "tuple of 2"),
    "last alone": (lambda *a: read_sequence(*a)[1], None),
    "other order": (lambda *a: read_sequence(*a)[::-1], None),
    "one position": (lambda cell, x, real, h: (cell(x[:, 0], h)[:, None], cell(x[:, 0], h)), "shape"),
    "float64": (lambda *a: tuple(part.double() for part in read_sequence(*a)), "float64"),
    "inputs twice": (lambda cell, x, real, h: read_sequence(cell, 2 * x, real, h), None),
    "mask as a factor of the inputs": (lambda cell, x, real, h: run(cell, x * real[..., None], h), "zeros"),
    "nothing": (lambda *a: None, "return"),
}


def by_factor(cell, inputs, real, state):
    keep = real.to(inputs.dtype)[..., None]
    states = []
    for x, k in zip(inputs.unbind(1), keep.unbind(1), strict=True):
        state = k * cell(x, state) + (1 - k) * state
        states += [state]
    return torch.stack(states, 1), states[-1]


def sentence_after_sentence(cell, inputs, real, state):
    rows = []
    for words, is_word, h in zip(inputs, real, state, strict=True):
        row = []
        for word, yes in zip(words, is_word, strict=True):
            h = cell(word[None], h[None])[0] if yes else h
            row.append(h)
        rows.append(torch.stack(row))
    states = torch.stack(rows)
    return states, states[:, -1]


def filled_in(cell, inputs, real, state):
    states = inputs.new_zeros(*real.shape, state.size(1))
    for t in range(inputs.size(1)):
        new = cell(inputs[:, t], state)
        state = new.masked_fill(~real[:, t, None], 0) + state.masked_fill(real[:, t, None], 0)
        states[:, t] = state
    return states, state


def rows_that_go_on(cell, inputs, real, state):
    """Only the sentences with a word there go through the cell."""
    states = []
    for t in range(inputs.size(1)):
        rows = real[:, t].nonzero()[:, 0]
        if len(rows):
            state = state.index_copy(0, rows, cell(inputs[rows, t], state[rows]))
        states.append(state)
    return torch.stack(states, dim=1), state


def recursive(cell, inputs, real, state):
    if inputs.size(1) == 1:
        state = torch.where(real[:, 0, None], cell(inputs[:, 0], state), state)
        return state[:, None], state
    first, middle = recursive(cell, inputs[:, :1], real[:, :1], state)
    rest, last = recursive(cell, inputs[:, 1:], real[:, 1:], middle)
    return torch.cat([first, rest], 1), last


def moved_and_back(cell, inputs, real, state):
    """Words to the front, states back to where the words stand."""
    order = (~real).long().argsort(dim=1, stable=True)
    words, states = inputs.gather(1, order[..., None].expand_as(inputs)), [state]
    for word in words.unbind(1):
        states.append(cell(word, states[-1]))
    read = real.long().cumsum(1)[..., None].expand(-1, -1, state.size(1))  # how many words by then
    found = torch.stack(states, 1).gather(1, read)
    return found, found[:, -1]


RIGHT_9_2 = {
    "moved to the front and back": moved_and_back,
    "by a factor": by_factor,
    "sentence after sentence": sentence_after_sentence,
    "filled in": filled_in,
    "only rows that go on": rows_that_go_on,
    "recursive": recursive,
    "a list of two": lambda *a: list(read_sequence(*a)),
    "stacked first, turned after": lambda *a: (
        torch.stack(read_sequence(*a)[0].unbind(1)).transpose(0, 1),
        read_sequence(*a)[1],
    ),
    "extra keyword": lambda cell, x, real, h, reverse=False: read_sequence(cell, x, real, h),
}


WRONG = {"9.1": WRONG_9_1, "9.2": WRONG_9_2}
RIGHT = {"9.1": RIGHT_9_1, "9.2": RIGHT_9_2}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
