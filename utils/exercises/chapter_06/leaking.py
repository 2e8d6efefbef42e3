"""Exercise 6.5: a test that finds out whether a model sees the future."""

import torch
from torch import Generator, Tensor

from utils.exercises.chapter_06.models import SIGNAL, suspect
from utils.exercises.chapter_06.pieces import sentences
from utils.exercises.chapter_06.references import leaks, shift_right
from utils.exercises.chapter_06.words import EDGE
from utils.exercises.chapter_06.wrong_leaks import LEAK_TESTS
from utils.exercises.declare import Case, Exercise
from utils.transformer.masks import PADDING

VOCABULARY = 9
SMALL = "one logit moves, by less than 1e-3"
LITTLE = "every logit moves, by less than 4e-3"
PARTING = "one logit rises as much as another falls"


def _leak_cases(generator: Generator) -> list[Case]:
    def ids(*lengths: int) -> Tensor:
        return sentences(generator, list(lengths), VOCABULARY)

    def case(
        name: str, leak: str, position: int, training: bool = False, dropout: float = 0.0, target: Tensor | None = None,
        **options,
    ) -> Case:  # fmt: skip
        model = suspect(generator, leak, VOCABULARY, dropout).train(training)
        target = shift_right(ids(6, 6, 6))[0] if target is None else target
        return Case(name, (model, ids(*(4, 4, 2)[: len(target)]), target, position), random_kept=True, **options)

    signals = torch.full((3, 6), SIGNAL)
    half_padding = torch.cat([shift_right(ids(3, 3, 3))[0], torch.full((3, 3), PADDING)], dim=1)
    return [
        case("an honest model", "nothing", 2),
        case("an honest model in training mode, with dropout", "nothing", 3, training=True, dropout=0.5),
        case("no causal mask", "everything", 2),
        case("no causal mask, training mode, dropout", "everything", 1, training=True, dropout=0.3),
        case("the mask is off by one", "next", 2),
        case("every position sees the last one", "last", 1),
        case("the first position sees all", "first", 3),
        case("no mask in training mode", "training", 2, dropout=0.2),
        case("no mask in evaluation mode", "evaluation", 2, training=True, dropout=0.2),
        case("no mask in training mode, and found in it", "training", 2, training=True, dropout=0.2),
        case("every position sees the next but one", "next but one", 2),
        case("positions after it leak, and none up to it", "late", 1),
        case(
            "a single sentence, no causal mask",
            "everything",
            2,
            target=shift_right(ids(6))[0],
            part=EDGE,
            traits=("there is one sentence",),
        ),
        case("every logit rises a little", "every logit rises", 2, target=signals, part=EDGE, traits=(LITTLE,)),
        case("one logit rises as another falls", "two logits part", 2, target=signals, part=EDGE, traits=(PARTING,)),
        case("the mean over all positions comes off", "mean", 3),
        case("sentences of the batch see each other", "batch", 2),
        case("only the last sentence sees its future", "last sentence", 2),
        case("every sentence sees the last one's future", "from the last sentence", 2),
        case("one logit falls a little", "one logit falls", 1, target=signals, part=EDGE, traits=(SMALL,)),
        case("one logit rises a little", "one logit rises", 1, target=signals, part=EDGE, traits=(SMALL,)),
        case(
            "the length of the target is seen",
            "length",
            2,
            target=torch.randint(4, 7, (3, 6), generator=generator),
            part=EDGE,
            traits=("only the length leaks",),
        ),
        case("a small leak", "little", 2, part=EDGE),
        case("rounding that depends on the future", "rounding", 2, part=EDGE),
        case("no mask, but nothing comes after", "everything", 5, part=EDGE),
        case("no mask, and the future is padding", "everything", 3, target=half_padding, part=EDGE),
        case("no mask, first position", "everything", 0, part=EDGE),
    ]


LEAKING = Exercise(
    number="6.5",
    title="Your own no-leak test",
    points=3,
    difficulty=4,
    minutes=30,
    section="§3.1, §3.2.3",
    reference=leaks,
    cases=_leak_cases,
    returns=("verdict",),
    misconceptions=LEAK_TESTS,
    forbidden=(".__closure__", ".__code__", ".__dict__", "builtins.vars"),  # what a model does is to be found out
    hints=(
        "Call the model twice: with the target, and with another one that agrees with it up to and including "
        "`position`. Which logits have to be the same?",
        "`torch.cat([target[:, : position + 1], future[:, position + 1 :]], dim=1)` has another future, for all "
        "sentences at once. Dropout: `torch.manual_seed(0)` before every call, all of it inside of `with "
        "torch.random.fork_rng():`. Modes: `probe = copy.deepcopy(model)`, and `probe.train(True)`, "
        "`probe.train(False)`.",
        "For each mode compute `before`; for each future of two (`(target + 1) % before.size(-1)` and all padding) "
        "compute `after`; return True as soon as `(after - before)[:, : position + 1].abs().max() > 1e-4`, else False "
        "at the end.",
    ),
)
