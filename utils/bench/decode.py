"""`bench decode`: translating with a key–value cache, beside the usual loop without one and beside Marian's.

All are made to take the same number of steps, and, having the same weights, must find the same tokens.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from utils.bench.peers import UsualTransformer, copy_to_marian, copy_to_usual, make_marian, marian_there
from utils.bench.setup import (
    SIZES,
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
from utils.errors import CourseError
from utils.text import TokenBatches
from utils.transformer import BEGIN, END, PADDING, Transformer, TransformerConfig
from utils.translation.beam import beam_search
from utils.translation.greedy import greedy

GREEDY = ((64, 20), (32, 60))  # (sentences, steps)
BEAM = ((64, 20), (32, 60))
BEAM_WIDTH = 4
CACHE_LENGTHS = (5, 10, 20, 40, 80)
LEAST_GREEDY = {20: 3.0, 60: 9.0}  # times faster, by steps
LEAST_BEAM = 1.3
NO_MARIAN = (
    "Beam search had no peer: the package transformers is not installed (`pip install transformers` adds Marian)."
)
NEVER = -1e4  # the score of a token that must not come up


def bench_decode(
    data_dir: Path | str | None = None,
    out: Path | str | None = None,
    rounds: int = 3,
    sizes: Sequence[str] = tuple(SIZES),
    greedy_runs: Sequence[tuple[int, int]] = GREEDY,
    beam_runs: Sequence[tuple[int, int]] = BEAM,
    cache_lengths: Sequence[int] = CACHE_LENGTHS,
    seed: int = 0,
) -> dict:
    """Times translating at each size, `rounds` times over, each time other sentences.

    greedy_runs, beam_runs: (sentences, steps). cache_lengths: steps to compare our stepper with and without cache at.
    Returns a report for JSON, written to `out` if given.
    """
    check_counts(rounds=rounds)
    with one_thread():
        where = conditions()
        pairs, tokeniser, notes = real_text(data_dir)
        corpus = token_batches(pairs, tokeniser)
        if beam_runs and not marian_there():
            notes.append(NO_MARIAN)
        results = []
        for size, config in chosen_sizes(sizes, tokeniser.vocab_size).items():
            ours = endless(config)
            results.append(
                {
                    "size": size,
                    "config": config.to_dict(),
                    "greedy": [measure_greedy(ours, corpus, run, rounds, seed) for run in greedy_runs],
                    "beam": [measure_beam(ours, corpus, run, rounds, seed) for run in beam_runs],
                    "bare_beam": [measure_beam(ours, corpus, run, rounds, seed, bare=True) for run in beam_runs[:1]],
                    "cache": [measure_cache(ours, corpus, steps, rounds, seed) for steps in cache_lengths],
                }
            )
    report = {
        "bench": "decode",
        "conditions": where,
        "notes": notes,
        "rounds": rounds,
        "beam_width": BEAM_WIDTH,
        "vocab_size": tokeniser.vocab_size,
        "results": results,
    }
    return write_report(report, out)


def endless(config: TransformerConfig) -> Transformer:
    """A model of ours in which padding, BEGIN and END all but never come up, so that a search runs as long as it may.

    Its last normalisation has a bias of one, so every state it gives has mean one, and an output row of equal
    weights scores the same whatever was read. That costs no time, unlike a bias on the logits.
    """
    torch.manual_seed(0)
    model = Transformer(config).eval()
    last = model.decoder.final_norm or model.decoder.layers[-1].residuals[-1].normalise
    with torch.no_grad():
        last.bias.fill_(1.0)
        weight = model.output.weight.clone()
        weight[[PADDING, BEGIN, END]] = NEVER / config.d_model
    model.output.weight = nn.Parameter(weight)
    return model


def sources(corpus: TokenBatches, sentences: int, longest: int, rounds: int, seed: int) -> list[Tensor]:
    """For each round, (sentences, source_len) ids of real sentences of one length, so that all end at one step.

    The length, END included, is the commonest one among those up to `longest`.
    """
    lengths = corpus.source.lengths
    usable = lengths[lengths <= longest]
    if usable.numel() == 0:
        raise CourseError(f"No sentence of the corpus has {longest} tokens or fewer: measure longer translations.")
    rows = (lengths == int(usable.mode().values)).nonzero().flatten()
    picked = torch.randint(len(rows), (rounds, sentences), generator=torch.Generator().manual_seed(seed))
    return [corpus.source.padded(rows[pick]) for pick in picked]


def extra(source: Tensor, steps: int) -> int:
    """The max_extra with which translations of these sources have `steps` tokens; END is no token."""
    return steps - (source.size(1) - 1)


def agreement(ours: Tensor, theirs: Tensor) -> float:
    """The share of sentences whose tokens are the same; rounding may part two searches, once in a while."""
    return float((ours == theirs).flatten(1).all(dim=1).float().mean())


def check_agreement(name: str, share: float) -> float:
    """CourseError unless nearly all sentences are the same. Returns the share."""
    if share < 0.9:
        raise CourseError(f"{name} with our weights finds our tokens in {share:.0%} of sentences only: no fair peer.")
    return share


def compared(seconds: dict[str, list[float]], ours: str, theirs: str, least: float | None) -> dict:
    """The usual entries of a result."""
    return {
        "ours_milliseconds": summary([1000 * second for second in seconds[ours]]),
        "theirs_milliseconds": summary([1000 * second for second in seconds[theirs]]),
        "ours_is_faster": ratios(seconds[ours], seconds[theirs]),
        "least": least,
    }


# ---- greedy ---------------------------------------------------------------------------------------------------------


def measure_greedy(ours: Transformer, corpus: TokenBatches, run: tuple[int, int], rounds: int, seed: int) -> dict:
    """Greedy search with our cache, and of `torch.nn.Transformer` running the whole prefix at every step."""
    sentences, steps = run
    drawn = sources(corpus, sentences, steps, rounds, seed)
    peer = UsualTransformer(ours.config).eval()
    copy_to_usual(ours, peer)
    peer.output.weight = ours.output.weight
    nn.init.ones_(peer.transformer.decoder.norm.bias)  # the last norm, also where the paper's post-norm has none
    our_tokens = torch.tensor(greedy(ours, drawn[0], extra(drawn[0], steps)))
    same = check_agreement("torch.nn.Transformer", agreement(our_tokens, peer.greedy(drawn[0], steps)))
    seconds = interleaved(
        {
            "ours": lambda item: greedy(ours, drawn[item], extra(drawn[item], steps)),
            "theirs": lambda item: peer.greedy(drawn[item], steps),
        },
        rounds,
        rounds=1,
    )
    result = compared(seconds, "ours", "theirs", LEAST_GREEDY.get(steps))
    return {"sentences": sentences, "steps": steps, "source_len": drawn[0].size(1), "same_tokens": same, **result}


# ---- beam -----------------------------------------------------------------------------------------------------------


def measure_beam(
    ours: Transformer, corpus: TokenBatches, run: tuple[int, int], rounds: int, seed: int, bare: bool = False
) -> dict:
    """Our beam search and Marian's `generate`; our times alone where Marian is missing.

    Our search rules out padding and forces END at the limit; so does Marian's as its published models are set up.
    bare: Marian does neither, which spares it some work that ours still does.
    """
    sentences, steps = run
    drawn = sources(corpus, sentences, steps - 1, rounds, seed)
    contestants = {"ours": lambda item: our_beams(ours, drawn[item], steps)}
    same = None
    if marian_there():
        peer = endless_marian(ours)
        contestants["theirs"] = lambda item: marian_beams(peer, drawn[item], steps, bare)
        if ours.config.norm == "post":  # Marian knows no pre-norm: there the work is the same, but not the tokens
            same = check_agreement("Marian", agreement_of_beams(ours, peer, drawn[0], steps))
    seconds = interleaved(contestants, rounds, rounds=1)
    shape = {"sentences": sentences, "steps": steps, "source_len": drawn[0].size(1), "same_tokens": same}
    if "theirs" not in seconds:
        return {**shape, "ours_milliseconds": summary([1000 * second for second in seconds["ours"]])}
    return {**shape, **compared(seconds, "ours", "theirs", None if bare else LEAST_BEAM)}


def our_beams(model: Transformer, source: Tensor, steps: int) -> list:
    """Beam search for exactly `steps` steps; the last of them adds END."""
    return beam_search(model, source, BEAM_WIDTH, max_extra=extra(source, steps - 1))


def endless_marian(ours: Transformer) -> nn.Module:
    """A Marian model with our weights that never ends a translation by itself."""
    peer = make_marian(ours.config).eval()
    copy_to_marian(ours, peer)
    peer.lm_head.weight = nn.Parameter(ours.output.weight.detach().clone())
    nn.init.ones_(peer.model.decoder.layers[-1].final_layer_norm.bias)
    return peer


@torch.inference_mode()
def marian_beams(peer: nn.Module, source: Tensor, steps: int, bare: bool = False) -> Tensor:
    """`generate` for exactly `steps` steps. Returns (sentences · beam, 1 + steps) ids, BEGIN first."""
    rules = {} if bare else {"bad_words_ids": [[PADDING]], "forced_eos_token_id": END}
    return peer.generate(
        input_ids=source, attention_mask=(source != PADDING).long(), num_beams=BEAM_WIDTH,
        num_return_sequences=BEAM_WIDTH, do_sample=False, max_new_tokens=steps, **rules,
    )  # fmt: skip


def agreement_of_beams(ours: Transformer, peer: nn.Module, source: Tensor, steps: int) -> float:
    """The share of sentences for which both find the same set of hypotheses."""
    found = [{tuple(hypothesis.tokens) for hypothesis in hypotheses} for hypotheses in our_beams(ours, source, steps)]
    theirs = marian_beams(peer, source, steps)[:, 1:-1].unflatten(0, (len(source), -1)).tolist()  # no BEGIN, no END
    return sum(own == set(map(tuple, other)) for own, other in zip(found, theirs, strict=True)) / len(source)


# ---- what the cache is worth ----------------------------------------------------------------------------------------


@torch.inference_mode()
def take_steps(model: Transformer, source: Tensor, steps: int, cache: bool) -> Tensor:
    """Greedy decoding with or without our cache. Returns (sentences, steps) ids."""
    stepper = model.start(source, cache=cache)
    tokens = [torch.full((source.size(0),), BEGIN)]
    for _ in range(steps):
        tokens.append(stepper.step(tokens[-1]).argmax(dim=-1))
    return torch.stack(tokens[1:], dim=1)


def measure_cache(
    ours: Transformer, corpus: TokenBatches, steps: int, rounds: int, seed: int, sentences: int = 16
) -> dict:
    """The same stepper with and without cache."""
    drawn = sources(corpus, sentences, 30, rounds, seed)
    same = agreement(take_steps(ours, drawn[0], steps, True), take_steps(ours, drawn[0], steps, False))
    check_agreement("Our stepper without cache", same)
    seconds = interleaved(
        {
            "with": lambda item: take_steps(ours, drawn[item], steps, cache=True),
            "without": lambda item: take_steps(ours, drawn[item], steps, cache=False),
        },
        rounds,
        rounds=1,
    )
    return {"sentences": sentences, "steps": steps, "same_tokens": same, **compared(seconds, "with", "without", None)}
