"""Chapter 10, weights exchanged and weighed, as strangers answer: slips of learners, of language models and of those
who would rather not write it, and right answers in unusual clothes. Words that a report must hold stand beside each.
"""

import functools

import numpy
import torch
from torch.nn import functional as F

from utils.exercises.chapter_10.references import contributions, other_weights

# 10.5 ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def free(value, direction):
    """The free part of the direction, float64; zeros where there is none."""
    held = torch.cat([value, torch.ones_like(value[:, :1])], 1).double()
    step = direction.double() - held @ torch.linalg.pinv(held) @ direction.double()
    return step if step.norm() > 1e-6 * direction.double().norm() else torch.zeros_like(step)


def walked(far):
    """far(weights, step) says how far to go, where a direction is free."""

    def answer(weights, value, direction):
        step = free(value, direction)
        if not (step < 0).any():
            return weights.clone()
        return (weights + far(weights.double(), step) * step).to(weights.dtype)

    return answer


def usual(weights, value, direction):
    return walked(lambda w, s: (w[s < 0] / -s[s < 0]).min())(weights, value, direction).clamp(min=0)


def positive_alone(weights, value, direction):
    """Leaves out weights that are zero already: they become negative."""
    return walked(lambda w, s: (w[(s < 0) & (w > 0)] / -s[(s < 0) & (w > 0)]).min())(weights, value, direction)


def normal_equations(weights, value, direction):
    held = torch.cat([value, torch.ones_like(value[:, :1])], 1).double()
    step = direction.double() - held @ torch.linalg.inv(held.T @ held) @ held.T @ direction.double()
    falling = step < 0
    return (weights + (weights[falling] / -step[falling]).min() * step).clamp(min=0).to(weights.dtype)


def reduced_qr(weights, value, direction):
    """Q of a matrix without full rank spans too much."""
    held = torch.cat([value, torch.ones_like(value[:, :1])], 1).double()
    basis = torch.linalg.qr(held).Q
    step = direction.double() - basis @ (basis.T @ direction.double())
    falling = step < 0
    if step.norm() < 1e-6 * direction.norm() or not falling.any():
        return weights.clone()
    return (weights + (weights[falling] / -step[falling]).min() * step).clamp(min=0).to(weights.dtype)


def guarded_late(weights, value, direction):
    """Returns the weights wherever the step is shorter than one."""
    step = free(value, direction)
    return usual(weights, value, direction) if step.norm() > 1 else weights.clone()


def renormalised(weights, value, direction):
    new = walked(lambda w, s: 1.5 * (w[s < 0] / -s[s < 0]).min())(weights, value, direction).clamp(min=0)
    return new / new.sum()


def half_wish(weights, value, direction):
    """Takes away half of what changes."""
    held = torch.cat([value, torch.ones_like(value[:, :1])], 1).double()
    step = direction.double() - 0.5 * held @ torch.linalg.pinv(held) @ direction.double()
    return (
        (weights + (weights[step < 0] / -step[step < 0]).min() * step).to(weights.dtype)
        if (step < 0).any()
        else weights
    )


def written_in(weights, value, direction):
    weights.copy_(usual(weights, value, direction))
    return weights


def direction_written(weights, value, direction):
    direction -= (direction.double() - free(value, direction)).to(direction.dtype)
    return usual(weights, value, direction)


WRONG_10_5 = {
    "the rising ones": (walked(lambda w, s: (w[s > 0] / s[s > 0]).min()), "rise"),
    "minus forgotten": (walked(lambda w, s: (w[s < 0] / s[s < 0]).min()), "backwards"),
    "minus forgotten, largest": (walked(lambda w, s: (w[s < 0] / s[s < 0]).max()), "backwards"),
    "all, rising ones too": (walked(lambda w, s: (w / -s).min()), "of all weights"),
    "by size of the step": (walked(lambda w, s: (w / s.abs()).min()), "size of their step"),
    "until one is reached": (walked(lambda w, s: ((1 - w[s > 0]) / s[s > 0]).min()), None),
    "the fastest falling": (walked(lambda w, s: (w[s.argmin()] / -s.min())), None),
    "the smallest weight": (walked(lambda w, s: w.min() / -s.min()), None),
    "mean of the ends": (walked(lambda w, s: (w[s < 0] / -s[s < 0]).mean()), None),
    "ratio turned over": (walked(lambda w, s: (-s[s < 0] / w[s < 0]).min()), None),
    "zero weights left out": (positive_alone, "zero already"),
    "normal equations": (normal_equations, None),
    "reduced QR": (reduced_qr, None),
    "short steps not taken": (guarded_late, None),
    "beyond, then cut": (renormalised, None),
    "half of what changes": (half_wish, None),
    "written in": (written_in, "`weights`"),
    "direction written": (direction_written, "`direction`"),
    "all zero": (lambda w, v, d: torch.zeros_like(w), None),
    "with how far": (lambda w, v, d: (usual(w, v, d), 1.0), "tuple"),
    "the least of two": (lambda w, v, d: torch.minimum(usual(w, v, d), w), None),
    "mixture": (lambda w, v, d: w @ v, "shape"),
    "a row": (lambda w, v, d: usual(w, v, d)[None], "shape"),
    "NaN": (lambda w, v, d: usual(w, v, d) * torch.nan, "NaN"),
}  # fmt: skip


