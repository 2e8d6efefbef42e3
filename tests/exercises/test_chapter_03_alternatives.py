"""Chapter 03, additive scores and blocks, from outside: plausible wrong answers that no misconception was written for,
and unusual right ones.

Each wrong answer comes with words that its explanation must contain, or None where a plain "not the expected numbers"
is all that is asked of the check.
"""

import math

import torch
from torch.nn import functional as F

root = math.sqrt


def weigh(query, key):
    return (query @ key.transpose(-2, -1) / root(query.size(-1))).softmax(-1)


# 3.5 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def pairs(q, k, w, u):
    return (q @ w.t()).unsqueeze(-2) + (k @ u.t()).unsqueeze(-3)


WRONG_3_5 = {
    "last axis left": (lambda q, k, w, u, v: pairs(q, k, w, u).tanh() @ v[:, None], "shape"),
    "summed without v": (lambda q, k, w, u, v: pairs(q, k, w, u).tanh().sum(-1), "`score_weight`"),
    "mean": (lambda q, k, w, u, v: (pairs(q, k, w, u).tanh() * v).mean(-1), None),
    "sigmoid": (lambda q, k, w, u, v: pairs(q, k, w, u).sigmoid() @ v, None),
    "tanh twice": (lambda q, k, w, u, v: (pairs(q, k, w, u).tanh() @ v).tanh(), None),
    "minus": (lambda q, k, w, u, v: (pairs(q, -k, w, u)).tanh() @ v, None),
    "wrong sign": (lambda q, k, w, u, v: -(pairs(q, k, w, u).tanh() @ v), "sign"),
    "bias of one": (lambda q, k, w, u, v: (pairs(q, k, w, u) + 1).tanh() @ v, None),
    "query ignored": (lambda q, k, w, u, v: pairs(torch.zeros_like(q), k, w, u).tanh() @ v, "`query`"),
    "key ignored": (lambda q, k, w, u, v: pairs(q, torch.zeros_like(k), w, u).tanh() @ v, "`key`"),
    "matrices exchanged": (lambda q, k, w, u, v: pairs(q, k, u, w).tanh() @ v, "RuntimeError"),
    "float64": (lambda q, k, w, u, v: (pairs(q, k, w, u).tanh() @ v).double(), "float64"),
    "changes v": (lambda q, k, w, u, v: pairs(q, k, w, u).tanh() @ v.mul_(1.0).add_(1e-3).sub_(0), "`score_weight`"),
    "detached": (lambda q, k, w, u, v: pairs(q, k, w, u).detach().tanh() @ v, "gradient"),
    "pair": (lambda q, k, w, u, v: (pairs(q, k, w, u).tanh() @ v, v), "tuple"),
    "no batch in mind": (lambda q, k, w, u, v: ((q @ w.t())[:, None] + (k @ u.t())[None]).tanh() @ v, None),
    "none": (lambda q, k, w, u, v: print(pairs(q, k, w, u)), "return"),
    "dot product": (lambda q, k, w, u, v: (q @ w.t()) @ (k @ u.t()).mT, "`score_weight`"),
}


def looped(query, key, query_weight, key_weight, score_weight):
    if query.dim() > 2:
        weights = query_weight, key_weight, score_weight
        return torch.stack([looped(q, k, *weights) for q, k in zip(query, key, strict=True)])
    rows = [[((query_weight @ q + key_weight @ k).tanh() * score_weight).sum() for k in key] for q in query]
    return torch.stack([torch.stack(row) for row in rows])


RIGHT_3_5 = {
    "loop": looped,
    "linear": lambda q, k, w, u, v: F.linear(
        (F.linear(q, w)[..., :, None, :] + F.linear(k, u)[..., None, :, :]).tanh(), v[None]
    )[..., 0],
    "einsum": lambda q, k, w, u, v: torch.einsum("...h,h->...", pairs(q, k, w, u).tanh(), v),
    "by the exponential": lambda q, k, w, u, v: (2 * torch.sigmoid(2 * pairs(q, k, w, u)) - 1) @ v,
    "float64 inside": lambda q, k, w, u, v: (pairs(*(p.double() for p in (q, k, w, u))).tanh() @ v.double()).to(
        q.dtype
    ),
    "extra keyword": lambda q, k, w, u, v, bias=0.0: (pairs(q, k, w, u) + bias).tanh() @ v,
}


# 3.6 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def plain(query, key, value):
    return weigh(query, key) @ value


def online(query, key, value, starts, size):
    largest = query.new_full((*query.shape[:-1], 1), -math.inf)
    total, output = torch.zeros_like(largest), query.new_zeros(*query.shape[:-1], value.size(-1))
    for start in starts:
        k, v = key[..., start : start + size, :], value[..., start : start + size, :]
        scores = query @ k.mT / root(query.size(-1))
        higher = torch.maximum(largest, scores.amax(-1, keepdim=True))
        shrink, weights = (largest - higher).exp(), (scores - higher).exp()
        total, output = total * shrink + weights.sum(-1, keepdim=True), output * shrink + weights @ v
        largest = higher
    return output / total


