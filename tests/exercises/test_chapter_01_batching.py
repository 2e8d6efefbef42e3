"""Chapter 01, padding and batches, from outside: plausible wrong answers that no misconception was written for,
and unusual right ones. As in test_chapter_01_pieces.py.
"""

import itertools

import torch

# 1.3 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def right_mask(tokens, padding_id=0):
    return (tokens != padding_id)[:, None, None, :]


def from_lengths(tokens, padding_id=0):
    lengths = (tokens != padding_id).sum(-1)
    return (torch.arange(tokens.size(1)) < lengths[:, None])[:, None, None]


def until_first_padding(tokens, padding_id=0):
    return (tokens != padding_id).long().cumprod(-1).bool()[:, None, None]


def changes_tokens(tokens, padding_id=0):
    tokens[tokens == padding_id] = 0
    return (tokens != 0)[:, None, None]


WRONG_1_3 = {
    "from lengths": (from_lengths, "padding stands in front"),
    "until the first padding": (until_first_padding, "padding stands in front"),
    "changes tokens": (changes_tokens, None),
    "no padding_id": (lambda tokens: right_mask(tokens), "padding_id=0"),
    "list": (lambda t, padding_id=0: right_mask(t, padding_id).tolist(), "asked for is a Tensor"),
    "NumPy": (lambda t, padding_id=0: right_mask(t, padding_id).numpy(), "Stay with torch"),
    "bytes": (lambda t, padding_id=0: right_mask(t, padding_id).byte(), "bool"),
    "long": (lambda t, padding_id=0: right_mask(t, padding_id).long(), "bool"),
    "additive": (
        lambda t, padding_id=0: torch.zeros(t.shape).masked_fill(t == padding_id, -1e9)[:, None, None],
        "bool",
    ),
    "five axes": (lambda t, padding_id=0: right_mask(t, padding_id)[None], "shape"),
    "expanded": (lambda t, padding_id=0: right_mask(t, padding_id).expand(-1, -1, t.size(1), -1), "shape"),
    "transposed": (lambda t, padding_id=0: (t != padding_id).t()[:, None, None, :], None),
    "first sentence for all": (lambda t, padding_id=0: right_mask(t[:1], padding_id).expand(len(t), 1, 1, -1), None),
    "all allowed": (lambda t, padding_id=0: torch.ones(len(t), 1, 1, t.size(1), dtype=torch.bool), None),
    "last token hidden": (
        lambda t, padding_id=0: right_mask(torch.cat([t[:, :-1], t.new_full((len(t), 1), padding_id)], 1), padding_id),
        None,
    ),
    "words from 4 on": (lambda t, padding_id=0: (t >= 4)[:, None, None, :], "unknown, begin and end"),
    "positive": (lambda t, padding_id=0: (t > 0)[:, None, None, :], "whatever `padding_id` says"),
    "truth of the ids": (lambda t, padding_id=0: t.bool()[:, None, None, :], "whatever `padding_id` says"),
    "causal too": (
        lambda t, padding_id=0: right_mask(t, padding_id) & torch.ones(t.size(1), t.size(1), dtype=torch.bool).tril(),
        "shape",
    ),
    "is not": (lambda t, padding_id=0: torch.tensor(t is not padding_id), "shape"),
    "inverted with axes": (lambda t, padding_id=0: ~(t != padding_id).unsqueeze(1).unsqueeze(1), "True at real tokens"),
    "squeezed": (lambda t, padding_id=0: right_mask(t, padding_id).squeeze(), "shape"),
    "mask of a copy": (lambda t, padding_id=0: right_mask(t.flatten()[None], padding_id), "shape"),
}


def looped_mask(tokens, padding_id=0):
    rows = [[index != padding_id for index in row] for row in tokens.tolist()]
    return torch.tensor(rows, dtype=torch.bool).reshape(len(rows), 1, 1, -1)


RIGHT_1_3 = {
    "loop": looped_mask,
    "unsqueezed": lambda t, padding_id=0: t.ne(padding_id).unsqueeze(1).unsqueeze(2),
    "inverted twice": lambda t, padding_id=0: ~torch.eq(t, padding_id)[:, None, None],
    "reshaped": lambda t, padding_id=0: (t != padding_id).view(t.size(0), 1, 1, t.size(1)),
    "differences": lambda t, padding_id=0: (t - padding_id).abs().clamp(max=1).bool()[:, None, None, :],
    "where": lambda t, padding_id=0: torch.where(t == padding_id, False, True)[:, None, None, :],
    "more keywords": lambda t, padding_id=0, device=None: right_mask(t, padding_id),
    "sums": lambda t, padding_id=0: (torch.nn.functional.one_hot(t.long(), 50).sum(-1) * (t != padding_id) > 0)[
        :, None, None
    ],
}


# 1.6 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def right_batches(lengths, budget, key=None, fits=None):
    batches, batch = [], []
    for index in sorted(range(len(lengths)), key=key or (lambda i: lengths[i])):
        room = fits(batch, index) if fits else (len(batch) + 1) * lengths[index] <= budget
        if batch and not room:
            batches.append(batch)
            batch = []
        batch.append(index)
    return batches + [batch]


def changes_lengths(lengths, budget):
    order = sorted(range(len(lengths)), key=lambda i: lengths[i])
    result = right_batches(lengths, budget)
    lengths.sort()
    return result if order else []


def first_fit(lengths, budget):
    """An earlier batch may be filled up; sorted by length, none ever has room."""
    batches = []
    for index in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        for batch in batches:
            if (len(batch) + 1) * lengths[index] <= budget:
                batch.append(index)
                break
        else:
            batches.append([index])
    return batches


