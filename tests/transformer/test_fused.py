"""Fused forms give the numbers and gradients of the clear ones."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.errors import ShapeError
from utils.transformer import (
    FusedLayerNorm,
    FusedMultiHeadAttention,
    LayerNorm,
    MultiHeadAttention,
    fused_attention,
    scaled_dot_product_attention,
)
from utils.transformer.dropout import FusedDropout
from utils.transformer.fused import stacked

MASK_SHAPES = [
    None,
    (3, 5),
    (1, 5),
    (3, 1),
    (1, 1),
    (2, 1, 1, 5),
    (1, 1, 3, 5),
    (2, 4, 3, 5),
    (1, 4, 1, 5),
    (2, 1, 3, 1),
]


def assert_same(ours, theirs, inputs, tolerance):
    """Equal values, and equal gradients of every input, under an arbitrary loss."""
    upstream = torch.randn_like(ours)
    own = torch.autograd.grad(ours, inputs, upstream, retain_graph=True)
    other = torch.autograd.grad(theirs, inputs, upstream)
    for have, want in ((ours, theirs), *zip(own, other, strict=True)):
        assert have.isfinite().all() and want.isfinite().all()
        torch.testing.assert_close(have, want, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("mask_shape", MASK_SHAPES, ids=str)
def test_fused_equals_clear(dtype, mask_shape):
    query, key = torch.randn(2, 4, 3, 6, dtype=dtype), torch.randn(2, 4, 5, 6, dtype=dtype)
    inputs = [x.requires_grad_() for x in (query, key, torch.randn(2, 4, 5, 7, dtype=dtype))]
    mask = None if mask_shape is None else torch.rand(mask_shape) > 0.4
    clear, _ = scaled_dot_product_attention(*inputs, mask)
    assert_same(fused_attention(*inputs, mask), clear, inputs, 1e-5 if dtype == torch.float32 else 1e-12)


@given(
    st.lists(st.integers(1, 3), max_size=2),
    st.integers(1, 6),
    st.integers(1, 6),
    st.integers(1, 5),
    st.integers(0, 10**6),
)
@settings(max_examples=40)
def test_fused_equals_clear_at_drawn_shapes(leading, target_len, source_len, width, seed):
    torch.manual_seed(seed)
    lengths = (target_len, source_len, source_len)
    inputs = [torch.randn(*leading, n, width, dtype=torch.float64, requires_grad=True) for n in lengths]
    mask = torch.rand(target_len, source_len) > 0.5
    clear, _ = scaled_dot_product_attention(*inputs, mask)
    assert_same(fused_attention(*inputs, mask), clear, inputs, 1e-11)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_fully_masked_rows_are_zero_in_value_and_gradient(dtype):
    query, key, value = (torch.randn(1, 2, 3, 4, dtype=dtype, requires_grad=True) for _ in range(3))
    mask = torch.tensor([[True, True, False], [False, False, False], [True, True, True]])
    output = fused_attention(query, key, value, mask)
    output.square().sum().backward()
    assert (output[:, :, 1] == 0).all() and (query.grad[:, :, 1] == 0).all()
    assert all(x.grad.isfinite().all() for x in (query, key, value))
    query.grad = None
    everything_masked = fused_attention(query, key, value, torch.zeros(3, 3, dtype=torch.bool))
    everything_masked.sum().backward()
    assert (everything_masked == 0).all() and (query.grad == 0).all()


def test_a_mask_of_one_axis_broadcasts_as_in_the_clear_form():
    query, key, value = torch.randn(2, 4, 3, 6), torch.randn(2, 4, 5, 6), torch.randn(2, 4, 5, 6)
    mask = torch.tensor([True, True, False, True, False])
    torch.testing.assert_close(
        fused_attention(query, key, value, mask), scaled_dot_product_attention(query, key, value, mask)[0]
    )


def test_shape_errors_are_those_of_the_clear_form():
    with pytest.raises(ShapeError, match="cannot be compared"):
        fused_attention(torch.randn(3, 4), torch.randn(5, 6), torch.randn(5, 6))


def twins(**settings) -> tuple[MultiHeadAttention, FusedMultiHeadAttention]:
    clear, fused = (kind(12, 3, **settings).double() for kind in (MultiHeadAttention, FusedMultiHeadAttention))
    fused.load_state_dict(clear.state_dict())
    return clear, fused


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("widths", [{}, {"d_k": 2, "d_v": 5}], ids=str)
@pytest.mark.parametrize("kind", ["self", "cross", "three different"])
def test_fused_multi_head_attention_equals_clear(kind, widths, bias):
    clear, fused = twins(bias=bias, **widths)
    query, key, value = (torch.randn(2, n, 12, dtype=torch.float64, requires_grad=True) for n in (4, 6, 6))
    inputs = {"self": (query, query, query), "cross": (query, key, key), "three different": (query, key, value)}[kind]
    mask = torch.rand(2, 1, 1, inputs[1].size(1)) > 0.4
    different = list(dict.fromkeys(inputs))
    output, nothing = fused(*inputs, mask)
    assert nothing is None
    assert_same(output, clear(*inputs, mask)[0], different, 1e-11)
    for attention in (clear, fused):
        attention(*inputs, mask)[0].square().sum().backward()
    for ours, theirs in zip(fused.parameters(), clear.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_stacked_keeps_order_and_absence_of_biases():
    clear, _ = twins()
    weight, bias = stacked(clear.query_projection, clear.key_projection)
    torch.testing.assert_close(weight[12:], clear.key_projection.weight)
    torch.testing.assert_close(bias[:12], clear.query_projection.bias)
    assert stacked(twins(bias=False)[0].query_projection)[1] is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_fused_layer_norm_equals_clear(dtype):
    clear, fused = LayerNorm(6).to(dtype), FusedLayerNorm(6).to(dtype)
    with torch.no_grad():
        clear.gain.uniform_(), clear.bias.uniform_()
    fused.load_state_dict(clear.state_dict())
    x = (3 + 2 * torch.randn(2, 5, 6, dtype=dtype)).requires_grad_()
    assert_same(fused(x), clear(x), [x], 2e-5 if dtype == torch.float32 else 1e-11)


@pytest.mark.parametrize("share", [1e-7, 0.3, 0.9, 1 - 1e-7, 1.0])
def test_cheap_dropout_drops_the_share_it_is_told(share):
    torch.manual_seed(0)
    dropped = FusedDropout(share)(torch.ones(20_000)) == 0
    assert abs(dropped.double().mean().item() - share) < 0.02
