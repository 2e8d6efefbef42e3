"""What a vocabulary covers, and at what length: the numbers by which words and subwords are compared."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from utils.text.tokenise import Tokeniser, learn_tokeniser, split_words
from utils.transformer.masks import UNKNOWN


@dataclass(frozen=True)
class Coverage:
    """How a vocabulary fares on some sentences."""

    vocab_size: int  # entries, special ones included
    unknown: float  # share of ids that are "unknown"
    tokens_per_word: float  # ids for each word or punctuation mark
    sentences_with_unknown: float  # share of sentences in which something is unknown


def coverage(tokeniser: Tokeniser, sentences: Iterable[str]) -> Coverage:
    """Encodes the sentences and counts."""
    sentences = list(sentences)
    encoded = [tokeniser.encode(sentence) for sentence in sentences]
    ids = sum(map(len, encoded))
    words = sum(len(split_words(sentence)) for sentence in sentences)
    return Coverage(
        vocab_size=tokeniser.vocab_size,
        unknown=sum(sentence.count(UNKNOWN) for sentence in encoded) / ids,
        tokens_per_word=ids / words,
        sentences_with_unknown=sum(UNKNOWN in sentence for sentence in encoded) / len(sentences),
    )


def coverage_by_size(
    kind: str, train: Sequence[str], test: Sequence[str], sizes: Iterable[int]
) -> list[tuple[int, Coverage]]:
    """(size asked for, coverage of `test`) for vocabularies of these sizes, learnt from `train`."""
    return [(size, coverage(learn_tokeniser(kind, train, size), test)) for size in sizes]


def rank_counts(sentences: Iterable[str]) -> list[int]:
    """How often each word occurs, the most frequent first."""
    counts = Counter(word for sentence in sentences for word in split_words(sentence))
    return sorted(counts.values(), reverse=True)
