"""Chapter 07, loss and schedule, from further outside: answers of strangers, wrong and right. Each
wrong answer comes with words that its report must hold, or None.
"""

import functools
import math

import numpy
import pytest
import torch
from torch import nn

from utils.exercises import examine, exercise
from utils.training.loss import smoothed_cross_entropy
from utils.training.schedule import paper_schedule
from utils.transformer import PADDING

# 7.1 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def loss_of(q, log=lambda logits: logits.log_softmax(-1), real=lambda targets, padding_id: targets != padding_id,
            end=lambda total, count: total / count.clamp(min=1)):  # fmt: skip
    """A loss from the target distribution q(hot, ε), hot being one-hot."""

    def answer(logits, targets, smoothing=0.1, padding_id=PADDING):
        counts = real(targets, padding_id)
        hot = nn.functional.one_hot(targets, logits.size(-1)).to(logits.dtype)
        losses = -(q(hot, smoothing) * log(logits)).sum(-1)
        return end((losses * counts).sum(), counts.sum())

    return answer


def mixture(hot, smoothing):
    return (1 - smoothing) * hot + smoothing / hot.size(-1)


def annotated(hot, smoothing):
    """ε / (V − 2), nothing for padding, as the Annotated Transformer has it."""
    q = (1 - smoothing) * hot + (1 - hot) * smoothing / (hot.size(-1) - 2)
    q = q.clone()
    q[..., PADDING] = 0
    return q


def divergence(logits, targets, smoothing=0.1, padding_id=PADDING):
    q = mixture(nn.functional.one_hot(targets, logits.size(-1)).to(logits.dtype), smoothing)
    each = nn.functional.kl_div(logits.log_softmax(-1), q, reduction="none").sum(-1)
    real = targets != padding_id
    return (each * real).sum() / real.sum().clamp(min=1)


def with_default(logits, targets, smoothing=0.0, padding_id=PADDING):
    return smoothed_cross_entropy(logits, targets, smoothing, padding_id)


def torchs_padding(logits, targets, smoothing=0.1, padding_id=-100):
    return smoothed_cross_entropy(logits, targets, smoothing, padding_id)


def of_smoothed_probabilities(logits, targets, smoothing=0.1, padding_id=PADDING):
    real = targets != padding_id
    p = (1 - smoothing) * logits[real].softmax(-1) + smoothing / logits.size(-1)
    return -p.gather(1, targets[real][:, None]).log().sum() / real.sum().clamp(min=1)


def targets_overwritten(logits, targets, smoothing=0.1, padding_id=PADDING):
    loss = smoothed_cross_entropy(logits, targets, smoothing, padding_id)
    targets[targets == padding_id] = 0
    return loss


def logits_overwritten(logits, targets, smoothing=0.1, padding_id=PADDING):
    logits.data[targets == padding_id] = 0
    return smoothed_cross_entropy(logits, targets, smoothing, padding_id)


def entry_ruled_out(logits, targets, smoothing=0.1, padding_id=PADDING):
    logits = logits.index_fill(-1, torch.tensor([padding_id]), -math.inf)
    return smoothed_cross_entropy(logits, targets, smoothing, padding_id)


def needs_sentences(logits, targets, smoothing=0.1, padding_id=PADDING):
    rows = [smoothed_cross_entropy(logits[b], targets[b], smoothing, padding_id) for b in range(len(logits))]
    return sum(rows) / len(rows)


def around(change):
    return lambda logits, targets, smoothing=0.1, padding_id=PADDING: change(
        smoothed_cross_entropy(logits, targets, smoothing, padding_id)
    )


def zero_apart(logits, targets, smoothing=0.1, padding_id=PADDING):
    if not (targets != padding_id).any():
        return torch.tensor(0.0)
    return smoothed_cross_entropy(logits, targets, smoothing, padding_id)


CRITERION = nn.CrossEntropyLoss(label_smoothing=0.1, ignore_index=0)


def made_elsewhere(logits, targets, smoothing=0.1, padding_id=PADDING):
    CRITERION.label_smoothing, CRITERION.ignore_index = smoothing, padding_id
    return CRITERION(logits.flatten(0, -2), targets.flatten()).nan_to_num()


def from_below(logits, targets, smoothing=0.1, padding_id=PADDING):
    flat = logits.flatten(0, -2), targets.flatten()
    return torch.ops.aten.cross_entropy_loss(*flat, None, 1, padding_id, smoothing).nan_to_num()


