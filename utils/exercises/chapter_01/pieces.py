"""Exercises 1.1 and 1.2: from words to ids, and one step of byte-pair encoding."""

import torch
from torch import Generator

from utils.exercises.chapter_01.references import bpe_step, numericalise
from utils.exercises.chapter_01.wrong_pieces import BPE_STEP, NUMERICALISE
from utils.exercises.declare import Case, Exercise, Property
from utils.exercises.structure import is_whole

EDGE = "edge cases"
WORDS = [
    "der",
    "die",
    "Hund",
    "Katze",
    "schläft",
    "the",
    "dog",
    "cat",
    "sleeps",
    "The",
    "small",
    "under",
    "an",
    "island",
]

# 1.1 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _some(generator: Generator, things: list, count: int) -> list:
    """So many different ones of the things, in a random order."""
    return [things[i] for i in torch.randperm(len(things), generator=generator)[:count].tolist()]


def _vocabulary(generator: Generator) -> dict[str, int]:
    """Eight words with ids from 4 on, "the" among them and "The" not."""
    others = [word for word in WORDS if word not in ("the", "The")]
    words = _some(generator, ["the", *_some(generator, others, 7)], 8)
    return {word: index for index, word in enumerate(words, start=4)}


def _sentence_cases(generator: Generator) -> list[Case]:
    vocabulary, other = _vocabulary(generator), _vocabulary(generator)
    known = [word for word in vocabulary if word != "the"]
    sparse = {word: 10 * index for word, index in other.items()}
    unknown = ("a word is not in the vocabulary",)
    many = [known[i] for i in torch.randint(len(known), (40,), generator=generator).tolist()]
    again = "a word comes more than once"
    marks = {".": 7, "Hund": 4, ",": 5, "der": 6}
    return [
        Case("three known words", (_some(generator, known, 3), vocabulary)),
        Case("five words of another vocabulary", (_some(generator, list(other), 5), other)),
        Case("a word that comes three times", ([known[0], known[1], known[0], known[0]], vocabulary),
             traits=(again,)),
        Case("ids with gaps", (_some(generator, list(sparse), 3), sparse)),
        Case("an unknown word", ([known[2], "Walfisch", known[0]], vocabulary), traits=unknown),
        Case("unknown words only", (["zwölf", "Walfische"], vocabulary), traits=unknown),
        Case("punctuation", (["Hund", ",", "der", "."], marks), traits=("there is punctuation",)),
        Case("forty words", (many, vocabulary), part=EDGE, traits=("there are more than ten words", again)),
        Case("a capital letter", (["The", "the"], vocabulary), part=EDGE, traits=unknown),
        Case("with and without a capital letter", (["hund", "Hund"], {"Hund": 5, "hund": 4}), part=EDGE),
        Case("a capital letter in the vocabulary only", (["hund", "Hund"], {"Hund": 4, "der": 5}), part=EDGE,
             traits=unknown),
        Case("a single word", ([known[3]], vocabulary), part=EDGE),
        Case("an empty sentence", ([], vocabulary), part=EDGE, traits=("there is no word at all",)),
    ]  # fmt: skip


IDS = Exercise(
    number="1.1",
    title="From words to ids",
    points=1,
    difficulty=1,
    minutes=10,
    section="§5.1",
    reference=numericalise,
    cases=_sentence_cases,
    properties=(
        Property(
            "ids are whole numbers",
            lambda generator: _sentence_cases(generator)[:1],
            lambda cases, results: all(map(is_whole, results[0])),
            "Your ids are right but for their kind: an id is a whole number (an int), since a table is indexed with "
            "it, and a float such as 2.0 is none.",
        ),
    ),
    returns=("ids",),
    misconceptions=NUMERICALISE,
    hints=(
        "A dictionary is asked with `vocabulary[word]`. What does it do when the word is not in it?",
        "`vocabulary.get(word, 1)` gives 1 for a word that is not there. Do that for each word, in order.",
        "`[2, *(vocabulary.get(word, 1) for word in words), 3]`: begin, the words, end.",
    ),
)


# 1.2 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _letters(generator: Generator, count: int) -> list[str]:
    """So many different letters, in alphabetical order."""
    return sorted(_some(generator, list("abcdefghijklmnopqrstuvwxyz"), count))


