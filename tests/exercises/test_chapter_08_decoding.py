"""Chapter 08, greedy decoding and the length penalty, from outside: plausible wrong answers, and unusual right ones.
Each wrong answer comes with words that its report must hold, or None.
"""

import math

import torch

from utils.exercises.chapter_08.references import greedy_decode
from utils.exercises.chapter_08.searching import sources
from utils.transformer import BEGIN, END, PADDING, Transformer, TransformerConfig
from utils.translation import greedy
from utils.translation.beam import penalty

# 8.1 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def word_counts(source):
    return ((source != PADDING) & (source != END)).sum(dim=1)


def decoding(step, limits=lambda source, extra: word_counts(source) + extra, give=lambda rows: rows):
    """Greedy decoding, one sentence after the other; `step(logits, prefix)` chooses the next token."""

    def answer(model, source, max_extra=50):
        rows = []
        for row, limit in zip(source, limits(source, max_extra).tolist(), strict=True):
            prefix = [BEGIN]
            while len(prefix) <= limit:
                logits = model(row[None], torch.tensor([prefix]))[0]
                token = int(step(logits, prefix))
                if token == END:
                    break
                prefix.append(token)
            rows.append(prefix[1:])
        return give(rows)

    return answer


def likeliest(logits, prefix):
    last = logits[-1].clone()
    last[[PADDING, BEGIN]] = -math.inf
    return last.argmax()


def likeliest_without_end_first(logits, prefix):
    last = logits[-1].clone()
    last[[PADDING, BEGIN]] = -math.inf
    if len(prefix) == 1:
        last[END] = -math.inf
    return last.argmax()


def unlikeliest(logits, prefix):
    return logits[-1].argmin()


def sampled(logits, prefix):
    last = logits[-1].clone()
    last[[PADDING, BEGIN]] = -math.inf
    return last.softmax(-1).multinomial(1)


def zero_in_place_of_minus_infinity(logits, prefix):
    last = logits[-1].clone()
    last[[PADDING, BEGIN]] = 0.0
    return last.argmax()


def no_repetition(logits, prefix):
    last = logits[-1].clone()
    last[[PADDING, BEGIN, prefix[-1]]] = -math.inf
    return last.argmax()


def unknown_ruled_out(logits, prefix):
    last = logits[-1].clone()
    last[[PADDING, 1, BEGIN]] = -math.inf
    return last.argmax()


def summed_over_positions(logits, prefix):
    last = logits.sum(dim=0)
    last[[PADDING, BEGIN]] = -math.inf
    return last.argmax()


def unknown_is_no_word(source, extra):
    return (source > END).sum(dim=1) + extra


def padded_tensor(model, source, max_extra=50):
    rows = greedy_decode(model, source, max_extra)
    width = max(map(len, rows))
    return torch.tensor([row + [PADDING] * (width - len(row)) for row in rows])


def source_damaged(model, source, max_extra=50):
    result = greedy_decode(model, source, max_extra)
    source[:, -1] = PADDING
    return result


def left_in_training_mode(model, source, max_extra=50):
    model.train()
    return greedy_decode(model, source, max_extra)


def steps_by_columns(model, source, max_extra=50):
    """Every sentence runs as long as the first one's limit allows."""
    return decoding(likeliest, lambda source, extra: word_counts(source)[:1].expand(len(source)) + extra)(
        model, source, max_extra
    )


def from_zeros(model, source, max_extra=50):
    """Nobody is finished before the first step, not even whose limit is 0."""
    limits, prefix = word_counts(source) + max_extra, source.new_full((len(source), 1), BEGIN)
    finished = torch.zeros(len(source), dtype=torch.bool)
    while not finished.all():
        logits = model(source, prefix)[:, -1].clone()
        logits[:, [PADDING, BEGIN]] = -math.inf
        tokens = logits.argmax(-1).masked_fill(finished, PADDING)
        prefix = torch.cat([prefix, tokens[:, None]], dim=1)
        finished = finished | (tokens == END) | (limits < prefix.size(1))
    return [[token for token in row if token not in (PADDING, END)] for row in prefix[:, 1:].tolist()]


