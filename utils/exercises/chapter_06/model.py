"""Exercises 6.3 and 6.4: shift right, and the whole model put together."""

import torch
from torch import Generator, Tensor

from utils.exercises.chapter_06.pieces import model_pieces, sentences
from utils.exercises.chapter_06.references import EncoderDecoder, shift_right
from utils.exercises.chapter_06.words import EDGE, LENGTHS_DIFFER, MASK
from utils.exercises.chapter_06.wrong_model import SHIFT_RIGHT, WHOLE_MODEL
from utils.exercises.declare import Case, Exercise, Property
from utils.exercises.nearness import close
from utils.transformer.masks import BEGIN, END, PADDING, UNKNOWN

SHORTER = "some sentence of the batch is shorter than the longest"
HAS_UNKNOWN = "there are unknown words, whose id is 1"

# 6.3 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _shift_cases(generator: Generator) -> list[Case]:
    def drawn(lengths: list[int], vocab_size: int = 40) -> Tensor:
        return sentences(generator, lengths, vocab_size)

    cut_off = torch.randint(END + 1, 40, (2, 4), generator=generator)  # over-long sentences have lost their END
    return [
        Case("one sentence", (drawn([4]),)),
        Case("two of one length", (drawn([3, 3]),)),
        Case("two of different lengths", (drawn([5, 3]),), traits=(SHORTER,)),
        Case("four sentences", (drawn([2, 6, 4, 1]),), traits=(SHORTER,)),
        Case("a large vocabulary", (drawn([3, 5], 30_000),), traits=(SHORTER, "ids go up to 30 000")),
        Case("a word and END", (drawn([2]),), part=EDGE),
        Case("a sentence without words", (drawn([1, 3]),), part=EDGE, traits=(SHORTER,)),
        Case("END alone", (torch.tensor([[END]]),), part=EDGE),
        Case("columns of padding", (torch.nn.functional.pad(drawn([3, 2]), (0, 2)),), part=EDGE, traits=(SHORTER,)),
        Case("sentences cut off before END", (cut_off,), part=EDGE),
        Case(
            "unknown words",
            (torch.tensor([[7, UNKNOWN, 9, END], [UNKNOWN, END, PADDING, PADDING]]),),
            traits=(SHORTER, HAS_UNKNOWN),
        ),
        Case("int32", (drawn([3, 2]).int(),), part=EDGE, traits=(SHORTER, "ids are int32")),
    ]


def _many_sentences(generator: Generator) -> list[Case]:
    lengths = torch.randint(1, 9, (16,), generator=generator).tolist()
    return [Case("sixteen sentences", (sentences(generator, lengths, 50),))]


def _as_many_read_as_said(cases: list[Case], results: list) -> bool:
    decoder_input, wanted = results[0]
    return bool(((decoder_input != PADDING) == (wanted != PADDING)).all())


SHIFT = Exercise(
    number="6.3",
    title="Shift right",
    points=2,
    difficulty=2,
    minutes=15,
    section="§3.1, figure 1",
    reference=shift_right,
    cases=_shift_cases,
    properties=(
        Property(
            "as many read as said",
            _many_sentences,
            _as_many_read_as_said,
            "Wherever something is wanted something has to be read, and nowhere else.",
        ),
    ),
    returns=("decoder_input", "wanted"),
    misconceptions=SHIFT_RIGHT,
    hints=(
        "Write the two rows for the target [7, 8, 3, 0] under each other: what stands above each wanted token?",
        "`torch.cat([begin, target[:, :-1]], dim=1)` has BEGIN in front and the old length. Look at a sentence that is "
        "shorter than the longest of its batch: which token stands in your input that should not be read?",
        "`begin = target.new_full((target.size(0), 1), BEGIN)` has the right dtype and device. After the concatenation "
        "`decoder_input.masked_fill(decoder_input == END, PADDING)`; what is wanted is the target as it is.",
    ),
)


# 6.4 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _case(name: str, build: tuple, source: Tensor, target: Tensor, **options) -> Case:
    return Case(name, (source, target), build=build, own_weights=True, **options)


