"""Files as programs save and break them: read, or refused in one sentence."""

import json

import pytest
from notebooks import all_solved, as_classic, as_text, as_version_3, handed_out, own_cell, submission

from utils.grading.assemble import assemble
from utils.grading.matching import match
from utils.grading.neutral import neutral
from utils.grading.pristine import chapter_numbers, pristine
from utils.grading.reading import UnreadableError, read_cells

BROKEN = {
    "empty": (b"", "is empty"),
    "blank": (b" \n\n ", "is empty"),
    "cut off": (as_text(all_solved()).encode()[:7000], "cut off"),
    "a merge conflict": (b'{"cells": [\n<<<<<<< HEAD\n1\n=======\n2\n>>>>>>> other\n]}', "merge conflict (line 2)"),
    "a comma too much": (b'{"cells": [],, "nbformat": 4, "metadata": {}}\n\n', "damaged in line 1"),
    "a web page": (b"<html><body>Sign in</body></html>", "holds no JSON"),
    "another JSON": (b'{"a": 1}', "no cells"),
    "cells that are no list": (b'{"cells": {"a": 1}}', "no list"),
    "nested deeply": (b"[" * 200_000, "nested too deeply"),
    "a picture": (b"\x89PNG\r\n\x1a\n\x00\x00\xff\xfe", ""),
    "Latin-1": ('{"cells": [], "x": "Müller"}'.encode("latin-1"), "UTF-8"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_notebook_is_refused_in_one_sentence(name):
    data, words = BROKEN[name]
    with pytest.raises(UnreadableError) as error:
        read_cells(data)
    assert words in str(error.value) and "\n" not in str(error.value) and str(error.value).endswith((".", "?"))


def test_odd_cells_are_passed_over_and_counted():
    notebook = submission({"3.1": None})
    notebook["cells"][1:1] = [
        7,
        None,
        {"cell_type": 3},
        {"cell_type": "code", "source": {"a": 1}},
        {"cell_type": "code"},
    ]
    found = read_cells(as_text(notebook).encode())
    assert "4 of its cells are damaged" in found.notes[0]
    assert match(found, pristine("03"))[0].state == "there"


@pytest.mark.parametrize("minor", range(6))
def test_every_minor_version(minor):
    found = read_cells(as_classic(all_solved(), minor).encode())
    assert [answer.state for answer in match(found, pristine("03"))] == ["there"] * 6


def test_version_3_says_that_it_is_old():
    assert "format (3)" in read_cells(as_version_3(all_solved()).encode()).notes[0]


@pytest.mark.parametrize(
    ("source", "left"),
    [
        ("# NBVAL_SKIP\nx = 1", "#\nx = 1"),
        ("  # NBVAL_IGNORE_OUTPUT please\nx = 1", "  #\nx = 1"),
        ("%%bash\nrm -rf /", ""),
        ("%%time\nx = 1", "#\nx = 1"),
        ("x = 7 % 3", "x = 7 % 3"),
        ('s = """\n%magic in a string\n"""', 's = """\n%magic in a string\n"""'),
    ],
)
def test_orders_and_magics_are_neutralised(source, left):
    assert neutral(source) == left


@pytest.mark.parametrize(
    "source", ["%matplotlib inline\nx = 1", "!ls\nx = 1", "files = !ls\nx = 1", "x = 1\nx?", "%cd a\nx = 1"]
)
def test_what_is_ipythons_own_becomes_python(source):
    result = neutral(source)
    compile(result, "<cell>", "exec")
    assert "x = 1" in result and "get_ipython" not in result


def test_only_exercises_and_what_they_need_get_in():
    notebook = submission({"3.1": None, "3.2": None}, helpers={"3.2": "import os\nos.environ['A'] = '1'\nunused = 3"})
    notebook["cells"].append(own_cell("torch.softmax = None\nwhile True: pass"))
    assembled = assemble(read_cells(as_text(notebook).encode()), pristine("03"))
    text = assembled.to_json()
    assert "environ" not in text and "while True" not in text and "unused" not in text and "predict(" not in text
    roles = [(c["metadata"]["course"]["exercise"], c["metadata"]["course"]["role"]) for c in assembled.cells]
    wanted = [(n, role) for n in ("3.1", "3.2") for role in ("setup", "helper", "exercise", "probe")]
    assert roles == wanted
    assert json.loads(text)["nbformat"] == 4


def test_an_open_notebook_has_nothing_to_run():
    assert assemble(read_cells(as_text(handed_out()).encode()), pristine("03")).cells == []


@pytest.mark.parametrize("number", chapter_numbers())
def test_what_a_lesson_binds_is_neither_an_answer_nor_a_redefinition(number):
    """Chapter 05 binds `LayerNorm` once more in a cell of its own."""
    chapter = pristine(number)
    untouched = match(read_cells(as_text(handed_out(number)).encode()), chapter)
    assert {answer.state for answer in untouched} == {"open"}
    solved = match(read_cells(as_text(all_solved(number)).encode()), chapter)
    assert {answer.state for answer in solved} == {"there"} and not any(answer.notes for answer in solved)
