"""Chapter 05, the feed-forward network in both forms and SwiGLU, from outside: plausible wrong answers that no
misconception was written for, and unusual right ones.

Each wrong answer comes with words that its explanation must contain, or None where a plain "not the expected numbers"
is all that is asked of the check.
"""

import torch
from torch import nn
from torch.nn import functional as F

# 5.3 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Network(nn.Module):
    """A right start with other names."""

    def __init__(self, d_model, d_ff):
        super().__init__()
        self.up = nn.Linear(d_model, d_ff)
        self.down = nn.Linear(d_ff, d_model)

    def forward(self, x):
        return self.down(F.relu(self.up(x)))


def network(formula):
    return type("Changed", (Network,), {"forward": formula})


class InitialisedWithWidths(Network):
    def __init__(self, d_model, d_ff):
        super().__init__(d_model, 4 * d_model)


class OneLayer(nn.Module):
    def __init__(self, d_model, d_ff):
        super().__init__()
        self.only = nn.Linear(d_model, d_model)

    def forward(self, x):
        return self.only(x).relu()


class ThreeLayers(Network):
    def __init__(self, d_model, d_ff):
        super().__init__(d_model, d_ff)
        self.middle = nn.Linear(d_ff, d_ff)


class WithNorm(Network):
    def __init__(self, d_model, d_ff):
        super().__init__(d_model, d_ff)
        self.normalise = nn.LayerNorm(d_model)


class InPlainList(nn.Module):
    def __init__(self, d_model, d_ff):
        super().__init__()
        self.layers = [nn.Linear(d_model, d_ff), nn.Linear(d_ff, d_model)]

    def forward(self, x):
        return self.layers[1](self.layers[0](x).relu())


class NewEachTime(nn.Module):
    def __init__(self, d_model, d_ff):
        super().__init__()
        self.sizes = d_model, d_ff

    def forward(self, x):
        d_model, d_ff = self.sizes
        return nn.Linear(d_ff, d_model)(nn.Linear(d_model, d_ff)(x).relu())


class DropsAlways(Network):
    def forward(self, x):
        return self.down(F.dropout(self.up(x).relu(), 0.5))


class DropsInTraining(Network):
    def forward(self, x):
        return self.down(F.dropout(self.up(x).relu(), 0.5, self.training))


def mixing_positions(self, x):
    return Network.forward(self, x.mean(dim=-2, keepdim=True).expand_as(x) if x.dim() > 1 else x)


def changing(self, x):
    return Network.forward(self, x.mul_(1.5)) / 1.5


def in_batches_only(self, x):
    batch, length, width = x.shape
    return Network.forward(self, x.view(batch * length, width)).view(batch, length, width)


WRONG_5_3 = {
    "no return": (network(lambda self, x: None), "return"),
    "leaky ReLU": (network(lambda self, x: self.down(F.leaky_relu(self.up(x), 0.1))), None),
    "ReLU6": (network(lambda self, x: self.down(F.relu6(self.up(x) * 4) / 4)), None),
    "ReLU6 as it is": (network(lambda self, x: self.down(F.relu6(self.up(x)))), None),
    "SiLU": (network(lambda self, x: self.down(F.silu(self.up(x)))), None),
    "min for max": (network(lambda self, x: self.down(self.up(x).clamp(max=0))), None),
    "softmax inside": (network(lambda self, x: self.down(self.up(x).softmax(-1))), None),
    "first layer only": (network(lambda self, x: self.up(x).relu()), "shape"),
    "bias of the first added twice": (network(lambda self, x: self.down((self.up(x) + self.up.bias).relu())), None),
    "bias of the second missing": (network(lambda s, x: s.up(x).relu() @ s.down.weight.T), None),
    "layers in a plain list": (InPlainList, "parameters none"),
    "new layers in each call": (NewEachTime, "parameters none"),
    "one layer": (OneLayer, "parameters"),
    "three layers": (ThreeLayers, "parameters"),
    "with a norm": (WithNorm, "parameters"),
    "d_ff ignored": (InitialisedWithWidths, "parameters"),
    "no d_ff": (type("NoInner", (Network,), {"__init__": lambda self, d_model: None}), "parameters"),
    "drops always": (DropsAlways, None),
    "drops in training": (DropsInTraining, "training mode"),
    "positions averaged": (network(mixing_positions), None),
    "changes x": (network(changing), "`x`"),
    "three axes only": (network(in_batches_only), "ValueError"),
    "detached": (network(lambda self, x: Network.forward(self, x).detach()), "gradient"),
    "float64": (network(lambda self, x: Network.forward(self, x).double()), "float64"),
    "pair": (network(lambda self, x: (Network.forward(self, x), x)), "tuple"),
    "divided": (network(lambda self, x: Network.forward(self, x) / 2), "0.5 times"),
    "an object": (Network(4, 6), "class itself"),
}


