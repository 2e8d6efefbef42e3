"""A configuration refuses what cannot work and names what can."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.errors import ConfigError
from utils.transformer import BASE, BIG, TransformerConfig

COUNTS = ("vocab_size", "layers", "d_model", "d_ff", "heads", "max_len")


def test_base_and_big_are_those_of_table_3():
    assert (BASE.layers, BASE.d_model, BASE.d_ff, BASE.heads, BASE.dropout) == (6, 512, 2048, 8, 0.1)
    assert (BIG.layers, BIG.d_model, BIG.d_ff, BIG.heads, BIG.dropout) == (6, 1024, 4096, 16, 0.3)


def test_it_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        BASE.layers = 2


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", [0, -1, 1.5, "8", None])
def test_sizes_are_whole_numbers(name, value):
    with pytest.raises(ConfigError, match=f"{name} is .*: good values are whole numbers from 1"):
        TransformerConfig(**{name: value})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"heads": 7}, "heads is 7: good values are 1, 2, 4, 8, 16, 32, 64, which divide 512"),
        ({"d_model": 12, "heads": 5}, "heads is 5: good values are 1, 2, 3, 4, 6, 12, which divide 12"),
        ({"d_k": 0}, "d_k is 0: good values are whole numbers from 1, or none"),
        ({"d_v": -3}, "d_v is -3: good values are whole numbers from 1, or none"),
        ({"dropout": 1.0}, "dropout is 1.0: good values are numbers from 0 up to, but not including, 1"),
        ({"dropout": -0.1}, "dropout is -0.1: good values are"),
        ({"dropout": float("nan")}, "dropout is nan: good values are"),
        ({"norm": "both"}, "norm is 'both': good values are post, pre"),
        ({"positions": "none"}, "positions is 'none': good values are sinusoidal, learned"),
        ({"tying": "all"}, "tying is 'all': good values are three-way, output, none"),
        ({"d_model": 9, "heads": 3}, "d_model is 9: good values are even"),
    ],
    ids=str,
)
def test_every_other_field_names_its_good_values(settings, words):
    with pytest.raises(ConfigError, match=words):
        TransformerConfig(**settings)


NOT_CAUGHT = [{"d_k": 2.5}, {"d_v": "8"}, {"d_k": True}, {"vocab_size": True}, {"dropout": "0.1"}, {"dropout": None}]
NOT_CAUGHT += [{"attention_bias": "no"}, {"attention_bias": None}]


@pytest.mark.parametrize("settings", NOT_CAUGHT, ids=str)
def test_types_that_cannot_work_name_the_good_values(settings):
    with pytest.raises(ConfigError, match="good values are"):
        TransformerConfig(**settings)


def test_heads_need_not_divide_where_both_widths_are_given():
    assert TransformerConfig(d_model=10, heads=3, d_k=4, d_v=4).heads == 3
    with pytest.raises(ConfigError, match="heads is 3"):
        TransformerConfig(d_model=10, heads=3, d_k=4)


def test_odd_widths_do_for_learned_positions():
    assert TransformerConfig(d_model=9, heads=3, positions="learned").d_model == 9


@given(st.integers(1, 9), st.sampled_from(["post", "pre"]), st.sampled_from([None, 3]))
def test_a_dictionary_and_back(layers, norm, d_k):
    config = TransformerConfig(layers=layers, norm=norm, d_k=d_k)
    assert TransformerConfig.from_dict(config.to_dict()) == config


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ConfigError, match="no setting 'depth': known are attention_bias, d_ff, .* vocab_size"):
        TransformerConfig.from_dict({"depth": 3})
