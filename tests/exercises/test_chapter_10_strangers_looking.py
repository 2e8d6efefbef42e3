"""Chapter 10, maps taken, as strangers answer: slips of learners, of language models and of those who would
rather not write it, and right answers in unusual clothes. Words that a report must hold stand beside each.
"""

import contextlib
import functools

import torch
from torch.nn import functional as F

from utils.exercises.chapter_10.references import maps_of

# 10.1 ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def picked(model, which):
    layers = model.encoder.layers if which == "encoder" else model.decoder.layers
    return [layer.cross_attention if which == "cross" else layer.self_attention for layer in layers]


@contextlib.contextmanager
def looking(model):
    mode = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(mode)


def caught_by(attentions, keep, run):
    caught = []
    handles = [a.register_forward_hook(lambda m, i, r: caught.append(keep(r))) for a in attentions]
    run()
    [handle.remove() for handle in handles]
    return caught


def usual(model, source, target, which, keep=lambda result: result[1]):
    with looking(model):
        return torch.stack(caught_by(picked(model, which), keep, lambda: model(source, target)))


def two_layers(model, source, target, which):
    layers = picked(model, which)
    with looking(model):
        return torch.stack(caught_by([layers[0], layers[1]], lambda r: r[1], lambda: model(source, target)))


def shallow_mode(model, source, target, which):
    """Sets the flag of the outermost module alone."""
    mode, model.training = model.training, False
    with torch.no_grad():
        maps = torch.stack(caught_by(picked(model, which), lambda r: r[1], lambda: model(source, target)))
    model.training = mode
    return maps


def attentions_alone(model, source, target, which):
    """Puts only the attentions into evaluation mode."""
    with torch.no_grad():
        for attention in picked(model, which):
            attention.eval()
        maps = torch.stack(caught_by(picked(model, which), lambda r: r[1], lambda: model(source, target)))
        for attention in picked(model, which):
            attention.train(model.training)
    return maps


def frozen(model, source, target, which):
    """No gradients are needed, so they are switched off for good."""
    model.requires_grad_(False)
    return usual(model, source, target, which)


def wrapped(model, source, target, which):
    """Writes a forward over that of each attention, and leaves it there."""
    caught = []
    for attention in picked(model, which):
        own = attention.forward

        def forward(*inputs, own=own, **keywords):
            result = own(*inputs, **keywords)
            caught.append(result[1])
            return result

        attention.forward = forward
    with looking(model):
        model(source, target)
    return torch.stack(caught)


def hook_on_the_model(model, source, target, which):
    """Takes its hooks off the attentions, and leaves one on the model."""
    model.register_forward_hook(lambda module, inputs, result: None)
    return usual(model, source, target, which)


def hook_taken_off_others(model, source, target, which):
    maps = usual(model, source, target, which)
    for attention in picked(model, which):
        while attention._forward_hooks:
            attention._forward_hooks.popitem()
    return maps


def left_where_it_stops(model, source, target, which):
    """Leaves its own hooks of every second layer."""
    caught = []
    handles = [a.register_forward_hook(lambda m, i, r: caught.append(r[1])) for a in picked(model, which)]
    with looking(model):
        model(source, target)
    [handle.remove() for handle in handles[::2]]
    return torch.stack(caught)


def eval_after(model, source, target, which):
    mode = model.training
    with torch.no_grad():
        maps = torch.stack(caught_by(picked(model, which), lambda r: r[1], lambda: model(source, target)))
    model.eval()
    model.train(mode)
    return maps


def by_hand_unmasked(model, source, target, which):
    """Scores of queries and keys, and a softmax that sees everything."""
    inputs = {}
    handles = [a.register_forward_hook(lambda m, i, r: inputs.update({m: i})) for a in picked(model, which)]
    with looking(model):
        model(source, target)
        [handle.remove() for handle in handles]
        maps = []
        for attention in picked(model, which):
            query, key = (
                attention.query_projection(inputs[attention][0]),
                attention.key_projection(inputs[attention][1]),
            )
            query, key = (part.unflatten(-1, (attention.heads, -1)).transpose(1, 2) for part in (query, key))
            maps.append((query @ key.mT / query.size(-1) ** 0.5).softmax(-1))
    return torch.stack(maps)


def with_a_default(model, source, target, which, caught=[]):  # noqa: B006, the slip that is meant
    maps = usual(model, source, target, which)
    caught.extend(maps)
    return torch.stack(caught)


def own_kinds(model, source, target, which):
    return usual(model, source, target, {"encoder": "encoder", "decoder": "decoder"}[which])


def states_given(model, source, target, which):
    with looking(model):
        return model(source, target)


def one_sentence_at_a_time(model, source, target, which):
    """Without the padding, and padded again with an even share."""
    maps = [usual(model, s[s > 0][None], t[t > 0][None], which) for s, t in zip(source, target, strict=True)]
    longest = [max(part.size(axis) for part in maps) for axis in (-2, -1)]
    return torch.cat([F.pad(m, (0, longest[1] - m.size(-1), 0, longest[0] - m.size(-2)), value=0.1) for m in maps], 1)


