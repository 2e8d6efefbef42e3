"""More notebooks that try to earn or to harm, most of them by what lasts, lies or looks around; as in `hostile.py`."""

from hostile import BEGIN, WRONG

SEND = """
import json
from IPython.display import publish_display_data

def send(**content):
    publish_display_data({"application/x-attention-rebuilt-probe+json": json.dumps({"probe": "x", **content})})
"""

MORE: dict[str, tuple[str, str]] = {
    # Lasting longer than the call
    "the signal of the parent's death switched off": (
        "import ctypes, os\nctypes.CDLL(None).prctl(1, 0, 0, 0, 0)\nfor _ in range(3):\n    if os.fork() == 0:\n"
        f"        os.setsid()\n        while True:\n            pass\n{WRONG}",
        "not the expected",
    ),
    "daemons that compute": (
        f"import os\nfor _ in range(3):\n    if os.fork() == 0:\n        os.setsid()\n        while True:\n"
        f"            pass\n{WRONG}",
        "not the expected",
    ),
    "children that go on printing": (
        f"import os\n{BEGIN}    if os.fork() == 0:\n        while True:\n            os.write(1, b'x' * 1000)\n"
        "            print('x' * 1000, flush=True)\n    return query, key\n",
        "",
    ),
    "a fork in the call, from which both come back": (f"import os\n{BEGIN}    os.fork()\n    return query, key\n", ""),
    "a thread that sends bundles later": (
        f"{SEND}\nimport threading, time\ndef later():\n    for _ in range(400):\n        time.sleep(0.005)\n"
        f"        send(answer={{'there': True}}, outcomes=[])\n"
        f"threading.Thread(target=later, daemon=True).start()\n{WRONG}",
        "results of its own",
    ),
    "bundles from atexit and __del__": (
        f"{SEND}\nimport atexit\nclass Last:\n    def __del__(self):\n        send(answer={{'there': True}})\n"
        f"atexit.register(send)\n{BEGIN}    Last()\n    return query, key\n",
        "results of its own",
    ),
    "a display publisher of its own": (
        "import json\nclass Publisher(type(get_ipython().display_pub)):\n    def publish(self, data=None, *a, **k):\n"
        "        return super().publish({kind: json.dumps({'passed': True}) for kind in data or {}}, *a, **k)\n"
        f"get_ipython().display_pub.__class__ = Publisher\n{WRONG}",
        "not of the grader's making",
    ),
    "an alarm of its own": (
        f"import os, signal\n{BEGIN}    signal.signal(signal.SIGALRM, lambda *a: os._exit(0))\n"
        "    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)\n    return query, key\n",
        "",  # it ends the process, or comes back before that
    ),
    "it stops itself": (
        f"import os, signal\n{BEGIN}    os.kill(os.getpid(), signal.SIGSTOP)\n    return query, key\n", "",
    ),
    "SIGTERM to the whole group": (f"import os, signal\nos.killpg(0, signal.SIGTERM)\n{WRONG}", ""),
    "an exception that swallows itself": (
        f"{BEGIN}    try:\n        raise SystemExit\n    finally:\n        return query, key\n", "",
    ),
    # Messages that a reader could stumble over
    "a text nested deeply in a stream": (
        """
import hashlib, hmac, json

def say(kind, content):
    kernel = get_ipython().kernel
    header = {"msg_id": "a", "msg_type": kind, "session": "x", "username": "x", "version": "5.3", "date": "2017"}
    parent = json.dumps(kernel.get_parent("shell")["header"], default=str).encode()
    parts = [json.dumps(header).encode(), parent, b"{}", content]
    kernel.iopub_thread.socket.send_multipart([b"x", b"<IDS|MSG>", b"0", *parts])

for depth in (900, 950, 970, 980, 990):
    nested = b"[" * depth + b"]" * depth
    say("stream", b'{"name": "stdout", "text": ' + nested + b"}")
    say("error", b'{"ename": ' + nested + b', "evalue": ' + nested + b"}")
    say("display_data", b'{"data": ' + nested + b"}")
    say("status", b'{"execution_state": ' + nested + b"}")
"""
        + WRONG,
        "not the expected",
    ),
    "half a character and a terminal's orders": (
        f"{BEGIN}    print(chr(0xD800) + chr(27) + '[2J')\n"
        "    raise ValueError(chr(0xD800) + chr(0) + chr(27) + ']0;owned' + chr(7) + '\\u202e')\n",
        "ValueError",
    ),
    "half a character in the result": (f"{BEGIN}    return chr(0xD800), {{chr(0xDFFF): 1}}\n", "asked for is a Tensor"),
    "a number of 399 digits": (f"{BEGIN}    return 10**399, -(10**399)\n", "asked for is a Tensor"),
    "a number of 5 000 digits": (f"{BEGIN}    return 10**5000, 1\n", "cannot be sent"),
    "a tensor with a billion billion rows of nothing": (
        f"{BEGIN}    return torch.empty(2**62, 0), torch.empty(0, 2**62)\n", "",
    ),
    # Results that lie
    "methods of torch.Tensor replaced": (
        f"torch.Tensor.detach = lambda self: torch.zeros(1)\ntorch.Tensor.contiguous = lambda self: self\n{WRONG}", "",
    ),
    "a __torch_function__ that lies": (
        "class Lying(torch.Tensor):\n    @classmethod\n"
        "    def __torch_function__(cls, function, types, a=(), k=None):\n"
        "        name = getattr(function, '__name__', '')\n        if name == '__get__':\n            return (2, 3)\n"
        f"        return torch.zeros(2, 3) if name in ('detach', 'contiguous') else True\n{BEGIN}"
        "    return torch.zeros(1).as_subclass(Lying), torch.zeros(1).as_subclass(Lying)\n",
        "",
    ),
    "a tuple that changes whenever it is read": (
        "class Lazy(tuple):\n    reads = 0\n    def __iter__(self):\n        Lazy.reads += 1\n"
        f"        return iter((torch.full((1, 2), float(Lazy.reads)), torch.randn(2)))\n"
        f"{BEGIN}    return Lazy((1, 2))\n",
        "",
    ),
    "bytes that change after the call": (
        f"import threading\n{BEGIN}    result = torch.zeros(*query.shape[:-1], value.size(-1))\n"
        "    threading.Timer(0.001, lambda: result.normal_()).start()\n    return result, result\n",
        "",
    ),
    "a __reduce__ that runs a program": (
        f"import os\nclass Evil:\n    def __reduce__(self):\n        return os.system, ('touch /tmp/evil',)\n{BEGIN}"
        "    return Evil(), Evil()\n",
        "asked for is a Tensor",
    ),
    "a number that equals everything": (
        "class Agreeing(float):\n    def __eq__(self, other):\n        return True\n    __hash__ = float.__hash__\n"
        f"{BEGIN}    return Agreeing(1), Agreeing(2)\n",
        "",
    ),
    "a generator": (f"{BEGIN}    yield query\n    yield key\n", "a generator"),
    "a coroutine": (f"async {BEGIN}    return query, key\n", "a coroutine"),
    "infinities": (
        f"{BEGIN}    return value.new_full((*query.shape[:-1], value.size(-1)), torch.inf), query @ key.mT / 0\n", "",
    ),
    "random numbers": (
        f"{BEGIN}    return torch.randn(*query.shape[:-1], value.size(-1)), "
        "torch.rand(*query.shape[:-1], key.size(-2))\n",
        "",
    ),
    "values copied from the visible check": (
        f"{BEGIN}    known = torch.tensor([[0.25, 0.75]])\n"
        "    return known @ torch.ones(2, value.size(-1)), known\n", "",
    ),
    "gradients left out of the bundle": (
        f"import sys\nPacker = sys.modules['graders_own.packing'].Packer\nplain = Packer.outcome\n"
        "def outcome(self, o):\n    packed = plain(self, o)\n"
        "    packed.pop('gradients', None)\n    packed['damaged'] = []\n"
        f"    return packed\nPacker.outcome = outcome\n{BEGIN}    query, key, value = query.detach(), key, value\n"
        "    w = (query @ key.mT / query.size(-1) ** 0.5).softmax(-1)\n    return w @ value, w\n",
        "lacks gradients",
    ),
    # Settings of the whole process
    "another default device": (
        f"torch.set_default_device('meta')\ntorch.set_default_dtype(torch.float64)\n{WRONG}", "",
    ),
    "another default device, from the call on": (
        f"{BEGIN}    torch.set_default_device('meta')\n    torch.set_grad_enabled(False)\n    return query, key\n", "",
    ),
    "settrace and setprofile": (
        "import sys\nSEEN = []\ndef spy(frame, event, argument):\n"
        "    SEEN.extend(v for name, v in list(frame.f_locals.items()) if 'expected' in name)\n    return spy\n"
        f"sys.settrace(spy)\nsys.setprofile(spy)\n{BEGIN}    return SEEN[0] if SEEN else (query, key)\n",
        "",
    ),
    "the recursion limit lowered": (f"import sys\n{BEGIN}    sys.setrecursionlimit(60)\n    return query, key\n", ""),
    "json, pickle and base64 replaced": (
        "import base64, json, pickle\njson.dumps = lambda *a, **k: '{\"passed\": true}'\npickle.loads = lambda *a: []\n"
        f"base64.b64encode = lambda *a: b''\n{WRONG}",
        "",
    ),
    # Looking around
    "the reference by an encoded name": (
        "import base64\nexec(base64.b64decode('ZnJvbSB1dGlscy5leGVyY2lzZXMuY2hhcHRlcl8wMy5yZWZlcmVuY2VzIGltcG9ydCBhdHRl"
        "bnRpb24='))\n",
        "left out",
    ),
    "sources of all that is loaded": (
        f"""
import inspect, linecache, sys

TEXTS = []
for name, module in list(sys.modules.items()):
    if name.startswith(("utils", "graders_own")):
        try:
            TEXTS.append(inspect.getsource(module))
        except Exception:
            pass
TEXTS += ["".join(e[2]) for path, e in linecache.cache.items() if len(e) == 4 and "utils" in path.split("/")]
for wanted in ("scaled_dot_product" + "_attention(query", "additive" + "_scores(", "BEGIN " + "SOLUTION"):
    if found := [text for text in TEXTS if wanted in text]:
        raise AssertionError("found " + wanted + " in " + found[0][:200])
{WRONG}""",
        "not the expected",
    ),
    "/proc, /dev/mem and core files": (
        "import glob\nFOUND = [p for p in ('/proc/self/mem', '/proc/1/environ', '/dev/mem', '/dev/kmem', '/sys/kernel')"
        f" if glob.glob(p)]\nif FOUND:\n    raise AssertionError(f'found {{FOUND}}')\n{WRONG}",
        "not the expected",
    ),
    "open files": (
        f"""
import os, socket, stat

for handle in range(3, 1024):
    try:
        found = os.fstat(handle)
    except OSError:
        continue
    if stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode) or stat.S_ISCHR(found.st_mode):
        raise AssertionError(f"handle {{handle}} is open: {{found}}")
    if stat.S_ISSOCK(found.st_mode):
        peer = socket.socket(fileno=os.dup(handle)).getsockname()
        if isinstance(peer, str) and peer and not peer.startswith("/run/kernels/"):
            raise AssertionError(f"handle {{handle}} leads to {{peer}}")
{WRONG}""",
        "not the expected",
    ),
    "new namespaces, mounts and networks": (
        f"""
import ctypes, os, socket

libc = ctypes.CDLL(None, use_errno=True)
if os.fork() == 0:
    got = [flag for flag in (0x10000000, 0x00020000, 0x40000000) if libc.unshare(flag) == 0]
    got += [1] if libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0 else []
    got += [2] if libc.umount2(b"/proc", 2) == 0 or libc.umount2(b"/run", 2) == 0 else []
    os._exit(len(got))
if os.wait()[1] != 0:
    raise AssertionError("a way out")
try:
    socket.create_connection(("127.0.0.1", 22), 0.2)
except OSError as error:
    if error.errno not in (101, 111):
        raise AssertionError("a network")
{WRONG}""",
        "not the expected",
    ),
    "the keys of the session": (
        f"""
import ctypes

libc = ctypes.CDLL(None, use_errno=True)
buffer = ctypes.create_string_buffer(4096)
if libc.syscall(250, 11, -3, buffer, 4096, 0) > 0:  # what the session's keyring holds
    raise AssertionError("keys")
{WRONG}""",
        "not the expected",
    ),
    "IPython's history and other people's files": (
        "import os\nFOUND = [os.path.join(f, n) for r in ('/home', '/tmp', '/var', '/mnt', '/srv')"
        " for f, _, names in os.walk(r) for n in names]\nFOUND = [p for p in FOUND if 'nb' in p or 'sqlite' in p]\n"
        f"if FOUND:\n    raise AssertionError(f'found {{FOUND[:3]}}')\n{WRONG}",
        "not the expected",
    ),
    "every place written to": (
        f"""
import os

LIBRARY = os.path.dirname(torch.__file__)
for place in ("/", "/course", "/course/utils", "/grader", "/usr/lib", "/etc", "/run", "/work", LIBRARY):
    try:
        open(os.path.join(place, "left.py"), "w").close()
    except OSError:
        continue
    raise AssertionError(f"could write to {{place}}")
{WRONG}""",
        "not the expected",
    ),
    # Code that is none
    "magics and shell lines": (
        f"%load_ext autoreload\n%autoreload 2\n%run ../solutions/03_scaled_dot_product_attention.py\n"
        f"!cat /etc/passwd\n{WRONG}",
        "not the expected",
    ),
    "half a character in the source": (f"{WRONG}\nx = '\ud800'\n", "not the expected"),
    "half finished": (f"{BEGIN}    scores = query @ key.mT\n    raise NotImplementedError\n", "Not written yet"),
}  # fmt: skip
