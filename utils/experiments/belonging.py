"""Do two words that belong together still find each other when much stands between them?

Sentences come from the embedded corpus's distance knob. The model reads the right translation (teacher forcing) up to
the second of the two words, and is asked for that word.
"""

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor, nn

from utils.text import TokenBatches
from utils.text.grammar import Pair, generate
from utils.text.lexicon import load_lexicon
from utils.text.tokenise import Tokeniser

AGREEMENT, PREFIX = "subject-verb", "verb-prefix"
DISTANCES = (0, 1, 2, 3, 4, 6, 8, 10, 12, 15)  # words between the two; in training 9 and 11 are the most there are
SENTENCES = 60  # of each kind and distance


@cache
def number_twins() -> dict[str, set[str]]:
    """For each finite German verb form the forms of the same verb and tense in the other number."""
    lexicon = load_lexicon()
    twins: dict[str, set[str]] = {}
    forms = [(modal.third_singular, modal.plural, "") for modal in lexicon.modals]
    for verb in lexicon.verbs:
        for prefix in {"", verb.prefix}:  # at the end of a clause the prefix is written in one with its verb
            forms.append((verb.third_singular, verb.plural, prefix))
            forms.append((verb.past_singular, verb.past_plural, prefix))
    for singular, plural, prefix in forms:
        if singular != plural:
            twins.setdefault(prefix + singular, set()).add(prefix + plural)
            twins.setdefault(prefix + plural, set()).add(prefix + singular)
    return twins


def rivals(kind: str, word: str, tokeniser: Tokeniser, twins: dict[str, set[str]]) -> list[int]:
    """Ids of the words that a right answer has to beat: the verb in the other number, or every other prefix."""
    if kind == AGREEMENT:
        words = twins.get(word, set())
    else:
        words = {verb.prefix for verb in load_lexicon().verbs if verb.prefix} - {word}
    return [ids[0] for ids in map(tokeniser.encode, sorted(words)) if len(ids) == 1 and ids[0] != 1]


def questions(kind: str, distance: int, tokeniser: Tokeniser, count: int = SENTENCES) -> list[tuple[Pair, int]]:
    """Pairs with the place of the word that is asked for in the German sentence."""
    found = []
    for pair in _sentences(kind, distance, count):
        span = next(span for span in pair.spans if span.kind == kind and span.distance == distance)
        if len(tokeniser.encode(pair.target)) == len(pair.target_tokens):  # a token for each word
            found.append((pair, span.second))
    return found


_sentences = cache(generate)


def score(model: nn.Module, tokeniser: Tokeniser, kind: str, asked: Sequence[tuple[Pair, int]]) -> dict:
    """Shares of right answers. "beats": the word is likelier than all its rivals; "first": it is the likeliest of the
    whole vocabulary; "others": so are all other words of the same sentences, as a control; "count": sentences with
    a rival.
    """
    twins = number_twins()
    pairs = [(pair.source, pair.target) for pair, _ in asked]
    batches = TokenBatches(pairs, tokeniser, token_budget=4096)
    beats, first, others = [], [], []
    for start in range(0, len(pairs), 40):
        rows = torch.arange(start, min(start + 40, len(pairs)))
        batch = batches.make(rows)
        with torch.no_grad():
            logits = model(batch.source, batch.target_input)  # (rows, target_len, vocab_size)
        right = logits.argmax(dim=-1) == batch.target_output
        for row, logit, hits in zip(rows.tolist(), logits, right, strict=True):
            pair, place = asked[row]
            beats += _beaten(kind, pair.target_tokens[place], place, logit, tokeniser, twins)
            first.append(bool(hits[place]))
            others += [bool(hit) for at, hit in enumerate(hits[: len(pair.target_tokens)]) if at != place]
    return {"beats": _share(beats), "first": _share(first), "others": _share(others), "count": len(beats)}


def _beaten(
    kind: str, word: str, place: int, logits: Tensor, tokeniser: Tokeniser, twins: dict[str, set[str]]
) -> list[bool]:
    """Whether the word at that place is likelier than its rivals, as a list of one; empty where it has none."""
    own, against = tokeniser.encode(word)[0], rivals(kind, word, tokeniser, twins)
    return [bool(logits[place, own] > logits[place, against].max())] if against and own != 1 else []


def _share(answers: list[bool]) -> float | None:
    return round(sum(answers) / len(answers), 4) if answers else None


def by_distance(
    model: nn.Module, tokeniser: Tokeniser, distances: Sequence[int] = DISTANCES, count: int = SENTENCES
) -> list[dict]:
    """`score` for both kinds at each distance."""
    return [
        {"kind": kind, "distance": distance}
        | score(model, tokeniser, kind, questions(kind, distance, tokeniser, count))
        for kind in (AGREEMENT, PREFIX)
        for distance in distances
    ]
