"""Exercises are found by number, and near ones are named."""

import pytest

from utils.exercises import chapters, exercise, exercises, question, questions
from utils.exercises.registry import UnknownExercise


def test_every_exercise_and_question_is_found_by_its_number():
    for chapter in chapters():
        for item in exercises(chapter):
            assert exercise(item.number) is item and item.chapter == chapter
        for item in questions(chapter):
            assert question(item.number) is item and item.chapter == chapter


@pytest.mark.parametrize("number", ["3.1", " 3.1 ", "03.1", "3,1", 3.1])
def test_numbers_are_read_kindly(number):
    assert exercise(number).number == "3.1"


@pytest.mark.parametrize("number", ["3.99", "99.1", "", "three", "3", "3.a", "3.1.1", "../3.1"])
def test_unknown_numbers_name_near_ones(number):
    with pytest.raises(UnknownExercise, match="did you mean '"):
        exercise(number)


def test_unknown_chapters_are_said():
    with pytest.raises(UnknownExercise, match="no exercises for chapter 77"):
        exercises(77)
    with pytest.raises(UnknownExercise, match="There is no question '3.1': did you mean '3."):
        question("3.1")
