"""Exercises 8.5 to 8.7: clipped counts, BLEU of a corpus, and the cost of a training as Table 2 counts it."""

import torch
from torch import Generator

from utils.exercises.chapter_08.references import bleu, training_flops
from utils.exercises.chapter_08.words import EDGE
from utils.exercises.chapter_08.wrong_bleu import BLEU
from utils.exercises.chapter_08.wrong_scoring import CLIPPED, FLOPS
from utils.exercises.declare import Case, Exercise
from utils.translation.bleu import clipped_matches

WORDS = ("der", "die", "Hund", "Katze", "schläft", "sieht", "heute", "nicht", ".", ",")
CAT = ("the", "cat", "is", "on", "the", "mat")
SHORTER, LONGER = "the hypotheses are shorter than the references", "the hypotheses are longer than the references"


def _number(generator: Generator, low: int, high: int) -> int:
    return int(torch.randint(low, high, (), generator=generator))


def _sentence(generator: Generator, length: int, words: int = len(WORDS)) -> list[str]:
    return [WORDS[place] for place in torch.randint(words, (length,), generator=generator).tolist()]


def _changed(generator: Generator, sentence: list[str], changes: int) -> list[str]:
    """The sentence with so many of its tokens replaced."""
    places = torch.randperm(len(sentence), generator=generator)[:changes].tolist()
    return [_sentence(generator, 1)[0] if place in places else token for place, token in enumerate(sentence)]


# 8.5 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _matching_cases(generator: Generator) -> list[Case]:
    reference = _sentence(generator, 14, 5)
    hypothesis = _changed(generator, reference, 4)
    few, others = _sentence(generator, 12, 3), _sentence(generator, 9, 3)
    return [
        Case("Papineni's", (["the"] * 7, list(CAT), 1)),
        Case("words of the same sentence in another order", (list("abacab"), list("bacbaca"), 2)),
        Case("single tokens", (hypothesis, reference, 1)),
        Case("pairs", (hypothesis, reference, 2)),
        Case("threes", (hypothesis, reference, 3)),
        Case("fours", (hypothesis, reference, 4)),
        Case("three words only, single tokens", (few, others, 1), traits=("n-grams are repeated",)),
        Case("three words only, pairs", (few, others, 2), traits=("n-grams are repeated",)),
        Case("the other way round, pairs", (others, few, 2), traits=("n-grams are repeated",)),
        Case("fives", (hypothesis, reference, 5), part=EDGE, traits=("the order is above 4",)),
        Case("a sentence shorter than the order", (["der", "Hund"], reference, 3), part=EDGE),
        Case("far shorter than the order", (["der"], reference, 4), part=EDGE),
        Case("a reference shorter than the order", (hypothesis, ["der", "Hund"], 3), part=EDGE),
        Case("another word in the middle", (["der", "Hund", "nicht", "heute"], ["der", "Hund", "sieht", "heute"], 3),
             part=EDGE),
        Case("nothing written", ([], reference, 1), part=EDGE),
        Case("equal sentences", (few, list(few), 2), part=EDGE, traits=("n-grams are repeated",)),
        Case("exactly one n-gram", (few[:4], list(few[:4]), 4), part=EDGE),
        Case("capital and small letters", (["Der", "Hund", "sieht"], ["der", "Hund", "sieht"], 1), part=EDGE),
        Case("a full stop too many", (["ja", ".", ".", "nein", "."], ["ja", ".", "nein", "."], 1), part=EDGE),
        Case("words cut elsewhere", (["Haus", "tür", "zu"], ["Haust", "ür", "auf"], 2), part=EDGE),
    ]  # fmt: skip


MATCHING = Exercise(
    number="8.5",
    title="Clipped matches",
    points=2,
    difficulty=2,
    minutes=15,
    section="§6.1; Papineni et al. 2002, §2.1",
    reference=clipped_matches,
    cases=_matching_cases,
    returns=("count",),
    misconceptions=CLIPPED,
    hints=(
        "Count the n-grams of both sentences. An n-gram stands twice in one and three times in the other: how many "
        "matches is that?",
        "For each n-gram the smaller of its two counts, then the sum over all n-grams; one that the reference lacks "
        "has the count 0 there.",
        "`Counter` has an operation for the smaller counts, `&`, and a method for the sum, `.total()`.",
    ),
)


# 8.6 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _corpus(generator: Generator, sentences: int, changes: int, cut: int = 0, more: int = 0) -> tuple[list, list]:
    references = [_sentence(generator, _number(generator, 7, 15)) for _ in range(sentences)]
    hypotheses = [_changed(generator, reference, changes) for reference in references]
    hypotheses = [h[: len(h) - cut] + _sentence(generator, more) for h in hypotheses]
    return hypotheses, references


