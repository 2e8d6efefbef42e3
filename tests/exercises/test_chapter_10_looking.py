"""Chapter 10, maps taken and measured, from outside: plausible wrong answers that no misconception was written for, and
unusual right ones. Each wrong answer comes with words that its report must hold, or None.
"""

import copy
import math

import torch
from torch.nn import functional as F

from utils.exercises import examine, exercise
from utils.transformer import attention_maps

# 10.1 ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def picked(model, which):
    layers = model.encoder.layers if which == "encoder" else model.decoder.layers
    return [layer.cross_attention if which == "cross" else layer.self_attention for layer in layers]


def right_maps(model, source, target, which):
    return torch.stack(getattr(attention_maps(model, source, target), which))


def changed(finish):
    return lambda model, source, target, which: finish(right_maps(model, source, target, which))


def last_hook_left(model, source, target, which):
    caught = []
    for attention in picked(model, which):
        handle = attention.register_forward_hook(lambda m, i, r: caught.append(r[1]))
    mode = model.training
    model.eval()
    with torch.no_grad():
        model(source, target)
    model.train(mode)
    handle.remove()
    return torch.stack(caught)


def hooks_everywhere(model, source, target, which):
    """Every attention is caught, whatever is asked."""
    maps = attention_maps(model, source, target)
    return torch.stack(maps.encoder + maps.decoder) if which != "cross" else torch.stack(maps.cross)


def always_training(model, source, target, which):
    result = right_maps(model, source, target, which)
    model.train()
    return result


def always_eval(model, source, target, which):
    result = right_maps(model, source, target, which)
    model.eval()
    return result


def wrong_names(model, source, target, which):
    return right_maps(model, source, target, {"encoder": "cross", "cross": "encoder"}.get(which, which))


def pre_hook(model, source, target, which):
    caught = []
    handles = [a.register_forward_pre_hook(lambda m, i: caught.append(i[0])) for a in picked(model, which)]
    with torch.no_grad():
        model(source, target)
    for handle in handles:
        handle.remove()
    return torch.stack(caught)


def source_only(model, source, target, which):
    return right_maps(model, source, source, which)


def weights_changed(model, source, target, which):
    with torch.no_grad():
        next(model.parameters()).mul_(1.5)
    return right_maps(model, source, target, which)


def no_padding_mask(model, source, target, which):
    """Words in the place of padding."""
    return right_maps(model, source.masked_fill(source == 0, 5), target, which)


def all_hooks_cleared(model, source, target, which):
    [attention._forward_hooks.clear() for attention in picked(model, which)]
    return right_maps(model, source, target, which)


WRONG_10_1 = {
    "all hooks cleared": (all_hooks_cleared, "other hooks"),
    "last hook alone removed": (last_hook_left, "other hooks"),
    "all self-attentions": (hooks_everywhere, None),
    "always left in training mode": (always_training, None),
    "always left in evaluation mode": (always_eval, "mode"),
    "encoder and cross exchanged": (wrong_names, None),
    "which ignored": (lambda model, source, target, which: right_maps(model, source, target, "cross"), None),
    "inputs caught": (pre_hook, None),
    "target ignored": (source_only, None),
    "weights changed": (weights_changed, None),
    "padding ignored": (no_padding_mask, None),
    "first layer only": (changed(lambda maps: maps[:1]), "shape"),
    "first layer, without the axis": (changed(lambda maps: maps[0]), "shape"),
    "first head only": (changed(lambda maps: maps[:, :, :1]), "shape"),
    "sum over heads": (changed(lambda maps: maps.sum(2)), "shape"),
    "batch first": (changed(lambda maps: maps.transpose(0, 1)), None),
    "scores": (changed(lambda maps: maps.clamp(min=1e-9).log()), None),
    "float64": (changed(lambda maps: maps.double()), "float64"),
    "rounded": (changed(lambda maps: maps.round(decimals=2)), None),
    "softmaxed again": (changed(lambda maps: maps.softmax(-1)), None),
    "None": (lambda *inputs: None, "return"),
    "a dictionary": (changed(lambda maps: {"maps": maps}), None),
}


