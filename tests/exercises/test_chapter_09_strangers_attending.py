"""Chapter 09, a step that attends, as strangers answer: slips of learners, of language
models and of those who would rather not write it, and right answers in unusual clothes.
"""

import functools

import torch
from torch.nn import functional as F

from utils.exercises.chapter_09.references import attentive_step, gru_step

# 9.4 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def asked(attention, query, memory, real):
    context, weights = attention(query[:, None], memory, memory, real[:, None])
    return context[:, 0], weights[:, 0]


def then(make):
    """make(cell, embedded, state, context, weights) after a right look back."""
    return lambda cell, attention, embedded, state, memory, real: make(
        cell, embedded, state, *asked(attention, state, memory, real)
    )


def step(cell, embedded, context, state):
    return cell(torch.cat([embedded, context], -1), state)


def token_asks(cell, attention, embedded, state, memory, real):
    context, weights = asked(attention, embedded, memory, real)
    return step(cell, embedded, context, state), weights


def squeezed(cell, attention, embedded, state, memory, real):
    context, weights = attention(state[:, None], memory, memory, real[:, None])
    return step(cell, embedded, context.squeeze(), state), weights.squeeze()


def weights_squeezed(cell, attention, embedded, state, memory, real):
    context, weights = attention(state[:, None], memory, memory, real[:, None])
    return step(cell, embedded, context[:, 0], state), weights.squeeze()


def wrong_axis(cell, attention, embedded, state, memory, real):
    context, weights = attention(state[None], memory, memory, real[:, None])
    return step(cell, embedded, context[:, 0], state), weights[:, 0]


def no_axis(cell, attention, embedded, state, memory, real):
    context, weights = attention(state, memory, memory, real)
    return step(cell, embedded, context, state), weights


def mask_of_float(cell, attention, embedded, state, memory, real):
    context, weights = attention(state[:, None], memory, memory, real[:, None].float())
    return step(cell, embedded, context[:, 0], state), weights[:, 0]


def cell_swapped(cell, embedded, state, context, weights):
    return cell(state, torch.cat([embedded, context], -1)), weights


def state_written_over(cell, attention, embedded, state, memory, real):
    new, weights = attentive_step(cell, attention, embedded, state, memory, real)
    with torch.no_grad():
        state.copy_(new)
    return new, weights


projected = {}


def keys_of_first_call(cell, attention, embedded, state, memory, real):
    """Projects the keys once and keeps them for ever."""
    key = projected.setdefault((memory.shape, memory.dtype), attention.key_projection(memory).detach())
    context, weights = attention.attend(state[:, None], key, memory, real[:, None])
    return step(cell, embedded, context[:, 0], state), weights[:, 0]


def state_for_context(cell, embedded, state, context, weights):
    return cell(F.pad(torch.cat([embedded, state], -1), (0, context.size(-1) - state.size(-1))), state), weights


def values_projected(cell, attention, embedded, state, memory, real):
    weights = asked(attention, state, memory, real)[1]
    value = F.pad(attention.key_projection(memory), (0, memory.size(-1)))[..., : memory.size(-1)]
    return step(cell, embedded, torch.einsum("bs,bsd->bd", weights, value), state), weights


def longest_first(cell, attention, embedded, state, memory, real):
    """The first sentence's mask for all."""
    return attentive_step(cell, attention, embedded, state, memory, real[:1].expand_as(real))


def sharpened(cell, attention, embedded, state, memory, real):
    _, weights = asked(attention, state, memory, real)
    weights = weights.square() / weights.square().sum(-1, keepdim=True)
    return step(cell, embedded, torch.einsum("bs,bsd->bd", weights, memory), state), weights


