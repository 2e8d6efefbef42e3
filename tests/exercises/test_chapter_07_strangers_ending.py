"""Chapter 07, averaging and stopping, from further outside: answers of strangers, wrong and right. Each wrong
answer comes with words that its report must hold, or None.
"""

import collections
import functools
import math

import numpy
import torch

from utils.exercises.chapter_07.references import early_stop
from utils.training.checkpoints import average_states

# 7.5 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def each_name(mean):
    return lambda states: {name: mean([state[name] for state in states]) for name in states[0]}


def back(mean):
    """mean(tensors in float64), in the format that they had."""
    return each_name(lambda tensors: mean([tensor.double() for tensor in tensors]).to(tensors[0].dtype))


def moving(tensors):
    mean = tensors[0]
    for tensor in tensors[1:]:
        mean = 0.9 * mean + 0.1 * tensor
    return mean


def added_in_double(states):
    """`.double()` of what is float64 already is the checkpoint's own tensor."""
    total = {name: tensor.double() for name, tensor in states[0].items()}
    for state in states[1:]:
        for name, tensor in state.items():
            total[name] += tensor.double()
    return {name: (tensor / len(states)).to(states[0][name].dtype) for name, tensor in total.items()}


WRONG_7_5 = {
    "the only one itself": (
        lambda states: states[0] if len(states) == 1 else average_states(states), "the very tensors"
    ),
    "the only one in another dictionary": (
        lambda states: dict(states[0]) if len(states) == 1 else average_states(states), "the very tensors"
    ),
    "views of the only one": (
        lambda states: {n: t.view_as(t) for n, t in states[0].items()} if len(states) == 1 else average_states(states),
        "the very tensors",
    ),
    "divided by the number of names": (
        lambda states: {n: (sum(s[n].double() for s in states) / len(states[0])).to(t.dtype)
                        for n, t in states[0].items()}, "number of names",
    ),
    "divided by one less": (back(lambda tensors: sum(tensors) / max(1, len(tensors) - 1)), None),
    "a moving mean": (back(moving), None),
    "the geometric mean": (back(lambda ts: torch.stack(ts).abs().log().mean(0).exp()), None),
    "the middle of the extremes": (back(lambda ts: (torch.stack(ts).amax(0) + torch.stack(ts).amin(0)) / 2), None),
    "float64 changed in place": (added_in_double, "no copy"),
    "the mean of its own format": (each_name(lambda tensors: torch.stack(tensors).mean(0)), "float64"),
    "each divided first": (each_name(lambda tensors: sum(tensor / len(tensors) for tensor in tensors)), "own format"),
    "in float32 and back": (
        each_name(lambda ts: torch.stack([t.float() for t in ts]).mean(0).to(ts[0].dtype)), "float32"
    ),
    "weights only": (
        lambda states: {n: t for n, t in average_states(states).items() if not n.endswith(("gain", "bias"))}, None
    ),
    "pairs": (lambda states: list(average_states(states).items()), "dictionary"),
    "lists of numbers": (back(lambda ts: sum(ts) / len(ts)) and (
        lambda states: {n: t.tolist() for n, t in average_states(states).items()}), "asked for is a Tensor"),
    "a generator": (lambda states: (pair for pair in average_states(states).items()), "generator"),
    "complex": (lambda states: {n: t.cfloat() for n, t in average_states(states).items()}, "complex"),
    "never more than four": (lambda states: average_states(states[-4:]), None),
    "half precision throughout": (lambda states: {n: t.half() for n, t in average_states(states).items()}, "dtype"),
}  # fmt: skip


def by_lerp(states):
    mean = {}
    for count, state in enumerate(states, 1):
        for name, tensor in state.items():
            mean[name] = torch.lerp(mean.get(name, torch.zeros_like(tensor).double()), tensor.double(), 1 / count)
    return collections.OrderedDict((name, tensor.to(states[0][name].dtype)) for name, tensor in mean.items())


def by_numpy(states):
    return {
        name: torch.as_tensor(numpy.mean([state[name].double().numpy() for state in states], axis=0)).to(tensor.dtype)
        for name, tensor in states[0].items()
    }


RIGHT_7_5 = {
    "lerp, ordered": by_lerp,
    "numpy": by_numpy,
    "einsum": back(lambda ts: torch.einsum("s...,s->...", torch.stack(ts), torch.full((len(ts),), 1 / len(ts)).double())
                   if len(ts) == 1 else sum(ts) / len(ts)),
    "reduced": back(lambda ts: functools.reduce(torch.add, ts) / len(ts)),
    "counted": lambda states, *, weights=None: average_states([*states]),
    "of a default dictionary": lambda states: collections.defaultdict(None, average_states(tuple(states))),
    "a partial": functools.partial(average_states),
}  # fmt: skip

