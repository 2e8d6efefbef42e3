"""Chapter 03, one query and Eq. 1: more answers of strangers, wrong ones in ways that the cases might have overlooked
(sizes, further axes, large numbers, memory) and right ones written otherwise.

Each wrong answer comes with words that its report must contain, or None where a plain "not the expected numbers" is all
that is asked of the check.
"""

import functools
import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

root = math.sqrt


# 3.1 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def weights(query, keys):
    return (keys @ query / root(query.size(-1))).softmax(-1)


def generated(query, keys):
    yield from weights(query, keys)


async def awaited(query, keys):
    return weights(query, keys)


def noisy(query, keys):
    return weights(query, keys) + 0.01 * torch.randn(len(keys), dtype=query.dtype)


def softmax_in_place(query, keys):
    query.copy_(query / root(query.size(-1)))
    return (keys @ query).softmax(-1)


def counting_calls():
    calls = []

    def answer(query, keys):
        calls.append(1)
        return weights(query / len(calls), keys)

    return answer


def eight_at_most(query, keys):
    scores = torch.full((8,), -math.inf, dtype=query.dtype)
    scores = torch.cat([keys[:8] @ query / root(len(query)), scores])[: len(keys)]
    return scores.softmax(-1)


def no_width_one(query, keys):
    if query.size(-1) == 1:
        return keys.new_full((len(keys),), 1 / len(keys))
    return weights(query, keys)


def padded_with_zero_score(query, keys):
    scores = torch.cat([keys @ query / root(len(query)), query.new_zeros(1)])
    return scores.softmax(-1)[:-1]


class Scorer(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, query, keys):
        return (keys @ query * self.scale).softmax(-1)


WRONG_3_1 = {
    "generator": (generated, "generator"),
    "coroutine": (awaited, "coroutine"),
    "noise": (noisy, None),
    "changes query by copy_": (softmax_in_place, "`query`"),
    "remembers": (counting_calls(), None),
    "eight keys at most": (eight_at_most, None),
    "width 1 refused": (no_width_one, None),
    "one more score": (padded_with_zero_score, None),
    "learned scale": (Scorer(), "√d_k"),
    "class of a module": (Scorer, "class"),
    "divided by the query's norm": (lambda q, k: (k @ q / q.norm()).softmax(-1), None),
    "root of d_k squared": (lambda q, k: (k @ q / len(q) ** 2).softmax(-1), None),
    "d_k − 1": (lambda q, k: (k @ q / root(max(1, len(q) - 1))).softmax(-1), None),
    "arguments exchanged": (lambda keys, query: (keys @ query / root(query.size(-1))).softmax(-1), None),
    "sum over keys": (lambda q, k: (q * k).sum(0).div(root(len(q))).softmax(-1), None),
    "elementwise": (lambda q, k: (q * k / root(len(q))).softmax(-1), "shape"),
    "softmin": (lambda q, k: F.softmin(k @ q / root(len(q)), dim=0), None),
    "distance": (lambda q, k: (-(k - q).norm(dim=-1)).softmax(-1), None),
    "complex": (lambda q, k: weights(q, k) + 0j, None),
    "half": (lambda q, k: weights(q, k).half(), "float16"),
    "NaN": (lambda q, k: weights(q, k) * math.nan, "NaN"),
    "string": ("weights", "function itself"),
    "called already": (weights(torch.ones(4), torch.ones(2, 4)), "function itself"),
    "one argument": (lambda query: query.softmax(-1), "keys"),
    "weights of the largest alone": (lambda q, k: weights(q, k) * (weights(q, k) == weights(q, k).max()), None),
    "clamped scores": (lambda q, k: (k @ q / root(len(q))).clamp(-5, 5).softmax(-1), None),
    "exponentials without their maximum": (
        lambda q, k: (lambda e: e / e.sum())(torch.exp(k @ q / root(len(q)))),
        "exp of a score",
    ),
    "divisor with epsilon": (
        lambda q, k: (lambda e: e / (e.sum() + 1e-3))((k @ q / root(len(q)) - (k @ q / root(len(q))).max()).exp()),
        None,
    ),
    "two to the power": (lambda q, k: (lambda e: e / e.sum())(2 ** (k @ q / root(len(q)))), None),
    "output": (lambda q, k: weights(q, k) @ k, "shape"),
    "kernel of ATen": (
        lambda q, k: torch.ops.aten.scaled_dot_product_attention(
            q[None, None, None], k[None, None], torch.eye(len(k), dtype=k.dtype)[None, None]
        )[0, 0, 0],
        "by itself",
    ),
}


class Weigher:
    @staticmethod
    def weigh(query, keys):
        return weights(query, keys)

    def method(self, query, keys, *, temperature=1.0):
        return weights(query / temperature, keys)


