"""Decoding one token at a time with a key–value cache, equal to decoding without one (tested).

Keys and values of earlier tokens never change, so each step computes them for the newest token only. Those of the
source are computed once a sentence and shared by all its hypotheses: the hypotheses of a beam stand side by side
as queries over one set of keys. So they do over their own past: a sentence has one cache for all its hypotheses, and
who descends from whom is a mask, so that a search can fork hypotheses without copying a single key.

Both attentions run over whole blocks of positions, masked where there is nothing: the kernel for products of many
small matrices takes twice as long over a ragged edge, and `scaled_dot_product_attention` as long again for so few
queries. √d_k is divided out once, of weights and keys, rather than at every step.
"""

import torch
from torch import Tensor, nn

from utils.transformer.attention import join_heads, split_heads
from utils.transformer.fused import stacked
from utils.transformer.layers import DecoderLayer
from utils.transformer.masks import PADDING

CACHED_PARTS = ("query_projection", "key_projection", "value_projection", "output_projection", "heads")
BLOCK = 16  # positions


class SelfAttentionCache:
    """Keys and values of one layer's self-attention, for all hypotheses of a sentence side by side.

    keys, values: (batch, heads, capacity, width), of which the first `filled` are in use. When hypotheses fork, nothing
    is copied: a mask says which keys are those of a hypothesis's own past (`IncrementalDecoder.hidden`).
    What is not in use yet is zero: its weight will be 0, and 0 · NaN would be NaN.
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
        self.filled = 0
        self.keys = self.values = None

    def attend(self, x: Tensor, hidden: Tensor | None) -> Tensor:
        """x: (batch, beams, d_model), the newest tokens; hidden: (batch, 1, beams, columns), 0 = may attend, else −∞;
        None: every key that has been filled may be attended to. Returns the shape of x.
        """
        projected = nn.functional.linear(x, self.weight, self.bias).split(self.widths, dim=-1)
        query, key, value = (split_heads(part, self.attention.heads) for part in projected)
        self._append(key, value)
        columns = in_blocks(self.filled)
        keys, values = (part[:, :, :columns].flatten(0, 1) for part in (self.keys, self.values))
        scores = torch.bmm(query.flatten(0, 1), keys.transpose(1, 2)).unflatten(0, query.shape[:2])
        if hidden is None:
            scores[..., self.filled :] = -torch.inf
        else:
            scores += hidden
        weights = scores.softmax(dim=-1).flatten(0, 1)  # (batch · heads, beams, columns)
        output = torch.bmm(weights, values).unflatten(0, query.shape[:2])
        return self.attention.output_projection(join_heads(output))

    def _append(self, key: Tensor, value: Tensor) -> None:
        end = self.filled + key.size(2)
        if self.keys is None:
            room = in_blocks(end)
            self.keys, self.values = (new.new_zeros(*new.shape[:2], room, new.size(3)) for new in (key, value))
        elif (missing := in_blocks(end) - self.keys.size(2)) > 0:
            more = max(missing, self.keys.size(2))  # at least twice the room, so that moving house stays rare
            self.keys, self.values = (nn.functional.pad(old, (0, 0, 0, more)) for old in (self.keys, self.values))
        self.keys[:, :, self.filled : end] = key
        self.values[:, :, self.filled : end] = value
        self.filled = end

    def keep(self, sentences: Tensor) -> None:
        """Keeps the given sentences, in that order."""
        if self.keys is not None:  # before the first step there is nothing to keep
            self.keys, self.values = self.keys[sentences], self.values[sentences]


def in_blocks(columns: int) -> int:
    """A number of columns, rounded up to whole blocks."""
    return -(-columns // BLOCK) * BLOCK


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
        # Added to the scores of self-attention: 0 for the keys of a hypothesis's own past, −∞ for all others.
        self.hidden = memory.new_full((self.sentences, 1, beams, 0), -torch.inf)  # (batch, 1, beams, columns)
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
        return logits.repeat_interleave(self.beams, dim=0)

    def _step(self, tokens: Tensor) -> Tensor:
        """tokens: (batch, beams), or (batch, 1) for all beams. Returns logits (batch · beams or 1, vocab_size)."""
        hidden = self._grown(tokens.size(1))
        embedded = self.model.target_embedding(tokens.reshape(-1, 1))  # (rows, 1, d_model)
        x = self.model.target_positions(embedded, start=self.length).view(*tokens.shape, -1)
        for layer, own, cross in zip(self.model.decoder.layers, self.self_caches, self.cross_caches, strict=True):
            x = layer.residuals[0](x, lambda y, own=own: own.attend(y, hidden))
            x = layer.residuals[1](x, cross.attend)
            x = layer.residuals[2](x, layer.feed_forward)
        if self.model.decoder.final_norm is not None:
            x = self.model.decoder.final_norm(x)
        self.length += 1
        return self.model.output(x).flatten(0, 1)

    def _grown(self, new: int) -> Tensor | None:
        """Makes room in `hidden` for the keys of `new` tokens a sentence: seen by one hypothesis each, or by all."""
        if self.beams == 1:
            return None
        start = self.self_caches[0].filled  # as far as every layer's cache is in use
        end = start + new
        if missing := in_blocks(end) - self.hidden.size(-1):
            self.hidden = nn.functional.pad(self.hidden, (0, missing), value=-torch.inf)
        columns = self.hidden[:, 0, :, start:end]  # (batch, beams, new)
        (columns if new == 1 else columns.diagonal(dim1=1, dim2=2)).fill_(0)
        return self.hidden[:, :, :new]

    def reorder(self, rows: Tensor) -> None:
        """Row i goes on from what was row rows[i], a row of the same sentence."""
        past = self.hidden.flatten(0, 2)[rows]  # (batch · beams, columns)
        self.hidden = past.view(self.hidden.shape)

    def keep(self, sentences: Tensor) -> None:
        """Goes on with the given sentences only, in that order."""
        for cache in (*self.self_caches, *self.cross_caches):
            cache.keep(sentences)
        self.hidden = self.hidden[sentences]
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
    """Whether the decoder is made of the course's layers, with the projections that the cache needs."""
    if not all(isinstance(layer, DecoderLayer) for layer in model.decoder.layers):
        return False
    attentions = [a for layer in model.decoder.layers for a in (layer.self_attention, layer.cross_attention)]
    return all(hasattr(attention, part) for attention in attentions for part in CACHED_PARTS)
