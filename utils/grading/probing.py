"""One exercise examined in its kernel: cases go in, a bundle comes out, and only then is the reference asked.

The reference computes here, in the grader's process, what the answer has already given there.
"""

import inspect
import secrets
import time
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from utils.exercises.calling import Outcome, drawn_weights, fill_count, form_of, input_names, run_case
from utils.exercises.checking import drawn_cases, drawn_for_property, unlike_signature
from utils.exercises.declare import WATCHED, Case, Exercise, Property
from utils.exercises.judging import Finding, require_comparable
from utils.exercises.report import Report
from utils.exercises.structure import leaves
from utils.exercises.surroundings import state_preserved
from utils.exercises.verdict import (
    PropertyTrial,
    Trial,
    judged,
    judged_property,
    properties_judgeable,
    repeated,
    report_on,
)
from utils.grading.bundles import BundleError, read_bundle
from utils.grading.inside.probe import ENDS, operations
from utils.grading.payload import CallOf, probe_code
from utils.grading.running import CellRun, Loop
from utils.grading.seeds import seed_for
from utils.grading.slicing import Slice

UNSEEN = (
    "How large your tensors get was not looked at: your code uses something that could hide it (threads, NumPy, the "
    "system, the grader's own parts). Write it with torch alone."
)
FURTHER_CALLS = 4  # that may follow to find out what is wrong with an answer


@dataclass(frozen=True)
class Times:
    """Seconds of real time. The sums are generous: an answer with plain loops takes well under one."""

    calls: float = 10.0  # all calls of one probe, measured inside
    margin: float = 5.0  # beyond that, before the probe's cell is interrupted
    cell: float = 20.0  # a cell of the learner's


@dataclass
class Examined:
    """What an examination found. `stopped` says why there is no bundle to judge."""

    report: Report | None = None
    stopped: str = ""
    state: str = "judged"  # judged, undefined, unfit, forbidden, forged, silent, slow, died, flooded, memory
    runs: list[CellRun] = field(default_factory=list)


