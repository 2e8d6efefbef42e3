"""nbval passes what is right and notices one wrong number; what it does not compare is listed."""

import pytest

from utils.notebooks.build import BuildError, read_notebook, to_text
from utils.notebooks.compare import Unchecked, compare, mutated_notebook, notices, numeric_constants, unchecked_cells

SOLUTION = "solutions/09_halving.ipynb"


def test_a_built_solution_passes(built_once):
    comparison = compare(built_once / SOLUTION)
    assert comparison.matches, comparison.report
    assert "13 passed" in comparison.report


@pytest.mark.parametrize("old, cell", [("0.5", "check"), ("7.0", "print([halver")])
def test_one_changed_constant_is_noticed(built, old, cell):
    solution = built / SOLUTION
    (constant,) = [constant for constant in numeric_constants(read_notebook(solution)) if constant.old == old]
    before = sorted(built.rglob("*.ipynb"))
    comparison = notices(solution, constant)
    assert not comparison.matches
    assert "Cell outputs differ" in comparison.report and cell in comparison.report
    assert sorted(built.rglob("*.ipynb")) == before


def test_a_changed_output_is_noticed(built, edit):
    edit(built / SOLUTION, "after three steps: 0.125", "after three steps: 0.126")
    assert not compare(built / SOLUTION).matches


def test_what_nbval_does_not_compare_is_listed(built_once):
    notebook = read_notebook(built_once / SOLUTION)
    assert unchecked_cells(notebook) == [Unchecked("see-2", "tagged machine"), Unchecked("see-3", "only a picture")]
    notebook.cells[1].execution_count = None
    assert unchecked_cells(notebook)[0] == Unchecked("setup", "never run")


def test_mutations_change_one_number_each(built_once):
    notebook = read_notebook(built_once / SOLUTION)
    constants = numeric_constants(notebook)
    assert len(constants) == 8
    assert {constant.identifier for constant in constants} <= {cell.id for cell in notebook.cells}
    assert not {constant.identifier for constant in constants} & {"setup", "see-2", "see-3"}
    for constant in constants:
        changed = to_text(mutated_notebook(notebook, constant)).split("\n")
        lines = [(old, new) for old, new in zip(to_text(notebook).split("\n"), changed, strict=True) if old != new]
        assert len(lines) == 1 and constant.new in lines[0][1]


def test_a_constant_of_another_notebook_is_refused(built_once):
    notebook = read_notebook(built_once / SOLUTION)
    constant = numeric_constants(notebook)[0]
    changed = mutated_notebook(notebook, constant)
    with pytest.raises(BuildError, match="read it anew"):
        mutated_notebook(changed, constant)


def test_a_notebook_without_code_compares_nothing_and_says_so(tmp_path):
    (tmp_path / "empty.ipynb").write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    with pytest.raises(BuildError, match="nbval could not run"):
        compare(tmp_path / "empty.ipynb")
