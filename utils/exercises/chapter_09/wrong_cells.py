"""What goes wrong with a GRU step and with a padded sequence (chapter 09), and what puts it right."""

import torch
from torch import Tensor

from utils.exercises.declare import Misconception

# 9.1, one step ────────────────────────────────────────────────────────────────────────────────────────────────────


def sides(x, state, input_weight, hidden_weight, input_bias, hidden_bias) -> tuple:
    """W x + b and U h + c, each in three blocks."""
    return (x @ input_weight.T + input_bias).chunk(3, -1), (state @ hidden_weight.T + hidden_bias).chunk(3, -1)


def stepping(make):
    """A wrong answer to 9.1: make(state, from_input, from_state) gives the new state."""

    def answer(x, state, input_weight, hidden_weight, input_bias, hidden_bias) -> Tensor:
        return make(state, *sides(x, state, input_weight, hidden_weight, input_bias, hidden_bias))

    return answer


def gates(i, s) -> tuple[Tensor, Tensor]:
    return (i[0] + s[0]).sigmoid(), (i[1] + s[1]).sigmoid()


def mixed_the_other_way(state, i, s):
    reset, update = gates(i, s)
    return update * (i[2] + reset * s[2]).tanh() + (1 - update) * state


def blocks_exchanged(state, i, s):
    update, reset = gates(i, s)
    return (1 - update) * (i[2] + reset * s[2]).tanh() + update * state


def no_reset(state, i, s):
    _, update = gates(i, s)
    return (1 - update) * (i[2] + s[2]).tanh() + update * state


def no_update(state, i, s):
    reset, _ = gates(i, s)
    return (i[2] + reset * s[2]).tanh()


def sigmoid_candidate(state, i, s):
    reset, update = gates(i, s)
    return (1 - update) * (i[2] + reset * s[2]).sigmoid() + update * state


def tanh_gates(state, i, s):
    reset, update = (i[0] + s[0]).tanh(), (i[1] + s[1]).tanh()
    return (1 - update) * (i[2] + reset * s[2]).tanh() + update * state


def reset_on_all(state, i, s):
    reset, update = gates(i, s)
    return (1 - update) * (reset * (i[2] + s[2])).tanh() + update * state


def reset_on_state(x, state, input_weight, hidden_weight, input_bias, hidden_bias):
    i, s = sides(x, state, input_weight, hidden_weight, input_bias, hidden_bias)
    reset, update = gates(i, s)
    third = slice(2 * state.size(-1), None)
    inner = (reset * state) @ hidden_weight[third].T + hidden_bias[third]
    return (1 - update) * (i[2] + inner).tanh() + update * state


def bias_outside(x, state, input_weight, hidden_weight, input_bias, hidden_bias):
    i, s = sides(x, state, input_weight, hidden_weight, input_bias, hidden_bias)
    reset, update = gates(i, s)
    bias = hidden_bias[2 * state.size(-1) :]
    return (1 - update) * (i[2] + reset * (s[2] - bias) + bias).tanh() + update * state


def not_transposed(x, state, input_weight, hidden_weight, input_bias, hidden_bias):
    return x @ input_weight + input_bias


GRU_STEP = (
    Misconception(
        "mixed the other way round",
        stepping(mixed_the_other_way),
        "Your update gate works the other way round. In the course's form, which is PyTorch's, update = 1 keeps the "
        "old state: (1 − update) · candidate + update · state.",
    ),
    Misconception(
        "reset and update exchanged",
        stepping(blocks_exchanged),
        "Reset and update are exchanged: the first block of rows belongs to the reset gate, the second to the update "
        "gate, the third to the candidate.",
    ),
    Misconception(
        "reset before the matrix",
        reset_on_state,
        "You multiply the state by the reset gate before its matrix, U (reset · h), as Cho et al. wrote it first. "
        "Asked for is the form of nn.GRUCell: reset · (U h + c), so that one product serves all three blocks.",
    ),
    Misconception(
        "no reset gate",
        stepping(no_reset),
        "Your candidate lacks the reset gate: it multiplies what comes from the state, reset · (U h + c).",
    ),
    Misconception(
        "no update gate",
        stepping(no_update),
        "You return the candidate. The update gate is still to mix it with the old state: (1 − update) · candidate + "
        "update · state. Without it the old state has no straight way through.",
    ),
    Misconception(
        "sigmoid in the candidate",
        stepping(sigmoid_candidate),
        "Your candidate goes through a sigmoid, so that a state could never be negative. Gates take a sigmoid; the "
        "candidate takes tanh.",
    ),
    Misconception(
        "tanh in the gates",
        stepping(tanh_gates),
        "Your gates go through tanh and can be negative. A gate is a share between 0 and 1: sigmoid.",
    ),
    Misconception(
        "reset on the whole candidate",
        stepping(reset_on_all),
        "Your reset gate multiplies the input's part of the candidate too. It is there to forget the state: only "
        "reset · (U h + c), with W x + b added as it is.",
    ),
    Misconception(
        "bias outside of the reset",
        bias_outside,
        "Right but for the candidate's hidden bias: it belongs inside of the reset gate, reset · (U h + c). That is "
        "why the cell has two biases, b and c.",
    ),
    Misconception(
        "hidden bias forgotten",
        lambda x, h, w, u, b, c: stepping(lambda s, i, o: (1 - gates(i, o)[1]) * (i[2] + gates(i, o)[0] * o[2]).tanh()
                                          + gates(i, o)[1] * s)(x, h, w, u, b, torch.zeros_like(c)),
        "The biases of the state's side, `hidden_bias`, are missing.",
    ),
    Misconception(
        "input bias forgotten",
        lambda x, h, w, u, b, c: stepping(lambda s, i, o: (1 - gates(i, o)[1]) * (i[2] + gates(i, o)[0] * o[2]).tanh()
                                          + gates(i, o)[1] * s)(x, h, w, u, torch.zeros_like(b), c),
        "The biases of the input's side, `input_bias`, are missing.",
    ),
    Misconception(
        "weights not transposed",
        not_transposed,
        "A weight has the shape (3 · d_hidden, width), as in nn.Linear: `x @ input_weight.T`.",
    ),
)  # fmt: skip


# 9.2, a padded sequence ───────────────────────────────────────────────────────────────────────────────────────────


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


READ_SEQUENCE = (
    Misconception(
        "padding read",
        reading(lambda is_real, new, old: new),
        "Your cell reads padding as if it were words: a sentence's last state then depends on how long its neighbours "
        "in the batch are. Where `real` is False the state stays as it was.",
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
