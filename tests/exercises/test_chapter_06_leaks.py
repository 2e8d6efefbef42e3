"""Chapter 06, the learner's no-leak test, from outside: plausible wrong tests that no misconception was written for,
and unusual right ones. Each wrong answer comes with words that its report must hold, or None.
"""

import copy

import pytest
import torch
from torch import nn

from utils.exercises.chapter_06.models import LEAKS, suspect
from utils.exercises.chapter_06.references import leaks
from utils.transformer import (
    BEGIN,
    END,
    PADDING,
    DecoderLayer,
    Parts,
    Transformer,
    TransformerConfig,
)

# 6.5 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def futures_of(target, position, vocab_size):
    """Targets with another future, in the two ways that it takes."""
    for future in (4 + (target + 1) % (vocab_size - 4), torch.zeros_like(target)):
        changed = target.clone()
        changed[:, position + 1 :] = future[:, position + 1 :]
        yield changed


@torch.no_grad()
def moved(model, source, target, changed):
    torch.default_generator.manual_seed(5)
    before = model(source, target)
    torch.default_generator.manual_seed(5)
    return (model(source, changed) - before).abs()


def never(model, source, target, position):
    return False


def always(model, source, target, position):
    return True


def without_copy(model, source, target, position):
    """Modes not put back."""
    found = False
    with torch.random.fork_rng():
        for mode in (True, False):
            model.train(mode)
            for changed in futures_of(target, position, 9):
                found |= bool((moved(model, source, target, changed)[:, : position + 1] > 1e-4).any())
    return found


def without_fork(model, source, target, position):
    probe, found = copy.deepcopy(model), False
    for mode in (True, False):
        probe.train(mode)
        for changed in futures_of(target, position, 9):
            found |= bool((moved(probe, source, target, changed)[:, : position + 1] > 1e-4).any())
    return found


def comparing(compare, change=futures_of, modes=(True, False)):
    """A test that compares |difference| (batch, target_len, vocab_size) in its own way."""

    def answer(model, source, target, position):
        probe, found = copy.deepcopy(model), False
        with torch.random.fork_rng():
            for mode in modes:
                probe.train(mode)
                for changed in change(target, position, 9):
                    found |= bool(compare(moved(probe, source, target, changed), position))
        return found

    return answer


def up_to(difference, position):
    return (difference[:, : position + 1] > 1e-4).any()


def one_more(target, position, vocab_size):
    changed = target.clone()
    changed[:, position + 2 :] = PADDING
    yield changed


