"""The experiment on the number of heads, with trainings of two updates."""

import json
import sys

from utils.experiments import heads

TINY = {"updates": 2, "d_model": 16, "d_ff": 16, "layers": 1, "warmup": 1}


def test_one_training_says_what_came_of_it():
    one, four = (heads.one_training(count, 1, **TINY) for count in (1, 4))
    assert (one["heads"], one["d_k"], four["d_k"]) == (1, 16, 4)
    assert one["parameters"] == four["parameters"]  # h · d_k = d_model: heads cost none
    assert one["valid_loss"] > 0 and 0 <= one["bleu"] <= 100 and 0 <= one["exact"] <= 1
    wide = heads.one_training(4, 1, d_k=16, **TINY)
    assert wide["d_k"] == 16 and wide["parameters"] > four["parameters"]


def test_the_command_writes_a_record(tmp_path, monkeypatch):
    asked = []

    def stand_in(*sizes, **settings):
        asked.append(sizes)
        return [{"bleu": 1}]

    monkeypatch.setattr(heads, "heads_experiment", stand_in)
    out = tmp_path / "heads.json"
    monkeypatch.setattr(sys, "argv", ["heads", "--out", str(out), "--heads", "2", "4", "--d-k", "8", "--seeds", "5"])
    heads.main()
    record = json.loads(out.read_text(encoding="utf-8"))
    assert record["command"].startswith("python -m utils.experiments.heads --out")
    assert record["settings"]["d_k"] == 8 and record["seeds"] == [5] and record["results"] == [{"bleu": 1}]
    assert {"versions", "hardware", "commit"} <= set(record)
    assert asked[0] == ([2, 4], [5], 1)
