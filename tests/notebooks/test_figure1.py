"""The drawings of figure 1: in step with their source, well-formed, and lighting what they say."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from utils.notebooks.figure1 import DECODER, ENCODER, LIT, LIT_IN, figure1

ASSETS = Path(__file__).parents[2] / "assets"


@pytest.mark.parametrize("number", LIT_IN)
def test_the_drawing_in_assets_is_what_the_source_draws(number):
    stored = (ASSETS / f"figure1_{number}.svg").read_text(encoding="utf-8")
    assert stored == figure1(LIT_IN[number]), "run: python -m utils.notebooks.figure1"


@pytest.mark.parametrize("number", LIT_IN)
def test_exactly_the_chapters_parts_are_lit(number):
    tree = ElementTree.fromstring(figure1(LIT_IN[number]))
    filled = [element for element in tree.iter() if element.get("fill") == LIT]
    expected = [box for box in (*ENCODER, *DECODER) if box.part in LIT_IN[number]]
    assert len(filled) == len(expected)
    assert set(LIT_IN[number]) <= {box.part for box in (*ENCODER, *DECODER)} | {"stack"}
