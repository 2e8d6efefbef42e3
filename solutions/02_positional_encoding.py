# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 02 · Positional encoding (§3.5)
#
# **Where we are.** Chapter 01 turned tokens into vectors. Those vectors say *which* word stands there and nothing about
# *where*. Today each gets its place.
#
# ![Figure 1 with the positional encodings lit](../assets/figure1_02.svg)
#
# After this chapter you can
#
# * say exactly what attention knows of word order without positions, with a mask and without one, and test it;
# * write the sinusoidal code by hand, by a loop and as a table that is right at position 5000 too;
# * turn any position's code into that of k tokens later with one matrix, and say why sine *and* cosine are needed;
# * say what learned positions do beyond the longest sentence of the training, with numbers;
# * rotate queries and keys as today's models do.
#
# About 110 minutes, seven exercises (one of them optional), 8 points and 2 for the optional one.

# %% tags=["setup"]
# The set-up cell is written by the build.

# %% [markdown]
# ## The idea
#
# A recurrent network reads one word after the other, so it knows their order by the way it works. Attention meets all
# words at once. Whatever it is to know of their order has to be written into the vectors themselves.
#
# > **Paper (§3.5).** A code as wide as the embedding is added to it, at the bottom of the encoder and of the decoder.
# > With pos the position and i the number of a pair of dimensions,
# >
# > PE(pos, 2i) = sin(pos / 10000^(2i/d_model))  and  PE(pos, 2i + 1) = cos(pos / 10000^(2i/d_model))
#
# Think of a clock with d_model / 2 hands. The first turns by one radian a token, the last by about a ten-thousandth of
# one. Fast hands tell neighbours apart, slow ones tell the beginning of a text from its end, and for each hand the code
# holds both coordinates of its tip: a sine and a cosine.
#
# | symbol | in code | shape | meaning |
# |---|---|---|---|
# | pos | `position` | a whole number from 0 | where a token stands |
# | i | `i` | 0 … d_model/2 − 1 | which pair of dimensions, which hand |
# | PE | `table` | (length, d_model) | row pos: the code of that position |
# | M_k | `shift_matrix(k, d_model)` | (d_model, d_model) | takes PE(pos) to PE(pos + k) |
#
# > **Paper (§3.5).** Three reasons are given: a model could easily learn to attend by relative position, since
# > PE(pos + k) is a linear function of PE(pos); learned positions gave nearly the same results (Table 3, row E); and
# > sinusoids may let a model go on to sentences longer than those it was trained on.
#
# All three can be tested, and are, below.

# %% [markdown]
# ## Predict
#
# Four questions before anything is run. Put the letter of your answer behind the number, as in `predict("2.a", "b")`.

# %%
predict("2.a")

# %%
predict("2.b")

# %%
predict("2.c")

# %%
predict("2.d")

# %% [markdown]
# ## What attention knows of order
#
# You build attention in chapter 03; here it is borrowed. All you need to know now: each position's output is a weighted
# average over all positions, and the weights come from comparing vectors. Give it five words, then the same five in
# another order, and compare. (A *causal mask*, which a decoder has, lets each position see only itself and what stands
# before it; chapter 03 builds that too.) Two things could hold:
#
# * **invariant**: the output stays what it was;
# * **equivariant**: the output is reordered just as the input was.

# %%
from utils.transformer import causal_mask, scaled_dot_product_attention

torch.manual_seed(2)
words = torch.randn(1, 5, 8)  # one sentence of five words, d_model 8
order = torch.tensor([3, 0, 4, 1, 2])  # the fourth word comes first, and so on


def attend(x, mask=None):
    """Self-attention without anything learned: every word asks, answers and is averaged as it is."""
    return scaled_dot_product_attention(x, x, x, mask)[0]


for name, mask in (("no mask", None), ("causal mask", causal_mask(5)[0])):
    plain, reordered = attend(words, mask), attend(words[:, order], mask)
    invariant = torch.allclose(reordered, plain, atol=1e-5)
    equivariant = torch.allclose(reordered, plain[:, order], atol=1e-5)
    print(f"{name:12} invariant: {invariant!s:6} equivariant: {equivariant}")

# %% [markdown]
# > **Note.** Attention is often called permutation-*invariant*. It is not: with other words at other places, other
# > outputs stand there. It is *equivariant*: each word keeps its output and takes it along. With a causal mask it is
# > neither, since a position's number decides how many words it may see; a decoder has that much sense of order even
# > when no positions are given.
#
# Averaging the outputs over the sentence does give something invariant, a bag of words:

# %%
bag, other_bag = attend(words).mean(1), attend(words[:, order]).mean(1)
assert torch.allclose(bag, other_bag, atol=1e-6)
print("the mean over all positions is the same for either order")

# %% [markdown]
# Layers that work on each position alone (embedding, feed-forward, layer norm) are equivariant as well, and so is
# whatever is stacked from equivariant things. An encoder without positions, however deep, reads its sentence as a bag.

# %% [markdown]
# ## By hand
#
# Position 3 with d_model = 4 has two hands. Their angles are 3 / 10000^(0/4) = 3 and 3 / 10000^(2/4) = 3 / 100 = 0.03.

# %%
import math

