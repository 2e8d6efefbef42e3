"""Exercises 10.4 to 10.6: heads silenced, weights exchanged, and weights weighed by what they fetch."""

import torch
from torch import Generator, Tensor

from utils.exercises.chapter_10.references import contributions, other_weights, pruned
from utils.exercises.chapter_10.words import EDGE, VIEW
from utils.exercises.chapter_10.wrong_changing import CONTRIBUTIONS, OTHERS, PRUNED
from utils.exercises.declare import Case, Exercise, Property
from utils.exercises.drawing import normal

NOTHING_FREE = "as many values as d_v + 1, or fewer: no direction is free"


def _pruned_cases(generator: Generator) -> list[Case]:
    def case(name: str, d_model: int, heads: int, d_v: int, silenced: list[int], **options) -> Case:
        dtype = options.pop("dtype", torch.float32)
        return Case(name, (normal(generator, d_model, heads * d_v, dtype=dtype), heads, silenced), **options)

    return [
        case("four heads, one silenced", 6, 4, 3, [1]),
        case("the first head", 6, 3, 2, [0]),
        case("the last head", 8, 4, 2, [3]),
        case("all heads but one", 8, 4, 2, [0, 1, 3]),
        case("two heads, not side by side", 5, 4, 3, [0, 2]),
        case("d_model = heads · d_v", 12, 4, 3, [2]),
        case("fewer numbers than heads · d_v", 3, 2, 4, [1]),
        case("heads in any order", 6, 5, 2, [3, 0, 4]),
        case("float64", 6, 2, 3, [0], dtype=torch.float64, part=EDGE),
        case("with gradients", 4, 2, 2, [1], gradients=True, part="property"),
        case("nothing silenced", 4, 2, 3, [], part=EDGE),
        case("all heads silenced", 4, 2, 3, [0, 1], part=EDGE),
        case("one head of width one", 2, 1, 1, [0], part=EDGE),
    ]


PRUNE = Exercise(
    number="10.4",
    title="Prune a head",
    points=2,
    difficulty=2,
    minutes=15,
    section="§3.2.2",
    reference=pruned,
    cases=_pruned_cases,
    returns=("weight",),
    misconceptions=PRUNED,
    hints=(
        "The heads' outputs stand side by side, head 0 first, each d_v wide; each row of `weight` multiplies them "
        "in that order. Which numbers of a row meet head i?",
        "Columns i · d_v … (i + 1) · d_v − 1, with `d_v = weight.size(1) // heads`. `weight.clone()` first: the "
        "model's own weight must stay as it is.",
        "`parts = weight.unflatten(1, (heads, -1)).clone()` is (d_model, heads, d_v); `parts[:, silenced] = 0.0`; "
        "`return parts.flatten(1)`.",
    ),
)


def _other_inputs(generator: Generator, source_len: int, d_v: int, dtype=torch.float32) -> tuple[Tensor, ...]:
    weights = normal(generator, source_len, dtype=torch.float64).softmax(dim=0).to(dtype)
    return weights, normal(generator, source_len, d_v, dtype=dtype), normal(generator, source_len, dtype=dtype)


def _used_up(generator: Generator) -> tuple[Tensor, ...]:
    """Inputs in which the weight that falls most is zero."""
    weights, value, direction = _other_inputs(generator, 7, 3)
    held = torch.cat([value, torch.ones_like(value[:, :1])], dim=1).double()
    step = direction.double() - held @ torch.linalg.pinv(held) @ direction.double()
    weights = weights.index_fill(0, step.argmin(), 0.0)
    return weights / weights.sum(), value, direction


def _other_cases(generator: Generator) -> list[Case]:
    def case(name: str, source_len: int, d_v: int, dtype: torch.dtype = torch.float32, **options) -> Case:
        return Case(name, _other_inputs(generator, source_len, d_v, dtype), tolerance=1e-3, **options)

    weights, value, _ = _other_inputs(generator, 8, 3)
    away = torch.zeros(8).index_fill_(0, weights.argmax(), -1.0)
    weights_two, repeated, direction = _other_inputs(generator, 6, 3)
    repeated = repeated[:3].repeat(2, 1)
    used_up = _used_up(generator)
    turned = _other_inputs(generator, 8, 3)
    turned = turned[0], turned[1].t().contiguous().t(), turned[2]
    return [
        case("eight words, values of width three", 8, 3),
        case("twelve words, values of width four", 12, 4),
        case("five words, values of width one", 5, 1),
        Case("away from the largest weight", (weights, value, away), tolerance=1e-3),
        Case("every value stands there twice", (weights_two, repeated, direction), tolerance=1e-3),
        Case("values that are a view", turned, tolerance=1e-3, part="shape", traits=(VIEW,)),
        case("float64", 9, 4, torch.float64, part=EDGE),
        Case("a weight that is zero and would fall", used_up, tolerance=1e-3, part=EDGE,
             traits=("a weight is zero already, and the free direction would have it fall",)),
        case("one more than is held fast", 6, 4),
        case("five words, values of width four", 5, 4, part=EDGE, traits=(NOTHING_FREE,)),
        case("three words, values of width six", 3, 6, part=EDGE, traits=(NOTHING_FREE,)),
        case("one word", 1, 2, part=EDGE, traits=(NOTHING_FREE,)),
    ]  # fmt: skip


