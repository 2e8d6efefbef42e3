"""Makes the two notebooks of a chapter from its source, and says when they no longer match it.

chapters/NN_slug.ipynb has the exercises open and no outputs; solutions/NN_slug.ipynb has been run. Both carry the same
cell ids. A second build changes no byte: ids come from exercise numbers and headings, metadata is fixed, and what a
cell tagged `machine` printed is kept for as long as no code of the chapter changes.
"""

import base64
import copy
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from utils.errors import ConfigError, CourseError
from utils.notebooks.address import colab_badge, declared_repository, repository
from utils.notebooks.execute import CELL_SECONDS, execute
from utils.notebooks.regions import opened
from utils.notebooks.setup_cell import COLAB_FOLDER, setup_cell
from utils.notebooks.source import Cell, Chapter, find_sources, read_source
from utils.training.checkpoints import write_atomically

ROOT = Path(__file__).parents[2]
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {
        "codemirror_mode": {"name": "ipython", "version": 3},
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
    },
}
DRAWING = re.compile(r"!\[([^\]]*)\]\((\.\./assets/[^)\s]+\.svg)\)")
Show = Callable[[Chapter, int, Cell], None]


class BuildError(CourseError):
    """A notebook that cannot be written or that somebody has worked in."""


def chapter_notebook(chapter: Chapter, address: str | None, colab_folder: str = COLAB_FOLDER) -> NotebookNode:
    """What learners work in: solution regions removed, nothing executed."""
    return _notebook(chapter, "chapters", address, colab_folder)


def solution_notebook(chapter: Chapter, address: str | None, colab_folder: str = COLAB_FOLDER) -> NotebookNode:
    """The same notebook with its solutions, not yet executed."""
    return _notebook(chapter, "solutions", address, colab_folder)


def _notebook(chapter: Chapter, folder: str, address: str | None, colab_folder: str) -> NotebookNode:
    badge = colab_badge(address, f"{folder}/{chapter.name}.ipynb")
    cells = []
    for index, cell in enumerate(chapter.cells):
        text = cell.text
        if index == 0 and badge:
            title, _, rest = text.partition("\n")
            text = f"{title}\n\n{badge}\n" + rest
        if cell.kind == "markdown":
            text = with_drawings(text, chapter.path)
        if cell.role == "setup":
            text = setup_cell(chapter.number, address, colab_folder)
        if cell.role == "exercise" and folder == "chapters":
            text = opened(text, cell.exercise)
        make = new_code_cell if cell.kind == "code" else new_markdown_cell
        cells.append(make(text, id=cell.identifier, metadata=_cell_metadata(cell)))
    notebook = new_notebook(cells=cells, metadata=copy.deepcopy(METADATA))
    notebook.metadata["course"] = {
        "chapter": chapter.number,
        "title": chapter.title,
        "source": f"solutions/{chapter.path.name}",
        "repository": address,
        "digest": source_digest(notebook),
    }
    nbformat.validate(notebook)
    return notebook


def with_drawings(text: str, source: Path) -> str:
    """Markdown with the course's own drawings inside of it: Colab shows no file that lies beside a notebook."""

    def embedded(match: re.Match) -> str:
        drawing = source.parent / match[2]
        if not drawing.is_file():
            raise BuildError(f"{source} shows {match[2]}, and there is no such file: draw it, or mend the link.")
        return f"![{match[1]}](data:image/svg+xml;base64,{base64.b64encode(drawing.read_bytes()).decode()})"

    return DRAWING.sub(embedded, text)


def _cell_metadata(cell: Cell) -> dict:
    metadata: dict = {"course": {"role": cell.role}}
    if cell.exercise:
        metadata["course"]["exercise"] = cell.exercise
        metadata["deletable"] = False  # JupyterLab then refuses to delete what the grader looks for
    tags = [tag for tag in cell.tags if tag not in ("folded",)]
    if "machine" in tags:
        tags.append("nbval-ignore-output")
    if tags:
        metadata["tags"] = tags
    if "folded" in cell.tags:
        metadata["jupyter"] = {"source_hidden": True}
    return metadata


