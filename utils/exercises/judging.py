"""Is this what was asked for? One call's outcome against the reference's, from fundamental to subtle.

Everything here works on values alone, without the learner's code: the grader judges with the same functions.
"""

import inspect
import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from utils.exercises.calling import Outcome
from utils.exercises.damage import HELD, damage_done
from utils.exercises.declare import Case, Exercise
from utils.exercises.nearness import close, close_gradient, digits_to_differ, noise_of
from utils.exercises.structure import digits_apart, dtype_name, kind_of, leaves, plain, shown, tensors

# From fundamental to subtle: of several findings the earliest is told.
LEVELS = (
    "unwritten", "raised", "slow", "not a module", "weights", "nothing", "structure", "shape", "dtype", "device",
    "finite", "damage", "values", "gradients", "held on to", "property",
)  # fmt: skip
PLAIN = (numbers.Number, str, list, tuple, set, Mapping)  # what is shown as it is
SINGLE = 2e-6  # float64 numbers that agree this well, and no better, were computed in float32; with ε = 1e-6 in the
# place of 1e-5 a variance of 1 gives numbers that are 4.5e-6 off


class NothingCompared(Exception):
    """A check that would have passed without comparing a number: a bug of the course, and loud."""


@dataclass(frozen=True)
class Finding:
    """What is wrong with one outcome."""

    level: str
    sentence: str
    got: Any = None
    expected: Any = None
    lines: tuple[str, ...] = ()  # of the learner's code, where an exception came from

    @property
    def rank(self) -> int:
        """0 for the most fundamental."""
        return LEVELS.index(self.level)


def require_comparable(exercise: Exercise, case: Case, expected: Outcome) -> int:
    """How many numbers there are to compare; raises NothingCompared when the reference gives none to rely on."""
    where = f"Exercise {exercise.number}, case {case.name!r}"
    if expected.trouble is not None:
        said = f"{expected.trouble.name}: {expected.trouble.message}"
        raise NothingCompared(f"{where}: the reference itself fails: {said}")
    count = 0
    for _, leaf in leaves(expected.value):
        if isinstance(leaf, Tensor):
            if leaf.is_floating_point() and leaf.device.type != "meta" and bool(leaf.isnan().any()):
                raise NothingCompared(f"{where}: the reference gives NaN, which nothing can be compared with.")
            count += leaf.numel()
        elif leaf is not None:
            count += 1
    if count == 0:
        raise NothingCompared(f"{where}: the reference returns nothing that could be compared.")
    return count


def judge(exercise: Exercise, case: Case, expected: Outcome, outcome: Outcome) -> Finding | None:
    """The most fundamental thing that is wrong with an outcome, or None."""
    if outcome.trouble is not None:
        return _troubled(outcome)
    if _nothing(case, outcome.value) and not _nothing(case, expected.value):
        return Finding("nothing", "Your code returns None: is the `return` missing?", None, expected.value)
    if inspect.iscoroutine(outcome.value):
        return Finding("nothing", "Your code returns a coroutine, which nobody runs: write `def`, not `async def`.")
    if inspect.isgenerator(outcome.value):
        sentence = (
            "Your code returns a generator, which gives one thing after the other when it is asked: `return` all at "
            "once, not by `yield` or by `… for …` between round brackets alone."
        )
        return Finding("nothing", sentence)
    finding = _compare(exercise, case, expected.value, outcome.value)
    if finding is not None and finding.rank < LEVELS.index("damage"):
        return finding
    damaged = tuple(name for name in outcome.damaged if name not in HELD)
    if damaged:
        return Finding("damage", damage_done(exercise, case, damaged))
    if finding is None and case.gradients:
        finding = _compare_gradients(case, expected, outcome)
    if finding is None and outcome.damaged:
        return Finding("held on to", " ".join(HELD[name] for name in outcome.damaged))
    return finding


