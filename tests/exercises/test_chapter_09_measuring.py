"""Chapter 09, gradients by position, Table 1 and the window's mask, from outside: plausible wrong answers that no
misconception was written for, and unusual right ones. Each wrong one comes with words that its
report must hold, or None.
"""

import math

import torch

from utils.exercises.chapter_09.references import influence, layer_cost, window_mask

# 9.5 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def derivatives(run, inputs, at=-1):
    x = inputs.detach().clone().requires_grad_()
    return torch.stack([torch.autograd.grad(unit, x, retain_graph=True)[0] for unit in run(x)[at]])


def nudged(run, inputs, step=1e-2):
    """Moves every input a little instead of asking autograd; too coarse a step."""
    last, norms = run(inputs)[-1], []
    for t in range(len(inputs)):
        total = 0.0
        for feature in range(inputs.size(1)):
            moved = inputs.clone()
            moved[t, feature] += 30 * step
            total = total + ((run(moved)[-1] - last) / (30 * step)).square().sum()
        norms.append(total.sqrt())
    return torch.stack(norms).detach()


def own_state(run, inputs):
    """The state at t with respect to the input at t."""
    x = inputs.detach().requires_grad_()
    states = run(x)
    rows = [[torch.autograd.grad(u, x, retain_graph=True)[0][t] for u in states[t]] for t in range(len(x))]
    return torch.stack([torch.stack(row).norm() for row in rows])


def first_unit(run, inputs):
    return derivatives(run, inputs)[0].norm(dim=-1)


def cut(run, inputs):
    x = inputs.detach().requires_grad_()
    last = run(x.detach())[-1]
    return torch.stack([torch.autograd.grad(unit, x)[0] for unit in last]).norm(dim=(0, 2))


def largest_singular(run, inputs):
    return torch.linalg.matrix_norm(derivatives(run, inputs).transpose(0, 1), ord=2)


def states_norm(run, inputs):
    return run(inputs).norm(dim=-1).detach()


def zero_is_first(run, inputs):
    inputs.zero_()
    return influence(run, inputs)


def seeded(run, inputs):
    """The gradient of a random weighting."""
    x = inputs.detach().requires_grad_()
    last = run(x)[-1]
    weights = torch.randn(len(last), dtype=last.dtype)
    return torch.autograd.grad((weights * last).sum(), x)[0].norm(dim=-1)


WRONG_9_5 = {
    "coarse nudges": (nudged, None),
    "each state with its own input": (own_state, None),
    "first unit alone": (first_unit, None),
    "inputs cut off": (cut, None),
    "largest singular value": (largest_singular, None),
    "norms of the states": (states_norm, None),
    "inputs changed": (zero_is_first, "`inputs`"),
    "a random weighting": (seeded, None),
    "largest derivative": (lambda run, x: derivatives(run, x).abs().amax(dim=(0, 2)), None),
    "mean of absolute values": (lambda run, x: derivatives(run, x).abs().mean(dim=(0, 2)), None),
    "axis of units left": (lambda run, x: derivatives(run, x).norm(dim=-1), "shape"),
    "axis of features left": (lambda run, x: derivatives(run, x).norm(dim=0), "shape"),
    "one number": (lambda run, x: derivatives(run, x).norm(), None),
    "second to last state": (lambda run, x: derivatives(run, x, max(-2, -len(x))).norm(dim=(0, 2)), None),
    "logarithm": (lambda run, x: influence(run, x).clamp(min=1e-30).log(), None),
    "shares": (lambda run, x: influence(run, x) / influence(run, x).sum(), None),
    "a list": (lambda run, x: influence(run, x).tolist(), "Tensor"),
    "float64": (lambda run, x: influence(run, x).double(), "float64"),
    "float32": (lambda run, x: influence(run, x).float(), None),
    "states alone": (lambda run, x: run(x)[-1], None),
    "gradient itself": (lambda run, x: derivatives(run, x).sum(0), "shape"),
    "nothing": (lambda run, x: None, "return"),
}


def by_jacobian(run, inputs):
    found = torch.autograd.functional.jacobian(lambda x: run(x)[-1], inputs)  # (d_hidden, length, width)
    return found.norm(dim=(0, 2))


def by_jacrev(run, inputs):
    found = torch.func.jacrev(lambda x: run(x)[-1])(inputs)
    return found.transpose(0, 1).flatten(1).norm(dim=1).detach()


def by_jacfwd(run, inputs):
    return torch.func.jacfwd(lambda x: run(x)[-1])(inputs).pow(2).sum((0, 2)).sqrt().detach()


def by_backward(run, inputs):
    total = 0.0
    for unit in range(run(inputs).size(1)):
        x = inputs.detach().clone().requires_grad_()
        run(x)[-1, unit].backward()
        total = total + x.grad**2
    return total.sum(1) ** 0.5


