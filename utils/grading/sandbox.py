"""Where kernels live: bubblewrap around a pre-warmed process that forks each kernel into namespaces of its own.

Without bubblewrap the same pre-warmed process runs unconfined: limits on memory, time and files hold, but a submission
can then read what the grader's user can read. Whoever wants that has to say so.
"""

import atexit
import contextlib
import json
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from utils.errors import ConfigError, CourseError

if TYPE_CHECKING:  # else torch would be imported here before the sandbox can begin to do the same
    from utils.grading.slicing import Place, Slice

ROOT = Path(__file__).parents[2]
OWN = ("__init__.py", "zygote.py", "kernels.py", "namespaces.py", "packing.py", "probe.py")
CONTROL = 3  # the file descriptor under which the pre-warmed process finds its socket
USERS = 61_000  # as root, kernels run as users from here on, whom nothing on the machine belongs to
LONGEST_SOCKET = 100  # bytes; a unix socket's path may have 108
READY_SECONDS, SPAWN_SECONDS = 180.0, 60.0
LIBRARIES = ("/usr", "/lib", "/lib64", "/lib32", "/bin", "/sbin")
SYSTEM_FILES = ("/etc/ld.so.cache", "/etc/localtime", "/etc/alternatives")
EMPTY = ("/tmp/", "/dev/", "/proc/", "/run/", "/home/learner/")  # what every kernel has for itself
STARTER = (
    "import sys; sys.path[:0] = {first!r}; sys.path += [p for p in {last!r} if p not in sys.path]; "
    "from graders_own.zygote import main; main()"
)


class SandboxError(CourseError):
    """The sandbox cannot be used, or a kernel did not start: the grader's trouble, never the learner's."""


@dataclass(frozen=True)
class Limits:
    """What one kernel may use."""

    memory: int = 1_500_000_000  # bytes beyond what a fresh kernel has
    total_memory: int = 2_500_000_000  # of all its processes together, watched from outside
    cpu: int = 120  # seconds of processor time
    file: int = 64_000_000  # bytes of one file
    files: int = 256  # open at a time
    tasks: int = 64  # processes and threads
    space: int = 64  # megabytes of each place that can be written to


@dataclass(frozen=True)
class Ended:
    """How a kernel ended: its exit status, 128 + the signal's number where it was killed."""

    status: int


def find_bwrap() -> str | None:
    """The bubblewrap program, or None."""
    return shutil.which("bwrap")


def require_sandbox(unsafe: bool) -> bool:
    """Whether to confine kernels. ConfigError where that is impossible and nobody has agreed to do without."""
    if unsafe:
        return False
    if sys.platform != "linux" or find_bwrap() is None:
        raise ConfigError(
            "bubblewrap is not installed, so that a submission could read solutions and change files: install the "
            "package `bubblewrap` (Linux), or give --unsafe-no-sandbox for notebooks you trust."
        )
    trial = [find_bwrap(), "--ro-bind", "/", "/", "--unshare-pid", "--unshare-net", "--unshare-ipc", "/bin/true"]
    tried = subprocess.run(trial, env={}, capture_output=True, text=True)
    if tried.returncode != 0:
        said = " ".join(tried.stderr.split())[:200] or f"status {tried.returncode}"
        raise ConfigError(
            f"bubblewrap is installed and cannot be used here ({said}): allow user namespaces, or give "
            "--unsafe-no-sandbox for notebooks you trust."
        )
    return True


