"""Chapter 05, RMSNorm and SwiGLU: answers as strangers would hand them in, wrong and right,
which no misconception was written after. Each wrong answer comes with words that its report must hold, or None.
"""

import functools

import torch
from torch import nn
from torch.nn import functional as F


def changed(base, **methods):
    return type("Changed", (base,), methods)


# 5.6 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Rms(nn.Module):
    """Right, as a base for faults."""

    def __init__(self, d_model, epsilon=1e-5):
        super().__init__()
        self.gain, self.epsilon = nn.Parameter(torch.ones(d_model)), epsilon

    def forward(self, x):
        return x / self.size(x) * self.gain

    def size(self, x):
        return (x.pow(2).mean(-1, keepdim=True) + self.epsilon).sqrt()


def size(formula):
    return changed(Rms, size=formula)


class SmallDefault(Rms):
    def __init__(self, d_model, epsilon=1e-6):
        super().__init__(d_model, epsilon)


class FromMachine(Rms):
    """As nn.RMSNorm does when nothing is said."""

    def __init__(self, d_model, epsilon=None):
        super().__init__(d_model, torch.finfo(torch.float32).eps if epsilon is None else epsilon)


class PlainGain(Rms):
    def __init__(self, d_model, epsilon=1e-5):
        nn.Module.__init__(self)
        self.gain, self.epsilon = torch.ones(d_model), epsilon


class RandomGain(Rms):
    def __init__(self, d_model, epsilon=1e-5):
        super().__init__(d_model, epsilon)
        self.gain = nn.Parameter(torch.randn(d_model))


WRONG_5_6 = {
    "ε of another default": (SmallDefault, "Your ε is 1e-6 when nothing is said"),
    "ε of the machine": (FromMachine, None),
    "a plain gain": (PlainGain, "parameters"),
    "gain at random": (RandomGain, "the weights are those that your constructor made"),
    "no keepdim": (size(lambda s, x: (x.pow(2).mean(-1) + s.epsilon).sqrt()), None),
    "over the positions": (
        size(lambda s, x: (x.pow(2).mean(-2 if x.dim() > 1 else -1, True) + s.epsilon).sqrt()),
        "You average over another axis than the last, and so mix",
    ),
    "ε in the mean": (size(lambda s, x: (x.pow(2) + s.epsilon).sqrt().mean(-1, True)), None),
    "ε on x": (size(lambda s, x: (x + s.epsilon).pow(2).mean(-1, True).sqrt()), None),
    "mean of x": (size(lambda s, x: x.mean(-1, True) + s.epsilon), None),
    "standard deviation": (size(lambda s, x: x.std(-1, keepdim=True) + s.epsilon), None),
    "width 4 in mind": (size(lambda s, x: (x.pow(2).sum(-1, True) / 4 + s.epsilon).sqrt()), None),
    "root twice": (size(lambda s, x: (x.pow(2).mean(-1, True) + s.epsilon).sqrt().sqrt()), None),
    "cube": (size(lambda s, x: (x.abs().pow(3).mean(-1, True) + s.epsilon) ** (1 / 3)), None),
    "clamped": (size(lambda s, x: x.pow(2).mean(-1, True).clamp(min=s.epsilon).sqrt()), None),
    "divided by the gain": (changed(Rms, forward=lambda s, x: x / (s.size(x) * s.gain)), None),
    "gain first": (changed(Rms, forward=lambda s, x: x * s.gain / s.size(x * s.gain)), None),
    "gain squared": (changed(Rms, forward=lambda s, x: x / s.size(x) * s.gain**2), None),
    "in bfloat16": (changed(Rms, forward=lambda s, x: Rms.forward(s, x.bfloat16()).to(x.dtype)), None),
    "gain detached": (changed(Rms, forward=lambda s, x: x / s.size(x) * s.gain.data), "gradient"),
    "residual": (changed(Rms, forward=lambda s, x: x + Rms.forward(s, x)), None),
    "first position's size": (size(lambda s, x: (x.pow(2).mean(-1).flatten()[0] + s.epsilon).sqrt()), None),
    "view": (changed(Rms, forward=lambda s, x: Rms.forward(s, x.view(-1, x.size(-1))).view(x.shape)), "view"),
}


