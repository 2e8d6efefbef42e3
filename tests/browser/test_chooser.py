"""The chooser of heads in a real JupyterLab: another choice in a list is another picture."""

from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
CELL = f"""import sys
sys.path.insert(0, {str(ROOT)!r})
import torch
from utils.plots import HeadChooser, View

def look(sentence):
    words = sentence.split()
    if "Zebra" in words:
        raise ValueError("no Zebra")
    weights = torch.rand(2, 3, len(words), len(words)).softmax(-1)
    view = View(weights, words, words, "query", "key")
    return {{"encoder": view, "cross": view}}

HeadChooser(look, ["a b c", "d e"])"""


def test_a_choice_changes_the_picture(lab, lab_command, page, kernel_at_rest, tmp_path):
    pytest.importorskip("ipywidgets", reason="ipywidgets is not installed: the chooser is a picture then")
    folder = tmp_path / "notebooks"
    folder.mkdir()
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, folder / "chooser.ipynb")
    with lab(lab_command, folder) as address:
        page.goto(f"{address}lab/tree/chooser.ipynb")
        kernel_at_rest()
        page.evaluate("() => { jupyterapp.commands.execute('notebook:run-all-cells'); }")
        picture = page.locator(".jp-OutputArea .widget-image, .jp-OutputArea img.jupyter-widgets").first
        picture.wait_for(timeout=60_000)
        source = "image => image.src"
        seen = [picture.evaluate(source)]
        for label, choice in (("head", "3"), ("head", "all heads"), ("layer", "2"), ("attention", "cross")):
            page.locator(".widget-dropdown", has_text=label).locator("select").first.select_option(label=choice)
            page.wait_for_function(
                "old => document.querySelector('.widget-image, img.jupyter-widgets').src !== old", arg=seen[-1],
                timeout=20_000,
            )  # fmt: skip
            seen.append(picture.evaluate(source))
        box = page.locator(".jp-OutputArea .jupyter-widgets input").first
        box.fill("a Zebra")
        box.press("Enter")
        page.get_by_text("no Zebra").wait_for(timeout=20_000)
    assert not page.errors
