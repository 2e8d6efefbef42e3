"""Chapter 09, a padded sequence, from outside: plausible wrong answers that no misconception was
written for, and unusual right ones. Each wrong answer comes with words that its report must hold, or None.
"""

import torch

from utils.exercises.chapter_09.references import read_sequence

# 9.2 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def run(cell, inputs, state, order=None):
    states = []
    for t in order or range(inputs.size(1)):
        state = cell(inputs[:, t], state)
        states.append(state)
    return torch.stack(states, 1), state


def stops_at_shortest(cell, inputs, real, state):
    length = max(1, int(real.sum(1).min()))
    states, last = run(cell, inputs[:, :length], state)
    return torch.cat([states, last[:, None].expand(-1, inputs.size(1) - length, -1)], 1), last


def any_real(cell, inputs, real, state):
    """Asks whether any sentence has a word there."""
    states = []
    for t in range(inputs.size(1)):
        if real[:, t].any():
            state = cell(inputs[:, t], state)
        states.append(state)
    return torch.stack(states, 1), state


def one_late(cell, inputs, real, state):
    shifted = torch.cat([real[:, :1], real[:, :-1]], 1)
    return read_sequence(cell, inputs, shifted, state)


def backwards(cell, inputs, real, state):
    states, last = read_sequence(cell, inputs.flip(1), real.flip(1), state)
    return states.flip(1), last


def packed_to_front(cell, inputs, real, state):
    """Moves words to the front, and leaves the states there."""
    order = (~real).long().argsort(dim=1, stable=True)
    moved = inputs.gather(1, order[..., None].expand_as(inputs))
    return read_sequence(cell, moved, real.gather(1, order), state)


def half_step(cell, inputs, real, state):
    states = []
    for t in range(inputs.size(1)):
        new = cell(inputs[:, t], state)
        state = torch.where(real[:, t, None], (new + state) / 2, state)
        states.append(state)
    return torch.stack(states, 1), state


def last_is_mean(cell, inputs, real, state):
    states, _ = read_sequence(cell, inputs, real, state)
    return states, states.mean(1)


def state_in_place(cell, inputs, real, state):
    states, last = read_sequence(cell, inputs, real, state)
    state.copy_(last)
    return states, last


def inputs_in_place(cell, inputs, real, state):
    inputs.masked_fill_(~real[..., None], 0.0)
    return read_sequence(cell, inputs, real, state)


def last_column(cell, inputs, real, state):
    states, _ = read_sequence(cell, inputs, real, state)
    return states, states[:, -1:]


def with_first(cell, inputs, real, state):
    states, last = read_sequence(cell, inputs, real, state)
    return torch.cat([state[:, None], states], 1), last


def in_a_list(cell, inputs, real, state):
    states, last = read_sequence(cell, inputs, real, state)
    return list(states.unbind(1)), last


def cut_between(cell, inputs, real, state):
    states, last = read_sequence(cell, inputs, real, state.detach())
    return states.detach(), last.detach()


def cut_to_the_longest(cell, inputs, real, state):
    """Leaves out columns in which nobody has a word."""
    length = int(real.sum(1).max())
    return read_sequence(cell, inputs[:, :length], real[:, :length], state)


def ends_at_first_padding(cell, inputs, real, state):
    return read_sequence(cell, inputs, real.long().cumprod(1).bool(), state)


def cut_at_each_step(cell, inputs, real, state):
    states = []
    for t in range(inputs.size(1)):
        state = torch.where(real[:, t, None], cell(inputs[:, t], state.detach()), state)
        states.append(state)
    return torch.stack(states, 1), state


def last_by_count(cell, inputs, real, state):
    """Takes the state after as many positions as there are words."""
    states, _ = read_sequence(cell, inputs, real, state)
    return states, states[torch.arange(len(states)), real.sum(1).clamp(min=1) - 1]


