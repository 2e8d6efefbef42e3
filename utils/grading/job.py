"""The grading of one submission: which kernel runs what, and what each exercise earns."""

import time
from dataclasses import dataclass, field

from utils.exercises.declare import Exercise
from utils.exercises.registry import exercise as exercise_of
from utils.grading.assemble import Assembled
from utils.grading.forbidding import forbidden_use, hidden_use, suspicions
from utils.grading.gather import fragments
from utils.grading.matching import Answer
from utils.grading.payload import stand_in_code
from utils.grading.probing import Examination, Times
from utils.grading.reading import Cell
from utils.grading.results import ExerciseResult, blank, of_report
from utils.grading.running import CellRun, Loop
from utils.grading.sandbox import Sandbox, SandboxError
from utils.grading.wire import Kernel

SPENT = 3.0  # times the seconds of one cell: what all cells of an exercise may take together, before its probe
TRIES = 3  # kernels that may die at their start before an exercise is left ungraded


class Kernels:
    """Fresh kernels of one sandbox, one of them started ahead."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._ahead: Kernel | None = None

    def start_ahead(self) -> None:
        """Begins to start the next kernel, which takes place in another process."""
        if self._ahead is None:
            self._ahead = Kernel(self.sandbox.spawn())

    def fresh(self) -> Kernel:
        """A kernel that answers. SandboxError after several tries."""
        for attempt in range(1, TRIES + 1):
            kernel, self._ahead = self._ahead or Kernel(self.sandbox.spawn()), None
            try:
                kernel.wait_until_ready()
                return kernel
            except SandboxError:
                kernel.close()
                if attempt == TRIES:
                    raise
        raise AssertionError

    def close(self) -> None:
        """Ends the kernel that was started ahead."""
        if self._ahead is not None:
            self._ahead.close()
            self._ahead = None


@dataclass
class Session:
    """One exercise in its kernel."""

    answer: Answer
    kernel: Kernel
    loop: Loop
    dead: CellRun | None = None
    notes: list[str] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)  # what cells of the learner's said
    started: float = field(default_factory=time.monotonic)
    spent: float = 0.0  # seconds in the learner's cells
    touched: bool = False  # whether a cell of the learner's has run


class Job:
    """One submission. The plugin calls `begin`, `run` and `probe` for the cells of the assembled notebook in order."""

    def __init__(
        self, assembled: Assembled, secret: str, digest: str, kernels: Kernels, times: Times | None = None
    ) -> None:
        self.assembled, self.secret, self.digest = assembled, secret, digest
        self.kernels, self.times = kernels, times or Times()
        self.answers = {answer.number: answer for answer in assembled.answers}
        self.results: dict[str, ExerciseResult] = {}
        self.session: Session | None = None
        self.troubles: list[str] = []  # the grader's own
        for number, answer in self.answers.items():
            if answer.state != "there":
                said = {"open": "Not written yet.", "missing": "The exercise's cell is missing."}[answer.state]
                self.results[number] = blank(exercise_of(number), answer.state, said)
                self.results[number].notes = list(answer.notes)

    def begin(self, number: str) -> None:
        """A fresh kernel for an exercise."""
        self.end()
        kernel = self.kernels.fresh()
        self.kernels.start_ahead()
        self.session = Session(self.answers[number], kernel, Loop(kernel))

    def end(self) -> None:
        """Ends the kernel of the exercise before."""
        if self.session is not None:
            self.session.kernel.close()
            self.session = None

    def run(self, role: str, source: str, prerequisite: str | None, names: list[str]) -> CellRun:
        """Runs one cell other than the probe."""
        session = self.session
        if session.dead is not None:
            return session.dead
        ours = prerequisite is not None and self._stands_in(session.answer, prerequisite)
        if ours:
            source = self._stand_in(session, prerequisite, names)
        own = not ours and role != "setup"
        left = max(SPENT * self.times.cell - session.spent, 0.1)
        run = session.loop.run(source, min(self.times.cell, left) if own else self.times.cell)
        session.spent += run.seconds if own else 0.0
        if ours and run.ended != "ok":
            said = f"the course's own {prerequisite} could not be put in place: {run.told()}"
            if not session.touched:
                raise SandboxError(said)
            session.troubles.append(f"{said[0].upper()}{said[1:]}.")  # by what the learner's cells have done before
            session.dead = None if run.kernel_lives else run
            return run
        session.touched |= own
        if role == "exercise" and run.error_name == "EOFError":
            self._define_at_least(session, source)
        if run.ended != "ok" and role != "setup":
            where = "The exercise's cell" if role == "exercise" else "A helper's cell"
            session.troubles.append(f"{where}: {run.told()}.")
        if not run.kernel_lives:
            session.dead = run
        return run

    def _define_at_least(self, session: Session, source: str) -> None:
        """After a question at the top of a cell, which nobody answers here: what it defines and imports below."""
        parts = [part.text for part in fragments(Cell(source)) if part.defines and part.binds]
        session.loop.run("\n\n".join(parts), self.times.cell)

    def _stands_in(self, answer: Answer, prerequisite: str) -> bool:
        """Whether the course's own answer takes the place of a failed one that this exercise builds on.

        Only an earlier exercise's. And where the chapter's own solution does not build on it, only for an attempt
        that was recognised or earned something: calling an exercise that one has left out is no answer to another.
        """
        exercise, earlier = exercise_of(answer.number), exercise_of(prerequisite)
        result = self.results.get(prerequisite)
        order = list(self.answers)
        if result is None or result.passed or order.index(prerequisite) > order.index(answer.number):
            return False
        if earlier.reference is exercise.reference:
            return False
        meant = prerequisite in self.assembled.chapter.builds_on.get(answer.number, [])
        return meant or result.points > 0 or result.misconception is not None

    def _stand_in(self, session: Session, prerequisite: str, names: list[str]) -> str:
        asked = self.answers[prerequisite].name
        there = self.kernels.sandbox.slice
        session.notes.append(
            f"This exercise uses exercise {prerequisite}, which is not right yet: the course's own took its place."
        )
        code = stand_in_code(exercise_of(prerequisite), asked, there)
        if set(names) - {asked}:
            session.flags.append(f"it uses more of exercise {prerequisite} than its answer ({', '.join(names)})")
        return code

    def probe(self) -> ExerciseResult:
        """Examines the exercise's answer and writes down what it earns."""
        session = self.session
        exercise = exercise_of(session.answer.number)
        result = self._examined(session, exercise)
        result.notes = [*session.answer.notes, *session.notes]
        result.flags = [*session.flags, *suspicions(exercise, session.answer)]
        if result.flags and result.passed:
            result.flags.append("it passed all the same")
        result.seconds = round(time.monotonic() - session.started, 3)
        if not result.passed:
            result.notes += session.troubles
        self.results[exercise.number] = result
        self.end()
        return result

    def _examined(self, session: Session, exercise: Exercise) -> ExerciseResult:
        if sentence := forbidden_use(exercise, session.answer):
            return blank(exercise, "forbidden", sentence)
        if session.dead is not None:
            verdict = "slow" if session.dead.ended == "killed" else session.dead.ended
            return blank(exercise, verdict, f"Before your answer could be called: {session.dead.told()}.")
        there = self.kernels.sandbox.slice
        believed = not suspicions(exercise, session.answer)
        examination = Examination(exercise, self.secret, self.digest, self.times, there, believed)
        try:
            examined = examination.run(session.loop, session.answer.name)
        except SandboxError:
            raise
        except Exception as error:  # ours to mend: it must cost no other exercise its points
            raise SandboxError(
                f"{exercise.number} could not be judged ({type(error).__name__}: {str(error)[:200]})"
            ) from error
        if (
            examined.report is not None
            and examined.report.points
            and (sentence := hidden_use(exercise, session.answer))
        ):
            return blank(exercise, "forbidden", sentence)
        if examined.report is not None:
            return of_report(exercise, examined.report)
        message = examined.stopped
        if examined.state == "unfit" and session.troubles:
            message = f"{message} {session.troubles[-1]}"
        return blank(exercise, examined.state, message)

    def fail(self, sentence: str) -> None:
        """Something of ours went wrong: the exercise stays ungraded."""
        self.end()
        if sentence not in self.troubles:
            self.troubles.append(sentence)

    def finish(self) -> list[ExerciseResult]:
        """All exercises, in order; those that nobody came to are ungraded."""
        self.end()
        for number in self.answers:
            if number not in self.results:
                sentence = "It could not be graded: the grader's own trouble, not yours."
                self.results[number] = blank(exercise_of(number), "ungraded", sentence)
        return [self.results[number] for number in self.answers]
