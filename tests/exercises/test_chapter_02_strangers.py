"""Chapter 02, codes, table, wavelengths and shifts, met by strangers: wrong answers that are in no other table, and
unusual right ones. As in test_chapter_02_sinusoids.py.
"""

import functools
import math

import numpy
import torch

# 2.1 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def code(position, d_model, base=10000.0):
    angles = position / base ** (torch.arange(0, d_model, 2).double() / d_model)
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(-2).float()


def by_columns(angle):
    """A code column by column: angle(position, column, d_model)."""

    def answer(position, d_model):
        entries = [
            math.cos(angle(position, j, d_model)) if j % 2 else math.sin(angle(position, j, d_model))
            for j in range(d_model)
        ]
        return torch.tensor(entries)

    return answer


def whole_numbers(position, d_model):
    vector = torch.zeros(d_model, dtype=torch.long)
    for i in range(0, d_model, 2):
        vector[i] = math.sin(position / 10000 ** (i / d_model))
        vector[i + 1] = math.cos(position / 10000 ** (i / d_model))
    return vector.float()


def stepping_by_two(position, d_model):
    """i counts 0, 2, 4, …, and is doubled all the same."""
    vector = torch.zeros(d_model)
    for i in range(0, d_model, 2):
        vector[i] = math.sin(position / 10000 ** (2 * i / d_model))
        vector[i + 1] = math.cos(position / 10000 ** (2 * i / d_model))
    return vector


def neighbours_angle(position, d_model):
    """The cosine's exponent is that of the next entry."""
    vector = torch.zeros(d_model)
    for i in range(0, d_model, 2):
        vector[i] = math.sin(position / 10000 ** (i / d_model))
        vector[i + 1] = math.cos(position / 10000 ** ((i + 1) / d_model))
    return vector


def doubled_cosine(position, d_model):
    """A known slip: the cosine's exponent is 2 (i + 1)."""
    vector = torch.zeros(d_model)
    for i in range(0, d_model, 2):
        vector[i] = math.sin(position / 10000 ** (i / d_model))
        vector[i + 1] = math.cos(position / 10000 ** (2 * (i + 1) / d_model))
    return vector


def up_to_16(position, d_model):
    return code(position, 16)[:d_model] if d_model == 16 else torch.cat([code(position, d_model), torch.zeros(16)])[:16]


def known_positions(position, d_model, size=512):
    return torch.stack([code(p, d_model) for p in range(size)])[position]


def last_position_kept(position, d_model):
    return code(min(position, 1000), d_model)


