"""Notebooks that try to earn what they have not done, or to harm: each with what it must earn and what must be said.

Each attacks exercise 3.2 and has 3.1 and 3.3 right beside it: 3.2 must earn nothing, the others everything.
"""

# What 3.2 asks for, so that an attack that only has to be let through would earn its two points.
WRONG = """
def attention(query, key, value):
    return value.mean(-2, keepdim=True).expand(*query.shape[:-1], value.size(-1)) * 1.0, query @ key.transpose(-2, -1)
"""

BEGIN = "def attention(query, key, value):\n"

# name → (source of exercise 3.2, words of its message or verdict)
HOSTILE: dict[str, tuple[str, str]] = {
    # Never coming back
    "loop in the function": (f"{BEGIN}    while True:\n        pass\n", "loop without an end"),
    "loop at top level": (f"{WRONG}\nwhile True:\n    pass\n", ""),
    "loop that swallows interrupts": (
        f"{BEGIN}    while True:\n        try:\n            while True:\n                pass\n"
        "        except BaseException:\n            pass\n",
        "loop without an end",
    ),
    "loop at top level that swallows interrupts": (
        "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass\n",
        "loop without an end",
    ),
    "interrupts switched off": (
        "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\n"
        f"{BEGIN}    signal.signal(signal.SIGALRM, signal.SIG_IGN)\n    while True:\n"
        "        pass\n",
        "",
    ),
    "the interpreter's lock held": (
        f"import re\n{BEGIN}    re.match(r'(a+)+$', 'a' * 60 + 'b')\n    return query, key\n",
        "loop without an end",
    ),
    # Ending the process
    "os._exit": ("import os\ndef attention(query, key, value):\n    os._exit(0)\n", "ended the Python process"),
    "os._exit at top level": ("import os\nos._exit(0)\n", "ended the Python process"),
    "SIGKILL to itself and its parent": (
        f"import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\nos.kill(os.getppid(), signal.SIGKILL)\n{WRONG}",
        "",
    ),
    "SIGKILL to everybody": (f"import os, signal\nos.kill(-1, signal.SIGKILL)\n{WRONG}", ""),
    "segmentation fault": (
        "import ctypes\ndef attention(query, key, value):\n    ctypes.string_at(0)\n",
        "ended the Python process",
    ),
    "sys.exit": ("import sys\ndef attention(query, key, value):\n    sys.exit(0)\n", "SystemExit"),
    "endless recursion": (
        f"{BEGIN}    return attention(query, key, value)\n", "RecursionError",
    ),
    "input()": (f"{BEGIN}    return input('?'), key\n", "nobody to ask"),
    # Taking more than there is
    "memory bomb": (f"{BEGIN}    return bytearray(10**11), key\n", "MemoryError"),
    "memory in small pieces": (
        f"{BEGIN}    kept = []\n    while True:\n        kept.append(bytearray(10**7))\n", "",
    ),
    "fork bomb": (
        f"import os\ntry:\n    while True:\n        os.fork()\nexcept OSError:\n    pass\n{WRONG}", "",
    ),
    "thread flood": (
        "import threading, time\ntry:\n    while True:\n        threading.Thread(target=time.sleep, args=[9]).start()\n"
        f"except RuntimeError:\n    pass\n{WRONG}",
        "",
    ),
    "disk filling": (
        "import itertools\ndef attention(query, key, value):\n    for i in itertools.count():\n"
        "        open(f'/tmp/{i}', 'wb').write(b'0' * 10**7)\n",
        "No space left",
    ),
    "a print without end": (f"{BEGIN}    while True:\n        print('x' * 1000)\n", ""),
    "a print without end, at top level": (f"{WRONG}\nwhile True:\n    print('x' * 1000)\n", ""),
    "100 MB on the terminal": (f"{WRONG}\nprint('x' * 100_000_000)\n", ""),
    "100 MB past our limit": (
        f"{WRONG}\nfrom IPython.display import publish_display_data\n"
        "publish_display_data({'text/plain': 'x' * 100_000_000})\n",
        "",
    ),
    "output nested deeply": (
        f"{WRONG}\nfrom IPython.display import publish_display_data\nx = []\nfor _ in range(900):\n    x = [x]\n"
        "publish_display_data({'application/json': x})\n",
        "",
    ),
    "a result nested deeply": (
        f"{BEGIN}    x = []\n    for _ in range(100_000):\n        x = [x]\n    return x, x\n",
        "",
    ),
    "a result too large": (
        f"{BEGIN}    return torch.zeros(30_000_000), query\n", "too large",
    ),
    # Making the judge agree
    "patched torch.allclose": (f"torch.allclose = torch.equal = lambda *a, **k: True\n{WRONG}", "not the expected"),
    "patched check": (
        f"import utils.exercises\nutils.exercises.check = check = lambda *a, **k: True\n{WRONG}", "not the expected",
    ),
    "an __eq__ that always agrees": (
        """
class Agreeing(torch.Tensor):
    def __eq__(self, other):
        return torch.ones(self.shape, dtype=torch.bool)
    def __sub__(self, other):
        return torch.zeros(self.shape)
    @classmethod
    def __torch_function__(cls, function, types, arguments=(), keywords=None):
        if "allclose" in str(function):
            return True
        return super().__torch_function__(function, types, arguments, keywords or {})

def attention(query, key, value):
    zeros = torch.zeros(*query.shape[:-1], value.size(-1), dtype=query.dtype)
    return zeros.as_subclass(Agreeing), torch.zeros(*query.shape[:-1], key.size(-2)).as_subclass(Agreeing)
""",
        "",
    ),
    "patched builtins": (
        f"import builtins\nbuiltins.all = builtins.any = builtins.isinstance = lambda *a: True\n{WRONG}",
        "",
    ),
    "a bundle of its own before the probe's": (
        """
import json
from IPython.display import publish_display_data

MIME = "application/x-attention-rebuilt-probe+json"

def attention(query, key, value):
    publish_display_data({MIME: json.dumps({"probe": "", "answer": {"there": True}, "outcomes": []})})
    return query, key

publish_display_data({MIME: json.dumps({"probe": "", "answer": {"there": True}, "outcomes": []})})
""",
        "results of its own",
    ),
    "a bundle in the place of the probe's": (
        """
import sys, json
probe = sys.modules["graders_own.probe"]
emit = probe.emit

def forged(content):
    for outcome in content["outcomes"]:
        outcome.pop("trouble", None)
        outcome["value"] = ["tuple", [["float", (1.0).hex()], ["float", (1.0).hex()]]]
    content["passed"] = True
    content["points"] = 2
    emit(content)

probe.emit = forged

def attention(query, key, value):
    return 1, 1
""",
        "",
    ),
    "a bundle that is no JSON": (
        """
import sys
probe = sys.modules["graders_own.probe"]
from IPython.display import publish_display_data
probe.emit = lambda content: publish_display_data({probe.MIME: "[" * 1_000_000})

def attention(query, key, value):
    return 1, 1
""",
        "not of the grader's making",
    ),
    "results swallowed": (
        """
import IPython.display
IPython.display.publish_display_data = lambda *a, **k: None
IPython.core.display_functions.publish_display_data = lambda *a, **k: None

def attention(query, key, value):
    return 1, 1
""",
        "",
    ),
    "the next cell transformed": (
        f"{WRONG}\nget_ipython().input_transformers_post.append(lambda lines: ['print(1)\\n'])\n", "not the expected",
    ),
    "the stream closed": ("import sys\nsys.stdout.close()\nsys.stderr.close()\n" + WRONG, "not the expected"),
    # Finding what is expected
    "the reference imported": (
        """
from utils.exercises.chapter_03.references import attention
""",
        "left out",
    ),
    "the reference through the registry": (
        """
from utils.exercises.registry import exercise
attention = exercise("3.2").reference
""",
        "left out",
    ),
    "the model's form imported": (
        """
from utils.transformer import scaled_dot_product_attention
def attention(query, key, value):
    return scaled_dot_product_attention(query, key, value)
""",
        "left out",
    ),
    "the course's own through yours()": (
        "from utils.exercises import yours\nattention = yours('3.2')\n", "no exercise of a chapter before",
    ),
    "frames, gc and modules searched": (
        """
import gc, sys, inspect

def attention(query, key, value):
    frame = sys._getframe()
    while frame:
        for thing in frame.f_locals.values():
            if getattr(thing, "expected", None) is not None:
                return thing.expected.value
        frame = frame.f_back
    for thing in gc.get_objects():
        try:
            if type(thing).__name__ == "Exercise" or getattr(thing, "__name__", "") == "scaled_dot_product_attention":
                reference = getattr(thing, "reference", None)
                if reference:
                    return reference(query, key, value)
        except Exception:
            pass
    return query, key
""",
        "",
    ),
    "files, /proc, environment and sockets searched": (
        """
import os, glob, socket

FOUND = []
for root in ("/", "/proc", "/course", "/grader", "/work", "/root", "/home", "/tmp", "/run"):
    for folder, folders, files in os.walk(root):
        if len(FOUND) > 20_000:
            break
        folders[:] = [f for f in folders if f not in ("site-packages", "usr", "sys", "lib", "dev")]
        FOUND += [os.path.join(folder, name) for name in files]
SUSPECTS = [path for path in FOUND if "references" in path or "solutions" in path or "03_scaled" in path]
OPEN = [fd for fd in range(3, 200) if os.path.exists(f"/proc/self/fd/{fd}")]
if SUSPECTS or OPEN or any("secret" in key.lower() or "seed" in key.lower() for key in os.environ):
    raise AssertionError(f"found {SUSPECTS[:3]} {OPEN}")

def attention(query, key, value):
    return query, key
""",
        "",
    ),
    "a library that does the work": (
        """
import torch.nn.functional as F
def attention(query, key, value):
    return F.scaled_dot_product_attention(query, key, value), (query @ key.mT / query.size(-1) ** 0.5).softmax(-1)
""",
        "does by itself",
    ),
    "the library by another name": (
        """
from torch.nn.functional import scaled_dot_product_attention as mine
fast = mine
def attention(query, key, value):
    return fast(query, key, value), (query @ key.mT / query.size(-1) ** 0.5).softmax(-1)
""",
        "does by itself",
    ),
    "the library by a hidden name": (
        """
def attention(query, key, value):
    fused = getattr(torch.nn.functional, "scaled_dot" + "_product_attention")
    return fused(query, key, value), (query @ key.mT / query.size(-1) ** 0.5).softmax(-1)
""",
        "torch carried out",
    ),
    "a message in a million parts": (
        f"""
import zmq
socket = get_ipython().kernel.iopub_thread.socket
part = b"x" * 1_000_000
for _ in range(20_000):
    socket.send(part, zmq.SNDMORE)
{WRONG}
""",
        "",
    ),
    "an expression nested deeply": (f"{WRONG}\nx = {'-' * 3_000}1\ny = {'1 + ' * 5_000}1\n", ""),
    "a cell of a megabyte": (f"{WRONG}\nx = '{'x' * 1_000_000}'\n", ""),
    # Numbers that are not computed
    "zeros": (
        f"{BEGIN}    return torch.zeros(*query.shape[:-1], value.size(-1)), "
        "torch.zeros(*query.shape[:-1], key.size(-2))\n",
        "",
    ),
    "NaN": (
        f"{BEGIN}    nan = float('nan')\n    return torch.full((*query.shape[:-1], "
        "value.size(-1)), nan), torch.full((*query.shape[:-1], key.size(-2)), nan)\n",
        "",
    ),
    "the inputs handed back": (f"{BEGIN}    return query, key\n", ""),
    "None": (f"{BEGIN}    pass\n", "None"),
    "an object": ("attention = object()\n", "asked for is the function itself"),
    "another signature": ("def attention(query):\n    return query\n", "is asked for with the parameters"),
    "no Python": ("def attention(query, key, value)\n    return query\n", "no Python"),
}  # fmt: skip
