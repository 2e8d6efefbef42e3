"""How high may the learning rate rise, and how fast (§5.3, Eq. 3)? Post-norm, as in the paper, six layers.

`python -m utils.experiments.peaks` trains a grid of peaks and warm-ups, three seeds each, and writes
assets/runs/07-peaks.json. Chapter 07 shows it; the model is that of chapter 05's experiment on warm-up.
"""

import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import product
from pathlib import Path

from utils.errors import CourseError
from utils.experiments.smoothing import data, write_record
from utils.training.origin import origin
from utils.training.short import train_briefly

OUT = Path(__file__).parents[2] / "assets" / "runs" / "07-peaks.json"
PEAKS, WARM_UPS, SEEDS = (1e-3, 2e-3, 4e-3), (20, 160), (1, 2, 3)
# Chapter 05's model and batches; after the warm-up the rate falls as Eq. 3 says, with the root of the update.
CHANGES = dict(
    layers=6, d_model=64, d_ff=128, dropout=0.1, norm="post", updates=240, batch_tokens=512, schedule="inverse-sqrt",
    cooldown=0.0, clip=0.0, device="cpu", precision="fp32",
)  # fmt: skip


def peaks_experiment(
    peaks: Sequence[float] = PEAKS,
    warm_ups: Sequence[int] = WARM_UPS,
    seeds: Sequence[int] = SEEDS,
    report: Callable = print,
    **changes,
) -> list[dict]:
    """One record a run: peak, warm_up, seed, valid (nats per word after the last update; None where the loss was no
    longer finite) and cpu_seconds. `changes` are fields of `Settings`.
    """
    corpus, tokeniser = data()
    results = []
    for seed, peak, warm_up in product(seeds, peaks, warm_ups):
        own = {**CHANGES, **changes, "peak": peak, "warmup": warm_up, "seed": seed}
        start, valid = time.process_time(), None
        with suppress(CourseError):  # the loss was no longer finite
            valid = round(train_briefly(corpus, tokeniser, report=None, **own).valid_loss, 4)
        seconds = round(time.process_time() - start, 1)
        results.append({"peak": peak, "warm_up": warm_up, "seed": seed, "valid": valid, "cpu_seconds": seconds})
        report(json.dumps(results[-1]))
    return results


def main() -> None:
    """Trains the grid and writes it down with where it comes from."""
    come_from = {**origin(), "command": "python -m utils.experiments.peaks", "seeds": SEEDS, "settings": CHANGES}
    write_record(OUT, come_from, peaks_experiment(report=lambda line: print(line, flush=True)))


if __name__ == "__main__":
    main()
