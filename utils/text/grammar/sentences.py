"""Drawing whole abstract sentences: a main clause, fronting, questions, subordinate clauses."""

from utils.text.grammar.sampler import Sampler, classes_of, has_relative, is_repeated, pronoun_for
from utils.text.grammar.structures import Clause, Nominal, NounPhrase, Pronoun, ProperName, Sentence, Subordinate
from utils.text.lexicon import Verb

# (conjunction, group) → groups of the main and of the subordinate clause, where they are narrower than the group.
MATCHING_TENSES = {("while", "present"): ("simple", "simple"), ("if", "present"): ("condition", "simple")}


def draw_sentence(sampler: Sampler) -> Sentence:
    """One sentence of any kind."""
    rates = sampler.rates
    draw = sampler.random()
    if draw < rates.complement:
        return Sentence(complement_clause(sampler))
    draw -= rates.complement
    if draw < rates.question:
        return Sentence(main_clause(sampler, question=True))
    draw -= rates.question
    if draw < rates.subordinate:
        return complex_sentence(sampler)
    return Sentence(fronted(sampler, main_clause(sampler)))


def main_clause(sampler: Sampler, group: str = "any", question: bool = False) -> Clause:
    """A main clause, with a verb or with be."""
    if sampler.chance(sampler.rates.copula):
        return sampler.copula(group, question=question)
    return sampler.clause(draw_verb(sampler, group), group, question=question)


def draw_verb(sampler: Sampler, group: str, event: bool = False) -> Verb:
    """Any verb but those with a complement clause; in the past, an event whose English past is clear."""
    past = group == "past"
    verb = sampler.choose(sampler.pools.verbs)
    while ((past or event) and verb.aspect == "state") or (past and not verb.past_is_clear):
        verb = sampler.choose(sampler.pools.verbs)
    return verb


def fronted(sampler: Sampler, clause: Clause) -> Clause:
    """Perhaps move the time or the place before the verb."""
    if has_relative(clause.object) and not clause.frequency and clause.verb.aspect == "event" and sampler.chance(0.3):
        return clause._replace(time=sampler.time_for(clause), front="time")
    if clause.time is not None and sampler.chance(0.4):
        return clause._replace(front="time")
    if clause.place is not None and not clause.place.direction and sampler.chance(0.2):
        return clause._replace(front="place")
    return clause


def complement_clause(sampler: Sampler) -> Clause:
    """Somebody knows that …, asks whether …"""
    verb = sampler.choose(sampler.pools.clause_verbs)
    subject = sampler.subject(verb, relative=False)
    conjunction = next(entry for entry in sampler.pools.lexicon.conjunctions if entry.english == verb.frame)
    inner_subject = pronoun_for(subject) if sampler.chance(0.3) else None
    inner = subordinate_clause(sampler, "present", inner_subject, antecedent=subject)
    return Clause(subject, verb, complement=Subordinate(conjunction, inner))


def complex_sentence(sampler: Sampler) -> Sentence:
    """A main clause with a subordinate clause after or before it, in matching tenses."""
    group = "past" if sampler.chance(0.3) else "present"
    uses = ("clause", group)
    conjunction = sampler.choose([entry for entry in sampler.pools.lexicon.conjunctions if entry.use in uses])
    main_group, inner_group = MATCHING_TENSES.get((conjunction.english, group), (group, group))
    passing = conjunction.english == "while"
    main = sampler.clause(draw_verb(sampler, main_group, True), main_group) if passing else None
    main = main or main_clause(sampler, main_group)
    pronoun = pronoun_for(main.subject) if sampler.chance(0.55) and may_refer(main) else None
    inner = subordinate_clause(sampler, inner_group, pronoun, passing, main.subject)
    if main.time is not None or conjunction.english in ("while", "when"):
        inner = inner._replace(time=None)
    first = sampler.chance(0.3)
    if first and pronoun is not None:
        # The noun comes before the pronoun that stands for it.
        if inner.verb is None:
            inner = sampler.copula(inner_group, main.subject)
        else:
            inner = inner._replace(subject=main.subject)
        main = main._replace(subject=pronoun)
    if not first:
        main = fronted(sampler, main)
    if conjunction.use == "past":
        main, inner = happens_once(main), happens_once(inner)
    return Sentence(main, Subordinate(conjunction, inner), first)


def happens_once(clause: Clause) -> Clause:
    """The clause without often and every day: als is for what happened once, and what happened often takes wenn."""
    if is_repeated(clause.time):
        clause = clause._replace(time=None, front="" if clause.front == "time" else clause.front)
    return clause._replace(frequency=None)


def may_refer(clause: Clause) -> bool:
    """May a pronoun refer to the subject? An it only where nothing else in the clause could be meant."""
    pronoun = pronoun_for(clause.subject)
    if pronoun is None or pronoun.english not in ("it", "they"):
        return pronoun is not None
    return clause.object is None and clause.place is None


def subordinate_clause(
    sampler: Sampler, group: str, subject: Nominal | None, passing: bool = False, antecedent: Nominal | None = None
) -> Clause:
    """A clause for behind a conjunction, about a given subject or a new one; `passing` asks for an action.

    antecedent is what a subject pronoun stands for. It is not named again: Paul laughs because he calls Paul would be
    about two people.
    """
    if subject is None:
        if not passing and sampler.chance(sampler.rates.copula):
            return sampler.copula(group)
        return sampler.clause(draw_verb(sampler, group, passing), group, small=sampler.chance(0.7))
    if not passing and isinstance(subject, Pronoun) and "person" in classes_of(subject) and sampler.chance(0.35):
        return sampler.copula(group, subject)
    while True:
        verb = draw_verb(sampler, group, passing)
        if not any(name in verb.subjects for name in classes_of(subject)):
            continue
        clause = sampler.clause(verb, group, subject, small=True)
        if not (_same(clause.object, antecedent) or _same(clause.recipient, antecedent)):
            return clause


def _same(first: Nominal | None, second: Nominal | None) -> bool:
    """Do both give the same name, or use the same noun?"""
    if isinstance(first, NounPhrase) and isinstance(second, NounPhrase):
        return first.noun is second.noun
    return isinstance(first, ProperName) and first == second
