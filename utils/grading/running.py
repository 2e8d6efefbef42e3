"""The grader's own run loop: one cell at a time, with a deadline, an eye on the kernel's life, an end in any case."""

import time
from dataclasses import dataclass, field
from typing import Any

from utils.grading.inside.probe import MIME
from utils.grading.texts import harmless
from utils.grading.watching import excess_of, own_memory
from utils.grading.wire import IOPUB, SHELL, Kernel, Message

GRACE = 2.0  # seconds between an interrupt and the end of the kernel
POLL = 0.05
WATCH = 0.25  # seconds between two looks at the kernel's memory
FLOOD_BYTES, FLOOD_MESSAGES = 30_000_000, 20_000  # what one cell may send at most
FLOOD_MEMORY = 400_000_000  # bytes by which the grader itself may grow meanwhile
KEPT_TEXT = 20_000  # characters of output kept for a person
SILENCE = 1.5  # seconds after the reply in which outputs may still come


@dataclass
class CellRun:
    """What became of one cell. `ended`: ok, error, slow, killed, died, flooded, memory or processes."""

    ended: str = "ok"
    error_name: str = ""
    error_text: str = ""
    lines: tuple[str, ...] = ()
    text: str = ""
    bundles: list[Any] = field(default_factory=list)
    status: int | None = None  # of the kernel's process, where it ended
    seconds: float = 0.0
    lost_output: bool = False

    @property
    def kernel_lives(self) -> bool:
        """Whether the kernel can go on."""
        return self.ended in ("ok", "error", "slow")

    def told(self) -> str:
        """What happened, in words, for a cell that did not end well."""
        said = f": {self.error_text.rstrip('.')}" if self.error_text else ""
        return {
            "ok": "",
            "error": f"it stops with {self.error_name or 'an error'}{said}",
            "slow": f"it had not finished after {self.seconds:.0f} seconds and was interrupted: is there a loop "
            "without an end?",
            "killed": f"it had not finished after {self.seconds:.0f} seconds, did not react to an interrupt, and was "
            "ended: is there a loop without an end?",
            "died": f"it ended the Python process it ran in{_by_signal(self.status)}",
            "flooded": "it printed without end, and was stopped",
            "memory": "it used more memory than there is for one exercise, and was stopped",
            "processes": "it started more and more processes, and was stopped",
        }[self.ended]


def _by_signal(status: int | None) -> str:
    names = {137: " (killed)", 139: " (segmentation fault)", 134: " (aborted)", 136: " (arithmetic error)"}
    return names.get(status, f" (exit status {status})" if status is not None else "")


class Loop:
    """Runs cells in one kernel."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._received = self._messages = self._memory = 0

    def run(self, code: str, seconds: float) -> CellRun:
        """Runs a cell within so many seconds, and comes back soon after them whatever the cell does."""
        run, start = CellRun(), time.monotonic()
        try:
            self._run(code, seconds, run, start)
        finally:
            run.seconds = time.monotonic() - start
        if not run.kernel_lives:
            self.kernel.spawned.kill()
        return run

    def _run(self, code: str, seconds: float, run: CellRun, start: float) -> None:
        request = self.kernel.execute(code)
        self._received = self._messages = 0
        self._memory = own_memory()
        deadline, interrupted, watched, replied = start + seconds, False, start, None
        idle = False
        while not (idle and replied):
            now = time.monotonic()
            for message in self.kernel.receive(POLL):
                self._received += message.size
                self._messages += 1
                if message.parent != request:
                    continue
                if message.channel == SHELL and message.kind == "execute_reply":
                    replied = now
                idle |= self._noted(message, run)
            if self._received > FLOOD_BYTES or self._messages > FLOOD_MESSAGES:
                run.ended = "flooded"
                return
            if (ended := self.kernel.spawned.ended()) is not None:
                run.ended, run.status = "died", ended.status
                return
            if now > watched + WATCH:
                watched = now
                if own_memory() > self._memory + FLOOD_MEMORY:
                    run.ended = "flooded"
                    return
                if (excess := excess_of(self.kernel.spawned.sandbox)) is not None:
                    run.ended = excess
                    return
            if replied and now > replied + SILENCE:
                run.lost_output = True  # too large for the grader, or swallowed
                break
            if now > deadline and not replied:
                if interrupted:
                    run.ended = "killed"
                    return
                self.kernel.interrupt()
                interrupted, deadline = True, now + GRACE
        if interrupted:
            run.ended = "slow"

    def _noted(self, message: Message, run: CellRun) -> bool:
        """Takes down one output; True when the kernel says that it has nothing more to do."""
        if message.channel != IOPUB:
            return False
        content = message.content()
        if message.kind == "status":
            return content.get("execution_state") == "idle"
        if message.kind == "stream":
            run.text = (run.text + harmless(content.get("text"))[:KEPT_TEXT])[:KEPT_TEXT]
        elif message.kind in ("display_data", "execute_result", "update_display_data"):
            data = content.get("data")
            if isinstance(data, dict) and MIME in data:
                run.bundles.append(data[MIME])
        elif message.kind == "error":
            run.ended = "error"
            run.error_name, run.error_text = (
                harmless(content.get("ename"))[:200],
                harmless(content.get("evalue"))[:2_000],
            )
        return False
