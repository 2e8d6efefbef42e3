"""Chapter 08, searching, from outside: plausible wrong answers that no misconception was written for, and unusual right
ones. Each wrong answer comes with words that its report must hold, or None.
"""

import math

import pytest
import torch

from utils.exercises.chapter_08.models import Scripted
from utils.exercises.chapter_08.references import beam_step, greedy_decode
from utils.exercises.chapter_08.searching import sources
from utils.transformer import BEGIN, END, PADDING, Transformer, TransformerConfig
from utils.translation import greedy
from utils.translation.beam import continuations, penalty

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


WRONG_8_1 = {
    "END not as the first": (decoding(likeliest_without_end_first), None),
    "unlikeliest": (decoding(unlikeliest), None),
    "sampled": (decoding(sampled), None),
    "0 in place of −∞": (decoding(zero_in_place_of_minus_infinity), None),
    "no word twice": (decoding(no_repetition), None),
    "logits summed": (decoding(summed_over_positions), None),
    "limit one too low": (decoding(likeliest, lambda s, extra: (word_counts(s) + extra - 1).clamp(min=0)), None),
    "limit is the source alone": (decoding(likeliest, lambda s, extra: word_counts(s)), None),
    "50 whatever is said": (decoding(likeliest, lambda s, extra: word_counts(s) + 50), None),
    "the first one's limit": (steps_by_columns, None),
    "shortest limit": (decoding(likeliest, lambda s, e: (word_counts(s) + e).min().expand(len(s))), None),
    "a padded tensor": (padded_tensor, "list"),
    "tuple of one": (lambda model, source, max_extra=50: (greedy_decode(model, source, max_extra),), None),
    "first sentence only": (lambda model, source, max_extra=50: greedy_decode(model, source[:1], max_extra), None),
    "BEGIN kept": (lambda *a: [[BEGIN, *row] for row in greedy_decode(*a)], None),
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
    "brackets": (lambda length, alpha: (5 + length / 6) ** alpha, None),
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

# 8.3 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def changed(place, change):
    """The right answer with one of its four parts changed."""

    def answer(live, log_probabilities):
        parts = list(beam_step(live, log_probabilities))
        parts[place] = change(parts[place])
        return tuple(parts)

    return answer


def by_batch(live, log_probabilities):
    """All sentences compete."""
    batch, beam, vocab_size = log_probabilities.shape
    one = beam_step(live.reshape(1, -1), log_probabilities.reshape(1, batch * beam, vocab_size))
    return tuple(part[:, : batch * beam].reshape(batch, beam) for part in one)


def ended_strictly(live, log_probabilities):
    """The last place does not count."""
    scores = live[:, :, None] + log_probabilities
    lowest = scores.flatten(1).topk(live.size(1)).values[:, -1:]
    new, parents, tokens, _ = beam_step(live, log_probabilities)
    return new, parents, tokens, scores[:, :, END].masked_fill(scores[:, :, END] <= lowest, -math.inf)


def ended_of_the_first(live, log_probabilities):
    new, parents, tokens, ended = beam_step(live, log_probabilities)
    return new, parents, tokens, torch.full_like(ended, -math.inf).index_copy(1, torch.tensor([0]), ended[:, :1])


def end_of_parents(live, log_probabilities):
    new, parents, tokens, ended = beam_step(live, log_probabilities)
    return new, parents, tokens, ended.gather(1, parents)


def damaged(live, log_probabilities):
    result = beam_step(live, log_probabilities)
    log_probabilities[:, :, END] = -math.inf
    return result


def softmax_again(live, log_probabilities):
    return beam_step(live.softmax(-1).log(), log_probabilities)


def mean_of_live(live, log_probabilities):
    new, parents, tokens, ended = beam_step(live, log_probabilities)
    return (new + live) / 2, parents, tokens, ended


def parents_distinct(live, log_probabilities):
    """No hypothesis has two children: its best alone."""
    scores = (live[:, :, None] + log_probabilities).index_fill(2, torch.tensor([END]), -math.inf)
    best, tokens = scores.max(dim=2)
    return best, torch.arange(live.size(1)).expand_as(live), tokens, beam_step(live, log_probabilities)[3]


def ended_changed(change):
    """`change(scores, the right ended)`, where scores are those of all continuations."""
    return lambda live, log_probabilities: (
        *(result := beam_step(live, log_probabilities))[:3],
        change(live[:, :, None] + log_probabilities, result[3]),
    )


def among_the_row(scores, ended):
    lowest = scores.topk(scores.size(1), dim=2).values[:, :, -1]
    return scores[:, :, END].masked_fill(scores[:, :, END] < lowest, -math.inf)


WRONG_8_3 = {
    "END among its own row's best": (ended_changed(among_the_row), None),
    "END as its row's best": (
        ended_changed(lambda scores, ended: ended.masked_fill(scores.argmax(dim=2) != END, -math.inf)),
        None,
    ),
    "one END a sentence": (
        ended_changed(lambda scores, ended: ended.masked_fill(ended < ended.amax(1, keepdim=True), -math.inf)),
        None,
    ),
    "ENDs in the order of their scores": (ended_changed(lambda _, ended: ended.sort(descending=True)[0]), None),
    "all sentences compete": (by_batch, None),
    "the last END left out": (ended_strictly, None),
    "END of the best only": (ended_of_the_first, None),
    "ENDs of the parents": (end_of_parents, None),
    "not sorted": (parents_distinct, None),
    "worst first": (changed(0, lambda live: live.flip(1)), None),
    "zero for not ended": (changed(3, lambda ended: ended.masked_fill(ended == -math.inf, 0.0)), None),
    "a large number for −∞": (changed(3, lambda ended: ended.clamp(min=-1e9)), None),
    "bool for ended": (changed(3, lambda ended: ended > -math.inf), "dtype"),
    "parents from 1": (changed(1, lambda parents: parents + 1), None),
    "float parents": (changed(1, lambda parents: parents.float()), "dtype"),
    "rows of the flattened batch": (changed(1, lambda p: p + torch.arange(len(p))[:, None] * p.size(1)), None),
    "probabilities": (changed(0, lambda live: live.exp()), None),
    "three parts": (lambda *a: beam_step(*a)[:3], None),
    "a part in the wrong place": (lambda *a: tuple(beam_step(*a)[i] for i in (0, 2, 1, 3)), "parents"),
    "inputs damaged": (damaged, "log_probabilities"),
    "live normalised": (softmax_again, None),
    "mean of old and new": (mean_of_live, None),
    "lists": (lambda *a: tuple(part.tolist() for part in beam_step(*a)), "Tensor"),
    "one part less wide": (changed(2, lambda tokens: tokens[:, :1]), "shape"),
    "nothing": (lambda live, log_probabilities: None, "return"),
}


def by_loop(live, log_probabilities):
    batch, beam, vocab_size = log_probabilities.shape
    parts = ([], [], [], [])
    for one, scores in zip(live.tolist(), log_probabilities.tolist(), strict=True):
        every = sorted(
            ((one[i] + scores[i][t], i, t) for i in range(beam) for t in range(vocab_size)), key=lambda x: -x[0]
        )
        ends = [-math.inf] * beam
        for log_p, i, t in every[:beam]:
            if t == END:
                ends[i] = log_p
        chosen = [entry for entry in every if entry[2] != END][:beam]
        for part, values in zip(parts, [*zip(*chosen, strict=True), ends], strict=True):
            part.append(values)
    dtypes = live.dtype, torch.int64, torch.int64, live.dtype
    return tuple(torch.tensor(part, dtype=dtype) for part, dtype in zip(parts, dtypes, strict=True))


def twice_as_many(live, log_probabilities):
    """As toolkits do: the 2 · beam best, ENDs among the first half."""
    batch, beam, vocab_size = log_probabilities.shape
    values, places = (live.unsqueeze(2) + log_probabilities).view(batch, -1).topk(2 * beam)
    parents, tokens = places.div(vocab_size, rounding_mode="floor"), places.remainder(vocab_size)
    is_end = tokens == END
    first = is_end & (torch.arange(2 * beam) < beam)
    ended = torch.full_like(live, -math.inf)
    for sentence, place in first.nonzero().tolist():
        ended[sentence, parents[sentence, place]] = values[sentence, place]
    best, which = values.masked_fill(is_end, -math.inf).topk(beam)
    return best, parents.gather(1, which), tokens.gather(1, which), ended


def by_sorting(live, log_probabilities):
    batch, beam, vocab_size = log_probabilities.shape
    scores = log_probabilities + live[..., None]
    rank = scores.reshape(batch, -1).argsort(dim=-1, descending=True).argsort(dim=-1).view_as(scores)
    ended = torch.where(rank[..., END] < beam, scores[..., END], torch.tensor(-math.inf, dtype=scores.dtype))
    others = torch.cat([scores[..., :END], scores[..., END + 1 :]], dim=-1)
    values, order = others.reshape(batch, -1).sort(dim=-1, descending=True)
    parents, tokens = order[:, :beam] // (vocab_size - 1), order[:, :beam] % (vocab_size - 1)
    return values[:, :beam], parents, tokens + (tokens >= END), ended


def one_after_the_other(live, log_probabilities):
    parts = [beam_step(live[i : i + 1], log_probabilities[i : i + 1]) for i in range(len(live))]
    return [torch.cat(part) for part in zip(*parts, strict=True)]


RIGHT_8_3 = {
    "by loop": by_loop,
    "twice as many": twice_as_many,
    "by sorting": by_sorting,
    "one sentence after the other": one_after_the_other,
    "float64 inside": lambda live, log_probabilities: tuple(
        part.to(live.dtype) if part.is_floating_point() else part
        for part in beam_step(live.double(), log_probabilities.double())
    ),
    "a list": lambda live, log_probabilities: list(beam_step(live, log_probabilities)),
    "an option more": lambda live, log_probabilities, end=END: beam_step(live, log_probabilities),
}

WRONG = {"8.1": WRONG_8_1, "8.2": WRONG_8_2, "8.3": WRONG_8_3}
RIGHT = {"8.1": RIGHT_8_1, "8.2": RIGHT_8_2, "8.3": RIGHT_8_3}


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


def test_the_step_is_the_search_s_own():
    generator = torch.Generator().manual_seed(3)
    model, prefix = Scripted(generator, end=1.0), torch.tensor([[BEGIN, 5], [BEGIN, 7], [BEGIN, 4]])
    logits = model(sources(generator, [2, 2, 2]), prefix)[:, -1].detach()
    live = torch.tensor([[-0.5, -0.9, -2.0]])
    scores, parents, tokens = continuations(logits.clone(), live, None)
    log_probabilities = logits.log_softmax(-1)
    log_probabilities[:, [PADDING, BEGIN]] = -math.inf
    ours = beam_step(live, log_probabilities[None])
    going_on = (tokens[0] != END).nonzero().flatten()[:3]
    for part, theirs in zip(ours[:3], (scores, parents, tokens), strict=True):
        assert part[0].tolist() == pytest.approx(theirs[0, going_on].tolist())
