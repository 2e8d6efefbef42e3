"""Masks: True = may attend."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from utils.transformer import PADDING, causal_mask, padding_mask


def test_padding_mask_marks_real_tokens():
    tokens = torch.tensor([[5, 6, PADDING], [7, PADDING, PADDING]])
    mask = padding_mask(tokens)
    assert mask.shape == (2, 1, 1, 3) and mask.dtype == torch.bool
    assert mask[:, 0, 0].tolist() == [[True, True, False], [True, False, False]]
    assert padding_mask(tokens, padding_id=5)[0, 0, 0].tolist() == [False, True, True]


@given(st.integers(1, 12))
def test_causal_mask_looks_back_and_never_ahead(length):
    mask = causal_mask(length)
    assert mask.shape == (1, 1, length, length) and mask.dtype == torch.bool
    for query in range(length):
        assert mask[0, 0, query].tolist() == [key <= query for key in range(length)]
