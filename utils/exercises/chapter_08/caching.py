"""Exercise 8.4: a step of masked self-attention with a key–value cache."""

import torch
from torch import Generator, Tensor

from utils.exercises.chapter_08.references import attend_with_cache
from utils.exercises.chapter_08.words import EDGE, SEVERAL
from utils.exercises.chapter_08.wrong_caching import CACHED
from utils.exercises.declare import Case, Exercise, Property
from utils.exercises.drawing import normal
from utils.exercises.nearness import close
from utils.transformer.attention import MultiHeadAttention, split_heads

FIRST = "nothing is cached yet"


def attention_module(generator: Generator, d_model: int, heads: int, dtype: torch.dtype = torch.float32, **widths):
    """A multi-head attention whose numbers are drawn, biases included."""
    attention = MultiHeadAttention(d_model, heads, **widths)
    with torch.no_grad():
        for parameter in attention.parameters():
            size = parameter.size(-1) ** -0.5 if parameter.dim() == 2 else 0.3
            parameter.copy_(normal(generator, *parameter.shape, size=2 * size))
    return attention.to(dtype).requires_grad_(False)


def _inputs(
    generator: Generator, batch: int, past: int | None, d_model: int = 8, heads: int = 2,
    dtype: torch.dtype = torch.float32, **widths,
) -> tuple:  # fmt: skip
    attention = attention_module(generator, d_model, heads, dtype, **widths)
    x = normal(generator, batch, 1, d_model, dtype=dtype)
    if past is None:
        return attention, x, None
    keys = normal(generator, batch, heads, past, attention.d_k, dtype=dtype)
    return attention, x, (keys, normal(generator, batch, heads, past, attention.d_v, dtype=dtype))


def _cases(generator: Generator) -> list[Case]:
    def drawn(*sizes, **options) -> tuple:
        return _inputs(generator, *sizes, **options)

    return [
        Case("one sentence, two tokens in the cache", drawn(1, 2)),
        Case("two sentences, five in the cache", drawn(2, 5), traits=(SEVERAL,)),
        Case("three sentences, four heads", drawn(3, 4, 12, 4), traits=(SEVERAL,)),
        Case("values wider than keys", drawn(2, 3, 8, 2, d_k=3, d_v=5), traits=(SEVERAL, "d_k and d_v differ")),
        Case("without biases", drawn(2, 3, 8, 2, bias=False), traits=(SEVERAL,)),
        Case("a single head", drawn(2, 4, 6, 1), traits=(SEVERAL, "there is a single head")),
        Case("float64", drawn(2, 3, dtype=torch.float64), traits=(SEVERAL,)),
        Case("the first step", drawn(2, None), part=EDGE, traits=(SEVERAL, FIRST)),
        Case("the first step of one sentence", drawn(1, None), part=EDGE, traits=(FIRST,)),
        Case("one token in the cache", drawn(2, 1), part=EDGE, traits=(SEVERAL,)),
        Case("forty in the cache", drawn(1, 40), part=EDGE),
        Case("eleven hundred in the cache", drawn(1, 1100), part=EDGE, traits=("the cache is long",)),
    ]


def _whole_sentence(generator: Generator) -> list[Case]:
    """The last step of a sentence, asked for twice."""
    attention, states = attention_module(generator, 8, 2), normal(generator, 2, 6, 8)
    projections = attention.key_projection, attention.value_projection
    cache = tuple(split_heads(projection(states[:, :5]), 2) for projection in projections)
    return [Case(f"sentence, {last}", (attention, states[:, 5:], cache)) for last in ("once", "and again")]


def _like_the_full_pass(cases: list[Case], results: list) -> bool:
    """The last position of the full pass: its keys and values are the cache and the newest token's own."""
    attention, x, (keys, values) = cases[0].arguments
    query = split_heads(attention.query_projection(x), 2)
    keys = torch.cat([keys, split_heads(attention.key_projection(x), 2)], dim=2)
    values = torch.cat([values, split_heads(attention.value_projection(x), 2)], dim=2)
    full = torch.nn.functional.scaled_dot_product_attention(query, keys, values)  # (batch, heads, 1, d_v)
    wanted = attention.output_projection(full.transpose(1, 2).flatten(2))
    return all(isinstance(output, Tensor) and close(output, wanted) for output, _ in results)


CACHE = Exercise(
    number="8.4",
    title="The key–value cache",
    points=3,
    difficulty=3,
    minutes=25,
    section="§3.2.3, §6.1",
    reference=attend_with_cache,
    cases=_cases,
    properties=(
        Property(
            "equal to the full pass",
            _whole_sentence,
            _like_the_full_pass,
            "The newest position must get what the full pass, with its causal mask, gives the last one; and the same "
            "when it is asked again, so nothing may be remembered elsewhere than in the cache.",
        ),
    ),
    returns=("output", "cache"),
    forbidden=("torch.nn.MultiheadAttention",),
    misconceptions=CACHED,
    hints=(
        "How many queries are there at this step, how many keys, how many values? Which of them do you have to compute "
        "and which lie in the cache?",
        "Project x three times and split into heads: query, key and value of the newest token, each "
        "(batch, heads, 1, width). `torch.cat([cache[0], key], dim=2)` makes the keys; what does the newest query have "
        "to be kept from seeing?",
        "No mask: all keys are in the past or the query's own. `output, _ = scaled_dot_product_attention(query, keys, "
        "values)`, then `attention.output_projection(join_heads(output))`; return it with `(keys, values)`.",
    ),
)
