"""Chapter 08, scoring, from further outside: answers of strangers, wrong and right. Each wrong answer comes with words
that its report must hold, or None.
"""

import collections
import difflib
import functools
import itertools
import math
from decimal import Decimal
from fractions import Fraction

import numpy

from utils.exercises.chapter_08.references import bleu, training_flops
from utils.translation.bleu import clipped_matches, ngram_counts

# 8.5 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def counted(grams, join=lambda ours, theirs: sum((ours & theirs).values())):
    """Clipped matches of what `grams` makes of a sentence."""
    return lambda h, r, order: join(*(collections.Counter(map(tuple, grams(list(text), order))) for text in (h, r)))


def windows(tokens, order):
    return [tokens[i : i + order] for i in range(len(tokens) - order + 1)]


def in_one_course(hypothesis, reference, order):
    """The longest blocks in the same order in both, as difflib finds them."""
    blocks = difflib.SequenceMatcher(None, hypothesis, reference, autojunk=False).get_matching_blocks()
    return sum(max(0, block.size - order + 1) for block in blocks)


def words_taken_out(hypothesis, reference, order):
    result = clipped_matches(hypothesis, reference, order)
    hypothesis.clear()
    return result


class Total:
    """Adds up over its calls."""

    def __init__(self):
        self.counts = collections.Counter()

    def __call__(self, hypothesis, reference, order):
        self.counts += ngram_counts(hypothesis, order) & ngram_counts(reference, order)
        return self.counts.total()


WRONG_8_5 = {
    "the first left out": (counted(lambda t, n: windows(t, n)[1:]), None),
    "the last left out": (counted(lambda t, n: windows(t, n)[:-1]), "one too early"),
    "every other": (counted(lambda t, n: windows(t, n)[::2]), None),
    "one token more": (counted(lambda t, n: windows(t, n + 1)), "one token too many"),
    "gaps allowed": (counted(lambda t, n: itertools.combinations(t, n)), None),
    "padded with BEGIN": (counted(lambda t, n: windows(["<s>"] * (n - 1) + t, n)), None),
    "circular": (counted(lambda t, n: windows(t + t[: n - 1], n)), None),
    "sets": (counted(lambda t, n: map(set, windows(t, n))), None),
    "sorted": (counted(lambda t, n: map(sorted, windows(t, n))), "in their order"),
    "first letters": (counted(lambda t, n: [[word[0] for word in gram] for gram in windows(t, n)]), None),
    "ends only": (counted(lambda t, n: [(gram[0], gram[-1]) for gram in windows(t, n)]), None),
    "up to four": (lambda h, r, order: clipped_matches(h, r, min(order, 4)), "above 4"),
    "two in mind": (lambda h, r, order: clipped_matches(h, r, 2), None),
    "sum of both": (counted(windows, lambda a, b: sum((a + b).values())), None),
    "larger": (counted(windows, lambda a, b: sum((a | b).values())), "smaller"),
    "kinds": (counted(windows, lambda a, b: len(a & b)), "once"),
    "those of the reference": (
        counted(windows, lambda a, b: sum(n for gram, n in b.items() if gram in a)), "of the reference"
    ),
    "share": (counted(windows, lambda a, b: sum((a & b).values()) / max(1, sum(a.values()))), "divide"),
    "one course": (in_one_course, None),
    "taken out": (words_taken_out, "changes its input `hypothesis`"),
    "adds up": (Total(), None),
    "a list": (lambda h, r, order: list(ngram_counts(h, order) & ngram_counts(r, order)), None),
    "true or false": (lambda h, r, order: clipped_matches(h, r, order) > 0, None),
    "text": (lambda h, r, order: str(clipped_matches(h, r, order)), "str"),
    "asked of the empty": (lambda h, r, order: clipped_matches(h, r, order) if h[0] else 0, "IndexError"),
    "negative for the short": (lambda h, r, order: clipped_matches(h, r, order) + min(0, len(h) - order + 1), None),
}  # fmt: skip


def by_sorting(hypothesis, reference, order):
    ours, theirs = (sorted(map(tuple, windows(text, order))) for text in (hypothesis, reference))
    matches = i = j = 0
    while i < len(ours) and j < len(theirs):
        matches += ours[i] == theirs[j]
        i, j = i + (ours[i] <= theirs[j]), j + (ours[i] >= theirs[j])
    return matches


RIGHT_8_5 = {
    "by sorting": by_sorting,
    "two counters": counted(windows),
    "numpy's number": lambda h, r, order: numpy.int64(clipped_matches(h, r, order)),
    "minima": counted(windows, lambda a, b: sum(min(a[gram], b[gram]) for gram in a)),
    "groups": counted(windows, lambda a, b: sum(min(n, b.get(gram, 0)) for gram, n in a.items())),
    "a partial": functools.partial(clipped_matches),
    "islice": counted(lambda t, n: zip(*(itertools.islice(t, i, None) for i in range(n)), strict=False)),
    "cached": lambda h, r, order: functools.lru_cache(lambda a, b, n: clipped_matches(a, b, n))(
        tuple(h), tuple(r), order),
}  # fmt: skip

