"""Chapter 04: slips that learners make, laid out otherwise than the misconceptions, are explained; and nothing is said
of an answer that is not true of it.
"""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from utils.exercises import examine, exercise
from utils.exercises.chapter_04.references import attention_counts
from utils.transformer.attention import MultiHeadAttention as Reference
from utils.transformer.attention import join_heads, scaled_dot_product_attention, split_heads

# 4.1 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def looped(query, key, value, query_weights, key_weights, value_weights, output_weight, join=None):
    heads = []
    for i in range(len(query_weights)):
        parts = query @ query_weights[i], key @ key_weights[i], value @ value_weights[i]
        heads.append(scaled_dot_product_attention(*parts)[0])
    return (join or (lambda heads, weight: torch.cat(heads, dim=-1) @ weight))(heads, output_weight)


def pairs_kept(query, key, value, query_weights, key_weights, value_weights, output_weight):
    heads = []
    for wq, wk, wv in zip(query_weights, key_weights, value_weights, strict=True):
        heads += [scaled_dot_product_attention(query @ wq, key @ wk, value @ wv)]
    return torch.cat(heads, dim=-1) @ output_weight


def square_matrix_turned(*inputs):
    """W^O turned over where it is square only: it is not the same slip."""
    weight = inputs[-1]
    return looped(*inputs[:-1], weight.T if weight.size(0) == weight.size(1) else weight)


def reshaped_matrix(*inputs):
    weight = inputs[-1]
    return looped(*inputs[:-1], weight.reshape(weight.shape[::-1]))


SLIPS_4_1 = {
    "W^O turned over": (lambda *i: looped(*i, join=lambda h, w: torch.cat(h, -1) @ w.T), "as it stands"),
    "W^O as a linear layer's": (lambda *i: looped(*i, join=lambda h, w: F.linear(torch.cat(h, -1), w)), "`nn.Linear`"),
    "pairs in the list": (pairs_kept, "`head, weights ="),
    "W^Q for keys and W^K for queries": (
        lambda q, k, v, wq, wk, wv, wo: looped(q, k, v, wk, wq, wv, wo),
        "W_i^Q with the keys",
    ),
    "values through W^K": (lambda q, k, v, wq, wk, wv, wo: looped(q, k, v, wq, wk, wk, wo), "W_i^V"),
}

# 4.2 and 4.3 ──────────────────────────────────────────────────────────────────────────────────────────────────────


