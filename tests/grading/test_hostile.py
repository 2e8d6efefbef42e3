"""Nothing unearned, nobody else harmed, the run finished, and a sentence that says what happened."""

import pytest
from hostile import HOSTILE
from notebooks import points, submission

BESIDE = {"3.1": None, "3.3": None}
UNTOUCHED = {"3.1": 1, "3.2": 0, "3.3": 1, "3.4": 0, "3.5": 0, "3.6": 0}


@pytest.mark.parametrize("name", HOSTILE)
def test_it_earns_nothing_and_harms_nobody(graded, name):
    source, words = HOSTILE[name]
    result = graded(submission({**BESIDE, "3.2": source}))
    attacked = result.exercises[1]
    assert points(result) == UNTOUCHED, attacked
    said = " ".join([attacked.message, attacked.explanation, *attacked.notes])
    assert attacked.message and words in said, attacked
    assert attacked.verdict not in ("passed", "ungraded")


def test_the_next_notebook_is_graded_as_if_nothing_had_happened(graded):
    assert points(graded(submission({**BESIDE, "3.2": None})))["3.2"] == 2
