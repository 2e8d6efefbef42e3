"""What goes wrong with learned and rotary positions and with testing (exercises 2.5 to 2.7), and what puts it right."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from utils.exercises.chapter_02.wrong_sinusoids import angles
from utils.exercises.declare import Misconception

# 2.5, learned positions ───────────────────────────────────────────────────────────────────────────────────────────


def positions_that(add, trained: bool = True):
    """A module like LearnedPositions that makes something else of (embedded, table, start)."""

    class Positions(nn.Module):
        def __init__(self, d_model: int, max_len: int = 256) -> None:
            super().__init__()
            table = torch.randn(max_len, d_model) / d_model**0.5
            if trained:
                self.table = nn.Parameter(table)
            else:
                self.register_buffer("table", table)

        def forward(self, embedded: Tensor, start: int = 0) -> Tensor:
            return add(embedded, self.table, start, start + embedded.size(1))

    return Positions


LEARNED = (
    Misconception(
        "start ignored",
        positions_that(lambda x, table, start, end: x + table[: x.size(1)]),
        "You add the first rows of the table whatever `start` is. When a translation is made token by token, the "
        "token at hand stands at position `start`: its row is table[start].",
    ),
    Misconception(
        "nothing added",
        positions_that(lambda x, table, start, end: table[start:end].expand_as(x)),
        "You return the positions alone: they are added to the embeddings, `embedded + self.table[…]`.",
    ),
    Misconception(
        "multiplied",
        positions_that(lambda x, table, start, end: x * table[start:end]),
        "You multiply by the positions. §3.5 adds them.",
    ),
    Misconception(
        "no parameter",
        positions_that(lambda x, table, start, end: x + table[start:end], trained=False),
        "Your table is no parameter, so no optimiser will ever find and train it: make it with nn.Parameter(…), or "
        "take an nn.Embedding.",
    ),
    Misconception(
        "table times √d_model",
        positions_that(lambda x, table, start, end: x + table[start:end] * x.size(-1) ** 0.5),
        "You multiply the rows by √d_model. That factor of §3.4 belongs to the token embeddings; positions are added "
        "as they are.",
    ),
    Misconception(
        "embeddings times √d_model",
        positions_that(lambda x, table, start, end: x * x.size(-1) ** 0.5 + table[start:end]),
        "You multiply the embeddings by √d_model. What comes in has been scaled already, in the embedding of chapter "
        "01; here positions are added, and nothing else.",
    ),
    Misconception(
        "one row for all",
        positions_that(lambda x, table, start, end: x + table[start]),
        "You add one and the same row to every token, which tells nobody where it stands: token number t of the input "
        "gets row start + t.",
    ),
    Misconception(
        "counted from the end",
        positions_that(lambda x, table, start, end: x + table[start:end].flip(0)),
        "Your positions run backwards: the first token gets the last of the rows.",
    ),
    Misconception(
        "table not followed by gradients",
        positions_that(lambda x, table, start, end: x + table[start:end].detach()),
        "`.detach()` or `.data` cuts the table off from the loss, and `requires_grad=False` freezes it: it would stay "
        "as it was drawn. Use the parameter itself.",
    ),
    Misconception(
        "a row too far",
        positions_that(lambda x, table, start, end: x + table[start + 1 : end + 1]),
        "Your rows begin one too late: the first token stands at position `start`, so rows start … start + length − 1.",
    ),
)


# 2.6, rotary positions ────────────────────────────────────────────────────────────────────────────────────────────


def turned(x: Tensor, start: int = 0, speed=angles) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The parts of a rotation: (first of each pair, second of each pair, sine, cosine)."""
    angle = speed(torch.arange(start, start + x.size(-2)), x.size(-1))  # (length, d_k / 2)
    return x[..., 0::2], x[..., 1::2], angle.sin().to(x), angle.cos().to(x)


def paired(first: Tensor, second: Tensor) -> Tensor:
    """Pairs put back side by side."""
    return torch.stack([first, second], dim=-1).flatten(-2)


def rotating(make, speed=angles):
    """A wrong answer to 2.6 that makes other pairs of (first, second, sine, cosine)."""
    return lambda x, start=0: paired(*make(*turned(x, start, speed)))


def counter_clockwise(first: Tensor, second: Tensor, sine: Tensor, cosine: Tensor) -> tuple[Tensor, Tensor]:
    """The right turn, for answers that are wrong elsewhere."""
    return first * cosine - second * sine, first * sine + second * cosine


def single_angles(positions: Tensor, d_k: int) -> Tensor:
    return positions.float()[:, None] / 10000 ** (torch.arange(0, d_k, 2) / d_k)


def halves_paired(x: Tensor, start: int = 0) -> Tensor:
    _, _, sine, cosine = turned(x, start)
    return torch.cat(counter_clockwise(*x.chunk(2, dim=-1), sine, cosine), dim=-1)


def halves_returned(x: Tensor, start: int = 0) -> Tensor:
    return torch.cat(counter_clockwise(*turned(x, start)), dim=-1)


