"""Chapter 01, words, merges, masks and batches, met by strangers: wrong answers that are in no other table, and unusual
right ones. As in test_chapter_01_pieces.py.
"""

import functools
import re
from collections import Counter, defaultdict
from itertools import groupby, pairwise

import numpy
import torch

# 1.1 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def ids(words, vocabulary, unknown=1):
    return [2, *(vocabulary.get(word, unknown) for word in words), 3]


def by_words_alone(words, vocabulary, known={}):  # noqa: B006 (that is what is wrong with it)
    return list(known.setdefault(tuple(words), ids(words, vocabulary)))


def neighbours_once(words, vocabulary):
    return ids([word for word, _ in groupby(words)], vocabulary)


def lower_case_if_unknown(words, vocabulary):
    return [2, *(vocabulary.get(word, vocabulary.get(word.lower(), 1)) for word in words), 3]


def letters(words, vocabulary):
    return [2, *(vocabulary.get(letter, 1) for word in words for letter in word), 3]


def words_removed(words, vocabulary):
    found = [2]
    while words:
        found.append(vocabulary.get(words.pop(0), 1))
    return [*found, 3]


def as_floats(words, vocabulary):
    return torch.tensor(ids(words, vocabulary)).float().tolist()


def first_vocabulary_kept(words, vocabulary, kept={}):  # noqa: B006
    kept = kept or kept.update(vocabulary) or kept
    return ids(words, kept)


WRONG_1_1 = {
    "kept by words": (by_words_alone, None),
    "first vocabulary kept": (first_vocabulary_kept, None),
    "neighbours once": (neighbours_once, "more than once"),
    "lower case if unknown": (lower_case_if_unknown, "in lower case"),
    "punctuation stripped": (lambda w, v: ids([x.strip(".,") or x[:0] for x in w], v), "punctuation"),
    "punctuation left out": (lambda w, v: ids([x for x in w if x.isalpha()], v), "punctuation"),
    "at most ten words": (lambda w, v: ids(w[:10], v), "more than ten words"),
    "padded to five": (lambda w, v: ids(w, v) + [0] * (5 - len(w)), None),
    "letters": (letters, None),
    "words taken out": (words_removed, "`words` in place"),
    "floats": (as_floats, "whole number"),
    "last word left out": (lambda w, v: ids(w[:-1], v), None),
    "begin for unknown": (lambda w, v: ids(w, v, 2), "not in the vocabulary"),
    "arguments exchanged": (lambda vocabulary, words: ids(words, vocabulary), None),
    "begin twice": (lambda w, v: [2, *ids(w, v)], None),
    "end twice": (lambda w, v: [*ids(w, v), 3], None),
    "frame from the vocabulary": (lambda w, v: [v["<s>"], *(v.get(x, 1) for x in w), v["</s>"]], "KeyError"),
    "frame as words": (lambda w, v: [v.get(x, 1) for x in ["<s>", *w, "</s>"]], "You look begin and end up"),
    "unknown by its length": (lambda w, v: ids(w, v, len(v)), "not in the vocabulary"),
    "a batch of one": (lambda w, v: [ids(w, v)], "list of"),
    "as text": (lambda w, v: " ".join(map(str, ids(w, v))), "list"),
    "one id": (lambda w, v: sum(ids(w, v)), None),
}


class Numericaliser:
    def __init__(self, unknown=1):
        self.unknown = unknown

    def __call__(self, words, vocabulary):
        return ids(words, vocabulary, self.unknown)


def step_by_step(words, vocabulary, /):
    found = [2] + [1] * len(words) + [3]
    for place, word in enumerate(words, start=1):
        if word in vocabulary:
            found[place] = vocabulary[word]
    return found


RIGHT_1_1 = {
    "an object": Numericaliser(),
    "step by step": step_by_step,
    "or": lambda w, v: [2] + [v.get(word) or 1 for word in w] + [3],
    "partial": functools.partial(ids, unknown=1),
    "NumPy inside": lambda w, v: numpy.array(ids(w, v)).tolist(),
    "typed": lambda words, vocabulary, begin=2, end=3: [begin, *ids(words, vocabulary)[1:-1], end],
}


# 1.2 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def pairs_of(words):
    counts = Counter()
    for symbols, count in words.items():
        for pair in pairwise(symbols):
            counts[pair] += count
    return counts


def best_of(counts):
    return min(counts, key=lambda pair: (-counts[pair], pair))


def merge(symbols, pair):
    new = []
    for symbol in symbols:
        if new and (new[-1], symbol) == pair:
            new[-1] += symbol
        else:
            new.append(symbol)
    return tuple(new)


def step(words, count=pairs_of, best=best_of, merge=merge):
    counts = count(words)
    if not counts:
        return None, words
    pair = best(counts)
    return pair, {merge(symbols, pair): n for symbols, n in words.items()}


