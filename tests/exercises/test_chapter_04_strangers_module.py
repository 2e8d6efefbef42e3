"""Chapter 04, the module: more answers of strangers, wrong ones in ways that the cases might have overlooked (state,
masks, modes, layers by their names) and right ones written otherwise.

Each wrong answer comes with words that its report must contain, or None where a plain "not the expected numbers" is all
that is asked of the check.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

from utils.transformer.attention import MultiHeadAttention as Reference
from utils.transformer.attention import join_heads, scaled_dot_product_attention, split_heads

# 4.4 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Mine(nn.Module):
    """Right, as a base for faults."""

    def __init__(self, d_model, heads, d_k=None, d_v=None, bias=True):
        super().__init__()
        self.heads, self.d_k, self.d_v = heads, d_k or d_model // heads, d_v or d_model // heads
        self.query_projection = nn.Linear(d_model, heads * self.d_k, bias=bias)
        self.key_projection = nn.Linear(d_model, heads * self.d_k, bias=bias)
        self.value_projection = nn.Linear(d_model, heads * self.d_v, bias=bias)
        self.output_projection = nn.Linear(heads * self.d_v, d_model, bias=bias)

    def split(self, x):
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def join(self, x):
        return x.transpose(1, 2).flatten(-2)

    def scores(self, q, k):
        return q @ k.mT / math.sqrt(self.d_k)

    def weigh(self, scores, mask):
        if mask is None:
            return scores.softmax(-1)
        weights = scores.masked_fill(~mask, -1e30).softmax(-1)
        return weights.masked_fill(~mask.any(-1, keepdim=True), 0.0)

    def forward(self, query, key, value, mask=None):
        q = self.split(self.query_projection(query))
        k, v = self.split(self.key_projection(key)), self.split(self.value_projection(value))
        weights = self.weigh(self.scores(q, k), mask)
        return self.output_projection(self.join(weights @ v)), weights


def mine(**methods):
    return type("Changed", (Mine,), methods)


def scored(scores):
    return mine(scores=scores)


def weighed(weigh):
    return mine(weigh=weigh)


def after(change):
    """The right result, changed."""
    return mine(forward=lambda self, q, k, v, mask=None: change(*Mine.forward(self, q, k, v, mask)))


def masking(change):
    """The right code with another mask, of which there is one."""
    return mine(
        forward=lambda self, q, k, v, mask=None: Mine.forward(self, q, k, v, mask if mask is None else change(mask))
    )


def unless_none(scores, mask, masked):
    return scores.softmax(-1) if mask is None else masked(scores).softmax(-1)


def reshaped_both_ways(self, query, key, value, mask=None):
    q, k, v = (
        p(x).reshape(len(x), self.heads, x.size(1), -1)
        for p, x in ((self.query_projection, query), (self.key_projection, key), (self.value_projection, value))
    )
    output, weights = scaled_dot_product_attention(q, k, v, mask)
    return self.output_projection(output.reshape(*query.shape[:2], -1)), weights


class NamesExchanged(Mine):
    """Keys' layer declared first, and used for the queries."""

    def __init__(self, d_model, heads, d_k=None, d_v=None, bias=True):
        super().__init__(d_model, heads, d_k, d_v, bias)
        layers = self.query_projection, self.value_projection, self.output_projection
        del self.query_projection, self.value_projection, self.output_projection
        self.query_projection, self.value_projection, self.output_projection = layers

    def forward(self, query, key, value, mask=None):
        q, k = self.split(self.key_projection(query)), self.split(self.query_projection(key))
        weights = self.weigh(self.scores(q, k), mask)
        return self.output_projection(self.join(weights @ self.split(self.value_projection(value)))), weights


class KeysKept(Mine):
    """The first keys and values of that shape serve every later call of this module."""

    kept = None

    def forward(self, query, key, value, mask=None):
        if self.kept is None or self.kept[0].shape != key.shape:
            self.kept = key, value
        return super().forward(query, *self.kept, mask)


class MaskKept(Mine):
    kept = None

    def forward(self, query, key, value, mask=None):
        if mask is not None and self.kept is None:
            self.kept = mask
        use = self.kept if mask is not None and self.kept.shape == mask.shape else mask
        return super().forward(query, key, value, use)


class MaskRemembered(Mine):
    """The last mask serves calls without one."""

    last = None

    def forward(self, query, key, value, mask=None):
        self.last = self.last if mask is None else mask
        fits = self.last is not None and self.last.size(-1) == key.size(1)
        return super().forward(query, key, value, self.last if fits else None)


class CallsCounted(Mine):
    calls = 0

    def forward(self, query, key, value, mask=None):
        self.calls += 1
        return super().forward(query * self.calls, key, value, mask)