class OwnMatrices(nn.Module):
    """x W as the paper writes it: matrices the other way round."""

    def __init__(self, d_model, d_ff):
        super().__init__()
        self.w1, self.b1 = nn.Parameter(torch.randn(d_model, d_ff)), nn.Parameter(torch.zeros(d_ff))
        self.w2, self.b2 = nn.Parameter(torch.randn(d_ff, d_model)), nn.Parameter(torch.zeros(d_model))

    def forward(self, x):
        return torch.clamp(x @ self.w1 + self.b1, min=0) @ self.w2 + self.b2


class OuterFirst(nn.Module):
    def __init__(self, d_model, d_ff):
        super().__init__()
        self.outer = nn.Linear(d_ff, d_model)
        self.inner = nn.Linear(d_model, d_ff)

    def forward(self, x):
        return self.outer(torch.maximum(self.inner(x), torch.zeros(())))


RIGHT_5_3 = {
    "other names": Network,
    "nn.Sequential": lambda d_model, d_ff: nn.Sequential(nn.Linear(d_model, d_ff), nn.ReLU(), nn.Linear(d_ff, d_model)),
    "own matrices": OwnMatrices,
    "outer first": OuterFirst,
    "by masking": network(lambda self, x: self.down(self.up(x) * (self.up(x) > 0))),
    "half the sum with the absolute value": network(lambda s, x: s.down((s.up(x) + s.up(x).abs()) / 2)),
    "flattened": network(lambda s, x: Network.forward(s, x.reshape(-1, x.size(-1))).view_as(x)),
    "einsum": network(
        lambda s, x: torch.einsum("...f,df->...d", s.up(x).relu(), s.down.weight) + s.down.bias
    ),
}  # fmt: skip


# 5.4 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def right(x, w, b, v, c):
    return (F.relu(F.conv1d(x.mT, w, b)).mT @ v[..., 0].T) + c


def conv(x, w, b):
    return F.conv1d(x.transpose(1, 2), w, b).transpose(1, 2)


def changes_x(x, w, b, v, c):
    x = x.transpose_(1, 2)
    return F.conv1d(F.conv1d(x, w, b).relu(), v, c).transpose(1, 2)


def biases_exchanged(x, w, b, v, c):
    return right(x, w, c.mean().expand_as(b), v, b.mean().expand_as(c))


