"""The distance knob: sentences in which two German words that belong together stand exactly so far apart.

A sentence begins with little between the two words and grows, one adjective, adverbial or relative clause at a time,
until the distance is met; a step too far is taken back.
"""

import random
from collections.abc import Callable

from utils.errors import ConfigError
from utils.text.grammar.pairs import Pair, Rendering
from utils.text.grammar.pools import pools_of
from utils.text.grammar.sampler import RANKS_PER_PHRASE, Rates, Sampler, has_relative
from utils.text.grammar.sentences import draw_verb
from utils.text.grammar.structures import Clause, Nominal, NounPhrase, Sentence, Subordinate
from utils.text.lexicon import Lexicon, Verb, load_lexicon

BRACKETS = ("verb-prefix", "auxiliary-participle", "modal-infinitive")
# kind → largest distance on offer. An article has at most a number and four adjectives before its noun.
KINDS = {
    "verb-prefix": 30,
    "auxiliary-participle": 30,
    "modal-infinitive": 30,
    "subject-verb": 30,
    "conjunction-verb": 30,
    "relative-verb": 30,
    "article-noun": 4,
    "adjective-noun": 3,
}
ALIASES = {
    "separable": "verb-prefix",
    "participle": "auxiliary-participle",
    "modal": "modal-infinitive",
    "agreement": "subject-verb",
    "subordinate": "conjunction-verb",
    "relative": "relative-verb",
    "article": "article-noun",
    "adjective": "adjective-noun",
}
# A pronoun is next to nothing; the smallest relative clause is a pronoun and a verb.
SMALLEST = {"conjunction-verb": 1}
DEEPEST = 2
STEPS, STARTS = 60, 400
BARE = Rates(
    adjective=0,
    relative=0,
    time=0,
    place=0,
    manner=0,
    frequency=0,
    negation=0,
    subordinate=0,
    complement=0,
    question=0,
    copula=0,
)


def generate(kind: str, distance: int, count: int = 100, seed: int = 0) -> tuple[Pair, ...]:
    """Different sentences whose farthest pair of this kind has exactly `distance` German words (no commas) between.

    kind is one of KINDS, or a short name of ALIASES: separable, participle, modal, agreement, subordinate, relative,
    article, adjective. All words and pairings are those of the training sentences of the embedded corpus; the sentences
    themselves may be longer. Raises ConfigError for an unknown kind or a distance that the kind cannot have.
    """
    name = ALIASES.get(kind, kind)
    if name not in KINDS:
        raise ConfigError(f"unknown kind '{kind}'; write one of: {', '.join((*KINDS, *ALIASES))}.")
    smallest = SMALLEST.get(name, 0)
    if not smallest <= distance <= KINDS[name]:
        raise ConfigError(f"distance {distance} is not on offer for {name}; write {smallest} to {KINDS[name]}.")
    lexicon = load_lexicon()
    sampler = Sampler(pools_of(lexicon), random.Random(f"{name} {distance} {seed}"), "seen", BARE)
    found: dict[str, Pair] = {}
    sources: set[str] = set()
    for _ in range(count * STARTS):
        if len(found) == count:
            break
        pair = _grow(sampler, lexicon, name, distance)
        if pair is not None and pair.target not in found and pair.source not in sources:
            found[pair.target] = pair
            sources.add(pair.source)
    if len(found) < count:
        raise ConfigError(f"only {len(found)} of {count} sentences have {name} at distance {distance}; ask for fewer.")
    return tuple(found.values())


def _grow(sampler: Sampler, lexicon: Lexicon, kind: str, distance: int) -> Pair | None:
    """One sentence at that distance, or None if this start led nowhere."""
    item, expand = _start(sampler, kind, distance)
    previous = None
    for _ in range(STEPS):
        rendering = Rendering(lexicon, item)
        reached = max((span.distance for span in rendering.spans() if span.kind == kind), default=-1)
        if reached == distance:
            return rendering.pair()
        if reached > distance:
            item = previous
        if item is None:
            return None
        previous = item
        item = expand(item)
    return None


Expander = Callable[[Sentence], Sentence]


def _start(sampler: Sampler, kind: str, distance: int) -> tuple[Sentence, Expander]:
    """A small sentence of the kind, and the step that lengthens what stands between the two words."""
    if kind in BRACKETS:
        return _bracket(sampler, kind, distance)
    if kind in ("conjunction-verb", "subject-verb") and (kind == "conjunction-verb" or sampler.chance(0.5)):
        return _subordinate(sampler)
    clause = _clause(sampler, lambda verb: bool(verb.objects), "present")
    if kind in ("article-noun", "adjective-noun"):
        noun = sampler.object_noun(clause.verb)
        plural = noun.countable and "parent" not in noun.classes
        without = kind == "adjective-noun" and (plural or not noun.countable) and sampler.chance(0.4)
        adjectives = () if kind == "article-noun" else sampler.adjectives(noun, 1.0)
        phrase = NounPhrase(noun, "bare" if without else "the", plural, adjectives=adjectives)

        def expand(item: Sentence) -> Sentence:
            longer = _longer_phrase(sampler, item.main.object)
            return item._replace(main=item.main._replace(object=longer))

        return Sentence(clause._replace(object=phrase)), expand
    return _subject_relative(sampler, clause, adjacent=kind == "subject-verb" and distance == 0)


def _clause(sampler: Sampler, suits: Callable[[Verb], bool], tense: str, subject: Nominal | None = None) -> Clause:
    """A bare clause around a suitable verb, about a given subject or one that suits the verb."""
    verb = draw_verb(sampler, tense)
    while not suits(verb):
        verb = draw_verb(sampler, tense)
    clause = sampler.clause(verb, "simple", subject)
    return clause._replace(tense=tense)


