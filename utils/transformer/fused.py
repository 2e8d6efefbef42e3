"""The fast forms: the same numbers as `attention.py` and `layers.py` (tested), through PyTorch's fused kernels.

They have the same parameters under the same names, so that a state dict of one loads into the other.
"""

import torch
from torch import Tensor, nn

from utils.transformer.attention import (
    MultiHeadAttention,
    check_attention_shapes,
    join_heads,
    scaled_dot_product_attention,
    split_heads,
)
from utils.transformer.dropout import FusedDropout
from utils.transformer.layers import LayerNorm, Residual

SHORT = 64  # up to this length PyTorch's CPU kernel keeps to one core, and matrix products on all cores are faster


def fused_attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Eq. 1 through `torch.nn.functional.scaled_dot_product_attention`; shapes as in the clear form.

    Returns the output alone: the kernel never holds the whole matrix of weights. Short sequences on several cores of a
    CPU take the matrix products of the clear form, which are faster there.
    A query that may attend to nothing gets zeros, as in the clear form.
    """
    if query.device.type == "cpu" and torch.get_num_threads() > 1 and max(query.size(-2), key.size(-2)) <= SHORT:
        return scaled_dot_product_attention(query, key, value, mask)[0]
    check_attention_shapes(query, key, value, mask)
    if mask is not None and mask.dim() < 2:  # the kernel, unlike broadcasting, wants the two last axes
        mask = mask.reshape(1, -1)
    return nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)


def stacked(*projections: nn.Linear) -> tuple[Tensor, Tensor | None]:
    """Weights and biases of several projections, one below the other: one matrix product serves them all."""
    weight = torch.cat([projection.weight for projection in projections])
    biases = [projection.bias for projection in projections]
    return weight, None if biases[0] is None else torch.cat(biases)


class FusedMultiHeadAttention(MultiHeadAttention):
    """Multi-head attention for training: one product for Q, K and V, and the fused kernel. Returns no weights."""

    def forward(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> tuple[Tensor, None]:
        """Inputs as in `MultiHeadAttention.forward`. Returns (output (batch, target_len, d_model), None)."""
        query, key, value = self.project(query, key, value)
        output = fused_attention(query, key, value, mask)
        return self.output_projection(join_heads(output)), None

    def project(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Projects and splits into heads, with as few matrix products as the inputs allow."""
        widths = [self.heads * self.d_k, self.heads * self.d_k, self.heads * self.d_v]
        if query is key and key is value:
            weight, bias = stacked(self.query_projection, self.key_projection, self.value_projection)
            query, key, value = nn.functional.linear(query, weight, bias).split(widths, dim=-1)
        elif key is value:
            weight, bias = stacked(self.key_projection, self.value_projection)
            query = self.query_projection(query)
            key, value = nn.functional.linear(key, weight, bias).split(widths[1:], dim=-1)
        else:
            query, key, value = self.query_projection(query), self.key_projection(key), self.value_projection(value)
        return split_heads(query, self.heads), split_heads(key, self.heads), split_heads(value, self.heads)


class FusedLayerNorm(LayerNorm):
    """Layer normalisation through PyTorch's kernel."""

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., d_model). Returns the same shape."""
        return nn.functional.layer_norm(x, self.gain.shape, self.gain, self.bias, self.epsilon)


class FusedResidual(Residual):
    """The residual connection with the cheaper dropout."""

    def __init__(self, normalise: nn.Module, dropout: float, norm: str = "post") -> None:
        super().__init__(normalise, dropout, norm)
        self.dropout = FusedDropout(dropout)
