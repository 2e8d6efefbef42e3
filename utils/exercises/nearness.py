"""Which numbers count as equal, and how many digits show that two do not."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from utils.exercises.structure import FEW_DIGITS, SHOWN, digits_apart, leaves

TOLERANCE = {torch.float64: 1e-8, torch.float32: 5e-5, torch.bfloat16: 2e-2, torch.float16: 2e-3}


def close(got: Tensor, expected: Tensor, tolerance: float | None = None, noise: float = 1e-12) -> bool:
    """Whether two tensors of one shape hold the same numbers, NaN being equal to NaN: to the letter for whole numbers
    and truth values, else within a tolerance relative to the largest expected number, and to what is but `noise`.
    """
    got, expected = got.detach(), expected.detach()
    if got.shape != expected.shape or got.device != expected.device:
        return False
    return bool(_near(got, expected, tolerance, noise).all())


def close_gradient(got: Tensor, expected: Tensor, noise: float) -> bool:
    """The same for gradients, which add up more rounding than values do."""
    return close(got, expected, 1e-3 if expected.dtype == torch.float32 else 1e-6, noise)


def noise_of(gradients: Iterable[Tensor | None]) -> float:
    """What is but rounding among gradients that were computed together: some are 0 in exact arithmetic, such as that
    of a bias in front of keys.
    """
    there = [gradient for gradient in gradients if gradient is not None and gradient.numel()]
    rounding = 1e-6 if any(gradient.dtype == torch.float32 for gradient in there) else 1e-12
    largest = [gradient.abs().max().item() for gradient in there if bool(gradient.isfinite().all())]
    return rounding * max([1e-6, *largest])


def _near(got: Tensor, expected: Tensor, tolerance: float | None, noise: float = 1e-12) -> Tensor:
    """Number by number what `close` says of all."""
    if not (got.is_floating_point() or expected.is_floating_point()):
        return got == expected
    tolerance = tolerance or max(TOLERANCE.get(got.dtype, 1e-6), TOLERANCE.get(expected.dtype, 1e-6))
    wide = torch.complex128 if got.is_complex() or expected.is_complex() else torch.float64
    got, expected = got.to(wide), expected.to(wide)
    finite = expected.isfinite()
    scale = expected[finite].abs().max().item() if bool(finite.any()) else 1.0
    near = (got - expected).abs() <= tolerance * scale + noise
    same = (got == expected) | (got.isnan() & expected.isnan())
    return torch.where(finite, near, same)


def digits_to_differ(got: Any, expected: Any, tolerance: float | None = None) -> int:
    """With how many digits numbers are to be shown so that those which are wrong look different from what is expected;
    those which differ by rounding alone need not.
    """
    mine, theirs = dict(leaves(got)), dict(leaves(expected))
    digits = [_digits_of(mine[way], theirs[way], tolerance) for way in mine.keys() & theirs.keys()]
    return max([FEW_DIGITS, *digits])


def _digits_of(one: Any, other: Any, tolerance: float | None) -> int:
    if isinstance(one, int | float) and isinstance(other, int | float):
        whole = isinstance(one, int) and isinstance(other, int)  # shown in full anyway
        return FEW_DIGITS if whole else digits_apart(one, other)
    if not isinstance(one, Tensor) or not isinstance(other, Tensor):
        return FEW_DIGITS
    if one.shape != other.shape or one.device != other.device or one.device.type == "meta" or one.numel() > SHOWN:
        return FEW_DIGITS
    if not (one.is_floating_point() and other.is_floating_point()):  # whole numbers are shown in full
        return FEW_DIGITS
    wrong = ~_near(one.detach(), other.detach(), tolerance)
    pairs = zip(one.detach()[wrong].tolist(), other.detach()[wrong].tolist(), strict=True)
    return max([FEW_DIGITS, *(digits_apart(*pair) for pair in pairs)])
