"""Chapter 01, the table at both ends, from outside: plausible wrong answers that no misconception was written for,
and unusual right ones. As in test_chapter_01_pieces.py.
"""

import math

import torch
from torch import nn

# 1.4 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Right(nn.Module):
    def __init__(self, vocab_size, d_model):
        super().__init__()
        self.root = math.sqrt(d_model)
        self.weight = nn.Parameter(torch.empty(vocab_size, d_model).normal_(std=1 / self.root))

    def forward(self, tokens):
        return self.weight[tokens] * self.root


def forwarding(forward):
    """As `Right`, with another forward."""
    return type("Answer", (Right,), {"forward": forward})


def starting(start):
    """As `Right`, with another table to begin with: start(vocab_size, d_model)."""

    class Answer(Right):
        def __init__(self, vocab_size, d_model):
            nn.Module.__init__(self)
            self.root = math.sqrt(d_model)
            self.weight = nn.Parameter(start(vocab_size, d_model))

    return Answer


class WithLibrary(nn.Module):
    def __init__(self, vocab_size, d_model):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, d_model)
        nn.init.normal_(self.embedding.weight, std=d_model**-0.5)

    def forward(self, tokens):
        return self.embedding(tokens) * math.sqrt(self.embedding.embedding_dim)


class WithBias(Right):
    def __init__(self, vocab_size, d_model):
        super().__init__(vocab_size, d_model)
        self.bias = nn.Parameter(torch.zeros(d_model))

    def forward(self, tokens):
        return super().forward(tokens) + self.bias


class LearnedScale(Right):
    def __init__(self, vocab_size, d_model):
        super().__init__(vocab_size, d_model)
        self.scale = nn.Parameter(torch.tensor(math.sqrt(d_model)))


class ThroughLinear(nn.Module):
    def __init__(self, vocab_size, d_model):
        super().__init__()
        self.linear = nn.Linear(vocab_size, d_model)

    def forward(self, tokens):
        return self.linear(nn.functional.one_hot(tokens.long(), self.linear.in_features).float())


class BufferTable(Right):
    def __init__(self, vocab_size, d_model):
        super().__init__(vocab_size, d_model)
        table = self.weight.detach()
        del self.weight
        self.register_buffer("weight", table)


class ScaledTable(Right):
    """The factor already in the table: right when fresh, and the output layer would get rows of size 1."""

    def __init__(self, vocab_size, d_model):
        super().__init__(vocab_size, d_model)
        self.weight = nn.Parameter(self.weight.detach() * self.root)

    def forward(self, tokens):
        return self.weight[tokens]


def once_for_each(tokens, vectors):
    """The vectors, with a gradient for the first place of each token only."""
    flat = tokens.flatten().tolist()
    first = torch.tensor([token not in flat[:place] for place, token in enumerate(flat)]).view(*tokens.shape, 1)
    return torch.where(first, vectors, vectors.detach())


class ScalesInPlace(Right):
    def forward(self, tokens):
        with torch.no_grad():
            self.weight.mul_(self.root)
        return self.weight[tokens]


class ChangesTokens(Right):
    def forward(self, tokens):
        tokens -= tokens.min()
        return self.weight[tokens] * self.root