angles = [3 / 10000 ** (0 / 4), 3 / 10000 ** (2 / 4)]
code = [math.sin(angles[0]), math.cos(angles[0]), math.sin(angles[1]), math.cos(angles[1])]
print("angles", angles)
print("code  ", [round(number, 4) for number in code])

# %% [markdown]
# ### Exercise 2.1 · The code of one position
#
# Difficulty 1 · 10 minutes · 1 point.
#
# The same for any position and any even width, as a loop over pairs. `math.sin` and `math.cos` take the angle in
# radians; `torch.zeros(d_model)` gives you a vector to fill.

# %%
# Exercise 2.1: the code of one position
def position_code(position, d_model):
    """The code of one position: entry 2i is sin(position / 10000^(2i/d_model)), entry 2i + 1 its cosine (§3.5).

    Returns float32 (d_model,).
    """
    ### BEGIN SOLUTION
    code = torch.zeros(d_model)
    for i in range(d_model // 2):
        angle = position / 10000 ** (2 * i / d_model)
        code[2 * i] = math.sin(angle)
        code[2 * i + 1] = math.cos(angle)
    return code
    ### END SOLUTION


# %%
check("2.1", position_code)

# %%
hint("2.1")

# %% [markdown]
# ## All positions at once
#
# The angles of all positions are a table, (length, d_model / 2): a column of positions divided by a row of divisors.
# One trap lies in wait. A float32 number has about seven digits. The angle 4987.654321 spends four of them before the
# point, so its sine is right to three or four digits only. Here is the slip around position 5000, for a width of 64:

# %%
positions = torch.arange(4900, 5001)[:, None]
divisors = 10000 ** (torch.arange(0, 64, 2, dtype=torch.float64) / 64)
exact = (positions / divisors).sin()  # float64
short = (positions / divisors.float()).sin()  # float32 all the way
print(f"largest error {(short - exact).abs().max():.5f}")
assert (short - exact).abs().max() > 1e-4

# %% [markdown]
# So: angles in float64, which takes positions *and* divisors in float64, sines of those, and only the finished table in
# float32.
#
# ### Exercise 2.2 · The table of all positions
#
# Difficulty 2 · 15 minutes · 2 points.
#
# No loop. `table[:, 0::2]` are the even columns, `table[:, 1::2]` the odd ones, and both can be assigned to. Your table
# is used further down to train a translator, and in the last chapter it is part of your own model.

# %%
# Exercise 2.2: the table of all positions
def sinusoidal_table(length, d_model):
    """PE[pos, 2i] = sin(pos / 10000^(2i/d_model)), PE[pos, 2i+1] = the cosine of the same angle (§3.5).

    Returns float32 (length, d_model), right to float32's last digits at positions in the thousands too.
    """
    ### BEGIN SOLUTION
    position = torch.arange(length, dtype=torch.float64)[:, None]  # (length, 1)
    even = torch.arange(0, d_model, 2, dtype=torch.float64)  # (d_model / 2,), the 2i of the formula
    angle = position / 10000 ** (even / d_model)  # (length, d_model / 2)
    table = torch.empty(length, d_model, dtype=torch.float64)
    table[:, 0::2] = angle.sin()
    table[:, 1::2] = angle.cos()
    return table.float()
    ### END SOLUTION


# %%
check("2.2", sinusoidal_table)

# %%
hint("2.2")

# %% [markdown]
# Loop and table agree, and every code is equally long: each pair adds sin² + cos² = 1, so the length is √(d_model / 2)
# and the root mean square √½.

# %%
table = sinusoidal_table(100, 128)
assert torch.allclose(table[37], position_code(37, 128), atol=1e-6)
lengths = table.norm(dim=1)
assert torch.allclose(lengths, torch.full((100,), 8.0))
print(f"length of every code: {lengths[0]:.2f} = √64; root mean square {table.square().mean().sqrt():.4f}")

# %% [markdown]
# ## See: the table
#
# Above, the whole table as a map. Below it, four of its columns as curves. Read a single position as a column of the
# map, from fast dimensions at the top to slow ones at the bottom.

# %%
plots.positional_map(table)

# %% [markdown]
# ## Wavelengths
#
# The hand of pair i grows by 1 / 10000^(2i/d_model) radians a token. It has come round when it has grown by 2π.
#
# > **Paper (§3.5).** The wavelengths form a geometric progression from 2π to 10000 · 2π.
#
# ### Exercise 2.3 · Wavelengths
#
# Difficulty 1 · 10 minutes · 1 point.
#
# How many tokens does each hand need for a full turn? The base, 10000 in the paper, is a parameter here, because the
# next question is why it is 10000.

# %%
# Exercise 2.3: wavelengths
def wavelengths(d_model, base=10000.0):
    """After how many tokens each pair of dimensions comes round again (§3.5), the fastest pair first.

    Returns float32 (d_model / 2,).
    """
    ### BEGIN SOLUTION
    even = torch.arange(0, d_model, 2)  # (d_model / 2,), the 2i of the formula
    return 2 * math.pi * base ** (even / d_model)
    ### END SOLUTION


# %%
check("2.3", wavelengths)

# %%
hint("2.3")

# %%
waves = wavelengths(512)
print(f"shortest {waves[0]:.2f}, longest {waves[-1]:,.0f}; 10000 · 2π would be {10000 * 2 * math.pi:,.0f}")
print(f"each is {waves[1] / waves[0]:.4f} times the one before")
print(f"{(waves <= 50).sum()} of {len(waves)} hands come round within 50 tokens")

# %% [markdown]
# Two things that the formula does not say aloud. The longest wave stays short of 10000 · 2π, because 2i ends at
# d_model − 2. And most hands hardly move within a sentence: less than a quarter come round in 50 tokens. What the
# others carry there is close to a constant.

# %% [markdown]
# **Why 10000?** The paper gives no reason. A common guess is that codes must not repeat. That takes no large base: with
# base 10, where no wave is longer than 63 tokens, the closest two of 2000 codes are still as far apart as neighbours,
# since different waves do not come round together:

# %%
angles = torch.arange(2000)[:, None] / wavelengths(512, base=10) * 2 * math.pi
codes = torch.cat([angles.sin(), angles.cos()], dim=1)
apart = torch.cdist(codes, codes) + 1000 * torch.eye(2000)  # nobody is compared with itself
print(f"closest two of 2,000 codes: {apart.min():.1f} apart; neighbours: {apart[0, 1]:.1f}")

# %% [markdown]
# What the base decides is how far apart two positions may be for their similarity to still say how far. Similarity
# here: the dot product of two codes over its value at offset 0, averaged over a range of offsets.

# %%
ranges = [(1, 3), (10, 30), (100, 300), (1000, 3000), (10_000, 30_000)]
print("offset".ljust(13), *(f"{low:>6,}–{high:<6,}" for low, high in ranges))
for base in (10, 100, 10_000, 1_000_000):
    speeds = 2 * math.pi / wavelengths(512, base).double()  # radians a token
    similar = [(torch.arange(low, high)[:, None] * speeds).cos().mean().item() for low, high in ranges]
    print(f"base {base:<9,}", *(f"{value:10.2f}   " for value in similar))

# %% [markdown]
# With base 10 everything beyond some tens of tokens is equally unlike. With 10000 the similarity falls from one range
# to the next up to thousands of tokens; with a million, farther still, but fewer hands are left to tell neighbours
# apart. 10000 spans the texts of its time with room to spare; models that read a hundred thousand tokens raise it.

# %% [markdown]
# ## A shift is a rotation
#
# Let a = pos · ω be the angle of one hand (ω is its speed) and b = k · ω the angle by which it turns in k tokens. From
# school,
#
# sin(a + b) = cos b · sin a + sin b · cos a
#
# cos(a + b) = −sin b · sin a + cos b · cos a
#
# Read this as a matrix. The new pair (sin(a + b), cos(a + b)) is the old pair (sin a, cos a) times numbers that depend
# on b alone, so on k and not on the position:
#
# | | sin a | cos a |
# |---|---|---|
# | sin(a + b) | cos b | sin b |
# | cos(a + b) | −sin b | cos b |
#
# The textbook rotation has its minus above. That one acts on (cosine, sine); our code holds (sine, cosine), so the
# minus stands below. This sign is the classic error here, and the wrong one shifts backwards.

# %%
from utils.plots.style import INK, LINE_COLOURS, NotebookFigure, house_style

with house_style():
    figure = NotebookFigure(figsize=(9, 2.9), layout="constrained")
    for axes, i in zip(figure.subplots(1, 4), (0, 2, 4, 8)):
        wave = wavelengths(32)[i].item()
        turn = torch.linspace(0, 2 * math.pi, 200)
        axes.plot(turn.cos(), turn.sin(), color="#d9d9d9", linewidth=1)
        for start, colour, radius in ((0, LINE_COLOURS[0], 0.62), (5, LINE_COLOURS[1], 0.78)):
            arc = 2 * math.pi / wave * torch.linspace(start, start + 3, 60)
            axes.plot(radius * arc.cos(), radius * arc.sin(), color=colour, linewidth=2.5)
            for position in (start, start + 3):
                angle = 2 * math.pi * position / wave
                axes.plot([0, math.cos(angle)], [0, math.sin(angle)], color=colour, linewidth=0.8)
                tip = 1.2 * math.cos(angle), 1.2 * math.sin(angle)
                axes.text(*tip, position if i < 8 else "", color=colour, ha="center", va="center")
        axes.set(aspect="equal", xlim=(-1.4, 1.4), ylim=(-1.4, 1.4), xticks=[], yticks=[], xlabel="cosine →")
        axes.set_ylabel("sine →" if i == 0 else "")
        axes.spines[:].set_visible(False)
        axes.set_title(f"pair {i}: {wave:,.0f} tokens a turn", size=9, color=INK)
    figure.suptitle("Three tokens turn a hand by the same angle, from 0 (blue) and from 5 (orange)", weight="bold")
figure

# %% [markdown]
# ### Exercise 2.4 · The matrix of a shift
#
# Difficulty 3 · 20 minutes · 2 points.
#
# Put these 2 × 2 blocks on the diagonal of a (d_model, d_model) matrix, block i in rows and columns 2i and 2i + 1.
# `offset` may be negative: then the matrix goes back.

# %%
# Exercise 2.4: the matrix of a shift
def shift_matrix(offset, d_model):
    """M_k with PE[position + k] = M_k PE[position] for every position, k = offset (§3.5).

    Returns float32 (d_model, d_model): blocks of 2 × 2 along the diagonal, zero elsewhere.
    """
    ### BEGIN SOLUTION
    matrix = torch.zeros(d_model, d_model)
    for i in range(d_model // 2):
        angle = offset / 10000 ** (2 * i / d_model)
        sine, cosine = math.sin(angle), math.cos(angle)
        pair = slice(2 * i, 2 * i + 2)
        matrix[pair, pair] = torch.tensor([[cosine, sine], [-sine, cosine]])
    return matrix
    ### END SOLUTION


# %%
check("2.4", shift_matrix)

# %%
hint("2.4")

# %% [markdown]
# One matrix serves all positions, two shifts make a longer one, and back again leads home. (Codes are rows of the
# table, hence `@ M.t()`.)

# %%
table = sinusoidal_table(200, 64)
forward = shift_matrix(7, 64)
assert torch.allclose(table[:-7] @ forward.t(), table[7:], atol=1e-5)
assert torch.allclose(forward @ shift_matrix(5, 64), shift_matrix(12, 64), atol=1e-5)
assert torch.allclose(shift_matrix(-7, 64), forward.t()) and torch.allclose(shift_matrix(0, 64), torch.eye(64))
print("PE[pos + 7] = M PE[pos] for all of", len(table) - 7, "positions")

# %% [markdown]
# **Why sine and cosine?** With sines alone there is no such matrix. To be fair, we let least squares search for the
# best one, among codes of 64 sines with 64 speeds of their own, no cosines:

# %%
def best_shift_error(codes, offset):
    """How far the best matrix stays from codes[pos + offset], as a share of their size. codes: (length, width)."""
    now, later = codes[:-offset].double(), codes[offset:].double()
    matrix = torch.linalg.lstsq(now, later).solution
    return ((now @ matrix - later).square().mean() / later.square().mean()).sqrt().item()


positions = torch.arange(2000)[:, None]
sines = (positions / 10000 ** (torch.arange(64) / 64)).sin()
both, alone = best_shift_error(sinusoidal_table(2000, 64), 3), best_shift_error(sines, 3)
print(f"best matrix for 3 tokens further: error {both:.0%} with sines and cosines, {alone:.0%} with sines alone")
assert both < 1e-5 and alone > 0.3

# %% [markdown]
# **Can attention use it?** Attention compares a query and a key by their dot product, after each has gone through a
# matrix of its own. Let the queries' matrix do nothing and the keys' matrix be M_1. Then every key says "I am the one
# before you", and one head looks exactly one word back:

# %%
words = "the small dog that slept has now woken".split()
codes = sinusoidal_table(len(words), 64)
queries, keys = codes, codes @ shift_matrix(1, 64).t()
weights = (4 * queries @ keys.t()).softmax(dim=-1)  # 4: a matrix may also make its keys longer
one_back = weights.diagonal(-1)
print(f"share that goes to the word before: at least {one_back.min():.2f}")
title = "One matrix is enough to look one word back"
plots.attention_map(weights, words, words, title, query_axis="query", key_axis="key")

# %% [markdown]
# So the paper's first reason is sound as far as it goes: attending by relative position takes one fixed matrix. That
# there is one does not mean that training finds it; this is tested further down. (The first word has none before it and
# looks at itself.)

# %% [markdown]
# ## See: similarity against offset
#
# Without any matrix, the dot product of two codes is Σ cos(k ω_i): the positions themselves have cancelled. It is the
# same for k and −k, so by itself it tells how far and not in which direction. And it does not simply fall with
# distance:

# %%
codes = sinusoidal_table(401, 512)
similarity = codes @ codes[200] / 256  # of all positions with position 200
with house_style():
    figure = NotebookFigure(figsize=(9, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.plot(range(-200, 201), similarity, color=LINE_COLOURS[0])
    axes.set(xlabel="offset k (tokens)", ylabel="PE(pos) · PE(pos + k) / 256", ylim=(0, 1.05), xlim=(-200, 200))
    axes.set_title("Similarity is symmetric and falls with distance, but only roughly", loc="left", weight="bold")
assert torch.allclose(similarity, similarity.flip(0), atol=1e-5)
steps = similarity[201:] - similarity[200:-1]
print(f"similarity at 1, 10, 100: {similarity[201]:.2f}, {similarity[210]:.2f}, {similarity[300]:.2f}")
print(f"it rises in {(steps > 0).sum()} of {len(steps)} steps away from the middle")
figure

# %% [markdown]
# ## Why add, and not concatenate?
#
# Added, word and place share one vector. Three numbers say why that does less harm than one may fear.
#
# **It costs nothing in width.** A code put beside the embedding makes the stream wider, and every matrix with it. With
# a code as wide as the embedding, a d × d projection becomes 2d × 2d, four times the parameters. And adding is
# concatenating with one restriction: W(x + p) = W x + W p, where concatenation would allow different matrices for x
# and p.
#
# **They stand level.** An embedding of standard deviation 1 (chapter 01, after × √d_model) beside a code of root mean
# square 0.71: neither drowns the other.
#
# **They stay apart.** In many dimensions random vectors are nearly at right angles. So a place can be read out of the
# sum by comparing it with all codes. We draw "words", add codes and look:

# %%
torch.manual_seed(0)
for d_model in (16, 64, 256, 512):
    codes = sinusoidal_table(100, d_model)
    places = torch.randint(100, (2000,))
    sums = torch.randn(2000, d_model) + codes[places]
    found = (sums @ codes.t()).argmax(dim=-1)
    exactly, nearly = (found == places).double().mean(), ((found - places).abs() <= 1).double().mean()
    print(f"d_model {d_model:3}: place found in {exactly:4.0%}, found or missed by one in {nearly:4.0%}")

# %% [markdown]
# At the paper's width a fixed read-out that has learned nothing finds the place nearly always. At width 16 it mostly
# fails: adding is cheap because the stream is wide. That is for random words; trained embeddings can make themselves
# easier to tell from codes, and nothing keeps a model from it.

# %% [markdown]
# ## Learned positions
#
# The alternative is as short as can be: one trained vector for each position, drawn at random in the beginning.
#
# > **Paper (Table 3, row E).** Learned positions in place of sinusoids in the base model: perplexity 4.92 in both
# > cases, BLEU 25.7 against 25.8 on the development set.
#
# What it costs: max_len · d_model parameters (256 · 512 = 131 072 for each side), and a limit. There is no row for
# position max_len. A slice in Python does not complain about that: `table[5:8]` of a table with six rows has one row,
# and broadcasting would add that one to three tokens. Better to stop with a sentence that says what to do. The course
# keeps an exception for this, `ShapeError`, which takes its message as any exception does: `raise ShapeError("…")`.
#
# A translator does not see its own sentence at once: when it writes token number 5 it embeds that token alone. So
# `forward` takes the position of the first token it is given, `start`.
#
# ### Exercise 2.5 · Learned positions
#
# Difficulty 2 · 15 minutes · 1 point.
#
# Draw the table from N(0, 1/d_model), `torch.randn(max_len, d_model) / d_model**0.5`, as chapter 01 drew its embedding.
# `nn.Parameter` makes a tensor something that is trained. What happens beyond `max_len` is yours to decide: the check
# does not ask, and a cell below shows what your class does there.

# %%
# Exercise 2.5: learned positions
from torch import nn

from utils.errors import ShapeError


class LearnedPositions(nn.Module):
    """Adds a trained vector per position (§3.5, row E of Table 3). Knows no position beyond `max_len`."""

    def __init__(self, d_model, max_len=256):
        super().__init__()
        ### BEGIN SOLUTION
        self.table = nn.Parameter(torch.randn(max_len, d_model) / d_model**0.5)
        ### END SOLUTION

    def forward(self, embedded, start=0):
        """embedded: (batch, length, d_model), the first of them at position `start`. Returns the same shape."""
        ### BEGIN SOLUTION
        end = start + embedded.size(1)
        if end > self.table.size(0):
            raise ShapeError(f"Learned positions end at {self.table.size(0)} and this text needs {end}.")
        return embedded + self.table[start:end]
        ### END SOLUTION


# %%
check("2.5", LearnedPositions)

# %%
hint("2.5")

# %% [markdown]
# And beyond the end, which the check did not ask about? Three tokens from position 5 on, in a table of six rows:

# %%
six_rows = LearnedPositions(4, max_len=6)
try:
    six_rows(torch.zeros(1, 3, 4), start=5)
    print("No error: row 5 was added to all three tokens.")
except Exception as error:
    print(f"{type(error).__name__}: {error}")

# %% [markdown]
# ## Test the claim: what is lost without positions
#
# Two small translators, English to German, alike in everything but the table that is added: your `sinusoidal_table`,
# and one of zeros. Less than a minute for both. The decoder has its causal mask in either case; it is the encoder that
# becomes a reader of bags.

# %%
from dataclasses import replace

from utils.text import load_corpus
from utils.training.short import train_briefly
from utils.transformer import FUSED


def nowhere(length, d_model):
    """A table that says nothing."""
    return torch.zeros(length, d_model)


corpus = load_corpus()
small = dict(updates=400, d_model=64, d_ff=128, batch_tokens=1024, dropout=0.0, warmup=100, peak=1e-2, report=None)
placed = train_briefly(corpus, parts=replace(FUSED, position_table=sinusoidal_table), **small)
unplaced = train_briefly(corpus, parts=replace(FUSED, position_table=nowhere), **small)

# %% tags=["machine"]
from utils.translation import score, translate

test = corpus.split("test")[:500]
sources, references = zip(*test)
for name, run in (("with positions", placed), ("without", unplaced)):
    bleu = score(translate(run.model, run.tokeniser, sources, beam=1), references).bleu
    print(f"{name:15} loss {run.valid_loss:.2f} nats a token, BLEU {bleu:.1f}")
assert unplaced.valid_loss > placed.valid_loss + 0.2

# %% [markdown]
# The numbers depend on your machine in their last digits; that the loss is much worse without positions is asserted.
# What exactly is lost shows in a pair of sentences made of the same words:

# %% tags=["machine"]
pair = ["The dog sees the man .", "The man sees the dog ."]
for name, run in (("with positions", placed), ("without", unplaced)):
    print(f"{name:15}", " | ".join(translate(run.model, run.tokeniser, pair, beam=1)))

# %% [markdown]
# The translator with positions is no finished one either: 400 updates are few, and now and then it gets a gender or a
# case wrong. (The recorded runs further down have 1000 and get 77 to 80 BLEU.) But it tells the two sentences apart.
#
# Without positions, two different sentences get one translation, and this is no matter of training: the encoder hands
# over the same vectors in another order, and the decoder's attention to them does not ask for order. We assert it:

# %%
from utils.text import source_batch

first, second = source_batch(unplaced.tokeniser, pair)[:, None]  # each (1, source_len)
swapped = torch.tensor([0, 4, 2, 3, 1, 5, 6])  # "dog" and "man" exchanged; 6 is the end mark
assert torch.equal(first[:, swapped], second)
with torch.no_grad():
    for name, run in (("with positions", placed), ("without", unplaced)):
        same = torch.allclose(run.model.encode(first)[:, swapped], run.model.encode(second), atol=1e-4)
        print(f"{name:15} the encoder gives the same vectors in another order: {same}")
        assert same == (run is unplaced)

# %% [markdown]
# ## Test the claim: sinusoids, learned positions, and sentences longer than any before
#
# The training sentences of the embedded corpus end at 15 words, `long` begins there and goes to 31. Four arms:
# sinusoids; learned positions (128 rows, so that `long` fits); no positions; and sinusoids with the words of every
# source sentence *shuffled*, as a second control: who reads bags should do about as well as who is given bags.
#
# Twelve trainings take too long for a chapter. What you see is a **recorded run**, with its command beside it. Set
# `again` to do it all anew.

# %%
import json
from pathlib import Path

again = False  # True: trains 4 arms × 3 seeds here, about 10 minutes on a CPU

root = next(place for place in (Path.cwd(), *Path.cwd().parents) if (place / "assets/runs").is_dir())
path = root / "assets/runs/02-positions.json"
if again:
    from utils.experiments.positions import record

    path = Path("02-positions.json")
    record(path, seeds=[1, 2, 3], updates=1000, arms=["sinusoidal", "learned", "none", "shuffled"])
recorded = json.loads(path.read_text())
print("recorded with:", recorded["command"])
print(recorded["hardware"]["processor"], "· torch", recorded["versions"]["torch"], "· seeds", recorded["seeds"])

# %%
arms = ("sinusoidal", "learned", "none", "shuffled")
runs = {arm: [result for result in recorded["results"] if result["arm"] == arm] for arm in arms}
scores_of = {split: {arm: [run[split] for run in runs[arm]] for arm in arms} for split in ("test", "long")}
for arm in arms:
    told = [f"{split} {'  '.join(f'{value:4.1f}' for value in scores_of[split][arm])}" for split in scores_of]
    print(f"{arm:11} BLEU of three seeds:  " + "     ".join(told))

# %%
arm_colours = dict(zip(arms, LINE_COLOURS))
titles = {"test": "test: as long as in training", "long": "long: 15 to 31 words"}
with house_style():
    figure = NotebookFigure(figsize=(9, 2.9), layout="constrained")
    for axes, (split, values) in zip(figure.subplots(1, 2, sharey=True), scores_of.items()):
        for column, arm in enumerate(arms):
            mean = sum(values[arm]) / len(values[arm])
            axes.plot([column] * len(values[arm]), values[arm], "o", color=arm_colours[arm], alpha=0.6)
            axes.plot([column - 0.25, column + 0.25], [mean, mean], color=arm_colours[arm], linewidth=2)
            axes.text(column + 0.3, mean, f"{mean:.0f}", color=arm_colours[arm], va="center")
        axes.set(title=titles[split], ylabel="BLEU" if split == "test" else "", xlim=(-0.5, 3.7), ylim=(0, 100))
        axes.set_xticks(range(4), arms)
    figure.suptitle("Sinusoidal and learned: alike at the lengths of training, half of it lost beyond", weight="bold")
figure

# %% [markdown]
# On test, sinusoidal and learned positions are as near to each other as two seeds are. Both controls fall far behind,
# and lie close together: to an encoder without positions every sentence is a shuffled one. On long sentences all four
# break down; sinusoids stay somewhat ahead of learned positions, with every seed.
#
# Why does `long` go so much worse? Its sentences are longer, but they are also of other kinds: more clauses, more to
# get wrong. To tell length from kind we take the *short* test sentences, every word as before, and only tell the model
# that they begin at position 1, 2, … 32, in source and target alike. Nothing but the position changes. Beside it, the
# loss on `long` position by position, with the right words before each.

# %%
moved = {arm: [run["test_moved_on"] for run in runs[arm]] for arm in ("sinusoidal", "learned")}
moves = [int(by) for by in moved["learned"][0]]
fall = {arm: [sum(run[str(by)] for run in moved[arm]) / len(moved[arm]) for by in moves] for arm in moved}
print("moved on by", "".join(f"{by:7}" for by in moves))
for arm in fall:
    print(f"{arm:11}", "".join(f"{value:7.1f}" for value in fall[arm]), " BLEU on `test`, mean of the seeds")

# %%
longest = 1 + max(len(placed.tokeniser.encode(target)) for _, target in corpus.split("train"))  # with the end mark
with house_style():
    figure = NotebookFigure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for arm in fall:
        left.plot(moves, fall[arm], "o-", color=arm_colours[arm])
        left.annotate(arm, (moves[3], fall[arm][3]), textcoords="offset points", xytext=(6, 4), color=arm_colours[arm])
    for arm in ("sinusoidal", "learned", "none"):
        losses = [[run["loss_on_long"][str(position)] for position in range(28)] for run in runs[arm]]
        mean = torch.tensor(losses).mean(dim=0)
        right.plot(mean, color=arm_colours[arm])
        down = {"sinusoidal": 3, "learned": -8, "none": -3}[arm]
        right.annotate(arm, (27, mean[-1]), textcoords="offset points", xytext=(5, down), color=arm_colours[arm])
    right.axvline(longest - 0.5, color="#777777", linestyle=":")
    right.text(longest, 0.1, "beyond training", color="#777777")
    left.set(xlabel="test sentences begin at position", ylabel="BLEU on the test set", ylim=(0, 100))
    right.set(xlabel="position in the target (tokens)", ylabel="loss on long (nats)", ylim=(0, 4.2), xlim=(0, 34))
    figure.suptitle("Told to begin eight tokens later, the same short sentences are lost to both models", weight="bold")
figure

# %% [markdown]
# Look at the left panel first. Not a word has changed, and eight tokens further on hardly anything is understood, by
# either model. Even a move by two, which keeps nearly all tokens at positions that training has seen, costs BLEU: in
# training every sentence began at 0, and the model has learned to rely on it. The formula goes on for ever; what the
# weights have learned to do with its values does not. (Far out, both recover a little. For learned positions there is a
# likely reason: untrained rows are as small as they were drawn, an eighth of an embedding, which is nearer to no place
# at all; and no place is better than a wrong one, as the arm without positions shows. Why sinusoids recover at 32 we
# have not looked into.)
#
# The right panel says the same of long sentences, whatever else is hard about them. Early on positions help; from
# position 12 or so both models with positions do worse than the one that never had any, whose decoder has nothing but
# the causal mask to count on and whose loss stays level. (Its own translations are the worst all the same: it loses the
# order of the source from the first word on, and here each token was predicted from the right ones before it.)

# %%
mean = {split: {arm: sum(values) / len(values) for arm, values in scores_of[split].items()} for split in scores_of}
close_by = abs(mean["test"]["sinusoidal"] - mean["test"]["learned"])
ahead = min(scores_of["long"]["sinusoidal"]) - max(scores_of["long"]["learned"])
beyond = {}
for arm in ("sinusoidal", "learned", "none"):
    losses = [run["loss_on_long"][str(position)] for run in runs[arm] for position in range(longest, 28)]
    beyond[arm] = sum(losses) / len(losses)
print(f"test: {close_by:.1f} BLEU between sinusoidal and learned")
print(f"long: the worst seed of the sinusoids is {ahead:.1f} BLEU above the best of the learned")
print(f"moved on by 8: {fall['sinusoidal'][4]:.0f} and {fall['learned'][4]:.0f} BLEU are left")
print("loss beyond training:", ", ".join(f"{arm} {loss:.2f}" for arm, loss in beyond.items()))
assert close_by < 3 and ahead > 0 and all(fall[arm][4] < 0.3 * fall[arm][0] for arm in fall)
assert all(mean["long"][arm] < 0.5 * mean["test"][arm] for arm in fall)
assert beyond["none"] < min(beyond["sinusoidal"], beyond["learned"])

# %% [markdown]
# **Verdicts.** *Nearly the same results with learned positions*: **holds** here, at the lengths of training. *Sinusoids
# may let a model go on to longer sentences*: **does not hold here**. They lose less than learned positions on `long`,
# with all three seeds, but more than half of the BLEU is gone, and the control shows that new positions alone are
# enough to do that. So the model did not learn to go by relative position alone, though a matrix for it exists. The
# paper says "may" and reports no test of it. All this is a model of d_model 64 on a small language with sentences of up
# to 15 words. Press et al. (2022) found the same of far larger language models: with sinusoids, and to a lesser degree
# with rotary positions, they get worse soon beyond the length of their training.

# %% [markdown]
# ## Since 2017
#
# **Rotary positions** (Su et al. 2021) keep the rotation and drop the addition. Nothing is added to the embeddings.
# Instead, in every layer, each pair of entries of every query and every key is turned by the angle of its position; the
# values are left alone. If a query is turned by the angle of its place and a key by that of its own, the angle between
# them changes by the difference, so their dot product depends on the offset alone. Most open language models since,
# LLaMA among them, do it so; those that read very long texts raise the base (LLaMA 3 takes 500 000).
#
# A vector (a, b) turned counter-clockwise by φ is (a cos φ − b sin φ, a sin φ + b cos φ). Which entries make a pair is
# a convention: here, as in §3.5 and in the paper by Su et al., *neighbours*, 2i and 2i + 1. Some code pairs i with
# i + d_k / 2 instead; the weights of one convention do not work with the other.
#
# ### Exercise 2.6 · Rotary positions (optional)
#
# Difficulty 3 · 20 minutes · 2 points.
#
# The angles are those of Exercise 2.2, with d_k in place of d_model. `.to(x)` gives a tensor the dtype and device of x,
# and `torch.stack([first, second], dim=-1).flatten(-2)` puts pairs back side by side.

# %%
# Exercise 2.6: rotary positions
def rotate(x, start=0):
    """Rotary positions (Su et al. 2021): turns each pair (x_2i, x_2i+1) counter-clockwise by
    position / 10000^(2i/d_k).

    x: (batch, heads, length, d_k), queries or keys, the first of them at position `start`.
    Returns the same shape, dtype and device.
    """
    ### BEGIN SOLUTION
    length, d_k = x.shape[-2:]
    position = torch.arange(start, start + length, dtype=torch.float64)[:, None]  # (length, 1)
    angle = position / 10000 ** (torch.arange(0, d_k, 2, dtype=torch.float64) / d_k)  # (length, d_k / 2)
    sine, cosine = angle.sin().to(x), angle.cos().to(x)
    first, second = x[..., 0::2], x[..., 1::2]  # (batch, heads, length, d_k / 2)
    pairs = torch.stack([first * cosine - second * sine, first * sine + second * cosine], dim=-1)
    return pairs.flatten(-2)
    ### END SOLUTION


# %%
check("2.6", rotate)

# %%
hint("2.6")

# %% [markdown]
# A query four tokens after a key, met at three places of a text: one score. And the turn is your matrix of Exercise 2.4
# with the other sign of the offset, since here the pair is read as (cosine, sine).

# %%
torch.manual_seed(3)
query, key = torch.randn(1, 1, 1, 64), torch.randn(1, 1, 1, 64)
for place in (0, 10, 1000):
    score_there = (rotate(query, place + 4) * rotate(key, place)).sum()
    print(f"key at {place:4}, query at {place + 4:4}: {score_there:.3f}")
assert torch.allclose(rotate(query, 5)[0, 0, 0], shift_matrix(-5, 64) @ query[0, 0, 0], atol=1e-5)

# %% [markdown]
# **ALiBi** (Press et al. 2022) leaves embeddings, queries and keys alone and takes m · (i − j) off the score of query i
# and key j, where m is fixed for each head: ½, ¼, … 1/256 for eight heads. Farther is always less. The authors report
# that a model trained on 1024 tokens reads 2048 as well as one with sinusoids that was trained on 2048. **Relative
# biases** (Shaw et al. 2018; Raffel et al. 2020, T5) learn what is added for each offset, or for each range of offsets.
#
# **NoPE** is the name for giving no positions at all. Haviv et al. (2022) and Kazemnejad et al. (2023) find that
# decoder-only models learn without, the latter that some small tasks then carry over to longer inputs better. You have
# seen at the top why that is possible with a causal mask, and in the trainings why not in an encoder.

# %% [markdown]
# ## A test of your own
#
# This chapter began with a question, whether a function takes order into account, and answered it in a cell. Make a
# tool of it. The property to test: for `function` on x of shape (batch, length, d_model), reordering the positions
# first and calling the function then gives the same as calling first and reordering then.
#
# ### Exercise 2.7 · A test for equivariance
#
# Difficulty 2 · 10 minutes · 1 point.
#
# Return True or False. Sums that are taken in another order round differently, so compare with a tolerance:
# `torch.allclose(…, atol=1e-5)`. The check hands your test ten functions or so, some of which it must let pass.

# %%
# Exercise 2.7: a test for equivariance
def is_equivariant(function, x, order):
    """Whether reordering the positions before `function` gives what reordering them after it gives.

    function: from (batch, length, d_model) to the same shape; x: (batch, length, d_model); order: (length,), a
    permutation of the positions. Returns True or False.
    """
    ### BEGIN SOLUTION
    before, after = function(x[:, order]), function(x)[:, order]
    return torch.allclose(before, after, atol=1e-5)
    ### END SOLUTION


# %%
check("2.7", is_equivariant)

# %%
hint("2.7")

# %% [markdown]
# Now ask it about everything in this chapter:

# %%
table, learned = sinusoidal_table(5, 8), LearnedPositions(8)
functions = {
    "attention": attend,
    "attention with a causal mask": lambda x: attend(x, causal_mask(5)[0]),
    "a linear layer at each position": nn.Linear(8, 8),
    "attention after adding sinusoids": lambda x: attend(x + table),
    "attention after adding learned positions": lambda x: attend(learned(x)),
    "attention with rotary positions": lambda x: scaled_dot_product_attention(
        rotate(x[:, None])[:, 0], rotate(x[:, None])[:, 0], x
    )[0],
}
x, order = torch.randn(2, 5, 8), torch.tensor([3, 0, 4, 1, 2])
answers = {name: is_equivariant(function, x, order) for name, function in functions.items()}
for name, answer in answers.items():
    print(f"{name:42} {'equivariant' if answer else 'knows of order'}")
assert list(answers.values()) == [True, False, True, False, False, False]

# %% [markdown]
# ## Recap
#
# * Attention without positions is equivariant, not invariant; with a causal mask it is neither.
# * The code is a clock with d_model / 2 hands, wavelengths from 2π to nearly 10000 · 2π, all codes equally long. Angles
#   belong in float64.
# * With sine and cosine a shift by k is one rotation M_k for all positions; with sines alone there is none.
# * Learned positions do as well as sinusoids at the lengths of training; beyond them, neither can be relied on.
# * Today the rotation moves from the embedding into queries and keys.
#
# Next: chapter 03 builds the attention that was borrowed here. To read on: Su et al. (2021), "RoFormer: Enhanced
# Transformer with Rotary Position Embedding"; Press, Smith and Lewis (2022), "Train Short, Test Long"; Kazemnejad et
# al. (2023), "The Impact of Positional Encoding on Length Generalization in Transformers".
