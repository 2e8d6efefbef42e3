"""Whole notebooks that try to earn or to harm: each with the points it deserves and words that must be said of 3.2."""

from collections.abc import Callable

from hostile import BEGIN, WRONG
from notebooks import as_text, exercise_cell, insert_above, own_cell, solution, submission

BESIDE = {"3.1": None, "3.3": None}
RIGHT = f"{BEGIN}    w = (query @ key.mT / query.size(-1) ** 0.5).softmax(-1)\n    return w @ value, w\n"
INNOCENT = {"3.1": 1, "3.3": 1}
ALL_RIGHT = {**INNOCENT, "3.2": 2}


def attacked(source: str = WRONG) -> dict:
    """A notebook with an attack in 3.2 and right answers beside it."""
    return submission({**BESIDE, "3.2": source})


def cell_as(kind: str) -> dict:
    """The right answer in a cell that is not code."""
    notebook = attacked(RIGHT)
    exercise_cell(notebook, "3.2")["cell_type"] = kind
    return notebook


def swapped() -> dict:
    """Two cells that each claim to be the other."""
    notebook = attacked()
    one, other = exercise_cell(notebook, "3.2"), exercise_cell(notebook, "3.3")
    for key in ("id", "metadata"):
        one[key], other[key] = other[key], one[key]
    return notebook


def claimed() -> dict:
    """A cell of the learner's own that claims to be the set-up, and one that claims to be a check."""
    notebook = attacked("attention = smuggled\n")
    cell = insert_above(notebook, "3.2", "from utils.exercises.chapter_03.references import attention as smuggled")
    cell["metadata"] = {"course": {"role": "setup"}}
    return notebook


def same_ids() -> dict:
    """Every cell with one id."""
    notebook = attacked(RIGHT)
    for cell in notebook["cells"]:
        cell["id"] = "same"
    return notebook


def odd_metadata() -> dict:
    """Metadata of kinds that nobody expects."""
    notebook = attacked(RIGHT)
    notebook["metadata"] = {"kernelspec": {"name": "ir", "language": "R"}, "course": ["x"], "language_info": 7}
    for cell, odd in zip(notebook["cells"], ([], 3, {"course": 1}, {"course": {"role": []}}, None), strict=False):
        cell["metadata"] = odd
    return notebook


def many_cells() -> dict:
    """Thousands of cells of the learner's own."""
    notebook = attacked(RIGHT)
    notebook["cells"] += [own_cell(f"x{i} = 1", f"own{i}") for i in range(3_000)]
    return notebook


def lasting(left: str, found: str) -> dict:
    """What 3.1 leaves behind, and what 3.2 finds of it."""
    return submission({**BESIDE, "3.1": f"{left}\n{solution('3.1')}", "3.2": f"{found}\n{WRONG}"})


PLACES = "('/home/learner/x.py', '/tmp/x.py', '/dev/shm/x.py', '/run/x.py', '/course/x.py')"
FILES = (
    f"for path in {PLACES}:\n    try:\n        open(path, 'w').close()\n    except OSError:\n        pass",
    f"import os\nif any(map(os.path.exists, {PLACES})):\n    raise AssertionError('left behind')",
)
KEYS = (
    "import ctypes\nctypes.CDLL(None).syscall(248, b'user', b'left', b'here', 4, -3)",
    "import ctypes\nif ctypes.CDLL(None).syscall(249, b'user', b'left', None, -3) > 0:\n"
    "    raise AssertionError('keys')",
)
SETTINGS = ("torch.set_default_dtype(torch.float64)\ntorch.set_default_device('meta')\ntorch.softmax = None", "")


def patched_elsewhere() -> dict:
    """Damage in a cell of its own, which nobody needs."""
    notebook = attacked(RIGHT)
    insert_above(
        notebook, "3.1", "import os\ntorch.softmax = torch.Tensor.softmax = None\nos._exit(0)\nwhile True: pass"
    )
    return notebook


def redefined(after_check: bool) -> dict:
    """The learner's own second form, in a cell between the exercise's and its check or below both."""
    notebook = attacked()
    cells = notebook["cells"]
    cells.insert(cells.index(exercise_cell(notebook, "3.2")) + 1 + after_check, own_cell(RIGHT))
    return notebook


def in_the_check() -> dict:
    """The answer written into the check's cell."""
    notebook = attacked()
    check = next(cell for cell in notebook["cells"] if cell["id"] == "check-3_2")
    check["source"] = f"{RIGHT}\ncheck('3.2', attention)"
    return notebook


def two_chapters() -> dict:
    """A cell of another chapter's pasted below."""
    notebook = attacked(RIGHT)
    notebook["cells"].append(own_cell("# Exercise 4.1\nx = 1", "exercise-4_1"))
    return notebook


# name → (notebook, the points it deserves, words about 3.2)
WHOLE: dict[str, tuple[Callable[[], dict | str], dict[str, float], str]] = {
    "the answer as Markdown": (lambda: cell_as("markdown"), INNOCENT, "as text (Markdown or raw)"),
    "the answer as a raw cell": (lambda: cell_as("raw"), INNOCENT, "as text (Markdown or raw)"),
    "two cells that claim to be each other": (swapped, INNOCENT, "not the expected"),
    "a cell that claims to be the set-up": (claimed, INNOCENT, "left out"),
    "one id for all cells": (same_ids, ALL_RIGHT, ""),
    "metadata of odd kinds, and R": (odd_metadata, ALL_RIGHT, ""),
    "thousands of cells": (many_cells, ALL_RIGHT, ""),
    "files left behind": (lambda: lasting(*FILES), INNOCENT, "not the expected"),
    "keys left behind": (lambda: lasting(*KEYS), INNOCENT, "not the expected"),
    "damage in a cell that nobody needs": (patched_elsewhere, ALL_RIGHT, ""),
    "settings changed in another exercise": (
        lambda: submission({"3.1": f"{SETTINGS[0]}\n{WRONG}", "3.2": RIGHT, "3.3": None}), {"3.2": 2, "3.3": 1}, "",
    ),
    "redefined between cell and check": (lambda: redefined(False), ALL_RIGHT, "defined again between"),
    "redefined below the check": (lambda: redefined(True), INNOCENT, "defined again further down"),
    "written into the check's cell": (in_the_check, ALL_RIGHT, "defined again between"),
    "HTML and formulas in everything": (
        lambda: attacked(
            f"{BEGIN}    print('<script>alert(1)</script>')\n    raise ValueError('=cmd|calc <img src=x>')\n"
        ),
        INNOCENT, "=cmd|calc",
    ),
    "a marker of a merge in a cell": (
        lambda: attacked(f"<<<<<<< HEAD\n{RIGHT}=======\n{WRONG}>>>>>>> other\n"), INNOCENT, "no Python",
    ),
    "numbers in the place of the source": (
        lambda: as_text(attacked(RIGHT)).replace('"cell_type": "markdown"', '"cell_type": 7'), ALL_RIGHT, "",
    ),
    "an exercise of another chapter with a right answer": (
        two_chapters,
        ALL_RIGHT, "",
    ),
}  # fmt: skip
