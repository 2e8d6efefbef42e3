"""What goes wrong with gradients by position, with counting Table 1 and with the window's mask (chapter 09)."""

import math

import torch
from torch import Tensor

from utils.exercises.chapter_09.references import layer_cost, window_mask
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


INFLUENCE = (
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


# 9.6, Table 1 ─────────────────────────────────────────────────────────────────────────────────────────────────────

RECURRENT = {"rnn": 1, "gru": 3, "lstm": 4}


def counting(change):
    """A wrong answer to 9.6: change(layer, n, d, window, right triple) gives another one."""
    return lambda layer, n, d, window: change(layer, n, d, window, layer_cost(layer, n, d, window))


def only(*layers, index: int, wrong):
    """Wrong in one entry, of some layers: wrong(n, d, window, right number)."""

    def change(layer, n, d, window, right):
        entries = list(right)
        if layer in layers:
            entries[index] = wrong(n, d, window, right[index])
        return tuple(entries)

    return counting(change)


def gates_ignored(layer, n, d, window, right):
    return (2 * n * d * d if layer in RECURRENT else right[0], *right[1:])


def one_side_only(layer, n, d, window, right):
    return (right[0] // 2 if layer in RECURRENT else right[0], *right[1:])


def as_in_the_table(layer, n, d, window, right):
    counts = {"self-attention": n * n * d, "restricted": window * n * d, "convolution": window * n * d * d}
    return (counts.get(layer, n * d * d), *right[1:])


ATTENTIONS = "self-attention", "restricted"
LAYER_COST = (
    Misconception(
        "as the table says it",
        counting(as_in_the_table),
        "Your multiplications are Table 1's own, an order of growth: n² · d and n · d². Asked for is the count, with "
        "both products of attention, its four projections, and every matrix of a gated cell.",
    ),
    Misconception(
        "projections left out",
        only(*ATTENTIONS, index=0, wrong=lambda n, d, w, right: right - 4 * n * d * d),
        "The projections are missing, as in Table 1: queries, keys, values and the output are four products with d × d "
        "matrices, 4 n d² multiplications.",
    ),
    Misconception(
        "three projections",
        only(*ATTENTIONS, index=0, wrong=lambda n, d, w, right: right - n * d * d),
        "You count three projections. The output goes through a matrix as well: four.",
    ),
    Misconception(
        "scores alone",
        only("self-attention", index=0, wrong=lambda n, d, w, right: right - n * n * d),
        "You count one product of n² · d. There are two: queries with keys, and weights with values.",
    ),
    Misconception(
        "no more keys than there are",
        only("restricted", index=0, wrong=lambda n, d, w, right: 2 * n * min(n, w) * d + 4 * n * d * d),
        "Where the window is wider than the text you count n keys. Places of the window outside the text are counted "
        "too, as at the edges: `window` for each query.",
    ),
    Misconception(
        "restricted meets all keys",
        only("restricted", index=0, wrong=lambda n, d, w, right: 2 * n * n * d + 4 * n * d * d),
        "Your restricted attention meets all n keys. Each query meets `window` of them: 2 · n · window · d.",
    ),
    Misconception(
        "a plain cell for all",
        counting(gates_ignored),
        "You count a GRU and an LSTM like a plain recurrence. A GRU has three pairs of matrices, an LSTM four.",
    ),
    Misconception(
        "one side of the cell",
        counting(one_side_only),
        "You count one product a step. There are two, W x and U h, each with its own matrix.",
    ),
    Misconception(
        "kernel width forgotten",
        only("convolution", index=0, wrong=lambda n, d, w, right: n * d * d),
        "The window's width is missing in the convolution: each place of it has a d × d matrix of its own.",
    ),
    Misconception(
        "convolution channel by channel",
        only("convolution", index=0, wrong=lambda n, d, w, right: w * n * d),
        "You let each feature be convolved by itself. An ordinary convolution mixes all d features: d² weights for "
        "each place of the window.",
    ),
    Misconception(
        "recurrence in one step",
        only(*RECURRENT, index=1, wrong=lambda n, d, w, right: 1),
        "You say that a recurrence takes one sequential operation. Each step waits for the one before: n.",
    ),
    Misconception(
        "attention step by step",
        only(*ATTENTIONS, index=1, wrong=lambda n, d, w, right: n),
        "You say that attention takes n sequential operations. No query waits for another: all are one matrix product.",
    ),
    Misconception(
        "path of n",
        only(*RECURRENT, index=2, wrong=lambda n, d, w, right: n),
        "From the first position to the last a recurrence takes n − 1 steps; n are the sequential operations.",
    ),
    Misconception(
        "a window reaches its whole width",
        only("convolution", "restricted", index=2, wrong=lambda n, d, w, right: math.ceil((n - 1) / w)),
        "You let a window carry a message as far as it is wide. It is centred: it reaches window // 2 positions to "
        "each side.",
    ),
    Misconception(
        "a window of 3 for all",
        lambda layer, n, d, window: layer_cost(layer, n, d, 3),
        "You count with 3 whatever the window is: work and path of a convolution and of restricted attention depend on "
        "`window`.",
    ),
    Misconception(
        "jumps rounded down",
        only("convolution", "restricted", index=2, wrong=lambda n, d, w, right: max(1, (n - 1) // (w // 2))),
        "You round the number of jumps down. What is left over at the end takes one jump more: math.ceil.",
    ),
    Misconception(
        "additions counted",
        counting(lambda layer, n, d, window, right: (2 * right[0], *right[1:])),
        "You count multiplications and additions, as FLOPs are counted. Asked for are the multiplications alone: half "
        "of it.",
    ),
)


# 9.7, the window's mask ───────────────────────────────────────────────────────────────────────────────────────────


def distances(length: int, device=None) -> Tensor:
    position = torch.arange(length, device=device)
    return position[:, None] - position[None, :]


WINDOW_MASK = (
    Misconception(
        "the whole window to each side",
        lambda length, window, device=None: (distances(length, device).abs() <= window)[None, None],
        "Your window reaches `window` positions to each side, so that it is more than twice as wide as asked: "
        "window // 2 to each side, and the position itself.",
    ),
    Misconception(
        "one too few on each side",
        lambda length, window, device=None: (distances(length, device).abs() < window // 2)[None, None],
        "Your window is one position short on each side: `<=`, not `<`.",
    ),
    Misconception(
        "only the past",
        lambda length, window, device=None: window_mask(length, window, device).tril(),
        "Your mask lets no position look ahead. The window is centred: as far forward as back. (The encoder's "
        "attention is not causal.)",
    ),
    Misconception(
        "the last `window` positions",
        lambda length, window, device=None: ((distances(length, device) >= 0) & (distances(length, device) < window))[
            None, None
        ],
        "Your window ends at the query and reaches back. That is the form of decoder-only models; §4 centres it at "
        "the position.",
    ),
    Misconception(
        "inverted",
        lambda length, window, device=None: ~window_mask(length, window, device),
        "Your mask works the wrong way round: it hides the window. True = may be attended to.",
    ),
    Misconception(
        "without itself",
        lambda length, window, device=None: (
            window_mask(length, window, device) & (distances(length, device) != 0)[None, None]
        ),
        "Your mask keeps each position from looking at itself. It stands in the middle of its own window.",
    ),
    Misconception(
        "blocks",
        lambda length, window, device=None: (
            (torch.arange(length, device=device) // window)[:, None]
            == (torch.arange(length, device=device) // window)[None, :]
        )[None, None],
        "You cut the text into blocks and let each look at itself alone: nothing would ever pass from one block to "
        "the next. The window moves with the query.",
    ),
    Misconception(
        "no leading axes",
        lambda length, window, device=None: window_mask(length, window, device)[0, 0],
        "Your band is right. Every mask of the course has four axes, (batch, heads, query, key): put two of size 1 in "
        "front, `[None, None]`.",
    ),
    Misconception(
        "ones and zeros",
        lambda length, window, device=None: window_mask(length, window, device).float(),
        "Your band is right, but holds floating-point ones and zeros. Masks are bool.",
    ),
    Misconception(
        "device ignored",
        lambda length, window, device=None: window_mask(length, window),
        "Your mask is made on the CPU whatever `device` says: pass it on to torch.arange.",
    ),
)
