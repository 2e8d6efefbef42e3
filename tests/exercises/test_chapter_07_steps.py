"""Chapter 07, one update and accumulated updates, from outside: plausible wrong answers that no misconception was
written for, and unusual right ones. Each wrong answer comes with words that its report must hold, or None.
"""

import pytest
import torch

from utils.exercises.chapter_07.models import VOCABULARY, RoomForOne, Small, adam, batch, sgd
from utils.exercises.chapter_07.references import accumulated_updates, training_step
from utils.text.batches import Batch
from utils.training.loss import smoothed_cross_entropy
from utils.training.schedule import paper_schedule
from utils.transformer import PADDING

# 7.3 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def step(loss_of=smoothed_cross_entropy, before=None, after=None, rates=None, told=lambda loss: loss.item()):
    """A right update, with something else in its place or around it."""

    def answer(model, optimiser, source, decoder_input, wanted, rate, smoothing=0.1):
        model.train()
        for group in optimiser.param_groups:
            group["lr"] = rate if rates is None else rates(rate, group)
        loss = loss_of(model(source, decoder_input), wanted, smoothing)
        optimiser.zero_grad()
        loss.backward()
        if before is not None:
            before(model, optimiser)
        optimiser.step()
        if after is not None:
            after(model, optimiser)
        return told(loss)

    return answer


def all_positions(logits, wanted, smoothing):
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), wanted.flatten(), label_smoothing=smoothing)


def zero_all(model, optimiser):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()


def clip(model, optimiser):
    torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)


def negative(model, optimiser):
    for parameter in model.parameters():
        parameter.grad.neg_()


def shifted_again(model, optimiser, source, decoder_input, wanted, rate, smoothing=0.1):
    return training_step(model, optimiser, source, decoder_input[:, :-1], wanted[:, 1:], rate, smoothing)


def in_evaluation_after_a_look(model, optimiser, source, decoder_input, wanted, rate, smoothing=0.1):
    model.train()
    with torch.no_grad():
        model(source, decoder_input)  # draws dropout once more than asked for
    return training_step(model, optimiser, source, decoder_input, wanted, rate, smoothing)


def no_graph(model, optimiser, source, decoder_input, wanted, rate, smoothing=0.1):
    with torch.no_grad():
        loss = smoothed_cross_entropy(model(source, decoder_input), wanted, smoothing)
    loss.backward()
    optimiser.step()
    return loss.item()


def changes_the_batch(model, optimiser, source, decoder_input, wanted, rate, smoothing=0.1):
    loss = training_step(model, optimiser, source, decoder_input, wanted, rate, smoothing)
    wanted[wanted == PADDING] = -100
    return loss


def rate_after(model, optimiser, source, decoder_input, wanted, rate, smoothing=0.1):
    old = optimiser.param_groups[0]["lr"]
    loss = step(rates=lambda rate, group: old)(model, optimiser, source, decoder_input, wanted, rate, smoothing)
    for group in optimiser.param_groups:
        group["lr"] = rate
    return loss


class Remembering:
    """Clears the gradients on its first call only."""

    def __init__(self):
        self.called = False

    def __call__(self, model, optimiser, source, decoder_input, wanted, rate, smoothing=0.1):
        model.train()
        for group in optimiser.param_groups:
            group["lr"] = rate
        if not self.called:
            optimiser.zero_grad()
            self.called = True
        loss = smoothed_cross_entropy(model(source, decoder_input), wanted, smoothing)
        loss.backward()
        optimiser.step()
        return loss.item()


def cleared_at_the_end(model, optimiser, source, decoder_input, wanted, rate, smoothing=0.1):
    for group in optimiser.param_groups:
        group.update(lr=rate)
    loss = smoothed_cross_entropy(model.train()(source, decoder_input), wanted, smoothing)
    loss.backward()
    optimiser.step()
    optimiser.zero_grad(set_to_none=False)
    return loss.item()


WRONG_7_3 = {
    "the graph in what is returned": (step(told=lambda loss: loss), "still hangs on the graph"),
    "cleared at the end": (cleared_at_the_end, "clear them after the step"),
    "padding in the loss": (step(all_positions), None),
    "weights set to zero": (step(after=zero_all), None),
    "clipped": (step(before=clip), None),
    "uphill": (step(before=negative), None),
    "shifted once more": (shifted_again, None),
    "a look before": (in_evaluation_after_a_look, None),
    "no graph": (no_graph, "RuntimeError"),
    "the batch changed": (changes_the_batch, None),
    "the rate comes too late": (rate_after, None),
    "cleared once for all": (Remembering(), None),
    "the rate added": (step(rates=lambda rate, group: group["lr"] + rate), None),
    "the rate multiplied": (step(rates=lambda rate, group: group["lr"] * rate), None),
    "sum over the tokens": (
        step(lambda logits, wanted, e: smoothed_cross_entropy(logits, wanted, e) * (wanted != PADDING).sum()), None,
    ),
    "perplexity": (step(told=lambda loss: loss.exp().item()), "loss"),
    "nothing returned": (step(told=lambda loss: None), None),
    "0.1 in mind": (step(lambda logits, wanted, e: smoothed_cross_entropy(logits, wanted)), "smoothing"),
    "source for a target": (
        lambda model, optimiser, source, decoder_input, wanted, rate, smoothing=0.1: training_step(
            model, optimiser, source, decoder_input, source, rate, smoothing
        ),
        None,
    ),
}  # fmt: skip