def by_basis(run, inputs):
    x = inputs.detach().requires_grad_()
    last = run(x)[-1]
    rows = torch.eye(len(last), dtype=last.dtype)
    return torch.cat([torch.autograd.grad(last, x, row, retain_graph=True)[0] for row in rows], dim=1).norm(dim=1)


def vmapped(run, inputs):
    x = inputs.detach().requires_grad_()
    last = run(x)[-1]
    found = torch.autograd.grad(last, x, torch.eye(len(last), dtype=last.dtype), is_grads_batched=True)[0]
    return torch.einsum("htw,htw->t", found, found).sqrt()


RIGHT_9_5 = {
    "jacobian": by_jacobian,
    "jacrev": by_jacrev,
    "jacfwd": by_jacfwd,
    "backward": by_backward,
    "basis": by_basis,
    "vmapped": vmapped,
    "extra keyword": lambda run, inputs, create_graph=False: influence(run, inputs),
}


# 9.6 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def changed(change):
    return lambda layer, n, d, window: change(*layer_cost(layer, n, d, window), layer, n, d, window)


def with_softmax(work, steps, path, layer, n, d, window):
    return work + (n * n if layer == "self-attention" else 0), steps, path


def with_biases(work, steps, path, layer, n, d, window):
    return work + (4 * n * d if layer in ("self-attention", "restricted") else 0), steps, path


