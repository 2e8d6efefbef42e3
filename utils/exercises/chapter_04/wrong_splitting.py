"""What goes wrong when heads are taken apart and put together (chapter 04), and what puts it right."""

import math

import torch
from torch import Tensor

from utils.exercises.declare import Misconception
from utils.transformer.attention import scaled_dot_product_attention

# 4.1, heads in a loop ─────────────────────────────────────────────────────────────────────────────────────────────


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return scaled_dot_product_attention(query, key, value)[0]


def looping(join=lambda heads, output_weight: torch.cat(heads, dim=-1) @ output_weight, head=None):
    """A wrong answer to 4.1: other heads, or heads put together otherwise."""
    head = head or (lambda q, k, v, w_query, w_key, w_value: attend(q @ w_query, k @ w_key, v @ w_value))

    def answer(query, key, value, query_weights, key_weights, value_weights, output_weight):
        stacks = zip(query_weights, key_weights, value_weights, strict=True)
        return join([head(query, key, value, *weights) for weights in stacks], output_weight)

    return answer


def wide_scale(query, key, value, w_query, w_key, w_value):
    factor = math.sqrt(w_query.size(-1) / query.size(-1))  # √d_model in place of √d_k
    return attend(query @ w_query * factor, key @ w_key, value @ w_value)


def scaled_by(factor):
    """Queries, already projected, times what that gives of d_k: the scores are divided by something else."""
    return lambda q, k, v, w_query, w_key, w_value: attend(
        q @ w_query * factor(w_query.size(-1)), k @ w_key, v @ w_value
    )


