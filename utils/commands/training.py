"""What a person sees of a training run while it goes on: bar, curve, samples; Ctrl-C stops it without loss."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from tqdm.auto import tqdm

from utils.training.prepare import corpus_of
from utils.training.runs import RunFolder
from utils.training.trainer import Trainer
from utils.translation.scores import score
from utils.translation.translate import translate

SCORED = 200  # validation sentences that are translated at the end of a run


class TrainingDisplay:
    """A progress bar with loss, tokens/s and time left; draws the curve anew with each validation."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.shown: dict[str, str] = {}
        self.bar = tqdm(
            total=trainer.settings.updates,
            initial=trainer.update,
            unit="update",
            dynamic_ncols=True,
            disable=not trainer.world.leads,
            bar_format="{percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} updates, {remaining} left{postfix}",
            smoothing=0.1,
        )

    def report(self, record: dict) -> None:
        """Takes a metric record of the trainer; of several processes, only the leading one shows anything."""
        if not self.trainer.world.leads:
            return
        if record["kind"] == "train":
            self.shown |= {"loss": f"{record['loss']:.2f}", "tokens/s": f"{record['tokens_per_second']:,.0f}"}
        else:
            self.shown |= {"valid": f"{record['loss']:.3f}"}
            draw_curve(self.trainer.folder)
        self.bar.set_postfix(self.shown, refresh=False)
        self.bar.update(record["update"] - self.bar.n)

    def close(self) -> None:
        """Ends the bar's line."""
        self.bar.close()


def draw_curve(folder: RunFolder) -> None:
    """Draws the run's metrics to loss.png."""
    from utils.plots import save, training_curves  # matplotlib takes a second to load, and translating needs none

    if metrics := folder.metrics():
        save(training_curves(metrics), folder.curve_file)


@contextmanager
def stop_on_interrupt(alone: bool = True) -> Iterator[threading.Event]:
    """Within, the first Ctrl-C (or SIGTERM) sets the event; a second Ctrl-C ends the program at once.

    Not alone: several processes might stop after different updates and wait for each other, so they just end.
    """
    asked = threading.Event()
    if not alone:
        yield asked
        return

    def ask(signum, frame) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        print("\nStopping after this update; once more to stop at once.", file=sys.stderr)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def train_visibly(trainer: Trainer, console: Console) -> bool:
    """Runs a trainer to its end with a display. Returns False when it was interrupted (and saved)."""
    display = TrainingDisplay(trainer)
    with stop_on_interrupt(trainer.world.size == 1) as asked:
        try:
            trainer.run(display.report, asked.is_set)
        finally:
            display.close()
    if not trainer.world.leads:
        return True
    draw_curve(trainer.folder)
    if asked.is_set():
        console.print(f"Stopped at update {trainer.update}. Go on with: python -m utils resume {trainer.folder.path}")
        return False
    show_samples(trainer, console)
    return True


def show_samples(trainer: Trainer, console: Console) -> None:
    """Translates some validation sentences greedily: the score of all, the text of three."""
    pairs = corpus_of(trainer.settings).split("valid")[:SCORED]
    sources, references = [source for source, _ in pairs], [target for _, target in pairs]
    hypotheses = translate(trainer.model, trainer.tokeniser, sources, beam=1)
    for source, hypothesis, reference in list(zip(sources, hypotheses, references, strict=True))[:3]:
        console.print(
            f"\n  source     {source}\n  translated {hypothesis}\n  reference  {reference}",
            highlight=False,
            markup=False,
        )
    run = trainer.folder.path
    console.print(
        f"\nBest validation loss {trainer.best_loss:.3f} at update {trainer.best_update}; "
        f"BLEU {score(hypotheses, references).bleu:.1f} on {len(pairs)} validation sentences (greedy).\n"
        f"Everything is in {run}. Next: python -m utils evaluate --run {run}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
