"""Multi-head attentions that are wrong in one way each (chapter 04); `wrong_attention.py` says what is wrong."""

import math

from torch import Tensor, nn

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


def reshaped(self: nn.Module, *inputs: Tensor) -> tuple[Tensor, ...]:
    """As `in_heads`, but that no axes are exchanged."""
    return tuple(part.reshape(part.size(0), self.heads, part.size(1), -1) for part in projected(self, *inputs))


def finished_by_reshape(self: nn.Module, output: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """As `finished`, but that no axes are exchanged."""
    return self.output_projection(output.reshape(output.size(0), output.size(2), -1)), weights


def reshaped_only(self, query, key, value, mask=None):
    return finished(self, *scaled_dot_product_attention(*reshaped(self, query, key, value), mask))


def reshaped_both_ways(self, query, key, value, mask=None):
    return finished_by_reshape(self, *scaled_dot_product_attention(*reshaped(self, query, key, value), mask))


def dealt_out(back):
    """Head 0 gets columns 0, heads, 2·heads …; `back` says whether they are put together so, too."""

    def forward(self, query, key, value, mask=None):
        parts = (
            part.unflatten(-1, (-1, self.heads)).permute(0, 3, 1, 2) for part in projected(self, query, key, value)
        )
        output, weights = scaled_dot_product_attention(*parts, mask)
        joined = output.permute(0, 2, 3, 1).flatten(-2) if back else join_heads(output)
        return self.output_projection(joined), weights

    return forward


def joined_by_reshape(self, query, key, value, mask=None):
    return finished_by_reshape(self, *scaled_dot_product_attention(*in_heads(self, query, key, value), mask))


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


def weighing(masked):
    """Where there is a mask, `masked` makes the weights of the scaled scores and it."""

    def forward(self, query, key, value, mask=None):
        queries, keys, values = in_heads(self, query, key, value)
        scores = queries @ keys.transpose(-2, -1) / math.sqrt(self.d_k)
        weights = scores.softmax(-1) if mask is None else masked(scores, mask)
        return finished(self, weights @ values, weights)

    return forward


def scores_returned(self, query, key, value, mask=None):
    queries, keys, _ = in_heads(self, query, key, value)
    output, _ = MultiHeadAttention.forward(self, query, key, value, mask)
    return output, queries @ keys.transpose(-2, -1) / math.sqrt(self.d_k)


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
