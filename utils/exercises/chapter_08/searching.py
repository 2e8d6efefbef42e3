"""Exercises 8.1 to 8.3: greedy decoding, the length penalty and a step of beam search."""

import math

import torch
from torch import Generator, Tensor

from utils.exercises.chapter_08.models import SILENT, Scripted
from utils.exercises.chapter_08.references import beam_step, greedy_decode
from utils.exercises.chapter_08.words import EDGE, PADDED, SEVERAL
from utils.exercises.chapter_08.wrong_decoding import GREEDY, PENALTY
from utils.exercises.chapter_08.wrong_searching import BEAM_STEP
from utils.exercises.declare import Case, Exercise, Property
from utils.transformer.masks import BEGIN, END, PADDING, UNKNOWN
from utils.translation.beam import penalty

LIMITED = "the limit is reached before END"
WORDLESS = "some sentence may write nothing: its limit is 0"

# 8.1 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def sources(generator: Generator, words: list[int], vocab_size: int = 12) -> Tensor:
    """(batch, source_len) ids: so many words each, then END, then padding."""
    source = torch.full((len(words), max(words) + 1), PADDING)
    for row, count in zip(source, words, strict=True):
        row[:count] = torch.randint(SILENT + 1, vocab_size, (count,), generator=generator)
        row[count] = END
    return source


def _decode_cases(generator: Generator) -> list[Case]:
    def case(
        name: str,
        words: list[int],
        max_extra: int | None,
        end: float = -2.0,
        grow: float = 1.5,
        silent: tuple = (),
        **options,
    ) -> Case:
        specials, shift, unknown = (options.pop(name, 0) for name in ("specials", "shift", "unknown"))
        model = Scripted(generator, end, grow, specials, shift).eval()
        traits = (*options.pop("traits", ()), *([SEVERAL] if len(words) > 1 else []))
        traits += (PADDED,) if len(set(words)) > 1 else ()
        source = sources(generator, words)
        source[list(silent), 0] = SILENT
        source[:, :unknown].masked_fill_(source[:, :unknown] > SILENT, UNKNOWN)
        extra = () if max_extra is None else (max_extra,)
        return Case(name, (model, source, *extra), traits=traits, **options)

    return [
        case("one sentence", [3], 20),
        case("two sentences of one length", [4, 4], 20),
        case("four sentences of several lengths", [5, 2, 4, 1], 20),
        case("eight sentences", [3, 3, 5, 2, 4, 4, 1, 6], 20),
        case("END never comes", [3], 4, end=-99.0, grow=0.0, part=EDGE, traits=(LIMITED,)),
        case("END never comes, sentences of several lengths", [2, 5, 3], 2, end=-99.0, grow=0.0, part=EDGE,
             traits=(LIMITED,)),
        case("nothing extra", [4, 2], 0, end=-99.0, grow=0.0, part=EDGE, traits=(LIMITED,)),
        case("a source without words beside a longer one, nothing extra", [0, 3], 0, end=-99.0, grow=0.0, part=EDGE,
             traits=(WORDLESS,)),
        case("max_extra is not given", [2], None, end=-99.0, grow=0.0, part=EDGE,
             traits=("`max_extra` is not given",)),
        case("unknown words in the source", [4, 2], 2, end=-99.0, grow=0.0, unknown=2, part=EDGE, traits=(LIMITED,)),
        case("PADDING and BEGIN are likely", [3, 4], 6, specials=6.0, part=EDGE,
             traits=("PADDING or BEGIN is likely",)),
        case("PADDING and BEGIN are likely, one sentence", [5], 6, specials=6.0, part=EDGE,
             traits=("PADDING or BEGIN is likely",)),
        case("a source without words beside a longer one", [0, 3], 3, part=EDGE),
        case("all logits are negative", [3, 4], 6, shift=-60.0, part=EDGE, traits=("all logits are negative",)),
        case("one sentence ends at once", [3, 2, 4], 9, silent=(1,), part=EDGE),
    ]  # fmt: skip


def _neighbours(generator: Generator) -> list[Case]:
    model, source = Scripted(generator, end=-2.0, grow=1.0).eval(), sources(generator, [4, 2, 5])
    alone = source[1:2, :3]
    return [Case("in a batch", (model, source, 3)), Case("alone", (model, alone, 3))]


