"""Beam search against an exhaustive one, against greedy, against itself without a cache."""

import itertools
import math

import pytest
import torch

from utils.errors import ConfigError, CourseError
from utils.transformer import BEGIN, END, PADDING
from utils.translation import beam_search, greedy
from utils.translation.beam import penalty
from utils.translation.greedy import evaluating

WORDS = (1, 4, 5)  # with END, all that a vocabulary of six can say


def exhaustive(log_probability, limit, alpha):
    """Every text up to the limit, best first, as (ids, score, log P)."""
    texts = [list(text) for length in range(limit + 1) for text in itertools.product(WORDS, repeat=length)]
    scored = [(text, log_probability(text)) for text in texts]
    return sorted(((t, p / penalty(len(t) + 1, alpha), p) for t, p in scored), key=lambda found: -found[1])


def markov_log_probability(table, text):
    path = [BEGIN, *text, END]
    return sum(float(table[min(i, len(table) - 1), a, b]) for i, (a, b) in enumerate(itertools.pairwise(path)))


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0, 2.5])
@pytest.mark.parametrize("seed", range(5))
def test_a_wide_beam_is_an_exhaustive_search(markov, alpha, seed):
    generator = torch.Generator().manual_seed(seed)
    table = (3 * torch.randn(5, 6, 6, generator=generator)).log_softmax(-1)
    source = torch.tensor([[4, 5, END], [5, END, PADDING]])
    found = beam_search(markov(table), source, beam=120, length_penalty=alpha, max_extra=2)
    for hypotheses, limit in zip(found, (4, 3), strict=True):
        expected = exhaustive(lambda text: markov_log_probability(table, text), limit, alpha)[: len(hypotheses)]
        assert len(hypotheses) == min(120, sum(3**length for length in range(limit + 1)))
        torch.testing.assert_close(
            torch.tensor([(h.score, h.log_probability) for h in hypotheses]),
            torch.tensor([(score, log_probability) for _, score, log_probability in expected]),
        )
        assert [h.tokens for h in hypotheses] == [text for text, _, _ in expected]


@pytest.mark.parametrize("alpha", [0.0, 0.6, 2.5])
@pytest.mark.parametrize("wanted", [1, 3])
def test_stopping_early_loses_nothing_of_what_is_wanted(markov, alpha, wanted):
    for seed in range(12):
        generator = torch.Generator().manual_seed(seed)
        table = (2 * torch.randn(5, 6, 6, generator=generator)).log_softmax(-1)
        source = torch.tensor([[4, 5, END]])
        early, late = markov(table), markov(table)
        few = beam_search(early, source, 120, alpha, max_extra=2, wanted=wanted)[0]
        expected = exhaustive(lambda text, table=table: markov_log_probability(table, text), 4, alpha)[:wanted]
        assert [h.tokens for h in few] == [text for text, _, _ in expected]
        beam_search(late, source, 120, alpha, max_extra=2)
        assert len(early.rows_seen) <= len(late.rows_seen)


def test_the_quick_stop_takes_fewer_steps_and_without_penalty_loses_nothing(markov, source):
    saved = 0
    for seed in range(5):
        table = 2 * torch.randn(5, 11, 11, generator=torch.Generator().manual_seed(seed))
        table[..., END] += 2
        quick, sure = markov(table), markov(table)
        beam_search(quick, source, exact=False)
        beam_search(sure, source)
        assert len(quick.rows_seen) <= len(sure.rows_seen)
        saved += sum(sure.rows_seen) - sum(quick.rows_seen)
        without_penalty = {"length_penalty": 0.0, "max_extra": 9}
        expected = beam_search(sure, source, **without_penalty)
        assert beam_search(quick, source, **without_penalty, exact=False) == expected
    assert saved > 0


def test_it_does_stop_before_the_limit(markov):
    table = torch.full((1, 6, 6), -20.0)
    table[..., END] = 0.0
    model = markov(table.log_softmax(-1))
    assert beam_search(model, torch.tensor([[4, 4, 4, END]]), beam=2, wanted=1)[0][0].tokens == []
    assert len(model.rows_seen) == 1


def test_a_live_hypothesis_may_overtake_a_finished_one(markov):
    """END at once has P = 0.4. The other way, 0.35 and from then on certain, scores better with α = 1."""
    table = torch.full((4, 6, 6), 1e-9)
    table[0, BEGIN, END], table[0, BEGIN, 4], table[0, BEGIN, 5] = 0.4, 0.35, 0.25
    table[1, 4, 5] = table[2, 5, 4] = table[3, 4, END] = table[1, 5, END] = 1.0
    source = torch.tensor([[4, 4, END]])
    best = [beam_search(markov(table.log()), source, 2, alpha, 5, wanted=1)[0][0] for alpha in (0.0, 1.0)]
    assert [hypothesis.tokens for hypothesis in best] == [[], [4, 5, 4]]
    assert beam_search(markov(table.log()), source, 2, 1.0, 5, wanted=1, exact=False)[0][0].tokens == []
    assert best[1].score == pytest.approx(math.log(0.35) / (9 / 6), rel=1e-5)  # three tokens and END: |Y| = 4


