"""Exercises 4.1 to 4.3: heads by loop, and heads by reshape, there and back."""

from dataclasses import replace

import torch
from torch import Generator, Tensor

from utils.exercises.chapter_04.references import heads_by_loop
from utils.exercises.chapter_04.words import (
    BATCHES,
    EDGE,
    LENGTHS_DIFFER,
    LENGTHS_EQUAL,
    OTHER_TOTAL,
    READY_MADE,
    SHAPE,
    SHAPES_AGAIN,
    STRIDED,
    WIDTHS_DIFFER,
)
from utils.exercises.chapter_04.wrong_splitting import HEADS_BY_LOOP, JOIN_HEADS, SPLIT_HEADS
from utils.exercises.declare import Case, Exercise, Property
from utils.exercises.drawing import normal
from utils.exercises.nearness import close
from utils.transformer.attention import join_heads, split_heads

# 4.1 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _loop_inputs(
    generator: Generator, batch: tuple[int, ...], lengths: tuple[int, int], d_model: int, heads: int,
    widths: tuple[int, int], dtype: torch.dtype = torch.float32,
) -> tuple:  # fmt: skip
    (target_len, source_len), (d_k, d_v) = lengths, widths
    inputs = [(*batch, target_len, d_model), (*batch, source_len, d_model), (*batch, source_len, d_model)]
    weights = [(heads, d_model, d_k), (heads, d_model, d_k), (heads, d_model, d_v), (heads * d_v, d_model)]
    return tuple(normal(generator, *shape, dtype=dtype) for shape in (*inputs, *weights))


def _loop_cases(generator: Generator) -> list[Case]:
    def drawn(*sizes, **options) -> tuple:
        return _loop_inputs(generator, *sizes, **options)

    shared = drawn((2,), (3, 3), 4, 2, (2, 2))
    strong = drawn((), (2, 3), 4, 2, (2, 2))
    strong[0].abs_().mul_(100)
    strong[1].abs_().add_(torch.tensor([[5.0], [10.0], [15.0]]))  # scores that lie far apart
    for matrices in strong[3:5]:
        matrices.abs_().add_(0.5)
    cases = [
        Case("two heads of width 2, one query, two keys", drawn((), (1, 2), 4, 2, (2, 2)), traits=(LENGTHS_DIFFER,)),
        Case("two heads, as many queries as keys", drawn((), (3, 3), 4, 2, (2, 2)), traits=(LENGTHS_EQUAL,)),
        Case("two sentences, two queries, four keys", drawn((2,), (2, 4), 4, 2, (2, 2)), traits=(LENGTHS_DIFFER,)),
        Case("two other sentences, two queries, four keys", drawn((2,), (2, 4), 4, 2, (2, 2)),
             traits=(SHAPES_AGAIN, LENGTHS_DIFFER)),
        Case("three heads of width 2", drawn((2,), (3, 2), 6, 3, (2, 2)), traits=(LENGTHS_DIFFER,)),
        Case("query, key and value are one tensor", (shared[0], shared[0], shared[0], *shared[3:]),
             traits=(LENGTHS_EQUAL,)),
        Case("values wider than keys", drawn((2,), (2, 3), 6, 2, (2, 3)), part=SHAPE,
             traits=(WIDTHS_DIFFER, LENGTHS_DIFFER)),
        Case("heads · d_v is not d_model", drawn((), (2, 3), 5, 2, (3, 4)), part=SHAPE,
             traits=(WIDTHS_DIFFER, OTHER_TOTAL, LENGTHS_DIFFER)),
        # √4 is the same in float32, in which torch.tensor(d_k).sqrt() computes it.
        Case("float64", drawn((2,), (2, 3), 5, 2, (4, 2), dtype=torch.float64),
             traits=(LENGTHS_DIFFER, WIDTHS_DIFFER, OTHER_TOTAL)),
        Case("gradients", drawn((2,), (2, 3), 4, 2, (2, 2)), gradients=True, traits=(LENGTHS_DIFFER,)),
        Case("a single head", drawn((2,), (2, 3), 4, 1, (4, 4)), part=EDGE, traits=("there is a single head",)),
        Case("four heads of width 1", drawn((), (2, 3), 4, 4, (1, 1)), part=EDGE),
        Case("two batch axes", drawn((2, 2), (2, 3), 4, 2, (2, 2)), part=EDGE, traits=(BATCHES,)),
        Case("three batch axes", drawn((2, 1, 2), (2, 3), 4, 2, (2, 2)), part=EDGE,
             traits=("there are three batch axes", BATCHES)),
        Case("scores in the thousands", strong, part=EDGE, traits=("scores are in the thousands",)),
    ]  # fmt: skip
    return [
        replace(case, traits=(*case.traits, "there is a batch axis")) if case.arguments[0].dim() > 2 else case
        for case in cases
    ]


