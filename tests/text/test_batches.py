"""Batches: nothing lost, nothing doubled, budget kept, the same again for the same seed."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from utils.errors import ConfigError, DataError
from utils.text.batches import TokenBatches, bucket_iterator, padding_share, source_batch
from utils.text.tokenise import learn_tokeniser

WORDS = [f"w{i}" for i in range(40)]
TOKENISER = learn_tokeniser("words", WORDS, 100)
pairs_strategy = st.lists(
    st.tuples(*[st.lists(st.sampled_from(WORDS), min_size=1, max_size=14).map(" ".join)] * 2), min_size=1, max_size=60
)


def sentences(batches):
    """The (source, target) texts in some batches."""
    found = []
    for batch in batches:
        for source, target in zip(batch.source.tolist(), batch.target_output.tolist(), strict=True):
            found.append((TOKENISER.decode(source), TOKENISER.decode(target)))
    return found


@given(pairs_strategy, st.integers(16, 200), st.integers(0, 5), st.booleans())
def test_every_pair_comes_exactly_once_within_the_budget(pairs, budget, epoch, shuffle):
    batches = list(TokenBatches(pairs, TOKENISER, budget, seed=3).epoch(epoch, shuffle))
    assert sorted(sentences(batches)) == sorted(pairs)
    assert all(max(batch.target_output.numel(), batch.source.numel()) <= budget for batch in batches)


@given(pairs_strategy)
def test_input_is_the_output_shifted_right(pairs):
    for batch in TokenBatches(pairs, TOKENISER, 100).epoch(0):
        for source, shifted, output in zip(
            batch.source.tolist(), batch.target_input.tolist(), batch.target_output.tolist(), strict=True
        ):
            length = output.index(3) + 1
            assert shifted[:length] == [2, *output[: length - 1]]
            assert set(shifted[length:]) | set(output[length:]) <= {0}
            assert source[source.index(3) + 1 :] == [0] * (len(source) - source.index(3) - 1)
        assert batch.target_tokens == int((batch.target_output != 0).sum())


def many_pairs(count=400):
    generator = torch.Generator().manual_seed(1)

    def sentence():
        length = int(torch.randint(1, 15, (1,), generator=generator))
        return " ".join(WORDS[i] for i in torch.randint(0, 40, (length,), generator=generator))

    return [(sentence(), sentence()) for _ in range(count)]


def test_same_seed_and_epoch_same_order_and_others_differ():
    plans = [
        [rows.tolist() for rows in TokenBatches(many_pairs(), TOKENISER, 120, seed).plan(epoch)]
        for seed, epoch in ((1, 0), (1, 0), (1, 1), (2, 0))
    ]
    assert plans[0] == plans[1]
    assert plans[0] != plans[2] and plans[0] != plans[3]


def test_sorting_leaves_little_target_padding():
    batches = TokenBatches(many_pairs(2000), TOKENISER, 200)
    assert padding_share(batches.epoch(0)) < 0.05
    shuffled = [batches.make(torch.arange(i, i + 20)) for i in range(0, 2000, 20)]
    assert padding_share(shuffled) > 0.3


def test_long_pairs_are_left_out_and_counted():
    pairs = [("w1", "w2"), (" ".join(WORDS), "w3")]
    batches = TokenBatches(pairs, TOKENISER, 100, max_tokens=10)
    assert (len(batches), batches.left_out) == (1, 1)
    with pytest.raises(DataError, match="raise --batch-tokens"):
        TokenBatches(pairs[1:], TOKENISER, 16)


def test_source_batch_ends_each_sentence():
    ids = source_batch(TOKENISER, ["w1 w2", "w3"])
    assert ids.tolist() == [[*TOKENISER.encode("w1 w2"), 3], [*TOKENISER.encode("w3"), 3, 0]]


def test_torchtext_iterator_keeps_the_budget_and_loses_nothing():
    pairs = many_pairs()
    found, fields = 0, []
    for batch in bucket_iterator(pairs, TOKENISER, 150):
        assert batch.source.numel() <= 150 and batch.target.numel() <= 150
        assert batch.target[:, 0].eq(2).all()
        found += batch.source.size(0)
        fields += [TOKENISER.decode(row) for row in batch.source.tolist()]
    assert found == len(pairs)
    assert sorted(fields) == sorted(source for source, _ in pairs)
    with pytest.raises(ConfigError, match="from 1"):
        bucket_iterator(pairs, TOKENISER, 0)
