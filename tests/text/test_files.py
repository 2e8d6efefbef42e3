"""Reading text files: what is accepted, and what each refusal says."""

import gzip

import pytest

from utils.errors import DataError
from utils.text.files import MAX_LINE_CHARACTERS, read_lines, read_pairs


def test_reads_bom_windows_ends_gzip_and_a_missing_last_newline(tmp_path):
    plain = tmp_path / "a.txt"
    plain.write_bytes(b"\xef\xbb\xbfZwei M\xc3\xa4nner.\r\nEine Frau.")
    assert read_lines(plain) == ["Zwei Männer.", "Eine Frau."]
    packed = tmp_path / "a.gz"
    packed.write_bytes(gzip.compress(b"eins\nzwei\n"))
    assert read_lines(packed) == ["eins", "zwei"]


def test_a_line_separator_character_does_not_end_a_line(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("one\u2028still one\ntwo\n", encoding="utf-8")
    assert len(read_lines(path)) == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"\n", "empty"),
        (b"one\n\ntwo\n", "line 2 is empty"),
        (b"one\n  \t \ntwo\n", "line 2 is empty"),
        (b"one\ntw\xffo\n", "line 2: byte 3 is not valid UTF-8"),
        (b"one\n" + b"x" * (MAX_LINE_CHARACTERS + 1) + b"\n", "line 2 has 4001 characters"),
    ],
)
def test_bad_content_is_refused_by_file_and_line(tmp_path, content, words):
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words) as caught:
        read_lines(path)
    assert "bad.txt" in str(caught.value)
    assert path.read_bytes() == content


def test_missing_folder_and_cut_gzip(tmp_path):
    with pytest.raises(DataError, match="no file"):
        read_lines(tmp_path / "none.txt")
    with pytest.raises(DataError, match="cannot be read"):
        read_lines(tmp_path)
    for content in (b"not gzip", gzip.compress(b"word " * 5000)[:-20]):
        path = tmp_path / "cut.gz"
        path.write_bytes(content)
        with pytest.raises(DataError, match="not a complete gzip"):
            read_lines(path)


def test_pairs_of_different_length_name_the_missing_line(tmp_path):
    long, short = tmp_path / "long.en", tmp_path / "short.de"
    long.write_text("a\nb\nc\n")
    short.write_text("a\nb\n")
    for paths in ((long, short), (short, long)):
        with pytest.raises(DataError, match=r"line 3 is missing in .*short\.de"):
            read_pairs(*paths)
    assert read_pairs(long, long)[2] == ("c", "c")
