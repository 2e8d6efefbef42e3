"""What the grammar knows as cells of maps, and the recorded run of chapter 10 with a training of two updates."""

import json
import sys

import torch

from utils.experiments import looking
from utils.experiments.looking import as_batch, attention_of, even_in, exchanged, without_heads
from utils.experiments.relations import KINDS, RELATIONS, best_offset, gold_links, offset_map, related, relation_cells
from utils.text import learn_tokeniser
from utils.text.grammar import embedded_corpus
from utils.transformer import CLEAR, Transformer, TransformerConfig

TINY = {"d_model": 16, "d_ff": 16, "layers": 1, "warmup": 1}


def pair_of(target):
    return next(pair for pair in embedded_corpus().test if pair.target == target)


def words(pair, kind, relation):
    rows = pair.source_tokens if kind == "encoder" else pair.target_tokens
    columns = ("BEGIN", *pair.target_tokens) if kind == "decoder" else pair.source_tokens
    return {(rows[row], columns[column]) for row, column in related(pair, kind, relation)}


def test_relations_are_those_of_the_trees():
    pair = pair_of("Maria warf diesen weißen Schuh weg, als ich in der Stadt lachte.")
    assert words(pair, "encoder", "prefix") == {("away", "threw")}
    assert words(pair, "encoder", "noun") == {("this", "shoe"), ("the", "city")}
    assert words(pair, "encoder", "verb") == {("Maria", "threw"), ("I", "laughed")}
    assert words(pair, "decoder", "prefix") == {("weg", "warf")}
    assert words(pair, "decoder", "noun") == {("Schuh", "diesen"), ("Stadt", "der")}
    assert words(pair, "decoder", "verb") == {("warf", "Maria"), ("lachte", "ich")}
    assert words(pair, "cross", "prefix") == {("weg", "threw"), ("weg", "away")}
    assert words(pair, "cross", "noun") == {("diesen", "shoe"), ("der", "city")}
    assert words(pair, "cross", "verb") == {("warf", "Maria"), ("lachte", "I")}


def test_sure_links_are_those_of_words_with_one_partner():
    pair = pair_of("Maria warf diesen weißen Schuh weg, als ich in der Stadt lachte.")
    sure, possible = gold_links([pair])
    warf, schuh, comma = (pair.target_tokens.index(word) for word in ("warf", "Schuh", ","))
    assert possible[0, warf].sum() == 2 and not sure[0, warf].any()
    assert sure[0, schuh].nonzero().flatten().tolist() == [pair.source_tokens.index("shoe")]
    assert not possible[0, comma].any() and not (sure & ~possible).any()


def test_offsets_are_counted_from_the_row():
    pairs = embedded_corpus().valid[:60]
    for kind in KINDS:
        for relation in RELATIONS:
            cells = relation_cells(pairs, kind, relation)
            assert offset_map(pairs, kind).shape == cells.shape
            best = best_offset(pairs, kind, relation)
            hits = {by: int((offset_map(pairs, kind, by).bool() & cells).sum()) for by in (best - 1, best, best + 1)}
            assert max(hits.values()) == hits[best]
    assert best_offset(pairs, "encoder", "noun") == 1 and best_offset(pairs, "decoder", "noun") == -1


def model_and_batch():
    pairs = embedded_corpus().test[:3]
    tokeniser = learn_tokeniser("words", [text for pair in pairs for text in (pair.source, pair.target)], 100)
    torch.manual_seed(0)
    model = Transformer(TransformerConfig(tokeniser.vocab_size, 2, 16, 16, 4, dropout=0.0), CLEAR).eval()
    return model, as_batch(tokeniser, pairs)


@torch.no_grad()
def test_pruned_and_exchanged_models_are_put_back():
    model, batch = model_and_batch()
    before = model(*batch)
    with without_heads(model, "cross", 1, [2]):
        assert not torch.allclose(model(*batch), before)
    with exchanged(attention_of(model, "cross", 1), even_in(2)):
        assert not torch.allclose(model(*batch), before)
    with exchanged(attention_of(model, "decoder", 0), lambda weights: weights):
        torch.testing.assert_close(model(*batch), before)
    torch.testing.assert_close(model(*batch), before)
    assert not any(module._forward_hooks for module in model.modules())


def test_the_experiment_writes_what_it_found(tmp_path, monkeypatch):
    out = tmp_path / "found.json"
    monkeypatch.setattr(looking, "SETTINGS", {**looking.SETTINGS, **TINY})
    monkeypatch.setattr(looking, "measured", lambda seed, updates: {"seed": seed, "updates": updates, "bleu": 1.0})
    monkeypatch.setattr(sys, "argv", ["looking", "--out", str(out), "--seeds", "1", "4"])
    looking.main()
    record = json.loads(out.read_text(encoding="utf-8"))
    assert [result["seed"] for result in record["results"]] == [1, 4]
    assert record["command"].startswith("python -m utils.experiments.looking") and record["settings"]["d_model"] == 16
