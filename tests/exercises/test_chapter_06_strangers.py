"""Chapter 06, the encoder layer: answers as strangers would hand them in, wrong and right,
which no misconception was written after. Each wrong answer comes with words that its report must hold, or None.
"""

import copy
import functools

import torch
from torch import nn
from torch.nn import functional as F


def changed(base, **methods):
    return type("Changed", (base,), methods)


# 6.1 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Encoder(nn.Module):
    """Right, as a base for faults."""

    def __init__(self, self_attention, feed_forward, residuals):
        super().__init__()
        self.self_attention, self.feed_forward = self_attention, feed_forward
        self.residuals = nn.ModuleList(residuals)

    def forward(self, x, mask=None):
        x = self.residuals[0](x, lambda y: self.look(y, mask))
        return self.residuals[1](x, self.feed_forward)

    def look(self, y, mask):
        return self.self_attention(y, y, y, mask)[0]


class FirstMaskKept(Encoder):
    """A mask cached at the first call."""

    mask = None

    def forward(self, x, mask=None):
        self.mask = mask if self.mask is None else self.mask
        return super().forward(x, self.mask if self.mask is None or self.mask.size(-1) == x.size(1) else mask)


class CopiedResiduals(Encoder):
    def __init__(self, self_attention, feed_forward, residuals):
        super().__init__(self_attention, feed_forward, copy.deepcopy(residuals))


class CopiedAttention(Encoder):
    def __init__(self, self_attention, feed_forward, residuals):
        super().__init__(copy.deepcopy(self_attention), feed_forward, residuals)


class OneResidual(Encoder):
    def __init__(self, self_attention, feed_forward, residuals):
        super().__init__(self_attention, feed_forward, [residuals[0]] * 2)


class AttentionInAList(Encoder):
    def __init__(self, self_attention, feed_forward, residuals):
        super().__init__(nn.Identity(), feed_forward, residuals)
        self.hidden = [self_attention]

    def look(self, y, mask):
        return self.hidden[0](y, y, y, mask)[0]


class NormTooMany(Encoder):
    def __init__(self, self_attention, feed_forward, residuals):
        super().__init__(self_attention, feed_forward, residuals)
        self.norm = nn.LayerNorm(8)

    def forward(self, x, mask=None):
        return super().forward(x, mask)


class Restless(Encoder):
    """Changes a weight each time."""

    def forward(self, x, mask=None):
        found = super().forward(x, mask)
        with torch.no_grad():
            next(self.parameters()).mul_(0.999)
        return found


