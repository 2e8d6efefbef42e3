"""Exercises 1.4 and 1.5: the table of vectors, looked up at one end of the model and multiplied with at the other."""

import math

import torch
from torch import Generator, Tensor

from utils.exercises.chapter_01.wrong_table import EMBEDDING, OUTPUT
from utils.exercises.declare import Case, Exercise, Property
from utils.exercises.drawing import normal
from utils.transformer import OutputLayer, TokenEmbedding

EDGE, SHAPE = "edge cases", "shape"
AGAIN = "the module has been called before, on something else, of which it must remember nothing"
IN_PIECES = "the input does not lie in memory in one piece (`.view` refuses it, `.reshape` copies)"
NAME = "the table is looked at under its name, weight"

# 1.4 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _tokens(generator: Generator, *shape: int, vocab_size: int) -> Tensor:
    """Ids from 1 on; 0 is padding, whose vector some answers keep at zero, and nobody looks at it."""
    return torch.randint(1, vocab_size, shape, generator=generator)


def _lookup_cases(generator: Generator) -> list[Case]:
    def drawn(*shape: int, vocab_size: int) -> tuple[Tensor]:
        return (_tokens(generator, *shape, vocab_size=vocab_size),)

    return [
        Case("three tokens", drawn(1, 3, vocab_size=6), build=(6, 4)),
        Case("two sentences", drawn(2, 5, vocab_size=9), build=(9, 5)),
        Case("as wide as the vocabulary", drawn(2, 3, vocab_size=4), build=(4, 4)),
        Case("in training mode", drawn(2, 3, vocab_size=6), build=(6, 3), training=True),
        Case("sizes by their names", drawn(2, 3, vocab_size=7), build_keywords={"vocab_size": 7, "d_model": 6}),
        Case("gradients", (torch.tensor([[3, 1, 4]]),), build=(6, 4), gradients=True),
        Case("gradients where a token comes again", (torch.tensor([[3, 1, 3, 3]]),), build=(6, 4), gradients=True,
             traits=("a token comes more than once",)),
        Case("the table itself", drawn(1, 2, vocab_size=8), build=(8, 3), observe=".weight", traits=(NAME,)),
        Case("ids in 32 bits", (drawn(2, 3, vocab_size=6)[0].int(),), build=(6, 4), part=SHAPE,
             traits=("the ids are int32",)),
        Case("a second call", drawn(2, 3, vocab_size=6), build=(6, 5), part=EDGE, traits=(AGAIN,),
             earlier=drawn(2, 3, vocab_size=6)),
        Case("ids as a view", (drawn(3, 2, vocab_size=6)[0].t(),), build=(6, 4), part=SHAPE, traits=(IN_PIECES,)),
        Case("one token", drawn(1, 1, vocab_size=5), build=(5, 4), part=EDGE),
        Case("the first and the last id", (torch.tensor([[0, 6]]),), build=(7, 2), part=EDGE),
        Case("a width of 1", drawn(1, 4, vocab_size=5), build=(5, 1), part=EDGE),
    ]  # fmt: skip


def _fresh_vectors(generator: Generator) -> list[Case]:
    return [
        Case(f"all vectors of a new table, {vocab_size} × {d_model}", (torch.arange(1, vocab_size)[None],),
             build=(vocab_size, d_model), own_weights=True)
        for vocab_size, d_model in ((400, 64), (600, 16))
    ]  # fmt: skip


def _spreads(results: list[Tensor]) -> list[float]:
    return [result.double().std().item() for result in results]


EMBED = Exercise(
    number="1.4",
    title="The token embedding",
    points=2,
    difficulty=2,
    minutes=15,
    section="§3.4",
    reference=TokenEmbedding,
    kind="module",
    model_part="embedding",
    cases=_lookup_cases,
    properties=(
        Property(
            "vectors start large enough",
            _fresh_vectors,
            lambda cases, results: min(_spreads(results)) > 0.9,
            "The vectors of a new table come out too small, or too much alike: their standard deviation is below 0.9, "
            "and the positional code (rms 0.71) drowns them. Draw the table from N(0, 1/d_model): 1/d_model is the "
            "variance, so the standard deviation is 1/√d_model; times √d_model that gives 1.",
        ),
        Property(
            "vectors start small enough",
            _fresh_vectors,
            lambda cases, results: max(_spreads(results)) < 1.1,
            "The vectors of a new table come out too large: their standard deviation is above 1.1, and they drown the "
            "positional code (rms 0.71). Draw the table from N(0, 1/d_model): 1/d_model is the variance, so the "
            "standard deviation is 1/√d_model; times √d_model that gives 1.",
        ),
        Property(
            "vectors start apart from one another",
            _fresh_vectors,
            lambda cases, results: all(bool(result[0].std(dim=0).mean() > 0.8) for result in results),
            "The vectors of a new table are alike. Each token is to have numbers of its own, or nothing tells it from "
            "the others: draw all of (vocab_size, d_model).",
        ),
        Property(
            "vectors start around zero",
            _fresh_vectors,
            lambda cases, results: all(abs(result.double().mean().item()) < 0.1 for result in results),
            "The vectors of a new table do not lie around zero: their mean is far from it. `torch.randn` draws around "
            "zero, `torch.rand` draws between 0 and 1.",
        ),
    ),
    returns=("vectors",),
    misconceptions=EMBEDDING,
    hints=(
        "The table is a parameter of shape (vocab_size, d_model). Indexing a tensor with a tensor of ids gives one row "
        "for each id.",
        "`torch.randn` draws with standard deviation 1. What must it be divided by for 1/√d_model? And what brings it "
        "back to 1 when the vectors are looked up?",
        "In `__init__`: `self.scale = math.sqrt(d_model)` and `self.weight = nn.Parameter(torch.randn(vocab_size, "
        "d_model) / self.scale)`. In `forward`: `nn.functional.embedding(tokens, self.weight) * self.scale`.",
    ),
)


