"""Chapter 05, the gradient through layer norm, from outside: plausible wrong answers that no misconception was written
for, and unusual right ones.

Each wrong answer comes with words that its explanation must contain, or None where a plain "not the expected numbers"
is all that is asked of the check.
"""

import torch
from torch.nn import functional as F

from utils.exercises import examine, exercise


def pieces(x, gradient, gain, epsilon=1e-5):
    sigma = (x.var(-1, keepdim=True, unbiased=False) + epsilon).sqrt()
    return gradient * gain, (x - x.mean(-1, True)) / sigma, sigma


def right(x, gradient, gain, epsilon=1e-5):
    g, h, sigma = pieces(x, gradient, gain, epsilon)
    return (g - g.mean(-1, True) - h * (g * h).mean(-1, True)) / sigma


def back(formula):
    return lambda x, gradient, gain, epsilon=1e-5: formula(*pieces(x, gradient, gain, epsilon))


def changes_gradient(x, gradient, gain, epsilon=1e-5):
    gradient *= gain
    return right(x, gradient, torch.ones_like(gain), epsilon)


def x_for_normalised(x, gradient, gain, epsilon=1e-5):
    g, _, sigma = pieces(x, gradient, gain, epsilon)
    return (g - g.mean(-1, True) - x * (g * x).mean(-1, True)) / sigma


def one_epsilon(x, gradient, gain, epsilon=1e-5):
    return right(x, gradient, gain)


def forward_pass(x, gradient, gain, epsilon=1e-5):
    return pieces(x, gradient, gain, epsilon)[1] * gain


def all_over_everything(x, gradient, gain, epsilon=1e-5):
    sigma, g = (x.var(unbiased=False) + epsilon).sqrt(), gradient * gain
    h = (x - x.mean()) / sigma
    return (g - g.mean() - h * (g * h).mean()) / sigma


WRONG_5_2 = {
    "no return": (lambda x, gradient, gain, epsilon=1e-5: None, "return"),
    "forward": (forward_pass, "`gradient`"),
    "changes gradient": (changes_gradient, "`gradient`"),
    "x for normalised": (x_for_normalised, None),
    "always 1e-5": (one_epsilon, "argument"),
    "variance for deviation": (back(lambda g, h, s: (g - g.mean(-1, True) - h * (g * h).mean(-1, True)) / s**2), None),
    "sign": (lambda *a, **k: -right(*a, **k), "sign"),
    "half": (lambda *a, **k: right(*a, **k) / 2, "0.5 times"),
    "width 4 in mind": (back(lambda g, h, s: (g - g.sum(-1, True) / 4 - h * (g * h).sum(-1, True) / 4) / s), None),
    "mean of the product of means": (
        back(lambda g, h, s: (g - g.mean(-1, True) - h * g.mean(-1, True) * h.mean(-1, True)) / s), None,
    ),
    "second mean without h": (back(lambda g, h, s: (g - g.mean(-1, True) - (g * h).mean(-1, True)) / s), "leaves h_j"),
    "no keepdim": (back(lambda g, h, s: (g - g.mean(-1) - h * (g * h).mean(-1)) / s), "keepdim=True"),
    "no keepdim in the second": (
        back(lambda g, h, s: (g - g.mean(-1, True) - h * (g * h).mean(-1)) / s), "keepdim=True",
    ),
    "all four over everything": (all_over_everything, "mean and deviation of x"),
    "first mean over everything": (
        back(lambda g, h, s: (g - g.mean() - h * (g * h).mean(-1, True)) / s), "mean of g runs over the whole tensor",
    ),
    "second mean over everything": (
        back(lambda g, h, s: (g - g.mean(-1, True) - h * (g * h).mean()) / s), "mean of g · h runs over the whole",
    ),
    "first plus": (back(lambda g, h, s: (g + g.mean(-1, True) - h * (g * h).mean(-1, True)) / s), "You add mean(g);"),
    "second plus": (back(lambda g, h, s: (g - g.mean(-1, True) + h * (g * h).mean(-1, True)) / s), "You add mean(g ·"),
    "both plus": (back(lambda g, h, s: (g + g.mean(-1, True) + h * (g * h).mean(-1, True)) / s), "Both terms"),
    "h outside the bracket": (back(lambda g, h, s: (g - g.mean(-1, True)) / s - h * (g * h).mean(-1, True)), None),
    "first position only": (
        lambda x, g, gain, epsilon=1e-5: right(x, g, gain, epsilon).select(0, 0).expand_as(x) if x.dim() > 1
        else right(x, g, gain, epsilon),
        None,
    ),
    "over positions": (
        lambda x, g, gain, epsilon=1e-5: right(x.mT, (g * gain).mT, torch.ones(1, dtype=x.dtype), epsilon).mT
        if x.dim() > 1 else right(x, g, gain, epsilon),
        None,
    ),
    "gain squared": (lambda x, g, gain, epsilon=1e-5: right(x, g * gain, gain, epsilon), None),
    "divided by the gain": (lambda x, g, gain, epsilon=1e-5: right(x, g / gain, torch.ones_like(gain), epsilon), None),
    "float64": (lambda *a, **k: right(*a, **k).double(), "float64"),
    "float32 inside": (
        lambda x, g, gain, epsilon=1e-5: right(x.float(), g.float(), gain.float(), epsilon).to(x.dtype), "float32",
    ),
    "NumPy": (lambda *a, **k: right(*a, **k).numpy(), "NumPy"),
    "all three gradients": (lambda x, g, gain, epsilon=1e-5: (right(x, g, gain, epsilon), g, g), "tuple"),
    "flat": (lambda x, g, gain, epsilon=1e-5: right(x, g, gain, epsilon).flatten(), "shape"),
    "summed over positions": (
        lambda x, g, gain, epsilon=1e-5: right(x, g, gain, epsilon).reshape(-1, x.size(-1)).sum(0), "shape",
    ),
    "no epsilon": (lambda x, gradient, gain: right(x, gradient, gain), "parameters"),
    "two means over everything": (
        back(lambda g, h, s: (g - g.mean() - h * (g * h).mean()) / s), "two means runs over the whole tensor",
    ),
}  # fmt: skip


