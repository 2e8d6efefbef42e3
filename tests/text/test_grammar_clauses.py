"""Word order: the place of every verb in every clause type, with both sides written by hand."""

import pytest

from utils.text.grammar.numbers import clock_times
from utils.text.grammar.pairs import Pair, make_pair
from utils.text.grammar.structures import (
    Clause,
    Gap,
    NounPhrase,
    PlacePhrase,
    Pronoun,
    ProperName,
    Sentence,
    Subordinate,
)
from utils.text.lexicon import load_lexicon

LEXICON = load_lexicon()
NOUNS = {noun.english: noun for noun in LEXICON.nouns}
VERBS = {verb.infinitive: verb for verb in LEXICON.verbs}
ADJECTIVES = {adjective.english: adjective for adjective in LEXICON.adjectives}
ADVERBIALS = {" ".join(entry.english): entry for entry in (*LEXICON.adverbials, *clock_times(LEXICON))}
MODALS = {modal.english: modal for modal in LEXICON.modals}
CONJUNCTIONS = {entry.english: entry for entry in LEXICON.conjunctions}
NAMES = {name.english: name for name in LEXICON.names}


def phrase(text: str, plural: bool = False, number: int = 0, relative: Clause | None = None) -> NounPhrase:
    """`the small dog` → the noun phrase."""
    determiner, *adjectives, noun = text.split()
    return NounPhrase(NOUNS[noun], determiner, plural, number, tuple(ADJECTIVES[word] for word in adjectives), relative)


def at(text: str, direction: bool = False) -> PlacePhrase:
    """`in the dark kitchen` → the place phrase."""
    preposition, rest = text.split(" ", 1)
    inner = phrase(rest)
    place = next(
        entry
        for entry in LEXICON.places
        if entry.noun is inner.noun
        and preposition == (entry.english_direction if direction else entry.english_location)
    )
    return PlacePhrase(place, inner, direction)


def clause(subject: object, verb: str, **rest: object) -> Clause:
    """A clause from short names."""
    for slot in ("time", "frequency", "manner"):
        if slot in rest:
            rest[slot] = ADVERBIALS[rest[slot]]
    if "modal" in rest:
        rest["modal"] = MODALS[rest["modal"]]
    return Clause(subject, VERBS[verb], **rest)


COOK, BOY, GIRL, HE = phrase("the cook"), phrase("the boy"), phrase("the girl"), Pronoun("he")
BREAD, BOOK, LAMP = phrase("the bread"), phrase("the book"), phrase("the lamp")
READS = clause(HE, "lesen", object=BOOK)


def sub(conjunction: str, inner: Clause) -> Subordinate:
    return Subordinate(CONJUNCTIONS[conjunction], inner)


