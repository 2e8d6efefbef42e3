"""The page that a learner gets back: what was tried, what came out, why, a hint. Nobody else's data, no solution."""

from utils.grading.pages import escape, listed, page, prose, table
from utils.grading.results import ExerciseResult, SubmissionResult

WORDS = {
    "passed": "passed", "partly": "partly right", "wrong": "not right yet", "open": "not written yet",
    "missing": "not in the notebook", "forbidden": "a library did the work", "slow": "did not finish",
    "died": "ended Python", "flooded": "printed without end", "memory": "used too much memory",
    "processes": "started too many processes",
    "forged": "not counted", "silent": "gave no result", "unfit": "not what is asked for", "ungraded": "not graded",
}  # fmt: skip
MARKS = {True: "✓", False: "✗", None: "–"}


def feedback(result: SubmissionResult) -> str:
    """The page of one submission."""
    main = [e for e in result.exercises if not e.optional]
    points, out_of = sum(e.points for e in result.exercises), sum(e.out_of for e in main)
    extra = sum(e.out_of for e in result.exercises if e.optional)
    optional = f", and {extra} more in optional exercises" if extra else ""
    rows = [
        [escape(e.number), escape(e.title) + (" (optional)" if e.optional else ""), escape(WORDS[e.verdict]),
         f"{e.points:g} / {e.out_of}"]
        for e in result.exercises
    ]  # fmt: skip
    parts = [
        f"<h1>{escape(result.title)}</h1>",
        f"<p>{escape(result.learner)} · {points:g} point{'s' * (points != 1)} ({out_of} to be had{optional})</p>",
        table(["", "Exercise", "", "Points"], rows, {3}),
        listed(result.notes),
        *(_section(e) for e in result.exercises),
        f'<p class="quiet">Graded from {escape(result.file)} (SHA-256 {escape(result.digest[:16])}…). Inputs were '
        "drawn anew for this notebook; what the notebook itself printed played no part.</p>",
    ]
    return page(f"{result.title} · {result.learner}", "\n".join(parts))


def _section(e: ExerciseResult) -> str:
    kind = "passed" if e.passed else "partly" if e.points else "open" if e.verdict in ("open", "missing") else "wrong"
    parts = [f'<span class="points">{e.points:g} of {e.out_of}</span>']
    parts.append(f"<h2>{escape(e.number)} · {escape(e.title)}: {escape(WORDS[e.verdict])}</h2>")
    if not e.passed:
        parts += [f"<p>{prose(text)}</p>" for text in (e.message, e.explanation) if text]
        parts += [f"<pre>{escape(chr(10).join(e.lines))}</pre>"] if e.lines else []
        parts += [_smallest(e.smallest)] if e.smallest else []
        parts += [f"<p><b>Hint.</b> {prose(e.hint)}</p>"] if e.hint else []
    parts += [_tried(e)] if e.items else []
    parts += [listed(e.notes)] if e.notes else []
    return f'<section class="{kind}">{"".join(parts)}</section>'


def _smallest(smallest: dict) -> str:
    rows = [[escape(name), f"<pre>{escape(text)}</pre>"] for name, text in smallest["inputs"]]
    rows += [[name, f"<pre>{escape(smallest[name])}</pre>"] for name in ("yours", "expected") if smallest[name]]
    shown = f"<p>The smallest input that shows it: {escape(smallest['case'])}</p>{table(['', ''], rows)}"
    if smallest["printed"]:
        shown += f"<p>Your code printed there:</p><pre>{escape(smallest['printed'])}</pre>"
    return shown


def _tried(e: ExerciseResult) -> str:
    right = sum(item["passed"] is True for item in e.items)
    rows = "".join(f"<div>{MARKS[item['passed']]} {escape(item['name'])}</div>" for item in e.items)
    summary = f"{right} of {len(e.items)} cases and properties are right"
    return f"<details><summary>{summary}</summary>{rows}</details>"
