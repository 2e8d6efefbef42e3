"""The embedded corpus as a whole: splits, lengths, vocabulary, one translation per sentence, determinism."""

import hashlib
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.errors import ConfigError
from utils.text.grammar import PHENOMENA, EmbeddedCorpus, Pair, describe, detokenise, embedded_corpus, tokenise
from utils.text.grammar.corpus import _draw_corpus
from utils.text.grammar.pairings import pairings_of
from utils.text.grammar.pairs import make_pair
from utils.text.grammar.pools import pools_of
from utils.text.grammar.sampler import RICH, Sampler, is_repeated, pronoun_for
from utils.text.grammar.sentences import complex_sentence, draw_sentence
from utils.text.grammar.structures import Pronoun, ProperName, Sentence
from utils.text.lexicon import load_lexicon

# SHA-256 of the default corpus with all its annotation. It changes with the grammar, the lexicon or the sampler, and
# with nothing else: not with the machine, the platform or the Python version.
DIGEST = "eab7b9ebc5aba660f956e8170fec6d1704910bd1e54f512924c08c2a51e85150"
LEXICON = load_lexicon()
POOLS = pools_of(LEXICON)


@pytest.fixture(scope="module")
def corpus() -> EmbeddedCorpus:
    return embedded_corpus()


def everything(corpus: EmbeddedCorpus) -> list[Pair]:
    return [*corpus.train, *corpus.valid, *corpus.test, *corpus.long]


def digest(corpus: EmbeddedCorpus) -> str:
    total = hashlib.sha256()
    for pair in everything(corpus):
        fields = (
            pair.source,
            pair.target,
            pair.source_tokens,
            pair.target_tokens,
            pair.alignment,
            pair.source_tree,
            pair.target_tree,
            pair.spans,
            sorted(pair.phenomena),
        )
        total.update(json.dumps(fields, ensure_ascii=True).encode())
    return total.hexdigest()


def test_digest(corpus: EmbeddedCorpus):
    assert digest(corpus) == DIGEST


def test_sizes_and_no_sentence_twice(corpus: EmbeddedCorpus):
    assert [len(split) for split in (corpus.train, corpus.valid, corpus.test, corpus.long)] == [20000, 1000, 1000, 1000]
    pairs = everything(corpus)
    assert len({pair.source for pair in pairs}) == len({pair.target for pair in pairs}) == len(pairs) == 23000


def test_lengths(corpus: EmbeddedCorpus):
    for pair in (*corpus.train, *corpus.valid, *corpus.test):
        assert 4 <= len(pair.source_tokens) <= 16 and 4 <= len(pair.target_tokens) <= 16
    for pair in corpus.long:
        assert 17 <= len(pair.source_tokens) <= 32 and 17 <= len(pair.target_tokens) <= 32
    assert 9 <= describe(corpus)["target_length"]["train"]["mean"] <= 11


def test_vocabulary(corpus: EmbeddedCorpus):
    for side in ("source_tokens", "target_tokens"):
        known = {token for pair in corpus.train for token in getattr(pair, side)}
        for pair in (*corpus.valid, *corpus.test, *corpus.long):
            assert known.issuperset(getattr(pair, side))
    assert describe(corpus)["vocabulary"]["both_lowercase"] <= 1600


def test_annotation(corpus: EmbeddedCorpus):
    for pair in everything(corpus):
        check_pair(pair)


def check_pair(pair: Pair) -> None:
    for text, tokens, tree in (
        (pair.source, pair.source_tokens, pair.source_tree),
        (pair.target, pair.target_tokens, pair.target_tree),
    ):
        assert detokenise(tokens) == text and tokenise(text) == tokens and tree.leaves() == tokens
        assert text[0].isupper() and text[-1] in ".?" and "  " not in text and ", ," not in text and ",." not in text
    assert list(pair.alignment) == sorted(set(pair.alignment))
    assert all(
        0 <= left < len(pair.source_tokens) and 0 <= right < len(pair.target_tokens) for left, right in pair.alignment
    )
    assert {left for left, _ in pair.alignment} == set(range(len(pair.source_tokens)))
    unaligned = set(range(len(pair.target_tokens))) - {right for _, right in pair.alignment}
    assert {pair.target_tokens[index] for index in unaligned} <= {","}
    for span in pair.spans:
        assert 0 <= span.first < span.second < len(pair.target_tokens)
        between = pair.target_tokens[span.first + 1 : span.second]
        assert span.distance == sum(token not in ",.?" for token in between)
    assert pair.phenomena <= set(PHENOMENA)


def test_every_phenomenon_occurs(corpus: EmbeddedCorpus):
    counts = describe(corpus)["phenomena"]
    assert min(counts["train"].values()) >= 150
    assert min(counts["test"].values()) >= 5


