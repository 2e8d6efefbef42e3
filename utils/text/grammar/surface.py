"""From tokens to text and back."""

import re

_TOKEN = re.compile(r"[^\s.,?]+|[.,?]")
PUNCTUATION = frozenset(".,?")


def tokenise(text: str) -> tuple[str, ...]:
    """Words and punctuation marks of a sentence as separate tokens; `detokenise` is its inverse."""
    return tuple(_TOKEN.findall(text))


def detokenise(tokens: tuple[str, ...] | list[str]) -> str:
    """Join tokens with spaces, and none before a full stop, comma or question mark."""
    text = " ".join(tokens)
    return text.replace(" .", ".").replace(" ,", ",").replace(" ?", "?")


def capitalise(word: str) -> str:
    """The word with its first letter raised."""
    return word[0].upper() + word[1:]
