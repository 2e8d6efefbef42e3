"""Chapter 00's warm-up from outside: plausible wrong softmaxes that no misconception was written for, and unusual
right ones.

Each wrong answer comes with words that its explanation must contain, or None where a plain "not the expected numbers"
is all that is asked of the check.
"""

import math

import numpy
import torch
import torch.nn.functional as F
from torch import nn

from utils.exercises import questions


def right(scores):
    exponentials = torch.exp(scores - scores.max(dim=-1, keepdim=True).values)
    return exponentials / exponentials.sum(-1, keepdim=True)


def in_a_loop(scores):
    weights = torch.zeros(scores.shape)
    for row in range(scores.size(0)):
        weights[row] = right(scores[row])
    return weights


def flattened(scores):
    return right(scores.flatten()).view_as(scores)


def from_numbers(scores):
    exponentials = [math.exp(score) for score in scores.flatten().tolist()]
    return torch.tensor(exponentials).view_as(scores) / sum(exponentials)


def in_numpy(scores):
    exponentials = numpy.exp(scores.numpy() - scores.numpy().max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def writes_into_scores(scores):
    return scores.sub_(scores.amax(-1, keepdim=True)).exp_().div_(scores.sum(-1, keepdim=True))


def square_only(scores):
    exponentials = (scores.mT - scores.amax(-1)).exp()
    return (exponentials / exponentials.sum(0)).mT


def hidden_scores_dropped(scores):
    return right(scores.nan_to_num(neginf=0.0))


WRONG_0_1 = {
    "scaled": (lambda s: right(s / math.sqrt(s.size(-1))), None),
    "doubled": (lambda s: right(2 * s), None),
    "sign": (lambda s: right(-s), None),
    "base two": (lambda s: 2**s / (2**s).sum(-1, keepdim=True), None),
    "sum to the width": (lambda s: right(s) * s.size(-1), None),
    "half the weights": (lambda s: right(s) / 2, "0.5 times"),
    "smoothed": (lambda s: right(s) + 1e-3, None),
    "epsilon below": (lambda s: (e := s.exp()) / (e.sum(-1, keepdim=True) + 1e-9), "infinite in float32"),
    "squares": (lambda s: s**2 / (s**2).sum(-1, keepdim=True), None),
    "absolute scores": (lambda s: s.abs() / s.abs().sum(-1, keepdim=True), None),
    "relu": (lambda s: s.relu() / s.relu().sum(-1, keepdim=True), None),
    "mean subtracted": (lambda s: right((s - s.mean(-1, keepdim=True)).clamp(max=5)), None),
    "smallest subtracted": (
        lambda s: (e := (s - s.amin(-1, keepdim=True)).exp()) / e.sum(-1, keepdim=True),
        None,
    ),
    "clamped": (lambda s: (e := s.clamp(max=80).exp()) / e.sum(-1, keepdim=True), "overflows"),
    "hides NaN": (lambda s: (s.exp() / s.exp().sum(-1, keepdim=True)).nan_to_num(0.0), "overflows"),
    "divided by the largest": (lambda s: (e := right(s)) / e.amax(-1, keepdim=True), "by the row's sum is missing"),
    "mean in place of sum": (
        lambda s: (e := (s - s.amax(-1, keepdim=True)).exp()) / e.mean(-1, keepdim=True),
        None,
    ),
    "flattened": (flattened, "over the whole tensor"),
    "loop over the first axis": (in_a_loop, None),
    "loop over numbers": (from_numbers, None),
    "NumPy": (in_numpy, "Stay with torch"),
    "list": (lambda s: right(s).tolist(), "Tensor"),
    "float64": (lambda s: right(s.double()), "float64"),
    "float32": (lambda s: right(s.float()), "float32"),
    "detached": (lambda s: right(s.detach()), "`scores`"),
    "in place": (writes_into_scores, None),
    "works on squares only": (square_only, None),
    "transposed": (lambda s: right(s).transpose(-1, -2) if s.dim() > 1 else right(s), None),
    "axis dropped": (lambda s: right(s).sum(-1), "shape"),
    "another axis": (lambda s: right(s).unsqueeze(0), "shape"),
    "as if −∞ were 0": (hidden_scores_dropped, "a score is −∞"),
    "as learnt by heart": (lambda s: torch.tensor([0.665, 0.245, 0.09]), "shape"),
    "uniform": (lambda s: torch.full_like(s, 1 / s.size(-1)), "whatever `scores` is"),
    "with weights": (lambda s: (right(s), s), "Tensor"),
    "an axis too many asked for": (lambda s, dim: right(s), "parameters"),
    "method": (lambda s: s.softmax(-1), "written out"),
    "torch.softmax": (lambda s: torch.softmax(s, -1), "written out"),
    "F.softmax": (lambda s: F.softmax(s, dim=-1), "written out"),
    "by its logarithm": (lambda s: F.log_softmax(s, dim=-1).exp(), "written out"),
    "nn.Softmax": (lambda s: nn.Softmax(dim=-1)(s), "written out"),
    "fetched by name": (lambda s: getattr(s, "softmax")(-1), "written out"),  # noqa: B009
    "softmin of the negative": (lambda s: F.softmin(-s, dim=-1), "written out"),
    "nothing": (lambda s: None, "return"),
    "number": (lambda s: 1.0, "Tensor"),
    "raises": (lambda s: right(s, -1), "TypeError"),
}


def by_rows(scores):
    if scores.dim() == 1:
        exponentials = [(score - scores.max()).exp() for score in scores]
        return torch.stack([exponential / sum(exponentials) for exponential in exponentials])
    return torch.stack([by_rows(row) for row in scores])


def by_pairs(scores):
    """1 / Σ_j exp(s_j − s_i): no exponential is ever divided by another."""
    return 1 / (scores.unsqueeze(-2) - scores.unsqueeze(-1)).nan_to_num(nan=0.0).exp().sum(-1)


def largest_from_sorting(scores, dim=-1):
    largest = scores.sort(dim=dim, descending=True).values.narrow(dim, 0, 1)
    exponentials = torch.e ** (scores - largest)
    return exponentials / exponentials.sum(dim, keepdim=True)


def einsum(scores):
    exponentials = (scores - scores.max(-1, keepdim=True)[0].detach()).exp()
    return torch.einsum("...i,...->...i", exponentials, 1 / torch.einsum("...i->...", exponentials))


def axis_in_front(scores):
    turned = scores.movedim(-1, 0)
    exponentials = (turned - turned.amax(0)).exp()
    return (exponentials / exponentials.sum(0)).movedim(0, -1)


class Softmax:
    """An object that is called, with its axis kept in it."""

    def __call__(self, scores):
        return right(scores)


RIGHT_0_1 = {
    "by rows": by_rows,
    "by logsumexp": lambda s: (s - torch.logsumexp(s, dim=-1, keepdim=True)).exp(),
    "sorted, extra keyword": largest_from_sorting,
    "einsum": einsum,
    "axis moved to the front": axis_in_front,
    "float64 inside": lambda s: right(s.double()).to(s.dtype),
    "in place on a copy": lambda s: (e := (s.clone() - s.amax(-1, keepdim=True)).exp()).div(e.sum(-1).unsqueeze(-1)),
    "1000 below": lambda s: right(s - 7.0),
    "an object": Softmax(),
}


WRONG = {"0.1": WRONG_0_1}
RIGHT = {"0.1": RIGHT_0_1}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)


def test_letters_of_right_answers_differ():
    """Nobody shall learn that b is always right."""
    assert len({[option.right for option in question.options].index(True) for question in questions(0)}) == 3