def _nothing(case: Case, value: Any) -> bool:
    """Whether a call has returned None; where it is to change something, that stands beside what it returned."""
    if case.changes and isinstance(value, list | tuple) and len(value) == 2:
        value = value[0]
    return value is None or case.times > 1 and isinstance(value, list) and all(part is None for part in value)


def _troubled(outcome: Outcome) -> Finding:
    trouble = outcome.trouble
    if trouble.kind == "unwritten":
        said = f": {trouble.message}" if trouble.message else "."
        return Finding("unwritten", f"Not written yet{said}")
    if trouble.kind == "slow":
        return Finding("slow", trouble.message, lines=trouble.lines)
    if trouble.kind == "not a module":
        return Finding("not a module", f"Calling your class gives {trouble.name}, not an nn.Module.")
    if trouble.kind == "weights":
        return Finding("weights", trouble.message)
    said = f": {trouble.message}" if trouble.message else ""
    return Finding("raised", f"Your code stops with {trouble.name}{said}", lines=trouble.lines)


def _part_name(exercise: Exercise, way: str) -> str:
    """The name of a returned part, for the beginning of a sentence: "Your weights" or "Your result"."""
    for index, name in enumerate(exercise.returns):
        if len(exercise.returns) == 1 or way.startswith(f"[{index}]"):
            rest = way if len(exercise.returns) == 1 else way.removeprefix(f"[{index}]")
            return f"Your {name}{rest}"
    return f"Your result{way}"


def _compare(exercise: Exercise, case: Case, expected: Any, got: Any) -> Finding | None:
    findings = [*_unlike(exercise, case, expected, got, "")]
    return min(findings, key=lambda finding: finding.rank, default=None)


def _unlike(exercise: Exercise, case: Case, expected: Any, got: Any, way: str) -> list[Finding]:
    """All findings on a nested value."""
    name = _part_name(exercise, way)
    if case.observe == "parameters":
        name = f"Your parameters{way}"
    elif case.observe.startswith("."):
        name = f"Your `self{case.observe}`"
    if isinstance(expected, tuple | list):
        if not isinstance(got, tuple | list) or len(got) != len(expected):
            names = (
                f" ({', '.join(exercise.returns)})" if len(exercise.returns) == len(expected) > 1 and not way else ""
            )
            kind = "tuple" if isinstance(expected, tuple) else "list"
            sentence = f"{name} {_verb(name, 'comes')} as {kind_of(got)}; "
            sentence += f"asked for is a {kind} of {len(expected)}{names}."
            return [Finding("structure", sentence, got, expected)]
        pairs = zip(expected, got, strict=True)
        found = [f for i, (want, have) in enumerate(pairs) for f in _unlike(exercise, case, want, have, f"{way}[{i}]")]
        return [replace(f, got=got, expected=expected) for f in found] if plain(got) and plain(expected) else found
    if isinstance(expected, Mapping):
        if not isinstance(got, Mapping) or set(got) != set(expected):
            if isinstance(got, Mapping):
                told = f"as a dictionary with {_keys(got)}; asked for are {_keys(expected)}"
            else:
                told = f"as {kind_of(got)}; asked for is a dictionary with {_keys(expected)}"
            sentence = f"{name} {_verb(name, 'comes')} {told}."
            # Other keys are other contents: what differs in the parts before is told first.
            return [Finding("values" if isinstance(got, Mapping) else "structure", sentence, got, expected)]
        return [f for key in expected for f in _unlike(exercise, case, expected[key], got[key], f"{way}[{key!r}]")]
    finding = _unlike_leaf(name, case, expected, got)
    return [] if finding is None else [finding]


def _keys(mapping: Mapping) -> str:
    return f"[{', '.join(sorted(map(shown, mapping)))}]"


