"""The engine on exercises made for the purpose: what it says, how long it takes, and what must never happen."""

import contextlib
import random
import sys
import threading
import time

import numpy
import pytest
import torch
from torch import nn

from utils.exercises import Case, Misconception, Property, examine
from utils.exercises.declare import DeclarationError
from utils.exercises.drawing import normal
from utils.exercises.judging import NothingCompared, _where


def doubled(x):
    """Twice x."""
    return 2 * x


def test_a_want_of_precision_is_not_called_a_factor_of_one(made):
    report = examine(made(), lambda x: (2 * x).half().float(), 0)
    assert not report.passed and "times the expected" not in report.explanation, report


@pytest.mark.parametrize("same", [float("inf"), float("-inf")])
def test_what_is_infinite_on_both_sides_is_not_shown_as_the_difference(made, same):
    def reference(x):
        """Twice x, the first number infinite."""
        return torch.cat([torch.full_like(x[..., :1], same), 2 * x[..., 1:]], dim=-1)

    def answer(x):
        result = reference(x)
        result[..., -1] += 7 * (x.size(-1) > 1)
        return result

    cases = lambda generator: [Case("three", (normal(generator, 2, 3),))]  # noqa: E731
    report = examine(made(reference, cases=cases), answer, 0)
    assert "(at [0, 2]: " in report.message or "(at [1, 2]: " in report.message, report


def test_infinity_with_the_other_sign_is_the_largest_difference(made):
    def reference(x):
        """x, and −∞ behind it."""
        return torch.cat([x, torch.full_like(x[..., :1], -torch.inf)], dim=-1)

    cases = lambda generator: [Case("three", (normal(generator, 3),))]  # noqa: E731
    report = examine(made(reference, cases=cases), lambda x: reference(x).abs() + 1, 0)
    assert "(at [3]: inf, expected -inf)" in report.message, report


def test_nan_on_both_sides_is_no_difference():
    both, other = torch.tensor([torch.nan, 1.0, 2.0]), torch.tensor([torch.nan, 1.0, 5.0])
    assert _where(other, both) == " (at [2]: 5, expected 2)"


def test_a_wrong_number_is_told_before_a_crash_on_an_unusual_input(made):
    def answer(x):
        if x.numel() == 1:
            raise ZeroDivisionError("of one number")
        return 3 * x

    report = examine(made(), answer, 0)
    assert "not the expected numbers" in report.message and "1.5 times" in report.explanation, report
    assert "ZeroDivisionError" in examine(made(), lambda x: 2 * x if x.numel() > 1 else 1 / 0, 0).message


# What is handed over ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "nothing to check"),
        (torch.ones(2), "without calling it"),
        (7, "an int"),
        ("doubled", "a str"),
        (nn.Linear, "A class was handed over"),
        (lambda: None, "parameters (x)"),
        (lambda x, y: x, "yours has (x, y)"),
        (lambda *, x: 2 * x, "parameters (x)"),
        (lambda x: None, "return"),
        (lambda x: ..., "Tensor"),
        (lambda x: (2 * x,), "tuple"),
        (lambda x: {"output": 2 * x}, "a dict"),
        (lambda x: 2 * x.sum(), "shape"),
        (lambda x: (2 * x).to(torch.complex64), "complex64"),
        (lambda x: (2 * x).half(), "float16"),
        (lambda x: (2 * x).to_sparse(), ""),
        (lambda x: 2 * x / 0, "infinite"),
        (lambda x: 2 * x * float("nan"), "NaN"),
        (lambda x: 3 * x, "1.5 times"),
        (lambda x: -2 * x, "sign"),
        (lambda x: print("<b>here</b>") or 1 / 0, "ZeroDivisionError"),
        (lambda x: recurse(x), "RecursionError"),
        (lambda x: sys.exit(3), "SystemExit"),
        (lambda x: x + 2, "You add 2."),
    ],
)
def test_what_is_wrong_is_said(made, answer, words):
    report = examine(made(), answer, 0)
    assert not report.passed
    assert report.points == 0
    assert words in f"{report.message} {report.explanation}", report
    assert "utils/" not in str(report) + report._repr_html_()


def recurse(x):
    return recurse(x)


@pytest.mark.parametrize(
    "answer",
    [
        doubled,
        lambda x: x + x,
        lambda y, scale=2: scale * y,
        lambda *arguments, **keywords: 2 * arguments[0],
        lambda x: nn.Parameter(2 * x),
        lambda x: (2 * x.double()).to(x.dtype),
        lambda x: torch.stack([2 * row for row in x]),
        type("Doubler", (), {"__call__": lambda self, x: 2 * x})(),
    ],
)
def test_what_is_right_passes(made, answer):
    report = examine(made(), answer)
    assert report.passed, report
    assert report.points == 2
    assert bool(report)


def test_not_written_yet(made):
    def answer(x):
        raise NotImplementedError("Exercise 9.1: double x")

    report = examine(made(), answer)
    assert report.message == "Not written yet: Exercise 9.1: double x"
    assert report.items[1].passed is None


