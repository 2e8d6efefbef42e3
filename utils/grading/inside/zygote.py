"""The pre-warmed process: has imported what every kernel needs, and forks one kernel after another.

It is started by `sandbox.py` inside of an outer sandbox, gets one command a line over an inherited socket, and knows
no secret: a command names the kernel, its folder for sockets, its session key and its limits. Each kernel is forked
into namespaces of its own before any learner's code runs there.

    → {"open": 3}    ← {"ready": true}
    → {"spawn": "k1", "key": "…", "user": 61000 or null, "isolate": true, "limits": {…}}
    ← {"spawned": "k1", "pid": 12}            (or {"failed": "k1", "why": "…"})
    → {"kill": "k1"}
    ← {"ended": "k1", "status": 137}
"""

import contextlib
import importlib
import json
import os
import select
import signal
import socket
import sys

CONTROL = 3


def warm_up() -> None:
    """Imports once what takes seconds, so that no kernel has to."""
    sys.modules["debugpy"] = None  # nobody debugs here, and it takes half a second of every kernel's start
    names = (
        "ipykernel.ipkernel",
        "ipykernel.kernelapp",
        "ipykernel.zmqshell",
        "IPython.core.completer",
        "numpy",
        "torch",
    )
    for name in names:
        importlib.import_module(name)


def open_course() -> None:
    """Imports what depends on the chapter, and uses once of torch what is slow the first time."""
    for name in ("utils.exercises", "utils.plots", "graders_own.kernels", "graders_own.probe"):
        importlib.import_module(name)
    import torch

    from utils.exercises.calling import Largest

    torch.set_num_threads(1)
    x = torch.ones(2, 2, device="meta", dtype=torch.bool).tril()  # the first use of a device without memory takes 3 s,
    with Largest():  # and that of a watched call nearly as long
        x = torch.randn(2, 3, 4)
        x = (x @ x.transpose(-2, -1)).masked_fill(torch.eye(3) > 0, -1.0).softmax(-1).amax(-1)
        torch.cat([torch.maximum(x, x).exp(), x.sum(-1, keepdim=True)], -1)


class Zygote:
    """Waits for commands and for children."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.children: dict[int, str] = {}  # process → kernel's name
        self.wakeup, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(write)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.write = write

    def serve(self) -> None:
        """Until the control socket is closed."""
        pending = b""
        while True:
            ready, _, _ = select.select([self.control, self.wakeup], [], [])
            if self.wakeup in ready:
                os.read(self.wakeup, 4096)
                self.reap()
            if self.control in ready:
                received = self.control.recv(1 << 16)
                if not received:
                    return
                *lines, pending = (pending + received).split(b"\n")
                for line in lines:
                    self.obey(json.loads(line))

    def obey(self, command: dict) -> None:
        """One command."""
        if "open" in command:
            open_course()
            self.say({"ready": True})
        elif "spawn" in command:
            self.spawn(command)
        elif "kill" in command:
            for process, name in self.children.items():
                if name == command["kill"]:
                    end(process)

    def say(self, answer: dict) -> None:
        """One answer."""
        self.control.sendall(json.dumps(answer).encode() + b"\n")

    def reap(self) -> None:
        """Tells which kernels have ended, and how."""
        for process, name in list(self.children.items()):
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                del self.children[process]
                code = os.waitstatus_to_exitcode(status)
                self.say({"ended": name, "status": 128 - code if code < 0 else code})

    def spawn(self, command: dict) -> None:
        """Forks the process that holds a kernel's namespaces, which forks the kernel."""
        process = os.fork()
        if process == 0:
            self.in_child(command)
        self.children[process] = command["spawn"]
        self.say({"spawned": command["spawn"], "pid": process})

    def in_child(self, command: dict) -> None:
        """Never returns."""
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for handle in (self.control.fileno(), self.wakeup, self.write):
                os.close(handle)
            from . import kernels

            os._exit(kernels.hold(command))
        except BaseException as error:
            os.write(2, f"kernel {command.get('spawn')}: {type(error).__name__}: {error}\n".encode())
            os._exit(96)


def end(process: int) -> None:
    """Kills a kernel's holder and the kernel itself, which may have switched off that it dies with its parent."""
    try:
        with open(f"/proc/{process}/task/{process}/children") as file:
            children = [int(child) for child in file.read().split()]
    except OSError:
        children = []
    for victim in (*children, process):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(victim, signal.SIGKILL)


def main() -> None:
    """Entry point."""
    control = socket.socket(fileno=CONTROL)
    os.set_inheritable(CONTROL, False)
    warm_up()
    Zygote(control).serve()
