"""Which words keep company in a sentence: adjectives with nouns, verbs with their objects."""

from utils.text.grammar.structures import Clause, Gap, Nominal, NounPhrase, Sentence
from utils.text.lexicon import Adjective, Noun, Verb

Pairing = tuple[Adjective | Verb, Noun]


def pairings_of(item: Sentence) -> set[Pairing]:
    """All pairings of a sentence; a relative pronoun counts as its antecedent, a predicate with its subject."""
    found: set[Pairing] = set()
    _clause(item.main, found)
    if item.subordinate is not None:
        _clause(item.subordinate.clause, found)
    return found


def _clause(item: Clause, found: set[Pairing]) -> None:
    for nominal in (item.subject, item.object, item.recipient, item.place.phrase if item.place else None):
        _nominal(nominal, found)
    if item.verb is not None and isinstance(item.object, (NounPhrase, Gap)):
        found.add((item.verb, item.object.noun))
    if item.predicate is not None and isinstance(item.subject, (NounPhrase, Gap)):
        found.add((item.predicate, item.subject.noun))
    if item.complement is not None:
        _clause(item.complement.clause, found)


def _nominal(item: Nominal | None, found: set[Pairing]) -> None:
    if isinstance(item, NounPhrase):
        found.update((adjective, item.noun) for adjective in item.adjectives)
        if item.relative is not None:
            _clause(item.relative, found)
