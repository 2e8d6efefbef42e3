"""The experiment on positions: what its arms differ in, and that the recorded run says what the chapter says of it."""

import json
from collections import Counter
from pathlib import Path

import pytest
import torch

from utils.experiments.positions import (
    ARMS,
    MOVES,
    MovedOn,
    bleu,
    loss_by_position,
    measured,
    nowhere,
    record,
    shuffled,
    train_arm,
)
from utils.text import Corpus, load_corpus, split_words
from utils.transformer import LearnedPositions, SinusoidalPositions

RECORDED = Path(__file__).parents[2] / "assets/runs/02-positions.json"
TINY = {"d_model": 16, "d_ff": 16, "heads": 2, "layers": 1}


@pytest.fixture(scope="module")
def corpus():
    splits = load_corpus().splits
    return Corpus("small", {name: pairs[:60] for name, pairs in splits.items()})


def test_shuffling_keeps_words_and_targets_and_changes_order(corpus):
    mixed = shuffled(corpus)
    for name, pairs in corpus.splits.items():
        for (source, target), (other, same_target) in zip(pairs, mixed.split(name), strict=True):
            assert Counter(split_words(source)) == Counter(other.split()) and target == same_target
        assert sum(a != " ".join(split_words(b)) for (a, _), (b, _) in zip(mixed.split(name), pairs, strict=True)) > 50
    assert shuffled(corpus) == mixed


@pytest.mark.parametrize("make", [LearnedPositions, SinusoidalPositions])
def test_moved_on_positions_are_those_further_on(make):
    positions, embedded = make(6, 40), torch.randn(2, 3, 6)
    assert torch.equal(MovedOn(positions, 5)(embedded, start=2), positions(embedded, start=7))


def test_the_empty_table_adds_nothing():
    assert torch.equal(nowhere(3, 4), torch.zeros(3, 4))


def test_a_moved_model_is_put_back_and_moving_by_nothing_changes_nothing(corpus):
    run = train_arm("learned", 1, 3, corpus, **TINY)
    kept = run.model.source_positions
    assert bleu(run, "test", 0, 5) == bleu(run, "test", 0, 5)
    bleu(run, "test", 30, 5)
    assert run.model.source_positions is kept


def test_losses_by_position_add_up_to_the_corpus_loss(corpus):
    run = train_arm("none", 1, 3, corpus, **TINY)
    found = loss_by_position(run, "valid", 60)
    total = sum(loss * count for loss, count in found.values()) / sum(count for _, count in found.values())
    assert total == pytest.approx(run.valid_loss, rel=1e-4)


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_trains_and_is_measured(arm, corpus):
    found = measured(arm, 1, 2, corpus, **TINY)
    assert found["arm"] == arm and found["test"] >= 0 and set(found["test_moved_on"]) <= set(map(str, MOVES))
    assert json.loads(json.dumps(found)) == found


def test_a_record_can_be_read_and_names_a_command(tmp_path, monkeypatch):
    monkeypatch.setattr("utils.experiments.positions.measured", lambda *a: {"arm": a[0], "test": 1, "long": 1})
    record(tmp_path / "run.json", [1, 2], 7, ["none", "learned"])
    found = json.loads((tmp_path / "run.json").read_text())
    assert len(found["results"]) == 4 and found["settings"]["updates"] == 7
    assert "--updates 7 --seeds 1 2" in found["command"] and {"versions", "hardware", "commit"} <= set(found)


def test_the_recorded_run_says_what_the_chapter_says():
    recorded = json.loads(RECORDED.read_text())
    runs = {arm: [result for result in recorded["results"] if result["arm"] == arm] for arm in ARMS}
    assert all(len(found) == 3 for found in runs.values())
    scores = {arm: {split: [run[split] for run in found] for split in ("test", "long")} for arm, found in runs.items()}
    placed, bags = scores["sinusoidal"]["test"] + scores["learned"]["test"], scores["none"]["test"]
    assert min(placed) > max(bags + scores["shuffled"]["test"]) + 10
    for result in runs["sinusoidal"] + runs["learned"]:
        assert result["long"] < 0.6 * result["test"] and result["test_moved_on"]["8"] < 0.5 * result["test"]
