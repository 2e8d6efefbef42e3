"""From text to ids and back, behind one small interface: whole words (torchtext) or subwords (BPE, §5.1)."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torchtext.data import Field
from torchtext.vocab import Vocab

from utils.errors import CheckpointError, ConfigError, DataError

PAD, UNK, BOS, EOS = SPECIALS = ("<pad>", "<unk>", "<s>", "</s>")  # ids 0 to 3, as in utils.transformer.masks
KINDS = ("words", "bpe")
WORD = re.compile(r"\w+(?:[-'’]\w+)*|[^\w\s]")
NO_SPACE_BEFORE = re.compile(r"\s+([.,;:!?…)\]}%»“])")
NO_SPACE_AFTER = re.compile(r"([(\[{«„])\s+")


class Tokeniser(Protocol):
    """What the rest of the course asks of a tokeniser. Ids 0 to 3 are padding, unknown, begin and end."""

    kind: str

    @property
    def vocab_size(self) -> int:
        """V, special entries included."""

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without begin and end."""

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids; special entries are left out, but for unknown words."""

    def tokens(self, ids: Iterable[int]) -> list[str]:
        """One readable label an id, for figures."""

    def to_json(self) -> str:
        """All that `tokeniser_from_json` needs."""


def split_words(text: str) -> list[str]:
    """Words and punctuation marks of a text; a word may hold hyphens and apostrophes inside."""
    return WORD.findall(text)


def join_words(words: Iterable[str]) -> str:
    """Words and punctuation marks as running text."""
    return NO_SPACE_AFTER.sub(r"\1", NO_SPACE_BEFORE.sub(r"\1", " ".join(words)))


class WordTokeniser:
    """Whole words, through torchtext's `Field` and `Vocab`."""

    kind = "words"

    def __init__(self, words: Iterable[str]) -> None:
        """words: the vocabulary after the four special entries, in the order of their ids."""
        self.field = Field(tokenize=split_words, init_token=BOS, eos_token=EOS, batch_first=True)
        self.field.vocab = Vocab(Counter(), specials=list(SPECIALS))
        self.field.vocab.itos.extend(words)
        self.field.vocab.stoi.update({word: index for index, word in enumerate(self.field.vocab.itos)})

    @classmethod
    def learn(cls, texts: Iterable[str], vocab_size: int | None = None) -> "WordTokeniser":
        """The most frequent words of the texts, ties in alphabetical order; all of them without `vocab_size`."""
        counts = Counter(word for text in texts for word in split_words(text))
        keep = None if vocab_size is None else max(1, vocab_size - len(SPECIALS))
        return cls(Vocab(counts, max_size=keep, specials=list(SPECIALS)).itos[len(SPECIALS) :])

    @property
    def vocab_size(self) -> int:
        return len(self.field.vocab)

    def encode(self, text: str) -> list[int]:
        stoi = self.field.vocab.stoi
        return [stoi[word] for word in split_words(text)]

    def decode(self, ids: Iterable[int]) -> str:
        return join_words(token for token in self.tokens(ids) if token not in (PAD, BOS, EOS))

    def tokens(self, ids: Iterable[int]) -> list[str]:
        return [self.field.vocab.itos[index] for index in ids]

    def to_json(self) -> str:
        return json.dumps({"kind": self.kind, "words": self.field.vocab.itos[len(SPECIALS) :]}, ensure_ascii=False)


class BPETokeniser:
    """Subwords by byte-pair encoding (Sennrich et al. 2016), shared by both languages, through `tokenizers`.

    A space is part of the subword that follows it, written ▁; punctuation stands alone; so decoding gives the text
    back to the letter, but for runs of spaces and characters never seen in training.
    """

    kind = "bpe"

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        tokenizer.encode_special_tokens = True  # a text that says "</s>" must not end the sentence

    @classmethod
    def learn(cls, texts: Iterable[str], vocab_size: int = 10_000) -> "BPETokeniser":
        """Merges the most frequent pair again and again until there are `vocab_size` entries."""
        tokenizer = Tokenizer(models.BPE(unk_token=UNK))
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " ")])
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Metaspace(prepend_scheme="first"), pre_tokenizers.Punctuation("isolated")]
        )
        tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
        special = [AddedToken(token, special=True, normalized=False) for token in SPECIALS]
        trainer = trainers.BpeTrainer(vocab_size=vocab_size, special_tokens=special, show_progress=False)
        tokenizer.train_from_iterator(texts, trainer)
        return cls(tokenizer)

    @property
    def vocab_size(self) -> int:
        return self.tokenizer.get_vocab_size()

    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, ids: Iterable[int]) -> str:
        shown = [index for index in ids if index == 1 or index >= len(SPECIALS)]
        return self.tokenizer.decode(shown, skip_special_tokens=False).strip()

    def tokens(self, ids: Iterable[int]) -> list[str]:
        return [self.tokenizer.id_to_token(index) for index in ids]

    def to_json(self) -> str:
        return json.dumps({"kind": self.kind, "tokenizer": json.loads(self.tokenizer.to_str())}, ensure_ascii=False)


def learn_tokeniser(kind: str, texts: Iterable[str], vocab_size: int) -> WordTokeniser | BPETokeniser:
    """Learns a "words" or "bpe" tokeniser from texts."""
    if kind not in KINDS:
        raise ConfigError(f"tokeniser is {kind!r}: good values are {', '.join(KINDS)}.")
    if vocab_size < 8:
        raise ConfigError(f"vocab_size is {vocab_size}: good values are whole numbers from 8.")
    texts = list(texts)
    if not texts:
        raise DataError("There is no text to learn a vocabulary from: give at least one sentence.")
    return (WordTokeniser if kind == "words" else BPETokeniser).learn(texts, vocab_size)


def tokeniser_from_json(text: str, origin: Path | str = "the tokeniser") -> WordTokeniser | BPETokeniser:
    """The tokeniser that `to_json` wrote. `origin` names the file in the error for damaged ones."""
    try:
        content = json.loads(text)
        if content["kind"] == "words":
            return WordTokeniser(content["words"])
        return BPETokeniser(Tokenizer.from_str(json.dumps(content["tokenizer"])))
    except Exception as error:  # tokenizers raises bare Exception for what it cannot read
        raise CheckpointError(f"{origin} is not a tokeniser of this course: train the run again.") from error


def digest(tokeniser: Tokeniser) -> str:
    """A short fingerprint of the vocabulary: a checkpoint says which one it was trained with."""
    return hashlib.sha256(tokeniser.to_json().encode()).hexdigest()[:16]
