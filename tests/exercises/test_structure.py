"""Numbers in messages: short, but never so short that two that differ look the same."""

import re

import pytest
import torch

from utils.exercises import Case, examine, exercise
from utils.exercises.drawing import normal
from utils.exercises.structure import digits_apart, shown


def numbers_beside(report) -> list[tuple[str, str]]:
    """(yours, expected), number by number, from what a report shows."""
    yours, expected = (re.findall(r"[-+\w.]*\d[-+\w.]*", text.split(") ", 1)[-1])
                       for text in (report.smallest.yours, report.smallest.expected))  # fmt: skip
    return list(zip(yours, expected, strict=True))


def test_digits_until_two_numbers_look_different():
    assert digits_apart(0.5, 0.25) == 4  # no fewer than everywhere else
    assert digits_apart(-0.87612345, -0.87612399) == 6
    assert digits_apart(1.0, 1.0 + 2**-52) == 17
    assert digits_apart(1.0, 1.0) == 4 == digits_apart(float("nan"), float("nan"))
    assert shown(torch.tensor([-0.87612341], dtype=torch.float64), 7) == "(1, float64) [-0.8761234]"
    assert shown([1 / 3, (2 / 3,)], 6) == "[0.333333, (0.666667,)]"


@pytest.mark.parametrize("off", [1e-3, 1e-4, 1e-6, 3e-8])
def test_numbers_that_differ_look_different(made, off):
    def reference(x):
        return torch.stack([2 * x, x + 100])

    def answer(x):  # the second row is right but for rounding
        return torch.stack([2 * x * (1 + off), (x + 50) + 50])

    cases = [Case("two", (torch.tensor([0.87, 1.3], dtype=torch.float64),)), Case("one", (torch.ones(1).double(),))]
    report = examine(made(reference, cases=lambda generator: cases), answer, 0)
    if off * 2 * 1.3 < 1e-8 * 101.3:  # such a difference counts for nothing beside the largest number
        assert report.passed
        return
    (first, second) = numbers_beside(report)
    assert first[0] != first[1] and second[0] == second[1]
    assert f"yours = {report.smallest.yours}" in str(report) and report.smallest.yours in report._repr_html_()


def test_rounding_does_not_call_for_more_digits(made):
    def answer(x):
        return torch.cat([x[:1] * 3, 2 * x[1:] + 1e-7])

    report = examine(made(cases=lambda g: [Case("two", (torch.tensor([1.0, 1 / 3]),))] * 2), answer, 0)
    assert numbers_beside(report) == [("3", "2"), ("0.6667", "0.6667")]


def test_the_place_of_the_largest_difference_shows_one(made):
    answer = lambda x: 2 * x * (1 + 1e-4)  # noqa: E731
    cases = [Case(name, (normal(torch.Generator().manual_seed(1), 6, 6),)) for name in "ab"]
    report = examine(made(cases=lambda generator: cases), answer, 0)
    have, want = re.search(r"\(at \[.*?\]: (\S+), expected (\S+)\)", report.message).groups()
    assert have != want


def test_plain_numbers_show_their_difference(made):
    def words(x):
        return ["a", 0.123456789]

    def count(x):
        return 0.123456789

    cases = [Case("one", (1.0,)), Case("two", (2.0,))]
    huge = examine(made(lambda x: 10**30, cases=lambda generator: cases), lambda x: 10**30 + 1, 0)
    assert "0001; expected is 1000" in huge.message
    single = examine(made(count, cases=lambda generator: cases), lambda x: 0.12345999, 0)
    assert "0.1234568" not in single.message and "is 0.12346; expected is 0.12345" in single.message.replace("679", "")
    whole = examine(made(words, cases=lambda generator: cases, returns=()), lambda x: ["a", 0.12345999], 0)
    assert numbers_beside(whole)[-1][0] != numbers_beside(whole)[-1][1]
    integer = examine(made(lambda x: 5, cases=lambda generator: cases), lambda x: 5.0000001, 0)
    assert integer.smallest.yours != integer.smallest.expected and "is 5;" not in integer.message


def test_a_factor_near_one_shows_that_it_is_not_one(made):
    report = examine(made(), lambda x: 2 * x * 1.0002, 0)
    assert "is 1.0002 times the expected one" in report.explanation


def test_angles_of_float32_for_positions_of_float64():
    """2.6, from a learner: yours = -0.8761, expected = -0.8761."""

    def rotate(x, start=0):
        position = torch.arange(start, start + x.size(-2))[:, None]
        angle = position / 10000 ** (torch.arange(0, x.size(-1), 2) / x.size(-1))
        sine, cosine = angle.sin().to(x), angle.cos().to(x)
        first, second = x[..., 0::2], x[..., 1::2]
        return torch.stack([first * cosine - second * sine, first * sine + second * cosine], dim=-1).flatten(-2)

    for seed in range(3):
        report = examine(exercise("2.6"), rotate, seed)
        pairs = numbers_beside(report)
        assert len(pairs) >= 24 and any(mine != expected for mine, expected in pairs), report


def test_numbers_of_single_precision_say_where(made):
    cases = [Case("large", (normal(torch.Generator().manual_seed(1), 6, 6, dtype=torch.float64),))] * 2
    report = examine(made(cases=lambda generator: cases), lambda x: (2 * x.float()).double(), 0)
    assert "seven digits only (at [" in report.message
    have, want = re.search(r"\(at \[.*?\]: (\S+), expected (\S+)\)", report.message).groups()
    assert have != want