WRONG_5_4 = {
    "no return": (lambda x, w, b, v, c: None, "return"),
    "changes x": (changes_x, "`x`"),
    "biases exchanged": (biases_exchanged, None),
    "weights exchanged": (lambda x, w, b, v, c: conv(conv(x, v, c).relu(), w, b), None),
    "GELU": (lambda x, w, b, v, c: conv(F.gelu(conv(x, w, b)), v, c), None),
    "stride 2": (lambda x, w, b, v, c: F.conv1d(F.conv1d(x.mT, w, b, stride=2).relu(), v, c).mT, "shape"),
    "weights squeezed": (lambda x, w, b, v, c: F.conv1d(F.conv1d(x.mT, w.squeeze(-1), b).relu(), v, c).mT, None),
    "x added": (lambda x, w, b, v, c: x + right(x, w, b, v, c), None),
    "no outer bias": (lambda x, w, b, v, c: conv(conv(x, w, b).relu(), v, None), None),
    "outer bias before the ReLU": (lambda x, w, b, v, c: conv((conv(x, w, b) + c.mean()).relu(), v, c), None),
    "turned twice too often": (lambda x, w, b, v, c: conv(conv(x, w, b).relu(), v, c).mT, None),
    "first sentence only": (lambda x, w, b, v, c: right(x[:1], w, b, v, c).expand_as(x), None),
    "first position only": (lambda x, w, b, v, c: right(x[:, :1], w, b, v, c).expand_as(x), None),
    "float64": (lambda *arguments: right(*arguments).double(), "float64"),
    "float32 inside": (lambda *a: right(*(part.float() for part in a)).to(a[0].dtype), "float32"),
    "new modules": (
        lambda x, w, b, v, c: nn.Conv1d(w.size(0), x.size(2), 1)(nn.Conv1d(x.size(2), w.size(0), 1)(x.mT).relu()).mT,
        None,
    ),
    "detached": (lambda *arguments: right(*arguments).detach(), "gradient"),
    "weights' data": (lambda x, w, b, v, c: right(x, w.data, b, v, c), "gradient"),
    "list": (lambda *arguments: right(*arguments).tolist(), "Tensor"),
    "padded and cut at the front": (
        lambda x, w, b, v, c: F.conv1d(F.conv1d(x.mT, w, b, padding=1).relu(), v, c).mT[:, : x.size(1)], None,
    ),
    "two dimensions": (lambda x, w, b, v, c: F.conv2d(x.mT, w, b), None),
    "no biases in the signature": (lambda x, w, v: right(x, w, None, v, None), "parameters"),
}  # fmt: skip


def modules_5_4(x, inner_weight, inner_bias, outer_weight, outer_bias):
    def module(weight, bias):
        made = nn.Conv1d(weight.size(1), weight.size(0), 1)
        return lambda channels: torch.func.functional_call(made, {"weight": weight, "bias": bias}, (channels,))

    return module(outer_weight, outer_bias)(module(inner_weight, inner_bias)(x.mT).relu()).mT


RIGHT_5_4 = {
    "half by matrices": right,
    "turned in between": lambda x, w, b, v, c: conv(conv(x, w, b).relu(), v, c),
    "permute": lambda x, w, b, v, c: F.conv1d(F.conv1d(x.permute(0, 2, 1), w, b).relu(), v, c).permute(0, 2, 1),
    "modules": modules_5_4,
    "two dimensions": lambda x, w, b, v, c: F.conv2d(
        F.conv2d(x.mT[..., None], w[..., None], b).relu(), v[..., None], c
    )[..., 0].mT,
    "linear": lambda x, w, b, v, c: F.linear(F.linear(x, w[..., 0], b).relu(), v[..., 0], c),
    "float64 inside": lambda *a: right(*(part.double() for part in a)).to(a[0].dtype),
    "contiguous": lambda x, w, b, v, c: F.conv1d(F.conv1d(x.mT.contiguous(), w, b).clamp(min=0), v, c).mT.contiguous(),
    "einsum": lambda x, w, b, v, c: torch.einsum(
        "bfl,dfk->bld", (torch.einsum("bld,fdk->bfl", x, w) + b[:, None]).relu(), v
    ) + c,
}  # fmt: skip


# 5.7 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Gated(nn.Module):
    """A right start with other names."""

    def __init__(self, d_model, d_ff):
        super().__init__()
        width = int(2 * d_ff / 3)
        self.w, self.v = nn.Linear(d_model, width, bias=False), nn.Linear(d_model, width, bias=False)
        self.w2 = nn.Linear(width, d_model, bias=False)

    def forward(self, x):
        return self.w2(F.silu(self.w(x)) * self.v(x))


def gated(formula):
    return type("Changed", (Gated,), {"forward": formula})


