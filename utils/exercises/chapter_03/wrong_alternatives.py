"""What goes wrong with additive attention and with attention in blocks (chapter 03), and what puts it right."""

import math

import torch
from torch import Tensor

from utils.exercises.chapter_03.wrong_attention import root_of_width
from utils.exercises.declare import Misconception

# 3.5, additive scores ─────────────────────────────────────────────────────────────────────────────────────────────


def additive(combine):
    """A wrong answer to 3.5 that makes something else of the two projections, which come ready to be broadcast."""

    def answer(query: Tensor, key: Tensor, query_weight: Tensor, key_weight: Tensor, score_weight: Tensor) -> Tensor:
        queries = (query @ query_weight.t()).unsqueeze(-2)  # (..., target_len, 1, d_hidden)
        keys = (key @ key_weight.t()).unsqueeze(-3)  # (..., 1, source_len, d_hidden)
        return combine(queries, keys, score_weight)

    return answer


def paired_up(query, key, query_weight, key_weight, score_weight):
    return (query @ query_weight.t() + key @ key_weight.t()).tanh() @ score_weight


def one_matrix(query, key, query_weight, key_weight, score_weight):
    queries, keys = (query @ query_weight.t()).unsqueeze(-2), (key @ query_weight.t()).unsqueeze(-3)
    return (queries + keys).tanh() @ score_weight


def weights_not_transposed(query, key, query_weight, key_weight, score_weight):
    return ((query @ query_weight).unsqueeze(-2) + (key @ key_weight).unsqueeze(-3)).tanh() @ score_weight


def keys_as_rows(query, key, query_weight, key_weight, score_weight):
    queries, keys = (query @ query_weight.t()).unsqueeze(-3), (key @ key_weight.t()).unsqueeze(-2)
    return (queries + keys).tanh() @ score_weight


def tanh_by_exponentials(queries, keys, score_weight):
    up, down = (queries + keys).exp(), (-queries - keys).exp()
    return ((up - down) / (up + down)) @ score_weight


ADDITIVE_SCORES = (
    Misconception(
        "no tanh",
        additive(lambda queries, keys, score_weight: (queries + keys) @ score_weight),
        "The tanh is missing. Without it a score is a sum of what the query says and what the key says, and the "
        "query's part, the same for every key, drops out of the softmax.",
    ),
    Misconception(
        "tanh of the score",
        additive(lambda queries, keys, score_weight: ((queries + keys) @ score_weight).tanh()),
        "Your tanh comes after vᵀ. It belongs inside, on the hidden vector: vᵀ tanh(W q + U k).",
    ),
    Misconception(
        "tanh of each projection",
        additive(lambda queries, keys, score_weight: (queries.tanh() + keys.tanh()) @ score_weight),
        "You take tanh of each projection and add afterwards: then query and key do not meet. Add first, "
        "tanh(W q + U k).",
    ),
    Misconception(
        "multiplied",
        additive(lambda queries, keys, score_weight: (queries * keys).tanh() @ score_weight),
        "You multiply the projections. In additive attention they are added; the product is what dot-product "
        "attention does.",
    ),
    Misconception(
        "softmax included",
        additive(lambda queries, keys, score_weight: ((queries + keys).tanh() @ score_weight).softmax(dim=-1)),
        "You return weights. Asked for are the scores, before the softmax.",
    ),
    Misconception(
        "scaled",
        additive(lambda queries, keys, s: (queries + keys).tanh() @ s / math.sqrt(s.size(-1))),
        "You divide by the root of the hidden width. Additive scores are not scaled: tanh bounds what is summed, and "
        "v is learned.",
    ),
    Misconception(
        "another nonlinearity",
        additive(lambda queries, keys, score_weight: (queries + keys).relu() @ score_weight),
        "You use ReLU where the formula has tanh.",
    ),
    Misconception(
        "sigmoid",
        additive(lambda queries, keys, score_weight: (queries + keys).sigmoid() @ score_weight),
        "You use a sigmoid where the formula has tanh: tanh lies between −1 and 1, and is 0 at 0.",
    ),
    Misconception(
        "tanh by exponentials",
        additive(tanh_by_exponentials),
        "Your tanh is made of exponentials, which are infinite in float32 above 88, and ∞/∞ is NaN: `torch.tanh`.",
    ),
    Misconception(
        "one matrix for both",
        one_matrix,
        "You project the keys with the queries' matrix. Each has its own: W for queries, U for keys.",
    ),
    Misconception(
        "each query with the key of its own position",
        paired_up,
        "You add query i to key i. Every query is to meet every key: give the queries an axis of size 1 for the keys, "
        "and the keys one for the queries, and let broadcasting do the rest.",
    ),
    Misconception(
        "weight not transposed",
        weights_not_transposed,
        "A weight has the shape (d_hidden, width), as in nn.Linear: `query @ query_weight.T`.",
    ),
    Misconception(
        "keys as rows",
        keys_as_rows,
        "Your scores are transposed: rows are queries, columns are keys, (target_len, source_len).",
    ),
)


