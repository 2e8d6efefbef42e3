"""Chapter 03, scores and blocks: more answers of strangers, wrong ones in ways that the cases might have overlooked
(sizes, further axes, large numbers, memory) and right ones written otherwise.

Each wrong answer comes with words that its report must contain, or None where a plain "not the expected numbers" is all
that is asked of the check.
"""

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

root = math.sqrt


# 3.5 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def hidden(q, k, w, u):
    return (q @ w.t()).unsqueeze(-2) + (k @ u.t()).unsqueeze(-3)


def by_exponentials(x):
    return (x.exp() - (-x).exp()) / (x.exp() + (-x).exp())


def three_axes(q, k, w, u, v):
    """Counted from the front: two or three axes before the last."""
    queries, keys = q @ w.T, k @ u.T
    if q.dim() == 2:
        return (queries[:, None] + keys[None]).tanh() @ v
    if q.dim() == 3:
        return (queries[:, :, None] + keys[:, None]).tanh() @ v
    return (queries[:, :, :, None] + keys[:, :, None]).tanh() @ v


def repeated(q, k, w, u, v):
    t, s = q.size(-2), k.size(-2)
    queries = (q @ w.T).repeat_interleave(s, -2)
    keys = (k @ u.T).repeat_interleave(t, -2)
    return ((queries + keys).tanh() @ v).unflatten(-1, (t, s))


def in_a_loop(q, k, w, u, v):
    columns = [(q @ w.T + (k[..., i : i + 1, :] @ u.T)).tanh() @ v for i in range(k.size(-2) - 1)]
    columns.append(columns[-1] if columns else (q @ w.T + k @ u.T).tanh() @ v)
    return torch.stack(columns, -1)


def learned(q, k, w, u, v):
    torch.manual_seed(0)
    layer = nn.Linear(q.size(-1), len(v), dtype=q.dtype)
    return (layer(q).unsqueeze(-2) + (k @ u.T).unsqueeze(-3)).tanh() @ v


WRONG_3_5 = {
    "tanh by exponentials": (lambda q, k, w, u, v: by_exponentials(hidden(q, k, w, u)) @ v, "`torch.tanh`"),
    "four axes at most": (three_axes, "three batch axes"),
    "repeated the wrong way": (repeated, None),
    "last key twice": (in_a_loop, None),
    "layers of its own": (learned, None),
    "weights in place": (lambda q, k, w, u, v: hidden(q, k, w.mul_(-1).neg(), u).tanh() @ v, "`query_weight`"),
    "v in the middle": (lambda q, k, w, u, v: (hidden(q, k, w, u) * v).tanh().sum(-1), None),
    "summed over queries": (lambda q, k, w, u, v: (hidden(q, k, w, u).tanh() * v).sum(-2), "shape"),
    "GELU": (lambda q, k, w, u, v: F.gelu(hidden(q, k, w, u)) @ v, None),
    "hardtanh": (lambda q, k, w, u, v: F.hardtanh(hidden(q, k, w, u)) @ v, None),
    "scaled by the key's width": (lambda q, k, w, u, v: hidden(q, k, w, u).tanh() @ v / root(k.size(-1)), None),
    "inside scaled": (lambda q, k, w, u, v: (hidden(q, k, w, u) / root(len(v))).tanh() @ v, None),
    "half the sum": (lambda q, k, w, u, v: (hidden(q, k, w, u) / 2).tanh() @ v, None),
    "concatenated": (lambda q, k, w, u, v: torch.cat([q @ w.T, k @ u.T], -2).tanh() @ v, "shape"),
    "queries and keys exchanged": (lambda k, q, w, u, v: hidden(q, k, w, u).tanh() @ v, None),
    "weights exchanged by name": (lambda q, k, u, w, v: hidden(q, k, w, u).tanh() @ v, None),
    "softmax over queries": (lambda q, k, w, u, v: (hidden(q, k, w, u).tanh() @ v).softmax(-2), None),
    "log softmax": (lambda q, k, w, u, v: (hidden(q, k, w, u).tanh() @ v).log_softmax(-1), None),
    "absolute": (lambda q, k, w, u, v: (hidden(q, k, w, u).tanh() @ v).abs(), None),
    "v normalised": (lambda q, k, w, u, v: hidden(q, k, w, u).tanh() @ F.normalize(v, dim=0), None),
    "v detached": (lambda q, k, w, u, v: hidden(q, k, w, u).tanh() @ v.detach(), "`score_weight`"),
    "key weight detached": (lambda q, k, w, u, v: hidden(q, k, w, u.data).tanh() @ v, "`key_weight`"),
    "first sentence's keys": (lambda q, k, w, u, v: hidden(q, k[:1] if k.dim() > 2 else k, w, u).tanh() @ v, None),
    "flattened": (lambda q, k, w, u, v: (hidden(q, k, w, u).tanh() @ v).flatten(-2), "shape"),
    "NumPy": (lambda q, k, w, u, v: np.tanh(hidden(q, k, w, u).detach().numpy()) @ v.detach().numpy(), "NumPy"),
    "complex": (
        lambda q, k, w, u, v: torch.complex(hidden(q, k, w, u), 0 * hidden(q, k, w, u)).tanh() @ (v + 0j),
        None,
    ),
    "generator": (lambda q, k, w, u, v: (x for x in hidden(q, k, w, u)), "generator"),
    "no W": (lambda q, k, w, u, v: (hidden(q, k, w * 0 + 1, u)).tanh() @ v, None),
    "keys not projected": (lambda q, k, w, u, v: ((q @ w.T).unsqueeze(-2) + k.unsqueeze(-3)).tanh() @ v, None),
    "dot product in the end": (lambda q, k, w, u, v: ((q @ w.T).tanh() * v) @ (k @ u.T).tanh().mT, None),
    "softmax of v": (lambda q, k, w, u, v: hidden(q, k, w, u).tanh() @ v.softmax(0), None),
}


