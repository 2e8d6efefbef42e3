"""Chapter 07, the smoothed loss and the schedule, from outside: plausible wrong answers that no misconception was
written for, and unusual right ones. Each wrong answer comes with words that its report must hold, or None.
"""

import math

import torch
from torch import nn

from utils.exercises import exercise
from utils.training.schedule import learning_rate
from utils.transformer import PADDING

# 7.1 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def parts_of(logits, targets):
    """(log p, log p of the target), for every position."""
    logs = logits.log_softmax(dim=-1)
    return logs, logs.gather(-1, targets[..., None]).squeeze(-1)


def finish(losses, targets, padding_id):
    real = targets != padding_id
    return (losses * real).sum() / real.sum().clamp(min=1)


def mixing(formula, base=None):
    """An answer from formula(log p, log p(right), ε)."""

    def answer(logits, targets, smoothing=0.1, padding_id=PADDING):
        logs, right = parts_of(logits, targets)
        return finish(formula(logs, right, smoothing), targets, padding_id)

    return answer


def wrong_axis(logits, targets, smoothing=0.1, padding_id=PADDING):
    logs = logits.log_softmax(dim=0)
    right = logs.gather(-1, targets[..., None]).squeeze(-1)
    return finish(-(1 - smoothing) * right - smoothing * logs.mean(-1), targets, padding_id)


def detached(logits, targets, smoothing=0.1, padding_id=PADDING):
    return mixing(lambda logs, right, e: -(1 - e) * right - e * logs.mean(-1))(
        logits.detach(), targets, smoothing, padding_id
    )


def a_number(logits, targets, smoothing=0.1, padding_id=PADDING):
    return mixing(lambda logs, right, e: -(1 - e) * right - e * logs.mean(-1))(
        logits, targets, smoothing, padding_id
    ).item()


def in_place(logits, targets, smoothing=0.1, padding_id=PADDING):
    logits -= logits.logsumexp(dim=-1, keepdim=True)
    right = logits.gather(-1, targets[..., None]).squeeze(-1)
    return finish(-(1 - smoothing) * right - smoothing * logits.mean(-1), targets, padding_id)


def single_precision(logits, targets, smoothing=0.1, padding_id=PADDING):
    return mixing(lambda logs, right, e: -(1 - e) * right - e * logs.mean(-1))(
        logits.float(), targets, smoothing, padding_id
    ).to(logits.dtype)


def padded_logits_only(logits, targets, smoothing=0.1, padding_id=PADDING):
    """Multiplies the logits by the mask, as one would hide values, and keeps the mean over all."""
    logs, right = parts_of(logits * (targets != padding_id)[..., None], targets)
    return (-(1 - smoothing) * right - smoothing * logs.mean(-1)).mean()


def two_axes_only(logits, targets, smoothing=0.1, padding_id=PADDING):
    batch, length, vocab_size = logits.shape
    return mixing(lambda logs, right, e: -(1 - e) * right - e * logs.mean(-1))(
        logits.view(batch * length, vocab_size), targets.view(-1), smoothing, padding_id
    )


def by_cross_entropy(logits, targets, smoothing=0.1, padding_id=PADDING):
    return nn.functional.cross_entropy(
        logits.flatten(0, -2), targets.flatten(), label_smoothing=smoothing, ignore_index=padding_id
    )


def no_padding_argument(logits, targets, smoothing=0.1):
    return by_nll(logits, targets, smoothing)


def losses_each(logits, targets, smoothing=0.1, padding_id=PADDING):
    logs, right = parts_of(logits, targets)
    return -(1 - smoothing) * right - smoothing * logs.mean(-1)


def clamped(logits, targets, smoothing=0.1, padding_id=PADDING):
    logs = (logits.softmax(-1) + 1e-6).log()
    right = logs.gather(-1, targets[..., None]).squeeze(-1)
    return finish(-(1 - smoothing) * right - smoothing * logs.mean(-1), targets, padding_id)


