"""One reader for each table: rows become entries, and every cell is checked on the way."""

from collections.abc import Callable
from pathlib import Path

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
    Modal,
    Name,
    Noun,
    Number,
    Place,
    Verb,
)
from utils.text.lexicon.tables import NONE, Row, Table, read_table

NOUN_COLUMNS = (
    "english",
    "english_plural",
    "article",
    "gender",
    "declension",
    *CASES,
    "plural",
    "dative_plural",
    "classes",
    "pronoun",
)


def read_nouns(folder: Path) -> tuple[Noun, ...]:
    """nouns.csv."""
    table = read_table(folder, "nouns.csv", NOUN_COLUMNS, minimum=40)
    return tuple(_noun(table, index, row) for index, row in enumerate(table.rows))


def _noun(table: Table, index: int, row: Row) -> Noun:
    gender = row.choice("gender", GENDERS)
    declension = row.choice("declension", ("strong", "weak"))
    singular = {case: row.capitalised(case) for case in CASES}
    plural: dict[str, str] = {}
    if row.optional("english_plural") or row.optional("plural"):
        row.text("english_plural")
        nominative, dative = row.capitalised("plural"), row.capitalised("dative_plural")
        if dative[-1] not in "ns":
            raise row.fail("dative_plural", f"'{dative}' must end in -n (or -s, as in Autos)")
        plural = {"nominative": nominative, "accusative": nominative, "dative": dative, "genitive": nominative}
    for case in ("accusative", "dative"):
        same = singular[case] == singular["nominative"]
        if declension == "strong" and not same:
            raise row.fail(case, f"'{singular[case]}' differs from the nominative; only weak masculine nouns do so")
        if declension == "weak" and (same or gender != "masculine"):
            raise row.fail(case, "a weak noun is masculine and adds -(e)n outside the nominative, as in den Jungen")
    table.unique(row, "nominative", singular["nominative"])
    table.unique(row, "english", row.text("english"), within="english form")
    if plural:
        table.unique(row, "plural", plural["nominative"])
        table.unique(row, "english_plural", row.text("english_plural"), within="english form")
    return Noun(
        index,
        row.text("english"),
        row.optional("english_plural"),
        row.choice("article", ("a", "an")),
        gender,
        declension,
        singular,
        plural,
        row.several("classes"),
        row.choice("pronoun", ("he", "she", "it", NONE)),
    )


ADJECTIVE_COLUMNS = ("english", "article", "predicative", "stem", "rank", "classes", "duration")


def read_adjectives(folder: Path, classes: tuple[str, ...]) -> tuple[Adjective, ...]:
    """adjectives.csv; their classes must be classes of nouns."""
    table = read_table(folder, "adjectives.csv", ADJECTIVE_COLUMNS, minimum=10)
    adjectives = []
    for index, row in enumerate(table.rows):
        table.unique(row, "english", row.text("english"))
        table.unique(row, "stem", row.text("stem"))
        rank = RANKS.index(row.choice("rank", RANKS))
        adjectives.append(
            Adjective(
                index,
                row.text("english"),
                row.choice("article", ("a", "an")),
                row.text("predicative"),
                row.text("stem"),
                rank,
                row.several("classes", classes),
                row.choice("duration", DURATIONS),
            )
        )
    return tuple(adjectives)


VERB_COLUMNS = (
    "english",
    "english_third",
    "english_past",
    "english_participle",
    "english_particle",
    "english_preposition",
    "frame",
    "prefix",
    "infinitive",
    "first_singular",
    "third_singular",
    "plural",
    "past_singular",
    "past_plural",
    "participle",
    "auxiliary",
    "preposition",
    "case",
    "subjects",
    "objects",
    "manners",
    "places",
    "aspect",
)


def read_verbs(
    folder: Path, classes: tuple[str, ...], manners: tuple[str, ...], places: tuple[str, ...]
) -> tuple[Verb, ...]:
    """verbs.csv; classes, manners and kinds of place must occur in the other tables."""
    table = read_table(folder, "verbs.csv", VERB_COLUMNS, minimum=20)
    return tuple(_verb(table, index, row, classes, manners, places) for index, row in enumerate(table.rows))


def _verb(
    table: Table, index: int, row: Row, classes: tuple[str, ...], manners: tuple[str, ...], places: tuple[str, ...]
) -> Verb:
    frame = row.choice("frame", FRAMES)
    prefix = row.optional("prefix")
    for column in ("infinitive", "participle"):
        if not row.text(column).startswith(prefix):
            raise row.fail(column, f"'{row.text(column)}' must begin with the separable prefix '{prefix}'")
    takes_object = frame in ("transitive", "prepositional", "ditransitive")
    case = row.choice("case", ("accusative", "dative") if takes_object else (NONE,))
    preposition = row.choice("preposition", PREPOSITIONS if frame == "prepositional" else (NONE,))
    if frame == "prepositional":
        row.text("english_preposition")
    sense = " ".join(row.cells[column] for column in ("english", "english_particle", "english_preposition"))
    # know + noun (kennen) and know + that-clause (wissen) are told apart by what follows.
    table.unique(row, "english", f"{sense} ({'clause' if frame in ('that', 'whether') else 'noun'})")
    table.unique(row, "infinitive", row.text("infinitive"))
    forms = [row.text(column) for column in VERB_COLUMNS[:4]]
    german = [row.text(column) for column in VERB_COLUMNS[8:15]]
    objects = row.several("objects", classes)
    if takes_object and not objects:
        raise row.fail("objects", f"a {frame} verb needs classes of objects; write some of: {', '.join(classes)}")
    return Verb(
        index,
        *forms,
        row.optional("english_particle"),
        row.optional("english_preposition"),
        frame,
        prefix,
        *german,
        row.choice("auxiliary", ("haben", "sein")),
        preposition,
        case,
        row.several("subjects", classes),
        objects,
        row.several("manners", manners),
        row.several("places", places),
        row.choice("aspect", ("event", "state")),
    )


