"""Exercises 10.2 and 10.3: maps measured against what a grammar knows."""

import torch
from torch import Generator, Tensor

from utils.exercises.chapter_10.references import alignment_error_rate, found
from utils.exercises.chapter_10.words import EDGE, VIEW
from utils.exercises.chapter_10.wrong_measuring import ERROR_RATES, FOUND
from utils.exercises.declare import Case, Exercise, Property

SHARED = "some rows have several wanted columns"


def drawn_weights(generator: Generator, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Rows of a softmax."""
    return (2 * torch.randn(*shape, generator=generator, dtype=torch.float64)).softmax(dim=-1).to(dtype)


def drawn_links(generator: Generator, *shape: int) -> tuple[Tensor, Tensor]:
    """(sure, possible), bool: one sure link in most rows, possible ones beside it, and one row without any."""
    drawn = torch.rand(*shape, generator=generator)
    sure = torch.zeros(shape, dtype=torch.bool).scatter_(-1, drawn.argmax(dim=-1, keepdim=True), True)
    sure[..., 0, :] = False  # a row of possible links alone
    possible = sure | (drawn > 0.75)
    possible[..., 0, 0] = True
    if shape[-2] > 2:
        sure[..., -1, :], possible[..., -1, :] = False, False  # a comma: no link at all
    return sure, possible


def near(generator: Generator, links: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Weights that stand on the links in about two rows of three."""
    noise = torch.randn(links.shape, generator=generator, dtype=torch.float64)
    return (1.5 * noise + 2 * links).softmax(dim=-1).to(dtype)


def _rate_cases(generator: Generator) -> list[Case]:
    def case(name: str, *shape: int, dtype: torch.dtype = torch.float32, **options) -> Case:
        order = torch.randperm(shape[-2], generator=generator)  # rows of all kinds in any order, as in sentences
        sure, possible = (links[..., order, :] for links in drawn_links(generator, *shape))
        return Case(name, (near(generator, possible, dtype), sure, possible), **options)

    sure, possible = drawn_links(generator, 3, 5, 6)
    sure[1, 1:], possible[1, 1:] = False, False  # a sentence with few links weighs little
    weights = near(generator, possible)
    drawn = torch.rand(6, generator=generator)
    weights[1, 0] = torch.where(possible[1, 0], drawn - 5, drawn).softmax(dim=-1)  # and has them all wrong
    uneven = Case("sentences with many and with few links", (weights, sure, possible))
    sure, possible = drawn_links(generator, 5, 7)
    perfect = (torch.rand(5, 7, generator=generator) + 2 * possible + 2 * sure).softmax(dim=-1)
    nothing = torch.zeros(3, 4, dtype=torch.bool)
    possible_alone = torch.tensor([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0], [1, 0, 0, 1]]).bool()
    half_right = torch.rand(4, 4, generator=generator) + 2 * torch.eye(4)[[2, 1, 0, 3]]  # the first row's link is wrong
    turned = near(generator, (maps := case("", 4, 2, 6, 5)).arguments[2]).transpose(0, 1)
    turned = turned, *(links.transpose(0, 1) for links in maps.arguments[1:])
    return [
        case("one sentence, five words", 5, 6),
        case("one sentence, more rows than columns", 7, 4),
        case("three sentences", 3, 5, 6),
        uneven,
        case("as many rows as columns", 6, 6),
        Case("maps with two axes exchanged, as a view", turned, part="shape", traits=(VIEW,)),
        Case("no link is sure", (half_right, torch.zeros_like(possible_alone), possible_alone), part=EDGE,
             traits=("no link is sure",)),
        case("float64", 2, 4, 5, dtype=torch.float64),
        case("two sentences, four heads' worth of maps", 2, 4, 5, 6),
        Case("every link right", (perfect, sure, possible), part=EDGE),
        Case("no link at all", (drawn_weights(generator, 3, 4), nothing, nothing), part=EDGE,
             traits=("there is no link, neither sure nor possible",)),
        case("one row", 1, 4, part=EDGE),
    ]  # fmt: skip


