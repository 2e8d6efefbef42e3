"""The chooser of heads: a picture with a caption everywhere, lists where ipywidgets is there."""

import base64

import pytest
import torch

from utils.notebooks.outputs import PNG, WIDGET, fault, normalised
from utils.plots import HeadChooser, View
from utils.plots.chooser import ALL


def look(sentence):
    """Maps of a sentence: 2 layers, 3 heads."""
    words = sentence.split()
    if "Zebra" in words:
        raise ValueError("The training sentences have no Zebra.")
    weights = torch.rand(2, 3, len(words), len(words), generator=torch.Generator().manual_seed(len(words)))
    view = View(weights.softmax(-1), words, words, "query (word)", "key (word)")
    return {"encoder": view, "cross": view}


def bundle(chooser, **choice):
    chooser.choose(**choice)
    return chooser._repr_mimebundle_()


def test_it_shows_a_picture_and_says_what_it_is():
    chooser = HeadChooser(look, ["a b c", "d e"], attention="cross", layer=2, head=3)
    shown = chooser._repr_mimebundle_()
    assert base64.b64decode(shown["image/png"]).startswith(PNG)
    assert shown["text/plain"].startswith("cross, layer 2, head 3 · a b c · rows are queries: query (word)")


@pytest.mark.parametrize(
    "choice", [{"head": 1}, {"head": ALL}, {"layer": 1}, {"sentence": "d e"}, {"drawing": "lines"}]
)
def test_another_choice_is_another_picture(choice):
    chooser = HeadChooser(look, ["a b c", "d e"], layer=2, head=3)
    before = chooser.png()
    chooser.choose(**choice)
    assert chooser.png() != before


def test_a_sentence_that_cannot_be_looked_at_changes_nothing():
    chooser = HeadChooser(look, ["a b c"])
    before = chooser.png()
    with pytest.raises(ValueError, match="Zebra"):
        chooser.choose(sentence="a Zebra")
    assert chooser.png() == before and chooser.sentence == "a b c"


def test_the_lists_stand_beside_the_picture_and_are_not_stored():
    pytest.importorskip("ipywidgets")
    chooser = HeadChooser(look, ["a b c", "d e"], head=3)
    shown = chooser._repr_mimebundle_()
    assert {WIDGET, "image/png", "text/plain"} <= set(shown)
    output = {"output_type": "execute_result", "data": shown, "metadata": {}}
    assert fault([output], []) is None
    assert set(normalised([output], 1)[0]["data"]) == {"image/png", "text/plain"}
    lists, said, picture = chooser.box.children[0].children, chooser.box.children[2], chooser.box.children[3]
    before = picture.value
    lists[2].value = ALL
    assert picture.value != before and chooser.head == ALL
    sentence = chooser.box.children[1].children[1]
    sentence.value = "a Zebra"
    assert "Zebra" in said.value
    sentence.value = "d e"
    assert not said.value and chooser.sentence == "d e"