def _one_head_silenced(generator: Generator) -> list[Case]:
    inputs = _loop_inputs(generator, (2,), (2, 3), 4, 2, (2, 2))
    silent = inputs[6].clone()
    silent[:2] = 0  # the rows of W^O that read head 1
    others = [normal(generator, *tensor.shape) for tensor in inputs[3:6]]
    changed = [torch.stack([other[0], tensor[1]]) for other, tensor in zip(others, inputs[3:6], strict=True)]
    return [Case("head 1 unread", (*inputs[:6], silent)),
            Case("head 1 unread and changed", (*inputs[:3], *changed, silent))]  # fmt: skip


LOOP = Exercise(
    number="4.1",
    title="Heads in a loop",
    points=2,
    difficulty=2,
    minutes=15,
    section="§3.2.2",
    reference=heads_by_loop,
    cases=_loop_cases,
    properties=(
        Property(
            "a head has its own rows of W^O",
            _one_head_silenced,
            lambda cases, results: close(results[0], results[1]),
            "Rows 0 … d_v − 1 of W^O belong to the first head: where they are zero, nothing that changes in that head "
            "may move the output.",
        ),
    ),
    returns=("output",),
    forbidden=READY_MADE,
    misconceptions=HEADS_BY_LOOP,
    hints=(
        "Each head is Equation 1 on inputs of its own: Q W_i^Q, K W_i^K, V W_i^V. You have a function for Equation 1.",
        "Loop over the three stacks of matrices together, `zip(query_weights, key_weights, value_weights)`; collect "
        "each head's output, (…, target_len, d_v), in a list.",
        "`torch.cat(heads, dim=-1)` puts them side by side, (…, target_len, heads · d_v); then `@ output_weight`.",
    ),
)


# 4.2 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _split_cases(generator: Generator) -> list[Case]:
    def drawn(*shape: int, **options) -> Tensor:
        return normal(generator, *shape, **options)

    numbered = torch.arange(12).view(1, 3, 4)
    return [
        Case("three tokens, two heads of width 2", (numbered, 2)),
        Case("two sentences, four tokens, two heads", (drawn(2, 4, 6), 2)),
        Case("two sentences, three heads", (drawn(2, 4, 6), 3)),
        Case("as many tokens as heads", (drawn(2, 3, 6), 3), traits=("there are as many tokens as heads",)),
        Case("three sentences", (drawn(3, 2, 8), 4)),
        Case("float64", (drawn(2, 3, 8, dtype=torch.float64), 4)),
        Case("gradients", (drawn(2, 3, 4), 2), gradients=True),
        Case("a view, not in one piece", (drawn(3, 2, 4).transpose(0, 1), 2), part=SHAPE, traits=(STRIDED,)),
        Case("a slice of something wider", (drawn(2, 3, 12)[..., 4:8], 2), part=SHAPE, traits=(STRIDED,)),
        Case("five tokens, two heads", (drawn(2, 5, 4), 2), traits=("heads do not divide the length",)),
        Case("a single head", (drawn(2, 3, 4), 1), part=EDGE, traits=("there is a single head",)),
        Case("a single token", (drawn(2, 1, 4), 2), part=EDGE, traits=("there is a single token",)),
        Case("heads of width 1", (drawn(2, 3, 4), 4), part=EDGE, traits=("heads are one column wide",)),
    ]


