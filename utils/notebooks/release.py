"""Packs what learners get: chapters, `utils`, assets and how to start; no solutions, no tests.

`utils.transformer` comes along, for it is the model that chapters measure and train: who wants to peep, can. So does
the grader, with which learners check their own notebooks: it relies on a run's secret, never on its code being one.
"""

import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from utils.errors import ConfigError, CourseError
from utils.notebooks.address import repository
from utils.notebooks.build import ROOT, chapter_notebook, select, to_text
from utils.notebooks.source import Chapter

FILES = ("requirements.txt", "constraints.txt", "LICENSE")
TREES = ("utils", "assets")
DEVELOPERS_TABLES = ("tool.pytest", "tool.ruff", "tool.coverage")
EARLIEST = (1980, 1, 1, 0, 0, 0)  # the only date that makes two zip files of the same course the same file

MAKEFILE = """\
# make lab: the course in JupyterLab. Makes .venv by itself.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: lab clean

lab: .venv/.ready
	$(BIN)/python -m utils lab $(LAB_OPTIONS)

# An interrupted run leaves .venv/.installing behind, and then the next one starts .venv afresh.
.venv/.ready: requirements.txt constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "This course needs Python 3.11 or later: make PYTHON=python3.11")'
	@if [ -e .venv/.installing ] || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then $(PYTHON) -m venv --clear .venv; fi
	@touch .venv/.installing
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -c constraints.txt
	@rm .venv/.installing
	@touch $@

clean:
	rm -rf .venv
"""  # noqa: E501

README = """\
# Attention, Rebuilt

A course on one paper, "Attention Is All You Need" (Vaswani et al., 2017). You read one part of it at a time, build
that part, are told which misunderstanding made it wrong, and test the paper's claim about it.

## Start

On Linux or macOS with Python 3.11 or later and make: `make lab`. Without make, or on Windows:

```
py -m venv .venv                              # Linux, macOS: python3 -m venv .venv
.venv\\Scripts\\python -m pip install -r requirements.txt -c constraints.txt
.venv\\Scripts\\python -m utils lab             # Linux, macOS: .venv/bin/python -m utils lab
```

With `--check` behind it, the last command says whether the machine is fit for the course, and what to do if not.
{colab}
## Chapters

{chapters}

Each chapter starts with a set-up cell: run it first. An exercise cell says what to write; the cell right under it
checks what you wrote. `hint("3.2")` gives the next of three hints, `progress()` shows what you have passed.

## Licence

Code: MIT. Text and figures: CC BY 4.0. See LICENSE.
"""

ON_COLAB = """
Or on Google Colab, without installing anything: open one of the notebooks there from {address}.
"""


def release(out: Path, root: Path = ROOT, more: Callable[[list[Chapter]], dict[str, str]] | None = None) -> Path:
    """Writes what learners get into the folder `out`, and the same as `out`.zip; returns the zip file.

    Chapters are made afresh from their sources: what somebody wrote into chapters/ does not get in. The folder
    appears whole or not at all. `more` gives further files, {path: text}. ConfigError when either is there already.
    """
    out = out.expanduser().resolve()
    archive = out.with_name(out.name + ".zip")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out} exists and is not empty: choose another folder for the release.")
    if archive.exists():
        raise ConfigError(f"{archive} exists: move it away, or choose another folder for the release.")
    inside = [tree for tree in TREES if (root / tree).resolve() in [out, *out.parents]]
    if inside:
        raise ConfigError(f"{out} lies inside {inside[0]}/, which is packed: choose a folder elsewhere.")
    chapters = select(None, root)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as folder:
            packed, zipped = Path(folder) / "course", Path(folder) / "course.zip"
            _pack(packed, root, chapters)
            for name, text in (more(chapters) if more else {}).items():
                (packed / name).parent.mkdir(parents=True, exist_ok=True)
                _write(packed / name, text)
            _zip(packed, zipped, out.name)
            if out.exists():
                out.rmdir()
            os.replace(packed, out)
            os.replace(zipped, archive)
    except OSError as error:
        raise CourseError(
            f"The release {out} cannot be written ({error.strerror or error}): check rights and space."
        ) from None
    return archive


def _pack(folder: Path, root: Path, chapters: list[Chapter]) -> None:
    folder.mkdir()
    for name in FILES:
        shutil.copyfile(root / name, folder / name)
    for tree in TREES:
        for path in sorted((root / tree).rglob("*")):
            relative = path.relative_to(root)
            if path.is_file() and _belongs(relative):
                (folder / relative).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, folder / relative)
    address = repository(root)
    (folder / "chapters").mkdir()
    for chapter in chapters:
        _write(folder / "chapters" / f"{chapter.name}.ipynb", to_text(chapter_notebook(chapter, address)))
    _write(folder / "pyproject.toml", learners_pyproject((root / "pyproject.toml").read_text(encoding="utf-8")))
    _write(folder / "Makefile", MAKEFILE)
    _write(folder / "README.md", learners_readme(chapters, address))


def _belongs(relative: Path) -> bool:
    """Whether a file of a packed tree is for learners: nothing hidden or compiled."""
    hidden = any(part.startswith(".") or part == "__pycache__" for part in relative.parts)
    return not hidden and relative.suffix != ".pyc"


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def learners_readme(chapters: list[Chapter], address: str | None) -> str:
    """README.md of the bundle: how to start, and the list of its chapters."""
    listed = "\n".join(f"* [{chapter.title}](chapters/{chapter.name}.ipynb)" for chapter in chapters)
    colab = ON_COLAB.format(address=address) if address and "//github.com/" in address else ""
    return README.format(colab=colab, chapters=listed)


def learners_pyproject(text: str) -> str:
    """pyproject.toml without the tables that only the course's developers need."""
    tables = re.split(r"^(?=\[)", text, flags=re.MULTILINE)
    kept = [table for table in tables if not table.lstrip("[").startswith(DEVELOPERS_TABLES)]
    return "".join(kept).rstrip("\n") + "\n"


def _zip(folder: Path, archive: Path, top: str) -> None:
    """A zip file that is the same, byte for byte, whenever the files are."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(f"{top}/{path.relative_to(folder).as_posix()}", EARLIEST)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            entry.create_system = 3  # Unix, on every machine
            file.writestr(entry, path.read_bytes())
