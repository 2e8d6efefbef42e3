"""Who may look at whom: boolean masks, `True` = may be attended to (§3.1, §3.2.3).

Every mask is broadcastable to (batch, heads, query length, key length).
"""

import torch
from torch import Tensor

PADDING, UNKNOWN, BEGIN, END = 0, 1, 2, 3  # the four ids that every vocabulary of the course starts with


def padding_mask(tokens: Tensor, padding_id: int = PADDING) -> Tensor:
    """Marks real tokens, so that nobody attends to padding.

    tokens: (batch, length) ids. Returns bool (batch, 1, 1, length), True = a real token.
    """
    return (tokens != padding_id)[:, None, None, :]


def causal_mask(length: int, device: torch.device | str | None = None) -> Tensor:
    """Lets position i look at positions 0 … i and at none after it (§3.2.3, third use).

    Returns bool (1, 1, length, length); rows are queries, columns are keys.
    """
    return torch.ones(length, length, dtype=torch.bool, device=device).tril()[None, None]
