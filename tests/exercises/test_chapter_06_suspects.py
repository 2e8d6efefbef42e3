"""The models that a no-leak test is tried on (exercise 6.5): each leaks what its name says, there and nowhere else."""

import copy
import pickle

import pytest
import torch

from utils.exercises.chapter_06.models import LEAKS, SIGNAL, suspect
from utils.transformer import BEGIN, PADDING

SENTENCES, LENGTH, POSITION = 3, 6, 2
BY_WORDS = [leak for leak in LEAKS if leak not in ("nothing", "length", "rounding")]


def leaking(leak, training=False):
    return suspect(torch.Generator().manual_seed(4), leak).train(training)


def some_target():
    target = torch.randint(4, 8, (SENTENCES, LENGTH), generator=torch.Generator().manual_seed(9))
    target[:, 0] = BEGIN
    return target


def difference(model, change, target=None):
    """What every logit moves by when `change` has changed the target in place: (sentence, position, word)."""
    target = some_target() if target is None else target
    changed, source = target.clone(), torch.full((SENTENCES, 4), 5)
    change(changed)
    with torch.no_grad():
        return model(source, changed) - model(source, target)


def places(model, change):
    """(sentence, position) of all logits that move, of those before the change of columns from POSITION + 1 on."""
    moved = difference(model, change)[:, : POSITION + 1].abs().amax(dim=-1) > 1e-6
    return {(int(sentence), int(position)) for sentence, position in moved.nonzero()}


def other_words(sentences=slice(None), columns=slice(POSITION + 1, None)):
    def change(target):
        target[sentences, columns] = 4 + (target[sentences, columns] - 3) % 4

    return change


def padded(target):
    target[:, POSITION + 1 :] = PADDING


EVERYWHERE = {(sentence, position) for sentence in range(SENTENCES) for position in range(POSITION + 1)}


@pytest.mark.parametrize("training", [True, False])
def test_the_honest_one_never_moves(training):
    model = leaking("nothing", training)
    assert not places(model, other_words()) and not places(model, padded)
    assert difference(model, other_words())[:, POSITION + 1 :].abs().max() > 1e-3  # it listens to what it may hear


def test_leaks_by_the_mask_show_what_they_say():
    assert places(leaking("everything"), other_words()) == EVERYWHERE
    assert places(leaking("next"), other_words()) == {(sentence, POSITION) for sentence in range(SENTENCES)}
    assert not places(leaking("next"), other_words(columns=slice(POSITION + 2, None)))
    assert places(leaking("last"), other_words(columns=slice(-1, None))) == EVERYWHERE
    assert not places(leaking("last"), other_words(columns=slice(POSITION + 1, -1)))
    assert places(leaking("first"), other_words()) == {(sentence, 0) for sentence in range(SENTENCES)}


def test_leaks_of_one_mode_are_honest_in_the_other():
    for leak in ("training", "evaluation"):
        assert places(leaking(leak, training=leak == "training"), other_words()) == EVERYWHERE
        assert not places(leaking(leak, training=leak != "training"), other_words())


def test_leaks_between_sentences():
    def rows(leak, changed):
        return {sentence for sentence, _ in places(leaking(leak), other_words(sentences=slice(changed, changed + 1)))}

    assert [rows("batch", sentence) for sentence in range(3)] == [{1}, {2}, {0}]
    assert [rows("last sentence", sentence) for sentence in range(3)] == [set(), set(), {2}]
    assert [rows("from the last sentence", sentence) for sentence in range(3)] == [set(), set(), {0, 1, 2}]
    assert [rows("mean", sentence) for sentence in range(3)] == [{0}, {1}, {2}]


def test_the_length_leaks_by_padding_and_not_by_words():
    assert not places(leaking("length"), other_words()) and places(leaking("length"), padded) == EVERYWHERE


def test_a_small_leak_is_above_the_tolerance_and_rounding_below():
    little = difference(leaking("little"), other_words())[:, : POSITION + 1].abs().max()
    rounding = difference(leaking("rounding"), other_words())[:, : POSITION + 1].abs().max()
    assert 1e-4 < little < 0.3 and 0 < rounding < 1e-5


def test_one_logit_moves_in_the_direction_of_its_name():
    signals = torch.full((SENTENCES, LENGTH), SIGNAL)
    for leak, sign in (("one logit falls", -1), ("one logit rises", 1)):
        moved = difference(leaking(leak), other_words(), signals)[:, : POSITION + 1]
        assert (sign * moved[..., -1] > 1e-4).all() and (moved[..., -1].abs() < 1e-3).all()
        assert moved[..., :-1].abs().max() < 1e-6


def test_small_leaks_of_several_logits():
    signals = torch.full((SENTENCES, LENGTH), SIGNAL)
    part = difference(leaking("two logits part"), other_words(), signals)[:, : POSITION + 1]
    assert part.sum().abs() < 1e-4 < part[..., -1].abs().min() and part[..., :-2].abs().max() < 1e-6
    rises = difference(leaking("every logit rises"), other_words(), signals)[:, : POSITION + 1]
    assert (rises > 1e-3).all() and (rises < 4e-3).all()


def test_the_next_but_one_is_seen_and_nothing_else():
    seen = places(leaking("next but one"), other_words(columns=slice(4, 5)))
    assert seen == {(sentence, 2) for sentence in range(SENTENCES)}


@pytest.mark.parametrize("leak", BY_WORDS)
def test_every_leak_is_seen_by_other_words_in_the_whole_future(leak):
    target = torch.full((SENTENCES, LENGTH), SIGNAL) if leak.startswith("one logit") else None
    model = leaking(leak, training=leak == "training")
    assert difference(model, other_words(), target)[:, : POSITION + 1].abs().max() > 1e-4


@pytest.mark.parametrize("leak", LEAKS)
def test_nothing_about_a_suspect_tells_but_what_it_does(leak):
    """Attributes, weights, names and text are those of an honest model, and of every other copy."""
    honest, suspected = leaking("nothing"), leaking(leak)
    assert suspected.__getstate__().keys() == honest.__getstate__().keys()
    assert [type(value) for value in vars(suspected).values()] == [type(value) for value in vars(honest).values()]
    assert (repr(suspected), dir(suspected)) == (repr(honest), dir(honest))
    assert suspected.state_dict().keys() == honest.state_dict().keys()


@pytest.mark.parametrize("leak", LEAKS)
def test_a_suspect_can_be_copied_and_sent(leak):
    model = leaking(leak, training=True)
    sent = pickle.loads(pickle.dumps(model))
    for other in (copy.deepcopy(model), sent, copy.deepcopy(sent)):
        assert other.training and all(map(torch.equal, other.parameters(), model.parameters()))
        assert torch.equal(difference(other, other_words()), difference(model, other_words()))
    assert leak not in str(sent.__reduce_ex__(4)[:2])
