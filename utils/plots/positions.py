"""Positional encodings as a map, with a few of their columns as curves (§3.5)."""

import math

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from utils.errors import ShapeError
from utils.plots.style import (
    LABEL_SIZE,
    LINE_COLOURS,
    QUIET,
    SMALL_SIZE,
    WIDTH,
    Heading,
    NotebookFigure,
    as_numbers,
    grouped,
    house_style,
    place,
)
from utils.transformer.positions import sinusoidal_table

LEFT, RIGHT, STRIP, STRIP_GAP = 0.85, 1.85, 0.55, 0.14  # inches


def positional_map(table, title: str | None = None) -> Figure:
    """A table (length, d_model) as a map, position by dimension, above some of its columns as curves.

    Wavelengths are written beside the curves where the table is the paper's sinusoidal one.
    """
    table = as_numbers(table)
    if table.ndim != 2 or 0 in table.shape:
        raise ShapeError(f"This positional table has shape {table.shape}; this figure draws (length, d_model).")
    length, d_model = table.shape
    sinusoidal = d_model % 2 == 0 and np.allclose(table, sinusoidal_table(length, d_model).numpy(), atol=1e-3)
    columns = _chosen_columns(length, d_model, sinusoidal)
    default = (
        "Each pair of dimensions is a wave of its own length: fast at the top, slow at the bottom"
        if sinusoidal
        else "Positions, each a vector of its own"
    )
    heading = Heading(default if title is None else title, WIDTH)
    map_height = 2.8
    curves = len(columns) * (STRIP + STRIP_GAP)
    height = heading.height + map_height + 0.25 + curves + 0.5
    width = WIDTH - LEFT - RIGHT
    bottom = 0.5 + curves + 0.25
    largest = 1.0 if sinusoidal else float(np.nanmax(np.abs(table))) or 1.0
    with house_style():
        figure = NotebookFigure(figsize=(WIDTH, height))
        heading.draw(figure)
        axes = place(figure, LEFT, bottom, width, map_height)
        image = axes.imshow(table.T, vmin=-largest, vmax=largest, aspect="auto")
        axes.grid(False)
        axes.set_ylabel("dimension")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(8, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
        axes.tick_params(labelbottom=False)
        bar = figure.colorbar(image, cax=place(figure, LEFT + width + 0.18, bottom, 0.13, map_height))
        bar.outline.set_visible(False)
        bar.ax.set_ylabel("value", size=SMALL_SIZE, color=QUIET)
        for row, column in enumerate(columns):
            strip_bottom = bottom - 0.25 - (row + 1) * STRIP - row * STRIP_GAP
            strip = place(figure, LEFT, strip_bottom, width, STRIP, sharex=axes)
            colour = LINE_COLOURS[row % len(LINE_COLOURS)]
            strip.plot(table[:, column], color=colour, linewidth=1.3, marker="o" if length <= 40 else "", markersize=3)
            strip.set_ylim(-1.15 * largest, 1.15 * largest)
            strip.set_yticks([-largest, 0, largest], labels=[f"−{largest:.2g}", "0", f"{largest:.2g}"], size=7)
            strip.tick_params(labelbottom=row == len(columns) - 1)
            name = f"dimension {column}"
            if sinusoidal:
                wavelength = 2 * math.pi * 10000 ** ((column - column % 2) / d_model)
                name += (
                    f"\nwavelength {wavelength:.1f} tokens"
                    if wavelength < 100
                    else f"\nwavelength {grouped(wavelength)} tokens"
                )
            strip.annotate(
                name, (1, 0.5), (8, 0), "axes fraction", textcoords="offset points",
                va="center", color=colour, size=SMALL_SIZE,
            )  # fmt: skip
        strip.set_xlabel("position (tokens from the start)", size=LABEL_SIZE)
        axes.set_xlim(-0.5, length - 0.5)
    return figure


def _chosen_columns(length: int, d_model: int, sinusoidal: bool) -> list[int]:
    """Up to four even columns; of waves, those between a blur of 80 turns and about one turn within the length."""

    def column_with(wavelength: float) -> float:  # solves wavelength = 2π · 10000^(column / d_model)
        return d_model * math.log(max(wavelength / (2 * math.pi), 1.0)) / math.log(10000)

    last = max(d_model - 2, 0)
    first, slowest = 0.0, float(last)
    if sinusoidal:
        first = min(column_with(length / 80), last)
        slowest = min(max(column_with(length), first + 0.25 * d_model), last)
    return sorted({min(2 * math.ceil((first + share * (slowest - first)) / 2), last) for share in (0, 1 / 3, 2 / 3, 1)})
