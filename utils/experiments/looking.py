"""What the heads of a small translator look at, measured against the grammar that made its corpus.

    python -m utils.experiments.looking --out assets/runs/10-looking.json

trains a translator for each seed and each length of training, and writes down alignment error rates, what each head
finds, and the BLEU that is left without it. Chapter 10 shows it and uses the same functions.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from utils.exercises.chapter_10.references import alignment_error_rate, found, maps_of, pruned
from utils.experiments.relations import KINDS, RELATIONS, best_offset, gold_links, offset_map, relation_cells
from utils.text import load_corpus, source_batch
from utils.text.grammar import Pair, embedded_corpus
from utils.text.tokenise import WordTokeniser
from utils.training.origin import origin
from utils.training.runs import write_text
from utils.training.short import ShortRun, train_briefly
from utils.transformer import BEGIN, CLEAR, PADDING, Transformer
from utils.transformer.attention import join_heads, split_heads
from utils.translation import score, translate

SETTINGS = {"d_model": 64, "d_ff": 128, "batch_tokens": 1024, "warmup": 100, "peak": 6e-3}
SEEDS, UPDATES = (1, 2, 3), (500,)
SENTENCES, TRANSLATED = 500, 500  # for maps; for BLEU


# the model, and pairs as tensors ──────────────────────────────────────────────────────────────────────────────────


@cache
def data() -> tuple:
    """The embedded corpus, as the trainer takes it and with its trees and alignments."""
    return load_corpus("embedded"), embedded_corpus()


def clear_copy(model: Transformer) -> Transformer:
    """The same model made of clear parts, whose attentions return their weights; in evaluation mode."""
    copy = Transformer(model.config, CLEAR).to(next(model.parameters()).device)
    copy.load_state_dict(model.state_dict())
    return copy.eval()


def as_batch(tokeniser: WordTokeniser, pairs: Sequence[Pair]) -> tuple[Tensor, Tensor]:
    """(source, target) ids, padded: the source closed by END, the target opened by BEGIN as the decoder reads it."""
    targets = [torch.tensor([BEGIN, *tokeniser.encode(pair.target)]) for pair in pairs]
    return source_batch(tokeniser, [pair.source for pair in pairs]), pad_sequence(targets, batch_first=True)


# without some heads ───────────────────────────────────────────────────────────────────────────────────────────────


def attention_of(model: nn.Module, kind: str, layer: int) -> nn.Module:
    """One attention of a model: kind is one of KINDS."""
    stack = model.encoder if kind == "encoder" else model.decoder
    return stack.layers[layer].cross_attention if kind == "cross" else stack.layers[layer].self_attention


@contextmanager
def without_heads(model: nn.Module, kind: str, layer: int, silenced: list[int]) -> Iterator[None]:
    """Within it, some heads are pruned; afterwards all is as it was."""
    attention = attention_of(model, kind, layer)
    weight = attention.output_projection.weight
    kept = weight.detach().clone()
    with torch.no_grad():
        weight.copy_(pruned(kept, attention.heads, silenced))
    try:
        yield
    finally:
        with torch.no_grad():
            weight.copy_(kept)


def bleu_without(run: ShortRun, kind: str, layer: int, silenced: list[int], sentences: int = TRANSLATED) -> float:
    """BLEU of greedy translations of the first test sentences by a model without these heads."""
    pairs = run.corpus.split("test")[:sentences]
    with without_heads(run.model, kind, layer, silenced):
        output = translate(run.model, run.tokeniser, [source for source, _ in pairs], beam=1)
    return score(output, [target for _, target in pairs]).bleu


# with other weights ───────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def exchanged(attention: nn.Module, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Within it, a clear attention hands on what it would with other weights; `change` gets and gives its weights,
    (batch, heads, query_len, key_len).
    """

    def hook(module: nn.Module, inputs: tuple, result: tuple) -> tuple:
        value = split_heads(module.value_projection(inputs[2]), module.heads)
        weights = change(result[1])
        return module.output_projection(join_heads(weights @ value)), weights

    handle = attention.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def even_in(head: int) -> Callable[[Tensor], Tensor]:
    """A change of weights: in one head, the same for every key that may be seen."""

    def change(weights: Tensor) -> Tensor:
        changed, seen = weights.clone(), (weights[:, head] > 0).to(weights)
        changed[:, head] = seen / seen.sum(dim=-1, keepdim=True)
        return changed

    return change


@torch.no_grad()
def words_kept(model: nn.Module, tokeniser: WordTokeniser, pairs: Sequence[Pair], kind: str) -> Tensor:
    """The share of words that a model predicts as before when one head's weights are made even, (layers, heads).

    The right words before each go in (teacher forcing); END is predicted too, and padding is left out.
    """
    source, target = as_batch(tokeniser, pairs)
    real, usual = target != PADDING, model(source, target).argmax(dim=-1)
    shares = torch.zeros(model.config.layers, model.config.heads)
    for layer, head in torch.cartesian_prod(*(torch.arange(size) for size in shares.shape)).tolist():
        with exchanged(attention_of(model, kind, layer), even_in(head)):
            same = model(source, target).argmax(dim=-1) == usual
        shares[layer, head] = same[real].float().mean()
    return shares


