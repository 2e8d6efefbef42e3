"""Where a token stands: sinusoidal and learned positions (§3.5)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from utils.errors import ConfigError, ShapeError


def sinusoidal_table(length: int, d_model: int) -> Tensor:
    """PE[pos, 2i] = sin(pos / 10000^(2i/d_model)), PE[pos, 2i+1] = the cosine of the same angle (§3.5).

    Returns float32 (length, d_model). Angles are taken in float64: at position 5 000 a float32 angle is
    already wrong in the fourth digit.
    Raises ConfigError for an odd d_model, since sines and cosines come in pairs.
    """
    if d_model % 2:
        raise ConfigError(f"Sinusoidal positions need an even d_model, not {d_model}: use {d_model + 1}.")
    position = torch.arange(length, dtype=torch.float64)[:, None]  # (length, 1)
    even = torch.arange(0, d_model, 2, dtype=torch.float64)  # (d_model / 2,), the 2i of the formula
    angle = position / 10000 ** (even / d_model)  # (length, d_model / 2)
    table = torch.empty(length, d_model, dtype=torch.float64)
    table[:, 0::2] = angle.sin()
    table[:, 1::2] = angle.cos()
    return table.float()


class SinusoidalPositions(nn.Module):
    """Adds the fixed sinusoids of §3.5. No parameters; the table grows when a longer sentence comes."""

    def __init__(
        self, d_model: int, max_len: int = 256, make_table: Callable[[int, int], Tensor] = sinusoidal_table
    ) -> None:
        super().__init__()
        self.d_model = d_model
        self.make_table = make_table
        self.register_buffer("table", make_table(max_len, d_model), persistent=False)

    def forward(self, embedded: Tensor, start: int = 0) -> Tensor:
        """embedded: (batch, length, d_model), the first of them at position `start`. Returns the same shape."""
        end = start + embedded.size(1)
        if end > self.table.size(0):
            self.table = self.make_table(2 * end, self.d_model).to(self.table)
        return embedded + self.table[start:end]


class LearnedPositions(nn.Module):
    """Adds a trained vector per position (§3.5, row E of Table 3). Knows no position beyond `max_len`."""

    def __init__(self, d_model: int, max_len: int = 256) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(max_len, d_model) / d_model**0.5)

    def forward(self, embedded: Tensor, start: int = 0) -> Tensor:
        """embedded: (batch, length, d_model). Returns the same shape; ShapeError beyond `max_len`."""
        end = start + embedded.size(1)
        if end > self.table.size(0):
            raise ShapeError(
                f"Learned positions end at {self.table.size(0)} and this text needs {end}: "
                f"set max_len to at least {end}, or use sinusoidal positions."
            )
        return embedded + self.table[start:end]
