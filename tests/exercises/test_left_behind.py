"""What a call leaves behind beside its result: hooks, a forward written over, gradients asked for; and results that are
none yet.
"""

import pytest
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from utils.exercises import Case, examine
from utils.exercises.drawing import normal


def applied(model, x):
    """What the model makes of x."""
    return model(x)


@pytest.fixture
def told(made):
    """told(answer): what is said of an answer that gets a model and a tensor."""

    def cases(generator):
        return [Case(name, (nn.Linear(2, 3), normal(generator, 2, 2))) for name in "abc"]

    return lambda answer: examine(made(applied, cases=cases), answer, 0).message


def test_hooks_that_stay_are_told_and_removed_ones_are_none(told):
    def leaves_one(model, x):
        model.register_forward_hook(lambda module, inputs, result: None)
        return model(x)

    def removes(model, x):
        handle = model.register_forward_pre_hook(lambda module, inputs: None)
        result = model(x)
        handle.remove()
        return result

    assert "leaves other hooks on `model`" in told(leaves_one) and "in place" not in told(leaves_one)
    assert told(removes) == ""


def test_a_hook_for_all_modules_is_told(told):
    handles = []

    def everywhere(model, x):
        handles.append(register_module_forward_hook(lambda module, inputs, result: None))
        return model(x)

    message = told(everywhere)
    [handle.remove() for handle in handles]
    assert "for every module of every model" in message


def test_a_forward_written_over_is_told(told):
    def writes_over(model, x):
        model.forward = lambda given, own=model.forward: own(given)
        return model(x)

    def takes_away(model, x):
        result = writes_over(model, x)
        del model.forward
        return result

    assert "a `forward` in `model`" in told(writes_over)
    assert told(takes_away) == ""


def test_gradients_asked_for_or_given_up_are_told(told):
    def freezes(model, x):
        return model.requires_grad_(False)(x)

    assert "`requires_grad` of `model`" in told(freezes)
    assert "`requires_grad` of `x`" in told(lambda model, x: model(x.requires_grad_()))
    assert told(lambda model, x: model(x.detach().requires_grad_())) == ""


def test_the_check_itself_may_ask_for_gradients(made):
    exercise = made(cases=lambda g: [Case("a", (normal(g, 2),), gradients=True), Case("b", (normal(g, 3),))])
    assert examine(exercise, lambda x: x + x, 0).passed


def test_coroutines_and_generators_are_told(made, recwarn):
    async def later(x):
        return 2 * x

    assert "write `def`, not `async def`" in examine(made(), later, 0).message
    assert "returns a generator" in examine(made(), lambda x: (2 * part for part in x), 0).message
    assert not recwarn.list


def test_a_complex_number_is_no_whole_one(made):
    exercise = made(len, cases=lambda g: [Case("three", ([1, 2, 3],)), Case("two", ([1, 2],))])
    assert "asked for is a whole number (an int)" in examine(exercise, lambda x: complex(len(x)), 0).message
    assert "is a list of 1; asked for is an int" in examine(exercise, lambda x: [len(x)], 0).message


def test_what_stays_the_same_by_chance_is_not_called_ignored(made):
    """Of few possible results two are often equal."""

    def signs(x):
        return (x > 0).float().mean()[None]

    exercise = made(signs, cases=lambda g: [Case(str(n), (normal(g, n),)) for n in (2, 3, 4)])
    listens = [examine(exercise, lambda x: (x > 0).any().float()[None] + 3, seed).explanation for seed in range(20)]
    deaf = [examine(exercise, lambda x: torch.full((1,), 0.3), seed).explanation for seed in range(20)]
    assert sum("whatever `x` is" in said for said in listens) <= 3
    assert sum("whatever `x` is" in said for said in deaf) >= 15
