"""What goes wrong in a multi-head attention (chapter 04), and what puts it right."""

import math

from utils.exercises.chapter_04.wrong_modules import (
    BiasAlways,
    WideHeads,
    WidthsIgnored,
    all_keys,
    all_values,
    dealt_out,
    inverted,
    joined_by_reshape,
    masked_in,
    no_output_projection,
    not_split,
    output_alone,
    pair_joined,
    projected_by,
    queries_hidden,
    reshaped_both_ways,
    reshaped_only,
    residual_inside,
    scaled_by,
    scores_returned,
    self_attention_only,
    sized,
    unmasked,
    values_of_keys,
    values_unprojected,
    weighing,
    weights_averaged,
    wrong,
)
from utils.exercises.declare import Misconception

MULTI_HEAD_ATTENTION = (
    Misconception(
        "reshaped without transpose",
        wrong(reshaped_only),
        "Your heads are cut out by `view` or `reshape` alone: the first head holds the first tokens with all their "
        "columns, not all tokens with its own columns. Use your `split_heads` (4.2).",
    ),
    Misconception(
        "joined without transpose",
        wrong(joined_by_reshape),
        "Your weights are right; the heads are put together wrongly. Reshaping (batch, heads, length, width) straight "
        "to (batch, length, …) mixes tokens: exchange axes 1 and 2 first, as your `join_heads` (4.3) does.",
    ),
    Misconception(
        "reshaped both ways",
        wrong(reshaped_both_ways),
        "Your heads are cut out and put together by `view` or `reshape` alone, so that a head holds whole tokens, not "
        "all tokens with its own columns. Use your `split_heads` (4.2) and your `join_heads` (4.3).",
    ),
    Misconception(
        "columns dealt out",
        wrong(dealt_out(back=False)),
        "You deal the columns out like cards: head 0 gets columns 0, heads, 2·heads … Each head is a range of "
        "neighbouring columns: use your `split_heads` (4.2).",
    ),
    Misconception(
        "columns dealt out and collected",
        wrong(dealt_out(back=True)),
        "You deal the columns out like cards, head 0 gets columns 0, heads, 2·heads …, and collect them so in the end. "
        "Each head is a range of neighbouring columns: use your `split_heads` (4.2) and your `join_heads` (4.3).",
    ),
    Misconception(
        "never split",
        wrong(not_split),
        "You never split into heads: there is one softmax over the full width, a single wide head. Split queries, keys "
        "and values after they are projected.",
    ),
    Misconception(
        "no output projection",
        wrong(no_output_projection),
        "Your weights are right; the last step is missing, W^O: `self.output_projection(join_heads(output))`. Without "
        "it each head could write to its own columns only.",
    ),
    Misconception(
        "scaled by d_model",
        wrong(scaled_by(lambda self, query: query.size(-1))),
        "Your scores are divided by √d_model. Each head compares vectors of width d_k: √d_k.",
        everywhere=True,
    ),
    Misconception(
        "scaled by d_k",
        wrong(scaled_by(lambda self, query: self.d_k**2)),
        "Your scores are divided by d_k. Equation 1 divides them by its root, √d_k, and once.",
        everywhere=True,
    ),
    Misconception(
        "not scaled",
        wrong(scaled_by(lambda self, query: 1)),
        "Your scores are not divided by √d_k, as Equation 1 has it.",
    ),
    Misconception(
        "scaled by all heads' width",
        wrong(scaled_by(lambda self, query: self.heads * self.d_k)),
        "Your scores are divided by the root of all heads' width together. Each head compares vectors of width d_k: "
        "√d_k.",
    ),
    Misconception(
        "mask ignored",
        wrong(unmasked),
        "Your result stays the same whatever the mask says: hand it on to the attention.",
        everywhere=True,
    ),
    Misconception(
        "mask in training mode only",
        wrong(masked_in(training=True)),
        "Your mask works in training mode only. Padding and the future have to stay hidden in evaluation too: no `if "
        "self.training` here.",
        everywhere=True,
    ),
    Misconception(
        "mask in evaluation mode only",
        wrong(masked_in(training=False)),
        "Your mask works in evaluation mode only. In training the future has to be hidden above all, or the model "
        "copies the answer: no `if self.training` here.",
        everywhere=True,
    ),
    Misconception(
        "padded queries hidden",
        wrong(queries_hidden),
        "You hide padding among the queries too. A mask hides keys, columns of the weights; what a padded query finds "
        "is nobody's business, since nothing looks at it.",
    ),
    Misconception(
        "mask inverted",
        wrong(inverted),
        "Your mask works the wrong way round: it hides what is True. True = may be attended to, here as in 3.4; only "
        "torch.nn.MultiheadAttention has it otherwise.",
    ),
    Misconception(
        "NaN where all is masked",
        wrong(weighing(lambda scores, mask: scores.masked_fill(~mask, -math.inf).softmax(-1))),
        "Right, but for a query that may attend to nothing: there the softmax gives 0/0, NaN. Your function of 3.4 has "
        "settled that; use it here.",
    ),
    Misconception(
        "even weights where all is masked",
        wrong(weighing(lambda scores, mask: scores.masked_fill(~mask, -1e9).softmax(-1))),
        "Right, but for a query that may attend to nothing: where all scores are one large negative number, the "
        "softmax gives each key the same weight. Your function of 3.4 has settled that; use it here.",
    ),
    Misconception(
        "masked with 0",
        wrong(weighing(lambda scores, mask: scores.masked_fill(~mask, 0.0).softmax(-1))),
        "Where the mask is False you make the score 0, which is a score like any other. It has to be −∞, so that the "
        "weight becomes 0.",
    ),
    Misconception(
        "masked after the softmax",
        wrong(weighing(lambda scores, mask: scores.softmax(-1) * mask)),
        "You hide keys after the softmax: what is left of a query's weights no longer sums to one. Hide the scores, "
        "before the softmax, as your function of 3.4 does.",
    ),
    Misconception(
        "scores in place of weights",
        wrong(scores_returned),
        "Your output is right; what you return as weights are the scores, before the softmax and the mask.",
    ),
    Misconception(
        "self-attention only",
        wrong(self_attention_only),
        "You project `query` three times. That is self-attention only; between decoder and encoder the keys come from "
        "`key` and the values from `value`.",
    ),
    Misconception(
        "values made of keys",
        wrong(values_of_keys),
        "You project `key` twice: the values come from `value`. In the model the two are one tensor, but not in the "
        "definition.",
    ),
    Misconception(
        "values through the keys' layer",
        wrong(projected_by("query", "key", "key")),
        "You project the values with `key_projection`. They have a layer of their own: `self.value_projection(value)`.",
    ),
    Misconception(
        "keys through the queries' layer",
        wrong(projected_by("query", "query", "value")),
        "You project the keys with `query_projection`. They have a layer of their own: `self.key_projection(key)`.",
    ),
    Misconception(
        "one layer for all",
        wrong(projected_by("query", "query", "query")),
        "You project query, key and value with one layer, `query_projection`. Each has a layer of its own.",
    ),
    Misconception(
        "layers exchanged",
        wrong(projected_by("key", "query", "value")),
        "The layers of queries and keys are exchanged: `self.query_projection(query)`, `self.key_projection(key)`.",
    ),
    Misconception(
        "pair not taken apart",
        wrong(pair_joined),
        "`scaled_dot_product_attention` returns two things; you hand both on as if they were one. "
        "`output, weights = …`, then join the output's heads.",
    ),
    Misconception(
        "values not projected",
        wrong(values_unprojected),
        "Your values are cut into heads without W^V: `self.value_projection(value)` first.",
    ),
    Misconception(
        "weights averaged over heads",
        wrong(weights_averaged),
        "Your output is right; your weights are averaged over the heads (as torch.nn.MultiheadAttention does unless "
        "told otherwise). Return each head's own, (batch, heads, target_len, source_len).",
    ),
    Misconception(
        "output alone",
        wrong(output_alone),
        "You return the output alone. The weights are asked for too, so that they can be looked at: "
        "`return output, weights`.",
    ),
    Misconception(
        "residual added",
        wrong(residual_inside),
        "You add the input to the output. The residual connection is a part of its own (§3.1), around this one; adding "
        "it here would count it twice.",
    ),
    Misconception(
        "bias ignored",
        BiasAlways,
        "Your projections have biases whatever `bias` says: hand it on, `nn.Linear(…, bias=bias)`.",
    ),
    Misconception(
        "widths ignored",
        WidthsIgnored,
        "You derive d_k and d_v from d_model / heads even where they are given. Table 3 (B) varies d_k on its own: use "
        "`self.d_k` and `self.d_v` for the sizes of the projections.",
    ),
    Misconception(
        "projections of one head's width",
        sized(lambda self: self.d_k, lambda self: self.d_v, all_values),
        "Your projections of query, key and value are as wide as a single head. They hold all heads side by side: "
        "heads · d_k, heads · d_k and heads · d_v outputs.",
    ),
    Misconception(
        "all projections of one head's width",
        sized(lambda self: self.d_k, lambda self: self.d_v),
        "Your four projections are as wide as a single head. They hold all heads side by side: heads · d_k outputs for "
        "queries and keys, heads · d_v for values, and as many inputs to W^O.",
    ),
    Misconception(
        "queries and keys of one head's width",
        sized(lambda self: self.d_k, all_values),
        "Your projections of queries and keys are as wide as a single head. They hold all heads side by side: heads · "
        "d_k outputs each, as the values have heads · d_v.",
    ),
    Misconception(
        "values as wide as keys",
        sized(all_keys, all_keys),
        "Your values are as wide as your keys, d_k, also where d_v is another number: heads · d_v outputs of "
        "`value_projection`, and as many inputs to `output_projection`.",
    ),
    Misconception(
        "output projection from d_model",
        sized(all_keys, all_values, lambda self: self.query_projection.in_features),
        "Your `output_projection` goes from d_model to d_model. What it gets are all heads side by side, heads · d_v "
        "numbers, which are d_model of them only where d_v is d_model / heads.",
    ),
    Misconception(
        "heads of full width",
        WideHeads,
        "Each of your heads is d_model wide. A head's width is d_k = d_model / heads, so that all heads together cost "
        "what one wide head would: the projections go from d_model to heads · d_k.",
    ),
)