# 3.6, attention in blocks ─────────────────────────────────────────────────────────────────────────────────────────


def in_blocks(step, finish=None, scaled=True, drop_last=False, first=-math.inf, as_number=False):
    """A wrong answer to 3.6. `step` gets what is known so far and a block's scores and values, and returns it anew."""

    def answer(query: Tensor, key: Tensor, value: Tensor, block_size: int) -> Tensor:
        largest = query.new_full((*query.shape[:-1], 1), first)
        known = largest, torch.zeros_like(largest), query.new_zeros(*query.shape[:-1], value.size(-1))
        length = key.size(-2)
        if as_number:
            block_size = math.ceil(length / block_size)
        for start in range(0, length - length % block_size if drop_last else length, block_size):
            block = slice(start, start + block_size)
            scores = query @ key[..., block, :].transpose(-2, -1)
            known = step(*known, scores / root_of_width(query) if scaled else scores, value[..., block, :])
        _, total, output = known
        return output / total if finish is None else finish(total, output)

    return answer


def right_step(largest, total, output, scores, values):
    higher = torch.maximum(largest, scores.amax(dim=-1, keepdim=True))
    shrink, weights = (largest - higher).exp(), (scores - higher).exp()
    return higher, total * shrink + weights.sum(dim=-1, keepdim=True), output * shrink + weights @ values


def no_shrinking(largest, total, output, scores, values):
    higher = torch.maximum(largest, scores.amax(dim=-1, keepdim=True))
    weights = (scores - higher).exp()
    return higher, total + weights.sum(dim=-1, keepdim=True), output + weights @ values


def total_not_shrunk(largest, total, output, scores, values):
    higher = torch.maximum(largest, scores.amax(dim=-1, keepdim=True))
    shrink, weights = (largest - higher).exp(), (scores - higher).exp()
    return higher, total + weights.sum(dim=-1, keepdim=True), output * shrink + weights @ values


def output_not_shrunk(largest, total, output, scores, values):
    higher = torch.maximum(largest, scores.amax(dim=-1, keepdim=True))
    shrink, weights = (largest - higher).exp(), (scores - higher).exp()
    return higher, total * shrink + weights.sum(dim=-1, keepdim=True), output + weights @ values


def grown(largest, total, output, scores, values):
    higher = torch.maximum(largest, scores.amax(dim=-1, keepdim=True))
    factor = torch.where(largest.isinf(), 0.0, (higher - largest).exp())
    weights = (scores - higher).exp()
    return higher, total * factor + weights.sum(dim=-1, keepdim=True), output * factor + weights @ values


def no_maximum(largest, total, output, scores, values):
    weights = scores.exp()
    return largest, total + weights.sum(dim=-1, keepdim=True), output + weights @ values


def own_maximum(largest, total, output, scores, values):
    own = scores.amax(dim=-1, keepdim=True)
    shrink, weights = (largest - own).exp(), (scores - own).exp()
    return own, total * shrink + weights.sum(dim=-1, keepdim=True), output * shrink + weights @ values


def own_maximum_alone(largest, total, output, scores, values):
    weights = (scores - scores.amax(dim=-1, keepdim=True)).exp()
    return largest, total + weights.sum(dim=-1, keepdim=True), output + weights @ values


def blocks_of_queries(query, key, value, block_size):
    blocks = query.split(block_size, dim=-2)
    weights = [(block @ key.transpose(-2, -1) / root_of_width(query)).softmax(dim=-1) for block in blocks]
    return torch.cat([part @ value for part in weights], dim=-2)


def divided_each_time(largest, total, output, scores, values):
    higher, total, output = right_step(largest, total, output, scores, values)
    return higher, total, output / total


def blocks_added(largest, total, output, scores, values):
    return largest, torch.ones_like(total), output + scores.softmax(dim=-1) @ values


def blocks_averaged(largest, total, output, scores, values):
    return largest, total + 1, output + scores.softmax(dim=-1) @ values


def one_largest(largest, total, output, scores, values):
    higher = torch.maximum(largest, scores.max())
    shrink, weights = (largest - higher).exp(), (scores - higher).exp()
    return higher, total * shrink + weights.sum(dim=-1, keepdim=True), output * shrink + weights @ values


