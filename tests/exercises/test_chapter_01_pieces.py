"""Chapter 01, words, ids and merges, from outside: plausible wrong answers that no misconception was written for,
and unusual right ones.

Each wrong answer comes with words that its report must contain, or None where a plain "expected is …" is all that is
asked of the check.
"""

import re
from collections import Counter, defaultdict

import torch

# 1.1 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def right_ids(words, vocabulary):
    return [2, *(vocabulary.get(word, 1) for word in words), 3]


def changes_words(words, vocabulary):
    words.insert(0, "<s>")
    words.append("</s>")
    return [{"<s>": 2, "</s>": 3}.get(word, vocabulary.get(word, 1)) for word in words]


def fills_vocabulary(words, vocabulary):
    for word in words:
        if word not in vocabulary:
            vocabulary[word] = 1
    return right_ids(words, vocabulary)


def through_defaultdict(words, vocabulary):
    vocabulary = defaultdict(int, vocabulary)
    return [2, *(vocabulary[word] for word in words), 3]


def without_doubles(words, vocabulary):
    return [2, *dict.fromkeys(vocabulary.get(word, 1) for word in words), 3]


def remembers(words, vocabulary, seen=[]):  # noqa: B006 (that is what is wrong with it)
    seen += right_ids(words, vocabulary)
    return list(seen)


WRONG_1_1 = {
    "changes words": (changes_words, "`words` in place"),
    "fills vocabulary": (fills_vocabulary, "`vocabulary` in place"),
    "defaultdict of int": (through_defaultdict, "padding"),
    "without doubles": (without_doubles, None),
    "remembers": (remembers, None),
    "tensor": (lambda words, vocabulary: torch.tensor(right_ids(words, vocabulary)), "list"),
    "strings": (
        lambda words, vocabulary: [str(index) for index in right_ids(words, vocabulary)],
        "asked for is an int",
    ),
    "framed words": (lambda words, vocabulary: ["<s>", *words, "</s>"], "asked for is an int"),
    "sorted": (lambda words, vocabulary: [2, *sorted(vocabulary.get(word, 1) for word in words), 3], None),
    "backwards": (lambda words, vocabulary: right_ids(words, vocabulary)[::-1], None),
    "minus one for unknown": (lambda w, v: [2, *(v.get(word, -1) for word in w), 3], "a word is not in the vocabulary"),
    "end for unknown": (lambda w, v: [2, *(v.get(word, 3) for word in w), 3], "a word is not in the vocabulary"),
    "None for unknown": (lambda w, v: [2, *(v.get(word) for word in w), 3], "a word is not in the vocabulary"),
    "places in the list": (lambda w, v: [2, *(list(v).index(x) + 4 if x in v else 1 for x in w), 3], None),
    "torchtext's own numbers": (lambda w, v: [2, *(v.get(word, 0) for word in w), 3], "padding"),
    "first letter alone": (lambda w, v: [2, *(v.get(word[0], 1) for word in w), 3], None),
    "capitals": (lambda w, v: [2, *(v.get(word.capitalize(), v.get(word, 1)) for word in w), 3], None),
    "stops at an unknown one": (
        lambda w, v: [2, *(v[word] for word in w[: next((i for i, x in enumerate(w) if x not in v), len(w))]), 3],
        "list",
    ),
    "refuses an empty sentence": (lambda w, v: [2, v.get(w[0], 1), *right_ids(w[1:], v)[1:]], "no word at all"),
    "nested": (lambda w, v: [2, [v.get(word, 1) for word in w], 3], None),
    "generator": (lambda w, v: (index for index in right_ids(w, v)), "generator"),
    "one argument": (lambda words: [2, 3], "vocabulary"),
    "split once more": (lambda w, v: right_ids(" ".join(w).lower().split(), v), "lower case"),
    "prints": (lambda w, v: print(right_ids(w, v)), "return"),
}


def looped_ids(words, vocabulary):
    ids = [2]
    for word in words:
        try:
            ids.append(vocabulary[word])
        except KeyError:
            ids.append(1)
    ids.append(3)
    return ids


def copied_vocabulary(words, vocabulary):
    full = {"<s>": 2, "</s>": 3, **vocabulary}
    return [full.get(word, 1) for word in ["<s>", *words, "</s>"]]


