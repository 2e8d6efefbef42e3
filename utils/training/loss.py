"""Cross-entropy with label smoothing (§5.4), on real tokens only.

Smoothing follows Szegedy et al. (2016): the target distribution is (1 − ε) one-hot + ε / V on each of the V entries,
the right one and the padding entry included. Positions whose target is padding count for nothing. Other
implementations give the padding entry zero, or spread ε over V − 1 or V − 2 entries; the numbers differ slightly.
"""

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from utils.errors import ConfigError, ShapeError
from utils.transformer.embeddings import OutputLayer
from utils.transformer.masks import PADDING

ROWS_AT_ONCE = 256  # logits of so many tokens stay in a processor's cache


def smoothed_cross_entropy(
    logits: Tensor, targets: Tensor, smoothing: float = 0.1, padding_id: int = PADDING
) -> Tensor:
    """Mean over real tokens of −Σ_v q(v) log p(v), q = (1 − ε) one-hot + ε / V (§5.4).

    logits: (..., vocab_size); targets: (...) ids. Returns a scalar, in nats per token; zero without a real token,
    and so are its gradients then.
    """
    if logits.shape[:-1] != targets.shape:
        raise ShapeError(f"Logits of shape {tuple(logits.shape)} do not fit targets of shape {tuple(targets.shape)}.")
    check_smoothing(smoothing)
    real = targets != padding_id
    log_probabilities = logits[real].log_softmax(dim=-1)  # (tokens, vocab_size)
    right = log_probabilities.gather(1, targets[real][:, None]).squeeze(1)
    loss = -(1 - smoothing) * right - smoothing * log_probabilities.mean(dim=-1)
    return loss.sum() / real.sum().clamp(min=1)


def check_smoothing(smoothing: float) -> None:
    """Raises ConfigError unless 0 ≤ ε < 1."""
    if not 0 <= smoothing < 1:
        raise ConfigError(f"label_smoothing is {smoothing}: good values are numbers from 0 up to, not including, 1.")


class FusedOutputLoss(torch.autograd.Function):
    """Output layer, softmax and smoothed cross-entropy in one: the sum of `smoothed_cross_entropy` over tokens.

    The gradient of the logits is softmax − q, so it is had at once while the logits are in the cache, and no
    (tokens, vocab_size) tensor is ever kept.
    """

    @staticmethod
    def forward(ctx, states: Tensor, weight: Tensor, targets: Tensor, smoothing: float) -> Tensor:
        """states: (tokens, d_model); weight: (vocab_size, d_model); targets: (tokens,). Returns a scalar.

        Exponentials are never divided by their sum Z: 1 / Z scales the thinner side of each product instead. Nor is
        ε / V taken from each of them: its share of the loss and of both gradients has a closed form.
        """
        with_gradient = any(ctx.needs_input_grad[:2])
        share = smoothing / weight.size(0)
        weight_sum, states_sum = weight.sum(0), states.sum(0)
        states_gradient = torch.empty_like(states)
        weight_gradient = torch.zeros_like(weight)
        total = -share * (states_sum.double() @ weight_sum.double())
        for start in range(0, states.size(0), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            logits, target = states[part] @ weight.T, targets[part, None]  # (rows, vocab_size), (rows, 1)
            logits -= (highest := logits.amax(dim=-1, keepdim=True))
            right = logits.gather(1, target)
            exponentials = logits.exp_()
            normaliser = exponentials.sum(dim=-1, keepdim=True)  # Z: (rows, 1)
            total += (normaliser.log() + smoothing * highest - (1 - smoothing) * right).sum()
            if with_gradient:
                exponentials.scatter_add_(1, target, (smoothing - 1) * normaliser)
                torch.mm(exponentials, weight, out=states_gradient[part]).div_(normaliser).sub_(share * weight_sum)
                weight_gradient.addmm_(exponentials.T, states[part] / normaliser)
        ctx.save_for_backward(states_gradient, weight_gradient.sub_(share * states_sum))
        return total.to(states.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx, scale: Tensor) -> tuple[Tensor, Tensor, None, None]:
        states_gradient, weight_gradient = ctx.saved_tensors
        return states_gradient * scale, weight_gradient * scale, None, None


def summed_loss(
    model: nn.Module, source: Tensor, target_input: Tensor, target_output: Tensor, smoothing: float
) -> Tensor:
    """The smoothed loss of a model with `states` and `output`, summed over the batch's real tokens."""
    states = model.states(source, target_input)
    real = target_output != PADDING
    states, targets = states[real], target_output[real]  # (tokens, d_model), (tokens,)
    linear = isinstance(model.output, OutputLayer | nn.Linear) and getattr(model.output, "bias", None) is None
    if states.device.type == "cpu" and linear:  # a learner's own output layer is called, whatever it does
        return FusedOutputLoss.apply(states, model.output.weight, targets, smoothing)
    logits = model.output(states).float()
    return nn.functional.cross_entropy(logits, targets, label_smoothing=smoothing, reduction="sum")
