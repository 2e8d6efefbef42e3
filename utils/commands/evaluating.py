"""`python -m utils evaluate`: scores of a run on a test set, and its translations as a file."""

import json
import math
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tqdm.auto import tqdm

from utils.commands.own import own_parts
from utils.errors import ConfigError
from utils.text import TokenBatches, read_pairs
from utils.training.device import choose_device
from utils.training.prepare import corpus_of
from utils.training.runs import RunFolder, load_run, write_text
from utils.training.settings import Settings
from utils.training.trainer import corpus_loss
from utils.translation.scores import Scores, score
from utils.translation.translate import translate


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` reports."""

    test_set: str
    sentences: int
    scores: Scores
    perplexity: float  # per token of the run's own vocabulary: comparable only between runs that share it
    token_name: str
    beam: int
    length_penalty: float
    seconds: float
    hypotheses_file: str


def evaluate_run(
    folder: RunFolder,
    checkpoint: Path | None = None,
    split: str = "test",
    source_file: Path | None = None,
    target_file: Path | None = None,
    data_dir: Path | None = None,
    beam: int = 4,
    length_penalty: float = 0.6,
    lowercase: bool = False,
    out: Path | None = None,
    device: str = "auto",
) -> Evaluation:
    """Translates a split of the run's corpus, or two files of your own, and scores the translations."""
    if out is not None and out.exists():
        raise ConfigError(f"{out} exists: choose another --out, or remove that file.")
    settings = folder.settings()
    if data_dir is not None:
        settings = replace(settings, data_dir=str(data_dir))
    test_set, pairs = _test_pairs(settings, split, source_file, target_file)
    model, tokeniser, _ = load_run(folder, checkpoint, own_parts(settings, folder)[0])
    where = choose_device(device)
    model.to(where)
    sources, references = [source for source, _ in pairs], [target for _, target in pairs]
    start = time.perf_counter()
    with tqdm(total=len(pairs), unit="sentence", leave=False, dynamic_ncols=True) as bar:
        hypotheses = translate(
            model, tokeniser, sources, beam, length_penalty, progress=lambda done, total: bar.update(done - bar.n)
        )
    seconds = time.perf_counter() - start
    longest = max(max(len(tokeniser.encode(sentence)) for sentence in pair) for pair in pairs) + 1
    batches = TokenBatches(pairs, tokeniser, max(settings.batch_tokens, longest))
    perplexity = math.exp(min(corpus_loss(model, batches, where), 700.0))
    path = out or folder.path / f"{test_set.replace(' ', '_').replace('/', '_')}.beam{beam}{'.lc' * lowercase}.txt"
    write_text(path, "".join(" ".join(line.split()) + "\n" for line in hypotheses))
    result = Evaluation(
        test_set, len(pairs), score(hypotheses, references, lowercase), perplexity,
        "word" if settings.tokeniser == "words" else "subword", beam, length_penalty, round(seconds, 1), str(path),
    )  # fmt: skip
    if out is None:
        write_text(path.with_suffix(".json"), json.dumps(asdict(result), indent=1) + "\n")
    return result


def _test_pairs(
    settings: Settings, split: str, source_file: Path | None, target_file: Path | None
) -> tuple[str, list[tuple[str, str]]]:
    if (source_file is None) != (target_file is None):
        raise ConfigError("A test set of your own needs both --source-file and --target-file.")
    if source_file is not None:
        return Path(source_file).stem, read_pairs(source_file, target_file)
    return f"{settings.corpus} {split}", corpus_of(settings).split(split)
