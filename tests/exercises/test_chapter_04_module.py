"""Chapter 04, the module, from outside: plausible wrong answers that no misconception was written for, and unusual
right ones, laid out as learners lay them out.

Each wrong answer comes with words that its explanation must contain, or None where a plain "not the expected numbers"
is all that is asked of the check.
"""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from utils.exercises import examine, exercise
from utils.transformer.attention import MultiHeadAttention as Reference
from utils.transformer.attention import join_heads, scaled_dot_product_attention, split_heads


def like_reference(forward):
    """The course's constructor with another `forward`."""
    return type("Answer", (Reference,), {"forward": forward})


def heads_of(self, query, key, value):
    projections = self.query_projection, self.key_projection, self.value_projection
    return [split_heads(p(x), self.heads) for p, x in zip(projections, (query, key, value), strict=True)]


def finish(self, output, weights):
    return self.output_projection(join_heads(output)), weights


def weighing(weigh):
    """Right but for what it makes of the scaled scores and the mask."""

    def forward(self, query, key, value, mask=None):
        q, k, v = heads_of(self, query, key, value)
        weights = weigh(q @ k.mT / math.sqrt(self.d_k), mask)
        return finish(self, weights @ v, weights)

    return like_reference(forward)


def masked(scores, mask, number=-math.inf):
    return scores if mask is None else scores.masked_fill(~mask, number)


def after(change):
    """The right result, changed."""
    return like_reference(
        lambda self, query, key, value, mask=None: change(self, Reference.forward(self, query, key, value, mask))
    )


def before(change):
    """The right code on changed inputs."""
    return like_reference(
        lambda self, query, key, value, mask=None: Reference.forward(self, *change(query, key, value, mask))
    )


def first_mask_only(query, key, value, mask):
    return query, key, value, None if mask is None else mask[:1]


def one_mask_for_all_heads(query, key, value, mask):
    return query, key, value, None if mask is None else mask[:, :1]


def mask_turned(query, key, value, mask):
    return query, key, value, mask.mT if mask is not None and mask.size(-1) == mask.size(-2) else mask


def always_causal(query, key, value, mask):
    causal = torch.ones(query.size(1), key.size(1), dtype=torch.bool).tril()
    return query, key, value, causal if mask is None else mask & causal


def weights_before_mask(self, query, key, value, mask=None):
    _, weights = Reference.forward(self, query, key, value)
    return Reference.forward(self, query, key, value, mask)[0], weights


def changes_query(self, query, key, value, mask=None):
    query.mul_(2).div_(2).add_(1)
    return Reference.forward(self, query, key, value, mask)


def changes_mask(self, query, key, value, mask=None):
    result = Reference.forward(self, query, key, value, mask)
    if mask is not None:
        mask.logical_not_()
    return result


def evaluation_unmasked(self, query, key, value, mask=None):
    return Reference.forward(self, query, key, value, mask if self.training else None)


def queries_as_keys(self, query, key, value, mask=None):
    projected = self.query_projection(query), self.query_projection(key), self.value_projection(value)
    q, k, v = (split_heads(part, self.heads) for part in projected)
    return finish(self, *scaled_dot_product_attention(q, k, v, mask))


def output_projected_twice(self, query, key, value, mask=None):
    output, weights = Reference.forward(self, query, key, value, mask)
    return self.output_projection(output) if self.heads * self.d_v == output.size(-1) else output * 2, weights


class DropoutInside(Reference):
    def forward(self, query, key, value, mask=None):
        q, k, v = heads_of(self, query, key, value)
        _, weights = scaled_dot_product_attention(q, k, v, mask)
        weights = F.dropout(weights, 0.5, self.training)
        return finish(self, weights @ v, weights)


class NoOutputBias(Reference):
    def __init__(self, d_model, heads, d_k=None, d_v=None, bias=True):
        super().__init__(d_model, heads, d_k, d_v, bias)
        self.output_projection = nn.Linear(heads * self.d_v, d_model, bias=False)


class SharedKeysAndQueries(Reference):
    def __init__(self, d_model, heads, d_k=None, d_v=None, bias=True):
        super().__init__(d_model, heads, d_k, d_v, bias)
        self.key_projection = self.query_projection


