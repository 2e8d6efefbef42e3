"""Calls the learner's answer on the grader's inputs and emits what came of it: one bundle of a MIME type of our own.

What comes in was pickled by the grader, which this side trusts. What goes out is JSON (see `packing.py`), because the
grader trusts nothing of this side.
"""

import base64
import contextlib
import importlib
import inspect
import json
import pickle
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from types import ModuleType
from typing import Any

from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from utils.exercises.calling import Form, Outcome, Trouble, call_answer
from utils.exercises.declare import WATCHED
from utils.exercises.structure import kind_of
from utils.exercises.surroundings import TooSlow, learner_lines, time_limit

from .packing import Packer

MIME = "application/x-attention-rebuilt-probe+json"
ENDS = ("slow", "unwritten")  # troubles after which no further call is made


def install(modules: dict[str, str]) -> None:
    """Adds definitions to modules, and makes those modules that are not there."""
    for name in modules:
        try:
            importlib.import_module(name)  # what the course folder holds of it is needed beside what is added
        except ImportError:
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
    packed = [packer.outcome(outcome) for outcome in outcomes]
    seen = _operations(answer, task) if task["operations"] and len(outcomes) > 1 else []
    return {"answer": described | _signatures(answer), "outcomes": packed, "operations": seen}


class _Functions(TorchFunctionMode):
    """Takes down which of torch's functions are called, by the names that Python knows."""

    def __init__(self, names: set[str]) -> None:
        super().__init__()
        self.names = names

    def __torch_function__(self, function, types, arguments=(), keywords=None):
        """Calls the function."""
        self.names.add(str(getattr(function, "__name__", "")))
        return function(*arguments, **(keywords or {}))


class _Kernels(TorchDispatchMode):
    """Takes down which operations are carried out in the end."""

    def __init__(self, names: set[str]) -> None:
        super().__init__()
        self.names = names

    def __torch_dispatch__(self, operation, types, arguments=(), keywords=None):
        """Runs the operation."""
        self.names.add(str(operation))
        return operation(*arguments, **(keywords or {}))


@contextlib.contextmanager
def operations() -> Iterator[set[str]]:
    """The names of what torch does in the block."""
    names: set[str] = set()
    with _Functions(names), _Kernels(names):
        yield names


def _operations(answer: Any, task: dict[str, Any]) -> list[str]:
    """The operations of all calls, as far as two seconds reach."""
    form = Form(task["kind"], task["signature"], tuple(_found(fill) for fill in task["fills"]))
    deadline = time.monotonic() + 2.0
    found: set[str] = set()
    for case, seed, weights in pickle.loads(task["calls"]):
        if case.observe in WATCHED or time.monotonic() > deadline:
            continue
        with operations() as names:
            _called(form, answer, replace(case, gradients=False), seed, weights, task["fill"], deadline, 2.0)
        found |= names
    return sorted(name[:200] for name in found)[:300]


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
        if outcome.trouble and outcome.trouble.kind in ENDS:
            break
    return outcomes


def _found(fill: tuple[str, str, dict[str, Any]]) -> Any:
    module, name, keywords = fill
    function = getattr(sys.modules[module], name)
    return partial(function, **keywords) if keywords else function


def _called(form: Form, answer: Any, case: Any, seed: int, weights: Any, fill: int, deadline: float, limit: float):
    try:
        with time_limit(max(deadline - time.monotonic(), 0.01)):
            return call_answer(form, answer, case, seed, weights, fill)
    except TooSlow as error:
        said = f"Your code had not finished after {limit:g} seconds and was stopped: is there a loop without an end?"
        return Outcome(trouble=Trouble("slow", "", said, tuple(learner_lines(error))))