def with_a_closure(model, optimiser, source, decoder_input, wanted, rate, smoothing=0.1):
    model.train()
    for group in optimiser.param_groups:
        group["lr"] = rate

    def closure():
        optimiser.zero_grad()
        loss = smoothed_cross_entropy(model(source, decoder_input), wanted, smoothing)
        loss.backward()
        return loss

    return optimiser.step(closure).item()


def gradients_by_hand(model, optimiser, source, decoder_input, wanted, rate, smoothing=0.1):
    model.train(True)
    for group in optimiser.param_groups:
        group["lr"] = rate
    loss = smoothed_cross_entropy(model(source, decoder_input), wanted, smoothing)
    parameters = list(model.parameters())
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        parameter.grad = gradient
    optimiser.step()
    return loss.detach()


def cleared_by_hand(model, optimiser, source, decoder_input, wanted, rate, smoothing=0.1, verbose=False):
    for parameter in model.parameters():
        parameter.grad = None
    [group.__setitem__("lr", rate) for group in optimiser.param_groups]
    model.train()
    loss = smoothed_cross_entropy(model(source, decoder_input), wanted, smoothing=smoothing)
    loss.backward()
    optimiser.step()
    return loss.item()


def by_torchs_loss(logits, wanted, smoothing):
    return torch.nn.functional.cross_entropy(
        logits.transpose(1, 2), wanted, ignore_index=PADDING, label_smoothing=smoothing
    )


def back_to_evaluation(model, optimiser):
    model.eval()


RIGHT_7_3 = {
    "model.zero_grad": step(before=None, after=lambda model, optimiser: model.zero_grad()),
    "a closure": with_a_closure,
    "gradients by hand": gradients_by_hand,
    "cleared by hand": cleared_by_hand,
    "torch's own loss": step(by_torchs_loss),
    "back to evaluation mode": step(after=back_to_evaluation),
    "a tensor": step(told=lambda loss: loss.detach()),
}

# 7.4 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def accumulating(share=None, rate=None, told=None, limit=None, between=None, smoothing=0.1):
    """A right answer with something else in its place."""

    def answer(model, optimiser, batches, accumulate, d_model, warmup):
        model.train()
        losses = []
        last = len(batches) // accumulate * accumulate if limit is None else limit(batches, accumulate)
        for start in range(0, last, accumulate):
            group = batches[start : start + accumulate]
            counts = [int((wanted != PADDING).sum()) for _, _, wanted in group]
            optimiser.zero_grad()
            parts = []
            for number, (source, decoder_input, wanted) in enumerate(group):
                loss = smoothed_cross_entropy(model(source, decoder_input), wanted, smoothing)
                part = counts[number] / max(sum(counts), 1) if share is None else share(group, number)
                (part * loss).backward()
                parts.append((part * loss).item())
                if between is not None:
                    between(model, optimiser, number)
            update = len(losses) + 1
            for parameters in optimiser.param_groups:
                parameters["lr"] = (rate or paper_schedule)(update, d_model, warmup)
            optimiser.step()
            losses.append(sum(parts))
        return losses if told is None else told(losses, parts)

    return answer


def sentences(group, number):
    return len(group[number][2]) / sum(len(wanted) for _, _, wanted in group)


def places(group, number):
    return group[number][2].numel() / sum(wanted.numel() for _, _, wanted in group)


def source_tokens(group, number):
    counts = [int((source != PADDING).sum()) for source, _, _ in group]
    return counts[number] / max(sum(counts), 1)


def one_batch_of_all(model, optimiser, batches, accumulate, d_model, warmup):
    """Joins the batches without padding them: stops where they differ in length."""
    return accumulated_updates(
        model, optimiser, [tuple(map(torch.cat, zip(*batches, strict=True)))], 1, d_model, warmup
    )


def same_rate(model, optimiser, batches, accumulate, d_model, warmup):
    return accumulating(rate=lambda update, d_model, warmup: optimiser.param_groups[0]["lr"])(
        model, optimiser, batches, accumulate, d_model, warmup
    )


def batches_emptied(model, optimiser, batches, accumulate, d_model, warmup):
    losses = accumulated_updates(model, optimiser, batches, accumulate, d_model, warmup)
    batches.clear()
    return losses


def reversed_groups(model, optimiser, batches, accumulate, d_model, warmup):
    return accumulated_updates(model, optimiser, batches[::-1], accumulate, d_model, warmup)


def halved(model, optimiser, number):
    for parameter in model.parameters():
        parameter.grad /= 2


