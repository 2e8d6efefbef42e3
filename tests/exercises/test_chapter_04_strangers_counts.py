"""Chapter 04, what heads cost: more answers of strangers, wrong ones in ways that the cases might have overlooked and
right ones written otherwise.

Each wrong answer comes with words that its report must contain, or None where a plain "not the expected numbers" is all
that is asked of the check.
"""

import math

import numpy as np
import torch
from torch import nn

# 4.5 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def parameters(d, h, k, v, b):
    return h * (2 * k + v) * (d + b) + (h * v + b) * d


def multiplications(t, s, d, h, k, v):
    return d * h * (t + s) * (k + v) + h * t * s * (k + v)


def counts(t, s, d, h, k, v, bias=True):
    return parameters(d, h, k, v, bias), multiplications(t, s, d, h, k, v)


def with_sizes(change):
    """Right for other sizes."""
    return lambda t, s, d, h, k, v, bias=True: counts(*change(t, s, d, h, k, v, bias))


def first(count):
    """Other parameters."""
    return lambda t, s, d, h, k, v, bias=True: (count(d, h, k, v, bias), multiplications(t, s, d, h, k, v))


def second(count):
    """Other multiplications."""
    return lambda t, s, d, h, k, v, bias=True: (parameters(d, h, k, v, bias), count(t, s, d, h, k, v))


def scores(t, s, h, k, v):
    return h * t * s * (k + v)


total = [0, 0]


def added_to(*sizes, **bias):
    """Goes on counting."""
    for i, number in enumerate(counts(*sizes, **bias)):
        total[i] += number
    return tuple(total)


def counted_on_pytorch(t, s, d, h, k, v, bias=True):
    module = nn.MultiheadAttention(d, h, bias=bias)
    return sum(p.numel() for p in module.parameters()), multiplications(t, s, d, h, k, v)


