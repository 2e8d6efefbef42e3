"""Chapter 08, the key–value cache, from outside: plausible wrong answers that no misconception was written for, and
unusual right ones. Each wrong answer comes with words that its report must hold, or None.
"""

import math

import torch
from torch import nn

from utils.exercises.chapter_08.caching import attention_module
from utils.exercises.chapter_08.references import attend_with_cache
from utils.transformer import causal_mask, join_heads, scaled_dot_product_attention, split_heads

# 8.4 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def output_changed(change):
    def answer(attention, x, cache=None):
        output, grown = attend_with_cache(attention, x, cache)
        return change(output), grown

    return answer


def cache_changed(change):
    def answer(attention, x, cache=None):
        output, grown = attend_with_cache(attention, x, cache)
        return output, change(grown)

    return answer


def projected(attention, x):
    parts = attention.query_projection(x), attention.key_projection(x), attention.value_projection(x)
    return [split_heads(part, attention.heads) for part in parts]


def grown_cache(cache, key, value):
    if cache is None:
        return key, value
    return torch.cat([cache[0], key], dim=2), torch.cat([cache[1], value], dim=2)


def last_dropped(attention, x, cache=None):
    """A window: the oldest token leaves as the newest comes."""
    if cache is not None and cache[0].size(2) > 1:
        cache = cache[0][:, :, 1:], cache[1][:, :, 1:]
    return attend_with_cache(attention, x, cache)


def in_place(attention, x, cache=None):
    """Overwrites the newest place of the cache."""
    query, key, value = projected(attention, x)
    if cache is None:
        cache = key, value
    cache[0][:, :, -1:], cache[1][:, :, -1:] = key, value
    output, _ = scaled_dot_product_attention(query, *cache)
    return attention.output_projection(join_heads(output)), cache


def scaled_by_length(attention, x, cache=None):
    query, key, value = projected(attention, x)
    grown = grown_cache(cache, key, value)
    scores = query @ grown[0].transpose(-2, -1) / math.sqrt(grown[0].size(2))
    return attention.output_projection(join_heads(scores.softmax(-1) @ grown[1])), grown


def scaled_by_model(attention, x, cache=None):
    query, key, value = projected(attention, x)
    grown = grown_cache(cache, key, value)
    scores = query @ grown[0].transpose(-2, -1) / math.sqrt(x.size(-1))
    return attention.output_projection(join_heads(scores.softmax(-1) @ grown[1])), grown


def softmax_over_heads(attention, x, cache=None):
    query, key, value = projected(attention, x)
    grown = grown_cache(cache, key, value)
    scores = query @ grown[0].transpose(-2, -1) / math.sqrt(query.size(-1))
    return attention.output_projection(join_heads(scores.softmax(1) @ grown[1])), grown


def heads_not_joined(attention, x, cache=None):
    query, key, value = projected(attention, x)
    grown = grown_cache(cache, key, value)
    output, _ = scaled_dot_product_attention(query, *grown)
    return attention.output_projection(output.flatten(1)[:, None].roll(1, -1)), grown


def first_step_zero(attention, x, cache=None):
    if cache is None:
        _, key, value = projected(attention, x)
        return torch.zeros_like(x), (key, value)
    return attend_with_cache(attention, x, cache)


def needs_a_cache(attention, x, cache=None):
    query, key, value = projected(attention, x)
    keys, values = torch.cat([cache[0], key], dim=2), torch.cat([cache[1], value], dim=2)
    output, _ = scaled_dot_product_attention(query, keys, values)
    return attention.output_projection(join_heads(output)), (keys, values)


def means(attention, x, cache=None):
    _, key, value = projected(attention, x)
    grown = grown_cache(cache, key, value)
    return attention.output_projection(join_heads(grown[1].mean(dim=2, keepdim=True))), grown


def along_heads(attention, x, cache=None):
    query, key, value = projected(attention, x)
    if cache is not None:
        key, value = (torch.cat((old, new), 1) for old, new in zip(cache, (key, value), strict=True))
    output, _ = scaled_dot_product_attention(query, key, value)
    return attention.output_projection(join_heads(output)), (key, value)


def masked_as_a_whole(attend):
    """With the causal mask of a whole sentence; attend(query, keys, values, mask) may be a learner's own."""

    def answer(attention, x, cache=None):
        query, key, value = projected(attention, x)
        keys, values = grown_cache(cache, key, value)
        output = attend(query, keys, values, causal_mask(keys.size(2)))
        return attention.output_projection(join_heads(output)), (keys, values)

    return answer


def plainly_masked(query, keys, values, mask):
    scores = query @ keys.mT / math.sqrt(query.size(-1))
    return scores.masked_fill(~mask, -math.inf).softmax(-1) @ values


REMEMBERED = {}


def remembering(attention, x, cache=None):
    """Keeps the cache elsewhere too: asked again, it has grown."""
    output, grown = attend_with_cache(attention, x, cache)
    REMEMBERED["calls"] = REMEMBERED.get("calls", 0) + 1
    return output + 1e-2 * REMEMBERED["calls"], grown


