"""What goes wrong with layer norm and its gradient (chapter 05), and what puts it right."""

from collections.abc import Callable

from torch import Tensor, nn

from utils.exercises.declare import Misconception
from utils.transformer import LayerNorm

# 5.1, the module ──────────────────────────────────────────────────────────────────────────────────────────────────


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


LAYER_NORM = (
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
        "mean of squares less square of the mean",
        norming(squares_less_square),
        "On paper the variance is mean(x²) − mean(x)². In float32 these are two large numbers whose difference has "
        "lost its digits when the mean is far from 0. Subtract the mean first, then square.",
    ),
)


# 5.2, the gradient ────────────────────────────────────────────────────────────────────────────────────────────────


def passing_back(formula: Callable[[Tensor, Tensor, Tensor], Tensor], with_gain: bool = True) -> Callable:
    """A wrong answer to 5.2. The formula gets inner gradient, normalised input and deviation."""

    def answer(x: Tensor, gradient: Tensor, gain: Tensor, epsilon: float = 1e-5) -> Tensor:
        centred = x - x.mean(dim=-1, keepdim=True)
        deviation = (centred.square().mean(dim=-1, keepdim=True) + epsilon).sqrt()
        return formula(gradient * gain if with_gain else gradient, centred / deviation, deviation)

    return answer


def mean(x: Tensor) -> Tensor:
    return x.mean(dim=-1, keepdim=True)


def along(inner: Tensor, normalised: Tensor) -> Tensor:
    return mean(inner * normalised) * normalised


def right_formula(inner: Tensor, normalised: Tensor, deviation: Tensor) -> Tensor:
    return (inner - mean(inner) - along(inner, normalised)) / deviation


def gain_at_the_end(x, gradient, gain, epsilon=1e-5):
    return passing_back(right_formula, with_gain=False)(x, gradient, gain, epsilon) * gain


def epsilon_forgotten(x, gradient, gain, epsilon=1e-5):
    return passing_back(right_formula)(x, gradient, gain, 0.0)


def centred_for_normalised(x, gradient, gain, epsilon=1e-5):
    centred = x - mean(x)
    deviation = (mean(centred.square()) + epsilon).sqrt()
    return right_formula(gradient * gain, centred, deviation)


def over_the_batch(x, gradient, gain, epsilon=1e-5):
    formula = passing_back(lambda i, n, d: (i - i.mean(0, True) - (i * n).mean(0, True) * n) / d)
    return formula(x, gradient, gain, epsilon)


def unbiased_deviation(x, gradient, gain, epsilon=1e-5):
    deviation = (x.var(dim=-1, keepdim=True) + epsilon).sqrt()
    return right_formula(gradient * gain, (x - mean(x)) / deviation, deviation)


LAYER_NORM_GRADIENT = (
    Misconception(
        "mean and variance held fixed",
        passing_back(lambda inner, normalised, deviation: inner / deviation),
        "You treat mean and variance as constants. They are made of x too: moving one of its numbers moves the mean "
        "and the deviation, and with them all d_model outputs. Two terms are to be subtracted.",
    ),
    Misconception(
        "variance held fixed",
        passing_back(lambda inner, normalised, deviation: (inner - mean(inner)) / deviation),
        "The mean's share is there, the deviation's is not: σ depends on x as well. Subtract mean(g · h) · h too, with "
        "h the normalised input.",
    ),
    Misconception(
        "mean held fixed",
        passing_back(lambda inner, normalised, deviation: (inner - along(inner, normalised)) / deviation),
        "The deviation's share is there, the mean's is not: subtract mean(g) too.",
    ),
    Misconception(
        "no gain",
        passing_back(right_formula, with_gain=False),
        "The gain is missing: what reaches the normalised numbers is gradient · gain.",
    ),
    Misconception(
        "gain at the end",
        gain_at_the_end,
        "You multiply by the gain at the end. On the way back it is met first: g = gradient · gain, and both means "
        "are taken of that g.",
    ),
    Misconception(
        "sums in place of means",
        passing_back(lambda i, n, d: (i - i.sum(-1, True) - (i * n).sum(-1, True) * n) / d),
        "You sum where a mean is taken: each x contributes a 1/d_model-th to the mean and to the variance.",
    ),
    Misconception(
        "terms added",
        passing_back(lambda i, n, d: (i + mean(i) + along(i, n)) / d),
        "Both terms are subtracted: they take out of the gradient what shifting or stretching x would do, which layer "
        "norm undoes.",
    ),
    Misconception(
        "not divided by the deviation",
        passing_back(lambda i, n, d: i - mean(i) - along(i, n)),
        "The division by the deviation is missing: h = (x − mean) / σ, so dh/dx carries a factor 1/σ.",
    ),
    Misconception(
        "multiplied by the deviation",
        passing_back(lambda i, n, d: (i - mean(i) - along(i, n)) * d),
        "You multiply by the deviation. h = (x − mean) / σ, so its derivative is divided by σ.",
    ),
    Misconception(
        "centred for normalised",
        centred_for_normalised,
        "In the last term you use x − mean where h = (x − mean) / σ belongs.",
    ),
    Misconception(
        "ε not from the argument",
        lambda x, gradient, gain, epsilon=1e-5: passing_back(right_formula)(x, gradient, gain),
        "Your ε is always 1e-5. Use the argument `epsilon`.",
    ),
    Misconception(
        "ε forgotten",
        epsilon_forgotten,
        "Your σ is √variance, without ε: the forward pass divides by √(variance + ε), so the way back does too.",
    ),
    Misconception(
        "unbiased",
        unbiased_deviation,
        "`var` and `std` divide by d_model − 1 unless told otherwise: `unbiased=False`, as in the forward pass.",
    ),
    Misconception(
        "over the batch",
        over_the_batch,
        "Your means run over the first axis. Each position was normalised by itself, so its gradient mixes its own "
        "features only: dim=-1, keepdim=True.",
    ),
)
