# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 05 · Feed-forward, residual, layer norm (§3.1, §3.3, §5.4)
#
# **Where we are.** Attention (chapters 03 and 04) lets positions look at each other. Today comes what stands around it
# and behind it: the network that works on each position by itself, and the wrapper that makes many layers trainable.
#
# ![Figure 1 with the norms and the feed-forward networks lit](../assets/figure1_05.svg)
#
# After this chapter you can
#
# * write layer norm from its definition, pass a gradient back through it by hand, and say what batch norm would break;
# * write the feed-forward network in two forms, and say how many of the model's parameters lie in it;
# * wrap a sub-layer post-norm or pre-norm, and drop in the right place;
# * show which of the two needs warm-up, and at which learning rates, with a measured gradient for each layer.
#
# About two and a half hours, seven exercises (two of them optional), 12 points and 3 for the optional ones.

# %% tags=["setup"]
# The set-up cell is written by the build.

# %% [markdown]
# ## The idea
#
# A position's vector travels through the whole model on one straight line, the **residual stream**. Each sub-layer,
# attention or feed-forward, reads the stream and *adds* something to it. So a layer need not pass on what it does not
# change, and the gradient finds the same straight line on its way back. What is added up grows, so it is normalised.
#
# > **Paper (§3.1).** Around each sub-layer stands a residual connection (He et al. 2016), then layer normalisation (Ba
# > et al. 2016): LayerNorm(x + Sublayer(x)). All sub-layers and the embeddings give vectors of width d_model = 512.
#
# > **Paper (§3.3, Eq. 2).** The feed-forward network: FFN(x) = max(0, x W_1 + b_1) W_2 + b_2, the same at every
# > position, with other weights in every layer. d_ff = 2048.
#
# > **Paper (§5.4).** Dropout on the output of each sub-layer, before it is added and normalised, and on the sums of
# > embeddings and positional encodings. P_drop = 0.1 for the base model.
#
# | symbol | in code | shape | meaning |
# |---|---|---|---|
# | x | `x` | (batch, length, d_model) | the residual stream |
# | γ, β | `gain`, `bias` | (d_model,) | what layer norm learns |
# | ε | `epsilon` | a number, 10⁻⁵ | keeps it from dividing by zero (the paper names none; PyTorch's default) |
# | W_1, b_1 | `inner` | (d_model, d_ff), (d_ff,) | widens |
# | W_2, b_2 | `outer` | (d_ff, d_model), (d_model,) | comes back |
# | P_drop | `dropout` | a number | share of a sub-layer's output that is dropped |
#
# `nn.Linear` keeps its matrix turned over: what the paper calls W_1, (d_model, d_ff), is `inner.weight.T`.

# %% [markdown]
# ## Predict
#
# Four questions before anything is run; put the letter of your answer behind the number.

# %%
predict("5.a")

# %%
predict("5.b")

# %%
predict("5.c")

# %%
predict("5.d")

# %% [markdown]
# ## Layer norm by hand
#
# One position with four features: 1, 2, 3, 6. Their mean is 3. What is left is −2, −1, 0, 3; the squares 4, 1, 0, 9
# have the mean 3.5, which is the variance; √3.5 is 1.871. Dividing gives the normalised position: mean 0, variance 1.

# %%
from torch import nn

position = torch.tensor([1.0, 2.0, 3.0, 6.0])
centred = position - position.mean()
variance = centred.square().mean()
normalised = centred / variance.sqrt()
print("variance", variance.item(), " normalised", [round(number, 3) for number in normalised.tolist()])
assert torch.allclose(normalised, nn.functional.layer_norm(position, (4,)), atol=1e-4)

# %% [markdown]
# **Which variance?** `x.var()` divides by d_model − 1, for it estimates the variance of a population from a sample.
# Layer norm describes these d_model numbers and estimates nothing: it divides by d_model. How much does the mistake
# matter?

# %%
for d_model in (4, 16, 64, 512):
    x = torch.randn(1000, d_model, generator=torch.Generator().manual_seed(5))
    off = 1 - (x.std(-1, unbiased=False) / x.std(-1, unbiased=True)).mean().item()
    print(f"width {d_model:3}: an output {off:.1%} too small")
    assert abs(off - (1 - (1 - 1 / d_model) ** 0.5)) < 1e-5

# %% [markdown]
# A factor that depends on nothing but the width can be made up for by the gain, so a model trained with the wrong
# variance works; it just is another model, and weights from elsewhere do not fit it.
#
# **Why is ε inside the root?** A position may hold equal numbers, with variance 0. The result is 0 either way, 0/√ε or
# 0/ε; the gradient is not the same, because the root is infinitely steep at 0.

# %%
def gradient_at_equal_numbers(divisor):
    """What reaches four equal numbers through (x − mean) / divisor(variance)."""
    x = torch.full((4,), 2.0, requires_grad=True)
    centred = x - x.mean()
    (centred / divisor(centred.square().mean()))[0].backward()
    return [round(number, 1) for number in x.grad.tolist()]


print("ε inside: ", gradient_at_equal_numbers(lambda variance: (variance + 1e-5).sqrt()))
print("ε outside:", gradient_at_equal_numbers(lambda variance: variance.sqrt() + 1e-5))

# %% [markdown]
# **Loop.** Several positions are several times the same, each with its own mean and variance. At the end each feature
# is multiplied by a gain γ and a bias β is added, both learnt, both shared by all positions. They start at 1 and 0.

# %%
def layer_norm_by_loop(x, gain, bias, epsilon=1e-5):
    """One position at a time, one feature at a time. x: (length, d_model)."""
    rows = []
    for position in x.tolist():
        mean = sum(position) / len(position)
        variance = sum((number - mean) ** 2 for number in position) / len(position)
        rows.append([(number - mean) / (variance + epsilon) ** 0.5 for number in position])
    return torch.tensor(rows) * gain + bias  # (length, d_model)


# %% [markdown]
# ### Exercise 5.1 · Layer norm
#
# Difficulty 2 · 20 minutes · 3 points.
#
# A module for any number of leading axes, without a loop. `nn.Parameter(torch.ones(d_model))` makes a parameter that
# starts at 1. Call the two `gain` and `bias`, and keep ε. PyTorch's own `nn.LayerNorm` is not allowed here.

