"""Further ways to put the weights of `MultiHeadAttention` into an answer that is laid out otherwise.

Each takes (module, weights by the reference's names) and returns which parameter got which weight, {} where they are
cut up or put together, or None where the layout does not fit.
"""

import re

import torch
from torch import Tensor, nn

from utils.exercises.calling import named_alike

ROLES = ("query", "key", "value", "output")
LETTERS = {"q": "query", "k": "key", "v": "value", "o": "output"}


def by_role(module: nn.Module, weights: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """Names tell the roles: w_k, k_proj, key_layer.weight, linear_out …, in whatever order they are declared."""
    pairs: dict[str, Tensor] = {}
    for name, parameter in module.named_parameters():
        role = _role(name)
        wanted = f"{role}_projection.{'weight' if parameter.dim() == 2 else 'bias'}"
        if role is None or wanted in pairs or wanted not in weights or weights[wanted].shape != parameter.shape:
            return None
        pairs[wanted] = parameter
    if set(pairs) != set(weights):
        return None
    _copy([(parameter, weights[name]) for name, parameter in pairs.items()])
    return pairs


def _role(name: str) -> str | None:
    """Which projection a parameter's name speaks of."""
    words = [word for word in re.split(r"[._\d]+", name.lower()) if word not in ("", "w", "weight", "b", "bias")]
    for word in words:
        for role in ROLES:
            if word.startswith(role[:3]):  # que, key, val, out
                return role
    letters = {LETTERS[word[-1]] for word in words if len(word) <= 2 and word[-1] in LETTERS}  # q, wq
    return letters.pop() if len(letters) == 1 else None


def stacked(module: nn.Module, weights: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """Projections below each other in fewer matrices (one for Q, K and V), or cut into more (one a head), in the order
    query, key, value; the output's own matrix last.
    """
    rows = {kind: [weights[f"{role}_projection.{kind}"] for role in ROLES[:3] if f"{role}_projection.{kind}" in weights]
            for kind in ("weight", "bias")}  # fmt: skip
    return _laid_out(module, weights, {kind: torch.cat(parts) if parts else None for kind, parts in rows.items()})


def head_by_head(module: nn.Module, weights: dict[str, Tensor]) -> dict[str, Tensor] | None:
    """Query, key and value of the first head, then those of the second …; the output's own matrix last."""
    heads = getattr(module, "heads", None)
    heads = len(heads) if isinstance(heads, nn.ModuleList) else heads or getattr(module, "num_heads", None)
    if not isinstance(heads, int):
        heads = next((len(part) for part in module.children() if isinstance(part, nn.ModuleList)), None)
    if not heads or any(weights[f"{role}_projection.weight"].size(0) % heads for role in ROLES[:3]):
        return None
    rows = {}
    for kind in ("weight", "bias"):
        parts = [weights[f"{r}_projection.{kind}"] for r in ROLES[:3] if f"{r}_projection.{kind}" in weights]
        cut = [piece for pieces in zip(*(part.chunk(heads) for part in parts), strict=True) for piece in pieces]
        rows[kind] = torch.cat(cut) if cut else None
    return _laid_out(module, weights, rows)


def _laid_out(module: nn.Module, weights: dict[str, Tensor], rows: dict[str, Tensor | None]) -> dict | None:
    """Deals the rows out to all matrices but the last, and likewise to the biases. Not where names tell the layers
    apart, nor where a layer is frozen: gradients, which would show it, are not compared in this way.
    """
    if named_alike(dict(module.named_parameters()), weights):
        return None
    if not all(parameter.requires_grad for parameter in module.parameters()):
        return None
    pairs = []
    for kind, axes in (("weight", 2), ("bias", 1)):
        own = [parameter for parameter in module.parameters() if parameter.dim() == axes]
        last = weights.get(f"output_projection.{kind}")
        if rows[kind] is None or last is None:
            if own:
                return None
            continue
        if len(own) < 2 or own[-1].shape != last.shape or sum(len(part) for part in own[:-1]) != len(rows[kind]):
            return None
        pieces = rows[kind].split([len(part) for part in own[:-1]])
        pairs += [*zip(own[:-1], pieces, strict=True), (own[-1], last)]
    if any(parameter.shape != piece.shape for parameter, piece in pairs):
        return None
    _copy(pairs)
    return {}


def _copy(pairs: list[tuple[Tensor, Tensor]]) -> None:
    with torch.no_grad():
        for parameter, weight in pairs:
            parameter.copy_(weight)


FILLS = (by_role, stacked, head_by_head)