# fmt: off
MAIN = [
    # verb second; do-support; the bracket of prefix, participle, infinitive
    (clause(COOK, "backen", object=BREAD), "The cook bakes the bread.", "Der Koch backt das Brot."),
    (clause(phrase("the cook", True), "backen", object=BREAD), "The cooks bake the bread.",
     "Die Köche backen das Brot."),
    (clause(Pronoun("I"), "backen", object=BREAD), "I bake the bread.", "Ich backe das Brot."),
    (clause(COOK, "backen", tense="past", object=BREAD), "The cook baked the bread.", "Der Koch backte das Brot."),
    (clause(COOK, "backen", tense="perfect", object=BREAD, time="today"),
     "The cook has baked the bread today.", "Der Koch hat heute das Brot gebacken."),
    (clause(COOK, "backen", object=BREAD, modal="can", time="today"),
     "The cook can bake the bread today.", "Der Koch kann heute das Brot backen."),
    (clause(COOK, "backen", object=BREAD, modal="will", time="tomorrow", front="time"),
     "Tomorrow the cook will bake the bread.", "Morgen wird der Koch das Brot backen."),
    (clause(BOY, "einschalten", object=LAMP, manner="quickly"),
     "The boy switches on the lamp quickly.", "Der Junge schaltet die Lampe schnell ein."),
    (clause(BOY, "abholen", object=Pronoun("she"), time="at half past three"),
     "The boy picks her up at half past three.", "Der Junge holt sie um halb vier ab."),
    (clause(BOY, "einschalten", tense="perfect", object=LAMP), "The boy has switched on the lamp.",
     "Der Junge hat die Lampe eingeschaltet."),
    (clause(BOY, "einschalten", object=LAMP, modal="must"), "The boy must switch on the lamp.",
     "Der Junge muss die Lampe einschalten."),
    (clause(BOY, "laufen", tense="perfect", place=at("to the station", True)),
     "The boy has run to the station.", "Der Junge ist zum Bahnhof gelaufen."),
    (clause(GIRL, "gehen", place=at("into the dark garden", True), manner="slowly"),
     "The girl goes slowly into the dark garden.", "Das Mädchen geht langsam in den dunklen Garten."),
    # time before manner before place; a fronted place or time inverts
    (clause(BOY, "schlafen", time="every day", place=at("in the room")),
     "The boy sleeps in the room every day.", "Der Junge schläft jeden Tag im Zimmer."),
    (clause(BOY, "schlafen", place=at("in the small room"), front="place"),
     "In the small room the boy sleeps.", "Im kleinen Zimmer schläft der Junge."),
    (clause(GIRL, "warten", object=phrase("the bus"), place=at("in the park"), time="yesterday", tense="past",
            front="time"), "Yesterday the girl waited for the bus in the park.",
     "Gestern wartete das Mädchen im Park auf den Bus."),
    # objects
    (clause(GIRL, "geben", object=phrase("a apple"), recipient=phrase("the child")),
     "The girl gives the child an apple.", "Das Mädchen gibt dem Kind einen Apfel."),
    (clause(GIRL, "helfen", object=phrase("the small child", True)), "The girl helps the small children.",
     "Das Mädchen hilft den kleinen Kindern."),
    (clause(ProperName(NAMES["Anna"]), "kaufen", object=phrase("bare red apple", True, 3)),
     "Anna buys three red apples.", "Anna kauft drei rote Äpfel."),
    (clause(Pronoun("we"), "trinken", object=phrase("bare cold milk"), frequency="often"),
     "We often drink cold milk.", "Wir trinken oft kalte Milch."),
    # what is new stands late, behind manner and place; what is known stands early
    (clause(BOY, "lesen", object=phrase("a book"), manner="slowly", place=at("in the garden")),
     "The boy reads a book slowly in the garden.", "Der Junge liest langsam im Garten ein Buch."),
    (clause(BOY, "lesen", object=BOOK, manner="slowly", place=at("in the garden")),
     "The boy reads the book slowly in the garden.", "Der Junge liest das Buch langsam im Garten."),
    (clause(BOY, "trinken", tense="perfect", object=phrase("bare tea"), manner="quickly"),
     "The boy has drunk tea quickly.", "Der Junge hat schnell Tee getrunken."),
    (clause(BOY, "kaufen", tense="perfect", object=phrase("any apple", True), place=at("at the market"), negated=True),
     "The boy has not bought any apples at the market.", "Der Junge hat auf dem Markt keine Äpfel gekauft."),
    (clause(BOY, "geben", object=phrase("bare apple", True, 2), recipient=phrase("the child"), manner="quickly"),
     "The boy gives the child two apples quickly.", "Der Junge gibt dem Kind schnell zwei Äpfel."),
    (clause(BOY, "helfen", object=phrase("a child"), manner="patiently"),
     "The boy helps a child patiently.", "Der Junge hilft einem Kind geduldig."),
    (clause(GIRL, "bringen", object=BREAD, recipient=phrase("the cook"), frequency="always"),
     "The girl always brings the cook the bread.", "Das Mädchen bringt dem Koch immer das Brot."),
    # negation
    (clause(BOY, "schlafen", negated=True), "The boy does not sleep.", "Der Junge schläft nicht."),
    (clause(BOY, "lesen", negated=True, object=BOOK), "The boy does not read the book.",
     "Der Junge liest das Buch nicht."),
    (clause(BOY, "kaufen", negated=True, object=phrase("a book"), tense="past"),
     "The boy did not buy a book.", "Der Junge kaufte kein Buch."),
    (clause(BOY, "kaufen", negated=True, object=phrase("any apple", True), tense="perfect"),
     "The boy has not bought any apples.", "Der Junge hat keine Äpfel gekauft."),
    (clause(BOY, "schlafen", negated=True, place=at("in the house")), "The boy does not sleep in the house.",
     "Der Junge schläft nicht im Haus."),
    (clause(BOY, "aufstehen", negated=True, modal="want"), "The boy does not want to get up.",
     "Der Junge will nicht aufstehen."),
    (clause(BOY, "lesen", negated=True, modal="can", object=BOOK), "The boy cannot read the book.",
     "Der Junge kann das Buch nicht lesen."),
    (clause(phrase("no child"), "schlafen"), "No child sleeps.", "Kein Kind schläft."),
    # questions: the verb first
    (clause(HE, "zuhören", object=GIRL, question=True), "Does he listen to the girl?", "Hört er dem Mädchen zu?"),
    (clause(BOY, "lesen", object=BOOK, tense="perfect", question=True), "Has the boy read the book?",
     "Hat der Junge das Buch gelesen?"),
    (clause(BOY, "lesen", object=BOOK, modal="want", question=True), "Does the boy want to read the book?",
     "Will der Junge das Buch lesen?"),
    (Clause(phrase("the soup"), None, predicate=ADJECTIVES["hot"], question=True), "Is the soup hot?",
     "Ist die Suppe heiß?"),
    (Clause(phrase("the coat"), None, predicate=ADJECTIVES["expensive"], negated=True), "The coat is not expensive.",
     "Der Mantel ist nicht teuer."),
]
# fmt: on


