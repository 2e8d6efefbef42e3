"""What goes wrong with layer norm (chapter 05), and what puts it right."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from utils.exercises.declare import Misconception
from utils.transformer import LayerNorm


def norming(formula: Callable[[LayerNorm, Tensor], Tensor]) -> type[LayerNorm]:
    """A wrong answer to 5.1: layer norm with another forward."""

    class Wrong(LayerNorm):
        def forward(self, x: Tensor) -> Tensor:
            return formula(self, x)

    return Wrong


def standardised(x: Tensor, dim, epsilon: float, unbiased: bool = False) -> Tensor:
    """(x − mean) / √(variance + ε) over some axes."""
    centred = x - x.mean(dim=dim, keepdim=True)
    return centred / (x.var(dim=dim, keepdim=True, unbiased=unbiased) + epsilon).sqrt()


def squares_less_square(norm: LayerNorm, x: Tensor) -> Tensor:
    mean = x.mean(-1, keepdim=True)
    variance = x.square().mean(-1, keepdim=True) - mean.square()
    return (x - mean) / (variance + norm.epsilon).sqrt() * norm.gain + norm.bias


def other_start(gain: float, bias: float) -> type[LayerNorm]:
    class Wrong(LayerNorm):
        def __init__(self, d_model: int, epsilon: float = 1e-5) -> None:
            super().__init__(d_model, epsilon)
            nn.init.constant_(self.gain, gain)
            nn.init.constant_(self.bias, bias)

    return Wrong


def other_default(epsilon_by_default: float) -> type[LayerNorm]:
    class Wrong(LayerNorm):
        def __init__(self, d_model: int, epsilon: float = epsilon_by_default) -> None:
            super().__init__(d_model, epsilon)

    return Wrong


class Learning(nn.Module):
    """Layer norm that learns what stands in `parts`, "gain" or "bias", and keeps the rest as plain tensors."""

    parts: tuple[str, ...] = ()

    def __init__(self, d_model: int, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.epsilon = epsilon
        for name, start in (("gain", torch.ones(d_model)), ("bias", torch.zeros(d_model))):
            setattr(self, name, nn.Parameter(start) if name in self.parts else start)

    def forward(self, x: Tensor) -> Tensor:
        return standardised(x, -1, self.epsilon) * self.gain + self.bias


class BiasAlone(Learning):
    parts = ("bias",)


class GainAlone(Learning):
    parts = ("gain",)


class OneNumberEach(LayerNorm):
    def __init__(self, d_model: int, epsilon: float = 1e-5) -> None:
        super().__init__(1, epsilon)


class RandomGain(LayerNorm):
    def __init__(self, d_model: int, epsilon: float = 1e-5) -> None:
        super().__init__(d_model, epsilon)
        self.gain = nn.Parameter(torch.randn(d_model))


PARAMETER = (
    "`nn.Parameter(torch.{}(d_model))` makes one; no optimiser sees a plain tensor, and no `.to(device)` moves it."
)

LAYER_NORM = (
    Misconception(
        "no keepdim",
        norming(lambda n, x: (x - x.mean(-1)) / (x.var(-1, unbiased=False) + n.epsilon).sqrt() * n.gain + n.bias),
        "`keepdim=True` is missing at a mean or a variance: over the last axis of (2, 4) it has the shape (2,), and "
        "broadcasting lines these 2 up with the 4 features. With `keepdim=True` it is (2, 1), one for each position.",
    ),
    Misconception(
        "no gain",
        BiasAlone,
        "Your module learns a bias and no gain. " + PARAMETER.format("ones"),
    ),
    Misconception(
        "no bias",
        GainAlone,
        "Your module learns a gain and no bias. " + PARAMETER.format("zeros"),
    ),
    Misconception(
        "nothing learnt",
        Learning,
        "Your module has nothing to learn: gain and bias are parameters. " + PARAMETER.format("ones"),
    ),
    Misconception(
        "one number each",
        OneNumberEach,
        "Your gain and bias are one number each. They are vectors: each of the d_model features has its own.",
    ),
    Misconception(
        "gain forgotten",
        norming(lambda n, x: standardised(x, -1, n.epsilon) + n.bias),
        "Your module has a gain and does not use it: normalised · gain + bias.",
    ),
    Misconception(
        "bias forgotten",
        norming(lambda n, x: standardised(x, -1, n.epsilon) * n.gain),
        "Your module has a bias and does not use it: normalised · gain + bias.",
    ),
    Misconception(
        "gain starts at random",
        RandomGain,
        "Your gain starts at random numbers. It starts at 1, so that a new layer norm gives the normalised numbers.",
    ),
    Misconception(
        "unbiased variance",
        norming(lambda n, x: standardised(x, -1, n.epsilon, unbiased=True) * n.gain + n.bias),
        "Your variance divides by d_model − 1, the default of `var` and `std`. Layer norm describes these d_model "
        "numbers and estimates nothing: it divides by d_model. At width 4 the difference is 13 % of the output.",
    ),
    Misconception(
        "unbiased deviation, ε outside",
        norming(lambda n, x: (x - x.mean(-1, True)) / (x.std(-1, keepdim=True) + n.epsilon) * n.gain + n.bias),
        "Two things at once: `std` divides by d_model − 1 unless told otherwise (`unbiased=False`), and ε belongs "
        "under the root, with the variance.",
    ),
    Misconception(
        "ε outside the root",
        norming(
            lambda n, x: (
                (x - x.mean(-1, True)) / (x.std(-1, keepdim=True, unbiased=False) + n.epsilon) * n.gain + n.bias
            )
        ),
        "You add ε to the standard deviation. It belongs under the root: √(variance + ε). With small inputs that is a "
        "different number, and where the variance is 0 the gradient of a bare root is infinite.",
    ),
    Misconception(
        "no ε",
        norming(lambda n, x: standardised(x, -1, 0.0) * n.gain + n.bias),
        "ε is missing: a position whose numbers are all equal has variance 0, and 0/0 is NaN.",
        everywhere=True,
    ),
    Misconception(
        "ε as a lower bound",
        norming(
            lambda n, x: (
                (x - x.mean(-1, True)) / x.std(-1, keepdim=True, unbiased=False).clamp(min=n.epsilon) * n.gain + n.bias
            )
        ),
        "Where the variance is not 0 your ε plays no part. It is added under the root everywhere: √(variance + ε).",
    ),
    Misconception(
        "ε is 1e-6 by default",
        other_default(1e-6),
        "Your ε is 1e-6 when nothing is said. Asked for is 1e-5, `epsilon=1e-5`.",
    ),
    Misconception(
        "ε is 1e-3 by default",
        other_default(1e-3),
        "Your ε is 1e-3 when nothing is said. Asked for is 1e-5, `epsilon=1e-5`.",
    ),
    Misconception(
        "ε not from the constructor",
        norming(lambda n, x: standardised(x, -1, 1e-5) * n.gain + n.bias),
        "Your ε is always 1e-5. Keep the one that the constructor is given: `self.epsilon = epsilon`.",
    ),
    Misconception(
        "divided by the variance",
        norming(
            lambda n, x: (
                (x - x.mean(-1, True)) / (x.var(-1, keepdim=True, unbiased=False) + n.epsilon) * n.gain + n.bias
            )
        ),
        "You divide by the variance, so the result's own spread is 1/σ. The root is missing.",
    ),
    Misconception(
        "not centred",
        norming(lambda n, x: x / (x.var(-1, keepdim=True, unbiased=False) + n.epsilon).sqrt() * n.gain + n.bias),
        "You divide by the standard deviation and do not subtract the mean first.",
    ),
    Misconception(
        "over the batch",
        norming(lambda n, x: standardised(x, 0, n.epsilon) * n.gain + n.bias),
        "You average over the first axis: each feature over all sentences. That is the idea of batch norm. Layer norm "
        "takes one position at a time and averages over its features: dim=-1.",
    ),
    Misconception(
        "over all but the features",
        norming(lambda n, x: standardised(x, tuple(range(x.dim() - 1)), n.epsilon) * n.gain + n.bias),
        "You average each feature over all sentences and positions: that is batch norm. Layer norm takes one position "
        "at a time and averages over its features: dim=-1.",
    ),
    Misconception(
        "over positions and features",
        norming(lambda n, x: standardised(x, (-2, -1) if x.dim() > 1 else -1, n.epsilon) * n.gain + n.bias),
        "You average over the positions as well. Each position has a mean and a variance of its own: dim=-1 alone.",
    ),
    Misconception(
        "over everything",
        norming(lambda n, x: standardised(x, tuple(range(x.dim())), n.epsilon) * n.gain + n.bias),
        "You take one mean and one variance of the whole tensor: `dim=-1, keepdim=True` is missing.",
    ),
    Misconception(
        "bias before gain",
        norming(lambda n, x: (standardised(x, -1, n.epsilon) + n.bias) * n.gain),
        "You add the bias first and multiply both by the gain. The gain comes first: normalised · gain + bias.",
    ),
    Misconception(
        "gain and bias unused",
        norming(lambda n, x: standardised(x, -1, n.epsilon)),
        "Your module has a gain and a bias and does not use them: normalised · gain + bias.",
    ),
    Misconception(
        "gain starts at zero",
        other_start(0.0, 0.0),
        "Your gain starts at 0, so a new layer norm gives nothing but zeros, and no gradient passes. It starts at 1.",
    ),
    Misconception(
        "bias starts at one",
        other_start(1.0, 1.0),
        "Your bias starts at 1. It starts at 0, so that a new layer norm gives the normalised numbers.",
    ),
    Misconception(
        "mean of squares less square of the mean",
        norming(squares_less_square),
        "On paper the variance is mean(x²) − mean(x)². In float32 these are two large numbers whose difference has "
        "lost its digits when the mean is far from 0. Subtract the mean first, then square.",
    ),
)