def test_held_out_adjectives_never_meet_their_nouns_in_training(corpus: EmbeddedCorpus):
    """Read off the surface: no held-out adjective stands right before its noun in train or long."""
    forbidden = {
        (adjective.english, form)
        for adjective, noun in POOLS.held_out
        if hasattr(adjective, "stem")
        for form in (noun.english, noun.english_plural)
    }
    assert len(forbidden) > 100
    for pair in (*corpus.train, *corpus.long):
        words = [token.lower() for token in pair.source_tokens]
        assert forbidden.isdisjoint(zip(words, words[1:], strict=False))


def test_held_out_pairings_are_about_an_eighth():
    possible = sum(len(entries) for entries in (*POOLS.adjectives.values(), *POOLS.objects.values()))
    assert 0.08 < len(POOLS.held_out) / possible < 0.17
    assert all(POOLS.seen_adjectives[noun] for noun in POOLS.described)
    assert all(POOLS.seen_objects[verb] for verb in LEXICON.verbs if verb.objects)


def test_sampler_keeps_to_seen_pairings():
    sampler = Sampler(POOLS, random.Random(5), "seen", RICH)
    for _ in range(3000):
        assert POOLS.held_out.isdisjoint(pairings_of(draw_sentence(sampler)))


def test_translation_is_a_function():
    """No English sentence is ever said in two ways in German, over far more sentences than one corpus has."""
    translations: dict[str, str] = {}
    sampler = Sampler(POOLS, random.Random(11), "any")
    for round_number in range(24000):
        if round_number == 18000:
            sampler.rates = RICH
        pair = make_pair(LEXICON, draw_sentence(sampler))
        assert translations.setdefault(pair.source, pair.target) == pair.target


def complex_sentences(count: int, seed: int) -> list[Sentence]:
    """Sentences with a subordinate clause before or after them."""
    sampler = Sampler(POOLS, random.Random(seed), "any", RICH._replace(frequency=0.6, copula=0.2))
    return [complex_sentence(sampler) for _ in range(count)]


def test_als_is_for_what_happened_once():
    """No oft and no jeden Tag with als: what happened often takes wenn."""
    seen = 0
    for item in complex_sentences(6000, 1):
        if item.subordinate.conjunction.german == "als":
            seen += 1
            for clause in (item.main, item.subordinate.clause):
                assert clause.frequency is None and not is_repeated(clause.time)
                assert clause.front != "time" or clause.time is not None
    assert seen > 200


def test_while_joins_two_actions():
    """Not: while I am small, while we know her."""
    found = [item for item in complex_sentences(3000, 2) if item.subordinate.conjunction.english == "while"]
    assert len(found) > 200
    for item in found:
        for clause in (item.main, item.subordinate.clause):
            assert clause.verb is not None and clause.verb.aspect == "event"


def test_whom_a_pronoun_stands_for_is_not_named_again():
    """Not: Paul laughs because he calls Paul."""
    for item in complex_sentences(4000, 3):
        first, second = item.main, item.subordinate.clause
        if not item.subordinate_first and isinstance(second.subject, Pronoun) and isinstance(first.subject, ProperName):
            assert first.subject not in (second.object, second.recipient) or second.subject != pronoun_for(
                first.subject
            )
        if item.subordinate_first and isinstance(first.subject, Pronoun) and isinstance(second.subject, ProperName):
            assert second.subject not in (second.object, second.recipient)


def test_only_passing_states_are_frequent():
    """often tired; not often noble, often strong, often round."""
    sampler = Sampler(POOLS, random.Random(4), "any")
    found = {clause.predicate.english for clause in (sampler.copula() for _ in range(6000)) if clause.frequency}
    assert found == {"tired", "hungry", "happy", "sad", "sick", "friendly", "lazy"}


def test_seeds_differ_and_repeat():
    sizes = (300, 20, 20, 20)
    first = embedded_corpus(1, sizes)
    _draw_corpus.cache_clear()
    assert embedded_corpus(1, list(sizes)) == first
    assert embedded_corpus(2, sizes).train != first.train


def test_bad_sizes():
    with pytest.raises(ConfigError, match="four numbers"):
        embedded_corpus(0, (10, 10, 10))


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 10**9), rich=st.booleans())
def test_any_sentence_is_well_formed(seed: int, rich: bool):
    sampler = Sampler(POOLS, random.Random(seed), "any")
    if rich:
        sampler.rates = RICH
    check_pair(make_pair(LEXICON, draw_sentence(sampler)))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["Der", "Hund", "o'clock", "twenty-one", "schläft", ","]), min_size=1, max_size=12))
def test_tokenise_inverts_detokenise(tokens: list[str]):
    assert tokenise(detokenise(tokens)) == tuple(tokens)