RIGHT_1_1 = {
    "loop": looped_ids,
    "tuple": lambda words, vocabulary: tuple(right_ids(words, vocabulary)),
    "full vocabulary": copied_vocabulary,
    "conditional": lambda w, v: [2] + [v[word] if word in v else 1 for word in w] + [3],  # noqa: SIM401
    "map": lambda w, v: [2, *map(lambda word: v.get(word, 1), w), 3],
    "tensor inside": lambda w, v: torch.tensor(right_ids(w, v)).tolist(),
    "own names": lambda sentence, ids, unknown=1: [2, *(ids.get(word, unknown) for word in sentence), 3],
    "defaultdict": lambda w, v: (lambda d: [2, *(d[word] for word in w), 3])(defaultdict(lambda: 1, v)),
}


# 1.2 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def count_pairs(words):
    counts = Counter()
    for symbols, count in words.items():
        for i in range(len(symbols) - 1):
            counts[symbols[i], symbols[i + 1]] += count
    return counts


def best_of(counts):
    return sorted(counts, key=lambda pair: (-counts[pair], pair))[0]


def merge(symbols, pair):
    new, i = [], 0
    while i < len(symbols):
        if tuple(symbols[i : i + 2]) == pair:
            new.append(symbols[i] + symbols[i + 1])
            i += 2
        else:
            new.append(symbols[i])
            i += 1
    return tuple(new)


def right_step(words, count=count_pairs, best=best_of, merge=merge):
    counts = count(words)
    if not counts:
        return None, words
    pair = best(counts)
    return pair, {merge(symbols, pair): n for symbols, n in words.items()}


def off_by_one(words):
    counts = Counter()
    for symbols, count in words.items():
        for i in range(len(symbols) - 2):
            counts[symbols[i], symbols[i + 1]] += count
    return counts


def any_two(words):
    counts = Counter()
    for symbols, count in words.items():
        for i, left in enumerate(symbols):
            for right in symbols[i + 1 :]:
                counts[left, right] += count
    return counts


def unordered(words):
    counts = Counter()
    for pair, count in count_pairs(words).items():
        counts[tuple(sorted(pair))] += count
    return counts


def across_words(words):
    counts = count_pairs(words)
    for (one, _), (other, _) in zip(words.items(), list(words.items())[1:], strict=False):
        counts[one[-1], other[0]] += 50
    return counts


def characters(words):
    return count_pairs({tuple("".join(symbols)): count for symbols, count in words.items()})


def with_regex(symbols, pair):
    return tuple(re.sub(re.escape(" ".join(pair)), "".join(pair), " ".join(symbols)).split())


def skipping(symbols, pair):
    new = []
    for i in range(0, len(symbols), 2):
        new += ["".join(pair)] if tuple(symbols[i : i + 2]) == pair else symbols[i : i + 2]
    return tuple(new)


def doubling(symbols, pair):
    new = []
    for i, symbol in enumerate(symbols):
        new.append(symbol + symbols[i + 1] if tuple(symbols[i : i + 2]) == pair else symbol)
    return tuple(new)


def shortening(symbols, pair):
    new = []
    for i in range(len(symbols) - 1):
        new.append("".join(pair) if symbols[i] == pair[0] and symbols[i + 1] == pair[1] else symbols[i])
    return tuple(new)


def more_than_zero(words):
    most, best = 0, None
    for pair, count in sorted(count_pairs(words).items()):
        if count > most:
            most, best = count, pair
    return (None, words) if best is None else right_step(words, best=lambda counts: best)


def chaining(symbols, pair):
    joined, new = "".join(pair), []
    for symbol in symbols:
        if new and ((new[-1], symbol) == pair or (new[-1].endswith(joined) and symbol == pair[1])):
            new[-1] += symbol
        else:
            new.append(symbol)
    return tuple(new)


def in_place(words):
    pair, _ = right_step(words)
    for symbols in list(words):
        words[merge(symbols, pair)] = words.pop(symbols)
    return pair, words


def ones(words):
    pair, merged = right_step(words)
    return pair, dict.fromkeys(merged, 1)


def all_steps(words):
    first, words = right_step(words)
    pair = first
    while pair:
        pair, words = right_step(words)
    return first, words


