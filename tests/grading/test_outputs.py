"""What an instructor and a learner get: safe to open, nobody else's data, resumable."""

import csv
import json
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import pytest
from notebooks import all_solved, as_text, solution, submission

from utils.cli import main
from utils.grading.classreport import class_report
from utils.grading.collect import Collection
from utils.grading.copies import alike, like_solution, prints
from utils.grading.feedback import feedback
from utils.grading.gradebook import gradebook, long_form, safe
from utils.grading.pristine import pristine
from utils.grading.results import ExerciseResult, SubmissionResult
from utils.grading.sandbox import find_bwrap
from utils.grading.store import Store

ROOT = Path(__file__).parents[2]
NASTY = "=cmd|' /C calc'!A0<script>alert(1)</script>\"'&"


def made(learner: str = "Ada", number: str = "3.2", **fields) -> SubmissionResult:
    """A result with one exercise."""
    exercise = ExerciseResult(number, "Scaled", 2, **{"verdict": "wrong", "message": "No.", **fields})
    return SubmissionResult(learner, "03", "a.ipynb", "0" * 64, [exercise])


class Collected(HTMLParser):
    """Tags and attributes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))


def nasty() -> SubmissionResult:
    """A result in which every text tries something."""
    smallest = {"case": NASTY, "inputs": [(NASTY, NASTY)], "yours": NASTY, "expected": NASTY, "printed": NASTY}
    items = [{"name": NASTY, "part": "values", "passed": False, "sentence": NASTY}]
    result = made(
        NASTY, message=NASTY, explanation=NASTY, misconception=NASTY, lines=[NASTY], notes=[NASTY], hint=NASTY,
        smallest=smallest, items=items, flags=[NASTY],
    )  # fmt: skip
    result.file, result.notes, result.flags = NASTY, [NASTY], [NASTY]
    return result


def test_pages_run_and_load_nothing():
    result = nasty()
    report = class_report([result], Collection(), {}, True, {}, 1.0)
    for text in (feedback(result), report):
        tags = Collected(text).tags
        assert {tag for tag, _ in tags} & {"script", "iframe", "img", "link", "object", "form", "base"} == set()
        assert not any(name.startswith("on") for _, attributes in tags for name in attributes)
        assert not re.search(r"https?://(?!www\.w3\.org)", text)
        assert "default-src 'none'" in text


def test_tables_hold_no_formula():
    result = nasty()
    for text in (gradebook([result]), long_form([result], {})):
        for row in csv.reader(text.splitlines()):
            assert not any(cell.lstrip().startswith(("=", "+", "-", "@", "|")) for cell in row), row
    for text in ("=1+1", "+1", "-1", "@A1", "\t=1", " =1", "|calc", "＝1"):
        assert safe(text).startswith("'")
    assert safe("Anna-Lena O'Brien") == "Anna-Lena O'Brien"


def test_a_gradebook_has_a_row_a_learner_and_tells_0_from_not_graded():
    rows = [made("Bo", points=1.5), made("ada", "3.1", points=1, verdict="passed"), made("Cy", verdict="ungraded")]
    table = list(csv.reader(gradebook(rows).splitlines()))
    assert table[0][:3] == ["learner", "3.1 (1)", "3.2 (2)"] and table[0][-1] == "total"
    assert [row[0] for row in table[1:]] == ["ada", "Bo", "Cy"]
    assert table[2][2] == "1.5" and table[3][2] == "" and table[1][-1] == "1"


def test_feedback_never_shows_the_solution_or_another_learner():
    result = made("Ada", flags=["equals the answer of Bo"], explanation="Why.")
    result.flags = ["3.2 equals, to the letter, the answer of Bo"]
    text = feedback(result)
    assert "Bo" not in re.sub(r"<style>.*</style>", "", text, flags=re.DOTALL)
    assert "scores.softmax(dim=-1)" not in text


def test_near_copies_are_found_and_chance_is_not():
    copied = solution("3.5").replace("queries", "a").replace("keys", "b")
    own = "def additive_scores(query, key, query_weight, key_weight, score_weight):\n    return 1\n"
    long = """
def additive_scores(query, key, query_weight, key_weight, score_weight):
    rows = []
    for q in query:
        row = []
        for k in key:
            hidden = torch.tanh(query_weight @ q + key_weight @ k)
            row.append(score_weight @ hidden)
        rows.append(torch.stack(row))
    return torch.stack(rows)
"""
    name, chapter = "additive_scores", pristine("03")
    solved = {"3.6": prints(solution("3.6"), "attention_in_blocks")}
    assert like_solution(solved, chapter) == ["3.6 is the course's solution, to the letter"]
    assert like_solution({"3.5": prints(own, name)}, chapter) == []
    of = {
        "Ada": {"3.5": prints(long, name)}, "Bo": {"3.5": prints(long.replace("hidden", "h"), name)},
        "Cy": {"3.5": prints(own, name)}, "Di": {"3.5": prints(own, name)}, "Ed": {"3.5": prints(copied, name)},
    }  # fmt: skip
    found = alike(of, {})
    assert set(found) == {"Ada", "Bo"} and "but for names, the answer of Bo" in found["Ada"][0]


def test_records_are_taken_over_only_for_the_same_file_seed_and_course(tmp_path):
    from utils.grading.collect import Submission

    store = Store(tmp_path, "ab" * 8, True)
    store.prepare()
    entry = Submission("Ada", "03", "a.ipynb", b"x", "0" * 64)
    store.keep(entry, made())
    assert store.kept(entry).exercises[0].message == "No."
    assert store.kept(Submission("Ada", "03", "a.ipynb", b"y", "1" * 64)) is None
    assert Store(tmp_path, "cd" * 8, True).kept(entry) is None
    assert Store(tmp_path, "ab" * 8, False).kept(entry) is None
    store.keep(entry, made(verdict="ungraded"))
    assert store.kept(entry) is None
    store.record_file(entry).write_text("{broken")
    assert store.kept(entry) is None


@pytest.fixture
def here(monkeypatch, capsys):
    """Runs a command of the course in this process: (status, output, error output)."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["utils", *map(str, arguments)])
        status = 0
        try:
            main()
        except SystemExit as end:
            status = end.code or 0
        return (status, *capsys.readouterr())

    return run


