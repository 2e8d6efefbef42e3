"""Every kind of input and result that chapters to come may ask for travels into a kernel and back.

A small made-up chapter: a training step, averaged checkpoints, a beam's step with a cache, a recurrent cell, tokens.
"""

import copy
import inspect

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


def training_step(model, source, target, rate):
    """One step of gradient descent on the squared error: the new weights by name, and the loss as a float."""
    model = copy.deepcopy(model)  # inputs stay as they are
    optimiser = torch.optim.SGD(model.parameters(), lr=rate)
    loss = (model(source) - target).square().mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return {name: value.detach().clone() for name, value in model.state_dict().items()}, loss.item()


def averaged(checkpoints):
    """The mean of several state dictionaries."""
    return {name: sum(c[name] for c in checkpoints) / len(checkpoints) for name in checkpoints[0]}


def beam_step(hypotheses, scores, width, finished=None):
    """The best continuations as a list of (tokens, score, done), and a cache by layer."""
    totals = torch.tensor([score for _, score in hypotheses])[:, None] + scores
    best = totals.flatten().topk(width)
    columns = scores.size(-1)
    steps = [
        ([*hypotheses[int(i) // columns][0], int(i) % columns], float(v), int(i) % columns == finished)
        for v, i in zip(best.values, best.indices, strict=True)
    ]
    return steps, {"layer 0": [best.values, None], 1: (best.indices,)}


def applied(function, words, times=2):
    """A callable, words and numbers in; a string, a list and a truth out."""
    return " ".join(words), [function(torch.ones(2) * times), times], len(words) > 1


class Cell(nn.Module):
    """A recurrent cell: (new state, all states) with dropout in training mode."""

    def __init__(self, width: int, rate: float = 0.0) -> None:
        super().__init__()
        self.inner = nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(rate)

    def forward(self, state, inputs):
        """(batch, width), a list of (batch, width)."""
        states = []
        for x in inputs:
            state = self.dropout(torch.tanh(self.inner(torch.cat([state, x], -1))))
            states.append(state)
        return state, states


def _model(generator):
    model = FeedForward(4, 6)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(normal(generator, *parameter.shape))
    return model.double()


def _dropout(generator):
    return [Case(f"draw {i}", (torch.zeros(64, 32), [torch.full((64, 32), 9.0)]), build=(32, 0.5), training=True,
            own_weights=True) for i in range(2)]  # fmt: skip


def _half_dropped(cases, results):
    return all(0.35 < float((state == 0).float().mean()) < 0.65 for state, _ in results)


def exercise(reference, cases, **more):
    """An exercise of the made-up chapter."""
    wrong = tuple(Misconception(f"wrong {i}", lambda *a, **k: None, "Wrong.") for i in (1, 2, 3))
    return Exercise("3.9", reference.__name__, 4, 2, 5, "§0", reference, cases, wrong, ("one", "two", "three"), **more)


EXERCISES = {
    "training step": exercise(
        training_step,
        lambda g: [Case("a step", (_model(g), normal(g, 3, 4).double(), normal(g, 3, 4).double(), 0.1))],
    ),
    "averaged checkpoints": exercise(
        averaged, lambda g: [Case("three", ([{"a": normal(g, 2), "b.c": normal(g, 2, 2)} for _ in range(3)],))]
    ),
    "beam step": exercise(
        beam_step,
        lambda g: [
            Case("two", ([([1], 0.0), ([2, 5], -1.5)], normal(g, 2, 6), 2), {"finished": 3}),
            Case("one", ([([], -0.5)], normal(g, 1, 6), 3), part="edge cases"),
        ],
    ),
    "callable argument": exercise(
        applied, lambda g: [Case("words", (torch.sum, ("ein", "ü – €")), {"times": 3}), Case("none", (torch.mean, ()))]
    ),
    "recurrent cell": exercise(
        Cell,
        lambda g: [
            Case("two steps", (normal(g, 2, 4), [normal(g, 2, 4), normal(g, 2, 4)]), build=(4,)),
            Case("no step", (normal(g, 2, 4), []), build=(4,), part="edge cases"),
            Case("dropout is off in evaluation", (normal(g, 2, 4), [normal(g, 2, 4)]), build=(4, 0.9)),
        ],
        kind="module",
        properties=(Property("half is dropped", _dropout, _half_dropped, "Dropout does not drop half."),),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def kernels():
    if find_bwrap() is None:
        pytest.skip("bubblewrap is not installed: apt install bubblewrap")
    with Sandbox() as sandbox:
        sandbox.open(3)
        found = Kernels(sandbox)
        yield found
        found.close()


def examined(kernels, name: str, source: str):
    kernel = kernels.fresh()
    try:
        loop = Loop(kernel)
        run = loop.run(f"import copy, torch\nfrom torch import nn\n{source}", 20)
        assert run.ended == "ok", run
        asked = EXERCISES[name].reference.__name__
        return Examination(EXERCISES[name], "ab" * 8, "digest", Times(), kernels.sandbox.slice).run(loop, asked)
    finally:
        kernel.close()


def source_of(name: str) -> str:
    return inspect.getsource(EXERCISES[name].reference)


@pytest.mark.parametrize("name", EXERCISES)
def test_the_right_answer_earns_everything(kernels, name):
    found = examined(kernels, name, source_of(name))
    assert found.report is not None and found.report.passed, (found.stopped, found.report)


WRONG = {
    "training step": ("lr=rate", "lr=2 * rate"),
    "averaged checkpoints": ("/ len(checkpoints)", ""),
    "beam step": ("float(v)", "0.0"),
    "callable argument": ("len(words) > 1", "True"),
    "recurrent cell": ("nn.Dropout(rate)", "nn.Dropout(0.0)"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_answer_does_not(kernels, name):
    old, new = WRONG[name]
    assert old in source_of(name)
    found = examined(kernels, name, source_of(name).replace(old, new))
    assert found.report is not None and not found.report.passed and found.report.points < 4, found
