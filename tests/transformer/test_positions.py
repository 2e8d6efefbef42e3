"""Sinusoids against the formula and their rotation property; learned positions."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.errors import ConfigError, ShapeError
from utils.transformer import LearnedPositions, SinusoidalPositions, sinusoidal_table


@given(st.integers(0, 6000), st.integers(1, 40), st.data())
@settings(max_examples=50)
def test_table_equals_the_formula(position, half, data):
    d_model = 2 * half
    i = data.draw(st.integers(0, half - 1))
    angle = position / 10000 ** (2 * i / d_model)
    row = sinusoidal_table(position + 1, d_model)[position]
    assert row[2 * i].item() == pytest.approx(math.sin(angle), abs=1e-6)
    assert row[2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-6)


@given(st.integers(0, 400), st.integers(0, 50))
@settings(max_examples=30)
def test_moving_by_k_is_one_rotation_wherever_one_stands(position, offset):
    d_model = 12
    table = sinusoidal_table(position + offset + 1, d_model).double()
    rotation = torch.zeros(d_model, d_model, dtype=torch.float64)  # M_k of PE[pos + k] = M_k PE[pos]
    for i in range(d_model // 2):
        angle = offset / 10000 ** (2 * i / d_model)
        sine, cosine = math.sin(angle), math.cos(angle)
        rotation[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = torch.tensor([[cosine, sine], [-sine, cosine]])
    torch.testing.assert_close(rotation @ table[position], table[position + offset], atol=1e-6, rtol=0)


def test_root_mean_square_is_the_root_of_one_half():
    assert sinusoidal_table(100, 64).square().mean().sqrt().item() == pytest.approx(0.5**0.5)


@given(st.integers(1, 30), st.integers(0, 40))
@settings(max_examples=30)
def test_the_table_grows_and_keeps_what_it_had(length, start):
    positions = SinusoidalPositions(6, max_len=8)
    embedded = torch.randn(2, length, 6)
    want = embedded + sinusoidal_table(start + length, 6)[start:]
    torch.testing.assert_close(positions(embedded, start=start), want)
    torch.testing.assert_close(positions(embedded[:, :1])[:, 0], embedded[:, 0] + sinusoidal_table(1, 6)[0])


def test_sinusoids_have_neither_parameters_nor_state():
    positions = SinusoidalPositions(6)
    assert not list(positions.parameters()) and not positions.state_dict()


def test_grown_table_keeps_the_type():
    positions = SinusoidalPositions(4, max_len=2).double()
    assert positions(torch.zeros(1, 9, 4, dtype=torch.float64)).dtype == torch.float64


def test_odd_widths_are_refused_with_a_good_one():
    with pytest.raises(ConfigError, match="even d_model, not 7: use 8"):
        sinusoidal_table(3, 7)


def test_learned_positions_add_their_rows_and_train():
    positions = LearnedPositions(4, max_len=6)
    embedded = torch.randn(2, 3, 4)
    torch.testing.assert_close(positions(embedded, start=2), embedded + positions.table[2:5])
    positions(embedded, start=2).sum().backward()
    assert positions.table.grad.sum(1).tolist() == [0, 0, 8, 8, 8, 0]


def test_learned_positions_end_with_a_sentence():
    positions = LearnedPositions(4, max_len=6)
    positions(torch.zeros(1, 6, 4))
    with pytest.raises(ShapeError, match="end at 6 and this text needs 7: set max_len to at least 7"):
        positions(torch.zeros(1, 3, 4), start=4)
