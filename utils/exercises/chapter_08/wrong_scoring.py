"""Typical wrong answers to exercises 8.5 and 8.7."""

from collections import Counter
from collections.abc import Sequence

from utils.exercises.declare import Misconception
from utils.translation.bleu import clipped_matches, ngram_counts

Tokens = Sequence[str]

# 8.5 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def unclipped(hypothesis: Tokens, reference: Tokens, order: int) -> int:
    known = ngram_counts(reference, order)
    return sum(count for ngram, count in ngram_counts(hypothesis, order).items() if ngram in known)


def each_once(hypothesis: Tokens, reference: Tokens, order: int) -> int:
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
        unclipped,
        'Your matches are not clipped: "the the the" finds one "the" three times. An n-gram counts at most as often as '
        "it stands in the reference.",
    ),
    Misconception(
        "each n-gram once",
        each_once,
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
        "one token too long",
        lambda hypothesis, reference, order: clipped_matches(hypothesis, reference, order + 1),
        "Your n-grams have one token too many: `tokens[start : start + order]` has `order` of them.",
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
        "10^12",
        lambda hours, gpus, teraflops: hours * 3600 * gpus * teraflops * 10 ^ 12,
        "In Python `^` is no power but a bitwise operation on whole numbers. The power is `10**12`, or `1e12`.",
    ),
    Misconception(
        "10e12",
        lambda hours, gpus, teraflops: hours * 3600 * gpus * teraflops * 1e13,
        "You multiply by 10¹³: `10e12` means 10 · 10¹². Tera is `1e12`.",
    ),
    Misconception(
        "days taken for hours",
        lambda hours, gpus, teraflops: hours * 86400 * gpus * teraflops * 1e12,
        "You multiply by the seconds of a day. `hours` are hours, of 3600 seconds each.",
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
