"""What goes wrong with a softmax (chapter 00), and what puts it right."""

import torch
from torch import Tensor

from utils.exercises.declare import Misconception


def less_largest(scores: Tensor) -> Tensor:
    """exp of the scores, the largest of each row subtracted first: right so far."""
    return (scores - scores.amax(dim=-1, keepdim=True)).exp()


def over_axis(axis: int):
    """A softmax over another axis than the last."""

    def answer(scores: Tensor) -> Tensor:
        exponentials = (scores - scores.amax(dim=axis, keepdim=True)).exp()
        return exponentials / exponentials.sum(dim=axis, keepdim=True)

    return answer


def largest_of_all(scores: Tensor) -> Tensor:
    exponentials = (scores - scores.max()).exp()
    return exponentials / exponentials.sum(dim=-1, keepdim=True)


def over_everything(scores: Tensor) -> Tensor:
    return over_axis(0)(scores.flatten()).view_as(scores)


def changed_in_place(scores: Tensor) -> Tensor:
    scores -= scores.amax(dim=-1, keepdim=True)
    return scores.exp() / scores.exp().sum(dim=-1, keepdim=True)


def scores_kept_below(scores: Tensor) -> Tensor:
    return less_largest(scores) / scores.exp().sum(dim=-1, keepdim=True)


def scores_kept_above(scores: Tensor) -> Tensor:
    return scores.exp() / less_largest(scores).sum(dim=-1, keepdim=True)


def largest_without_axis(scores: Tensor) -> Tensor:
    exponentials = (scores - scores.amax(dim=-1)).exp()
    return exponentials / exponentials.sum(dim=-1, keepdim=True)


def no_axis_kept(scores: Tensor) -> Tensor:
    exponentials = (scores - scores.amax(dim=-1)).exp()
    return exponentials / exponentials.sum(dim=-1)


def largest_of_columns(scores: Tensor) -> Tensor:
    exponentials = (scores - scores.amax(dim=0, keepdim=True)).exp()
    return exponentials / exponentials.sum(dim=-1, keepdim=True)


def largest_with_its_place(scores: Tensor) -> Tensor:
    return (scores - scores.max(dim=-1, keepdim=True)).exp()


