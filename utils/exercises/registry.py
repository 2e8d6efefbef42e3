"""Where exercises are found: `chapter_NN`, a module or a package, loaded when one of its exercises is asked for."""

import difflib
import importlib
import re
from functools import cache
from pathlib import Path
from types import ModuleType

from utils.errors import CourseError
from utils.exercises.declare import Exercise, Question, require


class UnknownExercise(CourseError, LookupError):
    """There is no exercise or question of that number; the sentence names near ones."""


def chapters() -> list[int]:
    """The chapters that have exercises, in order."""
    found = (re.fullmatch(r"chapter_(\d+)(\.py)?", path.name) for path in Path(__file__).parent.iterdir())
    return sorted(int(match[1]) for match in found if match)


@cache
def chapter_module(chapter: int) -> ModuleType:
    """The module that declares a chapter: TITLE, EXERCISES and QUESTIONS."""
    if chapter not in chapters():
        known = ", ".join(map(str, chapters()))
        raise UnknownExercise(f"There are no exercises for chapter {chapter}: chapters with exercises are {known}.")
    module = importlib.import_module(f"utils.exercises.chapter_{chapter:02d}")
    declared = [item.number for item in (*module.EXERCISES, *module.QUESTIONS)]
    require(len(set(declared)) == len(declared), f"Chapter {chapter}: a number is used twice in {declared}.")
    require(
        all(item.chapter == chapter for item in (*module.EXERCISES, *module.QUESTIONS)),
        f"Chapter {chapter}: {declared} holds a number of another chapter.",
    )
    return module


def exercises(chapter: int) -> tuple[Exercise, ...]:
    """The exercises of a chapter, in order."""
    return tuple(chapter_module(chapter).EXERCISES)


def questions(chapter: int) -> tuple[Question, ...]:
    """The questions of a chapter, in order."""
    return tuple(chapter_module(chapter).QUESTIONS)


def exercise(number: str) -> Exercise:
    """The exercise of that number; raises UnknownExercise, which names near ones."""
    return _find(number, "exercise")


def question(number: str) -> Question:
    """The question of that number; raises UnknownExercise, which names near ones."""
    return _find(number, "question")


def _find(number: str, kind: str) -> Exercise | Question:
    number = str(number).strip()
    found = re.match(r"0*(\d+)(?:[.,](\w+))?$", number)
    if found:
        number = f"{found[1]}.{(found[2] or '').lower()}"
        if int(found[1]) in chapters():
            for item in _all(int(found[1]), kind):
                if item.number == number:
                    return item
    near = _near(number, kind, int(found[1]) if found else None)
    shown = number.rstrip(".")
    raise UnknownExercise(f"There is no {kind} {shown!r}: " + (f"did you mean {near}?" if near else "none is near."))


def _all(chapter: int, kind: str) -> tuple:
    return exercises(chapter) if kind == "exercise" else questions(chapter)


def _near(number: str, kind: str, chapter: int | None) -> str:
    if chapter in chapters():
        items = [item.number for item in _all(chapter, kind)]
    else:
        items = [item.number for known in chapters() for item in _all(known, kind)]
    close = difflib.get_close_matches(number, items, n=4, cutoff=0.3) or items[:6]
    return " or ".join([", ".join(map(repr, close[:-1])), repr(close[-1])] if len(close) > 1 else map(repr, close))