class RoundedUp(Gated):
    def __init__(self, d_model, d_ff):
        super().__init__(d_model, d_ff)
        width = -(-2 * d_ff // 3) + 1
        self.w, self.v = nn.Linear(d_model, width, bias=False), nn.Linear(d_model, width, bias=False)
        self.w2 = nn.Linear(width, d_model, bias=False)


class OuterBias(Gated):
    def __init__(self, d_model, d_ff):
        super().__init__(d_model, d_ff)
        self.w2 = nn.Linear(self.w.out_features, d_model)


class OneMatrixForBoth(nn.Module):
    def __init__(self, d_model, d_ff):
        super().__init__()
        self.w = nn.Linear(d_model, 2 * d_ff // 3, bias=False)
        self.w2 = nn.Linear(2 * d_ff // 3, d_model, bias=False)

    def forward(self, x):
        return self.w2(F.silu(self.w(x)) * self.w(x))


WRONG_5_7 = {
    "no return": (gated(lambda self, x: None), "return"),
    "rounded up": (RoundedUp, "parameters"),
    "outer bias": (OuterBias, "parameters"),
    "one matrix for both": (OneMatrixForBoth, "parameters"),
    "gate twice": (gated(lambda s, x: s.w2(F.silu(s.w(x)) * s.w(x))), None),
    "tanh": (gated(lambda s, x: s.w2(s.w(x).tanh() * s.v(x))), None),
    "x added": (gated(lambda s, x: x + Gated.forward(s, x)), None),
    "softmax gate": (gated(lambda s, x: s.w2(s.w(x).softmax(-1) * s.v(x))), None),
    "subtracted": (gated(lambda s, x: s.w2(F.silu(s.w(x)) - s.v(x))), None),
    "not brought back": (gated(lambda s, x: F.silu(s.w(x)) * s.v(x)), "shape"),
    "drops in training": (gated(lambda s, x: s.w2(F.dropout(F.silu(s.w(x)) * s.v(x), 0.5, s.training))), None),
    "positions averaged": (gated(lambda s, x: Gated.forward(s, x.mean(-2, keepdim=True).expand_as(x))), None),
    "detached gate": (gated(lambda s, x: s.w2(F.silu(s.w(x)).detach() * s.v(x))), "gradient"),
    "float64": (gated(lambda s, x: Gated.forward(s, x).double()), "float64"),
    "Eq. 2 again": (Network, "parameters"),
    "softplus": (gated(lambda s, x: s.w2(F.softplus(s.w(x)) * s.v(x))), None),
    "changes x": (gated(lambda s, x: Gated.forward(s, x.mul_(2))), "`x`"),
}


class InOne(nn.Module):
    """One matrix for gate and inner, as many models of today have it."""

    def __init__(self, d_model, d_ff):
        super().__init__()
        self.both = nn.Linear(d_model, 2 * (2 * d_ff // 3), bias=False)
        self.out = nn.Linear(2 * d_ff // 3, d_model, bias=False)

    def forward(self, x):
        gate, inner = self.both(x).chunk(2, dim=-1)
        return self.out(F.silu(gate) * inner)


class InOneInnerFirst(InOne):
    def forward(self, x):
        inner, gate = self.both(x).chunk(2, dim=-1)
        return self.out(F.silu(gate) * inner)


class OwnMatricesGated(nn.Module):
    def __init__(self, d_model, d_ff):
        super().__init__()
        width = 2 * d_ff // 3
        self.w, self.v = nn.Parameter(torch.randn(d_model, width)), nn.Parameter(torch.randn(d_model, width))
        self.w2 = nn.Parameter(torch.randn(width, d_model))

    def forward(self, x):
        z = x @ self.w
        return (z * z.sigmoid() * (x @ self.v)) @ self.w2


class InnerFirst(nn.Module):
    def __init__(self, d_model, d_ff):
        super().__init__()
        width = 2 * d_ff // 3
        self.v, self.w = nn.Linear(d_model, width, bias=False), nn.Linear(d_model, width, bias=False)
        self.w2 = nn.Linear(width, d_model, bias=False)

    def forward(self, x):
        return self.w2(F.silu(self.w(x)) * self.v(x))


RIGHT_5_7 = {
    "other names": Gated,
    "inner first": InnerFirst,
    "in one": InOne,
    "in one, inner first": InOneInnerFirst,
    "own matrices": OwnMatricesGated,
    "SiLU by hand": gated(lambda s, x: s.w2(s.w(x) / (1 + (-s.w(x)).exp()) * s.v(x))),
    "einsum": gated(lambda s, x: torch.einsum("...f,df->...d", F.silu(s.w(x)) * s.v(x), s.w2.weight)),
}


WRONG = {"5.3": WRONG_5_3, "5.4": WRONG_5_4, "5.7": WRONG_5_7}
RIGHT = {"5.3": RIGHT_5_3, "5.4": RIGHT_5_4, "5.7": RIGHT_5_7}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
