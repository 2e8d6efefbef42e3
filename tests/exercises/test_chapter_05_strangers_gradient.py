"""Chapter 05, the gradient through layer norm: answers as strangers would hand them in, wrong and right,
which no misconception was written after. Each wrong answer comes with words that its report must hold, or None.
"""

import functools

import torch

from utils.exercises import examine, exercise

# 5.2 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def parts(x, gradient, gain, epsilon=1e-5):
    centred = x - x.mean(-1, keepdim=True)
    sigma = (centred.pow(2).mean(-1, keepdim=True) + epsilon).sqrt()
    return gradient * gain, centred / sigma, sigma


def right(x, gradient, gain, epsilon=1e-5):
    g, h, sigma = parts(x, gradient, gain, epsilon)
    return (g - g.mean(-1, True) - h * (g * h).mean(-1, True)) / sigma


def formed(formula):
    return lambda x, gradient, gain, epsilon=1e-5: formula(*parts(x, gradient, gain, epsilon))


def of_rms_norm(x, gradient, gain, epsilon=1e-5):
    sigma = (x.square().mean(-1, True) + epsilon).sqrt()
    h, g = x / sigma, gradient * gain
    return (g - h * (g * h).mean(-1, True)) / sigma


def epsilon_outside(x, gradient, gain, epsilon=1e-5):
    centred = x - x.mean(-1, True)
    sigma = centred.square().mean(-1, True).sqrt() + epsilon
    g, h = gradient * gain, centred / sigma
    return (g - g.mean(-1, True) - h * (g * h).mean(-1, True)) / sigma


def of_gain(x, gradient, gain, epsilon=1e-5):
    _, h, _ = parts(x, gradient, gain, epsilon)
    return (gradient * h).sum(tuple(range(x.dim() - 1)))


def two_dimensions(x, gradient, gain, epsilon=1e-5):
    out = torch.zeros_like(x)
    for row in range(x.shape[0]):
        out[row] = right(x[row], gradient[row], gain, epsilon) if x.dim() == 2 else 0
    return out


def off_the_end(x, gradient, gain, epsilon=1e-5):
    """The loop over features leaves out the last."""
    g, h, sigma = parts(x, gradient, gain, epsilon)
    d = x.size(-1)
    total = sum(g[..., i : i + 1] for i in range(d - 1))
    return (g - total / d - h * (g * h).mean(-1, True)) / sigma


def by_differences(x, gradient, gain, epsilon=1e-5):
    """Finite differences, in the precision that comes."""
    step, out = 1e-3, torch.zeros_like(x)
    for i in range(x.size(-1)):
        moved = torch.zeros_like(x)
        moved[..., i] = step
        up, down = (parts(x + s * moved, gradient, gain, epsilon)[1] * gain for s in (1, -1))
        out[..., i] = ((up - down) * gradient).sum(-1) / (2 * step)
    return out


WRONG_5_2 = {
    "of RMSNorm": (of_rms_norm, None),
    "ε outside the root": (epsilon_outside, "You add ε to the standard deviation"),
    "the gain's gradient": (of_gain, "shape"),
    "two axes only": (two_dimensions, None),
    "last feature left out": (off_the_end, None),
    "finite differences": (by_differences, None),
    "x and gradient exchanged": (lambda x, gradient, gain, epsilon=1e-5: right(gradient, x, gain, epsilon), None),
    "gain divided out": (lambda x, g, gain, epsilon=1e-5: right(x, g, gain, epsilon) / gain, None),
    "gain in the forward pass too": (lambda x, g, gain, epsilon=1e-5: right(x * gain, g, gain, epsilon), None),
    "gain twice": (lambda x, g, gain, epsilon=1e-5: right(x, g, gain, epsilon) * gain, None),
    "gain added": (lambda x, g, gain, epsilon=1e-5: right(x, g + gain, torch.ones_like(gain), epsilon), None),
    "gain's mean": (lambda x, g, gain, epsilon=1e-5: right(x, g, gain.mean(), epsilon), None),
    "no h in the product": (formed(lambda g, h, s: (g - g.mean(-1, True) - h * g.mean(-1, True)) / s), None),
    "h squared": (formed(lambda g, h, s: (g - g.mean(-1, True) - h * h * (g * h).mean(-1, True)) / s), None),
    "only half divided": (formed(lambda g, h, s: g / s - g.mean(-1, True) - h * (g * h).mean(-1, True)), None),
    "sum of g only": (formed(lambda g, h, s: (g - g.sum(-1, True) - h * (g * h).mean(-1, True)) / s), None),
    "d − 1 in the means": (
        formed(lambda g, h, s: (g - (g.sum(-1, True) + h * (g * h).sum(-1, True)) / max(g.size(-1) - 1, 1)) / s),
        None,
    ),
    "centred for normalised in one place": (
        formed(lambda g, h, s: (g - g.mean(-1, True) - h * (g * h * s).mean(-1, True)) / s),
        None,
    ),
    "divided by the variance": (
        formed(lambda g, h, s: (g - g.mean(-1, True) - h * (g * h).mean(-1, True)) / s / s),
        "You divide by the variance",
    ),
    "second axis": (
        formed(lambda g, h, s: (g - g.mean(g.dim() - 2, True) - h * (g * h).mean(g.dim() - 2, True)) / s),
        "Your means run over another axis than the last",
    ),
    "mean of |g|": (formed(lambda g, h, s: (g - g.abs().mean(-1, True) - h * (g * h).mean(-1, True)) / s), None),
    "ε swallowed": (lambda x, gradient, gain, epsilon=1e-5, **more: right(x, gradient, gain, 1e-6), None),
    "gradient changed": (
        lambda x, gradient, gain, epsilon=1e-5: right(x, gradient.mul_(gain), 1.0, epsilon),
        "`gradient`",
    ),
    "complex": (lambda *a, **k: right(*a, **k).to(torch.complex64), "dtype"),
}


