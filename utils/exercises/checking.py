"""An answer against its exercise: run, judge, explain. Nothing is shown or stored here."""

import contextlib
import inspect
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Generator, nn

from utils.exercises.calling import Outcome, Trouble, fill_count, form_of, input_names, run_case
from utils.exercises.declare import Case, Exercise, Property
from utils.exercises.explaining import explanation_of, explanation_of_property
from utils.exercises.judging import LEVELS, Finding, NothingCompared, alike, judge, require_comparable
from utils.exercises.points import earned
from utils.exercises.report import Item, Report, Smallest
from utils.exercises.rules import forbidden_use
from utils.exercises.structure import kind_of, shown, size
from utils.exercises.surroundings import TooSlow, learner_lines, state_preserved, time_limit

NEEDED = LEVELS.index("dtype")  # an answer that fails before this gives nothing to judge properties by
SECONDS = 10.0  # that an answer may take in all; a check with plain loops takes well under one


@dataclass(frozen=True)
class Trial:
    """One case with what was expected, what came, and what is wrong with it."""

    case: Case
    expected: Outcome
    outcome: Outcome | None  # None: not tried
    finding: Finding | None = None


def drawn_cases(exercise: Exercise, seed: int) -> list[Case]:
    """The cases of an exercise for a seed; raises NothingCompared when there are none."""
    cases = exercise.cases(Generator().manual_seed(seed))
    if not cases:
        raise NothingCompared(f"Exercise {exercise.number} draws no cases.")
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
        return _report(exercise, answer, seed, fill, trials, properties)


def _unfit(exercise: Exercise, answer: Any, cases: list[Case]) -> str | None:
    """What is wrong with the answer before it is run."""
    call = f"check({exercise.number!r}, {exercise.name})"
    if answer is None:
        return f"There is nothing to check: hand over what you wrote, as in {call}."
    if exercise.kind == "module" and isinstance(answer, nn.Module):
        return f"Hand over the class itself, not a module made from it: {call}, so that several sizes can be tried."
    if not callable(answer):
        what = kind_of(answer)
        return f"What you hand over is {what}: hand over the function itself, without calling it: {call}."
    if exercise.kind == "function" and inspect.isclass(answer) and issubclass(answer, nn.Module):
        return f"A class was handed over where a function is asked for: {call}."
    return _unlike_signature(exercise, answer, cases) or forbidden_use(exercise, answer)


def _unlike_signature(exercise: Exercise, answer: Callable, cases: list[Case]) -> str | None:
    """Whether the answer can be called as the cases do; extra parameters with defaults are welcome."""
    forms = [(exercise.name, inspect.signature(exercise.reference), answer)]
    calls = [(case.arguments, case.keywords) for case in cases]
    if exercise.kind == "module":
        calls = [(case.build, case.build_keywords) for case in cases]
    if sentence := _unbound(*forms[0], calls):
        return sentence
    if exercise.kind == "module" and inspect.isclass(answer) and callable(getattr(answer, "forward", None)):
        calls = [((None, *case.arguments), case.keywords) for case in cases if case.observe != "parameters"]
        return _unbound("forward", inspect.signature(exercise.reference.forward), answer.forward, calls)
    return None


def _unbound(name: str, wanted: inspect.Signature, callable_: Callable, calls: list[tuple[tuple, Any]]) -> str | None:
    try:
        have = inspect.signature(callable_)
    except (TypeError, ValueError):
        return None  # a builtin that does not tell
    for arguments, keywords in calls:
        try:
            have.bind(*arguments, **keywords)
        except TypeError:
            return f"`{name}` is asked for with the parameters ({_plain(wanted)}); yours has ({_plain(have)})."
    return None


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
        if stopped:
            trials.append(Trial(case, want, None))
            continue
        outcome = _run(exercise, answer, case, seed + index, fill, deadline, seconds)
        finding = _judged(exercise, case, want, outcome)
        trials.append(Trial(case, want, outcome, finding))
        stopped = finding is not None and finding.level in ("unwritten", "slow")
    if not any(trial.finding for trial in trials):
        again = _run(exercise, answer, cases[0], seed, fill, deadline, seconds)
        if not alike(again, trials[0].outcome, cases[0].tolerance):
            sentence = "A second call with the same inputs gives something else: your code remembers earlier calls."
            finding = Finding("values", sentence, again.value, expected[0].value)
            trials[0] = Trial(cases[0], expected[0], again, finding)
    return trials


@dataclass(frozen=True)
class PropertyTrial:
    """One property with the calls it was tried on, and what is wrong with it."""

    declared: Property
    cases: list[Case]  # empty: not tried
    outcomes: list[Outcome]
    finding: Finding | None = None


