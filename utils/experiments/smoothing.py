"""What label smoothing does to perplexity, to accuracy and to BLEU (§5.4), on the embedded corpus.

`python -m utils.experiments.smoothing` trains a translator for each ε and each seed and writes
assets/runs/07-smoothing.json. Chapter 07 shows it.
"""

import json
import math
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import torch
from torch import nn

from utils.text import TokenBatches, load_corpus
from utils.text.corpora import Corpus
from utils.text.tokenise import Tokeniser
from utils.training.origin import origin
from utils.training.prepare import learn_vocabulary
from utils.training.runs import write_text
from utils.training.settings import Settings
from utils.training.short import train_briefly
from utils.transformer.masks import PADDING
from utils.translation.bleu import corpus_bleu
from utils.translation.translate import translate

OUT = Path(__file__).parents[2] / "assets" / "runs" / "07-smoothing.json"
EPSILONS, SEEDS = (0.0, 0.1, 0.3), (1, 2, 3)
SETTINGS = dict(
    updates=1000, d_model=64, d_ff=128, batch_tokens=1024, warmup=100, peak=6e-3, device="cpu", precision="fp32"
)


@cache
def data() -> tuple[Corpus, Tokeniser]:
    """The embedded corpus and its vocabulary, made once a process."""
    corpus = load_corpus("embedded")
    return corpus, learn_vocabulary(Settings(), corpus)


@torch.no_grad()
def told_the_past(model: nn.Module, corpus: Corpus, tokeniser: Tokeniser) -> dict[str, float]:
    """How well a model says the next word of validation sentences when all words before it are the right ones.

    loss: nats per word, without smoothing; accuracy: share of words that it holds for the likeliest; confidence: the
    mean of the probability that it gives to the likeliest.
    """
    loss = right = sure = tokens = 0.0
    for batch in TokenBatches(corpus.split("valid"), tokeniser, 4096).epoch(0, shuffle=False):
        logits = model(batch.source, batch.target_input)  # (batch, target_len, vocab_size)
        real = batch.target_output != PADDING
        log_probabilities, wanted = logits[real].log_softmax(dim=-1), batch.target_output[real]
        likeliest, said = log_probabilities.max(dim=-1)
        loss -= float(log_probabilities.gather(1, wanted[:, None]).double().sum())
        right += int((said == wanted).sum())
        sure += float(likeliest.double().exp().sum())
        tokens += len(wanted)
    return {"loss": loss / tokens, "accuracy": right / tokens, "confidence": sure / tokens}


def scored_training(seed: int, **changes) -> dict:
    """A short training and its scores. `changes` are fields of `Settings`, put over SETTINGS.

    perplexity, accuracy and confidence on the validation split, bleu (greedy) and exact (share of sentences
    translated to the letter) on the test split; cpu_seconds are those of the training.
    """
    corpus, tokeniser = data()
    start = time.process_time()
    run = train_briefly(corpus, tokeniser, report=None, seed=seed, **{**SETTINGS, **changes})
    seconds = time.process_time() - start
    known = told_the_past(run.model, corpus, tokeniser)
    sources, references = zip(*corpus.split("test"), strict=True)
    output = translate(run.model, tokeniser, sources, beam=1)
    return {
        "seed": seed,
        "perplexity": round(math.exp(known["loss"]), 4),
        "accuracy": round(known["accuracy"], 4),
        "confidence": round(known["confidence"], 4),
        "bleu": round(corpus_bleu(output, references).score, 2),
        "exact": sum(a == b for a, b in zip(output, references, strict=True)) / len(references),
        "cpu_seconds": round(seconds, 1),
    }


def smoothing_experiment(
    epsilons: Sequence[float] = EPSILONS, seeds: Sequence[int] = SEEDS, report: Callable = print, **changes
) -> list[dict]:
    """`scored_training` for each ε and each seed."""
    results = []
    for seed in seeds:
        for epsilon in epsilons:
            results.append({"epsilon": epsilon, **scored_training(seed, label_smoothing=epsilon, **changes)})
            report(json.dumps(results[-1]))
    return results


def write_record(out: Path, come_from: dict, results: Sequence[dict]) -> None:
    """JSON with one line a training, so that a difference can be read."""
    lines = ",\n  ".join(json.dumps(result) for result in results)
    text = json.dumps({**come_from, "results": "@"}, indent=1, ensure_ascii=False).replace('"@"', f"[\n  {lines}\n ]")
    write_text(out, text + "\n")


def main() -> None:
    """Trains all and writes them down with where they come from."""
    come_from = {**origin(), "command": "python -m utils.experiments.smoothing", "seeds": SEEDS, "settings": SETTINGS}
    write_record(OUT, come_from, smoothing_experiment(report=lambda line: print(line, flush=True)))


if __name__ == "__main__":
    main()
