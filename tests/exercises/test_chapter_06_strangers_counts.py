"""Chapter 06, counts and masks: answers as strangers would hand them in, wrong and right,
which no misconception was written after. Each wrong answer comes with words that its report must hold, or None.
"""

import functools

import numpy as np
import torch
from torch import nn

from utils.exercises.chapter_06.references import family_mask, transformer_parameters


def changed(base, **methods):
    return type("Changed", (base,), methods)


# 6.6 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def counted(difference):
    def answer(vocab_size, layers, d_model, d_ff, bias=True):
        right = transformer_parameters(vocab_size, layers, d_model, d_ff, bias)
        return right + difference(vocab_size, layers, d_model, d_ff, bias)

    return answer


def eight_heads(vocab_size, layers, d_model, d_ff, bias=True):
    """Heads of d_model // 8, rounded down."""
    d_k = d_model // 8
    attention = 4 * d_model * 8 * d_k + bias * (3 * 8 * d_k + d_model)
    rest = 2 * d_model * d_ff + d_ff + d_model
    return vocab_size * d_model + layers * (3 * attention + 2 * rest + 10 * d_model)


def by_halves(vocab_size, layers, d_model, d_ff, bias=True):
    return transformer_parameters(vocab_size, layers, 2 * (d_model // 2), 2 * (d_ff // 2), bias)


WRONG_6_6 = {
    "eight heads, rounded": (eight_heads, None),
    "even widths only": (by_halves, None),
    "one bias for each attention": (counted(lambda v, n, d, f, b: -9 * n * d * b), None),
    "three biases": (counted(lambda v, n, d, f, b: -3 * n * d * b), "You count three biases for each attention"),
    "norms in the stacks": (
        counted(lambda v, n, d, f, b: 2 * 2 * d),
        "You count a layer norm at the end of each stack",
    ),
    "bias of the output and a norm": (counted(lambda v, n, d, f, b: v + 4 * d), None),
    "decoder without its own feed-forward": (counted(lambda v, n, d, f, b: -n * (2 * d * f + d + f)), None),
    "decoder's layers like the encoder's": (
        counted(lambda v, n, d, f, b: -n * (4 * d * d + 4 * b * d + 2 * d)),
        "You count decoder layers as if they were encoder layers",
    ),
    "layers shared between the sides": (
        lambda v, n, d, f, bias=True: transformer_parameters(v, n // 2, d, f, bias),
        None,
    ),
    "positions learnt": (counted(lambda v, n, d, f, b: 512 * d), None),
    "biases everywhere off": (lambda v, n, d, f, bias=True: v * d + n * (12 * d * d + 4 * d * f + 10 * d), None),
    "feed-forward of one bias": (
        counted(lambda v, n, d, f, b: -2 * n * d),
        "You count 2 · d_model too few for each encoder layer",
    ),
    "the other feed-forward bias": (
        counted(lambda v, n, d, f, b: -2 * n * f),
        "The inner bias of the feed-forward networks is missing:",
    ),
    "bias=False by default": (
        lambda v, n, d, f, bias=False: transformer_parameters(v, n, d, f, bias),
        "When nothing is said of `bias` you count none",
    ),
    "d_model and d_ff exchanged": (lambda v, n, d, f, bias=True: transformer_parameters(v, n, f, d, bias), None),
    "layers and vocabulary exchanged": (lambda v, n, d, f, bias=True: transformer_parameters(n, v, d, f, bias), None),
    "in float32": (
        lambda v, n, d, f, bias=True: torch.tensor(float(transformer_parameters(v, n, d, f, bias))).item() + 0.5,
        None,
    ),
    "a dictionary of parts": (
        lambda v, n, d, f, bias=True: {"total": transformer_parameters(v, n, d, f, bias)},
        "is a dict",
    ),
    "bytes": (lambda v, n, d, f, bias=True: 4 * transformer_parameters(v, n, d, f, bias), None),
    "one layer too many": (lambda v, n, d, f, bias=True: transformer_parameters(v, n + 1, d, f, bias), None),
    "no layers are one": (
        lambda v, n, d, f, bias=True: transformer_parameters(v, max(n, 1), d, f, bias),
        "there are no layers",
    ),
    "vocabulary without the special words": (
        lambda v, n, d, f, bias=True: transformer_parameters(v - 4, n, d, f, bias),
        None,
    ),
}


def by_modules(vocab_size, layers, d_model, d_ff, bias=True):
    with torch.device("meta"):
        one = nn.ModuleList(
            [nn.Linear(d_model, d_model, bias=bias) for _ in range(12)]
            + [nn.Linear(d_model, d_ff), nn.Linear(d_ff, d_model)] * 1
            + [nn.Linear(d_model, d_ff), nn.Linear(d_ff, d_model)]
            + [nn.LayerNorm(d_model) for _ in range(5)]
        )
        table = nn.Embedding(vocab_size, d_model)
    return table.weight.numel() + layers * sum(p.numel() for p in one.parameters())


@functools.cache
def cached(vocab_size, layers, d_model, d_ff, bias=True):
    return transformer_parameters(vocab_size, layers, d_model, d_ff, bias)


class Counter:
    @staticmethod
    def count(vocab_size, layers, d_model, d_ff, bias=True):
        return transformer_parameters(vocab_size, layers, d_model, d_ff, bias)


RIGHT_6_6 = {
    "by modules": by_modules,
    "cached": cached,
    "static": Counter.count,
    "by NumPy": lambda v, n, d, f, bias=True: np.int64(transformer_parameters(v, n, d, f, bias)),
    "any keywords": lambda vocab_size, layers, d_model, d_ff, bias=True, **more: transformer_parameters(
        vocab_size, layers, d_model, d_ff, bias
    ),
    "by a loop": lambda v, n, d, f, bias=True: (
        v * d
        + sum(
            4 * a * (d * d + (d if bias else 0)) + (2 * d * f + d + f) + 2 * d * (a + 1)
            for _ in range(n)
            for a in (1, 2)
        )
    ),
}


# 6.7 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def square(change):
    return lambda family, source_len, target_len: change(
        family_mask(family, source_len, target_len).clone(), family, source_len, target_len
    )


def source_one_too_long(family, source_len, target_len):
    mask = family_mask(family, source_len, target_len)
    if family == "encoder-decoder":
        mask[: source_len + 1, : source_len + 1] = True
    return mask


def source_one_too_short(family, source_len, target_len):
    mask = family_mask("decoder-only" if family == "encoder-decoder" else family, source_len, target_len)
    if family == "encoder-decoder" and source_len:
        mask[: source_len - 1, : source_len - 1] = True
    return mask


def strict_target(family, source_len, target_len):
    mask = family_mask(family, source_len, target_len)
    if family == "encoder-decoder":
        mask[source_len:, source_len:] = torch.ones(target_len, target_len, dtype=torch.bool).tril(-1)
    return mask


def sized_by_source(family, source_len, target_len):
    mask = torch.ones(2 * source_len, 2 * source_len, dtype=torch.bool)
    return mask if family == "encoder-only" else mask.tril()


def encoder_sees_source_only(family, source_len, target_len):
    mask = family_mask(family, source_len, target_len)
    if family == "encoder-only":
        mask[:source_len, source_len:] = False
    return mask


def encoder_without_target(family, source_len, target_len):
    return family_mask(family, source_len, 0 if family == "encoder-only" else target_len)


def decoder_without_source(family, source_len, target_len):
    return family_mask(family, 0 if family == "decoder-only" else source_len, target_len)


def lengths_by_heart(family, source_len, target_len):
    mask = family_mask("decoder-only" if family == "encoder-decoder" else family, source_len, target_len)
    if family == "encoder-decoder":
        mask[:3, :3] = True
    return mask


def by_underscore(family, source_len, target_len):
    return family_mask({"encoder_decoder": "encoder-decoder"}.get(family, "encoder-only"), source_len, target_len)


def always_cached(family, source_len, target_len, kept={}):  # noqa: B006
    return kept.setdefault((family, source_len + target_len), family_mask(family, source_len, target_len))


WRONG_6_7 = {
    "source one too long": (source_one_too_long, None),
    "source one too short": (source_one_too_short, None),
    "target does not see itself": (strict_target, None),
    "sized by the source": (sized_by_source, None),
    "encoder-only with blocks": (encoder_sees_source_only, None),
    "encoder-only without the target": (encoder_without_target, "shape"),
    "decoder-only without the source": (decoder_without_source, "shape"),
    "three by heart": (lengths_by_heart, None),
    "other names": (by_underscore, None),
    "kept by the whole length": (always_cached, "there is no target"),
    "upper triangle": (
        square(lambda m, family, s, t: m if family == "encoder-only" else m.mT.clone()),
        "Your mask is transposed: rows are queries, columns are",
    ),
    "ones": (square(lambda m, *rest: m.long()), "bool"),
    "minus infinity": (square(lambda m, *rest: torch.where(m, 0.0, -torch.inf)), "bool"),
    "padding hidden": (square(lambda m, family, s, t: m & (torch.arange(s + t) > 0)), None),
    "a row too many": (square(lambda m, *rest: torch.cat([m, m[-1:]])), "shape"),
    "NumPy": (square(lambda m, *rest: m.numpy()), "Tensor"),
    "window of three": (square(lambda m, family, s, t: m.triu(-2) if family == "decoder-only" else m), None),
    "target blind to the source's end": (
        square(
            lambda m, family, s, t: (
                m & ~(torch.arange(s + t) == s - 1) | torch.eye(s + t, dtype=torch.bool)
                if family == "encoder-decoder" and s
                else m
            )
        ),
        None,
    ),
    "three masks": (
        lambda family, s, t: (torch.ones(s, s).bool(), torch.ones(t, t).tril().bool(), torch.ones(t, s).bool()),
        "tuple",
    ),
    "counts": (square(lambda m, *rest: m.sum(1)), "shape"),
    "empty source refused": (lambda family, s, t: family_mask(family, s, t) if s and t else None, None),
}


def by_numpy_6_7(family, source_len, target_len):
    n = source_len + target_len
    mask = np.ones((n, n), dtype=bool) if family == "encoder-only" else np.tri(n, dtype=bool)
    if family == "encoder-decoder":
        mask[:source_len, :source_len] = True
    return torch.from_numpy(mask)


def by_match(family, source_len, target_len):
    n = source_len + target_len
    match family:
        case "encoder-only":
            return torch.full((n, n), True)
        case "decoder-only":
            return ~torch.full((n, n), 1.0).triu(1).bool()
        case "encoder-decoder":
            place = torch.arange(n)
            return place.clamp(min=source_len - 1)[:, None] >= place
    raise ValueError(family)


@functools.cache
def cached_mask(family, source_len, target_len):
    return family_mask(family, source_len, target_len)


RIGHT_6_7 = {
    "NumPy inside": by_numpy_6_7,
    "match": by_match,
    "cached": cached_mask,
    "expanded": lambda family, s, t: (
        family_mask(family, s, t) if family != "encoder-only" else torch.tensor(True).expand(s + t, s + t)
    ),
    "turned": lambda family, s, t: family_mask(family, s, t).mT.contiguous().mT,
    "product of masks": lambda family, source_len, target_len, device="cpu": (
        family_mask(family, source_len, target_len).to(device) * True
    ),
}


WRONG = {"6.6": WRONG_6_6, "6.7": WRONG_6_7}
RIGHT = {"6.6": RIGHT_6_6, "6.7": RIGHT_6_7}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
