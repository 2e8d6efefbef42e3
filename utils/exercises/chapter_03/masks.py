"""Exercises 3.3 and 3.4: the causal mask, and attention that heeds a mask."""

import torch
from torch import Generator, Tensor

from utils.exercises.chapter_03.words import BATCHES, EDGE, FUSED_KERNEL, LENGTHS_DIFFER, MANY_AXES, MASK
from utils.exercises.chapter_03.wrong_masks import CAUSAL_MASK, MASKED_ATTENTION
from utils.exercises.declare import Case, Exercise, Property
from utils.exercises.drawing import attention_inputs, lower_triangle, normal, some_allowed
from utils.exercises.nearness import close
from utils.transformer import causal_mask, scaled_dot_product_attention

NOTHING_ALLOWED = "a query may attend to nothing"

# 3.3 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _causal_cases(generator: Generator) -> list[Case]:
    long, longer = (int(torch.randint(*ends, (), generator=generator)) for ends in ((6, 12), (130, 160)))
    return [
        Case("length 2", (2,)),
        Case("length 3", (3,)),
        Case("length 5", (5,)),
        Case(f"length {long}", (long,)),
        Case(f"length {longer}", (longer,), part=EDGE, traits=("the length is above 100",)),
        Case("length 1", (1,), part=EDGE, traits=("the length is 1",)),
        Case("length 4, on the CPU", (4, "cpu")),
        Case("length 4, the device by its name", (4,), {"device": "cpu"}),
    ]


def _elsewhere(generator: Generator) -> list[Case]:
    return [Case('length 3 on the device "meta"', (3, "meta"))]  # one without memory, so that every machine has it


def _made_there(cases: list[Case], results: list[Tensor]) -> bool:
    return results[0].device.type == "meta"


TRIANGLE = Exercise(
    number="3.3",
    title="The causal mask",
    points=1,
    difficulty=1,
    minutes=10,
    section="§3.2.3",
    reference=causal_mask,
    cases=_causal_cases,
    properties=(
        Property(
            "on another device",
            _elsewhere,
            _made_there,
            "The mask has to lie on the device that is asked for: create it with `device=device`.",
        ),
    ),
    returns=("mask",),
    misconceptions=CAUSAL_MASK,
    hints=(
        "Write the mask for length 3 down by hand. Rows are queries: what may the first one look at, what the last?",
        "The allowed places are a triangle that includes the diagonal. Tensors have `tril` and `triu`.",
        "torch.ones(length, length, dtype=torch.bool, device=device).tril() has two axes; `[None, None]` puts two more "
        "in front, for sentences and heads.",
    ),
)


