"""The other sub-layers, and the layers they make up (§3.1, §3.3, §5.4, figure 1)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from utils.errors import ConfigError


class LayerNorm(nn.Module):
    """(x − mean) / √(variance + ε) · gain + bias, over the last axis (Ba et al. 2016, used in §3.1).

    The variance is the biased one and ε stands inside the root; an unbiased one would be off by 13 % at width 4.
    """

    def __init__(self, d_model: int, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.gain = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model))

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., d_model). Returns the same shape."""
        centred = x - x.mean(dim=-1, keepdim=True)
        variance = centred.square().mean(dim=-1, keepdim=True)
        return centred / (variance + self.epsilon).sqrt() * self.gain + self.bias


class FeedForward(nn.Module):
    """max(0, x W_1 + b_1) W_2 + b_2, at every position alike (§3.3, Eq. 2)."""

    def __init__(self, d_model: int, d_ff: int) -> None:
        super().__init__()
        self.inner = nn.Linear(d_model, d_ff)
        self.outer = nn.Linear(d_ff, d_model)

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., d_model). Returns the same shape."""
        return self.outer(self.inner(x).relu())


class Residual(nn.Module):
    """Wraps a sub-layer. norm="post": LayerNorm(x + Dropout(Sublayer(x))), the paper (§3.1, §5.4);
    norm="pre": x + Dropout(Sublayer(LayerNorm(x))), as most models since.
    """

    def __init__(self, normalise: nn.Module, dropout: float, norm: str = "post") -> None:
        super().__init__()
        if norm not in ("post", "pre"):
            raise ConfigError(f"norm is {norm!r}: good values are 'post' (the paper) and 'pre'.")
        self.normalise = normalise
        self.dropout = nn.Dropout(dropout)
        self.norm = norm

    def forward(self, x: Tensor, sublayer: Callable[[Tensor], Tensor]) -> Tensor:
        """x: (batch, length, d_model); sublayer keeps the shape. Returns the same shape."""
        if self.norm == "pre":
            return x + self.dropout(sublayer(self.normalise(x)))
        return self.normalise(x + self.dropout(sublayer(x)))


class EncoderLayer(nn.Module):
    """Self-attention, then feed-forward, each in a residual connection (figure 1, left)."""

    def __init__(self, self_attention: nn.Module, feed_forward: nn.Module, residuals: list[Residual]) -> None:
        super().__init__()
        self.self_attention = self_attention
        self.feed_forward = feed_forward
        self.residuals = nn.ModuleList(residuals)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """x: (batch, length, d_model); mask: bool, broadcastable to (batch, heads, length, length)."""
        x = self.residuals[0](x, lambda y: self.self_attention(y, y, y, mask)[0])
        return self.residuals[1](x, self.feed_forward)


class DecoderLayer(nn.Module):
    """Masked self-attention, attention to the encoder's output, feed-forward (figure 1, right)."""

    def __init__(
        self,
        self_attention: nn.Module,
        cross_attention: nn.Module,
        feed_forward: nn.Module,
        residuals: list[Residual],
    ) -> None:
        super().__init__()
        self.self_attention = self_attention
        self.cross_attention = cross_attention
        self.feed_forward = feed_forward
        self.residuals = nn.ModuleList(residuals)

    def forward(
        self, x: Tensor, memory: Tensor, target_mask: Tensor | None = None, source_mask: Tensor | None = None
    ) -> Tensor:
        """x: (batch, target_len, d_model); memory: (batch, source_len, d_model), the encoder's output;
        target_mask, source_mask: bool, broadcastable to (batch, heads, target_len, target_len or source_len).
        """
        x = self.residuals[0](x, lambda y: self.self_attention(y, y, y, target_mask)[0])
        x = self.residuals[1](x, lambda y: self.cross_attention(y, memory, memory, source_mask)[0])
        return self.residuals[2](x, self.feed_forward)
