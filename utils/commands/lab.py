"""`python -m utils lab`: JupyterLab on the course, with the first chapter open."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def lab_command(options: list[str]) -> list[str]:
    """The command that opens JupyterLab on the first chapter, or on README as long as there is none."""
    first = next(iter(sorted((ROOT / "chapters").glob("*.ipynb"))), ROOT / "README.md")
    as_root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    start = f"--LabApp.default_url=/lab/tree/{first.relative_to(ROOT).as_posix()}"
    return [sys.executable, "-m", "jupyterlab", start, *as_root, *options]


def lab_environment() -> dict[str, str]:
    """The environment with the course's own settings of JupyterLab ahead of the machine's."""
    settings = [str(ROOT / "assets" / "jupyter"), os.environ.get("JUPYTER_CONFIG_PATH")]
    return {**os.environ, "JUPYTER_CONFIG_PATH": os.pathsep.join(filter(None, settings))}


def open_lab(options: list[str]) -> int:
    """Runs JupyterLab until it ends; returns its exit status."""
    try:
        return subprocess.run(lab_command(options), cwd=ROOT, env=lab_environment()).returncode
    except KeyboardInterrupt:  # JupyterLab has been told as well, and has said what it had to say
        return 0
