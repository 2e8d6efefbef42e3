"""Exercises 3.5 and 3.6: additive scores, and Eq. 1 in blocks."""

import math

import torch
from torch import Generator, Tensor

from utils.exercises.chapter_03.references import additive_scores, attention_in_blocks
from utils.exercises.chapter_03.words import BATCHES, EDGE, FUSED_KERNEL, LENGTHS_DIFFER, MANY_AXES, SHAPE
from utils.exercises.chapter_03.wrong_alternatives import ADDITIVE_SCORES, ATTENTION_IN_BLOCKS
from utils.exercises.declare import Case, Exercise, Property
from utils.exercises.drawing import attention_inputs, normal
from utils.exercises.nearness import close

# 3.5 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _additive_inputs(
    generator: Generator, batch: tuple, target_len: int, source_len: int, widths: tuple[int, int], d_hidden: int,
    dtype: torch.dtype = torch.float32,
) -> tuple:  # fmt: skip
    query_width, key_width = widths
    shapes = (*batch, target_len, query_width), (*batch, source_len, key_width), (d_hidden, query_width)
    return tuple(normal(generator, *shape, dtype=dtype) for shape in (*shapes, (d_hidden, key_width), (d_hidden,)))


def _additive_cases(generator: Generator) -> list[Case]:
    def drawn(*sizes, **options) -> tuple:
        return _additive_inputs(generator, *sizes, **options)

    large = drawn((), 2, 3, (2, 2), 4)
    large[0].abs_().add_(200)
    large[2].abs_().add_(0.5).mul_(torch.tensor([1.0, -1.0, 1.0, -1.0])[:, None])
    return [
        Case("one query, two keys", drawn((), 1, 2, (2, 2), 3)),
        Case("as many queries as keys", drawn((), 3, 3, (3, 3), 3)),
        Case("two queries, four keys", drawn((), 2, 4, (3, 3), 5), traits=(LENGTHS_DIFFER,)),
        Case("two other queries, four keys", drawn((), 2, 4, (3, 3), 5), traits=(LENGTHS_DIFFER,)),
        Case("queries and keys of other widths", drawn((2,), 3, 2, (4, 6), 5), traits=("widths differ",)),
        Case("float64", drawn((2,), 2, 3, (3, 4), 4, dtype=torch.float64), traits=("widths differ",)),
        Case("gradients", drawn((2,), 2, 3, (3, 4), 4), gradients=True, traits=("widths differ",)),
        Case("sentences and heads", drawn((2, 3), 2, 4, (3, 3), 4), part=SHAPE, traits=(BATCHES,)),
        Case(
            "three batch axes",
            drawn((2, 1, 2), 2, 3, (3, 2), 4),
            part=SHAPE,
            traits=(BATCHES, MANY_AXES, "widths differ"),
        ),
        Case("a single key", drawn((2,), 3, 1, (2, 2), 4), part=EDGE),
        Case("a hidden width of 1", drawn((), 2, 3, (2, 2), 1), part=EDGE),
        Case("sums in the hundreds", large, part=EDGE, traits=("W q + U k is in the hundreds",)),
    ]


def _another_key(generator: Generator) -> list[Case]:
    query, key, *weights = _additive_inputs(generator, (2,), 3, 4, (3, 3), 5)
    changed = key.clone()
    changed[:, 1] = normal(generator, 2, 3)
    return [Case("as it is", (query, key, *weights)), Case("key 1 changed", (query, changed, *weights))]


def _only_its_column(cases: list[Case], results: list[Tensor]) -> bool:
    others = [0, 2, 3]
    return close(results[1][..., others], results[0][..., others]) and not close(results[1], results[0])


