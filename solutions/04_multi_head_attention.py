# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 04 · Multi-head attention (§3.2.2, §3.2.3)
#
# **Where we are.** One look-up works (chapter 03). Today several of them run side by side, and you find them in the
# three places where the model uses them.
#
# ![Figure 1 with multi-head attention lit](../assets/figure1_04.svg)
#
# After this chapter you can
#
# * write multi-head attention as the paper's loop over heads and as one reshape, and say why `view` alone is wrong;
# * count its parameters and multiplications, and test whether heads cost anything;
# * say for each of the model's three attentions who asks, who answers and which mask is needed;
# * move weights and masks to `torch.nn.MultiheadAttention` and get the same numbers;
# * say how many heads pay off here, and what today's models do to make them cheaper.
#
# About 110 minutes, seven exercises (one of them optional), 10 points and 2 for the optional one.

# %% tags=["setup"]
# The set-up cell is written by the build.

# %% [markdown]
# ## The idea
#
# One softmax gives one set of weights, and one set of weights is one way of looking. A word often needs several at
# once: a verb its subject *and* its object, an adjective its noun's gender *and* its number. With one set the values of
# all these places are averaged into one vector, and the average no longer says what came from where.
#
# So the model looks h times. Each look, a **head**, has small matrices of its own, which first pick out of every token
# what this head compares and what it hands over. What the heads find is put side by side and mixed by one last matrix.
#
# > **Paper (§3.2.2).** MultiHead(Q, K, V) = Concat(head_1, …, head_h) W^O, where
# > head_i = Attention(Q W_i^Q, K W_i^K, V W_i^V). The base model has h = 8 heads and d_k = d_v = d_model / h = 64.
#
# | symbol | in code | shape | meaning |
# |---|---|---|---|
# | Q | `query` | (batch, target_len, d_model) | the tokens that ask |
# | K, V | `key`, `value` | (batch, source_len, d_model) | the tokens that are asked |
# | h | `heads` | | how many look-ups side by side |
# | W_i^Q, W_i^K | `query_weights[i]`, … | (d_model, d_k) | what head i compares |
# | W_i^V | `value_weights[i]` | (d_model, d_v) | what head i hands over |
# | W^O | `output_weight` | (h · d_v, d_model) | mixes what the heads found |
#
# > **Note.** Q, K and V changed their meaning between two pages of the paper. In Equation 1 they are what is compared
# > and averaged; here they are the tokens *before* their projection. Code that you read elsewhere mixes the two freely.

# %% [markdown]
# ## Predict
#
# Four questions, to be answered before anything is run: put the letter of your answer behind the number, as in
# `predict("4.a", "b")`.

# %%
predict("4.a")

# %%
predict("4.b")

# %%
predict("4.c")

# %%
predict("4.d")

# %% [markdown]
# ## By hand
#
# Three words of width 4. The first two columns say which noun it is (cat or dog), the last two which number it has
# (plural or singular). The query is "cats". Let head 1 compare the first two columns and head 2 the last two.

# %%
import math

words = ["cats", "cat", "dogs"]
x = torch.tensor([[2.0, 0, 2, 0], [2, 0, 0, 2], [0, 2, 2, 0]])  # (3, d_model = 4)
looks = {"head 1 (noun)": x[:, :2], "head 2 (number)": x[:, 2:], "one wide head": x}
for name, part in looks.items():
    scores = part @ part[0] / math.sqrt(part.size(-1))  # "cats" asks
    weights = scores.softmax(-1)
    print(f"{name:16} ", "  ".join(f"{word} {weight:.2f}" for word, weight in zip(words, weights)))

# %% [markdown]
# Head 1 finds the same noun and head 2 the same number: two answers to two questions. The wide head compares everything
# at once; "cat" and "dogs" agree with "cats" in one half each, so it cannot tell in which. Cutting out columns is all
# that a matrix W_i of zeros and ones does; a learned one can pick any two directions of the four.

# %%
first_two = torch.eye(4)[:, :2]  # (d_model, d_k)
print(first_two.tolist())
assert torch.equal(x @ first_two, x[:, :2])

# %% [markdown]
# ## A loop
#
# The paper's formula, read literally, is a loop over heads. Equation 1 and the causal mask you have already:

# %%
from utils.exercises import yours

causal_mask, scaled_dot_product_attention = yours("3.3", "3.4")

# %% [markdown]
# ### Exercise 4.1 · Heads in a loop
#
# Difficulty 2 · 15 minutes · 2 points.
#
# The matrices come stacked, one for each head: `query_weights[i]` is W_i^Q. They are used as in the paper, `query @ w`.
# `torch.cat(tensors, dim=-1)` puts tensors side by side. No mask here; it comes in 4.4.

# %%
# Exercise 4.1: heads in a loop
def heads_by_loop(query, key, value, query_weights, key_weights, value_weights, output_weight):
    """Concat(head_1, …, head_h) W^O with head_i = Attention(Q W_i^Q, K W_i^K, V W_i^V), head by head (§3.2.2).

    query: (..., target_len, d_model); key, value: (..., source_len, d_model);
    query_weights, key_weights: (heads, d_model, d_k); value_weights: (heads, d_model, d_v);
    output_weight: (heads · d_v, d_model). Returns (..., target_len, d_model).
    """
    ### BEGIN SOLUTION
    heads = []
    for w_query, w_key, w_value in zip(query_weights, key_weights, value_weights, strict=True):
        head, _ = scaled_dot_product_attention(query @ w_query, key @ w_key, value @ w_value)
        heads.append(head)  # (..., target_len, d_v)
    return torch.cat(heads, dim=-1) @ output_weight
    ### END SOLUTION


