"""A training looked at while it goes on: one picture in the notebook, drawn anew every few seconds."""

import textwrap
import time
from collections.abc import Callable, Mapping, Sequence

from matplotlib.figure import Figure

from utils.plots.style import LINE_COLOURS, QUIET, SMALL_SIZE, WIDTH, NotebookFigure, grouped, house_style

ROW = 0.19  # inches a line of text takes
LONGEST = 112  # characters of a line


class LiveTraining:
    """Loss curve, tokens/s, time left, and what the model makes of some sentences on the way.

    `train`, `valid` and `wrote` take what happens; `take` takes a trainer's records. `finish` draws the last picture,
    which then stands still.
    """

    def __init__(
        self,
        updates: int,
        samples: Sequence[tuple[str, str]] = (),
        pause: float = 2.0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """updates: how many there will be; samples: (source, reference); pause: least seconds between two pictures."""
        self.updates, self.samples, self.pause, self.clock = updates, list(samples), pause, clock
        self.losses: list[tuple[int, float]] = []
        self.valid_losses: list[tuple[int, float]] = []
        self.written: list[tuple[int, list[str]]] = []
        self.tokens, self.first, self.begun, self.handle = 0, 0, clock(), None
        self.due = -float("inf")

    def train(self, update: int, loss: float, tokens: int = 0) -> None:
        """An update is done: its loss in nats per token, and how many tokens it took."""
        self.losses.append((update, loss))
        self.tokens += tokens
        self._show()

    def valid(self, update: int, loss: float) -> None:
        """The validation loss after an update, in nats per token."""
        self.valid_losses.append((update, loss))

    def wrote(self, update: int, sentences: Sequence[str]) -> None:
        """What the model makes of the samples after an update."""
        self.written.append((update, list(sentences)))

    def take(self, record: Mapping) -> None:
        """A record of `Trainer.run`; tokens are those of all updates since the last one."""
        if record["kind"] == "valid":
            self.valid(record["update"], record["loss"])
            return
        before = self.losses[-1][0] if self.losses else 0
        if not self.losses:  # a run that is taken up does not begin with update 1
            self.first = max(0, record["update"] - 1)
        seconds = record["seconds"] - getattr(self, "_seconds", 0.0)
        self._seconds = record["seconds"]
        tokens = round(record["tokens_per_second"] * seconds) if before else 0
        self.train(record["update"], record["loss"], tokens)

    def finish(self) -> None:
        """Draws the last picture."""
        self._show(last=True)

    def _show(self, last: bool = False) -> None:
        now = self.clock()
        if not last and now < self.due:
            return
        from IPython.display import display  # not needed to draw

        figure = self.figure(now - self.begun, last)
        if self.handle is None:
            self.handle = display(figure, display_id=True)
        else:
            self.handle.update(figure)
        took = self.clock() - now
        self.due = now + max(self.pause, 10 * took)  # drawing takes a tenth of the time at most

    def progress(self, seconds: float) -> str:
        """ "update 120 of 500 · 11 000 tokens/s · 35 s left" """
        update = self.losses[-1][0] if self.losses else 0
        parts = [f"update {grouped(update)} of {grouped(self.updates)}"]
        if seconds > 0 and self.tokens:
            parts.append(f"{grouped(self.tokens / seconds)} tokens/s")
        if update > self.first and update < self.updates:
            parts.append(f"{seconds * (self.updates - update) / (update - self.first):.0f} s left")
        elif seconds > 0:
            parts.append(f"{seconds:.0f} s")
        return " · ".join(parts)

    def figure(self, seconds: float, last: bool = False) -> Figure:
        """The picture after so many seconds."""
        rows = self._rows()
        height = 3.0 + ROW * len(rows)
        with house_style():
            figure = NotebookFigure(figsize=(WIDTH, height))
            axes = figure.add_axes((0.08, (0.55 + ROW * len(rows)) / height, 0.78, 2.0 / height))
            self._draw(axes)
            loss = f"Loss {self.losses[-1][1]:.2f}" if self.losses else "No update yet"
            if last and len(self.losses) > 1:
                loss = f"The loss falls from {self.losses[0][1]:.2f} to {self.losses[-1][1]:.2f}"
            axes.set_title(f"{loss}: {self.progress(seconds)}", loc="left", fontweight="bold")
            for number, (text, colour) in enumerate(rows):
                y = ROW * (len(rows) - number - 0.5) / height
                figure.text(0.08, y, text, size=SMALL_SIZE, color=colour, va="center")
        return figure

    def _draw(self, axes) -> None:
        for points, colour, name, style in (
            (self.losses, LINE_COLOURS[0], "training", "-"),
            (self.valid_losses, LINE_COLOURS[1], "validation", "o-"),
        ):
            if points:
                updates, losses = zip(*points, strict=True)
                axes.plot(updates, losses, style, color=colour, markersize=4, linewidth=1.3)
                offset = 6 if name == "training" else -6
                place = dict(xytext=(8, offset), textcoords="offset points", va="center", annotation_clip=False)
                axes.annotate(name, (updates[-1], losses[-1]), color=colour, size=SMALL_SIZE, **place)
        axes.set(xlabel="update", ylabel="loss (nats per token)", xlim=(0, max(self.updates, 1)))
        axes.set_ylim(bottom=0)

    def _rows(self) -> list[tuple[str, str]]:
        """Lines of text under the curve: for each sample its source, what was written when, and the reference."""
        rows = []
        for index, (source, reference) in enumerate(self.samples):
            rows.append((_short(f"source:  {source}"), "#222222"))
            for update, sentences in self.written:
                rows.append((_short(f"update {grouped(update)}:  {sentences[index]}"), LINE_COLOURS[0]))
            rows += [(_short(f"reference:  {reference}"), QUIET), ("", QUIET)]
        return rows


def _short(text: str) -> str:
    return textwrap.shorten(text, LONGEST, placeholder=" …")
