"""How many heads at one d_model? Table 3, rows (A), on the embedded corpus.

    python -m utils.experiments.heads --out assets/runs/04-heads.json

trains a small translator for each number of heads and each seed, and writes what came of it. Chapter 04 shows it.
"""

import argparse
import json
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path

from utils.text import load_corpus
from utils.training.origin import origin
from utils.training.prepare import learn_vocabulary
from utils.training.runs import write_text
from utils.training.settings import Settings
from utils.training.short import train_briefly
from utils.translation.bleu import corpus_bleu
from utils.translation.translate import translate

HEADS, SEEDS = (1, 2, 4, 8, 16, 32), (1, 2, 3)
SETTINGS = {"updates": 1000, "d_model": 64, "d_ff": 128, "batch_tokens": 1024, "warmup": 100, "peak": 6e-3}


@cache
def data() -> tuple:
    """The embedded corpus and its vocabulary, made once a process."""
    corpus = load_corpus("embedded")
    return corpus, learn_vocabulary(Settings(), corpus)


def one_training(heads: int, seed: int, **changes) -> dict:
    """A short training with so many heads and its scores as a plain dictionary; h · d_k = d_model unless d_k is given.

    `changes` are fields of `Settings`, put over SETTINGS. Scores: valid_loss (nats per token), bleu (greedy, test
    split), exact (share of the test split that is translated to the letter); cpu_seconds are those of the training.
    """
    settings = {**SETTINGS, **changes}
    corpus, tokeniser = data()
    start = time.process_time()
    run = train_briefly(corpus, tokeniser, report=None, heads=heads, seed=seed, **settings)
    seconds = time.process_time() - start
    sources, references = zip(*corpus.split("test"), strict=True)
    output = translate(run.model, tokeniser, sources, beam=1)
    return {
        "heads": heads,
        "d_k": settings.get("d_k") or settings["d_model"] // heads,
        "seed": seed,
        "parameters": sum(parameter.numel() for parameter in run.model.parameters()),
        "valid_loss": round(run.valid_loss, 4),
        "bleu": round(corpus_bleu(output, references).score, 2),
        "exact": sum(a == b for a, b in zip(output, references, strict=True)) / len(references),
        "cpu_seconds": round(seconds, 1),
    }


def heads_experiment(
    heads: Sequence[int] = HEADS, seeds: Sequence[int] = SEEDS, jobs: int = 1, report: Callable = print, **changes
) -> list[dict]:
    """`one_training` for each number of heads and each seed, so many at a time."""
    asked = [(count, seed) for seed in seeds for count in heads]
    results = []
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for future in [pool.submit(one_training, *pair, **changes) for pair in asked]:
            results.append(future.result())
            report(json.dumps(results[-1]))
    return results


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m utils.experiments.heads", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="the JSON file to write")
    parser.add_argument("--heads", type=int, nargs="+", default=HEADS)
    parser.add_argument("--d-k", type=int, help="width of a key, in place of d_model / heads")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--updates", type=int, default=SETTINGS["updates"])
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time; with several, set OMP_NUM_THREADS=1")
    asked = parser.parse_args()
    settings = {**SETTINGS, "updates": asked.updates} | ({"d_k": asked.d_k} if asked.d_k else {})
    command = shlex.join(["python", "-m", "utils.experiments.heads", *sys.argv[1:]])
    come_from = {**origin(), "command": command}  # before the work: the commit may change meanwhile
    results = heads_experiment(asked.heads, asked.seeds, asked.jobs, **settings)
    record = {**come_from, "settings": settings, "seeds": list(asked.seeds), "results": "@"}
    lines = ",\n  ".join(json.dumps(result) for result in results)
    text = json.dumps(record, indent=1, ensure_ascii=False).replace('"@"', f"[\n  {lines}\n ]")
    write_text(asked.out, text + "\n")


if __name__ == "__main__":
    main()
