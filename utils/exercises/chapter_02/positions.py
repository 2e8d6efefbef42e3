"""Exercises 2.5 and 2.6: learned positions, and rotary ones."""

import torch
from torch import Generator, Tensor

from utils.exercises.chapter_02.references import rotate
from utils.exercises.chapter_02.sinusoids import whole
from utils.exercises.chapter_02.words import EDGE, FAR, SHAPE, STARTED
from utils.exercises.chapter_02.wrong_positions import LEARNED, ROTARY
from utils.exercises.declare import Case, Exercise, Property
from utils.exercises.drawing import normal
from utils.exercises.nearness import close
from utils.transformer import LearnedPositions

AGAIN = "the module has been called before, on something else, of which it must remember nothing"
IN_PIECES = "x does not lie in memory in one piece (`.view` refuses it, `.reshape` copies)"
LAST_ROW = "the text ends with the last row of the table, as it may: start + length == max_len is allowed"

# 2.5 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _learned_cases(generator: Generator) -> list[Case]:
    def drawn(batch: int, length: int, d_model: int) -> Tensor:
        return normal(generator, batch, length, d_model)

    start = whole(generator, 2, 5)
    begun = {"start": start}
    return [
        Case("one sentence of two tokens", (drawn(1, 2, 4),), build=(4, 6)),
        Case("three sentences of four tokens", (drawn(3, 4, 6),), build=(6, 9)),
        Case("as many sentences as tokens", (drawn(3, 3, 4),), build=(4, 7)),
        Case("a default max_len of 256", (drawn(1, 5, 2),), build=(2,)),
        Case("max_len by name, training", (drawn(2, 3, 5),), build=(5,), build_keywords={"max_len": 5}, training=True),
        Case(f"from position {start}", (drawn(2, 3, 6),), begun, build=(6, 9), traits=(STARTED,)),
        Case(f"{start} given without a name", (drawn(2, 2, 8), start), build=(8, 9), traits=(STARTED,)),
        Case("gradients", (drawn(2, 3, 5),), begun, build=(5, 8), gradients=True, traits=(STARTED,)),
        Case("a single token", (drawn(2, 1, 6),), {"start": 4}, part=EDGE, build=(6, 6), traits=(STARTED,)),
        Case("a second call", (drawn(2, 3, 4),), part=EDGE, build=(4, 9), earlier=(drawn(2, 3, 4), 2), traits=(AGAIN,)),
        Case("up to the last row", (drawn(1, 5, 3),), part=EDGE, build=(3, 5), traits=(LAST_ROW,)),
    ]


def _begun_later(generator: Generator) -> list[Case]:
    embedded = normal(generator, 2, 6, 4)
    return [
        Case("all six tokens", (embedded,), build=(4, 8), own_weights=True),
        Case("the last two alone", (embedded[:, 4:],), {"start": 4}, build=(4, 8), own_weights=True),
    ]


def _fresh_tables(generator: Generator) -> list[Case]:
    """Positions alone, as drawn: what a new table adds to zeros."""
    return [
        Case(f"a new table, {max_len} × {d_model}", (torch.zeros(1, max_len, d_model),), build=(d_model, max_len),
             own_weights=True)
        for max_len, d_model in ((256, 64), (300, 16))
    ]  # fmt: skip


def _as_embeddings_begin(cases: list[Case], results: list[Tensor]) -> bool:
    """Deviation 1/√d_model around zero: asked for with a wide margin, since evenly drawn numbers do as well."""
    units = [result.double() * case.build[0] ** 0.5 for case, result in zip(cases, results, strict=True)]
    apart = all(unit.std(dim=1).mean().item() > 0.8 for unit in units)  # each position has numbers of its own
    return apart and all(0.85 < unit.std().item() < 1.15 and abs(unit.mean().item()) < 0.15 for unit in units)


def _alike_where_they_meet(cases: list[Case], results: list[Tensor]) -> bool:
    return close(results[1], results[0][:, 4:])


