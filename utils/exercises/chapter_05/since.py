"""Exercises 5.6 and 5.7: what stands in today's models where 2017 had layer norm and ReLU."""

import torch
from torch import Generator, Tensor, nn

from utils.exercises.chapter_05.feed_forward import EVERY_POSITION, feed_forward_cases
from utils.exercises.chapter_05.references import RMSNorm, SwiGLU
from utils.exercises.chapter_05.words import AS_BUILT, EDGE, SCATTERED, SHAPE
from utils.exercises.chapter_05.wrong_since import RMS_NORM, SWIGLU
from utils.exercises.declare import Case, Exercise
from utils.exercises.drawing import normal, scattered

# 5.6 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _rms_cases(generator: Generator) -> list[Case]:
    def drawn(*shape: int, **options) -> tuple:
        return (normal(generator, *shape, **options) + 0.5,)

    return [
        Case("two positions of width 4", drawn(2, 4), build=(4,)),
        Case("three positions of width 5", drawn(3, 5, size=2.0), build=(5,), training=True),
        Case("two sentences of three positions", drawn(2, 3, 6), build=(6,), part=SHAPE),
        Case("as many sentences as positions as features", drawn(4, 4, 4), build=(4,), part=SHAPE),
        Case("a single position, no batch", drawn(6), build=(6,), part=SHAPE),
        Case("a transposed tensor", (scattered(generator, 2, 3, 5),), build=(5,), part=SHAPE, traits=(SCATTERED,)),
        Case("called before", drawn(2, 3, 4), build=(4,), earlier=drawn(2, 3, 4), part=SHAPE),
        Case("float64", drawn(3, 4, dtype=torch.float64), build=(4,)),
        Case("gradients", drawn(2, 3, 5), build=(5,), gradients=True),
        Case("as built", drawn(1, 4), build=(4,), own_weights=True, part=EDGE, traits=(AS_BUILT,)),
        Case("zeros", (torch.zeros(2, 4),), build=(4,), part=EDGE, traits=("the input is 0",)),
        Case("numbers of a thousandth", (normal(generator, 2, 6, size=1e-3),), build=(6,), part=EDGE,
             traits=("the numbers are so small that ε matters",)),
        Case("ε = 0.1", drawn(2, 4), build=(4,), build_keywords={"epsilon": 0.1}, part=EDGE),
    ]  # fmt: skip


RMS_NORM_MODULE = Exercise(
    number="5.6",
    title="RMSNorm",
    points=1,
    difficulty=2,
    minutes=10,
    section="since 2017: RMSNorm",
    kind="module",
    reference=RMSNorm,
    cases=_rms_cases,
    returns=("output",),
    forbidden=("torch.nn.RMSNorm", "torch.nn.functional.rms_norm"),
    misconceptions=RMS_NORM,
    hints=(
        "Begin with your layer norm. What goes: the mean, and the bias. What stays: ε under the root, and the gain.",
        "The mean of squares is taken of x itself: `x.square().mean(dim=-1, keepdim=True)`.",
        "`x / (x.square().mean(dim=-1, keepdim=True) + self.epsilon).sqrt() * self.gain`.",
    ),
    optional=True,
)


# 5.7 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _swiglu_cases(generator: Generator) -> list[Case]:
    rounded = Case("d_ff no multiple of 3", (normal(generator, 2, 3, 4),), build=(4, 11), part=EDGE,
                   traits=("d_ff leaves 2 when divided by 3",))  # fmt: skip
    wide = Case("d_ff = 1000", (normal(generator, 2, 3),), build=(3, 1000), part=EDGE, traits=("d_ff is large",))
    return [*feed_forward_cases(generator), rounded, wide]


GATE, INNER, OUTER = "gate.weight", "inner.weight", "outer.weight"


# The grader hands fills to the learner's kernel by their names, so each is a function of this module.
def inner_gate_outer(module: nn.Module, weights: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """Fills a SwiGLU whose matrices were made in this order, each (rows, d_model)."""
    return _in_order(module, weights, (INNER, GATE, OUTER))


def outer_inner_gate(module: nn.Module, weights: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """Fills a SwiGLU whose matrices were made in this order."""
    return _in_order(module, weights, (OUTER, INNER, GATE))


def gate_and_inner_in_one(module: nn.Module, weights: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """Fills a SwiGLU that has gate and inner in one matrix, the gate's rows first."""
    return _in_one(module, weights, (GATE, INNER))


def inner_and_gate_in_one(module: nn.Module, weights: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """Fills a SwiGLU that has gate and inner in one matrix, the gate's rows last."""
    return _in_one(module, weights, (INNER, GATE))


def _in_order(module: nn.Module, weights: dict[str, Tensor], names: tuple[str, ...]) -> dict[str, Tensor] | None:
    """By whatever name, but where matrices have the names that were asked for, these say which is which."""
    if set(names) == {name for name, _ in module.named_parameters()}:
        return None
    parameters, wanted = list(module.parameters()), [weights[name] for name in names]
    if [parameter.shape for parameter in parameters] != [weight.shape for weight in wanted]:
        return None
    with torch.no_grad():
        for parameter, weight in zip(parameters, wanted, strict=True):
            parameter.copy_(weight)
    return dict(zip(names, parameters, strict=True))


def _in_one(module: nn.Module, weights: dict[str, Tensor], names: tuple[str, ...]) -> dict[str, Tensor] | None:
    both, outer = torch.cat([weights[name] for name in names]), weights[OUTER]
    parameters = {parameter.shape: parameter for parameter in module.parameters()}
    if set(parameters) != {both.shape, outer.shape} or len(list(module.parameters())) != 2:
        return None
    with torch.no_grad():
        parameters[both.shape].copy_(both)
        parameters[outer.shape].copy_(outer)
    return {OUTER: parameters[outer.shape]}


SWIGLU_MODULE = Exercise(
    number="5.7",
    title="SwiGLU",
    points=2,
    difficulty=3,
    minutes=15,
    section="since 2017: SwiGLU",
    kind="module",
    reference=SwiGLU,
    cases=_swiglu_cases,
    properties=(EVERY_POSITION,),
    returns=("output",),
    misconceptions=SWIGLU,
    hints=(
        "Three `nn.Linear` layers without biases: two that widen, from d_model, and one that comes back. How wide is "
        "the inside, so that three matrices weigh as much as two of width d_ff?",
        "The inner width is `2 * d_ff // 3`. In forward one of the widened forms goes through "
        "`torch.nn.functional.silu` and is multiplied with the other, number by number.",
        "`self.outer(F.silu(self.gate(x)) * self.inner(x))`.",
    ),
    fills=(inner_gate_outer, outer_inner_gate, gate_and_inner_in_one, inner_and_gate_in_one),
    optional=True,
)
