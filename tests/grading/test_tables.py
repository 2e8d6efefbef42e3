"""What check() accepts and rejects, the grader accepts and rejects too: the tables of tests/exercises, sent its way.

Without a kernel, but with everything else: pickled cases, packed results, the reference asked afterwards.
"""

import os

import pytest
from local import graded_here, tables

from utils.exercises.registry import chapters, exercises

NUMBERS = [item.number for chapter in chapters() for item in exercises(chapter)]
ONE_IN = 1 if os.environ.get("ALL_MUTATIONS") else 12  # of the wrong answers, which take their time


@pytest.mark.parametrize("number", NUMBERS)
def test_right_answers_lose_nothing(number):
    for name, answer in tables("RIGHT").get(number, {}).items():
        found = graded_here(number, answer)
        assert found.report is not None and found.report.passed, (name, found.stopped, found.report)
        assert found.report.points == found.report.out_of


@pytest.mark.parametrize("number", NUMBERS)
def test_wrong_answers_never_earn_everything(number):
    for name, (answer, *_) in list(tables("WRONG").get(number, {}).items())[::ONE_IN]:
        found = graded_here(number, answer)
        assert found.report is None or found.report.points < found.report.out_of, (name, found.report)
        assert found.stopped or found.report.message, name