def _nothing_allowed(generator: Generator) -> list[Case]:
    model = Scripted(generator, end=-99.0).eval()
    return [Case(f"{count} without words", (model, sources(generator, [0] * count), 0)) for count in (1, 2)]


def _nothing_written(cases: list[Case], results: list) -> bool:
    written = [[list(row) for row in rows] for rows in results]
    return written == [[[]], [[], []]]


DECODE = Exercise(
    number="8.1",
    title="Greedy decoding",
    points=3,
    difficulty=3,
    minutes=25,
    section="§6.1",
    reference=greedy_decode,
    cases=_decode_cases,
    properties=(
        Property(
            "neighbours do not matter",
            _neighbours,
            lambda cases, results: results[0][1] == results[1][0],
            "A sentence has to be translated the same, alone or in a batch.",
        ),
        Property(  # no case, since an empty translation holds no number to compare
            "no words and nothing extra: nothing",
            _nothing_allowed,
            _nothing_written,
            "A source of END alone and max_extra = 0 make a limit of 0: each such sentence is the empty list, and "
            "the model need not be asked.",
        ),
    ),
    returns=("translations",),
    misconceptions=GREEDY,
    hints=(
        "Take one sentence first: which tensor grows by one column at each turn of the loop, and what ends the loop? "
        "Then ask what a batch needs besides: who has finished, and what do the finished ones write meanwhile?",
        "Keep `prefix` (batch, 1 so far), a boolean `finished` (batch,) and `limits` (batch,); who has a limit of 0 is "
        "finished before the loop. At each turn take `model(source, prefix)[:, -1]`, rule out PADDING and BEGIN, take "
        "the argmax, append it with `torch.cat`.",
        "`limits = ((source != PADDING) & (source != END)).sum(dim=1) + max_extra`; let finished rows write PADDING "
        "(`tokens.masked_fill(finished, PADDING)`); a row is finished once it writes END or has `limits` tokens behind "
        "BEGIN. At the end leave PADDING and END out of each row of `prefix[:, 1:].tolist()`.",
    ),
)  # fmt: skip


# 8.2 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _penalty_cases(generator: Generator) -> list[Case]:
    def number(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=generator))

    lengths = torch.randint(2, 60, (5,), generator=generator)
    table = torch.randint(1, 40, (3, 4), generator=generator)
    alpha = round(float(torch.rand((), generator=generator)) * 0.5 + 0.7, 2)
    return [
        Case("seven tokens, α = 1", (7, 1.0)),
        Case("seven tokens, α = 0.6", (7, 0.6)),
        Case("a length and α at random", (number(8, 40), alpha)),
        Case("five lengths at once", (lengths, 0.6), traits=("`length` is a tensor",)),
        Case("a table of lengths", (table, alpha), traits=("`length` is a tensor",)),
        Case("lengths in float64", (lengths.double(), 0.6), traits=("`length` is a tensor",)),
        Case("α = 0", (number(8, 40), 0.0), part=EDGE, traits=("α is 0",)),
        Case("α = 0 for several", (lengths, 0.0), part=EDGE, traits=("α is 0", "`length` is a tensor")),
        Case("END alone", (1, 0.6), part=EDGE, traits=("there is one token only",)),
        Case("α above 1", (number(8, 40), 1.5), part=EDGE),
    ]


LENGTH_PENALTY = Exercise(
    number="8.2",
    title="The length penalty",
    points=1,
    difficulty=1,
    minutes=10,
    section="§6.1; Wu et al. 2016, Eq. 14",
    reference=penalty,
    cases=_penalty_cases,
    returns=("penalty",),
    misconceptions=PENALTY,
    hints=(
        "What is raised to the power α: the length, the sum 5 + |Y|, or the whole fraction?",
        "Check yours by hand: lp is 1 for |Y| = 1 whatever α is, and 2 for |Y| = 7 and α = 1.",
        "`((5 + length) / …) ** …` works for numbers and tensors alike.",
    ),
)