WRONG_4_5 = {
    "three biases of the model's width": (
        first(lambda d, h, k, v, b: 2 * d * h * (k + v) + 3 * d * b + h * v * b), None),
    "bias of one head": (first(lambda d, h, k, v, b: 2 * d * h * (k + v) + b * (2 * k + v + d)), None),
    "one bias each": (first(lambda d, h, k, v, b: 2 * d * h * (k + v) + 4 * b), None),
    "one bias in all": (first(lambda d, h, k, v, b: 2 * d * h * (k + v) + b), None),
    "bias of W^O alone": (first(lambda d, h, k, v, b: 2 * d * h * (k + v) + d * b), None),
    "bias of W^O of the heads' width": (
        first(lambda d, h, k, v, b: 2 * d * h * (k + v) + b * h * (2 * k + 2 * v)), None),
    "biases doubled": (first(lambda d, h, k, v, b: parameters(d, h, k, v, 2 * b)), None),
    "biases where bias is False": (first(lambda d, h, k, v, b: parameters(d, h, k, v, not b)), None),
    "W^O for each head": (first(lambda d, h, k, v, b: h * (2 * k + v) * (d + b) + h * (h * v + b) * d), None),
    "W^O of d_model²": (
        first(lambda d, h, k, v, b: h * (2 * k + v) * (d + b) + (d + b) * d), "heads · d_v is not d_model"),
    "W^O of one head's width": (first(lambda d, h, k, v, b: h * (2 * k + v) * (d + b) + (v + b) * d), "W^O"),
    "W^O of the keys' width": (first(lambda d, h, k, v, b: h * (2 * k + v) * (d + b) + (h * k + b) * d), "d_v is not"),
    "queries and keys share a layer": (first(lambda d, h, k, v, b: h * (k + v) * (d + b) + (h * v + b) * d), None),
    "two of the values' width": (
        first(lambda d, h, k, v, b: h * (k + 2 * v) * (d + b) + (h * v + b) * d), "d_v is not d_k"),
    "all of the values' width": (first(lambda d, h, k, v, b: h * 3 * v * (d + b) + (h * v + b) * d), "d_v is not d_k"),
    "layers without heads": (first(lambda d, h, k, v, b: (2 * k + v) * (d + b) + (v + b) * d), "those of one head"),
    "bias added once more": (first(lambda d, h, k, v, b: parameters(d, h, k, v, b) + 1), None),
    "one off": (first(lambda d, h, k, v, b: parameters(d, h, k, v, b) - 1), None),
    "PyTorch's module": (counted_on_pytorch, None),
    "d_k by d_model / heads": (with_sizes(lambda t, s, d, h, k, v, b: (t, s, d, h, d // h, v, b)), None),
    "d_v by d_model / heads": (
        with_sizes(lambda t, s, d, h, k, v, b: (t, s, d, h, k, d // h, b)), "heads · d_v is not d_model"),
    "d_k and d_v exchanged": (with_sizes(lambda t, s, d, h, k, v, b: (t, s, d, h, v, k, b)), None),
    "lengths exchanged and one lost": (second(lambda t, s, d, h, k, v: multiplications(s, t, d, h, k, v) - t + s),
        "more keys than queries"),
    "keys' length twice": (with_sizes(lambda t, s, d, h, k, v, b: (s, s, d, h, k, v, b)), "more keys than queries"),
    "d_model by heads": (with_sizes(lambda t, s, d, h, k, v, b: (t, s, h * k, h, k, v, b)), None),
    "heads squared": (with_sizes(lambda t, s, d, h, k, v, b: (t, s, d, h * h, k, v, b)), None),
    "bias always": (with_sizes(lambda t, s, d, h, k, v, b: (t, s, d, h, k, v, True)), "even where `bias` is False"),
    "bias never": (with_sizes(lambda t, s, d, h, k, v, b: (t, s, d, h, k, v, False)), "biases out"),
    "bias None": (with_sizes(lambda t, s, d, h, k, v, b: (t, s, d, h, k, v, b is not None)), "even where"),
    "batch of heads": (second(lambda t, s, d, h, k, v: h * multiplications(t, s, d, h, k, v)), None),
    "one head's": (second(lambda t, s, d, h, k, v: multiplications(t, s, d, 1, k, v)), "one head"),
    "projections of one head": (
        second(lambda t, s, d, h, k, v: d * (t + s) * (k + v) + scores(t, s, h, k, v)), "one head"),
    "d_model wide scores": (
        second(lambda t, s, d, h, k, v: d * h * (t + s) * (k + v) + 2 * h * t * s * d), "d_model wide"),
    "scores of one head's width in all": (
        second(lambda t, s, d, h, k, v: d * h * (t + s) * (k + v) + t * s * (k + v)), "heads times"),
    "squares of the source": (
        second(lambda t, s, d, h, k, v: d * h * (t + s) * (k + v) + h * s * s * (k + v)), "more keys"),
    "no values' projection": (
        second(lambda t, s, d, h, k, v: multiplications(t, s, d, h, k, v) - d * h * s * v), None),
    "no queries' projection": (
        second(lambda t, s, d, h, k, v: multiplications(t, s, d, h, k, v) - d * h * t * k), None),
    "no scores": (second(lambda t, s, d, h, k, v: multiplications(t, s, d, h, k, v) - h * t * s * k), None),
    "the scores alone": (second(lambda t, s, d, h, k, v: scores(t, s, h, k, v)), None),
    "the projections alone": (second(lambda t, s, d, h, k, v: d * h * (t + s) * (k + v)), "end at the projections"),
    "softmax too": (second(lambda t, s, d, h, k, v: multiplications(t, s, d, h, k, v) + 2 * h * t * s), None),
    "scale too": (second(lambda t, s, d, h, k, v: multiplications(t, s, d, h, k, v) + t * h * k), None),
    "additions of products": (
        second(lambda t, s, d, h, k, v: 2 * multiplications(t, s, d, h, k, v) - t * s * h), None),
    "half, as if causal": (
        second(lambda t, s, d, h, k, v: d * h * (t + s) * (k + v) + scores(t, s, h, k, v) // 2), None),
    "parameters times length": (
        lambda t, s, d, h, k, v, bias=True: (parameters(d, h, k, v, bias), t * parameters(d, h, k, v, bias)), None),
    "goes on counting": (added_to, None),
    "rounded": (lambda *sizes, **bias: tuple(float(f"{n:.3e}") for n in counts(*sizes, **bias)), None),
    "float32": (lambda *sizes, **bias: tuple(np.float32(n) * (1 + 1e-5) for n in counts(*sizes, **bias)), None),
    "a dictionary": (lambda *sizes, **bias: dict(zip("pm", counts(*sizes, **bias), strict=True)), "dict"),
    "the sum": (lambda *sizes, **bias: sum(counts(*sizes, **bias)), "tuple of 2"),
    "in words": (lambda *sizes, **bias: tuple(f"{n:,}" for n in counts(*sizes, **bias)), None),
    "three numbers": (lambda *sizes, **bias: (*counts(*sizes, **bias), 0), "tuple of 2"),
    "bias by position only": (
        lambda target_len, source_len, d_model, heads, d_k, d_v, bias=True, /: counts(
            target_len, source_len, d_model, heads, d_k, d_v, bias), "bias"),
    "bias required": (lambda t, s, d, h, k, v, bias: counts(t, s, d, h, k, v, bias), "bias=True"),
    "bias is False": (lambda t, s, d, h, k, v, bias=False: counts(t, s, d, h, k, v, bias), None),
    "heads before d_model": (
        lambda target_len, source_len, heads, d_model, d_k, d_v, bias=True: counts(
            target_len, source_len, d_model, heads, d_k, d_v, bias), "in this order"),
}  # fmt: skip


def layer_by_layer(target_len, source_len, d_model, heads, d_k, d_v, bias=True):
    layers = [(d_model, heads * d_k, target_len), (d_model, heads * d_k, source_len),
              (d_model, heads * d_v, source_len), (heads * d_v, d_model, target_len)]  # fmt: skip
    learnt = done = 0
    for inputs, outputs, length in layers:
        learnt += outputs * (inputs + 1 if bias else inputs)
        done += length * inputs * outputs
    for _ in range(heads):
        done += target_len * d_k * source_len
        done += target_len * source_len * d_v
    return learnt, done


def on_empty_layers(t, s, d, h, k, v, bias=True):
    with torch.device("meta"):
        layers = [nn.Linear(d, h * width, bias) for width in (k, k, v)] + [nn.Linear(h * v, d, bias)]
    products = sum(layer.weight.numel() * n for layer, n in zip(layers, (t, s, s, t), strict=True))
    return sum(p.numel() for layer in layers for p in layer.parameters()), products + h * t * s * (k + v)


def product(*shapes):
    return math.prod(shapes)


RIGHT_4_5 = {
    "layer by layer": layer_by_layer,
    "on empty layers": on_empty_layers,
    "products": lambda t, s, d, h, k, v, bias=True: (
        2 * product(d, h, k) + 2 * product(d, h, v) + bool(bias) * (2 * h * k + h * v + d),
        sum(product(h, *of) for of in ((t, d, k), (s, d, k), (s, d, v), (t, v, d), (t, k, s), (t, s, v)))),
    "NumPy's numbers": lambda *sizes, **bias: tuple(np.int64(n) for n in counts(*sizes, **bias)),
    "an array's numbers": lambda *sizes, **bias: tuple(np.array(counts(*sizes, **bias))),
    "a tensor's numbers": lambda *sizes, **bias: tuple(torch.tensor(counts(*sizes, **bias))),
    "named tuple": lambda *sizes, **bias: torch.Size(counts(*sizes, **bias)),
    "bias as a number": lambda t, s, d, h, k, v, bias=1: counts(t, s, d, h, k, v, int(bias)),
    "an option more": lambda t, s, d, h, k, v, bias=True, *, batch=1: (
        parameters(d, h, k, v, bias), batch * multiplications(t, s, d, h, k, v)),
    "partial sums": lambda t, s, d, h, k, v, bias=True: (
        sum([h * k * (d + bias)] * 2 + [h * v * (d + bias), d * (h * v + bias)]),
        sum(h * (k + v) * n for n in (d * t, d * s, t * s))),
    "floor division of doubles": lambda *sizes, **bias: tuple(2 * n // 2 for n in counts(*sizes, **bias)),
}  # fmt: skip


WRONG = {"4.5": WRONG_4_5}
RIGHT = {"4.5": RIGHT_4_5}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
