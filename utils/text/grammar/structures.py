"""The abstract structures that both languages are built from. They hold meaning and choices, and no word order."""

from typing import NamedTuple

from utils.text.lexicon import Adjective, Adverbial, Conjunction, Modal, Name, Noun, Place, Verb


class NounPhrase(NamedTuple):
    """A noun with what stands around it. determiner: the, this, a, no, any, bare, my, his, her, our."""

    noun: Noun
    determiner: str
    plural: bool = False
    number: int = 0
    adjectives: tuple[Adjective, ...] = ()
    relative: "Clause | None" = None


class Pronoun(NamedTuple):
    """A personal pronoun by its English subject form; `gender` is that of the noun an it refers back to."""

    english: str
    gender: str = "neuter"


class ProperName(NamedTuple):
    """A first name."""

    name: Name


class Gap(NamedTuple):
    """The place of a relative pronoun in its clause; noun and number are those of the antecedent."""

    noun: Noun
    plural: bool


Nominal = NounPhrase | Pronoun | ProperName | Gap


class PlacePhrase(NamedTuple):
    """A place with its noun phrase; `direction` means movement towards it."""

    place: Place
    phrase: NounPhrase
    direction: bool = False


class Clause(NamedTuple):
    """Who does what. A clause with a `predicate` has the copula be/sein and no verb.

    tense: present, past or perfect (present with a modal); front: "", time or place (main clauses only).
    """

    subject: Nominal
    verb: Verb | None
    tense: str = "present"
    modal: Modal | None = None
    negated: bool = False
    object: Nominal | None = None
    recipient: Nominal | None = None
    predicate: Adjective | None = None
    time: Adverbial | None = None
    frequency: Adverbial | None = None
    manner: Adverbial | None = None
    place: PlacePhrase | None = None
    complement: "Subordinate | None" = None
    front: str = ""
    question: bool = False


class Subordinate(NamedTuple):
    """A conjunction and its verb-final clause."""

    conjunction: Conjunction
    clause: Clause


class Sentence(NamedTuple):
    """A main clause, and perhaps a subordinate clause before or after it."""

    main: Clause
    subordinate: Subordinate | None = None
    subordinate_first: bool = False


FIRST_PERSON = ("I", "we")


def is_plural(nominal: Nominal) -> bool:
    """Does the verb stand in the plural?"""
    if isinstance(nominal, (NounPhrase, Gap)):
        return nominal.plural
    return isinstance(nominal, Pronoun) and nominal.english in ("we", "they")


def is_first_person(nominal: Nominal) -> bool:
    """Is this I or we?"""
    return isinstance(nominal, Pronoun) and nominal.english in FIRST_PERSON


def is_new(nominal: Nominal | None) -> bool:
    """Is this an object not spoken of before: a book, (three) books, milk? German puts such an object late."""
    return isinstance(nominal, NounPhrase) and nominal.determiner in ("a", "any", "bare")


def is_indefinite(nominal: Nominal | None) -> bool:
    """Is this an object whose negation is kein: a book, (any) books?"""
    return isinstance(nominal, NounPhrase) and nominal.determiner in ("a", "any")