# %%
check("4.1", heads_by_loop)

# %%
hint("4.1")

# %% [markdown]
# The two heads from above, now through your loop: with W^O = I the two answers stand side by side. "cats" has got the
# noun, undisturbed, from head 1 (columns 0 and 1) and the number from head 2 (columns 2 and 3).

# %%
pick = torch.stack([torch.eye(4)[:, :2], torch.eye(4)[:, 2:]])  # (heads, d_model, d_k)
found = heads_by_loop(x, x, x, pick, pick, pick, torch.eye(4))
print("cats:", [round(number, 2) for number in found[0].tolist()])

# %% [markdown]
# ## From a loop to one product
#
# The h small products can be one large one, which keeps a processor busier. Put the matrices W_1^Q … W_h^Q side by side
# and you have a single matrix of width h · d_k; the product with it holds the queries of all heads, head after head.

# %%
torch.manual_seed(0)
tokens, small = torch.randn(5, 6), torch.randn(3, 6, 2)  # five tokens; three heads, d_model 6, d_k 2
wide = torch.cat(list(small), dim=-1)  # (6, 3 · 2)
for head in range(3):
    columns = slice(2 * head, 2 * head + 2)
    assert torch.allclose((tokens @ wide)[:, columns], tokens @ small[head], atol=1e-6)
print("one product", tuple(wide.shape), "gives the columns of", len(small), "products", tuple(small[0].shape))

# %% [markdown]
# What is left is to cut (batch, length, h · d_k) into heads, (batch, h, length, d_k), so that Equation 1 sees the heads
# as one more leading axis. There is a wrong way to do so that raises no error. Number the entries so that 21 is column
# 1 of token 2, and look at the first of two heads:

# %%
joined = torch.tensor([[[0, 1, 2, 3], [10, 11, 12, 13], [20, 21, 22, 23]]])  # (batch 1, length 3, 2 · 2)
right = torch.stack([joined[..., :2], joined[..., 2:]], dim=1)  # (1, 2, 3, 2), one head after another
wrong = joined.view(1, 2, 3, 2)  # the same shape at once
print("right, head 0:", right[0, 0].tolist())
print("wrong, head 0:", wrong[0, 0].tolist())
assert right.shape == wrong.shape and not torch.equal(right, wrong)

# %% [markdown]
# `view` and `reshape` keep the order in which the numbers lie in memory, token after token, and only draw new borders.
# The wrong head 0 holds token 0 whole and half of token 1, cut into three rows that are no tokens at all. `transpose`
# does what `view` cannot: it changes which axis is walked along first. So split the last axis in place, into (batch,
# length, h, d_k), which is only a border drawn, and let `transpose` bring the heads to the front.

# %%
from utils.plots.style import LINE_COLOURS, NotebookFigure

