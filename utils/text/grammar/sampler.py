"""Drawing abstract sentences at random: sensible, and only with choices that translate one way."""

import random
from typing import NamedTuple, TypeVar

from utils.text.grammar.pools import COUNTS, Pools
from utils.text.grammar.structures import (
    Clause,
    Gap,
    Nominal,
    NounPhrase,
    PlacePhrase,
    Pronoun,
    ProperName,
    is_first_person,
    is_plural,
)
from utils.text.grammar.verbs import is_kein
from utils.text.lexicon import Adjective, Adverbial, Modal, Noun, Place, Verb

Item = TypeVar("Item")
RANKS_PER_PHRASE = 4
POSSESSIVES = ("my", "his", "her", "our")
# Classes of things that are counted in dozens.
MANY = ("fruit", "dish", "plant", "reading", "animal", "food")
PERSONS = ("I", "he", "she", "we", "they")


class Rates(NamedTuple):
    """How often optional material is drawn."""

    adjective: float = 0.3
    relative: float = 0.13
    time: float = 0.4
    place: float = 0.35
    manner: float = 0.2
    frequency: float = 0.25
    negation: float = 0.16
    subordinate: float = 0.28
    complement: float = 0.07
    question: float = 0.07
    copula: float = 0.1


ORDINARY = Rates()
RICH = Rates(
    adjective=0.6,
    relative=0.35,
    time=0.75,
    place=0.7,
    manner=0.3,
    subordinate=0.7,
    complement=0.12,
    question=0.04,
    copula=0.05,
)


