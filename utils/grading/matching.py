"""Which cells of a submission answer which exercise, whatever became of ids, order and borders of cells.

By the id that the build derived, else by the cell's metadata, else by its `# Exercise 3.2` line. Of several cells the
one that defines what is asked for, then one that has been worked in, then the last. A rule that had to be applied is
told in the feedback.
"""

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from utils.grading.gather import Fragment, Gathered, fragments, gather, names_read
from utils.grading.neutral import neutral, parsed, why_not_parsed
from utils.grading.pristine import Pristine, check_of, checked_name
from utils.grading.reading import Cell, Notebook, by_id, by_line, by_metadata
from utils.grading.slicing import bound_names

NOT_HELPERS = ("exercise", "check", "hint", "predict", "setup")


@dataclass
class Answer:
    """One exercise of a submission, as it was found."""

    number: str
    name: str  # the name that is asked for
    state: str = "there"  # there, open (as it was handed out), missing
    source: str = ""
    helpers: list[Fragment] = field(default_factory=list)
    uses: dict[str, set[str]] = field(default_factory=dict)  # exercises whose names it uses
    notes: list[str] = field(default_factory=list)  # rules that were applied, for the learner
    cells: tuple[int, ...] = ()  # where it stood


@dataclass(frozen=True)
class _Place:
    cell: Cell
    way: str  # id, metadata, line


def match(notebook: Notebook, chapter: Pristine) -> list[Answer]:
    """Every exercise of the chapter, in order."""
    return _Matching(notebook, chapter).answers()


