"""Wrong answers that once passed a check of chapters 00 to 04, or passed it for some seeds: none does any more. And
right ones of kinds that are easily rejected.
"""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from utils.exercises import exercise
from utils.exercises.chapter_04.references import as_torch_mask, heads_by_loop
from utils.transformer import MultiHeadAttention, OutputLayer, scaled_dot_product_attention


def shifted_by(middle):
    """A softmax that subtracts something else than the largest score."""

    def softmax(scores):
        exponentials = (scores - middle(scores)).exp()
        return exponentials / exponentials.sum(-1, keepdim=True)

    return softmax


def clamped(scores):
    exponentials = (scores - scores.amax(-1, keepdim=True)).clamp(min=-15).exp()
    return exponentials / exponentials.sum(-1, keepdim=True)


def capitalised_if_unknown(words, vocabulary):
    return [2, *(vocabulary.get(word, vocabulary.get(word.capitalize(), 1)) for word in words), 3]


class BiasBesideTheTable(OutputLayer):
    def __init__(self, vocab_size, d_model, tied_to=None):
        super().__init__(vocab_size, d_model, tied_to)
        if tied_to is not None:
            self.bias = nn.Parameter(torch.zeros(vocab_size))

    def forward(self, states):
        return super().forward(states) + getattr(self, "bias", 0)


class FrozenInTraining(OutputLayer):
    def forward(self, states):
        return F.linear(states, self.weight.detach() if self.training else self.weight)


def blocks(query, key, value, block_size, largest_of):
    pairs = list(zip(key.split(block_size, -2), value.split(block_size, -2), strict=True))
    scores = [query @ keys.mT / math.sqrt(query.size(-1)) for keys, _ in pairs]
    largest = largest_of(scores)
    weights = [(score - largest).exp() for score in scores]
    mixed = sum(weight @ values for weight, (_, values) in zip(weights, pairs, strict=True))
    return mixed / sum(weight.sum(-1, keepdim=True) for weight in weights)


def largest_of_all(query, key, value, block_size):
    return blocks(query, key, value, block_size, lambda scores: max(score.max() for score in scores))


def no_more_than_one_batch_axis(query, key, value, *weights):
    if query.dim() > 3:
        query, key, value = query[0], key[0], value[0]
    return heads_by_loop(query, key, value, *weights)


def two_sentences(joined, heads):
    halves = [sentence.unflatten(-1, (heads, -1)).transpose(0, 1) for sentence in (joined[0], joined[-1])]
    return torch.stack(halves[: len(joined)])


class QueriesHiddenToo(MultiHeadAttention):
    """Padded queries see nothing: the mask is made symmetrical."""

    def forward(self, query, key, value, mask=None):
        if mask is not None and mask.size(-2) == 1 and query.size(1) == key.size(1):
            mask = mask & mask.mT
        return super().forward(query, key, value, mask)


def opened_where_all_is_blocked(mask, batch, heads, target_len):
    blocked = as_torch_mask(mask, batch, heads, target_len)
    return blocked & ~blocked.all(-1, keepdim=True)


WRONG = {
    "0.1 minus the median": ("0.1", shifted_by(lambda s: s.median(-1, keepdim=True).values), None),
    "0.1 minus the mean": ("0.1", shifted_by(lambda s: s.mean(-1, keepdim=True)), None),
    "0.1 clamped": ("0.1", clamped, None),
    "1.1 capitalised": ("1.1", capitalised_if_unknown, None),
    "1.5 a bias when tied": ("1.5", BiasBesideTheTable, "no bias"),
    "1.5 frozen in training": ("1.5", FrozenInTraining, "gradient"),
    "3.6 one number for all queries": ("3.6", largest_of_all, "of each query"),
    "4.1 the first of many batches": ("4.1", no_more_than_one_batch_axis, "shape"),
    "4.2 two sentences in mind": ("4.2", two_sentences, "shape"),
    "4.4 padding hides queries too": ("4.4", QueriesHiddenToo, "hides keys"),
    "4.6 opened where all is blocked": ("4.6", opened_where_all_is_blocked, "may attend to nothing"),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=list(WRONG))
def test_wrong_answers_are_rejected(wrong, rejected):
    rejected(*wrong)


def table_by_rows(length, d_model):
    return torch.stack([exercise("2.1").reference(position, d_model) for position in range(length)])


def softmax_of_logarithms(scores):
    return (scores - scores.logsumexp(-1, keepdim=True)).exp()


def merged_blocks(query, key, value, block_size):
    """Each block's own softmax, put together by the blocks' sums."""
    outputs, sums = [], []
    for keys, values in zip(key.split(block_size, -2), value.split(block_size, -2), strict=True):
        scores = query @ keys.mT / math.sqrt(query.size(-1))
        sums.append(scores.logsumexp(-1, keepdim=True))
        outputs.append(scores.softmax(-1) @ values)
    return (torch.stack(sums).softmax(0) * torch.stack(outputs)).sum(0)


class OneHotLookUp(nn.Module):
    def __init__(self, vocab_size, d_model):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(vocab_size, d_model) / d_model**0.5)

    def forward(self, tokens):
        return F.one_hot(tokens.long(), len(self.weight)).float() @ self.weight * self.weight.size(1) ** 0.5


class LinearShared(nn.Linear):
    def __init__(self, vocab_size, d_model, tied_to=None):
        super().__init__(d_model, vocab_size, bias=False)
        if tied_to is not None:
            self.weight = tied_to.weight
        else:
            nn.init.xavier_normal_(self.weight)


class SentenceBySentence(MultiHeadAttention):
    def forward(self, query, key, value, mask=None):
        masks = [None] * len(query) if mask is None else mask.expand(len(query), -1, -1, -1).split(1)
        parts = zip(query.split(1), key.split(1), value.split(1), masks, strict=True)
        outputs, weights = zip(*(super(SentenceBySentence, self).forward(*part) for part in parts), strict=True)
        return torch.cat(outputs), torch.cat(weights)


class MaskMadeWhereNoneIs(MultiHeadAttention):
    def forward(self, query, key, value, mask=None):
        everything = torch.ones(1, 1, query.size(1), key.size(1), dtype=torch.bool)
        return super().forward(query, key, value, everything if mask is None else mask)


def groups_as_an_axis(query, key, value, mask=None):
    groups, target_len, source_len = key.size(1), query.size(2), key.size(2)
    if mask is not None:
        mask = mask.expand(*query.shape[:2], target_len, source_len).unflatten(1, (groups, -1))
    parts = query.unflatten(1, (groups, -1)), key[:, :, None], value[:, :, None]
    return tuple(part.flatten(1, 2) for part in scaled_dot_product_attention(*parts, mask))


RIGHT = {
    "0.1 by logarithms": ("0.1", softmax_of_logarithms),
    "1.4 by one-hot vectors": ("1.4", OneHotLookUp),
    "1.5 a linear layer": ("1.5", LinearShared),
    "2.2 row by row": ("2.2", table_by_rows),
    "3.6 the row's largest": ("3.6", merged_blocks),
    "4.4 sentence by sentence": ("4.4", SentenceBySentence),
    "4.4 a mask where none is": ("4.4", MaskMadeWhereNoneIs),
    "4.7 groups as an axis": ("4.7", groups_as_an_axis),
}


@pytest.mark.parametrize("right", RIGHT.values(), ids=list(RIGHT))
def test_right_answers_pass(right, accepted):
    accepted(*right)
