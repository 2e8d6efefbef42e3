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


def test_letters_and_paper_are_the_pages_own():
    """Letters inherit their colour; behind them is nothing, or a tint so thin that they stay legible on any paper."""
    passed = Report("3.2", "Attention", True, 2, 2, (Item("a", "values", True),), notes=["kept in `a.py`"])
    question = Question("3.a", "Is `it`?", (Option("Yes.", "It is.", True), Option("No.", "It is.")))
    cards = [PredictionCard(question, chosen) for chosen in (None, 0, 1)]
    for card in (evil_report(), passed, *cards, HintCard("3.2", "Attention", ("`keys @ query`",), 3)):
        html = card._repr_html_()
        assert set(re.findall(r"(?<![-\w])color:([^;\"]+)", html)) == {"inherit"}
        for paper in re.findall(r"background:([^;\"]+)", html):
            assert paper == "transparent" or float(re.fullmatch(r"rgba\(\d+,\d+,\d+,([\d.]+)\)", paper)[1]) < 0.2
        for tag in ("div", "details", "table", "pre", "tr", "td", "code", "b"):
            assert html.count(f"<{tag} ") + html.count(f"<{tag}>") == html.count(f"</{tag}>")


def test_code_between_backticks_is_set_as_code_and_escaped():
    html = HintCard("3.2", "Attention", ("`a < b` and ` alone",), 3)._repr_html_()
    assert ">a &lt; b</code> and ` alone" in html


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
