"""What a call of an answer is looked at for, beyond its result: damaged lists, shared parameters, kept attributes."""

import numpy as np
import pytest
import torch
from torch import nn

from utils.exercises import Case, examine
from utils.exercises.calling import run_case
from utils.exercises.drawing import normal
from utils.transformer import OutputLayer, TokenEmbedding


def reversed_words(words, counts):
    """The words from the last to the first."""
    return words[::-1]


def test_damaged_lists_and_dictionaries_are_seen(made):
    def reverses(words, counts):
        words.reverse()
        return list(words)

    def counts_too(words, counts):
        counts["seen"] = len(words)
        return words[::-1]

    exercise = made(
        reversed_words,
        cases=lambda g: [
            Case("three", (["a", "b", "c"], {"a": 1})),
            Case("two", (["b", "c"], {})),
            Case("one", (["b"], {}), part="edge cases"),
        ],
        returns=("words",),
    )
    assert examine(exercise, reversed_words).passed
    assert examine(exercise, lambda words, counts: list(reversed(words))).passed
    assert "changes its input `words` in place" in examine(exercise, reverses).message
    assert "changes its input `counts` in place" in examine(exercise, counts_too).message
    assert "Tensor" not in examine(exercise, counts_too).message
    assert "Your words come as a list of 2" in examine(exercise, lambda words, counts: words[:2]).message


def test_parameters_of_modules_given_to_a_constructor_get_gradients(made_module):
    def cases(generator):
        return [
            Case("shared", (normal(generator, 2, 4),), build=(5, 4, TokenEmbedding(5, 4)), own_weights=True,
                 gradients=True),
            Case("looked at", (normal(generator, 2, 4),), build=(5, 4, TokenEmbedding(5, 4)), own_weights=True,
                 observe=".weight"),
            Case("own", (normal(generator, 2, 4),), build=(5, 4)),
        ]  # fmt: skip

    class Copied(OutputLayer):
        def __init__(self, vocab_size, d_model, tied_to=None):
            super().__init__(vocab_size, d_model, tied_to)
            self.weight = nn.Parameter(self.weight.detach().clone())

    class Renamed(nn.Module):
        def __init__(self, vocab_size, d_model, tied_to=None):
            super().__init__()
            self.matrix = OutputLayer(vocab_size, d_model, tied_to).weight

        def forward(self, states):
            return states @ self.matrix.t()

    class NoTensor(Renamed):
        weight = "elsewhere"

    exercise = made_module(OutputLayer, cases)
    assert examine(exercise, OutputLayer).passed
    assert "no gradient flows back to `TokenEmbedding.weight`" in examine(exercise, Copied).message
    assert "'Renamed' object has no attribute 'weight'" in examine(exercise, Renamed).message
    assert "Your `self.weight` is a str; asked for is a Tensor" in examine(exercise, NoTensor).message


def test_dictionaries_with_other_keys_than_words_are_shown(made):
    def merged(words):
        return {("ab", "c"): 1}

    exercise = made(merged, cases=lambda g: [Case("a", ({("a", "b", "c"): 1},)), Case("b", ({("a", "b"): 1},))])
    report = examine(exercise, lambda words: {("a", "bc"): 1})
    assert "a dictionary with [('a', 'bc')]; asked for are [('ab', 'c')]" in report.message


def test_results_that_carry_gradients_are_explained_without_a_warning(made_module, recwarn):
    class Twice(TokenEmbedding):
        def forward(self, tokens):
            return 2 * super().forward(tokens)

    tokens = torch.tensor([[1, 2]])
    cases = [Case("a", (tokens,), build=(4, 3)), Case("b", (tokens,), build=(5, 2))]
    report = examine(made_module(TokenEmbedding, lambda generator: cases), Twice)
    assert "2 times the expected one" in report.explanation
    assert not recwarn.list


def test_shapes_of_floating_point_tensors_on_the_way_are_seen(made):
    def in_halves(x):
        return torch.cat([2 * half for half in x.split(2)])

    def with_positions(x):
        return 2 * x[torch.arange(len(x))]

    exercise = made()
    case = Case("four", (torch.zeros(4, 3),), observe="shapes")
    assert run_case(exercise, in_halves, case, 0).value == [(2, 3), (4, 3)]
    assert run_case(exercise, with_positions, case, 0).value == [(4, 3)]  # whole numbers are not looked at