def read_adverbials(folder: Path) -> tuple[Adverbial, ...]:
    """adverbials.csv."""
    table = read_table(folder, "adverbials.csv", ("english", "german", "kind", "tenses", "alignment"), minimum=5)
    return tuple(_adverbial(table, row) for row in table.rows)


def _adverbial(table: Table, row: Row) -> Adverbial:
    table.unique(row, "english", row.text("english"))
    table.unique(row, "german", row.text("german"))
    english, german = tuple(row.text("english").split()), tuple(row.text("german").split())
    alignment = []
    for pair in row.text("alignment").split():
        left, _, right = pair.partition("-")
        if not (left.isdigit() and right.isdigit() and int(left) < len(english) and int(right) < len(german)):
            raise row.fail("alignment", f"'{pair}' must be two word numbers from 0, as in 0-0")
        alignment.append((int(left), int(right)))
    tenses = row.several("tenses", ("any", *TENSES))
    kind = row.choice("kind", ("manner", "frequency", "time"))
    return Adverbial(english, german, kind, TENSES if "any" in tenses else tenses, tuple(alignment))


PLACE_COLUMNS = (
    "noun",
    "kind",
    "english_location",
    "german_location",
    "english_direction",
    "german_direction",
    "direction_case",
)


def read_places(folder: Path, nouns: tuple[Noun, ...]) -> tuple[Place, ...]:
    """places.csv; the nouns must stand in nouns.csv."""
    table = read_table(folder, "places.csv", PLACE_COLUMNS, minimum=3)
    by_english = {noun.english: noun for noun in nouns}
    places = []
    for row in table.rows:
        if row.text("noun") not in by_english:
            raise row.fail("noun", f"'{row.text('noun')}' is not in nouns.csv; add it there first")
        table.unique(row, "english_location", f"{row.text('english_location')} the {row.text('noun')}")
        places.append(
            Place(
                by_english[row.text("noun")],
                row.text("kind"),
                row.text("english_location"),
                row.choice("german_location", PREPOSITIONS),
                row.optional("english_direction"),
                row.choice("german_direction", (*PREPOSITIONS, NONE)),
                row.choice("direction_case", ("accusative", "dative", NONE)),
            )
        )
    return tuple(places)


MODAL_COLUMNS = (
    "english_third",
    "english",
    "negation",
    "marker",
    "first_singular",
    "third_singular",
    "plural",
    "tense",
    "subjects",
)


def read_modals(folder: Path, classes: tuple[str, ...]) -> tuple[Modal, ...]:
    """modals.csv."""
    table = read_table(folder, "modals.csv", MODAL_COLUMNS, minimum=2)
    modals = []
    for row in table.rows:
        table.unique(row, "english", row.text("english"))
        table.unique(row, "plural", row.text("plural"))
        modals.append(
            Modal(
                row.text("english_third"),
                row.text("english"),
                row.choice("negation", ("cannot", "not", "do", NONE)),
                row.optional("marker"),
                row.text("first_singular"),
                row.text("third_singular"),
                row.text("plural"),
                row.choice("tense", ("modal", "future")),
                row.several("subjects", classes),
            )
        )
    return tuple(modals)


def read_simple(folder: Path, file: str, columns: tuple[str, ...], build: Callable, minimum: int) -> tuple:
    """names.csv, numbers.csv, conjunctions.csv: no two rows share an English form; `build` makes the entry."""
    table = read_table(folder, file, columns, minimum)
    entries = []
    for row in table.rows:
        table.unique(row, "english", row.text("english"))
        entries.append(build(row))
    return tuple(entries)


def read_number(row: Row) -> Number:
    """A row of numbers.csv."""
    if not row.text("value").isdigit():
        raise row.fail("value", f"'{row.text('value')}' must be a whole number in digits")
    return Number(int(row.text("value")), row.text("english"), row.text("german"))


def read_conjunction(row: Row) -> Conjunction:
    """A row of conjunctions.csv."""
    return Conjunction(
        row.text("english"), row.text("german"), row.choice("use", ("clause", "present", "past", "complement"))
    )


def read_name(row: Row) -> Name:
    """A row of names.csv."""
    return Name(row.text("english"), row.text("german"), row.choice("pronoun", ("he", "she")))
