"""Cells, tables and readers with drawn weights: what the answers of chapter 09 are called with."""

import torch
from torch import Generator, Tensor, nn

from utils.transformer.attention import AdditiveAttention
from utils.transformer.embeddings import OutputLayer, TokenEmbedding
from utils.transformer.masks import END

READERS = ("recurrent", "gated", "attention", "average", "last alone", "twice the first")


def drawn(generator: Generator, module: nn.Module, size: float = 1.0) -> nn.Module:
    """The module with weights from the generator, none of them 0: a forgotten bias must show."""
    with torch.no_grad():
        for parameter in module.parameters():
            noise = size * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(noise / parameter.shape[-1] ** 0.5 if parameter.dim() >= 2 else 0.5 * noise)
    return module


def gru_cell(generator: Generator, width: int, d_hidden: int, dtype: torch.dtype = torch.float32) -> nn.Module:
    """PyTorch's own cell; its weights are larger than usual, so that a step moves the state well."""
    return drawn(generator, nn.GRUCell(width, d_hidden).to(dtype), size=1.5)


def additive(generator: Generator, query_width: int, key_width: int, d_hidden: int = 5) -> nn.Module:
    """Additive attention with scores that differ."""
    return drawn(generator, AdditiveAttention(query_width, key_width, d_hidden), size=2.0)


def pair_pieces(generator: Generator, vocab_size: int = 11, d_model: int = 5, d_hidden: int = 6) -> tuple:
    """Embedding, encoder cell, decoder cell and output layer of a small recurrent translator."""
    embedding = drawn(generator, TokenEmbedding(vocab_size, d_model))
    cells = [gru_cell(generator, d_model, d_hidden) for _ in range(2)]
    return embedding, *cells, drawn(generator, OutputLayer(vocab_size, d_hidden))


def words(generator: Generator, *lengths: int, vocab_size: int = 11) -> Tensor:
    """Ids of words with END after the last, padded: (batch, longest), whose rows have the given lengths."""
    rows = [torch.randint(END + 1, vocab_size, (length,), generator=generator) for length in lengths]
    for row in rows:
        row[-1] = END
    return nn.utils.rnn.pad_sequence(rows, batch_first=True)


class Reader(nn.Module):
    """(length, width) → states (length, d_hidden), in one of several ways (exercise 9.5)."""

    def __init__(
        self, generator: Generator, way: str, width: int, d_hidden: int, dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__()
        if way not in READERS:
            raise ValueError(f"way is {way!r}: good values are {', '.join(READERS)}.")
        self.way, self.d_hidden = way, d_hidden
        self.project = drawn(generator, nn.Linear(width, d_hidden).to(dtype))
        self.turn = drawn(generator, nn.Linear(d_hidden, d_hidden).to(dtype))

    def forward(self, inputs: Tensor) -> Tensor:
        """inputs: (length, width). Returns (length, d_hidden)."""
        x = self.project(inputs)
        if self.way in ("recurrent", "gated"):
            return self._read(x)
        if self.way == "attention":
            return (self.turn(x) @ x.t()).softmax(dim=-1) @ x
        if self.way == "average":
            return x.cumsum(dim=0) / torch.arange(1, len(x) + 1, dtype=x.dtype)[:, None]
        return x.tanh() if self.way == "last alone" else x.tanh() + 2 * x[:1]

    def _read(self, x: Tensor) -> Tensor:
        state, states = torch.zeros_like(x[0]), []
        for row in x:
            new = (row + self.turn(state)).tanh()
            state = new if self.way == "recurrent" else 0.2 * new + 0.8 * state
            states.append(state)
        return torch.stack(states)
