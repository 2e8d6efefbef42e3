"""Exercises 5.1 and 5.2: layer norm and the gradient that passes through it."""

import torch
from torch import Generator, Tensor, nn

from utils.exercises.chapter_05.references import layer_norm_gradient
from utils.exercises.chapter_05.words import AS_BUILT, EDGE, SCATTERED, SHAPE
from utils.exercises.chapter_05.wrong_gradient import LAYER_NORM_GRADIENT
from utils.exercises.chapter_05.wrong_layer_norm import LAYER_NORM
from utils.exercises.declare import Case, Exercise, Property
from utils.exercises.drawing import normal, scattered
from utils.exercises.nearness import close
from utils.transformer import LayerNorm

# 5.1 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

SMALL = "the numbers are so small that ε matters"


def _norm_cases(generator: Generator) -> list[Case]:
    def drawn(*shape: int, **options) -> tuple:
        return (normal(generator, *shape, **options) + 0.5,)

    def moved(*shape: int, **options) -> tuple:
        return (normal(generator, *shape, **options).add(300.0),)

    level = normal(generator, 2, 1).expand(2, 4).contiguous()
    return [
        Case("two positions of width 4", drawn(2, 4), build=(4,)),
        Case("three positions of width 5", drawn(3, 5, size=2.0), build=(5,), training=True),
        Case("two sentences of three positions", drawn(2, 3, 6), build=(6,), part=SHAPE),
        Case("as many sentences as positions as features", drawn(4, 4, 4), build=(4,), part=SHAPE),
        Case("sentences and heads", drawn(2, 2, 3, 5), build=(5,), part=SHAPE),
        Case("a single position, no batch", drawn(6), build=(6,), part=SHAPE),
        Case("a transposed tensor", (scattered(generator, 2, 3, 5),), build=(5,), part=SHAPE, traits=(SCATTERED,)),
        Case("called before", drawn(2, 3, 4), build=(4,), earlier=drawn(2, 3, 4), part=SHAPE),
        Case("float64", drawn(3, 4, dtype=torch.float64), build=(4,)),
        Case("gradients", drawn(2, 3, 5), build=(5,), gradients=True),
        Case("as built", drawn(1, 4), build=(4,), own_weights=True, part=EDGE, traits=(AS_BUILT,)),
        Case("all numbers of a position alike", (level,), build=(4,), part=EDGE, traits=("the variance is 0",),
             tolerance=1e-3),  # what rounding leaves of x − mean is divided by √ε
        Case("numbers of a thousandth", (normal(generator, 2, 6, size=1e-3),), build=(6,), part=EDGE, traits=(SMALL,)),
        Case("ε = 0.1", drawn(2, 4), build=(4,), build_keywords={"epsilon": 0.1}, part=EDGE),
        Case("numbers near 300", moved(6, 8), build=(8,), part=EDGE, tolerance=1e-4,
             traits=("the mean is far from 0",)),
    ]  # fmt: skip


def _one_position_changed(generator: Generator) -> list[Case]:
    x = normal(generator, 2, 3, 6)
    other = x.clone()
    other[1, 2] = 100 * normal(generator, 6)
    return [
        Case("as it is", (x,), build=(6,), training=True),
        Case("the last position changed", (other,), build=(6,), training=True),
    ]


def _others_stay(cases: list[Case], results: list[Tensor]) -> bool:
    before, after = (result.flatten(0, 1)[:-1] for result in results)
    return close(after, before)