def hard(scores: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(scores.argmax(dim=-1), scores.size(-1)).to(scores.dtype)


SOFTMAX = (
    Misconception(
        "not normalised",
        lambda scores: scores.exp(),
        "You return exp(score) for each score. The division by their sum, which makes each row sum to one, is missing.",
    ),
    Misconception(
        "not normalised, largest subtracted",
        less_largest,
        "You subtract the largest score and take exp, so that the largest weight is always 1. The division by the "
        "row's sum is missing.",
    ),
    Misconception(
        "exponential overflows",
        lambda scores: scores.exp() / scores.exp().sum(dim=-1, keepdim=True),
        "However right on paper, the quotient fails in floating-point numbers: exp of a score above 88 is infinite in "
        "float32, and ∞/∞ is NaN. Subtract the row's largest score from all of them first; that cancels in the "
        "quotient.",
    ),
    Misconception(
        "largest subtracted above only",
        scores_kept_below,
        "You subtract the largest score above the fraction bar, and not below it, so that it does not cancel. Take exp "
        "of the lowered scores once, and divide that by its own sums.",
        everywhere=True,
    ),
    Misconception(
        "largest subtracted below only",
        scores_kept_above,
        "You subtract the largest score below the fraction bar, and not above it, so that it does not cancel. Take exp "
        "of the lowered scores once, and divide that by its own sums.",
        everywhere=True,
    ),
    Misconception(
        "max with an axis",
        largest_with_its_place,
        "`scores.max(dim=-1)` gives two things, the largest numbers and their places. `amax` gives the numbers alone "
        "(so does `.max(dim=-1, keepdim=True).values`).",
    ),
    Misconception(
        "largest of each column",
        largest_of_columns,
        "You subtract the largest score of each column, dim=0. That is another number for each score of a row, which "
        "does not cancel. Each row needs its own largest: amax(dim=-1, keepdim=True).",
    ),
    Misconception(
        "largest of all rows",
        largest_of_all,
        "You subtract the largest score of the whole tensor. A row that lies far below it gets exp(−hundreds) = 0 "
        "everywhere, and 0/0 is NaN. Each row needs its own largest: amax(dim=-1, keepdim=True).",
    ),
    Misconception(
        "divided by the sum of everything",
        lambda scores: less_largest(scores) / less_largest(scores).sum(),
        "You divide by the sum over the whole tensor, so that only all rows together sum to one. Each row is to sum to "
        "one by itself: sum(dim=-1, keepdim=True).",
    ),
    Misconception(
        "over everything",
        over_everything,
        "Your softmax runs over the whole tensor, so that only all rows together sum to one. Each row is to sum to one "
        "by itself: the sum and the largest score along dim=-1.",
    ),
    Misconception(
        "over the rows",
        over_axis(0),
        "Your softmax runs down the first axis, dim=0: columns sum to one. The scores of one query lie along the last "
        "axis, dim=-1.",
    ),
    Misconception(
        "over the last axis but one",
        lambda scores: over_axis(-2 if scores.dim() > 1 else -1)(scores),
        "Your softmax runs over the last axis but one, dim=-2: columns sum to one. It is the last, dim=-1.",
    ),
    Misconception(
        "over axis 1",
        over_axis(1),
        "Your softmax runs over dim=1, which is the last axis of a matrix only. Count from the end, dim=-1, and any "
        "number of axes may stand before.",
    ),
    Misconception(
        "axis put back at 1",
        lambda scores: less_largest(scores) / less_largest(scores).sum(dim=-1)[:, None],
        "The axis that your sums get back stands at 1, which is behind the others in a matrix only. keepdim=True keeps "
        "the last axis where it is, however many stand before.",
    ),
    Misconception(
        "axis not kept",
        lambda scores: less_largest(scores) / less_largest(scores).sum(dim=-1),
        "The sum over the last axis has lost that axis, so that it is laid along columns in the division: row i is "
        "divided by the sums of rows 0, 1, 2, …, or the shapes do not fit. keepdim=True keeps an axis of size 1.",
    ),
    Misconception(
        "axis of the largest not kept",
        largest_without_axis,
        "The largest score of each row has lost its axis, so that in the subtraction it is laid along columns, or the "
        "shapes do not fit: amax(dim=-1, keepdim=True) keeps an axis of size 1.",
    ),
    Misconception(
        "no axis kept",
        no_axis_kept,
        "The largest scores and the sums have both lost the last axis, so that they are laid along columns, or the "
        "shapes do not fit. keepdim=True keeps an axis of size 1, in `amax` and in `sum`.",
    ),
    Misconception(
        "no exponential",
        lambda scores: scores / scores.sum(dim=-1, keepdim=True),
        "You divide the scores by their sum. Scores can be negative, and their sum can be 0; exp comes first.",
    ),
    Misconception(
        "each score by itself",
        lambda scores: scores.sigmoid(),
        "Yours is the sigmoid: each score is squeezed between 0 and 1 by itself. In a softmax the scores of a row "
        "compete, and their weights sum to one.",
    ),
    Misconception(
        "logarithms",
        lambda scores: less_largest(scores).log() - less_largest(scores).sum(dim=-1, keepdim=True).log(),
        "You return the logarithms of the weights. Asked for are the weights themselves.",
    ),
    Misconception(
        "winner takes all",
        hard,
        "You give all the weight to the largest score. The softmax is the soft form of that: every score gets some "
        "weight, which is what a gradient can flow through.",
    ),
    Misconception(
        "scores changed in place",
        changed_in_place,
        "Your weights are right, and the scores that came in are changed: `scores -= …` works on the caller's tensor. "
        "Write `scores - …`, which makes a new one.",
    ),
)
