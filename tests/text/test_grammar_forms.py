"""Agreement: every article, adjective and noun against tables written by hand, and the verbs person by person."""

import pytest

from utils.text.grammar import german, numbers
from utils.text.grammar.german import adjective_form, article, noun_form
from utils.text.lexicon import Adjective, Noun, Verb, load_lexicon

LEXICON = load_lexicon()
CASES = ("nominative", "accusative", "dative", "genitive")


def noun(english: str) -> Noun:
    return next(entry for entry in LEXICON.nouns if entry.english == english)


def adjective(english: str) -> Adjective:
    return next(entry for entry in LEXICON.adjectives if entry.english == english)


def verb(infinitive: str) -> Verb:
    return next(entry for entry in LEXICON.verbs if entry.infinitive == infinitive)


# determiner, noun, plural → nominative, accusative, dative, genitive
TABLE = [
    ("the", "apple", False, "der rote Apfel", "den roten Apfel", "dem roten Apfel", "des roten Apfels"),
    ("the", "flower", False, "die rote Blume", "die rote Blume", "der roten Blume", "der roten Blume"),
    ("the", "car", False, "das rote Auto", "das rote Auto", "dem roten Auto", "des roten Autos"),
    ("the", "apple", True, "die roten Äpfel", "die roten Äpfel", "den roten Äpfeln", "der roten Äpfel"),
    ("the", "flower", True, "die roten Blumen", "die roten Blumen", "den roten Blumen", "der roten Blumen"),
    ("the", "car", True, "die roten Autos", "die roten Autos", "den roten Autos", "der roten Autos"),
    ("this", "apple", False, "dieser rote Apfel", "diesen roten Apfel", "diesem roten Apfel", "dieses roten Apfels"),
    ("this", "flower", False, "diese rote Blume", "diese rote Blume", "dieser roten Blume", "dieser roten Blume"),
    ("this", "car", False, "dieses rote Auto", "dieses rote Auto", "diesem roten Auto", "dieses roten Autos"),
    ("this", "car", True, "diese roten Autos", "diese roten Autos", "diesen roten Autos", "dieser roten Autos"),
    ("a", "apple", False, "ein roter Apfel", "einen roten Apfel", "einem roten Apfel", "eines roten Apfels"),
    ("a", "flower", False, "eine rote Blume", "eine rote Blume", "einer roten Blume", "einer roten Blume"),
    ("a", "car", False, "ein rotes Auto", "ein rotes Auto", "einem roten Auto", "eines roten Autos"),
    ("no", "apple", False, "kein roter Apfel", "keinen roten Apfel", "keinem roten Apfel", "keines roten Apfels"),
    ("no", "flower", False, "keine rote Blume", "keine rote Blume", "keiner roten Blume", "keiner roten Blume"),
    ("no", "car", False, "kein rotes Auto", "kein rotes Auto", "keinem roten Auto", "keines roten Autos"),
    ("no", "apple", True, "keine roten Äpfel", "keine roten Äpfel", "keinen roten Äpfeln", "keiner roten Äpfel"),
    ("my", "apple", False, "mein roter Apfel", "meinen roten Apfel", "meinem roten Apfel", "meines roten Apfels"),
    ("his", "flower", False, "seine rote Blume", "seine rote Blume", "seiner roten Blume", "seiner roten Blume"),
    ("her", "car", False, "ihr rotes Auto", "ihr rotes Auto", "ihrem roten Auto", "ihres roten Autos"),
    ("our", "apple", False, "unser roter Apfel", "unseren roten Apfel", "unserem roten Apfel", "unseres roten Apfels"),
    ("our", "car", True, "unsere roten Autos", "unsere roten Autos", "unseren roten Autos", "unserer roten Autos"),
    ("bare", "apple", False, "roter Apfel", "roten Apfel", "rotem Apfel", "roten Apfels"),
    ("bare", "flower", False, "rote Blume", "rote Blume", "roter Blume", "roter Blume"),
    ("bare", "car", False, "rotes Auto", "rotes Auto", "rotem Auto", "roten Autos"),
    ("bare", "apple", True, "rote Äpfel", "rote Äpfel", "roten Äpfeln", "roter Äpfel"),
]


@pytest.mark.parametrize(("determiner", "name", "plural", "expected"), [(*row[:3], row[3:]) for row in TABLE])
def test_article_adjective_noun(determiner: str, name: str, plural: bool, expected: tuple[str, ...]):
    item, red = noun(name), adjective("red")
    for case, phrase in zip(CASES, expected, strict=True):
        words = (
            article(determiner, case, item.gender, plural),
            adjective_form(red, determiner, case, item.gender, plural),
            noun_form(item, case, plural),
        )
        assert " ".join(word for word in words if word) == phrase


