"""Exercises 9.5 to 9.7: gradients by position, Table 1 to the digit, and the mask of restricted attention."""

import torch
from torch import Generator, Tensor

from utils.exercises.chapter_09.pieces import Reader
from utils.exercises.chapter_09.references import influence, layer_cost, window_mask
from utils.exercises.chapter_09.words import EDGE, SHAPE
from utils.exercises.chapter_09.wrong_counting import LAYER_COST, WINDOW_MASK
from utils.exercises.chapter_09.wrong_measuring import INFLUENCE
from utils.exercises.declare import Case, Exercise, Property
from utils.exercises.drawing import normal

# 9.5 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _influence_case(
    generator: Generator, name: str, way: str, length: int, width: int = 3, d_hidden: int = 4,
    dtype: torch.dtype = torch.float32, **options,
) -> Case:  # fmt: skip
    run = Reader(generator, way, width, d_hidden, dtype)
    return Case(name, (run, normal(generator, length, width, dtype=dtype)), **options)


def _influence_cases(generator: Generator) -> list[Case]:
    def case(name: str, way: str, length: int, *sizes, **options) -> Case:
        return _influence_case(generator, name, way, length, *sizes, **options)

    return [
        case("a plain recurrent network", "recurrent", 2, 2, 3),
        case("a longer sequence", "recurrent", 7),
        case("a state that changes slowly", "gated", 5),
        case("self-attention", "attention", 5),
        case("as long as wide", "recurrent", 3, 3, 3, part=SHAPE),
        case("float64", "attention", 4, dtype=torch.float64, part=EDGE),
        case("a running average", "average", 6),
        case("the first input counts for all", "twice the first", 4),
        case("only the last input counts", "last alone", 4, part=EDGE, traits=("earlier inputs move nothing",)),
        case("one position", "recurrent", 1, 8, 4, part=EDGE),
        case("one unit", "recurrent", 4, 3, 1, part=EDGE),
    ]


def _last_alone(generator: Generator) -> list[Case]:
    return [_influence_case(generator, "only the last input counts", "last alone", 5)]


def _zero_but_last(cases: list[Case], results: list[Tensor]) -> bool:
    return bool((results[0][:-1] == 0).all()) and bool(results[0][-1] > 0)


GRADIENTS = Exercise(
    number="9.5",
    title="What each input still does to the last state",
    points=2,
    difficulty=3,
    minutes=20,
    section="§1, §4",
    reference=influence,
    cases=_influence_cases,
    properties=(
        Property(
            "no way, no influence",
            _last_alone,
            _zero_but_last,
            "Where no path leads from an input to the last state its influence is 0, and only there.",
        ),
    ),
    returns=("influence",),
    misconceptions=INFLUENCE,
    hints=(
        "The last state has d_hidden numbers, and each has a gradient of its own with respect to all inputs. How many "
        "numbers are there in all, and which of them belong to position t?",
        "`torch.autograd.grad(unit, inputs, retain_graph=True)[0]` is (length, width), for one number `unit` of the "
        "last state. The inputs must ask for gradients before the run: `inputs = inputs.detach().requires_grad_()`.",
        "`rows = [torch.autograd.grad(unit, inputs, retain_graph=True)[0] for unit in run(inputs)[-1]]`; stacked they "
        "are (d_hidden, length, width): square, sum over the axes 0 and 2, root.",
    ),
)


# 9.6 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _cost_cases(generator: Generator) -> list[Case]:
    def number(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=generator))

    n, d, window = number(20, 90), number(10, 60), 2 * number(1, 6) + 1
    layers = "self-attention", "rnn", "gru", "lstm", "convolution", "restricted"
    return [
        *(Case(f"{layer}, drawn sizes", (layer, n, d, window)) for layer in layers),
        Case("self-attention at base's width", ("self-attention", 100, 512, 3)),
        Case("convolution, jumps that do not come out even", ("convolution", 12, 8, 5)),
        Case("restricted, jumps that come out even", ("restricted", 13, 8, 7)),
        Case("convolution over two positions", ("convolution", 2, 4, 3), part=EDGE),
        Case("restricted, a window wider than the text", ("restricted", 4, 6, 9), part=EDGE),
        Case("a recurrence of two steps", ("rnn", 2, 3, 3), part=EDGE),
    ]


COSTS = Exercise(
    number="9.6",
    title="Table 1, counted",
    points=2,
    difficulty=3,
    minutes=20,
    section="§4, Table 1",
    reference=layer_cost,
    cases=_cost_cases,
    returns=("multiplications", "sequential operations", "longest path"),
    misconceptions=LAYER_COST,
    hints=(
        "A matrix of a × b times one of b × c takes a · b · c multiplications. Write down the products of each layer: "
        "four projections, scores and mixing; or W x and U h, once for each gate; or one matrix for each place of the "
        "window.",
        "Self-attention: 4 n d² + 2 n² d. Restricted: each query meets `window` keys in place of n. Recurrent: 2 n d² "
        "for each matrix pair, of which a plain one has 1, a GRU 3, an LSTM 4. Convolution: window · n · d².",
        "A window reaches `window // 2` positions to each side, so that from one end to the other it takes "
        "`math.ceil((n - 1) / (window // 2))` jumps. A recurrence needs n sequential steps and has a path of n − 1; "
        "self-attention has 1 and 1.",
    ),
)


# 9.7 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _window_cases(generator: Generator) -> list[Case]:
    length, window = (
        int(torch.randint(8, 14, (), generator=generator)),
        2 * int(torch.randint(1, 4, (), generator=generator)) + 1,
    )
    return [
        Case("length 3, window 3", (3, 3)),
        Case("length 5, window 3", (5, 3)),
        Case("length 6, window 5", (6, 5)),
        Case(f"length {length}, window {window}", (length, window)),
        Case("length 7, window 3", (7, 3)),
        Case("window 1: only itself", (6, 1), part=EDGE, traits=("the window is 1",)),
        Case("a window wider than the text", (3, 9), part=EDGE, traits=("the window is wider than the text",)),
        Case("length 4, on the CPU", (4, 3, "cpu")),
        Case("length 90, window 41", (90, 41)),
        Case("length 9, window 7", (9, 7)),
        Case("length 11, window 9", (11, 9)),
    ]


def _elsewhere(generator: Generator) -> list[Case]:
    # PyTorch loads what it needs for this device when it is first used, a second's work: not on the learner's time.
    window_mask(2, 3, "meta")
    return [Case('length 3 on the device "meta"', (3, 3, "meta"))]  # one without memory: every machine has it


def _made_there(cases: list[Case], results: list[Tensor]) -> bool:
    return results[0].device.type == "meta"


RESTRICTED = Exercise(
    number="9.7",
    title="The mask of restricted attention",
    points=1,
    difficulty=1,
    minutes=10,
    section="§4",
    reference=window_mask,
    cases=_window_cases,
    properties=(
        Property(
            "on another device",
            _elsewhere,
            _made_there,
            "The mask has to lie on the device that is asked for: create it with `device=device`.",
        ),
    ),
    returns=("mask",),
    misconceptions=WINDOW_MASK,
    hints=(
        "Write the mask for length 4 and window 3 down by hand. How far may the position of a key lie from that of its "
        "query?",
        "`torch.arange(length)` holds the positions. With an axis of size 1 in each, at different places, their "
        "difference is (length, length).",
        "`(position[:, None] - position[None, :]).abs() <= window // 2`, then `[None, None]` in front; and "
        "`device=device` where the positions are made.",
    ),
    optional=True,
)