def halves(joined, heads):
    batch, length, total = joined.shape
    return joined.swapaxes(1, 2).reshape(batch, heads, length, total // heads)


SLIPS_4_2 = {
    "straight": (lambda x, h: x.reshape(len(x), h, -1, x.size(-1) // h), "in the order of memory"),
    "transposed before it is split": (halves, "before the last axis is split"),
    "batch for length": (lambda x, h: x.unflatten(-1, (h, -1)).permute(2, 1, 0, 3), "axes 1 and 2"),
    "batch and length": (lambda x, h: x.unflatten(-1, (h, -1)).swapaxes(0, 1), "axes 1 and 2"),
    "first and last": (lambda x, h: x.unflatten(-1, (h, -1)).swapaxes(1, 3), "axes 1 and 2"),
    "width and heads": (lambda x, h: x.reshape(*x.shape[:2], -1, h).swapaxes(1, 2), "(heads, width)"),
    "width and heads, as it is": (lambda x, h: x.reshape(*x.shape[:2], -1, h), "(heads, width)"),
    "pieces of that width": (lambda x, h: torch.stack(x.split(h, dim=-1), dim=1), "`split` takes the size"),
    "straight, and then exchanged": (
        lambda x, h: x.reshape(len(x), h, x.size(1), -1).swapaxes(1, 2),
        "in the order of memory",
    ),
}

SLIPS_4_3 = {
    "no transpose": (lambda x: x.reshape(len(x), x.size(2), -1), "without `transpose`"),
    "no transpose, by the last axes": (lambda x: x.flatten(2), "exchange axes 1 and 2 first"),
    "transposed afterwards": (lambda x: x.flatten(2).swapaxes(1, 2), "before they are merged"),
    "other axes": (lambda x: x.swapaxes(2, 3).reshape(len(x), x.size(2), -1), "axes 1 and 2"),
    "first and last": (lambda x: x.permute(0, 3, 2, 1).flatten(2), "axes 1 and 2"),
    "first and last, right shape": (lambda x: x.permute(0, 3, 2, 1).reshape(len(x), x.size(2), -1), "axes 1 and 2"),
    "merged one too early": (lambda x: x.permute(0, 2, 1, 3).reshape(len(x), -1, x.size(-1)), "last two axes"),
    "one after the other": (lambda x: torch.cat(list(x.unbind(1))), "`dim=-1`"),
}

# 4.4 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def built(query="query", key="key", value="value"):
    """Projected by other layers than the ones that are meant."""

    def forward(self, q, k, v, mask=None):
        parts = (getattr(self, f"{name}_projection")(x) for name, x in ((query, q), (key, k), (value, v)))
        output, weights = scaled_dot_product_attention(*(split_heads(part, self.heads) for part in parts), mask)
        return self.output_projection(join_heads(output)), weights

    return answered(forward)


def answered(forward):
    return type("Mine", (Reference,), {"forward": forward})


def only_when_training(self, query, key, value, mask=None):
    if not self.training:
        mask = None
    return Reference.forward(self, query, key, value, mask)


def only_when_evaluating(self, query, key, value, mask=None):
    if self.training:
        mask = None
    return Reference.forward(self, query, key, value, mask)


def first_sentence_masked(self, query, key, value, mask=None):
    if mask is not None:
        mask = mask.clone()
        mask[1:] = True
    return Reference.forward(self, query, key, value, mask)


def pairs(self, query, key, value, mask=None):
    q, k, v = self.query_projection(query), self.key_projection(key), self.value_projection(value)
    found = scaled_dot_product_attention(*(split_heads(part, self.heads) for part in (q, k, v)), mask)
    return self.output_projection(join_heads(found))


def sized(*names, out="all"):
    """A constructor whose projections of those names are as wide as a single head."""

    class Mine(nn.Module):
        def __init__(self, d_model, heads, d_k=None, d_v=None, bias=True):
            super().__init__()
            d_k, d_v = d_k or d_model // heads, d_v or d_model // heads
            self.heads = heads
            for name, width in (("w_q", d_k), ("w_k", d_k), ("w_v", d_v)):
                setattr(self, name, nn.Linear(d_model, width * (1 if name in names else heads), bias=bias))
            self.w_o = nn.Linear(d_v if out == "one" else heads * d_v, d_model, bias=bias)

        def forward(self, query, key, value, mask=None):
            q, k, v = (split_heads(layer(x), self.heads)
                       for layer, x in ((self.w_q, query), (self.w_k, key), (self.w_v, value)))  # fmt: skip
            output, weights = scaled_dot_product_attention(q, k, v, mask)
            return self.w_o(join_heads(output)), weights

    return Mine


class KeysWidthForValues(Reference):
    def __init__(self, d_model, heads, d_k=None, d_v=None, bias=True):
        super().__init__(d_model, heads, d_k, d_v, bias)
        self.value_projection = nn.Linear(d_model, heads * self.d_k, bias=bias)
        self.output_projection = nn.Linear(heads * self.d_k, d_model, bias=bias)


SLIPS_4_4 = {
    "masked in training only": (answered(only_when_training), "in training mode only"),
    "masked in evaluation only": (answered(only_when_evaluating), "in evaluation mode only"),
    "values through the keys' layer": (built(value="key"), "`self.value_projection(value)`"),
    "values through the queries' layer": (built(value="query"), None),
    "keys through the queries' layer": (built(key="query"), "`self.key_projection(key)`"),
    "queries' layer for all": (built(key="query", value="query"), "one layer"),
    "layers exchanged": (built("key", "query"), "exchanged"),
    "one head's width": (sized("w_q", "w_k", "w_v"), "heads · d_k"),
    "one head's width, out too": (sized("w_q", "w_k", "w_v", out="one"), "heads · d_k"),
    "one head's width for queries and keys": (sized("w_q", "w_k"), "heads · d_k"),
    "keys' width for values": (KeysWidthForValues, "d_v"),
    "pairs handed on": (answered(pairs), "`output, weights ="),
}

# 4.5 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def counted(parameters=None, multiplications=None):
    """Other formulas, in (T, S, d_model, heads, d_k, d_v, bias)."""

    def answer(target_len, source_len, d_model, heads, d_k, d_v, bias=True):
        sizes = target_len, source_len, d_model, heads, d_k, d_v, bias
        right = attention_counts(*sizes)
        given = zip((parameters, multiplications), right, strict=True)
        return tuple(number if formula is None else formula(*sizes) for formula, number in given)

    return answer


def products(t, s, d, h, k, v):
    return h * t * s * (k + v)


SLIPS_4_5 = {
    "the text's sum": (counted(lambda t, s, d, h, k, v, b: 4 * d**2 + 4 * d), "heads · d_k"),
    "the text's sum, biases as asked": (counted(lambda t, s, d, h, k, v, b: 4 * (d**2 + b * d)), "heads · d_k"),
    "the text's sum, no biases": (counted(lambda t, s, d, h, k, v, b: 4 * d**2), "biases"),
    "both by d_model": (
        counted(lambda t, s, d, h, k, v, b: 4 * d * d + 4 * d * b, lambda t, s, d, h, k, v, b: 4*t*d*d + 2*t*s*d),
        "heads · d_k",
    ),
    "products by d_model": (counted(None, lambda t, s, d, h, k, v, b: 4 * t * d * d + 2 * t * s * d), "heads · d_k"),
    "no biases": (counted(lambda t, s, d, h, k, v, b: h * d * (2 * k + v) + h * v * d), "biases out"),
    "three biases": (counted(lambda t, s, d, h, k, v, b: h * (2 * k + v) * (d + b) + h * v * d), "d_model biases"),
    "one head's": (counted(lambda t, s, d, h, k, v, b: (2 * k + v) * (d + b) + (v + b) * d), "one head"),
    "one head's, then all": (counted(lambda t, s, d, h, k, v, b: (2*k + v) * (d + b) + (h*v + b) * d), "one head"),
    "d_k for d_v": (counted(lambda t, s, d, h, k, v, b: 3 * h * k * (d + b) + (h * v + b) * d), "d_v"),
    "d_model biases": (counted(lambda t, s, d, h, k, v, b: 2*d*h * (k + v) + 4*d*b), "as many as it has outputs"),
    "no W^O in the products": (
        counted(None, lambda t, s, d, h, k, v, b: d * h * (t*k + s*k + s*v) + products(t, s, d, h, k, v)),
        "W^O",
    ),
    "output at the keys' positions": (
        counted(None, lambda t, s, d, h, k, v, b: d * h * (t*k + s*k + 2*s*v) + products(t, s, d, h, k, v)),
        "target_len positions",
    ),
    "scores of queries with queries": (
        counted(None, lambda t, s, d, h, k, v, b: d*h*(t*k + s*k + s*v + t*v) + products(t, t, d, h, k, v)),
        "source_len keys",
    ),
    "d_k twice": (
        counted(None, lambda t, s, d, h, k, v, b: d*h*(t*k + s*k + s*v + t*v) + 2 * h * t * s * k),
        "d_v",
    ),
    "biases as products": (
        counted(None, lambda t, s, d, h, k, v, b:
                h * (t*k + s*k + s*v) * (d + b) + t * d * (h*v + b) + products(t, s, d, h, k, v)),
        "added, not multiplied",
    ),
    "one position": (
        counted(None, lambda t, s, d, h, k, v, b: 2 * d * h * (k + v) + products(t, s, d, h, k, v)),
        "for each token",
    ),
}  # fmt: skip

SLIPS = {"4.1": SLIPS_4_1, "4.2": SLIPS_4_2, "4.3": SLIPS_4_3, "4.4": SLIPS_4_4, "4.5": SLIPS_4_5}
ALL = {f"{number} {name}": (number, *slip) for number, slips in SLIPS.items() for name, slip in slips.items()}

# What must not be said of an answer, since it is not true of it.
FALSE = {
    "4.1 square W^O only": ("4.1", square_matrix_turned, "as it stands"),
    "4.1 W^O reshaped": ("4.1", reshaped_matrix, "You turn W^O over"),
    "4.4 training only": ("4.4", answered(only_when_training), "whatever the mask says"),
    "4.4 evaluation only": ("4.4", answered(only_when_evaluating), "whatever the mask says"),
    "4.4 first sentence's mask": ("4.4", answered(first_sentence_masked), "whatever the mask says"),
    "4.4 first sentence's mask, mode": ("4.4", answered(first_sentence_masked), "mode only"),
    "4.4 values narrow": ("4.4", sized("w_v"), "queries and keys"),
    "4.5 the text's sum": ("4.5", SLIPS_4_5["the text's sum"][0], "even where `bias` is False"),
    "4.5 no biases": ("4.5", SLIPS_4_5["no biases"][0], "holds only where"),
}


@pytest.mark.parametrize("slip", ALL.values(), ids=list(ALL))
def test_slips_are_explained(slip, rejected):
    rejected(*slip)


@pytest.mark.parametrize("case", FALSE.values(), ids=list(FALSE))
def test_nothing_false_is_said(case):
    number, answer, words = case
    for seed in range(2):
        report = examine(exercise(number), answer, seed)
        assert not report.passed and words not in report.explanation, report
