"""Chapter 06, the decoder layer, from outside: plausible wrong answers that no misconception was written for, and
unusual right ones. Each wrong answer comes with words that its report must hold, or None.
"""

from functools import partial

import torch
from torch import nn

from tests.exercises.test_chapter_06_encoder_layer import Encoder


class Decoder(nn.Module):
    """Right, as a base for faults."""

    def __init__(self, self_attention, cross_attention, feed_forward, residuals):
        super().__init__()
        self.own, self.across, self.transform = self_attention, cross_attention, feed_forward
        self.wrap = nn.ModuleList(residuals)

    def look_back(self, y, mask):
        return self.own(y, y, y, mask)[0]

    def look_across(self, y, memory, mask):
        return self.across(y, memory, memory, mask)[0]

    def forward(self, x, memory, target_mask=None, source_mask=None):
        x = self.wrap[0](x, lambda y: self.look_back(y, target_mask))
        x = self.wrap[1](x, lambda y: self.look_across(y, memory, source_mask))
        return self.wrap[2](x, self.transform)


class AttentionsExchanged(Decoder):
    def __init__(self, self_attention, cross_attention, feed_forward, residuals):
        super().__init__(cross_attention, self_attention, feed_forward, residuals)


class MasksInverted(Decoder):
    def forward(self, x, memory, target_mask=None, source_mask=None):
        inverted = (None if mask is None else ~mask for mask in (target_mask, source_mask))
        return super().forward(x, memory, *inverted)


class AlwaysOwnCausal(Decoder):
    def look_back(self, y, mask):
        return super().look_back(y, torch.ones(y.size(1), y.size(1), dtype=torch.bool).tril())


class MemoryDetached(Decoder):
    def look_across(self, y, memory, mask):
        return super().look_across(y, memory.detach(), mask)


class MemoryChanged(Decoder):
    def look_across(self, y, memory, mask):
        with torch.no_grad():
            memory.mul_(2)
        return super().look_across(y, memory / 2, mask)


class KeysOnly(Decoder):
    def look_across(self, y, memory, mask):
        return self.across(y, memory, torch.zeros_like(memory), mask)[0]


class InParallel(Decoder):
    def forward(self, x, memory, target_mask=None, source_mask=None):
        both = self.wrap[0](x, lambda y: self.look_back(y, target_mask) + self.look_across(y, memory, source_mask))
        return self.wrap[2](both, self.transform)


class WithTheMemory(Decoder):
    def forward(self, x, memory, target_mask=None, source_mask=None):
        return super().forward(x, memory, target_mask, source_mask), memory


class OwnInput(Decoder):
    def forward(self, x, memory, target_mask=None, source_mask=None):
        seen = self.wrap[0](x, lambda y: self.look_back(y, target_mask))
        seen = self.wrap[1](seen, lambda y: self.look_across(x, memory, source_mask))
        return self.wrap[2](seen, self.transform)


class MasksJoined(Decoder):
    def forward(self, x, memory, target_mask=None, source_mask=None):
        if target_mask is not None and source_mask is not None and target_mask.size(-1) == source_mask.size(-1):
            target_mask = target_mask & source_mask
        return super().forward(x, memory, target_mask, source_mask)


class OrderOfParameters(Decoder):
    def forward(self, x, memory, source_mask=None, target_mask=None):
        return super().forward(x, memory, target_mask, source_mask)


class CutToLength(Decoder):
    def look_across(self, y, memory, mask):
        length = min(y.size(1), memory.size(1))
        return super().look_across(y, memory[:, :length], None if mask is None else mask[..., :length])


class MemoryMean(Decoder):
    def look_across(self, y, memory, mask):
        return super().look_across(y, memory.mean(dim=1, keepdim=True), None)


class NoFeedForward(Decoder):
    def forward(self, x, memory, target_mask=None, source_mask=None):
        x = self.wrap[0](x, lambda y: self.look_back(y, target_mask))
        return self.wrap[1](x, lambda y: self.look_across(y, memory, source_mask))


class Remembers(Decoder):
    memory = None

    def forward(self, x, memory, target_mask=None, source_mask=None):
        type(self).memory = memory if type(self).memory is None else type(self).memory
        return super().forward(x, type(self).memory, target_mask, source_mask)


