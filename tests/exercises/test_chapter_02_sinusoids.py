"""Chapter 02, codes, table, wavelengths and shifts, from outside: plausible wrong answers that no misconception was
written for, and unusual right ones.

Each wrong answer comes with words that its explanation must contain, or None where a plain "not the expected numbers"
is all that is asked of the check.
"""

import cmath
import math

import numpy as np
import torch

from utils.exercises.chapter_02.references import position_code, shift_matrix, wavelengths
from utils.transformer import sinusoidal_table

# 2.1 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def looped(angle_of, pairs=lambda d_model: range(d_model // 2)):
    """A code by a loop with another angle, or over other pairs."""

    def answer(position, d_model):
        code = torch.zeros(d_model)
        for i in pairs(d_model):
            angle = angle_of(position, i, d_model)
            code[2 * i], code[2 * i + 1] = math.sin(angle), math.cos(angle)
        return code

    return answer


def angle(position, i, d_model):
    return position / 10000 ** (2 * i / d_model)


def over_all_dimensions(position, d_model):
    code = torch.zeros(d_model)
    for i in range(d_model):
        angle_ = position / 10000 ** (2 * i / d_model)
        code[i] = math.sin(angle_) if i % 2 == 0 else math.cos(angle_)
    return code


def first_step_only(position, d_model):
    code = torch.zeros(d_model)
    for i in range(d_model // 2):
        code[2 * i], code[2 * i + 1] = math.sin(angle(position, i, d_model)), math.cos(angle(position, i, d_model))
        return code


def remembering(answer):
    """Gives the first result again for the same width."""
    seen = {}
    return lambda position, d_model: seen.setdefault(d_model, answer(position, d_model)).clone()


WRONG_2_1 = {
    "width 4 in mind": (looped(lambda p, i, d: p / 10000 ** (2 * i / 4)), None),
    "width 8 in mind": (looped(lambda p, i, d: p / 10000 ** (i / 4)), None),
    "last pair forgotten": (looped(angle, lambda d: range(d // 2 - 1)), None),
    "first pair forgotten": (looped(angle, lambda d: range(1, d // 2)), None),
    "pairs counted backwards": (looped(lambda p, i, d: angle(p, d // 2 - 1 - i, d)), None),
    "loop over all dimensions": (over_all_dimensions, None),
    "return inside the loop": (first_step_only, "`return`"),
    "whole-number division": (looped(lambda p, i, d: p / 10000 ** (2 * i // d)), None),
    "turns": (looped(lambda p, i, d: angle(p, i, d) / (2 * math.pi)), None),
    "sign": (lambda p, d: -position_code(p, d), "sign"),
    "backwards in time": (lambda p, d: position_code(-p, d), None),
    "doubled": (lambda p, d: 2 * position_code(p, d), "2 times"),
    "pairs in reverse": (lambda p, d: position_code(p, d).view(-1, 2).flip(0).flatten(), None),
    "entries in reverse": (lambda p, d: position_code(p, d).flip(0), None),
    "base 10": (looped(lambda p, i, d: p / 10 ** (2 * i / d)), None),
    "hard-coded": (lambda p, d: torch.tensor([0.1411, -0.99, 0.03, 0.9996]), "shape"),
    "rounded": (lambda p, d: position_code(p, d).mul(100).round() / 100, None),
    "a row": (lambda p, d: position_code(p, d)[None], "shape"),
    "pairs not joined": (lambda p, d: position_code(p, d).view(-1, 2), "shape"),
    "list": (lambda p, d: position_code(p, d).tolist(), "Tensor"),
    "NumPy": (lambda p, d: position_code(p, d).numpy(), "NumPy"),
    "float64": (lambda p, d: position_code(p, d).double(), "float64"),
    "remembers a width": (remembering(position_code), None),
    "no return": (lambda p, d: print(position_code(p, d)), "return"),
    "position alone": (lambda p: position_code(p, 8), "d_model"),
    "random": (lambda p, d: torch.randn(d), None),
}


def by_complex_numbers(position, d_model):
    turned = [cmath.exp(1j * angle(position, i, d_model)) for i in range(d_model // 2)]
    return torch.tensor([part for z in turned for part in (z.imag, z.real)])


def by_numpy(position, d_model):
    angles = position / 10000 ** (np.arange(0, d_model, 2) / d_model)
    return torch.from_numpy(np.stack([np.sin(angles), np.cos(angles)], 1).ravel()).float()


def two_by_two(position, d_model):
    code = torch.empty(d_model)
    for column in range(0, d_model, 2):
        code[column] = math.sin(position / math.exp(math.log(10000) * column / d_model))
        code[column + 1] = math.cos(position * 10000 ** (-column / d_model))
    return code


RIGHT_2_1 = {
    "complex numbers": by_complex_numbers,
    "NumPy inside": by_numpy,
    "columns two by two": two_by_two,
    "a row of the table": lambda p, d: sinusoidal_table(p + 1, d)[p],
    "a shift of position 0": lambda p, d: shift_matrix(p, d) @ torch.tensor([0.0, 1.0]).repeat(d // 2),
    "cosine as a late sine": lambda p, d: torch.tensor(
        [math.sin(angle(p, j // 2, d) + (j % 2) * math.pi / 2) for j in range(d)]
    ),
    "extra keyword": lambda p, d, base=10000: position_code(p, d),
}


# 2.2 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def table_of(make_angles, dtype=torch.float64):
    """A table with other angles: make_angles(position (length, 1), even (d_model / 2,), d_model)."""

    def answer(length, d_model):
        position = torch.arange(length, dtype=dtype)[:, None]
        angles = make_angles(position, torch.arange(0, d_model, 2, dtype=dtype), d_model)
        return torch.stack([angles.sin(), angles.cos()], -1).flatten(1).float()

    return answer


def in_place_rows(length, d_model):
    table = torch.zeros(length, d_model)
    for position in range(length - 1):
        table[position] = position_code(position, d_model)
    return table


def sine_overwritten(length, d_model):
    table = sinusoidal_table(length, d_model)
    table[:, 0::2] = table[:, 1::2]
    return table


def broadcast_the_wrong_way(length, d_model):
    position, even = torch.arange(length).double(), torch.arange(0, d_model, 2).double()
    angles = position / (10000 ** (even / d_model))[:, None]
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1).float()


class Grows:
    """A table kept between calls, and made anew where it is too short."""

    def __init__(self):
        self.table = None

    def __call__(self, length, d_model):
        if self.table is None or self.table.size(1) != d_model or len(self.table) < length:
            self.table = sinusoidal_table(length, d_model)
        return self.table[:length]


WRONG_2_2 = {
    "last row forgotten": (in_place_rows, None),
    "a row too many": (lambda n, d: sinusoidal_table(n + 1, d), "shape"),
    "width and length exchanged": (lambda n, d: sinusoidal_table(d, 2 * ((n + 1) // 2)), "shape"),
    "sine overwritten": (sine_overwritten, None),
    "broadcast the wrong way": (broadcast_the_wrong_way, "shape"),
    "whole numbers": (table_of(lambda p, e, d: p // 10000 ** (e / d)), None),
    "divided by the length": (table_of(lambda p, e, d: p / len(p) / 10000 ** (e / d)), None),
    "scaled to 2π": (table_of(lambda p, e, d: 2 * math.pi * p / len(p) / 10000 ** (e / d)), None),
    "width 16 in mind": (table_of(lambda p, e, d: p / 10000 ** (e / 16)), None),
    "positions alone in float64": (
        lambda n, d: table_of(lambda p, e, d: p / 10000 ** (e.float() / d))(n, d), "both `arange`"),
    "base 100": (table_of(lambda p, e, d: p / 100 ** (e / d)), "i/d_model"),
    "exponent by length": (table_of(lambda p, e, d: p / 10000 ** (e / len(p))), None),
    "float32 inside a loop": (
        lambda n, d: torch.stack([
            torch.stack([torch.tensor(float(p)) / torch.tensor(10000.0) ** (torch.arange(0, d, 2) / d)] * 2, 1)
            .add(torch.tensor([0.0, math.pi / 2])).sin().flatten() for p in range(n)]),
        "thousands",
    ),
    "periodic after 1000": (lambda n, d: sinusoidal_table(1000, d)[torch.arange(n) % 1000], "thousands"),
    "halves of the table": (lambda n, d: sinusoidal_table(n, d).view(n, -1, 2).transpose(1, 2).flatten(1), "order"),
    "a batch axis": (lambda n, d: sinusoidal_table(n, d)[None], "shape"),
    "sign": (lambda n, d: -sinusoidal_table(n, d), "sign"),
    "normed": (lambda n, d: sinusoidal_table(n, d) / (d / 2) ** 0.5, None),
    "half precision": (lambda n, d: sinusoidal_table(n, d).half(), "dtype"),
    "half precision inside": (lambda n, d: sinusoidal_table(n, d).bfloat16().float(), None),
    "a parameter of a class": (lambda n, d: torch.nn.Embedding(n, d).weight, None),
    "list of rows": (lambda n, d: list(sinusoidal_table(n, d)), "Tensor"),
    "NumPy": (lambda n, d: sinusoidal_table(n, d).numpy(), "NumPy"),
    "no return": (lambda n, d: None, "return"),
    "another device": (lambda n, d: sinusoidal_table(n, d).to("meta"), "device"),
}  # fmt: skip


def by_columns(length, d_model):
    position = torch.arange(length, dtype=torch.float64)
    columns = [torch.sin(position / 10000 ** (2 * (j // 2) / d_model) + (j % 2) * math.pi / 2) for j in range(d_model)]
    return torch.stack(columns, 1).float()


def by_turning(length, d_model):
    """Each row from the one before, in float64."""
    turn = torch.exp(1j / 10000 ** (torch.arange(0, d_model, 2).double() / d_model))
    hands = turn[None] ** torch.arange(length).double()[:, None]
    return torch.stack([hands.imag, hands.real], -1).flatten(1).float()


def by_logarithm(length, d_model):
    frequency = torch.exp(torch.arange(0, d_model, 2).double() * -(math.log(10000.0) / d_model))
    table = torch.zeros(length, d_model)
    table[:, 0::2] = torch.sin(torch.outer(torch.arange(length).double(), frequency))
    table[:, 1::2] = torch.cos(torch.outer(torch.arange(length).double(), frequency))
    return table


RIGHT_2_2 = {
    "row by row": lambda n, d: torch.stack([by_complex_numbers(p, d) for p in range(n)]),
    "columns": by_columns,
    "complex powers": by_turning,
    "logarithm in float64": by_logarithm,
    "einsum": table_of(lambda p, e, d: torch.einsum("pi,j->pj", p, 10000 ** (-e / d))),
    "where": lambda n, d: torch.where(
        torch.arange(d) % 2 == 0,
        (torch.arange(n).double()[:, None] / 10000 ** (torch.arange(d) // 2 * 2 / d).double()).sin(),
        (torch.arange(n).double()[:, None] / 10000 ** ((torch.arange(d) // 2 * 2).double() / d)).cos(),
    ).float() if d in (2, 4, 8, 16) else sinusoidal_table(n, d),
    "NumPy inside": lambda n, d: torch.tensor(sinusoidal_table(n, d).numpy().copy()),
    "kept between calls": Grows(),
}  # fmt: skip


# 2.3 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

tau = 2 * math.pi


def even(d_model):
    return torch.arange(0, d_model, 2)


WRONG_2_3 = {
    "π": (lambda d, base=10000.0: wavelengths(d, base) / 2, "0.5 times"),
    "reverse": (lambda d, base=10000.0: wavelengths(d, base).flip(0), None),
    "counted from 1": (lambda d, base=10000.0: tau * base ** ((even(d) + 2) / d), None),
    "all exponents": (lambda d, base=10000.0: tau * base ** (torch.arange(d) / d), "shape"),
    "first half of all": (lambda d, base=10000.0: tau * base ** (torch.arange(d // 2) / d), "2i/d_model"),
    "too fast": (lambda d, base=10000.0: tau * base ** (2 * even(d) / d), None),
    "width 8 in mind": (lambda d, base=10000.0: tau * base ** (even(d) / 8), None),
    "logarithms": (lambda d, base=10000.0: wavelengths(d, base).log(), None),
    "whole numbers": (lambda d, base=10000.0: wavelengths(d, base).round(), None),
    "int64": (lambda d, base=10000.0: wavelengths(d, base).long(), "dtype"),
    "float64": (lambda d, base=10000.0: wavelengths(d, base).double(), "float64"),
    "floats": (lambda d, base=10000.0: wavelengths(d, base).tolist(), "Tensor"),
    "as a column": (lambda d, base=10000.0: wavelengths(d, base)[:, None], "shape"),
    "longest only": (lambda d, base=10000.0: wavelengths(d, base)[-1], "shape"),
    "negative exponent": (lambda d, base=10000.0: tau * base ** (-even(d) / d), None),
    "2π inside the power": (lambda d, base=10000.0: (tau * base) ** (even(d) / d), None),
    "added": (lambda d, base=10000.0: tau + base ** (even(d) / d), None),
    "no base": (lambda d: wavelengths(d), "base"),
    "no return": (lambda d, base=10000.0: None, "return"),
}
RIGHT_2_3 = {
    "list": lambda d, base=10000.0: torch.tensor([tau * base ** (2 * i / d) for i in range(d // 2)]),
    "logarithm": lambda d, base=10000.0: tau * torch.exp(even(d) / d * math.log(base)),
    "from frequencies": lambda d, base=10000.0: tau / base ** (-even(d) / d),
    "logspace": lambda d, base=10000.0: tau * torch.logspace(0, (d - 2) / d, d // 2, base=base),
    "float64 inside": lambda d, base=10000.0: (tau * base ** (even(d).double() / d)).float(),
    "running product": lambda d, base=10000.0: torch.cat(
        [torch.full((1,), tau).double(), torch.full((d // 2 - 1,), base ** (2 / d)).double()]
    ).cumprod(0).float(),
    "extra keyword": lambda d, base=10000.0, turn=tau: turn * base ** (even(d) / d),
}  # fmt: skip


# 2.4 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def altered(change):
    """The right matrix, changed."""

    def answer(offset, d_model):
        matrix = shift_matrix(offset, d_model)
        changed = change(matrix)
        return matrix if changed is None else changed

    return answer


def one_block(offset, d_model):
    matrix = torch.eye(d_model)
    matrix[:2, :2] = shift_matrix(offset, 2)
    return matrix


def fitted(offset, d_model):
    """Least squares on a few positions: not enough of them for the slow pairs."""
    table = sinusoidal_table(5 + abs(offset), d_model)
    now, later = table[: len(table) - abs(offset)], table[abs(offset) :]
    return torch.linalg.lstsq(now, later).solution.t()


WRONG_2_4 = {
    "one block": (one_block, None),
    "negative refused": (lambda k, d: shift_matrix(k, d) if k >= 0 else torch.eye(d), "negative"),
    "negative offset raises": (lambda k, d: shift_matrix(int(math.sqrt(k)) ** 0 * k, d), "ValueError"),
    "identity": (lambda k, d: torch.eye(d), None),
    "zero": (lambda k, d: torch.zeros(d, d), None),
    "zero matrix at 0": (lambda k, d: shift_matrix(k, d) * (k != 0), "offset is 0"),
    "permutation": (lambda k, d: torch.eye(d).roll(k, 1), None),
    "blocks in reverse": (altered(lambda m: m.flip(0).flip(1).t()), None),
    "transposed by hand": (altered(lambda m: m.t()), "goes back"),
    "minus on the diagonal": (altered(lambda m: m * (1 - 2 * torch.eye(len(m)))), None),
    "sign": (altered(lambda m: -m), "sign"),
    "lower triangle": (altered(torch.tril), None),
    "width 4 in mind": (
        lambda k, d: torch.block_diag(*(shift_matrix(1, 2) for _ in range(d // 2)))
        if d > 4 else shift_matrix(k, d), None),
    "counted from 1": (lambda k, d: shift_matrix(k, d + 2)[2:, 2:], None),
    "the wrong pairs": (altered(lambda m: m.roll(1, 0).roll(1, 1)), None),
    "fitted on few positions": (fitted, None),
    "matrix times two": (altered(lambda m: 2 * m), "2 times"),
    "float64": (altered(lambda m: m.double()), "float64"),
    "blocks alone": (lambda k, d: torch.stack([shift_matrix(k, d)[i : i + 2, i : i + 2] for i in range(0, d, 2)]),
                     "shape"),
    "list": (altered(lambda m: m.tolist()), "Tensor"),
    "batch axis": (altered(lambda m: m[None]), "shape"),
    "shifted code": (lambda k, d: position_code(abs(k), d), "shape"),
    "offset ignored": (lambda k, d: shift_matrix(1, d), None),
}  # fmt: skip


def by_diagonals(offset, d_model):
    angles = offset / 10000 ** (torch.arange(0, d_model, 2).double() / d_model)
    beside = torch.stack([angles.sin(), torch.zeros_like(angles)], 1).flatten()[:-1]
    matrix = angles.cos().repeat_interleave(2).diag() + beside.diag(1) - beside.diag(-1)
    return matrix.float()


def by_powers(offset, d_model):
    step = by_diagonals(1, d_model).double()
    angles = 1 / 10000 ** (torch.arange(0, d_model, 2).double() / d_model)
    generator = torch.stack([angles, torch.zeros_like(angles)], 1).flatten()[:-1]
    assert step.shape == (d_model, d_model)
    return torch.linalg.matrix_exp(offset * (generator.diag(1) - generator.diag(-1))).float()


def from_codes(offset, d_model):
    sines, cosines = position_code(abs(offset), d_model).view(-1, 2).unbind(1)
    sines = sines * (1 if offset >= 0 else -1)
    pairs = zip(sines, cosines, strict=True)
    return torch.block_diag(*(torch.stack([c, s, -s, c]).view(2, 2) for s, c in pairs))


RIGHT_2_4 = {
    "diagonals": by_diagonals,
    "matrix exponential": by_powers,
    "from the code of the offset": from_codes,
    "block_diag": lambda k, d: torch.block_diag(*(shift_matrix(k, d)[i : i + 2, i : i + 2] for i in range(0, d, 2))),
    "transposed for going back": lambda k, d: shift_matrix(-k, d).t(),
    "four assignments": lambda k, d: from_codes(k, d).clone().contiguous(),
    "extra keyword": lambda k, d, base=10000: shift_matrix(k, d),
}


WRONG = {"2.1": WRONG_2_1, "2.2": WRONG_2_2, "2.3": WRONG_2_3, "2.4": WRONG_2_4}
RIGHT = {"2.1": RIGHT_2_1, "2.2": RIGHT_2_2, "2.3": RIGHT_2_3, "2.4": RIGHT_2_4}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
