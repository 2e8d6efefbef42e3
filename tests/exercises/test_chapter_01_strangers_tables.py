"""Chapter 01, the table at both ends, met by strangers: wrong answers that are in no other table, and unusual right
ones. As in test_chapter_01_pieces.py.
"""

import functools
import math

import numpy
import torch
from torch import nn

from utils.exercises import examine, exercise

# 1.4 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Embedding(nn.Module):
    """Right."""

    def __init__(self, vocab_size, d_model):
        super().__init__()
        self.d_model = d_model
        self.weight = nn.Parameter(torch.randn(vocab_size, d_model) * d_model**-0.5)

    def forward(self, tokens):
        return self.weight[tokens] * self.d_model**0.5


def looking_up(forward):
    """As `Embedding`, with another forward."""
    return type("Answer", (Embedding,), {"forward": forward})


def beginning(start):
    """As `Embedding`, with another table to begin with."""

    class Answer(Embedding):
        def __init__(self, vocab_size, d_model):
            super().__init__(vocab_size, d_model)
            self.weight = nn.Parameter(start(vocab_size, d_model))

    return Answer


class Frozen(Embedding):
    def __init__(self, vocab_size, d_model):
        super().__init__(vocab_size, d_model)
        self.weight.requires_grad_(False)


class FromPretrained(nn.Module):
    def __init__(self, vocab_size, d_model):
        super().__init__()
        table = nn.Embedding.from_pretrained(torch.randn(vocab_size, d_model) / d_model**0.5)
        self.weight, self.factor = table.weight, d_model**0.5

    def forward(self, tokens):
        return nn.functional.embedding(tokens, self.weight) * self.factor


class Exchanged(Embedding):
    def __init__(self, d_model, vocab_size):
        super().__init__(vocab_size, d_model)


class Renormed(Embedding):
    def forward(self, tokens):
        return nn.functional.embedding(tokens, self.weight, max_norm=1.0) * self.d_model**0.5


class ScaledWhenCalled(Embedding):
    """Scales the table itself, anew with each call."""

    def forward(self, tokens):
        self.weight.data *= self.d_model**0.5
        return nn.functional.embedding(tokens, self.weight)


class FirstKept(Embedding):
    """Remembers what it gave."""

    kept = None

    def forward(self, tokens):
        if self.kept is None or self.kept.shape[:2] != tokens.shape:
            self.kept = super().forward(tokens)
        return self.kept


class Growing(Embedding):
    calls = 0

    def forward(self, tokens):
        self.calls += 1
        return super().forward(tokens) * self.calls


class ByView(Embedding):
    def forward(self, tokens):
        rows = self.weight.index_select(0, tokens.view(-1))
        return rows.view(*tokens.shape, -1) * self.d_model**0.5


class WithDropout(Embedding):
    def __init__(self, vocab_size, d_model):
        super().__init__(vocab_size, d_model)
        self.dropout = nn.Dropout(0.1)

    def forward(self, tokens):
        return self.dropout(super().forward(tokens))


class WithPositions(Embedding):
    def __init__(self, vocab_size, d_model):
        super().__init__(vocab_size, d_model)
        self.positions = nn.Parameter(torch.zeros(512, d_model))


class NotSuper(nn.Module):
    def __init__(self, vocab_size, d_model):
        self.weight = nn.Parameter(torch.randn(vocab_size, d_model))

    def forward(self, tokens):
        return self.weight[tokens]


