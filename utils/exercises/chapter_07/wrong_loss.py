"""What goes wrong with the smoothed loss (7.1) and with the schedule (7.2), and what puts it right."""

from collections.abc import Callable

import torch
from torch import Tensor

from utils.exercises.declare import Misconception
from utils.transformer.masks import PADDING

# 7.1, the smoothed loss ───────────────────────────────────────────────────────────────────────────────────────────


def mean(losses: Tensor, real: Tensor) -> Tensor:
    """The right mean: over real tokens."""
    return (losses * real).sum() / real.sum().clamp(min=1)


def smoothed(log_probabilities: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """The right loss of every position, padding included."""
    right = log_probabilities.gather(-1, targets[..., None]).squeeze(-1)
    return -(1 - smoothing) * right - smoothing * log_probabilities.mean(dim=-1)


def loss_with(spread: Callable = smoothed, reduce: Callable = mean) -> Callable:
    """An answer to 7.1 that shares ε out, or takes the mean, in its own way."""

    def answer(logits: Tensor, targets: Tensor, smoothing: float = 0.1, padding_id: int = PADDING) -> Tensor:
        losses = spread(logits.log_softmax(dim=-1), targets, smoothing)
        return reduce(losses, targets != padding_id)

    return answer


def one_hot(log_probabilities: Tensor, targets: Tensor) -> Tensor:
    """1 at each target: the shape of log_probabilities."""
    return torch.zeros_like(log_probabilities).scatter(-1, targets[..., None], 1.0)


def others_only(log_probabilities: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    hot = one_hot(log_probabilities, targets)
    q = (1 - smoothing) * hot + smoothing * (1 - hot) / (log_probabilities.size(-1) - 1)
    return -(q * log_probabilities).sum(dim=-1)


def each_entry(log_probabilities: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    right = log_probabilities.gather(-1, targets[..., None]).squeeze(-1)
    return -(1 - smoothing) * right - smoothing * log_probabilities.sum(dim=-1)


def share_forgotten(log_probabilities: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    hot = one_hot(log_probabilities, targets)
    q = (1 - smoothing) * hot + smoothing * (1 - hot) / log_probabilities.size(-1)
    return -(q * log_probabilities).sum(dim=-1)


def share_counted_twice(log_probabilities: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    hot = one_hot(log_probabilities, targets)
    q = (1 - smoothing) * hot + smoothing * (1 + hot) / log_probabilities.size(-1)
    return -(q * log_probabilities).sum(dim=-1)


def never_padding(log_probabilities: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    share = torch.ones(log_probabilities.size(-1), dtype=log_probabilities.dtype) / (log_probabilities.size(-1) - 1)
    share[PADDING] = 0.0
    q = (1 - smoothing) * one_hot(log_probabilities, targets) + smoothing * share
    return -(q * log_probabilities).sum(dim=-1)


def of_probabilities(logits: Tensor, targets: Tensor, smoothing: float = 0.1, padding_id: int = PADDING) -> Tensor:
    return mean(smoothed(logits.softmax(dim=-1).log(), targets, smoothing), targets != padding_id)


def of_logits(logits: Tensor, targets: Tensor, smoothing: float = 0.1, padding_id: int = PADDING) -> Tensor:
    return mean(smoothed(logits, targets, smoothing), targets != padding_id)


def always_zero(logits: Tensor, targets: Tensor, smoothing: float = 0.1, padding_id: int = PADDING) -> Tensor:
    return mean(smoothed(logits.log_softmax(dim=-1), targets, smoothing), targets != PADDING)


LOSSES = (
    Misconception(
        "not smoothed",
        loss_with(lambda logs, targets, smoothing: smoothed(logs, targets, 0.0)),
        "Your loss is the plain cross-entropy, whatever `smoothing` says. The target is the mixture q = (1 − ε) "
        "one-hot + ε / V, so the mean of all log-probabilities comes in with the weight ε.",
    ),
    Misconception(
        "ε on the others only",
        loss_with(others_only),
        "You give ε / (V − 1) to each wrong token and none of it to the right one. Szegedy et al. mix with the uniform "
        "distribution over all V entries, so the right token has 1 − ε + ε / V and every other ε / V. (Both forms are "
        "in use; this course and torch take the first.)",
    ),
    Misconception(
        "none for the padding entry",
        loss_with(never_padding),
        "You leave the padding entry of the vocabulary out of the uniform part. Here all V entries get ε / V, also the "
        "one for padding. What counts for nothing are positions whose *target* is padding.",
    ),
    Misconception(
        "the right word's ε / V forgotten",
        loss_with(share_forgotten),
        "Your q does not sum to 1. The uniform part goes to all V entries, the right one among them: it has 1 − ε + "
        "ε / V, and yours has 1 − ε.",
    ),
    Misconception(
        "the right word's ε / V twice",
        loss_with(share_counted_twice),
        "Your q sums to more than 1: the right word gets its ε / V twice. ε times the mean over the vocabulary holds "
        "it already, so the other part is 1 − ε.",
    ),
    Misconception(
        "ε on each entry",
        loss_with(each_entry),
        "You give ε to every entry of the vocabulary. ε is what they share: each gets ε / V, so the uniform part is ε "
        "times the *mean* of all log-probabilities, not their sum.",
    ),
    Misconception(
        "ε exchanged",
        loss_with(lambda logs, targets, smoothing: smoothed(logs, targets, 1 - smoothing)),
        "You give the right token the weight ε and the uniform part 1 − ε: it is the other way round.",
    ),
    Misconception(
        "padding counts",
        loss_with(reduce=lambda losses, real: losses.mean()),
        "You take the mean over all positions, padding among them, so that the model is trained to say padding. "
        "Positions whose target is padding count for nothing.",
    ),
    Misconception(
        "divided by all positions",
        loss_with(reduce=lambda losses, real: (losses * real).mean()),
        "You set the loss of padding to zero, but divide by the number of all positions: the more padding a batch "
        "holds, the smaller its loss. Divide by the number of real tokens.",
    ),
    Misconception(
        "a sum",
        loss_with(reduce=lambda losses, real: (losses * real).sum()),
        "Your loss is the sum over real tokens; asked for is their mean, so that batches of different sizes compare. "
        "(If you do divide by their number: (tokens, 1) plus (tokens,) makes (tokens, tokens), with the same sum. "
        "`.squeeze(1)` after the `gather` mends that.)",
    ),
    Misconception(
        "divided by sentences",
        loss_with(reduce=lambda losses, real: (losses * real).sum() / real[..., 0].numel()),
        "You divide by the number of sentences; asked for is the loss per real token.",
    ),
    Misconception(
        "mean of sentence means",
        loss_with(
            reduce=lambda losses, real: (
                ((losses * real).sum(dim=-1) / real.sum(dim=-1).clamp(min=1)).mean() if real.dim() else losses * real
            )
        ),  # fmt: skip
        "You take a mean for each sentence and then the mean of those: a word of a short sentence weighs more than one "
        "of a long sentence. Sum over all real tokens of the batch, then divide by their number.",
    ),
    Misconception(
        "NaN without a real token",
        loss_with(reduce=lambda losses, real: losses[real].mean()),
        "Right, but where all is padding: the mean of nothing is NaN. Divide by `real.sum().clamp(min=1)`; the sum is "
        "then 0 and so is the loss.",
    ),
    Misconception(
        "the sign",
        loss_with(reduce=lambda losses, real: -mean(losses, real)),
        "The sign is wrong: log-probabilities are negative, the loss is −Σ q log p, a positive number.",
    ),
    Misconception(
        "logits for log-probabilities",
        of_logits,
        "You take the logits as they are. The loss needs log p: `logits.log_softmax(dim=-1)`.",
    ),
    Misconception(
        "log of the softmax",
        of_probabilities,
        "Right, but where a probability is too small for its format: the softmax gives 0 there, and log 0 is −∞. "
        "`log_softmax` never forms the probability.",
    ),
    Misconception(
        "padding is always 0",
        always_zero,
        "You compare with 0, whatever `padding_id` says.",
    ),
)

# 7.2, the schedule ────────────────────────────────────────────────────────────────────────────────────────────────


def rate_with(formula: Callable, first: int = 1) -> Callable:
    """An answer to 7.2 with another formula(update, d_model, warmup)."""

    def answer(update: int, d_model: int, warmup: int = 4000) -> float:
        return formula(max(update, first), d_model, warmup)

    return answer


def without_guard(update: int, d_model: int, warmup: int = 4000) -> float:
    return d_model**-0.5 * min(update**-0.5, update * warmup**-1.5)


def nothing_at_zero(update: int, d_model: int, warmup: int = 4000) -> float:
    return 0.0 if update < 1 else without_guard(update, d_model, warmup)


SCHEDULES = (
    Misconception(
        "the larger of both",
        rate_with(lambda u, d, w: d**-0.5 * max(u**-0.5, u * w**-1.5)),
        "You take the larger of the two; Eq. 3 takes the smaller: the rising line before update `warmup`, the falling "
        "root after it.",
    ),
    Misconception(
        "the width on the falling term only",
        rate_with(lambda u, d, w: min(d**-0.5 * u**-0.5, u * w**-1.5)),
        "d_model^−0.5 multiplies both terms: it stands outside of the min. Yours multiplies the falling one only.",
    ),
    Misconception(
        "the width on the rising term only",
        rate_with(lambda u, d, w: min(u**-0.5, d**-0.5 * u * w**-1.5)),
        "d_model^−0.5 multiplies both terms: it stands outside of the min. Yours multiplies the rising one only.",
    ),
    Misconception(
        "1 / update",
        rate_with(lambda u, d, w: d**-0.5 * min(1 / u, u * w**-1.5)),
        "Your rate falls as 1 / update. In Eq. 3 it falls with the root: update^−0.5.",
    ),
    Misconception(
        "the width left out",
        rate_with(lambda u, d, w: min(u**-0.5, u * w**-1.5)),
        "The factor d_model^−0.5 is missing: your rate is the same for every width.",
    ),
    Misconception(
        "wider is faster",
        rate_with(lambda u, d, w: d**0.5 * min(u**-0.5, u * w**-1.5)),
        "You multiply by √d_model; Eq. 3 has d_model^−0.5, so that wider models take smaller steps.",
    ),
    Misconception(
        "divided by d_model",
        rate_with(lambda u, d, w: min(u**-0.5, u * w**-1.5) / d),
        "You divide by d_model; Eq. 3 divides by its root.",
    ),
    Misconception(
        "warmup^−0.5",
        rate_with(lambda u, d, w: d**-0.5 * min(u**-0.5, u * w**-0.5)),
        "Your exponent of `warmup` is −0.5. With −1.5 both terms are equal at update = warmup: w · w^−1.5 = w^−0.5.",
    ),
    Misconception(
        "only rising",
        rate_with(lambda u, d, w: d**-0.5 * u * w**-1.5),
        "Your rate rises for ever. After `warmup` updates it falls with update^−0.5: the smaller of both terms counts.",
    ),
    Misconception(
        "only falling",
        rate_with(lambda u, d, w: d**-0.5 * u**-0.5),
        "Your rate is largest at the first update: the warm-up is missing.",
    ),
    Misconception(
        "constant after the warm-up",
        rate_with(lambda u, d, w: d**-0.5 * min(w**-0.5, u * w**-1.5)),
        "Your rate stays at its peak after the warm-up. In Eq. 3 the first term holds the update, not `warmup`: "
        "update^−0.5.",
    ),
    Misconception(
        "4000, whatever is asked",
        rate_with(lambda u, d, w: without_guard(u, d)),
        "Your warm-up is always 4000 updates long: use `warmup`.",
    ),
    Misconception(
        "counted from 0",
        lambda update, d_model, warmup=4000: without_guard(update + 1, d_model, warmup),
        "You are one update ahead: updates are counted from 1 already, so nothing is to be added.",
    ),
    Misconception(
        "no rate for update 0",
        without_guard,
        "Right from update 1 on. At 0 the root's reciprocal does not exist (0 ** −0.5 stops with an error); "
        "`max(update, 1)` gives the rate of update 1 there.",
    ),
    Misconception(
        "zero at update 0",
        nothing_at_zero,
        "Right from update 1 on. At 0 asked for is the rate of update 1: `max(update, 1)`.",
    ),
)
