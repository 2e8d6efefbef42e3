"""Drawings travel inside of the notebooks, since Colab shows no file that lies beside one."""

import base64
import re
from pathlib import Path

import pytest

from utils.notebooks.build import BuildError, chapter_notebook, with_drawings
from utils.notebooks.source import read_source

SOURCE = "solutions/09_halving.py"


def test_a_drawing_is_put_into_the_text(course, edit):
    drawing = course / "assets" / "one.svg"
    drawing.parent.mkdir(exist_ok=True)
    drawing.write_text('<svg xmlns="http://www.w3.org/2000/svg"/>', encoding="utf-8")
    source = course / SOURCE
    text = with_drawings("Look: ![one thing](../assets/one.svg) and ![web](https://a/b.svg)", source)
    inside = re.search(r"!\[one thing\]\(data:image/svg\+xml;base64,([^)]+)\)", text)
    assert base64.b64decode(inside[1]) == drawing.read_bytes()
    assert "https://a/b.svg" in text


def test_a_missing_drawing_is_named(course):
    with pytest.raises(BuildError, match=r"09_halving.py shows ../assets/none.svg"):
        with_drawings("![x](../assets/none.svg)", course / SOURCE)


def test_no_chapter_links_to_a_picture_beside_it():
    for path in sorted((Path(__file__).parents[2] / "solutions").glob("*.py")):
        cells = chapter_notebook(read_source(path), None).cells
        assert not [cell.id for cell in cells if re.search(r"!\[[^\]]*\]\((?!data:)", cell.source)]