WRONG_1_4 = {
    "frozen": (Frozen, "`weight`"),
    "from_pretrained, which freezes": (FromPretrained, "`weight`"),
    "sizes exchanged": (Exchanged, None),
    "max_norm": (Renormed, None),
    "table scaled at each call": (ScaledWhenCalled, None),
    "first result kept": (FirstKept, "it must remember nothing"),
    "grows from call to call": (Growing, None),
    "ids by view": (ByView, "view size"),
    "dropout": (WithDropout, None),
    "positions too": (WithPositions, "positions (512, 4)"),
    "super().__init__ forgotten": (NotSuper, "AttributeError"),
    "whole root": (looking_up(lambda self, t: self.weight[t] * int(self.d_model**0.5)), None),
    "root of the length": (looking_up(lambda self, t: self.weight[t] * t.size(1) ** 0.5), None),
    "added": (looking_up(lambda self, t: self.weight[t] + self.d_model**0.5), None),
    "last id out of reach": (looking_up(lambda self, t: self.weight[t.clamp(max=5)] * self.d_model**0.5), None),
    "ids of one sentence": (looking_up(lambda self, t: torch.stack([self.weight[i] for i in t[0]])[None] * 2), None),
    "list": (looking_up(lambda self, t: [self.weight[row] * self.d_model**0.5 for row in t]), "Tensor"),
    "a batch of one squeezed": (looking_up(lambda self, t: (self.weight[t] * self.d_model**0.5).squeeze()), "shape"),
    "length first": (looking_up(lambda self, t: (self.weight[t] * self.d_model**0.5).transpose(0, 1)), "shape"),
    "no gradient": (looking_up(torch.no_grad()(lambda self, t: self.weight[t] * self.d_model**0.5)), "no_grad"),
    "Kaiming's start": (beginning(lambda v, d: nn.init.kaiming_uniform_(torch.empty(v, d))), "too large"),
    "orthogonal start": (beginning(lambda v, d: nn.init.orthogonal_(torch.empty(v, d)) / 2), "too small"),
    "all ones": (beginning(lambda v, d: torch.ones(v, d) / d**0.5), None),
    "one row for all": (beginning(lambda v, d: (torch.randn(1, d) / d**0.5).repeat(v, 1)), "vectors of a new table"),
    "cut off early": (
        beginning(lambda v, d: nn.init.trunc_normal_(torch.empty(v, d), std=d**-0.5, a=-(d**-0.5), b=d**-0.5)),
        "too small",
    ),
}


class Registered(nn.Module):
    def __init__(self, vocab_size: int, d_model: int, *, device=None):
        super().__init__()
        self.register_parameter("weight", nn.Parameter(torch.empty(vocab_size, d_model, device=device)))
        self.reset()

    def reset(self):
        torch.nn.init.normal_(self.weight, mean=0.0, std=self.weight.size(1) ** -0.5)

    def forward(self, tokens):
        return torch.take_along_dim(
            self.weight[None].expand(len(tokens), -1, -1), tokens.long()[..., None], 1
        ) * math.sqrt(self.weight.size(1))


class TwoNames(Embedding):
    def __init__(self, vocab_size, d_model):
        super().__init__(vocab_size, d_model)
        self.table = self.weight


class InParts(Embedding):
    def __init__(self, vocab_size, d_model):
        super().__init__(vocab_size, d_model)
        self.after = nn.Sequential(nn.Dropout(0.0), nn.Identity())

    def forward(self, tokens):
        return self.after(nn.functional.embedding(tokens.reshape(-1), self.weight)).reshape(
            *tokens.shape, -1
        ) * numpy.sqrt(self.d_model)


RIGHT_1_4 = {
    "registered": Registered,
    "two names": TwoNames,
    "in parts": InParts,
    "partial": functools.partial(Embedding),
    "einsum": looking_up(
        lambda self, t: torch.einsum(
            "blv,vd->bld", (t[..., None] == torch.arange(len(self.weight))).to(self.weight), self.weight
        )
        * self.d_model**0.5
    ),
    "scaled first": looking_up(lambda self, t: (self.weight * self.d_model**0.5).index_select(0, t.flatten()).view(
        *t.shape, self.d_model)),
    "distribution": beginning(lambda v, d: torch.distributions.Normal(0.0, d**-0.5).sample((v, d))),
    "NumPy's numbers": beginning(
        lambda v, d: torch.from_numpy(numpy.random.default_rng(1).normal(0, d**-0.5, (v, d))).float()
    ),
}  # fmt: skip


