"""How many words does a vocabulary leave unknown, and how long does it make a text? Words against byte-pair encoding.

    python -m utils.experiments.vocabularies --out assets/runs/01-vocabularies.json

learns vocabularies of several sizes from the training sentences of Multi30k, measures them on its test sentences
(one minute on a CPU; the corpus is downloaded, or read from MULTI30K_DIR) and writes what came of it. Chapter 01
shows it.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from utils.text.corpora import load_corpus
from utils.text.coverage import coverage_by_size, rank_counts
from utils.text.tokenise import split_words
from utils.training.origin import origin
from utils.training.runs import write_text

SIZES = (100, 250, 500, 1000, 2000, 4000, 8000, 16_000, 32_000)


def vocabularies_experiment(sizes: Sequence[int] = SIZES, report: Callable[[str], None] = print) -> dict:
    """Multi30k under word and BPE vocabularies of several sizes: learnt on train, measured on test."""
    splits = load_corpus("multi30k").splits
    train, test = ([sentence for pair in splits[name] for sentence in pair] for name in ("train", "test"))
    counts = rank_counts(train)
    ranks = sorted({round(10 ** (step / 8)) for step in range(8 * 5)} & set(range(1, len(counts) + 1)))
    results: dict = {
        "train": {"sentences": len(train), "words": sum(counts), "different_words": len(counts),
                  "words_seen_once": counts.count(1)},
        "test": {"sentences": len(test), "words": sum(len(split_words(sentence)) for sentence in test)},
        "rank_counts": [[rank, counts[rank - 1]] for rank in ranks],
    }  # fmt: skip
    for kind in ("words", "bpe"):
        measured = coverage_by_size(kind, train, test, sizes)
        results[kind] = [{"asked_for": size, **asdict(found)} for size, found in measured]
        report(f"{kind}: {len(measured)} vocabularies measured")
    return results


def main() -> None:
    """The command line."""
    module = "utils.experiments.vocabularies"
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="the JSON file to write")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="entries of the vocabularies")
    asked = parser.parse_args()
    # Where it comes from is written down before the work: the commit may change meanwhile.
    come_from = {**origin(), "command": shlex.join(["python", "-m", module, *sys.argv[1:]]), "seed": None}
    settings = {"corpus": "multi30k", "sizes": list(asked.sizes)}
    record = {**come_from, "settings": settings, "results": vocabularies_experiment(asked.sizes)}
    write_text(asked.out, json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
