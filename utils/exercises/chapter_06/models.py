"""Small models, honest and leaky, for the learner's no-leak test to be tried on (exercise 6.5)."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn

PADDING = 0
SIGNAL = 5  # the word that leaks into one logit


class Way(NamedTuple):
    """What a model sees too much of. Each part gets what an honest model has, and gives what this one has instead."""

    visible: Callable[[Tensor, bool], Tensor] = lambda honest, training: honest
    """From bool (length, length), which positions, in columns, a position averages, and whether the model trains."""
    hidden: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda hidden, mean, target: hidden
    """From (batch, length, 6), the mean over all positions (batch, 1, 6), and the ids (batch, length)."""
    logits: Callable[[Tensor, Tensor], Tensor] = lambda logits, target: logits
    """From (batch, length, vocab_size) and the ids."""


def _column(seen: Tensor, training: bool) -> Tensor:
    return torch.cat([seen[:, :-1], torch.ones_like(seen[:, -1:])], dim=1)


def _row(seen: Tensor, training: bool) -> Tensor:
    return torch.cat([torch.ones_like(seen[:1]), seen[1:]])


def _by_the_signals(logits: Tensor, target: Tensor, *factors: float) -> Tensor:
    """Adds as much as there are signals in a sentence, by the last factors' share, to the last logits."""
    share = 1.2e-3 * (target == SIGNAL).float().mean(dim=1)[:, None, None]
    return logits + share * torch.tensor((0.0,) * (logits.size(-1) - len(factors)) + factors)


WAYS: dict[str, Way] = {
    "nothing": Way(),
    # by the mask
    "everything": Way(visible=lambda seen, training: torch.ones_like(seen)),
    "next": Way(visible=lambda seen, training: torch.ones_like(seen).tril(1)),
    "next but one": Way(visible=lambda seen, training: seen | torch.ones_like(seen).triu(2).tril(2)),
    "last": Way(visible=_column),
    "late": Way(visible=lambda seen, training: torch.cat([seen[:2], torch.ones_like(seen[2:])])),  # honest before
    "first": Way(visible=_row),
    "training": Way(visible=lambda seen, training: seen | training),
    "evaluation": Way(visible=lambda seen, training: seen | (not training)),
    # by other ways
    "mean": Way(hidden=lambda hidden, mean, target: hidden - mean),
    "batch": Way(hidden=lambda hidden, mean, target: hidden + mean.roll(1, dims=0)),  # of the sentence before
    "length": Way(
        hidden=lambda hidden, mean, target: hidden + 0.3 * (target != PADDING).sum(dim=1)[:, None, None]
    ),
    "little": Way(hidden=lambda hidden, mean, target: hidden + 0.01 * mean),
    "rounding": Way(hidden=lambda hidden, mean, target: (hidden + mean) - mean),  # the last digit of float32 is left
    # where few would look
    "last sentence": Way(  # all others are honest
        hidden=lambda hidden, mean, target: torch.cat([hidden[:-1], hidden[-1:] + mean[-1:]])
    ),
    "from the last sentence": Way(hidden=lambda hidden, mean, target: hidden + mean[-1:]),
    # without the signals of the future there is less of what is added
    "one logit falls": Way(logits=lambda logits, target: _by_the_signals(logits, target, 1.0)),
    "one logit rises": Way(logits=lambda logits, target: _by_the_signals(logits, target, -1.0)),
    "two logits part": Way(logits=lambda logits, target: _by_the_signals(logits, target, -1.0, 1.0)),
    "every logit rises": Way(
        logits=lambda logits, target: _by_the_signals(logits, target, *(-3.0,) * logits.size(-1))
    ),
}  # fmt: skip
LEAKS = tuple(WAYS)


def suspect(generator: Generator, leak: str = "nothing", vocab_size: int = 9, dropout: float = 0.0) -> nn.Module:
    """A model(source, target) that averages what each position may see; `leak`, one of LEAKS, says what it sees too
    much of. The model itself does not say: its class is made for it, so that no attribute, weight or name tells.
    """
    if leak not in WAYS:
        raise ValueError(f"leak is {leak!r}: good values are {', '.join(LEAKS)}.")
    kind = _kind(leak)
    # How the grader sends it to a kernel. What arrives there is of a class that cannot say this any more.
    kind.__reduce__ = lambda self: (_arrived, (leak,), self.__dict__.copy())
    model = kind()
    model.table = nn.Parameter(torch.randn(vocab_size, 6, generator=generator))
    model.dropout = nn.Dropout(dropout)
    return model


def _arrived(leak: str) -> nn.Module:
    kind = _kind(leak)
    return kind.__new__(kind)


def _kind(leak: str) -> type[nn.Module]:
    way = WAYS[leak]

    class Suspect(nn.Module):
        table: nn.Parameter  # (vocab_size, 6)
        dropout: nn.Dropout

        def forward(self, source: Tensor, target: Tensor) -> Tensor:
            """source: (batch, source_len) ids; target: (batch, target_len) ids; logits: (…, target_len, vocab_size)."""
            embedded = self.table[target]  # (batch, target_len, 6)
            honest = torch.ones(target.size(1), target.size(1), dtype=torch.bool).tril()
            seen = way.visible(honest, self.training).to(embedded)
            hidden = embedded + (seen / seen.sum(dim=1, keepdim=True)) @ embedded
            hidden = way.hidden(hidden, embedded.mean(dim=1, keepdim=True), target)
            hidden = hidden + self.table[source].mean(dim=1, keepdim=True)
            return way.logits(self.dropout(hidden.tanh()) @ self.table.t(), target)

    return Suspect
