"""Chapter 09, a GRU step and a padded sequence, as strangers answer: slips of learners, of language models and of those
who would rather not write it, and right answers in unusual clothes. Words that a report must hold stand beside each.
"""

import functools

import torch
from torch import nn
from torch.nn import functional as F

from utils.exercises.chapter_09.references import gru_step, read_sequence

# 9.1 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def sides(x, h, w, u, b, c):
    return F.linear(x, w, b).chunk(3, -1), F.linear(h, u, c).chunk(3, -1)


def made(combine):
    return lambda x, h, w, u, b, c: combine(h, *sides(x, h, w, u, b, c))


def mixed(h, i, s, r, z):
    return (1 - z) * torch.tanh(i[2] + r * s[2]) + z * h


def gates(i, s):
    return torch.sigmoid(i[0] + s[0]), torch.sigmoid(i[1] + s[1])


def biases_merged(x, h, w, u, b, c):
    """Adds one bias to the other to save an addition."""
    b += c
    return gru_step(x, h, w, u, b, torch.zeros_like(c))


def single_inside(*a):
    return gru_step(*(part.float() for part in a)).to(a[0].dtype)


def along_the_batch(x, h, w, u, b, c):
    i, s = F.linear(x, w, b).chunk(3, 0), F.linear(h, u, c).chunk(3, 0)
    return mixed(h, i, s, *gates(i, s))


def candidate_in_the_middle(h, i, s):
    r, z = torch.sigmoid(i[0] + s[0]), torch.sigmoid(i[2] + s[2])
    return (1 - z) * torch.tanh(i[1] + r * s[1]) + z * h


def width_for_hidden(x, h, w, u, b, c):
    """Cuts the blocks by the width of the input."""
    i, s = (F.linear(v, m, a).split(x.size(1), -1) for v, m, a in ((x, w, b), (h, u, c)))
    return mixed(h, i, s, *gates(i, s))


def softmax_gates(h, i, s):
    r, z = torch.stack([i[0] + s[0], i[1] + s[1]]).softmax(0)
    return mixed(h, i, s, r, z)


def candidate_bias_lost(x, h, w, u, b, c):
    i, s = sides(x, h, w, u, b, c)
    return mixed(h, i, [s[0], s[1], s[2] - c.chunk(3)[2]], *gates(i, s))


class Remembers:
    """Goes on from the state that it made last."""

    def __init__(self):
        self.state = None

    def __call__(self, x, state, input_weight, hidden_weight, input_bias, hidden_bias):
        if self.state is not None and self.state.shape == state.shape:
            state = self.state
        new = gru_step(x, state, input_weight, hidden_weight, input_bias, hidden_bias)
        self.state = new.detach()
        return new


def without_a_graph(*a):
    with torch.no_grad():
        return gru_step(*a)