def descend(model, optimiser, target):
    """One step towards the target; returns the distance before it."""
    distance = (model.weight - target).square().sum()
    optimiser.zero_grad()
    distance.backward()
    optimiser.step()
    return distance.item()


def test_a_module_may_be_trained_and_is_compared_after_several_calls(made):
    def cases(generator):
        model = nn.Linear(2, 1, bias=False)
        with torch.no_grad():
            model.weight.copy_(normal(generator, 1, 2))
        model.eval()
        arguments = model, torch.optim.SGD(model.parameters(), lr=0.1), normal(generator, 1, 2)
        return [
            Case("one", arguments, changes=("model",)),
            Case("three", arguments, changes=("model",), times=3),
            Case("again", arguments, changes=("model",), part="edge cases"),
        ]

    def piles_up(model, optimiser, target):
        distance = (model.weight - target).square().sum()
        distance.backward()
        optimiser.step()
        return distance.item()

    def stays(model, optimiser, target):
        return (model.weight - target).square().sum().item()

    exercise = made(descend, cases=cases, returns=("distance", "weights"))
    assert examine(exercise, descend).passed
    report = examine(exercise, piles_up)
    assert [item.name for item in report.items if not item.passed] == ["three"]
    assert "Your weights['model.weight'] is not the expected numbers" in examine(exercise, stays).message
    case = cases(torch.Generator().manual_seed(0))[1]
    value = run_case(exercise, descend, case, 0).value
    assert len(value[0]) == 3 and set(value[1]) == {"model.weight"}
    assert torch.equal(case.arguments[0].weight, cases(torch.Generator().manual_seed(0))[1].arguments[0].weight)


class Scaled(nn.Module):
    """Right: x times the scale, which starts at 1."""

    def __init__(self, width):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return x * self.scale


class KeepsTheFirst(Scaled):
    kept = None

    def forward(self, x):
        self.kept = x if self.kept is None else self.kept
        return super().forward(self.kept)


class Shrinks(Scaled):
    def forward(self, x):
        found = x * self.scale.detach().clone()
        self.scale.data.mul_(0.5)
        return found


class Grows(Scaled):
    def forward(self, x):
        self.part = nn.Linear(2, 2)
        return super().forward(x)


class Evaluates(Scaled):
    def forward(self, x):
        return super().forward(x) if self.eval() else x


class Later(Scaled):
    async def forward(self, x):
        return x


def scaled_cases(generator):
    x, y = normal(generator, 2, 3), normal(generator, 2, 3)
    return [
        Case("in training mode", (x,), build=(3,), training=True),
        Case("in evaluation mode", (x,), build=(3,)),
        Case("called before", (x,), build=(3,), earlier=(y,)),
    ]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (KeepsTheFirst, "the same module has been called before"),
        (Shrinks, "other parameters than before"),
        (Grows, "other parameters than before"),
        (Evaluates, "changes its own mode"),
        (Later, "an `async` function"),
    ],
)
def test_a_call_leaves_the_module_as_it_was(made_module, recwarn, answer, words):
    exercise = made_module(Scaled, scaled_cases)
    assert examine(exercise, Scaled).passed
    report = examine(exercise, answer)
    assert not report.passed and words in f"{report.message} {report.explanation}", report
    assert not list(recwarn)


def test_numbers_of_numpy_are_numbers(made):
    exercise = made(lambda x: (x.numel(), True), cases=lambda g: [Case("a", (normal(g, 3),))], returns=())
    assert examine(exercise, lambda x: (np.int64(x.numel()), np.bool_(True))).passed
    assert not examine(exercise, lambda x: (np.int64(x.numel() + 1), np.bool_(True))).passed
    assert "asked for is a whole number" in examine(exercise, lambda x: (complex(x.numel()), True)).message


def test_parameters_that_have_changed_places_are_told(made):
    def halved(x, y):
        return x / y

    exercise = made(halved, cases=lambda g: [Case("a", (normal(g, 3), 2 + normal(g, 3).abs()))])
    assert examine(exercise, lambda x, y, z=0: x / y).passed and examine(exercise, lambda a, b: a / b).passed
    assert "in this order" in examine(exercise, lambda y, x: y / x).message
