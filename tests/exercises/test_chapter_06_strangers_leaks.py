"""Chapter 06, the no-leak test: answers as strangers would hand them in, wrong and right,
which no misconception was written after. Each wrong answer comes with words that its report must hold, or None.
"""

import copy
import functools

import numpy as np
import torch

from utils.exercises.chapter_06.references import leaks
from utils.transformer import PADDING


def changed(base, **methods):
    return type("Changed", (base,), methods)


# 6.5 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def futures(target, position, words=9):
    for other in ((target + 1) % words, torch.zeros_like(target)):
        yield torch.cat([target[:, : position + 1], other[:, position + 1 :]], dim=1)


def tried(model, source, target, position, *, modes=(True, False), others=futures, moved=None, tolerance=1e-4):
    """The test with something else in one place."""
    probe = copy.deepcopy(model)
    moved = moved or (lambda a, b, p: (a - b)[:, : p + 1].abs().max())
    with torch.no_grad(), torch.random.fork_rng():
        for mode in modes:
            probe.train(mode)
            torch.default_generator.manual_seed(1)
            before = probe(source, target)
            for other in others(target, position):
                torch.default_generator.manual_seed(1)
                if float(moved(before, probe(source, other), position)) > tolerance:
                    return True
    return False


def told(**options):
    return lambda model, source, target, position: tried(model, source, target, position, **options)


def random_future(target, position):
    yield torch.cat([target[:, : position + 1], torch.randint(4, 9, target[:, position + 1 :].shape)], dim=1)


def reversed_future(target, position):
    yield torch.cat([target[:, : position + 1], target[:, position + 1 :].flip(1)], dim=1)


def same_for_all_sentences(target, position):
    yield torch.cat([target[:, : position + 1], target[:1, position + 1 :].expand(len(target), -1)], dim=1)


def cut(target, position):
    yield target[:, : position + 1]


def words_only_of_four(target, position):
    yield torch.cat([target[:, : position + 1], torch.full_like(target[:, position + 1 :], 4)], dim=1)


def seeds_once(model, source, target, position):
    """One seed for all calls, before the first."""
    probe = copy.deepcopy(model)
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        for mode in (True, False):
            probe.train(mode)
            before = probe(source, target)
            for other in futures(target, position):
                if (probe(source, other) - before)[:, : position + 1].abs().max() > 1e-4:
                    return True
    return False


def last_mode_counts(model, source, target, position):
    found = False
    for mode in (True, False):
        found = tried(model, source, target, position, modes=(mode,))
    return found


def both_modes_needed(model, source, target, position):
    return all(tried(model, source, target, position, modes=(mode,)) for mode in (True, False))


def always_trains(model, source, target, position):
    """Puts the model into evaluation mode and then, at the end, into training mode."""
    model.eval()
    found = tried(model, source, target, position)
    model.train()
    return found


def forgets_when_found(model, source, target, position):
    """Puts the mode back, but not where it returns early."""
    mode = model.training
    with torch.random.fork_rng(), torch.no_grad():
        for training in (True, False):
            model.train(training)
            torch.default_generator.manual_seed(1)
            before = model(source, target)
            for other in futures(target, position):
                torch.default_generator.manual_seed(1)
                if (model(source, other) - before)[:, : position + 1].abs().max() > 1e-4:
                    return True
    model.train(mode)
    return False


def top_mode_only(model, source, target, position):
    """Puts back the mode of the model and not of its parts: `training` set by hand."""
    was = model.training
    found = tried(model, source, target, position)
    model.training = was
    for part in model.children():
        part.training = not was
    return found


def gradient_of_the_future(model, source, target, position):
    return model(source, target)[:, : position + 1].requires_grad