def test_log_probabilities_are_those_of_teacher_forcing(model, source):
    found = beam_search(model, source, beam=3, length_penalty=0.6, max_extra=3)
    with torch.inference_mode(), evaluating(model):
        for sentence, hypotheses in zip(source, found, strict=True):
            assert len(hypotheses) == 3
            assert [h.score for h in hypotheses] == sorted((h.score for h in hypotheses), reverse=True)
            assert len({tuple(h.tokens) for h in hypotheses}) == 3
            for h in hypotheses:
                said = torch.tensor([[*h.tokens, END]])
                logits = model(sentence[sentence != PADDING][None], torch.tensor([[BEGIN, *h.tokens]]))
                expected = logits.log_softmax(-1).gather(2, said[..., None]).sum()
                assert h.log_probability == pytest.approx(float(expected), abs=1e-3)
                assert h.score == pytest.approx(float(expected) / ((6 + len(h.tokens)) / 6) ** 0.6, abs=1e-3)


def tokens_and_scores(found):
    scores = [h.score for hypotheses in found for h in hypotheses]
    return [[h.tokens for h in hypotheses] for hypotheses in found], torch.tensor(scores)


def assert_same(found, expected):
    (tokens, scores), (expected_tokens, expected_scores) = tokens_and_scores(found), tokens_and_scores(expected)
    assert tokens == expected_tokens
    torch.testing.assert_close(scores, expected_scores, rtol=1e-4, atol=1e-4)


def test_beam_one_without_penalty_is_greedy(model, source):
    found = beam_search(model, source, beam=1, length_penalty=0.0, max_extra=6)
    assert [hypotheses[0].tokens for hypotheses in found] == greedy(model, source, max_extra=6)


def test_the_cache_changes_nothing(model, source):
    assert_same(beam_search(model, source, max_extra=6), beam_search(model, source, max_extra=6, cache=False))


def test_a_batch_equals_its_sentences_alone(model, source):
    alone = [beam_search(model, row[row != PADDING][None], max_extra=6)[0] for row in source]
    assert_same(beam_search(model, source, max_extra=6), alone)


def test_padding_changes_nothing(model, source):
    wider = torch.nn.functional.pad(source, (0, 4), value=PADDING)
    assert_same(beam_search(model, wider, max_extra=6), beam_search(model, source, max_extra=6))


def test_the_same_twice_with_dropout_off_and_the_mode_restored(model, source):
    model.train()
    first = beam_search(model, source, max_extra=6)
    assert model.training
    assert beam_search(model, source, max_extra=6) == first


def test_a_wanted_few_are_the_first_of_the_whole(model, source):
    whole = beam_search(model, source, beam=4, max_extra=6)
    assert_same(beam_search(model, source, beam=4, max_extra=6, wanted=2), [few[:2] for few in whole])


def test_length_ends_at_source_and_max_extra_with_an_end_that_is_paid_for(markov):
    table = torch.zeros(1, 11, 11)
    table[..., END] = -9
    source = torch.tensor([[4, 5, END], [5, END, PADDING]])
    found = beam_search(markov(table), source, beam=3, length_penalty=5.0, max_extra=3)
    assert [{len(h.tokens) for h in hypotheses} for hypotheses in found] == [{5}, {4}]
    one = float(table[0, 0].log_softmax(-1)[4])
    assert found[0][0].log_probability == pytest.approx(6 * one - 9, rel=1e-5)


def test_padding_and_begin_are_never_said_but_keep_their_probability(markov):
    table = torch.zeros(1, 11, 11)
    table[..., PADDING] = table[..., BEGIN] = 5
    table[..., END] = 0.5
    found = beam_search(markov(table), torch.tensor([[4, END]]), beam=4, max_extra=3)[0]
    assert not {PADDING, BEGIN} & set(sum((h.tokens for h in found), []))
    assert found[0].log_probability == pytest.approx(0.5 - math.log(8 + math.exp(0.5) + 2 * math.exp(5)), rel=1e-5)


def test_finished_sentences_leave_the_batch(markov):
    table = torch.zeros(1, 11, 11)
    table[..., END] = -50
    model = markov(table)
    source = torch.tensor([[4] * n + [END] + [PADDING] * (8 - n) for n in (1, 2, 8, 8)])
    beam_search(model, source, beam=2, max_extra=0)
    assert model.rows_seen == [8, 8, 6, 4, 4, 4, 4, 4, 4]


def test_penalty_is_equation_14_of_wu_et_al():
    assert penalty(1, 0.6) == 1.0
    assert penalty(13, 0.0) == 1.0
    assert penalty(13, 1.0) == 3.0
    assert penalty(19, 0.6) == pytest.approx(4**0.6)


def test_nothing_to_do(model):
    assert beam_search(model, torch.empty(0, 5, dtype=torch.long)) == []


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"beam": 0}, "beam is 0: good values are whole numbers from 1"),
        ({"beam": 2.5}, "beam is 2.5"),
        ({"length_penalty": -1}, "length_penalty is -1: good values are numbers from 0"),
        ({"length_penalty": math.nan}, "length_penalty is nan"),
        ({"wanted": 5}, "wanted is 5: good values are 1 to 4"),
        ({"max_extra": -3}, "max_extra is -3"),
    ],
)
def test_settings_that_cannot_work_say_which_do(markov, setting, message):
    with pytest.raises(ConfigError, match=message):
        beam_search(markov(torch.zeros(1, 6, 6)), torch.tensor([[4, END]]), **setting)


def test_a_model_that_has_diverged_is_named(markov):
    with pytest.raises(CourseError, match="not finite"):
        beam_search(markov(torch.full((1, 6, 6), math.nan)), torch.tensor([[4, END]]))
