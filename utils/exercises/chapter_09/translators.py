"""Exercises 9.3 and 9.4: an encoder–decoder with one state between its halves, and a step that looks back."""

import torch
from torch import Generator, Tensor

from utils.exercises.chapter_06.references import shift_right
from utils.exercises.chapter_09.pieces import additive, gru_cell, pair_pieces, words
from utils.exercises.chapter_09.references import RecurrentPair, attentive_step
from utils.exercises.chapter_09.words import EDGE, MASK, PADDED, STRANGE
from utils.exercises.chapter_09.wrong_translators import ATTENTIVE_STEP, PAIR
from utils.exercises.declare import Case, Exercise, Property
from utils.exercises.drawing import normal
from utils.exercises.nearness import close
from utils.transformer.masks import UNKNOWN

# 9.3 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _case(name: str, build: tuple, source: Tensor, target: Tensor, **options) -> Case:
    return Case(name, (source, target), build=build, own_weights=True, **options)


def _target(generator: Generator, *lengths: int) -> Tensor:
    return shift_right(words(generator, *lengths))[0]


def _pair_cases(generator: Generator) -> list[Case]:
    pieces, square = pair_pieces(generator), pair_pieces(generator, d_model=4, d_hidden=4)
    wider = pair_pieces(generator, vocab_size=13, d_model=4, d_hidden=9)
    unknown = words(generator, 4, 4), _target(generator, 4, 4)
    for ids in unknown:
        ids[:, 1] = UNKNOWN

    def source(*lengths: int) -> Tensor:
        return words(generator, *lengths)

    def target(*lengths: int) -> Tensor:
        return _target(generator, *lengths)

    return [
        _case("one sentence", pieces, source(3), target(3)),
        _case("two sentences of one length", pieces, source(4, 4), target(4, 4)),
        _case("a longer source", pieces, source(5), target(3)),
        _case("a shorter source", pieces, source(3), target(5)),
        _case("d_model and d_hidden equal", square, source(3, 3), target(4, 4)),
        _case("other widths and another vocabulary", wider, source(4, 3), target(2, 2)),
        _case("padding in the source", pieces, source(5, 2), target(4, 4), part=MASK, traits=(PADDED,)),
        _case("an unknown word on both sides", pieces, *unknown, part=MASK, traits=(STRANGE,)),
        _case("three lengths", pieces, source(2, 5, 3), target(3, 3, 3), part=MASK, traits=(PADDED,)),
        _case("training mode", pieces, source(4, 2), target(4, 4), part=MASK, training=True, traits=(PADDED,)),
        _case("gradients", pieces, source(4, 2), target(3, 3), part="property", gradients=True, traits=(PADDED,)),
        _case("only BEGIN so far", pieces, source(3, 2, 3, 3), target(1, 1, 1, 1), part=EDGE, traits=(PADDED,)),
        _case("a source of END alone", pieces, source(1), target(5), part=EDGE),
    ]  # fmt: skip


def _future_changed(generator: Generator) -> list[Case]:
    build, source = pair_pieces(generator), words(generator, 4, 2)
    target = _target(generator, 5, 5)
    changed = target.clone()
    changed[:, 3:] = 4 + (target[:, 3:] - 3) % 7
    wider = torch.nn.functional.pad(source, (0, 2))
    return [
        _case("as it is", build, source, target),
        _case("from position 3 on another target", build, source, changed),
        _case("two more columns of padding", build, wider, target),
    ]


def _parameters(generator: Generator) -> list[Case]:
    ids = torch.zeros(1, 1, dtype=torch.long)  # never looked at
    return [_case("its parameters", pair_pieces(generator), ids, ids, observe="parameters")]


def _twice(generator: Generator) -> list[Case]:
    return [_case("called twice", pair_pieces(generator), words(generator, 3, 2), _target(generator, 2, 2), times=2)]


def _nothing_kept(cases: list[Case], results: list[list[Tensor]]) -> bool:
    first, second = results[0]
    return close(second, first)


def _those_of_its_parts(cases: list[Case], results: list[list[Tensor]]) -> bool:
    """In any order, each once."""
    wanted = [parameter for part in cases[0].build for parameter in part.parameters()]
    left = list(results[0])
    for parameter in wanted:
        fitting = next((i for i, own in enumerate(left) if torch.equal(own, parameter)), None)
        if fitting is None:
            return False
        left.pop(fitting)
    return not left


def _past_and_padding(cases: list[Case], results: list[Tensor]) -> bool:
    logits, changed, wider = results
    return close(changed[:, :3], logits[:, :3]) and not close(changed, logits) and close(wider, logits)


