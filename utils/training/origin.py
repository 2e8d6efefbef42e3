"""Where a run comes from: command, versions and hardware, so that its figures can be trusted and repeated."""

import os
import platform
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import torch

PACKAGES = ("torch", "torchtext", "tokenizers", "numpy", "safetensors", "sacrebleu")


def origin() -> dict:
    """Command, versions, hardware and commit of the present process, as plain JSON values."""
    return {
        "command": command_line(sys.argv),
        "versions": {"python": platform.python_version()} | {name: metadata.version(name) for name in PACKAGES},
        "hardware": hardware(),
        "commit": commit(),
    }


def command_line(arguments: list[str]) -> str:
    """What a person would type to get this process."""
    inside = Path(arguments[0]).name in ("__main__.py", "utils")
    return shlex.join(["python", "-m", "utils", *arguments[1:]] if inside else ["python", *arguments])


def hardware() -> dict:
    """Processor, cores, threads, memory and GPUs of this machine."""
    gpus = (
        [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    )
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gib": memory(),
        "gpus": gpus,
        "system": platform.system(),
    }


def processor() -> str:
    """The processor's name as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def memory() -> float | None:
    """GiB of memory, where the system tells it."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None


def commit() -> str | None:
    """The commit of the course's checkout, with + where files differ from it; None outside a checkout."""
    root = Path(__file__).parents[2]
    try:
        asked = {"cwd": root, "capture_output": True, "text": True, "check": True, "timeout": 10}
        name = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], **asked).stdout.strip()
        changed = subprocess.run(["git", "status", "--porcelain", "--untracked-files=no"], **asked).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
    return name + "+" * bool(changed)
