"""Decoding one token at a time with a key–value cache, equal to decoding without one (tested).

Keys and values of earlier tokens never change, so each step computes them for the newest token only. Those of the
source are computed once a sentence and shared by all its hypotheses: the hypotheses of a beam stand side by side
as queries over one set of keys.

Both attentions run over whole blocks of positions, masked where there is nothing: the kernel for products of many
small matrices takes twice as long over a ragged edge, and `scaled_dot_product_attention` as long again for so few
queries. √d_k is divided out once, of weights and keys, rather than at every step.
"""

import torch
from torch import Tensor, nn

from utils.transformer.attention import join_heads, split_heads
from utils.transformer.fused import stacked
from utils.transformer.masks import PADDING

CACHED_PARTS = ("query_projection", "key_projection", "value_projection", "output_projection", "heads")
BLOCK = 16  # positions


class SelfAttentionCache:
    """Keys and values of one layer's self-attention: (rows, heads, capacity, width), filled up to `length`.

    A block's values are zero until they are filled: their weight is 0, and 0 · NaN would be NaN.
    """

    def __init__(self, attention: nn.Module) -> None:
        self.attention = attention
        self.weight, self.bias = stacked(
            attention.query_projection, attention.key_projection, attention.value_projection
        )
        outputs = attention.query_projection.out_features, attention.value_projection.out_features
        root = (outputs[0] // attention.heads) ** 0.5  # √d_k
        self.weight[: outputs[0]] /= root
        if self.bias is not None:
            self.bias[: outputs[0]] /= root
        self.widths = [outputs[0], outputs[0], outputs[1]]
        self.length = 0
        self.keys = self.values = None
        self.spare_keys = self.spare_values = None  # where `select` puts what it keeps: new memory costs more to get

    def attend(self, x: Tensor) -> Tensor:
        """x: (batch, beams, d_model), the newest token of each row. Returns the same shape."""
        rows = x.size(0) * x.size(1)
        projected = nn.functional.linear(x, self.weight, self.bias).view(rows, 1, -1).split(self.widths, dim=-1)
        query, key, value = (split_heads(part, self.attention.heads) for part in projected)
        self._append(key, value)
        keys, values = (part[:, :, : self._width()].flatten(0, 1) for part in (self.keys, self.values))
        scores = torch.bmm(query.flatten(0, 1), keys.transpose(1, 2))  # (rows · heads, 1, width)
        scores[:, :, self.length :] = -torch.inf
        output = torch.bmm(scores.softmax(dim=-1), values)  # (rows · heads, 1, d_v)
        return self.attention.output_projection(output.view(*x.shape[:2], -1))

    def _append(self, key: Tensor, value: Tensor) -> None:
        if self.keys is None:
            self.keys, self.values = (new.new_empty(*new.shape[:2], BLOCK, new.size(3)) for new in (key, value))
        elif self.length == self.keys.size(2):
            self.keys, self.values = (torch.cat([old, torch.empty_like(old)], 2) for old in (self.keys, self.values))
        if self.length == self._width():  # a block is begun
            self.values[:, :, self.length : self.length + BLOCK] = 0
        self.keys[:, :, self.length] = key.squeeze(2)
        self.values[:, :, self.length] = value.squeeze(2)
        self.length += 1

    def select(self, rows: Tensor) -> None:
        """Keeps the given rows, in that order; only the blocks in use are copied."""
        if self.keys is None:  # before the first step there is nothing to keep
            return
        if self.spare_keys is None or self.spare_keys.shape != (len(rows), *self.keys.shape[1:]):
            self.spare_keys, self.spare_values = (
                old.new_empty(len(rows), *old.shape[1:]) for old in (self.keys, self.values)
            )
        for kept, spare in ((self.keys, self.spare_keys), (self.values, self.spare_values)):
            torch.index_select(kept[:, :, : self._width()], 0, rows, out=spare[:, :, : self._width()])
        self.keys, self.spare_keys = self.spare_keys, self.keys
        self.values, self.spare_values = self.spare_values, self.values

    def _width(self) -> int:
        """The length, rounded up to whole blocks."""
        return -(-self.length // BLOCK) * BLOCK


class CrossAttentionCache:
    """Keys and values of the encoder's output for one layer: (batch, heads, source_len, width), source_len in blocks.

    Values that nobody may see are zero; so a query that may see none of them gets zeros, whatever its weights.
    """

    def __init__(self, attention: nn.Module, memory: Tensor, mask: Tensor | None) -> None:
        """memory: (batch, source_len, d_model); mask: bool (batch, 1, 1, source_len), True = may attend."""
        self.attention = attention
        missing = -memory.size(1) % BLOCK
        visible = memory.new_ones(1, 1, 1, memory.size(1), dtype=torch.bool) if mask is None else mask
        visible = nn.functional.pad(visible, (0, missing)).expand(memory.size(0), attention.heads, -1, -1)
        memory = nn.functional.pad(memory, (0, 0, 0, missing))
        keys = split_heads(attention.key_projection(memory), attention.heads)
        self.keys = keys.contiguous() / keys.size(-1) ** 0.5
        values = split_heads(attention.value_projection(memory), attention.heads)
        self.values = values.contiguous() * visible.transpose(2, 3)
        self.hidden = (~visible) * (torch.finfo(memory.dtype).min / 2)  # added to scores: (batch, heads, 1, source_len)

    def attend(self, x: Tensor) -> Tensor:
        """x: (batch, beams, d_model). Returns the same shape."""
        query = split_heads(self.attention.query_projection(x), self.attention.heads)  # (batch, heads, beams, d_k)
        keys, values, hidden = (part.flatten(0, 1) for part in (self.keys, self.values, self.hidden))
        scores = torch.baddbmm(hidden, query.flatten(0, 1), keys.transpose(1, 2))  # (batch · heads, beams, source_len)
        output = torch.bmm(scores.softmax(dim=-1), values).unflatten(0, query.shape[:2])
        return self.attention.output_projection(join_heads(output))

    def keep(self, sentences: Tensor) -> None:
        """Keeps the given sentences, in that order."""
        self.keys, self.values, self.hidden = (part[sentences] for part in (self.keys, self.values, self.hidden))


class IncrementalDecoder:
    """Steps a `Transformer` through its output, one token for each of batch · beams rows at a time."""

    def __init__(self, model: nn.Module, memory: Tensor, source_mask: Tensor | None, beams: int = 1) -> None:
        self.model, self.beams = model, beams
        self.sentences, self.length = memory.size(0), 0
        self.self_caches = [SelfAttentionCache(layer.self_attention) for layer in model.decoder.layers]
        self.cross_caches = [
            CrossAttentionCache(layer.cross_attention, memory, source_mask) for layer in model.decoder.layers
        ]

    def step(self, tokens: Tensor) -> Tensor:
        """tokens: (batch · beams,) the newest token of each row. Returns logits (batch · beams, vocab_size)."""
        tokens = tokens.view(self.sentences, self.beams)
        if self.length > 0 or self.beams == 1 or bool((tokens != tokens[:, :1]).any()):
            return self._step(tokens)
        logits = self._step(tokens[:, :1])  # a search starts with hypotheses all alike: one of each will do
        rows = torch.arange(self.sentences, device=tokens.device).repeat_interleave(self.beams)
        for cache in self.self_caches:
            cache.select(rows)
        return logits[rows]

    def _step(self, tokens: Tensor) -> Tensor:
        """tokens: (batch, beams). Returns logits (batch · beams, vocab_size)."""
        embedded = self.model.target_embedding(tokens.reshape(-1, 1))  # (rows, 1, d_model)
        x = self.model.target_positions(embedded, start=self.length).view(*tokens.shape, -1)
        for layer, own, cross in zip(self.model.decoder.layers, self.self_caches, self.cross_caches, strict=True):
            x = layer.residuals[0](x, own.attend)
            x = layer.residuals[1](x, cross.attend)
            x = layer.residuals[2](x, layer.feed_forward)
        if self.model.decoder.final_norm is not None:
            x = self.model.decoder.final_norm(x)
        self.length += 1
        return self.model.output(x).flatten(0, 1)

    def reorder(self, rows: Tensor) -> None:
        """Row i goes on from what was row rows[i], a row of the same sentence."""
        for cache in self.self_caches:
            cache.select(rows)

    def keep(self, sentences: Tensor) -> None:
        """Goes on with the given sentences only, in that order."""
        rows = (sentences[:, None] * self.beams + torch.arange(self.beams, device=sentences.device)).flatten()
        for own, cross in zip(self.self_caches, self.cross_caches, strict=True):
            own.select(rows)
            cross.keep(sentences)
        self.sentences = sentences.size(0)


class FullDecoder:
    """The same interface without a cache: runs the whole prefix again at every step.

    For models whose attention is not laid out as ours, and to compare with.
    """

    def __init__(self, model: nn.Module, memory: Tensor, source_mask: Tensor | None, beams: int = 1) -> None:
        self.model, self.beams = model, beams
        self.memory = memory.repeat_interleave(beams, dim=0)
        self.source_mask = None if source_mask is None else source_mask.repeat_interleave(beams, dim=0)
        self.prefix = torch.full((self.memory.size(0), 0), PADDING, dtype=torch.long, device=memory.device)

    def step(self, tokens: Tensor) -> Tensor:
        """As `IncrementalDecoder.step`."""
        self.prefix = torch.cat([self.prefix, tokens[:, None]], dim=1)
        states = self.model.decode(self.prefix, self.memory, self.source_mask)
        return self.model.output(states[:, -1])

    def reorder(self, rows: Tensor) -> None:
        """As `IncrementalDecoder.reorder`."""
        self.prefix = self.prefix[rows]

    def keep(self, sentences: Tensor) -> None:
        """As `IncrementalDecoder.keep`."""
        rows = (sentences[:, None] * self.beams + torch.arange(self.beams, device=sentences.device)).flatten()
        self.prefix, self.memory = self.prefix[rows], self.memory[rows]
        self.source_mask = None if self.source_mask is None else self.source_mask[rows]


def can_cache(model: nn.Module) -> bool:
    """Whether every attention of the decoder has the projections that the cache needs."""
    attentions = [a for layer in model.decoder.layers for a in (layer.self_attention, layer.cross_attention)]
    return all(hasattr(attention, part) for attention in attentions for part in CACHED_PARTS)
