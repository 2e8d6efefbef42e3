"""What a source must hold, and that each fault is named with its file and line."""

import re
import string

import pytest

from utils.notebooks.source import SourceError, find_sources, read_source, slug

START = '# %% [markdown]\n# # 03 · Attention\n\n# %% tags=["setup"]\n# written by the build\n\n'
EXERCISE = "# %%\n# Exercise 3.1: f\ndef f():\n    ### BEGIN SOLUTION\n    return 1\n    ### END SOLUTION\n\n"
CHECK = '# %%\ncheck("3.1", f)\n'


@pytest.fixture
def write(tmp_path):
    def _write(text, name="03_attention.py"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return _write


def test_the_sample(course):
    chapter = read_source(course / "solutions" / "09_halving.py")
    assert (chapter.number, chapter.name, chapter.title) == ("09", "09_halving", "09 · Halving (§9.9)")
    assert chapter.exercises == ("9.1", "9.2")
    roles = [cell.role for cell in chapter.cells]
    assert roles[:5] == ["text", "setup", "text", "code", "predict"]
    for role in ("exercise", "check", "hint"):
        assert role in roles


def test_every_cell_knows_its_line(course):
    path = course / "solutions" / "09_halving.py"
    lines = path.read_text(encoding="utf-8").split("\n")
    for cell in read_source(path).cells:
        first = cell.text.split("\n")[0]
        assert lines[cell.line - 1] in (first, f"# {first}"), cell


def test_lines_are_found_past_quotes_and_markers_in_strings(write):
    path = write(START + '# %% [markdown]\n"""\n## Quoted\n"""\n\n# %%\nx = """\n# %% no cell\n"""\n\n# %%\n\ny = 1\n')
    cells = read_source(path).cells
    assert [cell.line for cell in cells] == [2, 5, 9, 13, 19]


def test_ids_are_valid_and_unique(course):
    identifiers = [cell.identifier for cell in read_source(course / "solutions" / "09_halving.py").cells]
    assert len(set(identifiers)) == len(identifiers)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", identifier) for identifier in identifiers)
    assert {"setup", "exercise-9_1", "check-9_1", "by-hand-loop-2", "see-1"} <= set(identifiers)


def test_ids_stay_when_another_section_grows(course, edit):
    path = course / "solutions" / "09_halving.py"
    before = {cell.text: cell.identifier for cell in read_source(path).cells}
    edit(path, "# %%\nobject()\n", "# %%\nobject()\n\n# %%\nprint(1)\n\n# %% [markdown]\n# ## A new section\n")
    after = {cell.text: cell.identifier for cell in read_source(path).cells}
    assert before.items() <= after.items()
    assert set(after.values()) - set(before.values()) == {"by-hand-loop-5", "a-new-section-1"}


@pytest.mark.parametrize("words", ["§3.2.1 · √d_k", "Größe", "→", "x" * 100, "a/b\\c `d` *e*"])
def test_slugs_fit_into_ids(words):
    made = slug(words)
    assert set(made) <= set(string.ascii_lowercase + string.digits + "-")
    assert 1 <= len(made) <= 56 and "--" not in made and made == made.strip("-")


FAULTS = [
    ("# %%\nx = 1\n", 2, "first cell must be Markdown"),
    ("# %% [markdown]\n# Text first\n\n# %% [markdown]\n# # Title\n", 2, "first cell must be Markdown"),
    (START + "# %% [markdown]\n# # Another title\n", 8, "one title"),
    (START + "# %% [markdown]\n# ## See\n\n# %% [markdown]\n# ### See!\n", 11, "line 8"),
    ("# %% [markdown]\n# # T\n\n# %%\nx = 1\n", 5, "set-up cell"),
    (START + '# %% tags=["setup"]\n# again\n', 8, "and no other"),
    ('# %% [markdown]\n# # T\n\n# %% tags=["setup"]\n# fine\nimport torch\n', 6, "written by the build"),
    (START + '# %% tags=["machines"]\nx = 1\n', 7, "'machines' is unknown"),
    (START + EXERCISE + "# %% [markdown]\n# Prose\n\n" + CHECK, 15, "right under exercise 3.1"),
    (START + EXERCISE + '# %%\ncheck("3.2", f)\n', 15, "right under exercise 3.1"),
    (START + EXERCISE.replace("3.1", "4.1"), 8, "stands in chapter 03: its number must be 3.1"),
    (START + EXERCISE.replace("3.1", "03.1"), 8, "its number must be 3.1"),
    (START + EXERCISE + CHECK + "\n" + EXERCISE + CHECK, 18, "there already, in line 8"),
    (START + EXERCISE.replace("# Exercise", "## exercise"), 8, "starts with `# Exercise N.M`"),
    (START + EXERCISE.replace("    ### END SOLUTION\n", ""), 10, "no ### END SOLUTION"),
    (START + EXERCISE.replace("# Exercise 3.1: f\n", ""), 9, "needs `# Exercise N.M`"),
    (START + "# %%\n# Exercise 3.1\nx = 1\n", 8, "nothing to write"),
    (START + EXERCISE.replace("def f():", "def f(:"), 9, "not Python"),
    (START + EXERCISE + CHECK.replace("# %%", '# %% tags=["refused"]'), 15, "apart from the exercise's own check"),
    (START + '# %% tags=["refused"]\ncheck("3.1", f)\n', 8, "the same on every run"),
    (START + '# %% tags=["refused", "machine"]\ncheck("3.1", f, seed=1)\n', 8, "no tag `machine`"),
]


@pytest.mark.parametrize("text, line, words", FAULTS, ids=[words for _, _, words in FAULTS])
def test_faults_name_file_and_line(write, text, line, words):
    path = write(text)
    with pytest.raises(SourceError) as caught:
        read_source(path)
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{path}, line {line}: ")


def test_an_exercise_at_the_end_lacks_its_check(write):
    with pytest.raises(SourceError, match=r'the last cell is exercise 3\.1; under it must stand check\("3\.1"'):
        read_source(write(START + EXERCISE))


def test_an_empty_cell_is_refused(write):
    with pytest.raises(SourceError, match="holds an empty cell after line 5"):
        read_source(write(START + "# %%\n\n# %%\nx = 1\n"))


def test_text_outside_of_cells_is_refused(write):
    with pytest.raises(SourceError, match="text stands outside of a cell"):
        read_source(write("x = 1\n\n" + START))


def test_a_heading_in_a_code_fence_is_none(write):
    chapter = read_source(write(START + "# %% [markdown]\n# ## See\n#\n# ```\n# # See\n# ```\n"))
    assert chapter.title == "03 · Attention"


@pytest.mark.parametrize("name", ["3_attention.py", "03-attention.py", "03_Attention.py", "attention.py"])
def test_names_that_are_no_chapters(write, name):
    with pytest.raises(SourceError, match="must look like 03_"):
        find_sources(write(START, name).parent)


def test_two_sources_of_one_number(write):
    write(START)
    with pytest.raises(SourceError, match="both are chapter 03"):
        find_sources(write(START, "03_again.py").parent)


def test_a_source_that_is_no_text(tmp_path):
    (tmp_path / "03_attention.py").write_bytes(b"\xff\xfe")
    with pytest.raises(SourceError, match="UTF-8"):
        read_source(tmp_path / "03_attention.py")


def test_a_header_with_other_keys_is_refused(write):
    with pytest.raises(SourceError, match="keys other than `jupyter`"):
        read_source(write("# ---\n# title: Attention\n# ---\n\n" + START))
