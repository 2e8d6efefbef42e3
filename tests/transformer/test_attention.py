"""Eq. 1 by hand, by loop and by property; multi-head attention against PyTorch's."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from utils.errors import ConfigError, ShapeError
from utils.transformer import (
    AdditiveAttention,
    MultiHeadAttention,
    causal_mask,
    join_heads,
    scaled_dot_product_attention,
    split_heads,
)

LENGTHS = st.integers(1, 6)


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_loop(query, key, value, mask):
    """Eq. 1 one number at a time."""
    output, weights = torch.zeros(len(query), value.size(1)).double(), torch.zeros(len(query), len(key)).double()
    for t in range(len(query)):
        seen = [s for s in range(len(key)) if mask[t, s]]
        scores = {s: sum(query[t, i] * key[s, i] for i in range(key.size(1))) / math.sqrt(key.size(1)) for s in seen}
        total = sum(math.exp(score) for score in scores.values())
        for s, score in scores.items():
            weights[t, s] = math.exp(score) / total
            output[t] += weights[t, s] * value[s]
    return output, weights


def test_one_number_by_hand():
    # d_k = 4: scores 2 ln 3 / √4 = ln 3 and 0, so weights 3/4 and 1/4, and 3/4 · 4 + 1/4 · 8 = 5.
    query = torch.tensor([[2 * math.log(3), 0.0, 0.0, 0.0]])
    key = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]])
    value = torch.tensor([[4.0], [8.0]])
    output, weights = scaled_dot_product_attention(query, key, value)
    torch.testing.assert_close(weights, torch.tensor([[0.75, 0.25]]))
    torch.testing.assert_close(output, torch.tensor([[5.0]]))


@given(LENGTHS, LENGTHS, st.integers(1, 5), st.integers(1, 4), st.integers(0, 2**31))
@settings(max_examples=40)
def test_equals_plain_loops(target_len, source_len, d_k, d_v, seed):
    query, key, value = drawn(seed, target_len, d_k), drawn(seed + 1, source_len, d_k), drawn(seed + 2, source_len, d_v)
    mask = drawn(seed + 3, target_len, source_len) > -0.3
    for have, want in zip(
        scaled_dot_product_attention(query, key, value, mask), by_loop(query, key, value, mask), strict=True
    ):
        torch.testing.assert_close(have, want)


@given(LENGTHS, LENGTHS, st.integers(0, 2**31), st.floats(0.01, 1000))
@settings(max_examples=40)
def test_rows_sum_to_one_or_zero(target_len, source_len, seed, size):
    query, key, value = (
        size * drawn(seed + i, 2, length, 3) for i, length in enumerate((target_len, *[source_len] * 2))
    )
    mask = drawn(seed + 3, 2, target_len, source_len) > 0
    output, weights = scaled_dot_product_attention(query, key, value, mask)
    torch.testing.assert_close(weights.sum(-1), mask.any(-1).double())
    assert (weights >= 0).all() and (weights[~mask] == 0).all()
    assert output.isfinite().all() and (output[~mask.any(-1)] == 0).all()


def test_fully_masked_row_has_zero_output_and_finite_gradients():
    query, key, value = (drawn(i, 3, 4).requires_grad_() for i in range(3))
    mask = torch.tensor([[True, False, True], [False, False, False], [True, True, True]])
    with torch.autograd.set_detect_anomaly(True):
        output, weights = scaled_dot_product_attention(query, key, value, mask)
        output.square().sum().backward()
    assert (output[1] == 0).all() and (weights[1] == 0).all()
    assert all(x.grad.isfinite().all() for x in (query, key, value))
    assert (query.grad[1] == 0).all()


def test_length_one_copies_the_value():
    value = drawn(2, 1, 5)
    output, weights = scaled_dot_product_attention(drawn(0, 1, 4), drawn(1, 1, 4), value)
    assert weights.item() == 1
    torch.testing.assert_close(output, value)


def test_huge_scores_do_not_overflow():
    query = torch.full((2, 4), 1e18)
    output, weights = scaled_dot_product_attention(query, -query, query)
    assert output.isfinite().all()
    torch.testing.assert_close(weights, torch.full((2, 2), 0.5))


def test_masked_keys_and_values_do_not_matter():
    query, key, value = drawn(0, 3, 4), drawn(1, 5, 4), drawn(2, 5, 4)
    mask = torch.tensor([True, True, False, True, False])
    before, _ = scaled_dot_product_attention(query, key, value, mask)
    key[~mask], value[~mask] = 99.0, -99.0
    after, _ = scaled_dot_product_attention(query, key, value, mask)
    torch.testing.assert_close(after, before)


@given(st.permutations(range(6)), st.integers(0, 2**31))
@settings(max_examples=30)
def test_self_attention_is_permutation_equivariant_without_a_mask(order, seed):
    x, order = drawn(seed, 6, 4), torch.tensor(order)
    output, weights = scaled_dot_product_attention(x, x, x)
    moved, moved_weights = scaled_dot_product_attention(x[order], x[order], x[order])
    torch.testing.assert_close(moved, output[order])
    torch.testing.assert_close(moved_weights, weights[order][:, order])


def test_self_attention_with_a_causal_mask_is_neither_equivariant_nor_invariant():
    x, order = drawn(0, 6, 4), torch.tensor([5, 4, 3, 2, 1, 0])
    mask = causal_mask(6)[0, 0]
    output, _ = scaled_dot_product_attention(x, x, x, mask)
    moved, _ = scaled_dot_product_attention(x[order], x[order], x[order], mask)
    assert not torch.allclose(moved, output[order], atol=1e-3)
    assert not torch.allclose(moved, output, atol=1e-3)


def test_inputs_are_left_alone():
    inputs = [drawn(i, 3, 4) for i in range(3)] + [causal_mask(3)[0, 0]]
    copies = [x.clone() for x in inputs]
    scaled_dot_product_attention(*inputs)
    assert all(torch.equal(x, copy) for x, copy in zip(inputs, copies, strict=True))


@pytest.mark.parametrize(
    ("shapes", "mask", "words"),
    [
        (((3, 4), (5, 6), (5, 4)), None, "width 4 cannot be compared with keys of width 6"),
        (((3, 4), (5, 4), (6, 4)), None, "5 keys and 6 values"),
        (((3, 4), (5, 4), (5, 4)), torch.ones(3, 5), "must be bool"),
        (((3, 4), (5, 4), (5, 4)), torch.ones(4, 5, dtype=torch.bool), r"\(4, 5\) does not broadcast .* \(3, 5\)"),
        (((3, 4), (5, 4), (5, 4)), torch.ones(2, 3, 5, dtype=torch.bool), "does not broadcast"),
    ],
)
def test_shape_errors_in_words(shapes, mask, words):
    with pytest.raises(ShapeError, match=words):
        scaled_dot_product_attention(*(torch.randn(shape) for shape in shapes), mask)


# --- additive attention ---------------------------------------------------------------------------------------


def test_additive_attention_equals_its_formula():
    attention = AdditiveAttention(3, 4, 5).double()
    query, key, value = drawn(0, 2, 6, 3), drawn(1, 2, 7, 4), drawn(2, 2, 7, 8)
    output, weights = attention(query, key, value)
    w, u, b, v = (
        attention.query_projection.weight,
        attention.key_projection.weight,
        attention.key_projection.bias,
        attention.score.weight[0],
    )
    for t, s in ((0, 0), (5, 6)):
        scores = torch.stack([v @ torch.tanh(w @ query[1, t] + u @ key[1, i] + b) for i in range(7)])
        torch.testing.assert_close(weights[1, t, s], scores.softmax(0)[s])
    torch.testing.assert_close(output, weights @ value)


def test_additive_attention_masks_as_the_dot_product_does():
    attention = AdditiveAttention(3, 4, 5)
    query, key, value = torch.randn(2, 6, 3), torch.randn(2, 7, 4), torch.randn(2, 7, 8)
    mask = torch.rand(2, 6, 7) > 0.5
    mask[0, 0] = False
    output, weights = attention(query, key, value, mask)
    assert (weights[~mask] == 0).all() and (output[0, 0] == 0).all()
    torch.testing.assert_close(weights.sum(-1), mask.any(-1).float())
    output.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in attention.parameters())
    torch.testing.assert_close(attention.attend(query, attention.key_projection(key), value, mask)[0], output)


# --- multi-head attention -------------------------------------------------------------------------------------


def test_heads_split_and_join_without_mixing():
    x = torch.arange(2 * 3 * 8.0).view(2, 3, 8)
    apart = split_heads(x, 4)
    assert apart.shape == (2, 4, 3, 2)
    torch.testing.assert_close(apart[1, 2, 0], x[1, 0, 4:6])  # head 2 of token 0 holds columns 4 and 5
    torch.testing.assert_close(join_heads(apart), x)


def as_torch(ours: MultiHeadAttention, d_model: int) -> nn.MultiheadAttention:
    """PyTorch's multi-head attention with our weights."""
    theirs = nn.MultiheadAttention(d_model, ours.heads, batch_first=True, bias=ours.query_projection.bias is not None)
    projections = (ours.query_projection, ours.key_projection, ours.value_projection)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([p.weight for p in projections]))
        theirs.out_proj.weight.copy_(ours.output_projection.weight)
        if theirs.in_proj_bias is not None:
            theirs.in_proj_bias.copy_(torch.cat([p.bias for p in projections]))
            theirs.out_proj.bias.copy_(ours.output_projection.bias)
    return theirs.to(ours.query_projection.weight.dtype)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("heads", "target_len", "source_len"), [(1, 3, 3), (2, 1, 5), (4, 6, 2)])
