"""Whose file is it, and of which chapter: from the names that Moodle, Canvas, Google Classroom or people give."""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import PurePosixPath

# Anna Müller_123456_assignsubmission_file_03_….ipynb, or a folder of that name
MOODLE = re.compile(r"^(?P<learner>.+?)_(?P<id>\d{3,})_assignsubmission_(?:file|onlinetext)_?(?P<rest>.*)$")
# muelleranna_LATE_12345_678901_03_…-2.ipynb
CANVAS = re.compile(r"^(?P<learner>[^_]+?)(?:_(?P<late>LATE|late))?_(?P<id>\d{3,})_(?P<file>\d{3,})_(?P<rest>.+)$")
COPY = re.compile(
    r"(?:^copy of |^kopie von | - (?:copy of|kopie von)$|\s*\(\d+\)$|\s*-\s*copy$|[-_ ]copy\d*$)", re.IGNORECASE
)
ATTEMPT = re.compile(r"(?:[-_ ]\(?(\d{1,2})\)?)$|\((\d{1,2})\)$")
GENERIC = re.compile(
    r"^(submissions?|abgaben?|chapters?|notebooks?|course|attention[-_ ]rebuilt.*|exercises?|homework|assignments?|"
    r"class|solutions?|downloads?|drive|my drive|colab notebooks|\d{1,2}|chapter[-_ ]?\d+|week[-_ ]?\d+)$",
    re.IGNORECASE,
)
SEPARATORS = " -_.,;"


@dataclass(frozen=True)
class Named:
    """What a file's path tells. Empty: nothing."""

    learner: str = ""
    chapter: str = ""  # "03"
    attempt: int = 0  # of several files of one learner, the later one is larger
    by_folder: str = ""  # the folder that would be the learner's, if the name tells none
    system: str = ""  # Moodle or Canvas, where the name has its form


def tidy(name: str) -> str:
    """A learner's name as one line of ordinary characters."""
    text = unicodedata.normalize("NFC", name.replace("_", " ") if " " not in name and "_" in name else name)
    text = "".join(" " if unicodedata.category(c)[0] in "ZC" else c for c in text)
    return " ".join(text.split())[:120]


def named(path: PurePosixPath, slugs: dict[str, str]) -> Named:
    """Reads learner and chapter off a path. slugs: "03" → "03_scaled_dot_product_attention"."""
    folders, stem = list(path.parts[:-1]), path.stem if path.suffix else path.name
    for folder in reversed(folders):
        if found := MOODLE.match(folder):
            chapter, attempt, _ = _chapter(stem, slugs)
            return Named(_with_id(found), chapter, attempt, system="Moodle")
    for system, pattern in (("Moodle", MOODLE), ("Canvas", CANVAS)):
        if found := pattern.match(stem):
            chapter, attempt, _ = _chapter(found["rest"], slugs)
            return Named(_with_id(found), chapter, attempt, system=system)
    chapter, attempt, rest = _chapter(stem, slugs)
    rest = COPY.sub("", rest).strip(SEPARATORS)
    own = [folder for folder in folders if not GENERIC.match(_without_zip(folder)) and folder not in slugs.values()]
    by_folder = tidy(_without_zip(own[-1])) if own else ""
    chapter = chapter or next((c for folder in reversed(folders) if (c := _chapter(folder, slugs)[0])), "")
    return Named(tidy(rest) if rest and not GENERIC.match(rest) else "", chapter, attempt, by_folder)


def _with_id(found: re.Match) -> str:
    return f"{tidy(found['learner'])} ({found['id']})"


def _without_zip(name: str) -> str:
    return re.sub(r"(?i)\.(zip|ipynb)$", "", name)  # a folder may be called so, too


def _chapter(stem: str, slugs: dict[str, str]) -> tuple[str, int, str]:
    """(chapter, attempt, what else the name says)."""
    attempt = 0
    rest = stem
    while match := COPY.search(rest):
        if counted := re.search(r"\d+", match[0]):
            attempt = max(attempt, int(counted[0]))
        rest = rest[: match.start()] + rest[match.end() :]
    for number, slug in slugs.items():
        if (at := rest.lower().find(slug.lower())) >= 0:
            after = rest[at + len(slug) :]
            if counted := re.fullmatch(r"[-_ ](\d{1,2})", after):
                return number, max(attempt, int(counted[1])), rest[:at].strip(SEPARATORS)
            return number, attempt, " ".join((rest[:at].strip(SEPARATORS), after.strip(SEPARATORS))).strip()
    for pattern in (r"^(?P<n>\d\d)(?=[-_ ]|$)", r"(?<=[-_ ])(?P<n>\d\d)$", r"(?i)chapter[-_ ]?(?P<n>\d{1,2})(?!\d)"):
        found = re.search(pattern, rest)
        if found and found["n"].zfill(2) in slugs:
            left = rest[: found.start()] + " " + rest[found.end() :]
            return found["n"].zfill(2), attempt, " ".join(left.split()).strip(SEPARATORS)
    return "", attempt, rest.strip(SEPARATORS)
