"""The folder of results: records that a run can be resumed from, and who made them."""

import hashlib
import json
import os
import platform
import sys
import time
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from utils.errors import ConfigError, CourseError
from utils.exercises.home import write_whole
from utils.grading.chapters import ROOT
from utils.grading.collect import Collection, Submission
from utils.grading.results import VERSION, SubmissionResult

PACKAGES = ("torch", "numpy", "nbval", "pytest", "ipykernel", "ipython", "pyzmq", "nbformat")
GRADED_BY = ("utils/exercises", "utils/transformer", "utils/grading", "solutions")


@cache
def course_digest() -> str:
    """A digest of all that decides about points: exercises, references, the grader."""
    digest = hashlib.sha256()
    for tree in GRADED_BY:
        for path in sorted((ROOT / tree).rglob("*.py")):
            digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


class Store:
    """Where the results of a run lie."""

    def __init__(self, out: Path, secret: str, confined: bool) -> None:
        self.out, self.secret, self.confined = out, secret, confined
        self.fingerprint = hashlib.sha256(f"{VERSION} {secret} {confined} {course_digest()}".encode()).hexdigest()[:16]

    def prepare(self) -> None:
        """Makes the folder. CourseError when that is impossible."""
        try:
            for name in ("records", "feedback", "junit"):
                (self.out / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CourseError(f"{self.out} cannot be written to ({error.strerror}): choose another --out.") from None

    def record_file(self, submission: Submission) -> Path:
        """Where a submission's record lies."""
        return self.out / "records" / f"{submission.identifier}.json"

    def junit_file(self, submission: Submission) -> Path:
        """Where nbval's report on a submission lies."""
        return self.out.resolve() / "junit" / f"{submission.identifier}.xml"

    def feedback_file(self, submission: Submission) -> Path:
        """Where the learner's page lies."""
        return self.out / "feedback" / f"{submission.identifier}.html"

    def keep(self, submission: Submission, result: SubmissionResult) -> None:
        """Writes a record, whole or not at all."""
        content = {"fingerprint": self.fingerprint, **result.to_dict()}
        write_whole(self.record_file(submission), json.dumps(content, indent=1, ensure_ascii=False) + "\n")

    def kept(self, submission: Submission) -> SubmissionResult | None:
        """The record of this very file by this very grader and seed; None where it has to be graded."""
        try:
            content = json.loads(self.record_file(submission).read_text(encoding="utf-8"))
            if content.pop("fingerprint") != self.fingerprint or content["digest"] != submission.digest:
                return None
            result = SubmissionResult.from_dict(content)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        result.learner, result.file = submission.learner, submission.file
        return result if result.complete else None

    def write_run(self, collection: Collection, done: dict[str, SubmissionResult], started: float, jobs: int) -> None:
        """The run record: seed, versions, time, and the digest of every file."""
        write_whole(self.out / "run.json", json.dumps(self._run(collection, done, started, jobs), indent=1) + "\n")

    def _run(
        self, collection: Collection, done: dict[str, SubmissionResult], started: float, jobs: int
    ) -> dict[str, Any]:
        files = [
            {
                "file": s.file, "learner": s.learner, "chapter": s.chapter, "sha256": s.digest,
                "graded": s.identifier in done and done[s.identifier].complete,
                "points": done[s.identifier].points if s.identifier in done else None,
                "seconds": done[s.identifier].seconds if s.identifier in done else None,
            }
            for s in collection.submissions
        ]  # fmt: skip
        return {
            "seed": self.secret,
            "sandbox": "bubblewrap" if self.confined else "NONE: --unsafe-no-sandbox was given",
            "course": course_digest(),
            "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
            "machine": f"{platform.system()} {platform.release()}, {os.cpu_count()} cores",
            "command": ["python", "-m", "utils", *sys.argv[1:]],
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(started)),
            "seconds": round(time.time() - started, 1),
            "jobs": jobs,
            "files": files,
            "not_graded": [{"file": entry.file, "why": entry.why} for entry in collection.listed],
        }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def seed_of_earlier_run(out: Path) -> str | None:
    """The seed of a run whose results lie there; ConfigError when its record cannot be read."""
    path = out / "run.json"
    if not path.exists():
        return None
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["seed"])
    except (OSError, ValueError, KeyError, TypeError):
        raise ConfigError(f"{path} is damaged, so that its seed is unknown: give --seed, or another --out.") from None