@pytest.mark.parametrize(("item", "english", "german"), MAIN)
def test_main_clauses(item: Clause, english: str, german: str):
    pair = make_pair(LEXICON, Sentence(item))
    assert (pair.source, pair.target) == (english, german)


# (subordinate clause, its English, its German) after "The boy laughs …, weil …"
FINAL = [
    (READS, "because he reads the book", "weil er das Buch liest"),
    (clause(HE, "lesen", object=BOOK, tense="perfect"), "because he has read the book", "weil er das Buch gelesen hat"),
    (clause(HE, "lesen", object=BOOK, modal="can"), "because he can read the book", "weil er das Buch lesen kann"),
    (clause(HE, "lesen", object=BOOK, modal="will"), "because he will read the book", "weil er das Buch lesen wird"),
    (clause(HE, "aufstehen", time="today"), "because he gets up today", "weil er heute aufsteht"),
    (clause(HE, "aufstehen", tense="past"), "because he got up", "weil er aufstand"),
    (clause(HE, "aufstehen", tense="perfect"), "because he has got up", "weil er aufgestanden ist"),
    (clause(HE, "aufstehen", modal="must"), "because he must get up", "weil er aufstehen muss"),
    (
        clause(HE, "lesen", object=BOOK, negated=True),
        "because he does not read the book",
        "weil er das Buch nicht liest",
    ),
    (Clause(HE, None, predicate=ADJECTIVES["tired"]), "because he is tired", "weil er müde ist"),
]


@pytest.mark.parametrize(("inner", "english", "german"), FINAL)
def test_subordinate_clauses(inner: Clause, english: str, german: str):
    pair = make_pair(LEXICON, Sentence(clause(BOY, "lachen"), sub("because", inner)))
    assert (pair.source, pair.target) == (f"The boy laughs {english}.", f"Der Junge lacht, {german}.")
    first = make_pair(LEXICON, Sentence(clause(BOY, "lachen"), sub("because", inner), subordinate_first=True))
    assert first.source == f"Because{english[7:]}, the boy laughs."
    assert first.target == f"Weil{german[4:]}, lacht der Junge."


