"""Which entries of the vocabulary a search looks at."""

import math

import torch
from torch import Tensor

from utils.transformer.masks import BEGIN, PADDING


def without_specials(logits: Tensor) -> Tensor:
    """Rules out PADDING and BEGIN, in place: neither is ever a word of a translation. logits: (rows, vocab_size)."""
    logits[:, PADDING] = -math.inf
    logits[:, BEGIN] = -math.inf
    return logits


def largest(scores: Tensor, count: int, chunk: int = 64) -> tuple[Tensor, Tensor]:
    """`scores.topk(count)` over the last dimension of (rows, width), on a CPU in half the time.

    The `count` largest entries lie in the `count` chunks with the largest maxima, and a maximum is quicker to find.
    """
    rows, width = scores.shape
    chunks = width // chunk
    if scores.device.type != "cpu" or chunks < 2 * count:
        return scores.topk(count)
    whole = scores[:, : chunks * chunk].unflatten(1, (chunks, chunk))  # (rows, chunks, chunk)
    best_chunks = whole.amax(dim=2).topk(count).indices  # (rows, count)
    entries = whole.gather(1, best_chunks[:, :, None].expand(-1, -1, chunk)).flatten(1)  # (rows, count · chunk)
    values, best = torch.cat([entries, scores[:, chunks * chunk :]], dim=1).topk(count)
    in_rest = best - count * chunk + chunks * chunk  # where an entry of the last, incomplete chunk stands
    in_chunk = best_chunks.gather(1, (best // chunk).clamp(max=count - 1)) * chunk + best % chunk
    return values, torch.where(best < count * chunk, in_chunk, in_rest)
