"""Chapter 03's experiment: three kinds of scores in one attention, and the recorded runs that the chapter shows."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from utils.experiments.additive import SCORES, ScoredAttention, one_training
from utils.transformer import FUSED, AdditiveAttention, MultiHeadAttention, Transformer, TransformerConfig
from utils.transformer.incremental import can_cache

RUNS = Path(__file__).parents[2] / "assets/runs"


def attention_of(kind: str) -> ScoredAttention:
    torch.manual_seed(1)
    return ScoredAttention(8, 2, d_k=3, score=kind, d_v=4)


def inputs() -> tuple[torch.Tensor, ...]:
    torch.manual_seed(2)
    mask = torch.ones(5, 5, dtype=torch.bool).tril()
    x = torch.randn(2, 5, 8)
    return x, x, x, mask


def test_scaled_is_multi_head_attention():
    ours = attention_of("scaled")
    output, weights = ours(*inputs())
    expected = ours.projections(*inputs())
    assert isinstance(ours.projections, MultiHeadAttention)
    assert torch.allclose(output, expected[0], atol=1e-6) and torch.allclose(weights, expected[1], atol=1e-6)


def test_unscaled_is_scaled_with_queries_longer_by_the_root():
    unscaled, scaled = attention_of("unscaled"), attention_of("scaled")
    scaled.load_state_dict(unscaled.state_dict())
    with torch.no_grad():
        for part in scaled.projections.query_projection.parameters():
            part.mul_(3**0.5)
    assert torch.allclose(unscaled(*inputs())[0], scaled(*inputs())[0], atol=1e-5)


def test_additive_scores_are_those_of_the_course():
    ours, one_head = attention_of("additive"), AdditiveAttention(3, 3, 3)
    query, key = torch.randn(2, 2, 4, 3), torch.randn(2, 2, 5, 3)
    with torch.no_grad():
        for projection in (one_head.query_projection, one_head.key_projection):
            projection.weight.copy_(torch.eye(3))
        one_head.key_projection.bias.zero_()
        for head in range(2):
            one_head.score.weight.copy_(ours.direction[head : head + 1])
            _, weights = one_head(query[:, head], key[:, head], key[:, head])
            assert torch.allclose(ours.scores(query, key)[:, head].softmax(-1), weights, atol=1e-6)


def test_only_v_comes_on_top():
    counts = [sum(parameter.numel() for parameter in attention_of(kind).parameters()) for kind in SCORES]
    assert counts[0] == counts[1] == counts[2] - 2 * 3


@pytest.mark.parametrize("kind", SCORES)
def test_decoding_takes_no_cache_that_would_score_otherwise(kind):
    config = TransformerConfig(vocab_size=11, d_model=8, d_ff=8, heads=2, layers=1)
    model = Transformer(config, replace(FUSED, attention=partial(ScoredAttention, score=kind)))
    assert not can_cache(model)


@pytest.mark.parametrize("kind", SCORES)
def test_a_training_says_all_that_the_chapter_shows(kind):
    changes = {"updates": 2, "d_model": 8, "d_ff": 8, "d_v": 8, "layers": 1, "batch_tokens": 256, "warmup": 1}
    result = one_training(kind, 8, seed=1, sentences=4, **changes)
    assert result["score"] == kind and result["d_k"] == 8 and result["seed"] == 1
    assert result["valid_loss"] > 0 and 0 <= result["bleu"] <= 100


@pytest.mark.parametrize("file", ["03-additive", "03-additive-narrow-keys", "03-additive-slower"])
def test_recorded_runs_hold_what_the_chapter_shows(file):
    record = json.loads((RUNS / f"{file}.json").read_text(encoding="utf-8"))
    assert record["command"].startswith("python -m utils.experiments.additive ")
    assert {"versions", "hardware", "commit", "settings", "seeds", "results"} <= set(record)
    kinds = {result["score"] for result in record["results"]}
    assert {"scaled", "unscaled"} <= kinds
    for kind in kinds:
        assert sorted(result["seed"] for result in record["results"] if result["score"] == kind) == record["seeds"]
