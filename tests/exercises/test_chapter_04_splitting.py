"""Chapter 04, heads by loop and by reshape, from outside: plausible wrong answers that no misconception was written
for, and unusual right ones.

Each wrong answer comes with words that its explanation must contain, or None where a plain "not the expected numbers"
is all that is asked of the check.
"""

import math

import torch
from torch.nn import functional as F

root = math.sqrt


# 4.1 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def attend(query, key, value):
    return (query @ key.mT / root(query.size(-1))).softmax(-1) @ value


def looped(q, k, v, wq, wk, wv, wo, head=attend):
    return torch.cat([head(q @ a, k @ b, v @ c) for a, b, c in zip(wq, wk, wv, strict=True)], dim=-1) @ wo


def unscaled(q, k, v):
    return (q @ k.mT).softmax(-1) @ v


def over_queries(q, k, v):
    return (q @ k.mT / root(q.size(-1))).softmax(-2) @ v


def changes_weights(q, k, v, wq, wk, wv, wo):
    return looped(q, k, v, wq.div_(root(wq.size(-1))), wk, wv, wo, head=unscaled)


def causal(q, k, v):
    scores = (q @ k.mT / root(q.size(-1))).masked_fill(
        ~torch.ones(q.size(-2), k.size(-2), dtype=torch.bool).tril(), -math.inf
    )
    return scores.softmax(-1) @ v


def two_heads_in_mind(q, k, v, wq, wk, wv, wo):
    heads = [attend(q @ wq[i], k @ wk[i], v @ wv[i]) for i in range(min(2, len(wq)))]
    joined = torch.cat(heads, dim=-1)
    return joined @ wo[: joined.size(-1)]


def one_short(q, k, v, wq, wk, wv, wo):
    heads = [attend(q @ wq[i], k @ wk[i], v @ wv[i]) for i in range(max(1, len(wq) - 1))]
    joined = torch.cat(heads, dim=-1)
    return joined @ wo[: joined.size(-1)]


def returns_early(q, k, v, wq, wk, wv, wo):
    for a, b, c in zip(wq, wk, wv, strict=True):
        return attend(q @ a, k @ b, v @ c) @ wo[: wv.size(-1)]


def carries_on(q, k, v, wq, wk, wv, wo):
    heads = []
    for a, b, c in zip(wq, wk, wv, strict=True):
        head = attend(q @ a, k @ b, v @ c)
        heads.append(head)
        q = torch.cat([head, q[..., head.size(-1) :]], dim=-1)[..., : q.size(-1)]
    return torch.cat(heads, dim=-1) @ wo


WRONG_4_1 = {
    "unscaled heads": (lambda *inputs: looped(*inputs, head=unscaled), None),
    "softmax over queries": (lambda *inputs: looped(*inputs, head=over_queries), None),
    "causal by habit": (lambda *inputs: looped(*inputs, head=causal), None),
    "changes the weights": (changes_weights, "`query_weights`"),
    "two heads in mind": (two_heads_in_mind, None),
    "one head short": (one_short, None),
    "return inside the loop": (returns_early, None),
    "next head sees the last": (carries_on, None),
    "heads in reverse": (lambda q, k, v, wq, wk, wv, wo: looped(q, k, v, wq.flip(0), wk.flip(0), wv.flip(0), wo), None),
    "matrices exchanged": (lambda q, k, v, wq, wk, wv, wo: looped(q, k, v, wk, wq, wv, wo), None),
    "W^O transposed": (lambda q, k, v, wq, wk, wv, wo: looped(q, k, v, wq, wk, wv, wo.T), None),
    "with weights": (lambda *inputs: (looped(*inputs), None), "tuple"),
    "float64": (lambda *inputs: looped(*inputs).double(), "float64"),
    "float32 inside": (lambda *inputs: looped(*(x.float() for x in inputs)).to(inputs[0].dtype), "float32"),
    "detached": (lambda *inputs: looped(*inputs).detach(), "gradient"),
    "list of heads": (
        lambda q, k, v, wq, wk, wv, wo: [attend(q @ a, k @ b, v @ c) for a, b, c in zip(wq, wk, wv, strict=True)],
        "list",
    ),
    "added to the query": (lambda *inputs: inputs[0] + looped(*inputs), None),
    "forgets return": (lambda *inputs: print(looped(*inputs).shape), "return"),
    "fused kernel": (lambda *inputs: looped(*inputs, head=F.scaled_dot_product_attention), "by itself"),
    "value ignored": (lambda q, k, v, *w: looped(q, k, torch.ones_like(v), *w), "stays the same"),
}


