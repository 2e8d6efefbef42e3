"""Typical wrong answers to exercises 8.1 to 8.3."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from utils.exercises.declare import Misconception
from utils.transformer.masks import BEGIN, END, PADDING

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

# 8.3 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _choose(scores: Tensor, beam: int) -> tuple[Tensor, Tensor, Tensor]:
    """The best `beam` of (batch, beam, vocab_size): log P, parent, token."""
    live, places = scores.flatten(1).topk(beam)
    return live, places // scores.size(2), places % scores.size(2)


def _without_end(scores: Tensor) -> Tensor:
    return scores.index_fill(2, torch.tensor([END]), -math.inf)


def _ended(scores: Tensor, count: int) -> Tensor:
    lowest = scores.flatten(1).topk(count).values[:, -1:]
    return scores[:, :, END].masked_fill(scores[:, :, END] < lowest, -math.inf)


def _live_forgotten(live: Tensor, log_probabilities: Tensor) -> tuple:
    scores, beam = log_probabilities, live.size(1)
    return *_choose(_without_end(scores), beam), _ended(scores, beam)


def _multiplied(live: Tensor, log_probabilities: Tensor) -> tuple:
    scores, beam = -(live[:, :, None] * log_probabilities).nan_to_num(posinf=math.inf), live.size(1)
    return *_choose(_without_end(scores), beam), _ended(scores, beam)


def _multiplied_plainly(live: Tensor, log_probabilities: Tensor) -> tuple:
    scores, beam = live[:, :, None] * log_probabilities, live.size(1)
    return *_choose(_without_end(scores), beam), _ended(scores, beam)


def _end_lives_on(live: Tensor, log_probabilities: Tensor) -> tuple:
    scores, beam = live[:, :, None] + log_probabilities, live.size(1)
    return *_choose(scores, beam), _ended(scores, beam)


def _places_lost(live: Tensor, log_probabilities: Tensor) -> tuple:
    scores, beam = live[:, :, None] + log_probabilities, live.size(1)
    best, parents, tokens = _choose(scores, beam)
    return best.masked_fill(tokens == END, -math.inf), parents, tokens, _ended(scores, beam)


def _each_for_itself(live: Tensor, log_probabilities: Tensor) -> tuple:
    scores, beam = live[:, :, None] + log_probabilities, live.size(1)
    best, tokens = _without_end(scores).max(dim=2)
    best, parents = best.sort(dim=1, descending=True)
    return best, parents, tokens.gather(1, parents), _ended(scores, beam)


def _exchanged(live: Tensor, log_probabilities: Tensor) -> tuple:
    scores, beam = live[:, :, None] + log_probabilities, live.size(1)
    best, parents, tokens = _choose(_without_end(scores), beam)
    return best, tokens, parents, _ended(scores, beam)


def _wrong_divisor(live: Tensor, log_probabilities: Tensor) -> tuple:
    scores, beam = live[:, :, None] + log_probabilities, live.size(1)
    best, places = _without_end(scores).flatten(1).topk(beam)
    return best, places // beam, places % beam, _ended(scores, beam)


def _places_as_tokens(live: Tensor, log_probabilities: Tensor) -> tuple:
    scores, beam = live[:, :, None] + log_probabilities, live.size(1)
    best, places = _without_end(scores).flatten(1).topk(beam)
    return best, places // scores.size(2), places, _ended(scores, beam)


def _every_end(live: Tensor, log_probabilities: Tensor) -> tuple:
    scores, beam = live[:, :, None] + log_probabilities, live.size(1)
    return *_choose(_without_end(scores), beam), scores[:, :, END]


def _last_left_out(live: Tensor, log_probabilities: Tensor) -> tuple:
    scores, beam = live[:, :, None] + log_probabilities, live.size(1)
    lowest = scores.flatten(1).topk(beam).values[:, -1:]
    ended = scores[:, :, END].masked_fill(scores[:, :, END] <= lowest, -math.inf)
    return *_choose(_without_end(scores), beam), ended


def _ends_sorted(live: Tensor, log_probabilities: Tensor) -> tuple:
    scores, beam = live[:, :, None] + log_probabilities, live.size(1)
    return *_choose(_without_end(scores), beam), _ended(scores, beam).sort(dim=1, descending=True).values


def _ends_by_rank(live: Tensor, log_probabilities: Tensor) -> tuple:
    scores, beam = live[:, :, None] + log_probabilities, live.size(1)
    best, _, tokens = _choose(scores, beam)
    return *_choose(_without_end(scores), beam), best.masked_fill(tokens != END, -math.inf)


def _ends_of_twice_as_many(live: Tensor, log_probabilities: Tensor) -> tuple:
    scores, beam = live[:, :, None] + log_probabilities, live.size(1)
    return *_choose(_without_end(scores), beam), _ended(scores, 2 * beam)


def _ends_beside_the_live(live: Tensor, log_probabilities: Tensor) -> tuple:
    scores = live[:, :, None] + log_probabilities
    chosen = _choose(_without_end(scores), live.size(1))
    return *chosen, scores[:, :, END].masked_fill(scores[:, :, END] < chosen[0][:, -1:], -math.inf)


def _lowest(live: Tensor, log_probabilities: Tensor) -> tuple:
    scores, beam = live[:, :, None] + log_probabilities, live.size(1)
    best, places = (
        (-scores).nan_to_num(posinf=-math.inf).index_fill(2, torch.tensor([END]), -math.inf).flatten(1).topk(beam)
    )
    return -best, places // scores.size(2), places % scores.size(2), _ended(scores, beam)


BEAM_STEP = (
    Misconception(
        "what was so far is forgotten",
        _live_forgotten,
        "You rank continuations by the log-probability of the new token alone. A hypothesis is as likely as all its "
        "tokens together: add `live`, what it has come to so far.",
    ),
    Misconception(
        "log-probabilities multiplied",
        _multiplied,
        "You multiply logarithms. Probabilities are multiplied; their logarithms are added.",
    ),
    Misconception(
        "log-probabilities multiplied, the likeliest last",
        _multiplied_plainly,
        "You multiply logarithms, and the product of two negative numbers is positive: the unlikeliest come out on "
        "top. Probabilities are multiplied; their logarithms are added.",
    ),
    Misconception(
        "END lives on",
        _end_lives_on,
        "Continuations by END stand among your live ones. They are finished: what lives on are the best continuations "
        "by another token.",
    ),
    Misconception(
        "END takes a place in the beam",
        _places_lost,
        "Where a hypothesis ends, your beam loses a place for good. Choose the live ones among the continuations that "
        "go on, and there are always `beam` of them.",
    ),
    Misconception(
        "each hypothesis for itself",
        _each_for_itself,
        "Each of your hypotheses is continued exactly once, by its own best token: that is so many greedy searches "
        "side by side. All continuations of a sentence compete: one hypothesis may have several children and another "
        "none.",
    ),
    Misconception(
        "parents and tokens exchanged",
        _exchanged,
        "Parents and tokens are exchanged: in the flattened row, place // vocab_size is the hypothesis and "
        "place % vocab_size the token.",
    ),
    Misconception(
        "divided by the beam",
        _wrong_divisor,
        "You divide places by the width of the beam. In a row of beam · vocab_size numbers, each hypothesis has "
        "vocab_size of them: place // vocab_size is the hypothesis, place % vocab_size the token.",
    ),
    Misconception(
        "places instead of tokens",
        _places_as_tokens,
        "Your tokens are places in the flattened row. The token is place % vocab_size.",
    ),
    Misconception(
        "every END is finished",
        _every_end,
        "You finish every hypothesis at every step. An END counts only where it is among the `beam` best continuations "
        "of its sentence; otherwise the list of finished ones fills up with fragments.",
    ),
    Misconception(
        "the last of the best does not count",
        _last_left_out,
        "An END that is just the last of the `beam` best is missing from your `ended`. The last of them counts too: "
        "rule out what is less than it (`<`), not what equals it (`<=`).",
    ),
    Misconception(
        "ENDs by their place among the best",
        _ends_by_rank,
        "The values of your `ended` stand in the order of the best continuations. Entry i belongs to the old "
        "hypothesis i: look at `scores[:, :, END]`, which is in that order already.",
    ),
    Misconception(
        "ENDs sorted",
        _ends_sorted,
        "The values of your `ended` are sorted, best first. Entry i belongs to the old hypothesis i: leave them in "
        "the order of `scores[:, :, END]`.",
    ),
    Misconception(
        "ENDs beside those that live on",
        _ends_beside_the_live,
        "You compare an END with the last one that lives on. But those were chosen without END: the `beam` best are "
        "taken END included, and where several end, fewer others are among them.",
    ),
    Misconception(
        "ENDs among twice as many",
        _ends_of_twice_as_many,
        "You take ENDs from the 2 · beam best continuations. Many programs look at so many, so that `beam` are left to "
        "live on; but an END counts only among the first `beam`.",
    ),
    Misconception(
        "the unlikeliest",
        _lowest,
        "Your beam keeps the unlikeliest continuations. Log-probabilities are negative: the likeliest is the largest, "
        "the one nearest to zero.",
    ),
)