IN_GRADIENTS = "exactly where this holds: gradients are asked for"
WRONG_1_4 = {
    "library, table elsewhere": (WithLibrary, "weight"),
    "a bias": (WithBias, "bias (4,)"),
    "a learned factor": (LearnedScale, "scale ()"),
    "linear layer": (ThroughLinear, "parameters linear.weight"),
    "a buffer": (BufferTable, "has the parameters none"),
    "factor in the table": (ScaledTable, "√d_model of §3.4 is missing"),
    "scales in place": (ScalesInPlace, None),
    "changes tokens": (ChangesTokens, None),
    "function": (lambda tokens: tokens, "asked for with the parameters"),
    "an instance": (Right(5, 4), "the class itself"),
    "no forward": (type("Answer", (nn.Module,), {"__init__": Right.__init__}), None),
    "half a root": (forwarding(lambda self, tokens: self.weight[tokens] * self.root**0.5), None),
    "scaled by 22.6": (forwarding(lambda self, tokens: self.weight[tokens] * 22.627), None),
    "detached": (forwarding(lambda self, tokens: self.weight.detach()[tokens] * self.root), IN_GRADIENTS),
    "through data": (forwarding(lambda self, tokens: (self.weight.data * self.root)[tokens]), IN_GRADIENTS),
    "gradient once a token": (
        forwarding(lambda self, tokens: once_for_each(tokens, self.weight[tokens]) * self.root),
        "exactly where this holds: a token comes more than once",
    ),
    "one-hot of int64": (
        forwarding(lambda self, t: nn.functional.one_hot(t, len(self.weight)).float() @ self.weight * self.root),
        "ids may come as int32",
    ),
    "evaluation only": (
        forwarding(lambda self, tokens: self.weight[tokens] * (1 if self.training else self.root)),
        "training mode",
    ),
    "off by one": (forwarding(lambda self, tokens: self.weight[tokens - 1] * self.root), None),
    "first sentence": (forwarding(lambda self, tokens: self.weight[tokens[:1]] * self.root), "shape"),
    "summed up": (forwarding(lambda self, tokens: (self.weight[tokens] * self.root).sum(1)), "shape"),
    "transposed": (forwarding(lambda self, tokens: (self.weight[tokens] * self.root).mT), "shape"),
    "float64": (forwarding(lambda self, tokens: self.weight.double()[tokens] * self.root), "float64"),
    "normalised": (forwarding(lambda self, t: nn.functional.normalize(self.weight[t], dim=-1) * self.root), None),
    "zeros to begin with": (starting(torch.zeros), "too small"),
    "N(0, 1)": (starting(torch.randn), "too large"),
    "variance for deviation": (
        starting(lambda v, d: torch.randn(v, d) / d),
        "You divide what `torch.randn` draws by d",
    ),
    "variance drawn": (starting(lambda v, d: torch.empty(v, d).normal_(std=1 / d)), "1/d_model is the variance"),
    "N(0, 1), no factor": (
        type("Answer", (starting(torch.randn),), {"forward": lambda self, t: self.weight[t]}),
        "A table from N(0, 1) makes up for that",
    ),
    "root of the vocabulary": (starting(lambda v, d: torch.randn(v, d) / math.sqrt(v)), "too small"),
    "0.02": (starting(lambda v, d: 0.02 * torch.randn(v, d)), "too small"),
    "Xavier normal": (starting(lambda v, d: nn.init.xavier_normal_(torch.empty(v, d))), "too small"),
    "uniform up to 1": (starting(lambda v, d: torch.rand(v, d)), None),
    "shifted": (starting(lambda v, d: (torch.randn(v, d) + 1) / math.sqrt(d)), "around zero"),
}


class Library(nn.Embedding):
    def __init__(self, vocab_size, d_model):
        super().__init__(vocab_size, d_model)
        nn.init.normal_(self.weight, std=d_model**-0.5)

    def forward(self, tokens):
        return super().forward(tokens) * self.embedding_dim**0.5


class WithProperty(WithLibrary):
    @property
    def weight(self):
        return self.embedding.weight


class PaddingAtZero(WithProperty):
    def __init__(self, vocab_size, d_model):
        super().__init__(vocab_size, d_model)
        self.embedding = nn.Embedding(vocab_size, d_model, padding_idx=None)
        nn.init.normal_(self.embedding.weight, std=d_model**-0.5)
        with torch.no_grad():
            self.embedding.weight[0] = 0


class OneHot(Right):
    def forward(self, tokens):
        one_hot = nn.functional.one_hot(tokens.long(), len(self.weight)).to(self.weight.dtype)
        return one_hot @ self.weight * self.root


class ScaleAsBuffer(Right):
    def __init__(self, vocab_size, d_model, factor=None):
        super().__init__(vocab_size, d_model)
        self.register_buffer("factor", torch.tensor(float(d_model)).sqrt())

    def forward(self, tokens):
        return self.factor * nn.functional.embedding(tokens, self.weight)


class Looped(Right):
    def forward(self, tokens):
        rows = [torch.stack([self.weight[int(index)] for index in row]) for row in tokens]
        return torch.stack(rows) * self.root


