"""What goes wrong with masks (chapter 03), and what puts it right."""

import math

import torch
from torch import Tensor

from utils.exercises.chapter_03.wrong_attention import root_of_width
from utils.exercises.declare import Misconception

# 3.3, the causal mask ─────────────────────────────────────────────────────────────────────────────────────────────


def ones(length: int, device=None) -> Tensor:
    """All True, bool (length, length)."""
    return torch.ones(length, length, dtype=torch.bool, device=device)


def additive_mask(length: int, device=None) -> Tensor:
    """The other convention: a number to add to the scores."""
    return torch.zeros(length, length, device=device).masked_fill(~ones(length, device).tril(), -math.inf)[None, None]


CAUSAL_MASK = (
    Misconception(
        "upper triangle",
        lambda length, device=None: ones(length, device).triu()[None, None],
        "Your mask lets each position look at itself and at what comes after it. Rows are queries: row i is True in "
        "columns 0 … i, the lower triangle.",
    ),
    Misconception(
        "True blocks",
        lambda length, device=None: ones(length, device).triu(1)[None, None],
        "Your mask is True where looking is forbidden. In this course, True = may be attended to. (The `attn_mask` of "
        "torch.nn.MultiheadAttention has the other sense, that of F.scaled_dot_product_attention has ours.)",
    ),
    Misconception(
        "diagonal excluded",
        lambda length, device=None: ones(length, device).tril(-1)[None, None],
        "Your mask keeps each position from looking at itself, so that the first may look at nothing. The diagonal "
        "belongs to what is allowed: the decoder's input is shifted right, so position i is the token before.",
    ),
    Misconception(
        "one step too far",
        lambda length, device=None: ones(length, device).tril(1)[None, None],
        "Your mask lets position i see position i + 1, the very token it has to predict.",
    ),
    Misconception(
        "everything allowed",
        lambda length, device=None: ones(length, device)[None, None],
        "Your mask is True everywhere: it hides nothing. `tril()` keeps the lower triangle.",
    ),
    Misconception(
        "no leading axes",
        lambda length, device=None: ones(length, device).tril(),
        "Your triangle is right. Every mask of the course has four axes, (batch, heads, query, key), so that a mask "
        "means the same everywhere: put two axes of size 1 in front, `[None, None]`.",
    ),
    Misconception(
        "one axis in front",
        lambda length, device=None: ones(length, device).tril()[None],
        "Your triangle is right, but `[None]` puts one axis in front of it. A mask has four, (batch, heads, query, "
        "key): `[None, None]`.",
    ),
    Misconception(
        "numbers to add",
        additive_mask,
        "Yours is a mask to add to the scores: 0 where allowed, −∞ where not. Asked for is True and False; −∞ comes in "
        "where attention uses the mask.",
    ),
    Misconception(
        "ones and zeros",
        lambda length, device=None: torch.ones(length, length, device=device).tril()[None, None],
        "Your triangle is right, but holds floating-point ones and zeros, which `~mask` and `masked_fill` refuse: "
        "make it with dtype=torch.bool.",
    ),
    Misconception(
        "device ignored",
        lambda length, device=None: ones(length).tril()[None, None],
        "Your mask is made on the CPU whatever `device` says: pass it on, torch.ones(…, device=device). On a GPU the "
        "next operation would stop with an error.",
    ),
)


# 3.4, attention with a mask ───────────────────────────────────────────────────────────────────────────────────────


