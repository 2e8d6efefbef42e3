"""Texts that strangers wrote, made fit for files, tables, pages and a terminal."""

import re
from typing import Any

HALF = re.compile("[\ud800-\udfff]")  # half a character: JSON may hold it, and no file can
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]")  # a terminal obeys these
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def whole(text: str) -> str:
    """The text without halves of characters."""
    return HALF.sub(REPLACEMENT, text)


def harmless(text: Any) -> str:
    """A text that can be shown and written anywhere; empty for what is no text."""
    return UNSEEN.sub(REPLACEMENT, whole(text)) if isinstance(text, str) else ""


def one_line(text: Any) -> str:
    """The same, on one line."""
    return harmless(text).replace("\n", " ").replace("\t", " ")