ADDITIVE = Exercise(
    number="3.5",
    title="Additive scores",
    points=2,
    difficulty=3,
    minutes=15,
    section="§3.2.1",
    reference=additive_scores,
    cases=_additive_cases,
    properties=(
        Property(
            "a key's own column",
            _another_key,
            _only_its_column,
            "Changing one key has to move that key's column of scores, and no other.",
        ),
    ),
    returns=("scores",),
    misconceptions=ADDITIVE_SCORES,
    hints=(
        "For each pair of a query and a key there is a vector of width d_hidden. Which shape holds all of them?",
        "Project queries and keys first. Then an axis of size 1 in each, at different places, lets broadcasting form "
        "all pairs: (…, target_len, 1, d_hidden) and (…, 1, source_len, d_hidden).",
        "`(query @ query_weight.T).unsqueeze(-2) + (key @ key_weight.T).unsqueeze(-3)`, then tanh, then `@ "
        "score_weight`, which takes the last axis away.",
    ),
)


# 3.6 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _block_cases(generator: Generator) -> list[Case]:
    def drawn(*sizes, **options) -> tuple:
        return attention_inputs(generator, *sizes, **options)

    strong = drawn((), 2, 4, 16, 2, size=12.0)
    strong[1][0] = strong[0][0]  # the first query meets itself: a score near 576
    rising = drawn((), 2, 4, 3, 2)
    steps = torch.tensor([-8.0, -3.0, 3.0, 8.0])[:, None]
    rising = rising[0].abs() + 0.5, steps.expand(4, 3).contiguous(), rising[2]
    falling = torch.ones(2, 1), torch.tensor([[60.0], [20.0], [-20.0], [-60.0]]), normal(generator, 4, 2)
    apart = torch.tensor([[200.0], [-200.0]]), 1 + normal(generator, 4, 1, size=0.1), normal(generator, 4, 2)
    high = torch.ones(2, 1), 300 + normal(generator, 4, 1), normal(generator, 4, 2)
    # Scores that weigh one key alone, so that no answer's rounding matters.
    low = torch.full((2, 1), 200.0), torch.tensor([[-62.0], [-61.0], [-60.0], [-63.0]]), normal(generator, 4, 2)
    return [
        Case("four keys in blocks of two", (*drawn((), 1, 4, 2, 2, size=1.5), 2)),
        Case("six keys in blocks of two", (*drawn((2,), 3, 6, 4, 3, size=1.5), 2)),
        Case("six other keys in blocks of two", (*drawn((2,), 3, 6, 4, 3, size=1.5), 2)),
        Case("scores that rise from block to block", (*rising, 1)),
        Case("sentences and heads", (*drawn((2, 2), 3, 6, 4, 3), 3), part=SHAPE, traits=(BATCHES,)),
        Case("three batch axes", (*drawn((2, 1, 2), 2, 4, 5, 3), 2), part=SHAPE, traits=(BATCHES, MANY_AXES)),
        Case("float64", (*drawn((2,), 3, 6, 4, 4, dtype=torch.float64), 3)),
        Case("gradients", (*drawn((2,), 2, 4, 3, 3), 2), gradients=True),
        Case("seven keys in blocks of three", (*drawn((2,), 2, 7, 4, 4), 3), part=EDGE,
             traits=("the block size does not divide the number of keys",)),
        Case("blocks of one", (*drawn((), 2, 3, 4, 4, size=1.5), 1), part=EDGE),
        Case("one block larger than all keys", (*drawn((), 2, 3, 4, 4), 8), part=EDGE,
             traits=("the block size does not divide the number of keys",)),
        Case("scores in the hundreds", (*strong, 2), part=EDGE, traits=("scores are in the hundreds",)),
        Case("scores all near 300", (*high, 2), part=EDGE, traits=("scores are in the hundreds",)),
        Case("one query's scores near 200, one's near −200", (*apart, 2), part=EDGE,
             traits=("scores are in the hundreds", "the scores of two queries lie far apart")),
        Case("scores all below −10⁴", (*low, 2), part=EDGE, traits=("all scores are far below 0",)),
        Case("scores that fall from 60 to −60", (*falling, 1), part=EDGE,
             traits=("scores fall far from one block to the next",)),
    ]  # fmt: skip