WRONG_7_1 = {
    "a zero without a graph": (zero_apart, "hang on no graph"),
    "torch's own, made elsewhere": (made_elsewhere, "does by itself"),
    "torch's own, from below": (from_below, "does by itself"),
    "1 − ε in place of the share": (
        loss_of(lambda hot, e: torch.where(hot > 0, 1 - e, e / hot.size(-1))), "does not sum to 1"
    ),
    "the annotated one": (loss_of(annotated), "V − 2"),
    "the divergence by kl_div": (divergence, "entropy"),
    "plain by default": (with_default, "your default is 0"),
    "torch's padding by default": (torchs_padding, "−100"),
    "the model's probabilities smoothed": (of_smoothed_probabilities, None),
    "exp and sum": (loss_of(mixture, lambda x: (x.exp() / x.exp().sum(-1, keepdim=True)).log()), "∞ / ∞"),
    "over the sentence": (loss_of(mixture, lambda logits: logits.log_softmax(1)), "axis 1"),
    "ids above padding": (loss_of(mixture, real=lambda targets, padding_id: targets > padding_id), "padding_id"),
    "one more than counted": (loss_of(mixture, end=lambda total, count: total / (count + 1)), None),
    "without a guard": (loss_of(mixture, end=lambda total, count: total / count), "0 / 0 is NaN"),
    "never less than two": (loss_of(mixture, end=lambda total, count: total / count.clamp(min=2)), None),
    "1 where nothing is": (
        loss_of(mixture, end=lambda total, count: total / count if count else total + 1), "all is padding"
    ),
    "targets overwritten": (targets_overwritten, "changes its input `targets`"),
    "logits overwritten": (logits_overwritten, "changes its input `logits`"),
    "the padding entry ruled out": (entry_ruled_out, "the vocabulary stays whole"),
    "sentence by sentence": (needs_sentences, None),
    "perplexity": (around(lambda loss: loss.exp()), "perplexity"),
    "float64": (around(lambda loss: loss.double()), "dtype"),
    "one in a list": (around(lambda loss: loss[None]), "shape (1,)"),
    "numpy": (around(lambda loss: loss.detach().numpy()[()]), "carry no gradients"),
    "a pair": (around(lambda loss: (loss, 1)), "tuple"),
    "complex": (around(lambda loss: loss + 0j), "complex"),
    "absolute": (around(lambda loss: loss.detach() + 0 * loss), "gradient"),
}  # fmt: skip


class Loss:
    """A callable."""

    def __call__(self, logits, targets, smoothing=0.1, padding_id=PADDING):
        criterion = nn.NLLLoss(reduction="none")
        logs = logits.reshape(-1, logits.shape[-1]).log_softmax(1)
        keep = targets.reshape(-1).ne(padding_id)
        each = criterion(logs, targets.reshape(-1)).mul(1 - smoothing).sub(smoothing * logs.mean(1))
        return each[keep].mean() if keep.any() else logits.sum() * 0.0


def vectorised(logits, targets, smoothing=0.1, padding_id=PADDING):
    def one(row, target):
        logs = row - torch.logsumexp(row, 0)
        return -(1 - smoothing) * logs.index_select(0, target.view(1)).sum() - smoothing * logs.mean()

    flat, ids = logits.flatten(end_dim=-2), targets.flatten()
    real = (ids != padding_id).type_as(logits)
    return torch.dot(torch.vmap(one)(flat, ids), real) / real.sum().clamp_min(1)


def divergence_and_entropy(logits, targets, smoothing=0.1, padding_id=PADDING):
    q = mixture(nn.functional.one_hot(targets, logits.size(-1)).to(logits.dtype), smoothing)
    losses = nn.functional.kl_div(logits.log_softmax(-1), q, reduction="none").sum(-1) + torch.special.entr(q).sum(-1)
    return torch.nan_to_num(losses[targets != padding_id].mean())


RIGHT_7_1 = {
    "a mixture": loss_of(mixture),
    "a class": Loss(),
    "vmap": vectorised,
    "divergence and entropy": divergence_and_entropy,
    "a partial": functools.partial(lambda ignored, *a, **k: smoothed_cross_entropy(*a, **k), None),
    "by keywords": lambda logits, targets, smoothing=0.1, padding_id=0, *, scale=1.0: scale * smoothed_cross_entropy(
        padding_id=padding_id, smoothing=smoothing, targets=targets, logits=logits),
    "an epsilon below": loss_of(mixture, end=lambda total, count: total / (count + 1e-9)),
}  # fmt: skip