def _merge_cases(generator: Generator) -> list[Case]:
    def times(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=generator))

    a, b, c, d, e = _letters(generator, 5)
    few, many = times(3, 5), times(9, 14)
    tie = ("two pairs are equally frequent",)
    twice = ("the pair stands in a word twice",)
    return [
        Case("two words", ({(c, a, b): many, (a, b, d): few},)),
        Case("counts decide", ({(d, e, a): many + 3, (b, c, d): 1, (b, c, e): 2, (a, b, c): 2},)),
        Case("a longer symbol that ends alike",
             ({(c + a, b): few, (a, b, d): many, (d, a, b): few, (e, c + a, b, d): 2, (a, b + e): 1},),
             traits=("a symbol of several letters ends or begins like one of the pair",)),
        Case("after earlier merges", ({("▁", a + b, c): many, ("▁", a + b, c, d): few, ("▁", d, a + b): 1},)),
        Case("a pair twice in one word", ({(c, d, a, c, d): few + 1, (d, b, e): few + 3, (b, e): few - 2},),
             traits=twice),
        Case("words that hold no such pair", ({(b, d): many, (e,): 3, (a, e): 1, (c, b, d, b, d): 2, (d, b): 1},),
             traits=twice),
        Case("five words have their say",
             ({(a, b): few, (b, c): few - 1, (c, d): 1, (e, d): 2, (c, e, d): many},)),
        Case("long symbols, and short ones that are more frequent",
             ({(a + b + c, d): few, (a, c): few + 1, (b, d): 1},),
             traits=("the most frequent pair has the shorter symbols",)),
        Case("a long word", ({(d, c, e, c, d, a, b): many, (a, b): few, (e, a): 1},),
             traits=("the pair stands far back in a word",)),
        Case("full stops", ({(".", "."): many, (a, b, c): few},), traits=("a symbol is a full stop",)),
        Case("a pair that overlaps itself decides", ({(c, d): few + 1, (a, a, a): few},), part=EDGE,
             traits=("occurrences of the pair overlap", "a pair is the most frequent because it overlaps itself")),
        Case("a tie of capitals, small letters and ▁",
             ({(b.upper(), d): few, (a, c): few, ("▁", e): few, ("▁", c): few},), part=EDGE,
             traits=("a capital letter comes before small ones, and ▁ after them",)),
        Case("a tie", ({(d, e): few, (b, c): few, (c, d): few},), part=EDGE, traits=tie),
        Case("a tie, the other way round", ({(b, c): few, (b, d): few, (a, e): few, (d, a): 1},), part=EDGE,
             traits=tie),
        Case("a tie of pairs that begin alike", ({(b + c, a): few, (b, c + d): few, (e,): many},), part=EDGE,
             traits=tie),
        Case("three letters of one kind", ({(a, a, a): many, (c, d): 2},), part=EDGE,
             traits=("occurrences of the pair overlap",)),
        Case("five letters of one kind", ({(b, a, a, a, a, a): many, (c, d): 2},), part=EDGE,
             traits=("occurrences of the pair overlap",)),
        Case("a word that counts nothing", ({(a, b): few, (c, a, b): 0, (c, d): 0},), part=EDGE,
             traits=("a word has the count 0",)),
        Case("words that all count nothing", ({(c, d, e): 0, (b, a, c): 0},), part=EDGE,
             traits=("a word has the count 0", "all words have the count 0")),
        Case("nothing left to merge", ({(a + b,): many, (c,): few},), part=EDGE,
             traits=("no word has two symbols",)),
    ]  # fmt: skip


def _corpus(generator: Generator) -> list[Case]:
    letters = _letters(generator, 6)
    words = {}
    for _ in range(40):
        length = int(torch.randint(1, 8, (), generator=generator))
        picked = torch.randint(6, (length,), generator=generator).tolist()
        words[tuple(letters[i] for i in picked)] = int(torch.randint(1, 50, (), generator=generator))
    return [Case("forty words", (words,))]


def _spelling_stays(cases: list[Case], results: list) -> bool:
    words, (_, merged) = cases[0].arguments[0], results[0]
    before = sorted(("".join(symbols), count) for symbols, count in words.items())
    return before == sorted(("".join(symbols), count) for symbols, count in merged.items())


MERGE = Exercise(
    number="1.2",
    title="One merge of byte-pair encoding",
    points=2,
    difficulty=3,
    minutes=25,
    section="§5.1; Sennrich et al. 2016",
    reference=bpe_step,
    cases=_merge_cases,
    properties=(
        Property(
            "spelling and counts stay",
            _corpus,
            _spelling_stays,
            "A merge moves borders between symbols and nothing else: put together, the symbols still spell every word, "
            "with its count.",
        ),
    ),
    returns=("pair", "words"),
    misconceptions=BPE_STEP,
    hints=(
        "Two tasks after one another: count all pairs of neighbours over all words, then go through each word again "
        "and put the winner together. How much does a pair in a word that occurs seven times count?",
        "`for pair in pairwise(symbols): counts[pair] += count` with a Counter. The winner is `min(counts, key=lambda "
        "pair: (-counts[pair], pair))`: most frequent first, then alphabetical. An empty Counter has no winner.",
        "Build each new word symbol by symbol: where the last one you kept and the present one are the pair, "
        "`new[-1] += symbol`, else `new.append(symbol)`. In the end `merged[tuple(new)] = count`.",
    ),
)