# %%
# Exercise 5.1: layer norm
class LayerNorm(nn.Module):
    """(x − mean) / √(variance + ε) · gain + bias, over the last axis (Ba et al. 2016, used in §3.1)."""

    def __init__(self, d_model, epsilon=1e-5):
        super().__init__()
        ### BEGIN SOLUTION
        self.epsilon = epsilon
        self.gain = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model))
        ### END SOLUTION

    def forward(self, x):
        """x: (..., d_model). Returns the same shape."""
        ### BEGIN SOLUTION
        centred = x - x.mean(dim=-1, keepdim=True)
        variance = centred.square().mean(dim=-1, keepdim=True)
        return centred / (variance + self.epsilon).sqrt() * self.gain + self.bias
        ### END SOLUTION


# %%
check("5.1", LayerNorm)

# %%
hint("5.1")

# %% [markdown]
# Some cells below look inside of what you built. `with_names` takes yours where it has the names that the exercise
# asks for, else the course's, and says so then.

# %%
from utils import transformer


def with_names(own, courses, sizes, **kinds):
    """`own`, if what it builds has these attributes, of these kinds; else the course's class."""
    built = own(*sizes)
    if all(isinstance(getattr(built, name, None), kind) for name, kind in kinds.items()):
        return own
    print(f"Yours has other names than {', '.join(kinds)}: the cells below use the course's {courses.__name__}.")
    return courses


LayerNorm = with_names(LayerNorm, transformer.LayerNorm, (4,), gain=nn.Parameter, bias=nn.Parameter)

# %% [markdown]
# It agrees with the loop, and three properties hold: mean 0 and variance 1 at every position; the same result for
# 2x + 100 (Question 5.b); and a position that does not notice what happens to another.

# %%
torch.manual_seed(5)
x, norm = torch.randn(5, 64), LayerNorm(64)
output = norm(x)
assert torch.allclose(output, layer_norm_by_loop(x, norm.gain, norm.bias), atol=1e-5)
assert output.mean(-1).abs().max() < 1e-6 and (output.var(-1, unbiased=False) - 1).abs().max() < 1e-4
assert torch.allclose(norm(2 * x + 100), output, atol=1e-4)
changed = torch.cat([x[:4], 1000 * x[4:]])
assert torch.equal(norm(changed)[:4], output[:4])
print("loop and module agree; three properties hold")

# %% [markdown]
# ## Which numbers share a mean
#
# Batch norm (Ioffe and Szegedy 2015) subtracts and divides as well, but averages each *feature* over all positions of
# all sentences in the batch. In images that works well. Here it has two flaws: the padding is averaged in, and so are
# the neighbours in the batch. (Below, the black line parts two sentences of a batch.)

# %%
from utils.plots.style import NotebookFigure, house_style

rows = ["the", "dog", "sleeps", "(padding)", "a", "cat", "has", "woken"]
with house_style():
    figure = NotebookFigure(figsize=(9, 3.3), layout="constrained")
    for axes, title in zip(figure.subplots(1, 2), ("Layer norm: one position", "Batch norm: one feature of them all")):
        cells = torch.zeros(8, 10)
        cells[1, :] = cells[1, :] + (title[0] == "L")
        cells[:, 4] = cells[:, 4] + (title[0] == "B")
        axes.imshow(cells, cmap="Blues", vmin=0, vmax=1.4, aspect="auto")
        axes.set_yticks(range(8), rows)
        axes.set(title=title, xlabel="feature", xticks=range(10))
        axes.grid(False)
        axes.hlines([0.5 + i for i in range(7)], -0.5, 9.5, color="#d9d9d9", linewidth=0.8)
        axes.vlines([0.5 + i for i in range(9)], -0.5, 7.5, color="#d9d9d9", linewidth=0.8)
        axes.axhline(3.5, color="#222222", linewidth=1.5)
    title = "Dark numbers share a mean and a variance; only batch norm mixes sentences and padding"
    figure.suptitle(title, weight="bold")
figure

# %% [markdown]
# The test: one sentence of three words, once alone, once padded to six, once beside another sentence whose numbers lie
# around 2 in place of 0. We compare what its own three words become.

# %%
torch.manual_seed(1)
sentence, padding, neighbour = torch.randn(1, 3, 64), torch.randn(1, 1, 64).expand(1, 3, 64), torch.randn(1, 3, 64)
batches = {
    "alone": sentence,
    "padded to 6": torch.cat([sentence, padding], dim=1),
    "beside another": torch.cat([sentence, 2 + neighbour], dim=0),
}
batch_norm = nn.BatchNorm1d(64)
ways = {"layer norm": LayerNorm(64), "batch norm": lambda x: batch_norm(x.transpose(1, 2)).transpose(1, 2)}
moved = {}
for name, way in ways.items():
    alone = way(sentence)[0]
    for situation, batch in batches.items():
        moved[name, situation] = ((way(batch)[0, :3] - alone).norm() / alone.norm()).item()
        print(f"{name}, {situation:14}: its words move by {moved[name, situation]:.0%}")

# %%
assert all(moved["layer norm", situation] < 1e-6 for situation in batches)
assert moved["batch norm", "padded to 6"] > 0.2 and moved["batch norm", "beside another"] > 0.2

# %% [markdown]
# In evaluation mode batch norm uses running averages from training instead, so that a sentence no longer depends on its
# neighbours. But these averages hold the padding of the training batches, and they are not what the model trained with.
# Layer norm does the same in both modes, for one sentence as for a hundred, and when decoding word by word.

# %% [markdown]
# ## The gradient through layer norm
#
# One output depends on all d inputs of its position, for all are in the mean and in the deviation σ = √(variance + ε).
# Write h = (x − mean) / σ for the normalised numbers, and take the pieces one by one. Moving x_j by a little moves
#
# * the numerator x_i − mean by δ_ij − 1/d (δ_ij is 1 for i = j, else 0);
# * the deviation by ∂σ/∂x_j = (x_j − mean) / (d σ) = h_j / d, because the variance is the mean of (x − mean)².
#
# With the rule for quotients
#
# > ∂h_i / ∂x_j = (δ_ij − 1/d − h_i h_j / d) / σ
#
# By hand for our position 1, 2, 3, 6, beside what autograd finds:

# %%
sigma, d = variance.sqrt(), 4
jacobian = (torch.eye(d) - 1 / d - normalised[:, None] * normalised[None, :] / d) / sigma
found = torch.autograd.functional.jacobian(lambda x: nn.functional.layer_norm(x, (4,), eps=0.0), position)
print(jacobian)
assert torch.allclose(jacobian, found, atol=1e-5)

# %% [markdown]
# The gradient that arrives at the outputs is called `gradient` here; through the gain it becomes g = gradient · γ. The
# chain rule sums over the outputs: ∂L/∂x_j = Σ_i g_i ∂h_i/∂x_j. As a loop:

# %%
def layer_norm_gradient_by_loop(x, gradient, gain, epsilon=1e-5):
    """For one position. x, gradient, gain: (d,). Returns (d,)."""
    d = len(x)
    sigma = (x.var(unbiased=False) + epsilon).sqrt()
    h, g = (x - x.mean()) / sigma, gradient * gain
    result = torch.zeros(d)
    for j in range(d):
        for i in range(d):
            result[j] += g[i] * (float(i == j) - 1 / d - h[i] * h[j] / d) / sigma
    return result


# %% [markdown]
# Neither the loop nor the d × d matrix is needed. Multiply the bracket out and sum over i: the first term leaves g_j;
# the second the mean of all g; the third h_j times the mean of all g · h.
#
# ### Exercise 5.2 · The gradient through layer norm
#
# Difficulty 4 · 30 minutes · 3 points.
#
# For any leading axes, without a loop and without autograd.

# %%
# Exercise 5.2: the gradient through layer norm
def layer_norm_gradient(x, gradient, gain, epsilon=1e-5):
    """The gradient of a loss with respect to x, from the one with respect to LayerNorm(x), by hand.

    x: (..., d_model), what went in; gradient: (..., d_model), of the loss with respect to what came out;
    gain: (d_model,). Returns (..., d_model).
    """
    ### BEGIN SOLUTION
    centred = x - x.mean(dim=-1, keepdim=True)
    deviation = (centred.square().mean(dim=-1, keepdim=True) + epsilon).sqrt()  # (..., 1)
    normalised = centred / deviation
    inner = gradient * gain  # of the loss with respect to `normalised`
    along_ones = inner.mean(dim=-1, keepdim=True)
    along_x = (inner * normalised).mean(dim=-1, keepdim=True) * normalised
    return (inner - along_ones - along_x) / deviation
    ### END SOLUTION


# %%
check("5.2", layer_norm_gradient)

# %%
hint("5.2")

# %% [markdown]
# By hand, by loop and by autograd it is the same. Both subtracted terms have a meaning: layer norm undoes any shift and
# any stretching of x, so neither may have a gradient. It sums to 0, and it stands at right angles to x − mean.

# %%
torch.manual_seed(2)
norm, x, gradient = LayerNorm(16), 3 * torch.randn(7, 16), torch.randn(7, 16)
nn.init.normal_(norm.gain)
by_hand = layer_norm_gradient(x, gradient, norm.gain.detach())
tracked = x.clone().requires_grad_()
norm(tracked).backward(gradient)
assert torch.allclose(by_hand, tracked.grad, atol=1e-5)
assert torch.allclose(by_hand[0], layer_norm_gradient_by_loop(x[0], gradient[0], norm.gain.detach()), atol=1e-5)
assert by_hand.sum(-1).abs().max() < 1e-5
assert (by_hand * (x - x.mean(-1, keepdim=True))).sum(-1).abs().max() < 1e-4
print("by hand = by loop = autograd; no share along ones, none along x")

# %% [markdown]
# Keep the 1/σ in mind. A norm that meets a stream of deviation 1.4 hands back a gradient 1.4 times smaller; the test at
# the end of this chapter is about what 36 of them do.

# %% [markdown]
# ## Feed-forward by hand and by loop
#
# Eq. 2 for one position with d_model = 2 and d_ff = 3: three inner units, each looking for a direction in x. A unit
# whose direction does not fit is set to 0 and writes nothing; the others write their row of W_2 into the stream.
# (Below, as in `nn.Linear`, both matrices are turned over: that row is a column of `outer_weight`.)

# %%
inner_weight = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])  # (d_ff, d_model): a row for each unit
outer_weight = torch.tensor([[1.0, 0.0, 5.0], [0.0, 2.0, 5.0]])  # (d_model, d_ff): a column for each unit
x = torch.tensor([[2.0, -1.0], [0.5, 0.5]])  # two positions
for position in x:
    units = [max(0.0, float(row @ position)) for row in inner_weight]
    result = sum(unit * column for unit, column in zip(units, outer_weight.T))
    print("units", units, " output", result.tolist())

# %% [markdown]
# ### Exercise 5.3 · The feed-forward network
#
# Difficulty 1 · 10 minutes · 2 points.
#
# Two `nn.Linear` layers (with their biases) in a module; call them `inner` and `outer`.

# %%
# Exercise 5.3: the feed-forward network
class FeedForward(nn.Module):
    """max(0, x W_1 + b_1) W_2 + b_2, at every position alike (§3.3, Eq. 2)."""

    def __init__(self, d_model, d_ff):
        super().__init__()
        ### BEGIN SOLUTION
        self.inner = nn.Linear(d_model, d_ff)
        self.outer = nn.Linear(d_ff, d_model)
        ### END SOLUTION

    def forward(self, x):
        """x: (..., d_model). Returns the same shape."""
        ### BEGIN SOLUTION
        return self.outer(self.inner(x).relu())
        ### END SOLUTION


# %%
check("5.3", FeedForward)

# %%
hint("5.3")

# %% [markdown]
# ## What it holds, and what it costs
#
# An encoder layer has 4 d_model² weights in attention (four matrices, chapter 04) and 2 · d_model · d_ff in the
# feed-forward network: with d_ff = 4 d_model that is 8 d_model², two thirds. In the whole base model:

# %%
from utils.transformer import Transformer, TransformerConfig, parameter_counts

FeedForward = with_names(FeedForward, transformer.FeedForward, (4, 8), inner=nn.Linear, outer=nn.Linear)
counts = parameter_counts(TransformerConfig())
feed_forward = counts["encoder feed-forward"] // 6
assert feed_forward == sum(p.numel() for p in FeedForward(512, 2048).parameters())
encoder_layer = counts["encoder self-attention"] // 6 + feed_forward + 2 * 2 * 512
decoder_layer = 2 * counts["decoder self-attention"] // 6 + feed_forward + 3 * 2 * 512
total = sum(counts.values())
print(f"one feed-forward network: {feed_forward:,} parameters")
print(f"of an encoder layer {feed_forward / encoder_layer:.1%}, of a decoder layer {feed_forward / decoder_layer:.1%}")
print(f"all twelve: {12 * feed_forward / 1e6:.1f} of {total / 1e6:.1f} million, {12 * feed_forward / total:.0%}")
print(f"scores and mixing take as many multiplications as the network from {8 * 512**2 // (2 * 512)} tokens on")

