"""An answer against its exercise: run, judge, explain. Nothing is shown or stored here."""

import inspect
import os
import time
from collections.abc import Callable
from typing import Any

from torch import Generator, nn

from utils.exercises.calling import Outcome, Trouble, fill_count, run_case
from utils.exercises.declare import Case, Exercise, Property
from utils.exercises.judging import NothingCompared, require_comparable
from utils.exercises.report import Report
from utils.exercises.rules import forbidden_use
from utils.exercises.structure import kind_of
from utils.exercises.surroundings import TooSlow, learner_lines, state_preserved, time_limit
from utils.exercises.verdict import (
    PropertyTrial,
    Trial,
    judged,
    judged_property,
    properties_judgeable,
    repeated,
    report_on,
)

SECONDS = 10.0  # that an answer may take in all; a check with plain loops takes well under one


def drawn_cases(exercise: Exercise, seed: int) -> list[Case]:
    """The cases of an exercise for a seed; raises NothingCompared when there are none."""
    cases = exercise.cases(Generator().manual_seed(seed))
    if not cases:
        raise NothingCompared(f"Exercise {exercise.number} draws no cases.")
    return cases


def drawn_for_property(exercise: Exercise, declared: Property, seed: int) -> list[Case]:
    """The cases of a property for a seed; raises NothingCompared when there are none."""
    cases = declared.draw(Generator().manual_seed(seed))
    if not cases:
        raise NothingCompared(f"Exercise {exercise.number}, property {declared.name!r} draws no cases.")
    return cases


def examine(exercise: Exercise, answer: Any, seed: int | None = None, seconds: float = SECONDS) -> Report:
    """Checks an answer on inputs drawn from the seed, or from a new one."""
    seed = int.from_bytes(os.urandom(4), "little") if seed is None else seed
    with state_preserved():
        cases = drawn_cases(exercise, seed)
        if sentence := _unfit(exercise, answer, cases):
            return Report(exercise.number, exercise.title, False, 0, exercise.points, message=sentence, seed=seed)
        expected = [run_case(exercise, exercise.reference, case, seed + i) for i, case in enumerate(cases)]
        for case, outcome in zip(cases, expected, strict=True):
            require_comparable(exercise, case, outcome)
        deadline = time.monotonic() + seconds
        ways = 1 if all(case.own_weights for case in cases) else fill_count(exercise)  # to fill in weights
        for fill in range(ways):
            trials = _try_all(exercise, answer, cases, expected, seed, fill, deadline, seconds)
            if fill == 0:
                first = trials
            if not any(trial.finding for trial in trials):
                break
        else:
            fill, trials = 0, first
        properties = _try_properties(exercise, answer, seed, fill, deadline, seconds, trials)

        def call(case: Case, case_seed: int, case_fill: int) -> Outcome:
            return _run(exercise, answer, case, case_seed, case_fill, time.monotonic() + 1.0, seconds)

        return report_on(exercise, call, seed, fill, trials, properties)


def _unfit(exercise: Exercise, answer: Any, cases: list[Case]) -> str | None:
    """What is wrong with the answer before it is run."""
    call = f"check({exercise.number!r}, {exercise.name})"
    if answer is None:
        return f"There is nothing to check: hand over what you wrote, as in {call}."
    if exercise.kind == "module" and isinstance(answer, nn.Module):
        return f"Hand over the class itself, not a module made from it: {call}, so that several sizes can be tried."
    if not callable(answer):
        what = kind_of(answer)
        asked = "function" if exercise.kind == "function" else "class"
        return f"What you hand over is {what}: hand over the {asked} itself, without calling it: {call}."
    if exercise.kind == "function" and inspect.isclass(answer) and issubclass(answer, nn.Module):
        return f"A class was handed over where a function is asked for: {call}."
    forward = getattr(answer, "forward", None) if inspect.isclass(answer) else None
    if inspect.iscoroutinefunction(forward or answer):
        name = "forward" if forward else exercise.name
        return (
            f"`{name}` is an `async` function, whose call gives a coroutine, no result: write `def`, not `async def`."
        )
    return unlike_signature(exercise, _signature(answer), _signature(forward), cases) or forbidden_use(exercise, answer)


