"""What kernels see of the course, for every chapter: earlier answers, and none that is being graded."""

import ast
import subprocess
import sys

import pytest
import torch

from utils.exercises import examine
from utils.exercises.registry import chapters, exercises
from utils.grading.course import place_of, utils_imports, withheld_from, write_course
from utils.grading.pristine import as_copy, chapter_numbers, pristine
from utils.grading.slicing import Slice, SliceError

ALL = [item for chapter in chapters() for item in exercises(chapter)]


def defined(folder) -> set[tuple[str, str]]:
    """Everything that modules of a cut course define."""
    found = set()
    for path in folder.rglob("*.py"):
        module = ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found.add((module, node.name))
    return found


@pytest.mark.parametrize("chapter", [*chapters(), 99])
def test_a_kernels_course_holds_no_answer_that_is_graded(chapter, tmp_path):
    write_course(tmp_path, chapter)
    there = defined(tmp_path)
    assert not there & withheld_from(chapter)
    names = {name for _, name in there}
    assert not names & {"AdditiveAttention", "fused_attention"} or chapter > 3
    assert not any(path.name.startswith(("wrong", "chapter")) for path in tmp_path.rglob("*.py"))
    for item in ALL:
        if item.chapter < chapter and place_of(item) not in withheld_from(chapter):
            assert place_of(item) in there, item.number


@pytest.mark.parametrize("chapter", [*chapters(), 99])
def test_the_cut_course_can_be_imported_and_says_what_is_missing(chapter, tmp_path):
    write_course(tmp_path, chapter)
    code = f"""
import sys; sys.path[:0] = [{str(tmp_path)!r}]
import utils.exercises.calling
from utils import plots
from utils.exercises import check, yours
from utils.transformer import PADDING, TransformerConfig
assert check("3.1", None)
plots.attention_map([1], title="nothing is drawn").savefig("nowhere")
for text in ("from utils.grading import run", "from utils.transformer import Nothing", "from utils.training import x"):
    try:
        exec(text)
    except ImportError as error:
        assert "left out" in str(error), error
    else:
        raise AssertionError(text)
if {chapter} > 3:
    assert yours("3.4").__name__ == "scaled_dot_product_attention"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_what_is_withheld_cannot_be_reached_by_a_detour():
    chosen = Slice(withheld_from(3))
    with pytest.raises(SliceError, match="leads to"):
        chosen.add([("utils.transformer.attention", "MultiHeadAttention")])


def test_what_a_solution_imports_of_the_course():
    text = "from utils.transformer import causal_mask\nfrom utils.exercises import yours\nimport utils.plots\n"
    assert utils_imports(text) == {("utils.transformer", "causal_mask")}


@pytest.mark.parametrize("number", chapter_numbers())
def test_a_released_copy_of_a_chapter_holds_no_solution(number):
    found = pristine(number)
    assert found.exercises and set(found.names) == set(found.exercises)
    text = as_copy(found)
    assert "BEGIN SOLUTION" not in text and all(solved not in text for solved in found.solutions.values())


class Anything(torch.nn.Module):
    """Takes all arguments and gives something back."""

    def __init__(self, give) -> None:
        super().__init__()
        self.give = give

    def forward(self, *arguments, **keywords):
        return self.give(*arguments, **keywords)


def like(value, make):
    """A structure like the reference's result, of other numbers."""
    if isinstance(value, torch.Tensor):
        return make(value)
    if isinstance(value, tuple | list):
        return type(value)(like(part, make) for part in value)
    if isinstance(value, bool | int | float):
        return make(torch.tensor(value)).item()
    return None  # a word, an unknown thing: there is no number to guess


GUESSES = {
    "zeros": torch.zeros_like,
    "ones": torch.ones_like,
    "NaN": lambda x: (
        torch.full_like(x, float("nan")) if x.is_floating_point() else ~x if x.dtype == torch.bool else x + 1
    ),
    "random": lambda x: torch.rand(x.shape).to(x.dtype) if x.is_floating_point() else torch.rand(x.shape) > 0.5,
}


@pytest.mark.parametrize("guess", GUESSES)
@pytest.mark.parametrize("item", [item for item in ALL if item.kind == "function"], ids=lambda item: item.number)
def test_numbers_that_are_not_computed_earn_nothing(item, guess):
    def answer(*arguments, **keywords):
        return like(item.reference(*arguments, **keywords), GUESSES[guess])

    answer.__signature__ = __import__("inspect").signature(item.reference)
    report = examine(item, answer, 1)
    assert not report.passed and report.points == 0, report


@pytest.mark.parametrize("item", ALL, ids=lambda item: item.number)
def test_inputs_handed_back_earn_nothing(item):
    for answer in (lambda *a, **k: a[0], lambda *a, **k: None, lambda *a, **k: 1):
        report = examine(item, answer, 1)
        assert report.points == 0, report
