"""Progress: kept, damaged, and never lost; hints and predictions that are counted in it."""

import json
import os
import re

import pytest

from utils.exercises import check, hint, predict, progress
from utils.exercises.home import home, write_whole
from utils.exercises.state import change, load, state_path
from utils.transformer import causal_mask


def my_mask(length, device=None):
    import torch

    return torch.ones(length, length, dtype=torch.bool, device=device).tril()[None, None]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty folder of a learner's own."""
    monkeypatch.setenv("ATTENTION_REBUILT_HOME", str(tmp_path))
    return tmp_path


def test_checks_are_counted(folder, capsys):
    assert not check("3.3", lambda length, device=None: None)
    assert check("3.3", my_mask)
    assert not check("3.3", lambda length, device=None: None)  # a later, worse answer takes nothing away
    entry = load().of("3.3")
    assert entry["tries"] == 3 and entry["points"] == 1 and entry["passed"]
    assert "passed (1 of 1 point)" in capsys.readouterr().out
    text = str(progress())
    assert re.search(r"^1 of \d+ exercises passed, 1 of \d+ points \(optional ones come on top\)$", text, re.MULTILINE)
    assert "● 3.3 The causal mask: 1 of 1 point" in text
    assert "○ 3.1" in text


def test_the_courses_own_code_passes_and_does_not_count(folder):
    report = check("3.3", causal_mask)
    assert report.passed and report.points == 0
    assert "does not count" in report.notes[0]
    assert not state_path().exists()


def test_hints_come_one_by_one_and_are_remembered(folder):
    cards = [hint("3.2") for _ in range(5)]
    assert [len(card.hints) for card in cards] == [1, 2, 3, 3, 3]
    assert str(cards[1]).startswith("Exercise 3.2, hint 2 of 3: ")
    assert cards[2]._repr_html_().count("<details>") == 3
    assert load().of("3.2") == {"hints": 3}
    assert "3 hints" in str(progress())


@pytest.mark.parametrize("answer", ["b", "B", " b) ", "It doubles.", "it doubles", "doubles"])
def test_predictions_are_understood(folder, answer):
    card = predict("3.a", answer)
    assert card.right and "√d_k" in str(card)
    assert load().of("3.a")["right"] is True


def test_a_wrong_prediction_gets_its_reason(folder):
    card = predict("3.a", "c")
    assert not card.right and "The variance does" in str(card)
    assert predict("3.a", "b").right
    assert load().of("3.a") == {"tries": 2, "first_answer": "c", "right": True}
    assert "It doubles" in str(predict("3.a"))  # without an answer: the question
    assert "none of the answers" in str(predict("3.a", "z"))
    assert "none of the answers" in str(predict("3.a", "It"))  # fits more than one
    assert load().of("3.a")["tries"] == 2
    assert "1 of 4 questions right" in str(progress())


def test_unknown_numbers_get_a_sentence(folder):
    assert "did you mean '3.1'" in str(check("3.11", my_mask)) or "3.1" in str(check("3.11", my_mask))
    assert "There is no exercise '99.1'" in str(hint("99.1"))
    assert "There is no question '3.z'" in str(predict("3.z", "a"))
    assert "There is no exercise ''" in str(check("", my_mask))
    assert check("3,3", my_mask).passed and check("03.3", my_mask).passed and check(3.3, my_mask).passed


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"exercises": []}', b'{"exercises": {"3.1": 5}}', b"\xff\xfe\x00", b"[" * 100_000,
     b'{"exercises": {"3.1": {"hints": "many"}}}', b"<<<<<<< HEAD\n{}\n"],
)  # fmt: skip
def test_a_damaged_file_is_kept_aside(folder, content):
    state_path().write_bytes(content)
    card = hint("3.1")
    assert any(".progress.json.bak" in note for note in card.notes)
    assert (folder / ".progress.json.bak").read_bytes() == content
    assert load().of("3.1") == {"hints": 1}
    state_path().write_bytes(b"broken again")
    progress()
    assert (folder / ".progress.json.bak2").read_bytes() == b"broken again"
    assert (folder / ".progress.json.bak").read_bytes() == content


def test_what_is_not_known_is_kept(folder):
    state_path().write_text(
        json.dumps({"version": 7, "friend": "Ada", "exercises": {"12.1": {"tries": 3, "mood": ":)"}}})
    )
    hint("3.1")
    content = json.loads(state_path().read_text())
    assert content["friend"] == "Ada" and content["version"] == 7
    assert content["exercises"]["12.1"] == {"tries": 3, "mood": ":)"}


def test_a_folder_that_cannot_be_written_to_gets_a_sentence(folder, monkeypatch):
    (folder / "file").write_text("")
    monkeypatch.setenv("ATTENTION_REBUILT_HOME", str(folder / "file" / "below"))
    report = check("3.3", my_mask)
    assert report.passed
    assert any("cannot be read" in note or "could not be written" in note for note in report.notes)
    assert any("Not carried forward" in note for note in report.notes)


def test_files_are_written_whole_or_not_at_all(folder, monkeypatch):
    path = folder / "file"
    write_whole(path, "old")
    monkeypatch.setattr(os, "replace", lambda *paths: (_ for _ in ()).throw(OSError("no")))
    with pytest.raises(OSError):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert [item.name for item in folder.iterdir()] == ["file"]


def test_the_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.delenv("ATTENTION_REBUILT_HOME")
    course = tmp_path / "course"
    (course / "chapters").mkdir(parents=True)
    (course / "utils" / "exercises").mkdir(parents=True)
    monkeypatch.chdir(course / "chapters")
    assert home() == course
    alone = tmp_path / "alone"
    alone.mkdir()
    monkeypatch.chdir(alone)
    assert home() == alone
    (alone / ".progress.json").write_text("{}")
    (alone / "deeper").mkdir()
    monkeypatch.chdir(alone / "deeper")
    assert home() == alone


def test_change_sees_what_another_notebook_wrote(folder):
    change("3.1", lambda entry: entry.update(hints=1))
    change("3.2", lambda entry: entry.update(hints=2))
    assert load().of("3.1") == {"hints": 1} and load().of("3.2") == {"hints": 2}