def residual_added(attention, x, cache=None):
    output, grown = attend_with_cache(attention, x, cache)
    return x + output, grown


def cached_after_joining(attention, x, cache=None):
    output, grown = attend_with_cache(attention, x, cache)
    return output, tuple(join_heads(part) for part in grown)


WRONG_8_4 = {
    "a window": (last_dropped, None),
    "overwrites the cache": (in_place, None),
    "scale by length": (scaled_by_length, None),
    "scale by d_model": (scaled_by_model, None),
    "softmax over heads": (softmax_over_heads, None),
    "joined along the heads": (along_heads, "dim 2"),
    "the whole mask": (masked_as_a_whole(lambda *a: scaled_dot_product_attention(*a)[0]), "no mask is needed"),
    "the whole mask, spread": (masked_as_a_whole(plainly_masked), "no mask is needed"),
    "heads joined wrongly": (heads_not_joined, None),
    "zero at the first step": (first_step_zero, None),
    "needs a cache": (needs_a_cache, "nothing is cached yet"),
    "mean of values": (means, None),
    "remembers by itself": (remembering, None),
    "residual": (residual_added, None),
    "cache joined": (cached_after_joining, "shape"),
    "no length axis": (output_changed(lambda output: output.squeeze(1)), "shape"),
    "halved": (output_changed(lambda output: output / 2), "0.5 times"),
    "cache stacked": (cache_changed(lambda grown: torch.stack(grown) if grown[0].shape == grown[1].shape else grown[0]),
                      None),
    "keys turned": (cache_changed(lambda grown: (grown[0].transpose(2, 3), grown[1])), "shape"),
    "float32 cache": (cache_changed(lambda grown: tuple(part.float() for part in grown)), "dtype"),
    "weights beside the output": (lambda *a: (*attend_with_cache(*a), None), "(output, cache)"),
    "output alone": (lambda *a: attend_with_cache(*a)[0], "(output, cache)"),
    "cache first": (lambda *a: attend_with_cache(*a)[::-1], None),
    "nothing": (lambda attention, x, cache=None: None, "return"),
}  # fmt: skip


def by_einsum(attention, x, cache=None):
    query, key, value = projected(attention, x)
    keys, values = grown_cache(cache, key, value)
    scores = torch.einsum("bhqd,bhkd->bhqk", query, keys) / keys.size(-1) ** 0.5
    mixed = torch.einsum("bhqk,bhkd->bqhd", scores.softmax(-1), values)
    return attention.output_projection(mixed.flatten(2)), (keys, values)


def fused(attention, x, cache=None):
    query, key, value = projected(attention, x)
    keys, values = grown_cache(cache, key, value)
    mixed = nn.functional.scaled_dot_product_attention(query, keys, values)
    return attention.output_projection(join_heads(mixed)), (keys, values)


def with_last_row_of_the_mask(attention, x, cache=None):
    query, key, value = projected(attention, x)
    keys, values = grown_cache(cache, key, value)
    mask = causal_mask(keys.size(2))[:, :, -1:]
    mixed, _ = scaled_dot_product_attention(query, keys, values, mask)
    return attention.output_projection(join_heads(mixed)), (keys, values)


def by_hand_over_heads(attention, x, cache=None):
    query, key, value = projected(attention, x)
    keys, values = grown_cache(cache, key, value)
    mixed = []
    for head in range(attention.heads):
        scores = query[:, head] @ keys[:, head].mT / math.sqrt(keys.size(-1))
        mixed.append(scores.softmax(-1) @ values[:, head])
    return attention.output_projection(torch.cat(mixed, dim=-1)), (keys, values)


def double_inside(attention, x, cache=None):
    query, key, value = projected(attention, x)
    keys, values = grown_cache(cache, key, value)
    mixed, _ = scaled_dot_product_attention(query.double(), keys.double(), values.double())
    return attention.output_projection(join_heads(mixed).to(x.dtype)), (keys, values)


RIGHT_8_4 = {
    "einsum": by_einsum,
    "fused": fused,
    "last row of the mask": with_last_row_of_the_mask,
    "head by head": by_hand_over_heads,
    "float64 inside": double_inside,
    "lists": lambda *a: [attend_with_cache(*a)[0], list(attend_with_cache(*a)[1])],
    "a mask that may be given": lambda attention, x, cache=None, mask=None: attend_with_cache(attention, x, cache),
}

WRONG = {"8.4": WRONG_8_4}
RIGHT = {"8.4": RIGHT_8_4}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)


def test_steps_equal_the_full_pass():
    generator = torch.Generator().manual_seed(4)
    attention, states = attention_module(generator, 12, 3), torch.randn(2, 7, 12, generator=generator)
    whole, _ = attention(states, states, states, causal_mask(7))
    cache = None
    for position in range(7):
        output, cache = attend_with_cache(attention, states[:, position : position + 1], cache)
        torch.testing.assert_close(output[:, 0], whole[:, position], atol=1e-5, rtol=1e-4)
