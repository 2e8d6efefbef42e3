"""What goes wrong with counting Table 1 and with the window's mask (chapter 09), and what puts it right."""

import math

import torch
from torch import Tensor

from utils.exercises.chapter_09.references import layer_cost, window_mask
from utils.exercises.declare import Misconception

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
        "one jump too many where they come out even",
        only("convolution", "restricted", index=2, wrong=lambda n, d, w, right: math.ceil(n / (w // 2))),
        "Where the jumps come out even you count one too many. From the first position to the last it is n − 1 "
        "places, and a last jump is added only where something is left over: math.ceil((n − 1) / (window // 2)).",
    ),
    Misconception(
        "jumps not whole",
        only("convolution", "restricted", index=2, wrong=lambda n, d, w, right: (n - 1) / (w // 2)),
        "Your path is no whole number of jumps. What is left over at the end takes one more: math.ceil.",
    ),
    Misconception(
        "a window in one step",
        only("convolution", "restricted", index=2, wrong=lambda n, d, w, right: 1),
        "You say that a signal passes a window's layer in one step from end to end. It reaches window // 2 positions "
        "to each side; what lies farther away takes several steps.",
    ),
    Misconception(
        "one product within the window",
        only("restricted", index=0, wrong=lambda n, d, w, right: right - n * w * d),
        "You count one product of n · window · d in restricted attention. There are two: queries with keys, and "
        "weights with values.",
    ),
    Misconception(
        "two projections",
        only(*ATTENTIONS, index=0, wrong=lambda n, d, w, right: right - 2 * n * d * d),
        "You count two projections. There are four: queries, keys, values and the output.",
    ),
    Misconception(
        "waits counted by block",
        counting(lambda layer, n, d, window, right: (right[0], right[1] * RECURRENT.get(layer, 1), right[2])),
        "You count a sequential operation for each block of a cell. Within a step the blocks do not wait for one "
        "another; positions do: n.",
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
        "all but the ends of the whole window",
        lambda length, window, device=None: (distances(length, device).abs() < window)[None, None],
        "Your window reaches `window − 1` positions to each side, so that it is nearly twice as wide as asked: "
        "window // 2 to each side, and the position itself.",
    ),
    Misconception(
        "one too few ahead",
        lambda length, window, device=None: (
            (distances(length, device) <= window // 2) & (distances(length, device) > -(window // 2))
        )[None, None],
        "Your window is one position short ahead of the query. The end of a slice does not belong to it: "
        "`t + window // 2 + 1`.",
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
