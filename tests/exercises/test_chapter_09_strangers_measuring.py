"""Chapter 09, gradients by position, as strangers answer: slips of learners, of language
models and of those who would rather not write it, and right answers in unusual clothes.
"""

import functools

import numpy
import torch

from utils.exercises.chapter_09.references import influence

# 9.5 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def derivatives(run, inputs):
    """(d_hidden, length, width)."""
    x = inputs.detach().clone().requires_grad_()
    return torch.stack([torch.autograd.grad(unit, x, retain_graph=True)[0] for unit in run(x)[-1]])


def of(reduce):
    return lambda run, inputs: reduce(derivatives(run, inputs))


def callers_tensor(run, inputs):
    """Right numbers; the caller's tensor tracks gradients from now on."""
    inputs.requires_grad_()
    rows = [torch.autograd.grad(unit, inputs, retain_graph=True)[0] for unit in run(inputs)[-1]]
    return torch.stack(rows).norm(dim=(0, 2))


def piled_up(run, inputs):
    """.grad is never put back to nothing between the units."""
    x = inputs.detach().clone().requires_grad_()
    last, total = run(x)[-1], 0.0
    for unit in last:
        unit.backward(retain_graph=True)
        total = total + x.grad.square().sum(1)
    return total.sqrt()


def one_backward(run, inputs):
    x = inputs.detach().clone().requires_grad_()
    run(x)[-1].square().sum().backward()
    return x.grad.norm(dim=1)


def ones_backward(run, inputs):
    x = inputs.detach().clone().requires_grad_()
    last = run(x)[-1]
    last.backward(torch.ones_like(last))
    return x.grad.norm(dim=1)


def of_mean(run, inputs):
    x = inputs.detach().clone().requires_grad_()
    return torch.autograd.grad(run(x)[-1].mean(), x)[0].norm(dim=1)


def last_feature(run, inputs):
    """The last number of every state, in place of every number of the last."""
    x = inputs.detach().clone().requires_grad_()
    rows = [torch.autograd.grad(unit, x, retain_graph=True)[0] for unit in run(x)[:, -1]]
    return torch.stack(rows).norm(dim=(0, 2))


def as_many_units_as_positions(run, inputs):
    x = inputs.detach().clone().requires_grad_()
    last = run(x)[-1]
    rows = [torch.autograd.grad(last[t], x, retain_graph=True)[0] for t in range(len(x))]
    return torch.stack(rows).norm(dim=(0, 2))


def one_unit_less(run, inputs):
    found = derivatives(run, inputs)
    return found[: max(1, len(found) - 1)].norm(dim=(0, 2))


def with_a_batch(run, inputs):
    x = inputs.detach().clone().requires_grad_()
    rows = [torch.autograd.grad(unit, x, retain_graph=True)[0] for unit in run(x[None])[0, -1]]
    return torch.stack(rows).norm(dim=(0, 2))


def graph_gone(run, inputs):
    x = inputs.detach().clone().requires_grad_()
    return torch.stack([torch.autograd.grad(unit, x)[0] for unit in run(x)[-1]]).norm(dim=(0, 2))


def cut_short(run, inputs):
    """The state after reading only up to t."""
    return torch.stack([influence(run, inputs[: t + 1])[-1] for t in range(len(inputs))])


def copied_and_forgotten(run, inputs):
    """Asks for gradients of a copy, and runs on the original."""
    x = inputs.detach().clone().requires_grad_()
    return torch.stack([torch.autograd.grad(u, x, retain_graph=True)[0] for u in run(inputs)[-1]]).norm(dim=(0, 2))


def gradient_times_input(run, inputs):
    return (derivatives(run, inputs) * inputs).norm(dim=(0, 2))


def all_states_rows(run, inputs):
    x = inputs.detach().clone().requires_grad_()
    rows = [torch.autograd.grad(unit, x, retain_graph=True)[0] for unit in run(x).flatten()]
    return torch.stack(rows).norm(dim=(0, 2))