def source_digest(notebook: NotebookNode) -> str:
    """A digest of what the cells say, not of what they printed: a notebook that was only run keeps it."""
    said = json.dumps([[cell.get("id"), cell.cell_type, cell.source] for cell in notebook.cells], ensure_ascii=False)
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def select(numbers: Sequence[str] | None, root: Path = ROOT) -> list[Chapter]:
    """The chapters with these numbers ("3" or "03"), or all of them. ConfigError names the ones there are."""
    sources = find_sources(root / "solutions")
    if not sources:
        raise ConfigError(f"{root / 'solutions'} holds no source of a chapter, NN_slug.py: there is nothing to build.")
    there = {path.name[:2]: path for path in sources}
    wanted = list(there) if not numbers else [number.zfill(2) for number in numbers]
    for number in wanted:
        if number not in there:
            raise ConfigError(f"There is no chapter {number!r}: good values are {', '.join(there)}.")
    return [read_source(there[number]) for number in wanted]


def build(
    numbers: Sequence[str] | None = None,
    root: Path = ROOT,
    run: bool = True,
    overwrite: bool = False,
    cell_seconds: float = CELL_SECONDS,
    show: Show | None = None,
) -> list[Path]:
    """Builds the chapters given, or all; returns the files that changed.

    run=False leaves the executed solutions as they are. A notebook under chapters/ that somebody has worked in is
    never overwritten, unless `overwrite` says so. Without `show`, a progress bar is drawn.
    """
    chapters = select(numbers, root)  # every source is read, and refused if need be, before anything is run
    address = repository(root)
    if not overwrite:
        for chapter in chapters:
            _require_untouched(root / "chapters" / f"{chapter.name}.ipynb")
    if show is None and run:
        from utils.notebooks.show import progress_bar

        with progress_bar(chapters) as show:
            return _build(chapters, root, address, run, cell_seconds, show)
    return _build(chapters, root, address, run, cell_seconds, show or (lambda *place: None))


def _build(chapters: list[Chapter], root: Path, address: str | None, run: bool, seconds: float, show) -> list[Path]:
    changed = []
    for chapter in chapters:
        open_file, solved_file = notebook_files(chapter, root)
        changed += _write(open_file, to_text(chapter_notebook(chapter, address)))
        if run:
            solved = solution_notebook(chapter, address)
            execute(chapter, solved, root / "solutions", root, seconds, on_cell=partial(show, chapter))
            _keep_machine_outputs(solved, solved_file)
            changed += _write(solved_file, to_text(solved))
    return changed


def notebook_files(chapter: Chapter, root: Path = ROOT) -> tuple[Path, Path]:
    """Where the open and the solved notebook of a chapter lie."""
    return root / "chapters" / f"{chapter.name}.ipynb", root / "solutions" / f"{chapter.name}.ipynb"


def to_text(notebook: NotebookNode) -> str:
    """A notebook as its file holds it."""
    return nbformat.writes(notebook, version=4).rstrip("\n") + "\n"


def read_notebook(path: Path) -> NotebookNode:
    """A notebook from its file. BuildError when it is none."""
    try:
        return nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
    except Exception as error:  # nbformat raises half a dozen kinds
        raise BuildError(f"{path} is no readable notebook ({str(error).splitlines()[0][:200]}).") from None


def _write(path: Path, text: str) -> list[Path]:
    if path.is_file() and path.read_bytes() == text.encode():
        return []
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8", newline="\n"))
    return [path]


def _require_untouched(path: Path) -> None:
    """BuildError when the cells of a built notebook were changed by a person: their work is not ours to overwrite."""
    if not path.exists():
        return
    try:
        notebook = read_notebook(path)
    except BuildError as error:
        raise BuildError(f"{error} Move it away first, or give --overwrite if it may go.") from None
    if notebook.metadata.get("course", {}).get("digest") != source_digest(notebook):
        raise BuildError(
            f"{path} has been worked in since it was built: move it away first, or give --overwrite if it may go."
        )


