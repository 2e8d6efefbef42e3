"""Chapter 05, the residual connection and RMSNorm, from outside: plausible wrong answers that no misconception was
written for, and unusual right ones.

Each wrong answer comes with words that its explanation must contain, or None where a plain "not the expected numbers"
is all that is asked of the check.
"""

import torch
from torch import nn
from torch.nn import functional as F

from utils.exercises import examine, exercise
from utils.transformer import FusedResidual

# 5.5 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Wrapper(nn.Module):
    """A right start with other names."""

    def __init__(self, normalise, dropout, norm="post"):
        super().__init__()
        self.layer_norm, self.drop, self.first = normalise, nn.Dropout(dropout), norm == "pre"

    def forward(self, x, sublayer):
        if self.first:
            return x + self.drop(sublayer(self.layer_norm(x)))
        return self.layer_norm(x + self.drop(sublayer(x)))


def wrapper(formula):
    return type("Changed", (Wrapper,), {"forward": formula})


def both(formula):
    """The formula gets norm, dropout, x, sub-layer and whether it is pre-norm."""
    return wrapper(lambda self, x, sublayer: formula(self.layer_norm, self.drop, x, sublayer, self.first))


class OwnNorm(Wrapper):
    def __init__(self, normalise, dropout, norm="post"):
        super().__init__(nn.LayerNorm(4), dropout, norm)


class NoNorm(Wrapper):
    def __init__(self, normalise, dropout, norm="post"):
        super().__init__(nn.Identity(), dropout, norm)


class NormInList(Wrapper):
    def __init__(self, normalise, dropout, norm="post"):
        super().__init__(nn.Identity(), dropout, norm)
        self.hidden = [normalise]

    def forward(self, x, sublayer):
        if self.first:
            return x + self.drop(sublayer(self.hidden[0](x)))
        return self.hidden[0](x + self.drop(sublayer(x)))


class LearntShare(Wrapper):
    def __init__(self, normalise, dropout, norm="post"):
        super().__init__(normalise, dropout, norm)
        self.share = nn.Parameter(torch.ones(1))


class WholePositions(Wrapper):
    def __init__(self, normalise, dropout, norm="post"):
        super().__init__(normalise, dropout, norm)
        self.drop = nn.Dropout1d(dropout)


class Undivided(nn.Dropout):
    def forward(self, y):
        return y * (torch.rand_like(y) >= self.p) if self.training else y


class NotDivided(Wrapper):
    def __init__(self, normalise, dropout, norm="post"):
        super().__init__(normalise, dropout, norm)
        self.drop = Undivided(dropout)


class Alpha(Wrapper):
    def __init__(self, normalise, dropout, norm="post"):
        super().__init__(normalise, dropout, norm)
        self.drop = nn.AlphaDropout(dropout)


def changing(self, x, sublayer):
    x += self.drop(sublayer(self.layer_norm(x) if self.first else x))
    return x if self.first else self.layer_norm(x)


def called_twice(n, d, x, s, pre):
    return x + d(s(n(s(n(x))))) if pre else n(x + d(s(s(x))))


def both_computed(n, d, x, s, pre):
    post_form, pre_form = n(x + d(s(x))), x + d(s(n(x)))
    return pre_form if pre else post_form