def utils(*arguments, **options):
    """Runs a command of the course in a process of its own."""
    command = [sys.executable, "-m", "utils", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, **options)


@pytest.fixture
def submissions(tmp_path):
    folder = tmp_path / "submissions"
    folder.mkdir()
    unscaled = "def attention(query, key, value):\n    w = (query @ key.mT).softmax(-1)\n    return w @ value, w\n"
    (folder / "Ada_03.ipynb").write_text(as_text(all_solved()))
    (folder / "=Bo & Söhne, Dr_03.ipynb").write_text(as_text(submission({"3.2": unscaled, "3.3": None})))
    (folder / "Cy_03.ipynb").write_text(as_text(submission({"3.1": None})))
    return folder


def test_a_dry_run_lists_and_writes_nothing(submissions, tmp_path, here):
    (submissions / "cut_03.ipynb").write_text('{"cells": [')
    status, said, _ = here("grade", submissions, "--out", tmp_path / "grades", "--dry-run")
    assert status == 1 and said.count("would grade") == 3 and "cut off" in said
    assert not (tmp_path / "grades").exists()


@pytest.mark.skipif(find_bwrap() is None, reason="bubblewrap is not installed: apt install bubblewrap")
def test_a_run_from_folder_to_reports_interrupted_and_resumed(submissions, tmp_path):
    out = tmp_path / "grades"
    command = [sys.executable, "-m", "utils", "grade", str(submissions), "--out", str(out)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores Ctrl-C
    )  # fmt: skip
    deadline = time.monotonic() + 200
    while not list(out.glob("records/*.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    first = {path: path.stat().st_mtime_ns for path in out.glob("records/*.json")}
    seed = json.loads((out / "run.json").read_text())["seed"]
    assert first and (out / "gradebook.csv").exists()

    done = utils("grade", submissions, "--out", out, "--jobs", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(path.stat().st_mtime_ns == when for path, when in first.items())  # not graded again
    record = json.loads((out / "run.json").read_text())
    assert record["seed"] == seed and record["sandbox"] == "bubblewrap" and record["versions"]["nbval"]
    assert [file["points"] for file in record["files"]] == [1.0, 11.0, 1.0] and len(record["files"][0]["sha256"]) == 64
    table = list(csv.reader((out / "gradebook.csv").read_text(encoding="utf-8-sig").splitlines()))
    assert [row[0] for row in table[1:]] == ["'=Bo & Söhne, Dr", "Ada", "Cy"] and table[2][-1] == "11"
    answers = list(csv.DictReader((out / "answers.csv").read_text(encoding="utf-8-sig").splitlines()))
    assert len(answers) == 18 and answers[1]["misconception"] == "not scaled"
    suites = ElementTree.parse(out / "junit.xml").getroot()
    assert len(suites) == 3 and int(suites.get("failures")) == 1
    pages = [path.read_text(encoding="utf-8") for path in out.glob("feedback/*.html")]
    assert len(pages) == 3 and sum("division by √d_k" in page for page in pages) == 1
    assert "svg" in (out / "class.html").read_text(encoding="utf-8")

    (submissions / "Cy_03.ipynb").write_text(as_text(submission({"3.1": None, "3.3": None})))
    done = utils("grade", submissions, "--out", out)
    assert done.returncode == 0 and "graded       1 in" in done.stdout and "2 taken over" in done.stdout


def test_refusals_are_one_sentence(tmp_path, submissions, here):
    calls = {
        "nothing there": (("grade", tmp_path / "none"), "There is no"),
        "no notebook": (("grade", ROOT / ".ci", "--out", tmp_path / "g"), "holds no notebook"),
        "a bad seed": (("grade", submissions, "--out", tmp_path / "g", "--seed", "xyz"), "is no seed"),
        "no job": (("grade", submissions, "--jobs", "0"), "--jobs is 0"),
        "no file": (("check-notebook", tmp_path / "none.ipynb"), "There is no file"),
    }
    for name, (arguments, words) in calls.items():
        status, _, said = here(*arguments)
        assert status == 1 and words in said and said.count("\n") == 1, (name, said)


def test_without_bubblewrap_it_says_so_and_asks_for_consent(submissions, tmp_path):
    empty = tmp_path / "bin"
    empty.mkdir()
    environment = {"PATH": str(empty), "OMP_NUM_THREADS": "1", "HOME": str(tmp_path)}
    done = utils("grade", submissions, "--out", tmp_path / "g", env=environment)
    assert done.returncode == 1 and "bubblewrap is not installed" in done.stderr
    assert "--unsafe-no-sandbox" in done.stderr and not (tmp_path / "g").exists()
    for name in ("Ada", "Cy"):
        (submissions / f"{name}_03.ipynb").unlink()
    done = utils("grade", submissions, "--out", tmp_path / "g", "--unsafe-no-sandbox", env=environment)
    assert done.returncode == 0, done.stderr
    assert "NONE" in json.loads((tmp_path / "g" / "run.json").read_text())["sandbox"]
    assert "without a sandbox" in (tmp_path / "g" / "class.html").read_text()
