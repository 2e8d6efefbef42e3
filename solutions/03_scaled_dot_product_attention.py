# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 03 · Scaled dot-product attention (§3.2.1)
#
# **Where we are.** Tokens have become vectors (chapter 01) and know where they stand (chapter 02). Today they look at
# each other for the first time.
#
# ![Figure 1 with scaled dot-product attention lit](../assets/figure1_03.svg)
#
# After this chapter you can
#
# * compute Equation 1 by hand, with a loop, and for a whole batch at once;
# * say which axis of an attention map is the query, what a mask does, and what a row without any permitted key gives;
# * explain the √d_k with a variance and a gradient that you have measured, and say what it is worth in a training;
# * say what attention costs in time and memory, and what has parameters here and what has none.
#
# About 90 minutes, six exercises (one of them optional), 9 points and 2 for the optional one.

# %% tags=["setup"]
# The set-up cell is written by the build.

# %% [markdown]
# ## The idea
#
# A dictionary in Python gives back one value for one key, and only if the key is exactly right. Attention is the soft
# form of that look-up. A **query** is compared with every **key**; the better they agree, the more of that key's
# **value** goes into the answer. Nothing is ever "not found": the answer is a mixture of all values, and the weights of
# the mixture are positive and sum to one.
#
# > **Paper (§3.2.1, Eq. 1).** With the queries as rows of Q, the keys as rows of K and the values as rows of V,
# >
# > Attention(Q, K, V) = softmax(Q Kᵀ / √d_k) V
#
# | symbol | in code | shape | meaning |
# |---|---|---|---|
# | Q | `query` | (…, target_len, d_k) | what each position is looking for |
# | K | `key` | (…, source_len, d_k) | what each position offers to be found by |
# | V | `value` | (…, source_len, d_v) | what each position hands over |
# | softmax(QKᵀ/√d_k) | `weights` | (…, target_len, source_len) | row i: how query i divides its attention |
#
# Keys and values come in pairs, so they share a length. Queries may be more or fewer: in a translator the target asks
# and the source answers. The dots stand for any leading axes, usually batch and heads; nothing in Equation 1 depends on
# them.

# %% [markdown]
# ## Predict
#
# Four questions, to be answered before anything is run. Each cell shows its question; put the letter of your answer
# behind the number, as in `predict("3.a", "b")`, and run it again. You are told at once whether it holds, and why.

# %%
predict("3.a")

# %%
predict("3.b")

# %%
predict("3.c")

# %%
predict("3.d")

# %% [markdown]
# ## By hand
#
# One query and two keys of width 4, small enough for pen and paper. The dot products of `[1, 0, 1, 0]` with the two keys
# are 2 and 0. Divided by √4 they are 1 and 0, and the softmax of (1, 0) is (e / (e + 1), 1 / (e + 1)).

# %%
import math

query = torch.tensor([1.0, 0.0, 1.0, 0.0])
keys = torch.tensor([[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0]])
scores = keys @ query / math.sqrt(4)
weights = scores.softmax(dim=0)
print("scores ", scores.tolist())
print("weights", [round(w, 4) for w in weights.tolist()])
assert math.isclose(weights[0].item(), math.e / (math.e + 1), rel_tol=1e-6)

# %% [markdown]
# The output is that mixture of the values. With the values 10 and 20 the query gets mostly the first.

# %%
values = torch.tensor([[10.0], [20.0]])
print("output", round((weights @ values).item(), 3))

# %% [markdown]
# ### Exercise 3.1 · The weights of one query
#
# Difficulty 1 · 10 minutes · 1 point.
#
# Write what you just did by hand as a function, for any number of keys of any width. Matrix products and `softmax` may be
# used; PyTorch's finished attention may not.

# %%
# Exercise 3.1: the weights of one query
def weights_of_one_query(query, keys):
    """How much one query looks at each key: softmax(K q / √d_k) (§3.2.1).

    query: (d_k,); keys: (source_len, d_k). Returns (source_len,), positive, with sum one.
    """
    ### BEGIN SOLUTION
    scores = keys @ query / math.sqrt(query.size(-1))  # (source_len,)
    return scores.softmax(dim=-1)
    ### END SOLUTION


