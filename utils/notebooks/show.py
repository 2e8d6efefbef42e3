"""The progress bar of a build: which chapter, which cell, how many are left."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from utils.notebooks.source import Cell, Chapter


@contextmanager
def progress_bar(chapters: list[Chapter]) -> Iterator[Callable[[Chapter, int, Cell], None]]:
    """Draws one bar a chapter, and yields the function that moves it. Where there is no terminal: a line a chapter."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<48}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        tasks: dict[str, int] = {}

        def show(chapter: Chapter, index: int, cell: Cell) -> None:
            if chapter.number not in tasks:
                tasks[chapter.number] = progress.add_task(chapter.name, total=len(chapter.cells))
                if not console.is_terminal:
                    print(f"{chapter.name}: running {len(chapter.cells)} cells", file=console.file, flush=True)
            last = index + 1 == len(chapter.cells)
            description = chapter.name if last else f"{chapter.number} {cell.place}"[:48]
            progress.update(tasks[chapter.number], completed=index + last, description=description)

        yield show
