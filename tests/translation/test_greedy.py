"""Greedy decoding equals the plain definition, for every kind of model, alone or in a batch."""

import math

import pytest
import torch

from utils.errors import ConfigError, CourseError
from utils.transformer import BEGIN, END, PADDING, Transformer, TransformerConfig
from utils.translation import greedy
from utils.translation.greedy import evaluating, length_limits


def by_definition(model, sentence, max_extra):
    """One sentence, the whole prefix again at every step."""
    tokens = []
    while len(tokens) < len(sentence) - 1 + max_extra:
        logits = model(torch.tensor([sentence]), torch.tensor([[BEGIN, *tokens]]))[0, -1]
        logits[[PADDING, BEGIN]] = -math.inf
        token = int(logits.argmax())
        if token == END:
            break
        tokens.append(token)
    return tokens


def without_padding(source):
    return [[token for token in row if token != PADDING] for row in source.tolist()]


def test_equals_the_definition_sentence_by_sentence(model, source):
    found = greedy(model, source, max_extra=6)
    with torch.inference_mode(), evaluating(model):
        assert found == [by_definition(model, sentence, 6) for sentence in without_padding(source)]


def test_a_batch_equals_its_sentences_alone(model, source):
    alone = [greedy(model, torch.tensor([sentence]), 8)[0] for sentence in without_padding(source)]
    assert greedy(model, source, 8) == alone


def test_padding_changes_nothing(model, source):
    wider = torch.nn.functional.pad(source, (0, 5), value=PADDING)
    assert greedy(model, wider, 8) == greedy(model, source, 8)


def test_dropout_is_off_and_the_mode_comes_back(model, source):
    model.train()
    first = greedy(model, source, 8)
    assert model.training
    assert greedy(model, source, 8) == first
    model.eval()
    assert greedy(model, source, 8) == first
    assert not model.training


def test_the_mode_comes_back_after_an_error(source):
    model = Transformer(TransformerConfig(vocab_size=11, layers=1, d_model=8, d_ff=8, heads=2)).train()
    with pytest.raises(ConfigError, match="max_extra is -1"):
        greedy(model, source, max_extra=-1)
    assert model.training


def test_a_sentence_without_an_end_stops_at_its_own_length_and_max_extra_more(markov, source):
    table = torch.zeros(1, 11, 11)
    table[..., END] = -9
    lengths = [len(sentence) - 1 for sentence in without_padding(source)]
    assert [len(ids) for ids in greedy(markov(table), source, max_extra=4)] == [length + 4 for length in lengths]
    assert [len(ids) for ids in greedy(markov(table), source)] == [length + 50 for length in lengths]
    assert [len(ids) for ids in greedy(markov(table), source, max_extra=0)] == lengths


def test_padding_and_begin_are_never_said(markov, source):
    table = torch.zeros(1, 11, 11)
    table[..., PADDING] = table[..., BEGIN] = 99
    table[..., 7] = 1
    assert set(sum(greedy(markov(table), source, 2), [])) == {7}


def test_finished_sentences_leave_the_batch(markov, source):
    table = torch.zeros(1, 11, 11)
    table[..., 5] = 1
    model = markov(table)
    greedy(model, source, max_extra=0)  # limits 6, 3, 1, 5, 6, 2
    assert model.rows_seen == [6, 6, 4, 3, 3, 2]  # one of six is too few to pay for the move, one of four is not


def test_learned_positions_end_the_sentence_in_time():
    torch.manual_seed(0)
    sizes = {"vocab_size": 11, "layers": 1, "d_model": 8, "d_ff": 8, "heads": 2}
    model = Transformer(TransformerConfig(**sizes, positions="learned", max_len=9))
    source = torch.tensor([[4, 5, 6, END]])
    assert length_limits(model, source, 50).tolist() == [8]
    assert len(greedy(model, source)[0]) <= 8


def test_nothing_to_do(model):
    assert greedy(model, torch.empty(0, 5, dtype=torch.long)) == []
    assert greedy(model, torch.tensor([[END, PADDING]]), max_extra=0) == [[]]


def test_a_model_that_has_diverged_is_named(model, source):
    with torch.no_grad():
        model.output.weight.fill_(math.nan)
    with pytest.raises(CourseError, match="not finite"):
        greedy(model, source)
