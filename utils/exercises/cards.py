"""Hints, predictions and the map of the course, for reading: HTML in a notebook, plain text elsewhere."""

from dataclasses import dataclass, field
from html import escape

from utils.exercises.declare import Question
from utils.exercises.report import CELL, MARKS, TABLE, framed, worded
from utils.exercises.showing import ShownOnce


def boxed(parts: list[str], notes: list[str], verdict: bool | None = None) -> str:
    """Parts and, less loud, notes in one frame."""
    return framed("".join([*parts, *(f'<div style="opacity:0.8">{worded(note)}</div>' for note in notes)]), verdict)


def counted(number: float, of: int) -> str:
    """ "1 of 1 point", "0.5 of 2 points"."""
    return f"{number:g} of {of} point{'s' if of != 1 else ''}"


@dataclass(repr=False)
class SentenceCard(ShownOnce):
    """One sentence, such as that there is no such exercise."""

    sentence: str

    def __str__(self) -> str:
        return self.sentence

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return boxed([worded(self.sentence)], [])


@dataclass(repr=False)
class HintCard(ShownOnce):
    """The hints of an exercise up to the newest."""

    number: str
    title: str
    hints: tuple[str, ...]
    total: int
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        rows = [f"Exercise {self.number}, hint {len(self.hints)} of {self.total}: {self.hints[-1]}", *self.notes]
        return "\n".join(rows)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        parts = [
            f'<details><summary style="cursor:pointer">Exercise {escape(self.number)}, hint {index} of {self.total}'
            f"{' (new)' if index == len(self.hints) else ''}</summary><div>{worded(text)}</div></details>"
            for index, text in enumerate(self.hints, start=1)
        ]
        return boxed(parts, self.notes)


@dataclass(repr=False)
class PredictionCard(ShownOnce):
    """A question with, once answered, the reason for or against the answer."""

    question: Question
    chosen: int | None
    misunderstood: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def right(self) -> bool:
        """Whether the right answer was chosen."""
        return self.chosen is not None and self.question.options[self.chosen].right

    def _verdict(self) -> str:
        option = self.question.options[self.chosen]
        begin = "Right" if option.right else "Not so"
        return f"{MARKS[option.right]} {begin}: {'abcdefgh'[self.chosen]}) {option.text} {option.reason}"

    def _rows(self) -> list[str]:
        listed = [f"{'abcdefgh'[i]}) {option.text}" for i, option in enumerate(self.question.options)]
        return [f"Question {self.question.number}: {self.question.text}", *listed]

    def __str__(self) -> str:
        if self.chosen is not None:
            rows = [f"Question {self.question.number}. {self._verdict()}"]
        else:
            rows = [*self._rows(), self.misunderstood or f'Answer with predict("{self.question.number}", "a").']
        return "\n".join([*rows, *self.notes])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        if self.chosen is not None:
            option = self.question.options[self.chosen]
            answer = f"{MARKS[option.right]} {'Right' if option.right else 'Not so'}"
            first = f"<b>Question {escape(self.question.number)}. {answer}:</b> {'abcdefgh'[self.chosen]}) "
            return boxed(
                [f"<div>{first}{worded(option.text)}</div><div>{worded(option.reason)}</div>"], self.notes, option.right
            )
        _, *others = self._rows()
        last = self.misunderstood or f'Answer with predict("{self.question.number}", "a").'
        first = f"<b>Question {escape(self.question.number)}.</b> {worded(self.question.text)}"
        parts = [f"<div>{first}</div>", *(f'<div style="padding-left:1em">{worded(row)}</div>' for row in others)]
        return boxed([*parts, f'<div style="margin-top:0.3em">{worded(last)}</div>'], self.notes)


@dataclass(frozen=True)
class MapEntry:
    """One exercise on the map."""

    number: str
    title: str
    passed: bool
    points: float
    out_of: int
    tries: int
    hints: int
    optional: bool

    @property
    def mark(self) -> str:
        """Passed, begun or open."""
        return "●" if self.passed else "◐" if self.tries else "○"

    def told(self) -> str:
        """All that is known, in one line."""
        words = [counted(self.points, self.out_of)]
        words += [f"{self.hints} hint{'s' if self.hints != 1 else ''}"] if self.hints else []
        words += ["optional"] if self.optional else []
        return f"{self.mark} {self.number} {self.title}: {', '.join(words)}"


@dataclass(frozen=True)
class ChapterRow:
    """One chapter on the map."""

    chapter: int
    title: str
    entries: tuple[MapEntry, ...]
    right: int  # questions answered rightly
    questions: int

    def points(self) -> tuple[float, int]:
        """(earned, to be earned without the optional exercises)."""
        return sum(e.points for e in self.entries), sum(e.out_of for e in self.entries if not e.optional)


@dataclass(repr=False)
class MapCard(ShownOnce):
    """The map of the course: a row a chapter, a circle an exercise."""

    rows: tuple[ChapterRow, ...]
    notes: list[str] = field(default_factory=list)

    def _headline(self) -> str:
        entries = [entry for row in self.rows for entry in row.entries]
        earned, possible = (sum(column) for column in zip((0, 0), *(row.points() for row in self.rows), strict=True))
        passed = sum(entry.passed for entry in entries)
        optional = " (optional ones come on top)" if any(entry.optional for entry in entries) else ""
        return f"{passed} of {len(entries)} exercises passed, {counted(earned, possible)}{optional}"

    def __str__(self) -> str:
        lines = [self._headline()]
        for row in self.rows:
            lines.append(f"{row.chapter:02d} {row.title}" + self._questions(row))
            lines += [f"   {entry.told()}" for entry in row.entries]
        return "\n".join([*lines, "● passed  ◐ begun  ○ open", *self.notes])

    __repr__ = __str__

    @staticmethod
    def _questions(row: ChapterRow) -> str:
        return f" ({row.right} of {row.questions} questions right)" if row.questions else ""

    def _repr_html_(self) -> str:
        rows = []
        for row in self.rows:
            earned, possible = row.points()
            marks = " ".join(f'<span title="{escape(entry.told())}">{entry.mark}</span>' for entry in row.entries)
            told = "".join(f'<div style="padding-left:1em">{worded(entry.told())}</div>' for entry in row.entries)
            title = f"{row.chapter:02d} {row.title}"
            opened = f'<details><summary style="cursor:pointer">{escape(title)}</summary>{told}</details>'
            cells = [opened, f'<span style="letter-spacing:0.2em">{marks}</span>', f"{earned:g} / {possible}"]
            cells.append(f"{row.right} / {row.questions} questions" if row.questions else "")
            row_html = "".join(f'<td style="{CELL}">{cell}</td>' for cell in cells)
            rows.append(f'<tr style="background:transparent">{row_html}</tr>')
        table = f'<table style="{TABLE}">{"".join(rows)}</table>'
        legend = '<div style="opacity:0.8">● passed  ◐ begun  ○ open</div>'
        return boxed([f"<div><b>{escape(self._headline())}</b></div>", table, legend], self.notes)
