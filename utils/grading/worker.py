"""The process that grades: `python -m utils.grading.worker`, one JSON line in for each notebook, one out.

It holds the run's secret and the references; learners' code runs in the sandbox that it starts.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from utils.quick import without_iri_grammar


def main() -> None:
    """Serves until its input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    settings = json.loads(sys.stdin.readline())
    without_iri_grammar()
    with _grader(settings) as grader:
        for line in sys.stdin:
            answers.write(json.dumps(_answer(grader, json.loads(line))) + "\n")
            answers.flush()
    os._exit(0)  # nothing is left to tidy, and taking torch down politely takes a second


def _grader(settings: dict[str, Any]):
    from utils.grading.sandbox import Limits, Sandbox

    limits, private = Limits(**settings["limits"]), [Path(path) for path in settings["private"]]
    waiting = Sandbox(settings["confined"], limits, private, settings["slot"])  # imports torch while we do
    import torch

    from utils.grading.grader import Grader
    from utils.grading.probing import Times

    torch.set_num_threads(1)
    times = Times(**settings["times"])
    return Grader(settings["confined"], limits, times, private, settings["slot"], waiting)


def _answer(grader, task: dict[str, Any]) -> dict[str, Any]:
    from utils.errors import CourseError

    try:
        data = Path(task["data"]).read_bytes()
        junit = Path(task["junit"]) if task.get("junit") else None
        graded = grader.grade(data, task["secret"], task["learner"], task["chapter"], task["file"], junit)
        return {"result": graded.to_dict()}
    except CourseError as error:
        return {"trouble": str(error)}
    except Exception as error:  # our own bug: this submission is ungraded, the next ones are not
        grader.close()
        return {"trouble": f"The grader failed ({type(error).__name__}: {str(error)[:300]})."}


if __name__ == "__main__":
    main()
