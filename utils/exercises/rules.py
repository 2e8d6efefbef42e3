"""What an answer must not call, read from its source. A rule of the course, not a proof: the numbers would be right."""

import ast
import builtins
import importlib
import sys
from collections.abc import Callable, Iterator
from functools import cache
from types import ModuleType
from typing import Any

from utils.exercises.declare import Exercise
from utils.exercises.source import Definition, own_definitions


def forbidden_use(exercise: Exercise, answer: Callable) -> str | None:
    """A sentence when the answer, or a helper of the learner's that it reaches, calls what does the work by itself.
    None where it does not, or where no source can be read.
    """
    return forbidden_among(exercise, own_definitions(answer)) if exercise.forbidden else None


def forbidden_among(exercise: Exercise, definitions: list[Definition]) -> str | None:
    """The same for definitions that are known already."""
    for definition in definitions:
        for forbidden in exercise.forbidden:
            node = _use(definition, forbidden)
            if node is not None:
                return (
                    f"`{ast.unparse(node)}` in `{definition.name}` (line {node.lineno}) does by itself what this "
                    f"exercise is about. Here it is to be written out; afterwards you may use it everywhere."
                )
    return None


@cache
def _meant(dotted: str) -> Any:
    """The object behind "torch.nn.functional.softmax"."""
    module, _, name = dotted.rpartition(".")
    return getattr(importlib.import_module(module), name)


def _use(definition: Definition, forbidden: str) -> ast.expr | ast.stmt | None:
    """The first place in a definition where something forbidden is named."""
    last = forbidden.rpartition(".")[2]
    aliases = dict(_imported_inside(definition.node))
    for node in _in_order(definition.node):
        if forbidden.startswith("."):
            if isinstance(node, ast.Attribute) and node.attr == last or _fetched_or_imported(node, last):
                return node
            continue
        if isinstance(node, ast.Call) and _fetches(node, last):
            return node
        if isinstance(node, ast.ImportFrom) and _same_library(node.module or "", forbidden):
            if any(alias.name == last for alias in node.names):
                return node
        elif isinstance(node, ast.Name | ast.Attribute):
            owner, value = _value(node, definition.names, aliases)
            called_so = isinstance(node, ast.Attribute) and node.attr == last and isinstance(owner, ModuleType)
            meant = _meant(forbidden)
            made_of_it = isinstance(meant, type) and isinstance(value, meant)  # made elsewhere, and called here
            if value is meant or made_of_it or (called_so and _same_library(owner.__name__, forbidden)):
                return node
    return None


def _same_library(module: str, forbidden: str) -> bool:
    return module.partition(".")[0] == forbidden.partition(".")[0]


def _in_order(root: ast.stmt) -> Iterator[ast.AST]:
    """All nodes as they are read."""
    nodes = [node for node in ast.walk(root) if hasattr(node, "lineno")]
    yield from sorted(nodes, key=lambda node: (node.lineno, node.col_offset))


def _fetches(call: ast.Call, name: str) -> bool:
    """getattr(…, "name"), to which reading dotted names would be blind."""
    fetched = isinstance(call.func, ast.Name) and call.func.id == "getattr"
    return fetched and any(isinstance(part, ast.Constant) and part.value == name for part in call.args)


def _fetched_or_imported(node: ast.AST, name: str) -> bool:
    """getattr(…, "backward") and `from torch.autograd import backward`."""
    if isinstance(node, ast.ImportFrom):
        return (node.module or "").partition(".")[0] == "torch" and any(alias.name == name for alias in node.names)
    return isinstance(node, ast.Call) and _fetches(node, name)


def _imported_inside(root: ast.stmt) -> Iterator[tuple[str, Any]]:
    """What import statements inside of a definition bring in, of the modules that are loaded already."""
    for node in ast.walk(root):
        for alias in node.names if isinstance(node, ast.Import | ast.ImportFrom) else ():
            if isinstance(node, ast.Import):
                meant = alias.name if alias.asname else alias.name.partition(".")[0]
                yield alias.asname or meant, sys.modules.get(meant)
            elif node.module and not node.level:
                yield alias.asname or alias.name, member(sys.modules.get(node.module), alias.name)


def _value(node: ast.expr, names: dict[str, Any], aliases: dict[str, Any]) -> tuple[Any, Any]:
    """(what the last attribute is taken from, what a dotted name stands for); None where that cannot be told."""
    if isinstance(node, ast.Name):
        for space in (aliases, names, vars(builtins)):
            if node.id in space:
                return None, space[node.id]
        return None, None
    if isinstance(node, ast.Attribute):
        _, owner = _value(node.value, names, aliases)
        if isinstance(owner, ModuleType | type):
            return owner, member(owner, node.attr)
    return None, None


def member(owner: Any, name: str) -> Any:
    """What a module or a class holds under a name, without loading or making anything: some modules of torch do so, or
    raise, when they are asked for a name. None where there is nothing.
    """
    if isinstance(owner, ModuleType):
        return vars(owner).get(name, sys.modules.get(f"{owner.__name__}.{name}"))
    try:
        return getattr(owner, name, None) if isinstance(owner, type) else None
    except Exception:
        return None