def _model_cases(generator: Generator) -> list[Case]:
    pieces, wide = model_pieces(generator), model_pieces(generator, 23, 12)

    def source(*lengths: int) -> Tensor:
        return sentences(generator, list(lengths))

    def target(*lengths: int) -> Tensor:
        return shift_right(sentences(generator, list(lengths)))[0]

    return [
        _case("one sentence", pieces, source(3), target(3)),
        _case("two sentences of one length", pieces, source(4, 4), target(4, 4)),
        _case("a longer source", pieces, source(5), target(3), traits=(LENGTHS_DIFFER,)),
        _case("a shorter source", pieces, source(3), target(5), traits=(LENGTHS_DIFFER,)),
        _case("other sizes", wide, source(3, 3), target(4, 4), traits=(LENGTHS_DIFFER,)),
        _case("padding in the source", pieces, source(5, 2), target(5, 5), part=MASK),
        _case("unknown words, padding", pieces, torch.tensor([[5, UNKNOWN, 7, END], [UNKNOWN, 6, END, PADDING]]),
              torch.tensor([[BEGIN, 8, UNKNOWN], [BEGIN, UNKNOWN, 9]]), part=MASK,
              traits=(LENGTHS_DIFFER, HAS_UNKNOWN)),
        _case("padding, a shorter target", pieces, source(4, 2), target(3, 3), part=MASK, traits=(LENGTHS_DIFFER,)),
        _case("training mode", pieces, source(4), target(4), training=True),
        _case("training mode, padding", pieces, source(2, 4), target(3, 3), part=MASK, training=True,
              traits=(LENGTHS_DIFFER,)),
        _case("gradients", pieces, source(4, 2), target(3, 3), gradients=True, traits=(LENGTHS_DIFFER,)),
        _case("called before, with a shorter target", pieces, source(3, 2), target(4, 4), part=MASK,
              earlier=(source(3, 2), target(2, 2)), traits=(LENGTHS_DIFFER,)),
        _case("only BEGIN so far", pieces, source(3, 2), target(1, 1), part=EDGE, traits=(LENGTHS_DIFFER,)),
        _case("a source of END alone", pieces, source(1), target(3), part=EDGE, traits=(LENGTHS_DIFFER,)),
        _case("an empty source beside a full one", pieces, torch.tensor([[5, END], [PADDING, PADDING]]), target(2, 2),
              part=EDGE),
    ]  # fmt: skip


def _another_end(generator: Generator) -> list[Case]:
    build, source = model_pieces(generator), sentences(generator, [4, 2])
    target = shift_right(sentences(generator, [6, 6]))[0]
    changed = target.clone()
    changed[:, 3:] = END + 1 + (target[:, 3:] - END) % 7
    options = dict(build=build, own_weights=True)
    return [
        Case(f"{words}, {'training' if training else 'evaluation'}", (source, ids), training=training, **options)
        for training in (True, False)
        for words, ids in (("as it is", target), ("from position 3 on changed", changed))
    ]


def _past_stays(cases: list[Case], results: list[Tensor]) -> bool:
    pairs = results[0:2], results[2:4]
    return all(close(new[:, :3], old[:, :3]) and not close(new, old) for old, new in pairs)


def _longer_padding(generator: Generator) -> list[Case]:
    build, source = model_pieces(generator), sentences(generator, [4, 2])
    target = shift_right(sentences(generator, [3, 3]))[0]
    padded = torch.nn.functional.pad(source, (0, 3), value=PADDING)
    return [_case("as it is", build, source, target), _case("three more columns of padding", build, padded, target)]


def _nothing_moves(cases: list[Case], results: list[Tensor]) -> bool:
    return close(results[1], results[0])


WHOLE = Exercise(
    number="6.4",
    title="The whole model",
    points=3,
    difficulty=3,
    minutes=25,
    section="§3, figure 1",
    reference=EncoderDecoder,
    kind="module",
    cases=_model_cases,
    properties=(
        Property(
            "the future does not leak",
            _another_end,
            _past_stays,
            "Changing the target from position 3 on must not move the logits before it, in training and in evaluation "
            "mode.",
        ),
        Property(
            "padding does not matter",
            _longer_padding,
            _nothing_moves,
            "More padding at the end of the source must not move anything.",
        ),
    ),
    returns=("logits",),
    forbidden=("torch.nn.Transformer",),
    misconceptions=WHOLE_MODEL,
    hints=(
        "Follow figure 1 with your finger, from the source ids to the top of the encoder, then from the target ids to "
        "the softmax. Write one line for each stack. Which mask does each attention need?",
        "`padding_mask(source)` is for all who look at the source: the encoder, and the decoder's second attention. "
        "`causal_mask(length)` is for the decoder's first. Both sides go through embedding, positions and dropout.",
        "`memory = self.encoder(self.dropout(self.positions(self.embedding(source))), source_mask)`, then "
        "`self.decoder(embedded target, memory, target_mask, source_mask)`, and the output layer on top.",
    ),
)
