"""Exercises 7.5 and 7.6: averaging checkpoints (§6.1), and when to stop."""

import torch
from torch import Generator, Tensor

from utils.exercises.chapter_07.references import early_stop
from utils.exercises.chapter_07.words import EDGE
from utils.exercises.chapter_07.wrong_ending import AVERAGES, STOPS
from utils.exercises.declare import Case, Exercise
from utils.exercises.drawing import normal
from utils.training.checkpoints import average_states

FIRST = "the first loss is NaN"


def _average_cases(generator: Generator) -> list[Case]:
    def states(count: int, dtype: torch.dtype = torch.float32, size: float = 1.0) -> list[dict[str, Tensor]]:
        def drawn(*shape: int) -> Tensor:
            return normal(generator, *shape, dtype=dtype, size=size)

        return [{"table": drawn(4, 3), "norm.gain": drawn(3), "scale": drawn(1)[0]} for _ in range(count)]

    large = [{"weight": 40_000 + normal(generator, 3, size=4000.0).clamp(-9000, 9000)} for _ in range(4)]
    large = [{"weight": state["weight"].to(torch.float16)} for state in large]
    mixed = [{"weight": normal(generator, 2, 2, dtype=torch.bfloat16), "bias": normal(generator, 2)} for _ in range(3)]
    small = [{"weight": normal(generator, 3)} for _ in range(3)]
    far = 3e7 * normal(generator, 3)  # beside it a number near 1 is rounded away in float32
    cancelling = [{"weight": state["weight"] + add} for state, add in zip(small, (far, 0 * far, -far), strict=True)]
    return [
        Case("two checkpoints", (states(2),)),
        Case("three checkpoints", (states(3),)),
        Case("five checkpoints", (states(5),)),
        Case("float64", (states(4, torch.float64),)),
        Case("checkpoints that lie far apart", (states(3, size=100.0),)),
        Case("one checkpoint", (states(1),), part=EDGE, traits=("there is one checkpoint",), apart=True),
        Case("bfloat16 beside float32", (mixed,), part=EDGE, traits=("weights have 16 bits",)),
        Case("float16, large numbers", (large,), part=EDGE, traits=("weights have 16 bits",)),
        Case("float32, large numbers cancel", (cancelling,), part=EDGE, traits=("large numbers cancel",)),
    ]


AVERAGING = Exercise(
    number="7.5",
    title="Averaging checkpoints",
    points=2,
    difficulty=2,
    minutes=15,
    section="§6.1",
    reference=average_states,
    cases=_average_cases,
    returns=("weights",),
    misconceptions=AVERAGES,
    hints=(
        "For one name it is the mean of as many tensors as there are checkpoints. The result is a dictionary with the "
        "same names.",
        "Start with an empty dictionary and add up, name by name: `total[name] = total.get(name, 0) + "
        "tensor.double()`. That makes a new tensor and leaves the checkpoint's own as it is.",
        "Then `{name: (tensor / count).to(state[name].dtype) for name, tensor in total.items()}`, where `state` is any "
        "one of the checkpoints.",
    ),
)


def _stop_cases(generator: Generator) -> list[Case]:
    high, low = (5 + torch.rand(2, generator=generator, dtype=torch.float64)).tolist()
    high, low = max(high, low) + 0.1, min(high, low)
    nan = float("nan")
    return [
        Case("two without gain", ([high, low, low + 0.2, low + 0.1, low + 0.4, high, 1.0], 2)),
        Case("a gain in between", ([high, low, low + 0.3, low - 0.5, low, low + 0.1, high, high, 1.0], 2)),
        Case(
            "better than before, not than the best",
            ([high, low, low + 0.4, low + 0.3, low + 0.2, low + 0.1, low + 0.05, 0.5], 3),
        ),
        Case("patience 1", ([high, low, 3.0, 2.0, 2.5, 2.4, 2.3, 1.0], 1), traits=("patience is 1",)),
        Case("small gains", ([high, low, low - 0.002, low - 0.003, low - 0.004, low, high, 1.0], 2),
             traits=("gains are small",)),
        Case("tiny gains", ([high, low, low - 1e-7, low - 2e-7, low - 3e-7, low, high, 1.0], 2),
             traits=("gains are tiny", "gains are small")),
        Case("it never comes to that", ([high, low, low + 1, 3.0, 2.0], 2)),
        Case("several pauses", ([high, low, low + 1, 3.0, 3.5, 2.0, 2.5, 2.2, 1.0, 1.5, 1.2, 1.1, 1.3, 1.4, 0.1], 3)),
        Case("the first stays the best", ([low, high, high, high, high, high, 1.0], 3)),
        Case("a tie", ([high, low, low, low, high, high, 1.0], 2), part=EDGE, traits=("two losses are equal",)),
        Case("no early stopping", ([high, low, high, high, high, high], 0), part=EDGE, traits=("patience is 0",)),
        Case("NaN", ([high, low, nan, nan, high, high, 1.0], 2), part=EDGE,
             traits=("a loss is NaN", "a loss in between is NaN")),
        Case("NaN first", ([nan, high, low, high, low + 0.1, high], 0), part=EDGE, traits=("a loss is NaN", FIRST)),
        Case("NaN first, with patience", ([nan, nan, high, low, high, 1.0], 3), part=EDGE,
             traits=("a loss is NaN", FIRST)),
        Case("a single validation", ([low], 2), part=EDGE),
    ]  # fmt: skip


STOPPING = Exercise(
    number="7.6",
    title="Early stopping",
    points=1,
    difficulty=2,
    minutes=15,
    section="§5",
    reference=early_stop,
    cases=_stop_cases,
    returns=("best", "stop"),
    misconceptions=STOPS,
    hints=(
        "Go through the losses and remember three things: the best loss so far, where it was, and how many validations "
        "there have been since.",
        "`if loss < best_loss:` remember all three anew, with the count at 0; `else:` the count grows by one.",
        "`if 0 < patience <= without_gain: return best, index` inside of the loop, `return best, len(losses) - 1` "
        "after it.",
    ),
    optional=True,
)
