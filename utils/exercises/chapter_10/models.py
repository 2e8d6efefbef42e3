"""Small models whose maps are taken (exercise 10.1)."""

import torch
from torch import Generator, Tensor, nn

from utils.transformer.attention import MultiHeadAttention
from utils.transformer.masks import END, causal_mask, padding_mask

VOCABULARY, WIDTH = 12, 8


class SmallLayer(nn.Module):
    """A layer that is nothing but its attentions: quickly copied and run."""

    def __init__(self, heads: int, cross: bool) -> None:
        super().__init__()
        self.self_attention = MultiHeadAttention(WIDTH, heads, bias=False)
        if cross:
            self.cross_attention = MultiHeadAttention(WIDTH, heads, bias=False)


class SmallStack(nn.Module):
    """Layers, where a `Transformer` has them."""

    def __init__(self, layers: int, heads: int, cross: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(SmallLayer(heads, cross) for _ in range(layers))


class SmallTransformer(nn.Module):
    """A model(source, target) with the attentions of a `Transformer`, residual connections, dropout and no more."""

    def __init__(self, layers: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(VOCABULARY, WIDTH))
        self.dropout = nn.Dropout(dropout)
        self.encoder = SmallStack(layers, heads, cross=False)
        self.decoder = SmallStack(layers, heads, cross=True)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """source: (batch, source_len) ids; target: (batch, target_len) ids. Returns (batch, target_len, 8)."""
        source_mask, target_mask = padding_mask(source), causal_mask(target.size(1))
        memory = self.table[source]
        for layer in self.encoder.layers:
            memory = self.dropout(memory)
            memory = memory + layer.self_attention(memory, memory, memory, source_mask)[0]
        x = self.table[target]
        for layer in self.decoder.layers:
            x = self.dropout(x)
            x = x + layer.self_attention(x, x, x, target_mask)[0]
            x = x + layer.cross_attention(x, memory, memory, source_mask)[0]
        return x

    def states(self, source: Tensor, target: Tensor) -> Tensor:
        """As `Transformer.states`."""
        return self(source, target)


def small_model(generator: Generator, layers: int, heads: int, dropout: float = 0.0) -> SmallTransformer:
    """A small model with drawn weights."""
    model = SmallTransformer(layers, heads, dropout)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) / 2)
    return model


def sentences(generator: Generator, lengths: list[int]) -> Tensor:
    """Ids of words, padded at the end: (batch, longest)."""
    rows = [torch.randint(END + 1, VOCABULARY, (length,), generator=generator) for length in lengths]
    return nn.utils.rnn.pad_sequence(rows, batch_first=True)


def watch(model: nn.Module) -> None:
    """Hangs a hook of somebody else on each attention; it does nothing, and is to stay."""
    for layer in [*model.encoder.layers, *model.decoder.layers]:
        layer.self_attention.register_forward_hook(_look_on)
    for layer in model.decoder.layers:
        layer.cross_attention.register_forward_hook(_look_on)


def _look_on(module: nn.Module, inputs: tuple, result: tuple) -> None:
    pass
