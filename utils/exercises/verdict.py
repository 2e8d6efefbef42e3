"""From what came of the calls to a report: which cases are right, what they earn, and why the wrong ones are wrong.

Works on outcomes alone, so that check() and the grader, which has them from another process, say the same.
"""

import contextlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass

from utils.exercises.calling import Outcome, form_of, input_names
from utils.exercises.declare import Case, Exercise, Property
from utils.exercises.explaining import explanation_of, explanation_of_property
from utils.exercises.judging import LEVELS, Finding, judge
from utils.exercises.nearness import digits_to_differ
from utils.exercises.points import earned
from utils.exercises.report import Item, Report, Smallest
from utils.exercises.sameness import alike
from utils.exercises.structure import shown, size

NEEDED = LEVELS.index("dtype")  # an answer that fails before this gives nothing to judge properties by
AGAIN = "A second call with the same inputs gives something else: your code remembers earlier calls."
Call = Callable[[Case, int, int], Outcome | None]  # the answer on another case: (case, seed, fill)


@dataclass(frozen=True)
class Trial:
    """One case with what was expected, what came, and what is wrong with it."""

    case: Case
    expected: Outcome
    outcome: Outcome | None  # None: not tried
    finding: Finding | None = None


@dataclass(frozen=True)
class PropertyTrial:
    """One property with the calls it was tried on, and what is wrong with it."""

    declared: Property
    cases: list[Case]  # empty: not tried
    outcomes: list[Outcome]
    finding: Finding | None = None
    seed: int = 0


def judged(exercise: Exercise, case: Case, expected: Outcome, outcome: Outcome | None) -> Trial:
    """One trial, proof against results that cannot even be looked at, such as an object whose == raises."""
    if outcome is None:
        return Trial(case, expected, None)
    try:
        finding = judge(exercise, case, expected, outcome)
    except Exception as error:
        sentence = f"Your result cannot be compared with what is expected ({type(error).__name__}: {error})."
        finding = Finding("structure", sentence)
    return Trial(case, expected, outcome, finding)


def repeated(trials: list[Trial], again: Outcome) -> list[Trial]:
    """The trials with the first judged anew, when a second call on its inputs came out otherwise."""
    first = trials[0]
    if alike(again, first.outcome, first.case.tolerance):
        return trials
    finding = Finding("values", AGAIN, again.value, first.expected.value)
    return [Trial(first.case, first.expected, again, finding), *trials[1:]]


def properties_judgeable(trials: list[Trial]) -> bool:
    """Whether the results have the right form, without which nothing can be said of their properties."""
    return not any(trial.outcome is None or (trial.finding and trial.finding.rank < NEEDED) for trial in trials)


def judged_property(
    exercise: Exercise, declared: Property, cases: list[Case], outcomes: list[Outcome], seed: int
) -> PropertyTrial:
    """Whether a property holds of the results."""
    finding = None
    troubled = next((pair for pair in zip(cases, outcomes, strict=True) if pair[1].trouble is not None), None)
    if troubled is not None:
        finding = judge(exercise, troubled[0], troubled[1], troubled[1])
    else:
        try:
            with warnings.catch_warnings(action="ignore"):
                holds = bool(declared.holds(cases, [outcome.value for outcome in outcomes]))
        except Exception:  # results of another structure than in the cases before
            holds = False
        finding = None if holds else Finding("property", declared.sentence)
    return PropertyTrial(declared, cases, outcomes, finding, seed)


def report_on(
    exercise: Exercise, call: Call, seed: int, fill: int, trials: list[Trial], properties: list[PropertyTrial]
) -> Report:
    """The report. Case number i was called with seed + i; `call` tries the answer on a further case."""
    items = [_item(t.case.name, t.case.part, t.outcome is not None, t.finding) for t in trials]
    items += [_item(p.declared.name, p.declared.part, bool(p.cases), p.finding) for p in properties]
    passed = all(item.passed for item in items)
    points = earned(exercise.points, items)
    report = Report(exercise.number, exercise.title, passed, points, exercise.points, tuple(items), seed=seed)
    if passed:
        return report
    failed = [trial for trial in trials if trial.finding]
    if not failed:
        broken = next(trial for trial in properties if trial.finding)
        report.message, report.lines = broken.finding.sentence, broken.finding.lines
        report.misconception, report.explanation = explanation_of_property(
            exercise, broken.cases, broken.outcomes, broken.seed
        )
        return report
    failed = [trial for trial in failed if not trial.case.gradients] or failed  # gradients are the subtler error
    failed = [trial for trial in failed if not _stops_at_the_edge(trial)] or failed
    rank = min(trial.finding.rank for trial in failed)
    worst = min((trial for trial in failed if trial.finding.rank == rank), key=_reading)
    report.message, report.lines = worst.finding.sentence, worst.finding.lines
    if worst.finding.level not in ("unwritten", "slow"):
        with contextlib.suppress(Exception):  # of objects that cannot be shown or compared
            report.smallest = _smallest(exercise, worst)
            found = explanation_of(exercise, call, trials, worst, seed, fill)
            report.misconception, report.explanation = found.misconception, found.sentence
            if found.trial is not worst:
                report.message, report.lines = found.trial.finding.sentence, found.trial.finding.lines
                report.smallest = _smallest(exercise, found.trial)
    return report


def _item(name: str, part: str, tried: bool, finding: Finding | None) -> Item:
    return Item(name, part, finding is None if tried else None, finding.sentence if finding else "")


def _stops_at_the_edge(trial: Trial) -> bool:
    """Whether code stops on an unusual input only: a number that is wrong on usual ones says more of the error."""
    return trial.finding.level == "raised" and trial.case.part == "edge cases"


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
    digits = digits_to_differ(finding.got, finding.expected, case.tolerance)
    yours, expected = (shown(value, digits) if compared else "" for value in (finding.got, finding.expected))
    return Smallest(case.name, tuple(inputs), yours, expected, printed)