# %%
check("3.1", weights_of_one_query)

# %%
hint("3.1")

# %% [markdown]
# ## A loop
#
# Several queries are just several times the same. The loop below is slow and plainly right; you will compare your own
# batched form with it.

# %%
def attention_by_loop(query, key, value):
    """Eq. 1, one query at a time. query: (T, d_k); key: (S, d_k); value: (S, d_v)."""
    rows = [weights_of_one_query(one, key) for one in query]
    weights = torch.stack(rows)  # (T, S)
    outputs = [sum(w * v for w, v in zip(row, value)) for row in weights]
    return torch.stack(outputs), weights  # (T, d_v), (T, S)


# %% [markdown]
# ### Exercise 3.2 · Equation 1 for a batch
#
# Difficulty 2 · 15 minutes · 2 points.
#
# Two matrix products and a softmax are enough. (A loop would give the same numbers, and pass; on a real batch it takes
# many times as long.) It must work for any leading axes, and when there are more keys than queries. The mask comes in
# Exercise 3.4; here every query may look everywhere. PyTorch's own `scaled_dot_product_attention` is not accepted in
# Exercises 3.1, 3.2, 3.4 and 3.6, since it is what you write here.

# %%
# Exercise 3.2: Equation 1 for a batch
def attention(query, key, value):
    """softmax(QKᵀ / √d_k) V (§3.2.1, Eq. 1).

    query: (..., target_len, d_k); key: (..., source_len, d_k); value: (..., source_len, d_v).
    Returns (output (..., target_len, d_v), weights (..., target_len, source_len)).
    """
    ### BEGIN SOLUTION
    d_k = query.size(-1)
    scores = query @ key.transpose(-2, -1) / math.sqrt(d_k)  # (..., target_len, source_len)
    weights = scores.softmax(dim=-1)
    return weights @ value, weights
    ### END SOLUTION


# %%
check("3.2", attention)

# %%
hint("3.2")

# %% [markdown]
# Your batched form and the loop agree on a random example:

# %%
torch.manual_seed(3)
query, key, value = torch.randn(4, 8), torch.randn(6, 8), torch.randn(6, 5)
difference = (attention(query, key, value)[0] - attention_by_loop(query, key, value)[0]).abs().max()
assert difference < 1e-5
print("they agree")

# %% [markdown]
# ## Masks
#
# Two kinds of position must stay unseen: padding, which is no word at all, and, in the decoder, the future. Both are
# said with a boolean mask, `True` = may be attended to, that broadcasts to (batch, heads, query length, key length).
# The scores of forbidden keys are set to −∞ before the softmax, so that their weights are exactly zero and the others
# still sum to one.
#
# > **Note.** PyTorch has both conventions. `torch.nn.functional.scaled_dot_product_attention` and this course say
# > `True` = attend; `torch.nn.MultiheadAttention` says `True` = block. A mask handed from one to the other must be
# > inverted.
#
# ### Exercise 3.3 · The causal mask
#
# Difficulty 1 · 10 minutes · 1 point.
#
# Position i may look at positions 0 … i: at itself and at the past.

# %%
# Exercise 3.3: the causal mask
def causal_mask(length, device=None):
    """Lets position i look at positions 0 … i and at none after it (§3.2.3).

    Returns bool (1, 1, length, length); rows are queries, columns are keys.
    """
    ### BEGIN SOLUTION
    return torch.ones(length, length, dtype=torch.bool, device=device).tril()[None, None]
    ### END SOLUTION


# %%
check("3.3", causal_mask)

# %%
hint("3.3")

# %% [markdown]
# ### Exercise 3.4 · Attention with a mask
#
# Difficulty 3 · 20 minutes · 3 points.
#
# The form that the rest of the course uses. One thing needs a decision: a query that may look at nothing. The softmax of
# a row of −∞ is 0/0, and one NaN in a batch spoils every gradient. Such a row shall have weights of zero and an output
# of zero.

