"""What is sent into a kernel: cases, seeds of their calls, weights, and the definitions that these are made of.

Pickled, since it goes from the grader to the learner and never back. Names and parts of cases stay here.
"""

import base64
import inspect
import io
import pickle
import pickletools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from utils.exercises.calling import form_of
from utils.exercises.declare import Case, Exercise
from utils.grading.course import place_of
from utils.grading.slicing import Place, Slice, SliceError, module_file

ALWAYS_THERE = ("utils.errors", "utils.exercises.calling", "utils.exercises.declare", "utils.exercises.structure")


@dataclass(frozen=True)
class CallOf:
    """One call: inputs, seed, and weights for a module."""

    case: Case
    seed: int
    weights: dict[str, Any] | None = None


def probe_code(
    exercise: Exercise, name: str, calls: list[CallOf], fill: int, seconds: float, probe: str, there: Slice
) -> str:
    """The probe cell's code. `there` is what the kernel's course holds already."""
    sent = [(replace(call.case, name="", part="values", traits=()), call.seed, call.weights) for call in calls]
    fills = [_named(function) for function in form_of(exercise).fills]
    needed = {*classes_in(sent), *((module, name) for module, name, _ in fills)}
    task = {
        "probe": probe, "name": name, "kind": exercise.kind, "signature": _bare(form_of(exercise).signature),
        "fills": fills, "modules": definitions(needed, there, place_of(exercise)), "calls": pickle.dumps(sent, 4),
        "fill": fill, "seconds": seconds, "operations": bool(exercise.forbidden),
    }  # fmt: skip
    return f"__import__('graders_own.probe').probe.run(get_ipython().user_ns, {_text(task)!r})"


def stand_in_code(exercise: Exercise, name: str, there: Slice) -> str:
    """Code that gives a name the course's own answer to an exercise that is not being graded here."""
    home, own = place_of(exercise)
    modules = definitions({(home, own)}, there, None)
    start = "__import__('graders_own.probe').probe.stand_in"
    return f"{start}({modules!r}, {home!r}, {own!r}, get_ipython().user_ns, {name!r})"


def definitions(needed: Iterable[Place], there: Slice, withheld: Place | None) -> dict[str, str]:
    """Source texts of what a kernel lacks. SliceError where that is the very answer it is to give."""
    new = Slice(frozenset({withheld} if withheld else ()))
    new.add(place for place in sorted(needed) if not there.has(*place))
    return new.texts(less=there)


def classes_in(value: Any) -> set[Place]:
    """The classes and functions of the course that a pickle refers to."""
    buffer = io.BytesIO()
    try:
        pickle.Pickler(buffer, 4).dump(value)
    except Exception as error:
        raise SliceError(
            f"A case cannot be sent to a kernel ({error}): classes and functions in it must be importable."
        ) from None
    strings: list[str] = []
    found: set[Place] = set()
    for operation, argument, _ in pickletools.genops(buffer.getvalue()):
        if isinstance(argument, str):
            strings.append(argument)
        if operation.name == "STACK_GLOBAL":
            found |= {(module, name) for module in strings for name in strings if module.startswith("utils.")}
        elif operation.name == "GLOBAL":
            found.add(tuple(argument.split(" ", 1)))
    own = {(module, name) for module, name in found if module.startswith("utils.") and module not in ALWAYS_THERE}
    return {place for place in own if module_file(place[0]) is not None and _defined(*place)}


def _named(fill: Any) -> tuple[str, str, dict[str, Any]]:
    """A way to fill weights in as (module, name, keywords): a function at the top of a module, or a partial of one."""
    keywords = dict(fill.keywords) if isinstance(fill, partial) else {}
    function = fill.func if isinstance(fill, partial) else fill
    place = function.__module__, function.__name__
    if not _defined(*place) or isinstance(fill, partial) and fill.args:
        raise SliceError(
            f"The fill {'.'.join(place)} cannot be sent to a kernel: it must be a function at the top of a module, or "
            "functools.partial of one with keywords."
        )
    return *place, keywords


def _defined(module: str, name: str) -> bool:
    from utils.grading.slicing import statements

    return any(name in statement.binds for statement in statements(module))


def _bare(signature: inspect.Signature) -> inspect.Signature:
    empty = inspect.Parameter.empty
    bare = [p.replace(annotation=empty) for p in signature.parameters.values()]
    return inspect.Signature(bare)


def _text(task: dict[str, Any]) -> str:
    return base64.b64encode(pickle.dumps(task, 4)).decode("ascii")
