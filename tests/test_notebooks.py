"""Every solution re-run by nbval and compared with what is stored; and proof that the comparison can fail."""

import random
from pathlib import Path

import pytest

from utils.notebooks.build import check_built, read_notebook
from utils.notebooks.compare import compare, notices, numeric_constants, unchecked_cells
from utils.notebooks.source import find_sources

ROOT = Path(__file__).parents[1]
SOLUTIONS = [path.with_suffix(".ipynb") for path in find_sources(ROOT / "solutions")]


def test_every_notebook_matches_its_source():
    assert not check_built(root=ROOT)


@pytest.mark.parametrize("notebook", SOLUTIONS, ids=lambda path: path.stem)
def test_solution_gives_its_stored_outputs_again(notebook):
    found = compare(notebook)
    assert found.matches, found.report


@pytest.mark.parametrize("notebook", SOLUTIONS, ids=lambda path: path.stem)
def test_little_goes_unchecked(notebook):
    stored = read_notebook(notebook)
    code = [cell for cell in stored.cells if cell.cell_type == "code"]
    unchecked = unchecked_cells(stored)
    assert len(unchecked) <= 0.2 * len(code), unchecked


@pytest.mark.parametrize("notebook", SOLUTIONS, ids=lambda path: path.stem)
def test_a_changed_constant_is_noticed(notebook):
    stored = read_notebook(notebook)
    compared = {cell.id for cell in stored.cells if cell.cell_type == "code" and cell.get("outputs")}
    candidates = [constant for constant in numeric_constants(stored) if constant.identifier in compared]
    random.Random(5).shuffle(candidates)
    assert any(not notices(notebook, constant).matches for constant in candidates[:3])