WITHOUT_ATTENTION = Exercise(
    number="9.3",
    title="Encoder and decoder with one state between them",
    points=2,
    difficulty=3,
    minutes=20,
    section="§1, §2",
    reference=RecurrentPair,
    kind="module",
    cases=_pair_cases,
    properties=(
        Property(
            "neither the future nor padding",
            _future_changed,
            _past_and_padding,
            "Logits may depend neither on later target tokens nor on how much padding stands behind the source.",
        ),
        Property(
            "called twice",
            _twice,
            _nothing_kept,
            "A second call with the same sentences gives other logits: your module keeps something of the first one. "
            "The encoder begins with zeros each time.",
        ),
        Property(
            "it learns with its four parts",
            _parameters,
            _those_of_its_parts,
            "The module's parameters should be those of its four parts and no others. Keep each part as an attribute, "
            "`self.encoder = encoder`: what a plain list holds is neither trained nor moved to a GPU.",
        ),
    ),
    returns=("logits",),
    forbidden=("torch.nn.GRU",),
    misconceptions=PAIR,
    hints=(
        "Read the source with the encoder and keep one thing of all that it gives. What does the decoder begin with?",
        "`read_sequence` returns (states, last). Of the encoder you need `last`, of the decoder `states`. The encoder "
        "begins with zeros: `embedded.new_zeros(batch, self.encoder.hidden_size)`.",
        "`_, summary = read_sequence(self.encoder, self.embedding(source), source != PADDING, zeros)`, then the same "
        "with decoder, target and summary, and `self.output(states)`.",
    ),
)


# 9.4 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _step_inputs(
    generator: Generator, lengths: tuple[int, ...], width: int = 3, d_hidden: int = 4, d_memory: int = 6,
    dtype: torch.dtype = torch.float32,
) -> tuple:  # fmt: skip
    cell = gru_cell(generator, width + d_memory, d_hidden, dtype)
    attention = additive(generator, d_hidden, d_memory).to(dtype)
    real = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    batch = len(lengths)
    embedded, state = normal(generator, batch, width, dtype=dtype), normal(generator, batch, d_hidden, dtype=dtype)
    return cell, attention, embedded, state, normal(generator, *real.shape, d_memory, dtype=dtype), real


def _step_cases(generator: Generator) -> list[Case]:
    def drawn(*lengths: int, **options) -> tuple:
        return _step_inputs(generator, lengths, **options)

    return [
        Case("one sentence", drawn(4)),
        Case("two sentences", drawn(3, 3)),
        Case("all widths equal", drawn(4, 4, width=4, d_hidden=4, d_memory=4)),
        Case("padding in the source", drawn(5, 2), part=MASK, traits=(PADDED,)),
        Case("three lengths", drawn(2, 6, 4), part=MASK, traits=(PADDED,)),
        Case("as many sentences as source tokens", drawn(3, 2, 1), part=MASK, traits=(PADDED,)),
        Case("float64", drawn(4, 3, dtype=torch.float64), part=MASK, traits=(PADDED,)),
        Case("gradients", drawn(4, 2), gradients=True, part="property", traits=(PADDED,)),
        Case("a source of one token", drawn(1, 1, 1, width=6), part=EDGE, traits=("the source is one token",)),
        Case("three sentences, one unit", drawn(3, 3, 3, d_hidden=1), part=EDGE),
    ]


def _another_memory(generator: Generator) -> list[Case]:
    cell, attention, embedded, state, memory, real = _step_inputs(generator, (5, 2))
    other = memory.clone()
    other[1, 2:] = normal(generator, 3, 6, size=5.0)
    one = memory.clone()
    one[0, 1] = normal(generator, 6)
    front = cell, attention, embedded, state
    return [
        Case("as it is", (*front, memory, real)),
        Case("other padding", (*front, other, real)),
        Case("another second word in the first sentence", (*front, one, real)),
    ]


def _looked_at(cases: list[Case], results: list) -> bool:
    (state, weights), (same_state, same_weights), (moved, _) = results
    untouched = close(same_state, state) and close(same_weights, weights) and close(moved[1], state[1])
    return untouched and not close(moved[0], state[0])


WITH_ATTENTION = Exercise(
    number="9.4",
    title="A decoder step with additive attention",
    points=3,
    difficulty=3,
    minutes=25,
    section="§1, §2",
    reference=attentive_step,
    cases=_step_cases,
    properties=(
        Property(
            "a word of the source, and padding",
            _another_memory,
            _looked_at,
            "Another word in the memory has to move the state of its own sentence, another padding no state at all.",
        ),
    ),
    returns=("state", "weights"),
    misconceptions=ATTENTIVE_STEP,
    hints=(
        "Three things happen one after the other: the state asks, the memory answers, the cell takes a step. What are "
        "query, key and value?",
        "The state is one query: `state[:, None]` is (batch, 1, d_hidden). Keys and values are the memory; the mask "
        "needs the same axis of size 1, `real[:, None]`. The answer has that axis too.",
        "`context, weights = attention(state[:, None], memory, memory, real[:, None])`, then `cell(torch.cat("
        "[embedded, context[:, 0]], dim=-1), state)`; return the new state and `weights[:, 0]`.",
    ),
)