# %% [markdown]
# In time it is similar. Per token and layer the projections and the feed-forward network take 4 d_model² + 8 d_model²
# multiplications; the scores and the mixing of values 2 · n · d_model, for n tokens. These overtake the feed-forward
# network only for n > 4 d_model = 2048 tokens. Most of the work on a sentence is done where no word sees another.
#
# **Why d_ff = 4 · d_model?** The paper gives no reason, and its own Table 3 (rows C) has better ones. Beside each row
# stands what the wider network costs. (The paper's counts are larger than ours throughout, because its vocabulary is:
# see `implied_vocabulary` in `utils/transformer/counts.py`.)

# %%
reported = {1024: (5.12, 25.4, 53), 2048: (4.92, 25.8, 65), 4096: (4.75, 26.2, 90)}  # Table 3, rows (C) and base
for d_ff, (perplexity, bleu, millions) in reported.items():
    ours = sum(parameter_counts(TransformerConfig(d_ff=d_ff)).values()) / 1e6
    print(f"d_ff = {d_ff // 512} d_model: perplexity {perplexity}, BLEU {bleu}, {millions} M (our count {ours:.1f} M)")

# %% [markdown]
# So four is a compromise, not an optimum: twice the width gives 0.4 BLEU for 25 million parameters more, half the
# width loses 0.4 and saves 12 million. It has stayed the habit since.
#
# **Why the ReLU?** Without it the two matrices are one (Question 5.c).

# %%
network, x = FeedForward(16, 64), torch.randn(10, 16)
with torch.no_grad():
    straight = network.outer(network.inner(x))  # the same layers without max(0, …)
    one_matrix = network.outer.weight @ network.inner.weight  # (d_model, d_model)
    one_bias = network.outer.weight @ network.inner.bias + network.outer.bias
    assert torch.allclose(straight, x @ one_matrix.T + one_bias, atol=1e-5)
    bent = network(x)
print(f"the ReLU changes the output by {(bent - straight).norm() / straight.norm():.0%}")
print(f"without it {feed_forward:,} parameters would do what {512 * 512 + 512:,} can")

# %% [markdown]
# ## The same as two convolutions
#
# > **Paper (§3.3).** The feed-forward network can also be described as two convolutions of kernel size 1.
#
# A convolution slides a window along the sentence and multiplies what is in it with the same weights everywhere. A
# window of width 1 holds one position: that is Eq. 2. `torch.nn.functional.conv1d(x, weight, bias)` wants channels
# before length, x as (batch, channels, length), and the weight as (channels out, channels in, width).
#
# ### Exercise 5.4 · Two convolutions of width 1
#
# Difficulty 2 · 10 minutes · 1 point.
#
# Bring x into that order, convolve, ReLU, convolve again, and give it back as (batch, length, d_model). The weights
# come ready for `conv1d`.

# %%
from torch.nn import functional as F


# %%
# Exercise 5.4: two convolutions of width 1
def as_convolutions(x, inner_weight, inner_bias, outer_weight, outer_bias):
    """The feed-forward network as two convolutions over the sentence, each of width 1 (§3.3).

    x: (batch, length, d_model); inner_weight: (d_ff, d_model, 1); inner_bias: (d_ff,);
    outer_weight: (d_model, d_ff, 1); outer_bias: (d_model,). Returns (batch, length, d_model).
    """
    ### BEGIN SOLUTION
    channels = x.transpose(1, 2)  # (batch, d_model, length)
    hidden = F.conv1d(channels, inner_weight, inner_bias).relu()  # (batch, d_ff, length)
    return F.conv1d(hidden, outer_weight, outer_bias).transpose(1, 2)
    ### END SOLUTION


# %%
check("5.4", as_convolutions)

# %%
hint("5.4")

# %% [markdown]
# The same weights, an axis of size 1 more, the same numbers; and so do two `nn.Conv1d` modules that are given them.

# %%
torch.manual_seed(4)
network, x = FeedForward(8, 32), torch.randn(2, 6, 8)
first, second = network.inner, network.outer
convolved = as_convolutions(x, first.weight[:, :, None], first.bias, second.weight[:, :, None], second.bias)
assert torch.allclose(convolved, network(x), atol=1e-6)
modules = nn.Conv1d(8, 32, 1), nn.Conv1d(32, 8, 1)
for module, layer in zip(modules, (first, second)):
    module.load_state_dict({"weight": layer.weight[:, :, None], "bias": layer.bias})
assert torch.allclose(modules[1](modules[0](x.transpose(1, 2)).relu()).transpose(1, 2), network(x), atol=1e-6)
print("Eq. 2, conv1d and nn.Conv1d agree")

# %% [markdown]
# ## The residual connection
#
# For one sub-layer, with dropout where it belongs:
#
# * **post-norm**, the paper's: LayerNorm(x + Dropout(Sublayer(x)));
# * **pre-norm**, most models since: x + Dropout(Sublayer(LayerNorm(x))).
#
# With post-norm each norm stands *on* the stream, with pre-norm beside it: x goes through untouched, and after N
# layers it is still there, with 2N terms added to it. Since nothing has normalised that sum, a pre-norm stack ends
# with one more layer norm.
#
# **Where dropout stands matters.** It sets a share P_drop of the numbers to 0 and divides the others by 1 − P_drop, so
# that the mean stays. On the sub-layer's output that silences a contribution now and then. On the sum it would make
# holes in the stream itself: after twelve sub-layers with P_drop = 0.1 of a number that passes all of them

# %%
survives = (1 - 0.1) ** 12
print(f"only {survives:.0%} would survive; with dropout on the sub-layers' outputs every number of x does")

# %% [markdown]
# ### Exercise 5.5 · The residual connection
#
# Difficulty 3 · 20 minutes · 3 points.
#
# The wrapper gets the norm as a finished module and, each time it is called, the sub-layer as a function, so that the
# same class wraps attention and feed-forward alike. Keep what the constructor is given as `normalise`, `dropout` (an
# `nn.Dropout`, which drops in training mode and does nothing in evaluation mode) and `norm`.

# %%
# Exercise 5.5: the residual connection
class Residual(nn.Module):
    """Wraps a sub-layer. norm="post": LayerNorm(x + Dropout(Sublayer(x))), the paper (§3.1, §5.4);
    norm="pre": x + Dropout(Sublayer(LayerNorm(x))), as most models since.
    """

    def __init__(self, normalise, dropout, norm="post"):
        super().__init__()
        ### BEGIN SOLUTION
        self.normalise = normalise
        self.dropout = nn.Dropout(dropout)
        self.norm = norm
        ### END SOLUTION

    def forward(self, x, sublayer):
        """x: (batch, length, d_model); sublayer keeps the shape. Returns the same shape."""
        ### BEGIN SOLUTION
        if self.norm == "pre":
            return x + self.dropout(sublayer(self.normalise(x)))
        return self.normalise(x + self.dropout(sublayer(x)))
        ### END SOLUTION


