"""What goes wrong with the decoder layer (chapter 06), and what puts it right."""

from utils.exercises.chapter_06.wrong_encoder import (
    ATTENTION_ITSELF,
    BARE_BY_HAND,
    BOTH_RESULTS,
    BY_HAND,
    FROM_OUTSIDE,
    PLAIN_LIST,
    RESULT,
    attend,
)
from utils.exercises.declare import Misconception
from utils.transformer.layers import DecoderLayer
from utils.transformer.masks import causal_mask


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


def in_order(*order, residuals=None):
    """A wrong answer whose sub-layers come in another order; 0: self-attention, 1: cross-attention, 2: the rest.

    Each keeps its own residual, unless told in which order these come.
    """

    def forward(layer, x, memory, target_mask, source_mask):
        sublayers = (
            lambda y: attend(layer, y, target_mask),
            lambda y: layer.cross_attention(y, memory, memory, source_mask)[0],
            layer.feed_forward,
        )
        for index, place in zip(order, residuals or order, strict=True):
            x = layer.residuals[place](x, sublayers[index])
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


def results_for_functions(layer, x, memory, target_mask, source_mask):
    x = layer.residuals[0](x, attend(layer, x, target_mask))
    x = layer.residuals[1](x, layer.cross_attention(x, memory, memory, source_mask)[0])
    return layer.residuals[2](x, layer.feed_forward(x))


def attention_for_a_function(layer, x, memory, target_mask, source_mask):
    x = layer.residuals[0](x, layer.self_attention)
    return layer.residuals[2](x, layer.feed_forward)


def both_results_kept(layer, x, memory, target_mask, source_mask):
    x = layer.residuals[0](x, lambda y: layer.self_attention(y, y, y, target_mask))
    return layer.residuals[2](x, layer.feed_forward)


def post_norm(dropping: bool):
    """A wrong answer that writes out post-norm, with its dropout or without."""

    def forward(layer, x, memory, target_mask, source_mask):
        sublayers = (
            lambda y: attend(layer, y, target_mask),
            lambda y: layer.cross_attention(y, memory, memory, source_mask)[0],
            layer.feed_forward,
        )
        for residual, sublayer in zip(layer.residuals, sublayers, strict=True):
            y = sublayer(x)
            x = residual.normalise(x + (residual.dropout(y) if dropping else y))
        return x

    return decoder_with(forward)


def from_outside(own: bool = False, across: bool = False, feed_forward: bool = False):
    """A wrong answer whose functions use x from outside, and not what the residual hands them."""

    def forward(layer, x, memory, target_mask, source_mask):
        def look_across(y):
            return layer.cross_attention(y, memory, memory, source_mask)[0]

        x = layer.residuals[0](x, lambda y, x=x: attend(layer, x if own else y, target_mask))
        x = layer.residuals[1](x, lambda y, x=x: look_across(x if across else y))
        return layer.residuals[2](x, lambda y: layer.feed_forward(x if feed_forward else y))

    return decoder_with(forward)


def masked_in(training: bool, target: bool = False, source: bool = False):
    """A wrong answer that hands one of its masks on, or both, in one mode only."""

    def forward(layer, x, memory, target_mask, source_mask):
        here = layer.training == training
        return decode(layer, x, memory, target_mask if here or not target else None,
                      source_mask if here or not source else None)  # fmt: skip

    return decoder_with(forward)


def masks_in_one_mode() -> list[Misconception]:
    """The six ways of using masks in one mode only."""
    found = []
    for training, mode in ((True, "training"), (False, "evaluation")):
        for which, told in (
            ({"target": True}, "Your masked self-attention is masked"),
            ({"source": True}, "Your attention to the source uses its mask"),
            ({"target": True, "source": True}, "Your masks are used"),
        ):
            sentence = f"{told} in {mode} mode only. What is hidden is hidden in both modes: hand the mask on in each."
            name = f"{' and '.join(which)} mask in {mode} mode only"
            found.append(Misconception(name, masked_in(training, **which), sentence, everywhere=True))
    return found


class PlainListDecoder(DecoderLayer):
    """Right numbers, but the residuals' parameters are nobody's."""

    def __init__(self, self_attention, cross_attention, feed_forward, residuals):
        super().__init__(self_attention, cross_attention, feed_forward, [])
        del self.residuals
        self.residuals = list(residuals)


def decode(layer, x, memory, target_mask=None, source_mask=None):
    """The right forward pass."""
    return DecoderLayer.forward(layer, x, memory, target_mask, source_mask)


def inverted(mask):
    """True for False."""
    return None if mask is None else ~mask


EXCHANGED = (
    "Two of your residuals are exchanged. They come in the order of the sub-layers: `residuals[0]` for self-attention, "
    "1 for the attention to the source, 2 for the feed-forward network. At initialisation all layer norms are alike, "
    "so this shows only after training."
)

