"""`bench data`: what the loader costs beside the training it feeds, and the same through torchtext's iterator."""

import time
from pathlib import Path

import torch

from utils.bench.setup import (
    BATCH_TOKENS,
    SIZES,
    check_counts,
    conditions,
    cpu_seconds,
    one_thread,
    real_text,
    summary,
    token_batches,
    write_report,
)
from utils.bench.train import Update, lean_loss, some_batches
from utils.text import TokenBatches, WordTokeniser, bucket_iterator, padding_share
from utils.transformer import PADDING, Transformer, TransformerConfig

MOST = 0.01  # of a training epoch
SIZE = "multi30k"  # the quickest model is the one that a loader could hold up


def bench_data(
    data_dir: Path | str | None = None, out: Path | str | None = None, updates: int = 20, rounds: int = 3, seed: int = 0
) -> dict:
    """Times whole epochs of `TokenBatches` and of torchtext's `BucketIterator`, and `updates` training updates.

    Returns a report for JSON, written to `out` if given.
    """
    check_counts(updates=updates, rounds=rounds)
    with one_thread():
        where = conditions()
        pairs, tokeniser, notes = real_text(data_dir)
        start = time.process_time()
        corpus = token_batches(pairs, tokeniser)
        tensors = time.process_time() - start
        config = TransformerConfig.from_dict({**SIZES[SIZE].to_dict(), "vocab_size": tokeniser.vocab_size})
        per_token = training_seconds_per_token(config, corpus, updates, seed)
        tokens = int(corpus.target_tokens.sum())
        loader = summary([cpu_seconds(lambda epoch=epoch: walk(corpus, epoch)) for epoch in range(rounds)])
        torchtext = measure_torchtext(pairs, rounds)
    share = loader["median"] / (tokens * per_token)
    report = {
        "bench": "data",
        "conditions": where,
        "notes": notes,
        "pairs": len(corpus),
        "target_tokens": tokens,
        "batch_tokens": BATCH_TOKENS,
        "size": SIZE,
        "training": {"seconds_per_epoch": tokens * per_token, "tokens_per_second": 1 / per_token},
        "token_batches": {
            "once_seconds": tensors,  # encoding text by BPE included
            "seconds_per_epoch": loader,
            "tokens_per_second": tokens / loader["median"],
            "batches": len(corpus.plan(0)),
            "target_padding": padding_share(corpus.epoch(0)),
        },
        "bucket_iterator": torchtext,
        "share_of_training": share,
        "most": MOST,
    }
    return write_report(report, out)


def walk(corpus: TokenBatches, epoch: int) -> None:
    """Plans an epoch and makes all its batches."""
    for _ in corpus.epoch(epoch):
        pass


def training_seconds_per_token(config: TransformerConfig, corpus: TokenBatches, updates: int, seed: int) -> float:
    """CPU seconds of an update per real target token: the median over `updates` batches."""
    torch.manual_seed(seed)
    model = Transformer(config)
    update = Update(model, lean_loss(model))
    batches = some_batches(corpus, updates, seed)
    update(batches[0])
    seconds = [cpu_seconds(lambda batch=batch: update(batch)) / batch.target_tokens for batch in batches]
    return summary(seconds)["median"]


def measure_torchtext(pairs: list[tuple[str, str]], rounds: int) -> dict:
    """The word pipeline that the chapters teach: torchtext makes tensors anew from words in every epoch."""
    start = time.process_time()
    tokeniser = WordTokeniser.learn(sentence for pair in pairs for sentence in pair)
    iterator = bucket_iterator(pairs, tokeniser, BATCH_TOKENS)
    once = time.process_time() - start
    tokens = sum(int((batch.target != PADDING).sum()) - len(batch.target) for batch in iterator)  # BEGIN is no target
    seconds = summary([cpu_seconds(lambda: sum(1 for _ in iterator)) for _ in range(rounds)])
    return {
        "once_seconds": once,  # splitting into words and counting them included
        "target_tokens": tokens,  # words, where the other counts subwords
        "seconds_per_epoch": seconds,
        "tokens_per_second": tokens / seconds["median"],
    }