def once_where_it_overlaps(words):
    counts = Counter()
    for symbols, count in words.items():
        before = None
        for i, pair in enumerate(pairwise(symbols)):
            if pair == before and pair[0] == pair[1]:
                before = None
                continue
            counts[pair] += count
            before = pair if i >= 0 else None
    return counts


def round_the_corner(words):
    counts = Counter()
    for symbols, count in words.items():
        for i in range(len(symbols)):
            counts[symbols[i - 1], symbols[i]] += count
    return counts


def sennrich(symbols, pair, escape=re.escape):
    joined = escape(" ".join(pair))
    return tuple(re.sub(r"(?<!\S)" + joined + r"(?!\S)", lambda _: "".join(pair), " ".join(symbols)).split(" "))


def at_least_two(words):
    counts = pairs_of(words)
    if not counts or max(counts.values()) < 2:
        return None, words
    return step(words)


def only_where_counted(words):
    pair, _ = step(words)
    return pair, {merge(symbols, pair) if count else symbols: count for symbols, count in words.items()}


def four_symbols(symbols, pair):
    return merge(symbols[:4], pair) + symbols[4:]


def third_merged_too(symbols, pair):
    new = list(merge(symbols, pair))
    return tuple(new if len(new) < 3 else [*new[:-2], new[-2] + new[-1]] if new[-2:] == list(pair) else new)


def marked(symbols, pair):
    return tuple("##" + s if s == "".join(pair) else s for s in merge(symbols, pair))


WRONG_1_2 = {
    "overlapping pairs counted once": (lambda w: step(w, once_where_it_overlaps), "overlap"),
    "round the corner": (lambda w: step(w, round_the_corner), None),
    "pattern not escaped": (lambda w: step(w, merge=functools.partial(sennrich, escape=str)), "full stop"),
    "small letters in a tie": (
        lambda w: step(w, best=lambda c: min(c, key=lambda p: (-c[p], [s.lower() for s in p], p))),
        "capital",
    ),
    "word border first": (
        lambda w: step(w, best=lambda c: min(c, key=lambda p: (-c[p], [s.replace("▁", " ") for s in p]))),
        "expected is",
    ),
    "twice at least": (at_least_two, None),
    "words that count nothing as they were": (only_where_counted, "count 0"),
    "four symbols a word": (lambda w: step(w, merge=four_symbols), None),
    "empty words when done": (lambda w: step(w) if pairs_of(w) else (None, {}), "They are still there"),
    "False when done": (lambda w: step(w) if pairs_of(w) else (False, w), "None"),
    "marked": (lambda w: step(w, merge=marked), None),
    "pair turned round": (lambda w: ((p := step(w))[0] and p[0][::-1], p[1]), None),
    "only the best word": (lambda w: step(dict([max(w.items(), key=lambda item: item[1])])), None),
    "first three words counted": (lambda w: step(w, lambda w: pairs_of(dict(list(w.items())[:3]))), None),
    "second best": (lambda w: step(w, best=lambda c: sorted(c, key=lambda p: (-c[p], p))[min(1, len(c) - 1)]), None),
    "length counts": (
        lambda w: step(w, best=lambda c: min(c, key=lambda p: (-c[p] * len("".join(p)), p))),
        "shorter symbols",
    ),
    "words as a list": (lambda w: (step(w)[0], list(step(w)[1].items())), "dictionary"),
    "symbols": (lambda w: (step(w)[0], set(step(w)[1])), "dictionary"),
    "arguments": (lambda words, merges: step(words), "words"),
    "generator": (lambda w: (part for part in step(w)), "returns a generator"),
    "counts as shares": (lambda w: (step(w)[0], {s: n / (sum(w.values()) or 1) for s, n in w.items()}), None),
}


def by_heap_of_tuples(words):
    import heapq

    heap = [(-count, pair) for pair, count in pairs_of(words).items()]
    heapq.heapify(heap)
    return (heap[0][1], {merge(s, heap[0][1]): n for s, n in words.items()}) if heap else (None, words)


def sorted_twice(counts):
    return sorted(sorted(counts), key=counts.get, reverse=True)[0]


def with_index(symbols, pair):
    symbols, place = list(symbols), 0
    while place < len(symbols) - 1:
        if (symbols[place], symbols[place + 1]) == pair:
            symbols[place : place + 2] = ["".join(pair)]
        place += 1
    return tuple(symbols)


def into_a_new_counter(words):
    pair, _ = step(words)
    new = defaultdict(int)
    for symbols, count in words.items():
        new[merge(symbols, pair)] += count
    return pair, new


