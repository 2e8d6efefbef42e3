"""A chapter as it was handed out: what the grader puts a learner's cells into.

Made from the chapter's source; in a release, where there is no source, from the copy that `release` has put there.
"""

import ast
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

from utils.errors import ConfigError
from utils.grading.chapters import COPIES, ROOT, chapter_numbers
from utils.grading.neutral import parsed
from utils.grading.reading import Cell
from utils.notebooks.source import Chapter

__all__ = ["Pristine", "chapter_numbers", "checked_name", "check_of", "copies", "of_this_release", "pristine"]


@dataclass(frozen=True)
class Pristine:
    """A chapter's notebook with its exercises open."""

    number: str  # "03"
    title: str
    name: str  # NN_slug
    digest: str
    cells: tuple[Cell, ...]
    exercises: tuple[str, ...]
    names: dict[str, str] = field(default_factory=dict)  # exercise → the name that its check asks for
    builds_on: dict[str, list[str]] = field(default_factory=dict)  # exercise → exercises that its solution uses
    imports: list[tuple[str, str]] = field(default_factory=list)  # what its solutions import of `utils`
    solutions: dict[str, str] = field(default_factory=dict)  # exercise → its solved cell; never in a release

    @property
    def chapter(self) -> int:
        """3 for "03"."""
        return int(self.number)

    def cell(self, role: str, exercise: str) -> Cell:
        """The exercise's own cell or its check."""
        return next(cell for cell in self.cells if cell.role == role and cell.course.get("exercise") == exercise)


@cache
def pristine(number: str) -> Pristine:
    """A chapter by its number. ConfigError names the ones there are."""
    number = number.zfill(2)
    source = next(iter(sorted((ROOT / "solutions").glob(f"{number}_*.py"))), None)
    if source is not None:
        return _from_source(source)
    copy = COPIES / f"{number}.json"
    if not copy.is_file():
        raise ConfigError(f"There is no chapter {number!r} to grade: there are {', '.join(chapter_numbers())}.")
    content = json.loads(copy.read_text(encoding="utf-8"))
    content["cells"] = tuple(Cell(**cell) for cell in content["cells"])
    content["exercises"] = tuple(content["exercises"])
    content["imports"] = [tuple(place) for place in content["imports"]]
    return Pristine(**content)


def of_this_release(found: Pristine, course: dict) -> bool:
    """Whether a notebook's metadata say that it was made from the chapter as it is now."""
    if course.get("digest") == found.digest:
        return True
    source = ROOT / "solutions" / f"{found.name}.py"
    address = course.get("repository")
    return source.is_file() and isinstance(address, str | None) and course.get("digest") == _digest(source, address)


@cache
def _digest(source: Path, address: str | None) -> str:
    from utils.notebooks.build import chapter_notebook
    from utils.notebooks.source import read_source

    return chapter_notebook(read_source(source), address).metadata["course"]["digest"]


def as_copy(found: Pristine) -> str:
    """A chapter as a release carries it: without its solutions."""
    return json.dumps({**asdict(found), "solutions": {}}, indent=1, ensure_ascii=False) + "\n"


def copies(chapters: Sequence[Chapter]) -> dict[str, str]:
    """The files that a release gets, so that learners can check their own notebooks as the class is graded."""
    known = [chapter.number for chapter in chapters if chapter.number in chapter_numbers()]
    return {f"utils/grading/{COPIES.name}/{number}.json": as_copy(pristine(number)) for number in known}


def _from_source(path: Path) -> Pristine:
    from utils.grading.gather import names_needed
    from utils.notebooks.address import repository
    from utils.notebooks.build import chapter_notebook
    from utils.notebooks.source import read_source

    chapter = read_source(path)
    notebook = chapter_notebook(chapter, repository(ROOT))
    numbered = enumerate(notebook.cells)
    cells = [Cell(c.source, c.id, dict(c.metadata["course"]), i) for i, c in numbered if c.cell_type == "code"]
    names = {cell.course["exercise"]: checked_name(cell.source) or "" for cell in cells if cell.role == "check"}
    solutions = {cell.exercise: cell.text for cell in chapter.cells if cell.role == "exercise"}
    builds_on, imports = names_needed(cells, solutions)
    return Pristine(
        chapter.number, chapter.title, chapter.name, notebook.metadata["course"]["digest"], tuple(cells),
        chapter.exercises, names, builds_on, sorted(imports), solutions,
    )  # fmt: skip


def checked_name(source: str, number: str | None = None) -> str | None:
    """The name that a cell's check("3.2", name) hands over; None where it is no plain name."""
    tree = parsed(source)
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "check":
            arguments = [*node.args, *(keyword.value for keyword in node.keywords if keyword.arg == "answer")]
            asked = arguments[0].value if arguments and isinstance(arguments[0], ast.Constant) else None
            if len(arguments) > 1 and isinstance(arguments[1], ast.Name) and number in (None, asked):
                return arguments[1].id
    return None


def check_of(source: str) -> str | None:
    """The exercise that a cell checks."""
    found = re.search(r"^[^\S\n]*check\(\s*[\"'](\d+\.\d+)[\"']", source, flags=re.MULTILINE)
    return found[1] if found else None
