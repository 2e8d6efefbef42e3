"""`python -m utils translate`: what to translate, what to refuse, and the drawing of its attention."""

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from utils.errors import ConfigError, DataError
from utils.recurrent import RecurrentTranslator
from utils.text import Tokeniser, read_lines, source_batch
from utils.text.files import decode_lines
from utils.transformer import BEGIN, UNKNOWN, attention_maps
from utils.translation.translate import translate

MAX_TOKENS = 1000  # self-attention over more would take minutes, and no model here was trained on such lengths


def read_input(text: Sequence[str] | None, file: Path | None) -> tuple[list[str], str]:
    """The sentences given as arguments, in a file, or on standard input, and a name for where they came from."""
    if text and file:
        raise ConfigError("Give a sentence or --file, not both.")
    if file:
        return read_lines(file), str(file)
    if text and list(text) != ["-"]:
        return list(text), "the command line"
    if sys.stdin.isatty():
        raise ConfigError('Give a sentence to translate, as in: python -m utils translate "The dog sleeps."')
    return decode_lines(sys.stdin.buffer.read(), "standard input"), "standard input"


def translate_checked(
    model: nn.Module,
    tokeniser: Tokeniser,
    sentences: Sequence[str],
    origin: str,
    beam: int,
    length_penalty: float,
    max_tokens: int = MAX_TOKENS,
) -> list[str]:
    """Translates after a look at each sentence; DataError names the line that cannot be translated."""
    for number, sentence in enumerate(sentences, start=1):
        where = f"Line {number} of {origin}" if len(sentences) > 1 else "The text"
        ids = tokeniser.encode(sentence)
        if not ids:
            raise DataError(f"{where} is empty: give a sentence to translate.")
        if len(ids) > max_tokens:
            raise DataError(f"{where} has {len(ids)} tokens, more than {max_tokens}: split it into sentences.")
        known = [token for index, token in zip(ids, tokeniser.tokens(ids), strict=True) if index != UNKNOWN]
        if len(known) < len(ids) and not any(_has_letter(token) for token in known):
            raise DataError(
                f"{where} ({sentence[:40]!r}) holds nothing that this run knows from training: "
                f"give a sentence in its source language."
            )
    return translate(model, tokeniser, sentences, beam=beam, length_penalty=length_penalty)


def _has_letter(token: str) -> bool:
    return any(character.isalnum() for character in token)


@torch.no_grad()
def cross_attention(model: nn.Module, tokeniser: Tokeniser, source: str, translation: str) -> tuple:
    """Weights (target_len, source_len) of the last layer, mean over heads, with the labels of rows and columns."""
    device = next(model.parameters()).device
    source_ids = source_batch(tokeniser, [source]).to(device)
    target_ids = tokeniser.encode(translation)
    target = torch.tensor([[BEGIN, *target_ids]], device=device)
    if isinstance(model, RecurrentTranslator):
        if not model.config.attention:
            raise ConfigError("This run's model has no attention to draw: give a run of another model with --run.")
        weights = model.attention_weights(source_ids, target)[0]
    else:
        weights = attention_maps(model, source_ids, target).cross[-1][0].mean(dim=0)
    rows = [*tokeniser.tokens(target_ids), "</s>"]  # the row that sees BEGIN is the one that generates the first word
    return weights.cpu(), rows, tokeniser.tokens(source_ids[0].tolist())


def draw_attention(model: nn.Module, tokeniser: Tokeniser, source: str, translation: str, path: Path) -> None:
    """Draws the cross-attention of a translation to a PNG."""
    from utils.plots import attention_map, save

    weights, rows, columns = cross_attention(model, tokeniser, source, translation)
    save(attention_map(weights, rows, columns), path)
