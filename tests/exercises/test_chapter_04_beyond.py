"""Chapter 04, counting, PyTorch's masks and shared heads, from outside: plausible wrong answers that no misconception
was written for, and unusual right ones.

Each wrong answer comes with words that its explanation must contain, or None where a plain "not the expected numbers"
is all that is asked of the check.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

from utils.transformer.attention import MultiHeadAttention, scaled_dot_product_attention

# 4.5 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def counts(t, s, d, h, k, v, bias=True):
    return h * (2 * k + v) * (d + bias) + (h * v + bias) * d, d * h * (t + s) * (k + v) + h * t * s * (k + v)


def with_parameters(count):
    return lambda t, s, d, h, k, v, bias=True: (count(t, s, d, h, k, v, bias), counts(t, s, d, h, k, v, bias)[1])


def with_multiplications(count):
    return lambda t, s, d, h, k, v, bias=True: (counts(t, s, d, h, k, v, bias)[0], count(t, s, d, h, k, v))


WRONG_4_5 = {
    "parameters alone": (lambda *sizes, **named: counts(*sizes, **named)[0], "tuple of 2"),
    "as a tensor": (lambda *sizes, **named: torch.tensor(counts(*sizes, **named)), "tuple of 2"),
    "as floats": (lambda *sizes, **named: tuple(f"{number:.3g}" for number in counts(*sizes, **named)), None),
    "in thousands": (lambda *sizes, **named: (counts(*sizes, **named)[0] // 1000, counts(*sizes, **named)[1]), None),
    "d_v taken for d_k": (lambda t, s, d, h, k, v, bias=True: counts(t, s, d, h, k, k, bias), "d_v is not d_k"),
    "d_model / heads": (lambda t, s, d, h, k, v, bias=True: counts(t, s, d, h, d // h, d // h, bias), None),
    "one length": (lambda t, s, d, h, k, v, bias=True: counts(t, t, d, h, k, v, bias), "more keys than queries"),
    "the other length": (lambda t, s, d, h, k, v, bias=True: counts(s, s, d, h, k, v, bias), "more keys than queries"),
    "lengths exchanged, output alone": (
        with_multiplications(lambda t, s, d, h, k, v: d * h * (t * k + s * k + 2 * s * v) + h * t * s * (k + v)),
        "one output for each query",
    ),
    "biases of the model's width": (
        with_parameters(lambda t, s, d, h, k, v, bias: counts(t, s, d, h, k, v, False)[0] + bias * 4 * d),
        None,
    ),
    "output bias of the heads' width": (
        with_parameters(lambda t, s, d, h, k, v, bias: h * (2 * k + v) * (d + bias) + h * v * (d + bias)),
        None,
    ),
    "one head": (lambda t, s, d, h, k, v, bias=True: counts(t, s, d, 1, k, v, bias), None),
    "scores of full width": (
        with_multiplications(lambda t, s, d, h, k, v: d * h * (t + s) * (k + v) + h * t * s * 2 * d),
        None,
    ),
    "scale and softmax counted": (
        with_multiplications(lambda t, s, d, h, k, v: counts(t, s, d, h, k, v)[1] + h * t * s),
        None,
    ),
    "biases counted as multiplications": (
        with_multiplications(lambda t, s, d, h, k, v: counts(t, s, d, h, k, v)[1] + h * (t * k + s * k + s * v)),
        None,
    ),
    "no bias parameter": (lambda t, s, d, h, k, v: counts(t, s, d, h, k, v), "bias"),
    "base model by heart": (lambda *sizes, **named: (1_050_624, 21_381_120), None),
    "prints": (lambda *sizes, **named: print(counts(*sizes, **named)), "return"),
    "unwritten": (lambda *sizes, **named: (_ for _ in ()).throw(NotImplementedError("Exercise 4.5")), "Not written"),
}  # fmt: skip


def counted_on_the_module(target_len, source_len, d_model, heads, d_k, d_v, bias=True):
    module = MultiHeadAttention(d_model, heads, d_k, d_v, bias)
    parameters = sum(parameter.numel() for parameter in module.parameters())
    layers = (module.query_projection, target_len), (module.key_projection, source_len)
    layers += (module.value_projection, source_len), (module.output_projection, target_len)
    products = sum(layer.weight.numel() * length for layer, length in layers)
    return parameters, products + heads * target_len * source_len * (d_k + d_v)


def head_by_head(t, s, d, h, k, v, bias=True):
    parameters = multiplications = 0
    for _ in range(h):
        parameters += 2 * (d * k + k * bias) + d * v + v * bias + v * d
        multiplications += t * d * k + s * d * k + s * d * v + t * k * s + t * s * v + t * v * d
    return parameters + d * bias, multiplications


RIGHT_4_5 = {
    "on the module": counted_on_the_module,
    "head by head": head_by_head,
    "list": lambda *sizes, **named: list(counts(*sizes, **named)),
    "tensors": lambda *sizes, **named: tuple(torch.tensor(number) for number in counts(*sizes, **named)),
    "floats without a fraction": lambda *sizes, **named: tuple(map(float, counts(*sizes, **named))),
    "if for bias": lambda t, s, d, h, k, v, bias=True: (
        (2 * d * h * (k + v) + h * (2 * k + v) + d) if bias else 2 * d * h * (k + v), counts(t, s, d, h, k, v)[1]
    ),
    "extra keyword": lambda t, s, d, h, k, v, bias=True, batch=1: (
        counts(t, s, d, h, k, v, bias)[0], batch * counts(t, s, d, h, k, v, bias)[1]
    ),
}  # fmt: skip


# 4.6 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def right_mask(mask, batch, heads, target_len):
    return (~mask).expand(batch, heads, target_len, -1).flatten(0, 1)


def in_place(mask, batch, heads, target_len):
    return mask.logical_not_().expand(batch, heads, target_len, -1).flatten(0, 1)


def first_sentence(mask, batch, heads, target_len):
    return right_mask(mask[:1].expand(batch, -1, -1, -1), batch, heads, target_len)


WRONG_4_6 = {
    "changes the mask": (in_place, "`mask`"),
    "first sentence's mask": (first_sentence, None),
    "first head's mask": (lambda mask, b, h, t: right_mask(mask[:, :1], b, h, t), "the heads' masks differ"),
    "turned over": (lambda mask, b, h, t: right_mask(mask, b, h, t).mT, None),
    "additive": (lambda mask, b, h, t: right_mask(mask, b, h, t).float() * -1e9, "bool"),
    "bytes": (lambda mask, b, h, t: right_mask(mask, b, h, t).byte(), "bool"),
    "for the kernel": (lambda mask, b, h, t: mask.expand(b, h, t, -1), "shape"),
    "key padding": (lambda mask, b, h, t: ~mask[:, 0, 0], "shape"),
    "two axes": (lambda mask, b, h, t: ~mask[0, 0], None),
    "causal too": (
        lambda mask, b, h, t: right_mask(mask & torch.ones(t, mask.size(-1), dtype=torch.bool).tril(), b, h, t),
        None,
    ),
    "nothing blocked": (lambda mask, b, h, t: torch.zeros(b * h, t, mask.size(-1), dtype=torch.bool), "`mask`"),
    "all blocked": (lambda mask, b, h, t: torch.ones(b * h, t, mask.size(-1), dtype=torch.bool), "`mask`"),
    "two heads in mind": (lambda mask, b, h, t: (~mask).expand(b, 2, t, -1).flatten(0, 1), None),
    "heads and queries merged": (lambda mask, b, h, t: (~mask).expand(b, h, t, -1).flatten(1, 2), "shape"),
    "list": (lambda mask, b, h, t: list(right_mask(mask, b, h, t)), "Tensor"),
    "dictionary": (lambda mask, b, h, t: {"attn_mask": right_mask(mask, b, h, t)}, "dict"),
    "reshaped": (lambda mask, b, h, t: (~mask).expand(b, h, t, -1).permute(2, 0, 1, 3).reshape(b * h, t, -1), None),
    "minus sign": (lambda mask, b, h, t: (-mask).expand(b, h, t, -1).flatten(0, 1), None),
    "source length forgotten": (lambda mask, b, h, t: (~mask).expand(b, h, t, t).flatten(0, 1), None),
    "no return": (lambda mask, b, h, t: None, "return"),
}


def by_loop(mask, batch, heads, target_len):
    full = mask.expand(batch, heads, target_len, mask.size(-1))
    return torch.stack([full[i, j].logical_not() for i in range(batch) for j in range(heads)])


RIGHT_4_6 = {
    "loop": by_loop,
    "compared": lambda mask, b, h, t: (mask == 0).expand(b, h, t, mask.size(-1)).reshape(b * h, t, -1),
    "repeat_interleave": lambda mask, b, h, t: (
        (~mask).expand(b, mask.size(1), t, -1).repeat_interleave(h // mask.size(1), 1).flatten(0, 1)
    ),
    "broadcast with ones": lambda mask, b, h, t: (
        torch.ones(b, h, t, 1, dtype=torch.bool).logical_xor(mask).view(b * h, t, -1)
    ),
    "where": lambda mask, b, h, t: torch.where(mask, False, True).broadcast_to(b, h, t, mask.size(-1)).flatten(0, 1),
    "extra keyword": lambda mask, b, h, t, dtype=torch.bool: right_mask(mask, b, h, t).to(dtype),
}


def test_pytorch_takes_the_mask():
    torch.manual_seed(1)
    theirs = nn.MultiheadAttention(8, 2, batch_first=True)
    x, mask = torch.randn(3, 4, 8), (torch.arange(4) < torch.tensor([4, 2, 3])[:, None])[:, None, None]
    one = theirs(x, x, x, attn_mask=right_mask(mask, 3, 2, 4))[0]
    assert torch.allclose(one, theirs(x, x, x, key_padding_mask=~mask[:, 0, 0])[0], atol=1e-6)


# 4.7 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def shared(query, key, value, mask=None):
    times = query.size(1) // key.size(1)
    return scaled_dot_product_attention(query, key.repeat_interleave(times, 1), value.repeat_interleave(times, 1), mask)


def values_in_turn(query, key, value, mask=None):
    times = query.size(1) // key.size(1)
    return scaled_dot_product_attention(query, key.repeat_interleave(times, 1), value.repeat(1, times, 1, 1), mask)


def two_in_mind(query, key, value, mask=None):
    if query.size(1) == key.size(1):
        return scaled_dot_product_attention(query, key, value, mask)
    return scaled_dot_product_attention(query, key.repeat_interleave(2, 1), value.repeat_interleave(2, 1), mask)


def last_group(query, key, value, mask=None):
    times = query.size(1)
    return scaled_dot_product_attention(query, *(x[:, -1:].expand(-1, times, -1, -1) for x in (key, value)), mask)


def unscaled(query, key, value, mask=None):
    return shared(query * math.sqrt(query.size(-1)), key, value, mask)


def in_place(query, key, value, mask=None):
    query.div_(1.5)
    return shared(query * 1.5, key, value, mask)


def loses_rows(query, key, value, mask=None):
    times = query.size(1) // key.size(1)
    scores = query @ key.repeat_interleave(times, 1).mT / math.sqrt(query.size(-1))
    weights = (scores if mask is None else scores.masked_fill(~mask, -math.inf)).softmax(-1)
    return weights @ value.repeat_interleave(times, 1), weights


def per_group_softmax(query, key, value, mask=None):
    output, weights = shared(query, key, value, mask)
    return output, weights.unflatten(1, (key.size(1), -1)).mean(2)


def heads_joined(query, key, value, mask=None):
    output, weights = shared(query, key, value, mask)
    return output.transpose(1, 2).flatten(-2), weights


def left_in_groups(query, key, value, mask=None):
    return tuple(part.unflatten(1, (key.size(1), -1)) for part in shared(query, key, value, mask))


def kernel(query, key, value, mask=None):
    return F.scaled_dot_product_attention(query, key, value, mask, enable_gqa=True), None


def first_mask(query, key, value, mask=None):
    return shared(query, key, value, mask[:, :1] if mask is not None and mask.dim() > 2 else mask)


WRONG_4_7 = {
    "values in turn": (values_in_turn, None),
    "two heads a group in mind": (two_in_mind, None),
    "last group for all": (last_group, None),
    "unscaled": (unscaled, None),
    "changes query": (in_place, "`query`"),
    "NaN for empty rows": (loses_rows, "NaN"),
    "a map for each group": (per_group_softmax, "shape"),
    "output alone": (lambda q, k, v, mask=None: shared(q, k, v, mask)[0], "tuple of 2"),
    "order": (lambda q, k, v, mask=None: shared(q, k, v, mask)[::-1], "wrong order"),
    "mask inverted": (lambda q, k, v, mask=None: shared(q, k, v, None if mask is None else ~mask), None),
    "no mask parameter": (lambda q, k, v: shared(q, k, v), "mask=None"),
    "heads joined": (heads_joined, "shape"),
    "groups of five axes": (left_in_groups, "shape"),
    "queries reversed": (lambda q, k, v, mask=None: shared(q.flip(1), k, v, mask), None),
    "groups reversed": (lambda q, k, v, mask=None: shared(q, k.flip(1), v.flip(1), mask), None),
    "float64": (lambda q, k, v, mask=None: tuple(x.double() for x in shared(q, k, v, mask)), "float64"),
    "detached": (lambda q, k, v, mask=None: shared(q, k.detach(), v, mask), "`key`"),
    "kernel": (kernel, "by itself"),
    "one mask for all heads": (first_mask, "heads' masks differ"),
    "no return": (lambda q, k, v, mask=None: None, "return"),
}  # fmt: skip


def five_axes(query, key, value, mask=None):
    grouped = query.unflatten(1, (key.size(1), -1))  # (batch, groups, sharing, target_len, d_k)
    if mask is not None:
        wide = mask.expand(query.size(0), query.size(1), query.size(2), key.size(2))
        mask = wide.unflatten(1, (key.size(1), -1))
    output, weights = scaled_dot_product_attention(grouped, key[:, :, None], value[:, :, None], mask)
    return output.flatten(1, 2), weights.flatten(1, 2)


def one_head_at_a_time(query, key, value, mask=None):
    heads, groups, found = query.size(1), key.size(1), []
    full = None if mask is None else mask.expand(query.size(0), heads, query.size(2), key.size(2))
    for head in range(heads):
        group = head * groups // heads
        own = None if full is None else full[:, head]
        found.append(scaled_dot_product_attention(query[:, head], key[:, group], value[:, group], own))
    return torch.stack([output for output, _ in found], 1), torch.stack([weights for _, weights in found], 1)


def by_index(query, key, value, mask=None):
    group = torch.arange(query.size(1)) // (query.size(1) // key.size(1))
    return scaled_dot_product_attention(query, key[:, group], value[:, group], mask)


RIGHT_4_7 = {
    "five axes": five_axes,
    "one head at a time": one_head_at_a_time,
    "by index": by_index,
    "expanded": lambda q, k, v, mask=None: scaled_dot_product_attention(
        q, *(x[:, :, None].expand(-1, -1, q.size(1) // k.size(1), -1, -1).flatten(1, 2) for x in (k, v)), mask
    ),
    "float64 inside": lambda q, k, v, mask=None: tuple(
        x.to(q.dtype) for x in shared(q.double(), k.double(), v.double(), mask)
    ),
    "extra keyword": lambda q, k, v, mask=None, dropout=0.0: shared(q, k, v, mask),
}


WRONG = {"4.5": WRONG_4_5, "4.6": WRONG_4_6, "4.7": WRONG_4_7}
RIGHT = {"4.5": RIGHT_4_5, "4.6": RIGHT_4_6, "4.7": RIGHT_4_7}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