# %%
check("5.5", Residual)

# %%
hint("5.5")

# %% [markdown]
# The model of this course is built from parts, so yours fit in. Here a base model of your three modules: its count is
# the one above, and it drops where §5.4 says, once for each sub-layer and on the two sums of embeddings and positions
# (one module serves both).

# %%
from utils.transformer import Parts

Residual = with_names(Residual, transformer.Residual, (nn.Identity(), 0.1), normalise=nn.Module, dropout=nn.Dropout)
mine = Parts(layer_norm=LayerNorm, feed_forward=FeedForward, residual=Residual)
model = Transformer(TransformerConfig(), mine)
assert sum(parameter.numel() for parameter in model.parameters()) == total
dropouts = [module for module in model.modules() if isinstance(module, nn.Dropout)]
print(f"{total:,} parameters; {len(dropouts)} dropouts of {dropouts[0].p}: 12 + 18 sub-layers, 1 for the sums")
assert len(dropouts) == 6 * 2 + 6 * 3 + 1

# %% [markdown]
# ## See: what the inner units do
#
# A column of W_1 is a pattern that is looked for, the row of W_2 that belongs to it is what is written when it is found
# (Geva et al. 2021 call them keys and values). In a fresh network a unit fires at about half of all positions. We
# train a small translator of your modules for some seconds and count again.

# %% tags=["machine"]
from utils.training import train_briefly

sizes = dict(d_model=64, d_ff=128, warmup=80, peak=6e-3, updates=250)
translator = train_briefly(parts=mine, device="cpu", report=None, **sizes)
print(f"validation loss {translator.valid_loss:.2f} nats per word after 250 updates")

# %% [markdown]
# The second encoder layer on 400 validation sentences: how often does each of its 128 units fire, before and after?

# %%
from utils.text import source_batch
from utils.transformer.masks import padding_mask

ids = source_batch(translator.tokeniser, [source for source, _ in translator.corpus.split("valid")[:400]])
words = ids[ids != 0]  # (tokens,): padding left out


def unit_values(model, layer=1):
    """The inner units of an encoder layer for each word: (tokens, d_ff)."""
    seen = []
    inner = model.encoder.layers[layer].feed_forward.inner
    handle = inner.register_forward_hook(lambda module, inputs, output: seen.append(output.detach().relu()))
    with torch.no_grad():
        model.encode(ids, padding_mask(ids))
    handle.remove()
    return seen[0][ids != 0]


torch.manual_seed(1)
fresh = Transformer(translator.model.config, mine).eval()
values = {"fresh": unit_values(fresh), "trained": unit_values(translator.model)}
shares = {name: (units > 0).float().mean(0) for name, units in values.items()}  # (d_ff,) each
assert 0.4 < shares["fresh"].mean() < 0.6 and shares["trained"].mean() < 0.4

# %% tags=["machine"]
with house_style():
    figure = NotebookFigure(figsize=(9, 2.8), layout="constrained")
    axes = figure.subplots()
    for (name, share), colour, at in zip(shares.items(), ("#8a8a8a", "#0072B2"), (0.75, 0.28)):
        axes.hist(share.tolist(), bins=[i / 25 for i in range(26)], color=colour, alpha=0.8)
        axes.text(at, 22, f"{name}: {share.mean():.0%} on average", color=colour, ha="center")
    axes.set(xlabel="share of words at which a unit fires", ylabel="units (of 128)", xlim=(0, 1), ylim=(0, 26))
    figure.suptitle("After training the inner units of this layer fire at fewer words", weight="bold")
figure

# %% [markdown]
# And what do they choose? For the eight units that fire most rarely, the words at which they fire most strongly (of 30
# such places; each unit sees its word after attention has mixed in the sentence):

# %% tags=["machine"]
from collections import Counter

units = values["trained"]
for unit in shares["trained"].argsort()[:8].tolist():
    strongest = units[:, unit].topk(30).indices
    found = Counter(translator.tokeniser.decode([int(words[at])]) or "(end)" for at in strongest).most_common(5)
    print(f"unit {unit:3}, {shares['trained'][unit]:4.0%} of words:", ", ".join(f"{word} ×{n}" for word, n in found))

# %% [markdown]
# ## Test the claim: the gradient reaches every layer
#
# Residual connections are said to keep gradients from vanishing in deep networks. §3.1 takes them over from He et al.
# (2016) and gives no reason. We measure it at initialisation, where training has to begin: decoders of up to 12
# layers, real sentences, and the norm of the gradient that arrives at each layer's W_2. Post-norm, pre-norm, and as a
# control the post-norm model *without* the addition: LayerNorm(Sublayer(x)).

# %%
from utils.text import TokenBatches
from utils.training import summed_loss


class NoResidual(nn.Module):
    """The control: the sub-layer and its norm, and nothing is added."""

    def __init__(self, normalise, dropout, norm="post"):
        super().__init__()
        self.normalise = normalise

    def forward(self, x, sublayer):
        """x: (batch, length, d_model). Returns the same shape."""
        return self.normalise(sublayer(x))


batch = next(TokenBatches(translator.corpus.split("train"), translator.tokeniser, 512, seed=1).epoch(0))
KINDS = {"post-norm": ("post", mine), "pre-norm": ("pre", mine), "no residual": ("post", Parts(residual=NoResidual))}


def fresh_model(kind, layers, seed):
    """A narrow Transformer at initialisation, without dropout."""
    norm, parts = KINDS[kind]
    torch.manual_seed(seed)
    sizes = dict(d_model=64, d_ff=256, heads=4, dropout=0.0)
    return Transformer(TransformerConfig(translator.tokeniser.vocab_size, layers=layers, norm=norm, **sizes), parts)


# %%
def backward(model):
    """Passes the mean loss of the batch back through a model."""
    loss = summed_loss(model, batch.source, batch.target_input, batch.target_output, smoothing=0.0)
    (loss / batch.target_tokens).backward()


def gradient_norms(kind, layers, seeds=(1, 2, 3)):
    """The gradient's norm at W_2 of each layer of encoder and decoder, averaged over seeds: (2, layers)."""
    found = []
    for seed in seeds:
        backward(model := fresh_model(kind, layers, seed))
        found.append([[layer.feed_forward.outer.weight.grad.norm() for layer in stack.layers]
                      for stack in (model.encoder, model.decoder)])
    return torch.tensor(found).mean(0)


