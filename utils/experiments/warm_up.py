"""An experiment of chapter 05: post-norm and pre-norm, with warm-up and without, at several learning rates.

`python -m utils.experiments.warm_up` trains the whole grid and writes assets/runs/05-warm-up.json.
"""

import json
import time
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

from utils.errors import CourseError
from utils.text.corpora import Corpus
from utils.training.origin import origin
from utils.training.prepare import corpus_of, learn_vocabulary
from utils.training.settings import Settings
from utils.training.short import train_briefly

OUT = Path(__file__).parents[2] / "assets" / "runs" / "05-warm-up.json"
NORMS, WARM_UPS, RATES, SEEDS = ("post", "pre"), (1, 80), (5e-4, 1e-3, 2e-3, 4e-3), (1, 2, 3)
# Six layers as in the paper's base model, narrow enough for a CPU. A constant rate after the warm-up, so that two runs
# differ in nothing but the first 80 updates; no clipping, which the paper does not do either.
CHANGES = dict(
    layers=6, d_model=64, d_ff=128, dropout=0.1, updates=240, batch_tokens=512, schedule="constant", cooldown=0.0,
    clip=0.0, device="cpu", precision="fp32",
)  # fmt: skip


def train_grid(
    norms: Sequence[str] = NORMS,
    warm_ups: Sequence[int] = WARM_UPS,
    rates: Sequence[float] = RATES,
    seeds: Sequence[int] = SEEDS,
    corpus: Corpus | None = None,
    report: Callable[[str], None] = print,
    **changes,
) -> list[dict]:
    """One record a run: norm, warm_up (updates; 1 is none), rate, seed, valid (the last validation loss in nats per
    token, None where the loss became infinite) and train, pairs of update and loss. `changes` are `Settings`.
    """
    settings = Settings(**{**CHANGES, **changes})
    corpus = corpus or corpus_of(settings)
    tokeniser = learn_vocabulary(settings, corpus)
    runs = []
    for seed, rate, norm, warm_up in product(seeds, rates, norms, warm_ups):
        own = {**CHANGES, **changes, "norm": norm, "warmup": warm_up, "peak": rate, "seed": seed}
        run = {"norm": norm, "warm_up": warm_up, "rate": rate, "seed": seed, "valid": None, "train": []}
        try:
            short = train_briefly(corpus, tokeniser, report=None, **own)
            run["valid"] = round(short.valid_loss, 4)
            run["train"] = [[m["update"], round(m["loss"], 3)] for m in short.metrics if m["kind"] == "train"]
        except CourseError:  # the loss was no longer finite
            pass
        runs.append(run)
        report(f"{norm:4}  warm-up {warm_up:2}  rate {rate:g}  seed {seed}: {run['valid']}")
    return runs


def recorded() -> dict:
    """The grid as it was trained for the chapter, under "runs", with command, versions, hardware and settings."""
    return json.loads(OUT.read_text(encoding="utf-8"))


def as_text(record: dict) -> str:
    """JSON with one line a run, so that a difference can be read."""
    lines = ",\n  ".join(json.dumps(run) for run in record["runs"])
    return json.dumps({**record, "runs": "@"}, indent=1, ensure_ascii=False).replace('"@"', f"[\n  {lines}\n ]") + "\n"


def main() -> None:
    """Trains the grid and writes it down with where it comes from."""
    cpu = time.process_time()
    runs = train_grid(report=lambda line: print(line, flush=True))
    came_from = {**origin(), "command": "python -m utils.experiments.warm_up", "seeds": SEEDS, "settings": CHANGES}
    record = {**came_from, "cpu_minutes": round((time.process_time() - cpu) / 60, 1), "runs": runs}
    OUT.write_text(as_text(record), encoding="utf-8")
    print(OUT)


if __name__ == "__main__":
    main()
