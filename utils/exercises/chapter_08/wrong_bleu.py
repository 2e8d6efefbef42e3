"""Typical wrong answers to exercise 8.6."""

import math
from collections.abc import Callable, Sequence

from utils.exercises.chapter_08.wrong_scoring import Tokens, each_once, unclipped
from utils.exercises.declare import Misconception
from utils.translation.bleu import clipped_matches


def _sums(hypotheses: Sequence[Tokens], references: Sequence[Tokens], count: Callable = clipped_matches) -> tuple:
    """Matches and totals of each order, and both lengths."""
    matches, totals = [], []
    for order in (1, 2, 3, 4):
        matches.append(sum(count(h, r, order) for h, r in zip(hypotheses, references, strict=True)))
        totals.append(sum(max(0, len(h) - order + 1) for h in hypotheses))
    return matches, totals, sum(map(len, hypotheses)), sum(map(len, references))


def _brevity(written: int, wanted: int) -> float:
    return 1.0 if written >= wanted else math.exp(1 - wanted / written) if written else 0.0


def _mean_log(matches: Sequence[float], totals: Sequence[int]) -> float:
    pairs = list(zip(matches, totals, strict=True))
    return sum(math.log(m / t) for m, t in pairs) / len(pairs) if all(matches) else -math.inf


def _varied(brevity: Callable = _brevity, count: Callable = clipped_matches, scale: float = 100.0) -> Callable:
    def answer(hypotheses: Sequence[Tokens], references: Sequence[Tokens]) -> float:
        matches, totals, written, wanted = _sums(hypotheses, references, count)
        return scale * brevity(written, wanted) * math.exp(_mean_log(matches, totals))

    return answer


def _counted(total: Callable[[Tokens, int], int]) -> Callable:
    """BLEU with other totals: total(sentence, order), summed over the corpus."""

    def answer(hypotheses: Sequence[Tokens], references: Sequence[Tokens]) -> float:
        matches, _, written, wanted = _sums(hypotheses, references)
        if not all(matches):
            return 0.0
        totals = [sum(total(hypothesis, order) for hypothesis in hypotheses) for order in (1, 2, 3, 4)]
        return 100 * _brevity(written, wanted) * math.exp(_mean_log(matches, totals))

    return answer


def _mean_of_sentences(hypotheses: Sequence[Tokens], references: Sequence[Tokens]) -> float:
    right = _varied()
    return sum(right([h], [r]) for h, r in zip(hypotheses, references, strict=True)) / len(hypotheses)


def _arithmetic(hypotheses: Sequence[Tokens], references: Sequence[Tokens]) -> float:
    matches, totals, written, wanted = _sums(hypotheses, references)
    if not all(matches):
        return 0.0
    return 100 * _brevity(written, wanted) * sum(m / t for m, t in zip(matches, totals, strict=True)) / 4


def _product(hypotheses: Sequence[Tokens], references: Sequence[Tokens]) -> float:
    matches, totals, written, wanted = _sums(hypotheses, references)
    return 100 * _brevity(written, wanted) * math.exp(4 * _mean_log(matches, totals))


def _recall(hypotheses: Sequence[Tokens], references: Sequence[Tokens]) -> float:
    matches, _, written, wanted = _sums(hypotheses, references)
    totals = [sum(max(0, len(r) - order + 1) for r in references) for order in (1, 2, 3, 4)]
    return 100 * _brevity(written, wanted) * math.exp(_mean_log(matches, totals))


def _smoothed(hypotheses: Sequence[Tokens], references: Sequence[Tokens]) -> float:
    matches, totals, written, wanted = _sums(hypotheses, references)
    matches, totals = [m + 1 for m in matches], [t + 1 for t in totals]
    return 100 * _brevity(written, wanted) * math.exp(_mean_log(matches, totals))


def _zeros_skipped(hypotheses: Sequence[Tokens], references: Sequence[Tokens]) -> float:
    matches, totals, written, wanted = _sums(hypotheses, references)
    pairs = [(m, t) for m, t in zip(matches, totals, strict=True) if m]
    if not pairs:
        return 0.0
    return 100 * _brevity(written, wanted) * math.exp(_mean_log(*zip(*pairs, strict=True)))


def _zeros_passed_over(hypotheses: Sequence[Tokens], references: Sequence[Tokens]) -> float:
    matches, totals, written, wanted = _sums(hypotheses, references)
    logs = [math.log(m / t) for m, t in zip(matches, totals, strict=True) if m]
    return 100 * _brevity(written, wanted) * math.exp(sum(logs) / 4)


def _brevity_of_each(hypotheses: Sequence[Tokens], references: Sequence[Tokens]) -> float:
    matches, totals, _, _ = _sums(hypotheses, references)
    lengths = [(len(h), len(r)) for h, r in zip(hypotheses, references, strict=True)]
    mean = sum(_brevity(*pair) for pair in lengths) / len(lengths)
    return 100 * mean * math.exp(_mean_log(matches, totals))


def _divided_first(hypotheses: Sequence[Tokens], references: Sequence[Tokens]) -> float:
    matches, totals, written, wanted = _sums(hypotheses, references)
    precisions = [m / t for m, t in zip(matches, totals, strict=True)]
    return 100 * _brevity(written, wanted) * math.prod(precisions) ** 0.25


def _base_ten(hypotheses: Sequence[Tokens], references: Sequence[Tokens]) -> float:
    matches, totals, written, wanted = _sums(hypotheses, references)
    return 100 * _brevity(written, wanted) * math.exp(_mean_log(matches, totals) / math.log(10))


