"""The lexicon of the embedded corpus: CSV tables under assets/lexicon, checked cell by cell when they are read.

Every inflected form stands in a table, so that a person can read, correct and extend them in a spreadsheet.
Rows are counted as a spreadsheet counts them: the header is row 1. `-` marks a cell that is empty on purpose.
"""

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from utils.errors import DataError

DEFAULT_FOLDER = Path(__file__).resolve().parents[2] / "assets" / "lexicon"
CASES = ("nominative", "accusative", "dative", "genitive")
GENDERS = ("masculine", "feminine", "neuter")
FRAMES = ("intransitive", "direction", "transitive", "prepositional", "ditransitive", "that", "whether")
TENSES = ("present", "past", "perfect", "future", "modal")
RANKS = ("opinion", "size", "quality", "age", "colour")
PREPOSITIONS = ("an", "auf", "für", "in", "mit", "über", "von", "vor", "zu")
NONE = "-"


@dataclass(frozen=True, eq=False)
class Noun:
    """One noun: two English forms, all German cases, and the classes that say where it makes sense."""

    index: int
    english: str
    english_plural: str
    article: str
    gender: str
    declension: str
    singular: dict[str, str]
    plural: dict[str, str]
    classes: tuple[str, ...]
    pronoun: str

    @property
    def countable(self) -> bool:
        """False for milk, bread, …: no plural, no indefinite article, no number."""
        return self.english_plural != ""


@dataclass(frozen=True, eq=False)
class Adjective:
    """One adjective; German endings are added to `stem` (teuer → teur-), `predicative` stands after a form of be."""

    index: int
    english: str
    article: str
    predicative: str
    stem: str
    rank: int
    classes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Verb:
    """One verb sense. Finite forms of a separable verb are listed without the prefix, the other two with it."""

    index: int
    english: str
    english_third: str
    english_past: str
    english_participle: str
    english_particle: str
    english_preposition: str
    frame: str
    prefix: str
    infinitive: str
    first_singular: str
    third_singular: str
    plural: str
    past_singular: str
    past_plural: str
    participle: str
    auxiliary: str
    preposition: str
    case: str
    subjects: tuple[str, ...]
    objects: tuple[str, ...]
    manners: tuple[str, ...]
    places: tuple[str, ...]
    aspect: str

    @property
    def past_is_clear(self) -> bool:
        """False for read and put, whose simple past looks like the present; they are never used in that tense."""
        return self.english_past != self.english


@dataclass(frozen=True, eq=False)
class Adverbial:
    """An expression of manner, frequency or time, word-aligned; `tenses` says which tenses it may stand with."""

    english: tuple[str, ...]
    german: tuple[str, ...]
    kind: str
    tenses: tuple[str, ...]
    alignment: tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class Place:
    """How to say that something is at, or goes to, the place that a noun names."""

    noun: Noun
    kind: str
    english_location: str
    german_location: str
    english_direction: str
    german_direction: str
    direction_case: str


@dataclass(frozen=True, eq=False)
class Modal:
    """A modal verb, or will: third person and other forms; `negation` is cannot, not, do or `-` (never negated)."""

    english_third: str
    english: str
    negation: str
    marker: str
    first_singular: str
    third_singular: str
    plural: str
    tense: str
    subjects: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Name:
    """A person's first name; `pronoun` (he, she) refers back to it."""

    english: str
    german: str
    pronoun: str


@dataclass(frozen=True, eq=False)
class Conjunction:
    """A conjunction; `use` is clause (any tense), present, past, or complement (that, whether)."""

    english: str
    german: str
    use: str


@dataclass(frozen=True, eq=False)
class Number:
    """A number word that is not composed of others."""

    value: int
    english: str
    german: str


@dataclass(frozen=True, eq=False)
class Lexicon:
    """All tables, in the order of their rows."""

    nouns: tuple[Noun, ...]
    verbs: tuple[Verb, ...]
    adjectives: tuple[Adjective, ...]
    adverbials: tuple[Adverbial, ...]
    places: tuple[Place, ...]
    modals: tuple[Modal, ...]
    names: tuple[Name, ...]
    numbers: tuple[Number, ...]
    conjunctions: tuple[Conjunction, ...]


