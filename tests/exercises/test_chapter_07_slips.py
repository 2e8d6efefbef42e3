"""Chapter 07, slips in accumulating gradients (7.4): each is told in words that fit. None: the message says enough."""

import torch

from utils.exercises.chapter_07.references import accumulated_updates
from utils.training.loss import smoothed_cross_entropy
from utils.training.schedule import paper_schedule
from utils.transformer import PADDING


def written(late=False, told=sum, everything=False):
    """An answer as one would write it: the rate after the step, another loss returned, all batches' tokens."""

    def answer(model, optimiser, batches, accumulate, d_model, warmup):
        model.train()
        losses = []
        for start in range(0, len(batches) - accumulate + 1, accumulate):
            group = batches[start : start + accumulate]
            tokens = sum((wanted != PADDING).sum() for _, _, wanted in (batches if everything else group))
            optimiser.zero_grad()
            parts, means = [], []
            for source, decoder_input, wanted in group:
                loss = smoothed_cross_entropy(model(source, decoder_input), wanted)
                part = loss * (wanted != PADDING).sum() / tokens.clamp(min=1)
                part.backward()
                parts.append(part.item())
                means.append(loss.item())
            losses.append(sum(parts) if told is sum else told(means))
            if late:
                optimiser.step()
            for parameters in optimiser.param_groups:
                parameters["lr"] = paper_schedule(len(losses), d_model, warmup)
            if not late:
                optimiser.step()
        return losses

    return answer


def with_another(optimiser_of=None, **changed):
    """The course's answer, with other arguments."""

    def answer(model, optimiser, batches, accumulate, d_model, warmup):
        sizes = {"accumulate": accumulate, "d_model": d_model, "warmup": warmup}
        sizes |= {name: change(sizes[name]) for name, change in changed.items()}
        optimiser = optimiser if optimiser_of is None else optimiser_of(model, optimiser)
        return accumulated_updates(model, optimiser, batches, **sizes)

    return answer


def strided(model, optimiser, batches, accumulate, d_model, warmup):
    updates = len(batches) // accumulate
    order = [batches[update + updates * number] for update in range(updates) for number in range(accumulate)]
    return accumulated_updates(model, optimiser, order, accumulate, d_model, warmup)


def changed_at_the_end(change):
    return lambda *arguments: change(accumulated_updates(*arguments))


WRONG = {
    "7.4": {
        "the rate after the step": (written(late=True), "after the step"),
        "the mean of means": (written(told=lambda means: sum(means) / len(means)), "every batch the same weight"),
        "the last batch's loss": (written(told=lambda means: means[-1]), "last batch only"),
        "all batches' tokens": (written(everything=True), "tokens of all batches"),
        "a new optimiser": (
            with_another(lambda model, optimiser: type(optimiser)(model.parameters(), **optimiser.defaults)),
            "new optimiser",
        ),
        "4000": (with_another(warmup=lambda warmup: 4000), "4000"),
        "another width": (with_another(d_model=lambda d_model: 512), None),
        "twice as many": (with_another(accumulate=lambda accumulate: 2 * accumulate), None),
        "every so manyth batch": (strided, None),
        "losses added up": (changed_at_the_end(lambda losses: torch.tensor(losses).cumsum(0).tolist()), None),
        "one loss more": (changed_at_the_end(lambda losses: [*losses, 0.0]), "list of"),
    }
}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)
