"""Exercises 9.1 and 9.2: one step of a gated cell, and a padded batch of sequences through it."""

import torch
from torch import Generator, Tensor

from utils.exercises.chapter_09.pieces import gru_cell
from utils.exercises.chapter_09.references import gru_step, read_sequence
from utils.exercises.chapter_09.words import EDGE, FINISHED_CELLS, MASK, PADDED
from utils.exercises.chapter_09.wrong_cells import GRU_STEP
from utils.exercises.chapter_09.wrong_sequences import READ_SEQUENCE
from utils.exercises.declare import Case, Exercise, Property
from utils.exercises.drawing import normal
from utils.exercises.nearness import close

# 9.1 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _step_inputs(
    generator: Generator, batch: int, width: int, d_hidden: int, dtype: torch.dtype = torch.float32, size: float = 1.0
) -> tuple:
    shapes = (batch, width), (batch, d_hidden), (3 * d_hidden, width), (3 * d_hidden, d_hidden), (3 * d_hidden,)
    return tuple(normal(generator, *shape, dtype=dtype, size=size) for shape in (*shapes, (3 * d_hidden,)))


def _step_cases(generator: Generator) -> list[Case]:
    def drawn(*sizes, **options) -> tuple:
        return _step_inputs(generator, *sizes, **options)

    x, state, *weights = drawn(2, 3, 4)
    return [
        Case("one sentence", drawn(1, 2, 3)),
        Case("three sentences", drawn(3, 4, 2)),
        Case("three other sentences", drawn(3, 4, 2)),
        Case("width and d_hidden equal", drawn(2, 3, 3)),
        Case("float64", drawn(5, 6, 8, dtype=torch.float64), part=EDGE),  # many numbers: few may be right by chance
        Case("gradients", drawn(2, 3, 4), gradients=True, part="property"),
        Case("a state of zeros", (x, torch.zeros_like(state), *weights), part=EDGE, traits=("the state is zero",)),
        Case("an input of zeros", (torch.zeros_like(x), state, *weights), part=EDGE),
        Case("one unit", drawn(4, 9, 1), part=EDGE),
        Case("weights in the tens", drawn(2, 3, 4, size=6.0), part=EDGE, traits=("the gates are wide open or shut",)),
    ]


def _shut(generator: Generator) -> list[Case]:
    x, state, *weights, input_bias, hidden_bias = _step_inputs(generator, 2, 3, 4)
    shut = input_bias.clone()
    shut[4:8] = 60.0  # update = 1
    return [Case("update = 1", (x, state, *weights, shut, hidden_bias))]


def _state_kept(cases: list[Case], results: list[Tensor]) -> bool:
    return close(results[0], cases[0].arguments[1])


ONE_STEP = Exercise(
    number="9.1",
    title="One step of a GRU",
    points=2,
    difficulty=2,
    minutes=20,
    section="§1",
    reference=gru_step,
    cases=_step_cases,
    properties=(
        Property(
            "update = 1 keeps the state",
            _shut,
            _state_kept,
            "With update = 1 the new state has to be the old one, whatever comes in.",
        ),
    ),
    returns=("state",),
    forbidden=FINISHED_CELLS,
    misconceptions=GRU_STEP,
    hints=(
        "Compute W x + b once for all three blocks of rows, U h + c likewise, and then take both apart. Which of the "
        "three blocks is treated otherwise than the other two?",
        "`chunk(3, dim=-1)` gives the three blocks. Reset and update: sigmoid of the sum of both sides. In the "
        "candidate, the reset gate multiplies what comes from the state, its bias included, before the two are added.",
        "`candidate = (from_input[2] + reset * from_state[2]).tanh()`, and the new state is `(1 - update) * candidate "
        "+ update * state`.",
    ),
)


# 9.2 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _lengths(longest: int, *lengths: int) -> Tensor:
    """bool (batch, longest): the first positions of each row are real."""
    return torch.arange(longest) < torch.tensor(lengths)[:, None]


