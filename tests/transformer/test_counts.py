"""Counted, built and reported parameters (Table 3)."""

from dataclasses import replace

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from utils.errors import ConfigError
from utils.transformer import BASE, BIG, Transformer, TransformerConfig, parameter_counts
from utils.transformer.counts import implied_vocabulary


def built(config: TransformerConfig) -> int:
    """Parameters of the model itself, made without memory."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in Transformer(config).parameters())


@given(st.data())
@settings(max_examples=60)
def test_formula_equals_the_built_model(data):
    size = st.integers(1, 7)
    heads, half = data.draw(size), data.draw(size)
    own_widths = data.draw(st.booleans())
    d_model = 2 * half if own_widths else 2 * half * heads
    config = TransformerConfig(
        vocab_size=data.draw(st.integers(1, 50)),
        layers=data.draw(st.integers(1, 3)),
        d_model=d_model,
        d_ff=data.draw(size),
        heads=heads,
        d_k=data.draw(size) if own_widths else None,
        d_v=data.draw(size) if own_widths else None,
        norm=data.draw(st.sampled_from(["post", "pre"])),
        positions=data.draw(st.sampled_from(["sinusoidal", "learned"])),
        max_len=data.draw(st.integers(1, 20)),
        tying=data.draw(st.sampled_from(["three-way", "output", "none"])),
        attention_bias=data.draw(st.booleans()),
    )
    assert sum(parameter_counts(config).values()) == built(config)


def test_base_and_big_to_the_digit():
    for config, with_biases, without in ((BASE, 63_082_496, 63_045_632), (BIG, 214_245_376, 214_171_648)):
        assert sum(parameter_counts(config).values()) == built(config) == with_biases
        assert sum(parameter_counts(replace(config, attention_bias=False)).values()) == without


# Table 3: what each row changes, and the millions of parameters it reports. Row (A) reports none: it "keeps the amount
# of computation constant", and the parameters with it, so it stands here with base's 65.
TABLE_3 = {
    "base": (BASE, 65),
    "A, h = 1": (replace(BASE, heads=1, d_k=512, d_v=512), 65),
    "A, h = 4": (replace(BASE, heads=4, d_k=128, d_v=128), 65),
    "A, h = 16": (replace(BASE, heads=16, d_k=32, d_v=32), 65),
    "A, h = 32": (replace(BASE, heads=32, d_k=16, d_v=16), 65),
    "B, d_k = 16": (replace(BASE, d_k=16), 58),
    "B, d_k = 32": (replace(BASE, d_k=32), 60),
    "C, N = 2": (replace(BASE, layers=2), 36),
    "C, N = 4": (replace(BASE, layers=4), 50),
    "C, N = 8": (replace(BASE, layers=8), 80),
    "C, d_model = 256": (replace(BASE, d_model=256, d_k=32, d_v=32), 28),
    "C, d_model = 1024": (replace(BASE, d_model=1024, d_k=128, d_v=128), 168),
    "C, d_ff = 1024": (replace(BASE, d_ff=1024), 53),
    "C, d_ff = 4096": (replace(BASE, d_ff=4096), 90),
    "big": (BIG, 213),
}


def test_row_a_changes_no_count():
    counts = {sum(parameter_counts(config).values()) for name, (config, _) in TABLE_3.items() if name.startswith("A")}
    assert counts == {63_082_496}


@pytest.mark.parametrize("row", TABLE_3)
def test_implied_vocabulary_is_where_rounding_turns(row):
    config, millions = TABLE_3[row]
    smallest, largest = implied_vocabulary(config, millions)
    for vocab_size, inside in ((smallest - 1, False), (smallest, True), (largest, True), (largest + 1, False)):
        count = built(replace(config, vocab_size=vocab_size))
        assert ((millions - 0.5) * 1e6 <= count < (millions + 0.5) * 1e6) == inside


@pytest.mark.parametrize(
    ("bias", "explains_all", "big"),
    [(True, (40_932, 41_160), (35_296, 36_272)), (False, (41_004, 41_208), (35_368, 36_344))],
)
def test_one_interval_of_vocabularies_explains_every_row_but_big(bias, explains_all, big):
    ranges = {
        row: implied_vocabulary(replace(config, attention_bias=bias), millions)
        for row, (config, millions) in TABLE_3.items()
    }
    assert ranges.pop("big") == big
    smallest, largest = max(low for low, _ in ranges.values()), min(high for _, high in ranges.values())
    assert (smallest, largest) == explains_all
    assert big[1] < smallest  # no vocabulary explains big as well
    # The "about 37 000" of §5.1 lies below what each row needs, and above what big needs.
    assert all(low > 37_000 for low, _ in ranges.values()) and big[1] < 37_000


def test_the_vocabulary_of_the_configuration_plays_no_part():
    assert implied_vocabulary(replace(BASE, vocab_size=1), 65) == implied_vocabulary(BASE, 65) == (39_769, 41_721)


@given(st.integers(1, 100_000), st.sampled_from(["three-way", "output", "none"]))
@settings(max_examples=30)
def test_a_vocabulary_lies_in_the_range_that_its_count_implies(vocab_size, tying):
    config = replace(BASE, vocab_size=vocab_size, tying=tying)
    millions = int(sum(parameter_counts(config).values()) / 1e6 + 0.5)
    assume(millions > 0)
    smallest, largest = implied_vocabulary(config, millions)
    assert smallest <= vocab_size <= largest


def test_an_impossible_report_says_so():
    with pytest.raises(ConfigError, match="No vocabulary .* 20 million.* above"):
        implied_vocabulary(BASE, 20)