def stops_without_words(model, source, max_extra=50):
    """Right, but for a batch in which nobody may write anything."""
    longest = max(row for row in (word_counts(source) + max_extra).tolist() if row)
    return [row[:longest] for row in greedy_decode(model, source, max_extra)]


WRONG_8_1 = {
    "limit 0 writes one token": (from_zeros, "finished = limits == 0"),
    "stops where nobody may write": (stops_without_words, ""),
    "END not as the first": (decoding(likeliest_without_end_first), None),
    "unlikeliest": (decoding(unlikeliest), None),
    "sampled": (decoding(sampled), None),
    "0 in place of −∞": (decoding(zero_in_place_of_minus_infinity), None),
    "no word twice": (decoding(no_repetition), None),
    "logits summed": (decoding(summed_over_positions), None),
    "limit one too low": (decoding(likeliest, lambda s, extra: (word_counts(s) + extra - 1).clamp(min=0)), "BEGIN is"),
    "limit one too high": (decoding(likeliest, lambda s, e: (n := word_counts(s) + e) + (n > 0)), "one token more"),
    "limit is the source alone": (decoding(likeliest, lambda s, extra: word_counts(s)), None),
    "50 whatever is said": (decoding(likeliest, lambda s, extra: word_counts(s) + 50), None),
    "the first one's limit": (steps_by_columns, None),
    "shortest limit": (decoding(likeliest, lambda s, e: (word_counts(s) + e).min().expand(len(s))), None),
    "a padded tensor": (padded_tensor, "list"),
    "tuple of one": (lambda model, source, max_extra=50: (greedy_decode(model, source, max_extra),), None),
    "first sentence only": (lambda model, source, max_extra=50: greedy_decode(model, source[:1], max_extra), None),
    "BEGIN kept": (lambda *a: [[BEGIN, *row] for row in greedy_decode(*a)], "prefix[:, 1:]"),
    "source damaged": (source_damaged, "source"),
    "left in training mode": (left_in_training_mode, "mode"),
    "unknown words are no words": (decoding(likeliest, unknown_is_no_word), "unknown word"),
    "unknown ruled out": (decoding(unknown_ruled_out), None),
    "another default": (lambda model, source, max_extra=5: greedy_decode(model, source, max_extra), "not given"),
    "words counted twice": (decoding(likeliest, lambda s, extra: 2 * word_counts(s) + extra), None),
    "reversed": (decoding(likeliest, give=lambda rows: [row[::-1] for row in rows]), None),
    "nothing": (lambda model, source, max_extra=50: None, "return"),
}


def by_log_softmax(model, source, max_extra=50):
    limits, prefix = word_counts(source) + max_extra, torch.full((len(source), 1), BEGIN)
    for _ in range(int(limits.max())):
        scores = model(source, prefix)[:, -1, :].log_softmax(dim=-1)
        keep = torch.ones(scores.size(1), dtype=torch.bool)
        keep[[PADDING, BEGIN]] = False
        prefix = torch.hstack([prefix, torch.where(keep, scores, -1e9).max(dim=-1).indices[:, None]])
    rows = []
    for row, limit in zip(prefix[:, 1:].tolist(), limits.tolist(), strict=True):
        row = row[:limit]
        rows.append(row[: row.index(END)] if END in row else row)
    return rows


def without_gradients(model, source, max_extra=50):
    with torch.no_grad():
        return greedy_decode(model, source, max_extra)


def shrinking_batch(model, source, max_extra=50):
    """Finished sentences leave the batch."""
    results = [[] for _ in source]
    places = [(i, int(limit)) for i, limit in enumerate(word_counts(source) + max_extra) if limit > 0]
    while places:
        rows = [i for i, _ in places]
        prefix = torch.tensor([[BEGIN, *results[i]] for i in rows])
        logits = model(source[rows], prefix)[:, -1].clone()
        logits[:, PADDING] = logits[:, BEGIN] = -math.inf
        going_on = []
        for (i, limit), token in zip(places, logits.argmax(-1).tolist(), strict=True):
            if token != END:
                results[i].append(token)
            if token != END and len(results[i]) < limit:
                going_on.append((i, limit))
        places = going_on
    return results


