"""What goes wrong when heads are silenced and weights exchanged (chapter 10), and what puts it right."""

import torch
from torch import Tensor

from utils.exercises.declare import Misconception

# 10.4, prune a head ───────────────────────────────────────────────────────────────────────────────────────────────


def by_columns(choose):
    """A wrong answer to 10.4; `choose(weight, heads, head)` says which columns go."""

    def answer(weight: Tensor, heads: int, silenced: list[int]) -> Tensor:
        new = weight.clone()
        for head in silenced:
            new[:, choose(weight, heads, head)] = 0.0
        return new

    return answer


def block(weight: Tensor, heads: int, head: int) -> slice:
    """Columns that meet a head's output."""
    width = weight.size(1) // heads
    return slice(head * width, (head + 1) * width)


def rows_gone(weight: Tensor, heads: int, silenced: list[int]) -> Tensor:
    new, width = weight.clone(), weight.size(0) // heads
    for head in silenced:
        new[head * width : (head + 1) * width] = 0.0
    return new


def in_place(weight: Tensor, heads: int, silenced: list[int]) -> Tensor:
    with torch.no_grad():
        for head in silenced:
            weight[:, block(weight, heads, head)] = 0.0
    return weight * 1.0


def only_these_kept(weight: Tensor, heads: int, silenced: list[int]) -> Tensor:
    new = torch.zeros_like(weight)
    for head in silenced:
        new[:, block(weight, heads, head)] = weight[:, block(weight, heads, head)]
    return new


def cut_out(weight: Tensor, heads: int, silenced: list[int]) -> Tensor:
    kept = [head for head in range(heads) if head not in silenced]
    return weight.unflatten(1, (heads, -1))[:, kept].flatten(1)


def rescaled(weight: Tensor, heads: int, silenced: list[int]) -> Tensor:
    return by_columns(block)(weight, heads, silenced) * heads / max(1, heads - len(silenced))


def detached(weight: Tensor, heads: int, silenced: list[int]) -> Tensor:
    return by_columns(block)(weight.detach(), heads, silenced)


PRUNED = (
    Misconception(
        "rows of the stored weight",
        rows_gone,
        "You set rows of `weight` to zero. nn.Linear keeps its matrix turned over, (d_model, heads · d_v): the rows of "
        "W^O are the *columns* of `weight`. Your rows are numbers of the result, to which every head contributes.",
    ),
    Misconception(
        "every heads-th column",
        by_columns(lambda weight, heads, head: slice(head, None, heads)),
        "You take every heads-th column. The heads' outputs stand side by side, not interleaved: head i has the d_v "
        "columns from i · d_v on.",
    ),
    Misconception(
        "heads from one",
        by_columns(lambda weight, heads, head: block(weight, heads, head - 1)),
        "You count heads from one: what you silence is the head before. Heads are numbered from 0.",
    ),
    Misconception(
        "one column a head",
        by_columns(lambda weight, heads, head: head),
        "You silence one column for each head. A head's output is d_v wide, so d_v columns meet it: those from "
        "i · d_v on.",
    ),
    Misconception(
        "the first silenced head alone",
        lambda weight, heads, silenced: by_columns(block)(weight, heads, silenced[:1]),
        "You silence the first head of the list alone. `silenced` may hold several.",
    ),
    Misconception(
        "the others silenced",
        only_these_kept,
        "You keep the heads in `silenced` and silence the others. It is the other way round.",
    ),
    Misconception(
        "cut out",
        cut_out,
        "You cut the columns out, so that the matrix gets narrower and no longer fits what comes in. Set them to zero; "
        "the shape stays.",
    ),
    Misconception(
        "rescaled",
        rescaled,
        "You stretch what is left, as dropout does. Pruning only takes away: the other heads' columns stay as they "
        "are.",
    ),
    Misconception(
        "changed in place",
        in_place,
        "Your result is right, but you have changed the weight that you were given: the model stays pruned. Work on "
        "`weight.clone()`.",
        everywhere=True,
    ),
    Misconception(
        "detached",
        detached,
        "The numbers are right, but no gradient reaches `weight` any more (`.detach()`, `.data`). `.clone()` alone "
        "keeps it.",
    ),
)


# 10.5, other weights with the same output ─────────────────────────────────────────────────────────────────────────


def walking(
    held_of=lambda value: torch.cat([value, torch.ones_like(value[:, :1])], dim=1), project=True, reach=None,
    guarded=True, away=False, only_rising=False,
):  # fmt: skip
    """A wrong answer to 10.5 that is right in all but one place."""

    def answer(weights: Tensor, value: Tensor, direction: Tensor) -> Tensor:
        held, wish = held_of(value).double(), direction.double()
        changes = held @ torch.linalg.pinv(held) @ wish
        step = changes if away else wish - changes if project else wish
        falling = step < 0
        if guarded and (step.norm() < 1e-6 * wish.norm() or not falling.any()):
            return weights.clone()
        furthest = (weights[falling] / -step[falling]).min() if falling.any() else 1.0
        furthest = furthest if reach is None else reach(furthest)
        step = step.clamp(min=0) if only_rising else step
        return (weights + furthest * step).to(weights.dtype)

    return answer


