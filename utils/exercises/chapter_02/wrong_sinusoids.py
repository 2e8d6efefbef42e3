"""What goes wrong with sinusoids, one position's or a table of them (exercises 2.1 and 2.2), and what puts it right."""

import math

import torch
from torch import Tensor

from utils.exercises.declare import Misconception


def exponents(d_model: int) -> Tensor:
    """2i / d_model for each pair, float64 (d_model / 2,)."""
    return torch.arange(0, d_model, 2, dtype=torch.float64) / d_model


def interleaved(even: Tensor, odd: Tensor) -> Tensor:
    """Two tensors (..., d_model / 2) as the even and the odd entries of one float32 (..., d_model)."""
    return torch.stack([even, odd], dim=-1).flatten(-2).float()


def angles(positions, d_model: int, base: float = 10000.0) -> Tensor:
    """positions / base^(2i/d_model), float64 (..., d_model / 2)."""
    return torch.as_tensor(positions, dtype=torch.float64)[..., None] / base ** exponents(d_model)


# The same slips are made for one position and for a table. Each takes positions, a number or (length,), and d_model.


def with_angles(make_angles):
    """A wrong code that has other angles."""

    def code(positions, d_model: int) -> Tensor:
        angle = make_angles(torch.as_tensor(positions, dtype=torch.float64)[..., None], d_model)
        return interleaved(angle.sin(), angle.cos())

    return code


def own_angle_each(positions, d_model: int) -> Tensor:
    column = torch.arange(d_model, dtype=torch.float64)
    angle = torch.as_tensor(positions, dtype=torch.float64)[..., None] / 10000 ** (column / d_model)
    return torch.where(column % 2 == 0, angle.sin(), angle.cos()).float()


def exchanged(positions, d_model: int) -> Tensor:
    return interleaved(angles(positions, d_model).cos(), angles(positions, d_model).sin())


def in_halves(positions, d_model: int) -> Tensor:
    angle = angles(positions, d_model)
    return torch.cat([angle.sin(), angle.cos()], dim=-1).float()


def sines_alone(positions, d_model: int) -> Tensor:
    return interleaved(angles(positions, d_model).sin(), angles(positions, d_model).sin())


def cosine_a_pair_further(positions, d_model: int) -> Tensor:
    """The exponents of much copied code: 2 · column/d_model for the sine, 2 · (column + 1)/d_model for the cosine."""
    position, exponent = torch.as_tensor(positions, dtype=torch.float64)[..., None], exponents(d_model)
    return interleaved(
        (position / 10000 ** (2 * exponent)).sin(), (position / 10000 ** (2 * exponent + 2 / d_model)).cos()
    )


def cosine_one_further(positions, d_model: int) -> Tensor:
    """The sine's exponent is right, the cosine's is 2 · (column + 1)/d_model."""
    position, exponent = torch.as_tensor(positions, dtype=torch.float64)[..., None], exponents(d_model)
    return interleaved((position / 10000**exponent).sin(), (position / 10000 ** (2 * exponent + 2 / d_model)).cos())


TWO_ANGLES = (
    "The cosine of a pair has another angle than its sine: your exponent has an i + 1 in it. Much copied code has it "
    "so. Both entries of pair i share one angle, position / 10000^(2i/d_model), and where i counts 0, 2, 4, … it is "
    "the 2i already."
)
CODES = (
    ("cosine's exponent further, doubled", cosine_a_pair_further, TWO_ANGLES),
    ("cosine's exponent further", cosine_one_further, TWO_ANGLES),
    (
        "half the exponent",
        with_angles(lambda position, d_model: position / 10000 ** (exponents(d_model) / 2)),
        "Your exponent is i/d_model; §3.5 has 2i/d_model. With a loop over i in range(d_model // 2) the 2 has to be "
        "written; without it the slowest wave is about 2π · 100 tokens long instead of 2π · 10000.",
    ),
    (
        "twice the exponent",
        with_angles(lambda position, d_model: position / 10000 ** (2 * exponents(d_model))),
        "Your exponent is twice too large: if your i already counts 0, 2, 4, …, then i is the 2i of the formula.",
    ),
    (
        "a frequency for each dimension",
        own_angle_each,
        "Your sine and your cosine of a pair have different angles: the exponent of dimension 2i + 1 is 2i/d_model "
        "too, the same as its neighbour's. Only with one angle for both does a shift become a rotation.",
    ),
    (
        "sine and cosine exchanged",
        exchanged,
        "Sine and cosine have changed places: even entries hold the sine, odd entries the cosine.",
    ),
    (
        "in two halves",
        in_halves,
        "You put all sines first and all cosines after them. That holds the same numbers, in another order of "
        "dimensions, and some code does it so; §3.5 interleaves them: sine in 2i, cosine in 2i + 1.",
    ),
    (
        "sines alone",
        sines_alone,
        "Both entries of a pair are the sine. The odd ones hold the cosine of the same angle.",
    ),
    (
        "counted from 1",
        with_angles(lambda position, d_model: (position + 1) / 10000 ** exponents(d_model)),
        "Your positions begin at 1. The first token stands at position 0, where all sines are 0 and all cosines 1.",
    ),
    (
        "pairs counted from 1",
        with_angles(lambda position, d_model: position / 10000 ** (exponents(d_model) + 2 / d_model)),
        "Your pairs are counted from 1: the first hand then turns too slowly. i begins at 0, and 10000^0 is 1, so the "
        "first hand turns by one radian a token.",
    ),
    (
        "ends included",
        with_angles(lambda position, d_model: position / 10000 ** (exponents(d_model) * d_model / max(2, d_model - 2))),
        "Your exponents go from 0 to 1 with both ends. In §3.5 the last one is (d_model − 2)/d_model, a little below "
        "1. (Some code does it your way; the numbers do not mix.)",
    ),
    (
        "multiplied",
        with_angles(lambda position, d_model: position * 10000 ** exponents(d_model)),
        "You multiply by 10000^(2i/d_model). Division makes the waves longer from pair to pair; multiplied, they spin "
        "so fast that neighbouring positions have nothing in common.",
    ),
    (
        "2π in the angle",
        with_angles(lambda position, d_model: 2 * math.pi * position / 10000 ** exponents(d_model)),
        "Your angle has a factor 2π too many. The fastest wave then has a wavelength of one token: every position "
        "gets the same value.",
    ),
    (
        "degrees",
        with_angles(lambda position, d_model: torch.deg2rad(position / 10000 ** exponents(d_model))),
        "You turn the angle from degrees into radians. It is in radians already: the first hand turns by one radian a "
        "token, and math.sin and torch.sin take radians.",
    ),
    (
        "* for **",
        with_angles(lambda position, d_model: position / 10000 * exponents(d_model)),
        "You multiply where a power is asked for: `**` is the power, `10000 ** (2 * i / d_model)`.",
    ),
    (
        "no brackets round the exponent",
        with_angles(lambda position, d_model: position / 10000**2 * (exponents(d_model) / 2)),
        "Brackets are missing round the exponent: `10000 ** 2 * i / d_model` is 10000² · i / d_model. Write "
        "`10000 ** (2 * i / d_model)`.",
    ),
    (
        "d_model outside the exponent",
        with_angles(lambda position, d_model: position / 10000 ** (exponents(d_model) * d_model) / d_model),
        "Brackets are missing round the exponent: `10000 ** x / d_model` divides the power by d_model. Write "
        "`10000 ** (x / d_model)`.",
    ),
    (
        "1000",
        with_angles(lambda position, d_model: position / 1000 ** exponents(d_model)),
        "Your base is 1000; §3.5 has 10000.",
    ),
)