WRONG_6_1 = {
    "first head's mask": (
        changed(Encoder, look=lambda s, y, m: Encoder.look(s, y, m if m is None else m[:, :1])),
        "each head has a mask",
    ),
    "mask kept": (FirstMaskKept, "the same module has been called before, with other"),
    "residuals copied": (CopiedResiduals, "gradients are asked for"),
    "attention copied": (CopiedAttention, "gradient"),
    "one residual twice": (OneResidual, "You use `residuals[0]` for both sub-layers"),
    "attention in a list": (AttentionInAList, None),
    "a norm too many": (NormTooMany, "parameters"),
    "changes a weight": (Restless, None),
    "mask over queries": (
        changed(Encoder, look=lambda s, y, m: s.self_attention(y, y, y, m if m is None else m.mT)[0]),
        None,
    ),
    "hidden positions zeroed": (
        changed(
            Encoder,
            look=lambda s, y, m: s.self_attention(
                y if m is None else y * m.any(-2).any(1)[..., None].to(y) if m.size(-1) == y.size(1) else y, y, y, m
            )[0],
        ),
        None,
    ),
    "mask of floats": (
        changed(Encoder, look=lambda s, y, m: s.self_attention(y, y, y, None if m is None else m.float())[0]),
        None,
    ),
    "first row of the mask": (
        changed(Encoder, look=lambda s, y, m: s.self_attention(y, y, y, m if m is None else m[:, :, :1])[0]),
        None,
    ),
    "mask in the first place": (changed(Encoder, look=lambda s, y, m: s.self_attention(m, y, y, y)[0]), None),
    "weights for output": (changed(Encoder, look=lambda s, y, m: s.self_attention(y, y, y, m)[1]), None),
    "first sentence of the output": (changed(Encoder, look=lambda s, y, m: s.self_attention(y, y, y, m)[0][0]), None),
    "unpacked the wrong way": (
        changed(Encoder, look=lambda s, y, m: (lambda w, o: o)(*s.self_attention(y, y, y, m))),
        None,
    ),
    "x three times in a tuple": (changed(Encoder, look=lambda s, y, m: s.self_attention((y, y, y), m)[0]), None),
    "attention twice": (changed(Encoder, look=lambda s, y, m: Encoder.look(s, Encoder.look(s, y, m), m)), None),
    "feed-forward inside of the first": (
        changed(Encoder, forward=lambda s, x, mask=None: s.residuals[0](x, lambda y: s.feed_forward(s.look(y, mask)))),
        None,
    ),
    "feed-forward with the mask": (
        changed(
            Encoder,
            forward=lambda s, x, mask=None: s.residuals[1](
                s.residuals[0](x, lambda y: s.look(y, mask)), lambda y: s.feed_forward(y, mask)
            ),
        ),
        None,
    ),
    "residual of y": (changed(Encoder, look=lambda s, y, m: y + Encoder.look(s, y, m)), None),
    "both from the input": (
        changed(
            Encoder,
            forward=lambda s, x, mask=None: (
                s.residuals[0](x, lambda y: s.look(y, mask)) + s.residuals[1](x, s.feed_forward)
            ),
        ),
        None,
    ),
    "mask required": (changed(Encoder, forward=lambda s, x, mask: Encoder.forward(s, x, mask)), "mask=None"),
    "no gradient in the attention": (changed(Encoder, look=lambda s, y, m: Encoder.look(s, y.detach(), m)), "gradient"),
    "mask inferred from zeros": (
        changed(Encoder, look=lambda s, y, m: Encoder.look(s, y, (y.abs().sum(-1) > 0)[:, None, None])),
        "What your layer gives is what it gives without a mask:",
    ),
    "dropout of its own": (
        changed(Encoder, look=lambda s, y, m: F.dropout(Encoder.look(s, y, m), 0.1, s.training)),
        "the module is in training mode",
    ),
    "coroutine": (changed(Encoder, forward=(lambda f: f)(None)), None),
}


async def later(self, x, mask=None):
    return Encoder.forward(self, x, mask)


WRONG_6_1["coroutine"] = changed(Encoder, forward=later), "coroutine"


class Pairs(nn.Module):
    """Sub-layers and residuals in one ModuleDict, walked through."""

    def __init__(self, self_attention, feed_forward, residuals, name="layer"):
        super().__init__()
        self.parts = nn.ModuleDict({"feed_forward": feed_forward, "attention": self_attention})
        self.first, self.second = residuals

    def forward(self, x, mask=None, **ignored):
        def look(states):
            output, *_ = self.parts["attention"](query=states, key=states, value=states, mask=mask)
            return output

        return self.second(self.first(x, look), self.parts["feed_forward"])


class Composed(Encoder):
    def forward(self, x, mask=None):
        look = functools.partial(self.look, mask=mask)
        return functools.reduce(
            lambda h, step: step[0](h, step[1]), zip(self.residuals, (look, self.feed_forward), strict=True), x
        )


class Shown(Encoder):
    """Keeps the weights for later looks, as figures want them."""

    weights = None

    def look(self, y, mask):
        output, self.weights = self.self_attention(y, y, y, mask)
        return output


class Repeated(Encoder):
    def forward(self, x, mask=None):
        if mask is not None:
            mask = mask.expand(x.size(0), -1, x.size(1), x.size(1)).contiguous()
        return super().forward(x.clone(), mask)


class InASequence(nn.Module):
    def __init__(self, self_attention, feed_forward, residuals):
        super().__init__()
        for name, part in zip("abcd", (*residuals, feed_forward, self_attention), strict=True):
            self.add_module(name, part)

    def forward(self, x, mask=None):
        return self.b(self.a(x, lambda y: self.d(y, y, y, mask)[0]), lambda y: self.c(y))


RIGHT_6_1 = {
    "in pairs": Pairs,
    "composed": Composed,
    "shows its weights": Shown,
    "mask made large": Repeated,
    "added by name": InASequence,
    "a maker": lambda *parts: Encoder(*parts),
    "static": changed(Encoder, look=lambda s, y, mask: s.self_attention(y, y, y, mask=mask)[0]),
}


WRONG = {"6.1": WRONG_6_1}
RIGHT = {"6.1": RIGHT_6_1}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
