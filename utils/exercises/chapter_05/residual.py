"""Exercise 5.5: the residual connection with its norm and its dropout."""

import torch
from torch import Generator, Tensor, nn

from utils.exercises.chapter_05.words import EDGE, SHAPE
from utils.exercises.chapter_05.wrong_residual import RESIDUAL
from utils.exercises.declare import Case, Exercise, Property
from utils.exercises.drawing import normal
from utils.exercises.nearness import close
from utils.transformer import Residual

POST, PRE = "norm is post", "norm is pre"
NEARLY_ALL = 1 - 1e-7  # of what is dropped; dropping all would be 0/0 in a dropout written by hand


def linear(generator: Generator, width: int, bend: nn.Module | None = None) -> nn.Module:
    """A sub-layer that keeps the shape, with weights from the generator."""
    layer = nn.Linear(width, width)
    with torch.no_grad():
        layer.weight.copy_(normal(generator, width, width))
        layer.bias.copy_(normal(generator, width))
    return layer if bend is None else nn.Sequential(layer, bend)


class Noise(nn.Module):
    """A sub-layer that draws random numbers at each call, as one with dropout does: a second call gives others."""

    def forward(self, x: Tensor) -> Tensor:
        """x: any shape. Returns the same shape."""
        return x * torch.rand_like(x)


def _residual_cases(generator: Generator) -> list[Case]:
    def drawn(*shape: int, bend: nn.Module | None = None) -> tuple:
        return normal(generator, *shape, size=2.0), linear(generator, shape[-1], bend)

    def built(width: int, dropout: float, norm: str) -> dict:
        return {"build": (nn.LayerNorm(width), dropout, norm), "traits": (POST if norm == "post" else PRE,)}

    def function(norm: str) -> dict:
        build = (nn.LayerNorm(4), 0.0, "post" if norm == POST else "pre")
        return {"build": build, "traits": (norm, "the sub-layer is a function, not a module")}

    return [
        Case("post-norm", drawn(1, 2, 4), **built(4, 0.0, "post")),
        Case("pre-norm", drawn(1, 2, 4), **built(4, 0.0, "pre")),
        Case("post-norm, training", drawn(2, 3, 5, bend=nn.Tanh()), training=True, **built(5, 0.0, "post")),
        Case("pre-norm, training", drawn(2, 3, 5, bend=nn.Tanh()), training=True, **built(5, 0.0, "pre")),
        Case("post-norm without saying so", drawn(2, 3, 4), build=(nn.LayerNorm(4), 0.0), traits=(POST,)),
        Case("post-norm, evaluation with dropout", drawn(2, 3, 4), **built(4, 0.5, "post")),
        Case("pre-norm, evaluation with dropout", drawn(2, 3, 4), **built(4, 0.5, "pre")),
        Case("gradients, post-norm", drawn(2, 3, 4), gradients=True, **built(4, 0.0, "post")),
        Case("gradients, pre-norm", drawn(2, 3, 4), gradients=True, **built(4, 0.0, "pre")),
        Case("as many sentences as positions as features", drawn(4, 4, 4), part=SHAPE, **built(4, 0.0, "post")),
        Case("another kind of norm", drawn(2, 3, 4), build=(nn.RMSNorm(4, eps=0.1), 0.0, "pre"), part=EDGE,
             traits=("the norm handed over is not a layer norm",)),
        Case("post-norm, a sub-layer that draws", (normal(generator, 2, 3, 4), Noise()), part=EDGE,
             **built(4, 0.0, "post")),
        Case("pre-norm, a sub-layer that draws", (normal(generator, 2, 3, 4), Noise()), part=EDGE,
             **built(4, 0.0, "pre")),
        Case("post-norm, a sub-layer that is a function", (normal(generator, 2, 3, 4), torch.tanh), part=EDGE,
             **function(POST)),
        Case("pre-norm, a sub-layer that is a function", (normal(generator, 2, 3, 4), torch.tanh), part=EDGE,
             **function(PRE)),
        Case("no norm at all", drawn(2, 3, 4), build=(nn.Identity(), 0.0, "post"), part=EDGE),
    ]  # fmt: skip


def _nearly_all_dropped(generator: Generator) -> list[Case]:
    norm_with_bias = nn.LayerNorm(4)
    with torch.no_grad():
        norm_with_bias.bias.copy_(normal(generator, 4))
    return [
        Case(f"{norm}-norm, nearly all dropped", (normal(generator, 2, 3, 4), linear(generator, 4)),
             build=(norm_with_bias, NEARLY_ALL, norm), training=True, own_weights=True)
        for norm in ("post", "pre")
    ]  # fmt: skip


def _only_x_is_left(cases: list[Case], results: list[Tensor]) -> bool:
    x, other = (case.arguments[0] for case in cases)
    with torch.no_grad():
        return close(results[0].detach(), cases[0].build[0](x)) and close(results[1].detach(), other)


def _three_tenths_dropped(generator: Generator) -> list[Case]:
    x = 1 + normal(generator, 4, 20, 50).abs()
    return [
        Case(f"{norm}-norm, three tenths dropped", (x, nn.Identity()), build=(nn.Identity(), 0.3, norm),
             training=True, own_weights=True, times=2)
        for norm in ("post", "pre")
    ]  # fmt: skip


def _the_rest_grows(cases: list[Case], results: list[list[Tensor]]) -> bool:
    """Of 4000 numbers 0.3 ± 0.05 dropped (seven standard deviations), the others divided by 0.7; others at each
    position, in each sentence and at each call.
    """
    for case, calls in zip(cases, results, strict=True):
        x, result = case.arguments[0], torch.stack(calls).detach()  # (calls, batch, length, d_model)
        dropped, kept = result == x, (x + x / 0.7).expand_as(result)
        again = [bool((dropped == dropped.roll(1, dims=axis)).all(dim=-1).any()) for axis in (0, 1, 2)]
        if any(again) or abs(dropped.double().mean() - 0.3) > 0.05:
            return False
        if not close(torch.where(dropped, kept, result), kept):
            return False
    return True


RESIDUAL_MODULE = Exercise(
    number="5.5",
    title="The residual connection",
    points=3,
    difficulty=3,
    minutes=20,
    section="§3.1, §5.4",
    kind="module",
    reference=Residual,
    cases=_residual_cases,
    properties=(
        Property(
            "x is never dropped",
            _nearly_all_dropped,
            _only_x_is_left,
            "With a dropout of nearly 1, in training, the result must be normalise(x) (post-norm) or x (pre-norm): "
            "nearly all of the sub-layer's output is dropped, and nothing of x.",
        ),
        Property(
            "a share is dropped, number by number",
            _three_tenths_dropped,
            _the_rest_grows,
            "With a dropout of 0.3, in training mode, three tenths of the sub-layer's numbers, each drawn by itself "
            "and anew at each call, should be missing from the sum, and the others be divided by 0.7, so that the "
            "mean stays.",
        ),
    ),
    returns=("output",),
    misconceptions=RESIDUAL,
    hints=(
        "Keep three things in __init__: the norm you are given, an `nn.Dropout`, and the word post or pre. In forward, "
        "`sublayer` is called like a function.",
        "Post-norm reads from the inside out: the sub-layer, dropout, plus x, norm. Pre-norm: norm, the sub-layer, "
        "dropout, plus x. In both, x itself is added as it came in.",
        "post: `self.normalise(x + self.dropout(sublayer(x)))`; pre: `x + self.dropout(sublayer(self.normalise(x)))`.",
    ),
    model_part="residual",
)