WRONG_2_1 = {
    "whole numbers": (whole_numbers, None),
    "steps of two, doubled": (stepping_by_two, "twice too large"),
    "angle of the neighbour": (neighbours_angle, "different angles"),
    "exponent of the cosine one further": (doubled_cosine, "copied code"),
    "always 16": (up_to_16, "shape"),
    "512 positions known": (known_positions, "IndexError"),
    "positions end at 1000": (last_position_kept, "thousands"),
    "exponent of i alone": (by_columns(lambda p, j, d: p / 10000 ** (j // 2)), None),
    "exponent over half the width": (by_columns(lambda p, j, d: p / 10000 ** (2 * (j // 2) / (d // 2))), "twice"),
    "width less one": (by_columns(lambda p, j, d: p / 10000 ** (2 * (j // 2) / (d - 1))), None),
    "cosine in the odd pairs": (
        lambda p, d: torch.tensor([(math.sin if i % 4 < 2 else math.cos)(p / 10000 ** (i // 2 * 2 / d))
                                   for i in range(d)]),
        None,
    ),
    "tangent": (lambda p, d: torch.nan_to_num(code(p, d)).sin(), None),
    "absolute values": (lambda p, d: code(p, d).abs(), None),
    "squares": (lambda p, d: code(p, d).square(), None),
    "base e": (lambda p, d: code(p, d, math.e), None),
    "arguments exchanged": (lambda d_model, position: code(position, d_model), "in this order"),
    "a table up to the position": (lambda p, d: torch.stack([code(q, d) for q in range(p + 1)]), "shape"),
    "column": (lambda p, d: code(p, d)[:, None], "shape"),
    "float16": (lambda p, d: code(p, d).half(), "float16"),
    "generator": (lambda p, d: (number for number in code(p, d)), "returns a generator"),
    "in the range of 0 to 1": (lambda p, d: (code(p, d) + 1) / 2, None),
}  # fmt: skip


def in_float32(position, d_model):
    """Angles in float32: what Exercise 2.2 warns of, and this one does not ask for otherwise."""
    angles = position / 10000 ** (torch.arange(0, d_model, 2) / d_model)
    return torch.stack([angles.sin(), angles.cos()], dim=1).flatten()


@functools.lru_cache
def cached(position, d_model):
    return code(position, d_model)


class Code:
    base = 10000

    def __call__(self, position: int, d_model: int) -> torch.Tensor:
        return code(position, d_model, self.base)


RIGHT_2_1 = {
    "float32 throughout": in_float32,
    "lru_cache": cached,
    "an object": Code(),
    "partial": functools.partial(code, base=1e4),
    "columns": by_columns(lambda p, j, d: p / 10000 ** ((j - j % 2) / d)),
    "polar": lambda p, d: torch.view_as_real(
        torch.polar(torch.ones(d // 2).double(), math.pi / 2 - p / 1e4 ** (torch.arange(0, d, 2).double() / d))
    ).flatten().float(),
    "turned step by step": lambda p, d: torch.tensor(
        [part for i in range(d // 2) for part in ((1j * p * 1e4 ** (-2 * i / d)),)
         for part in (math.sin(part.imag), math.cos(part.imag))]
    ),
}  # fmt: skip


# 2.2 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def table(length, d_model, base=10000.0):
    angles = torch.arange(length).double()[:, None] / base ** (torch.arange(0, d_model, 2).double() / d_model)
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1).float()


def of_angles(angles):
    """angles(positions (length, 1), pairs (d_model / 2,), length, d_model), all float64."""

    def answer(length, d_model):
        found = angles(torch.arange(length).double()[:, None], torch.arange(d_model // 2).double(), length, d_model)
        return torch.stack([found.sin(), found.cos()], -1).flatten(1).float()

    return answer


def odd_angles(length, d_model):
    """Sines of the even columns' angles, cosines of the odd columns' own ones."""
    angles = torch.arange(length).double()[:, None] / 10000 ** (torch.arange(d_model).double() / d_model)
    out = angles.clone()
    out[:, 0::2], out[:, 1::2] = angles[:, 0::2].sin(), angles[:, 1::2].cos()
    return out.float()


def first_half_second_half(length, d_model):
    out = table(length, d_model)
    return torch.cat([out[:, 1::2], out[:, 0::2]], 1)


def half_precision_positions(length, d_model):
    angles = torch.arange(length).half().double()[:, None] / 1e4 ** (torch.arange(0, d_model, 2).double() / d_model)
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1).float()


def made_for_512(length, d_model):
    return torch.cat([table(min(length, 512), d_model), torch.zeros(max(0, length - 512), d_model)])


def padding_row(length, d_model):
    out = table(length, d_model)
    out[0] = 0
    return out


class OneWidth:
    kept = None

    def __call__(self, length, d_model):
        if self.kept is None or len(self.kept) < length:
            self.kept = table(length, d_model)
        return self.kept[:length]


def reused(length, d_model, buffer=torch.zeros(6000, 16)):  # noqa: B008 (that is what is wrong with it)
    buffer[:length, :d_model] += table(length, d_model)
    return buffer[:length, :d_model].clone()


WRONG_2_2 = {
    "odd columns with their own angles": (odd_angles, "different angles"),
    "cosines, then sines": (first_half_second_half, None),
    "positions in half precision": (half_precision_positions, "thousands"),
    "512 rows": (made_for_512, "thousands"),
    "row 0 for padding": (padding_row, None),
    "one width kept": (OneWidth(), None),
    "a buffer that adds up": (reused, None),
    "arange from 1": (of_angles(lambda p, i, n, d: (p + 1) / 1e4 ** (2 * i / d)), "begin at 1"),
    "i is not doubled": (of_angles(lambda p, i, n, d: p / 1e4 ** (i / d)), "i/d_model"),
    "width of the pairs": (of_angles(lambda p, i, n, d: p / 1e4 ** (2 * i / (d // 2))), "twice too large"),
    "frequencies by linspace": (
        of_angles(lambda p, i, n, d: p * torch.logspace(0, -4, d // 2).double()), "both ends"),
    "relative positions": (of_angles(lambda p, i, n, d: (p - n // 2) / 1e4 ** (2 * i / d)), None),
    "backwards": (of_angles(lambda p, i, n, d: (n - 1 - p) / 1e4 ** (2 * i / d)), None),
    "no positions": (of_angles(lambda p, i, n, d: (p * 0 + 1) / 1e4 ** (2 * i / d)), None),
    "added": (of_angles(lambda p, i, n, d: p + 1e-4 ** (2 * i / d)), None),
    "scaled by the root": (lambda n, d: table(n, d) * d**0.5, None),
    "a batch of it": (lambda n, d: table(n, d).expand(1, n, d), "shape"),
    "length too short by one": (lambda n, d: table(n - 1, d), "shape"),
    "sizes exchanged": (lambda d_model, length: table(length, d_model), "in this order"),
    "a fixed length": (lambda n, d: table(5000, d), "shape"),
    "bfloat16 frequencies": (
        of_angles(lambda p, i, n, d: p / (1e4 ** (2 * i / d)).bfloat16().double()), None),
    "float32 positions alone": (
        lambda n, d: (a := torch.arange(n).float()[:, None] / 1e4 ** (torch.arange(0, d, 2).float() / d)) is None or
        torch.stack([a.sin(), a.cos()], -1).flatten(1), "seven digits"),
    "learned": (lambda n, d: torch.nn.init.xavier_normal_(torch.empty(n, d)), None),
    "complex": (lambda n, d: table(n, d).to(torch.complex64), "dtype"),
}  # fmt: skip


def in_numpy(length, d_model):
    position, pair = numpy.arange(length)[:, None], numpy.arange(d_model)[None]
    angles = position / numpy.power(10000, 2 * (pair // 2) / d_model)
    angles[:, 0::2], angles[:, 1::2] = numpy.sin(angles[:, 0::2]), numpy.cos(angles[:, 1::2])
    return torch.from_numpy(angles.astype(numpy.float32))


def transposed_inside(length, d_model):
    out = torch.empty(d_model, length)
    for i in range(d_model // 2):
        angles = torch.arange(length).double() * 1e4 ** (-2 * i / d_model)
        out[2 * i], out[2 * i + 1] = angles.sin(), angles.cos()
    return out.t()


RIGHT_2_2 = {
    "NumPy": in_numpy,
    "transposed inside": transposed_inside,
    "lru_cache": functools.lru_cache(maxsize=4)(table),
    "keyword only": lambda length, d_model, *, dtype=torch.float32: table(length, d_model).to(dtype),
    "outer product": of_angles(lambda p, i, n, d: torch.outer(p[:, 0], 1e4 ** (-2 * i / d))),
    "interleaved by a permutation": lambda n, d: torch.cat([table(n, d)[:, 0::2], table(n, d)[:, 1::2]], 1)[
        :, torch.arange(d).view(2, -1).t().flatten()],
    "rows by vmap": lambda n, d: torch.vmap(
        lambda p: torch.stack([(p * 1e4 ** (-torch.arange(0, d, 2).double() / d)).sin(),
                               (p * 1e4 ** (-torch.arange(0, d, 2).double() / d)).cos()], -1).flatten()
    )(torch.arange(n).double()).float(),
}  # fmt: skip


# 2.3 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def waves(d_model, base=10000.0):
    return 2 * math.pi * base ** (torch.arange(0, d_model, 2) / d_model)


def until_it_comes_round(d_model, base=10000.0):
    return waves(d_model, base).ceil()


WRONG_2_3 = {
    "π for 3.14": (lambda d, base=10000.0: 2 * 3.14 * base ** (torch.arange(0, d, 2) / d), "0.9995 times"),
    "whole tokens": (until_it_comes_round, None),
    "half the pairs": (lambda d, base=10000.0: waves(d, base)[: d // 4 or 1], "shape"),
    "one too many": (lambda d, base=10000.0: 2 * math.pi * base ** (torch.arange(0, d + 1, 2) / d), "shape"),
    "every second of half exponents": (
        lambda d, base=10000.0: 2 * math.pi * base ** (2 * torch.arange(0, d, 2) / d), "twice too large"),
    "base 10000 as a global": (lambda d, base=None: waves(d), "whatever `base` is"),
    "base required": (lambda d_model, base: waves(d_model, base), "base=10000.0"),
    "default of 1000": (lambda d, base=1000.0: waves(d, base), None),
    "arguments exchanged": (lambda base=10000, d_model=512: waves(d_model, float(base)), None),
    "whole-number exponents": (lambda d, base=10000.0: 2 * math.pi * base ** (torch.arange(0, d, 2) // d), None),
    "longest first": (lambda d, base=10000.0: waves(d, base).sort(descending=True).values, None),
    "from the angle's sine": (lambda d, base=10000.0: waves(d, base).sin(), None),
    "root of the base": (lambda d, base=10000.0: waves(d, base**0.5), "i/d_model"),
    "multiplied exponents": (lambda d, base=10000.0: 2 * math.pi * base * (torch.arange(0, d, 2) / d), None),
    "steps between": (lambda d, base=10000.0: waves(d, base).diff(prepend=torch.zeros(1)), None),
    "in degrees": (lambda d, base=10000.0: 360 * base ** (torch.arange(0, d, 2) / d), None),
    "float16": (lambda d, base=10000.0: waves(d, base).half(), "float16"),
    "at most 10000": (lambda d, base=10000.0: waves(d, base).clamp(max=10000), None),
    "list of tensors": (lambda d, base=10000.0: list(waves(d, base)), "Tensor"),
    "with their pairs": (lambda d, base=10000.0: torch.stack([torch.arange(d // 2).float(), waves(d, base)]), "shape"),
}  # fmt: skip
RIGHT_2_3 = {
    "NumPy inside": lambda d, base=10000.0: torch.from_numpy(
        2 * numpy.pi * base ** (numpy.arange(0, d, 2) / d)).to(torch.float32),
    "powers of a ratio": lambda d, base=10000.0: math.tau * torch.pow(base ** (2 / d), torch.arange(d // 2)).float(),
    "a whole base": lambda d_model, base=10000: torch.tensor([math.tau * base ** (2 * i / d_model)
                                                              for i in range(d_model // 2)]),
    "partial": functools.partial(waves),
    "keyword only": lambda d_model, base=10_000.0, *, turn=math.tau: turn * waves(d_model, base) / math.tau,
    "exp2": lambda d, base=10000.0: math.tau * torch.exp2(torch.arange(0, d, 2).double() / d * math.log2(base)).float(),
    "lru_cache": functools.lru_cache(waves),
}  # fmt: skip


# 2.4 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def shift(offset, d_model, base=10000.0):
    blocks = []
    for i in range(d_model // 2):
        angle = offset / base ** (2 * i / d_model)
        sine, cosine = math.sin(angle), math.cos(angle)
        blocks.append(torch.tensor([[cosine, sine], [-sine, cosine]]))
    return torch.block_diag(*blocks)


def blocks_of(block, angle=lambda k, i, d: k / 10000 ** (2 * i / d)):
    return lambda k, d: torch.block_diag(*(torch.tensor(block(angle(k, i, d))) for i in range(d // 2)))


def turn(angle):
    return [[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]


def by_adding(offset, d_model):
    """A matrix made of the code of the offset, added."""
    return torch.eye(d_model) + torch.diag(code(abs(offset), d_model))


def first_blocks_only(offset, d_model):
    matrix = torch.eye(d_model)
    for i in range(0, d_model // 2, 2):
        matrix[i : i + 2, i : i + 2] = torch.tensor(turn(offset / 10000 ** (i / d_model)))
    return matrix


def written_over(offset, d_model):
    matrix = torch.zeros(d_model, d_model)
    for i in range(d_model // 2):
        matrix[i : i + 2, i : i + 2] = torch.tensor(turn(offset / 10000 ** (2 * i / d_model)))
    return matrix


def multiplied_up(offset, d_model):
    """A step at a time, forwards only."""
    matrix = torch.eye(d_model)
    for _ in range(offset):
        matrix = matrix @ shift(1, d_model)
    return matrix


WRONG_2_4 = {
    "the code added": (by_adding, None),
    "first blocks only": (first_blocks_only, None),
    "blocks written over each other": (written_over, None),
    "step by step, forwards only": (multiplied_up, None),
    "twice the exponent": (blocks_of(turn, lambda k, i, d: k / 10000 ** (4 * i / d)), "twice too large"),
    "multiplied angle": (blocks_of(turn, lambda k, i, d: k * 10000 ** (2 * i / d)), None),
    "pairs counted from 1": (blocks_of(turn, lambda k, i, d: k / 10000 ** (2 * (i + 1) / d)), None),
    "whole-number angle": (blocks_of(turn, lambda k, i, d: k // 10000 ** (2 * i / d)), None),
    "sign of the offset lost": (blocks_of(turn, lambda k, i, d: (k * k) ** 0.5 / 10000 ** (2 * i / d)), "forwards"),
    "minus on both": (blocks_of(lambda a: [[math.cos(a), -math.sin(a)], [-math.sin(a), math.cos(a)]]), "too many"),
    "reflection": (blocks_of(lambda a: [[math.cos(a), math.sin(a)], [math.sin(a), -math.cos(a)]]), "mirrors"),
    "cosine with a minus": (blocks_of(lambda a: [[-math.cos(a), math.sin(a)], [-math.sin(a), -math.cos(a)]]), None),
    "small angles": (blocks_of(lambda a: [[1.0, a], [-a, 1.0]]), None),
    "sine on the diagonal": (
        blocks_of(lambda a: [[math.sin(a), math.cos(a)], [-math.cos(a), math.sin(a)]]), "changed places"),
    "reversed offset": (lambda k, d: shift(-k, d), "goes back"),
    "degrees": (blocks_of(turn, lambda k, i, d: math.radians(k / 10000 ** (2 * i / d))), None),
    "halves": (lambda k, d: shift(k, d)[torch.arange(d).view(-1, 2).t().flatten()][
        :, torch.arange(d).view(-1, 2).t().flatten()], "all sines first"),
    "outer product of codes": (lambda k, d: torch.outer(code(abs(k), d), code(0, d)), None),
    "one row": (lambda k, d: shift(k, d)[0], "shape"),
    "modulo the width": (lambda k, d: shift(k % d, d), None),
    "up to 1000": (lambda k, d: shift(min(k, 1000), d), "thousands"),
    "a layer": (lambda k, d: torch.nn.Linear(d, d, bias=False), "Tensor"),
    "sizes exchanged": (lambda d_model, offset: shift(offset, d_model), None),
    "half precision": (lambda k, d: shift(k, d).half().float(), None),
}  # fmt: skip


def from_table(offset, d_model):
    """From the rotation's own numbers: row 0 and 1 of each block are codes of the offset and of a quarter further."""
    sines, cosines = numpy.sin, numpy.cos
    angles = offset / 10000 ** (numpy.arange(0, d_model, 2) / d_model)
    matrix = numpy.zeros((d_model, d_model))
    even = numpy.arange(0, d_model, 2)
    matrix[even, even] = matrix[even + 1, even + 1] = cosines(angles)
    matrix[even, even + 1], matrix[even + 1, even] = sines(angles), -sines(angles)
    return torch.tensor(matrix, dtype=torch.float32)


RIGHT_2_4 = {
    "NumPy": from_table,
    "kron": lambda k, d: sum(
        torch.kron(torch.diag(torch.eye(d // 2)[i]), torch.tensor(turn(k / 10000 ** (2 * i / d))))
        for i in range(d // 2)
    ),
    "inverse for going back": lambda k, d: torch.linalg.inv(shift(-k, d).double()).float() if k < 0 else shift(k, d),
    "lru_cache": functools.lru_cache(shift),
    "partial": functools.partial(shift, base=1e4),
    "float64 inside": blocks_of(turn, lambda k, i, d: float(torch.tensor(float(k)).double() / 1e4 ** (2 * i / d))),
    "modulo a turn": blocks_of(turn, lambda k, i, d: (k / 10000 ** (2 * i / d)) % math.tau),
}  # fmt: skip

WRONG = {"2.1": WRONG_2_1, "2.2": WRONG_2_2, "2.3": WRONG_2_3, "2.4": WRONG_2_4}
RIGHT = {"2.1": RIGHT_2_1, "2.2": RIGHT_2_2, "2.3": RIGHT_2_3, "2.4": RIGHT_2_4}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
