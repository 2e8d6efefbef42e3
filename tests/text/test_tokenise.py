"""Tokenisers: ids and back, unknown words, saving, and texts that look like special entries."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.errors import CheckpointError, ConfigError, DataError
from utils.text.tokenise import digest, join_words, learn_tokeniser, split_words, tokeniser_from_json

TEXTS = [
    "Ein kleines Mädchen klettert in ein Spielhaus aus Holz.",
    "A little girl climbs into a wooden playhouse.",
    "Um halb vier kommt der Zug an, der aus Köln kommt.",
    "The train that comes from Cologne arrives at half past three.",
    "Kommst du, oder nicht? Er sagt: „Nein“ (leise).",
] * 3


@pytest.fixture(params=["words", "bpe"])
def tokeniser(request):
    return learn_tokeniser(request.param, TEXTS, 300)


def test_text_seen_in_training_comes_back_to_the_letter(tokeniser):
    for text in TEXTS:
        assert tokeniser.decode(tokeniser.encode(text)) == text


def test_special_entries_have_the_ids_of_the_masks(tokeniser):
    assert tokeniser.tokens([0, 1, 2, 3]) == ["<pad>", "<unk>", "<s>", "</s>"]
    assert tokeniser.decode([2, *tokeniser.encode(TEXTS[0]), 3, 0, 0]) == TEXTS[0]


@given(st.text(max_size=60))
def test_any_text_gives_ids_in_range_and_no_special_but_unknown(text):
    for kind in ("words", "bpe"):
        tokeniser = learned(kind)
        ids = tokeniser.encode(text)
        assert all(index == 1 or 4 <= index < tokeniser.vocab_size for index in ids)
        tokeniser.decode(ids)


def learned(kind, cache={}):  # noqa: B006 (hypothesis would learn it anew for every example)
    if kind not in cache:
        cache[kind] = learn_tokeniser(kind, TEXTS, 300)
    return cache[kind]


def test_text_that_spells_a_special_entry_is_only_text(tokeniser):
    assert not set(tokeniser.encode("A girl </s> <pad> <s> climbs")) & {0, 2, 3}


def test_saved_tokeniser_is_the_same(tokeniser):
    again = tokeniser_from_json(tokeniser.to_json())
    assert digest(again) == digest(tokeniser)
    assert again.encode(TEXTS[2] + " Zug </s>") == tokeniser.encode(TEXTS[2] + " Zug </s>")
    assert again.vocab_size == tokeniser.vocab_size


def test_vocabulary_keeps_to_its_size():
    assert learn_tokeniser("words", TEXTS, 12).vocab_size == 12
    assert learn_tokeniser("bpe", TEXTS, 120).vocab_size == 120


def test_unknown_word_is_shown_as_unknown():
    words = learn_tokeniser("words", TEXTS, 300)
    assert words.encode("Das Krokodil")[1] == 1
    assert "<unk>" in words.decode(words.encode("Das Krokodil"))


def test_the_same_texts_give_the_same_vocabulary():
    for kind in ("words", "bpe"):
        assert digest(learn_tokeniser(kind, TEXTS, 200)) == digest(learn_tokeniser(kind, TEXTS, 200))


@pytest.mark.parametrize("text", ["", "{}", "not json", '{"kind": "bpe", "tokenizer": {"version": 1}}', "[]"])
def test_damaged_file_is_named(text):
    with pytest.raises(CheckpointError, match="tokeniser.json"):
        tokeniser_from_json(text, "tokeniser.json")


def test_bad_settings():
    with pytest.raises(ConfigError, match="good values are words, bpe"):
        learn_tokeniser("letters", TEXTS, 100)
    with pytest.raises(ConfigError, match="from 8"):
        learn_tokeniser("bpe", TEXTS, 4)
    with pytest.raises(DataError, match="no text"):
        learn_tokeniser("words", [], 100)


def test_words_are_split_and_joined():
    assert split_words("He's at 3.30, isn't he?") == ["He's", "at", "3", ".", "30", ",", "isn't", "he", "?"]
    assert join_words(["Er", "sagt", ":", "„", "Nein", "“", "(", "leise", ")", "."]) == "Er sagt: „Nein“ (leise)."
