"""Chapter 10, maps measured, as strangers answer: slips of learners, of language models and of those who would
rather not write it, and right answers in unusual clothes. Words that a report must hold stand beside each.
"""

import functools

import numpy
import torch
from torch.nn import functional as F

from utils.exercises.chapter_10.references import alignment_error_rate, found

# 10.2 ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def linked(weights, possible):
    return F.one_hot(weights.argmax(-1), weights.size(-1)).bool() & possible.any(-1, keepdim=True)


def rated(links, sure, possible):
    made = (links.sum() + sure.sum()).item()
    return 1 - ((links & sure).sum() + (links & possible).sum()).item() / made if made else 0.0


def rate(weights, sure, possible):
    return rated(linked(weights, possible), sure, possible)


def weights_filled(weights, sure, possible):
    weights.masked_fill_(~possible.any(-1, keepdim=True), 0.0)
    return rate(weights, sure, possible)


def three_axes_only(weights, sure, possible):
    batch, rows, columns = weights.shape
    return rate(weights, sure, possible)


def flat_maximum(weights, sure, possible):
    """The largest weight of the whole map."""
    links = F.one_hot(weights.flatten().argmax(), weights.numel()).bool().view_as(possible)
    return rated(links, sure, possible)


def mean_of_rows(weights, sure, possible):
    links = linked(weights, possible)
    asked = possible.any(-1)
    if not asked.any():
        return 0.0
    right = ((links & sure).sum(-1) + (links & possible).sum(-1)) / (links.sum(-1) + sure.sum(-1)).clamp(min=1)
    return 1 - right[asked].mean().item()


def mean_of_maps(weights, sure, possible):
    parts = [part.flatten(0, -3) if part.dim() > 2 else part[None] for part in (weights, sure, possible)]
    rates = [rate(*maps) for maps in zip(*parts, strict=True)]
    return float(numpy.mean(rates))


def soft(weights, sure, possible):
    """Weights in place of links."""
    weights = weights * possible.any(-1, keepdim=True)
    made = (weights.sum() + sure.sum()).item()
    return 1 - ((weights * sure).sum() + (weights * possible).sum()).item() / made if made else 0.0


def viewed(weights, sure, possible):
    """Right wherever a view can be made."""
    flat = [part.view(-1, part.size(-1)) for part in (weights, sure, possible)]
    return rate(*flat)


def whole_division(weights, sure, possible):
    links = linked(weights, possible)
    made = (links.sum() + sure.sum()).item()
    return 1 - ((links & sure).sum() + (links & possible).sum()).item() // made if made else 0.0


def each_counted_once(weights, sure, possible):
    links = linked(weights, possible)
    made = (links | sure).sum().item()
    return 1 - (links & possible).sum().item() / made if made else 0.0


def minus_swapped(weights, sure, possible):
    links = linked(weights, possible)
    made = (links.sum() + sure.sum()).item()
    return (1 - ((links & sure).sum() + (links & possible).sum()).item()) / made if made else 0.0


WRONG_10_2 = {
    "weights changed": (weights_filled, "`weights`"),
    "three axes only": (three_axes_only, "ValueError"),
    "largest of the whole map": (flat_maximum, None),
    "mean over rows": (mean_of_rows, None),
    "mean over maps": (mean_of_maps, "divide once"),
    "weights for links": (soft, None),
    "viewed": (viewed, "view"),
    "whole division": (whole_division, None),
    "each counted once": (each_counted_once, None),
    "brackets": (minus_swapped, None),
    "sure and possible exchanged": (lambda w, s, p: rate(w, p, s), None),
    "columns that are asked": (
        lambda w, s, p: rated(F.one_hot(w.argmax(-1), w.size(-1)).bool() & p.any(-2, keepdim=True), s, p), None,
    ),
    "rounded to three places": (lambda w, s, p: round(rate(w, s, p), 3), None),
    "zero where nothing is sure": (lambda w, s, p: rate(w, s, p) if s.any() else 0.0, "no link is sure."),
    "a tensor for each sentence": (lambda w, s, p: torch.full(w.shape[:-2], rate(w, s, p)), None),
    "words": (lambda w, s, p: f"{rate(w, s, p):.2f}", "str"),
    "NaN": (lambda w, s, p: float("nan"), "nan"),
    "complex": (lambda w, s, p: complex(rate(w, s, p)), "number"),
    "half precision": (lambda w, s, p: float(torch.tensor(rate(w, s, p)).half()), None),
    "a truth value": (lambda w, s, p: rate(w, s, p) > 0.5, "bool"),
    "first and last row left out": (lambda w, s, p: rate(w[..., 1:-1, :], s[..., 1:-1, :], p[..., 1:-1, :]), None),
    "error of recall": (lambda w, s, p: (s & ~linked(w, p)).sum().item() / max(1, s.sum().item()), "sure links are"),
    "below an even share no link": (lambda w, s, p: rated(linked(w, p) & (w > 0.4), s, p), None),
}  # fmt: skip