# %% tags=["machine"]
depths = (2, 4, 6, 8, 12)
both = {(kind, depth): gradient_norms(kind, depth) for kind in KINDS for depth in depths}
norms = {which: decoder.tolist() for which, (encoder, decoder) in both.items()}
print("first layer's gradient beside the last one's, decoders of", *depths, "layers; encoder of 12")
for kind in KINDS:
    row = [norms[kind, depth][0] / norms[kind, depth][-1] for depth in depths]
    row.append((both[kind, 12][0, 0] / both[kind, 12][0, -1]).item())
    print(f"{kind:12}", "  ".join(f"{ratio:8.2g}" if ratio > 1e-9 else "     ~ 0" for ratio in row))

# %%
COLOURS = {"post-norm": "#D55E00", "pre-norm": "#0072B2", "no residual": "#5f5f5f"}
with house_style():
    figure = NotebookFigure(figsize=(9, 3.6), layout="constrained")
    with_control, closer = figure.subplots(1, 2)
    for kind, colour in COLOURS.items():
        series = [max(norm, 1e-9) for norm in norms[kind, 12]]
        with_control.semilogy(range(1, 13), series, "o-", color=colour, label=kind)
        for depth, style in ((12, "o-"), (6, "o:")) if kind != "no residual" else ():
            closer.semilogy(range(1, depth + 1), norms[kind, depth], style, color=colour)
    for kind, at in (("pre-norm", (1.2, 1.5)), ("post-norm", (1.2, 3e-3)), ("no residual", (4, 3e-9))):
        with_control.text(*at, kind, color=COLOURS[kind])
    closer.text(6.2, 1.15, "6 layers", color="#5f5f5f", ha="right")
    closer.text(12.2, 1.5, "post-norm, 12 layers", color=COLOURS["post-norm"], ha="right")
    closer.text(12.2, 0.13, "pre-norm, 12 layers", color=COLOURS["pre-norm"], ha="right")
    with_control.set(title="12 layers, with the control", ylim=(2e-10, 50))
    with_control.set_ylabel("norm of the gradient at W_2\n(10⁻⁹: that or less)")
    closer.set(title="The same, closer, and with 6 layers", ylim=(0.015, 3))
    for axes in (with_control, closer):
        axes.set(xlabel="decoder layer (1 is farthest from the loss)", xticks=range(1, 13))
    title = "Without the addition nothing arrives; a post-norm decoder fades, a pre-norm one does not"
    figure.suptitle(title, weight="bold")
figure

# %%
fading = norms["post-norm", 12][0] / norms["post-norm", 12][-1]
assert all(norms["no residual", depth][0] < 1e-6 * norms["no residual", depth][-1] for depth in (4, 6, 8, 12))
assert fading < 0.05 and 0.1 < norms["post-norm", 6][0] / norms["post-norm", 6][-1] < 0.6
assert all(0.5 < norms["pre-norm", depth][0] / norms["pre-norm", depth][-1] < 3 for depth in depths)
assert both["post-norm", 12][0, 0] > 0.4 * both["post-norm", 12][0, -1]
print(f"a post-norm decoder of 12 layers: {1 / fading:.0f}-fold less at its first layer than at its last")

# %% [markdown]
# **Verdict: holds for pre-norm, and for a post-norm encoder. A post-norm decoder fades: in this narrow model five- to
# sixfold at the paper's N = 6, more than thirtyfold at 12.** Why there, and not in the encoder? By Exercise 5.2 a norm
# on the stream divides the gradient by σ. But the sub-layer before it hands something back as well, and it is the sum
# that counts. So we ask each wrapper how much of the gradient it passes on, and take the geometric mean over the layers.

# %% tags=["machine"]
def passed_on(kind, layers=12):
    """Gradient behind over gradient before each of a decoder layer's wrappers, and the deviation at its norm."""
    model, ratios, sigmas = fresh_model(kind, layers, seed=1), [[], [], []], [[], [], []]
    for layer in model.decoder.layers:
        for wrapper, ratio, sigma in zip(layer.residuals, ratios, sigmas):
            wrapper.register_full_backward_hook(lambda _, to, fro, r=ratio: r.append(to[0].norm() / fro[0].norm()))
            wrapper.normalise.register_forward_hook(lambda _, x, out, s=sigma: s.append(x[0].detach().std(-1).mean()))
    backward(model)
    return torch.tensor(ratios), torch.tensor(sigmas)  # (3, layers) each


for kind in ("post-norm", "pre-norm"):
    ratios, sigmas = passed_on(kind)
    words = zip(("self-attention", "attention to the source", "feed-forward"), ratios.log().mean(1).exp())
    print(f"{kind}:", ", ".join(f"{name} {ratio:.2f}" for name, ratio in words))
    print(f"   deviation at the norms: {sigmas[0, 0]:.1f} at the first, {sigmas[-1, -1]:.1f} at the last;",
          f"at the attention to the source 1/σ is {1 / sigmas[1].mean():.2f}")

# %%
ratios, sigmas = passed_on("post-norm")
expected = ratios[1, 1:].prod().item()
print(f"what 11 attentions to the source leave: {expected:.2f}; the whole decoder left {fading:.2f}")
assert expected / 3 < fading < 3 * expected
assert 0.65 < ratios[1].log().mean().exp() < 0.8 and 1.3 < sigmas[1].mean() < 1.5
assert all(0.9 < ratios[part].log().mean().exp() < 1.1 for part in (0, 2))

# %% [markdown]
# Self-attention and feed-forward hand back as much as their norm takes. The attention to the source does not: it adds
# a vector as large as the stream, σ is √2, and since in a fresh model it reads nearly the same average whatever the
# query, nothing comes back through it. About 1/√2 a layer is all that passes, and that alone explains the fading. (Liu
# et al. 2020 found the same difference between the two sides.) With pre-norm no norm stands on the stream, and the
# ratios are 1. It has its own price: the stream grows, a sub-layer's contribution does not, so late layers change it
# less and less.
#
# **And without the addition?** In the decoder nothing arrives at all; in the encoder something does, but it is of no
# use. The forward pass shows why: attention averages, and an average of averages soon is the same for every position
# (Dong et al. 2021). How alike are two positions of a sentence in the encoder? The mean cosine between them, layer by
# layer:

# %%
def likeness(kind, layers=6):
    """Mean cosine between different positions of a sentence after each encoder layer."""
    model, found = fresh_model(kind, layers, seed=1), []
    for layer in model.encoder.layers:
        layer.register_forward_hook(lambda layer, inputs, output: found.append(F.normalize(output, dim=-1)))
    with torch.no_grad():
        model.encode(batch.source)
    n = batch.source.size(1)
    return [((states @ states.mT).sum((1, 2)) - n).mean().item() / (n * (n - 1)) for states in found]