class Sandbox:
    """A pre-warmed process for one chapter, and the kernels forked from it, one at a time or one ahead.

    It begins to import torch at once, and is told later by `open` which chapter it is for.
    """

    def __init__(
        self, confined: bool = True, limits: Limits | None = None, private: Iterable[Path] = (), slot: int = 0
    ) -> None:
        self.chapter: int | None = None
        self.slice: Slice | None = None
        self.confined, self.limits, self.slot = confined, limits or Limits(), slot
        self.ended: dict[str, Ended] = {}
        self._count, self._pending = 0, b""
        self.folder = Path(tempfile.mkdtemp(prefix="ar-", dir=_short_folder()))
        self.folder.chmod(0o711)
        for name in ("course", "grader"):
            (self.folder / name).mkdir()
        (self.folder / "k").mkdir(mode=0o711)
        _copy_own_modules(self.folder / "grader" / "graders_own")
        self._errors = open(self.folder / "errors.txt", "wb")  # noqa: SIM115 (the sandbox writes to it while it lives)
        mine, theirs = socket.socketpair()
        self._control = mine
        try:
            self._process = self._start(theirs, [ROOT, Path.home(), *private])
        except OSError as error:
            raise SandboxError(f"The sandbox cannot be started: {error}.") from None
        finally:
            theirs.close()
        self._ready = False
        atexit.register(self.close)

    def open(self, chapter: int, imported: "frozenset[Place]" = frozenset()) -> None:
        """Puts the course of a chapter in place; to be called once."""
        from utils.grading.course import write_course

        self.slice = write_course(self.folder / "course", chapter, imported)
        self.chapter = chapter
        self._say({"open": chapter})

    def _start(self, theirs: socket.socket, private: list[Path]) -> subprocess.Popen:
        inside = ["/course", "/grader"] if self.confined else [str(self.folder / "course"), str(self.folder / "grader")]
        python = [sys.executable, "-I", "-B", "-c", STARTER.format(first=inside, last=_package_folders())]
        command = [*self._bwrap(private), *python] if self.confined else python
        environment = {} if self.confined else self.environment("/tmp")

        def hand_over() -> None:
            os.dup2(theirs.fileno(), CONTROL)
            os.set_inheritable(CONTROL, True)
            soft_file_limit()

        return subprocess.Popen(
            command, env=environment, preexec_fn=hand_over, pass_fds=(CONTROL,), start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self._errors, cwd="/",
        )  # fmt: skip

    @staticmethod
    def environment(home: str) -> dict[str, str]:
        """All that a kernel's environment holds."""
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        return {
            "PATH": "/usr/bin:/bin", "HOME": home, "LANG": "C.UTF-8", "MPLBACKEND": "agg",
            **dict.fromkeys(names, "1"),
        }  # fmt: skip

    def _bwrap(self, private: list[Path]) -> list[str]:
        """The outer sandbox: libraries and the cut course, read-only, and nothing else of the machine."""
        root = os.geteuid() == 0
        arguments = [find_bwrap(), "--die-with-parent", "--new-session", "--unshare-ipc", "--unshare-pid"]
        arguments += ["--unshare-net", "--unshare-uts", "--unshare-cgroup-try", "--hostname", "kernel", "--clearenv"]
        arguments += ["--cap-drop", "ALL"] if root else ["--unshare-user"]
        for capability in ("CAP_SETUID", "CAP_SETGID", "CAP_KILL") if root else ():
            arguments += ["--cap-add", capability]
        shown = [str(path) for path in _library_folders()]
        for path in shown:
            if path.startswith(EMPTY):
                raise SandboxError(
                    f"Python or its packages lie in {path}, and kernels get that place empty: move them."
                )
        for path in LIBRARIES:
            if os.path.islink(path):
                arguments += ["--symlink", os.readlink(path), path]
            elif os.path.isdir(path):
                arguments += ["--ro-bind", path, path]
        for path in (*shown, *(file for file in SYSTEM_FILES if os.path.exists(file))):
            for folder in reversed(Path(path).parents[:-1]):  # else bubblewrap makes them, for root alone
                arguments += ["--dir", str(folder)]
            arguments += ["--ro-bind", path, path]
        for path in _to_be_hidden([Path(path) for path in (*shown, *LIBRARIES)], private):
            arguments += ["--tmpfs", str(path), "--remount-ro", str(path)]
        arguments += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--dir", "/home/learner", "--dir", "/run"]
        arguments += ["--ro-bind", str(self.folder / "course"), "/course"]
        arguments += ["--ro-bind", str(self.folder / "grader"), "/grader"]
        arguments += ["--bind", str(self.folder / "k"), "/run/kernels", "--remount-ro", "/", "--chdir", "/"]
        for name, value in self.environment("/home/learner").items():
            arguments += ["--setenv", name, value]
        return arguments

    def spawn(self) -> "Spawned":
        """Forks a kernel. SandboxError when none comes into being."""
        if not self._ready:
            self._wait(lambda answer: "ready" in answer, READY_SECONDS, "did not get ready")
            self._ready = True
        self._count += 1
        name, key = f"k{self._count}", secrets.token_hex(16)
        folder = self.folder / "k" / name
        folder.mkdir(mode=0o700)
        user = USERS + self.slot if os.geteuid() == 0 and self.confined else None
        if user is not None:
            os.chown(folder, user, user)
        command = {"spawn": name, "key": key, "user": user, "isolate": self.confined, "limits": asdict(self.limits)}
        self._say({**command, "folder": str(folder)})
        answer = self._wait(lambda said: said.get("spawned") == name, SPAWN_SECONDS, "forked no kernel")
        return Spawned(self, name, key, folder, answer["pid"])

    def kill(self, name: str) -> None:
        """Ends a kernel and all that it has started."""
        if name not in self.ended:
            self._say({"kill": name})

    def status(self, name: str) -> Ended | None:
        """How a kernel has ended; None while it lives."""
        self._read(0)
        return self.ended.get(name)

    def _say(self, command: dict) -> None:
        try:
            self._control.sendall(json.dumps(command).encode() + b"\n")
        except OSError:
            raise SandboxError(f"The sandbox has died: {self._last_words()}.") from None

    def _wait(self, wanted, seconds: float, otherwise: str) -> dict:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            for answer in self._read(left):
                if wanted(answer):
                    return answer
        raise SandboxError(f"The sandbox {otherwise} within {seconds:g} s: {self._last_words()}.")

    def _read(self, seconds: float) -> list[dict]:
        """Answers that have come in; ends of kernels are noted on the way."""
        ready, _, _ = select.select([self._control], [], [], seconds)
        if not ready:
            return []
        received = self._control.recv(1 << 16)
        if not received:
            raise SandboxError(f"The sandbox has died: {self._last_words()}.")
        *lines, self._pending = (self._pending + received).split(b"\n")
        answers = [json.loads(line) for line in lines]
        self.ended |= {answer["ended"]: Ended(answer["status"]) for answer in answers if "ended" in answer}
        return answers

    def _last_words(self) -> str:
        with open(self.folder / "errors.txt", errors="replace") as file:
            text = file.read()[-2000:]
        lines = [line for line in text.splitlines() if line.strip()]
        return lines[-1][:300] if lines else "it said nothing"

    @property
    def process(self) -> int:
        """The sandbox's process on this machine, from which all in it descend."""
        return self._process.pid

    def close(self) -> None:
        """Ends the sandbox with everything in it."""
        atexit.unregister(self.close)
        self._control.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # and with it, by --die-with-parent, all that is inside
        self._process.wait()
        self._errors.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True)
