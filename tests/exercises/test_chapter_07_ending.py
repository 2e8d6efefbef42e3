"""Chapter 07, averaging checkpoints and early stopping, from outside: plausible wrong answers that no misconception was
written for, and unusual right ones. Each wrong answer comes with words that its report must hold, or None.
"""

import copy
import math

import torch

from utils.exercises.chapter_07.references import early_stop
from utils.training.checkpoints import average_states

# 7.5 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def averaging(of):
    """An answer that takes something of the stacked tensors of one name, in float64, back in their format."""

    def answer(states):
        names = states[0]
        return {n: of(torch.stack([state[n].double() for state in states])).to(states[0][n].dtype) for n in names}

    return answer


def weighted(stacked):
    weights = torch.arange(1, len(stacked) + 1, dtype=torch.float64)
    return torch.einsum("s...,s->...", stacked, weights / weights.sum())


def mutating(states):
    total = states[0]
    for state in states[1:]:
        for name in total:
            total[name] += state[name]
    return {name: tensor / len(states) for name, tensor in total.items()}


def list_of_tensors(states):
    return list(average_states(states).values())


def stacked_as_they_are(states):
    return {name: torch.stack([state[name] for state in states]) for name in states[0]}


def one_number(states):
    return {name: tensor.mean() for name, tensor in average_states(states).items()}


def first_name_only(states):
    mean = average_states(states)
    name = next(iter(mean))
    return {**states[-1], name: mean[name]}


def names_cut(states):
    return {name.split(".")[-1]: tensor for name, tensor in average_states(states).items()}


def popped_and_right(states):
    mean = average_states(states)
    states.clear()
    return mean


WRONG_7_5 = {
    "the median": (averaging(lambda stacked: stacked.median(dim=0).values), None),
    "later ones weigh more": (averaging(weighted), None),
    "the largest": (averaging(lambda stacked: stacked.amax(dim=0)), None),
    "added into the first": (mutating, None),
    "a list": (list_of_tensors, "list"),
    "stacked only": (stacked_as_they_are, "shape"),
    "one number each": (one_number, "shape"),
    "the first name only": (first_name_only, None),
    "names cut": (names_cut, None),
    "two at most": (lambda states: average_states(states[:2]), None),
    "without the last": (lambda states: average_states(states[:-1] or states), None),
    "takes the last away": (lambda states: average_states(states[1:] or states), None),
    "clears the list": (popped_and_right, "changes its input"),
    "root of the mean square": (averaging(lambda stacked: stacked.square().mean(dim=0).sqrt()), None),
    "in float32": (
        lambda states: {n: torch.stack([s[n].float() for s in states]).mean(0).to(states[0][n].dtype)
                        for n in states[0]}, "float32",
    ),
    "divided by five": (averaging(lambda stacked: stacked.sum(dim=0) / 5), None),
}  # fmt: skip


def running_mean(states):
    mean = {name: tensor.double() for name, tensor in states[0].items()}
    for count, state in enumerate(states[1:], start=2):
        mean = {name: mean[name] + (state[name].double() - mean[name]) / count for name in mean}
    return {name: tensor.to(states[0][name].dtype) for name, tensor in mean.items()}


def from_a_copy(states):
    total = copy.deepcopy(states[0])
    for name in total:
        total[name] = sum(state[name].to(torch.float64) for state in states).div(len(states)).type_as(states[0][name])
    return total


def by_fsum(states):
    def mean(tensors):
        flat = zip(*(tensor.double().flatten().tolist() for tensor in tensors), strict=True)
        numbers = torch.tensor([math.fsum(column) / len(tensors) for column in flat], dtype=torch.float64)
        return numbers.reshape(tensors[0].shape).to(tensors[0].dtype)

    return {name: mean([state[name] for state in states]) for name in states[0]}


RIGHT_7_5 = {
    "a running mean": running_mean,
    "from a copy": from_a_copy,
    "fsum": by_fsum,
    "stacked": averaging(lambda stacked: stacked.mean(dim=0)),
    "shares": averaging(lambda stacked: (stacked / len(stacked)).sum(dim=0)),
    "another order of names": lambda states: dict(reversed(average_states(states).items())),
    "a keyword more": lambda states, device=None: average_states(states),
}