def test_the_traceback_is_cut_to_the_learners_lines(made):
    def answer(x):
        return helper(x)

    def helper(x):
        return torch.nn.functional.linear(x, x.t().t()[..., :1])

    report = examine(made(), answer)
    assert "return helper(x)" in report.lines[0] and report.lines[0].startswith("line ")
    assert "torch.nn.functional.linear" in report.lines[1]
    assert len(report.lines) == 2  # none of ours, none of torch's


def test_the_smallest_input_is_shown(made):
    report = examine(made(), lambda x: 2 * x + (x.numel() > 1), 0)
    assert report.smallest.case == "small"
    assert dict(report.smallest.inputs)["x"].startswith("(2) [")
    assert report.smallest.yours and report.smallest.expected


def test_a_list_of_plain_numbers_is_shown_as_a_whole(made):
    def counted(x):
        return [[len(x)], [2, 3]]

    one_off = examine(made(counted, returns=("counts",)), lambda x: [[len(x)], [2, 7]], 0)
    assert one_off.message == "Your counts[1][1] is 7; expected is 3."
    assert (one_off.smallest.yours, one_off.smallest.expected) == ("[[1], [2, 7]]", "[[1], [2, 3]]")
    too_short = examine(made(counted, returns=("counts",)), lambda x: [[len(x)], [2]], 0)
    assert (too_short.smallest.yours, too_short.smallest.expected) == ("[[1], [2]]", "[[1], [2, 3]]")
    long = examine(made(lambda x: [*range(100)], returns=("ids",)), lambda x: [*range(99), 0], 0)
    assert (long.smallest.yours, long.smallest.expected) == ("0", "99")


def test_the_first_part_that_differs_is_shown_first(made):
    def split(x):
        return ("a", "b"), {"ab": 1, "c": 2}

    item = made(split, returns=("pair", "words"))
    report = examine(item, lambda x: (("b", "c"), {"a": 1, "bc": 2}), 0)
    assert report.message == "Your pair[0] is 'b'; expected is 'a'."
    assert report.smallest.yours == "(('b', 'c'), {'a': 1, 'bc': 2})"
    assert report.smallest.expected == "(('a', 'b'), {'ab': 1, 'c': 2})"
    assert "Your words come" in examine(item, lambda x: (("a", "b"), {"a": 1, "bc": 2}), 0).message


def test_prints_are_caught_and_shown_once(made, capsys):
    report = examine(made(), lambda x: print("shape", *x.shape) or x)
    assert capsys.readouterr().out == ""
    assert report.smallest.printed.startswith("shape")
    flood = examine(made(), lambda x: [print("x" * 1000) for _ in range(2000)] and x)
    assert len(flood.smallest.printed) < 2000


# Time ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_endless_loop_is_stopped(made):
    def answer(x):
        while True:
            x = x + 1

    start = time.monotonic()
    report = examine(made(), answer, seconds=0.5)
    assert time.monotonic() - start < 3
    assert "stopped" in report.message
    assert any("x = x + 1" in line or "while True" in line for line in report.lines)
    assert [item.passed for item in report.items] == [False, None, None]


def test_an_endless_loop_that_swallows_exceptions_is_stopped(made):
    def answer(x):
        while True:
            with contextlib.suppress(Exception):
                time.sleep(0.01)

    assert "stopped" in examine(made(), answer, seconds=0.5).message


def test_checks_work_outside_of_the_main_thread(made):
    found = []
    thread = threading.Thread(target=lambda: found.append(examine(made(), doubled)))
    thread.start()
    thread.join()
    assert found[0].passed


# Surroundings ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_global_state_is_put_back(made):
    def answer(x):
        torch.manual_seed(5)
        random.seed(5)
        numpy.random.seed(5)
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        torch.set_num_threads(3)
        torch.set_default_device("meta")
        return 2 * x

    states = torch.get_rng_state(), random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_num_threads()
    assert examine(made(), answer).passed
    now = torch.get_rng_state(), random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_num_threads()
    assert torch.equal(states[0], now[0]) and states[1:] == now[1:]
    assert torch.get_default_dtype() == torch.float32
    assert torch.is_grad_enabled()
    assert torch.get_default_device().type == "cpu"


def test_a_check_does_not_depend_on_the_state_it_is_run_in(made):
    with torch.no_grad():
        torch.set_default_dtype(torch.float64)
        try:
            cases = made(cases=lambda g: [Case("gradients", (normal(g, 3),), gradients=True)])
            assert examine(cases, doubled).passed
            assert torch.get_default_dtype() == torch.float64
            assert not torch.is_grad_enabled()
        finally:
            torch.set_default_dtype(torch.float32)


def test_the_same_seed_draws_the_same_inputs(made):
    one, other = (examine(made(), lambda x: x, 7) for _ in range(2))
    assert str(one) == str(other)
    assert one.smallest.inputs != examine(made(), lambda x: x, 8).smallest.inputs
    assert examine(made(), doubled).seed != examine(made(), doubled).seed


# What must never happen ───────────────────────────────────────────────────────────────────────────────────────────


