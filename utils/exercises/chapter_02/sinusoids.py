"""Exercises 2.1 to 2.4: one position's code, the table, its wavelengths, and the matrix of a shift."""

import torch
from torch import Generator, Tensor

from utils.exercises.chapter_02.references import position_code, shift_matrix, wavelengths
from utils.exercises.chapter_02.words import EDGE, FAR
from utils.exercises.chapter_02.wrong_shifts import SHIFT, WAVELENGTHS
from utils.exercises.chapter_02.wrong_sinusoids import POSITION_CODE, TABLE
from utils.exercises.declare import Case, Exercise, Property
from utils.exercises.nearness import close
from utils.transformer import sinusoidal_table


def whole(generator: Generator, low: int, high: int) -> int:
    """A whole number from low up to, not including, high."""
    return int(torch.randint(low, high, (), generator=generator))


# 2.1 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _code_cases(generator: Generator) -> list[Case]:
    drawn, other, far = whole(generator, 4, 30), whole(generator, 30, 90), whole(generator, 4000, 6000)
    return [
        Case("position 3, width 4", (3, 4)),
        Case("position 1, width 6", (1, 6)),
        Case(f"position {drawn}, width 8", (drawn, 8)),
        Case(f"position {other}, width 8", (other, 8)),
        Case(f"position {other}, width 16", (other, 16)),
        Case("position 0", (0, 6), part=EDGE, traits=("the position is 0",)),
        Case("width 2, a single pair", (5, 2), part=EDGE, traits=("there is a single pair",)),
        # Angles in float32 are right to three digits here. More is asked for in 2.2, which says so.
        Case(f"position {far}", (far, 12), part=EDGE, traits=(FAR,), tolerance=3e-3),
    ]


def _some_codes(generator: Generator) -> list[Case]:
    return [Case(f"position {position}", (position, 12)) for position in (0, whole(generator, 1, 500), 7)]


def _equally_long(cases: list[Case], results: list[Tensor]) -> bool:
    pairs = [result.view(6, 2).square().sum(dim=-1) for result in results]
    return all(close(pair, torch.ones(6)) for pair in pairs)


ONE_CODE = Exercise(
    number="2.1",
    title="The code of one position",
    points=1,
    difficulty=1,
    minutes=10,
    section="§3.5",
    reference=position_code,
    cases=_code_cases,
    properties=(
        Property(
            "each pair lies on a circle",
            _some_codes,
            _equally_long,
            "A sine and a cosine of one angle: the squares of entries 2i and 2i + 1 have to sum to one.",
        ),
    ),
    returns=("vector",),
    misconceptions=POSITION_CODE,
    hints=(
        "There are d_model / 2 pairs, i = 0, 1, …. For each, one angle, and two entries of the code made from it.",
        "angle = position / 10000 ** (2 * i / d_model). Its sine goes to entry 2 * i, its cosine to entry 2 * i + 1.",
        "Begin with `code = torch.zeros(d_model)`, loop over `range(d_model // 2)`, and set `code[2 * i] = "
        "math.sin(angle)` and the entry after it.",
    ),
)


# 2.2 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _table_cases(generator: Generator) -> list[Case]:
    length, far = whole(generator, 12, 40), whole(generator, 5001, 5500)
    return [
        Case("3 positions, width 4", (3, 4)),
        Case("4 positions, width 4", (4, 4), traits=("length and width are equal",)),
        Case("6 positions, width 2", (6, 2), traits=("there is a single pair",)),
        Case("5 positions, width 8", (5, 8)),
        Case(f"{length} positions, width 16", (length, 16)),
        Case(f"{length} positions, width 6", (length, 6)),
        Case("100 positions, width 10", (100, 10)),
        Case("a single position", (1, 6), part=EDGE, traits=("there is a single position",)),
        Case(f"{far} positions", (far, 12), part=EDGE, traits=(FAR,), tolerance=1e-5),
    ]


def _short_and_long(generator: Generator) -> list[Case]:
    width = 2 * whole(generator, 3, 8)
    return [Case("7 positions", (7, width)), Case("19 positions", (19, width))]


def _begins_alike(cases: list[Case], results: list[Tensor]) -> bool:
    return close(results[1][:7], results[0])


TABLE_OF_CODES = Exercise(
    number="2.2",
    title="The table of all positions",
    points=2,
    difficulty=2,
    minutes=15,
    section="§3.5",
    reference=sinusoidal_table,
    cases=_table_cases,
    properties=(
        Property(
            "a longer table begins with the shorter one",
            _short_and_long,
            _begins_alike,
            "The code of a position must not depend on how many positions the table holds.",
        ),
    ),
    returns=("table",),
    misconceptions=TABLE,
    hints=(
        "All angles at once are a table too, (length, d_model / 2): one row a position, one column a pair. Positions "
        "as a column, divisors as a row, and broadcasting does the rest.",
        "`torch.arange(length, dtype=torch.float64)[:, None]` divided by `10000 ** (even / d_model)` with `even = "
        "torch.arange(0, d_model, 2, dtype=torch.float64)`.",
        "Make an empty float64 table (length, d_model), set `table[:, 0::2] = angle.sin()` and `table[:, 1::2] = "
        "angle.cos()`, and return `table.float()`.",
    ),
    model_part="position_table",
)