def _many_keys(generator: Generator) -> list[Case]:
    return [Case("64 queries, 256 keys, blocks of 16", (*attention_inputs(generator, (), 64, 256, 8, 8), 16),
                 observe="largest")]  # fmt: skip


def _never_all(cases: list[Case], results: list[int]) -> bool:
    return results[0] < 64 * 256  # keys and values hold 256 · 8 numbers, a block of scores 64 · 16


WIDTHS = 7, 11  # d_k and d_v of the next cases, unlike every other size there


def _few_queries(generator: Generator) -> list[Case]:
    """There are as many blocks as keys in one, so that something kept of each block is no larger than its scores."""
    return [
        Case(f"{queries} queries, {block * block} keys, blocks of {block}",
             (*attention_inputs(generator, (), queries, block * block, *WIDTHS), block), observe="shapes")
        for queries, block in ((5, 16), (2, 4))
    ]  # fmt: skip


def _columns_of_one_block(cases: list[Case], results: list[list[tuple[int, ...]]]) -> bool:
    """Whether no tensor holds more scores than all queries have with one block. What has an axis of width d_k or d_v
    is no tensor of scores: queries, keys, values, outputs, whole or in part.
    """
    for case, shapes in zip(cases, results, strict=True):
        query, _, _, block_size = case.arguments
        scores = [shape for shape in shapes if not set(WIDTHS) & set(shape)]
        if any(math.prod(shape) > query.size(0) * block_size for shape in scores):
            return False
    return True


KEYS, BLOCK = 24, 3  # eight blocks; halving the keys again and again never gives eight of them either


def _small_blocks(generator: Generator) -> list[Case]:
    return [Case(f"5 queries, {KEYS} keys, blocks of {BLOCK}",
                 (*attention_inputs(generator, (), 5, KEYS, *WIDTHS), BLOCK), observe="shapes")]  # fmt: skip


def _keys_of_one_block(cases: list[Case], results: list[list[tuple[int, ...]]]) -> bool:
    """Whether no piece of the keys holds as many of them as there are blocks, whichever way it is turned."""
    pieces = [sorted(length for length in shape if length != 1) for shape in results[0]]
    return sorted([KEYS // BLOCK, WIDTHS[0]]) not in pieces


BLOCKS = Exercise(
    number="3.6",
    title="Attention in blocks",
    points=2,
    difficulty=4,
    minutes=30,
    section="since 2017: FlashAttention",
    reference=attention_in_blocks,
    cases=_block_cases,
    properties=(
        Property(
            "never all scores at once",
            _many_keys,
            _never_all,
            "Somewhere your code holds a tensor as large as all scores together, (target_len, source_len). The point "
            "is never to hold more than (target_len, block_size) of them.",
        ),
        Property(
            "one block of columns at a time",
            _few_queries,
            _columns_of_one_block,
            "Somewhere your code holds more columns of scores than one block has. The blocks are blocks of keys, "
            "block_size of them, each met by all queries; going through the queries in parts does not help, for even a "
            "single row of scores would be as long as the text.",
        ),
        Property(
            "blocks of that many keys",
            _small_blocks,
            _keys_of_one_block,
            f"Of {KEYS} keys, where `block_size` is {BLOCK}, your code takes {KEYS // BLOCK} at a time. It is how many "
            "keys a block has, not how many blocks there are. (`split` takes the size of a piece, `chunk` how many "
            "there are to be.)",
        ),
    ),
    returns=("output",),
    forbidden=(FUSED_KERNEL,),
    misconceptions=ATTENTION_IN_BLOCKS,
    hints=(
        "A softmax needs a sum over all keys, and the sum can be collected block by block, for the divisor and for "
        "the output alike. Divide once, at the end.",
        "To keep exp from overflowing, subtract the largest score seen so far, m. When a block raises it to m', what "
        "was collected with m is too large, all of it by the same factor.",
        "For each block: m' = maximum(m, scores' largest); total = total · exp(m − m') + Σ exp(scores − m'); output = "
        "output · exp(m − m') + exp(scores − m') @ values; m = m'. Begin with m = −∞.",
    ),
    optional=True,
)