class _Matching:
    """The search behind `match`."""

    def __init__(self, notebook: Notebook, chapter: Pristine) -> None:
        self.notebook, self.chapter = notebook, chapter
        self.pristine_ids = {cell.identifier for cell in chapter.cells}
        self.places = {number: list(self._candidates(number)) for number in chapter.exercises}
        self.main = {number: self._choose(number) for number in chapter.exercises}
        self.parts = {number: self._with_split(number) for number in chapter.exercises}
        self.lessons = {f.text for cell in chapter.cells if cell.role == "code" for f in fragments(cell)}
        self.pool = self._pool()

    def _candidates(self, number: str) -> Iterable[_Place]:
        for cell in self.notebook.cells:
            if by_id(cell) == number:
                yield _Place(cell, "id")
            elif not by_id(cell) and (by_metadata(cell) or by_line(cell)) == number:
                yield _Place(cell, "metadata" if by_metadata(cell) else "line")

    def _name(self, number: str) -> str:
        return self.chapter.names[number]

    def _open(self, number: str, source: str) -> bool:
        """Whether a cell says what was handed out, or nothing."""
        have, given = parsed(neutral(source)), parsed(self.chapter.cell("exercise", number).source)
        return have is not None and (not have.body or ast.dump(have) == ast.dump(given))

    def _choose(self, number: str) -> _Place | None:
        def rank(pair: tuple[int, _Place]) -> tuple:
            position, place = pair
            defines = self._name(number) in _bound(place.cell.source)
            return defines and not self._open(number, place.cell.source), defines, position

        ranked = sorted(enumerate(self.places[number]), key=rank)
        return ranked[-1][1] if ranked else None

    def _with_split(self, number: str) -> list[Cell]:
        """The exercise's cell with the parts that were split off it."""
        place = self.main[number]
        if place is None:
            return []
        found = [place.cell]
        for cell in self.notebook.cells:
            if cell.index <= place.cell.index:
                continue
            text = "\n".join(part.source for part in found)
            broken = parsed(neutral(text)) is None
            rest = parsed(cell.source) is None and parsed(neutral(f"{text}\n{cell.source}")) is not None
            if not (broken or rest) or not self._own(cell) or len(found) > 5:
                break
            found.append(cell)
        joined = "\n".join(part.source for part in found)
        return found if self._name(number) in _bound(joined) else found[:1]

    def _own(self, cell: Cell) -> bool:
        """Whether the learner made a cell."""
        if cell.identifier in self.pristine_ids or cell.role in NOT_HELPERS:
            return False
        return not (by_line(cell) or check_of(cell.source))

    def _pool(self) -> list[Fragment]:
        """The statements that helpers may come from: the learner's cells, then what was deleted of ours."""
        answered = {cell.index: number for number, parts in self.parts.items() for cell in parts}
        pool: list[Fragment] = []
        for cell in self.notebook.cells:
            if cell.index in answered:
                pool += fragments(cell, answered[cell.index])
            elif not (by_id(cell) or by_line(cell) or cell.role == "exercise"):
                pool += fragments(cell)
        bound = {name for fragment in pool for name in fragment.binds}
        for cell in self.chapter.cells:
            if cell.role == "code":
                lost = [fragment for fragment in fragments(cell) if not fragment.binds & bound]
                pool = [f for f in lost if f.defines] + pool
        return pool

    def _learners(self) -> list[Fragment]:
        """What is the learner's own in the pool: a lesson's cells may bind an exercise's name as well."""
        return [fragment for fragment in self.pool if fragment.text not in self.lessons]

    def answers(self) -> list[Answer]:
        """One for each exercise."""
        return [self._answer(number) for number in self.chapter.exercises]

    def _answer(self, number: str) -> Answer:
        place, parts = self.main[number], self.parts[number]
        source = "\n".join(cell.source for cell in parts)
        answer = Answer(number, self._asked(number), source=neutral(source), cells=tuple(c.index for c in parts))
        own = set(_bound(answer.source))
        elsewhere = any(answer.name in f.binds and not f.exercise for f in self._learners())
        opened = place is not None and self._open(number, source)
        if (place is None or opened) and not elsewhere:
            answer.state = "missing" if place is None else "open"
            if re.search(rf"^[^\S\n]*#+[^\S\n]*(def|class) {answer.name}\b", source, re.MULTILINE):
                answer.notes.append("All of the cell's code stands behind `#`, so that Python passes over it.")
        if (place is None or opened) and elsewhere:
            answer.source, own = "", set()
            answer.notes.append(
                f"`{answer.name}` was found in another cell than the exercise's, and was taken from it."
            )
        elif answer.state == "there":
            self._take_redefinition(answer)
            own = set(_bound(answer.source))
        needed = set(names_read(answer.source)) | ({answer.name} - own)
        others = [fragment for fragment in self.pool if fragment.exercise != number]
        gathered = gather(needed - own, own, others, self._check_index(number))
        answer.helpers, answer.uses = gathered.fragments, gathered.uses
        self._note(answer, place, gathered)
        return answer

    def _take_redefinition(self, answer: Answer) -> None:
        """A definition of the same name that stands below the exercise's cell is what the check was given."""
        again = [f for f in self._learners() if answer.name in f.binds and not f.exercise]
        below = [fragment for fragment in again if fragment.cell > answer.cells[-1]]
        checked = [cell.index for cell in self.notebook.cells if check_of(cell.source) == answer.number]
        counted = [f for f in below if checked and f.cell <= checked[-1]]
        if counted:
            answer.source = "\n\n".join([answer.source, *(fragment.text for fragment in counted)])
            answer.notes.append(
                f"`{answer.name}` is defined again between the exercise's cell and its check: that one counted."
            )
        elif below:
            answer.notes.append(f"`{answer.name}` is defined again further down: the exercise's own cell counted.")

    def _asked(self, number: str) -> str:
        """The name handed to check: the learner's, where the check cell was changed to another that is defined."""
        checks = [cell for cell in self.notebook.cells if check_of(cell.source) == number]
        name = checked_name(checks[-1].source, number) if checks else None
        usual = self._name(number)
        if name is None or name == usual:
            return usual
        source = "\n".join(cell.source for cell in self.parts[number])
        return name if name in _bound(source) or any(name in f.binds for f in self.pool) else usual

    def _check_index(self, number: str) -> int:
        found = [cell.index for cell in self.notebook.cells if check_of(cell.source) == number]
        after = [cell.index for cell in self.parts[number]]
        return max([*found, *after], default=10**9)

    def _note(self, answer: Answer, place: _Place | None, gathered: Gathered) -> None:
        """Says which rules were applied."""
        number, notes = answer.number, answer.notes
        if place is None and answer.state == "missing":
            notes.append(self._where_it_is(number))
        if place is not None and place.way == "line":
            notes.append("The cell was found by its first line: the program that saved the notebook changed its id.")
        if len(self.places[number]) > 1:
            last = self.places[number][-1].cell.index == place.cell.index
            notes.append(f"There are {len(self.places[number])} cells of this exercise; {_which(last)} counted.")
        if len(answer.cells) > 1:
            notes.append(f"The exercise was spread over {len(answer.cells)} cells, which were put together again.")
        if answer.name != self._name(number):
            notes.append(f"The check names `{answer.name}`, so that was graded.")
        if place is not None and self._moved(number):
            notes.append("The cell stands in another place than it was handed out in, which does no harm.")
        if answer.state == "there" and answer.source and parsed(answer.source) is None:
            notes.append(f"The cell is no Python ({why_not_parsed(answer.source)}).")

    def _where_it_is(self, number: str) -> str:
        """What became of a cell that is missing."""
        name = self._name(number)
        for cell in self.notebook.texts:
            metadata = cell.role == "exercise" and cell.course.get("exercise") == number
            if by_id(cell) == number or metadata or re.search(rf"^(def|class) {name}\b", cell.source, re.MULTILINE):
                return "The exercise's cell is there as text (Markdown or raw): turn it into a code cell again."
        return "The exercise's cell is not in the notebook."

    def _moved(self, number: str) -> bool:
        there = [self.main[n].cell.index for n in self.chapter.exercises if self.main[n] is not None]
        mine = self.main[number].cell.index
        before = [self.main[n] for n in self.chapter.exercises[: self.chapter.exercises.index(number)]]
        return there != sorted(there) and any(place is not None and place.cell.index > mine for place in before)


def _which(last: bool) -> str:
    return "the last" if last else "one that was worked in"


def _bound(source: str) -> list[str]:
    """The names that a cell binds at its top."""
    tree = parsed(neutral(source))
    return [name for node in tree.body for name in bound_names(node)] if tree else []