RIGHT_3_1 = {
    "static method": Weigher.weigh,
    "bound method": Weigher().method,
    "partial": functools.partial(Weigher().method, temperature=1.0),
    "any arguments": lambda *arguments, **keywords: weights(*arguments, **keywords),
    "log of the sum": lambda q, k: (k @ q / root(len(q)) - torch.logsumexp(k @ q / root(len(q)), 0)).exp(),
    "linear and tensordot": lambda q, k: torch.tensordot(k, q, dims=1).mul(q.shape[0] ** -0.5).softmax(0),
    "nn.Softmax": lambda query, keys: nn.Softmax(dim=-1)(F.linear(query, keys) / torch.tensor(len(query)).sqrt()),
    "log softmax": lambda q, k: F.log_softmax((k * q).sum(1) / root(len(q)), dim=0).exp(),
    "scripted rsqrt": lambda q, k: torch.mv(k, q).mul(torch.rsqrt(q.new_tensor(float(len(q))))).softmax(0),
    "baddbmm": lambda q, k: (
        torch.addmv(k.new_zeros(len(k)), k, q, alpha=1 / root(len(q))).unsqueeze(0).softmax(1).squeeze(0)
    ),
}


# 3.2 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def attended(query, key, value):
    found = (query @ key.transpose(-2, -1) / root(query.size(-1))).softmax(-1)
    return found @ value, found


def weighed(make):
    """Right but for the weights."""

    def answer(query, key, value):
        found = make(query, key)
        return found @ value, found

    return answer


def four_axes_at_most(query, key, value):
    axes = {2: (0, 1), 3: (1, 2), 4: (2, 3)}[query.dim()]
    found = (query @ key.transpose(*axes) / root(query.size(-1))).softmax(-1)
    return found @ value, found


def views(query, key, value):
    shape = query.shape[:-2]
    q, k, v = (part.view(-1, *part.shape[-2:]) for part in (query, key, value))
    output, found = attended(q, k, v)
    return output.view(*shape, *output.shape[1:]), found.view(*shape, *found.shape[1:])


def by_sentence_loop(query, key, value):
    if query.dim() == 2:
        return attended(query, key, value)
    pairs = [attended(query[i], key[i], value[i]) for i in range(len(query) - 1)] or [
        attended(query[0], key[0], value[0])
    ]
    pairs += pairs[-1:] * (len(query) - len(pairs))
    return torch.stack([o for o, _ in pairs]), torch.stack([w for _, w in pairs])


def square_only(query, key, value):
    scores = query @ key.mT / root(query.size(-1))
    found = scores.softmax(-1 if scores.size(-1) != scores.size(-2) else -2)
    return found @ value, found


def through_numpy(query, key, value):
    q, k, v = (part.detach().numpy() for part in (query, key, value))
    scores = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    found = scores / scores.sum(-1, keepdims=True)
    return torch.from_numpy(found @ v), torch.from_numpy(found)


def no_grad(query, key, value):
    with torch.no_grad():
        return attended(query, key, value)


def value_in_place(query, key, value):
    output, found = attended(query, key, value)
    value.zero_()
    return output, found


def rows_of_first_query(query, key):
    found = attended(query, key, key)[1]
    return found[..., :1, :].expand_as(found).contiguous()


def dropping(query, key):
    return F.dropout(attended(query, key, key)[1], 0.1)