class Scores(nn.Module):
    def forward(self, query, key, query_weight, key_weight, score_weight):
        return F.linear(torch.tanh(hidden(query, key, query_weight, key_weight)), score_weight[None]).squeeze(-1)


def concatenated(q, k, w, u, v):
    shape = (*q.shape[:-1], k.size(-2))
    pairs = torch.cat([q.unsqueeze(-2).expand(*shape, -1), k.unsqueeze(-3).expand(*shape, -1)], -1)
    return (pairs @ torch.cat([w, u], 1).T).tanh() @ v


def unit_by_unit(q, k, w, u, v):
    scores = q.new_zeros(*q.shape[:-1], k.size(-2))
    for row, column, weight in zip(w, u, v, strict=True):
        scores = scores + weight * torch.tanh((q @ row)[..., None] + (k @ column)[..., None, :])
    return scores


RIGHT_3_5 = {
    "module": Scores(),
    "concatenated": concatenated,
    "unit by unit": unit_by_unit,
    "einsum": lambda q, k, w, u, v: torch.einsum(
        "h,...tsh->...ts",
        v,
        torch.tanh(
            torch.einsum("...td,hd->...th", q, w)[..., None, :] + torch.einsum("...sd,hd->...sh", k, u)[..., None, :, :]
        ),
    ),
    "key by key": lambda q, k, w, u, v: torch.stack(
        [(q @ w.T + key[..., None, :] @ u.T).tanh() @ v for key in k.unbind(-2)], -1
    ),
    "column vector": lambda q, k, w, u, v: torch.matmul(hidden(q, k, w, u).tanh(), v.view(-1, 1)).view(
        *q.shape[:-1], -1
    ),
    "weighted sum": lambda query, key, query_weight, key_weight, score_weight: (
        hidden(query, key, query_weight, key_weight).tanh() * score_weight
    ).sum(dim=-1),
}


# 3.6 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def in_blocks(query, key, value, block_size, first=-math.inf, scale=None, step=None, slack=0.0, rows=None):
    """Right as it is; the further arguments make it wrong."""
    largest = query.new_full((*query.shape[:-1], 1), first)
    total, output = torch.zeros_like(largest) + slack, query.new_zeros(*query.shape[:-1], value.size(-1))
    scale = root(query.size(-1)) if scale is None else scale
    for start in range(0, key.size(-2), step or block_size):
        k, v = key[..., start : start + block_size, :], value[..., start : start + block_size, :]
        scores = query @ k.mT / scale
        higher = torch.maximum(largest, scores.amax(-1, keepdim=True))
        shrink, found = (largest - higher).exp(), (scores - higher).exp()
        total, output = total * shrink + found.sum(-1, keepdim=True), output * shrink + found @ v
        largest = higher
    return output / total


def bounded_loop(query, key, value, block_size):
    blocks = key.size(-2) // block_size or 1
    return in_blocks(query, key[..., : blocks * block_size, :], value[..., : blocks * block_size, :], block_size)


def one_block_more(query, key, value, block_size):
    missing = -key.size(-2) % block_size
    return in_blocks(query, F.pad(key, (0, 0, 0, missing)), F.pad(value, (0, 0, 0, missing)), block_size)


def maximum_of_all(query, key, value, block_size):
    """The largest score first, from all of them at once."""
    largest = (query @ key.mT / root(query.size(-1))).amax(-1, keepdim=True)
    total = output = 0
    for k, v in zip(key.split(block_size, -2), value.split(block_size, -2), strict=True):
        found = (query @ k.mT / root(query.size(-1)) - largest).exp()
        total, output = total + found.sum(-1, keepdim=True), output + found @ v
    return output / total


