"""Corpora, tokenisers and batches. The only place that imports torchtext or tokenizers."""

from utils.text.batches import Batch, TokenBatches, bucket_iterator, padding_share, source_batch
from utils.text.corpora import CORPORA, Corpus, load_corpus
from utils.text.files import read_lines, read_pairs
from utils.text.multi30k import load_multi30k
from utils.text.tokenise import (
    BPETokeniser,
    Tokeniser,
    WordTokeniser,
    digest,
    join_words,
    learn_tokeniser,
    split_words,
    tokeniser_from_json,
)

__all__ = [
    "CORPORA", "BPETokeniser", "Batch", "Corpus", "TokenBatches", "Tokeniser", "WordTokeniser", "bucket_iterator",
    "digest", "join_words", "learn_tokeniser", "load_corpus", "load_multi30k", "padding_share", "read_lines",
    "read_pairs", "source_batch", "split_words", "tokeniser_from_json",
]  # fmt: skip
