"""Cuts definitions out of the course's modules, with all that they need and nothing else.

What a kernel may have of `utils` is named; everything that is not reached from there stays outside, so that a second
form of an answer (a fused attention, a model that contains it) cannot be overlooked.
"""

import ast
import builtins
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from utils.errors import CourseError
from utils.exercises.source import free_names

UTILS = Path(__file__).parents[1]
Place = tuple[str, str]  # (module, name)


class SliceError(CourseError):
    """A part of the course that cannot be handed into a kernel; names it and says why."""


def module_file(module: str) -> Path | None:
    """Where a module of the course lies; None when there is none of that name."""
    base = UTILS.joinpath(*module.split(".")[1:]) if module.startswith("utils") else None
    if base is None:
        return None
    return next((path for path in (base / "__init__.py", base.with_suffix(".py")) if path.is_file()), None)


@dataclass(frozen=True)
class Statement:
    """One statement at the top of a module."""

    node: ast.stmt
    binds: tuple[str, ...]
    reads: tuple[str, ...]


@cache
def statements(module: str) -> tuple[Statement, ...]:
    """The statements of a module of the course, in order."""
    path = module_file(module)
    if path is None:
        raise SliceError(f"There is no {module} in the course: an import in a chapter or in `utils` is out of date.")
    found = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue  # the module's docstring
        found.append(Statement(node, tuple(bound_names(node)), tuple(free_names(ast.unparse(node)))))
    return tuple(found)


def bound_names(node: ast.stmt) -> list[str]:
    """The names that a statement gives a meaning at the level where it stands."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name.partition(".")[0] for alias in node.names]
    found: list[str] = []
    waiting: list[ast.AST] = [node]
    while waiting:
        part = waiting.pop()
        if isinstance(part, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            found += [walrus.target.id for walrus in ast.walk(part) if isinstance(walrus, ast.NamedExpr)]
            continue
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store | ast.Del):
            found.append(part.id)
        elif isinstance(part, ast.stmt) and part is not node:
            found += bound_names(part)
            continue
        elif isinstance(part, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and part.name:
            found.append(part.name)
        waiting += ast.iter_child_nodes(part)
    return list(dict.fromkeys(found))


@dataclass
class Slice:
    """A growing selection. `withheld` are the definitions that must not get in."""

    withheld: frozenset[Place]
    chosen: dict[str, set[int]] = field(default_factory=dict)  # module → indices of statements
    aliases: dict[tuple[str, int], set[str]] = field(default_factory=dict)  # of an import: the names that are needed

    def add(self, places: Iterable[Place], strict: bool = True) -> None:
        """Adds definitions with all they need. SliceError where one leads to what is withheld, if `strict`."""
        waiting = [(place, f"{place[0]}.{place[1]}") for place in places]
        while waiting:
            (module, name), way = waiting.pop()
            if (module, name) in self.withheld:
                if strict:
                    raise SliceError(f"{way} leads to {module}.{name}, which an exercise being graded asks for.")
                continue
            for index, statement in enumerate(statements(module)):
                if name in statement.binds:
                    waiting += [(place, f"{way} → {place[1]}") for place in self._take(module, index, name)]

    def _take(self, module: str, index: int, name: str) -> list[Place]:
        """Chooses one statement for the sake of a name; returns what that needs in turn."""
        statement = statements(module)[index]
        node = statement.node
        if isinstance(node, ast.Import | ast.ImportFrom):
            return self._take_import(module, index, name)
        if index in self.chosen.setdefault(module, set()):
            return []
        self.chosen[module].add(index)
        known = {bound for other in statements(module) for bound in other.binds}
        return [(module, read) for read in statement.reads if read in known and not hasattr(builtins, read)]

    def _take_import(self, module: str, index: int, name: str) -> list[Place]:
        node = statements(module)[index].node
        needed = self.aliases.setdefault((module, index), set())
        if name in needed:
            return []
        needed.add(name)
        self.chosen.setdefault(module, set()).add(index)
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("utils"):
            return []
        alias = next(alias for alias in node.names if (alias.asname or alias.name) == name)
        if module_file(f"{node.module}.{alias.name}") is not None:
            raise SliceError(f"{module} imports the whole module {node.module}.{alias.name}: import names from it.")
        return [(node.module, alias.name)]

    def has(self, module: str, name: str) -> bool:
        """Whether a definition is in."""
        return any(name in statements(module)[index].binds for index in self.chosen.get(module, ()))

    def texts(self, less: "Slice | None" = None) -> dict[str, str]:
        """The modules as source text, those first that others import from; without definitions that `less` has."""
        ordered: list[str] = []

        def visit(module: str) -> None:
            if module in ordered or module not in self.chosen:
                return
            for index in self.chosen[module]:
                node = statements(module)[index].node
                if isinstance(node, ast.ImportFrom) and node.module:
                    visit(node.module)
            ordered.append(module)

        for module in sorted(self.chosen):
            visit(module)
        return {module: text for module in ordered if (text := self._text(module, less))}

    def _text(self, module: str, less: "Slice | None") -> str:
        parts, known = [], less.chosen.get(module, set()) if less else set()
        if self.chosen[module] <= known:
            return ""
        for index in sorted(self.chosen[module]):
            node = statements(module)[index].node
            if index in known and not isinstance(node, ast.Import | ast.ImportFrom):
                continue
            if isinstance(node, ast.Import | ast.ImportFrom):
                kept = [alias for alias in node.names if _name(alias) in self.aliases.get((module, index), ())]
                node = ast.Import(kept) if isinstance(node, ast.Import) else ast.ImportFrom(node.module, kept, 0)
            parts.append(ast.unparse(node))
        return "\n\n".join(parts) + "\n"


def _name(alias: ast.alias) -> str:
    return alias.asname or alias.name.partition(".")[0]
