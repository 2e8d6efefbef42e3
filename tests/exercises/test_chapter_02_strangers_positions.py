"""Chapter 02, learned and rotary positions and the test for equivariance, met by strangers: wrong answers that are in
no other table, and unusual right ones. As in test_chapter_02_positions.py.
"""

import functools

import numpy
import torch
from torch import nn

# 2.5 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Positions(nn.Module):
    """Right."""

    def __init__(self, d_model, max_len=256):
        super().__init__()
        self.max_len = max_len
        self.table = nn.Parameter(torch.randn(max_len, d_model) / d_model**0.5)

    def forward(self, embedded, start=0):
        return embedded + self.table[start : start + embedded.size(1)]


def adding(forward):
    return type("Answer", (Positions,), {"forward": forward})


def beginning(start):
    """As `Positions`, with another table to begin with: start(max_len, d_model)."""

    class Answer(Positions):
        def __init__(self, d_model, max_len=256):
            super().__init__(d_model, max_len)
            self.table = nn.Parameter(start(max_len, d_model))

    return Answer


class CountsItself(Positions):
    """Remembers how far the text has come, whatever `start` says."""

    here = 0

    def forward(self, embedded, start=0):
        start = start or self.here
        self.here = start + embedded.size(1)
        return embedded + self.table[start : self.here]


class RowsKept(Positions):
    kept = None

    def forward(self, embedded, start=0):
        if self.kept is None or self.kept.size(0) != embedded.size(1):
            self.kept = self.table[start : start + embedded.size(1)]
        return embedded + self.kept


class Exchanged(Positions):
    def __init__(self, max_len=256, d_model=512):
        super().__init__(d_model, max_len)


class Default512(Positions):
    def __init__(self, d_model, max_len=512):
        super().__init__(d_model, max_len)


class OneRowMore(Positions):
    """A row for padding."""

    def __init__(self, d_model, max_len=256):
        super().__init__(d_model, max_len + 1)


class InAList(nn.Module):
    def __init__(self, d_model, max_len=256):
        super().__init__()
        self.rows = [nn.Parameter(torch.randn(d_model) / d_model**0.5) for _ in range(max_len)]

    def forward(self, embedded, start=0):
        return embedded + torch.stack(self.rows[start : start + embedded.size(1)])


class Frozen(Positions):
    def __init__(self, d_model, max_len=256):
        super().__init__(d_model, max_len)
        self.table.requires_grad = False


class LearnedScale(Positions):
    def __init__(self, d_model, max_len=256):
        super().__init__(d_model, max_len)
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, embedded, start=0):
        return embedded + self.scale * super().forward(0 * embedded, start)


class WithNorm(Positions):
    def __init__(self, d_model, max_len=256):
        super().__init__(d_model, max_len)
        self.norm = nn.LayerNorm(d_model)

    def forward(self, embedded, start=0):
        return self.norm(super().forward(embedded, start))


class TableDrawnInForward(nn.Module):
    def __init__(self, d_model, max_len=256):
        super().__init__()
        self.d_model, self.max_len = d_model, max_len

    def forward(self, embedded, start=0):
        table = nn.Parameter(torch.randn(self.max_len, self.d_model))
        return embedded + table[start : start + embedded.size(1)]


