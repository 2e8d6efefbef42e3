"""`python -m utils grade` and `check-notebook`: what a person sees of a grading run."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tqdm.auto import tqdm

from utils.errors import ConfigError, CourseError
from utils.grading.collect import Collection, Submission, collect
from utils.grading.results import SubmissionResult
from utils.grading.run import Run, run
from utils.grading.sandbox import find_bwrap
from utils.grading.seeds import PUBLIC, new_secret, read_secret
from utils.grading.store import Store, seed_of_earlier_run
from utils.grading.workers import Workers

MARKS = {True: "✓", False: "✗"}


def list_folder(place: Path, out: Path, chapters: Sequence[str], say) -> int:
    """Says what would be graded; returns the exit status: 0 when nothing is to be looked at."""
    collection = collect(place, chapters, leave_out=out)
    _tell_what_was_found(collection, say)
    for submission in collection.submissions:
        say(f"would grade  {submission.learner}  chapter {submission.chapter}  {submission.file}")
    return 1 if collection.trouble else 0


def grade_folder(
    place: Path, out: Path, chapters: Sequence[str], seed: str | None, confined: bool, workers: Workers, say
) -> int:
    """Grades what lies in a folder or zip file; returns the exit status: 0 when all could be graded."""
    collection = collect(place, chapters, leave_out=out)
    _tell_what_was_found(collection, say)
    if not collection.submissions:
        raise CourseError(f"{place} holds no notebook that can be graded: see the list above.")
    if not confined:
        print("Warning: no sandbox. Submissions can read the solutions and change your files.", file=sys.stderr)
    secret = read_secret(seed) if seed else seed_of_earlier_run(out) or new_secret()
    store = Store(out, secret, confined)
    started = time.monotonic()
    try:
        with _Bar(collection) as bar:
            done = run(collection, store, workers, bar.step)
    except OSError as error:
        raise CourseError(
            f"{out} cannot be written to ({error.strerror or error}): make room there or choose another --out. What is "
            "graded so far is kept: the same command goes on."
        ) from None
    except KeyboardInterrupt:
        say("interrupted  what is graded so far is kept: the same command goes on")
        raise
    _tell_result(collection, done, store, time.monotonic() - started, say)
    return 0 if done.complete and not collection.trouble else 1


class _Bar:
    """A progress bar with the time that is left."""

    def __init__(self, collection: Collection) -> None:
        self.bar = tqdm(total=len(collection.submissions), unit="notebook", dynamic_ncols=True, smoothing=0.1)

    def step(self, submission: Submission, result: SubmissionResult | None) -> None:
        """One more is done."""
        self.bar.set_postfix_str(submission.learner[:20], refresh=False)
        self.bar.update()

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()


def _tell_what_was_found(collection: Collection, say) -> None:
    count, harmless = len(collection.submissions), len(collection.listed) - len(collection.trouble)
    say(f"{count} notebook{'s' * (count != 1)} to grade, {len(collection.trouble)} to look at, {harmless} left out")
    for entry in collection.trouble:
        say(f"look at      {entry.file}: {entry.why}")
    for entry in collection.listed:
        if entry.harmless and "program left behind" not in entry.why:
            say(f"left out     {entry.file}: {entry.why}")


def _tell_result(collection: Collection, done: Run, store: Store, seconds: float, say) -> None:
    by_identifier = {submission.identifier: submission for submission in collection.submissions}
    for identifier, why in done.troubles.items():
        say(f"not graded   {by_identifier[identifier].file}: {why}")
    for identifier, result in done.results.items():
        if not result.complete:
            say(f"not complete {by_identifier[identifier].file}: {'; '.join(result.flags)}")
    new = len(done.results) - done.taken_over
    earlier = f", {done.taken_over} taken over from an earlier run" if done.taken_over else ""
    pace = f", {seconds / new:.2f} s each" if new else ""
    say(f"graded       {new} in {seconds:.0f} s{pace}{earlier}")
    say(f"written      {store.out}/gradebook.csv, answers.csv, class.html, feedback/, junit.xml, run.json")


def check_notebook(path: Path, unsafe: bool, say) -> int:
    """Grades a learner's own notebook with the public seed and prints what came out."""
    from utils.grading.grader import Grader
    from utils.grading.reading import UnreadableError

    confined = not unsafe and find_bwrap() is not None
    if not confined:
        say("note         no sandbox: your notebook runs as any program of yours does")
    if not path.is_file():
        raise ConfigError(f"There is no file {path}: give your notebook, such as chapters/03_….ipynb.")
    found = collect(path)
    if not found.submissions:
        unnamed = [entry for entry in found.listed if entry.chapter and entry.why.startswith("Whose it is")]
        if not unnamed:
            raise UnreadableError(f"{path}: {found.listed[0].why if found.listed else 'it cannot be read.'}")
        chapter = unnamed[0].chapter
    else:
        chapter = found.submissions[0].chapter
    with Grader(confined, private=[path.resolve().parent]) as grader:
        result = grader.grade(path.read_bytes(), PUBLIC, "you", chapter, path.name)
    for e in result.exercises:
        say(f"{MARKS[e.passed]} {e.number} {e.title}: {e.points:g} of {e.out_of} ({e.verdict})")
        said = [] if e.passed else [text for text in (e.message, e.explanation) if text]
        for text in (*said, *e.notes):
            say(f"    {text}")
    for note in result.notes:
        say(note)
    say(f"{result.points:g} points. The class is graded in the same way, on other inputs.")
    return 0 if result.complete else 1