class TwoRegistered(Decoder):
    def __init__(self, self_attention, cross_attention, feed_forward, residuals):
        super().__init__(self_attention, cross_attention, feed_forward, residuals[:2])
        self.rest = residuals[2:]

    def forward(self, x, memory, target_mask=None, source_mask=None):
        x = self.wrap[0](x, lambda y: self.look_back(y, target_mask))
        x = self.wrap[1](x, lambda y: self.look_across(y, memory, source_mask))
        return self.rest[0](x, self.transform)


class PostByHand(Decoder):
    def forward(self, x, memory, target_mask=None, source_mask=None):
        x = self.wrap[0].normalise(x + self.look_back(x, target_mask))
        x = self.wrap[1].normalise(x + self.look_across(x, memory, source_mask))
        return self.wrap[2].normalise(x + self.transform(x))


def decoder(forward):
    return type("Changed", (Decoder,), {"forward": forward})


def across(look_across):
    return type("Changed", (Decoder,), {"look_across": look_across})


def steps(order, residuals):
    """The sub-layers in another order; 0: self-attention, 1: attention to the source, 2: feed-forward."""

    def forward(self, x, memory, target_mask=None, source_mask=None):
        sublayers = (
            lambda y: self.look_back(y, target_mask),
            lambda y: self.look_across(y, memory, source_mask),
            self.transform,
        )
        for index, place in zip(order, residuals, strict=True):
            x = self.wrap[place](x, sublayers[index])
        return x

    return decoder(forward)


def in_mode(back=None, forth=None):
    """The masks of self-attention or of attention to the source in that mode alone; None: in both."""

    class Changed(Decoder):
        def look_back(self, y, mask):
            return super().look_back(y, mask if back in (None, self.training) else None)

        def look_across(self, y, memory, mask):
            return super().look_across(y, memory, mask if forth in (None, self.training) else None)

    return Changed


def of_x(*those):
    """The functions of those sub-layers ignore what the residual hands to them."""

    def forward(self, x, memory, target_mask=None, source_mask=None):
        sublayers = (
            lambda y: self.look_back(y, target_mask),
            lambda y: self.look_across(y, memory, source_mask),
            self.transform,
        )
        for index in range(3):
            x = self.wrap[index](x, lambda y, i=index, x=x: sublayers[i](x if i in those else y))
        return x

    return decoder(forward)


def middle_called(self, x, memory, target_mask=None, source_mask=None):
    x = self.wrap[0](x, lambda y: self.look_back(y, target_mask))
    x = self.wrap[1](x, self.look_across(x, memory, source_mask))
    return self.wrap[2](x, self.transform)


class EvaluationOnly(Decoder):
    def forward(self, x, memory, target_mask=None, source_mask=None):
        return x if self.training else super().forward(x, memory, target_mask, source_mask)


WRONG_6_2 = {
    "y, y, memory": (across(lambda s, y, m, mask: s.across(y, y, m, mask)[0]), "(y, y, memory)"),
    "y, memory, y": (across(lambda s, y, m, mask: s.across(y, m, y, mask)[0]), "values from the target"),
    "y, y, y": (across(lambda s, y, m, mask: s.across(y, y, y, mask)[0]), "at the target once more"),
    "memory, y, y": (across(lambda s, y, m, mask: s.across(m, y, y)[0]), "asks from the memory"),
    "memory three times": (across(lambda s, y, m, mask: s.across(m, m, m, mask)[0]), "is asked by the memory"),
    "weights too, to the source": (across(lambda s, y, m, mask: s.across(y, m, m, mask)), "take the first"),
    "source first": (steps((1, 0, 2), (0, 1, 2)), "comes before your self-attention"),
    "source first, own residuals": (steps((1, 0, 2), (1, 0, 2)), "before it looks at the target"),
    "source last": (steps((0, 2, 1), (0, 1, 2)), "stands before the attention to the source"),
    "source last, own residuals": (steps((0, 2, 1), (0, 2, 1)), "stands before the attention to the source"),
    "result for a function": (decoder(middle_called), "calls its second argument"),
    "own mask in training only": (in_mode(back=True), "is masked in training mode only"),
    "own mask in evaluation only": (in_mode(back=False), "is masked in evaluation mode only"),
    "source's mask in training only": (in_mode(forth=True), "source uses its mask in training mode only"),
    "source's mask in evaluation only": (in_mode(forth=False), "source uses its mask in evaluation mode only"),
    "masks in evaluation only": (in_mode(False, False), "masks are used in evaluation mode only"),
    "nothing in training mode": (EvaluationOnly, None),
    "self-attention of x": (of_x(0), "Your self-attention uses `x` from outside"),
    "attention to the source of x": (of_x(1), "attention to the source uses `x` from outside"),
    "all of x": (of_x(0, 1, 2), "three sub-layers uses `x` from outside"),
    "attentions exchanged": (AttentionsExchanged, None),
    "masks inverted": (MasksInverted, None),
    "always causal": (AlwaysOwnCausal, None),
    "memory detached": (MemoryDetached, "`memory`"),
    "memory changed": (MemoryChanged, "`memory`"),
    "keys only": (KeysOnly, None),
    "in parallel": (InParallel, None),
    "with the memory": (WithTheMemory, "Tensor"),
    "asks with its own input": (OwnInput, None),
    "masks joined": (MasksJoined, None),
    "order of parameters": (OrderOfParameters, "in this order"),
    "cut to the shorter length": (CutToLength, None),
    "mean of the memory": (MemoryMean, None),
    "no feed-forward": (NoFeedForward, None),
    "remembers the first memory": (Remembers, None),
    "third residual unregistered": (TwoRegistered, "parameters()"),
    "post-norm by hand": (PostByHand, "post-norm alone, and without"),
    "encoder's constructor": (Encoder, "cross_attention"),
}


