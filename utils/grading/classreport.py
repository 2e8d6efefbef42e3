"""The instructor's page: how the class did, which misunderstandings it shares, and what needs a human eye."""

from collections import Counter
from collections.abc import Mapping, Sequence

from utils.exercises.registry import exercise as exercise_of
from utils.grading.collect import Collection
from utils.grading.drawings import ORANGE, bars, histogram
from utils.grading.pages import escape, page, prose, table
from utils.grading.results import ExerciseResult, SubmissionResult

LOOKED_AT = (
    "forged",
    "died",
    "silent",
    "memory",
    "processes",
    "flooded",
    "ungraded",
)  # verdicts that a person should see


def class_report(
    results: Sequence[SubmissionResult], collection: Collection, flags: Mapping[str, list[str]], confined: bool,
    links: Mapping[str, str], seconds: float,
) -> str:  # fmt: skip
    """The page. flags: learner and chapter → sentences; links: likewise → that submission's feedback page."""
    graded = [result for result in results if result.exercises]
    learners = {result.learner for result in graded}
    parts = [f"<h1>Class report</h1><p>{len(graded)} notebooks of {len(learners)} learners, {seconds:.0f} seconds.</p>"]
    if not confined:
        parts.append("<p><b>Graded without a sandbox:</b> a submission could have read the solutions.</p>")
    parts += [_eye(graded, collection, flags, links)]
    for chapter in sorted({result.chapter for result in graded}):
        parts += _chapter(chapter, [result for result in graded if result.chapter == chapter])
    parts.append(_everybody(graded, links))
    return page("Class report", "\n".join(parts))


def key_of(result: SubmissionResult) -> str:
    """What flags and links are found by."""
    return f"{result.learner}\0{result.chapter}"


def reasons(result: SubmissionResult, flags: Mapping[str, list[str]]) -> list[str]:
    """Why a person should look at a submission."""
    found = [*result.flags, *flags.get(key_of(result), [])]
    for e in result.exercises:
        found += [f"{e.number}: {flag}" for flag in e.flags]
        if e.verdict in LOOKED_AT:
            found.append(f"{e.number}: {e.message}")
    return found


def _eye(graded: Sequence[SubmissionResult], collection: Collection, flags, links) -> str:
    rows = [
        [_link(result, links), escape(result.chapter), "<br>".join(map(prose, why))]
        for result in graded
        if (why := reasons(result, flags))
    ]
    parts = ["<h2>Needs a human eye</h2>"]
    parts.append(table(["Learner", "Chapter", "Why"], rows) if rows else "<p>No graded notebook does.</p>")
    if collection.trouble:
        listed = [[escape(entry.file), prose(entry.why)] for entry in collection.trouble]
        parts.append(f"<h2>Not graded</h2>{table(['File', 'Why'], listed)}")
    harmless = [entry for entry in collection.listed if entry.harmless]
    if harmless:
        listed = [[escape(entry.file), prose(entry.why)] for entry in harmless]
        parts.append(
            f"<details><summary>{_files(len(harmless))} nobody expects to be graded</summary>"
            f"{table(['File', 'Why'], listed)}</details>"
        )
    return "".join(parts)


def _chapter(chapter: str, results: Sequence[SubmissionResult]) -> list[str]:
    numbers = [e.number for e in results[0].exercises]
    by_number: dict[str, list[ExerciseResult]] = {n: [] for n in numbers}
    for result in results:
        for e in result.exercises:
            by_number.setdefault(e.number, []).append(e)
    shares = []
    for number, answers in by_number.items():
        points, out_of = sum(e.points for e in answers) / len(answers), answers[0].out_of
        passed = sum(e.passed for e in answers)
        shares.append((f"{number} {answers[0].title}", points / out_of, f"{points:.2f} of {out_of}, {passed} passed"))
    wrong = Counter((e.number, e.misconception) for answers in by_number.values() for e in answers if e.misconception)
    common = [(f"{number} {name}", float(count), str(count)) for (number, name), count in wrong.most_common(12)]
    declared = [exercise_of(number) for number in numbers]
    best = sum(e.points for e in declared)
    extra = sum(e.points for e in declared if e.optional)
    totals = [result.points for result in results]
    middle = sorted(totals)[len(totals) // 2]
    parts = [f"<h2>Chapter {escape(chapter)}</h2>"]
    parts.append(bars(shares, "Share of the points, by exercise", 1.0))
    parts.append(
        histogram(totals, f"Totals: the middle learner has {middle:g} points; {_of(best, extra)}", "points", best)
    )
    parts.append(bars(common, "Most frequent misconceptions, in answers", colour=ORANGE))
    sentences = [
        [escape(number), escape(name), prose(_sentence(number, name)), str(count)]
        for (number, name), count in wrong.most_common(12)
    ]
    parts.append(table(["", "Misconception", "What was said", "Answers"], sentences, {3}) if sentences else "")
    times = sorted(
        ((e.seconds, result.learner, e.number) for result in results for e in result.exercises), reverse=True
    )
    slowest = [
        (f"{learner}, {number}", seconds, f"{seconds:.1f} s") for seconds, learner, number in times[:5] if seconds
    ]
    parts.append(bars(slowest, f"Time: {sum(r.seconds for r in results):.0f} s in all; the slowest answers"))
    return parts


def _sentence(number: str, name: str) -> str:
    found = [m.sentence for m in exercise_of(number).misconceptions if m.name == name]
    return found[0] if found else ""


def _of(best: int, extra: int) -> str:
    more = f", and {extra} more in optional exercises" if extra else ""
    return f"{best - extra} to be had{more}"


def _files(count: int) -> str:
    return f"{count} files that" if count != 1 else "1 file that"


def _everybody(graded: Sequence[SubmissionResult], links) -> str:
    """A table a chapter: a row a learner, a column an exercise."""
    parts = ["<h2>Everybody</h2>"]
    for chapter in sorted({result.chapter for result in graded}):
        of_it = [result for result in graded if result.chapter == chapter]
        header = [f"Chapter {chapter}", *(escape(e.number) for e in of_it[0].exercises), "Total", "Time"]
        rows = [
            [_link(r, links), *(_points(e) for e in r.exercises), f"{r.points:g}", f"{r.seconds:.1f} s"] for r in of_it
        ]
        parts.append(table(header, rows, set(range(1, len(header)))))
    return "".join(parts)


def _points(exercise: ExerciseResult) -> str:
    return "?" if exercise.verdict == "ungraded" else f"{exercise.points:g}"


def _link(result: SubmissionResult, links: Mapping[str, str]) -> str:
    target = links.get(key_of(result))
    return f'<a href="{escape(target)}">{escape(result.learner)}</a>' if target else escape(result.learner)