def added_up(q, k, v, wq, wk, wv, wo):
    rows = wo.unflatten(0, (len(wq), -1))
    return sum(attend(q @ a, k @ b, v @ c) @ d for a, b, c, d in zip(wq, wk, wv, rows, strict=True))


def all_at_once(query, key, value, query_weights, key_weights, value_weights, output_weight):
    queries, keys = (torch.einsum("...td,hdk->...htk", *pair) for pair in ((query, query_weights), (key, key_weights)))
    heads = attend(queries, keys, torch.einsum("...sd,hdv->...hsv", value, value_weights))
    return heads.transpose(-3, -2).flatten(-2) @ output_weight


def filled_in(q, k, v, wq, wk, wv, wo):
    joined = q.new_zeros(*q.shape[:-1], len(wo))
    width = wv.size(-1)
    for i in range(len(wq)):
        joined[..., i * width : (i + 1) * width] = attend(q @ wq[i], k @ wk[i], v @ wv[i])
    return joined @ wo


RIGHT_4_1 = {
    "added up, a block of W^O each": added_up,
    "einsum": all_at_once,
    "filled in": filled_in,
    "float64 inside": lambda *inputs: looped(*(x.double() for x in inputs)).to(inputs[0].dtype),
    "extra keyword": lambda q, k, v, wq, wk, wv, wo, mask=None: looped(q, k, v, wq, wk, wv, wo),
    "scaled beforehand": lambda q, k, v, wq, *rest: looped(q, k, v, wq / root(wq.size(-1)), *rest, head=unscaled),
    "linear": lambda *inputs: F.linear(looped(*inputs[:6], torch.eye(len(inputs[6])).to(inputs[6])), inputs[6].T),
}


# 4.2 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def split(joined, heads):
    return joined.unflatten(-1, (heads, -1)).transpose(1, 2)


def first_batch(joined, heads):
    return split(joined[:1], heads).expand(joined.size(0), -1, -1, -1)