# 8.3 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _beam_inputs(
    generator: Generator, batch: int, beam: int, vocab_size: int, end: float = 1.5, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    """live (batch, beam), best first, and log-probabilities (batch, beam, vocab_size) with PADDING and BEGIN at −∞."""
    live = -2 * torch.rand(batch, beam, generator=generator, dtype=torch.float64).cumsum(dim=1)
    logits = 1.5 * torch.randn(batch, beam, vocab_size, generator=generator, dtype=torch.float64)
    logits[:, :, END] += end
    scores = logits.log_softmax(dim=-1)
    scores[:, :, [PADDING, BEGIN]] = -math.inf
    return live.to(dtype), scores.to(dtype)


def _beam_cases(generator: Generator) -> list[Case]:
    def drawn(*sizes: int, **options) -> tuple[Tensor, Tensor]:
        return _beam_inputs(generator, *sizes, **options)

    live, scores = drawn(2, 3, 10)
    first = torch.full_like(live, -math.inf)
    first[:, 0] = 0.0
    never = scores.index_fill(2, torch.tensor([END]), -math.inf)
    ends_only = scores.clone()
    ends_only[:, 0, END] = -0.01
    fourth = torch.tensor([[-9.0, -9, -9, 1, 3, 2, 1.5, -9], [-9.0, -9, -9, 1, 3, 2, 1.5, -9]]).log_softmax(dim=-1)
    fourth[:, [PADDING, BEGIN]] = -math.inf
    return [
        Case("one sentence, beam 2, seven tokens", drawn(1, 2, 7)),
        Case("two sentences, beam 3", drawn(2, 3, 9), traits=(SEVERAL,)),
        Case("three sentences, beam 4", drawn(3, 4, 30, end=3.0), traits=(SEVERAL,)),
        Case("a large vocabulary", drawn(4, 4, 500, end=4.0), traits=(SEVERAL,)),
        Case("END is likely", drawn(3, 3, 12, end=5.0), traits=(SEVERAL, "END is likely")),
        Case("float64", drawn(2, 3, 9, dtype=torch.float64), traits=(SEVERAL,)),
        Case("log P far below 0", (live - 800, scores), part=EDGE, traits=(SEVERAL, "log P is far below 0")),
        Case("beam 1", drawn(3, 1, 8), part=EDGE, traits=(SEVERAL, "the beam is 1 wide")),
        Case("the first step: one hypothesis lives", (first, scores[:, :1].expand(-1, 3, -1).clone()), part=EDGE,
             traits=(SEVERAL, "one hypothesis is alive")),
        Case("END is ruled out", (live, never), part=EDGE, traits=(SEVERAL, "END is impossible")),
        Case("the best one ends", (live, ends_only), part=EDGE, traits=(SEVERAL,)),
        Case("an END in the fourth place, beam 2", (torch.tensor([[-0.5, -9.0]]), fourth[None]), part=EDGE),
    ]  # fmt: skip


def _sentences_apart(generator: Generator) -> list[Case]:
    live, scores = _beam_inputs(generator, 3, 3, 9)
    return [Case("three together", (live, scores)), Case("the second alone", (live[1:2], scores[1:2]))]


def _same_apart(cases: list[Case], results: list) -> bool:
    return all(torch.equal(together[1:2], alone) for together, alone in zip(results[0], results[1], strict=True))


STEP = Exercise(
    number="8.3",
    title="A step of beam search",
    points=4,
    difficulty=4,
    minutes=35,
    section="§6.1",
    reference=beam_step,
    cases=_beam_cases,
    properties=(
        Property(
            "sentences do not compete",
            _sentences_apart,
            _same_apart,
            "The continuations of one sentence compete with each other, and with those of no other sentence.",
        ),
    ),
    returns=("live", "parents", "tokens", "ended"),
    misconceptions=BEAM_STEP,
    hints=(
        "Make one tensor (batch, beam, vocab_size) of the log P of *every* continuation first. Everything that is "
        "asked for is picked out of it.",
        "`scores = live[:, :, None] + log_probabilities`. Flattened to (batch, beam · vocab_size) one `topk(beam)` "
        "serves a whole sentence; a place in that row tells hypothesis and token by `//` and `%`. END goes out "
        "(−∞, in a copy) before the live ones are chosen.",
        "For `ended`: `lowest = scores.flatten(1).topk(beam).values[:, -1:]` is the last that is among the best, END "
        "included; `scores[:, :, END].masked_fill(scores[:, :, END] < lowest, -math.inf)`. For the live ones: fill END "
        "with −∞, flatten, topk, then `places // vocab_size` and `places % vocab_size`.",
    ),
)