def _unlike_leaf(name: str, case: Case, expected: Any, got: Any) -> Finding | None:
    if isinstance(expected, Tensor):
        return _unlike_tensor(name, case, expected, got)
    if isinstance(got, Tensor) and got.numel() == 1 and got.device.type == "cpu" and isinstance(expected, int | float):
        got = got.item()
    if isinstance(expected, float):
        if isinstance(got, bool) or not isinstance(got, int | float):
            sentence = f"{name} {_verb(name, 'is')} {kind_of(got)}; asked for is a number."
            return Finding("structure", sentence, got, expected)
        if not math.isclose(got, expected, rel_tol=case.tolerance or 1e-6, abs_tol=1e-9):
            digits = max(6, digits_apart(got, expected))
            sentence = f"{name} is {got:.{digits}g}; expected is {expected:.{digits}g}."
            return Finding("values", sentence, got, expected)
        return None
    if expected is None:
        sentence = f"{name} {_verb(name, 'is')} {kind_of(got)}; asked for is None."
        return None if got is None else Finding("structure", sentence, got, expected)
    other = got is None or isinstance(got, Tensor) or isinstance(expected, str) != isinstance(got, str)
    if other or isinstance(got, list | tuple | dict) or not isinstance(got, PLAIN):
        sentence = f"{name} {_verb(name, 'is')} {kind_of(got)}; asked for is {kind_of(expected)}."
        return Finding("structure", sentence, got, expected)
    if isinstance(got, complex):
        asked = "True or False" if isinstance(expected, bool) else "a whole number (an int)"
        sentence = f"{name} {_verb(name, 'is')} the complex number {got!r}; asked for is {asked}."
        return Finding("structure", sentence, got, expected)
    try:
        equal = bool(got == expected)
    except Exception:
        equal = False
    digits = digits_to_differ(got, expected)
    sentence = f"{name} {_verb(name, 'is')} {shown(got, digits)}; expected is {shown(expected, digits)}."
    return None if equal else Finding("values", sentence, got, expected)


def _unlike_tensor(name: str, case: Case, expected: Tensor, got: Any) -> Finding | None:
    if not isinstance(got, Tensor):
        help_ = ""
        if type(got).__module__ == "numpy":
            help_ = " Stay with torch: NumPy arrays carry no gradients and do not go to a GPU."
        elif not expected.is_floating_point():
            pass
        elif isinstance(got, int | float) or (isinstance(got, list | tuple) and not tensors(got)):
            help_ = " Numbers taken out of tensors (`.item()`, `float(…)`, `.tolist()`) carry no gradients."
        sentence = f"{name} {_verb(name, 'is')} {kind_of(got)}; asked for is a Tensor.{help_}"
        return Finding("structure", sentence, got, expected)
    if got.layout != torch.strided or got.is_quantized:
        return Finding("structure", f"{name} {_verb(name, 'is')} not an ordinary, dense Tensor.", got.shape, expected)
    got = got.detach().as_subclass(Tensor)
    if got.shape != expected.shape:
        sentence = f"{name} {_verb(name, 'has')} the shape {tuple(got.shape)}; expected is {tuple(expected.shape)}."
        return Finding("shape", sentence, got, expected)
    if got.dtype != expected.dtype:
        return Finding("dtype", _dtype_sentence(name, case, expected, got), got, expected)
    if got.device != expected.device:
        sentence = (
            f"{name} {_verb(name, 'lies')} on the device {got.device}, where {expected.device} is expected: create "
            f"tensors with `device=…`, or derive them from an input."
        )
        return Finding("device", sentence, got, expected)
    if got.device.type == "meta":  # a device without memory: there is nothing further to compare
        return None
    if got.is_floating_point() and not bool(got.isfinite().all()) and bool(expected.isfinite().all()):
        what = "NaN" if bool(got.isnan().any()) else "infinite numbers"
        count = int((~got.isfinite()).sum())
        sentence = (
            f"{name} {_verb(name, 'contains')} {what} ({count} of {got.numel()} numbers), where all should be finite "
            f"in this case."
        )
        return Finding("finite", sentence, got, expected)
    if close(got, expected, case.tolerance):
        return None
    if got.dtype == torch.float64 and close(got, expected, SINGLE):
        sentence = (
            f"{name} {_verb(name, 'is')} right to about seven digits only{_where(got, expected)}, though the inputs "
            f"are float64: something in between is float32, such as a `torch.zeros(…)` without `dtype=`, or a "
            f"`.float()`, or a small number is added or cut off."
        )
        return Finding("values", sentence, got, expected)
    return Finding(
        "values", f"{name} {_verb(name, 'is')} not the expected numbers{_where(got, expected)}.", got, expected
    )