@pytest.mark.parametrize(
    ("conjunction", "german", "tense"),
    [
        ("although", "obwohl er das Brot isst", "present"),
        ("if", "wenn er das Brot isst", "present"),
        ("when", "als er das Brot aß", "past"),
        ("while", "während er das Brot isst", "present"),
    ],
)
def test_conjunctions(conjunction: str, german: str, tense: str):
    inner = clause(HE, "essen", object=BREAD, tense=tense)
    pair = make_pair(LEXICON, Sentence(clause(BOY, "lachen"), sub(conjunction, inner)))
    assert pair.target == f"Der Junge lacht, {german}."


def test_complement_clause():
    item = clause(GIRL, "wissen", complement=sub("that", clause(HE, "anrufen", object=COOK, tense="perfect")))
    pair = make_pair(LEXICON, Sentence(item))
    assert pair.source == "The girl knows that he has called the cook."
    assert pair.target == "Das Mädchen weiß, dass er den Koch angerufen hat."


def relative(text: str, plural: bool, **rest: object) -> NounPhrase:
    start = phrase(text, plural)
    gap = Gap(start.noun, plural)
    slots = {slot: gap if value == "gap" else value for slot, value in rest.items()}
    return start._replace(relative=clause(slots.pop("subject"), slots.pop("verb"), **slots))


# fmt: off
RELATIVES = [
    (relative("the man", False, subject="gap", verb="backen", object=BREAD),
     "The man who bakes the bread laughs.", "Der Mann, der das Brot backt, lacht."),
    (relative("the woman", False, subject="gap", verb="lesen", object=BOOK, tense="perfect"),
     "The woman who has read the book laughs.", "Die Frau, die das Buch gelesen hat, lacht."),
    (relative("the child", True, subject="gap", verb="aufstehen"),
     "The children who get up laugh.", "Die Kinder, die aufstehen, lachen."),
    (relative("the man", False, subject=GIRL, verb="sehen", object="gap"),
     "The man that the girl sees laughs.", "Der Mann, den das Mädchen sieht, lacht."),
    (relative("the woman", False, subject=BOY, verb="helfen", object="gap"),
     "The woman that the boy helps laughs.", "Die Frau, der der Junge hilft, lacht."),
    (relative("the child", True, subject=BOY, verb="zuhören", object="gap", modal="can"),
     "The children that the boy can listen to laugh.", "Die Kinder, denen der Junge zuhören kann, lachen."),
    (relative("the guest", False, subject=BOY, verb="warten", object="gap", negated=True),
     "The guest that the boy does not wait for laughs.", "Der Gast, auf den der Junge nicht wartet, lacht."),
    (relative("the girl", True, subject=BOY, verb="spielen", object="gap", tense="past"),
     "The girls that the boy played with laugh.", "Die Mädchen, mit denen der Junge spielte, lachen."),
]
# fmt: on


@pytest.mark.parametrize(("subject", "english", "german"), RELATIVES)
def test_relative_clauses(subject: NounPhrase, english: str, german: str):
    pair = make_pair(LEXICON, Sentence(clause(subject, "lachen")))
    assert (pair.source, pair.target) == (english, german)


def test_commas_that_meet_are_one():
    """A relative clause before a subordinate clause, and at the end of the sentence."""
    dog = relative("the dog", False, subject=GIRL, verb="sehen", object="gap")
    item = Sentence(clause(BOY, "suchen", object=dog), sub("because", clause(HE, "helfen", object=dog)))
    assert make_pair(LEXICON, item).target == (
        "Der Junge sucht den Hund, den das Mädchen sieht, weil er dem Hund, den das Mädchen sieht, hilft."
    )
    alone = make_pair(LEXICON, Sentence(clause(BOY, "suchen", object=dog)))
    assert alone.target == "Der Junge sucht den Hund, den das Mädchen sieht."


