"""What goes wrong with the encoder layer (chapter 06), and what puts it right."""

from utils.exercises.declare import Misconception
from utils.transformer.layers import EncoderLayer


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


def post_norm_bare(layer, x, mask):
    first, second = layer.residuals
    x = first.normalise(x + attend(layer, x, mask))
    return second.normalise(x + layer.feed_forward(x))


def both_results_kept(layer, x, mask):
    x = layer.residuals[0](x, lambda y: layer.self_attention(y, y, y, mask))
    return layer.residuals[1](x, layer.feed_forward)


def feed_forward_forgotten(layer, x, mask):
    return layer.residuals[0](x, lambda y: attend(layer, y, mask))


def result_for_a_function(layer, x, mask):
    x = layer.residuals[0](x, attend(layer, x, mask))
    return layer.residuals[1](x, layer.feed_forward(x))


def attention_for_a_function(layer, x, mask):
    x = layer.residuals[0](x, layer.self_attention)
    return layer.residuals[1](x, layer.feed_forward)


def from_outside(attention: bool, feed_forward: bool):
    """A wrong answer whose functions use x from outside, and not what the residual hands them."""

    def forward(layer, x, mask):
        x = layer.residuals[0](x, lambda y, x=x: attend(layer, x if attention else y, mask))
        return layer.residuals[1](x, lambda y: layer.feed_forward(x if feed_forward else y))

    return encoder_with(forward)


def masked_in(training: bool):
    """A wrong answer that hands its mask on in one mode only."""
    return encoder_with(
        lambda layer, x, mask: EncoderLayer.forward(layer, x, mask if layer.training == training else None)
    )


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

RESULT = (
    "A tensor is called as if it were a function. A residual calls its second argument, for it decides what the "
    "sub-layer gets: hand it a function, `lambda y: …` or a module such as `self.feed_forward`, not what that gives."
)
ATTENTION_ITSELF = (
    "You hand the residual an attention as it is. A residual calls its sub-layer with one tensor; an attention wants "
    "query, key, value and mask: put a function around it that takes one, `lambda y: …`."
)
FROM_OUTSIDE = (
    " uses `x` from outside, and not the `y` that the residual hands to it. With post-norm they are the same; with "
    "pre-norm y is the normalised x, and your sub-layer never sees it: `lambda y: …` has to speak of y alone."
)
BY_HAND = (
    "You write out LayerNorm(x + Dropout(Sublayer(x))), which is post-norm alone. The residual you are given knows "
    "whether it is post or pre: call it, `self.residuals[0](x, sublayer)`, and let it decide."
)
BARE_BY_HAND = (
    "You write out LayerNorm(x + Sublayer(x)), which is post-norm alone, and without its dropout. The residual you are "
    "given has one, and knows whether it is post or pre: call it, `self.residuals[0](x, sublayer)`."
)
BOTH_RESULTS = (
    "An attention returns two things, (output, weights), and a residual can add only one: take the first, "
    "`self.self_attention(y, y, y, mask)[0]`."
)

ENCODER_LAYER = (
    Misconception("result for a function", encoder_with(result_for_a_function), RESULT),
    Misconception("attention for a function", encoder_with(attention_for_a_function), ATTENTION_ITSELF),
    Misconception("attention of x", from_outside(True, False), "Your attention" + FROM_OUTSIDE),
    Misconception("feed-forward of x", from_outside(False, True), "Your feed-forward network" + FROM_OUTSIDE),
    Misconception("both of x", from_outside(True, True), "Each of your two sub-layers" + FROM_OUTSIDE),
    Misconception(
        "mask in training mode only",
        masked_in(training=True),
        "Your layer uses its mask in training mode only. Padding is padding in evaluation mode too: hand the mask on "
        "whatever the mode.",
        everywhere=True,
    ),
    Misconception(
        "mask in evaluation mode only",
        masked_in(training=False),
        "Your layer uses its mask in evaluation mode only. Training is where seeing what is hidden does its harm: hand "
        " the mask on whatever the mode.",
        everywhere=True,
    ),
    Misconception(
        "mask forgotten",
        encoder_with(lambda layer, x, mask: EncoderLayer.forward(layer, x)),
        "What your layer gives is what it gives without a mask: hand the mask on as the fourth argument of the "
        "attention.",
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
    Misconception("post-norm by hand", encoder_with(post_norm_by_hand), BY_HAND),
    Misconception("post-norm by hand, no dropout", encoder_with(post_norm_bare), BARE_BY_HAND),
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
        BOTH_RESULTS,
    ),
    Misconception("plain list", PlainListEncoder, PLAIN_LIST),
)
