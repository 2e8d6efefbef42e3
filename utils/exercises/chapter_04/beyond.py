"""Exercises 4.5 to 4.7: what heads cost, PyTorch's own module, and heads that share keys and values."""

import torch
from torch import Generator

from utils.exercises.chapter_04.references import as_torch_mask, attention_counts, grouped_query_attention
from utils.exercises.chapter_04.words import (
    EACH_HEAD,
    EACH_QUERY,
    EACH_SENTENCE,
    EDGE,
    FUSED_KERNEL,
    LENGTHS_DIFFER,
    MASK,
    OTHER_TOTAL,
    SHAPE,
    SHAPES_AGAIN,
    STRIDED,
    WIDTHS_DIFFER,
)
from utils.exercises.chapter_04.wrong_beyond import AS_TORCH_MASK, GROUPED_QUERY_ATTENTION
from utils.exercises.chapter_04.wrong_counting import ATTENTION_COUNTS
from utils.exercises.declare import Case, Exercise, Property
from utils.exercises.drawing import lower_triangle, normal, some_allowed
from utils.exercises.nearness import close

# 4.5 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _count_cases(generator: Generator) -> list[Case]:
    def some(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=generator))

    drawn = some(2, 9), some(10, 30), some(30, 90), some(2, 9), some(10, 20), some(20, 30)
    return [
        Case("the paper's base model, 20 tokens", (20, 20, 512, 8, 64, 64)),
        Case("one wide head, 20 tokens", (20, 20, 512, 1, 512, 512)),
        Case("small enough for paper", (2, 2, 4, 2, 2, 2)),
        Case("no biases", (5, 5, 16, 4, 4, 4, False), traits=("bias is False",)),
        Case("no biases, by its name", (5, 5, 16, 4, 4, 4), {"bias": False}, traits=("bias is False",)),
        Case("five queries, nine keys", (5, 9, 16, 4, 4, 4), part=SHAPE, traits=(LENGTHS_DIFFER,)),
        Case("nine queries, five keys", (9, 5, 16, 4, 4, 4), part=SHAPE, traits=(LENGTHS_DIFFER,)),
        Case("values wider than keys", (5, 5, 16, 4, 2, 6), part=SHAPE,
             traits=(WIDTHS_DIFFER, OTHER_TOTAL)),
        Case("narrow keys, as in Table 3 (B)", (20, 20, 512, 8, 16, 64), part=SHAPE, traits=(WIDTHS_DIFFER,)),
        Case("whatever is drawn", drawn, part=SHAPE, traits=(WIDTHS_DIFFER, OTHER_TOTAL, LENGTHS_DIFFER)),
        Case("whatever is drawn, no biases", (*drawn, False), part=SHAPE,
             traits=(WIDTHS_DIFFER, OTHER_TOTAL, LENGTHS_DIFFER, "bias is False")),
        Case("one token, one head of width 1", (1, 1, 1, 1, 1, 1), part=EDGE),
    ]  # fmt: skip


COUNTS = Exercise(
    number="4.5",
    title="What heads cost",
    points=2,
    difficulty=2,
    minutes=15,
    section="§3.2.2",
    reference=attention_counts,
    cases=_count_cases,
    returns=("parameters", "multiplications"),
    misconceptions=ATTENTION_COUNTS,
    hints=(
        "Go through `forward` and write down, for each matrix product, the sizes of its two matrices. An (a, b) times "
        "(b, c) product takes a · b · c multiplications; a Linear from a to b has a · b parameters and b more with a "
        "bias.",
        "Queries and the output are projected at target_len positions, keys and values at source_len positions. The "
        "two products inside Equation 1 are done once for each head.",
        "Parameters: heads · (2 d_k + d_v) · (d_model + bias) + (heads · d_v + bias) · d_model. Multiplications: "
        "d_model · heads times (target_len · d_k + source_len · d_k + source_len · d_v + target_len · d_v), and then "
        "heads · target_len · source_len · (d_k + d_v).",
    ),
)


