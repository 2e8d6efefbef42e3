"""Chapter 08, scoring, from outside: plausible wrong answers that no misconception was written for, and unusual right
ones. Each wrong answer comes with words that its report must hold, or None.
"""

import math
from collections import Counter, defaultdict

import pytest
from sacrebleu.metrics import BLEU

from utils.exercises.chapter_08.references import bleu, training_flops
from utils.translation.bleu import clipped_matches, corpus_bleu, ngram_counts

# 8.5 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def as_text(hypothesis, reference, order):
    """N-grams looked for in the reference's text, as letters."""
    counts, text = ngram_counts(hypothesis, order), " ".join(reference)
    return sum(min(count, text.count(" ".join(ngram))) for ngram, count in counts.items())


def not_overlapping(hypothesis, reference, order):
    def counts(tokens):
        return Counter(tuple(tokens[i : i + order]) for i in range(0, len(tokens) - order + 1, order))

    return (counts(hypothesis) & counts(reference)).total()


def one_too_many(hypothesis, reference, order):
    def counts(tokens):
        return Counter(tuple(tokens[i : i + order]) for i in range(len(tokens)))

    return (counts(hypothesis) & counts(reference)).total()


def clipped_at_two(hypothesis, reference, order):
    known = ngram_counts(reference, order)
    return sum(min(count, 2) for ngram, count in ngram_counts(hypothesis, order).items() if ngram in known)


def clipped_by_length(hypothesis, reference, order):
    known = set(ngram_counts(reference, order))
    matches = sum(c for ngram, c in ngram_counts(hypothesis, order).items() if ngram in known)
    return min(matches, max(0, len(reference) - order + 1))


def reference_used_up(hypothesis, reference, order):
    hypothesis, reference = list(hypothesis), list(reference)
    matches = 0
    for start in range(len(hypothesis) - order + 1):
        ngram = hypothesis[start : start + order]
        for place in range(len(reference) - order + 1):
            if reference[place : place + order] == ngram:
                matches += 1
                del reference[place : place + order]
                break
    return matches


def lower(tokens):
    return [token.lower() for token in tokens]


def glued(hypothesis, reference, order):
    def counts(tokens):
        return Counter("".join(tokens[i : i + order]) for i in range(len(tokens) - order + 1))

    return (counts(hypothesis) & counts(reference)).total()


def without_stops(hypothesis, reference, order):
    return clipped_matches(*([token for token in text if token != "."] for text in (hypothesis, reference)), order)


WRONG_8_5 = {
    "all in small letters": (lambda h, r, order: clipped_matches(lower(h), lower(r), order), None),
    "words glued": (glued, None),
    "full stops left out": (without_stops, None),
    "letters": (as_text, None),
    "not overlapping": (not_overlapping, None),
    "ragged ends": (one_too_many, None),
    "clipped at two": (clipped_at_two, None),
    "clipped by the reference's length": (clipped_by_length, None),
    "the reference is used up": (reference_used_up, None),
    "order from 0": (lambda h, r, order: clipped_matches(h, r, order + 1), None),
    "one order lower": (lambda h, r, order: clipped_matches(h, r, max(1, order - 1)), None),
    "the larger count of each": (lambda h, r, order: sum(max(c, ngram_counts(r, order)[n])
                                 for n, c in ngram_counts(h, order).items()), "smaller"),
    "counter": (lambda h, r, order: ngram_counts(h, order) & ngram_counts(r, order), "Counter"),
    "share of the reference": (lambda h, r, o: clipped_matches(h, r, o) / max(1, len(r) - o + 1), None),
    "misses": (lambda h, r, order: (ngram_counts(h, order) - ngram_counts(r, order)).total(), None),
    "entries": (lambda h, r, order: len(ngram_counts(h, order) & ngram_counts(r, order)), None),
    "lower case": (lambda h, r, o: clipped_matches([t.lower() for t in h], [t.lower() for t in r], o) + (o == 1), None),
    "empty is one": (lambda h, r, order: max(1, clipped_matches(h, r, order)), None),
    "in order": (lambda h, r, order: sum(a == b for a, b in zip(h, r, strict=False)), None),
    "stops at short ones": (lambda h, r, o: (ngram_counts(h, o) & ngram_counts(r, o)).total() / (len(h) >= o), None),
    "two parameters": (lambda hypothesis, reference: 0, "order"),
    "nothing": (lambda h, r, order: None, "return"),
}  # fmt: skip


