"""Every declared exercise: its reference passes, misconceptions are rejected and named, nothing is earned for free."""

import os
import time

import pytest
import torch

from utils.exercises import chapters, examine, exercises, questions
from utils.exercises.checking import drawn_cases

DECLARED = [item for chapter in chapters() for item in exercises(chapter)]
MISCONCEPTIONS = [(item, wrong) for item in DECLARED for wrong in item.misconceptions]
SEEDS = range(int(os.environ.get("SEEDS", 1)))  # drawings of inputs: more of them take their time


@pytest.mark.parametrize("item", DECLARED, ids=lambda item: item.number)
def test_the_reference_passes_whatever_is_drawn(item):
    for seed in range(4):
        report = examine(item, item.reference, seed)
        assert report.passed, report
        assert report.points == item.points


@pytest.mark.parametrize(("item", "wrong"), MISCONCEPTIONS, ids=[f"{i.number} {w.name}" for i, w in MISCONCEPTIONS])
def test_every_misconception_is_rejected_and_named(item, wrong):
    for seed in SEEDS:
        report = examine(item, wrong.answer, seed)
        assert not report.passed
        assert report.misconception == wrong.name, report
        assert wrong.sentence in report.explanation
        assert report.points < item.points


def trivial_answers():
    def like_reference(make):
        def answer_to(item):
            def answer(*arguments, **keywords):
                def replaced(value):
                    if isinstance(value, tuple):
                        return tuple(map(replaced, value))
                    return make(value) if isinstance(value, torch.Tensor) else 0

                return replaced(item.reference(*arguments, **keywords))

            return answer

        return answer_to

    yield "zeros", like_reference(torch.zeros_like)
    yield "ones", like_reference(torch.ones_like)
    yield "NaN", like_reference(lambda t: t.new_full(t.shape, float("nan")) if t.is_floating_point() else ~t)
    yield "random", like_reference(lambda t: torch.rand(t.shape).to(t.dtype))
    yield "None", lambda item: lambda *arguments, **keywords: None
    yield "first input", lambda item: lambda *arguments, **keywords: arguments[0]
    yield "all inputs", lambda item: lambda *arguments, **keywords: arguments


@pytest.mark.parametrize("item", DECLARED, ids=lambda item: item.number)
@pytest.mark.parametrize(
    ("name", "answer_to"), list(trivial_answers()), ids=lambda value: value if type(value) is str else ""
)
def test_nothing_is_earned_for_nothing(item, name, answer_to):
    if item.kind == "module":
        pytest.skip("such answers are functions")
    for seed in range(3):
        report = examine(item, answer_to(item), seed)
        assert not report.passed
        assert report.points == 0


@pytest.mark.parametrize("item", DECLARED, ids=lambda item: item.number)
def test_a_check_takes_well_under_a_second(item):
    examine(item, item.reference, 0)
    wrong = item.misconceptions[-1].answer
    for answer in (item.reference, wrong):
        times = []
        for seed in range(3):
            start = time.process_time()  # a busy neighbour does not count
            examine(item, answer, seed)
            times.append(time.process_time() - start)
        assert min(times) < 1.0


@pytest.mark.parametrize("item", DECLARED, ids=lambda item: item.number)
def test_cases_cover_what_they_should(item):
    cases = drawn_cases(item, 0)
    names = [case.name for case in cases]
    assert len(set(names)) == len(names)
    assert {"values", "edge cases"} <= {case.part for case in cases}
    again = drawn_cases(item, 0)
    for one, other in zip(cases, again, strict=True):  # the same seed, the same inputs
        for a, b in zip(one.arguments, other.arguments, strict=True):
            assert same(a, b)


def same(one, other) -> bool:
    """Whether two arguments say the same; modules do when form and weights are, lists and tuples part by part."""
    if isinstance(one, torch.nn.Module):
        weights, others = one.state_dict(), other.state_dict()
        alike = repr(one) == repr(other) and weights.keys() == others.keys()  # a class may be made for one module
        return alike and all(torch.equal(weight, others[name]) for name, weight in weights.items())
    if isinstance(one, torch.optim.Optimizer):
        return type(one) is type(other) and one.state_dict() == other.state_dict()  # fresh: settings, no tensors
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, float) and one != one:
        return other != other
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


def test_questions_give_a_reason_for_every_option():
    for chapter in chapters():
        for question in questions(chapter):
            assert all(len(option.reason) > 20 for option in question.options)
