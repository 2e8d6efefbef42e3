"""Runs a solution from its first cell to its last and stores what it shows. A failing cell is named in words."""

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nbformat import NotebookNode

from utils.errors import CourseError
from utils.notebooks.colab import HOME
from utils.notebooks.outputs import fault, normalised, refused
from utils.notebooks.source import Cell, Chapter

CELL_SECONDS = 180.0  # a whole chapter may take 90 s on 2 cores
TERMINAL_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class ExecutionError(CourseError):
    """A cell that failed, warned, or took too long; names chapter, exercise or heading, file and line."""


@contextmanager
def solution_environment() -> Iterator[dict[str, str]]:
    """The environment a solution runs in, here and under nbval: nobody's progress, nobody's IPython profile."""
    with tempfile.TemporaryDirectory(prefix="attention-rebuilt-") as folder:
        yield dict(os.environ) | {HOME: f"{folder}/home", "IPYTHONDIR": f"{folder}/ipython"}


def execute(
    chapter: Chapter,
    notebook: NotebookNode,
    folder: Path,
    root: Path,
    cell_seconds: float = CELL_SECONDS,
    on_cell: Callable[[int, Cell], None] = lambda index, cell: None,
) -> None:
    """Runs a notebook in `folder`, in place. ExecutionError names the first cell that fails, and nothing is stored."""
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    client = NotebookClient(
        notebook,
        timeout=cell_seconds,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        extra_arguments=["--log-level=40"],  # the kernel warns about its own TCP port
        store_widget_state=False,
        shutdown_kernel="immediate",
    )
    with solution_environment() as environment, client.setup_kernel(env=environment):
        private = [str(root.resolve()), str(Path.home()), str(Path(environment[HOME]).parent)]
        for index, cell in enumerate(notebook.cells):
            on_cell(index, chapter.cells[index])
            if cell.cell_type != "code":
                continue
            try:
                client.execute_cell(cell, index)
            except CellTimeoutError:
                raise _error(chapter, index, f"it took longer than {cell_seconds:g} s.") from None
            except DeadKernelError:
                raise _error(chapter, index, "the kernel died; is there enough memory?") from None
            except CellExecutionError as error:
                line = _failing_line(error.traceback, cell.execution_count)
                said = error.evalue or cell.source.split("\n")[line or 0].strip()  # a bare assert says nothing
                raise _error(chapter, index, f"{error.ename}: {said}", line) from None
            if sentence := fault(cell.outputs, [path for path in private if path != "/"]):
                raise _error(chapter, index, sentence)
            if sentence := _unwanted_verdict(chapter.cells[index], cell.outputs):
                raise _error(chapter, index, sentence)
    _store(notebook)


def _unwanted_verdict(cell: Cell, outputs: list[dict]) -> str | None:
    """Why what a check says may not be stored: it refuses where nobody said so, or passes what is shown as wrong."""
    refusal = refused(outputs)
    if "refused" in cell.tags:
        return None if refusal else "it is tagged `refused`, and no check in it refuses anything."
    if refusal and cell.role == "check":
        return f"the solution does not pass its own check: {refusal}"
    if refusal:
        return f"a check refuses an answer: {refusal} If that is the lesson, tag the cell `refused`."
    return None


def _failing_line(traceback: str, execution_count: int | None) -> int | None:
    """The line within the cell, counted from 0, where IPython's traceback leaves it."""
    plain = TERMINAL_COLOURS.sub("", traceback)
    found = re.findall(rf"Cell In\[{execution_count}\], line (\d+)", plain)
    return int(found[-1]) - 1 if found else None


def _error(chapter: Chapter, index: int, sentence: str, line: int | None = None) -> ExecutionError:
    cell = chapter.cells[index]
    at = cell.line + (line or 0) if cell.role != "setup" else cell.line  # the set-up cell's text is not the source's
    role = "" if cell.role in ("exercise", "code") else f", the {cell.role} cell"
    return ExecutionError(f"Chapter {chapter.number}, {cell.place}{role} ({chapter.path}, line {at}): {sentence}")


def _store(notebook: NotebookNode) -> None:
    """Numbers the cells from 1 and leaves of outputs and metadata what every run gives alike."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for count, cell in enumerate(code, start=1):
        cell.execution_count = count
        cell.outputs = [NotebookNode(output) for output in normalised(cell.outputs, count)]
        cell.metadata.pop("execution", None)
