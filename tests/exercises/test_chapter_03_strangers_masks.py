"""Chapter 03, masks: more answers of strangers, wrong ones in ways that the cases might have overlooked
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


# 3.3 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def triangle(length, device=None):
    return torch.ones(1, 1, length, length, dtype=torch.bool, device=device).tril()


KEPT = torch.ones(64, 64, dtype=torch.bool).tril()


def kept(length, device=None):
    return KEPT[None, None, :length, :length].to(device)


def kept_by_length():
    masks = {}

    def answer(length, device=None):
        if length not in masks:
            masks[length] = triangle(length, device)
        return masks[length]

    return answer


def changing_itself():
    mask = torch.ones(1, 1, 200, 200, dtype=torch.bool).tril()

    def answer(length, device=None):
        mask[..., 0] = ~mask[..., 0]
        return mask[..., :length, :length].clone().to(device)

    return answer


def looped(length, device=None):
    mask = torch.zeros(1, 1, length, length, dtype=torch.bool, device=device)
    for i in range(1, length):
        for j in range(i + 1):
            mask[0, 0, i, j] = True
    return mask


def loop_to(stop):
    def answer(length, device=None):
        mask = torch.zeros(1, 1, length, length, dtype=torch.bool, device=device)
        for i in range(length):
            mask[..., i, : stop(i, length)] = True
        return mask

    return answer


WRONG_3_3 = {
    "up to 64": (kept, "above 100"),
    "first row forgotten": (looped, None),
    "device renamed": (lambda length, where=None: triangle(length, where), "device"),
    "length renamed": (lambda n, *, device=None: triangle(n, device), "device"),
    "kept by length alone": (kept_by_length(), "device"),
    "remembers": (changing_itself(), None),
    "rows off by one": (loop_to(lambda i, n: i), "diagonal"),
    "rows off by one, the other way": (loop_to(lambda i, n: i + 2), "position i + 1"),
    "rows from the end": (loop_to(lambda i, n: n - i), None),
    "axes in the middle": (lambda n, device=None: triangle(n, device)[0, 0][:, None, None, :], "shape"),
    "int": (lambda n, device=None: triangle(n, device).int(), "bool"),
    "length 1 squeezed": (
        lambda n, device=None: triangle(n, device).squeeze() if n == 1 else triangle(n, device),
        "shape",
    ),
    "always five": (lambda n, device=None: triangle(5, device), "shape"),
    "heads": (lambda n, device=None: triangle(n, device).expand(1, 8, n, n), "shape"),
    "PyTorch's own": (
        lambda n, device=None: nn.Transformer.generate_square_subsequent_mask(n, device=device)[None, None],
        "0 where allowed",
    ),
    "PyTorch's own, as bool": (
        lambda n, device=None: nn.Transformer.generate_square_subsequent_mask(n, device=device).bool()[None, None],
        "True where looking is forbidden",
    ),
    "rows and columns exchanged": (lambda n, device=None: triangle(n, device).mT, "lower triangle"),
    "in blocks of two": (
        lambda n, device=None: (
            torch.arange(n, device=device)[None] // 2 <= torch.arange(n, device=device)[:, None] // 2
        )[None, None],
        None,
    ),
    "window of eight": (
        lambda n, device=None: triangle(n, device) & torch.ones(n, n, dtype=torch.bool, device=device).triu(-7),
        None,
    ),
    "first may see all": (
        lambda n, device=None: triangle(n, device) | (torch.arange(n, device=device) == 0)[:, None],
        None,
    ),
    "the CPU by name": (lambda n, device="cpu": triangle(n, "cpu"), "device"),
    "cuda asked": (lambda n, device=None: triangle(n).to(device if device == "cuda" else "cpu"), "device"),
    "NumPy": (lambda n, device=None: np.tril(np.ones((1, 1, n, n), dtype=bool)), "NumPy"),
    "nested list": (lambda n, device=None: [[[[j <= i for j in range(n)] for i in range(n)]]], "Tensor"),
    "sparse": (lambda n, device=None: triangle(n, device).to_sparse(), None),
    "float64 triangle": (lambda n, device=None: torch.tril(torch.ones(1, 1, n, n, device=device).double()), "bool"),
    "NaN": (lambda n, device=None: torch.full((1, 1, n, n), math.nan, device=device), "bool"),
    "tril of the wrong axes": (
        lambda n, device=None: torch.ones(n, n, 1, 1, dtype=torch.bool, device=device).tril().permute(2, 3, 0, 1),
        None,
    ),
    "generator": (lambda n, device=None: (row for row in triangle(n, device)), "generator"),
    "from a query": (lambda x, device=None: triangle(x.size(1), device), "AttributeError"),
}


@functools.lru_cache
def cached(length, device=None):
    return triangle(length, device)


def indices(length, device=None):
    mask = torch.zeros(length, length, dtype=torch.bool, device=device)
    rows, columns = torch.tril_indices(length, length, device=device)
    mask[rows, columns] = True
    return mask.view(1, 1, length, length)


RIGHT_3_3 = {
    "cached": cached,
    "by indices": indices,
    "rows": lambda length, device=None: torch.stack(
        [torch.arange(length, device=device) <= i for i in range(length)]
    ).reshape(1, 1, length, length),
    "numbers to add, compared": lambda length, device=None: (
        torch.full((1, 1, length, length), -math.inf, device=device).triu(1) == 0
    ),
    "to the device": lambda length, device=None: (
        triangle(length)
        if device is None
        else torch.empty_like(triangle(length), device=device).copy_(triangle(length))
    ),
    "le of grids": lambda length, device=None: (lambda a: a.view(1, 1, 1, -1).le(a.view(1, 1, -1, 1)))(
        torch.arange(length, device=device)
    ),
    "NumPy inside": lambda length, device=None: torch.from_numpy(np.tri(length, dtype=bool))[None, None].to(
        device or "cpu"
    ),
    "by its own name": lambda length, device=None, *, heads=1: triangle(length, device=device),
    "not the upper one": lambda length, device=None: torch.triu(
        torch.ones(length, length, device=device), diagonal=1
    ).logical_not()[None, None],
}


# 3.4 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def masked(query, key, value, mask=None):
    scores = query @ key.transpose(-2, -1) / root(query.size(-1))
    if mask is None:
        return scores.softmax(-1) @ value, scores.softmax(-1)
    nothing = ~mask.any(-1, keepdim=True)
    found = scores.masked_fill(~mask, -math.inf).masked_fill(nothing, 0).softmax(-1).masked_fill(nothing, 0)
    return found @ value, found


def masking(weigh):
    """Right without a mask; `weigh` gets the scaled scores and the mask."""

    def answer(query, key, value, mask=None):
        scores = query @ key.transpose(-2, -1) / root(query.size(-1))
        found = scores.softmax(-1) if mask is None else weigh(scores, mask)
        return found @ value, found

    return answer


def zeroed(found, mask):
    return found.masked_fill(~mask.any(-1, keepdim=True), 0)


def in_place_fill(query, key, value, mask=None):
    scores = query @ key.mT / root(query.size(-1))
    if mask is not None:
        hidden = mask.logical_not_()
        scores = scores.masked_fill(hidden, -math.inf)
    return zeroed_pair(scores, value, None if mask is None else ~mask)


def zeroed_pair(scores, value, mask):
    found = scores.softmax(-1).nan_to_num(0)
    return found @ value, found


def mask_applied_to_queries(query, key, value, mask=None):
    if mask is None:
        return masked(query, key, value)
    return masked(query * mask.any(-1, keepdim=True), key, value)


def mask_of_four_axes(query, key, value, mask=None):
    if mask is not None and mask.dim() == 4:
        return masked(query, key, value, mask)
    return masked(query, key, value, None if mask is None else mask[None, None][0, 0])


def mask_unsqueezed(query, key, value, mask=None):
    return masked(query, key, value, None if mask is None else mask.unsqueeze(1))


def hides_scores_equal_zero(scores, mask):
    scores = scores * mask
    return zeroed(
        scores.masked_fill(scores == 0, -math.inf).masked_fill(~mask.any(-1, keepdim=True), 0).softmax(-1), mask
    )


def output_nan_only(query, key, value, mask=None):
    scores = query @ key.mT / root(query.size(-1))
    found = (scores if mask is None else scores.masked_fill(~mask, -math.inf)).softmax(-1)
    return (found @ value).nan_to_num(0), found


def whole_batch_empty(query, key, value, mask=None):
    if mask is not None and not mask.any():
        return value.new_zeros(*query.shape[:-1], value.size(-1)), query.new_zeros(*query.shape[:-1], key.size(-2))
    scores = query @ key.mT / root(query.size(-1))
    found = (scores if mask is None else scores.masked_fill(~mask, -1e9)).softmax(-1)
    return found @ value, found


def zero_scale(query, key, value, mask=None):
    scores = query @ key.mT
    scores = scores if mask is None else scores.masked_fill(~mask, -1e9)
    found = (scores / root(query.size(-1))).softmax(-1) / 1
    return found @ value, found


def four_axes_masked(query, key, value, mask=None):
    axes = {2: (0, 1), 3: (1, 2), 4: (2, 3)}[query.dim()]
    scores = query @ key.transpose(*axes) / root(query.size(-1))
    found = scores.softmax(-1) if mask is None else zeroed(scores.masked_fill(~mask, -1e9).softmax(-1), mask)
    return found @ value, found


def masked_only_square(query, key, value, mask=None):
    return masked(query, key, value, mask if mask is not None and query.size(-2) == key.size(-2) else None)


def expects_all_keys(query, key, value, mask=None):
    if mask is not None and mask.size(-1) != key.size(-2):
        mask = None
    return masked(query, key, value, mask)


WRONG_3_4 = {
    "four axes at most": (four_axes_masked, "three batch axes"),
    "mask changed in place": (in_place_fill, None),
    "mask applied to queries": (mask_applied_to_queries, None),
    "mask for heads unsqueezed": (mask_unsqueezed, None),
    "scores of zero hidden": (masking(hides_scores_equal_zero), "right angles"),
    "output cleared, weights NaN": (output_nan_only, "NaN"),
    "average where all is masked": (whole_batch_empty, "Right, but for a query that may attend to nothing"),
    "scaled after filling": (zero_scale, "Right, but for a query that may attend to nothing"),
    "square only": (masked_only_square, None),
    "mask renamed": (lambda query, key, value, seen=None: masked(query, key, value, seen), "mask=None"),
    "mask without default": (lambda query, key, value, mask: masked(query, key, value, mask), "mask=None"),
    "mask before value": (lambda query, key, mask, value=None: masked(query, key, value, mask), None),
    "fills with zero": (masking(lambda s, m: zeroed(s.masked_fill(~m, 0).softmax(-1), m)), "exp(0)"),
    "fills with −1": (masking(lambda s, m: zeroed(s.masked_fill(~m, -1).softmax(-1), m)), None),
    "fills with −100": (masking(lambda s, m: zeroed(s.masked_fill(~m, -100).softmax(-1), m)), "finite number"),
    "fills with the smallest positive": (
        masking(lambda s, m: zeroed(s.masked_fill(~m, torch.finfo(s.dtype).tiny).softmax(-1), m)),
        None,
    ),
    "fills with +∞": (masking(lambda s, m: s.masked_fill(~m, math.inf).softmax(-1)), "NaN"),
    "adds −1": (masking(lambda s, m: zeroed((s - (~m).to(s.dtype)).softmax(-1), m)), None),
    "adds log of the mask times ten": (
        masking(lambda s, m: zeroed((s + 10 * (m.to(s.dtype) - 1)).softmax(-1), m)),
        None,
    ),
    "masked after, cleared": (masking(lambda s, m: s.softmax(-1) * m), "after the softmax"),
    "masked before and after": (masking(lambda s, m: s.masked_fill(~m, 0).softmax(-1) * m), None),
    "exponentials times mask": (
        masking(lambda s, m: (lambda e: e / (e.sum(-1, keepdim=True) + 1e-9))(s.exp() * m)),
        "exp(scores) · mask",
    ),
    "sum of all exponentials": (
        masking(lambda s, m: zeroed((s.exp() * m) / s.exp().sum(-1, keepdim=True), m)),
        "after the softmax",
    ),
    "renormalised with an epsilon": (
        masking(lambda s, m: F.normalize(s.softmax(-1) * m, p=1, dim=-1)),
        "divide by the sum",
    ),
    "values masked too": (
        masking(lambda s, m: zeroed(s.masked_fill(~m, -1e9).softmax(-1), m) * m.to(s.dtype).mean()),
        None,
    ),
    "empty rows see the last key": (
        masking(
            lambda s, m: s.masked_fill(
                ~(m | (~m.any(-1, keepdim=True) & (torch.arange(m.size(-1)) == m.size(-1) - 1))), -1e9
            ).softmax(-1)
        ),
        None,
    ),
    "columns zeroed where hidden from all": (
        masking(lambda s, m: s.masked_fill(~m, -1e9).softmax(-1).masked_fill(~m.any(-2, keepdim=True), 0)),
        None,
    ),
    "softmax over queries": (masking(lambda s, m: zeroed(s.masked_fill(~m, -1e9).softmax(-2), m)), None),
    "no weights where masked anywhere": (masking(lambda s, m: s.softmax(-1) * m.all(-1, keepdim=True)), None),
    "mask as int index": (masking(lambda s, m: s[..., m.int()].softmax(-1)), None),
    "minus mask": (masking(lambda s, m: s.masked_fill(-m, -1e9).softmax(-1)), "RuntimeError"),
    "not mask": (masking(lambda s, m: s.masked_fill(not m, -1e9).softmax(-1)), "RuntimeError"),
    "mask is False": (masking(lambda s, m: s.masked_fill(m is False, -1e9).softmax(-1)), None),
    "where, the wrong way round": (
        masking(lambda s, m: torch.where(m, torch.tensor(-1e9, dtype=s.dtype), s).softmax(-1)),
        "True",
    ),
    "kernel of ATen": (
        lambda q, k, v, mask=None: (
            torch.ops.aten.scaled_dot_product_attention(q, k, v, mask),
            masked(q, k, v, mask)[1],
        ),
        "by itself",
    ),
    "keys' mask only in full": (expects_all_keys, None),
}


def empty_rows_by_where(query, key, value, mask=None):
    scores = torch.matmul(query, key.transpose(-1, -2)).div(root(key.size(-1)))
    if mask is None:
        mask = torch.ones((), dtype=torch.bool).expand(scores.shape)
    mask = mask.broadcast_to(scores.shape)
    scores = torch.where(mask, scores, torch.finfo(scores.dtype).min)
    found = torch.where(mask, scores.softmax(-1), scores.new_zeros(()))
    return found @ value, found


def logs_added(query, key, value, mask=None):
    scores = query @ key.mT / root(query.size(-1))
    if mask is not None:
        bias = torch.zeros(mask.shape, dtype=query.dtype).masked_fill_(mask.logical_not(), torch.finfo(query.dtype).min)
        scores = scores + bias
    found = scores.softmax(-1)
    found = found if mask is None else found * mask
    return found @ value, found


def one_key_more(query, key, value, mask=None):
    """A key of score −10³⁰ that takes what an empty row has to give."""
    scores = query @ key.mT / root(query.size(-1))
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    scores = torch.cat([scores, torch.full_like(scores[..., :1], -1e30)], -1)
    found = scores.softmax(-1)[..., :-1]
    return found @ value, found


def masked_softmax(scores, mask):
    largest = scores.masked_fill(~mask, -math.inf).amax(-1, keepdim=True).nan_to_num(neginf=0.0).detach()
    exponentials = (scores - largest).masked_fill(~mask, -math.inf).exp()
    total = exponentials.sum(-1, keepdim=True)
    return exponentials / total.masked_fill(total == 0, 1.0)


class Masked:
    eps = 0.0

    @classmethod
    def attend(cls, query, key, value, mask=None, *, need_weights=True):
        return masked(query, key, value, mask)


RIGHT_3_4 = {
    "where, with the smallest number": empty_rows_by_where,
    "added, then multiplied": logs_added,
    "one key more": one_key_more,
    "softmax by hand": masking(masked_softmax),
    "class method": Masked.attend,
    "list": lambda query, key, value, mask=None, **_: list(masked(query, key, value, mask)),
    "mask made full first": lambda q, k, v, mask=None: masked(
        q,
        k,
        v,
        (
            torch.ones(q.size(-2), k.size(-2), dtype=torch.bool)
            if mask is None
            else mask.logical_and(torch.ones(q.size(-2), k.size(-2)).bool())
        ),
    ),
    "einsum": lambda q, k, v, mask=None: (lambda w: (torch.einsum("...ts,...sv->...tv", w, v), w))(
        masked(q, k, torch.eye(k.size(-2), dtype=k.dtype).expand(*k.shape[:-1], k.size(-2)), mask)[1]
    ),
}


WRONG = {"3.3": WRONG_3_3, "3.4": WRONG_3_4}
RIGHT = {"3.3": RIGHT_3_3, "3.4": RIGHT_3_4}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
