"""From source to notebooks: the same bytes each time, nobody's work lost, and every mismatch noticed."""

import ast
import json

import nbformat
import pytest

from utils.errors import ConfigError
from utils.notebooks.build import (
    BuildError,
    build,
    chapter_notebook,
    check_built,
    read_notebook,
    select,
    solution_notebook,
    to_text,
)
from utils.notebooks.source import read_source

SOURCE, CHAPTER, SOLUTION = "solutions/09_halving.py", "chapters/09_halving.ipynb", "solutions/09_halving.ipynb"
GITHUB = "https://github.com/someone/course"


def contents(course):
    files = [path for folder in ("chapters", "solutions") for path in (course / folder).iterdir()]
    return {path.relative_to(course).as_posix(): path.read_bytes() for path in files}


def cell(notebook, identifier):
    return next(cell for cell in notebook.cells if cell.id == identifier)


def change(file, alter):
    """Applies a function to the notebook in a file."""
    notebook = read_notebook(file)
    alter(notebook)
    file.write_text(to_text(notebook), encoding="utf-8")


def test_building_twice_changes_no_byte(built):
    before = contents(built)
    assert len(before) == 3
    assert build(root=built) == []
    assert contents(built) == before


def test_both_notebooks_are_valid_and_share_their_ids(built):
    chapter, solution = read_notebook(built / CHAPTER), read_notebook(built / SOLUTION)
    nbformat.validate(chapter)
    nbformat.validate(solution)
    assert [cell.id for cell in chapter.cells] == [cell.id for cell in solution.cells]
    assert chapter.metadata == solution.metadata | {"course": chapter.metadata.course}
    assert "version" not in chapter.metadata.language_info


def test_the_chapter_is_open_and_not_run(built):
    chapter = read_notebook(built / CHAPTER)
    code = [cell for cell in chapter.cells if cell.cell_type == "code"]
    assert all(cell.execution_count is None and not cell.outputs for cell in code)
    assert "SOLUTION" not in to_text(chapter) and "factor = 0.5" not in to_text(chapter)
    function = ast.parse(cell(chapter, "exercise-9_1").source).body[0]
    assert ast.get_docstring(function) == "Half of a number (Eq. 9).\n\nnumber: (…). Returns (…)."
    assert ast.unparse(function.body[1]) == "raise NotImplementedError('Exercise 9.1: write half')"


