"""Exercises as data, and the engine behind check(): `from utils.exercises import check, hint, predict, progress`.

Nothing is loaded before it is asked for: torch takes seconds, and who only reads results does without.
"""

import importlib

_HOME = {
    **dict.fromkeys(("mine", "parts_from", "yours"), "carrying"),
    "examine": "checking",
    **dict.fromkeys(("Case", "Exercise", "Misconception", "Option", "Property", "Question"), "declare"),
    **dict.fromkeys(("check", "hint", "predict", "progress"), "learner"),
    **dict.fromkeys(("chapters", "exercise", "exercises", "question", "questions"), "registry"),
    "Report": "report",
}

__all__ = [
    "Case", "Exercise", "Misconception", "Option", "Property", "Question", "Report",
    "chapters", "check", "examine", "exercise", "exercises", "hint", "mine", "parts_from", "predict", "progress",
    "question", "questions", "yours",
]  # fmt: skip


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