# 7.6 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def stopping(better=lambda loss, best: loss < best, end=None, first=math.inf, stop_breaks=True):
    def answer(losses, patience):
        best_loss, best, without, stop = losses[0] if first is None else first, 0, 0, None
        for index, loss in enumerate(losses):
            if better(loss, best_loss):
                best_loss, best, without = loss, index, 0
            elif index or first is not None:
                without += 1
            if patience and without >= patience:
                stop = index
                if stop_breaks:
                    break
        return best, (len(losses) - 1 if end is None else end(losses)) if stop is None else stop

    return answer


def consumed(losses, patience):
    result = early_stop(list(losses), patience)
    while losses:
        losses.pop()
    return result


WRONG_7_6 = {
    "a gain of 1e-4": (stopping(lambda loss, best: loss < best - 1e-4), "however small"),
    "a gain of a millionth": (stopping(lambda loss, best: loss < best * (1 - 1e-6)), "however small"),
    "the first is the best from the start": (stopping(first=None), "NaN"),
    "ends behind the last": (stopping(end=len), "len(losses) - 1"),
    "does not break": (stopping(stop_breaks=False), None),
    "below one half": (stopping(lambda loss, best: loss < best / 2), None),
    "None without a stop": (stopping(end=lambda losses: None), None),
    "consumed": (consumed, "changes its input"),
    "patience at least 2": (lambda losses, p: early_stop(losses, p and max(p, 2)), "patience is 1"),
    "patience at most 2": (lambda losses, patience: early_stop(losses, min(patience, 2)), None),
    "ten at most": (lambda losses, patience: early_stop(losses[:10], patience), None),
    "NaN stops the training": (
        lambda losses, patience: early_stop(losses[: 1 + next((i for i, x in enumerate(losses) if x != x), 99)],
                                            patience), "like any other"),
    "NaN is not counted": (
        lambda losses, patience: (lambda kept: tuple(kept[i] for i in early_stop([losses[k] for k in kept], patience)))(
            [k for k, loss in enumerate(losses) if loss == loss]), "leave out"),
    "a dictionary": (lambda losses, patience: dict(zip(("best", "stop"), early_stop(losses, patience))), "dict"),  # noqa: B905
    "a generator": (lambda losses, patience: (n for n in early_stop(losses, patience)), "generator"),
    "one Tensor": (lambda losses, patience: torch.tensor(early_stop(losses, patience)) + 1j, "tuple"),
    "the stop and its loss": (lambda losses, patience: (early_stop(losses, patience)[1],) * 2, None),
    "text": (lambda losses, patience: tuple(map(str, early_stop(losses, patience))), None),
}  # fmt: skip


class Stopper:
    def __init__(self, patience):
        self.patience, self.best, self.best_loss, self.bad = patience, 0, float("inf"), 0

    def __call__(self, index, loss):
        self.bad += 1
        if loss < self.best_loss:
            self.best, self.best_loss, self.bad = index, loss, 0
        return self.patience > 0 and self.bad >= self.patience


def by_class(losses, patience):
    stopper = Stopper(patience)
    stop = next((i for i, loss in enumerate(losses) if stopper(i, loss)), len(losses) - 1)
    return stopper.best, stop


def by_recursion(losses, patience, best=0, index=0, least=math.inf, bad=0):
    if index == len(losses):
        return best, index - 1
    best, least, bad = (index, losses[index], 0) if losses[index] < least else (best, least, bad + 1)
    if 0 < patience == bad:
        return best, index
    return by_recursion(losses, patience, best, index + 1, least, bad)


def by_numpy_minimum(losses, patience):
    running = numpy.fmin.accumulate(numpy.where(numpy.isnan(losses), numpy.inf, losses))
    firsts = [int(numpy.argmax(running == value)) for value in running]
    stops = [i for i, first in enumerate(firsts) if patience and i - first >= patience]
    stop = stops[0] if stops else len(losses) - 1
    return numpy.int64(firsts[stop]), numpy.int64(stop)


RIGHT_7_6 = {
    "a class": by_class,
    "recursion": by_recursion,
    "numpy": by_numpy_minimum,
    "a rule as a parameter": stopping(),
    "named": lambda losses, patience: collections.namedtuple("Stop", "best stop")(*early_stop(losses, patience)),
    "infinite patience": lambda losses, patience: early_stop(losses, patience or 10**9),
}

WRONG = {"7.5": WRONG_7_5, "7.6": WRONG_7_6}
RIGHT = {"7.5": RIGHT_7_5, "7.6": RIGHT_7_6}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