def _signature(thing: Any) -> inspect.Signature | None:
    """The parameters of something that can be called, where it tells them; a builtin does not."""
    try:
        return inspect.signature(thing)
    except (TypeError, ValueError):
        return None


def unlike_signature(
    exercise: Exercise, have: inspect.Signature | None, forward: inspect.Signature | None, cases: list[Case]
) -> str | None:
    """What is wrong with the parameters of an answer, or with those of a module's `forward` (self among them): None
    where it can be called as the cases do. Extra parameters with defaults are welcome.
    """
    calls = [(case.arguments, case.keywords) for case in cases]
    if exercise.kind == "module":
        calls = [(case.build, case.build_keywords) for case in cases]
    if sentence := _unbound(exercise.name, inspect.signature(exercise.reference), have, calls):
        return sentence
    if exercise.kind == "module":
        calls = [((None, *case.arguments), case.keywords) for case in cases if case.observe != "parameters"]
        return _unbound("forward", inspect.signature(exercise.reference.forward), forward, calls)
    return None


def _unbound(
    name: str, wanted: inspect.Signature, have: inspect.Signature | None, calls: list[tuple[tuple, Any]]
) -> str | None:
    if have is not None and _in_other_order(wanted, have):
        return (
            f"`{name}` is asked for with the parameters ({_plain(wanted)}), in this order, since it is called by it; "
            f"yours has ({_plain(have)})."
        )
    for arguments, keywords in calls if have is not None else ():
        try:
            have.bind(*arguments, **keywords)
        except TypeError:
            return f"`{name}` is asked for with the parameters ({_plain(wanted)}); yours has ({_plain(have)})."
    return None


def _in_other_order(wanted: inspect.Signature, have: inspect.Signature) -> bool:
    """Whether parameters have the names that were asked for, and two of them have changed places."""
    shared = [name for name in have.parameters if name in wanted.parameters]
    return shared != [name for name in wanted.parameters if name in shared]


def _plain(signature: inspect.Signature) -> str:
    """The parameters without annotations: "query, key, value, mask=None"."""
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()]
    return str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))[1:-1]


def _run(exercise: Exercise, answer: Callable, case: Case, seed: int, fill: int, deadline: float, limit: float):
    """One call within what is left of the time; an Outcome in any case."""
    try:
        with time_limit(max(deadline - time.monotonic(), 0.01)):
            return run_case(exercise, answer, case, seed, fill)
    except TooSlow as error:
        said = f"Your code had not finished after {limit:g} seconds and was stopped: is there a loop without an end?"
        return Outcome(trouble=Trouble("slow", "", said, tuple(learner_lines(error))))


def _try_all(
    exercise: Exercise, answer: Callable, cases: list[Case], expected: list[Outcome], seed: int, fill: int,
    deadline: float, seconds: float,
) -> list[Trial]:  # fmt: skip
    trials: list[Trial] = []
    stopped = False
    for index, (case, want) in enumerate(zip(cases, expected, strict=True)):
        outcome = None if stopped else _run(exercise, answer, case, seed + index, fill, deadline, seconds)
        trials.append(judged(exercise, case, want, outcome))
        stopped = stopped or (trials[-1].finding is not None and trials[-1].finding.level in ("unwritten", "slow"))
    if not any(trial.finding for trial in trials):
        again = _run(exercise, answer, cases[0], seed, fill, deadline, seconds)
        trials = repeated(trials, again)
    return trials


def _try_properties(
    exercise: Exercise, answer: Callable, seed: int, fill: int, deadline: float, seconds: float, trials: list[Trial]
) -> list[PropertyTrial]:
    if not properties_judgeable(trials):
        return [PropertyTrial(declared, [], []) for declared in exercise.properties]
    tried = []
    for index, declared in enumerate(exercise.properties):
        property_seed = _property_seed(seed, index)
        cases = drawn_for_property(exercise, declared, property_seed)
        outcomes = [_run(exercise, answer, case, property_seed, fill, deadline, seconds) for case in cases]
        tried.append(judged_property(exercise, declared, cases, outcomes, property_seed))
    return tried


def _property_seed(seed: int, index: int) -> int:
    return seed + 1000 + index
