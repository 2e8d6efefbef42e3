"""The second half of the hostile notebooks, and what is left of them afterwards: nothing."""

import os
import time

import pytest
from hostile_more import MORE
from hostile_whole import INNOCENT, WHOLE
from notebooks import points, submission
from tally import said_of, tally  # noqa: F401 (a fixture)

from utils.grading.watching import descendants

BESIDE = {"3.1": None, "3.3": None}
AT_REST = 12  # processes of a grader that grades nothing: sandbox, pre-warmed process, a kernel ahead


def left_over(graded) -> int:
    """Processes that outlive a submission: those of a grader at rest, after some time to die."""
    deadline = time.monotonic() + 5
    while (count := len(list(descendants(graded.process.pid)))) > AT_REST and time.monotonic() < deadline:
        time.sleep(0.05)
    return count


@pytest.mark.parametrize("name", MORE)
def test_it_earns_nothing_and_harms_nobody(graded, tally, name):  # noqa: F811
    source, words = MORE[name]
    result = graded(submission({**BESIDE, "3.2": source}))
    tally.count(result, INNOCENT)
    attacked = result.exercises[1]
    assert attacked.message and words in said_of(result), attacked
    assert attacked.verdict not in ("passed", "ungraded")
    assert left_over(graded) <= AT_REST


@pytest.mark.parametrize("name", WHOLE)
def test_a_notebook_gets_what_it_deserves(graded, tally, name):  # noqa: F811
    make, deserved, words = WHOLE[name]
    result = graded(make())
    tally.count(result, deserved)
    assert words in said_of(result), result.exercises[1]


def test_the_next_notebook_is_graded_as_if_nothing_had_happened(graded, tally):  # noqa: F811
    assert points(graded(submission({**BESIDE, "3.2": None})))["3.2"] == 2
    assert tally.unearned == tally.lost == 0
    assert not os.path.exists("/tmp/evil")
