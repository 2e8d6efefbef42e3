"""Which entries a search looks at: the quick search for the largest finds what topk finds."""

import math

import pytest
import torch

from utils.transformer.masks import BEGIN, END, PADDING
from utils.translation.ranking import largest, without_specials


@pytest.mark.parametrize("width", [40, 640, 1000, 10_007])
@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_the_quick_search_for_the_largest_is_exact(width, count):
    scores = torch.randn(17, width, generator=torch.Generator().manual_seed(width))
    scores[:, : width // 3] = -math.inf
    scores[0, -count:] = 9.0 + torch.arange(count)  # all of them in the last chunk
    values, indices = largest(scores, count)
    expected_values, expected_indices = scores.topk(count)
    assert torch.equal(values, expected_values)
    assert torch.equal(indices, expected_indices)


def test_padding_and_begin_are_ruled_out():
    logits = without_specials(torch.zeros(2, 6))
    assert logits[:, [PADDING, BEGIN]].eq(-math.inf).all()
    assert logits[:, [END, 4, 5]].eq(0).all()
