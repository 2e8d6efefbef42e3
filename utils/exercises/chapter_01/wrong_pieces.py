"""What goes wrong between text and ids (chapter 01), and what puts it right."""

from collections import Counter
from itertools import pairwise

from utils.exercises.declare import Misconception
from utils.transformer.masks import BEGIN, END, PADDING, UNKNOWN

# 1.1, from words to ids ───────────────────────────────────────────────────────────────────────────────────────────


def ids_with(look_up, begin=(BEGIN,), end=(END,)):
    """A wrong answer to 1.1 that looks words up otherwise, or frames them otherwise."""
    return lambda words, vocabulary: [*begin, *(look_up(word, vocabulary) for word in words), *end]


def known(word, vocabulary):
    """The right look-up, in answers that are wrong elsewhere."""
    return vocabulary.get(word, UNKNOWN)


def added_to_the_vocabulary(word, vocabulary):
    return vocabulary.setdefault(word, len(vocabulary) + 4)


NUMERICALISE = (
    Misconception(
        "unknown words stop it",
        ids_with(lambda word, vocabulary: vocabulary[word]),
        "`vocabulary[word]` stops at a word that was never seen, and every real text has such words. "
        "`vocabulary.get(word, 1)` gives the unknown id, 1, in its place.",
    ),
    Misconception(
        "unknown as padding",
        ids_with(lambda word, vocabulary: vocabulary.get(word, PADDING)),
        "You give unknown words the id 0. That is padding, which no position may look at: the word would vanish. An "
        "unknown word is 1.",
    ),
    Misconception(
        "unknown left out",
        lambda words, vocabulary: [BEGIN, *(vocabulary[word] for word in words if word in vocabulary), END],
        "You leave unknown words out. The model would not know that something stood there, and a translation could "
        "no longer be laid beside its source word by word. An unknown word is 1.",
    ),
    Misconception(
        "no frame",
        ids_with(known, (), ()),
        "Your ids are right, but begin (2) and end (3) around them are missing. Without an end a decoder could never "
        "say that it is done.",
    ),
    Misconception("no begin", ids_with(known, ()), "The begin id, 2, is missing in front."),
    Misconception("no end", ids_with(known, end=()), "The end id, 3, is missing at the end."),
    Misconception(
        "frame turned round",
        ids_with(known, (END,), (BEGIN,)),
        "Begin and end are exchanged: begin is 2 and stands in front, end is 3 and stands last.",
    ),
    Misconception(
        "lower case",
        ids_with(lambda word, vocabulary: vocabulary.get(word.lower(), UNKNOWN)),
        "You turn words into lower case. The vocabulary holds words as they stand, and in German a capital letter "
        "tells a noun from a verb: look the word up as it is.",
    ),
    Misconception(
        "lower case where unknown",
        ids_with(lambda word, vocabulary: vocabulary.get(word, vocabulary.get(word.lower(), UNKNOWN))),
        "A word that is not in the vocabulary you look up once more in lower case. A word with a capital letter is "
        "another word: if it is not in the vocabulary as it stands, it is unknown.",
    ),
    Misconception(
        "frame looked up",
        lambda words, vocabulary: [known(word, vocabulary) for word in ("<s>", *words, "</s>")],
        "You look begin and end up like words. The vocabulary holds words alone, from id 4 on, so that both become "
        "unknown: begin is 2 and end is 3, whatever the vocabulary.",
    ),
    Misconception(
        "vocabulary grows",
        ids_with(added_to_the_vocabulary),
        "You give unknown words new ids and write them into the vocabulary. The table of vectors has one row for each "
        "word of the training text; an id beyond it has none. An unknown word is 1.",
    ),
    Misconception(
        "words counted anew",
        lambda words, vocabulary: [BEGIN, *range(4, 4 + len(words)), END],
        "You number the words of the sentence from 4 on. A word's id is the one that the vocabulary has for it, the "
        "same in every sentence.",
        everywhere=True,  # one or two words may have such ids by chance
    ),
)


# 1.2, one merge ───────────────────────────────────────────────────────────────────────────────────────────────────