class Sampler:
    """Draws words and phrases. `pairing` is seen (no held-out pairing), held-out (prefers them) or any."""

    def __init__(self, pools: Pools, generator: random.Random, pairing: str = "seen", rates: Rates = ORDINARY) -> None:
        self.pools = pools
        self.random = generator.random
        self.pairing = pairing
        self.rates = rates

    def choose(self, items: "list[Item] | tuple[Item, ...]") -> Item:
        """One of the items, each as likely."""
        return items[int(self.random() * len(items))]

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.random() < probability

    # Pairings -------------------------------------------------------------------------------------------------

    def adjective(self, noun: Noun) -> Adjective | None:
        """An adjective that suits the noun."""
        return self._partner(
            self.pools.adjectives[noun], self.pools.seen_adjectives[noun], self.pools.held_out_adjectives[noun]
        )

    def object_noun(self, verb: Verb) -> Noun:
        """A noun that the verb can have as its object."""
        return self._partner(self.pools.objects[verb], self.pools.seen_objects[verb], self.pools.held_out_objects[verb])

    def _partner(self, everything: list[Item], seen: list[Item], held_out: list[Item]) -> Item | None:
        if self.pairing == "any":
            return self.choose(everything) if everything else None
        if self.pairing == "held-out" and held_out and self.chance(0.6):
            return self.choose(held_out)
        return self.choose(seen) if seen else None

    # Noun phrases ---------------------------------------------------------------------------------------------

    def adjectives(self, noun: Noun, rate: float | None = None) -> tuple[Adjective, ...]:
        """No, one or two adjectives, ordered opinion, size, quality, age, colour; never two of a kind."""
        rate = self.rates.adjective if rate is None else rate
        if not self.chance(rate):
            return ()
        first = self.adjective(noun)
        if first is None:
            return ()
        if self.chance(0.15):
            second = self.adjective(noun)
            if second is not None and second.rank != first.rank:
                return (first, second) if first.rank < second.rank else (second, first)
        return (first,)

    def noun_phrase(
        self, noun: Noun, negated: bool = False, definite: bool = False, relative: bool = True
    ) -> NounPhrase:
        """A noun phrase around a noun. Under negation an indefinite one is `a` or `any`; numbers are not drawn."""
        # One has several brothers, but not several mothers.
        plural = noun.countable and "parent" not in noun.classes and self.chance(0.3)
        determiner, number = self._determiner(noun, plural, negated, definite)
        phrase = NounPhrase(noun, determiner, plural or number > 1, number, self.adjectives(noun))
        if relative and determiner in ("the", "a", "this") and self.chance(self.rates.relative):
            return phrase._replace(relative=self.relative(noun, phrase.plural))
        return phrase

    def _determiner(self, noun: Noun, plural: bool, negated: bool, definite: bool) -> tuple[str, int]:
        draw = self.random()
        if "family" in noun.classes:
            # Fathers and sisters are somebody's.
            determiner = self.choose(POSSESSIVES) if draw < 0.6 else "the"
            return determiner, self.count(noun) if plural and not negated and self.chance(0.15) else 0
        if draw < 0.42 or (definite and draw < 0.7):
            return "the", self.count(noun) if plural and self.chance(0.12) else 0
        if draw < 0.5:
            return "this", 0
        if draw < 0.64 or definite:
            return self.choose(POSSESSIVES) if _can_be_owned(noun) else "the", 0
        if negated:
            return "any" if plural or not noun.countable else "a", 0
        if not noun.countable:
            return "bare", 0
        if draw < 0.79:
            return "bare", self.count(noun)
        return ("bare", 0) if plural else ("a", 0)

    def count(self, noun: Noun) -> int:
        """A number from two on; above twelve only for what comes in such numbers."""
        many = any(name in MANY for name in noun.classes)
        return self.choose(COUNTS) if many and self.chance(0.75) else 2 + int(self.random() * 11)

    def person(self) -> Nominal:
        """Somebody: a pronoun, a name or a noun phrase."""
        return self._somebody(self.choose(self.pools.people))

    def _somebody(self, noun: Noun, **options: bool) -> Nominal:
        if "person" in noun.classes:
            draw = self.random()
            if draw < 0.28:
                return Pronoun(self.choose(PERSONS))
            if draw < 0.4:
                return ProperName(self.choose(self.pools.lexicon.names))
        return self.noun_phrase(noun, **options)

    def subject(self, verb: Verb, negated: bool = False, relative: bool = True) -> Nominal:
        """Somebody or something that can do what the verb says."""
        nominal = self._somebody(self.choose(self.pools.subjects[verb]), relative=relative)
        if not isinstance(nominal, NounPhrase):
            return nominal
        if nominal.determiner == "bare" and not nominal.number:
            return nominal._replace(determiner="the")
        if nominal.determiner == "a" and not negated and self.chance(0.25):
            return nominal._replace(determiner="no")
        return nominal

    # Clauses --------------------------------------------------------------------------------------------------

    def tense(self, verb: Verb | None, group: str) -> str:
        """A tense of the group: past, simple (present), condition (also modal, future), present (also perfect), any."""
        can_be_past = verb is None or verb.past_is_clear
        if group == "past" or (group == "any" and can_be_past and self.chance(0.25)):
            return "past"
        if group == "simple":
            return "present"
        if verb is None or verb.aspect == "state":
            return "present"
        draw = self.random()
        if group == "condition":
            return "present" if draw < 0.5 else "modal"
        return "present" if draw < 0.45 else "perfect" if draw < 0.67 else "modal"

    def modal(self, noun_classes: tuple[str, ...], negated: bool, question: bool) -> Modal | None:
        """A modal verb for such a subject; None if there is none."""
        good = [
            modal
            for modal in self.pools.lexicon.modals
            if any(name in modal.subjects for name in noun_classes) and (modal.negation or not (negated or question))
        ]
        return self.choose(good) if good else None

    def clause(
        self,
        verb: Verb,
        group: str = "any",
        subject: Nominal | None = None,
        question: bool = False,
        small: bool = False,
    ) -> Clause:
        """A clause around a verb; `small` leaves out relative clauses and most of the adverbials."""
        negated = not question and self.chance(self.rates.negation)
        if subject is None:
            subject = self.subject(verb, negated or question, relative=not small)
        negated = negated and not _is_no(subject)
        tense = self.tense(verb, group)
        if question and tense == "past":
            tense = "perfect"
        unusual = is_plural(subject) or is_first_person(subject)
        if question and tense == "present" and unusual and "person" in verb.subjects:
            # Every such question begins with one more capitalised verb form, so that only the third person asks it.
            subject = Pronoun(self.choose(("he", "she")))
        modal = None
        if tense == "modal":
            modal, tense = self.modal(classes_of(subject), negated or _is_no(subject), question), "present"
        clause = Clause(subject, verb, tense, modal, negated, question=question)
        clause = self._with_objects(clause, small)
        return self._with_adverbials(clause, 0.3 if small else 1.0)

    def copula(self, group: str = "any", subject: Nominal | None = None, question: bool = False) -> Clause:
        """Something is hot, tired, new."""
        if subject is None:
            subject = self._somebody(self.choose(self.pools.described), definite=True, relative=False)
        predicate = self.adjective(subject.noun) if isinstance(subject, (NounPhrase, Gap)) else None
        if predicate is None:
            predicate = self.choose(self.pools.person_adjectives)
        if isinstance(subject, NounPhrase):
            # No sick doctor is sick, and no big house is small.
            others = tuple(adjective for adjective in subject.adjectives if adjective.rank != predicate.rank)
            subject = subject._replace(adjectives=others)
        tense = self.tense(None, group)
        negated = not question and not _is_no(subject) and self.chance(self.rates.negation)
        frequency = None
        # Only what somebody can be at times: often tired, but not often noble or round.
        living = any(name in ("person", "animal") for name in classes_of(subject))
        if not negated and living and predicate.duration == "passing" and self.chance(0.4):
            frequency = self.choose(self.pools.frequencies[tense])
        return Clause(subject, None, tense, None, negated, predicate=predicate, frequency=frequency, question=question)

    def _with_objects(self, clause: Clause, small: bool) -> Clause:
        verb = clause.verb
        if verb.frame == "direction":
            return clause._replace(place=self.place(self.choose(self.pools.directions), direction=True))
        if not self.pools.objects[verb]:
            return clause
        definite = clause.negated and verb.frame != "transitive" and verb.frame != "ditransitive"
        noun = self.object_noun(verb)
        if isinstance(clause.subject, (NounPhrase, Gap)) and noun is clause.subject.noun:
            noun = self.object_noun(verb)
        thing: Nominal = self.noun_phrase(noun, clause.negated, definite, relative=not small)
        if "person" in noun.classes and verb.frame != "ditransitive" and self.chance(0.35):
            thing = self._object_person(clause.subject)
        recipient = None
        if verb.frame == "ditransitive":
            recipient = (
                self._object_person(clause.subject)
                if self.chance(0.4)
                else self.noun_phrase(self.choose(self.pools.people), definite=True, relative=False)
            )
        return clause._replace(object=thing, recipient=recipient)

    def _object_person(self, subject: Nominal) -> Nominal:
        """A pronoun or a name other than the subject; I and we do not act on me or us."""
        if self.chance(0.4):
            name = self.choose(self.pools.lexicon.names)
            if not (isinstance(subject, ProperName) and subject.name is name):
                return ProperName(name)
        return Pronoun(self.choose(("he", "she", "they") if is_first_person(subject) else PERSONS))

    def place(self, place: Place, direction: bool = False) -> PlacePhrase:
        """The place with its article and perhaps an adjective."""
        determiner = "the" if self.chance(0.8) else "this" if self.chance(0.4) else "a"
        phrase = NounPhrase(place.noun, determiner, adjectives=self.adjectives(place.noun, self.rates.adjective * 0.6))
        return PlacePhrase(place, phrase, direction)

    def time_for(self, clause: Clause) -> Adverbial:
        """A time expression that fits the tense."""
        tense = clause.modal.tense if clause.modal is not None else clause.tense
        clock = self.pools.clock_times[tense]
        is_event = clause.verb is not None and clause.verb.aspect == "event"
        return self.choose(clock if clock and is_event and self.chance(0.4) else self.pools.times[tense])

    def _with_adverbials(self, clause: Clause, share: float) -> Clause:
        verb, rates = clause.verb, self.rates
        time = frequency = manner = None
        place = clause.place
        state = verb.aspect == "state"
        if has_relative(clause.object):
            # What follows a relative clause in English would be read as part of it.
            share = 0.0
        if not state and self.chance(rates.time * share):
            time = self.time_for(clause)
            if is_repeated(time) and (clause.negated or _is_no(clause.subject)):
                # not … every day and every day not … are different things.
                time = None
        tense = clause.modal.tense if clause.modal is not None else clause.tense
        frequencies = self.pools.frequencies[tense]
        positive = not clause.negated and not _is_no(clause.subject)
        if time is None and positive and not state and frequencies and self.chance(rates.frequency * share):
            frequency = self.choose(frequencies)
        if self.pools.manners[verb] and frequency is None and not is_kein(clause) and self.chance(rates.manner * share):
            manner = self.choose(self.pools.manners[verb])
        locations = self.pools.locations[verb]
        if place is None and locations and self.chance(rates.place * share):
            place = self.place(self.choose(locations))
        return clause._replace(time=time, frequency=frequency, manner=manner, place=place)

    def relative(self, noun: Noun, plural: bool) -> Clause:
        """A relative clause about a noun, which is its subject or its object."""
        gap = Gap(noun, plural)
        by_object = self.pools.by_object[noun] if self.pairing == "any" else self.pools.seen_by_object[noun]
        by_subject = self.pools.by_subject[noun]
        if by_object and not (by_subject and self.chance(0.6)):
            verb = self.choose(by_object)
            subject = self.subject(verb, negated=True, relative=False)
            if isinstance(subject, NounPhrase) and subject.noun is noun:
                subject = Pronoun(self.choose(PERSONS))
            clause = self.clause(verb, subject=subject, small=True)
            return clause._replace(object=gap)
        if not by_subject:
            return self.copula(subject=gap)
        return self.clause(self.choose(by_subject), subject=gap, small=True)


