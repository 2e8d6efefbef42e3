"""What goes wrong with attention without a mask (chapter 03), and what puts it right."""

import math

from torch import Tensor

from utils.exercises.declare import Misconception


def root_of_width(query: Tensor) -> float:
    """√d_k."""
    return math.sqrt(query.size(-1))


# 3.1, the weights of one query ────────────────────────────────────────────────────────────────────────────────────


def one_query(after_scores):
    """A wrong answer to 3.1 that makes something else of the raw scores K q."""
    return lambda query, keys: after_scores(keys @ query, query, keys)


WEIGHTS_OF_ONE_QUERY = (
    Misconception(
        "not scaled",
        one_query(lambda scores, query, keys: scores.softmax(dim=-1)),
        "Your weights equal softmax(K q): the division by √d_k of Eq. 1 is missing.",
    ),
    Misconception(
        "scaled by d_k",
        one_query(lambda scores, query, keys: (scores / query.size(-1)).softmax(dim=-1)),
        "Your weights equal softmax(K q / d_k): Eq. 1 divides by the root of d_k. The scores' standard deviation grows "
        "like √d_k, so the root is what brings it back to one.",
    ),
    Misconception(
        "multiplied by the root",
        one_query(lambda scores, query, keys: (scores * root_of_width(query)).softmax(dim=-1)),
        "Your weights equal softmax(K q · √d_k): the scores are to be divided by √d_k, which makes them smaller.",
    ),
    Misconception(
        "scaled by the number of keys",
        one_query(lambda scores, query, keys: (scores / math.sqrt(len(keys))).softmax(dim=-1)),
        "You divide by the root of the number of keys. The d_k of Eq. 1 is the width of a key: `keys.size(-1)`, over "
        "which the dot product sums, not `len(keys)`.",
    ),
    Misconception(
        "scores returned",
        one_query(lambda scores, query, keys: scores / root_of_width(query)),
        "These are the scaled scores, K q / √d_k. The softmax that makes positive weights with sum one of them is "
        "missing.",
    ),
    Misconception(
        "not normalised",
        one_query(lambda scores, query, keys: (scores / root_of_width(query)).exp()),
        "You return exp(score) for each key: dividing by their sum, so that the weights sum to one, is missing.",
    ),
    Misconception(
        "normalised without exponential",
        one_query(lambda scores, query, keys: scores / scores.sum()),
        "You divide the scores by their sum. Scores can be negative; the softmax takes their exponential first.",
    ),
    Misconception(
        "exponential overflows",
        one_query(lambda s, query, keys: (s / root_of_width(query)).exp() / (s / root_of_width(query)).exp().sum()),
        "exp of a score above 88 is infinite in float32, and ∞/∞ is NaN. Subtract the largest score from all of them "
        "first, which changes nothing in the quotient; `softmax` does that for you.",
    ),
    Misconception(
        "scaled after the softmax",
        one_query(lambda scores, query, keys: scores.softmax(dim=-1) / root_of_width(query)),
        "You divide by √d_k after the softmax, so your weights sum to 1/√d_k. The scores are divided, before it.",
    ),
)


# 3.2, scaled dot-product attention without a mask ─────────────────────────────────────────────────────────────────


