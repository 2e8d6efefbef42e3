"""Exercises 3.1 and 3.2: one query, and Eq. 1 for all of them at once."""

import torch
from torch import Generator, Tensor

from utils.exercises.chapter_03.references import attention, weights_of_one_query
from utils.exercises.chapter_03.words import BATCHES, EDGE, FUSED_KERNEL, LENGTHS_DIFFER, MANY_AXES, SHAPE
from utils.exercises.chapter_03.wrong_attention import ATTENTION, WEIGHTS_OF_ONE_QUERY
from utils.exercises.declare import Case, Exercise, Property
from utils.exercises.drawing import attention_inputs, normal, permutation
from utils.exercises.nearness import close

# 3.1 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _one_query_cases(generator: Generator) -> list[Case]:
    def drawn(d_k: int, source_len: int, dtype: torch.dtype = torch.float32, size: float = 1.0) -> tuple:
        return normal(generator, d_k, dtype=dtype, size=size), normal(
            generator, source_len, d_k, dtype=dtype, size=size
        )

    strong = normal(generator, 4)
    strong = 30 * strong / strong.norm()
    return [
        Case("two keys of width 4", drawn(4, 2)),
        Case("three keys of width 3", drawn(3, 3)),
        Case("five keys of width 8", drawn(8, 5)),
        Case("five other keys of width 8", drawn(8, 5)),
        # √4 is the same in float32, in which torch.tensor(d_k).sqrt() computes it.
        Case("seven keys of width 4, float64", drawn(4, 7, torch.float64)),
        Case("gradients", drawn(4, 3), gradients=True),
        Case("thirty keys of width 12", drawn(12, 30)),
        Case("a single key", drawn(4, 1), part=EDGE, traits=("there is a single key",)),
        Case("width 1", drawn(1, 3), part=EDGE),
        Case("scores in the hundreds", (strong, torch.stack([strong, -strong, 0.9 * strong])), part=EDGE,
             traits=("scores are in the hundreds",)),
    ]  # fmt: skip


def _reordered_keys(generator: Generator) -> list[Case]:
    query, keys = normal(generator, 4), normal(generator, 5, 4)
    order = permutation(generator, 5)
    return [Case("keys", (query, keys)), Case("keys in another order", (query, keys[order]), keywords={})]


def _weights_follow(cases: list[Case], results: list[Tensor]) -> bool:
    first, second = (case.arguments[1] for case in cases)
    order = (second[:, None] == first[None]).all(dim=-1).int().argmax(dim=-1)  # where each key stood before
    return close(results[1], results[0][order])


ONE_QUERY = Exercise(
    number="3.1",
    title="The weights of one query",
    points=1,
    difficulty=1,
    minutes=10,
    section="§3.2.1, Eq. 1",
    reference=weights_of_one_query,
    cases=_one_query_cases,
    properties=(
        Property(
            "keys in another order",
            _reordered_keys,
            _weights_follow,
            "When the keys are put in another order, the weights have to follow them, each key keeping its own.",
        ),
    ),
    returns=("weights",),
    forbidden=(FUSED_KERNEL,),
    misconceptions=WEIGHTS_OF_ONE_QUERY,
    hints=(
        "A matrix times a vector gives the dot product of each of its rows with that vector, all at once.",
        "There is one score per key: `keys @ query`, of shape (source_len,). Two things are still to be done to them.",
        "Divide the scores by math.sqrt(query.size(-1)), then make weights of them with `.softmax(dim=-1)`.",
    ),
)


