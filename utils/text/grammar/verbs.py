"""The verb group of a clause: which words each language uses, before anything is put in order."""

from typing import NamedTuple

from utils.text.grammar import english, german
from utils.text.grammar.structures import Clause, is_first_person, is_indefinite, is_plural
from utils.text.grammar.trees import Draft, Word

# What stands with a verb like a particle, but has another part of speech in the Penn Treebank.
PARTICLE_TAGS = {"asleep": "JJ", "away": "RB", "back": "RB"}


class EnglishVerbs(NamedTuple):
    """`auxiliaries` come before adverbs of frequency, `lexical` after them, the particle before or after the object."""

    auxiliaries: list[Word]
    lexical: list[Word]
    particle: Word | None


class GermanVerbs(NamedTuple):
    """The finite verb, and what closes the bracket: prefix, participle or infinitive.

    In a verb-final clause a prefix and its finite verb are one word, which `finite` already is.
    """

    finite: Word
    closing: Word | None
    kind: str


class VerbConcepts(NamedTuple):
    """What the words of both verb groups mean: the verb itself, its auxiliary or modal, its negation."""

    verb: int
    auxiliary: int
    negation: int


def verb_concepts(draft: Draft, item: Clause) -> VerbConcepts:
    """Fresh concepts; negation is 0 in a positive clause."""
    return VerbConcepts(draft.concept(), draft.concept(), draft.concept() if item.negated else 0)


def german_verbs(draft: Draft, item: Clause, concepts: VerbConcepts, final: bool) -> GermanVerbs:
    """Finite verb and closing part for a main clause, or for a verb-final clause."""
    first, plural = is_first_person(item.subject), is_plural(item.subject)
    verb = item.verb
    if verb is None:
        form = german.auxiliary_form("sein", item.tense, first, plural)
        return GermanVerbs(Word(form, "VAFIN", concepts.verb), None, "")
    if item.modal is not None:
        tag = f"-{draft.bracket()}"
        kind_of_modal = "VAFIN" if item.modal.tense == "future" else "VMFIN"
        finite = Word(german.modal_form(item.modal, first, plural), kind_of_modal + tag, concepts.auxiliary)
        return GermanVerbs(finite, Word(verb.infinitive, "VVINF" + tag, concepts.verb), "modal-infinitive")
    if item.tense == "perfect":
        tag = f"-{draft.bracket()}"
        form = german.auxiliary_form(verb.auxiliary, "present", first, plural)
        finite = Word(form, "VAFIN" + tag, concepts.auxiliary)
        return GermanVerbs(finite, Word(verb.participle, "VVPP" + tag, concepts.verb), "auxiliary-participle")
    form = german.finite_form(verb, item.tense, first, plural)
    if not verb.prefix or final:
        return GermanVerbs(Word(verb.prefix + form, "VVFIN", concepts.verb), None, "")
    tag = f"-{draft.bracket()}"
    return GermanVerbs(
        Word(form, "VVFIN" + tag, concepts.verb), Word(verb.prefix, "PTKVZ" + tag, concepts.verb), "verb-prefix"
    )


def english_verbs(item: Clause, concepts: VerbConcepts) -> EnglishVerbs:
    """Auxiliaries with not and do-support, the lexical verb, its particle."""
    first, plural = is_first_person(item.subject), is_plural(item.subject)
    negation = [Word("not", "RB", concepts.negation)] if item.negated else []
    verb = item.verb
    if verb is None:
        form = Word(english.be_form(item.tense, first, plural), _finite_tag(item.tense, first, plural), concepts.verb)
        return EnglishVerbs([form, *negation], [], None)
    particle = None
    if verb.english_particle:
        tag = PARTICLE_TAGS.get(verb.english_particle, "RP")
        particle = Word(verb.english_particle, tag, concepts.verb)
    if item.modal is not None:
        return _with_modal(item, concepts, negation, particle, first, plural)
    if item.tense == "perfect":
        auxiliary = Word(english.have_form(first, plural), _finite_tag("present", first, plural), concepts.auxiliary)
        return EnglishVerbs([auxiliary, *negation], [Word(verb.english_participle, "VBN", concepts.verb)], particle)
    if item.negated or item.question:
        # do means nothing by itself: it goes with the negation, or in a question with the verb.
        concept = concepts.negation if item.negated else concepts.verb
        support = Word(english.do_form(item.tense, first, plural), _finite_tag(item.tense, first, plural), concept)
        return EnglishVerbs([support, *negation], [Word(verb.english, "VB", concepts.verb)], particle)
    form = english.finite_form(verb, item.tense, first, plural)
    return EnglishVerbs([], [Word(form, _finite_tag(item.tense, first, plural), concepts.verb)], particle)


def _finite_tag(tense: str, first: bool, plural: bool) -> str:
    return "VBD" if tense == "past" else "VBP" if first or plural else "VBZ"


def _with_modal(
    item: Clause, concepts: VerbConcepts, negation: list[Word], particle: Word | None, first: bool, plural: bool
) -> EnglishVerbs:
    modal = item.modal
    lexical = [Word(item.verb.english, "VB", concepts.verb)]
    if modal.negation == "do":
        tail = [Word(modal.marker, "TO", concepts.auxiliary), *lexical]
        if item.negated or item.question:
            concept = concepts.negation if item.negated else concepts.auxiliary
            support = Word(english.do_form("present", first, plural), _finite_tag("present", first, plural), concept)
            return EnglishVerbs([support, *negation], [Word(modal.english, "VB", concepts.auxiliary), *tail], particle)
        wants = english.modal_form(modal, first, plural)
        form = Word(wants, _finite_tag("present", first, plural), concepts.auxiliary)
        return EnglishVerbs([], [form, *tail], particle)
    form = english.modal_form(modal, first, plural)
    if item.negated and modal.negation == "cannot":
        return EnglishVerbs([Word("cannot", "MD", concepts.auxiliary, concepts.negation)], lexical, particle)
    return EnglishVerbs([Word(form, "MD", concepts.auxiliary), *negation], lexical, particle)


def is_kein(item: Clause) -> bool:
    """Is the negation of this clause expressed by kein on its object, so that there is no nicht?"""
    return item.negated and is_indefinite(item.object)
