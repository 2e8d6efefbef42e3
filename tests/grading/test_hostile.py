"""Nothing unearned, nobody else harmed, the run finished, and a sentence that says what happened."""

import pytest
from checklist import CHECKLIST
from hostile import HOSTILE
from hostile_more import MORE
from hostile_whole import WHOLE
from notebooks import points, submission
from tally import said_of, tally  # noqa: F401 (a fixture)

BESIDE = {"3.1": None, "3.3": None}
INNOCENT = {"3.1": 1, "3.3": 1}


@pytest.mark.parametrize("name", HOSTILE)
def test_it_earns_nothing_and_harms_nobody(graded, tally, name):  # noqa: F811
    source, words = HOSTILE[name]
    result = graded(submission({**BESIDE, "3.2": source}))
    tally.count(result, INNOCENT)
    attacked = result.exercises[1]
    assert attacked.message and words in said_of(result), attacked
    assert attacked.verdict not in ("passed", "ungraded")


def test_the_next_notebook_is_graded_as_if_nothing_had_happened(graded, tally):  # noqa: F811
    assert points(graded(submission({**BESIDE, "3.2": None})))["3.2"] == 2
    assert tally.unearned == tally.lost == 0


def test_every_item_of_the_list_has_its_notebook():
    known = set(HOSTILE) | set(MORE) | set(WHOLE)
    assert len(known) >= 110
    for item, names in CHECKLIST.items():
        assert names, item
        for name in names:
            assert name in known or name.startswith(("reading: ", "collect: ", "right: ")), (item, name)