def in_numpy(weights, sure, possible):
    w, s, p = (numpy.asarray(part).reshape(-1, part.shape[-1]) for part in (weights, sure, possible))
    columns, asked = w.argmax(1), p.any(1)
    rows = numpy.arange(len(w))[asked]
    made = asked.sum() + s.sum()
    right = s[rows, columns[asked]].sum() + p[rows, columns[asked]].sum()
    return float(1 - right / made) if made else 0.0


def by_sets(weights, sure, possible):
    w, s, p = (part.reshape(-1, part.size(-1)) for part in (weights, sure, possible))
    S, P = ({tuple(at) for at in part.nonzero().tolist()} for part in (s, p))
    asked = {row for row, _ in P}
    A = {(row, column) for row, column in enumerate(w.argmax(1).tolist()) if row in asked}
    return 1 - (len(A & S) + len(A & P)) / (len(A) + len(S)) if A or S else 0.0


def by_topk(weights, sure, possible):
    at = weights.topk(1, dim=-1).indices
    asked = possible.any(-1, keepdim=True)
    made = asked.sum() + sure.sum()
    hit = sure.gather(-1, at).int() + possible.gather(-1, at).int()
    return torch.where(made > 0, 1 - (hit * asked).sum() / made.clamp(min=1), torch.zeros(())).item()


class Rate:
    """An object with a static count."""

    @staticmethod
    def count(*parts):
        """How many places hold in all of them."""
        return torch.stack(torch.broadcast_tensors(*parts)).all(0).sum().item()

    def __call__(self, weights, sure, possible):
        links = torch.zeros_like(possible).scatter(-1, weights.argmax(-1, keepdim=True), True)
        links = links.logical_and(possible.amax(-1, keepdim=True))
        made = self.count(links) + self.count(sure)
        return 1.0 - (self.count(links, sure) + self.count(links, possible)) / made if made != 0 else 0.0


RIGHT_10_2 = {
    "NumPy": in_numpy,
    "sets": by_sets,
    "topk": by_topk,
    "an object": Rate(),
    "partial": functools.partial(alignment_error_rate),
    "a tensor of one number": lambda w, s, p: torch.tensor(rate(w, s, p), dtype=torch.float64),
    "logarithms": lambda w, s, p: rate(w.clamp(min=1e-30).log(), s, p),
    "errors counted": lambda w, s, p: (
        ((linked(w, p) & ~s).sum() + (s & ~linked(w, p)).sum() - (linked(w, p) & p & ~s).sum()
         ).item() / max(1, (linked(w, p).sum() + s.sum()).item())
    ),
}  # fmt: skip


# 10.3 ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def hits(weights, relation):
    """bool (batch, heads, query_len)."""
    columns = weights.argmax(-1, keepdim=True)
    return relation[:, None].expand_as(weights).gather(-1, columns)[..., 0]


def asked(relation):
    return relation.any(-1).sum().clamp(min=1)


def shares(weights, relation):
    return hits(weights, relation).sum((0, 2)) / asked(relation)


def relation_for_heads(weights, relation):
    """The new axis in front: sentences stand where heads should."""
    wanted = relation[None].expand_as(weights)
    return wanted.gather(-1, weights.argmax(-1, keepdim=True))[..., 0].sum((0, 2)) / asked(relation)


def sentences_once(weights, relation):
    """In which share of the sentences is any row hit?"""
    return hits(weights, relation).any(2).float().mean(0)


def first_asked_row(weights, relation):
    first = relation.any(-1).int().argmax(1)
    return hits(weights, relation)[torch.arange(len(weights)), :, first].float().mean(0)


def changed_relation(weights, relation):
    relation[:, :, 0] |= ~relation.any(-1)
    return shares(weights, relation)


def whole_shares(weights, relation):
    return hits(weights, relation).sum((0, 2)) // asked(relation)


