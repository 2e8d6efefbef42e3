"""A kernel's messages over unix sockets, read with suspicion: bounded, never unpickled, foreign ones ignored."""

import hashlib
import hmac
import json
import time
import uuid
from dataclasses import dataclass
from typing import Any

import zmq

from utils.grading.sandbox import SandboxError, Spawned

SHELL, IOPUB, CONTROL = 1, 2, 4
LARGEST = 12_000_000  # bytes of one message; ZeroMQ drops the connection that sends a larger one
LARGEST_HEADER = 20_000
DELIMITER = b"<IDS|MSG>"
START_SECONDS = 30.0
ASK_AGAIN = 0.03  # seconds: outputs sent before our subscription arrived are lost, so we ask until one is heard


@dataclass(frozen=True)
class Message:
    """One message that answers a request of ours."""

    channel: int
    kind: str
    parent: str
    size: int
    body: bytes

    def content(self) -> dict[str, Any]:
        """What it says; empty when it cannot be read."""
        try:
            content = json.loads(self.body)
        except (ValueError, RecursionError, MemoryError):
            return {}
        return content if isinstance(content, dict) else {}


class Kernel:
    """The grader's end of one kernel."""

    _context: zmq.Context | None = None

    def __init__(self, spawned: Spawned) -> None:
        self.spawned = spawned
        self._session = uuid.uuid4().hex
        if Kernel._context is None:
            Kernel._context = zmq.Context()
        self._sockets = {SHELL: self._connected(SHELL, zmq.DEALER), CONTROL: self._connected(CONTROL, zmq.DEALER)}
        self._sockets[IOPUB] = self._connected(IOPUB, zmq.SUB)
        self._sockets[IOPUB].setsockopt(zmq.SUBSCRIBE, b"")
        self._poller = zmq.Poller()
        for wire in self._sockets.values():
            self._poller.register(wire, zmq.POLLIN)

    def _connected(self, channel: int, kind: int) -> zmq.Socket:
        wire = Kernel._context.socket(kind)
        wire.setsockopt(zmq.LINGER, 0)
        wire.setsockopt(zmq.MAXMSGSIZE, LARGEST)
        wire.setsockopt(zmq.RCVHWM, 20)
        wire.setsockopt(zmq.RECONNECT_IVL, 20)
        wire.connect(self.spawned.address(channel))
        return wire

    def wait_until_ready(self, seconds: float = START_SECONDS) -> None:
        """Until the kernel answers and its outputs reach us. SandboxError when it does not come to that."""
        deadline = time.monotonic() + seconds
        asked, answered, heard = {self._send(SHELL, "kernel_info_request", {})}, False, False
        again = time.monotonic() + ASK_AGAIN
        while time.monotonic() < deadline:
            for message in self.receive(ASK_AGAIN):
                if message.parent in asked:
                    answered |= message.channel == SHELL
                    heard |= message.channel == IOPUB
            if answered and heard:
                return
            if (ended := self.spawned.ended()) is not None:
                raise SandboxError(f"The kernel died at its start (status {ended.status}).")
            if answered and time.monotonic() > again:
                asked.add(self._send(SHELL, "kernel_info_request", {}))
                again = time.monotonic() + ASK_AGAIN
        raise SandboxError(f"The kernel did not answer within {seconds:g} s.")

    def execute(self, code: str) -> str:
        """Sends a cell; returns the request's id."""
        content = {
            "code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False,
            "stop_on_error": False,
        }  # fmt: skip
        return self._send(SHELL, "execute_request", content)

    def interrupt(self) -> None:
        """Asks the kernel to interrupt what it is doing."""
        self._send(CONTROL, "interrupt_request", {})

    def _send(self, channel: int, kind: str, content: dict[str, Any]) -> str:
        identifier = uuid.uuid4().hex
        header = {
            "msg_id": identifier, "session": self._session, "username": "grader", "msg_type": kind, "version": "5.3",
            "date": "2017-06-12T00:00:00Z",
        }  # fmt: skip
        parts = [json.dumps(part).encode() for part in (header, {}, {}, content)]
        signature = hmac.new(self.spawned.key.encode(), digestmod=hashlib.sha256)
        for part in parts:
            signature.update(part)
        self._sockets[channel].send_multipart([DELIMITER, signature.hexdigest().encode(), *parts])
        return identifier

    def receive(self, seconds: float) -> list[Message]:
        """What has come in, at most one message a channel; waits so long for the first."""
        found = []
        for wire, _ in self._poller.poll(1000 * seconds):
            channel = next(channel for channel, known in self._sockets.items() if known is wire)
            try:
                frames = wire.recv_multipart(zmq.NOBLOCK)
            except zmq.ZMQError:
                continue
            if (message := _read(channel, frames)) is not None:
                found.append(message)
        return found

    def close(self) -> None:
        """Closes the sockets and ends the kernel."""
        for wire in self._sockets.values():
            wire.close(0)
        self.spawned.kill()


def _read(channel: int, frames: list[bytes]) -> Message | None:
    """A message from its frames; None when it is not one, or answers nobody."""
    if DELIMITER not in frames[:4]:
        return None
    at = frames.index(DELIMITER)
    if len(frames) < at + 6 or max(len(frames[at + 2]), len(frames[at + 3])) > LARGEST_HEADER:
        return None
    try:
        header, parent = json.loads(frames[at + 2]), json.loads(frames[at + 3])
    except (ValueError, RecursionError):
        return None
    if not isinstance(header, dict) or not isinstance(parent, dict):
        return None
    kind, answered = header.get("msg_type"), parent.get("msg_id")
    if not isinstance(kind, str) or not isinstance(answered, str):
        return None
    return Message(channel, kind, answered, sum(map(len, frames)), frames[at + 5])
