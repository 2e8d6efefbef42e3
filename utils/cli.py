"""The command line, `python -m utils …`: a thin face over the packages below it."""

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from typer.core import TyperGroup

from utils.errors import ConfigError, CourseError


class _Commands(TyperGroup):
    """Makes the options of `train` when it is called: they come from settings that import torch."""

    def resolve_command(self, ctx: typer.Context, args: list[str]):
        """The command that the words ask for, with all its options."""
        if args[:1] != ["train"]:
            return super().resolve_command(ctx, args)
        from utils.commands.options import with_settings

        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        alone.command("train")(with_settings(train))
        return "train", typer.main.get_command(alone), args[1:]


app = typer.Typer(
    cls=_Commands,
    help="Attention, Rebuilt: train, translate and measure the Transformer of 2017.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
bench_app = typer.Typer(help="Measure speed side by side with peers, in one run.", no_args_is_help=True)
app.add_typer(bench_app, name="bench")
console = Console(highlight=False, soft_wrap=True)

RunOption = Annotated[Path | None, typer.Option("--run", help="run folder; the newest by default")]
CheckpointOption = Annotated[Path | None, typer.Option(help="a checkpoint of that run in place of its finished model")]
BeamOption = Annotated[int, typer.Option(help="hypotheses kept per sentence; 1: greedy")]
PenaltyOption = Annotated[float, typer.Option(help="alpha of the length penalty (section 6.1)")]
DeviceOption = Annotated[str, typer.Option(help="auto, cuda, mps or cpu")]


def main() -> None:
    """Runs a command; what went wrong is told in one sentence, with a non-zero exit status."""
    try:
        app()
    except CourseError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(1)
    except (RuntimeError, MemoryError) as error:
        if "memory" not in str(error).lower() and not isinstance(error, MemoryError):
            raise
        print("Error: The memory does not suffice: lower --batch-tokens or take a smaller --preset.", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output, `head` for one, has seen enough
        sys.stderr.close()
        sys.exit(0)


@app.command()
def train(
    out: Annotated[Path | None, typer.Option(help="run folder to make; runs/… by default")] = None, **changes
) -> None:
    """Train a translator: on the embedded corpus unless told otherwise."""
    from utils.commands.own import keep_own_code, own_parts
    from utils.commands.training import train_visibly
    from utils.training.device import choose_device
    from utils.training.prepare import new_run
    from utils.training.settings import preset_settings

    on_cpu = choose_device(changes.get("device", "auto")).type == "cpu"
    preset, corpus = changes.pop("preset", None), changes.pop("corpus", None)
    settings = preset_settings(preset, corpus, on_cpu, **changes)
    parts, told = own_parts(settings)
    with new_run(settings, out, parts) as trainer:
        if told and trainer.world.leads:
            keep_own_code(trainer.folder)
        _introduce(trainer, told)
        finished = train_visibly(trainer, console)
    raise typer.Exit(0 if finished else 130)


@app.command()
def resume(run: Annotated[Path, typer.Argument(help="run folder of a training that was cut off")]) -> None:
    """Go on with a run that was killed or stopped."""
    from utils.commands.own import own_parts
    from utils.commands.training import train_visibly
    from utils.training.prepare import taken_up_run
    from utils.training.runs import find_run

    folder = find_run(run)
    if folder.settings() and folder.final_file.exists():
        console.print(f"{run} is complete: there is nothing to resume.")
        return
    parts, told = own_parts(folder.settings(), folder)
    with taken_up_run(folder, parts) as trainer:
        _introduce(trainer, told)
        finished = train_visibly(trainer, console)
    raise typer.Exit(0 if finished else 130)


def _introduce(trainer, told: list[str]) -> None:
    from utils.training.device import device_advice
    from utils.training.settings import MINUTES_ON_CPU

    if not trainer.world.leads:
        return
    s, train_batches = trainer.settings, trainer.train_batches
    parameters = sum(p.numel() for p in trainer.model.parameters())
    left_out = f", {train_batches.left_out} too long and left out" if train_batches.left_out else ""
    console.print(
        f"corpus  {s.corpus}, {len(train_batches):,} training pairs{left_out}; "
        f"{trainer.tokeniser.vocab_size:,} {s.tokeniser} in the vocabulary\n"
        f"model   {s.model}, {parameters / 1e6:.2f} million parameters\n"
        f"device  {trainer.device}, {str(trainer.dtype or 'float32').removeprefix('torch.')}\n"
        f"run     {trainer.folder.path}, from update {trainer.update}"
    )
    for number, sentence in enumerate(told):
        console.print(f"{'parts' if number == 0 else '':7} {sentence}", markup=False)
    if advice := device_advice(trainer.device, s.preset, MINUTES_ON_CPU[s.preset]):
        console.print(f"note    {advice}")


@app.command()
def translate(
    text: Annotated[list[str] | None, typer.Argument(help="a sentence; without it, --file or standard input")] = None,
    run: RunOption = None,
    checkpoint: CheckpointOption = None,
    file: Annotated[Path | None, typer.Option(help="a text file, one sentence a line")] = None,
    beam: BeamOption = 4,
    length_penalty: PenaltyOption = 0.6,
    show_attention: Annotated[Path | None, typer.Option(help="draw the cross-attention to this PNG")] = None,
    device: DeviceOption = "auto",
) -> None:
    """Translate a sentence, a file or standard input with a trained run."""
    from utils.commands.own import own_parts
    from utils.commands.translating import draw_attention, read_input, translate_checked
    from utils.training.device import choose_device
    from utils.training.runs import find_run, load_run

    sentences, origin = read_input(text, file)
    if show_attention and len(sentences) != 1:
        raise ConfigError(f"--show-attention draws one sentence, and there are {len(sentences)}: give a single one.")
    folder = find_run(run)
    model, tokeniser, _ = load_run(folder, checkpoint, own_parts(folder.settings(), folder)[0])
    model.to(choose_device(device))
    for translation in translate_checked(model, tokeniser, sentences, origin, beam, length_penalty):
        print(translation)
    if show_attention:
        draw_attention(model, tokeniser, sentences[0], translation, show_attention)


@app.command()
def evaluate(
    run: RunOption = None,
    checkpoint: CheckpointOption = None,
    split: Annotated[str, typer.Option(help="test, valid, train or, for the embedded corpus, long")] = "test",
    source_file: Annotated[Path | None, typer.Option(help="a test set of your own: one sentence a line")] = None,
    target_file: Annotated[Path | None, typer.Option(help="its references, line by line")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="folder with Multi30k, if not where it was in training")] = None,
    beam: BeamOption = 4,
    length_penalty: PenaltyOption = 0.6,
    lowercase: Annotated[bool, typer.Option(help="score without regard to case (sacrebleu -lc)")] = False,
    out: Annotated[Path | None, typer.Option(help="file for the translations; in the run folder by default")] = None,
    device: DeviceOption = "auto",
) -> None:
    """Score a run on a test set: BLEU and chrF by sacreBLEU, perplexity; writes the translations."""
    from utils.commands.evaluating import evaluate_run
    from utils.training.runs import find_run

    folder = find_run(run)
    result = evaluate_run(
        folder, checkpoint, split, source_file, target_file, data_dir, beam, length_penalty, lowercase, out, device
    )
    console.print(
        f"run         {folder.path}\n"
        f"test set    {result.test_set}, {result.sentences:,} sentences\n"
        f"BLEU        {result.scores.bleu:.2f}   {result.scores.bleu_signature}\n"
        f"chrF        {result.scores.chrf:.2f}   {result.scores.chrf_signature}\n"
        f"perplexity  {result.perplexity:.2f}   per {result.token_name}\n"
        f"decoding    beam {beam}, length penalty {length_penalty:g}, {result.seconds:.1f} s\n"
        f"written     {result.hypotheses_file}"
    )


@app.command()
def record(
    run: Annotated[Path, typer.Argument(help="a finished run folder")],
    out: Annotated[Path, typer.Option(help="the JSON file, under assets/runs/ for a figure of the course")],
    replace: Annotated[bool, typer.Option(help="overwrite an earlier record")] = False,
) -> None:
    """Keep a run's curve and scores with command, versions, hardware and seed."""
    from utils.commands.recording import record_run
    from utils.training.runs import find_run

    console.print(f"written {record_run(find_run(run), out, replace)}")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def lab(
    context: typer.Context,
    check: Annotated[bool, typer.Option("--check", help="only say whether this machine is fit for the course")] = False,
) -> None:
    """Open the course in JupyterLab; further options are JupyterLab's own."""
    from utils.commands.lab import open_lab

    if check:
        from utils.commands.machine import check_machine

        problems = check_machine(partial(console.print, markup=False))
        console.print("All is well: python -m utils lab." if not problems else f"Things to mend: {problems}.")
        raise typer.Exit(min(problems, 1))
    raise typer.Exit(open_lab(context.args))


@app.command()
def build(
    chapters: Annotated[list[str] | None, typer.Argument(help="numbers such as 03; all by default")] = None,
    check: Annotated[bool, typer.Option("--check", help="only say what no longer matches its source")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace chapters whose cells were changed")] = False,
) -> None:
    """Make chapters/ and the executed solutions/ from the sources solutions/NN_slug.py."""
    from utils.notebooks.build import build as build_chapters
    from utils.notebooks.build import check_built

    if check:
        mismatches = check_built(chapters)
        console.print("\n".join(mismatches) or "Every notebook matches its source.", markup=False)
        raise typer.Exit(1 if mismatches else 0)
    for path in build_chapters(chapters, overwrite=overwrite):
        console.print(f"written {path}")


@app.command()
def release(out: Annotated[Path, typer.Argument(help="folder to make, and a .zip beside it")]) -> None:
    """Pack what learners get: chapters, utils, assets; no solutions, no tests."""
    from utils.grading.pristine import copies
    from utils.notebooks.release import release as pack

    console.print(f"written {out} and {pack(out, more=copies)}")


UnsafeOption = Annotated[
    bool, typer.Option("--unsafe-no-sandbox", help="run learners' code unconfined: only what you trust")
]


@app.command()
def grade(
    submissions: Annotated[Path, typer.Argument(help="folder or zip file with the notebooks, in whatever shape")],
    out: Annotated[Path, typer.Option(help="folder for gradebook, feedback and reports")] = Path("grades"),
    chapter: Annotated[list[str] | None, typer.Option(help="only this chapter, such as 03; may be repeated")] = None,
    jobs: Annotated[int, typer.Option(help="processes that grade at the same time")] = 1,
    seed: Annotated[str | None, typer.Option(help="the seed of another run (run.json), to repeat its points")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only list what would be graded")] = False,
    unsafe_no_sandbox: UnsafeOption = False,
) -> None:
    """Grade a class: gradebook, a feedback page a learner, a class report."""
    from utils.grading.sandbox import require_sandbox
    from utils.grading.workers import Workers
    from utils.quick import without_iri_grammar

    without_iri_grammar()
    say = partial(console.print, markup=False)
    if not submissions.exists():
        raise ConfigError(f"There is no {submissions}: give the folder or the zip file with the notebooks.")
    if jobs < 1:
        raise ConfigError(f"--jobs is {jobs}: good values start from 1.")
    if dry_run:
        from utils.commands.grading import list_folder

        raise typer.Exit(list_folder(submissions, out, chapter or [], say))
    confined = require_sandbox(unsafe_no_sandbox)
    with Workers(jobs, confined, [submissions, out]) as workers:  # they load while this process does
        from utils.commands.grading import grade_folder

        status = grade_folder(submissions, out, chapter or [], seed, confined, workers, say)
    raise typer.Exit(status)


@app.command("check-notebook")
def check_notebook(
    notebook: Annotated[Path, typer.Argument(help="your own notebook")],
    unsafe_no_sandbox: UnsafeOption = False,
) -> None:
    """Grade your own notebook as the class is graded, with a public seed."""
    from utils.commands.grading import check_notebook as check
    from utils.quick import without_iri_grammar

    without_iri_grammar()
    raise typer.Exit(check(notebook, unsafe_no_sandbox, partial(console.print, markup=False)))


BenchData = Annotated[
    Path | None, typer.Option(help="folder with Multi30k; else $MULTI30K_DIR, else the embedded corpus")
]
BenchOut = Annotated[Path | None, typer.Option(help="JSON file for the figures; bench/… by default")]


RoundsOption = Annotated[int, typer.Option(help="how often everything is timed again")]


@bench_app.command("train")
def bench_train(data_dir: BenchData = None, out: BenchOut = None, rounds: RoundsOption = 2) -> None:
    """Training updates: ours, torch.nn.Transformer and, where installed, Marian."""
    from utils import bench

    _bench(bench.bench_train, "train", data_dir, out, rounds)


@bench_app.command("decode")
def bench_decode(data_dir: BenchData = None, out: BenchOut = None, rounds: RoundsOption = 3) -> None:
    """Greedy and beam decoding: ours, torch.nn.Transformer without cache and, where installed, Marian."""
    from utils import bench

    _bench(bench.bench_decode, "decode", data_dir, out, rounds)


@bench_app.command("data")
def bench_data(data_dir: BenchData = None, out: BenchOut = None, rounds: RoundsOption = 3) -> None:
    """The loader: its share of a training epoch, and torchtext's iterator beside it."""
    from utils import bench

    _bench(bench.bench_data, "data", data_dir, out, rounds)


@bench_app.command("grade")
def bench_grade(notebooks: Annotated[int, typer.Option(help="how many notebooks each grades")] = 12) -> None:
    """Grading: ours, and nbgrader and otter where they are installed."""
    from utils.bench.grade import bench_grade as measure
    from utils.bench.grade import report

    console.print(report(measure(notebooks)), markup=False)


def _bench(measure, name: str, data_dir: Path | None, out: Path | None, rounds: int) -> None:
    from utils.bench import print_report

    out = out or Path("bench") / f"{name}.json"
    wide = console if console.is_terminal else Console(highlight=False, width=120)  # a pipe would get 80 columns
    print_report(measure(data_dir=data_dir, out=out, rounds=rounds), wide)
    console.print(f"written {out}")
