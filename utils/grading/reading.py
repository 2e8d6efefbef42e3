"""A submitted file as cells, whatever program saved it; or one sentence on why it is no notebook."""

import codecs
import json
import re
from dataclasses import dataclass, field
from typing import Any

from utils.errors import CourseError
from utils.grading.texts import whole

LARGEST = 200_000_000  # bytes of one file
LINE = re.compile(r"^\s*#+\s*exercise\s+(\d+)[.,](\d+)\b", re.IGNORECASE)
CONFLICT = re.compile(r"^(<{7}|>{7}|\|{7})( |$)", re.MULTILINE)
BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),  # before UTF-16, whose mark begins alike
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip


class UnreadableError(CourseError):
    """A file that is no notebook; says why, and what its author can do."""


@dataclass(frozen=True)
class Cell:
    """One cell. `course` is what the build wrote into its metadata, where that is left."""

    source: str
    identifier: str = ""
    course: dict[str, Any] = field(default_factory=dict)
    index: int = 0  # among all cells
    code: bool = True

    @property
    def role(self) -> str:
        """exercise, check, setup, …; empty for a cell of the learner's own."""
        role = self.course.get("role", "")
        return role if isinstance(role, str) else ""


@dataclass(frozen=True)
class Notebook:
    """The code cells of a notebook, and what it says of itself."""

    cells: tuple[Cell, ...]
    course: dict[str, Any] = field(default_factory=dict)  # chapter, digest of the release, …
    notes: tuple[str, ...] = ()
    texts: tuple[Cell, ...] = ()  # its other cells


def read_cells(data: bytes) -> Notebook:
    """Reads a notebook of nbformat 3 or 4. UnreadableError in one sentence."""
    content = _parsed(_text(data))
    if not isinstance(content, dict) or not ("cells" in content or "worksheets" in content):
        raise UnreadableError(
            "It is no notebook: it holds JSON, but no cells. Save the notebook itself and hand it in."
        )
    notes = []
    if "cells" not in content:
        cells = _of_worksheets(content["worksheets"])
        notes.append("The notebook is in an old format (3); its code was read all the same.")
    else:
        cells = content["cells"]
    if not isinstance(cells, list):
        raise UnreadableError(
            "It is damaged: its `cells` are no list. Open it in JupyterLab, save it, hand it in again."
        )
    found = [_cell(cell, index) for index, cell in enumerate(cells)]
    if broken := sum(cell is None for cell in found):
        notes.append(f"{broken} of its cells are damaged and were passed over.")
    code = tuple(cell for cell in found if cell is not None and cell.code)
    texts = tuple(cell for cell in found if cell is not None and not cell.code)
    course = _mapping(_mapping(content.get("metadata")).get("course"))
    return Notebook(code, course, tuple(notes), texts)


def _text(data: bytes) -> str:
    if not data.strip():
        raise UnreadableError("It is empty. Save the notebook, look that the file has a size, and hand it in again.")
    if len(data) > LARGEST:
        raise UnreadableError("It is larger than 200 MB. Clear the outputs, save it, and hand it in again.")
    encoding = next((name for mark, name in BOMS if data.startswith(mark)), None)
    if encoding is None:
        zeros = data[:200].count(0)
        encoding = ("utf-16-le" if data[1:2] == b"\0" else "utf-16-be") if zeros > 20 else "utf-8"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise UnreadableError(
            f"It is no text in UTF-8 or UTF-16 (byte {error.start}): is it really a notebook?"
        ) from None


def _parsed(text: str) -> Any:
    try:
        return json.loads(text.rstrip("\0 \r\n\t"))
    except RecursionError:
        raise UnreadableError("Its JSON is nested too deeply to be a notebook.") from None
    except ValueError as error:
        if conflict := CONFLICT.search(text):
            line = text.count("\n", 0, conflict.start()) + 1
            sentence = f"It holds the marks of a merge conflict (line {line}): decide which version holds, and save it."
        elif text.lstrip()[:1] not in ("{", "["):
            sentence = "It holds no JSON, so it is no notebook. Hand in the .ipynb file."
        elif str(error).startswith("Extra data"):
            sentence = f"It goes on after its end (line {error.lineno}): have two files run together? Hand it in again."
        elif not text.rstrip().endswith("}") or getattr(error, "pos", 0) >= len(text.rstrip()) - 1:
            sentence = f"It is cut off after {len(text):,} characters: hand it in again."
        else:
            at = getattr(error, "lineno", None)
            sentence = (
                f"It is damaged{f' in line {at}' if at else ''}: open it in JupyterLab, save it, hand it in again."
            )
        raise UnreadableError(sentence) from None


def _of_worksheets(worksheets: Any) -> list[Any]:
    cells: list[Any] = []
    for sheet in worksheets if isinstance(worksheets, list) else []:
        for cell in _mapping(sheet).get("cells", []):
            cells.append(
                {**cell, "source": cell.get("input", cell.get("source", ""))} if isinstance(cell, dict) else None
            )
    return cells


def _cell(cell: Any, index: int) -> Cell | None:
    """A cell; None for something that is no cell."""
    if not isinstance(cell, dict) or not isinstance(cell.get("cell_type"), str):
        return None
    source = cell.get("source", "")
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str):
        return None
    identifier = cell.get("id")
    course = _mapping(_mapping(cell.get("metadata")).get("course"))
    source = source.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff").replace("\0", "")
    identifier = identifier if isinstance(identifier, str) else ""
    return Cell(whole(source), identifier, course, index, cell["cell_type"] == "code")


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def exercise_lines(notebook: Notebook) -> list[str]:
    """The exercises that a notebook's cells name, by id, metadata or first line."""
    found = []
    for cell in notebook.cells:
        number = by_id(cell) or by_metadata(cell) or by_line(cell)
        found += [number] if number else []
    return found


def by_id(cell: Cell) -> str | None:
    """The exercise whose id a cell has."""
    found = re.fullmatch(r"exercise-(\d+)_(\d+)", cell.identifier)
    return f"{found[1]}.{found[2]}" if found else None


def by_metadata(cell: Cell) -> str | None:
    """The exercise that a cell's metadata name."""
    number = cell.course.get("exercise")
    return number if cell.role == "exercise" and isinstance(number, str) else None


def by_line(cell: Cell) -> str | None:
    """The exercise that a cell's first line names."""
    first = next((line for line in cell.source.split("\n") if line.strip() and not line.startswith("%%")), "")
    found = LINE.match(first)
    return f"{int(found[1])}.{int(found[2])}" if found else None