def test_multi_head_attention_equals_torch_with_the_mask_inverted(heads, target_len, source_len, bias):
    ours = MultiHeadAttention(8, heads, bias=bias).double()
    query, memory = drawn(0, 2, target_len, 8), drawn(1, 2, source_len, 8)
    mask = drawn(2, target_len, source_len) > -0.5
    mask[:, 0] = True  # PyTorch's weights of a fully masked row are NaN
    output, weights = ours(query, memory, memory, mask)
    theirs, their_weights = as_torch(ours, 8)(
        query, memory, memory, attn_mask=~mask, need_weights=True, average_attn_weights=False
    )
    torch.testing.assert_close(output, theirs)
    torch.testing.assert_close(weights, their_weights)


def test_one_head_with_identity_projections_is_plain_attention():
    attention = MultiHeadAttention(4, 1, bias=False)
    for projection in attention.children():
        nn.init.eye_(projection.weight)
    x = torch.randn(2, 5, 4)
    torch.testing.assert_close(attention(x, x, x)[0], scaled_dot_product_attention(x, x, x)[0])


def test_own_widths_of_keys_and_values():
    attention = MultiHeadAttention(10, 3, d_k=2, d_v=5)
    output, weights = attention(torch.randn(2, 4, 10), *[torch.randn(2, 6, 10)] * 2)
    assert output.shape == (2, 4, 10) and weights.shape == (2, 3, 4, 6)
    assert attention.output_projection.in_features == 15


def test_heads_that_do_not_divide_name_those_that_do():
    with pytest.raises(ConfigError, match="good values are 1, 2, 3, 4, 6, 12"):
        MultiHeadAttention(12, 5)
