"""What strangers hand in, in all chapters: attacks earn nothing and harm nobody, right answers lose nothing."""

import time

import pytest
from honest_strangers import HONEST
from hostile_strangers import INNOCENT, STRANGERS
from hostile_strangers_more import STRANGERS_MORE
from notebooks import exercise_cell, handed_out, insert_above, own_cell, points, solution, submission
from tally import said_of, tally  # noqa: F401 (a fixture)
from torch import Generator

from utils.exercises.registry import exercise as exercise_of
from utils.grading.neutral import neutral, parsed
from utils.grading.pristine import pristine

ALL = {**STRANGERS, **STRANGERS_MORE}


def chapter_of(exercise: str) -> str:
    """ "03" for "3.2"."""
    return exercise.split(".")[0].zfill(2)


def packed() -> list[tuple[str, dict[str, str]]]:
    """Chapters with attacks by exercise, no two on one exercise: a notebook each."""
    books: list[tuple[str, dict[str, str]]] = []
    for name, (exercise, _, _) in ALL.items():
        chapter = chapter_of(exercise)
        room = next((book for book in books if book[0] == chapter and exercise not in book[1]), None)
        if room is None:
            books.append(room := (chapter, {}))
        room[1][exercise] = name
    return sorted(books, key=lambda book: book[0])


@pytest.mark.parametrize(("chapter", "attacks"), packed())
def test_attacks_earn_nothing_and_harm_nobody(graded, tally, chapter, attacks):  # noqa: F811
    beside = [number for number in INNOCENT.get(chapter, ("3.3",)) if number not in attacks]
    sources = {exercise: ALL[name][1] for exercise, name in attacks.items()}
    result = graded(submission({**dict.fromkeys(beside), **sources}, chapter), chapter)
    deserved = {e.number: e.out_of for e in result.exercises if e.number in beside}
    tally.count(result, deserved)
    for exercise, name in attacks.items():
        found = next(e for e in result.exercises if e.number == exercise)
        assert found.message and ALL[name][2] in said_of(result, exercise), (name, found)


@pytest.mark.parametrize("name", sorted(HONEST, key=lambda name: chapter_of(HONEST[name][0])))
def test_right_answers_lose_nothing(graded, name):
    exercise, source, above, below = HONEST[name]
    chapter = chapter_of(exercise)
    notebook = submission({exercise: source}, chapter)
    if above:
        insert_above(notebook, exercise, above)
    if below:
        notebook["cells"].append(own_cell(below, "below"))
    result = graded(notebook, chapter)
    found = next(e for e in result.exercises if e.number == exercise)
    assert found.passed and not found.flags, (found, said_of(result, exercise))


def test_slow_helpers_cost_no_more_than_their_exercise(graded):
    """Each sleeps less than a cell may take; together they are interrupted."""
    names = [f"x{i}" for i in range(12)]
    uses = f"{solution('3.2')}\nUSED = [{', '.join(names)}]\n"
    notebook = submission({"3.1": None, "3.2": uses})
    for name in names:
        insert_above(notebook, "3.2", f"import time\ntime.sleep(2.5) ; {name} = time.sleep(2.5)")
    result = graded(notebook)
    assert points(result)["3.1"] == 1 and result.exercises[1].seconds < 20


def test_who_spoils_the_stand_in_is_graded_all_the_same(graded):
    broken = "def clipped_matches(hypothesis, reference, order):\n    return len(hypothesis)\n"
    notebook = submission({"8.2": None, "8.5": broken, "8.6": f"x = __import__\n{solution('8.6')}"}, "08")
    insert_above(notebook, "8.5", "def __import__(*a, **k):\n    raise ImportError('no')\n")
    result = graded(notebook, "08")
    assert {e.verdict for e in result.exercises} <= {"passed", "wrong", "open", "unfit", "silent"}, result
    assert points(result)["8.6"] == 0 and points(result)["8.2"] == 1


def test_an_answer_too_slow_for_a_property_is_judged(graded):
    """Its values are right; time runs out in the calls that follow."""
    calls = len(exercise_of("3.3").cases(Generator().manual_seed(0))) + 1
    counted = f"    COUNT.append(1)\n    if len(COUNT) > {calls}:\n        time.sleep(9)\n    return torch"
    source = "import time\nCOUNT = []\n" + solution("3.3").replace("    return torch", counted)
    result = graded(submission({"3.3": source}))
    assert result.exercises[2].verdict in ("partly", "wrong", "slow") and result.complete, result.exercises[2]


def seconds_to_read(source: str) -> float:
    """Processor time, the least of three, with nothing remembered."""
    found = []
    for _ in range(3):
        neutral.cache_clear()
        parsed.cache_clear()
        start = time.process_time()
        neutral(source)
        found.append(time.process_time() - start)
    return min(found)


@pytest.mark.parametrize(
    ("cell", "length"),
    [
        (lambda n: "x = 1" + "\n" * n + "y = (", 18_000),
        (lambda n: "%time x\n" * (n // 10) + "y = 1\n" * n, 3_000),
    ],
    ids=["blank lines", "magics"],
)
def test_the_time_to_read_a_cell_grows_with_its_length_and_not_with_the_square(cell, length):
    assert seconds_to_read(cell(16 * length)) < 100 * seconds_to_read(
        cell(length)
    )  # the square would take 256 times as long


def test_an_answer_in_comments_is_told(graded):
    notebook = handed_out()
    commented = [f"# {line}" for line in solution("3.1").splitlines(keepends=True)]
    exercise_cell(notebook, "3.1")["source"] = commented
    found = graded(notebook).exercises[0]
    assert found.verdict == "open" and "behind `#`" in " ".join(found.notes)
    assert pristine("03").names["3.1"] in "".join(commented)
