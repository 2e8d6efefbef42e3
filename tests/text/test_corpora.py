"""Corpora by name: splits, directions, and what is refused."""

import pytest

from utils.errors import ConfigError, DataError
from utils.text.corpora import hold_out, load_corpus


def test_embedded_corpus_has_four_splits_and_turns_round():
    there, back = load_corpus("embedded"), load_corpus("embedded", direction="de-en")
    assert set(there.splits) == {"train", "valid", "test", "long"}
    assert back.split("test")[0] == there.split("test")[0][::-1]
    with pytest.raises(ConfigError, match="good values are train"):
        there.split("dev")


def test_own_files(tmp_path):
    source, target = tmp_path / "a.en", tmp_path / "a.de"
    source.write_text("".join(f"sentence {i}\n" for i in range(100)))
    target.write_text("".join(f"Satz {i}\n" for i in range(100)))
    corpus = load_corpus("files", source_file=source, target_file=target)
    assert {name: len(pairs) for name, pairs in corpus.splits.items()} == {"train": 90, "valid": 5, "test": 5}
    for name, arguments in (("source_file", {"source_file": source}), ("target_file", {"target_file": target})):
        with pytest.raises(ConfigError, match="--source-file and --target-file"):
            load_corpus("files", **arguments), name


def test_held_out_sources_are_never_in_training():
    pairs = [(f"sentence {i % 30}", f"Satz {i}") for i in range(300)]
    splits = hold_out(pairs, seed=0)
    sources = {name: {source for source, _ in part} for name, part in splits.items()}
    assert not sources["train"] & (sources["valid"] | sources["test"])
    assert not sources["valid"] & sources["test"]
    assert sum(map(len, splits.values())) == 300
    assert hold_out(pairs, seed=0) == splits != hold_out(pairs, seed=1)
    with pytest.raises(DataError, match="20 or more"):
        hold_out(pairs[:5], seed=0)


def test_bad_names():
    with pytest.raises(ConfigError, match="embedded, multi30k, files"):
        load_corpus("wmt14")
    with pytest.raises(ConfigError, match="en-de, de-en"):
        load_corpus("embedded", direction="fr-de")
