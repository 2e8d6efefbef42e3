"""A course of one small chapter, in a folder of its own, and the same with its notebooks built."""

import shutil
from pathlib import Path

import pytest

from utils.notebooks.build import build

DATA = Path(__file__).with_name("data") / "course"
ROOT = Path(__file__).parents[2]


def make_course(folder: Path) -> Path:
    """The sample course; its torch is an empty file, so that a kernel starts in a second."""
    shutil.copytree(DATA, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "torch.py").write_text('"""A stand-in: the sample chapter needs no tensors."""\n')
    (folder / "utils" / "notebooks").mkdir()
    (folder / "utils" / "notebooks" / "colab.py").touch()
    return folder


@pytest.fixture
def course(tmp_path) -> Path:
    """The sample course, nothing built."""
    return make_course(tmp_path / "course")


@pytest.fixture(scope="session")
def built_once(tmp_path_factory) -> Path:
    """The sample course, built; tests leave it as it is."""
    course = make_course(tmp_path_factory.mktemp("built") / "course")
    build(root=course)
    return course


@pytest.fixture
def built(built_once, tmp_path) -> Path:
    """A copy of the built sample course."""
    return Path(shutil.copytree(built_once, tmp_path / "built", ignore=shutil.ignore_patterns("__pycache__")))


@pytest.fixture
def edit():
    """edit(file, old, new): replaces a text that stands in a file exactly once."""

    def replace(file: Path, old: str, new: str) -> Path:
        text = file.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file}"
        file.write_text(text.replace(old, new), encoding="utf-8")
        return file

    return replace