def pair_counts(words):
    """Right counts, for answers that are wrong elsewhere."""
    counts = Counter()
    for symbols, count in words.items():
        for pair in pairwise(symbols):
            counts[pair] += count
    return counts


def chosen(counts):
    """The right choice."""
    return min(counts, key=lambda pair: (-counts[pair], pair))


def put_together(symbols, best):
    """The right merge."""
    new = []
    for symbol in symbols:
        if new and (new[-1], symbol) == best:
            new[-1] += symbol
        else:
            new.append(symbol)
    return tuple(new)


def stepping(count=pair_counts, choose=chosen, merge=put_together):
    """A wrong answer to 1.2 that counts, chooses or merges otherwise."""

    def answer(words):
        counts = count(words)
        if not counts:
            return None, words
        best = choose(counts)
        return best, {merge(symbols, best): times for symbols, times in words.items()}

    return answer


def each_word_once(words):
    return Counter(pair for symbols in words for pair in pairwise(symbols))


def each_pair_once_a_word(words):
    counts = Counter()
    for symbols, count in words.items():
        for pair in set(pairwise(symbols)):
            counts[pair] += count
    return counts


def overlapping_once(words):
    counts = Counter()
    for symbols, count in words.items():
        used = None
        for place, pair in enumerate(pairwise(symbols)):
            if pair[0] != pair[1] or used != place - 1:
                counts[pair] += count
                used = place
            else:
                used = None
    return counts


def merged_as_text(symbols, best):
    return tuple(" ".join(symbols).replace(" ".join(best), "".join(best)).split(" "))


def merged_from_the_end(symbols, best):
    new = []
    for symbol in reversed(symbols):
        if new and (symbol, new[0]) == best:
            new[0] = symbol + new[0]
        else:
            new.insert(0, symbol)
    return tuple(new)


def merged_once(symbols, best):
    for i, pair in enumerate(pairwise(symbols)):
        if pair == best:
            return (*symbols[:i], "".join(best), *symbols[i + 2 :])
    return symbols


def merged_in_any_order(symbols, best):
    new = []
    for symbol in symbols:
        if new and {new[-1], symbol} == set(best):
            new[-1] += symbol
        else:
            new.append(symbol)
    return tuple(new)


def merged_with_pairwise(symbols, best):
    return (*merged_with_pairwise_alone(symbols, best), symbols[-1])


def merged_with_pairwise_alone(symbols, best):
    return tuple("".join(pair) if pair == best else pair[0] for pair in pairwise(symbols))


def pair_removed(symbols, best):
    kept = put_together(symbols, best)
    return tuple(symbol for symbol in kept if symbol != "".join(best))


def changed_words_only(words):
    pair, merged = stepping()(words)
    return pair, {symbols: count for symbols, count in merged.items() if symbols not in words}


def pair_as_text(words):
    pair, merged = stepping()(words)
    return None if pair is None else "".join(pair), merged


def nothing_counts(words):
    return stepping()(words) if any(pair_counts(words).values()) else (None, words)


def no_way_out(words):
    counts = pair_counts(words)
    best = chosen(counts)
    return best, {put_together(symbols, best): count for symbols, count in words.items()}


