"""Submissions in every shape they come back in; and everything that is not graded is listed with its reason."""

import os
import random
import zipfile
from pathlib import PurePosixPath

import pytest
from notebooks import all_solved, as_text, handed_out, own_cell, submission

from utils.errors import ConfigError
from utils.grading.collect import collect
from utils.grading.naming import named

SOLVED, HALF = as_text(all_solved()), as_text(submission({"3.1": None}))
SLUG = "03_scaled_dot_product_attention"
SLUGS = {"03": SLUG}


def write(folder, **files):
    """Files by path; __ in a keyword stands for nothing, so paths come as a dictionary."""
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    return folder


NAMES = {
    "student17_03.ipynb": ("student17", "03"),
    "03-Jane Doe.ipynb": ("Jane Doe", "03"),
    f"{SLUG}_anna.ipynb": ("anna", "03"),
    f"anna/{SLUG}.ipynb": ("anna", "03"),
    f"anna/chapters/{SLUG}.ipynb": ("anna", "03"),
    f"submissions/anna/{SLUG}.ipynb": ("anna", "03"),
    f"Anna Müller_123456_assignsubmission_file_/{SLUG}.ipynb": ("Anna Müller (123456)", "03"),
    f"Anna Müller_123456_assignsubmission_file_{SLUG}.ipynb": ("Anna Müller (123456)", "03"),
    f"week3.zip/Li, Bo_77123_assignsubmission_file_/work/{SLUG}.ipynb": ("Li, Bo (77123)", "03"),
    f"muelleranna_12345_678901_{SLUG}.ipynb": ("muelleranna (12345)", "03"),
    f"muelleranna_LATE_12345_678901_{SLUG}-1.ipynb": ("muelleranna (12345)", "03"),
    f"Jane Doe - {SLUG}.ipynb": ("Jane Doe", "03"),
    f"Jane Doe - Copy of {SLUG}.ipynb": ("Jane Doe", "03"),
    "Jörg Müßig, Dr_03.ipynb": ("Jörg Müßig, Dr", "03"),
    "O'Brien & Söhne (2)_03.ipynb": ("O'Brien & Söhne", "03"),
    f"{SLUG}.ipynb": ("", "03"),
}


@pytest.mark.parametrize("path", NAMES)
def test_learner_and_chapter_from_the_path(path):
    found = named(PurePosixPath(path), SLUGS)
    assert (found.learner or found.by_folder, found.chapter) == NAMES[path]


def learners(collection):
    return [submission.learner for submission in collection.submissions]


def test_flat_nested_and_packed(tmp_path):
    write(tmp_path, **{"flat/student17_03.ipynb": SOLVED, "flat/student18_03.ipynb": HALF})
    write(tmp_path, **{f"folders/{name}/{SLUG}.ipynb": HALF for name in ("Ada", "Bo")})
    with zipfile.ZipFile(tmp_path / "moodle.zip", "w") as archive:
        archive.writestr(f"Cleo Roe_998877_assignsubmission_file_/{SLUG}.ipynb", SOLVED)
        archive.writestr(f"__MACOSX/Cleo Roe_998877_assignsubmission_file_/._{SLUG}.ipynb", "x")
    found = collect(tmp_path)
    assert learners(found) == ["Ada", "Bo", "Cleo Roe (998877)", "student17", "student18"]
    assert not found.trouble and len(found.listed) == 1
    assert len({submission.identifier for submission in found.submissions}) == 5


def test_a_single_zip_file(tmp_path):
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr("student1_03.ipynb", SOLVED)
        archive.writestr("student2_03.ipynb", HALF)
    assert learners(collect(tmp_path / "export.zip")) == ["student1", "student2"]


def test_resubmissions_and_doubles(tmp_path):
    write(tmp_path, **{"a_03.ipynb": SOLVED, "a_03 (1).ipynb": HALF, "b_03.ipynb": SOLVED, "same/b_03.ipynb": SOLVED})
    write(tmp_path, **{"c_03.ipynb": SOLVED, "C_03.ipynb": HALF})
    found = collect(tmp_path)
    assert [s.file for s in found.submissions if s.learner == "a"] == ["a_03 (1).ipynb"]
    why = {entry.file: entry.why for entry in found.listed}
    assert "earlier attempt" in why["a_03.ipynb"]
    assert "several different notebooks" in why["c_03.ipynb"] and "leave one" in why["C_03.ipynb"]
    assert {entry.file for entry in found.trouble} == {"c_03.ipynb", "C_03.ipynb"}