WRONG_9_2 = {
    "cut to the longest": (cut_to_the_longest, "shape"),
    "ends at the first padding": (ends_at_first_padding, "in front of words"),
    "cut at each step": (cut_at_each_step, "gradient"),
    "last by count": (last_by_count, "in front of words"),
    "stops at the shortest": (stops_at_shortest, None),
    "all wait for none": (any_real, None),
    "mask one late": (one_late, None),
    "backwards": (backwards, None),
    "words moved to the front": (packed_to_front, None),
    "half a step": (half_step, None),
    "last is the mean": (last_is_mean, None),
    "state changed": (state_in_place, "`state`"),
    "inputs changed": (inputs_in_place, "`inputs`"),
    "last with an axis": (last_column, "shape"),
    "the first state too": (with_first, "shape"),
    "a list": (in_a_list, None),
    "detached": (cut_between, "gradient"),
    "states alone": (lambda *a: read_sequence(*a)[0], "tuple of 2"),
    "last alone": (lambda *a: read_sequence(*a)[1], None),
    "other order": (lambda *a: read_sequence(*a)[::-1], None),
    "one position": (lambda cell, x, real, h: (cell(x[:, 0], h)[:, None], cell(x[:, 0], h)), "shape"),
    "float64": (lambda *a: tuple(part.double() for part in read_sequence(*a)), "float64"),
    "inputs twice": (lambda cell, x, real, h: read_sequence(cell, 2 * x, real, h), None),
    "mask as a factor of the inputs": (lambda cell, x, real, h: run(cell, x * real[..., None], h), "zeros"),
    "nothing": (lambda *a: None, "return"),
}


def by_factor(cell, inputs, real, state):
    keep = real.to(inputs.dtype)[..., None]
    states = []
    for x, k in zip(inputs.unbind(1), keep.unbind(1), strict=True):
        state = k * cell(x, state) + (1 - k) * state
        states += [state]
    return torch.stack(states, 1), states[-1]


def sentence_after_sentence(cell, inputs, real, state):
    rows = []
    for words, is_word, h in zip(inputs, real, state, strict=True):
        row = []
        for word, yes in zip(words, is_word, strict=True):
            h = cell(word[None], h[None])[0] if yes else h
            row.append(h)
        rows.append(torch.stack(row))
    states = torch.stack(rows)
    return states, states[:, -1]


def filled_in(cell, inputs, real, state):
    states = inputs.new_zeros(*real.shape, state.size(1))
    for t in range(inputs.size(1)):
        new = cell(inputs[:, t], state)
        state = new.masked_fill(~real[:, t, None], 0) + state.masked_fill(real[:, t, None], 0)
        states[:, t] = state
    return states, state


def rows_that_go_on(cell, inputs, real, state):
    """Only the sentences with a word there go through the cell."""
    states = []
    for t in range(inputs.size(1)):
        rows = real[:, t].nonzero()[:, 0]
        if len(rows):
            state = state.index_copy(0, rows, cell(inputs[rows, t], state[rows]))
        states.append(state)
    return torch.stack(states, dim=1), state


def recursive(cell, inputs, real, state):
    if inputs.size(1) == 1:
        state = torch.where(real[:, 0, None], cell(inputs[:, 0], state), state)
        return state[:, None], state
    first, middle = recursive(cell, inputs[:, :1], real[:, :1], state)
    rest, last = recursive(cell, inputs[:, 1:], real[:, 1:], middle)
    return torch.cat([first, rest], 1), last


def moved_and_back(cell, inputs, real, state):
    """Words to the front, states back to where the words stand."""
    order = (~real).long().argsort(dim=1, stable=True)
    words, states = inputs.gather(1, order[..., None].expand_as(inputs)), [state]
    for word in words.unbind(1):
        states.append(cell(word, states[-1]))
    read = real.long().cumsum(1)[..., None].expand(-1, -1, state.size(1))  # how many words by then
    found = torch.stack(states, 1).gather(1, read)
    return found, found[:, -1]


RIGHT_9_2 = {
    "moved to the front and back": moved_and_back,
    "by a factor": by_factor,
    "sentence after sentence": sentence_after_sentence,
    "filled in": filled_in,
    "only rows that go on": rows_that_go_on,
    "recursive": recursive,
    "a list of two": lambda *a: list(read_sequence(*a)),
    "stacked first, turned after": lambda *a: (
        torch.stack(read_sequence(*a)[0].unbind(1)).transpose(0, 1),
        read_sequence(*a)[1],
    ),
    "extra keyword": lambda cell, x, real, h, reverse=False: read_sequence(cell, x, real, h),
}


WRONG = {"9.2": WRONG_9_2}
RIGHT = {"9.2": RIGHT_9_2}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
