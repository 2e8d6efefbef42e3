"""The experiment of chapter 08 trains, averages and searches, and says where its record comes from."""

import json
import math

import pytest
import torch

from utils.experiments import beams
from utils.experiments.beams import (
    as_text,
    averaging,
    beams_experiment,
    log_probabilities,
    search,
    train_and_keep,
    widths_and_penalties,
)
from utils.text.corpora import Corpus
from utils.transformer import BEGIN, END
from utils.translation import Hypothesis
from utils.translation.beam import penalty
from utils.translation.translate import padded

SMALL = dict(layers=1, d_model=16, d_ff=16, heads=2, updates=20, batch_tokens=64, checkpoint_every=5, keep=3)
PAIRS = [("the dog sleeps .", "der Hund schläft ."), ("the cat sleeps .", "die Katze schläft .")]


@pytest.fixture(scope="module")
def little_run():
    return train_and_keep(Corpus("little", {"train": PAIRS * 50, "valid": PAIRS, "test": PAIRS}), **SMALL)


def test_the_last_checkpoints_are_kept_and_averaged(little_run):
    run, checkpoints = little_run
    assert len(checkpoints) == 3
    alone, mean = averaging(run, checkpoints)
    assert (alone["averaged"], mean["averaged"]) == (1, 3) and math.isfinite(mean["valid_loss"])
    name, weight = next(iter(run.model.state_dict().items()))
    torch.testing.assert_close(weight, sum(weights[name] for weights in checkpoints) / 3)


@torch.no_grad()
def test_the_probability_of_a_reference_is_that_of_its_tokens_one_by_one(little_run):
    run, _ = little_run
    source, target = (run.tokeniser.encode(text) for text in PAIRS[0])
    stepper, expected = run.model.start(padded([source])), 0.0
    for token, following in zip([BEGIN, *target], [*target, END], strict=True):
        expected += float(stepper.step(torch.tensor([token])).log_softmax(-1)[0, following])
    assert log_probabilities(run.model, run, PAIRS[:1]) == pytest.approx([expected], abs=1e-3)


def test_a_search_answers_in_the_order_of_its_sources(little_run):
    run, _ = little_run
    sources = [run.tokeniser.encode(text) for text in ("the dog sleeps .", "the dog", "the cat sleeps .")]
    together = search(run.model, sources, 2, 0.6, at_once=2)
    for source, found in zip(sources, together, strict=True):
        assert search(run.model, [source], 2, 0.6)[0].tokens == found.tokens


@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize(("better", "missed"), [(0.5, 0.0), (-0.5, 1.0)])
def test_a_reference_is_missed_where_its_score_is_better(little_run, monkeypatch, alpha, better, missed):
    run, _ = little_run
    log_p = log_probabilities(run.model, run, PAIRS)
    scores = [
        p / penalty(len(run.tokeniser.encode(target)) + 1, alpha) for p, (_, target) in zip(log_p, PAIRS, strict=True)
    ]
    found = [Hypothesis([5], score + better, p - 9 * better) for p, score in zip(log_p, scores, strict=True)]
    monkeypatch.setattr(beams, "search", lambda *a: found)
    assert widths_and_penalties(run, (2,), (alpha,), sentences=2)[0]["missed"] == missed


def test_a_record_holds_every_search():
    corpus = Corpus("little", {"train": PAIRS * 50, "valid": PAIRS, "test": PAIRS})
    grid = dict(widths=(1, 2), alphas=(0.0, 0.6), sentences=2)
    records = beams_experiment((1,), lambda line: None, grid, corpus=corpus, **SMALL)
    asked = [(record["beam"], record["alpha"]) for record in records[0]["search"]]
    assert asked == [(1, 0.0), (2, 0.0), (2, 0.6)]
    assert json.loads(as_text({"results": records})) == {"results": records}
