"""Loss, schedule, checkpoints and the training loop (§5)."""

from utils.training.loss import smoothed_cross_entropy, summed_loss
from utils.training.prepare import new_run, taken_up_run
from utils.training.runs import RunFolder, find_run, load_run
from utils.training.schedule import learning_rate, paper_schedule
from utils.training.settings import PRESETS, Settings, preset_settings
from utils.training.short import ShortRun, train_briefly
from utils.training.trainer import Trainer, corpus_loss

__all__ = [
    "PRESETS", "RunFolder", "Settings", "ShortRun", "Trainer", "corpus_loss", "find_run", "learning_rate", "load_run",
    "new_run", "paper_schedule", "preset_settings", "smoothed_cross_entropy", "summed_loss", "taken_up_run",
    "train_briefly",
]  # fmt: skip