# %%
# Exercise 3.4: attention with a mask
def scaled_dot_product_attention(query, key, value, mask=None):
    """softmax(QKᵀ / √d_k) V (§3.2.1, Eq. 1).

    query: (..., target_len, d_k); key: (..., source_len, d_k); value: (..., source_len, d_v);
    mask: bool, broadcastable to (..., target_len, source_len), True = may attend.
    Returns (output (..., target_len, d_v), weights (..., target_len, source_len)).
    A query that may attend to nothing gets weights and output of zero.
    """
    ### BEGIN SOLUTION
    d_k = query.size(-1)
    scores = query @ key.transpose(-2, -1) / math.sqrt(d_k)  # (..., target_len, source_len)
    if mask is None:
        weights = scores.softmax(dim=-1)
    else:
        nothing_to_see = ~mask.any(dim=-1, keepdim=True)  # softmax of a row of −∞ would be NaN
        scores = scores.masked_fill(~mask, -math.inf).masked_fill(nothing_to_see, 0.0)
        weights = scores.softmax(dim=-1).masked_fill(nothing_to_see, 0.0)
    return weights @ value, weights
    ### END SOLUTION


# %%
check("3.4", scaled_dot_product_attention)

# %%
hint("3.4")

# %% [markdown]
# **Why −∞ and not −10 000?** A finite number is safe only while all scores are small beside it. Here are two keys, the
# second forbidden, with a score of the first that has run away:

# %%
scores = torch.tensor([-20_000.0, 3.0])
print("with −10 000:", scores.masked_fill(torch.tensor([False, True]), -1e4).softmax(0).tolist())
print("with −∞:     ", scores.masked_fill(torch.tensor([False, True]), -math.inf).softmax(0).tolist())
print("largest number in half precision:", torch.finfo(torch.float16).max)

# %% [markdown]
# Code that you will read elsewhere often takes −10⁹. In 32 bits no model's score comes near it, so an answer that fills in
# −10⁹ and sets the weights of empty rows to zero passes Exercise 3.4. In half precision that number does not exist, and
# the next smaller choice is the −10 000 that you have just seen fail. −∞ exists in both.

# %% [markdown]
# ## See
#
# A map of attention weights: each row is a query and sums to one, each column is a key. Left of it the words that ask,
# above it the words that are asked.

# %%
words = "the small dog that slept has now woken".split()
torch.manual_seed(1)
x = torch.randn(1, 1, len(words), 16)
_, weights = scaled_dot_product_attention(x, x, x, causal_mask(len(words)))
assert torch.allclose(weights.sum(-1), torch.ones(len(words)))
plots.attention_map(weights[0, 0], words, words, "No word looks at what comes after it", query_axis="query", key_axis="key")

# %% [markdown]
# ## Test the claim: what the scale does to scores and gradients
#
# > **Paper (§3.2.1).** Without the scale, dot products do worse than additive attention when d_k is large. The suspected
# > reason: they grow with d_k and push the softmax to where its gradient is tiny. Dividing by √d_k is to counteract that.
#
# If the components of q and k are independent with mean 0 and variance 1, their product q · k is a sum of d_k terms of
# variance 1, so its variance is d_k. We measure that, with a control beside it. **Additive attention** (Bahdanau et al.
# 2014) is the older way to score a query and a key: a small network, vᵀ tanh(W q + U k), with learned matrices W and U
# and a learned vector v. You write it yourself in Exercise 3.5; here `AdditiveAttention` brings its three layers,
# `query_projection` (W), `key_projection` (U) and `score` (v), as they are before any training.

# %%
from utils.transformer import AdditiveAttention

torch.manual_seed(0)
widths = [4, 16, 64, 256, 1024]
spread = {"dot product": [], "scaled": [], "additive": []}
for d_k in widths:
    query, key = torch.randn(2000, d_k), torch.randn(2000, d_k)
    dots = (query * key).sum(-1)
    additive = AdditiveAttention(d_k, d_k, d_k)
    with torch.no_grad():
        hidden = additive.query_projection(query) + additive.key_projection(key)
        added = additive.score(hidden.tanh())
    for name, numbers in zip(spread, (dots, dots / math.sqrt(d_k), added)):
        spread[name].append(numbers.std().item())
