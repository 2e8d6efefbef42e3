"""Submissions made by script: a chapter's notebook with given answers, saved as one program or another saves it."""

import copy
import json
import re
import textwrap
from functools import cache
from pathlib import Path

from utils.grading.pristine import pristine
from utils.notebooks.build import chapter_notebook, to_text
from utils.notebooks.source import find_sources, read_source

ROOT = Path(__file__).parents[2]


@cache
def _handed_out(number: str) -> str:
    source = next(path for path in find_sources(ROOT / "solutions") if path.name.startswith(number))
    return to_text(chapter_notebook(read_source(source), None))


def handed_out(number: str = "03") -> dict:
    """The chapter's notebook as learners get it."""
    return json.loads(_handed_out(number))


def solution(exercise: str) -> str:
    """The exercise's solved cell, without the marks of the solution."""
    text = pristine(f"{int(exercise.split('.')[0]):02d}").solutions[exercise]
    return "\n".join(line for line in text.split("\n") if not re.match(r"\s*### (BEGIN|END) SOLUTION", line))


def exercise_cell(notebook: dict, exercise: str) -> dict:
    """The exercise's cell."""
    return next(cell for cell in notebook["cells"] if cell["id"] == f"exercise-{exercise.replace('.', '_')}")


def submission(answers: dict[str, str | None], number: str = "03", helpers: dict[str, str] | None = None) -> dict:
    """The chapter's notebook with exercise cells replaced; None: as in the solution. helpers: exercise → a cell of the
    learner's own above the exercise's.
    """
    notebook = handed_out(number)
    for exercise, source in answers.items():
        cell = exercise_cell(notebook, exercise)
        source = solution(exercise) if source is None else textwrap.dedent(source).strip("\n")
        if not source.startswith("# Exercise") and "\n" in source:
            source = f"# Exercise {exercise}: mine\n{source}"
        cell["source"] = source.splitlines(keepends=True)
    for exercise, source in (helpers or {}).items():
        insert_above(notebook, exercise, source)
    return notebook


def insert_above(notebook: dict, exercise: str, source: str, identifier: str | None = None) -> dict:
    """A cell of the learner's own above an exercise's cell."""
    position = notebook["cells"].index(exercise_cell(notebook, exercise))
    cell = own_cell(source, identifier or f"own-{len(notebook['cells'])}")
    notebook["cells"].insert(position, cell)
    return cell


def own_cell(source: str, identifier: str = "own") -> dict:
    """A cell of the learner's own."""
    text = textwrap.dedent(source).strip("\n").splitlines(keepends=True)
    return {"cell_type": "code", "id": identifier, "metadata": {}, "execution_count": 1, "outputs": [], "source": text}


def all_solved(number: str = "03") -> dict:
    """The chapter wholly and rightly solved."""
    return submission(dict.fromkeys(pristine(number).exercises), number)


def as_text(notebook: dict) -> str:
    """A file's content."""
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def as_colab(notebook: dict) -> str:
    """As Google Colab saves it: nbformat 4.0, no ids of ours, its own metadata, one line."""
    changed = copy.deepcopy(notebook)
    for count, cell in enumerate(changed["cells"]):
        cell.pop("id", None)
        cell["metadata"] = {"id": f"aB{count:02d}xYz"}
    changed["metadata"] = {"colab": {"provenance": []}, "kernelspec": {"name": "python3", "display_name": "Python 3"}}
    changed["nbformat_minor"] = 0
    return json.dumps(changed, ensure_ascii=False)


def as_vscode(notebook: dict) -> str:
    """As VS Code may save it: other ids, our metadata dropped, CRLF."""
    changed = copy.deepcopy(notebook)
    for count, cell in enumerate(changed["cells"]):
        cell["id"] = f"{count:08x}"
        cell["metadata"] = {}
    changed["metadata"] = {"language_info": {"name": "python"}}
    return json.dumps(changed, indent=1, ensure_ascii=False).replace("\n", "\r\n")


def as_classic(notebook: dict, minor: int = 2) -> str:
    """As the classic Notebook saves it: no ids before nbformat 4.5, metadata kept."""
    changed = copy.deepcopy(notebook)
    for cell in changed["cells"]:
        cell.pop("id", None)
    changed["nbformat_minor"] = minor
    return json.dumps(changed, indent=1, ensure_ascii=True)


def as_version_3(notebook: dict) -> str:
    """In nbformat 3: worksheets, `input` in place of `source`."""
    cells = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cells.append({"cell_type": "code", "language": "python", "collapsed": False, "metadata": {},
                          "input": cell["source"], "outputs": [], "prompt_number": 1})  # fmt: skip
        else:
            cells.append({"cell_type": "markdown", "metadata": {}, "source": cell["source"]})
    return json.dumps({"metadata": {"name": ""}, "nbformat": 3, "nbformat_minor": 0, "worksheets": [{"cells": cells}]})


def points(result) -> dict[str, float]:
    """Exercise → points."""
    return {exercise.number: exercise.points for exercise in result.exercises}
