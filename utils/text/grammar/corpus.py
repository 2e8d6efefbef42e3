"""The embedded corpus: four splits of sentence pairs."""

import gc
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

from utils.errors import ConfigError
from utils.text.grammar.labels import PHENOMENA
from utils.text.grammar.pairings import pairings_of
from utils.text.grammar.pairs import Pair, Rendering
from utils.text.grammar.pools import pools_of
from utils.text.grammar.sampler import RICH, Sampler
from utils.text.grammar.sentences import draw_sentence
from utils.text.lexicon import load_lexicon

SHORTEST, LONGEST = 4, 16
LONGEST_OF_LONG = 32
ATTEMPTS_PER_PAIR = 60


@dataclass(frozen=True)
class EmbeddedCorpus:
    """The splits.

    train   4 to 16 tokens on each side.
    valid, test   the same lengths, and unseen combinations: every sentence contains at least one held-out pairing (an
            adjective with a noun, or a verb with its object) that occurs in no sentence of train or long.
    long    every sentence is longer on both sides than any training sentence; no held-out pairing, so that only
            length is new.
    Every word form of valid, test and long occurs in train. No English and no German sentence occurs twice anywhere.
    """

    train: tuple[Pair, ...]
    valid: tuple[Pair, ...]
    test: tuple[Pair, ...]
    long: tuple[Pair, ...]


class _Collector:
    """Accepts each sentence once, and remembers what it has accepted in all splits."""

    def __init__(self) -> None:
        self.sources: set[tuple[str, ...]] = set()
        self.targets: set[tuple[str, ...]] = set()

    def fresh(self, source: tuple[str, ...], target: tuple[str, ...]) -> bool:
        """True, and remembered, if neither side has been accepted before."""
        if source in self.sources or target in self.targets:
            return False
        self.sources.add(source)
        self.targets.add(target)
        return True


def embedded_corpus(seed: int = 0, sizes: tuple[int, int, int, int] = (20000, 1000, 1000, 1000)) -> EmbeddedCorpus:
    """The corpus of a seed; sizes are those of train, valid, test and long. Same seed, same corpus, on every machine.

    Raises ConfigError if the grammar cannot supply that many different sentences.
    """
    sizes = tuple(sizes)
    if len(sizes) != 4 or min(sizes) < 0:
        raise ConfigError(f"sizes is {sizes}; write four numbers from 0: train, valid, test, long.")
    return _draw_corpus(seed, sizes)


@contextmanager
def _collection_paused() -> Iterator[None]:
    """Hold Python's cycle collector: a corpus makes millions of objects and no cycle, and scans double its time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@lru_cache(maxsize=2)
def _draw_corpus(seed: int, sizes: tuple[int, int, int, int]) -> EmbeddedCorpus:
    """Training sentences first; the other splits keep to the word forms that these have."""
    collector = _Collector()
    with _collection_paused():
        train = _draw(seed, "train", sizes[0], collector, None)
        known = (
            frozenset(token for pair in train for token in pair.source_tokens),
            frozenset(token for pair in train for token in pair.target_tokens),
        )
        valid, test, long = (
            _draw(seed, name, size, collector, known)
            for name, size in zip(("valid", "test", "long"), sizes[1:], strict=True)
        )
    return EmbeddedCorpus(train, valid, test, long)


def _draw(
    seed: int, split: str, size: int, collector: _Collector, known: tuple[frozenset[str], frozenset[str]] | None
) -> tuple[Pair, ...]:
    lexicon = load_lexicon()
    generator = random.Random(f"{split} {seed}")
    unseen = split in ("valid", "test")
    pools = pools_of(lexicon)
    sampler = Sampler(pools, generator, "held-out" if unseen else "seen")
    if split == "long":
        sampler.rates = RICH
    shortest, longest = (LONGEST + 1, LONGEST_OF_LONG) if split == "long" else (SHORTEST, LONGEST)
    accepted: list[Pair] = []
    for _ in range(size * ATTEMPTS_PER_PAIR + 1000):
        if len(accepted) == size:
            return tuple(accepted)
        item = draw_sentence(sampler)
        if unseen and pools.held_out.isdisjoint(pairings_of(item)):
            continue
        rendering = Rendering(lexicon, item)
        source, target = rendering.source_tokens, rendering.target_tokens
        if min(len(source), len(target)) < shortest or max(len(source), len(target)) > longest:
            continue
        if known is not None and not (known[0].issuperset(source) and known[1].issuperset(target)):
            continue
        if collector.fresh(source, target):
            accepted.append(rendering.pair())
    raise ConfigError(f"the grammar gave only {len(accepted)} of {size} sentences for {split}; ask for fewer.")


def describe(corpus: EmbeddedCorpus) -> dict:
    """Counts per split and phenomenon, lengths in tokens, vocabulary sizes."""
    splits = {name: getattr(corpus, name) for name in ("train", "valid", "test", "long")}
    everything = [pair for pairs in splits.values() for pair in pairs]
    source = {token for pair in everything for token in pair.source_tokens}
    target = {token for pair in everything for token in pair.target_tokens}
    return {
        "pairs": {name: len(pairs) for name, pairs in splits.items()},
        "source_length": {name: _lengths([pair.source_tokens for pair in pairs]) for name, pairs in splits.items()},
        "target_length": {name: _lengths([pair.target_tokens for pair in pairs]) for name, pairs in splits.items()},
        "vocabulary": {
            "source": len(source),
            "target": len(target),
            "both": len(source | target),
            "both_lowercase": len({token.lower() for token in source | target}),
        },
        "phenomena": {name: _count_phenomena(pairs) for name, pairs in splits.items()},
    }


def _lengths(sentences: list[tuple[str, ...]]) -> dict[str, float]:
    values = [len(tokens) for tokens in sentences]
    if not values:
        return {"shortest": 0, "mean": 0.0, "longest": 0}
    return {"shortest": min(values), "mean": round(sum(values) / len(values), 2), "longest": max(values)}


def _count_phenomena(pairs: tuple[Pair, ...]) -> dict[str, int]:
    counts = Counter(label for pair in pairs for label in pair.phenomena)
    return {label: counts[label] for label in PHENOMENA}
