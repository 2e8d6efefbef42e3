"""Chapter 06, the decoder layer: answers as strangers would hand them in, wrong and right,
which no misconception was written after. Each wrong answer comes with words that its report must hold, or None.
"""

import copy
import functools

import torch
from torch import nn
from torch.nn import functional as F

from utils.transformer import causal_mask


def changed(base, **methods):
    return type("Changed", (base,), methods)


# 6.2 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Decoder(nn.Module):
    """Right, as a base for faults."""

    def __init__(self, self_attention, cross_attention, feed_forward, residuals):
        super().__init__()
        self.self_attention, self.cross_attention, self.feed_forward = self_attention, cross_attention, feed_forward
        self.residuals = nn.ModuleList(residuals)

    def forward(self, x, memory, target_mask=None, source_mask=None):
        x = self.residuals[0](x, lambda y: self.back(y, target_mask))
        x = self.residuals[1](x, lambda y: self.across(y, memory, source_mask))
        return self.residuals[2](x, self.feed_forward)

    def back(self, y, mask):
        return self.self_attention(y, y, y, mask)[0]

    def across(self, y, memory, mask):
        return self.cross_attention(y, memory, memory, mask)[0]


def across(formula):
    return changed(Decoder, across=formula)


def back(formula):
    return changed(Decoder, back=formula)


class MemoryKept(Decoder):
    """The first memory of that shape serves every later call of this layer."""

    memory = None

    def forward(self, x, memory, target_mask=None, source_mask=None):
        if self.memory is None or self.memory.shape != memory.shape:
            self.memory = memory
        return super().forward(x, self.memory, target_mask, source_mask)


class CausalKept(Decoder):
    """Makes its own causal mask, once."""

    mask = None

    def forward(self, x, memory, target_mask=None, source_mask=None):
        if self.mask is None and target_mask is not None:
            self.mask = target_mask
        return super().forward(x, memory, target_mask if target_mask is None else self.mask, source_mask)


class CopiedSelfAttention(Decoder):
    def __init__(self, self_attention, cross_attention, feed_forward, residuals):
        super().__init__(copy.deepcopy(self_attention), cross_attention, feed_forward, residuals)


class AttentionsTied(Decoder):
    def __init__(self, self_attention, cross_attention, feed_forward, residuals):
        super().__init__(self_attention, self_attention, feed_forward, residuals)


def residuals_turned(self, x, memory, target_mask=None, source_mask=None):
    x = self.residuals[0](x, lambda y: self.back(y, target_mask))
    x = self.residuals[2](x, lambda y: self.across(y, memory, source_mask))
    return self.residuals[1](x, self.feed_forward)


def not_handed_on(self, x, memory, target_mask=None, source_mask=None):
    first = self.residuals[0](x, lambda y: self.back(y, target_mask))
    self.residuals[1](first, lambda y: self.across(y, memory, source_mask))
    return self.residuals[2](first, self.feed_forward)


def memory_added(self, x, memory, target_mask=None, source_mask=None):
    x = self.residuals[0](x, lambda y: self.back(y, target_mask))
    x = self.residuals[1](memory, lambda y: self.across(x, y, source_mask))
    return self.residuals[2](x, self.feed_forward)


def mask_of_both(self, x, memory, target_mask=None, source_mask=None):
    return Decoder.forward(self, x, memory, source_mask if target_mask is None else target_mask, source_mask)


def bare_cross(self, x, memory, target_mask=None, source_mask=None):
    x = self.residuals[0](x, lambda y: self.back(y, target_mask))
    x = x + self.across(x, memory, source_mask)
    return self.residuals[2](x, self.feed_forward)


def two_residuals(self, x, memory, target_mask=None, source_mask=None):
    x = self.residuals[0](x, lambda y: self.back(y, target_mask))
    x = self.residuals[1](x, lambda y: self.feed_forward(self.across(y, memory, source_mask)))
    return x


