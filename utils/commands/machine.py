"""`python -m utils lab --check`: can this machine do what the course asks of it, and if not, what is to be done."""

import importlib
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from utils.errors import CourseError

ROOT = Path(__file__).parents[2]
PYTHON = (3, 11)
GIB_OF_DISK = 2  # a run of Multi30k with its checkpoints, and the corpus
PACE_UPDATES = 40


def check_machine(say: Callable[[str], None]) -> int:
    """Says of each thing whether it is as it should be; returns how many are not."""
    problems = 0
    for check in (_python, _packages, _kernel, _own_folder, _disk, _device, _pace):
        try:
            for line in check():
                say(f"✓ {line}")
        except CourseError as error:
            problems += 1
            say(f"✗ {error}")
    return problems


def machine_lines() -> list[str]:
    """Processor, memory, GPU, and what training will run on."""
    import torch

    from utils.training.device import choose_device, choose_precision
    from utils.training.origin import hardware

    device, found = choose_device(), hardware()
    gpus = ", ".join(found["gpus"]) or ("of Apple silicon" if device.type == "mps" else "none")
    return [
        f"{found['processor']}: {found['cores']} cores, {found['threads']} threads, "
        f"{found['memory_gib'] or '?'} GiB of memory",
        f"GPU: {gpus}; training runs on {device}, in {choose_precision('auto', device) or torch.float32}",
    ]


def _python() -> Iterator[str]:
    if sys.version_info < PYTHON:
        raise CourseError(
            f"Python {platform.python_version()} runs this command, and the course needs "
            f"{'.'.join(map(str, PYTHON))} or later: make the environment anew with a later one (README, Two commands)."
        )
    yield f"Python {platform.python_version()}, {sys.executable}"


def _packages() -> Iterator[str]:
    asked = [line.split("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines()]
    wrong = []
    for requirement in map(Requirement, filter(None, asked)):
        try:
            version = metadata.version(requirement.name)
            if not requirement.specifier.contains(version.split("+")[0], prereleases=True):
                wrong.append(f"{requirement.name} is {version} and should be {requirement.specifier}")
            else:
                importlib.import_module(requirement.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is not installed")
        except Exception as error:  # whatever a broken package raises while it is imported
            wrong.append(f"{requirement.name} does not import ({type(error).__name__}: {error})")
    if wrong:
        raise CourseError(
            f"{'; '.join(wrong)}: `{sys.executable} -m pip install -r requirements.txt -c constraints.txt` mends it."
        )
    yield f"all {len(list(filter(None, asked)))} packages of requirements.txt, torch {metadata.version('torch')}"


def _kernel() -> Iterator[str]:
    """Notebooks run in the kernel `python3`; it may belong to an environment other than this one."""
    from nbclient import NotebookClient
    from nbformat.v4 import new_code_cell, new_notebook

    code = "import sys\nfrom utils.exercises import check\nprint(sys.executable, end='')"
    notebook = new_notebook(cells=[new_code_cell(code)])
    resources = {"metadata": {"path": str(ROOT)}}
    try:
        NotebookClient(notebook, timeout=120, kernel_name="python3", resources=resources).execute()
        used = notebook.cells[0].outputs[0].text
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise CourseError(
            f"The kernel python3, in which the chapters run, does not work ({lines[-1]}): "
            f"`{sys.executable} -m ipykernel install --sys-prefix` makes one for this environment."
        ) from None
    if Path(used).parent.resolve() != Path(sys.executable).parent.resolve():
        raise CourseError(
            f"Notebooks run in {used}, not in this environment: "
            f"`{sys.executable} -m ipykernel install --sys-prefix` makes a kernel for this one."
        )
    yield "a notebook runs, in this environment, and finds the course"


def _own_folder() -> Iterator[str]:
    """Progress and passed code are written there."""
    from utils.exercises.home import home

    folder = home()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise CourseError(
            f"{folder} cannot be written to ({error.strerror}), and your progress is kept there: move the course to a "
            "folder of your own, or set ATTENTION_REBUILT_HOME to one."
        ) from None
    yield f"progress and your own code are kept in {folder}"


def _disk() -> Iterator[str]:
    from utils.exercises.home import home

    free = shutil.disk_usage(home()).free / 2**30
    if free < GIB_OF_DISK:
        raise CourseError(
            f"{free:.1f} GiB are free beside {home()}, and trainings want {GIB_OF_DISK}: make room, or set "
            "ATTENTION_REBUILT_HOME to a folder on another disk."
        )
    yield f"{free:.0f} GiB of disk are free"


def _device() -> Iterator[str]:
    yield from machine_lines()


def _pace() -> Iterator[str]:
    """How long the default training would take: measured on a few updates of it."""
    import time

    from utils.training.settings import Settings
    from utils.training.short import train_briefly

    asked = Settings().updates
    marks: list[float] = []
    train_briefly(updates=PACE_UPDATES, log_every=PACE_UPDATES // 4, report=lambda _: marks.append(time.perf_counter()))
    seconds = (marks[-1] - marks[0]) / (PACE_UPDATES - PACE_UPDATES // 4)
    busy = ", with other programs at work" if os.name == "posix" and os.getloadavg()[0] > (os.cpu_count() or 1) else ""
    yield f"a translator (python -m utils train) takes about {max(1, round(asked * seconds / 60))} minutes here{busy}"