class Eager(Decoder):
    def forward(self, x, memory, target_mask=None, source_mask=None):
        keys = memory.clone()
        x = self.wrap[0](x, partial(self.look_back, mask=target_mask))
        x = self.wrap[1](x, lambda y: self.across(query=y, key=keys, value=keys, mask=source_mask)[0])
        return self.wrap[2](x, self.transform.forward)


class MoreKeywords(Decoder):
    def forward(self, x, memory, target_mask=None, source_mask=None, cache=None, **more):
        return super().forward(x, memory, target_mask, source_mask)


class LoopedDecoder(Decoder):
    def forward(self, x, memory, target_mask=None, source_mask=None):
        sublayers = (
            lambda y: self.look_back(y, target_mask),
            lambda y: self.look_across(y, memory, source_mask),
            self.transform,
        )
        for wrap, sublayer in zip(self.wrap, sublayers, strict=True):
            x = wrap(x, sublayer)
        return x


class OnTopOfAnEncoderLayer(nn.Module):
    """The first and the last sub-layer are an encoder layer's; the middle one stands between its two lines."""

    def __init__(self, self_attention, cross_attention, feed_forward, residuals):
        super().__init__()
        self.outer = Encoder(self_attention, feed_forward, [residuals[0], residuals[2]])
        self.middle, self.cross_attention = residuals[1], cross_attention

    def forward(self, x, memory, target_mask=None, source_mask=None):
        x = self.outer.wrap[0](x, lambda y: self.outer.look(y, target_mask))
        x = self.middle(x, lambda y: self.cross_attention(y, memory, memory, source_mask)[0])
        return self.outer.wrap[1](x, self.outer.transform)


class FullMasks(Decoder):
    def forward(self, x, memory, target_mask=None, source_mask=None):
        everything = torch.ones(1, 1, 1, 1, dtype=torch.bool)
        target_mask = everything if target_mask is None else target_mask
        source_mask = everything if source_mask is None else source_mask
        return super().forward(x, memory, target_mask, source_mask)


class WrittenOutDecoder(Decoder):
    def forward(self, x, memory, target_mask=None, source_mask=None):
        def step(wrap, x, sublayer):
            before, after = (wrap.normalise, nn.Identity()) if wrap.norm == "pre" else (nn.Identity(), wrap.normalise)
            return after(x + wrap.dropout(sublayer(before(x))))

        x = step(self.wrap[0], x, lambda y: self.look_back(y, target_mask))
        x = step(self.wrap[1], x, lambda y: self.look_across(y, memory, source_mask))
        return step(self.wrap[2], x, self.transform)


RIGHT_6_2 = {
    "own names": Decoder, "eager": Eager, "more keywords": MoreKeywords, "looped": LoopedDecoder,
    "on an encoder layer": OnTopOfAnEncoderLayer, "masks where there are none": FullMasks,
    "written out": WrittenOutDecoder,
}  # fmt: skip


WRONG = {"6.2": WRONG_6_2}
RIGHT = {"6.2": RIGHT_6_2}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
