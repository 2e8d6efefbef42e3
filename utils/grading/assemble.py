"""The notebook that is graded: the pristine set-up, and for each exercise its helpers, its cell and a probe.

Nothing else of a submission gets in. Cells carry in their metadata what they are; the plugin goes by that.
"""

import json
from dataclasses import dataclass, field

from utils.grading.gather import SETUP, Fragment
from utils.grading.matching import Answer, match
from utils.grading.pristine import Pristine
from utils.grading.reading import Notebook

PROBE = "# The probe of exercise {number}: the grader's call of `{name}` stands here while it runs."


@dataclass
class Assembled:
    """A submission ready to be graded."""

    chapter: Pristine
    answers: list[Answer]
    cells: list[dict] = field(default_factory=list)

    def to_json(self) -> str:
        """As a notebook file."""
        metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
        content = {"cells": self.cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def assemble(notebook: Notebook, chapter: Pristine) -> Assembled:
    """Takes the exercises out of a submission and puts them together anew."""
    answers = match(notebook, chapter)
    assembled = Assembled(chapter, answers)
    by_number = {answer.number: answer for answer in answers}
    for answer in answers:
        if answer.state == "there":
            assembled.cells += _cells_of(answer, by_number)
    return assembled


def _cells_of(answer: Answer, answers: dict[str, Answer]) -> list[dict]:
    cells = [_cell(answer.number, "setup", SETUP.rstrip("\n"))]
    grouped: dict[tuple[int, str | None], list[Fragment]] = {}
    for fragment in answer.helpers:
        grouped.setdefault((fragment.cell, fragment.exercise), []).append(fragment)
    for count, ((_, exercise), parts) in enumerate(grouped.items(), start=1):
        text = "\n\n".join(part.text for part in parts)
        role = "helper" if exercise is None else "prerequisite"
        names = sorted(answer.uses.get(exercise, ())) if exercise else []
        cells.append(_cell(answer.number, role, text, f"-{count}", of=exercise, names=names))
    if answer.source.strip():
        cells.append(_cell(answer.number, "exercise", answer.source))
    cells.append(_cell(answer.number, "probe", PROBE.format(number=answer.number, name=answer.name)))
    return cells


def _cell(number: str, role: str, source: str, suffix: str = "", **more) -> dict:
    course = {"exercise": number, "role": role, **{key: value for key, value in more.items() if value}}
    return {
        "cell_type": "code",
        "id": f"{role}-{number.replace('.', '_')}{suffix}",
        "metadata": {"course": course},
        "execution_count": None,
        "outputs": [],
        "source": source,
    }
