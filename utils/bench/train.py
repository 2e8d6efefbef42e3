"""`bench train`: one update of ours beside one of `torch.nn.Transformer` and one of Marian, on the same batches."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from utils.bench.peak import FORMULA, matrix_peak, step_flops
from utils.bench.peers import (
    UsualTransformer,
    check_first_loss,
    check_same_loss,
    check_same_size,
    copy_to_marian,
    copy_to_usual,
    make_marian,
    marian_logits,
    marian_there,
    trained_parameters,
    usual_loss,
)
from utils.bench.setup import (
    BATCH_TOKENS,
    SIZES,
    SMOOTHING,
    check_counts,
    chosen_sizes,
    conditions,
    interleaved,
    one_thread,
    ratios,
    real_text,
    summary,
    token_batches,
    write_report,
)
from utils.text import Batch, TokenBatches, padding_share
from utils.training.loss import summed_loss
from utils.transformer import PADDING, Transformer, TransformerConfig

OURS, USUAL, MARIAN = "ours", "torch.nn.Transformer", "Marian"
SHUFFLED = "ours, shuffled batches of 128"
TARGETS = {"larger": {USUAL: 1.15, MARIAN: 1.0}, "multi30k": {USUAL: 1.10, MARIAN: 1.0}}
NO_MARIAN = "Marian was left out: the package transformers is not installed (`pip install transformers` adds it)."
Loss = Callable[[Batch], Tensor]


def bench_train(
    data_dir: Path | str | None = None,
    out: Path | str | None = None,
    batches: int = 10,
    rounds: int = 2,
    sizes: Sequence[str] = tuple(SIZES),
    variants: bool = True,
    seed: int = 0,
) -> dict:
    """Times training updates (forward, backward, clip, Adam) on `batches` batches, `rounds` times over, at each size.

    variants: also measures what each difference is worth. Returns a report for JSON, written to `out` if given.
    """
    check_counts(batches=batches, rounds=rounds)
    with one_thread():
        where = conditions()
        pairs, tokeniser, notes = real_text(data_dir)
        corpus = token_batches(pairs, tokeniser)
        if not marian_there():
            notes.append(NO_MARIAN)
        drawn, shuffled = some_batches(corpus, batches, seed), shuffled_batches(corpus, batches, seed)
        peak = matrix_peak()
        results = [
            measure_size(name, config, drawn, shuffled, rounds, variants, peak["gflops"])
            for name, config in chosen_sizes(sizes, tokeniser.vocab_size).items()
        ]
    report = {
        "bench": "train",
        "conditions": where,
        "notes": notes,
        "batches": batches,
        "rounds": rounds,
        "batch_tokens": BATCH_TOKENS,
        "vocab_size": tokeniser.vocab_size,
        "padding": {
            "bucketed": padding_shares(list(corpus.epoch(0))),
            "shuffled by 128": padding_shares(shuffled_batches(corpus, len(corpus) // 128, seed)),
        },
        "matrix_peak": peak,
        "flops_formula": FORMULA,
        "results": results,
    }
    return write_report(report, out)


def some_batches(corpus: TokenBatches, count: int, seed: int) -> list[Batch]:
    """Batches of one epoch: the first `count` of its shuffled plan."""
    return [corpus.make(rows) for rows in corpus.plan(seed)[:count]]


def shuffled_batches(corpus: TokenBatches, count: int, seed: int, size: int = 128) -> list[Batch]:
    """Batches of `size` sentences drawn without regard to length."""
    order = torch.randperm(len(corpus), generator=torch.Generator().manual_seed(seed))
    return [corpus.make(rows) for rows in order.split(size)[:count]]


def padding_shares(batches: list[Batch]) -> dict[str, float]:
    """The share of padding on each side."""
    source = torch.stack([torch.tensor([(b.source == PADDING).sum(), b.source.numel()]) for b in batches]).sum(0)
    return {"source": float(source[0] / source[1]), "target": padding_share(batches)}


# ---- one update -----------------------------------------------------------------------------------------------------


class Update:
    """Forward, backward, clipping and Adam, as `Trainer.step` does them."""

    def __init__(self, model: nn.Module, loss: Loss, fused_adam: bool = True) -> None:
        self.model, self.loss = model.train(), loss
        fused = {"fused": True} if fused_adam else {}
        self.optimiser = torch.optim.Adam(model.parameters(), lr=1e-4, betas=(0.9, 0.98), eps=1e-9, **fused)

    def __call__(self, batch: Batch) -> None:
        self.loss(batch).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)


def lean_loss(model: nn.Module) -> Loss:
    """Our loss: real tokens only, output layer and softmax in one, for any model with `states` and `output`."""

    def loss(batch: Batch) -> Tensor:
        total = summed_loss(model, batch.source, batch.target_input, batch.target_output, SMOOTHING)
        return total / batch.target_tokens

    return loss


def full_loss(logits: Callable[[Tensor, Tensor], Tensor]) -> Loss:
    """The usual loss, from the logits of all positions."""
    return lambda batch: usual_loss(logits(batch.source, batch.target_input), batch.target_output, SMOOTHING)


class MarianStates(nn.Module):
    """Marian with the interface of our models, to train it with our loss."""

    def __init__(self, marian: nn.Module) -> None:
        super().__init__()
        self.marian, self.output = marian, marian.lm_head

    def states(self, source: Tensor, target: Tensor) -> Tensor:
        """As `Transformer.states`."""
        mask = (source != PADDING).long()
        return self.marian.model(
            input_ids=source, attention_mask=mask, decoder_input_ids=target, use_cache=False
        ).last_hidden_state


def make_updates(config: TransformerConfig, batch: Batch, variants: bool) -> dict[str, Update]:
    """Every contestant, checked on a batch before it runs."""
    torch.manual_seed(0)
    ours = Transformer(config)

    def usual() -> UsualTransformer:
        peer = UsualTransformer(config)
        copy_to_usual(ours, peer)
        return peer

    def marian() -> nn.Module:
        peer = make_marian(config)
        copy_to_marian(ours, peer)
        return peer

    peers = [usual() for _ in range(3 if variants else 1)]
    updates = {OURS: Update(ours, lean_loss(ours)), USUAL: Update(peers[0], full_loss(peers[0]))}
    if variants:
        updates[f"{USUAL}, our loss"] = Update(peers[1], lean_loss(peers[1]))
        updates[f"{USUAL}, Adam not fused"] = Update(peers[2], full_loss(peers[2]), fused_adam=False)
        same = Transformer(config)
        same.load_state_dict(ours.state_dict())
        updates[f"{OURS}, usual loss"] = Update(same, full_loss(same))
    if marian_there():
        model = marian()
        updates[MARIAN] = Update(model, full_loss(lambda source, target: marian_logits(model, source, target)))
        if variants:
            lean_marian = MarianStates(marian())
            updates[f"{MARIAN}, our loss"] = Update(lean_marian, lean_loss(lean_marian))
    check_peers(updates, config, batch)
    return updates


@torch.no_grad()
def check_peers(updates: dict[str, Update], config: TransformerConfig, batch: Batch) -> None:
    """CourseError unless all have one size, start near ln V and, having our weights, at our loss.

    Marian knows no pre-norm: where ours has it, Marian only has to start near ln V.
    """
    losses = {}
    for name, update in updates.items():
        update.model.eval()  # without dropout
        losses[name] = float(update.loss(batch))
        update.model.train()
        check_same_size(name, updates[OURS].model, update.model)
        check_first_loss(name, losses[name], config.vocab_size)
        if config.norm == "post" or MARIAN not in name:
            check_same_loss(name, losses[OURS], losses[name])


# ---- measuring ------------------------------------------------------------------------------------------------------


def measure_size(
    size: str,
    config: TransformerConfig,
    batches: list[Batch],
    shuffled: list[Batch],
    rounds: int,
    variants: bool,
    peak: float,
) -> dict:
    """The results at one size. peak: GFLOP/s."""
    updates = make_updates(config, batches[0], variants)
    contestants = {name: (lambda item, update=update: update(batches[item])) for name, update in updates.items()}
    if variants:
        contestants[SHUFFLED] = lambda item: updates[OURS](shuffled[item])
    turns = list(range(len(batches))) * rounds
    seconds = interleaved(contestants, len(batches), rounds)
    per_token = {
        name: [
            second / (shuffled if name == SHUFFLED else batches)[item].target_tokens
            for second, item in zip(values, turns, strict=True)
        ]
        for name, values in seconds.items()
    }
    gflops = [batch_flops(config, batches[item]) / s / 1e9 for s, item in zip(seconds[OURS], turns, strict=True)]
    return {
        "size": size,
        "config": config.to_dict(),
        "parameters": trained_parameters(updates[OURS].model),
        "gflops": summary(gflops),
        "share_of_peak": summary([value / peak for value in gflops]),
        "contestants": {
            name: {
                "milliseconds": summary([1000 * second for second in seconds[name]]),
                "tokens_per_second": summary([1 / second for second in values]),
                "ours_is_faster": ratios(per_token[OURS], values),
                "least": TARGETS[size].get(name),
            }
            for name, values in per_token.items()
        },
    }


def batch_flops(config: TransformerConfig, batch: Batch) -> int:
    """FLOPs of the matrix products of an update on a batch."""
    return step_flops(config, *batch.source.shape, batch.target_output.size(1), batch.target_tokens)
