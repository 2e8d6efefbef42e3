"""Layer normalisation, feed-forward, residual connections and layers."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.errors import ConfigError
from utils.transformer import (
    DecoderLayer,
    EncoderLayer,
    FeedForward,
    LayerNorm,
    MultiHeadAttention,
    Residual,
    causal_mask,
)


@given(st.integers(2, 9), st.floats(0.01, 100), st.floats(-50, 50), st.integers(0, 10**6))
@settings(max_examples=40)
def test_layer_norm_equals_torch(width, size, shift, seed):
    torch.manual_seed(seed)
    norm = LayerNorm(width).double()
    with torch.no_grad():
        norm.gain.normal_(), norm.bias.normal_()
    x = shift + size * torch.randn(3, 2, width, dtype=torch.float64)
    theirs = torch.nn.functional.layer_norm(x, (width,), norm.gain, norm.bias, norm.epsilon)
    torch.testing.assert_close(norm(x), theirs, atol=1e-8, rtol=1e-8)


def test_layer_norm_uses_the_biased_variance():
    x = torch.tensor([[1.0, 2.0, 3.0, 4.0]])  # mean 2.5, biased variance 1.25, unbiased 5/3
    torch.testing.assert_close(LayerNorm(4, epsilon=0.0)(x)[0, 3], torch.tensor(1.5 / 1.25**0.5))
    unbiased = (x - x.mean()) / x.std()
    assert abs((unbiased / LayerNorm(4)(x)).mean().item() - 0.75**0.5) < 1e-4  # 13 % too small


def test_layer_norm_has_epsilon_inside_the_root():
    x = torch.tensor([[-1e-3, 1e-3]], dtype=torch.float64)  # variance 1e-6, smaller than ε
    norm = LayerNorm(2).double()
    torch.testing.assert_close(norm(x)[0, 1].item(), 1e-3 / (1e-6 + 1e-5) ** 0.5)
    outside = 1e-3 / (1e-3 + 1e-5)
    assert abs(norm(x)[0, 1].item() - outside) > 0.5
    assert (norm(torch.zeros(1, 2, dtype=torch.float64)) == 0).all()


def test_feed_forward_is_equation_2_at_every_position_alike():
    feed_forward = FeedForward(4, 7).double()
    x = torch.randn(2, 5, 4, dtype=torch.float64)
    inner, outer = feed_forward.inner, feed_forward.outer
    want = torch.clamp(x @ inner.weight.T + inner.bias, min=0) @ outer.weight.T + outer.bias
    torch.testing.assert_close(feed_forward(x), want)
    torch.testing.assert_close(feed_forward(x[:, 2:3]), feed_forward(x)[:, 2:3])


def test_residual_post_and_pre():
    x, norm = torch.randn(2, 3, 4), LayerNorm(4)
    double = lambda y: 2 * y  # noqa: E731
    torch.testing.assert_close(Residual(norm, 0.0, "post")(x, double), norm(3 * x))
    torch.testing.assert_close(Residual(norm, 0.0, "pre")(x, double), x + 2 * norm(x))


def test_residual_drops_the_sublayer_and_never_the_stream():
    x = torch.ones(1, 1000, 4)
    residual = Residual(torch.nn.Identity(), 0.5, "pre").train()
    added = residual(x, lambda y: y) - x
    assert set(added.unique().tolist()) == {0.0, 2.0}  # dropped, or scaled by 1 / (1 − P_drop)
    assert 0.4 < (added == 0).float().mean() < 0.6
    torch.testing.assert_close(residual.eval()(x, lambda y: y), 2 * x)


def test_residual_names_the_good_norms():
    with pytest.raises(ConfigError, match="'post' .* and 'pre'"):
        Residual(LayerNorm(4), 0.1, "middle")


def parts(norm: str, count: int) -> list[Residual]:
    return [Residual(LayerNorm(8), 0.0, norm) for _ in range(count)]


def test_encoder_layer_is_attention_then_feed_forward():
    attention, feed_forward = MultiHeadAttention(8, 2), FeedForward(8, 16)
    layer = EncoderLayer(attention, feed_forward, parts("post", 2))
    x, mask = torch.randn(2, 5, 8), torch.tensor([True, True, True, False, True])
    first = layer.residuals[0].normalise(x + attention(x, x, x, mask)[0])
    torch.testing.assert_close(layer(x, mask), layer.residuals[1].normalise(first + feed_forward(first)))


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_decoder_layer_masks_its_own_side_and_the_other(norm):
    layer = DecoderLayer(MultiHeadAttention(8, 2), MultiHeadAttention(8, 2), FeedForward(8, 16), parts(norm, 3))
    x, memory = torch.randn(2, 5, 8), torch.randn(2, 4, 8)
    source_mask = torch.tensor([True, False, True, True])
    before = layer(x, memory, causal_mask(5), source_mask)
    future, hidden = x.clone(), memory.clone()
    future[:, 3:] = torch.randn(2, 2, 8)
    hidden[:, 1] = 99.0
    torch.testing.assert_close(layer(future, hidden, causal_mask(5), source_mask)[:, :3], before[:, :3])
    hidden[:, 2] = -9.0  # a word that is not masked does matter
    assert not torch.allclose(layer(x, hidden, causal_mask(5), source_mask), before, atol=1e-3)