LEARNED_TABLE = Exercise(
    number="2.5",
    title="Learned positions",
    points=1,
    difficulty=2,
    minutes=15,
    section="§3.5, Table 3 row E",
    reference=LearnedPositions,
    kind="module",
    cases=_learned_cases,
    properties=(
        Property(
            "a token gets the same code alone",
            _begun_later,
            _alike_where_they_meet,
            "Tokens 4 and 5 handed over alone with start=4 have to get what they get as part of the sentence. (A "
            "translation is made token by token, and must be the one that training saw as a whole.)",
        ),
        Property(
            "the table begins as asked for",
            _fresh_tables,
            _as_embeddings_begin,
            "Your positions add what is asked for, but a new table does not begin as N(0, 1/d_model): around zero, "
            "with variance 1/d_model and so with standard deviation 1/√d_model, "
            "`torch.randn(max_len, d_model) / d_model**0.5`. Zeros say nothing of any place until they are trained, "
            "and N(0, 1) says it √d_model times louder than asked for.",
        ),
    ),
    returns=("output",),
    misconceptions=LEARNED,
    hints=(
        "A parameter is a tensor that the optimiser finds: `self.table = nn.Parameter(torch.randn(…))`. One row for "
        "each position that can occur.",
        "The tokens stand at positions start, …, start + length − 1: which slice of the table is that?",
        "`return embedded + self.table[start : start + embedded.size(1)]`; the rows, (length, d_model), are added to "
        "each sentence of the batch by broadcasting.",
    ),
)


# 2.6 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _rotary_cases(generator: Generator) -> list[Case]:
    def drawn(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return normal(generator, *shape, dtype=dtype)

    start = whole(generator, 3, 12)
    return [
        Case("one head, two positions", (drawn(1, 1, 2, 4),)),
        Case("three positions, width 6", (drawn(1, 2, 3, 6),)),
        Case("sentences and heads", (drawn(2, 3, 4, 8),), part=SHAPE),
        Case("as many heads as positions", (drawn(2, 4, 4, 4),), part=SHAPE),
        Case("heads as a view", (drawn(2, 5, 3, 4).transpose(1, 2),), part=SHAPE, traits=(IN_PIECES,)),
        Case(f"from position {start}", (drawn(1, 2, 3, 8), start), traits=(STARTED,)),
        Case("float64", (drawn(2, 1, 4, 8, dtype=torch.float64),), part=EDGE),
        Case("gradients", (drawn(1, 2, 3, 4), start), gradients=True, traits=(STARTED,)),
        Case("a single position", (drawn(2, 2, 1, 4), 5), part=EDGE, traits=(STARTED,)),
        Case("width 2, a single pair", (drawn(1, 2, 4, 2),), part=EDGE, traits=("there is a single pair",)),
        Case("far into a text", (drawn(1, 1, 2, 12), whole(generator, 4000, 6000)), part=EDGE,
             traits=(FAR,), tolerance=1e-5),
    ]  # fmt: skip


def _same_offset(generator: Generator) -> list[Case]:
    """A query 4 positions after a key, met at three places of a text."""
    query, key = normal(generator, 1, 1, 1, 8), normal(generator, 1, 1, 1, 8)
    places = (0, whole(generator, 1, 40), whole(generator, 40, 300))
    return [
        Case(f"{name} at {place}", (vector, place))
        for start in places
        for name, vector, place in (("query", query, start + 4), ("key", key, start))
    ]


def _one_score(cases: list[Case], results: list[Tensor]) -> bool:
    scores = torch.stack([(query * key).sum() for query, key in zip(results[0::2], results[1::2], strict=True)])
    return bool((scores - scores[0]).abs().max() < 1e-3)


def _lengths(generator: Generator) -> list[Case]:
    return [Case("any", (normal(generator, 2, 2, 5, 6), whole(generator, 0, 90)))]


def _no_longer(cases: list[Case], results: list[Tensor]) -> bool:
    return close(results[0].norm(dim=-1), cases[0].arguments[0].norm(dim=-1))


ROTATION = Exercise(
    number="2.6",
    title="Rotary positions",
    points=2,
    difficulty=3,
    minutes=20,
    section="since 2017: rotary positions",
    reference=rotate,
    cases=_rotary_cases,
    properties=(
        Property(
            "only the offset counts",
            _same_offset,
            _one_score,
            "The dot product of a turned query and a turned key must depend on how far apart they stand, and not on "
            "where.",
        ),
        Property("lengths stay", _lengths, _no_longer, "A rotation must not change the length of a vector."),
    ),
    returns=("output",),
    misconceptions=ROTARY,
    hints=(
        "The angles are those of Exercise 2.2, (length, d_k / 2). `x[..., 0::2]` and `x[..., 1::2]` are the two "
        "entries of all pairs, (…, length, d_k / 2).",
        "A turn by the angle φ makes of (a, b) the pair (a cos φ − b sin φ, a sin φ + b cos φ). Then the pairs have "
        "to stand side by side again.",
        "`torch.stack([a * cosine - b * sine, a * sine + b * cosine], dim=-1).flatten(-2)`, with positions "
        "`torch.arange(start, start + length, dtype=torch.float64)` and sine and cosine brought to x by `.to(x)`.",
    ),
    optional=True,
)
