"""What goes wrong in accumulating gradients (7.4), and what puts it right."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from utils.exercises.chapter_07.wrong_steps import Step
from utils.exercises.declare import Misconception
from utils.training.loss import smoothed_cross_entropy
from utils.training.schedule import paper_schedule
from utils.transformer.masks import PADDING


def real_tokens(source: Tensor, wanted: Tensor) -> int:
    return int((wanted != PADDING).sum())


@dataclass(frozen=True)
class Accumulation:
    """An answer to 7.4; the defaults make it right."""

    share: Callable = lambda size, all_sizes, count: size / max(all_sizes, 1)
    size: Callable = real_tokens  # of a batch, from its source and what is wanted
    number: Callable = lambda updates, batches: updates + 1  # which update the schedule is asked for
    zero_at: str = "group"  # or "batch", "never"
    step_at: str = "group"  # or "batch"
    rate: Callable = paper_schedule
    rate_at: str = "before"  # the step, or "after", "never"
    groups: int | None = None  # how many parameter groups get the rate
    smoothing: float = 0.1
    more: int = 1  # how far beyond len(batches) - accumulate a group may begin
    mode: bool = True
    together: bool = False
    told: Callable | None = None  # what is said of an update, from its batches' mean losses
    told_by_tokens: bool = False  # the right loss is said, whatever the gradients are of

    def __call__(
        self, model: nn.Module, optimiser: Optimizer, batches: list, accumulate: int, d_model: int, warmup: int
    ) -> list[float]:
        """All updates, in this way."""
        model.train(self.mode)
        losses: list[float] = []
        for start in range(0, min(len(batches), len(batches) - accumulate + self.more), accumulate):
            group = batches[start : start + accumulate]
            if self.zero_at == "group":
                optimiser.zero_grad()
            losses.append(self._one(model, optimiser, group, (len(losses), start), d_model, warmup))
        return losses

    def _one(self, model: nn.Module, optimiser: Optimizer, group: list, done: tuple, d_model: int, warmup: int):
        sizes = [self.size(source, wanted) for source, _, wanted in group]
        parts, means = [], []
        for number, (source, decoder_input, wanted) in enumerate(group):
            if self.zero_at == "batch":
                optimiser.zero_grad()
            share = self.share(sizes[number], sum(sizes), len(group))
            mean = smoothed_cross_entropy(model(source, decoder_input), wanted, self.smoothing)
            means.append(mean.item())
            parts.append(share * mean)
            if not self.together:
                parts[-1].backward()
            if self.step_at == "batch" or number == len(group) - 1:
                if self.together:
                    sum(parts).backward()
                self._step(optimiser, self.rate(self.number(done[0], done[1] + number + 1), d_model, warmup))
        if self.told_by_tokens:
            return sum(mean * size for mean, size in zip(means, sizes, strict=True)) / max(sum(sizes), 1)
        return sum(part.item() for part in parts) if self.told is None else self.told(means)

    def _step(self, optimiser: Optimizer, rate: float) -> None:
        acts = {"before": (True, False), "after": (False, True), "never": (False, False)}[self.rate_at]
        for index, sets in enumerate(acts):
            for parameters in optimiser.param_groups[: self.groups] if sets else ():
                parameters["lr"] = rate
            if index == 0:
                optimiser.step()


def each_batch_an_update(
    model: nn.Module, optimiser: Optimizer, batches: list, accumulate: int, d_model: int, warmup: int
) -> list[float]:
    return Accumulation()(model, optimiser, batches, 1, d_model, warmup)


def step_for_each_batch(
    model: nn.Module, optimiser: Optimizer, batches: list, accumulate: int, d_model: int, warmup: int
) -> list[float]:
    losses = []
    for start in range(0, len(batches) - accumulate + 1, accumulate):
        rate = paper_schedule(len(losses) + 1, d_model, warmup)
        group = batches[start : start + accumulate]
        sizes = [real_tokens(source, wanted) for source, _, wanted in group]
        means = [Step()(model, optimiser, *one, rate) for one in group]
        losses.append(sum(mean * size for mean, size in zip(means, sizes, strict=True)) / max(sum(sizes), 1))
    return losses


def over_all_batches(
    model: nn.Module, optimiser: Optimizer, batches: list, accumulate: int, d_model: int, warmup: int
) -> list[float]:
    everything = sum(real_tokens(source, wanted) for source, _, wanted in batches)
    answer = Accumulation(share=lambda size, all_sizes, count: size / everything)
    return answer(model, optimiser, batches, accumulate, d_model, warmup)


def without_empty_groups(
    model: nn.Module, optimiser: Optimizer, batches: list, accumulate: int, d_model: int, warmup: int
) -> list[float]:
    kept = []
    for start in range(0, len(batches) - accumulate + 1, accumulate):
        group = batches[start : start + accumulate]
        kept += group if any(real_tokens(source, wanted) for source, _, wanted in group) else []
    return Accumulation()(model, optimiser, kept, accumulate, d_model, warmup)


def accumulated_with_a_new_optimiser(
    model: nn.Module, optimiser: Optimizer, batches: list, accumulate: int, d_model: int, warmup: int
) -> list[float]:
    fresh = type(optimiser)(model.parameters(), **optimiser.defaults)
    return Accumulation()(model, fresh, batches, accumulate, d_model, warmup)


RIGHT = Accumulation()
ACCUMULATIONS = (
    Misconception(
        "mean of the batches' means",
        replace(RIGHT, share=lambda size, all_sizes, count: 1 / count),
        "You give every batch the same weight, 1 / accumulate. Its loss is a mean over its own tokens, so a token of a "
        "small batch then weighs more. A batch's share is its real tokens / those of the whole group.",
    ),
    Misconception(
        "not divided",
        replace(RIGHT, share=lambda size, all_sizes, count: 1.0),
        "You add up the batches' mean losses without weights: the gradient is as many times too large as there are "
        "batches in a group. A batch's share is its real tokens / those of the whole group.",
    ),
    Misconception(
        "the schedule counts batches",
        replace(RIGHT, number=lambda updates, batches: batches),
        "You ask Eq. 3 with the number of the batch. It counts updates: with 4 batches an update, the warm-up would be "
        "over after a quarter of its updates.",
    ),
    Misconception(
        "updates counted from 0",
        replace(RIGHT, number=lambda updates, batches: updates),
        "You count updates from 0, so the first and the second get the same rate and all later ones that of the one "
        "before. The first update has the number 1.",
    ),
    Misconception(
        "a step for each batch",
        replace(RIGHT, step_at="batch"),
        "You take a step after every batch. The weights may move only when all batches of the group have added their "
        "gradients.",
    ),
    Misconception(
        "each batch an update",
        each_batch_an_update,
        "You make an update of every batch, whatever `accumulate` says.",
    ),
    Misconception(
        "cleared before each batch",
        replace(RIGHT, zero_at="batch"),
        "You clear the gradients before every batch, so only the last one of each group counts. `zero_grad()` belongs "
        "before the first batch of a group.",
    ),
    Misconception(
        "never cleared",
        replace(RIGHT, zero_at="never"),
        "The gradients of earlier updates are still there when the next group adds its own: `optimiser.zero_grad()` "
        "once for each group.",
    ),
    Misconception(
        "sums that nobody divides",
        replace(RIGHT, share=lambda size, all_sizes, count: size),
        "You multiply each batch's mean by its real tokens, which gives sums over tokens, and never divide: do so by "
        "the real tokens of the whole group.",
    ),
    Misconception(
        "7.3 for each batch",
        step_for_each_batch,
        "You make a whole update of every batch of the group, with zero_grad and step, as in Exercise 7.3. A group "
        "makes one update: clear once, `backward()` for each batch, one step.",
    ),
    Misconception(
        "no weights, and the weighted loss told",
        replace(RIGHT, share=lambda size, all_sizes, count: 1.0, told_by_tokens=True),
        "The loss that you return is right, the gradient is not: you add up the batches' mean losses without weights. "
        "Each has to be multiplied by its share, real tokens / those of the whole group, before `backward()`.",
    ),
    Misconception(
        "alike, and the weighted loss told",
        replace(RIGHT, share=lambda size, all_sizes, count: 1 / count, told_by_tokens=True),
        "The loss that you return is right, the gradient is not: there every batch has the weight 1 / accumulate. Each "
        "has to be multiplied by its share, real tokens / those of the whole group, before `backward()`.",
    ),
    Misconception(
        "no weights, and the mean of means told",
        replace(RIGHT, share=lambda size, all_sizes, count: 1.0, told=lambda means: sum(means) / len(means)),
        "You add up the gradients of the batches' mean losses without weights, and return a mean of means. Each "
        "batch's loss has to be multiplied by its share, real tokens / those of the whole group, before `backward()`; "
        "the sum of these products is the loss to return.",
    ),
    Misconception(
        "left-over batches make an update",
        replace(RIGHT, more=10**9),
        "You make an update of the batches that are left over at the end. They are fewer than `accumulate`, so their "
        "gradient is noisier than the rate was chosen for; here they make none.",
    ),
    Misconception(
        "one backward for all",
        replace(RIGHT, together=True),
        "You add up the losses and call `backward()` once at the end. The numbers are right, but all the batches' "
        "graphs lie in memory together, and saving that memory is what accumulation is for: call it for each batch.",
    ),
    Misconception(
        "divided by no token",
        replace(RIGHT, share=lambda size, all_sizes, count: size / all_sizes),
        "Right, but where a group has no real token: you divide by 0. Its loss and its gradient are zero: divide by "
        "`max(tokens, 1)`.",
    ),
    Misconception(
        "divided by no token, in tensors",
        replace(RIGHT, share=lambda size, all_sizes, count: torch.tensor(size) / torch.tensor(all_sizes)),
        "Right, but where a group has no real token: 0 / 0 is NaN in tensors, and NaN spreads to all weights. Its loss "
        "and its gradient are zero: divide by `tokens.clamp(min=1)`.",
    ),
    Misconception(
        "no update without a real token",
        without_empty_groups,
        "Right, but where a group has no real token: you leave it out. It makes an update like any other, with a loss "
        "of zero, and counts in the schedule.",
    ),
    Misconception(
        "the rate of the first group only",
        replace(RIGHT, groups=1),
        "You set the rate of the optimiser's first parameter group only. It may have several: loop over "
        "`optimiser.param_groups`.",
        everywhere=True,
    ),
    Misconception(
        "evaluation mode",
        replace(RIGHT, mode=False),
        "You train in evaluation mode, without dropout: `model.train()`.",
    ),
    Misconception(
        "by sentences",
        replace(RIGHT, size=lambda source, wanted: len(wanted)),
        "You weigh the batches by their numbers of sentences. Each loss is a mean over tokens, so what counts is how "
        "many real tokens a batch wants: `(wanted != PADDING).sum()`.",
    ),
    Misconception(
        "padding counts",
        replace(RIGHT, size=lambda source, wanted: wanted.numel()),
        "You count padding among a batch's tokens. The loss leaves it out, so the share has to as well: "
        "`(wanted != PADDING).sum()`.",
    ),
    Misconception(
        "the source's tokens",
        replace(RIGHT, size=lambda source, wanted: int((source != PADDING).sum())),
        "You weigh the batches by the tokens of their sources. The loss is a mean over the real tokens of `wanted`.",
    ),
    Misconception(
        "over all batches",
        over_all_batches,
        "You divide by the tokens of all batches. An update knows its own group only: divide by the group's tokens.",
    ),
    Misconception(
        "divided twice",
        replace(RIGHT, share=lambda size, all_sizes, count: size / max(all_sizes, 1) / count),
        "You divide by the number of batches too. Shares by tokens add up to 1 already.",
    ),
    Misconception(
        "the rate is ignored",
        replace(RIGHT, rate_at="never"),
        "The optimiser keeps the learning rate that it came with: before each step give Eq. 3's to every group in "
        "`optimiser.param_groups`.",
    ),
    Misconception(
        "the rate comes too late",
        replace(RIGHT, rate_at="after"),
        "You set the rate after the step, so each update takes the rate of the one before: first the rate, then "
        "`optimiser.step()`.",
    ),
    Misconception(
        "one rate for all updates",
        replace(RIGHT, number=lambda updates, batches: 1),
        "Every update gets the rate of the first: ask Eq. 3 anew before each step, with the update's own number.",
    ),
    Misconception(
        "4000, whatever is asked",
        replace(RIGHT, rate=lambda update, d_model, warmup: paper_schedule(update, d_model)),
        "Your schedule takes its usual warm-up of 4000 updates: hand `warmup` on to it.",
    ),
    Misconception(
        "width and warm-up exchanged",
        replace(RIGHT, rate=lambda update, d_model, warmup: paper_schedule(update, warmup, d_model)),
        "You hand `d_model` and `warmup` to the schedule in the wrong order: update, d_model, warmup.",
    ),
    Misconception(
        "not smoothed",
        replace(RIGHT, smoothing=0.0),
        "You train on the plain cross-entropy; here ε is 0.1, the default of your loss.",
    ),
    Misconception(
        "the last group is left out",
        replace(RIGHT, more=0),
        "The last whole group makes no update. `range(0, len(batches) - accumulate, accumulate)` ends before it: its "
        "end is `len(batches) - accumulate + 1`.",
    ),
    Misconception(
        "an optimiser of its own",
        accumulated_with_a_new_optimiser,
        "You make a new optimiser. What Adam and momentum remember of earlier updates is lost with the old one: use "
        "the optimiser that is handed over.",
    ),
    Misconception(
        "the mean of means is returned",
        replace(RIGHT, told=lambda means: sum(means) / len(means)),
        "The weights are right, but the loss that you return gives every batch the same weight. Asked for is the mean "
        "over the group's real tokens: the sum of the weighted losses.",
    ),
    Misconception(
        "the sum of means is returned",
        replace(RIGHT, told=sum),
        "The weights are right, but you return the sum of the batches' mean losses. Asked for is the mean over the "
        "group's real tokens: the sum of the *weighted* losses.",
    ),
    Misconception(
        "the last batch's loss is returned",
        replace(RIGHT, told=lambda means: means[-1]),
        "The weights are right, but you return the loss of each group's last batch only. Asked for is the mean over "
        "the real tokens of the whole group.",
    ),
)