WRONG_9_4 = {
    "the token asks": (token_asks, "the newest token"),
    "squeezed": (squeezed, "*every* axis"),
    "weights squeezed": (weights_squeezed, "*every* axis"),
    "axis in front": (wrong_axis, None),
    "no axis for the query": (no_axis, "a query for each position"),
    "mask of numbers": (mask_of_float, None),
    "input and state exchanged": (then(cell_swapped), "the state first"),
    "state written over": (state_written_over, "`state`"),
    "keys of the first call": (keys_of_first_call, None),
    "state in place of the context": (then(state_for_context), None),
    "keys for values": (values_projected, None),
    "first sentence's mask": (longest_first, "the mask of the first"),
    "sharpened": (sharpened, None),
    "weights detached": (then(lambda c, e, s, x, w: (step(c, e, x, s), w.detach())), "gradient"),
    "context detached": (then(lambda c, e, s, x, w: (step(c, e, x.detach(), s), w)), "gradient"),
    "softmax again": (then(lambda c, e, s, x, w: (step(c, e, x, s), w.softmax(-1))), None),
    "three parts": (then(lambda c, e, s, x, w: (step(c, e, x, s), x, w)), "tuple of 3"),
    "concatenated along the batch": (then(lambda c, e, s, x, w: (c(torch.cat([e, x]), s), w)), None),
    "context through tanh": (then(lambda c, e, s, x, w: (step(c, e, x.tanh(), s), w)), None),
    "largest weight's place": (then(lambda c, e, s, x, w: (step(c, e, x, s), w.argmax(-1))), None),
    "old state kept in part": (then(lambda c, e, s, x, w: (0.5 * (step(c, e, x, s) + s), w)), None),
    "state with an axis": (then(lambda c, e, s, x, w: (step(c, e, x, s)[:, None], w)), "shape"),
    "nested lists": (lambda *a: tuple(part.tolist() for part in attentive_step(*a)), "Tensor"),
}


class Looking:
    """An object that keeps what it saw last, and does not use it."""

    seen = None

    def __call__(self, cell, attention, embedded, state, memory, real):
        context, weights = attention(query=state.unsqueeze(-2), key=memory, value=memory, mask=real.unsqueeze(-2))
        self.seen = weights = weights.squeeze(-2)
        return cell(torch.cat((embedded, context.flatten(1)), dim=1), state), weights


def own_context(cell, attention, embedded, state, memory, real):
    weights = attention(state[:, None, :], memory, memory, real[:, None, :])[1][:, 0]
    return cell(torch.column_stack([embedded, torch.bmm(weights[:, None], memory).squeeze(1)]), state), weights


def cell_by_hand(cell, attention, embedded, state, memory, real):
    context, weights = asked(attention, state, memory, real)
    x = torch.concatenate([embedded, context], axis=-1)
    return gru_step(x, state, cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh), weights


def one_more_axis(cell, attention, embedded, state, memory, real):
    """Twice the same question, of which one answer is used."""
    query = state[:, None].expand(-1, 2, -1)
    context, weights = attention(query, memory, memory, real[:, None].expand(-1, 2, -1))
    return step(cell, embedded, context[:, 1], state), weights[:, 0]


def named(cell, attention, embedded, state, memory, real):
    Looked = __import__("collections").namedtuple("Looked", "state weights")
    return Looked(*attentive_step(cell, attention, embedded, state, memory, real))


RIGHT_9_4 = {
    "an object": Looking(),
    "context by bmm": own_context,
    "cell by hand": cell_by_hand,
    "asked twice": one_more_axis,
    "a named tuple": named,
    "partial": functools.partial(attentive_step),
    "padding zeroed and masked": lambda cell, attention, e, s, m, r: attentive_step(
        cell, attention, e, s, m.masked_fill(~r[..., None], 0.0), r
    ),
    "a padded input": then(lambda c, e, s, x, w: (c(F.pad(e, (0, x.size(1))) + F.pad(x, (e.size(1), 0)), s), w)),
}  # fmt: skip


WRONG = {"9.4": WRONG_9_4}
RIGHT = {"9.4": RIGHT_9_4}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