RIGHT_1_4 = {
    "library": Library,
    "library inside": WithProperty,
    "padding at zero": PaddingAtZero,
    "one-hot": OneHot,
    "buffer": ScaleAsBuffer,
    "loop": Looped,
    "uniform with the same variance": starting(lambda v, d: (torch.rand(v, d) * 2 - 1) * math.sqrt(3 / d)),
    "float64 inside": forwarding(lambda self, tokens: (self.weight.double()[tokens] * self.root).float()),
    "truncated": starting(lambda v, d: nn.init.trunc_normal_(torch.empty(v, d), std=d**-0.5, a=-9, b=9)),
    "factory": lambda vocab_size, d_model: Right(vocab_size, d_model),
}


# 1.5 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


class RightOutput(nn.Module):
    def __init__(self, vocab_size, d_model, tied_to=None):
        super().__init__()
        own = nn.init.xavier_uniform_(torch.empty(vocab_size, d_model))
        self.weight = nn.Parameter(own) if tied_to is None else tied_to.weight

    def forward(self, states):
        return states @ self.weight.t()


def scoring(forward):
    """As `RightOutput`, with another forward."""
    return type("Answer", (RightOutput,), {"forward": forward})


def sharing(share, own=None):
    """As `RightOutput`, with another way to share, or another matrix of its own."""

    class Answer(RightOutput):
        def __init__(self, vocab_size, d_model, tied_to=None):
            super().__init__(vocab_size, d_model, None)
            if tied_to is not None:
                self.weight = share(tied_to)
            elif own is not None:
                self.weight = nn.Parameter(own(vocab_size, d_model))

    return Answer


class LinearLayer(nn.Module):
    def __init__(self, vocab_size, d_model, tied_to=None):
        super().__init__()
        self.linear = nn.Linear(d_model, vocab_size, bias=False)
        if tied_to is not None:
            self.linear.weight = tied_to.weight

    def forward(self, states):
        return self.linear(states)


class DataShared(LinearLayer):
    """The same numbers in memory, but two Parameters."""

    def __init__(self, vocab_size, d_model, tied_to=None):
        super().__init__(vocab_size, d_model)
        nn.init.xavier_uniform_(self.linear.weight)
        if tied_to is not None:
            self.linear.weight.data = tied_to.weight.data

    @property
    def weight(self):
        return self.linear.weight


class TiedByForward(RightOutput):
    """Calls the embedding's forward on all ids, so that the factor comes along."""

    def __init__(self, vocab_size, d_model, tied_to=None):
        super().__init__(vocab_size, d_model, tied_to)
        self.all_rows = (lambda: self.weight) if tied_to is None else lambda: tied_to(torch.arange(vocab_size)[None])[0]

    def forward(self, states):
        return states @ self.all_rows().t()


class RefusesNone(RightOutput):
    def __init__(self, vocab_size, d_model, tied_to):
        super().__init__(vocab_size, d_model, tied_to)


class Sideways(nn.Module):
    def __init__(self, vocab_size, d_model, tied_to=None):
        super().__init__()
        own = nn.Parameter(nn.init.xavier_normal_(torch.empty(d_model, vocab_size)))
        self.weight = own if tied_to is None else tied_to.weight

    def forward(self, states):
        return torch.matmul(states, self.weight)


class TurnedSideways(Sideways):
    def __init__(self, vocab_size, d_model, tied_to=None):
        super().__init__(vocab_size, d_model)
        if tied_to is not None:
            self.weight = nn.Parameter(tied_to.weight.detach().t())


