"""Exercise 2.7: a test for equivariance, written by the learner and tried on functions known to pass or to fail."""

from functools import cache

import torch
from torch import Generator, Tensor, nn

from utils.exercises.chapter_02.references import is_equivariant
from utils.exercises.chapter_02.words import EDGE
from utils.exercises.chapter_02.wrong_positions import TESTING
from utils.exercises.declare import Case, Exercise
from utils.exercises.drawing import normal, permutation

LENGTH, D_MODEL = 5, 8
ALONE = "`order` leaves those positions alone that the function minds"
ONE_SIGN = "all differences have one sign"
MIXES = "the function mixes positions and does not care for their order"


def _moved(length: int, size: float) -> nn.Module:
    """Adds a number of its own to each position (a convolution of width 1 with a channel a position)."""
    module = nn.Conv1d(length, length, 1, groups=length)
    with torch.no_grad():
        module.weight.fill_(1.0)
        module.bias.copy_(size * torch.arange(length))
    return module


def _moved_alike(size: float) -> nn.Module:
    """Adds the same number to each position: made like `_moved`, so that the kind of a layer does not tell."""
    module = _moved(LENGTH, 0.0)
    with torch.no_grad():
        module.bias.fill_(size)
    return module


def _second_moved(size: float) -> nn.Module:
    """Leaves the first of two sentences as it is and adds a number of its own to each position of the second."""
    module = _moved(2 * LENGTH, size)  # both sentences, one after the other
    with torch.no_grad():
        module.bias[:LENGTH] = 0.0
    return nn.Sequential(nn.Flatten(0, 1), module, nn.Unflatten(0, (2, LENGTH)))


def _last_moved(length: int, size: float) -> nn.Module:
    """Adds a number to the last position."""
    module = _moved(length, 0.0)
    with torch.no_grad():
        module.bias[-1] = size
    return module


def _whole_sentence(weight: Tensor, bias: Tensor | None = None) -> nn.Module:
    """One linear layer over the whole sentence, with those weights."""
    layer = nn.Linear(LENGTH * D_MODEL, LENGTH * D_MODEL)
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(torch.zeros(LENGTH * D_MODEL) if bias is None else bias)
    return nn.Sequential(nn.Flatten(1), layer, nn.Unflatten(1, (LENGTH, D_MODEL)))


def _first_number() -> nn.Module:
    """Gives the first number of the first position, everywhere."""
    return _whole_sentence(torch.eye(LENGTH * D_MODEL)[:1])


def _backwards() -> nn.Module:
    """Turns the positions round."""
    return _whole_sentence(torch.eye(LENGTH * D_MODEL).view(LENGTH, D_MODEL, -1).flip(0).flatten(0, 1))


def _last_dimension_moved(size: float) -> nn.Module:
    """Adds a number of its own to each position, in the last dimension only."""
    bias = torch.zeros(LENGTH, D_MODEL)
    bias[:, -1] = size * torch.arange(LENGTH)
    return _whole_sentence(torch.eye(LENGTH * D_MODEL), bias.flatten())


