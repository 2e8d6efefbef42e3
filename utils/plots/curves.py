"""Training and learning rates over updates."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from utils.errors import ShapeError
from utils.plots.style import (
    LINE_COLOURS,
    QUIET,
    SMALL_SIZE,
    WIDTH,
    Heading,
    NotebookFigure,
    as_numbers,
    grouped,
    house_style,
    line_height,
    place,
    printable,
    spread,
    text_width,
)

TRAIN, VALID = LINE_COLOURS[0], LINE_COLOURS[1]
LEFT, RIGHT, GAP = 1.0, 1.15, 0.22  # inches


def training_curves(metrics: Sequence[Mapping], title: str | None = None) -> Figure:
    """Loss per token over updates, with BLEU (if measured) and the learning rate in panels below.

    metrics: the records that training writes, {"kind": "train", "update", "loss", "learning_rate", …} and
    {"kind": "valid", "update", "loss", "perplexity", "bleu" if measured}. Where a resumed run has done updates again,
    its records stand in for the earlier ones. Values that are not finite leave a gap and a note.
    """
    train, valid = _latest(metrics, "train"), _latest(metrics, "valid")
    scored = [record for record in valid if math.isfinite(_number(record, "bleu"))]
    best = min((r for r in valid if math.isfinite(_number(r, "loss"))), key=lambda r: r["loss"], default=None)
    heading = Heading(_message(train, best) if title is None else title, WIDTH, _circumstances(train))
    panels = [("loss", 2.9)] + ([("bleu", 1.1)] if scored else []) + [("rate", 0.85)]
    note = _not_finite(train, valid)
    bottom = 0.5 + (0.2 if note else 0.0)
    above = 0.25  # for the mark of the best validation
    height = heading.height + above + sum(h for _, h in panels) + GAP * (len(panels) - 1) + bottom
    with house_style():
        figure = NotebookFigure(figsize=(WIDTH, height))
        heading.draw(figure)
        axes: dict[str, Axes] = {}
        top = height - heading.height - above
        for name, panel_height in panels:
            shared = axes.get("loss")
            axes[name] = place(
                figure, LEFT, top - panel_height, WIDTH - LEFT - RIGHT, panel_height, sharex=shared, label=name
            )
            top -= panel_height + GAP
            axes[name].tick_params(labelbottom=name == "rate")
        _draw_losses(axes["loss"], train, valid)
        if scored:
            _draw_series(axes["bleu"], scored, "bleu", LINE_COLOURS[2], "o-")
            _name_ends(axes["bleu"], [(_last(scored, "bleu"), "BLEU {:.1f}", LINE_COLOURS[2])])
            axes["bleu"].set_ylabel("BLEU (0–100)")
            axes["bleu"].yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        _draw_series(axes["rate"], train, "learning_rate", QUIET, "-")
        axes["rate"].set_ylabel("learning\nrate")
        axes["rate"].set_xlabel("update")
        axes["rate"].yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
        axes["rate"].yaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:.3g}"))
        if any(math.isfinite(_number(r, "learning_rate")) for r in train):
            axes["rate"].set_ylim(bottom=0)
        else:
            axes["rate"].set_yticks([])
        _update_axis(axes["rate"], [r["update"] for r in (*train, *valid)])
        for panel in axes.values():  # names in one line, clear of the numbers
            panel.yaxis.label.set_va("bottom")
            panel.yaxis.set_label_coords(-0.6 / (WIDTH - LEFT - RIGHT), 0.5)
        if best is not None:
            _mark_best(axes, best)
        if not train and not valid:
            style = dict(ha="center", va="center", color=QUIET, transform=axes["loss"].transAxes)
            axes["loss"].text(0.5, 0.5, "no records yet", **style)
            axes["loss"].set_yticks([])
        if note:
            figure.text(LEFT / WIDTH, 0.1 / height, note, size=SMALL_SIZE, color=VALID, va="bottom")
    return figure


def schedule_curves(schedules: Mapping[str, Sequence[float]], title: str | None = None) -> Figure:
    """Learning rates over updates, one named curve a schedule; the first value belongs to update 1.

    The peak of each is marked and written beside its name.
    """
    curves = {str(name): as_numbers(rates) for name, rates in schedules.items()}
    curves = {name: np.where(np.isfinite(rates), rates, np.nan) for name, rates in curves.items()}
    for name, rates in curves.items():
        if rates.ndim != 1 or not np.isfinite(rates).any():
            raise ShapeError(
                f"The schedule {name!r} has shape {rates.shape}; give a list of at least one learning rate."
            )
    if not curves:
        raise ShapeError("There is no schedule to draw: give at least one, as {'name': [learning rates]}.")
    names, ends = [], []
    for name, rates in curves.items():
        peak = int(np.nanargmax(rates))
        constant = np.nanmax(rates) == np.nanmin(rates)
        value = "always" if constant else "peak"
        where = "" if constant else f" at {grouped(peak + 1)}"
        names.append(f"{printable_line(name)}\n{value} {rates[peak]:.3g}{where}")
        ends.append(float(rates[np.isfinite(rates)][-1]))
    right = max(text_width(name, SMALL_SIZE) for name in names) + 0.45
    default = "Learning rate over updates"
    if len(curves) == 1:
        rates = next(iter(curves.values()))
        default = f"The learning rate peaks at {np.nanmax(rates):.3g}, at update {grouped(np.nanargmax(rates) + 1)}"
    heading = Heading(default if title is None else title, WIDTH)
    panel_height = max(2.9, len(curves) * 1.1 * line_height(SMALL_SIZE, 2))
    height = heading.height + panel_height + 0.6
    with house_style():
        figure = NotebookFigure(figsize=(WIDTH, height))
        heading.draw(figure)
        axes = place(figure, LEFT, 0.5, WIDTH - LEFT - right, panel_height)
        longest = max(len(rates) for rates in curves.values())
        for index, rates in enumerate(curves.values()):
            colour, style = _colour(index)
            updates, peak = np.arange(1, len(rates) + 1), int(np.nanargmax(rates))
            axes.plot(updates, rates, style, color=colour, linewidth=1.8)
            axes.plot(peak + 1, rates[peak], "o", color=colour, markersize=6, markeredgecolor="white")
        axes.set_ylim(0, 1.08 * max(float(np.nanmax(rates)) for rates in curves.values()) or 1.0)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:.3g}"))
        _update_axis(axes, [1, longest])
        axes.set(xlabel="update", ylabel="learning rate")
        top = axes.get_ylim()[1]
        needed = line_height(SMALL_SIZE, 2) / panel_height * top
        places = spread(ends, 1.05 * needed, needed / 2, top - needed / 2)
        lengths = [len(rates) for rates in curves.values()]
        for index, (name, end, at, last) in enumerate(zip(names, ends, places, lengths, strict=True)):
            _end_label(axes, last, end, at, name, _colour(index)[0])
    return figure


def printable_line(text: str, longest: int = 30) -> str:
    """A name on one line, its spaces kept, cut with … if long."""
    line = " ".join(printable(word, longest) for word in text.split()) or "▯"
    return line if len(line) <= longest else line[: longest - 1] + "…"


def _colour(index: int) -> tuple[str, str]:
    lap, place_in_lap = divmod(index, len(LINE_COLOURS))
    return LINE_COLOURS[place_in_lap], ("-", "--", ":", "-.")[lap % 4]


def _latest(metrics: Sequence[Mapping], kind: str) -> list[Mapping]:
    """Records of one kind in order of updates; one that goes back in updates replaces what came after its place."""
    kept: list[Mapping] = []
    for record in metrics:
        if record.get("kind") == kind and "update" in record:
            while kept and kept[-1]["update"] >= record["update"]:
                kept.pop()
            kept.append(record)
    return kept


def _number(record: Mapping, name: str) -> float:
    value = record.get(name)
    return math.nan if value is None else float(value)


def _series(records: Sequence[Mapping], name: str) -> tuple[np.ndarray, np.ndarray]:
    values = np.array([_number(record, name) for record in records], dtype=float)
    return np.array([record["update"] for record in records], dtype=float), np.where(
        np.isfinite(values), values, np.nan
    )


def _last(records: Sequence[Mapping], name: str) -> tuple[float, float]:
    """The last finite point of a series."""
    updates, values = _series(records, name)
    finite = np.flatnonzero(np.isfinite(values))
    return (updates[finite[-1]], values[finite[-1]]) if len(finite) else (math.nan, math.nan)


def _draw_series(axes: Axes, records: Sequence[Mapping], name: str, colour: str, style: str) -> None:
    updates, values = _series(records, name)
    alone = np.isfinite(values).sum() <= 2
    axes.plot(updates, values, "o-" if alone else style, color=colour, linewidth=1.6, markersize=3.5)


def _draw_losses(axes: Axes, train: Sequence[Mapping], valid: Sequence[Mapping]) -> None:
    axes.set_ylabel("loss per token (nats)")
    labels = []
    if train:
        updates, losses = _series(train, "loss")
        if len(losses) > 100:  # every record faintly, the mean around it on top
            axes.plot(updates, losses, color=TRAIN, linewidth=0.6, alpha=0.25)
            losses = _running_mean(losses, len(losses) // 100)
        axes.plot(updates, losses, "o-" if np.isfinite(losses).sum() <= 2 else "-", color=TRAIN, linewidth=1.6, ms=3.5)
        finite = np.flatnonzero(np.isfinite(losses))
        if len(finite):
            labels.append(((updates[finite[-1]], losses[finite[-1]]), "train {:.2f}", TRAIN))
    if valid:
        _draw_series(axes, valid, "loss", VALID, "o-")
        labels.append((_last(valid, "loss"), "valid {:.2f}", VALID))
    _name_ends(axes, labels)


def _running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Mean of the finite values among `window` neighbours on either side; a gap stays a gap."""
    finite, kernel = np.isfinite(values), np.ones(2 * window + 1)
    total = np.convolve(np.where(finite, values, 0.0), kernel)[window:-window]
    count = np.convolve(finite.astype(float), kernel)[window:-window]
    return np.where(finite, total / np.maximum(count, 1), np.nan)