def by_instance_forward(model, source, target, which):  # of a copy
    probe, caught = copy.deepcopy(model).eval(), []
    for attention in picked(probe, which):
        usual = attention.forward

        def forward(*inputs, usual=usual, **keywords):
            result = usual(*inputs, **keywords)
            caught.append(result[1].detach())
            return result

        attention.forward = forward
    probe(source, target)
    return torch.stack(caught)


def hooks_on_a_copy(model, source, target, which):
    probe, caught = copy.deepcopy(model).eval(), []
    for attention in picked(probe, which):
        attention.register_forward_hook(lambda m, i, r: caught.append(r[1].detach()))
    probe(source, target)
    return torch.stack(caught)


def through_inputs(model, source, target, which):
    """The inputs are caught, and the attention is asked once more."""
    inputs, mode = {}, model.training
    handles = [a.register_forward_hook(lambda m, i, r: inputs.update({m: i})) for a in picked(model, which)]
    try:
        model.eval()
        with torch.no_grad():
            model.states(source, target)
    finally:
        model.train(mode)
        [handle.remove() for handle in handles]
    with torch.no_grad():
        return torch.stack([a(*inputs[a])[1] for a in picked(model, which)])


def one_hook_for_all(model, source, target, which, finish=torch.stack):
    wanted, caught = picked(model, which), []
    handle = torch.nn.modules.module.register_module_forward_hook(
        lambda m, i, r: caught.append(r[1]) if any(m is a for a in wanted) else None
    )
    mode = model.training
    with torch.inference_mode():
        model.eval()(source, target)
    model.train(mode)
    handle.remove()
    return finish(caught)


def preallocated(model, source, target, which):
    maps = right_maps(model, source, target, which)
    result = torch.empty_like(maps)
    for layer in range(len(maps)):
        result[layer] = maps[layer]
    return result


RIGHT_10_1 = {
    "the course's own": right_maps,
    "wrapped forward of a copy": by_instance_forward,
    "hooks on a copy": hooks_on_a_copy,
    "asked once more": through_inputs,
    "one global hook": one_hook_for_all,
    "preallocated": preallocated,
}


# 10.2 ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def links_of(weights, possible):
    return F.one_hot(weights.argmax(-1), weights.size(-1)).bool() & possible.any(-1, keepdim=True)


def rate(weights, sure, possible):
    links = links_of(weights, possible)
    made = (links.sum() + sure.sum()).item()
    return 1 - ((links & sure).sum() + (links & possible).sum()).item() / made if made else 0.0


def counting(count):
    """1 − count(A, S, P) wherever there is something to count."""

    def answer(weights, sure, possible):
        links = links_of(weights, possible)
        return 1 - float(count(links, sure, possible)) if possible.any() else 0.0

    return answer


def two_largest(weights, sure, possible):
    links = torch.zeros_like(possible).scatter_(-1, weights.topk(min(2, weights.size(-1)), -1).indices, True)
    links &= possible.any(-1, keepdim=True)
    made = (links.sum() + sure.sum()).item()
    return 1 - ((links & sure).sum() + (links & possible).sum()).item() / made if made else 0.0


def masked_first(weights, sure, possible):
    """The largest weight among the possible columns: no link can be wrong."""
    return rate(weights.masked_fill(~possible, -1.0), sure, possible)


def gold_changed(weights, sure, possible):
    sure &= possible
    possible |= True
    return rate(weights, sure, possible)


