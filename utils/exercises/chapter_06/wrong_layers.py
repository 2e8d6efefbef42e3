"""What goes wrong with encoder and decoder layers (chapter 06), and what puts it right."""

from utils.exercises.declare import Misconception
from utils.transformer.layers import DecoderLayer, EncoderLayer

# 6.1, the encoder layer ───────────────────────────────────────────────────────────────────────────────────────────


def encoder_with(forward):
    """A wrong answer to 6.1: an encoder layer with another forward pass. `forward` gets the layer, x and mask."""

    class Wrong(EncoderLayer):
        def forward(self, x, mask=None):
            return forward(self, x, mask)

    return Wrong


def attend(layer, y, mask):
    """Self-attention's output alone."""
    return layer.self_attention(y, y, y, mask)[0]


def feed_forward_first(layer, x, mask):
    x = layer.residuals[0](x, layer.feed_forward)
    return layer.residuals[1](x, lambda y: attend(layer, y, mask))


def one_residual(layer, x, mask):
    x = layer.residuals[0](x, lambda y: attend(layer, y, mask))
    return layer.residuals[0](x, layer.feed_forward)


def residuals_exchanged(layer, x, mask):
    x = layer.residuals[1](x, lambda y: attend(layer, y, mask))
    return layer.residuals[0](x, layer.feed_forward)


def without_residuals(layer, x, mask):
    return layer.feed_forward(attend(layer, x, mask))


def added_twice(layer, x, mask):
    x = layer.residuals[0](x, lambda y: y + attend(layer, y, mask))
    return layer.residuals[1](x, lambda y: y + layer.feed_forward(y))


def attention_dropped(layer, x, mask):
    layer.residuals[0](x, lambda y: attend(layer, y, mask))
    return layer.residuals[1](x, layer.feed_forward)


def only_queries_normalised(layer, x, mask):
    x = layer.residuals[0](x, lambda y, x=x: layer.self_attention(y, x, x, mask)[0])
    return layer.residuals[1](x, layer.feed_forward)


def post_norm_by_hand(layer, x, mask):
    first, second = layer.residuals
    x = first.normalise(x + first.dropout(attend(layer, x, mask)))
    return second.normalise(x + second.dropout(layer.feed_forward(x)))


def both_results_kept(layer, x, mask):
    x = layer.residuals[0](x, lambda y: layer.self_attention(y, y, y, mask))
    return layer.residuals[1](x, layer.feed_forward)


def feed_forward_forgotten(layer, x, mask):
    return layer.residuals[0](x, lambda y: attend(layer, y, mask))


class PlainListEncoder(EncoderLayer):
    """Right numbers, but the residuals' parameters are nobody's."""

    def __init__(self, self_attention, feed_forward, residuals):
        super().__init__(self_attention, feed_forward, [])
        del self.residuals
        self.residuals = list(residuals)


PLAIN_LIST = (
    "Your residuals stand in a plain Python list, which a module does not look into: their layer norms are not among "
    "`parameters()`, so that no optimiser trains them, `.to(device)` and `.eval()` pass them by, and no checkpoint "
    "holds them. `nn.ModuleList(residuals)` registers them."
)