@pytest.mark.parametrize(
    ("name", "singular", "plural"),
    [
        ("boy", ("Junge", "Jungen", "Jungen", "Jungen"), ("Jungen", "Jungen", "Jungen", "Jungen")),
        ("farmer", ("Bauer", "Bauern", "Bauern", "Bauern"), ("Bauern", "Bauern", "Bauern", "Bauern")),
        (
            "neighbour",
            ("Nachbar", "Nachbarn", "Nachbarn", "Nachbarn"),
            ("Nachbarn", "Nachbarn", "Nachbarn", "Nachbarn"),
        ),
        ("student", ("Student", "Studenten", "Studenten", "Studenten"), ("Studenten",) * 4),
        ("bear", ("Bär", "Bären", "Bären", "Bären"), ("Bären",) * 4),
        ("monkey", ("Affe", "Affen", "Affen", "Affen"), ("Affen",) * 4),
        ("customer", ("Kunde", "Kunden", "Kunden", "Kunden"), ("Kunden",) * 4),
        ("child", ("Kind", "Kind", "Kind", "Kindes"), ("Kinder", "Kinder", "Kindern", "Kinder")),
        ("queen", ("Königin",) * 4, ("Königinnen",) * 4),
        ("girl", ("Mädchen", "Mädchen", "Mädchen", "Mädchens"), ("Mädchen",) * 4),
        ("museum", ("Museum", "Museum", "Museum", "Museums"), ("Museen",) * 4),
        ("park", ("Park", "Park", "Park", "Parks"), ("Parks",) * 4),
        ("house", ("Haus", "Haus", "Haus", "Hauses"), ("Häuser", "Häuser", "Häusern", "Häuser")),
    ],
)
def test_noun_forms(name: str, singular: tuple[str, ...], plural: tuple[str, ...]):
    item = noun(name)
    assert tuple(noun_form(item, case, False) for case in CASES) == singular
    assert tuple(noun_form(item, case, True) for case in CASES) == plural


@pytest.mark.parametrize(
    ("english", "predicative", "attributive"),
    [
        ("expensive", "teuer", "teure"),
        ("dark", "dunkel", "dunkle"),
        ("sour", "sauer", "saure"),
        ("noble", "edel", "edle"),
        ("tired", "müde", "müde"),
        ("clean", "sauber", "saubere"),
        ("big", "groß", "große"),
        ("expensive", "teuer", "teure"),
        ("dirty", "schmutzig", "schmutzige"),
        ("hot", "heiß", "heiße"),
    ],
)
def test_adjective_stems(english: str, predicative: str, attributive: str):
    entry = adjective(english)
    assert entry.predicative == predicative
    assert adjective_form(entry, "the", "nominative", "feminine", False) == attributive


# ich, er, wir/sie in the present; ich/er, wir/sie in the past; participle with its auxiliary.
VERBS = {
    "schlafen": "schlafe schläft schlafen schlief schliefen geschlafen haben",
    "arbeiten": "arbeite arbeitet arbeiten arbeitete arbeiteten gearbeitet haben",
    "gehen": "gehe geht gehen ging gingen gegangen sein",
    "laufen": "laufe läuft laufen lief liefen gelaufen sein",
    "schwimmen": "schwimme schwimmt schwimmen schwamm schwammen geschwommen sein",
    "essen": "esse isst essen aß aßen gegessen haben",
    "lesen": "lese liest lesen las lasen gelesen haben",
    "helfen": "helfe hilft helfen half halfen geholfen haben",
    "geben": "gebe gibt geben gab gaben gegeben haben",
    "folgen": "folge folgt folgen folgte folgten gefolgt sein",
    "wissen": "weiß weiß wissen wusste wussten gewusst haben",
    "reparieren": "repariere repariert reparieren reparierte reparierten repariert haben",
    "besuchen": "besuche besucht besuchen besuchte besuchten besucht haben",
    "aufstehen": "stehe steht stehen stand standen aufgestanden sein",
    "abholen": "hole holt holen holte holten abgeholt haben",
    "einladen": "lade lädt laden lud luden eingeladen haben",
    "mitnehmen": "nehme nimmt nehmen nahm nahmen mitgenommen haben",
    "wegwerfen": "werfe wirft werfen warf warfen weggeworfen haben",
    "ansehen": "sehe sieht sehen sah sahen angesehen haben",
    "zurückkommen": "komme kommt kommen kam kamen zurückgekommen sein",
}