def classes_of(nominal: Nominal) -> tuple[str, ...]:
    """The classes of what a nominal names; pronouns and names are people (it is an animal or a thing)."""
    if isinstance(nominal, (NounPhrase, Gap)):
        return nominal.noun.classes
    if isinstance(nominal, Pronoun) and nominal.english == "it":
        return ("animal",)
    return ("person",)


def _can_be_owned(noun: Noun) -> bool:
    """my neighbour, my coat; but not my king or my river (and mein Mann would be my husband)."""
    return "place" not in noun.classes and ("person" not in noun.classes or "circle" in noun.classes)


def _is_no(subject: Nominal) -> bool:
    return isinstance(subject, NounPhrase) and subject.determiner == "no"


def is_repeated(time: Adverbial | None) -> bool:
    """every day, every morning, …"""
    return time is not None and time.english[0] == "every"


def has_relative(nominal: Nominal | None) -> bool:
    """Does a relative clause follow this noun?"""
    return isinstance(nominal, NounPhrase) and nominal.relative is not None


def pronoun_for(nominal: Nominal) -> Pronoun | None:
    """The pronoun that can refer back to a subject; None where English and German would not agree on one."""
    if isinstance(nominal, Pronoun):
        return nominal
    if isinstance(nominal, ProperName):
        return Pronoun(nominal.name.pronoun)
    if isinstance(nominal, Gap) or nominal.determiner in ("no", "any") or not nominal.noun.pronoun:
        return None
    if not any(name in ("person", "animal") for name in nominal.noun.classes):
        return None
    if is_plural(nominal):
        return Pronoun("they") if "person" in nominal.noun.classes else None
    return Pronoun(nominal.noun.pronoun, nominal.noun.gender)
