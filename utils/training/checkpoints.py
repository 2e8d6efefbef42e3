"""Checkpoints: one safetensors file holds everything a run needs to go on, and appears whole or not at all.

safetensors is data only: loading a foreign file can fail, but cannot run code.
"""

import contextlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from utils.errors import CheckpointError

FORMAT = "attention-rebuilt 1"
Tree = dict  # nested dictionaries and lists with tensors and plain values as leaves


def write_atomically(path: Path, write) -> None:
    """Calls write(temporary path) and moves the result into place; a reader sees the old file or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        with temporary.open("r+b") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(
            f"{path} cannot be written ({reason}): check the folder's rights and the disk's space."
        ) from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def save_checkpoint(path: Path, state: Tree) -> None:
    """Writes a nested state of tensors and JSON values atomically."""
    tensors: dict[str, Tensor] = {}
    skeleton = _take_apart(state, "", tensors)
    metadata = {"format": FORMAT, "state": json.dumps(skeleton)}
    write_atomically(path, lambda temporary: save_file(tensors, temporary, metadata))


def load_checkpoint(path: Path, device: torch.device | str = "cpu") -> Tree:
    """The state that `save_checkpoint` wrote. CheckpointError for a missing, truncated or foreign file."""
    if not path.is_file():
        raise CheckpointError(f"There is no checkpoint {path}: check the path, or train the run again.")
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dictionary)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is damaged or not a checkpoint ({error}): use an earlier one.") from None
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not a checkpoint of this course: give one from a run folder of its own.")
    return _put_together(json.loads(metadata["state"]), tensors)


def load_weights(model: nn.Module, weights: dict[str, Tensor], origin: Path) -> None:
    """Puts weights into a model; CheckpointError names the first one that does not fit."""
    own = model.state_dict()
    for name, tensor in own.items():
        if name not in weights:
            raise CheckpointError(f"{origin} lacks the weight {name}: it belongs to another model.")
        if weights[name].shape != tensor.shape:
            raise CheckpointError(
                f"{origin} has {name} of shape {tuple(weights[name].shape)}, this model needs {tuple(tensor.shape)}: "
                f"it belongs to other sizes or another vocabulary."
            )
    if extra := sorted(set(weights) - set(own)):
        raise CheckpointError(f"{origin} has a weight {extra[0]} that this model lacks: it belongs to another model.")
    model.load_state_dict(weights)


def average_states(states: Iterable[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of several models' weights, name by name, taken in float64 (§6.1).

    states: one dictionary of tensors a checkpoint, all with the same names and shapes. Dtypes stay as they are.
    What is returned are new tensors.
    """
    total, count = {}, 0
    for state in states:
        count += 1
        for name, tensor in state.items():
            total[name] = total.get(name, 0) + tensor.double()
    return {name: (tensor / count).to(state[name].dtype) for name, tensor in total.items()}


def average_weights(paths: list[Path]) -> dict[str, Tensor]:
    """The mean of the models in several checkpoints; one is in memory at a time."""
    return average_states(load_checkpoint(path)["model"] for path in paths)


def _take_apart(node, name: str, tensors: dict[str, Tensor]):
    if isinstance(node, Tensor):
        tensors[name] = node.detach().to("cpu", copy=True).contiguous()  # tied weights share memory; files may not
        return {"tensor": name}
    if isinstance(node, dict):
        below = f"{name}/" if name else ""
        pairs = [[key, _take_apart(value, f"{below}{key}", tensors)] for key, value in node.items()]
        return {"dict": pairs}  # pairs, since an optimiser's keys are whole numbers and JSON knows only strings
    if isinstance(node, list | tuple):
        return {"list": [_take_apart(value, f"{name}/{place}", tensors) for place, value in enumerate(node)]}
    return {"value": node}


def _put_together(node: dict, tensors: dict[str, Tensor]):
    (kind, content), *_ = node.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {key: _put_together(value, tensors) for key, value in content}
    if kind == "list":
        return [_put_together(value, tensors) for value in content]
    return content
