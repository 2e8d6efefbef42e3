"""The experiment of chapter 05: the grid trains, and its record says where it comes from."""

import json
import math

import pytest

from utils.experiments.warm_up import NORMS, RATES, SEEDS, WARM_UPS, as_text, recorded, train_grid
from utils.text.corpora import Corpus

SMALL = dict(layers=1, d_model=16, d_ff=16, heads=2, updates=20, batch_tokens=64)


PAIRS = [("the dog sleeps .", "der Hund schläft ."), ("the cat sleeps .", "die Katze schläft .")]


@pytest.fixture
def little_text():
    return Corpus("little", {"train": PAIRS * 50, "valid": PAIRS, "test": PAIRS})


def test_a_small_grid_trains_each_run_once(little_text):
    lines = []
    runs = train_grid(warm_ups=(1, 10), rates=(1e-3,), seeds=(1,), corpus=little_text, report=lines.append, **SMALL)
    assert [(run["norm"], run["warm_up"]) for run in runs] == [("post", 1), ("post", 10), ("pre", 1), ("pre", 10)]
    assert all(math.isfinite(run["valid"]) and run["train"][-1][0] == 20 for run in runs)
    assert len(lines) == 4 and "post" in lines[0]


def test_a_run_whose_loss_is_lost_is_written_down_as_that(little_text):
    one = dict(norms=("post",), warm_ups=(1,), rates=(1e30,), seeds=(1,))
    runs = train_grid(**one, corpus=little_text, report=lambda line: None, **SMALL)
    assert runs[0]["valid"] is None


def test_the_record_holds_the_whole_grid_and_where_it_comes_from():
    record = recorded()
    assert {"command", "versions", "hardware", "commit", "settings"} <= set(record)
    found = {(run["seed"], run["rate"], run["norm"], run["warm_up"]) for run in record["runs"]}
    assert found == {(s, r, n, w) for s in SEEDS for r in RATES for n in NORMS for w in WARM_UPS}
    assert json.loads(as_text(record)) == record
