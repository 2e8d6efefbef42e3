"""Chapter 07, one update and accumulated updates, from further outside: answers of strangers, wrong and right. Each
wrong answer comes with words that its report must hold, or None.
"""

import contextlib
import copy
import functools

import torch

from utils.exercises.chapter_07.references import accumulated_updates, training_step
from utils.training.loss import smoothed_cross_entropy
from utils.training.schedule import paper_schedule
from utils.transformer import PADDING

# 7.3 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def update(acts="zero forward backward step", rate="groups", mode=True, change=lambda loss, wanted: loss,
           told=lambda loss: loss.item(), read=lambda s, d, w: (s, d), said=lambda s, d, w: w):  # fmt: skip
    """An update that does its acts in the order given."""

    def answer(model, optimiser, source, decoder_input, wanted, new_rate, smoothing=0.1):
        if mode:
            model.train()
        if rate == "groups":
            for group in optimiser.param_groups:
                group["lr"] = new_rate
        elif rate == "attribute":
            optimiser.lr = optimiser.defaults["lr"] = new_rate
        elif rate == "last":
            optimiser.param_groups[-1]["lr"] = new_rate
        elif rate == "initial":
            optimiser.param_groups[0]["initial_lr"] = new_rate
        loss = None
        for act in acts.split():
            if act == "forward":
                logits = model(*read(source, decoder_input, wanted))
                loss = change(smoothed_cross_entropy(logits, said(source, decoder_input, wanted), smoothing), wanted)
            elif act == "backward":
                loss.backward(retain_graph=True)
            elif act == "train":
                model.train()
            else:
                {"zero": optimiser.zero_grad, "step": optimiser.step}[act]()
        if rate == "after":
            for group in optimiser.param_groups:
                group["lr"] = new_rate
        return told(loss)

    return answer


def of_a_copy(model, optimiser, source, decoder_input, wanted, rate, smoothing=0.1):
    return training_step(copy.deepcopy(model), optimiser, source, decoder_input, wanted, rate, smoothing)


class Keeps:
    """Keeps the first optimiser that it sees."""

    def __init__(self):
        self.optimiser = None

    def __call__(self, model, optimiser, source, decoder_input, wanted, rate, smoothing=0.1):
        self.optimiser = self.optimiser or optimiser
        return training_step(model, self.optimiser, source, decoder_input, wanted, rate, smoothing)


def decayed(model, optimiser, source, decoder_input, wanted, rate, smoothing=0.1):
    for group in optimiser.param_groups:
        group["weight_decay"] = 0.01
    return training_step(model, optimiser, source, decoder_input, wanted, rate, smoothing)


def averaged_gradients(model, optimiser, source, decoder_input, wanted, rate, smoothing=0.1):
    return update(change=lambda loss, wanted: loss / len(wanted))(
        model, optimiser, source, decoder_input, wanted, rate, smoothing
    )


def generator(model, optimiser, source, decoder_input, wanted, rate, smoothing=0.1):
    yield training_step(model, optimiser, source, decoder_input, wanted, rate, smoothing)


async def asynchronous(model, optimiser, source, decoder_input, wanted, rate, smoothing=0.1):
    return training_step(model, optimiser, source, decoder_input, wanted, rate, smoothing)


WRONG_7_3 = {
    "cleared at the end": (update("forward backward step zero"), "clear them after the step"),
    "the graph is returned": (update(told=lambda loss: loss), "still hangs on the graph"),
    "cleared before the forward pass only once": (update("forward zero step backward"), "finds no gradients"),
    "the step first": (update("step zero forward backward"), "before `backward()`"),
    "cleared between": (update("forward backward zero step"), "finds no gradients"),
    "a copy is trained": (of_a_copy, "another model"),
    "forward before training mode": (update("forward train zero backward step", mode=False), "evaluation mode"),
    "backward twice": (update("zero forward backward backward step"), None),
    "two batches' worth": (update("zero forward backward forward backward step"), None),
    "rate as an attribute": (update(rate="attribute"), "param_groups"),
    "rate of the last group": (update(rate="last"), "two parameter groups"),
    "the initial rate": (update(rate="initial"), "param_groups"),
    "the rate after the step": (update(rate="after"), "after the step"),
    "source and decoder input exchanged": (update(read=lambda s, d, w: (d, s)), "wrong order"),
    "its own input": (update(said=lambda s, d, w: d), "what the model reads"),
    "the source twice": (update(read=lambda s, d, w: (s, s)), None),
    "shifted by one": (update(said=lambda s, d, w: w.roll(-1, 1)), None),
    "another optimiser is kept": (Keeps(), None),
    "weight decay": (decayed, None),
    "divided by sentences": (averaged_gradients, None),
    "the logarithm": (update(change=lambda loss, wanted: loss.log()), None),
    "loss times tokens is told": (lambda *a: training_step(*a) * int((a[4] != PADDING).sum()), None),
    "text": (update(told=lambda loss: f"{loss:.3f}"), "str"),
    "rounded": (update(told=lambda loss: round(loss.item(), 3)), "loss"),
    "a pair": (update(told=lambda loss: (loss.item(), None)), "number"),
    "a generator": (generator, "generator"),
    "asynchronous": (asynchronous, "coroutine"),
    "NaN": (update(told=lambda loss: float("nan")), "nan"),
    "without smoothing": (lambda model, optimiser, source, decoder_input, wanted, rate: 0.0, "smoothing=0.1"),
}


