"""Calls the learner's answer on the grader's inputs and emits what came of it: one bundle of a MIME type of our own.

What comes in was pickled by the grader, which this side trusts. What goes out is JSON (see `packing.py`), because the
grader trusts nothing of this side.
"""

import base64
import inspect
import json
import pickle
import sys
import time
from types import ModuleType
from typing import Any

from utils.exercises.calling import Form, Outcome, Trouble, call_answer
from utils.exercises.structure import kind_of
from utils.exercises.surroundings import TooSlow, learner_lines, time_limit

from .packing import Packer

MIME = "application/x-attention-rebuilt-probe+json"


def install(modules: dict[str, str]) -> None:
    """Adds definitions to modules, and makes those modules that are not there."""
    for name in modules:
        module = sys.modules.get(name)
        if module is None:
            module = sys.modules[name] = ModuleType(name)
            parent, _, last = name.rpartition(".")
            if parent in sys.modules:
                setattr(sys.modules[parent], last, module)
    for name, text in modules.items():
        exec(compile(text, f"<course {name}>", "exec"), sys.modules[name].__dict__)


def stand_in(modules: dict[str, str], home: str, own: str, names: dict[str, Any], name: str) -> None:
    """Puts the course's own form of an earlier exercise, `own` in the module `home`, among the learner's names."""
    install(modules)
    names[name] = getattr(sys.modules[home], own)


def run(names: dict[str, Any], payload: str) -> None:
    """The probe cell: calls the answer and emits one bundle."""
    task = pickle.loads(base64.b64decode(payload))
    install(task["modules"])
    emit({"probe": task["probe"], **_looked_at(names, task)})


def emit(content: dict[str, Any]) -> None:
    """Sends a bundle."""
    from IPython.display import publish_display_data

    publish_display_data({MIME: json.dumps(content), "text/plain": "the probe's result"})


def _looked_at(names: dict[str, Any], task: dict[str, Any]) -> dict[str, Any]:
    name = task["name"]
    if name not in names:
        return {"answer": {"there": False}}
    answer = names[name]
    packer = Packer()
    described = {"there": True, "callable": callable(answer), "class": inspect.isclass(answer), "kind": kind_of(answer)}
    if not callable(answer):
        return {"answer": described, "outcomes": []}
    outcomes = _outcomes(answer, task)
    return {"answer": described | _signatures(answer), "outcomes": [packer.outcome(outcome) for outcome in outcomes]}


def _signatures(answer: Any) -> dict[str, Any]:
    """Which parameters the answer takes, as far as it tells."""
    found: dict[str, Any] = {}
    for name, thing in (("signature", answer), ("forward", getattr(answer, "forward", None))):
        try:
            parameters = inspect.signature(thing).parameters.values()
        except Exception:
            continue
        empty = inspect.Parameter.empty
        found[name] = [[str(p.name), int(p.kind), p.default is not empty] for p in parameters][:50]
    return found


def _outcomes(answer: Any, task: dict[str, Any]) -> list[Outcome]:
    form = Form(task["kind"], task["signature"], tuple(_found(fill) for fill in task["fills"]))
    deadline = time.monotonic() + task["seconds"]
    outcomes: list[Outcome] = []
    for case, seed, weights in pickle.loads(task["calls"]):  # whose classes have just been installed
        outcome = _called(form, answer, case, seed, weights, task["fill"], deadline, task["seconds"])
        outcomes.append(outcome)
        if outcome.trouble and outcome.trouble.kind in ("slow", "unwritten"):
            break
    return outcomes


def _found(fill: tuple[str, str]) -> Any:
    module, name = fill
    return getattr(sys.modules[module], name)


def _called(form: Form, answer: Any, case: Any, seed: int, weights: Any, fill: int, deadline: float, limit: float):
    try:
        with time_limit(max(deadline - time.monotonic(), 0.01)):
            return call_answer(form, answer, case, seed, weights, fill)
    except TooSlow as error:
        said = f"Your code had not finished after {limit:g} seconds and was stopped: is there a loop without an end?"
        return Outcome(trouble=Trouble("slow", "", said, tuple(learner_lines(error))))