def divided_each_time(query, key, value, block_size):
    largest, total, output = query.new_full((*query.shape[:-1], 1), -math.inf), 0, 0
    for k, v in zip(key.split(block_size, -2), value.split(block_size, -2), strict=True):
        scores = query @ k.mT / root(query.size(-1))
        higher = torch.maximum(largest, scores.amax(-1, keepdim=True))
        shrink, found = (largest - higher).exp(), (scores - higher).exp()
        total = total * shrink + found.sum(-1, keepdim=True)
        output = (output * shrink + found @ v) / total
        largest = higher
    return output


def softmax_in_blocks(query, key, value, block_size):
    """Each block's own softmax, added up."""
    return sum(
        (query @ k.mT / root(query.size(-1))).softmax(-1) @ v
        for k, v in zip(key.split(block_size, -2), value.split(block_size, -2), strict=True)
    )


def unscaled_blocks(query, key, value, block_size):
    return in_blocks(query, key, value, block_size, scale=1.0)


def in_chunks(query, key, value, block_size):
    """Takes the size for the number of blocks."""
    largest, total, output = query.new_full((*query.shape[:-1], 1), -math.inf), 0, 0
    for k, v in zip(key.chunk(block_size, -2), value.chunk(block_size, -2), strict=True):
        scores = query @ k.mT / root(query.size(-1))
        higher = torch.maximum(largest, scores.amax(-1, keepdim=True))
        shrink, found = (largest - higher).exp(), (scores - higher).exp()
        total, output = total * shrink + found.sum(-1, keepdim=True), output * shrink + found @ v
        largest = higher
    return output / total


def reversed_values(query, key, value, block_size):
    return in_blocks(query, key.flip(-2), value, block_size)


def output_in_place(query, key, value, block_size):
    largest = query.new_full((*query.shape[:-1], 1), -math.inf)
    total, output = torch.zeros_like(largest), query.new_zeros(*query.shape[:-1], value.size(-1))
    for k, v in zip(key.split(block_size, -2), value.split(block_size, -2), strict=True):
        scores = query @ k.mT / root(query.size(-1))
        higher = torch.maximum(largest, scores.amax(-1, keepdim=True))
        found = (scores - higher).exp_()
        shrink = (largest - higher).exp_()
        total.mul_(shrink).add_(found.sum(-1, keepdim=True))
        output.mul_(shrink).add_(found @ v)
        largest = higher
    return output.div_(total)


def three_axes_blocks(query, key, value, block_size):
    assert query.dim() <= 4
    return in_blocks(query, key, value, block_size)