# 3.4 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _masked_cases(generator: Generator) -> list[Case]:
    def drawn(*sizes, **options) -> tuple:
        return attention_inputs(generator, *sizes, **options)

    def some(*shape) -> Tensor:
        return some_allowed(generator, *shape)

    nothing = torch.tensor([[True, False, True], [False, False, False]])
    padding = torch.tensor([[True, True, True, False], [True, True, False, False]])[:, None, None]  # (2, 1, 1, 4)
    right_angles = torch.eye(3, 4)[[0, 2]], torch.eye(4)[:3], normal(generator, 3, 2)  # scores of 0, one of 1 / 2
    strong = drawn((), 2, 3, 16, 2, size=12.0)
    strong[1][0], strong[1][1] = strong[0][0], 0.9 * strong[0][0]  # the first query meets itself: a score near 576
    # Large enough for an ordinary case to be the smallest where an answer is wrong in both.
    below = 200 * torch.ones(4, 1), torch.tensor([[-100.0], [-110.0], [-120.0], [200.0]]), normal(generator, 4, 4)
    return [
        Case("two queries, three keys", (*drawn((), 2, 3, 4, 2), some(2, 3)), part=MASK, traits=(LENGTHS_DIFFER,)),
        Case("as many queries as keys", (*drawn((), 3, 3, 3, 3), some(3, 3)), part=MASK),
        Case("without a mask", drawn((2,), 2, 3, 4, 4), traits=("there is no mask",)),
        Case("without a mask, heads", drawn((2, 3), 4, 2, 5, 3), traits=("there is no mask",)),
        Case("everything allowed", (*drawn((2,), 2, 3, 4, 4), torch.ones(2, 3, dtype=torch.bool))),
        Case("a mask for each sentence", (*drawn((2,), 3, 4, 4, 4), some(2, 3, 4)), part=MASK),
        Case("causal", (*drawn((2, 2), 4, 4, 3, 3), lower_triangle(4)[None, None]), part=MASK),
        Case("padding, one mask for all heads", (*drawn((2, 3), 3, 4, 4, 2), padding), part=MASK, traits=(BATCHES,)),
        Case("three batch axes", (*drawn((2, 1, 2), 2, 3, 5, 3), some(2, 1, 1, 2, 3)), part=MASK,
             traits=(LENGTHS_DIFFER, BATCHES, MANY_AXES)),
        Case("the mask by its name", drawn((3,), 2, 3, 4, 4), {"mask": some(2, 3)}, part=MASK,
             traits=(LENGTHS_DIFFER,)),
        Case("float64", (*drawn((2,), 3, 4, 4, 4, dtype=torch.float64), some(3, 4)), part=MASK),
        Case("gradients", (*drawn((2,), 2, 3, 4, 3), some(2, 3)), part=MASK, gradients=True),
        Case("a query that may attend to nothing", (*drawn((), 2, 3, 4, 2), nothing), part=EDGE,
             traits=(NOTHING_ALLOWED,)),
        Case("a whole sentence that may not be seen", (*drawn((2,), 2, 3, 4, 2),
             torch.tensor([True, False])[:, None, None].expand(2, 2, 3)), part=EDGE, traits=(NOTHING_ALLOWED,)),
        Case("gradients where a query may attend to nothing", (*drawn((), 2, 3, 4, 2), nothing), part=EDGE,
             gradients=True, traits=(NOTHING_ALLOWED, "gradients of such a query are asked for")),
        Case("one entry for all keys of a query", (*drawn((2,), 2, 3, 4, 4), torch.tensor([[True], [False]])),
             part=EDGE, traits=(NOTHING_ALLOWED, "the mask's last axis is of size 1")),
        Case("scores of 0", (*right_angles, torch.tensor([[True, True, False], [False, True, True]])), part=EDGE,
             traits=("an allowed score is 0",)),
        Case("allowed scores in the hundreds", (*strong, torch.tensor([[True, True, False], [True, False, True]])),
             part=EDGE, traits=("scores are in the hundreds",)),
        Case("a single key", (*drawn((2,), 2, 1, 4, 4), torch.ones(2, 1, dtype=torch.bool)), part=EDGE),
        Case("allowed scores below −10⁴, a hidden one above", (*below, torch.tensor([[True, True, True, False]])),
             part=EDGE, traits=("allowed scores are below −10⁴",)),
    ]  # fmt: skip


def _another_future(generator: Generator) -> list[Case]:
    query, key, value = attention_inputs(generator, (2,), 4, 4, 3, 3)
    mask = lower_triangle(4)
    cases = [Case("as it is", (query, key, value, mask))]
    for known in (1, 2, 3):
        changed = [part.clone() for part in (key, value)]
        for part in changed:
            part[:, known:] = normal(generator, *part[:, known:].shape, size=3.0)
        cases.append(Case(f"all after position {known} changed", (query, *changed, mask)))
    return cases


def _past_stays(cases: list[Case], results: list) -> bool:
    pairs = enumerate(results[1:], start=1)
    return all(close(result[0][:, :known], results[0][0][:, :known]) for known, result in pairs)


def _other_padding(generator: Generator) -> list[Case]:
    query, key, value = attention_inputs(generator, (2,), 2, 5, 4, 4)
    mask = torch.tensor([True, True, True, False, False])
    changed = [part.clone() for part in (key, value)]
    for part in changed:
        part[:, 3:] = normal(generator, 2, 2, 4, size=1000.0)
    return [Case("padding", (query, key, value, mask)), Case("other padding", (query, *changed, mask))]


def _nothing_moves(cases: list[Case], results: list) -> bool:
    return close(results[1][0], results[0][0]) and close(results[1][1], results[0][1])


MASKED = Exercise(
    number="3.4",
    title="Attention with a mask",
    points=3,
    difficulty=3,
    minutes=20,
    section="§3.2.3",
    reference=scaled_dot_product_attention,
    cases=_masked_cases,
    properties=(
        Property(
            "the future does not leak",
            _another_future,
            _past_stays,
            "With a causal mask, changing what comes after a position must not move the output at that position or "
            "before it.",
        ),
        Property(
            "padding does not matter",
            _other_padding,
            _nothing_moves,
            "Changing keys and values that the mask hides must not move anything.",
        ),
    ),
    returns=("output", "weights"),
    forbidden=(FUSED_KERNEL,),
    misconceptions=MASKED_ATTENTION,
    hints=(
        "A hidden key should get the weight 0, and the others should still sum to one. Which score gives the weight 0 "
        "after a softmax?",
        "`scores.masked_fill(~mask, -math.inf)` hides what the mask does not allow. What is the softmax of a row in "
        "which everything is −∞?",
        "Find such rows with `~mask.any(dim=-1, keepdim=True)`. Give them the score 0 before the softmax, so that "
        "nothing is NaN, and the weight 0 after it, both with `masked_fill`.",
    ),
)
