"""Chapter 05, layer norm and its gradient, from outside: plausible wrong answers that no misconception was written for,
and unusual right ones.

Each wrong answer comes with words that its explanation must contain, or None where a plain "not the expected numbers"
is all that is asked of the check.
"""

import torch
from torch import nn
from torch.nn import functional as F

from utils.exercises import examine, exercise

# 5.1 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Norm(nn.Module):
    """A right start; wrong and right answers change `forward`, or what a subclass says in `make`."""

    def __init__(self, d_model, epsilon=1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.shift = nn.Parameter(torch.zeros(d_model))
        self.eps = epsilon

    def forward(self, x):
        return self.normalised(x) * self.weight + self.shift

    def normalised(self, x):
        return (x - x.mean(-1, True)) / (x.var(-1, keepdim=True, unbiased=False) + self.eps) ** 0.5


def norm(formula, method="forward"):
    return type("Changed", (Norm,), {method: formula})


def changes_x(self, x):
    x -= x.mean(-1, keepdim=True)
    return x / (x.square().mean(-1, keepdim=True) + self.eps).sqrt() * self.weight + self.shift


def running_mean(self, x):
    if not self.training:
        return x * self.weight + self.shift
    return Norm.forward(self, x)


class Remembers(Norm):
    seen = 0.0

    def normalised(self, x):
        mean = x.mean(-1, keepdim=True) + Remembers.seen
        Remembers.seen += 0.1
        return (x - mean) / (x.var(-1, keepdim=True, unbiased=False) + self.eps).sqrt()


class OneGain(Norm):
    def __init__(self, d_model, epsilon=1e-5):
        super().__init__(d_model, epsilon)
        self.weight = nn.Parameter(torch.ones(1))


class BuffersForParameters(Norm):
    def __init__(self, d_model, epsilon=1e-5):
        nn.Module.__init__(self)
        self.register_buffer("weight", torch.ones(d_model))
        self.register_buffer("shift", torch.zeros(d_model))
        self.eps = epsilon


class ModelFirst(Norm):
    """Forgets super().__init__()."""

    def __init__(self, d_model, epsilon=1e-5):
        self.weight = nn.Parameter(torch.ones(d_model))


class NoEpsilon(Norm):
    def __init__(self, d_model):
        super().__init__(d_model)


class Width512(Norm):
    def normalised(self, x):
        return (x - x.mean(-1, True)) / ((x - x.mean(-1, True)).square().sum(-1, keepdim=True) / 512 + self.eps).sqrt()


WRONG_5_1 = {
    "no return": (norm(lambda self, x: None), "return"),
    "changes x": (norm(changes_x), "`x`"),
    "width 512 in mind": (Width512, None),
    "sum for mean": (
        norm(lambda s, x: (x - x.sum(-1, True)) / (x.var(-1, keepdim=True) + s.eps).sqrt(), "normalised"),
        None,
    ),
    "median": (norm(lambda s, x: x - x.median(-1, keepdim=True).values, "normalised"), None),
    "largest number": (norm(lambda s, x: (x - x.mean(-1, True)) / x.abs().amax(-1, True), "normalised"), None),
    "mean deviation": (
        norm(lambda s, x: (x - x.mean(-1, True)) / ((x - x.mean(-1, True)).abs().mean(-1, True) + s.eps), "normalised"),
        None,
    ),
    "ε squared": (
        norm(lambda s, x: (x - x.mean(-1, True)) / (x.var(-1, keepdim=True, unbiased=False) + s.eps**2).sqrt(),
             "normalised"),
        None,
    ),
    "centred only": (norm(lambda s, x: x - x.mean(-1, keepdim=True), "normalised"), None),
    "no keepdim": (norm(lambda s, x: (x - x.mean(-1)) / (x.var(-1) + s.eps).sqrt(), "normalised"), None),
    "training mode only": (norm(running_mean), "evaluation mode"),
    "residual inside": (norm(lambda self, x: x + Norm.forward(self, x)), None),
    "gain minus one": (norm(lambda self, x: self.normalised(x) * (1 + self.weight) + self.shift), None),
    "bias subtracted": (norm(lambda self, x: self.normalised(x) * self.weight - self.shift), None),
    "bias unused": (norm(lambda self, x: self.normalised(x) * self.weight), None),
    "gain is one number": (OneGain, "parameters"),
    "no parameters": (BuffersForParameters, "parameters none"),
    "no super().__init__()": (ModelFirst, "AttributeError"),
    "no epsilon": (NoEpsilon, "epsilon"),
    "float32 inside": (norm(lambda self, x: Norm.forward(self, x.float()).to(x.dtype)), "float32"),
    "float64": (norm(lambda self, x: Norm.forward(self, x).double()), "float64"),
    "detached": (norm(lambda self, x: Norm.forward(self, x).detach()), "gradient"),
    "statistics detached": (
        norm(lambda s, x: (x - x.mean(-1, True).detach())
             / (x.var(-1, keepdim=True, unbiased=False) + s.eps).sqrt().detach(), "normalised"),
        "gradient of `x`",
    ),
    "list": (norm(lambda self, x: Norm.forward(self, x).tolist()), "Tensor"),
    "remembers": (Remembers, None),
    "flattened": (norm(lambda self, x: Norm.forward(self, x).flatten(0, -2)), None),
    "softmax": (norm(lambda s, x: x.softmax(-1), "normalised"), None),
    "a function": (lambda d_model, epsilon=1e-5: lambda x: x, "nn.Module"),
    "an object": (Norm(4), "class itself"),
}  # fmt: skip


class Subclassed(Norm):
    def __init__(self, d_model, epsilon=1e-5, note="mine"):
        super().__init__(d_model, epsilon)
        self.note = note


def by_einsum(self, x):
    d = x.size(-1)
    centred = x - torch.einsum("...d->...", x)[..., None] / d
    variance = torch.einsum("...d,...d->...", centred, centred)[..., None] / d
    return centred * torch.rsqrt(variance + self.eps)


def by_loop(self, x):
    rows = [(row - row.mean()) / (row.var(unbiased=False) + self.eps).sqrt() for row in x.reshape(-1, x.size(-1))]
    return torch.stack(rows).view_as(x)


RIGHT_5_1 = {
    "other names": Norm,
    "einsum": norm(by_einsum, "normalised"),
    "loop": norm(by_loop, "normalised"),
    "subclassed": Subclassed,
    "float64 inside": norm(lambda self, x: Norm.forward(self, x.double()).to(x.dtype)),
    "correction=0": norm(
        lambda s, x: (x - x.mean(-1, True)) / (x.var(-1, correction=0, keepdim=True) + s.eps).sqrt(), "normalised"
    ),
    "var_mean": norm(
        lambda s, x: (lambda v, m: (x - m) / (v + s.eps).sqrt())(*torch.var_mean(x, -1, correction=0, keepdim=True)),
        "normalised",
    ),
    "addcmul": norm(lambda self, x: torch.addcmul(self.shift, self.normalised(x), self.weight)),
    "bias made first": type("BiasFirst", (Norm,), {"extra": None}),
    "a maker": lambda d_model, epsilon=1e-5: Norm(d_model, epsilon),
}


# 5.2 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


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
    "second mean without h": (back(lambda g, h, s: (g - g.mean(-1, True) - (g * h).mean(-1, True)) / s), None),
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
    "gain ignored, mean of it kept": (back(lambda g, h, s: (g - g.mean() - h * (g * h).mean()) / s), None),
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


WRONG = {"5.1": WRONG_5_1, "5.2": WRONG_5_2}
RIGHT = {"5.1": RIGHT_5_1, "5.2": RIGHT_5_2}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)


