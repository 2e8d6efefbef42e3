"""Every solution re-run by nbval and compared with what is stored; and proof that the comparison can fail."""

import ast
import inspect
import os
import random
import re
import textwrap
from pathlib import Path

import pytest

from utils.exercises import exercises
from utils.notebooks.build import check_built, read_notebook
from utils.notebooks.compare import compare, notices, numeric_constants, unchecked_cells
from utils.notebooks.source import find_sources

ROOT = Path(__file__).parents[1]
SOLUTIONS = [path.with_suffix(".ipynb") for path in find_sources(ROOT / "solutions")]
# Each mutation runs a whole solution, so one chapter stands for all; ALL_MUTATIONS=1 takes every one.
MUTATED = SOLUTIONS if os.environ.get("ALL_MUTATIONS") else [path for path in SOLUTIONS if path.name.startswith("03")]


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


@pytest.mark.parametrize("notebook", MUTATED, ids=lambda path: path.stem)
def test_a_changed_constant_is_noticed(notebook):
    stored = read_notebook(notebook)
    compared = {cell.id for cell in stored.cells if cell.cell_type == "code" and cell.get("outputs")}
    candidates = [constant for constant in numeric_constants(stored) if constant.identifier in compared]
    random.Random(5).shuffle(candidates)
    assert any(not notices(notebook, constant).matches for constant in candidates[:3])


@pytest.mark.parametrize("path", find_sources(ROOT / "solutions"), ids=lambda path: path.stem)
def test_no_source_is_unfinished(path):
    """No place is left to be filled in, and every recorded run that is shown exists."""
    text = path.read_text(encoding="utf-8")
    assert not re.findall(r"@@|\bVERDICT\b|\bTODO\b", text)
    missing = [run for run in re.findall(r"assets/runs/[\w.-]+\.json", text) if not (ROOT / run).is_file()]
    assert not missing


SHOWN = [(item, path) for path in find_sources(ROOT / "solutions") for item in exercises(int(path.name[:2]))]


@pytest.mark.parametrize(("item", "path"), SHOWN, ids=lambda value: getattr(value, "number", ""))
def test_a_solution_shows_the_reference_itself(item, path):
    """Contract 1: what learners read, what checks compare with and what trains the model is one thing."""
    shown = next(
        node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if getattr(node, "name", "") == item.name
    )
    reference = ast.parse(textwrap.dedent(inspect.getsource(item.reference))).body[0]
    assert steps(shown) == steps(reference)


def steps(definition: ast.stmt) -> list[str]:
    """A definition's statements, less docstrings, annotations and what puts errors into words."""
    plain = WithoutWords().visit(definition)
    return [ast.unparse(node) for node in plain.body]


class WithoutWords(ast.NodeTransformer):
    """Takes out of a definition whatever a learner's form of it may lack."""

    def visit_Expr(self, node):
        """Docstrings, and calls of functions that only check."""
        checks = isinstance(node.value, ast.Call) and ast.unparse(node.value.func).startswith("check_")
        return None if checks or isinstance(node.value, ast.Constant) else node

    def visit_If(self, node):
        """Guards that do nothing but raise."""
        return None if isinstance(node.body[-1], ast.Raise) and not node.orelse else self.generic_visit(node)

    def visit_arg(self, node):
        """Annotations."""
        return ast.arg(node.arg)

    def visit_FunctionDef(self, node):
        """Annotations of what is returned."""
        node.returns = None
        return self.generic_visit(node)
