"""Chapters 07 and 08: what is no answer at all gets one clear sentence, no points, and no line of ours."""

import inspect
import math
import warnings

import pytest
import torch

from utils.exercises import examine, exercise
from utils.exercises.registry import exercises

NUMBERS = [item.number for chapter in (7, 8) for item in exercises(chapter)]


def taking(number, give):
    """A function with the parameters of the exercise's that gives something else."""

    def answer(*arguments, **keywords):
        return give(exercise(number).reference, arguments, keywords)

    answer.__signature__ = inspect.signature(exercise(number).reference)
    return answer


def raising(reference, arguments, keywords):
    raise KeyError("d_model")


def nan(value):
    if isinstance(value, torch.Tensor):
        return torch.full_like(value, math.nan) if value.is_floating_point() else value
    if isinstance(value, dict):
        return {key: nan(part) for key, part in value.items()}
    return [nan(part) for part in value] if isinstance(value, list | tuple) else math.nan


def generator(number):
    def answer(*arguments, **keywords):
        yield exercise(number).reference(*arguments, **keywords)

    return answer


def asynchronous(number):
    async def answer(*arguments, **keywords):
        return exercise(number).reference(*arguments, **keywords)

    return answer


class Nothing:
    """A class not made into anything."""


GARBAGE = {
    "None": (lambda number: None, "nothing to check"),
    "a string": (lambda number: "done", "a str"),
    "a number": (lambda number: 42, "an int"),
    "a result": (lambda number: torch.zeros(2), "a Tensor"),
    "a class": (lambda number: Nothing, "parameters"),
    "a module": (lambda number: torch.nn.Linear, "class"),
    "no parameters": (lambda number: lambda: None, "parameters"),
    "too many parameters": (lambda number: lambda a, b, c, d, e, f, g, h, i: None, "parameters"),
    "raises": (lambda number: taking(number, raising), "KeyError"),
    "exits": (lambda number: taking(number, lambda *_: exit()), "SystemExit"),
    "not written": (
        lambda number: taking(number, lambda *_: (_ for _ in ()).throw(NotImplementedError)),
        "Not written",
    ),
    "prints": (lambda number: taking(number, lambda r, a, k: print(r(*a, **k))), "`return`"),
    "the arguments": (lambda number: taking(number, lambda r, a, k: a), None),
    "itself": (lambda number: taking(number, lambda r, a, k: r), "function"),
    "an object": (lambda number: taking(number, lambda r, a, k: object()), "object"),
    "an empty tuple": (lambda number: taking(number, lambda r, a, k: ()), "tuple of 0"),
    "NaN": (lambda number: taking(number, lambda r, a, k: nan(r(*a, **k))), None),
    "a word": (lambda number: taking(number, lambda r, a, k: "done"), "a str"),
    "complex": (lambda number: taking(number, lambda r, a, k: 1j), "complex"),
    "a generator": (generator, "generator"),
    "asynchronous": (asynchronous, "coroutine"),
}


@pytest.mark.parametrize("name", GARBAGE)
@pytest.mark.parametrize("number", NUMBERS)
def test_garbage_gets_a_clear_sentence(number, name):
    make, words = GARBAGE[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a coroutine that nobody awaited
        report = examine(exercise(number), make(number), seed=0)
    assert not report.passed and report.points == 0 and report.message
    assert "utils/" not in str(report) and "Traceback" not in str(report)
    assert words is None or words in report.message, report.message
