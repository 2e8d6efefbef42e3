"""What chapter 01 asks for and the model has no use for: answers that live beside the exercise."""

from collections import Counter
from itertools import pairwise

from utils.transformer.masks import BEGIN, END, UNKNOWN


def numericalise(words: list[str], vocabulary: dict[str, int]) -> list[int]:
    """The ids of a sentence: begin (2), one id a word, end (3). A word that is not in the vocabulary is unknown (1).

    words: the words of one sentence, as they stand; vocabulary: {word: id}, with ids from 4 on.
    Returns a new list of len(words) + 2 ids.
    """
    return [BEGIN, *(vocabulary.get(word, UNKNOWN) for word in words), END]


def bpe_step(words: dict[tuple[str, ...], int]) -> tuple[tuple[str, str] | None, dict[tuple[str, ...], int]]:
    """One step of byte-pair encoding (§5.1; Sennrich et al. 2016): the most frequent pair becomes one symbol.

    words: {symbols of a word: how often the word occurs}. A pair is two neighbouring symbols of one word and counts
    as often as its word. Of equally frequent pairs the alphabetically first is taken. Merging goes from left to right.
    Returns (pair, words after the merge), or (None, words) where no word has two symbols.
    """
    counts = Counter()
    for symbols, count in words.items():
        for pair in pairwise(symbols):
            counts[pair] += count
    if not counts:
        return None, words
    best = min(counts, key=lambda pair: (-counts[pair], pair))
    merged = {}
    for symbols, count in words.items():
        new = []
        for symbol in symbols:
            if new and (new[-1], symbol) == best:
                new[-1] += symbol
            else:
                new.append(symbol)
        merged[tuple(new)] = count
    return best, merged


def token_budget_batches(lengths: list[int], budget: int) -> list[list[int]]:
    """Sentences in batches of similar length, each padded to at most `budget` tokens (§5.1).

    lengths: tokens of each sentence. Sentences are taken from the shortest to the longest, equally long ones in their
    given order, and a batch is closed when one more sentence would bring (number of sentences) × (longest) above the
    budget. A sentence longer than the budget has a batch of its own.
    Returns lists of indices into `lengths`.
    """
    batches = []
    for index in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if batches and (len(batches[-1]) + 1) * lengths[index] <= budget:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
