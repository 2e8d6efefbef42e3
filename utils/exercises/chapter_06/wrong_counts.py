"""What goes wrong with counting parameters and with the families' masks (chapter 06), and what puts it right."""

from torch import Tensor

from utils.exercises.chapter_06.references import family_mask, transformer_parameters
from utils.exercises.declare import Misconception

# 6.6, counting ────────────────────────────────────────────────────────────────────────────────────────────────────


def counted(difference):
    """A wrong answer to 6.6 that is off by something. `difference` gets all arguments."""

    def answer(vocab_size: int, layers: int, d_model: int, d_ff: int, bias: bool = True) -> int:
        right = transformer_parameters(vocab_size, layers, d_model, d_ff, bias)
        return right + difference(vocab_size, layers, d_model, d_ff, bias)

    return answer


def attention(width: int, bias: bool) -> int:
    """One multi-head attention."""
    return 4 * (width * width + bias * width)


COUNTING = (
    Misconception(
        "three tables",
        counted(lambda v, n, d, f, bias: 2 * v * d),
        "You count three tables of vectors: source, target and output. All three share one (§3.4).",
    ),
    Misconception(
        "two tables",
        counted(lambda v, n, d, f, bias: v * d),
        "You count two tables of vectors. Source, target and the output layer share one and the same (§3.4).",
    ),
    Misconception(
        "a bias in the output layer",
        counted(lambda v, n, d, f, bias: v),
        "You count a bias for each vocabulary entry. The output layer is the embedding's table and nothing more.",
    ),
    Misconception(
        "attention to the source forgotten",
        counted(lambda v, n, d, f, bias: -n * attention(d, bias)),
        "A decoder layer has two attentions, self-attention and the one to the source: you count one.",
    ),
    Misconception(
        "output projections forgotten",
        counted(lambda v, n, d, f, bias: -3 * n * (d * d + bias * d)),
        "An attention has four matrices: for queries, keys and values, and W^O that joins the heads. You count three.",
    ),
    Misconception(
        "layer norms forgotten",
        counted(lambda v, n, d, f, bias: -n * 5 * 2 * d),
        "Layer norms are missing: two in an encoder layer, three in a decoder layer, each with a gain and a bias.",
    ),
    Misconception(
        "a layer norm has a gain only",
        counted(lambda v, n, d, f, bias: -n * 5 * d),
        "A layer norm has a gain and a bias, 2 · d_model numbers; you count d_model.",
    ),
    Misconception(
        "two layer norms in the decoder",
        counted(lambda v, n, d, f, bias: -n * 2 * d),
        "You count 2 · d_model too few for each encoder layer with its decoder layer. Either a layer norm is missing: "
        "a decoder layer has three sub-layers, each with a norm of its own. Or b_2 is: a feed-forward network has two "
        "biases, and b_2 has d_model numbers.",
    ),
    Misconception(
        "feed-forward without b_1",
        counted(lambda v, n, d, f, bias: -n * 2 * f),
        "The inner bias of the feed-forward networks is missing: b_1 has d_ff numbers (Eq. 2).",
    ),
    Misconception(
        "decoder layers like encoder layers",
        counted(lambda v, n, d, f, bias: -n * (attention(d, bias) + 2 * d)),
        "You count decoder layers as if they were encoder layers. Each has a second attention, the one to the source, "
        "and a third layer norm.",
    ),
    Misconception(
        "three biases in an attention",
        counted(lambda v, n, d, f, bias: -3 * n * d * bias),
        "You count three biases for each attention. There are four projections, that of the output among them, and "
        "with `bias` each has one.",
    ),
    Misconception(
        "no biases by default",
        lambda vocab_size, layers, d_model, d_ff, bias=False: transformer_parameters(
            vocab_size, layers, d_model, d_ff, bias
        ),
        "When nothing is said of `bias` you count none. Its default is True: `bias=True`.",
    ),
    Misconception(
        "final norms",
        counted(lambda v, n, d, f, bias: 4 * d),
        "You count a layer norm at the end of each stack. Pre-norm models have it; the paper's, post-norm, end with "
        "the norm of their last sub-layer.",
    ),
    Misconception(
        "feed-forward without biases",
        counted(lambda v, n, d, f, bias: -2 * n * (d + f)),
        "The feed-forward network has two biases, b_1 of d_ff numbers and b_2 of d_model (Eq. 2).",
    ),
    Misconception(
        "bias ignored",
        lambda vocab_size, layers, d_model, d_ff, bias=True: transformer_parameters(vocab_size, layers, d_model, d_ff),
        "With bias=False the attentions' projections have none: your count stays the same.",
    ),
    Misconception(
        "bias=False for all",
        lambda vocab_size, layers, d_model, d_ff, bias=True: (
            transformer_parameters(vocab_size, layers, d_model, d_ff, bias) - (not bias) * 2 * layers * (d_model + d_ff)
        ),
        "`bias` speaks of the attentions' projections only. The feed-forward network keeps its two biases: they stand "
        "in Eq. 2.",
    ),
    Misconception(
        "one layer",
        lambda vocab_size, layers, d_model, d_ff, bias=True: transformer_parameters(vocab_size, 1, d_model, d_ff, bias),
        "You count one layer a side. There are `layers` of them in the encoder and as many in the decoder.",
        everywhere=True,
    ),
    Misconception(
        "encoder alone",
        counted(lambda v, n, d, f, bias: -n * (2 * attention(d, bias) + 2 * d * f + d + f + 6 * d)),
        "You count the table and the encoder: the decoder, with three sub-layers in each layer, is missing.",
    ),
    Misconception(
        "embeddings forgotten",
        counted(lambda v, n, d, f, bias: -v * d),
        "The table of vectors, vocab_size · d_model, is missing.",
    ),
)


