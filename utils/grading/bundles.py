"""What a kernel says came of its calls, read as if it lied: sizes and kinds are checked, and nothing is executed."""

import base64
import binascii
import json
import math
import re
from typing import Any

import numpy as np
import torch

from utils.exercises.calling import Outcome, Trouble
from utils.grading.texts import harmless, whole

LARGEST = 8_000_000  # characters
DEEPEST = 14
TROUBLES = ("raised", "unwritten", "slow", "weights", "not a module")
SENT_AS = {"bool": np.uint8, "bfloat16": np.int16}
KNOWN = (
    "float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool", "complex64",
    "complex128",
)  # fmt: skip


class BundleError(Exception):
    """A bundle that no probe of ours has made; the sentence says what is wrong with it."""


def read_bundle(text: Any, probe: str) -> dict[str, Any]:
    """The content of a bundle: {"answer": {…}, "outcomes": [Outcome, …], "operations": [text, …]}."""
    if not isinstance(text, str) or len(text) > LARGEST:
        raise BundleError("it is too large, or no text")
    try:
        content = json.loads(text)
        if not isinstance(content, dict) or content.get("probe") != probe:
            raise BundleError("it does not belong to this probe")
        answer, outcomes = content.get("answer"), content.get("outcomes", [])
        if not isinstance(answer, dict) or not isinstance(outcomes, list) or len(outcomes) > 500:
            raise BundleError("it has another form than a probe gives it")
        operations = content.get("operations", [])
        _require(isinstance(operations, list) and len(operations) <= 300)
        operations = [_told(name, 200) for name in operations]
        return {"answer": answer, "outcomes": [_outcome(part) for part in outcomes], "operations": operations}
    except (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        OverflowError,
        RecursionError,
        MemoryError,
        RuntimeError,
    ) as error:
        raise BundleError(f"it cannot be read ({type(error).__name__})") from None


def _outcome(part: Any) -> Outcome:
    _require(isinstance(part, dict))
    trouble = part.get("trouble")
    if trouble is not None:
        _require(isinstance(trouble, dict) and trouble.get("kind") in TROUBLES)
        lines = tuple(_told(line, 400) for line in trouble.get("lines", [])[:6])
        trouble = Trouble(trouble["kind"], _told(trouble["name"], 200), _told(trouble["message"], 5_000), lines)
    gradients = part.get("gradients")
    if gradients is not None:
        _require(isinstance(gradients, dict) and len(gradients) <= 200)
        gradients = {_told(name, 300): _value(value, 0) for name, value in gradients.items()}
        _require(all(value is None or isinstance(value, torch.Tensor) for value in gradients.values()))
    damaged = tuple(_told(name, 300) for name in part.get("damaged", [])[:50])
    value = None if trouble is not None else _value(part["value"], 0)
    return Outcome(value, trouble, damaged, gradients, _told(part.get("printed", ""), 3_000))


def _require(holds: object) -> None:
    if not holds:
        raise BundleError("it has another form than a probe gives it")


def _text(text: Any, longest: int) -> str:
    _require(isinstance(text, str) and len(text) <= longest)
    return text


def _told(text: Any, longest: int) -> str:
    """A text that a person will read."""
    return harmless(_text(text, longest))


def _value(packed: Any, depth: int) -> Any:
    _require(isinstance(packed, list) and 1 <= len(packed) <= 4 and depth <= DEEPEST)
    kind, *rest = packed
    match kind, rest:
        case "none", []:
            return None
        case "bool", [bool(value)]:
            return value
        case "int", [str(value)]:
            return int(_text(value, 400))
        case "float", [str(value)]:
            return float.fromhex(_text(value, 40))
        case "str", [str(value)]:
            return whole(_text(value, 5_000))
        case "tuple", [list(parts)]:
            return tuple(_value(part, depth + 1) for part in parts)
        case "list", [list(parts)]:
            return [_value(part, depth + 1) for part in parts]
        case "mapping", [list(pairs)]:
            return {_key(_value(key, depth + 1)): _value(value, depth + 1) for key, value in pairs}
        case "tensor", [dict(described)]:
            return _tensor(described)
        case "other", [str(described), str(module), str(name)]:
            return _stranger(_told(described, 300), module, name)
    raise BundleError("it has another form than a probe gives it")


def _key(key: Any) -> Any:
    hash(key)
    return key


def _tensor(described: dict[str, Any]) -> Any:
    name, shape, device = described["dtype"], described["shape"], described["device"]
    _require(isinstance(shape, list) and len(shape) <= 32 and all(type(n) is int and 0 <= n < 2**40 for n in shape))
    if device == "unusual" or name not in KNOWN:
        return _stranger("a Tensor of an unusual kind", "torch", "UnusualTensor")
    dtype = getattr(torch, name)
    if device != "cpu":
        _require(device == "meta")
        return torch.empty(shape, dtype=dtype, device="meta")
    _require(math.prod(shape) <= LARGEST)
    try:
        data = base64.b64decode(_text(described["data"], LARGEST), validate=True)
    except binascii.Error:
        raise BundleError("its numbers are not in base64") from None
    stored = np.dtype(SENT_AS.get(name, name)).newbyteorder("<")
    _require(len(data) == math.prod(shape) * stored.itemsize)
    numbers = torch.from_numpy(np.frombuffer(data, stored).astype(stored.newbyteorder("=")).reshape(shape))
    return numbers != 0 if name == "bool" else numbers.view(dtype) if name == "bfloat16" else numbers


class _Described:
    """Stands for something that only its kernel has."""

    described = "an object"

    def __repr__(self) -> str:
        return self.described

    def __deepcopy__(self, memo: dict) -> "_Described":
        return self


def _stranger(described: str, module: str, name: str) -> Any:
    """An object of whose class the messages can speak."""
    name = name if re.fullmatch(r"[^\W\d]\w{0,59}", name) else "object"
    module = module if re.fullmatch(r"[\w.]{1,60}", module) else "unknown"
    return type(name, (_Described,), {"__module__": module, "described": described})()