ENCODER_LAYER = (
    Misconception(
        "mask forgotten",
        encoder_with(lambda layer, x, mask: EncoderLayer.forward(layer, x)),
        "Your layer gives the same whatever the mask says: hand it on as the fourth argument of the attention.",
    ),
    Misconception(
        "mask inverted",
        encoder_with(lambda layer, x, mask: EncoderLayer.forward(layer, x, None if mask is None else ~mask)),
        "You turn the mask round. True = may be attended to, in your attention as in what you are given: hand it on "
        "as it is.",
    ),
    Misconception(
        "keys and values not normalised",
        encoder_with(only_queries_normalised),
        "In pre-norm your queries are normalised, and your keys and values are not: the sub-layer uses `x` from "
        "outside where it should use what the residual hands it. `lambda y: self.self_attention(y, y, y, mask)[0]`.",
    ),
    Misconception(
        "post-norm by hand",
        encoder_with(post_norm_by_hand),
        "You write out LayerNorm(x + Dropout(Sublayer(x))), which is post-norm alone. The residual you are given knows "
        "whether it is post or pre: call it, `self.residuals[0](x, sublayer)`, and let it decide.",
    ),
    Misconception(
        "feed-forward first",
        encoder_with(feed_forward_first),
        "Your feed-forward network comes before the attention. Figure 1, left, from below: attention first.",
    ),
    Misconception(
        "one residual for both",
        encoder_with(one_residual),
        "You use `residuals[0]` for both sub-layers. Each has a layer norm of its own, with a gain and a bias of its "
        "own: the second one is `residuals[1]`.",
    ),
    Misconception(
        "residuals exchanged",
        encoder_with(residuals_exchanged),
        "Your residuals are exchanged: `residuals[0]` belongs to the attention, `residuals[1]` to the feed-forward "
        "network. At initialisation all layer norms are alike, so this shows only after training.",
    ),
    Misconception(
        "sub-layers without residuals",
        encoder_with(without_residuals),
        "You call the sub-layers bare. Each is to be wrapped, LayerNorm(x + Sublayer(x)) (§3.1): "
        "`self.residuals[0](x, sublayer)` does that.",
    ),
    Misconception(
        "added twice",
        encoder_with(added_twice),
        "You add x to what the sub-layer gives, and so does the residual: x counts twice. The residual adds; the "
        "sub-layer only computes.",
    ),
    Misconception(
        "attention's result dropped",
        encoder_with(attention_dropped),
        "What the first residual returns goes nowhere: the feed-forward network gets the layer's input once more. "
        "Assign it, `x = self.residuals[0](…)`, and go on from there.",
    ),
    Misconception(
        "feed-forward forgotten",
        encoder_with(feed_forward_forgotten),
        "Your layer ends after the attention: the feed-forward network with its residual is missing.",
    ),
    Misconception(
        "output and weights handed on",
        encoder_with(both_results_kept),
        "An attention returns two things, (output, weights), and a residual can add only one: take the first, "
        "`self.self_attention(y, y, y, mask)[0]`.",
    ),
    Misconception("plain list", PlainListEncoder, PLAIN_LIST),
)


# 6.2, the decoder layer ───────────────────────────────────────────────────────────────────────────────────────────


def decoder_with(forward):
    """A wrong answer to 6.2. `forward` gets the layer, x, memory, target_mask and source_mask."""

    class Wrong(DecoderLayer):
        def forward(self, x, memory, target_mask=None, source_mask=None):
            return forward(self, x, memory, target_mask, source_mask)

    return Wrong


def crossing(attended):
    """A wrong answer that calls the cross-attention otherwise. `attended` gets the layer, y, memory and its mask."""

    def forward(layer, x, memory, target_mask, source_mask):
        x = layer.residuals[0](x, lambda y: attend(layer, y, target_mask))
        x = layer.residuals[1](x, lambda y: attended(layer, y, memory, source_mask)[0])
        return layer.residuals[2](x, layer.feed_forward)

    return decoder_with(forward)


def in_order(*order):
    """A wrong answer whose sub-layers come in another order; 0: self-attention, 1: cross-attention, 2: the rest.

    Each keeps its own residual.
    """

    def forward(layer, x, memory, target_mask, source_mask):
        sublayers = (
            lambda y: attend(layer, y, target_mask),
            lambda y: layer.cross_attention(y, memory, memory, source_mask)[0],
            layer.feed_forward,
        )
        for index in order:
            x = layer.residuals[index](x, sublayers[index])
        return x

    return decoder_with(forward)


def with_residuals(*places):
    """A wrong answer that uses other residuals for the three sub-layers."""

    def forward(layer, x, memory, target_mask, source_mask):
        x = layer.residuals[places[0]](x, lambda y: attend(layer, y, target_mask))
        x = layer.residuals[places[1]](x, lambda y: layer.cross_attention(y, memory, memory, source_mask)[0])
        return layer.residuals[places[2]](x, layer.feed_forward)

    return decoder_with(forward)


