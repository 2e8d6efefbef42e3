"""What chapter 05 asks for and the model has no use for: a gradient by hand, another form, later parts."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def layer_norm_gradient(x: Tensor, gradient: Tensor, gain: Tensor, epsilon: float = 1e-5) -> Tensor:
    """The gradient of a loss with respect to x, from the one with respect to LayerNorm(x), by hand.

    x: (..., d_model), what went in; gradient: (..., d_model), of the loss with respect to what came out;
    gain: (d_model,). Returns (..., d_model).
    """
    centred = x - x.mean(dim=-1, keepdim=True)
    deviation = (centred.square().mean(dim=-1, keepdim=True) + epsilon).sqrt()  # (..., 1)
    normalised = centred / deviation
    inner = gradient * gain  # of the loss with respect to `normalised`
    along_ones = inner.mean(dim=-1, keepdim=True)
    along_x = (inner * normalised).mean(dim=-1, keepdim=True) * normalised
    return (inner - along_ones - along_x) / deviation


def as_convolutions(
    x: Tensor, inner_weight: Tensor, inner_bias: Tensor, outer_weight: Tensor, outer_bias: Tensor
) -> Tensor:
    """The feed-forward network as two convolutions over the sentence, each of width 1 (§3.3).

    x: (batch, length, d_model); inner_weight: (d_ff, d_model, 1); inner_bias: (d_ff,);
    outer_weight: (d_model, d_ff, 1); outer_bias: (d_model,). Returns (batch, length, d_model).
    """
    channels = x.transpose(1, 2)  # (batch, d_model, length)
    hidden = F.conv1d(channels, inner_weight, inner_bias).relu()  # (batch, d_ff, length)
    return F.conv1d(hidden, outer_weight, outer_bias).transpose(1, 2)


class RMSNorm(nn.Module):
    """x / √(mean of x² + ε) · gain, over the last axis (Zhang and Sennrich 2019)."""

    def __init__(self, d_model: int, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.gain = nn.Parameter(torch.ones(d_model))

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., d_model). Returns the same shape."""
        mean_square = x.square().mean(dim=-1, keepdim=True)
        return x / (mean_square + self.epsilon).sqrt() * self.gain


class SwiGLU(nn.Module):
    """(SiLU(x W) ⊙ x V) W_2 without biases, with as many parameters as Eq. 2 with d_ff (Shazeer 2020)."""

    def __init__(self, d_model: int, d_ff: int) -> None:
        super().__init__()
        width = 2 * d_ff // 3  # three matrices of two thirds of the width
        self.gate = nn.Linear(d_model, width, bias=False)
        self.inner = nn.Linear(d_model, width, bias=False)
        self.outer = nn.Linear(width, d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., d_model). Returns the same shape."""
        return self.outer(F.silu(self.gate(x)) * self.inner(x))
