"""What goes wrong with the schedule (7.2), and what puts it right."""

import math
from collections.abc import Callable

from utils.exercises.declare import Misconception


def rate_with(formula: Callable, first: int = 1) -> Callable:
    """An answer to 7.2 with another formula(update, d_model, warmup)."""

    def answer(update: int, d_model: int, warmup: int = 4000) -> float:
        return formula(max(update, first), d_model, warmup)

    return answer


def without_guard(update: int, d_model: int, warmup: int = 4000) -> float:
    return d_model**-0.5 * min(update**-0.5, update * warmup**-1.5)


def nothing_at_zero(update: int, d_model: int, warmup: int = 4000) -> float:
    return 0.0 if update < 1 else without_guard(update, d_model, warmup)


SCHEDULES = (
    Misconception(
        "only rising",
        rate_with(lambda u, d, w: d**-0.5 * u * w**-1.5),
        "Your rate rises for ever. After `warmup` updates it falls with update^−0.5: the smaller of both terms counts.",
    ),
    Misconception(
        "the larger of both",
        rate_with(lambda u, d, w: d**-0.5 * max(u**-0.5, u * w**-1.5)),
        "You take the larger of the two; Eq. 3 takes the smaller: the rising line before update `warmup`, the falling "
        "root after it.",
    ),
    Misconception(
        "the larger of both, nothing for update 0",
        lambda update, d_model, warmup=4000: d_model**-0.5 * max(update**-0.5, update * warmup**-1.5),
        "You take the larger of the two; Eq. 3 takes the smaller: the rising line before update `warmup`, the falling "
        "root after it. (At update 0 the root's reciprocal does not exist: `max(update, 1)`.)",
        everywhere=True,
    ),
    Misconception(
        "the width on the falling term only",
        rate_with(lambda u, d, w: min(d**-0.5 * u**-0.5, u * w**-1.5)),
        "d_model^−0.5 multiplies both terms: it stands outside of the min. Yours multiplies the falling one only.",
    ),
    Misconception(
        "the width on the rising term only",
        rate_with(lambda u, d, w: min(u**-0.5, d**-0.5 * u * w**-1.5)),
        "d_model^−0.5 multiplies both terms: it stands outside of the min. Yours multiplies the rising one only.",
    ),
    Misconception(
        "1 / update",
        rate_with(lambda u, d, w: d**-0.5 * min(1 / u, u * w**-1.5)),
        "Your rate falls as 1 / update. In Eq. 3 it falls with the root: update^−0.5.",
    ),
    Misconception(
        "the width left out",
        rate_with(lambda u, d, w: min(u**-0.5, u * w**-1.5)),
        "The factor d_model^−0.5 is missing: your rate is the same for every width.",
    ),
    Misconception(
        "wider is faster",
        rate_with(lambda u, d, w: d**0.5 * min(u**-0.5, u * w**-1.5)),
        "You multiply by √d_model; Eq. 3 has d_model^−0.5, so that wider models take smaller steps.",
    ),
    Misconception(
        "divided by d_model",
        rate_with(lambda u, d, w: min(u**-0.5, u * w**-1.5) / d),
        "You divide by d_model; Eq. 3 divides by its root.",
    ),
    Misconception(
        "warmup^−0.5",
        rate_with(lambda u, d, w: d**-0.5 * min(u**-0.5, u * w**-0.5)),
        "Your exponent of `warmup` is −0.5. With −1.5 both terms are equal at update = warmup: w · w^−1.5 = w^−0.5.",
    ),
    Misconception(
        "a bracket around both",
        rate_with(lambda u, d, w: d**-0.5 * min(u**-0.5, (u * w) ** -1.5)),
        "You raise the whole product update · warmup to −1.5. In Eq. 3 the exponent belongs to `warmup` alone: "
        "`update * warmup**-1.5`.",
    ),
    Misconception(
        "only falling",
        rate_with(lambda u, d, w: d**-0.5 * u**-0.5),
        "Your rate is largest at the first update: the warm-up is missing.",
    ),
    Misconception(
        "constant after the warm-up",
        rate_with(lambda u, d, w: d**-0.5 * min(w**-0.5, u * w**-1.5)),
        "Your rate stays at its peak after the warm-up. In Eq. 3 the first term holds the update, not `warmup`: "
        "update^−0.5.",
    ),
    Misconception(
        "4000, whatever is asked",
        rate_with(lambda u, d, w: without_guard(u, d)),
        "Your warm-up is always 4000 updates long: use `warmup`.",
    ),
    Misconception(
        "counted from 0",
        lambda update, d_model, warmup=4000: without_guard(update + 1, d_model, warmup),
        "You are one update ahead: updates are counted from 1 already, so nothing is to be added.",
    ),
    Misconception(
        "no rate for update 0",
        without_guard,
        "Right from update 1 on. At 0 the root's reciprocal does not exist (0 ** −0.5 stops with an error); "
        "`max(update, 1)` gives the rate of update 1 there.",
    ),
    Misconception(
        "no root of update 0",
        lambda update, d_model, warmup=4000: min(1 / math.sqrt(update), update / warmup**1.5) / math.sqrt(d_model),
        "Right from update 1 on. At 0 you divide by the root of 0; `max(update, 1)` gives the rate of update 1 there.",
    ),
    Misconception(
        "zero at update 0",
        nothing_at_zero,
        "Right from update 1 on. At 0 asked for is the rate of update 1: `max(update, 1)`.",
    ),
)