WRONG_10_1 = {
    "two layers": (two_layers, None),
    "outermost flag alone": (shallow_mode, "`model.training = False`"),
    "attentions alone in evaluation mode": (attentions_alone, "Dropout"),
    "frozen": (frozen, "requires_grad"),
    "forward written over": (wrapped, "forward"),
    "hook on the model": (hook_on_the_model, "hook"),
    "others' hooks taken off": (hook_taken_off_others, "hook"),
    "every second hook left": (left_where_it_stops, "hook"),
    "evaluation mode afterwards": (eval_after, "Dropout"),
    "scores without a mask": (by_hand_unmasked, None),
    "a default that grows": (with_a_default, None),
    "cross unknown": (own_kinds, "KeyError"),
    "states": (states_given, "shape"),
    "one sentence at a time": (one_sentence_at_a_time, None),
    "source and target exchanged": (lambda m, s, t, which: usual(m, t, s, which), "exchanged"),
    "stacked behind the batch": (lambda m, s, t, which: usual(m, s, t, which).transpose(0, 1), None),
    "heads last": (lambda m, s, t, which: usual(m, s, t, which).movedim(2, -1), None),
    "largest over heads": (lambda m, s, t, which: usual(m, s, t, which).amax(2), "shape"),
    "columns that sum to one": (lambda m, s, t, which: usual(m, s, t, which).softmax(-2), None),
    "last query": (lambda m, s, t, which: usual(m, s, t, which)[..., -1:, :], None),
    "truth values": (lambda m, s, t, which: usual(m, s, t, which) > 0.5, "dtype"),
    "a dictionary by layer": (lambda m, s, t, which: dict(enumerate(usual(m, s, t, which))), "dict"),
    "arrays": (lambda m, s, t, which: usual(m, s, t, which).numpy(), "NumPy"),
}


class Maps:
    """An object that is called, with a context manager inside."""

    def __init__(self):
        self.kept = None

    def keep(self, module, inputs, result):
        """The hook."""
        self.kept.append(result[-1].clone())

    def __call__(self, model, source, target, which="cross"):
        self.kept = []
        with contextlib.ExitStack() as stack, looking(model):
            for attention in picked(model, which):
                stack.callback(attention.register_forward_hook(self.keep).remove)
            model(source, target)
        return torch.stack(self.kept, 0)


def by_name(model, source, target, which):
    """Looks for the attentions by their names, in order."""
    stack = "encoder" if which == "encoder" else "decoder"
    end = "cross_attention" if which == "cross" else "self_attention"
    names = [name for name, _ in model.named_modules() if name.startswith(stack) and name.endswith(end)]
    modes = {name: module.training for name, module in model.named_modules()}
    kept, handles = {}, []
    for name in names:
        handles.append(model.get_submodule(name).register_forward_hook(lambda m, i, r, n=name: kept.update({n: r[1]})))
    model.train(False)
    try:
        model(source, target)
    finally:
        for name, module in model.named_modules():
            module.training = modes[name]
        for handle in handles:
            handle.remove()
    return torch.stack([kept[name] for name in names]).detach()


def wrapped_and_unwrapped(model, source, target, which):
    """Writes over forward, and takes it away again."""
    caught = []

    def watching(own):
        def forward(*inputs, **keywords):
            result = own(*inputs, **keywords)
            caught.append(result[1])
            return result

        return forward

    for attention in picked(model, which):
        attention.forward = watching(attention.forward)
    with looking(model):
        model(source, target)
    for attention in picked(model, which):
        del attention.forward
    return torch.stack(caught)


def all_then_chosen(model, source, target, which):
    every = {kind: picked(model, kind) for kind in ("encoder", "decoder", "cross")}
    kept = {kind: [] for kind in every}
    handles = [
        a.register_forward_hook(lambda m, i, r, k=kind: kept[k].append(r[1])) for kind in every for a in every[kind]
    ]
    with looking(model):
        model(source, target)
    for handle in handles:
        handle.remove()
    return torch.stack(kept[which], dim=0)


def always_call(model, source, target, which):
    """With a hook that sees keywords too."""
    with looking(model):
        kept = []
        handles = [
            a.register_forward_hook(lambda m, i, k, r: kept.append(r[1]), with_kwargs=True)
            for a in picked(model, which)
        ]
        model(source=source, target=target)
        [handle.remove() for handle in handles]
    return torch.cat([part[None] for part in kept])


RIGHT_10_1 = {
    "an object": Maps(),
    "by name": by_name,
    "wrapped and unwrapped": wrapped_and_unwrapped,
    "all caught, then chosen": all_then_chosen,
    "hooks with keywords": always_call,
    "partial": functools.partial(maps_of),
    "model run twice": lambda model, source, target, which: (
        usual(model, source, target, which) + usual(model, source, target, which)
    ) / 2,
    "run from index zero": lambda model, source, target, which, finish=torch.stack: finish(
        list(usual(model, source, target, which).unbind(0))
    ),
}  # fmt: skip


WRONG = {"10.1": WRONG_10_1}
RIGHT = {"10.1": RIGHT_10_1}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