def _name_ends(axes: Axes, labels: list[tuple[tuple[float, float], str, str]]) -> None:
    """Writes each curve's name and last value at the right, moved apart where they would touch."""
    labels = [label for label in labels if math.isfinite(label[0][1])]
    if not labels:
        return
    low, high = axes.get_ylim()
    needed = line_height(SMALL_SIZE) * (high - low) / (axes.bbox.height / axes.figure.dpi)
    places = spread([point[1] for point, _, _ in labels], needed, low + needed / 2, high - needed / 2)
    axes.set_ylim(low, high)
    for ((update, value), name, colour), at in zip(labels, places, strict=True):
        _end_label(axes, update, value, at, name.format(value), colour)


def _end_label(axes: Axes, update: float, value: float, at: float, name: str, colour: str) -> None:
    """A name in the right margin at height `at`, led to from the end of its curve."""
    beside = axes.get_yaxis_transform()
    text = axes.annotate(
        name, (1, at), (14, 0), beside, textcoords="offset points", va="center", color=colour, size=SMALL_SIZE
    )
    text.set_annotation_clip(False)
    leader = dict(arrowstyle="-", color=colour, linewidth=0.7, alpha=0.7, shrinkA=0, shrinkB=0)
    arrow = axes.annotate(
        "", (update, value), (1 + 10 / (axes.bbox.width / axes.figure.dpi * 72), at), "data", beside, leader
    )
    arrow.set_annotation_clip(False)


