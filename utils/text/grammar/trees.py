"""Words, phrases under construction, and the finished parse trees."""

from typing import NamedTuple


class Tree(NamedTuple):
    """A parse tree. A leaf is a preterminal: `Tree("NN", ("Apfel",))`.

    Labels follow the Penn Treebank for English and STTS for German; MWE marks the words of a fixed expression of time,
    and TMP the whole of it.
    Parts of one German verb that stand apart share an index behind their label: `VVFIN-1 … PTKVZ-1`.
    """

    label: str
    children: "tuple[Tree | str, ...]"

    def leaves(self) -> tuple[str, ...]:
        """The tokens, in order."""
        found: list[str] = []
        for child in self.children:
            if isinstance(child, str):
                found.append(child)
            else:
                found.extend(child.leaves())
        return tuple(found)

    def __str__(self) -> str:
        return f"({self.label} {' '.join(str(child) for child in self.children)})"


class Word:
    """One word while a sentence is being built; words of both languages that share a concept are aligned."""

    __slots__ = ("text", "tag", "concepts")

    def __init__(self, text: str, tag: str, *concepts: int) -> None:
        self.text = text
        self.tag = tag
        self.concepts = concepts


class Phrase:
    """An inner node while a sentence is being built."""

    __slots__ = ("label", "children")

    def __init__(self, label: str, children: "list[Phrase | Word]") -> None:
        self.label = label
        self.children = children


class Twin(NamedTuple):
    """The same constituent in both languages; `head` is the German word that takes part in agreement."""

    english: "Phrase | Word"
    german: "Phrase | Word"
    head: Word


class Draft:
    """What is gathered while one sentence is built: fresh concepts, and pairs of German words that belong together."""

    __slots__ = ("concepts", "links", "brackets")

    def __init__(self) -> None:
        self.concepts = 0
        self.brackets = 0
        self.links: list[tuple[str, Word, Word]] = []

    def concept(self) -> int:
        """A number that no other idea in this sentence has."""
        self.concepts += 1
        return self.concepts

    def bracket(self) -> int:
        """The next shared index for the parts of a discontinuous verb."""
        self.brackets += 1
        return self.brackets

    def link(self, kind: str, first: Word, second: Word) -> None:
        """Record that two German words belong together."""
        self.links.append((kind, first, second))
