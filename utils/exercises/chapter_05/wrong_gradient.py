"""What goes wrong with the gradient through layer norm (chapter 05), and what puts it right."""

from collections.abc import Callable

from torch import Tensor

from utils.exercises.chapter_05.wrong_layer_norm import standardised
from utils.exercises.declare import Misconception


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


def epsilon_outside(x, gradient, gain, epsilon=1e-5):
    centred = x - mean(x)
    deviation = mean(centred.square()).sqrt() + epsilon
    return right_formula(gradient * gain, centred / deviation, deviation)


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


def over_everything(x, gradient, gain, epsilon=1e-5):
    deviation = (x.var(unbiased=False) + epsilon).sqrt()
    inner, normalised = gradient * gain, standardised(x, tuple(range(x.dim())), epsilon)
    return (inner - inner.mean() - (inner * normalised).mean() * normalised) / deviation


WHOLE = " runs over the whole tensor. Each position was normalised by itself: `dim=-1, keepdim=True`."

LAYER_NORM_GRADIENT = (
    Misconception(
        "no keepdim",
        passing_back(lambda i, n, d: (i - i.mean(-1) - (i * n).mean(-1) * n) / d),
        "`keepdim=True` is missing at a mean or at the deviation: over the last axis of (2, 4) it has the shape (2,), "
        "and broadcasting lines these 2 up with the 4 features. With `keepdim=True` it is (2, 1), one a position.",
    ),
    Misconception(
        "both means over everything",
        passing_back(lambda i, n, d: (i - i.mean() - (i * n).mean() * n) / d),
        "Each of your two means" + WHOLE,
    ),
    Misconception(
        "everything over everything",
        over_everything,
        "Your mean and deviation of x, and the two means of the gradient: each" + WHOLE,
    ),
    Misconception(
        "mean(g) over everything",
        passing_back(lambda i, n, d: (i - i.mean() - along(i, n)) / d),
        "Your mean of g" + WHOLE,
    ),
    Misconception(
        "mean(g · h) over everything",
        passing_back(lambda i, n, d: (i - mean(i) - (i * n).mean() * n) / d),
        "Your mean of g · h" + WHOLE,
    ),
    Misconception(
        "mean(g) added",
        passing_back(lambda i, n, d: (i + mean(i) - along(i, n)) / d),
        "You add mean(g); it is subtracted: the −1/d in ∂h_i / ∂x_j is its sign.",
    ),
    Misconception(
        "mean(g · h) · h added",
        passing_back(lambda i, n, d: (i - mean(i) + along(i, n)) / d),
        "You add mean(g · h) · h; it is subtracted: the −h_i h_j / d in ∂h_i / ∂x_j is its sign.",
    ),
    Misconception(
        "mean(g · h) without h",
        passing_back(lambda i, n, d: (i - mean(i) - mean(i * n)) / d),
        "You subtract mean(g · h) as it is. In h_i h_j / d the sum over i leaves h_j standing: mean(g · h) · h.",
    ),
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
        "divided by the variance",
        passing_back(lambda i, n, d: (i - mean(i) - along(i, n)) / d.square()),
        "You divide by the variance. h = (x − mean) / σ, so dh/dx carries a factor 1/σ, and σ is its root.",
    ),
    Misconception(
        "ε outside the root",
        epsilon_outside,
        "You add ε to the standard deviation. The forward pass divides by √(variance + ε), with ε under the root, so "
        "the way back does too.",
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
        "Your means run over another axis than the last. Each position was normalised by itself, so its gradient mixes "
        "its own features only: dim=-1, keepdim=True.",
    ),
)
