"""Exercises 6.1 and 6.2: the encoder layer and the decoder layer."""

import torch
from torch import Generator, Tensor

from utils.exercises.chapter_06.pieces import layer_pieces
from utils.exercises.chapter_06.words import EACH_HEAD, EDGE, LENGTHS_DIFFER, MASK, PRE
from utils.exercises.chapter_06.wrong_decoder import DECODER_LAYER
from utils.exercises.chapter_06.wrong_encoder import ENCODER_LAYER
from utils.exercises.declare import Case, Exercise, Property
from utils.exercises.drawing import lower_triangle, normal, some_allowed
from utils.exercises.nearness import close
from utils.transformer.fused import FusedMultiHeadAttention
from utils.transformer.layers import DecoderLayer, EncoderLayer

UNREGISTERED = (
    "Not all parameters of the parts you were given are among your layer's `parameters()`: an optimiser would never "
    "see them. Keep modules as attributes, and a list of modules in `nn.ModuleList`."
)
MORE = (
    "Your layer has parameters beside those of the parts it is given. It has none of its own: norms and projections "
    "are in the parts."
)


def _case(name: str, build: tuple, *arguments, **options) -> Case:
    return Case(name, arguments, build=build, own_weights=True, **options)


def _padding(lengths: list[int], longest: int) -> Tensor:
    """bool (batch, 1, 1, longest): True for real tokens."""
    return (torch.arange(longest) < torch.tensor(lengths)[:, None])[:, None, None]


def _held(case: Case) -> int:
    """How many numbers the parts hold that a layer is built from."""
    parts = [part for piece in case.build for part in (piece if isinstance(piece, list) else [piece])]
    return sum(parameter.numel() for part in parts for parameter in part.parameters())


def _all_registered(cases: list[Case], results: list) -> bool:
    """Whether as many numbers are registered as the parts hold; in which order, is the answer's own business."""
    return sum(parameter.numel() for parameter in results[0]) >= _held(cases[0])


def _nothing_else(cases: list[Case], results: list) -> bool:
    return sum(parameter.numel() for parameter in results[0]) <= _held(cases[0])


# 6.1 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _encoder_cases(generator: Generator) -> list[Case]:
    post, pre = layer_pieces(generator), layer_pieces(generator, norm="pre")
    wide = layer_pieces(generator, d_model=6, heads=3, d_ff=5)
    double = layer_pieces(generator, norm="pre")
    for part in (*double[:-1], *double[-1]):
        part.double()
    nobody = torch.tensor([True, False])[:, None, None, None].expand(2, 1, 1, 3)
    return [
        _case("post-norm, one sentence", post, normal(generator, 1, 3, 8)),
        _case("post-norm, two sentences", post, normal(generator, 2, 4, 8)),
        _case("pre-norm", pre, normal(generator, 2, 3, 8, size=2.0), traits=(PRE,)),
        _case("other sizes", wide, normal(generator, 2, 5, 6)),
        _case("padding", post, normal(generator, 2, 4, 8), _padding([4, 2], 4), part=MASK),
        _case("pre-norm, a mask for each sentence", pre, normal(generator, 2, 3, 8, size=2.0),
              some_allowed(generator, 2, 1, 3, 3), part=MASK, traits=(PRE,)),
        _case("causal", post, normal(generator, 1, 4, 8), lower_triangle(4)[None, None], part=MASK),
        _case("a mask for each head", post, normal(generator, 2, 3, 8), some_allowed(generator, 2, 2, 3, 3), part=MASK,
              traits=(EACH_HEAD,)),
        _case("training mode, padding", layer_pieces(generator, halving=True), normal(generator, 2, 4, 8),
              _padding([2, 4], 4), part=MASK, training=True),
        _case("training mode, pre-norm, causal", layer_pieces(generator, norm="pre", halving=True),
              normal(generator, 2, 3, 8, size=2.0), lower_triangle(3)[None, None], part=MASK, training=True,
              traits=(PRE,)),
        _case("float64", double, normal(generator, 1, 3, 8, dtype=torch.float64), traits=(PRE,)),
        _case("gradients", pre, normal(generator, 2, 3, 8), gradients=True, traits=(PRE,)),
        _case("called before", pre, normal(generator, 2, 3, 8), some_allowed(generator, 2, 1, 3, 3), part=MASK,
              earlier=(normal(generator, 2, 3, 8), some_allowed(generator, 2, 1, 3, 3)), traits=(PRE,)),
        _case("one token", post, normal(generator, 2, 1, 8), part=EDGE),
        _case("a sentence that nobody may look at", post, normal(generator, 2, 3, 8), nobody, part=EDGE),
        _case("an attention that gives no weights", layer_pieces(generator, attention=FusedMultiHeadAttention),
              normal(generator, 2, 3, 8), part=EDGE, traits=("the attention returns (output, None)",)),
    ]  # fmt: skip


