"""What goes wrong in counting, in PyTorch's masks and in shared heads (chapter 04), and what puts it right."""

import math

import torch
from torch import Tensor

from utils.exercises.chapter_04.references import attention_counts, grouped_query_attention
from utils.exercises.declare import Misconception
from utils.transformer.attention import scaled_dot_product_attention

# 4.5, counting ────────────────────────────────────────────────────────────────────────────────────────────────────


def counting(parameters=None, multiplications=None):
    """A wrong answer to 4.5: one of the two numbers counted otherwise."""

    def answer(target_len, source_len, d_model, heads, d_k, d_v, bias=True):
        sizes = target_len, source_len, d_model, heads, d_k, d_v, bias
        right = attention_counts(*sizes)
        return (
            right[0] if parameters is None else parameters(*sizes),
            right[1] if multiplications is None else multiplications(*sizes),
        )

    return answer


def projecting(t, s, d, h, k, v):
    return d * h * (t * k + s * k + s * v + t * v)


ATTENTION_COUNTS = (
    Misconception(
        "no output projection",
        counting(
            lambda t, s, d, h, k, v, bias: h * (2 * k + v) * (d + bias),
            lambda t, s, d, h, k, v, bias: projecting(t, s, d, h, k, v) - t * d * h * v + h * t * s * (k + v),
        ),
        "Both your numbers lack W^O: heads · d_v times d_model parameters and its biases, used at each of the "
        "target_len positions.",
    ),
    Misconception(
        "output projection's parameters missing",
        counting(lambda t, s, d, h, k, v, bias: h * (2 * k + v) * (d + bias)),
        "Your parameters lack W^O: heads · d_v times d_model, and d_model biases.",
    ),
    Misconception(
        "biases missing",
        counting(lambda t, s, d, h, k, v, bias: d * h * 2 * (k + v)),
        "Your parameters leave the biases out: one for each output of each of the four projections, unless bias is "
        "False.",
    ),
    Misconception(
        "output's biases missing",
        counting(lambda t, s, d, h, k, v, bias: h * (2 * k + v) * (d + bias) + h * v * d),
        "Your parameters count the biases of three projections. W^O has biases too, one for each of its d_model "
        "outputs: d_model biases.",
    ),
    Misconception(
        "d_model biases each",
        counting(lambda t, s, d, h, k, v, bias: 2 * d * h * (k + v) + 4 * d * bias),
        "You give every projection d_model biases. A projection has as many as it has outputs: heads · d_k, heads · "
        "d_k, heads · d_v, and only the last has d_model.",
    ),
    Misconception(
        "parameters of one head",
        counting(lambda t, s, d, h, k, v, bias: (2 * k + v) * (d + bias) + (v + bias) * d),
        "Your parameters are those of one head. There are `heads` of them, and W^O has heads · d_v inputs.",
    ),
    Misconception(
        "projections of one head",
        counting(lambda t, s, d, h, k, v, bias: (2 * k + v) * (d + bias) + (h * v + bias) * d),
        "Your parameters count the projections of queries, keys and values for one head. There are `heads` of each.",
    ),
    Misconception(
        "values as wide as keys",
        counting(lambda t, s, d, h, k, v, bias: 3 * h * k * (d + bias) + (h * v + bias) * d),
        "Your parameters take all three of queries, keys and values to be d_k wide. Values are d_v wide.",
    ),
    Misconception(
        "biases always",
        counting(lambda t, s, d, h, k, v, bias: h * (2 * k + v) * (d + 1) + (h * v + 1) * d),
        "Your parameters count biases even where `bias` is False.",
    ),
    Misconception(
        "heads of full width",
        counting(lambda t, s, d, h, k, v, bias: h * (4 * d * d + 4 * d * bias)),
        "You give each head projections of the full width. A head's matrices are d_model × d_k and d_model × d_v: all "
        "heads together need no more than one wide head.",
    ),
    Misconception(
        "4 d_model²",
        counting(lambda t, s, d, h, k, v, bias: 4 * d * d + 4 * d * bias),
        "4 · d_model² (+ 4 · d_model) holds only where heads · d_k = heads · d_v = d_model. Here the widths are free: "
        "count each projection with its own sizes.",
    ),
    Misconception(
        "4 d_model² + 4 d_model",
        counting(lambda t, s, d, h, k, v, bias: 4 * d * d + 4 * d),
        "4 · d_model² + 4 · d_model holds only where heads · d_k = heads · d_v = d_model and there are biases. Here "
        "the widths are free: count each projection with its own sizes, and its biases only if `bias` says so.",
    ),
    Misconception(
        "4 d_model², no biases",
        counting(lambda t, s, d, h, k, v, bias: 4 * d * d),
        "4 · d_model² leaves the biases out, and holds only where heads · d_k = heads · d_v = d_model. Count each "
        "projection with its own sizes, and a bias for each of its outputs.",
    ),
    Misconception(
        "both numbers by d_model",
        counting(
            lambda t, s, d, h, k, v, bias: 4 * d * d + 4 * d * bias,
            lambda t, s, d, h, k, v, bias: 4 * t * d * d + 2 * t * s * d,
        ),
        "Both your numbers are made of d_model alone, which holds only where heads · d_k = heads · d_v = d_model (and, "
        "for the multiplications, target_len = source_len). Count each product with its own sizes.",
    ),
    Misconception(
        "multiplications by d_model",
        counting(None, lambda t, s, d, h, k, v, bias: 4 * t * d * d + 2 * t * s * d),
        "Your multiplications are made of d_model alone, which holds only where heads · d_k = heads · d_v = d_model "
        "and target_len = source_len. Count each product with its own sizes.",
    ),
    Misconception(
        "output's product missing",
        counting(
            None, lambda t, s, d, h, k, v, bias: projecting(t, s, d, h, k, v) - t * d * h * v + h * t * s * (k + v)
        ),
        "Your multiplications lack the last product, that with W^O: heads · d_v times d_model at each of the "
        "target_len positions.",
    ),
    Misconception(
        "output projected at the keys' positions",
        counting(None, lambda t, s, d, h, k, v, bias: d * h * s * (k + 2 * v) + d * h * t * k + h * t * s * (k + v)),
        "Your multiplications project the output at source_len positions. There is one output for each query: "
        "target_len positions.",
    ),
    Misconception(
        "as many keys as queries",
        counting(None, lambda t, s, d, h, k, v, bias: projecting(t, s, d, h, k, v) + h * t * t * (k + v)),
        "Your two products of Equation 1 take target_len · target_len pairs. Each of the target_len queries meets "
        "source_len keys.",
    ),
    Misconception(
        "mixing of width d_k",
        counting(None, lambda t, s, d, h, k, v, bias: projecting(t, s, d, h, k, v) + 2 * h * t * s * k),
        "Your multiplications take both products of Equation 1 to be d_k wide. The second, weights times values, is "
        "d_v wide.",
    ),
    Misconception(
        "biases multiplied",
        counting(
            None,
            lambda t, s, d, h, k, v, bias: (
                h * (t * k + s * k + s * v) * (d + bias) + t * d * (h * v + bias) + h * t * s * (k + v)
            ),
        ),
        "Your multiplications count the biases. They are added, not multiplied.",
    ),
    Misconception(
        "projections of one token",
        counting(None, lambda t, s, d, h, k, v, bias: 2 * d * h * (k + v) + h * t * s * (k + v)),
        "Your multiplications project one token. Each projection is done for each token, at target_len or source_len "
        "positions.",
    ),
    Misconception(
        "keys projected at the queries' positions",
        counting(None, lambda t, s, d, h, k, v, bias: t * d * h * 2 * (k + v) + h * t * s * (k + v)),
        "Your multiplications project keys and values at target_len positions. There are source_len of them.",
    ),
    Misconception(
        "attention itself missing",
        counting(None, lambda t, s, d, h, k, v, bias: projecting(t, s, d, h, k, v)),
        "Your multiplications end at the projections: QKᵀ takes target_len · source_len · d_k more for each head, and "
        "mixing the values target_len · source_len · d_v.",
    ),
    Misconception(
        "scores without mixing",
        counting(None, lambda t, s, d, h, k, v, bias: projecting(t, s, d, h, k, v) + h * t * s * k),
        "Your multiplications count QKᵀ, but not the second product of Equation 1, weights times values: target_len · "
        "source_len · d_v for each head.",
    ),
    Misconception(
        "attention counted for one head",
        counting(None, lambda t, s, d, h, k, v, bias: projecting(t, s, d, h, k, v) + t * s * (k + v)),
        "You count the two products of Equation 1 once. Each head does them: heads times.",
    ),
    Misconception(
        "additions counted too",
        counting(None, lambda t, s, d, h, k, v, bias: 2 * attention_counts(t, s, d, h, k, v, bias)[1]),
        "Your second number counts multiplications and additions, twice what is asked for. (As floating-point "
        "operations that is the usual way; here multiplications alone are asked for.)",
    ),
    Misconception(
        "numbers exchanged",
        lambda *sizes: attention_counts(*sizes)[::-1],
        "Both numbers are right, but in the wrong order; asked for is (parameters, multiplications).",
    ),
)


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


def tokens_repeated(query, key, value, mask=None):
    times = sharing(query, key)
    return scaled_dot_product_attention(
        query, key.repeat_interleave(times, dim=2), value.repeat_interleave(times, dim=2), mask
    )


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
        "tokens repeated",
        tokens_repeated,
        "You repeat the tokens. It is the heads, axis 1, that have to become as many as the queries'.",
    ),
)
