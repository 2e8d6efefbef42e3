"""Typical wrong answers to exercise 8.4."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from utils.exercises.declare import Misconception
from utils.transformer.attention import join_heads, scaled_dot_product_attention, split_heads
from utils.transformer.masks import causal_mask

Cache = tuple[Tensor, Tensor] | None


def _parts(attention: nn.Module, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    projections = attention.query_projection, attention.key_projection, attention.value_projection
    return tuple(split_heads(projection(x), attention.heads) for projection in projections)


def _grown(cache: Cache, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    if cache is None:
        return keys, values
    return torch.cat([cache[0], keys], dim=2), torch.cat([cache[1], values], dim=2)


def _attended(attention: nn.Module, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> Tensor:
    return attention.output_projection(join_heads(scaled_dot_product_attention(query, keys, values, mask)[0]))


def _itself_only(attention: nn.Module, x: Tensor, cache: Cache = None) -> tuple:
    query, key, value = _parts(attention, x)
    return _attended(attention, query, key, value), _grown(cache, key, value)


def _cache_only(attention: nn.Module, x: Tensor, cache: Cache = None) -> tuple:
    query, key, value = _parts(attention, x)
    keys, values = (key, value) if cache is None else cache
    return _attended(attention, query, keys, values), _grown(cache, key, value)


def _new_in_front(attention: nn.Module, x: Tensor, cache: Cache = None) -> tuple:
    query, keys, values = _parts(attention, x)
    if cache is not None:
        keys, values = torch.cat([keys, cache[0]], dim=2), torch.cat([values, cache[1]], dim=2)
    return _attended(attention, query, keys, values), (keys, values)


def _only_new_kept(attention: nn.Module, x: Tensor, cache: Cache = None) -> tuple:
    query, key, value = _parts(attention, x)
    return _attended(attention, query, *_grown(cache, key, value)), (key, value)


def _old_kept(attention: nn.Module, x: Tensor, cache: Cache = None) -> tuple:
    query, key, value = _parts(attention, x)
    grown = _grown(cache, key, value)
    return _attended(attention, query, *grown), grown if cache is None else cache


def _values_first(attention: nn.Module, x: Tensor, cache: Cache = None) -> tuple:
    query, key, value = _parts(attention, x)
    keys, values = _grown(cache, key, value)
    return _attended(attention, query, keys, values), (values, keys)


def _without_output(attention: nn.Module, x: Tensor, cache: Cache = None) -> tuple:
    query, key, value = _parts(attention, x)
    grown = _grown(cache, key, value)
    return join_heads(scaled_dot_product_attention(query, *grown)[0]), grown


def _unscaled(attention: nn.Module, x: Tensor, cache: Cache = None) -> tuple:
    query, key, value = _parts(attention, x)
    grown = _grown(cache, key, value)
    return _attended(attention, query * math.sqrt(query.size(-1)), *grown), grown


def _first_row_of_the_mask(attention: nn.Module, x: Tensor, cache: Cache = None) -> tuple:
    query, key, value = _parts(attention, x)
    grown = _grown(cache, key, value)
    mask = torch.ones(1, grown[0].size(2), dtype=torch.bool).tril()
    return _attended(attention, query, *grown, mask), grown


def _joined_along_heads(attention: nn.Module, x: Tensor, cache: Cache = None) -> tuple:
    query, key, value = _parts(attention, x)
    if cache is not None:
        key, value = torch.cat([cache[0], key], dim=1), torch.cat([cache[1], value], dim=1)
    return _attended(attention, query, key, value), (key, value)


def _whole_causal_mask(attention: nn.Module, x: Tensor, cache: Cache = None) -> tuple:
    query, key, value = _parts(attention, x)
    grown = _grown(cache, key, value)
    return _attended(attention, query, *grown, causal_mask(grown[0].size(2))), grown


def _whole_causal_mask_spread(attention: nn.Module, x: Tensor, cache: Cache = None) -> tuple:
    query, key, value = _parts(attention, x)
    grown = _grown(cache, key, value)
    spread = query.expand(-1, -1, grown[0].size(2), -1)  # what masked_fill makes of one row of scores
    return _attended(attention, spread, *grown, causal_mask(grown[0].size(2))), grown


def _newest_hidden_states(projection: Callable[[nn.Module], nn.Module]) -> Callable:
    """The newest token's keys and values both made by one projection."""

    def answer(attention: nn.Module, x: Tensor, cache: Cache = None) -> tuple:
        query, _, _ = _parts(attention, x)
        same = split_heads(projection(attention)(x), attention.heads)
        grown = _grown(cache, same, same)
        return _attended(attention, query, *grown), grown

    return answer