def _update_axis(axes: Axes, updates: Sequence[float]) -> None:
    first, last = (min(updates), max(updates)) if len(updates) else (0, 1)
    space = max(0.015 * (last - first), 0.5 if last == first else 0.0)
    axes.set_xlim(first - space, last + space)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, steps=[1, 2, 5, 10]))
    if first == last or not len(updates):
        axes.set_xticks([first] if len(updates) else [])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda update, _: grouped(update)))


def _mark_best(axes: Mapping[str, Axes], best: Mapping) -> None:
    """A ring around the best validation, a thin line through all panels, and its numbers above."""
    loss = axes["loss"]
    for panel in axes.values():
        panel.axvline(best["update"], color=VALID, linewidth=0.8, linestyle=":", zorder=1)
    loss.plot(best["update"], best["loss"], "o", markersize=10, markerfacecolor="none", markeredgecolor=VALID, mew=1.5)
    low, high = loss.get_xlim()
    share = (best["update"] - low) / (high - low)
    side = "left" if share < 0.2 else "right" if share > 0.8 else "center"
    words = f"best valid {best['loss']:.2f} at update {grouped(best['update'])}"
    loss.annotate(
        words, (best["update"], 1), (0, 4), loss.get_xaxis_transform(), textcoords="offset points",
        ha=side, va="bottom", color=VALID, size=SMALL_SIZE,
    )  # fmt: skip


def _message(train: Sequence[Mapping], best: Mapping | None) -> str:
    if best is not None:
        perplexity = math.exp(min(best["loss"], 700))
        return f"Validation loss gets down to {best['loss']:.2f} nats a token, a perplexity of {perplexity:.3g}"
    update, loss = _last(train, "loss")
    if math.isfinite(loss):
        return f"Training loss stands at {loss:.2f} nats a token after update {grouped(update)}"
    return "Training curves"


def _circumstances(train: Sequence[Mapping]) -> str:
    """How long it took and how fast it went, where the records say so."""
    parts = []
    if train:
        parts.append(f"{grouped(train[-1]['update'])} update{'s' if train[-1]['update'] != 1 else ''}")
    seconds = _number(train[-1], "seconds") if train else math.nan
    if math.isfinite(seconds):
        parts.append(_duration(seconds))
    speeds = [speed for speed in (_number(r, "tokens_per_second") for r in train) if math.isfinite(speed)]
    if speeds:
        parts.append(f"{grouped(np.median(speeds))} tokens/s (median)")
    return " · ".join(parts)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 2 * 3600 else f"{seconds / 3600:.1f} h"


def _not_finite(train: Sequence[Mapping], valid: Sequence[Mapping]) -> str:
    parts = []
    for name, records in (("train", train), ("valid", valid)):
        bad = [record for record in records if not math.isfinite(_number(record, "loss"))]
        if bad:
            parts.append(f"{len(bad)} {name} loss{'es' if len(bad) > 1 else ''}, first at {grouped(bad[0]['update'])}")
    return "Not finite: " + "; ".join(parts) if parts else ""