def memory_normalised(layer, y, memory, mask):
    memory = layer.residuals[1].normalise(memory)
    return layer.cross_attention(y, memory, memory, mask)


class PlainListDecoder(DecoderLayer):
    """Right numbers, but the residuals' parameters are nobody's."""

    def __init__(self, self_attention, cross_attention, feed_forward, residuals):
        super().__init__(self_attention, cross_attention, feed_forward, [])
        del self.residuals
        self.residuals = list(residuals)


def decode(layer, x, memory, target_mask=None, source_mask=None):
    """The right forward pass."""
    return DecoderLayer.forward(layer, x, memory, target_mask, source_mask)


DECODER_LAYER = (
    Misconception(
        "target mask forgotten",
        decoder_with(lambda layer, x, memory, target_mask, source_mask: decode(layer, x, memory, None, source_mask)),
        "Your masked self-attention is not masked: it gets no `target_mask`, and every position sees the words it "
        "has to predict.",
    ),
    Misconception(
        "source mask forgotten",
        decoder_with(lambda layer, x, memory, target_mask, source_mask: decode(layer, x, memory, target_mask)),
        "Your attention to the source gets no `source_mask`: it attends to the source's padding.",
    ),
    Misconception(
        "masks exchanged",
        decoder_with(lambda layer, x, memory, target, source: decode(layer, x, memory, source, target)),
        "Your masks are exchanged: `target_mask` belongs to the self-attention, whose keys are the target, and "
        "`source_mask` to the attention whose keys are the memory.",
    ),
    Misconception(
        "target mask for both",
        decoder_with(lambda layer, x, memory, target_mask, _: decode(layer, x, memory, target_mask, target_mask)),
        "Your attention to the source gets the target's mask. The whole source may be seen from every position, its "
        "padding excepted: that is `source_mask`.",
    ),
    Misconception(
        "keys and values from the target",
        crossing(lambda layer, y, memory, mask: layer.cross_attention(y, y, y, None)),
        "Your second attention looks at the target once more: the memory plays no part, so the decoder does not "
        "know what it is to translate. Queries come from the decoder, keys and values from the memory.",
    ),
    Misconception(
        "values from the target",
        crossing(lambda layer, y, memory, mask: layer.cross_attention(y, memory, y, mask)),
        "Your keys come from the memory and your values from the target. Both come from the memory: what is found by "
        "a key is that key's value.",
    ),
    Misconception(
        "queries from the memory",
        crossing(lambda layer, y, memory, mask: layer.cross_attention(memory, y, y, None)),
        "Your second attention asks from the memory and answers from the target. It is the other way round: queries "
        "come from the decoder, keys and values from the memory.",
    ),
    Misconception(
        "memory normalised",
        crossing(memory_normalised),
        "You normalise the memory with the decoder layer's own norm. The encoder's output is normalised already, and "
        "only what the residual hands on, y, is this layer's to normalise: use the memory as it comes.",
    ),
    Misconception(
        "self-attention used twice",
        crossing(lambda layer, y, memory, mask: layer.self_attention(y, memory, memory, mask)),
        "You call `self_attention` for the source too. The two attentions have projections of their own: "
        "`self.cross_attention(y, memory, memory, source_mask)`.",
    ),
    Misconception(
        "source first",
        in_order(1, 0, 2),
        "Your layer looks at the source before it looks at the target. Figure 1, right, from below: masked "
        "self-attention, attention to the source, feed-forward.",
    ),
    Misconception(
        "feed-forward in between",
        in_order(0, 2, 1),
        "Your feed-forward network stands before the attention to the source. In figure 1 it comes last.",
    ),
    Misconception(
        "source left out",
        in_order(0, 2),
        "Your layer never looks at the memory: that is an encoder layer. Between self-attention and feed-forward "
        "stands the attention to the source.",
    ),
    Misconception(
        "one residual for all",
        with_residuals(0, 0, 0),
        "You use `residuals[0]` three times. Each sub-layer has a layer norm of its own: 0, 1 and 2, in their order.",
    ),
    Misconception("plain list", PlainListDecoder, PLAIN_LIST),
)
