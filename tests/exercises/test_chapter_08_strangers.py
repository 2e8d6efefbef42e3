"""Chapter 08, greedy decoding and the length penalty, from further outside: answers of strangers, wrong and right. Each
wrong answer comes with words that its report must hold, or None.
"""

import functools
import math

import numpy
import torch

from utils.exercises.chapter_08.references import greedy_decode
from utils.transformer import BEGIN, END, PADDING
from utils.translation.beam import penalty

# 8.1 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def words(source):
    return ((source != PADDING) & (source != END)).sum(dim=1)


def batched(limit=lambda source, extra: words(source) + extra, ruled_out=(PADDING, BEGIN), read=lambda prefix: prefix,
            choose=lambda logits: logits.argmax(dim=-1), start=lambda limits: limits == 0, value=-math.inf,
            ends=lambda finished: finished.all(), cut=True, more=0, keep=(),
            of=lambda logits: logits[:, -1]):  # fmt: skip
    """A batch at once, as one would write it."""

    def answer(model, source, max_extra=50):
        limits = limit(source, max_extra)
        prefix = torch.full((len(source), 1), BEGIN)
        finished = start(limits)
        while not ends(finished):
            logits = of(model(source, read(prefix))).clone()
            logits[:, list(ruled_out)] = value
            tokens = choose(logits)
            if cut:
                tokens = torch.where(finished, torch.tensor(PADDING), tokens)
            prefix = torch.cat([prefix, tokens[:, None]], dim=1)
            finished = finished | (tokens == END) | (prefix.size(1) - 1 >= limits + more)
        return [[t for t in row if t not in {PADDING, END} - set(keep)] for row in prefix[:, 1:].tolist()]

    return answer


def around(change):
    return lambda model, source, max_extra=50: change(greedy_decode(model, source, max_extra))


def in_evaluation_after(model, source, max_extra=50):
    translations = greedy_decode(model, source, max_extra)
    model.output.data.zero_()
    return translations


def default_20(model, source, max_extra=20):
    return greedy_decode(model, source, max_extra)


def one_by_one_yielded(model, source, max_extra=50):
    yield from greedy_decode(model, source, max_extra)


def for_range_of_extra(model, source, max_extra=50):
    """A loop of as many turns as the longest limit, that forgets the limits of the others."""
    return batched(lambda source, extra: (words(source) + extra).amax().expand(len(source)))(model, source, max_extra)


def end_never_looked_at(model, source, max_extra=50):
    longest = int((words(source) + max_extra).max())
    prefix = source.new_full((len(source), 1), BEGIN)
    for _ in range(longest):
        logits = model(source, prefix)[:, -1]
        logits[:, [PADDING, BEGIN]] = -1e30
        prefix = torch.cat([prefix, logits.argmax(-1, keepdim=True)], 1)
    return prefix[:, 1:].tolist()


WRONG_8_1 = {
    "one token before looking": (
        batched(start=lambda limits: torch.zeros_like(limits, dtype=torch.bool)), "with limit 0"
    ),
    "one token too many": (batched(more=1), "one token"),
    "one token too few": (batched(more=-1), "stop one token before"),
    "specials below 4": (batched(ruled_out=(0, 1, 2, 3)), "below 4"),
    "END ruled out": (batched(ruled_out=(0, 2, 3)), "END too"),
    "specials below 3": (batched(ruled_out=(0, 1, 2)), "unknown word"),
    "a thousandth of the smallest": (batched(value=-10.0), None),
    "two newest tokens": (batched(read=lambda prefix: prefix[:, -2:]), None),
    "prefix reversed": (batched(read=lambda prefix: prefix.flip(1)), None),
    "without BEGIN": (batched(read=lambda prefix: prefix[:, 1:] if prefix.size(1) > 1 else prefix), None),
    "the last but one position": (batched(of=lambda logits: logits[:, max(logits.size(1) - 2, 0)]), None),
    "mean of all positions": (batched(of=lambda logits: logits.mean(dim=1)), None),
    "the likeliest over the batch": (batched(choose=lambda x: x.sum(0).argmax().expand(len(x))), None),
    "softmax over the batch": (batched(choose=lambda logits: logits.softmax(0).argmax(-1)), None),
    "END kept": (batched(keep=(END,)), "END"),
    "padding kept": (batched(keep=(PADDING,)), None),
    "the columns less END": (batched(lambda s, extra: torch.full((len(s),), s.size(1) - 1 + extra)), None),
    "limit of all words": (batched(lambda s, extra: (words(s).sum() + extra).expand(len(s))), None),
    "the longest limit": (for_range_of_extra, "limit of the longest"),
    "END never looked at": (end_never_looked_at, None),
    "20 by default": (default_20, "not given"),
    "the model is damaged": (in_evaluation_after, "changes its input `model"),
    "yielded": (one_by_one_yielded, "generator"),
    "a dictionary": (around(lambda rows: dict(enumerate(rows))), "list"),
    "tensors": (around(lambda rows: [torch.tensor(row) for row in rows]), "Tensor"),
    "texts": (around(lambda rows: [" ".join(map(str, row)) for row in rows]), "str"),
    "numbers of float": (around(lambda rows: [[token + 0.5 for token in row] for row in rows]), None),
    "sorted": (around(lambda rows: sorted(rows)), None),
    "without repetitions": (around(lambda rows: [list(dict.fromkeys(row)) for row in rows]), None),
}  # fmt: skip