# The grader hands fills to the learner's kernel by their names, so each is a function of this module.
def bias_first(module: nn.Module, weights: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """Fills a layer norm of other names that has its bias before its gain."""
    parameters = list(module.parameters())
    if [parameter.shape for parameter in parameters] != [weights["bias"].shape, weights["gain"].shape]:
        return None
    if {name.rpartition(".")[2] for name, _ in module.named_parameters()} == set(weights):
        return None  # these names say which is which
    pairs = dict(zip(("bias", "gain"), parameters, strict=True))
    with torch.no_grad():
        for name, parameter in pairs.items():
            parameter.copy_(weights[name])
    return pairs


LAYER_NORM_MODULE = Exercise(
    number="5.1",
    title="Layer norm",
    points=3,
    difficulty=2,
    minutes=20,
    section="§3.1; Ba et al. 2016",
    kind="module",
    reference=LayerNorm,
    cases=_norm_cases,
    properties=(
        Property(
            "each position by itself",
            _one_position_changed,
            _others_stay,
            "Changing one position has to leave all others as they are: each has its own mean and variance.",
        ),
    ),
    returns=("output",),
    forbidden=("torch.nn.LayerNorm", "torch.nn.functional.layer_norm"),
    misconceptions=LAYER_NORM,
    hints=(
        "What __init__ keeps: epsilon, and two `nn.Parameter`s of d_model numbers, ones for the gain and zeros for the "
        "bias. What forward averages over: the last axis, and no other.",
        "`x.mean(dim=-1, keepdim=True)` keeps an axis of size 1, so that it can be subtracted from x by broadcasting. "
        "The variance is the mean of the squares of what is left.",
        "centred = x − mean; variance = `centred.square().mean(dim=-1, keepdim=True)`; then `centred / (variance + "
        "self.epsilon).sqrt() * self.gain + self.bias`.",
    ),
    fills=(bias_first,),
    model_part="layer_norm",
)


# 5.2 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _gradient_cases(generator: Generator) -> list[Case]:
    def drawn(*shape: int, size: float = 1.0, dtype: torch.dtype = torch.float32) -> tuple:
        x = normal(generator, *shape, dtype=dtype, size=size)
        gain = 1 + 0.5 * normal(generator, shape[-1], dtype=dtype)
        return x, normal(generator, *shape, dtype=dtype) + 0.5, gain

    x, gradient, gain = drawn(2, 4)
    return [
        Case("one position of width 3", drawn(3)),
        Case("two positions of width 4", drawn(2, 4, size=2.0)),
        Case("three positions of width 5", drawn(3, 5, size=0.5)),
        Case("two sentences of three positions", drawn(2, 3, 6), part=SHAPE),
        Case("as many sentences as positions as features", drawn(4, 4, 4), part=SHAPE),
        Case("width 32", drawn(2, 32, size=3.0)),
        Case("float64", drawn(3, 4, dtype=torch.float64)),
        Case("numbers of a hundredth", drawn(2, 5, size=0.01), part=EDGE, traits=(SMALL,)),
        Case("ε = 0.5", drawn(2, 4), {"epsilon": 0.5}, part=EDGE, traits=("ε is not 1e-5",)),
        Case("all numbers of a position alike", (torch.ones_like(x), gradient, gain), part=EDGE,
             traits=("the variance is 0",)),
    ]  # fmt: skip


def _some_gradient(generator: Generator) -> list[Case]:
    return [Case("two sentences", tuple(normal(generator, *shape) for shape in ((2, 3, 8), (2, 3, 8), (8,))))]


def _sums_to_zero(cases: list[Case], results: list[Tensor]) -> bool:
    return bool(results[0].sum(dim=-1).abs().max() < 1e-4 * max(1.0, results[0].abs().max().item()))


FUNCTIONAL = ("grad", "grad_and_value", "vjp", "jvp", "jacrev", "jacfwd", "linearize", "hessian")  # of torch.func

GRADIENT = Exercise(
    number="5.2",
    title="The gradient through layer norm",
    points=3,
    difficulty=4,
    minutes=30,
    section="§3.1; Ba et al. 2016",
    reference=layer_norm_gradient,
    cases=_gradient_cases,
    properties=(
        Property(
            "sums to zero",
            _some_gradient,
            _sums_to_zero,
            "Adding the same number to all features of a position changes nothing behind a layer norm, so each "
            "position's gradient has to sum to zero.",
        ),
    ),
    returns=("gradient",),
    forbidden=("torch.autograd.grad", ".backward", *(f"torch.func.{name}" for name in FUNCTIONAL),
               *(f"torch.autograd.functional.{name}" for name in ("jacobian", "vjp", "jvp", "hessian")),
               "torch.nn.functional.layer_norm", "torch.native_layer_norm", ".native_layer_norm_backward"),
    misconceptions=LAYER_NORM_GRADIENT,
    hints=(
        "Take the steps back one by one. output = h · gain + bias comes last, so it is met first: what reaches h is "
        "g = gradient · gain. Compute h and σ = √(variance + ε) as in the forward pass.",
        "The text above the exercise gives dh_i/dx_j = (δ_ij − 1/d − h_i h_j / d) / σ. Multiply by g_i and sum over "
        "i: each of the three terms becomes g itself or a mean over the last axis.",
        "(g − mean(g) − h · mean(g · h)) / σ, both means with dim=-1 and keepdim=True.",
    ),
)  # fmt: skip