def _other_columns(generator: Generator) -> list[Case]:
    joined = normal(generator, 2, 5, 6)
    changed = joined.clone()
    changed[..., 2:4] = normal(generator, 2, 5, 2)
    return [Case("as it is", (joined, 3)), Case("columns 2 and 3 changed", (changed, 3))]


def _only_that_head(cases: list[Case], results: list[Tensor]) -> bool:
    others = [0, 2]
    return close(results[1][:, others], results[0][:, others]) and not close(results[1], results[0])


SPLIT = Exercise(
    number="4.2",
    title="Split into heads",
    points=1,
    difficulty=2,
    minutes=10,
    section="§3.2.2",
    reference=split_heads,
    cases=_split_cases,
    properties=(
        Property(
            "a head is a range of columns",
            _other_columns,
            _only_that_head,
            "Of six columns and three heads, columns 2 and 3 are the second head's: changing them has to move that "
            "head, at every token, and no other.",
        ),
    ),
    returns=("heads",),
    misconceptions=SPLIT_HEADS,
    hints=(
        "Two steps. First the last axis, heads · width, becomes two axes. Then the axes are put in another order.",
        "`joined.unflatten(-1, (heads, -1))` gives (batch, length, heads, width), with every number where it was.",
        "What is left is to exchange axes 1 and 2, length and heads: `.transpose(1, 2)`.",
    ),
)


# 4.3 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _join_cases(generator: Generator) -> list[Case]:
    def drawn(*shape: int, **options) -> Tensor:
        return normal(generator, *shape, **options)

    numbered = torch.arange(12).view(1, 2, 3, 2)
    return [
        Case("two heads, three tokens, width 2", (numbered,)),
        Case("two sentences, two heads, four tokens", (drawn(2, 2, 4, 3),)),
        Case("two sentences, three heads", (drawn(2, 3, 4, 2),)),
        Case("as many tokens as heads", (drawn(2, 3, 3, 2),), traits=("there are as many tokens as heads",)),
        Case("float64", (drawn(2, 4, 2, 2, dtype=torch.float64),)),
        Case("gradients", (drawn(2, 2, 3, 2),), gradients=True),
        Case("as splitting leaves it", (drawn(2, 3, 2, 2).transpose(1, 2),), part=SHAPE,
             traits=("the input is what splitting left: not in one piece in memory", STRIDED)),
        Case("width and length exchanged", (drawn(2, 2, 3, 4).transpose(2, 3),), part=SHAPE, traits=(STRIDED,)),
        Case("a single head", (drawn(2, 1, 3, 4),), part=EDGE, traits=("there is a single head",)),
        Case("a single token", (drawn(2, 3, 1, 2),), part=EDGE, traits=("there is a single token",)),
        Case("heads of width 1", (drawn(2, 4, 3, 1),), part=EDGE, traits=("heads are one column wide",)),
    ]  # fmt: skip


def _another_token(generator: Generator) -> list[Case]:
    separate = normal(generator, 2, 3, 4, 2)
    changed = separate.clone()
    changed[:, :, 1] = normal(generator, 2, 3, 2)
    return [Case("as it is", (separate,)), Case("token 1 changed in every head", (changed,))]


def _only_its_row(cases: list[Case], results: list[Tensor]) -> bool:
    others = [0, 2, 3]
    return close(results[1][:, others], results[0][:, others]) and not close(results[1], results[0])


JOIN = Exercise(
    number="4.3",
    title="Join the heads",
    points=1,
    difficulty=2,
    minutes=10,
    section="§3.2.2",
    reference=join_heads,
    cases=_join_cases,
    properties=(
        Property(
            "a token stays a token",
            _another_token,
            _only_its_row,
            "Changing one token, in all heads, has to move that token's row of the result and no other row.",
        ),
    ),
    returns=("joined heads",),
    misconceptions=JOIN_HEADS,
    hints=(
        "The way back: what was done last is undone first.",
        "First exchange axes 1 and 2, so that each token's heads stand next to each other: (batch, length, heads, "
        "width).",
        "Then the last two axes become one: `.flatten(-2)`, or `.reshape(batch, length, -1)`. `.view` refuses here, "
        "because after `transpose` the numbers no longer lie in order in memory.",
    ),
)
