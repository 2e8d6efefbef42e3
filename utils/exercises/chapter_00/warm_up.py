"""Exercise 0.1, the warm-up: a softmax written out."""

import math

import torch
from torch import Generator, Tensor

from utils.exercises.chapter_00.references import softmax
from utils.exercises.chapter_00.wrong_softmax import SOFTMAX
from utils.exercises.declare import Case, Exercise, Property
from utils.exercises.drawing import normal
from utils.exercises.nearness import close

SHAPE, EDGE = "shape", "edge cases"
ONE_AXIS, HUNDREDS = "there is a single axis", "a score is above 88, where exp overflows in float32"
FAR_APART = "rows lie far apart"


def _cases(generator: Generator) -> list[Case]:
    def drawn(*shape: int, dtype: torch.dtype = torch.float32, size: float = 1.5) -> tuple[Tensor]:
        return (normal(generator, *shape, dtype=dtype, size=size),)

    hundreds = 60 * normal(generator, 2, 3) + torch.tensor([[300.0, 290.0, 280.0], [500.0, 499.0, 498.0]])
    far_apart = normal(generator, 2, 3) + torch.tensor([[-400.0], [400.0]])
    two_above = torch.tensor([[0.0, 1.0, 2.0, 200.0, 201.0]]) + 0.3 * normal(generator, 1, 5)
    far_below = torch.tensor([[0.0, 20.0, 44.0, 60.0]], dtype=torch.float64)  # e^-16 is 1e-7, which is not 0
    hidden = normal(generator, 2, 4)
    hidden[0, 1] = hidden[1, 3] = -math.inf
    return [
        Case("three scores", drawn(3), traits=(ONE_AXIS,)),
        Case("one row of three", drawn(1, 3)),
        Case("two rows of three", drawn(2, 3)),
        Case("three rows of three", drawn(3, 3)),
        Case("float64", drawn(2, 4, dtype=torch.float64)),
        Case("gradients", drawn(2, 3), gradients=True),
        Case("sentences, queries, keys", drawn(2, 3, 5), part=SHAPE),
        Case("sentences, heads, queries, keys", drawn(2, 2, 3, 3), part=SHAPE),
        Case("five axes", drawn(1, 2, 1, 3, 2), part=SHAPE, traits=("there are five axes",)),
        Case("a view with its axes exchanged", (drawn(3, 4, 2)[0].transpose(1, 2),), part=SHAPE,
             traits=("the scores do not lie in memory in one piece (`.view` refuses them, `.reshape` copies)",)),
        Case("two rows of a single score", drawn(2, 1), part=EDGE),
        Case("five equal scores", (torch.full((5,), 0.7),), part=EDGE, traits=(ONE_AXIS,)),
        Case("a score of −∞ in each row", (hidden,), part=EDGE, traits=("a score is −∞",)),
        Case("scores in the hundreds", (hundreds,), part=EDGE, traits=(HUNDREDS,)),
        Case("two scores far above the others", (two_above,), part=EDGE, traits=(HUNDREDS,)),
        Case("float64, scores far apart", (far_below,), part=EDGE, traits=("some weights are tiny",)),
        Case("one row near −400, one near 400", (far_apart,), part=EDGE, traits=(HUNDREDS, FAR_APART)),
    ]  # fmt: skip


def _moved_up(generator: Generator) -> list[Case]:
    scores = normal(generator, 3, 4)
    return [Case("scores", (scores,)), Case("scores, each 5 higher", (scores + 5,))]


def _rows_sum_to_one(cases: list[Case], results: list[Tensor]) -> bool:
    sums = results[0].sum(dim=-1)
    return close(sums, torch.ones_like(sums)) and bool((results[0] > 0).all())


def _same_for_both(cases: list[Case], results: list[Tensor]) -> bool:
    return close(results[1], results[0], 1e-4)


WARM_UP = Exercise(
    number="0.1",
    title="A softmax written out",
    points=1,
    difficulty=1,
    minutes=5,
    section="§3.2.1, Eq. 1",
    reference=softmax,
    cases=_cases,
    properties=(
        Property(
            "rows sum to one", _moved_up, _rows_sum_to_one, "Weights have to be positive and sum to one in each row."
        ),
        Property(
            "what is added to all scores cancels",
            _moved_up,
            _same_for_both,
            "The same number added to all scores of a row must not change its weights.",
        ),
    ),
    returns=("weights",),
    forbidden=(
        ".softmax", "torch.softmax", "torch.nn.functional.softmax", ".log_softmax", "torch.log_softmax",
        "torch.nn.functional.log_softmax", "torch.nn.Softmax", "torch.nn.LogSoftmax", ".softmin",
        "torch.nn.functional.softmin", "torch.nn.Softmin", "torch.nn.functional.gumbel_softmax", "._softmax",
        "torch.special.softmax", "torch.special.log_softmax",
    ),
    misconceptions=SOFTMAX,
    hints=(
        "Two things make weights of scores: a function that is positive everywhere and grows with the score, and a "
        "division that makes each row sum to one.",
        "`scores.exp()` is that function. `x.sum(dim=-1, keepdim=True)` adds up each row and keeps the axis, so that "
        "rows can be divided by it. Which number do you subtract first, so that exp never gets anything above 0?",
        "largest = scores.amax(dim=-1, keepdim=True); exponentials = (scores - largest).exp(). What is left is one "
        "division.",
    ),
)  # fmt: skip
