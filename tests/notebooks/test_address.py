"""One place says where the course lives; nobody's password and no path of one machine gets into a notebook."""

import subprocess

import pytest

from utils.errors import ConfigError
from utils.notebooks.address import colab_badge, public_address, repository


@pytest.mark.parametrize(
    "given, public",
    [
        ("https://github.com/someone/course", "https://github.com/someone/course"),
        ("https://github.com/someone/course.git/", "https://github.com/someone/course.git"),
        ("git@github.com:someone/course.git", "https://github.com/someone/course.git"),
        ("github.com:someone/course.git", "https://github.com/someone/course.git"),
        ("ssh://git@gitlab.example.org:2222/someone/course.git", "https://gitlab.example.org/someone/course.git"),
        ("https://someone:secret@github.com/someone/course?token=x#y", "https://github.com/someone/course"),
        ("https://git.example.org:8443/course.git", "https://git.example.org:8443/course.git"),
        ("http://github.com/someone/course", "https://github.com/someone/course"),
        ("/srv/git/course.git", None),
        ("../course.git", None),
        ("file:///srv/git/course.git", None),
        ("C:\\git\\course.git", None),
        ("C:/git/course.git", None),
        ("https://github.com:secret/course", None),
        ("https://github.com", None),
        ("", None),
    ],
)
def test_public_addresses(given, public):
    assert public_address(given) == public


def test_pyproject_comes_first_then_the_remote_then_nothing(tmp_path):
    assert repository(tmp_path) is None
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert repository(tmp_path) is None
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    assert repository(tmp_path) is None
    remote = "https://me:secret@github.com/fork/course.git"
    subprocess.run(["git", "remote", "add", "origin", remote], cwd=tmp_path, check=True)
    assert repository(tmp_path) == "https://github.com/fork/course.git"
    (tmp_path / "pyproject.toml").write_text("[tool.attention-rebuilt]\nrepository = 'https://github.com/a/course'\n")
    assert repository(tmp_path) == "https://github.com/a/course"


def test_a_repository_around_the_course_is_not_the_course(tmp_path):
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    subprocess.run(["git", "remote", "add", "origin", "https://github.com/a/other"], cwd=tmp_path, check=True)
    (tmp_path / "course").mkdir()
    assert repository(tmp_path / "course") is None


@pytest.mark.parametrize("declared", ["'/srv/course'", "'github'", "3"])
def test_a_declared_address_that_nobody_can_reach(tmp_path, declared):
    (tmp_path / "pyproject.toml").write_text(f"[tool.attention-rebuilt]\nrepository = {declared}\n")
    with pytest.raises(ConfigError, match="must look like https://github.com/owner/name"):
        repository(tmp_path)


def test_a_damaged_pyproject(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool\n")
    with pytest.raises(ConfigError, match="cannot be read"):
        repository(tmp_path)


def test_the_badge_opens_the_notebook_on_colab():
    badge = colab_badge("https://github.com/someone/course.git", "chapters/03_attention.ipynb")
    link = "https://colab.research.google.com/github/someone/course/blob/main/chapters/03_attention.ipynb"
    assert badge.startswith("[![Open in Colab](") and badge.endswith(f"]({link})")


@pytest.mark.parametrize("address", [None, "https://gitlab.com/someone/course", "https://github.com/someone"])
def test_no_badge_where_colab_cannot_open(address):
    assert colab_badge(address, "chapters/03_attention.ipynb") is None
