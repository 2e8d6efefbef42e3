"""What goes into a call and what comes out of it: tensors, numbers, and lists, tuples and dictionaries of them."""

import inspect
import numbers
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

SHOWN = 24  # numbers of a tensor that a message shows
FEW_DIGITS, ALL_DIGITS = 4, 17  # significant digits that a number is shown with; 17 tell any two apart


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every part of a nested value with the way to it: ("[0]['table'][2]", part)."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from leaves(part, f"{path}[{key!r}]")
    elif isinstance(value, list | tuple):
        for index, part in enumerate(value):
            yield from leaves(part, f"{path}[{index}]")
    else:
        yield path, value


def tensors(value: Any) -> list[Tensor]:
    """The tensors in a nested value, in order."""
    return [part for _, part in leaves(value) if isinstance(part, Tensor)]


def is_whole(value: Any) -> bool:
    """Whether something can be an index: an int, NumPy's too, or a tensor of one whole number."""
    if isinstance(value, Tensor):
        return value.numel() == 1 and not (value.is_floating_point() or value.is_complex())
    return isinstance(value, numbers.Integral)


def size(value: Any) -> int:
    """How much there is to read: numbers in all tensors."""
    return sum(part.numel() if isinstance(part, Tensor) else 1 for _, part in leaves(value))


def plain(value: Any) -> bool:
    """Whether something is made of so few numbers and words that it is best shown as a whole."""
    parts = [part for _, part in leaves(value)]
    return len(parts) <= SHOWN and all(part is None or isinstance(part, int | float | str) for part in parts)


def kind_of(value: Any) -> str:
    """What something is, in words: "a Tensor of shape (2, 3)", "None", "a tuple of 2"."""
    if value is None:
        return "None"
    if isinstance(value, Tensor):
        return f"a Tensor of shape {tuple(value.shape)}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    if inspect.iscoroutine(value):
        return "a coroutine, which `async def` makes (write `def`)"
    if inspect.isgenerator(value):
        return "a generator, which `yield` or `(… for …)` makes"
    name = type(value).__name__
    article = "an" if name[:1].lower() in "aeiou" else "a"
    return f"{article} {type(value).__module__}.{name}" if type(value).__module__ == "numpy" else f"{article} {name}"


def digits_apart(one: float, other: float) -> int:
    """How many digits it takes to see that two numbers differ, if they do; no fewer than numbers are shown with."""
    for digits in range(FEW_DIGITS, ALL_DIGITS + 1):
        if f"{one:.{digits}g}" != f"{other:.{digits}g}":
            return digits
    return FEW_DIGITS


def shown(value: Any, digits: int = FEW_DIGITS) -> str:
    """A value in short: every number of a small tensor, shape and kind of a large one."""
    if isinstance(value, Tensor):
        return _shown_tensor(value, digits)
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    if isinstance(value, tuple | list):
        inside = ", ".join(shown(part, digits) for part in value)
        if isinstance(value, tuple):
            return f"({inside},)" if len(value) == 1 else f"({inside})"
        return f"[{inside}]"
    if isinstance(value, torch.nn.Module | torch.optim.Optimizer):
        return f"a {type(value).__name__}"
    if callable(value):
        return f"the function {getattr(value, '__name__', '')}".rstrip()
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + " …"


def _shown_tensor(tensor: Tensor, digits: int) -> str:
    shape = "×".join(map(str, tensor.shape)) or "one number"
    kind = "" if tensor.dtype in (torch.float32, torch.int64, torch.bool) else f", {dtype_name(tensor.dtype)}"
    if tensor.device.type == "meta":
        return f"({shape}{kind}, on the device meta)"
    if tensor.numel() > SHOWN:
        return f"({shape}{kind}, too many to show)"
    return f"({shape}{kind}) {_numbers(tensor.detach().cpu().tolist(), digits)}"


def _numbers(nested: Any, digits: int) -> str:
    if isinstance(nested, list):
        return "[" + ", ".join(_numbers(part, digits) for part in nested) + "]"
    if isinstance(nested, bool):
        return str(nested)
    return f"{nested:.{digits}g}" if isinstance(nested, float) else str(nested)


def dtype_name(dtype: torch.dtype) -> str:
    """float32 for torch.float32."""
    return str(dtype).removeprefix("torch.")
