"""Exercises 7.1 and 7.2: the smoothed loss (§5.4) and the schedule (§5.3, Eq. 3)."""

import torch
from torch import Generator, Tensor

from utils.exercises.chapter_07.words import EDGE
from utils.exercises.chapter_07.wrong_loss import LOSSES
from utils.exercises.chapter_07.wrong_schedule import SCHEDULES
from utils.exercises.declare import Case, Exercise, Property
from utils.exercises.drawing import normal
from utils.exercises.nearness import close
from utils.training.loss import smoothed_cross_entropy
from utils.training.schedule import paper_schedule

DEFAULT = "`smoothing` is not given"
FINISHED = ("torch.nn.functional.cross_entropy", "torch.nn.CrossEntropyLoss", ".cross_entropy_loss")


def targets_with_padding(generator: Generator, lengths: list[int], longest: int, vocab_size: int, padding_id: int = 0):
    """ids (batch, longest): sentences of so many real tokens, padding behind them."""
    drawn = torch.randint(1, vocab_size, (len(lengths), longest), generator=generator)
    words = torch.where(drawn == padding_id, 0, drawn)
    return words.masked_fill(torch.arange(longest) >= torch.tensor(lengths)[:, None], padding_id)


def _loss_cases(generator: Generator) -> list[Case]:
    def drawn(lengths: list[int], vocab_size: int, dtype=torch.float32) -> tuple[Tensor, Tensor]:
        longest = max(lengths)
        targets = targets_with_padding(generator, lengths, longest, vocab_size)
        return normal(generator, len(lengths), longest, vocab_size, dtype=dtype), targets

    flat = normal(generator, 5, 6), torch.randint(1, 6, (5,), generator=generator)
    one = normal(generator, 2, 3, 5)
    other_padding = targets_with_padding(generator, [4, 2], 4, 7, padding_id=3)
    # As large as any other case: reports show the smallest that fails, and this one says little of most slips.
    far = normal(generator, 3, 4, 7, size=2.0)
    far[0, 0, 3] = 400.0  # beside it every other probability is 0 in 32 bits
    return [
        Case("two sentences, one shorter", drawn([3, 2], 5), traits=(DEFAULT,)),
        Case("three sentences, ε = 0.3", (*drawn([4, 1, 2], 7), 0.3)),
        Case("ε = 0: the plain cross-entropy", (*drawn([3, 2, 2], 6), 0.0)),
        Case("ε = 0.9", (*drawn([2, 4], 5), 0.9)),
        Case("positions without a batch axis", flat, traits=(DEFAULT,)),
        Case("float64", drawn([3, 1, 3], 9, torch.float64), traits=(DEFAULT,)),
        Case("gradients", drawn([3, 1], 6), gradients=True, traits=(DEFAULT,)),
        Case("gradients, no smoothing", (*drawn([2, 3], 5), 0.0), gradients=True),
        Case("padding has the id 3", (normal(generator, 2, 4, 7), other_padding, 0.1, 3), part=EDGE,
             traits=("padding_id is not 0",)),
        Case("all is padding", (one, torch.zeros(2, 3, dtype=torch.long)), gradients=True, part=EDGE,
             traits=("all is padding", DEFAULT)),
        Case("very sure of one token", (far, torch.tensor([[1, 2, 3, 6], [3, 1, 5, 0], [4, 2, 0, 0]])), part=EDGE,
             traits=("logits lie far apart", DEFAULT)),
        Case("one token", (normal(generator, 1, 1, 4), torch.tensor([[2]])), part=EDGE, traits=(DEFAULT,)),
    ]  # fmt: skip


def _other_logits_at_padding(generator: Generator) -> list[Case]:
    targets = targets_with_padding(generator, [4, 2, 1], 4, 6)
    logits = normal(generator, 3, 4, 6)
    changed = torch.where((targets == 0)[..., None], normal(generator, 3, 4, 6, size=10.0), logits)
    wider = torch.nn.functional.pad(logits, (0, 0, 0, 3)), torch.nn.functional.pad(targets, (0, 3))
    return [Case("as it is", (logits, targets)), Case("other logits", (changed, targets)), Case("wider", wider)]


SMOOTHED_LOSS = Exercise(
    number="7.1",
    title="The smoothed loss",
    points=3,
    difficulty=3,
    minutes=25,
    section="§5.4",
    reference=smoothed_cross_entropy,
    cases=_loss_cases,
    properties=(
        Property(
            "padding does not matter",
            _other_logits_at_padding,
            lambda cases, results: close(results[1], results[0]) and close(results[2], results[0]),
            "What the logits are where the target is padding, and how many such positions there are, must not move the "
            "loss.",
        ),
    ),
    returns=("loss",),
    forbidden=FINISHED,
    misconceptions=LOSSES,
    hints=(
        "Put q into −Σ_v q(v) log p(v) and take the sum apart: what does the one-hot part leave of it, and what does "
        "the uniform part ε / V leave?",
        "Per token: (1 − ε) times something that only knows the right word, plus ε times a mean over the vocabulary, "
        "both of −log p. `real = targets != padding_id` first: `logits[real]` has the shape (tokens, V) and "
        "`targets[real]` (tokens,), so padding is gone.",
        "`logs = logits[real].log_softmax(dim=-1)`, `right = logs.gather(1, targets[real][:, None]).squeeze(1)`, and "
        "per token `-(1 - smoothing) * right - smoothing * logs.mean(dim=-1)`. In the end `loss.sum() / "
        "real.sum().clamp(min=1)`.",
    ),
)


def _schedule_cases(generator: Generator) -> list[Case]:
    early, late = torch.randint(2, 80, (2,), generator=generator).tolist()
    return [
        Case("during the warm-up", (early, 64, 100), traits=("the warm-up is not over",)),
        Case("after the warm-up", (200 + late, 64, 100), traits=("the warm-up is over",)),
        Case("at its end", (100, 64, 100)),
        Case("just after its end", (101, 64, 100), traits=("the warm-up is over",)),
        Case("the paper's base model", (4000, 512, 4000)),
        Case("the paper's big model, late", (100_000, 1024, 4000), traits=("the warm-up is over",)),
        Case("the default warm-up", (1000 + late, 512), traits=("warmup is not given",)),
        Case("another width", (150, 100, 30), traits=("the warm-up is over",)),
        Case("the first update", (1, 128, 400), part=EDGE, traits=("the warm-up is not over",)),
        Case("a warm-up of one update", (7, 32, 1), part=EDGE, traits=("the warm-up is over",)),
        Case("update 0", (0, 64, 100), part=EDGE, traits=("update is 0",)),
    ]


SCHEDULE = Exercise(
    number="7.2",
    title="The schedule",
    points=2,
    difficulty=1,
    minutes=10,
    section="§5.3, Eq. 3",
    reference=paper_schedule,
    cases=_schedule_cases,
    returns=("rate",),
    misconceptions=SCHEDULES,
    hints=(
        "Eq. 3 is one line of Python: a factor from the width, times the smaller of two terms.",
        "`d_model**-0.5 * min(…, …)`. One term falls with the root of the update, the other rises in proportion to it.",
        "First `update = max(update, 1)`, then `return d_model**-0.5 * min(update**-0.5, update * warmup**-1.5)`.",
    ),
)
