"""Exercises 5.3 and 5.4: the feed-forward network, as it is written and as two convolutions."""

import torch
from torch import Generator, Tensor

from utils.exercises.chapter_05.references import as_convolutions
from utils.exercises.chapter_05.words import EDGE, SCATTERED, SHAPE
from utils.exercises.chapter_05.wrong_feed_forward import AS_CONVOLUTIONS, FEED_FORWARD
from utils.exercises.declare import Case, Exercise, Property
from utils.exercises.drawing import normal, scattered
from utils.exercises.nearness import close
from utils.transformer import FeedForward

# 5.3 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def feed_forward_cases(generator: Generator) -> list[Case]:
    """Cases for a module that is built with (d_model, d_ff) and called with x."""

    def drawn(*shape: int) -> tuple:
        return (normal(generator, *shape, size=1.5),)

    return [
        Case("one position", drawn(1, 3), build=(3, 12)),
        Case("two sentences of three positions", drawn(2, 3, 4), build=(4, 15)),
        Case("two others of that size", drawn(2, 3, 4), build=(4, 15)),
        Case("training mode", drawn(2, 3, 4), build=(4, 9), training=True),
        Case("as many sentences as positions as features", drawn(4, 4, 4), build=(4, 16), part=SHAPE),
        # d_ff is nowhere d_model, nor are two thirds of it: shapes tell the matrices of an answer apart.
        Case("no batch axis", drawn(5, 4), build=(4, 5), part=SHAPE),
        Case("a transposed tensor", (scattered(generator, 2, 3, 4, size=1.5),), build=(4, 9), part=SHAPE,
             traits=(SCATTERED,)),
        Case("called before", drawn(2, 3, 4), build=(4, 9), earlier=drawn(2, 3, 4), part=SHAPE),
        Case("sentences and heads", drawn(2, 2, 3, 4), build=(4, 9), part=SHAPE),
        Case("gradients", drawn(2, 3, 4), build=(4, 9), gradients=True),
        Case("narrower inside than outside", drawn(2, 3, 8), build=(8, 3), part=EDGE),
        Case("large numbers", (normal(generator, 2, 3, 4, size=40.0),), build=(4, 9), part=EDGE,
             traits=("the numbers are large",)),
        Case("zeros", (torch.zeros(1, 2, 4),), build=(4, 9), part=EDGE, traits=("the input is 0",)),
    ]  # fmt: skip


def reordered_positions(generator: Generator) -> list[Case]:
    """One sentence as it is, and with its positions moved by one."""
    x = normal(generator, 1, 5, 4)
    return [Case("a sentence", (x,), build=(4, 12)), Case("moved by one", (x.roll(1, dims=1),), build=(4, 12))]


def results_follow(cases: list[Case], results: list[Tensor]) -> bool:
    """Whether the second result is the first, moved by one."""
    return close(results[1], results[0].roll(1, dims=1))


EVERY_POSITION = Property(
    "every position alike",
    reordered_positions,
    results_follow,
    "When the positions of a sentence change places, the results have to change places with them and stay the same "
    "otherwise: the network sees one position at a time.",
)

FEED_FORWARD_MODULE = Exercise(
    number="5.3",
    title="The feed-forward network",
    points=2,
    difficulty=1,
    minutes=10,
    section="§3.3, Eq. 2",
    kind="module",
    reference=FeedForward,
    cases=feed_forward_cases,
    properties=(EVERY_POSITION,),
    returns=("output",),
    misconceptions=FEED_FORWARD,
    hints=(
        "Two `nn.Linear` layers, made in __init__: one that widens, one that comes back. Each has its bias.",
        "`nn.Linear(d_model, d_ff)` works on the last axis, whatever stands before it: no loop over positions.",
        "forward is one line: the second layer of `.relu()` of the first layer of x.",
    ),
    model_part="feed_forward",
)


# 5.4 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _convolution_cases(generator: Generator) -> list[Case]:
    def drawn(batch: int, length: int, d_model: int, d_ff: int, dtype: torch.dtype = torch.float32) -> tuple:
        shapes = (batch, length, d_model), (d_ff, d_model, 1), (d_ff,), (d_model, d_ff, 1), (d_model,)
        return tuple(normal(generator, *shape, dtype=dtype) for shape in shapes)

    return [
        Case("two positions of width 3", drawn(1, 2, 3, 4)),
        Case("two sentences of three positions", drawn(2, 3, 4, 6)),
        Case("two others of that size", drawn(2, 3, 4, 6)),
        Case("as long as wide", drawn(2, 4, 4, 6), traits=("a sentence is as long as the model is wide",)),
        Case("as many sentences as positions as features", drawn(3, 3, 3, 5), part=SHAPE),
        Case("longer than wide", drawn(2, 7, 2, 3), part=SHAPE),
        Case(
            "a transposed tensor",
            (scattered(generator, 2, 4, 3), *drawn(2, 4, 3, 5)[1:]),
            part=SHAPE,
            traits=(SCATTERED,),
        ),
        Case("float64", drawn(2, 3, 4, 5, torch.float64)),
        Case("gradients", drawn(2, 3, 4, 5), gradients=True),
        Case("a single position", drawn(2, 1, 3, 5), part=EDGE),
        Case("an inner width of 1", drawn(2, 3, 4, 1), part=EDGE),
    ]


CONVOLUTIONS = Exercise(
    number="5.4",
    title="Two convolutions of width 1",
    points=1,
    difficulty=2,
    minutes=10,
    section="§3.3",
    reference=as_convolutions,
    cases=_convolution_cases,
    returns=("output",),
    misconceptions=AS_CONVOLUTIONS,
    hints=(
        "`torch.nn.functional.conv1d(x, weight, bias)` wants x as (batch, channels, length). Which axis of ours are "
        "the channels?",
        "`x.transpose(1, 2)` before, and the same after. In between one convolution, the ReLU, the other convolution.",
        "`F.conv1d(F.conv1d(x.transpose(1, 2), inner_weight, inner_bias).relu(), outer_weight, outer_bias)"
        ".transpose(1, 2)`.",
    ),
)
