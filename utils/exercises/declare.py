"""What an exercise is: data (Contract 2). The engine beside it and the grader read the same declarations.

A case holds inputs only, never expected numbers, so that it can travel into a learner's kernel: the reference
computes what is expected, elsewhere if need be, and `judging.py` compares.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Generator

PARTS = ("values", "mask", "shape", "edge cases", "property")  # what partial credit is given for
# What is looked at in a call: what it returns; a module's parameters; how many numbers the largest tensor holds that
# comes into being while it runs, or which shapes tensors of floating-point numbers take; ".weight" is the tensor that a
# module keeps under that name.
WATCHED = ("largest", "shapes")
OBSERVED = ("result", "parameters", *WATCHED)


@dataclass(frozen=True)
class Case:
    """Inputs of one call, and what is looked at in it.

    Arguments are tensors, numbers, strings, None, modules, and lists, tuples and dictionaries of these; an optimiser
    too, which is copied together with the module whose parameters it holds.
    """

    name: str  # "two sentences, three queries, five keys"
    arguments: tuple = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)
    part: str = "values"
    build: tuple = ()  # modules: what the constructor gets
    build_keywords: Mapping[str, Any] = field(default_factory=dict)
    training: bool = False  # modules: train() or eval()
    # The gradients of a random weighting of the results are compared too: those of inputs, of the module's parameters,
    # and of the parameters of modules that its constructor got.
    gradients: bool = False
    own_weights: bool = False  # modules: leave the weights as the constructor drew them
    observe: str = "result"  # one of OBSERVED, or ".weight"
    random_kept: bool = False  # the call must leave torch's random state as it found it
    apart: bool = False  # functions: what is returned must hang on no graph, and share no memory with the arguments
    earlier: tuple = ()  # modules: the arguments of a call before, whose result must leave no trace in this one
    times: int = 1  # called so many times on the same arguments; above 1, the results come as a list
    # Names of modules among the arguments that the call is to change, because it trains them: the outcome is then
    # (what the call returned, {"model.table": …}), and changing them is no damage.
    changes: tuple[str, ...] = ()
    traits: tuple[str, ...] = ()  # "target and source differ in length": said when an answer is wrong just there
    tolerance: float | None = None  # relative to the largest expected number; by dtype when unset

    def __post_init__(self) -> None:
        require(self.part in PARTS, f"Case {self.name!r}: part {self.part!r} is not one of {PARTS}.")
        seen = self.observe in OBSERVED or re.fullmatch(r"\.\w+", self.observe)
        require(seen, f"Case {self.name!r}: cannot observe {self.observe!r}.")


@dataclass(frozen=True)
class Property:
    """What must hold between the results of several calls, whatever the numbers are."""

    name: str  # "the future does not leak"
    draw: Callable[[Generator], list[Case]]
    holds: Callable[[list[Case], list[Any]], bool]  # the cases drawn, and what the answer returned for each
    sentence: str  # said when it does not hold
    part: str = "property"


@dataclass(frozen=True)
class Misconception:
    """A typical wrong answer, and the sentence that puts it right."""

    name: str
    answer: Callable
    sentence: str
    everywhere: bool = False  # named only for answers that agree with it in every case, in those they get right too


@dataclass(frozen=True)
class Exercise:
    """One exercise. `reference` is a function, or for kind "module" a class that is built anew for each case."""

    number: str
    title: str
    points: int
    difficulty: int  # 1 to 5
    minutes: int
    section: str  # "§3.2.1, Eq. 1"
    reference: Callable
    cases: Callable[[Generator], list[Case]]
    misconceptions: tuple[Misconception, ...]
    hints: tuple[str, str, str]  # from nudge to nearly there
    kind: str = "function"
    properties: tuple[Property, ...] = ()
    returns: tuple[str, ...] = ()  # names of what is returned, for sentences: ("output", "weights")
    forbidden: tuple[str, ...] = ()  # "torch.nn.functional.softmax"; ".softmax" for any attribute of that name
    fills: tuple[Callable, ...] = ()  # modules: further ways to put the reference's weights into an answer
    model_part: str | None = None  # the field of `Parts` that a passed answer can stand for
    optional: bool = False

    def __post_init__(self) -> None:
        where = f"Exercise {self.number}"
        require(re.fullmatch(r"\d+\.\d+", self.number), f"{where}: numbers look like '3.2'.")
        require(self.kind in ("function", "module"), f"{where}: kind {self.kind!r} is unknown.")
        require(1 <= self.difficulty <= 5, f"{where}: difficulty goes from 1 to 5.")
        require(self.points > 0 and self.minutes > 0, f"{where}: points and minutes start from 1.")
        require(len(self.hints) == 3, f"{where}: three hints, not {len(self.hints)}.")
        require(len(self.misconceptions) >= 3, f"{where}: at least three misconceptions.")
        names = [misconception.name for misconception in self.misconceptions]
        require(len(set(names)) == len(names), f"{where}: two misconceptions have one name.")

    @property
    def chapter(self) -> int:
        """3 for exercise 3.2."""
        return int(self.number.split(".")[0])

    @property
    def name(self) -> str:
        """The name under which the answer is asked for."""
        return self.reference.__name__


@dataclass(frozen=True)
class Option:
    """One answer to a question, and the reason that is given to whoever chooses it."""

    text: str
    reason: str
    right: bool = False


@dataclass(frozen=True)
class Question:
    """A prediction, answered before anything is run."""

    number: str  # "3.a"
    text: str
    options: tuple[Option, ...]

    def __post_init__(self) -> None:
        require(re.fullmatch(r"\d+\.[a-z]", self.number), f"Question {self.number}: numbers look like '3.a'.")
        require(len(self.options) >= 2, f"Question {self.number}: at least two options.")
        require(sum(option.right for option in self.options) == 1, f"Question {self.number}: exactly one is right.")

    @property
    def chapter(self) -> int:
        """3 for question 3.a."""
        return int(self.number.split(".")[0])


class DeclarationError(Exception):
    """An exercise of the course is declared wrongly: our mistake, and never the learner's."""


def require(holds: object, otherwise: str) -> None:
    """Raises DeclarationError with that sentence unless `holds`."""
    if not holds:
        raise DeclarationError(otherwise)