WRONG_10_2 = {
    "smallest weight": (lambda w, s, p: rate(-w, s, p), None),
    "two links a row": (two_largest, None),
    "only possible columns": (masked_first, None),
    "gold changed": (gold_changed, "possible"),
    "balanced F1 of possible": (counting(lambda a, s, p: 2 * (a & p).sum() / (a.sum() + p.sum())), "P"),
    "balanced F1 of sure": (counting(lambda a, s, p: 2 * (a & s).sum() / (a.sum() + s.sum())), None),
    "Jaccard": (counting(lambda a, s, p: (a & p).sum() / (a | p).sum()), None),
    "accuracy of all cells": (counting(lambda a, s, p: (a == p).float().mean()), None),
    "halved": (counting(lambda a, s, p: ((a & s).sum() + (a & p).sum()) / (2 * (a.sum() + s.sum()))), None),
    "per cent": (lambda w, s, p: 100 * rate(w, s, p), None),
    "rounded": (lambda w, s, p: round(rate(w, s, p), 2), None),
    "rows without a link count": (lambda w, s, p: rate(w, s, p | ~p.any(-1, keepdim=True)), None),
    "last column left out": (
        lambda w, s, p: rate(w[..., :-1], s[..., :-1], p[..., :-1]) if w.size(-1) > 1 else 0.0,
        None,
    ),
    "sure ignored": (lambda w, s, p: rate(w, torch.zeros_like(s), p), None),
    "possible ignored": (lambda w, s, p: rate(w, s, s), "sure"),
    "one sentence only": (lambda w, s, p: rate(*((w, s, p) if w.dim() == 2 else (w[0], s[0], p[0]))), None),
    "NaN where nothing is linked": (
        lambda w, s, p: rate(w, s, p) if p.any() else math.nan,
        "0/0",
    ),
    "one where nothing is linked": (lambda w, s, p: rate(w, s, p) if p.any() else 1.0, None),
    "hard-coded": (lambda w, s, p: 0.25, None),
    "a pair": (lambda w, s, p: (rate(w, s, p), 1 - rate(w, s, p)), "tuple"),
    "nothing": (lambda w, s, p: print("AER"), "return"),
    "rows and columns exchanged": (lambda w, s, p: rate(w.mT, s.mT, p.mT), None),
}


def by_loops(weights, sure, possible):
    if weights.dim() > 3:
        weights, sure, possible = (part.flatten(0, -3) for part in (weights, sure, possible))
    if weights.dim() == 2:
        weights, sure, possible = weights[None], sure[None], possible[None]
    right = made = 0
    for w, s, p in zip(weights.tolist(), sure.tolist(), possible.tolist(), strict=True):
        made += sum(map(sum, s))
        for row, in_sure, in_possible in zip(w, s, p, strict=True):
            if any(in_possible):
                column = max(range(len(row)), key=row.__getitem__)
                made += 1
                right += in_sure[column] + in_possible[column]
    return 1 - right / made if made else 0.0


def by_gather(weights, sure, possible):
    columns = weights.argmax(-1, keepdim=True)
    asked = possible.any(-1)
    right = sure.gather(-1, columns).sum() + possible.gather(-1, columns).sum()
    return 1.0 - right.item() / max(1, (asked.sum() + sure.sum()).item()) if possible.any() else 0.0


def by_maximum(weights, sure, possible):
    links = (weights == weights.amax(-1, keepdim=True)) & possible.any(-1, keepdim=True)
    counts = [part.double().sum() for part in (links & sure, links & possible, links, sure)]
    return float(torch.nan_to_num(1 - (counts[0] + counts[1]) / (counts[2] + counts[3]), nan=0.0))


RIGHT_10_2 = {
    "loops": by_loops,
    "gather": by_gather,
    "equal to the maximum": by_maximum,
    "plain": rate,
    "weights counted out": lambda w, s, p: 0.0 if not p.any() else float(
        1 - (links_of(w, p).float() * (s.float() + p.float())).sum() / (links_of(w, p).float() + s.float()).sum()
    ),
    "sparse": lambda w, s, p, scale=1.0: rate(scale * w, s, p),
}  # fmt: skip


# 10.3 ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def shares(weights, relation):
    columns = weights.argmax(-1, keepdim=True)
    hits = relation[:, None].expand_as(weights).gather(-1, columns)[..., 0]
    return hits.sum((0, 2)) / relation.any(-1).sum().clamp(min=1)


def loop_shares(weights, relation):
    result = []
    for head in range(weights.size(1)):
        hit = asked = 0
        for sentence, cells in zip(weights[:, head], relation, strict=True):
            for row, wanted in zip(sentence, cells, strict=True):
                if wanted.any():
                    asked += 1
                    hit += bool(wanted[row.argmax()])
        result.append(hit / max(asked, 1))
    return torch.tensor(result)