class LikeLlama(nn.Module):
    def __init__(self, dim, epsilon=1e-5):
        super().__init__()
        self.variance_epsilon = epsilon
        self.weight = nn.Parameter(torch.ones(dim))

    def _norm(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)

    def forward(self, x):
        return self._norm(x.double()).type_as(x) * self.weight


RIGHT_5_6 = {
    "like Llama": LikeLlama,
    "vector norm": size(
        lambda s, x: torch.hypot(
            torch.linalg.vector_norm(x, dim=-1, keepdim=True) / x.size(-1) ** 0.5, torch.tensor(s.epsilon**0.5)
        )
    ),
    "average pooling": size(
        lambda s, x: (
            F.avg_pool1d(x.square().reshape(-1, 1, x.size(-1)), x.size(-1)).reshape(*x.shape[:-1], 1) + s.epsilon
        ).sqrt()
    ),
    "matrix product": size(lambda s, x: ((x[..., None, :] @ x[..., None])[..., 0] / x.size(-1) + s.epsilon).sqrt()),
    "power": size(lambda s, x: torch.pow(torch.pow(x, 2).sum(-1, True).div(x.size(-1)).add(s.epsilon), 0.5)),
    "keyword only": type(
        "KeywordOnly", (Rms,), {"__init__": lambda self, d_model, *, epsilon=1e-5: Rms.__init__(self, d_model, epsilon)}
    ),
}


