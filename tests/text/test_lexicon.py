"""The lexicon tables: their size, and the sentence that a mistake in a cell gets."""

import shutil
from pathlib import Path

import pytest

from utils.errors import DataError
from utils.text.lexicon import DEFAULT_FOLDER, load_lexicon


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the lexicon that a test may damage."""
    return Path(shutil.copytree(DEFAULT_FOLDER, tmp_path / "lexicon"))


def edit(folder: Path, file: str, old: str, new: str) -> None:
    path = folder / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_size():
    lexicon = load_lexicon()
    assert len(lexicon.nouns) >= 120
    assert len(lexicon.verbs) >= 60
    assert sum(bool(verb.prefix) for verb in lexicon.verbs) >= 20
    assert len(lexicon.adjectives) >= 40
    for gender in ("masculine", "feminine", "neuter"):
        assert sum(noun.gender == gender for noun in lexicon.nouns) >= 30
    assert sum(noun.declension == "weak" for noun in lexicon.nouns) >= 8


APPLE = "apple,apples,an,masculine,strong,Apfel,Apfel,Apfel,Apfels,Äpfel,Äpfeln,food|fruit,it"


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        (
            "nouns.csv",
            "english,english_plural",
            "english,plural_english",
            ("nouns.csv", "row 1", "english_plural", "missing"),
        ),
        ("nouns.csv", APPLE, APPLE.replace("Apfels", ""), ("nouns.csv", "row", "genitive", "empty cell")),
        ("nouns.csv", APPLE, APPLE.replace("masculine", "male"), ("gender", "'male'", "masculine, feminine, neuter")),
        ("nouns.csv", APPLE, APPLE.replace("Apfel,Apfel,Apfel", "apfel,Apfel,Apfel"), ("nominative", "capital")),
        ("nouns.csv", APPLE, APPLE.replace("Apfel,Apfel,Apfel", "Apfel,Apfeln,Apfel"), ("accusative", "weak")),
        ("nouns.csv", APPLE, APPLE.replace("Äpfeln", "Äpfel"), ("dative_plural", "-n")),
        ("nouns.csv", APPLE, APPLE + "\n" + APPLE, ("nominative", "'Apfel'", "already stands in row")),
        ("nouns.csv", APPLE, APPLE.replace("apples", "pears"), ("english_plural", "'pears'", "already")),
        ("nouns.csv", APPLE, APPLE + ",extra", ("nouns.csv", "row", "14 cells under 13 columns")),
        ("nouns.csv", APPLE, APPLE.replace(",it", ",thing"), ("pronoun", "he, she, it")),
        ("adjectives.csv", "size", "sizes", ("adjectives.csv", "rank", "opinion, size")),
        ("adjectives.csv", "food|drink", "food|drinks", ("classes", "'drinks'")),
        (
            "adjectives.csv",
            "tired,a,müde,müd,quality,person|animal,passing",
            "tired,a,müde,müd,quality,person|animal,often",
            ("adjectives.csv", "duration", "'often'", "passing, lasting"),
        ),
        ("verbs.csv", "abgeholt", "geholt", ("verbs.csv", "participle", "prefix 'ab'")),
        ("verbs.csv", "geholfen,haben,-,dative", "geholfen,haben,-,genitive", ("case", "accusative, dative")),
        ("verbs.csv", "geschlafen,haben", "geschlafen,hat", ("auxiliary", "haben, sein")),
        ("verbs.csv", "slowly|quickly", "slowly|hastily", ("manners", "'hastily'")),
        (
            "adverbials.csv",
            "last week,letzte Woche,time,past,0-0 1-1",
            "last week,letzte Woche,time,past,0-0 1-2",
            ("adverbials.csv", "alignment", "'1-2'"),
        ),
        ("places.csv", "garden,", "gardenia,", ("places.csv", "row 2", "'gardenia'", "nouns.csv")),
        ("modals.csv", "cannot", "can't", ("modals.csv", "negation", "cannot, not, do")),
        ("numbers.csv", "12,twelve", "dozen,twelve", ("numbers.csv", "row 13", "value", "digits")),
        ("conjunctions.csv", "weil,clause", "weil,causal", ("conjunctions.csv", "row 2", "use", "clause, present")),
        ("names.csv", "Anna,Anna,she", "Anna,Anna,it", ("names.csv", "row 2", "pronoun", "he, she")),
    ],
)
def test_mistake_is_named(folder: Path, file: str, old: str, new: str, words: tuple[str, ...]):
    edit(folder, file, old, new)
    with pytest.raises(DataError) as caught:
        load_lexicon(folder)
    sentence = str(caught.value)
    for word in words:
        assert word in sentence
    assert "\n" not in sentence and sentence.endswith(".")


def test_row_is_counted_as_in_a_spreadsheet(folder: Path):
    lines = (folder / "nouns.csv").read_text(encoding="utf-8").splitlines()
    row = next(number for number, line in enumerate(lines, start=1) if line.startswith("apple,"))
    edit(folder, "nouns.csv", APPLE, APPLE.replace("masculine", "x"))
    with pytest.raises(DataError, match=f"row {row}, column gender"):
        load_lexicon(folder)


def test_too_few_entries(folder: Path):
    lines = (folder / "nouns.csv").read_text(encoding="utf-8").splitlines()
    (folder / "nouns.csv").write_text("\n".join(lines[:5]), encoding="utf-8")
    with pytest.raises(DataError, match="nouns.csv has 4 entries"):
        load_lexicon(folder)


def test_missing_file_and_wrong_encoding(folder: Path):
    data = (folder / "nouns.csv").read_bytes()
    (folder / "nouns.csv").write_bytes(data.decode("utf-8").encode("latin-1"))
    with pytest.raises(DataError, match="nouns.csv, row .* UTF-8"):
        load_lexicon(folder)
    (folder / "nouns.csv").unlink()
    with pytest.raises(DataError, match="cannot be read"):
        load_lexicon(folder)


def test_empty_file(folder: Path):
    (folder / "verbs.csv").write_bytes(b"")
    with pytest.raises(DataError, match="verbs.csv, row 1"):
        load_lexicon(folder)


def test_spreadsheet_dialects_give_the_same(folder: Path):
    """BOM, CRLF and semicolons, as Excel writes them, change nothing."""
    for path in folder.glob("*.csv"):
        text = path.read_text(encoding="utf-8").replace(",", ";").replace("\n", "\r\n")
        path.write_bytes(b"\xef\xbb\xbf" + text.encode("utf-8"))
    plain, exported = load_lexicon(), load_lexicon(folder)
    assert [vars(noun) for noun in plain.nouns] == [vars(noun) for noun in exported.nouns]
    assert [vars(verb) for verb in plain.verbs] == [vars(verb) for verb in exported.verbs]
    assert [vars(entry) for entry in plain.adverbials] == [vars(entry) for entry in exported.adverbials]


@pytest.mark.parametrize(
    ("file", "row", "words"),
    [
        ("conjunctions.csv", "that,dass,complement\n", "no row for 'that'"),
        ("numbers.csv", "7,seven,sieben\n", "value 7"),
    ],
)
def test_row_that_others_need(folder: Path, file: str, row: str, words: str):
    edit(folder, file, row, "")
    with pytest.raises(DataError, match=words):
        load_lexicon(folder)
