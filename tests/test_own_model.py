"""From an empty folder to a translator of one's own: exercises passed, carried forward, trained, translated with."""

import ast
import io
import linecache
import sys
from contextlib import redirect_stdout
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from utils.cli import main
from utils.commands.own import own_run
from utils.exercises import carrying, check, exercise
from utils.exercises.carrying import part_exercise, parts_from
from utils.notebooks.source import find_sources, read_source
from utils.training.runs import load_run
from utils.training.settings import Settings
from utils.transformer import Parts

ROOT = Path(__file__).parents[1]
BUILDING = [path for path in find_sources(ROOT / "solutions") if path.name[:2] <= "06"]
SMALL = ["--layers", "1", "--d-model", "32", "--d-ff", "64", "--heads", "2", "--batch-tokens", "256", "--device", "cpu"]


def as_cell(code: str, names: dict, number: int) -> None:
    """Executes code as a notebook cell does: in __main__, its source in linecache."""
    filename = f"/tmp/ipykernel_2/{number}.py"
    linecache.cache[filename] = (len(code), None, code.splitlines(keepends=True), filename)
    exec(compile(code, filename, "exec"), names)


def definitions(code: str) -> str:
    """Of a lesson's cell what exercises may lean on: imports, functions, classes, constants, what `yours` gives."""
    kept = []
    for node in ast.parse(code).body:
        constant = isinstance(node, ast.Assign) and (_is_literal(node.value) or "yours(" in ast.unparse(node.value))
        if constant or isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef):
            kept.append(ast.unparse(node))
    return "\n".join(kept)


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except ValueError:
        return False
    return True


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A learner's folder after all exercises of chapters 01 to 06 were passed with the solutions."""
    home = tmp_path_factory.mktemp("learner")
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()):
        patch.setenv("ATTENTION_REBUILT_HOME", str(home))
        carrying._passing.clear()
        number = 0
        for path in BUILDING:
            names = {"__name__": "__main__", "torch": torch}
            for cell in (cell for cell in read_source(path).cells if cell.kind == "code"):
                number += 1
                as_cell(cell.text if cell.role == "exercise" else definitions(cell.text), names, number)
                if cell.role == "exercise":
                    report = check(cell.exercise, names[exercise(cell.exercise).name])
                    assert report.passed, report
                    assert any("Carried forward" in note for note in report.notes), report.notes
        yield home


@pytest.fixture
def utils(folder, tmp_path, monkeypatch, capsys):
    """Runs `python -m utils ARGUMENTS` as that learner; returns (exit status, output, error output)."""
    monkeypatch.setenv("ATTENTION_REBUILT_HOME", str(folder))
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["utils", *map(str, arguments)])
        try:
            main()
            status = 0
        except SystemExit as end:
            status = end.code or 0
        return status, *capsys.readouterr()

    return run


def test_every_part_of_the_model_is_the_learners_own(folder, monkeypatch):
    monkeypatch.setenv("ATTENTION_REBUILT_HOME", str(folder))
    parts, told = parts_from()
    assert len(told) == len(fields(Parts))
    for field in fields(Parts):
        assert part_exercise(field.name), field.name
        own = getattr(parts, field.name)
        assert own.__module__.startswith("my_transformer"), field.name


def test_it_trains_translates_and_is_resumed(utils, tmp_path):
    run = tmp_path / "own"
    status, out, err = utils("train", "--model", "mine", *SMALL, "--updates", 20, "--out", run)
    assert status == 0, err
    assert "yours, exercise 4.4" in out and (run / "my_transformer" / "chapter_04.py").is_file()
    status, out, err = utils("translate", "--run", run, "--beam", 1, "the dog sleeps .")
    assert status == 0 and out.strip(), err
    status, out, err = utils("resume", run)
    assert status == 0 and "complete" in out
    (run / "model.safetensors").unlink()
    (run / "checkpoints" / "update-0000020.safetensors").unlink()
    status, out, err = utils("resume", run)
    assert status == 0 and "yours, exercise 4.4" in out, err


def test_what_was_trained_does_not_change_with_later_code(utils, folder, tmp_path):
    run = tmp_path / "own"
    status, _, err = utils("train", "--model", "mine", *SMALL, "--updates", 2, "--out", run)
    assert status == 0, err
    later = folder / "my_transformer" / "chapter_04.py"
    text = later.read_text(encoding="utf-8")
    try:
        later.write_text(text.replace("class MultiHeadAttention", "class Broken"), encoding="utf-8")
        status, _, err = utils("translate", "--run", run, "--beam", 1, "the dog sleeps .")
        assert status == 0, err
        status, _, err = utils("train", "--model", "mine", *SMALL, "--updates", 2, "--out", tmp_path / "other")
        assert status == 1 and "still lacks attention (exercise 4.4" in err
    finally:
        later.write_text(text, encoding="utf-8")


def test_a_run_of_chapter_07_is_begun_once_and_found_again_by_the_commands(utils, folder, tmp_path, monkeypatch):
    """Begun with all passed, cut off, taken up after the learner's code is gone."""
    settings = Settings(
        layers=1, d_model=32, d_ff=64, heads=2, batch_tokens=256, device="cpu", updates=6, checkpoint_every=3
    )
    monkeypatch.setenv("ATTENTION_REBUILT_HOME", str(folder))
    with own_run(tmp_path / "run", settings) as trainer:
        trainer.run(stop=lambda: trainer.update == 3)
    monkeypatch.setenv("ATTENTION_REBUILT_HOME", str(tmp_path / "nothing passed here"))
    with own_run(tmp_path / "run", settings) as trainer:
        assert trainer.update == 3 and trainer.settings.model == "mine"
        trainer.run()
    status, out, err = utils("translate", "--run", tmp_path / "run", "--beam", 1, "the dog sleeps .")
    assert status == 0 and out.strip(), err
    said = []
    with own_run(tmp_path / "other", settings, said.append) as trainer:
        trainer.run()
    assert "made of the course's own parts" in said[0] and trainer.settings.model == "transformer"
    load_run(trainer.folder)