for name, numbers in spread.items():
    print(f"{name:12}", "  ".join(f"{number:6.2f}" for number in numbers))
assert all(abs(number / math.sqrt(d_k) - 1) < 0.1 for number, d_k in zip(spread["dot product"], widths))
assert all(abs(number - 1) < 0.1 for number in spread["scaled"])

# %% [markdown]
# The dot products spread as √d_k, the scaled ones keep a spread of 1. What does that do to learning? The softmax turns
# scores into weights w, and how much each weight moves when each score is moved a little is a matrix of derivatives,
# called its **Jacobian**: diag(w) − w wᵀ. Where one weight is nearly 1 and the others nearly 0, all its entries vanish,
# and with them whatever gradient passes through. For one number to compare, we square all entries, add them up and take
# the root: the **Frobenius norm**. We draw 200 queries with 32 keys each.

# %%
def gradient_norm(scores):
    """Mean Frobenius norm of the softmax's Jacobian. scores: (rows, keys)."""
    w = scores.softmax(-1)
    jacobian = torch.diag_embed(w) - w[:, :, None] * w[:, None, :]  # (rows, keys, keys)
    return jacobian.norm(dim=(1, 2)).mean().item()


norms = {"dot product": [], "scaled": [], "additive": []}
for d_k in widths:
    query, key = torch.randn(200, 1, d_k), torch.randn(200, 32, d_k)
    dots = (query @ key.transpose(1, 2))[:, 0]
    additive = AdditiveAttention(d_k, d_k, d_k)
    with torch.no_grad():
        hidden = additive.query_projection(query) + additive.key_projection(key)
        added = additive.score(hidden.tanh()).squeeze(-1)
    for name, scores in zip(norms, (dots, dots / math.sqrt(d_k), added)):
        norms[name].append(gradient_norm(scores))

# %%
from utils.plots.style import NotebookFigure

figure = NotebookFigure(figsize=(9, 3.4), layout="constrained")
colours = {"dot product": "#D55E00", "scaled": "#0072B2", "additive": "#009E73"}
panels = figure.subplots(1, 2)
for axes, numbers, label in zip(panels, (spread, norms), ("standard deviation of a score", "norm of the softmax's Jacobian")):
    for name, series in numbers.items():
        axes.loglog(widths, series, "o-", color=colours[name])
        axes.annotate(name, (widths[-1], series[-1]), textcoords="offset points", xytext=(6, -3), color=colours[name])
    axes.set(xlabel="d_k (width of a key)", ylabel=label, xlim=(3, 15000))
figure.suptitle("Unscaled scores grow with √d_k and the softmax's gradient shrinks; scaled scores do neither")
figure

# %%
shrunk = norms["dot product"][0] / norms["dot product"][-1]
steady = norms["scaled"][0] / norms["scaled"][-1]
print(f"from d_k = 4 to 1024 the unscaled gradient shrinks {shrunk:.1f}-fold, the scaled one {steady:.1f}-fold")
assert shrunk > 2 * steady
for d_k, plain, scaled in zip(widths, norms["dot product"], norms["scaled"]):
    print(f"d_k = {d_k:4}: norm {plain:.2f} unscaled, {scaled:.2f} scaled")
assert norms["dot product"][1] > norms["scaled"][1] and norms["dot product"][3] < norms["scaled"][3]

# %% [markdown]
# **Verdict: holds for wide keys, and only for them.** The unscaled gradient does shrink with d_k; it shrinks, it does not
# vanish. For narrow keys, d_k = 4 and 16, the unscaled softmax has the *larger* gradient: weights that differ a little
# let more through than weights that are nearly equal. All this is for inputs of variance 1, at the start of training; a
# trained model can make its queries and keys as long as it likes. What the scale is worth in a training, you will see
# below.

