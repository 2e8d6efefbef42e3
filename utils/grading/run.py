"""A grading run: what came back is collected, what is new or changed is graded, and the reports are written anew."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from utils.exercises.home import write_whole
from utils.grading.collect import Collection, Submission
from utils.grading.feedback import feedback
from utils.grading.junit import merged
from utils.grading.results import SubmissionResult
from utils.grading.store import Store
from utils.grading.workers import Workers

Progress = Callable[[Submission, SubmissionResult | None], None]


@dataclass
class Run:
    """What came of it."""

    results: dict[str, SubmissionResult]  # by the submission's identifier
    troubles: dict[str, str]  # submissions that could not be graded, and why
    taken_over: int  # graded in an earlier run
    seconds: float

    @property
    def complete(self) -> bool:
        """Whether every submission could be graded wholly."""
        return not self.troubles and all(result.complete for result in self.results.values())


def run(collection: Collection, store: Store, workers: Workers, progress: Progress = lambda *_: None) -> Run:
    """Grades what is new or changed. Interrupted at any moment, it leaves records that the next run takes over."""
    started = time.time()
    store.prepare()
    done: dict[str, SubmissionResult] = {}
    for submission in collection.submissions:
        if (kept := store.kept(submission)) is not None:
            done[submission.identifier] = kept
            progress(submission, kept)
    taken_over, troubles = len(done), {}
    store.write_run(collection, done, started, workers.jobs)  # the seed first, so that an interrupted run has it
    ahead: threading.Thread | None = None
    waiting = [submission for submission in collection.submissions if submission.identifier not in done]
    try:
        for submission, answer in workers.grade(waiting, store.secret, store.junit_file):
            if "result" in answer:
                result = SubmissionResult.from_dict(answer["result"])
                result.notes = [*submission.notes, *result.notes]
                write_whole(store.feedback_file(submission), feedback(result))
                store.keep(submission, result)  # last: what is kept is not graded again, so its page must be there
                done[submission.identifier] = result
            else:
                troubles[submission.identifier] = answer["trouble"]
            progress(submission, done.get(submission.identifier))
            if ahead is None:  # from here on the workers leave time for it
                ahead = threading.Thread(target=_load_reports, daemon=True)
                ahead.start()
    finally:
        write_reports(collection, store, done, started, workers.jobs)
    return Run(done, troubles, taken_over, time.time() - started)


def _load_reports() -> None:
    """Loads what the reports on the class need, torch among it."""
    import utils.exercises.registry
    import utils.grading.classreport
    import utils.grading.copies
    import utils.grading.gradebook  # noqa: F401


def write_reports(
    collection: Collection, store: Store, done: dict[str, SubmissionResult], started: float, jobs: int
) -> None:
    """All that is about the class as a whole."""
    from utils.grading.classreport import class_report, key_of
    from utils.grading.gradebook import gradebook, long_form

    ordered = [(s, done[s.identifier]) for s in collection.submissions if s.identifier in done]
    results = [result for _, result in ordered]
    flags = copies_among(results)
    links = {key_of(result): f"feedback/{submission.identifier}.html" for submission, result in ordered}
    by_learner: dict[str, list[str]] = {}
    for result in results:
        by_learner.setdefault(result.learner, []).extend(flags.get(key_of(result), []))
    write_whole(store.out / "gradebook.csv", "\ufeff" + gradebook(results))
    write_whole(store.out / "answers.csv", "\ufeff" + long_form(results, by_learner))
    report = class_report(results, collection, flags, store.confined, links, sum(result.seconds for result in results))
    write_whole(store.out / "class.html", report)
    reports = [(f"{r.learner} {r.chapter}", store.junit_file(s)) for s, r in ordered]
    write_whole(store.out / "junit.xml", merged(reports))
    store.write_run(collection, done, started, jobs)


def copies_among(results: Sequence[SubmissionResult]) -> dict[str, list[str]]:
    """Sentences on answers that equal another learner's, by learner and chapter."""
    from utils.grading.copies import alike, prints
    from utils.grading.pristine import pristine

    found: dict[str, list[str]] = {}
    for number in sorted({result.chapter for result in results}):
        chapter = pristine(number)
        solved = {n: prints(text, chapter.names[n]) for n, text in chapter.solutions.items()}
        own = {result.learner: result.prints for result in results if result.chapter == number}
        for learner, sentences in alike(own, solved).items():
            found[f"{learner}\0{number}"] = sentences
    return found
