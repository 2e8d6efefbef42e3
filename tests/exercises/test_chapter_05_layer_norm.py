"""Chapter 05, layer norm, from outside: plausible wrong answers that no misconception was written for,
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


class Asked(nn.Module):
    """Layer norm with the names that are asked for; `learnt` of them are parameters, the rest plain tensors."""

    learnt = ("gain", "bias")

    def __init__(self, d_model, epsilon=1e-5):
        super().__init__()
        self.gain, self.bias, self.eps = torch.ones(d_model), torch.zeros(d_model), epsilon
        for name in self.learnt:
            start = getattr(self, name)
            delattr(self, name)
            setattr(self, name, nn.Parameter(start))

    def forward(self, x):
        return Norm.normalised(self, x) * self.gain + self.bias


class GainPlain(Asked):
    learnt = ("bias",)


class BiasPlain(Asked):
    learnt = ("gain",)


class BothPlain(Asked):
    learnt = ()


class NoGain(Asked):
    learnt = ("bias",)

    def forward(self, x):
        return Norm.normalised(self, x) + self.bias


class AskedInBuffers(nn.Module):
    def __init__(self, d_model, epsilon=1e-5):
        super().__init__()
        self.register_buffer("gain", torch.ones(d_model))
        self.register_buffer("bias", torch.zeros(d_model))
        self.eps = epsilon

    forward = Asked.forward


class Frozen(Norm):
    def __init__(self, d_model, epsilon=1e-5):
        super().__init__(d_model, epsilon)
        self.weight.requires_grad_(False)


class OneOfEach(Asked):
    def __init__(self, d_model, epsilon=1e-5):
        super().__init__(1, epsilon)


class Drawn(Norm):
    def __init__(self, d_model, epsilon=1e-5):
        super().__init__(d_model, epsilon)
        nn.init.normal_(self.weight)


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
    "no keepdim": (norm(lambda s, x: (x - x.mean(-1)) / (x.var(-1) + s.eps).sqrt(), "normalised"), "keepdim=True"),
    "keepdim for the mean only": (
        norm(lambda s, x: (x - x.mean(-1, True)) / (x.var(-1, unbiased=False) + s.eps).sqrt(), "normalised"),
        "keepdim=True",
    ),
    "keepdim for the variance only": (
        norm(lambda s, x: (x - x.mean(-1)) / (x.var(-1, keepdim=True, unbiased=False) + s.eps).sqrt(), "normalised"),
        "keepdim=True",
    ),
    "gain a plain tensor": (GainPlain, "learns a bias and no gain"),
    "bias a plain tensor": (BiasPlain, "learns a gain and no bias"),
    "both plain tensors": (BothPlain, "nothing to learn"),
    "no gain": (NoGain, "learns a bias and no gain"),
    "both buffers": (AskedInBuffers, "nothing to learn"),
    "gain frozen": (Frozen, "no gradient flows back to `gain`"),
    "gain detached": (
        norm(lambda self, x: self.normalised(x) * self.weight.detach() + self.shift), "flows back to `gain`",
    ),
    "one number of each": (OneOfEach, "each of the d_model features has its own"),
    "gain drawn": (Drawn, "starts at 1"),
    "gain unused": (norm(lambda self, x: self.normalised(x) + self.shift), "has a gain and does not use it"),
    "training mode only": (norm(running_mean), "evaluation mode"),
    "residual inside": (norm(lambda self, x: x + Norm.forward(self, x)), None),
    "gain minus one": (norm(lambda self, x: self.normalised(x) * (1 + self.weight) + self.shift), None),
    "bias subtracted": (norm(lambda self, x: self.normalised(x) * self.weight - self.shift), None),
    "bias unused": (norm(lambda self, x: self.normalised(x) * self.weight), "has a bias and does not use it"),
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


WRONG = {"5.1": WRONG_5_1}
RIGHT = {"5.1": RIGHT_5_1}


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


def test_the_finished_layer_norm_is_refused():
    for answer in (Borrowed, Inherited, Held):
        report = examine(exercise("5.1"), answer)
        assert not report.passed, answer.__name__
        assert "does by itself" in report.message, report.message