def attending(weigh):
    """A wrong answer to 3.2 that makes something else of the raw scores QKᵀ."""

    def answer(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        weights = weigh(query @ key.transpose(-2, -1), query, key)
        return weights @ value, weights

    return answer


def not_transposed(query, key, value):
    weights = (query @ key / root_of_width(query)).softmax(dim=-1)
    return weights @ value, weights


def first_axes_turned(query, key, value):
    weights = (query @ key.transpose(0, 1) / root_of_width(query)).softmax(dim=-1)
    return weights @ value, weights


def second_axes_turned(query, key, value):
    weights = (query @ key.transpose(1, 2) / root_of_width(query)).softmax(dim=-1)
    return weights @ value, weights


def scaled_by_the_values(query, key, value):
    weights = (query @ key.transpose(-2, -1) / root_of_width(value)).softmax(dim=-1)
    return weights @ value, weights


def all_axes_turned(query, key, value):
    weights = (query @ key.permute(*reversed(range(key.dim()))) / root_of_width(query)).softmax(dim=-1)
    return weights @ value, weights


def keys_averaged(query, key, value):
    weights = (query @ key.transpose(-2, -1) / root_of_width(query)).softmax(dim=-1)
    return weights @ key, weights


def weights_turned(query, key, value):
    weights = (query @ key.transpose(-2, -1) / root_of_width(query)).softmax(dim=-1)
    return weights @ value, weights.transpose(-2, -1)


def scores_given_back(query, key, value):
    scores = query @ key.transpose(-2, -1) / root_of_width(query)
    return scores.softmax(dim=-1) @ value, scores


def exponentials_divided(scores, query, key):
    exponentials = (scores / root_of_width(query)).exp()
    return exponentials / exponentials.sum(dim=-1, keepdim=True)


def output_alone(query, key, value):
    return (query @ key.transpose(-2, -1) / root_of_width(query)).softmax(dim=-1) @ value


ATTENTION = (
    Misconception(
        "not scaled",
        attending(lambda scores, query, key: scores.softmax(dim=-1)),
        "Your weights equal softmax(QKᵀ): the division by √d_k of Eq. 1 is missing.",
    ),
    Misconception(
        "scaled by d_k",
        attending(lambda scores, query, key: (scores / query.size(-1)).softmax(dim=-1)),
        "Your weights equal softmax(QKᵀ / d_k): Eq. 1 divides by the root, √d_k.",
    ),
    Misconception(
        "multiplied by the root",
        attending(lambda scores, query, key: (scores * root_of_width(query)).softmax(dim=-1)),
        "Your weights equal softmax(QKᵀ · √d_k): the scores are to be divided by √d_k, which makes them smaller.",
    ),
    Misconception(
        "scaled by the length",
        attending(lambda scores, query, key: (scores / math.sqrt(key.size(-2))).softmax(dim=-1)),
        "You divide by the root of the number of keys, key.size(-2). The d_k of Eq. 1 is the width of a key, "
        "key.size(-1).",
        everywhere=True,
    ),
    Misconception(
        "scaled by the width of values",
        scaled_by_the_values,
        "You divide by √d_v, the root of the values' width. Scores are sums of d_k products, one for each number of a "
        "key, so the root is that of d_k: query.size(-1) or key.size(-1).",
        everywhere=True,
    ),
    Misconception(
        "scaled by len(query)",
        attending(lambda scores, query, key: (scores / math.sqrt(len(query))).softmax(dim=-1)),
        "You divide by the root of `len(query)`. That is the size of the first axis: the number of queries, or of "
        "sentences where there is a batch. d_k is the size of the last: query.size(-1).",
        everywhere=True,
    ),
    Misconception(
        "softmax over queries",
        attending(lambda scores, query, key: (scores / root_of_width(query)).softmax(dim=-2)),
        "Your softmax runs over the queries (dim=-2): columns sum to one. Each query shares its attention out among "
        "the keys, so rows have to: dim=-1.",
    ),
    Misconception(
        "softmax over axis 1",
        attending(lambda scores, query, key: (scores / root_of_width(query)).softmax(dim=1)),
        "Your softmax runs over dim=1, which is the keys' axis for a single matrix only. Count from the end, dim=-1, "
        "and any number of batch axes may stand before.",
    ),
    Misconception(
        "no softmax",
        attending(lambda scores, query, key: scores / root_of_width(query)),
        "Your weights are the scaled scores themselves: the softmax is missing.",
    ),
    Misconception(
        "exponential overflows",
        attending(exponentials_divided),
        "exp of a score above 88 is infinite in float32, and ∞/∞ is NaN. Subtract each query's largest score from its "
        "scores first, which changes nothing in the quotient; `softmax` does that for you.",
    ),
    Misconception(
        "scaled after the softmax",
        attending(lambda scores, query, key: scores.softmax(dim=-1) / root_of_width(query)),
        "You divide by √d_k after the softmax, so each row sums to 1/√d_k. The scores are divided, before it.",
    ),
    Misconception(
        "key not transposed",
        not_transposed,
        "`query @ key` multiplies (target_len, d_k) with (source_len, d_k): inner sizes do not meet, or meet by "
        "chance. QKᵀ needs `key.transpose(-2, -1)`, (d_k, source_len).",
    ),
    Misconception(
        "first axes exchanged",
        first_axes_turned,
        "`key.transpose(0, 1)` turns the matrix over only where there is no batch axis. Count from the end: "
        "`key.transpose(-2, -1)`.",
    ),
    Misconception(
        "axes 1 and 2 exchanged",
        second_axes_turned,
        "`key.transpose(1, 2)` is right only where exactly one axis stands before the last two. Without a batch there "
        "is no axis 2, and with heads it exchanges the wrong pair. Count from the end: `key.transpose(-2, -1)`.",
    ),
    Misconception(
        "all axes reversed",
        all_axes_turned,
        "`.T` reverses all axes, the batch's too. Only the last two are to be exchanged: `key.transpose(-2, -1)`.",
    ),
    Misconception(
        "keys in place of values",
        keys_averaged,
        "Your output averages the keys. Keys decide how much each value counts; the values are what is averaged: "
        "weights @ value.",
    ),
    Misconception(
        "weights transposed",
        weights_turned,
        "Your weights are transposed: rows are queries and columns are keys, (target_len, source_len).",
    ),
    Misconception(
        "scores returned",
        scores_given_back,
        "Your output is right; what you return beside it are the scores before the softmax. Return the weights.",
    ),
    Misconception(
        "output alone",
        output_alone,
        "You return the output alone. The weights are asked for too, so that they can be looked at: "
        "`return output, weights`.",
    ),
)
