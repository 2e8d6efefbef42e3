"""The experiment of chapter 09: every model trains, is measured, and is written down with where it comes from."""

import json
import math
from pathlib import Path

import pytest
import torch

from utils.experiments.belonging import AGREEMENT, PREFIX, number_twins, questions, rivals, score
from utils.experiments.recurrence import MODELS, SEEDS, as_text, gradient_by_age, make_model, train_one
from utils.text import learn_tokeniser
from utils.text.corpora import Corpus
from utils.training.settings import Settings

RECORD = Path(__file__).parents[2] / "assets/runs/09-translators.json"
SMALL = dict(d_model=16, d_ff=16, heads=2, layers=1, updates=50, batch_tokens=64)
PAIRS = [("the dog sleeps .", "der Hund schläft ."), ("the cat sleeps .", "die Katze schläft .")]


@pytest.fixture
def tokeniser():
    sentences = [pair for kind in (AGREEMENT, PREFIX) for pair, _ in questions(kind, 2, WordsAsTheyAre(), 20)]
    texts = [text for pair in sentences for text in (pair.source, pair.target)]
    return learn_tokeniser("words", [*texts, " ".join(number_twins())], 10_000)


class WordsAsTheyAre:
    """A token for each word and mark."""

    def encode(self, text: str) -> list[int]:
        """As many ids as tokens."""
        from utils.text.grammar import tokenise

        return [4] * len(tokenise(text))


@pytest.mark.parametrize("kind", MODELS)
def test_models_are_equal_in_size_and_train(kind):
    corpus = Corpus("little", {"train": PAIRS * 50, "valid": PAIRS, "test": PAIRS})
    words = learn_tokeniser("words", [text for pair in PAIRS for text in pair], 100)
    model, curve = train_one(kind, 1, corpus, words, **SMALL)
    assert not model.training and curve[-1][0] == 50 and math.isfinite(curve[-1][2])
    size = sum(p.numel() for p in make_model("transformer", Settings(**SMALL), words.vocab_size).parameters())
    assert abs(sum(p.numel() for p in model.parameters()) - size) <= 0.02 * size


@pytest.mark.parametrize("kind", ["transformer", "gru", "lstm", "rnn"])
def test_gradients_are_those_of_one_position(kind):
    torch.manual_seed(0)
    model = make_model(kind, Settings(d_model=16, d_ff=16, heads=2, layers=1), 30).eval()
    tokens = torch.randint(4, 30, (2, 5))
    found = gradient_by_age(model, tokens)
    assert len(found) == 5 and all(norm > 0 for norm in found)
    alone = [gradient_by_age(model, row[None]) for row in tokens]  # the mean over sentences
    assert found == pytest.approx([sum(pair) / 2 for pair in zip(*alone, strict=True)], rel=1e-2)


def test_rivals_of_a_word(tokeniser):
    twins = number_twins()
    assert "schlafen" in twins["schläft"] and "schläft" in twins["schlafen"]
    assert twins["anzieht"] == {"anziehen"} or "anziehen" in twins["anzieht"]
    own = {tokeniser.encode(word)[0] for word in ("ein",)}
    assert not own & set(rivals(PREFIX, "ein", tokeniser, twins))


class Knows(torch.nn.Module):
    """Gives the right word, or with `wrong` never does."""

    def __init__(self, tokeniser, pairs, wrong=False):
        super().__init__()
        self.vocab_size, self.wrong = tokeniser.vocab_size, wrong
        self.answers = {tuple(tokeniser.encode(p.source)): [*tokeniser.encode(p.target), 3] for p in pairs}

    def forward(self, source, target):
        """source: (rows, source_len); target: (rows, target_len). Returns (rows, target_len, vocab_size)."""
        logits = torch.zeros(*target.shape, self.vocab_size)
        for row, ids in enumerate(source.tolist()):
            for at, word in enumerate(self.answers[tuple(token for token in ids if token > 3)]):
                logits[row, at, word] = -1.0 if self.wrong else 1.0
        return logits


@pytest.mark.parametrize("kind", [AGREEMENT, PREFIX])
def test_who_knows_scores_all_and_who_does_not_nothing(kind, tokeniser):
    asked = questions(kind, 2, tokeniser, 20)
    pairs = [pair for pair, _ in asked]
    assert score(Knows(tokeniser, pairs), tokeniser, kind, asked) | {"count": 0} == {
        "beats": 1.0, "first": 1.0, "others": 1.0, "count": 0,
    }  # fmt: skip
    assert score(Knows(tokeniser, pairs, wrong=True), tokeniser, kind, asked)["beats"] == 0.0
    assert score(Knows(tokeniser, pairs), tokeniser, kind, asked)["count"] > 10


def test_the_record_holds_every_training_and_where_it_comes_from():
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    assert {"command", "versions", "hardware", "commit", "settings", "rates"} <= set(record)
    assert {(run["model"], run["seed"]) for run in record["results"]} == {(m, s) for m in MODELS for s in SEEDS}
    assert json.loads(as_text(record)) == record