class Examination:
    """The cases of one exercise for one submission, and how an answer fares with them."""

    def __init__(
        self, exercise: Exercise, secret: str, digest: str, times: Times, there: Slice, believed: bool = True
    ) -> None:
        """believed: whether the code leaves alone what watches its calls from within the kernel."""
        self.exercise, self.times, self.there, self.believed = exercise, times, there, believed

        def seed(*use: str) -> int:
            return seed_for(secret, digest, exercise.number, *use)

        self.seed = seed("calls")  # case number i is called with this + i; what was drawn does not follow from it
        with state_preserved():
            self.cases = drawn_cases(exercise, seed("cases"))
            self.properties: list[tuple[Property, list[Case], int]] = []
            for index, declared in enumerate(exercise.properties):
                cases = drawn_for_property(exercise, declared, seed("property", str(index)))
                self.properties.append((declared, cases, seed("calls of property", str(index))))
        self.expected: list[Outcome] = []  # known to nobody before the first answer is there
        self.left = FURTHER_CALLS

    def run(self, loop: Loop, name: str) -> Examined:
        """Probes the answer of that name, with each way to put weights into a module until one fits."""
        examined, calls = Examined(), self._calls()
        first: tuple[int, list[Trial], list[Outcome]] | None = None
        ways = 1 if all(case.own_weights for case in self.cases) else fill_count(self.exercise)
        for fill in range(ways):
            bundle = self._probe(loop, name, calls, fill, examined)
            if bundle is None:
                break
            if sentence := self._unfit(bundle["answer"], name):
                examined.state, examined.stopped = "unfit", sentence
                return examined
            if operation := self._forbidden_operation(bundle["operations"]):
                examined.state = "forbidden"
                examined.stopped = (
                    f"While your code ran, torch carried out `{operation}`, which does by itself what this exercise is "
                    "about. Here it is to be written out; afterwards you may use it everywhere."
                )
                return examined
            with state_preserved():
                if self._gradients_missing(bundle["outcomes"], fill):
                    examined.state = "forged"
                    examined.stopped = "The result that came back is not of the grader's making: it lacks gradients."
                    return examined
                trials = self._trials(bundle["outcomes"])
            if first is None or not any(trial.finding for trial in trials):
                first = fill, trials, bundle["outcomes"]
            if not any(trial.finding for trial in trials):
                break
        if first is None:
            return examined
        with state_preserved():
            return Examined(self._reported(loop, name, *first), runs=examined.runs)

    def _calls(self) -> list[CallOf]:
        """Every case, the first once more, and the cases of all properties."""
        calls = [self._call_of(case, self.seed + index) for index, case in enumerate(self.cases)]
        calls.append(calls[0])
        for _, cases, seed in self.properties:
            calls += [self._call_of(case, seed) for case in cases]
        return calls

    def _call_of(self, case: Case, seed: int) -> CallOf:
        weighted = self.exercise.kind == "module" and not case.own_weights
        with state_preserved():
            return CallOf(case, seed, drawn_weights(self.exercise, case, seed) if weighted else None)

    def _probe(
        self, loop: Loop, name: str, calls: list[CallOf], fill: int, examined: Examined, seconds: float | None = None
    ) -> dict[str, Any] | None:
        """Runs one probe; None, with the reason written down, where no bundle can be judged."""
        probe = secrets.token_hex(8)
        seconds = seconds or self.times.calls
        code = probe_code(self.exercise, name, calls, fill, seconds, probe, self.there)
        run = loop.run(code, seconds + self.times.margin)
        examined.runs.append(run)
        if not run.kernel_lives:
            examined.state = "slow" if run.ended == "killed" else run.ended
            examined.stopped = f"Your code was called and did not come back: {run.told()}."
        elif len(run.bundles) > 1:
            examined.state = "forged"
            examined.stopped = (
                "Your code sent results of its own beside those of the grader's call: nothing is counted."
            )
        elif not run.bundles:
            examined.state = "slow" if run.ended == "slow" else "silent"
            why = f": {run.told()}" if run.ended in ("slow", "error") else ""
            examined.stopped = f"The grader's call brought no result{why}."
            if run.ended == "ok":
                examined.stopped += " Your code prints too much, or has changed what sends results."
        else:
            try:
                bundle = read_bundle(run.bundles[0], probe)
                _require_all_of(bundle, len(calls))
                return bundle
            except BundleError as error:
                examined.state = "forged"
                examined.stopped = f"The result that came back is not of the grader's making: {error}."
        return None

    def _unfit(self, answer: dict[str, Any], name: str) -> str | None:
        """What is wrong with the answer before its results are looked at."""
        exercise = self.exercise
        if answer.get("there") is not True:
            return f"No cell defines `{name}`."
        if answer.get("callable") is not True:
            kind = answer.get("kind")
            what = kind if isinstance(kind, str) and len(kind) < 300 else "something else"
            return (
                f"`{name}` is {what}: asked for is the {'class' if exercise.kind == 'module' else 'function'} itself."
            )
        if exercise.kind == "module" and answer.get("class") is not True and "forward" in answer:
            return f"`{name}` is a module made from a class: asked for is the class itself."
        signature, forward = _signature(answer.get("signature")), _signature(answer.get("forward"))
        return unlike_signature(exercise, signature, forward, self.cases)

    def _forbidden_operation(self, names: list[str]) -> str | None:
        """An operation of the answer's that bears the name of something forbidden, and not of the reference's."""
        wanted = {name.rpartition(".")[2].lower() for name in self.exercise.forbidden}
        found = sorted(name for name in names if any(word in name.lower() for word in wanted))
        if not found:
            return None
        with state_preserved(), operations() as usual:
            for case in (*self.cases, *(case for _, cases, _ in self.properties for case in cases)):
                if case.observe not in WATCHED:
                    run_case(self.exercise, self.exercise.reference, replace(case, gradients=False), self.seed)
        return next((name for name in found if name not in usual), None)

    def _gradients_missing(self, outcomes: list[Outcome], fill: int) -> bool:
        """Whether a gradient that was asked for is not even told to be absent, which no probe of ours leaves out."""
        for case, outcome in zip(self.cases, outcomes, strict=False):
            if case.gradients and outcome.trouble is None:
                inputs = input_names(form_of(self.exercise), case)
                floats = [leaf for name, value in inputs.items() for leaf in leaves(value, name)]
                asked = {name for name, part in floats if isinstance(part, Tensor) and part.is_floating_point()}
                if fill < 2 and self.exercise.kind == "module" and not case.own_weights:
                    asked |= set(drawn_weights(self.exercise, case, 0))
                if not asked <= set(outcome.gradients or {}):
                    return True
        return False

    def _trials(self, outcomes: list[Outcome]) -> list[Trial]:
        """Asks the reference, once for all ways to put weights in, and compares."""
        exercise, count = self.exercise, len(self.cases)
        if not self.expected:
            for index, case in enumerate(self.cases):
                self.expected.append(run_case(exercise, exercise.reference, case, self.seed + index))
                require_comparable(exercise, case, self.expected[-1])
        trials = [
            judged(exercise, case, self.expected[index], outcomes[index] if index < len(outcomes) else None)
            for index, case in enumerate(self.cases)
        ]
        if len(outcomes) > count and not any(trial.finding for trial in trials):
            trials = repeated(trials, outcomes[count])
        return trials

    def _reported(self, loop: Loop, name: str, fill: int, trials: list[Trial], outcomes: list[Outcome]) -> Report:
        """What the trials of one way amount to."""
        exercise = self.exercise
        properties = self._judged_properties(trials, outcomes[len(self.cases) + 1 :])

        def call(case: Case, seed: int, case_fill: int) -> Outcome | None:
            return self._further(loop, name, case, seed, case_fill)

        report = report_on(exercise, call, self.seed, fill, trials, properties)
        if report.message == UNSEEN:
            report.misconception, report.explanation = None, ""
        return report

    def _judged_properties(self, trials: list[Trial], outcomes: list[Outcome]) -> list[PropertyTrial]:
        tried = []
        judgeable = properties_judgeable(trials)
        for declared, cases, seed in self.properties:
            own, outcomes = outcomes[: len(cases)], outcomes[len(cases) :]
            watched = any(case.observe in WATCHED for case in cases)
            if judgeable and len(own) == len(cases) and watched and not self.believed:
                tried.append(PropertyTrial(declared, cases, own, Finding("property", UNSEEN), seed))
            elif judgeable and own and (len(own) == len(cases) or own[-1].trouble is not None):  # the rest: cut off
                tried.append(judged_property(self.exercise, declared, cases[: len(own)], own, seed))
            else:
                tried.append(PropertyTrial(declared, [], []))
        return tried

    def _further(self, loop: Loop, name: str, case: Case, seed: int, fill: int) -> Outcome | None:
        """One more call, to find out what is wrong; None when that is no longer possible."""
        self.left -= 1
        if self.left < 0 or loop.kernel.spawned.ended() is not None:
            return None
        start = time.monotonic()
        bundle = self._probe(loop, name, [self._call_of(case, seed)], fill, Examined(), 2.0)
        if time.monotonic() - start > 1.0:
            self.left = 0
        return bundle["outcomes"][0] if bundle and bundle["outcomes"] else None


def _require_all_of(bundle: dict[str, Any], calls: int) -> None:
    """BundleError where calls are missing that a probe of ours would have made: it ends early at two troubles only."""
    outcomes, answer = bundle["outcomes"], bundle["answer"]
    if answer.get("there") is not True or answer.get("callable") is not True or len(outcomes) == calls:
        return
    last = outcomes[-1].trouble if outcomes else None
    if len(outcomes) > calls or last is None or last.kind not in ENDS:
        raise BundleError(f"it has results of {len(outcomes)} calls, and {calls} were made")


def _signature(packed: Any) -> inspect.Signature | None:
    """A signature as a kernel describes it; None where the description is none."""
    try:
        parameters = []
        for name, kind, optional in packed:
            default = None if optional is True else inspect.Parameter.empty
            parameters.append(inspect.Parameter(str(name)[:80], inspect._ParameterKind(kind), default=default))
        return inspect.Signature(parameters[:50])
    except (TypeError, ValueError):
        return None
