"""Chapter 07's reference answers that the model itself has no use for: its trainer does the same with more around it
(several processes, mixed precision, checkpoints), and a test compares the weights that come out.
"""

from torch import Tensor, nn
from torch.optim import Optimizer

from utils.training.loss import smoothed_cross_entropy
from utils.training.schedule import paper_schedule
from utils.transformer.masks import PADDING


def training_step(
    model: nn.Module, optimiser: Optimizer, source: Tensor, decoder_input: Tensor, wanted: Tensor, rate: float,
    smoothing: float = 0.1,
) -> float:  # fmt: skip
    """One update of the weights from one batch, in training mode, with the learning rate `rate` (§5.1, §5.3).

    model(source, decoder_input) gives logits (batch, target_len, vocab_size); wanted: (batch, target_len) ids.
    Gradients that were left over play no part. Returns the smoothed loss before the update, a number.
    """
    model.train()
    for group in optimiser.param_groups:
        group["lr"] = rate
    loss = smoothed_cross_entropy(model(source, decoder_input), wanted, smoothing)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.item()


def accumulated_updates(
    model: nn.Module, optimiser: Optimizer, batches: list[tuple[Tensor, Tensor, Tensor]], accumulate: int,
    d_model: int, warmup: int,
) -> list[float]:  # fmt: skip
    """One update for every `accumulate` batches, as if these were one large batch; ε = 0.1 (§5.1, §5.3).

    batches: (source, decoder_input, wanted) each, all read in training mode. Updates are counted from 1, and Eq. 3
    gives each its rate. Batches left over at the end make no update. A group without a real token makes one like any
    other, with zero as loss and gradient. Returns a list: of each update the mean loss of its real tokens, a number.
    """
    model.train()
    losses = []
    for start in range(0, len(batches) - accumulate + 1, accumulate):
        group = batches[start : start + accumulate]
        all_tokens = sum(int((wanted != PADDING).sum()) for _, _, wanted in group)
        optimiser.zero_grad()
        losses.append(0.0)
        for source, decoder_input, wanted in group:
            share = int((wanted != PADDING).sum()) / max(all_tokens, 1)
            loss = share * smoothed_cross_entropy(model(source, decoder_input), wanted)
            loss.backward()  # adds to the gradients, and lets go of this batch's graph
            losses[-1] += loss.item()
        for parameters in optimiser.param_groups:
            parameters["lr"] = paper_schedule(len(losses), d_model, warmup)
        optimiser.step()
    return losses


def early_stop(losses: list[float], patience: int) -> tuple[int, int]:
    """Which validation was the best, and after which the training ends, both counted from 0.

    It ends after `patience` validations in a row without a loss below the best so far, or with the last one.
    patience = 0: it always goes on to the last one. A loss that is NaN is never better.
    """
    best_loss, best, without_gain = float("inf"), 0, 0
    for index, loss in enumerate(losses):
        if loss < best_loss:
            best_loss, best, without_gain = loss, index, 0
        else:
            without_gain += 1
        if 0 < patience <= without_gain:
            return best, index
    return best, len(losses) - 1
