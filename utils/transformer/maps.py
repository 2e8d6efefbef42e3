"""The attention weights of a model on given sentences, whichever parts it is built from."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from utils.transformer.attention import MultiHeadAttention
from utils.transformer.fused import FusedMultiHeadAttention


@dataclass(frozen=True)
class AttentionMaps:
    """One tensor a layer, (batch, heads, query length, key length); rows are queries."""

    encoder: list[Tensor]
    decoder: list[Tensor]
    cross: list[Tensor]


@torch.no_grad()
def attention_maps(model: nn.Module, source: Tensor, target: Tensor) -> AttentionMaps:
    """Runs (batch, source_len) and (batch, target_len) ids through a `Transformer` and keeps every head's weights.

    A fused attention returns no weights; so each attention's inputs are caught and put through the clear form.
    """
    caught: dict[nn.Module, Tensor] = {}

    def catch(module: nn.Module, inputs: tuple) -> None:
        clear = MultiHeadAttention.forward if isinstance(module, FusedMultiHeadAttention) else type(module).forward
        caught[module] = clear(module, *inputs)[1]

    encoder = [layer.self_attention for layer in model.encoder.layers]
    decoder = [layer.self_attention for layer in model.decoder.layers]
    cross = [layer.cross_attention for layer in model.decoder.layers]
    hooks = [attention.register_forward_pre_hook(catch) for attention in (*encoder, *decoder, *cross)]
    was_training = model.training
    try:
        model.eval()
        model.states(source, target)
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    return AttentionMaps(*([caught[attention] for attention in group] for group in (encoder, decoder, cross)))
