"""Small sub-layers, layers and stacks with drawn weights: what the answers of chapter 06 are put together from."""

import torch
from torch import Generator, Tensor, nn

from utils.transformer.attention import MultiHeadAttention, scaled_dot_product_attention
from utils.transformer.embeddings import OutputLayer, TokenEmbedding
from utils.transformer.layers import FeedForward, LayerNorm, Residual
from utils.transformer.masks import END
from utils.transformer.positions import SinusoidalPositions


def drawn(generator: Generator, module: nn.Module) -> nn.Module:
    """The module with weights from the generator, none of them 0 or 1: a forgotten bias or gain must show."""
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            if parameter.dim() >= 2:
                noise = noise / parameter.shape[-1] ** 0.5
            else:
                noise = 0.4 * noise + (1 if bool((parameter == 1).all()) else 0)
            parameter.copy_(noise)
    return module


def layer_pieces(
    generator: Generator, attentions: int = 1, d_model: int = 8, heads: int = 2, d_ff: int = 12, norm: str = "post",
    halving: bool = False, attention: type = MultiHeadAttention,
) -> tuple:  # fmt: skip
    """What an encoder layer (one attention) or a decoder layer (two) is built from, residuals last.

    halving: the residuals halve in training mode, in the place of dropout.
    """
    sublayers = [drawn(generator, attention(d_model, heads)) for _ in range(attentions)]
    sublayers.append(drawn(generator, FeedForward(d_model, d_ff)))
    residuals = [drawn(generator, Residual(LayerNorm(d_model), 0.0, norm)) for _ in sublayers]
    for residual in residuals if halving else ():
        residual.dropout = Halving()
    return (*sublayers, residuals)


class Halving(nn.Module):
    """In the place of dropout: halves in training mode and does nothing else, so that results can be compared."""

    def forward(self, x: Tensor) -> Tensor:
        """x: any shape. Returns the same shape."""
        return x / 2 if self.training else x


class SmallEncoder(nn.Module):
    """In the place of a stack of encoder layers: one look round and one matrix, quickly copied and run."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(d_model, d_model))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """x: (batch, length, d_model); mask: as for an encoder layer. Returns the shape of x."""
        return (x + looked_at(x, x, mask)) @ self.weight


class SmallDecoder(nn.Module):
    """In the place of a stack of decoder layers."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(d_model, d_model))

    def forward(
        self, x: Tensor, memory: Tensor, target_mask: Tensor | None = None, source_mask: Tensor | None = None
    ) -> Tensor:
        """As a decoder layer."""
        x = (x + looked_at(x, x, target_mask)) @ self.weight
        return x + looked_at(x, memory, source_mask)


def looked_at(x: Tensor, memory: Tensor, mask: Tensor | None) -> Tensor:
    """Attention of one head without projections: (batch, target_len, d_model)."""
    x, memory = x[:, None], memory[:, None]
    return scaled_dot_product_attention(x, memory, memory, mask)[0][:, 0]


def model_pieces(generator: Generator, vocab_size: int = 11, d_model: int = 8) -> tuple:
    """Embedding, positions, dropout, encoder, decoder and tied output layer of a model."""
    embedding = drawn(generator, TokenEmbedding(vocab_size, d_model))
    stacks = drawn(generator, SmallEncoder(d_model)), drawn(generator, SmallDecoder(d_model))
    positions = SinusoidalPositions(d_model, 16)
    return embedding, positions, Halving(), *stacks, OutputLayer(vocab_size, d_model, embedding)


def sentences(generator: Generator, lengths: list[int], vocab_size: int = 11) -> Tensor:
    """Ids of words with END after the last, padded: (batch, longest), whose rows have the given lengths."""
    rows = [torch.randint(END + 1, vocab_size, (length,), generator=generator) for length in lengths]
    for row in rows:
        row[-1] = END
    return nn.utils.rnn.pad_sequence(rows, batch_first=True)
