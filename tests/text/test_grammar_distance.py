"""The distance knob: the distance achieved is the distance asked for."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.errors import ConfigError
from utils.text.grammar import KINDS, generate
from utils.text.grammar.distance import BARE, _bracket
from utils.text.grammar.pools import pools_of
from utils.text.grammar.sampler import Sampler
from utils.text.grammar.structures import ProperName, is_first_person
from utils.text.lexicon import load_lexicon


@pytest.mark.parametrize("kind", [kind for kind, largest in KINDS.items() if largest >= 25])
@pytest.mark.parametrize("distance", [1, 2, 3, 7, 12, 25])
def test_distance_is_met(kind: str, distance: int):
    pairs = generate(kind, distance, count=5, seed=3)
    assert len({pair.source for pair in pairs}) == len({pair.target for pair in pairs}) == 5
    for pair in pairs:
        assert max(pair.distances(kind)) == distance


@pytest.mark.parametrize(
    ("kind", "distance"),
    [
        ("article-noun", 0),
        ("article-noun", 4),
        ("adjective-noun", 3),
        ("verb-prefix", 0),
        ("subject-verb", 0),
        ("auxiliary-participle", 0),
    ],
)
def test_small_distances(kind: str, distance: int):
    for pair in generate(kind, distance, count=10):
        assert max(pair.distances(kind)) == distance


def test_words_between_are_counted_on_the_surface():
    for pair in generate("separable", 9, count=20, seed=1):
        span = next(span for span in pair.spans if span.kind == "verb-prefix" and span.distance == 9)
        between = pair.target_tokens[span.first + 1 : span.second]
        assert len([token for token in between if token != ","]) == 9
        assert pair.target_tokens[span.second + 1] in (",", ".")


def test_short_names_and_repetition():
    assert generate("agreement", 4, 5, seed=2) == generate("subject-verb", 4, 5, seed=2)
    assert generate("agreement", 4, 5, seed=2) != generate("agreement", 4, 5, seed=3)


@settings(max_examples=25, deadline=None)
@given(kind=st.sampled_from(sorted(KINDS)), distance=st.integers(1, 18), seed=st.integers(0, 1000))
def test_any_distance(kind: str, distance: int, seed: int):
    distance = min(distance, KINDS[kind])
    (pair,) = generate(kind, distance, count=1, seed=seed)
    assert max(pair.distances(kind)) == distance


@pytest.mark.parametrize(
    ("kind", "distance", "words"),
    [
        ("prefix", 3, "unknown kind 'prefix'"),
        ("separable", 31, "write 0 to 30"),
        ("article-noun", 5, "write 0 to 4"),
        ("separable", -1, "write 0 to 30"),
    ],
)
def test_bad_requests(kind: str, distance: int, words: str):
    with pytest.raises(ConfigError, match=words):
        generate(kind, distance)


def test_subject_and_object_of_a_modal_differ():
    """Not: I must call me."""
    sampler = Sampler(pools_of(load_lexicon()), random.Random(6), "seen", BARE)
    for _ in range(2000):
        sentence, _ = _bracket(sampler, "modal-infinitive", 3)
        for other in (sentence.main.object, sentence.main.recipient):
            assert not (is_first_person(sentence.main.subject) and is_first_person(other))
            assert not isinstance(other, ProperName) or other != sentence.main.subject