# 8.6 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def scored(total=lambda h, n: max(0, len(h) - n + 1), match=clipped_matches, mean=lambda ps: math.prod(ps) ** 0.25,
           brevity=lambda c, r: 1 if c >= r else math.exp(1 - r / c) if c else 0.0, scale=100, skip=0.0):  # fmt: skip
    """BLEU as one would write it."""

    def answer(hypotheses, references):
        precisions = []
        for n in range(1, 5):
            found = sum(match(h, r, n) for h, r in zip(hypotheses, references, strict=True))
            if not found:
                return skip
            precisions.append(found / sum(total(h, n) for h in hypotheses))
        return scale * mean(precisions) * brevity(sum(map(len, hypotheses)), sum(map(len, references)))

    return answer


def remembered(hypotheses, references, sums=[0] * 8):  # noqa: B006
    """A default that lives on."""
    for h, r in zip(hypotheses, references, strict=True):
        for n in range(4):
            sums[n] += clipped_matches(h, r, n + 1)
            sums[4 + n] += max(0, len(h) - n)
    if not all(sums[:4]):
        return 0.0
    c, r = sum(map(len, hypotheses)), sum(map(len, references))
    brevity = 1 if c >= r else math.exp(1 - r / c) if c else 0.0
    return 100 * brevity * math.prod(sums[n] / sums[4 + n] for n in range(4)) ** 0.25


def divided_first(hypotheses, references):
    logs = 0.0
    for n in range(1, 5):
        precision = sum(clipped_matches(h, r, n) for h, r in zip(hypotheses, references, strict=True)) / sum(
            max(0, len(h) - n + 1) for h in hypotheses
        )
        if precision == 0:
            return 0.0
        logs += math.log(precision) / 4
    c, r = sum(map(len, hypotheses)), sum(map(len, references))
    return 100 * math.exp(logs + min(0, 1 - r / c))


def emptied(hypotheses, references):
    score = bleu(hypotheses, references)
    for sentence in hypotheses:
        sentence.append("</s>")
    return score


WRONG_8_6 = {
    "harmonic mean": (scored(mean=lambda ps: 4 / sum(1 / p for p in ps)), None),
    "weights of 0.4 to 0.1": (scored(mean=lambda ps: math.prod(p**w for p, w in zip(ps, (0.4, 0.3, 0.2, 0.1)))), None),  # noqa: B905
    "the least": (scored(mean=min), None),
    "cube root": (scored(mean=lambda ps: math.prod(ps) ** (1 / 3)), None),
    "exp(mean) without log": (scored(mean=lambda ps: math.exp(sum(ps) / 4)), None),
    "log₁₀ and exp": (scored(mean=lambda ps: math.exp(sum(map(math.log10, ps)) / 4)), "base of ten"),
    "log₂ and exp": (scored(mean=lambda ps: math.exp(sum(map(math.log2, ps)) / 4)), None),
    "at least one n-gram": (scored(total=lambda h, n: max(1, len(h) - n + 1)), "at least"),
    "totals below 0": (scored(total=lambda h, n: len(h) - n + 1), "negative"),
    "tokens in all orders": (scored(total=lambda h, n: len(h)), "every order"),
    "kinds of n-grams": (scored(total=lambda h, n: len(ngram_counts(h, n))), None),
    "matches of kinds": (scored(match=lambda h, r, n: len({*ngram_counts(h, n)} & {*ngram_counts(r, n)})), "once"),
    "always BP": (scored(brevity=lambda c, r: math.exp(1 - r / c)), "exceeds 1"),
    "BP by sentences": (scored(brevity=lambda c, r: 1), "no brevity penalty"),
    "BP below half": (scored(brevity=lambda c, r: 1 if 2 * c >= r else math.exp(1 - r / c)), None),
    "BP with the long ones punished": (scored(brevity=lambda c, r: math.exp(-abs(1 - r / c))), None),
    "BP squared": (scored(brevity=lambda c, r: 1 if c >= r else math.exp(2 * (1 - r / c))), None),
    "BP as a difference": (scored(brevity=lambda c, r: math.exp(min(0, c - r))), None),
    "a thousandth": (scored(scale=1000), None),
    "1e-2 where nothing is": (scored(skip=0.01), None),
    "None where nothing is": (scored(skip=None), None),
    "divides before it looks": (divided_first, "divide by 0"),
    "a default that lives on": (remembered, None),
    "END appended": (emptied, "changes its input `hypotheses`"),
    "a sentence's mean in log": (
        lambda h, r: 100 * math.exp(sum(math.log(max(bleu([*a], [*b]), 1e-9) / 100)
                                     for *a, b in ([x, [y]] for x, y in zip(h, r, strict=True))) / len(h)), None),
    "eight sentences at most": (lambda h, r: bleu(h[:4], r[:4]), None),
    "precisions": (scored(mean=list, scale=1, brevity=lambda c, r: 1), "list"),
    "text": (lambda h, r: f"BLEU = {bleu(h, r)}", "str"),
    "complex": (scored(mean=lambda ps: complex(math.prod(ps) ** 0.25)), "complex"),
    "NaN where nothing is": (scored(skip=math.nan), "nan"),
}  # fmt: skip


