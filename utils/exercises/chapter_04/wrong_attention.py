"""What goes wrong in a multi-head attention (chapter 04), and what puts it right."""

import math

from torch import Tensor, nn

from utils.exercises.declare import Misconception
from utils.transformer.attention import (
    MultiHeadAttention,
    join_heads,
    scaled_dot_product_attention,
    split_heads,
)


def wrong(forward) -> type[nn.Module]:
    """The reference with another `forward`."""
    return type("Wrong", (MultiHeadAttention,), {"forward": forward})


def projected(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return self.query_projection(query), self.key_projection(key), self.value_projection(value)


def in_heads(self: nn.Module, *inputs: Tensor) -> tuple[Tensor, ...]:
    return tuple(split_heads(part, self.heads) for part in projected(self, *inputs))


def finished(self: nn.Module, output: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    return self.output_projection(join_heads(output)), weights


def reshaped_only(self, query, key, value, mask=None):
    parts = [part.reshape(part.size(0), self.heads, part.size(1), -1) for part in projected(self, query, key, value)]
    return finished(self, *scaled_dot_product_attention(*parts, mask))


def joined_by_reshape(self, query, key, value, mask=None):
    output, weights = scaled_dot_product_attention(*in_heads(self, query, key, value), mask)
    return self.output_projection(output.reshape(output.size(0), output.size(2), -1)), weights


def not_split(self, query, key, value, mask=None):
    output, weights = scaled_dot_product_attention(
        *(part[:, None] for part in projected(self, query, key, value)), mask
    )
    return finished(self, output, weights)


def no_output_projection(self, query, key, value, mask=None):
    output, weights = scaled_dot_product_attention(*in_heads(self, query, key, value), mask)
    return join_heads(output), weights


def scaled_by(width):
    """Scores divided by the root of another width."""

    def forward(self, query, key, value, mask=None):
        queries, keys, values = in_heads(self, query, key, value)
        queries = queries * math.sqrt(self.d_k / width(self, query))
        return finished(self, *scaled_dot_product_attention(queries, keys, values, mask))

    return forward


def unmasked(self, query, key, value, mask=None):
    return MultiHeadAttention.forward(self, query, key, value)


def inverted(self, query, key, value, mask=None):
    return MultiHeadAttention.forward(self, query, key, value, None if mask is None else ~mask)


def self_attention_only(self, query, key, value, mask=None):
    return MultiHeadAttention.forward(self, query, query, query, mask)


def values_of_keys(self, query, key, value, mask=None):
    return MultiHeadAttention.forward(self, query, key, key, mask)


def weights_averaged(self, query, key, value, mask=None):
    output, weights = MultiHeadAttention.forward(self, query, key, value, mask)
    return output, weights.mean(1)


def output_alone(self, query, key, value, mask=None):
    return MultiHeadAttention.forward(self, query, key, value, mask)[0]


def residual_inside(self, query, key, value, mask=None):
    output, weights = MultiHeadAttention.forward(self, query, key, value, mask)
    return query + output, weights


def not_a_number(self, query, key, value, mask=None):
    queries, keys, values = in_heads(self, query, key, value)
    scores = queries @ keys.transpose(-2, -1) / math.sqrt(self.d_k)
    weights = (scores if mask is None else scores.masked_fill(~mask, -math.inf)).softmax(-1)
    return finished(self, weights @ values, weights)


def values_unprojected(self, query, key, value, mask=None):
    queries, keys, _ = in_heads(self, query, key, value)
    output, weights = scaled_dot_product_attention(queries, keys, split_heads(value, self.heads), mask)
    return finished(self, output, weights)


def masked_in(training: bool):
    """Listens to the mask in that mode only."""

    def forward(self, query, key, value, mask=None):
        return MultiHeadAttention.forward(self, query, key, value, mask if self.training == training else None)

    return forward


def queries_hidden(self, query, key, value, mask=None):
    if mask is not None and mask.size(-2) == 1 and query.size(1) == key.size(1):
        mask = mask & mask.mT
    return MultiHeadAttention.forward(self, query, key, value, mask)


def projected_by(*roles: str):
    """Projects query, key and value with the layers of those names."""

    def forward(self, *inputs: Tensor, mask: Tensor | None = None):
        layers = (getattr(self, f"{role}_projection") for role in roles)
        parts = [split_heads(layer(part), self.heads) for layer, part in zip(layers, inputs, strict=True)]
        return finished(self, *scaled_dot_product_attention(*parts, mask))

    return lambda self, query, key, value, mask=None: forward(self, query, key, value, mask=mask)


def pair_joined(self, query, key, value, mask=None):
    found = scaled_dot_product_attention(*in_heads(self, query, key, value), mask)
    return self.output_projection(join_heads(found)), found[1]


def sized(width_of_keys, width_of_values, width_of_output=None) -> type[nn.Module]:
    """Projections of other sizes: each takes the module, which knows `heads`, `d_k` and `d_v`."""

    class Wrong(MultiHeadAttention):
        def __init__(self, d_model, heads, d_k=None, d_v=None, bias=True):
            super().__init__(d_model, heads, d_k, d_v, bias)
            self.query_projection = nn.Linear(d_model, width_of_keys(self), bias=bias)
            self.key_projection = nn.Linear(d_model, width_of_keys(self), bias=bias)
            self.value_projection = nn.Linear(d_model, width_of_values(self), bias=bias)
            self.output_projection = nn.Linear((width_of_output or width_of_values)(self), d_model, bias=bias)

    return Wrong


def all_keys(self: nn.Module) -> int:
    return self.heads * self.d_k


def all_values(self: nn.Module) -> int:
    return self.heads * self.d_v


class BiasAlways(MultiHeadAttention):
    """Ignores `bias`."""

    def __init__(self, d_model, heads, d_k=None, d_v=None, bias=True):
        super().__init__(d_model, heads, d_k, d_v)


class WidthsIgnored(MultiHeadAttention):
    """Ignores `d_k` and `d_v`."""

    def __init__(self, d_model, heads, d_k=None, d_v=None, bias=True):
        super().__init__(d_model, heads, bias=bias)


class WideHeads(MultiHeadAttention):
    """Each head as wide as the whole model."""

    def __init__(self, d_model, heads, d_k=None, d_v=None, bias=True):
        super().__init__(d_model, heads, d_model, d_model, bias)


MULTI_HEAD_ATTENTION = (
    Misconception(
        "reshaped without transpose",
        wrong(reshaped_only),
        "Your heads are cut out by `view` or `reshape` alone: the first head holds the first tokens with all their "
        "columns, not all tokens with its own columns. Use your `split_heads` (4.2).",
    ),
    Misconception(
        "joined without transpose",
        wrong(joined_by_reshape),
        "Your weights are right; the heads are put together wrongly. Reshaping (batch, heads, length, width) straight "
        "to (batch, length, …) mixes tokens: exchange axes 1 and 2 first, as your `join_heads` (4.3) does.",
    ),
    Misconception(
        "never split",
        wrong(not_split),
        "You never split into heads: there is one softmax over the full width, a single wide head. Split queries, keys "
        "and values after they are projected.",
    ),
    Misconception(
        "no output projection",
        wrong(no_output_projection),
        "Your weights are right; the last step is missing, W^O: `self.output_projection(join_heads(output))`. Without "
        "it each head could write to its own columns only.",
    ),
    Misconception(
        "scaled by d_model",
        wrong(scaled_by(lambda self, query: query.size(-1))),
        "Your scores are divided by √d_model. Each head compares vectors of width d_k: √d_k.",
    ),
    Misconception(
        "scaled by all heads' width",
        wrong(scaled_by(lambda self, query: self.heads * self.d_k)),
        "Your scores are divided by the root of all heads' width together. Each head compares vectors of width d_k: "
        "√d_k.",
    ),
    Misconception(
        "mask ignored",
        wrong(unmasked),
        "Your result stays the same whatever the mask says: hand it on to the attention.",
        everywhere=True,
    ),
    Misconception(
        "mask in training mode only",
        wrong(masked_in(training=True)),
        "Your mask works in training mode only. Padding and the future have to stay hidden in evaluation too: no `if "
        "self.training` here.",
    ),
    Misconception(
        "mask in evaluation mode only",
        wrong(masked_in(training=False)),
        "Your mask works in evaluation mode only. In training the future has to be hidden above all, or the model "
        "copies the answer: no `if self.training` here.",
    ),
    Misconception(
        "padded queries hidden",
        wrong(queries_hidden),
        "You hide padding among the queries too. A mask hides keys, columns of the weights; what a padded query finds "
        "is nobody's business, since nothing looks at it.",
    ),
    Misconception(
        "mask inverted",
        wrong(inverted),
        "Your mask works the wrong way round: it hides what is True. True = may be attended to, here as in 3.4; only "
        "torch.nn.MultiheadAttention has it otherwise.",
    ),
    Misconception(
        "NaN where all is masked",
        wrong(not_a_number),
        "Right, but for a query that may attend to nothing: there the softmax gives 0/0, NaN. Your function of 3.4 has "
        "settled that; use it here.",
    ),
    Misconception(
        "self-attention only",
        wrong(self_attention_only),
        "You project `query` three times. That is self-attention only; between decoder and encoder the keys come from "
        "`key` and the values from `value`.",
    ),
    Misconception(
        "values made of keys",
        wrong(values_of_keys),
        "You project `key` twice: the values come from `value`. In the model the two are one tensor, but not in the "
        "definition.",
    ),
    Misconception(
        "values through the keys' layer",
        wrong(projected_by("query", "key", "key")),
        "You project the values with `key_projection`. They have a layer of their own: `self.value_projection(value)`.",
    ),
    Misconception(
        "keys through the queries' layer",
        wrong(projected_by("query", "query", "value")),
        "You project the keys with `query_projection`. They have a layer of their own: `self.key_projection(key)`.",
    ),
    Misconception(
        "one layer for all",
        wrong(projected_by("query", "query", "query")),
        "You project query, key and value with one layer, `query_projection`. Each has a layer of its own.",
    ),
    Misconception(
        "layers exchanged",
        wrong(projected_by("key", "query", "value")),
        "The layers of queries and keys are exchanged: `self.query_projection(query)`, `self.key_projection(key)`.",
    ),
    Misconception(
        "pair not taken apart",
        wrong(pair_joined),
        "`scaled_dot_product_attention` returns two things; you hand both on as if they were one. "
        "`output, weights = …`, then join the output's heads.",
    ),
    Misconception(
        "values not projected",
        wrong(values_unprojected),
        "Your values are cut into heads without W^V: `self.value_projection(value)` first.",
    ),
    Misconception(
        "weights averaged over heads",
        wrong(weights_averaged),
        "Your output is right; your weights are averaged over the heads (as torch.nn.MultiheadAttention does unless "
        "told otherwise). Return each head's own, (batch, heads, target_len, source_len).",
    ),
    Misconception(
        "output alone",
        wrong(output_alone),
        "You return the output alone. The weights are asked for too, so that they can be looked at: "
        "`return output, weights`.",
    ),
    Misconception(
        "residual added",
        wrong(residual_inside),
        "You add the input to the output. The residual connection is a part of its own (§3.1), around this one; adding "
        "it here would count it twice.",
    ),
    Misconception(
        "bias ignored",
        BiasAlways,
        "Your projections have biases whatever `bias` says: hand it on, `nn.Linear(…, bias=bias)`.",
    ),
    Misconception(
        "widths ignored",
        WidthsIgnored,
        "You derive d_k and d_v from d_model / heads even where they are given. Table 3 (B) varies d_k on its own: use "
        "`self.d_k` and `self.d_v` for the sizes of the projections.",
    ),
    Misconception(
        "projections of one head's width",
        sized(lambda self: self.d_k, lambda self: self.d_v, all_values),
        "Your projections of query, key and value are as wide as a single head. They hold all heads side by side: "
        "heads · d_k, heads · d_k and heads · d_v outputs.",
    ),
    Misconception(
        "all projections of one head's width",
        sized(lambda self: self.d_k, lambda self: self.d_v),
        "Your four projections are as wide as a single head. They hold all heads side by side: heads · d_k outputs for "
        "queries and keys, heads · d_v for values, and as many inputs to W^O.",
    ),
    Misconception(
        "queries and keys of one head's width",
        sized(lambda self: self.d_k, all_values),
        "Your projections of queries and keys are as wide as a single head. They hold all heads side by side: heads · "
        "d_k outputs each, as the values have heads · d_v.",
    ),
    Misconception(
        "values as wide as keys",
        sized(all_keys, all_keys),
        "Your values are as wide as your keys, d_k, also where d_v is another number: heads · d_v outputs of "
        "`value_projection`, and as many inputs to `output_projection`.",
    ),
    Misconception(
        "heads of full width",
        WideHeads,
        "Each of your heads is d_model wide. A head's width is d_k = d_model / heads, so that all heads together cost "
        "what one wide head would: the projections go from d_model to heads · d_k.",
    ),
)
