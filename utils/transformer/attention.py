"""Attention, written to be read (§3.2).

Everything here returns its attention weights, so that they can be looked at. `fused.py` holds the form that
training uses: the same numbers, faster, without the weights.
"""

import math

import torch
from torch import Tensor, nn

from utils.errors import ConfigError, ShapeError


def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """softmax(QKᵀ / √d_k) V (§3.2.1, Eq. 1).

    query: (..., target_len, d_k); key: (..., source_len, d_k); value: (..., source_len, d_v);
    mask: bool, broadcastable to (..., target_len, source_len), True = may attend.
    Returns (output (..., target_len, d_v), weights (..., target_len, source_len)).
    A query that may attend to nothing gets weights and output of zero.
    Raises ShapeError, in words, when widths or lengths do not fit.
    """
    check_attention_shapes(query, key, value, mask)
    d_k = query.size(-1)
    scores = query @ key.transpose(-2, -1) / math.sqrt(d_k)  # (..., target_len, source_len)
    if mask is None:
        weights = scores.softmax(dim=-1)
    else:
        nothing_to_see = ~mask.any(dim=-1, keepdim=True)  # softmax of a row of −∞ would be NaN
        scores = scores.masked_fill(~mask, -math.inf).masked_fill(nothing_to_see, 0.0)
        weights = scores.softmax(dim=-1).masked_fill(nothing_to_see, 0.0)
    return weights @ value, weights


def check_attention_shapes(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> None:
    """Raises ShapeError in words when the inputs of an attention do not fit together."""
    if query.size(-1) != key.size(-1):
        raise ShapeError(
            f"Queries of width {query.size(-1)} cannot be compared with keys of width {key.size(-1)}: "
            f"both need the same d_k."
        )
    if key.size(-2) != value.size(-2):
        raise ShapeError(
            f"There are {key.size(-2)} keys and {value.size(-2)} values: each key needs exactly one value."
        )
    if mask is None:
        return
    if mask.dtype != torch.bool:
        raise ShapeError(f"The mask has dtype {mask.dtype}; it must be bool, True where a query may attend.")
    wanted = (*query.shape[:-1], key.size(-2))
    pairs = zip(reversed(mask.shape), reversed(wanted), strict=False)
    if mask.dim() > len(wanted) or any(have not in (1, want) for have, want in pairs):
        raise ShapeError(f"A mask of shape {tuple(mask.shape)} does not broadcast to the scores' shape {wanted}.")


class AdditiveAttention(nn.Module):
    """vᵀ tanh(W q + U k): the attention of Bahdanau et al. (2014) that §3.2.1 compares with."""

    def __init__(self, query_width: int, key_width: int, d_hidden: int) -> None:
        super().__init__()
        self.query_projection = nn.Linear(query_width, d_hidden, bias=False)
        self.key_projection = nn.Linear(key_width, d_hidden, bias=True)
        self.score = nn.Linear(d_hidden, 1, bias=False)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """query: (..., target_len, query_width); key: (..., source_len, key_width); value: (..., source_len, d_v).

        Returns (output (..., target_len, d_v), weights (..., target_len, source_len)).
        """
        return self.attend(query, self.key_projection(key), value, mask)

    def attend(
        self, query: Tensor, projected_key: Tensor, value: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """As `forward`, with U k computed beforehand: it is the same at every step of a decoder."""
        hidden = self.query_projection(query).unsqueeze(-2) + projected_key.unsqueeze(-3)
        scores = self.score(hidden.tanh()).squeeze(-1)  # (..., target_len, source_len)
        if mask is None:
            weights = scores.softmax(dim=-1)
        else:
            nothing_to_see = ~mask.any(dim=-1, keepdim=True)
            scores = scores.masked_fill(~mask, -math.inf).masked_fill(nothing_to_see, 0.0)
            weights = scores.softmax(dim=-1).masked_fill(nothing_to_see, 0.0)
        return weights @ value, weights


def split_heads(joined: Tensor, heads: int) -> Tensor:
    """(batch, length, heads · width) → (batch, heads, length, width)."""
    return joined.unflatten(-1, (heads, -1)).transpose(1, 2)


def join_heads(separate: Tensor) -> Tensor:
    """(batch, heads, length, width) → (batch, length, heads · width): Concat of §3.2.2."""
    return separate.transpose(1, 2).flatten(-2)


class MultiHeadAttention(nn.Module):
    """Concat(head_1, …, head_h) W^O with head_i = Attention(Q W_i^Q, K W_i^K, V W_i^V) (§3.2.2).

    The h small matrices W_i^Q stand side by side in one matrix of width heads · d_k; likewise for keys and values.
    d_k and d_v default to d_model / heads, as in the paper.
    """

    def __init__(
        self, d_model: int, heads: int, d_k: int | None = None, d_v: int | None = None, bias: bool = True
    ) -> None:
        super().__init__()
        if (d_k is None or d_v is None) and d_model % heads:
            divisors = ", ".join(str(n) for n in range(1, d_model + 1) if d_model % n == 0 and n <= 64)
            raise ConfigError(f"{heads} heads do not divide d_model = {d_model}: good values are {divisors}.")
        self.heads = heads
        self.d_k = d_k or d_model // heads
        self.d_v = d_v or d_model // heads
        self.query_projection = nn.Linear(d_model, heads * self.d_k, bias=bias)
        self.key_projection = nn.Linear(d_model, heads * self.d_k, bias=bias)
        self.value_projection = nn.Linear(d_model, heads * self.d_v, bias=bias)
        self.output_projection = nn.Linear(heads * self.d_v, d_model, bias=bias)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """query: (batch, target_len, d_model); key, value: (batch, source_len, d_model);
        mask: bool, broadcastable to (batch, heads, target_len, source_len), True = may attend.

        Returns (output (batch, target_len, d_model), weights (batch, heads, target_len, source_len)).
        """
        query = split_heads(self.query_projection(query), self.heads)  # (batch, heads, target_len, d_k)
        key = split_heads(self.key_projection(key), self.heads)  # (batch, heads, source_len, d_k)
        value = split_heads(self.value_projection(value), self.heads)  # (batch, heads, source_len, d_v)
        output, weights = scaled_dot_product_attention(query, key, value, mask)
        return self.output_projection(join_heads(output)), weights
