"""Why an answer is wrong: the declared misconception that gives the learner's numbers, else what can be seen from
outside (parts in the wrong order, transposed, an ignored input, wrong in one kind of case only).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from utils.exercises.calling import Outcome, form_of, input_names, run_case
from utils.exercises.changes import same_bits
from utils.exercises.damage import HELD
from utils.exercises.declare import Case, Exercise, Misconception
from utils.exercises.nearness import close
from utils.exercises.sameness import alike
from utils.exercises.structure import digits_apart, leaves, size, tensors
from utils.exercises.surroundings import TooSlow, time_limit

MODE = "the module is in"
NUMERIC = ("values", "finite", "shape", "structure", "dtype", "gradients")


@dataclass(frozen=True)
class Explanation:
    """Why an answer is wrong."""

    misconception: str | None  # the name of the declared one, where it is one
    sentence: str
    trial: Any  # the wrong case that shows it


def explanation_of(
    exercise: Exercise, call: Callable, trials: Sequence, worst: Any, seed: int, fill: int
) -> Explanation:
    """Why the answer is wrong; an empty explanation when nothing fits. call(case, seed, fill): the answer on a
    further case, an Outcome, or None where it cannot be called any more.

    A misconception that agrees with the answer in every case comes first, then one that agrees wherever the answer
    is wrong, then one that agrees in all wrong cases of the part in which the worst one lies (a second error may
    hide the first elsewhere), then the one that agrees in most, if in two thirds of the wrong cases. A misconception
    that is declared `everywhere` is told in the first way only. One that more right cases speak against than wrong
    ones for is not told: the answer's error is another one.
    """
    tried = [(index, trial) for index, trial in enumerate(trials) if trial.outcome is not None]
    wrong = [pair for pair in tried if pair[1].finding]
    right = [pair for pair in tried if not pair[1].finding]
    same_part = [pair for pair in wrong if pair[1].case.part == worst.case.part]
    told: list[tuple[Misconception, dict[int, bool]]] = []
    for misconception in exercise.misconceptions:
        agreement = _agreement(exercise, misconception, wrong, same_part, seed)
        if agreement is None:
            continue
        against = sum(not _agrees(exercise, misconception, trial, seed + index) for index, trial in right)
        if all(agreement.values()) and not against:
            return Explanation(misconception.name, misconception.sentence, worst)
        if not misconception.everywhere and against <= sum(agreement.values()):
            told.append((misconception, agreement))
    for group in (wrong, same_part if len(same_part) > 1 else []):
        for misconception, agreement in told:
            if group and all(agreement[index] for index, _ in group):
                return Explanation(misconception.name, misconception.sentence, worst)
    likely = max(told, key=lambda pair: sum(pair[1].values()), default=None)
    if likely is not None and 3 * sum(likely[1].values()) >= 2 * len(wrong):
        misconception, agreement = likely
        explained = [trial for index, trial in wrong if agreement[index]]
        sentence = f"In {len(explained)} of {len(wrong)} wrong cases: {misconception.sentence}"
        return Explanation(misconception.name, sentence, next((t for t in explained if t is worst), explained[0]))
    if worst.finding.level == "held on to":  # looked at in some cases only, which says nothing of the others
        return Explanation(None, "", worst)
    if worst.finding.level not in NUMERIC:
        return Explanation(None, _only_there(tried, wrong, worst), worst)
    sentence = _seen_from_outside(exercise, call, tried, wrong, worst, seed, fill)
    return Explanation(None, sentence, worst)


def _agreement(
    exercise: Exercise, misconception: Misconception, wrong: list, same_part: list, seed: int
) -> dict[int, bool] | None:
    """In which wrong cases the misconception agrees; None as soon as they are too few for it to be told."""
    important = {index for index, _ in same_part}
    agreement: dict[int, bool] = {}
    for index, trial in same_part + [pair for pair in wrong if pair[0] not in important]:
        agreement[index] = _agrees(exercise, misconception, trial, seed + index)
        apart = {index for index, agrees in agreement.items() if not agrees}
        if apart and misconception.everywhere:
            return None
        if 3 * len(apart) > len(wrong) and apart & important:
            return None
    return agreement


def explanation_of_property(
    exercise: Exercise, cases: Sequence[Case], outcomes: Sequence[Outcome], seed: int
) -> tuple[str | None, str]:
    """The same for an answer with right numbers of which a property does not hold: cases and outcomes of that one."""
    for case in cases:  # what is slow the first time, as imports are, must not be cut short in what follows
        run_case(exercise, exercise.reference, case, seed)
    for misconception in exercise.misconceptions:
        try:
            with time_limit(1.0):
                own = [run_case(exercise, misconception.answer, case, seed) for case in cases]
        except TooSlow:
            continue
        if all(alike(one, other) for one, other in zip(own, outcomes, strict=True)):
            return misconception.name, misconception.sentence
    return None, ""


def _agrees(exercise: Exercise, misconception: Misconception, trial: Any, seed: int) -> bool:
    """Whether the misconception gives on this case what the learner's code gave."""
    try:
        with time_limit(1.0):
            outcome = run_case(exercise, misconception.answer, trial.case, seed)
    except TooSlow:
        return False
    seen = trial.outcome
    if trial.finding and trial.finding.level != "held on to":  # what else is wrong is what is to be explained
        seen = replace(seen, damaged=tuple(name for name in seen.damaged if name not in HELD))
    return alike(outcome, seen, trial.case.tolerance)