def _bleu_cases(generator: Generator) -> list[Case]:
    def drawn(*sizes: int, **options: int) -> tuple[list, list]:
        return _corpus(generator, *sizes, **options)

    good, wanted = drawn(3, 1)
    short, full = drawn(4, 2, cut=2)
    reordered = [list(reversed(reference)) for reference in wanted]
    mixed = drawn(4, 1)
    mixed[0][0], mixed[0][1] = mixed[0][0][:3], [*mixed[0][1], "ja", "ja", "ja", "ja"]
    stutter = [[*reference[:5], *reference[:5], *reference[5:]] for reference in full]
    return [
        Case("one sentence, one word wrong",
             ([["the", "cat", "sat", "on", "the", "mat"]], [["the", "cat", "sat", "on", "a", "mat"]])),
        Case("three sentences", (good, wanted)),
        Case("eight sentences", drawn(8, 2)),
        Case("too short", (short, full), traits=(SHORTER,)),
        Case("too long", drawn(4, 2, more=3), traits=(LONGER,)),
        Case("one too short, one too long", mixed),
        Case("what was said is said again", (stutter, full), traits=(LONGER,)),
        Case("five with many errors", drawn(5, 3), traits=("some sentences have no 4-gram right",)),
        Case("no 4-gram matches", ([["der", "Hund", "sieht", "ja", "die", "Katze"]],
                                   [["der", "Hund", "sieht", "nicht", "die", "Katze"]]), part=EDGE),
        Case("nothing matches", ([["so"] * 6], [wanted[0]]), part=EDGE),
        Case("the words in reverse", (reordered, wanted), part=EDGE),
        Case("perfect", (wanted, [list(reference) for reference in wanted]), part=EDGE),
        Case("an empty hypothesis beside a good one", ([*good, []], [*wanted, wanted[0]]), part=EDGE,
             traits=(SHORTER,)),
        Case("an empty hypothesis beside short ones", ([*(h[:-1] for h in good), []], [*wanted, wanted[0]]), part=EDGE,
             traits=(SHORTER,)),
        Case("capital and small letters", ([["Der", "Hund", "sieht", "die", "Katze"]],
                                           [["der", "Hund", "sieht", "die", "Katze"]]), part=EDGE),
        Case("nothing written at all", ([[]], [wanted[0]]), part=EDGE, traits=("there is no n-gram at all",)),
    ]  # fmt: skip


CORPUS_BLEU = Exercise(
    number="8.6",
    title="BLEU of a corpus",
    points=3,
    difficulty=3,
    minutes=25,
    section="§6.1; Papineni et al. 2002, §2",
    reference=bleu,
    cases=_bleu_cases,
    returns=("score",),
    misconceptions=BLEU,
    hints=(
        "Four precisions, a mean, a penalty. For each of them ask: what is summed over the corpus, and when is it "
        "divided?",
        "For each order sum the clipped matches over all sentences and, apart, the n-grams of the hypotheses, "
        "max(0, length − order + 1) each. No match in an order: return 0.0. The penalty compares the sums of lengths.",
        "`log_precisions += math.log(matches / total)` four times; then `100 * brevity * math.exp(log_precisions / 4)` "
        "with brevity 1 if the hypotheses are long enough, else `math.exp(1 - wanted / written)`.",
    ),
)


# 8.7 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _flops_cases(generator: Generator) -> list[Case]:
    drawn = _number(generator, 2, 200), _number(generator, 2, 7), round(3 + _number(generator, 0, 60) / 10, 1)
    return [
        Case("base: 12 hours", (12, 8, 9.5)),
        Case("big: 3.5 days", (84, 8, 9.5)),
        Case("drawn at random", drawn),
        Case("drawn, other GPUs", (drawn[0] / 2, drawn[1] + 9, 6.0)),
        Case("96 GPUs for six days", (144, 96, 2.8)),
        Case("half an hour", (0.5, 4, 3.7)),
        Case("one GPU", (20, 1, 9.5), part=EDGE, traits=("there is one GPU",)),
        Case("no time at all", (0, 8, 9.5), part=EDGE),
        Case("one hour, one GPU, one TFLOPS", (1.0, 1, 1.0), part=EDGE, traits=("there is one GPU",)),
    ]


COST = Exercise(
    number="8.7",
    title="The cost of a training",
    points=1,
    difficulty=1,
    minutes=5,
    section="§6.1, Table 2",
    reference=training_flops,
    cases=_flops_cases,
    returns=("cost",),
    misconceptions=FLOPS,
    hints=(
        "Operations a second, times seconds, times GPUs. Look at the units.",
        "An hour has 3600 seconds; tera is 10¹². The base model's 12 hours on 8 GPUs of 9.5 TFLOPS make 3.3 · 10¹⁸.",
        "`hours * 3600 * …`: three factors more.",
    ),
)
