"""Chapter 01, batches by token budget, met by strangers: wrong answers that are in no other table, and unusual right
ones. As in test_chapter_01_batching.py.
"""

import bisect
import functools
import itertools

import numpy
import pytest
import torch

from utils.exercises import examine, exercise

# 1.6 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def batches_of(lengths, budget, order=None, room=None):
    room = room or (lambda batch, index: (len(batch) + 1) * lengths[index] <= budget)
    batches = []
    for index in order or sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if batches and room(batches[-1], index):
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def shortest_counts(lengths, budget):
    return batches_of(lengths, budget, room=lambda batch, i: (len(batch) + 1) * lengths[batch[0]] <= budget)


def starts_from_0(lengths, budget):
    batches, batch, total = [], [], 0
    for index in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if batch and total + lengths[index] > budget:
            batches.append(batch)
            batch, total = [], 0
        else:
            total += lengths[index]
        batch.append(index)
    return [*batches, batch]


def size_not_begun_anew(lengths, budget):
    batches, size = [[]], 0
    for index in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        size += 1
        if batches[-1] and size * lengths[index] > budget:
            batches.append([])
            size = 0
        batches[-1].append(index)
    return batches


def long_one_joined(lengths, budget):
    batches = []
    for index in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if batches and ((len(batches[-1]) + 1) * lengths[index] <= budget or lengths[index] > budget):
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def long_ones_together(lengths, budget):
    fitting = [i for i in sorted(range(len(lengths)), key=lambda i: lengths[i]) if lengths[i] <= budget]
    long = [i for i in range(len(lengths)) if lengths[i] > budget]
    return batches_of(lengths, budget, fitting) * bool(fitting) + [long] * bool(long)


def eight_at_most(lengths, budget):
    return batches_of(
        lengths, budget, room=lambda b, i: len(b) < 8 and (len(b) + 1) * lengths[i] <= budget
    )  # fmt: skip


def by_dictionary(lengths, budget):
    order = [{length: i for i, length in enumerate(lengths)}[length] for length in sorted(lengths)]
    return batches_of(lengths, budget, order)


def by_index(lengths, budget):
    return batches_of(lengths, budget, [lengths.index(length) for length in sorted(lengths)])


def positions_in_order(lengths, budget):
    return batches_of(sorted(lengths), budget)


def last_one_joined(lengths, budget):
    batches = batches_of(lengths, budget)
    return batches if len(batches) < 2 or len(batches[-1]) > 1 else [*batches[:-2], batches[-2] + batches[-1]]


def shuffled(lengths, budget):
    batches = batches_of(lengths, budget)
    return [batches[i] for i in torch.randperm(len(batches)).tolist()]


def equal_in_number(lengths, budget):
    count = len(batches_of(lengths, budget))
    order = sorted(range(len(lengths)), key=lambda i: lengths[i])
    return [part.tolist() for part in numpy.array_split(order, count)]


WRONG_1_6 = {
    "the shortest counts": (shortest_counts, "which is its shortest"),
    "first one not counted": (starts_from_0, None),
    "size not begun anew": (size_not_begun_anew, None),
    "long one joined to the last batch": (long_one_joined, "a sentence is longer than the budget"),
    "long ones together": (long_ones_together, "longer than the budget"),
    "eight sentences at most": (eight_at_most, None),
    "indices by dictionary": (by_dictionary, None),
    "indices by list.index": (by_index, "`lengths.index`"),
    "places in the sorted list": (positions_in_order, "in the sorted list"),
    "last one joined": (last_one_joined, None),
    "batches shuffled": (shuffled, None),
    "equal in number": (equal_in_number, None),
    "begin and end counted": (lambda n, b: batches_of([x + 2 for x in n], b), None),
    "budget less one": (lambda n, b: batches_of(n, b - 1), "exactly"),
    "budget per sentence": (
        lambda n, b: [[i for i in range(len(n)) if n[i] <= b], [i for i in range(len(n)) if n[i] > b]], None),
    "sum of squares": (lambda n, b: batches_of([x * x for x in n], b * b), None),
    "arguments exchanged": (lambda budget, lengths: batches_of(lengths, budget), None),
    "budget with a default": (lambda lengths, budget=25000: batches_of(lengths, 25000), None),
    "floats": (lambda n, b: [[float(i) for i in batch] for batch in batches_of(n, b)], "whole number"),
    "dictionary": (lambda n, b: dict(enumerate(batches_of(n, b))), "list"),
    "batches with their size": (lambda n, b: [(batch, len(batch)) for batch in batches_of(n, b)], None),
    "strings": (lambda n, b: [[str(i) for i in batch] for batch in batches_of(n, b)], None),
    "indices and counts": (lambda n, b: (batches_of(n, b), len(batches_of(n, b))), "list"),
}  # fmt: skip


def with_closing(lengths, budget):
    """A batch is closed at once when it is exactly full: what comes next would not have fitted."""
    batches, batch = [], []
    for length, index in sorted(zip(lengths, range(len(lengths)), strict=True)):
        if batch and (len(batch) + 1) * length > budget:
            batches.append(batch)
            batch = []
        batch.append(index)
        if len(batch) * length >= budget:
            batches.append(batch)
            batch = []
    return batches + ([batch] if batch else [])


def searching(lengths, budget):
    order = numpy.argsort(lengths, kind="stable").tolist()
    found, rest = [], order
    while rest:
        sizes = [(count + 1) * lengths[index] for count, index in enumerate(rest)]
        fitting = max(1, bisect.bisect_right(sizes, budget))
        found.append(rest[:fitting])
        rest = rest[fitting:]
    return found


def folded(lengths, budget):
    def take(batches, index):
        fits = batches and (len(batches[-1]) + 1) * lengths[index] <= budget
        return [*batches[:-1], [*batches[-1], index]] if fits else [*batches, [index]]

    return functools.reduce(take, sorted(range(len(lengths)), key=lengths.__getitem__), [])


RIGHT_1_6 = {
    "closed when full": with_closing,
    "searching": searching,
    "folded": folded,
    "NumPy's numbers": lambda n, b: [list(numpy.array(batch)) for batch in batches_of(n, b)],
    "sorted pairs": lambda n, b: batches_of(n, b, [i for _, i in sorted((x, i) for i, x in enumerate(n))]),
    "chained": lambda n, b, **more: list(itertools.chain(batches_of(n, b))),
}

WRONG = {"1.6": WRONG_1_6}
RIGHT = {"1.6": RIGHT_1_6}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)


@pytest.mark.parametrize("name", ["dictionary", "long one joined to the last batch"])
def test_no_misconception_is_told_that_fits_by_accident(name):
    """A dictionary is no list, and one big batch comes about in many ways."""
    assert examine(exercise("1.6"), WRONG_1_6[name][0], 3).misconception is None
