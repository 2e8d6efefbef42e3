"""A training of a minute, as the chapters run it for an experiment: no run folder is left behind."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from utils.text.corpora import Corpus
from utils.text.tokenise import BPETokeniser, WordTokeniser
from utils.training.device import choose_device
from utils.training.prepare import corpus_of, learn_vocabulary, make_trainer
from utils.training.runs import RunFolder
from utils.training.settings import Settings
from utils.transformer import FUSED, Parts


@dataclass(frozen=True)
class ShortRun:
    """What came of a short training: the model with the weights of its last update, in evaluation mode."""

    model: nn.Module
    tokeniser: WordTokeniser | BPETokeniser
    corpus: Corpus
    settings: Settings
    metrics: list[dict]  # as in metrics.jsonl: kind "train" or "valid", update, loss, …

    @property
    def valid_loss(self) -> float:
        """The last validation loss, in nats per token."""
        return [record["loss"] for record in self.metrics if record["kind"] == "valid"][-1]


def train_briefly(
    corpus: Corpus | None = None,
    tokeniser: WordTokeniser | BPETokeniser | None = None,
    parts: Parts = FUSED,
    report: Callable[[str], None] | None = print,
    **changes,
) -> ShortRun:
    """Trains a small translator and hands it over; `changes` are fields of `Settings`, like d_model=64.

    Without a corpus the settings' own is taken, without a tokeniser one is learnt from it. `report` gets ten lines on
    the way; None keeps silent. Raises CourseError when the loss is no longer a finite number.
    """
    settings = Settings(**{"updates": 1000, "validate_every": 10**9, "checkpoint_every": 10**9, **changes})
    corpus = corpus or corpus_of(settings)
    tokeniser = tokeniser or learn_vocabulary(settings, corpus)
    with tempfile.TemporaryDirectory(prefix="attention-rebuilt-") as folder:
        run = RunFolder.create(Path(folder) / "run", settings, tokeniser)
        trainer = make_trainer(settings, corpus, tokeniser, run, choose_device(settings.device), parts=parts)
        lines = _Lines(settings.updates, report)
        trainer.run(lines.take)
        return ShortRun(trainer.model.eval(), tokeniser, corpus, settings, run.metrics())


class _Lines:
    """Says ten times in a run where it stands."""

    def __init__(self, updates: int, report: Callable[[str], None] | None) -> None:
        self.updates, self.report, self.told = updates, report, 0

    def take(self, record: dict) -> None:
        """Takes a metric record of the trainer."""
        if self.report is None or record["kind"] != "train":
            return
        tenth = 10 * record["update"] // self.updates
        if tenth > self.told:
            self.told = tenth
            self.report(
                f"update {record['update']:5,} of {self.updates:,}   loss {record['loss']:.2f}   "
                f"{record['seconds']:4.0f} s"
            )