WRONG_9_5 = {
    "the caller's tensor tracks gradients": (callers_tensor, "`inputs`"),
    "gradients pile up": (piled_up, "pile"),
    "backward of the sum of squares": (one_backward, None),
    "backward with ones": (ones_backward, "cancel"),
    "of the mean": (of_mean, "cancel"),
    "last feature of all states": (last_feature, "the last number of every state"),
    "as many units as positions": (as_many_units_as_positions, None),
    "one unit less": (one_unit_less, None),
    "with a batch axis": (with_a_batch, None),
    "graph gone": (graph_gone, None),
    "cut short": (cut_short, None),
    "a copy asks, the original runs": (copied_and_forgotten, None),
    "gradient times input": (gradient_times_input, None),
    "all states, each by itself": (all_states_rows, "the gradients of all states"),
    "standard deviation": (of(lambda found: found.std(dim=(0, 2), unbiased=False)), None),
    "mean over units": (of(lambda found: found.square().sum(2).mean(0).sqrt()), None),
    "largest norm of a unit": (of(lambda found: found.norm(dim=2).amax(0)), None),
    "mean norm of a unit": (of(lambda found: found.norm(dim=2).mean(0)), None),
    "nuclear norm": (of(lambda found: torch.linalg.matrix_norm(found.transpose(0, 1), "nuc")), None),
    "cumulated": (of(lambda found: found.norm(dim=(0, 2)).cumsum(0)), None),
    "turned": (of(lambda found: found.norm(dim=(0, 1))), None),
    "a column": (of(lambda found: found.norm(dim=(0, 2))[:, None]), "shape"),
    "numbers of NumPy": (of(lambda found: found.norm(dim=(0, 2)).numpy()), "NumPy"),
    "numbers in a list": (lambda run, x: [float(v) for v in influence(run, x)], "Tensor"),
}


def borrowed(run, inputs):
    """Borrows the caller's tensor and gives it back as it was."""
    before = inputs.requires_grad
    try:
        inputs.requires_grad_(True)
        last = run(inputs)[-1]
        parts = [torch.autograd.grad(last[i], inputs, retain_graph=i + 1 < len(last))[0] for i in range(len(last))]
    finally:
        inputs.requires_grad_(before)
    return torch.stack(parts, -1).flatten(1).norm(dim=-1)


def of_positions(run, inputs):
    """Each position is a tensor of its own."""
    rows = [row.detach().clone().requires_grad_() for row in inputs]
    last = run(torch.stack(rows))[-1]
    found = [torch.autograd.grad(unit, rows, retain_graph=True, allow_unused=True) for unit in last]
    zero = torch.zeros_like(inputs[0])
    squares = [sum((zero if unit[t] is None else unit[t]).pow(2).sum() for unit in found) for t in range(len(rows))]
    return torch.stack(squares).sqrt()


def by_forward_mode(run, inputs):
    """One direction of one input at a time."""
    total = []
    for t in range(len(inputs)):
        columns = []
        for feature in range(inputs.size(1)):
            nudge = torch.zeros_like(inputs)
            nudge[t, feature] = 1.0
            columns.append(torch.func.jvp(lambda x: run(x)[-1], (inputs.detach(),), (nudge,))[1])
        total.append(torch.stack(columns).norm())
    return torch.stack(total).detach()


def in_numpy(run, inputs):
    found = derivatives(run, inputs).numpy()
    return torch.from_numpy(numpy.sqrt((found**2).sum((0, 2))))


RIGHT_9_5 = {
    "borrowed and given back": borrowed,
    "positions apart": of_positions,
    "forward mode": by_forward_mode,
    "NumPy inside": in_numpy,
    "matrix norm": of(lambda found: torch.linalg.matrix_norm(found.permute(1, 0, 2))),
    "hypot": of(lambda found: functools.reduce(torch.hypot, found.transpose(1, 2).flatten(0, 1))),
    "backward, put back": lambda run, inputs: torch.stack(
        [(lambda x: (run(x)[-1][i].backward(), x.grad.pow(2).sum(1))[1])(inputs.clone().requires_grad_(True))
         for i in range(run(inputs).shape[-1])]
    ).sum(0).sqrt(),
    "of a longer graph": lambda run, inputs: torch.autograd.functional.jacobian(
        lambda x: run(x)[-1], inputs, create_graph=False, vectorize=True
    ).square().sum((0, 2)).sqrt(),
}  # fmt: skip


WRONG = {"9.5": WRONG_9_5}
RIGHT = {"9.5": RIGHT_9_5}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
