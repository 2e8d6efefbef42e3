"""Token embeddings and the output layer that shares their table (§3.4)."""

import math

import torch
from torch import Tensor, nn


class TokenEmbedding(nn.Module):
    """A table of vectors, multiplied by √d_model when looked up (§3.4).

    The table is drawn from N(0, 1/d_model), so the scaled vectors have standard deviation 1 and stand
    level with the positional code (root mean square 0.71) that is added to them.
    """

    def __init__(self, vocab_size: int, d_model: int) -> None:
        super().__init__()
        self.scale = math.sqrt(d_model)
        self.weight = nn.Parameter(torch.randn(vocab_size, d_model) / self.scale)  # (vocab_size, d_model)

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens: (batch, length) ids. Returns (batch, length, d_model)."""
        return nn.functional.embedding(tokens, self.weight) * self.scale


class OutputLayer(nn.Module):
    """Scores every vocabulary entry for every state: the linear map before the softmax (§3.4).

    Tied: it has no weights of its own, the embedding's table serves as its matrix. Untied: an own matrix,
    Xavier-initialised.
    """

    def __init__(self, vocab_size: int, d_model: int, tied_to: TokenEmbedding | None = None) -> None:
        super().__init__()
        if tied_to is None:
            self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(vocab_size, d_model)))
        else:
            self.weight = tied_to.weight

    def forward(self, states: Tensor) -> Tensor:
        """states: (..., d_model). Returns logits (..., vocab_size)."""
        return nn.functional.linear(states, self.weight)