def _seen_from_outside(
    exercise: Exercise, call: Callable, tried: list, wrong: list, worst: Any, seed: int, fill: int
) -> str:
    pairs = [
        (_plain(trial.expected.value), _plain(trial.outcome.value)) for _, trial in wrong if not trial.outcome.trouble
    ]
    if sentence := _wrong_order(exercise, pairs) or _turned(exercise, pairs) or _scaled(exercise, pairs):
        return sentence
    if sentence := _ignored(exercise, call, wrong, worst, seed, fill):
        return sentence
    return _only_there(tried, wrong, worst)


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _wrong_order(exercise: Exercise, pairs: list[tuple[Any, Any]]) -> str:
    if not all(isinstance(have, tuple) and len(have) == 2 for pair in pairs for have in pair):
        return ""
    if all(alike(Outcome(want), Outcome(got[::-1])) for want, got in pairs):
        order = f"({', '.join(exercise.returns)})" if exercise.returns else "the other one"
        return f"Both parts are right, but in the wrong order; asked for is {order}."
    return ""


def _parts(pairs: list[tuple[Any, Any]], index: int | None) -> list[tuple[Any, Any]] | None:
    """The pairs' parts number `index`, or the pairs themselves; None where they are no tensors."""
    if index is not None:
        if not all(isinstance(have, tuple) and len(have) > index for pair in pairs for have in pair):
            return None
        pairs = [(want[index], got[index]) for want, got in pairs]
    if not all(_ordinary(have) for pair in pairs for have in pair):
        return None
    return [(want.detach(), got.detach()) for want, got in pairs]


def _ordinary(value: Any) -> bool:
    """Whether something is a tensor whose numbers can be compared here."""
    return (
        isinstance(value, Tensor)
        and value.device.type == "cpu"
        and value.layout == torch.strided
        and not value.is_complex()
    )


def _each_part(exercise: Exercise, pairs: list[tuple[Any, Any]]) -> list[tuple[str, list[tuple[Tensor, Tensor]]]]:
    """("weights", [(expected, got), …]) for each part of what is returned that differs somewhere."""
    indices = [None] if not isinstance(pairs[0][0], tuple) else range(len(pairs[0][0]))
    found = []
    for index in indices:
        parts = _parts(pairs, index)
        if parts is None or all(close(got, want) for want, got in parts):
            continue
        names = exercise.returns
        name = names[index or 0] if len(names) > (index or 0) else "result"
        found.append((name, parts))
    return found


def _turned(exercise: Exercise, pairs: list[tuple[Any, Any]]) -> str:
    for name, parts in _each_part(exercise, pairs):
        if all(want.dim() >= 2 and got.dim() >= 2 and close(got.transpose(-2, -1), want) for want, got in parts):
            return f"Your {name} would be right if the last two axes were exchanged: rows and columns are swapped."
    return ""


def _scaled(exercise: Exercise, pairs: list[tuple[Any, Any]]) -> str:
    for name, parts in _each_part(exercise, pairs):
        if not all(w.is_floating_point() and g.shape == w.shape and bool(g.isfinite().all()) for w, g in parts):
            continue
        if sum(want.numel() for want, _ in parts) < 2:  # any one number is some factor times another
            continue
        parts = [(want.detach(), got.detach()) for want, got in parts]  # what a module gives carries a graph
        factors = [(got.double() * want.double()).sum() / want.double().square().sum() for want, got in parts]
        factored = zip(parts, factors, strict=True)
        fits = all(close(got.double() / factor, want.double(), 1e-4) for (want, got), factor in factored)
        spread = max(factors) - min(factors)
        if fits and all(factor.isfinite() and factor != 0 for factor in factors) and abs(spread) < 1e-4:
            factor = factors[0].item()
            if math.isclose(factor, 1, rel_tol=1e-4):  # a want of precision, not a factor
                continue
            if math.isclose(factor, -1, rel_tol=1e-4):
                return f"Your {name}: the sign is wrong, and only the sign."
            factor = f"{factor:.{digits_apart(abs(factor), 1.0)}g}"
            return f"Every number of your {name} is {factor} times the expected one."
    return ""