# 7.6 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def by_windows(losses, patience, tie=False, ends=None, shift=0):
    """Ends at the first index after whose `patience` last losses none is below the best before them."""
    for stop in range(len(losses)):
        seen = [(loss, index) for index, loss in enumerate(losses[: stop + 1]) if loss == loss]
        best = min(seen, default=(0.0, 0))[1] if not tie else max(index for loss, index in seen if loss == min(seen)[0])
        if patience and stop - best >= patience + shift:
            return best, stop
    return best, len(losses) - 1 if ends is None else ends


WRONG_7_6 = {
    "always the last": (lambda losses, patience: (len(losses) - 1, len(losses) - 1), None),
    "always the lowest": (lambda losses, patience: (losses.index(min(losses)), len(losses) - 1), None),
    "counted from 1": (lambda losses, patience: tuple(n + 1 for n in early_stop(losses, patience)), None),
    "the loss for its place": (
        lambda losses, patience: (losses[early_stop(losses, patience)[0]], early_stop(losses, patience)[1]), None,
    ),
    "the stop only": (lambda losses, patience: early_stop(losses, patience)[1], "tuple"),
    "the loss goes up": (lambda losses, patience: early_stop([-loss for loss in losses], patience), None),
    "patience 2 in mind": (lambda losses, patience: early_stop(losses, 2), None),
    "how many were done": (lambda losses, patience: (early_stop(losses, patience)[0],
                                                     early_stop(losses, patience)[1] + 1), None),
    "stop after the best": (lambda losses, patience: (early_stop(losses, patience)[0],
                                                      early_stop(losses, patience)[0] + max(patience, 1)), None),
    "sorted": (lambda losses, patience: early_stop(sorted(losses), patience), None),
    "the latest of equals": (lambda losses, patience: by_windows(losses, patience, tie=True), None),
    "no end without a stop": (lambda losses, patience: by_windows(losses, patience, ends=-1), None),
    "one more": (lambda losses, patience: by_windows(losses, patience, shift=1), None),
    "changes the list": (
        lambda losses, patience: (early_stop(losses, patience), losses.reverse())[0], "changes its input",
    ),
    "a tolerance": (lambda losses, patience: early_stop([round(loss, 0) for loss in losses if loss == loss], patience),
                    None),
    "rounded to tenths": (lambda losses, patience: early_stop([round(loss, 1) for loss in losses], patience), None),
    "stops at NaN": (
        lambda losses, patience: early_stop(losses, patience) if all(x == x for x in losses) else (
            early_stop(losses, patience)[0], [x == x for x in losses].index(False)), None,
    ),
}  # fmt: skip


def with_minimum(losses, patience):
    for index in range(len(losses)):
        finite = [loss if loss == loss else math.inf for loss in losses[: index + 1]]
        best = finite.index(min(finite))
        if patience > 0 and index - best >= patience:
            break
    return [best, index]


def by_generator(losses, patience=0):
    best, stop = 0, len(losses) - 1
    for index in range(1, len(losses)):
        if losses[index] < losses[best] or losses[best] != losses[best]:
            best = index
        elif patience and index - best == patience:
            stop = index
            break
    return best, stop


def with_tensors(losses, patience):
    values = torch.tensor(losses, dtype=torch.float64).nan_to_num(nan=math.inf)
    running, best = values.cummin(0)
    for index in range(len(values)):
        first = int((values == running[index]).nonzero()[0])
        if patience and index - first >= patience:
            return first, index
    return first, len(values) - 1


RIGHT_7_6 = {
    "windows": by_windows,
    "the minimum each time": with_minimum,
    "distance to the best": by_generator,
    "tensors": with_tensors,
    "tensors come out": lambda losses, patience: tuple(map(torch.tensor, early_stop(losses, patience))),
    "a keyword more": lambda losses, patience, verbose=False: early_stop(losses, patience),
}

WRONG = {"7.5": WRONG_7_5, "7.6": WRONG_7_6}
RIGHT = {"7.5": RIGHT_7_5, "7.6": RIGHT_7_6}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)


def test_checkpoints_may_come_one_at_a_time():
    states = [{"a": torch.tensor([number])} for number in (1.0, 4.0)]
    assert average_states(state for state in states)["a"].tolist() == [2.5]
