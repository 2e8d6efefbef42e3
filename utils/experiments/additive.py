"""Dot products or additive scores, with and without the scale: the same quality? (§3.2.1, on the embedded corpus)

    python -m utils.experiments.additive --out assets/runs/03-additive.json

trains a small translator for each kind of score, each width of a key and each seed, and writes what came of it.
Chapter 03 shows it.
"""

import argparse
import json
import math
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path

import torch
from torch import Tensor, nn

from utils.text import load_corpus
from utils.training.origin import origin
from utils.training.prepare import learn_vocabulary
from utils.training.runs import write_text
from utils.training.settings import Settings
from utils.training.short import train_briefly
from utils.transformer import FUSED
from utils.transformer.attention import MultiHeadAttention, join_heads, split_heads
from utils.translation.bleu import corpus_bleu
from utils.translation.translate import translate

SCORES, WIDTHS, SEEDS = ("scaled", "unscaled", "additive"), (64,), (1, 2, 3)
SETTINGS = {
    "updates": 600, "d_model": 64, "d_ff": 128, "layers": 2, "heads": 1, "d_v": 64, "batch_tokens": 512, "warmup": 100,
    "peak": 6e-3,
}  # fmt: skip
SENTENCES = 300  # of the test split, translated greedily


class ScoredAttention(nn.Module):
    """Multi-head attention with one of SCORES in place of Eq. 1's: q · k / √d_k, q · k, or vᵀ tanh(q + k).

    The projections that make q and k are the W and U of additive attention; only v, d_k numbers a head, comes on top.
    """

    def __init__(
        self, d_model: int, heads: int, d_k: int | None = None, d_v: int | None = None, bias: bool = True,
        score: str = "scaled",
    ) -> None:  # fmt: skip
        super().__init__()
        # Held one step down, so that no cache for decoding takes this for dot products with Eq. 1's scale.
        self.projections = MultiHeadAttention(d_model, heads, d_k, d_v, bias)
        self.kind = score
        width = self.projections.d_k
        if score == "additive":
            self.direction = nn.Parameter(torch.randn(heads, width) / math.sqrt(width))  # v of each head

    def scores(self, query: Tensor, key: Tensor) -> Tensor:
        """query: (batch, heads, target_len, d_k); key: (batch, heads, source_len, d_k).

        Returns (batch, heads, target_len, source_len).
        """
        if self.kind == "additive":
            hidden = (query.unsqueeze(-2) + key.unsqueeze(-3)).tanh()  # (batch, heads, target_len, source_len, d_k)
            return (hidden @ self.direction[:, None, :, None]).squeeze(-1)
        products = query @ key.transpose(-2, -1)
        return products / math.sqrt(query.size(-1)) if self.kind == "scaled" else products

    def forward(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Shapes as in `MultiHeadAttention.forward`."""
        parts = self.projections
        query = split_heads(parts.query_projection(query), parts.heads)
        key = split_heads(parts.key_projection(key), parts.heads)
        value = split_heads(parts.value_projection(value), parts.heads)
        scores = self.scores(query, key)
        if mask is not None:
            scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)  # no row is empty in these trainings
        weights = scores.softmax(dim=-1)
        return parts.output_projection(join_heads(weights @ value)), weights


@cache
def data() -> tuple:
    """The embedded corpus and its vocabulary, made once a process."""
    corpus = load_corpus("embedded")
    return corpus, learn_vocabulary(Settings(), corpus)


def one_training(score: str, d_k: int, seed: int, sentences: int = SENTENCES, **changes) -> dict:
    """A short training with that score and what came of it, as a plain dictionary.

    `changes` are fields of `Settings`, put over SETTINGS. valid_loss is in nats per token; BLEU is that of the first
    sentences of the test split; cpu_seconds are those of the training alone.
    """
    corpus, tokeniser = data()
    parts = replace(FUSED, attention=partial(ScoredAttention, score=score))
    start = time.process_time()
    settings = {**SETTINGS, "seed": seed, "device": "cpu", "d_k": d_k, **changes}
    run = train_briefly(corpus, tokeniser, parts, report=None, **settings)
    seconds = time.process_time() - start
    sources, references = zip(*corpus.split("test")[:sentences], strict=True)
    output = translate(run.model, tokeniser, sources, beam=1)
    return {
        "score": score,
        "d_k": d_k,
        "seed": seed,
        "parameters": sum(parameter.numel() for parameter in run.model.parameters()),
        "valid_loss": round(run.valid_loss, 4),
        "bleu": round(corpus_bleu(output, references).score, 2),
        "cpu_seconds": round(seconds, 1),
    }


def additive_experiment(
    scores: Sequence[str] = SCORES, widths: Sequence[int] = WIDTHS, seeds: Sequence[int] = SEEDS, jobs: int = 1,
    report: Callable = print, **changes,
) -> list[dict]:  # fmt: skip
    """`one_training` for each score, each width of a key and each seed, so many at a time."""
    asked = [(score, d_k, seed) for seed in seeds for d_k in widths for score in scores]
    results = []
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for future in [pool.submit(one_training, *three, **changes) for three in asked]:
            results.append(future.result())
            report(json.dumps(results[-1]))
    return results


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m utils.experiments.additive", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="the JSON file to write")
    parser.add_argument("--scores", nargs="+", default=SCORES, choices=SCORES)
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS, help="of a key, d_k, in a single head")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--updates", type=int, default=SETTINGS["updates"])
    parser.add_argument("--peak", type=float, default=SETTINGS["peak"], help="learning rate at the end of the warm-up")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time; with several, set OMP_NUM_THREADS=1")
    asked = parser.parse_args()
    settings = {**SETTINGS, "updates": asked.updates, "peak": asked.peak}
    command = shlex.join(["python", "-m", "utils.experiments.additive", *sys.argv[1:]])
    come_from = {**origin(), "command": command}  # before the work: the commit may change meanwhile
    results = additive_experiment(asked.scores, asked.widths, asked.seeds, asked.jobs, **settings)
    record = {**come_from, "settings": settings, "seeds": list(asked.seeds), "sentences": SENTENCES, "results": "@"}
    lines = ",\n  ".join(json.dumps(result) for result in results)
    text = json.dumps(record, indent=1, ensure_ascii=False).replace('"@"', f"[\n  {lines}\n ]")
    write_text(asked.out, text + "\n")


if __name__ == "__main__":
    main()