def _scaled(scale: Callable[[int, int], float]) -> Callable:
    """An answer with another scale, from d_k and d_model."""

    def answer(attention: nn.Module, x: Tensor, cache: Cache = None) -> tuple:
        query, key, value = _parts(attention, x)
        grown = _grown(cache, key, value)
        query = query * math.sqrt(query.size(-1)) * scale(query.size(-1), x.size(-1))
        return _attended(attention, query, *grown), grown

    return answer


def _all_blocked(attention: nn.Module, x: Tensor, cache: Cache = None) -> tuple:
    query, key, value = _parts(attention, x)
    grown = _grown(cache, key, value)
    return _attended(attention, query, *grown, torch.zeros(1, grown[0].size(2), dtype=torch.bool)), grown


def _oldest_leaves(attention: nn.Module, x: Tensor, cache: Cache = None) -> tuple:
    query, key, value = _parts(attention, x)
    grown = _grown(cache, key, value)
    if cache is not None and cache[0].size(2) > 1:
        grown = grown[0][:, :, 1:], grown[1][:, :, 1:]
    return _attended(attention, query, *grown), grown


def _one_head(attention: nn.Module, x: Tensor, cache: Cache = None) -> tuple:
    query, key, value = _parts(attention, x)
    grown = _grown(cache, key, value)
    joined = [join_heads(part)[:, None] for part in (query, *grown)]
    return _attended(attention, *joined), grown


CACHED = (
    Misconception(
        "the cache is not looked at",
        _itself_only,
        "Your newest token attends to itself alone. The keys and values of the cache belong in front of its own before "
        "the attention is computed.",
    ),
    Misconception(
        "the newest token does not see itself",
        _cache_only,
        "Your newest token attends to the cache alone. Position i may look at positions 0 … i, itself included: append "
        "its key and value first.",
    ),
    Misconception(
        "the newest in front",
        _new_in_front,
        "Your output is right, since attention does not care in which order keys stand. The cache you hand on does "
        "not stand oldest first: the newest key and value belong at its end, or nobody can tell which is which.",
    ),
    Misconception(
        "only the newest is kept",
        _only_new_kept,
        "Your output is right, but the cache you hand on holds the newest token alone, and at the next step all others "
        "are forgotten.",
    ),
    Misconception(
        "the cache does not grow",
        _old_kept,
        "Your output is right, but you hand on the cache as it came, and the newest token is missing from it.",
    ),
    Misconception(
        "values and keys exchanged",
        _values_first,
        "Your cache has values first and keys second; asked for is (keys, values).",
    ),
    Misconception(
        "no output projection",
        _without_output,
        "The heads are joined, but the last projection, W^O, is missing.",
    ),
    Misconception(
        "no scale",
        _unscaled,
        "Your scores are not divided by √d_k.",
    ),
    Misconception(
        "divided by d_k",
        _scaled(lambda d_k, d_model: 1 / d_k),
        "You divide the scores by d_k; Eq. 1 divides by its root.",
    ),
    Misconception(
        "scaled by d_model",
        _scaled(lambda d_k, d_model: d_model**-0.5),
        "You divide the scores by √d_model. Each head has queries and keys of the width d_k: divide by √d_k.",
    ),
    Misconception(
        "all is blocked",
        _all_blocked,
        "Your mask blocks everything: True stands for *may attend to* here. The newest token may look at all there is, "
        "so no mask is needed.",
    ),
    Misconception(
        "the oldest leaves",
        _oldest_leaves,
        "You take the oldest token out of the cache as the newest comes in. Nothing leaves: the cache grows by one.",
    ),
    Misconception(
        "the first row of the causal mask",
        _first_row_of_the_mask,
        "Your mask is the causal one's first row, so that the newest token sees the oldest only. It stands in the "
        "last row, in which everything is allowed: no mask is needed.",
    ),
    Misconception(
        "joined along the heads",
        _joined_along_heads,
        "You join the cache and the newest token along dim 1, which counts heads once they are split. Keys and values "
        "stand (batch, heads, length, width): tokens are joined along the length, dim 2.",
    ),
    Misconception(
        "the whole causal mask",
        _whole_causal_mask,
        "Your mask is the causal one of a whole sentence, with a row for each of T queries. There is one query here, "
        "the newest, which may see everything: no mask is needed.",
    ),
    Misconception(
        "the whole causal mask, spread",
        _whole_causal_mask_spread,
        "Your causal mask has a row for each of T queries, so that one query becomes T. The newest token alone asks, "
        "and it may see everything: no mask is needed.",
    ),
    Misconception(
        "keys serve as values",
        _newest_hidden_states(lambda attention: attention.key_projection),
        "The newest token's value is made with the key's projection. Keys and values have a projection each.",
    ),
    Misconception(
        "one wide head",
        _one_head,
        "Your attention runs over all heads at once, as one wide head with one set of weights and the scale of its "
        "width. Each head has weights of its own.",
    ),
)
