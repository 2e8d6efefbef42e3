"""Exercises 1.3 and 1.6: the padding mask, and batches that hold so many tokens."""

import torch
from torch import Generator, Tensor

from utils.exercises.chapter_01.references import token_budget_batches
from utils.exercises.chapter_01.wrong_batching import PADDING_MASK, TOKEN_BUDGET
from utils.exercises.declare import Case, Exercise, Property
from utils.exercises.structure import is_whole
from utils.transformer import padding_mask

EDGE, SHAPE = "edge cases", "shape"

# 1.3 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _sentences(generator: Generator, lengths: list[int], width: int, padding_id: int = 0) -> Tensor:
    """Ids from 4 on, padded to `width`: (len(lengths), width)."""
    tokens = torch.randint(4, 40, (len(lengths), width), generator=generator)
    outside = torch.arange(width) >= torch.tensor(lengths)[:, None]
    return tokens.masked_fill(outside, padding_id)


def _mask_cases(generator: Generator) -> list[Case]:
    def drawn(*sizes) -> Tensor:
        return _sentences(generator, *sizes)

    inside = "padding stands in front or in the middle"
    other, nothing = "padding has another id than 0", "a sentence is padding alone"
    low = torch.tensor([[2, 1, 0, 3, 3], [2, 0, 1, 1, 3]])  # 0 is a word here
    return [
        Case("two sentences", (drawn([4, 2], 4),)),
        Case("three sentences", (drawn([3, 5, 1], 5),)),
        Case("as many sentences as tokens", (drawn([3, 1, 2], 3),)),
        Case("unknown, begin and end are no padding", (torch.tensor([[2, 7, 1, 3, 0], [2, 1, 3, 0, 0]]),)),
        Case("another padding id", (drawn([2, 4], 5, 3), 3), traits=(other,)),
        Case("another padding id, lower ids are words", (low, 3), traits=(other,)),
        Case("the padding id by its name", (drawn([3, 2], 4, 1),), {"padding_id": 1}, traits=(other,)),
        Case("ids in 32 bits", (drawn([2, 3], 4).int(),), part=SHAPE),
        Case("one sentence", (drawn([3], 5),), part=EDGE),
        Case("one token", (drawn([1, 0], 1),), part=EDGE, traits=(nothing,)),
        Case("no padding", (drawn([4, 4], 4),), part=EDGE),
        Case("a sentence of padding alone", (drawn([0, 3], 3),), part=EDGE, traits=(nothing,)),
        Case("padding in front", (drawn([4, 2], 4).flip(-1),), part=EDGE, traits=(inside,)),
        Case("padding in the middle", (torch.tensor([[2, 9, 0, 8, 3], [2, 0, 0, 7, 0]]),), part=EDGE,
             traits=(inside, "padding stands in the middle")),
        Case("ids as a view", (drawn([4, 2, 3], 4).t().contiguous().t(),), part=SHAPE,
             traits=("the ids do not lie in memory in one piece (`.view` refuses them, `.reshape` copies)",)),
    ]  # fmt: skip


PADDED = Exercise(
    number="1.3",
    title="The padding mask",
    points=1,
    difficulty=1,
    minutes=10,
    section="§3.2.3, §5.1",
    reference=padding_mask,
    cases=_mask_cases,
    returns=("mask",),
    misconceptions=PADDING_MASK,
    hints=(
        "A comparison of a tensor with a number gives a tensor of True and False. Which comparison is True for a word?",
        "`tokens != padding_id` has the right numbers and the shape (batch, length). A mask has four axes: (batch, "
        "heads, query, key). Which of them is `length`?",
        "The length is the keys' axis, the last. Heads and queries get an axis of size 1: `[:, None, None, :]`.",
    ),
)


# 1.6 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _drawn_lengths(generator: Generator, count: int, low: int, high: int) -> list[int]:
    return torch.randint(low, high + 1, (count,), generator=generator).tolist()


def _batch_cases(generator: Generator) -> list[Case]:
    def shuffled(*lengths: int) -> list[int]:
        return [lengths[i] for i in torch.randperm(len(lengths), generator=generator).tolist()]

    long = ("a sentence is longer than the budget",)
    return [
        Case("four sentences", ([3, 5, 4, 2], 10)),
        Case("six sentences", (shuffled(7, 3, 3, 8, 4, 2), 12)),
        Case("twenty sentences", (_drawn_lengths(generator, 20, 1, 9), 24)),
        Case("thirty sentences", (_drawn_lengths(generator, 30, 3, 12), 50)),
        Case("short sentences, many in a batch", (_drawn_lengths(generator, 30, 1, 2), 40)),
        Case("a small budget", ([1, 2, 1, 1, 2, 1, 1], 4), traits=("there are more sentences than tokens fit",)),
        Case("lengths far apart", (shuffled(1, 2, 2, 9, 10, 11), 20)),
        Case("the budget comes out even", ([4, 2, 4, 2, 4, 2], 8), traits=("a batch fills the budget exactly",)),
        Case("equal lengths", ([3, 3, 3, 3, 3, 3, 3], 9), part=EDGE, traits=("all sentences are equally long",)),
        Case("everything fits into one batch", ([2, 1, 3, 2], 100), part=EDGE),
        Case("a sentence longer than the budget", ([2, 9, 3, 12], 8), part=EDGE, traits=long),
        Case("every sentence longer than the budget", ([7, 6, 8], 5), part=EDGE, traits=long),
        Case("a single sentence", ([4], 10), part=EDGE),
    ]


def _many_lengths(generator: Generator) -> list[Case]:
    return [Case("two hundred sentences", (_drawn_lengths(generator, 200, 1, 40), 128))]


def _each_once(cases: list[Case], results: list[list[list[int]]]) -> bool:
    return sorted(int(index) for batch in results[0] for index in batch) == list(range(200))


def _whole(cases: list[Case], results: list[list[list[int]]]) -> bool:
    return all(is_whole(index) for batch in results[0] for index in batch)


def _within_budget(cases: list[Case], results: list[list[list[int]]]) -> bool:
    lengths, budget = cases[0].arguments
    return all(len(batch) * max(lengths[index] for index in batch) <= budget for batch in results[0])


BUDGET = Exercise(
    number="1.6",
    title="Batches by token budget",
    points=2,
    difficulty=3,
    minutes=20,
    section="§5.1",
    reference=token_budget_batches,
    cases=_batch_cases,
    properties=(
        Property(
            "each sentence once",
            _many_lengths,
            _each_once,
            "Each sentence has to be in one batch, and in one only.",
        ),
        Property(
            "indices are whole numbers",
            _many_lengths,
            _whole,
            "Your batches are right but for their kind: an index is a whole number (an int), and a float "
            "such as 2.0 is none.",
        ),
        Property(
            "the budget holds",
            _many_lengths,
            _within_budget,
            "A batch counts as it is padded: number of sentences × the longest of them, and that has to stay within "
            "the budget.",
        ),
    ),
    returns=("batches",),
    misconceptions=TOKEN_BUDGET,
    hints=(
        "Padding is cheap where neighbours are equally long: put the indices in order first. `sorted(…, key=…)` keeps "
        "the given order among equals.",
        "Going from short to long, the sentence at hand is the longest of its batch. So the batch with it has "
        "(sentences so far + 1) × its own length tokens.",
        "`if batches and (len(batches[-1]) + 1) * lengths[index] <= budget:` append to the last batch, `else:` begin a "
        "new one, `batches.append([index])`.",
    ),
)