def _ignored(exercise: Exercise, call: Callable, wrong: list, worst: Any, seed: int, fill: int) -> str:
    """An input that the reference listens to and the answer does not, whatever is put in its place: in the worst case
    and, lest that was chance, in up to two other wrong ones.
    """
    if worst.finding.level != "values":  # what is no number at all stays the same with any input
        return ""
    if not _telling(worst.outcome.value):
        return ""
    others = [pair for pair in wrong if pair[1] is not worst and pair[1].finding.level == "values"]
    others = others[:1] + others[1:][-1:]
    index = next(index for index, trial in wrong if trial is worst)
    names = list(input_names(form_of(exercise), worst.case))
    for position in range(len(worst.case.arguments)):
        deaf = _deaf(exercise, call, worst, position, seed + index, fill)
        if deaf is None:
            continue
        if deaf and all(_deaf(exercise, call, t, position, seed + i, fill) is not False for i, t in others):
            return f"Your result stays the same whatever `{names[position]}` is."
    return ""


def _deaf(exercise: Exercise, call: Callable, trial: Any, position: int, seed: int, fill: int) -> bool | None:
    """Whether the answer gives the same for every other argument at that position for which the reference gives
    something else; None where there is no such argument.
    """
    if position >= len(trial.case.arguments) or trial.outcome.trouble is not None:
        return None
    generator = torch.Generator().manual_seed(seed + 7)
    value, heard = trial.case.arguments[position], None
    for other in _others(value, generator):
        arguments = tuple(
            other if i == position or (value is earlier and i < position) else earlier
            for i, earlier in enumerate(trial.case.arguments)
        )
        case = Case("changed", arguments, trial.case.keywords, build=trial.case.build,
                    build_keywords=trial.case.build_keywords, training=trial.case.training,
                    own_weights=trial.case.own_weights, times=trial.case.times, changes=trial.case.changes)  # fmt: skip
        expected = run_case(exercise, exercise.reference, case, seed)
        if expected.trouble is not None or alike(expected, trial.expected):
            continue
        got = call(case, seed, fill)
        if got is None or got.trouble is not None or not _unmoved(got.value, trial.outcome.value):
            return False
        heard = True
    return heard


def _telling(value: Any) -> bool:
    """Whether a result holds so much that it does not stay the same by chance, as True or False does."""
    return size(value) >= 8 or any(tensor.is_floating_point() for tensor in tensors(value))


def _unmoved(now: Any, before: Any) -> bool:
    """Whether a result is the same to the last bit: beside a number of −10⁹ others may change within any tolerance."""
    pairs = zip(leaves(now), leaves(before), strict=False)
    if [way for way, _ in leaves(now)] != [way for way, _ in leaves(before)]:
        return False
    return all(
        same_bits(one, other) if isinstance(one, Tensor) and isinstance(other, Tensor) else _equal(one, other)
        for (_, one), (_, other) in pairs
    )


def _equal(one: Any, other: Any) -> bool:
    try:
        return type(one) is type(other) and bool(one == other)
    except Exception:
        return False


def _others(value: Any, generator: torch.Generator) -> list[Any]:
    """Different values of the same kind; none where there is none to draw."""
    if not isinstance(value, Tensor) or value.numel() == 0:
        return []
    if value.dtype == torch.bool:
        return [~value, torch.rand(value.shape, generator=generator) > 0.5]
    if value.is_floating_point():
        return [torch.randn(value.shape, generator=generator, dtype=torch.float64).to(value.dtype) for _ in range(3)]
    return []


def _only_there(tried: list, wrong: list, worst: Any) -> str:
    """What all wrong cases share and no right one has."""
    for group, sentence in (
        (wrong, "It is wrong exactly where this holds: {}. Everywhere else it is right."),
        ([pair for pair in wrong if pair[1].finding.level == worst.finding.level],
         "That happens exactly where this holds: {}."),
    ):  # fmt: skip
        indices = {index for index, _ in group}
        found = {trait for _, trial in group for trait in traits_of(trial.case)}
        for trait in sorted(found, key=lambda trait: (trait.startswith(MODE), trait)):  # the mode explains least
            if len(group) < len(tried) and _with(tried, trait) == indices:
                return sentence.format(trait)
    return ""


def _with(tried: list, trait: str) -> set[int]:
    return {index for index, trial in tried if trait in traits_of(trial.case)}


def traits_of(case: Case) -> set[str]:
    """What can be said of a case: its own traits, and what is seen from its inputs."""
    traits = set(case.traits)
    inputs = [value for value in case.arguments if isinstance(value, Tensor)]
    if any(tensor.dtype == torch.float64 for tensor in inputs):
        traits.add("the inputs are float64")
    if case.gradients:
        traits.add("gradients are asked for")
    if case.earlier:
        traits.add("the same module has been called before, with other inputs")
    if case.build:
        traits.add(f"{MODE} training mode" if case.training else f"{MODE} evaluation mode")
    return traits