class PlainList(nn.Module):
    """Layers in a plain list are no parameters of the module."""

    def __init__(self, d_model, heads, d_k=None, d_v=None, bias=True):
        super().__init__()
        d_k, d_v = d_k or d_model // heads, d_v or d_model // heads
        self.layers = [nn.Linear(d_model, heads * d, bias=bias) for d in (d_k, d_k, d_v)]
        self.last = nn.Linear(heads * d_v, d_model, bias=bias)
        self.heads = heads

    def forward(self, query, key, value, mask=None):
        q, k, v = (split_heads(p(x), self.heads) for p, x in zip(self.layers, (query, key, value), strict=True))
        output, weights = scaled_dot_product_attention(q, k, v, mask)
        return self.last(join_heads(output)), weights


class ReadyMade(nn.Module):
    def __init__(self, d_model, heads, d_k=None, d_v=None, bias=True):
        super().__init__()
        self.inner = nn.MultiheadAttention(d_model, heads, bias=bias, batch_first=True)

    def forward(self, query, key, value, mask=None):
        return self.inner(query, key, value, average_attn_weights=False)


class NoMask(Reference):
    def forward(self, query, key, value):
        return super().forward(query, key, value)


class NoWidths(nn.Module):
    def __init__(self, d_model, heads, bias=True):
        super().__init__()


WRONG_4_4 = {
    "−10⁴ for −∞": (weighing(lambda s, mask: masked(s, mask, -1e4).softmax(-1)), None),
    "masked after the softmax": (weighing(lambda s, m: s.softmax(-1) if m is None else s.softmax(-1) * m), None),
    "softmax over queries": (weighing(lambda s, mask: masked(s, mask, -1e9).softmax(-2)), None),
    "softmax over heads": (weighing(lambda s, mask: masked(s, mask, -1e9).softmax(1)), None),
    "no softmax": (weighing(lambda s, mask: masked(s, mask, 0.0)), None),
    "scaled twice": (weighing(lambda s, mask: masked(s / 2, mask, -1e9).softmax(-1)), None),
    "first sentence's mask for all": (before(first_mask_only), None),
    "first head's mask for all": (before(one_mask_for_all_heads), None),
    "mask transposed": (before(mask_turned), None),
    "always causal": (before(always_causal), None),
    "key and value exchanged": (before(lambda q, k, v, mask: (q, v, k, mask)), None),
    "weights before the mask": (like_reference(weights_before_mask), None),
    "order": (after(lambda self, result: result[::-1]), "wrong order"),
    "changes query": (like_reference(changes_query), "`query`"),
    "changes mask": (like_reference(changes_mask), "`mask`"),
    "masks in training mode only": (like_reference(evaluation_unmasked), None),
    "keys through the queries' layer": (like_reference(queries_as_keys), None),
    "output projected twice": (like_reference(output_projected_twice), None),
    "dropout inside": (DropoutInside, "training mode"),
    "no bias in the output": (NoOutputBias, "parameters"),
    "keys and queries share a layer": (SharedKeysAndQueries, "parameters"),
    "layers in a plain list": (PlainList, "parameters"),
    "ready-made": (ReadyMade, "by itself"),
    "no mask parameter": (NoMask, "mask=None"),
    "no widths": (NoWidths, "d_k=None"),
    "float64": (after(lambda self, result: tuple(part.double() for part in result)), "float64"),
    "detached": (after(lambda self, result: (result[0].detach(), result[1])), None),
    "ReLU at the end": (after(lambda self, result: (result[0].relu(), result[1])), None),
    "three results": (after(lambda self, result: (*result, None)), "tuple of 2"),
    "no weights": (after(lambda self, result: (result[0], None)), None),
    "not built": (Reference(4, 2), "class itself"),
    "not a module": (lambda d_model, heads, d_k=None, d_v=None, bias=True: None, "nn.Module"),
}


# Right ones ───────────────────────────────────────────────────────────────────────────────────────────────────────