def fixed_size(lengths, budget):
    order = sorted(range(len(lengths)), key=lambda i: lengths[i])
    size = max(1, budget // max(lengths))
    return [order[i : i + size] for i in range(0, len(order), size)]


def equal_lengths_only(lengths, budget):
    groups = itertools.groupby(sorted(range(len(lengths)), key=lambda i: lengths[i]), key=lambda i: lengths[i])
    result = []
    for length, group in groups:
        group, size = list(group), max(1, budget // length)
        result += [group[i : i + size] for i in range(0, len(group), size)]
    return result


def average_counted(lengths, budget):
    def fits(batch, index):
        return sum(lengths[i] for i in [*batch, index]) / (len(batch) + 1) * (len(batch) + 1) <= budget

    return right_batches(lengths, budget, fits=fits)


def remembering(lengths, budget, batches=[]):  # noqa: B006 (that is what is wrong with it)
    batches += right_batches(lengths, budget)
    return list(batches)


WRONG_1_6 = {
    "changes lengths": (changes_lengths, "`lengths` in place"),
    "size from the longest": (fixed_size, None),
    "equal lengths only": (equal_lengths_only, None),
    "average counted": (average_counted, "padded rectangle"),
    "remembering": (remembering, None),
    "long ones raise": (
        lambda lengths, budget: right_batches(lengths, budget) if max(lengths) <= budget else 1 // 0,
        "a sentence is longer than the budget",
    ),
    "long ones cut": (
        lambda lengths, budget: [b for b in right_batches(lengths, budget) if min(lengths[i] for i in b) <= budget],
        "longer than the budget",
    ),
    "batches turned round": (lambda lengths, budget: right_batches(lengths, budget)[::-1], None),
    "inside turned round": (lambda lengths, budget: [b[::-1] for b in right_batches(lengths, budget)], None),
    "inside sorted": (lambda lengths, budget: [sorted(b) for b in right_batches(lengths, budget)], None),
    "counted from 1": (lambda lengths, budget: [[i + 1 for i in b] for b in right_batches(lengths, budget)], None),
    "flat": (lambda lengths, budget: sum(right_batches(lengths, budget), []), None),
    "sizes": (lambda lengths, budget: [len(b) for b in right_batches(lengths, budget)], None),
    "pairs": (lambda lengths, budget: [[(i, lengths[i]) for i in b] for b in right_batches(lengths, budget)], None),
    "one sentence a batch": (lambda lengths, budget: [[i] for i in range(len(lengths))], None),
    "everything in one": (lambda lengths, budget: [list(range(len(lengths)))], None),
    "budget ignored": (lambda lengths, budget: right_batches(lengths, 25), None),
    "end counted too": (
        lambda lengths, budget: right_batches([n + 1 for n in lengths], budget),
        None,
    ),
    "half the budget": (lambda lengths, budget: right_batches(lengths, budget / 2), None),
    "tensors": (lambda lengths, budget: [torch.tensor(b) for b in right_batches(lengths, budget)], "list"),
    "sets": (lambda lengths, budget: [set(b) for b in right_batches(lengths, budget)], "list"),
    "generator": (lambda lengths, budget: (b for b in right_batches(lengths, budget)), "generator"),
    "empty one at the end": (lambda lengths, budget: [*right_batches(lengths, budget), []], "list of"),
    "by text": (lambda lengths, budget: right_batches(lengths, budget, key=lambda i: str(lengths[i])), None),
    "too many by one": (
        lambda lengths, budget: right_batches(lengths, budget, fits=lambda batch, i: len(batch) * lengths[i] <= budget),
        None,
    ),
}


def with_tensors(lengths, budget):
    order = torch.tensor(lengths).argsort(stable=True).tolist()
    batches = [[]]
    for index in order:
        if batches[-1] and (len(batches[-1]) + 1) * lengths[index] > budget:
            batches.append([])
        batches[-1].append(index)
    return batches


def with_longest(lengths, budget):
    result, batch, longest = [], [], 0
    for length, index in sorted((length, index) for index, length in enumerate(lengths)):
        if batch and (len(batch) + 1) * max(longest, length) > budget:
            result.append(batch)
            batch, longest = [], 0
        batch, longest = [*batch, index], max(longest, length)
    return [*result, batch]


def by_slices(lengths, budget):
    order, start, result = sorted(range(len(lengths)), key=lengths.__getitem__), 0, []
    while start < len(order):
        end = start + 1
        while end < len(order) and (end + 1 - start) * lengths[order[end]] <= budget:
            end += 1
        result.append(order[start:end])
        start = end
    return result


RIGHT_1_6 = {
    "first fit": first_fit,
    "plain": right_batches,
    "tensors inside": with_tensors,
    "longest kept": with_longest,
    "slices": by_slices,
    "tuples": lambda lengths, budget: tuple(map(tuple, right_batches(lengths, budget))),
    "sum and max": lambda lengths, budget: right_batches(
        lengths, budget, fits=lambda b, i: max([lengths[j] for j in b] + [lengths[i]]) * (len(b) + 1) <= budget
    ),
    "division": lambda lengths, budget: right_batches(
        lengths, budget, fits=lambda batch, i: len(batch) + 1 <= budget // lengths[i]
    ),
}


WRONG = {"1.3": WRONG_1_3, "1.6": WRONG_1_6}
RIGHT = {"1.3": RIGHT_1_3, "1.6": RIGHT_1_6}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