def by_jacobian(x, gradient, gain, epsilon=1e-5):
    g, h, sigma = pieces(x, gradient, gain, epsilon)
    d = x.size(-1)
    jacobian = torch.eye(d, dtype=x.dtype) - 1 / d - h[..., :, None] * h[..., None, :] / d
    return (g[..., None, :] @ jacobian).squeeze(-2) / sigma


def by_projection(x, gradient, gain, epsilon=1e-5):
    """PyTorch's own way of writing it: sums, and the width multiplied in."""
    g, h, sigma = pieces(x, gradient, gain, epsilon)
    d = x.size(-1)
    return (d * g - g.sum(-1, True) - h * (g * h).sum(-1, True)) / (d * sigma)


def step_by_step(x, gradient, gain, epsilon=1e-5):
    centred = x - x.mean(-1, keepdim=True)
    sigma = (centred.pow(2).mean(-1, keepdim=True) + epsilon).sqrt()
    to_normalised = gradient * gain
    to_variance = (to_normalised * centred).sum(-1, keepdim=True) * -0.5 * sigma**-3
    to_centred = to_normalised / sigma + 2 * centred * to_variance / x.size(-1)
    return to_centred - to_centred.mean(-1, keepdim=True)


def by_loop_5_2(x, gradient, gain, epsilon=1e-5):
    rows = [right(a, b, gain, epsilon) for a, b in
            zip(x.reshape(-1, x.size(-1)), gradient.reshape(-1, x.size(-1)), strict=True)]  # fmt: skip
    return torch.stack(rows).view_as(x)


RIGHT_5_2 = {
    "jacobian": by_jacobian,
    "sums": by_projection,
    "step by step": step_by_step,
    "loop": by_loop_5_2,
    "float64 inside": lambda x, g, gain, epsilon=1e-5: right(x.double(), g.double(), gain.double(), epsilon).to(
        x.dtype
    ),
    "an extra keyword": lambda x, gradient, gain, epsilon=1e-5, dim=-1: right(x, gradient, gain, epsilon),
    "einsum": back(
        lambda g, h, s: (g - g.mean(-1, True) - torch.einsum("...d,...e,...e->...d", h, g, h) / g.size(-1)) / s
    ),
}


WRONG = {"5.2": WRONG_5_2}
RIGHT = {"5.2": RIGHT_5_2}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)


def by_autograd(x, gradient, gain, epsilon=1e-5):
    x = x.clone().requires_grad_()
    output = (x - x.mean(-1, True)) / (x.var(-1, keepdim=True, unbiased=False) + epsilon).sqrt() * gain
    return torch.autograd.grad(output, x, gradient)[0]


def by_backward(x, gradient, gain, epsilon=1e-5):
    x = x.clone().requires_grad_()
    F.layer_norm(x, gain.shape, gain, None, epsilon).backward(gradient)
    return x.grad


def by_autograds_jacobian(x, gradient, gain, epsilon=1e-5):
    """What the chapter itself shows beside the Jacobian by hand."""
    jacobian = torch.autograd.functional.jacobian(lambda z: pieces(z, gradient, gain, epsilon)[1] * gain, x)
    return (gradient.flatten() @ jacobian.reshape(x.numel(), x.numel())).view_as(x)


def by_jacrev(x, gradient, gain, epsilon=1e-5):
    return torch.func.jacrev(lambda z: (pieces(z, gradient, gain, epsilon)[1] * gain * gradient).sum())(x)


def by_jacfwd(x, gradient, gain, epsilon=1e-5):
    return torch.func.jacfwd(lambda z: (pieces(z, gradient, gain, epsilon)[1] * gain * gradient).sum())(x)


def natively(x, gradient, gain, epsilon=1e-5):
    _, mean, inverse = torch.native_layer_norm(x, gain.shape, gain, None, epsilon)
    wanted = [True, False, False]
    return torch.ops.aten.native_layer_norm_backward(gradient, x, gain.shape, mean, inverse, gain, None, wanted)[0]


def test_autograd_is_refused():
    for answer in (by_autograd, by_backward, by_autograds_jacobian, by_jacrev, by_jacfwd, natively):
        report = examine(exercise("5.2"), answer)
        assert not report.passed, answer.__name__
        assert "does by itself" in report.message, report.message