class CacheGrown(Mine):
    """Keeps the keys of earlier calls, as in translating."""

    past = None

    def forward(self, query, key, value, mask=None):
        if self.past is not None and mask is None:
            key, value = torch.cat([self.past[0], key], 1), torch.cat([self.past[1], value], 1)
        self.past = key, value
        return super().forward(query, key, value, mask)


class DropoutAtTheEnd(Mine):
    def forward(self, query, key, value, mask=None):
        output, weights = super().forward(query, key, value, mask)
        return F.dropout(output, 0.1, self.training), weights


class HeadsWide(Mine):
    """W^O of d_model inputs, whatever the heads' widths are."""

    def __init__(self, d_model, heads, d_k=None, d_v=None, bias=True):
        super().__init__(d_model, heads, d_k, d_v, bias)
        self.output_projection = nn.Linear(d_model, d_model, bias=bias)


class ValuesFromKeysWidth(Mine):
    """d_v from d_k."""

    def __init__(self, d_model, heads, d_k=None, d_v=None, bias=True):
        super().__init__(d_model, heads, d_k, d_v or d_k, bias)


class ScaleOfTheModel(Mine):
    def __init__(self, d_model, heads, d_k=None, d_v=None, bias=True):
        super().__init__(d_model, heads, d_k, d_v, bias)
        self.d_k = d_model // heads


class Frozen(Mine):
    def __init__(self, *sizes, **options):
        super().__init__(*sizes, **options)
        self.key_projection.requires_grad_(False)


class NewLayer(Mine):
    def forward(self, query, key, value, mask=None):
        self.output_projection = nn.Linear(self.heads * self.d_v, query.size(-1))
        return super().forward(query, key, value, mask)


class BiasOfTheOutput(Mine):
    def __init__(self, d_model, heads, d_k=None, d_v=None, bias=True):
        super().__init__(d_model, heads, d_k, d_v, bias)
        for layer in (self.query_projection, self.key_projection, self.value_projection):
            layer.bias = None


def causal_when_self(self, query, key, value, mask=None):
    if query is key and mask is None:
        mask = torch.ones(query.size(1), query.size(1), dtype=torch.bool).tril()
    return Mine.forward(self, query, key, value, mask)


def one_for_all_sentences(mask):
    return mask.all(0, keepdim=True)