WRONG_6_2 = {
    "first head's masks": (
        changed(
            Decoder,
            back=lambda s, y, m: Decoder.back(s, y, m if m is None else m[:, :1]),
            across=lambda s, y, memory, m: Decoder.across(s, y, memory, m if m is None else m[:, :1]),
        ),
        "each head has a mask",
    ),
    "memory kept": (MemoryKept, "the same module has been called before, with other"),
    "mask kept": (CausalKept, "the same module has been called before, with other"),
    "self-attention copied": (CopiedSelfAttention, "gradient"),
    "attentions tied": (AttentionsTied, "You call `self_attention` for the source too"),
    "residuals 0, 2, 1": (changed(Decoder, forward=residuals_turned), "Two of your residuals are exchanged"),
    "cross-attention's result dropped": (
        changed(Decoder, forward=not_handed_on),
        "Nothing of the memory arrives in your output: that is an",
    ),
    "memory for the stream": (changed(Decoder, forward=memory_added), None),
    "source mask where none is": (
        changed(Decoder, forward=mask_of_both),
        None,
    ),
    "cross-attention bare": (changed(Decoder, forward=bare_cross), None),
    "two residuals for three": (changed(Decoder, forward=two_residuals), None),
    "memory's positions turned": (across(lambda s, y, m, mask: s.cross_attention(y, m, m.flip(1), mask)[0]), None),
    "memory of the first sentence": (
        across(lambda s, y, m, mask: s.cross_attention(y, m[:1].expand_as(m), m[:1].expand_as(m), mask)[0]),
        None,
    ),
    "memory's last only": (across(lambda s, y, m, mask: s.cross_attention(y, m[:, -1:], m[:, -1:], None)[0]), None),
    "keys normalised": (
        across(lambda s, y, m, mask: s.cross_attention(y, F.layer_norm(m, m.shape[-1:]), m, mask)[0]),
        None,
    ),
    "source mask turned": (
        across(lambda s, y, m, mask: s.cross_attention(y, m, m, mask if mask is None else mask.mT)[0]),
        None,
    ),
    "source mask inverted": (
        across(lambda s, y, m, mask: s.cross_attention(y, m, m, mask if mask is None else ~mask)[0]),
        "You turn the source's mask round",
    ),
    "target mask inverted": (
        back(lambda s, y, mask: s.self_attention(y, y, y, mask if mask is None else ~mask)[0]),
        "You turn the target's mask round",
    ),
    "target mask turned": (
        back(lambda s, y, mask: s.self_attention(y, y, y, mask if mask is None else mask.mT)[0]),
        None,
    ),
    "no diagonal": (
        back(lambda s, y, mask: s.self_attention(y, y, y, mask if mask is None else mask.tril(-1))[0]),
        None,
    ),
    "causal without being told": (
        back(lambda s, y, mask: s.self_attention(y, y, y, causal_mask(y.size(1)) if mask is None else mask)[0]),
        "Your self-attention hides the future where no mask is",
    ),
    "output times weights": (across(lambda s, y, m, mask: s.cross_attention(y, m, m, mask)[1].mean(1) @ m), None),
    "target and memory joined": (
        back(lambda s, y, mask: s.self_attention(torch.cat([y, y], 1), y, y, None)[0][:, : y.size(1)]),
        "Your masked self-attention works as one that is not",
    ),
    "memory first": (
        changed(
            Decoder,
            forward=lambda s, memory, x, target_mask=None, source_mask=None: Decoder.forward(
                s, x, memory, target_mask, source_mask
            ),
        ),
        None,
    ),
    "no masks in the signature": (
        changed(Decoder, forward=lambda s, x, memory: Decoder.forward(s, x, memory)),
        "target_mask=None",
    ),
    "self-attention without gradient": (back(lambda s, y, mask: Decoder.back(s, y, mask).detach()), "gradient"),
    "memory without gradient": (across(lambda s, y, m, mask: Decoder.across(s, y, m.clone().detach(), mask)), "memory"),
}


class Steps(Decoder):
    def forward(self, x, memory, target_mask=None, source_mask=None, *, cache=None):
        steps = [
            lambda y: self.self_attention(y, y, y, target_mask)[0],
            lambda y: self.cross_attention(query=y, key=memory, value=memory, mask=source_mask)[0],
            self.feed_forward,
        ]
        for residual, step in zip(self.residuals, steps, strict=True):
            x = residual(x, step)
        return x


class Triple(nn.Module):
    def __init__(self, self_attn, cross_attn, ff, residuals):
        super().__init__()
        self.r1, self.r2, self.r3 = residuals
        self.ff, self.cross, self.own = ff, cross_attn, self_attn

    def _own(self, mask, y):
        return self.own(y, y, y, mask)[0]

    def _cross(self, memory, mask, y):
        out, weights = self.cross(y, memory, memory, mask)
        self.last_weights = weights
        return out

    def forward(self, x, memory, target_mask=None, source_mask=None):
        h = self.r1(x, functools.partial(self._own, target_mask))
        h = self.r2(h, functools.partial(self._cross, memory, source_mask))
        return self.r3(h, self.ff)


class Sentences(Decoder):
    """Sentence by sentence, masks too."""

    def forward(self, x, memory, target_mask=None, source_mask=None):
        def of(mask, i):
            return mask if mask is None or mask.size(0) == 1 else mask[i : i + 1]

        rows = [
            Decoder.forward(self, x[i : i + 1], memory[i : i + 1], of(target_mask, i), of(source_mask, i))
            for i in range(len(x))
        ]
        return torch.cat(rows)


class Wide(Decoder):
    def back(self, y, mask):
        return super().back(y, None if mask is None else mask.expand(len(y), -1, y.size(1), y.size(1)))


class Keyed(nn.Module):
    def __init__(self, self_attention, cross_attention, feed_forward, residuals):
        super().__init__()
        self.parts = nn.ModuleDict({"a": self_attention, "b": cross_attention, "c": feed_forward})
        self.wraps = nn.ModuleDict({str(i): r for i, r in enumerate(residuals)})

    def forward(self, x, memory, target_mask=None, source_mask=None):
        x = self.wraps["0"](x, lambda y: self.parts["a"](y, y, y, target_mask)[0])
        x = self.wraps["1"](x, lambda y: self.parts["b"](y, memory, memory, source_mask)[0])
        return self.wraps["2"](x, self.parts["c"])


RIGHT_6_2 = {
    "in steps": Steps,
    "three names": Triple,
    "sentence by sentence": Sentences,
    "mask made wide": Wide,
    "keyed": Keyed,
    "partial": functools.partial(Triple),
}


WRONG = {"6.2": WRONG_6_2}
RIGHT = {"6.2": RIGHT_6_2}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