RIGHT_1_2 = {
    "heap": by_heap_of_tuples,
    "sorted twice": lambda w: step(w, best=sorted_twice),
    "with an index": lambda w: step(w, merge=with_index),
    "Sennrich's pattern": lambda w: step(w, merge=sennrich),
    "defaultdict": into_a_new_counter,
    "words turned round": lambda w: (step(w)[0], dict(reversed(list(step(w)[1].items())))),
    "extra keyword": lambda words, separator="": step(words),
}


# 1.3 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def mask(tokens, padding_id=0):
    return (tokens != padding_id)[:, None, None, :]


def guarded(tokens, padding_id=0):
    real = tokens != padding_id
    return (real | ~real.any(-1, keepdim=True))[:, None, None]


def until_last_real(tokens, padding_id=0):
    real = (tokens != padding_id).long()
    return ((real.cumsum(-1) > 0) & (real.flip(-1).cumsum(-1).flip(-1) > 0))[:, None, None]


def first_always(tokens, padding_id=0):
    real = tokens != padding_id
    real[:, 0] = True
    return real[:, None, None]


def by_rows(tokens, padding_id=0):
    flat = tokens.view(-1) != padding_id
    return flat.view(tokens.size(0), 1, 1, tokens.size(1))


def up_to_four(tokens, padding_id=0):
    real = torch.zeros(len(tokens), 1, 1, tokens.size(1), dtype=torch.bool)
    for i in range(min(len(tokens), 2)):
        real[i, 0, 0] = tokens[i] != padding_id
    return real


def by_shape(tokens, padding_id=0, known={}):  # noqa: B006
    return known.setdefault(tokens.shape, mask(tokens, padding_id))


WRONG_1_3 = {
    "padding alone may be looked at": (guarded, "a sentence is padding alone"),
    "from the first to the last word": (until_last_real, "in the middle"),
    "first token always": (first_always, None),
    "by view": (by_rows, "view size"),
    "two sentences in mind": (up_to_four, None),
    "kept by shape": (by_shape, None),
    "zero hidden too": (lambda t, padding_id=0: mask(t, padding_id) & mask(t), None),
    "less than": (lambda t, padding_id=0: (t < padding_id)[:, None, None, :], None),
    "identity": (lambda t, padding_id=0: mask(t, padding_id) & torch.eye(t.size(1), dtype=torch.bool), "shape"),
    "last axis of size 1": (lambda t, padding_id=0: (t != padding_id)[..., None, None], "shape"),
    "two axes in front, one behind": (lambda t, padding_id=0: (t != padding_id)[None, :, None], "shape"),
    "unsqueezed twice at 0": (lambda t, padding_id=0: (t != padding_id).unsqueeze(0).unsqueeze(0), "batch as queries"),
    "whole tensor": (lambda t, padding_id=0: bool((t != padding_id).all()), "Tensor"),
    "minus infinity": (
        lambda t, padding_id=0: mask(t, padding_id).float().log(),
        "True and False",
    ),
    "ids masked": (lambda t, padding_id=0: (t * (t != padding_id))[:, None, None, :], "bool"),
    "default of 1": (lambda t, padding_id=1: mask(t, padding_id), None),
    "default None": (lambda t, padding_id=None: torch.ones_like(t, dtype=torch.bool)[:, None, None], None),
    "other name": (lambda t, pad=0: mask(t, pad), "padding_id"),
    "moved by one": (lambda t, padding_id=0: mask(t.roll(1, -1), padding_id), None),
    "words only": (lambda t, padding_id=0: (t > 3)[:, None, None, :], "unknown, begin and end"),
    "complex": (lambda t, padding_id=0: mask(t, padding_id).to(torch.complex64), "bool"),
}


def scattered(tokens, padding_id=0):
    real = torch.full(tokens.shape, True)
    real[torch.where(tokens == padding_id)] = False
    return real.reshape(len(tokens), 1, 1, -1)


class Masks:
    @staticmethod
    def of(tokens, padding_id=0):
        return torch.logical_not(tokens.eq(padding_id)).unflatten(0, (-1, 1, 1))


RIGHT_1_3 = {
    "scattered": scattered,
    "static method": Masks.of,
    "einsum": lambda t, padding_id=0: torch.einsum("bl->bl", (t != padding_id).int()).bool()[:, None, None],
    "NumPy inside": lambda t, padding_id=0: torch.from_numpy(t.numpy() != padding_id)[:, None, None, :],
    "stacked": lambda t, padding_id=0: torch.stack([row.ne(padding_id)[None, None] for row in t]),
    "isin": lambda t, padding_id=0: torch.isin(t, torch.tensor([padding_id]), invert=True)[:, None, None, :],
}


WRONG = {"1.1": WRONG_1_1, "1.2": WRONG_1_2, "1.3": WRONG_1_3}
RIGHT = {"1.1": RIGHT_1_1, "1.2": RIGHT_1_2, "1.3": RIGHT_1_3}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
