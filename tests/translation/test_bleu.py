"""Our own BLEU equals sacreBLEU's on whatever text hypothesis comes up with."""

import math

import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.errors import CourseError
from utils.translation.bleu import brevity_penalty, clipped_matches, corpus_bleu, smoothed_precisions, tokenise_13a

words = st.sampled_from(["a", "A", "the", "cat", "cat's", "sat", "3.5", "1,000", "(b)", "über", "&quot;", ".", "-"])
sentences = st.lists(words, max_size=12).map(" ".join)
anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def assert_equals_sacrebleu(pairs, lowercase=False):
    hypotheses, references = map(list, zip(*pairs, strict=True))
    ours = corpus_bleu(hypotheses, references, lowercase)
    theirs = sacrebleu.corpus_bleu(hypotheses, [references], lowercase=lowercase)
    assert ours.score == pytest.approx(theirs.score, rel=1e-9, abs=1e-12)
    assert ours.brevity_penalty == pytest.approx(theirs.bp, rel=1e-12)
    assert [100 * p for p in ours.precisions] == pytest.approx(theirs.precisions, rel=1e-12)
    assert (ours.hypothesis_length, ours.reference_length) == (theirs.sys_len, theirs.ref_len)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(sentences, sentences), min_size=1, max_size=4), st.booleans())
def test_equals_sacrebleu_on_sentences(pairs, lowercase):
    assert_equals_sacrebleu(pairs, lowercase)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(sentences, sentences, st.integers(0, 9)), min_size=1, max_size=4))
def test_equals_sacrebleu_on_good_translations(triples):
    assert_equals_sacrebleu([(f"{reference[:-end]} {extra}", reference) for extra, reference, end in triples])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(anything, anything), min_size=1, max_size=3))
def test_equals_sacrebleu_on_any_text(pairs):
    assert_equals_sacrebleu(pairs)


@pytest.mark.parametrize(
    "pairs",
    [
        [("", "")],
        [("", "a b c d")],
        [("a b c d", "")],
        [("a", "a")],  # no 2-gram anywhere: sacreBLEU says 0
        [("a b c", "a b c"), ("", "d e f g")],
        [("a b c d e", "a x c y e")],  # no 2-, 3-, 4-gram matches: smoothed
        [("a b c x d e f", "a b c d e f")],
        [("the the the the the", "the cat sat on the mat")],
        [("The cat sat.", "the cat sat ."), ("“Ja”, sagt er", "„Ja“, sagt er")],
        [("a b c d   \n", " a b c d")],
    ],
)
def test_equals_sacrebleu_at_the_edges(pairs):
    assert_equals_sacrebleu(pairs)


def test_a_perfect_translation_scores_100():
    assert corpus_bleu(["The cat sat on the mat."], ["The cat sat on the mat."]).score == pytest.approx(100)


def test_by_hand():
    """Papineni's: "the" seven times finds two; of 6 tokens for 7 the brevity penalty is exp(−1/6)."""
    assert clipped_matches(["the"] * 7, ["the", "cat", "is", "on", "the", "mat"], 1) == 2
    assert clipped_matches(["the"] * 7, ["the", "cat", "is", "on", "the", "mat"], 2) == 0
    assert brevity_penalty(6, 7) == pytest.approx(math.exp(-1 / 6))
    assert brevity_penalty(7, 7) == brevity_penalty(8, 7) == 1
    assert brevity_penalty(0, 7) == 0
    assert smoothed_precisions([3, 0, 0, 0], [5, 4, 3, 2]) == [3 / 5, 1 / 8, 1 / 12, 1 / 16]


def test_lower_case_and_tokens_of_ones_own():
    assert corpus_bleu(["A B C D"], ["a b c d"]).score == 0
    assert corpus_bleu(["A B C D"], ["a b c d"], lowercase=True).score == pytest.approx(100)
    assert corpus_bleu(["abcd"], ["abcd"], tokenise=list).score == pytest.approx(100)
    assert tokenise_13a("He said: 3.5, no?") == ["He", "said", ":", "3.5", ",", "no", "?"]


def test_counts_that_differ_are_named():
    with pytest.raises(CourseError, match="1 hypotheses and 2 references"):
        corpus_bleu(["a"], ["a", "b"])
