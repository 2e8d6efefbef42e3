"""Typical wrong answers to exercises 8.5 to 8.7."""

import math
from collections import Counter
from collections.abc import Callable, Sequence

from utils.exercises.declare import Misconception
from utils.translation.bleu import clipped_matches, ngram_counts

Tokens = Sequence[str]

# 8.5 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _unclipped(hypothesis: Tokens, reference: Tokens, order: int) -> int:
    known = ngram_counts(reference, order)
    return sum(count for ngram, count in ngram_counts(hypothesis, order).items() if ngram in known)


def _each_once(hypothesis: Tokens, reference: Tokens, order: int) -> int:
    return len(set(ngram_counts(hypothesis, order)) & set(ngram_counts(reference, order)))


def _by_the_reference(hypothesis: Tokens, reference: Tokens, order: int) -> int:
    known = ngram_counts(hypothesis, order)
    return sum(count for ngram, count in ngram_counts(reference, order).items() if ngram in known)


def _precision(hypothesis: Tokens, reference: Tokens, order: int) -> float:
    total = ngram_counts(hypothesis, order).total()
    return clipped_matches(hypothesis, reference, order) / total if total else 0.0


def _words_only(hypothesis: Tokens, reference: Tokens, order: int) -> int:
    return clipped_matches(hypothesis, reference, 1)


def _all_orders(hypothesis: Tokens, reference: Tokens, order: int) -> int:
    return sum(clipped_matches(hypothesis, reference, smaller) for smaller in range(1, order + 1))


def _union(hypothesis: Tokens, reference: Tokens, order: int) -> int:
    return (ngram_counts(hypothesis, order) | ngram_counts(reference, order)).total()


def _larger_count(hypothesis: Tokens, reference: Tokens, order: int) -> int:
    known = ngram_counts(reference, order)
    return sum(max(count, known[ngram]) for ngram, count in ngram_counts(hypothesis, order).items())


def _larger_count_of_shared(hypothesis: Tokens, reference: Tokens, order: int) -> int:
    known = ngram_counts(reference, order)
    shared = {ngram: count for ngram, count in ngram_counts(hypothesis, order).items() if ngram in known}
    return sum(max(count, known[ngram]) for ngram, count in shared.items())


def _in_place(hypothesis: Tokens, reference: Tokens, order: int) -> int:
    pairs = zip(*(list(zip(*(text[i:] for i in range(order)), strict=False)) for text in (hypothesis, reference)),
                strict=False)  # fmt: skip
    return sum(one == other for one, other in pairs)


def _last_left_out(hypothesis: Tokens, reference: Tokens, order: int) -> int:
    def counts(tokens: Tokens) -> Counter:
        return Counter(tuple(tokens[start : start + order]) for start in range(len(tokens) - order))

    return (counts(hypothesis) & counts(reference)).total()


def _without_order(hypothesis: Tokens, reference: Tokens, order: int) -> int:
    def counts(tokens: Tokens) -> Counter:
        return Counter(tuple(sorted(tokens[start : start + order])) for start in range(len(tokens) - order + 1))

    return (counts(hypothesis) & counts(reference)).total()