# 2.3 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _wavelength_cases(generator: Generator) -> list[Case]:
    width = 2 * whole(generator, 5, 20)
    return [
        Case("width 4", (4,)),
        Case("width 6", (6,)),
        Case(f"width {width}", (width,)),
        Case("width 512, the paper's", (512,)),
        Case("width 8, base 100", (8, 100.0), traits=("the base is not 10000",)),
        Case("width 8, base 500000", (8,), {"base": 500000.0}, traits=("the base is not 10000",)),
        Case("width 2, a single pair", (2,), part=EDGE, traits=("there is a single pair",)),
        Case("base 1", (6, 1.0), part=EDGE, traits=("the base is 1, so that all waves are equal",)),
    ]


def _widths(generator: Generator) -> list[Case]:
    return [Case(f"width {width}", (width,)) for width in (8, 2 * whole(generator, 6, 30))]


def _geometric(cases: list[Case], results: list[Tensor]) -> bool:
    ratios = [result[1:] / result[:-1] for result in results]
    return all(close(ratio, ratio[:1].expand_as(ratio)) for ratio in ratios)


WAVES = Exercise(
    number="2.3",
    title="Wavelengths",
    points=1,
    difficulty=1,
    minutes=10,
    section="§3.5",
    reference=wavelengths,
    cases=_wavelength_cases,
    properties=(
        Property(
            "a geometric progression",
            _widths,
            _geometric,
            "Each wavelength has to be longer than the one before by the same factor.",
        ),
    ),
    returns=("wavelengths",),
    misconceptions=WAVELENGTHS,
    hints=(
        "A sine has come round when its angle has grown by 2π. How many tokens does pair 0 need for that, whose angle "
        "grows by 1 a token?",
        "The angle of pair i grows by 1 / base^(2i/d_model) a token, so it needs 2π times base^(2i/d_model) tokens.",
        "`2 * math.pi * base ** (even / d_model)` with `even = torch.arange(0, d_model, 2)`.",
    ),
)


# 2.4 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _shift_cases(generator: Generator) -> list[Case]:
    offset = whole(generator, 2, 20)
    return [
        Case("offset 1, width 2", (1, 2)),
        Case("offset 1, width 4", (1, 4)),
        Case(f"offset {offset}, width 6", (offset, 6)),
        Case(f"offset {offset}, width 8", (offset, 8)),
        Case("offset 40, width 16", (40, 16)),
        Case(f"back by {offset}", (-offset, 6), traits=("the offset is negative",)),
        Case("offset 0", (0, 6), part=EDGE, traits=("the offset is 0",)),
        Case("offset 3000", (3000, 8), part=EDGE, traits=("the offset goes into the thousands",)),
    ]


def _from_here_to_there(generator: Generator) -> list[Case]:
    return [Case(f"offset {offset}", (offset, 10)) for offset in (1, whole(generator, 2, 30), -3)]


def _codes_follow(cases: list[Case], results: list[Tensor]) -> bool:
    table = sinusoidal_table(60, 10)
    shifts = [(case.arguments[0], matrix) for case, matrix in zip(cases, results, strict=True)]
    return all(
        close(table[position] @ matrix.t(), table[position + offset], 1e-4)
        for offset, matrix in shifts
        for position in (3, 11, 29)
    )


def _two_steps(generator: Generator) -> list[Case]:
    first, second = whole(generator, 1, 20), whole(generator, 1, 20)
    return [Case(f"offset {offset}", (offset, 8)) for offset in (first, second, first + second)]


def _add_up(cases: list[Case], results: list[Tensor]) -> bool:
    return close(results[0] @ results[1], results[2], 1e-4)


MATRIX = Exercise(
    number="2.4",
    title="The matrix of a shift",
    points=2,
    difficulty=3,
    minutes=20,
    section="§3.5",
    reference=shift_matrix,
    cases=_shift_cases,
    properties=(
        Property(
            "it takes each code to the one `offset` further",
            _from_here_to_there,
            _codes_follow,
            "M PE[position] has to be PE[position + offset], with the same M for every position.",
        ),
        Property(
            "shifts add up",
            _two_steps,
            _add_up,
            "A shift by k after a shift by l has to be the shift by k + l.",
        ),
    ),
    returns=("matrix",),
    misconceptions=SHIFT,
    hints=(
        "Entries 2i and 2i + 1 of the new code depend on entries 2i and 2i + 1 of the old one and on nothing else. So "
        "the matrix has blocks of 2 × 2 on its diagonal.",
        "With b = offset / 10000^(2i/d_model): sin(a + b) = cos b · sin a + sin b · cos a is the block's first row, "
        "cos(a + b) = −sin b · sin a + cos b · cos a its second.",
        "For each i set matrix[2i : 2i + 2, 2i : 2i + 2] = torch.tensor([[cos b, sin b], [−sin b, cos b]]) in a "
        "`torch.zeros(d_model, d_model)`.",
    ),
)