WRONG_3_2 = {
    "four axes at most": (four_axes_at_most, "three batch axes"),
    "view of a view": (views, None),
    "last sentence forgotten": (by_sentence_loop, None),
    "over queries where square": (square_only, None),
    "through NumPy": (through_numpy, "float64"),
    "no_grad": (no_grad, "gradient"),
    "value zeroed": (value_in_place, "`value`"),
    "first query for all": (weighed(rows_of_first_query), None),
    "dropout": (weighed(dropping), None),
    "causal": (
        weighed(
            lambda q, k: (
                q @ k.mT / root(q.size(-1)) + torch.full((q.size(-2), k.size(-2)), -math.inf, dtype=q.dtype).triu(1)
            ).softmax(-1)
        ),
        None,
    ),
    "clamped": (weighed(lambda q, k: (q @ k.mT / root(q.size(-1))).clamp(max=50).softmax(-1)), None),
    "exponentials without their maximum": (
        weighed(lambda q, k: (lambda e: e / e.sum(-1, keepdim=True))((q @ k.mT / root(q.size(-1))).exp())),
        "exp",
    ),
    "no keepdim": (weighed(lambda q, k: (lambda e: e / e.sum(-1))((q @ k.mT / root(q.size(-1))).exp())), None),
    "one maximum": (
        weighed(lambda q, k: (lambda e: e / e.sum())((q @ k.mT / root(q.size(-1))).exp())),
        None,
    ),
    "scaled both times": (weighed(lambda q, k: (q / root(q.size(-1)) @ (k / root(q.size(-1))).mT).softmax(-1)), "d_k"),
    "root of the root": (weighed(lambda q, k: (q @ k.mT / q.size(-1) ** 0.25).softmax(-1)), None),
    "scale of heads": (
        weighed(lambda q, k: (q @ k.mT / root(q.size(1) if q.dim() > 2 else q.size(-1))).softmax(-1)),
        None,
    ),
    "numel": (weighed(lambda q, k: (q @ k.mT / root(q.numel())).softmax(-1)), None),
    "floor of the root": (weighed(lambda q, k: (q @ k.mT / int(root(q.size(-1)))).softmax(-1)), None),
    "values first": (lambda value, key, query: attended(query, key, value), None),
    "key, query": (lambda key, query, value: attended(query, key, value), None),
    "value as key": (lambda query, value, key: attended(query, key, value), None),
    "log weights": (lambda q, k, v: (attended(q, k, v)[0], attended(q, k, v)[1].log()), "weights"),
    "unscaled weights beside": (lambda q, k, v: (attended(q, k, v)[0], (q @ k.mT).softmax(-1)), None),
    "weights summed": (lambda q, k, v: (attended(q, k, v)[0], attended(q, k, v)[1].sum(-1)), "shape"),
    "mean over heads": (
        lambda q, k, v: (attended(q, k, v)[0], attended(q, k, v)[1].mean(1) if q.dim() == 4 else attended(q, k, v)[1]),
        "shape",
    ),
    "output squeezed": (lambda q, k, v: tuple(x.squeeze() for x in attended(q, k, v)), "shape"),
    "weights through dropout of values": (
        lambda q, k, v: (attended(q, k, F.dropout(v, 0.5))[0], attended(q, k, v)[1]),
        None,
    ),
    "nested lists": (lambda q, k, v: tuple(x.tolist() for x in attended(q, k, v)), "Tensor"),
    "generator": (lambda q, k, v: (x for x in attended(q, k, v)), "generator"),
    "string": (lambda q, k, v: "attention", None),
    "kernel of ATen": (
        lambda q, k, v: (torch.ops.aten.scaled_dot_product_attention(q, k, v), attended(q, k, v)[1]),
        "by itself",
    ),
    "keys normalised": (
        weighed(lambda q, k: (q @ F.layer_norm(k, k.shape[-1:]).mT / root(q.size(-1))).softmax(-1)),
        None,
    ),
    "mask by default": (
        lambda q, k, v, mask=True: attended(q, k, v * (torch.arange(k.size(-2)) < 2)[:, None]),
        None,
    ),
}


@functools.wraps(attended)
def wrapped(*arguments, **keywords):
    return attended(*arguments, **keywords)


def by_columns(query, key, value):
    """Key by key, with the exponentials' sum kept beside."""
    scores = torch.stack([(query * key[..., i : i + 1, :]).sum(-1) for i in range(key.size(-2))], -1)
    scores = scores / root(key.shape[-1])
    found = torch.exp(scores - torch.logsumexp(scores, -1, keepdim=True))
    return sum(found[..., i : i + 1] * value[..., i : i + 1, :] for i in range(key.size(-2))), found


def by_batches(query, key, value):
    shape = query.shape[:-2]
    q, k, v = (part.flatten(0, -3) if part.dim() > 2 else part[None] for part in (query, key, value))
    found = torch.baddbmm(q.new_zeros(1), q, k.transpose(1, 2), beta=0, alpha=q.size(-1) ** -0.5).softmax(2)
    return torch.bmm(found, v).unflatten(0, shape or (1,)).reshape(*shape, q.size(1), -1), found.reshape(
        *shape, q.size(1), k.size(1)
    )


def vmapped(query, key, value):
    answer = attended
    for _ in range(query.dim() - 2):
        answer = torch.vmap(answer)
    return answer(query, key, value)


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.softmax = nn.Softmax(dim=-1)

    def forward(self, query, key, value, *, scale=None):
        scale = query.size(-1) ** -0.5 if scale is None else scale
        found = self.softmax(torch.matmul(query * scale, key.transpose(-1, -2)))
        return torch.matmul(found, value), found


RIGHT_3_2 = {
    "wrapped": wrapped,
    "key by key": by_columns,
    "batched products": by_batches,
    "vmap": vmapped,
    "module": Plain(),
    "both sides scaled by the fourth root": lambda q, k, v: attended(
        q / q.size(-1) ** 0.25 * root(q.size(-1)), k / q.size(-1) ** 0.25, v
    ),
    "moved axes": lambda q, k, v: (lambda w: (torch.matmul(w, v), w))(
        torch.softmax(torch.movedim(k @ q.mT, -1, -2) / q.shape[-1] ** 0.5, -1)
    ),
    "list": lambda q, k, v: [*attended(q, k, v)],
    "mask for later": lambda query, key, value, mask=None, dropout=None: attended(query, key, value),
}


WRONG = {"3.1": WRONG_3_1, "3.2": WRONG_3_2}
RIGHT = {"3.1": RIGHT_3_1, "3.2": RIGHT_3_2}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