def ending(furthest):
    """A wrong answer to 10.5: furthest(weights, step) says where the walk ends."""

    def answer(weights: Tensor, value: Tensor, direction: Tensor) -> Tensor:
        held = torch.cat([value, torch.ones_like(value[:, :1])], dim=1).double()
        step = direction.double() - held @ torch.linalg.pinv(held) @ direction.double()
        if step.norm() < 1e-6 * direction.double().norm() or not (step < 0).any():
            return weights.clone()
        return (weights + furthest(weights, step) * step).to(weights.dtype)

    return answer


def changed_in_place(weights: Tensor, value: Tensor, direction: Tensor) -> Tensor:
    new = walking()(weights, value, direction)
    weights.copy_(new)
    return new


def clipped_and_scaled(weights: Tensor, value: Tensor, direction: Tensor) -> Tensor:
    new = walking(reach=lambda furthest: 1.0)(weights, value, direction).clamp(min=0)
    return new / new.sum()


def through_a_softmax(weights: Tensor, value: Tensor, direction: Tensor) -> Tensor:
    return walking()(weights, value, direction).softmax(dim=0)


OTHERS = (
    Misconception(
        "the sum is free",
        walking(held_of=lambda value: value),
        "Your step keeps the mixture of the values, but not the sum of the weights: what comes out sums to something "
        "other than one. Put a column of ones beside the values, so that the sum is held as well.",
    ),
    Misconception(
        "the mixture is free",
        walking(held_of=lambda value: torch.ones_like(value[:, :1])),
        "Your step keeps the sum of the weights, but the mixture of the values changes. Hold both: values and a "
        "column of ones.",
    ),
    Misconception(
        "not projected",
        walking(project=False),
        "You walk along `direction` itself, which changes mixture and sum. Take away first the part that does: "
        "`held @ torch.linalg.pinv(held) @ direction`.",
    ),
    Misconception(
        "the part that changes",
        walking(away=True),
        "You walk along the part of `direction` that changes the output, `held @ pinv(held) @ direction`. What is left "
        "of `direction` without it is free.",
    ),
    Misconception(
        "too far",
        walking(reach=lambda furthest: 2 * furthest),
        "You walk twice as far as there is room: a weight has become negative. The first weight that is used up ends "
        "the walk.",
    ),
    Misconception(
        "a step of one",
        walking(reach=lambda furthest: 1.0),
        "You take exactly one step, `weights + step`. That may make weights negative, or stop short. Go until the "
        "first weight is used up: the smallest w / −s among the falling ones.",
    ),
    Misconception(
        "not all the way",
        walking(reach=lambda furthest: 0.5 * furthest),
        "You go half the way. There is room until the first weight is used up.",
    ),
    Misconception(
        "clipped and scaled",
        clipped_and_scaled,
        "You take one step, cut negative weights off and divide by the sum: cutting changes the mixture. Stop the walk "
        "before a weight gets negative.",
    ),
    Misconception(
        "through a softmax",
        through_a_softmax,
        "You send the new weights through a softmax. They sum to one already; a softmax makes other numbers of them, "
        "with another mixture.",
    ),
    Misconception(
        "the rising ones",
        ending(lambda w, s: (w[s > 0] / s[s > 0]).min()),
        "You look at the weights that rise. They are never used up; the walk ends with the first of those that fall, "
        "s < 0: the smallest w / −s among them.",
    ),
    Misconception(
        "weights only rise",
        walking(only_rising=True),
        "Your weights only rise, so that they sum to more than one. What some gain others have to lose: walk along the "
        "whole free direction, its falling part as well.",
    ),
    Misconception(
        "minus forgotten",
        ending(lambda w, s: (w[s < 0] / s[s < 0]).max()),
        "You walk backwards: w / s is negative where a weight falls. It lasts w / −s steps, and the smallest of these "
        "numbers ends the walk.",
    ),
    Misconception(
        "minus forgotten, the other end",
        ending(lambda w, s: (w[s < 0] / s[s < 0]).min()),
        "You walk backwards, and too far: w / s is negative where a weight falls, and its minimum belongs to the "
        "weight that lasts longest. A weight lasts w / −s steps, and the smallest of these numbers ends the walk.",
    ),
    Misconception(
        "by the size of the step",
        ending(lambda w, s: (w / s.abs()).min()),
        "You also let the weights end the walk that rise, by the size of their step. They are never used up: only "
        "those with s < 0 count.",
    ),
    Misconception(
        "all ratios",
        ending(lambda w, s: (w / -s).min()),
        "You take the smallest w / −s of all weights. Where a weight rises this number is negative, and you walk "
        "backwards: only those with s < 0 count.",
    ),
    Misconception(
        "until the last is used up",
        ending(lambda w, s: (w[s < 0] / -s[s < 0]).max()),
        "You go on until the last falling weight is used up; the others have become negative by then. The first one "
        "ends the walk: the smallest w / −s.",
    ),
    Misconception(
        "zero weights left out",
        ending(lambda w, s: (w[(s < 0) & (w > 0)] / -s[(s < 0) & (w > 0)]).min()),
        "You leave out weights that are zero already. One that falls has no room at all: it ends the walk before the "
        "first step.",
    ),
    Misconception(
        "noise taken for a direction",
        walking(guarded=False),
        "Right wherever a direction is free. With no more than d_v + 1 values (and values in general position) none "
        "is: what is left of `direction` is rounding, and you walk along it. Return `weights` where the step's norm is "
        "next to nothing.",
    ),
    Misconception(
        "changed in place",
        changed_in_place,
        "Your result is right, but you have changed the weights that you were given. Make new ones.",
        everywhere=True,
    ),
)