def explicitly(x, gradient, gain, epsilon=1e-5):
    """Through the d × d matrix of each position, as the text has it."""
    g, h, sigma = parts(x, gradient, gain, epsilon)
    d = x.shape[-1]
    matrix = torch.eye(d, dtype=x.dtype) - 1 / d - torch.einsum("...i,...j->...ij", h, h) / d
    return torch.einsum("...i,...ij->...j", g, matrix) / sigma


def through_numpy_5_2(x, gradient, gain, epsilon=1e-5):
    g, h, sigma = (part.numpy() for part in parts(x, gradient, gain, epsilon))
    found = (g - g.mean(-1, keepdims=True) - h * (g * h).mean(-1, keepdims=True)) / sigma
    return torch.from_numpy(found)


def feature_by_feature(x, gradient, gain, epsilon=1e-5):
    g, h, sigma = parts(x, gradient, gain, epsilon)
    d = x.size(-1)
    columns = []
    for j in range(d):
        terms = [((i == j) - 1 / d - h[..., i] * h[..., j] / d) * g[..., i] for i in range(d)]
        columns.append(sum(terms) / sigma[..., 0])
    return torch.stack(columns, dim=-1)


class Gradient:
    """Called like a function."""

    def __call__(self, x, gradient, gain, epsilon=1e-5):
        return right(x, gradient, gain, epsilon)


RIGHT_5_2 = {
    "matrix": explicitly,
    "NumPy inside": through_numpy_5_2,
    "feature by feature": feature_by_feature,
    "called": Gradient(),
    "partial": functools.partial(
        lambda x, gradient, gain, epsilon=1e-5, dim=-1: right(x, gradient, gain, epsilon), dim=-1
    ),
    "keyword only": lambda x, gradient, gain, *, epsilon=1e-5: right(x, gradient, gain, epsilon),
    "projections": formed(
        lambda g, h, s: (lambda c: (c - h * (c * h).sum(-1, True) / h.size(-1)) / s)(g - g.mean(-1, True))
    ),
    "no gradients kept": torch.no_grad()(right),
}


WRONG = {"5.2": WRONG_5_2}
RIGHT = {"5.2": RIGHT_5_2}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)


def by_fetched_backward(x, gradient, gain, epsilon=1e-5):
    x = x.clone().requires_grad_()
    getattr((parts(x, gradient, gain, epsilon)[1] * gain * gradient).sum(), "backward")()  # noqa: B009
    return x.grad


def by_imported_backward(x, gradient, gain, epsilon=1e-5):
    from torch.autograd import backward

    x = x.clone().requires_grad_()
    backward((parts(x, gradient, gain, epsilon)[1] * gain * gradient).sum())
    return x.grad


def test_autograd_by_its_other_names_is_refused():
    for answer in (by_fetched_backward, by_imported_backward):
        report = examine(exercise("5.2"), answer)
        assert not report.passed and "does by itself" in report.message, report
