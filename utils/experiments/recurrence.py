"""Recurrent translators against the Transformer: equal parameters, corpus, vocabulary, batches, updates, decoder.

    python -m utils.experiments.recurrence --out assets/runs/09-translators.json

looks for each model's learning rate, trains it with three seeds and writes what came of it. Chapter 09 shows it.
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

from utils.experiments.belonging import by_distance
from utils.recurrent import RecurrentTranslator, size_matched
from utils.text import TokenBatches
from utils.text.corpora import Corpus
from utils.text.tokenise import Tokeniser
from utils.training.device import choose_device
from utils.training.origin import origin
from utils.training.prepare import LONGEST, corpus_of, learn_vocabulary
from utils.training.runs import RunFolder, write_text
from utils.training.settings import Settings
from utils.training.trainer import Trainer
from utils.transformer import Transformer
from utils.translation.bleu import corpus_bleu
from utils.translation.translate import translate

MODELS = ("transformer", "gru", "lstm", "rnn", "gru-no-attention")
SEEDS, SEARCH_SEEDS, RATES = (1, 2, 3), (4, 5), (6e-3, 1.2e-2, 2.4e-2, 4.8e-2, 9.6e-2)
SETTINGS = {"updates": 500, "d_model": 64, "d_ff": 128, "layers": 2, "batch_tokens": 1024, "warmup": 100}
VALIDATION, CURVE_EVERY, READ = 200, 25, 24  # sentences; updates; source tokens that gradients are taken over


def make_model(kind: str, settings: Settings, vocab_size: int) -> nn.Module:
    """The untrained model; all have the Transformer's number of parameters within 2 %."""
    config = settings.transformer_config(vocab_size)
    if kind == "transformer":
        return Transformer(config)
    return RecurrentTranslator(size_matched(config, kind.split("-")[0], attention="no-attention" not in kind))


class Clock:
    """CPU seconds spent in training, without those of validation."""

    def __init__(self) -> None:
        self.mark, self.seconds, self.curve = time.process_time(), 0.0, []

    def take(self, record: dict) -> None:
        """Takes the trainer's records: one of kind "train" comes right before each of kind "valid"."""
        if record["kind"] == "train":
            self.seconds += time.process_time() - self.mark
        else:
            self.curve.append([record["update"], round(self.seconds, 2), round(record["loss"], 4)])
        self.mark = time.process_time()


def train_one(
    kind: str, seed: int, corpus: Corpus, tokeniser: Tokeniser, **changes
) -> tuple[nn.Module, list[list[float]]]:
    """A trained model in evaluation mode, and its curve: [update, CPU seconds, validation loss], …"""
    fixed = {"device": "cpu", "precision": "fp32", "checkpoint_every": 10**9}
    every = {"log_every": CURVE_EVERY, "validate_every": CURVE_EVERY}
    settings = Settings(**{**SETTINGS, **every, **fixed, "seed": seed, **changes})
    splits = corpus.split("train"), corpus.split("valid")[:VALIDATION]
    batches = [TokenBatches(split, tokeniser, settings.batch_tokens, seed, LONGEST) for split in splits]
    torch.manual_seed(seed)
    model = make_model(kind, settings, tokeniser.vocab_size)
    with tempfile.TemporaryDirectory(prefix="attention-rebuilt-") as folder:
        run = RunFolder.create(Path(folder) / "run", settings, tokeniser)
        trainer = Trainer(settings, model, tokeniser, *batches, run, choose_device("cpu"))
        clock = Clock()
        trainer.run(clock.take)
    return trainer.model.eval(), clock.curve


def last_state(model: nn.Module, embedded: Tensor) -> Tensor:
    """What the encoder knows at the last token: (batch, width). embedded: (batch, length, d_model).

    Of a recurrent encoder it is the forward direction, which has read from the first token to the last.
    """
    if isinstance(model, RecurrentTranslator):
        return model.encoder(embedded)[0][:, -1, : model.config.d_hidden]
    return model.encoder(model.source_positions(embedded))[:, -1]


def gradient_by_age(model: nn.Module, tokens: Tensor) -> list[float]:
    """‖∂ last state / ∂ input‖ (Frobenius), from the last input back to the first, as a mean over sentences.

    tokens: (batch, length) ids without padding.
    """
    embedded = model.source_embedding(tokens).detach().requires_grad_()
    state = last_state(model, embedded).sum(dim=0)  # sentences do not see each other
    squares = sum(torch.autograd.grad(unit, embedded, retain_graph=True)[0].square().sum(dim=-1) for unit in state)
    return [float(f"{norm:.4g}") for norm in squares.sqrt().mean(dim=0).flip(0)]


def long_sources(corpus: Corpus, tokeniser: Tokeniser, count: int = 20) -> Tensor:
    """The first READ tokens of source sentences that have so many: (count, READ) ids."""
    rows = [tokeniser.encode(source) for source, _ in corpus.split("long")]
    return torch.tensor([row[:READ] for row in rows if len(row) >= READ][:count])


