"""What a call has changed or holds on to, and should not: inputs, modules among them, hooks, its own weights."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as module_hooks

from utils.exercises.structure import leaves, tensors

# How what was changed is named, beside the inputs' own names. The last four are said of modules, FOLLOWED of tensors,
# too.
RANDOM_STATE, EVERYWHERE = "the random state", "the hooks of all modules"
MODE, HOOKS, FORWARD, FOLLOWED = ".training", ".hooks", ".forward", ".requires_grad"
OWN_WEIGHTS, OWN_MODE = "the module's own parameters", "the module's own mode"
EARLIER = "what an earlier call returned"
SHARED, GRAPH = "the memory of the inputs", "the graph behind the result"


def damaged_inputs(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of inputs that a call has changed: tensors, and the weights, buffers and modes of modules."""
    had, has = (dict([*named_tensors(names), *_held_by_modules(names)]) for names in (before, after))
    return tuple(name for name, tensor in had.items() if name not in has or not same_bits(tensor, has[name]))


def grown(before: Any, after: Any) -> bool:
    """Whether lists and dictionaries hold other plain things than before, or more tensors."""
    had, has = (dict(named_tensors({"": value})) for value in (before, after))
    return _plain_leaves(before) != _plain_leaves(after) or not has.keys() <= had.keys()


def newly_followed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, Tensor]]:
    """The tensors among arguments that ask for gradients and did not."""
    had = dict(named_tensors(before))
    return [(n, t) for n, t in named_tensors(after) if t.requires_grad and n in had and not had[n].requires_grad]


def held_on_to(results: list, given: Iterable) -> tuple[str, ...]:
    """What results keep alive besides their own numbers."""
    memories = {tensor.untyped_storage().data_ptr() for value in given for tensor in tensors(value)}
    returned = [tensor for tensor in tensors(results) if tensor.layout == torch.strided]
    shared = any(tensor.numel() and tensor.untyped_storage().data_ptr() in memories for tensor in returned)
    graph = any(tensor.grad_fn is not None for tensor in returned)
    return (SHARED,) * shared + (GRAPH,) * graph


def own_of(module: nn.Module) -> tuple[dict[str, Tensor], dict[str, bool]]:
    """A module's parameters as they are now, and the modes of all its parts."""
    parameters = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
    return parameters, {name: part.training for name, part in module.named_modules()}


def own_damage(before: tuple[dict, dict], after: tuple[dict, dict]) -> tuple[str, ...]:
    """What a call has changed of the module itself, and should not have: buffers are its own to change."""
    (had, modes), (has, modes_now) = before, after
    same = had.keys() == has.keys() and all(same_bits(tensor, has[name]) for name, tensor in had.items())
    turned = any(modes_now.get(name, mode) != mode for name, mode in modes.items())
    return (() if same else (OWN_WEIGHTS,)) + ((OWN_MODE,) if turned else ())


def hooks_everywhere() -> int:
    """How many hooks there are that PyTorch calls for every module of every model."""
    return len(module_hooks._global_forward_hooks) + len(module_hooks._global_forward_pre_hooks)


def named_tensors(names: Mapping[str, Any]) -> list[tuple[str, Tensor]]:
    """The tensors among arguments: ("query", …), ("tokens[0]", …)."""
    return [
        (name + way, leaf) for name, value in names.items() for way, leaf in leaves(value) if isinstance(leaf, Tensor)
    ]


def _plain_leaves(value: Any) -> dict[str, Any]:
    """What lists and dictionaries hold besides tensors and modules, under the way to it."""
    return {way: leaf for way, leaf in leaves(value) if isinstance(leaf, int | float | str | None)}


def _held_by_modules(names: Mapping[str, Any]) -> list[tuple[str, Tensor]]:
    """What modules among arguments hold: ("model.table", …), and, of all modules within, their modes as
    ("model.training", …), how many hooks hang on them, whether `forward` is written over, which parameters learn.
    """
    held = []
    for name, value in names.items():
        for way, leaf in leaves(value):
            if isinstance(leaf, nn.Module):
                held += [(f"{name}{way}.{key}", part) for key, part in leaf.state_dict().items()]
                every = list(leaf.modules())
                held.append((name + way + MODE, torch.tensor([module.training for module in every])))
                held.append((name + way + HOOKS, torch.tensor([_hooks_of(module) for module in every])))
                held.append((name + way + FORWARD, torch.tensor(["forward" in vars(module) for module in every])))
                learning = [parameter.requires_grad for parameter in leaf.parameters()]
                held.append((name + way + FOLLOWED, torch.tensor(learning)))
    return held


def _hooks_of(module: nn.Module) -> int:
    kinds = module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks
    return sum(map(len, kinds))


def same_bits(one: Tensor, other: Tensor) -> bool:
    """Whether nothing about a tensor has changed; NaN equals itself; on "meta", without numbers, the form is all."""
    if one.shape != other.shape or one.dtype != other.dtype or one.device != other.device:
        return False
    if one.device.type == "meta":
        return True
    one, other = one.detach(), other.detach()
    same = one == other
    return bool((same | (one != one) & (other != other)).all())