WRONG_4_4 = {
    "reshaped both ways": (mine(forward=reshaped_both_ways), "`split_heads` (4.2)"),
    "columns dealt out": (
        mine(split=lambda self, x: x.unflatten(-1, (-1, self.heads)).permute(0, 3, 1, 2)), "neighbouring columns"),
    "columns dealt out and back": (
        mine(split=lambda self, x: x.unflatten(-1, (-1, self.heads)).permute(0, 3, 1, 2),
             join=lambda self, x: x.permute(0, 2, 3, 1).flatten(-2)), "neighbouring columns"),
    "joined in turns": (mine(join=lambda self, x: x.permute(0, 2, 3, 1).flatten(-2)), None),
    "heads reversed": (mine(join=lambda self, x: join_heads(x.flip(1))), None),
    "heads averaged": (
        mine(join=lambda self, x: x.mean(1, keepdim=True).expand_as(x).transpose(1, 2).flatten(-2)), None),
    "names exchanged": (NamesExchanged, "exchanged"),
    "keys kept": (KeysKept, "the same module has been called before, with other"),
    "mask kept": (MaskKept, "another mask"),
    "mask remembered": (MaskRemembered, "this one has none"),
    "calls counted": (CallsCounted, "the same module has been called before, with other"),
    "cache grown": (CacheGrown, "this one has none"),
    "dropout at the end": (DropoutAtTheEnd, "training mode"),
    "W^O as wide as the model": (HeadsWide, "all heads side by side"),
    "d_v from d_k": (ValuesFromKeysWidth, "parameters"),
    "scaled by d_model / heads": (ScaleOfTheModel, "d_k is given"),
    "keys' layer frozen": (Frozen, "key_projection"),
    "a new layer each time": (NewLayer, None),
    "bias in the output only": (BiasOfTheOutput, "parameters"),
    "causal by itself": (mine(forward=causal_when_self), "there is no mask"),
    "−10⁹ where nothing may be seen": (
        weighed(lambda self, s, m: unless_none(s, m, lambda s: s.masked_fill(~m, -1e9))), "attend to nothing"),
    "masked with 0": (weighed(lambda self, s, m: unless_none(s, m, lambda s: s.masked_fill(~m, 0))), "−∞"),
    "scores times mask": (weighed(lambda self, s, m: unless_none(s, m, lambda s: s * m)), "−∞"),
    "mask added": (weighed(lambda self, s, m: unless_none(s, m, lambda s: s + m)), None),
    "−1 for −∞": (weighed(lambda self, s, m: unless_none(s, m, lambda s: s.masked_fill(~m, -1.0))), None),
    "smallest positive number": (
        weighed(lambda self, s, m: unless_none(s, m, lambda s: s.masked_fill(~m, torch.finfo(s.dtype).tiny))), "−∞"),
    "masked after, not renormalised": (
        weighed(lambda self, s, m: s.softmax(-1) if m is None else s.softmax(-1) * m), "sums to one"),
    "if mask": (masking(lambda mask: mask if mask else None), "ambiguous"),
    "one mask for all sentences": (masking(one_for_all_sentences), "sentences' masks differ"),
    "last head's mask": (masking(lambda mask: mask[:, -1:]), "heads' masks differ"),
    "heads' masks merged": (masking(lambda mask: mask.any(1, keepdim=True)), "heads' masks differ"),
    "first query's mask": (masking(lambda mask: mask[..., :1, :]), "from query to query"),
    "mask for each sentence repeated": (masking(lambda mask: mask.unsqueeze(1)), None),
    "no scale": (scored(lambda self, q, k: q @ k.mT), "√d_k"),
    "scaled by d_k": (scored(lambda self, q, k: q @ k.mT / self.d_k), "its root"),
    "scaled by √heads": (scored(lambda self, q, k: q @ k.mT / math.sqrt(self.heads)), None),
    "scaled by √d_v": (scored(lambda self, q, k: q @ k.mT / math.sqrt(self.d_v)), "is given"),
    "cosines": (scored(lambda self, q, k: F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).mT), None),
    "distances": (scored(lambda self, q, k: -torch.cdist(q, k)), None),
    "scores for weights": (
        mine(forward=lambda self, q, k, v, mask=None: (Mine.forward(self, q, k, v, mask)[0], self.scores(
            self.split(self.query_projection(q)), self.split(self.key_projection(k))))), "before the softmax"),
    "weights detached": (after(lambda output, weights: (output, weights.detach())), None),
    "weights transposed": (after(lambda output, weights: (output, weights.mT)), None),
    "weights added up": (after(lambda output, weights: (output, weights.sum(1))), "shape"),
    "weights of the first head": (after(lambda output, weights: (output, weights[:, 0])), "shape"),
    "weights head by head": (after(lambda output, weights: (output, list(weights.unbind(1)))), "list"),
    "a dictionary": (after(lambda output, weights: {"output": output, "weights": weights}), "dict"),
    "squeezed": (after(lambda output, weights: (output.squeeze(0), weights)), "shape"),
    "length first": (after(lambda output, weights: (output.transpose(0, 1), weights)), "shape"),
    "output halved": (after(lambda output, weights: (output / 2, weights)), "0.5 times"),
    "tanh": (after(lambda output, weights: (output.tanh(), weights)), None),
    "half precision": (after(lambda output, weights: (output.half(), weights)), "float16"),
    "mask required": (mine(forward=lambda self, query, key, value, mask: Mine.forward(
        self, query, key, value, mask)), "mask=None"),
    "mask under another name": (mine(forward=lambda self, query, key, value, attn_mask=None: Mine.forward(
        self, query, key, value, attn_mask)), "mask=None"),
}  # fmt: skip


class Slices(Mine):
    """Head by head, with rows of each matrix."""

    def forward(self, query, key, value, mask=None):
        found, maps = [], []
        if mask is not None:
            mask = mask.expand(len(query), self.heads, query.size(1), key.size(1))
        for i in range(self.heads):
            one = slice(i * self.d_k, (i + 1) * self.d_k)
            q, k = self.query_projection(query)[..., one], self.key_projection(key)[..., one]
            v = self.value_projection(value)[..., i * self.d_v : (i + 1) * self.d_v]
            output, weights = scaled_dot_product_attention(q, k, v, None if mask is None else mask[:, i])
            found.append(output)
            maps.append(weights)
        return self.output_projection(torch.cat(found, -1)), torch.stack(maps, 1)