def by_loop(hypothesis, reference, order):
    left, matches = defaultdict(int), 0
    for i in range(len(reference) - order + 1):
        left[tuple(reference[i : i + order])] += 1
    for i in range(len(hypothesis) - order + 1):
        ngram = tuple(hypothesis[i : i + order])
        if left[ngram] > 0:
            left[ngram] -= 1
            matches += 1
    return matches


def by_zip(hypothesis, reference, order):
    def grams(tokens):
        return list(zip(*(tokens[i:] for i in range(order)), strict=False))

    return sum(min(grams(hypothesis).count(g), grams(reference).count(g)) for g in set(grams(hypothesis)))


def by_removal(hypothesis, reference, order):
    left = [reference[i : i + order] for i in range(len(reference) - order + 1)]
    before = len(left)
    for i in range(len(hypothesis) - order + 1):
        if hypothesis[i : i + order] in left:
            left.remove(hypothesis[i : i + order])
    return before - len(left)


RIGHT_8_5 = {
    "loop": by_loop,
    "zip": by_zip,
    "removal": by_removal,
    "joined words": lambda h, r, order: (
        Counter("\t".join(h[i : i + order]) for i in range(len(h) - order + 1))
        & Counter("\t".join(r[i : i + order]) for i in range(len(r) - order + 1))
    ).total(),
    "subtraction": lambda h, r, o: ngram_counts(h, o).total() - (ngram_counts(h, o) - ngram_counts(r, o)).total(),
    "a float": lambda h, r, order: float(clipped_matches(h, r, order)),
    "a default": lambda hypothesis, reference, order=1: clipped_matches(hypothesis, reference, order),
}

# 8.6 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def with_orders(*orders):
    def answer(hypotheses, references):
        logs = 0.0
        for order in orders:
            pairs = zip(hypotheses, references, strict=True)
            matches = sum(clipped_matches(h, r, order) for h, r in pairs)
            if matches == 0:
                return 0.0
            logs += math.log(matches / sum(max(0, len(h) - order + 1) for h in hypotheses))
        c, r = sum(map(len, hypotheses)), sum(map(len, references))
        return 100 * math.exp(logs / len(orders)) * (1 if c >= r else math.exp(1 - r / c))

    return answer


def with_totals(total):
    """total(length, order): the n-grams of one sentence. Stops where nothing is written, as the next ones do."""

    def answer(hypotheses, references, skip=False):
        logs = 0.0
        for order in (1, 2, 3, 4):
            matches = sum(clipped_matches(h, r, order) for h, r in zip(hypotheses, references, strict=True))
            if matches == 0 and not skip:
                return 0.0
            logs += math.log(matches / sum(total(len(h), order) for h in hypotheses)) if matches else 0.0
        c, r = sum(map(len, hypotheses)), sum(map(len, references))
        return 100 * math.exp(logs / 4) * (1 if c >= r else math.exp(1 - r / c))

    return answer


negative_totals = with_totals(lambda length, order: length - order + 1)


def passing_over(hypotheses, references):
    return with_totals(lambda length, order: max(0, length - order + 1))(hypotheses, references, skip=True)


def with_brevity(brevity):
    """brevity(c, r) in place of the right one; stops where nothing is written."""

    def answer(hypotheses, references):
        c, r = sum(map(len, hypotheses)), sum(map(len, references))
        return bleu(hypotheses, references) / (1 if c >= r else math.exp(1 - r / c)) * brevity(c, r)

    return answer


def brevity_of_each(hypotheses, references):
    lengths = [(len(h), len(r)) for h, r in zip(hypotheses, references, strict=True)]
    mean = sum(1 if c >= r else math.exp(1 - r / c) for c, r in lengths) / len(lengths)
    return with_brevity(lambda c, r: mean)(hypotheses, references)


def one_long_sentence(hypotheses, references):
    """Everything joined: n-grams over the seams."""
    joined = [[token for sentence in text for token in sentence] for text in (hypotheses, references)]
    return bleu(joined[:1], joined[1:])


def clipped_by_the_corpus(hypotheses, references):
    logs = 0.0
    for order in (1, 2, 3, 4):
        ours, theirs = (sum((ngram_counts(s, order) for s in text), Counter()) for text in (hypotheses, references))
        if (ours & theirs).total() == 0:
            return 0.0
        logs += math.log((ours & theirs).total() / ours.total())
    c, r = sum(map(len, hypotheses)), sum(map(len, references))
    return 100 * math.exp(logs / 4) * (1 if c >= r else math.exp(1 - r / c))