def in_all(query, key, value, size):
    return online(query, key, value, range(0, key.size(-2), size), size)


def latest_maximum(query, key, value, block_size):
    total = output = 0
    for k, v in zip(key.split(block_size, -2), value.split(block_size, -2), strict=True):
        scores = query @ k.mT / root(query.size(-1))
        weights = (scores - scores.amax(-1, keepdim=True)).exp()
        total, output = total + weights.sum(-1, keepdim=True), output + weights @ v
    return output / total


def own_maximum(query, key, value, block_size):
    largest, total, output = query.new_full((*query.shape[:-1], 1), -math.inf), 0.0, 0.0
    for k, v in zip(key.split(block_size, -2), value.split(block_size, -2), strict=True):
        scores = query @ k.mT / root(query.size(-1))
        before, largest = largest, scores.amax(-1, keepdim=True)
        total = total * (before - largest).exp() + (scores - largest).exp().sum(-1, keepdim=True)
        output = output * (before - largest).exp() + (scores - largest).exp() @ v
    return output / total


def by_queries(query, key, value, block_size):
    output = query.new_empty(*query.shape[:-1], value.size(-1))
    for start in range(0, query.size(-2), block_size):
        part = slice(start, start + block_size)
        output[..., part, :] = weigh(query[..., part, :], key) @ value
    return output


def one_query_at_a_time(query, key, value, block_size):
    return torch.cat([plain(one, key, value) for one in query.split(1, dim=-2)], dim=-2)


def scores_collected(query, key, value, block_size):
    parts = [query @ k.mT / root(query.size(-1)) for k in key.split(block_size, -2)]
    return torch.cat(parts, dim=-1).softmax(-1) @ value


def row_in_blocks(query, key, value, block_size):
    """One query at a time, its row of scores as a matrix of blocks: as many numbers, by other axes."""
    size = block_size if key.size(-2) % block_size == 0 else 1
    keys, values = key.unflatten(-2, (-1, size)), value.unflatten(-2, (-1, size))
    rows = []
    for one in query.split(1, dim=-2):
        scores = (keys @ one.unsqueeze(-3).mT).squeeze(-1) / root(query.size(-1))  # (…, blocks, size)
        weights = scores.flatten(-2).softmax(-1).unflatten(-1, scores.shape[-2:])
        rows.append((weights[..., None] * values).sum((-3, -2)))
    return torch.stack(rows, dim=-2)


WRONG_3_6 = {
    "own maximum, carried on": (own_maximum, "running maximum"),
    "blocks of queries": (by_queries, "blocks of keys"),
    "queries in two halves": (
        lambda q, k, v, n: torch.cat([plain(part, k, v) for part in q.tensor_split(2, dim=-2)], -2),
        "blocks of keys",
    ),
    "one query at a time": (one_query_at_a_time, "blocks of keys"),
    "one query at a time, its row folded": (row_in_blocks, "blocks of keys"),
    "scores collected": (scores_collected, "hold"),
    "two blocks at a time": (lambda q, k, v, n: in_all(q, k, v, 2 * n), "more columns"),
    "blocks of 32 whatever is asked": (lambda q, k, v, n: in_all(q, k, v, 32), "more columns"),
    "all at once, by einsum": (
        lambda q, k, v, n: torch.einsum(
            "...ts,...sd->...td", torch.einsum("...td,...sd->...ts", q / root(q.size(-1)), k).softmax(-1), v
        ),
        "hold",
    ),
    "first block only": (lambda q, k, v, n: plain(q, k[..., :n, :], v[..., :n, :]), None),
    "last block only": (lambda q, k, v, n: plain(q, k[..., -n:, :], v[..., -n:, :]), None),
    "blocks one short": (lambda q, k, v, n: online(q, k, v, range(0, k.size(-2), n), max(1, n - 1)), None),
    "blocks overlap": (lambda q, k, v, n: online(q, k, v, range(0, k.size(-2), n), n + 1), None),
    "begins at one": (lambda q, k, v, n: online(q, k, v, range(min(1, k.size(-2) - 1), k.size(-2), n), n), None),
    "each block's own maximum": (latest_maximum, "own maximum"),
    "with weights": (lambda q, k, v, n: (in_all(q, k, v, n), None), "tuple"),
    "float64": (lambda q, k, v, n: in_all(q, k, v, n).double(), "float64"),
    "changes value": (lambda q, k, v, n: in_all(q, k, v.mul_(2), n) / 2, "`value`"),
    "changes query": (lambda q, k, v, n: in_all(q.div_(2), k, v, n), "`query`"),
    "unscaled, all at once": (lambda q, k, v, n: (q @ k.mT).softmax(-1) @ v, "√d_k"),
    "mean of values": (lambda q, k, v, n: v.mean(-2, True).expand(*q.shape[:-1], -1), "`query`"),
    "detached": (lambda q, k, v, n: in_all(q, k, v, n).detach(), "gradient"),
    "no block size": (lambda q, k, v: plain(q, k, v), "block_size"),
    "twice": (lambda q, k, v, n: 2 * in_all(q, k, v, n), "2 times"),
    "none": (lambda q, k, v, n: None, "return"),
    "fused kernel": (lambda q, k, v, n: F.scaled_dot_product_attention(q, k, v), "by itself"),
}


