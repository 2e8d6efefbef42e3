"""The source of what a learner wrote, in a notebook or a file, with the helpers and imports that it needs."""

import ast
import builtins
import importlib
import inspect
import linecache
import symtable
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FunctionType, ModuleType
from typing import Any

import torch

from utils.exercises.structure import kind_of
from utils.exercises.surroundings import is_learners

SEARCHED = ("torch", "torch.nn", "torch.nn.functional", "math", "typing", "collections.abc", "einops", "numpy")


@dataclass(frozen=True)
class Definition:
    """A function or class as it was written."""

    thing: Any
    name: str
    text: str
    first_line: int
    node: ast.stmt
    names: dict[str, Any]  # the globals that its code sees
    top_level: bool


@dataclass(frozen=True)
class Gathered:
    """An answer with all that it needs, as the text of a module; or why there is none."""

    name: str = ""  # under which the text defines the answer
    text: str = ""
    lacking: tuple[str, ...] = ()  # sentences
    definitions: tuple[Definition, ...] = field(default=())


def functions_of(thing: Any) -> Iterator[FunctionType]:
    """The function itself, or the functions that a class was written with."""
    if inspect.isclass(thing):
        for member in vars(thing).values():
            member = getattr(member, "__func__", member)
            member = getattr(member, "fget", member)
            if isinstance(member, FunctionType) and member.__qualname__.startswith(thing.__qualname__ + "."):
                yield member
    elif callable(thing) and isinstance(inner := inspect.unwrap(thing), FunctionType):
        yield inner


def definition_of(thing: Any) -> Definition | None:
    """Where a function or class was written; None where no source can be read."""
    wanted = getattr(thing, "__name__", "")
    for function in functions_of(thing):
        filename, line = function.__code__.co_filename, function.__code__.co_firstlineno
        linecache.checkcache(filename)
        lines = linecache.getlines(filename, function.__globals__)
        try:
            tree = ast.parse("".join(lines))
        except (SyntaxError, ValueError, RecursionError):
            continue
        for node, top_level in _statements(tree):
            if _first_line(node) <= line <= (node.end_lineno or 0) and _defines(node, thing, wanted):
                first = _first_line(node)
                text = textwrap.dedent("".join(lines[first - 1 : node.end_lineno])).rstrip() + "\n"
                alone = top_level and (inspect.isclass(thing) or not function.__closure__)
                names = function.__globals__
                if function.__closure__:
                    names = {**names, **inspect.getclosurevars(function).nonlocals}
                return Definition(thing, _name(node), text, first, node, names, alone)
        if wanted == "<lambda>" and (node := _lambda(tree, function)):
            return Definition(
                thing, "lambda", ast.unparse(node) + "\n", line, ast.Expr(node), function.__globals__, False
            )
    return None


def _lambda(tree: ast.Module, function: FunctionType) -> ast.Lambda | None:
    """The lambda expression on the function's line that has its parameters; None where two of them do."""
    code = function.__code__
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Lambda) and node.lineno == code.co_firstlineno]
    names = list(code.co_varnames[: code.co_argcount])
    found = [node for node in found if [argument.arg for argument in node.args.args] == names]
    return found[0] if len(found) == 1 else None


def _statements(tree: ast.Module) -> Iterator[tuple[ast.stmt, bool]]:
    """Every statement, those at top level first, and whether it stands there."""
    top = set(map(id, tree.body))
    yield from ((node, True) for node in tree.body)
    yield from ((node, False) for node in ast.walk(tree) if isinstance(node, ast.stmt) and id(node) not in top)


def _first_line(node: ast.stmt) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))])


def _defines(node: ast.stmt, thing: Any, wanted: str) -> bool:
    if inspect.isclass(thing):
        return isinstance(node, ast.ClassDef) and node.name == wanted
    if isinstance(node, ast.Assign):
        return wanted == "<lambda>" and isinstance(node.value, ast.Lambda) and isinstance(node.targets[0], ast.Name)
    return isinstance(node, ast.FunctionDef) and node.name == inspect.unwrap(thing).__name__


def _name(node: ast.stmt) -> str:
    return node.targets[0].id if isinstance(node, ast.Assign) else node.name


def free_names(text: str) -> list[str]:
    """The global names that a piece of module text reads, in alphabetical order; not those of its own locals."""

    def walk(table: symtable.SymbolTable) -> Iterator[str]:
        for symbol in table.get_symbols():
            at_top = table.get_type() == "module"
            if symbol.is_referenced() and (at_top or symbol.is_global()):
                yield symbol.get_name()
        for child in table.get_children():
            yield from walk(child)

    return sorted(set(walk(symtable.symtable(text, "answer", "exec"))))


def own_definitions(thing: Any) -> list[Definition]:
    """The answer's definition and those of the learner's helpers that it reaches; empty where no source is known."""
    found: list[Definition] = []
    waiting, seen = [thing], set()
    while waiting:
        current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        definition = definition_of(current)
        if definition is None:
            continue
        found.append(definition)
        values = (definition.names.get(name) for name in free_names(definition.text))
        waiting += [value for value in values if is_definition(value) and is_own(value)]
    return found


def is_definition(value: Any) -> bool:
    """Whether something is a function, decorated or not, or a class."""
    return isinstance(value, FunctionType) or inspect.isclass(value) or callable(getattr(value, "__wrapped__", None))


