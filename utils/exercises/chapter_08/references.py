"""What chapter 08 asks for and the search has in a faster form only: answers that live beside the exercise."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from utils.transformer.attention import join_heads, scaled_dot_product_attention, split_heads
from utils.transformer.masks import BEGIN, END, PADDING
from utils.translation.bleu import clipped_matches


def greedy_decode(model: nn.Module, source: Tensor, max_extra: int = 50) -> list[list[int]]:
    """The likeliest token at every step, for a batch of sentences at once (§6.1).

    model(source, prefix) gives logits (batch, prefix_len, vocab_size); source: (batch, source_len) ids: words, END,
    then padding. Returns for each sentence the list of its ids, without BEGIN and END: at most as many as its source
    has words and max_extra more. PADDING and BEGIN are never chosen.
    """
    words = (source != PADDING) & (source != END)  # (batch, source_len)
    limits = words.sum(dim=1) + max_extra  # (batch,)
    prefix = source.new_full((source.size(0), 1), BEGIN)  # (batch, 1)
    finished = limits == 0
    while not finished.all():
        logits = model(source, prefix)[:, -1].clone()  # (batch, vocab_size)
        logits[:, [PADDING, BEGIN]] = -math.inf
        tokens = logits.argmax(dim=-1).masked_fill(finished, PADDING)  # (batch,)
        prefix = torch.cat([prefix, tokens[:, None]], dim=1)
        finished = finished | (tokens == END) | (limits < prefix.size(1))
    return [[token for token in row if token not in (PADDING, END)] for row in prefix[:, 1:].tolist()]


def beam_step(live: Tensor, log_probabilities: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One step of beam search for a batch (§6.1).

    live: (batch, beam), log P of each hypothesis so far.
    log_probabilities: (batch, beam, vocab_size), of each hypothesis' next token.
    Returns (live, parents, tokens, ended), each (batch, beam). The first three tell of the `beam` best continuations by
    a token other than END, best first:
        live: their log P;
        parents: the number of the hypothesis that each of them continues;
        tokens: the token by which it continues it.
    The fourth tells of the old hypotheses, in their old order:
        ended: log P of hypothesis i with END behind it, if that is one of the `beam` best continuations of its
        sentence, END included; otherwise −∞.
    """
    batch, beam, vocab_size = log_probabilities.shape
    scores = live[:, :, None] + log_probabilities  # (batch, beam, vocab_size)
    lowest = scores.flatten(1).topk(beam).values[:, -1:]  # (batch, 1), the last that is among the best
    ended = scores[:, :, END].masked_fill(scores[:, :, END] < lowest, -math.inf)  # (batch, beam)
    going_on = torch.arange(vocab_size, device=scores.device) != END  # (vocab_size,)
    live, places = scores.masked_fill(~going_on, -math.inf).flatten(1).topk(beam)  # (batch, beam)
    return live, places // vocab_size, places % vocab_size, ended


def attend_with_cache(
    attention: nn.Module, x: Tensor, cache: tuple[Tensor, Tensor] | None = None
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Masked self-attention for the newest token alone; keys and values of the earlier ones come from the cache.

    attention: a multi-head attention with `query_projection`, `key_projection`, `value_projection`,
    `output_projection` and `heads`; x: (batch, 1, d_model); cache: (keys (batch, heads, past, d_k), values (batch,
    heads, past, d_v)), oldest first, or None at the first step.
    Returns (output (batch, 1, d_model), the cache with the newest token at its end).
    """
    query = split_heads(attention.query_projection(x), attention.heads)  # (batch, heads, 1, d_k)
    keys = split_heads(attention.key_projection(x), attention.heads)
    values = split_heads(attention.value_projection(x), attention.heads)
    if cache is not None:
        keys = torch.cat([cache[0], keys], dim=2)  # (batch, heads, past + 1, d_k)
        values = torch.cat([cache[1], values], dim=2)
    output, _ = scaled_dot_product_attention(query, keys, values)  # no mask: nothing here is in the future
    return attention.output_projection(join_heads(output)), (keys, values)


def bleu(hypotheses: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> float:
    """BLEU of a whole corpus, from 0 to 100, without smoothing (Papineni et al. 2002; used in §6.1).

    hypotheses, references: one list of tokens a sentence, one reference for each hypothesis. Matches and totals are
    summed over the corpus before they are divided. 0 when there is an order from 1 to 4 without any match.
    """
    log_precisions = 0.0
    for order in (1, 2, 3, 4):
        pairs = zip(hypotheses, references, strict=True)
        matches = sum(clipped_matches(hypothesis, reference, order) for hypothesis, reference in pairs)
        if matches == 0:
            return 0.0
        total = sum(max(0, len(hypothesis) - order + 1) for hypothesis in hypotheses)
        log_precisions += math.log(matches / total)
    written, wanted = (sum(len(sentence) for sentence in text) for text in (hypotheses, references))
    brevity = 1.0 if written >= wanted else math.exp(1 - wanted / written)
    return 100 * brevity * math.exp(log_precisions / 4)


def training_flops(hours: float, gpus: int, teraflops: float) -> float:
    """The cost of a training as Table 2 counts it: how many operations the GPUs could have done in that time (§6.1).

    teraflops: what one GPU sustains, in 10¹² operations a second.
    """
    return hours * 3600 * gpus * teraflops * 1e12
