"""What a sandbox takes of the machine, seen from outside: all processes of a kernel together.

Limits of a single process do not add up, and as some users the number of processes has none.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from utils.grading.sandbox import Sandbox

PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
OURS = 8  # processes that belong to the sandbox itself


def excess_of(sandbox: Sandbox) -> str | None:
    """ "memory" or "processes" when there is too much of it."""
    processes = list(descendants(sandbox.process))
    if len(processes) > sandbox.limits.tasks + OURS:
        return "processes"
    limit = sandbox.limits.total_memory
    if sum(map(_roughly, processes)) > limit and sum(map(_exactly, processes)) > limit:
        return "memory"
    return None


def own_memory() -> int:
    """Bytes that this process holds: a message in a million parts is no large message, and would fill it."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE
    return 0


def descendants(process: int) -> Iterator[int]:
    """A process with all that it and its children have started."""
    waiting = [process]
    while waiting:
        process = waiting.pop()
        yield process
        with contextlib.suppress(OSError, ValueError):
            for task in os.listdir(f"/proc/{process}/task"):
                with contextlib.suppress(OSError, ValueError):
                    waiting += map(int, Path(f"/proc/{process}/task/{task}/children").read_text().split())


def _roughly(process: int) -> int:
    """Bytes of memory, what is shared with the pre-warmed process included."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        resident, shared = map(int, Path(f"/proc/{process}/statm").read_text().split()[1:3])
        return (resident - shared) * PAGE
    return 0


def _exactly(process: int) -> int:
    """Bytes that are this process's alone; takes longer to find out."""
    try:
        text = Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:
        return _roughly(process)
    return 1024 * sum(map(int, re.findall(r"^(?:Private_Clean|Private_Dirty|Swap): +(\d+)", text, flags=re.MULTILINE)))