def entropy_off(logits, targets, smoothing=0.1, padding_id=PADDING):
    """The divergence KL(q ‖ p): the same gradient, another number."""
    logs, _ = parts_of(logits, targets)
    q = torch.full_like(logs, smoothing / logs.size(-1))
    q.scatter_add_(-1, targets[..., None], torch.full_like(logs[..., :1], 1 - smoothing))
    return finish((q * (q.clamp(min=1e-30).log() - logs)).sum(-1), targets, padding_id)


WRONG_7_1 = {
    "softmax over the batch": (wrong_axis, None),
    "detached": (detached, "gradient"),
    "a number": (a_number, "Tensor"),
    "in place": (in_place, "in place"),
    "float32 inside": (single_precision, "float32"),
    "logits times mask": (padded_logits_only, None),
    "two axes only": (two_axes_only, "ValueError"),
    "torch's own": (by_cross_entropy, "cross_entropy"),
    "no padding_id": (no_padding_argument, "padding_id"),
    "a loss for each position": (losses_each, "shape"),
    "clamped probabilities": (clamped, None),
    "the divergence": (entropy_off, None),
    "sum of logs for their mean": (mixing(lambda logs, right, e: -(1 - e) * right - e * logs.sum(-1)), None),
    "whole weight on the right": (mixing(lambda logs, right, e: -right - e * logs.mean(-1)), None),
    "base 2": (mixing(lambda logs, right, e: (-(1 - e) * right - e * logs.mean(-1)) / math.log(2)), "times"),
    "uniform part with the other sign": (mixing(lambda logs, right, e: -(1 - e) * right + e * logs.mean(-1)), None),
}


def by_nll(logits, targets, smoothing=0.1, padding_id=PADDING):
    logs = nn.functional.log_softmax(logits.flatten(0, -2), dim=-1)
    targets = targets.flatten()
    count = (targets != padding_id).sum().clamp(min=1)
    nll = nn.functional.nll_loss(logs, targets, ignore_index=padding_id, reduction="sum")
    smooth = -(logs.mean(-1) * (targets != padding_id)).sum()
    return ((1 - smoothing) * nll + smoothing * smooth) / count


def by_distribution(logits, targets, smoothing=0.1, padding_id=PADDING):
    q = torch.full_like(logits, smoothing / logits.size(-1))
    q = q.scatter_add(-1, targets[..., None], torch.full_like(logits[..., :1], 1 - smoothing))
    real = (targets != padding_id).to(logits.dtype)
    losses = -torch.einsum("...v,...v->...", q, logits.log_softmax(-1))
    return (losses * real).sum() / torch.clamp(real.sum(), min=1)


def by_loop(logits, targets, smoothing=0.1, padding_id=PADDING):
    total, count = logits.sum() * 0, 0
    for scores, target in zip(logits.reshape(-1, logits.size(-1)), targets.flatten(), strict=True):
        if target != padding_id:
            logs = scores - scores.logsumexp(-1)
            total = total - (1 - smoothing) * logs[target] - smoothing * logs.mean()
            count += 1
    return total / max(count, 1)


def in_double(logits, targets, smoothing=0.1, padding_id=PADDING):
    return by_distribution(logits.double(), targets, smoothing, padding_id).to(logits.dtype)


def from_logsumexp(logits, targets, smoothing=0.1, padding_id=PADDING, reduce="mean"):
    real = targets != padding_id
    logits, targets = logits[real], targets[real]
    losses = logits.logsumexp(-1) - (1 - smoothing) * logits[range(len(targets)), targets] - smoothing * logits.mean(-1)
    return losses.sum() / max(1, len(losses))


def by_where(logits, targets, smoothing=0.1, padding_id=PADDING):
    logs, right = parts_of(logits, targets)
    losses = -torch.lerp(right, logs.mean(-1), smoothing)
    return torch.where(targets != padding_id, losses, 0.0).sum() / (targets != padding_id).sum().clamp(min=1)


RIGHT_7_1 = {
    "negative log-likelihood": by_nll,
    "the distribution q": by_distribution,
    "a loop": by_loop,
    "float64 inside": in_double,
    "logsumexp": from_logsumexp,
    "where and lerp": by_where,
}

