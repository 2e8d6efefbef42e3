"""Chapter 05, layer norm: answers as strangers would hand them in, wrong and right,
which no misconception was written after. Each wrong answer comes with words that its report must hold, or None.
"""

import functools

import torch
from torch import nn
from torch.nn import functional as F

# 5.1 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Norm(nn.Module):
    """Right, as a base for faults."""

    def __init__(self, d_model, epsilon=1e-5):
        super().__init__()
        self.d_model, self.epsilon = d_model, epsilon
        self.gain, self.bias = nn.Parameter(torch.ones(d_model)), nn.Parameter(torch.zeros(d_model))

    def forward(self, x):
        return self.standard(x) * self.gain + self.bias

    def standard(self, x):
        mean = x.mean(-1, keepdim=True)
        return (x - mean) / torch.sqrt(((x - mean) ** 2).mean(-1, keepdim=True) + self.epsilon)


def forward(formula, base=Norm):
    return type("Changed", (base,), {"forward": formula})


def standard(formula):
    return type("Changed", (Norm,), {"standard": formula})


class EpsilonOfPyTorchsName(Norm):
    def __init__(self, d_model, eps=1e-5):
        super().__init__(d_model, eps)


class OtherDefault(Norm):
    def __init__(self, d_model, epsilon=1e-6):
        super().__init__(d_model, epsilon)


class LargeDefault(Norm):
    def __init__(self, d_model, epsilon=1e-3):
        super().__init__(d_model, epsilon)


class LearnsEpsilon(Norm):
    def __init__(self, d_model, epsilon=1e-5):
        super().__init__(d_model, epsilon)
        self.epsilon = nn.Parameter(torch.tensor(epsilon))


class BiasOfOnes(Norm):
    def __init__(self, d_model, epsilon=1e-5):
        super().__init__(d_model, epsilon)
        self.bias = nn.Parameter(torch.ones(d_model))


class EmptyParameters(Norm):
    """torch.empty, never filled: whatever lay in memory."""

    def __init__(self, d_model, epsilon=1e-5):
        super().__init__(d_model, epsilon)
        self.gain = nn.Parameter(torch.empty(d_model).uniform_(0.1, 0.9))


class Clips(Norm):
    """Changes its own gain each time it is called."""

    def forward(self, x):
        with torch.no_grad():
            self.gain.mul_(0.99)
        return self.standard(x) * self.gain / 0.99 + self.bias


class NewGainEachTime(Norm):
    def forward(self, x):
        self.gain = nn.Parameter(self.gain.detach().clone())
        return super().forward(x)


class KeepsStatistics(Norm):
    """Mean and deviation of the first call serve all later ones of that shape."""

    kept = None

    def standard(self, x):
        if self.kept is None or self.kept[0].shape[:-1] != x.shape[:-1]:
            self.kept = x.mean(-1, keepdim=True), x.std(-1, unbiased=False, keepdim=True)
        return (x - self.kept[0]) / (self.kept[1].square() + self.epsilon).sqrt()


class MatrixGain(Norm):
    def __init__(self, d_model, epsilon=1e-5):
        super().__init__(d_model, epsilon)
        self.gain = nn.Parameter(torch.eye(d_model))

    def forward(self, x):
        return self.standard(x) @ self.gain + self.bias


def by_view(self, x):
    rows = x.view(-1, self.d_model)
    return Norm.forward(self, rows).view(x.shape)


def position_by_position(self, x):
    out = torch.empty_like(x)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            out[i, j] = Norm.standard(self, x[i, j])
    return out * self.gain + self.bias


def through_numpy(self, x):
    rows = x.detach().numpy()
    centred = rows - rows.mean(-1, keepdims=True)
    found = centred / ((centred**2).mean(-1, keepdims=True) + self.epsilon) ** 0.5
    return torch.from_numpy(found) * self.gain + self.bias


def into_a_buffer(self, x):
    """Writes each result into the tensor of the one before."""
    found = Norm.forward(self, x)
    if getattr(self, "out", None) is None or self.out.shape != x.shape or self.out.dtype != x.dtype:
        self.out = found
        return found
    self.out = self.out.detach().copy_(found)
    return self.out


