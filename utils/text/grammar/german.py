"""German inflection: articles, adjective endings, pronouns, auxiliaries, contractions."""

from utils.text.lexicon import Adjective, Modal, Noun, Verb

# Columns of every table: masculine, feminine, neuter, plural.
SLOTS = {"masculine": 0, "feminine": 1, "neuter": 2, "plural": 3}

DEFINITE = {
    "nominative": ("der", "die", "das", "die"),
    "accusative": ("den", "die", "das", "die"),
    "dative": ("dem", "der", "dem", "den"),
    "genitive": ("des", "der", "des", "der"),
}
DIESER = {
    "nominative": ("dieser", "diese", "dieses", "diese"),
    "accusative": ("diesen", "diese", "dieses", "diese"),
    "dative": ("diesem", "dieser", "diesem", "diesen"),
    "genitive": ("dieses", "dieser", "dieses", "dieser"),
}
# Endings of ein, kein, mein, …; ein itself has no plural.
EIN_ENDINGS = {
    "nominative": ("", "e", "", "e"),
    "accusative": ("en", "e", "", "e"),
    "dative": ("em", "er", "em", "en"),
    "genitive": ("es", "er", "es", "er"),
}
EIN_STEMS = {"a": "ein", "no": "kein", "any": "kein", "my": "mein", "his": "sein", "her": "ihr", "our": "unser"}
RELATIVE = {
    "nominative": ("der", "die", "das", "die"),
    "accusative": ("den", "die", "das", "die"),
    "dative": ("dem", "der", "dem", "denen"),
    "genitive": ("dessen", "deren", "dessen", "deren"),
}

STRONG = {
    "nominative": ("er", "e", "es", "e"),
    "accusative": ("en", "e", "es", "e"),
    "dative": ("em", "er", "em", "en"),
    "genitive": ("en", "er", "en", "er"),
}
WEAK = {
    "nominative": ("e", "e", "e", "en"),
    "accusative": ("en", "e", "e", "en"),
    "dative": ("en", "en", "en", "en"),
    "genitive": ("en", "en", "en", "en"),
}
MIXED = {
    "nominative": ("er", "e", "es", "en"),
    "accusative": ("en", "e", "es", "en"),
    "dative": ("en", "en", "en", "en"),
    "genitive": ("en", "en", "en", "en"),
}
DECLENSIONS = {"the": WEAK, "this": WEAK, "bare": STRONG} | dict.fromkeys(EIN_STEMS, MIXED)

PRONOUNS = {
    "I": {"nominative": "ich", "accusative": "mich", "dative": "mir"},
    "he": {"nominative": "er", "accusative": "ihn", "dative": "ihm"},
    "she": {"nominative": "sie", "accusative": "sie", "dative": "ihr"},
    "we": {"nominative": "wir", "accusative": "uns", "dative": "uns"},
    "they": {"nominative": "sie", "accusative": "sie", "dative": "ihnen"},
}
# it, by the gender of the noun that it stands for
IT = {
    "masculine": {"nominative": "er", "accusative": "ihn", "dative": "ihm"},
    "feminine": {"nominative": "sie", "accusative": "sie", "dative": "ihr"},
    "neuter": {"nominative": "es", "accusative": "es", "dative": "ihm"},
}

# The definite article melts into these prepositions, unless a relative clause picks its noun out.
CONTRACTIONS = {
    ("in", "dem"): "im",
    ("an", "dem"): "am",
    ("zu", "dem"): "zum",
    ("zu", "der"): "zur",
    ("von", "dem"): "vom",
    ("in", "das"): "ins",
    ("an", "das"): "ans",
}

# first person singular, third person singular, plural
AUXILIARIES = {
    ("haben", "present"): ("habe", "hat", "haben"),
    ("haben", "past"): ("hatte", "hatte", "hatten"),
    ("sein", "present"): ("bin", "ist", "sind"),
    ("sein", "past"): ("war", "war", "waren"),
}


def slot(gender: str, plural: bool) -> int:
    """The column of the tables above."""
    return 3 if plural else SLOTS[gender]


def noun_form(noun: Noun, case: str, plural: bool) -> str:
    """The inflected noun."""
    return (noun.plural if plural else noun.singular)[case]


def article(determiner: str, case: str, gender: str, plural: bool) -> str:
    """The inflected article word; the empty string where there is none."""
    column = slot(gender, plural)
    if determiner == "the":
        return DEFINITE[case][column]
    if determiner == "this":
        return DIESER[case][column]
    if determiner == "bare" or (determiner == "a" and plural):
        return ""
    # unser keeps its e: unsere, unserem.
    return EIN_STEMS[determiner] + EIN_ENDINGS[case][column]


def adjective_form(adjective: Adjective, determiner: str, case: str, gender: str, plural: bool) -> str:
    """The attributive adjective: weak, mixed or strong, as the determiner asks."""
    return adjective.stem + DECLENSIONS[determiner][case][slot(gender, plural)]


def relative_pronoun(case: str, gender: str, plural: bool) -> str:
    """der, die, das as a relative pronoun."""
    return RELATIVE[case][slot(gender, plural)]


def pronoun_form(english: str, gender: str, case: str) -> str:
    """The personal pronoun; an it takes the gender of the noun that it stands for."""
    return (IT[gender] if english == "it" else PRONOUNS[english])[case]


def pick(forms: tuple[str, str, str], first_person: bool, plural: bool) -> str:
    """One of (first person singular, third person singular, plural)."""
    return forms[2] if plural else forms[0] if first_person else forms[1]


def finite_form(verb: Verb, tense: str, first_person: bool, plural: bool) -> str:
    """The finite form without its separable prefix."""
    if tense == "past":
        return verb.past_plural if plural else verb.past_singular
    return pick((verb.first_singular, verb.third_singular, verb.plural), first_person, plural)


def auxiliary_form(auxiliary: str, tense: str, first_person: bool, plural: bool) -> str:
    """A form of haben or sein."""
    return pick(AUXILIARIES[auxiliary, tense], first_person, plural)


def modal_form(modal: Modal, first_person: bool, plural: bool) -> str:
    """A form of können, müssen, …, werden."""
    return pick((modal.first_singular, modal.third_singular, modal.plural), first_person, plural)
