"""What chapter 02 asks for and the model has no use for: answers that live beside the exercise."""

import math
from collections.abc import Callable

import torch
from torch import Tensor


def position_code(position: int, d_model: int) -> Tensor:
    """The code of one position: entry 2i is sin(position / 10000^(2i/d_model)), entry 2i + 1 its cosine (§3.5).

    Returns float32 (d_model,).
    """
    code = torch.zeros(d_model)
    for i in range(d_model // 2):
        angle = position / 10000 ** (2 * i / d_model)
        code[2 * i] = math.sin(angle)
        code[2 * i + 1] = math.cos(angle)
    return code


def wavelengths(d_model: int, base: float = 10000.0) -> Tensor:
    """After how many tokens each pair of dimensions comes round again (§3.5), the fastest pair first.

    Returns float32 (d_model / 2,).
    """
    even = torch.arange(0, d_model, 2)  # (d_model / 2,), the 2i of the formula
    return 2 * math.pi * base ** (even / d_model)


def shift_matrix(offset: int, d_model: int) -> Tensor:
    """M_k with PE[position + k] = M_k PE[position] for every position, k = offset (§3.5).

    Returns float32 (d_model, d_model): blocks of 2 × 2 along the diagonal, zero elsewhere.
    """
    matrix = torch.zeros(d_model, d_model)
    for i in range(d_model // 2):
        angle = offset / 10000 ** (2 * i / d_model)
        sine, cosine = math.sin(angle), math.cos(angle)
        pair = slice(2 * i, 2 * i + 2)
        matrix[pair, pair] = torch.tensor([[cosine, sine], [-sine, cosine]])
    return matrix


def rotate(x: Tensor, start: int = 0) -> Tensor:
    """Rotary positions (Su et al. 2021): turns each pair (x_2i, x_2i+1) counter-clockwise by
    position / 10000^(2i/d_k).

    x: (batch, heads, length, d_k), queries or keys, the first of them at position `start`.
    Returns the same shape, dtype and device.
    """
    length, d_k = x.shape[-2:]
    position = torch.arange(start, start + length, dtype=torch.float64)[:, None]  # (length, 1)
    angle = position / 10000 ** (torch.arange(0, d_k, 2, dtype=torch.float64) / d_k)  # (length, d_k / 2)
    sine, cosine = angle.sin().to(x), angle.cos().to(x)
    first, second = x[..., 0::2], x[..., 1::2]  # (batch, heads, length, d_k / 2)
    pairs = torch.stack([first * cosine - second * sine, first * sine + second * cosine], dim=-1)
    return pairs.flatten(-2)


def is_equivariant(function: Callable[[Tensor], Tensor], x: Tensor, order: Tensor) -> bool:
    """Whether reordering the positions before `function` gives what reordering them after it gives.

    function: from (batch, length, d_model) to the same shape; x: (batch, length, d_model); order: (length,), a
    permutation of the positions. Returns True or False.
    """
    before, after = function(x[:, order]), function(x)[:, order]
    return torch.allclose(before, after, atol=1e-5)