def test_everything_that_is_not_graded_is_listed_with_its_reason(tmp_path):
    other_course = {"cells": [own_cell("x = 1")], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    later = as_text(handed_out()).replace("Exercise 3.", "Exercise 88.").replace("exercise-3_", "exercise-88_")
    later = later.replace('"exercise": "3.', '"exercise": "88.').replace('"chapter": "03"', '"chapter": "88"')
    write(
        tmp_path,
        **{
            "cut_03.ipynb": SOLVED[:4000], "empty_03.ipynb": "", "foreign_03.ipynb": as_text(other_course),
            "later_88.ipynb": later, f"{SLUG}.ipynb": SOLVED, "report.pdf": "x", "ok_03.ipynb": HALF,
            ".ipynb_checkpoints/ok_03-checkpoint.ipynb": HALF,
        },
    )  # fmt: skip
    os.symlink("/etc/hostname", tmp_path / "link_03.ipynb")
    os.symlink("/usr", tmp_path / "linked folder")
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("../../escaped_03.ipynb", HALF)
        archive.writestr("/absolute_03.ipynb", HALF)
        link = zipfile.ZipInfo("link_03.ipynb")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 nothing")
    found = collect(tmp_path)
    why = {entry.file: entry.why for entry in found.listed}
    words = {
        "cut_03.ipynb": "cut off", "empty_03.ipynb": "empty", "foreign_03.ipynb": "no exercise of this course",
        "later_88.ipynb": "chapter 88", f"{SLUG}.ipynb": "Whose it is", "report.pdf": "no notebook",
        ".ipynb_checkpoints/ok_03-checkpoint.ipynb": "left behind", "link_03.ipynb": "outside", "linked folder": "link",
        "evil.zip/escaped_03.ipynb": "points out of it", "evil.zip/absolute_03.ipynb": "points out of it",
        "evil.zip/link_03.ipynb": "link", "broken.zip": "damaged",
    }  # fmt: skip
    assert set(why) == set(words)
    for file, expected in words.items():
        assert expected in why[file], file
        assert why[file].endswith((".", "?")) and "\n" not in why[file]
    assert learners(found) == ["ok"]
    assert not any("escaped" in str(path) for path in tmp_path.parent.rglob("*escaped*"))


def test_content_decides_the_chapter_and_the_note_says_so(tmp_path):
    write(tmp_path, **{"anna_chapter 7.ipynb": HALF, "bo_03.ipynb": HALF})
    assert [s.chapter for s in collect(tmp_path).submissions] == ["03", "03"]


def test_results_of_an_earlier_run_are_no_submissions(tmp_path):
    write(tmp_path, **{"a_03.ipynb": HALF, "grades/assembled/b_03.ipynb": HALF})
    assert learners(collect(tmp_path, leave_out=tmp_path / "grades")) == ["a"]


def test_a_damaged_archive_stops_nobody_else(tmp_path):
    with zipfile.ZipFile(tmp_path / "good.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a_03.ipynb", HALF)
    whole, drawn = (tmp_path / "good.zip").read_bytes(), random.Random(1)
    write(tmp_path, **{"b_03.ipynb": HALF})
    for _ in range(60):
        damaged = bytearray(whole)
        for _ in range(3):
            damaged[drawn.randrange(len(damaged))] = drawn.randrange(256)
        (tmp_path / "bad.zip").write_bytes(damaged)
        assert "b" in learners(collect(tmp_path))


def test_other_archives_and_endings_are_nobodys_rubbish(tmp_path):
    moodle = "Cleo Roe_998877_assignsubmission_file_"
    write(tmp_path, **{"a_03.tar.gz": "x", "b_03.rar": "x", "c_03.ipynb.txt": HALF, "d_03.json": HALF, "x.json": "{}"})
    write(
        tmp_path, **{f"{moodle}/answers.pdf": "x", f"Ada Li_99_assignsubmission_file_/{SLUG}.ipynb": HALF, "e.pdf": ""}
    )
    (tmp_path / "f_03.ipynb").write_bytes(HALF.encode("utf-32"))
    (tmp_path / "g_03.ipynb").write_bytes(HALF.encode() + bytes(100))
    (tmp_path / "h_03.ipynb").write_text(HALF + HALF)
    found = collect(tmp_path)
    assert {"c", "d", "f", "g"} <= set(learners(found))
    why = {entry.file: entry.why for entry in found.trouble}
    assert set(why) >= {"a_03.tar.gz", "b_03.rar", f"{moodle}/answers.pdf", "h_03.ipynb"}
    assert "no notebook" in why[f"{moodle}/answers.pdf"] and "after its end" in why["h_03.ipynb"]
    assert not {"x.json", "e.pdf"} & set(why)


def test_a_folder_that_cannot_be_read_is_listed(tmp_path, monkeypatch):
    write(tmp_path, **{"open/a_03.ipynb": HALF, "closed/b_03.ipynb": HALF})
    plain = os.scandir

    def scandir(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return plain(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = collect(tmp_path)
    assert len(found.submissions) == 1
    assert [entry.file for entry in found.trouble] == ["closed"]


def test_a_place_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="There is no"):
        collect(tmp_path / "nowhere")
