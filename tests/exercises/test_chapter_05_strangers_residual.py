"""Chapter 05, the residual connection: answers as strangers would hand them in, wrong and right,
which no misconception was written after. Each wrong answer comes with words that its report must hold, or None.
"""

import functools

import torch
from torch import nn
from torch.nn import functional as F


def changed(base, **methods):
    return type("Changed", (base,), methods)


# 5.5 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Wrapper(nn.Module):
    """Right, as a base for faults."""

    def __init__(self, normalise, dropout, norm="post"):
        super().__init__()
        self.normalise, self.dropout, self.norm = normalise, nn.Dropout(dropout), norm

    def forward(self, x, sublayer):
        return self.pre(x, sublayer) if self.norm == "pre" else self.post(x, sublayer)

    def post(self, x, sublayer):
        return self.normalise(x + self.drop(sublayer(x)))

    def pre(self, x, sublayer):
        return x + self.drop(sublayer(self.normalise(x)))

    def drop(self, y):
        return self.dropout(y)


class KeepsTheSublayer(Wrapper):
    def forward(self, x, sublayer):
        self.sublayer = sublayer
        return super().forward(x, self.sublayer)


class CallsForward(Wrapper):
    def forward(self, x, sublayer):
        return super().forward(x, sublayer.forward)


class CopyOfTheNorm(Wrapper):
    def __init__(self, normalise, dropout, norm="post"):
        import copy

        super().__init__(copy.deepcopy(normalise), dropout, norm)


class NormOfItsWidth(Wrapper):
    """Makes a norm of the class it is given."""

    def __init__(self, normalise, dropout, norm="post"):
        made = type(normalise)(*normalise.normalized_shape) if hasattr(normalise, "normalized_shape") else normalise
        super().__init__(made, dropout, norm)


class NoneForNorm(Wrapper):
    def __init__(self, normalise, dropout, norm=None):
        super().__init__(normalise, dropout, norm or "pre")


class DropoutDefault(Wrapper):
    def __init__(self, normalise, norm="post", dropout=0.1):
        super().__init__(normalise, dropout, norm)


class HalfDropout(Wrapper):
    def __init__(self, normalise, dropout, norm="post"):
        super().__init__(normalise, dropout / 2, norm)


class FeatureDropout(Wrapper):
    def __init__(self, normalise, dropout, norm="post"):
        super().__init__(normalise, dropout, norm)
        self.dropout = nn.FeatureAlphaDropout(dropout)


class OneMaskForTheBatch(Wrapper):
    """Drops the same numbers in every sentence."""

    def __init__(self, normalise, dropout, norm="post"):
        super().__init__(normalise, 0.0, norm)
        self.share = dropout

    def drop(self, y):
        if not self.training or not self.share:
            return y
        return y * (torch.rand(y.shape[1:]) >= self.share) / (1 - self.share)


class DropsByMean(Wrapper):
    def __init__(self, normalise, dropout, norm="post"):
        super().__init__(normalise, 0.0, norm)
        self.share = dropout

    def drop(self, y):
        return y * (1 - self.share) if self.training else y


class KeptMask(Wrapper):
    """Draws its mask once, at the first call."""

    mask = None

    def __init__(self, normalise, dropout, norm="post"):
        super().__init__(normalise, 0.0, norm)
        self.share = dropout

    def drop(self, y):
        if not self.training or not self.share:
            return y
        if self.mask is None or self.mask.shape != y.shape:
            self.mask = (torch.rand_like(y) >= self.share) / (1 - self.share)
        return y * self.mask


class RaisesOtherwise(Wrapper):
    def forward(self, x, sublayer):
        if self.norm == "post":
            return self.post(x, sublayer)
        raise ValueError(self.norm)


def returns_pair(self, x, sublayer):
    found = Wrapper.forward(self, x, sublayer)
    return found, x