def attend(self, q, k, v, mask):
    scores = torch.einsum("bhtd,bhsd->bhts", q, k) / q.size(-1) ** 0.5
    if mask is not None:
        empty = ~mask.any(-1, keepdim=True)
        weights = scores.masked_fill(~mask, -1e30).softmax(-1).masked_fill(empty, 0.0)
    else:
        weights = scores.softmax(-1)
    return weights


class OtherNames(nn.Module):
    def __init__(self, d_model, heads, d_k=None, d_v=None, bias=True, dropout=0.0):
        super().__init__()
        self.h, width, value_width = heads, d_k or d_model // heads, d_v or d_model // heads
        self.w_o = nn.Linear(heads * value_width, d_model, bias=bias)
        self.w_v = nn.Linear(d_model, heads * value_width, bias=bias)
        self.w_k = nn.Linear(d_model, heads * width, bias=bias)
        self.w_q = nn.Linear(d_model, heads * width, bias=bias)

    def forward(self, query, key, value, mask=None):
        q, k, v = (p(x).view(len(x), x.size(1), self.h, -1).permute(0, 2, 1, 3)
                   for p, x in ((self.w_q, query), (self.w_k, key), (self.w_v, value)))  # fmt: skip
        weights = attend(self, q, k, v, mask)
        return self.w_o((weights @ v).transpose(1, 2).reshape(*query.shape[:2], -1)), weights


class OneMatrix(nn.Module):
    """Q, K and V from one projection."""

    def __init__(self, d_model, heads, d_k=None, d_v=None, bias=True):
        super().__init__()
        self.heads, d_k, d_v = heads, d_k or d_model // heads, d_v or d_model // heads
        self.widths = [heads * d_k, heads * d_k, heads * d_v]
        self.qkv = nn.Linear(d_model, sum(self.widths), bias=bias)
        self.out = nn.Linear(heads * d_v, d_model, bias=bias)

    def forward(self, query, key, value, mask=None):
        inputs = zip((query, key, value), range(3), strict=True)
        q, k, v = (split_heads(self.qkv(x).split(self.widths, -1)[i], self.heads) for x, i in inputs)
        weights = attend(self, q, k, v, mask)
        return self.out(join_heads(weights @ v)), weights


class TwoMatrices(OneMatrix):
    """Keys and values from one projection."""

    def __init__(self, d_model, heads, d_k=None, d_v=None, bias=True):
        super().__init__(d_model, heads, d_k, d_v, bias)
        out = self.out
        del self.qkv, self.out
        self.q = nn.Linear(d_model, self.widths[0], bias=bias)
        self.kv = nn.Linear(d_model, sum(self.widths[1:]), bias=bias)
        self.out = out

    def forward(self, query, key, value, mask=None):
        k, _ = self.kv(key).split(self.widths[1:], -1)
        _, v = self.kv(value).split(self.widths[1:], -1)
        q, k, v = (split_heads(part, self.heads) for part in (self.q(query), k, v))
        weights = attend(self, q, k, v, mask)
        return self.out(join_heads(weights @ v)), weights


class ListOfLayers(nn.Module):
    """Three lists with a small layer for each head."""

    def __init__(self, d_model, heads, d_k=None, d_v=None, bias=True):
        super().__init__()
        d_k, d_v = d_k or d_model // heads, d_v or d_model // heads
        self.queries = nn.ModuleList([nn.Linear(d_model, d_k, bias=bias) for _ in range(heads)])
        self.keys = nn.ModuleList([nn.Linear(d_model, d_k, bias=bias) for _ in range(heads)])
        self.values = nn.ModuleList([nn.Linear(d_model, d_v, bias=bias) for _ in range(heads)])
        self.mix = nn.Linear(heads * d_v, d_model, bias=bias)

    def forward(self, query, key, value, mask=None):
        q, k, v = (torch.stack([layer(x) for layer in layers], 1)
                   for layers, x in ((self.queries, query), (self.keys, key), (self.values, value)))  # fmt: skip
        weights = attend(self, q, k, v, mask)
        return self.mix(torch.cat((weights @ v).unbind(1), -1)), weights


