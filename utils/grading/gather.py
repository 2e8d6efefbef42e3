"""Which of a notebook's statements an exercise needs besides its own cell: helpers, constants, imports.

Only what is needed comes along, statement by statement, so that a plot, a training run or a patched library elsewhere
in the notebook has no part in the grading of this exercise.
"""

import ast
import builtins
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

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
    effects: frozenset[str]  # of a function: names that calling it alters
    reads: frozenset[str]
    cell: int
    position: int
    exercise: str | None = None  # whose exercise cell it stands in
    defines: bool = False  # def, class or import: a later one replaces it altogether
    acts: bool = True  # whether running it can call a function: no import, and no definition without a decorator


def fragments(cell: Cell, exercise: str | None = None) -> list[Fragment]:
    """The statements of a cell; none of a cell that is no Python."""
    source = neutral(cell.source)
    tree, lines = parsed(source), source.split("\n")
    found = []
    for position, node in enumerate(tree.body if tree else ()):
        text = _segment(lines, node)
        binds, changes = frozenset(bound_names(node)), frozenset(_changed(node))
        defines = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom)
        reads, effects = frozenset(names_read(text)), frozenset(_effects(node))
        acts = not defines or bool(getattr(node, "decorator_list", ()))
        where = (cell.index, position, exercise)
        found.append(Fragment(text, binds, changes, effects, reads, *where, defines, acts))
    return found


def _segment(lines: list[str], node: ast.stmt) -> str:
    first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))])
    alone = not lines[first - 1][: node.col_offset].strip()
    if alone and not lines[node.end_lineno - 1].encode()[node.end_col_offset :].strip().startswith(b";"):
        return "\n".join(lines[first - 1 : node.end_lineno])
    return ast.unparse(node)  # several on a line


def names_read(text: str) -> list[str]:
    """The global names that a piece of a cell reads."""
    try:
        return free_names(text)
    except (SyntaxError, ValueError, RecursionError):
        tree = parsed(text)
        loads = (node for node in ast.walk(tree) if isinstance(node, ast.Name)) if tree else ()
        return sorted({node.id for node in loads if isinstance(node.ctx, ast.Load)})


def _changed(node: ast.stmt) -> Iterable[str]:
    """Names at the root of what a statement, or one inside of a loop or a branch, assigns into or calls a method of,
    a decorator's method among them.
    """
    targets: list[ast.expr] = []
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        called = (d.func if isinstance(d, ast.Call) else d for d in node.decorator_list)
        targets = [function for function in called if isinstance(function, ast.Attribute)]
    elif isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AugAssign | ast.AnnAssign):
        targets = [node.target]
    elif isinstance(node, ast.Expr):
        inner = node.value.elt if isinstance(node.value, ast.ListComp | ast.SetComp) else node.value
        if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute):
            targets = [inner.func]
        elif isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) and inner.func.id == "setattr":
            targets = [ast.Attribute(inner.args[0], "")] if inner.args else []
    else:
        for part in ast.iter_child_nodes(node):
            for inner in part.body if isinstance(part, ast.ExceptHandler | ast.match_case) else [part]:
                yield from _changed(inner) if isinstance(inner, ast.stmt) else ()
    for target in targets:
        inner = target
        while isinstance(inner, ast.Attribute | ast.Subscript):
            inner = inner.value
        if inner is not target and isinstance(inner, ast.Name):
            yield inner.id


def _effects(node: ast.stmt) -> Iterable[str]:
    """Names of the notebook that a function alters when it is called: global ones, and tables that it writes into."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return
    outside = set(names_read(ast.unparse(node)))
    for part in ast.walk(node):
        if isinstance(part, ast.Global):
            yield from part.names
        elif isinstance(part, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Expr):
            yield from outside.intersection(_changed(part))


def _with_effects(pool: Sequence[Fragment]) -> Sequence[Fragment]:
    """The pool, where a statement that calls a function alters what this alters."""
    effects = {name: set(fragment.effects) for fragment in pool if fragment.effects for name in fragment.binds}
    if not effects:
        return pool
    callers = [fragment for fragment in pool if not fragment.acts and fragment.defines]
    for _ in range(3):  # functions that call functions that …
        for fragment in callers:
            for read in fragment.reads & effects.keys():
                for name in fragment.binds - {read}:
                    effects.setdefault(name, set()).update(effects[read])
    found = []
    for fragment in pool:
        more = {name for read in fragment.reads & effects.keys() for name in effects[read]} if fragment.acts else ()
        found.append(replace(fragment, changes=fragment.changes | more) if more else fragment)
    return found


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
    result, chosen, seen, pool = Gathered(), set(), set(), _with_effects(pool)
    waiting = [name for name in needed if name not in own]
    owned = set(own)
    waiting += [name for name in owned if any(name in fragment.changes for fragment in pool)]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        found = _giving(name, pool, before) if name not in owned else []
        altering = [] if name in KNOWN else [f for f in pool if name in f.changes and not f.exercise]
        if not found and not altering and name not in owned:
            if name in KNOWN:
                continue
            result.lacking.add(name)
            found = [f for f in pool if "*" in f.binds and f.exercise is None]  # from math import *: it may be in there
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
