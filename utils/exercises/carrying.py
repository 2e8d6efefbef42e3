"""A learner's passed code, kept as source in `my_transformer/` and given to later chapters and to the trainer.

One module a chapter, in it one marked section an exercise. A section stands alone (its imports and helpers are in
it), so that a later exercise that defines the same name takes nothing from an earlier one.
"""

import __future__

import hashlib
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from utils.errors import CourseError
from utils.exercises.checking import examine
from utils.exercises.declare import Exercise
from utils.exercises.home import PACKAGE, home, relative, set_aside, write_whole
from utils.exercises.registry import chapter_module, chapters, exercise, exercises
from utils.exercises.source import Gathered, gather
from utils.exercises.surroundings import TooSlow, prints_caught, state_preserved, time_limit
from utils.transformer.stacks import FUSED, Parts

BEGIN = re.compile(r"^# ── Exercise (\d+\.\d+)\b.* begins ──[^\n]*\n", re.MULTILINE)
SEED = 20170612  # the seed that kept code is checked with when it is given out: the same answer every time
SECONDS = 5.0  # that loading a section may take
_folder: ContextVar[Path | None] = ContextVar("folder", default=None)  # where `yours` looks while a section is loaded
_given: dict[int, tuple[str, Any]] = {}  # id → (exercise, what `yours` gave); the object is held, so the id stays its
_passing: dict[tuple[str, str], str | None] = {}  # (exercise, digest of the section) → why it is not used


def module_path(chapter: int, folder: Path | None = None) -> Path:
    """Where a chapter's passed code lies."""
    return (folder or _folder.get() or home() / PACKAGE) / f"chapter_{chapter:02d}.py"


def begin_line(asked: Exercise) -> str:
    """The line that a section begins with."""
    return f"# ── Exercise {asked.number}: {asked.title} begins ── replaced when it is passed again\n"


def end_line(number: str) -> str:
    """The line that a section ends with."""
    return f"# ── Exercise {number} ends ──\n"


def find_section(text: str, number: str) -> tuple[int, int] | None:
    """From where to where an exercise's section reaches, markers included; None where there is no whole one."""
    for begin in BEGIN.finditer(text):
        end = text.find(end_line(number), begin.end())
        following = BEGIN.search(text, begin.end())
        if begin[1] == number and end >= 0 and (following is None or end < following.start()):
            return begin.start(), end + len(end_line(number))
    return None


def keep(asked: Exercise, answer: Any) -> str:
    """Saves a passed answer's source and returns what to tell about it."""
    gathered = gather(answer, given_as)
    if gathered.lacking:
        return f"Not carried forward: {'; '.join(gathered.lacking)}."
    path = module_path(asked.chapter)
    try:
        old = _read(path)
        new = with_section(old, asked, gathered)
        package = path.with_name("__init__.py")
        if not package.exists():
            write_whole(package, '"""What you wrote and what passed, chapter by chapter. Kept by check()."""\n')
        if new != old:
            write_whole(path, new)
    except OSError as error:
        return f"Not carried forward: {path} cannot be written ({error.strerror})."
    except SyntaxError as error:
        return f"Not carried forward: its source cannot be read on its own ({error.msg})."
    return f"Carried forward: {relative(path)}"


def _read(path: Path) -> str:
    """A chapter's module as it is; one that is not text is set aside first."""
    if not path.exists():
        return ""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        set_aside(path)
        return ""


def with_section(old: str, asked: Exercise, gathered: Gathered) -> str:
    """A module's text with the exercise's section put in place of its earlier one, or in order among the others."""
    body = gathered.text
    if gathered.name != asked.name:
        body += f"\n{asked.name} = {gathered.name}\n"
    compile(body, "<section>", "exec", flags=__future__.annotations.compiler_flag, dont_inherit=True)
    section = f"{begin_line(asked)}{body}{end_line(asked.number)}"
    if not old.strip():
        title = getattr(chapter_module(asked.chapter), "TITLE", "")
        old = f'"""Chapter {asked.chapter:02d}, {title}: what you wrote and what passed. Kept by check()."""\n\n'
        old += "from __future__ import annotations\n"
    place = find_section(old, asked.number)
    if place is not None:
        return old[: place[0]] + section + old[place[1] :]
    later = [begin for begin in BEGIN.finditer(old) if _order(begin[1]) > _order(asked.number)]
    if later:
        return old[: later[0].start()] + section + "\n\n" + old[later[0].start() :]
    return old.rstrip("\n") + "\n\n\n" + section


def _order(number: str) -> tuple[int, ...]:
    return tuple(map(int, number.split(".")))


