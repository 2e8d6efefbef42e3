"""Attention weights as pictures: one map, all heads side by side, and lines between words.

Rows of a map are queries, columns are keys; a row sums to one.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.path import Path as Outline
from matplotlib.ticker import MaxNLocator

from utils.errors import ShapeError
from utils.plots.style import (
    FAINT,
    INK,
    LABEL_SIZE,
    LINE_COLOURS,
    MAP_COLOURS,
    QUIET,
    SMALL_SIZE,
    WIDTH,
    Heading,
    NotebookFigure,
    as_numbers,
    house_style,
    line_height,
    place,
    printable,
    text_width,
)

QUERY_AXIS, KEY_AXIS = "query (generated word)", "key (source word)"
LEGIBLE = 0.105  # inches from one label to the next, for six points
COLOUR_BAR = 0.75  # inches at the right: gap, bar and its numbers


def attention_map(
    weights,
    queries: Sequence[str],
    keys: Sequence[str],
    title: str | None = None,
    *,
    query_axis: str = QUERY_AXIS,
    key_axis: str = KEY_AXIS,
) -> Figure:
    """Heat map of one head's weights (target_len, source_len), with a word at every row and column.

    Made for 5 to 60 words a side: letters shrink and turn as cells get smaller, numbers stand in cells that have room.
    Raises ShapeError, in words, when words and weights do not match.
    """
    weights = _checked(weights, queries, keys, dimensions=2)
    rows, columns = [printable(word) for word in queries], [printable(word) for word in keys]
    row_size = _letter_size(min(0.5, 7.2 / len(rows)))
    corner = query_axis.replace(" (", "\n(") + " ↓"
    left = max(_widest(rows, row_size), text_width(corner, LABEL_SIZE)) + 0.3
    cell_width = min(0.6, (WIDTH - left - COLOUR_BAR) / len(columns))
    cell_height = min(0.5, 7.2 / len(rows), 2.5 * cell_width)
    cell_width = min(cell_width, 5 * cell_height)
    column_size = _letter_size(cell_width)
    upright = _widest(columns, column_size) > cell_width - 0.06
    above = (_widest(columns, column_size) if upright else line_height(column_size)) + 0.12

    map_width, map_height = cell_width * len(columns), cell_height * len(rows)
    width = max(left + map_width + COLOUR_BAR, left + text_width(key_axis + " →", LABEL_SIZE) + 0.3, 4.8)
    heading = Heading(_or(title, "Each row shows where one query looks"), width)
    top = heading.height - 0.05 + line_height(LABEL_SIZE) + max(above, 0.3)
    with house_style():
        figure = NotebookFigure(figsize=(width, top + map_height + 0.2))
        heading.draw(figure)
        axes = place(figure, left, 0.2, map_width, map_height)
        image = _draw_map(axes, weights)
        _word_ticks(axes.yaxis, rows, row_size, cell_height)
        _word_ticks(axes.xaxis, columns, column_size, cell_width, rotation=90 if upright else 0)
        axes.xaxis.tick_top()
        axes.xaxis.set_label_position("top")
        axes.tick_params(length=0, pad=3)
        axes.set_xlabel(key_axis + " →", ha="left", va="bottom", color=QUIET)
        axes.set_ylabel(corner, rotation=0, ha="right", va="bottom", color=QUIET)
        inches, edge = figure.dpi_scale_trans, 0.2 + map_height
        axes.xaxis.set_label_coords(left, edge + above, transform=inches)
        axes.yaxis.set_label_coords(left - 0.08, edge + 0.06, transform=inches)
        _cell_lines(axes, weights)
        if cell_width >= 0.4 and cell_height >= 0.25:
            _numbers_in_cells(axes, weights)
        _colour_bar(figure, image, left + map_width + 0.18, 0.2, map_height)
    return figure


def heads_grid(
    weights,
    queries: Sequence[str],
    keys: Sequence[str],
    title: str | None = None,
    *,
    query_axis: str = QUERY_AXIS,
    key_axis: str = KEY_AXIS,
) -> Figure:
    """All heads' weights (heads, target_len, source_len) as small maps on one colour scale; words where legible.

    Raises ShapeError, in words, when words and weights do not match.
    """
    weights = _checked(weights, queries, keys, dimensions=3)
    heads, target_len, source_len = weights.shape
    across = _columns(heads, max(target_len, source_len))
    down = -(-heads // across)
    rows, columns = [printable(word, 10) for word in queries], [printable(word, 10) for word in keys]

    gap, heading_height = 0.16, 0.24  # between maps; "head 1" above each
    for left in (_widest(rows, 9) + 0.5, 0.85):  # with room for words, else for numbers alone
        widest = 7.2 if heads == 1 else 4.6
        panel_width = min(widest, 0.45 * source_len + 0.4, (WIDTH - left - COLOUR_BAR - gap * (across - 1)) / across)
        panel_height = float(np.clip(panel_width * target_len / source_len, 0.9, max(1.35 * panel_width, 0.9)))
        cell_width, cell_height = panel_width / source_len, panel_height / target_len
        words_at_rows = cell_height >= LEGIBLE
        if words_at_rows:
            break
    words_at_columns = cell_width >= LEGIBLE
    column_size, row_size = min(9, _letter_size(cell_width)), min(9, _letter_size(cell_height))
    below = 0.45 + (_widest(columns, column_size) if words_at_columns else 0.15)
    grid_width = across * panel_width + (across - 1) * gap
    grid_height = down * (panel_height + heading_height) + (down - 1) * gap
    width = max(left + grid_width + COLOUR_BAR, 4.8)
    one = "One head" if heads == 1 else f"{heads} heads"
    heading = Heading(_or(title, f"{one}: each row shows where one query looks"), width)
    with house_style():
        figure = NotebookFigure(figsize=(width, heading.height + grid_height + below))
        heading.draw(figure)
        for head in range(heads):
            row, column = divmod(head, across)
            bottom = below + grid_height - (row + 1) * (panel_height + heading_height) - row * gap
            axes = place(figure, left + column * (panel_width + gap), bottom, panel_width, panel_height)
            image = _draw_map(axes, weights[head])
            axes.set_title(f"head {head + 1}", size=LABEL_SIZE, color=QUIET, loc="left", pad=3)
            axes.tick_params(length=0, pad=2)
            lowest = head + across >= heads
            if words_at_rows:
                _word_ticks(axes.yaxis, rows, row_size, cell_height)
            if words_at_columns:
                _word_ticks(axes.xaxis, columns, column_size, cell_width, rotation=90)
            for axis, words, shown in (
                (axes.yaxis, words_at_rows, column == 0),
                (axes.xaxis, words_at_columns, lowest),
            ):
                if not words:
                    axis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
                if not shown:
                    axis.set_tick_params(labelleft=False, labelbottom=False)
        middle = (left + grid_width / 2) / width, (below + grid_height / 2) / figure.get_size_inches()[1]
        x_name = key_axis + " →" if words_at_columns else f"{key_axis}, by position →"
        y_name = "← " + query_axis if words_at_rows else f"← {query_axis}, by position"
        style = dict(size=LABEL_SIZE, color=QUIET)
        figure.supxlabel(x_name, x=middle[0], y=0.12 / figure.get_size_inches()[1], va="bottom", **style)
        if text_width(y_name, LABEL_SIZE) > grid_height:
            y_name = y_name.replace(" (", "\n(")
        figure.supylabel(y_name, x=0.12 / width, y=middle[1], ha="left", **style)
        height = min(grid_height - heading_height, max(panel_height, 1.2))
        _colour_bar(figure, image, left + grid_width + 0.18, below + grid_height - heading_height - height, height)
    return figure


def attention_lines(
    weights,
    queries: Sequence[str],
    keys: Sequence[str],
    title: str | None = None,
    *,
    query_axis: str = QUERY_AXIS,
    key_axis: str = KEY_AXIS,
) -> Figure:
    """Weights (target_len, source_len) as lines from each query to its keys; the stronger, the darker and thicker.

    The view of the paper's appendix, in our own drawing. Weights under 0.02 are left out.
    Raises ShapeError, in words, when words and weights do not match.
    """
    weights = _checked(weights, queries, keys, dimensions=2)
    rows, columns = [printable(word, 20) for word in queries], [printable(word, 20) for word in keys]
    longest = max(len(rows), len(columns))
    pitch = max(0.14, min(0.34, 8.4 / longest))
    size = min(11.0, 0.72 * pitch * 72)
    left = max(_widest(rows, size), text_width(query_axis, LABEL_SIZE)) + 0.35
    right = max(_widest(columns, size), text_width(key_axis, LABEL_SIZE)) + 0.35
    span, height = min(3.4, WIDTH - left - right), pitch * longest
    width = max(left + span + right, 4.8)
    heading = Heading(_or(title, "Each word on the left looks at words on the right"), width)
    top = heading.height + 0.35
    left += (width - left - span - right) / 2
    with house_style():
        figure = NotebookFigure(figsize=(width, top + height + 0.15))
        heading.draw(figure)
        axes = place(figure, left, 0.15, span, height)
        axes.set(xlim=(0, 1), ylim=(height, 0))
        axes.axis("off")
        # The shorter column is spread over the height of the longer one.
        from_y = (np.arange(len(rows)) + 0.5) * height / len(rows)
        to_y = (np.arange(len(columns)) + 0.5) * height / len(columns)
        _draw_lines(axes, weights, from_y, to_y)
        for words, heights, name, at, side in (
            (rows, from_y, query_axis, -0.1 / span, "right"),
            (columns, to_y, key_axis, 1 + 0.1 / span, "left"),
        ):
            axes.text(at, -0.12, name, ha=side, va="bottom", color=QUIET, size=LABEL_SIZE)
            for word, y in zip(words, heights, strict=True):
                axes.text(at, y + 0.36 * size / 72, word, ha=side, va="baseline", size=size)
    return figure


def _draw_lines(axes: Axes, weights: np.ndarray, from_y: np.ndarray, to_y: np.ndarray) -> None:
    """One curve a weight; neighbouring queries differ in colour, so that an eye can follow one of them."""
    curve = [Outline.MOVETO, Outline.CURVE4, Outline.CURVE4, Outline.CURVE4]
    order = [(row, column) for row, column in np.argwhere(weights >= 0.02)]
    order.sort(key=lambda cell: weights[cell[0], cell[1]])  # the strong ones on top
    outlines, colours, widths = [], [], []
    for row, column in order:
        weight = min(float(weights[row, column]), 1.0)
        start, end = from_y[row], to_y[column]
        outlines.append(Outline([(0, start), (0.35, start), (0.65, end), (1, end)], curve))
        red, green, blue = (int(LINE_COLOURS[row % 4][i : i + 2], 16) / 255 for i in (1, 3, 5))
        colours.append((red, green, blue, weight))
        widths.append(0.6 + 2.2 * weight)
    lines = PathCollection(outlines, facecolors="none", edgecolors=colours, linewidths=widths, clip_on=False)
    lines.set_transform(axes.transData)
    axes.add_collection(lines, autolim=False)


def _checked(weights, queries: Sequence[str], keys: Sequence[str], dimensions: int) -> np.ndarray:
    """The weights as numbers, or a ShapeError that says what does not match."""
    for words, name in ((queries, "queries"), (keys, "keys")):
        if isinstance(words, str):
            raise ShapeError(f"The {name} are one string; give them as a list of words: text.split().")
    numbers = as_numbers(weights)
    layout = "(target_len, source_len)" if dimensions == 2 else "(heads, target_len, source_len)"
    if numbers.ndim != dimensions or 0 in numbers.shape:
        raise ShapeError(f"These attention weights have shape {numbers.shape}; this figure draws {layout}.")
    for words, name, length, lines in (
        (queries, "query", numbers.shape[-2], "rows"),
        (keys, "key", numbers.shape[-1], "columns"),
    ):
        if len(words) != length:
            swapped = (len(queries), len(keys)) == (numbers.shape[-1], numbers.shape[-2])
            advice = "queries and keys seem to be exchanged" if swapped else f"give one {name} word for each"
            raise ShapeError(f"There are {len(words)} {name} words and {length} {lines} of weights: {advice}.")
    return numbers


def _or(title: str | None, default: str) -> str:
    return default if title is None else title


def _letter_size(pitch: float) -> float:
    """Points for labels that stand `pitch` inches apart."""
    return float(np.clip(0.74 * 72 * pitch, 6.0, 10.0))


def _widest(words: list[str], size: float) -> float:
    return max(text_width(word, size) for word in words)


def _columns(heads: int, length: int) -> int:
    if heads <= 3:
        return heads
    if heads == 4:
        return 4 if length <= 12 else 2  # long sentences get larger maps
    return 3 if heads in (5, 6, 9) else 4 if heads <= 16 else 6


def _draw_map(axes: Axes, weights: np.ndarray) -> AxesImage:
    colours = colormaps[MAP_COLOURS].with_extremes(bad=FAINT)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    return axes.imshow(weights, cmap=colours, vmin=0, vmax=1, aspect="auto", interpolation="nearest")


def _word_ticks(axis, words: list[str], size: float, pitch: float, rotation: float = 0) -> None:
    """A word at every cell, or at every second, third … one where they would touch."""
    step = max(1, int(np.ceil(LEGIBLE / pitch - 1e-6)))
    shown = range(0, len(words), step)
    axis.set_ticks(list(shown), labels=[words[i] for i in shown], size=size, rotation=rotation, parse_math=False)


def _cell_lines(axes: Axes, weights: np.ndarray) -> None:
    """Thin lines between cells that are large enough to bear them."""
    if max(weights.shape) > 30:
        return
    axes.set_xticks(np.arange(weights.shape[1] - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(weights.shape[0] - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=0.6)
    axes.tick_params(which="minor", length=0)


def _numbers_in_cells(axes: Axes, weights: np.ndarray) -> None:
    for row, column in np.argwhere(weights >= 0.005):  # 0.00 in every other cell would hide the rest
        weight = weights[row, column]
        ink = "white" if weight < 0.55 else INK
        axes.text(column, row, f"{weight:.2f}", ha="center", va="center", size=7.5, color=ink)


def _colour_bar(figure: Figure, image: AxesImage, left: float, bottom: float, height: float) -> None:
    axes = place(figure, left, bottom, 0.13, height)
    bar = figure.colorbar(image, cax=axes, ticks=[0, 0.5, 1] if height < 1 else [0, 0.25, 0.5, 0.75, 1])
    bar.outline.set_visible(False)
    axes.tick_params(length=2, labelsize=SMALL_SIZE)
    axes.set_title("weight", size=SMALL_SIZE, color=QUIET, loc="left", pad=8)
