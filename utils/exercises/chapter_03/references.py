"""What chapter 03 asks for and the model has no use for: answers that live beside the exercise."""

import math

import torch
from torch import Tensor


def weights_of_one_query(query: Tensor, keys: Tensor) -> Tensor:
    """How much one query looks at each key: softmax(K q / √d_k) (§3.2.1).

    query: (d_k,); keys: (source_len, d_k). Returns (source_len,), positive, with sum one.
    """
    scores = keys @ query / math.sqrt(query.size(-1))  # (source_len,)
    return scores.softmax(dim=-1)


def attention(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """softmax(QKᵀ / √d_k) V (§3.2.1, Eq. 1), everything allowed.

    query: (..., target_len, d_k); key: (..., source_len, d_k); value: (..., source_len, d_v).
    Returns (output (..., target_len, d_v), weights (..., target_len, source_len)).
    """
    d_k = query.size(-1)
    scores = query @ key.transpose(-2, -1) / math.sqrt(d_k)  # (..., target_len, source_len)
    weights = scores.softmax(dim=-1)
    return weights @ value, weights


def additive_scores(
    query: Tensor, key: Tensor, query_weight: Tensor, key_weight: Tensor, score_weight: Tensor
) -> Tensor:
    """vᵀ tanh(W q + U k) for every query and key (Bahdanau et al. 2014, compared in §3.2.1).

    query: (..., target_len, query_width); key: (..., source_len, key_width); query_weight W: (d_hidden, query_width);
    key_weight U: (d_hidden, key_width); score_weight v: (d_hidden,). Returns (..., target_len, source_len).
    """
    queries = (query @ query_weight.t()).unsqueeze(-2)  # (..., target_len, 1, d_hidden)
    keys = (key @ key_weight.t()).unsqueeze(-3)  # (..., 1, source_len, d_hidden)
    return (queries + keys).tanh() @ score_weight


def attention_in_blocks(query: Tensor, key: Tensor, value: Tensor, block_size: int) -> Tensor:
    """Eq. 1 without ever holding more than `block_size` columns of scores (Dao et al. 2022).

    Shapes as in `attention`. Returns the output alone, (..., target_len, d_v).
    """
    largest = query.new_full((*query.shape[:-1], 1), -math.inf)  # (..., target_len, 1), of all scores so far
    total = torch.zeros_like(largest)  # the sum of exp(score − largest) so far
    output = query.new_zeros(*query.shape[:-1], value.size(-1))  # the same sum, each term times its value
    for start in range(0, key.size(-2), block_size):
        block = slice(start, start + block_size)
        scores = query @ key[..., block, :].transpose(-2, -1) / math.sqrt(query.size(-1))  # (..., target_len, block)
        higher = torch.maximum(largest, scores.amax(dim=-1, keepdim=True))
        shrink, weights = (largest - higher).exp(), (scores - higher).exp()
        total = total * shrink + weights.sum(dim=-1, keepdim=True)
        output = output * shrink + weights @ value[..., block, :]
        largest = higher
    return output / total
