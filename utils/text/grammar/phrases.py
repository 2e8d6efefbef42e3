"""Noun phrases, places and adverbials, built in both languages at once."""

from collections.abc import Callable

from utils.text.grammar import english, german, numbers
from utils.text.grammar.structures import Clause, Gap, Nominal, NounPhrase, PlacePhrase, Pronoun, ProperName
from utils.text.grammar.trees import Draft, Phrase, Twin, Word
from utils.text.lexicon import Adverbial, Lexicon

RelativeBuilder = Callable[[Draft, Lexicon, Clause, Word], Twin]


def nominal(
    draft: Draft, lexicon: Lexicon, item: Nominal, case: str, relative: RelativeBuilder, negation: int = 0
) -> Twin:
    """Any noun phrase, pronoun or name in a German case; `negation` is the concept that kein expresses besides."""
    if isinstance(item, NounPhrase):
        return noun_phrase(draft, lexicon, item, case, relative, negation)
    concept = draft.concept()
    if isinstance(item, Pronoun):
        subject = case == "nominative"
        english_form = item.english if subject else english.OBJECT_PRONOUNS[item.english]
        word = Word(german.pronoun_form(item.english, item.gender, case), "PPER", concept)
        return Twin(Phrase("NP", [Word(english_form, "PRP", concept)]), Phrase("NP", [word]), word)
    if isinstance(item, ProperName):
        word = Word(item.name.german, "NE", concept)
        return Twin(Phrase("NP", [Word(item.name.english, "NNP", concept)]), Phrase("NP", [word]), word)
    return gap(item, case, concept)


def gap(item: Gap, case: str, concept: int) -> Twin:
    """A relative pronoun: who for a person that acts, that for all else."""
    person = case == "nominative" and "person" in item.noun.classes
    word = Word(german.relative_pronoun(case, item.noun.gender, item.plural), "PRELS", concept)
    english_word = Word("who", "WP", concept) if person else Word("that", "WDT", concept)
    return Twin(Phrase("WHNP", [english_word]), Phrase("NP", [word]), word)


def noun_phrase(
    draft: Draft, lexicon: Lexicon, item: NounPhrase, case: str, relative: RelativeBuilder, negation: int = 0
) -> Twin:
    """Determiner, number, adjectives, noun, relative clause: in the same order in both languages."""
    left: list[Phrase | Word] = []
    right: list[Phrase | Word] = []
    noun, plural = item.noun, item.plural
    noun_concept = draft.concept()
    head = Word(german.noun_form(noun, case, plural), "NN", noun_concept)
    determiner = _determiner(draft, item, case, left, right, head, negation)
    if item.number:
        english_number, german_number = numbers.number_words(lexicon, item.number)
        concept = draft.concept()
        left.append(Word(english_number, "CD", concept))
        right.append(Word(german_number, "CARD", concept))
    for adjective in item.adjectives:
        concept = draft.concept()
        left.append(Word(adjective.english, "JJ", concept))
        word = Word(german.adjective_form(adjective, determiner, case, noun.gender, plural), "ADJA", concept)
        right.append(word)
        draft.link("adjective-noun", word, head)
    left.append(Word(noun.english_plural, "NNS", noun_concept) if plural else Word(noun.english, "NN", noun_concept))
    right.append(head)
    if item.relative is not None:
        clause = relative(draft, lexicon, item.relative, head)
        left.append(clause.english)
        right.append(clause.german)
    return Twin(Phrase("NP", left), Phrase("NP", right), head)


def _determiner(
    draft: Draft,
    item: NounPhrase,
    case: str,
    left: list[Phrase | Word],
    right: list[Phrase | Word],
    head: Word,
    negation: int,
) -> str:
    """Add the article words; return the German determiner, which decides the declension of adjectives."""
    chosen = item.determiner
    concept = draft.concept()
    following = item.adjectives[0] if item.adjectives else item.noun
    form = english.determiner_form(chosen, item.plural, following.article)
    if form:
        left.append(Word(form, "PRP$" if chosen in ("my", "his", "her", "our") else "DT", concept))
    if negation:
        chosen = "no"
    elif chosen == "a" and item.plural:
        chosen = "bare"
    form = german.article(chosen, case, item.noun.gender, item.plural)
    if form:
        concepts = (concept, negation) if negation else (concept,)
        word = Word(
            form,
            "ART"
            if chosen in ("the", "a")
            else "PPOSAT"
            if chosen in ("my", "his", "her", "our")
            else "PIAT"
            if chosen == "no"
            else "PDAT",
            *concepts,
        )
        right.append(word)
        draft.link("article-noun", word, head)
    return chosen


def place_phrase(draft: Draft, lexicon: Lexicon, item: PlacePhrase, relative: RelativeBuilder) -> Twin:
    """in the garden, im Garten; to the old station, zum alten Bahnhof."""
    place = item.place
    if item.direction:
        left, right, case = place.english_direction, place.german_direction, place.direction_case
    else:
        left, right, case = place.english_location, place.german_location, "dative"
    return prepositional(
        draft,
        left,
        right,
        noun_phrase(draft, lexicon, item.phrase, case, relative),
        contract=item.phrase.relative is None,
    )


def prepositional(draft: Draft, left: str, right: str, inner: Twin, contract: bool = True) -> Twin:
    """A preposition before a noun phrase; in + dem becomes im, and that one word then has both concepts."""
    concept = draft.concept()
    english_phrase = Phrase("PP", [Word(left, "IN", concept), inner.english])
    first = inner.german.children[0]
    melted = german.CONTRACTIONS.get((right, first.text)) if contract and isinstance(first, Word) else None
    if melted is None or first.tag != "ART":
        return Twin(english_phrase, Phrase("PP", [Word(right, "APPR", concept), inner.german]), inner.head)
    # The article's word is kept, so that its link to the noun still holds.
    first.text, first.tag, first.concepts = melted, "APPRART", (concept, *first.concepts)
    return Twin(english_phrase, Phrase("PP", inner.german.children), inner.head)


def adverbial(draft: Draft, item: Adverbial) -> Twin:
    """A fixed expression with its own word alignment."""
    left = [Word(text, "RB" if len(item.english) == 1 else "MWE") for text in item.english]
    # In STTS an adjective that tells how (schnell, laut) stays an adjective.
    german_tag = "MWE" if len(item.german) > 1 else "ADJD" if item.kind == "manner" else "ADV"
    right = [Word(text, german_tag) for text in item.german]
    for english_index, german_index in item.alignment:
        concept = draft.concept()
        left[english_index].concepts += (concept,)
        right[german_index].concepts += (concept,)
    label = "ADVP" if len(item.german) == 1 else "TMP"
    return Twin(Phrase(label, left), Phrase(label, right), right[-1])
