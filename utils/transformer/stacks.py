"""N layers on top of each other, built from whichever parts one is given (§3.1)."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from utils.transformer.attention import MultiHeadAttention
from utils.transformer.config import TransformerConfig
from utils.transformer.embeddings import OutputLayer, TokenEmbedding
from utils.transformer.fused import FusedLayerNorm, FusedMultiHeadAttention, FusedResidual
from utils.transformer.layers import DecoderLayer, EncoderLayer, FeedForward, LayerNorm, Residual
from utils.transformer.positions import sinusoidal_table


@dataclass(frozen=True)
class Parts:
    """What a model is built from: constructors with the signatures of the classes named here, and the function that
    makes the table of positions.
    """

    attention: Callable[..., nn.Module] = FusedMultiHeadAttention
    layer_norm: Callable[..., nn.Module] = FusedLayerNorm
    feed_forward: Callable[..., nn.Module] = FeedForward
    residual: Callable[..., nn.Module] = FusedResidual
    encoder_layer: Callable[..., nn.Module] = EncoderLayer
    decoder_layer: Callable[..., nn.Module] = DecoderLayer
    embedding: Callable[..., nn.Module] = TokenEmbedding
    output: Callable[..., nn.Module] = OutputLayer
    position_table: Callable[[int, int], Tensor] = sinusoidal_table


FUSED = Parts()
CLEAR = Parts(attention=MultiHeadAttention, layer_norm=LayerNorm, residual=Residual)


class Stack(nn.Module):
    """Layers in sequence; with pre-norm a last normalisation, since there each layer leaves its sum unnormalised."""

    def __init__(self, layers: list[nn.Module], final_norm: nn.Module | None) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.final_norm = final_norm

    def forward(self, x: Tensor, *context: Tensor | None) -> Tensor:
        """x: (batch, length, d_model); context: what each layer takes after x. Returns the shape of x."""
        for layer in self.layers:
            x = layer(x, *context)
        return x if self.final_norm is None else self.final_norm(x)


def encoder_stack(config: TransformerConfig, parts: Parts = FUSED) -> Stack:
    """N encoder layers; called as stack(x, mask)."""
    layers = [
        parts.encoder_layer(_attention(config, parts), _feed_forward(config, parts), _residuals(2, config, parts))
        for _ in range(config.layers)
    ]
    return Stack(layers, _final_norm(config, parts))


def decoder_stack(config: TransformerConfig, parts: Parts = FUSED) -> Stack:
    """N decoder layers; called as stack(x, memory, target_mask, source_mask)."""
    layers = [
        parts.decoder_layer(
            _attention(config, parts),
            _attention(config, parts),
            _feed_forward(config, parts),
            _residuals(3, config, parts),
        )
        for _ in range(config.layers)
    ]
    return Stack(layers, _final_norm(config, parts))


def _attention(config: TransformerConfig, parts: Parts) -> nn.Module:
    return parts.attention(config.d_model, config.heads, config.d_k, config.d_v, config.attention_bias)


def _feed_forward(config: TransformerConfig, parts: Parts) -> nn.Module:
    return parts.feed_forward(config.d_model, config.d_ff)


def _residuals(count: int, config: TransformerConfig, parts: Parts) -> list[nn.Module]:
    return [parts.residual(parts.layer_norm(config.d_model), config.dropout, config.norm) for _ in range(count)]


def _final_norm(config: TransformerConfig, parts: Parts) -> nn.Module | None:
    return parts.layer_norm(config.d_model) if config.norm == "pre" else None
