"""What goes wrong with a GRU step (chapter 09), and what puts it right."""

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


def reset_on_input(state, i, s):
    reset, update = gates(i, s)
    return (1 - update) * (reset * i[2] + s[2]).tanh() + update * state


def mixed(state, i, s, reset, update):
    """A step with these gates."""
    return (1 - update) * (i[2] + reset * s[2]).tanh() + update * state


def candidate_bias_lost(x, state, input_weight, hidden_weight, input_bias, hidden_bias):
    bias = hidden_bias.clone()
    bias[2 * state.size(-1) :] = 0.0
    return stepping(right_step)(x, state, input_weight, hidden_weight, input_bias, bias)


def right_step(state, i, s):
    return mixed(state, i, s, *gates(i, s))


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
        "reset on the input",
        stepping(reset_on_input),
        "In your candidate the reset gate multiplies what comes from the input. It says how much of the old *state* "
        "the candidate gets to see: W x + b + reset · (U h + c).",
    ),
    Misconception(
        "candidate's hidden bias forgotten",
        candidate_bias_lost,
        "Right but for the candidate's hidden bias, the third block of `hidden_bias`, which is missing: reset · (U h "
        "+ c).",
    ),
    Misconception(
        "gates of the input alone",
        stepping(lambda state, i, s: mixed(state, i, s, i[0].sigmoid(), i[1].sigmoid())),
        "Your gates are made of the input alone. A gate depends on word and state: the sigmoid of the sum of both "
        "sides.",
    ),
    Misconception(
        "gates of the state alone",
        stepping(lambda state, i, s: mixed(state, i, s, s[0].sigmoid(), s[1].sigmoid())),
        "Your gates are made of the state alone. A gate depends on word and state: the sigmoid of the sum of both "
        "sides.",
    ),
    Misconception(
        "gates without a sigmoid",
        stepping(lambda state, i, s: mixed(state, i, s, i[0] + s[0], i[1] + s[1])),
        "Your gates are sums, of any size. A gate is a share between 0 and 1: the sigmoid of that sum.",
    ),
    Misconception(
        "reset for update",
        stepping(lambda state, i, s: mixed(state, i, s, gates(i, s)[0], gates(i, s)[0])),
        "One gate, the reset gate, does the work of both. The update gate, which mixes candidate and old state, is "
        "made of the second block.",
    ),
    Misconception(
        "update for reset",
        stepping(lambda state, i, s: mixed(state, i, s, gates(i, s)[1], gates(i, s)[1])),
        "One gate, the update gate, does the work of both. The reset gate, which stands in the candidate, is made of "
        "the first block.",
    ),
    Misconception(
        "hidden bias forgotten",
        lambda x, h, w, u, b, c: stepping(right_step)(x, h, w, u, b, torch.zeros_like(c)),
        "The biases of the state's side, `hidden_bias`, are missing.",
    ),
    Misconception(
        "input bias forgotten",
        lambda x, h, w, u, b, c: stepping(right_step)(x, h, w, u, torch.zeros_like(b), c),
        "The biases of the input's side, `input_bias`, are missing.",
    ),
    Misconception(
        "weights not transposed",
        not_transposed,
        "A weight has the shape (3 · d_hidden, width), as in nn.Linear: `x @ input_weight.T`.",
    ),
)  # fmt: skip
