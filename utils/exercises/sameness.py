"""How a misconception is recognised: by an outcome that is the same as the answer's."""

import math
import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from utils.exercises.calling import Outcome
from utils.exercises.nearness import close, close_gradient, noise_of
from utils.exercises.structure import leaves

SHAPE, PARAMETER = r"\([\d, ]*\)", r"[\w.]+(?= \()"  # in a message on parameters


def alike(one: Outcome, other: Outcome, tolerance: float | None = None) -> bool:
    """Whether two outcomes are the same, errors and damage included: how a misconception is recognised."""
    if (one.trouble is None) != (other.trouble is None):
        return False
    if one.trouble is not None and one.trouble.kind == other.trouble.kind == "weights":
        return _same_parameters(one.trouble.message, other.trouble.message)
    if one.trouble is not None:
        return (one.trouble.kind, one.trouble.name, one.trouble.message) == (
            other.trouble.kind, other.trouble.name, other.trouble.message,
        )  # fmt: skip
    if set(one.damaged) != set(other.damaged):
        return False
    if one.gradients is not None and other.gradients is not None and not _same_gradients(one, other):
        return False
    if not _same_form(one.value, other.value):
        return False
    mine, theirs = list(leaves(one.value)), list(leaves(other.value))
    if len(mine) != len(theirs) or isinstance(one.value, Mapping) != isinstance(other.value, Mapping):
        return False
    return all(a == b and _alike_leaf(x, y, tolerance) for (a, x), (b, y) in zip(mine, theirs, strict=True))


def _same_form(one: Any, other: Any) -> bool:
    """Whether two values are dictionaries and lists of the same make, whatever lies in them; tuples count as lists."""
    if isinstance(one, Mapping) or isinstance(other, Mapping):
        if not (isinstance(one, Mapping) and isinstance(other, Mapping) and one.keys() == other.keys()):
            return False
        return all(_same_form(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) or isinstance(other, list | tuple):
        if not (isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other)):
            return False
        return all(_same_form(mine, theirs) for mine, theirs in zip(one, other, strict=True))
    return True


def _same_parameters(one: str, other: str) -> bool:
    """Whether two messages on parameters tell of the same ones: the same names, if they are among those asked for, for
    then they tell which is missing; else the same shapes, whatever they are called.
    """
    if one == other:
        return True
    (mine, asked), (theirs, _) = (text.partition("; what is asked for")[::2] for text in (one, other))
    if all(
        name in re.findall(PARAMETER, asked) for name in re.findall(PARAMETER, mine) + re.findall(PARAMETER, theirs)
    ):
        return False
    return sorted(re.findall(SHAPE, mine)) == sorted(re.findall(SHAPE, theirs))


def _same_gradients(one: Outcome, other: Outcome) -> bool:
    noise = noise_of(one.gradients.values())
    for name, gradient in one.gradients.items():
        counterpart = other.gradients.get(name)
        if (gradient is None) != (counterpart is None):
            return False
        if gradient is not None and not close_gradient(counterpart, gradient, noise):
            return False
    return True


def _alike_leaf(one: Any, other: Any, tolerance: float | None) -> bool:
    if isinstance(one, Tensor) != isinstance(other, Tensor):
        return False
    if isinstance(one, Tensor):
        if one.device != other.device or one.dtype != other.dtype or one.shape != other.shape:
            return False
        return one.device.type == "meta" or close(one, other, tolerance)
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9) or (math.isnan(one) and math.isnan(other))
    try:
        return type(one) is type(other) and bool(one == other)
    except Exception:
        return False
