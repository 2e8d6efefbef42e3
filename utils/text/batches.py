"""Batches by token budget (§5.1): for training, sentences become tensors once and are bucketed by length.

`bucket_iterator` is the same idea through torchtext's `BucketIterator`, as the chapters teach it.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchtext.data import BucketIterator, Dataset, Example

from utils.errors import ConfigError, DataError
from utils.text.tokenise import Tokeniser, WordTokeniser
from utils.transformer.masks import BEGIN, END, PADDING


@dataclass(frozen=True)
class Batch:
    """Ids of some sentences, padded at the end; the target once shifted right and once as it is to be predicted."""

    source: Tensor  # (batch, source_len), each sentence closed by END
    target_input: Tensor  # (batch, target_len), BEGIN first
    target_output: Tensor  # (batch, target_len), END last
    target_tokens: int  # real tokens of target_output

    def to(self, device: torch.device | str) -> "Batch":
        """The batch on another device."""
        moved = (part.to(device, non_blocking=True) for part in (self.source, self.target_input, self.target_output))
        return Batch(*moved, self.target_tokens)


class Ragged:
    """Id lists of many lengths in one flat tensor; `padded` cuts out a rectangle."""

    def __init__(self, rows: Sequence[Sequence[int]]) -> None:
        self.lengths = torch.tensor([len(row) for row in rows], dtype=torch.long)
        self.starts = self.lengths.cumsum(0) - self.lengths
        self.flat = torch.tensor([token for row in rows for token in row], dtype=torch.int32)

    def padded(self, rows: Tensor) -> Tensor:
        """rows: (batch,) indices. Returns (batch, longest) int64 ids, padded at the end."""
        lengths = self.lengths[rows]
        columns = torch.arange(int(lengths.max()))
        inside = columns < lengths[:, None]
        places = torch.where(inside, self.starts[rows, None] + columns, 0)
        return torch.where(inside, self.flat[places].long(), PADDING)


class TokenBatches:
    """A corpus as tensors, and its batches for each epoch: the same for the same seed and epoch.

    Sentences are sorted by (target length, source length) and cut where the padded target, or the padded source,
    would exceed `token_budget`; then the batches are shuffled. Sorting by both leaves next to no padding.
    """

    def __init__(
        self,
        pairs: Sequence[tuple[str, str]],
        tokeniser: Tokeniser,
        token_budget: int,
        seed: int = 0,
        max_tokens: int | None = None,
    ) -> None:
        """max_tokens: pairs with a longer side are left out (and counted in `left_out`)."""
        encoded = [(tokeniser.encode(source), tokeniser.encode(target)) for source, target in pairs]
        limit = min(max_tokens or token_budget, token_budget) - 1  # BEGIN or END goes on top
        kept = [(source, target) for source, target in encoded if max(len(source), len(target)) <= limit]
        if not kept:
            raise DataError(
                f"None of the {len(encoded)} sentence pairs fits into {limit + 1} tokens: raise --batch-tokens."
            )
        self.left_out = len(encoded) - len(kept)
        self.token_budget, self.seed = token_budget, seed
        self.source = Ragged([[*source, END] for source, _ in kept])
        self.target = Ragged([[BEGIN, *target, END] for _, target in kept])
        self.target_tokens = self.target.lengths - 1

    def digest(self) -> str:
        """A short fingerprint of all ids, in order: the same text, vocabulary and limits give the same one."""
        parts = (self.source.flat, self.source.lengths, self.target.flat, self.target.lengths)
        return hashlib.sha256(b"".join(part.numpy().tobytes() for part in parts)).hexdigest()[:16]

    def __len__(self) -> int:
        return self.source.lengths.size(0)

    def plan(self, epoch: int, shuffle: bool = True) -> list[Tensor]:
        """Which sentences make up each batch of an epoch, in order."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        order = torch.randperm(len(self), generator=generator) if shuffle else torch.arange(len(self))
        order = order[self.source.lengths[order].argsort(stable=True)]
        order = order[self.target_tokens[order].argsort(stable=True)]
        batches = list(order.split(self._sizes(order)))
        if shuffle:
            batches = [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]
        return batches

    def _sizes(self, order: Tensor) -> list[int]:
        widths = torch.maximum(self.source.lengths, self.target_tokens)[order].tolist()
        sizes, size, widest = [], 0, 0
        for width in widths:
            widest = max(widest, width)
            if size and (size + 1) * widest > self.token_budget:
                sizes.append(size)
                size, widest = 0, width
            size += 1
        return [*sizes, size]

    def make(self, rows: Tensor) -> Batch:
        """The batch of the given sentences."""
        target = self.target.padded(rows)
        tokens = int(self.target_tokens[rows].sum())
        ends = self.target.lengths[rows] - 1  # the input of the decoder holds no END: it would predict nothing
        target_input = target[:, :-1].clone()
        inside = ends < target_input.size(1)
        target_input[inside.nonzero().squeeze(1), ends[inside]] = PADDING
        return Batch(self.source.padded(rows), target_input, target[:, 1:].contiguous(), tokens)

    def epoch(self, epoch: int, shuffle: bool = True) -> Iterator[Batch]:
        """The batches of an epoch."""
        return (self.make(rows) for rows in self.plan(epoch, shuffle))


def padding_share(batches: Iterable[Batch]) -> float:
    """The share of target positions that hold padding."""
    batches = list(batches)
    positions = sum(batch.target_output.numel() for batch in batches)
    return 1 - sum(batch.target_tokens for batch in batches) / positions


def source_batch(tokeniser: Tokeniser, sentences: Sequence[str]) -> Tensor:
    """Ids of source sentences for translating: (batch, longest), each closed by END, padded at the end."""
    return Ragged([[*tokeniser.encode(sentence), END] for sentence in sentences]).padded(torch.arange(len(sentences)))


def bucket_iterator(
    pairs: Sequence[tuple[str, str]], tokeniser: WordTokeniser, token_budget: int, shuffle: bool = True
) -> BucketIterator:
    """torchtext's `BucketIterator` over word ids, with batches by token budget in place of sentence counts.

    Its batches have fields `source` and `target`, (batch, length) ids between BEGIN and END.
    """
    if token_budget < 1:
        raise ConfigError(f"token_budget is {token_budget}: good values are whole numbers from 1.")
    fields = [("source", tokeniser.field), ("target", tokeniser.field)]
    examples = [Example.fromlist(pair, fields) for pair in pairs]

    def padded_size(example: Example, count: int, size_before: int) -> int:
        widest = size_before // (count - 1) if count > 1 else 0
        return count * max(widest, len(example.source) + 2, len(example.target) + 2)

    return BucketIterator(
        Dataset(examples, fields),
        batch_size=token_budget,
        batch_size_fn=padded_size,
        sort_key=lambda example: (len(example.target), len(example.source)),
        sort_within_batch=True,
        shuffle=shuffle,
        train=shuffle,
    )
