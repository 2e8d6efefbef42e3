"""Text as pieces and batches as rectangles: words that grow together by merges, and the padding of batches (§5.1)."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from utils.errors import ShapeError
from utils.plots.style import (
    FAINT,
    LABEL_SIZE,
    LINE_COLOURS,
    QUIET,
    WIDTH,
    Heading,
    NotebookFigure,
    house_style,
    place,
    printable,
    text_width,
)

LETTERS, ROW, GAP = 11.0, 0.36, 0.05  # points; inches from one row to the next; inches between pieces
PADDED = "#e69f00"


def growing_pieces(stages: Sequence[tuple[str, Sequence[Sequence[str]]]], title: str | None = None) -> Figure:
    """One row a stage, ("after 25 merges", [pieces of each word]): every piece in a box of its own.

    Raises ShapeError, in words, when the stages do not show the same words.
    """
    spelled = [["".join(pieces) for pieces in words] for _, words in stages]
    if not stages or not spelled[0] or any(words != spelled[0] for words in spelled):
        raise ShapeError(f"Every stage shows the same words, cut into other pieces; these spell {spelled}.")
    left = max(text_width(name, LABEL_SIZE) for name, _ in stages) + 0.35
    widest = [max(_row_width(words[i]) for _, words in stages) for i in range(len(spelled[0]))]
    starts = left + np.concatenate([[0.0], np.cumsum(np.array(widest) + 0.35)])
    width = max(float(starts[-1]), 5.0)
    heading = Heading("Frequent words grow together" if title is None else title, width)
    height = heading.height + ROW * len(stages) + 0.15
    with house_style():
        figure = NotebookFigure(figsize=(width, height))
        heading.draw(figure)
        axes = place(figure, 0, 0, width, height)
        axes.set(xlim=(0, width), ylim=(0, height))
        axes.axis("off")
        for row, (name, words) in enumerate(stages):
            y = height - heading.height - (row + 0.5) * ROW
            axes.text(left - 0.2, y, name, ha="right", va="center", size=LABEL_SIZE, color=QUIET)
            for start, pieces in zip(starts, words, strict=False):
                _draw_pieces(axes, float(start), y, pieces)
    return figure


def _row_width(pieces: Sequence[str]) -> float:
    return sum(_piece_width(piece) + GAP for piece in pieces)


def _piece_width(piece: str) -> float:
    return text_width(printable(piece, 40), LETTERS) + 0.12


def _draw_pieces(axes, x: float, y: float, pieces: Sequence[str]) -> None:
    for piece in pieces:
        width = _piece_width(piece)
        colour = LINE_COLOURS[0] if len(piece) > 1 else QUIET
        box = FancyBboxPatch(
            (x, y - 0.13), width, 0.26, boxstyle="round,pad=0,rounding_size=0.05", linewidth=1.0,
            edgecolor=colour, facecolor=colour + ("22" if len(piece) > 1 else "0c"),
        )  # fmt: skip
        axes.add_patch(box)
        axes.text(x + width / 2, y - 0.055, printable(piece, 40), ha="center", va="baseline", size=LETTERS)
        x += width + GAP


def padding_rectangles(plans: Sequence[tuple[str, Sequence[Sequence[int]]]], title: str | None = None) -> Figure:
    """One panel a plan, ("shuffled", [lengths of the sentences in each batch]): words dark, padding light.

    Sentences are rows, and a batch is as wide as its longest sentence. Raises ShapeError for an empty plan.
    """
    if not plans or any(not batches or not all(batches) for _, batches in plans):
        raise ShapeError("Each plan is a list of batches, and each batch a list of at least one sentence's length.")
    longest = max(length for _, batches in plans for batch in batches for length in batch)
    pictures = [_picture(batches, longest) for _, batches in plans]
    rows = max(map(len, pictures))
    heading = Heading("Padding is what a batch pays for unequal lengths" if title is None else title, WIDTH)
    panel_height, panel_width = 3.6, (WIDTH - 0.7 - 0.35 * (len(plans) - 1) - 0.2) / len(plans)
    with house_style():
        height = heading.height + panel_height + 1.0
        figure = NotebookFigure(figsize=(WIDTH, height))
        heading.draw(figure)
        for colour, word, left in ((LINE_COLOURS[0], "■ words", 0.7), (PADDED, "■ padding", 1.4)):
            y = (height - heading.height - 0.05) / height
            figure.text(left / WIDTH, y, word, color=colour, size=LABEL_SIZE, va="center")
        for index, ((name, batches), picture) in enumerate(zip(plans, pictures, strict=True)):
            axes = place(figure, 0.7 + index * (panel_width + 0.35), 0.5, panel_width, panel_height)
            axes.imshow(
                picture, cmap=ListedColormap(["#ffffff", LINE_COLOURS[0], PADDED]), vmin=0, vmax=2, aspect="auto",
                interpolation="nearest", extent=(0, longest, len(picture), 0),
            )  # fmt: skip
            axes.grid(False)
            axes.set(ylim=(rows, 0), xlim=(0, longest))
            axes.set_xlabel("position in the sentence (tokens)", size=LABEL_SIZE)
            axes.set_yticks([])
            share = 1 - sum(map(sum, batches)) / sum(len(batch) * max(batch) for batch in batches)
            axes.set_title(f"{name}: {100 * share:.1f} % padding", size=LABEL_SIZE, loc="left", pad=5)
            axes.spines[:].set_color(FAINT)
            if index == 0:
                axes.set_ylabel("sentences, batch by batch", size=LABEL_SIZE)
    return figure


def _picture(batches: Sequence[Sequence[int]], longest: int) -> np.ndarray:
    """0 paper, 1 word, 2 padding; a few empty rows between batches."""
    gap = max(1, sum(map(len, batches)) // 90)
    rows = []
    for batch in batches:
        for length in batch:
            rows.append([1] * length + [2] * (max(batch) - length) + [0] * (longest - max(batch)))
        rows += [[0] * longest] * gap
    return np.array(rows[:-gap])
