"""Chapter 10, heads pruned and weights exchanged, from outside: plausible wrong answers that no misconception was
written for, and unusual right ones. Each wrong answer comes with words that its report must hold, or None.
"""

import torch
from torch.nn import functional as F

from utils.exercises.chapter_10.references import contributions, other_weights, pruned

# 10.4 ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def without(weight, heads, silenced, start=lambda head, width: head * width, length=lambda width: width):
    new, width = weight.clone(), weight.size(1) // heads
    for head in silenced:
        new[:, start(head, width) : start(head, width) + length(width)] = 0.0
    return new


def all_but_last(weight, heads, silenced):
    return without(weight, heads, silenced[-1:])


def list_changed(weight, heads, silenced):
    new = weight.clone()
    while silenced:
        new = without(new, heads, [silenced.pop()])
    return new


def weight_changed(weight, heads, silenced):
    weight.data.copy_(without(weight, heads, silenced))
    return weight.clone()


def by_head_count(weight, heads, silenced):
    """As if every head were `heads` wide."""
    new = weight.clone()
    for head in silenced:
        new[:, head * heads : (head + 1) * heads] = 0.0
    return new


def by_d_model(weight, heads, silenced):
    """Width of a head from d_model: right where d_model = heads · d_v."""
    new, width = weight.clone(), weight.size(0) // heads
    for head in silenced:
        new[:, head * width : (head + 1) * width] = 0.0
    return new


WRONG_10_4 = {
    "last of the list only": (all_but_last, None),
    "list changed": (list_changed, "silenced"),
    "weight changed": (weight_changed, "`weight`"),
    "heads wide": (by_head_count, None),
    "width from d_model": (by_d_model, None),
    "one column too few": (lambda w, h, s: without(w, h, s, length=lambda width: width - 1), None),
    "one column too many": (lambda w, h, s: without(w, h, s, length=lambda width: width + 1), None),
    "begins one late": (lambda w, h, s: without(w, h, s, start=lambda head, width: head * width + 1), None),
    "head numbers as columns": (lambda w, h, s: without(w, h, s, start=lambda head, width: head), None),
    "from the end": (lambda w, h, s: without(w, h, [h - 1 - head for head in s]), None),
    "everything": (lambda w, h, s: torch.zeros_like(w), None),
    "nothing": (lambda w, h, s: w.clone(), None),
    "mean in place of zero": (
        lambda w, h, s: w + (without(w, h, s) == 0) * (w.mean() - w),
        None,
    ),
    "transposed": (lambda w, h, s: without(w, h, s).T, None),
    "three axes": (lambda w, h, s: without(w, h, s).unflatten(1, (h, -1)), "shape"),
    "minus": (lambda w, h, s: 2 * without(w, h, s) - w, None),
    "float64": (lambda w, h, s: without(w, h, s).double(), "float64"),
    "no gradient": (lambda w, h, s: without(w, h, s).detach(), "gradient"),
    "first silenced only where there are two": (
        lambda w, h, s: without(w, h, s[:1] if len(s) == 2 else s),
        None,
    ),
    "None": (lambda w, h, s: None, "return"),
}

