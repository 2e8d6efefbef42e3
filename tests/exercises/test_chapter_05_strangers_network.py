"""Chapter 05, the feed-forward network in both forms: answers as strangers would hand them in, wrong and right,
which no misconception was written after. Each wrong answer comes with words that its report must hold, or None.
"""

import functools

import torch
from torch import nn
from torch.nn import functional as F


def changed(base, **methods):
    return type("Changed", (base,), methods)


# 5.3 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Network(nn.Module):
    """Right, as a base for faults."""

    def __init__(self, d_model, d_ff):
        super().__init__()
        self.inner, self.outer = nn.Linear(d_model, d_ff), nn.Linear(d_ff, d_model)

    def forward(self, x):
        return self.outer(F.relu(self.inner(x)))


def forward(formula, base=Network):
    return changed(base, forward=formula)


class WidthDoubled(Network):
    def __init__(self, d_model, d_ff):
        super().__init__(d_model, 2 * d_ff)


class SizesExchanged(Network):
    def __init__(self, d_ff, d_model):
        super().__init__(d_model, d_ff)


class WithoutOuterBias(Network):
    def __init__(self, d_model, d_ff):
        super().__init__(d_model, d_ff)
        self.outer = nn.Linear(d_ff, d_model, bias=False)


class Tied(Network):
    """One matrix there and back."""

    def __init__(self, d_model, d_ff):
        super().__init__(d_model, d_ff)
        del self.outer
        self.bias = nn.Parameter(torch.zeros(d_model))

    def forward(self, x):
        return F.relu(self.inner(x)) @ self.inner.weight + self.bias


class LearntSlope(Network):
    def __init__(self, d_model, d_ff):
        super().__init__(d_model, d_ff)
        self.bend = nn.PReLU(init=0.0)

    def forward(self, x):
        return self.outer(self.bend(self.inner(x)))


class DropoutModule(Network):
    def __init__(self, d_model, d_ff, dropout=0.1):
        super().__init__(d_model, d_ff)
        self.drop = nn.Dropout(dropout)

    def forward(self, x):
        return self.outer(self.drop(F.relu(self.inner(x))))


class DropoutAtTheEnd(DropoutModule):
    def forward(self, x):
        return self.drop(Network.forward(self, x))


class Decays(Network):
    """Its own weights shrink with each call."""

    def forward(self, x):
        found = super().forward(x)
        with torch.no_grad():
            self.inner.weight.mul_(0.9)
        return found


class FirstCallOnly(Network):
    """Remembers what it gave for an input of that shape."""

    def __init__(self, d_model, d_ff):
        super().__init__(d_model, d_ff)
        self.kept = {}

    def forward(self, x):
        return self.kept.setdefault(tuple(x.shape), super().forward(x))


class BatchNormed(Network):
    def __init__(self, d_model, d_ff):
        super().__init__(d_model, d_ff)
        self.norm = nn.BatchNorm1d(d_ff, affine=False)

    def forward(self, x):
        hidden = F.relu(self.inner(x))
        return self.outer(self.norm(hidden.reshape(-1, hidden.size(-1))).view_as(hidden))


def last_position_only(self, x):
    return Network.forward(self, x[..., -1:, :]).expand_as(x) if x.dim() > 1 else Network.forward(self, x)


def by_view(self, x):
    return Network.forward(self, x.view(-1, x.shape[-1])).view(x.shape)


def by_batch_of_three(self, x):
    return torch.stack([torch.stack([Network.forward(self, x[i, j]) for j in range(x.size(1))]) for i in range(len(x))])


WRONG_5_3 = {
    "inner width doubled": (WidthDoubled, "parameters"),
    "sizes exchanged": (SizesExchanged, None),
    "no bias in the second": (WithoutOuterBias, "parameters"),
    "one matrix there and back": (Tied, "parameters"),
    "a learnt slope": (LearntSlope, "parameters"),
    "a dropout module": (DropoutModule, "dropout inside"),
    "a dropout at the end": (DropoutAtTheEnd, None),
    "weights shrink": (Decays, None),
    "remembers by shape": (FirstCallOnly, "the same module has been called before, with other"),
    "batch norm": (BatchNormed, "the module is in training mode"),
    "last position for all": (forward(last_position_only), None),
    "view": (forward(by_view), "view"),
    "two leading axes": (forward(by_batch_of_three), None),
    "ReLU over the whole layer": (forward(lambda s, x: s.outer(s.inner(x)) * (s.inner(x).sum(-1, True) > 0)), None),
    "ReLU of x W without its bias": (
        forward(lambda s, x: s.outer(F.relu(x @ s.inner.weight.T) + s.inner.bias)),
        None,
    ),
    "squared ReLU": (forward(lambda s, x: s.outer(F.relu(s.inner(x)).square())), None),
    "ELU": (forward(lambda s, x: s.outer(F.elu(s.inner(x)))), None),
    "softplus": (forward(lambda s, x: s.outer(F.softplus(s.inner(x)))), None),
    "max with 1": (forward(lambda s, x: s.outer(s.inner(x).clamp(min=1))), None),
    "clamped to (0, 1)": (forward(lambda s, x: s.outer(s.inner(x).clamp(0, 1))), None),
    "tanh GELU": (forward(lambda s, x: s.outer(F.gelu(s.inner(x), approximate="tanh"))), None),
    "torch.max over features": (
        forward(lambda s, x: s.outer(torch.max(s.inner(x), dim=-1, keepdim=True).values)),
        None,
    ),
    "inner detached": (forward(lambda s, x: s.outer(F.relu(s.inner(x).detach()))), "gradient"),
    "mean over the batch": (forward(lambda s, x: Network.forward(s, x) - Network.forward(s, x).mean(0)), None),
    "generator": (forward(lambda s, x: (Network.forward(s, row) for row in x)), "generator"),
}


