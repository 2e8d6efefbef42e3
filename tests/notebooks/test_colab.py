"""What the set-up cell does on Colab: installs what is missing and never torch, says which GPU, offers Drive."""

import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch

from utils.errors import CourseError
from utils.exercises import home as exercises_home
from utils.notebooks import colab

REQUIREMENTS = Path(__file__).parents[2] / "requirements.txt"


@pytest.fixture
def pip(monkeypatch):
    """Records what pip would be asked for, with the constraints it is given; `fails` makes it fail."""
    calls = types.SimpleNamespace(arguments=[], constraints=[], fails="")

    def run(command, **options):
        calls.arguments.append(command[command.index("install") + 1 :])
        if "--constraint" in command:
            calls.constraints.append(Path(command[command.index("--constraint") + 1]).read_text())
        return subprocess.CompletedProcess(command, bool(calls.fails), stdout="", stderr=calls.fails)

    monkeypatch.setattr(colab.subprocess, "run", run)
    return calls


@pytest.fixture
def drive(monkeypatch, tmp_path):
    """A stand-in for google.colab.drive; mounting makes MyDrive."""
    made = types.SimpleNamespace(mounted=0, fails=None)

    def mount(point):
        made.mounted += 1
        if made.fails:
            raise made.fails
        (Path(point) / "MyDrive").mkdir(parents=True)

    made.mount = mount
    monkeypatch.setitem(sys.modules, "google", types.ModuleType("google"))
    monkeypatch.setitem(sys.modules, "google.colab", types.SimpleNamespace(drive=made))
    monkeypatch.setattr(colab, "DRIVE", tmp_path / "drive")
    monkeypatch.delenv(colab.HOME, raising=False)
    return made


def test_here_nothing_is_missing():
    assert colab.missing(REQUIREMENTS) == []


def test_what_is_missing_is_found_by_version_and_torch_never_is(tmp_path):
    file = tmp_path / "requirements.txt"
    file.write_text(
        "# what\ntorch>=99\nnumpy>=1.26\nrich>=999  # new\n-r other.txt\nnosuchpackage==1.0\njupyterlab>=999\n"
    )
    assert colab.missing(file) == ["rich>=999", "nosuchpackage==1.0"]


def test_torchtext_brings_what_it_needs_but_torch(monkeypatch, tmp_path):
    file = tmp_path / "requirements.txt"
    file.write_text("torchtext==0.6.0\ntqdm>=4.66\n")
    monkeypatch.setattr(colab, "_met", lambda requirement: False)
    assert colab.missing(file) == ["torchtext==0.6.0", "tqdm>=4.66", "sentencepiece", "six", "requests"]


def test_torch_is_pinned_and_torchtext_comes_alone(pip):
    colab.install(["tokenizers>=0.20", "torchtext==0.6.0"])
    others, alone = pip.arguments
    assert others[-1] == "tokenizers>=0.20" and "--no-deps" not in others
    assert alone[-2:] == ["--no-deps", "torchtext==0.6.0"]
    assert f"torch=={torch.__version__}\n" in pip.constraints[0]
    assert not any(argument.startswith("torch=") for arguments in pip.arguments for argument in arguments)


def test_pips_reason_is_told(pip):
    pip.fails = "Traceback\nERROR: No matching distribution found\n"
    with pytest.raises(CourseError, match=r"could not install tokenizers .*No matching distribution found"):
        colab.install(["tokenizers"])


def test_what_could_not_be_installed_is_told(pip, tmp_path):
    (tmp_path / "requirements.txt").write_text("nosuchpackage==1.0\n")
    before = colab.os.getcwd()
    with pytest.raises(CourseError, match="nosuchpackage==1.0 could not be installed"):
        colab.set_up(tmp_path)
    assert colab.os.getcwd() == before


def test_without_a_gpu_the_way_to_one_is_told(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "Runtime → Change runtime type" in colab.device_sentence()


def test_a_gpu_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "Tesla T4")
    memory = types.SimpleNamespace(total_memory=15 * 2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: memory)
    assert colab.device_sentence() == "GPU: Tesla T4, 15 GiB."


def test_drive_is_offered(drive):
    assert "DRIVE = True" in colab.home_sentence()
    assert drive.mounted == 0


def test_drive_keeps_progress_and_is_mounted_once(drive, tmp_path, monkeypatch):
    home = tmp_path / "drive" / "MyDrive" / "attention-rebuilt"
    monkeypatch.setenv(colab.HOME, "")
    for _ in range(2):
        assert str(home) in colab.keep_in_drive()
    assert home.is_dir() and drive.mounted == 1
    assert str(home) in colab.home_sentence()
    assert exercises_home.home() == home


def test_a_drive_that_is_declined_stops_nothing(drive, monkeypatch):
    drive.fails = ValueError("mount failed")
    assert "Google Drive is not there (mount failed)" in colab.keep_in_drive()
    assert not colab.os.environ.get(colab.HOME)


def test_the_exercises_look_where_drive_points():
    assert exercises_home.VARIABLE == colab.HOME
