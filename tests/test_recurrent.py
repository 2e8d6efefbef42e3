"""The recurrent translator has the Transformer's interface, and its properties."""

import pytest
import torch

from utils.errors import ConfigError
from utils.recurrent import (
    RecurrentConfig,
    RecurrentDecoder,
    RecurrentTranslator,
    recurrent_parameter_count,
    size_matched,
)
from utils.transformer import BASE, BEGIN, BIG, END, PADDING, TransformerConfig, parameter_counts
from utils.translation import beam_search, greedy, translate_ids

CELLS = "gru", "lstm", "rnn"
KINDS = [(cell, attention, layers) for cell in CELLS for attention in (True, False) for layers in (1, 2)]
MULTI30K = TransformerConfig(vocab_size=8000, layers=4, d_model=128, d_ff=256, heads=4)
SMALL = TransformerConfig(vocab_size=700, layers=2, d_model=64, d_ff=128, heads=4, norm="pre", tying="output")
TINY = TransformerConfig(vocab_size=60, layers=1, d_model=16, d_ff=32, heads=2, dropout=0.2, tying="none")
TARGET = torch.tensor([[BEGIN, 5, 6, 7], [BEGIN, 8, 9, 4]])
SOURCE = torch.tensor([[4, 5, 6, 7, 8, END], [9, 4, END, PADDING, PADDING, PADDING]])


@pytest.fixture(params=KINDS, ids=lambda kind: "-".join(map(str, kind)))
def model(request) -> RecurrentTranslator:
    torch.manual_seed(2)
    cell, attention, layers = request.param
    config = RecurrentConfig(12, cell, attention, layers, d_model=10, d_hidden=8, dropout=0.4)
    return RecurrentTranslator(config).eval()


def test_shapes(model):
    assert model.states(SOURCE, TARGET).shape == (2, 4, 10)
    assert model(SOURCE, TARGET).shape == (2, 4, 12)
    torch.testing.assert_close(model(SOURCE, TARGET), model.output(model.states(SOURCE, TARGET)))


def test_padding_influences_nothing(model):
    wide = model(SOURCE, TARGET)
    torch.testing.assert_close(model(SOURCE[1:, :3], TARGET[1:]), wide[1:])  # not packed against packed
    torch.testing.assert_close(model(SOURCE[:1], TARGET[:1]), wide[:1])
    wider = torch.nn.functional.pad(SOURCE, (0, 3), value=PADDING)
    torch.testing.assert_close(model(wider, TARGET), wide)
    with torch.no_grad():
        model.source_embedding.weight[PADDING] = 100.0
    torch.testing.assert_close(model.states(SOURCE, TARGET), model.states(wider, TARGET))
    torch.testing.assert_close(model.states(SOURCE[1:, :3], TARGET[1:]), model.states(wider, TARGET)[1:])


def test_padding_gets_no_gradient(model):
    model.states(SOURCE, TARGET).square().sum().backward()
    assert model.source_embedding.weight.grad[PADDING].abs().max() == 0
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_the_source_matters_and_order_too(model):
    other = SOURCE.clone()
    other[0, [0, 1]] = SOURCE[0, [1, 0]]
    difference = (model(other, TARGET) - model(SOURCE, TARGET)).abs()
    assert difference[0].max() > 1e-5
    assert difference[1].max() == 0


@pytest.mark.parametrize("training", [False, True])
def test_the_future_changes_nothing_earlier(model, training):
    model.train(training)
    later = TARGET.clone()
    later[:, 2:] = 11
    outputs = []
    for target in (TARGET, later):
        torch.manual_seed(0)  # the same units dropped
        outputs.append(model.states(SOURCE, target))
    torch.testing.assert_close(outputs[0][:, :2], outputs[1][:, :2])
    assert not torch.allclose(outputs[0][:, 2:], outputs[1][:, 2:])


@pytest.mark.parametrize("cache", [True, False])
def test_the_stepper_equals_states(model, cache):
    stepper = model.start(SOURCE, beams=1, cache=cache)
    stepped = torch.stack([stepper.step(TARGET[:, t]) for t in range(TARGET.size(1))], dim=1)
    torch.testing.assert_close(stepped, model(SOURCE, TARGET))


def test_rows_can_be_reordered_and_sentences_dropped(model):
    """Two hypotheses a sentence; they change places, the second becomes two, then the first sentence leaves."""
    prefixes = torch.tensor([[4, 5], [6, 7], [8, 9], [10, 11]])
    with_cache, without = model.start(SOURCE, beams=2), model.start(SOURCE, beams=2, cache=False)
    assert isinstance(with_cache, RecurrentDecoder)
    for stepper in (with_cache, without):
        stepper.step(torch.full((4,), BEGIN))
        stepper.step(prefixes[:, 0])
        stepper.reorder(torch.tensor([1, 0, 3, 3]))
        stepper.step(torch.tensor([7, 5, 9, 11]))
        stepper.keep(torch.tensor([1]))
    expected = model(SOURCE[[1, 1]], torch.tensor([[BEGIN, 10, 9, 4], [BEGIN, 10, 11, 5]]))[:, -1]
    for stepper in (with_cache, without):
        torch.testing.assert_close(stepper.step(torch.tensor([4, 5])), expected)
    assert (with_cache.sentences, with_cache.beams) == (1, 2)


