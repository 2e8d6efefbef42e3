"""Grading, side by side: this course's grader, nbgrader's autograde and otter's run, on an equivalent notebook.

Every contestant gets the same answers to three exercises and runs as one process (ours with two as well). Counted is
real time, from the command's start to its end, divided by the number of notebooks.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from utils.errors import CourseError
from utils.grading.pristine import Pristine, pristine

CHAPTER, EXERCISES = "03", ("3.1", "3.2", "3.3")
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
INSTALL = "not installed: `pip install {name}` into this environment, then measure again"
TESTS = {
    "3.1": "q, k = torch.randn(4), torch.randn(3, 4)\n"
    "assert torch.allclose(weights_of_one_query(q, k), (k @ q / 2).softmax(-1))",
    "3.2": "q, k, v = torch.randn(2, 3, 4), torch.randn(2, 5, 4), torch.randn(2, 5, 6)\n"
    "w = (q @ k.mT / 2).softmax(-1)\n"
    "assert torch.allclose(attention(q, k, v)[0], w @ v, atol=1e-6)",
    "3.3": "assert torch.equal(causal_mask(5), torch.ones(5, 5, dtype=torch.bool).tril()[None, None])",
}


@dataclass(frozen=True)
class Timing:
    """One contestant's figure; `note` says why there is none."""

    name: str
    seconds: float | None  # a notebook
    note: str = ""


def bench_grade(notebooks: int = 12) -> list[Timing]:
    """Times all contestants that are installed, one after another."""
    chapter = pristine(CHAPTER)
    if not chapter.solutions:
        raise CourseError("The bench needs the chapters' sources (solutions/), which a release does not have.")
    with tempfile.TemporaryDirectory(prefix="bench-grade-") as folder:
        place = Path(folder)
        found = [
            Timing("ours, one process", _ours(place / "one", chapter, notebooks, 1)),
            Timing("ours, two processes", _ours(place / "two", chapter, notebooks, 2)),
        ]
        found.append(_peer("nbgrader", "nbgrader", "nbgrader, autograde", place, chapter, notebooks, _nbgrader))
        found.append(_peer("otter", "otter-grader", "otter, run", place, chapter, notebooks, _otter))
    return found


def report(timings: list[Timing]) -> str:
    """A table with ratios to the first line."""
    ours = timings[0].seconds
    lines = [f"{'':24}{'s a notebook':>14}{'times ours':>12}"]
    for timing in timings:
        if timing.seconds is None:
            lines.append(f"{timing.name:24}{timing.note}")
        else:
            lines.append(f"{timing.name:24}{timing.seconds:14.2f}{timing.seconds / ours:12.1f}")
    return "\n".join(lines)


def _peer(
    module: str, package: str, name: str, place: Path, chapter: Pristine, notebooks: int, measure: Callable
) -> Timing:
    if find_spec(module) is None:
        return Timing(name, None, INSTALL.format(name=package))
    try:
        return Timing(name, measure(place / module, chapter, notebooks))
    except CourseError as error:
        return Timing(name, None, str(error))


def _timed(command: list[str], folder: Path, wanted: str) -> float:
    """Seconds of a command's run. CourseError when it fails."""
    environment = os.environ | dict.fromkeys(THREADS, "1")
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', '')}"
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["nothing"]
        raise CourseError(f"could not be timed: {wanted} said {said[0][:200]}")
    return seconds


def _solved(chapter: Pristine, exercise: str) -> str:
    lines = chapter.solutions[exercise].split("\n")
    return "\n".join(line for line in lines if not line.strip().startswith(("### BEGIN", "### END")))


def _cell(source: str, identifier: str, **metadata) -> dict:
    return {
        "cell_type": "code", "id": identifier, "metadata": metadata, "execution_count": None, "outputs": [],
        "source": source,
    }  # fmt: skip


def _notebook(cells: list[dict]) -> str:
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return json.dumps({"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5})


def _ours(place: Path, chapter: Pristine, notebooks: int, jobs: int) -> float:
    handed_in = place / "submissions"
    handed_in.mkdir(parents=True)
    for number in range(notebooks):
        cells = []
        for cell in chapter.cells:
            exercise = cell.course.get("exercise")
            answered = cell.role == "exercise" and exercise in EXERCISES
            text = f"{_solved(chapter, exercise)}\n# {number}" if answered else cell.source
            cells.append(_cell(text, cell.identifier, course=cell.course))
        (handed_in / f"learner{number}_{CHAPTER}.ipynb").write_text(_notebook(cells), encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "utils",
        "grade",
        str(handed_in),
        "--out",
        str(place / "grades"),
        "--jobs",
        str(jobs),
    ]
    return _timed(command, place, "grade") / notebooks


def _nbgrader(place: Path, chapter: Pristine, notebooks: int) -> float:
    cells = [_cell("import math\nimport torch", "start")]
    for number, exercise in enumerate(EXERCISES):
        kind = {"schema_version": 3, "task": False, "locked": False, "grade": False, "solution": True}
        cells.append(_cell(_solved(chapter, exercise), f"answer{number}", nbgrader={**kind, "grade_id": f"a{number}"}))
        kind = {"schema_version": 3, "task": False, "locked": True, "grade": True, "solution": False, "points": 1}
        cells.append(_cell(TESTS[exercise], f"test{number}", nbgrader={**kind, "grade_id": f"t{number}"}))
    source = place / "source" / "ps1"
    source.mkdir(parents=True)
    (source / "ps1.ipynb").write_text(_notebook(cells), encoding="utf-8")
    (place / "nbgrader_config.py").write_text("c = get_config()\nc.CourseDirectory.course_id = 'bench'\n")
    command = [sys.executable, "-m", "nbgrader"]
    _timed([*command, "generate_assignment", "ps1"], place, "nbgrader generate_assignment")
    for number in range(notebooks):
        target = place / "submitted" / f"learner{number}" / "ps1"
        target.mkdir(parents=True)
        (target / "ps1.ipynb").write_text(_notebook(cells), encoding="utf-8")
    return _timed([*command, "autograde", "ps1"], place, "nbgrader autograde") / notebooks


def _otter(place: Path, chapter: Pristine, notebooks: int) -> float:
    place.mkdir()
    cells = [_cell("import math\nimport torch", "start")]
    cells += [_cell(_solved(chapter, exercise), f"answer{i}") for i, exercise in enumerate(EXERCISES)]
    with zipfile.ZipFile(place / "autograder.zip", "w") as archive:
        archive.writestr("otter_config.json", json.dumps({"lang": "python", "show_stdout": False}))
        for number, exercise in enumerate(EXERCISES):
            first, *rest = TESTS[exercise].split("\n")
            code = "\n".join([f">>> {first}", *(f">>> {line}" for line in rest)])
            suite = {"cases": [{"code": code, "hidden": False, "locked": False}], "scored": True, "setup": "",
                     "teardown": "", "type": "doctest"}  # fmt: skip
            text = f"OK_FORMAT = True\n\ntest = {{'name': 'q{number}', 'points': 1, 'suites': [{suite!r}]}}\n"
            archive.writestr(f"tests/q{number}.py", text)
    (place / "submission.ipynb").write_text(_notebook(cells), encoding="utf-8")
    few = max(2, notebooks // 6)  # each takes a process of its own, so that a few tell as much as many
    command = [sys.executable, "-m", "otter", "run", "-a", "autograder.zip", "submission.ipynb"]
    return sum(_timed(command, place, "otter run") for _ in range(few)) / few
