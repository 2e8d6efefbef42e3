"""Adam with the paper's β₂ = 0.98 and with the usual 0.999 (§5.3), on the embedded corpus.

`python -m utils.experiments.betas` trains a translator for each β₂ and each seed and writes
assets/runs/07-betas.json. Chapter 07 shows it.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from utils.experiments.smoothing import SETTINGS, scored_training, write_record
from utils.training.origin import origin

OUT = Path(__file__).parents[2] / "assets" / "runs" / "07-betas.json"
BETAS, SEEDS = (0.98, 0.999), (1, 2, 3)
CHANGES = {**SETTINGS, "updates": 600}


def betas_experiment(
    betas: Sequence[float] = BETAS, seeds: Sequence[int] = SEEDS, report: Callable = print, **changes
) -> list[dict]:
    """`scored_training` for each β₂ and each seed."""
    results = []
    for seed in seeds:
        for beta2 in betas:
            results.append({"beta2": beta2, **scored_training(seed, beta2=beta2, **{**CHANGES, **changes})})
            report(json.dumps(results[-1]))
    return results


def main() -> None:
    """Trains all and writes them down with where they come from."""
    come_from = {**origin(), "command": "python -m utils.experiments.betas", "seeds": SEEDS, "settings": CHANGES}
    write_record(OUT, come_from, betas_experiment(report=lambda line: print(line, flush=True)))


if __name__ == "__main__":
    main()
