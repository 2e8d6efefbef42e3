"""What a learner's code runs in: a time limit, caught prints, and torch's global state put back afterwards."""

import contextlib
import io
import random
import signal
import sys
import sysconfig
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

import torch

PRINT_LIMIT = 20_000  # characters kept of what an answer prints
OURS = Path(__file__).parents[1]  # utils/
INSTALLED = tuple(
    str(Path(sysconfig.get_path(name)).resolve()) for name in ("stdlib", "platstdlib", "purelib", "platlib")
)


class TooSlow(BaseException):
    """Raised in an answer that has used up its time; a BaseException, so that `except Exception` lets it through."""


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raises TooSlow in the block after so many seconds. Works in the main thread of a system with interval timers;
    elsewhere the block is left alone, and the learner interrupts the kernel by hand.

    The alarm repeats, so that an answer that swallows the first is stopped by a later one.
    """
    here = threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer")
    if not here or seconds <= 0:
        yield
        return

    armed = True

    def ring(_signal: int, _frame: object) -> None:
        if armed:
            raise TooSlow

    former = signal.signal(signal.SIGALRM, ring)
    left, repeat = signal.setitimer(signal.ITIMER_REAL, seconds, 0.2)
    try:
        try:
            yield
        finally:
            armed = False  # an alarm from here on must not cut the tidying short
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former if former is not None else signal.SIG_DFL)
        if left:
            signal.setitimer(signal.ITIMER_REAL, left, repeat)


class _Kept(io.TextIOBase):
    """A stream that keeps its first PRINT_LIMIT characters and drops the rest."""

    def __init__(self) -> None:
        self.text = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if len(self.text) < PRINT_LIMIT:
            self.text += str(text)[: PRINT_LIMIT - len(self.text)]
        return len(text)


@contextlib.contextmanager
def prints_caught() -> Iterator[_Kept]:
    """Keeps what the block prints, instead of showing it once per case."""
    kept = _Kept()
    with contextlib.redirect_stdout(kept):
        yield kept


@contextlib.contextmanager
def state_preserved() -> Iterator[None]:
    """Puts back what an answer may have changed: random generators, default dtype and device, gradient mode,
    deterministic algorithms, number of threads.
    """
    numpy = sys.modules.get("numpy")
    torch_state, random_state = torch.get_rng_state(), random.getstate()
    numpy_state = numpy.random.get_state() if numpy else None
    dtype, gradients, threads = torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads()
    strict = torch.are_deterministic_algorithms_enabled()
    only_warn = torch.is_deterministic_algorithms_warn_only_enabled()
    device = torch.get_default_device()
    try:
        usual_state()
        yield
    finally:
        torch.set_rng_state(torch_state)
        random.setstate(random_state)
        if numpy:
            numpy.random.set_state(numpy_state)
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(gradients)
        now = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
        if now != (strict, only_warn):  # setting it imports torch's compiler, which takes seconds
            torch.use_deterministic_algorithms(strict, warn_only=only_warn)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        if torch.get_default_device() != device:
            torch.set_default_device(device)


def usual_state(seed: int | None = None) -> None:
    """What every call finds: float32, gradients on, results on the CPU, and, with a seed, the same random numbers."""
    torch.set_default_dtype(torch.float32)
    torch.set_grad_enabled(True)
    if torch.get_default_device().type != "cpu":
        torch.set_default_device(None)
    if seed is not None:
        torch.default_generator.manual_seed(seed)  # torch.manual_seed also queues calls for each absent accelerator
        random.seed(seed)
        if numpy := sys.modules.get("numpy"):
            numpy.random.seed(seed % 2**32)


def learner_lines(error: BaseException, limit: int = 4) -> list[str]:
    """The lines of a traceback that the learner wrote: "line 3, in attention: scores = query @ key"."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if is_learners(frame.filename)]
    return [f"line {frame.lineno}, in {frame.name}: {frame.line or ''}".rstrip(": ") for frame in own[-limit:]]


def is_learners(filename: str) -> bool:
    """Whether a source file is neither ours nor an installed library's."""
    if filename.startswith("<frozen"):
        return False
    path = Path(filename)
    if not path.is_absolute():
        return True  # <ipython-input-…>, <string>
    with contextlib.suppress(OSError):
        path = path.resolve()
    if path.is_relative_to(OURS) or "site-packages" in path.parts or "dist-packages" in path.parts:
        return False
    return not any(path.is_relative_to(folder) for folder in INSTALLED)
