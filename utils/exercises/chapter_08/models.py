"""A small "translator" whose next token depends on the source and on the whole prefix, for searches to be tried on."""

import torch
from torch import Generator, Tensor, nn

from utils.transformer.masks import BEGIN, END, PADDING

SILENT = 4


class Scripted(nn.Module):
    """model(source, prefix) as a Transformer's, without attention: it averages what a position may see.

    The logit of END is `end` and `grow` more for each position: it says how soon sentences end. `specials` is added to
    those of PADDING and BEGIN, `shift` to all. A source that begins with the word SILENT is translated by nothing.
    """

    def __init__(
        self, generator: Generator, end: float = 0.0, grow: float = 0.0, specials: float = 0.0, shift: float = 0.0,
        vocab_size: int = 12,
    ) -> None:  # fmt: skip
        super().__init__()
        self.target_table = nn.Parameter(torch.randn(vocab_size, 8, generator=generator))
        self.source_table = nn.Parameter(torch.randn(vocab_size, 8, generator=generator))
        self.output = nn.Parameter(2 * torch.randn(8, vocab_size, generator=generator))
        self.end, self.grow, self.specials, self.shift = end, grow, specials, shift

    def forward(self, source: Tensor, prefix: Tensor) -> Tensor:
        """source: (batch, source_len) ids; prefix: (batch, length) ids. Returns logits (batch, length, vocab_size)."""
        words = (source != PADDING).float()[:, :, None]  # (batch, source_len, 1)
        read = (self.source_table[source] * words).sum(dim=1, keepdim=True) / words.sum(dim=1, keepdim=True).clamp(1)
        place = torch.arange(1, prefix.size(1) + 1)[:, None]  # (length, 1)
        embedded = self.target_table[prefix]  # (batch, length, 8)
        hidden = embedded + embedded.cumsum(dim=1) / place.sqrt() + 2 * read
        logits = hidden @ self.output
        logits[..., END] = self.end + self.grow * place.squeeze(1)
        logits[..., [PADDING, BEGIN]] += self.specials
        logits[source[:, 0] == SILENT, :, END] += 100
        return logits + self.shift