def mean_of_precisions_of_sentences(hypotheses, references):
    logs = 0.0
    for order in (1, 2, 3, 4):
        pairs = zip(hypotheses, references, strict=True)
        each = [clipped_matches(h, r, order) / max(1, len(h) - order + 1) for h, r in pairs]
        if not any(each):
            return 0.0
        logs += math.log(sum(each) / len(each))
    c, r = sum(map(len, hypotheses)), sum(map(len, references))
    return 100 * math.exp(logs / 4) * (1 if c >= r else math.exp(1 - r / c))


def crashes_without_matches(hypotheses, references):
    logs = 0.0
    for order in (1, 2, 3, 4):
        matches = sum(clipped_matches(h, r, order) for h, r in zip(hypotheses, references, strict=True))
        logs += math.log(matches / sum(max(0, len(h) - order + 1) for h in hypotheses))
    c, r = sum(map(len, hypotheses)), sum(map(len, references))
    return 100 * math.exp(logs / 4) * (1 if c >= r else math.exp(1 - r / c))


def smoothed_as_sacrebleu(hypotheses, references):
    return corpus_bleu(hypotheses, references, tokenise=list).score


def base_ten(hypotheses, references):
    score = bleu(hypotheses, references) / 100
    return 100 * 10 ** (math.log(score) if score else -99)


def empty_ones_skipped(hypotheses, references):
    pairs = [pair for pair in zip(hypotheses, references, strict=True) if pair[0]]
    return bleu(*zip(*pairs, strict=True)) if pairs else 0.0


def words_alone_without_4_grams(hypotheses, references):
    return bleu(hypotheses, references) or with_orders(1)(hypotheses, references)


WRONG_8_6 = {
    "all in small letters": (lambda h, r: bleu([*map(lower, h)], [*map(lower, r)]), None),
    "empty ones are skipped": (empty_ones_skipped, "expected"),
    "words alone without 4-grams": (words_alone_without_4_grams, None),
    "up to trigrams": (with_orders(1, 2, 3), None),
    "up to 5-grams": (with_orders(1, 2, 3, 4, 5), None),
    "words only": (with_orders(1), None),
    "4-grams only": (with_orders(4), None),
    "negative totals": (negative_totals, "max(0, "),
    "n-grams one too few": (with_totals(lambda length, order: length - order), "l − n + 1"),
    "orders without a match passed over": (passing_over, "passed over"),
    "brevity exchanged": (with_brevity(lambda c, r: 1 if c <= r else math.exp(1 - r / c)), "the wrong way round"),
    "brevity of each": (brevity_of_each, "for each sentence"),
    "one long sentence": (one_long_sentence, None),
    "clipped by the corpus": (clipped_by_the_corpus, None),
    "mean of sentences' precisions": (mean_of_precisions_of_sentences, None),
    "crashes without matches": (crashes_without_matches, None),
    "smoothed as sacreBLEU does": (lambda h, r: smoothed_as_sacrebleu([" ".join(s) for s in h],
                                                                      [" ".join(s) for s in r]), None),
    "wrong base": (base_ten, None),
    "rounded": (lambda h, r: round(bleu(h, r), 1), None),
    "arguments exchanged": (lambda h, r: bleu(r, h), None),
    "the first sentence": (lambda h, r: bleu(h[:1], r[:1]), None),
    "perplexity": (lambda h, r: 100 - bleu(h, r), None),
    "text": (lambda h, r: f"{bleu(h, r):.2f}", None),
    "a tuple": (lambda h, r: (bleu(h, r), None), "number"),
    "nothing": (lambda h, r: None, "return"),
}  # fmt: skip


def by_products(hypotheses, references):
    product = 1.0
    for n in range(1, 5):
        found = sum(clipped_matches(h, r, n) for h, r in zip(hypotheses, references, strict=True))
        product *= found / (sum(max(len(h) - n + 1, 0) for h in hypotheses) or 1)
    c, r = sum(len(h) for h in hypotheses), sum(len(r) for r in references)
    return 100.0 * product**0.25 * math.exp(min(0.0, 1 - r / c) if c else 0.0)


def by_sacrebleu(hypotheses, references):
    """Tokens joined, and sacreBLEU told not to tokenise."""
    metric = BLEU(smooth_method="none", tokenize="none", force=True)
    texts = [[" ".join(sentence) for sentence in text] for text in (hypotheses, references)]
    return metric.corpus_score(texts[0], [texts[1]]).score