def test_the_solution_has_been_run(built):
    solution = read_notebook(built / SOLUTION)
    code = [cell for cell in solution.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert cell(solution, "by-hand-loop-2").outputs[0].text == "after three steps: 0.125\n"
    assert cell(solution, "by-hand-loop-4").outputs[0].data["text/plain"] == "<object at 0xADDRESS>"
    assert cell(solution, "see-4").outputs[0].traceback == ["ValueError: halving a word makes no sense"]


def test_the_grader_finds_exercises_and_checks(built):
    chapter = read_notebook(built / CHAPTER)
    roles = [cell.metadata.course for cell in chapter.cells]
    assert [role.exercise for role in roles if role.role == "exercise"] == ["9.1", "9.2"]
    assert [role.exercise for role in roles if role.role == "check"] == ["9.1", "9.2"]
    assert {role.role for role in roles} == {"text", "setup", "code", "predict", "hint", "exercise", "check"}
    assert cell(chapter, "see-2").metadata.tags == ["machine", "nbval-ignore-output"]
    assert cell(chapter, "by-hand-loop-3").metadata.jupyter.source_hidden


def test_all_is_well_after_a_build(built):
    assert check_built(root=built) == []


def test_without_an_address_there_is_no_badge_and_with_one_there_is(course):
    chapter = read_source(course / SOURCE)
    assert "colab" not in chapter_notebook(chapter, None).cells[0].source
    first = chapter_notebook(chapter, GITHUB).cells[0].source.split("\n")
    assert first[0] == "# 09 · Halving (§9.9)" and "/course/blob/main/chapters/09_halving.ipynb" in first[2]
    assert "/course/blob/main/solutions/09" in solution_notebook(chapter, GITHUB).cells[0].source
    assert f"REPOSITORY, COLAB = '{GITHUB}'" in chapter_notebook(chapter, GITHUB).cells[1].source


def test_an_edited_source_is_noticed_in_both_notebooks(built, edit):
    edit(built / SOURCE, "factor = 0.5", "factor = 1 / 2")
    (only,) = check_built(root=built)  # the chapter does not show the solution
    assert only.startswith(f"{built / SOLUTION} does not match {built / SOURCE} (cell exercise-9_1): ")
    assert only.endswith("run `python -m utils build 09`.")
    edit(built / SOURCE, "# Half of 1 is ½.", "# Half of 1 is 0.5.")
    assert [sentence.split()[0] for sentence in check_built(root=built)] == [
        str(built / CHAPTER),
        str(built / SOLUTION),
    ]


def test_an_edited_chapter_is_noticed(built, edit):
    edit(built / CHAPTER, "return result", "return 1.5")
    (sentence,) = check_built(["9"], root=built)
    assert "was edited by hand" in sentence and "(cell exercise-9_1)" in sentence
    assert sentence.endswith("edit the source and run `python -m utils build 09 --overwrite`.")


@pytest.mark.parametrize(
    "alter, words",
    [
        (lambda nb: nb.cells.pop(), "18 cells in place of 19"),
        (lambda nb: nb.cells.insert(0, nb.cells.pop(3)), "where cell 09-halving-9-9-1 should be, there is by-hand"),
        (lambda nb: cell(nb, "see-2").metadata.tags.remove("nbval-ignore-output"), "cell see-2"),
        (lambda nb: cell(nb, "check-9_1").metadata.update(tags=["nbval-skip"]), "cell check-9_1"),
        (lambda nb: nb.metadata.language_info.update(version="3.11.7"), "its metadata"),
        (lambda nb: cell(nb, "check-9_1").update(execution_count=None), "check-9_1 was not run in its turn"),
        (lambda nb: cell(nb, "check-9_1").update(outputs=cell(nb, "see-4").outputs), "check-9_1 ended in an error"),
    ],
)
def test_an_altered_solution_is_noticed(built, alter, words):
    change(built / SOLUTION, alter)
    (sentence,) = check_built(root=built)
    assert words in sentence and str(built / SOLUTION) in sentence


def test_outputs_in_a_chapter_are_noticed(built):
    change(built / CHAPTER, lambda nb: cell(nb, "check-9_1").update(execution_count=3))
    (sentence,) = check_built(root=built)
    assert "holds outputs" in sentence and "by hand" not in sentence


def test_a_reformatted_chapter_is_noticed(built):
    file = built / CHAPTER
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8"))), encoding="utf-8")
    assert "its formatting" in check_built(root=built)[0]


def test_missing_damaged_and_orphaned_notebooks_are_named(built):
    (built / CHAPTER).unlink()
    (built / SOLUTION).write_text("{")
    (built / "chapters" / "08_old.ipynb").write_text("{}")
    missing, damaged, orphan = check_built(root=built)
    assert "is missing: run `python -m utils build 09`" in missing
    assert "no readable notebook" in damaged and "Delete it" in damaged
    assert orphan == f"{built / 'chapters' / '08_old.ipynb'} has no source under solutions/: delete it."


def test_a_forks_remote_is_no_mismatch_but_another_declared_address_is(built):
    chapter = read_source(built / SOURCE)
    (built / CHAPTER).write_text(to_text(chapter_notebook(chapter, GITHUB)), encoding="utf-8")
    assert check_built(root=built) == []
    (built / "pyproject.toml").write_text("[tool.attention-rebuilt]\nrepository = 'https://github.com/other/course'\n")
    assert len(check_built(root=built)) == 2


def test_what_somebody_wrote_into_a_chapter_is_not_overwritten(built, edit):
    file = edit(built / CHAPTER, "return result", "return number / 2")
    before = contents(built)
    with pytest.raises(BuildError, match="has been worked in since it was built"):
        build(root=built, run=False)
    assert contents(built) == before
    assert build(root=built, run=False, overwrite=True) == [file]
    assert check_built(root=built) == []


def test_a_chapter_that_was_only_run_may_be_built_again(built):
    change(built / CHAPTER, lambda nb: cell(nb, "check-9_1").update(execution_count=3))
    assert build(["09"], root=built, run=False) == [built / CHAPTER]


def test_an_edited_source_is_built_over_an_untouched_chapter(built, edit):
    edit(built / SOURCE, "# Half of 1 is ½.", "# Half of 1 is 0.5.")
    assert build(root=built) == [built / CHAPTER, built / SOLUTION]
    assert check_built(root=built) == []


def test_what_the_machine_printed_is_kept_until_code_changes(built, edit):
    def printed():
        return cell(read_notebook(built / SOLUTION), "see-2").outputs[0].text

    first = printed()
    edit(built / SOURCE, "# Half is half.", "# Half stays half.")
    build(root=built)
    assert printed() == first
    edit(built / SOURCE, "object()\n", "object\n")
    build(root=built)
    assert printed() != first


def test_numbers_that_are_no_chapters(course):
    assert [chapter.number for chapter in select(["9"], course)] == ["09"]
    with pytest.raises(ConfigError, match="no chapter '10': good values are 09"):
        build(["10"], root=course)
    with pytest.raises(ConfigError, match="nothing to build"):
        build(root=course / "chapters")


def test_nothing_is_left_behind(built):
    assert sorted(contents(built)) == [CHAPTER, SOLUTION, SOURCE]
    leftovers = [path for path in built.rglob("*") if path.suffix == ".tmp" or path.name.startswith(".")]
    assert leftovers == []
