"""Reports and cards: escaped, in the page's own colours, shown once."""

import re

import torch

from utils.exercises import Option, Question
from utils.exercises.cards import ChapterRow, HintCard, MapCard, MapEntry, PredictionCard
from utils.exercises.report import Item, Report, Smallest

EVIL = '<script>alert("x")</script>&'


def evil_report() -> Report:
    """A report in which every text is the learner's worst."""
    smallest = Smallest(EVIL, ((EVIL, EVIL),), EVIL, EVIL, EVIL)
    items = (Item(EVIL, "values", False, EVIL), Item("fine", "values", True), Item("later", "values", None))
    return Report("3.2", EVIL, False, 0.5, 2, items, EVIL, EVIL, EVIL, smallest, (EVIL,), 1, [EVIL])


def test_learners_text_is_escaped():
    shown = [
        evil_report(),
        HintCard("3.2", EVIL, (EVIL,), 3, [EVIL]),
        PredictionCard(Question("3.a", EVIL, (Option(EVIL, EVIL, True), Option(EVIL, EVIL))), 0, EVIL, [EVIL]),
        PredictionCard(Question("3.a", EVIL, (Option(EVIL, EVIL, True), Option(EVIL, EVIL))), None, EVIL),
        MapCard((ChapterRow(3, EVIL, (MapEntry("3.1", EVIL, True, 1, 1, 2, 0, False),), 1, 2),), [EVIL]),
    ]
    for card in shown:
        html = card._repr_html_()
        assert "<script" not in html and EVIL not in html
        assert "&lt;script&gt;" in html
        assert EVIL in str(card)


def test_colours_are_the_pages_own():
    html = evil_report()._repr_html_()
    assert "currentColor" in html
    assert not re.search(r"#[0-9a-fA-F]{3,6}\b|rgba?\(|(?<!-)color:(?!inherit)|background:(?!transparent)", html)
    for tag in ("div", "details", "table", "pre", "tr", "td"):
        assert html.count(f"<{tag} ") + html.count(f"<{tag}>") == html.count(f"</{tag}>")


def test_text_says_all_that_matters():
    text = str(evil_report())
    for words in ("Exercise 3.2", "not yet", "0.5 of 2 points", "smallest input", "seed=1", "✗", "✓", "–"):
        assert words in text
    passed = Report("3.2", "Attention", True, 2, 2, (Item("a", "values", True),), seed=5)
    assert str(passed) == "✓ Exercise 3.2 · Attention: passed (2 of 2 points)\n  1 of 1 cases and properties are right."
    assert "5" not in passed._repr_html_().split("passed")[1]  # no seed: stored outputs stay the same


def test_numbers_are_shown_in_short():
    from utils.exercises.structure import shown

    assert shown(torch.tensor([[0.5, -1.23456789]])) == "(1×2) [[0.5, -1.235]]"
    assert shown(torch.zeros(100, 3)) == "(100×3, too many to show)"
    assert shown(torch.tensor(2.0, dtype=torch.float64)) == "(one number, float64) 2"
    assert shown(torch.zeros(2, device="meta")) == "(2, on the device meta)"
    assert shown((1, "a", None, torch.tensor([True]))) == "(1, 'a', None, (1) [True])"