WRONG_5_1 = {
    "result in a buffer": (forward(into_a_buffer), "changes what the first has returned"),
    "gain without its sign": (forward(lambda s, x: s.standard(x) * s.gain.abs() + s.bias), None),
    "ε where 0/0 was": (
        standard(lambda s, x: ((x - x.mean(-1, True)) / x.std(-1, unbiased=False, keepdim=True)).nan_to_num(0)),
        "your ε plays no part",
    ),
    "ε called eps": (EpsilonOfPyTorchsName, "epsilon"),
    "ε of another default": (OtherDefault, "Your ε is 1e-6 when nothing is said"),
    "ε of a thousandth by default": (LargeDefault, "Your ε is 1e-3 when nothing is said"),
    "learns ε": (LearnsEpsilon, "parameters"),
    "bias starts at 1": (BiasOfOnes, "Your bias starts at 1"),
    "gain not filled": (EmptyParameters, "your constructor made"),
    "changes its gain": (Clips, None),
    "new gain each time": (NewGainEachTime, "gradients are asked for"),
    "keeps statistics": (KeepsStatistics, "the same module has been called before, with other"),
    "gain is a matrix": (MatrixGain, "parameters"),
    "view": (forward(by_view), "view"),
    "three axes only": (forward(position_by_position), None),
    "through NumPy": (forward(through_numpy), "gradient"),
    "second axis": (
        standard(lambda s, x: (x - x.mean(1, True)) / (x.var(1, False, keepdim=True) + s.epsilon).sqrt()),
        None,
    ),
    "first position's statistics": (
        standard(
            lambda s, x: (
                (x - x.mean(-1, True).flatten()[0]) / (x.var(-1, unbiased=False).flatten()[0] + s.epsilon).sqrt()
            )
        ),
        None,
    ),
    "ε added to the mean of x": (
        standard(
            lambda s, x: (
                (x - x.mean(-1, True) - s.epsilon)
                / (x.var(-1, unbiased=False, keepdim=True)).sqrt().clamp(min=s.epsilon)
            )
        ),
        None,
    ),
    "deviation clamped": (
        standard(lambda s, x: (x - x.mean(-1, True)) / x.std(-1, unbiased=False, keepdim=True).clamp(min=s.epsilon)),
        "your ε plays no part",
    ),
    "variance around 0": (
        standard(lambda s, x: (x - x.mean(-1, True)) / (x.square().mean(-1, True) + s.epsilon).sqrt()),
        None,
    ),
    "sum of squares": (
        standard(lambda s, x: F.normalize(x - x.mean(-1, True), dim=-1)),
        None,
    ),
    "no root, gain inside": (forward(lambda s, x: s.standard(x * s.gain + s.bias)), None),
    "gain on x alone": (forward(lambda s, x: s.standard(x * s.gain) + s.bias), None),
    "returns statistics too": (forward(lambda s, x: (Norm.forward(s, x), x.mean(-1))), "tuple"),
    "no gradient": (forward(torch.no_grad()(Norm.forward)), "gradient"),
    "in half the precision": (forward(lambda s, x: Norm.forward(s, x.bfloat16()).to(x.dtype)), None),
    "rounded": (forward(lambda s, x: Norm.forward(s, x).round(decimals=3)), None),
    "clipped at 1": (standard(lambda s, x: Norm.standard(s, x).clamp(-1, 1)), None),
    "squeezed": (
        forward(lambda s, x: Norm.forward(s, x).squeeze()),
        "the weights are those that your constructor made",
    ),
    "group norm": (standard(lambda s, x: F.group_norm(x.reshape(-1, x.size(-1), 1), 1, eps=s.epsilon)), None),
}


class KeywordOnly(Norm):
    def __init__(self, d_model, *, epsilon=1e-5, dtype=None):
        super().__init__(d_model, epsilon)


class InDictionary(nn.Module):
    def __init__(self, d_model, epsilon=1e-5):
        super().__init__()
        self.learnt = nn.ParameterDict({"gain": torch.ones(d_model), "bias": torch.zeros(d_model)})
        self.register_buffer("epsilon", torch.tensor(epsilon, dtype=torch.float64))

    def forward(self, x):
        h = x - x.mean(-1, keepdim=True)
        h = h * (h.norm(dim=-1, keepdim=True) ** 2 / x.shape[-1] + float(self.epsilon)) ** -0.5
        return torch.addcmul(self.learnt["bias"], h, self.learnt["gain"])


class RowOfParameters(Norm):
    """reset_parameters as PyTorch's modules have it."""

    def __init__(self, d_model, epsilon=1e-5):
        nn.Module.__init__(self)
        self.epsilon = epsilon
        for name in ("bias", "gain"):
            self.register_parameter(name, nn.Parameter(torch.empty(d_model)))
        self.reset_parameters()

    def reset_parameters(self):
        nn.init.ones_(self.gain)
        nn.init.zeros_(self.bias)


def by_batch_norm(self, x):
    """Each position a channel: F.batch_norm over its features."""
    rows = x.reshape(1, -1, x.size(-1))
    return F.batch_norm(rows, None, None, training=True, eps=self.epsilon).view_as(x)


RIGHT_5_1 = {
    "keyword only": KeywordOnly,
    "in a dictionary": InDictionary,
    "reset_parameters": RowOfParameters,
    "batch norm turned over": standard(by_batch_norm),
    "vmap": standard(
        lambda s, x: torch.vmap(functools.partial(Norm.standard, s))(x.reshape(-1, x.size(-1))).view_as(x)
    ),
    "a matrix that centres": standard(
        lambda s, x: (lambda c: c * (c.square().mean(-1, True) + s.epsilon).rsqrt())(
            x @ (torch.eye(s.d_model, dtype=x.dtype) - 1 / s.d_model)
        )
    ),
    "unbiased, mended": standard(
        lambda s, x: (x - x.mean(-1, True)) / (x.var(-1, keepdim=True) * (s.d_model - 1) / s.d_model + s.epsilon).sqrt()
    ),
    "mean as a sum": standard(
        lambda s, x: (lambda c: c / torch.sqrt((c * c).sum(-1, True).div(s.d_model).add(s.epsilon)))(
            x - x.sum(-1, keepdim=True) / s.d_model
        )
    ),
    "unflattened": forward(lambda s, x: Norm.forward(s, x.reshape(-1, s.d_model)).reshape(x.shape)),
}


WRONG = {"5.1": WRONG_5_1}
RIGHT = {"5.1": RIGHT_5_1}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
