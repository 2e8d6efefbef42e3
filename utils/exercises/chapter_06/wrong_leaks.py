"""What goes wrong with a test for leaks (chapter 06), and what puts it right."""

import copy
from dataclasses import replace

import torch
from torch import Tensor, nn

from utils.exercises.chapter_06.references import leaks
from utils.exercises.declare import Misconception
from utils.transformer.masks import PADDING


def shifted_words(target: Tensor, vocab_size: int) -> Tensor:
    """Other words everywhere."""
    return (target + 1) % vocab_size


def all_padding(target: Tensor, vocab_size: int) -> Tensor:
    """Padding everywhere."""
    return torch.full_like(target, PADDING)


def after(position: int, length: int) -> slice:
    """The columns that are changed by right."""
    return slice(position + 1, None)


def compared_up_to(position: int) -> slice:
    """The columns that are compared by right."""
    return slice(None, position + 1)


def tested(
    modes=(True, False), futures=(shifted_words, all_padding), columns=after, compared=compared_up_to, seeded=True,
    tolerance=1e-4, sentences=slice(None), seen=slice(None), measure=lambda moved: moved.abs().max(),
):  # fmt: skip
    """A wrong answer to 6.5: the test with something else in one place; modes None: as the model is found."""

    def answer(model: nn.Module, source: Tensor, target: Tensor, position: int) -> bool:
        probe = copy.deepcopy(model)
        with torch.no_grad(), torch.random.fork_rng():
            for mode in (probe.training,) if modes is None else modes:
                probe.train(mode)
                if _moves(probe, source, target, position):
                    return True
        return False

    def _moves(probe, source, target, position) -> bool:
        torch.default_generator.manual_seed(0)
        before = probe(source, target)
        for future in futures:
            changed = target.clone()
            place = columns(position, target.size(1))
            changed[sentences, place] = future(target, before.size(-1))[sentences, place]
            if seeded:
                torch.default_generator.manual_seed(0)
            moved = (probe(source, changed) - before)[seen, compared(position)]
            if moved.numel() and float(measure(moved)) > tolerance:
                return True
        return False

    return answer


def likeliest_word(model, source, target, position):
    probe = copy.deepcopy(model)
    with torch.no_grad(), torch.random.fork_rng():
        for mode in (True, False):
            probe.train(mode)
            torch.default_generator.manual_seed(0)
            before = probe(source, target)
            for future in (shifted_words, all_padding):
                changed = target.clone()
                changed[:, position + 1 :] = future(target, before.size(-1))[:, position + 1 :]
                torch.default_generator.manual_seed(0)
                pair = before, probe(source, changed)
                words, others = (logits[:, : position + 1].argmax(dim=-1) for logits in pair)
                if not torch.equal(words, others):
                    return True
    return False


def in_evaluation_for_good(model, source, target, position):
    found = leaks(model, source, target, position)
    model.eval()
    return found


def in_training_for_good(model, source, target, position):
    found = leaks(model, source, target, position)
    model.train()
    return found


def seeded_for_good(model, source, target, position):
    found = leaks(model, source, target, position)
    torch.manual_seed(0)
    return found


def changed_in_place(model, source, target, position):
    found = leaks(model, source, target, position)
    target[:, position + 1 :] = PADDING
    return found


def other_source(model, source, target, position):
    return bool((model.eval()(source + 1, target) - model(source, target)).abs().max() > 1e-4)


def both_modes_needed(model, source, target, position):
    return all([tested(modes=(mode,))(model, source, target, position) for mode in (True, False)])


def back_at_the_end(model, source, target, position):
    mode = model.training
    for training in (True, False):
        found = tested(modes=(training,))(model, source, target, position)
        model.train(training)
        if found:
            return True
    model.train(mode)
    return False


COARSE = (
    "Your tolerance is too generous: a small leak is a leak, and training will find it. 1e-4 is well above rounding."
)