class Named(nn.Sequential):
    """nn.Sequential by inheritance, which needs no forward."""

    def __init__(self, d_model, d_ff):
        super().__init__(nn.Linear(d_model, d_ff), nn.ReLU(inplace=True), nn.Linear(d_ff, d_model))


class WithDropoutOfNothing(Network):
    def __init__(self, d_model, d_ff=2048, dropout=0.0, activation=F.relu):
        super().__init__(d_model, d_ff)
        self.drop, self.activation = nn.Dropout(dropout), activation

    def forward(self, x):
        return self.outer(self.drop(self.activation(self.inner(x))))


class InAList(nn.Module):
    def __init__(self, d_model, d_ff):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(*sizes) for sizes in ((d_model, d_ff), (d_ff, d_model)))

    def forward(self, x):
        first, second = self.layers
        return second(torch.where(first(x) > 0, first(x), 0.0))


class Functional(nn.Module):
    """Parameters of its own, put to use by F.linear."""

    def __init__(self, d_model, d_ff):
        super().__init__()
        self.b2, self.b1 = nn.Parameter(torch.zeros(d_model)), nn.Parameter(torch.zeros(d_ff))
        self.w2, self.w1 = nn.Parameter(torch.randn(d_model, d_ff)), nn.Parameter(torch.randn(d_ff, d_model))

    def forward(self, x):
        return F.linear(F.threshold(F.linear(x, self.w1, self.b1), 0.0, 0.0), self.w2, self.b2)


class Initialised(Network):
    def __init__(self, d_model, d_ff):
        super().__init__(d_model, d_ff)
        for layer in (self.inner, self.outer):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)


RIGHT_5_3 = {
    "nn.Sequential inherited": Named,
    "dropout of nothing": WithDropoutOfNothing,
    "module list": InAList,
    "functional": Functional,
    "initialised by hand": Initialised,
    "partial": functools.partial(WithDropoutOfNothing, dropout=0.0),
    "unit by unit": forward(
        lambda s, x: (
            s.outer.bias
            + sum(
                u[..., None] * c for u, c in zip(F.relu(s.inner(x)).unbind(-1), s.outer.weight.unbind(1), strict=True)
            )
        )
    ),
    "relu_": forward(lambda s, x: s.outer(s.inner(x).relu_())),
    "static": forward(lambda s, x: s.outer(torch.max(s.inner(x), torch.tensor(0.0)))),
}


# 5.4 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def conv(x, w, b, v, c, **options):
    return F.conv1d(F.conv1d(x.transpose(1, 2), w, b, **options).relu(), v, c).transpose(1, 2)


def own_modules(x, w, b, v, c):
    first, second = nn.Conv1d(x.size(2), w.size(0), 1), nn.Conv1d(w.size(0), x.size(2), 1)
    first.weight.data, first.bias.data, second.weight.data, second.bias.data = w, b, v, c
    return second(first(x.transpose(1, 2).float()).relu()).transpose(1, 2)


def own_parameters(x, w, b, v, c):
    first, second = nn.Conv1d(x.size(2), w.size(0), 1), nn.Conv1d(w.size(0), x.size(2), 1)
    first.weight, first.bias, second.weight, second.bias = map(nn.Parameter, (w, b, v, c))
    return second(first(x.transpose(1, 2)).relu()).transpose(1, 2)


def changes_w(x, w, b, v, c):
    w.squeeze_(-1)
    return F.linear(F.linear(x, w, b).relu(), v[..., 0], c)


