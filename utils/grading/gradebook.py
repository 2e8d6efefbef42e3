"""Points as tables that other systems import: a row a learner, and a row an answer.

A cell that a spreadsheet would take for a formula gets an apostrophe in front, names and messages alike.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence

from utils.exercises.registry import exercises
from utils.grading.results import SubmissionResult

SYSTEMS_ID = re.compile(r" \((\d{3,})\)$")
FORMULA = tuple("=+-@\t\r\n|%") + tuple("＝＋－＠")

INNER = re.compile(rf"(; *)(?=[{re.escape(''.join(FORMULA))}])")


def safe(text: str) -> str:
    """A text that no spreadsheet executes."""
    text = "".join(c if c.isprintable() or c == " " else " " for c in text)
    text = INNER.sub(r"\1'", text)  # in some countries a spreadsheet takes a semicolon for the end of a cell
    return f"'{text}" if text.lstrip().startswith(FORMULA) else text


def gradebook(results: Sequence[SubmissionResult]) -> str:
    """A row a learner, a column an exercise and a total; an empty cell is not graded, 0 is nothing earned.

    Where files came with the number that Moodle or Canvas knows a person by, that has a column of its own.
    """
    chapters = sorted({result.chapter for result in results})
    columns = [exercise for chapter in chapters for exercise in exercises(int(chapter))]
    rows: dict[str, dict[str, float]] = {}
    for result in results:
        row = rows.setdefault(result.learner, {})
        row |= {e.number: e.points for e in result.exercises if e.verdict != "ungraded"}
    systems = any(SYSTEMS_ID.search(learner) for learner in rows)
    header = [
        "learner",
        *(["id"] if systems else []),
        *(f"{e.number} ({e.points}{', optional' if e.optional else ''})" for e in columns),
        "total",
    ]
    table = [header]
    for learner in sorted(rows, key=lambda name: (name.casefold(), name)):
        row = rows[learner]
        points = [f"{row[e.number]:g}" if e.number in row else "" for e in columns]
        name, number = _split(learner) if systems else (learner, "")
        table.append([safe(name), *([number] if systems else []), *points, f"{sum(row.values()):g}"])
    return _csv(table)


def _split(learner: str) -> tuple[str, str]:
    """("Li, Bo", "4712") for "Li, Bo (4712)"."""
    found = SYSTEMS_ID.search(learner)
    return (learner[: found.start()], found[1]) if found else (learner, "")


def long_form(results: Sequence[SubmissionResult], flags: Mapping[str, list[str]]) -> str:
    """A row an answer, for analysis."""
    header = ["learner", "chapter", "exercise", "points", "out_of", "optional", "verdict", "misconception", "message",
              "flags", "seconds", "file"]  # fmt: skip
    table = [header]
    for result in results:
        for e in result.exercises:
            message = f"{e.message} {e.explanation}".strip()
            own = "; ".join([*e.flags, *(flag for flag in flags.get(result.learner, []) if flag.startswith(e.number))])
            table.append([
                safe(result.learner), result.chapter, e.number, f"{e.points:g}", str(e.out_of), str(e.optional).lower(),
                e.verdict, safe(e.misconception or ""), safe(message), safe(own), f"{e.seconds:g}", safe(result.file),
            ])  # fmt: skip
    return _csv(table)


def _csv(table: list[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(table)
    return text.getvalue()
