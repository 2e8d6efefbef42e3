"""Run folders: where a training keeps its settings, metrics, curve and checkpoints, and where they are found again."""

import json
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from utils.errors import CheckpointError, ConfigError, CourseError
from utils.recurrent import RecurrentTranslator
from utils.text.tokenise import BPETokeniser, WordTokeniser, digest, tokeniser_from_json
from utils.training.checkpoints import load_checkpoint, load_weights, write_atomically
from utils.training.origin import origin
from utils.training.settings import Settings
from utils.transformer import FUSED, Parts, Transformer, TransformerConfig

HOME = "ATTENTION_REBUILT_HOME"  # on Colab a folder of Drive, so that checkpoints outlive the session
CHECKPOINT = re.compile(r"update-(\d+)\.safetensors")


@dataclass(frozen=True)
class RunFolder:
    """The files of one run."""

    path: Path

    settings_file = property(lambda self: self.path / "settings.json")
    origin_file = property(lambda self: self.path / "origin.json")
    tokeniser_file = property(lambda self: self.path / "tokeniser.json")
    metrics_file = property(lambda self: self.path / "metrics.jsonl")
    curve_file = property(lambda self: self.path / "loss.png")
    best_file = property(lambda self: self.path / "best.safetensors")
    final_file = property(lambda self: self.path / "model.safetensors")
    checkpoints = property(lambda self: self.path / "checkpoints")

    @classmethod
    def create(cls, path: Path, settings: Settings, tokeniser: WordTokeniser | BPETokeniser) -> "RunFolder":
        """Makes a new folder; one that exists and is not empty is never touched."""
        folder = cls(path)
        try:
            if path.exists() and (not path.is_dir() or any(path.iterdir())):
                raise ConfigError(f"{path} exists and is not empty: choose another --out, or `resume` that run.")
            folder.checkpoints.mkdir(parents=True)
        except OSError as error:
            raise CourseError(
                f"The run folder {path} cannot be made ({error.strerror or error}): choose another with --out."
            ) from None
        write_text(folder.origin_file, json.dumps(origin(), indent=1, ensure_ascii=False) + "\n")
        write_text(folder.tokeniser_file, tokeniser.to_json())
        write_text(folder.settings_file, json.dumps(settings.to_dict(), indent=1) + "\n")
        return folder

    def settings(self) -> Settings:
        """The settings the run was started with."""
        if not self.settings_file.is_file():
            raise CheckpointError(f"{self.path} is not a run folder: it holds no settings.json; give one under runs/.")
        try:
            return Settings.from_dict(json.loads(self.settings_file.read_text(encoding="utf-8")))
        except (json.JSONDecodeError, UnicodeDecodeError, TypeError, AttributeError):
            raise CheckpointError(f"{self.settings_file} is damaged: train the run again.") from None

    def origin(self) -> dict:
        """Command, versions, hardware and commit that started the run."""
        try:
            return json.loads(self.origin_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise CheckpointError(f"{self.path} has no readable origin.json: give a run made by train.") from None

    def tokeniser(self) -> WordTokeniser | BPETokeniser:
        """The run's vocabulary."""
        if not self.tokeniser_file.is_file():
            raise CheckpointError(f"{self.path} holds no tokeniser.json: train the run again.")
        return tokeniser_from_json(self.tokeniser_file.read_text(encoding="utf-8"), self.tokeniser_file)

    def checkpoint_file(self, update: int) -> Path:
        """Where the checkpoint of an update lies."""
        return self.checkpoints / f"update-{update:07d}.safetensors"

    def checkpoint_files(self) -> list[Path]:
        """The checkpoints there are, oldest first."""
        return sorted(path for path in self.checkpoints.glob("*.safetensors") if CHECKPOINT.fullmatch(path.name))

    def remove_leftovers(self) -> None:
        """Removes what a kill left half-written: it was never moved into place."""
        for leftover in [*self.path.glob(".*.tmp"), *self.checkpoints.glob(".*.tmp")]:
            leftover.unlink(missing_ok=True)

    def metrics(self) -> list[dict]:
        """The records of metrics.jsonl; a last line cut short by a kill is left out."""
        if not self.metrics_file.exists():
            return []
        lines = self.metrics_file.read_text(encoding="utf-8").split("\n")
        return [json.loads(line) for line in lines[:-1]]

    def append_metric(self, record: dict) -> None:
        """Adds a line to metrics.jsonl."""
        try:
            with self.metrics_file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
        except OSError as error:
            raise CourseError(
                f"{self.metrics_file} cannot be written ({error.strerror or error}): make room, then `resume` this run."
            ) from None

    def cut_metrics(self, update: int) -> None:
        """Drops the records after an update: the resumed run writes them again."""
        kept = [json.dumps(record) + "\n" for record in self.metrics() if record["update"] <= update]
        write_text(self.metrics_file, "".join(kept))


def write_text(path: Path, text: str) -> None:
    """Writes a text file atomically, and makes its folder if need be."""

    def write(temporary: Path) -> None:
        temporary.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")

    write_atomically(path, write)


def runs_folder() -> Path:
    """Where runs are kept: runs/ here, or in $ATTENTION_REBUILT_HOME."""
    home = os.environ.get(HOME)
    return Path(home).expanduser() / "runs" if home else Path("runs")


def new_run_path(settings: Settings) -> Path:
    """runs/PRESET-DATE-TIME, numbered when that is taken."""
    name = f"{settings.preset}-{time.strftime('%Y%m%d-%H%M%S')}"
    candidates = [runs_folder() / name, *(runs_folder() / f"{name}-{number}" for number in range(2, 100))]
    return next(path for path in candidates if not path.exists())


def find_run(path: Path | str | None = None) -> RunFolder:
    """The run folder given, or the newest under runs/ that has something to translate with."""
    if path is not None:
        if not Path(path).is_dir():
            raise CheckpointError(f"There is no run folder {path}: give one that `python -m utils train` made.")
        return RunFolder(Path(path))
    found = [RunFolder(path.parent) for path in runs_folder().glob("*/settings.json")]
    ready = [run for run in found if run.final_file.exists() or run.checkpoint_files()]
    if not ready:
        raise CheckpointError(
            f"There is no trained run under {runs_folder()}{os.sep}: run `python -m utils train` first, or name one "
            f"with --run."
        )
    return max(ready, key=lambda run: run.settings_file.stat().st_mtime)


def build_model(settings: Settings, vocab_size: int, parts: Parts = FUSED) -> nn.Module:
    """The untrained model that the settings describe; a Transformer is made of the parts given."""
    config = settings.model_config(vocab_size)
    return Transformer(config, parts) if isinstance(config, TransformerConfig) else RecurrentTranslator(config)


def load_run(
    run: RunFolder, checkpoint: Path | None = None, parts: Parts = FUSED
) -> tuple[nn.Module, WordTokeniser | BPETokeniser, Settings]:
    """The trained model of a run, in evaluation mode on the CPU, with its tokeniser and settings.

    Takes `checkpoint` if given, else the finished model, else the newest checkpoint. A run of the model "mine" needs
    the parts that it was trained with.
    """
    settings, tokeniser = run.settings(), run.tokeniser()
    kept = [run.final_file] if run.final_file.exists() else run.checkpoint_files()[-1:]
    path = checkpoint or next(iter(kept), None)
    if path is None:
        raise CheckpointError(f"{run.path} holds no checkpoint yet: let it train for a while, or `resume` it.")
    state = load_checkpoint(path)
    check_vocabulary(state, tokeniser, path)
    model = build_model(settings, tokeniser.vocab_size, parts)
    load_weights(model, state["model"], path)
    return model.eval(), tokeniser, settings


def check_vocabulary(state: dict, tokeniser: WordTokeniser | BPETokeniser, path: Path) -> None:
    """CheckpointError when a checkpoint was trained with another vocabulary than the run's."""
    if "model" not in state:
        raise CheckpointError(f"{path} holds no model: give a checkpoint from a run folder.")
    if state.get("vocabulary") != digest(tokeniser):
        raise CheckpointError(f"{path} was trained with another vocabulary: keep it beside its own tokeniser.json.")


def weights_state(weights: dict[str, Tensor], tokeniser: WordTokeniser | BPETokeniser, update: int) -> dict:
    """What best.safetensors and model.safetensors hold."""
    return {"model": weights, "vocabulary": digest(tokeniser), "update": update}
