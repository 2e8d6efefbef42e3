"""Right answers as strangers write them: (exercise, source, cells of their own above the exercise's, below it)."""

SOFT = "(query @ key.mT / query.size(-1) ** 0.5).softmax(-1)"

HONEST: dict[str, tuple[str, str, str, str]] = {
    "torch under another name, everything from torch": (
        "3.2",
        f"from torch import *\nimport torch as t\ndef attention(query, key, value):\n    w = {SOFT}\n"
        "    return t.matmul(w, value), w\n",
        "", "",
    ),
    "a table that a loop fills in a cell of its own": (
        "3.3",
        "def causal_mask(length, device=None):\n    return torch.tensor([ROWS[i][:length] for i in range(length)]"
        ", device=device).reshape(1, 1, length, length)\n",
        "ROWS = {}\nfor i in range(200):\n    ROWS[i] = [j <= i for j in range(200)]\n", "",
    ),
    "rows that a loop collects, and a name set in a with block": (
        "4.6",
        "def as_torch_mask(mask, batch, heads, target_len):\n"
        "    mask = PICK[0](mask)\n"
        "    size = target_len, mask.size(-1)\n"
        "    return FLIP(mask).expand(batch, heads, *size).reshape(-1, *size)\n",
        "PICK = []\nfor f in (lambda m: m, lambda m: ~m):\n    PICK.append(f)\n"
        "with torch.no_grad():\n    FLIP = PICK[1]\n",
        "",
    ),
    "functions registered with a decorator": (
        "7.6",
        "def early_stop(losses, patience):\n    return STOPS['early'](losses, patience)\n",
        """
STOPS = {}

def register(name):
    def wrap(f):
        STOPS[name] = f
        return f
    return wrap

@register("early")
def _early(losses, patience):
    best, least, waited = 0, float("inf"), 0
    for i, loss in enumerate(losses):
        waited += 1
        if loss < least:
            best, least, waited = i, loss, 0
        if patience and waited >= patience:
            return best, i
    return best, len(losses) - 1
""",
        "",
    ),
    "one function for several kinds": (
        "8.2",
        """
def penalty(length, alpha):
    return _power(length, alpha)
""",
        """
from functools import singledispatch

@singledispatch
def _power(length, alpha):
    raise TypeError

@_power.register
def _(length: int, alpha):
    return ((5 + length) / 6) ** alpha

@_power.register
def _(length: torch.Tensor, alpha):
    return ((5 + length) / 6) ** alpha
""",
        "",
    ),
    "a dataclass, a partial and a constant below": (
        "2.3",
        """
from dataclasses import dataclass
from functools import partial

@dataclass(frozen=True)
class Waves:
    base: float
    def lengths(self, d_model):
        return TURN * self.base ** (torch.arange(0, d_model, 2) / d_model)

def _made(d_model, base=10000.0, *, maker):
    return maker(base).lengths(d_model)

wavelengths = partial(_made, maker=Waves)
""",
        "", "import math\nTURN = 2 * math.pi\n",
    ),
    "a compiled function": (
        "9.1",
        """
@torch.jit.script
def _gates(x, w):
    return x @ w.t()

def gru_step(x, state, input_weight, hidden_weight, input_bias, hidden_bias):
    a, b = _gates(x, input_weight) + input_bias, _gates(state, hidden_weight) + hidden_bias
    (ar, az, an), (br, bz, bn) = a.chunk(3, -1), b.chunk(3, -1)
    r, z = torch.sigmoid(ar + br), torch.sigmoid(az + bz)
    n = torch.tanh(an + r * bn)
    return (1 - z) * n + z * state
""",
        "", "",
    ),
    "mixins, super and a class made elsewhere": (
        "5.1",
        """
class LayerNorm(Scaled, Base):
    def __init__(self, d_model, epsilon=1e-5):
        super().__init__(d_model)
        self.epsilon = epsilon

    def forward(self, x):
        return self.scaled(self.normal(x, self.epsilon))
""",
        """
from torch import nn

class Base(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))
        self.beta = nn.Parameter(torch.zeros(width))

    @staticmethod
    def normal(x, epsilon):
        return (x - x.mean(-1, True)) / torch.sqrt(x.var(-1, unbiased=False, keepdim=True) + epsilon)

class Scaled:
    def scaled(self, x):
        return x * self.gamma + self.beta
""",
        "",
    ),
    "gradients off, as one should": (
        "5.2",
        """
@torch.no_grad()
def layer_norm_gradient(x, gradient, gain, epsilon=1e-5):
    with torch.no_grad():
        mean, var = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, unbiased=False)
        s = torch.rsqrt(var + epsilon)
        h, g = (x - mean) * s, gradient * gain
        return (g - g.mean(-1, keepdim=True) - h * (g * h).mean(-1, keepdim=True)) * s
""",
        "", "",
    ),
    "prints, plots, asserts, a timing and a warning": (
        "2.1",
        """
# %config InlineBackend.figure_format = "svg"
import time, warnings
import matplotlib.pyplot as plt
start = time.time()

def position_code(position, d_model):
    \"\"\"In eval mode as in training, and exec'd as well.\"\"\"
    warnings.warn("slow", RuntimeWarning)
    print(position)
    out = torch.zeros(d_model)
    for i in range(0, d_model, 2):
        angle = torch.tensor(float(position)) / 10000.0 ** (i / d_model)
        out[i], out[i + 1] = torch.sin(angle), torch.cos(angle)
    return out

fig, ax = plt.subplots()
ax.plot(position_code(3, 8)); plt.show()
assert position_code(3, 8).shape == (8,)
print(f"took {time.time() - start:.3f} s")
assert False, "a last thought"
""",
        "", "",
    ),
    "a name that input() asks for above": (
        "1.1",
        "name = input('Your name? ')\nprint('Hello', name)\ndef numericalise(words, vocabulary):\n"
        "    return [BEGIN, *(vocabulary.get(w, UNK) for w in words), END]\nassert numericalise([], {}) == [2, 3]\n",
        "UNK, BEGIN, END = range(1, 4)\n", "",
    ),
    "names that a function makes global": (
        "1.3",
        "def padding_mask(tokens, padding_id=0):\n    return SHAPER(tokens != padding_id)\n",
        "def set_up():\n    global SHAPER\n    SHAPER = lambda m: m[:, None, None, :]\n\nset_up()\n", "",
    ),
    "a branch, a try and a walrus at the top": (
        "10.4",
        """
if (VERBOSE := False):
    print("loud")
try:
    import einops
except ImportError:
    einops = None

def pruned(weight, heads, silenced):
    kept = weight.clone()
    for one in silenced:
        kept[:, blocks(weight, heads)[one]] = 0
    return kept
""",
        "def blocks(weight, heads):\n    width = weight.size(1) // heads\n"
        "    return [slice(i * width, (i + 1) * width) for i in range(heads)]\n", "",
    ),
}  # fmt: skip
