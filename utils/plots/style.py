"""What all figures share: paper, ink, palette, words that are safe to draw, and saving.

Every figure stands on opaque light paper, so that it reads the same in a light and in a dark notebook, and is a
plain `Figure` outside pyplot: nothing is shown, closed or left in the global state.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.textpath import text_to_path

from utils.errors import CourseError

WIDTH = 9.0  # inches: the width of a notebook's output
PAPER, INK, QUIET, FAINT = "#ffffff", "#222222", "#5f5f5f", "#d9d9d9"
LINE_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")  # Okabe–Ito, no yellow
MAP_COLOURS = "cividis"  # perceptually uniform, and the same to red–green colour-blind eyes
FONT = "DejaVu Sans"  # comes with matplotlib; has umlauts, ▁ and Ġ
TITLE_SIZE, LABEL_SIZE, SMALL_SIZE = 12.0, 9.0, 8.0  # points

HOUSE_STYLE = {
    "font.family": [FONT],
    "font.size": LABEL_SIZE,
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#ececec",
    "text.color": INK,
    "text.parse_math": False,  # a token may be "$" or "x_1"
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": SMALL_SIZE,
    "ytick.labelsize": SMALL_SIZE,
    "image.cmap": MAP_COLOURS,
}


class NotebookFigure(Figure):
    """A figure that a notebook displays even where nobody has imported pyplot."""

    def _repr_png_(self) -> bytes:
        from io import BytesIO

        buffer = BytesIO()
        self.savefig(buffer, format="png", dpi=100, facecolor=self.get_facecolor())
        return buffer.getvalue()


@contextmanager
def house_style() -> Iterator[None]:
    """Within it, figures look the same whatever style the reader's notebook has set; afterwards all is as it was."""
    with matplotlib.style.context(["default", HOUSE_STYLE]):
        yield


def place(figure: Figure, left: float, bottom: float, width: float, height: float, **settings) -> Axes:
    """Adds axes at a place given in inches from the figure's lower left corner."""
    full_width, full_height = figure.get_size_inches()
    box = (left / full_width, bottom / full_height, width / full_width, height / full_height)
    axes = figure.add_axes(box, **settings)
    axes.tick_params(labelfontfamily=FONT)
    return axes


@cache
def _font_file():
    return get_font(findfont(FontProperties(family=FONT)))


def printable(token: object, longest: int = 14) -> str:
    """The token as it can be drawn: spaces made visible, characters that the font lacks as ▯, cut with … if long."""
    text = "".join("␣" if c.isspace() else c if _font_file().get_char_index(ord(c)) else "▯" for c in str(token))
    return text if len(text) <= longest else text[: longest - 1] + "…"


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Width of the widest line in inches, when set at `size` points."""
    font = FontProperties(family=FONT, size=size, weight="bold" if bold else "normal")
    lines = text.split("\n")
    return max(text_to_path.get_text_width_height_descent(line, font, False)[0] for line in lines) / 72


def line_height(size: float, lines: int = 1) -> float:
    """Height of so many lines in inches, when set at `size` points."""
    return lines * 1.3 * size / 72


def wrapped(text: str, size: float, width: float, bold: bool = False) -> str:
    """Breaks a text between words into lines no wider than `width` inches."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if not lines[-1] or text_width(longer, size, bold) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines)


class Heading:
    """A title, and a quieter line under it, whose height is known before the figure is made."""

    def __init__(self, title: str, width: float, subtitle: str = "") -> None:
        room = width - 0.3
        self.title = wrapped(title, TITLE_SIZE, room, bold=True) if title else ""
        self.subtitle = wrapped(subtitle, LABEL_SIZE, room) if subtitle else ""
        self.title_height = line_height(TITLE_SIZE, self.title.count("\n") + 1) if self.title else 0.0
        subtitle_height = line_height(LABEL_SIZE, self.subtitle.count("\n") + 1) if self.subtitle else 0.0
        self.height = 0.15 + self.title_height + subtitle_height + (0.15 if self.title or self.subtitle else 0.0)

    def draw(self, figure: Figure) -> None:
        """Writes both at the top left of the figure."""
        width, height = figure.get_size_inches()
        left = 0.15 / width
        if self.title:
            style = dict(size=TITLE_SIZE, weight="bold", va="top", ha="left")
            figure.suptitle(self.title, x=left, y=1 - 0.13 / height, **style)
        if self.subtitle:
            top = 1 - (0.15 + self.title_height) / height
            figure.text(left, top, self.subtitle, size=LABEL_SIZE, color=QUIET, va="top", ha="left")


def as_numbers(values) -> np.ndarray:
    """A tensor (any device, dtype, with or without gradient), array or list as a float array."""
    if hasattr(values, "detach"):
        values = values.detach().float().cpu().numpy()
    return np.asarray(values, dtype=float)


def spread(wanted: list[float], gap: float, low: float, high: float) -> list[float]:
    """Moves label positions apart until `gap` lies between neighbours, within low and high if there is room."""
    order = np.argsort(wanted, kind="stable")
    placed = np.clip(np.asarray(wanted, dtype=float)[order], low, high)
    for i in range(1, len(placed)):
        placed[i] = max(placed[i], placed[i - 1] + gap)
    if len(placed) and placed[-1] > high:
        placed[-1] = high
        for i in range(len(placed) - 2, -1, -1):
            placed[i] = min(placed[i], placed[i + 1] - gap)
    result = np.empty_like(placed)
    result[order] = placed
    return result.tolist()


def grouped(number: float) -> str:
    """12345 → "12 345", with a thin space."""
    return f"{number:,.0f}".replace(",", "\u2009")


def save(figure: Figure, path: str | Path) -> Path:
    """Writes the figure as PNG, 150 dots an inch, whole or not at all; returns the path.

    Raises CourseError, in one sentence, when the file cannot be written; what was there before stays as it was.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise CourseError(f"Figures are written as PNG: give {path.name!r} a name that ends in .png.")
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        try:
            figure.savefig(unfinished, format="png", dpi=150, facecolor=figure.get_facecolor())
            os.replace(unfinished, path)
        except BaseException:
            if unfinished.exists():
                unfinished.unlink()
            raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise CourseError(
            f"Cannot write the figure {path}: {reason}. Name a folder that exists and that you may write to."
        ) from error
    return path
