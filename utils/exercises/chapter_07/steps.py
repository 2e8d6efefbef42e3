"""Exercises 7.3 and 7.4: one training step, and gradient accumulation (§5.1, §5.3)."""

from collections.abc import Callable

import torch
from torch import Generator

from utils.exercises.chapter_07.models import LeftOver, RoomForOne, Small, adam, batch, in_two_groups, sgd
from utils.exercises.chapter_07.references import accumulated_updates, training_step
from utils.exercises.chapter_07.words import EDGE, EVALUATION, GROUPS, LEFT, TWICE, UNEVEN
from utils.exercises.chapter_07.wrong_accumulation import ACCUMULATIONS
from utils.exercises.chapter_07.wrong_steps import STEPS
from utils.exercises.declare import Case, Exercise, Property
from utils.exercises.nearness import close

NEAR = 1e-6  # of what is compared: all is float64, but a loss taken through float32 shall pass


def _step_cases(generator: Generator) -> list[Case]:
    def case(
        name: str, lengths: list[int], rate: float, make: Callable = sgd, dropout: float = 0.0, training: bool = True,
        more: tuple = (), model: Small | None = None, **options,
    ) -> Case:  # fmt: skip
        model = (model or Small(generator, dropout)).train(training)
        arguments = model, make(model), *batch(generator, lengths), rate, *more
        return Case(name, arguments, changes=("model",), tolerance=NEAR, **options)

    single = Small(generator, dtype=torch.float32)
    return [
        case("one update", [3, 2], 0.1),
        case("another rate", [4, 2, 3], 0.02, training=False),
        case("three updates", [3, 1], 0.1, times=3, traits=(TWICE,)),
        case("three updates with momentum", [2, 3], 0.05, lambda m: sgd(m, 0.9), times=3, traits=(TWICE,)),
        case("one update with Adam", [2, 2], 0.01, adam),
        case("three updates with Adam", [3, 2], 0.02, adam, times=3, traits=(TWICE,)),
        case("ε = 0.3", [3, 3], 0.1, more=(0.3,)),
        case("ε = 0", [2, 4], 0.1, more=(0.0,)),
        case("dropout, training mode", [3, 2], 0.1, dropout=0.5),
        case("dropout, the model was translating", [3, 2], 0.1, dropout=0.5, training=False, traits=(EVALUATION,)),
        Case("float32", (single, sgd(single), *batch(generator, [2, 3]), 0.1), changes=("model",), tolerance=1e-4),
        case("two parameter groups", [3, 2], 0.07, in_two_groups, part=EDGE, traits=(GROUPS,)),
        case("gradients left over", [3, 2], 0.1, model=LeftOver(generator), part=EDGE, traits=(LEFT,)),
        case("what is returned", [3, 4], 0.1, part=EDGE, apart=True),
        case("one sentence of one token", [1], 0.1, part=EDGE),
        case("a rate of 0", [2, 1], 0.0, part=EDGE),
    ]  # fmt: skip


STEP = Exercise(
    number="7.3",
    title="One training step",
    points=2,
    difficulty=2,
    minutes=15,
    section="§5.1, §5.3",
    reference=training_step,
    cases=_step_cases,
    returns=("loss", "weights"),
    misconceptions=STEPS,
    hints=(
        "Six things: the mode, the rate, the loss, and three calls that turn the loss into a step. Which of those "
        "three would go wrong if gradients of an earlier update were still lying in the model?",
        "`model.train()`; then `group['lr'] = rate` for every group of `optimiser.param_groups`; then the loss of "
        "`model(source, decoder_input)` against `wanted`, with `smoothing`.",
        "`optimiser.zero_grad()`, `loss.backward()`, `optimiser.step()`, in this order, and `return loss.item()`.",
    ),
)


