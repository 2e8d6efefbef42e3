"""What goes wrong in an update (7.3), and what puts it right."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from utils.exercises.declare import Misconception
from utils.training.loss import smoothed_cross_entropy


@dataclass(frozen=True)
class Step:
    """An answer to 7.3; the defaults make it right."""

    mode: bool | None = True  # what train() gets; None: the mode stays
    groups: int | None = None  # how many parameter groups get the rate
    order: tuple[str, ...] = ("zero", "backward", "step")
    smoothing: float | None = None  # in place of the argument
    reduce: Callable = lambda loss, wanted: loss
    told: Callable = lambda before, after: before
    read: Callable = lambda source, decoder_input, wanted: (source, decoder_input)
    said: Callable = lambda decoder_input, wanted: wanted
    late: bool = False  # the rate is set after the step

    def __call__(
        self, model: nn.Module, optimiser: Optimizer, source: Tensor, decoder_input: Tensor, wanted: Tensor,
        rate: float, smoothing: float = 0.1,
    ) -> float:  # fmt: skip
        """One update, in this way."""
        if self.mode is not None:
            model.train(self.mode)
        for group in optimiser.param_groups[: 0 if self.late else self.groups]:
            group["lr"] = rate
        epsilon = smoothing if self.smoothing is None else self.smoothing
        read, said = self.read(source, decoder_input, wanted), self.said(decoder_input, wanted)
        loss = self.reduce(smoothed_cross_entropy(model(*read), said, epsilon), wanted)
        for act in self.order:
            {"zero": optimiser.zero_grad, "backward": loss.backward, "step": optimiser.step}[act]()
        for group in optimiser.param_groups if self.late else ():
            group["lr"] = rate
        if self.told(0, 1):
            with torch.no_grad():
                return smoothed_cross_entropy(model(*read), said, epsilon).item()
        return loss.item()


def own_optimiser(
    model: nn.Module, optimiser: Optimizer, source: Tensor, decoder_input: Tensor, wanted: Tensor, rate: float,
    smoothing: float = 0.1,
) -> float:  # fmt: skip
    fresh = type(optimiser)(model.parameters(), **{**optimiser.defaults, "lr": rate})
    return Step()(model, fresh, source, decoder_input, wanted, rate, smoothing)


def plain_descent(
    model: nn.Module, optimiser: Optimizer, source: Tensor, decoder_input: Tensor, wanted: Tensor, rate: float,
    smoothing: float = 0.1,
) -> float:  # fmt: skip
    loss = Step(order=("zero", "backward"))(model, optimiser, source, decoder_input, wanted, rate, smoothing)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter -= rate * parameter.grad
    return loss


def step_first(
    model: nn.Module, optimiser: Optimizer, source: Tensor, decoder_input: Tensor, wanted: Tensor, rate: float,
    smoothing: float = 0.1,
) -> float:  # fmt: skip
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.step()
    return Step(order=("zero", "backward"))(model, optimiser, source, decoder_input, wanted, rate, smoothing)


STEPS = (
    Misconception(
        "gradients pile up",
        Step(order=("backward", "step")),
        "`backward()` adds to the gradients that are there already, and nobody clears them: each update also repeats "
        "all earlier ones. `optimiser.zero_grad()` belongs before it.",
    ),
    Misconception(
        "cleared afterwards",
        Step(order=("backward", "step", "zero")),
        "Right as long as nobody has left gradients in the model. You clear them after the step, so those that lie "
        "there before your first update take part in it: `zero_grad()` belongs before `backward()`.",
    ),
    Misconception(
        "the weights stay",
        Step(order=("backward", "zero", "step")),
        "The weights stay as they are. Either `step()` of the optimiser that was handed over is missing, or it finds "
        "no gradients: they are cleared between `backward()` and `step()`, or `backward()` comes later or for another "
        "model than the one handed over. The order is zero_grad, backward, step.",
    ),
    Misconception(
        "a step before the gradients",
        step_first,
        "You take the step before `backward()`, so with the gradients that were there before: none at first, and later "
        "those of the batch before. The order is zero_grad, backward, step.",
    ),
    Misconception(
        "the rate comes too late",
        Step(late=True),
        "You set the rate after the step, so it counts for the next update only: first the rate, then "
        "`optimiser.step()`.",
    ),
    Misconception(
        "source and decoder input exchanged",
        Step(read=lambda source, decoder_input, wanted: (decoder_input, source)),
        "You hand the model its two inputs in the wrong order: `model(source, decoder_input)`.",
    ),
    Misconception(
        "compared with its own input",
        Step(said=lambda decoder_input, wanted: decoder_input),
        "You compare the logits with `decoder_input`, what the model reads. At each position it is to say the next "
        "token: compare with `wanted`.",
    ),
    Misconception(
        "two steps",
        Step(order=("zero", "backward", "step", "step")),
        "Your steps are twice as long as they should be: you call `optimiser.step()` twice, or `backward()` twice, "
        "which adds the same gradient once more.",
    ),
    Misconception(
        "the mode left as it was",
        Step(mode=None),
        "A model that comes from translating is in evaluation mode, and you train it in that mode, without dropout: "
        "`model.train()` at the beginning.",
    ),
    Misconception(
        "evaluation mode",
        Step(mode=False),
        "You switch the model to evaluation mode, so nothing is dropped. It is trained in training mode: "
        "`model.train()`.",
    ),
    Misconception(
        "the rate is ignored",
        Step(groups=0),
        "The optimiser keeps the learning rate that it came with: for each group in `optimiser.param_groups` set "
        "`group['lr'] = rate`, before the step.",
    ),
    Misconception(
        "only the first group",
        Step(groups=1),
        "You set the rate of the first parameter group only. An optimiser may have several: loop over "
        "`optimiser.param_groups`.",
        everywhere=True,
    ),
    Misconception(
        "always 0.1",
        Step(smoothing=0.1),
        "You smooth with 0.1, whatever `smoothing` says: hand it on to the loss.",
    ),
    Misconception(
        "not smoothed",
        Step(smoothing=0.0),
        "You train on the plain cross-entropy: hand `smoothing` on to the loss.",
    ),
    Misconception(
        "the input for the target",
        Step(read=lambda source, decoder_input, wanted: (source, wanted)),
        "You let the model read `wanted`, the very tokens that it has to say. It reads `decoder_input`.",
    ),
    Misconception(
        "an optimiser of its own",
        own_optimiser,
        "You make a new optimiser for each update. What Adam and momentum remember of earlier gradients is lost with "
        "the old one: use the optimiser that is handed over.",
    ),
    Misconception(
        "descent by hand",
        plain_descent,
        "You subtract rate · gradient yourself. How a gradient becomes a step is the optimiser's affair, and Adam does "
        "something else: `optimiser.step()`.",
    ),
    Misconception(
        "the loss afterwards",
        Step(told=lambda before, after: after),
        "The weights are right, but you return the loss after the update. Asked for is the one that you computed "
        "before it; a second forward pass costs time and draws other dropout.",
    ),
)
