"""One head's map at a time, chosen from lists where a kernel runs; a still picture of it everywhere else."""

import base64
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import NamedTuple

from matplotlib.figure import Figure
from torch import Tensor

from utils.errors import CourseError
from utils.plots.attention import attention_lines, attention_map, heads_grid

DRAWINGS = {"map": attention_map, "lines": attention_lines}
ALL = "all heads"


class View(NamedTuple):
    """The maps of one kind of attention for one sentence, and the words at rows and columns."""

    weights: Tensor  # (layers, heads, query_len, key_len)
    queries: Sequence[str]
    keys: Sequence[str]
    query_axis: str
    key_axis: str


class HeadChooser:
    """Shows one head of one sentence, with lists to choose attention, layer, head, sentence and drawing from.

    `look` gives {name of an attention: View} for a sentence; a sentence that is typed goes through it too, and what it
    raises as ValueError or CourseError is said beside the picture. Without a live kernel, or without ipywidgets, the
    picture of the choice made here stands there by itself.
    """

    def __init__(
        self, look: Callable[[str], Mapping[str, View]], sentences: Sequence[str], attention: str | None = None,
        layer: int = 1, head: int | str = 1, drawing: str = "map",
    ) -> None:  # fmt: skip
        self.look, self.sentences = look, list(sentences)
        self.sentence, self.layer, self.head, self.drawing = self.sentences[0], layer, head, drawing
        self.views = look(self.sentence)
        self.attention = next(iter(self.views)) if attention is None else attention
        self.box = None

    def choose(self, **choice) -> None:
        """Changes what is shown: attention, layer, head (a number from 1, or "all heads"), sentence, drawing.

        When a sentence cannot be looked at, everything stays as it was and the error goes on.
        """
        if choice.get("sentence", self.sentence) != self.sentence:
            self.views = self.look(choice["sentence"])
        for name, value in choice.items():
            setattr(self, name, value)

    def caption(self) -> str:
        """What the picture shows, in words."""
        view = self.views[self.attention]
        head = self.head if self.head == ALL else f"head {self.head}"
        rows = f"rows are queries: {view.query_axis}; columns are keys: {view.key_axis}"
        return f"{self.attention}, layer {self.layer}, {head} · {self.sentence} · {rows}"

    def figure(self) -> Figure:
        """The picture."""
        view = self.views[self.attention]
        axes = {"query_axis": view.query_axis, "key_axis": view.key_axis}
        weights, title = view.weights[self.layer - 1], f"{self.attention}, layer {self.layer}"
        if self.head == ALL:
            return heads_grid(weights, view.queries, view.keys, f"{title}, every head", **axes)
        draw = DRAWINGS[self.drawing]
        return draw(weights[self.head - 1], view.queries, view.keys, f"{title}, head {self.head}", **axes)

    def png(self) -> bytes:
        """The picture as a file."""
        buffer, figure = BytesIO(), self.figure()
        figure.savefig(buffer, format="png", dpi=100, facecolor=figure.get_facecolor())
        return buffer.getvalue()

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        """What a notebook shows: the lists where it can, else the picture, else its caption."""
        bundle = {"image/png": base64.b64encode(self.png()).decode("ascii"), "text/plain": self.caption()}
        if (box := self._widgets()) is not None:
            bundle = {**box._repr_mimebundle_(), **bundle}
        return bundle

    def _widgets(self):
        """The lists and the picture as one widget; None without ipywidgets."""
        try:
            import ipywidgets
        except ImportError:
            return None
        layers, heads = self.views[self.attention].weights.shape[:2]
        wide, half = {"width": "60%"}, {"width": "30%"}
        picture, said = ipywidgets.Image(value=self.png(), format="png"), ipywidgets.HTML()
        lists = {
            "attention": ipywidgets.Dropdown(options=list(self.views), description="attention", layout=half),
            "layer": ipywidgets.Dropdown(options=range(1, layers + 1), description="layer", layout=half),
            "head": ipywidgets.Dropdown(options=[*range(1, heads + 1), ALL], description="head", layout=half),
            "drawing": ipywidgets.Dropdown(options=list(DRAWINGS), description="drawn as", layout=half),
            "sentence": ipywidgets.Combobox(
                options=self.sentences, description="sentence", continuous_update=False, layout=wide
            ),
        }

        def chosen(name: str) -> Callable:
            def take(change: dict) -> None:
                try:
                    self.choose(**{name: change["new"]})
                except (ValueError, CourseError) as error:
                    said.value = f"<b>{error}</b>"
                    return
                said.value, picture.value = "", self.png()

            return take

        for name, box in lists.items():
            box.value = getattr(self, name)
            box.observe(chosen(name), names="value")
        boxes = list(lists.values())
        rows = [ipywidgets.HBox(boxes[:3]), ipywidgets.HBox(boxes[3:]), said, picture]
        self.box = ipywidgets.VBox(rows)
        return self.box