def first_pair_alone(position: int, d_model: int) -> Tensor:
    code = torch.zeros(d_model)
    code[0], code[1] = math.sin(position), math.cos(position)
    return code


POSITION_CODE = (
    *(Misconception(name, answer, sentence) for name, answer, sentence in CODES),
    Misconception(
        "first pair alone",
        first_pair_alone,
        "Only the first pair is filled, the rest is zero. Does the `return` stand inside the loop?",
    ),
)


def as_table(code):
    """A wrong answer to 2.2 from a wrong code."""
    return lambda length, d_model: code(torch.arange(length), d_model)


def right_table(length: int, d_model: int) -> Tensor:
    """The table in float64, for answers that are wrong elsewhere."""
    angle = angles(torch.arange(length), d_model)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(-2)


def single_angles(length: int, d_model: int) -> Tensor:
    angle = torch.arange(length)[:, None] / 10000 ** (torch.arange(0, d_model, 2) / d_model)
    return interleaved(angle.sin(), angle.cos())


def single_by_logarithm(length: int, d_model: int) -> Tensor:
    frequency = torch.exp(torch.arange(0, d_model, 2) * (-math.log(10000.0) / d_model))
    angle = torch.arange(length)[:, None] * frequency
    return interleaved(angle.sin(), angle.cos())


def single_divisors(length: int, d_model: int) -> Tensor:
    angle = torch.arange(length).double()[:, None] / 10000 ** (torch.arange(0, d_model, 2) / d_model)
    return interleaved(angle.sin(), angle.cos())


def single_divisors_by_logarithm(length: int, d_model: int) -> Tensor:
    frequency = torch.exp(torch.arange(0, d_model, 2) * (-math.log(10000.0) / d_model))
    angle = torch.arange(length).double()[:, None] * frequency
    return interleaved(angle.sin(), angle.cos())


DIVISORS = (
    "Your positions are float64, but what they are divided by or multiplied with was made in float32, and its rounding "
    "is as large in the angle: both `arange` need dtype=torch.float64."
)
SINGLE = (
    "Your angles are float32, which has seven digits: at position 5000 four of them stand before the decimal point, "
    "and the sine is wrong in its fourth. Take the angles in float64 (dtype=torch.float64 in both `arange`) and "
    "convert the finished table."
)
TABLE = (
    *(Misconception(name, as_table(code), sentence) for name, code, sentence in CODES),
    Misconception("float32 angles", single_angles, SINGLE),
    Misconception("float32 divisors", single_divisors, DIVISORS),
    Misconception("float32 divisors by the logarithm", single_divisors_by_logarithm, DIVISORS),
    Misconception("float32 angles by the logarithm", single_by_logarithm, SINGLE),
    Misconception(
        "float64 returned",
        right_table,
        "Your numbers are right, but the table is float64, and so would be every sum with it. Angles are taken in "
        "float64; the finished table is converted with `.float()`.",
    ),
    Misconception(
        "transposed",
        lambda length, d_model: right_table(length, d_model).t().float(),
        "Your table is turned over: positions are rows, (length, d_model), so that table[position] is one code.",
    ),
)
