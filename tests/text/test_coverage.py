"""Unknown tokens and lengths are counted right."""

from utils.text import WordTokeniser
from utils.text.coverage import Coverage, coverage, coverage_by_size, rank_counts

TRAIN = ["the dog sleeps .", "the dog sees the cat ."]


def test_unknown_words_and_sentences_are_counted():
    words = WordTokeniser.learn(TRAIN)
    assert coverage(words, TRAIN) == Coverage(words.vocab_size, 0.0, 1.0, 0.0)
    assert coverage(words, ["the whale sleeps .", "the cat sleeps ."]) == Coverage(words.vocab_size, 1 / 8, 1.0, 1 / 2)


def test_subwords_know_new_words_at_the_price_of_length():
    (_, small), (_, large) = coverage_by_size("bpe", TRAIN, ["the scale ."], (20, 40))
    assert small.unknown == large.unknown == 0 and small.tokens_per_word > large.tokens_per_word > 1


def test_ranks_fall():
    assert rank_counts(TRAIN) == [3, 2, 2, 1, 1, 1]