# 1.5 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Output(nn.Module):
    """Right."""

    def __init__(self, vocab_size, d_model, tied_to=None):
        super().__init__()
        if tied_to is None:
            self.weight = nn.Parameter(torch.empty(vocab_size, d_model))
            nn.init.xavier_uniform_(self.weight)
        else:
            self.weight = tied_to.weight

    def forward(self, states):
        return states @ self.weight.T


def scoring(forward):
    return type("Answer", (Output,), {"forward": forward})


def owning(start):
    """As `Output`, with another matrix of its own."""

    class Answer(Output):
        def __init__(self, vocab_size, d_model, tied_to=None):
            super().__init__(vocab_size, d_model, tied_to)
            if tied_to is None:
                self.weight = nn.Parameter(start(vocab_size, d_model))

    return Answer


class DrawnAnew(Output):
    """Shares the table, and draws it anew."""

    def __init__(self, vocab_size, d_model, tied_to=None):
        super().__init__(vocab_size, d_model, tied_to)
        nn.init.xavier_uniform_(self.weight)


class TiedInForward(nn.Module):
    def __init__(self, vocab_size, d_model, tied_to=None):
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(vocab_size, d_model)))
        self.other = [tied_to]

    def forward(self, states):
        table = self.weight if self.other[0] is None else self.other[0].weight
        return states @ table.t()


class GivesTheTable(Output):
    """Ties the other way round."""

    def __init__(self, vocab_size, d_model, tied_to=None):
        super().__init__(vocab_size, d_model)
        if tied_to is not None:
            tied_to.weight = self.weight


class BiasWhenAlone(Output):
    def __init__(self, vocab_size, d_model, tied_to=None):
        super().__init__(vocab_size, d_model, tied_to)
        self.bias = nn.Parameter(torch.zeros(vocab_size)) if tied_to is None else 0


class LinearInside(nn.Module):
    def __init__(self, vocab_size, d_model, tied_to=None):
        super().__init__()
        self.proj = nn.Linear(d_model, vocab_size)
        if tied_to is not None:
            self.proj.weight = tied_to.weight

    def forward(self, states):
        return self.proj(states)


class FrozenWhenTied(Output):
    def __init__(self, vocab_size, d_model, tied_to=None):
        super().__init__(vocab_size, d_model, tied_to)
        self.weight.requires_grad_(tied_to is None)


class KeptOutput(Output):
    kept = None

    def forward(self, states):
        if self.kept is None or self.kept.shape[:-1] != states.shape[:-1]:
            self.kept = super().forward(states)
        return self.kept


