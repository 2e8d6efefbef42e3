"""What every bench needs: model sizes, real batches, a fair clock, and the conditions of the measurement."""

import gc
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from utils.bench.peers import marian_there
from utils.errors import ConfigError, DataError
from utils.text import TokenBatches, Tokeniser, learn_tokeniser, load_corpus
from utils.training.runs import write_text
from utils.training.settings import MULTI30K_CPU
from utils.transformer import TransformerConfig

VOCAB_SIZE = 8000
BATCH_TOKENS = 1024  # target tokens a batch
SMOOTHING = 0.1
SIZES: dict[str, TransformerConfig] = {
    "larger": TransformerConfig(vocab_size=VOCAB_SIZE, layers=3, d_model=256, d_ff=1024, heads=8),
    "multi30k": MULTI30K_CPU.transformer_config(VOCAB_SIZE),
}
Pairs = list[tuple[str, str]]


@contextmanager
def one_thread() -> Iterator[None]:
    """Everything inside runs on one thread, so that process CPU time is what one core works."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def real_text(data_dir: Path | str | None) -> tuple[Pairs, Tokeniser, list[str]]:
    """Training pairs of Multi30k, a shared BPE learnt from them, and notes; the embedded corpus where it is not there.

    A folder that was named and does not hold Multi30k is an error all the same.
    """
    notes = []
    try:
        pairs = load_corpus("multi30k", data_dir=data_dir).split("train")
    except DataError as error:
        if data_dir is not None:
            raise
        notes.append(f"Measured on the embedded corpus, whose sentences are shorter and more alike: {error}")
        pairs = load_corpus("embedded").split("train")
    texts = [sentence for pair in pairs for sentence in pair]
    return pairs, learn_tokeniser("bpe", texts, VOCAB_SIZE), notes


def token_batches(pairs: Pairs, tokeniser: Tokeniser) -> TokenBatches:
    """The batches that the bench trains on."""
    return TokenBatches(pairs, tokeniser, BATCH_TOKENS)


def chosen_sizes(names: Sequence[str], vocab_size: int) -> dict[str, TransformerConfig]:
    """The sizes of those names, for a vocabulary; ConfigError lists the names there are."""
    if unknown := [name for name in names if name not in SIZES]:
        raise ConfigError(f"sizes has {unknown[0]!r}: good values are {', '.join(SIZES)}.")
    return {name: TransformerConfig.from_dict({**SIZES[name].to_dict(), "vocab_size": vocab_size}) for name in names}


def check_counts(**counts: int) -> None:
    """ConfigError for a number of batches or rounds below 1."""
    for name, count in counts.items():
        if not (isinstance(count, int) and count >= 1):
            raise ConfigError(f"{name} is {count!r}: good values are whole numbers from 1.")


# ---- the clock ------------------------------------------------------------------------------------------------------


def cpu_seconds(work: Callable[[], object]) -> float:
    """The CPU time that this process spends on `work`; what others do on the machine hardly counts."""
    start = time.process_time()
    work()
    return time.process_time() - start


def interleaved(contestants: dict[str, Callable[[int], object]], items: int, rounds: int) -> dict[str, list[float]]:
    """CPU seconds of each contestant on items 0 … items − 1, `rounds` times over.

    For each item all take their turn, and who goes first moves on from item to item: what slows the machine down for
    a second slows everybody down. Each has run once, unmeasured, on item 0 before. Waste is collected between turns,
    on nobody's time.
    """
    names = list(contestants)
    for name in names:
        contestants[name](0)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    turn = 0
    for _ in range(rounds):
        for item in range(items):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                gc.collect()
                seconds[name].append(cpu_seconds(lambda name=name, item=item: contestants[name](item)))
            turn += 1
    return seconds


def summary(values: Sequence[float]) -> dict[str, float]:
    """Median and quartiles."""
    if len(values) == 1:
        return {"median": values[0], "low": values[0], "high": values[0]}
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": middle, "low": low, "high": high}


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """How many times faster we are: theirs / ours item by item, then median and quartiles."""
    return summary([their / our for our, their in zip(ours, theirs, strict=True)])


# ---- the report -----------------------------------------------------------------------------------------------------


def conditions() -> dict:
    """Where and when a measurement was made."""
    report = {
        "command": " ".join(["python", *sys.orig_argv[1:]]),
        "when": time.strftime("%Y-%m-%d %H:%M:%S %Z"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": None,
        "clock": "process CPU time",
    }
    if marian_there():
        from importlib.metadata import version

        report["transformers"] = version("transformers")
    return report


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def write_report(report: dict, out: Path | str | None) -> dict:
    """Writes a report as JSON if a path is given. Returns it."""
    if out is not None:
        write_text(Path(out), json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    return report
