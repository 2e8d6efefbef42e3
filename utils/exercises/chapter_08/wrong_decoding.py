"""Typical wrong answers to exercises 8.1 and 8.2."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from utils.exercises.declare import Misconception
from utils.transformer.masks import BEGIN, END, PADDING, UNKNOWN

# 8.1 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _words(source: Tensor) -> Tensor:
    return ((source != PADDING) & (source != END)).sum(dim=1)


def _until_end(ids: list[int]) -> list[int]:
    return ids[: ids.index(END)] if END in ids else ids


def _decoding(
    limit: Callable[[Tensor, int], Tensor] = lambda source, extra: _words(source) + extra,
    ruled_out: tuple[int, ...] = (PADDING, BEGIN),
    cut: Callable[[list[int]], list[int]] = _until_end,
    read: Callable[[Tensor], Tensor] = lambda prefix: prefix,
    position: int = -1,
    first_stops_all: bool = False,
    begin: int = BEGIN,
) -> Callable:
    """Greedy decoding with one thing done otherwise."""

    def answer(model: nn.Module, source: Tensor, max_extra: int = 50) -> list[list[int]]:
        limits = limit(source, max_extra)
        prefix = source.new_full((source.size(0), 1), begin)
        finished = limits == 0
        while not (finished.any() if first_stops_all else finished.all()):
            logits = model(source, read(prefix))[:, position].clone()
            logits[:, list(ruled_out)] = -math.inf
            tokens = logits.argmax(dim=-1)
            prefix = torch.cat([prefix, tokens[:, None]], dim=1)
            finished = finished | (tokens == END) | (limits < prefix.size(1))
        rows = zip(prefix[:, 1:].tolist(), limits.tolist(), strict=True)
        return [cut(row[:most]) for row, most in rows]

    return answer


def _keeping_end(ids: list[int]) -> list[int]:
    return ids[: ids.index(END) + 1] if END in ids else ids


def _end_taken_out(ids: list[int]) -> list[int]:
    return [token for token in ids if token != END]


def _one_limit(source: Tensor, max_extra: int) -> Tensor:
    return (_words(source) + max_extra).max().expand(source.size(0))


def _columns(source: Tensor, max_extra: int) -> Tensor:
    return torch.full((source.size(0),), source.size(1) + max_extra)


def _never_zero(source: Tensor, max_extra: int) -> Tensor:
    return (_words(source) + max_extra).clamp(min=1)


def _one_more(source: Tensor, max_extra: int) -> Tensor:
    limits = _words(source) + max_extra
    return limits + (limits > 0)


def _one_less(source: Tensor, max_extra: int) -> Tensor:
    return (_words(source) + max_extra - 1).clamp(min=0)


GREEDY = (
    Misconception(
        "only the newest token is read",
        _decoding(read=lambda prefix: prefix[:, -1:]),
        "Your model is given the newest token alone, so it has forgotten what it wrote before. Without a cache the "
        "whole prefix, BEGIN first, goes in at every step.",
    ),
    Misconception(
        "the first position's logits",
        _decoding(position=0),
        "You read the logits of the first position at every step, and they never change. The next token is predicted "
        "at the last position: `logits[:, -1]`.",
    ),
    Misconception(
        "specials may be chosen",
        _decoding(ruled_out=()),
        "Your search writes PADDING or BEGIN where the model finds it likeliest. Neither is ever a word: set their "
        "logits to −∞ before the argmax.",
    ),
    Misconception(
        "PADDING may be chosen",
        _decoding(ruled_out=(BEGIN,)),
        "BEGIN is ruled out, PADDING is not: a model may find it likeliest, and it is no word.",
    ),
    Misconception(
        "BEGIN may be chosen",
        _decoding(ruled_out=(PADDING,)),
        "PADDING is ruled out, BEGIN is not: a model may find it likeliest, and it is no word.",
    ),
    Misconception(
        "the first END stops all",
        _decoding(first_stops_all=True),
        "As soon as one sentence is finished, your loop stops for the whole batch, and the others are cut off. Go on "
        "until all are finished (`.all()`, not `.any()`).",
    ),
    Misconception(
        "writing goes on after END",
        _decoding(cut=_end_taken_out),
        "A sentence that has said END goes on collecting words while others are still at work. What comes after its "
        "END does not belong to it.",
    ),
    Misconception(
        "END is kept",
        _decoding(cut=_keeping_end),
        "Your translations end with the id END. It says that the sentence is over and is no part of it.",
    ),
    Misconception(
        "BEGIN is kept",
        _decoding(cut=lambda ids: [BEGIN, *_until_end(ids)]),
        "Your translations begin with the id BEGIN. It starts the prefix and is no part of the translation: leave the "
        "first column out (`prefix[:, 1:]`).",
    ),
    Misconception(
        "a limit of 0 writes one token",
        _decoding(limit=_never_zero),
        "A sentence with limit 0 writes one token: it is looked at only after the first step. Begin with "
        "`finished = limits == 0`, not with False for all.",
    ),
    Misconception(
        "one token more than the limit",
        _decoding(limit=_one_more),
        "Your sentences may have one token more than their limit. A row is finished as soon as it *has* `limits` "
        "tokens; the prefix holds BEGIN besides, so that is when `limits < prefix.size(1)`.",
    ),
    Misconception(
        "BEGIN is counted in the limit",
        _decoding(limit=_one_less),
        "Your sentences stop one token before their limit: BEGIN is counted among what has been written. The prefix "
        "is one longer than that: a row is finished when `limits < prefix.size(1)`, not yet when they are equal.",
    ),
    Misconception(
        "END is counted as a word of the source",
        _decoding(limit=lambda source, extra: _words(source) + 1 + extra),
        "Your limit is one too high: the source's END is counted among its words, or a row that has `limits` tokens "
        "may write one more.",
    ),
    Misconception(
        "END is ruled out",
        _decoding(ruled_out=(PADDING, BEGIN, END)),
        "You rule out END too, so that no sentence ends before its limit.",
    ),
    Misconception(
        "all ids below 4 are ruled out",
        _decoding(ruled_out=(PADDING, UNKNOWN, BEGIN, END)),
        "You rule out all ids below 4. END, 3, is among them, so that no sentence ends before its limit; and the "
        "unknown word, 1, may be written.",
    ),
    Misconception(
        "the unknown word is ruled out",
        _decoding(ruled_out=(PADDING, UNKNOWN, BEGIN)),
        "You rule out the unknown word, 1, too. Only PADDING and BEGIN are never written.",
    ),
    Misconception(
        "padding is counted as words",
        _decoding(limit=_columns),
        "Your limit is the number of columns of `source` and max_extra, so that padding and END count as words. Each "
        "sentence has a limit of its own: its words and max_extra.",
    ),
    Misconception(
        "unknown words are no words",
        _decoding(limit=lambda source, extra: (source > END).sum(dim=1) + extra),
        "You count known words only. The unknown word, 1, stands for a word too: only END and PADDING do not count.",
    ),
    Misconception(
        "one limit for all",
        _decoding(limit=_one_limit),
        "All sentences of your batch go on to the limit of the longest, so that a translation depends on its "
        "neighbours in the batch. The loop may run so long, but each row has a limit of its own: rows that reach "
        "theirs must stop writing.",
    ),
    Misconception(
        "max_extra alone is the limit",
        _decoding(limit=lambda source, extra: torch.full((source.size(0),), extra)),
        "You allow max_extra tokens in all; §6.1 allows the length of the source and so many *more*.",
    ),
    Misconception(
        "begins with END",
        _decoding(begin=END),
        "Your prefix begins with END. The model was trained on targets shifted right behind BEGIN: it has never seen "
        "a sentence that starts otherwise.",
    ),
)

# 8.2 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

PENALTY = (
    Misconception(
        "the power of 6 alone",
        lambda length, alpha: (5 + length) / 6**alpha,
        "Only the 6 is raised to α in your formula: `**` binds more tightly than `/`. The power is that of the whole "
        "fraction, so it needs brackets: `((5 + length) / 6) ** alpha`.",
    ),
    Misconception(
        "the length alone divided by 6",
        lambda length, alpha: (5 + length / 6) ** alpha,
        "Only the length is divided by 6 in your formula: `/` binds more tightly than `+`. The sum is divided: "
        "`((5 + length) / 6) ** alpha`.",
    ),
    Misconception(
        "the division by 6 is left out",
        lambda length, alpha: (5 + length) ** alpha,
        "Your penalty is (5 + |Y|)^α. Divided by 6 inside of the brackets it is 1 for a single token. (For one α the "
        "ranking is the same, the scores are not.)",
    ),
    Misconception(
        "divided after the power",
        lambda length, alpha: (5 + length) ** alpha / 6,
        "You take the power first and divide by 6 afterwards. The power is that of the whole fraction: "
        "((5 + |Y|) / 6)^α.",
    ),
    Misconception(
        "plain length",
        lambda length, alpha: length**alpha,
        "Your penalty is |Y|^α, an older form. Wu et al. add 5 and divide by 6, which treats short sentences more "
        "gently: from one token to two it grows by a sixth at α = 1, not to double.",
    ),
    Misconception(
        "α as a factor",
        lambda length, alpha: (5 + length) / 6 * alpha,
        "You multiply by α. It is an exponent: α = 0 has to give 1 (no penalty), not 0.",
    ),
    Misconception(
        "the exponent's sign",
        lambda length, alpha: ((5 + length) / 6) ** -alpha,
        "Your exponent is −α. The score is log P *divided* by the penalty, so the penalty itself grows with length.",
    ),
    Misconception(
        "END is counted twice",
        lambda length, alpha: ((6 + length) / 6) ** alpha,
        "You add 6. |Y| is given with END counted already; a single token has the penalty (5 + 1) / 6 = 1.",
    ),
    Misconception(
        "END is not counted",
        lambda length, alpha: ((4 + length) / 6) ** alpha,
        "You add 4, as if END were to be taken off. `length` is |Y| as it stands in the formula: 5 is added to it.",
    ),
    Misconception(
        "α on the length only",
        lambda length, alpha: (5 + length**alpha) / 6,
        "Only |Y| is raised to α in your formula. The power is that of the whole fraction.",
    ),
    Misconception(
        "α is always 0.6",
        lambda length, alpha: ((5 + length) / 6) ** 0.6,
        "You always take α = 0.6, the paper's value, whatever `alpha` is.",
    ),
)
