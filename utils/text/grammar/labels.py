"""Which phenomena an abstract sentence shows."""

from utils.text.grammar.structures import (
    Clause,
    Gap,
    Nominal,
    NounPhrase,
    Pronoun,
    ProperName,
    Sentence,
    Subordinate,
    is_plural,
)
from utils.text.grammar.verbs import is_kein

PHENOMENA = (
    "accusative",
    "adjective-mixed",
    "adjective-strong",
    "adjective-weak",
    "clock-time",
    "complement-clause",
    "compound-number",
    "copula",
    "dative",
    "ditransitive",
    "future",
    "inversion",
    "kein",
    "modal",
    "name",
    "nicht",
    "number",
    "past",
    "perfect",
    "place",
    "plural-subject",
    "possessive",
    "present",
    "pronoun-object",
    "pronoun-subject",
    "question",
    "relative-object",
    "relative-subject",
    "separable",
    "separable-joined",
    "separable-split",
    "sein-perfect",
    "subordinate",
    "subordinate-first",
    "weak-noun",
)


def phenomena_of(item: Sentence) -> frozenset[str]:
    """The labels (of PHENOMENA) that apply to a sentence or to any clause in it."""
    found: set[str] = set()
    _clause(item.main, found, final=False)
    if item.main.front or item.subordinate_first:
        found.add("inversion")
    if item.subordinate is not None:
        found.add("subordinate")
        if item.subordinate_first:
            found.add("subordinate-first")
        _clause(item.subordinate.clause, found, final=True)
    return frozenset(found)


def _clause(item: Clause, found: set[str], final: bool) -> None:
    found.add(item.modal.tense if item.modal is not None else item.tense)
    _verb(item, found, final)
    if item.question:
        found.add("question")
    if item.negated:
        found.add("kein" if is_kein(item) else "nicht")
    if is_plural(item.subject):
        found.add("plural-subject")
    if isinstance(item.subject, Pronoun):
        found.add("pronoun-subject")
    if item.time is not None and item.time.german[0] == "um":
        found.add("clock-time")
    if item.place is not None:
        found.add("place")
        _nominal(item.place.phrase, found, item.place.place.direction_case if item.place.direction else "dative")
    _nominal(item.subject, found, "nominative")
    if item.recipient is not None:
        found.add("ditransitive")
        _nominal(item.recipient, found, "dative")
    if item.object is not None:
        _nominal(item.object, found, item.verb.case)
    if isinstance(item.complement, Subordinate):
        found.add("complement-clause")
        _clause(item.complement.clause, found, final=True)


def _verb(item: Clause, found: set[str], final: bool) -> None:
    if item.verb is None:
        found.add("copula")
        return
    if item.tense == "perfect" and item.verb.auxiliary == "sein":
        found.add("sein-perfect")
    if item.verb.prefix:
        found.add("separable")
        if item.modal is None and item.tense != "perfect":
            found.add("separable-joined" if final else "separable-split")


def _nominal(item: Nominal, found: set[str], case: str) -> None:
    if case != "nominative":
        found.add(case)
    if isinstance(item, Pronoun) and case != "nominative":
        found.add("pronoun-object")
    elif isinstance(item, ProperName):
        found.add("name")
    elif isinstance(item, Gap):
        found.add("relative-subject" if case == "nominative" else "relative-object")
    elif isinstance(item, NounPhrase):
        _noun_phrase(item, found, case)


def _noun_phrase(item: NounPhrase, found: set[str], case: str) -> None:
    if item.noun.declension == "weak" and (item.plural or case != "nominative"):
        found.add("weak-noun")
    if item.determiner in ("my", "his", "her", "our"):
        found.add("possessive")
    elif item.determiner == "no":
        found.add("kein")
    if item.number:
        found.add("compound-number" if item.number > 20 and item.number % 10 else "number")
    if item.adjectives:
        weak = item.determiner in ("the", "this")
        strong = item.determiner == "bare" or (item.determiner == "a" and item.plural)
        found.add("adjective-weak" if weak else "adjective-strong" if strong else "adjective-mixed")
    if item.relative is not None:
        _clause(item.relative, found, final=True)