def with_set_to_none(model, optimiser, source, decoder_input, wanted, rate, smoothing=0.1):
    with torch.enable_grad():
        model.zero_grad(set_to_none=False)
        optimiser.param_groups[:] = [{**group, "lr": rate} for group in optimiser.param_groups]
        loss = smoothed_cross_entropy(model.train()(source, target=decoder_input), wanted, smoothing)
        torch.autograd.backward(loss)
        optimiser.step()
    return loss.detach().cpu().numpy()[()]


def with_a_scheduler(model, optimiser, source, decoder_input, wanted, rate, smoothing=0.1):
    for group in optimiser.param_groups:
        group["initial_lr"] = 1.0
    torch.optim.lr_scheduler.LambdaLR(optimiser, lambda _: rate)
    return update(rate=None)(model, optimiser, source, decoder_input, wanted, rate, smoothing)


class Trainer:
    @staticmethod
    def step(model, optimiser, source, decoder_input, wanted, rate, smoothing=0.1, clip=None):
        return training_step(model, optimiser, source, decoder_input, wanted, rate, smoothing)


def rate_put_back(model, optimiser, source, decoder_input, wanted, rate, smoothing=0.1):
    before = [group["lr"] for group in optimiser.param_groups]
    loss = training_step(model, optimiser, source, decoder_input, wanted, rate, smoothing)
    for group, lr in zip(optimiser.param_groups, before, strict=True):
        group["lr"] = lr
    return loss


RIGHT_7_3 = {
    "numbers of numpy": with_set_to_none,
    "a scheduler": with_a_scheduler,
    "a static method": Trainer.step,
    "the rate put back": rate_put_back,
    "float64 inside": update(told=lambda loss: float(loss.double())),
    "cleared twice": update("zero forward zero backward step zero"),
    "a partial": functools.partial(training_step),
    "sums over tokens": update(change=lambda loss, w: loss * (w != PADDING).sum() / (w != PADDING).sum()),
}

# 7.4 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def tokens_of(group):
    return sum(int((wanted != PADDING).sum()) for *_, wanted in group)


def accumulating(weight=lambda group, number: tokens_of(group[number : number + 1]) / max(tokens_of(group), 1),
                 groups=lambda batches, k: [batches[i : i + k] for i in range(0, len(batches) - k + 1, k)],
                 rate=lambda optimiser, value: [g.update(lr=value) for g in optimiser.param_groups],
                 number=lambda done: done + 1, mode=lambda model: model.train(), end=list, every=1,
                 context=contextlib.nullcontext):  # fmt: skip
    """A right answer with something else in its place."""

    def answer(model, optimiser, batches, accumulate, d_model, warmup):
        losses = []
        mode(model)
        for group in groups(batches, accumulate):
            optimiser.zero_grad()
            total = 0.0
            for index, (source, decoder_input, wanted) in enumerate(group):
                with context():
                    loss = smoothed_cross_entropy(model(source, decoder_input), wanted) * weight(group, index)
                if index % every == 0:
                    loss.backward()
                total += loss.item()
            rate(optimiser, paper_schedule(number(len(losses)), d_model, warmup))
            optimiser.step()
            losses.append(total)
        return end(losses)

    return answer


def so_far(group, number):
    return tokens_of(group[number : number + 1]) / max(tokens_of(group[: number + 1]), 1)


def yielded(model, optimiser, batches, accumulate, d_model, warmup):
    yield from accumulated_updates(model, optimiser, batches, accumulate, d_model, warmup)


def with_graphs(model, optimiser, batches, accumulate, d_model, warmup):
    losses = accumulated_updates(model, optimiser, batches, accumulate, d_model, warmup)
    return [loss + 0 * model.bias.sum() for loss in losses]


def mean_of_group(group, number):
    return 1 / len(group) if tokens_of(group) else 0.0


def tokens_by_shape(group, number):
    return len(group[number][2].flatten()) / max(sum(len(wanted.flatten()) for *_, wanted in group), 1)


def first_rate_everywhere(optimiser, value):
    optimiser.param_groups[0]["lr"] = value


def empty_ones_out(batches, k):
    groups = [batches[i : i + k] for i in range(0, len(batches) - k + 1, k)]
    return [group for group in groups if tokens_of(group)]