WRONG_2_5 = {
    "counts by itself": (CountsItself, "it must remember nothing"),
    "rows kept": (RowsKept, "it must remember nothing"),
    "sizes exchanged": (Exchanged, None),
    "another default": (Default512, "(512, 2)"),
    "a row for padding": (OneRowMore, "(7, 4)"),
    "rows in a list": (InAList, "nn.Parameter"),
    "frozen": (Frozen, "`table`"),
    "a learned factor": (LearnedScale, "scale (1,)"),
    "a norm inside": (WithNorm, "norm.weight"),
    "drawn in forward": (TableDrawnInForward, "no parameter"),
    "start from 1": (adding(lambda self, x, start=1: x + self.table[start : start + x.size(1)]), None),
    "length from the width": (adding(lambda self, x, start=0: x + self.table[start : start + x.size(2)]), None),
    "start as the end": (adding(lambda self, x, start=0: x + self.table[start - x.size(1) : start or None]), None),
    "start added after": (adding(lambda self, x, start=0: x + self.table[: start + x.size(1)][-x.size(1) :] * 2), None),
    "every second row": (adding(lambda self, x, start=0: x + self.table[start :: 2][: x.size(1)]), None),
    "modulo the length": (
        adding(lambda self, x, start=0: x + self.table[(torch.arange(x.size(1)) + start) % x.size(1)]), "`start` is"),
    "clamped one too early": (
        adding(lambda self, x, start=0: x + self.table[
            (torch.arange(x.size(1)) + start).clamp(max=len(self.table) - 2)]), "last row"),
    "first sentence alone": (
        adding(lambda self, x, start=0: torch.cat([x[:1] + self.table[start : start + x.size(1)], x[1:]])), None),
    "in place": (adding(lambda self, x, start=0: x.add_(self.table[start : start + x.size(1)])), "`embedded`"),
    "no gradient": (
        adding(torch.no_grad()(lambda self, x, start=0: x + self.table[start : start + x.size(1)])), "no_grad"),
    "start required": (adding(lambda self, x, start: x + self.table[start : start + x.size(1)]), "start=0"),
    "begins as Xavier": (beginning(lambda n, d: nn.init.xavier_uniform_(torch.empty(n, d))), "N(0, 1/d_model)"),
    "begins with one row for all": (
        beginning(lambda n, d: (torch.randn(1, d) / d**0.5).repeat(n, 1)), "N(0, 1/d_model)"),
    "begins with 0.02": (beginning(lambda n, d: 0.02 * torch.randn(n, d)), "N(0, 1/d_model)"),
    "begins with 1/d_model": (beginning(lambda n, d: torch.randn(n, d) / d), "N(0, 1/d_model)"),
    "begins by the length": (beginning(lambda n, d: torch.randn(n, d) / n**0.5), "N(0, 1/d_model)"),
}  # fmt: skip


class WithBatchAxis(nn.Module):
    def __init__(self, d_model, max_len=256):
        super().__init__()
        self.pe = nn.Parameter(torch.randn(1, max_len, d_model) * d_model**-0.5)

    def forward(self, embedded, start=0):
        return embedded + self.pe[:, start : start + embedded.shape[1], :]


class ByIds(nn.Module):
    def __init__(self, d_model, max_len=256):
        super().__init__()
        self.register_buffer("ids", torch.arange(max_len)[None])
        self.positions = nn.Embedding(max_len, d_model)
        with torch.no_grad():
            self.positions.weight.div_(d_model**0.5)

    def forward(self, embedded, start=0):
        return embedded.add(self.positions(self.ids[:, start : start + embedded.size(1)]))


class Inherited(nn.Embedding):
    def __init__(self, d_model, max_len=256):
        super().__init__(max_len, d_model)
        nn.init.normal_(self.weight, 0.0, d_model**-0.5)

    def forward(self, embedded, start=0):
        places = torch.arange(start, start + embedded.size(-2))
        return embedded + super().forward(places)


RIGHT_2_5 = {
    "an axis for the batch": WithBatchAxis,
    "ids in a buffer": ByIds,
    "subclass of nn.Embedding": Inherited,
    "partial": functools.partial(Positions),
    "position by position": adding(
        lambda self, x, start=0: torch.stack([x[:, t] + self.table[start + t] for t in range(x.size(1))], 1)),
    "einsum": adding(lambda self, x, start=0: torch.einsum(
        "btd,->btd", x, torch.ones(())) + torch.einsum(
        "tp,pd->td", torch.eye(len(self.table))[start : start + x.size(1)], self.table)),
    "longer texts cut off": adding(
        lambda self, x, start=0: x + self.table[(torch.arange(x.size(1)) + start).clamp(max=len(self.table) - 1)]),
    "keyword only": lambda d_model, max_len=256, *, device=None: Positions(d_model, max_len),
}  # fmt: skip


