"""What a check found, for reading: HTML in a notebook, plain text elsewhere.

Letters take their colour from the page they stand on, and the tints behind them let its paper shine through, so that
all is legible in JupyterLab, VS Code and Colab, light and dark, whether or not they define colours of their own.
"""

import re
from dataclasses import dataclass, field
from html import escape

from utils.exercises.showing import ShownOnce

MARKS = {True: "✓", False: "✗", None: "–"}
# The edge and the tint of a frame: passed, not yet, neither. Marks and words say the same to who sees no colours.
TINTS = {True: ("#009E73", "0,158,115"), False: ("#D55E00", "213,94,0"), None: ("#0072B2", "0,114,178")}
FRAME = "border:1px solid rgba(128,128,128,0.45);border-left:5px solid {edge};border-radius:4px;padding:0.5em 0.9em;"
FRAME += "margin:0.3em 0;max-width:60em;color:inherit;background:rgba({tint},0.08);line-height:1.45"
TABLE = "border:none;margin:0.2em 0;font-size:inherit;line-height:inherit;color:inherit;background:transparent"
CELL = "text-align:left;vertical-align:top;padding:0.1em 0.9em 0.1em 0;border:none;background:transparent;color:inherit"
PRE = "white-space:pre-wrap;overflow-wrap:anywhere;margin:0;color:inherit;background:transparent;font-size:0.95em"
CODE = '<code style="color:inherit;background:rgba(128,128,128,0.18);padding:0 0.2em;border-radius:3px">'


def framed(html: str, verdict: bool | None = None) -> str:
    """HTML in a frame whose colours tell the verdict."""
    edge, tint = TINTS[verdict]
    return f'<div style="{FRAME.format(edge=edge, tint=tint)}">{html}</div>'


def worded(text: str) -> str:
    """A text as HTML: escaped, and what stands between backticks as code."""
    return re.sub(r"`([^`\n]+)`", rf"{CODE}\1</code>", escape(text))


@dataclass(frozen=True)
class Item:
    """One thing that was tried: a case or a property."""

    name: str
    part: str
    passed: bool | None  # None: not tried, because of what went wrong before
    sentence: str = ""


@dataclass(frozen=True)
class Smallest:
    """The smallest input that shows the error, in text short enough to read."""

    case: str
    inputs: tuple[tuple[str, str], ...]  # (name, value)
    yours: str = ""
    expected: str = ""
    printed: str = ""


@dataclass(repr=False)
class Report(ShownOnce):
    """The result of check(). `bool(report)` says whether the exercise is passed."""

    number: str
    title: str
    passed: bool
    points: float
    out_of: int
    items: tuple[Item, ...] = ()
    message: str = ""
    misconception: str | None = None  # the name of the declared one that explains the answer
    explanation: str = ""  # why, where something declared or general reproduces the answer's numbers
    smallest: Smallest | None = None
    lines: tuple[str, ...] = ()  # of the learner's code, where it stopped
    seed: int = 0
    notes: list[str] = field(default_factory=list)  # what else there is to say: saved where, not counted because

    def __bool__(self) -> bool:
        return self.passed

    @property
    def headline(self) -> str:
        """The first line: what and whether."""
        if not self.out_of:
            return f"Exercise {self.number}"
        points = f"{self.points:g} of {self.out_of} point{'s' if self.out_of != 1 else ''}"
        return f"Exercise {self.number} · {self.title}: {'passed' if self.passed else 'not yet'} ({points})"

    def tried(self) -> str:
        """How much was tried, in one line."""
        tried = [item for item in self.items if item.passed is not None]
        right = sum(bool(item.passed) for item in tried)
        return f"{right} of {len(tried)} cases and properties are right." if tried else ""

    def __str__(self) -> str:
        rows = [f"{MARKS[self.passed]} {self.headline}"]
        if self.passed:
            rows += [f"  {self.tried()}"]
        else:
            rows += [f"  {text}" for text in (self.message, self.explanation) if text]
            rows += [f"    {line}" for line in self.lines]
            rows += self._smallest_rows()
            rows += [f"  {self.tried()}" if self.tried() else ""]
            rows += [f"    {MARKS[item.passed]} {item.name}" for item in self.items]
            rows += [f"  The same inputs again: check({self.number!r}, …, seed={self.seed})"] if self.items else []
        rows += [f"  {note}" for note in self.notes]
        return "\n".join(row for row in rows if row.strip())

    def _smallest_rows(self) -> list[str]:
        if self.smallest is None:
            return []
        rows = [f"  The smallest input that shows it: {self.smallest.case}"]
        rows += [f"    {name} = {text}" for name, text in self._pairs()]
        if self.smallest.printed:
            rows += ["  Your code printed there:", *(f"    {line}" for line in self.smallest.printed.splitlines())]
        return rows

    def _pairs(self) -> list[tuple[str, str]]:
        pairs = list(self.smallest.inputs)
        if self.smallest.yours:
            pairs.append(("yours", self.smallest.yours))
        if self.smallest.expected:
            pairs.append(("expected", self.smallest.expected))
        return pairs

    __repr__ = __str__

    def _repr_html_(self) -> str:
        parts = [f"<div><b>{MARKS[self.passed]} {escape(self.headline)}</b></div>"]
        if self.passed:
            parts.append(f"<div>{escape(self.tried())}</div>")
        else:
            parts += [f'<div style="margin-top:0.3em">{worded(t)}</div>' for t in (self.message, self.explanation) if t]
            if self.lines:
                parts.append(f'<pre style="{PRE}">{escape(chr(10).join(self.lines))}</pre>')
            parts += self._smallest_html()
            parts += self._items_html()
        parts += [f'<div style="opacity:0.8">{worded(note)}</div>' for note in self.notes]
        return framed("".join(parts), self.passed)

    def _smallest_html(self) -> list[str]:
        if self.smallest is None:
            return []
        rows = "".join(
            f'<tr style="background:transparent"><td style="{CELL}">{escape(name)}</td>'
            f'<td style="{CELL}"><pre style="{PRE}">{escape(text)}</pre></td></tr>'
            for name, text in self._pairs()
        )
        parts = [
            f'<div style="margin-top:0.5em">The smallest input that shows it: {escape(self.smallest.case)}</div>'
            f'<table style="{TABLE}">{rows}</table>'
        ]
        if self.smallest.printed:
            parts.append(f'<div>Your code printed there:</div><pre style="{PRE}">{escape(self.smallest.printed)}</pre>')
        return parts

    def _items_html(self) -> list[str]:
        if not self.items:
            return []
        rows = "".join(f"<div>{MARKS[item.passed]} {escape(item.name)}</div>" for item in self.items)
        again = f"check({self.number!r}, …, seed={self.seed})"
        return [
            f'<details style="margin-top:0.4em"><summary style="cursor:pointer">{escape(self.tried())}</summary>{rows}'
            f"<div>The same inputs again: {CODE}{escape(again)}</code></div></details>"
        ]
