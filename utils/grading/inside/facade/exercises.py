"""What a notebook imports of `utils.exercises` while it is graded: nothing is checked, shown or kept here."""

import importlib

from utils.exercises._earlier import CHAPTER, EARLIER


class Nothing:
    """The result of a check that is not carried out: the grader looks itself."""

    passed = True
    points = 0

    def __repr__(self) -> str:
        return "(not looked at while the notebook is graded)"


def check(*_arguments, **_keywords) -> Nothing:
    """Does nothing."""
    return Nothing()


def hint(*_arguments, **_keywords) -> None:
    """Does nothing."""


predict = progress = hint


def yours(*numbers, tell=True):
    """The course's own answer to exercises of earlier chapters."""
    found = [_earlier(str(number).strip()) for number in numbers]
    return found[0] if len(found) == 1 else tuple(found)


mine = yours


def _earlier(number):
    if number not in EARLIER:
        raise ImportError(f"Exercise {number} is no exercise of a chapter before {CHAPTER:02d}.")
    module, name = EARLIER[number]
    return getattr(importlib.import_module(module), name)
