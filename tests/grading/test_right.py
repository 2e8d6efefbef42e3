"""Right answers, other right answers and half-finished notebooks: exactly the points they deserve."""

import copy

import pytest
from notebooks import (
    all_solved,
    as_classic,
    as_colab,
    as_text,
    as_version_3,
    as_vscode,
    exercise_cell,
    handed_out,
    own_cell,
    points,
    solution,
    submission,
)

from utils.grading.pristine import chapter_numbers

FULL = {"3.1": 1, "3.2": 2, "3.3": 1, "3.4": 3, "3.5": 2, "3.6": 2}
NOTHING = dict.fromkeys(FULL, 0)
ATTENTION = "def attention(query, key, value):\n"


@pytest.mark.parametrize("number", chapter_numbers())
def test_every_chapters_solution_earns_everything(graded, number):
    result = graded(all_solved(number), chapter=number)
    assert all(e.verdict == "passed" and e.points == e.out_of for e in result.exercises), result.exercises
    assert not result.notes and not any(e.notes for e in result.exercises)


def test_the_report_of_nbval_carries_the_points(graded):
    result = graded(all_solved())
    assert points(result) == FULL
    assert all(exercise.verdict == "passed" for exercise in result.exercises)
    junit = (graded.folder / "junit.xml").read_text()
    assert 'name="points" value="3' in junit and 'failures="0"' in junit


def test_an_untouched_notebook_earns_nothing_and_says_so(graded):
    result = graded(handed_out())
    assert points(result) == NOTHING
    assert {exercise.verdict for exercise in result.exercises} == {"open"}
    assert all(exercise.hint for exercise in result.exercises)


@pytest.mark.parametrize("save", [as_text, as_colab, as_vscode, as_classic, as_version_3])
def test_every_program_may_have_saved_it(graded, save):
    answers = {"3.1": None, "3.3": None, "3.2": f"{ATTENTION}    return query\n"}
    result = graded(save(submission(answers)))
    assert points(result) == {**NOTHING, "3.1": 1, "3.3": 1}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_every_encoding(graded, encoding):
    assert points(graded(as_text(submission({"3.1": None})).encode(encoding)))["3.1"] == 1


RIGHT = {
    "einsum": """
        def attention(query, key, value):
            scores = torch.einsum("...td,...sd->...ts", query, key) / query.shape[-1] ** 0.5
            weights = torch.softmax(scores, -1)
            return torch.einsum("...ts,...sv->...tv", weights, value), weights
    """,
    "loop over queries": """
        def attention(query, key, value):
            outputs, maps = [], []
            for t in range(query.size(-2)):
                scores = (key * query[..., t : t + 1, :]).sum(-1) / query.size(-1) ** 0.5
                w = (scores - scores.amax(-1, keepdim=True)).exp()
                w = w / w.sum(-1, keepdim=True)
                maps.append(w)
                outputs.append((w.unsqueeze(-1) * value).sum(-2))
            return torch.stack(outputs, -2), torch.stack(maps, -2)
    """,
    "float64 inside": """
        def attention(query, key, value):
            q, k, v = query.double(), key.double(), value.double()
            w = (q @ k.mT * q.size(-1) ** -0.5).softmax(-1)
            return (w @ v).to(query.dtype), w.to(query.dtype)
    """,
    "a helper in the same cell": """
        def scores_of(query, key):
            return query @ key.transpose(-2, -1) / query.size(-1) ** 0.5

        def attention(query, key, value):
            w = scores_of(query, key).softmax(-1)
            return w @ value, w
    """,
    "a callable object": """
        class Attention:
            def __call__(self, query, key, value):
                w = (query @ key.mT / query.size(-1) ** 0.5).softmax(-1)
                return w @ value, w

        attention = Attention()
    """,
    "a lambda": "attention = lambda query, key, value: (lambda w: (w @ value, w))("
    "(query @ key.mT / query.size(-1) ** 0.5).softmax(-1))",
    "an extra parameter with a default, prints, and a failing test below": """
        def attention(query, key, value, dropout=None):
            print("shapes", query.shape)
            w = (query @ key.mT / query.size(-1) ** 0.5).softmax(-1)
            return w @ value, w

        attention(torch.randn(2, 3), torch.randn(2, 4), torch.randn(2, 3))
    """,
    "the library beside it, to compare with": """
        def attention(query, key, value):
            w = (query @ key.mT / query.size(-1) ** 0.5).softmax(-1)
            return w @ value, w

        q = torch.randn(1, 2, 3)
        print(torch.allclose(attention(q, q, q)[0], torch.nn.functional.scaled_dot_product_attention(q, q, q)))
    """,
    "magics and orders to nbval": """
        # NBVAL_SKIP
        %matplotlib inline
        !pip list
        def attention(query, key, value):
            # NBVAL_RAISES_EXCEPTION
            w = (query @ key.mT / query.size(-1) ** 0.5).softmax(-1)
            return w @ value, w
        x = !ls
        attention?
    """,
    "a timed cell": """
        %%time
        def attention(query, key, value):
            w = (query @ key.mT / query.size(-1) ** 0.5).softmax(-1)
            return w @ value, w
    """,
}


@pytest.mark.parametrize("name", RIGHT)
def test_other_right_answers(graded, name):
    result = graded(submission({"3.2": RIGHT[name]}))
    assert points(result) == {**NOTHING, "3.2": 2}, result.exercises[1]


