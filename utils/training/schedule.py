"""Learning rates as plain functions of the update number, so that a resumed run needs no other state (§5.3)."""

import math

from utils.errors import ConfigError

SCHEDULES = ("paper", "constant", "inverse-sqrt", "cosine")


def paper_schedule(update: int, d_model: int, warmup: int = 4000) -> float:
    """d_model^−0.5 · min(update^−0.5, update · warmup^−1.5), updates counted from 1 (§5.3, Eq. 3)."""
    update = max(update, 1)
    return d_model**-0.5 * min(update**-0.5, update * warmup**-1.5)


def learning_rate(
    update: int,
    kind: str = "paper",
    peak: float | None = None,
    warmup: int = 4000,
    updates: int | None = None,
    cooldown: float = 0.0,
    d_model: int = 512,
) -> float:
    """The rate for an update (from 1): linear warm-up to the peak, then the decline that `kind` names.

    peak: the rate at the end of the warm-up; without it Eq. 3's own, (d_model · warmup)^−0.5.
    cooldown: the share of all `updates` at the end over which the rate falls linearly to (nearly) zero.
    """
    if kind not in SCHEDULES:
        raise ConfigError(f"schedule is {kind!r}: good values are {', '.join(SCHEDULES)}.")
    if warmup < 1:
        raise ConfigError(f"warmup is {warmup}: good values are whole numbers from 1.")
    update = max(update, 1)
    highest = peak if peak is not None else (d_model * warmup) ** -0.5
    if update <= warmup:
        rate = highest * update / warmup
    elif kind == "constant":
        rate = highest
    elif kind == "cosine":
        if updates is None:
            raise ConfigError("schedule 'cosine' needs to know the number of updates: set updates.")
        rate = highest * (1 + math.cos(math.pi * min(1.0, (update - warmup) / max(1, updates - warmup)))) / 2
    else:  # "paper" and "inverse-sqrt" fall alike; they differ in what the peak is by default
        rate = highest * math.sqrt(warmup / update)
    if updates is not None and cooldown > 0:
        rate *= min(1.0, (updates - update + 1) / (cooldown * updates))
    return max(rate, 0.0)
