"""Exercises made for tests, and what it means that an answer is rejected or accepted."""

import os

import pytest

from utils.exercises import Case, Exercise, Misconception, examine, exercise
from utils.exercises.drawing import normal

WRONG = tuple(Misconception(f"wrong {i}", lambda x, i=i: x + i, f"You add {i}.") for i in (1, 2, 3))
HINTS = ("one", "two", "three")

SEEDS = int(os.environ.get("SEEDS", 1))  # drawings of inputs per answer: more of them take their time


def doubled(x):
    """Twice x."""
    return 2 * x


def exercise_for_tests(reference=doubled, **changes) -> Exercise:
    """An exercise for a test."""
    fields = {
        "number": "9.1", "title": "Double", "points": 2, "difficulty": 1, "minutes": 5, "section": "§0",
        "reference": reference, "misconceptions": WRONG, "hints": HINTS, "returns": ("output",),
        "cases": lambda generator: [
            Case("small", (normal(generator, 2),)),
            Case("large", (normal(generator, 3, 4),)),
            Case("empty row", (normal(generator, 1, 1),), part="edge cases"),
        ],
    }  # fmt: skip
    return Exercise(**{**fields, **changes})


def pytest_generate_tests(metafunc):
    """Walks a module's tables WRONG = {"3.2": {name: (answer, words that its report must hold or None)}} and
    RIGHT = {"3.2": {name: answer}}, which must be long enough.
    """
    if "wrong_answer" in metafunc.fixturenames:
        _walk(metafunc, "wrong_answer", metafunc.module.WRONG, 10, lambda entry: entry)
    if "right_answer" in metafunc.fixturenames:
        _walk(metafunc, "right_answer", metafunc.module.RIGHT, 5, lambda entry: (entry,))


def _walk(metafunc, fixture, tables, least, unfold):
    for number, table in tables.items():
        assert len(table) >= least, f"{metafunc.module.__name__}: {len(table)} in {fixture}s of {number}"
    values = {f"{number} {name}": (number, *unfold(entry)) for number, t in tables.items() for name, entry in t.items()}
    metafunc.parametrize(fixture, list(values.values()), ids=list(values))


@pytest.fixture
def made():
    """made(reference, **changes): an exercise whose answer is to double its input, with the changes given."""
    return exercise_for_tests


@pytest.fixture
def made_module():
    """made_module(reference, cases, **changes): an exercise that asks for a module."""

    def make(reference, cases, **changes):
        wrong = tuple(Misconception(f"wrong {i}", lambda *a, **k: None, "Wrong.") for i in (1, 2, 3))
        return exercise_for_tests(reference, kind="module", cases=cases, misconceptions=wrong, **changes)

    return make


@pytest.fixture
def rejected():
    """rejected(number, answer, words): the answer fails whatever is drawn, for a reason with those words in it."""

    def assert_rejected(number, answer, words):
        for seed in range(SEEDS):
            report = examine(exercise(number), answer, seed)
            assert not report.passed, report
            assert report.points < report.out_of
            assert report.message and "utils/" not in str(report)
            if words is not None:
                assert words in f"{report.message} {report.explanation}", report

    return assert_rejected


@pytest.fixture
def accepted():
    """accepted(number, answer): the answer passes whatever is drawn."""

    def assert_accepted(number, answer):
        for seed in range(1 + SEEDS):
            report = examine(exercise(number), answer, seed)
            assert report.passed, report

    return assert_accepted
