"""Exercises that ask for a class: weights and modules go into the kernel, and the rest is the same."""

import json
import time

import pytest
import torch
from torch import nn

from utils.exercises import Case, Exercise, Misconception, Property
from utils.exercises.drawing import normal
from utils.grading.job import Kernels
from utils.grading.probing import Examination, Times
from utils.grading.running import Loop
from utils.grading.sandbox import Sandbox, find_bwrap
from utils.transformer.layers import FeedForward


class Scaled(nn.Module):
    """y = gain · W x + bias, halved in training mode, and then another module."""

    def __init__(self, width: int, after: nn.Module) -> None:
        super().__init__()
        self.projection = nn.Linear(width, width)
        self.gain = nn.Parameter(torch.ones(width))
        self.after = after

    def forward(self, x, mask=None):
        y = self.projection(x) * self.gain
        y = y / 2 if self.training else y
        return self.after(y if mask is None else y * mask)


def cases(generator):
    def after():
        return nn.Sequential(nn.Identity(), FeedForward(4, 6))

    x = normal(generator, 2, 3, 4)
    mask = torch.tensor([True, False, True])[:, None]
    return [
        Case("evaluation", (x,), build=(4, after())),
        Case("a view", (normal(generator, 4, 3, 2).transpose(0, 2),), build=(4, after())),
        Case("training", (x,), build=(4, after()), training=True),
        Case("with a mask", (x, mask.expand(3, 4)), part="mask", build=(4, after())),
        Case("gradients", (x,), build=(4, after()), gradients=True),
        Case("a single row", (x[:1, :1],), part="edge cases", build=(4, after())),
    ]


def _two(generator):
    x = normal(generator, 1, 2, 4)
    return [Case("x", (x,), build=(4, nn.Identity())), Case("x, row 1 changed", (x * torch.tensor([[1.0], [3.0]]),),
            build=(4, nn.Identity()))]  # fmt: skip


EXERCISE = Exercise(
    number="3.9", title="Scaled", points=4, difficulty=2, minutes=5, section="§0", reference=Scaled, cases=cases,
    kind="module", hints=("one", "two", "three"), returns=("output",),
    properties=(Property("rows are apart", _two, lambda c, r: torch.equal(r[0][:, 0], r[1][:, 0]), "Rows mix."),),
    misconceptions=tuple(Misconception(f"wrong {i}", lambda *a: None, "Wrong.") for i in (1, 2, 3)),
)  # fmt: skip

RIGHT = """
class Scaled(torch.nn.Module):
    def __init__(self, width, after):
        super().__init__()
        self.projection = torch.nn.Linear(width, width)
        self.gain = torch.nn.Parameter(torch.ones(width))
        self.after = after

    def forward(self, x, mask=None):
        y = self.projection(x) * self.gain
        if self.training:
            y = y * 0.5
        return self.after(y if mask is None else y * mask)
"""
RENAMED = RIGHT.replace("projection", "W").replace("self.gain", "self.g").replace("self.after", "self.then")


@pytest.fixture(scope="module")
def kernels():
    if find_bwrap() is None:
        pytest.skip("bubblewrap is not installed: apt install bubblewrap")
    with Sandbox() as sandbox:
        sandbox.open(3)
        found = Kernels(sandbox)
        yield found
        found.close()


def examined(kernels, source: str, exercise: Exercise = EXERCISE):
    kernel = kernels.fresh()
    try:
        loop = Loop(kernel)
        run = loop.run(f"import torch\n{source}", 10)
        assert run.ended == "ok", run
        return Examination(exercise, "ab" * 8, "digest", Times(), kernels.sandbox.slice).run(loop, "Scaled")
    finally:
        kernel.close()


@pytest.mark.parametrize("source", [RIGHT, RENAMED])
def test_a_right_module_earns_everything_whatever_its_parameters_are_called(kernels, source):
    found = examined(kernels, source)
    assert found.report is not None and found.report.passed, found


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("if self.training:", "if False:", "not the expected"),
        ("* self.gain", "* 1.0", "not the expected"),
        ("torch.ones(width)", "torch.ones(width + 1)", "parameters"),
        ("def forward(self, x, mask=None):", "def forward(self, x):\n        mask = None", "asked for with"),
        ("torch.nn.Module", "object", ""),
    ],
)
def test_a_wrong_module_is_told_why(kernels, old, new, words):
    source = RIGHT.replace(old, new)
    found = examined(kernels, source.replace("super().__init__()", "pass") if new == "object" else source)
    said = found.stopped or f"{found.report.message} {found.report.explanation}"
    assert words in said, found
    assert found.report is None or found.report.points < 4


def test_a_kernel_gets_no_more_of_the_course_than_its_cases_are_made_of(kernels):
    kernel = kernels.fresh()
    try:
        loop = Loop(kernel)
        loop.run(f"import torch\n{RIGHT}", 10)
        Examination(EXERCISE, "ab" * 8, "digest", Times(), kernels.sandbox.slice).run(loop, "Scaled")
        code = (
            "import sys, json; m = sys.modules; print(json.dumps([hasattr(m['utils.transformer.layers'], n) for n in "
        )
        run = loop.run(f"{code}('FeedForward', '__doc__')] + ['utils.transformer.attention' in m]))", 10)
        assert json.loads(run.text) == [True, True, False]
    finally:
        kernel.close()


def test_a_kernel_that_has_died_is_noticed_at_once(kernels):
    kernel = kernels.fresh()
    start = time.monotonic()
    run = Loop(kernel).run("import os; os._exit(3)", 60)
    kernel.close()
    assert run.ended == "died" and run.status == 3 and time.monotonic() - start < 10