WRONG_1_5 = {
    "table drawn anew": (DrawnAnew, "What the embedding had is lost"),
    "tied in forward only": (TiedInForward, None),
    "tied the other way round": (GivesTheTable, "What the embedding had is lost"),
    "a bias when alone": (BiasWhenAlone, "bias"),
    "linear layer inside": (LinearInside, None),
    "frozen when tied": (FrozenWhenTied, None),
    "first result kept": (KeptOutput, "it must remember nothing"),
    "three axes only": (scoring(lambda self, x: torch.einsum("bld,vd->blv", x, self.weight)), None),
    "two or three axes": (
        scoring(lambda self, x: torch.bmm(x, self.weight.t().expand(len(x), -1, -1)) if x.dim() > 2
                else x @ self.weight.t()),
        None,
    ),
    "by view": (
        scoring(lambda self, x: (x.view(-1, x.size(-1)) @ self.weight.t()).view(*x.shape[:-1], -1)),
        "view size",
    ),
    "normed": (scoring(lambda self, x: (x / x.norm(dim=-1, keepdim=True)) @ self.weight.t()), None),
    "best only": (scoring(lambda self, x: (x @ self.weight.t()).amax(-1, keepdim=True)), "shape"),
    "log of the probabilities": (scoring(lambda self, x: (x @ self.weight.t()).softmax(-1).log()), "log-prob"),
    "padding forbidden": (
        scoring(lambda self, x: (x @ self.weight.t()).index_fill(-1, torch.tensor([0]), -1e9)), "-1e+09"),
    "softmax in evaluation": (
        scoring(lambda self, x: x @ self.weight.t() if self.training else (x @ self.weight.t()).softmax(-1)),
        None,
    ),
    "tanh": (scoring(lambda self, x: (x @ self.weight.t()).tanh()), None),
    "capped": (scoring(lambda self, x: 3 * (x @ self.weight.t() / 3).tanh()), None),
    "centred": (scoring(lambda self, x: (z := x @ self.weight.t()) - z.mean(-1, keepdim=True)), None),
    "states too": (scoring(lambda self, x: (x @ self.weight.t(), x)), "Tensor"),
    "half": (scoring(lambda self, x: (x @ self.weight.t()).half()), "float16"),
    "own matrix between 0 and 1": (
        owning(lambda v, d: torch.rand(v, d) * math.sqrt(24 / (v + d))), "Xavier-initialised"),
    "one row for all": (
        owning(lambda v, d: nn.init.xavier_normal_(torch.empty(v, d))[:1].repeat(v, 1)), "Xavier-initialised"),
    "own matrix of ones": (owning(lambda v, d: torch.full((v, d), math.sqrt(2 / (v + d)))), "Xavier-initialised"),
    "own matrix as an embedding": (owning(lambda v, d: torch.randn(v, d) / d**0.5), "Xavier-initialised"),
    "own matrix by Kaiming": (
        owning(lambda v, d: nn.init.kaiming_normal_(torch.empty(v, d))), "Xavier-initialised"),
    "tied_to by position only": (lambda vocab_size, d_model, *, tied_to=None: Output(vocab_size, d_model), "tied_to"),
}  # fmt: skip


class WithHelper(nn.Module):
    def __init__(self, vocab_size, d_model, tied_to=None, **unused):
        super().__init__()
        self.weight = self.fresh(vocab_size, d_model) if not tied_to else tied_to.weight

    @staticmethod
    def fresh(vocab_size, d_model):
        bound = math.sqrt(6 / (vocab_size + d_model))
        return nn.Parameter(torch.empty(vocab_size, d_model).uniform_(-bound, bound))

    def forward(self, states):
        return nn.functional.conv1d(states.reshape(-1, states.size(-1), 1), self.weight[..., None]).reshape(
            *states.shape[:-1], -1
        )


class SubmoduleToo(Output):
    def __init__(self, vocab_size, d_model, tied_to=None):
        super().__init__(vocab_size, d_model, tied_to)
        self.embedding = tied_to


class OneRowAtATime(Output):
    def forward(self, states):
        return torch.stack([(states * row).sum(-1) for row in self.weight], -1)


RIGHT_1_5 = {
    "helper and convolution": WithHelper,
    "embedding kept as well": SubmoduleToo,
    "one row at a time": OneRowAtATime,
    "tensordot": scoring(lambda self, x: torch.tensordot(x, self.weight, dims=([-1], [1]))),
    "einsum": scoring(lambda self, x: torch.einsum("vd,...d->...v", self.weight, x)),
    "partial": functools.partial(Output),
    "normal of Xavier's deviation": owning(lambda v, d: torch.randn(v, d) * (2 / (v + d)) ** 0.5),
}


WRONG = {"1.4": WRONG_1_4, "1.5": WRONG_1_5}
RIGHT = {"1.4": RIGHT_1_4, "1.5": RIGHT_1_5}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)


def test_beside_minus_a_billion_nothing_is_called_ignored():
    """There everything else is rounding; and still the logits change with the states."""
    assert "stays the same" not in examine(exercise("1.5"), WRONG_1_5["padding forbidden"][0], 3).explanation