def test_weights_sum_to_one_and_leave_padding_out(model):
    if not model.config.attention:
        with pytest.raises(ConfigError, match="attention = false"):
            model.attention_weights(SOURCE, TARGET)
        return
    weights = model.attention_weights(SOURCE, TARGET)
    assert weights.shape == (2, 4, 6)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 4))
    assert weights[1, :, 3:].abs().max() == 0
    torch.testing.assert_close(model.attention_weights(SOURCE[1:, :3], TARGET[1:]), weights[1:, :, :3])


def test_a_source_of_padding_alone_stays_finite(model):
    empty = torch.tensor([[4, END], [PADDING, PADDING]])
    assert model(empty, TARGET).isfinite().all()
    assert model(torch.full((2, 2), PADDING), TARGET).isfinite().all()


def test_parameters_are_counted_to_the_digit(model):
    for tying in ("three-way", "output", "none"):
        config = RecurrentConfig.from_dict({**model.config.to_dict(), "tying": tying})
        built = RecurrentTranslator(config)
        assert sum(parameter.numel() for parameter in built.parameters()) == recurrent_parameter_count(config)


def test_tying_shares_the_table():
    sizes = {"vocab_size": 12, "d_model": 6, "d_hidden": 4}
    tables = {}
    for tying in ("three-way", "output", "none"):
        model = RecurrentTranslator(RecurrentConfig(**sizes, tying=tying))
        parts = (model.source_embedding, model.target_embedding, model.output)
        tables[tying] = len({id(part.weight) for part in parts})
    assert tables == {"three-way": 1, "output": 2, "none": 3}


@pytest.mark.parametrize("config", [MULTI30K, SMALL, TINY, BASE, BIG], ids=["multi30k", "small", "tiny", "base", "big"])
@pytest.mark.parametrize(("cell", "attention", "layers"), KINDS)
def test_sizes_match_within_two_percent(config, cell, attention, layers):
    matched = size_matched(config, cell, attention, layers)
    wanted = sum(parameter_counts(config).values())
    assert abs(recurrent_parameter_count(matched) - wanted) <= 0.02 * wanted
    assert (matched.cell, matched.attention, matched.layers) == (cell, attention, layers)
    assert (matched.vocab_size, matched.dropout, matched.tying) == (config.vocab_size, config.dropout, config.tying)
    assert abs(matched.d_model - config.d_model) <= (config.d_model // 8 if config is TINY else 0)


def test_a_size_that_cannot_be_matched_is_said():
    with pytest.raises(ConfigError, match="No LSTM with layers = 9 comes within 2 %"):
        size_matched(TransformerConfig(vocab_size=8, layers=1, d_model=2, d_ff=1, heads=1), "lstm", layers=9)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"cell": "elman"}, "cell is 'elman': good values are rnn, gru, lstm"),
        ({"tying": "all"}, "tying is 'all': good values are three-way, output, none"),
        ({"layers": 0}, "layers is 0: good values are whole numbers from 1"),
        ({"d_hidden": 2.5}, "d_hidden is 2.5"),
        ({"dropout": 1.0}, "dropout is 1.0: good values are numbers from 0"),
        ({"attention": "yes"}, "attention is 'yes': good values are true, false"),
    ],
)
def test_a_bad_setting_says_which_are_good(setting, message):
    with pytest.raises(ConfigError, match=message):
        RecurrentConfig(**setting)


def test_the_configuration_survives_json():
    config = RecurrentConfig(vocab_size=9, cell="lstm", attention=False, tying="output")
    assert RecurrentConfig.from_dict(config.to_dict()) == config
    with pytest.raises(ConfigError, match="no setting 'heads': known are attention, cell, d_hidden"):
        RecurrentConfig.from_dict({"heads": 8})


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("attention", [True, False])
def test_learns_to_copy_a_few_sentences(cell, attention):
    torch.manual_seed(0)
    texts = [[4, 5, 6, 7], [7, 7, 4], [8, 6], [5, 9, 8, 6, 4, 10], [10, 9, 8, 7, 6], [4], [6, 5, 4, 4, 5]]
    width = max(map(len, texts)) + 1
    source = torch.tensor([[*text, END, *[PADDING] * (width - len(text) - 1)] for text in texts])
    target = torch.cat([torch.full((len(texts), 1), BEGIN), source[:, :-1]], dim=1)
    model = RecurrentTranslator(RecurrentConfig(11, cell, attention, 1, d_model=16, d_hidden=24, dropout=0.0))
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(200):
        logits = model(source, target)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), source.flatten(), ignore_index=PADDING)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.05
    assert greedy(model, source) == texts
    assert [hypotheses[0].tokens for hypotheses in beam_search(model, source)] == texts
    assert translate_ids(model, texts, beam=3, batch_tokens=9) == texts