def _encoder_parameters(generator: Generator) -> list[Case]:
    return [_case("parameters", layer_pieces(generator), normal(generator, 1, 2, 8), observe="parameters")]


def _permuted(generator: Generator) -> list[Case]:
    x, build = normal(generator, 1, 4, 8), layer_pieces(generator)
    return [_case("as it is", build, x), _case("reversed", build, x.flip(1))]


def _output_permutes(cases: list[Case], results: list[Tensor]) -> bool:
    return close(results[1], results[0].flip(1))


ENCODER = Exercise(
    number="6.1",
    title="The encoder layer",
    points=2,
    difficulty=2,
    minutes=15,
    section="§3.1, figure 1, left",
    reference=EncoderLayer,
    kind="module",
    model_part="encoder_layer",
    cases=_encoder_cases,
    properties=(
        Property("every part is registered", _encoder_parameters, _all_registered, UNREGISTERED),
        Property("nothing beside the parts", _encoder_parameters, _nothing_else, MORE),
        Property(
            "permute the input and the output permutes",
            _permuted,
            _output_permutes,
            "Without a mask, turning the order of the tokens round has to turn the output round and change nothing "
            "else.",
        ),
    ),
    returns=("output",),
    misconceptions=ENCODER_LAYER,
    hints=(
        "A layer is two lines: x through the first residual with the attention, then through the second with the "
        "feed-forward network. What does a residual want as its second argument?",
        "A residual is called as residual(x, sublayer), where sublayer is a function of one tensor. The feed-forward "
        "network is one already; the attention takes four arguments and gives two results, so wrap it in a lambda.",
        "`x = self.residuals[0](x, lambda y: self.self_attention(y, y, y, mask)[0])`, and the next line likewise with "
        "`self.residuals[1]` and `self.feed_forward`. In __init__ keep `nn.ModuleList(residuals)`.",
    ),
)


