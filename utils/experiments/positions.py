"""The same small translator with four kinds of positions, measured within and beyond the lengths of its training.

    python -m utils.experiments.positions --out assets/runs/02-positions.json

trains four arms with three seeds each and writes down what came of them: about 10 minutes of processor time. Chapter 02
shows it.
"""

import argparse
import json
import random
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from utils.text import Corpus, TokenBatches, load_corpus, split_words
from utils.training.origin import origin
from utils.training.runs import write_text
from utils.training.short import ShortRun, train_briefly
from utils.transformer import FUSED, PADDING
from utils.translation import score, translate

SETTINGS = {"d_model": 64, "d_ff": 128, "batch_tokens": 1024, "warmup": 100, "peak": 6e-3}
MAX_LEN = 128  # of learned positions: more than the longest sentence with room for a translation that does not end
SENTENCES = 500  # of a split, for scores
MOVES = (0, 1, 2, 4, 8, 16, 32)  # tokens by which test sentences are moved on


def nowhere(length: int, d_model: int) -> Tensor:
    """A table that says nothing: what is added to every embedding is zero."""
    return torch.zeros(length, d_model)


def shuffled(corpus: Corpus, seed: int = 0) -> Corpus:
    """The corpus with the words of every source sentence in a random order, punctuation among them."""
    draw = random.Random(seed)

    def mixed(sentence: str) -> str:
        words = split_words(sentence)
        return " ".join(draw.sample(words, len(words)))

    splits = {
        name: [(mixed(source), target) for source, target in pairs] for name, pairs in sorted(corpus.splits.items())
    }
    return Corpus(f"{corpus.name}, shuffled", splits)


ARMS = {
    "sinusoidal": {},
    "learned": {"positions": "learned", "max_len": MAX_LEN},
    "none": {"parts": replace(FUSED, position_table=nowhere)},
    "shuffled": {},  # sinusoidal positions, shuffled source sentences
}


def train_arm(arm: str, seed: int, updates: int, corpus: Corpus | None = None, **changes) -> ShortRun:
    """Trains one translator; all arms share everything but their positions, or the order of the source words."""
    corpus = corpus or load_corpus()
    corpus = shuffled(corpus) if arm == "shuffled" else corpus
    return train_briefly(corpus, report=None, updates=updates, seed=seed, **{**SETTINGS, **ARMS[arm], **changes})


class MovedOn(nn.Module):
    """Positions that begin at `by` instead of 0."""

    def __init__(self, positions: nn.Module, by: int) -> None:
        super().__init__()
        self.positions, self.by = positions, by

    def forward(self, embedded: Tensor, start: int = 0) -> Tensor:
        """embedded: (batch, length, d_model). Returns the same shape."""
        return self.positions(embedded, start + self.by)


def bleu(run: ShortRun, split: str, moved_on: int = 0, sentences: int = SENTENCES) -> float:
    """BLEU of greedy translations of a split's first sentences, told that they begin at position `moved_on`."""
    model, pairs = run.model, run.corpus.split(split)[:sentences]
    kept = model.source_positions, model.target_positions
    model.source_positions, model.target_positions = (MovedOn(positions, moved_on) for positions in kept)
    try:
        hypotheses = translate(model, run.tokeniser, [source for source, _ in pairs], beam=1)
    finally:
        model.source_positions, model.target_positions = kept
    return score(hypotheses, [target for _, target in pairs]).bleu


@torch.no_grad()
def loss_by_position(run: ShortRun, split: str, sentences: int = SENTENCES) -> dict[int, tuple[float, int]]:
    """Position in the target → (mean loss there in nats, how many tokens). Each token is predicted from the right ones
    before it.
    """
    batches = TokenBatches(run.corpus.split(split)[:sentences], run.tokeniser, 4096)
    total, count = defaultdict(float), defaultdict(int)
    for batch in batches.epoch(0, shuffle=False):
        logits = run.model(batch.source, batch.target_input)
        losses = nn.functional.cross_entropy(logits.transpose(1, 2), batch.target_output, reduction="none")
        real = batch.target_output != PADDING
        for position in range(real.size(1)):
            total[position] += losses[:, position][real[:, position]].sum().item()
            count[position] += int(real[:, position].sum())
    return {position: (total[position] / count[position], count[position]) for position in total if count[position]}


def measured(arm: str, seed: int, updates: int, corpus: Corpus | None = None, **changes) -> dict:
    """Trains one translator and writes down all that the chapter shows of it."""
    run = train_arm(arm, seed, updates, corpus, **changes)
    moves = MOVES if arm in ("sinusoidal", "learned") else (0,)
    by_position = loss_by_position(run, "long")
    return {
        "arm": arm,
        "seed": seed,
        "valid_loss": round(run.valid_loss, 4),
        "test": round(bleu(run, "test"), 2),
        "long": round(bleu(run, "long"), 2),
        "test_moved_on": {str(by): round(bleu(run, "test", by), 2) for by in moves},
        "loss_on_long": {str(position): round(loss, 3) for position, (loss, _) in by_position.items()},
        "tokens_on_long": {str(position): count for position, (_, count) in by_position.items()},
    }


def record(out: Path, seeds: list[int], updates: int, arms: list[str]) -> None:
    """Trains and measures every arm with every seed; writes all of it to `out`, as far as it is done."""
    chosen = f"--out {out} --updates {updates} --seeds {' '.join(map(str, seeds))}"
    chosen += f" --arms {' '.join(arms)}" if set(arms) != set(ARMS) else ""
    results = []
    for seed in seeds:
        for arm in arms:
            results.append(measured(arm, seed, updates))
            print(
                f"{arm:10}  seed {seed}  test {results[-1]['test']:5.1f}  long {results[-1]['long']:5.1f}", flush=True
            )
            head = {**origin(), "command": f"python -m utils.experiments.positions {chosen}", "seeds": seeds}
            settings = {**SETTINGS, "updates": updates, "max_len_learned": MAX_LEN, "sentences": SENTENCES}
            lines = ",\n  ".join(json.dumps(result) for result in results)
            text = json.dumps({**head, "settings": settings, "results": "@"}, indent=1, ensure_ascii=False)
            write_text(out, text.replace('"@"', f"[\n  {lines}\n ]") + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Chapter 02: positions within and beyond the lengths of training.")
    parser.add_argument("--out", type=Path, default=Path("assets/runs/02-positions.json"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--updates", type=int, default=1000)
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    chosen = parser.parse_args()
    record(chosen.out, chosen.seeds, chosen.updates, chosen.arms)