# 10.6, contributions ──────────────────────────────────────────────────────────────────────────────────────────────


def parts_of(output_weight: Tensor, heads: int) -> Tensor:
    """(d_model, heads, d_v)."""
    return output_weight.unflatten(1, (heads, -1))


def handed_over(value: Tensor, output_weight: Tensor) -> Tensor:
    """(heads, source_len, d_model)."""
    return torch.einsum("hsv,mhv->hsm", value, parts_of(output_weight, len(value)))


def interleaved(weights: Tensor, value: Tensor, output_weight: Tensor) -> Tensor:
    parts = output_weight.unflatten(1, (-1, len(value))).transpose(1, 2)
    return weights * torch.einsum("hsv,mhv->hsm", value, parts).norm(dim=-1).unsqueeze(1)


def read_in_order(weights: Tensor, value: Tensor, output_weight: Tensor) -> Tensor:
    parts = output_weight.reshape(len(value), value.size(-1), -1)
    return weights * (value @ parts).norm(dim=-1).unsqueeze(1)


CONTRIBUTIONS = (
    Misconception(
        "read in the order of memory",
        read_in_order,
        "You reshape `output_weight` to (heads, d_v, d_model) as if it were W^O. nn.Linear keeps it turned over, "
        "(d_model, heads · d_v): take it apart along axis 1, `unflatten(1, (heads, -1))`, or turn it first.",
    ),
    Misconception(
        "norms along the queries",
        lambda weights, value, output_weight: weights * handed_over(value, output_weight).norm(dim=-1).unsqueeze(2),
        "You let the norms run along the queries. They belong to the keys: (heads, source_len), with an axis of size "
        "1 for the queries in between, `.unsqueeze(1)`.",
    ),
    Misconception(
        "the weights alone",
        lambda weights, value, output_weight: weights.clone(),
        "You return the weights themselves. What a weight fetches counts as well: the norm of value · W^O.",
    ),
    Misconception(
        "values without W^O",
        lambda weights, value, output_weight: weights * value.norm(dim=-1).unsqueeze(1),
        "You take the norm of the value alone. Before it is added to anything, it goes through the head's part of W^O, "
        "which may stretch or swallow it.",
    ),
    Misconception(
        "norms multiplied",
        lambda weights, value, output_weight: (
            weights
            * value.norm(dim=-1).unsqueeze(1)
            * parts_of(output_weight, len(value)).norm(dim=(0, 2))[:, None, None]
        ),
        "You multiply the norm of the value by the norm of the matrix. The norm of a product is smaller than that in "
        "general: multiply first, then take the norm.",
    ),
    Misconception(
        "squared",
        lambda weights, value, output_weight: (
            weights * handed_over(value, output_weight).square().sum(dim=-1).unsqueeze(1)
        ),
        "Your norm lacks the root: a sum of squares is the square of the norm.",
    ),
    Misconception(
        "absolute values added",
        lambda weights, value, output_weight: (
            weights * handed_over(value, output_weight).abs().sum(dim=-1).unsqueeze(1)
        ),
        "You add up absolute values. The norm here is the length of the vector, the root of the sum of squares: "
        "`.norm(dim=-1)`.",
    ),
    Misconception(
        "heads interleaved",
        interleaved,
        "You take every heads-th column of `output_weight` for a head. The heads stand side by side: "
        "`unflatten(1, (heads, -1))`.",
    ),
    Misconception(
        "heads summed",
        lambda weights, value, output_weight: (
            weights * handed_over(value, output_weight).norm(dim=-1).unsqueeze(1)
        ).sum(dim=0),
        "You add the heads up. Asked for is one map a head, (heads, target_len, source_len).",
    ),
    Misconception(
        "rows rescaled",
        lambda weights, value, output_weight: torch.nn.functional.normalize(
            weights * handed_over(value, output_weight).norm(dim=-1).unsqueeze(1), p=1, dim=-1
        ),
        "You divide each row by its sum. How much a row fetches in all says something too: leave the norms as they "
        "are.",
    ),
)
