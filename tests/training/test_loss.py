"""The smoothed loss against its definition, PyTorch's, and the fused form; what padding gets."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from utils.errors import ConfigError, ShapeError
from utils.training import loss as losses
from utils.training.loss import FusedOutputLoss, smoothed_cross_entropy, summed_loss
from utils.transformer import PADDING, Transformer, TransformerConfig


def test_by_hand_on_three_entries():
    logits = torch.tensor([[2.0, 1.0, 0.0]])
    log_sum = math.log(math.exp(2) + math.exp(1) + 1)
    q = [0.9 * (entry == 1) + 0.1 / 3 for entry in range(3)]  # ε / V on each, the target and padding included
    expected = sum(share * (log_sum - value) for share, value in zip(q, (2.0, 1.0, 0.0), strict=True))
    assert smoothed_cross_entropy(logits, torch.tensor([1]), 0.1).item() == pytest.approx(expected, rel=1e-6)


@given(st.integers(1, 6), st.integers(1, 7), st.integers(2, 11), st.floats(0, 0.9), st.integers(0, 10**6))
def test_equals_the_definition_and_pytorch(batch, length, vocab_size, smoothing, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, length, vocab_size, generator=generator, dtype=torch.float64)
    targets = torch.randint(0, vocab_size, (batch, length), generator=generator)
    targets[0, 0] = 1
    one_hot = torch.nn.functional.one_hot(targets, vocab_size).double()
    q = (1 - smoothing) * one_hot + smoothing / vocab_size
    per_token = -(q * logits.log_softmax(-1)).sum(-1)
    expected = per_token[targets != PADDING].mean()
    loss = smoothed_cross_entropy(logits, targets, smoothing)
    torch.testing.assert_close(loss, expected)
    theirs = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=PADDING, label_smoothing=smoothing
    )
    torch.testing.assert_close(loss, theirs)


@given(st.integers(1, 40), st.integers(5, 30), st.floats(0, 0.9), st.floats(0.1, 60), st.integers(0, 10**6))
def test_fused_form_has_the_same_value_and_gradients(tokens, vocab_size, smoothing, scale, seed):
    generator = torch.Generator().manual_seed(seed)
    states = (torch.randn(tokens, 6, generator=generator, dtype=torch.float64) * scale).requires_grad_()
    weight = torch.randn(vocab_size, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(1, vocab_size, (tokens,), generator=generator)
    clear = smoothed_cross_entropy(states @ weight.T, targets, smoothing)
    fused = FusedOutputLoss.apply(states, weight, targets, smoothing) / tokens
    torch.testing.assert_close(fused, clear)
    for ours, theirs in zip(
        torch.autograd.grad(fused, (states, weight)), torch.autograd.grad(clear, (states, weight)), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-9)


def test_fused_form_in_pieces(monkeypatch):
    monkeypatch.setattr(losses, "ROWS_AT_ONCE", 7)
    test_fused_form_has_the_same_value_and_gradients()


def test_padding_counts_for_nothing():
    logits, targets = torch.randn(2, 5, 9), torch.tensor([[4, 5, 3, 0, 0], [6, 3, 0, 0, 0]])
    changed = logits.clone()
    changed[targets == 0] = 100 * torch.randn(5, 9)
    torch.testing.assert_close(smoothed_cross_entropy(changed, targets), smoothed_cross_entropy(logits, targets))
    assert smoothed_cross_entropy(logits, torch.zeros(2, 5, dtype=torch.long)).item() == 0


def test_a_model_s_summed_loss_is_the_mean_times_the_tokens():
    torch.manual_seed(0)
    model = Transformer(TransformerConfig(vocab_size=20, layers=1, d_model=16, d_ff=16, heads=2)).eval()
    source = torch.tensor([[4, 5, 6, 3], [7, 3, 0, 0]])
    target = torch.tensor([[2, 8, 9, 3], [2, 8, 3, 0]])
    summed = summed_loss(model, source, target[:, :-1], target[:, 1:], 0.1)
    mean = smoothed_cross_entropy(model(source, target[:, :-1]), target[:, 1:], 0.1)
    torch.testing.assert_close(summed, mean * 5)
    assert mean.item() == pytest.approx(math.log(20), rel=0.4)  # an untrained model knows next to nothing


def test_refusals():
    with pytest.raises(ShapeError, match="do not fit"):
        smoothed_cross_entropy(torch.zeros(2, 3, 4), torch.zeros(2, 4, dtype=torch.long))
    with pytest.raises(ConfigError, match="from 0 up to"):
        smoothed_cross_entropy(torch.zeros(1, 4), torch.ones(1, dtype=torch.long), 1.0)
