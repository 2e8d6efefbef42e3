"""`python -m utils lab`: the check of the machine, each thing it can find, and the command that opens JupyterLab."""

import sys
from importlib import metadata
from pathlib import Path

import pytest

from utils.commands import machine
from utils.commands.lab import lab_command, lab_environment
from utils.errors import CourseError


def sentence(check) -> str:
    """What a check complains of."""
    with pytest.raises(CourseError) as caught:
        list(check())
    return str(caught.value)


def test_a_fit_machine_has_nothing_to_mend(monkeypatch, tmp_path):
    monkeypatch.setenv("ATTENTION_REBUILT_HOME", str(tmp_path))
    monkeypatch.setattr(machine, "GIB_OF_DISK", 0.01)
    monkeypatch.setattr(machine, "PACE_UPDATES", 8)
    said = []
    assert machine.check_machine(said.append) == 0
    assert all(line.startswith("✓") for line in said) and len(said) >= 8
    text = "\n".join(said)
    assert metadata.version("torch") in text and sys.executable in text and str(tmp_path) in text
    assert "minutes here" in text
    assert not list(tmp_path.iterdir()), "a check leaves nothing behind"


def test_an_old_python(monkeypatch):
    monkeypatch.setattr(machine, "PYTHON", (9, 1))
    assert "needs 9.1 or later" in sentence(machine._python)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("torch>=99", "and should be >=99"),
        ("no-such-package-here>=1", "no-such-package-here is not installed"),
        ("broken", "broken does not import (RuntimeError: half a file)"),
    ],
)
def test_packages_that_are_wrong_missing_or_broken(monkeypatch, tmp_path, line, said):
    (tmp_path / "requirements.txt").write_text(f"# what learners need\n{line}  # a word\n")
    (tmp_path / "broken.py").write_text("raise RuntimeError('half a file')\n")
    monkeypatch.setattr(machine, "ROOT", tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    if line == "broken":
        monkeypatch.setattr(machine.metadata, "version", lambda name: "1.0")
    found = sentence(machine._packages)
    assert said in found and "pip install -r requirements.txt -c constraints.txt" in found


def test_a_kernel_that_belongs_to_another_environment(monkeypatch, tmp_path):
    folder = tmp_path / "kernels" / "python3"
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text('{"argv": ["/nowhere/python", "{connection_file}"], "display_name": "3"}')
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
    assert "ipykernel install --sys-prefix" in sentence(machine._kernel)


def test_a_folder_that_cannot_be_written_to(monkeypatch, tmp_path):
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("ATTENTION_REBUILT_HOME", str(tmp_path / "a file" / "home"))
    found = sentence(machine._own_folder)
    assert "cannot be written to" in found and "ATTENTION_REBUILT_HOME" in found


def test_a_full_disk(monkeypatch, tmp_path):
    monkeypatch.setenv("ATTENTION_REBUILT_HOME", str(tmp_path))
    monkeypatch.setattr(machine, "GIB_OF_DISK", 10**9)
    assert "make room" in sentence(machine._disk)


def test_jupyterlab_opens_on_the_first_chapter_with_the_courses_settings(monkeypatch):
    command = lab_command(["--no-browser"])
    assert command[:3] == [sys.executable, "-m", "jupyterlab"] and command[-1] == "--no-browser"
    assert any(word.startswith("--LabApp.default_url=/lab/tree/chapters/00_") for word in command)
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "/of/the/machine")
    first, second = lab_environment()["JUPYTER_CONFIG_PATH"].split(":")
    assert (Path(first) / "labconfig").is_dir() and second == "/of/the/machine"
