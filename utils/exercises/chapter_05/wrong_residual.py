"""What goes wrong with the residual connection (chapter 05), and what puts it right."""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

from utils.exercises.declare import Misconception
from utils.transformer import Residual


def wrapping(post: Callable, pre: Callable) -> type[Residual]:
    """A wrong answer to 5.5: each formula gets normalise, dropout, x and the sub-layer."""

    class Wrong(Residual):
        def forward(self, x: Tensor, sublayer: Callable[[Tensor], Tensor]) -> Tensor:
            formula = pre if self.norm == "pre" else post
            return formula(self.normalise, self.dropout, x, sublayer)

    return Wrong


def right_post(normalise, dropout, x, sublayer):
    return normalise(x + dropout(sublayer(x)))


def right_pre(normalise, dropout, x, sublayer):
    return x + dropout(sublayer(normalise(x)))


def always_dropping(post: bool) -> Callable:
    def formula(normalise, dropout, x, sublayer):
        def drop(y):
            return F.dropout(y, dropout.p, training=True)

        return (right_post if post else right_pre)(normalise, drop, x, sublayer)

    return formula


class KeepingProbability(Residual):
    def __init__(self, normalise: nn.Module, dropout: float, norm: str = "post") -> None:
        super().__init__(normalise, dropout, norm)
        self.dropout = nn.Dropout(1 - dropout)


class FixedProbability(Residual):
    def __init__(self, normalise: nn.Module, dropout: float, norm: str = "post") -> None:
        super().__init__(normalise, 0.1, norm)


class PreByDefault(Residual):
    def __init__(self, normalise: nn.Module, dropout: float, norm: str = "pre") -> None:
        super().__init__(normalise, dropout, norm)


RESIDUAL = (
    Misconception(
        "always post-norm",
        wrapping(right_post, right_post),
        'You normalise after the addition, whatever `norm` says. For norm="pre" the norm comes first, before the '
        "sub-layer, and x is added as it was: x + dropout(sublayer(normalise(x))).",
    ),
    Misconception(
        "always pre-norm",
        wrapping(right_pre, right_pre),
        'You normalise before the sub-layer, whatever `norm` says. For norm="post", the paper\'s form, the sum is '
        "normalised: normalise(x + dropout(sublayer(x))).",
    ),
    Misconception(
        "pre and post exchanged",
        wrapping(right_pre, right_post),
        '"post" and "pre" are exchanged: post-norm normalises after the addition, pre-norm before the sub-layer.',
    ),
    Misconception(
        "pre-norm by default",
        PreByDefault,
        'Without a word about it, `norm` is to be "post", the paper\'s form.',
    ),
    Misconception(
        "pre-norm adds the normalised x",
        wrapping(right_post, lambda n, d, x, s: n(x) + d(s(n(x)))),
        "With pre-norm you add the normalised x. Only the sub-layer sees it; x itself goes on untouched, which is the "
        "point of pre-norm.",
    ),
    Misconception(
        "post-norm of the sub-layer alone",
        wrapping(lambda n, d, x, s: x + n(d(s(x))), right_pre),
        "With post-norm you normalise the sub-layer's output and then add x. §3.1 normalises the sum: "
        "LayerNorm(x + Sublayer(x)).",
    ),
    Misconception(
        "normalised twice",
        wrapping(lambda n, d, x, s: n(x + d(s(n(x)))), right_pre),
        "With post-norm you normalise before the sub-layer as well. There is one norm, around the sum.",
    ),
    Misconception(
        "pre-norm also normalises the sum",
        wrapping(right_post, lambda n, d, x, s: n(x + d(s(n(x))))),
        "With pre-norm you normalise the sum as well. There is one norm, before the sub-layer; the sum stays as it is.",
    ),
    Misconception(
        "dropout on the sum",
        wrapping(lambda n, d, x, s: n(d(x + s(x))), lambda n, d, x, s: d(x + s(n(x)))),
        "You drop from the sum, and so from x as well: nothing that was dropped there can come back later. §5.4 "
        "applies dropout to the output of the sub-layer, before it is added.",
    ),
    Misconception(
        "dropout at the end",
        wrapping(lambda n, d, x, s: d(n(x + s(x))), lambda n, d, x, s: d(x + s(n(x)))),
        "You drop from the finished result, and so from x as well. §5.4 applies dropout to the output of the "
        "sub-layer, before it is added and normalised.",
    ),
    Misconception(
        "dropout on the sub-layer's input",
        wrapping(lambda n, d, x, s: n(x + s(d(x))), lambda n, d, x, s: x + s(d(n(x)))),
        "You drop from what goes into the sub-layer. §5.4 applies dropout to what comes out of it, before it is added.",
    ),
    Misconception(
        "no dropout",
        wrapping(lambda n, d, x, s: n(x + s(x)), lambda n, d, x, s: x + s(n(x))),
        "Your dropout is never applied. §5.4: dropout on the output of the sub-layer, before it is added to x.",
    ),
    Misconception(
        "dropout in evaluation mode",
        wrapping(always_dropping(post=True), always_dropping(post=False)),
        "You drop in evaluation mode as well. `nn.Dropout` asks by itself whether the module is in training mode; "
        "`nn.functional.dropout` has to be told: `training=self.training`.",
    ),
    Misconception(
        "probability of keeping",
        KeepingProbability,
        "You drop with the probability 1 − dropout. `dropout` is the share that goes, as in `nn.Dropout(dropout)`.",
    ),
    Misconception(
        "always a tenth",
        FixedProbability,
        "Your dropout is always 0.1. Hand on the share that the constructor is given: `nn.Dropout(dropout)`.",
    ),
    # Last, since with nearly everything dropped it gives what dropout on the sum gives, which is told first.
    Misconception(
        "no residual",
        wrapping(lambda n, d, x, s: n(d(s(x))), lambda n, d, x, s: d(s(n(x)))),
        "x itself is missing: what the sub-layer gives is added to x. Without it the sub-layer would have to carry "
        "everything on, and there would be no direct way for the gradient.",
    ),
)
