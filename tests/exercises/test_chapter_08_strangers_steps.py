"""Chapter 08, a step of beam search and the cache, from further outside: answers of strangers, wrong and right. Each
wrong answer comes with words that its report must hold, or None.
"""

import collections
import functools
import math

import torch
from torch import nn

from utils.exercises.chapter_08.references import attend_with_cache, beam_step
from utils.transformer import BEGIN, END, join_heads, scaled_dot_product_attention, split_heads

# 8.3 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def step(scored=lambda live, log_p: live[:, :, None] + log_p, count=lambda beam: beam, end=END,
         lowest=lambda scores, beam: scores.flatten(1).topk(beam).values[:, -1:], going_on=lambda scores: scores,
         told=lambda scores, live, log_p: scores[:, :, END], give=lambda *parts: parts):  # fmt: skip
    """A step as one would write it, with something else in a place."""

    def answer(live, log_probabilities):
        beam, vocab_size = log_probabilities.shape[1:]
        scores = scored(live, log_probabilities)
        last = lowest(scores, count(beam))
        ended = told(scores, live, log_probabilities).masked_fill(scores[:, :, END] < last, -math.inf)
        others = going_on(scores).index_fill(2, torch.tensor([end]), -math.inf)
        values, places = others.flatten(1).topk(beam)
        return give(values, places // vocab_size, places % vocab_size, ended)

    return answer


def with_rows(live, log_probabilities):
    new, parents, tokens, ended = beam_step(live, log_probabilities)
    return new, parents + torch.arange(len(live))[:, None] * live.size(1), tokens, ended


def end_written_over(live, log_probabilities):
    result = beam_step(live, log_probabilities)
    live[:] = result[0]
    return result


def one_sentence(live, log_probabilities):
    parts = beam_step(live[:1], log_probabilities[:1])
    return tuple(part.expand_as(live).clone() for part in parts)


def beams_of_three(live, log_probabilities):
    beam = live.size(1)
    new, parents, tokens, ended = beam_step(live[:, :3], log_probabilities[:, :3])
    pad = (0, beam - new.size(1))
    return tuple(nn.functional.pad(part, pad, value=0) for part in (new, parents, tokens, ended))


def two_children_at_most(live, log_probabilities):
    """Two candidates of each hypothesis only."""
    scores = (live[:, :, None] + log_probabilities).index_fill(2, torch.tensor([END]), -math.inf)
    values, tokens = scores.topk(2, dim=2)
    best, places = values.flatten(1).topk(live.size(1))
    return best, places // 2, tokens.flatten(1).gather(1, places), beam_step(live, log_probabilities)[3]


def yielded(live, log_probabilities):
    yield from beam_step(live, log_probabilities)


WRONG_8_3 = {
    "probabilities inside": (
        step(lambda live, log_p: (live.exp()[:, :, None] * log_p.exp()).log()), "add the logarithms"
    ),
    "mean of both": (step(lambda live, log_p: (live[:, :, None] + log_p) / 2), "0.5 times"),
    "BEGIN taken for END": (step(end=BEGIN), "live ones"),
    "another word taken for END": (step(end=4), None),
    "END without live": (step(told=lambda scores, live, log_p: log_p[:, :, END]), "END alone"),
    "END of live": (step(told=lambda scores, live, log_p: live), None),
    "rows of the batch": (with_rows, "flattened batch"),
    "one more END": (step(count=lambda beam: beam + 1), None),
    "one END less": (step(count=lambda beam: max(1, beam - 1)), None),
    "END beside the best": (step(lowest=lambda scores, beam: scores.flatten(1).amax(1, keepdim=True)), None),
    "END beside the best of its row": (
        step(lowest=lambda scores, beam: scores.topk(min(beam, scores.size(2)), dim=2).values[:, :, -1]), None
    ),
    "END above the mean": (step(lowest=lambda s, beam: s.exp().mean((1, 2), keepdim=True)[:, 0].log()), None),
    "word 1 is out": (step(going_on=lambda s: s.index_fill(2, torch.tensor([1]), -math.inf)), None),
    "live changed": (end_written_over, "changes its input `live`"),
    "one sentence for all": (one_sentence, None),
    "three at most": (beams_of_three, None),
    "two children at most": (two_children_at_most, None),
    "softmax once more": (step(lambda live, log_p: live[:, :, None] + log_p.log_softmax(1)), None),
    "sorted by token": (
        step(give=lambda v, p, t, e: (v, p, t.sort(dim=1).values, e)), None
    ),
    "parents first": (step(give=lambda v, p, t, e: (p, v, t, e)), None),
    "true division": (step(give=lambda v, p, t, e: (v, p / 1, t, e)), "dtype"),
    "32 bits": (step(give=lambda v, p, t, e: (v, p.int(), t.int(), e)), "dtype"),
    "stacked": (step(give=lambda *parts: torch.stack([part.double() for part in parts])), "tuple"),
    "NaN for −∞": (step(give=lambda v, p, t, e: (v, p, t, e.masked_fill(e == -math.inf, math.nan))), None),
    "a dictionary": (step(give=lambda v, p, t, e: dict(live=v, parents=p, tokens=t, ended=e)), "dict"),
    "yielded": (yielded, "generator"),
    "complex": (step(give=lambda v, p, t, e: (v + 0j, p, t, e)), "complex"),
    "nested lists": (step(give=lambda *parts: [part.tolist() for part in parts]), "Tensor"),
}  # fmt: skip


Step = collections.namedtuple("Step", "live parents tokens ended")


class Beam:
    """Sorts each sentence's continuations by itself."""

    def __call__(self, live, log_probabilities):
        return Step(*(torch.stack(part) for part in zip(*map(self.one, live, log_probabilities), strict=True)))

    @staticmethod
    def one(live, log_probabilities):
        scores = live.unsqueeze(-1).add(log_probabilities)
        order = scores.view(-1).sort(descending=True, stable=True).indices
        parents, tokens = torch.unravel_index(order, scores.shape)
        first = order[: len(live)]
        is_end = first % scores.size(1) == END
        ended = torch.full_like(live, float("-inf"))
        ended[first[is_end] // scores.size(1)] = scores.view(-1)[first[is_end]]
        keep = (tokens != END).nonzero().squeeze(1)[: len(live)]
        return scores.view(-1)[order[keep]], parents[keep], tokens[keep], ended


def candidates_of_each(live, log_probabilities):
    """The best `beam` of each hypothesis first, then of the sentence."""
    beam = live.size(1)
    scores = live.unsqueeze(2) + log_probabilities
    ends = scores.select(2, END)
    others = scores.clone()
    others[..., END] = float("-inf")
    values, tokens = others.topk(beam, dim=-1)
    best, places = values.reshape(len(live), -1).topk(beam, dim=-1)
    ahead = (scores.reshape(len(live), 1, -1) > ends[:, :, None]).sum(dim=-1)
    return (best, torch.div(places, beam, rounding_mode="trunc"), tokens.reshape(len(live), -1).gather(1, places),
            torch.where(ahead < beam, ends, ends.new_tensor(float("-inf"))))  # fmt: skip


RIGHT_8_3 = {
    "a named tuple of a class": Beam(),
    "candidates of each": candidates_of_each,
    "as written": step(),
    "vmap": lambda live, log_p: tuple(
        part.squeeze(1) for part in map(torch.stack, zip(*[beam_step(l[None], p[None]) for l, p in zip(  # noqa: E741
            live, log_p, strict=True)], strict=True))),
    "einsum": step(lambda live, log_p: torch.einsum("bk,v->bkv", live, torch.ones(log_p.size(2)).to(live)) + log_p),
    "a partial": functools.partial(beam_step),
    "no gradients": torch.no_grad()(beam_step),
}  # fmt: skip

# 8.4 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def cached(attend=lambda query, keys, values: scaled_dot_product_attention(query, keys, values)[0],
           join=join_heads, grow=lambda old, new: torch.cat([old, new], dim=2),
           give=lambda output, cache: (output, cache), heads=lambda attention: attention.heads):  # fmt: skip
    """A step as one would write it, with something else in a place."""

    def answer(attention, x, cache=None):
        parts = attention.query_projection(x), attention.key_projection(x), attention.value_projection(x)
        query, keys, values = (split_heads(part, heads(attention)) for part in parts)
        if cache is not None:
            keys, values = grow(cache[0], keys), grow(cache[1], values)
        return give(attention.output_projection(join(attend(query, keys, values))), (keys, values))

    return answer


def weighed(scale=lambda query, keys: query.size(-1) ** -0.5, axis=-1, change=lambda scores: scores):
    def attend(query, keys, values):
        return (change(query @ keys.mT * scale(query, keys)).softmax(axis)) @ values

    return attend


def masked(mask):
    """Attention with a mask made from the number of keys."""
    return lambda query, keys, values: scaled_dot_product_attention(query, keys, values, mask(keys.size(2)))[0]


def without_biases(attention, x, cache=None):
    def projected(layer):
        return split_heads(x @ layer.weight.t(), attention.heads)

    query, keys, values = map(projected, (attention.query_projection, attention.key_projection,
                                          attention.value_projection))  # fmt: skip
    if cache is not None:
        keys, values = torch.cat([cache[0], keys], 2), torch.cat([cache[1], values], 2)
    mixed, _ = scaled_dot_product_attention(query, keys, values)
    return join_heads(mixed) @ attention.output_projection.weight.t(), (keys, values)


class Remembers:
    """Keeps its own cache and does not look at the one that it gets, after the first."""

    def __init__(self):
        self.cache = None

    def __call__(self, attention, x, cache=None):
        self.cache = self.cache or cache
        return attend_with_cache(attention, x, self.cache)


def parameters_changed(attention, x, cache=None):
    result = attend_with_cache(attention, x, cache)
    with torch.no_grad():
        attention.key_projection.weight.mul_(0.5)
    return result


def twice_in_the_cache(attention, x, cache=None):
    _, grown = attend_with_cache(attention, x, cache)
    return attend_with_cache(attention, x, grown)


def window(most):
    return cached(grow=lambda old, new: torch.cat([old, new], dim=2)[:, :, -most:])


WRONG_8_4 = {
    "√d_model": (cached(weighed(lambda query, keys: (query.size(1) * query.size(-1)) ** -0.5)), None),
    "√d_model of x": (
        lambda attention, x, cache=None: cached(weighed(lambda *_: x.size(-1) ** -0.5))(attention, x, cache),
        "√d_model",
    ),
    "d_k, no root": (cached(weighed(lambda query, keys: 1 / query.size(-1))), "its root"),
    "times √d_k": (cached(weighed(lambda query, keys: query.size(-1) ** 0.5)), None),
    "softmax over the batch": (cached(weighed(axis=0)), None),
    "sigmoid": (cached(lambda q, k, v: (q @ k.mT * q.size(-1) ** -0.5).sigmoid() @ v), None),
    "the newest masked": (cached(masked(lambda n: torch.arange(n) < max(n - 1, 1))), None),
    "all blocked": (cached(masked(lambda n: torch.zeros(n, dtype=torch.bool))), "may attend"),
    "the oldest masked": (cached(masked(lambda n: torch.arange(n) > 0)), None),
    "heads not turned back": (cached(join=lambda mixed: mixed.reshape(len(mixed), 1, -1).flip(-1)), None),
    "without biases": (without_biases, None),
    "two heads in mind": (cached(heads=lambda attention: 2), None),
    "a window of 32": (window(32), None),
    "a window of 512": (window(512), "the cache is long"),
    "the oldest leaves": (cached(grow=lambda old, new: torch.cat([old[:, :, 1:], new], dim=2)), None),
    "keys added": (cached(grow=lambda old, new: old + new), "shape"),
    "twice in the cache": (twice_in_the_cache, "shape"),
    "remembers": (Remembers(), None),
    "parameters changed": (parameters_changed, "changes its input `attention"),
    "the cache in one tensor": (cached(give=lambda output, cache: (output, torch.cat(cache, -1))), "tuple"),
    "the cache as a dictionary": (cached(give=lambda o, c: (o, {"keys": c[0], "values": c[1]})), "dict"),
    "the output's copy in all": (cached(give=lambda o, c: (o.expand(-1, c[0].size(2), -1), c)), "shape"),
    "half": (cached(give=lambda o, c: (o.half(), c)), "dtype"),
    "NaN": (cached(give=lambda o, c: (o * math.nan, c)), "NaN"),
    "complex": (cached(give=lambda o, c: (o + 0j, c)), "complex"),
    "no cache parameter": (lambda attention, x: attend_with_cache(attention, x), "cache=None"),
    "cache to be given": (lambda attention, x, cache, mask: attend_with_cache(attention, x, cache), "cache=None"),
    "yielded": (cached(give=lambda o, c: (part for part in (o, c))), "generator"),
}  # fmt: skip


def views(attention, x, cache=None):
    """Written with views and transposes alone."""
    batch, heads = len(x), attention.heads

    def split(layer):
        return layer(x).view(batch, 1, heads, -1).transpose(1, 2)

    query, key, value = split(attention.query_projection), split(attention.key_projection), split(
        attention.value_projection)  # fmt: skip
    old = cache or (key[:, :, :0], value[:, :, :0])
    keys, values = torch.cat((old[0], key), -2), torch.cat((old[1], value), -2)
    weights = torch.softmax(torch.matmul(query, keys.transpose(2, 3)) / math.sqrt(keys.size(3)), dim=-1)
    mixed = torch.matmul(weights, values).transpose(1, 2).contiguous().view(batch, 1, -1)
    return attention.output_projection(mixed), (keys, values)


def two_sums(attention, x, cache=None):
    """The cache's share and the newest token's, put together by their weights."""
    parts = attention.query_projection(x), attention.key_projection(x), attention.value_projection(x)
    query, key, value = (split_heads(part, attention.heads) for part in parts)
    scale = query.size(-1) ** -0.5
    old, new = None, (query * key).sum(-1, keepdim=True) * scale
    if cache is None:
        return attention.output_projection(join_heads(value)), (key, value)
    old = query @ cache[0].transpose(-1, -2) * scale
    top = torch.maximum(old.amax(-1, keepdim=True), new)
    mixed = ((old - top).exp() @ cache[1] + (new - top).exp() * value) / (
        (old - top).exp().sum(-1, keepdim=True) + (new - top).exp()
    )
    return attention.output_projection(join_heads(mixed)), (
        torch.cat([cache[0], key], 2), torch.cat([cache[1], value], 2))  # fmt: skip


Cache = collections.namedtuple("Cache", "keys values")

RIGHT_8_4 = {
    "views": views,
    "two sums": two_sums,
    "as written": cached(),
    "a named tuple": cached(give=lambda output, cache: (output, Cache(*cache))),
    "weighed": cached(weighed()),
    "shifted scores": cached(weighed(change=lambda scores: scores - scores.amax(-1, keepdim=True))),
    "copies": cached(give=lambda output, cache: (output.clone(), tuple(part.contiguous() for part in cache))),
    "a partial": functools.partial(attend_with_cache),
    "no gradients": torch.no_grad()(attend_with_cache),
}

WRONG = {"8.3": WRONG_8_3, "8.4": WRONG_8_4}
RIGHT = {"8.3": RIGHT_8_3, "8.4": RIGHT_8_4}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
