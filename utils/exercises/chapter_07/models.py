"""Small translators to be trained in checks (exercises 7.3 and 7.4), and the batches that they are trained on."""

import torch
from torch import Generator, Tensor, nn

from utils.transformer.masks import BEGIN, END, PADDING

VOCABULARY = 8


class Small(nn.Module):
    """A model(source, target) with one table and one bias: quickly copied, and every row of the table gets a gradient.
    Padding in the source is not seen.
    """

    def __init__(self, generator: Generator, dropout: float = 0.0, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        drawn = torch.randn(VOCABULARY + 1, 5, generator=generator, dtype=torch.float64).to(dtype)
        self.table = nn.Parameter(drawn[:VOCABULARY].clone())
        self.bias = nn.Parameter(drawn[VOCABULARY].clone())
        self.dropout = nn.Dropout(dropout)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """source: (batch, source_len) ids; target: (batch, target_len) ids. Returns (batch, target_len, vocab_size)."""
        real = (source != PADDING)[..., None].to(self.table)
        read = (self.table[source] * real).sum(dim=1, keepdim=True) / real.sum(dim=1, keepdim=True)
        hidden = self.dropout((self.table[target] + read + self.bias).tanh())  # (batch, target_len, 5)
        return hidden @ self.table.t()


class RoomForOne(Small):
    """Has memory for one batch: a second forward pass before the first one's `backward()` does not fit."""

    def __init__(self, generator: Generator) -> None:
        super().__init__(generator)
        self.full = False

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """As for `Small`."""
        logits = super().forward(source, target)
        if logits.requires_grad:
            if self.full:
                raise MemoryError("two batches' graphs do not fit: call backward() for one before the next is read")
            self.full = True
            logits.register_hook(self._let_go)
        return logits

    def _let_go(self, gradient: Tensor) -> None:
        self.full = False


class LeftOver(Small):
    """Comes with gradients that somebody has left in it, and so does every copy of it."""

    def __init__(self, generator: Generator) -> None:
        super().__init__(generator)
        self._leave()

    def _leave(self) -> None:
        for parameter in self.parameters():
            parameter.grad = torch.full_like(parameter, 0.5)

    def __setstate__(self, state: dict) -> None:
        super().__setstate__(state)
        self._leave()


def batch(generator: Generator, lengths: list[int], longest: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """(source, decoder_input, wanted): sentences with so many target tokens, END included."""
    longest = longest or max(lengths)
    words = torch.randint(END + 1, VOCABULARY, (2, len(lengths), longest), generator=generator)
    places, ends = torch.arange(longest), torch.tensor(lengths)[:, None]
    wanted = words[0].masked_fill(places == ends - 1, END).masked_fill(places >= ends, PADDING)
    last = longest - ends  # sources have other lengths than their targets: short beside long
    source = words[1].masked_fill(places == last, END).masked_fill(places > last, PADDING)
    begin = torch.full((len(lengths), 1), BEGIN)
    decoder_input = torch.cat([begin, wanted[:, :-1]], dim=1)
    return source, decoder_input.masked_fill(decoder_input == END, PADDING), wanted


def sgd(model: nn.Module, momentum: float = 0.0) -> torch.optim.Optimizer:
    """Steps along the gradient itself: what is wrong with a gradient shows in full."""
    return torch.optim.SGD(model.parameters(), lr=0.3, momentum=momentum)


def adam(model: nn.Module) -> torch.optim.Optimizer:
    """The paper's optimiser (§5.3)."""
    return torch.optim.Adam(model.parameters(), lr=0.3, betas=(0.9, 0.98), eps=1e-9)


def in_two_groups(model: Small) -> torch.optim.Optimizer:
    """Two parameter groups, each with a rate of its own."""
    return torch.optim.SGD([{"params": [model.table]}, {"params": [model.bias], "lr": 0.9}], lr=0.4)
