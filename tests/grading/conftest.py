"""A grader in a process of its own, as a run has it, for notebooks made by script."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for notebooks.py, which tests import by name

from utils.grading.results import SubmissionResult  # noqa: E402
from utils.grading.sandbox import find_bwrap  # noqa: E402

ROOT = Path(__file__).parents[2]
SECRET = "5ec2e7" * 4
TIMES = {"calls": 3.0, "margin": 2.0, "cell": 3.0}  # seconds, so that a test waits no longer than it must
LIMITS = {"memory": 1_000_000_000, "total_memory": 3_000_000_000}


class GraderForTests:
    """One worker process, fed with notebooks."""

    def __init__(self, folder: Path, secret: str = SECRET, **settings) -> None:
        self.folder, self.secret = folder, secret
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "utils.grading.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=environment, cwd=ROOT,
        )  # fmt: skip
        known = {"confined": True, "limits": LIMITS, "times": TIMES, "private": [], "slot": 0}
        self._say({**known, **settings})

    def _say(self, content: dict) -> None:
        self.process.stdin.write(json.dumps(content) + "\n")
        self.process.stdin.flush()

    def __call__(
        self, notebook: dict | str | bytes, chapter: str = "03", learner: str = "somebody"
    ) -> SubmissionResult:
        """Grades a notebook."""
        data = notebook if isinstance(notebook, str | bytes) else json.dumps(notebook)
        path = self.folder / "submission.ipynb"
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        junit = str(self.folder / "junit.xml")
        self._say(
            {
                "secret": self.secret,
                "data": str(path),
                "learner": learner,
                "chapter": chapter,
                "file": "submission.ipynb",
                "junit": junit,
            }
        )
        answer = json.loads(self.process.stdout.readline())
        assert "result" in answer, answer
        return SubmissionResult.from_dict(answer["result"])

    def close(self) -> None:
        """Ends the process."""
        self.process.stdin.close()
        self.process.wait(20)


@pytest.fixture(scope="session")
def graded(tmp_path_factory):
    """graded(notebook): what the grader makes of it."""
    if find_bwrap() is None:
        pytest.skip("bubblewrap is not installed: apt install bubblewrap")
    grader = GraderForTests(tmp_path_factory.mktemp("graded"))
    yield grader
    grader.close()


@pytest.fixture(scope="session")
def other_graded(tmp_path_factory):
    """The same with another secret: other inputs."""
    if find_bwrap() is None:
        pytest.skip("bubblewrap is not installed: apt install bubblewrap")
    grader = GraderForTests(tmp_path_factory.mktemp("graded"), secret="0ddba11" * 4, slot=1)
    yield grader
    grader.close()
