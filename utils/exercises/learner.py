"""What a learner types: check, hint, predict, progress."""

from typing import Any

from utils.exercises import carrying
from utils.exercises.cards import ChapterRow, HintCard, MapCard, MapEntry, PredictionCard, SentenceCard
from utils.exercises.checking import examine
from utils.exercises.declare import Exercise, Question
from utils.exercises.registry import UnknownExercise, chapter_module, chapters, exercise, exercises, question, questions
from utils.exercises.report import Report
from utils.exercises.source import functions_of
from utils.exercises.state import change, load, record_check


def check(number: str, answer: Any = None, seed: int | None = None) -> Report:
    """Checks an answer, shows what was found and returns it; `seed` repeats the inputs of an earlier check.

    A passed exercise is counted, and its source is carried forward into `my_transformer/`.
    """
    try:
        asked = exercise(number)
    except UnknownExercise as error:
        report = Report(str(number), "", False, 0, 0, message=str(error))
        report.show()
        return report
    report = examine(asked, answer, seed)
    if report.passed and is_the_courses(asked, answer):
        report.points = 0
        report.notes.append("This is the course's own code: it passes, and does not count as yours.")
    else:
        report.notes += record_check(asked.number, report.passed, report.points)
        if report.passed:
            report.notes.append(carrying.keep(asked, answer))
    report.show()
    return report


def is_the_courses(asked: Exercise, answer: Any) -> bool:
    """Whether the answer was imported from `utils` instead of written."""
    modules = {function.__module__ for function in functions_of(answer)} | {getattr(answer, "__module__", None)}
    return answer is asked.reference or any(str(module).partition(".")[0] == "utils" for module in modules)


def hint(number: str) -> HintCard | SentenceCard:
    """Shows the next of an exercise's three hints, folded, and those shown before."""
    try:
        asked = exercise(number)
    except UnknownExercise as error:
        return _said(error)
    state = load()
    count = min(int(_count(state.of(asked.number), "hints")) + 1, len(asked.hints))
    notes = state.notes + change(asked.number, lambda entry: entry.update(hints=count))
    card = HintCard(asked.number, asked.title, asked.hints[:count], len(asked.hints), notes)
    card.show()
    return card


def predict(number: str, answer: str | None = None) -> PredictionCard | SentenceCard:
    """Answers a question by its letter or its words, and gives the reason whichever was chosen; without an answer it
    shows the question.
    """
    try:
        asked = question(number)
    except UnknownExercise as error:
        return _said(error)
    card = PredictionCard(asked, *_chosen(asked, answer))
    if card.chosen is not None:
        right = asked.options[card.chosen].right

        def noted(entry: dict[str, Any]) -> None:
            entry["tries"] = _count(entry, "tries") + 1
            entry.setdefault("first_answer", "abcdefgh"[card.chosen])
            entry["right"] = bool(entry.get("right")) or right

        card.notes += change(asked.number, noted)
    card.show()
    return card


def _chosen(asked: Question, answer: str | None) -> tuple[int | None, str]:
    """(which option was chosen, or None; what was not understood)."""
    if answer is None:
        return None, ""
    said = " ".join(str(answer).split()).casefold().rstrip(".)")
    letters = "abcdefgh"[: len(asked.options)]
    if len(said) == 1 and said in letters:
        return letters.index(said), ""
    texts = [" ".join(option.text.split()).casefold().rstrip(".)") for option in asked.options]
    found = [index for index, text in enumerate(texts) if text == said]
    if not found and len(said) > 1:
        found = [index for index, text in enumerate(texts) if said in text]
    if len(found) == 1:
        return found[0], ""
    return None, f"{answer!r} is none of the answers: give one of the letters {', '.join(letters)}."


def progress() -> MapCard:
    """Draws the map of the course with what is passed, points and hints."""
    state = load()
    rows = []
    for chapter in chapters():
        entries = [_entry(item, state.of(item.number)) for item in exercises(chapter)]
        asked = questions(chapter)
        right = sum(bool(state.of(item.number).get("right")) for item in asked)
        title = getattr(chapter_module(chapter), "TITLE", f"Chapter {chapter}")
        rows.append(ChapterRow(chapter, title, tuple(entries), right, len(asked)))
    card = MapCard(tuple(rows), state.notes)
    card.show()
    return card


def _entry(item: Exercise, known: dict[str, Any]) -> MapEntry:
    points = min(_count(known, "points"), item.points)
    tries, hints = int(_count(known, "tries")), int(_count(known, "hints"))
    return MapEntry(
        item.number, item.title, bool(known.get("passed")), points, item.points, tries, hints, item.optional
    )


def _said(error: Exception) -> SentenceCard:
    card = SentenceCard(str(error))
    card.show()
    return card


def _count(entry: dict[str, Any], name: str) -> float:
    return max(0, entry.get(name, 0))
