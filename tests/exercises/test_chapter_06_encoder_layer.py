"""Chapter 06, the encoder layer, from outside: plausible wrong answers that no misconception was written for, and
unusual right ones. Each wrong answer comes with words that its report must hold, or None.
"""

from functools import partial

import torch
from torch import nn

from utils.transformer import FeedForward, MultiHeadAttention


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


class MaskInEvaluationOnly(Encoder):
    def look(self, y, mask):
        return super().look(y, None if self.training else mask)


class EvaluationOnly(Encoder):
    def forward(self, x, mask=None):
        return x if self.training else super().forward(x, mask)


class DropoutLost(Encoder):
    """Written out for post and pre, without the residual's dropout."""

    def forward(self, x, mask=None):
        for wrap, sublayer in zip(self.wrap, (lambda y: self.look(y, mask), self.transform), strict=True):
            x = x + sublayer(wrap.normalise(x)) if wrap.norm == "pre" else wrap.normalise(x + sublayer(x))
        return x


def encoder(forward):
    return type("Changed", (Encoder,), {"forward": forward})


def feed_forward_called(self, x, mask=None):
    x = self.wrap[0](x, lambda y: self.look(y, mask))
    return self.wrap[1](x, self.transform(x))


def all_of_x(self, x, mask=None):
    looked = self.wrap[0](x, lambda y: self.look(x, mask))
    return self.wrap[1](looked, lambda y: self.transform(looked))


def attention_of_x(self, x, mask=None):
    x = self.wrap[0](x, lambda y, x=x: self.attention(x, x, x, mask)[0])
    return self.wrap[1](x, self.transform)


def feed_forward_of_x(self, x, mask=None):
    x = self.wrap[0](x, lambda y: self.look(y, mask))
    return self.wrap[1](x, lambda y: self.transform(x))


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
    "result for a function": (ResultForFunction, "calls its second argument"),
    "feed-forward called": (encoder(feed_forward_called), "calls its second argument"),
    "attention for a function": (
        encoder(lambda self, x, mask=None: self.wrap[1](self.wrap[0](x, self.attention), self.transform)),
        "put a function around it",
    ),
    "attention of x": (encoder(attention_of_x), "Your attention uses `x` from outside"),
    "feed-forward of x": (encoder(feed_forward_of_x), "feed-forward network uses `x` from outside"),
    "all of x": (encoder(all_of_x), "two sub-layers uses `x` from outside"),
    "mask in training only": (MaskInTrainingOnly, "in training mode only"),
    "mask in evaluation only": (MaskInEvaluationOnly, "in evaluation mode only"),
    "nothing in training mode": (EvaluationOnly, None),
    "the residuals' dropout lost": (DropoutLost, "the module is in training mode"),
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


WRONG = {"6.1": WRONG_6_1}
RIGHT = {"6.1": RIGHT_6_1}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
