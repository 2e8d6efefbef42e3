"""Chapter 08, a step of beam search, from outside: plausible wrong answers, and unusual right ones. Each wrong
answer comes with words that its report must hold, or None.
"""

import math

import pytest
import torch

from utils.exercises.chapter_08.models import Scripted
from utils.exercises.chapter_08.references import beam_step
from utils.exercises.chapter_08.searching import sources
from utils.transformer import BEGIN, END, PADDING
from utils.translation.beam import continuations

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


def by_place(scores, ended):
    """Where END stands among the best, in place of whose END it is."""
    values, places = scores.flatten(1).topk(scores.size(1))
    return torch.where(places % scores.size(2) == END, values, torch.tensor(-math.inf, dtype=values.dtype))


def multiplied(live, log_probabilities):
    scores = live.unsqueeze(-1) * log_probabilities
    return beam_step(torch.zeros_like(live), scores)


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
    "ENDs in the order of their scores": (
        ended_changed(lambda _, ended: ended.sort(descending=True)[0]),
        "hypothesis i",
    ),
    "ENDs by their place": (ended_changed(by_place), "hypothesis i"),
    "multiplied": (multiplied, "multiply logarithms"),
    "all sentences compete": (by_batch, None),
    "the last END left out": (ended_strictly, "not what equals it"),
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

WRONG = {"8.3": WRONG_8_3}
RIGHT = {"8.3": RIGHT_8_3}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)


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
