"""Chapter 00's warm-up met by strangers: wrong softmaxes that are in no other table, and unusual right ones. As in
test_chapter_00_warm_up.py.
"""

import functools
import math

import numpy
import torch
from torch import nn


def right(scores, axis=-1):
    exponentials = (scores - scores.amax(axis, keepdim=True)).exp()
    return exponentials / exponentials.sum(axis, keepdim=True)


def by_view(scores):
    rows = scores.view(-1, scores.size(-1))
    exponentials = torch.exp(rows - rows.max(1, keepdim=True).values)
    return (exponentials / exponentials.sum(1, keepdim=True)).view(scores.shape)


def only_numerator_moved(scores):
    return (scores - scores.amax(-1, keepdim=True)).exp() / scores.exp().sum(-1, keepdim=True)


def only_denominator_moved(scores):
    return scores.exp() / (scores - scores.amax(-1, keepdim=True)).exp().sum(-1, keepdim=True)


def largest_of_column(scores):
    exponentials = (scores - scores.amax(0, keepdim=True)).exp()
    return exponentials / exponentials.sum(-1, keepdim=True)


def largest_without_axis(scores):
    exponentials = (scores - scores.amax(-1)).exp()
    return exponentials / exponentials.sum(-1, keepdim=True)


def both_without_axis(scores):
    exponentials = (scores - scores.amax(-1)).exp()
    return exponentials / exponentials.sum(-1)


def max_is_two_things(scores):
    exponentials = torch.exp(scores - scores.max(dim=-1, keepdim=True))
    return exponentials / exponentials.sum(-1, keepdim=True)


def as_matrix(scores):
    exponentials = (scores - scores.amax(-1, keepdim=True)).exp()
    return exponentials / exponentials.sum(-1).reshape(-1, 1)


def axis_put_at_1(scores):
    exponentials = (scores - scores.amax(-1, keepdim=True)).exp()
    return exponentials / exponentials.sum(-1).unsqueeze(1)


def up_to_four_axes(scores):
    assert scores.dim() <= 4, "too many axes"
    return right(scores)


def absent_where_tiny(scores):
    weights = right(scores)
    return torch.where(weights < 1e-6, torch.zeros_like(weights), weights)


def mean_instead_of_largest(scores):
    exponentials = (scores - scores.mean(-1, keepdim=True)).exp()
    return exponentials / exponentials.sum(-1, keepdim=True)


def largest_number_100(scores):
    exponentials = (scores - 100).exp()
    return exponentials / exponentials.sum(-1, keepdim=True)


def of_absolute_largest(scores):
    exponentials = (scores - scores.abs().amax(-1, keepdim=True)).exp()
    return exponentials / exponentials.sum(-1, keepdim=True)


def sum_detached(scores):
    exponentials = (scores - scores.amax(-1, keepdim=True)).exp()
    return exponentials / exponentials.sum(-1, keepdim=True).detach()


def in_a_new_tensor(scores):
    weights = torch.zeros(scores.shape)
    weights[...] = right(scores)
    return weights


def twice(scores):
    return right(right(scores))


def last_score_left_out(scores):
    exponentials = (scores - scores.amax(-1, keepdim=True)).exp()
    return exponentials / exponentials[..., :-1].sum(-1, keepdim=True)


class Counting:
    """Right the first three times."""

    calls = 0

    def __call__(self, scores):
        self.calls += 1
        return right(scores) if self.calls <= 3 else right(scores) / 2


def by_shape(scores, known={}):  # noqa: B006 (that is what is wrong with it)
    return known.setdefault(scores.shape, right(scores))


def doubling(scores):
    scores *= 1.0
    scores[..., 0] += 0.0
    return right(scores.mul_(1.5).div_(1.5).add_(0.3))