# the recorded run ─────────────────────────────────────────────────────────────────────────────────────────────────


def rates_of(model: nn.Module, tokeniser: WordTokeniser, pairs: Sequence[Pair]) -> Tensor:
    """Alignment error rate of every head of the attention to the source, (layers, heads)."""
    maps = maps_of(model, *as_batch(tokeniser, pairs), "cross")
    gold = gold_links(pairs)
    return torch.tensor(
        [[alignment_error_rate(layer[:, head], *gold) for head in range(maps.size(2))] for layer in maps]
    )


def shares_of(model: nn.Module, tokeniser: WordTokeniser, pairs: Sequence[Pair], kind: str, relation: str) -> Tensor:
    """How often each head of a kind finds a relation, (layers, heads)."""
    cells = relation_cells(pairs, kind, relation)
    return torch.stack([found(layer, cells) for layer in maps_of(model, *as_batch(tokeniser, pairs), kind)])


def measured(seed: int, updates: int, sentences: int = SENTENCES, translated: int = TRANSLATED, **changes) -> dict:
    """Trains one translator and writes down all that the chapter shows of it."""
    corpus, grammar = data()
    run = train_briefly(corpus, report=None, updates=updates, seed=seed, **{**SETTINGS, **changes})
    clear, valid, test = clear_copy(run.model), grammar.valid[:sentences], grammar.test[:sentences]
    return {
        "seed": seed,
        "updates": updates,
        "valid_loss": round(run.valid_loss, 4),
        "bleu": round(bleu_without(run, "cross", 0, [], translated), 2),
        "rates": _rounded(rates_of(clear, run.tokeniser, test)),
        "finds": {
            f"{kind} {relation}": best_finder(clear, run.tokeniser, valid, test, kind, relation)
            for kind in KINDS
            for relation in RELATIONS
        },
        "bleu_without": {kind: bleu_table(run, kind, translated) for kind in KINDS},
        "words_kept": {kind: _rounded(words_kept(clear, run.tokeniser, test, kind)) for kind in KINDS},
    }


def best_finder(
    model: nn.Module, tokeniser: WordTokeniser, valid: Sequence[Pair], test: Sequence[Pair], kind: str, relation: str
) -> dict:
    """The head of a kind that finds a relation most often, and the best fixed offset; both are chosen on `valid`."""
    layer, head = divmod(shares_of(model, tokeniser, valid, kind, relation).argmax().item(), model.config.heads)
    cells, offset = relation_cells(test, kind, relation), best_offset(valid, kind, relation)
    return {
        "layer": layer,
        "head": head,
        "share": round(shares_of(model, tokeniser, test, kind, relation)[layer, head].item(), 4),
        "offset": offset,
        "offset_share": round(found(offset_map(test, kind, offset)[:, None], cells).item(), 4),
        "rows": int(cells.any(dim=-1).sum()),
    }


def bleu_table(run: ShortRun, kind: str, sentences: int) -> list[dict]:
    """For each layer of a kind: BLEU without one head, with one head alone, and without all."""
    heads = range(run.model.config.heads)

    def left(layer: int, silenced: list[int]) -> float:
        return round(bleu_without(run, kind, layer, silenced, sentences), 2)

    return [
        {
            "without": [left(layer, [head]) for head in heads],
            "alone": [left(layer, [other for other in heads if other != head]) for head in heads],
            "none": left(layer, [*heads]),
        }
        for layer in range(run.model.config.layers)
    ]


def _rounded(numbers: Tensor) -> list:
    return [[round(number, 4) for number in row] for row in numbers.tolist()]


def looking_experiment(seeds: Sequence[int] = SEEDS, updates: Sequence[int] = UPDATES, **changes) -> Iterator[dict]:
    """`measured` for each length of training and each seed, one after the other."""
    for count in updates:
        for seed in seeds:
            yield measured(seed, count, **changes)


def main() -> None:
    """The command line; what is done is written at once."""
    parser = argparse.ArgumentParser(prog="python -m utils.experiments.looking", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="the JSON file to write")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--updates", type=int, nargs="+", default=UPDATES)
    asked = parser.parse_args()
    command = shlex.join(["python", "-m", "utils.experiments.looking", *sys.argv[1:]])
    come_from = {**origin(), "command": command}  # before the work: the commit may change meanwhile
    settings = {**SETTINGS, "updates": list(asked.updates), "sentences": SENTENCES, "translated": TRANSLATED}
    results: list[dict] = []
    for result in looking_experiment(asked.seeds, asked.updates):
        results.append(result)
        print(f"seed {result['seed']}, {result['updates']} updates: BLEU {result['bleu']}", flush=True)
        record = {**come_from, "settings": settings, "seeds": list(asked.seeds), "results": "@"}
        lines = ",\n  ".join(json.dumps(done) for done in results)
        text = json.dumps(record, indent=1, ensure_ascii=False).replace('"@"', f"[\n  {lines}\n ]")
        write_text(asked.out, text + "\n")


if __name__ == "__main__":
    main()