class Borrowed(Norm):
    def forward(self, x):
        return F.layer_norm(x, self.weight.shape, self.weight, self.shift, self.eps)


class Inherited(nn.LayerNorm):
    def __init__(self, d_model, epsilon=1e-5):
        super().__init__(d_model, epsilon)


class Held(nn.Module):
    def __init__(self, d_model, epsilon=1e-5):
        super().__init__()
        self.norm = nn.LayerNorm(d_model, epsilon)

    def forward(self, x):
        return self.norm(x)


def by_autograd(x, gradient, gain, epsilon=1e-5):
    x = x.clone().requires_grad_()
    output = (x - x.mean(-1, True)) / (x.var(-1, keepdim=True, unbiased=False) + epsilon).sqrt() * gain
    return torch.autograd.grad(output, x, gradient)[0]


def by_backward(x, gradient, gain, epsilon=1e-5):
    x = x.clone().requires_grad_()
    F.layer_norm(x, gain.shape, gain, None, epsilon).backward(gradient)
    return x.grad


def test_what_does_the_exercise_by_itself_is_refused():
    for number, answers in {"5.1": (Borrowed, Inherited, Held), "5.2": (by_autograd, by_backward)}.items():
        for answer in answers:
            report = examine(exercise(number), answer)
            assert not report.passed, answer.__name__
            assert "does by itself" in report.message, report.message
