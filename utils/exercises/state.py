"""What a learner has passed, answered and been hinted at: `.progress.json` in the learner's folder."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from utils.exercises.home import STATE, home, set_aside, write_whole

VERSION = 1


@dataclass
class State:
    """The file's content. What it holds beyond what is known here is kept."""

    content: dict[str, Any]
    notes: list[str]  # what went wrong with the file, for the learner

    def of(self, number: str) -> dict[str, Any]:
        """What is known of one exercise or question: passed, points, tries, hints; answered, right."""
        kind = "exercises" if number.split(".")[1].isdigit() else "questions"
        return self.content.setdefault(kind, {}).setdefault(number, {})


def state_path() -> Path:
    """Where progress is kept."""
    return home() / STATE


def load() -> State:
    """Reads the file; a damaged one is set aside, never overwritten, and a note says so."""
    path = state_path()
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return State({"version": VERSION, "exercises": {}, "questions": {}}, [])
    except UnicodeDecodeError:
        return _damaged(path, "is not text")
    except OSError as error:
        return State({"version": VERSION}, [f"Your progress in {path} cannot be read: {error.strerror}."])
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return _damaged(path, "is not valid JSON")
    if not _sound(content):
        return _damaged(path, "is not a record of progress")
    return State(content, [])


def _sound(content: Any) -> bool:
    if not isinstance(content, dict):
        return False
    for kind in ("exercises", "questions"):
        entries = content.get(kind, {})
        if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
            return False
        for entry in entries.values():
            counts = [entry.get(name, 0) for name in ("hints", "tries", "points")]
            if not all(isinstance(count, int | float) and not isinstance(count, bool) for count in counts):
                return False
    return True


def _damaged(path: Path, how: str) -> State:
    fresh = {"version": VERSION, "exercises": {}, "questions": {}}
    try:
        aside = set_aside(path)
    except OSError as error:
        return State(fresh, [f"Your progress file {path} {how}, and cannot be set aside: {error.strerror}."])
    return State(fresh, [f"Your progress file {how}; it is kept as {aside.name}, and a new one is begun."])


def change(number: str, how: Callable[[dict[str, Any]], None]) -> list[str]:
    """Changes what is known of one exercise or question, in the file as it is now. Returns notes for the learner."""
    state = load()
    how(state.of(number))
    if any("cannot" in note for note in state.notes):
        return state.notes  # better no record of this than to write over what could not be read
    try:
        write_whole(state_path(), json.dumps(state.content, indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        state.notes.append(f"Your progress could not be written to {state_path()}: {error.strerror}.")
    return state.notes


def record_check(number: str, passed: bool, points: float) -> list[str]:
    """Notes one run of check(). Points once earned are not taken away by a later, worse answer."""

    def noted(entry: dict[str, Any]) -> None:
        entry["tries"] = entry.get("tries", 0) + 1
        entry["points"] = max(entry.get("points", 0), points)
        if passed and not entry.get("passed"):
            entry["passed"] = time.strftime("%Y-%m-%d %H:%M")

    return change(number, noted)