# 6.2 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _decoder_cases(generator: Generator) -> list[Case]:
    post, pre = layer_pieces(generator, 2), layer_pieces(generator, 2, norm="pre")
    wide = layer_pieces(generator, 2, d_model=6, heads=3, d_ff=5)
    double = layer_pieces(generator, 2)
    for part in (*double[:-1], *double[-1]):
        part.double()

    def drawn(batch: int, target_len: int, source_len: int, width: int = 8, dtype: torch.dtype = torch.float32):
        return (normal(generator, batch, target_len, width, dtype=dtype, size=1.5),
                normal(generator, batch, source_len, width, dtype=dtype, size=1.5))  # fmt: skip

    def causal(length: int) -> Tensor:
        return lower_triangle(length)[None, None]

    other = dict(traits=(LENGTHS_DIFFER,))
    return [
        _case("post-norm, without masks", post, *drawn(2, 3, 3)),
        _case("a longer source", post, *drawn(1, 2, 4), **other),
        _case("pre-norm, a shorter source", pre, *drawn(2, 4, 3), traits=(LENGTHS_DIFFER, PRE)),
        _case("other sizes", wide, *drawn(2, 4, 2, 6), **other),
        _case("causal", post, *drawn(1, 4, 4), causal(4), part=MASK),
        _case("causal, and padding in the source", post, *drawn(2, 4, 4), causal(4), _padding([4, 2], 4), part=MASK),
        _case("both masks, a longer source", pre, *drawn(2, 3, 5), causal(3), _padding([2, 5], 5), part=MASK,
              traits=(LENGTHS_DIFFER, PRE)),
        _case("padding in the source alone", post, *drawn(2, 3, 4), None, _padding([3, 4], 4), part=MASK, **other),
        _case("a target mask of another kind", post, *drawn(2, 3, 3), some_allowed(generator, 2, 1, 3, 3), part=MASK),
        _case("masks for each head", post, *drawn(2, 3, 3), some_allowed(generator, 2, 2, 3, 3),
              some_allowed(generator, 2, 2, 3, 3), part=MASK, traits=(EACH_HEAD,)),
        _case("training mode, both masks", layer_pieces(generator, 2, halving=True), *drawn(2, 3, 4), causal(3),
              _padding([2, 4], 4), part=MASK, training=True, **other),
        _case("training mode, pre-norm, both masks", layer_pieces(generator, 2, norm="pre", halving=True),
              *drawn(2, 3, 3), causal(3), _padding([3, 1], 3), part=MASK, training=True, traits=(PRE,)),
        _case("float64", double, *drawn(1, 3, 2, dtype=torch.float64), causal(3), **other),
        _case("gradients", pre, *drawn(1, 2, 3), causal(2), gradients=True, traits=(LENGTHS_DIFFER, PRE)),
        _case("called before", pre, *drawn(2, 4, 3), some_allowed(generator, 2, 1, 4, 4), _padding([3, 2], 3),
              earlier=(*drawn(2, 4, 3), some_allowed(generator, 2, 1, 4, 4), _padding([2, 3], 3)), part=MASK,
              traits=(LENGTHS_DIFFER, PRE)),
        _case("one token in the target", post, *drawn(2, 1, 3), causal(1), part=EDGE, **other),
        _case("one token in the source", post, *drawn(2, 3, 1), causal(3), part=EDGE, **other),
        _case("a source that nobody may look at", post, *drawn(2, 3, 4), causal(3), _padding([4, 0], 4), part=EDGE,
              **other),
    ]  # fmt: skip


def _decoder_parameters(generator: Generator) -> list[Case]:
    x, memory = normal(generator, 1, 2, 8), normal(generator, 1, 3, 8)
    return [_case("parameters", layer_pieces(generator, 2), x, memory, observe="parameters")]


def _another_future(generator: Generator) -> list[Case]:
    build, x, memory = layer_pieces(generator, 2), normal(generator, 1, 4, 8), normal(generator, 1, 3, 8)
    changed = x.clone()
    changed[:, 2:] = normal(generator, 1, 2, 8)
    mask = lower_triangle(4)[None, None]
    return [
        _case("as it is", build, x, memory, mask),
        _case("from position 2 on changed", build, changed, memory, mask),
    ]


def _past_stays(cases: list[Case], results: list[Tensor]) -> bool:
    return close(results[1][:, :2], results[0][:, :2]) and not close(results[1], results[0])


DECODER = Exercise(
    number="6.2",
    title="The decoder layer",
    points=3,
    difficulty=3,
    minutes=20,
    section="§3.1, §3.2.3, figure 1, right",
    reference=DecoderLayer,
    kind="module",
    model_part="decoder_layer",
    cases=_decoder_cases,
    properties=(
        Property("every part is registered", _decoder_parameters, _all_registered, UNREGISTERED),
        Property("nothing beside the parts", _decoder_parameters, _nothing_else, MORE),
        Property(
            "the future does not leak",
            _another_future,
            _past_stays,
            "With a causal target mask, changing the target from position 2 on must not move what comes out before it.",
        ),
    ),
    returns=("output",),
    misconceptions=DECODER_LAYER,
    hints=(
        "Figure 1, right, from below: three sub-layers, each in a residual of its own. Two of them are attentions. "
        "Where do the queries of each come from, where its keys and values?",
        "The first is that of the encoder layer, with `target_mask`. The second asks from the decoder (y) and is "
        "answered by the encoder (memory), with `source_mask`. The third is the feed-forward network.",
        "`x = self.residuals[1](x, lambda y: self.cross_attention(y, memory, memory, source_mask)[0])` is the middle "
        "one; the line before it has `self.self_attention(y, y, y, target_mask)[0]` and `self.residuals[0]`.",
    ),
)
