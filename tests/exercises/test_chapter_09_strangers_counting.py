"""Chapter 09, Table 1 and the window's mask, as strangers answer: slips of learners, of language
models and of those who would rather not write it, and right answers in unusual clothes.
"""

import functools
import math

import numpy
import torch

from utils.exercises.chapter_09.references import layer_cost, window_mask

# 9.6 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def changed(**entries):
    """entries: layer → change(work, steps, path, n, d, window); "rest" for the others."""

    def answer(layer, n, d, window):
        right = layer_cost(layer, n, d, window)
        change = entries.get(layer.replace("-", "_"), entries.get("rest"))
        return change(*right, n, d, window) if change else right

    return answer


def both(change):
    return changed(convolution=change, restricted=change)


def cells(change):
    return changed(rnn=change, gru=change, lstm=change)


WRONG_9_6 = {
    "n jumps in place of n − 1": (both(lambda w, s, p, n, d, k: (w, s, math.ceil(n / (k // 2)))), "one too many"),
    "one jump more than needed": (both(lambda w, s, p, n, d, k: (w, s, (n - 1) // (k // 2) + 1)), "one too many"),
    "reach rounded up": (both(lambda w, s, p, n, d, k: (w, s, math.ceil((n - 1) / ((k + 1) // 2)))), None),
    "reach of window − 1": (both(lambda w, s, p, n, d, k: (w, s, math.ceil((n - 1) / (k - 1)))), None),
    "paths of one": (both(lambda w, s, p, n, d, k: (w, s, 1)), "in one step from end to end"),
    "n / r": (both(lambda w, s, p, n, d, k: (w, s, n // k)), None),
    "floats for jumps": (both(lambda w, s, p, n, d, k: (w, s, (n - 1) / (k // 2))), "no whole number"),
    "a product lost in the window": (changed(restricted=lambda w, s, p, n, d, k: (w - n * k * d, s, p)), "one product"),
    "two projections": (
        changed(self_attention=lambda w, s, p, n, d, k: (2 * n * n * d + 2 * n * d * d, s, p),
                restricted=lambda w, s, p, n, d, k: (2 * n * k * d + 2 * n * d * d, s, p)), "two projections",
    ),
    "one projection": (
        changed(self_attention=lambda w, s, p, n, d, k: (2 * n * n * d + n * d * d, s, p),
                restricted=lambda w, s, p, n, d, k: (2 * n * k * d + n * d * d, s, p)), None,
    ),
    "steps for each gate": (cells(lambda w, s, p, n, d, k: (w, w // (2 * d * d), p)), "for each block of a cell"),
    "gates multiplied in": (cells(lambda w, s, p, n, d, k: (w + 3 * n * d, s, p)), None),
    "recurrent path of one": (cells(lambda w, s, p, n, d, k: (w, s, 1)), None),
    "GRU and LSTM exchanged": (
        changed(gru=lambda w, s, p, n, d, k: (8 * n * d * d, s, p),
                lstm=lambda w, s, p, n, d, k: (6 * n * d * d, s, p)),
        None,
    ),
    "four gates and a cell": (changed(lstm=lambda w, s, p, n, d, k: (10 * n * d * d, s, p)), None),
    "fully connected": (changed(self_attention=lambda w, s, p, n, d, k: (n * n * d * d, s, p)), None),
    "n and d exchanged in attention": (
        changed(self_attention=lambda w, s, p, n, d, k: (2 * d * d * n + 4 * d * n * n, s, p)), None,
    ),
    "convolution with both neighbours' pairs": (changed(convolution=lambda w, s, p, n, d, k: (2 * w, s, p)), None),
    "edges of a convolution left out": (
        changed(convolution=lambda w, s, p, n, d, k: ((n - k + 1) * k * d * d, s, p)), None,
    ),
    "self-attention restricted": (
        lambda layer, n, d, k: layer_cost(layer.replace("self-attention", "restricted"), n, d, k), None,
    ),
    "LSTM unknown": (lambda layer, n, d, k: layer_cost(layer, n, d, k) if layer != "lstm" else None, "return"),
    "a dictionary": (lambda layer, n, d, k: dict(zip("abc", layer_cost(layer, n, d, k), strict=True)), "tuple of 3"),
    "in thousands": (changed(rest=lambda w, s, p, n, d, k: (w // 1000, s, p)), None),
    "written in words": (lambda layer, n, d, k: ("O(n² · d)", "O(1)", "O(1)"), None),
}  # fmt: skip


@functools.lru_cache
def by_products(layer, n, d, window, *, heads=1):
    """Sums the products of matrices a × b and b × c."""
    products = {
        "self-attention": [(n, d, d)] * 4 + [(n, d, n), (n, n, d)],
        "restricted": [(n, d, d)] * 4 + [(1, d, window), (1, window, d)] * n,
        "convolution": [(n, d, d)] * window,
    }.get(layer) or [(1, d, d)] * (2 * n * {"rnn": 1, "gru": 3, "lstm": 4}[layer])
    waits = n if layer in ("rnn", "gru", "lstm") else 1
    reach = {"self-attention": n - 1, "restricted": window // 2, "convolution": window // 2}.get(layer, 1)
    return sum(math.prod(sizes) for sizes in products), waits, (n - 2) // reach + 1


class Costs:
    """An object with a method for each kind."""

    def attend(self, n, d, met):
        """Work of an attention that meets so many keys."""
        return n * d * (4 * d + 2 * met)

    def __call__(self, layer, n, d, window):
        half = (window - 1) // 2
        if layer.endswith("attention"):
            return self.attend(n, d, n), 1, 1
        if layer[0] == "r" and layer != "rnn":
            return self.attend(n, d, window), 1, (n - 1 + half - 1) // half
        if layer == "convolution":
            return int(window * n * d**2), 1, int(numpy.ceil((n - 1) / half))
        return [2 * n * d**2 * {"r": 1, "g": 3, "l": 4}[layer[0]], n, n - 1]


def walked(layer, n, d, window):
    """The path by breadth-first search."""
    work, steps, _ = layer_cost(layer, n, d, window)
    reach = n if layer == "self-attention" else 1 if layer in ("rnn", "gru", "lstm") else window // 2
    seen, path = {0}, 0
    while n - 1 not in seen:
        seen |= {there for here in seen for there in range(here, min(n, here + reach + 1))}
        path += 1
    return work, steps, path


RIGHT_9_6 = {
    "sums of products": by_products,
    "an object": Costs(),
    "breadth first": walked,
    "whole numbers as floats": lambda *a: tuple(float(part) for part in layer_cost(*a)),
    "numbers of NumPy": lambda *a: tuple(numpy.int64(part) for part in layer_cost(*a)),
    "partial": functools.partial(layer_cost),
    "divmod": lambda layer, n, d, window: (
        *layer_cost(layer, n, d, window)[:2],
        layer_cost(layer, n, d, window)[2] if layer not in ("convolution", "restricted")
        else divmod(n - 1, window // 2)[0] + bool(divmod(n - 1, window // 2)[1]),
    ),
}  # fmt: skip


# 9.7 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def apart(length, device=None):
    at = torch.arange(length, device=device)
    return (at[:, None] - at).abs()


masks = {}


def from_a_table(length, window, device=None):
    """Cut from one of 64 positions."""
    at = torch.arange(64, device=device)
    return ((at[:, None] - at).abs() <= window // 2)[:length, :length][None, None]


def kept_by_length(length, window, device=None):
    """Remembers the mask of a length, whatever the window."""
    return masks.setdefault((length, str(device)), window_mask(length, window, device))


def shifted(length, window, device=None):
    at = torch.arange(length, device=device)
    gap = at - at[:, None]
    return ((gap >= -(window // 2)) & (gap < window // 2))[None, None]


def precedence(length, window, device=None):
    return (apart(length, device) <= window - 1 // 2)[None, None]


def filled_rows(length, window, device=None):
    """A negative beginning counts from the end."""
    mask = torch.zeros(length, length, dtype=torch.bool, device=device)
    for i in range(length):
        mask[i, i - window // 2 : i + window // 2 + 1] = True
    return mask[None, None]


def short_rows(length, window, device=None):
    mask = torch.zeros(length, length, dtype=torch.bool, device=device)
    for i in range(length):
        mask[i, max(0, i - window // 2) : i + window // 2] = True
    return mask[None, None]


def full_windows_only(length, window, device=None):
    """Moves the window at the edges so that it always holds `window` positions."""
    at = torch.arange(length, device=device)
    start = (at - window // 2).clamp(0, max(0, length - window))[:, None]
    return ((at >= start) & (at < start + window))[None, None]


WRONG_9_7 = {
    "from a table of 64": (from_a_table, "shape"),
    "remembered by length": (kept_by_length, None),
    "one to few behind": (shifted, "short ahead"),
    "precedence": (precedence, "twice as wide"),
    "slices from the end": (filled_rows, None),
    "slices one short": (short_rows, "short ahead"),
    "always a full window": (full_windows_only, None),
    "window − 1 to each side": (lambda n, w, device=None: (apart(n, device) < w)[None, None], "window // 2"),
    "every window-th": (lambda n, w, device=None: (apart(n, device) % w == 0)[None, None], None),
    "dilated": (lambda n, w, device=None: ((apart(n, device) <= w) & (apart(n, device) % 2 == 0))[None, None], None),
    "outside": (lambda n, w, device=None: (apart(n, device) >= w // 2)[None, None], None),
    "axes behind": (lambda n, w, device=None: window_mask(n, w, device)[0, 0, ..., None, None], "shape"),
    "uint8": (lambda n, w, device=None: window_mask(n, w, device).to(torch.uint8), "bool"),
    "even window": (lambda n, w, device=None: window_mask(n, w + 1, device), None),
    "a head for each offset": (lambda n, w, device=None: window_mask(n, w, device).expand(1, w, n, n), None),
    "with the first position always": (
        lambda n, w, device=None: window_mask(n, w, device) | (torch.arange(n, device=device) == 0), None,
    ),
    "length and window exchanged": (lambda n, w, device=None: window_mask(w, n, device), None),
    "never anywhere but the CPU": (lambda n, w, device=None: window_mask(n, w, "cpu"), "device"),
    "dictionary": (lambda n, w, device=None: {"mask": window_mask(n, w, device)}, None),
    "complex": (lambda n, w, device=None: window_mask(n, w, device).to(torch.complex64), None),
}  # fmt: skip


class Window:
    """An object that makes masks."""

    @staticmethod
    def reach(window):
        """To each side."""
        return (window - 1) / 2

    def __call__(self, length, window, device=None):
        return apart(length, device).le(self.reach(window))[None, None]


RIGHT_9_7 = {
    "an object": Window(),
    "half a window": lambda n, w, device=None: (apart(n, device) < w / 2)[None, None],
    "unfolded": lambda n, w, device=None: torch.stack(
        [torch.ones(n, dtype=torch.bool, device=device).where((torch.arange(n, device=device) - i).abs() * 2 < w,
                                                              torch.zeros(n, dtype=torch.bool, device=device))
         for i in range(n)]
    ).reshape(1, 1, n, n),
    "xor of triangles": lambda n, w, device=None: (
        torch.ones(1, 1, n, n, dtype=torch.bool, device=device).tril(w // 2)
        ^ torch.ones(1, 1, n, n, dtype=torch.bool, device=device).tril(-(w // 2) - 1)
    ),
    "lru_cache": functools.lru_cache(lambda n, w, device=None: window_mask(n, w, device)),
    "moved where asked": lambda n, w, device=None: window_mask(n, w).to(device) if device else window_mask(n, w),
    "slices": lambda n, w, device=None: torch.tensor(
        [[max(0, i - w // 2) <= j < i + w // 2 + 1 for j in range(n)] for i in range(n)], device=device
    )[None, None],
    "other defaults": lambda length, window=3, device="cpu", dtype=torch.bool: (
        window_mask(length, window, device).to(dtype)
    ),
}  # fmt: skip


WRONG = {"9.6": WRONG_9_6, "9.7": WRONG_9_7}
RIGHT = {"9.6": RIGHT_9_6, "9.7": RIGHT_9_7}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