WRONG_0_1 = {
    "rows by view": (by_view, "view size is not compatible"),
    "largest subtracted above only": (only_numerator_moved, "and not below it"),
    "largest subtracted below only": (only_denominator_moved, "and not above it"),
    "largest of each column": (largest_of_column, "each column"),
    "axis of the largest lost": (largest_without_axis, "The largest score of each row has lost"),
    "both axes lost": (both_without_axis, "have both lost"),
    "max with an axis gives two things": (max_is_two_things, "and their places"),
    "sums as a column": (as_matrix, None),
    "sums with a new axis 1": (axis_put_at_1, "stands at 1"),
    "up to four axes": (up_to_four_axes, "there are five axes"),
    "tiny weights cut off": (absent_where_tiny, "some weights are tiny"),
    "mean subtracted": (mean_instead_of_largest, None),
    "a fixed number subtracted": (largest_number_100, None),
    "largest absolute score": (of_absolute_largest, None),
    "gradient of the sum cut": (sum_detached, "gradient"),
    "written into float32": (in_a_new_tensor, "float64"),
    "softmax of the softmax": (twice, None),
    "last score left out of the sum": (last_score_left_out, None),
    "right three times": (Counting(), None),
    "kept by shape": (by_shape, None),
    "rounded": (lambda s: right(s).round(decimals=4), None),
    "epsilon of 1e-6": (
        lambda s: (e := (s - s.amax(-1, keepdim=True)).exp()) / (e.sum(-1, keepdim=True) + 1e-6),
        "a small number is added",
    ),
    "input moved": (doubling, None),
    "noise": (lambda s: right(s + 0.01 * torch.randn_like(s)), None),
    "random": (lambda s: right(torch.rand_like(s)), None),
    "complex": (lambda s: right(s).to(torch.complex64), "dtype"),
    "over all axes but the first": (
        lambda s: (e := s.exp()) / e.sum(dim=tuple(range(1, s.dim())) or -1, keepdim=True),
        None,
    ),
    "clamped below": (lambda s: right(s.clamp(min=-20)), None),
    "half precision": (lambda s: right(s.half()).to(s.dtype), None),
    "nested list": (lambda s: [right(row) for row in s], "Tensor"),
    "NaN": (lambda s: right(s) * math.nan, "NaN"),
    "generator": (lambda s: (row for row in right(s)), "generator"),
    "special.softmax": (lambda s: torch.special.softmax(s, -1), "written out"),
    "torch._softmax": (lambda s: torch._softmax(s, -1, False), "written out"),
    "nn.Softmin": (lambda s: nn.Softmin(dim=-1)(-s), "written out"),
}


def by_gradient(scores):
    """The gradient of log Σ exp is the softmax."""
    with torch.enable_grad():
        total = torch.func.grad(lambda s: torch.logsumexp(s, -1).sum())
        return total(scores)


def pairwise_sums(scores):
    total = scores[..., :1]
    for column in range(1, scores.size(-1)):
        total = torch.logaddexp(total, scores[..., column : column + 1])
    return torch.exp(scores - total)


def through_float64_and_back(scores: torch.Tensor, *, dtype: torch.dtype | None = None) -> torch.Tensor:
    wide = scores.to(torch.float64)
    wide = wide - torch.max(wide, dim=-1, keepdim=True)[0]
    return torch.div(torch.exp(wide), torch.sum(torch.exp(wide), -1, True)).to(dtype or scores.dtype)


def matrix_of_ones(scores):
    exponentials = (scores - scores.max(-1).values[..., None]).exp()
    ones = exponentials.new_ones(scores.size(-1), scores.size(-1))
    return exponentials * (exponentials.unsqueeze(-2) @ ones).squeeze(-2).reciprocal()


def with_temperature(temperature, scores):
    return right(scores / temperature)


class Warm:
    @staticmethod
    def softmax(scores):
        return right(scores)


class AsFunction(torch.autograd.Function):
    """With a gradient of its own."""

    @staticmethod
    def forward(ctx, scores):
        weights = right(scores)
        ctx.save_for_backward(weights)
        return weights

    @staticmethod
    def backward(ctx, gradient):
        (weights,) = ctx.saved_tensors
        return weights * (gradient - (weights * gradient).sum(-1, keepdim=True))


RIGHT_0_1 = {
    "by logaddexp": pairwise_sums,
    "float64 and back, keyword only": through_float64_and_back,
    "matrix of ones": matrix_of_ones,
    "partial": functools.partial(with_temperature, 1.0),
    "static method": Warm.softmax,
    "own autograd function": AsFunction.apply,
    "lru_cache": functools.lru_cache(maxsize=None)(right),
    "exp2": lambda s: (e := torch.exp2((s - s.amax(-1, keepdim=True)) * numpy.log2(numpy.e))) / e.sum(-1, keepdim=True),
    "NumPy's constant": lambda s: (e := numpy.e ** (s - s.amax(-1, keepdim=True))) / e.sum(-1)[..., None],
    "turned axes": lambda s: right(s.transpose(0, -1), 0).transpose(0, -1),
    "gradient of logsumexp": by_gradient,
}

WRONG = {"0.1": WRONG_0_1}
RIGHT = {"0.1": RIGHT_0_1}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
