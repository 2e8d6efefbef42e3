"""What goes wrong with a padded sequence (chapter 09), and what puts it right."""

import torch

from utils.exercises.declare import Misconception


def reading(keep):
    """A wrong answer to 9.2: keep(is real (batch, 1), new state, old state) gives the next state."""

    def answer(cell, inputs, real, state):
        states = []
        for t in range(inputs.size(1)):
            state = keep(real[:, t, None], cell(inputs[:, t], state), state)
            states.append(state)
        return torch.stack(states, dim=1), state

    return answer


right_reading = reading(torch.where)


def zeros_at_padding(cell, inputs, real, state):
    states, last = right_reading(cell, inputs, real, state)
    return states * real[..., None], last


def from_zeros(cell, inputs, real, state):
    return right_reading(cell, inputs, real, torch.zeros_like(state))


def no_recurrence(cell, inputs, real, state):
    states = [torch.where(real[:, t, None], cell(inputs[:, t], state), state) for t in range(inputs.size(1))]
    return torch.stack(states, dim=1), states[-1]


def lengths_only(cell, inputs, real, state):
    ordered = torch.arange(inputs.size(1)) < real.sum(dim=1, keepdim=True)
    return right_reading(cell, inputs, ordered, state)


def positions_first(cell, inputs, real, state):
    states, last = right_reading(cell, inputs, real, state)
    return states.transpose(0, 1), last


def states_before(cell, inputs, real, state):
    states, last = right_reading(cell, inputs, real, state)
    return torch.cat([state[:, None], states[:, :-1]], dim=1), last


def inputs_zeroed(cell, inputs, real, state):
    return reading(lambda is_real, new, old: new)(cell, inputs * real[..., None], real, state)


def gathered(cell, inputs, real, state):
    states, _ = reading(lambda is_real, new, old: new)(cell, inputs, real, state)
    at = (real.sum(dim=1) - 1).clamp(min=0)
    return states, states[torch.arange(len(states)), at]


def whole_column(decide):
    """All sentences move, or none: decide(column of `real`)."""

    def answer(cell, inputs, real, state):
        states = []
        for t in range(inputs.size(1)):
            if decide(real[:, t]):
                state = cell(inputs[:, t], state)
            states.append(state)
        return torch.stack(states, dim=1), state

    return answer


def mask_without_axis(cell, inputs, real, state):
    states = []
    for t in range(inputs.size(1)):
        state = torch.where(real[:, t], cell(inputs[:, t], state), state)
        states.append(state)
    return torch.stack(states, dim=1), state


def one_tensor_kept(cell, inputs, real, state):
    states, last = right_reading(cell, inputs, real, state)
    return last[:, None].expand_as(states), last


def over_sentences(cell, inputs, real, state):
    states = []
    for t in range(len(inputs)):
        state = torch.where(real[:, t, None], cell(inputs[:, t], state), state)
        states.append(state)
    return torch.stack(states, dim=1), state


READ_SEQUENCE = (
    Misconception(
        "padding read",
        reading(lambda is_real, new, old: new),
        "Your cell reads padding as if it were words: a sentence's last state then depends on how long its neighbours "
        "in the batch are. Where `real` is False the state stays as it was.",
    ),
    Misconception(
        "all wait for the last",
        whole_column(lambda column: bool(column.all())),
        "You take a step only where *every* sentence of the batch has a word, so that long ones stop with the "
        "shortest. Each sentence is asked for itself: `torch.where(real[:, t, None], new, state)`.",
    ),
    Misconception(
        "all go on with the first",
        whole_column(lambda column: bool(column.any())),
        "You take a step for all wherever *any* sentence has a word, so that the others read padding. Each sentence is "
        "asked for itself: `torch.where(real[:, t, None], new, state)`.",
    ),
    Misconception(
        "one sentence's mask for all",
        whole_column(lambda column: bool(column[0])),
        "You ask the first sentence's mask for all of the batch. Each sentence is asked for itself: "
        "`torch.where(real[:, t, None], new, state)`.",
    ),
    Misconception(
        "mask without its axis",
        mask_without_axis,
        "`real[:, t]` is (batch,), and broadcasts along the units. It needs an axis of size 1 behind it, to stand for "
        "the sentences: `real[:, t, None]`, (batch, 1).",
    ),
    Misconception(
        "one tensor kept again and again",
        one_tensor_kept,
        "All your states are the last one. A list does not copy what is appended to it: when a tensor is written over "
        "in place, every entry shows the newest numbers. Make a new state at each step (`torch.where`).",
    ),
    Misconception(
        "over sentences",
        over_sentences,
        "Your loop runs over the sentences: `len(inputs)` is the batch's size. Positions are axis 1: "
        "`range(inputs.size(1))`.",
    ),
    Misconception(
        "padding set to zero and read",
        inputs_zeroed,
        "You set padding to zero and read it all the same. An input of zeros still moves the state: gates and biases "
        "go on working. The state itself has to stay.",
    ),
    Misconception(
        "state forgotten at padding",
        reading(lambda is_real, new, old: new * is_real),
        "At padding your state becomes zero: all that was read is forgotten before the decoder gets it. It should "
        "stay as it was.",
    ),
    Misconception(
        "zeros among the states",
        zeros_at_padding,
        "Your last state is right. Among `states` you put zeros at padding, as pad_packed_sequence does; asked for is "
        "the state as it stayed.",
    ),
    Misconception(
        "last right, states run on",
        gathered,
        "You run on through padding and pick out the state at each sentence's last word. That makes `last` right, as "
        "long as all padding stands at the end; `states` still hold what padding did.",
    ),
    Misconception(
        "mask the wrong way round",
        reading(lambda is_real, new, old: torch.where(is_real, old, new)),
        "Your mask works the wrong way round: the state stays at words and moves at padding. True = a real token.",
    ),
    Misconception(
        "starts from zeros",
        from_zeros,
        "You begin with a state of zeros. The state before the first position is given: a decoder begins with what "
        "the encoder hands over.",
    ),
    Misconception(
        "always from the first state",
        no_recurrence,
        "Each of your steps begins with the state that was given, not with the one before: nothing is carried from "
        "word to word. Assign the new state to `state` within the loop.",
    ),
    Misconception(
        "padding only at the end",
        lengths_only,
        "You count the real tokens and take the first so many positions for them. Padding may stand in front as well "
        "(a sentence that is read backwards): ask `real` at each position.",
    ),
    Misconception(
        "positions first",
        positions_first,
        "Your states come as (length, batch, d_hidden): stack them along axis 1, `torch.stack(states, dim=1)`.",
    ),
    Misconception(
        "states before the step",
        states_before,
        "At position t you keep the state before the step. states[:, t] is the one that has read inputs[:, t].",
    ),
)