def first_wanted_only(weights, relation):
    first = F.one_hot(relation.int().argmax(-1), relation.size(-1)).bool() & relation
    return shares(weights, first)


def all_rows_hit(weights, relation):
    """A row is a hit if any wanted column has more than an even share."""
    above = (weights > 1 / weights.size(-1)) & relation[:, None]
    return above.any(-1).sum((0, 2)) / relation.any(-1).sum().clamp(min=1)


WRONG_10_3 = {
    "first wanted column only": (first_wanted_only, None),
    "above an even share": (all_rows_hit, None),
    "above a half": (
        lambda w, r: ((w > 0.5) & r[:, None]).any(-1).sum((0, 2)) / r.any(-1).sum().clamp(min=1),
        None,
    ),
    "smallest weight": (lambda w, r: shares(-w, r), None),
    "misses": (lambda w, r: (1 - shares(w, r)) * (r.any()), None),
    "relation turned over": (lambda w, r: shares(w, r.mT if r.size(1) == r.size(2) else r), None),
    "first sentence only": (lambda w, r: shares(w[:1], r[:1]), None),
    "first row only": (lambda w, r: shares(w[:, :, :1], r[:, :1]), None),
    "best head only": (lambda w, r: shares(w, r).max().expand(w.size(1)), None),
    "per cent": (lambda w, r: 100 * shares(w, r), "100"),
    "a list": (lambda w, r: shares(w, r).tolist(), None),
    "counts all": (lambda w, r: shares(w, r) * r.any(-1).sum(), "how many"),
    "keepdim": (lambda w, r: shares(w, r)[:, None], "shape"),
    "NaN where nothing is asked": (
        lambda w, r: shares(w, r) / (1.0 if r.any() else 0.0),
        "0/0",
    ),
    "relation changed": (lambda w, r: shares(w, r.logical_and_(r.any())) + 0 * r.fill_(False).sum(), "relation"),
    "float64": (lambda w, r: shares(w, r).double(), "float64"),
    "one column later": (lambda w, r: shares(w.roll(1, -1), r), None),
    "sentences averaged": (
        lambda w, r: torch.stack([shares(w[i : i + 1], r[i : i + 1]) for i in range(len(w))]).mean(0),
        None,
    ),
    "None": (lambda w, r: None, "return"),
    "weights ignored": (lambda w, r: torch.full((w.size(1),), r.float().mean().item()), None),
}

RIGHT_10_3 = {
    "loops": loop_shares,
    "one-hot": lambda w, r: (F.one_hot(w.argmax(-1), w.size(-1)).bool() & r[:, None]).sum((0, 2, 3))
    / r.any(-1).sum().clamp(min=1),
    "einsum": lambda w, r: torch.einsum("bhts,bts->h", F.one_hot(w.argmax(-1), w.size(-1)).float(), r.float())
    / r.any(-1).sum().clamp(min=1),
    "equal to the maximum": lambda w, r: ((w == w.amax(-1, keepdim=True)) & r[:, None]).any(-1).sum((0, 2))
    / max(1, int(r.any(-1).sum())),
    "rows picked": lambda w, r: (
        r[r.any(-1)][:, None].expand(-1, w.size(1), -1)
        .gather(-1, w.transpose(1, 2)[r.any(-1)].argmax(-1, keepdim=True))[..., 0].float().mean(0)
        if r.any() else torch.zeros(w.size(1))
    ),
    "head by head": lambda w, r, eps=0: torch.stack([shares(w[:, [h]], r)[0] for h in range(w.size(1))]),
}  # fmt: skip


WRONG = {"10.1": WRONG_10_1, "10.2": WRONG_10_2, "10.3": WRONG_10_3}
RIGHT = {"10.1": RIGHT_10_1, "10.2": RIGHT_10_2, "10.3": RIGHT_10_3}


def test_the_case_shown_is_an_ordinary_one():
    smallest = {examine(exercise("10.2"), lambda w, s, p: 1 - rate(w, s, p), seed).smallest.case for seed in range(3)}
    assert "no link at all" not in smallest


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