# %% [markdown]
# ## The alternative: additive attention
#
# vᵀ tanh(W q + U k) is what you have just seen as the control. It has parameters of its own, and it needs no scale: tanh
# lies between −1 and 1, whatever the width.
#
# ### Exercise 3.5 · Additive scores
#
# Difficulty 3 · 15 minutes · 2 points.
#
# Broadcasting pairs every query with every key, so that no loop is needed. (One would pass, and take its time.)

# %%
# Exercise 3.5: additive scores
def additive_scores(query, key, query_weight, key_weight, score_weight):
    """vᵀ tanh(W q + U k) for every query and key (Bahdanau et al. 2014, compared in §3.2.1).

    query: (..., target_len, query_width); key: (..., source_len, key_width); query_weight W: (d_hidden, query_width);
    key_weight U: (d_hidden, key_width); score_weight v: (d_hidden,). Returns (..., target_len, source_len).
    """
    ### BEGIN SOLUTION
    queries = (query @ query_weight.t()).unsqueeze(-2)  # (..., target_len, 1, d_hidden)
    keys = (key @ key_weight.t()).unsqueeze(-3)  # (..., 1, source_len, d_hidden)
    return (queries + keys).tanh() @ score_weight
    ### END SOLUTION


# %%
check("3.5", additive_scores)

# %%
hint("3.5")

# %% [markdown]
# The sum of queries and keys shows the price: a tensor with one more axis. A dot product for all pairs is one
# matrix product and never holds that tensor. Same number of scores, very different memory:

# %%
batch, length, d = 8, 128, 64
dot = batch * length * length
print(f"scores: {dot:,} numbers; additive attention passes through {dot * d:,}, {d} times as many")

# %% tags=["machine"]
import time


