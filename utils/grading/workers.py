"""Worker processes, and the submissions handed out to them."""

import contextlib
import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # workers are to start before torch is imported here
    from utils.grading.collect import Submission

ROOT = Path(__file__).parents[2]
SECONDS = 900.0  # that one submission may take a worker, whatever its cells do
LOADING = 4.0  # seconds that a worker takes, about, until it can grade
PAYS = 4  # times that long must be left to do: while it loads, the others have less of the machine
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass
class _Worker:
    """One process, and what it is grading."""

    process: subprocess.Popen
    submission: "Submission | None" = None
    since: float = 0.0
    used: bool = False
    pending: bytes = b""


class Workers:
    """Processes that grade, which begin to load at once; one that dies costs its submission one further try.

    Loading keeps two cores busy for some seconds, one for a worker and one for its sandbox. So no more workers begin at
    once than there are pairs of cores; the others begin when what is left will take longer than loading.

    settings: confined (bool), private (paths that kernels must not see), limits and times (fields of Limits, Times).
    """

    def __init__(self, jobs: int, confined: bool, private: Sequence[Path], **settings: Any) -> None:
        private = [str(path.resolve()) for path in private]
        self.settings = {"limits": {}, "times": {}, **settings, "confined": confined, "private": private}
        self._secret = ""
        self._folder = tempfile.TemporaryDirectory(prefix="ar-in-")
        self._selector = selectors.DefaultSelector()
        self._workers: list[_Worker] = []
        self.jobs = jobs
        for slot in range(min(jobs, max(1, len(os.sched_getaffinity(0)) // 2))):
            self._start(slot)

    def grade(
        self, submissions: "Sequence[Submission]", secret: str, junit: "Callable[[Submission], Path]"
    ) -> "Iterator[tuple[Submission, dict[str, Any]]]":
        """Yields each submission with {"result": …} or {"trouble": sentence}, in the order in which they are done."""
        waiting, tries, self._secret = list(submissions)[::-1], {}, secret
        took: list[float] = []  # seconds
        while waiting or any(worker.submission for worker in self._workers):
            for worker in self._workers:
                if worker.submission is None and waiting:
                    self._hand_over(worker, waiting.pop(), junit)
            if self._worth_another(len(waiting), took):
                self._start(len(self._workers))
                continue
            for worker, answer in self._answers():
                took.append(time.monotonic() - worker.since)
                submission, worker.submission = worker.submission, None
                if answer is None:
                    self._replace(worker)
                    tries[submission.identifier] = tries.get(submission.identifier, 0) + 1
                    if tries[submission.identifier] < 2:
                        waiting.append(submission)
                        continue
                    answer = {"trouble": "The grader's process ended twice while grading it: grade again."}
                yield submission, answer

    def _worth_another(self, waiting: int, took: list[float]) -> bool:
        """Whether one more worker would be ready before the others are done. The first answer includes loading."""
        if len(self._workers) >= self.jobs or not waiting:
            return False
        now = time.monotonic()
        on_it = max((now - worker.since for worker in self._workers if worker.submission), default=0.0)
        pace = max(took[-1] if len(took) > 1 else 0.0, on_it - 2 * LOADING)
        return waiting * pace > PAYS * LOADING * len(self._workers)

    def _start(self, slot: int) -> _Worker:
        environment = os.environ | dict.fromkeys(THREADS, "1") | {"PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "utils.grading.worker"]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
            start_new_session=True, cwd=ROOT,
        )  # fmt: skip
        os.set_blocking(process.stdout.fileno(), False)
        worker = _Worker(process)
        self._say(worker, {**self.settings, "slot": slot})
        self._selector.register(process.stdout, selectors.EVENT_READ, worker)
        self._workers.append(worker)
        return worker

    @staticmethod
    def _say(worker: _Worker, content: dict[str, Any]) -> None:
        try:
            worker.process.stdin.write(json.dumps(content).encode() + b"\n")
            worker.process.stdin.flush()
        except OSError:
            return  # it has died, which is seen when its output ends

    def _hand_over(self, worker: _Worker, submission: "Submission", junit: Callable) -> None:
        path = Path(self._folder.name) / f"{submission.identifier}.ipynb"
        path.write_bytes(submission.data)
        worker.submission, worker.since, worker.used = submission, time.monotonic(), True
        task = {"secret": self._secret, "data": str(path), "learner": submission.learner, "chapter": submission.chapter}
        self._say(worker, {**task, "file": submission.file, "junit": str(junit(submission))})

    def _answers(self) -> list[tuple[_Worker, dict[str, Any] | None]]:
        """Answers that have come in; None for a worker that has died or taken too long."""
        found: list[tuple[_Worker, dict[str, Any] | None]] = []
        for key, _ in self._selector.select(1.0):
            worker = key.data
            received = key.fileobj.read(1 << 20)
            if not received:
                if worker.submission is not None:
                    found.append((worker, None))
                else:
                    self._replace(worker)
                continue
            *lines, worker.pending = (worker.pending + received).split(b"\n")
            found += [(worker, json.loads(line)) for line in lines]
        for worker in self._workers:
            late = worker.submission is not None and time.monotonic() > worker.since + SECONDS
            if late and not any(worker is other for other, _ in found):
                found.append((worker, None))
        return found

    def _replace(self, worker: _Worker) -> None:
        """A new process in the place of one that has died."""
        slot = self._workers.index(worker)
        self._end(worker)
        self._workers.remove(worker)
        new = self._start(slot)
        self._workers.remove(new)
        self._workers.insert(slot, new)

    def _end(self, worker: _Worker) -> None:
        self._selector.unregister(worker.process.stdout)
        if worker.submission is not None or not worker.used:
            worker.process.terminate()
        with contextlib.suppress(OSError):
            worker.process.stdin.close()
        try:
            worker.process.wait(10)
        except subprocess.TimeoutExpired:
            worker.process.kill()
            worker.process.wait()
        worker.process.stdout.close()

    def close(self) -> None:
        """Ends all of them."""
        for worker in self._workers:
            self._end(worker)
        self._workers = []
        self._folder.cleanup()

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
