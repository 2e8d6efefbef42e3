"""Greedy decoding: the likeliest token at every step, for a batch of sentences at once."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from utils.errors import ConfigError, CourseError
from utils.transformer.masks import BEGIN, END, PADDING
from utils.translation.ranking import largest, without_specials

DROP_WHEN = 4  # finished sentences leave the batch once they are a quarter of it: leaving copies the whole cache


def greedy(model: nn.Module, source: Tensor, max_extra: int = 50) -> list[list[int]]:
    """source: (batch, source_len) ids ending with END, padded on the right.

    Returns for each sentence the ids up to, and without, END; at most its own source length + max_extra (§6.1).
    """
    results: list[list[int]] = [[] for _ in range(source.size(0))]
    with torch.inference_mode(), evaluating(model):
        limits = length_limits(model, source, max_extra)  # (batch,)
        running = limits.nonzero().flatten()  # (sentences,) where the rows of the stepper stand in the batch
        if running.numel() == 0:
            return results
        stepper = model.start(source[running], beams=1)
        limits = limits[running]
        tokens = torch.full_like(running, BEGIN)  # (sentences,)
        prefix = tokens.new_empty(len(tokens), 0)  # (sentences, step)
        done = torch.zeros_like(tokens, dtype=torch.bool)
        while True:
            logits = stepper.step(tokens)  # (sentences, vocab_size)
            if prefix.size(1) == 0:
                check_finite(logits)
            tokens = largest(without_specials(logits), 1)[1].squeeze(1)
            prefix = torch.cat([prefix, tokens[:, None]], dim=1)
            done |= (tokens == END) | (limits <= prefix.size(1))
            finished = int(done.sum())
            if finished * DROP_WHEN < len(done) or finished == 0:
                continue
            for sentence, ids, limit in zip(
                running[done].tolist(), prefix[done].tolist(), limits[done].tolist(), strict=True
            ):
                results[sentence] = until_end(ids[:limit])
            if finished == len(done):
                return results
            left = (~done).nonzero().flatten()
            stepper.keep(left)
            running, limits, tokens, prefix, done = (x[left] for x in (running, limits, tokens, prefix, done))


def length_limits(model: nn.Module, source: Tensor, max_extra: int) -> Tensor:
    """How many tokens each translation may have, END not counted: the source's own and max_extra more (§6.1).

    source: (batch, source_len) ids. Returns (batch,). Learned positions set a limit of their own: they know no
    position from max_len on.
    """
    if max_extra < 0:
        raise ConfigError(f"max_extra is {max_extra!r}: good values are whole numbers from 0.")
    limits = ((source != PADDING) & (source != END)).sum(dim=1) + max_extra
    if getattr(model.config, "positions", None) == "learned":
        limits = limits.clamp(max=model.config.max_len - 1)
    return limits


def check_finite(logits: Tensor) -> None:
    """Raises CourseError when the model says NaN or ∞: a search would go on with nonsense."""
    if not bool(logits.isfinite().all()):
        raise CourseError(
            "The model's scores are not finite numbers: its training has diverged or its checkpoint is damaged; "
            "go back to an earlier checkpoint."
        )


def until_end(ids: list[int]) -> list[int]:
    """The ids before the first END, or all of them."""
    return ids[: ids.index(END)] if END in ids else ids


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Switches dropout off for a while and leaves the model in the mode it was found in."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