def winner_takes_it(weights, relation):
    """A row counts for the head with the largest weight alone."""
    best = weights.amax(-1).argmax(1)[:, None]
    own = torch.arange(weights.size(1))[None, :, None] == best
    return (hits(weights, relation) & own).sum((0, 2)) / asked(relation)


def wanted_above_mean(weights, relation):
    """Whether the wanted columns together have more than all the others."""
    return ((weights * relation[:, None]).sum(-1) > 0.5 * weights.sum(-1)).sum((0, 2)) / asked(relation)


def two_best(weights, relation):
    columns = weights.topk(min(2, weights.size(-1)), -1).indices
    return relation[:, None].expand_as(weights).gather(-1, columns).any(-1).sum((0, 2)) / asked(relation)


WRONG_10_3 = {
    "relation's axis in front": (relation_for_heads, None),
    "sentences hit once": (sentences_once, None),
    "first row asked": (first_asked_row, None),
    "relation changed": (changed_relation, "`relation`"),
    "whole division": (whole_shares, None),
    "best head of a row": (winner_takes_it, None),
    "more than half": (wanted_above_mean, None),
    "among the two largest": (two_best, None),
    "over heads": (lambda w, r: hits(w, r).sum((0, 1)) / asked(r), "shape"),
    "over the batch alone": (lambda w, r: hits(w, r).sum(0) / asked(r), "shape"),
    "divided by hits": (lambda w, r: hits(w, r).sum((0, 2)) / hits(w, r).sum().clamp(min=1), None),
    "divided by sentences": (lambda w, r: hits(w, r).sum((0, 2)) / len(w), None),
    "divided by rows of a sentence": (lambda w, r: hits(w, r).sum((0, 2)) / w.size(2), None),
    "a scalar": (lambda w, r: shares(w, r).mean(), None),
    "zeros of whole numbers": (
        lambda w, r: shares(w, r) if r.any() else torch.zeros(w.size(1), dtype=torch.long), "dtype",
    ),
    "one where nothing is asked": (lambda w, r: shares(w, r) if r.any() else torch.ones(w.size(1)), "no row wants"),
    "empty where nothing is asked": (lambda w, r: shares(w, r)[: w.size(1) if r.any() else 0], "no row wants anything"),
    "sorted": (lambda w, r: shares(w, r).sort().values, None),
    "minus": (lambda w, r: -shares(w, r), "sign"),
    "with the rows asked": (lambda w, r: (shares(w, r), asked(r)), "tuple"),
    "softmax of the shares": (lambda w, r: shares(w, r).softmax(0), None),
    "arrays": (lambda w, r: shares(w, r).numpy(), "NumPy"),
    "complex": (lambda w, r: shares(w, r).to(torch.complex64), "dtype"),
}  # fmt: skip


def in_numpy_too(weights, relation):
    w, r = weights.numpy(), relation.numpy()
    batch, row = numpy.nonzero(r.any(-1))
    if not len(batch):
        return torch.zeros(w.shape[1])
    columns = w[batch, :, row].argmax(-1)  # (asked, heads)
    return torch.from_numpy(r[batch[:, None], row[:, None], columns].mean(0).astype("float32"))


RIGHT_10_3 = {
    "NumPy inside": in_numpy_too,
    "dtype of the weights": lambda w, r: hits(w, r).to(w.dtype).sum((0, 2)) / asked(r),
    "masked weights": lambda w, r: (
        (w.masked_fill(~r[:, None], -1).amax(-1) == w.amax(-1)).sum((0, 2)) / max(1, int(r.any(-1).sum()))
    ),
    "take_along_dim": lambda w, r: torch.take_along_dim(
        r[:, None], w.argmax(-1, keepdim=True), dim=-1
    ).flatten(2).sum(dim=(0, 2)) / r.any(-1).sum().clamp(min=1),
    "indices": lambda w, r: (
        r[torch.arange(len(r))[:, None, None], torch.arange(r.size(1)), w.argmax(-1)].transpose(0, 1).flatten(1).sum(1)
        / asked(r)
    ),
    "nan to zero": lambda w, r: (hits(w, r).sum((0, 2)) / r.any(-1).sum()).nan_to_num(0.0),
    "partial": functools.partial(found),
    "no graph": torch.no_grad()(lambda weights, relation: shares(weights.clone(), relation.clone())),
}  # fmt: skip


WRONG = {"10.2": WRONG_10_2, "10.3": WRONG_10_3}
RIGHT = {"10.2": RIGHT_10_2, "10.3": RIGHT_10_3}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
