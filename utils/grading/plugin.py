"""nbval runs the assembled notebook; its items are ours: they know their exercise, and numbers are compared here.

Works under a plain `pytest --nbval`, too: what is no assembled notebook of the grader's is left to nbval.
"""

import json

import nbformat
import pytest
from nbval.plugin import IPyNbCell, IPyNbFile

from utils.grading.job import Job
from utils.grading.results import ExerciseResult
from utils.grading.sandbox import SandboxError

NAMES = {
    "setup": "set-up",
    "helper": "helper",
    "prerequisite": "earlier exercise",
    "exercise": "cell",
    "probe": "probe",
}


class GradingPlugin:
    """Registered by the worker for the run of one submission."""

    name = "grading"

    def __init__(self, job: Job) -> None:
        self.job = job

    @pytest.hookimpl(wrapper=True)
    def pytest_collect_file(self, file_path, parent):
        """Puts our file in the place of nbval's."""
        collected = yield
        return [
            GradedFile.from_parent(parent, path=item.path, job=self.job) if type(item) is IPyNbFile else item
            for item in collected
        ]


class GradedFile(IPyNbFile):
    """An assembled notebook, whose exercises have a kernel each."""

    def __init__(self, *, job: Job, **arguments) -> None:
        super().__init__(**arguments)
        self.job = job

    def collect(self):
        """One item a cell, named by exercise and role; nbval's numbers differ between its releases."""
        self.nb = nbformat.from_dict(json.loads(self.path.read_text(encoding="utf-8")))
        for number, cell in enumerate(self.nb.cells):
            course = cell.metadata.get("course", {})
            name = f"{course.get('exercise')} {NAMES.get(course.get('role'), 'cell')} {number}"
            yield GradedCell.from_parent(self, name=name, cell_num=number, cell=cell, options={"check": False})

    def setup(self) -> None:
        """No kernel for the whole file."""

    def teardown(self) -> None:
        """Ends what is left."""
        self.job.end()


class GradedCell(IPyNbCell):
    """One cell; the probe's is the one that counts."""

    def setup(self) -> None:
        """A dead kernel concerns its own exercise alone: nothing is expected to fail because of another."""

    def runtest(self) -> None:
        """Runs the cell in the kernel of its exercise."""
        course, job = self.cell.metadata["course"], self.parent.job
        number, role = course["exercise"], course["role"]
        try:
            if role == "setup":
                job.begin(number)
            if job.session is None:
                raise SandboxError("there is no kernel")
            if role == "probe":
                self._report(job.probe())
                return
            run = job.run(role, self.cell.source, course.get("of"), list(course.get("names", [])))
        except SandboxError as error:
            job.fail(str(error))
            self.raise_cell_error(f"not graded: {error}")
        if run.ended != "ok" and role == "exercise":
            self.raise_cell_error(f"Exercise {number}: {run.told()}")

    def _report(self, result: ExerciseResult) -> None:
        self.user_properties += [
            ("exercise", result.number), ("points", result.points), ("out_of", result.out_of),
            ("verdict", result.verdict),
        ]  # fmt: skip
        if not result.passed:
            said = f"{result.message} {result.explanation}".strip()
            self.raise_cell_error(f"Exercise {result.number}: {result.verdict}, {result.points:g} points. {said}")

    def repr_failure(self, excinfo) -> str:
        """One line: the feedback page says the rest."""
        return str(excinfo.value)
