"""`--model mine`: a translator made of what the learner wrote and passed, and the copy of it that a run keeps."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from utils.errors import CourseError
from utils.exercises.carrying import parts_from
from utils.exercises.home import PACKAGE, home
from utils.training.prepare import new_run, taken_up_run
from utils.training.runs import RunFolder
from utils.training.settings import Settings
from utils.training.trainer import Trainer
from utils.transformer import FUSED, Parts


def own_parts(settings: Settings, run: RunFolder | None = None) -> tuple[Parts, list[str]]:
    """(what the model is made of, a sentence on each part): the learner's own, or those that a run was trained with.

    Raises CourseError that lists what is missing. Other models have nothing of the learner's.
    """
    if settings.model != "mine":
        return FUSED, []
    return parts_from(home() / PACKAGE if run is None else run.path / PACKAGE)


def keep_own_code(run: RunFolder) -> None:
    """Puts a copy of the learner's code beside the run: what is rewritten later does not change what was trained."""
    shutil.copytree(home() / PACKAGE, run.path / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))


@contextmanager
def own_run(path: Path, settings: Settings, say: Callable[[str], None] = print) -> Iterator[Trainer]:
    """A trainer for the run in that folder: taken up at its newest checkpoint, with its settings and parts, or a new
    one, made of the learner's code as soon as all of it is passed. What is missing is said, and the course's parts are
    trained instead: a checkpoint must find the very code again that it was trained with.
    """
    there = RunFolder(path)
    if there.settings_file.is_file():
        with taken_up_run(there, own_parts(there.settings(), there)[0]) as trainer:
            yield trainer
        return
    try:
        parts, _ = parts_from(home() / PACKAGE)
        settings = replace(settings, model="mine")
    except CourseError as missing:
        say(f"{missing} This run is made of the course's own parts.")
        parts = FUSED
    with new_run(settings, path, parts) as trainer:
        if settings.model == "mine":
            keep_own_code(trainer.folder)
        yield trainer