WRONG_9_1 = {
    "biases merged in place": (biases_merged, "`input_bias`"),
    "float32 inside": (single_inside, "seven digits"),
    "blocks along the batch": (along_the_batch, None),
    "candidate in the middle": (made(candidate_in_the_middle), None),
    "blocks as wide as the input": (width_for_hidden, None),
    "softmax over the gates": (made(softmax_gates), None),
    "candidate's hidden bias lost": (candidate_bias_lost, "third block of `hidden_bias`"),
    "remembers its state": (Remembers(), None),
    "no_grad": (without_a_graph, "gradient"),
    "reset on the input's part": (
        made(lambda h, i, s: (lambda r, z: (1 - z) * torch.tanh(r * i[2] + s[2]) + z * h)(*gates(i, s))),
        "input",
    ),
    "gates of the input alone": (made(lambda h, i, s: mixed(h, i, s, i[0].sigmoid(), i[1].sigmoid())), "gates"),
    "gates of the state alone": (made(lambda h, i, s: mixed(h, i, s, s[0].sigmoid(), s[1].sigmoid())), "gates"),
    "hard sigmoid": (
        made(lambda h, i, s: mixed(h, i, s, F.hardsigmoid(i[0] + s[0]), F.hardsigmoid(i[1] + s[1]))), None,
    ),
    "tanh after mixing": (made(lambda h, i, s: mixed(h, i, s, *gates(i, s)).tanh()), None),
    "update gate for reset": (made(lambda h, i, s: mixed(h, i, s, gates(i, s)[1], gates(i, s)[1])), "the update gate"),
    "reset detached": (made(lambda h, i, s: mixed(h, i, s, gates(i, s)[0].detach(), gates(i, s)[1])), "gradient"),
    "a little noise": (lambda *a: gru_step(*a) + 1e-2 * torch.randn_like(a[1]), None),
    "half precision": (lambda *a: gru_step(*(p.bfloat16() for p in a)).to(a[0].dtype), None),
    "biases twice": (lambda x, h, w, u, b, c: gru_step(x, h, w, u, 2 * b, 2 * c), None),
    "x and state exchanged": (lambda x, h, w, u, b, c: gru_step(h, x, u, w, c, b), None),
    "one sentence for all": (lambda x, h, w, u, b, c: gru_step(x[:1], h[:1], w, u, b, c), "shape"),
    "state gate sums without sigmoid": (made(lambda h, i, s: mixed(h, i, s, i[0] + s[0], i[1] + s[1])), "sigmoid"),
    "a nested list": (lambda *a: gru_step(*a).tolist(), "Tensor"),
}  # fmt: skip


def one_large_matrix(x, h, w, u, b, c):
    """Reset and update from [x; h] and one matrix; the candidate's two halves from its blocks."""
    size = h.size(1)
    both = torch.cat([w[: 2 * size], u[: 2 * size]], 1)
    r, z = torch.addmm(b[: 2 * size] + c[: 2 * size], torch.cat([x, h], 1), both.t()).sigmoid().split(size, 1)
    own = torch.addmm(c[2 * size :], h, u[2 * size :].t())
    g = torch.tanh(torch.addmm(b[2 * size :], x, w[2 * size :].t()) + r * own)
    return g - z * g + z * h


def kept_and_new(x, h, w, u, b, c):
    """1 − σ(a) = σ(−a)."""
    i, s = sides(x, h, w, u, b, c)
    a = i[1] + s[1]
    return torch.sigmoid(-a) * torch.tanh(i[2] + torch.sigmoid(i[0] + s[0]) * s[2]) + torch.sigmoid(a) * h


class Step:
    """An object that can be called."""

    @staticmethod
    def blocks(vector, weight, bias):
        """(3, batch, d_hidden)."""
        return torch.stack(torch.tensor_split(vector @ weight.mT + bias, 3, -1))

    def __call__(self, x, state, input_weight, hidden_weight, input_bias, hidden_bias):
        i, s = self.blocks(x, input_weight, input_bias), self.blocks(state, hidden_weight, hidden_bias)
        r, z = torch.sigmoid(i[:2] + s[:2])
        return torch.tanh(torch.addcmul(i[2], r, s[2])).mul(1 - z).add(z * state)


def shown_first(*, function=gru_step):
    return functools.partial(lambda x, h, w, u, b, c, scale: function(x, h, w, u, b, c) * scale, scale=1)


RIGHT_9_1 = {
    "one matrix for both gates": one_large_matrix,
    "sigmoid of minus": kept_and_new,
    "an object": Step(),
    "partial": shown_first(),
    "lru_cache": functools.lru_cache(lambda x, h, w, u, b, c: gru_step(x, h, w, u, b, c)),
    "exponentials": made(
        lambda h, i, s: mixed(h, i, s, 1 / (1 + torch.exp(-i[0] - s[0])), 1 / (1 + torch.exp(-i[1] - s[1])))
    ),
    "double inside, where": lambda x, h, w, u, b, c: torch.where(
        torch.ones_like(h, dtype=torch.bool), gru_step(*(p.double() for p in (x, h, w, u, b, c))).to(h.dtype), h
    ),
    "keyword": lambda x, state, input_weight, hidden_weight, input_bias, hidden_bias, *, training=False: gru_step(
        x=x, state=state, input_weight=input_weight, hidden_weight=hidden_weight, input_bias=input_bias,
        hidden_bias=hidden_bias,
    ),
}  # fmt: skip