def _judged(exercise: Exercise, case: Case, expected: Outcome, outcome: Outcome) -> Finding | None:
    """`judge`, proof against results that cannot even be looked at, such as an object whose == raises."""
    try:
        return judge(exercise, case, expected, outcome)
    except Exception as error:
        sentence = f"Your result cannot be compared with what is expected ({type(error).__name__}: {error})."
        return Finding("structure", sentence)


def _try_properties(
    exercise: Exercise, answer: Callable, seed: int, fill: int, deadline: float, seconds: float, trials: list[Trial]
) -> list[PropertyTrial]:
    if any(trial.outcome is None or (trial.finding and trial.finding.rank < NEEDED) for trial in trials):
        return [PropertyTrial(declared, [], []) for declared in exercise.properties]
    tried = []
    for index, declared in enumerate(exercise.properties):
        property_seed = _property_seed(seed, index)
        cases = declared.draw(Generator().manual_seed(property_seed))
        if not cases:
            raise NothingCompared(f"Exercise {exercise.number}, property {declared.name!r} draws no cases.")
        outcomes = [_run(exercise, answer, case, property_seed, fill, deadline, seconds) for case in cases]
        tried.append(PropertyTrial(declared, cases, outcomes, _holds(exercise, declared, cases, outcomes)))
    return tried


def _property_seed(seed: int, index: int) -> int:
    return seed + 1000 + index


def _holds(exercise: Exercise, declared: Property, cases: list[Case], outcomes: list[Outcome]) -> Finding | None:
    for case, outcome in zip(cases, outcomes, strict=True):
        if outcome.trouble is not None:
            return judge(exercise, case, outcome, outcome)
    try:
        holds = bool(declared.holds(cases, [outcome.value for outcome in outcomes]))
    except Exception:  # results of another structure than in the cases before
        holds = False
    return None if holds else Finding("property", declared.sentence)


def _report(
    exercise: Exercise, answer: Callable, seed: int, fill: int, trials: list[Trial], properties: list[PropertyTrial]
) -> Report:
    items = [_item(t.case.name, t.case.part, t.outcome is not None, t.finding) for t in trials]
    items += [_item(p.declared.name, p.declared.part, bool(p.cases), p.finding) for p in properties]
    passed = all(item.passed for item in items)
    points = earned(exercise.points, items)
    report = Report(exercise.number, exercise.title, passed, points, exercise.points, tuple(items), seed=seed)
    if passed:
        return report
    failed = [trial for trial in trials if trial.finding]
    if not failed:
        index, broken = next((i, trial) for i, trial in enumerate(properties) if trial.finding)
        report.message, report.lines = broken.finding.sentence, broken.finding.lines
        report.misconception, report.explanation = explanation_of_property(
            exercise, broken.cases, broken.outcomes, _property_seed(seed, index)
        )
        return report
    failed = [trial for trial in failed if not trial.case.gradients] or failed  # gradients are the subtler error
    rank = min(trial.finding.rank for trial in failed)
    worst = min((trial for trial in failed if trial.finding.rank == rank), key=_reading)
    report.message, report.lines = worst.finding.sentence, worst.finding.lines
    if worst.finding.level not in ("unwritten", "slow"):
        with contextlib.suppress(Exception):  # of objects that cannot be shown or compared
            report.smallest = _smallest(exercise, worst)
            found = explanation_of(exercise, answer, trials, worst, seed, fill)
            report.misconception, report.explanation = found.misconception, found.sentence
            if found.trial is not worst:
                report.message, report.lines = found.trial.finding.sentence, found.trial.finding.lines
                report.smallest = _smallest(exercise, found.trial)
    return report


def _item(name: str, part: str, tried: bool, finding: Finding | None) -> Item:
    return Item(name, part, finding is None if tried else None, finding.sentence if finding else "")


def _reading(trial: Trial) -> int:
    """How much there is to read in a failed case."""
    return size((trial.case.arguments, dict(trial.case.keywords), trial.expected.value))


def _smallest(exercise: Exercise, trial: Trial) -> Smallest:
    case, finding = trial.case, trial.finding
    inputs = [(name, shown(value)) for name, value in input_names(form_of(exercise), case).items()]
    if exercise.kind == "module":
        made = [shown(value) for value in case.build]
        made += [f"{name}={shown(value)}" for name, value in case.build_keywords.items()]
        inputs.insert(0, ("module", f"{exercise.name}({', '.join(made)}), {'train' if case.training else 'eval'} mode"))
    compared = finding.got is not None or finding.expected is not None
    printed = trial.outcome.printed.strip()
    printed = printed if len(printed) <= 1000 else printed[:1000] + " …"
    yours = shown(finding.got) if compared else ""
    return Smallest(case.name, tuple(inputs), yours, shown(finding.expected) if compared else "", printed)