ERROR_RATE = Exercise(
    number="10.2",
    title="The alignment error rate",
    points=3,
    difficulty=2,
    minutes=20,
    section="§4; Och and Ney 2003",
    reference=alignment_error_rate,
    cases=_rate_cases,
    returns=("rate",),
    misconceptions=ERROR_RATES,
    hints=(
        "First the links A, a bool tensor of the shape of `weights`: True at the largest weight of each row, and False "
        "in rows that have no possible link. Then only counting is left.",
        "`torch.nn.functional.one_hot(weights.argmax(dim=-1), weights.size(-1)).bool()` has one True a row; `& "
        "possible.any(dim=-1, keepdim=True)` empties the rows that do not count. `(links & sure).sum()` counts A∩S.",
        "`right = (links & sure).sum() + (links & possible).sum()`, `made = links.sum() + sure.sum()`; return 0.0 "
        "where made is 0, else `1 - (right / made).item()`.",
    ),
)


def _found_cases(generator: Generator) -> list[Case]:
    def case(name: str, batch: int, heads: int, rows: int, columns: int, share: float = 0.5, **options) -> Case:
        relation = _relation(generator, batch, rows, columns, share)
        bias = 2.0 * relation[:, None] * torch.rand(1, heads, 1, 1, generator=generator)
        noise = torch.randn(batch, heads, rows, columns, generator=generator, dtype=torch.float64)
        return Case(name, ((2 * (noise + bias)).softmax(dim=-1).float(), relation), **options)

    two_columns = _relation(generator, 2, 5, 6, 0.7)
    two_columns |= two_columns.roll(1, dims=-1)
    either = (torch.randn(2, 3, 5, 6, generator=generator) + 3 * two_columns[:, None]).softmax(dim=-1)
    many, few = _relation(generator, 1, 6, 6, 0.9), torch.zeros(1, 6, 6, dtype=torch.bool)
    few[0, 2, 3] = True
    return [
        case("two sentences, three heads", 2, 3, 5, 6),
        case("one sentence, two heads", 1, 2, 6, 5, 0.8),
        Case("a sentence with many pairs and one with a single one",
             (drawn_weights(generator, 2, 4, 6, 6), torch.cat([many, few]))),
        Case("two wanted columns in a row", (either, two_columns), traits=(SHARED,)),
        case("as many heads as sentences", 3, 3, 4, 4),
        case("as many heads as rows", 2, 5, 5, 5),
        Case("nothing is asked", (drawn_weights(generator, 2, 3, 4, 4), torch.zeros(2, 4, 4, dtype=torch.bool)),
             part=EDGE, traits=("no row wants anything",)),
        case("one head, one row", 1, 1, 1, 4, 1.0, part=EDGE),
    ]  # fmt: skip


def _relation(generator: Generator, batch: int, rows: int, columns: int, share: float) -> Tensor:
    """bool (batch, rows, columns): a wanted column in about that share of the rows, and in the first one."""
    wanted = torch.randint(columns, (batch, rows, 1), generator=generator)
    relation = torch.zeros(batch, rows, columns, dtype=torch.bool).scatter_(-1, wanted, True)
    asked = torch.rand(batch, rows, 1, generator=generator) < share
    asked[:, 0] = True
    return relation & asked


FINDS = Exercise(
    number="10.3",
    title="What a head finds",
    points=2,
    difficulty=3,
    minutes=20,
    section="§4, appendix (figures 3–5)",
    reference=found,
    cases=_found_cases,
    returns=("shares",),
    misconceptions=FOUND,
    hints=(
        "The largest weight of each row of each head stands at some column. Look up in `relation` whether that column "
        "is a wanted one; rows that want nothing can never be a hit.",
        "`columns = weights.argmax(dim=-1, keepdim=True)`, (batch, heads, query_len, 1). "
        "`relation[:, None].expand_as(weights)` gives every head the same relation, and `.gather(-1, columns)` reads "
        "it at those columns.",
        "Hits summed over sentences and rows, `.sum(dim=(0, 2))`, divided by `relation.any(dim=-1).sum()`, the rows "
        "asked; with `.clamp(min=1)` nothing is divided by zero.",
    ),
    properties=(
        Property(
            "each head has a share of its own",
            lambda generator: [
                Case("heads in order", (weights := drawn_weights(generator, 2, 3, 5, 6),
                                        relation := _relation(generator, 2, 5, 6, 0.8))),
                Case("heads reversed", (weights.flip(1), relation)),
            ],
            lambda cases, results: torch.allclose(results[0], results[1].flip(0)),
            "When the heads change places, the shares must change places with them, and nothing else.",
        ),
    ),
)  # fmt: skip
