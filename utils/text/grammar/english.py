"""English inflection: articles, pronouns, verb forms."""

from utils.text.lexicon import Modal, Verb

OBJECT_PRONOUNS = {"I": "me", "he": "him", "she": "her", "we": "us", "they": "them", "it": "it"}


def be_form(tense: str, first_person: bool, plural: bool) -> str:
    """A form of to be."""
    if tense == "past":
        return "were" if plural else "was"
    return "are" if plural else "am" if first_person else "is"


def have_form(first_person: bool, plural: bool) -> str:
    """have or has."""
    return "have" if plural or first_person else "has"


def do_form(tense: str, first_person: bool, plural: bool) -> str:
    """do, does or did."""
    if tense == "past":
        return "did"
    return "do" if plural or first_person else "does"


def finite_form(verb: Verb, tense: str, first_person: bool, plural: bool) -> str:
    """The simple present or past."""
    if tense == "past":
        return verb.english_past
    return verb.english if plural or first_person else verb.english_third


def modal_form(modal: Modal, first_person: bool, plural: bool) -> str:
    """can, must, …; wants in the third person."""
    return modal.english if plural or first_person else modal.english_third


def determiner_form(determiner: str, plural: bool, next_article: str) -> str:
    """The article word before a word that asks for `next_article` (a or an); empty where there is none."""
    if determiner == "bare" or (determiner == "a" and plural):
        return ""
    if determiner == "a":
        return next_article
    if determiner == "this":
        return "these" if plural else "this"
    return determiner
