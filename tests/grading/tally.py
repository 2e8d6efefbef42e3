"""Runs a hostile notebook and counts: points that were not earned, and points that somebody else has lost."""

from dataclasses import dataclass, field

import pytest
from notebooks import points


@dataclass
class Tally:
    """What the notebooks of one file of tests came to."""

    notebooks: int = 0
    unearned: float = 0.0
    lost: float = 0.0
    sentences: list[str] = field(default_factory=list)

    def count(self, result, deserved: dict[str, float], target: str = "3.2") -> None:
        """Adds one graded notebook, of which only `target` is hostile."""
        got = points(result)
        self.notebooks += 1
        self.unearned += sum(max(got[number] - deserved.get(number, 0), 0) for number in got)
        self.lost += sum(max(deserved.get(number, 0) - got[number], 0) for number in got)
        assert got == {number: deserved.get(number, 0) for number in got}, result.exercises[1]
        assert all(exercise.verdict != "ungraded" for exercise in result.exercises), result

    def __str__(self) -> str:
        return f"{self.notebooks} hostile notebooks: unearned {self.unearned:g}, innocent points lost {self.lost:g}"


@pytest.fixture(scope="module")
def tally(request):
    """The tally of this file, told at its end."""
    found = Tally()
    yield found
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line(str(found))


def said_of(result, number: str = "3.2") -> str:
    """All that is told about one exercise."""
    exercise = next(exercise for exercise in result.exercises if exercise.number == number)
    return " ".join([exercise.message, exercise.explanation, *exercise.notes])
