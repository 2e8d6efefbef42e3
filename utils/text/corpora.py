"""Every corpus in one shape: named splits of sentence pairs."""

import random
from dataclasses import dataclass
from pathlib import Path

from utils.errors import ConfigError, DataError
from utils.text.files import read_pairs
from utils.text.multi30k import load_multi30k

CORPORA = ("embedded", "multi30k", "files")
DIRECTIONS = ("en-de", "de-en")


@dataclass(frozen=True)
class Corpus:
    """Splits of (source, target) sentences: train, valid, test and, for the embedded corpus, long."""

    name: str
    splits: dict[str, list[tuple[str, str]]]

    def split(self, name: str) -> list[tuple[str, str]]:
        """The pairs of a split; ConfigError lists the splits there are."""
        if name not in self.splits:
            raise ConfigError(
                f"The corpus {self.name} has no split {name!r}: good values are {', '.join(self.splits)}."
            )
        return self.splits[name]


def load_corpus(
    name: str = "embedded",
    direction: str = "en-de",
    data_dir: Path | str | None = None,
    source_file: Path | str | None = None,
    target_file: Path | str | None = None,
    seed: int = 0,
) -> Corpus:
    """Loads "embedded" (made by the course's own grammar from `seed`), "multi30k", or "files" (your own two files).

    direction "de-en" swaps the two sides of the first two; files are taken as source and target as they stand.
    """
    if name not in CORPORA:
        raise ConfigError(f"corpus is {name!r}: good values are {', '.join(CORPORA)}.")
    if direction not in DIRECTIONS:
        raise ConfigError(f"direction is {direction!r}: good values are {', '.join(DIRECTIONS)}.")
    if name == "files":
        if not source_file or not target_file:
            raise ConfigError("corpus 'files' needs two line-aligned files: give --source-file and --target-file.")
        return Corpus("files", hold_out(read_pairs(source_file, target_file), seed))
    splits = load_multi30k(data_dir) if name == "multi30k" else _embedded(seed)
    if direction == "de-en":
        splits = {split: [(target, source) for source, target in pairs] for split, pairs in splits.items()}
    return Corpus(name, splits)


def hold_out(pairs: list[tuple[str, str]], seed: int) -> dict[str, list[tuple[str, str]]]:
    """Splits pairs into train, valid and test; the last two get a twentieth each, at most 1 000.

    Pairs with the same source stay together, so that no test sentence was seen in training.
    """
    sources = sorted({source for source, _ in pairs})
    if len(sources) < 20:
        raise DataError(f"There are {len(sources)} different source sentences; training and testing need 20 or more.")
    random.Random(seed).shuffle(sources)
    size = min(1000, len(sources) // 20)
    part = dict.fromkeys(sources[:size], "valid") | dict.fromkeys(sources[size : 2 * size], "test")
    splits: dict[str, list[tuple[str, str]]] = {"train": [], "valid": [], "test": []}
    for pair in pairs:
        splits[part.get(pair[0], "train")].append(pair)
    return splits


def _embedded(seed: int) -> dict[str, list[tuple[str, str]]]:
    from utils.text.grammar import embedded_corpus  # loads the lexicon: only who asks for it pays

    corpus = embedded_corpus(seed=seed)
    return {
        split: [(pair.source, pair.target) for pair in getattr(corpus, split)]
        for split in ("train", "valid", "test", "long")
    }
