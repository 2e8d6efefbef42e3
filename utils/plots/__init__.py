"""Every figure that more than one chapter draws. Each function takes plain numbers and returns the `Figure`."""

from utils.plots.attention import attention_lines, attention_map, heads_grid
from utils.plots.chooser import HeadChooser, View
from utils.plots.curves import schedule_curves, training_curves
from utils.plots.positions import positional_map
from utils.plots.style import save

__all__ = [
    "HeadChooser", "View", "attention_lines", "attention_map", "heads_grid", "positional_map", "save",
    "schedule_curves", "training_curves",
]  # fmt: skip
