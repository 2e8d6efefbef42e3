"""Solution regions: what stands between `### BEGIN SOLUTION` and `### END SOLUTION`, and the cell without it."""

import ast
import re
from dataclasses import dataclass

BEGIN = re.compile(r"^\s*### BEGIN SOLUTION\s*$")
END = re.compile(r"^\s*### END SOLUTION\s*$")
NEARLY = re.compile(r"^\s*#+\s*(BEGIN|END)\s+SOLUTION", re.IGNORECASE)


class RegionError(Exception):
    """A fault in a cell's regions, with its line counted from 0 within the cell; `source.py` adds the file."""

    def __init__(self, line: int, sentence: str) -> None:
        super().__init__(sentence)
        self.line = line
        self.sentence = sentence


@dataclass(frozen=True)
class Region:
    """The lines of the two markers, counted from 0 within the cell, and of the first line of code between them."""

    begin: int
    end: int
    first: int


def find_regions(text: str) -> list[Region]:
    """The regions of a cell, in order. RegionError where a marker lacks its partner or encloses nothing."""
    lines, regions, begin = text.split("\n"), [], None
    for number, line in enumerate(lines):
        if BEGIN.match(line):
            if begin is not None:
                raise RegionError(number, "### BEGIN SOLUTION stands inside another region: end that one first.")
            begin = number
        elif END.match(line):
            if begin is None:
                raise RegionError(number, "### END SOLUTION has no ### BEGIN SOLUTION above it.")
            regions.append(Region(begin, number, _first_code(lines, begin, number)))
            begin = None
        elif NEARLY.match(line):
            raise RegionError(number, f"{line.strip()!r} is no marker: write ### BEGIN SOLUTION or ### END SOLUTION.")
    if begin is not None:
        raise RegionError(begin, "### BEGIN SOLUTION has no ### END SOLUTION in its cell.")
    return regions


def _first_code(lines: list[str], begin: int, end: int) -> int:
    for number in range(begin + 1, end):
        if lines[number].strip() and not lines[number].lstrip().startswith("#"):
            return number
    raise RegionError(begin, "Between ### BEGIN SOLUTION and ### END SOLUTION stands no code.")


def opened(text: str, exercise: str) -> str:
    """The cell as learners get it: each region becomes one `raise NotImplementedError`, docstrings stay.

    RegionError when the cell is no Python with or without its regions, or when a docstring would go.
    """
    regions = find_regions(text)
    solved = _parsed(text, "The cell")
    _require_docstrings_outside(solved, regions)
    lines, result, done = text.split("\n"), [], 0
    for region in regions:
        first = lines[region.first]
        indentation = first[: len(first) - len(first.lstrip())]
        task = _task(solved, region)
        result += lines[done : region.begin]
        result.append(f'{indentation}raise NotImplementedError("Exercise {exercise}: {task}")')
        done = region.end + 1
    stripped = "\n".join(result + lines[done:])
    _parsed(stripped, "The cell without its solution")
    return stripped


def _parsed(text: str, what: str) -> ast.Module:
    try:
        return ast.parse(text)
    except SyntaxError as error:
        raise RegionError((error.lineno or 1) - 1, f"{what} is not Python: {error.msg}.") from None


def _task(solved: ast.Module, region: Region) -> str:
    """What is to be written: the function or method that the region belongs to."""
    names: list[str] = []
    body: list[ast.stmt] = solved.body
    while True:
        around = [
            node
            for node in body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            and node.lineno - 1 < region.begin
            and region.first <= (node.end_lineno or 0) - 1
        ]
        if not around:
            return f"write {'.'.join(names)}" if names else "this part is yours to write"
        names.append(around[0].name)
        body = around[0].body


def _require_docstrings_outside(solved: ast.Module, regions: list[Region]) -> None:
    documented = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for node in ast.walk(solved):
        if not isinstance(node, documented) or ast.get_docstring(node) is None:
            continue
        start, docstring = node.lineno - 1, node.body[0].lineno - 1
        for region in regions:
            if start < region.begin < docstring < region.end:
                raise RegionError(docstring, f"The docstring of {node.name} lies inside the solution region.")