def masked(weigh):
    """A wrong answer to 3.4 that uses the mask otherwise. `weigh` gets the scaled scores and the mask."""

    def answer(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        scores = query @ key.transpose(-2, -1) / root_of_width(query)
        weights = scores.softmax(dim=-1) if mask is None else weigh(scores, mask)
        return weights @ value, weights

    return answer


def zeroed_rows(weights: Tensor, mask: Tensor) -> Tensor:
    """Weights of queries that may attend to nothing set to zero: right, in answers that are wrong elsewhere."""
    return weights.masked_fill(~mask.any(dim=-1, keepdim=True), 0.0)


def hidden_by(number: float):
    """Scores that are not allowed replaced by a number."""
    return lambda scores, mask: scores.masked_fill(~mask, number).softmax(dim=-1)


def other_scale(scale):
    """Right in all but the scale."""

    def answer(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        scores = scale(query @ key.transpose(-2, -1), query)
        if mask is None:
            return scores.softmax(dim=-1) @ value, scores.softmax(dim=-1)
        nothing = ~mask.any(dim=-1, keepdim=True)
        scores = scores.masked_fill(~mask, -math.inf).masked_fill(nothing, 0.0)
        weights = scores.softmax(dim=-1).masked_fill(nothing, 0.0)
        return weights @ value, weights

    return answer


def nan_replaced_in_place(scores: Tensor, mask: Tensor) -> Tensor:
    weights = hidden_by(-math.inf)(scores, mask)
    weights[weights.isnan()] = 0.0
    return weights


def asks_the_mask(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    scores = query @ key.transpose(-2, -1) / root_of_width(query)
    if mask:
        scores = scores.masked_fill(~mask, -math.inf)
    weights = scores.softmax(dim=-1)
    return weights @ value, weights


def renormalised_with_epsilon(scores: Tensor, mask: Tensor) -> Tensor:
    weights = scores.softmax(dim=-1) * mask
    return weights / (weights.sum(dim=-1, keepdim=True) + 1e-9)


def exponentials_divided(scores: Tensor, mask: Tensor) -> Tensor:
    exponentials = scores.exp() * mask
    return exponentials / exponentials.sum(dim=-1, keepdim=True)


def exponentials_with_epsilon(scores: Tensor, mask: Tensor) -> Tensor:
    exponentials = scores.exp() * mask
    return exponentials / (exponentials.sum(dim=-1, keepdim=True) + 1e-9)


def zeros_hidden(scores: Tensor, mask: Tensor) -> Tensor:
    scores = scores * mask
    nothing = ~mask.any(dim=-1, keepdim=True)
    scores = scores.masked_fill(scores == 0, -math.inf).masked_fill(nothing, 0.0)
    return scores.softmax(dim=-1).masked_fill(nothing, 0.0)


def renormalised_late(scores: Tensor, mask: Tensor) -> Tensor:
    weights = scores.softmax(dim=-1) * mask
    return weights / weights.sum(dim=-1, keepdim=True)


MASKED_ATTENTION = (
    Misconception(
        "mask ignored",
        masked(lambda scores, mask: scores.softmax(dim=-1)),
        "Your result stays the same whatever the mask says: hidden keys are attended to.",
        everywhere=True,
    ),
    Misconception(
        "mask inverted",
        masked(lambda scores, mask: zeroed_rows(scores.masked_fill(mask, -1e9).softmax(dim=-1), ~mask)),
        "Your mask works the wrong way round: it hides what is True. True = may be attended to, so −∞ goes where the "
        "mask is False: `scores.masked_fill(~mask, -math.inf)`.",
    ),
    Misconception(
        "mask inverted, with NaN",
        masked(lambda scores, mask: scores.masked_fill(mask, -math.inf).softmax(dim=-1)),
        "Your mask works the wrong way round: it hides what is True, and a row that is all True becomes NaN. True = "
        "may be attended to: `scores.masked_fill(~mask, -math.inf)`.",
    ),
    Misconception(
        "NaN where all is masked",
        masked(hidden_by(-math.inf)),
        "Right, but for a query that may attend to nothing: there all scores are −∞, and the softmax of them is 0/0, "
        "NaN. Give such rows harmless scores before the softmax, and weights of zero after it.",
    ),
    Misconception(
        "NaN replaced in place",
        masked(nan_replaced_in_place),
        "The numbers are right, but `weights[…] = 0` changes a tensor that the softmax still needs for its gradient, "
        "so autograd stops. Make a new one: `weights = weights.masked_fill(nothing_to_see, 0.0)`.",
    ),
    Misconception(
        "the mask asked for its truth",
        asks_the_mask,
        "`if mask:` asks whether the whole tensor is true, which has no answer for more than one element. Whether a "
        "mask was given at all is asked with `if mask is not None:`.",
    ),
    Misconception(
        "−10⁴ for −∞",
        masked(hidden_by(-1e4)),
        "You write a finite number, such as −10⁴, where −∞ is meant. Scores below it lose against it, so that what is "
        "hidden is attended to; and a row in which all is hidden becomes an average over all that is hidden. −∞ is "
        "exact; then take care of rows in which all is hidden.",
    ),
    Misconception(
        "−10⁴ for −∞, empty rows zeroed",
        masked(lambda scores, mask: zeroed_rows(hidden_by(-1e4)(scores, mask), mask)),
        "You write a finite number, such as −10⁴, where −∞ is meant. Scores below it lose against it, so that what is "
        "hidden is attended to.",
    ),
    Misconception(
        "average where all is masked",
        masked(hidden_by(-1e9)),
        "Right, but for a query that may attend to nothing: there all scores are equally small, and the softmax shares "
        "its attention out evenly among all that is hidden. Its weights should be zero.",
    ),
    Misconception(
        "masked after the softmax",
        masked(lambda scores, mask: scores.softmax(dim=-1).masked_fill(~mask, 0.0)),
        "You set hidden weights to zero after the softmax: what is left no longer sums to one. Hide the scores, "
        "before it.",
    ),
    Misconception(
        "renormalised late",
        masked(renormalised_late),
        "You mask after the softmax and divide by the sum again. Where all of the softmax lies on hidden keys, or all "
        "is hidden, that is 0/0. Hide the scores before the softmax.",
        everywhere=True,
    ),
    Misconception(
        "renormalised late, with an epsilon",
        masked(renormalised_with_epsilon),
        "You mask after the softmax and divide by the sum of what is left. Where all of the softmax lies on hidden "
        "keys, nothing is left for those that are allowed. Hide the scores before the softmax.",
    ),
    Misconception(
        "exponential overflows",
        masked(exponentials_divided),
        "You divide exp(scores) · mask by its sum. exp of a score above 88 is infinite in float32, far below 0 it is "
        "0, and where all is hidden the sum is 0: ∞ · 0 and 0/0 are NaN. Hide the scores, then take `softmax`.",
        everywhere=True,
    ),
    Misconception(
        "exponential overflows, with an epsilon",
        masked(exponentials_with_epsilon),
        "You divide exp(scores) · mask by its sum. exp of a score above 88 is infinite in float32, and ∞ · 0 is NaN; "
        "far below 0 it is 0, and nothing is left to divide. Hide the scores, then take `softmax`.",
    ),
    Misconception(
        "scores of 0 hidden",
        masked(zeros_hidden),
        "You hide every score that is 0. A query at right angles to an allowed key has the score 0 too. Ask the mask, "
        "not the scores: `scores.masked_fill(~mask, -math.inf)`.",
    ),
    Misconception(
        "scores times mask",
        masked(lambda scores, mask: (scores * mask).softmax(dim=-1)),
        "Hidden keys get the score 0 from you, by a product with the mask or filled in. exp(0) is 1, not 0: they are "
        "still attended to. A hidden score is −∞.",
    ),
    Misconception(
        "mask added",
        masked(lambda scores, mask: (scores + mask).softmax(dim=-1)),
        "You add the mask to the scores: that gives allowed keys one point more and hides nothing. (Masks of 0 and −∞ "
        "are added; ours are True and False.)",
        everywhere=True,
    ),
    Misconception(
        "not scaled",
        other_scale(lambda scores, query: scores),
        "Your weights equal softmax(QKᵀ) with the mask: the division by √d_k of Eq. 1 is missing.",
    ),
    Misconception(
        "scaled by d_k",
        other_scale(lambda scores, query: scores / query.size(-1)),
        "Your weights equal softmax(QKᵀ / d_k) with the mask: Eq. 1 divides by the root, √d_k.",
    ),
)
