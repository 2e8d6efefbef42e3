"""The lexicon of the embedded corpus: CSV tables under assets/lexicon, checked cell by cell when they are read.

Every inflected form stands in a table, so that a person can read, correct and extend them in a spreadsheet.
"""

from functools import lru_cache
from pathlib import Path

from utils.errors import DataError
from utils.text.lexicon.entries import (
    CASES,
    DURATIONS,
    FRAMES,
    GENDERS,
    PREPOSITIONS,
    RANKS,
    TENSES,
    Adjective,
    Adverbial,
    Conjunction,
    Lexicon,
    Modal,
    Name,
    Noun,
    Number,
    Place,
    Verb,
)
from utils.text.lexicon.readers import (
    read_adjectives,
    read_adverbials,
    read_conjunction,
    read_modals,
    read_name,
    read_nouns,
    read_number,
    read_places,
    read_simple,
    read_verbs,
)

__all__ = [
    "CASES",
    "DEFAULT_FOLDER",
    "DURATIONS",
    "FRAMES",
    "GENDERS",
    "PREPOSITIONS",
    "RANKS",
    "TENSES",
    "Adjective",
    "Adverbial",
    "Conjunction",
    "Lexicon",
    "Modal",
    "Name",
    "Noun",
    "Number",
    "Place",
    "Verb",
    "load_lexicon",
]

DEFAULT_FOLDER = Path(__file__).resolve().parents[3] / "assets" / "lexicon"


def _distinct(values: list[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for group in values for value in group))


@lru_cache(maxsize=4)
def load_lexicon(folder: Path | str = DEFAULT_FOLDER) -> Lexicon:
    """Read and check all tables of a folder. Raises DataError naming file, row, column and the way out."""
    folder = Path(folder)
    nouns = read_nouns(folder)
    classes = _distinct([noun.classes for noun in nouns])
    adverbials = read_adverbials(folder)
    manners = tuple(" ".join(entry.english) for entry in adverbials if entry.kind == "manner")
    places = read_places(folder, nouns)
    place_kinds = _distinct([(place.kind,) for place in places])
    lexicon = Lexicon(
        nouns,
        read_verbs(folder, classes, manners, place_kinds),
        read_adjectives(folder, classes),
        adverbials,
        places,
        read_modals(folder, classes),
        read_simple(folder, "names.csv", ("english", "german", "pronoun"), read_name, 1),
        read_simple(folder, "numbers.csv", ("value", "english", "german"), read_number, 12),
        read_simple(folder, "conjunctions.csv", ("english", "german", "use"), read_conjunction, 2),
    )
    _check_complete(lexicon)
    return lexicon


def _check_complete(lexicon: Lexicon) -> None:
    """Raise if a row is gone that other tables or the clock cannot do without."""
    conjunctions = [entry.english for entry in lexicon.conjunctions]
    for frame in _distinct([(verb.frame,) for verb in lexicon.verbs if verb.frame in ("that", "whether")]):
        if frame not in conjunctions:
            raise DataError(f"conjunctions.csv has no row for '{frame}', a frame in verbs.csv; add the row.")
    values = [number.value for number in lexicon.numbers]
    for value in (*range(1, 13), 15, 20, 30):
        if values.count(value) != 1:
            raise DataError(f"numbers.csv has {values.count(value)} rows with value {value}; there must be one.")
    for tense in TENSES:
        if not any(entry.kind == "time" and tense in entry.tenses for entry in lexicon.adverbials):
            raise DataError(f"adverbials.csv has no time expression for tense '{tense}'; add one.")