@pytest.mark.parametrize(("infinitive", "forms"), VERBS.items())
def test_verb_forms(infinitive: str, forms: str):
    entry = verb(infinitive)
    found = [
        german.finite_form(entry, "present", True, False),
        german.finite_form(entry, "present", False, False),
        german.finite_form(entry, "present", False, True),
        german.finite_form(entry, "past", False, False),
        german.finite_form(entry, "past", False, True),
        entry.participle,
        entry.auxiliary,
    ]
    assert " ".join(found) == forms
    assert german.finite_form(entry, "past", True, False) == german.finite_form(entry, "past", False, False)
    assert german.finite_form(entry, "present", True, True) == german.finite_form(entry, "present", False, True)


def test_all_verbs_are_regular_in_what_is_always_regular():
    for entry in LEXICON.verbs:
        assert entry.prefix + entry.plural == entry.infinitive
        assert entry.past_plural.endswith("n") and entry.past_plural.startswith(entry.past_singular[:3])
        assert entry.infinitive == "wissen" or entry.third_singular.endswith("t")
        assert entry.infinitive == "wissen" or entry.first_singular == entry.plural.removesuffix("n")


@pytest.mark.parametrize(
    ("value", "english", "german_word"),
    [
        (2, "two", "zwei"),
        (12, "twelve", "zwölf"),
        (16, "sixteen", "sechzehn"),
        (17, "seventeen", "siebzehn"),
        (20, "twenty", "zwanzig"),
        (21, "twenty-one", "einundzwanzig"),
        (30, "thirty", "dreißig"),
        (36, "thirty-six", "sechsunddreißig"),
        (67, "sixty-seven", "siebenundsechzig"),
        (99, "ninety-nine", "neunundneunzig"),
    ],
)
def test_numbers(value: int, english: str, german_word: str):
    assert numbers.number_words(LEXICON, value) == (english, german_word)


@pytest.mark.parametrize(
    ("english", "german_phrase"),
    [
        ("at one o'clock", "um ein Uhr"),
        ("at three o'clock", "um drei Uhr"),
        ("at half past three", "um halb vier"),
        ("at half past twelve", "um halb eins"),
        ("at a quarter to five", "um Viertel vor fünf"),
        ("at a quarter past one", "um Viertel nach eins"),
        ("at ten past six", "um zehn nach sechs"),
        ("at twenty to one", "um zwanzig vor eins"),
    ],
)
def test_clock_times(english: str, german_phrase: str):
    times = {" ".join(entry.english): " ".join(entry.german) for entry in numbers.clock_times(LEXICON)}
    assert times[english] == german_phrase
    assert len(set(times.values())) == len(times)


def test_relative_pronouns():
    expected = {"masculine": "der den dem", "feminine": "die die der", "neuter": "das das dem"}
    for gender, forms in expected.items():
        assert " ".join(german.relative_pronoun(case, gender, False) for case in CASES[:3]) == forms
    assert " ".join(german.relative_pronoun(case, "neuter", True) for case in CASES[:3]) == "die die denen"


def test_it_has_the_gender_of_its_noun():
    expected = {"masculine": "er ihn ihm", "feminine": "sie sie ihr", "neuter": "es es ihm"}
    for gender, forms in expected.items():
        assert " ".join(german.pronoun_form("it", gender, case) for case in CASES[:3]) == forms


@pytest.mark.parametrize(
    ("infinitive", "good", "bad"),
    [
        ("anziehen", "coat shoe dress", "hat bag"),
        ("besuchen", "museum school woman", "bridge house"),
        ("aufschreiben", "poem message", "letter book"),
        ("malen", "tree dog woman", "house bridge"),
        ("waschen", "shirt car", "fork plate"),
    ],
)
def test_verbs_keep_their_company(infinitive: str, good: str, bad: str):
    """A hat is aufgesetzt, a bridge besichtigt, a house angestrichen, a plate abgewaschen: other verbs than these."""
    classes = set(verb(infinitive).objects)
    assert all(classes & set(noun(english).classes) for english in good.split())
    assert not any(classes & set(noun(english).classes) for english in bad.split())


def test_light_and_dark_never_stand_with_a_colour():
    """light red is hellrot and dark blue dunkelblau, not leicht rot or dunkel blau."""
    assert {adjective(english).rank for english in ("light", "dark", "red", "blue")} == {adjective("black").rank}