WRONG_5_5 = {
    "both computed": (both(both_computed), "called twice"),
    "no return": (wrapper(lambda self, x, sublayer: None), "return"),
    "changes x": (wrapper(changing), "`x`"),
    "own layer norm": (OwnNorm, None),
    "no norm": (NoNorm, "parameters none"),
    "norm in a plain list": (NormInList, "parameters none"),
    "a parameter too many": (LearntShare, "parameters"),
    "multiplied": (both(lambda n, d, x, s, pre: x * d(s(n(x))) if pre else n(x * d(s(x)))), None),
    "subtracted": (both(lambda n, d, x, s, pre: x - d(s(n(x))) if pre else n(x - d(s(x)))), None),
    "x twice": (both(lambda n, d, x, s, pre: 2 * x + d(s(n(x))) if pre else n(2 * x + d(s(x)))), None),
    "halved": (both(lambda n, d, x, s, pre: (x + d(s(n(x)))) / 2 if pre else n((x + d(s(x))) / 2)), None),
    "called twice": (both(called_twice), None),
    "sub-layer not called": (both(lambda n, d, x, s, pre: x + d(n(x)) if pre else n(x + d(x))), None),
    "norm of each": (both(lambda n, d, x, s, pre: x + n(d(s(x))) if pre else n(x) + n(d(s(x)))), None),
    "dropped twice": (both(lambda n, d, x, s, pre: x + d(d(s(n(x)))) if pre else n(x + d(d(s(x))))), "three tenths"),
    "dropped before and after": (
        both(lambda n, d, x, s, pre: d(x) + d(s(n(x))) if pre else n(d(x) + d(s(x)))), "dropout of nearly 1",
    ),
    "x dropped only": (both(lambda n, d, x, s, pre: d(x) + s(n(x)) if pre else n(d(x) + s(x))), "dropout of nearly 1"),
    "whole positions dropped": (WholePositions, None),
    "not divided": (NotDivided, "three tenths"),
    "another dropout": (Alpha, None),
    "training mode only": (
        wrapper(lambda self, x, s: Wrapper.forward(self, x, s) if self.training else x), "evaluation mode",
    ),
    "post-norm dropped": (
        both(lambda n, d, x, s, pre: x + d(s(n(x))) if pre else d(n(x + s(x)))), "post-norm your dropout comes after",
    ),
    "only post-norm drops": (
        both(lambda n, d, x, s, pre: x + s(n(x)) if pre else n(x + d(s(x)))), "With pre-norm your dropout is never",
    ),
    "only pre-norm drops": (
        both(lambda n, d, x, s, pre: x + d(s(n(x))) if pre else n(x + s(x))), "With post-norm your dropout is never",
    ),
    "dropout after the norm": (
        both(lambda n, d, x, s, pre: x + s(d(n(x))) if pre else d(n(x + s(x)))), "right after the norm, in both",
    ),
    "pre-norm dropped after the norm": (
        both(lambda n, d, x, s, pre: x + s(d(n(x))) if pre else n(x + d(s(x)))), "goes into the sub-layer",
    ),
    "pre-norm's sum dropped": (
        both(lambda n, d, x, s, pre: d(x + s(n(x))) if pre else n(x + d(s(x)))), "pre-norm you drop from the sum",
    ),
    "no x": (both(lambda n, d, x, s, pre: d(s(n(x))) if pre else n(d(s(x)))), "x itself is missing"),
    "no x, no dropout": (both(lambda n, d, x, s, pre: s(n(x)) if pre else n(s(x))), "x itself is missing"),
    "no x in post-norm": (both(lambda n, d, x, s, pre: x + d(s(n(x))) if pre else n(d(s(x)))), "x itself is missing"),
    "x plus norm of the sub-layer": (both(lambda n, d, x, s, pre: x + n(s(x))), "Whatever `norm` says"),
    "x plus norm, in post-norm": (
        both(lambda n, d, x, s, pre: x + d(s(n(x))) if pre else x + d(n(s(x)))), "§3.1 normalises the sum",
    ),
    "x plus norm, in pre-norm": (
        both(lambda n, d, x, s, pre: x + d(n(s(x))) if pre else n(x + d(s(x)))), "The norm comes before it",
    ),
    "post-norm bare": (both(lambda n, d, x, s, pre: x + d(s(n(x))) if pre else x + d(s(x))), "norm of the whole sum"),
    "pre-norm bare": (both(lambda n, d, x, s, pre: x + d(s(x)) if pre else n(x + d(s(x)))), "gets `normalise(x)`"),
    "norm of x alone": (
        both(lambda n, d, x, s, pre: x + d(s(n(x))) if pre else n(x) + d(s(x))), "around the whole sum",
    ),
    "sub-layer detached": (
        both(lambda n, d, x, s, pre: x + d(s(n(x)).detach()) if pre else n(x + d(s(x).detach()))), "gradient",
    ),
    "x detached": (
        both(lambda n, d, x, s, pre: x.detach() + d(s(n(x))) if pre else n(x.detach() + d(s(x)))), "gradient",
    ),
    "float64": (wrapper(lambda self, x, s: Wrapper.forward(self, x, s).double()), "float64"),
    "sub-layer in the constructor": (
        type("Early", (Wrapper,), {"__init__": lambda self, normalise, sublayer, dropout, norm: None}), "parameters",
    ),
    "no norm in the signature": (
        type("Post", (Wrapper,), {"__init__": lambda self, normalise, dropout: None}), "parameters",
    ),
}  # fmt: skip


class Functional(nn.Module):
    def __init__(self, normalise, dropout, norm="post"):
        super().__init__()
        self.n, self.p, self.norm = normalise, dropout, norm

    def forward(self, x, sublayer):
        y = sublayer(self.n(x) if self.norm == "pre" else x)
        total = x + F.dropout(y, self.p, training=self.training)
        return total if self.norm == "pre" else self.n(total)


class ByHand(Functional):
    """Its own mask, drawn with rand."""

    def forward(self, x, sublayer):
        y = sublayer(self.n(x) if self.norm == "pre" else x)
        if self.training and self.p > 0:
            y = y * (torch.rand_like(y) >= self.p) / (1 - self.p)
        return x + y if self.norm == "pre" else self.n(x + y)


class ByBernoulli(Functional):
    def forward(self, x, sublayer):
        before, after = (self.n, nn.Identity()) if self.norm == "pre" else (nn.Identity(), self.n)
        y = sublayer(before(x))
        if self.training:
            y = y.masked_fill(torch.full_like(y, self.p).bernoulli().bool(), 0.0).div(1 - self.p)
        return after(x + y)


class Modules(nn.Module):
    def __init__(self, normalise, dropout, norm="post", note="mine"):
        super().__init__()
        self.before = normalise if norm == "pre" else nn.Identity()
        self.after = normalise if norm == "post" else nn.Identity()
        self.drop = nn.Sequential(nn.Dropout(dropout))

    def forward(self, x, sublayer):
        return self.after(torch.add(x, self.drop(sublayer(self.before(x)))))