class Greedy:
    """A callable with a method."""

    max_len = 10**6

    @torch.inference_mode()
    def __call__(self, model, source, max_extra=50):
        return [self.one(model, row.unsqueeze(0), max_extra) for row in source.unbind()]

    @staticmethod
    def one(model, source, max_extra):
        limit = sum(token not in (PADDING, END) for token in source[0].tolist()) + max_extra
        ids = []
        for _ in range(limit):
            scores = model(source, torch.tensor([[BEGIN] + ids]))[0, -1].tolist()
            scores[PADDING] = scores[BEGIN] = float("-inf")
            best = max(range(len(scores)), key=scores.__getitem__)
            if best == END:
                return ids
            ids += [best]
        return ids


def preallocated(model, source, max_extra=50):
    limits = words(source) + max_extra
    ids = torch.full((len(source), 1 + int(limits.max())), PADDING)
    ids[:, 0] = BEGIN
    alive = limits > 0
    for place in range(1, ids.size(1)):
        if not alive.any():
            break
        ruled = torch.zeros(model.output.size(1)).index_fill(0, torch.tensor([PADDING, BEGIN]), -torch.inf)
        ids[:, place] = (model(source, ids[:, :place])[:, -1] + ruled).argmax(-1) * alive
        alive &= (ids[:, place] != END) & (place < limits)
    return [[int(token) for token in row[1:] if token not in (END, PADDING)] for row in ids]


def by_numpy(model, source, max_extra=50):
    rows = [[] for _ in range(len(source))]
    limits = (words(source) + max_extra).numpy()
    open_ = limits > 0
    while open_.any():
        width = max(map(len, rows))
        prefix = torch.tensor([[BEGIN, *row, *[PADDING] * (width - len(row))] for row in rows])
        logits = model(source, prefix).detach().numpy()
        logits = logits[numpy.arange(len(rows)), [len(row) for row in rows]].copy()
        logits[:, [PADDING, BEGIN]] = -numpy.inf
        for index in numpy.flatnonzero(open_):
            token = logits[index].argmax()
            open_[index] = token != END and len(rows[index]) + 1 < limits[index]
            if token != END:
                rows[index].append(token)
    return rows


RIGHT_8_1 = {
    "a class": Greedy(),
    "room made at first": preallocated,
    "numpy": by_numpy,
    "batched": batched(),
    "END searched at the end": batched(cut=True, ends=lambda finished: bool(finished.all())),
    "log-probabilities": batched(choose=lambda logits: logits.log_softmax(-1).topk(1, dim=-1).indices[:, 0]),
    "a partial": functools.partial(greedy_decode),
    "keywords": lambda model, source, max_extra=50, **options: greedy_decode(model, source, max_extra=max_extra),
    "any special value": batched(value=-1e30),
}

# 8.2 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def added_in_place(length, alpha):
    length += 5
    return (length / 6) ** alpha


def at_most(most):
    return lambda length, alpha: penalty(
        length.clamp(max=most) if torch.is_tensor(length) else min(length, most), alpha
    )


WRONG_8_2 = {
    "added in place": (added_in_place, "changes its input `length`"),
    "α and length exchanged": (lambda alpha, length: penalty(length, alpha), None),
    "power of a power": (lambda length, alpha: alpha ** ((5 + length) / 6), None),
    "thirty at most": (at_most(30), None),
    "two at least": (lambda length, alpha: penalty(length if torch.is_tensor(length) else max(length, 2), alpha),
                     "one token only"),
    "α at most 1": (lambda length, alpha: penalty(length, min(alpha, 1.0)), None),
    "0.6 where α is 0": (lambda length, alpha: penalty(length, alpha or 0.6), "α is 0"),
    "numbers only": (lambda length, alpha: math.pow((5 + length) / 6, alpha), "`length` is a tensor"),
    "a mean": (lambda length, alpha: penalty(length.double().mean() if torch.is_tensor(length) else length, alpha),
               "shape"),
    "numpy": (lambda length, alpha: penalty(numpy.asarray(length), alpha), "NumPy"),
    "float32 inside": (lambda length, alpha: penalty(torch.as_tensor(length).float(), alpha), "dtype"),
    "one plus": (lambda length, alpha: 1 + penalty(length, alpha), None),
    "the number of them": (lambda length, alpha: penalty(len(length) if torch.is_tensor(length) else length, alpha),
                           "Tensor"),
    "5 / 6 apart": (lambda length, alpha: (5 / 6) ** alpha + (length / 6) ** alpha, None),
    "complex": (lambda length, alpha: penalty(length, alpha) + 0j, "complex"),
    "a string": (lambda length, alpha: str(penalty(length, alpha)), "str"),
    "a pair": (lambda length, alpha: (penalty(length, alpha), length), "tuple"),
    "whole": (lambda length, alpha: penalty(length, alpha) // 1, None),
}  # fmt: skip


class Penalty:
    k = 5

    @classmethod
    def of(cls, length, alpha):
        return ((cls.k + length) / (cls.k + 1)) ** alpha


RIGHT_8_2 = {
    "a class method": Penalty.of,
    "torch for all": lambda length, alpha: torch.as_tensor(length).add(5).div(6).pow(alpha),
    "numbers by numpy": lambda length, alpha: penalty(length, alpha) if torch.is_tensor(length) else numpy.power(
        (5 + length) / 6, alpha),
    "a partial": functools.partial(penalty),
    "reciprocal": lambda length, alpha: 1 / (6 / (length + 5)) ** alpha,
    "logarithm of two": lambda length, alpha: 2 ** (alpha * torch.log2((length + 5) / torch.tensor(6.0).double()))
    if torch.is_tensor(length) and length.is_floating_point() else penalty(length, alpha),
    "keyword only more": lambda length, alpha=0.6, *, extra=0: penalty(length + extra, alpha),
}  # fmt: skip

WRONG = {"8.1": WRONG_8_1, "8.2": WRONG_8_2}
RIGHT = {"8.1": RIGHT_8_1, "8.2": RIGHT_8_2}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
