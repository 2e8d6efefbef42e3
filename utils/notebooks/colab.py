"""What the set-up cell does on Colab once the course is there: packages, GPU, Drive. It can be run again at any time.

Standard library and `packaging` only, until the packages are there.
"""

import importlib
import os
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from utils.errors import CourseError

HOME = "ATTENTION_REBUILT_HOME"  # where progress, my_transformer/ and checkpoints are kept
DRIVE = Path("/content/drive")
NOT_NEEDED = ("jupyterlab", "jupytext", "nbval", "nbclient", "nbformat")  # Colab itself stands in their place
OF_TORCHTEXT = ("sentencepiece", "six", "requests", "tqdm")  # what it needs besides torch, which pip must not bring
PINNED = ("torch", "numpy")  # pip may not replace them: Colab's torch fits its CUDA, and both may be imported already


def set_up(course: Path, drive: bool = False) -> None:
    """Installs what is missing, says which GPU there is, offers Drive. Prints one line about each."""
    if absent := missing(course / "requirements.txt"):
        print(f"Installing {', '.join(absent)} …")
        install(absent)
        if still := missing(course / "requirements.txt"):
            raise CourseError(
                f"{', '.join(still)} could not be installed: take Runtime → Restart session, and run again."
            )
    print(f"The course lies in {course}; every package is there.")
    print(device_sentence())
    print(keep_in_drive() if drive else home_sentence())
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    if str(course) not in paths:
        os.environ["PYTHONPATH"] = os.pathsep.join([str(course), *paths])  # for `!python -m utils …`
    if (course / "chapters").is_dir() and course not in [Path.cwd(), *Path.cwd().parents]:
        os.chdir(course / "chapters")  # paths are then the same as in JupyterLab


def missing(requirements: Path) -> list[str]:
    """The requirements that this machine does not meet, as pip wants them; never torch."""
    from packaging.requirements import Requirement

    lines = (line.split("#", 1)[0].strip() for line in requirements.read_text(encoding="utf-8").splitlines())
    wanted = [Requirement(line) for line in lines if line and not line.startswith("-")]
    wanted = [requirement for requirement in wanted if requirement.name.lower() not in (*NOT_NEEDED, "torch")]
    names = [requirement.name.lower() for requirement in wanted]
    if "torchtext" in names:
        wanted += [Requirement(name) for name in OF_TORCHTEXT if name not in names]
    return [str(requirement) for requirement in wanted if not _met(requirement)]


def _met(requirement) -> bool:
    try:
        return requirement.specifier.contains(metadata.version(requirement.name), prereleases=True)
    except metadata.PackageNotFoundError:
        return False


def install(requirements: list[str]) -> None:
    """Installs with pip and leaves torch and numpy as they are. CourseError, with pip's reason, when that fails."""
    alone = [one for one in requirements if one.lower().startswith("torchtext")]
    others = [one for one in requirements if one not in alone]
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text(
            "".join(f"{name}=={version}\n" for name, version in _installed(PINNED)), encoding="utf-8"
        )
        if others:
            _pip("--constraint", str(constraints), *others)
        if alone:
            _pip("--no-deps", *alone)
    importlib.invalidate_caches()


def _installed(names: tuple[str, ...]) -> list[tuple[str, str]]:
    found = []
    for name in names:
        try:
            found.append((name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            continue
    return found


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()[-1]
        raise CourseError(
            f"pip could not install {arguments[-1]} ({reason}): check the network and run this cell again."
        )


def device_sentence() -> str:
    """Which GPU there is, or how to get one."""
    import torch

    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / 2**30
        return f"GPU: {torch.cuda.get_device_name(0)}, {memory:.0f} GiB."
    return (
        "GPU: none. Chapters run on the CPU too; for the longer trainings take Runtime → Change runtime type → "
        "T4 GPU, then run this cell again."
    )


def home_sentence() -> str:
    """Where progress is kept, or how to keep it for longer than Colab does."""
    if home := os.environ.get(HOME):
        return f"Progress and checkpoints are kept in {home}."
    return "Colab forgets its disk when it disconnects: set DRIVE = True above to keep progress in your Google Drive."


def keep_in_drive() -> str:
    """Mounts the learner's Google Drive, where $ATTENTION_REBUILT_HOME points from then on; says where or why not."""
    from google.colab import drive

    home = DRIVE / "MyDrive" / "attention-rebuilt"
    try:
        if not (DRIVE / "MyDrive").is_dir():
            drive.mount(str(DRIVE))
        home.mkdir(parents=True, exist_ok=True)
    except Exception as error:  # declined, or Drive is full: Colab raises whatever it likes
        return f"Google Drive is not there ({error}): progress stays on Colab's disk, which it forgets."
    os.environ[HOME] = str(home)
    return f"Progress and checkpoints are kept in {home}."
