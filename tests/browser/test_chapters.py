"""Every chapter as a learner has it: opened in JupyterLab, the exercises filled in, "Restart Kernel and Run All"."""

import json
import os
from pathlib import Path

import pytest

from utils.notebooks.build import read_notebook
from utils.notebooks.release import release
from utils.notebooks.source import find_sources

ROOT = Path(__file__).parents[2]
# Eleven chapters take a quarter of an hour: without ALL_CHAPTERS=1 the first, one without and one with trainings.
EACH_TIME = ("00", "03", "09")
CHAPTERS = [
    path.stem
    for path in find_sources(ROOT / "solutions")
    if os.environ.get("ALL_CHAPTERS") or path.name.startswith(EACH_TIME)
]
FILL_IN = """solved => {
    for (const cell of jupyterapp.shell.currentWidget.content.widgets)
        if (solved[cell.model.id]) cell.model.sharedModel.setSource(solved[cell.model.id]);
}"""
RAN = """() => jupyterapp.shell.currentWidget.content.widgets.every(
    cell => cell.model.type !== 'code' || cell.model.executionCount !== null)"""
OUTPUTS = """() => jupyterapp.shell.currentWidget.content.widgets
    .filter(cell => cell.model.type === 'code')
    .map(cell => ({id: cell.model.id, outputs: cell.model.outputs.toJSON()}))"""


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Path:
    """The bundle that learners get."""
    folder = tmp_path_factory.mktemp("released") / "course"
    release(folder)
    return folder


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_runs_from_top_to_bottom(course, lab, lab_command, page, kernel_at_rest, chapter):
    solution = read_notebook(ROOT / "solutions" / f"{chapter}.ipynb")
    roles = {cell.id: cell.metadata.get("course", {}).get("role") for cell in solution.cells}
    solved = {cell.id: cell.source for cell in solution.cells if roles[cell.id] == "exercise"}
    may_fail = {
        cell.id for cell in solution.cells if {"raises-exception", "machine"} & set(cell.metadata.get("tags", ()))
    }
    with lab(lab_command, course) as address:
        page.goto(f"{address}lab/tree/chapters/{chapter}.ipynb")
        page.locator(".jp-Notebook h1").first.wait_for(timeout=60_000)
        kernel_at_rest()
        picture = page.locator(".jp-Notebook img").first
        assert picture.evaluate("image => image.complete && image.naturalWidth > 0")
        page.evaluate(FILL_IN, solved)
        page.evaluate("() => { jupyterapp.commands.execute('notebook:restart-run-all'); }")
        page.get_by_role("button", name="Confirm Kernel Restart").click(timeout=20_000)
        page.wait_for_function(RAN, timeout=600_000)
        outputs = {cell["id"]: cell["outputs"] for cell in page.evaluate(OUTPUTS)}
    wrong = [(name, out) for name, made in outputs.items() for out in made if out["output_type"] == "error"]
    assert not [pair for pair in wrong if pair[0] not in may_fail], wrong
    for name in (name for name, role in roles.items() if role == "check" and name not in may_fail):
        assert ": passed (" in json.dumps(outputs[name]), (name, outputs[name])
    assert not page.errors
