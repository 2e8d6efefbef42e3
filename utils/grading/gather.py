"""Which of a notebook's statements an exercise needs besides its own cell: helpers, constants, imports.

Only what is needed comes along, statement by statement, so that a plot, a training run or a patched library elsewhere
in the notebook has no part in the grading of this exercise.
"""

import ast
import builtins
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from utils.exercises.source import free_names
from utils.grading.neutral import neutral, parsed
from utils.grading.reading import Cell
from utils.grading.slicing import Place, bound_names

# What the set-up cell gives a meaning, in a notebook and in the grader's own form of it.
SETUP = """\
import shutil, subprocess, sys
from importlib.util import find_spec
from pathlib import Path

import torch
from utils import plots
from utils.exercises import check, hint, predict, progress
"""
GIVEN = frozenset(
    ("shutil", "subprocess", "sys", "find_spec", "Path", "torch", "plots", "check", "hint", "predict", "progress")
)
KNOWN = GIVEN | frozenset(dir(builtins)) | {"get_ipython", "display", "__name__", "In", "Out", "_"}


@dataclass(frozen=True)
class Fragment:
    """One statement at the top of a cell."""

    text: str
    binds: frozenset[str]
    changes: frozenset[str]  # names whose things it alters: table["x"] = 1, rows.append(2), Class.method = …
    reads: frozenset[str]
    cell: int
    position: int
    exercise: str | None = None  # whose exercise cell it stands in
    defines: bool = False  # def, class or import: a later one replaces it altogether


def fragments(cell: Cell, exercise: str | None = None) -> list[Fragment]:
    """The statements of a cell; none of a cell that is no Python."""
    source = neutral(cell.source)
    tree = parsed(source)
    found = []
    for position, node in enumerate(tree.body if tree else ()):
        text = _segment(source, node)
        binds, changes = frozenset(bound_names(node)), frozenset(_changed(node))
        defines = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom)
        reads = frozenset(names_read(text))
        found.append(Fragment(text, binds, changes, reads, cell.index, position, exercise, defines))
    return found


def _segment(source: str, node: ast.stmt) -> str:
    lines = source.split("\n")
    first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))])
    alone = not lines[first - 1][: node.col_offset].strip()
    if alone and not lines[node.end_lineno - 1].encode()[node.end_col_offset :].strip().startswith(b";"):
        return "\n".join(lines[first - 1 : node.end_lineno])
    return ast.get_source_segment(source, node) or ast.unparse(node)


def names_read(text: str) -> list[str]:
    """The global names that a piece of a cell reads."""
    try:
        return free_names(text)
    except (SyntaxError, ValueError, RecursionError):
        tree = parsed(text)
        loads = (node for node in ast.walk(tree) if isinstance(node, ast.Name)) if tree else ()
        return sorted({node.id for node in loads if isinstance(node.ctx, ast.Load)})


def _changed(node: ast.stmt) -> Iterable[str]:
    """Names at the root of what a plain statement assigns into, or calls a method of."""
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AugAssign | ast.AnnAssign):
        targets = [node.target]
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        if isinstance(node.value.func, ast.Attribute):
            targets = [node.value.func]
        elif isinstance(node.value.func, ast.Name) and node.value.func.id == "setattr" and node.value.args:
            targets = [ast.Attribute(node.value.args[0], "")]
    for target in targets:
        inner = target
        while isinstance(inner, ast.Attribute | ast.Subscript):
            inner = inner.value
        if inner is not target and isinstance(inner, ast.Name):
            yield inner.id


@dataclass
class Gathered:
    """What an exercise needs: fragments in the order of the notebook, and the exercises whose names it uses."""

    fragments: list[Fragment] = field(default_factory=list)
    uses: dict[str, set[str]] = field(default_factory=dict)  # exercise → names of its cell that are needed
    lacking: set[str] = field(default_factory=set)


def gather(needed: Iterable[str], own: Iterable[str], pool: Sequence[Fragment], before: int) -> Gathered:
    """All that gives the needed names a meaning. `own` names are bound by the exercise's cell itself; statements at or
    after the cell numbered `before` count only where none stands above it.
    """
    result, chosen, seen = Gathered(), set(), set()
    waiting = [name for name in needed if name not in own]
    owned = set(own)
    waiting += [name for name in owned if any(name in fragment.changes for fragment in pool)]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        found = _giving(name, pool, before) if name not in owned else []
        if not found and name not in owned:
            if name in KNOWN:
                continue
            result.lacking.add(name)
            found = [f for f in pool if "*" in f.binds and f.exercise is None]  # from math import *: it may be in there
            if not found:
                continue
        altering = [] if name in KNOWN else [f for f in pool if name in f.changes and not f.exercise]
        for fragment in [*found, *altering]:
            if fragment.exercise is not None:
                result.uses.setdefault(fragment.exercise, set()).add(name)
            if (fragment.cell, fragment.position) not in chosen:
                chosen.add((fragment.cell, fragment.position))
                result.fragments.append(fragment)
                waiting += [read for read in fragment.reads if read not in owned]
    result.fragments.sort(key=lambda fragment: (fragment.cell, fragment.position))
    return result


def _giving(name: str, pool: Sequence[Fragment], before: int) -> list[Fragment]:
    """The statements that give a name its meaning: those above the exercise's check, else those below."""
    binding = [fragment for fragment in pool if name in fragment.binds]
    if name in KNOWN:
        binding = [fragment for fragment in binding if fragment.defines]  # `sum = 0` in a demonstration is no helper
    above = [fragment for fragment in binding if fragment.cell < before]
    binding = above or binding
    replaced = max((i for i, f in enumerate(binding) if f.defines and name not in f.reads), default=None)
    return binding if replaced is None else binding[replaced:]


def names_needed(cells: Sequence[Cell], solutions: Mapping[str, str]) -> tuple[dict[str, list[str]], set[Place]]:
    """Of a chapter's own solutions: which exercises each builds on, and what they import of `utils`."""
    from utils.grading.course import utils_imports

    pool = []
    for cell in cells:
        number = cell.course.get("exercise")
        if cell.role == "exercise":
            pool += fragments(Cell(solutions[number], cell.identifier, cell.course, cell.index), number)
        elif cell.role == "code":
            pool += fragments(cell)
    builds_on: dict[str, list[str]] = {}
    imports: set[Place] = set()
    for number, text in solutions.items():
        own = {name for fragment in pool if fragment.exercise == number for name in fragment.binds}
        others = [fragment for fragment in pool if fragment.exercise != number]
        found = gather(set(names_read(text)) - own, own, others, before=10**9)
        builds_on[number] = sorted(found.uses)
        for part in (text, *(fragment.text for fragment in found.fragments)):
            imports |= utils_imports(part)
    return builds_on, imports
