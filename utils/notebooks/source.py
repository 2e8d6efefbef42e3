"""The hand-written source of a chapter, solutions/NN_slug.py: read with Jupytext, and refused in words.

A source is a Jupytext py:percent file. What it must hold:
* first a Markdown cell that starts with the chapter's title, its only heading of level 1;
* as first code cell one tagged `setup`, which holds nothing but comments: the build writes it;
* exercise cells, whose first line is `# Exercise 3.2: …`, with solution regions, and `check("3.2", …)` in the code
  cell right under each.

Tags a cell may carry: `setup`; `machine` (what it prints depends on the machine, so it is not compared);
`raises-exception` (its error is part of the lesson); `refused` (its check has to refuse a wrong answer, on inputs of a
fixed seed: anywhere else a refusal stops the build); `folded` (its code is hidden until asked for).
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from utils.errors import CourseError
from utils.notebooks.regions import RegionError, find_regions, opened

NAME = re.compile(r"(\d\d)_([a-z0-9]+(?:_[a-z0-9]+)*)\.py")
MARKER = re.compile(r"^# %%")
EXERCISE = re.compile(r"# Exercise (\d+)\.(\d+)\b")
NEARLY_EXERCISE = re.compile(r"#+\s*exercise\b", re.IGNORECASE)
HEADING = re.compile(r"^(#{1,6})\s+(.+?)\s*#*\s*$")
TAGS = ("setup", "machine", "raises-exception", "refused", "folded")
SEEDED_CHECK = re.compile(r"^check\(.*\bseed=\d+\)", re.MULTILINE)
LONGEST_SLUG = 56  # cell ids may have 64 characters; the running number needs a few


class SourceError(CourseError):
    """A source that cannot become a chapter; names file and line."""


@dataclass(frozen=True)
class Cell:
    """One cell of a source. `line` is where its text starts in the file, counted from 1."""

    kind: str  # markdown or code
    text: str
    line: int
    tags: tuple[str, ...]
    role: str  # text, setup, exercise, check, predict, hint, code
    exercise: str | None  # "3.2" for the exercise and its check
    heading: str  # the nearest heading above
    identifier: str

    @property
    def place(self) -> str:
        """How a message names the cell: its exercise, or the heading it stands under."""
        return f"exercise {self.exercise}" if self.exercise else f"under '{self.heading}'"


@dataclass(frozen=True)
class Chapter:
    """A source that has been read and found in order."""

    path: Path
    number: str  # "03"
    title: str
    cells: tuple[Cell, ...]

    @property
    def name(self) -> str:
        """NN_slug, the name that source and notebooks share."""
        return self.path.stem

    @cached_property
    def exercises(self) -> tuple[str, ...]:
        """The numbers of the exercises, in order."""
        return tuple(cell.exercise for cell in self.cells if cell.role == "exercise")


def find_sources(solutions: Path) -> list[Path]:
    """The sources in a folder, by number. SourceError when two share a number or a name fits no chapter."""
    found = sorted(solutions.glob("*.py")) if solutions.is_dir() else []
    numbers: dict[str, Path] = {}
    for path in found:
        number = _number(path)
        if number in numbers:
            raise SourceError(f"{path} and {numbers[number].name} both are chapter {number}: renumber one of them.")
        numbers[number] = path
    return found


def _number(path: Path) -> str:
    match = NAME.fullmatch(path.name)
    if match is None:
        raise SourceError(f"{path} is no name for a chapter: it must look like 03_scaled_dot_product_attention.py.")
    return match[1]


def read_source(path: Path) -> Chapter:
    """Reads and validates a source. SourceError, naming file and line, when it cannot become a chapter."""
    number = _number(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} cannot be read ({error}): it must be a UTF-8 text file.") from None
    raw = list(_raw_cells(path, text))
    title = _title(path, raw)
    cells = tuple(_with_roles(path, number, raw))
    _require_exercises_in_order(path, number, cells)
    return Chapter(path, number, title, cells)


@dataclass(frozen=True)
class _RawCell:
    kind: str
    text: str
    line: int
    tags: tuple[str, ...]


def _raw_cells(path: Path, text: str) -> Iterator[_RawCell]:
    import jupytext  # not on Colab, and not needed there

    try:
        cells = jupytext.reads(text, fmt="py:percent").cells
    except Exception as error:  # a damaged header makes Jupytext raise YAML's errors
        raise SourceError(f"{path} cannot be read by Jupytext: {error}") from None
    lines, after = text.split("\n"), 0
    for cell in cells:
        if cell.cell_type == "raw":
            raise SourceError(
                f"{path} holds a raw cell or a header with keys other than `jupyter`: write a Markdown or code cell."
            )
        text = cell.source.strip("\n")
        if not text.strip():
            raise SourceError(f"{path} holds an empty cell after line {after + 1}: fill it or delete it.")
        marker, start = _find_cell(path, lines, after, cell.cell_type, text)
        after = start
        tags = tuple(cell.metadata.get("tags", ()))
        for tag in tags:
            if tag not in TAGS:
                raise SourceError(
                    f"{path}, line {marker + 1}: the tag {tag!r} is unknown; good ones: {', '.join(TAGS)}."
                )
        yield _RawCell(cell.cell_type, text, start + 1, tags)


def _find_cell(path: Path, lines: list[str], after: int, kind: str, text: str) -> tuple[int, int]:
    """The lines, counted from 0, of a cell's marker and of its first text. Jupytext does not tell them.

    A marker inside a string is passed over, for the cell's text does not follow it.
    """
    nothing = ' #\t"' if kind == "markdown" else " "  # Markdown stands behind # or between triple quotes
    first = text.split("\n", 1)[0].lstrip("# ").rstrip()  # a line of IPython's own stands behind # as well
    for marker in range(after, len(lines)):
        if MARKER.match(lines[marker]):
            start = next((n for n in range(marker + 1, len(lines)) if lines[n].strip(nothing)), None)
            if start is not None and lines[start].lstrip("# ").rstrip() == first:
                return marker, start
    raise SourceError(f"{path}, line {after + 1}: text stands outside of a cell; start one with `# %%`.")


def _title(path: Path, cells: list[_RawCell]) -> str:
    headings = [(depth, words, line) for cell in cells for depth, words, line in _headings(cell)]
    titles = [(words, line) for depth, words, line in headings if depth == 1]
    if not titles or titles[0][1] != cells[0].line:
        line = cells[0].line if cells else 1
        raise SourceError(f"{path}, line {line}: the first cell must be Markdown that starts with the title, `# # …`.")
    if len(titles) > 1:
        raise SourceError(f"{path}, line {titles[1][1]}: a chapter has one title; make this heading `##` or smaller.")
    slugs: dict[str, int] = {}
    for _, words, line in headings:
        if (earlier := slugs.setdefault(slug(words), line)) != line:
            raise SourceError(
                f"{path}, line {line}: the heading {words!r} reads like the one in line {earlier}, and cell ids come "
                "from headings: give each its own words."
            )
    return titles[0][0]


def _headings(cell: _RawCell) -> Iterator[tuple[int, str, int]]:
    """Depth, words and line of each heading of a Markdown cell; what a code fence encloses is none."""
    if cell.kind != "markdown":
        return
    fenced = False
    for offset, line in enumerate(cell.text.split("\n")):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced and (match := HEADING.match(line)):
            yield len(match[1]), match[2], cell.line + offset


def slug(words: str) -> str:
    """A heading as part of a cell id: small ASCII letters, digits and single hyphens."""
    ascii_only = unicodedata.normalize("NFKD", words).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_only.lower()).strip("-")[:LONGEST_SLUG].strip("-") or "section"


def _with_roles(path: Path, number: str, cells: list[_RawCell]) -> Iterator[Cell]:
    heading, count, set_up, exercise = "", 0, False, None
    for raw in cells:
        for _, words, _ in _headings(raw):
            heading, count = words, 0
        if raw.kind == "code" and set_up == ("setup" in raw.tags):
            raise SourceError(
                f"{path}, line {raw.line}: the first code cell, and no other, is the set-up cell: tag it `setup`."
            )
        set_up = set_up or raw.kind == "code"
        awaited, exercise = exercise, None
        role = _role(path, raw)
        if awaited is not None:
            if raw.kind != "code" or not re.search(rf"\bcheck\(\s*[\"']{re.escape(awaited)}[\"']", raw.text):
                raise SourceError(
                    f"{path}, line {raw.line}: right under exercise {awaited} must stand the cell with "
                    f'check("{awaited}", …).'
                )
            role = "check"
        _require_refused_in_order(path, raw, role)
        if role == "exercise":
            exercise = _exercise(path, number, raw)
        of_exercise = exercise or awaited
        if role == "setup":
            identifier = "setup"
        elif of_exercise:  # an underscore cannot come from a heading
            identifier = f"{role}-{of_exercise.replace('.', '_')}"
        else:
            count += 1
            identifier = f"{slug(heading)}-{count}"
        yield Cell(raw.kind, raw.text, raw.line, raw.tags, role, of_exercise, heading, identifier)
    if exercise is not None:
        raise SourceError(f'{path}: the last cell is exercise {exercise}; under it must stand check("{exercise}", …).')


def _require_refused_in_order(path: Path, raw: _RawCell, role: str) -> None:
    if "refused" in raw.tags and (role != "code" or "machine" in raw.tags or not SEEDED_CHECK.search(raw.text)):
        raise SourceError(
            f"{path}, line {raw.line}: a cell tagged `refused` shows a wrong answer, apart from the exercise's own "
            'check, and the same on every run: check("N.M", wrong, seed=1), and no tag `machine`.'
        )


def _role(path: Path, raw: _RawCell) -> str:
    if raw.kind == "markdown":
        return "text"
    if "setup" in raw.tags:
        for offset, line in enumerate(raw.text.split("\n")):
            if line.strip() and not line.lstrip().startswith("#"):
                raise SourceError(
                    f"{path}, line {raw.line + offset}: the set-up cell is written by the build; leave only comments."
                )
        return "setup"
    first = raw.text.split("\n", 1)[0]
    if EXERCISE.match(first):
        return "exercise"
    if NEARLY_EXERCISE.match(first):
        raise SourceError(
            f"{path}, line {raw.line}: an exercise cell starts with `# Exercise N.M`, this with {first!r}."
        )
    try:
        regions = find_regions(raw.text)
    except RegionError as error:
        raise _located(path, raw, error) from None
    if regions:
        line = raw.line + regions[0].begin
        raise SourceError(
            f"{path}, line {line}: a solution region needs `# Exercise N.M` as the first line of its cell."
        )
    match = re.search(r"^(predict|hint)\(", raw.text, flags=re.MULTILINE)
    return match[1] if match else "code"


def _exercise(path: Path, number: str, raw: _RawCell) -> str:
    match = EXERCISE.match(raw.text)
    exercise = f"{int(match[1])}.{int(match[2])}"
    if int(match[1]) != int(number) or match[0] != f"# Exercise {exercise}":
        raise SourceError(
            f"{path}, line {raw.line}: exercise {match[1]}.{match[2]} stands in chapter {number}: "
            f"its number must be {int(number)}.{int(match[2])}."
        )
    try:
        if not find_regions(raw.text):
            raise RegionError(0, f"exercise {exercise} has no ### BEGIN SOLUTION: there is nothing to write in it.")
        opened(raw.text, exercise)
    except RegionError as error:
        raise _located(path, raw, error) from None
    return exercise


def _located(path: Path, raw: _RawCell, error: RegionError) -> SourceError:
    return SourceError(f"{path}, line {raw.line + error.line}: {error.sentence}")


def _require_exercises_in_order(path: Path, number: str, cells: tuple[Cell, ...]) -> None:
    if not any(cell.role == "setup" for cell in cells):
        raise SourceError(f"{path} has no code cell: the first must be the set-up cell, tagged `setup`.")
    lines: dict[str, int] = {}
    for cell in cells:
        if cell.role == "exercise":
            if cell.exercise in lines:
                raise SourceError(
                    f"{path}, line {cell.line}: exercise {cell.exercise} is there already, in line "
                    f"{lines[cell.exercise]}: give each its own number."
                )
            lines[cell.exercise] = cell.line
