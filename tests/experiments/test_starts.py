"""The recorded trainings of chapter 01 with five starts of the table can be recorded again."""

import json
import sys
from functools import partial

import pytest
import torch

from utils.experiments import starts
from utils.text.corpora import Corpus
from utils.transformer import TokenEmbedding

PAIRS = [("the dog sleeps .", "der Hund schläft ."), ("the cat sleeps .", "die Katze schläft .")]
SMALL = {"updates": 2, "d_model": 8, "d_ff": 8, "heads": 2, "batch_tokens": 64}


@pytest.fixture(autouse=True)
def little_text(monkeypatch):
    corpus = Corpus("little", {"train": PAIRS * 10, "valid": PAIRS, "test": PAIRS})
    monkeypatch.setattr(starts, "corpus_of", lambda settings: corpus)


def test_every_start_is_trained_with_every_seed():
    results = starts.starts_experiment(report=lambda line: None, **SMALL)
    expected = [(start, seed) for start in starts.STARTS for seed in (1, 2, 3)]
    assert [(run["start"], run["seed"]) for run in results["runs"]] == expected
    assert all(run["loss_before"] > 0 and run["loss_after"] > 0 for run in results["runs"])


def test_a_record_says_where_it_comes_from(monkeypatch, tmp_path):
    out = tmp_path / "record.json"
    monkeypatch.setattr(starts, "SETTINGS", SMALL)
    monkeypatch.setattr(sys, "argv", ["starts", "--out", str(out), "--seeds", "4"])
    starts.main()
    content = json.loads(out.read_text(encoding="utf-8"))
    assert {"versions", "hardware", "commit"} <= set(content)
    assert content["command"] == f"python -m utils.experiments.starts --out {out} --seeds 4"
    assert content["seed"] == [4] and content["settings"]["d_model"] == 8
    assert [run["seed"] for run in content["results"]["runs"]] == [4] * len(starts.STARTS)


def test_starts_differ_as_they_are_named():
    torch.manual_seed(0)
    tokens = torch.arange(2000)
    made = {start: partial(starts.OtherStart, start=start)(2000, 64)(tokens).std() for start in starts.STARTS}
    expected = (1.0, 1 / 8, 8 * (2 / 2064) ** 0.5, 8.0, 1.0)
    assert torch.allclose(torch.stack(list(made.values())), torch.tensor(expected), rtol=0.05)
    assert isinstance(starts.OtherStart(10, 4, starts.STARTS[0]), TokenEmbedding)
