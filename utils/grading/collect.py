"""Finds the submissions in whatever came back: flat, a folder a learner, or an export, packed or not.

Nothing is dropped in silence: what is not graded is listed with a sentence that says why and what to do.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from utils.grading.chapters import chapter_names
from utils.grading.naming import Named, named, tidy
from utils.grading.reading import Notebook, UnreadableError, exercise_lines, read_cells
from utils.grading.unpack import File, files_in, is_notebook_name


@dataclass
class Submission:
    """One notebook to be graded."""

    learner: str
    chapter: str
    file: str  # the path in what came back
    data: bytes
    digest: str
    notes: list[str] = field(default_factory=list)

    @property
    def identifier(self) -> str:
        """A name for files about it: letters and digits, and unlike any other's."""
        plain = "".join(c if c.isalnum() and c.isascii() else "-" for c in self.learner).strip("-")[:40]
        unique = hashlib.sha256(f"{self.learner}\0{self.chapter}".encode()).hexdigest()[:8]
        return f"{self.chapter}-{plain or 'learner'}-{unique}"


@dataclass(frozen=True)
class Listed:
    """A file that is not graded. `harmless`: nobody expects it to be."""

    file: str
    why: str
    harmless: bool = False
    learner: str = ""
    chapter: str = ""


@dataclass
class Collection:
    """All that was found."""

    submissions: list[Submission] = field(default_factory=list)
    listed: list[Listed] = field(default_factory=list)

    @property
    def trouble(self) -> list[Listed]:
        """What a person has to look at before the class is graded."""
        return [entry for entry in self.listed if not entry.harmless]


@dataclass
class _Found:
    file: File
    named: Named
    notebook: Notebook
    chapter: str
    learner: str = ""
    notes: list[str] = field(default_factory=list)


def collect(place: Path, chapters: Iterable[str] = (), leave_out: Path | None = None) -> Collection:
    """Finds learner and chapter of each notebook. `chapters`: only these; `leave_out`: the folder for results."""
    slugs = chapter_names()
    collection, found = Collection(), []
    skipped = leave_out.resolve() if leave_out else None
    for file in files_in(place):
        if skipped is not None and place.is_dir() and (place / str(file.path)).resolve().is_relative_to(skipped):
            continue
        if isinstance(entry := _looked_at(file, slugs), Listed):
            collection.listed.append(entry)
        else:
            found.append(entry)
    _name_learners(found)
    wanted = {number.zfill(2) for number in chapters}
    groups: dict[tuple[str, str], list[_Found]] = defaultdict(list)
    for entry in found:
        if wanted and entry.chapter not in wanted:
            why = f"It is of chapter {entry.chapter}, which is not being graded."
            collection.listed.append(Listed(str(entry.file.path), why, True, entry.learner, entry.chapter))
        elif not entry.learner:
            why = "Whose it is cannot be told from its name or folder: name it like student17_03.ipynb."
            collection.listed.append(Listed(str(entry.file.path), why, chapter=entry.chapter))
        else:
            groups[entry.learner.casefold(), entry.chapter].append(entry)
    for group in groups.values():
        _settle(group, collection)
    _of_nobody_else(collection)
    collection.submissions.sort(key=lambda s: (s.chapter, s.learner.casefold(), s.learner))
    return collection


def _looked_at(file: File, slugs: dict[str, str]) -> _Found | Listed:
    path = str(file.path)
    if file.junk:
        return Listed(path, "A file that a program left behind: not graded.", harmless=True)
    if file.why_not:
        return Listed(path, file.why_not)
    plain = file.path.with_suffix("") if file.path.suffixes[-2:-1] == [".ipynb"] else file.path  # a_03.ipynb.txt
    name = named(plain, slugs)
    looks = file.path.suffix.lower() == ".ipynb" or is_notebook_name(file.path) and _begins_like_one(file.data)
    if not looks:
        learner = name.learner if name.system or name.chapter else ""
        return Listed(path, "It is no notebook (.ipynb): not graded.", harmless=True, learner=learner)
    learner = name.learner or name.by_folder
    try:
        notebook = read_cells(file.data)
    except UnreadableError as error:
        return Listed(path, str(error), learner=learner, chapter=name.chapter)
    chapter, sentence = _chapter(notebook, name, slugs)
    if chapter is None:
        return Listed(path, sentence, learner=learner, chapter=name.chapter)
    return _Found(file, name, notebook, chapter, notes=[sentence] if sentence else [])


