"""Exercise 4.4: multi-head attention, the module that every layer of the model uses."""

import torch
from torch import Generator, Tensor

from utils.exercises.chapter_04.fills import FILLS
from utils.exercises.chapter_04.words import (
    EACH_HEAD,
    EACH_QUERY,
    EACH_SENTENCE,
    EDGE,
    LENGTHS_DIFFER,
    MASK,
    OTHER_TOTAL,
    READY_MADE,
    SHAPE,
    WIDTHS_DIFFER,
)
from utils.exercises.chapter_04.wrong_attention import MULTI_HEAD_ATTENTION
from utils.exercises.declare import Case, Exercise, Property
from utils.exercises.drawing import lower_triangle, normal, permutation
from utils.exercises.nearness import close
from utils.transformer.attention import MultiHeadAttention

HIDDEN = "there is a mask"
PADDED_QUERIES = "queries are padding too"
CHOSEN_WIDTHS = "d_k or d_v is given, not derived"
CHOSEN_KEYS = "d_k is given, not derived"
SELF = "keys, values and queries are one tensor, and there is no mask"


def _inputs(generator: Generator, batch: int, target_len: int, source_len: int, d_model: int, **options) -> tuple:
    """query, key and value, three different tensors."""
    lengths = target_len, source_len, source_len
    return tuple(normal(generator, batch, length, d_model, **options) for length in lengths)


def _padding(*real: int) -> Tensor:
    """bool (batch, 1, 1, longest): so many real tokens in each sentence, the rest padding."""
    return (torch.arange(max(real)) < torch.tensor(real)[:, None])[:, None, None]


def _cases(generator: Generator) -> list[Case]:
    def drawn(*sizes, **options) -> tuple:
        return _inputs(generator, *sizes, **options)

    x, y = normal(generator, 2, 3, 4), normal(generator, 2, 4, 6)
    causal = lower_triangle(4)[None, None]
    hidden = torch.tensor([[[2], [0]], [[0], [1]]])  # one key for each query of two heads: all their rows differ
    by_head = (torch.arange(3) != hidden)[None, ..., permutation(generator, 3)]
    by_all = torch.cat([by_head, by_head.roll(1, -1)])
    nothing = torch.cat([by_head[:, :1], torch.zeros(1, 1, 2, 3, dtype=torch.bool)])
    return [
        Case("one sentence, two heads", drawn(1, 1, 2, 4), build=(4, 2), traits=(LENGTHS_DIFFER,)),
        Case("self-attention, two heads", (x, x, x), build=(4, 2), traits=(SELF,)),
        Case("two sentences, two queries, three keys", drawn(2, 2, 3, 4), build=(4, 2), traits=(LENGTHS_DIFFER,)),
        Case("three heads, training mode", (y, y, y), build=(6, 3), training=True, traits=(SELF,)),
        Case("heads wider than d_model / h", drawn(2, 2, 3, 6), build=(6, 2), build_keywords={"d_k": 4, "d_v": 5},
             part=SHAPE, traits=(WIDTHS_DIFFER, OTHER_TOTAL, CHOSEN_WIDTHS, CHOSEN_KEYS, LENGTHS_DIFFER)),
        Case("only d_k is given", drawn(2, 3, 3, 4), build=(4, 2), build_keywords={"d_k": 1}, part=SHAPE,
             traits=(WIDTHS_DIFFER, CHOSEN_WIDTHS, CHOSEN_KEYS)),
        Case("only d_v is given", drawn(2, 2, 3, 4), build=(4, 2, None, 1), part=SHAPE,
             traits=(WIDTHS_DIFFER, OTHER_TOTAL, CHOSEN_WIDTHS, LENGTHS_DIFFER)),
        Case("no biases", drawn(2, 2, 3, 4), build=(4, 2), build_keywords={"bias": False}, part=SHAPE,
             traits=("bias is False", LENGTHS_DIFFER)),
        Case("padding", (*drawn(2, 3, 4, 4), _padding(4, 2)), build=(4, 2), part=MASK,
             traits=(HIDDEN, EACH_SENTENCE, LENGTHS_DIFFER)),
        Case("the mask by its name", drawn(3, 3, 4, 4), {"mask": _padding(4, 2, 3)}, build=(4, 2), part=MASK,
             traits=(HIDDEN, EACH_SENTENCE, LENGTHS_DIFFER)),
        Case("padding in self-attention", (x, x, x, _padding(3, 1)), build=(4, 2), part=MASK,
             traits=(HIDDEN, EACH_SENTENCE, PADDED_QUERIES)),
        Case("causal", (y, y, y, causal), build=(6, 2), part=MASK, traits=(HIDDEN, EACH_QUERY)),
        Case("a mask for each head, training mode", (*drawn(2, 2, 3, 4), by_all),
             build=(4, 2), part=MASK, training=True,
             traits=(HIDDEN, EACH_HEAD, EACH_SENTENCE, EACH_QUERY, LENGTHS_DIFFER)),
        Case("heads' masks, the same for all sentences", (*drawn(2, 2, 3, 4), by_head),
             build=(4, 2), part=MASK, traits=(HIDDEN, EACH_HEAD, EACH_QUERY, LENGTHS_DIFFER)),
        Case("a sentence that may attend to nothing", (*drawn(2, 2, 3, 4), nothing), build=(4, 2), part=MASK,
             traits=("a query may attend to nothing", HIDDEN, EACH_SENTENCE, EACH_QUERY, LENGTHS_DIFFER)),
        Case("gradients", (*drawn(2, 2, 3, 4), _padding(3, 1)), build=(4, 2), gradients=True, part=MASK,
             traits=(HIDDEN, EACH_SENTENCE, LENGTHS_DIFFER)),
        Case("called before with another mask", (*drawn(2, 2, 3, 4), _padding(3, 1)), build=(4, 2), part=MASK,
             earlier=(*drawn(2, 2, 3, 4), _padding(2, 3)),
             traits=("an earlier call had another mask", HIDDEN, EACH_SENTENCE, LENGTHS_DIFFER)),
        Case("called before with a mask, now without", drawn(2, 2, 3, 4), build=(4, 2), part=MASK,
             earlier=(*drawn(2, 2, 3, 4), _padding(2, 3)),
             traits=("an earlier call had a mask, and this one has none", LENGTHS_DIFFER)),
        Case("a single head", drawn(2, 2, 3, 4), build=(4, 1), part=EDGE, traits=("there is a single head",)),
        Case("a single token", drawn(2, 1, 1, 4), build=(4, 2), part=EDGE),
    ]  # fmt: skip


