"""`--model mine`: a translator made of what the learner wrote and passed, and the copy of it that a run keeps."""

import shutil

from utils.exercises.carrying import parts_from
from utils.exercises.home import PACKAGE, home
from utils.training.runs import RunFolder
from utils.training.settings import Settings
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
