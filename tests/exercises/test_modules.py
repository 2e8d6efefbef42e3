"""The engine on modules: the reference's weights put into an answer, modes, gradients, parameters."""

from dataclasses import replace

import torch
from torch import nn

from utils.exercises import Case, examine
from utils.exercises.drawing import normal
from utils.transformer import AdditiveAttention, FeedForward, LayerNorm, MultiHeadAttention


def norm_cases(generator):
    return [
        Case("width 4, training", (normal(generator, 2, 4),), build=(4,), training=True),
        Case("width 4, evaluation", (normal(generator, 2, 4),), build=(4,)),
        Case("width 6", (normal(generator, 2, 3, 6),), build=(6,), gradients=True),
    ]


class OtherNames(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.a = nn.Parameter(torch.ones(width))
        self.b = nn.Parameter(torch.zeros(width))

    def forward(self, x):
        return nn.functional.layer_norm(x, self.a.shape, self.a, self.b)


class Unbiased(LayerNorm):
    def forward(self, x):
        return (x - x.mean(-1, True)) / (x.std(-1, keepdim=True) + self.epsilon) * self.gain + self.bias


class NoBias(OtherNames):
    def __init__(self, width):
        super().__init__(width)
        del self.b

    def forward(self, x):
        return nn.functional.layer_norm(x, self.a.shape, self.a)


class TrainingOnly(OtherNames):
    def forward(self, x):
        return super().forward(x) if self.training else x


class BiasUnused(OtherNames):
    def forward(self, x):
        return nn.functional.layer_norm(x, self.a.shape, self.a)


class Subclassed(OtherNames):
    def __init__(self, width, note="mine"):
        super().__init__(width)
        self.note = note


def test_modules_are_filled_with_the_references_weights(made_module):
    exercise = made_module(LayerNorm, norm_cases)
    for right in (LayerNorm, OtherNames, Subclassed, nn.LayerNorm, lambda width: OtherNames(width)):
        report = examine(exercise, right)
        assert report.passed, report
    assert not examine(exercise, Unbiased).passed
    assert "parameters a (4,)" in examine(exercise, NoBias).message
    assert "evaluation mode" in examine(exercise, TrainingOnly, 1).explanation
    assert not examine(exercise, BiasUnused).passed
    assert "class itself" in examine(exercise, LayerNorm(4)).message
    assert "not an nn.Module" in examine(exercise, lambda width: width).message


class BackToFront(nn.Module):
    """x W in place of x Wᵀ, the second layer first."""

    def __init__(self, d_model, d_ff):
        super().__init__()
        self.second = nn.Parameter(torch.zeros(d_ff, d_model))
        self.bias_2 = nn.Parameter(torch.zeros(d_model))
        self.first = nn.Parameter(torch.zeros(d_model, d_ff))
        self.bias_1 = nn.Parameter(torch.zeros(d_ff))

    def forward(self, x):
        return (x @ self.first + self.bias_1).relu() @ self.second + self.bias_2


def test_matrices_the_other_way_round_are_filled_too(made_module):
    def cases(generator):
        return [
            Case("small", (normal(generator, 2, 4),), build=(4, 6)),
            Case("b", (normal(generator, 3),), build=(3, 8)),
        ]

    assert examine(made_module(FeedForward, cases), BackToFront).passed


class GainDetached(OtherNames):
    def forward(self, x):
        return nn.functional.layer_norm(x, self.a.shape, self.a.detach(), self.b)


class FirstDetached(BackToFront):
    def forward(self, x):
        return (x @ self.first.detach() + self.bias_1).relu() @ self.second + self.bias_2


class BiasFrozen(BackToFront):
    def __init__(self, d_model, d_ff):
        super().__init__(d_model, d_ff)
        self.bias_2.requires_grad_(False)


def test_gradients_of_parameters_are_asked_for_in_every_way_of_filling(made_module):
    def cases(generator):
        return [Case("small", (normal(generator, 2, 4),), build=(4, 6), gradients=True)]

    exercise = made_module(FeedForward, cases)
    assert examine(exercise, BackToFront).passed
    for cut_off in (FirstDetached, BiasFrozen):
        assert not examine(exercise, cut_off).passed
    norm = made_module(LayerNorm, norm_cases)
    assert "no gradient flows back to `gain`" in examine(norm, GainDetached).message


def test_several_inputs_and_results_of_a_module(made_module):
    def cases(generator):
        x, mask = normal(generator, 2, 3, 8), torch.ones(3, 3, dtype=torch.bool).tril()
        return [
            Case("self-attention", (x, x, x), build=(8, 2)),
            Case("causal", (x, x, x, mask), build=(8, 2), part="mask", gradients=True),
            Case("three", (x, normal(generator, 2, 5, 8), normal(generator, 2, 5, 8)), build=(8, 4)),
        ]

    class NoScale(MultiHeadAttention):
        def forward(self, query, key, value, mask=None):
            return super().forward(query * self.d_k**0.5, key, value, mask)

    class Changing(MultiHeadAttention):
        def forward(self, query, key, value, mask=None):
            result = super().forward(query, key, value, mask)
            with torch.no_grad():
                key.zero_()
            return result

    exercise = made_module(MultiHeadAttention, cases, returns=("output", "weights"))
    assert examine(exercise, MultiHeadAttention).passed
    assert not examine(exercise, NoScale).passed
    assert "changes its input" in examine(exercise, Changing).message
    assert examine(made_module(AdditiveAttention, lambda g: [
        Case("a", (normal(g, 2, 3), normal(g, 4, 5), normal(g, 4, 2)), build=(3, 5, 4))
    ]), AdditiveAttention).passed  # fmt: skip


def test_fresh_parameters_can_be_looked_at(made_module):
    class Zero(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.gain, self.bias = nn.Parameter(torch.zeros(width)), nn.Parameter(torch.zeros(width))

        def forward(self, x):
            return nn.functional.layer_norm(x, self.gain.shape, self.gain, self.bias)

    cases = lambda g: [  # noqa: E731
        Case("as built", (torch.zeros(4),), build=(4,), own_weights=True, observe="parameters"),
        Case("values", (normal(g, 4),), build=(4,)),
    ]
    exercise = made_module(LayerNorm, cases, returns=())
    assert examine(exercise, OtherNames).passed
    assert not examine(exercise, Zero).passed


def test_gradients_are_compared(made):
    exercise = made(
        cases=lambda g: [Case("values", (normal(g, 3),)), Case("gradients", (normal(g, 3),), gradients=True)]
    )
    assert "no gradient flows back to `x`" in examine(exercise, lambda x: 2 * x.detach()).message
    assert "gradient of `x` is not" in examine(exercise, lambda x: x + x.detach()).message
    report = examine(exercise, lambda x: torch.where(x > 1e9, (x * 1e30) ** 9, 2 * x))
    assert "gradient of `x` contains NaN" in report.message


def test_a_fill_of_the_exercises_own(made_module):
    class Fused(nn.Module):
        def __init__(self, d_model, d_ff):
            super().__init__()
            self.all = nn.Parameter(torch.zeros(2 * d_model * d_ff + d_model + d_ff))
            self.sizes = d_model, d_ff

        def forward(self, x):
            d_model, d_ff = self.sizes
            w1, b1, w2, b2 = self.all.split([d_model * d_ff, d_ff, d_model * d_ff, d_model])
            return (x @ w1.view(d_ff, d_model).t() + b1).relu() @ w2.view(d_model, d_ff).t() + b2

    def fill(module, weights):
        with torch.no_grad():
            module.all.copy_(torch.cat([weight.flatten() for weight in weights.values()]))
        return {}

    exercise = made_module(FeedForward, lambda g: [Case("a", (normal(g, 2, 4),), build=(4, 6))])
    assert "parameters all" in examine(exercise, Fused).message
    assert examine(replace(exercise, fills=(fill,)), Fused).passed


def test_modules_among_the_inputs_are_watched(made):
    def output(model, x):
        return model(x)

    def left_in_training_mode(model, x):
        return model.train()(x)

    def trained(model, x):
        with torch.no_grad():
            model.gain.mul_(2)
        return model(x) - model(x) / 2

    def another_buffer(model, x):
        model.register_buffer("seen", x)
        return model(x)

    def cases(generator):
        model = LayerNorm(4).eval()
        return [Case("one", (model, normal(generator, 2, 4))), Case("two", (model, normal(generator, 3, 4)))]

    exercise = made(output, cases=cases)
    assert examine(exercise, output).passed and examine(exercise, another_buffer).passed
    message = examine(exercise, left_in_training_mode).message
    assert "leaves `model` in another mode" in message and "in place" not in message
    assert "changes its input `model.gain` in place" in examine(exercise, trained).message


def test_the_random_state_is_watched_where_asked(made):
    def twice(x):
        return 2 * x

    def with_dropout_tried(x):
        torch.rand(3)
        return 2 * x

    def put_back(x):
        with torch.random.fork_rng():
            torch.rand(3)
        return 2 * x

    for kept in (False, True):
        exercise = made(twice, cases=lambda g, kept=kept: [Case("a", (normal(g, 3),), random_kept=kept)])
        assert examine(exercise, put_back).passed
        report = examine(exercise, with_dropout_tried)
        assert report.passed == (not kept)
    assert "fork_rng" in report.message


def test_a_scaled_answer_of_a_module_warns_of_nothing(made_module, recwarn):
    class Doubled(LayerNorm):
        def forward(self, x):
            return 2 * super().forward(x)

    assert "2 times" in examine(made_module(LayerNorm, norm_cases), Doubled).explanation
    assert not list(recwarn)


def test_weights_that_come_with_the_parts_are_filled_once(made_module):
    built = []

    class Counted(LayerNorm):
        def __init__(self, width):
            super().__init__(width)
            built.append(width)

        def forward(self, x):
            return super().forward(x) + 1

    def cases(generator):
        return [Case("own weights", (normal(generator, 2, 4),), build=(4,), own_weights=True)]

    assert not examine(made_module(LayerNorm, cases), Counted).passed
    assert len(built) == 2  # once to check, once to look for an ignored input
