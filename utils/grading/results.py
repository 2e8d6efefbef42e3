"""What grading gives: one record an exercise, one a submission, written and read as plain JSON."""

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # who only reads results does without torch
    from utils.exercises.declare import Exercise
    from utils.exercises.report import Report

VERSION = 1
# passed, partly, wrong; open: as handed out; missing: no cell; forbidden: a library did it; slow, died, flooded,
# memory, processes: stopped; forged: results not of the grader's making; silent: none; unfit: not what was asked for;
# ungraded: the grader's trouble
VERDICTS = (
    "passed", "partly", "wrong", "open", "missing", "forbidden", "slow", "died", "flooded", "memory", "processes",
    "forged", "silent", "unfit", "ungraded",
)  # fmt: skip


@dataclass
class ExerciseResult:
    """One exercise of one submission."""

    number: str
    title: str
    out_of: int
    points: float = 0.0
    verdict: str = "ungraded"
    message: str = ""
    explanation: str = ""
    misconception: str | None = None
    hint: str = ""
    lines: list[str] = field(default_factory=list)
    smallest: dict[str, Any] | None = None
    items: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # rules that were applied, for the learner
    flags: list[str] = field(default_factory=list)  # for a person to look at
    printed: str = ""
    optional: bool = False
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong with it."""
        return self.verdict == "passed"


@dataclass
class SubmissionResult:
    """One graded notebook."""

    learner: str
    chapter: str
    file: str
    digest: str
    exercises: list[ExerciseResult] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    prints: dict[str, dict[str, Any]] = field(default_factory=dict)  # what answers are compared by
    seconds: float = 0.0
    confined: bool = True
    title: str = ""  # of the chapter
    version: int = VERSION

    @property
    def points(self) -> float:
        """All points together."""
        return sum(exercise.points for exercise in self.exercises)

    @property
    def complete(self) -> bool:
        """Whether every exercise could be graded."""
        return bool(self.exercises) and all(exercise.verdict != "ungraded" for exercise in self.exercises)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "SubmissionResult":
        """The inverse of `to_dict`; raises TypeError or KeyError for something else."""
        exercises = [ExerciseResult(**exercise) for exercise in content["exercises"]]
        return cls(**{**content, "exercises": exercises})


def of_report(exercise: "Exercise", report: "Report") -> ExerciseResult:
    """A check's report as a result."""
    verdict = "passed" if report.passed else "partly" if report.points else "wrong"
    if not report.passed and report.message.startswith("Not written yet"):
        verdict = "open"
    slow = not report.passed and any("stopped: is there a loop" in item.sentence for item in report.items)
    result = blank(exercise, "slow" if slow and not report.points else verdict, report.message)
    result.points, result.explanation, result.misconception = report.points, report.explanation, report.misconception
    result.lines = list(report.lines)
    result.smallest = asdict(report.smallest) if report.smallest else None
    result.items = [asdict(item) for item in report.items]
    return result


def blank(exercise: "Exercise", verdict: str, message: str) -> ExerciseResult:
    """A result without points, with a hint where one can help."""
    result = ExerciseResult(exercise.number, exercise.title, exercise.points, verdict=verdict, message=message)
    result.optional = exercise.optional
    if verdict in ("open", "missing"):
        result.hint = exercise.hints[0]
    elif verdict in ("partly", "wrong", "unfit"):
        result.hint = exercise.hints[1]
    return result