WRONG_6_5 = {
    "later positions too": (
        lambda model, source, target, position: any(
            leaks(model, source, target, place) for place in range(position, target.size(1))
        ),
        None,
    ),
    "several sentences only": (lambda model, *rest: len(rest[1]) > 1 and leaks(model, *rest), "one sentence"),
    "the mode it is in": (lambda model, source, target, position: model.training, None),
    "another future drawn, words only": (told(others=random_future), None),
    "future reversed": (told(others=reversed_future), None),
    "the first sentence's future": (told(others=same_for_all_sentences), None),
    "cut off": (told(others=cut, moved=lambda a, b, p: (a[:, : p + 1] - b).abs().max()), None),
    "all the same word": (told(others=words_only_of_four), "You replace the future by other words only"),
    "seeded once": (seeds_once, "You take dropout for a leak: in training mode two calls"),
    "last mode counts": (last_mode_counts, "You test in evaluation mode only"),
    "both modes needed": (both_modes_needed, "You call it a leak only where it leaks in both modes"),
    "trains at the end": (always_trains, "Your test leaves the model in training mode, in which it"),
    "mode back only when honest": (forgets_when_found, "Where a leak is found you return before the mode is put"),
    "mode of the top alone": (top_mode_only, None),
    "whether it has gradients": (gradient_of_the_future, None),
    "tolerance of 1e-8": (told(tolerance=1e-9), "You take any difference for a leak"),
    "tolerance of a hundredth": (told(tolerance=1e-2), "Your tolerance is too generous: a small leak is a leak,"),
    "tolerance of one": (told(tolerance=1.0), None),
    "sum of differences": (
        told(moved=lambda a, b, p: (a - b)[:, : p + 1].sum().abs()),
        "You sum the differences with their signs: where one",
    ),
    "summed absolutely, rounding too": (
        told(moved=lambda a, b, p: (a - b)[:, : p + 1].abs().sum() * 1e3),
        "You take any difference for a leak",
    ),
    "off by one, from position": (
        told(others=lambda t, p: futures(t, p - 1)),
        "You change the token at `position` itself",
    ),
    "off by one, from position + 2": (
        told(others=lambda t, p: futures(t, p + 1)),
        "You leave the token right after `position` as it is",
    ),
    "the future compared": (
        told(moved=lambda a, b, p: (a - b)[:, p + 1 :].abs().sum()),
        "You compare the logits of all positions",
    ),
    "position along the batch": (
        told(moved=lambda a, b, p: (a - b)[: p + 1].abs().max()),
        "You compare the logits of all positions",
    ),
    "first logit": (told(moved=lambda a, b, p: (a - b)[:, : p + 1, 0].abs().max()), None),
    "allclose, not negated": (
        told(moved=lambda a, b, p: torch.allclose(a[:, : p + 1], b[:, : p + 1], atol=1e-4)),
        None,
    ),
    "honest said": (lambda *a: not leaks(*a), "wrong way round"),
    "the largest difference": (lambda m, s, t, p: torch.tensor(0.5) if leaks(m, s, t, p) else torch.tensor(0.0), None),
    "probabilities compared": (
        told(moved=lambda a, b, p: (a.softmax(-1) - b.softmax(-1))[:, : p + 1].abs().max(), tolerance=1e-2),
        "Your tolerance is too generous: a small leak is a leak,",
    ),
}


def with_flag(model, source, target, position, atol=1e-4):
    """Modes put back module by module."""
    modes = [(module, module.training) for module in model.modules()]
    state, verdict = torch.get_rng_state(), False
    with torch.inference_mode():
        for training in (False, True):
            model.train(training)
            torch.set_rng_state(state)
            honest = model(source, target)[:, : position + 1]
            for other in futures(target, position):
                torch.set_rng_state(state)
                verdict |= not torch.allclose(model(source, other)[:, : position + 1], honest, rtol=0, atol=atol)
    for module, training in modes:
        module.training = training
    torch.set_rng_state(state)
    return verdict


def largest(model, source, target, position):
    probe = copy.deepcopy(model)

    def logits(tokens, mode):
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(42)
            return probe.train(mode)(source, tokens)[:, : position + 1]

    return (
        max(
            float((logits(other, mode) - logits(target, mode)).abs().max())
            for other in futures(target, position)
            for mode in (True, False)
        )
        > 1e-3 / 2
    )


def gradients_off(model, source, target, position):
    """numpy.bool at the end."""
    return np.bool_(tried(model, source, target, position))


def three_words(target, position):
    for step in (1, 2, 4):
        yield torch.cat([target[:, : position + 1], (target[:, position + 1 :] + step) % 9], dim=1)
    yield torch.cat([target[:, : position + 1], torch.full_like(target[:, position + 1 :], PADDING)], dim=1)


class Test:
    def __call__(self, model, source, target, position):
        return tried(model, source, target, position)


RIGHT_6_5 = {
    "states put back": with_flag,
    "the largest of all": largest,
    "a NumPy truth value": gradients_off,
    "more words": told(others=three_words),
    "called": Test(),
    "partial": functools.partial(tried, modes=[False, True]),
    "int": lambda *a: bool(int(leaks(*a))),
}


WRONG = {"6.5": WRONG_6_5}
RIGHT = {"6.5": RIGHT_6_5}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
