"""Chapter 03, one query and Eq. 1, from outside: plausible wrong answers that no misconception was written for,
and unusual right ones.

Each wrong answer comes with words that its explanation must contain, or None where a plain "not the expected numbers"
is all that is asked of the check.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from utils.exercises import examine, exercise

root = math.sqrt


# 3.1 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def right_weights(query, keys):
    return (keys @ query / root(query.size(-1))).softmax(-1)


def changes_keys(query, keys):
    keys /= root(query.size(-1))
    return (keys @ query).softmax(-1)


def changes_query(query, keys):
    query.div_(root(query.size(-1)))
    return (keys @ query).softmax(-1)


def forgets_return(query, keys):
    (keys @ query / root(query.size(-1))).softmax(-1)


def leaves(query, keys):
    raise SystemExit(1)


WRONG_3_1 = {
    "fused kernel": (
        lambda query, keys: F.scaled_dot_product_attention(query[None], keys, torch.eye(len(keys), dtype=keys.dtype))[
            0
        ],
        "by itself",
    ),
    "no return": (forgets_return, "return"),
    "factors exchanged": (lambda query, keys: (query @ keys / root(query.size(-1))).softmax(-1), "RuntimeError"),
    "keys transposed": (lambda query, keys: (keys.T @ query / root(query.size(-1))).softmax(-1), "RuntimeError"),
    "hard-coded": (lambda query, keys: torch.tensor([0.5, 0.5]), "shape"),
    "even": (lambda query, keys: torch.full((len(keys),), 1 / len(keys), dtype=keys.dtype), "`query`"),
    "changes keys": (changes_keys, "`keys`"),
    "changes query": (changes_query, "`query`"),
    "float64": (lambda query, keys: right_weights(query, keys).double(), "float64"),
    "float32 inside": (lambda query, keys: right_weights(query.float(), keys.float()).to(keys.dtype), "float32"),
    "NumPy": (lambda query, keys: right_weights(query, keys).detach().numpy(), "NumPy"),
    "list": (lambda query, keys: right_weights(query, keys).tolist(), "Tensor"),
    "batch axis": (lambda query, keys: right_weights(query, keys)[None], "shape"),
    "column": (lambda query, keys: right_weights(query, keys)[:, None], "shape"),
    "last key dropped": (lambda query, keys: right_weights(query, keys[:-1]), "shape"),
    "width 4 in mind": (lambda query, keys: (keys @ query / 2).softmax(-1), None),
    "width 8 in mind": (lambda query, keys: (keys @ query / root(8)).softmax(-1), None),
    "log softmax": (lambda query, keys: right_weights(query, keys).log(), None),
    "sigmoid": (lambda query, keys: (keys @ query / root(query.size(-1))).sigmoid(), None),
    "query ignored": (lambda query, keys: (keys.sum(-1) / root(query.size(-1))).softmax(-1), "`query`"),
    "hard maximum": (lambda query, keys: F.one_hot((keys @ query).argmax(), len(keys)).to(keys.dtype), None),
    "sorted": (lambda query, keys: right_weights(query, keys).sort(descending=True).values, None),
    "sign": (lambda query, keys: (-(keys @ query) / root(query.size(-1))).softmax(-1), None),
    "rounded": (lambda query, keys: (right_weights(query, keys) * 1000).round() / 1000, None),
    "detached": (lambda query, keys: right_weights(query, keys).detach(), "gradient"),
    "numbers taken out": (lambda q, k: torch.tensor(right_weights(q, k).tolist(), dtype=q.dtype), "gradient"),
    "leaves": (leaves, "SystemExit"),
    "meta": (lambda query, keys: right_weights(query, keys).to("meta"), "device"),
    "pair": (lambda query, keys: (right_weights(query, keys), keys), "tuple"),
}


def loop_3_1(query, keys):
    exponentials = [
        math.exp(1) ** (sum(q * k for q, k in zip(query, key, strict=True)) / root(len(query))) for key in keys
    ]
    largest = max((keys @ query / root(len(query))).tolist())
    exponentials = [
        (sum(q * k for q, k in zip(query, key, strict=True)) / root(len(query)) - largest).exp() for key in keys
    ]
    return torch.stack([e / sum(exponentials) for e in exponentials])


def by_exponentials(query, keys):
    scores = torch.einsum("sd,d->s", keys, query) / query.numel() ** 0.5
    exponentials = torch.exp(scores - scores.max())
    return exponentials / exponentials.sum()


class Weigher(nn.Module):
    def forward(self, query, keys):
        return right_weights(query, keys)


RIGHT_3_1 = {
    "einsum": by_exponentials,
    "loop": loop_3_1,
    "float64 inside": lambda query, keys: right_weights(query.double(), keys.double()).to(query.dtype),
    "extra keyword": lambda query, keys, temperature=1.0: right_weights(query / temperature, keys),
    "a module": Weigher(),
    "scaled beforehand": lambda q, k: F.softmax(k @ (q * len(q) ** -0.5), dim=0),
    "as a matrix": lambda query, keys: ((query[None] @ keys.T) / root(len(query))).softmax(-1)[0],
    "prints": lambda query, keys: print("scores", keys @ query) or right_weights(query, keys),
}


# 3.2 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def weigh(query, key):
    return (query @ key.transpose(-2, -1) / root(query.size(-1))).softmax(-1)


def right(query, key, value):
    weights = weigh(query, key)
    return weights @ value, weights


def with_weights(make):
    def answer(query, key, value):
        weights = make(query, key)
        return weights @ value, weights

    return answer


def changes_query_3_2(query, key, value):
    query /= root(query.size(-1))
    weights = (query @ key.transpose(-2, -1)).softmax(-1)
    return weights @ value, weights


def reshaped(query, key, value):
    turned = key.reshape(*key.shape[:-2], key.size(-1), key.size(-2))
    weights = (query @ turned / root(query.size(-1))).softmax(-1)
    return weights @ value, weights


def first_sentence_only(query, key, value):
    output, weights = right(query, key, value)
    if query.dim() > 2:
        output, weights = output[:1].expand_as(output), weights[:1].expand_as(weights)
    return output, weights


def three_axes_only(query, key, value):
    weights = (torch.bmm(query, key.transpose(1, 2)) / root(query.size(-1))).softmax(-1)
    return torch.bmm(weights, value), weights


def value_width(query, key, value):
    weights = (query @ key.transpose(-2, -1) / root(value.size(-1))).softmax(-1)
    return weights @ value, weights


def flat_softmax(query, key):
    scores = query @ key.transpose(-2, -1) / root(query.size(-1))
    return scores.flatten(-2).softmax(-1).view_as(scores)


def remembering():
    seen = []

    def answer(query, key, value):
        twice = any(torch.equal(query, other) for other in seen)
        seen.append(query)
        weights = weigh(query, key) * (2 if twice else 1)
        return weights @ value, weights

    return answer


WRONG_3_2 = {
    "order": (lambda q, k, v: right(q, k, v)[::-1], "wrong order"),
    "changes query": (changes_query_3_2, "`query`"),
    "reshape for transpose": (reshaped, None),
    "width 4 in mind": (with_weights(lambda q, k: (q @ k.transpose(-2, -1) / 2).softmax(-1)), None),
    "float64": (lambda q, k, v: tuple(part.double() for part in right(q, k, v)), "float64"),
    "always float32": (lambda q, k, v: tuple(part.float() for part in right(q, k, v)), "float32"),
    "first sentence only": (first_sentence_only, None),
    "three axes only": (three_axes_only, "Dimension out of range"),
    "axes 1 and 2": (with_weights(lambda q, k: (q @ k.permute(0, 2, 1) / root(q.size(-1))).softmax(-1)), None),
    "swapped axes 1 and 2": (with_weights(lambda q, k: (q @ k.swapaxes(1, 2) / root(k.size(-1))).softmax(-1)), "Count"),
    "width of values": (value_width, "√d_v"),
    "len(query)": (with_weights(lambda q, k: (q @ k.mT * len(q) ** -0.5).softmax(-1)), "len(query)"),
    "cosine": (with_weights(lambda q, k: weigh(F.normalize(q, dim=-1), F.normalize(k, dim=-1))), None),
    "mean of values": (lambda q, k, v: (v.mean(-2, True).expand(*q.shape[:-1], -1), weigh(q, k)), "output"),
    "one softmax for all": (with_weights(flat_softmax), None),
    "softmax over the batch": (with_weights(lambda q, k: (q @ k.mT / root(q.size(-1))).softmax(0)), None),
    "output turned": (lambda q, k, v: (right(q, k, v)[0].mT, weigh(q, k)), "output"),
    "values times weights": (lambda q, k, v: (v @ weigh(q, k), weigh(q, k)), "RuntimeError"),
    "dictionary": (lambda q, k, v: {"output": right(q, k, v)[0], "weights": weigh(q, k)}, "tuple of 2"),
    "three parts": (lambda q, k, v: (*right(q, k, v), q @ k.mT), "tuple of 3"),
    "hard attention": (with_weights(lambda q, k: F.one_hot(weigh(q, k).argmax(-1), k.size(-2)).to(q.dtype)), None),
    "weights detached": (with_weights(lambda q, k: weigh(q, k).detach()), "gradient"),
    "log softmax": (with_weights(lambda q, k: weigh(q, k).log()), None),
    "query attends to itself": (with_weights(lambda q, k: weigh(q, q)), None),
    "key ignored": (
        lambda q, k, v: (
            v.mean(-2, True).expand(*q.shape[:-1], -1),
            torch.full((*q.shape[:-1], k.size(-2)), 1 / k.size(-2), dtype=q.dtype),
        ),
        "`query`",
    ),
    "residual": (lambda q, k, v: (right(q, k, v)[0] + q[..., :1], weigh(q, k)), "output"),
    "twice as much": (lambda q, k, v: (2 * right(q, k, v)[0], weigh(q, k)), "2 times"),
    "remembers": (remembering(), ""),
    "raises": (lambda q, k, v: 1 / 0, "ZeroDivisionError"),
    "weights scaled by rows": (with_weights(lambda q, k: weigh(q, k) / k.size(-2)), None),
}


def einsum_3_2(query, key, value):
    weights = torch.einsum("...td,...sd->...ts", query, key).div(query.shape[-1] ** 0.5).softmax(-1)
    return torch.einsum("...ts,...sv->...tv", weights, value), weights


def loop_3_2(query, key, value):
    if query.dim() > 2:
        pairs = [loop_3_2(q, k, v) for q, k, v in zip(query, key, value, strict=True)]
        return torch.stack([o for o, _ in pairs]), torch.stack([w for _, w in pairs])
    rows = [torch.stack([(q * k).sum() / root(len(q)) for k in key]).softmax(0) for q in query]
    weights = torch.stack(rows)
    return torch.stack([sum(w * v for w, v in zip(row, value, strict=True)) for row in rows]), weights


def by_hand_3_2(query, key, value):
    scores = (query / root(query.size(-1))).matmul(key.swapaxes(-1, -2))
    exponentials = (scores - scores.amax(-1, keepdim=True)).exp()
    weights = exponentials / exponentials.sum(-1, keepdim=True)
    return weights @ value, weights


def flattened(query, key, value):
    shape = query.shape[:-2]
    query, key, value = (part.reshape(-1, *part.shape[-2:]) for part in (query, key, value))
    output, weights = three_axes_only(query, key, value)
    return output.reshape(*shape, *output.shape[-2:]), weights.reshape(*shape, *weights.shape[-2:])


class Attention:
    def __call__(self, q, k, v):
        return list(right(q, k, v))


RIGHT_3_2 = {
    "einsum": einsum_3_2,
    "loop": loop_3_2,
    "softmax by hand": by_hand_3_2,
    "flattened": flattened,
    "mask parameter already": lambda query, key, value, mask=None: right(query, key, value),
    "float64 inside": lambda q, k, v: tuple(p.to(q.dtype) for p in right(q.double(), k.double(), v.double())),
    "an object that is called": Attention(),
    "broadcast": lambda q, k, v: (lambda w: ((w[..., None] * v[..., None, :, :]).sum(-2), w))(
        ((q[..., :, None, :] * k[..., None, :, :]).sum(-1) / root(q.size(-1))).softmax(-1)
    ),
}


WRONG = {"3.1": WRONG_3_1, "3.2": WRONG_3_2}
RIGHT = {"3.1": RIGHT_3_1, "3.2": RIGHT_3_2}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)


def test_the_fused_kernel_is_refused_by_any_name():
    from torch.nn.functional import scaled_dot_product_attention as kernel

    fused = F.scaled_dot_product_attention

    def aliased(query, key, value):
        return kernel(query, key, value), weigh(query, key)

    def fetched(query, key, value):
        return getattr(F, "scaled_dot_product_attention")(query, key, value), weigh(query, key)  # noqa: B009

    def imported_inside(query, key, value):
        import torch.nn.functional as functional

        return functional.scaled_dot_product_attention(query, key, value), weigh(query, key)

    def hidden(query, key, value):
        return torch._C._nn.scaled_dot_product_attention(query, key, value), weigh(query, key)

    def by_helper(query, key, value):
        return helper_with_kernel(query, key, value), weigh(query, key)

    def closed_over(query, key, value):
        return fused(query, key, value), weigh(query, key)

    for answer in (aliased, fetched, imported_inside, hidden, by_helper, closed_over):
        report = examine(exercise("3.2"), answer)
        assert not report.passed, answer.__name__
        assert "does by itself" in report.message


def helper_with_kernel(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(query, key, value)