def one_training(
    kind: str, seed: int, rate: float, corpus: Corpus, tokeniser: Tokeniser, sentences: int = 200, **changes
) -> dict:
    """A training and all that is measured on what it gives; BLEU on the first sentences of test and long, greedily."""
    torch.manual_seed(seed)
    read = long_sources(corpus, tokeniser)
    fresh = make_model(kind, Settings(**{**SETTINGS, **changes}), tokeniser.vocab_size).eval()
    model, curve = train_one(kind, seed, corpus, tokeniser, peak=rate, **changes)
    bleu = {}
    for split in ("test", "long"):
        sources, references = zip(*corpus.split(split)[:sentences], strict=True)
        bleu[split] = round(corpus_bleu(translate(model, tokeniser, sources, beam=1), references).score, 2)
    return {
        "model": kind, "seed": seed, "rate": rate, "parameters": sum(p.numel() for p in model.parameters()),
        "bleu": bleu["test"], "bleu_long": bleu["long"], "valid_loss": curve[-1][2], "cpu_seconds": curve[-1][1],
        "gradient": {"fresh": gradient_by_age(fresh, read), "trained": gradient_by_age(model, read)},
        "curve": curve, "belonging": by_distance(model, tokeniser),
    }  # fmt: skip


def search_rates(
    models: Sequence[str], rates: Sequence[float], corpus: Corpus, tokeniser: Tokeniser, report: Callable,
    seeds: Sequence[int] = SEARCH_SEEDS, **changes,
) -> list[dict]:  # fmt: skip
    """Each model's validation loss at each learning rate, after trainings of full length with seeds of their own: what
    is best after fewer updates need not be best at the end, and what is best for a seed that is then shown is luck.
    """
    found = []
    for kind in models:
        for rate in rates:
            curves = [train_one(kind, seed, corpus, tokeniser, peak=rate, **changes)[1] for seed in seeds]
            losses, seconds = [curve[-1][2] for curve in curves], sum(curve[-1][1] for curve in curves)
            told = {"valid_loss": round(sum(losses) / len(losses), 4), "each": losses, "cpu_seconds": round(seconds, 2)}
            found.append({"model": kind, "rate": rate, **told})
            report(json.dumps(found[-1]))
    return found


def recurrence_experiment(
    models: Sequence[str] = MODELS, seeds: Sequence[int] = SEEDS, rates: Sequence[float] = RATES,
    report: Callable = print, corpus: Corpus | None = None, keep: Callable | None = None, **changes,
) -> dict:  # fmt: skip
    """{"search": …, "results": …}: a rate for each model first, then its trainings at that rate. keep(what there is)
    is called after each of these.
    """
    settings = Settings(**{**SETTINGS, **changes})
    corpus = corpus or corpus_of(settings)
    tokeniser = learn_vocabulary(settings, corpus)
    search = search_rates(models, rates, corpus, tokeniser, report, **changes)
    results = []
    for seed in seeds:
        for kind in models:
            own = [tried for tried in search if tried["model"] == kind]
            rate = min(own, key=lambda tried: tried["valid_loss"])["rate"]
            results.append(one_training(kind, seed, rate, corpus, tokeniser, **changes))
            report(json.dumps({name: results[-1][name] for name in ("model", "seed", "rate", "bleu", "cpu_seconds")}))
            if keep is not None:
                keep({"search": search, "results": results})
    return {"search": search, "results": results}


def as_text(record: dict) -> str:
    """JSON with one line a training, so that a difference can be read."""
    text = json.dumps({**record, "search": "@1", "results": "@2"}, indent=1, ensure_ascii=False)
    for mark, name in (("@1", "search"), ("@2", "results")):
        lines = ",\n  ".join(json.dumps(one) for one in record[name])
        text = text.replace(f'"{mark}"', f"[\n  {lines}\n ]")
    return text + "\n"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m utils.experiments.recurrence", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="the JSON file to write")
    parser.add_argument("--models", nargs="+", default=MODELS, choices=MODELS)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    asked = parser.parse_args()
    command = shlex.join(["python", "-m", "utils.experiments.recurrence", *sys.argv[1:]])
    come_from = {**origin(), "command": command}  # before the work: the commit may change meanwhile
    told = {"settings": SETTINGS, "search_seeds": SEARCH_SEEDS, "rates": RATES, "seeds": list(asked.seeds)}

    def write(found: dict) -> None:
        minutes = round(time.process_time() / 60, 1)
        write_text(asked.out, as_text({**come_from, "cpu_minutes": minutes, **told, **found}))

    recurrence_experiment(asked.models, asked.seeds, report=lambda line: print(line, flush=True), keep=write)


if __name__ == "__main__":
    main()
