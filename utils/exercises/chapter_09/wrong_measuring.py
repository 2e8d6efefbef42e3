"""What goes wrong with gradients by position (chapter 09), and what puts it right."""

import torch
from torch import Tensor

from utils.exercises.declare import Misconception

# 9.5, gradients by position ───────────────────────────────────────────────────────────────────────────────────────


def jacobian(run, inputs: Tensor, at: int = -1) -> Tensor:
    """∂ state at a position / ∂ inputs: (d_hidden, length, width)."""
    inputs = inputs.detach().requires_grad_()
    return torch.stack([torch.autograd.grad(u, inputs, retain_graph=True)[0] for u in run(inputs)[at]])


def of_jacobian(reduce):
    """A wrong answer to 9.5 that makes something else of the right derivatives."""
    return lambda run, inputs: reduce(jacobian(run, inputs))


def frobenius(derivatives: Tensor) -> Tensor:
    return derivatives.square().sum(dim=(0, 2)).sqrt()


def of_sum(run, inputs):
    inputs = inputs.detach().requires_grad_()
    return torch.autograd.grad(run(inputs)[-1].sum(), inputs)[0].norm(dim=-1)


def of_all_states(run, inputs):
    inputs = inputs.detach().requires_grad_()
    return torch.autograd.grad(run(inputs).sum(), inputs)[0].norm(dim=-1)


def summed_over_states(run, inputs):
    inputs = inputs.detach().requires_grad_()
    units = run(inputs).sum(dim=0)
    rows = torch.stack([torch.autograd.grad(u, inputs, retain_graph=True)[0] for u in units])
    return frobenius(rows)


def of_norm(run, inputs):
    inputs = inputs.detach().requires_grad_()
    return torch.autograd.grad(run(inputs)[-1].norm(), inputs)[0].norm(dim=-1)


def no_gradient_asked(run, inputs):
    rows = [torch.autograd.grad(unit, inputs, retain_graph=True)[0] for unit in run(inputs)[-1]]
    return frobenius(torch.stack(rows))


def piled_up(run, inputs):
    """.grad keeps adding: it is never put back to nothing between two units."""
    rows = jacobian(run, inputs).cumsum(dim=0)
    return frobenius(rows)


def each_of_all_states(run, inputs):
    inputs = inputs.detach().requires_grad_()
    units = run(inputs).flatten()
    return frobenius(torch.stack([torch.autograd.grad(u, inputs, retain_graph=True)[0] for u in units]))


def callers_inputs(run, inputs):
    inputs.requires_grad_()
    rows = [torch.autograd.grad(unit, inputs, retain_graph=True)[0] for unit in run(inputs)[-1]]
    return frobenius(torch.stack(rows))


def own_unit_of_all(run, inputs):
    """The last number of each state in place of each number of the last state."""
    inputs = inputs.detach().requires_grad_()
    units = run(inputs)[:, -1]
    return frobenius(torch.stack([torch.autograd.grad(u, inputs, retain_graph=True)[0] for u in units]))


INFLUENCE = (
    Misconception(
        "the caller's tensor",
        callers_inputs,
        "Your numbers are right, but from now on the caller's own tensor asks for gradients. `inputs = "
        "inputs.detach().requires_grad_()` makes one for yourself.",
        everywhere=True,
    ),
    Misconception(
        "gradients pile up",
        piled_up,
        "Your gradients pile up: each `.backward()` *adds* to `.grad`, so that the second unit's holds the first "
        "one's as well. `torch.autograd.grad` returns each by itself (or set `.grad` to None before each unit).",
    ),
    Misconception(
        "gradient of the mean",
        of_jacobian(lambda found: found.mean(dim=0).norm(dim=-1)),
        "You take the gradient of the mean of the last state's numbers. In a mean, numbers that are pushed up and "
        "numbers that are pushed down cancel; take the gradient of each number by itself and join the squares.",
    ),
    Misconception(
        "every state, number by number",
        each_of_all_states,
        "You join the gradients of all states. Asked for is what arrives at the last one, `run(inputs)[-1]`.",
    ),
    Misconception(
        "the last feature",
        own_unit_of_all,
        "You take the last number of every state, `[:, -1]`. Asked for is every number of the last state: `[-1]`.",
    ),
    Misconception(
        "gradient of the sum",
        of_sum,
        "You take the gradient of the sum of the last state's numbers. In a sum, numbers that are pushed up and "
        "numbers that are pushed down cancel; take the gradient of each number by itself and join the squares.",
    ),
    Misconception(
        "all states, not the last",
        of_all_states,
        "You take the gradient of all states. The early ones depend on the early inputs directly, and hide what is "
        "asked: what arrives at the last state, `run(inputs)[-1]`.",
    ),
    Misconception(
        "units summed over positions",
        summed_over_states,
        "You sum each unit over all positions before its gradient is taken. Asked for is the last state, "
        "`run(inputs)[-1]`.",
    ),
    Misconception(
        "gradient of the norm",
        of_norm,
        "You take the gradient of the last state's norm. That sees only movements that lengthen or shorten it; a state "
        "that turns has moved as well. Asked for is the norm of the gradients, of each number by itself.",
    ),
    Misconception(
        "the first state",
        lambda run, inputs: frobenius(jacobian(run, inputs, 0)),
        "You take the first state. Asked for is the last, `run(inputs)[-1]`.",
    ),
    Misconception(
        "no root",
        of_jacobian(lambda found: found.square().sum(dim=(0, 2))),
        "The root is missing: the Frobenius norm is the root of the sum of squares.",
    ),
    Misconception(
        "sum of absolute values",
        of_jacobian(lambda found: found.abs().sum(dim=(0, 2))),
        "You add absolute values. The Frobenius norm adds squares and takes the root.",
    ),
    Misconception(
        "mean of squares",
        of_jacobian(lambda found: found.square().mean(dim=(0, 2)).sqrt()),
        "You take the mean of the squares, so that the result depends on the widths. Asked for is their sum, then the "
        "root.",
    ),
    Misconception(
        "plain sum",
        of_jacobian(lambda found: found.sum(dim=(0, 2))),
        "You add the derivatives with their signs, so that they cancel. Square them first, and take the root of the "
        "sum.",
    ),
    Misconception(
        "norms of units added",
        of_jacobian(lambda found: found.norm(dim=-1).sum(dim=0)),
        "You take a norm for each unit and add the norms. The Frobenius norm is one root over all squares.",
    ),
    Misconception(
        "by feature, not by position",
        of_jacobian(lambda found: found.square().sum(dim=(0, 1)).sqrt()),
        "You sum over positions and keep the features. Asked for is one number for each position, (length,): sum over "
        "units and features.",
    ),
    Misconception(
        "last position first",
        of_jacobian(lambda found: frobenius(found).flip(0)),
        "Your numbers come in the wrong order: the first of them belongs to the first input.",
    ),
    Misconception(
        "divided by the last",
        of_jacobian(lambda found: frobenius(found) / frobenius(found)[-1]),
        "You divide by the last input's number. Asked for are the norms themselves.",
    ),
    Misconception(
        "inputs ask for no gradient",
        no_gradient_asked,
        "Autograd only tracks what asks for it: `inputs = inputs.detach().requires_grad_()` before the run.",
    ),
)
