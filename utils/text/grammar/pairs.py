"""The finished sentence pair, and how one is made from an abstract sentence."""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from utils.text.grammar.clauses import sentence
from utils.text.grammar.labels import phenomena_of
from utils.text.grammar.structures import Sentence
from utils.text.grammar.surface import PUNCTUATION, capitalise, detokenise
from utils.text.grammar.trees import Draft, Phrase, Tree, Word
from utils.text.lexicon import Lexicon


class Span(NamedTuple):
    """Two German words that belong together, by token index, and how many words (not commas) stand between them."""

    kind: str
    first: int
    second: int
    distance: int


@dataclass(frozen=True, slots=True)
class Pair:
    """An English sentence and its one German translation.

    alignment holds (source index, target index) for words that express the same idea, by these guidelines:
    every part of an English verb (switches … off, looks for, wants to) goes with every part of the German one;
    an auxiliary or modal with its counterpart; do-support with nicht or kein when negated, else with the verb;
    kein with both not and a/any; a contraction (im) with both preposition and article; time expressions as their table
    says. German commas have no counterpart, except one that follows a clause in first position, and stay unaligned.
    """

    source: str
    target: str
    source_tokens: tuple[str, ...]
    target_tokens: tuple[str, ...]
    alignment: tuple[tuple[int, int], ...]
    source_tree: Tree
    target_tree: Tree
    spans: tuple[Span, ...]
    phenomena: frozenset[str]

    def distances(self, kind: str) -> tuple[int, ...]:
        """The distances of all spans of one kind."""
        return tuple(span.distance for span in self.spans if span.kind == kind)


class Rendering:
    """A sentence said in both languages: its tokens at once, the annotated pair only when it is asked for."""

    def __init__(self, lexicon: Lexicon, item: Sentence) -> None:
        self.item = item
        self.draft = Draft()
        self.english, self.german = sentence(self.draft, lexicon, item)
        self.source_words = words_of(self.english)
        words = words_of(self.german)
        self.dropped = _needless_commas(words)
        self.target_words = [word for word in words if word not in self.dropped] if self.dropped else words
        for first in (self.source_words[0], self.target_words[0]):
            first.text = capitalise(first.text)
        self.source_tokens = tuple([word.text for word in self.source_words])
        self.target_tokens = tuple([word.text for word in self.target_words])

    def spans(self) -> tuple[Span, ...]:
        """The German words that belong together."""
        return _spans(self.draft, self.target_words)

    def pair(self) -> Pair:
        """The finished pair with alignment, trees and spans."""
        return Pair(
            detokenise(self.source_tokens),
            detokenise(self.target_tokens),
            self.source_tokens,
            self.target_tokens,
            _align(self.source_words, self.target_words),
            _tree(self.english, self.dropped),
            _tree(self.german, self.dropped),
            self.spans(),
            phenomena_of(self.item),
        )


def make_pair(lexicon: Lexicon, item: Sentence) -> Pair:
    """Say an abstract sentence in both languages."""
    return Rendering(lexicon, item).pair()


def words_of(node: Phrase) -> list[Word]:
    """The words under a phrase, in order."""
    words: list[Word] = []
    stack: list[Phrase | Word] = [node]
    while stack:
        top = stack.pop()
        if isinstance(top, Word):
            words.append(top)
        else:
            stack.extend(reversed(top.children))
    return words


def _needless_commas(words: list[Word]) -> set[Word]:
    """Commas at the beginning, and commas that meet another comma or the final mark."""
    dropped: set[Word] = set()
    for index, word in enumerate(words):
        if word.tag == "$," and (index == 0 or words[index + 1].text in PUNCTUATION):
            dropped.add(word)
    return dropped


def _align(source_words: list[Word], target_words: list[Word]) -> tuple[tuple[int, int], ...]:
    by_concept: dict[int, list[int]] = {}
    for index, word in enumerate(target_words):
        for concept in word.concepts:
            by_concept.setdefault(concept, []).append(index)
    pairs: set[tuple[int, int]] = set()
    for index, word in enumerate(source_words):
        for concept in word.concepts:
            for other in by_concept.get(concept, ()):
                pairs.add((index, other))
    return tuple(sorted(pairs))


@cache
def _leaf(tag: str, text: str) -> Tree:
    """Preterminals are shared: a corpus holds half a million of them, and only some thousands differ."""
    return Tree(tag, (text,))


def _tree(node: Phrase, dropped: set[Word]) -> Tree:
    children = []
    for child in node.children:
        if isinstance(child, Phrase):
            children.append(_tree(child, dropped))
        elif not dropped or child not in dropped:
            children.append(_leaf(child.tag, child.text))
    return Tree(node.label, tuple(children))


def _spans(draft: Draft, words: list[Word]) -> tuple[Span, ...]:
    """Spans in the order of their first word. Distances count words, so commas between are left out."""
    position = {word: index for index, word in enumerate(words)}
    before = [0]
    for word in words:
        before.append(before[-1] + (word.text not in PUNCTUATION))
    spans = []
    for kind, one, other in draft.links:
        first, second = sorted((position[one], position[other]))
        spans.append(Span(kind, first, second, before[second] - before[first + 1]))
    return tuple(sorted(spans, key=lambda span: (span.first, span.second, span.kind)))