SLIPS = (
    Misconception(
        "coarse tolerance",
        tested(tolerance=0.3),
        COARSE,
    ),
    Misconception(
        "tolerance of a hundredth",
        tested(tolerance=0.01),
        COARSE,
    ),
    Misconception(
        "words only",
        tested(futures=(shifted_words,)),
        "You replace the future by other words only. A model can also leak how long the future is: replace it by "
        "padding as well.",
    ),
    Misconception(
        "padding only",
        tested(futures=(all_padding,)),
        "You replace the future by padding only. Where it was padding already you change nothing, and so see nothing: "
        "try other words as well.",
    ),
    Misconception(
        "evaluation mode only",
        tested(modes=(False,)),
        "You test in evaluation mode only. A model can leak in training mode alone, and training is where a leak does "
        "its harm: test both.",
    ),
    Misconception(
        "training mode only",
        tested(modes=(True,)),
        "You test in training mode only. A mask that is forgotten in evaluation mode goes unseen: test both.",
    ),
    Misconception(
        "mode as found",
        tested(modes=None),
        "You test in the mode the model happens to be in. A leak can sit in the other one: test both.",
    ),
    Misconception(
        "both modes needed",
        both_modes_needed,
        "You call it a leak only where it leaks in both modes. One is enough: `or` and `any`, not `and` and `all`.",
    ),
    Misconception(
        "from the next token but one",
        tested(columns=lambda position, length: slice(position + 2, None)),
        "You leave the token right after `position` as it is. It is the future already, and what a mask that is off by "
        "one shows: change from `position + 1` on.",
    ),
    Misconception(
        "differences summed",
        tested(measure=lambda moved: moved.sum().abs()),
        "You sum the differences with their signs: where one logit rises as much as another falls nothing is left. "
        "Take the largest, `.abs().max()`.",
    ),
    Misconception(
        "next token only",
        tested(columns=lambda position, length: slice(position + 1, position + 2)),
        "You change the next token only. A model that peeks further ahead, at the last token for instance, goes "
        "unseen: change all that comes after `position`.",
    ),
    Misconception(
        "last token only",
        tested(columns=lambda position, length: slice(max(position + 1, length - 1), None)),
        "You change the last token only. A mask that is off by one shows each position just the next token, which goes "
        "unseen: change all that comes after `position`.",
    ),
    Misconception(
        "position itself not compared",
        tested(compared=lambda position: slice(None, position)),
        "You compare the logits before `position` and leave out those at it. There an off-by-one mask shows first: "
        "`[:, : position + 1]`.",
    ),
    Misconception(
        "the position alone compared",
        tested(compared=lambda position: slice(position, position + 1)),
        "You compare the logits at `position` alone. Those before it must stay as they were too: `[:, : position + "
        "1]`.",
    ),
    Misconception(
        "first sentence compared",
        tested(seen=slice(0, 1)),
        "You compare the logits of the first sentence only. Another one of the batch may leak: compare all of them.",
    ),
    Misconception(
        "first sentence changed",
        tested(sentences=slice(0, 1)),
        "You change the future of the first sentence only. A model may look at another sentence of the batch, or leak "
        "in another one: change all of them.",
    ),
    Misconception(
        "mean in place of the largest",
        tested(measure=lambda moved: moved.abs().mean()),
        "You compare the mean of the differences. One that moves is a leak, and the mean hides it behind those that "
        "stay: take the largest, `.abs().max()`.",
    ),
    Misconception(
        "rises only",
        tested(measure=lambda moved: moved.max()),
        "You take the largest difference without `.abs()`: a logit that falls is as much of a leak as one that rises.",
    ),
    Misconception(
        "falls only",
        tested(measure=lambda moved: -moved.min()),
        "You take the largest difference without `.abs()`: a logit that rises is as much of a leak as one that falls.",
    ),
    Misconception(
        "likeliest word compared",
        likeliest_word,
        "You compare the likeliest words (argmax). They stay while the logits move a little, and training will "
        "use that little: compare the logits themselves.",
    ),
    Misconception(
        "first sentence only",
        tested(sentences=slice(0, 1), seen=slice(0, 1)),
        "You change and compare the first sentence only. Sentences of a batch can leak into each other, through a mean "
        "over the batch for instance: change all of them, compare all of them.",
    ),
    Misconception(
        "to the last digit",
        tested(tolerance=0.0),
        "You take any difference for a leak. Rounding moves the last digit of a float32 number: compare with a "
        "tolerance such as 1e-4.",
    ),
    Misconception(
        "dropout taken for a leak",
        tested(seeded=False),
        "You take dropout for a leak: in training mode two calls differ whatever the target is. Set the same seed "
        "before each call, so that the same numbers are dropped.",
    ),
    Misconception(
        "position changed too",
        tested(columns=lambda position, length: slice(position, None)),
        "You change the token at `position` itself. Its logits may depend on it: only what comes after, from "
        "`position + 1` on, is the future.",
    ),
    Misconception(
        "everything compared",
        tested(compared=lambda position: slice(None)),
        "You compare the logits of all positions. Those after `position` may move, since their own input has changed.",
    ),
    Misconception(
        "turned round",
        lambda model, source, target, position: not leaks(model, source, target, position),
        "Your answer is the wrong way round: True means that something leaks.",
    ),
    Misconception(
        "source changed",
        other_source,
        "You change the source. It may be seen from everywhere; the future is the target after `position`.",
    ),
    Misconception(
        "left in evaluation mode",
        in_evaluation_for_good,
        "Your test leaves the model in evaluation mode. Called in the middle of a training, it would switch dropout "
        "off from there on, and nobody would notice.",
    ),
    Misconception(
        "left in training mode",
        in_training_for_good,
        "Your test leaves the model in training mode, in which it translates with dropout on.",
    ),
    Misconception(
        "mode put back at the end only",
        back_at_the_end,
        "Where a leak is found you return before the mode is put back, and the model stays in the one that you tried. "
        "`try: … finally: model.train(mode)` puts it back whatever happens; a copy of the model needs no putting back.",
    ),
    Misconception(
        "seeded for good",
        seeded_for_good,
        "Your test sets the seed and leaves it set: called once an epoch, it would make every epoch draw the same "
        "dropout.",
    ),
    Misconception(
        "changed in place",
        changed_in_place,
        "Your test changes the target it was given: `target.clone()` first, or `torch.cat` of past and future.",
    ),
)

# A verdict is True or False and agrees with another one easily: each slip is told only where it agrees in every case.
LEAK_TESTS = tuple(replace(slip, everywhere=True) for slip in SLIPS)