def milliseconds(work, times=5):
    """The median time of some calls."""
    clocks = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        clocks.append(1000 * (time.perf_counter() - start))
    return sorted(clocks)[times // 2]


query, key = torch.randn(batch, length, d), torch.randn(batch, length, d)
matrices = torch.randn(d, d), torch.randn(d, d), torch.randn(d)
slow = milliseconds(lambda: additive_scores(query, key, *matrices))
fast = milliseconds(lambda: query @ key.transpose(1, 2))
print(f"additive {slow:.1f} ms, dot product {fast:.2f} ms: {slow / fast:.0f} times")
assert slow > 3 * fast

# %% [markdown]
# The time grows by another factor than the memory, and usually by a larger one. The matrix product is the operation that
# processors and libraries are best at: it takes numbers from the cache and reuses each many times. The additive form
# writes its large tensor to memory, reads it, takes a tanh of every number, which costs as much as many multiplications,
# and writes it again.

# %% [markdown]
# ## Test the claim: the same quality?
#
# > **Paper (§3.2.1).** For small d_k, additive and dot-product attention do about equally well; for larger d_k additive
# > attention is better than dot products without the scale. So with the scale, the faster form should lose nothing.
#
# Gradients of random vectors are a hint, a translator is a test. We train the same small one (two layers, d_model = 64, one
# head, 600 updates on the embedded corpus) with three kinds of scores: q · k / √d_k, q · k, and vᵀ tanh(q + k). The
# projections that make q and k stand for the W and U of additive attention, so that only v, d_k numbers for each
# attention, comes on top. Everything else is equal, the learning rate too. Two controls ask whether the outcome hangs on
# how it was set up: keys of width 16 in place of 64, and a third of the learning rate.
#
# Twenty-one trainings are too many for a chapter, so the next cell reads **recorded runs**. Set the switch to `True` to
# train again; the cell says how long that took.

# %%
import json
from pathlib import Path

again = False  # True: trains all these models again
course = next(folder for folder in (Path.cwd(), *Path.cwd().parents) if (folder / "assets/runs").is_dir())
runs = {}
names = {"d_k = 64": "additive", "d_k = 16": "additive-narrow-keys", "d_k = 64, rate / 3": "additive-slower"}
for setup, file in names.items():
    runs[setup] = json.loads((course / f"assets/runs/03-{file}.json").read_text(encoding="utf-8"))
if again:
    from utils.experiments.additive import additive_experiment

    for run in runs.values():
        kinds, keys = ({result[name] for result in run["results"]} for name in ("score", "d_k"))
        run["results"] = additive_experiment(sorted(kinds), sorted(keys), run["seeds"], **run["settings"])
for run in runs.values():
    print("recorded with", run["command"])
minutes = sum(result["cpu_seconds"] for run in runs.values() for result in run["results"]) / 60
print(f"on {runs['d_k = 64']['hardware']['processor']} in {minutes:.0f} CPU minutes, translating not counted")

# %% [markdown]
# The number to look at is the validation loss: how badly the right next token is predicted in sentences that were not
# trained on, as the mean of −ln(the probability that it got); the unit is the nat. Lower is better. BLEU, the overlap of
# translations with the right ones from 0 to 100, stands beside it; higher is better.

# %%
def of_seeds(setup, kind, measure):
    """That measure for each seed of a setup and a kind of score."""
    return [result[measure] for result in runs[setup]["results"] if result["score"] == kind]


for setup in runs:
    for kind in ("scaled", "additive", "unscaled"):
        losses, bleu = of_seeds(setup, kind, "valid_loss"), of_seeds(setup, kind, "bleu")
        if losses:
            seeds = "  ".join(f"{loss:.2f}" for loss in losses)
            print(f"{setup}  {kind:9} loss {sum(losses) / 3:.2f} ({seeds})   BLEU {sum(bleu) / 3:4.1f}")
seconds = {kind: sum(of_seeds("d_k = 64", kind, "cpu_seconds")) for kind in ("scaled", "additive")}
print(f"training with additive scores took {seconds['additive'] / seconds['scaled']:.1f} times as long")

# %%
figure = NotebookFigure(figsize=(9, 2.9), layout="constrained")
axes = figure.subplots()
colours = {"scaled": "#0072B2", "additive": "#009E73", "unscaled": "#D55E00"}
rows = [(setup, kind) for setup in runs for kind in colours if of_seeds(setup, kind, "valid_loss")]
for height, (setup, kind) in enumerate(rows):
    losses = of_seeds(setup, kind, "valid_loss")
    axes.plot(losses, [-height] * len(losses), "o", color=colours[kind], alpha=0.6, markersize=8)
    axes.plot([sum(losses) / len(losses)] * 2, [-height - 0.3, -height + 0.3], color=colours[kind], linewidth=2.5)
axes.set_yticks([-height for height in range(len(rows))], [f"{kind}, {setup}" for setup, kind in rows])
axes.set(xlabel="validation loss, nats per token (three seeds, bar: their mean)", xlim=(0, None))
figure.suptitle("Without the scale the translator hardly learns; additive scores do at least as well as scaled ones")
figure

# %%
for setup in runs:
    pairs = list(zip(of_seeds(setup, "scaled", "valid_loss"), of_seeds(setup, "unscaled", "valid_loss")))
    print(f"{setup}: without the scale {min(b - a for a, b in pairs):.1f} to {max(b - a for a, b in pairs):.1f} nats worse")
    assert all(without > scaled + 0.5 for scaled, without in pairs)  # in each seed
pairs = list(zip(of_seeds("d_k = 64", "additive", "valid_loss"), of_seeds("d_k = 64", "scaled", "valid_loss")))
print("additive ahead of scaled, seed by seed:", [round(scaled - added, 3) for added, scaled in pairs])
assert all(added <= scaled for added, scaled in pairs)

# %% [markdown]
# **Verdict.** *Unscaled is worse than additive:* **holds**, in each seed and by far. *With the scale the faster form loses
# nothing:* **does not quite hold here**. Additive attention is ahead in each seed, though in one of the three by next to
# nothing, and three seeds of short trainings are few. It pays for that in time and memory.
#
# *For small d_k the scale matters little:* **does not hold here**. Without it, keys of width 16 fail too, although their
# softmax had the larger gradient above. So a small gradient at the start cannot be the whole reason. Unscaled scores are
# not only √d_k times as large, they also move √d_k times as far with each update of the weights, and this experiment does
# not separate the two. A third of the learning rate does not rescue them in 600 updates; how they end after many
# thousands, we have not measured.

# %% [markdown]
# ## What it costs
#
# Every query meets every key, so n tokens make n² weights: twice the text, four times the memory. The path between any
# two words is one step long whatever lies between them, but it is not free.

# %% tags=["machine"]
lengths = [128, 256, 512, 1024, 2048]
times = []
for n in lengths:
    x = torch.randn(1, 4, n, 32)
    times.append(milliseconds(lambda x=x: scaled_dot_product_attention(x, x, x), times=3))
megabytes = [4 * n * n * 4 / 2**20 for n in lengths]  # four heads, four bytes a weight
for n, ms, mb in zip(lengths, times, megabytes):
    print(f"{n:5} tokens {ms:8.1f} ms {mb:7.2f} MiB of weights")
print(f"from {lengths[-2]} to {lengths[-1]} tokens: {times[-1] / times[-2]:.1f} times the time")
assert all(longer == 4 * shorter for shorter, longer in zip(megabytes, megabytes[1:]))

# %% [markdown]
# Memory grows exactly fourfold with each doubling. The arithmetic does too, and the time tends to follow it, but not to the
# letter: short inputs grow less, as the calls themselves take time, and where the weights no longer fit into the
# processor's cache, a step can be much more than fourfold.

# %% [markdown]
# ## Since 2017
#
# **FlashAttention** (Dao et al. 2022) computes the same numbers without ever holding the n × n weights: it goes through
# the keys in blocks and keeps, for each query, a running maximum, a running sum and a running output. When a block brings
# a higher maximum, what has been summed so far is scaled down to match. Time is still quadratic; memory is not. PyTorch's
# `scaled_dot_product_attention` does this where it can, and our own training calls it wherever that is the faster form.
#
# ### Exercise 3.6 · Attention in blocks (optional)
#
# Difficulty 4 · 30 minutes · 2 points.
#
# Blocks are blocks of *keys*: all queries meet the first `block_size` keys, then the next. Going through the queries in
# parts would save memory too, but each row of scores would still be as long as the text; the check looks at the shapes
# of all tensors on the way. No tensor of scores may be larger than (target_len, block_size).

# %%
# Exercise 3.6: attention in blocks
def attention_in_blocks(query, key, value, block_size):
    """Eq. 1 without ever holding more than `block_size` columns of scores (Dao et al. 2022).

    query: (..., target_len, d_k); key: (..., source_len, d_k); value: (..., source_len, d_v).
    Returns the output alone, (..., target_len, d_v).
    """
    ### BEGIN SOLUTION
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
    ### END SOLUTION


# %%
check("3.6", attention_in_blocks)

# %%
hint("3.6")

# %% [markdown]
# Three ways, the same numbers:

# %%
torch.manual_seed(6)
query, key, value = torch.randn(50, 16), torch.randn(70, 16), torch.randn(70, 8)
clear, _ = scaled_dot_product_attention(query, key, value)
fused = torch.nn.functional.scaled_dot_product_attention(query[None], key[None], value[None])[0]
assert torch.allclose(clear, fused, atol=1e-5)
assert torch.allclose(clear, attention_in_blocks(query, key, value, 16), atol=1e-5)
print("clear, fused and in blocks agree")

# %% [markdown]
# ## Recap
#
# * Attention is a soft look-up: weights = softmax(QKᵀ/√d_k), output = weights · V. Rows are queries and sum to one.
# * Without the scale, scores spread as √d_k and the softmax's gradient shrinks where d_k is large; you measured both.
# * A mask sets scores to −∞ before the softmax; a row without any permitted key gets zeros by decision.
# * The function itself has no parameters. Additive attention has, does as well or a little better here, and costs d times
#   the memory.
# * Time and memory grow with n². FlashAttention saves the memory; the arithmetic stays quadratic.
#
# Next: chapter 04 lets several such look-ups run side by side. To read on: Bahdanau et al. (2014), "Neural Machine
# Translation by Jointly Learning to Align and Translate"; Dao et al. (2022), "FlashAttention".
