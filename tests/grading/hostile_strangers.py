"""Attacks of strangers on exercises of all chapters: (exercise, source, words that must be said of it).

Several stand in one notebook, each in an exercise of its own; `INNOCENT` are solved beside them and must lose nothing.
"""

FIRST = "    return next(iter((*a, *k.values())))\n"
HIDDEN = "torch._C.DisableTorchFunction(), torch.utils._python_dispatch._disable_current_modes()"
MIME = "application/x-attention-rebuilt-probe+json"

INNOCENT: dict[str, tuple[str, ...]] = {
    "00": (), "01": ("1.3",), "02": ("2.1",), "04": ("4.2", "4.3"), "05": ("5.3",), "06": ("6.3",), "07": ("7.2",),
    "08": ("8.2",), "09": ("9.7",), "10": ("10.4",),
}  # fmt: skip

STRANGERS: dict[str, tuple[str, str, str]] = {
    # A library that does the work, out of sight
    "softmax by fused attention": (
        "0.1",
        """
def softmax(scores):
    rows = scores.reshape(-1, 1, scores.size(-1), 1)
    eye = torch.eye(scores.size(-1), dtype=scores.dtype).expand(rows.size(0), 1, -1, -1)
    one = torch.ones(rows.size(0), 1, 1, 1, dtype=scores.dtype)
    fused = getattr(torch.nn.functional, "scaled_dot_" + "product_attention")
    return fused(one, rows, eye, scale=1.0).reshape(scores.shape)
""",
        "",
    ),
    "softmax where nobody watches": (
        "0.1",
        f"""
def softmax(scores):
    with {HIDDEN.split(", ")[0]}, {HIDDEN.split(", ")[1]}:
        return vars(torch)["soft" + "max"](scores, -1)
""",
        "unseen",
    ),
    "softmax in another thread": (
        "0.1",
        """
from concurrent.futures import ThreadPoolExecutor
def softmax(scores):
    with ThreadPoolExecutor() as pool:
        return pool.submit(vars(torch)["soft" + "max"], scores, -1).result()
""",
        "unseen",
    ),
    "the library for all but the first call": (
        "0.1",
        """
def softmax(scores):
    if scores.dim() == 1:
        e = (scores - scores.max()).exp()
        return e / e.sum()
    return vars(torch)["soft" + "max"](scores, -1)
""",
        "",
    ),
    "the library's attention under a made-up name": (
        "4.4",
        """
HOME = vars(torch.nn)
class MultiHeadAttention(torch.nn.Module):
    def __init__(self, d_model, heads, d_k=None, d_v=None, bias=True):
        super().__init__()
        self.all = HOME["Multi" + "headAttention"](d_model, heads, bias=bias, batch_first=True)
    def forward(self, query, key, value, mask=None):
        return self.all(query, key, value, average_attn_weights=False)
""",
        "",
    ),
    "a gradient by hidden autograd": (
        "5.2",
        """
def layer_norm_gradient(x, gradient, gain, epsilon=1e-5):
    with torch.enable_grad():
        y = x.detach().clone().requires_grad_()
        c = y - y.mean(-1, keepdim=True)
        out = c / (c.square().mean(-1, keepdim=True) + epsilon).sqrt() * gain
        return vars(vars(torch)["auto" + "grad"])["gr" + "ad"](out, y, gradient)[0]
""",
        "",
    ),
    "a gradient by autograd's engine": (
        "5.2",
        """
def layer_norm_gradient(x, gradient, gain, epsilon=1e-5):
    engine = torch.autograd.Variable._execution_engine
    with torch.enable_grad():
        y = x.detach().clone().requires_grad_()
        c = y - y.mean(-1, keepdim=True)
        out = c / (c.square().mean(-1, keepdim=True) + epsilon).sqrt() * gain
        engine.run_backward((out,), (gradient,), False, False, (), allow_unreachable=True, accumulate_grad=True)
    return y.grad
""",
        "",
    ),
    "the library's cross entropy under a made-up name": (
        "7.1",
        """
def smoothed_cross_entropy(logits, targets, smoothing=0.1, padding_id=0):
    return vars(torch.nn.functional)["cross_" + "entropy"](
        logits.flatten(0, -2), targets.flatten(), ignore_index=padding_id, label_smoothing=smoothing)
""",
        "torch carried out",
    ),
    "the library's cell by its inner name": (
        "9.1",
        """
def gru_step(x, state, input_weight, hidden_weight, input_bias, hidden_bias):
    return vars(torch._C._VariableFunctions)["gru_" + "cell"](
        x, state, input_weight, hidden_weight, input_bias, hidden_bias)
""",
        "",
    ),
    # What the grader's own doubles tell
    "the suspect's state by a name made at run time": (
        "6.5",
        """
import operator
def leaks(model, source, target, position):
    state = operator.attrgetter("__get" + "state__")(model)()
    words = [word for word in state.values() if isinstance(word, str) and word not in ("nothing", "rounding")]
    return bool(words) and position > 0 and bool((target[:, position + 1 :] != 0).any())
""",
        "",
    ),
    "the suspect's pickle": (
        "6.5",
        """
import pickle
def leaks(model, source, target, position):
    word = str(model.__reduce_ex__(4))
    known = any(kind in word for kind in ("everything", "next", "last", "first", "mean", "batch", "logit", "little"))
    return known and position > 0 and bool((target[:, position + 1 :] != 0).any())
""",
        "",
    ),
    "the suspect's attributes by dictionary": (
        "6.5",
        """
def leaks(model, source, target, position):
    rest = target[:, position + 1 :]
    word = next(value for value in vars(model).values() if isinstance(value, str))
    return word not in ("nothing", "rounding") and position > 0 and bool((rest != 0).any())
""",
        "",
    ),
    "the kind of layer in place of a test": (
        "2.7",
        """
def is_equivariant(function, x, order):
    kinds = (torch.nn.Linear, torch.nn.TransformerEncoderLayer, torch.nn.Softmax, torch.nn.Threshold)
    return isinstance(function, kinds) or len(order) == 1
""",
        "",
    ),
    # Modules that lie about themselves
    "a module whose parameters are somebody else's": (
        "5.1",
        """
class LayerNorm(torch.nn.Module):
    def __init__(self, d_model, epsilon=1e-5):
        super().__init__()
        self.d = d_model
    def named_parameters(self, *a, **k):
        yield "gain", torch.nn.Parameter(torch.ones(self.d))
        yield "bias", torch.nn.Parameter(torch.zeros(self.d))
    def forward(self, x):
        return x
""",
        "",
    ),
    "a module with __getattr__": (
        "5.6",
        """
class RMSNorm(torch.nn.Module):
    def __init__(self, *a, **k):
        super().__init__()
    def __getattr__(self, name):
        return lambda *a, **k: torch.zeros(())
    def forward(self, x):
        return x
""",
        "",
    ),
    "a metaclass that answers for everything": (
        "5.5",
        """
class Meta(type):
    def __call__(cls, *a, **k):
        return torch.nn.Identity()
    def __instancecheck__(cls, other):
        return True
class Residual(torch.nn.Module, metaclass=Meta):
    def forward(self, x, sublayer):
        return x
""",
        "",
    ),
    "a __new__ that gives a word": (
        "5.7", "class SwiGLU(torch.nn.Module):\n    def __new__(cls, *a, **k):\n        return 'module'\n", "",
    ),
    "hooks on everything that is called": (
        "6.1",
        """
torch.nn.modules.module.register_module_forward_hook(lambda module, inputs, result: inputs[0])
class EncoderLayer(torch.nn.Module):
    def __init__(self, self_attention, feed_forward, residuals):
        super().__init__()
        self.a, self.f, self.r = self_attention, feed_forward, torch.nn.ModuleList(residuals)
    def forward(self, x, mask=None):
        return self.f(x)
""",
        "",
    ),
    "the layer out of the memory": (
        "6.2",
        """
import gc, sys
def find():
    for module in list(sys.modules.values()):
        if hasattr(module, "DecoderLayer"):
            return module.DecoderLayer
    for thing in gc.get_objects():
        if isinstance(thing, type) and thing.__name__.endswith("DecoderLayer"):
            return thing
class DecoderLayer(torch.nn.Module):
    def __init__(self, self_attention, cross_attention, feed_forward, residuals):
        super().__init__()
        self.inner = find()(self_attention, cross_attention, feed_forward, residuals)
    def forward(self, x, memory, source_mask=None, target_mask=None):
        return self.inner(x, memory, source_mask, target_mask)
""",
        "",
    ),
    "the library's whole model": (
        "6.4",
        """
class EncoderDecoder(torch.nn.Module):
    def __init__(self, embedding, positions, dropout, encoder, decoder, output):
        super().__init__()
        self.all = vars(torch.nn)["Trans" + "former"](8, 2, 1, 1, 8, batch_first=True)
        self.output = output
    def forward(self, source, target):
        return self.output(torch.zeros(*target.shape, 8))
""",
        "",
    ),
    "weights that change whenever they are read": (
        "1.5",
        """
class OutputLayer(torch.nn.Module):
    def __init__(self, vocab_size, d_model, tied_to=None):
        super().__init__()
        self.tied = tied_to
        self.own = torch.nn.Parameter(torch.zeros(vocab_size, d_model))
    @property
    def weight(self):
        return torch.nn.Parameter(torch.randn(2, 2))
    def forward(self, states):
        return states
""",
        "",
    ),
    "right values with a wrong gradient of its own": (
        "4.7",
        """
class Wrong(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 1.0
    @staticmethod
    def backward(ctx, g):
        return torch.zeros_like(g)
def grouped_query_attention(query, key, value, mask=None):
    return Wrong.apply(query), Wrong.apply(key)
""",
        "",
    ),
    # Results that lie
    "a list that agrees with everything": (
        "1.1",
        "class Agreeing(list):\n    def __eq__(self, other):\n        return True\n    def __len__(self):\n"
        "        return 3\ndef numericalise(words, vocabulary):\n    return Agreeing([1])\n",
        "",
    ),
    "a dictionary whose items lie": (
        "1.2",
        "class Lying(dict):\n    def items(self):\n        while True:\n            yield ('a', 'b'), 1\n"
        "def bpe_step(words):\n    return None, Lying(words)\n",
        "",
    ),
    "whole numbers that agree with everything": (
        "1.6",
        "class Agreeing(int):\n    def __eq__(self, other):\n        return True\n    __hash__ = int.__hash__\n"
        "def token_budget_batches(lengths, budget):\n    return [[Agreeing(i)] for i in range(len(lengths))][::-1]\n",
        "",
    ),
    "a table that is filled after the call": (
        "2.2",
        """
import threading
class Late(torch.Tensor):
    def detach(self):
        return torch.Tensor.detach(self).fill_(7.0)
def sinusoidal_table(length, d_model):
    table = torch.zeros(length, d_model)
    threading.Thread(target=table.fill_, args=[1.0]).start()
    return table.as_subclass(Late)
""",
        "",
    ),
    "a meta tensor": (
        "2.3", "def wavelengths(d_model, base=10000.0):\n    return torch.ones(d_model // 2, device='meta')\n", "",
    ),
    "a sparse tensor": ("2.4", "def shift_matrix(offset, d_model):\n    return torch.eye(d_model).to_sparse()\n", ""),
    "a complex tensor": ("2.6", "def rotate(x, start=0):\n    return torch.complex(x, x)\n", ""),
    "a NumPy array with an __array__ of its own": (
        "4.1",
        "import numpy as np\nclass Odd:\n    def __array__(self, *a, **k):\n        return np.zeros(3)\n"
        "    def __len__(self):\n        raise SystemExit\n    def __repr__(self):\n        raise SystemExit\n"
        "def heads_by_loop(query, key, value, query_weights, key_weights, value_weights, output_weight):\n"
        "    return Odd()\n",
        "",
    ),
    "numbers without an end": (
        "4.5",
        "def attention_counts(target_len, source_len, d_model, heads, d_k, d_v, bias=True):\n"
        "    return float('inf'), -(10**390)\n",
        "",
    ),
    "nested results with a loop": (
        "4.6", "def as_torch_mask(mask, batch, heads, target_len):\n    x = []\n    x.append(x)\n    return x\n", "",
    ),
    "a verdict by the seed": (
        "6.5", "def leaks(model, source, target, position):\n    return torch.initial_seed() % 2 == 0\n", "",
    ),
    "a parameter count as a word": (
        "6.6",
        "def transformer_parameters(vocab_size, layers, d_model, d_ff, bias=True):\n    return '=1+1'\n", "",
    ),
    "a training step that leaves the model as it is and lies about it": (
        "7.3",
        """
def training_step(model, optimiser, source, decoder_input, wanted, rate, smoothing=0.1):
    torch.nn.Module.state_dict = lambda self, *a, **k: {"x": torch.zeros(2)}
    model.state_dict = lambda *a, **k: {}
    return 1.0
""",
        "",
    ),
    "an optimiser that moves by itself": (
        "7.4",
        """
def accumulated_updates(model, optimiser, batches, accumulate, d_model, warmup):
    torch.optim.Optimizer.step = lambda self, *a: None
    for p in model.parameters():
        p.data.add_(torch.randn(p.shape))
    return [1.0] * (len(batches) // accumulate)
""",
        "",
    ),
    "a mapping that is made when it is asked": (
        "7.5",
        """
from collections.abc import Mapping
class Lazy(Mapping):
    def __getitem__(self, key):
        return torch.randn(2)
    def __iter__(self):
        return iter([object(), [], {}])
    def __len__(self):
        return 10**9
def average_states(states):
    return Lazy()
""",
        "",
    ),
    "an index that counts": (
        "7.6",
        "class I:\n    def __index__(self):\n        return 3\n"
        "def early_stop(losses, patience):\n    return I(), I()\n", "",
    ),
}  # fmt: skip