@cache
def functions() -> dict[str, nn.Module]:
    """Functions to be tested, always the same: plain layers of torch.nn, so that a case can travel anywhere."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        attention = nn.TransformerEncoderLayer(D_MODEL, 2, 16, dropout=0.0, batch_first=True).eval()
        whole_sentence = nn.Sequential(
            nn.Flatten(1), nn.Linear(LENGTH * D_MODEL, LENGTH * D_MODEL), nn.Unflatten(1, (LENGTH, D_MODEL))
        )
        return {
            "linear": nn.Linear(D_MODEL, D_MODEL),
            "attention": attention,
            "located": nn.Sequential(_moved(LENGTH, 0.5), attention),
            "moved": _moved(LENGTH, 0.5),
            "second moved": _second_moved(0.5),
            "hardly moved": _moved(LENGTH, 1e-3),
            "neighbours": nn.AvgPool2d((3, 1), stride=1, padding=(1, 0)),
            "whole sentence": whole_sentence,
            "softmax": nn.Softmax(dim=1),
            "nothing": nn.Threshold(1e6, 0.0),
            "one moved": _moved(1, 0.5),
            "all moved": (everywhere := _moved_alike(0.5)),
            "all moved, then attention": nn.Sequential(everywhere, attention),
            "last moved": _last_moved(LENGTH, 0.5),
            "last of 40 moved": _last_moved(40, 0.5),
            "last dimension moved": _last_dimension_moved(0.5),
            "backwards": _backwards(),
            "first number": _first_number(),
        }


def _testing_cases(generator: Generator) -> list[Case]:
    def drawn(name: str, batch: int = 2, length: int = LENGTH) -> tuple[nn.Module, Tensor, Tensor]:
        order = permutation(generator, length) if length > 1 else torch.zeros(1, dtype=torch.long)
        return functions()[name], normal(generator, batch, length, D_MODEL), order

    turn = torch.arange(LENGTH).roll(int(torch.randint(1, 3, (), generator=generator)))  # not its own inverse
    inner = torch.tensor([0, 2, 1, 3, 4])
    attention, x, _ = drawn("attention", batch=3)
    larger, smaller = normal(generator, 1, LENGTH, D_MODEL), normal(generator, 1, LENGTH, D_MODEL)
    larger[0, :2, 0], smaller[0, :2, 0] = torch.tensor([-3.0, 3.0]), torch.tensor([3.0, -3.0])
    alike = normal(generator, 1, LENGTH, D_MODEL)
    alike[0, 1, 0] = alike[0, 0, 0]
    exchanged = torch.tensor([1, 0, 2, 3, 4])
    all_but_last = torch.cat([permutation(generator, 39), torch.tensor([39])])
    return [
        Case("a linear layer at each position", drawn("linear")),
        Case("an encoder layer: attention without positions", drawn("attention"), traits=(MIXES,)),
        Case("the same, all positions moved on", (attention, x, turn), traits=(MIXES,)),
        Case("a softmax over the positions", drawn("softmax"), traits=(MIXES,)),
        Case("a number of its own added at each position", drawn("moved")),
        Case("the same, two inner positions exchanged", (functions()["moved"], x, inner)),
        Case("a number added at each position, in the second sentence only",
             (functions()["second moved"], x[:2], turn),
             traits=("the function minds the positions of the second sentence only",)),
        Case("numbers added at each position, then attention", drawn("located")),
        Case("the same number added at each position", drawn("all moved")),
        Case("the same number added at each position, then attention", drawn("all moved, then attention"),
             traits=(MIXES,)),
        Case("a mean of neighbours", drawn("neighbours", length=7)),
        Case("one linear layer over the whole sentence", drawn("whole sentence", batch=1)),
        Case("attention over 40 positions", drawn("attention", batch=8, length=40), traits=(MIXES,)),
        Case("a number added at the last position, others exchanged", (functions()["last moved"], x, exchanged),
             traits=(ALONE,)),
        Case("a number added at the last of 40 positions, others reordered",
             (functions()["last of 40 moved"], normal(generator, 1, 40, D_MODEL), all_but_last), traits=(ALONE,)),
        Case("a number added at the last position, which moves", (functions()["last moved"], x, turn)),
        Case("the positions turned round", (functions()["backwards"], x, turn)),
        Case("numbers added in the last dimension only", drawn("last dimension moved")),
        Case("the first number everywhere, exchanged for an equal one", (functions()["first number"], alike, exchanged),
             traits=("it holds for this x and `order`, and not for others",)),
        Case("the first number everywhere, a larger one by `order`", (functions()["first number"], larger, exchanged),
             traits=(ONE_SIGN,)),
        Case("the first number everywhere, a smaller one by `order`", (functions()["first number"], smaller, exchanged),
             traits=(ONE_SIGN,)),
        Case("two positions exchanged", (attention, x[:, :2], torch.tensor([1, 0])), part=EDGE, traits=(MIXES,)),
        Case("everything becomes zero", drawn("nothing"), part=EDGE, traits=("the result is zero everywhere",)),
        Case("hardly anything added", drawn("hardly moved"), part=EDGE, traits=("the difference is small",)),
        Case("a single position", drawn("one moved", length=1), part=EDGE, traits=("there is a single position",)),
        Case("as many sentences as positions", drawn("moved", batch=LENGTH), part=EDGE,
             traits=("there are as many sentences as positions",)),
    ]  # fmt: skip


EQUIVARIANCE = Exercise(
    number="2.7",
    title="A test for equivariance",
    points=1,
    difficulty=2,
    minutes=10,
    section="§3.5",
    reference=is_equivariant,
    cases=_testing_cases,
    returns=("answer",),
    misconceptions=TESTING,
    hints=(
        "Two ways lead from x to a reordered output: reorder first and then call the function, or call it first and "
        "then reorder. Equivariant means that both arrive at the same.",
        "`x[:, order]` reorders positions and leaves sentences and dimensions alone. The same works on the output.",
        "`return torch.allclose(function(x[:, order]), function(x)[:, order], atol=1e-5)`; to compare with `==` would "
        "fail on rounding.",
    ),
)
