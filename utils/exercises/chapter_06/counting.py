"""Exercises 6.6 and 6.7: parameters to the digit, and the masks of the three families."""

from torch import Generator, randint

from utils.exercises.chapter_06.references import family_mask, transformer_parameters
from utils.exercises.chapter_06.words import EDGE
from utils.exercises.chapter_06.wrong_counts import COUNTING, FAMILY_MASK
from utils.exercises.declare import Case, Exercise

NO_BIAS = "bias is False"

# 6.6 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _counting_cases(generator: Generator) -> list[Case]:
    def number(low: int, high: int) -> int:
        return int(randint(low, high, (), generator=generator))

    # A d_model that eight heads do not share evenly (even, since sinusoids come in pairs), and an odd d_ff.
    drawn = number(50, 500), number(2, 9), 4 * number(5, 20) + 2, 2 * number(45, 150) + 1
    return [
        Case("base", (37_000, 6, 512, 2048)),
        Case("big", (37_000, 6, 1024, 4096)),
        Case("sizes drawn at random", drawn),
        Case("drawn, without biases", (*drawn, False), traits=(NO_BIAS,)),
        Case("base without biases", (37_000, 6, 512, 2048), {"bias": False}, traits=(NO_BIAS,)),
        Case("N = 2 (Table 3, C)", (37_000, 2, 512, 2048)),
        Case("d_ff = 1024 (Table 3, C)", (37_000, 6, 512, 1024)),
        Case("one layer", (100, 1, 8, 20), part=EDGE),
        Case("no layers", (100, 0, 8, 20), part=EDGE, traits=("there are no layers",)),
        Case("a vocabulary of one", (1, 2, 8, 4, False), part=EDGE, traits=(NO_BIAS,)),
    ]


COUNTED = Exercise(
    number="6.6",
    title="Parameters to the digit",
    points=2,
    difficulty=2,
    minutes=20,
    section="§3, Table 3",
    reference=transformer_parameters,
    cases=_counting_cases,
    returns=("count",),
    misconceptions=COUNTING,
    hints=(
        "List what stands in an encoder layer and what in a decoder layer, and count each kind of part once: an "
        "attention, a feed-forward network, a layer norm, the table.",
        "An attention: four matrices d_model × d_model, with `bias` four vectors more. A feed-forward network: two "
        "matrices and two biases. A layer norm: a gain and a bias. Sinusoids: nothing.",
        "encoder layer = attention + feed-forward + 2 norms; decoder layer = 2 attentions + feed-forward + 3 norms; "
        "all in all vocab_size · d_model + layers · (encoder layer + decoder layer).",
    ),
)


# 6.7 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _family_cases(generator: Generator) -> list[Case]:
    source_len, target_len = (int(randint(low, low + 4, (), generator=generator)) for low in (6, 2))
    return [
        Case("encoder-only, 2 and 3", ("encoder-only", 2, 3)),
        Case("decoder-only, 2 and 3", ("decoder-only", 2, 3)),
        Case("encoder-decoder, 2 and 3", ("encoder-decoder", 2, 3)),
        Case("encoder-decoder, 3 and 3", ("encoder-decoder", 3, 3)),
        Case("encoder-decoder, a long source", ("encoder-decoder", source_len, target_len)),
        Case("decoder-only, a long source", ("decoder-only", source_len, target_len)),
        Case("encoder-only, a long source", ("encoder-only", source_len, target_len)),
        Case("encoder-decoder, one and one", ("encoder-decoder", 1, 1), part=EDGE),
        Case("decoder-only, no source: a language model", ("decoder-only", 0, 4), part=EDGE,
             traits=("there is no source",)),
        Case("encoder-decoder, no source", ("encoder-decoder", 0, 3), part=EDGE, traits=("there is no source",)),
        Case("encoder-decoder, no target yet", ("encoder-decoder", 3, 0), part=EDGE,
             traits=("there is no target",)),
    ]  # fmt: skip


FAMILY = Exercise(
    number="6.7",
    title="Three families, three masks",
    points=2,
    difficulty=2,
    minutes=15,
    section="§3.1, §3.2.3",
    reference=family_mask,
    cases=_family_cases,
    returns=("mask",),
    misconceptions=FAMILY_MASK,
    hints=(
        "Draw the square for a source of 2 and a target of 3. It falls into four blocks: source sees source, source "
        "sees target, target sees source, target sees target. Fill each block for each family.",
        "All True is the encoder alone; the lower triangle of everything is the decoder alone. The encoder–decoder "
        "differs from the lower triangle in one block only: which?",
        "`mask = torch.ones(length, length, dtype=torch.bool)` for the first, `mask.tril()` for the second, and for "
        "the third that triangle with `mask[:source_len, :source_len] = True`.",
    ),
)