def _sequence_inputs(
    generator: Generator, real: Tensor, width: int = 3, d_hidden: int = 4, dtype: torch.dtype = torch.float32
) -> tuple:
    cell = gru_cell(generator, width, d_hidden, dtype)
    inputs = normal(generator, *real.shape, width, dtype=dtype)
    return cell, inputs, real, normal(generator, len(real), d_hidden, dtype=dtype, size=0.5)


def _sequence_cases(generator: Generator) -> list[Case]:
    def drawn(real: Tensor, **options) -> tuple:
        return _sequence_inputs(generator, real, **options)

    loud = drawn(_lengths(5, 5, 2))
    loud[1][1, 2:] = 300.0
    in_front = _lengths(5, 5, 2).flip(1)
    holes = torch.tensor([[True, False, True, True, False], [True, True, True, True, True]])
    return [
        Case("one sentence", drawn(_lengths(3, 3))),
        Case("two sentences of one length", drawn(_lengths(4, 4, 4))),
        Case("a shorter sentence beside a longer one", drawn(_lengths(5, 5, 3)), part=MASK, traits=(PADDED,)),
        Case("three lengths", drawn(_lengths(6, 2, 6, 4)), part=MASK, traits=(PADDED,)),
        Case("float64", drawn(_lengths(4, 4, 3), dtype=torch.float64), part=MASK, traits=(PADDED,)),
        Case("gradients", drawn(_lengths(4, 4, 2)), gradients=True, part="property", traits=(PADDED,)),
        Case("width and d_hidden equal", drawn(_lengths(4, 4, 4), width=4)),
        Case(
            "columns of padding alone",
            drawn(_lengths(5, 3, 2)),
            part=MASK,
            traits=(PADDED, "a whole column is padding"),
        ),
        Case("padding that holds large numbers", loud, part=MASK, traits=(PADDED,)),
        Case("padding in front", drawn(in_front), part=EDGE, traits=(PADDED, "padding stands in front of words")),
        Case("padding in between", drawn(holes), part=EDGE, traits=(PADDED, "padding stands in front of words")),
        Case("one position", drawn(_lengths(1, 1, 1, 1, 1)), part=EDGE),
        Case("a sentence of padding alone", drawn(_lengths(3, 3, 0)), part=EDGE, traits=(PADDED,)),
    ]


def _other_padding(generator: Generator) -> list[Case]:
    cell, inputs, real, state = _sequence_inputs(generator, _lengths(5, 5, 2))
    changed = inputs.clone()
    changed[1, 2:] = normal(generator, 3, 3)
    longer = torch.nn.functional.pad(inputs, (0, 0, 0, 2), value=7.0)
    padded = torch.nn.functional.pad(real, (0, 2))
    return [
        Case("as it is", (cell, inputs, real, state)),
        Case("other padding", (cell, changed, real, state)),
        Case("two more columns of padding", (cell, longer, padded, state)),
    ]


def _padding_is_nothing(cases: list[Case], results: list) -> bool:
    (states, last), (others, other_last), (longer, longer_last) = results
    return (
        close(others, states) and close(other_last, last) and close(longer_last, last) and close(longer[:, :5], states)
    )


SEQUENCE = Exercise(
    number="9.2",
    title="A padded batch, position by position",
    points=2,
    difficulty=2,
    minutes=20,
    section="§1",
    reference=read_sequence,
    cases=_sequence_cases,
    properties=(
        Property(
            "padding is nothing",
            _other_padding,
            _padding_is_nothing,
            "What stands at padding, and how much of it there is, may move neither a state nor the last state.",
        ),
    ),
    returns=("states", "last state"),
    forbidden=("torch.nn.utils.rnn.pack_padded_sequence",),
    misconceptions=READ_SEQUENCE,
    hints=(
        "A loop over positions: each new state is made from the inputs at t and the state before. What should become "
        "of the state of a sentence that has nothing at position t?",
        "`torch.where(condition, a, b)` takes a where the condition holds and b elsewhere. The condition for position "
        "t is `real[:, t]`, (batch,); with an axis of size 1 behind it, it broadcasts over the units.",
        "`state = torch.where(real[:, t, None], cell(inputs[:, t], state), state)`, append it to a list, and at the "
        "end `torch.stack(states, dim=1)`; the last state is what `state` is by then.",
    ),
)