def _accumulation_cases(generator: Generator) -> list[Case]:
    def case(
        name: str, groups: list[list[int]], accumulate: int, d_model: int = 16, warmup: int = 4, make: Callable = sgd,
        dropout: float = 0.0, model: Small | None = None, longest: int | None = None, **options,
    ) -> Case:  # fmt: skip
        model = (model or Small(generator, dropout)).train(dropout == 0)
        batches = [batch(generator, lengths, longest) for lengths in groups]
        arguments = model, make(model), batches, accumulate, d_model, warmup
        return Case(name, arguments, changes=("model",), tolerance=NEAR, **options)

    uneven = {"traits": (UNEVEN,)}
    return [
        case("two batches, one update", [[3, 2], [1]], 2, **uneven),
        case("four batches, two updates", [[3], [1, 2], [2, 2], [1]], 2, **uneven),
        case("six batches, three updates", [[2], [4], [1], [3, 3], [2], [1, 1]], 2, warmup=2, **uneven),
        case("six batches, two updates", [[2], [4], [1, 1], [3], [2, 2], [1]], 3, d_model=9, **uneven),
        case("Adam", [[3, 2], [1], [2], [4, 4]], 2, make=adam, **uneven),
        case("momentum", [[3], [1], [2], [4, 4]], 2, make=lambda m: sgd(m, 0.9), **uneven),
        case("momentum, called twice", [[3], [1], [2], [4, 4]], 2, make=lambda m: sgd(m, 0.9), times=2,
             traits=(UNEVEN, TWICE)),
        case("batches of equal size", [[2, 2], [3, 1], [4], [1, 3]], 2),
        case("with dropout", [[3, 2], [1], [2], [4]], 2, dropout=0.4, traits=(UNEVEN, EVALUATION)),
        case("one batch an update", [[3, 2], [1], [2]], 1, part=EDGE, traits=("accumulate is 1",)),
        case("one batch is left over", [[3], [1, 2], [2, 2]], 2, part=EDGE, traits=("batches are left over",)),
        case("two parameter groups", [[3, 2], [1]], 2, make=in_two_groups, part=EDGE, traits=(UNEVEN, GROUPS)),
        case("a group without a real token", [[3], [2, 1], [0, 0], [0], [1], [2, 3]], 2, longest=3, part=EDGE,
             make=lambda m: sgd(m, 0.9), traits=(UNEVEN, "a group has no real token")),
        case("what is returned", [[2, 3], [1]], 2, part=EDGE, apart=True, **uneven),
        case("room for one batch's graph", [[2, 3], [1], [3], [2]], 2, model=RoomForOne(generator), part=EDGE,
             traits=("there is memory for one batch only",)),
    ]  # fmt: skip


def _one_large_batch(generator: Generator) -> list[Case]:
    model = Small(generator)
    parts = [batch(generator, lengths, 5) for lengths in ([5, 1], [2], [3, 4, 1])]
    whole = tuple(torch.cat(tensors) for tensors in zip(*parts, strict=True))
    sizes = dict(changes=("model",), tolerance=NEAR)
    return [
        Case("three batches", (model, sgd(model), parts, 3, 16, 4), **sizes),
        Case("all sentences in one", (model, sgd(model), [whole], 1, 16, 4), **sizes),
    ]


def _same_update(cases: list[Case], results: list) -> bool:
    (losses, weights), (loss, once) = results
    same = all(close(weights[name], once[name], NEAR) for name in weights)
    return same and len(losses) == len(loss) == 1 and abs(float(losses[0]) - float(loss[0])) < 1e-6


ACCUMULATING = Exercise(
    number="7.4",
    title="Gradient accumulation",
    points=3,
    difficulty=4,
    minutes=30,
    section="§5.1, §5.3",
    reference=accumulated_updates,
    cases=_accumulation_cases,
    properties=(
        Property(
            "several small batches do what one large one does",
            _one_large_batch,
            _same_update,
            "Three batches with accumulate = 3 must move the weights to where one batch with all their sentences moves "
            "them.",
        ),
    ),
    returns=("losses", "weights"),
    misconceptions=ACCUMULATIONS,
    hints=(
        "The loss of one large batch is Σ (loss of a token) / (all real tokens). By what must the *mean* loss of a "
        "small batch be multiplied to be its part of that sum?",
        "For each group: count its real tokens, `zero_grad()` once; then for each batch (its real tokens / those of "
        "the group, at least 1) · `smoothed_cross_entropy(…)`, and `backward()` at once; then rate and `step()`, once.",
        "`for start in range(0, len(batches) - accumulate + 1, accumulate): group = batches[start : start + "
        "accumulate]` leaves the rest out. The rate is `paper_schedule(number, d_model, warmup)`, where `number` "
        "counts the updates from 1.",
    ),
)