class Head(nn.Module):
    def __init__(self, d_model, d_k, d_v, bias):
        super().__init__()
        self.q, self.k = nn.Linear(d_model, d_k, bias=bias), nn.Linear(d_model, d_k, bias=bias)
        self.v = nn.Linear(d_model, d_v, bias=bias)

    def forward(self, query, key, value, mask):
        return scaled_dot_product_attention(self.q(query), self.k(key), self.v(value), mask)


class HeadByHead(nn.Module):
    """A list of whole heads, as the paper's formula reads."""

    def __init__(self, d_model, heads, d_k=None, d_v=None, bias=True):
        super().__init__()
        d_k, d_v = d_k or d_model // heads, d_v or d_model // heads
        self.parts = nn.ModuleList([Head(d_model, d_k, d_v, bias) for _ in range(heads)])
        self.o = nn.Linear(heads * d_v, d_model, bias=bias)

    def forward(self, query, key, value, mask=None):
        masks = [None if mask is None else mask[:, min(i, mask.size(1) - 1)] for i in range(len(self.parts))]
        found = [part(query, key, value, own) for part, own in zip(self.parts, masks, strict=True)]
        return self.o(torch.cat([output for output, _ in found], -1)), torch.stack([w for _, w in found], 1)


class PlainMatrices(nn.Module):
    """Parameters in place of layers, the matrices as in the paper: x W."""

    def __init__(self, d_model, heads, d_k=None, d_v=None, bias=True):
        super().__init__()
        self.heads, d_k, d_v = heads, d_k or d_model // heads, d_v or d_model // heads
        widths = [(d_model, heads * d_k), (d_model, heads * d_k), (d_model, heads * d_v), (heads * d_v, d_model)]
        self.matrices = nn.ParameterList([torch.empty(*shape) for shape in widths])
        self.biases = nn.ParameterList([torch.zeros(shape[1]) for shape in widths] if bias else [])

    def project(self, x, i):
        return x @ self.matrices[i] + (self.biases[i] if len(self.biases) else 0)

    def forward(self, query, key, value, mask=None):
        q, k, v = (split_heads(self.project(x, i), self.heads) for i, x in enumerate((query, key, value)))
        weights = attend(self, q, k, v, mask)
        return self.project(join_heads(weights @ v), 3), weights


class FloatsInside(Reference):
    """float64 inside."""

    def project(self, layer, x):
        return F.linear(x.double(), layer.weight.double(), None if layer.bias is None else layer.bias.double())

    def forward(self, query, key, value, mask=None):
        layers = self.query_projection, self.key_projection, self.value_projection
        inputs = zip(layers, (query, key, value), strict=True)
        q, k, v = (split_heads(self.project(layer, x), self.heads) for layer, x in inputs)
        output, weights = scaled_dot_product_attention(q, k, v, mask)
        return self.project(self.output_projection, join_heads(output)).to(query.dtype), weights.to(query.dtype)


class Subclassed(Reference):
    def __init__(self, d_model, heads, d_k=None, d_v=None, bias=True, dropout=0.1, note=""):
        super().__init__(d_model, heads, d_k, d_v, bias)
        self.note = note


RIGHT_4_4 = {
    "other names, other order": OtherNames,
    "one matrix for all three": OneMatrix,
    "one matrix for keys and values": TwoMatrices,
    "lists of small layers": ListOfLayers,
    "head by head": HeadByHead,
    "plain matrices": PlainMatrices,
    "subclassed": Subclassed,
    "a function that builds it": lambda *sizes, **options: Subclassed(*sizes, **options),
    "float64 inside": FloatsInside,
}

WRONG = {"4.4": WRONG_4_4}
RIGHT = {"4.4": RIGHT_4_4}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)


@pytest.mark.parametrize("layout", [OtherNames, OneMatrix, TwoMatrices, ListOfLayers, HeadByHead])
def test_a_mistake_in_another_layout_is_found(layout):
    class Wrong(layout):
        def forward(self, query, key, value, mask=None):
            return super().forward(query, key, key, mask)

    report = examine(exercise("4.4"), Wrong, 3)
    assert not report.passed
