"""What goes wrong in averaging checkpoints (7.5) and in stopping early (7.6), and what puts it right."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from utils.exercises.declare import Misconception

# 7.5, averaging checkpoints ───────────────────────────────────────────────────────────────────────────────────────


def average_with(mean: Callable) -> Callable:
    """An answer to 7.5 that takes another mean of the tensors of one name."""

    def answer(states: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        return {name: mean([state[name] for state in states]) for name in states[0]}

    return answer


def exact_mean(tensors: list[Tensor]) -> Tensor:
    return torch.stack([tensor.double() for tensor in tensors]).mean(dim=0)


def halving(tensors: list[Tensor]) -> Tensor:
    mean = tensors[0].double()
    for tensor in tensors[1:]:
        mean = (mean + tensor.double()) / 2
    return mean.to(tensors[0].dtype)


def in_its_own_format(tensors: list[Tensor]) -> Tensor:
    total = tensors[0].clone()
    for tensor in tensors[1:]:
        total = total + tensor
    return total / len(tensors)


def into_the_first(states: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    for name, tensor in states[0].items():
        mean = exact_mean([state[name] for state in states])
        tensor.copy_(mean)
    return states[0]


def divided_by_names(states: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    means = {name: exact_mean([state[name] for state in states]) for name in states[0]}
    factor = len(states) / len(means)
    return {name: (factor * mean).to(states[0][name].dtype) for name, mean in means.items()}


def added_into_a_double(states: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    total = {name: tensor.double() for name, tensor in states[0].items()}
    for state in states[1:]:
        for name, tensor in state.items():
            total[name] += tensor.double()
    return {name: (tensor / len(states)).to(states[0][name].dtype) for name, tensor in total.items()}


AVERAGES = (
    Misconception(
        "the sum",
        average_with(lambda tensors: (exact_mean(tensors) * len(tensors)).to(tensors[0].dtype)),
        "You add the weights up and do not divide by the number of checkpoints.",
    ),
    Misconception(
        "the last one",
        average_with(lambda tensors: tensors[-1].clone()),
        "You return the weights of the last checkpoint: the others play no part.",
    ),
    Misconception(
        "the first one",
        average_with(lambda tensors: tensors[0].clone()),
        "You return the weights of the first checkpoint: the others play no part.",
    ),
    Misconception(
        "first and last only",
        average_with(lambda tensors: exact_mean([tensors[0], tensors[-1]]).to(tensors[0].dtype)),
        "Your mean is that of the first and the last checkpoint: those in between play no part.",
    ),
    Misconception(
        "halved again and again",
        average_with(halving),
        "(mean + next) / 2, one after the other, gives the last checkpoint half of the weight, the one before it a "
        "quarter, and so on. Add up all first, then divide once by their number.",
    ),
    Misconception(
        "one division too many",
        average_with(lambda tensors: (exact_mean(tensors) * len(tensors) / (len(tensors) + 1)).to(tensors[0].dtype)),
        "You divide by one more than there are checkpoints.",
    ),
    Misconception(
        "divided by the number of names",
        divided_by_names,
        "You divide by the number of names in a checkpoint: `len(state)` counts weights, `len(states)` checkpoints.",
    ),
    Misconception(
        "added up in its own format",
        average_with(in_its_own_format),
        "You add up in the weights' own format. In float16 the sum overflows beyond 65 504, and every sum of 16-bit or "
        "32-bit numbers is rounded: add up `tensor.double()`, and turn the mean back at the end.",
    ),
    Misconception(
        "the mean of its own format",
        average_with(lambda tensors: torch.stack(tensors).mean(dim=0)),
        "You take the mean in the weights' own format, so that every sum is rounded. Asked for is a mean in float64: "
        "`tensor.double()` first, and `.to(tensor.dtype)` at the end.",
    ),
    Misconception(
        "shares in its own format",
        average_with(lambda tensors: sum(tensor / len(tensors) for tensor in tensors)),
        "You divide and add up in the weights' own format, so that every step is rounded. Asked for is a mean in "
        "float64: `tensor.double()` first, and `.to(tensor.dtype)` at the end.",
    ),
    Misconception(
        "added up in float32",
        average_with(lambda tensors: torch.stack([t.float() for t in tensors]).mean(dim=0).to(tensors[0].dtype)),
        "You add up in float32. Asked for is a mean in float64: `tensor.double()` in place of `tensor.float()`.",
    ),
    Misconception(
        "the dtype changes",
        average_with(exact_mean),
        "The numbers are right, but come back in float64. The model that they are loaded into has another format: "
        "`.to(tensor.dtype)` in the end.",
    ),
    Misconception(
        "always float32",
        average_with(lambda tensors: exact_mean(tensors).float()),
        "Your mean is always float32. A checkpoint in another format should come back in its own: `.to(tensor.dtype)`.",
    ),
    Misconception(
        "double makes no copy of float64",
        added_into_a_double,
        "`.double()` of a tensor that is float64 already is that tensor itself, no copy: `+=` then adds into the first "
        "checkpoint. `total = total + tensor` makes a new one.",
    ),
    Misconception(
        "written into the first",
        into_the_first,
        "You write the mean into the first checkpoint's own tensors, which its owner still needs: make new ones.",
    ),
)

# 7.6, early stopping ──────────────────────────────────────────────────────────────────────────────────────────────


def stop_with(
    better: Callable = lambda loss, best, before: loss < best, reset: bool = True, late: int = 0,
    zero_stops: bool = False,
    told: Callable = lambda losses, best, stop, patience: (best, stop),
) -> Callable:  # fmt: skip
    """An answer to 7.6 with another rule. late: after how many more validations it ends."""

    def answer(losses: list[float], patience: int) -> tuple[int, int]:
        best_loss, best, without, before = math.inf, 0, 0, math.inf
        for index, loss in enumerate(losses):
            if better(loss, best_loss, before):
                best_loss, best, without = loss, index, 0 if reset else without
            else:
                without += 1
            before = loss
            if (patience or zero_stops) and without >= patience + late:
                return told(losses, best, index, patience)
        return told(losses, best, len(losses) - 1, patience)

    return answer


def first_is_best(losses: list[float], patience: int) -> tuple[int, int]:
    best, without = 0, 0
    for index, loss in enumerate(losses):
        if index and loss < losses[best]:
            best, without = index, 0
        elif index:
            without += 1
        if 0 < patience <= without:
            return best, index
    return best, len(losses) - 1


def lowest(losses: list[float]) -> int:
    """The index of the smallest number that is one."""
    return min((loss, index) for index, loss in enumerate(losses) if loss == loss)[1]


def without_nan(losses: list[float], patience: int) -> tuple[int, int]:
    kept = [index for index, loss in enumerate(losses) if loss == loss]
    best, stop = stop_with()([losses[index] for index in kept], patience)
    return kept[best], kept[stop]


STOPS = (
    Misconception(
        "one too late",
        stop_with(late=1),
        "You stop one validation too late: the training ends with the `patience`-th in a row that brought no gain.",
    ),
    Misconception(
        "one too early",
        stop_with(late=-1),
        "You stop one validation too early: `patience` validations in a row have to be without gain.",
    ),
    Misconception(
        "not in a row",
        stop_with(reset=False),
        "You count all validations without gain. Only those in a row count: a new best loss sets the count back to 0.",
    ),
    Misconception(
        "better than the one before",
        stop_with(better=lambda loss, best, before: loss < before),
        "You compare with the validation before. A loss that comes down from a bad value is no gain as long as it "
        "stays above the best so far.",
    ),
    Misconception(
        "a tie is a gain",
        stop_with(better=lambda loss, best, before: loss <= best),
        "You count an equal loss as a gain. Asked for is a loss *below* the best so far.",
    ),
    Misconception(
        "a gain must be large",
        stop_with(better=lambda loss, best, before: loss < best - 0.01),
        "You ask for a gain of some size. Here every loss below the best so far is one, however small the gain.",
    ),
    Misconception(
        "a gain of 0.0001",
        stop_with(better=lambda loss, best, before: loss < best - 1e-4),
        "You ask for a gain of some size. Here every loss below the best so far is one, however small the gain.",
    ),
    Misconception(
        "a glance at what was never trained",
        stop_with(told=lambda losses, best, stop, patience: (lowest(losses), stop)),
        "Your best is the best of the whole list. What comes after the stop was never trained, so it cannot be chosen.",
    ),
    Misconception(
        "patience 0 stops at once",
        stop_with(zero_stops=True),
        "With patience = 0 you stop at once. Here 0 stands for no early stopping at all.",
    ),
    Misconception(
        "NaN is a gain",
        stop_with(better=lambda loss, best, before: not loss >= best),
        "A comparison with NaN is always False, so `not loss >= best` takes it for a gain. `loss < best` does not.",
    ),
    Misconception(
        "the first is the best to begin with",
        first_is_best,
        "You take the first loss for the best so far without asking whether it is a number. Where it is NaN, no later "
        "loss is below it. Begin with `float('inf')`: then NaN is no gain, at the first validation as at any other.",
    ),
    Misconception(
        "NaN ends the training",
        lambda losses, patience: stop_with()(losses[: [*map(math.isnan, losses), True].index(True) + 1], patience),
        "You stop at a loss that is NaN. Here it counts as a validation without gain, like any other.",
    ),
    Misconception(
        "NaN is left out",
        without_nan,
        "You leave out losses that are NaN. Here each counts as a validation without gain, like any other.",
    ),
    Misconception(
        "ends behind the last",
        lambda losses, patience: stop_with(
            told=lambda losses, best, stop, patience: (best, stop + (stop == len(losses) - 1))
        )(losses, patience),
        "Where nothing stops the training, you return the number of validations. Counted from 0, the last of them is "
        "`len(losses) - 1`.",
    ),
    Misconception(
        "the loss, not where",
        stop_with(told=lambda losses, best, stop, patience: (losses[best], stop)),
        "You return the best loss itself; asked for is which validation it was, counted from 0.",
    ),
    Misconception(
        "never stops",
        stop_with(late=10**9),
        "You go on to the end, whatever `patience` says.",
    ),
    Misconception(
        "the other way round",
        stop_with(told=lambda losses, best, stop, patience: (stop, best)),
        "Both numbers are right, but in the wrong order: asked for is (best, stop).",
    ),
)
