"""Decoding with a cache gives what decoding without one gives, whatever is reordered and kept on the way."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.transformer import CLEAR, FUSED, PADDING, Transformer, TransformerConfig
from utils.transformer.incremental import FullDecoder, IncrementalDecoder, can_cache

SMALL = dict(vocab_size=19, layers=2, d_model=8, d_ff=12, heads=2, max_len=64)


def make(parts=FUSED, **settings) -> Transformer:
    torch.manual_seed(3)
    return Transformer(TransformerConfig(**SMALL, **settings), parts).eval()


def sentences(batch: int, length: int = 5) -> torch.Tensor:
    drawn = torch.randint(4, 19, (batch, length))
    for row in range(1, batch):
        drawn[row, max(1, length - row) :] = PADDING  # each shorter than the one before
    return drawn


def both(model, source, beams):
    steppers = model.start(source, beams), model.start(source, beams, cache=False)
    assert [type(stepper) for stepper in steppers] == [IncrementalDecoder, FullDecoder]
    return steppers


def step_both(cached, full, tokens):
    logits = cached.step(tokens)
    assert logits.shape == (len(tokens), 19)
    torch.testing.assert_close(logits, full.step(tokens), atol=2e-5, rtol=1e-4)


@torch.no_grad()
@given(st.data())
@settings(max_examples=60)
def test_cached_equals_uncached_through_reordering_and_keeping(data):
    model = make(
        norm=data.draw(st.sampled_from(["post", "pre"])),
        positions=data.draw(st.sampled_from(["sinusoidal", "learned"])),
        attention_bias=data.draw(st.booleans()),
        **data.draw(st.sampled_from([{}, {"d_k": 3, "d_v": 5}])),
    )
    batch, beams = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4))
    cached, full = both(model, sentences(batch), beams)
    for _ in range(data.draw(st.integers(1, 6))):
        tokens = data.draw(st.lists(st.integers(1, 18), min_size=batch * beams, max_size=batch * beams))
        step_both(cached, full, torch.tensor(tokens))
        action = data.draw(st.sampled_from(["go on", "reorder", "keep"]))
        if action == "reorder":  # any hypothesis may follow any other of its sentence, several the same one
            chosen = data.draw(st.lists(st.integers(0, beams - 1), min_size=batch * beams, max_size=batch * beams))
            rows = torch.tensor([row // beams * beams + choice for row, choice in enumerate(chosen)])
            cached.reorder(rows), full.reorder(rows)
        elif action == "keep":
            kept = data.draw(st.lists(st.integers(0, batch - 1), min_size=1, max_size=batch, unique=True))
            cached.keep(torch.tensor(kept)), full.keep(torch.tensor(kept))
            batch = len(kept)


@torch.no_grad()
@pytest.mark.parametrize("parts", [CLEAR, FUSED], ids=["clear", "fused"])
@pytest.mark.parametrize("beams", [1, 2, 3, 4])
def test_stepping_equals_one_pass_with_teacher_forcing_beyond_32_tokens(parts, beams):
    model = make(parts)
    source, target = sentences(2), torch.randint(4, 19, (2 * beams, 36))
    want = model(source.repeat_interleave(beams, dim=0), target)
    stepper = model.start(source, beams)
    for position in range(36):
        logits = stepper.step(target[:, position])
        torch.testing.assert_close(logits, want[:, position], atol=2e-5, rtol=1e-4)
        if position in (15, 16, 31):  # around the moments when the cache grows
            stepper.reorder(torch.arange(2 * beams))


@torch.no_grad()
def test_the_cache_grows_from_16_to_32_to_64():
    stepper = make().start(sentences(1))
    capacities = []
    for _ in range(40):
        stepper.step(torch.tensor([5]))
        capacities.append(stepper.self_caches[0].keys.size(2))
    assert capacities == [16] * 16 + [32] * 16 + [64] * 8


@torch.no_grad()
def test_reordering_after_growth_keeps_the_prefix():
    cached, full = both(make(), sentences(2), 2)
    for position in range(20):
        step_both(cached, full, torch.randint(4, 19, (4,)))
        if position % 3 == 2:
            rows = torch.tensor([1, 0, 3, 3])
            cached.reorder(rows), full.reorder(rows)


@torch.no_grad()
def test_the_source_is_encoded_and_projected_once():
    model = make()
    calls = []
    model.encoder.register_forward_hook(lambda *_: calls.append("encoder"))
    model.decoder.layers[0].cross_attention.key_projection.register_forward_hook(lambda *_: calls.append("keys"))
    stepper = model.start(sentences(2), beams=3)
    for _ in range(4):
        stepper.step(torch.full((6,), 5))
    assert calls == ["encoder", "keys"]


@torch.no_grad()
def test_sentences_may_be_dropped_before_the_first_step_without_a_cache():
    full = make().start(sentences(3), beams=2, cache=False)
    full.keep(torch.tensor([2, 0]))
    assert full.step(torch.full((4,), 5)).shape == (4, 19)


@torch.no_grad()
@pytest.mark.parametrize("action", ["keep", "reorder"])
def test_keeping_and_reordering_before_the_first_step(action):
    cached, full = both(make(), sentences(2), 1)
    for stepper in (cached, full):
        getattr(stepper, action)(torch.tensor([0, 1]))
    step_both(cached, full, torch.tensor([5, 6]))


def test_attention_laid_out_otherwise_steps_without_a_cache():
    class Other(torch.nn.Module):
        def forward(self, query, key, value, mask=None):
            return query, None

    model = make()
    assert can_cache(model)
    model.decoder.layers[1].cross_attention = Other()
    assert not can_cache(model)
    assert isinstance(model.start(sentences(1)), FullDecoder)


@torch.no_grad()
def test_forking_at_every_step_equals_decoding_without_a_cache():
    model, source = make(), sentences(2)
    cached, full = both(model, source, 2)
    for step in range(70):  # through several blocks of columns
        step_both(cached, full, torch.randint(4, 19, (4,)))
        rows = torch.tensor([1, 0, 2, 2]) if step % 2 else torch.tensor([0, 0, 3, 2])
        cached.reorder(rows), full.reorder(rows)
        if step % 7 == 0:  # what is not in use must not matter, short of NaN
            for cache in cached.self_caches:
                cache.keys[:, :, cache.filled :] = 1e4


@torch.no_grad()
@pytest.mark.parametrize("beams", [17, 33, 100])
def test_many_hypotheses_at_once(beams):
    model, source = make(), sentences(2)
    cached, full = both(model, source, beams)
    step_both(cached, full, torch.full((2 * beams,), 2))  # all alike, as a search begins
    for _ in range(4):
        step_both(cached, full, torch.randint(4, 19, (2 * beams,)))
        rows = (torch.randint(0, beams, (2, beams)) + torch.tensor([[0], [beams]])).flatten()
        cached.reorder(rows), full.reorder(rows)
