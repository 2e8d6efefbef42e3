"""The first code cell of every chapter: one template, the same everywhere save for the chapter's number.

In JupyterLab it imports and nothing else. On Colab it first fetches the course, and `colab.py`, which comes with it,
does the rest. It can be run again at any time.
"""

COLAB_FOLDER = "/content/attention-rebuilt"

TEMPLATE = """\
# Set-up of chapter {number}: run this first. In JupyterLab it only imports; on Colab it fetches the course before that.
import shutil, subprocess, sys  # noqa: E401
from importlib.util import find_spec
from pathlib import Path

REPOSITORY, COLAB = {repository!r}, Path({folder!r})
DRIVE = False  # @param {{type: "boolean"}} True: on Colab, keep progress and checkpoints in your Google Drive

on_colab = bool(find_spec("google") and find_spec("google.colab"))
places = [Path.cwd(), *Path.cwd().parents, COLAB]
course = next((place for place in places if (place / "utils/notebooks/colab.py").is_file()), None)
if course is None and on_colab and REPOSITORY:
    shutil.rmtree(COLAB, ignore_errors=True)  # what an interrupted download left behind
    fetched = subprocess.run(["git", "clone", "--quiet", "--depth", "1", REPOSITORY, str(COLAB)])
    course = COLAB if fetched.returncode == 0 else None
if course is None:
    raise FileNotFoundError("No course here or above, and none was fetched: open this in the course's chapters folder.")
sys.path[:0] = [str(course)] if str(course) not in sys.path else []
if on_colab:
    from utils.notebooks.colab import set_up; set_up(course, drive=DRIVE)  # noqa: E702

import torch
from utils import plots
from utils.exercises import check, hint, predict, progress
"""


def setup_cell(number: str, repository: str | None, folder: str = COLAB_FOLDER) -> str:
    """The text of the set-up cell. `folder` is where Colab keeps the course; tests put it elsewhere."""
    return TEMPLATE.format(number=number, repository=repository, folder=folder).rstrip("\n")