class Walk:
    """An object that walks in NumPy."""

    small = 1e-6

    def step(self, value, wish):
        """The free part of the wish."""
        held = numpy.hstack([value, numpy.ones((len(value), 1))])
        return wish - held @ numpy.linalg.lstsq(held, wish, rcond=None)[0]

    def __call__(self, weights, value, direction):
        w, v, d = (part.detach().double().numpy() for part in (weights, value, direction))
        s = self.step(v, d)
        if numpy.linalg.norm(s) < self.small * numpy.linalg.norm(d):
            return weights
        with numpy.errstate(divide="ignore"):
            far = numpy.where(s < 0, w / -s, numpy.inf).min()
        return torch.tensor(numpy.maximum(w + far * s, 0)).to(weights)


def null_space(weights, value, direction):
    """Projects on the eigenvectors of the Gram matrix that have no length."""
    held = torch.cat([torch.ones(len(value), 1, dtype=torch.double), value.double()], 1)
    lengths, vectors = torch.linalg.eigh(held @ held.T)
    null = vectors[:, lengths < 1e-10 * lengths.max()]
    if not null.size(1):
        return weights.clone()
    step = null @ (null.T @ direction.double())
    far = torch.where(step < 0, weights.double() / -step, torch.inf).amin()
    return torch.addcmul(weights.double(), far, step).relu().to(weights.dtype)


def scaled_values(weights, value, direction):
    return other_weights(weights, 10 * value + 1, direction)


RIGHT_10_5 = {
    "an object, in NumPy": Walk(),
    "null space": null_space,
    "values moved and scaled": scaled_values,
    "weights themselves where nothing is free": lambda w, v, d: usual(w, v, d) if free(v, d).any() else w,
    "sum put right": lambda w, v, d: usual(w, v, d) / usual(w, v, d).sum(),
    "partial": functools.partial(other_weights),
    "unit direction": lambda w, v, d, *, norm=1.0: usual(w, v, norm * d / d.norm()),
    "no clamp": walked(lambda w, s: (w[s < 0] / s[s < 0].neg()).amin()),
}


# 10.6 ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def handed(value, output_weight):
    """(heads, source_len, d_model)."""
    return torch.stack([v @ w.T for v, w in zip(value, output_weight.chunk(len(value), 1), strict=True)])


def reshaped(weights, value, output_weight):
    """Reads the stored matrix as if it were W^O, in order of memory."""
    parts = output_weight.reshape(len(value), value.size(-1), -1)
    return weights * (value @ parts).norm(dim=-1)[:, None]


def cut_from_rows(weights, value, output_weight):
    heads, _, d_v = value.shape
    parts = [
        F.pad(output_weight, (0, 0, 0, heads * d_v))[i * d_v : (i + 1) * d_v, : output_weight.size(0)]
        for i in range(heads)
    ]
    parts = [F.pad(part, (0, max(0, output_weight.size(0) - part.size(1)))) for part in parts]
    return weights * torch.stack([v @ p for v, p in zip(value, parts, strict=True)]).norm(dim=-1)[:, None]


def viewed(weights, value, output_weight):
    """Right wherever a view can be made."""
    heads, source_len, d_v = value.shape
    flat = value.view(heads, source_len * d_v).unflatten(1, (source_len, d_v))
    return contributions(weights, flat, output_weight)


def all_heads_together(weights, value, output_weight):
    """The norm of what all heads hand over from a key."""
    total = handed(value, output_weight).sum(0).norm(dim=-1)
    return weights * total


def queries_for_keys(weights, value, output_weight):
    norms = handed(value, output_weight).norm(dim=-1)
    if weights.size(1) != weights.size(2):
        return weights * norms[:, None]
    return weights * norms[:, :, None]


def weight_written(weights, value, output_weight):
    weights *= handed(value, output_weight).norm(dim=-1)[:, None]
    return weights