figure = NotebookFigure(figsize=(9, 2.9), layout="constrained")
panels = figure.subplots(1, 5, width_ratios=[4, 2, 2, 2, 2])
names = ["as projected", "right: head 0", "right: head 1", "wrong: head 0", "wrong: head 1"]
for axes, name, part in zip(panels, names, [joined[0], *right[0], *wrong[0]]):
    axes.set(xlim=(0, part.size(1)), ylim=(3, 0), aspect="equal", xticks=[], yticks=[])
    axes.set_title(name, size=10)
    axes.spines[:].set_visible(False)
    for row, column in torch.cartesian_prod(torch.arange(3), torch.arange(part.size(1))).tolist():
        number = part[row, column].item()
        colour = LINE_COLOURS[number // 10]
        axes.fill_between([column, column + 0.94], row, row + 0.94, color=colour)
        axes.text(column + 0.47, row + 0.47, f"{number:02d}", ha="center", va="center", color="white")
panels[0].set(xlabel="columns", ylabel="tokens (one colour each)")
figure.suptitle("A head is a range of columns of every token; view alone hands it whole tokens")
figure

# %% [markdown]
# ### Exercise 4.2 · Split into heads
#
# Difficulty 2 · 10 minutes · 1 point.
#
# Any number of heads, and no loop. `tensor.unflatten(axis, (a, b))` splits one axis into two of sizes a and b (−1:
# whatever is left), in the order of memory; `tensor.transpose(i, j)` exchanges two axes.

# %%
# Exercise 4.2: split into heads
def split_heads(joined, heads):
    """(batch, length, heads · width) → (batch, heads, length, width)."""
    ### BEGIN SOLUTION
    return joined.unflatten(-1, (heads, -1)).transpose(1, 2)
    ### END SOLUTION


# %%
check("4.2", split_heads)

# %%
hint("4.2")

# %% [markdown]
# ### Exercise 4.3 · Join the heads
#
# Difficulty 2 · 10 minutes · 1 point.
#
# The way back. One thing to know: `view` merges axes only where their numbers lie in order in memory, and after
# `transpose` they do not. It says so:

# %%
attended = torch.arange(12).view(1, 2, 3, 2)  # as attention returns it, in one piece
try:
    attended.transpose(1, 2).view(1, 3, 4)
except RuntimeError as error:
    print(str(error).split("(")[0])
print("strides", attended.stride(), "and after transpose", attended.transpose(1, 2).stride())

# %% [markdown]
# A stride says how many numbers lie between one index of an axis and the next. `reshape` and `flatten` do what `view`
# does where that is possible, and copy where it is not.

# %%
# Exercise 4.3: join the heads
def join_heads(separate):
    """(batch, heads, length, width) → (batch, length, heads · width): Concat of §3.2.2."""
    ### BEGIN SOLUTION
    return separate.transpose(1, 2).flatten(-2)
    ### END SOLUTION


# %%
check("4.3", join_heads)

# %%
hint("4.3")

# %%
from torch import nn

some = torch.randn(2, 5, 12)
assert torch.equal(join_heads(split_heads(some, 4)), some)
print("there and back: nothing lost, nothing moved")

# %% [markdown]
# ## The module
#
# ### Exercise 4.4 · Multi-head attention
#
# Difficulty 3 · 25 minutes · 3 points.
#
# The h small matrices W_i^Q stand side by side in one projection of width h · d_k; likewise for keys and values.
# Project, split, attend, join, project. `nn.Linear(a, b, bias=…)` is a projection from width a to width b. Write the
# four projections under the names `query_projection`, `key_projection`, `value_projection` and `output_projection`:
# later cells, and the cache with which your model will translate, look for them. A mask broadcasts to (batch, heads,
# target_len, source_len) as it stands.
#
# > **Note.** §3.2.2 writes the projections as plain matrices. Most code, and ours unless told otherwise, gives them a
# > bias.

# %%
# Exercise 4.4: multi-head attention
class MultiHeadAttention(nn.Module):
    """Concat(head_1, …, head_h) W^O with head_i = Attention(Q W_i^Q, K W_i^K, V W_i^V) (§3.2.2)."""

    def __init__(self, d_model, heads, d_k=None, d_v=None, bias=True):
        super().__init__()
        self.heads = heads
        self.d_k = d_k or d_model // heads
        self.d_v = d_v or d_model // heads
        ### BEGIN SOLUTION
        self.query_projection = nn.Linear(d_model, heads * self.d_k, bias=bias)
        self.key_projection = nn.Linear(d_model, heads * self.d_k, bias=bias)
        self.value_projection = nn.Linear(d_model, heads * self.d_v, bias=bias)
        self.output_projection = nn.Linear(heads * self.d_v, d_model, bias=bias)
        ### END SOLUTION

    def forward(self, query, key, value, mask=None):
        """query: (batch, target_len, d_model); key, value: (batch, source_len, d_model);
        mask: bool, broadcastable to (batch, heads, target_len, source_len), True = may attend.

        Returns (output (batch, target_len, d_model), weights (batch, heads, target_len, source_len)).
        """
        ### BEGIN SOLUTION
        query = split_heads(self.query_projection(query), self.heads)  # (batch, heads, target_len, d_k)
        key = split_heads(self.key_projection(key), self.heads)  # (batch, heads, source_len, d_k)
        value = split_heads(self.value_projection(value), self.heads)  # (batch, heads, source_len, d_v)
        output, weights = scaled_dot_product_attention(query, key, value, mask)
        return self.output_projection(join_heads(output)), weights
        ### END SOLUTION


# %%
check("4.4", MultiHeadAttention)

# %%
hint("4.4")

# %% [markdown]
# Your module and your loop compute the same. `nn.Linear` keeps its matrix transposed, (outputs, inputs): head i's W_i^Q
# is rows i · d_k … of `query_projection.weight`, turned over.

# %%
torch.manual_seed(4)
attention = MultiHeadAttention(d_model=12, heads=3, bias=False)
asking, asked = torch.randn(2, 5, 12), torch.randn(2, 7, 12)
projections = attention.query_projection, attention.key_projection, attention.value_projection
stacks = [projection.weight.unflatten(0, (3, -1)).mT for projection in projections]  # (heads, d_model, d_k) each
looped = heads_by_loop(asking, asked, asked, *stacks, attention.output_projection.weight.T)
output, weights = attention(asking, asked, asked)
assert torch.allclose(output, looped, atol=1e-5)
print("output", tuple(output.shape), "weights", tuple(weights.shape), "from stacks", tuple(stacks[0].shape))

# %% [markdown]
# Two sayings, tested. "Attention is permutation-invariant": no. Without a mask it is *equivariant*, since outputs
# change places with their tokens. "Self-attention has no parameters": true of Equation 1, and of nothing that you
# train. A module has 4 · d_model² + 4 · d_model of them:

# %%
mixed = torch.randperm(7, generator=torch.Generator().manual_seed(1))
in_order, in_disorder = (attention(x, x, x)[0] for x in (asked, asked[:, mixed]))
assert torch.allclose(in_disorder, in_order[:, mixed], atol=1e-6)  # equivariant
assert not torch.allclose(in_disorder, in_order, atol=0.01)  # not invariant
base = MultiHeadAttention(d_model=512, heads=8)
parameters = sum(parameter.numel() for parameter in base.parameters())
assert parameters == 4 * 512**2 + 4 * 512
print(f"{parameters:,} parameters in one attention of the base model, {18 * parameters:,} in its eighteen")

# %% [markdown]
# ## What heads cost
#
# > **Paper (§3.2.2).** Because each head is narrower, the total computational cost is similar to that of one head of
# > full width.
#
# Count first, then measure. A product of an (a, b) and a (b, c) matrix takes a · b · c multiplications. Four
# projections and, in each head, two products of Equation 1 are all there is to count; the softmax, the scale and the
# additions are left out.
#
# ### Exercise 4.5 · What heads cost
#
# Difficulty 2 · 15 minutes · 2 points.

# %%
# Exercise 4.5: what heads cost
def attention_counts(target_len, source_len, d_model, heads, d_k, d_v, bias=True):
    """Parameters of multi-head attention, and the multiplications of its matrix products for one sentence (§3.2.2).

    Counted are the four projections, QKᵀ and the mixing of values; not the additions of biases, the scale, the softmax.
    Returns (parameters, multiplications).
    """
    ### BEGIN SOLUTION
    parameters = heads * (2 * d_k + d_v) * (d_model + bias) + (heads * d_v + bias) * d_model
    projections = d_model * heads * (target_len * d_k + source_len * d_k + source_len * d_v + target_len * d_v)
    attending = heads * target_len * source_len * (d_k + d_v)
    return parameters, projections + attending
    ### END SOLUTION


# %%
check("4.5", attention_counts)

# %%
hint("4.5")

# %% [markdown]
# The paper's base model and a sentence of 30 tokens. What your count leaves out is the last column: each head has a
# softmax of its own, so there are h times as many weights to exponentiate and to keep.

# %%
length, d_model = 30, 512
print("heads  d_k  parameters  multiplications  weights")
for heads in (1, 8, 64):
    width = d_model // heads
    parameters, multiplications = attention_counts(length, length, d_model, heads, width, width)
    print(f"{heads:5} {width:4} {parameters:11,} {multiplications:16,} {heads * length**2:8,}")
    assert (parameters, multiplications) == attention_counts(length, length, d_model, 1, d_model, d_model)

# %% [markdown]
# ## Three places
#
# > **Paper (§3.2.3).** The model uses multi-head attention in three ways: in the encoder, where every position looks at
# > every position; in the decoder, where a position looks at itself and the past; and between the two, where the
# > decoder's positions look at the encoder's output.
#
# | where | who asks (`query`) | who answers (`key`, `value`) | mask | weights |
# |---|---|---|---|---|
# | encoder self-attention | source tokens | the same tokens | source padding | (batch, h, S, S) |
# | decoder self-attention | target tokens | the same tokens | the future (and target padding) | (batch, h, T, T) |
# | encoder–decoder attention | target tokens | the encoder's output | source padding | (batch, h, T, S) |
#
# A mask hides *keys*: it is the columns that go dark. In every map of this course rows are queries and columns are
# keys.

# %%
padding_mask = yours("1.3")
source = torch.tensor([[5, 6, 7, 8, 9, 3], [5, 6, 7, 3, 0, 0]])  # ids; 3 ends a sentence, 0 is padding
target = torch.tensor([[2, 11, 12, 13, 14], [2, 11, 12, 0, 0]])  # 2 begins one
masks = {
    "encoder self-attention": padding_mask(source),  # (batch, 1, 1, S)
    "decoder self-attention": causal_mask(5) & padding_mask(target),  # (batch, 1, T, T)
    "encoder–decoder attention": padding_mask(source),  # (batch, 1, 1, S)
}
for name, mask in masks.items():
    print(f"{name:26}", tuple(mask.shape))

# %% [markdown]
# The second sentence of that batch, which is shorter than the first. (Our model leaves the target's padding out of the
# mask: it stands at the end, where the causal mask hides it from every real token.)

# %%
figure = NotebookFigure(figsize=(9, 3.1), layout="constrained")
source_words = ["the", "dog", "sleeps", "⟨end⟩", "⟨pad⟩", "⟨pad⟩"]
target_words = ["⟨begin⟩", "der", "Hund", "⟨pad⟩", "⟨pad⟩"]
sides = [(source_words, source_words), (target_words, target_words), (target_words, source_words)]
for axes, (name, mask), (queries, keys) in zip(figure.subplots(1, 3), masks.items(), sides):
    axes.imshow(mask[1, 0].expand(len(queries), len(keys)), cmap="cividis", vmin=0, vmax=1)
    axes.set_xticks(range(len(keys)), keys, rotation=60)
    axes.set_yticks(range(len(queries)), queries)
    axes.set(xlabel="keys: who answers", ylabel="queries: who asks")
    axes.set_title(name, size=10)
figure.suptitle("Yellow may be looked at; padding and the future may not")
figure

# %% [markdown]
# Two properties that follow, in your own module. What stands in padded places moves nothing; what comes later moves
# nothing earlier. Both have to hold in training mode too.

# %%
torch.manual_seed(5)
attention = MultiHeadAttention(16, 4).train()
encoded, decoded = torch.randn(2, 6, 16), torch.randn(2, 5, 16)
noise = torch.where(padding_mask(source)[:, 0, 0, :, None], encoded, torch.randn(2, 6, 16))  # other padding
cross, weights = attention(decoded, encoded, encoded, masks["encoder–decoder attention"])
assert torch.allclose(cross, attention(decoded, noise, noise, masks["encoder–decoder attention"])[0], atol=1e-6)
later = torch.cat([decoded[:, :3], torch.randn(2, 2, 16)], dim=1)  # another end
before, after = (attention(part, part, part, causal_mask(5))[0] for part in (decoded, later))
assert torch.allclose(before[:, :3], after[:, :3], atol=1e-6) and not torch.allclose(before, after, atol=0.01)
assert torch.allclose(weights.sum(-1), torch.ones(2, 4, 5))  # rows, queries, sum to one; columns do not
print("encoder–decoder weights", tuple(weights.shape), "= (batch, heads, queries T, keys S)")

# %% [markdown]
# ## PyTorch's module
#
# `torch.nn.MultiheadAttention` is the same thing with four differences that are easily missed: its three projections
# lie below each other in one matrix, `in_proj_weight`; it takes (length, batch, d_model) unless it is made with
# `batch_first=True`; it averages the weights over the heads unless told not to; and its masks mean the opposite, True =
# must not be seen. They come in two forms: `key_padding_mask`, (batch, source_len),
# and `attn_mask`, (target_len, source_len), or (batch · heads, target_len, source_len) where sentences or heads differ.
#
# ### Exercise 4.6 · A mask for PyTorch's module
#
# Difficulty 2 · 10 minutes · 1 point.
#
# Turn any mask of the course into an `attn_mask` of the last form. `tensor.expand(sizes)` writes out what broadcasting
# would do (−1 keeps a size); `tensor.flatten(0, 1)` merges the first two axes, the second running faster.

# %%
# Exercise 4.6: a mask for PyTorch's module
def as_torch_mask(mask, batch, heads, target_len):
    """A mask of the course as `torch.nn.MultiheadAttention` wants `attn_mask`: there, True = must not be seen.

    mask: bool, broadcastable to (batch, heads, target_len, source_len), with four axes, the last one full.
    Returns bool (batch · heads, target_len, source_len), the heads of a sentence next to each other.
    """
    ### BEGIN SOLUTION
    blocked = ~mask
    return blocked.expand(batch, heads, target_len, -1).flatten(0, 1)
    ### END SOLUTION


# %%
check("4.6", as_torch_mask)

# %%
hint("4.6")

# %% [markdown]
# The weights are copied over, and the two modules agree, outputs and each head's weights, for all three uses:

# %%
theirs = nn.MultiheadAttention(16, 4, batch_first=True)
projections = attention.query_projection, attention.key_projection, attention.value_projection
with torch.no_grad():
    theirs.in_proj_weight.copy_(torch.cat([projection.weight for projection in projections]))
    theirs.in_proj_bias.copy_(torch.cat([projection.bias for projection in projections]))
theirs.out_proj.load_state_dict(attention.output_projection.state_dict())
uses = zip(masks.items(), [(encoded, encoded), (decoded, decoded), (decoded, encoded)])
for (name, mask), (asking, asked) in uses:
    blocked = as_torch_mask(mask, 2, 4, asking.size(1))
    expected = theirs(asking, asked, asked, attn_mask=blocked, average_attn_weights=False)
    for one, other in zip(attention(asking, asked, asked, mask), expected):
        assert torch.allclose(one, other, atol=1e-5)
    print(f"{name:26} equal")

# %% [markdown]
# One case differs, a query that may look at nothing. You decided in 3.4 that it gets zeros; PyTorch, where it returns weights,
# leaves it 0/0:

# %%
nothing = torch.zeros(1, 1, 2, 6, dtype=torch.bool)
ours, _ = attention(decoded[:1, :2], encoded[:1], encoded[:1], nothing)
other, _ = theirs(decoded[:1, :2], encoded[:1], encoded[:1], attn_mask=as_torch_mask(nothing, 1, 4, 2))
print("numbers that are NaN:", int(ours.isnan().sum()), "of ours,", int(other.isnan().sum()), "of theirs")

# %% [markdown]
# ## See
#
# Train a translator for half a minute, with *your* module in all its attentions, and look at the four heads of one
# layer.

# %% tags=["machine"]
from utils.training.short import train_briefly
from utils.transformer import Parts, attention_maps

run = train_briefly(
    parts=Parts(attention=MultiHeadAttention), updates=500, d_model=64, d_ff=128, heads=4, warmup=100, peak=6e-3
)
print(f"validation loss {run.valid_loss:.2f} nats per token")

# %%
from utils.transformer import BEGIN, END

english, german = "The boy brings us the good poem.", "Der Junge bringt uns das gute Gedicht."
source = torch.tensor([run.tokeniser.encode(english) + [END]])  # (1, S)
target = torch.tensor([[BEGIN] + run.tokeniser.encode(german)])  # (1, T), shifted right
maps = attention_maps(run.model, source, target)
words = ["⟨begin⟩", *german[:-1].split(), "."]
title = "Four heads of one layer, each with a map of its own (decoder, layer 1)"
plots.heads_grid(maps.decoder[0][0], words, words, title, query_axis="query", key_axis="key")

# %% [markdown]
# A row is where one word looks while the word after it is being chosen; the upper right triangle is dark, since nobody
# sees the future. Which head does what depends on the seed.
#
# Does the model need each of them? Silence one head at a time: set the part of W^O that reads it to zero, and see how
# far the validation loss rises. In the paper's W^O that part is rows; `nn.Linear` keeps the matrix turned over, so
# columns. Then silence all four heads of a place together.

# %% tags=["machine"]
from utils.text import TokenBatches
from utils.training.trainer import corpus_loss

batches = TokenBatches(run.corpus.split("valid")[:300], run.tokeniser, 4096)


def loss_without(attention, columns):
    """The validation loss with some of the columns of W^O set to zero."""
    weight = attention.output_projection.weight
    kept = weight.detach().clone()
    with torch.no_grad():
        weight[:, columns] = 0
        loss = corpus_loss(run.model, batches, weight.device)
        weight.copy_(kept)
    return loss


places = {f"encoder {i + 1}": layer.self_attention for i, layer in enumerate(run.model.encoder.layers)}
for i, layer in enumerate(run.model.decoder.layers):
    places |= {f"decoder {i + 1}": layer.self_attention, f"cross {i + 1}": layer.cross_attention}
whole = corpus_loss(run.model, batches, source.device)
columns = [slice(16 * head, 16 * head + 16) for head in range(4)] + [slice(0, 64)]  # each head, then all four
rises = {name: [loss_without(place, part) - whole for part in columns] for name, place in places.items()}

# %% tags=["machine"]
figure = NotebookFigure(figsize=(9, 3.4), layout="constrained")
axes = figure.subplots()
for row, (name, rise) in enumerate(rises.items()):
    print(f"{name:10}", "  ".join(f"{number:5.2f}" for number in rise[:4]), f"  all four {rise[4]:5.2f}")
    axes.plot(rise[:4], [row] * 4, "o", color="#0072b2", alpha=0.7)
    axes.plot(rise[4], row, "D", color="#d55e00")
axes.set_yticks(range(len(rises)), rises)
axes.set(xlabel="rise of the validation loss (nats per token)", ylim=(5.5, -0.5))
single, together = max(rises["decoder 1"][:4]), rises["decoder 1"][4]
axes.annotate("one head silenced", (single, 2), (9, -4), textcoords="offset points", color="#0072b2")
axes.annotate("all four", (together, 2), (-9, -4), textcoords="offset points", color="#d55e00", ha="right")
figure.suptitle("Most heads alone are hardly missed; in the decoder, all four of a place are")
singles = [number for rise in rises.values() for number in rise[:4]]
print(f"{sum(number < 0.1 for number in singles)} of {len(singles)} heads cost less than 0.1 nats each")
assert all(max(rise[:4]) < rise[4] for rise in rises.values()) and sorted(singles)[12] < 0.2
figure

# %% [markdown]
# > **Since 2017.** Michel et al. (2019) and Voita et al. (2019) did this with large translators: many heads can be
# > removed after training at little cost, and those that cannot have roles that people can name, such as looking at the
# > neighbour or along the syntax. That heads can be spared at the end does not mean that they could have been spared at
# > the beginning.

# %% [markdown]
# ## Test the claim, 1: averaging inhibits
#
# > **Paper (§3.2.2).** Several heads let the model attend to information from different subspaces at different
# > positions. With one head, averaging inhibits this.
#
# A query wants four numbers of its left neighbour *and* four of its right one. One head of width 8 hands over w · left
# + (1 − w) · right. Two heads of width 4 have as many columns in all. Whatever W^O is, the best reading of what was
# found is linear here (the numbers are normally distributed), so least squares finds the smallest possible error.

# %%
torch.manual_seed(7)
left, right = torch.randn(2, 20000, 8)  # 20 000 queries' two neighbours
wanted = torch.cat([left[:, :4], right[:, :4]], dim=-1)


def smallest_error(found):
    """Mean squared error of the best W^O; 1 would be knowing nothing."""
    best = torch.linalg.lstsq(found, wanted).solution
    return (found @ best - wanted).square().mean().item()


for share in (0.5, 0.7, 0.9, 1.0):
    error = smallest_error(share * left + (1 - share) * right)
    print(f"one head of width 8, {share:.0%} to the left: {error:.2f}")
    assert abs(error - 0.5) < 0.02
print(f"two heads of width 4: {smallest_error(wanted):.2f}")

# %% [markdown]
# **Verdict: holds**, and to the digit: one head loses exactly half, however it shares its attention out. If w of it
# goes to the left, the error on the left is 1 − w² / (w² + (1 − w)²) and on the right the same with w and 1 − w
# exchanged; their sum is 1. A wider head does not help here, since what is lost is which place a number came from. A
# second layer might fetch what the first left behind.

# %% [markdown]
# ## Test the claim, 2: heads cost nothing
#
# By count, heads are free. By the clock, each has its own n × n weights to compute, and n² grows faster than the
# projections do. So measure at a short length, a sentence, and at a long one.

# %% tags=["machine"]
import time


def milliseconds(module, length, times=5):
    """The median time of self-attention over so many tokens."""
    tokens, clocks = torch.randn(1, length, 512), []
    for _ in range(times):
        start = time.perf_counter()
        with torch.no_grad():
            module(tokens, tokens, tokens)
        clocks.append(1000 * (time.perf_counter() - start))
    return sorted(clocks)[times // 2]


clocked = {}
for heads in (1, 8, 64):
    module = MultiHeadAttention(512, heads)
    clocked[heads] = short, long = milliseconds(module, 32), milliseconds(module, 512)
    times = long / clocked[1][1]
    print(f"{heads:2} heads: {short:5.2f} ms for 32 tokens, {long:6.1f} ms for 512, {times:.1f} times one head's")
assert clocked[64][1] > 1.5 * clocked[1][1]

# %% [markdown]
# **Verdict: holds for the paper's eight heads on sentences**: at 32 tokens they take about the time of one, and at 512
# not much more. It does not hold for many heads on long texts. The multiplications are as many as before, but there are
# h softmaxes over n × n weights to compute and to keep, and products of very narrow matrices use a processor badly.
# (FlashAttention, chapter 03, takes the memory of the weights away.)

# %% [markdown]
# ## Test the claim, 3: how many heads?
#
# > **Paper (§6.2, Table 3, rows A).** At constant computation a single head is 0.9 BLEU worse than the best setting,
# > and too many heads lose quality as well: 24.9 BLEU with 1 head, 25.5 with 4, 25.8 with 8, 25.8 with 16, 25.4 with
# > 32.
#
# The same here: the embedded corpus, d_model = 64, h · d_k = 64 throughout, 1 000 updates, three seeds. Eighteen
# trainings are too many for a chapter, so the next cell reads a **recorded run**. Set the switch to `True` to train
# again.

# %%
import json
from pathlib import Path

again = False  # True: trains eighteen models; the minutes that takes are printed below
course = next(folder for folder in (Path.cwd(), *Path.cwd().parents) if (folder / "assets/runs").is_dir())
record = json.loads((course / "assets/runs/04-heads.json").read_text(encoding="utf-8"))
results = record["results"]
if again:
    from utils.experiments.heads import heads_experiment

    results = heads_experiment(seeds=record["seeds"], **record["settings"])
print("recorded with", record["command"])
minutes = sum(result["cpu_seconds"] for result in results) / 60
print(f"on {record['hardware']['processor']} in {minutes:.0f} CPU minutes")

# %%
def by_heads(score):
    """{heads: [that score for each seed]}."""
    counts = sorted({result["heads"] for result in results})
    return {count: [result[score] for result in results if result["heads"] == count] for count in counts}


def mean(numbers):
    """The arithmetic mean."""
    return sum(numbers) / len(numbers)


bleu, loss = by_heads("bleu"), by_heads("valid_loss")
assert len({result["parameters"] for result in results}) == 1  # the same for every number of heads
for count in bleu:
    seeds = "  ".join(f"{score:5.2f}" for score in bleu[count])
    print(f"{count:2} heads of {64 // count:2}: BLEU {mean(bleu[count]):5.2f} ({seeds}), loss {mean(loss[count]):.3f}")

# %%
figure = NotebookFigure(figsize=(9, 3.4), layout="constrained")
ours, paper = figure.subplots(1, 2)
for seed in record["seeds"]:
    line = [result["bleu"] for result in results if result["seed"] == seed]
    ours.plot(list(bleu), line, "o-", color="#0072b2", alpha=0.35, linewidth=1)
ours.plot(list(bleu), [mean(scores) for scores in bleu.values()], "o-", color="#0072b2", linewidth=2.5)
paper.plot([1, 4, 8, 16, 32], [24.9, 25.5, 25.8, 25.8, 25.4], "o-", color="#d55e00", linewidth=2.5)
ours.set_title("here, d_model = 64: mean and three seeds", size=10)
paper.set_title("the paper's Table 3 (A), d_model = 512", size=10)
for axes, label in ((ours, "BLEU (embedded corpus)"), (paper, "BLEU (newstest2013)")):
    axes.set_xscale("log", base=2)
    axes.set_xticks([1, 2, 4, 8, 16, 32], [1, 2, 4, 8, 16, 32])
    axes.set(xlabel="heads h, each of width d_model / h", ylabel=label)
figure.suptitle("One head is too few; with very many, each becomes too narrow")
figure

# %%
best = max(bleu, key=lambda count: mean(bleu[count]))
behind = {count: mean(bleu[best]) - mean(scores) for count, scores in bleu.items()}
print(f"best: {best} heads; one head is {behind[1]:.1f} BLEU behind in the mean, 32 heads {behind[32]:.1f}")
assert all(one < eight for one, eight in zip(bleu[1], bleu[8]))  # in each seed
assert all(many < eight for many, eight in zip(bleu[32], bleu[8]))

# %% [markdown]
# Too many heads, or too narrow ones? With 32 heads a query and a key are two numbers each. A second recorded run gives
# the 32 heads keys of 16 numbers and leaves all else, d_v = 2 included. (That costs parameters; it is a control, not a
# proposal.)

# %%
control = json.loads((course / "assets/runs/04-heads-wide-keys.json").read_text(encoding="utf-8"))
widened = [result["bleu"] for result in control["results"]]
extra = control["results"][0]["parameters"] / results[0]["parameters"] - 1
print(f"32 heads, d_k 16: BLEU {mean(widened):.2f} with {extra:.0%} more parameters; recorded with", control["command"])
assert min(widened) > max(max(scores) for scores in bleu.values())

# %% [markdown]
# **Verdict: holds after 1 000 updates, and more strongly than in the paper.** One head is behind eight in every seed,
# and so are 32; the loss in BLEU is several times the paper's 0.9 (longer training may narrow the gaps). Between 4, 8
# and 16 heads three seeds do not decide, and neither does Table 3 between 8 and 16. But the second half of the claim
# needs a reading: it is not the number of heads that hurts. With keys of 16 numbers, 32 heads beat every other setting.
# What hurts is their width: presumably a look-up that compares two numbers cannot tell many words apart. Table 3 says
# the same in its rows (B), where narrower keys alone cost quality. (The control has more parameters, so it does not
# show that 32 heads are *better*; it shows that 32 are not too many.)

# %% [markdown]
# ## Since 2017
#
# A model that writes text token by token keeps the keys and values of everything before, in every layer and every head:
# the cache. It grows with each token and has to be read from memory for each new one, and in large models it is this
# reading, not the arithmetic, that takes the time. Queries are not kept. So share what is kept: in **multi-query
# attention** (Shazeer 2019) all query heads use one head of keys and values; in **grouped-query attention** (Ainslie et
# al. 2023) each of g groups of neighbouring query heads has one. g = 1 is the former, g = h is the paper.

# %%
def cache_bytes(layers, groups, d_k, d_v, bytes_per_number=2):
    """Bytes of cache for each token: a key and a value in each layer and each group."""
    return layers * groups * (d_k + d_v) * bytes_per_number


paper = cache_bytes(layers=6, groups=8, d_k=64, d_v=64)
print(f"the paper's base model: {paper:,} bytes a token")
sizes = {groups: cache_bytes(layers=80, groups=groups, d_k=128, d_v=128) for groups in (64, 8, 1)}
for groups, size in sizes.items():
    print(f"80 layers, {groups:2} groups: {size:9,} bytes a token, {4096 * size / 2**30:5.2f} GiB for 4 096 tokens")

# %% [markdown]
# Eighty layers with 64 query heads of width 128 and 8 groups are the sizes of Llama 2 70B (Touvron et al. 2023). Two
# bytes a number are half precision.

# %%
figure = NotebookFigure(figsize=(9, 3), layout="constrained")
axes = figure.subplots()
thousands = torch.arange(0, 33)
names = {64: "64 groups: one for each head", 8: "8 groups", 1: "1 group: multi-query"}
for (groups, size), colour in zip(sizes.items(), LINE_COLOURS):
    gibibytes = 1000 * thousands * size / 2**30
    axes.plot(thousands, gibibytes, color=colour, linewidth=2.5)
    axes.annotate(names[groups], (32, gibibytes[-1]), (6, -2), textcoords="offset points", color=colour)
axes.set(xlabel="text so far (thousands of tokens)", ylabel="cache (GiB)", xticks=range(0, 33, 8))
axes.set(xlim=(0, 46), ylim=(0, 86))
axes.spines[["top", "right"]].set_visible(False)
axes.spines["bottom"].set_bounds(0, 32)
figure.suptitle("Eight groups in place of 64 heads: an eighth of the cache")
figure

# %% [markdown]
# ### Exercise 4.7 · Grouped-query attention (optional)
#
# Difficulty 3 · 20 minutes · 2 points.
#
# Heads are split already. Query heads i · h/g … (i + 1) · h/g − 1 share group i. `repeat_interleave(times, dim=…)`
# repeats each entry in place, 0, 0, 1, 1; `repeat` repeats the whole, 0, 1, 0, 1.

# %%
# Exercise 4.7: grouped-query attention
def grouped_query_attention(query, key, value, mask=None):
    """Eq. 1 with fewer key and value heads than query heads; neighbouring query heads share one (Ainslie et al. 2023).

    query: (batch, heads, target_len, d_k); key: (batch, groups, source_len, d_k); value: (batch, groups, source_len,
    d_v), where groups divides heads; mask: bool, broadcastable to (batch, heads, target_len, source_len).
    Returns (output (batch, heads, target_len, d_v), weights (batch, heads, target_len, source_len)).
    """
    ### BEGIN SOLUTION
    sharing = query.size(1) // key.size(1)  # query heads that share one head of keys and values
    key = key.repeat_interleave(sharing, dim=1)  # (batch, heads, source_len, d_k)
    value = value.repeat_interleave(sharing, dim=1)  # (batch, heads, source_len, d_v)
    return scaled_dot_product_attention(query, key, value, mask)
    ### END SOLUTION


# %%
check("4.7", grouped_query_attention)

# %%
hint("4.7")

# %% [markdown]
# The two ends of the scale, and PyTorch's kernel, which knows the sharing as `enable_gqa`:

# %%
torch.manual_seed(8)
query, key, value = torch.randn(2, 8, 5, 4), torch.randn(2, 2, 6, 4), torch.randn(2, 2, 6, 4)
output, weights = grouped_query_attention(query, key, value)
kernel = nn.functional.scaled_dot_product_attention(query, key, value, enable_gqa=True)
assert torch.allclose(output, kernel, atol=1e-5)
one_group = grouped_query_attention(query, key[:, :1], value[:, :1])[0]
assert torch.allclose(one_group, scaled_dot_product_attention(query, key[:, :1], value[:, :1])[0], atol=1e-6)
print("8 query heads,", key.size(1), "groups: weights", tuple(weights.shape), "as many as ever; the cache is a quarter")

# %% [markdown]
# ## Recap
#
# * A head is Equation 1 on narrow projections of its own; h heads are joined and mixed by W^O. One head averages places
#   together and cannot take them apart again: it lost exactly half of what two heads kept.
# * All heads' projections are one matrix. Split the last axis, *then* transpose; `view` alone hands a head whole
#   tokens.
# * h · d_k = d_model makes parameters and multiplications independent of h; the n × n weights come h times, and at long
#   lengths you have seen what that costs.
# * Three uses, one module: source asks source, target asks target (not the future), target asks source. Masks hide
#   keys. PyTorch's module means the same with masks inverted.
# * Quality peaks between few heads and narrow ones. Today keys and values are shared among groups of heads, for the
#   cache's sake.
#
# Next: chapter 05 takes the other sub-layer and what holds both together. To read on: Michel et al. (2019), "Are
# Sixteen Heads Really Better than One?"; Ainslie et al. (2023), "GQA: Training Generalized Multi-Query Transformer
# Models from Multi-Head Checkpoints".