RIGHT_10_4 = {
    "slices": without,
    "mask": lambda w, h, s: w
    * torch.tensor([float(i not in s) for i in range(h)], dtype=w.dtype).repeat_interleave(w.size(1) // h),
    "masked_fill": lambda w, h, s: w.masked_fill(
        torch.tensor([head in s for head in range(h) for _ in range(w.size(1) // h)]), 0.0
    ),
    "cat of pieces": lambda w, h, s: torch.cat(
        [torch.zeros_like(part) if head in s else part for head, part in enumerate(w.chunk(h, dim=1))], dim=1
    ),
    "diagonal matrix": lambda w, h, s: w
    @ torch.diag(torch.tensor([float(i // (w.size(1) // h) not in s) for i in range(w.size(1))], dtype=w.dtype)),
    "where": lambda w, h, s, value=0.0: torch.where(
        torch.isin(torch.arange(w.size(1)) // (w.size(1) // h), torch.tensor(s, dtype=torch.long)),
        torch.full_like(w, value), w,
    ),
    "index_fill": lambda w, h, s: w.index_fill(
        1, torch.tensor([i for i in range(w.size(1)) if i // (w.size(1) // h) in s], dtype=torch.long), 0.0
    ),
}  # fmt: skip


# 10.5 ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def walk(weights, step, far=None):
    falling = step < 0
    if not falling.any():
        return weights.clone()
    furthest = (weights[falling] / -step[falling]).min() if far is None else far
    return (weights + furthest * step).to(weights.dtype)


def free_part(value, direction, ones=1.0):
    held = torch.cat([value, torch.full_like(value[:, :1], ones)], 1).double()
    basis, singular, _ = torch.linalg.svd(held, full_matrices=False)
    basis = basis[:, singular > 1e-9 * singular.max()]
    step = direction.double() - basis @ (basis.T @ direction.double())
    return step if step.norm() > 1e-6 * direction.double().norm() else torch.zeros_like(step)


def usual(weights, value, direction):
    return walk(weights, free_part(value, direction)).clamp(min=0)


def up_to_the_last(weights, value, direction):
    step = free_part(value, direction)
    falling = step < 0
    return walk(weights, step, (weights[falling] / -step[falling]).max()) if falling.any() else weights.clone()


def any_free_direction(weights, value, direction):
    """Free, but not the part of what was asked for."""
    return usual(weights, value, direction.flip(0))


def held_by_columns(weights, value, direction):
    """The mean taken off the values in place of a column of ones."""
    centred = value - value.mean(0)
    step = direction.double() - centred.double() @ torch.linalg.pinv(centred.double()) @ direction.double()
    return walk(weights, step) if step.norm() > 1e-6 * direction.norm() else weights.clone()


def in_place(weights, value, direction):
    weights += usual(weights, value, direction) - weights
    return weights.clone()


WRONG_10_5 = {
    "as they are": (lambda w, v, d: w.clone(), None),
    "even": (lambda w, v, d: torch.full_like(w, 1 / len(w)), None),
    "the direction": (lambda w, v, d: d.softmax(0), None),
    "until the last is used up": (up_to_the_last, None),
    "another direction": (any_free_direction, None),
    "backwards": (lambda w, v, d: usual(w, v, -d), None),
    "centred values": (held_by_columns, None),
    "in place": (in_place, "`weights`"),
    "step returned": (lambda w, v, d: free_part(v, d).to(w.dtype), None),
    "a tenth of the way": (lambda w, v, d: w + 0.1 * (usual(w, v, d) - w), None),
    "permuted": (lambda w, v, d: usual(w, v, d).flip(0), None),
    "largest weight only": (lambda w, v, d: F.one_hot(w.argmax(), len(w)).to(w.dtype), None),
    "float64": (lambda w, v, d: usual(w, v, d).double(), "float64"),
    "with the output": (lambda w, v, d: (usual(w, v, d), w @ v), "tuple"),
    "values projected alone": (
        lambda w, v, d: walk(w, d.double() - v.double() @ torch.linalg.pinv(v.double()) @ d.double()), None,
    ),
    "None": (lambda w, v, d: None, "return"),
    "a column": (lambda w, v, d: usual(w, v, d)[:, None], "shape"),
    "a list": (lambda w, v, d: usual(w, v, d).tolist(), None),
}  # fmt: skip


def by_least_squares(weights, value, direction):
    held = torch.cat([value, torch.ones_like(value[:, :1])], 1).double()
    fit = torch.linalg.lstsq(held, direction.double()[:, None], driver="gelsd").solution
    step = direction.double() - (held @ fit)[:, 0]
    return walk(weights, step).clamp(min=0) if step.norm() > 1e-6 * direction.norm() else weights.clone()


def by_qr(weights, value, direction):
    """The free directions themselves, from a full decomposition."""
    held = torch.cat([torch.ones_like(value[:, :1]), value], 1).double()
    basis, singular, _ = torch.linalg.svd(held, full_matrices=True)
    free = basis[:, int((singular > 1e-9 * singular.max()).sum()) :]
    step = free @ (free.T @ direction.double())
    return walk(weights, step).clamp(min=0) if free.size(1) else weights.clone()


def by_loop(weights, value, direction):
    step = free_part(value, direction).tolist()
    lasts = [w / -s for w, s in zip(weights.double().tolist(), step, strict=True) if s < 0]
    far = min(lasts, default=0.0)
    return torch.tensor([max(0.0, w + far * s) for w, s in zip(weights.double().tolist(), step, strict=True)]).to(
        weights.dtype
    )


RIGHT_10_5 = {
    "svd": usual,
    "least squares": by_least_squares,
    "free directions": by_qr,
    "loop in Python": lambda w, v, d: by_loop(w, v, d) if w.dtype == torch.float32 else usual(w, v, d),
    "the course's own, ones first": lambda w, v, d: other_weights(w, v.flip(1), d),
    "other ones": lambda w, v, d: walk(w, free_part(v, d, 3.0)).clamp(min=0),
    "longer direction": lambda w, v, d, size=2.0: usual(w, v, size * d),
}


# 10.6 ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def handed(value, output_weight):
    return torch.stack([v @ w.T for v, w in zip(value, output_weight.chunk(len(value), 1), strict=True)])


WRONG_10_6 = {
    "mean of squares": (lambda w, v, o: w * handed(v, o).square().mean(-1).sqrt()[:, None], None),
    "largest component": (lambda w, v, o: w * handed(v, o).amax(-1)[:, None], None),
    "sum of components": (lambda w, v, o: w * handed(v, o).sum(-1)[:, None], None),
    "norms alone": (lambda w, v, o: handed(v, o).norm(dim=-1)[:, None].expand_as(w), "`weights`"),
    "norm over keys": (lambda w, v, o: w * handed(v, o).norm(dim=(1, 2))[:, None, None], None),
    "of the whole output": (lambda w, v, o: (w @ handed(v, o)).norm(dim=-1, keepdim=True).expand_as(w), None),
    "norms for queries": (
        lambda w, v, o: w * handed(v, o).norm(dim=-1)[..., None] if w.size(1) == w.size(2) else w,
        None,
    ),
    "first head's W^O for all": (
        lambda w, v, o: w * (v @ o.chunk(len(v), 1)[0].T).norm(dim=-1)[:, None],
        None,
    ),
    "heads in reverse": (
        lambda w, v, o: w * handed(v, o.unflatten(1, (len(v), -1)).flip(1).flatten(1)).norm(dim=-1)[:, None], None,
    ),
    "mean over heads": (lambda w, v, o: (w * handed(v, o).norm(dim=-1)[:, None]).mean(0), "shape"),
    "turned over": (lambda w, v, o: (w * handed(v, o).norm(dim=-1)[:, None]).mT, None),
    "float64": (lambda w, v, o: contributions(w, v, o).double(), "float64"),
    "scaled by d_v": (lambda w, v, o: contributions(w, v, o) / v.size(-1) ** 0.5, None),
    "softmax of it": (lambda w, v, o: contributions(w, v, o).softmax(-1), None),
    "changes value": (lambda w, v, o: contributions(w, v.mul_(2), o) / 2, "`value`"),
    "None": (lambda w, v, o: None, "return"),
}  # fmt: skip

RIGHT_10_6 = {
    "chunks": lambda w, v, o: w * handed(v, o).norm(dim=-1)[:, None],
    "vectors, then norms": lambda w, v, o: (w[..., None] * handed(v, o)[:, None]).norm(dim=-1),
    "root of squares": lambda w, v, o: w * handed(v, o).square().sum(-1).sqrt()[:, None],
    "gram": lambda w, v, o: w
    * torch.stack([torch.einsum("sv,vu,su->s", x, p.T @ p, x).clamp(min=0).sqrt()
                   for x, p in zip(v, o.chunk(len(v), 1), strict=True)])[:, None],
    "float64 inside": lambda w, v, o: contributions(w.double(), v.double(), o.double()).to(w.dtype),
    "head by head": lambda w, v, o, order=2: torch.stack(
        [w[i] * torch.linalg.vector_norm(handed(v, o)[i], order, dim=-1) for i in range(len(w))]
    ),
}  # fmt: skip


WRONG = {"10.4": WRONG_10_4, "10.5": WRONG_10_5, "10.6": WRONG_10_6}
RIGHT = {"10.4": RIGHT_10_4, "10.5": RIGHT_10_5, "10.6": RIGHT_10_6}


def test_pruning_twice_is_pruning_both():
    weight = torch.randn(6, 12)
    assert torch.equal(pruned(pruned(weight, 4, [1]), 4, [3]), pruned(weight, 4, [3, 1]))


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