def is_own(thing: Any) -> bool:
    """Whether a function or class was written by the learner, and not by us or a library."""
    return any(is_learners(function.__code__.co_filename) for function in functions_of(thing))


def gather(thing: Any, given: Callable[[Any], str | None] = lambda value: None) -> Gathered:
    """The text of a module that defines the answer. `given` says of a value from which exercise `yours` gave it."""
    work = _Gathering(given)
    if not is_definition(thing):
        return Gathered(lacking=(f"it is {kind_of(thing)}, and only functions and classes can be kept as source",))
    name = work.add(thing)
    if work.lacking or name is None:
        return Gathered(lacking=tuple(dict.fromkeys(work.lacking)))
    blocks = ["\n".join(sorted(work.imports))] if work.imports else []
    blocks += ["\n".join(work.constants)] if work.constants else []
    blocks += [definition.text.rstrip() for definition in work.done]
    return Gathered(name, "\n\n\n".join(blocks) + "\n", (), tuple(work.done))


class _Gathering:
    """The search behind `gather`: definitions in the order in which they can be executed."""

    def __init__(self, given: Callable[[Any], str | None]) -> None:
        self.given = given
        self.imports: set[str] = set()
        self.constants: list[str] = []
        self.done: list[Definition] = []
        self.lacking: list[str] = []
        self.meaning: dict[str, Any] = {}  # what each name at top level stands for

    def add(self, thing: Any) -> str | None:
        """Adds a definition, after all that it needs, and returns its name."""
        definition = definition_of(thing)
        if definition is None:
            name = getattr(thing, "__name__", str(thing))
            self.lacking.append(f"the source of `{name}` cannot be read (define it in a cell without magics)")
            return None
        if not definition.top_level:
            self.lacking.append(f"`{definition.name}` is defined inside of another function")
            return None
        if not self._means(definition.name, thing):
            return definition.name
        for name in free_names(definition.text):
            if name == definition.name or name not in definition.names:
                continue  # itself, a builtin, or a name that is not there
            value = definition.names[name]
            if name in vars(builtins) and value is vars(builtins)[name]:
                continue
            self._need(name, value)
        self.done.append(definition)
        return definition.name

    def _means(self, name: str, value: Any) -> bool:
        """Notes what a name stands for; False where that is known already."""
        if name in self.meaning:
            if self.meaning[name] is not value:
                self.lacking.append(f"`{name}` stands for two different things")
            return False
        self.meaning[name] = value
        return True

    def _need(self, name: str, value: Any) -> None:
        number = self.given(value)
        if number is None and is_definition(value) and is_own(value):
            own = self.add(value)
            if own is not None and own != name and self._means(name, value):
                self.lacking.append(f"`{name}` is another name for `{own}`")
            return
        if not self._means(name, value):
            return
        if number is not None:
            self.imports.add("from utils.exercises import yours")
            self.constants.append(f"{name} = yours({number!r}, tell=False)")
        elif isinstance(value, ModuleType):
            self.imports.add(_import_of_module(name, value))
        elif (line := _import_of(name, value)) is not None:
            self.imports.add(line)
        elif (literal := _literal(value)) is not None:
            if literal.startswith("torch."):
                self.imports.add("import torch")
            self.constants.append(f"{name} = {literal}")
        else:
            self.lacking.append(f"it uses `{name}`, {kind_of(value)} that was made elsewhere in the notebook")


def _import_of_module(name: str, module: ModuleType) -> str:
    full = module.__name__
    if name == full:
        return f"import {full}"
    package, _, last = full.rpartition(".")
    if name == last and package:
        return f"from {package} import {last}"
    return f"import {full} as {name}" if name != full.partition(".")[0] else f"import {full}"


def _import_of(name: str, value: Any) -> str | None:
    """The line that imports a library's function, class or typing form under that name."""
    if isinstance(value, int | float | str | bytes | bool | torch.Tensor | None):
        return None
    homes = [getattr(value, "__module__", None), *SEARCHED]
    for own in (getattr(value, "__name__", None), getattr(value, "_name", None), name):
        for home in homes:
            if not isinstance(own, str) or not isinstance(home, str) or home == "__main__":
                continue
            module = sys.modules.get(home) or _imported(home)
            if module is not None and getattr(module, own, _MISSING) is value:
                return f"from {home} import {own}" + ("" if own == name else f" as {name}")
    return None


_MISSING = object()


def _imported(name: str) -> ModuleType | None:
    if name in SEARCHED:
        return None  # not loaded, so it cannot be where the value came from
    try:
        return importlib.import_module(name)
    except Exception:
        return None


def _literal(value: Any) -> str | None:
    """A constant as it would be typed, or None."""
    if isinstance(value, torch.dtype):
        return repr(value)
    if isinstance(value, torch.device):
        return f"torch.device({str(value)!r})"
    if isinstance(value, float) and (value != value or value in (float("inf"), -float("inf"))):
        return f'float("{value}")'
    text = repr(value) if isinstance(value, int | float | str | bytes | bool | tuple | list | dict | set | None) else ""
    try:
        return text if text and len(text) <= 4000 and ast.literal_eval(text) == value else None
    except (ValueError, SyntaxError, RecursionError):
        return None