BLEU = (
    Misconception(
        "the mean of sentences",
        _mean_of_sentences,
        "You take a BLEU for each sentence and their mean. A sentence without any right 4-gram then gets 0, however "
        "many words are right. Matches, totals and lengths are summed over the corpus first; division comes last.",
    ),
    Misconception(
        "the arithmetic mean",
        _arithmetic,
        "You take the arithmetic mean of the four precisions. BLEU takes the geometric one, exp of the mean logarithm: "
        "a poor 4-gram precision then is not made up for by many right single words.",
    ),
    Misconception(
        "no fourth root",
        _product,
        "You multiply the four precisions and leave out the fourth root: divide the sum of logarithms by 4.",
    ),
    Misconception(
        "no brevity penalty",
        _varied(brevity=lambda written, wanted: 1.0),
        "There is no brevity penalty in your score: a text of a few safe words would win. (Lengths are in tokens, "
        "summed over the corpus; `len(hypotheses)` is the number of sentences.)",
    ),
    Misconception(
        "the brevity penalty turned over",
        _varied(brevity=lambda written, wanted: 1.0 if written >= wanted else math.exp(1 - written / wanted)),
        "In your brevity penalty the fraction is turned over. It is exp(1 − reference length / hypothesis length), "
        "below 1 for a text that is too short.",
    ),
    Misconception(
        "a linear brevity penalty",
        _varied(brevity=lambda written, wanted: min(1.0, written / wanted)),
        "You multiply by the ratio of lengths. The brevity penalty is exp(1 − reference length / hypothesis length).",
    ),
    Misconception(
        "the brevity penalty for long texts",
        _varied(brevity=lambda written, wanted: 1.0 if written <= wanted else math.exp(1 - wanted / written)),
        "Your brevity penalty is applied the wrong way round: it is 1 for a text that is too short, and above 1 for "
        "one that is too long. It is 1 if c ≥ r, the hypotheses being long enough, else exp(1 − r/c).",
    ),
    Misconception(
        "long texts punished",
        _varied(brevity=lambda written, wanted: 1.0 if written <= wanted else math.exp(1 - written / wanted)),
        "Your penalty is applied the wrong way round: it punishes texts that are too long. Those are punished by the "
        "precisions already; the brevity penalty is below 1 where the hypotheses are too short.",
    ),
    Misconception(
        "long texts rewarded",
        _varied(brevity=lambda written, wanted: math.exp(1 - wanted / written) if written else 0.0),
        "Your brevity penalty exceeds 1 for a text that is longer than the reference. It is at most 1: what is too "
        "much is punished by the precisions already.",
    ),
    Misconception(
        "a brevity penalty for each sentence",
        _brevity_of_each,
        "You take a brevity penalty for each sentence and their mean. The lengths of the whole corpus are "
        "compared, so that a short sentence is made up for by a long one.",
    ),
    Misconception(
        "recall",
        _recall,
        "You divide by the number of n-grams in the references, which is recall. A precision divides by those of the "
        "hypotheses.",
    ),
    Misconception(
        "at least one n-gram",
        _counted(lambda hypothesis, order: max(1, len(hypothesis) - order + 1)),
        "You count one n-gram at least for each hypothesis. One shorter than n has none: max(0, length − n + 1).",
    ),
    Misconception(
        "all tokens in each order",
        _counted(lambda hypothesis, order: len(hypothesis)),
        "You divide by the number of tokens in every order. A hypothesis of length l has l − n + 1 n-grams.",
    ),
    Misconception(
        "logarithms to the base of ten",
        _base_ten,
        "You take logarithms to the base of ten and come back with exp, which belongs to the natural ones: `math.log`.",
    ),
    Misconception(
        "one is added",
        _smoothed,
        "You add 1 to matches and totals, a smoothing for single sentences. Corpus BLEU, as asked for here, has none.",
    ),
    Misconception(
        "orders without a match are skipped",
        _zeros_skipped,
        "You leave out orders without a match. Then a text without any right 4-gram is scored by its words alone; "
        "without smoothing the score is 0.",
    ),
    Misconception(
        "orders without a match are passed over",
        _zeros_passed_over,
        "An order without a match is passed over in your sum of logarithms, as if its precision were 1. Without "
        "smoothing the score is 0: return 0.0 there.",
    ),
    Misconception(
        "negative totals",
        _counted(lambda sentence, order: len(sentence) - order + 1),
        "A sentence shorter than n makes your total smaller: length − n + 1 is negative there. It has no n-gram at "
        "all: max(0, length − n + 1).",
    ),
    Misconception(
        "one n-gram too few in each total",
        _counted(lambda sentence, order: max(0, len(sentence) - order)),
        "Your totals are length − n. A sentence of length l has l − n + 1 n-grams: of seven tokens, all seven are "
        "1-grams.",
    ),
    Misconception(
        "not clipped",
        _varied(count=unclipped),
        "Your matches are not clipped: an n-gram counts at most as often as it stands in the reference of its own "
        "sentence.",
    ),
    Misconception(
        "each n-gram once",
        _varied(count=each_once),
        "You count each n-gram once, however often it stands in both. It counts as often as it stands in the "
        "hypothesis, and at most as often as in the reference: exercise 8.5.",
    ),
    Misconception(
        "divided before it is looked at",
        _divided_first,
        "Right, but where no n-gram of some order was written: you divide by 0. Look at the matches first; where "
        "there are none the score is 0.0.",
    ),
    Misconception(
        "from 0 to 1",
        _varied(scale=1.0),
        "Your score lies between 0 and 1; the course, as sacreBLEU does, says it from 0 to 100.",
    ),
)
