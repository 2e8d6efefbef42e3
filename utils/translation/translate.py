"""From text to text: sentences are sorted by length, translated in batches, and given back in their own order."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from utils.errors import ConfigError
from utils.transformer.masks import END, PADDING
from utils.translation.beam import beam_search
from utils.translation.greedy import greedy


class Tokeniser(Protocol):
    """What translating needs of a tokeniser."""

    def encode(self, text: str) -> list[int]: ...

    def decode(self, ids: list[int]) -> str: ...


def translate(
    model: nn.Module,
    tokeniser: Tokeniser,
    sentences: Sequence[str],
    beam: int = 4,
    length_penalty: float = 0.6,
    max_extra: int = 50,
    batch_tokens: int = 2048,
    device: torch.device | str | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> list[str]:
    """Translates each sentence; an empty or blank one gives "". See `translate_ids` for the settings."""
    sources = [tokeniser.encode(sentence) if sentence.strip() else [] for sentence in sentences]
    ids = translate_ids(model, sources, beam, length_penalty, max_extra, batch_tokens, device, progress)
    return [tokeniser.decode(tokens) if source else "" for tokens, source in zip(ids, sources, strict=True)]


def translate_ids(
    model: nn.Module,
    sources: Sequence[Sequence[int]],
    beam: int = 4,
    length_penalty: float = 0.6,
    max_extra: int = 50,
    batch_tokens: int = 2048,
    device: torch.device | str | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> list[list[int]]:
    """sources: ids without BEGIN and END. Returns the ids of each translation, likewise; [] for an empty source.

    beam = 1 is greedy decoding. A batch holds at most batch_tokens source tokens, padding included (a longer
    sentence stands alone). device: where to translate, the model is moved there; by default where it is.
    progress(done, total) is called after every batch, in sentences.
    """
    if batch_tokens < 1:
        raise ConfigError(f"batch_tokens is {batch_tokens!r}: good values are whole numbers from 1.")
    if device is not None:
        model.to(device)
    device = next(model.parameters()).device
    results: list[list[int]] = [[] for _ in sources]
    done = sum(not source for source in sources)
    for batch in length_batches(sources, batch_tokens):
        source = padded([sources[index] for index in batch]).to(device)
        if beam == 1:
            translations = greedy(model, source, max_extra)
        else:
            # In 1 000 sentences of Multi30k the quick stop with a full beam of finished hypotheses lost no best one.
            found = beam_search(model, source, beam, length_penalty, max_extra, exact=False)
            translations = [hypotheses[0].tokens for hypotheses in found]
        for index, tokens in zip(batch, translations, strict=True):
            results[index] = tokens
        done += len(batch)
        if progress is not None:
            progress(done, len(sources))
    return results


def length_batches(sources: Sequence[Sequence[int]], batch_tokens: int) -> Iterator[list[int]]:
    """Indices of the sources that are not empty, longest first, in batches of at most batch_tokens with padding.

    Longest first, so that a batch too large for the memory fails at once.
    """
    order = sorted((index for index, source in enumerate(sources) if source), key=lambda index: -len(sources[index]))
    batch: list[int] = []
    for index in order:
        longest = len(sources[batch[0]]) + 1 if batch else 0  # and END
        if batch and longest * (len(batch) + 1) > batch_tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def padded(sources: Sequence[Sequence[int]]) -> Tensor:
    """Ends each source with END and pads on the right. Returns (batch, source_len) ids."""
    width = max(map(len, sources)) + 1
    return torch.tensor([[*source, END, *[PADDING] * (width - len(source) - 1)] for source in sources])