DECODER_LAYER = (
    Misconception("results for functions", decoder_with(results_for_functions), RESULT),
    Misconception("attention for a function", decoder_with(attention_for_a_function), ATTENTION_ITSELF),
    Misconception("output and weights handed on", decoder_with(both_results_kept), BOTH_RESULTS),
    Misconception("self-attention of x", from_outside(own=True), "Your self-attention" + FROM_OUTSIDE),
    Misconception(
        "attention to the source from x", from_outside(across=True), "Your attention to the source" + FROM_OUTSIDE
    ),
    Misconception("feed-forward of x", from_outside(feed_forward=True), "Your feed-forward network" + FROM_OUTSIDE),
    Misconception(
        "all of x",
        from_outside(own=True, across=True, feed_forward=True),
        "Each of your three sub-layers" + FROM_OUTSIDE,
    ),
    *masks_in_one_mode(),
    Misconception("post-norm by hand", post_norm(dropping=True), BY_HAND),
    Misconception("post-norm by hand, no dropout", post_norm(dropping=False), BARE_BY_HAND),
    Misconception(
        "target mask forgotten",
        decoder_with(lambda layer, x, memory, target_mask, source_mask: decode(layer, x, memory, None, source_mask)),
        "Your masked self-attention works as one that is not masked: with no `target_mask` every position sees the "
        "words it has to predict.",
    ),
    Misconception(
        "source mask forgotten",
        decoder_with(lambda layer, x, memory, target_mask, source_mask: decode(layer, x, memory, target_mask)),
        "Your attention to the source works as one without `source_mask`: it attends to the source's padding.",
    ),
    Misconception(
        "masks exchanged",
        decoder_with(lambda layer, x, memory, target, source: decode(layer, x, memory, source, target)),
        "Your masks are exchanged: `target_mask` belongs to the self-attention, whose keys are the target, and "
        "`source_mask` to the attention whose keys are the memory.",
        everywhere=True,
    ),
    Misconception(
        "target mask inverted",
        decoder_with(lambda layer, x, memory, target, source: decode(layer, x, memory, inverted(target), source)),
        "You turn the target's mask round. True = may be attended to, in your attention as in what you are given: hand "
        "it on as it is.",
    ),
    Misconception(
        "source mask inverted",
        decoder_with(lambda layer, x, memory, target, source: decode(layer, x, memory, target, inverted(source))),
        "You turn the source's mask round. True = may be attended to, in your attention as in what you are given: hand "
        "it on as it is.",
    ),
    Misconception(
        "both masks inverted",
        decoder_with(
            lambda layer, x, memory, target, source: decode(layer, x, memory, inverted(target), inverted(source))
        ),
        "You turn the masks round. True = may be attended to, in your attentions as in what you are given: hand them "
        "on as they are.",
    ),
    Misconception(
        "a causal mask of its own",
        decoder_with(lambda layer, x, memory, _, source: decode(layer, x, memory, causal_mask(x.size(1)), source)),
        "Your self-attention hides the future where no mask is given, or another one. Which mask there is, your caller "
        "says: hand `target_mask` on as it is, None included.",
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
        "keys and values from the target, masked",
        crossing(lambda layer, y, memory, mask: layer.cross_attention(y, y, y, mask)),
        "Your second attention looks at the target once more, with the source's mask: the memory plays no part. "
        "Queries come from the decoder, keys and values from the memory.",
        everywhere=True,
    ),
    Misconception(
        "keys from the target",
        crossing(lambda layer, y, memory, mask: layer.cross_attention(y, y, memory, mask)),
        "Your keys come from the target and your values from the memory: (y, y, memory). Both come from the memory, "
        "(y, memory, memory): the queries of the target look for keys of the source, and fetch what belongs to them.",
    ),
    Misconception(
        "memory asks itself",
        crossing(lambda layer, y, memory, mask: layer.cross_attention(memory, memory, memory, mask)),
        "Your second attention is asked by the memory: its output is as long as the source. The queries come from the "
        "decoder: (y, memory, memory).",
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
        "source first, residuals in order",
        in_order(1, 0, 2, residuals=(0, 1, 2)),
        "Your attention to the source comes before your self-attention. Figure 1, right, from below: masked "
        "self-attention with `residuals[0]`, attention to the source with `residuals[1]`, feed-forward.",
    ),
    Misconception(
        "feed-forward in between, residuals in order",
        in_order(0, 2, 1, residuals=(0, 1, 2)),
        "Your feed-forward network stands before the attention to the source. In figure 1 it comes last, with "
        "`residuals[2]`.",
    ),
    Misconception(
        "feed-forward in between",
        in_order(0, 2, 1),
        "Your feed-forward network stands before the attention to the source. In figure 1 it comes last.",
    ),
    Misconception(
        "source left out",
        in_order(0, 2),
        "Nothing of the memory arrives in your output: that is an encoder layer. Between self-attention and "
        "feed-forward stands the attention to the source, and its result goes on to the feed-forward network.",
    ),
    Misconception(
        "one residual for all",
        with_residuals(0, 0, 0),
        "You use `residuals[0]` three times. Each sub-layer has a layer norm of its own: 0, 1 and 2, in their order.",
    ),
    Misconception("residuals 0, 2, 1", with_residuals(0, 2, 1), EXCHANGED),
    Misconception("residuals 1, 0, 2", with_residuals(1, 0, 2), EXCHANGED),
    Misconception("plain list", PlainListDecoder, PLAIN_LIST),
)