WRONG_5_4 = {
    "weights into modules": (own_modules, "That happens exactly where this holds: the inputs are"),
    "parameters anew": (own_parameters, "gradient"),
    "squeezes a weight in place": (changes_w, "`inner_weight`"),
    "ReLU before both": (lambda x, w, b, v, c: conv(x.relu(), w, b, v, c), None),
    "ReLU of x and between": (lambda x, w, b, v, c: F.conv1d(F.conv1d(x.mT.relu(), w, b).relu(), v, c).mT, None),
    "biases after the ReLU": (
        lambda x, w, b, v, c: F.conv1d(F.conv1d(x.mT, w).relu() + b[:, None], v, c).mT,
        None,
    ),
    "only the outer bias forgotten": (
        lambda x, w, b, v, c: conv(x, w, b, v, None),
        "Your result stays the same whatever `outer_bias` is.",
    ),
    "no transposition, length for width": (
        lambda x, w, b, v, c: F.conv1d(F.conv1d(x, w, b).relu(), v, c),
        "You hand x to the convolution as it is",
    ),
    "transposed once": (
        lambda x, w, b, v, c: F.conv1d(F.conv1d(x.mT, w, b).relu(), v, c).reshape(x.shape),
        "On the way back you reshape: that cuts (batch, d_model",
    ),
    "permuted wrongly": (lambda x, w, b, v, c: conv(x.permute(1, 0, 2), w, b, v, c), None),
    "batch squeezed": (lambda x, w, b, v, c: conv(x, w, b, v, c).squeeze(0), None),
    "a single sentence": (lambda x, w, b, v, c: conv(x[:1], w, b, v, c), None),
    "position squeezed": (lambda x, w, b, v, c: conv(x, w, b, v, c).squeeze(1), None),
    "residual": (lambda x, w, b, v, c: conv(x, w, b, v, c) + x, None),
    "dilated and padded": (lambda x, w, b, v, c: conv(x, w, b, v, c, padding=1)[:, :-2], None),
    "stride of the width": (lambda x, w, b, v, c: conv(x, w, b, v, c, stride=w.size(-1) + 1), "shape"),
    "transposed convolution": (
        lambda x, w, b, v, c: F.conv_transpose1d(F.conv_transpose1d(x.mT, v, b).relu(), w, c).mT,
        None,
    ),
    "weights' mean": (lambda x, w, b, v, c: conv(x, w.mean(-1, True), b.mean().expand_as(b), v, c), None),
    "leaky": (lambda x, w, b, v, c: F.conv1d(F.leaky_relu(F.conv1d(x.mT, w, b)), v, c).mT, None),
    "float32": (lambda *a: conv(*(part.float() for part in a)), "float"),
    "no gradient": (torch.no_grad()(conv), "gradient"),
    "tuple of both": (lambda x, w, b, v, c: (F.conv1d(x.mT, w, b), conv(x, w, b, v, c)), "tuple"),
    "weights exchanged, biases too": (lambda x, w, b, v, c: conv(x, v.mT, b, w.mT, c), None),
}


def by_unfolding(x, w, b, v, c):
    def slide(channels, weight, bias):
        windows = channels.unfold(2, 1, 1)  # (batch, channels, length, 1)
        return torch.einsum("bclw,ocw->bol", windows, weight) + bias[:, None]

    return slide(slide(x.mT, w, b).relu(), v, c).mT


def position_by_position(x, w, b, v, c):
    w, v = w.squeeze(-1), v.squeeze(-1)
    rows = [(x[:, t] @ w.T + b).clamp(min=0) @ v.T + c for t in range(x.shape[1])]
    return torch.stack(rows, dim=1)


RIGHT_5_4 = {
    "unfolded": by_unfolding,
    "position by position": position_by_position,
    "padding of nothing": functools.partial(conv, padding="same"),
    "sentence by sentence": lambda x, w, b, v, c: torch.stack([conv(row[None], w, b, v, c)[0] for row in x]),
    "an extra keyword": lambda x, inner_weight, inner_bias, outer_weight, outer_bias, activation=F.relu: (
        F.conv1d(activation(F.conv1d(x.mT, inner_weight, inner_bias)), outer_weight, outer_bias).mT
    ),
    "swapaxes": lambda x, w, b, v, c: torch.swapaxes(
        torch.conv1d(torch.conv1d(torch.swapaxes(x, -1, -2), w, b).relu_(), v, c), -1, -2
    ),
    "bias by hand": lambda x, w, b, v, c: (F.conv1d((F.conv1d(x.mT, w) + b[:, None]).relu(), v) + c.view(-1, 1)).mT,
}


WRONG = {"5.3": WRONG_5_3, "5.4": WRONG_5_4}
RIGHT = {"5.3": RIGHT_5_3, "5.4": RIGHT_5_4}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