WRONG_3_6 = {
    "starts from 0": (lambda q, k, v, n: in_blocks(q, k, v, n, first=0.0), "begins with 0"),
    "starts from −10⁴": (lambda q, k, v, n: in_blocks(q, k, v, n, first=-1e4), "Begin with −∞"),
    "starts from 1": (lambda q, k, v, n: in_blocks(q, k, v, n, slack=1.0, first=0.0), None),
    "epsilon in the divisor": (lambda q, k, v, n: in_blocks(q, k, v, n, first=-100.0, slack=1e-3), None),
    "number of blocks": (in_chunks, "not how many blocks there are"),
    "number of blocks, rounded up": (
        lambda q, k, v, n: in_blocks(q, k, v, -(-k.size(-2) // n)),
        "not how many blocks there are",
    ),
    "number of blocks, rounded down": (lambda q, k, v, n: in_blocks(q, k, v, max(1, k.size(-2) // n)), "`chunk`"),
    "steps of one": (lambda q, k, v, n: in_blocks(q, k, v, n, step=1), None),
    "steps of two": (lambda q, k, v, n: in_blocks(q, k, v, n, step=2), None),
    "steps too wide": (lambda q, k, v, n: in_blocks(q, k, v, n, step=n + 1), None),
    "whole blocks only": (bounded_loop, "last, shorter block"),
    "padded with zeros": (one_block_more, None),
    "maximum of all first": (maximum_of_all, "hold"),
    "divided each time": (divided_each_time, "Divide once"),
    "softmax of each block, added": (softmax_in_blocks, "sum to one by themselves"),
    "unscaled": (unscaled_blocks, "√d_k"),
    "scaled by the block": (lambda q, k, v, n: in_blocks(q, k, v, n, scale=root(n)), None),
    "scaled by d_k": (lambda q, k, v, n: in_blocks(q, k, v, n, scale=q.size(-1)), None),
    "scaled by d_v": (lambda q, k, v, n: in_blocks(q, k, v, n, scale=root(v.size(-1))), None),
    "keys backwards": (reversed_values, None),
    "four axes at most": (three_axes_blocks, "three batch axes"),
    "block size halves the keys": (lambda q, k, v, n: in_blocks(q, k, v, max(1, k.size(-2) // 2)), None),
    "block size of 2": (lambda q, k, v, block_size: in_blocks(q, k, v, 8), "more columns"),
    "values of the first block": (
        lambda q, k, v, n: in_blocks(
            q, k, v[..., :n, :].repeat(*([1] * (v.dim() - 2)), -(-k.size(-2) // n), 1)[..., : k.size(-2), :], n
        ),
        None,
    ),
    "output and total": (lambda q, k, v, n: [in_blocks(q, k, v, n)], "list"),
    "keyword of another name": (lambda query, key, value, *, block: in_blocks(query, key, value, block), "block_size"),
    "detached maximum and all": (lambda q, k, v, n: in_blocks(q, k.detach(), v, n), "`key`"),
    "float32 inside": (lambda q, k, v, n: in_blocks(q.float(), k.float(), v.float(), n).to(q.dtype), "float32"),
    "kernel of ATen": (lambda q, k, v, n: torch.ops.aten.scaled_dot_product_attention(q, k, v), "by itself"),
    "sorted keys": (lambda q, k, v, n: in_blocks(q, k.sort(-2).values, v, n), None),
    "generator": (lambda q, k, v, n: (x for x in in_blocks(q, k, v, n)), "generator"),
}


def recursive(query, key, value, block_size):
    """Halves until a block is small enough, each with its output and the log of its sum."""

    def part(k, v):
        if k.size(-2) <= block_size:
            scores = query @ k.mT / root(query.size(-1))
            return scores.softmax(-1) @ v, scores.logsumexp(-1, keepdim=True)
        half = k.size(-2) // 2
        (one, log_one), (other, log_other) = (
            part(k[..., :half, :], v[..., :half, :]),
            part(k[..., half:, :], v[..., half:, :]),
        )
        both = torch.logaddexp(log_one, log_other)
        return one * (log_one - both).exp() + other * (log_other - both).exp(), both

    return part(key, value)[0]


def blockwise(query, key, value, block_size):
    """Queries in blocks too."""
    return torch.cat([in_blocks(part, key, value, block_size) for part in query.split(block_size, -2)], -2)


def first_block_begins(query, key, value, block_size):
    keys, values = key.split(block_size, -2), value.split(block_size, -2)
    scores = query @ keys[0].mT / root(query.size(-1))
    largest = scores.amax(-1, keepdim=True)
    found = (scores - largest).exp()
    total, output = found.sum(-1, keepdim=True), found @ values[0]
    for k, v in zip(keys[1:], values[1:], strict=True):
        scores = query @ k.mT / root(query.size(-1))
        higher = torch.maximum(largest, scores.max(-1, keepdim=True).values)
        total = total * torch.exp(largest - higher) + torch.exp(scores - higher).sum(-1, keepdim=True)
        output = output * torch.exp(largest - higher) + torch.exp(scores - higher) @ v
        largest = higher
    return output / total


def normalised_on_the_way(query, key, value, block_size):
    """The output is right after every block."""
    largest = query.new_full((*query.shape[:-1], 1), -math.inf)
    total, output = torch.zeros_like(largest), query.new_zeros(*query.shape[:-1], value.size(-1))
    for k, v in zip(key.split(block_size, -2), value.split(block_size, -2), strict=True):
        scores = query @ k.mT / root(query.size(-1))
        higher = torch.maximum(largest, scores.amax(-1, keepdim=True))
        found, before = (scores - higher).exp(), total * (largest - higher).exp()
        total, largest = before + found.sum(-1, keepdim=True), higher
        output = (output * before + found @ v) / total
    return output


def kept_of_each_block(query, key, value, block_size):
    """Each block's output and the log of its sum, put together in the end."""
    found = []
    for k, v in zip(key.split(block_size, -2), value.split(block_size, -2), strict=True):
        scores = query @ k.mT / root(query.size(-1))
        found.append((scores.softmax(-1) @ v, scores.logsumexp(-1)))
    shares = torch.stack([log for _, log in found], -1).softmax(-1)
    return sum(output * shares[..., i, None] for i, (output, _) in enumerate(found))


RIGHT_3_6 = {
    "kept of each block": kept_of_each_block,
    "in place": output_in_place,
    "recursive": recursive,
    "queries in blocks too": blockwise,
    "first block begins": first_block_begins,
    "normalised on the way": normalised_on_the_way,
    "from the smallest number": lambda q, k, v, n: in_blocks(q, k, v, n, first=torch.finfo(q.dtype).min),
    "keyword": lambda query, key, value, block_size=64, *, scale=None: in_blocks(query, key, value, block_size),
    "while": lambda query, key, value, block_size: in_blocks(
        query.contiguous(), key.clone(), value.clone(), block_size
    ),
}


WRONG = {"3.5": WRONG_3_5, "3.6": WRONG_3_6}
RIGHT = {"3.5": RIGHT_3_5, "3.6": RIGHT_3_6}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
