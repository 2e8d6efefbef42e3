"""What chapter 04 asks for and the model has no use for: answers that live beside the exercise."""

import torch
from torch import Tensor

from utils.transformer.attention import scaled_dot_product_attention


def heads_by_loop(
    query: Tensor, key: Tensor, value: Tensor, query_weights: Tensor, key_weights: Tensor, value_weights: Tensor,
    output_weight: Tensor,
) -> Tensor:  # fmt: skip
    """Concat(head_1, …, head_h) W^O with head_i = Attention(Q W_i^Q, K W_i^K, V W_i^V), head by head (§3.2.2).

    query: (..., target_len, d_model); key, value: (..., source_len, d_model);
    query_weights, key_weights: (heads, d_model, d_k); value_weights: (heads, d_model, d_v);
    output_weight: (heads · d_v, d_model). Returns (..., target_len, d_model).
    """
    heads = []
    for w_query, w_key, w_value in zip(query_weights, key_weights, value_weights, strict=True):
        head, _ = scaled_dot_product_attention(query @ w_query, key @ w_key, value @ w_value)
        heads.append(head)  # (..., target_len, d_v)
    return torch.cat(heads, dim=-1) @ output_weight


def attention_counts(
    target_len: int, source_len: int, d_model: int, heads: int, d_k: int, d_v: int, bias: bool = True
) -> tuple[int, int]:
    """Parameters of multi-head attention, and the multiplications of its matrix products for one sentence (§3.2.2).

    Counted are the four projections, QKᵀ and the mixing of values; not the additions of biases, the scale, the softmax.
    Returns (parameters, multiplications).
    """
    parameters = heads * (2 * d_k + d_v) * (d_model + bias) + (heads * d_v + bias) * d_model
    projections = d_model * heads * (target_len * d_k + source_len * d_k + source_len * d_v + target_len * d_v)
    attending = heads * target_len * source_len * (d_k + d_v)
    return parameters, projections + attending


def as_torch_mask(mask: Tensor, batch: int, heads: int, target_len: int) -> Tensor:
    """A mask of the course as `torch.nn.MultiheadAttention` wants `attn_mask`: there, True = must not be seen.

    mask: bool, broadcastable to (batch, heads, target_len, source_len), with four axes, the last one full.
    Returns bool (batch · heads, target_len, source_len), the heads of a sentence next to each other.
    """
    blocked = ~mask
    return blocked.expand(batch, heads, target_len, -1).flatten(0, 1)


def grouped_query_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Eq. 1 with fewer key and value heads than query heads; neighbouring query heads share one (Ainslie et al. 2023).

    query: (batch, heads, target_len, d_k); key: (batch, groups, source_len, d_k); value: (batch, groups, source_len,
    d_v), where groups divides heads; mask: bool, broadcastable to (batch, heads, target_len, source_len).
    Returns (output (batch, heads, target_len, d_v), weights (batch, heads, target_len, source_len)).
    """
    sharing = query.size(1) // key.size(1)  # query heads that share one head of keys and values
    key = key.repeat_interleave(sharing, dim=1)  # (batch, heads, source_len, d_k)
    value = value.repeat_interleave(sharing, dim=1)  # (batch, heads, source_len, d_v)
    return scaled_dot_product_attention(query, key, value, mask)
