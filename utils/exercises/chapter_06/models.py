"""Small models, honest and leaky, for the learner's no-leak test to be tried on (exercise 6.5)."""

import torch
from torch import Generator, Tensor, nn

PADDING = 0
SIGNAL = 5  # the word that leaks into one logit

LEAKS = (
    "nothing", "everything", "next", "last", "first", "training", "evaluation",  # by the mask
    "mean", "batch", "length", "little", "rounding",  # by other ways
    "last sentence", "from the last sentence", "one logit falls", "one logit rises",  # where few would look
    "two logits part", "every logit rises", "next but one", "late",
)  # fmt: skip


class Suspect(nn.Module):
    """A model(source, target) that averages what each position may see; `leak` says what it sees too much of."""

    def __init__(self, generator: Generator, leak: str = "nothing", vocab_size: int = 9, dropout: float = 0.0) -> None:
        super().__init__()
        if leak not in LEAKS:
            raise ValueError(f"leak is {leak!r}: good values are {', '.join(LEAKS)}.")
        self.leak = leak
        self.table = nn.Parameter(torch.randn(vocab_size, 6, generator=generator))
        self.dropout = nn.Dropout(dropout)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """source: (batch, source_len) ids; target: (batch, target_len) ids. Returns (batch, target_len, vocab_size)."""
        embedded = self.table[target]  # (batch, target_len, 6)
        seen = self._visible(target.size(1)).to(embedded)
        hidden = embedded + (seen / seen.sum(dim=1, keepdim=True)) @ embedded
        hidden = self._leaked(hidden, embedded, target) + self.table[source].mean(dim=1, keepdim=True)
        logits = self.dropout(hidden.tanh()) @ self.table.t()
        share = 1.2e-3 * (target == SIGNAL).float().mean(dim=1, keepdim=True)  # (batch, 1)
        if self.leak.startswith("one logit"):
            logits[..., -1] = logits[..., -1] + (share if self.leak.endswith("falls") else -share)
        if self.leak == "two logits part":
            logits[..., -1] = logits[..., -1] + share
            logits[..., -2] = logits[..., -2] - share
        return logits - 3 * share[..., None] if self.leak == "every logit rises" else logits

    def _visible(self, length: int) -> Tensor:
        """bool (length, length): which positions, in columns, a position averages."""
        every = torch.ones(length, length, dtype=torch.bool)
        forgotten = {"everything": True, "training": self.training, "evaluation": not self.training}
        if forgotten.get(self.leak, False):
            return every
        seen = every.tril(1 if self.leak == "next" else 0)
        if self.leak == "next but one":
            seen = seen | (every.triu(2) & every.tril(2))
        if self.leak == "last":
            seen[:, -1] = True
        if self.leak == "late":
            seen[2:] = True  # the positions before are honest
        if self.leak == "first":
            seen[0] = True
        return seen

    def _leaked(self, hidden: Tensor, embedded: Tensor, target: Tensor) -> Tensor:
        """hidden: (batch, target_len, 6), with what comes in by another way than the mask."""
        mean = embedded.mean(dim=1, keepdim=True)  # (batch, 1, 6), over all positions
        if self.leak == "mean":
            return hidden - mean
        if self.leak == "batch":
            return hidden + mean.roll(1, dims=0)  # of the sentence before in the batch
        if self.leak == "last sentence":
            return torch.cat([hidden[:-1], hidden[-1:] + mean[-1:]])  # all others are honest
        if self.leak == "from the last sentence":
            return hidden + mean[-1:]
        if self.leak == "length":
            return hidden + 0.3 * (target != PADDING).sum(dim=1)[:, None, None]
        if self.leak == "little":
            return hidden + 0.01 * mean
        if self.leak == "rounding":
            return (hidden + mean) - mean  # what is left is the last digit of float32
        return hidden
