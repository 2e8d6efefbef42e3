"""What chapter 01 shows of Multi30k's vocabularies can be recorded again."""

import json
import sys

from utils.experiments import vocabularies
from utils.text.corpora import Corpus

PAIRS = [("the dog sleeps .", "der Hund schläft ."), ("the cat sleeps .", "die Katze schläft .")]


def test_vocabularies_are_recorded_with_where_they_come_from(monkeypatch, tmp_path):
    corpus = Corpus("little", {"train": PAIRS * 10, "valid": PAIRS, "test": PAIRS})
    monkeypatch.setattr(vocabularies, "load_corpus", lambda name: corpus)
    out = tmp_path / "record.json"
    monkeypatch.setattr(sys, "argv", ["vocabularies", "--out", str(out), "--sizes", "30", "60"])
    vocabularies.main()
    content = json.loads(out.read_text(encoding="utf-8"))
    assert {"versions", "hardware", "settings", "results"} <= set(content)
    assert content["command"] == f"python -m utils.experiments.vocabularies --out {out} --sizes 30 60"
    assert content["settings"]["sizes"] == [30, 60]
    assert len(content["results"]["bpe"]) == 2 and content["results"]["words"][1]["unknown"] == 0