def exact(hypotheses, references):
    found = [Fraction(1)]
    for n in range(1, 5):
        matches = sum(clipped_matches(*pair, n) for pair in zip(hypotheses, references, strict=True))
        total = sum(len(sentence[n - 1 :]) for sentence in hypotheses)
        found.append(Fraction(matches, total or 1))
    c, r = len(sum(hypotheses, [])), len(sum(references, []))
    return 100 * float(math.prod(found)) ** 0.25 * (math.exp(1 - r / c) if 0 < c < r else float(c > 0))


def with_numpy(hypotheses, references):
    pairs = list(zip(hypotheses, references, strict=True))
    matches = numpy.array([[clipped_matches(h, r, n) for n in (1, 2, 3, 4)] for h, r in pairs]).sum(axis=0)
    totals = numpy.array([[max(len(h) - n, 0) for n in range(4)] for h, _ in pairs]).sum(axis=0)
    if (matches == 0).any():
        return numpy.float64(0)
    lengths = numpy.array([[len(h), len(r)] for h, r in pairs]).sum(axis=0)
    return 100 * numpy.exp(numpy.log(matches / totals).mean() + min(0, 1 - lengths[1] / lengths[0]))


RIGHT_8_6 = {
    "fractions": exact,
    "numpy": with_numpy,
    "as written": scored(),
    "logarithms": scored(mean=lambda ps: 2 ** (sum(map(math.log2, ps)) / 4)),
    "four roots": scored(mean=lambda ps: math.sqrt(math.sqrt(math.prod(ps)))),
    "a partial": functools.partial(bleu),
    "a whole 0": scored(skip=0),
    "further references": lambda hypotheses, references, weights=None, /: bleu(hypotheses, references),
}

# 8.7 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def times(factor):
    return lambda hours, gpus, teraflops: factor(hours, gpus, teraflops) * training_flops(hours, gpus, teraflops)


WRONG_8_7 = {
    "10^12": (lambda hours, gpus, teraflops: hours * 3600 * gpus * teraflops * 10 ^ 12, "bitwise"),
    "10e12": (times(lambda *_: 10), "10¹³"),
    "a day's seconds": (times(lambda *_: 24), "of a day"),
    "minutes": (times(lambda *_: 1 / 60), "minutes"),
    "a third used": (times(lambda *_: 0.33), None),
    "forward and backward": (times(lambda *_: 3), None),
    "GPUs squared": (times(lambda hours, gpus, teraflops: gpus), None),
    "the root of the GPUs": (times(lambda hours, gpus, teraflops: gpus**-0.5), None),
    "GPUs to the power of two": (times(lambda h, gpus, t: 2 ** (gpus.bit_length() - 1) / gpus), None),
    "whole hours up": (lambda hours, gpus, teraflops: training_flops(math.ceil(hours), gpus, teraflops), None),
    "an hour at least": (lambda hours, gpus, teraflops: training_flops(max(hours, 1), gpus, teraflops), None),
    "rounded to one digit": (lambda *a: float(f"{training_flops(*a):.1e}"), None),
    "petaflop days": (times(lambda *_: 1 / 86400e15), None),
    "hours and TFLOPS exchanged in a sum": (lambda h, g, t: (h + t) * 3600 * g * 1e12, None),
    "a list": (lambda *a: [training_flops(*a)], "list"),
    "Decimal text": (lambda *a: f"{Decimal(training_flops(*a)):E}", "str"),
    "complex": (lambda *a: complex(training_flops(*a)), "complex"),
    "NaN": (lambda *a: math.nan, "nan"),
    "raises": (lambda hours, gpus, teraflops: training_flops(hours, gpus) * teraflops, "TypeError"),
    "infinite": (times(lambda *_: math.inf), None),
}


class Cost:
    seconds = 3600

    @classmethod
    def of(cls, hours, gpus, teraflops):
        return math.prod((hours, cls.seconds, gpus, teraflops, 10**12))


RIGHT_8_7 = {
    "a class method": Cost.of,
    "timedelta": lambda hours, gpus, teraflops: __import__("datetime").timedelta(hours=hours).total_seconds()
    * gpus * teraflops * 1e12,
    "a fraction": lambda hours, gpus, teraflops: float(
        Fraction(hours) * 3600 * gpus * Fraction(str(teraflops)) * 10**12),
    "numpy": lambda hours, gpus, teraflops: numpy.prod([hours, 3600.0, gpus, teraflops, 1e12]),
    "a partial": functools.partial(training_flops),
    "milliseconds": lambda hours, gpus, teraflops: hours * 3_600_000 * gpus * teraflops * 1e9,
    "keyword more": lambda hours, gpus, teraflops, *, used=1.0: used * training_flops(hours, gpus, teraflops),
}  # fmt: skip

WRONG = {"8.5": WRONG_8_5, "8.6": WRONG_8_6, "8.7": WRONG_8_7}
RIGHT = {"8.5": RIGHT_8_5, "8.6": RIGHT_8_6, "8.7": RIGHT_8_7}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