def in_one_go(hypotheses, references):
    statistics = [0] * 8
    for h, r in zip(hypotheses, references, strict=True):
        for n in range(4):
            statistics[n] += clipped_matches(h, r, n + 1)
            statistics[4 + n] += ngram_counts(h, n + 1).total()
    if 0 in statistics[:4]:
        return 0
    mean = sum(math.log(m) - math.log(t) for m, t in zip(statistics[:4], statistics[4:], strict=True)) / 4
    ratio = sum(map(len, references)) / sum(map(len, hypotheses))
    return 100 * math.exp(mean + min(0, 1 - ratio))


RIGHT_8_6 = {
    "by products": by_products,
    "by sacreBLEU": by_sacrebleu,
    "in one go": in_one_go,
    "orders as a parameter": lambda hypotheses, references, orders=(1, 2, 3, 4): with_orders(*orders)(
        hypotheses, references
    ),
    "tuples inside": lambda h, r: bleu([tuple(s) for s in h], [tuple(s) for s in r]),
    "sentences turned round together": lambda h, r: bleu(h[::-1], r[::-1]),
}

# 8.7 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

WRONG_8_7 = {
    "days": (lambda hours, gpus, teraflops: hours * 86400 * gpus * teraflops * 1e12, None),
    "days of hours": (lambda hours, gpus, teraflops: hours / 24 * gpus * teraflops * 1e12, None),
    "tera twice": (lambda hours, gpus, teraflops: hours * 3600 * gpus * teraflops * 1e24, None),
    "exponent off": (lambda hours, gpus, teraflops: hours * 3600 * gpus * teraflops * 10e12, None),
    "12 hours always": (lambda hours, gpus, teraflops: 12 * 3600 * gpus * teraflops * 1e12, None),
    "hours squared": (lambda hours, gpus, teraflops: hours**2 * 3600 * gpus * teraflops * 1e12, None),
    "sum": (lambda hours, gpus, teraflops: (hours * 3600 + gpus + teraflops) * 1e12, None),
    "speed per hour": (lambda hours, gpus, teraflops: hours * gpus * teraflops * 1e12 / 3600, None),
    "whole hours": (lambda hours, gpus, teraflops: int(hours) * 3600 * gpus * teraflops * 1e12, None),
    "whole TFLOPS": (lambda hours, gpus, teraflops: hours * 3600 * gpus * int(teraflops) * 1e12, None),
    "Table 2": (lambda hours, gpus, teraflops: {12: 3.3e18, 84: 2.3e19}.get(hours, 1.4e20), None),
    "in exaflops": (lambda hours, gpus, teraflops: hours * 3600 * gpus * teraflops / 1e6, None),
    "text": (lambda hours, gpus, teraflops: f"{hours * 3600 * gpus * teraflops * 1e12:.1e}", None),
    "two parameters": (lambda hours, gpus: hours * 3600 * gpus * 9.5e12, "teraflops"),
    "nothing": (lambda hours, gpus, teraflops: None, "return"),
}

RIGHT_8_7 = {
    "seconds first": lambda hours, gpus, teraflops: (hours * 60 * 60) * (gpus * teraflops * 10**12),
    "rounded to whole operations": lambda hours, gpus, teraflops: round(hours * 3600 * gpus * teraflops * 1e12),
    "by logarithms": lambda hours, gpus, teraflops: 0.0 if not hours else math.exp(
        math.log(hours) + math.log(3600) + math.log(gpus) + math.log(teraflops) + 12 * math.log(10)),
    "a loop over GPUs": lambda hours, gpus, teraflops: sum(hours * 3600 * teraflops * 1e12 for _ in range(gpus)),
    "per day": lambda hours, gpus, teraflops: hours / 24 * 86400e12 * gpus * teraflops,
    "a share of the peak": lambda hours, gpus, teraflops, share=1.0: share * training_flops(hours, gpus, teraflops),
}  # fmt: skip

WRONG = {"8.5": WRONG_8_5, "8.6": WRONG_8_6, "8.7": WRONG_8_7}
RIGHT = {"8.5": RIGHT_8_5, "8.6": RIGHT_8_6, "8.7": RIGHT_8_7}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)


def test_bleu_is_the_course_s_own_where_nothing_is_smoothed():
    hypotheses, references = ["der Hund sieht die Katze", "ja"], ["der Hund sieht die Katze nicht", "nein"]
    ours = bleu([text.split() for text in hypotheses], [text.split() for text in references])
    assert ours == pytest.approx(corpus_bleu(hypotheses, references).score)


def test_table_2():
    assert f"{training_flops(12, 8, 9.5):.1e}" == "3.3e+18"
    assert f"{training_flops(84, 8, 9.5):.1e}" == "2.3e+19"