def bounded(weights, value, output_weight):
    parts = output_weight.unflatten(1, (len(value), -1)).transpose(0, 1)
    return weights * value.norm(dim=-1)[:, None] * torch.linalg.matrix_norm(parts, 2)[:, None, None]


WRONG_10_6 = {
    "reshaped in order of memory": (reshaped, "as if it were W^O"),
    "rows for columns": (cut_from_rows, None),
    "viewed": (viewed, "view"),
    "all heads together": (all_heads_together, None),
    "norms for queries": (queries_for_keys, None),
    "weights written over": (weight_written, "`weights`"),
    "a bound": (bounded, None),
    "weights squared": (lambda w, v, o: w**2 * handed(v, o).norm(dim=-1)[:, None], None),
    "root of the weights": (lambda w, v, o: w.sqrt() * handed(v, o).norm(dim=-1)[:, None], None),
    "norm of the first numbers": (lambda w, v, o: w * handed(v, o)[..., : v.size(-1)].norm(dim=-1)[:, None], None),
    "largest number": (lambda w, v, o: w * handed(v, o).abs().amax(-1)[:, None], None),
    "mean of absolute values": (lambda w, v, o: w * handed(v, o).abs().mean(-1)[:, None], None),
    "norm over queries": (lambda w, v, o: w * (w[..., None] * handed(v, o)[:, None]).norm(dim=(1, 3))[:, None], None),
    "with a bias": (lambda w, v, o: w * (handed(v, o) + 1).norm(dim=-1)[:, None], None),
    "divided by the norm": (lambda w, v, o: w / handed(v, o).norm(dim=-1).clamp(min=1e-6)[:, None], None),
    "norm of W^O alone": (
        lambda w, v, o: w * o.unflatten(1, (len(v), -1)).norm(dim=(0, 2))[:, None, None], "`value`",
    ),
    "weights and values exchanged": (lambda w, v, o: contributions(w.softmax(-2), v, o), None),
    "vectors": (lambda w, v, o: w[..., None] * handed(v, o)[:, None], "shape"),
    "heads last": (lambda w, v, o: contributions(w, v, o).movedim(0, -1), None),
    "queries summed": (lambda w, v, o: contributions(w, v, o).sum(1), "shape"),
    "float32 inside": (lambda w, v, o: contributions(w.float(), v.float(), o.float()).to(w.dtype), "seven digits"),
    "complex": (lambda w, v, o: contributions(w, v, o).to(torch.complex64), "dtype"),
    "a list of heads": (lambda w, v, o: list(contributions(w, v, o)), "Tensor"),
}  # fmt: skip


class Fetched:
    """An object that multiplies a padded value by the whole matrix."""

    @staticmethod
    def alone(value, head, heads):
        """The value of one head, with zeros where the others' would stand."""
        return F.pad(value, (head * value.size(-1), (heads - head - 1) * value.size(-1)))

    def __call__(self, weights, value, output_weight):
        heads = len(value)
        rows = [F.linear(self.alone(value[i], i, heads), output_weight).norm(dim=-1) for i in range(heads)]
        return torch.einsum("hts,hs->hts", weights, torch.stack(rows))


def by_loops(weights, value, output_weight):
    new, d_v = torch.empty_like(weights), value.size(-1)
    for head in range(weights.size(0)):
        matrix = output_weight[:, head * d_v : (head + 1) * d_v]
        for key in range(weights.size(2)):
            new[head, :, key] = weights[head, :, key] * (matrix @ value[head, key]).norm()
    return new


def in_numpy(weights, value, output_weight):
    w, v, o = (part.detach().numpy() for part in (weights, value, output_weight))
    parts = o.T.reshape(len(v), v.shape[-1], -1)
    return torch.from_numpy(w * numpy.linalg.norm(v @ parts, axis=-1)[:, None])


RIGHT_10_6 = {
    "an object": Fetched(),
    "loops": by_loops,
    "NumPy": in_numpy,
    "W^O turned first": lambda w, v, o: (
        w * torch.bmm(v, o.t().reshape(len(v), v.size(-1), -1)).pow(2).sum(-1).pow(0.5)[:, None]
    ),
    "distances": lambda w, v, o: w * torch.cdist(handed(v, o), 0 * handed(v, o)[:, :1]).transpose(1, 2),
    "partial": functools.partial(contributions),
    "float64 inside, keyword": lambda w, v, o, *, p=2: (
        w.double() * torch.linalg.norm(handed(v.double(), o.double()), ord=p, dim=-1).unsqueeze(-2)
    ).to(w.dtype),
}  # fmt: skip


WRONG = {"10.5": WRONG_10_5, "10.6": WRONG_10_6}
RIGHT = {"10.5": RIGHT_10_5, "10.6": RIGHT_10_6}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