def test_helpers_of_cells_of_the_learners_own_come_along(graded):
    notebook = submission(
        {
            "3.2": """
                def attention(query, key, value):
                    COUNTS["calls"] += 1
                    w = soft(query @ key.mT / root(query))
                    return w @ value, w
            """
        },
        helpers={
            "3.1": "import math as m\nfrom math import sqrt\nFACTOR = 1.0\nCOUNTS = {}\nplots.curves([1, 2])",
            "3.2": "def root(x):\n    return FACTOR * m.sqrt(x.size(-1))\n\nCOUNTS['calls'] = 0\nraise KeyError",
        },
    )
    notebook["cells"].append(own_cell("def soft(x):\n    return x.softmax(-1)", "below"))
    assert points(graded(notebook)) == {**NOTHING, "3.2": 2}


def test_doubled_moved_split_and_deleted_cells(graded):
    notebook = submission(dict.fromkeys(("3.1", "3.2", "3.3", "3.4", "3.5")))
    cells = notebook["cells"]
    doubled = copy.deepcopy(exercise_cell(handed_out(), "3.1"))  # the untouched one, pasted below the right one
    doubled["id"] = "pasted"
    cells.insert(cells.index(exercise_cell(notebook, "3.1")) + 2, doubled)
    moved = exercise_cell(notebook, "3.3")
    cells.remove(moved)
    cells.insert(2, moved)
    whole = exercise_cell(notebook, "3.4")
    lines = whole["source"]
    whole["source"] = lines[:9]
    cells.insert(cells.index(whole) + 1, own_cell("", "second half") | {"source": lines[9:]})
    deleted = exercise_cell(notebook, "3.5")
    cells[cells.index(deleted)] = own_cell(solution("3.5").replace("# Exercise 3.5", "# mine"), "written anew")
    result = graded(notebook)
    assert points(result) == {**FULL, "3.6": 0}
    notes = {exercise.number: " ".join(exercise.notes) for exercise in result.exercises}
    assert "2 cells" in notes["3.1"] and "spread over 2" in notes["3.4"]
    assert "another place" in notes["3.3"] and "another cell" in notes["3.5"]


def test_a_check_that_names_another_function(graded):
    notebook = submission({"3.3": solution("3.3").replace("causal_mask", "my_mask")})
    check = next(cell for cell in notebook["cells"] if cell["id"] == "check-3_3")
    check["source"] = ['check("3.3", my_mask)']
    assert points(graded(notebook))["3.3"] == 1


def test_what_a_failed_exercise_costs_those_that_use_it(graded):
    uses = """
        def scaled_dot_product_attention(query, key, value, mask=None):
            if mask is None:
                return attention(query, key, value)
            nothing = ~mask.any(-1, keepdim=True)
            scores = (query @ key.mT / query.size(-1) ** 0.5).masked_fill(~mask, float("-inf")).masked_fill(nothing, 0)
            weights = scores.softmax(-1).masked_fill(nothing, 0)
            return weights @ value, weights
    """
    unscaled = f"{ATTENTION}    w = (query @ key.mT).softmax(-1)\n    return w @ value, w\n"
    result = graded(submission({"3.2": unscaled, "3.4": uses}))
    assert points(result) == {**NOTHING, "3.4": 3}  # one mistake, punished once
    assert "took its place" in " ".join(result.exercises[3].notes)
    result = graded(submission({"3.2": None, "3.4": uses}))
    assert points(result) == {**NOTHING, "3.2": 2, "3.4": 3}


def test_calling_an_exercise_that_was_left_out_earns_nothing(graded):
    calls = "def scaled_dot_product_attention(query, key, value, mask=None):\n    return attention(query, key, value)\n"
    for left_out in ({}, {"3.2": f"{ATTENTION}    return query, key\n"}):
        assert points(graded(submission({**left_out, "3.4": calls}))) == NOTHING
    backwards = f"{ATTENTION}    return scaled_dot_product_attention(query, key, value)\n"
    assert points(graded(submission({"3.2": backwards}))) == NOTHING


def test_partial_credit_by_part(graded):
    nan_rows = """
        def scaled_dot_product_attention(query, key, value, mask=None):
            scores = query @ key.mT / query.size(-1) ** 0.5
            if mask is not None:
                scores = scores.masked_fill(~mask, float("-inf"))
            weights = scores.softmax(-1)
            return weights @ value, weights
    """
    result = graded(submission({"3.4": nan_rows}))
    exercise = result.exercises[3]
    assert 0 < exercise.points < 3 and exercise.verdict == "partly"
    assert exercise.misconception == "NaN where all is masked"


def test_the_same_seed_gives_the_same_points_and_inputs(graded, other_graded):
    notebook = submission(
        {"3.1": None, "3.2": f"{ATTENTION}    w = (query @ key.mT).softmax(-1)\n    return w @ value, w"}
    )
    first, again, other = graded(notebook), graded(notebook), other_graded(notebook)
    assert points(first) == points(again) == points(other)
    assert first.exercises[1].smallest == again.exercises[1].smallest != other.exercises[1].smallest


def test_a_module_with_other_names_and_another_order_is_filled_in_the_exercises_own_way(graded):
    answer = """
        class SwiGLU(torch.nn.Module):
            def __init__(self, d_model, d_ff):
                super().__init__()
                self.up = torch.nn.Linear(d_model, 2 * d_ff // 3, bias=False)
                self.g = torch.nn.Linear(d_model, 2 * d_ff // 3, bias=False)
                self.down = torch.nn.Linear(2 * d_ff // 3, d_model, bias=False)

            def forward(self, x):
                return self.down(torch.nn.functional.silu(self.g(x)) * self.up(x))
    """
    result = graded(submission({"5.7": answer}, "05"), chapter="05")
    assert points(result)["5.7"] == 2, result.exercises[-1]