CLIPPED = (
    Misconception(
        "not clipped",
        _unclipped,
        'Your matches are not clipped: "the the the" finds one "the" three times. An n-gram counts at most as often as '
        "it stands in the reference.",
    ),
    Misconception(
        "each n-gram once",
        _each_once,
        "You count each n-gram once, however often it stands in both. It counts as often as it stands in the "
        "hypothesis, and at most as often as in the reference.",
    ),
    Misconception(
        "counted in the reference",
        _by_the_reference,
        "You count n-grams of the reference that are found in the hypothesis. Matches are n-grams of the *hypothesis*, "
        "each at most as often as in the reference: the smaller of the two counts.",
    ),
    Misconception(
        "divided already",
        _precision,
        "You divide by the number of n-grams. Asked for is the count: the corpus sums up matches and totals first, and "
        "divides at the end.",
    ),
    Misconception(
        "single tokens whatever the order",
        _words_only,
        "You count single tokens whatever `order` is.",
    ),
    Misconception(
        "all orders up to this one",
        _all_orders,
        "You add up the matches of all orders up to `order`. Asked for is this order alone.",
    ),
    Misconception(
        "the larger count",
        _union,
        "You take the larger of the two counts (`|`). Clipping takes the smaller (`&`).",
    ),
    Misconception(
        "max in place of min",
        _larger_count,
        "You take the larger of the two counts (`max`), so that an n-gram counts even where the reference lacks it. "
        "Clipping takes the smaller (`min`).",
    ),
    Misconception(
        "max in place of min, of those that both have",
        _larger_count_of_shared,
        "You take the larger of the two counts (`max`) of each n-gram that both have. Clipping takes the smaller "
        "(`min`).",
    ),
    Misconception(
        "at the same place",
        _in_place,
        "Your n-grams match only where they stand at the same place in both sentences. BLEU does not ask where.",
    ),
    Misconception(
        "the last n-gram is left out",
        _last_left_out,
        "Your loop stops one too early: a sentence of length l has l − n + 1 n-grams.",
    ),
    Misconception(
        "the order inside of an n-gram",
        _without_order,
        'You count "the cat" and "cat the" as the same. An n-gram is its tokens in their order: a tuple, not a set.',
    ),
)

# 8.6 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


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
        _varied(count=_unclipped),
        "Your matches are not clipped: an n-gram counts at most as often as it stands in the reference of its own "
        "sentence.",
    ),
    Misconception(
        "from 0 to 1",
        _varied(scale=1.0),
        "Your score lies between 0 and 1; the course, as sacreBLEU does, says it from 0 to 100.",
    ),
)

# 8.7 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

FLOPS = (
    Misconception(
        "hours taken for seconds",
        lambda hours, gpus, teraflops: hours * gpus * teraflops * 1e12,
        "TFLOPS are operations a *second*: an hour has 3600 of them.",
    ),
    Misconception(
        "hours taken for minutes",
        lambda hours, gpus, teraflops: hours * 60 * gpus * teraflops * 1e12,
        "You make minutes of hours; TFLOPS count seconds, of which an hour has 3600.",
    ),
    Misconception(
        "one GPU",
        lambda hours, gpus, teraflops: hours * 3600 * teraflops * 1e12,
        "You count one GPU, whatever `gpus` is.",
    ),
    Misconception(
        "always eight GPUs",
        lambda hours, gpus, teraflops: hours * 3600 * 8 * teraflops * 1e12,
        "You always count the paper's eight GPUs, whatever `gpus` is.",
    ),
    Misconception(
        "shared among the GPUs",
        lambda hours, gpus, teraflops: hours * 3600 / gpus * teraflops * 1e12,
        "You divide by the number of GPUs. They all compute at the same time, each so many operations: multiply.",
    ),
    Misconception(
        "tera left out",
        lambda hours, gpus, teraflops: hours * 3600 * gpus * teraflops,
        "Your result is in 10¹² operations: the tera of TFLOPS has been left out.",
    ),
    Misconception(
        "tera is 2 to the 40",
        lambda hours, gpus, teraflops: hours * 3600 * gpus * teraflops * 2**40,
        "You take tera for 2⁴⁰. That is a habit for memory; operations are counted in 10¹².",
    ),
    Misconception(
        "giga for tera",
        lambda hours, gpus, teraflops: hours * 3600 * gpus * teraflops * 1e9,
        "You multiply by 10⁹, which is giga. Tera is 10¹².",
    ),
    Misconception(
        "always the P100",
        lambda hours, gpus, teraflops: hours * 3600 * gpus * 9.5 * 1e12,
        "You always take the P100's 9.5 TFLOPS, whatever `teraflops` is.",
    ),
    Misconception(
        "two operations a multiplication",
        lambda hours, gpus, teraflops: 2 * hours * 3600 * gpus * teraflops * 1e12,
        "You double the count. A GPU's TFLOPS count additions and multiplications already.",
    ),
)
