"""A learner's own code: gathered with all it needs, kept section by section, given to later chapters."""

import functools
import linecache
import math
import subprocess
import sys
import textwrap
from pathlib import Path
from types import ModuleType

import pytest
import torch

from utils.errors import CourseError
from utils.exercises import carrying, check, exercise, parts_from, yours
from utils.exercises.source import gather
from utils.transformer import FUSED, causal_mask

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty folder of a learner's own."""
    monkeypatch.setenv("ATTENTION_REBUILT_HOME", str(tmp_path))
    carrying._passing.clear()
    return tmp_path


cells = iter(range(10_000))


def run_cell(code: str, names: dict | None = None) -> dict:
    """Executes code as a notebook cell does: in __main__, its source in linecache."""
    names = {"__name__": "__main__"} if names is None else names
    code = textwrap.dedent(code).lstrip("\n")
    filename = f"/tmp/ipykernel_1/{next(cells)}.py"
    linecache.cache[filename] = (len(code), None, code.splitlines(keepends=True), filename)
    exec(compile(code, filename, "exec"), names)
    return names


def rerun(gathered) -> dict:
    """The gathered text on its own, as a module."""
    assert not gathered.lacking, gathered.lacking
    module = ModuleType("alone")
    exec(compile(gathered.text, "alone", "exec", dont_inherit=True), module.__dict__)
    return module.__dict__


MASK = """
import torch
def causal_mask(length, device=None):
    return torch.ones(length, length, dtype=torch.bool, device=device).tril()[None, None]
"""


# Gathering ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_helpers_imports_and_constants_come_along():
    names = run_cell("""
        import math
        import torch.nn.functional as F
        from torch import nn, Tensor
        from collections.abc import Callable
        from typing import Optional
        import numpy as np

        EPSILON = 1e-5
        LIMIT = float("inf")
        KIND = torch_dtype = None
        unused = object()
    """)
    names = run_cell(
        """
        import torch
        KIND = torch.float32
        query = torch.zeros(3)

        def helper(x: Tensor) -> Tensor:
            return deeper(x) + EPSILON

        def deeper(x, kind=KIND):
            return F.relu(x).to(kind).clamp(max=LIMIT)

        @torch.no_grad()
        def answer(query: Tensor, apply: Optional[Callable] = None) -> Tensor:
            "Uses what is above; `query` is its own, not the cell's."
            values = [helper(part) for part in query]
            return nn.Identity()(torch.stack(values) * math.sqrt(4))
        """,
        names,
    )
    gathered = gather(names["answer"])
    alone = rerun(gathered)
    x = torch.randn(3, 2)
    assert torch.equal(alone["answer"](x), names["answer"](x))
    assert "numpy" not in gathered.text and "unused" not in gathered.text and "query = " not in gathered.text
    assert "@torch.no_grad()" in gathered.text
    assert gathered.text.index("def deeper") < gathered.text.index("def helper") < gathered.text.index("def answer")


def test_classes_of_a_notebook_are_found():
    names = run_cell("""
        import torch
        from torch import nn

        class Base(nn.Module):
            def twice(self, x):
                return 2 * x

        class Answer(Base):
            def __init__(self, width):
                super().__init__()
                self.weight = nn.Parameter(torch.ones(width))

            def forward(self, x):
                return self.twice(x) * self.weight
    """)
    alone = rerun(gather(names["Answer"]))
    assert torch.equal(alone["Answer"](3)(torch.ones(3)), 2 * torch.ones(3))


def test_redefinition_takes_the_newer_one():
    names = run_cell("def answer(x):\n    return 1\n")
    run_cell("\n\ndef helper():\n    return 2\n\ndef answer(x):\n    return helper()\n", names)
    assert rerun(gather(names["answer"]))["answer"](0) == 2


def test_recursion_and_lambdas():
    names = run_cell(
        "def even(n):\n    return n == 0 or odd(n - 1)\n\ndef odd(n):\n    return n != 0 and even(n - 1)\n"
    )
    assert rerun(gather(names["even"]))["even"](10)
    names = run_cell("import math\nanswer = lambda x: math.sqrt(x)\n")
    gathered = gather(names["answer"])
    assert gathered.name == "answer" and rerun(gathered)["answer"](4) == 2


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import torch\ntable = torch.eye(3)\ndef answer(x):\n    return x @ table\n", "it uses `table`, a Tensor"),
        (
            "def outer():\n    def answer(x):\n        return x\n    return answer\nanswer = outer()\n",
            "inside of another",
        ),
        ("import functools\nanswer = functools.partial(max, 1)\n", "only functions and classes"),
        ("class A:\n    def __call__(self, x):\n        return x\nanswer = A()\n", "only functions and classes"),
        ("things = [object()]\ndef answer(x):\n    return things\n", "it uses `things`"),
    ],
)
def test_what_cannot_be_kept_is_said(code, words):
    assert words in "; ".join(gather(run_cell(code)["answer"]).lacking)