# 4.6 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _mask_cases(generator: Generator) -> list[Case]:
    padding = (torch.arange(4) < torch.tensor([4, 2, 3])[:, None])[:, None, None]  # (3, 1, 1, 4)
    others = (torch.arange(4) < torch.tensor([1, 4, 2])[:, None])[:, None, None]
    causal = lower_triangle(4)[None, None]
    return [
        Case("two sentences with padding, two queries", (padding[1:], 2, 2, 2), traits=("the mask hides padding",)),
        Case("three sentences with padding", (padding, 3, 2, 4), traits=("the mask hides padding",)),
        Case("three other sentences with padding", (others, 3, 2, 4), traits=("the mask hides padding", SHAPES_AGAIN)),
        Case("causal, two sentences", (causal, 2, 2, 4),
             traits=("the mask is causal", EACH_QUERY, "the mask has one entry for all sentences")),
        Case("causal and padding", (causal & padding, 3, 2, 4), traits=(EACH_QUERY,)),
        Case("a mask for each head", (some_allowed(generator, 2, 3, 2, 4), 2, 3, 2), part=SHAPE,
             traits=(EACH_HEAD, EACH_QUERY)),
        Case("heads' masks, the same for all sentences", (some_allowed(generator, 1, 3, 2, 4), 2, 3, 2), part=SHAPE,
             traits=(EACH_HEAD, EACH_QUERY, "the mask has one entry for all sentences")),
        Case("one row for all", (some_allowed(generator, 1, 1, 1, 4), 2, 3, 2), part=SHAPE,
             traits=("the mask has one entry for all sentences",)),
        Case("three queries, five keys", (some_allowed(generator, 2, 1, 3, 5), 2, 4, 3), part=SHAPE,
             traits=(LENGTHS_DIFFER, EACH_QUERY)),
        Case("a sentence that may not be seen at all", (padding & torch.tensor([1, 0, 1]).bool()[:, None, None, None],
             3, 2, 2), part=EDGE, traits=("a query may attend to nothing",)),
        Case("one sentence", (some_allowed(generator, 1, 1, 3, 3), 1, 2, 3), part=EDGE, traits=(EACH_QUERY,)),
        Case("one head", (padding, 3, 1, 2), part=EDGE, traits=("there is a single head",)),
        Case("one query", (padding, 3, 2, 1), part=EDGE),
    ]  # fmt: skip


TORCH_MASK = Exercise(
    number="4.6",
    title="A mask for PyTorch's module",
    points=1,
    difficulty=2,
    minutes=10,
    section="§3.2.3",
    reference=as_torch_mask,
    cases=_mask_cases,
    returns=("mask",),
    misconceptions=AS_TORCH_MASK,
    hints=(
        "Two things differ: what True means, and that the heads are no axis of their own but part of the first one.",
        "`~mask` turns the sense round. `.expand(batch, heads, target_len, -1)` writes the sizes out that broadcasting "
        "would fill in; −1 keeps the last.",
        "Of (batch, heads, target_len, source_len) the first two axes become one: `.flatten(0, 1)`.",
    ),
)


# 4.7 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


SEVERAL = "there is more than one group, each of several heads"


def _grouped_inputs(
    generator: Generator, heads: int, groups: int, lengths: tuple, widths: tuple, batch: int = 2, **options
) -> tuple:
    (target_len, source_len), (d_k, d_v) = lengths, widths
    shapes = (batch, heads, target_len, d_k), (batch, groups, source_len, d_k), (batch, groups, source_len, d_v)
    return tuple(normal(generator, *shape, **options) for shape in shapes)