WRONG_4_2 = {
    "width 2 in mind": (lambda joined, heads: joined.unflatten(-1, (-1, 2)).transpose(1, 2), None),
    "two heads in mind": (lambda joined, heads: split(joined, 2), "shape"),
    "heads and width exchanged": (lambda joined, heads: split(joined, joined.size(-1) // heads), "shape"),
    "reversed": (lambda joined, heads: split(joined, heads).flip(1), None),
    "first sentence only": (first_batch, None),
    "one batch axis too many": (lambda joined, heads: split(joined, heads)[None], "shape"),
    "first head": (lambda joined, heads: split(joined, heads)[:, :1], "shape"),
    "tokens reversed": (lambda joined, heads: split(joined, heads).flip(2), None),
    "transposed at last": (lambda joined, heads: split(joined, heads).transpose(-2, -1), None),
    "transposed first": (
        lambda joined, heads: joined.transpose(1, 2).reshape(joined.size(0), heads, joined.size(1), -1),
        None,
    ),
    "all heads see all": (lambda joined, heads: joined[:, None].expand(-1, heads, -1, -1), "shape"),
    "float64": (lambda joined, heads: split(joined, heads).double(), "float64"),
    "float32": (lambda joined, heads: split(joined, heads).float(), None),
    "list": (lambda joined, heads: list(split(joined, heads).unbind(1)), "list"),
    "detached": (lambda joined, heads: split(joined, heads).detach(), "gradient"),
    "changes its input": (lambda joined, heads: split(joined.mul_(2), heads), "`joined`"),
    "resizes its input": (lambda joined, heads: joined.resize_(joined.size(0), heads, joined.size(1), 2), None),
    "no return": (lambda joined, heads: None, "return"),
    "no heads": (lambda joined: split(joined, 2), "heads"),
    "divided": (lambda joined, heads: split(joined / root(heads), heads), None),
    "batch split": (lambda joined, heads: joined.unflatten(0, (heads, -1)).transpose(0, 1), None),
}


def split_by_loop(joined, heads):
    width = joined.size(-1) // heads
    return torch.stack([joined[:, :, i * width : (i + 1) * width] for i in range(heads)], dim=1)


def split_by_index(joined, heads):
    batch, length, total = joined.shape
    width = total // heads
    columns = torch.arange(heads)[:, None, None] * width + torch.arange(width)[None, None]
    rows = torch.arange(length)[None, :, None].expand(heads, -1, width)
    return joined[:, rows, columns.expand(-1, length, -1)]


RIGHT_4_2 = {
    "view and permute": lambda joined, heads: joined.view(*joined.shape[:2], heads, -1).permute(0, 2, 1, 3),
    "slices": split_by_loop,
    "chunks": lambda joined, heads: torch.stack(joined.chunk(heads, dim=-1), dim=1),
    "by index": split_by_index,
    "tensor_split": lambda joined, heads: torch.stack(torch.tensor_split(joined, heads, -1), 1),
    "in one piece": lambda joined, heads: joined.reshape(*joined.shape[:2], heads, -1).swapaxes(1, 2).contiguous(),
    "extra keyword": lambda joined, heads, width=None: split(joined, heads),
}


# 4.3 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def join(separate):
    return separate.transpose(1, 2).flatten(-2)


WRONG_4_3 = {
    "first head": (lambda separate: separate[:, 0], "shape"),
    "last head first": (lambda separate: join(separate.flip(1)), None),
    "all flat": (lambda separate: separate.flatten(1), "shape"),
    "wrong axes exchanged": (lambda separate: separate.transpose(2, 3).flatten(1, 2), "shape"),
    "last axes exchanged, right shape": (
        lambda separate: separate.transpose(-2, -1).reshape(separate.size(0), separate.size(2), -1),
        None,
    ),
    "width first": (lambda x: x.permute(0, 2, 3, 1).reshape(x.size(0), x.size(2), -1), None),
    "length before batch": (lambda separate: join(separate).transpose(0, 1), "shape"),
    "two heads in mind": (lambda x: torch.cat([x[:, 0], x[:, min(1, x.size(1) - 1)]], -1), None),
    "transposed": (lambda separate: join(separate).mT, "shape"),
    "first sentence": (lambda separate: join(separate[:1]).expand(separate.size(0), -1, -1), None),
    "float32": (lambda separate: join(separate).float(), None),
    "float64": (lambda separate: join(separate).double(), "float64"),
    "maximum": (lambda separate: separate.amax(1), "shape"),
    "changes its input": (lambda separate: join(separate.mul_(2)), "`separate`"),
    "detached": (lambda separate: join(separate).detach(), "gradient"),
    "list": (lambda separate: list(separate.unbind(1)), "list"),
    "no return": (lambda separate: None, "return"),
    "divided": (lambda separate: join(separate) / separate.size(1), None),
    "tokens reversed": (lambda separate: join(separate).flip(1), None),
}  # fmt: skip


def join_by_loop(separate):
    def row(sentence, token):
        return torch.cat([head[token] for head in sentence])

    return torch.stack([torch.stack([row(sentence, i) for i in range(sentence.size(1))]) for sentence in separate])


RIGHT_4_3 = {
    "side by side": lambda separate: torch.cat(separate.unbind(1), dim=-1),
    "permute and reshape": lambda x: x.permute(0, 2, 1, 3).reshape(x.size(0), x.size(2), x.size(1) * x.size(3)),
    "contiguous and view": lambda x: x.transpose(1, 2).contiguous().view(x.size(0), x.size(2), -1),
    "loop": join_by_loop,
    "einsum": lambda separate: torch.einsum("bhlw->blhw", separate).flatten(2, 3),
    "extra keyword": lambda separate, heads=None: join(separate),
}


WRONG = {"4.1": WRONG_4_1, "4.2": WRONG_4_2, "4.3": WRONG_4_3}
RIGHT = {"4.1": RIGHT_4_1, "4.2": RIGHT_4_2, "4.3": RIGHT_4_3}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