def _keep_machine_outputs(new: NotebookNode, file: Path) -> None:
    """Takes over what `machine` cells printed before, as long as every code cell is what it was."""
    try:
        old = read_notebook(file)
    except BuildError:
        return
    stored = [cell for cell in old.cells if cell.cell_type == "code"]
    fresh = [cell for cell in new.cells if cell.cell_type == "code"]
    if [(cell.get("id"), cell.source) for cell in stored] != [(cell.id, cell.source) for cell in fresh]:
        return
    for before, after in zip(stored, fresh, strict=True):
        if "machine" in after.metadata.get("tags", ()) and before.execution_count == after.execution_count:
            after.outputs = before.outputs


def check_built(numbers: Sequence[str] | None = None, root: Path = ROOT) -> list[str]:
    """One sentence for each notebook that does not match its source, with the way to mend it; none when all do.

    Nothing is run: of executed notebooks cells, ids and metadata are compared, and that each cell was run.
    """
    chapters, faults = select(numbers, root), []
    declared = declared_repository(root)
    for chapter in chapters:
        open_file, solved_file = notebook_files(chapter, root)
        for file, make in ((open_file, chapter_notebook), (solved_file, solution_notebook)):
            if sentence := _mismatch(file, chapter, make, declared, file == solved_file):
                faults.append(sentence)
    if not numbers:
        faults += _orphans(chapters, root)
    return faults


def _mismatch(file: Path, chapter: Chapter, make, declared: str | None, executed: bool) -> str | None:
    command = f"`python -m utils build {chapter.number}`"
    if not file.is_file():
        return f"{file} is missing: run {command}."
    try:
        stored = read_notebook(file)
    except BuildError as error:
        return f"{error} Delete it and run {command}."
    # A fork's git remote is not the origin's: where pyproject.toml is silent, the address in the file stands.
    expected = make(chapter, declared or stored.metadata.get("course", {}).get("repository"))
    by_hand = stored.metadata.get("course", {}).get("digest") != source_digest(stored)
    mend = f"edit the source and run {command[:-1]} --overwrite`" if by_hand else f"run {command}"
    place = _first_difference(stored, expected, executed)
    if place is None and not executed and file.read_text(encoding="utf-8") != to_text(expected):
        place = "its formatting"
    if place is None:
        return None
    how = "was edited by hand and does not match" if by_hand else "does not match"
    return f"{file} {how} {chapter.path} ({place}): {mend}."


def _first_difference(stored: NotebookNode, expected: NotebookNode, executed: bool) -> str | None:
    """Where two notebooks differ, in words."""
    for have, want in zip(stored.cells, expected.cells, strict=False):
        if have.get("id") != want.id:
            return f"where cell {want.id} should be, there is {have.get('id')}"
        if (have.cell_type, have.source, have.metadata) != (want.cell_type, want.source, want.metadata):
            return f"cell {want.id}"
    if len(stored.cells) != len(expected.cells):
        return f"{len(stored.cells)} cells in place of {len(expected.cells)}"
    if stored.metadata != expected.metadata or stored.nbformat_minor != expected.nbformat_minor:
        return "its metadata"
    code = [cell for cell in stored.cells if cell.cell_type == "code"]
    for count, cell in enumerate(code, start=1):
        if executed and cell.execution_count != count:
            return f"cell {cell.id} was not run in its turn"
        if not executed and (cell.execution_count is not None or cell.outputs):
            return f"cell {cell.id} holds outputs"
        raises = any(output.output_type == "error" for output in cell.outputs)
        if raises and "raises-exception" not in cell.metadata.get("tags", ()):
            return f"cell {cell.id} ended in an error"
    return None


def _orphans(chapters: list[Chapter], root: Path) -> list[str]:
    known = {file for chapter in chapters for file in notebook_files(chapter, root)}
    found = [*sorted((root / "chapters").glob("*.ipynb")), *sorted((root / "solutions").glob("*.ipynb"))]
    return [
        f"{file} has no source under solutions/: delete it."
        for file in found
        if file not in known and file.name[0] != "."
    ]