# 9.2 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def reading(keep, times=lambda inputs: range(inputs.size(1))):
    """keep(real, t, new, old) gives the next state."""

    def answer(cell, inputs, real, state):
        states = []
        for t in times(inputs):
            state = keep(real, t, cell(inputs[:, t], state), state)
            states.append(state)
        return torch.stack(states, 1), state

    return answer


def written_over(cell, inputs, real, state):
    """The same tensor, written over at each step and kept each time."""
    state, states = state.clone(), []
    for t in range(inputs.size(1)):
        new = cell(inputs[:, t], state)
        state[real[:, t]] = new[real[:, t]]
        states.append(state)
    return torch.stack(states, 1), state


def caller_written_over(cell, inputs, real, state):
    states = []
    for t in range(inputs.size(1)):
        new = cell(inputs[:, t], state)
        with torch.no_grad():
            state[real[:, t]] = new[real[:, t]]
        states.append(state.clone())
    return torch.stack(states, 1), state


def float32_table(cell, inputs, real, state):
    states = torch.zeros(*real.shape, state.size(1))
    for t in range(inputs.size(1)):
        state = torch.where(real[:, t, None], cell(inputs[:, t], state), state)
        states[:, t] = state
    return states, state


def begins_at_the_first_word(cell, inputs, real, state):
    """Zeros before the first word, as if nothing had been given."""
    states, last = read_sequence(cell, inputs, real, state)
    return states * real.long().cumsum(1).gt(0)[..., None], last


def gone_after_five(cell, inputs, real, state):
    states, last = read_sequence(cell, inputs[:, :5], real[:, :5], state)
    return torch.cat([states, last[:, None].expand(-1, max(0, inputs.size(1) - 5), -1)], 1), last


def first_skipped(cell, inputs, real, state):
    states, last = (
        read_sequence(cell, inputs[:, 1:], real[:, 1:], state) if inputs.size(1) > 1 else (state[:, :0], state)
    )
    return torch.cat([state[:, None], states.reshape(len(state), -1, state.size(1))], 1), last


kept_state = {}


def state_of_last_time(cell, inputs, real, state):
    begun = kept_state.get(state.shape, state)
    states, last = read_sequence(cell, inputs, real, begun)
    kept_state[state.shape] = last.detach().clone()
    return states, last


def by_numbers(cell, inputs, real, state):
    states, last = read_sequence(cell, inputs, real, state)
    return torch.tensor(states.tolist(), dtype=states.dtype), last


def without_a_graph_2(cell, inputs, real, state):
    with torch.no_grad():
        return read_sequence(cell, inputs, real, state)


def one_of(condition):
    return reading(lambda real, t, new, old: new if condition(real[:, t]) else old)


def last_of_largest(cell, inputs, real, state):
    """The last state where the real words end, by the largest length of the batch."""
    states, _ = reading(lambda real, t, new, old: new)(cell, inputs, real, state)
    return states, states[:, int(real.sum(1).max()) - 1]


def reset_at_padding(cell, inputs, real, state):
    """Goes back to the given state at padding."""
    return reading(lambda r, t, new, old: torch.where(r[:, t, None], new, state))(cell, inputs, real, state)


def cell_by_hand(cell, inputs, real, state):
    """The cell's own weights, without its biases."""
    w = [cell.weight_ih, cell.weight_hh, 0 * cell.bias_ih, 0 * cell.bias_hh]
    return read_sequence(lambda x, h: gru_step(x, h, *w), inputs, real, state)