def two_passes(query, key, value, block_size):
    query = query / root(query.size(-1))
    blocks = [slice(start, start + block_size) for start in range(0, key.size(-2), block_size)]
    largest = torch.stack([(query @ key[..., block, :].mT).amax(-1) for block in blocks]).amax(0)[..., None]
    exponentials = [((query @ key[..., block, :].mT) - largest).exp() for block in blocks]
    total = sum(part.sum(-1, keepdim=True) for part in exponentials)
    return sum(part @ value[..., block, :] for part, block in zip(exponentials, blocks, strict=True)) / total


def two_passes_again(query, key, value, block_size):
    """Two passes that compute each block's scores twice and keep none."""
    query, largest = query * query.size(-1) ** -0.5, None
    for k in key.split(block_size, -2):
        top = (query @ k.mT).amax(-1, keepdim=True)
        largest = top if largest is None else torch.maximum(largest, top)
    total = output = 0.0
    for k, v in zip(key.split(block_size, -2), value.split(block_size, -2), strict=True):
        weights = (query @ k.mT - largest).exp()
        total, output = total + weights.sum(-1, keepdim=True), output + weights @ v
    return output / total


def merged_at_the_end(query, key, value, block_size):
    """Every block's own answer and log-sum, stacked and weighed at the end, as split-key kernels do."""
    outputs, logs = [], []
    for k, v in zip(key.split(block_size, -2), value.split(block_size, -2), strict=True):
        scores = query @ k.mT / root(query.size(-1))
        outputs.append(scores.softmax(-1) @ v)
        logs.append(scores.logsumexp(-1, keepdim=True))
    shares = torch.stack(logs).softmax(0)  # (blocks, …, target_len, 1)
    return (torch.stack(outputs) * shares).sum(0)


def query_by_query(query, key, value, block_size):
    return torch.cat([in_all(one, key, value, block_size) for one in query.split(1, dim=-2)], dim=-2)


def by_positions(query, key, value, block_size):
    """Blocks taken with an index, keys turned beforehand, products by broadcasting."""
    turned, positions = key.mT / root(query.size(-1)), torch.arange(key.size(-2))
    largest, total, output = -math.inf, 0.0, 0.0
    for chosen in positions.split(block_size):
        scores = (query[..., None] * turned[..., None, :, chosen]).sum(-2)
        higher = scores.amax(-1, keepdim=True).clamp(min=largest)
        shrink = (largest - higher).exp()
        weights = (scores - higher).exp()
        total = total * shrink + weights.sum(-1, keepdim=True)
        output = output * shrink + (weights[..., None] * value[..., None, chosen, :]).sum(-2)
        largest = higher
    return output / total


def by_log_sums(query, key, value, block_size):
    output, log_total = None, None
    for k, v in zip(key.split(block_size, -2), value.split(block_size, -2), strict=True):
        scores = query @ k.mT / root(query.size(-1))
        part, log_part = scores.softmax(-1) @ v, scores.logsumexp(-1, keepdim=True)
        if output is None:
            output, log_total = part, log_part
        else:
            both = torch.logaddexp(log_total, log_part)
            output = output * (log_total - both).exp() + part * (log_part - both).exp()
            log_total = both
    return output


RIGHT_3_6 = {
    "two passes": two_passes,
    "two passes, scores twice": two_passes_again,
    "merged at the end": merged_at_the_end,
    "query by query, in blocks of keys": query_by_query,
    "by positions": by_positions,
    "half a block at a time": lambda q, k, v, n: in_all(q, k, v, max(1, n // 2)),
    "log sums": by_log_sums,
    "one key at a time": lambda q, k, v, n: online(q, k, v, range(k.size(-2)), 1),
    "backwards": lambda q, k, v, n: in_all(q, k.flip(-2), v.flip(-2), n),
    "float64 inside": lambda q, k, v, n: in_all(q.double(), k.double(), v.double(), n).to(q.dtype),
    "extra keyword": lambda q, k, v, n=16, scale=None: in_all(q, k, v, n),
}


WRONG = {"3.5": WRONG_3_5, "3.6": WRONG_3_6}
RIGHT = {"3.5": RIGHT_3_5, "3.6": RIGHT_3_6}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
