"""Does the start of the embedding's table matter after training? Five starts, three seeds each.

    python -m utils.experiments.starts --out assets/runs/01-scale.json

trains a small translator with each start and each seed on the embedded corpus (15 minutes on a CPU) and writes its
validation loss before and after. Chapter 01 shows it.
"""

import argparse
import json
import math
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import nn

from utils.text.batches import TokenBatches
from utils.text.corpora import Corpus
from utils.text.tokenise import Tokeniser
from utils.training.origin import origin
from utils.training.prepare import corpus_of, learn_vocabulary
from utils.training.runs import build_model, write_text
from utils.training.settings import Settings
from utils.training.short import train_briefly
from utils.training.trainer import corpus_loss
from utils.transformer import FUSED, Parts, TokenEmbedding

SEEDS = (1, 2, 3)
SETTINGS = {"updates": 600, "d_model": 128, "d_ff": 256, "warmup": 100, "peak": 4e-3}
STARTS = (
    "N(0, 1/d_model), then times √d_model",
    "N(0, 1/d_model), then as it is",
    "Xavier, then times √d_model",
    "N(0, 1), then times √d_model",
    "N(0, 1), then as it is",
)


class OtherStart(TokenEmbedding):
    """A token embedding whose table starts otherwise, or that does not multiply; `start` is one of STARTS."""

    def __init__(self, vocab_size: int, d_model: int, start: str) -> None:
        super().__init__(vocab_size, d_model)
        drawn, _, used = start.partition(", then ")
        if drawn == "N(0, 1)":
            nn.init.normal_(self.weight)
        elif drawn == "Xavier":
            nn.init.xavier_uniform_(self.weight)
        if used == "as it is":
            self.scale = 1.0


def starts_experiment(
    starts: Sequence[str] = STARTS, seeds: Sequence[int] = SEEDS, report: Callable[[str], None] = print, **changes
) -> dict:
    """The same short training with each start of the table and each seed; `changes` are put over SETTINGS.

    Returns the runs with their losses in nats a token, and what even guessing costs.
    """
    given = {**SETTINGS, **changes}
    settings, runs = Settings(**given), []
    corpus = corpus_of(settings)
    tokeniser = learn_vocabulary(settings, corpus)
    for start in starts:
        parts = replace(FUSED, embedding=partial(OtherStart, start=start))
        for seed in seeds:
            before = loss_before(replace(settings, seed=seed), corpus, tokeniser, parts)
            after = train_briefly(corpus, tokeniser, parts, report=None, seed=seed, **given).valid_loss
            runs.append({"start": start, "seed": seed, "loss_before": before, "loss_after": after})
            report(f"{start}, seed {seed}: {before:.2f} before, {after:.3f} after")
    return {"runs": runs, "vocab_size": tokeniser.vocab_size, "chance": math.log(tokeniser.vocab_size)}


def loss_before(settings: Settings, corpus: Corpus, tokeniser: Tokeniser, parts: Parts) -> float:
    """Validation loss of the untrained model, as the trainer draws it."""
    torch.manual_seed(settings.seed)
    model = build_model(settings, tokeniser.vocab_size, parts).eval()
    batches = TokenBatches(corpus.split("valid"), tokeniser, settings.batch_tokens)
    return corpus_loss(model, batches, torch.device("cpu"))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m utils.experiments.starts", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="the JSON file to write")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--updates", type=int, default=SETTINGS["updates"])
    asked = parser.parse_args()
    settings = Settings(**{**SETTINGS, "updates": asked.updates}).to_dict()
    given = {name: value for name, value in settings.items() if value is not None and name != "seed"}
    command = shlex.join(["python", "-m", "utils.experiments.starts", *sys.argv[1:]])
    come_from = {**origin(), "command": command}  # before the work: the commit may change meanwhile
    results = starts_experiment(seeds=asked.seeds, updates=asked.updates)
    record = {**come_from, "seed": list(asked.seeds), "settings": given, "results": results}
    write_text(asked.out, json.dumps(record, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