# 5.7 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Gated(nn.Module):
    """Right, as a base for faults."""

    def __init__(self, d_model, d_ff):
        super().__init__()
        self.make(d_model, 2 * d_ff // 3)

    def make(self, d_model, width, bias=False):
        self.gate, self.inner = (nn.Linear(d_model, width, bias=bias) for _ in range(2))
        self.outer = nn.Linear(width, d_model, bias=bias)

    def forward(self, x):
        return self.outer(F.silu(self.gate(x)) * self.inner(x))


def gated(formula):
    return changed(Gated, forward=formula)


def wide(width):
    def __init__(self, d_model, d_ff):
        nn.Module.__init__(self)
        self.make(d_model, width(d_model, d_ff))

    return changed(Gated, __init__=__init__)


class SharedOuter(Gated):
    """The outer matrix is the inner one turned."""

    def make(self, d_model, width, bias=False):
        self.gate, self.inner = (nn.Linear(d_model, width, bias=False) for _ in range(2))

    def forward(self, x):
        return (F.silu(self.gate(x)) * self.inner(x)) @ self.inner.weight


class GateOfOne(Gated):
    def make(self, d_model, width, bias=False):
        super().make(d_model, width)
        self.gate = nn.Linear(d_model, 1, bias=False)


class GateBias(Gated):
    def make(self, d_model, width, bias=False):
        super().make(d_model, width)
        self.gate = nn.Linear(d_model, width)


class Swish(Gated):
    """Swish with a β to learn."""

    def make(self, d_model, width, bias=False):
        super().make(d_model, width)
        self.beta = nn.Parameter(torch.ones(()))

    def forward(self, x):
        z = self.gate(x)
        return self.outer(z * (self.beta * z).sigmoid() * self.inner(x))


WRONG_5_7 = {
    "two thirds of 4 d_model": (wide(lambda d, f: 8 * d // 3), "parameters"),
    "to a multiple of 8": (wide(lambda d, f: 8 * ((2 * f // 3 + 7) // 8)), "parameters"),
    "rounded": (wide(lambda d, f: round(2 * f / 3)), "parameters"),
    "0.667 d_ff": (wide(lambda d, f: int(0.667 * f)), "d_ff is large"),
    "a third": (wide(lambda d, f: f // 3), "parameters"),
    "three halves": (wide(lambda d, f: 3 * f // 2), "parameters"),
    "outer shared": (SharedOuter, "parameters"),
    "gate of one": (GateOfOne, "parameters"),
    "a gate with a bias": (GateBias, "parameters"),
    "β learnt": (Swish, "parameters"),
    "β of 1.702": (gated(lambda s, x: (lambda z: s.outer(z * (1.702 * z).sigmoid() * s.inner(x)))(s.gate(x))), None),
    "hard": (gated(lambda s, x: s.outer(F.hardswish(s.gate(x)) * s.inner(x))), None),
    "mish": (gated(lambda s, x: s.outer(F.mish(s.gate(x)) * s.inner(x))), None),
    "ReLU on both": (gated(lambda s, x: s.outer(s.gate(x).relu() * s.inner(x).relu())), None),
    "F.glu": (gated(lambda s, x: s.outer(F.glu(torch.cat([s.gate(x), s.inner(x)], -1)))), None),
    "SiLU at the end": (gated(lambda s, x: F.silu(s.outer(s.gate(x) * s.inner(x)))), None),
    "sigmoid of the inner": (gated(lambda s, x: s.outer(s.gate(x) * s.inner(x).sigmoid())), None),
    "SiLU of x": (gated(lambda s, x: s.outer(s.gate(F.silu(x)) * s.inner(x))), None),
    "matrix product": (gated(lambda s, x: s.outer(F.silu(s.gate(x)) @ s.inner(x).mT @ s.inner(x))), None),
    "gate of the inner": (gated(lambda s, x: s.outer(F.silu(s.inner(x)) * s.inner(x) + 0 * s.gate(x))), None),
    "residual": (gated(lambda s, x: Gated.forward(s, x) + x), None),
    "normed": (gated(lambda s, x: s.outer(F.normalize(F.silu(s.gate(x)), dim=-1) * s.inner(x))), None),
    "inner detached": (gated(lambda s, x: s.outer(F.silu(s.gate(x)) * s.inner(x).detach())), "gradient"),
    "outer forgotten, inner turned": (gated(lambda s, x: (F.silu(s.gate(x)) * s.inner(x)) @ s.inner.weight), None),
}


class Stacked(nn.Module):
    """Gate and inner as one tensor of two matrices."""

    def __init__(self, d_model, d_ff):
        super().__init__()
        width = (2 * d_ff) // 3
        self.w1 = nn.Linear(d_model, width, bias=False)
        self.w3 = nn.Linear(d_model, width, bias=False)
        self.w2 = nn.Linear(width, d_model, bias=False)

    def forward(self, x):
        return self.w2(F.silu(self.w1(x)).mul(self.w3(x)))


class OuterFirst(nn.Module):
    def __init__(self, d_model, d_ff, multiple_of=1):
        super().__init__()
        width = int(d_ff * 2 / 3) // multiple_of * multiple_of
        self.w2 = nn.Linear(width, d_model, bias=False)
        self.w = nn.Linear(d_model, width, bias=False)
        self.v = nn.Linear(d_model, width, bias=False)
        self.silu = nn.SiLU()

    def forward(self, x):
        return self.w2(self.silu(self.w(x)) * self.v(x))


RIGHT_5_7 = {
    "Llama's names": Stacked,
    "outer first": OuterFirst,
    "partial": functools.partial(OuterFirst, multiple_of=1),
    "module list": type(
        "Listed",
        (Gated,),
        {
            "make": lambda s, d, w: s.__setattr__(
                "layers", nn.ModuleList(nn.Linear(i, o, bias=False) for i, o in ((d, w), (d, w), (w, d)))
            ),
            "forward": lambda s, x: s.layers[2](F.silu(s.layers[0](x)) * s.layers[1](x)),
        },
    ),
    "tanh": gated(lambda s, x: (lambda z: s.outer(z * (1 + (z / 2).tanh()) / 2 * s.inner(x)))(s.gate(x))),
    "F.glu": gated(lambda s, x: s.outer(F.glu(torch.cat([s.gate(x) * s.inner(x), s.gate(x)], -1)))),
}


WRONG = {"5.6": WRONG_5_6, "5.7": WRONG_5_7}
RIGHT = {"5.6": RIGHT_5_6, "5.7": RIGHT_5_7}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