BPE_STEP = (
    Misconception(
        "every word counts once",
        stepping(each_word_once),
        "You count each word once. A pair counts as often as its word occurs: add the word's count, not 1.",
    ),
    Misconception(
        "every pair once a word",
        stepping(each_pair_once_a_word),
        "You count a pair once a word, also where it stands in the word twice. Each place counts.",
    ),
    Misconception(
        "overlapping places count once",
        stepping(overlapping_once),
        "Where a pair overlaps itself, as ('a', 'a') in 'a a a', you count it once. It is two pairs of neighbours "
        "there, and each counts; only merging uses up a symbol.",
    ),
    Misconception(
        "first seen wins a tie",
        stepping(choose=lambda counts: max(counts, key=counts.get)),
        "Of equally frequent pairs you take the one that was counted first. Then the result depends on the order of "
        "the words; asked for is the alphabetically first: min(counts, key=lambda pair: (-counts[pair], pair)).",
    ),
    Misconception(
        "last in the alphabet wins a tie",
        stepping(choose=lambda counts: max(counts, key=lambda pair: (counts[pair], pair))),
        "Of equally frequent pairs you take the alphabetically last; asked for is the first. `max` turns both "
        "comparisons round: use `min` with (-counts[pair], pair).",
    ),
    Misconception(
        "joined strings are compared in a tie",
        stepping(choose=lambda counts: min(counts, key=lambda pair: (-counts[pair], "".join(pair)))),
        "In a tie you compare the joined strings. Compare the pairs, by the first symbol and then by the second: "
        "('a', 'bc') comes before ('ab', 'a'), though 'aba' comes before 'abc'.",
    ),
    Misconception(
        "rarest pair",
        stepping(choose=lambda counts: min(counts, key=lambda pair: (counts[pair], pair))),
        "You merge the rarest pair. The most frequent one saves the most symbols.",
    ),
    Misconception(
        "merged as text",
        stepping(merge=merged_as_text),
        "You join the symbols with spaces and replace text. Then the pair ('a', 'b') is also found in 'ca b', where "
        "'a' is only the end of another symbol. Compare whole symbols.",
    ),
    Misconception(
        "from right to left",
        stepping(merge=merged_from_the_end),
        "Where a pair overlaps itself, as in 'a a a', you merge from the right: 'a aa'. Asked for is left to right: "
        "'aa a'.",
    ),
    Misconception(
        "first place only",
        stepping(merge=merged_once),
        "You merge the pair at its first place in a word and leave the others. It is merged everywhere.",
    ),
    Misconception(
        "either order",
        stepping(merge=merged_in_any_order),
        "You also merge the two symbols in the opposite order. ('a', 'b') is 'a' followed by 'b'; 'b' followed by 'a' "
        "is another pair.",
    ),
    Misconception(
        "second symbol kept",
        stepping(merge=merged_with_pairwise),
        "You put the pair together, and its second symbol comes once more behind it: 'a' 'b' 'c' becomes 'ab' 'b' 'c'. "
        "After a merge, go on behind both symbols.",
    ),
    Misconception(
        "one symbol for each pair of neighbours",
        stepping(merge=merged_with_pairwise_alone),
        "You build the new word from `pairwise(symbols)`, one symbol for each pair of neighbours. So the last symbol "
        "of a word is lost unless it is merged, and the second symbol of a merged pair comes once more behind it. Go "
        "through the symbols themselves.",
    ),
    Misconception(
        "pair removed",
        stepping(merge=pair_removed),
        "The two symbols of the pair disappear. They are put together: what was 'a' 'b' becomes 'ab'.",
    ),
    Misconception(
        "only changed words",
        changed_words_only,
        "You return only the words that the merge has changed. The others belong to the corpus too: return all.",
    ),
    Misconception(
        "counts of 0 are no pairs",
        nothing_counts,
        "You return (None, words) where all counts are 0. There are pairs all the same, equally frequent ones: the "
        "alphabetically first is merged. None is for words of one symbol each, which hold no pair.",
    ),
    Misconception(
        "None alone",
        lambda words: stepping()(words) if pair_counts(words) else None,
        "Right, but where nothing is left to merge you return None alone, and who calls it unpacks two: return (None, "
        "words) there.",
    ),
    Misconception(
        "no words when done",
        lambda words: stepping()(words) if pair_counts(words) else (None, {}),
        "Where nothing is left to merge you return no words. They are still there, as they were: return (None, words).",
    ),
    Misconception(
        "pair alone",
        lambda words: stepping()(words)[0],
        "You return the pair alone. The words after the merge are asked for too: `return pair, merged`.",
    ),
    Misconception(
        "words alone",
        lambda words: stepping()(words)[1],
        "You return the words alone. The pair is asked for too, since an encoder needs to know what was merged, in "
        "order: `return pair, merged`.",
    ),
    Misconception(
        "pair as one string",
        pair_as_text,
        "Your pair is one string. Give it as a tuple of its two symbols, so that it can be found again when a text is "
        "encoded.",
    ),
    Misconception(
        "no way out",
        no_way_out,
        "When no word has two symbols there is nothing to choose from, and `min` or `max` of nothing is an error. "
        "Return (None, words) then.",
    ),
)
