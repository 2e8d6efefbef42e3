"""What README shows must exist: each command parses, each target is in the Makefile, each path is there."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from utils.cli import app
from utils.exercises import chapters, exercises
from utils.exercises.registry import chapter_module

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = sorted(set(re.findall(r"(?:python -m|-m) utils ([^`\n#|]+)", README)))


def test_there_are_commands_to_check():
    assert len(COMMANDS) >= 8


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_parses(command):
    words = shlex.split(command)
    group = typer.main.get_command(app)
    context = group.make_context("utils", words, resilient_parsing=True)
    name, found, rest = group.resolve_command(context, words)
    while hasattr(found, "commands"):
        name, found, rest = found.resolve_command(context, rest)
    found.make_context(name, [word for word in rest if word not in ("--help", "…")], resilient_parsing=False)


def test_each_make_target_exists():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", README, flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)


def test_each_folder_of_the_map_exists():
    block = README[README.index("## What lies where") :].split("```")[1]
    for path in re.findall(r"^([\w./]+)", block, flags=re.MULTILINE):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("chapter", chapters())
def test_the_table_of_chapters_tells_the_truth(chapter):
    declared = exercises(chapter)
    row = next(line for line in README.splitlines() if line.startswith(f"| {chapter:02d} |"))
    _, title, _, count, points, _ = (part.strip() for part in row.strip("|").split("|"))
    assert title.split(" (")[0] == chapter_module(chapter).TITLE
    assert int(count) == len(declared)
    optional = sum(item.points for item in declared if item.optional)
    asked = sum(item.points for item in declared if not item.optional)
    assert points == (f"{asked} + {optional}" if optional else str(asked))


def test_nothing_is_left_to_fill_in():
    assert "@@" not in README


def test_ci_calls_the_readmes_test_command():
    assert "make test" in (ROOT / ".ci" / "run").read_text()