for kind in KINDS:
    print(f"{kind:12}", "  ".join(f"{cosine:.2f}" for cosine in likeness(kind)))
assert likeness("no residual")[1] > 0.99 > likeness("post-norm")[-1] > 0.9 > 0.75 > likeness("pre-norm")[-1]

# %% [markdown]
# Without x in the sum all words of a sentence are one word after two layers, and no gradient can tell them apart. So the
# addition does more than carry the gradient: it keeps words apart. With post-norm it only puts off the end, for the
# cosine climbs there too, to 0.97 after six layers; with pre-norm, where nothing shrinks the stream, it stays near 0.7.

# %% [markdown]
# ## Test the claim: pre-norm needs no warm-up
#
# > **Paper (§5.3).** The learning rate rises linearly over the first 4000 updates, then falls. Why, it does not say.
#
# > **Since 2017.** Xiong et al. (2020): at initialisation the last layers of a post-norm Transformer have gradients
# > whose size does not depend on the depth N; with pre-norm they shrink as 1/√N. Large steps from large gradients are
# > what ruins post-norm without warm-up; pre-norm can do without.
#
# The first half can be read off the gradients above: the last decoder layer, as the depth grows from 2 to 12.

# %% tags=["machine"]
for kind in ("post-norm", "pre-norm"):
    last = [norms[kind, depth][-1] for depth in depths]
    print(f"{kind:10}", "  ".join(f"{norm:.2f}" for norm in last), f"  shrinks {last[0] / last[-1]:.1f}-fold")
print(f"1/√N shrinks {(12 / 2) ** 0.5:.1f}-fold")
assert 0.6 < norms["post-norm", 2][-1] / norms["post-norm", 12][-1] < 1.6
assert 1.8 < norms["pre-norm", 2][-1] / norms["pre-norm", 12][-1] < 3.2

# %% [markdown]
# That holds. Whether it decides a training is another matter, for Adam divides each gradient by its own size, so that
# neither a small nor a large one need harm. We train translators of six layers on the embedded corpus: post-norm and
# pre-norm, with 80 updates of warm-up and with none, a constant rate afterwards, at four rates, with three seeds
# each.
#
# These 48 runs are **recorded**: the file names command, versions and hardware. Set the switch to train them again.

# %%
from utils.experiments.warm_up import recorded, train_grid

again = False  # True: all 48 runs, on this machine; the minutes are printed below
record = recorded()
runs = train_grid() if again else record["runs"]
print(f"recorded by: {record['command']}")
print(f"{len(record['runs'])} runs of {record['settings']['updates']} updates on {record['hardware']['processor']},",
      f"{record['cpu_minutes']} minutes of one core, torch {record['versions']['torch']}")
assert {run["seed"] for run in runs} == {1, 2, 3}


def final_losses(norm, warm_up, rate):
    """The validation losses of three seeds, in nats per word."""
    return [run["valid"] for run in runs if (run["norm"], run["warm_up"], run["rate"]) == (norm, warm_up, rate)]


# %% [markdown]
# One number to compare with: a model that ignores the source and everything before, and knows only how frequent each
# word is, has the entropy of the word frequencies as its loss.

# %%
from utils.transformer.masks import BEGIN


def frequencies(split):
    """How often each id is to be predicted in a split of the corpus: (vocab_size,)."""
    ids = TokenBatches(translator.corpus.split(split), translator.tokeniser, 4096).target.flat
    ids = ids[ids != BEGIN]  # which is never predicted
    return torch.bincount(ids, minlength=translator.tokeniser.vocab_size).double()


learnt, met = frequencies("train"), frequencies("valid")
by_frequency = -(met / met.sum() * ((learnt + 1e-3) / learnt.sum()).log()).sum().item()
print(f"by word frequencies alone: {by_frequency:.2f} nats per word")

# %%
rates = sorted({run["rate"] for run in runs})
print("validation loss (nats per word), mean of three seeds\nrate               ", *(f"{rate:8}" for rate in rates))
mean = {}
for norm in ("post", "pre"):
    for warm_up in (80, 1):
        for rate in rates:
            mean[norm, warm_up, rate] = sum(final_losses(norm, warm_up, rate)) / 3
        row = "".join(f"{mean[norm, warm_up, rate]:9.2f}" for rate in rates)
        print(f"{norm + '-norm':9} {'warm-up' if warm_up > 1 else 'none':10}{row}")

# %%
STYLES = {("post", 80): "o-", ("post", 1): "o:", ("pre", 80): "s-", ("pre", 1): "s:"}
with house_style():
    figure = NotebookFigure(figsize=(9, 3.8), layout="constrained")
    curves, ends = figure.subplots(1, 2)
    for (norm, warm_up), style in STYLES.items():
        colour = COLOURS[f"{norm}-norm"]
        shown = next(r for r in runs if (r["norm"], r["warm_up"], r["rate"], r["seed"]) == (norm, warm_up, 2e-3, 1))
        label = f"{norm}-norm, {'warm-up' if warm_up > 1 else 'none'}"
        curves.plot(*zip(*shown["train"]), style[1:], color=colour, label=label)
        ends.plot(rates, [mean[norm, warm_up, rate] for rate in rates], style, color=colour)
        for rate in rates:
            ends.plot([rate] * 3, final_losses(norm, warm_up, rate), ".", color=colour, markersize=3)
    ends.axhline(by_frequency, color="#5f5f5f", linewidth=0.8)
    ends.text(rates[0], by_frequency + 0.03, "word frequencies alone", color="#5f5f5f", va="bottom")
    ends.set(xscale="log", xlabel="learning rate after the warm-up", title="After 240 updates, three seeds")
    ends.set_ylabel("validation loss (nats per word)")
    ends.set_xticks(rates, [f"{rate:g}" for rate in rates])
    ends.minorticks_off()
    curves.set(xlabel="update", ylabel="training loss (nats per word)", title="Rate 0.002, seed 1")
    curves.legend(frameon=False)
    figure.suptitle("Without warm-up a high rate stops post-norm, and not pre-norm", weight="bold")
figure

# %%
gain = {(norm, rate): mean[norm, 1, rate] - mean[norm, 80, rate] for norm in ("post", "pre") for rate in rates}
print("what warm-up gains, at rates", *rates)
for norm in ("post", "pre"):
    print(f"{norm}-norm", "  ".join(f"{gain[norm, rate]:+.2f}" for rate in rates))