def test_without_source_nothing_is_kept():
    names = {"__name__": "__main__"}
    exec("def answer(x):\n    return x\n", names)
    assert "cannot be read" in gather(names["answer"]).lacking[0]
    assert gather(functools.partial(max, 1)).lacking


# Keeping ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def module_text(folder) -> str:
    return (folder / "my_transformer" / "chapter_03.py").read_text()


def test_a_passed_answer_is_kept_and_given_back(folder, capsys):
    assert yours("3.3") is causal_mask
    assert "the course's own; you have not passed it yet" in capsys.readouterr().out
    report = check("3.3", run_cell(MASK)["causal_mask"])
    assert any("Carried forward: my_transformer/chapter_03.py" in note for note in report.notes)
    own = yours("3.3")
    assert own is not causal_mask
    assert torch.equal(own(4), causal_mask(4))
    assert "causal_mask (3.3): yours, from my_transformer/chapter_03.py" in capsys.readouterr().out
    assert (folder / "my_transformer" / "__init__.py").exists()
    text = module_text(folder)
    check("3.3", run_cell(MASK)["causal_mask"])
    assert module_text(folder) == text
    done = subprocess.run(
        [sys.executable, "-c", "from my_transformer.chapter_03 import causal_mask; print(causal_mask(2).tolist())"],
        cwd=folder, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[[[[True, False], [True, True]]]]", done.stderr


def test_a_failed_answer_changes_nothing(folder):
    check("3.3", run_cell(MASK)["causal_mask"])
    text = module_text(folder)
    check("3.3", run_cell(MASK.replace("tril", "triu"))["causal_mask"])
    assert module_text(folder) == text


def test_only_the_exercises_own_section_is_replaced(folder):
    check("3.3", run_cell(MASK)["causal_mask"])
    check("3.1", run_cell("""
        def weights_of_one_query(query, keys):
            return (keys @ query / query.numel() ** 0.5).softmax(-1)
    """)["weights_of_one_query"])  # fmt: skip
    path = folder / "my_transformer" / "chapter_03.py"
    text = path.read_text()
    assert text.index("Exercise 3.1") < text.index("Exercise 3.3")
    path.write_text(text + "\n\ndef my_own_note():\n    return 'kept'\n\n# last line without newline")
    check("3.3", run_cell(MASK.replace("[None, None]", "[None][None]"))["causal_mask"])
    new = path.read_text()
    assert new.count("# ── Exercise 3.3:") == 1 and "[None][None]" in new and "[None, None]" not in new
    assert new.endswith("return 'kept'\n\n# last line without newline")
    assert text.split("# ── Exercise 3.3")[0] == new.split("# ── Exercise 3.3")[0]


def test_a_cut_off_section_is_left_alone(folder):
    check("3.3", run_cell(MASK)["causal_mask"])
    path = folder / "my_transformer" / "chapter_03.py"
    cut = path.read_text().replace("# ── Exercise 3.3 ends ──\n", "")
    path.write_text(cut)
    assert yours("3.3", tell=False) is causal_mask
    check("3.3", run_cell(MASK)["causal_mask"])
    assert path.read_text().startswith(cut.rstrip("\n"))
    assert yours("3.3", tell=False) is not causal_mask


def test_a_module_that_is_not_text_is_set_aside(folder):
    path = folder / "my_transformer" / "chapter_03.py"
    path.parent.mkdir()
    path.write_bytes(b"\xff\xfe\x00\x01")
    check("3.3", run_cell(MASK)["causal_mask"])
    assert path.with_name("chapter_03.py.bak").read_bytes() == b"\xff\xfe\x00\x01"
    assert yours("3.3", tell=False) is not causal_mask


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("tril", "triu"), "does not pass any more"),
        (lambda text: text.replace("return", "retrun"), "cannot be loaded (SyntaxError"),
        (
            lambda text: text.replace("import torch\n", "import torch_no_such\n"),
            "cannot be loaded (ModuleNotFoundError",
        ),
        (lambda text: text.replace("import torch\n", "while True: pass\n"), "takes too long"),
    ],
)
def test_code_that_was_broken_afterwards_is_not_used(folder, capsys, monkeypatch, change, words):
    monkeypatch.setattr(carrying, "SECONDS", 0.5)
    check("3.3", run_cell(MASK)["causal_mask"])
    path = folder / "my_transformer" / "chapter_03.py"
    path.write_text(change(path.read_text()))
    assert yours("3.3") is causal_mask
    assert words in capsys.readouterr().out


