"""Typical wrong answers to exercise 8.3."""

import math

import torch
from torch import Tensor

from utils.exercises.declare import Misconception
from utils.transformer.masks import END


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


def _by_probabilities(live: Tensor, log_probabilities: Tensor) -> tuple:
    scores, beam = (live.exp()[:, :, None] * log_probabilities.exp()).log(), live.size(1)
    return *_choose(_without_end(scores), beam), _ended(scores, beam)


def _rows_of_the_batch(live: Tensor, log_probabilities: Tensor) -> tuple:
    scores, beam = live[:, :, None] + log_probabilities, live.size(1)
    best, parents, tokens = _choose(_without_end(scores), beam)
    return best, parents + beam * torch.arange(len(live))[:, None], tokens, _ended(scores, beam)


def _ends_of_parents(live: Tensor, log_probabilities: Tensor) -> tuple:
    scores, beam = live[:, :, None] + log_probabilities, live.size(1)
    best, parents, tokens = _choose(_without_end(scores), beam)
    return best, parents, tokens, _ended(scores, beam).gather(1, parents)


def _ends_alone(live: Tensor, log_probabilities: Tensor) -> tuple:
    scores, beam = live[:, :, None] + log_probabilities, live.size(1)
    ended = _ended(scores, beam)
    alone = log_probabilities[:, :, END].masked_fill(ended == -math.inf, -math.inf)
    return *_choose(_without_end(scores), beam), alone


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
        "by probabilities",
        _by_probabilities,
        "You turn log-probabilities into probabilities, multiply, and take the logarithm. Below a log P of about −100 "
        "there is no such number in 32 bits but 0, and its logarithm is −∞: add the logarithms instead.",
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
        "rows of the whole batch",
        _rows_of_the_batch,
        "Your parents are rows of the flattened batch, sentence · beam + hypothesis. Asked for is the hypothesis's "
        "number within its sentence, from 0 to beam − 1.",
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
        "ENDs in the order of the parents",
        _ends_of_parents,
        "Your `ended` is in the order of those that live on. It belongs to the hypotheses that were handed in: entry i "
        "is that of old hypothesis i.",
    ),
    Misconception(
        "END alone",
        _ends_alone,
        "Your `ended` holds the log-probability of END alone. The hypothesis with END behind it is as likely as all "
        "its tokens together: add `live`.",
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