class Spawned:
    """A kernel that has been forked, and how to reach it."""

    sandbox: Sandbox
    name: str
    key: str
    folder: Path
    process: int  # as the sandbox counts

    def address(self, channel: int) -> str:
        """Where a channel's socket lies."""
        return f"ipc://{self.folder}/s-{channel}"

    def ended(self) -> Ended | None:
        """How it ended; None while it lives."""
        return self.sandbox.status(self.name)

    def kill(self) -> None:
        """Ends it, with all that it has started, and removes its sockets."""
        self.sandbox.kill(self.name)
        shutil.rmtree(self.folder, ignore_errors=True)


def _copy_own_modules(target: Path) -> None:
    """The modules that the sandbox's own processes consist of."""
    target.mkdir()
    for name in OWN:
        shutil.copyfile(Path(__file__).parent / "inside" / name, target / name)


def soft_file_limit() -> None:
    """The usual number of open files: the hard limit stays, so that nothing the grader starts later is bound by it."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))


def _short_folder() -> str:
    """A temporary folder with a path short enough for sockets."""
    return next((place for place in (tempfile.gettempdir(), "/tmp") if len(place) < LONGEST_SOCKET - 40), "/tmp")


def _package_folders() -> list[str]:
    """Where this interpreter finds installed packages, those of the user and of an environment below included."""
    names = ("site-packages", "dist-packages")
    return [os.path.abspath(path) for path in sys.path if os.path.basename(path) in names and os.path.isdir(path)]


def _library_folders() -> list[Path]:
    """Python, and the packages installed for it, as far as they lie outside of the system's folders."""
    found = [Path(sys.base_prefix), Path(sys.prefix)]
    found += [Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    found += [Path(path) for path in _package_folders()]
    found += [Path(os.path.realpath(path)) for path in list(found)]
    folders: list[Path] = []
    for path in dict.fromkeys(path.absolute() for path in found):
        covered = [Path(place) for place in LIBRARIES] + folders
        if path.is_dir() and not any(path.is_relative_to(place) for place in covered):
            folders = [place for place in folders if not place.is_relative_to(path)] + [path]
    return folders


def _to_be_hidden(shown: list[Path], private: list[Path]) -> list[Path]:
    """Places inside of what is shown that must not be: the course, submissions, an installed copy of the course."""
    found = [path.resolve() for path in private if any(path.resolve().is_relative_to(place) for place in shown)]
    for place in {Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")}:
        found += [place / "utils"] if (place / "utils").is_dir() else []
    return [path for path in found if path.is_dir()]
