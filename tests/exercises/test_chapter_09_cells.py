"""Chapter 09, a GRU step, from outside: plausible wrong answers that no misconception was
written for, and unusual right ones. Each wrong answer comes with words that its report must hold, or None.
"""

import torch
from torch.nn import functional as F

from utils.exercises.chapter_09.references import gru_step

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


WRONG = {"9.1": WRONG_9_1}
RIGHT = {"9.1": RIGHT_9_1}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