@dataclass
class Row:
    """One row of a table, with the checks that a cell can be put to."""

    file: str
    number: int
    cells: dict[str, str]

    def fail(self, column: str, complaint: str) -> DataError:
        """The error that names file, row and column."""
        return DataError(f"{self.file}, row {self.number}, column {column}: {complaint}.")

    def text(self, column: str) -> str:
        """A cell that must hold something other than `-`."""
        if self.cells[column] == NONE:
            raise self.fail(column, "this cell must not be '-'; write the form")
        return self.cells[column]

    def optional(self, column: str) -> str:
        """A cell, or the empty string for `-`."""
        return "" if self.cells[column] == NONE else self.cells[column]

    def choice(self, column: str, good: tuple[str, ...]) -> str:
        """A cell that must be one of `good` (where `-` may be among them, it becomes the empty string)."""
        if self.cells[column] not in good:
            raise self.fail(column, f"unknown value '{self.cells[column]}'; write one of: {', '.join(good)}")
        return self.optional(column)

    def several(self, column: str, good: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """A cell of values separated by `|`, each one of `good`; `-` gives none."""
        parts = tuple(part.strip() for part in self.optional(column).split("|") if part.strip())
        for part in parts:
            if good is not None and part not in good:
                raise self.fail(column, f"unknown value '{part}'; write some of: {', '.join(good)}, separated by |")
        return parts

    def capitalised(self, column: str) -> str:
        """A German noun form: it begins with a capital."""
        form = self.text(column)
        if not form[0].isupper():
            raise self.fail(column, f"the German noun '{form}' must begin with a capital")
        return form


@dataclass
class Table:
    """The rows of one CSV file, and the values that must not occur twice."""

    file: str
    rows: list[Row]
    seen: dict[tuple[str, str], int] = field(default_factory=dict)

    def unique(self, row: Row, column: str, value: str, within: str = "") -> None:
        """Raise if `value` already stood in an earlier row (of the same group `within`)."""
        first = self.seen.setdefault((within or column, value), row.number)
        if first != row.number:
            raise row.fail(column, f"'{value}' already stands in row {first}; delete one of the two or tell them apart")


def read_table(folder: Path, file: str, columns: tuple[str, ...], minimum: int = 1) -> Table:
    """Read one CSV file (UTF-8, with or without BOM, comma or semicolon) and check its shape."""
    path = Path(folder) / file
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); restore it from the repository.") from error
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise DataError(f"{file}, row {line}: not valid UTF-8; save the table as 'CSV UTF-8'.") from error
    header_line = text.split("\n", 1)[0]
    delimiter = ";" if header_line.count(";") > header_line.count(",") else ","
    lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    header = [cell.strip() for cell in lines[0]] if lines else []
    for column in columns:
        if header.count(column) != 1:
            found = "is missing" if column not in header else "occurs twice"
            raise DataError(f"{file}, row 1: column {column} {found}; the columns are: {', '.join(columns)}.")
    rows = [_read_row(file, number, header, cells) for number, cells in enumerate(lines[1:], start=2) if any(cells)]
    if len(rows) < minimum:
        raise DataError(f"{file} has {len(rows)} entries, but the corpus needs at least {minimum}; add rows.")
    return Table(file, rows)


def _read_row(file: str, number: int, header: list[str], cells: list[str]) -> Row:
    if len(cells) != len(header):
        raise DataError(
            f"{file}, row {number}: {len(cells)} cells under {len(header)} columns; "
            "add or remove separators, or quote a cell that holds one."
        )
    row = Row(file, number, {column: cell.strip() for column, cell in zip(header, cells, strict=True)})
    for column, cell in row.cells.items():
        if not cell:
            raise row.fail(column, "empty cell; fill it in, or write '-' where there is nothing to say")
    return row


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


ADJECTIVE_COLUMNS = ("english", "article", "predicative", "stem", "rank", "classes")


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


def _number(row: Row) -> Number:
    if not row.text("value").isdigit():
        raise row.fail("value", f"'{row.text('value')}' must be a whole number in digits")
    return Number(int(row.text("value")), row.text("english"), row.text("german"))


def _conjunction(row: Row) -> Conjunction:
    return Conjunction(
        row.text("english"), row.text("german"), row.choice("use", ("clause", "present", "past", "complement"))
    )


def _name(row: Row) -> Name:
    return Name(row.text("english"), row.text("german"), row.choice("pronoun", ("he", "she")))


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
        read_simple(folder, "names.csv", ("english", "german", "pronoun"), _name, 1),
        read_simple(folder, "numbers.csv", ("value", "english", "german"), _number, 12),
        read_simple(folder, "conjunctions.csv", ("english", "german", "use"), _conjunction, 2),
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
