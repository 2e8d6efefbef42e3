"""Clauses: the constituents are built once, in both languages, and then put into the order of each."""

from typing import NamedTuple

from utils.text.grammar import phrases
from utils.text.grammar.structures import Clause, Gap, Pronoun, Sentence, Subordinate, is_new
from utils.text.grammar.trees import Draft, Phrase, Twin, Word
from utils.text.grammar.verbs import (
    EnglishVerbs,
    GermanVerbs,
    english_verbs,
    german_verbs,
    is_kein,
    verb_concepts,
)
from utils.text.lexicon import Lexicon

Node = Phrase | Word


class Parts(NamedTuple):
    """The constituents of one clause, built but not yet ordered."""

    subject: Twin
    object: Twin | None
    recipient: Twin | None
    predicate: Twin | None
    time: Twin | None
    frequency: Twin | None
    manner: Twin | None
    place: Twin | None
    complement: Twin | None
    negation: Word | None
    english: EnglishVerbs
    german: GermanVerbs


def build_parts(draft: Draft, lexicon: Lexicon, item: Clause, final: bool) -> Parts:
    """Build every constituent of a clause, and record which German words belong together."""
    concepts = verb_concepts(draft, item)
    verbs = german_verbs(draft, item, concepts, final)
    subject = phrases.nominal(draft, lexicon, item.subject, "nominative", relative_clause)
    draft.link("subject-verb", subject.head, verbs.finite)
    if verbs.closing is not None:
        draft.link(verbs.kind, *((verbs.closing, verbs.finite) if final else (verbs.finite, verbs.closing)))
    thing, recipient = _objects(draft, lexicon, item, concepts.negation if is_kein(item) else 0)
    predicate = None
    if item.predicate is not None:
        concept = draft.concept()
        word = Word(item.predicate.predicative, "ADJD", concept)
        predicate = Twin(Phrase("ADJP", [Word(item.predicate.english, "JJ", concept)]), Phrase("AP", [word]), word)
    return Parts(
        subject,
        thing,
        recipient,
        predicate,
        phrases.adverbial(draft, item.time) if item.time else None,
        phrases.adverbial(draft, item.frequency) if item.frequency else None,
        phrases.adverbial(draft, item.manner) if item.manner else None,
        phrases.place_phrase(draft, lexicon, item.place, relative_clause) if item.place else None,
        subordinate(draft, lexicon, item.complement) if item.complement else None,
        Word("nicht", "PTKNEG", concepts.negation) if item.negated and not is_kein(item) else None,
        english_verbs(item, concepts),
        verbs,
    )


def _objects(draft: Draft, lexicon: Lexicon, item: Clause, negation: int) -> tuple[Twin | None, Twin | None]:
    recipient = None
    if item.recipient is not None:
        recipient = phrases.nominal(draft, lexicon, item.recipient, "dative", relative_clause)
    if item.object is None:
        return None, recipient
    verb = item.verb
    thing = phrases.nominal(draft, lexicon, item.object, verb.case, relative_clause, negation)
    if verb.preposition:
        thing = phrases.prepositional(draft, verb.english_preposition, verb.preposition, thing, contract=False)
    return thing, recipient


def main_clause(draft: Draft, lexicon: Lexicon, item: Clause, fronted: Twin | None = None) -> Twin:
    """A verb-second clause, or a question with its verb first. `fronted` is a subordinate clause in first position."""
    parts = build_parts(draft, lexicon, item, final=False)
    front = {"": fronted, "time": parts.time, "place": parts.place}[item.front]
    finite = parts.german.finite
    if item.question:
        head: list[Node] = [finite, parts.subject.german]
    elif front is not None:
        head = [front.german, finite, parts.subject.german]
    else:
        head = [parts.subject.german, finite]
    closing = [parts.german.closing] if parts.german.closing else []
    german = Phrase("S", [*head, *_middle_field(item, parts, front), *closing, *_after_field(parts)])
    return Twin(_english_clause(item, parts, front), german, finite)


def final_clause(draft: Draft, lexicon: Lexicon, item: Clause) -> Twin:
    """The inside of a subordinate clause: the verbs come last, participle and infinitive before the finite verb."""
    parts = build_parts(draft, lexicon, item, final=True)
    closing = [parts.german.closing] if parts.german.closing else []
    children = [parts.subject.german, *_middle_field(item, parts, None), *closing, parts.german.finite]
    return Twin(_english_clause(item, parts, None), Phrase("S", [*children, *_after_field(parts)]), parts.german.finite)


def _middle_field(item: Clause, parts: Parts, front: Twin | None) -> list[Node]:
    """What stands between subject and closing verb.

    Pronouns, time, recipient, frequency, object, nicht, manner, place, prepositional object: time before manner before
    place, and nicht behind the objects but before whatever tells how or where. A new thing comes late: das Buch schnell
    lesen, but schnell ein Buch lesen, and im Garten kein Buch lesen.
    """
    prepositional = item.verb is not None and bool(item.verb.preposition)
    thing_is_pronoun = isinstance(item.object, Pronoun) and not prepositional
    recipient_is_pronoun = isinstance(item.recipient, Pronoun)
    is_late = item.verb is not None and item.verb.case == "accusative" and not prepositional and is_new(item.object)
    is_late = is_late and parts.negation is None
    is_early = not (thing_is_pronoun or prepositional or is_late or isinstance(item.object, Gap))
    order = [
        parts.object if thing_is_pronoun else None,
        parts.recipient if recipient_is_pronoun else None,
        parts.time,
        None if recipient_is_pronoun else parts.recipient,
        parts.frequency,
        parts.object if is_early else None,
    ]
    nodes: list[Node] = [twin.german for twin in order if twin is not None and twin is not front]
    if parts.negation is not None:
        nodes.append(parts.negation)
    # A prepositional object is the verb's closest companion: im Park auf den Bus warten.
    tail = [
        parts.manner,
        parts.predicate,
        parts.place,
        parts.object if is_late or (prepositional and not isinstance(item.object, Gap)) else None,
    ]
    nodes.extend(twin.german for twin in tail if twin is not None and twin is not front)
    return nodes


