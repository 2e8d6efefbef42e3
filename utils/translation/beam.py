"""Beam search with a length penalty: the search of §6.1 (beam 4, α = 0.6), batched over sentences."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from utils.errors import ConfigError
from utils.transformer.masks import BEGIN, END
from utils.translation.greedy import DROP_WHEN, check_finite, evaluating, length_limits
from utils.translation.ranking import largest, without_specials


@dataclass(frozen=True)
class Hypothesis:
    """One finished translation: its ids without BEGIN and END, its score, and log P(ids, END | source)."""

    tokens: list[int]
    score: float  # log_probability / length_penalty
    log_probability: float


def penalty(length: Tensor | int, alpha: float) -> Tensor | float:
    """lp(Y) = ((5 + |Y|) / 6)^α (Wu et al. 2016, Eq. 14). |Y| counts END, which every finished hypothesis has."""
    return ((5 + length) / 6) ** alpha


def beam_search(
    model: nn.Module,
    source: Tensor,
    beam: int = 4,
    length_penalty: float = 0.6,
    max_extra: int = 50,
    wanted: int | None = None,
    exact: bool = True,
    cache: bool = True,
) -> list[list[Hypothesis]]:
    """The `wanted` best translations of each sentence, best first (default: as many as the beam is wide).

    source: (batch, source_len) ids ending with END, padded on the right.

    At every step the 2 · beam best continuations of a sentence are looked at. An END among the first `beam` of
    them finishes a hypothesis; the best `beam` others live on. A hypothesis may have as many tokens as its source
    and max_extra more (§6.1); there, END is the only continuation left, at its own probability.

    A sentence is done when no live hypothesis can overtake the worst of those wanted. log P only falls as tokens
    are added, so the score of whatever grows from a live hypothesis is at most its log P of now divided by the
    penalty at the greatest length allowed; asking for fewer hypotheses therefore lets a search stop earlier.
    That bound is safe and far away. exact = False divides by the penalty of the present length, as most toolkits
    do: it takes a third fewer steps, and misses a hypothesis that would have caught up by growing longer.
    """
    wanted = beam if wanted is None else wanted
    _check(beam, length_penalty, wanted)
    results: list[list[Hypothesis]] = [[] for _ in range(source.size(0))]
    if source.size(0) == 0:
        return results
    with torch.inference_mode(), evaluating(model):
        limits = length_limits(model, source, max_extra)  # (sentences,)
        limits_ahead = set(limits.tolist())  # on the host, so that no step has to ask the device
        ceiling = penalty(limits + 1, length_penalty)  # (sentences,) the greatest penalty a hypothesis can have
        running = torch.arange(source.size(0), device=source.device)  # where our sentences stand in the batch
        stepper = model.start(source, beams=beam, cache=cache)
        live = ceiling.new_full((len(running), beam), -math.inf)  # (sentences, beam) log P of the live hypotheses
        live[:, 0] = 0.0  # all rows are the same at first: one of them is enough
        prefix = running.new_empty(len(running), beam, 0)  # (sentences, beam, step)
        tokens = running.new_full((len(running), beam), BEGIN)
        kept = Kept(len(running), wanted, live)
        for step in range(max(limits_ahead) + 1):
            logits = stepper.step(tokens.flatten()).float()  # (sentences · beam, vocab_size)
            if step == 0:
                check_finite(logits)
            at_limit = limits == step if step in limits_ahead else None
            scores, parents, tokens = continuations(logits, live, at_limit)  # each (sentences, ≤ 2 · beam)
            ends = tokens == END
            kept.add(scores, parents, ends, prefix, penalty(step + 1, length_penalty))
            live, chosen = scores.masked_fill(ends, -math.inf).topk(beam)  # (sentences, beam), best first
            parents, tokens = parents.gather(1, chosen), tokens.gather(1, chosen)
            bound = live[:, 0] / (ceiling if exact else penalty(step + 1, length_penalty))  # (sentences,)
            done = kept.scores[:, -1] >= bound  # also when nothing lives on: then both may be −∞
            finished = int(done.sum())
            if finished * DROP_WHEN >= len(done) and finished:
                for sentence, hypotheses in zip(running[done].tolist(), kept.hypotheses(done), strict=True):
                    results[sentence] = hypotheses
                if finished == len(done):
                    break
                left = (~done).nonzero().flatten()
                stepper.keep(left)
                kept.keep(left)
                running, limits, ceiling, live = running[left], limits[left], ceiling[left], live[left]
                parents, tokens, prefix = parents[left], tokens[left], prefix[left]
            first_rows = torch.arange(len(running), device=source.device)[:, None] * beam
            rows = (first_rows + parents).flatten()  # (sentences · beam,)
            if not torch.equal(rows, torch.arange(len(rows), device=rows.device)):
                stepper.reorder(rows)
                prefix = prefix.flatten(0, 1)[rows].view_as(prefix)
            prefix = torch.cat([prefix, tokens[:, :, None]], dim=2)
    return results


def continuations(logits: Tensor, live: Tensor, at_limit: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """The 2 · beam best continuations of each sentence, best first.

    logits: (sentences · beam, vocab_size); live: (sentences, beam) log P so far;
    at_limit: bool (sentences,), True = END only.
    Returns log P, the hypothesis continued (0 … beam − 1) and the token, each (sentences, 2 · beam).

    One row can supply at most `beam` hypotheses that live on, and an END; so its beam + 1 best are enough.
    """
    sentences, beam = live.shape
    scores = without_specials(logits.log_softmax(dim=-1))  # ruled out only now: a probability stays the model's own
    if at_limit is not None:
        others = torch.arange(scores.size(1), device=scores.device) != END  # (vocab_size,)
        scores.masked_fill_(at_limit.repeat_interleave(beam)[:, None] & others, -math.inf)
    row_scores, row_tokens = largest(scores, min(beam + 1, scores.size(1)))  # (sentences · beam, beam + 1)
    scores = (row_scores.view(sentences, beam, -1) + live[:, :, None]).flatten(1)
    scores, best = scores.topk(min(2 * beam, scores.size(1)))  # (sentences, 2 · beam)
    return scores, best // row_tokens.size(1), row_tokens.view(sentences, -1).gather(1, best)


class Kept:
    """The best finished hypotheses of each sentence, best first; a free place has the score −∞."""

    def __init__(self, sentences: int, wanted: int, like: Tensor) -> None:
        self.scores = like.new_full((sentences, wanted), -math.inf)
        self.log_probabilities = self.scores.clone()
        self.tokens = torch.full((sentences, wanted, 0), END, device=like.device)  # END fills up to the same length

    def add(self, scores: Tensor, parents: Tensor, ends: Tensor, prefix: Tensor, divisor: float) -> None:
        """Takes in the hypotheses that ended: continuations by END that are among the first `beam`.

        scores, parents, ends: (sentences, 2 · beam), as `continuations` gives them; prefix: (sentences, beam, step).
        """
        beam = prefix.size(1)
        scores = scores[:, :beam].masked_fill(~ends[:, :beam], -math.inf)
        if not bool((scores > -math.inf).any()):
            return
        log_probabilities = torch.cat([self.log_probabilities, scores], dim=1)
        self.scores, best = torch.cat([self.scores, scores / divisor], dim=1).topk(self.scores.size(1))
        self.log_probabilities = log_probabilities.gather(1, best)
        step = prefix.size(2)
        grown = nn.functional.pad(self.tokens, (0, step - self.tokens.size(2)), value=END)
        ended = prefix.gather(1, parents[:, :beam, None].expand(-1, -1, step))
        self.tokens = torch.cat([grown, ended], dim=1).gather(1, best[:, :, None].expand(-1, -1, step))

    def keep(self, sentences: Tensor) -> None:
        """Goes on with the given sentences only, in that order."""
        self.scores, self.log_probabilities = self.scores[sentences], self.log_probabilities[sentences]
        self.tokens = self.tokens[sentences]

    def hypotheses(self, sentences: Tensor) -> list[list[Hypothesis]]:
        """Those of the given sentences (a bool mask or indices), free places left out."""
        tokens, scores = self.tokens[sentences].tolist(), self.scores[sentences].tolist()
        log_probabilities = self.log_probabilities[sentences].tolist()
        return [
            [
                Hypothesis(ids[: ids.index(END)] if END in ids else ids, score, log_probability)
                for ids, score, log_probability in zip(*sentence, strict=True)
                if score > -math.inf
            ]
            for sentence in zip(tokens, scores, log_probabilities, strict=True)
        ]


def _check(beam: int, length_penalty: float, wanted: int) -> None:
    if not (isinstance(beam, int) and beam >= 1):
        raise ConfigError(f"beam is {beam!r}: good values are whole numbers from 1; the paper uses 4.")
    if not 0 <= length_penalty < math.inf:
        raise ConfigError(f"length_penalty is {length_penalty!r}: good values are numbers from 0; the paper uses 0.6.")
    if not 1 <= wanted <= beam:
        raise ConfigError(f"wanted is {wanted!r}: good values are 1 to {beam}, the width of the beam.")