def test_two_exercises_that_share_a_name_do_not_disturb_each_other(folder):
    cell = """
        import math
        def scale(x):
            return x / math.sqrt(x_width(x))
        def x_width(x):
            return x.size(-1)
        def attention(query, key, value):
            weights = (scale(query) @ key.transpose(-2, -1)).softmax(-1)
            return weights @ value, weights
    """
    check("3.2", run_cell(cell)["attention"])
    check("3.1", run_cell("""
        def scale(scores):
            return scores.softmax(-1)
        def weights_of_one_query(query, keys):
            return scale(keys @ query / query.numel() ** 0.5)
    """)["weights_of_one_query"])  # fmt: skip
    one, two = yours("3.1", "3.2", tell=False)
    assert one is not exercise("3.1").reference and two is not exercise("3.2").reference


def test_a_later_exercise_built_on_an_earlier_one(folder):
    check("3.3", run_cell(MASK)["causal_mask"])
    names = run_cell("from utils.exercises import yours\nmask_of = yours('3.3', tell=False)\nimport torch\n")
    run_cell("def causal_mask(length, device=None):\n    return mask_of(length, device) & True\n", names)
    gathered = gather(names["causal_mask"], carrying.given_as)
    assert "mask_of = yours('3.3', tell=False)" in gathered.text
    assert torch.equal(rerun(gathered)["causal_mask"](3), causal_mask(3))


def test_a_renamed_answer_is_found_under_the_exercises_name(folder):
    report = check("3.3", run_cell(MASK.replace("causal_mask", "my_mask"))["my_mask"])
    assert report.passed
    assert yours("3.3", tell=False).__name__ == "my_mask"


def test_in_a_real_ipython_shell(folder):
    program = """
        import sys
        from IPython.core.interactiveshell import InteractiveShell
        shell = InteractiveShell.instance()
        for cell in (
            "import torch\\nfrom utils.exercises import check, yours",
            "def triangle(length, device):\\n    return torch.ones(length, length, device=device).tril()",
            "def causal_mask(length, device=None):\\n    return triangle(length, device).bool()[None, None]",
            "report = check('3.3', causal_mask)",
            "check('3.3', causal_mask)",
            "print('OWN', yours('3.3').__module__)",
        ):
            result = shell.run_cell(cell, store_history=True)
            assert result.success, cell
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "OWN my_transformer.exercise_3_3" in done.stdout
    assert done.stdout.count("passed (1 of 1 point)") == 2  # once for each of the two checks
    assert "def triangle" in module_text(folder)


# Parts ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_parts_say_what_is_missing(folder, monkeypatch):
    with pytest.raises(CourseError, match="comes into being"):
        parts_from(folder / "my_transformer")
    parts, told = parts_from(folder / "my_transformer", strict=False)  # nothing passed yet: all is the course's own
    assert parts == FUSED and all("the course's own" in sentence for sentence in told)
    check("3.3", run_cell(MASK)["causal_mask"])
    monkeypatch.setattr(carrying, "part_exercise", lambda field: None)  # whichever chapters there are
    parts, told = parts_from(folder)
    assert parts == FUSED and "no exercise builds it" in told[0]
    field = {"attention": exercise("3.4"), "layer_norm": exercise("3.3")}
    monkeypatch.setattr(carrying, "part_exercise", field.get)
    with pytest.raises(CourseError, match=r"still lacks attention \(exercise 3.4, scaled_dot_product_attention: you"):
        parts_from(folder)
    parts, told = parts_from(folder, strict=False)
    assert parts.layer_norm(3).shape == (1, 1, 3, 3) and parts.attention is FUSED.attention
    assert told[1] == "layer norm: yours, exercise 3.3"
    assert math.prod(parts.layer_norm(3).shape) == 9
