"""What goes with what: the words of the lexicon sorted by the company they may keep, and the held-out pairings."""

from functools import lru_cache

from utils.text.grammar.numbers import clock_times
from utils.text.lexicon import TENSES, Adjective, Adverbial, Lexicon, Noun, Place, Verb

# A word with fewer partners than this keeps all of them in training, so that it is seen often enough.
FEWEST_PARTNERS = 6
# About one pairing in so many is held out.
HELD_OUT_SHARE = 8
COUNTS = (*range(2, 13), 15, 20, *range(21, 33))


class Pools:
    """Lists to draw from. Every list is in lexicon order, so that a seed gives the same draws on every machine."""

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon
        self.objects = {verb: _nouns_in(lexicon.nouns, verb.objects) for verb in lexicon.verbs}
        self.subjects = {verb: _nouns_in(lexicon.nouns, verb.subjects) for verb in lexicon.verbs}
        self.adjectives = {
            noun: [adjective for adjective in lexicon.adjectives if _suits(adjective, noun)] for noun in lexicon.nouns
        }
        self.described = [noun for noun in lexicon.nouns if self.adjectives[noun]]
        self.people = _nouns_in(lexicon.nouns, ("person",))
        self.person_adjectives = [adjective for adjective in lexicon.adjectives if "person" in adjective.classes]
        self.clause_verbs = [verb for verb in lexicon.verbs if verb.frame in ("that", "whether")]
        self.verbs = [verb for verb in lexicon.verbs if verb not in self.clause_verbs]
        self.relative_verbs = [verb for verb in self.verbs if verb.frame != "ditransitive"]
        self.by_subject = {
            noun: [verb for verb in self.relative_verbs if noun in self.subjects[verb]] for noun in lexicon.nouns
        }
        self.by_object = {
            noun: [verb for verb in self.relative_verbs if noun in self.objects[verb]] for noun in lexicon.nouns
        }
        self._adverbials(lexicon)
        self._places(lexicon)
        self._held_out()

    def _adverbials(self, lexicon: Lexicon) -> None:
        clock = clock_times(lexicon)
        listed = [entry for entry in lexicon.adverbials if entry.kind == "time"]
        self.times: dict[str, list[Adverbial]] = {tense: _of_tense(listed, tense) for tense in TENSES}
        self.clock_times: dict[str, list[Adverbial]] = {tense: _of_tense(clock, tense) for tense in TENSES}
        frequencies = [entry for entry in lexicon.adverbials if entry.kind == "frequency"]
        self.frequencies: dict[str, list[Adverbial]] = {tense: _of_tense(frequencies, tense) for tense in TENSES}
        by_english = {" ".join(entry.english): entry for entry in lexicon.adverbials}
        self.manners = {verb: [by_english[manner] for manner in verb.manners] for verb in lexicon.verbs}

    def _places(self, lexicon: Lexicon) -> None:
        self.locations: dict[Verb, list[Place]] = {
            verb: [place for place in lexicon.places if place.kind in verb.places] for verb in lexicon.verbs
        }
        self.directions = [place for place in lexicon.places if place.english_direction]

    def _held_out(self) -> None:
        """Choose the pairings that training never sees, by arithmetic on row numbers alone."""
        self.held_out_adjectives: dict[Noun, list[Adjective]] = {}
        self.held_out_objects: dict[Verb, list[Noun]] = {}
        for noun, adjectives in self.adjectives.items():
            self.held_out_adjectives[noun] = _every(adjectives, noun.index)
        for verb, nouns in self.objects.items():
            self.held_out_objects[verb] = _every(nouns, verb.index)
        self.held_out = {(adjective, noun) for noun, held in self.held_out_adjectives.items() for adjective in held}
        self.held_out |= {(verb, noun) for verb, held in self.held_out_objects.items() for noun in held}
        self.seen_adjectives = {
            noun: [adjective for adjective in adjectives if (adjective, noun) not in self.held_out]
            for noun, adjectives in self.adjectives.items()
        }
        self.seen_objects = {
            verb: [noun for noun in nouns if (verb, noun) not in self.held_out] for verb, nouns in self.objects.items()
        }
        self.seen_by_object = {
            noun: [verb for verb in verbs if (verb, noun) not in self.held_out]
            for noun, verbs in self.by_object.items()
        }


def _every(partners: list, index: int) -> list:
    if len(partners) < FEWEST_PARTNERS:
        return []
    return [partner for partner in partners if (partner.index * 5 + index * 3) % HELD_OUT_SHARE == 0]


def _suits(adjective: Adjective, noun: Noun) -> bool:
    # No junger Junge: the noun says it already.
    repeats = noun.singular["nominative"].lower().startswith(adjective.stem)
    return _share(adjective.classes, noun.classes) and not repeats


def _share(first: tuple[str, ...], second: tuple[str, ...]) -> bool:
    return any(name in second for name in first)


def _nouns_in(nouns: tuple[Noun, ...], classes: tuple[str, ...]) -> list[Noun]:
    return [noun for noun in nouns if _share(noun.classes, classes)]


def _of_tense(entries: "tuple[Adverbial, ...] | list[Adverbial]", tense: str) -> list[Adverbial]:
    return [entry for entry in entries if tense in entry.tenses]


@lru_cache(maxsize=4)
def pools_of(lexicon: Lexicon) -> Pools:
    """The pools of a lexicon, built once."""
    return Pools(lexicon)
