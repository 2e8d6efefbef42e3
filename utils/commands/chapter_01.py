"""`python -m utils.commands.chapter_01 vocabularies|scale`: the two recorded runs that chapter 01 shows."""

import json
import math
import shlex
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import torch
from torch import nn

from utils.text.batches import TokenBatches
from utils.text.corpora import Corpus, load_corpus
from utils.text.coverage import coverage_by_size, rank_counts
from utils.text.tokenise import Tokeniser, split_words
from utils.training.origin import origin
from utils.training.prepare import corpus_of, learn_vocabulary
from utils.training.runs import build_model, write_text
from utils.training.settings import Settings
from utils.training.short import train_briefly
from utils.training.trainer import corpus_loss
from utils.transformer import FUSED, Parts, TokenEmbedding

FOLDER = Path(__file__).parents[2] / "assets/runs"
SIZES = (100, 250, 500, 1000, 2000, 4000, 8000, 16_000, 32_000)
SEEDS = (1, 2, 3)
TRAINING = {"updates": 600, "d_model": 128, "d_ff": 256, "warmup": 100, "peak": 4e-3}


def vocabularies(report: Callable[[str], None] | None = print) -> dict:
    """Multi30k under word and BPE vocabularies of several sizes: learnt on train, measured on test (30 s on a CPU)."""
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
        measured = coverage_by_size(kind, train, test, SIZES)
        results[kind] = [{"asked_for": size, **asdict(found)} for size, found in measured]
        if report:
            report(f"{kind}: {len(measured)} vocabularies measured")
    return results


class OtherStart(TokenEmbedding):
    """A token embedding whose table starts otherwise, or that does not multiply."""

    def __init__(self, vocab_size: int, d_model: int, start: str) -> None:
        super().__init__(vocab_size, d_model)
        drawn, _, used = start.partition(", then ")
        if drawn == "N(0, 1)":
            nn.init.normal_(self.weight)
        elif drawn == "Xavier":
            nn.init.xavier_uniform_(self.weight)
        if used == "as it is":
            self.scale = 1.0


STARTS = (
    "N(0, 1/d_model), then times √d_model",
    "N(0, 1/d_model), then as it is",
    "Xavier, then times √d_model",
    "N(0, 1), then times √d_model",
    "N(0, 1), then as it is",
)


def scale(report: Callable[[str], None] | None = print) -> dict:
    """The same short training with five starts of the table, three seeds each (15 minutes on a CPU)."""
    results = []
    settings = Settings(**TRAINING)
    corpus = corpus_of(settings)
    tokeniser = learn_vocabulary(settings, corpus)
    for start in STARTS:
        parts = replace(FUSED, embedding=partial(OtherStart, start=start))
        for seed in SEEDS:
            before = _loss_before(replace(settings, seed=seed), corpus, tokeniser, parts)
            after = train_briefly(corpus, tokeniser, parts, report=None, seed=seed, **TRAINING).valid_loss
            results.append({"start": start, "seed": seed, "loss_before": before, "loss_after": after})
            if report:
                report(f"{start}, seed {seed}: {before:.2f} before, {after:.3f} after")
    return {"runs": results, "vocab_size": tokeniser.vocab_size, "chance": math.log(tokeniser.vocab_size)}


def _loss_before(settings: Settings, corpus: Corpus, tokeniser: Tokeniser, parts: Parts) -> float:
    """Validation loss of the untrained model, as the trainer draws it."""
    torch.manual_seed(settings.seed)
    model = build_model(settings, tokeniser.vocab_size, parts).eval()
    batches = TokenBatches(corpus.split("valid"), tokeniser, settings.batch_tokens)
    return corpus_loss(model, batches, torch.device("cpu"))


RECORDED = {
    "vocabularies": (vocabularies, lambda: {"corpus": "multi30k", "sizes": SIZES}, None),
    "scale": (scale, lambda: _given(Settings(**TRAINING)), SEEDS),
}


def _given(settings: Settings) -> dict:
    return {name: value for name, value in settings.to_dict().items() if value is not None and name != "seed"}


def record(name: str, folder: Path = FOLDER) -> Path:
    """Runs one of the two and writes assets/runs/01-NAME.json."""
    run, settings, seed = RECORDED[name]
    made = origin() | {"command": shlex.join(["python", "-m", "utils.commands.chapter_01", name])}
    content = {**made, "seed": seed, "settings": settings(), "results": run()}
    path = folder / f"01-{name}.json"
    write_text(path, json.dumps(content, indent=1) + "\n")
    return path


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in RECORDED:
        sys.exit(f"Say what to record: python -m utils.commands.chapter_01 {' or '.join(RECORDED)}.")
    print(record(sys.argv[1]))