def topk_of_one(model, source, max_extra=50):
    def step(logits, prefix):
        allowed = [i for i in range(logits.size(1)) if i not in (PADDING, BEGIN)]
        return allowed[int(logits[-1][allowed].topk(1).indices)]

    return decoding(step)(model, source, max_extra)


RIGHT_8_1 = {
    "by log-softmax, cut at the end": by_log_softmax,
    "one sentence after the other": decoding(likeliest),
    "no gradients": without_gradients,
    "finished ones leave": shrinking_batch,
    "topk of one": topk_of_one,
    "tuples": lambda model, source, max_extra=50: tuple(map(tuple, greedy_decode(model, source, max_extra))),
    "one more keyword": lambda model, source, max_extra=50, quiet=True: greedy_decode(model, source, max_extra),
}

# 8.2 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

WRONG_8_2 = {
    "seven": (lambda length, alpha: ((5 + length) / 7) ** alpha, None),
    "five": (lambda length, alpha: ((5 + length) / 5) ** alpha, None),
    "six plus": (lambda length, alpha: ((6 + length) / 7) ** alpha, None),
    "logarithm": (lambda length, alpha: alpha * torch.as_tensor((5 + length) / 6).log(), None),
    "whole division": (lambda length, alpha: ((5 + length) // 6) ** alpha, None),
    "root": (lambda length, alpha: ((5 + length) / 6) ** (1 / (alpha or 1)), None),
    "1 − α": (lambda length, alpha: ((5 + length) / 6) ** (1 - alpha), None),
    "α = 1": (lambda length, alpha: (5 + length) / 6, None),
    "one": (lambda length, alpha: length / length, None),
    "exponential": (lambda length, alpha: math.e**alpha * (5 + length) / 6, None),
    "six over": (lambda length, alpha: (6 / (5 + length)) ** alpha, None),
    "brackets": (lambda length, alpha: (5 + length / 6) ** alpha, "binds more tightly"),
    "brackets, of the power": (lambda length, alpha: (length + 5) / (6**alpha), "binds more tightly"),
    "number of the tensor": (lambda length, alpha: ((5 + torch.as_tensor(length).numel()) / 6) ** alpha, None),
    "float of a tensor": (lambda length, alpha: ((5 + float(torch.as_tensor(length).flatten()[0])) / 6) ** alpha, None),
    "list": (lambda length, alpha: [((5 + length) / 6) ** alpha], None),
    "rounded": (lambda length, alpha: round(((5 + length) / 6) ** alpha, 2) if isinstance(length, int) else
                penalty(length, alpha), None),
}  # fmt: skip

RIGHT_8_2 = {
    "math.pow": lambda length, alpha: torch.pow((5 + length) / 6, alpha) if isinstance(length, torch.Tensor)
    else math.pow((5 + length) / 6, alpha),
    "two powers": lambda length, alpha: (5 + length) ** alpha / 6**alpha,
    "by logarithms": lambda length, alpha: torch.exp(alpha * torch.log((length + 5) / 6))
    if isinstance(length, torch.Tensor) else math.exp(alpha * math.log((length + 5) / 6)),
    "a tensor of one": lambda length, alpha: ((5 + torch.as_tensor(length)) / 6) ** alpha,
    "sixths": lambda length, alpha: (length / 6 + 5 / 6) ** alpha,
    "with defaults": lambda length, alpha=0.6, k=5: ((k + length) / (k + 1)) ** alpha,
    "pow": lambda length, alpha: pow((length - 1) / 6 + 1, alpha),
}  # fmt: skip

WRONG = {"8.1": WRONG_8_1, "8.2": WRONG_8_2}
RIGHT = {"8.1": RIGHT_8_1, "8.2": RIGHT_8_2}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)


@torch.no_grad()
def test_greedy_is_the_course_s_own():
    torch.manual_seed(2)
    model = Transformer(TransformerConfig(19, layers=1, d_model=16, d_ff=16, heads=2)).eval()
    source = sources(torch.Generator().manual_seed(1), [4, 2, 5], 19)
    assert greedy_decode(model, source, 4) == greedy(model, source, 4)
