"""From text to text: order, batches, blanks."""

import pytest
import torch

from utils.errors import ConfigError
from utils.transformer import END, PADDING
from utils.translation import beam_search, greedy, translate, translate_ids
from utils.translation.translate import length_batches, padded


class Letters:
    """A tokeniser of the letters a … g."""

    def encode(self, text):
        return [4 + "abcdefg".index(letter) for letter in text.replace(" ", "")]

    def decode(self, ids):
        return " ".join("·?··abcdefg"[token] for token in ids)


SENTENCES = ["a b c", "", "g", "d e f g a b", "  ", "b a", "\n", "c c c c c", "g f e d"]


def test_order_is_kept_and_batching_changes_nothing(model):
    expected = []
    for sentence in SENTENCES:
        ids = Letters().encode(sentence.strip())
        best = beam_search(model, torch.tensor([[*ids, END]]), max_extra=5, exact=False)[0][0].tokens if ids else []
        expected.append(Letters().decode(best))
    for batch_tokens in (1, 12, 2048):
        found = translate(model, Letters(), SENTENCES, max_extra=5, batch_tokens=batch_tokens)
        assert found == expected
    assert [found[index] for index in (1, 4, 6)] == ["", "", ""]


def test_beam_one_is_greedy(model):
    sources = [[4, 5, 6], [7], [], [8, 9]]
    found = translate_ids(model, sources, beam=1, max_extra=5)
    assert found == [greedy(model, torch.tensor([[*ids, END]]), 5)[0] if ids else [] for ids in sources]


def test_blank_text_needs_no_model():
    model = torch.nn.Linear(1, 1)  # would fail if it were asked
    assert translate(model, Letters(), ["", "  ", "\t"]) == ["", "", ""]
    assert translate(model, Letters(), []) == []


def test_progress_counts_sentences_up_to_all_of_them(model):
    calls = []
    translate(model, Letters(), SENTENCES, batch_tokens=8, progress=lambda done, total: calls.append((done, total)))
    assert calls == sorted(calls)
    assert calls[-1] == (9, 9)
    assert len(calls) == 5  # of 7 · 1, 6 · 1, 5 · 1, 4 · 1 and 3 · 2 tokens


def test_batches_keep_to_the_budget_and_hold_every_source_once():
    generator = torch.Generator().manual_seed(0)
    sources = [[4] * int(torch.randint(0, 30, (1,), generator=generator)) for _ in range(200)]
    batches = list(length_batches(sources, 100))
    assert sorted(sum(batches, [])) == [index for index, source in enumerate(sources) if source]
    sizes = [padded([sources[index] for index in batch]).numel() for batch in batches]
    assert max(sizes) <= 100
    assert min(sizes[:-1]) > 60  # and none is split for nothing
    assert [len(batch) for batch in length_batches([[4] * 500, [5] * 400], 100)] == [1, 1]


def test_sources_are_closed_and_padded():
    assert padded([[4], [5, 6, 7]]).tolist() == [[4, END, PADDING, PADDING], [5, 6, 7, END]]


def test_a_budget_that_cannot_work_is_named():
    with pytest.raises(ConfigError, match="batch_tokens is 0"):
        translate_ids(torch.nn.Linear(1, 1), [[4]], batch_tokens=0)
