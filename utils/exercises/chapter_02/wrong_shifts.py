"""What goes wrong with wavelengths and with the matrix of a shift (exercises 2.3 and 2.4), and what puts it right."""

import math

import torch
from torch import Tensor

from utils.exercises.chapter_02.wrong_sinusoids import angles, exponents
from utils.exercises.declare import Misconception

# 2.3, wavelengths ─────────────────────────────────────────────────────────────────────────────────────────────────


def waves(make):
    """A wrong answer to 2.3 from float64 exponents and a base."""
    return lambda d_model, base=10000.0: make(exponents(d_model), base).float()


WAVELENGTHS = (
    Misconception(
        "2π missing",
        waves(lambda exponent, base: base**exponent),
        "You give base^(2i/d_model). A sine comes round when its angle has grown by 2π, so that many tokens times 2π.",
    ),
    Misconception(
        "frequencies",
        waves(lambda exponent, base: base**-exponent),
        "Yours are frequencies, in radians per token. A wavelength is the number of tokens to a full turn, 2π divided "
        "by the frequency.",
    ),
    Misconception(
        "divided by the power",
        waves(lambda exponent, base: 2 * math.pi * base**-exponent),
        "You divide 2π by base^(2i/d_model), so your waves become shorter from pair to pair. The hands become slower: "
        "2π times base^(2i/d_model).",
    ),
    Misconception(
        "all dimensions",
        lambda d_model, base=10000.0: (2 * math.pi * base ** (torch.arange(d_model).double() / d_model)).float(),
        "You give one wavelength for each dimension. There is one for each pair of them: the exponents 2i/d_model "
        "take every second number, `torch.arange(0, d_model, 2)`.",
    ),
    Misconception(
        "turns per token",
        waves(lambda exponent, base: base**-exponent / (2 * math.pi)),
        "Yours are turns per token. A wavelength is the inverse of that, tokens per turn.",
    ),
    Misconception(
        "ends included",
        lambda d_model, base=10000.0: (
            2 * math.pi * base ** torch.linspace(0, 1, d_model // 2, dtype=torch.float64)
        ).float(),
        "Your longest wave is exactly 2π · base. The last exponent of §3.5 is (d_model − 2)/d_model, a little below 1, "
        "since 2i never reaches d_model.",
    ),
    Misconception(
        "half the exponent",
        waves(lambda exponent, base: 2 * math.pi * base ** (exponent / 2)),
        "Your exponent is i/d_model; §3.5 has 2i/d_model.",
    ),
    Misconception(
        "one for each dimension",
        lambda d_model, base=10000.0: (2 * math.pi * base ** exponents(d_model)).repeat_interleave(2).float(),
        "You give one wavelength for each dimension. The two dimensions of a pair share theirs, so there are "
        "d_model / 2 of them.",
    ),
    Misconception(
        "twice the exponent",
        waves(lambda exponent, base: 2 * math.pi * base ** (2 * exponent)),
        "Your exponent is twice too large: `torch.arange(0, d_model, 2)` counts 0, 2, 4, … and so is the 2i already.",
    ),
    Misconception(
        "base ignored",
        lambda d_model, base=10000.0: (2 * math.pi * 10000 ** exponents(d_model)).float(),
        "Your wavelengths stay the same whatever `base` is: 10000 is only its default.",
    ),
    Misconception(
        "equal steps",
        waves(lambda exponent, base: 2 * math.pi * (1 + exponent * (base - 1))),
        "Your wavelengths grow by equal steps. They form a geometric progression: each is the same factor longer than "
        "the one before.",
    ),
)


# 2.4, the matrix of a shift ───────────────────────────────────────────────────────────────────────────────────────


def blocks(make, angle_of=lambda offset, exponent: offset / 10000**exponent):
    """A wrong answer to 2.4 that has other 2 × 2 blocks, made from (sine, cosine) of each angle."""

    def answer(offset: int, d_model: int) -> Tensor:
        turned = [angle_of(offset, exponent) for exponent in exponents(d_model).tolist()]
        made = [torch.tensor(make(math.sin(angle), math.cos(angle))) for angle in turned]
        return torch.block_diag(*made)

    return answer


def right_block(sine: float, cosine: float) -> list[list[float]]:
    """[[cosine, sine], [−sine, cosine]], which takes (sin a, cos a) to (sin(a + b), cos(a + b))."""
    return [[cosine, sine], [-sine, cosine]]


def shift_of_halves(offset: int, d_model: int) -> Tensor:
    angle = angles(offset, d_model)
    sine, cosine = angle.sin().diag(), angle.cos().diag()
    return torch.cat([torch.cat([cosine, sine], dim=1), torch.cat([-sine, cosine], dim=1)]).float()


SHIFT = (
    Misconception(
        "turned backwards",
        blocks(lambda sine, cosine: [[cosine, -sine], [sine, cosine]]),
        "Your matrix goes back by `offset`: M PE[p] is PE[p − offset]. The block is the textbook rotation, made for "
        "(cosine, sine); ours acts on (sine, cosine), so the minus stands below: [[cosine, sine], [−sine, cosine]].",
    ),
    Misconception(
        "no minus",
        blocks(lambda sine, cosine: [[cosine, sine], [sine, cosine]]),
        "A minus is missing: cos(a + b) = cos a cos b − sin a sin b, so the lower left of a block is −sine.",
    ),
    Misconception(
        "sine on the diagonal",
        blocks(lambda sine, cosine: [[sine, cosine], [cosine, -sine]]),
        "Sine and cosine have changed places in your blocks. At offset 0 the matrix has to be the identity: cosines, "
        "which are 1 there, stand on the diagonal.",
    ),
    Misconception(
        "sine on the diagonal, turned",
        blocks(lambda sine, cosine: [[sine, cosine], [-cosine, sine]]),
        "Sine and cosine have changed places in your blocks. At offset 0 the matrix has to be the identity: cosines, "
        "which are 1 there, stand on the diagonal.",
    ),
    Misconception(
        "a mirror",
        blocks(lambda sine, cosine: [[cosine, sine], [sine, -cosine]]),
        "Your blocks are mirrors: the minus stands before the lower cosine. It belongs before the lower sine, "
        "[[cosine, sine], [−sine, cosine]]; at offset 0 the matrix has to be the identity.",
    ),
    Misconception(
        "two minuses",
        blocks(lambda sine, cosine: [[cosine, -sine], [-sine, cosine]]),
        "There is one minus too many: sin(a + b) = cos b · sin a + sin b · cos a has none, so the upper right of a "
        "block is +sine.",
    ),
    Misconception(
        "twice the exponent",
        blocks(right_block, lambda offset, exponent: offset / 10000 ** (2 * exponent)),
        "Your exponent is twice too large: if your i already counts 0, 2, 4, …, then i is the 2i of the formula.",
    ),
    Misconception(
        "one angle for all",
        blocks(right_block, lambda offset, exponent: float(offset)),
        "All your blocks turn by the same angle. Pair i turns by offset / 10000^(2i/d_model), each at its own speed.",
    ),
    Misconception(
        "half the exponent",
        blocks(right_block, lambda offset, exponent: offset / 10000 ** (exponent / 2)),
        "Your exponent is i/d_model; the angle of pair i is offset / 10000^(2i/d_model), as in the code itself.",
    ),
    Misconception(
        "made for two halves",
        shift_of_halves,
        "Your matrix shifts codes that hold all sines first and all cosines after them. Ours interleave them, so each "
        "pair has a block of 2 × 2 on the diagonal, rows and columns 2i and 2i + 1.",
    ),
    Misconception(
        "cosines alone",
        blocks(lambda sine, cosine: [[cosine, 0.0], [0.0, cosine]]),
        "Your blocks are diagonal, which makes each entry shorter instead of turning the pair. sin(a + b) needs cos a "
        "as well: that is what the other entry of the pair is there for.",
    ),
    Misconception(
        "never back",
        lambda offset, d_model: blocks(right_block)(abs(offset), d_model),
        "A negative offset leads back: M_{−k} undoes M_k. Yours leads forwards in either case.",
    ),
    Misconception(
        "one step too far",
        blocks(right_block, lambda offset, exponent: (offset + 1) / 10000**exponent),
        "Your matrix shifts by one position more than asked for: at offset 0 it has to be the identity.",
    ),
)
