"""From settings to a trainer: corpus, vocabulary, batches, model and run folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from utils.text import TokenBatches, learn_tokeniser, load_corpus
from utils.text.corpora import Corpus
from utils.text.tokenise import BPETokeniser, WordTokeniser
from utils.training.device import choose_device
from utils.training.distributed import World, share_object, world
from utils.training.runs import RunFolder, build_model, new_run_path
from utils.training.settings import Settings
from utils.training.trainer import Trainer
from utils.transformer import FUSED, Parts

LONGEST = 256  # tokens; a longer training pair is left out, since memory grows with the square


def corpus_of(settings: Settings) -> Corpus:
    """The corpus that the settings name."""
    s = settings
    return load_corpus(s.corpus, s.direction, s.data_dir, s.source_file, s.target_file)


def learn_vocabulary(settings: Settings, corpus: Corpus) -> WordTokeniser | BPETokeniser:
    """One vocabulary for both languages, from the training split alone (§5.1)."""
    texts = [sentence for pair in corpus.split("train") for sentence in pair]
    return learn_tokeniser(settings.tokeniser, texts, settings.vocab_size)


def with_absolute_paths(settings: Settings) -> Settings:
    """The settings with paths that hold from any folder: a run may be resumed from another one."""
    given = {name: getattr(settings, name) for name in ("data_dir", "source_file", "target_file")}
    return replace(settings, **{name: str(Path(path).resolve()) for name, path in given.items() if path})


@contextmanager
def new_run(settings: Settings, path: Path | None = None, parts: Parts = FUSED) -> Iterator[Trainer]:
    """Makes a run folder and a trainer before its first update. `parts` are what a model "mine" is made of."""
    device = choose_device(settings.device)
    settings = with_absolute_paths(settings)
    with world(device) as processes:
        corpus = corpus_of(settings)
        tokeniser = learn_vocabulary(settings, corpus)
        path = Path(share_object(str(path or new_run_path(settings)), processes))
        folder = RunFolder.create(path, settings, tokeniser) if processes.leads else RunFolder(path)
        share_object(None, processes)  # nobody goes on before the folder is there
        yield make_trainer(settings, corpus, tokeniser, folder, device, processes, parts)


@contextmanager
def taken_up_run(folder: RunFolder, parts: Parts = FUSED) -> Iterator[Trainer]:
    """A trainer for an existing run folder, at its newest checkpoint."""
    settings, tokeniser = folder.settings(), folder.tokeniser()
    device = choose_device(settings.device)
    with world(device) as processes:
        trainer = make_trainer(settings, corpus_of(settings), tokeniser, folder, device, processes, parts)
        trainer.resume()
        yield trainer


def make_trainer(
    settings: Settings,
    corpus: Corpus,
    tokeniser: WordTokeniser | BPETokeniser,
    folder: RunFolder,
    device: torch.device,
    processes: World | None = None,
    parts: Parts = FUSED,
) -> Trainer:
    """A trainer whose weights are drawn from the settings' seed."""
    processes = processes or World()
    torch.manual_seed(settings.seed)
    model = build_model(settings, tokeniser.vocab_size, parts)
    torch.manual_seed(settings.seed + 1_000 * processes.rank)  # each process draws dropout of its own
    longest = min(LONGEST, settings.max_len) if settings.positions == "learned" else LONGEST
    train, valid = (
        TokenBatches(corpus.split(split), tokeniser, settings.batch_tokens, settings.seed, longest)
        for split in ("train", "valid")
    )
    return Trainer(settings, model, tokeniser, train, valid, folder, device, processes)
