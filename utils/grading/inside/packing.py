"""Results of the learner's code as plain JSON: numbers, texts, and tensors as shape, dtype and little-endian bytes.

`bundles.py` reads it back on the grader's side, where nothing in it is trusted.
"""

import base64
import sys
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from utils.exercises.calling import Outcome
from utils.exercises.structure import dtype_name, kind_of

DEEPEST = 12  # nesting of lists and dictionaries
MOST_BYTES = 4_000_000  # of all tensors in one bundle
LONGEST = 4_000  # characters of a text
BYTES_AS = {torch.bool: torch.uint8, torch.bfloat16: torch.int16}  # what has no NumPy type is sent as these bytes


class TooLarge(Exception):
    """More than the grader takes."""


class Packer:
    """Packs the outcomes of one probe, and counts their size."""

    def __init__(self) -> None:
        self.left = MOST_BYTES

    def outcome(self, outcome: Outcome) -> dict[str, Any]:
        """One call's outcome; a result too large to send becomes trouble."""
        packed: dict[str, Any] = {"damaged": [_cut(name, 200) for name in outcome.damaged[:50]]}
        packed["printed"] = _cut(outcome.printed, 2_000)
        trouble = outcome.trouble
        try:
            if trouble is None:
                packed["value"] = self.value(outcome.value)
                if outcome.gradients is not None:
                    packed["gradients"] = {str(k)[:200]: self.value(v) for k, v in outcome.gradients.items()}
        except Exception as error:
            said = f"the result cannot be sent to the grader ({type(error).__name__}: {_cut(error)})"
            packed["trouble"] = {"kind": "raised", "name": type(error).__name__, "message": said, "lines": []}
        if trouble is not None:
            lines = [_cut(line, 300) for line in trouble.lines[:6]]
            message = _cut(trouble.message)
            packed["trouble"] = {
                "kind": trouble.kind,
                "name": _cut(trouble.name, 200),
                "message": message,
                "lines": lines,
            }
        return packed

    def value(self, value: Any, depth: int = 0) -> list:
        """A nested value: the first entry of each list says what it is."""
        if depth > DEEPEST:
            raise TooLarge("it is nested too deeply")
        if isinstance(value, Tensor):
            return self.tensor(value)
        if value is None:
            return ["none"]
        if isinstance(value, bool):
            return ["bool", bool(value)]
        if type(value) in (int, float, str):
            return ["int", str(value)[:400]] if type(value) is int else self._plain(value)
        if isinstance(value, tuple | list):
            kind = "tuple" if isinstance(value, tuple) else "list"
            return [kind, [self.value(part, depth + 1) for part in self._counted(value)]]
        if isinstance(value, Mapping):
            pairs = [(self.value(k, depth + 1), self.value(v, depth + 1)) for k, v in self._counted(value.items())]
            return ["mapping", pairs]
        return ["other", _cut(kind_of(value), 200), type(value).__module__[:60], type(value).__name__[:60]]

    def _plain(self, value: float | str) -> list:
        if isinstance(value, float):
            return ["float", float(value).hex()]
        return ["str", _cut(value)]

    def _counted(self, parts: Any) -> list:
        found = list(parts)
        self.left -= 16 * len(found)
        if self.left < 0:
            raise TooLarge("it is too large")
        return found

    def tensor(self, value: Tensor) -> list:
        """An ordinary tensor with its bytes; of any other only what it is."""
        description = {"dtype": dtype_name(value.dtype), "shape": list(value.shape)[:32], "device": value.device.type}
        if value.layout != torch.strided or value.is_quantized:
            return ["tensor", {**description, "device": "unusual"}]
        plain = value.detach().as_subclass(Tensor)
        if plain.device.type != "cpu":
            return ["tensor", description]
        self.left -= plain.numel() * plain.element_size()
        if self.left < 0:
            raise TooLarge(f"a tensor of shape {tuple(plain.shape)} is too large")
        plain = plain.resolve_conj().resolve_neg().contiguous()
        if plain.dtype in BYTES_AS:
            plain = plain.view(BYTES_AS[plain.dtype])
        numbers = plain.numpy()
        if sys.byteorder == "big":
            numbers = numbers.byteswap()
        return ["tensor", {**description, "data": base64.b64encode(numbers.tobytes()).decode("ascii")}]


def _cut(text: Any, longest: int = LONGEST) -> str:
    text = str(text)
    return text if len(text) <= longest else text[:longest] + " …"
