"""A cell that fails, warns or hangs stops the build, and the sentence names chapter, exercise, file and line."""

import pytest

from utils.notebooks.build import build, read_notebook
from utils.notebooks.execute import ExecutionError

SOURCE = "solutions/09_halving.py"


def line_of(file, text):
    lines = file.read_text(encoding="utf-8").split("\n")
    return next(number for number, line in enumerate(lines, start=1) if text in line)


@pytest.mark.parametrize(
    "old, new, place, words",
    [
        ("factor = 0.5", "factor = 1 / 0", "exercise 9.1, the check cell", "ZeroDivisionError: division by zero"),
        (
            'print(f"after',
            'x = 1\nundefined  # see\nprint(f"after',
            "under 'By hand → loop'",
            "NameError: name 'undefined'",
        ),
        ("object()", "assert 1 > 2", "under 'By hand → loop'", "AssertionError: assert 1 > 2"),
        ("class Halver:", "class Halver(unknown):", "exercise 9.2", "NameError: name 'unknown' is not defined"),
    ],
)
def test_a_failing_cell_is_named(course, edit, old, new, place, words):
    source = edit(course / SOURCE, old, new)
    with pytest.raises(ExecutionError) as caught:
        build(root=course)
    sentence = str(caught.value)
    assert sentence.startswith(f"Chapter 09, {place} ({source}, line ")
    assert words in sentence
    if "undefined" in new:
        assert f"line {line_of(source, '# see')})" in sentence
    assert not (course / "solutions" / "09_halving.ipynb").exists()


def test_a_solution_that_does_not_pass_its_check_stops_the_build(course, edit):
    edit(course / SOURCE, "factor = 0.5", "factor = 0.25")
    words = r"exercise 9\.1, the check cell .* does not pass its own check: ✗ check 9\.1: 0\.75"
    with pytest.raises(ExecutionError, match=words):
        build(root=course)


SHOWN_WRONG = '# %% tags=["refused"]\ncheck("9.1", lambda number: number / 4, seed=1)\n'


def test_a_refusal_that_is_the_lesson_says_so(course, edit):
    edit(course / SOURCE, "# %%\nobject()\n", SHOWN_WRONG)
    build(root=course)
    stored = read_notebook(course / "solutions" / "09_halving.ipynb")
    shown = [cell for cell in stored.cells if "refused" in cell.metadata.get("tags", ())]
    assert [cell.outputs[0]["text"] for cell in shown] == ["✗ check 9.1: 0.75\n"]


@pytest.mark.parametrize(
    "cell, words",
    [
        (SHOWN_WRONG.replace(' tags=["refused"]', ""), "a check refuses an answer: ✗ check 9.1: 0.75"),
        (SHOWN_WRONG.replace("/ 4", "/ 2"), "no check in it refuses anything"),
    ],
)
def test_a_refusal_that_nobody_meant_stops_the_build(course, edit, cell, words):
    edit(course / SOURCE, "# %%\nobject()\n", cell)
    with pytest.raises(ExecutionError, match="under 'By hand → loop'") as caught:
        build(root=course)
    assert words in str(caught.value)


def test_a_warning_stops_the_build(course, edit):
    source = edit(course / SOURCE, "object()", 'import warnings\n\nwarnings.warn("this is old")')
    with pytest.raises(ExecutionError, match="writes to stderr.*line 3: UserWarning: this is old") as caught:
        build(root=course)
    assert f"line {line_of(source, 'import warnings')})" in str(caught.value)


def test_a_cell_that_hangs_stops_the_build(course, edit):
    edit(course / SOURCE, "object()", "while True:\n    pass")
    with pytest.raises(ExecutionError, match="under 'By hand → loop' .*: it took longer than 2 s"):
        build(root=course, cell_seconds=2)


def test_a_cell_that_kills_the_kernel_stops_the_build(course, edit):
    edit(course / SOURCE, "object()", "import os\n\nos._exit(3)")
    with pytest.raises(ExecutionError, match="the kernel died"):
        build(root=course)


def test_paths_of_this_machine_stop_the_build(course, edit):
    edit(course / SOURCE, "object()", "import os\n\nprint(os.getcwd())")
    with pytest.raises(ExecutionError, match="it shows a path of this machine"):
        build(root=course)


def test_progress_is_shown_cell_by_cell(course):
    seen = []
    build(root=course, show=lambda chapter, index, cell: seen.append((chapter.number, index, cell.place)))
    assert seen[0] == ("09", 0, "under '09 · Halving (§9.9)'")
    assert [index for _, index, _ in seen] == list(range(19))
    assert ("09", 7, "exercise 9.1") in seen


def test_without_a_terminal_a_line_a_chapter_is_shown(built, capsys):
    build(root=built)
    assert capsys.readouterr().err == "09_halving: running 19 cells\n"