WRONG_9_2 = {
    "one tensor, appended again": (written_over, "does not copy"),
    "the caller's state written over": (caller_written_over, "`state`"),
    "a table of float32": (float32_table, "float32"),
    "zeros before the first word": (begins_at_the_first_word, None),
    "five positions at most": (gone_after_five, None),
    "first position skipped": (first_skipped, None),
    "state of last time": (state_of_last_time, None),
    "through a list": (by_numbers, "gradient"),
    "no_grad": (without_a_graph_2, "gradient"),
    "mask without its axis": (reading(lambda r, t, new, old: torch.where(r[:, t], new, old)), "axis of size 1"),
    "mask of the wrong axis": (reading(lambda r, t, new, old: torch.where(r[t, :, None], new, old)), None),
    "first sentence's mask": (one_of(lambda column: column[0]), "first sentence's mask for all"),
    "only where all have a word": (one_of(lambda column: column.all()), "*every* sentence"),
    "one position less": (reading(lambda r, t, new, old: torch.where(r[:, t, None], new, old),
                                  lambda inputs: range(inputs.size(1) - 1)), None),
    "over sentences": (reading(lambda r, t, new, old: torch.where(r[:, t, None], new, old),
                               lambda inputs: range(len(inputs))), "runs over the sentences"),
    "added to the state": (reading(lambda r, t, new, old: old + r[:, t, None] * new), None),
    "old and new added": (reading(lambda r, t, new, old: r[:, t, None] * new + old), None),
    "last at the longest": (last_of_largest, "padding"),
    "back to the first state at padding": (reset_at_padding, None),
    "stacked at the end": (lambda *a: (read_sequence(*a)[0].mT, read_sequence(*a)[1]), "shape"),
    "last of states, first sentence": (lambda *a: (read_sequence(*a)[0], read_sequence(*a)[0][0, -1]), "shape"),
    "without biases": (cell_by_hand, None),
    "last detached": (lambda *a: (read_sequence(*a)[0], read_sequence(*a)[1].detach()), "gradient"),
    "a generator": (lambda *a: (part for part in read_sequence(*a)), None),
}  # fmt: skip


class Reading(nn.Module):
    """A module whose forward is the answer."""

    def forward(self, cell, inputs, real, state):
        """As asked for."""
        states = state.new_empty(len(state), 0, state.size(1))
        for t in range(inputs.shape[1]):
            state = torch.where(real[:, t].unsqueeze(-1), cell(inputs.select(1, t), state), state)
            states = torch.cat([states, state.unsqueeze(1)], 1)
        return states, state


def masked_parts(cell, inputs, real, state):
    state, states = state.clone(), []
    for x, here in zip(inputs.transpose(0, 1), real.T, strict=True):
        if here.any():
            new = state.clone()
            new[here] = cell(x[here], state[here])
            state = new
        states.append(state)
    return torch.stack(states).transpose(0, 1), states[-1]


def by_reduce(cell, inputs, real, state):
    def one(states, t):
        return [*states, torch.where(real[:, t, None], cell(inputs[:, t], states[-1]), states[-1])]

    states = functools.reduce(one, range(inputs.size(1)), [state])
    return torch.stack(states[1:], dim=1), states[-1]


def by_while(cell, inputs, real, state, t=0):
    states = []
    while t < inputs.shape[-2]:
        difference = cell(inputs[..., t, :], state) - state
        state = state + difference * real[:, t : t + 1]
        states.append(state)
        t += 1
    return torch.stack(states, dim=-2), state


def generated(cell, inputs, real, state):
    def run():
        now = state
        for x, here in zip(inputs.unbind(1), real.unbind(1), strict=True):
            now = cell(x, now).where(here[:, None], now)
            yield now

    states = torch.stack(tuple(run()), 1)
    return states, states[:, -1, :]


RIGHT_9_2 = {
    "a module's forward": Reading(),
    "masked parts": masked_parts,
    "reduce": by_reduce,
    "while": by_while,
    "a generator inside": generated,
    "an object": functools.partial(read_sequence),
    "weights by hand": lambda cell, inputs, real, state: read_sequence(
        lambda x, h: gru_step(x, h, cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh), inputs, real, state
    ),
    "zero padding first": lambda cell, inputs, real, state: read_sequence(
        cell, inputs.masked_fill(~real[..., None], 0.0), real, state
    ),
}


WRONG = {"9.1": WRONG_9_1, "9.2": WRONG_9_2}
RIGHT = {"9.1": RIGHT_9_1, "9.2": RIGHT_9_2}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