# 1.5 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _embedding(generator: Generator, vocab_size: int, d_model: int) -> TokenEmbedding:
    """An embedding with drawn weights."""
    embedding = TokenEmbedding(vocab_size, d_model)
    with torch.no_grad():
        embedding.weight.copy_(normal(generator, vocab_size, d_model, size=d_model**-0.5))
    return embedding


def _score_cases(generator: Generator) -> list[Case]:
    def tied(name: str, shape: tuple[int, ...], vocab_size: int, **options) -> Case:
        d_model = shape[-1]
        build = vocab_size, d_model, _embedding(generator, vocab_size, d_model)
        traits = ("there is an embedding to share the table with", *options.pop("traits", ()))
        states = normal(generator, *shape)
        states = states.transpose(0, 1) if options.pop("view", False) else states
        return Case(name, (states,), build=build, own_weights=True, traits=traits, **options)

    def own(name: str, shape: tuple[int, ...], vocab_size: int, **options) -> Case:
        traits = ("there is no embedding to share the table with", *options.pop("traits", ()))
        return Case(name, (normal(generator, *shape),), build=(vocab_size, shape[-1]), traits=traits, **options)

    return [
        tied("tied, one state", (1, 1, 4), 6),
        tied("tied, two sentences", (2, 3, 5), 8),
        tied("tied, as wide as the vocabulary", (2, 2, 4), 4),
        tied("tied, in training mode", (2, 3, 6), 5, training=True),
        tied("tied, all parameters", (1, 1, 3), 5, observe="parameters"),
        tied("tied, gradients in training mode", (2, 3, 4), 6, training=True, gradients=True),
        tied("tied, the matrix itself", (1, 1, 3), 7, observe=".weight", traits=(NAME,)),
        own("a matrix of its own", (2, 3, 5), 7),
        own("a matrix of its own, gradients", (2, 2, 4), 6, gradients=True),
        own("a matrix of its own, looked at", (1, 1, 4), 6, observe=".weight", traits=(NAME,)),
        tied("states without a batch", (3, 4), 6, part=SHAPE),
        tied("states of four axes", (2, 1, 3, 4), 6, part=SHAPE),
        tied("states as a view", (2, 3, 4), 6, part=SHAPE, view=True, traits=(IN_PIECES,)),
        tied("a second call", (2, 3, 4), 6, part=EDGE, traits=(AGAIN,), earlier=(normal(generator, 2, 3, 4),)),
        tied("a single entry", (2, 3, 4), 1, part=EDGE),
        own("a width of 1", (2, 3, 1), 4, part=EDGE),
    ]  # fmt: skip


def _fresh_matrices(generator: Generator) -> list[Case]:
    return [
        Case(f"a new matrix, {vocab_size} × {d_model}", (torch.zeros(1, d_model),), build=(vocab_size, d_model),
             own_weights=True, observe=".weight")
        for vocab_size, d_model in ((64, 64), (300, 32))
    ]  # fmt: skip


def _as_xavier(cases: list[Case], results: list[Tensor]) -> bool:
    wanted = [math.sqrt(2 / sum(case.build)) for case in cases]
    units = [result.double() / want for want, result in zip(wanted, results, strict=True)]
    return all(abs(unit.std() - 1) < 0.1 and abs(unit.mean()) < 0.1 and unit.std(dim=0).mean() > 0.8 for unit in units)


SCORE = Exercise(
    number="1.5",
    title="The output layer",
    points=2,
    difficulty=3,
    minutes=15,
    section="§3.4",
    reference=OutputLayer,
    kind="module",
    model_part="output",
    cases=_score_cases,
    properties=(
        Property(
            "an own matrix starts as Xavier's",
            _fresh_matrices,
            _as_xavier,
            "Without an embedding to share with, the matrix is to be Xavier-initialised, around zero, with a standard "
            "deviation of √(2 / (vocab_size + d_model)): `nn.init.xavier_uniform_`.",
        ),
    ),
    returns=("logits",),
    misconceptions=OUTPUT,
    hints=(
        "A logit is the dot product of a state with one row of the table. Which matrix product makes all of them?",
        "`states @ self.weight.t()`, or `nn.functional.linear(states, self.weight)`. For sharing, no number is copied: "
        "two attributes may name one and the same Parameter.",
        "In `__init__`: `self.weight = tied_to.weight` if there is one to share with; otherwise a new `nn.Parameter"
        "(nn.init.xavier_uniform_(torch.empty(vocab_size, d_model)))`.",
    ),
)