WRONG_1_2 = {
    "last pair forgotten": (lambda words: right_step(words, count=off_by_one), None),
    "any two symbols": (lambda words: right_step(words, count=any_two), None),
    "unordered pairs": (lambda words: right_step(words, count=unordered), None),
    "across words": (lambda words: right_step(words, count=across_words), None),
    "letters counted": (lambda words: right_step(words, count=characters), None),
    "most_common": (lambda w: right_step(w, best=lambda c: c.most_common(1)[0][0]), "alphabetically first"),
    "longest pair of a tie": (
        lambda w: right_step(w, best=lambda c: max(c, key=lambda p: (c[p], len("".join(p)), p))),
        None,
    ),
    "alphabet alone": (lambda words: right_step(words, best=min), None),
    "regular expression": (lambda words: right_step(words, merge=with_regex), "whole symbols"),
    "steps of two": (lambda words: right_step(words, merge=skipping), None),
    "second symbol left": (lambda words: right_step(words, merge=doubling), "comes once more behind it"),
    "one symbol a pair": (lambda words: right_step(words, merge=shortening), "the last symbol of a word is lost"),
    "joined strings in a tie": (
        lambda w: right_step(w, best=lambda c: sorted(c, key=lambda p: (-c[p], p[0] + p[1]))[0]),
        "compare the joined strings",
    ),
    "more than 0 wanted": (more_than_zero, "There are pairs all the same"),
    "runs on": (lambda words: right_step(words, merge=chaining), "occurrences of the pair overlap"),
    "lists as keys": (lambda w: (right_step(w)[0], {tuple([*s, ""]): n for s, n in right_step(w)[1].items()}), None),
    "strings as keys": (lambda w: (right_step(w)[0], {" ".join(s): n for s, n in right_step(w)[1].items()}), None),
    "in place": (in_place, "`words` in place"),
    "counts lost": (ones, None),
    "all steps at once": (all_steps, None),
    "words alone": (lambda words: right_step(words)[1], "tuple of 2"),
    "pair alone": (lambda words: right_step(words)[0], "the pair alone"),
    "other order": (lambda words: right_step(words)[::-1], "wrong order"),
    "counts beside": (lambda words: (*right_step(words), count_pairs(words)), "tuple of 3"),
    "count with the pair": (lambda w: ((right_step(w)[0], 1), right_step(w)[1]), None),
    "empty pair when done": (
        lambda w: right_step(w) if count_pairs(w) else (("", ""), w),
        "no word has two symbols",
    ),
    "None when done": (lambda words: right_step(words) if count_pairs(words) else None, "None alone"),
    "zeros dropped": (
        lambda w: right_step({symbols: count for symbols, count in w.items() if count}),
        "a word has the count 0",
    ),
    "unwritten": (lambda words: (_ for _ in ()).throw(NotImplementedError("Exercise 1.2")), "Not written"),
}


def best_by_heap(counts):
    top = max(counts.values())
    return min(pair for pair, count in counts.items() if count == top)


def by_recursion(symbols, pair):
    if len(symbols) < 2:
        return tuple(symbols)
    if tuple(symbols[:2]) == pair:
        return ("".join(pair), *by_recursion(symbols[2:], pair))
    return (symbols[0], *by_recursion(symbols[1:], pair))


def by_text(symbols, pair):
    """Text, but with borders around every symbol."""
    text = "\x00" + "\x00\x00".join(symbols) + "\x00"
    text = text.replace("\x00\x00".join(["\x00" + pair[0], pair[1] + "\x00"]), "\x00" + "".join(pair) + "\x00")
    return tuple(text.strip("\x00").split("\x00\x00"))


def plain_dictionary(words):
    counts = {}
    for symbols, count in words.items():
        for pair in zip(symbols, symbols[1:], strict=False):
            counts[pair] = counts.get(pair, 0) + count
    return counts


RIGHT_1_2 = {
    "while": right_step,
    "two passes for the best": lambda words: right_step(words, best=best_by_heap),
    "recursion": lambda words: right_step(words, merge=by_recursion),
    "text with borders": lambda words: right_step(words, merge=by_text),
    "plain dictionary": lambda words: right_step(words, count=plain_dictionary),
    "list in place of a tuple": lambda words: list(right_step(words)),
    "a copy when done": lambda words: (lambda pair, new: (pair, dict(new)))(*right_step(words)),
    "pair as list": lambda words: (lambda pair, new: (pair and list(pair), new))(*right_step(words)),
    "Counter": lambda words: (lambda pair, new: (pair, Counter(new)))(*right_step(words)),
}


WRONG = {"1.1": WRONG_1_1, "1.2": WRONG_1_2}
RIGHT = {"1.1": RIGHT_1_1, "1.2": RIGHT_1_2}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