def along_heads(x: Tensor, start: int = 0) -> Tensor:
    return rotating(counter_clockwise)(x.transpose(1, 2), start).transpose(1, 2)


def code_added(x: Tensor, start: int = 0) -> Tensor:
    _, _, sine, cosine = turned(x, start)
    return x + paired(sine, cosine)


def halves_swapped(x: Tensor, start: int, spread) -> Tensor:
    """x cos + rotate_half(x) sin, with angles laid out otherwise."""
    _, _, sine, cosine = turned(x, start)
    first, second = x.chunk(2, dim=-1)
    return x * spread(cosine) + torch.cat([-second, first], dim=-1) * spread(sine)


def neighbours_swapped(x: Tensor, start: int, spread) -> Tensor:
    """The same with each entry's neighbour."""
    first, second, sine, cosine = turned(x, start)
    return x * spread(cosine) + paired(-second, first) * spread(sine)


MIXED = (
    "You mix two conventions: the entries are paired in one way, and the angles are laid out in the other, so that the "
    "two entries of a pair turn by different angles. With neighbours as pairs, entries 2i and 2i + 1 share angle i."
)
ROTARY = (
    Misconception(
        "turned clockwise",
        rotating(lambda a, b, sine, cosine: (a * cosine + b * sine, b * cosine - a * sine)),
        "Your pairs turn clockwise. Attention would not mind, since queries and keys turn alike; asked for is the "
        "counter-clockwise turn, (a cos − b sin, a sin + b cos), so that weights fit other people's code.",
    ),
    Misconception(
        "halves paired",
        halves_paired,
        "You pair entry i with entry i + d_k/2, as GPT-NeoX and much code since do. That is rotary too, with the "
        "dimensions in another order, and the two do not mix; asked for are neighbours, entries 2i and 2i + 1.",
    ),
    Misconception(
        "returned in halves",
        halves_returned,
        "Your turns are right, but you return all first entries and then all second ones. Put each pair back side by "
        "side: torch.stack([…], dim=-1).flatten(-2).",
    ),
    Misconception(
        "start ignored",
        lambda x, start=0: rotating(counter_clockwise)(x),
        "Your positions begin at 0 whatever `start` is.",
    ),
    Misconception(
        "one angle for all",
        rotating(
            counter_clockwise,
            lambda positions, d_k: positions.double()[:, None].expand(-1, d_k // 2),
        ),
        "All your pairs turn by the position itself. Pair i turns by position / 10000^(2i/d_k).",
    ),
    Misconception(
        "half the exponent",
        rotating(counter_clockwise, lambda positions, d_k: angles(positions, d_k, 100.0)),
        "Your exponent is i/d_k; it is 2i/d_k, as in §3.5.",
    ),
    Misconception(
        "twice the exponent",
        rotating(counter_clockwise, lambda positions, d_k: angles(positions, d_k, 1e8)),
        "Your exponent is twice too large: `torch.arange(0, d_k, 2)` counts 0, 2, 4, … and so is the 2i already.",
    ),
    Misconception(
        "counted from 1",
        lambda x, start=0: rotating(counter_clockwise)(x, start + 1),
        "Your positions begin one too late: the first vector of x stands at position `start`, and at position 0 "
        "nothing is turned.",
    ),
    Misconception(
        "halves turned by neighbours' angles",
        lambda x, start=0: halves_swapped(x, start, lambda angle: angle.repeat_interleave(2, dim=-1)),
        MIXED,
    ),
    Misconception(
        "neighbours turned by the halves' angles",
        lambda x, start=0: neighbours_swapped(x, start, lambda angle: torch.cat([angle, angle], dim=-1)),
        MIXED,
    ),
    Misconception(
        "a code added",
        code_added,
        "You add the sinusoidal code. Rotary positions add nothing: each pair of entries is turned, and keeps its "
        "length.",
    ),
    Misconception(
        "multiplied by the cosine alone",
        rotating(lambda a, b, sine, cosine: (a * cosine, b * cosine)),
        "You multiply by the cosine alone, which shortens the pairs. A turn mixes the two entries of a pair: (a cos − "
        "b sin, a sin + b cos).",
    ),
    Misconception(
        "no minus",
        rotating(lambda a, b, sine, cosine: (a * cosine + b * sine, a * sine + b * cosine)),
        "A minus is missing: (a cos − b sin, a sin + b cos). Without it the pair does not keep its length.",
    ),
    Misconception(
        "float32 angles",
        rotating(counter_clockwise, single_angles),
        "Your angles are float32. Far into a text their sines are wrong in the fourth digit, as in Exercise 2.2, and "
        "for float64 inputs everywhere: take them in float64 and bring sine and cosine to x by `.to(x)`.",
    ),
    Misconception(
        "along the heads",
        along_heads,
        "Your angle grows along the heads' axis. The input is (batch, heads, length, d_k): the position is the last "
        "axis but one.",
    ),
)


# 2.7, a test for equivariance ─────────────────────────────────────────────────────────────────────────────────────


def same(one: Tensor, other: Tensor) -> bool:
    """Equal but for rounding."""
    return one.shape == other.shape and torch.allclose(one, other, atol=1e-5)


SLIPS = (
    Misconception(
        "a test for invariance",
        lambda function, x, order: same(function(x[:, order]), function(x)),
        "You test for invariance: that the result stays the same. Equivariance says that the result is reordered too; "
        "compare with function(x)[:, order].",
    ),
    Misconception(
        "sentences reordered",
        lambda function, x, order: same(function(x[order]), function(x)[order]),
        "You reorder the batch: axis 0 of x holds sentences. Positions are axis 1, `x[:, order]`.",
    ),
    Misconception(
        "reordered back",
        lambda function, x, order: same(function(x[:, order]), function(x)[:, order.argsort()]),
        "You reorder the input by `order` and the output by its inverse. Both are reordered by the same.",
    ),
    Misconception(
        "to the last bit",
        lambda function, x, order: torch.equal(function(x[:, order]), function(x)[:, order]),
        "You compare to the last bit. Sums taken in another order round otherwise, so compare with torch.allclose and "
        "a tolerance.",
    ),
    Misconception(
        "allclose as it is",
        lambda function, x, order: torch.allclose(function(x[:, order]), function(x)[:, order]),
        "`torch.allclose` as it is allows numbers near 0 to differ by 1e-8, and rounding is larger than that: give it "
        "atol=1e-5.",
    ),
    Misconception(
        "differences with their sign",
        lambda function, x, order: bool((function(x[:, order]) - function(x)[:, order]).max() < 1e-5),
        "You compare the largest difference, with its sign: where all differences are negative it is below any "
        "tolerance. Take `.abs()` first, or torch.allclose.",
    ),
    Misconception(
        "differences with their sign, turned round",
        lambda function, x, order: bool((function(x)[:, order] - function(x[:, order])).max() < 1e-5),
        "You compare the largest difference, with its sign: where all differences are negative it is below any "
        "tolerance. Take `.abs()` first, or torch.allclose.",
    ),
    Misconception(
        "any number",
        lambda function, x, order: bool(torch.isclose(function(x[:, order]), function(x)[:, order], atol=1e-5).any()),
        "You ask whether any number agrees, and one can by chance: compare all of them (`.all()`, or torch.allclose).",
    ),
    Misconception(
        "order ignored",
        lambda function, x, order: same(function(x.flip(1)), function(x).flip(1)),
        "You reorder the positions in a way of your own. Whether it makes a difference can depend on the order: use "
        "the one that is given, `order`.",
    ),
    Misconception(
        "a wide tolerance",
        lambda function, x, order: torch.allclose(function(x[:, order]), function(x)[:, order], atol=1e-2),
        "Your tolerance is so wide that a small effect of the position passes as none. Rounding is of the order of "
        "1e-6 here: atol=1e-5 lets it through and nothing else.",
    ),
    Misconception(
        "True for everything",
        lambda function, x, order: same(function(x[:, order]), function(x[:, order])),
        "Your test says True of everything it was given, so it compares something with itself. A test has to fail "
        "where the property does not hold: compare function(x[:, order]) with function(x)[:, order].",
    ),
    Misconception(
        "False for everything",
        lambda function, x, order: function(x[:, order]) is function(x)[:, order],
        "Your test says False of everything it was given. (`is` asks whether two names mean one object, and `==` gives "
        "a tensor; the numbers are compared by torch.allclose.)",
    ),
    Misconception(
        "one position alone",
        lambda function, x, order: same(function(x[:, order])[:, :1], function(x)[:, order[:1]]),
        "You compare a single position, and it can be right by chance: compare all of them.",
    ),
    Misconception(
        "first position of the first sentence",
        lambda function, x, order: same(function(x[:, order])[0, 0], function(x)[0, order[0]]),
        "You compare the first position of the first sentence alone, and it can be right by chance: compare all of "
        "them.",
    ),
    Misconception(
        "first sentence alone",
        lambda function, x, order: same(function(x[:, order])[0], function(x)[0, order]),
        "You compare the first sentence alone, and the second may tell otherwise: compare all of them.",
    ),
    Misconception(
        "sums compared",
        lambda function, x, order: torch.allclose(
            function(x[:, order]).sum(1), function(x)[:, order].sum(1), atol=1e-4
        ),
        "You compare sums over the positions, which say nothing of their order: compare the two tensors themselves.",
    ),
    Misconception(
        "function not called on the reordered input",
        lambda function, x, order: same(function(x)[:, order], x[:, order]),
        "You compare the function's output with its input. Two outputs are to be compared: of the reordered input, "
        "and the reordered output of the input as it was.",
    ),
)
# True or False: who is wrong in a case or two says there what many a slip says. Only agreement everywhere tells which.
TESTING = tuple(replace(slip, everywhere=True) for slip in SLIPS)
