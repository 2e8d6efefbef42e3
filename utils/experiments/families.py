"""Does a translator need an encoder of its own? Encoder–decoder against one stack, with equal parameters.

    python -m utils.experiments.families --out assets/runs/06-families.json

trains each family with each seed on the embedded corpus and writes what came of it. Chapter 06 shows it.
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

from utils.text import TokenBatches
from utils.training.device import choose_device
from utils.training.origin import origin
from utils.training.prepare import LONGEST, corpus_of, learn_vocabulary
from utils.training.runs import RunFolder, write_text
from utils.training.settings import Settings
from utils.training.trainer import Trainer
from utils.transformer import FUSED, PADDING, Transformer, TransformerConfig
from utils.transformer.incremental import FullDecoder
from utils.transformer.model import initialise
from utils.transformer.stacks import encoder_stack
from utils.translation.bleu import corpus_bleu
from utils.translation.translate import translate

FAMILIES, SEEDS = ("encoder-decoder", "decoder-only", "prefix"), (1, 2, 3)
SETTINGS = {"updates": 600, "d_model": 64, "d_ff": 128, "layers": 2, "batch_tokens": 1024, "warmup": 100, "peak": 6e-3}
ONE_STACK_LAYERS = 5  # 10 attentions and feed-forward networks of equal size, as 2 encoder and 2 decoder layers have


class OneSequence(nn.Module):
    """A translator that is one stack: source and target stand in one sequence, and the target is predicted.

    With `sees_ahead` the source looks at all of itself ("prefix"), else only backwards ("decoder-only").
    """

    def __init__(self, config: TransformerConfig, sees_ahead: bool) -> None:
        super().__init__()
        self.config, self.sees_ahead = config, sees_ahead
        self.embedding = FUSED.embedding(config.vocab_size, config.d_model)
        self.register_buffer("table", FUSED.position_table(config.max_len, config.d_model), persistent=False)
        self.dropout = nn.Dropout(config.dropout)
        self.stack = encoder_stack(config)
        self.output = FUSED.output(config.vocab_size, config.d_model, self.embedding)
        initialise(self.stack)

    def states(self, source: Tensor, target: Tensor) -> Tensor:
        """As `Transformer.states`: (batch, target_len, d_model)."""
        return self.decode(target, source)

    def decode(self, target: Tensor, source: Tensor, source_mask: Tensor | None = None) -> Tensor:
        """target: (batch, target_len) ids; source: (batch, source_len) ids. Returns (batch, target_len, d_model).

        Positions count real tokens only: the target goes on where the source's words end, whatever padding follows.
        """
        real = torch.cat([source != PADDING, torch.ones_like(target, dtype=torch.bool)], dim=1)  # (batch, length)
        x = self.embedding(torch.cat([source, target], dim=1)) + self.table[real.cumsum(dim=1) - 1]
        mask = torch.ones(real.size(1), real.size(1), dtype=torch.bool, device=real.device).tril()
        if self.sees_ahead:
            mask[: source.size(1), : source.size(1)] = True
        return self.stack(self.dropout(x), mask & real[:, None, None])[:, source.size(1) :]

    def start(self, source: Tensor, beams: int = 1, cache: bool = True) -> FullDecoder:
        """A stepper that runs the whole sequence again for each token."""
        return FullDecoder(self, source, None, beams)


def family_model(family: str, settings: Settings, vocab_size: int) -> nn.Module:
    """The untrained model of a family; all have the same number of parameters to 0.5 %."""
    config = settings.transformer_config(vocab_size)
    if family == "encoder-decoder":
        return Transformer(config)
    one_stack = TransformerConfig(**{**config.to_dict(), "layers": config.layers * ONE_STACK_LAYERS // 2})
    return OneSequence(one_stack, sees_ahead=family == "prefix")


def one_training(family: str, seed: int, sentences: int = 500, **changes) -> dict:
    """A short training and its scores on the first sentences of the test split, decoded greedily.

    `changes` are fields of `Settings`, put over SETTINGS. cpu_seconds are those of the training.
    """
    settings = Settings(
        **{**SETTINGS, "seed": seed, "validate_every": 10**9, "checkpoint_every": 10**9, "device": "cpu", **changes}
    )
    corpus = corpus_of(settings)
    tokeniser = learn_vocabulary(settings, corpus)
    batches = (
        TokenBatches(corpus.split(split), tokeniser, settings.batch_tokens, settings.seed, LONGEST)
        for split in ("train", "valid")
    )
    torch.manual_seed(seed)
    model = family_model(family, settings, tokeniser.vocab_size)
    start = time.process_time()
    with tempfile.TemporaryDirectory(prefix="attention-rebuilt-") as folder:
        run = RunFolder.create(Path(folder) / "run", settings, tokeniser)
        Trainer(settings, model, tokeniser, *batches, run, choose_device("cpu")).run(lambda record: None)
        valid_loss = [record["loss"] for record in run.metrics() if record["kind"] == "valid"][-1]
    seconds = time.process_time() - start
    sources, references = zip(*corpus.split("test")[:sentences], strict=True)
    output = translate(model.eval(), tokeniser, sources, beam=1)
    return {
        "family": family,
        "seed": seed,
        "peak": settings.peak,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "valid_loss": round(valid_loss, 4),
        "bleu": round(corpus_bleu(output, references).score, 2),
        "exact": sum(a == b for a, b in zip(output, references, strict=True)) / len(references),
        "cpu_seconds": round(seconds, 1),
    }


def families_experiment(
    families: Sequence[str] = FAMILIES, seeds: Sequence[int] = SEEDS, report: Callable = print, **changes
) -> list[dict]:
    """`one_training` for each family and each seed."""
    results = []
    for seed in seeds:
        for family in families:
            results.append(one_training(family, seed, **changes))
            report(json.dumps(results[-1]))
    return results


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m utils.experiments.families", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="the JSON file to write")
    parser.add_argument("--families", nargs="+", default=FAMILIES, choices=FAMILIES)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--updates", type=int, default=SETTINGS["updates"])
    parser.add_argument("--peak", type=float, default=SETTINGS["peak"], help="learning rate at the end of the warm-up")
    asked = parser.parse_args()
    settings = {**SETTINGS, "updates": asked.updates, "peak": asked.peak}
    command = shlex.join(["python", "-m", "utils.experiments.families", *sys.argv[1:]])
    come_from = {**origin(), "command": command}  # before the work: the commit may change meanwhile
    results = families_experiment(asked.families, asked.seeds, **settings)
    record = {**come_from, "settings": settings, "seeds": list(asked.seeds), "results": "@"}
    lines = ",\n  ".join(json.dumps(result) for result in results)
    text = json.dumps(record, indent=1, ensure_ascii=False).replace('"@"', f"[\n  {lines}\n ]")
    write_text(asked.out, text + "\n")


if __name__ == "__main__":
    main()