WRONG_5_5 = {
    "keeps the sub-layer": (KeepsTheSublayer, None),
    "calls forward": (CallsForward, "the sub-layer is a function, not a module"),
    "copy of the norm": (CopyOfTheNorm, "gradient"),
    "norm made anew": (NormOfItsWidth, "That happens exactly where this holds: the norm handed"),
    "pre-norm when nothing is said": (NoneForNorm, "the paper's form"),
    "dropout last": (DropoutDefault, None),
    "half of the dropout": (HalfDropout, "nothing of x"),
    "drops features": (FeatureDropout, None),
    "one mask for the batch": (OneMaskForTheBatch, None),
    "mean in place of dropping": (DropsByMean, None),
    "mask drawn once": (KeptMask, None),
    "pre-norm not written": (RaisesOtherwise, "ValueError"),
    "returns x too": (changed(Wrapper, forward=returns_pair), "tuple"),
    "norm before the addition, twice": (
        changed(Wrapper, post=lambda s, x, f: s.normalise(x) + s.normalise(s.dropout(f(x)))),
        "norm is post",
    ),
    "norm of x and of the sum": (
        changed(Wrapper, post=lambda s, x, f: s.normalise(s.normalise(x) + s.dropout(f(x)))),
        "norm is post",
    ),
    "twice the sub-layer": (
        changed(Wrapper, post=lambda s, x, f: s.normalise(x + 2 * s.dropout(f(x)))),
        None,
    ),
    "pre-norm of the sum": (changed(Wrapper, pre=lambda s, x, f: s.normalise(x) + s.dropout(f(x))), None),
    "pre-norm feeds the sum": (
        changed(Wrapper, pre=lambda s, x, f: x + s.dropout(f(s.normalise(x) + x))),
        None,
    ),
    "pre-norm without x in training": (
        changed(Wrapper, pre=lambda s, x, f: (0 if s.training else x) + s.dropout(f(s.normalise(x)))),
        None,
    ),
    "x added in place": (changed(Wrapper, pre=lambda s, x, f: x.add_(s.dropout(f(s.normalise(x))))), "`x`"),
    "no gradient through the norm": (
        changed(Wrapper, pre=lambda s, x, f: x + s.dropout(f(s.normalise(x).detach()))),
        "gradient",
    ),
    "functional dropout, always on": (
        changed(Wrapper, pre=lambda s, x, f: x + F.dropout(f(s.normalise(x)), s.dropout.p)),
        "You drop in evaluation mode as well",
    ),
    "functional dropout of a half": (
        changed(Wrapper, post=lambda s, x, f: s.normalise(x + F.dropout(f(x), training=s.training))),
        None,
    ),
    "weighted": (changed(Wrapper, post=lambda s, x, f: s.normalise(0.5 * x + 0.5 * s.dropout(f(x)))), None),
    "sub-layer sees x and its norm": (
        changed(Wrapper, pre=lambda s, x, f: x + s.dropout(f(x) + f(s.normalise(x)))),
        None,
    ),
    "sub-layer of x.data": (changed(Wrapper, post=lambda s, x, f: s.normalise(x + s.dropout(f(x.data)))), "gradient"),
}


class ByTable(nn.Module):
    """The two forms in a dictionary of functions."""

    def __init__(self, normalise, dropout=0.1, norm="post"):
        super().__init__()
        drop = nn.Dropout(dropout)
        self.norm_module, self.drop = normalise, drop
        self.form = {
            "post": lambda x, f: normalise(torch.add(drop(f(x)), x)),
            "pre": lambda x, f: torch.add(drop(f(normalise(x))), x),
        }[norm]

    def forward(self, x, sublayer, *more):
        return self.form(x, sublayer)


class Compared(Wrapper):
    def __init__(self, normalise, dropout, norm="post"):
        if norm not in ("post", "pre"):
            raise ValueError(f"norm is {norm!r}")
        super().__init__(normalise, float(dropout), norm.lower())

    def forward(self, x, sublayer):
        residual, inner = x, self.normalise(x) if self.norm != "post" else x
        total = self.dropout(sublayer(inner)) + residual
        return self.normalise(total) if self.norm == "post" else total


class InplaceDropout(Wrapper):
    """Drops in place in what is its own."""

    def __init__(self, normalise, dropout, norm="post"):
        super().__init__(normalise, dropout, norm)
        self.dropout = nn.Dropout(dropout)

    def pre(self, x, sublayer):
        y = sublayer(self.normalise(x)).clone()
        return F.dropout(y, self.dropout.p, self.training, inplace=True).add_(x)


class TwoClasses(nn.Module):
    def __new__(cls, normalise, dropout, norm="post"):
        wrapper = Wrapper(normalise, dropout, norm)
        wrapper.forward = wrapper.post if norm == "post" else wrapper.pre
        return wrapper


RIGHT_5_5 = {
    "by table": ByTable,
    "compared": Compared,
    "in place where it may": InplaceDropout,
    "made by __new__": TwoClasses,
    "partial": functools.partial(ByTable),
    "where": changed(Wrapper, pre=lambda s, x, f: torch.stack([x, s.dropout(f(s.normalise(x)))]).sum(0)),
}


WRONG = {"5.5": WRONG_5_5}
RIGHT = {"5.5": RIGHT_5_5}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
