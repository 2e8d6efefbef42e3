"""Stacks: order, final normalisation, exchangeable parts."""

import pytest
import torch

from utils.transformer import (
    CLEAR,
    FUSED,
    FeedForward,
    FusedLayerNorm,
    FusedMultiHeadAttention,
    LayerNorm,
    MultiHeadAttention,
    Parts,
    TransformerConfig,
    causal_mask,
    decoder_stack,
    encoder_stack,
)

SMALL = dict(vocab_size=11, layers=2, d_model=8, d_ff=16, heads=2, dropout=0.0)


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_layers_run_in_order_and_pre_norm_ends_normalised(norm):
    config = TransformerConfig(**SMALL, norm=norm)
    x, memory = torch.randn(2, 5, 8), torch.randn(2, 4, 8)
    for stack, context in ((encoder_stack(config), (None,)), (decoder_stack(config), (memory, causal_mask(5), None))):
        want = stack.layers[1](stack.layers[0](x, *context), *context)
        assert (stack.final_norm is None) == (norm == "post")
        want = want if stack.final_norm is None else stack.final_norm(want)
        torch.testing.assert_close(stack(x, *context), want)
        torch.testing.assert_close(stack(x, *context).mean(-1), torch.zeros(2, 5), atol=1e-5, rtol=0)


def test_parts_decide_what_a_stack_is_made_of():
    config = TransformerConfig(**SMALL)
    kinds = {type(module) for module in encoder_stack(config, CLEAR).modules()}
    assert {MultiHeadAttention, LayerNorm} <= kinds and not {FusedMultiHeadAttention, FusedLayerNorm} & kinds
    kinds = {type(module) for module in decoder_stack(config, FUSED).modules()}
    assert {FusedMultiHeadAttention, FusedLayerNorm} <= kinds and not {MultiHeadAttention, LayerNorm} & kinds


def test_a_learners_own_part_is_used():
    class Own(FeedForward):
        pass

    stack = decoder_stack(TransformerConfig(**SMALL), Parts(feed_forward=Own))
    assert all(type(layer.feed_forward) is Own for layer in stack.layers)


def test_no_layer_shares_parameters_with_another():
    stack = decoder_stack(TransformerConfig(**SMALL))
    parameters = list(stack.parameters())
    assert len({p.data_ptr() for p in parameters}) == len(parameters)


@pytest.mark.parametrize("make", [encoder_stack, decoder_stack])
def test_clear_and_fused_stacks_load_each_others_weights(make):
    config = TransformerConfig(**SMALL)
    clear, fused = make(config, CLEAR), make(config, FUSED)
    fused.load_state_dict(clear.state_dict())
    x = torch.randn(2, 5, 8)
    context = (None,) if make is encoder_stack else (torch.randn(2, 4, 8), causal_mask(5), None)
    torch.testing.assert_close(fused(x, *context), clear(x, *context), atol=1e-5, rtol=1e-5)