def given_as(value: Any) -> str | None:
    """The exercise for which `yours` gave this very object."""
    number, thing = _given.get(id(value), (None, None))
    return number if thing is value else None


def carried(asked: Exercise, folder: Path | None = None) -> tuple[Any, str]:
    """(the learner's own answer or None, why it is not used)."""
    path = module_path(asked.chapter, folder)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None, "you have not passed it yet"
    except (OSError, UnicodeDecodeError):
        return None, f"{relative(path)} cannot be read"
    place = find_section(text, asked.number)
    if place is None:
        return None, "you have not passed it yet"
    section = text[place[0] : place[1]]
    try:
        with _looking_in(path.parent):
            answer = _loaded(asked, path, section, text.count("\n", 0, place[0]))
    except TooSlow:
        return None, f"loading it from {relative(path)} takes too long"
    except Exception as error:
        return None, f"{relative(path)} cannot be loaded ({type(error).__name__}: {error})"
    key = asked.number, hashlib.sha256(section.encode()).hexdigest()
    if key not in _passing:
        report = examine(asked, answer, SEED)
        _passing[key] = None if report.passed else f"the code in {relative(path)} does not pass any more"
    return (None, _passing[key]) if _passing[key] else (answer, "")


@contextmanager
def _looking_in(folder: Path) -> Iterator[None]:
    """Within, what a section takes from other exercises comes from the folder that the section lies in."""
    before = _folder.set(folder)
    try:
        yield
    finally:
        _folder.reset(before)


def _loaded(asked: Exercise, path: Path, section: str, lines_before: int) -> Any:
    """Executes one section as a module of its own; line numbers in errors are those of the file."""
    module = ModuleType(f"{PACKAGE}.exercise_{asked.number.replace('.', '_')}")
    module.__file__ = str(path)
    flags = __future__.annotations.compiler_flag
    code = compile("\n" * lines_before + section, str(path), "exec", flags=flags, dont_inherit=True)
    sys.modules[module.__name__] = module  # where dataclasses and pickling look a class's module up
    with state_preserved(), prints_caught(), time_limit(SECONDS):
        exec(code, module.__dict__)
    return getattr(module, asked.name)


def yours(*numbers: str, tell: bool = True) -> Any:
    """What you wrote for an exercise of an earlier chapter, if it passed, else the course's own; says which.

    With several numbers a tuple of as many.
    """
    found = [_yours(exercise(number), tell) for number in numbers]
    return found[0] if len(found) == 1 else tuple(found)


def _yours(asked: Exercise, tell: bool) -> Any:
    answer, why_not = carried(asked)
    if tell:
        whose = f"yours, from {relative(module_path(asked.chapter))}" if answer else f"the course's own; {why_not}"
        print(f"{asked.name} ({asked.number}): {whose}")
    answer = asked.reference if answer is None else answer
    _given[id(answer)] = (asked.number, answer)
    return answer


mine = yours


def parts_from(folder: Path | str | None = None, strict: bool = True) -> tuple[Parts, list[str]]:
    """The parts of a model as the learner wrote them, and a sentence on each.

    folder: the learner's `my_transformer`, or the folder that holds it; unset: where check() keeps it.
    Raises CourseError that lists what is missing, or with strict=False puts the course's own in its place: all of it
    while nothing is passed yet.
    """
    folder = home() / PACKAGE if folder is None else Path(folder)
    if folder.name != PACKAGE and (folder / PACKAGE).is_dir():
        folder = folder / PACKAGE
    if strict and not folder.is_dir():
        raise CourseError(f"There is no {folder}: it comes into being when check() passes your first exercise.")
    chosen: dict[str, Callable] = {}
    told, missing = [], []
    for field in (declared.name for declared in fields(Parts)):
        asked = part_exercise(field)
        words = field.replace("_", " ")
        if asked is None:
            told.append(f"{words}: the course's own, since no exercise builds it")
            continue
        answer, why_not = carried(asked, folder)
        if answer is None:
            missing.append(f"{words} (exercise {asked.number}, {asked.name}: {why_not})")
            told.append(f"{words}: the course's own (exercise {asked.number}: {why_not})")
        else:
            chosen[field] = answer
            told.append(f"{words}: yours, exercise {asked.number}")
    if missing and strict:
        raise CourseError(
            f"Your own Transformer still lacks {'; '.join(missing)}: pass what is missing, or train the course's own "
            f"with --model transformer."
        )
    return replace(FUSED, **chosen), told


def part_exercise(field: str) -> Exercise | None:
    """The exercise whose answer can stand for that field of `Parts`; the last one, where several can."""
    found = [item for chapter in chapters() for item in exercises(chapter) if item.model_part == field]
    return found[-1] if found else None