def test_nothing_passes_because_nothing_was_compared(made):
    for cases in (
        lambda g: [],
        lambda g: [Case("empty", (torch.zeros(0),))],
    ):
        with pytest.raises(NothingCompared):
            examine(made(cases=cases), doubled)
    with pytest.raises(NothingCompared, match="NaN"):
        examine(made(lambda x: x / 0 * 0), doubled)
    with pytest.raises(NothingCompared, match="fails"):
        examine(made(lambda x: [][0]), doubled)
    with pytest.raises(NothingCompared):
        examine(made(lambda x: None), doubled)
    nothing = Property("nothing", lambda g: [], lambda cases, results: True, "…")
    with pytest.raises(NothingCompared):
        examine(made(properties=(nothing,)), doubled)


def test_a_declaration_that_is_incomplete_is_refused(made):
    wrong = made().misconceptions
    for changes in (
        {"hints": ("one",)},
        {"misconceptions": wrong[:2]},
        {"misconceptions": (wrong[0],) * 3},
        {"difficulty": 6},
        {"number": "nine"},
        {"kind": "class"},
        {"points": 0},
    ):
        with pytest.raises(DeclarationError):
            made(**changes)
    with pytest.raises(DeclarationError):
        Case("…", part="style")


# Explanations ─────────────────────────────────────────────────────────────────────────────────────────────────────


def added(x, y):
    """x + y."""
    return x + y, x - y


@pytest.fixture
def pair_exercise(made):
    """pair_exercise(**changes): an exercise that asks for a sum and a difference."""

    def make(**changes):
        wrong = tuple(Misconception(f"wrong {i}", lambda x, y, i=i: (x + i, y), f"You add {i}.") for i in (1, 2, 3))
        usual = lambda g: [  # noqa: E731
            Case("square", (normal(g, 3, 3), normal(g, 3, 3))),
            Case("rectangle", (normal(g, 2, 3), normal(g, 2, 3)), traits=("rows and columns differ",)),
            Case("float64", (normal(g, 2, 2, dtype=torch.float64), normal(g, 2, 2, dtype=torch.float64))),
        ]
        fields = {"misconceptions": wrong, "cases": usual, "returns": ("sum", "difference"), **changes}
        return made(added, **fields)

    return make


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda x, y: (x - y, x + y), "wrong order; asked for is (sum, difference)"),
        (lambda x, y: ((x + y).t(), x - y), "sum would be right if the last two axes were exchanged"),
        (lambda x, y: (x + y, 3 * (x - y)), "difference is 3 times"),
        (lambda x, y: (x + y, y - x), "the sign"),
        (lambda x, y: (x, x), "whatever `y` is"),
        (lambda x, y: (x + y + (x.shape[0] != x.shape[1]), x - y), "exactly where this holds: rows and columns differ"),
        (lambda x, y: (x + y + (x.dtype == torch.float64), x - y), "the inputs are float64"),
        (lambda x, y: ((x.float() + y.float()).to(x.dtype), x - y), "seven digits"),
        (lambda x, y: x + y, "tuple of 2 (sum, difference)"),
        (lambda x, y: (x + 1, y), "You add 1."),
        (lambda x, y: (x.add_(y), x - 2 * y), "changes its input `x`"),
    ],
)
def test_what_can_be_seen_from_outside_is_said(pair_exercise, answer, words):
    report = examine(pair_exercise(), answer, 3)
    assert not report.passed
    assert words in f"{report.message} {report.explanation}", report


def test_points_are_given_by_part(pair_exercise):
    exercise = pair_exercise(
        cases=lambda g: [
            Case("usual", (normal(g, 2, 2), normal(g, 2, 2))),
            Case("one", (normal(g, 1, 1), normal(g, 1, 1)), part="edge cases"),
        ]
    )
    report = examine(exercise, lambda x, y: (x + y, x - y) if x.numel() > 1 else (x, y))
    assert not report.passed and 0 < report.points < exercise.points
    report = examine(exercise, lambda x, y: (x + y, x - y) if x.numel() == 1 else (x, y))
    assert report.points == 0  # without the values, the edge case alone earns nothing


# Properties ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_property_that_does_not_hold_is_said(made):
    alone = Property(
        "rows do not meet",
        lambda g: [Case("a", (torch.zeros(4, 2),)), Case("b", (torch.eye(4, 2),))],
        lambda cases, results: torch.equal(results[0][3], results[1][3]),
        "The last row moved.",
    )
    exercise = made(properties=(alone,))
    assert examine(exercise, doubled).passed
    report = examine(exercise, lambda x: 2 * x + (0 if len(x) < 4 else x.sum()))
    assert report.message == "The last row moved."
    assert [item.passed for item in report.items] == [True, True, True, False]
    assert 0 < report.points < 2


def test_an_answer_that_fails_in_a_property_only_does_not_raise(made):
    odd = Property(
        "never", lambda g: [Case("a", (torch.zeros(5),))], lambda cases, results: bool(results[0].sum() == 0), "No."
    )
    report = examine(made(properties=(odd,)), lambda x: 2 * x if x.shape != (5,) else 1 / 0)
    assert "ZeroDivisionError" in report.message
    report = examine(made(properties=(odd,)), lambda x: 2 * x if x.shape != (5,) else "five")
    assert report.message == "No."