def _after_field(parts: Parts) -> list[Node]:
    return [parts.complement.german] if parts.complement else []


def _english_clause(item: Clause, parts: Parts, front: Twin | None) -> Phrase:
    """Subject, auxiliaries, frequency, verb, objects, manner, place, time."""
    verbs = parts.english
    auxiliaries: list[Node] = list(verbs.auxiliaries)
    head: list[Node] = [front.english] if front is not None else []
    if item.question:
        head.append(auxiliaries.pop(0))
    if not (isinstance(item.subject, Gap)):
        head.append(parts.subject.english)
    predicate: list[Node] = [*auxiliaries]
    if parts.frequency:
        predicate.append(parts.frequency.english)
    predicate.extend(verbs.lexical)
    predicate.extend(_english_objects(item, parts))
    rest = [parts.predicate, parts.manner, parts.place, parts.time, parts.complement]
    predicate.extend(twin.english for twin in rest if twin is not None and twin is not front)
    return Phrase("SQ" if item.question else "S", [*head, Phrase("VP", predicate)])


def _english_objects(item: Clause, parts: Parts) -> list[Node]:
    """Objects and the verb's own particle or preposition: turns it off, turns off the lamp, looks for the dog."""
    nodes: list[Node] = []
    if parts.recipient and not isinstance(item.recipient, Gap):
        nodes.append(parts.recipient.english)
    particle = parts.english.particle
    if particle is not None and not isinstance(item.object, Pronoun):
        nodes.append(particle)
    verb = item.verb
    gap = isinstance(item.object, Gap)
    if verb is not None and verb.english_preposition:
        nodes.append(_english_prepositional(item, parts, gap))
    elif parts.object is not None and not gap:
        nodes.append(parts.object.english)
    if particle is not None and isinstance(item.object, Pronoun):
        nodes.append(particle)
    return nodes


def _english_prepositional(item: Clause, parts: Parts, gap: bool) -> Node:
    verb = item.verb
    if verb.preposition:
        # Both languages have a preposition: the phrase was built with it, and in a relative clause it is stranded.
        return parts.object.english.children[0] if gap else parts.object.english
    word = Word(verb.english_preposition, "IN", *parts.english.lexical[-1].concepts)
    return word if gap else Phrase("PP", [word, parts.object.english])


def comma(*concepts: int) -> Word:
    """A comma; those that meet other punctuation are dropped when the sentence is finished."""
    return Word(",", "$,", *concepts)


def subordinate(draft: Draft, lexicon: Lexicon, item: Subordinate, closing: Word | None = None) -> Twin:
    """A conjunction and a verb-final clause, between commas in German."""
    concept = draft.concept()
    word = Word(item.conjunction.german, "KOUS", concept)
    clause = final_clause(draft, lexicon, item.clause)
    draft.link("conjunction-verb", word, clause.head)
    german = Phrase("SBAR", [comma(), word, clause.german, closing or comma()])
    # The Penn Treebank calls when an adverb, and the other conjunctions prepositions.
    opening = Word(item.conjunction.english, "WRB" if item.conjunction.english == "when" else "IN", concept)
    return Twin(Phrase("SBAR", [opening, clause.english]), german, clause.head)


def relative_clause(draft: Draft, lexicon: Lexicon, item: Clause, antecedent: Word) -> Twin:
    """A relative clause: its pronoun (with its preposition) first, its verb last, between commas in German."""
    parts = build_parts(draft, lexicon, item, final=True)
    gap = parts.subject if isinstance(item.subject, Gap) else parts.object
    draft.link("relative-antecedent", antecedent, gap.head)
    draft.link("relative-verb", gap.head, parts.german.finite)
    english_gap = gap.english
    if item.verb is not None and item.verb.preposition and gap is parts.object:
        english_gap = gap.english.children[1]
    subject = [] if isinstance(item.subject, Gap) else [parts.subject.german]
    closing = [parts.german.closing] if parts.german.closing else []
    german = Phrase(
        "SREL",
        [comma(), gap.german, *subject, *_middle_field(item, parts, None), *closing, parts.german.finite, comma()],
    )
    return Twin(Phrase("SBAR", [english_gap, _english_clause(item, parts, None)]), german, parts.german.finite)


def sentence(draft: Draft, lexicon: Lexicon, item: Sentence) -> tuple[Phrase, Phrase]:
    """The whole sentence with its final punctuation, in English and in German."""
    end = draft.concept()
    mark = "?" if item.main.question else "."
    left: list[Node]
    right: list[Node]
    if item.subordinate is not None and item.subordinate_first:
        concept = draft.concept()
        first = subordinate(draft, lexicon, item.subordinate, comma(concept))
        # The English comma is set below, so only the German clause carries its own.
        opening = Phrase("SBAR", [*first.english.children, Word(",", ",", concept)])
        main = main_clause(draft, lexicon, item.main, Twin(opening, first.german, first.head))
        left, right = [main.english], [main.german]
    else:
        main = main_clause(draft, lexicon, item.main)
        left, right = [main.english], [main.german]
        if item.subordinate is not None:
            later = subordinate(draft, lexicon, item.subordinate)
            left.append(later.english)
            right.append(later.german)
    left.append(Word(mark, ".", end))
    right.append(Word(mark, "$.", end))
    return Phrase("ROOT", left), Phrase("ROOT", right)