ATTENTION_IN_BLOCKS = (
    Misconception(
        "one largest score for all queries",
        in_blocks(one_largest),
        "You subtract one number from all scores, the largest that any query has. Where the scores of another query "
        "lie far below, all its exponentials become 0. Take the largest of each query: `amax(dim=-1, keepdim=True)`.",
    ),
    Misconception(
        "begins with 0",
        in_blocks(right_step, first=0.0),
        "Your running maximum begins with 0. Where all scores of a query lie far below 0, it stays there, all "
        "exponentials become 0, and 0/0 is NaN. Begin with −∞, or with the first block's largest.",
    ),
    Misconception(
        "begins with −10⁴",
        in_blocks(right_step, first=-1e4),
        "Your running maximum begins with a number that scores may be below, such as −10⁴. Where all scores of a query "
        "are, it stays there, all exponentials become 0, and 0/0 is NaN. Begin with −∞.",
    ),
    Misconception(
        "divided in each block",
        in_blocks(divided_each_time, finish=lambda total, output: output),
        "You divide by the sum in each block, so that what earlier blocks gave is divided again and again. Divide "
        "once, at the end.",
    ),
    Misconception(
        "blocks added",
        in_blocks(blocks_added),
        "You take a softmax within each block and add the blocks up: each block's weights sum to one by themselves. It "
        "takes one softmax over all keys, its sum collected block by block.",
    ),
    Misconception(
        "nothing rescaled",
        in_blocks(no_shrinking),
        "What earlier blocks gave was computed with an earlier maximum. When the maximum rises from m to m', sum and "
        "output so far have to be multiplied by exp(m − m') before the new block is added.",
    ),
    Misconception(
        "sum not rescaled",
        in_blocks(total_not_shrunk),
        "You rescale the output so far, and not the sum of exponentials: both belong to the earlier maximum, both are "
        "to be multiplied by exp(m − m').",
    ),
    Misconception(
        "output not rescaled",
        in_blocks(output_not_shrunk),
        "You rescale the sum of exponentials, and not the output so far: both belong to the earlier maximum, both are "
        "to be multiplied by exp(m − m').",
    ),
    Misconception(
        "rescaled the wrong way",
        in_blocks(grown),
        "You multiply what is known so far by exp(m' − m), which is at least 1. A higher maximum makes earlier terms "
        "smaller: exp(m − m').",
    ),
    Misconception(
        "no maximum",
        in_blocks(no_maximum),
        "You take exp of the scores as they are: above 88 that is infinite in float32, and ∞/∞ is NaN. Subtract the "
        "largest score seen so far.",
    ),
    Misconception(
        "the block's own maximum",
        in_blocks(own_maximum),
        "You go on with the block's own maximum. Where it is far below the earlier one, exp(m − m') overflows. Keep "
        "the running maximum, m' = maximum(m, the block's), which never falls: then exp(m − m') is at most 1.",
    ),
    Misconception(
        "the block's own maximum, nothing rescaled",
        in_blocks(own_maximum_alone),
        "Each block's exponentials are taken against that block's own maximum and then added up, though they do not "
        "share a scale. Keep a running maximum, and multiply what is known so far by exp(m − m') when it rises.",
    ),
    Misconception(
        "blocks averaged",
        in_blocks(blocks_averaged),
        "You take a softmax within each block and average the blocks. A block with high scores has to count for more: "
        "one softmax over all keys, its sum collected block by block.",
    ),
    Misconception(
        "not divided",
        in_blocks(right_step, finish=lambda total, output: output),
        "The division by the sum of exponentials, at the end, is missing.",
    ),
    Misconception(
        "not scaled",
        in_blocks(right_step, scaled=False),
        "Your output equals softmax(QKᵀ) V: the division by √d_k of Eq. 1 is missing.",
    ),
    Misconception(
        "last block dropped",
        in_blocks(right_step, drop_last=True),
        "When the block size does not divide the number of keys, your last, shorter block is left out.",
    ),
    Misconception(
        "blocks of queries",
        blocks_of_queries,
        "The numbers are right, but your blocks are blocks of queries, and each meets all keys at once: its rows of "
        "scores are as long as the text. Go through the keys and values in blocks, all queries with each.",
    ),
    Misconception(
        "block size as the number of blocks",
        in_blocks(right_step, as_number=True),
        "The numbers are right, but you take `block_size` for the number of blocks. It is how many keys a block has: "
        "`split` takes the size of a piece, `chunk` how many there are to be.",
    ),
    Misconception(
        "all at once",
        lambda query, key, value, block_size: (
            (query @ key.transpose(-2, -1) / root_of_width(query)).softmax(dim=-1) @ value
        ),
        "The numbers are right, but you hold all scores at once, (target_len, source_len). The point is never to hold "
        "more than one block of columns: (target_len, block_size).",
    ),
)
