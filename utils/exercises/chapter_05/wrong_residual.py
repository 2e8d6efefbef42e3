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


def both_forms(post_first: bool) -> type[Residual]:
    """A wrong answer that computes both forms and returns one."""

    class Wrong(Residual):
        def forward(self, x: Tensor, sublayer: Callable[[Tensor], Tensor]) -> Tensor:
            found = {}
            for norm in ("post", "pre") if post_first else ("pre", "post"):
                formula = right_post if norm == "post" else right_pre
                found[norm] = formula(self.normalise, self.dropout, x, sublayer)
            return found[self.norm]

    return Wrong


TWICE = (
    "You compute both forms and give one of them back, so that the sub-layer is called twice: double work, and one "
    "that draws random numbers, as dropout does, draws them twice. Ask for `norm` first, and compute one form."
)
SUBLAYER = " §5.4 applies dropout to the output of the sub-layer, before it is added."


def dropping(form: str, formula: Callable) -> type[Residual]:
    """A wrong answer that drops elsewhere in one of the two forms; the other one is right."""
    return wrapping(formula, right_pre) if form == "post" else wrapping(right_post, formula)


IN_ONE_FORM = (
    Misconception(
        "post-norm drops the end",
        dropping("post", lambda n, d, x, s: d(n(x + s(x)))),
        "With post-norm your dropout comes after the norm, and so drops from x as well." + SUBLAYER,
    ),
    Misconception(
        "post-norm drops the sum",
        dropping("post", lambda n, d, x, s: n(d(x + s(x)))),
        "With post-norm you drop from the sum, and so from x as well." + SUBLAYER,
    ),
    Misconception(
        "post-norm drops the sub-layer's input",
        dropping("post", lambda n, d, x, s: n(x + s(d(x)))),
        "With post-norm you drop from what goes into the sub-layer." + SUBLAYER,
    ),
    Misconception(
        "post-norm without dropout",
        dropping("post", lambda n, d, x, s: n(x + s(x))),
        "With post-norm your dropout is never applied." + SUBLAYER,
    ),
    Misconception(
        "pre-norm drops the sum",
        dropping("pre", lambda n, d, x, s: d(x + s(n(x)))),
        "With pre-norm you drop from the sum, and so from x as well." + SUBLAYER,
    ),
    Misconception(
        "pre-norm drops behind the norm",
        dropping("pre", lambda n, d, x, s: x + s(d(n(x)))),
        "With pre-norm your dropout comes right after the norm, on what goes into the sub-layer." + SUBLAYER,
    ),
    Misconception(
        "pre-norm without dropout",
        dropping("pre", lambda n, d, x, s: x + s(n(x))),
        "With pre-norm your dropout is never applied." + SUBLAYER,
    ),
    Misconception(
        "dropout behind the norm",
        wrapping(lambda n, d, x, s: d(n(x + s(x))), lambda n, d, x, s: x + s(d(n(x)))),
        "Your dropout comes right after the norm, in both forms." + SUBLAYER,
    ),
)

RESIDUAL = (
    Misconception(
        "norm of the sub-layer's output, always",
        wrapping(*[lambda n, d, x, s: x + n(d(s(x)))] * 2),
        "Whatever `norm` says, you normalise the sub-layer's output and then add x. Post-norm normalises the sum, "
        "LayerNorm(x + Sublayer(x)); pre-norm normalises what goes into the sub-layer, x + Sublayer(LayerNorm(x)).",
    ),
    Misconception(
        "pre-norm of the sub-layer's output",
        wrapping(right_post, lambda n, d, x, s: x + n(d(s(x)))),
        "With pre-norm you normalise what comes out of the sub-layer. The norm comes before it: "
        "x + dropout(sublayer(normalise(x))).",
    ),
    Misconception(
        "post-norm without norm",
        wrapping(lambda n, d, x, s: x + d(s(x)), right_pre),
        "With post-norm nothing is normalised: LayerNorm(x + Sublayer(x)) is the norm of the whole sum.",
    ),
    Misconception(
        "pre-norm without norm",
        wrapping(right_post, lambda n, d, x, s: x + d(s(x))),
        "With pre-norm nothing is normalised: the sub-layer gets `normalise(x)`.",
    ),
    Misconception(
        "norm of x alone",
        wrapping(lambda n, d, x, s: n(x) + d(s(x)), right_pre),
        "With post-norm you normalise x and then add what the sub-layer gives. The norm goes around the whole sum: "
        "`normalise(x + …)`.",
    ),
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
    *IN_ONE_FORM,
    Misconception("both forms, post-norm first", both_forms(True), TWICE),
    Misconception("both forms, pre-norm first", both_forms(False), TWICE),
)