# 6.7, the families ────────────────────────────────────────────────────────────────────────────────────────────────


def masked(change):
    """A wrong answer to 6.7. `change` gets the right mask, family, source_len and target_len, and gives another."""

    def answer(family: str, source_len: int, target_len: int) -> Tensor:
        return change(family_mask(family, source_len, target_len).clone(), family, source_len, target_len)

    return answer


def source_sees_target(mask, family, source_len, target_len):
    if family == "encoder-decoder":
        mask[:source_len, source_len:] = True
    return mask


def target_blind(mask, family, source_len, target_len):
    if family == "encoder-decoder":
        mask[source_len:, :source_len] = False
    return mask


def target_free(mask, family, source_len, target_len):
    if family == "encoder-decoder":
        mask[source_len:, source_len:] = True
    return mask


def blocks_apart(mask, family, source_len, target_len):
    if family == "encoder-only":
        mask[:source_len, source_len:] = False
    return mask


FAMILY_MASK = (
    Misconception(
        "causal source",
        lambda family, source_len, target_len: family_mask(
            "encoder-only" if family == "encoder-only" else "decoder-only", source_len, target_len
        ),
        "Your encoder–decoder looks only backwards inside of the source: that is a decoder-only model. An encoder sees "
        "its whole sentence, so the upper left block is all True.",
        everywhere=True,
    ),
    Misconception(
        "source sees the target",
        masked(source_sees_target),
        "In your encoder–decoder the source looks at the target. The encoder has finished before the decoder begins, "
        "so the upper right block is all False.",
    ),
    Misconception(
        "target blind for the source",
        masked(target_blind),
        "In your encoder–decoder the target cannot see the source: the lower left block, which is the attention to the "
        "source, must be True.",
    ),
    Misconception(
        "target sees its future",
        masked(target_free),
        "In your encoder–decoder the target sees its own future: the lower right block is a triangle.",
    ),
    Misconception(
        "columns are queries",
        masked(lambda mask, *rest: mask.t()),
        "Your mask is transposed: rows are queries, columns are keys. Row i says what position i sees.",
    ),
    Misconception(
        "True blocks",
        masked(lambda mask, *rest: ~mask),
        "Your mask is True where looking is forbidden. In this course True = may be attended to.",
    ),
    Misconception(
        "lengths exchanged",
        lambda family, source_len, target_len: family_mask(family, target_len, source_len),
        "You treat the first target_len positions as the source. The source comes first, and it has source_len.",
        everywhere=True,
    ),
    Misconception(
        "every family alike",
        lambda family, source_len, target_len: family_mask("encoder-decoder", source_len, target_len),
        "Your mask is the same for every family: `family` plays no part.",
        everywhere=True,
    ),
    Misconception(
        "decoder-only with the prefix mask",
        lambda family, source_len, target_len: family_mask(
            "encoder-decoder" if family == "decoder-only" else family, source_len, target_len
        ),
        "Your decoder-only model looks ahead inside of the source: that is the encoder–decoder's mask. Here everyone "
        "sees what stands before and nothing else, the source included.",
    ),
    Misconception(
        "not itself",
        lambda family, source_len, target_len: (
            family_mask(family, source_len, target_len).tril(-1)
            if family == "decoder-only"
            else family_mask(family, source_len, target_len)
        ),
        "In your decoder-only mask no position sees itself: `tril(-1)` leaves out the diagonal, and the first position "
        "has nothing to look at. `tril()` keeps it.",
    ),
    Misconception(
        "one row for each target position",
        lambda family, source_len, target_len: family_mask(family, source_len, target_len)[source_len:],
        "You give the rows of the target only. The source's positions are queries too, in the encoder's "
        "self-attention.",
    ),
    Misconception(
        "encoder-only without the target",
        lambda family, source_len, target_len: family_mask(
            family, source_len, 0 if family == "encoder-only" else target_len
        ),
        "Your encoder-only mask covers the source alone. For each family source and target stand in one sequence, of "
        "source_len + target_len.",
    ),
    Misconception(
        "decoder-only without the source",
        lambda family, source_len, target_len: family_mask(
            family, 0 if family == "decoder-only" else source_len, target_len
        ),
        "Your decoder-only mask covers the target alone. For each family source and target stand in one sequence, of "
        "source_len + target_len.",
    ),
    Misconception(
        "encoder-only in blocks",
        masked(blocks_apart),
        "In your encoder-only mask the source does not see the target. With an encoder alone everyone sees everyone: "
        "all True.",
    ),
    Misconception(
        "ones and zeros",
        masked(lambda mask, *rest: mask.float()),
        "Your ones and zeros stand where they should, but a mask is bool: dtype=torch.bool.",
    ),
)