PLURAL = {"has": "have", "is": "are", "lies": "lie", "contains": "contain", "comes": "come"}


def _verb(name: str, singular: str) -> str:
    """The verb that goes with a part's name: "Your weights have", "Your output has"."""
    plural = name.endswith("s") and not name.endswith("ss")  # "Your loss is"
    return PLURAL[singular] if plural else singular


def _dtype_sentence(name: str, case: Case, expected: Tensor, got: Tensor) -> str:
    have, want = dtype_name(got.dtype), dtype_name(expected.dtype)
    sentence = f"{name} {_verb(name, 'has')} the dtype {have}; expected is {want}"
    if expected.dtype == torch.bool:
        return sentence + ": masks are True and False here. `.bool()` or a comparison makes one."
    if not tensors((case.arguments, dict(case.keywords))):  # numbers and words come in, which have no dtype
        return sentence + "."
    if got.dtype == torch.float64:
        return sentence + ", as the inputs have: something in between was made as float64, and that spreads."
    if expected.dtype == torch.float64:
        return sentence + ", as the inputs have: keep to the dtype you are given instead of converting."
    return sentence + "."


def _where(got: Tensor, expected: Tensor) -> str:
    """Where the largest difference stands, for a tensor too large to read."""
    if got.numel() <= 1:
        return ""
    same = (got == expected) | (got.isnan() & expected.isnan())  # ∞ − ∞ is no number, but ∞ is no farther from ∞
    off = (got.double() - expected.double()).abs().nan_to_num(nan=math.inf, posinf=math.inf).masked_fill(same, 0.0)
    at = [int(i) for i in torch.unravel_index(off.argmax(), got.shape)]
    have, want = got[tuple(at)].item(), expected[tuple(at)].item()
    if not isinstance(have, float):
        return f" (at {at}: {have}, expected {want})"
    digits = digits_apart(have, want)
    return f" (at {at}: {have:.{digits}g}, expected {want:.{digits}g})"


def _compare_gradients(case: Case, expected: Outcome, outcome: Outcome) -> Finding | None:
    wanted, got = expected.gradients or {}, outcome.gradients or {}
    noise = noise_of(wanted.values())
    # Where some gradient is not zero, its name says more.
    no_graph = all(g is None for g in got.values()) and not any(
        g is not None and bool(g.any()) for g in wanted.values()
    )
    for name, want in wanted.items():
        have = got.get(name)
        if want is None or name not in got:
            continue
        if have is None and no_graph:
            sentence = (
                "The numbers are right, but hang on no graph, so that `backward()` would stop with an error: compute "
                "them from the inputs, even where all gradients are zero."
            )
            return Finding("gradients", sentence, None, want)
        if have is None:
            if bool((want.abs() <= noise).all()):
                continue
            sentence = (
                f"The numbers are right, but no gradient flows back to `{name}`, so nothing before it could learn: "
                f"`.detach()`, `.data`, `.item()`, `no_grad`, `requires_grad=False` and "
                f"new tensors made of numbers cut it off."
            )
            return Finding("gradients", sentence, None, want)
        if not bool(have.isfinite().all()):
            sentence = f"The numbers are right, but the gradient of `{name}` contains NaN or infinite numbers."
            return Finding("gradients", sentence, have, want)
        if not close_gradient(have, want, noise):
            sentence = f"The numbers are right, but the gradient of `{name}` is not{_where(have, want)}."
            return Finding("gradients", sentence, have, want)
    return None
