"""What chapter 01 shows as recorded can be recorded again."""

import json
from functools import partial

import pytest
import torch

from utils.commands import chapter_01
from utils.text.corpora import Corpus
from utils.transformer import TokenEmbedding

PAIRS = [("the dog sleeps .", "der Hund schläft ."), ("the cat sleeps .", "die Katze schläft .")]


@pytest.fixture
def little_text(monkeypatch):
    corpus = Corpus("little", {"train": PAIRS * 10, "valid": PAIRS, "test": PAIRS})
    monkeypatch.setattr(chapter_01, "load_corpus", lambda name: corpus)
    monkeypatch.setattr(chapter_01, "corpus_of", lambda settings: corpus)
    monkeypatch.setattr(chapter_01, "SIZES", (30, 60))


def test_vocabularies_are_recorded_with_where_they_come_from(little_text, tmp_path):
    content = json.loads(chapter_01.record("vocabularies", tmp_path).read_text())
    assert {"command", "versions", "hardware", "settings", "results"} <= set(content)
    assert content["command"] == "python -m utils.commands.chapter_01 vocabularies"
    assert len(content["results"]["bpe"]) == 2 and content["results"]["words"][1]["unknown"] == 0


def test_every_start_is_trained_with_every_seed(little_text, monkeypatch):
    small = {"updates": 2, "d_model": 8, "d_ff": 8, "heads": 2, "batch_tokens": 64}
    monkeypatch.setattr(chapter_01, "TRAINING", small)
    results = chapter_01.scale(report=None)
    assert [(run["start"], run["seed"]) for run in results["runs"]] == [
        (s, n) for s in chapter_01.STARTS for n in (1, 2, 3)
    ]
    assert all(run["loss_before"] > 0 and run["loss_after"] > 0 for run in results["runs"])


def test_starts_differ_as_they_are_named():
    torch.manual_seed(0)
    tokens = torch.arange(2000)
    made = {start: partial(chapter_01.OtherStart, start=start)(2000, 64)(tokens).std() for start in chapter_01.STARTS}
    expected = (1.0, 1 / 8, 8 * (2 / 2064) ** 0.5, 8.0, 1.0)
    assert torch.allclose(torch.stack(list(made.values())), torch.tensor(expected), rtol=0.05)
    assert isinstance(chapter_01.OtherStart(10, 4, chapter_01.STARTS[0]), TokenEmbedding)
