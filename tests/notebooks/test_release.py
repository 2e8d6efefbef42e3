"""What learners get: all they need, nothing that is not theirs, the same bytes each time."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from utils.errors import ConfigError
from utils.notebooks.release import learners_pyproject, release

ROOT = Path(__file__).parents[2]
SOURCE = Path(__file__).with_name("data") / "course" / "solutions" / "09_halving.py"


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """The course itself, with the sample as its only chapter."""
    root = tmp_path_factory.mktemp("whole") / "course"
    ignored = shutil.ignore_patterns(
        "__pycache__", ".venv", ".git", "runs", "bench", "solutions", "chapters", ".*cache"
    )
    shutil.copytree(ROOT, root, ignore=ignored)
    (root / "solutions").mkdir()
    shutil.copyfile(SOURCE, root / "solutions" / SOURCE.name)
    (root / "utils" / "__pycache__").mkdir()
    (root / "utils" / "__pycache__" / "cli.cpython-311.pyc").touch()
    (root / "assets" / ".DS_Store").touch()
    return root


@pytest.fixture(scope="module")
def bundle(whole) -> Path:
    """The unpacked release."""
    out = whole.parent / "out" / "attention-rebuilt"
    assert release(out, whole) == whole.parent / "out" / "attention-rebuilt.zip"
    return out


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_what_is_in_the_bundle(bundle, whole):
    assert sorted(path.name for path in bundle.iterdir()) == sorted(
        ["LICENSE", "Makefile", "README.md", "assets", "chapters", "constraints.txt", "pyproject.toml"]
        + ["requirements.txt", "utils"]
    )
    assert (bundle / "utils/transformer/attention.py").read_bytes() == (
        whole / "utils/transformer/attention.py"
    ).read_bytes()
    assert {"chapters/09_halving.ipynb", "utils/cli.py", "utils/notebooks/colab.py"} <= set(names(bundle))
    assert any(name.startswith("assets/lexicon/") for name in names(bundle))


def test_what_is_not(bundle):
    for name in names(bundle):
        parts = Path(name).parts
        assert not {"solutions", "tests", "__pycache__", ".DS_Store", ".venv", ".git"} & set(parts), name
    for notebook in (bundle / "chapters").iterdir():
        text = notebook.read_text(encoding="utf-8")
        assert "SOLUTION" not in text and "factor = 0.5" not in text and "NotImplementedError" in text
    assert not list(bundle.parent.glob(".*"))


def test_the_zip_holds_the_same_and_is_the_same_each_time(bundle, whole, tmp_path):
    archive = bundle.with_name("attention-rebuilt.zip")
    with zipfile.ZipFile(archive) as file:
        assert sorted(file.namelist()) == [f"attention-rebuilt/{name}" for name in names(bundle)]
        assert all(file.read(f"attention-rebuilt/{name}") == (bundle / name).read_bytes() for name in names(bundle))
    (tmp_path / "attention-rebuilt").mkdir()  # an empty folder may be there
    assert release(tmp_path / "attention-rebuilt", whole).read_bytes() == archive.read_bytes()


def test_chapters_in_the_bundle_are_made_afresh(whole, tmp_path):
    (whole / "chapters").mkdir()
    (whole / "chapters" / "09_halving.ipynb").write_text("somebody's answers")
    release(tmp_path / "out", whole)
    shutil.rmtree(whole / "chapters")
    assert "somebody" not in (tmp_path / "out" / "chapters" / "09_halving.ipynb").read_text(encoding="utf-8")


def test_the_readme_names_each_chapter_and_the_makefile_has_its_target(bundle):
    readme = (bundle / "README.md").read_text(encoding="utf-8")
    assert "[09 · Halving (§9.9)](chapters/09_halving.ipynb)" in readme and "make lab" in readme
    assert "solutions" not in readme and "make test" not in readme
    makefile = (bundle / "Makefile").read_text(encoding="utf-8")
    assert "\nlab: .venv/.ready\n\t$(BIN)/python -m utils lab" in makefile and "requirements-dev" not in makefile
    if shutil.which("make"):
        done = subprocess.run(["make", "-n", "lab"], cwd=bundle, capture_output=True, text=True)
        assert done.returncode == 0 and "-m utils lab" in done.stdout, done.stderr


def test_the_bundles_command_line_works(bundle):
    done = subprocess.run([sys.executable, "-m", "utils", "--help"], cwd=bundle, capture_output=True, text=True)
    assert done.returncode == 0 and "train" in done.stdout, done.stderr


def test_pyproject_loses_what_only_developers_need():
    text = learners_pyproject((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "[project]" in text and "[tool.setuptools" in text
    assert "pytest" not in text and "ruff" not in text


def test_what_is_there_is_not_overwritten(whole, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    (tmp_path / "file").touch()
    (tmp_path / "taken.zip").touch()
    for name in ("full", "file", "taken"):
        with pytest.raises(ConfigError, match="exists"):
            release(tmp_path / name, whole)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "full", "taken.zip"]


def test_a_release_inside_what_is_packed_is_refused(whole):
    with pytest.raises(ConfigError, match="lies inside utils/"):
        release(whole / "utils" / "out", whole)


def test_a_bundle_has_no_sources_to_release(bundle, tmp_path):
    with pytest.raises(ConfigError, match="holds no source of a chapter"):
        release(tmp_path / "out", bundle)
