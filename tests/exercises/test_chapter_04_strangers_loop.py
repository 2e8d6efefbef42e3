"""Chapter 04, heads in a loop: more answers of strangers, wrong ones in ways that the cases might have overlooked
(sizes, further axes, large numbers, memory) and right ones written otherwise.

Each wrong answer comes with words that its report must contain, or None where a plain "not the expected numbers" is all
that is asked of the check.
"""

import functools
import math

import torch
from torch import nn
from torch.nn import functional as F

root = math.sqrt


# 4.1 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def attend(q, k, v, scale=None, axis=-1):
    return (q @ k.mT / (root(q.size(-1)) if scale is None else scale)).softmax(axis) @ v


def joined(heads, wo):
    return torch.cat(heads, -1) @ wo


def looped(q, k, v, wq, wk, wv, wo, head=attend, join=joined, heads=None):
    """Right as it is; the further arguments make it wrong."""
    return join([head(q @ wq[i], k @ wk[i], v @ wv[i]) for i in range(len(wq) if heads is None else heads)], wo)


def with_head(head):
    return lambda *inputs: looped(*inputs, head=head)


def with_join(join):
    return lambda *inputs: looped(*inputs, join=join)


def scaled_by(scale):
    """Scores divided by what that gives of all inputs."""
    return lambda *inputs: looped(*inputs, head=lambda q, k, v: attend(q, k, v, scale(*inputs)))


def by_exponentials(q, k, v):
    found = (q @ k.mT / root(q.size(-1))).exp()
    return found / found.sum(-1, keepdim=True) @ v


def causal_in_squares(q, k, v):
    scores = q @ k.mT / root(q.size(-1))
    if q.size(-2) == k.size(-2):
        scores = scores.masked_fill(torch.ones_like(scores).triu(1).bool(), -math.inf)
    return scores.softmax(-1) @ v


def three_axes_at_most(q, k, v):
    assert q.dim() <= 4
    return attend(q, k, v)


def in_batches(q, k, v):
    """One batch axis, or none."""
    if q.dim() == 2:
        return attend(q, k, v)
    return torch.bmm((torch.bmm(q, k.transpose(1, 2)) / root(q.size(2))).softmax(2), v)


def mutable_default(q, k, v, wq, wk, wv, wo, heads=[]):  # noqa: B006
    for a, b, c in zip(wq, wk, wv, strict=True):
        heads.append(attend(q @ a, k @ b, v @ c))
    return torch.cat(heads, -1) @ wo


found_before = {}


def kept_by_shape(q, k, v, *weights):
    """What was found for a query of that shape serves again."""
    shape = (*q.shape, *k.shape, *weights[0].shape)
    if shape not in found_before:
        found_before[shape] = looped(q, k, v, *weights)
    return found_before[shape]


def joined_in_the_loop(q, k, v, wq, wk, wv, wo):
    whole = None
    for a, b, c in zip(wq, wk, wv, strict=True):
        head = attend(q @ a, k @ b, v @ c)
        whole = head if whole is None else torch.cat([head, whole], -1)
    return whole @ wo


def late_binding(q, k, v, wq, wk, wv, wo):
    heads = [lambda: attend(q @ wq[i], k @ wk[i], v @ wv[i]) for i in range(len(wq))]  # noqa: B023
    return torch.cat([head() for head in heads], -1) @ wo


def one_pattern(q, k, v, wq, wk, wv, wo):
    scores = sum((q @ a) @ (k @ b).mT for a, b in zip(wq, wk, strict=True)) / root(wq.size(-1))
    return torch.cat([scores.softmax(-1) @ (v @ c) for c in wv], -1) @ wo


def slots_of_keys(q, k, v, wq, wk, wv, wo):
    """Takes d_v to be d_k."""
    width = wq.size(-1)
    whole = q.new_zeros(*q.shape[:-1], len(wo))
    for i in range(len(wq)):
        whole[..., i * width : (i + 1) * width] = attend(q @ wq[i], k @ wk[i], v @ wv[i])
    return whole @ wo


def in_single(q, k, v, wq, wk, wv, wo):
    whole = torch.zeros(*q.shape[:-1], len(wo))
    for i in range(len(wq)):
        width = wv.size(-1)
        whole[..., i * width : (i + 1) * width] = attend(q @ wq[i], k @ wk[i], v @ wv[i])
    return whole.to(wo.dtype) @ wo


def sentence_by_sentence(q, k, v, *weights):
    if q.dim() == 2:
        return looped(q, k, v, *weights)
    return torch.stack([looped(q[i], k[0], v[i], *weights) for i in range(len(q))])


def query_in_place(q, k, v, wq, wk, wv, wo):
    q /= root(wq.size(-1))
    return looped(q, k, v, wq, wk, wv, wo, head=lambda q, k, v: attend(q, k, v, 1.0))


def normalised(heads, wo):
    return torch.cat([F.layer_norm(head, head.shape[-1:]) for head in heads], -1) @ wo