def edges_left_out(work, steps, path, layer, n, d, window):
    """Counts only the keys that exist at the edges."""
    if layer == "restricted":
        met = sum(min(n, t + window // 2 + 1) - max(0, t - window // 2) for t in range(n))
        work = 2 * met * d + 4 * n * d * d
    return work, steps, path


def two_gates_of_gru(work, steps, path, layer, n, d, window):
    return (4 * n * d * d if layer == "gru" else work), steps, path


def three_gates_of_lstm(work, steps, path, layer, n, d, window):
    return (6 * n * d * d if layer == "lstm" else work), steps, path


def logarithmic(work, steps, path, layer, n, d, window):
    return work, steps, (max(1, round(math.log(n, window))) if layer == "convolution" else path)


def one_step_less(work, steps, path, layer, n, d, window):
    return work, (steps - 1 if steps > 1 else 1), path


def convolution_waits(work, steps, path, layer, n, d, window):
    return work, (n if layer == "convolution" else steps), path


def to_the_middle(work, steps, path, layer, n, d, window):
    """Half the way: as if only the middle had to be reached."""
    return work, steps, (math.ceil(path / 2) if layer in ("convolution", "restricted") else path)


def per_position(work, steps, path, layer, n, d, window):
    return work // n, steps, path


def square_of_window(work, steps, path, layer, n, d, window):
    return (2 * n * window * window * d + 4 * n * d * d if layer == "restricted" else work), steps, path


def width_exchanged(layer, n, d, window):
    return layer_cost(layer, max(d, 2), n, window)


def keys_that_exist(work, steps, path, layer, n, d, window):
    return (2 * n * min(n, window) * d + 4 * n * d * d if layer == "restricted" else work), steps, path


WRONG_9_6 = {
    "no more keys than positions": (changed(keys_that_exist), "outside the text"),
    "with the softmax": (changed(with_softmax), None),
    "with biases": (changed(with_biases), None),
    "fewer keys at the edges": (changed(edges_left_out), None),
    "two blocks of a GRU": (changed(two_gates_of_gru), None),
    "three blocks of an LSTM": (changed(three_gates_of_lstm), None),
    "log_k for the convolution": (changed(logarithmic), None),
    "n − 1 sequential operations": (changed(one_step_less), None),
    "the convolution waits": (changed(convolution_waits), None),
    "half the way": (changed(to_the_middle), None),
    "per position": (changed(per_position), None),
    "window squared": (changed(square_of_window), None),
    "n and d exchanged": (width_exchanged, None),
    "floats": (lambda layer, n, d, w: tuple(1.01 * part for part in layer_cost(layer, n, d, w)), None),
    "work alone": (lambda layer, n, d, w: layer_cost(layer, n, d, w)[0], "tuple of 3"),
    "path before steps": (lambda layer, n, d, w: tuple(layer_cost(layer, n, d, w)[i] for i in (0, 2, 1)), None),
    "one kind for all": (lambda layer, n, d, w: layer_cost("rnn", n, d, w), None),
    "as strings": (lambda layer, n, d, w: tuple(map(str, layer_cost(layer, n, d, w))), None),
    "window ignored": (lambda layer, n, d, w: layer_cost(layer, n, d, 3), "whatever the window is"),
    "window in place of reach": (lambda layer, n, d, w: layer_cost(layer, n, d, 2 * w + 1), None),
    "nothing": (lambda *a: None, "return"),
}


def by_table(layer, n, d, window):
    jumps = -(-(n - 1) // (window // 2))
    projections = 4 * n * d**2
    return {
        "self-attention": (2 * n**2 * d + projections, 1, 1),
        "restricted": (2 * n * window * d + projections, 1, jumps),
        "convolution": (window * n * d**2, 1, jumps),
        "rnn": (2 * n * d**2, n, n - 1),
        "gru": (6 * n * d**2, n, n - 1),
        "lstm": (8 * n * d**2, n, n - 1),
    }[layer]


def by_match(layer, n, d, window):
    match layer:
        case "rnn" | "gru" | "lstm":
            return n * 2 * d * d * (("rnn", "", "gru", "lstm").index(layer) + 1), n, n - 1
        case "convolution":
            work = sum(n * d * d for _ in range(window))
        case _:
            work = 4 * n * d * d + 2 * n * d * (n if layer == "self-attention" else window)
    path, at = 0, 0
    while at < n - 1:
        at += n if layer == "self-attention" else window // 2
        path += 1
    return work, 1, path


RIGHT_9_6 = {
    "a table": by_table,
    "match and a walk": by_match,
    "a list": lambda *a: list(layer_cost(*a)),
    "tensors of one number": lambda *a: tuple(torch.tensor(part) for part in layer_cost(*a)),
    "per position, times n": lambda layer, n, d, w: (
        layer_cost(layer, n, d, w)[0] // n * n,
        *by_table(layer, n, d, w)[1:],
    ),
    "extra keyword": lambda layer, n, d, window=3, heads=1: by_table(layer, n, d, window),
}


# 9.7 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def apart(length, device=None):
    at = torch.arange(length, device=device)
    return at[:, None] - at


def ring(length, window, device=None):
    """The first position is a neighbour of the last."""
    gap = apart(length, device).abs()
    return (torch.minimum(gap, length - gap) <= window // 2)[None, None]


def rectangle(length, window, device=None):
    mask = torch.zeros(length, length, dtype=torch.bool, device=device)
    mask[: window // 2 + 1, : window // 2 + 1] = True
    return mask[None, None]


WRONG_9_7 = {
    "a ring": (ring, None),
    "a rectangle": (rectangle, None),
    "only the future": (lambda n, w, device=None: window_mask(n, w, device).triu(), None),
    "one more to each side": (lambda n, w, device=None: (apart(n, device).abs() <= w // 2 + 1)[None, None], None),
    "exactly at the edge": (lambda n, w, device=None: (apart(n, device).abs() == w // 2)[None, None], None),
    "no absolute value": (lambda n, w, device=None: (apart(n, device) <= w // 2)[None, None], None),
    "three axes": (lambda n, w, device=None: window_mask(n, w, device)[0], "shape"),
    "long": (lambda n, w, device=None: window_mask(n, w, device).long(), "bool"),
    "to be added": (lambda n, w, device=None: torch.zeros(n, n).masked_fill(~window_mask(n, w)[0, 0], -math.inf), None),
    "all": (lambda n, w, device=None: torch.ones(1, 1, n, n, dtype=torch.bool, device=device), None),
    "window of three": (lambda n, w, device=None: window_mask(n, 3, device), None),
    "diagonal alone": (lambda n, w, device=None: torch.eye(n, dtype=torch.bool, device=device)[None, None], None),
    "nested list": (lambda n, w, device=None: window_mask(n, w).tolist(), "Tensor"),
    "one row": (lambda n, w, device=None: window_mask(n, w, device)[:, :, :1], None),
    "no device": (lambda length, window: window_mask(length, window), "device"),
    "nothing": (lambda *a: None, "return"),
}


def by_loops(length, window, device=None):
    rows = [[abs(i - j) <= window // 2 for j in range(length)] for i in range(length)]
    return torch.tensor(rows, device=device).reshape(1, 1, length, length)


RIGHT_9_7 = {
    "loops": by_loops,
    "two triangles": lambda n, w, device=None: (
        torch.ones(1, 1, n, n, dtype=torch.bool, device=device).tril(w // 2).triu(-(w // 2))
    ),
    "reach doubled": lambda n, w, device=None: (2 * apart(n, device).abs() < w)[None, None],
    "squares": lambda n, w, device=None: (apart(n, device).square() <= (w // 2) ** 2).view(1, 1, n, n),
    "both sides": lambda n, w, device=None: (
        (apart(n, device) <= w // 2) & (apart(n, device) >= -(w // 2))
    ).unsqueeze(0).unsqueeze(0),
    "sum of diagonals": lambda n, w, device=None: sum(
        torch.ones(n, n, device=device).tril(k).triu(k) for k in range(-(w // 2), w // 2 + 1)
    ).bool()[None, None],
}  # fmt: skip


WRONG = {"9.5": WRONG_9_5, "9.6": WRONG_9_6, "9.7": WRONG_9_7}
RIGHT = {"9.5": RIGHT_9_5, "9.6": RIGHT_9_6, "9.7": RIGHT_9_7}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