WRONG_7_4 = {
    "one group too many": (
        accumulating(groups=lambda batches, k: [batches[i * k : i * k + k] for i in range(len(batches) // k + 1)]), None
    ),
    "the rest at the beginning": (
        accumulating(groups=lambda b, k: [b[i : i + k] for i in range(len(b) % k, len(b), k)]), "left over"
    ),
    "overlapping groups": (
        accumulating(groups=lambda b, k: [b[i : i + k] for i in range(len(b) - k + 1)]), None
    ),
    "shares of the tokens so far": (accumulating(so_far), None),
    "equal shares": (accumulating(mean_of_group), "same weight"),
    "shares by shape": (accumulating(tokens_by_shape), "count padding"),
    "the first parameter group's rate": (accumulating(rate=first_rate_everywhere), "first parameter group"),
    "the rate as an attribute": (
        accumulating(rate=lambda optimiser, value: setattr(optimiser, "lr", value)), "param_groups"
    ),
    "evaluation mode": (accumulating(mode=lambda model: model.eval()), "evaluation mode"),
    "the mode left": (accumulating(mode=lambda model: None), "evaluation mode"),
    "every other batch": (accumulating(every=2), None),
    "divided by nothing": (
        accumulating(lambda group, n: tokens_of(group[n : n + 1]) / tokens_of(group)), "no real token"
    ),
    "NaN of nothing": (
        accumulating(lambda group, n: torch.tensor(tokens_of(group[n : n + 1])) / torch.tensor(tokens_of(group))),
        "no real token",
    ),
    "no update of nothing": (accumulating(groups=empty_ones_out), "leave it out"),
    "counted from 0": (accumulating(number=lambda done: done), "from 0"),
    "two ahead": (accumulating(number=lambda done: done + 2), None),
    "yielded": (yielded, "generator"),
    "graphs are returned": (with_graphs, "still hangs on the graph"),
    "one number": (accumulating(end=sum), "list"),
    "a dictionary": (accumulating(end=lambda losses: dict(enumerate(losses))), "list"),
    "texts": (accumulating(end=lambda losses: [str(loss) for loss in losses]), "str"),
    "no gradients": (accumulating(context=torch.no_grad), "RuntimeError"),
    "NaN": (accumulating(end=lambda losses: [float("nan")] * len(losses)), "nan"),
    "batch losses": (accumulating(end=lambda losses: losses * 2), "list"),
    "exponentials": (accumulating(end=lambda losses: torch.tensor(losses).exp().tolist()), None),
}  # fmt: skip


def joined(model, optimiser, batches, accumulate, d_model, warmup):
    """Iterators, and sums of tokens' losses divided by all of them."""
    losses, model = [], model.train()
    for number, group in enumerate(zip(*[iter(batches)] * accumulate, strict=False), start=1):
        model.zero_grad()
        everything = max(tokens_of(group), 1)
        each = []
        for source, decoder_input, wanted in group:
            real = wanted != PADDING
            loss = smoothed_cross_entropy(model(source, decoder_input), wanted).mul(real.sum()).div(everything)
            loss.backward()
            each.append(loss.detach())
        for parameters in optimiser.param_groups:
            parameters.update(lr=paper_schedule(number, warmup=warmup, d_model=d_model))
        optimiser.step()
        losses.append(torch.stack(each).sum().item())
    return losses


def gradients_kept_apart(model, optimiser, batches, accumulate, d_model, warmup):
    model.train()
    parameters, losses = list(model.parameters()), []
    for start in range(0, len(batches) // accumulate * accumulate, accumulate):
        group, gradients, total = batches[start : start + accumulate], [0.0] * len(parameters), 0.0
        for source, decoder_input, wanted in group:
            share = tokens_of([(wanted,)]) / max(1, tokens_of(group))
            loss = share * smoothed_cross_entropy(model(source, decoder_input), wanted)
            found = torch.autograd.grad(loss, parameters)
            gradients, total = [a + b for a, b in zip(gradients, found, strict=True)], total + float(loss)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        for options in optimiser.param_groups:
            options["lr"] = paper_schedule(len(losses) + 1, d_model, warmup)
        optimiser.step()
        losses.append(total)
    return losses


RIGHT_7_4 = {
    "iterators": joined,
    "gradients kept apart": gradients_kept_apart,
    "by parts": accumulating(),
    "tensors of one": accumulating(end=lambda losses: [torch.tensor([loss], dtype=torch.float64) for loss in losses]),
    "a partial": functools.partial(accumulated_updates),
    "training mode for each batch": accumulating(mode=lambda model: model.train(True)),
    "a keyword more": lambda model, optimiser, batches, accumulate, d_model, warmup, *, log=print: accumulated_updates(
        model, optimiser, batches, accumulate, d_model, warmup
    ),
}

WRONG = {"7.3": WRONG_7_3, "7.4": WRONG_7_4}
RIGHT = {"7.3": RIGHT_7_3, "7.4": RIGHT_7_4}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