def cut_off(model, source, target, position):
    """Compares with the target cut off after the position, in whatever mode, with dropout on."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        before = model(source, target)
        torch.manual_seed(0)
        return bool((model(source, target[:, : position + 1]) - before[:, : position + 1]).abs().max() > 1e-4)


def all_dropout_off_in_the_model(model, source, target, position):
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return comparing(up_to, modes=(False,))(model, source, target, position)


def weights_disturbed(model, source, target, position):
    found = leaks(model, source, target, position)
    with torch.no_grad():
        next(model.parameters()).zero_()
    return found


def rows_exchanged(target, position, vocab_size):
    """Another future is the future of another sentence: nothing changes where they are alike."""
    changed = target.clone()
    changed[:, position + 1 :] = target.flip(0)[:, position + 1 :]
    yield changed


def same_for_all(target, position, vocab_size):
    """Only sentence 0 changes, all are compared."""
    changed = target.clone()
    changed[0, position + 1 :] = PADDING
    yield changed


WRONG_6_5 = {
    "never": (never, None),
    "always": (always, None),
    "modes not put back": (without_copy, "mode"),
    "random state not put back": (without_fork, "fork_rng"),
    "mean of all differences": (comparing(lambda d, p: d[:, : p + 1].mean() > 0.05), None),
    "last logit only": (comparing(lambda d, p: d[0, p, -1] > 2.0), None),
    "changes from the next but one on": (comparing(up_to, one_more), None),
    "mode as found, cut off": (cut_off, None),
    "dropout switched off in evaluation": (all_dropout_off_in_the_model, "evaluation mode only"),
    "weights disturbed": (weights_disturbed, "`model.table`"),
    "one position too many": (comparing(lambda d, p: (d[:, : p + 2] > 1e-4).any()), None),
    "sees the end only": (comparing(lambda d, p: (d[:, -1] > 1e-4).any()), None),
    "first position only": (comparing(lambda d, p: (d[:, 0] > 1e-4).any()), None),
    "all at once": (comparing(lambda d, p: (d[:, : p + 1] > 1e-4).all()), None),
    "difference with its sign": (
        lambda model, source, target, position: bool(
            (model(source, torch.zeros_like(target)) - model(source, target)).max() > 1e9
        ),
        None,
    ),
    "a tensor of verdicts": (
        lambda model, source, target, position: torch.tensor([leaks(model, source, target, position)] * 2),
        "Tensor",
    ),
    "words": (lambda model, source, target, position: str(leaks(model, source, target, position)), "bool"),
    "largest difference": (lambda model, source, target, position: None, "return"),
    "position forgotten": (lambda model, source, target: leaks(model, source, target, 2), "position"),
    "position 2 in mind": (lambda model, source, target, position: leaks(model, source, target, 2), None),
    "raises at a leak": (
        lambda model, source, target, position: (_ for _ in ()).throw(AssertionError("it leaks")),
        "AssertionError",
    ),
    "one sentence changed": (comparing(lambda d, p: (d[0, : p + 1] > 1e-4).any(), same_for_all), None),
}


def put_back_by_hand(model, source, target, position):
    mode, state = model.training, torch.get_rng_state()
    try:
        for training in (False, True):
            model.train(training)
            for changed in futures_of(target, position, 9):
                if up_to(moved(model, source, target, changed), position):
                    return True
        return False
    finally:
        model.train(mode)
        torch.set_rng_state(state)


def dropout_off_in_a_copy(model, source, target, position):
    """Training mode, but nothing is dropped; then the target cut off after the position."""
    probe = copy.deepcopy(model)
    for module in probe.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    verdicts = []
    for mode in (True, False):
        probe.train(mode)
        with torch.no_grad():
            before = probe(source, target)[:, : position + 1]
            verdicts.append(not torch.allclose(probe(source, target[:, : position + 1]), before, atol=1e-4))
            verdicts += [up_to(moved(probe, source, target, c), position) for c in futures_of(target, position, 9)]
    torch.default_generator.manual_seed(torch.initial_seed())
    return any(bool(verdict) for verdict in verdicts)


def one_token_at_a_time(model, source, target, position):
    probe = copy.deepcopy(model)
    with torch.random.fork_rng():
        for mode in (True, False):
            probe.train(mode)
            for place in range(position + 1, target.size(1)):
                for token in (PADDING, 4, 5):
                    changed = target.clone()
                    changed[:, place] = token
                    if up_to(moved(probe, source, target, changed), position):
                        return True
    return False


def one_sentence_at_a_time(model, source, target, position):
    probe = copy.deepcopy(model)
    with torch.random.fork_rng():
        for mode in (True, False):
            probe.train(mode)
            for changed in futures_of(target, position, 9):
                for row in range(target.size(0)):
                    only = target.clone()
                    only[row] = changed[row]
                    if up_to(moved(probe, source, target, only), position):
                        return True
    return False


def drawn_at_random(model, source, target, position, tries=3, tolerance=1e-4):
    probe, generator = copy.deepcopy(model), torch.Generator().manual_seed(1)
    past, length = target[:, : position + 1], target.size(1) - position - 1
    with torch.random.fork_rng():
        for mode in (True, False):
            probe.train(mode)
            for number in range(tries):
                words = torch.randint(4, 9, (target.size(0), length), generator=generator)
                future = words if number else torch.zeros_like(words)
                difference = moved(probe, source, target, torch.cat([past, future], dim=1))
                if difference[:, : position + 1].max() > tolerance:
                    return True
    return False


RIGHT_6_5 = {
    "put back by hand": put_back_by_hand,
    "one token at a time": one_token_at_a_time,
    "one sentence at a time": one_sentence_at_a_time,
    "drawn at random": drawn_at_random,
    "every difference": comparing(up_to),
    "a tensor": lambda model, source, target, position: torch.tensor(leaks(model, source, target, position)),
    "more than half a thousandth": comparing(lambda d, p: d[:, : p + 1].max().item() > 5e-4),
}


WRONG = {"6.5": WRONG_6_5}
RIGHT = {"6.5": RIGHT_6_5}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)


@pytest.mark.parametrize("leak", LEAKS)
def test_suspects_are_what_they_say(leak):
    model = suspect(torch.Generator().manual_seed(3), leak, dropout=0.2)
    target = torch.tensor([[BEGIN, 4, 5, 6, 7], [BEGIN, 6, 4, 7, 5]])
    assert leaks(model, torch.tensor([[4, END], [5, END]]), target, 2) == (leak not in ("nothing", "rounding"))
    with pytest.raises(ValueError, match="good values"):
        suspect(torch.Generator(), "none of these")


class Unmasked(DecoderLayer):
    """Forgets the causal mask."""

    def forward(self, x, memory, target_mask=None, source_mask=None):
        return super().forward(x, memory, None, source_mask)


@pytest.mark.parametrize("layer", [DecoderLayer, Unmasked])
def test_the_reference_judges_whole_transformers(layer):
    torch.manual_seed(0)
    config = TransformerConfig(30, 2, d_model=16, d_ff=16, heads=2, dropout=0.3)
    model = Transformer(config, Parts(decoder_layer=layer))
    source, target = torch.randint(4, 30, (2, 5)), torch.randint(4, 30, (2, 6))
    assert leaks(model, source, target, 2) == (layer is Unmasked)
    assert model.training