# 7.2 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def rate(formula):
    return lambda update, d_model, warmup=4000: formula(max(update, 1), d_model, warmup)


class Counting:
    """Counts for itself."""

    def __init__(self):
        self.update = 0

    def __call__(self, update, d_model, warmup=4000):
        self.update += 1
        return paper_schedule(self.update, d_model, warmup)


WRONG_7_2 = {
    "bracket around both": (rate(lambda u, d, w: d**-0.5 * min(u**-0.5, (u * w) ** -1.5)), "whole product"),
    "root, not its reciprocal": (rate(lambda u, d, w: d**-0.5 * min(u**0.5, u * w**-1.5)), "rises"),
    "the width inside": (rate(lambda u, d, w: min(d**-0.5 * u**-0.5, u * w**-1.5)), "the falling one only"),
    "warmup^1.5": (rate(lambda u, d, w: d**-0.5 * min(u**-0.5, u * w**1.5)), None),
    "the first counts as the last": (
        lambda update, d_model, warmup=4000: paper_schedule(update or warmup, d_model, warmup), "update is 0"
    ),
    "no warm-up up to 100": (rate(lambda u, d, w: paper_schedule(max(u, 100), d, w)), None),
    "counts for itself": (Counting(), None),
    "linear down": (
        rate(lambda u, d, w: (d * w) ** -0.5 * (u / w if u < w else max(0.0, 1 - (u - w) / 100_000))), None
    ),
    "reciprocal of the root, unguarded": (
        lambda update, d_model, warmup=4000: min(1 / math.sqrt(update), update / warmup**1.5) / math.sqrt(d_model),
        "root of 0",
    ),
    "guard on one term": (
        lambda update, d_model, warmup=4000: d_model**-0.5 * min(max(update, 1) ** -0.5, update * warmup**-1.5),
        "update 1",
    ),
    "warm-up of no more than 1000": (rate(lambda u, d, w: paper_schedule(u, d, min(w, 1000))), None),
    "times 512": (rate(lambda u, d, w: paper_schedule(u, d, w) * math.sqrt(512)), None),
    "the step before": (rate(lambda u, d, w: paper_schedule(u - 1, d, w)), None),
    "a list": (rate(lambda u, d, w: [paper_schedule(u, d, w)]), "list"),
    "text": (rate(lambda u, d, w: f"{paper_schedule(u, d, w):.6f}"), None),
    "complex": (rate(lambda u, d, w: paper_schedule(u, d, w) + 0j), "complex"),
    "kept at 0.001 at most": (rate(lambda u, d, w: min(1e-3, paper_schedule(u, d, w))), None),
}  # fmt: skip


class Schedule:
    @staticmethod
    def rate(update, d_model, warmup=4000):
        update = numpy.maximum(update, 1)
        return numpy.minimum(1 / numpy.sqrt(update), update / warmup**1.5) / numpy.sqrt(d_model)


RIGHT_7_2 = {
    "numpy, static": Schedule.rate,
    "cached": functools.lru_cache(paper_schedule.__wrapped__ if hasattr(paper_schedule, "__wrapped__") else
                                  lambda update, d_model, warmup=4000: paper_schedule(update, d_model, warmup)),
    "pow": lambda update, d_model, warmup=4000: pow(d_model, -1 / 2) * min(
        pow(max(1, update), -1 / 2), max(1, update) * pow(warmup, -3 / 2)),
    "recursion at 0": lambda update, d_model, warmup=4000: (
        paper_schedule(1, d_model, warmup) if not update else paper_schedule(update, d_model, warmup)),
    "a tensor of float32": rate(lambda u, d, w: torch.tensor(float(u)).rsqrt().minimum(torch.tensor(u * w**-1.5))
                                / math.sqrt(d)),
    "any keywords": lambda update, d_model, warmup=4000, **options: paper_schedule(update, d_model, warmup),
}  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
def test_the_input_that_is_shown_is_an_ordinary_one(seed):
    def summed(logits, targets, smoothing=0.1, padding_id=PADDING):
        return (targets != padding_id).sum() * smoothed_cross_entropy(logits, targets, smoothing, padding_id)

    report = examine(exercise("7.1"), summed, seed)
    assert not report.passed and "400" not in str(report), report


WRONG = {"7.1": WRONG_7_1, "7.2": WRONG_7_2}
RIGHT = {"7.1": RIGHT_7_1, "7.2": RIGHT_7_2}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
