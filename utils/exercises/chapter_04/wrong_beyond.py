"""What goes wrong in PyTorch's masks and in shared heads (chapter 04), and what puts it right."""

import math

import torch
from torch import Tensor

from utils.exercises.chapter_04.references import grouped_query_attention
from utils.exercises.declare import Misconception
from utils.transformer.attention import scaled_dot_product_attention

# 4.6, PyTorch's mask ──────────────────────────────────────────────────────────────────────────────────────────────


def spread(mask: Tensor, batch: int, heads: int, target_len: int) -> Tensor:
    return mask.expand(batch, heads, target_len, -1)


AS_TORCH_MASK = (
    Misconception(
        "not inverted",
        lambda mask, batch, heads, target_len: spread(mask, batch, heads, target_len).flatten(0, 1),
        "The shape is right, the sense is not: for torch.nn.MultiheadAttention True = must not be attended to, the "
        "opposite of ours. `~mask`.",
    ),
    Misconception(
        "heads first",
        lambda mask, batch, heads, target_len: spread(~mask, batch, heads, target_len).transpose(0, 1).flatten(0, 1),
        "Your rows go through the sentences first, then through the heads, 0, 1, 0, 1 (`repeat(heads, 1, 1)` does "
        "that). The heads of one sentence stand next to each other, 0, 0, 1, 1: (batch, heads, …) as it is, "
        "first two axes merged.",
    ),
    Misconception(
        "four axes",
        lambda mask, batch, heads, target_len: spread(~mask, batch, heads, target_len),
        "Sense and order are right. PyTorch wants three axes: batch and heads merged into the first, `.flatten(0, 1)`.",
    ),
    Misconception(
        "four axes, not inverted",
        spread,
        "You write the mask out as it is. Two steps are missing: True has to mean the opposite, `~mask`, and batch and "
        "heads have to become one axis, `.flatten(0, 1)`.",
    ),
    Misconception(
        "heads first, not inverted",
        lambda mask, batch, heads, target_len: spread(mask, batch, heads, target_len).transpose(0, 1).flatten(0, 1),
        "Two things are the wrong way round. For torch.nn.MultiheadAttention True = must not be attended to: `~mask`. "
        "And the heads of one sentence stand next to each other, 0, 0, 1, 1: first two axes merged as they are.",
    ),
    Misconception(
        "not expanded",
        lambda mask, batch, heads, target_len: (~mask).flatten(0, 1),
        "You merge the axes before broadcasting has filled them: where the mask has an axis of size 1, rows are "
        "missing. PyTorch wants every row written out: `.expand(batch, heads, target_len, -1)` first.",
    ),
    Misconception(
        "one mask a sentence",
        lambda mask, batch, heads, target_len: spread(~mask, batch, heads, target_len)[:, 0],
        "You give one mask a sentence. PyTorch wants one for each head of each sentence, (batch · heads, target_len, "
        "source_len).",
    ),
    Misconception(
        "numbers to add",
        lambda mask, batch, heads, target_len: torch.zeros(batch * heads, target_len, mask.size(-1)).masked_fill(
            spread(~mask, batch, heads, target_len).flatten(0, 1), -math.inf
        ),
        "Yours is a mask of 0 and −∞, to be added to the scores. PyTorch takes that too; asked for here is True and "
        "False.",
    ),
)


# 4.7, grouped queries ─────────────────────────────────────────────────────────────────────────────────────────────


def sharing(query: Tensor, key: Tensor) -> int:
    return query.size(1) // key.size(1)


def groups_cycled(query, key, value, mask=None):
    times = sharing(query, key)
    return scaled_dot_product_attention(query, key.repeat(1, times, 1, 1), value.repeat(1, times, 1, 1), mask)


def first_group_for_all(query, key, value, mask=None):
    return scaled_dot_product_attention(query, key[:, :1], value[:, :1].expand(-1, query.size(1), -1, -1), mask)


def broadcast(query, key, value, mask=None):
    return scaled_dot_product_attention(query, key, value, mask)


def groups_averaged(query, key, value, mask=None):
    key, value = (part.mean(1, keepdim=True).expand(-1, query.size(1), -1, -1) for part in (key, value))
    return scaled_dot_product_attention(query, key, value, mask)


def queries_averaged(query, key, value, mask=None):
    query = query.unflatten(1, (key.size(1), -1)).mean(2)
    return scaled_dot_product_attention(query, key, value)


def queries_dropped(query, key, value, mask=None):
    return scaled_dot_product_attention(query[:, : key.size(1)], key, value)


def unmasked(query, key, value, mask=None):
    return grouped_query_attention(query, key, value)


def inverted(query, key, value, mask=None):
    return grouped_query_attention(query, key, value, None if mask is None else ~mask)


def tokens_repeated(query, key, value, mask=None):
    """Written out, to stop where an attention stops that does not look at shapes beforehand."""
    key, value = (part.repeat_interleave(sharing(query, key), dim=2) for part in (key, value))
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.size(-1))
    weights = (scores if mask is None else scores.masked_fill(~mask, -math.inf)).softmax(-1)
    return weights @ value, weights


GROUPED_QUERY_ATTENTION = (
    Misconception(
        "groups in turn",
        groups_cycled,
        "Your groups take turns: `repeat` gives 0, 1, 0, 1. Neighbouring query heads share a group, 0, 0, 1, 1: "
        "`repeat_interleave`.",
    ),
    Misconception(
        "first group for all",
        first_group_for_all,
        "All your query heads use the first group. That is multi-query attention, right only where there is a single "
        "group.",
    ),
    Misconception(
        "left to broadcasting",
        broadcast,
        "You leave it to broadcasting, which spreads an axis of size 1 and no other: right only where there is a "
        "single group, or one for each head. Repeat keys and values, both, until they have as many heads as the "
        "queries.",
        everywhere=True,
    ),
    Misconception(
        "groups averaged",
        groups_averaged,
        "You average the groups. Each group keeps keys and values of its own, for its own query heads.",
    ),
    Misconception(
        "queries averaged",
        queries_averaged,
        "You average the query heads of a group. Only keys and values are shared: there are still `heads` queries, "
        "each with weights of its own.",
    ),
    Misconception(
        "queries dropped",
        queries_dropped,
        "You drop query heads until they match the keys. It is keys and values that are to be repeated: there are "
        "still `heads` queries, each with weights of its own.",
    ),
    Misconception(
        "mask ignored",
        unmasked,
        "Your result stays the same whatever the mask says: hand it on to the attention.",
        everywhere=True,
    ),
    Misconception(
        "mask inverted",
        inverted,
        "Your mask works the wrong way round: it hides what is True. True = may be attended to, here as in 3.4.",
    ),
    Misconception(
        "tokens repeated",
        tokens_repeated,
        "You repeat the tokens. It is the heads, axis 1, that have to become as many as the queries'.",
        everywhere=True,
    ),
)