WRONG_1_5 = {
    "two Parameters on one memory": (DataShared, "a Parameter of its own on the same numbers"),
    "detached": (sharing(lambda e: e.weight.detach()), None),
    "copied by clone": (sharing(lambda e: nn.Parameter(e.weight.clone())), "drift apart"),
    "copied by deepcopy": (sharing(lambda e: __import__("copy").deepcopy(e).weight), "drift apart"),
    "new Parameter around it": (sharing(lambda e: nn.Parameter(e.weight)), "a Parameter of its own on the same"),
    "matrix under another name": (LinearLayer, None),
    "through the embedding's forward": (TiedByForward, "You multiply the logits by √d_model"),
    "tied_to required": (RefusesNone, "tied_to=None"),
    "no tied_to": (lambda vocab_size, d_model: RightOutput(vocab_size, d_model), "tied_to=None"),
    "own matrix sideways": (Sideways, "a row for each token"),
    "own matrix sideways, the shared one turned": (TurnedSideways, "a row for each token"),
    "argmax": (scoring(lambda self, x: (x @ self.weight.t()).argmax(-1)), "shape"),
    "sigmoid": (scoring(lambda self, x: (x @ self.weight.t()).sigmoid()), None),
    "cosine": (
        scoring(lambda self, x: nn.functional.normalize(x, dim=-1) @ nn.functional.normalize(self.weight).t()),
        None,
    ),
    "last position only": (scoring(lambda self, x: x[:, -1:] @ self.weight.t()), "shape"),
    "softmax over positions": (scoring(lambda self, x: (x @ self.weight.t()).softmax(-2)), None),
    "changes states": (scoring(lambda self, x: x.mul_(2) @ self.weight.t() / 2), "`states` in place"),
    "without gradient": (scoring(lambda self, x: x @ self.weight.detach().t()), "no gradient flows back"),
    "states detached": (scoring(lambda self, x: x.detach() @ self.weight.t()), "no gradient flows back to `states`"),
    "minus": (scoring(lambda self, x: -x @ self.weight.t()), "the sign"),
    "float64": (scoring(lambda self, x: x.double() @ self.weight.double().t()), "float64"),
    "own matrix of N(0, 1)": (sharing(lambda e: e.weight, torch.randn), "Xavier-initialised"),
    "own matrix of zeros": (sharing(lambda e: e.weight, torch.zeros), "starts with zeros"),
    "own matrix of nn.Linear's": (
        sharing(lambda e: e.weight, lambda v, d: nn.Linear(d, v).weight.detach()),
        "Xavier-initialised",
    ),
    "transposed result": (scoring(lambda self, x: (x @ self.weight.t()).mT), None),
    "training only": (scoring(lambda self, x: x @ self.weight.t() * (1 if self.training else 2)), None),
    "function": (lambda vocab_size, d_model, tied_to=None: lambda states: states, "not an nn.Module"),
    "embedding kept, not used": (sharing(lambda e: nn.Parameter(torch.zeros_like(e.weight))), None),
}


class KeepsTheEmbedding(nn.Module):
    def __init__(self, vocab_size, d_model, tied_to=None):
        super().__init__()
        self.source = tied_to
        if tied_to is None:
            self.own = nn.Parameter(nn.init.xavier_uniform_(torch.empty(vocab_size, d_model)))

    @property
    def weight(self):
        return self.own if self.source is None else self.source.weight

    def forward(self, states):
        return torch.einsum("...d,vd->...v", states, self.weight)


class SharedLinear(nn.Linear):
    def __init__(self, vocab_size, d_model, tied_to=None):
        super().__init__(d_model, vocab_size, bias=False)
        nn.init.xavier_uniform_(self.weight)
        if tied_to is not None:
            self.weight = tied_to.weight


RIGHT_1_5 = {
    "product": RightOutput,
    "keeps the embedding": KeepsTheEmbedding,
    "linear layer": SharedLinear,
    "functional": scoring(lambda self, states: nn.functional.linear(states, self.weight, None)),
    "sums": scoring(lambda self, states: (states.unsqueeze(-2) * self.weight).sum(-1)),
    "Xavier normal": sharing(lambda e: e.weight, lambda v, d: nn.init.xavier_normal_(torch.empty(v, d))),
    "float64 inside": scoring(lambda self, x: (x.double() @ self.weight.double().t()).float()),
    "extra keyword": lambda vocab_size, d_model, tied_to=None, bias=False: RightOutput(vocab_size, d_model, tied_to),
}


WRONG = {"1.4": WRONG_1_4, "1.5": WRONG_1_5}
RIGHT = {"1.4": RIGHT_1_4, "1.5": RIGHT_1_5}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