def _bracket(sampler: Sampler, kind: str, distance: int) -> tuple[Sentence, Expander]:
    """A main clause with a verbal bracket. With time or place in front, the subject stands inside the bracket."""
    far = distance > 5

    def suits(verb: Verb) -> bool:
        separable = bool(verb.prefix) or kind != "verb-prefix"
        return separable and verb.aspect == "event" and (bool(verb.objects) or not far)

    tense = "perfect" if kind == "auxiliary-participle" else "present"
    # The subject comes first, so that the object can differ from it: no I must call me.
    subject = sampler.person() if kind == "modal-infinitive" else None
    clause = _clause(sampler, suits, tense, subject)
    if kind == "modal-infinitive":
        modals = [modal for modal in sampler.pools.lexicon.modals if "person" in modal.subjects]
        clause = clause._replace(modal=sampler.choose(modals))
    elif kind == "verb-prefix" and clause.verb.past_is_clear and sampler.chance(0.4):
        clause = clause._replace(tense="past")
    inside = distance > 0 and sampler.chance(0.5)
    if inside:
        clause = clause._replace(time=sampler.time_for(clause), front="time")
    return Sentence(clause), lambda item: item._replace(main=longer_clause(sampler, item.main, inside))


def _subordinate(sampler: Sampler) -> tuple[Sentence, Expander]:
    """A main clause and a subordinate clause; what grows is the latter."""
    conjunctions = [entry for entry in sampler.pools.lexicon.conjunctions if entry.use == "clause"]
    main = _clause(sampler, lambda verb: not verb.objects, "present")
    inner = _clause(sampler, lambda verb: True, "present")
    start = Sentence(main, Subordinate(sampler.choose(conjunctions), inner))

    def expand(item: Sentence) -> Sentence:
        part = item.subordinate
        return item._replace(subordinate=part._replace(clause=longer_clause(sampler, part.clause, True)))

    return start, expand


def _subject_relative(sampler: Sampler, clause: Clause, adjacent: bool) -> tuple[Sentence, Expander]:
    """A main clause whose subject has a relative clause, which grows."""
    noun = sampler.choose(sampler.pools.subjects[clause.verb])
    subject = NounPhrase(noun, "the", "parent" not in noun.classes and sampler.chance(0.4))
    if not adjacent:
        subject = subject._replace(relative=sampler.relative(noun, subject.plural))
    start = Sentence(clause._replace(subject=subject))

    def expand(item: Sentence) -> Sentence:
        phrase = item.main.subject
        grown = longer_clause(sampler, phrase.relative, True, depth=1)
        return item._replace(main=item.main._replace(subject=phrase._replace(relative=grown)))

    return start, expand


def longer_clause(sampler: Sampler, clause: Clause, subject_inside: bool, depth: int = 0) -> Clause:
    """The clause with one more thing in it; unchanged where the step that was drawn cannot be taken.

    depth counts the relative clauses around this one: there is one inside another at most.
    """
    draw = sampler.random()
    if draw < 0.25:
        return _with_adverbial(sampler, clause)
    slots = [
        slot
        for slot in ("subject", "object", "recipient")
        if isinstance(getattr(clause, slot), NounPhrase) and (slot != "subject" or subject_inside)
    ]
    if not slots:
        return _with_adverbial(sampler, clause)
    slot = sampler.choose(slots)
    phrase = getattr(clause, slot)
    if phrase.relative is not None and draw < 0.8:
        return clause._replace(
            **{slot: phrase._replace(relative=longer_clause(sampler, phrase.relative, True, depth + 1))}
        )
    if draw < 0.6 and depth < DEEPEST and may_have_relative(clause, slot):
        return clause._replace(**{slot: phrase._replace(relative=sampler.relative(phrase.noun, phrase.plural))})
    return clause._replace(**{slot: _longer_phrase(sampler, phrase)})


def may_have_relative(clause: Clause, slot: str) -> bool:
    """May a relative clause follow this noun? Not where later English words could be read as part of it."""
    phrase = getattr(clause, slot)
    if phrase.relative is not None or phrase.determiner not in ("the", "a", "this"):
        return False
    time_follows = clause.time is not None and clause.front != "time"
    followed = time_follows or clause.manner is not None or clause.place is not None
    return slot == "subject" or (slot == "object" and not followed)


def _with_adverbial(sampler: Sampler, clause: Clause) -> Clause:
    if clause.verb is None or clause.verb.aspect == "state" or has_relative(clause.object):
        return clause
    draw = sampler.random()
    if draw < 0.4 and clause.time is None and clause.frequency is None:
        return clause._replace(time=sampler.time_for(clause))
    manners, locations = sampler.pools.manners[clause.verb], sampler.pools.locations[clause.verb]
    if draw < 0.7 and clause.manner is None and manners:
        return clause._replace(manner=sampler.choose(manners))
    if clause.place is None and locations:
        return clause._replace(place=sampler.place(sampler.choose(locations)))
    if clause.place is not None:
        return clause._replace(place=clause.place._replace(phrase=_longer_phrase(sampler, clause.place.phrase)))
    return clause


def _longer_phrase(sampler: Sampler, phrase: NounPhrase) -> NounPhrase:
    """One more adjective (of another rank), or a number."""
    if phrase.plural and not phrase.number and phrase.determiner not in ("any", "no") and sampler.chance(0.2):
        return phrase._replace(number=sampler.count(phrase.noun))
    adjective = sampler.adjective(phrase.noun)
    if adjective is None or len(phrase.adjectives) == RANKS_PER_PHRASE:
        return phrase
    if any(other.rank == adjective.rank for other in phrase.adjectives):
        return phrase
    return phrase._replace(adjectives=tuple(sorted((*phrase.adjectives, adjective), key=lambda entry: entry.rank)))
