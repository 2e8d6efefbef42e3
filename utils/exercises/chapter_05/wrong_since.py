"""What goes wrong with RMSNorm and SwiGLU (chapter 05), and what puts it right."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from utils.exercises.chapter_05.references import RMSNorm, SwiGLU
from utils.exercises.declare import Misconception

# 5.6, RMSNorm ─────────────────────────────────────────────────────────────────────────────────────────────────────


def scaling(formula: Callable[[RMSNorm, Tensor], Tensor]) -> type[RMSNorm]:
    """A wrong answer to 5.6: RMSNorm with another forward."""

    class Wrong(RMSNorm):
        def forward(self, x: Tensor) -> Tensor:
            return formula(self, x)

    return Wrong


class WithBias(RMSNorm):
    def __init__(self, d_model: int, epsilon: float = 1e-5) -> None:
        super().__init__(d_model, epsilon)
        self.bias = nn.Parameter(torch.zeros(d_model))


class SmallByDefault(RMSNorm):
    def __init__(self, d_model: int, epsilon: float = 1e-6) -> None:
        super().__init__(d_model, epsilon)


def root_mean_square(x: Tensor, epsilon: float, dim=-1) -> Tensor:
    return (x.square().mean(dim=dim, keepdim=True) + epsilon).sqrt()


RMS_NORM = (
    Misconception(
        "mean subtracted",
        scaling(lambda n, x: (lambda c: c / root_mean_square(c, n.epsilon) * n.gain)(x - x.mean(-1, keepdim=True))),
        "You subtract the mean first, which makes it layer norm without a bias. RMSNorm leaves the mean where it is.",
    ),
    Misconception(
        "divided by the standard deviation",
        scaling(lambda n, x: x / (x.var(-1, keepdim=True, unbiased=False) + n.epsilon).sqrt() * n.gain),
        "You divide by the standard deviation, which is measured from the mean. The root mean square is measured from "
        "0: `x.square().mean(…)`.",
    ),
    Misconception(
        "sum in place of mean",
        scaling(lambda n, x: x / (x.square().sum(-1, keepdim=True) + n.epsilon).sqrt() * n.gain),
        "You divide by the length of the vector, √(sum of squares). With the mean of squares its numbers keep a size "
        "near 1 at any width.",
    ),
    Misconception(
        "no root",
        scaling(lambda n, x: x / (x.square().mean(-1, keepdim=True) + n.epsilon) * n.gain),
        "You divide by the mean of squares: the root is missing.",
    ),
    Misconception(
        "ε outside the root",
        scaling(lambda n, x: x / (root_mean_square(x, 0.0) + n.epsilon) * n.gain),
        "You add ε to the root. It belongs under it: √(mean of x² + ε).",
    ),
    Misconception(
        "no ε",
        scaling(lambda n, x: x / root_mean_square(x, 0.0) * n.gain),
        "ε is missing: a position of zeros gives 0/0, which is NaN.",
        everywhere=True,
    ),
    Misconception(
        "ε is 1e-6 by default",
        SmallByDefault,
        "Your ε is 1e-6 when nothing is said. Asked for is 1e-5, `epsilon=1e-5`.",
    ),
    Misconception(
        "ε as a lower bound",
        scaling(lambda n, x: x / root_mean_square(x, 0.0).clamp(min=n.epsilon) * n.gain),
        "Where x is not 0 your ε plays no part. It is added under the root everywhere: √(mean of x² + ε).",
    ),
    Misconception(
        "ε not from the constructor",
        scaling(lambda n, x: x / root_mean_square(x, 1e-5) * n.gain),
        "Your ε is always 1e-5. Keep the one that the constructor is given: `self.epsilon = epsilon`.",
    ),
    Misconception(
        "mean of absolute values",
        scaling(lambda n, x: x / (x.abs().mean(-1, keepdim=True) + n.epsilon) * n.gain),
        "You divide by the mean of the absolute values. The root mean square squares first, averages, then takes the "
        "root.",
    ),
    Misconception(
        "gain unused",
        scaling(lambda n, x: x / root_mean_square(x, n.epsilon)),
        "Your module has a gain and does not use it: multiply by it at the end.",
    ),
    Misconception(
        "over everything",
        scaling(lambda n, x: x / root_mean_square(x, n.epsilon, tuple(range(x.dim()))) * n.gain),
        "You take one root mean square of the whole tensor. Each position has its own: `dim=-1, keepdim=True`.",
    ),
    Misconception(
        "over the batch",
        scaling(lambda n, x: x / root_mean_square(x, n.epsilon, 0) * n.gain),
        "You average over another axis than the last, and so mix positions or sentences. Each position has its own "
        "root mean square: dim=-1.",
    ),
    Misconception(
        "a bias too",
        WithBias,
        "Your module has a bias. RMSNorm has a gain and nothing else to learn.",
    ),
)


# 5.7, SwiGLU ──────────────────────────────────────────────────────────────────────────────────────────────────────


def gating(formula: Callable[[SwiGLU, Tensor], Tensor]) -> type[SwiGLU]:
    """A wrong answer to 5.7: the right layers with another forward."""

    class Wrong(SwiGLU):
        def forward(self, x: Tensor) -> Tensor:
            return formula(self, x)

    return Wrong


def built_with(width: Callable[[int], int], bias: bool = False) -> type[SwiGLU]:
    class Wrong(SwiGLU):
        def __init__(self, d_model: int, d_ff: int) -> None:
            super().__init__(d_model, d_ff)
            self.gate = nn.Linear(d_model, width(d_ff), bias=bias)
            self.inner = nn.Linear(d_model, width(d_ff), bias=bias)
            self.outer = nn.Linear(width(d_ff), d_model, bias=bias)

    return Wrong


SWIGLU = (
    Misconception(
        "full width",
        built_with(lambda d_ff: d_ff),
        "Your inner width is d_ff. There are three matrices here in place of two, so that only two thirds of the width "
        "gives as many parameters: 2 * d_ff // 3.",
    ),
    Misconception(
        "half width",
        built_with(lambda d_ff: d_ff // 2),
        "Your inner width is d_ff / 2. Three matrices of width w have 3 · d_model · w parameters, two of width d_ff "
        "have 2 · d_model · d_ff: w is two thirds of d_ff, 2 * d_ff // 3.",
    ),
    Misconception(
        "rounded before doubling",
        built_with(lambda d_ff: 2 * (d_ff // 3)),
        "You round before you double: 2 * (d_ff // 3) is one too narrow where d_ff % 3 is 2. Asked for "
        "is `2 * d_ff // 3`, doubled first.",
    ),
    Misconception(
        "SiLU on the other",
        gating(lambda n, x: n.outer(n.gate(x) * F.silu(n.inner(x)))),
        "You apply SiLU to `inner` and leave `gate` straight. By the names asked for it is the gate that is bent.",
    ),
    Misconception(
        "with biases",
        built_with(lambda d_ff: 2 * d_ff // 3, bias=True),
        "Your layers have biases; SwiGLU has none: `bias=False`.",
    ),
    Misconception(
        "ReLU",
        gating(lambda n, x: n.outer(n.gate(x).relu() * n.inner(x))),
        "You use ReLU on the gate, which is called ReGLU. The Swi of SwiGLU is SiLU, z · sigmoid(z): "
        "`torch.nn.functional.silu`.",
    ),
    Misconception(
        "GELU",
        gating(lambda n, x: n.outer(F.gelu(n.gate(x)) * n.inner(x))),
        "You use GELU on the gate, which is called GEGLU. The Swi of SwiGLU is SiLU, z · sigmoid(z): "
        "`torch.nn.functional.silu`.",
    ),
    Misconception(
        "sigmoid",
        gating(lambda n, x: n.outer(n.gate(x).sigmoid() * n.inner(x))),
        "You use a sigmoid on the gate, which is the first GLU, of 2016. SiLU is z · sigmoid(z).",
    ),
    Misconception(
        "gate not bent",
        gating(lambda n, x: n.outer(n.gate(x) * n.inner(x))),
        "SiLU on the gate is missing: you multiply two linear maps.",
    ),
    Misconception(
        "both bent",
        gating(lambda n, x: n.outer(F.silu(n.gate(x)) * F.silu(n.inner(x)))),
        "You apply SiLU to both. Only the gate is bent; what it opens and closes stays linear.",
    ),
    Misconception(
        "bent after the product",
        gating(lambda n, x: n.outer(F.silu(n.gate(x) * n.inner(x)))),
        "You apply SiLU to the product. It belongs on the gate alone, before the product.",
    ),
    Misconception(
        "added",
        gating(lambda n, x: n.outer(F.silu(n.gate(x)) + n.inner(x))),
        "You add gate and inner. The gate multiplies, number by number.",
    ),
    Misconception(
        "inner forgotten",
        gating(lambda n, x: n.outer(F.silu(n.gate(x)))),
        "You use the gate alone: it is to be multiplied with x V, number by number.",
    ),
)
