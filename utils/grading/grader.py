"""Grades one notebook after another in this process: the worker's side of a run."""

import contextlib
import hashlib
import io
import os
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from torch import Generator

from utils.exercises.calling import run_case
from utils.exercises.registry import exercise as exercise_of
from utils.exercises.surroundings import state_preserved
from utils.grading.assemble import assemble
from utils.grading.copies import answer_prints, like_solution
from utils.grading.job import Job, Kernels
from utils.grading.plugin import GradingPlugin
from utils.grading.pristine import Pristine, of_this_release, pristine
from utils.grading.probing import Times
from utils.grading.reading import Notebook, read_cells
from utils.grading.results import SubmissionResult
from utils.grading.sandbox import Limits, Sandbox, SandboxError


class Grader:
    """A sandbox at a time, kept for as long as submissions are of its chapter."""

    def __init__(
        self, confined: bool = True, limits: Limits | None = None, times: Times | None = None,
        private: Iterable[Path] = (), slot: int = 0, waiting: Sandbox | None = None,
    ) -> None:  # fmt: skip
        self.confined, self.limits = confined, limits
        self.times, self.private, self.slot = times or Times(), tuple(private), slot
        self._kernels: Kernels | None = None
        self._waiting = waiting  # a sandbox that was started early

    def grade(
        self, data: bytes, secret: str, learner: str, chapter: str, file: str, junit: Path | None = None
    ) -> SubmissionResult:
        """Grades one file. UnreadableError when it is no notebook; exercises are ungraded where the grader fails."""
        start = time.monotonic()
        digest, found, notebook = hashlib.sha256(data).hexdigest(), pristine(chapter), read_cells(data)
        assembled = assemble(notebook, found)
        result = SubmissionResult(learner, found.number, file, digest, confined=self.confined, title=found.title)
        result.notes = [*notebook.notes, *_release_notes(notebook, found)]
        result.prints = answer_prints(assembled.answers)
        result.flags = like_solution(result.prints, found)
        for attempt in (1, 2):
            job = Job(assembled, secret, digest, self._kernels_for(found), self.times)
            try:
                _run_nbval(job, junit)
            except SandboxError as error:
                result.flags.append(str(error))
            result.exercises = job.finish()
            if result.complete:
                break
            self.close()  # a new sandbox, and once more
            if attempt == 2:
                result.flags += [*job.troubles, "The grader could not run all of it: grade again."]
        result.seconds = round(time.monotonic() - start, 3)
        return result

    def _kernels_for(self, chapter: Pristine) -> Kernels:
        if self._kernels is not None and self._kernels.sandbox.chapter != chapter.chapter:
            self.close()
        if self._kernels is None:
            sandbox, self._waiting = self._waiting, None
            sandbox = sandbox or Sandbox(self.confined, self.limits, self.private, self.slot)
            sandbox.open(chapter.chapter, frozenset(chapter.imports))
            self._kernels = Kernels(sandbox)
            _warm_up(chapter)  # while the sandbox does the same
        return self._kernels

    def close(self) -> None:
        """Ends the sandbox."""
        if self._waiting is not None:
            self._waiting.close()
            self._waiting = None
        if self._kernels is not None:
            with contextlib.suppress(SandboxError):
                self._kernels.close()
            self._kernels.sandbox.close()
            self._kernels = None

    def __enter__(self) -> "Grader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _warm_up(chapter: Pristine) -> None:
    """Asks every reference once: the first use of much in torch takes seconds."""
    for number in chapter.exercises:
        exercise = exercise_of(number)
        with state_preserved():
            cases = exercise.cases(Generator().manual_seed(0))
            cases += [case for declared in exercise.properties for case in declared.draw(Generator().manual_seed(0))]
            for case in cases:
                run_case(exercise, exercise.reference, case, 0)


def _release_notes(notebook: Notebook, chapter: Pristine) -> list[str]:
    stated = notebook.course
    if stated and stated.get("digest") and not of_this_release(chapter, stated):
        return ["The notebook comes from another release of the chapter; its exercises were graded as they are now."]
    return []


def _run_nbval(job: Job, junit: Path | None) -> None:
    """Runs the assembled notebook with nbval, in this process and without a word."""
    import pytest

    if not job.assembled.cells:
        return
    with tempfile.TemporaryDirectory(prefix="ar-nb-") as folder:
        path = Path(folder) / f"chapter_{job.assembled.chapter.number}.ipynb"
        path.write_text(job.assembled.to_json(), encoding="utf-8")
        arguments = ["--nbval", "-p", "nbval.plugin", "-p", "no:cacheprovider", "-p", "no:doctest", "-p", "no:logging"]
        arguments += ["-p", "no:faulthandler", "-p", "no:unraisableexception", "-p", "no:threadexception"]
        arguments += [
            "-c",
            os.devnull,
            "--rootdir",
            folder,
            "--assert=plain",
            "-q",
            "--color=no",
            "--capture=no",
            str(path),
        ]
        arguments += [f"--junit-xml={junit}", "-o", "junit_family=xunit1"] if junit else []
        said = io.StringIO()
        with _environment(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", PYTEST_ADDOPTS=""), contextlib.redirect_stdout(said):
            status = pytest.main(arguments, plugins=[GradingPlugin(job)])
    if status not in (0, 1):
        raise SandboxError(f"nbval did not run (status {int(status)}): {said.getvalue().strip()[-300:]}")


@contextlib.contextmanager
def _environment(**values: str):
    former = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in former.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