# 7.2 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def plain(update, d_model, warmup=4000):
    return d_model**-0.5 * min(update**-0.5, update * warmup**-1.5)


WRONG_7_2 = {
    "whole numbers": (lambda update, d_model, warmup=4000: int(plain(max(update, 1), d_model, warmup)), None),
    "rounded": (lambda update, d_model, warmup=4000: round(plain(max(update, 1), d_model, warmup), 5), None),
    "512 in mind": (lambda update, d_model, warmup=4000: plain(max(update, 1), 512, warmup), None),
    "another default": (lambda update, d_model, warmup=8000: plain(max(update, 1), d_model, warmup), None),
    "no default": (lambda update, d_model, warmup: plain(max(update, 1), d_model, warmup), "warmup"),
    "falls with the update itself": (
        lambda update, d_model, warmup=4000: d_model**-0.5 * min(1 / max(update, 1), max(update, 1) * warmup**-1.5),
        None,
    ),
    "cosine": (
        lambda update, d_model, warmup=4000: learning_rate(update, "cosine", None, warmup, 10**6, 0.0, d_model),
        None,
    ),
    "half of it": (lambda update, d_model, warmup=4000: plain(max(update, 1), d_model, warmup) / 2, None),
    "the sum of both": (
        lambda update, d_model, warmup=4000: (
            d_model**-0.5 * (max(update, 1) ** -0.5 + max(update, 1) * warmup**-1.5)
        ),
        None,
    ),
    "arguments exchanged": (lambda update, d_model, warmup=4000: plain(max(update, 1), warmup, d_model), None),
    "squared warm-up": (
        lambda update, d_model, warmup=4000: d_model**-0.5 * min(max(update, 1) ** -0.5, update * warmup**-2), None,
    ),
    "a tensor of two": (
        lambda update, d_model, warmup=4000: torch.tensor([plain(max(update, 1), d_model, warmup)] * 2), "Tensor",
    ),
    "rises to 1": (lambda update, d_model, warmup=4000: min(1.0, max(update, 1) / warmup), None),
    "nothing": (lambda update, d_model, warmup=4000: None, "return"),
}  # fmt: skip


def in_two_parts(update, d_model, warmup=4000):
    update = 1 if update == 0 else update
    if update < warmup:
        return update / (warmup * math.sqrt(warmup * d_model))
    return 1 / math.sqrt(update * d_model)


RIGHT_7_2 = {
    "two parts": in_two_parts,
    "the course's own schedule": lambda update, d_model, warmup=4000: learning_rate(
        update, "paper", None, warmup, d_model=d_model
    ),
    "a tensor": lambda update, d_model, warmup=4000: torch.tensor(
        in_two_parts(update, d_model, warmup), dtype=torch.float64
    ),
    "sorted": lambda update, d_model, warmup=4000: (
        sorted([max(update, 1) ** -0.5, max(update, 1) * warmup**-1.5])[0] / d_model**0.5
    ),
    "in logarithms": lambda update, d_model, warmup=4000: math.exp(
        -0.5 * math.log(d_model) + min(-0.5 * math.log(update or 1), math.log(update or 1) - 1.5 * math.log(warmup))
    ),
    "with a factor": lambda update, d_model, warmup=4000, factor=1.0: factor * in_two_parts(update, d_model, warmup),
    "relative to the peak": lambda update, d_model, warmup=4000: (
        (d_model * warmup) ** -0.5 * min((warmup / (update or 1)) ** 0.5, (update or 1) / warmup)
    ),
}


WRONG = {"7.1": WRONG_7_1, "7.2": WRONG_7_2}
RIGHT = {"7.1": RIGHT_7_1, "7.2": RIGHT_7_2}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)


def test_the_loss_is_torchs_own():
    torch.manual_seed(0)
    logits, targets = torch.randn(3, 5, 11), torch.randint(0, 11, (3, 5))
    for smoothing in (0.0, 0.1, 0.5):
        own = exercise("7.1").reference(logits, targets, smoothing)
        assert torch.allclose(own, by_cross_entropy(logits, targets, smoothing))
