"""The course as a kernel may see it: `utils` without the answers of the chapter being graded and of later ones.

Earlier chapters' parts are there, so that one mistake is not punished twice. What is missing says so when it is asked
for. Written to a folder that the sandbox mounts read-only.
"""

import ast
import shutil
from functools import cache
from pathlib import Path

from utils.exercises.declare import Exercise
from utils.exercises.registry import chapters, exercises
from utils.grading.slicing import UTILS, Place, Slice, SliceError, module_file, statements

WHOLE = ("utils.errors", "utils.exercises.calling", "utils.exercises.structure", "utils.exercises.surroundings")
# What answers of every chapter may use, whatever is being graded: names for ids and sizes, and no way to compute.
HARMLESS = (
    *(("utils.transformer.masks", name) for name in ("PADDING", "UNKNOWN", "BEGIN", "END")),
    ("utils.transformer.config", "TransformerConfig"),
)
REFUSAL = """

def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    raise ImportError(f"{{name}} of {{__name__}} is left out while chapter {chapter:02d} is graded: an exercise of it "
                      "or of a later chapter asks for that, or for what is made of it.")
"""
FACADE = Path(__file__).parent / "inside" / "facade"


def place_of(exercise: Exercise) -> Place:
    """Where an exercise's reference is defined."""
    return exercise.reference.__module__, exercise.reference.__qualname__


@cache
def withheld_from(chapter: int) -> frozenset[Place]:
    """The references of a chapter and of all later ones."""
    return frozenset(place_of(item) for n in chapters() if n >= chapter for item in exercises(n))


def earlier_than(chapter: int) -> dict[str, Place]:
    """The references of the chapters before."""
    return {item.number: place_of(item) for n in chapters() if n < chapter for item in exercises(n)}


def slice_for(chapter: int, imported: frozenset[Place] = frozenset()) -> Slice:
    """What kernels get in a chapter: earlier answers, and what the chapter's own solutions import besides.

    An earlier answer that this chapter asks for in another form is left out with a later one's name.
    """
    chosen = Slice(withheld_from(chapter))
    for place in (*earlier_than(chapter).values(), *HARMLESS):
        _add_if_possible(chosen, place)
    for place in sorted(imported):
        _add_if_possible(chosen, place)
    return chosen


def _add_if_possible(chosen: Slice, place: Place) -> None:
    """Adds a definition unless it leads to what is withheld."""
    trial = Slice(chosen.withheld)
    try:
        trial.add([place])
    except SliceError:
        return
    chosen.add([place])


def utils_imports(text: str) -> frozenset[Place]:
    """What a piece of notebook code imports from the course, by name."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("utils."):
            if node.module.startswith(("utils.exercises", "utils.plots", "utils.grading", "utils.notebooks")):
                continue
            names = [alias.name for alias in node.names]
            known = {name for statement in statements(node.module) for name in statement.binds}
            found |= {(node.module, name) for name in names if name in known}
    return frozenset(found)


def write_course(course: Path, chapter: int, imported: frozenset[Place] = frozenset()) -> Slice:
    """Writes `utils` as kernels of that chapter may see it into the folder `course`."""
    chosen = slice_for(chapter, imported)
    texts = chosen.texts()
    for module, text in texts.items():
        _write(course, module, text + REFUSAL.format(chapter=chapter))
    for module in _with_imports(WHOLE):
        target = course.joinpath(*module.split(".")).with_suffix(".py")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(module_file(module), target)
    for name, target in (("root", "utils"), ("exercises", "utils/exercises"), ("plots", "utils/plots")):
        (course / target).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(FACADE / f"{name}.py", course / target / "__init__.py")
    earlier = {number: place for number, place in earlier_than(chapter).items() if chosen.has(*place)}
    (course / "utils" / "exercises" / "_earlier.py").write_text(f"CHAPTER = {chapter}\nEARLIER = {earlier!r}\n")
    for package in {path.parent for path in course.rglob("*.py")} - {course}:
        if not (package / "__init__.py").exists():
            _write_facade_of_package(package, course, texts, chapter)
    return chosen


def _write_facade_of_package(package: Path, course: Path, texts: dict[str, str], chapter: int) -> None:
    """`from utils.transformer import causal_mask`: re-exports of what is there, and a sentence on what is not."""
    module = ".".join(package.relative_to(course).parts)
    lines = []
    if module_file(module) is not None:
        for statement in statements(module):
            node = statement.node
            if isinstance(node, ast.ImportFrom) and node.module in texts:
                kept = [alias for alias in node.names if _defined(texts[node.module], alias.name)]
                lines += [ast.unparse(ast.ImportFrom(node.module, kept, 0))] if kept else []
    (package / "__init__.py").write_text("\n".join(lines) + "\n" + REFUSAL.format(chapter=chapter), encoding="utf-8")


def _defined(text: str, name: str) -> bool:
    from utils.grading.slicing import bound_names

    return any(name in bound_names(node) for node in ast.parse(text).body)


def _write(course: Path, module: str, text: str) -> None:
    path = course.joinpath(*module.split("."))
    source = module_file(module)
    target = path / "__init__.py" if source is not None and source.name == "__init__.py" else path.with_suffix(".py")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")


def _with_imports(modules: tuple[str, ...]) -> list[str]:
    """Modules with those of the course that they import."""
    found: list[str] = []
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module in found:
            continue
        found.append(module)
        for node in ast.walk(ast.parse(module_file(module).read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("utils"):
                waiting.append(node.module)
    return found


__all__ = ["UTILS", "earlier_than", "place_of", "slice_for", "utils_imports", "withheld_from", "write_course"]