def _begins_like_one(data: bytes) -> bool:
    """Whether a file without a notebook's ending is one."""
    return data.lstrip()[:1] == b"{" and (b'"cells"' in data or b'"worksheets"' in data)


def _of_nobody_else(collection: Collection) -> None:
    """Who has handed in files and no notebook among them is somebody to look at."""
    known = {submission.learner for submission in collection.submissions}
    known |= {tidy(entry.learner) for entry in collection.listed if not entry.harmless or entry.chapter}
    for index, entry in enumerate(collection.listed):
        if entry.harmless and entry.learner and not entry.chapter and tidy(entry.learner) not in known:
            why = f"{entry.learner} has handed in this file, and no notebook."
            collection.listed[index] = replace(entry, why=why, harmless=False)


def _chapter(notebook: Notebook, name: Named, slugs: dict[str, str]) -> tuple[str | None, str]:
    """(the chapter by what the notebook holds, a note) or (None, why there is none)."""
    counts: dict[str, int] = defaultdict(int)
    for number in exercise_lines(notebook):
        counts[number.split(".")[0].zfill(2)] += 1
    stated = notebook.course.get("chapter")
    known = {number: count for number, count in counts.items() if number in slugs}
    if not known:
        if isinstance(stated, str) and stated in slugs:
            return stated, "None of its exercise cells is left."
        if counts:
            others = ", ".join(sorted(counts))
            return None, f"Its exercises are of chapter {others}, which this course does not grade."
        return None, "It holds no exercise of this course: is it the right notebook?"
    most = max(known.values())
    leading = [number for number, count in known.items() if count == most]
    chapter = leading[0] if len(leading) == 1 else next((n for n in leading if n in (stated, name.chapter)), None)
    if chapter is None:
        return (
            None,
            f"It holds exercises of the chapters {', '.join(sorted(leading))} alike: hand in one notebook a chapter.",
        )
    if name.chapter and name.chapter != chapter:
        return (
            chapter,
            f"Its name says chapter {name.chapter}; its exercises are of chapter {chapter}, and were graded so.",
        )
    return chapter, ""


def _name_learners(found: list[_Found]) -> None:
    """Decides between name and folder: a folder that holds several people's files is no learner."""
    by_folder: dict[PurePosixPath, list[_Found]] = defaultdict(list)
    for entry in found:
        by_folder[entry.file.path.parent].append(entry)
    for group in by_folder.values():
        people: dict[str, set[str]] = defaultdict(set)
        for entry in group:
            people[entry.chapter].add(entry.named.learner.casefold())
        shared = any(len(names) > 1 for names in people.values())
        for entry in group:
            name = entry.named
            if name.system:
                entry.learner = name.learner
            elif shared or not name.by_folder:
                entry.learner = name.learner or ("" if shared else name.by_folder)
            else:
                entry.learner = name.by_folder


def _settle(group: list[_Found], collection: Collection) -> None:
    """One submission out of the files of one learner for one chapter, or a sentence on each that does not count."""
    group.sort(key=lambda entry: str(entry.file.path))
    different = {hashlib.sha256(entry.file.data).hexdigest(): entry for entry in reversed(group)}
    last = max(entry.named.attempt for entry in different.values())
    chosen = [entry for entry in different.values() if entry.named.attempt == last]
    if len(chosen) > 1:
        names = ", ".join(str(entry.file.path) for entry in group)
        for entry in group:
            why = f"There are several different notebooks of {entry.learner} for chapter {entry.chapter} ({names}): "
            collection.listed.append(
                Listed(str(entry.file.path), f"{why}leave one.", False, entry.learner, entry.chapter)
            )
        return
    entry = chosen[0]
    for other in group:
        if other is not entry:
            same = other.file.data == entry.file.data
            why = f"It is {'the same as' if same else 'an earlier attempt than'} {entry.file.path}, which is graded."
            collection.listed.append(Listed(str(other.file.path), why, True, other.learner, other.chapter))
    digest = hashlib.sha256(entry.file.data).hexdigest()
    learner = tidy(entry.learner)
    submission = Submission(learner, entry.chapter, str(entry.file.path), entry.file.data, digest, entry.notes)
    collection.submissions.append(submission)
