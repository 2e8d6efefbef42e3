"""Exercises as data, and the engine behind check(): `from utils.exercises import check, hint, predict, progress`."""

from utils.exercises.carrying import mine, parts_from, yours
from utils.exercises.checking import examine
from utils.exercises.declare import Case, Exercise, Misconception, Option, Property, Question
from utils.exercises.learner import check, hint, predict, progress
from utils.exercises.registry import chapters, exercise, exercises, question, questions
from utils.exercises.report import Report

__all__ = [
    "Case", "Exercise", "Misconception", "Option", "Property", "Question", "Report",
    "chapters", "check", "examine", "exercise", "exercises", "hint", "mine", "parts_from", "predict", "progress",
    "question", "questions", "yours",
]  # fmt: skip