WRONG_7_4 = {
    "by sentences": (accumulating(sentences), "sentences"),
    "by places, padding too": (accumulating(places), "count padding"),
    "by source tokens": (accumulating(source_tokens), "sources"),
    "the batches joined": (one_batch_of_all, None),
    "one rate for all": (same_rate, "that it came with"),
    "batches emptied": (batches_emptied, "several times"),
    "from the last to the first": (reversed_groups, None),
    "halved after each batch": (accumulating(between=halved), None),
    "not smoothed": (accumulating(smoothing=0.0), "plain cross-entropy"),
    "the last loss only": (accumulating(told=lambda losses, parts: losses[-1]), "list"),
    "the parts of the last group": (accumulating(told=lambda losses, parts: parts), None),
    "the whole mean": (accumulating(told=lambda losses, parts: [sum(losses) / len(losses)] * len(losses)), None),
    "warmup in batches": (
        lambda model, optimiser, batches, accumulate, d_model, warmup: accumulated_updates(
            model, optimiser, batches, accumulate, d_model, warmup * accumulate
        ),
        None,
    ),
    "width and warm-up exchanged": (
        accumulating(rate=lambda update, d_model, warmup: paper_schedule(update, warmup, d_model)), None,
    ),
    "never more than two": (
        lambda model, optimiser, batches, accumulate, d_model, warmup: accumulated_updates(
            model, optimiser, batches, min(accumulate, 2), d_model, warmup
        ),
        None,
    ),
    "the first group only": (accumulating(limit=lambda batches, accumulate: accumulate), None),
    "one group too few": (accumulating(limit=lambda batches, accumulate: len(batches) - accumulate), None),
}  # fmt: skip


def divided_at_the_end(model, optimiser, batches, accumulate, d_model, warmup):
    """Sums over tokens, and one division of all gradients before the step."""
    model.train()
    losses, tokens, total = [], 0, 0.0
    optimiser.zero_grad()
    for number, (source, decoder_input, wanted) in enumerate(batches, start=1):
        count = (wanted != PADDING).sum()
        loss = smoothed_cross_entropy(model(source, decoder_input), wanted) * count
        loss.backward()
        total, tokens = total + loss.item(), tokens + count.item()
        if number % accumulate == 0:
            for parameter in model.parameters():
                parameter.grad /= max(tokens, 1)
            for group in optimiser.param_groups:
                group["lr"] = paper_schedule(number // accumulate, d_model, warmup)
            optimiser.step()
            optimiser.zero_grad()
            losses.append(total / max(tokens, 1))
            tokens, total = 0, 0.0
    return losses


def by_scheduler(model, optimiser, batches, accumulate, d_model, warmup):
    for group in optimiser.param_groups:
        group["lr"] = group["initial_lr"] = 1.0
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda done: paper_schedule(done + 1, d_model, warmup))
    losses = []
    model.train()
    for start in range(len(batches) // accumulate):
        group = batches[start * accumulate : (start + 1) * accumulate]
        tokens = sum((wanted != PADDING).sum() for _, _, wanted in group).clamp(min=1)
        losses.append(0.0)
        for source, decoder_input, wanted in group:
            loss = smoothed_cross_entropy(model(source, decoder_input), wanted) * (wanted != PADDING).sum() / tokens
            loss.backward()
            losses[-1] += loss.item()
        optimiser.step()
        scheduler.step()
        optimiser.zero_grad()
    return losses


RIGHT_7_4 = {
    "divided at the end": divided_at_the_end,
    "a scheduler of torch's": by_scheduler,
    "by the house": accumulating(),
    "a tensor of losses": accumulating(told=lambda losses, parts: [torch.tensor(loss).double() for loss in losses]),
    "a tuple": accumulating(told=lambda losses, parts: tuple(losses)),
    "an empty group is never seen": accumulating(limit=lambda batches, k: len(batches) - len(batches) % k),
}

WRONG = {"7.3": WRONG_7_3, "7.4": WRONG_7_4}
RIGHT = {"7.3": RIGHT_7_3, "7.4": RIGHT_7_4}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)


def test_room_for_one_lets_go_after_backward():
    model = RoomForOne(torch.Generator().manual_seed(0))
    source, decoder_input, _ = batch(torch.Generator().manual_seed(1), [3, 2])
    model(source, decoder_input).sum().backward()
    with torch.no_grad():
        model(source, decoder_input)
    logits = model(source, decoder_input)
    assert logits.shape == (2, 3, VOCABULARY)
    with pytest.raises(MemoryError, match="backward"):
        model(source, decoder_input)


@pytest.mark.parametrize("optimiser", [sgd, adam])
def test_batches_are_as_the_courses_own(optimiser):
    source, decoder_input, wanted = batch(torch.Generator().manual_seed(1), [3, 1], longest=4)
    assert (wanted != PADDING).sum(dim=1).tolist() == [3, 1]
    assert torch.equal(decoder_input[:, 1:], wanted[:, :-1].masked_fill(wanted[:, :-1] == 3, PADDING))
    assert isinstance(optimiser(Small(torch.Generator())), torch.optim.Optimizer)
    assert Batch(source, decoder_input, wanted, 4).target_tokens == 4
