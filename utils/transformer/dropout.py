"""Dropout (§5.4) as PyTorch has it, and a cheaper one for the CPU."""

import torch
from torch import Tensor, nn


class FusedDropout(nn.Dropout):
    """Dropout (§5.4) that draws four decisions from each 64-bit random number on the CPU, p rounded to 1/65 536.

    The random numbers are most of what dropout costs there, and they are drawn by one core alone.
    """

    def forward(self, x: Tensor) -> Tensor:
        """x: any shape. Returns the same shape."""
        everything = round(self.p * 65536) == 65536  # a bound that 16 bits cannot hold
        if not self.training or self.p == 0 or everything or x.device.type != "cpu":
            return super().forward(x)
        return _CheapDropout.apply(x, self.p)


class _CheapDropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, p: float) -> Tensor:
        draws = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
        kept = (draws.view(torch.int16)[: x.numel()] >= round(p * 65536) - 32768).view(x.shape)
        ctx.save_for_backward(kept)
        ctx.scale = 1 / (1 - p)
        return x.mul(kept).mul_(ctx.scale)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        (kept,) = ctx.saved_tensors
        return gradient.mul(kept).mul_(ctx.scale), None
