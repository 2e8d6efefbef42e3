"""Which explanation is given: when a misconception is named, when it is not, and what is seen from outside."""

import pytest
import torch
from torch import nn

from utils.exercises import Case, Misconception, Property, examine
from utils.exercises.calling import Outcome, Trouble, run_case
from utils.exercises.drawing import normal
from utils.exercises.sameness import alike

LENGTHS = (1, 2, 3, 4)  # of the cases' inputs, each with a wrong answer of its own to be made


def doubled(x):
    """Twice x."""
    return 2 * x


def wrong_at(*lengths, by=1.0, elsewhere=doubled):
    """An answer that adds `by` for inputs of those lengths."""
    return lambda x: 2 * x + by if len(x) in lengths else elsewhere(x)


@pytest.fixture
def explained(made):
    """explained(answer, *misconceptions): the report on an answer; lengths 1 and 2 are values, 3 and 4 edge cases."""

    def report(answer, *misconceptions, **changes):
        fillers = tuple(Misconception(f"filler {i}", lambda x: None, f"Filler {i}.") for i in range(3))
        parts = ("values", "values", "edge cases", "edge cases")
        declared = made(
            doubled,
            cases=lambda g: [Case(str(n), (normal(g, n),), part=part, traits=("the input is long",) if n == 4 else ())
                             for n, part in zip(LENGTHS, parts, strict=True)],
            misconceptions=(*misconceptions, *fillers),
            **changes,
        )  # fmt: skip
        return examine(declared, answer, 0)

    return report


def named(answer, name="named", **options):
    return Misconception(name, answer, f"The sentence of {name}.", **options)


def test_agreement_in_every_case_comes_first(explained):
    first, second = named(wrong_at(1, 2, 3), "more"), named(wrong_at(1, 2), "the same")
    assert explained(wrong_at(1, 2), first, second).misconception == "the same"


def test_agreement_wherever_the_answer_is_wrong_is_enough(explained):
    report = explained(wrong_at(1, 2), named(wrong_at(1, 2, 3)))
    assert report.misconception == "named" and report.explanation == "The sentence of named."


def test_what_is_declared_everywhere_has_to_agree_everywhere(explained):
    declared = named(wrong_at(1, 2, 3), everywhere=True)
    assert explained(wrong_at(1, 2, 3), declared).misconception == "named"
    assert explained(wrong_at(1, 2), declared).misconception is None  # right at 3, which the sentence denies
    another = wrong_at(1, 2, elsewhere=wrong_at(3, by=5.0))
    assert explained(another, declared).misconception is None  # wrong at 3 in another way
    assert explained(wrong_at(1, 2), declared, named(wrong_at(1, 2, 4), "looser")).misconception == "looser"


def test_what_more_right_cases_speak_against_than_wrong_ones_for_is_not_told(explained):
    declared = named(wrong_at(1, 2, 3, 4))
    assert explained(wrong_at(1, 2, 3), declared).misconception == "named"
    assert explained(wrong_at(4), declared).misconception is None
    assert "the input is long" in explained(wrong_at(4), declared).explanation


def test_a_dictionary_is_not_like_a_list():
    assert not alike(Outcome({0: 1.0, 1: 2.0}), Outcome([1.0, 2.0]))
    assert not alike(Outcome(([1.0], {"a": {0: 1.0}})), Outcome(([1.0], {"a": [1.0]})))
    assert alike(Outcome((1.0, {"a": [2.0]})), Outcome([1.0, {"a": (2.0,)}]))


def held_on_to(made, answer, *misconceptions):
    cases = lambda g: [Case(str(n), (normal(g, n),), apart=n < 3, traits=("t",) * (n < 3)) for n in LENGTHS]  # noqa: E731
    fillers = tuple(named(lambda x: None, str(i)) for i in range(3))
    return examine(made(lambda x: 1 * x, cases=cases, misconceptions=(*misconceptions, *fillers)), answer, 0)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda x: x, "the very tensors"),
        (lambda x: x.view_as(x), "the very tensors"),
        (lambda x: x.clone().requires_grad_() * 1, "still hangs on the graph"),
    ],
)
def test_what_a_result_holds_on_to_is_told_where_a_case_asks(made, answer, words):
    report = held_on_to(made, answer)
    assert not report.passed and words in report.message and not report.explanation, report
    assert held_on_to(made, lambda x: x.clone()).passed
    assert examine(made(lambda x: 1 * x), answer, 0).passed  # these cases do not ask


def test_what_a_wrong_result_holds_on_to_hides_no_misconception(made):
    report = held_on_to(made, lambda x: x.clone().requires_grad_() + 1, named(lambda x: x + 1))
    assert report.misconception == "named" and "graph" not in report.message, report


def test_a_second_error_may_hide_the_first_in_another_part(explained):
    report = explained(wrong_at(1, 2, elsewhere=wrong_at(3, 4, by=5.0)), named(wrong_at(1, 2)))
    assert report.misconception == "named" and report.explanation == "The sentence of named."