# 3.2 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _attention_cases(generator: Generator) -> list[Case]:
    def drawn(*sizes, **options) -> tuple:
        return attention_inputs(generator, *sizes, **options)

    shared = normal(generator, 2, 3, 4)
    strong = drawn((), 2, 3, 16, 2, size=12.0)
    strong[1][0], strong[1][1] = strong[0][0], 0.9 * strong[0][0]  # the first query meets itself: a score near 576
    heads = normal(generator, 2, 5, 3, 4).transpose(1, 2)  # (2, 3, 5, 4) as splitting into heads leaves it
    return [
        Case("one query, two keys, no batch", drawn((), 1, 2, 4, 3), traits=("there is no batch axis",)),
        Case("as many queries as keys", drawn((), 3, 3, 3, 3), traits=("there is no batch axis",)),
        Case("two sentences, two queries, three keys", drawn((2,), 2, 3, 4, 4), traits=(LENGTHS_DIFFER,)),
        Case("two other sentences of that size", drawn((2,), 2, 3, 4, 4), traits=(LENGTHS_DIFFER,)),
        Case("values wider than keys", drawn((3,), 3, 3, 2, 5)),
        Case("sentences and heads", drawn((2, 3), 4, 5, 6, 2), part=SHAPE, traits=(LENGTHS_DIFFER, BATCHES)),
        Case("three batch axes", drawn((2, 1, 2), 2, 3, 5, 3), part=SHAPE, traits=(LENGTHS_DIFFER, BATCHES, MANY_AXES)),
        Case("heads as a view", (heads, heads, heads), part=SHAPE, traits=(BATCHES,)),
        Case("query, key and value are one tensor", (shared, shared, shared)),
        Case("float64", drawn((2,), 3, 4, 4, 4, dtype=torch.float64), traits=(LENGTHS_DIFFER,)),
        Case("gradients", drawn((2,), 2, 3, 4, 3), gradients=True, traits=(LENGTHS_DIFFER,)),
        Case("a single key", drawn((2,), 3, 1, 4, 4), part=EDGE, traits=("there is a single key",)),
        Case("scores in the hundreds", strong, part=EDGE, traits=("scores are in the hundreds",)),
    ]


def _two_orders(generator: Generator) -> list[Case]:
    query, key, value = attention_inputs(generator, (2,), 3, 5, 4, 4)
    keys, queries = permutation(generator, 5), permutation(generator, 3)
    return [
        Case("in order", (query, key, value)),
        Case("keys and values in another order", (query, key[:, keys], value[:, keys])),
        Case("queries in another order", (query[:, queries], key, value)),
    ]


def _order_of_keys_is_nothing(cases: list[Case], results: list) -> bool:
    before, after = cases[0].arguments[0], cases[2].arguments[0]
    order = (after[0][:, None] == before[0][None]).all(dim=-1).int().argmax(dim=-1)
    return close(results[1][0], results[0][0]) and close(results[2][0], results[0][0][:, order])


def _sums_to_one(cases: list[Case], results: list) -> bool:
    weights = results[0][1]
    return close(weights.sum(dim=-1), torch.ones(weights.shape[:-1])) and bool((weights >= 0).all())


PLAIN_ATTENTION = Exercise(
    number="3.2",
    title="Equation 1 for a batch",
    points=2,
    difficulty=2,
    minutes=15,
    section="§3.2.1, Eq. 1",
    reference=attention,
    cases=_attention_cases,
    properties=(
        Property(
            "rows sum to one", _two_orders, _sums_to_one, "Each query's weights have to be positive and sum to one."
        ),
        Property(
            "the order of keys is nothing",
            _two_orders,
            _order_of_keys_is_nothing,
            "When keys and values are put in another order together, the output must not move; when queries are, the "
            "output's rows have to follow them.",
        ),
    ),
    returns=("output", "weights"),
    forbidden=(FUSED_KERNEL,),
    misconceptions=ATTENTION,
    hints=(
        "QKᵀ holds the dot product of every query with every key, so its shape is (…, target_len, source_len). Which "
        "two axes of `key` have to change places for that?",
        "`query @ key.transpose(-2, -1)` leaves any batch axes alone. Over which axis of the result does one query "
        "share out its attention?",
        "Divide by math.sqrt(query.size(-1)), take `.softmax(dim=-1)`, and multiply the weights with `value`. Return "
        "both: `return weights @ value, weights`.",
    ),
)