# 2.6 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def angles(x, start=0, base=10000.0):
    position = torch.arange(start, start + x.size(-2)).double()[:, None]
    return position / base ** (torch.arange(0, x.size(-1), 2).double() / x.size(-1))


def turned(x, angle):
    sine, cosine = angle.sin().to(x), angle.cos().to(x)
    first, second = x[..., 0::2], x[..., 1::2]
    return torch.stack([first * cosine - second * sine, first * sine + second * cosine], -1).flatten(-2)


def rotate(x, start=0):
    return turned(x, angles(x, start))


def half_swapped(x):
    first, second = x.chunk(2, -1)
    return torch.cat([-second, first], -1)


def pair_swapped(x):
    return torch.stack([-x[..., 1::2], x[..., 0::2]], -1).flatten(-2)


def mixed_conventions(x, start=0):
    angle = angles(x, start).repeat_interleave(2, -1)
    return x * angle.cos().to(x) + half_swapped(x) * angle.sin().to(x)


def mixed_the_other_way(x, start=0):
    angle = torch.cat([angles(x, start)] * 2, -1)
    return x * angle.cos().to(x) + pair_swapped(x) * angle.sin().to(x)


def minus_forgotten_in_the_swap(x, start=0):
    angle = angles(x, start).repeat_interleave(2, -1)
    swapped = torch.stack([x[..., 1::2], x[..., 0::2]], -1).flatten(-2)
    return x * angle.cos().to(x) + swapped * angle.sin().to(x)


def first_length_kept(x, start=0, kept={}):  # noqa: B006 (that is what is wrong with it)
    if x.size(-1) not in kept:
        kept[x.size(-1)] = angles(x, start)
    return turned(x, kept[x.size(-1)][: x.size(-2)])


def known_to_2048(x, start=0):
    known = angles(torch.zeros(2048, x.size(-1)))
    return turned(x, known[start : start + x.size(-2)])


def by_view(x, start=0):
    pairs = x.view(-1, *x.shape[-2:]).view(*x.shape[:-1], -1, 2)
    sine, cosine = angles(x, start).sin().to(x), angles(x, start).cos().to(x)
    return torch.stack(
        [pairs[..., 0] * cosine - pairs[..., 1] * sine, pairs[..., 0] * sine + pairs[..., 1] * cosine], -1
    ).view(x.shape)


