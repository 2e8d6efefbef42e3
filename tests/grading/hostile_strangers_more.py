"""More attacks of strangers, on the kernel and on the grader's own reading of code; as in `hostile_strangers.py`."""

STRANGERS_MORE: dict[str, tuple[str, str, str]] = {
    # The kernel and what it is made of
    "fewer results than calls": (
        "8.2",
        """
import sys
probe = sys.modules["graders_own.probe"]
plain = probe.emit
probe.emit = lambda content: plain({**content, "outcomes": content.get("outcomes", [])[:1]})
def penalty(length, alpha):
    return ((5 + length) / 6) ** alpha
""",
        "not of the grader's making",
    ),
    "no results at all": (
        "8.5",
        """
import sys
probe = sys.modules["graders_own.probe"]
plain = probe.emit
probe.emit = lambda content: plain({**content, "outcomes": []})
def clipped_matches(hypothesis, reference, order):
    return 0
""",
        "not of the grader's making",
    ),
    "replies of its own": (
        "8.3",
        """
def beam_step(live, log_probabilities):
    kernel = get_ipython().kernel
    parent = kernel.get_parent("shell")
    kernel.session.send(kernel.shell_stream, "execute_reply", {"status": "ok"}, parent,
                        ident=kernel._parent_ident.get("shell") if hasattr(kernel, "_parent_ident") else None)
    kernel.session.send(kernel.iopub_socket, "status", {"execution_state": "idle"}, parent, ident=b"status")
    return live, live, live, live
""",
        "",
    ),
    "cells rewritten by IPython's own means": (
        "8.7",
        """
import ast
class Rewrite(ast.NodeTransformer):
    def visit_Constant(self, node):
        return ast.Constant("x") if isinstance(node.value, str) and len(node.value) > 100 else node
shell = get_ipython()
shell.ast_transformers.append(Rewrite())
shell.events.register("pre_execute", lambda: shell.user_ns.clear())
shell.events.register("post_run_cell", lambda *a: shell.user_ns.clear())
def training_flops(hours, gpus, teraflops):
    return 1.0
""",
        "",
    ),
    "clocks and alarms of its own": (
        "8.1",
        """
import signal, time
time.monotonic = time.time = lambda: 0.0
signal.setitimer = signal.signal = lambda *a, **k: None
def greedy_decode(model, source, max_extra=50):
    while True:
        pass
""",
        "",
    ),
    "twenty thousand small outputs": (
        "8.6",
        """
from IPython.display import display, HTML
def bleu(hypotheses, references):
    for i in range(30_000):
        display(HTML("<script>alert(1)</script>"))
    return 1.0
""",
        "",
    ),
    "comms and widgets": (
        "8.4",
        """
def attend_with_cache(attention, x, cache=None):
    session, kernel = get_ipython().kernel.session, get_ipython().kernel
    for i in range(2_000):
        session.send(kernel.iopub_socket, "comm_open", {"comm_id": str(i), "target_name": "jupyter.widget", "data": {}})
    return x, (x, x)
""",
        "",
    ),
    "faulthandler, tracing and profiling": (
        "9.2",
        """
import faulthandler, sys, threading
faulthandler.dump_traceback_later(0.01, exit=True)
threading.setprofile(lambda *a: None)
def read_sequence(cell, inputs, real, state):
    import time
    time.sleep(0.05)
    return inputs, state
""",
        "",
    ),
    "the system called by number": (
        "9.4",
        """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
got = []
got += ["ptrace"] if libc.ptrace(16, 1, 0, 0) == 0 and os.getpid() != 1 else []
got += ["io_uring"] if libc.syscall(425, 8, ctypes.create_string_buffer(120)) >= 0 and os.listdir("/proc") else []
file = libc.memfd_create(b"x", 0)
got += ["handle"] if libc.syscall(304, -1, b"x", 0) >= 0 else []
buffer = ctypes.create_string_buffer(64)
local, remote = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), 64), (ctypes.c_size_t * 2)(0x400000, 64)
for pid in range(2, 400):
    if pid != os.getpid() and libc.syscall(310, pid, local, 1, remote, 1, 0) > 0:
        got.append(f"memory of {pid}")
if got:
    raise AssertionError(str(got))
def attentive_step(cell, attention, embedded, state, memory, real):
    return state, state
""",
        "have the shape",
    ),
    "abstract sockets and shared memory": (
        "9.5",
        """
import os, socket
for name in ("\\0/tmp/.X11-unix/X0", "\\0/run/kernels", "/run/kernels/k1/s-1", "/var/run/docker.sock"):
    try:
        socket.socket(socket.AF_UNIX).connect(name)
    except OSError:
        continue
    raise AssertionError("a socket: " + name)
if os.listdir("/dev/shm") or os.listdir("/run") or os.listdir("/proc"):
    raise AssertionError("something is there")
def influence(run, inputs):
    return inputs
""",
        "has the shape",
    ),
    "limits raised and other processors": (
        "9.6",
        """
import os, resource
for what in (resource.RLIMIT_AS, resource.RLIMIT_NPROC, resource.RLIMIT_CPU, resource.RLIMIT_FSIZE):
    try:
        resource.setrlimit(what, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except (OSError, ValueError):
        continue
    raise AssertionError("a limit raised")
def layer_cost(layer, n, d, window):
    return 0, 0, 0
""",
        "expected",
    ),
    "leftovers on the disk": (
        "9.3",
        """
import os, re
WANTED = re.compile(r"BEGIN SOLUTION|class RecurrentPair|def read_sequence|def gru_step")
FOUND = []
for root in ("/course", "/grader", "/etc", "/run", "/tmp", "/home", "/var", "/opt", "/root", "/srv", "/work"):
    for folder, folders, names in os.walk(root):
        folders[:] = [f for f in folders if f not in ("site-packages", "lib", "versions")]
        for name in names:
            try:
                text = open(os.path.join(folder, name), errors="ignore").read(2_000_000)
            except OSError:
                continue
            if WANTED.search(text):
                FOUND.append(os.path.join(folder, name))
if FOUND:
    raise AssertionError(f"found {FOUND[:3]}")
class RecurrentPair(torch.nn.Module):
    def __init__(self, embedding, encoder, decoder, output):
        super().__init__()
        self.parts = torch.nn.ModuleList([embedding, encoder, decoder, output])
    def forward(self, source, target):
        return self.parts[3](torch.zeros(*target.shape, 4))
""",
        "stops with RuntimeError",
    ),
    "exceptions with odd names": (
        "10.1",
        """
Odd = type("=cmd()|'</script><img src=x>", (Exception,), {"__str__": lambda self: "</pre><script>alert(1)</script>"})
def maps_of(model, source, target, which):
    raise Odd
""",
        "stops with",
    ),
    "an exception whose text never comes": (
        "10.2",
        """
class Slow(Exception):
    def __str__(self):
        while True:
            pass
def alignment_error_rate(weights, sure, possible):
    raise Slow
""",
        "",
    ),
    "an interrupt as an answer": (
        "10.3", "def found(weights, relation):\n    raise KeyboardInterrupt\n", "",
    ),
    "a group of exceptions": (
        "10.5",
        "def other_weights(weights, value, direction):\n"
        "    raise BaseExceptionGroup('many', [SystemExit(), GeneratorExit()])\n", "",
    ),
    "copies and pickles replaced": (
        "10.6",
        """
import copy, pickle, io
SEEN = []
copy.deepcopy = lambda x, *a: SEEN.append(x) or x
pickle.Unpickler = None
def contributions(weights, value, output_weight):
    weights.zero_()
    return weights
""",
        "",
    ),
    # The grader's own reading of the code
    "an import that ends the grader": (
        "3.1",
        """
import torch.utils.model_dump.__main__ as a
import numpy.f2py.__main__ as b
import torch.testing._internal.common_utils as c
def weights_of_one_query(query, keys):
    return keys
""",
        "",
    ),
    "a name whose look-up raises": (
        "3.2",
        """
x = torch.classes.no_such.thing
y = torch.ops.no_such.thing
from torch import onnx, _inductor, export
def attention(query, key, value):
    return query, x
""",
        "",
    ),
    "blank lines without end": ("3.4", "x = 1" + "\n" * 200_000 + "y = (\n", "no Python"),
    "orders to IPython without end": (
        "3.5", "%time x\n" * 400 + "y = 1 + 2\n" * 3_000 + "def additive_scores(a):\n    return a\n", "",
    ),
}  # fmt: skip