def blocks_turned(heads, wo):
    """The rows of W^O taken in turns."""
    return torch.cat(heads, -1) @ wo.unflatten(0, (-1, len(heads))).transpose(0, 1).flatten(0, 1)


def projected_each(heads, wo):
    return torch.cat([head @ wo[i :: len(heads)] for i, head in enumerate(heads)], -1)[..., : wo.size(-1)]


WRONG_4_1 = {
    "exponentials": (with_head(by_exponentials), "scores are in the thousands"),
    "causal in squares": (with_head(causal_in_squares), "as many keys as queries"),
    "two batch axes at most": (with_head(three_axes_at_most), "three batch axes"),
    "one batch axis at most": (with_head(in_batches), "more than one batch axis"),
    "joined along axis 1": (with_join(lambda heads, wo: torch.cat(heads, 1) @ wo), "below each other"),
    "joined along axis 2": (with_join(lambda heads, wo: torch.cat(heads, 2) @ wo), None),
    "keys turned by T": (with_head(lambda q, k, v: (q @ k.T / root(q.size(-1))).softmax(-1) @ v), None),
    "keys turned by axes 0 and 1": (
        with_head(lambda q, k, v: (q @ k.transpose(0, 1) / root(q.size(-1))).softmax(-1) @ v),
        None,
    ),
    "softmax over axis 1": (with_head(lambda q, k, v: attend(q, k, v, axis=1)), "a batch axis"),
    "softmax over both axes": (
        with_head(lambda q, k, v: (q @ k.mT / root(q.size(-1))).flatten(-2).softmax(-1).unflatten(
            -1, (q.size(-2), k.size(-2))) @ v),
        None,
    ),
    "log softmax": (with_head(lambda q, k, v: (q @ k.mT / root(q.size(-1))).log_softmax(-1) @ v), None),
    "sigmoid": (with_head(lambda q, k, v: (q @ k.mT / root(q.size(-1))).sigmoid() @ v), None),
    "epsilon in the divisor": (
        with_head(lambda q, k, v: attend(q, k, v) / (1 + 1e-6)),
        "seven digits",
    ),
    "scaled by d_v": (scaled_by(lambda q, k, v, wq, wk, wv, wo: root(wv.size(-1))), "d_v is not d_k"),
    "scaled by d_k, not its root": (scaled_by(lambda q, k, v, wq, *rest: wq.size(-1)), "its root"),
    "scaled by d_model / heads": (scaled_by(lambda q, k, v, wq, *rest: root(q.size(-1) / len(wq))), None),
    "scaled by heads": (scaled_by(lambda q, k, v, wq, *rest: root(len(wq))), None),
    "scaled by the number of keys": (scaled_by(lambda q, k, *rest: root(k.size(-2))), None),
    "multiplied by √d_k": (scaled_by(lambda q, k, v, wq, *rest: 1 / root(wq.size(-1))), None),
    "scaled twice": (lambda q, k, v, wq, *rest: looped(q / root(wq.size(-1)), k, v, wq, *rest), "and once"),
    "scaled after the softmax": (with_head(lambda q, k, v: attend(q, k, v, 1.0) / root(q.size(-1))), None),
    "mutable default": (mutable_default, None),
    "kept by shape": (kept_by_shape, None),
    "joined in the loop, from the front": (joined_in_the_loop, None),
    "late binding": (late_binding, None),
    "one pattern of all heads": (one_pattern, None),
    "d_v taken to be d_k": (slots_of_keys, "d_v is not d_k"),
    "float32 in between": (in_single, "float32"),
    "first sentence's keys": (sentence_by_sentence, None),
    "query in place": (query_in_place, "`query`"),
    "heads normalised": (with_join(normalised), None),
    "W^O's rows in turns": (with_join(blocks_turned), None),
    "W^O for each": (with_join(projected_each), None),
    "heads by d_model / d_k": (lambda *i: looped(*i, heads=i[0].size(-1) // i[3].size(-1)), "`len(query_weights)`"),
    "no W^O for one head": (
        with_join(lambda heads, wo: joined(heads, wo) if len(heads) > 1 else heads[0]),
        "leave W^O out",
    ),
    "no W^O where it fits": (
        with_join(lambda heads, wo: torch.cat(heads, -1) if wo.size(0) == wo.size(1) else joined(heads, wo)),
        None,
    ),
    "squeezed": (lambda *inputs: looped(*inputs).squeeze(), "shape"),
    "batch axis added": (lambda *inputs: looped(*(x[None] if i < 3 else x for i, x in enumerate(inputs))), "shape"),
    "divided by heads": (lambda *inputs: looped(*inputs) / len(inputs[3]), None),
    "square root of heads": (lambda *inputs: looped(*inputs) / root(len(inputs[3])), None),
    "values before W^V": (lambda q, k, v, wq, wk, wv, wo: looped(q, k, v, wq, wk, wv.flip(0), wo), None),
    "keys and values exchanged": (lambda q, k, v, *rest: looped(q, v, k, *rest), None),
    "keys are values": (lambda q, k, v, *rest: looped(q, v, v, *rest), None),
    "key weights detached": (lambda q, k, v, wq, wk, wv, wo: looped(q, k, v, wq, wk.detach(), wv, wo), "`key_weights`"),
    "W^O detached": (lambda *inputs: looped(*inputs[:6], inputs[6].data), "`output_weight`"),
    "NumPy": (lambda *inputs: looped(*inputs).detach().numpy(), "NumPy"),
    "generator": (lambda *inputs: (row for row in looped(*inputs)), "generator"),
    "half precision": (lambda *inputs: looped(*(x.bfloat16() for x in inputs)).to(inputs[0].dtype), None),
    "W^O first, by name": (lambda q, k, v, wo, wq, wk, wv: looped(q, k, v, wq, wk, wv, wo), None),
}  # fmt: skip


class Loop(nn.Module):
    def forward(self, query, key, value, query_weights, key_weights, value_weights, output_weight):
        heads = nn.ParameterList()  # empty, and of no use
        found = list(heads)
        for i, matrix in enumerate(query_weights):
            weights = F.softmax(query @ matrix @ (key @ key_weights[i]).mT * matrix.size(1) ** -0.5, dim=-1)
            found += [weights @ value @ value_weights[i]]
        return torch.cat(found, dim=-1).matmul(output_weight)


def by_map(query, key, value, query_weights, key_weights, value_weights, output_weight):
    heads = map(lambda a, b, c: attend(query @ a, key @ b, value @ c), query_weights, key_weights, value_weights)
    return torch.concat([*heads], -1) @ output_weight


def reduced(query, key, value, query_weights, key_weights, value_weights, output_weight):
    heads = [attend(query @ query_weights[i], key @ key_weights[i], value @ value_weights[i])
             for i in range(query_weights.shape[0])]  # fmt: skip
    return functools.reduce(lambda left, right: torch.cat((left, right), -1), heads) @ output_weight


def recursive(q, k, v, wq, wk, wv, wo):
    head = attend(q @ wq[0], k @ wk[0], v @ wv[0]) @ wo[: wv.size(-1)]
    return head if len(wq) == 1 else head + recursive(q, k, v, wq[1:], wk[1:], wv[1:], wo[wv.size(-1) :])


def query_by_query(q, k, v, wq, wk, wv, wo):
    return torch.cat([looped(row, k, v, wq, wk, wv, wo) for row in q.split(1, -2)], -2)


def scores_folded(q, k, v, wq, wk, wv, wo):
    """W^Q and W^K as one matrix, W^V and W^O as another."""
    total = 0
    for a, b, c, d in zip(wq, wk, wv, wo.unflatten(0, (len(wq), -1)), strict=True):
        total = total + (q @ (a @ b.T) @ k.mT / root(a.size(1))).softmax(-1) @ (v @ (c @ d))
    return total


def own_softmax(q, k, v):
    scores = q @ k.mT / root(q.size(-1))
    found = (scores - scores.amax(-1, keepdim=True)).exp()
    return found @ v / found.sum(-1, keepdim=True)


def broadcast_heads(q, k, v, wq, wk, wv, wo):
    heads = attend(q.unsqueeze(-3) @ wq, k.unsqueeze(-3) @ wk, v.unsqueeze(-3) @ wv)
    return torch.einsum("...htv,hvd->...td", heads, wo.reshape(len(wq), -1, wo.size(-1)))


def one_product(q, k, v, wq, wk, wv, wo):
    """Matrices side by side, heads cut out of the product."""
    wide = [x @ torch.cat([*w], -1) for x, w in ((q, wq), (k, wk), (v, wv))]
    parts = zip(*(part.chunk(len(wq), -1) for part in wide), strict=True)
    return torch.hstack([attend(*part).movedim(-1, 1 if q.dim() > 1 else 0) for part in parts]).movedim(1, -1) @ wo


RIGHT_4_1 = {
    "module": Loop(),
    "map": by_map,
    "reduced": reduced,
    "recursive": recursive,
    "query by query": query_by_query,
    "matrices folded": scores_folded,
    "own softmax": with_head(own_softmax),
    "broadcast": broadcast_heads,
    "one product": one_product,
    "stacked": with_join(lambda heads, wo: torch.stack(heads, -2).flatten(-2) @ wo),
    "tensordot": with_join(lambda heads, wo: torch.tensordot(torch.cat(heads, -1), wo, dims=1)),
    "in double": lambda *i: looped(*(x.to(torch.float64, copy=True) for x in i)).type_as(i[0]),
    "options": lambda query, key, value, *weights, dropout=None, **others: looped(query, key, value, *weights),
}


WRONG = {"4.1": WRONG_4_1}
RIGHT = {"4.1": RIGHT_4_1}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