assert abs(gain["post", 5e-4]) < 0.1 and gain["post", 1e-3] > 0.2 and gain["post", 2e-3] > 0.2
assert all(loss > by_frequency for rate in (2e-3, 4e-3) for loss in final_losses("post", 1, rate))
assert all(gain["pre", rate] < 0 for rate in (5e-4, 1e-3, 2e-3)) and abs(gain["pre", 4e-3]) < 0.3
assert all(max(final_losses("pre", 1, rate)) < min(final_losses("post", 80, rate)) for rate in rates)

# %% [markdown]
# **Verdict: holds here, for 240 updates of a narrow model.** At a low rate neither form needs warm-up. From 0.001 on
# post-norm does; without it, at 0.002 and 0.004 all six runs end no better than by word frequencies alone, and at 0.004
# the 80 updates of warm-up are too few as well. Pre-norm is better *without* up to 0.002, having made more large steps
# in the same time; at 0.004 it is no longer, and the seeds of the two overlap. So "needs no warm-up" means: tolerates
# higher rates from the first update on, here four times those at which post-norm begins to need it.
#
# This does not show that post-norm loses in the end: with warm-up and patience the paper trained it to its results. Nor
# does it show why Adam, which undoes the size of gradients, does not help. Liu et al. (2020) point to the first steps:
# Adam moves every weight by about the rate, whatever its gradient, and a post-norm stack magnifies such a change.

# %% [markdown]
# ## Since 2017
#
# **Pre-norm** is what most models since GPT-2 do. **RMSNorm** (Zhang and Sennrich 2019) leaves out the mean and the
# bias: x / √(mean of x² + ε) · γ. Dividing is what keeps the stream's size in hand; subtracting the mean turned out
# to be dispensable, and its work is saved. T5, Llama and many others have it.
#
# ### Exercise 5.6 · RMSNorm (optional)
#
# Difficulty 2 · 10 minutes · 1 point.

# %%
# Exercise 5.6: RMSNorm
class RMSNorm(nn.Module):
    """x / √(mean of x² + ε) · gain, over the last axis (Zhang and Sennrich 2019)."""

    def __init__(self, d_model, epsilon=1e-5):
        super().__init__()
        ### BEGIN SOLUTION
        self.epsilon = epsilon
        self.gain = nn.Parameter(torch.ones(d_model))
        ### END SOLUTION

    def forward(self, x):
        """x: (..., d_model). Returns the same shape."""
        ### BEGIN SOLUTION
        mean_square = x.square().mean(dim=-1, keepdim=True)
        return x / (mean_square + self.epsilon).sqrt() * self.gain
        ### END SOLUTION


# %%
check("5.6", RMSNorm)

# %%
hint("5.6")

# %% [markdown]
# Of a position whose mean is 0 both norms make the same. They part where it is not: a shift of all features, which
# layer norm takes away, stays.

# %%
torch.manual_seed(6)
x = torch.randn(4, 64)
x = x - x.mean(-1, keepdim=True)
assert torch.allclose(RMSNorm(64)(x), LayerNorm(64)(x), atol=1e-6)
means = [norm(64)(x + 2).mean().abs() for norm in (LayerNorm, RMSNorm)]
print("mean after a shift by 2: {:.2f} behind layer norm, {:.2f} behind RMSNorm".format(*means))
assert torch.allclose(RMSNorm(64)(3 * x), RMSNorm(64)(x), atol=1e-4)

# %% [markdown]
# **SwiGLU** (Shazeer 2020) replaces the ReLU by a product. One matrix makes candidates, x V; a second makes a gate
# for each of them, SiLU(x W), where SiLU(z) = z · sigmoid(z) is a ReLU with a rounded corner
# (`torch.nn.functional.silu`); the two are multiplied number by number, and W_2 brings the product back. There are no
# biases:
#
# > (SiLU(x W) ⊙ x V) W_2
#
# Three matrices in place of two. So that the count stays that of Eq. 2, the inside is made narrower: 3 · d_model · w =
# 2 · d_model · d_ff, so w = 2/3 · d_ff, rounded down.
#
# ### Exercise 5.7 · SwiGLU (optional)
#
# Difficulty 3 · 15 minutes · 2 points.
#
# The constructor gets the d_ff of Eq. 2 and makes the inside `2 * d_ff // 3` wide. Call the layers `gate` (W),
# `inner` (V) and `outer` (W_2).

# %%
# Exercise 5.7: SwiGLU
class SwiGLU(nn.Module):
    """(SiLU(x W) ⊙ x V) W_2 without biases, with as many parameters as Eq. 2 with d_ff (Shazeer 2020)."""

    def __init__(self, d_model, d_ff):
        super().__init__()
        ### BEGIN SOLUTION
        width = 2 * d_ff // 3  # three matrices of two thirds of the width
        self.gate = nn.Linear(d_model, width, bias=False)
        self.inner = nn.Linear(d_model, width, bias=False)
        self.outer = nn.Linear(width, d_model, bias=False)
        ### END SOLUTION

    def forward(self, x):
        """x: (..., d_model). Returns the same shape."""
        ### BEGIN SOLUTION
        return self.outer(F.silu(self.gate(x)) * self.inner(x))
        ### END SOLUTION


# %%
check("5.7", SwiGLU)

# %%
hint("5.7")

# %%
count = sum(parameter.numel() for parameter in SwiGLU(512, 2048).parameters())
print(f"SwiGLU {count:,} parameters, Eq. 2 {feed_forward:,}: {count / feed_forward - 1:+.2%}")
assert abs(count / feed_forward - 1) < 0.01

# %% [markdown]
# Both fit into the same model as a part: `Parts(layer_norm=RMSNorm, feed_forward=SwiGLU)`. Try them with
# `train_briefly` if you have a minute.

# %% [markdown]
# ## Recap
#
# * Layer norm takes one position at a time: minus its mean, divided by √(biased variance + ε), times gain, plus bias.
#   Batch norm would let padding and neighbours in.
# * Its gradient sums to zero, stands at right angles to x, and is divided by σ.
# * The feed-forward network works on each position alone, is two convolutions of width 1, and holds two thirds of an
#   encoder layer's parameters.
# * A residual connection adds; dropout goes on what is added, never on the sum. Post-norm normalises the stream,
#   pre-norm what is read from it.
# * Pre-norm carries the gradient undiminished and trains without warm-up at rates at which post-norm then learns
#   nothing but word frequencies.
#
# Next: chapter 06 puts the layers together. To read on: Ba, Kiros and Hinton (2016), "Layer Normalization"; Xiong et
# al. (2020), "On Layer Normalization in the Transformer Architecture"; Geva et al. (2021), "Transformer Feed-Forward
# Layers Are Key-Value Memories".