RIGHT_5_5 = {
    "other names": Wrapper,
    "the fast one": FusedResidual,
    "functional": Functional,
    "own mask": ByHand,
    "bernoulli": ByBernoulli,
    "identities": Modules,
    "by guard": wrapper(lambda self, x, sublayer: Wrapper.forward(self, x.clone(), sublayer)),
    "a maker": lambda normalise, dropout, norm="post": Wrapper(normalise, dropout, norm),
}


# 5.6 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Rms(nn.Module):
    """A right start with other names."""

    def __init__(self, d_model, epsilon=1e-5):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(d_model)), epsilon

    def forward(self, x):
        return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)


def rms(formula):
    return type("Changed", (Rms,), {"forward": formula})


def dividing(divisor):
    return rms(lambda self, x: x / divisor(x, self.eps) * self.weight)


def changes_x(self, x):
    x /= (x.square().mean(-1, keepdim=True) + self.eps).sqrt()
    return x * self.weight


class StartsAtZero(Rms):
    """One plus the weight, as Gemma has it."""

    def __init__(self, d_model, epsilon=1e-5):
        super().__init__(d_model, epsilon)
        nn.init.zeros_(self.weight)


class OneGain(Rms):
    def __init__(self, d_model, epsilon=1e-5):
        super().__init__(d_model, epsilon)
        self.weight = nn.Parameter(torch.ones(1))


class Buffer(nn.Module):
    def __init__(self, d_model, epsilon=1e-5):
        super().__init__()
        self.register_buffer("weight", torch.ones(d_model))
        self.eps = epsilon

    forward = Rms.forward


WRONG_5_6 = {
    "no return": (rms(lambda self, x: None), "return"),
    "changes x": (rms(changes_x), "`x`"),
    "starts at zero": (StartsAtZero, None),
    "one gain": (OneGain, "parameters"),
    "no parameters": (Buffer, "parameters none"),
    "multiplied by the root": (rms(lambda s, x: x * (x.square().mean(-1, True) + s.eps).sqrt() * s.weight), None),
    "over positions": (dividing(lambda x, e: (x.square().mean(-2 if x.dim() > 1 else -1, True) + e).sqrt()), None),
    "largest": (dividing(lambda x, e: x.abs().amax(-1, True) + e), None),
    "root of the mean, squared": (dividing(lambda x, e: (x.mean(-1, True).square() + e).sqrt()), None),
    "unbiased": (
        dividing(lambda x, e: (x.square().sum(-1, True) / max(x.size(-1) - 1, 1) + e).sqrt()), None,
    ),
    "ε squared": (dividing(lambda x, e: (x.square().mean(-1, True) + e * e).sqrt()), None),
    "largest of ε and the root": (dividing(lambda x, e: x.square().mean(-1, True).sqrt().clamp(min=e)), None),
    "gain added": (rms(lambda s, x: x / (x.square().mean(-1, True) + s.eps).sqrt() + s.weight), None),
    "one plus the gain": (rms(lambda s, x: Rms.forward(s, x) * (1 + s.weight) / s.weight), None),
    "statistics detached": (dividing(lambda x, e: (x.square().mean(-1, True) + e).sqrt().detach()), "gradient"),
    "float32 inside": (rms(lambda s, x: Rms.forward(s, x.float()).to(x.dtype)), "float32"),
    "float64": (rms(lambda s, x: Rms.forward(s, x).double()), "float64"),
    "training mode only": (rms(lambda s, x: Rms.forward(s, x) if s.training else x), None),
    "no epsilon": (type("NoEpsilon", (Rms,), {"__init__": lambda self, d_model: None}), "epsilon"),
}  # fmt: skip

RIGHT_5_6 = {
    "other names": Rms,
    "by the norm": dividing(lambda x, e: (x.norm(dim=-1, keepdim=True) ** 2 / x.size(-1) + e).sqrt()),
    "einsum": dividing(lambda x, e: (torch.einsum("...d,...d->...", x, x)[..., None] / x.size(-1) + e).sqrt()),
    "variance and mean": dividing(
        lambda x, e: (x.var(-1, keepdim=True, unbiased=False) + x.mean(-1, True).square() + e).sqrt()
    ),
    "float64 inside": rms(lambda s, x: Rms.forward(s, x.double()).to(x.dtype)),
    "loop": rms(
        lambda s, x: torch.stack([Rms.forward(s, row) for row in x.reshape(-1, x.size(-1))]).view_as(x)
    ),
    "an extra keyword": type(
        "Noted", (Rms,), {"__init__": lambda self, d_model, epsilon=1e-5, note="": Rms.__init__(self, d_model, epsilon)}
    ),
}  # fmt: skip


WRONG = {"5.5": WRONG_5_5, "5.6": WRONG_5_6}
RIGHT = {"5.5": RIGHT_5_5, "5.6": RIGHT_5_6}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)


class Borrowed(Rms):
    def forward(self, x):
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


def test_the_finished_rms_norm_is_refused():
    report = examine(exercise("5.6"), Borrowed)
    assert not report.passed and "does by itself" in report.message