class Batched(Mine):
    """Heads in the batch, `baddbmm` for the scores."""

    def forward(self, query, key, value, mask=None):
        batch, shape = len(query), (len(query), self.heads, query.size(1), key.size(1))
        q, k, v = (split_heads(p(x), self.heads).flatten(0, 1) for p, x in (
            (self.query_projection, query), (self.key_projection, key), (self.value_projection, value)))  # fmt: skip
        bias = query.new_zeros(shape)
        if mask is not None:
            bias = bias.masked_fill(mask.logical_not(), -math.inf)
        scores = torch.baddbmm(bias.flatten(0, 1), q, k.mT, alpha=self.d_k**-0.5)
        weights = scores.softmax(-1).nan_to_num(0.0)
        output = torch.bmm(weights, v).unflatten(0, (batch, -1)).transpose(1, 2).flatten(2)
        return self.output_projection(output), weights.view(shape)


class Layers(nn.Module):
    """Layers in a dictionary, of a class of its own."""

    class Layer(nn.Linear):
        def forward(self, x):
            return torch.einsum("...i,oi->...o", x, self.weight) + (0 if self.bias is None else self.bias)

    def __init__(self, d_model, heads, d_k=None, d_v=None, bias=True, **unused):
        super().__init__()
        self.heads, d_k, d_v = heads, d_k or d_model // heads, d_v or d_model // heads
        widths = {"query": (d_model, heads * d_k), "key": (d_model, heads * d_k), "value": (d_model, heads * d_v)}
        widths["output"] = heads * d_v, d_model
        self.layers = nn.ModuleDict({name: self.Layer(*width, bias=bias) for name, width in widths.items()})

    def forward(self, query, key, value, mask=None):
        inputs = {"query": query, "key": key, "value": value}
        q, k, v = (split_heads(self.layers[name](x), self.heads) for name, x in inputs.items())
        output, weights = scaled_dot_product_attention(q, k, v, mask)
        return self.layers["output"](join_heads(output)), weights


class ByEinsum(Mine):
    def forward(self, query, key, value, mask=None):
        def cut(layer, x):
            weight = layer.weight.unflatten(0, (self.heads, -1))
            found = torch.einsum("bld,hwd->bhlw", x, weight)
            return found if layer.bias is None else found + layer.bias.view(self.heads, 1, -1)

        q, k, v = (cut(*pair) for pair in (
            (self.query_projection, query), (self.key_projection, key), (self.value_projection, value)))  # fmt: skip
        weights = self.weigh(torch.einsum("bhtw,bhsw->bhts", q, k) * self.d_k**-0.5, mask)
        return self.output_projection(torch.einsum("bhts,bhsw->bthw", weights, v).flatten(2)), weights


class Sentences(Mine):
    def forward(self, query, key, value, mask=None):
        masks = [None if mask is None else mask[i % len(mask)][None] for i in range(len(query))]
        found = [super(Sentences, self).forward(*(x[i : i + 1] for x in (query, key, value)), own)
                 for i, own in enumerate(masks)]  # fmt: skip
        return tuple(map(torch.cat, zip(*found, strict=True)))


class Remembers(Mine):
    """Keeps its last weights, to be looked at."""

    def forward(self, query, key, value, mask=None, need_weights=True):
        output, self.last_weights = super().forward(query, key, value, mask)
        return [output, self.last_weights]


class SizesKept(Mine):
    """Causal masks of each length made once, and none used that was not asked for."""

    def __init__(self, d_model, heads, d_k=None, d_v=None, bias=True, max_len=16):
        super().__init__(d_model, heads, d_k, d_v, bias)
        self.register_buffer("causal", torch.ones(max_len, max_len, dtype=torch.bool).tril(), persistent=False)
        self.dropout = nn.Dropout(0.0)


RIGHT_4_4 = {
    "as asked": Mine,
    "rows of each matrix": Slices,
    "heads in the batch": Batched,
    "layers in a dictionary": Layers,
    "einsum": ByEinsum,
    "sentence by sentence": Sentences,
    "keeps its weights, gives a list": Remembers,
    "a buffer besides": SizesKept,
    "scaled queries": scored(lambda self, q, k: (q * self.d_k**-0.5) @ k.mT),
    "both by the fourth root": scored(lambda self, q, k: q / self.d_k**0.25 @ (k / self.d_k**0.25).mT),
    "own softmax": weighed(lambda self, s, m: Mine.weigh(self, s - s.detach().amax(-1, keepdim=True), m)),
    "where": weighed(lambda self, s, m: s.softmax(-1) if m is None else torch.where(
        m, torch.where(m, s, -math.inf).softmax(-1), 0.0)),
    "mask for every head": masking(lambda mask: mask.expand(-1, max(2, mask.size(1)), -1, -1)[:, : mask.size(1)]),
    "subclassed, another default": type("Wide", (Reference,), {"dropout": 0.1, "extra_repr": lambda self: "wide"}),
}  # fmt: skip

WRONG = {"4.4": WRONG_4_4}
RIGHT = {"4.4": RIGHT_4_4}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