WRONG_2_6 = {
    "two conventions mixed": (mixed_conventions, "mix two conventions"),
    "two conventions mixed, the other way": (mixed_the_other_way, "mix two conventions"),
    "minus forgotten": (minus_forgotten_in_the_swap, "minus is missing"),
    "first angles kept": (first_length_kept, None),
    "2048 positions known": (known_to_2048, "thousands"),
    "by view": (by_view, "view"),
    "twice the exponent": (lambda x, start=0: turned(x, angles(x, start, 1e8)), "twice too large"),
    "from 1": (lambda x, start=0: turned(x, angles(x, start + 1)), "one too late"),
    "from -start": (lambda x, start=0: turned(x, angles(x, -start)), None),
    "start at the end": (lambda x, start=0: turned(x, angles(x, start - x.size(-2) + 1)), None),
    "start of each pair": (lambda x, start=0: turned(x, angles(x, 0) + start), None),
    "all positions at start": (lambda x, start=0: turned(x, angles(x, start)[:1]), None),
    "degrees": (lambda x, start=0: turned(x, torch.deg2rad(angles(x, start))), None),
    "turns": (lambda x, start=0: turned(x, 2 * torch.pi * angles(x, start)), None),
    "width of all heads": (lambda x, start=0: turned(x, angles(x.transpose(1, 2).flatten(2), start)[
        :, : x.size(-1) // 2]), None),
    "scaled by the root": (lambda x, start=0: rotate(x, start) / x.size(-1) ** 0.5, None),
    "pairs in reverse": (lambda x, start=0: turned(x, angles(x, start).flip(-1)), None),
    "times the table": (
        lambda x, start=0: x * torch.stack([angles(x, start).sin(), angles(x, start).cos()], -1).flatten(-2).to(x),
        None,
    ),
    "rows and columns": (lambda x, start=0: rotate(x.transpose(-1, -2), start).transpose(-1, -2), None),
    "three axes": (lambda x, start=0: rotate(x.flatten(0, 1), start), "shape"),
    "base required": (lambda x, start, base: rotate(x, start), "start=0"),
    "half precision": (lambda x, start=0: rotate(x.half(), start).to(x.dtype), None),
    "complex": (lambda x, start=0: torch.view_as_complex(rotate(x, start).unflatten(-1, (-1, 2))), "shape"),
    "random": (lambda x, start=0: turned(x, torch.rand_like(angles(x, start))), None),
}  # fmt: skip


def by_loops(x, start=0):
    out = []
    for p in range(x.size(-2)):
        for i in range(x.size(-1) // 2):
            angle = torch.tensor(float(start + p)).double() / 10000 ** (2 * i / x.size(-1))
            a, b = x[..., p, 2 * i], x[..., p, 2 * i + 1]
            sine, cosine = angle.sin().to(x), angle.cos().to(x)
            out += [a * cosine - b * sine, a * sine + b * cosine]
    return torch.stack(out, -1).view(x.shape)


class Rotary:
    def __init__(self):
        self.known = {}

    def __call__(self, x, start=0, *, base=10000.0):
        """Angles are kept by width, and made anew where they end too early."""
        if len(self.known.get(x.size(-1), ())) < start + x.size(-2):
            self.known[x.size(-1)] = angles(x.new_zeros(start + x.size(-2), x.size(-1)), 0, base)
        return turned(x, self.known[x.size(-1)][start : start + x.size(-2)])


def in_rows(x, start=0):
    angle = angles(x, start)
    matrices = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], -1).unflatten(-1, (2, 2))
    return (matrices.to(x) @ x.unflatten(-1, (-1, 2))[..., None]).squeeze(-1).flatten(-2)


RIGHT_2_6 = {
    "loops": by_loops,
    "an object that keeps angles": Rotary(),
    "2 × 2 matrices": in_rows,
    "swapped neighbours": lambda x, start=0: (
        x * angles(x, start).cos().repeat_interleave(2, -1).to(x)
        + pair_swapped(x) * angles(x, start).sin().repeat_interleave(2, -1).to(x)),
    "by way of halves": lambda x, start=0: (
        lambda y, c, s: (y * c + half_swapped(y) * s).unflatten(-1, (2, -1)).transpose(-1, -2).flatten(-2)
    )(x.unflatten(-1, (-1, 2)).transpose(-1, -2).flatten(-2),
      torch.cat([angles(x, start).cos()] * 2, -1).to(x), torch.cat([angles(x, start).sin()] * 2, -1).to(x)),
    "float64 inside": lambda x, start=0: rotate(x.double(), start).to(x.dtype),
    "partial": functools.partial(rotate),
    "NumPy's angles": lambda x, start=0: turned(x, torch.from_numpy(
        numpy.arange(start, start + x.size(-2))[:, None] / 1e4 ** (numpy.arange(0, x.size(-1), 2) / x.size(-1)))),
}  # fmt: skip


# 2.7 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def both(f, x, order):
    return f(x[:, order]), f(x)[:, order]


def near(one, other, atol=1e-5):
    return one.shape == other.shape and torch.allclose(one, other, atol=atol)


def of_difference(reduce):
    return lambda f, x, order: bool(reduce(both(f, x, order)[0] - both(f, x, order)[1]) < 1e-5)


def random_order(f, x, order):
    order = torch.randperm(x.size(1))
    return near(*both(f, x, order))


def own_input(f, x, order):
    x = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    return near(*both(f, x, order))


WRONG_2_7 = {
    "allclose as it is": (lambda f, x, order: torch.allclose(*both(f, x, order)), "1e-8"),
    "differences with their sign": (of_difference(torch.max), "with its sign"),
    "differences the other way": (
        lambda f, x, order: bool((f(x)[:, order] - f(x[:, order])).max() < 1e-5), "with its sign"),
    "sum of differences": (of_difference(lambda d: d.sum().abs()), None),
    "mean of differences": (of_difference(lambda d: d.mean().abs()), None),
    "smallest difference": (of_difference(lambda d: d.abs().min()), "all of them"),
    "flipped": (lambda f, x, order: near(f(x.flip(1)), f(x).flip(1)), "order"),
    "an order of its own": (random_order, None),
    "an input of its own": (own_input, None),
    "norms": (lambda f, x, order: near(*(y.norm(dim=1) for y in both(f, x, order))), None),
    "sorted": (lambda f, x, order: near(*(y.sort(dim=1).values for y in both(f, x, order))), None),
    "largest": (lambda f, x, order: near(*(y.amax(1) for y in both(f, x, order))), None),
    "last position": (lambda f, x, order: near(*(y[:, -1] for y in both(f, x, order))), None),
    "first dimension": (lambda f, x, order: near(*(y[..., 0] for y in both(f, x, order))), None),
    "isclose": (lambda f, x, order: torch.isclose(*both(f, x, order), atol=1e-5), "Tensor"),
    "any": (lambda f, x, order: bool(torch.isclose(*both(f, x, order), atol=1e-5).any()), None),
    "==": (lambda f, x, order: bool((both(f, x, order)[0] == both(f, x, order)[1]).all()), "last bit"),
    "axis 0 of one sentence": (lambda f, x, order: near(f(x[0][order]), f(x[0])[order]), None),
    "shapes": (lambda f, x, order: f(x[:, order]).shape == f(x)[:, order].shape, "of everything"),
    "input compared": (lambda f, x, order: near(f(x[:, order]), x[:, order]), None),
    "order as a mask": (lambda f, x, order: near(f(x[:, order.bool()]), f(x)[:, order.bool()]), None),
    "nested list": (lambda f, x, order: [[near(*both(f, x, order))]], None),
    "arguments exchanged": (lambda x, f, order: near(*both(f, x, order)), None),
}  # fmt: skip


def by_gather(f, x, order):
    def reordered(y):
        return y.gather(1, order[None, :, None].expand(y.size(0), -1, y.size(2)))

    return near(f(reordered(x)), reordered(f(x)))


@torch.no_grad()
def without_gradient(function, x, order):
    return not bool(((function(x[:, order]) - function(x)[:, order]).abs() > 1e-5).any())


def sentence_by_sentence(f, x, order):
    one, other = both(f, x, order)
    return all(near(a, b) for a, b in zip(one, other, strict=True))


RIGHT_2_7 = {
    "gather": by_gather,
    "no gradient": without_gradient,
    "sentence by sentence": sentence_by_sentence,
    "NumPy": lambda f, x, order: bool(numpy.allclose(*(y.detach().numpy() for y in both(f, x, order)), atol=1e-5)),
    "assert_close": lambda f, x, order: not _raises(lambda: torch.testing.assert_close(
        *both(f, x, order), atol=1e-5, rtol=1e-5)),
    "norm of the difference": lambda f, x, order: torch.dist(*both(f, x, order)).item() < 1e-4,
    "extra keyword": lambda function, x, order, atol=1e-5: near(*both(function, x, order), atol=atol),
}  # fmt: skip


def _raises(call):
    try:
        call()
    except AssertionError:
        return True
    return False


WRONG = {"2.5": WRONG_2_5, "2.6": WRONG_2_6, "2.7": WRONG_2_7}
RIGHT = {"2.5": RIGHT_2_5, "2.6": RIGHT_2_6, "2.7": RIGHT_2_7}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