def _grouped_cases(generator: Generator) -> list[Case]:
    def drawn(*sizes, **options) -> tuple:
        return _grouped_inputs(generator, *sizes, **options)

    split = tuple(normal(generator, 2, length, heads, 2).transpose(1, 2) for length, heads in ((2, 4), (3, 2), (3, 2)))
    nothing = some_allowed(generator, 2, 1, 2, 3)
    nothing[0] = False
    return [
        Case("four heads, two groups", drawn(4, 2, (2, 2), (2, 2)), traits=(SEVERAL,)),
        Case("four heads, two groups, other lengths", drawn(4, 2, (2, 3), (2, 2)), traits=(SEVERAL, LENGTHS_DIFFER)),
        Case("six heads, two groups", drawn(6, 2, (2, 3), (3, 2)), traits=(SEVERAL, LENGTHS_DIFFER, WIDTHS_DIFFER)),
        Case("six heads, three groups", drawn(6, 3, (3, 3), (2, 4)), traits=(SEVERAL, WIDTHS_DIFFER)),
        Case("multi-query: one group", drawn(4, 1, (2, 3), (2, 2)), traits=("there is a single group",)),
        Case("three sentences, eight heads, two groups", drawn(8, 2, (2, 3), (3, 3), batch=3),
             traits=(SEVERAL, LENGTHS_DIFFER)),
        Case("as splitting leaves them", split, part=SHAPE, traits=(SEVERAL, STRIDED, LENGTHS_DIFFER)),
        Case("float64", drawn(4, 2, (2, 3), (4, 2), dtype=torch.float64),
             traits=(SEVERAL, LENGTHS_DIFFER, WIDTHS_DIFFER)),
        Case("gradients", drawn(4, 2, (2, 3), (2, 2)), gradients=True, traits=(SEVERAL, LENGTHS_DIFFER)),
        Case("causal", (*drawn(4, 2, (3, 3), (2, 2)), lower_triangle(3)), part=MASK,
             traits=(SEVERAL, "there is a mask", "the mask has two axes")),
        Case("a mask for each head", (*drawn(4, 2, (2, 3), (2, 2)), some_allowed(generator, 2, 4, 2, 3)), part=MASK,
             traits=(SEVERAL, "there is a mask", EACH_HEAD, EACH_SENTENCE)),
        Case("a sentence that may attend to nothing", (*drawn(4, 2, (2, 3), (2, 2)), nothing), part=MASK,
             traits=(SEVERAL, "there is a mask", "a query may attend to nothing", EACH_SENTENCE)),
        Case("as many groups as heads", drawn(3, 3, (2, 3), (2, 2)), part=EDGE,
             traits=("there are as many groups as heads",)),
        Case("one head, one group", drawn(1, 1, (1, 2), (2, 2)), part=EDGE,
             traits=("there are as many groups as heads",)),
    ]  # fmt: skip


def _another_group(generator: Generator) -> list[Case]:
    query, key, value = _grouped_inputs(generator, 6, 3, (2, 4), (2, 2))
    changed = value.clone()
    changed[:, 1] = normal(generator, 2, 4, 2)
    return [Case("as it is", (query, key, value)), Case("the second group's values changed", (query, key, changed))]


def _only_its_heads(cases: list[Case], results: list[tuple]) -> bool:
    others = [0, 1, 4, 5]
    return close(results[1][0][:, others], results[0][0][:, others]) and not close(results[1][0], results[0][0])


GROUPED = Exercise(
    number="4.7",
    title="Grouped-query attention",
    points=2,
    difficulty=3,
    minutes=20,
    section="since 2017: grouped-query attention",
    reference=grouped_query_attention,
    cases=_grouped_cases,
    properties=(
        Property(
            "a group's own heads",
            _another_group,
            _only_its_heads,
            "Of six heads in three groups, heads 2 and 3 (from 0) share the second group's keys and values: changing "
            "these has to move those two heads and no others.",
        ),
    ),
    returns=("output", "weights"),
    forbidden=(FUSED_KERNEL,),
    misconceptions=GROUPED_QUERY_ATTENTION,
    hints=(
        "How many query heads share one head of keys? Once keys and values have as many heads as the queries, the rest "
        "is Equation 1.",
        "Neighbours share: with four heads and two groups, heads 0 and 1 use group 0, heads 2 and 3 use group 1. So "
        "the groups, repeated, have to read 0, 0, 1, 1 and not 0, 1, 0, 1.",
        "`key.repeat_interleave(query.size(1) // key.size(1), dim=1)`, likewise the values; then "
        "`scaled_dot_product_attention(query, key, value, mask)`.",
    ),
    optional=True,
)
