"""The experiments of chapter 07 (smoothing, β₂, peaks) with trainings of two updates, and their records."""

import json
import math
import sys

import pytest
import torch

from utils.experiments import betas, peaks, smoothing
from utils.text.corpora import Corpus
from utils.training.prepare import learn_vocabulary
from utils.training.settings import Settings

TINY = dict(updates=2, d_model=16, d_ff=16, heads=2, layers=1, warmup=1, batch_tokens=64)
PAIRS = [("the dog sleeps .", "der Hund schläft ."), ("the cat sleeps .", "die Katze schläft .")]
MODULES = (smoothing, betas, peaks)


@pytest.fixture
def little_text(monkeypatch):
    corpus = Corpus("little", {"train": PAIRS * 50, "valid": PAIRS, "test": PAIRS})
    made = corpus, learn_vocabulary(Settings(), corpus)
    for module in (smoothing, peaks):
        monkeypatch.setattr(module, "data", lambda: made)
    return made


class Uniform(torch.nn.Module):
    """Knows nothing."""

    def __init__(self, vocab_size):
        super().__init__()
        self.vocab_size = vocab_size

    def forward(self, source, target):
        return torch.zeros(*target.shape, self.vocab_size)


def test_a_model_that_knows_nothing_is_scored_so(little_text):
    corpus, tokeniser = little_text
    found = smoothing.told_the_past(Uniform(tokeniser.vocab_size), corpus, tokeniser)
    assert found["loss"] == pytest.approx(math.log(tokeniser.vocab_size))
    assert found["confidence"] == pytest.approx(1 / tokeniser.vocab_size) and found["accuracy"] == 0


def test_each_training_is_run_once_and_told(little_text):
    lines = []
    found = smoothing.smoothing_experiment((0.0, 0.2), (1, 2), lines.append, **TINY)
    assert [(one["epsilon"], one["seed"]) for one in found] == [(0.0, 1), (0.2, 1), (0.0, 2), (0.2, 2)]
    assert all(one["perplexity"] > 1 and 0 <= one["bleu"] <= 100 for one in found) and len(lines) == 4
    found = betas.betas_experiment((0.9,), (1,), lines.append, **TINY)
    assert found[0]["beta2"] == 0.9 and found[0]["perplexity"] > 1


def test_a_lost_run_of_the_grid_is_written_down_as_that(little_text):
    sizes = {name: value for name, value in TINY.items() if name != "warmup"}
    found = peaks.peaks_experiment((1e-3, 1e30), (1,), (1,), lambda line: None, **{**sizes, "updates": 20})
    assert math.isfinite(found[0]["valid"]) and found[1]["valid"] is None


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_the_command_writes_a_record(module, tmp_path, monkeypatch):
    name = f"{module.__name__.rpartition('.')[2]}_experiment"
    monkeypatch.setattr(module, name, lambda report: [{"bleu": 1}, {"bleu": 2}])
    monkeypatch.setattr(module, "OUT", tmp_path / "record.json")
    monkeypatch.setattr(sys, "argv", ["experiment"])
    module.main()
    record = json.loads((tmp_path / "record.json").read_text(encoding="utf-8"))
    assert record["results"] == [{"bleu": 1}, {"bleu": 2}] and record["command"] == f"python -m {module.__name__}"
    assert {"versions", "hardware", "commit", "seeds", "settings"} <= set(record)


def test_the_records_hold_the_whole_grids():
    found = {module: json.loads(module.OUT.read_text(encoding="utf-8")) for module in MODULES}
    assert {(r["epsilon"], r["seed"]) for r in found[smoothing]["results"]} == {
        (epsilon, seed) for epsilon in smoothing.EPSILONS for seed in smoothing.SEEDS
    }
    assert {(r["beta2"], r["seed"]) for r in found[betas]["results"]} == {
        (beta2, seed) for beta2 in betas.BETAS for seed in betas.SEEDS
    }
    assert {(r["peak"], r["warm_up"], r["seed"]) for r in found[peaks]["results"]} == {
        (peak, warm_up, seed) for peak in peaks.PEAKS for warm_up in peaks.WARM_UPS for seed in peaks.SEEDS
    }
    for module, record in found.items():
        assert record["command"] == f"python -m {module.__name__}"
