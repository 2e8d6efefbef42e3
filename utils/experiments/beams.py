"""How wide a beam, which length penalty, and what averaging checkpoints is worth (§6.1), on the embedded corpus.

    python -m utils.experiments.beams --out assets/runs/08-beams.json

trains two small translators for each seed and translates with every width and every α. Chapter 08 shows it.
"""

import argparse
import json
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from utils.text.batches import TokenBatches
from utils.text.corpora import Corpus
from utils.text.tokenise import Tokeniser
from utils.training.checkpoints import load_checkpoint
from utils.training.origin import origin
from utils.training.prepare import corpus_of, learn_vocabulary, make_trainer
from utils.training.runs import RunFolder, write_text
from utils.training.settings import Settings
from utils.training.short import ShortRun
from utils.training.trainer import corpus_loss
from utils.translation import Hypothesis, beam_search, corpus_bleu, translate
from utils.translation.beam import penalty
from utils.translation.translate import padded

SEEDS, WIDTHS, ALPHAS, SENTENCES = (1, 2, 3), (1, 2, 4, 8, 16, 32), (0.0, 0.6, 1.0), 150
CHECKPOINTS, EVERY = 5, 20  # the paper averages its last five (base model), written every ten minutes
# No cooldown: as in the paper, the rate falls with the inverse square root and is far from zero at the end.
SETTINGS = {
    "updates": 500, "d_model": 64, "d_ff": 128, "batch_tokens": 1024, "warmup": 100, "peak": 6e-3, "cooldown": 0.0,
    "device": "cpu", "precision": "fp32", "validate_every": 10**9, "checkpoint_every": EVERY, "keep": CHECKPOINTS,
}  # fmt: skip
COOLDOWN = 0.6  # the control: the rate falls to zero over the last 60 % of the updates


def train_and_keep(
    corpus: Corpus | None = None, tokeniser: Tokeniser | None = None, **changes
) -> tuple[ShortRun, list[dict[str, Tensor]]]:
    """A short training, and the weights in its last checkpoints, oldest first. `changes` are put over SETTINGS."""
    settings = Settings(**{**SETTINGS, **changes})
    corpus = corpus or corpus_of(settings)
    tokeniser = tokeniser or learn_vocabulary(settings, corpus)
    with tempfile.TemporaryDirectory(prefix="attention-rebuilt-") as folder:
        run = RunFolder.create(Path(folder) / "run", settings, tokeniser)
        trainer = make_trainer(settings, corpus, tokeniser, run, torch.device("cpu"))
        trainer.run()
        short = ShortRun(trainer.model.eval(), tokeniser, corpus, settings, run.metrics())
        return short, [load_checkpoint(path)["model"] for path in run.checkpoint_files()]


def averaging(run: ShortRun, checkpoints: list[dict[str, Tensor]]) -> list[dict]:
    """Scores of the last checkpoint alone and of the mean of all; leaves that mean in the model."""
    results = []
    batches = TokenBatches(run.corpus.split("valid"), run.tokeniser, run.settings.batch_tokens)
    sources, references = zip(*run.corpus.split("test"), strict=True)
    for kept in (checkpoints[-1:], checkpoints):
        mean = {name: torch.stack([weights[name] for weights in kept]).mean(dim=0) for name in kept[0]}
        run.model.load_state_dict(mean)
        output = translate(run.model, run.tokeniser, sources, beam=1)
        loss = corpus_loss(run.model, batches, torch.device("cpu"))
        bleu = corpus_bleu(output, references).score
        results.append({"averaged": len(kept), "valid_loss": round(loss, 4), "bleu": round(bleu, 2)})
    return results


def search(
    model: nn.Module, sources: Sequence[Sequence[int]], beam: int, alpha: float, at_once: int = 50
) -> list[Hypothesis]:
    """The best hypothesis of each source, in the order of the sources; the search stops only when it is sure."""
    order = sorted(range(len(sources)), key=lambda index: len(sources[index]))
    found: dict[int, Hypothesis] = {}
    for start in range(0, len(order), at_once):
        batch = order[start : start + at_once]
        results = beam_search(model, padded([sources[index] for index in batch]), beam, alpha, wanted=1)
        found |= {index: hypotheses[0] for index, hypotheses in zip(batch, results, strict=True)}
    return [found[index] for index in range(len(sources))]


