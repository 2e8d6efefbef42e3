"""BLEU from scratch (Papineni et al. 2002), equal to sacreBLEU's (tested). §6.1 reports it.

For numbers that are published use `scores.py`: the same value, with its signature.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

from utils.translation.scores import check_pairs

MAX_ORDER = 4


@dataclass(frozen=True)
class BleuScore:
    """A corpus BLEU from 0 to 100 and what it is made of."""

    score: float
    precisions: list[float]  # of 1- to 4-grams, from 0 to 1, smoothed
    brevity_penalty: float
    hypothesis_length: int  # in tokens
    reference_length: int


def tokenise_13a(text: str) -> list[str]:
    """Splits off punctuation as WMT's mteval-v13a does, so that scores do not depend on how a system tokenises."""
    return Tokenizer13a()(text.rstrip()).split()


def ngram_counts(tokens: Sequence[str], order: int) -> Counter:
    """How often each n-gram of the given order occurs."""
    return Counter(tuple(tokens[start : start + order]) for start in range(len(tokens) - order + 1))


def clipped_matches(hypothesis: Sequence[str], reference: Sequence[str], order: int) -> int:
    """N-grams of the hypothesis found in the reference, each counted at most as often as it stands there.

    Without the clipping, "the the the" would be a perfect translation of anything with a "the".
    """
    return (ngram_counts(hypothesis, order) & ngram_counts(reference, order)).total()


def brevity_penalty(hypothesis_length: int, reference_length: int) -> float:
    """1 for a long enough text, else exp(1 − reference / hypothesis): precision alone would reward saying little."""
    if hypothesis_length >= reference_length:
        return 1.0
    return math.exp(1 - reference_length / hypothesis_length) if hypothesis_length else 0.0


def smoothed_precisions(matches: Sequence[int], totals: Sequence[int]) -> list[float]:
    """matches / totals; the first order without a match counts as half a match, the next as a quarter, and so on.

    This is sacreBLEU's default, "exp". An order of which the hypotheses hold no n-gram at all has precision 0.
    """
    precisions, stand_in = [], 1.0
    for match, total in zip(matches, totals, strict=True):
        if match == 0:
            stand_in /= 2
        precisions.append((match or stand_in) / total if total else 0.0)
    return precisions


def corpus_bleu(
    hypotheses: Sequence[str],
    references: Sequence[str],
    lowercase: bool = False,
    tokenise: Callable[[str], list[str]] = tokenise_13a,
) -> BleuScore:
    """BP · exp(mean of log p_n, n = 1 … 4), with counts summed over the corpus before dividing."""
    check_pairs(hypotheses, references)
    matches, totals = [0] * MAX_ORDER, [0] * MAX_ORDER
    hypothesis_length = reference_length = 0
    for hypothesis, reference in zip(hypotheses, references, strict=True):
        hypothesis, reference = (tokenise(text.lower() if lowercase else text) for text in (hypothesis, reference))
        hypothesis_length += len(hypothesis)
        reference_length += len(reference)
        for order in range(1, MAX_ORDER + 1):
            matches[order - 1] += clipped_matches(hypothesis, reference, order)
            totals[order - 1] += max(0, len(hypothesis) - order + 1)
    penalty = brevity_penalty(hypothesis_length, reference_length)
    precisions = smoothed_precisions(matches, totals) if any(matches) else [0.0] * MAX_ORDER
    mean_log = sum(math.log(p) for p in precisions) / MAX_ORDER if all(precisions) else -math.inf
    return BleuScore(100 * penalty * math.exp(mean_log), precisions, penalty, hypothesis_length, reference_length)
