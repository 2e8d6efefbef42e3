"""The comparison of a solution's stored outputs with fresh ones, by nbval, and how strict it is.

A comparison that lets a wrong number pass is worth nothing. So there are two counter-checks: `unchecked_cells` lists
what is not compared, and `mutated_notebook` changes one constant, which the comparison must then notice.
"""

import ast
import copy
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode

from utils.notebooks.build import BuildError, read_notebook, to_text
from utils.notebooks.execute import solution_environment
from utils.notebooks.outputs import NBVAL_CONFIG

NOT_COMPARED = {"nbval-ignore-output": "tagged machine", "nbval-skip": "skipped"}
PICTURES = ("image/png", "image/jpeg")


@dataclass(frozen=True)
class Comparison:
    """What nbval found. `report` is its text, for a person."""

    matches: bool
    report: str


@dataclass(frozen=True)
class Unchecked:
    """A code cell with outputs that nbval does not compare, and why not."""

    identifier: str
    reason: str


@dataclass(frozen=True)
class Constant:
    """A number written in a code cell: where, what, and what a mutation makes of it."""

    identifier: str
    line: int  # counted from 1 within the cell
    column: int  # in bytes of UTF-8, as ast counts
    old: str
    new: str


def compare(notebook: Path, seconds: float = 600.0) -> Comparison:
    """Runs a notebook with nbval in its own folder and compares each output with the stored one."""
    command = [
        *(
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "nbval.plugin",
            "--nbval",
            "--nbval-current-env",
            "-x",
            "-q",
            "--color=no",
        ),
        *("-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", str(notebook.parent)),
        *("--nbval-sanitize-with", str(NBVAL_CONFIG), str(notebook)),
    ]
    with solution_environment() as environment:
        environment |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}  # nbval alone, whatever is around
        try:
            done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=seconds)
        except subprocess.TimeoutExpired:
            return Comparison(False, f"{notebook} took longer than {seconds:g} s.")
    if done.returncode not in (0, 1):  # nothing was compared: 2 interrupted, 4 misused, 5 no cell
        raise BuildError(f"nbval could not run {notebook}: {(done.stdout + done.stderr).strip()[-500:]}")
    return Comparison(done.returncode == 0, done.stdout)


def unchecked_cells(notebook: NotebookNode) -> list[Unchecked]:
    """The code cells that show something and are not compared: tagged so, never run, or nothing but a picture."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        reasons = [NOT_COMPARED[tag] for tag in cell.metadata.get("tags", ()) if tag in NOT_COMPARED]
        if cell.execution_count is None:
            reasons.append("never run")
        if cell.outputs and all(_only_picture(output) for output in cell.outputs):
            reasons.append("only a picture")
        if reasons:
            found.append(Unchecked(cell.id, reasons[0]))
    return found


def _only_picture(output: NotebookNode) -> bool:
    """Whether an output is a PNG and nothing that says what is on it: `<Figure size …>` says nothing."""
    data = output.get("data", {})
    text = str(data.get("text/plain", ""))
    return any(mime in data for mime in PICTURES) and (not text or text.startswith("<")) and "text/html" not in data


def numeric_constants(notebook: NotebookNode) -> list[Constant]:
    """The numbers in the compared code cells of a solution, each with another in its place.

    The set-up cell is left out: its numbers are none of the chapter's.
    """
    loose = {unchecked.identifier for unchecked in unchecked_cells(notebook)}
    found = []
    for cell in notebook.cells:
        role = cell.metadata.get("course", {}).get("role")
        if cell.cell_type != "code" or role == "setup" or cell.id in loose:
            continue
        try:
            tree = ast.parse(cell.source)
        except SyntaxError:  # a line of IPython's own
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and type(node.value) in (int, float):
                line = cell.source.split("\n")[node.lineno - 1].encode()
                old = line[node.col_offset : node.end_col_offset].decode(errors="replace")
                if not _reads(old, node.value):  # inside an f-string, Python 3.11 gives no true columns
                    continue
                new = repr(node.value + 1 if isinstance(node.value, int) else node.value * 1.25 + 0.125)
                found.append(Constant(cell.id, node.lineno, node.col_offset, old, new))
    return found


def _reads(text: str, value: float) -> bool:
    try:
        return ast.literal_eval(text) == value
    except (SyntaxError, ValueError):
        return False


def mutated_notebook(notebook: NotebookNode, constant: Constant) -> NotebookNode:
    """The notebook with one number changed in its code and the outputs left as they were stored."""
    changed = copy.deepcopy(notebook)
    cell = next(cell for cell in changed.cells if cell.id == constant.identifier)
    lines = cell.source.split("\n")
    line = lines[constant.line - 1].encode()
    end = constant.column + len(constant.old.encode())
    if line[constant.column : end].decode() != constant.old:
        raise BuildError(f"Cell {constant.identifier} has no {constant.old} in line {constant.line}: read it anew.")
    lines[constant.line - 1] = (line[: constant.column] + constant.new.encode() + line[end:]).decode()
    cell.source = "\n".join(lines)
    return changed


def notices(notebook: Path, constant: Constant, seconds: float = 600.0) -> Comparison:
    """Compares a solution after one number in it was changed: `matches` must be False, or the comparison is too loose.

    The changed copy lies beside the solution while it runs, so that it finds the same files, and is removed afterwards.
    """
    text = to_text(mutated_notebook(read_notebook(notebook), constant))
    handle, name = tempfile.mkstemp(prefix=".mutated-", suffix=".ipynb", dir=notebook.parent)
    try:
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
        return compare(Path(name), seconds)
    finally:
        Path(name).unlink()
