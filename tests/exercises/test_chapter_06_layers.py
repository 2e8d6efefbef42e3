"""Chapter 06, layers, from outside: plausible wrong answers that no misconception was written for, and unusual right
ones. Each wrong answer comes with words that its report must hold, or None.
"""

from functools import partial

import torch
from torch import nn

from utils.transformer import FeedForward, MultiHeadAttention

# 6.1 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Encoder(nn.Module):
    """Right, as a base for faults."""

    def __init__(self, self_attention, feed_forward, residuals):
        super().__init__()
        self.attention, self.transform, self.wrap = self_attention, feed_forward, nn.ModuleList(residuals)

    def look(self, y, mask):
        return self.attention(y, y, y, mask)[0]

    def forward(self, x, mask=None):
        return self.wrap[1](self.wrap[0](x, lambda y: self.look(y, mask)), self.transform)


class MaskTurned(Encoder):
    def look(self, y, mask):
        return super().look(y, None if mask is None else mask.mT)


class MaskAsValue(Encoder):
    def look(self, y, mask):
        return self.attention(y, y, mask)[0]


class WeightsToo(Encoder):
    def forward(self, x, mask=None):
        return super().forward(x, mask), self.attention(x, x, x, mask)[1]


class NormAtTheEnd(Encoder):
    def forward(self, x, mask=None):
        return nn.functional.layer_norm(super().forward(x, mask), x.shape[-1:])


class AlwaysDropout(Encoder):
    def forward(self, x, mask=None):
        return nn.functional.dropout(super().forward(x, mask), 0.1)


class BareFeedForward(Encoder):
    def forward(self, x, mask=None):
        x = self.wrap[0](x, lambda y: self.look(y, mask))
        return x + self.transform(x)


class Detached(Encoder):
    def look(self, y, mask):
        return super().look(y, mask).detach()


class Single(Encoder):
    def forward(self, x, mask=None):
        return super().forward(x.float(), mask)


class InPlace(Encoder):
    def forward(self, x, mask=None):
        x += self.look(x, mask)
        x = self.wrap[0].normalise(x)
        return self.wrap[1](x, self.transform)


class InATuple(Encoder):
    def __init__(self, self_attention, feed_forward, residuals):
        super().__init__(self_attention, feed_forward, [])
        del self.wrap
        self.wrap = tuple(residuals)


class PartsOfItsOwn(Encoder):
    def __init__(self, self_attention, feed_forward, residuals):
        super().__init__(MultiHeadAttention(8, 2), feed_forward, residuals)


class ResultForFunction(Encoder):
    def forward(self, x, mask=None):
        return self.wrap[1](self.wrap[0](x, self.look(x, mask)), self.transform)


class MaskInTrainingOnly(Encoder):
    def look(self, y, mask):
        return super().look(y, mask if self.training else None)


class NoMask(nn.Module):
    def __init__(self, self_attention, feed_forward, residuals):
        super().__init__()
        self.wrap = nn.ModuleList(residuals)

    def forward(self, x):
        return x


class FeedForwardTwice(Encoder):
    def forward(self, x, mask=None):
        return self.wrap[1](super().forward(x, mask), self.transform)


class OverSentences(Encoder):
    def look(self, y, mask):
        return super().look(y.transpose(0, 1), None).transpose(0, 1)


class AlwaysCausal(Encoder):
    def look(self, y, mask):
        return super().look(y, torch.ones(y.size(1), y.size(1), dtype=torch.bool).tril())


class NoSuper(nn.Module):
    def __init__(self, self_attention, feed_forward, residuals):
        self.attention = self_attention

    def forward(self, x, mask=None):
        return x


class FirstMask(Encoder):
    def look(self, y, mask):
        return super().look(y, None if mask is None else mask[:1])


class OnlyFirstToken(Encoder):
    def forward(self, x, mask=None):
        return super().forward(x, mask)[:, :1]


