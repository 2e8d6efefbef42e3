"""What goes wrong with the smoothed loss (7.1), and what puts it right."""

import math
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


def neither_right_nor_padding(log_probabilities: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    hot = one_hot(log_probabilities, targets)
    share = torch.ones(log_probabilities.size(-1), dtype=log_probabilities.dtype) / (log_probabilities.size(-1) - 2)
    share[PADDING] = 0.0
    return -(((1 - smoothing) * hot + smoothing * (1 - hot) * share) * log_probabilities).sum(dim=-1)


def divergence(log_probabilities: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """KL(q ‖ p) in place of −Σ q log p."""
    q = (1 - smoothing) * one_hot(log_probabilities, targets) + smoothing / log_probabilities.size(-1)
    return (torch.xlogy(q, q) - q * log_probabilities).sum(dim=-1)


def of_the_exponentials(logits: Tensor, targets: Tensor, smoothing: float = 0.1, padding_id: int = PADDING) -> Tensor:
    probabilities = logits.exp() / logits.exp().sum(dim=-1, keepdim=True)
    return mean(smoothed(probabilities.log(), targets, smoothing), targets != padding_id)


def over_axis(axis: int) -> Callable:
    """A softmax over another axis than the last."""

    def answer(logits: Tensor, targets: Tensor, smoothing: float = 0.1, padding_id: int = PADDING) -> Tensor:
        return mean(smoothed(logits.log_softmax(dim=axis), targets, smoothing), targets != padding_id)

    return answer


def entry_ruled_out(logits: Tensor, targets: Tensor, smoothing: float = 0.1, padding_id: int = PADDING) -> Tensor:
    ruled_out = logits.index_fill(-1, torch.tensor([padding_id]), -math.inf)
    real = targets != padding_id
    return mean(smoothed(ruled_out.log_softmax(dim=-1), targets, smoothing).masked_fill(~real, 0), real)


def plain_by_default(logits: Tensor, targets: Tensor, smoothing: float = 0.0, padding_id: int = PADDING) -> Tensor:
    return loss_with()(logits, targets, smoothing, padding_id)


def torchs_padding(logits: Tensor, targets: Tensor, smoothing: float = 0.1, padding_id: int = -100) -> Tensor:
    return loss_with()(logits, targets, smoothing, padding_id)


LOSSES = (
    Misconception(
        "plain by default",
        plain_by_default,
        "Right where `smoothing` is given. Where it is not, your default is 0: asked for is `smoothing=0.1`.",
        everywhere=True,
    ),
    Misconception(
        "−100 by default",
        torchs_padding,
        "Your default for `padding_id` is −100, as in torch, so that padding counts where nothing is said: asked for "
        "is `padding_id=PADDING`.",
        everywhere=True,
    ),
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
        "ε / (V − 2)",
        loss_with(neither_right_nor_padding),
        "You share ε among the V − 2 entries that are neither right nor padding, as *The Annotated Transformer* does. "
        "Here all V entries get ε / V, the right one and the one for padding too.",
    ),
    Misconception(
        "the divergence",
        loss_with(divergence),
        "You return the divergence KL(q ‖ p). It is smaller than the loss asked for, −Σ q log p, by the entropy of q, "
        "−Σ q log q. The gradients are the same.",
    ),
    Misconception(
        "perplexity",
        loss_with(reduce=lambda losses, real: mean(losses, real).exp()),
        "You return the exponential of the loss, the perplexity. Asked for is the loss itself, in nats per token.",
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
        "divided by no token",
        loss_with(reduce=lambda losses, real: (losses * real).sum() / real.sum()),
        "Right, but where all is padding: 0 / 0 is NaN, and so are its gradients. Divide by `real.sum().clamp(min=1)`; "
        "the loss is then 0.",
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
        "the softmax over sentences",
        over_axis(0),
        "Your softmax runs over axis 0, so that sentences compete. The entries of the vocabulary do, and they stand on "
        "the last axis: `log_softmax(dim=-1)`.",
    ),
    Misconception(
        "the softmax over positions",
        over_axis(1),
        "Your softmax runs over axis 1, which are positions where there is a batch. The entries of the vocabulary "
        "compete, and they stand on the last axis: `log_softmax(dim=-1)`.",
    ),
    Misconception(
        "the padding entry ruled out",
        entry_ruled_out,
        "You set the padding entry's logit to −∞. Its log-probability is −∞ then, and with its share ε / V the loss is "
        "infinite. What counts for nothing are *positions* whose target is padding; the vocabulary stays whole.",
    ),
    Misconception(
        "the softmax by hand",
        of_the_exponentials,
        "Right, but where a logit is large: its exponential is infinite, and ∞ / ∞ is NaN. `log_softmax` takes the "
        "largest logit off first, which changes nothing else.",
    ),
    Misconception(
        "padding is always 0",
        always_zero,
        "You compare with 0, whatever `padding_id` says.",
    ),
)