def _reordered(generator: Generator) -> list[Case]:
    x = normal(generator, 2, 5, 6)
    order = permutation(generator, 5)
    back = order.argsort()
    return [Case("tokens", (x, x, x), build=(6, 3)),
            Case(",".join(map(str, back.tolist())), (x[:, order],) * 3, build=(6, 3))]  # fmt: skip


def _output_follows(cases: list[Case], results: list[tuple[Tensor, Tensor]]) -> bool:
    back = [int(index) for index in cases[1].name.split(",")]
    return close(results[1][0][:, back], results[0][0])


def _another_future(generator: Generator) -> list[Case]:
    x = normal(generator, 2, 5, 4)
    changed = torch.cat([x[:, :3], normal(generator, 2, 2, 4)], dim=1)
    mask = lower_triangle(5)[None, None]
    return [Case("five tokens", (x, x, x, mask), build=(4, 2)),
            Case("another end", (changed, changed, changed, mask), build=(4, 2))]  # fmt: skip


def _past_unmoved(cases: list[Case], results: list[tuple[Tensor, Tensor]]) -> bool:
    return close(results[1][0][:, :3], results[0][0][:, :3]) and not close(results[1][0], results[0][0])


MODULE = Exercise(
    number="4.4",
    title="Multi-head attention",
    points=3,
    difficulty=3,
    minutes=25,
    section="§3.2.2",
    kind="module",
    reference=MultiHeadAttention,
    cases=_cases,
    properties=(
        Property(
            "tokens in another order",
            _reordered,
            _output_follows,
            "Without a mask, putting the tokens in another order has to put the outputs in that order and change "
            "nothing else.",
        ),
        Property(
            "the future does not leak",
            _another_future,
            _past_unmoved,
            "With a causal mask, changing later tokens must not move the outputs of earlier ones.",
        ),
    ),
    returns=("output", "weights"),
    forbidden=READY_MADE,
    misconceptions=MULTI_HEAD_ATTENTION,
    fills=FILLS,
    model_part="attention",
    hints=(
        "Five steps, and you have a function for three of them: project, split into heads, Equation 1, join, project.",
        "`__init__`: three `nn.Linear` from d_model to heads · d_k, heads · d_k and heads · d_v, and one from heads · "
        "d_v back to d_model, all with `bias=bias`. `forward`: Equation 1 takes all heads at once, since heads are one "
        "more leading axis, and the mask broadcasts to (batch, heads, target_len, source_len).",
        "`query = split_heads(self.query_projection(query), self.heads)`, likewise key and value; `output, weights = "
        "scaled_dot_product_attention(query, key, value, mask)`; return "
        "`self.output_projection(join_heads(output)), weights`.",
    ),
)