def counted_by_width(query, key, value, query_weights, key_weights, value_weights, output_weight):
    heads = [
        attend(query @ query_weights[i], key @ key_weights[i], value @ value_weights[i])
        for i in range(query.size(-1) // query_weights.size(-1))
    ]
    return torch.cat(heads, dim=-1) @ output_weight


def unprojected(query, key, value, query_weights, key_weights, value_weights, output_weight):
    heads = len(query_weights)
    parts = zip(*(tensor.chunk(heads, dim=-1) for tensor in (query, key, value)), strict=True)
    return torch.cat([attend(*part) for part in parts], dim=-1) @ output_weight


def first_weights(query, key, value, query_weights, key_weights, value_weights, output_weight):
    heads = [attend(query @ query_weights[0], key @ key_weights[0], value @ w_value) for w_value in value_weights]
    return torch.cat(heads, dim=-1) @ output_weight


def pairs_collected(query, key, value, query_weights, key_weights, value_weights, output_weight):
    stacks = zip(query_weights, key_weights, value_weights, strict=True)
    pairs = [scaled_dot_product_attention(query @ q, key @ k, value @ v) for q, k, v in stacks]
    return torch.cat(pairs, dim=-1) @ output_weight


HEADS_BY_LOOP = (
    Misconception(
        "output matrix turned over",
        looping(lambda heads, output_weight: torch.cat(heads, dim=-1) @ output_weight.T),
        "You turn W^O over. Here, as in the paper, it has heads · d_v rows and d_model columns: `@ output_weight` is "
        "right as it stands. (Only `nn.Linear` keeps its matrix the other way round.)",
        everywhere=True,
    ),
    Misconception(
        "pairs collected",
        pairs_collected,
        "`scaled_dot_product_attention` returns two things, and your list holds both. Take them apart, "
        "`head, weights = …`, and collect the first.",
    ),
    Misconception(
        "matrices exchanged",
        looping(head=lambda q, k, v, w_query, w_key, w_value: attend(q @ w_key, k @ w_query, v @ w_value)),
        "You use W_i^K with the queries and W_i^Q with the keys. Each belongs to the input it is named after: "
        "`query @ w_query`, `key @ w_key`.",
    ),
    Misconception(
        "values projected as keys",
        looping(head=lambda q, k, v, w_query, w_key, w_value: attend(q @ w_query, k @ w_key, v @ w_key)),
        "You project the values with W_i^K. They have a matrix of their own, W_i^V: what a word is found by and what "
        "it hands over are different things.",
    ),
    Misconception(
        "no output matrix",
        looping(lambda heads, output_weight: torch.cat(heads, dim=-1)),
        "You put the heads side by side and stop there: the product with W^O, which mixes what they found, is missing.",
    ),
    Misconception(
        "no output matrix for a single head",
        looping(lambda heads, output_weight: heads[0] if len(heads) == 1 else torch.cat(heads, dim=-1) @ output_weight),
        "Where there is a single head you leave W^O out. A single head is projected by it as several are.",
        everywhere=True,
    ),
    Misconception(
        "heads counted by widths",
        counted_by_width,
        "You go through d_model / d_k heads, which is their number only where heads · d_k = d_model. There are as many "
        "as there are matrices: `len(query_weights)`.",
        everywhere=True,
    ),
    Misconception(
        "not scaled",
        looping(head=scaled_by(lambda width: math.sqrt(width))),
        "Your scores are not divided by √d_k, as Equation 1 has it.",
    ),
    Misconception(
        "scaled by d_k",
        looping(head=scaled_by(lambda width: 1 / math.sqrt(width))),
        "Your scores are divided by d_k. Equation 1 divides them by its root, √d_k, and once.",
    ),
    Misconception(
        "heads added",
        looping(lambda heads, output_weight: sum(heads) @ output_weight),
        "What meets W^O has d_v columns, and W^O has heads · d_v rows, d_v for each head: the heads were added or "
        "averaged, or the loop returns after its first one. Collect all of them and put them side by side: "
        "`torch.cat(heads, dim=-1)`.",
    ),
    Misconception(
        "concatenated along the tokens",
        looping(lambda heads, output_weight: torch.cat(heads, dim=-2) @ output_weight),
        "You put the heads below each other, as if they were more tokens or more sentences (`torch.cat` without `dim` "
        "joins along the first axis). They go side by side, along the last one: `torch.cat(heads, dim=-1)`.",
    ),
    Misconception(
        "columns interleaved",
        looping(lambda heads, output_weight: torch.stack(heads, dim=-1).flatten(-2) @ output_weight),
        "You interleave the heads' columns: first column of each head, second column of each head … Concat keeps a "
        "head's columns together, so that rows i·d_v … of W^O are the i-th head's.",
    ),
    Misconception(
        "last head alone",
        looping(lambda heads, output_weight: heads[-1] @ output_weight[-heads[-1].size(-1) :]),
        "Only your last head reaches the result: collect all of them in a list before they are joined.",
    ),
    Misconception(
        "keys projected as queries",
        looping(head=lambda q, k, v, w_query, w_key, w_value: attend(q @ w_query, k @ w_query, v @ w_value)),
        "You project the keys with W_i^Q. They have a matrix of their own, W_i^K: what a word looks for and what it "
        "offers are different things.",
    ),
    Misconception(
        "values made of keys",
        looping(head=lambda q, k, v, w_query, w_key, w_value: attend(q @ w_query, k @ w_key, k @ w_value)),
        "You make the values from `key`. They come from `value`: V W_i^V. The two are one tensor in the model, but "
        "not in the definition.",
    ),
    Misconception(
        "self-attention in mind",
        looping(head=lambda q, k, v, w_query, w_key, w_value: attend(q @ w_query, q @ w_key, q @ w_value)),
        "You make queries, keys and values all from `query`. That is self-attention only; in general keys and values "
        "come from elsewhere: `key @ w_key`, `value @ w_value`.",
    ),
    Misconception(
        "scaled by d_model",
        looping(head=wide_scale),
        "Your scores are divided by √d_model. Each head has keys of width d_k, and √d_k is what Equation 1 divides by.",
    ),
    Misconception(
        "weights the other way round",
        looping(head=lambda q, k, v, w_query, w_key, w_value: attend(q @ w_query.T, k @ w_key.T, v @ w_value.T)),
        "You transpose W_i. Here, as in the paper, W_i^Q has d_model rows and d_k columns, so `query @ w_query` is "
        "right as it stands. (`nn.Linear` keeps its matrix the other way round.)",
    ),
    Misconception(
        "inputs cut up, not projected",
        unprojected,
        "You cut the inputs into pieces and give each head a piece. Each head sees the whole input, through matrices "
        "of its own: `query @ w_query`.",
    ),
    Misconception(
        "one pattern for all heads",
        first_weights,
        "All your heads use the first head's W^Q and W^K, so all look at the same places. Each has its own.",
    ),
)


# 4.2, splitting ───────────────────────────────────────────────────────────────────────────────────────────────────


def width_of(joined: Tensor, heads: int) -> int:
    return joined.size(-1) // heads


SPLIT_HEADS = (
    Misconception(
        "reshaped without transpose",
        lambda joined, heads: joined.reshape(joined.size(0), heads, joined.size(1), width_of(joined, heads)),
        "Right shape, wrong numbers: you let `view` or `reshape` jump straight to (batch, heads, length, width). It "
        "reads the numbers in the order of memory, token by token, so your first head holds the first tokens, whole. "
        "First split the last axis, then exchange axes 1 and 2.",
    ),
    Misconception(
        "not transposed",
        lambda joined, heads: joined.unflatten(-1, (heads, -1)),
        "The last axis is split rightly; what is left is to bring the heads to the front of the tokens: "
        "`.transpose(1, 2)`, so that each head is one (length, width) matrix.",
    ),
    Misconception(
        "columns dealt out",
        lambda joined, heads: joined.unflatten(-1, (-1, heads)).permute(0, 3, 1, 2),
        "You deal the columns out like cards: head 0 gets columns 0, heads, 2·heads … Each head is a range of "
        "neighbouring columns: split the last axis into (heads, width), in this order.",
    ),
    Misconception(
        "width before heads",
        lambda joined, heads: joined.unflatten(-1, (-1, heads)).transpose(1, 2),
        "You split the last axis into (width, heads). Each head is a range of neighbouring columns, so it has to be "
        "(heads, width): the axis behind runs faster. (`joined.split(heads, …)` does the same: `split` takes the size "
        "of a piece, `chunk` how many there are to be.)",
    ),
    Misconception(
        "width before heads, not transposed",
        lambda joined, heads: joined.unflatten(-1, (-1, heads)),
        "You split the last axis into (width, heads). Each head is a range of neighbouring columns, so it has to be "
        "(heads, width): the axis behind runs faster. Then exchange axes 1 and 2.",
    ),
    Misconception(
        "transposed too early",
        lambda joined, heads: joined.transpose(1, 2).reshape(joined.size(0), heads, joined.size(1), -1),
        "Right shape, wrong numbers: you exchange axes before the last axis is split, and what follows cuts the "
        "columns into pieces as if they were tokens. First split the last axis, then exchange axes 1 and 2.",
    ),
    Misconception(
        "reshaped, then transposed",
        lambda joined, heads: joined.reshape(joined.size(0), heads, joined.size(1), width_of(joined, heads)).transpose(
            1, 2
        ),
        "You let `view` or `reshape` jump to (batch, heads, length, width), and exchange axes then. It reads the "
        "numbers in the order of memory, token by token: the last axis has to be split where it is, into (batch, "
        "length, heads, width).",
    ),
    Misconception(
        "batch and length exchanged",
        lambda joined, heads: joined.unflatten(-1, (heads, -1)).transpose(0, 1),
        "The last axis is split rightly, but then you exchange batch and length. It is axes 1 and 2, length and "
        "heads, that change places.",
    ),
    Misconception(
        "batch and heads exchanged",
        lambda joined, heads: joined.unflatten(-1, (heads, -1)).transpose(0, 2),
        "The last axis is split rightly, but then you exchange batch and heads. It is axes 1 and 2, length and heads, "
        "that change places.",
    ),
    Misconception(
        "length and width exchanged",
        lambda joined, heads: joined.unflatten(-1, (heads, -1)).transpose(1, 3),
        "The last axis is split rightly, but then you exchange length and width. It is axes 1 and 2, length and "
        "heads, that change places.",
    ),
    Misconception(
        "last axes exchanged",
        lambda joined, heads: joined.unflatten(-1, (heads, -1)).transpose(-2, -1),
        "Your heads are the last axis, behind the width. It is heads and length, axes 1 and 2, that change places: "
        "(batch, heads, length, width).",
    ),
    Misconception(
        "matrices turned over",
        lambda joined, heads: joined.unflatten(-1, (heads, -1)).permute(0, 2, 3, 1),
        "Your heads stand in front, but each is (width, length). Only axes 1 and 2 change places; width stays last.",
    ),
    Misconception(
        "heads first of all",
        lambda joined, heads: torch.stack(joined.chunk(heads, dim=-1)),
        "Your heads stand before the batch. The order of the course is (batch, heads, length, width): stack along "
        "dim=1.",
    ),
    Misconception(
        "a tuple of heads",
        lambda joined, heads: joined.chunk(heads, dim=-1),
        "You return the heads one by one. One tensor is asked for, so that a single matrix product serves all heads: "
        "(batch, heads, length, width).",
    ),
    Misconception(
        "the length split",
        lambda joined, heads: joined.unflatten(1, (heads, -1)),
        "You split the length: each head would get some of the tokens. Each head gets all tokens and some of the "
        "columns.",
    ),
    Misconception(
        "heads in the batch",
        lambda joined, heads: joined.unflatten(-1, (heads, -1)).transpose(1, 2).flatten(0, 1),
        "Your heads are merged into the batch axis. Keep the two apart, (batch, heads, length, width): masks "
        "broadcast along them.",
        everywhere=True,
    ),
)


# 4.3, joining ─────────────────────────────────────────────────────────────────────────────────────────────────────

JOIN_HEADS = (
    Misconception(
        "reshaped without transpose",
        lambda separate: separate.reshape(separate.size(0), separate.size(2), -1),
        "Right shape, wrong numbers: without `transpose`, `reshape` reads on from token to token of the first head "
        "and puts several tokens into one row. First exchange axes 1 and 2, then merge the last two.",
    ),
    Misconception(
        "view after transpose",
        lambda separate: separate.transpose(1, 2).view(separate.size(0), separate.size(2), -1),
        "The order of your steps is right. But `transpose` only changes how the memory is read, and `view` cannot "
        "merge axes that do not lie in order there. `reshape` and `flatten` copy where they have to; so does "
        "`.contiguous()` before `view`.",
    ),
    Misconception(
        "length and width merged",
        lambda separate: separate.flatten(-2),
        "You merge length and width, so each head becomes one long row. Heads and width are to be merged, and for that "
        "they have to be neighbours: exchange axes 1 and 2 first.",
    ),
    Misconception(
        "transposed afterwards",
        lambda separate: separate.flatten(-2).transpose(1, 2),
        "You exchange axes after merging, when length and width are one already. Exchange axes 1 and 2, heads and "
        "length, before they are merged.",
    ),
    Misconception(
        "length and heads merged",
        lambda separate: separate.transpose(1, 2).flatten(1, 2),
        "You exchange the right axes, and then merge length and heads, as if each head were one more token. Merge the "
        "last two axes, heads and width: `.flatten(-2)`.",
    ),
    Misconception(
        "length and width exchanged",
        lambda separate: separate.transpose(2, 3).reshape(separate.size(0), separate.size(2), -1),
        "You exchange length and width. It is axes 1 and 2, heads and length, that change places, so that a token's "
        "heads stand next to each other.",
    ),
    Misconception(
        "heads and width exchanged",
        lambda separate: separate.transpose(1, 3).flatten(-2),
        "You exchange heads and width. It is axes 1 and 2, heads and length, that change places, so that a token's "
        "heads stand next to each other.",
    ),
    Misconception(
        "heads and width exchanged, then reshaped",
        lambda separate: separate.transpose(1, 3).reshape(separate.size(0), separate.size(2), -1),
        "You exchange heads and width. It is axes 1 and 2, heads and length, that change places, so that a token's "
        "heads stand next to each other.",
    ),
    Misconception(
        "joined along the batch",
        lambda separate: torch.cat(separate.unbind(1)),
        "You put the heads below each other, as if they were more sentences: `torch.cat` without `dim` joins along the "
        "first axis. They go side by side, `dim=-1`.",
    ),
    Misconception(
        "tokens merged",
        lambda separate: separate.flatten(1, 2),
        "You put the heads below each other, as if they were more tokens. They go side by side: heads and width are to "
        "be merged, and for that they have to be neighbours; exchange axes 1 and 2 first.",
    ),
    Misconception(
        "not merged",
        lambda separate: separate.transpose(1, 2),
        "The tokens are in front again; what is left is to merge the last two axes, heads and width: `.flatten(-2)`.",
    ),
    Misconception(
        "heads averaged",
        lambda separate: separate.mean(1),
        "You average the heads. Concat of §3.2.2 puts them side by side, so that nothing is lost.",
    ),
    Misconception(
        "heads added",
        lambda separate: separate.sum(1),
        "You add the heads up. Concat of §3.2.2 puts them side by side, so that nothing is lost.",
    ),
    Misconception(
        "columns interleaved",
        lambda separate: separate.permute(0, 2, 3, 1).flatten(-2),
        "You interleave the heads' columns: column 0 of each head, column 1 of each head … A head's columns stay "
        "together: (batch, length, heads, width) before the last two axes are merged.",
    ),
    Misconception(
        "first axes exchanged",
        lambda separate: separate.transpose(0, 1).flatten(-2),
        "You exchange batch and heads. It is heads and tokens, axes 1 and 2, that change places.",
    ),
)