def _same_mixture(cases: list[Case], results: list[Tensor]) -> bool:
    weights, value, _ = cases[0].arguments
    new = results[0]
    same = torch.allclose(new @ value, weights @ value, atol=1e-4)
    return same and bool((new >= -1e-6).all()) and abs(new.sum().item() - 1) < 1e-4


OTHER_WEIGHTS = Exercise(
    number="10.5",
    title="Other weights, the same output",
    points=3,
    difficulty=4,
    minutes=30,
    section="§3.2.1, Eq. 1",
    reference=other_weights,
    cases=_other_cases,
    returns=("weights",),
    misconceptions=OTHERS,
    hints=(
        "Put a column of ones beside the values: the mixture and the sum of the weights are then both in one product, "
        "`weights @ held`. A step changes neither when `step @ held` is zero.",
        "`held @ torch.linalg.pinv(held) @ direction` is the part of `direction` that does change something. Take it "
        "away. How far you may go: a weight w with step s < 0 is used up after w / −s steps, and the first that is "
        "used up ends the walk.",
        "`step = direction - held @ pinv(held) @ direction`; where its norm is next to nothing (below 1e-6 of "
        "direction's, in float64), return `weights`. Else `furthest = (weights[step < 0] / -step[step < 0]).min()` "
        "and `weights + furthest * step`.",
    ),
    properties=(
        Property(
            "the output stays and the weights are weights",
            lambda generator: [
                Case("ten words, values of width four", _other_inputs(generator, 10, 4), tolerance=1e-3)
            ],
            _same_mixture,
            "New weights must give the same mixture of the values, be none negative, and sum to one.",
        ),
    ),
)


def _contribution_cases(generator: Generator) -> list[Case]:
    def case(name: str, heads: int, target_len: int, source_len: int, d_v: int, d_model: int, **options) -> Case:
        dtype = options.pop("dtype", torch.float32)
        weights = normal(generator, heads, target_len, source_len, dtype=torch.float64).softmax(dim=-1).to(dtype)
        value = normal(generator, heads, source_len, d_v, dtype=dtype)
        return Case(name, (weights, value, normal(generator, d_model, heads * d_v, dtype=dtype)), **options)

    quiet = case("", 2, 3, 4, 3, 6).arguments
    quiet[1][:, 0] = 0.0
    weights, value, output_weight = case("", 2, 3, 4, 3, 6).arguments
    turned = weights, value.transpose(0, 1).contiguous().transpose(0, 1), output_weight
    return [
        case("two heads, three rows, four columns", 2, 3, 4, 3, 6),
        case("one head", 1, 3, 5, 2, 4),
        case("d_model = heads · d_v", 3, 2, 4, 2, 6),
        case("as many heads as rows and columns", 4, 4, 4, 2, 5),
        case("heads as wide as there are heads", 3, 4, 5, 3, 7),
        Case("values that are a view, as split_heads makes them", turned, part="shape", traits=(VIEW,)),
        case("float64", 2, 3, 4, 3, 6, dtype=torch.float64, part=EDGE),
        Case("a key whose value is zero", quiet, part=EDGE),
        case("one of everything", 1, 1, 1, 1, 1, part=EDGE),
    ]


CONTRIBUTION = Exercise(
    number="10.6",
    title="Weights times what they fetch",
    points=2,
    difficulty=3,
    minutes=20,
    section="§3.2.2; Kobayashi et al. 2020",
    reference=contributions,
    cases=_contribution_cases,
    returns=("contributions",),
    misconceptions=CONTRIBUTIONS,
    hints=(
        "Without the weight, what head i hands over from key j is a vector of width d_model: the value, sent through "
        "head i's part of W^O. The weight only stretches it.",
        '`output_weight.unflatten(1, (heads, -1))` is (d_model, heads, d_v); `einsum("hsv,mhv->hsm", value, parts)` '
        "gives (heads, source_len, d_model).",
        "Take `.norm(dim=-1)`, (heads, source_len), put in an axis for the queries with `.unsqueeze(1)`, and multiply "
        "by the weights.",
    ),
    optional=True,
)
