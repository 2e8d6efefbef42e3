"""Chapter 10, heads pruned, as strangers answer: slips of learners, of language models and of those
who would rather not write it, and right answers in unusual clothes. Words that a report must hold stand beside each.
"""

import functools

import numpy
import torch
from torch import nn
from torch.nn import functional as F

from utils.exercises.chapter_10.references import pruned

# 10.4 ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def without(weight, heads, silenced):
    new, width = weight.clone(), weight.size(1) // heads
    for head in silenced:
        new[:, head * width : (head + 1) * width] = 0.0
    return new


def as_parameter(weight, heads, silenced):
    """A new parameter: a leaf, to which nothing leads."""
    return nn.Parameter(without(weight, heads, silenced))


def list_sorted(weight, heads, silenced):
    silenced.sort()
    return without(weight, heads, silenced)


def from_first_to_last(weight, heads, silenced):
    return without(weight, heads, range(min(silenced), max(silenced) + 1) if silenced else [])


def list_grown(weight, heads, silenced):
    silenced += [head + heads for head in silenced]
    return without(weight, heads, [head for head in silenced if head < heads])


def view_written(weight, heads, silenced):
    """A view is no copy."""
    parts = weight.detach().view(len(weight), heads, -1)
    parts[:, silenced] = 0.0
    return parts.flatten(1)


def wide_as_sixteen(weight, heads, silenced):
    new = weight.clone()
    for head in silenced:
        new[:, head * 16 : (head + 1) * 16] = 0.0
    return new


def heads_last(weight, heads, silenced):
    parts = weight.unflatten(1, (-1, heads)).clone()
    parts[:, :, silenced] = 0.0
    return parts.flatten(1)


def through_rows(weight, heads, silenced):
    parts = weight.reshape(heads, -1, weight.size(0)).clone()
    parts[silenced] = 0.0
    return parts.reshape(weight.shape)


def under_no_grad(weight, heads, silenced):
    with torch.no_grad():
        return without(weight, heads, silenced)


def first_only(weight, heads, silenced):
    new, width = weight.clone(), weight.size(1) // heads
    for head in silenced:
        new[:, head * width : (head + 1) * width] = 0.0
        return new
    return new


gone = set()


def never_again(weight, heads, silenced):
    """Heads once silenced stay silent in later calls."""
    gone.update(silenced)
    return without(weight, heads, [head for head in gone if head < heads])


WRONG_10_4 = {
    "a new parameter": (as_parameter, "gradient"),
    "list sorted": (list_sorted, "`silenced"),
    "from the first to the last": (from_first_to_last, None),
    "list grown": (list_grown, "`silenced"),
    "a view written": (view_written, "`weight`"),
    "heads of sixteen": (wide_as_sixteen, None),
    "heads last": (heads_last, "every heads-th"),
    "through rows": (through_rows, None),
    "no_grad": (under_no_grad, "gradient"),
    "return in the loop": (first_only, "alone"),
    "never again": (never_again, None),
    "one silenced as a number": (lambda w, h, s: without(w, h, [s]) if s else w.clone(), None),
    "infinity": (lambda w, h, s: w.masked_fill(without(w, h, s) == 0, -torch.inf), "infinite"),
    "nearly zero": (lambda w, h, s: without(w, h, s) + 0.01 * (w - without(w, h, s)), None),
    "what is silenced": (lambda w, h, s: w - without(w, h, s), "the other way round"),
    "sign turned": (lambda w, h, s: 2 * without(w, h, s) - w, None),
    "drawn anew": (lambda w, h, s: without(w, h, s) + torch.randn_like(w) * (without(w, h, s) == 0), None),
    "dropout": (lambda w, h, s: F.dropout(w, len(s) / h) if len(s) < h else 0 * w, None),
    "rows and columns": (
        lambda w, h, s: without(without(w, h, s).T, h, s).T if len(w) % h == 0 else without(w, h, s), None,
    ),
    "heads and list exchanged": (lambda w, h, s: without(w, len(s) or 1, [h - 1]), None),
    "whole numbers": (lambda w, h, s: without(w, h, s).long(), "dtype"),
    "three axes": (lambda w, h, s: without(w, h, s).view(len(w), h, -1), "shape"),
    "nested lists": (lambda w, h, s: without(w, h, s).tolist(), "Tensor"),
}  # fmt: skip


class Pruning:
    """An object that multiplies by a mask of columns."""

    @staticmethod
    def keep(heads, silenced):
        """1 for a head that is heard."""
        keep = numpy.ones(heads)
        keep[silenced] = 0
        return keep

    def __call__(self, weight, heads, silenced):
        keep = torch.as_tensor(self.keep(heads, silenced)).to(weight)
        return (weight.unflatten(-1, (heads, -1)) * keep[:, None]).reshape(weight.shape)


def masked_by_index(weight, heads, silenced, value=0):
    number = torch.arange(weight.shape[-1]).div(weight.shape[-1] // heads, rounding_mode="floor")
    mask = sum((number == head for head in silenced), torch.zeros_like(number, dtype=torch.bool))
    return torch.where(mask, weight.new_tensor(value), weight)


def by_einsum(weight, heads, silenced):
    keep = torch.tensor([head not in set(silenced) for head in range(heads)]).to(weight)
    return torch.einsum("mhv,h->mhv", weight.reshape(weight.size(0), heads, -1), keep).flatten(1)


RIGHT_10_4 = {
    "an object": Pruning(),
    "columns by number": masked_by_index,
    "einsum": by_einsum,
    "one head after the other": lambda w, h, s: functools.reduce(lambda now, head: without(now, h, [head]), s, w),
    "weight itself where nothing goes": lambda w, h, s: without(w, h, s) if s else w,
    "partial": functools.partial(pruned),
    "split and stack": lambda w, h, s: torch.stack(
        [part * (i not in s) for i, part in enumerate(w.split(w.size(1) // h, 1))], 1
    ).flatten(1),
    "minus what goes": lambda w, h, s: w - pruned(w, h, [i for i in range(h) if i not in s]),
}  # fmt: skip


WRONG = {"10.4": WRONG_10_4}
RIGHT = {"10.4": RIGHT_10_4}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
