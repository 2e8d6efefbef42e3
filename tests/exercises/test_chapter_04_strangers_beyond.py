"""Chapter 04, PyTorch's masks and shared heads: more answers of strangers, wrong ones in ways that the cases might have
overlooked and right ones written otherwise.

Each wrong answer comes with words that its report must contain, or None where a plain "not the expected numbers" is all
that is asked of the check.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

from utils.transformer.attention import scaled_dot_product_attention

# 4.6 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def wide(mask, batch, heads, target_len):
    return (~mask).expand(batch, heads, target_len, -1)


def right_mask(mask, batch, heads, target_len):
    return wide(mask, batch, heads, target_len).flatten(0, 1)


def spread(expand):
    """Inverted and merged, but spread out otherwise."""
    return lambda mask, b, h, t: expand(~mask, b, h, t).flatten(0, 1)


def merged(merge):
    """Inverted and spread out, but merged otherwise."""
    return lambda mask, b, h, t: merge(wide(mask, b, h, t), b, h, t)


def by_padding(mask, b, h, t):
    """Takes every mask for one of padding."""
    return (~mask)[:, 0, 0].expand(b, -1).repeat_interleave(h, 0)[:, None].expand(-1, t, -1)


def by_causal(mask, b, h, t):
    """Takes every mask for one that all sentences share."""
    return (~mask)[0, 0].expand(t, -1).expand(b * h, -1, -1)


def squares_only(mask, b, h, t):
    return (~mask).expand(b, h, mask.size(-1), mask.size(-1)).flatten(0, 1)


def empty_rows_opened(mask, b, h, t):
    blocked = right_mask(mask, b, h, t)
    return blocked & ~blocked.all(-1, keepdim=True)


masks = {}


def kept_by_shape(mask, b, h, t):
    return masks.setdefault((mask.shape, b, h, t), right_mask(mask, b, h, t))


def heads_repeated(mask, b, h, t):
    """Repeats heads though the mask has them."""
    return (~mask).expand(b, -1, t, -1).repeat_interleave(h, 1).flatten(0, 1)


def inverted_in_place(mask, b, h, t):
    mask ^= True
    return mask.expand(b, h, t, -1).flatten(0, 1)


WRONG_4_6 = {
    "padding in mind": (by_padding, None),
    "causal in mind": (by_causal, None),
    "squares in mind": (squares_only, None),
    "empty rows opened": (empty_rows_opened, "a query may attend to nothing"),
    "kept by shape": (kept_by_shape, None),
    "heads repeated always": (heads_repeated, "heads' masks differ"),
    "in place": (inverted_in_place, "`mask`"),
    "sentences repeated in turn": (spread(lambda m, b, h, t: m.expand(b, -1, t, -1)[:, :1].repeat(h, 1, 1, 1)), None),
    "repeat in place of expand": (spread(lambda m, b, h, t: m.repeat(b, h, t, 1)), None),
    "two sentences in mind": (spread(lambda m, b, h, t: m.expand(2, h, t, -1)), None),
    "one head in mind": (spread(lambda m, b, h, t: m.expand(b, 1, t, -1)), None),
    "two queries in mind": (spread(lambda m, b, h, t: m.expand(b, h, 2, -1)), None),
    "two keys in mind": (spread(lambda m, b, h, t: m.expand(b, h, t, 2)), None),
    "heads and batch exchanged": (spread(lambda m, b, h, t: m.expand(h, b, t, -1)), None),
    "queries not spread": (spread(lambda m, b, h, t: m.expand(b, h, -1, -1)), None),
    "sentences not spread": (spread(lambda m, b, h, t: m.expand(-1, h, t, -1)), "one entry for all sentences"),
    "heads not spread": (spread(lambda m, b, h, t: m.expand(b, -1, t, -1)), None),
    "heads first": (merged(lambda m, b, h, t: m.transpose(0, 1).flatten(0, 1)), "next to each other"),
    "four axes": (merged(lambda m, b, h, t: m), "merged into the first"),
    "first head": (merged(lambda m, b, h, t: m[:, 0]), "one mask a sentence"),
    "all heads": (merged(lambda m, b, h, t: m.all(1).repeat_interleave(h, 0)), "the heads' masks differ"),
    "any head": (merged(lambda m, b, h, t: m.any(1).repeat_interleave(h, 0)), "the heads' masks differ"),
    "queries and heads merged": (merged(lambda m, b, h, t: m.transpose(1, 2).reshape(b * h, t, -1)), None),
    "batch in the middle": (merged(lambda m, b, h, t: m.flatten(0, 1).transpose(0, 1)), None),
    "keys before queries": (merged(lambda m, b, h, t: m.flatten(0, 1).mT), None),
    "two axes": (merged(lambda m, b, h, t: m.flatten(0, 2)), "shape"),
    "last axes merged": (merged(lambda m, b, h, t: m.flatten(2)), "shape"),
    "heads backwards": (merged(lambda m, b, h, t: m.flip(1).flatten(0, 1)), "the heads' masks differ"),
    "sentences backwards": (merged(lambda m, b, h, t: m.flip(0).flatten(0, 1)), None),
    "keys backwards": (merged(lambda m, b, h, t: m.flip(-1).flatten(0, 1)), None),
    "queries backwards": (merged(lambda m, b, h, t: m.flip(2).flatten(0, 1)), None),
    "diagonal opened": (merged(lambda m, b, h, t: m.flatten(0, 1) & ~torch.eye(t, m.size(-1)).bool()), None),
    "inverted twice": (merged(lambda m, b, h, t: ~m.flatten(0, 1)), "the sense is not"),
    "not inverted, heads first": (
        lambda mask, b, h, t: mask.expand(b, h, t, -1).transpose(0, 1).flatten(0, 1), "Two things"),
    "not inverted, four axes": (lambda mask, b, h, t: mask.expand(b, h, t, -1), "Two steps"),
    "not inverted, one a sentence": (lambda mask, b, h, t: mask.expand(b, h, t, -1)[:, 0], None),
    "0 and −10⁹": (merged(lambda m, b, h, t: m.flatten(0, 1).float() * -1e9), "bool"),
    "0 and −∞": (merged(lambda m, b, h, t: torch.where(m.flatten(0, 1), -math.inf, 0.0)), "to be added"),
    "whole numbers": (merged(lambda m, b, h, t: m.flatten(0, 1).long()), "bool"),
    "1 − mask": (lambda mask, b, h, t: (1 - mask.int()).expand(b, h, t, -1).flatten(0, 1), "bool"),
    "not of Python": (lambda mask, b, h, t: (not mask) or right_mask(mask, b, h, t), None),
    "NumPy": (merged(lambda m, b, h, t: m.flatten(0, 1).numpy()), "NumPy"),
    "nested lists": (merged(lambda m, b, h, t: m.flatten(0, 1).tolist()), "list"),
    "a pair": (merged(lambda m, b, h, t: (m.flatten(0, 1), None)), "tuple"),
    "a generator": (merged(lambda m, b, h, t: (part for part in m.flatten(0, 1))), "generator"),
    "heads before batch": (lambda mask, heads, batch, target_len: right_mask(mask, batch, heads, target_len), "order"),
    "no target_len": (lambda mask, batch, heads: right_mask(mask, batch, heads, mask.size(2)), "target_len"),
}  # fmt: skip


class Turned(nn.Module):
    def forward(self, mask, batch, heads, target_len):
        return mask.logical_not().broadcast_to(batch, heads, target_len, mask.shape[-1]).flatten(end_dim=1)


def filled(mask, batch, heads, target_len):
    blocked = torch.ones(batch, heads, target_len, mask.size(-1), dtype=torch.bool)
    blocked[mask.expand_as(blocked)] = False
    return blocked.view(batch * heads, target_len, -1)


def listed(mask, batch, heads, target_len):
    """Index by index, 0 where the mask has but one entry."""
    rows = []
    for i in range(batch * heads):
        sentence, head = divmod(i, heads)
        own = mask[sentence if len(mask) > 1 else 0][head if mask.size(1) > 1 else 0]
        rows.append([[not seen for seen in own[j if len(own) > 1 else 0].tolist()] for j in range(target_len)])
    return torch.tensor(rows)


RIGHT_4_6 = {
    "module": Turned(),
    "filled": filled,
    "index by index": listed,
    "unequal": lambda mask, b, h, t: (mask != True).expand(b, h, t, -1).reshape(-1, t, mask.size(-1)),  # noqa: E712
    "exclusive or": lambda mask, b, h, t: (mask ^ True).expand(b, h, t, -1).flatten(0, 1),
    "numbers in between": lambda mask, b, h, t: (1 - mask.expand(b, h, t, -1).flatten(0, 1).int()).bool(),
    "from 0 and −∞": lambda mask, b, h, t: torch.zeros(b, h, t, mask.size(-1)).masked_fill(
        mask.logical_not(), -math.inf).flatten(0, 1).isinf(),
    "repeated": lambda mask, b, h, t: (~mask).repeat(
        b // mask.size(0), h // mask.size(1), t // mask.size(2), 1).flatten(0, 1),
    "concatenated": lambda mask, b, h, t: torch.cat(list(wide(mask, b, h, t))),
    "inverted at last": lambda mask, b, h, t: mask.expand(b, h, t, mask.size(-1)).flatten(0, 1).logical_not(),
    "in one piece": lambda mask, b, h, t: right_mask(mask, b, h, t).contiguous().clone(),
    "an option more": lambda mask, batch=1, heads=1, target_len=-1, *, invert=True: right_mask(
        mask, batch, heads, target_len),
}  # fmt: skip


# 4.7 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def times(query, key):
    return query.size(1) // key.size(1)


def attend(q, k, v, mask=None, scale=None):
    scores = q @ k.mT / (math.sqrt(q.size(-1)) if scale is None else scale)
    if mask is None:
        weights = scores.softmax(-1)
    else:
        weights = scores.masked_fill(~mask, -1e30).softmax(-1).masked_fill(~mask.any(-1, keepdim=True), 0.0)
    return weights @ v, weights


def shared(query, key, value, mask=None, spread=None, attend=attend):
    """Right as it is; the further arguments make it wrong."""
    spread = spread or (lambda x, n: x.repeat_interleave(n, 1))
    return attend(query, spread(key, times(query, key)), spread(value, times(query, key)), mask)


def spreading(spread):
    return lambda query, key, value, mask=None: shared(query, key, value, mask, spread)


def attending(attend):
    return lambda query, key, value, mask=None: shared(query, key, value, mask, attend=attend)


def masking(change):
    return lambda query, key, value, mask=None: shared(query, key, value, None if mask is None else change(mask))


def after(change):
    return lambda query, key, value, mask=None: change(*shared(query, key, value, mask))


def fixed(heads):
    """Takes the number of heads to be that."""
    return lambda q, k, v, mask=None: attend(q, *(x.repeat_interleave(heads // k.size(1), 1) for x in (k, v)), mask)


def keys_only(query, key, value, mask=None):
    return attend(query, key.repeat_interleave(times(query, key), 1), value, mask)


def group_by_remainder(query, key, value, mask=None):
    group = torch.arange(query.size(1)) % key.size(1)
    return attend(query, key[:, group], value[:, group], mask)


def group_by_groups(query, key, value, mask=None):
    """Divides by the number of groups, not by the heads in each."""
    group = (torch.arange(query.size(1)) // key.size(1)).clamp(max=key.size(1) - 1)
    return attend(query, key[:, group], value[:, group], mask)


def queries_grouped_in_turns(query, key, value, mask=None):
    wide = query.unflatten(1, (-1, key.size(1)))
    full = None if mask is None else mask.expand(*query.shape[:3], key.size(2)).unflatten(1, (-1, key.size(1)))
    output, weights = attend(wide, key[:, None], value[:, None], full)
    return output.flatten(1, 2), weights.flatten(1, 2)


def mask_of_groups(query, key, value, mask=None):
    """The first mask of each group for all its heads."""
    if mask is not None and mask.dim() > 2 and mask.size(1) > 1:
        mask = mask[:, :: times(query, key)].repeat_interleave(times(query, key), 1)
    return shared(query, key, value, mask)


def softmax_over_group(query, key, value, mask=None):
    k, v = (x.repeat_interleave(times(query, key), 1) for x in (key, value))
    scores = (query @ k.mT / math.sqrt(query.size(-1))).unflatten(1, (key.size(1), -1))
    weights = scores.transpose(2, 3).flatten(-2).softmax(-1).unflatten(-1, (times(query, key), -1))
    weights = weights.transpose(2, 3).flatten(1, 2)
    return weights @ v, weights


def only_shared_alike(query, key, value, mask=None):
    """No attention of its own where each head has a group."""
    if query.size(1) == key.size(1):
        return value, torch.ones(*query.shape[:3], key.size(2))
    return shared(query, key, value, mask)


def zeros_like_queries(query, key, value, mask=None):
    output = torch.zeros_like(query)
    found, weights = shared(query, key, value, mask)
    output[...] = found[..., : query.size(-1)]
    return output, weights


def keys_in_place(query, key, value, mask=None):
    key.mul_(query.size(-1) ** -0.5)
    return shared(query, key, value, mask, attend=lambda q, k, v, mask: attend(q, k, v, mask, 1.0))


WRONG_4_7 = {
    "four heads in mind": (fixed(4), None),
    "eight heads in mind": (fixed(8), None),
    "keys only": (keys_only, None),
    "remainders": (group_by_remainder, "take turns"),
    "divided by the groups": (group_by_groups, None),
    "queries in turns": (queries_grouped_in_turns, "take turns"),
    "mask of the group's first head": (mask_of_groups, "heads' masks differ"),
    "softmax over a group": (softmax_over_group, None),
    "nothing where nothing is shared": (only_shared_alike, "as many groups as heads"),
    "output as wide as the query": (zeros_like_queries, None),
    "keys in place": (keys_in_place, "`key`"),
    "repeated along the batch": (spreading(lambda x, n: x.repeat_interleave(n, 0)), None),
    "repeated along the tokens": (spreading(lambda x, n: x.repeat_interleave(n, 2)), "You repeat the tokens"),
    "repeated along the width": (spreading(lambda x, n: x.repeat_interleave(n, 3)), None),
    "repeat": (spreading(lambda x, n: x.repeat(1, n, 1, 1)), "take turns"),
    "concatenated": (spreading(lambda x, n: torch.cat([x] * n, 1)), "take turns"),
    "stacked at the wrong place": (spreading(lambda x, n: torch.stack([x] * n, 1).flatten(1, 2)), "take turns"),
    "expanded": (spreading(lambda x, n: x.expand(-1, n, -1, -1)), None),
    "backwards": (spreading(lambda x, n: x.flip(1).repeat_interleave(n, 1)), None),
    "one time too few": (spreading(lambda x, n: x.repeat_interleave(max(1, n - 1), 1)), None),
    "first group": (spreading(lambda x, n: x[:, :1].expand(-1, n * x.size(1), -1, -1)), "first group"),
    "mean of groups": (spreading(lambda x, n: x.mean(1, keepdim=True).expand(-1, n * x.size(1), -1, -1)), "average"),
    "scaled down by sharing": (spreading(lambda x, n: x.repeat_interleave(n, 1) / n), None),
    "detached": (spreading(lambda x, n: x.detach().repeat_interleave(n, 1)), "gradient"),
    "rebuilt": (spreading(lambda x, n: torch.tensor(x.repeat_interleave(n, 1).tolist(), dtype=x.dtype)), "gradient"),
    "no scale": (attending(lambda q, k, v, mask: attend(q, k, v, mask, 1.0)), None),
    "scaled by d_k": (attending(lambda q, k, v, mask: attend(q, k, v, mask, q.size(-1))), None),
    "scaled by √d_v": (attending(lambda q, k, v, mask: attend(q, k, v, mask, math.sqrt(v.size(-1)))), "d_v is not"),
    "scaled by √heads": (attending(lambda q, k, v, mask: attend(q, k, v, mask, math.sqrt(q.size(1)))), None),
    "float32 inside": (attending(lambda q, k, v, mask: tuple(
        x.to(q.dtype) for x in attend(q.float(), k.float(), v.float(), mask))), "float32"),
    "−10⁹": (attending(lambda q, k, v, mask: (lambda w: (w @ v, w))((
        q @ k.mT / math.sqrt(q.size(-1)) - (0 if mask is None else 1e9 * ~mask)).softmax(-1))), "attend to nothing"),
    "softmax over queries": (attending(lambda q, k, v, mask: (lambda w: (w @ v, w))(
        (q @ k.mT / math.sqrt(q.size(-1))).softmax(-2))), None),
    "masked after": (attending(lambda q, k, v, mask: (lambda w: (w @ v, w))(
        (q @ k.mT / math.sqrt(q.size(-1))).softmax(-1) * (1 if mask is None else mask))), "there is a mask"),
    "mask turned": (masking(lambda mask: mask.mT if mask.size(-1) == mask.size(-2) else mask), None),
    "mask inverted": (masking(lambda mask: ~mask), "the wrong way round"),
    "last head's mask": (masking(lambda mask: mask if mask.dim() < 4 else mask[:, -1:]), "heads' masks differ"),
    "first sentence's mask": (masking(lambda mask: mask if mask.dim() < 4 else mask[:1]), "sentences' masks differ"),
    "four axes always": (
        masking(lambda mask: mask.expand(mask.size(0), mask.size(1), mask.size(2), -1)), "the mask has two axes"),
    "weights of groups": (after(lambda output, weights: (output, weights.mean(1, keepdim=True))), "shape"),
    "weights transposed": (after(lambda output, weights: (output, weights.mT)), None),
    "weights detached": (after(lambda output, weights: (output, weights.detach())), "gradient"),
    "heads joined": (after(lambda output, weights: (output.transpose(1, 2).flatten(2), weights)), "shape"),
    "heads behind the tokens": (after(lambda output, weights: (output.transpose(1, 2), weights)), "shape"),
    "a dictionary": (after(lambda output, weights: {"output": output, "weights": weights}), "dict"),
    "one tensor": (after(lambda output, weights: output), "tuple of 2"),
    "mask first": (lambda query, mask=None, key=None, value=None: shared(query, key, value, mask), "in this order"),
    "mask by another name": (lambda query, key, value, attention=None: shared(query, key, value), None),
}  # fmt: skip


class Grouped(nn.Module):
    def forward(self, query, key, value, mask=None, groups=None):
        times = query.shape[-3] // key.shape[-3]
        return attend(query, key.repeat_interleave(times, -3), value.repeat_interleave(times, -3), mask)


def group_by_group(query, key, value, mask=None):
    n = times(query, key)
    full = None if mask is None else mask.expand(*query.shape[:3], key.size(2))
    found = [scaled_dot_product_attention(query[:, i * n : (i + 1) * n], key[:, i : i + 1], value[:, i : i + 1],
             None if full is None else full[:, i * n : (i + 1) * n]) for i in range(key.size(1))]  # fmt: skip
    return tuple(torch.cat(parts, 1) for parts in zip(*found, strict=True))


def queries_as_tokens(query, key, value, mask=None):
    """The heads of a group below each other, as if they were more queries."""
    batch, heads, target_len, _ = query.shape
    full = None if mask is None else mask.expand(batch, heads, target_len, key.size(2)).reshape(
        batch, key.size(1), -1, key.size(2))  # fmt: skip
    found = attend(query.reshape(batch, key.size(1), -1, query.size(-1)), key, value, full)
    return tuple(part.reshape(batch, heads, target_len, -1) for part in found)


def by_einsum(query, key, value, mask=None):
    wide = query.unflatten(1, (key.size(1), -1))
    scores = torch.einsum("bgntd,bgsd->bgnts", wide, key).flatten(1, 2) * query.size(-1) ** -0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    weights = F.softmax(scores, dim=-1).nan_to_num()
    return torch.einsum("bgnts,bgsd->bgntd", weights.unflatten(1, wide.shape[1:3]), value).flatten(1, 2), weights


def heads_in_the_batch(query, key, value, mask=None):
    n, shape = times(query, key), query.shape
    k, v = (x.flatten(0, 1).repeat_interleave(n, 0) for x in (key, value))
    bias = query.new_zeros(*shape[:3], key.size(2))
    if mask is not None:
        bias = bias.masked_fill(~mask, -math.inf)
    scores = torch.baddbmm(bias.flatten(0, 1), query.flatten(0, 1), k.mT, alpha=shape[-1] ** -0.5)
    weights = scores.softmax(-1).nan_to_num(0.0)
    return (weights @ v).unflatten(0, shape[:2]), weights.unflatten(0, shape[:2])


RIGHT_4_7 = {
    "module": Grouped(),
    "group by group": group_by_group,
    "queries as tokens": queries_as_tokens,
    "einsum": by_einsum,
    "heads in the batch": heads_in_the_batch,
    "stacked": spreading(lambda x, n: torch.stack([x] * n, 2).flatten(1, 2)),
    "repeated on an axis more": spreading(lambda x, n: x.unsqueeze(2).repeat(1, 1, n, 1, 1).flatten(1, 2)),
    "cat of heads": spreading(lambda x, n: torch.cat([head for head in x.split(1, 1) for _ in range(n)], 1)),
    "index": spreading(lambda x, n: x.index_select(1, torch.arange(n * x.size(1)) // n)),
    "Kronecker": spreading(lambda x, n: torch.einsum("bgsd,gh->bhsd", x, torch.kron(
        torch.eye(x.size(1), dtype=x.dtype), torch.ones(1, n, dtype=x.dtype)))),
    "a list": after(lambda output, weights: [output, weights]),
    "in double": attending(lambda q, k, v, mask: tuple(
        x.to(q.dtype) for x in attend(q.double(), k.double(), v.double(), mask))),
    "an option more": lambda query, key, value, mask=None, *, scale=None: shared(query, key, value, mask),
}  # fmt: skip


WRONG = {"4.6": WRONG_4_6, "4.7": WRONG_4_7}
RIGHT = {"4.6": RIGHT_4_6, "4.7": RIGHT_4_7}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
