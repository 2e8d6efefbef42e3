"""What the cases of 5.7 tell apart: every way of rounding two thirds of d_ff, and which matrix is the gate."""

import math
import sys

import pytest
import torch

from utils.exercises import chapters, exercise, exercises
from utils.exercises.chapter_05.references import SwiGLU
from utils.exercises.chapter_05.since import (
    GATE,
    INNER,
    OUTER,
    gate_and_inner_in_one,
    inner_gate_outer,
    outer_inner_gate,
)
from utils.exercises.checking import drawn_cases

ROUNDED = {
    "to the nearest": lambda d_ff: round(2 * d_ff / 3),
    "up": lambda d_ff: math.ceil(2 * d_ff / 3),
    "before doubling": lambda d_ff: 2 * (d_ff // 3),
    "less a third, rounded down": lambda d_ff: d_ff - d_ff // 3,
    "half": lambda d_ff: d_ff // 2,
    "all": lambda d_ff: d_ff,
    "to a multiple of 8": lambda d_ff: 8 * math.ceil(2 * d_ff / 24),
}


@pytest.mark.parametrize("rule", ROUNDED)
def test_every_other_width_shows_in_some_case(rule):
    for seed in range(3):
        widths = [case.build[1] for case in drawn_cases(exercise("5.7"), seed)]
        assert any(ROUNDED[rule](d_ff) != 2 * d_ff // 3 for d_ff in widths)
        assert all(2 * d_ff // 3 > 0 for d_ff in widths)


def test_gate_and_inner_are_told_apart():
    """Exchanging the two matrices gives other numbers in every case whose input is not 0."""
    for index, case in enumerate(drawn_cases(exercise("5.7"), 0)):
        torch.manual_seed(index)
        right, (x,) = SwiGLU(*case.build), case.arguments
        exchanged = SwiGLU(*case.build)
        exchanged.load_state_dict(right.state_dict())
        exchanged.gate, exchanged.inner = exchanged.inner, exchanged.gate
        assert torch.allclose(right(x), exchanged(x)) == (not x.any())


class Renamed(torch.nn.Module):
    """The three matrices by other names, in the order outer, inner, gate."""

    def __init__(self, d_model, width):
        super().__init__()
        self.last = torch.nn.Linear(width, d_model, bias=False)
        self.straight = torch.nn.Linear(d_model, width, bias=False)
        self.bent = torch.nn.Linear(d_model, width, bias=False)


def test_fills_go_by_order_where_names_do_not_say_it():
    weights = {name: parameter.detach() for name, parameter in SwiGLU(4, 9).named_parameters()}
    renamed = Renamed(4, 6)
    pairs = outer_inner_gate(renamed, weights)
    assert pairs[GATE] is renamed.bent.weight and torch.equal(renamed.bent.weight, weights[GATE])
    assert torch.equal(renamed.straight.weight, weights[INNER])
    assert inner_gate_outer(renamed, weights) is None  # the shapes do not fit
    assert inner_gate_outer(SwiGLU(4, 9), weights) is None  # these names say which is which
    joined = torch.nn.ModuleList([torch.nn.Linear(4, 12, bias=False), torch.nn.Linear(6, 4, bias=False)])
    assert set(gate_and_inner_in_one(joined, weights)) == {OUTER}
    assert torch.equal(joined[0].weight, torch.cat([weights[GATE], weights[INNER]]))
    assert gate_and_inner_in_one(renamed, weights) is None


def test_every_fill_can_be_found_by_its_name():
    """As the grader hands it to the kernel: a function made by another one would not be found there."""
    fills = [fill for chapter in chapters() for item in exercises(chapter) for fill in item.fills]
    assert fills
    for fill in fills:
        assert getattr(sys.modules[fill.__module__], fill.__name__, None) is fill
