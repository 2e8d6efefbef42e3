"""Figures of pieces and of padding say what they should and fit on their paper."""

import warnings

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from utils.errors import ShapeError
from utils.plots.style import PAPER
from utils.plots.tokens import growing_pieces, padding_rectangles

STAGES = [
    ("letters", [list("▁Großmutter"), list("▁und"), list("▁$x_1")]),
    ("after 25 merges", [["▁G", "roß", "mutter"], ["▁und"], ["▁$", "x_1"]]),
]
PLANS = [("as they come", [[3, 9, 4], [12, 2, 2]]), ("by budget", [[2, 2, 3, 4], [9], [12]])]


@pytest.fixture(autouse=True)
def warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def texts_within_the_paper(figure) -> list[str]:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    inside = figure.bbox
    texts = [text for text in figure.findobj(lambda artist: hasattr(artist, "get_text")) if text.get_text()]
    shown = [text for text in texts if text.get_visible()]
    for text in shown:
        box = text.get_window_extent(canvas.get_renderer())
        assert box.x0 >= inside.x0 - 1 and box.x1 <= inside.x1 + 1, text.get_text()
        assert box.y0 >= inside.y0 - 1 and box.y1 <= inside.y1 + 1, text.get_text()
    return [text.get_text() for text in shown]


@pytest.mark.parametrize("figure", [growing_pieces(STAGES), padding_rectangles(PLANS)], ids=["pieces", "padding"])
def test_all_words_fit_on_opaque_paper(figure):
    assert texts_within_the_paper(figure)
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert figure.get_facecolor()[3] == 1.0 and PAPER == "#ffffff"


def test_pieces_are_shown_stage_by_stage():
    words = texts_within_the_paper(growing_pieces(STAGES))
    assert words.count("mutter") == 1 and words.count("▁und") == 1 and "after 25 merges" in words


def test_the_share_of_padding_is_counted():
    words = texts_within_the_paper(padding_rectangles(PLANS))
    assert f"as they come: {100 * (1 - 32 / 63):.1f} % padding" in words
    assert f"by budget: {100 * (1 - 32 / 37):.1f} % padding" in words


def test_what_cannot_be_drawn_is_said():
    with pytest.raises(ShapeError, match="same words"):
        growing_pieces([STAGES[0], ("other", [["a"]])])
    with pytest.raises(ShapeError, match="at least one"):
        padding_rectangles([("empty", [[]])])