def test_two_thirds_of_the_wrong_cases_are_told_as_such(explained):
    answer = wrong_at(2, 3, elsewhere=wrong_at(1, by=5.0))
    report = explained(answer, named(wrong_at(2, 3)))
    assert report.explanation == "In 2 of 3 wrong cases: The sentence of named."
    assert report.smallest.case in ("2", "3")  # one that the sentence is true of
    fewer = wrong_at(3, elsewhere=wrong_at(1, 2, by=5.0))
    assert explained(fewer, named(wrong_at(3))).misconception is None


def test_traits_that_all_wrong_cases_share_are_told(explained):
    noise = wrong_at(4, by=torch.tensor([1.0, -2, 0, 3]))
    assert "exactly where this holds: the input is long" in explained(noise).explanation
    assert "exactly" not in explained(wrong_at(3, by=torch.tensor([1.0, -2, 0]), elsewhere=noise)).explanation


def test_what_breaks_only_a_property_is_named_too(explained):
    at_five = wrong_at(5)

    def holds(cases, results):
        return torch.equal(results[0], 2 * cases[0].arguments[0])

    declared = Property("five", lambda g: [Case("five", (normal(g, 5),))], holds, "Not at five.")
    report = explained(at_five, named(at_five), properties=(declared,))
    assert report.message == "Not at five." and report.misconception == "named"
    assert explained(wrong_at(5, by=2.0), named(at_five), properties=(declared,)).misconception is None


def test_parameters_are_alike_whatever_their_names():
    def lacking(names):
        have = ", ".join(f"{name} {shape}" for name, shape in names.items())
        return Outcome(
            trouble=Trouble("weights", "", f"Your module has the parameters {have}; asked for has w (2, 3).")
        )

    one = lacking({"w_q.weight": (4, 2), "w_q.bias": (4,)})
    assert alike(one, lacking({"bias": (4,), "matrix": (4, 2)}))
    assert not alike(one, lacking({"w_q.weight": (2, 4), "w_q.bias": (4,)}))
    assert not alike(one, lacking({"w_q.weight": (4, 2)}))
    assert not alike(one, Outcome(trouble=Trouble("raised", "ValueError", "(4, 2)")))


# What a call is watched for ───────────────────────────────────────────────────────────────────────────────────────


def test_damage_inside_of_lists_and_dictionaries_is_named_by_its_place(made):
    def total(tensors, options):
        return sum(tensors) * options["scale"]

    def in_place(tensors, options):
        for tensor in tensors[1:]:
            tensors[0].add_(tensor)
        return tensors[0] * options["scale"]

    def scale_changed(tensors, options):
        options["scale"] *= 2
        return sum(tensors) * options["scale"] / 2

    def another_entry(tensors, options):
        result = total(tensors, options)
        tensors.append(result)
        return result

    def cases(generator):
        return [Case(name, ([normal(generator, 2), normal(generator, 2)], {"scale": torch.ones(1)})) for name in "ab"]

    exercise = made(total, cases=cases)
    assert examine(exercise, total).passed
    assert "changes its input `tensors[0]` in place" in examine(exercise, in_place).message
    assert "changes its input `options['scale']` in place" in examine(exercise, scale_changed).message
    assert "changes its input `tensors` in place" in examine(exercise, another_entry).message


def test_damage_of_modules_inside_of_lists_is_named_by_its_place(made):
    def summed(models, x):
        return sum(model(x) for model in models)

    def without_a_bias(models, x):
        with torch.no_grad():
            models[1].bias.zero_()
        return models[0](x) + models[1](x)

    def in_training_mode(models, x):
        models[1].train()
        return summed(models, x)

    def cases(generator):
        models = [nn.Linear(2, 2).eval(), nn.Linear(2, 2).eval()]
        return [Case("one", (models, normal(generator, 1, 2))), Case("two", (models, normal(generator, 2, 2)))]

    exercise = made(summed, cases=cases)
    assert examine(exercise, summed).passed
    outcome = run_case(exercise, without_a_bias, cases(torch.Generator())[0], 0)
    assert outcome.damaged == ("models[1].bias",)
    assert "leaves `models[1]` in another mode" in examine(exercise, in_training_mode).message


@pytest.mark.parametrize("observe", ["largest", "shapes"])
def test_what_comes_into_being_on_the_way_is_judged(made, observe):
    def by_row(x):
        return torch.stack([row.square().sum() for row in x])

    def all_pairs(x):
        return (x @ x.mT).diagonal()

    def cases(generator):
        x = normal(generator, 6, 3)
        return [Case("values", (x,)), Case("on the way", (x,), observe=observe)]

    exercise = made(by_row, cases=cases)
    assert examine(exercise, by_row).passed
    report = examine(exercise, all_pairs)
    assert [item.passed for item in report.items] == [True, False]


def test_one_wrong_number_is_not_called_a_multiple(explained):
    assert "times the expected one" not in explained(wrong_at(1, by=0.5)).explanation
    assert "times the expected one" in explained(lambda x: 6 * x).explanation


def test_a_loss_is_one_thing(made):
    declared = made(doubled, cases=lambda g: [Case("one", (normal(g, 3),))], returns=("loss",))
    assert "Your loss is not the expected numbers" in examine(declared, lambda x: 2 * x + 1, 0).message
