"""What the lexicon holds: nouns, verbs, adjectives, … with all their forms, and the values that a cell may have."""

from dataclasses import dataclass

CASES = ("nominative", "accusative", "dative", "genitive")
GENDERS = ("masculine", "feminine", "neuter")
FRAMES = ("intransitive", "direction", "transitive", "prepositional", "ditransitive", "that", "whether")
TENSES = ("present", "past", "perfect", "future", "modal")
RANKS = ("opinion", "size", "quality", "age", "colour")
DURATIONS = ("passing", "lasting")
PREPOSITIONS = ("an", "auf", "für", "in", "mit", "über", "von", "vor", "zu")


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
    """One adjective; German endings are added to `stem` (teuer → teur-), `predicative` stands after a form of be.

    duration: passing (one is often tired) or lasting (one is not often round).
    """

    index: int
    english: str
    article: str
    predicative: str
    stem: str
    rank: int
    classes: tuple[str, ...]
    duration: str


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