WRONG_6_1 = {
    "mask turned": (MaskTurned, None),
    "mask as value": (MaskAsValue, None),
    "weights too": (WeightsToo, "Tensor"),
    "norm at the end": (NormAtTheEnd, None),
    "dropout everywhere": (AlwaysDropout, None),
    "bare feed-forward": (BareFeedForward, None),
    "detached": (Detached, "gradient"),
    "single precision": (Single, "float64"),
    "in place": (InPlace, "`x`"),
    "residuals in a tuple": (InATuple, "parameters()"),
    "parts of its own": (PartsOfItsOwn, None),
    "result for a function": (ResultForFunction, "TypeError"),
    "mask in training only": (MaskInTrainingOnly, "mask"),
    "no mask parameter": (NoMask, "mask=None"),
    "feed-forward twice": (FeedForwardTwice, None),
    "over sentences": (OverSentences, None),
    "always causal": (AlwaysCausal, None),
    "no super": (NoSuper, "AttributeError"),
    "first mask for all": (FirstMask, None),
    "only the first token": (OnlyFirstToken, "shape"),
    "an instance": (Encoder(MultiHeadAttention(8, 2), FeedForward(8, 8), []), "class itself"),
}


class TwoNames(nn.Module):
    def __init__(self, self_attention, feed_forward, residuals, note="mine"):
        super().__init__()
        self.around_feed_forward, self.around_attention = residuals[1], residuals[0]
        self.feed_forward, self.heads, self.note = feed_forward, self_attention, note

    def forward(self, x, mask=None):
        def attention(y):
            output, _ = self.heads(key=y, query=y, value=y, mask=mask)
            return output

        return self.around_feed_forward(self.around_attention(x, attention), self.feed_forward)


class Looped(Encoder):
    def forward(self, x, mask=None):
        for wrap, sublayer in zip(self.wrap, (partial(self.look, mask=mask), self.transform), strict=True):
            x = wrap(x, sublayer)
        return x


class WrittenOut(Encoder):
    def forward(self, x, mask=None):
        for wrap, sublayer in zip(self.wrap, (lambda y: self.look(y, mask), self.transform), strict=True):
            if wrap.norm == "pre":
                x = x + wrap.dropout(sublayer(wrap.normalise(x)))
            else:
                x = wrap.normalise(x + wrap.dropout(sublayer(x)))
        return x


class InADict(nn.Module):
    def __init__(self, self_attention, feed_forward, residuals):
        super().__init__()
        self.all = nn.ModuleDict({"a": self_attention, "f": feed_forward, "0": residuals[0], "1": residuals[1]})

    def forward(self, x, mask=None, **unused):
        x = self.all["0"](x, lambda y: self.all["a"](y, y, y, mask)[0])
        return self.all["1"](x, lambda y: self.all["f"](y))


class EmptyMask(Encoder):
    def look(self, y, mask):
        return super().look(y, torch.ones(1, 1, dtype=torch.bool) if mask is None else mask)


class Registered(nn.Module):
    def __init__(self, self_attention, feed_forward, residuals):
        super().__init__()
        for index, part in enumerate([*residuals, feed_forward, self_attention]):
            self.add_module(f"part {index}", part)

    def forward(self, x, mask=None):
        first, second, transform, attention = self.children()
        return second(first(x, lambda y: attention(y, y, y, mask)[0]), transform)


RIGHT_6_1 = {
    "own names": Encoder, "two names": TwoNames, "looped": Looped, "written out": WrittenOut,
    "in a dictionary": InADict, "a mask where there is none": EmptyMask, "registered by hand": Registered,
}  # fmt: skip


# 6.2 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


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


WRONG_6_2 = {
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
    "order of parameters": (OrderOfParameters, "exchanged"),
    "cut to the shorter length": (CutToLength, None),
    "mean of the memory": (MemoryMean, None),
    "no feed-forward": (NoFeedForward, None),
    "remembers the first memory": (Remembers, None),
    "third residual unregistered": (TwoRegistered, "parameters()"),
    "post-norm by hand": (PostByHand, "pre-norm"),
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


WRONG = {"6.1": WRONG_6_1, "6.2": WRONG_6_2}
RIGHT = {"6.1": RIGHT_6_1, "6.2": RIGHT_6_2}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