def words_aligned(pair: Pair) -> set[tuple[str, str]]:
    return {(pair.source_tokens[left], pair.target_tokens[right]) for left, right in pair.alignment}


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (
            clause(BOY, "einschalten", object=LAMP, negated=True),
            {
                ("The", "Der"),
                ("boy", "Junge"),
                ("does", "nicht"),
                ("not", "nicht"),
                ("switch", "schaltet"),
                ("switch", "ein"),
                ("on", "schaltet"),
                ("on", "ein"),
                ("the", "die"),
                ("lamp", "Lampe"),
                (".", "."),
            },
        ),
        (
            clause(BOY, "kaufen", object=phrase("a book"), negated=True),
            {
                ("The", "Der"),
                ("boy", "Junge"),
                ("does", "kein"),
                ("not", "kein"),
                ("a", "kein"),
                ("buy", "kauft"),
                ("book", "Buch"),
                (".", "."),
            },
        ),
        (
            clause(BOY, "schlafen", tense="perfect", place=at("in the garden")),
            {
                ("The", "Der"),
                ("boy", "Junge"),
                ("has", "hat"),
                ("slept", "geschlafen"),
                ("in", "im"),
                ("the", "im"),
                ("garden", "Garten"),
                (".", "."),
            },
        ),
        (
            clause(HE, "suchen", object=LAMP, modal="want", question=True),
            {
                ("Does", "Will"),
                ("want", "Will"),
                ("to", "Will"),
                ("he", "er"),
                ("look", "suchen"),
                ("for", "suchen"),
                ("the", "die"),
                ("lamp", "Lampe"),
                ("?", "?"),
            },
        ),
    ],
)
def test_alignment(item: Clause, expected: set[tuple[str, str]]):
    assert words_aligned(make_pair(LEXICON, Sentence(item))) == expected


def test_trees_and_spans():
    pair = make_pair(LEXICON, Sentence(clause(BOY, "einschalten", object=phrase("the old lamp"), time="today")))
    assert str(pair.target_tree) == (
        "(ROOT (S (NP (ART Der) (NN Junge)) (VVFIN-1 schaltet) (ADVP (ADV heute)) "
        "(NP (ART die) (ADJA alte) (NN Lampe)) (PTKVZ-1 ein)) ($. .))"
    )
    found = {
        (span.kind, pair.target_tokens[span.first], pair.target_tokens[span.second], span.distance)
        for span in pair.spans
    }
    assert found == {
        ("article-noun", "Der", "Junge", 0),
        ("subject-verb", "Junge", "schaltet", 0),
        ("verb-prefix", "schaltet", "ein", 4),
        ("article-noun", "die", "Lampe", 1),
        ("adjective-noun", "alte", "Lampe", 0),
    }
    assert {"separable", "separable-split", "accusative", "present", "adjective-weak"} == pair.phenomena


def test_parts_of_speech():
    """does is a third person, an adverb of manner an adjective in STTS, when an adverb, asleep no particle."""
    does = make_pair(LEXICON, Sentence(clause(BOY, "schlafen", negated=True, manner="well")))
    assert str(does.source_tree) == (
        "(ROOT (S (NP (DT The) (NN boy)) (VP (VBZ does) (RB not) (VB sleep) (ADVP (RB well)))) (. .))"
    )
    assert "(ADVP (ADJD gut))" in str(does.target_tree)
    wants = make_pair(LEXICON, Sentence(clause(BOY, "lesen", object=BOOK, modal="want", question=True)))
    assert "(VBZ Does)" in str(wants.source_tree)
    plural = make_pair(LEXICON, Sentence(clause(Pronoun("they"), "schlafen", negated=True)))
    assert "(VBP do)" in str(plural.source_tree)
    asleep = clause(HE, "einschlafen", tense="past")
    when = make_pair(LEXICON, Sentence(clause(BOY, "lachen", tense="past"), sub("when", asleep)))
    assert "(SBAR (WRB when) (S (NP (PRP he)) (VP (VBD fell) (JJ asleep))))" in str(when.source_tree)
    assert "(RP up)" in str(make_pair(LEXICON, Sentence(clause(HE, "aufstehen"))).source_tree)