@torch.no_grad()
def log_probabilities(model: nn.Module, run: ShortRun, pairs: Sequence[tuple[str, str]]) -> list[float]:
    """log P(reference, END | source) of each pair."""
    results = []
    batches = TokenBatches(pairs, run.tokeniser, 100_000)
    for row in range(len(pairs)):
        batch = batches.make(torch.tensor([row]))
        logits = model(batch.source, batch.target_input)
        results.append(float(-nn.functional.cross_entropy(logits[0], batch.target_output[0], reduction="sum")))
    return results


def widths_and_penalties(
    run: ShortRun, widths: Sequence[int] = WIDTHS, alphas: Sequence[float] = ALPHAS, sentences: int = SENTENCES
) -> list[dict]:
    """One record for each width and α: BLEU, length beside the references', mean log P of what was found, and the
    share of sentences whose reference has a better score (log P / lp, what the search ranks by) than what was found: a
    search error for certain.
    """
    pairs = run.corpus.split("test")[:sentences]
    sources = [run.tokeniser.encode(source) for source, _ in pairs]
    reference = log_probabilities(run.model, run, pairs)
    lengths = [len(run.tokeniser.encode(target)) + 1 for _, target in pairs]  # END counted
    results = []
    for width in widths:
        for alpha in alphas if width > 1 else alphas[:1]:  # with one hypothesis there is nothing to rank
            found = search(run.model, sources, width, alpha)
            score = corpus_bleu([run.tokeniser.decode(h.tokens) for h in found], [target for _, target in pairs])
            possible = [(log_p - 1e-3) / penalty(n, alpha) for log_p, n in zip(reference, lengths, strict=True)]
            missed = sum(h.score < score for h, score in zip(found, possible, strict=True))
            results.append({
                "beam": width, "alpha": alpha, "bleu": round(score.score, 2),
                "length": round(score.hypothesis_length / score.reference_length, 4),
                "four_grams": round(score.precisions[3], 4),
                "log_probability": round(sum(h.log_probability for h in found) / len(found), 4),
                "missed": round(missed / len(found), 4),
            })  # fmt: skip
    return results


def beams_experiment(
    seeds: Sequence[int] = SEEDS,
    report: Callable[[str], None] = print,
    grid: dict | None = None,
    corpus: Corpus | None = None,
    **changes,
) -> list[dict]:
    """One record a seed: averaging without and with cooldown, then widths and penalties with the averaged model."""
    records, tokeniser = [], None
    for seed in seeds:
        start, record = time.process_time(), {"seed": seed}
        run, checkpoints = train_and_keep(corpus, tokeniser, **{**changes, "seed": seed})
        corpus, tokeniser = run.corpus, run.tokeniser
        record["no_cooldown"] = averaging(run, checkpoints)
        record["search"] = widths_and_penalties(run, **(grid or {}))
        slowed = {**changes, "seed": seed, "cooldown": COOLDOWN}
        record["cooldown"] = averaging(*train_and_keep(corpus, tokeniser, **slowed))
        record["cpu_seconds"] = round(time.process_time() - start, 1)
        records.append(record)
        report(json.dumps(record))
    return records


def as_text(record: dict) -> str:
    """JSON with one line a search, so that a difference can be read."""
    lines = [[json.dumps(found) for found in result["search"]] for result in record["results"]]
    results = [{**result, "search": f"@{place}@"} for place, result in enumerate(record["results"])]
    text = json.dumps({**record, "results": results}, indent=1, ensure_ascii=False)
    for place, searches in enumerate(lines):
        text = text.replace(f'"@{place}@"', "[\n    " + ",\n    ".join(searches) + "\n   ]")
    return text + "\n"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m utils.experiments.beams", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="the JSON file to write")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    asked = parser.parse_args()
    command = shlex.join(["python", "-m", "utils.experiments.beams", *sys.argv[1:]])
    come_from = {**origin(), "command": command}  # before the work: the commit may change meanwhile
    results = beams_experiment(asked.seeds, report=lambda line: print(line, flush=True))
    record = {**come_from, "settings": SETTINGS, "sentences": SENTENCES, "seeds": list(asked.seeds), "results": results}
    write_text(asked.out, as_text(record))


if __name__ == "__main__":
    main()
