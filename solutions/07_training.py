# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 07 · Training (§5)
#
# **Where we are.** Chapter 06 put the whole model together. Its weights are random still. Today it learns to
# translate: from what is printed here, and from modules that you wrote.
#
# ![Figure 1, all of it lit](../assets/figure1_07.svg)
#
# After this chapter you can
#
# * cut a corpus into batches by tokens, and say what padding costs;
# * write the smoothed loss, the learning rate of Eq. 3, an update, and an update from several batches;
# * check a model before a long run, and watch it while it runs;
# * say what breaks in 16 bits, and what loss scaling does about it;
# * say what warm-up and label smoothing were worth here, with numbers.
#
# About 150 minutes, six exercises (one of them optional), 12 points and 1 for the optional one.

# %% tags=["setup"]
# The set-up cell is written by the build.

# %% [markdown]
# ## The idea
#
# Training repeats one thing: take a batch of sentence pairs, let the model say every next word, measure how wrong it
# was, and move each weight a little in the direction that makes it less wrong.
#
# > **Paper (§5).** Batches of about 25 000 source and 25 000 target tokens, sentences of like length together. Adam
# > with β₁ = 0.9, β₂ = 0.98, ε = 10⁻⁹. A learning rate that rises over 4000 updates and then falls. Dropout of 0.1 on
# > every sub-layer's output and on the sum of embedding and position; label smoothing of 0.1. The base model took
# > 100 000 updates.
#
# | symbol | in code | meaning |
# |---|---|---|
# | L | `loss` | mean of −log p over the real tokens, plain or smoothed, in **nats**: the unit of the natural logarithm |
# | e^L | | **perplexity**, of the plain loss: among how many equally likely words the model hesitates |
# | BLEU | `bleu` | how far translations agree with the references, from 0 to 100; chapter 08 builds it |
# | V | `V` | how many words the vocabulary has |
# | ε_ls | `smoothing` | the share of the target that is spread over the whole vocabulary |
# | lrate | `rate` | the learning rate of one update |
# | β₁, β₂ | `betas` | how long Adam remembers gradients, and their squares |
# | P_drop | `dropout` | the share of numbers that dropout sets to zero |
#
# An **update** is one change of the weights. (The paper calls it a step.)

# %% [markdown]
# ## Predict
#
# Four questions, to be answered before anything is run: put the letter of your answer behind the number, as in
# `predict("7.a", "b")`.

# %%
predict("7.a")

# %%
predict("7.b")

# %%
predict("7.c")

# %%
predict("7.d")

# %% [markdown]
# ## Batches by tokens, and what padding costs
#
# A batch is a rectangle; sentences are not of one length. What is left is filled with padding, which is computed like
# everything else and then thrown away. So sentences of like length go together, and a batch is full when it holds so
# many *tokens*: many short sentences or few long ones. The course's `TokenBatches` does both. Beside it, batches of
# sentences drawn at random.

# %%
from utils.text import TokenBatches, learn_tokeniser, load_corpus

corpus = load_corpus()
tokeniser = learn_tokeniser("words", [text for pair in corpus.split("train") for text in pair], 10_000)
batches = TokenBatches(corpus.split("train"), tokeniser, token_budget=1024, seed=1)
by_length = list(batches.epoch(0))
shuffled = torch.randperm(len(batches), generator=torch.Generator().manual_seed(1))
at_random = [batches.make(rows) for rows in shuffled.split(round(len(batches) / len(by_length)))]
padding = {}
for name, epoch in (("by length", by_length), ("at random", at_random)):
    held = sum(batch.source.numel() + batch.target_output.numel() for batch in epoch)
    real = sum(int((batch.source != 0).sum()) + batch.target_tokens for batch in epoch)
    padding[name] = 1 - real / held
    print(f"{name}: {len(epoch)} batches, {held:,} places, {real:,} tokens, {padding[name]:.1%} padding")

# %% [markdown]
# Does a place filled with padding cost as much as a word? We time forward and backward passes of 20 batches of each
# kind, in turns, on one thread, and count real target tokens a second. The model is small and pre-norm (chapter 05), so
# that it learns in seconds; it is trained further down. `token_budget=1024` above means: at most 1024 places in the
# target, padding included.

# %% tags=["machine"]
import time

from utils.training.loss import smoothed_cross_entropy as course_loss
from utils.transformer import Transformer, TransformerConfig

config = TransformerConfig(
    tokeniser.vocab_size, layers=2, d_model=64, d_ff=128, heads=4, dropout=0.05, norm="pre"
)
torch.manual_seed(7)
timed, threads = Transformer(config), torch.get_num_threads()
torch.set_num_threads(1)


def tokens_per_second(some):
    """Real target tokens a second of processor time, forward and backward."""
    start, tokens = time.process_time(), 0
    for batch in some:
        course_loss(timed(batch.source, batch.target_input), batch.target_output).backward()
        tokens += batch.target_tokens
    return tokens / (time.process_time() - start)


tokens_per_second(by_length[:3])  # the first calls are slow
turns = [(tokens_per_second(by_length[i::20][:5]), tokens_per_second(at_random[i::20][:5])) for i in range(4)]
torch.set_num_threads(threads)
speed = {name: sum(found) / len(found) for name, found in zip(padding, zip(*turns))}
for name, number in speed.items():
    print(f"{name}: {number:7,.0f} real target tokens a second")
factor = (1 - padding["by length"]) / (1 - padding["at random"])
print(f"by length: {speed['by length'] / speed['at random']:.2f} times as many")
print(f"it would be {factor:.2f} times as many if padding cost as much as words")

# %%
from utils.plots.style import NotebookFigure

longest = torch.tensor([max(batch.target_output.size(1), batch.source.size(1)) for batch in by_length])
assert padding["by length"] < 0.1 < 0.25 < padding["at random"]
print(f"by length, the shortest batch is {int(longest.min())} tokens wide, the longest {int(longest.max())}")
sizes = [len(batch.source) for batch in by_length]
print(f"the batch with most sentences has {max(sizes)}, the one with fewest {min(sizes)}")

# %% [markdown]
# The loss above did not have to be slowed by padding, since `course_loss` leaves padding out before its softmax; the
# layers cannot: so padding costs somewhat less than words, and far from nothing. How large the share is depends on how
# much lengths differ.
#
# > **Note.** Batches by length are not random: one may hold nothing but short sentences. Their *order* is drawn anew in
# > each epoch, and with it which sentences of one length meet.

# %% [markdown]
# ## The loss, by hand
#
# The model gives probabilities p over V words, and the right word is known. Plain cross-entropy is −ln p(right). It is
# smallest when p(right) = 1, which a softmax reaches only with logits that are infinitely far apart: so the model is
# driven to be ever surer.
#
# > **Paper (§5.4).** Label smoothing of ε_ls = 0.1 hurts perplexity, as the model learns to be more unsure, but
# > improves accuracy and BLEU.
#
# Smoothing (Szegedy et al. 2016) asks for less: a share ε of the target is spread evenly over all V words. The target
# becomes a distribution q: the right word has 1 − ε + ε/V, every other ε/V. The loss is −Σ q ln p. With four words,
# counted from 0, of which number 2 is right:

# %%
import math

p, epsilon = [0.1, 0.2, 0.6, 0.1], 0.1
q = [epsilon / 4, epsilon / 4, 1 - epsilon + epsilon / 4, epsilon / 4]
print("q:", [round(number, 3) for number in q], " sum:", round(sum(q), 6))
print("plain:   ", round(-math.log(p[2]), 4))
print("smoothed:", round(-sum(a * math.log(b) for a, b in zip(q, p)), 4))

# %% [markdown]
# Now a loop over all positions of a batch. A position whose target is padding has no right word: it counts for nothing,
# and the mean is over the others. (The vocabulary has an entry for padding, too. It gets its ε/V like every entry: two
# different things.)

# %%
def loss_by_loop(logits, targets, smoothing):
    """logits: (batch, length, V); targets: (batch, length), 0 is padding. Returns a number, in nats per token."""
    V, losses = logits.size(-1), []
    for sentence_logits, sentence in zip(logits, targets):
        for scores, right in zip(sentence_logits, sentence):
            if right == 0:
                continue
            log_p = scores.log_softmax(dim=-1)
            q = [smoothing / V + (1 - smoothing) * (v == right) for v in range(V)]
            losses.append(-sum(share * log for share, log in zip(q, log_p)))
    return sum(losses) / len(losses)


# %% [markdown]
# ### Exercise 7.1 · The smoothed loss
#
# Difficulty 3 · 25 minutes · 3 points.
#
# The same for a batch at once, without the loop over the vocabulary. Take Σ q log p apart: the part ε/V is the same for
# all words, so it is ε times a mean. `logits[real]` with a boolean `real` picks out positions; `gather(1, index)` picks
# one entry out of each row. `log_softmax` gives ln p without ever forming a p that is too small for its format. Where
# all is padding, the loss shall be 0 and not NaN. PyTorch's finished cross-entropy is not accepted here.

# %%
from utils.transformer import PADDING


# %%
# Exercise 7.1: the smoothed loss
def smoothed_cross_entropy(logits, targets, smoothing=0.1, padding_id=PADDING):
    """Mean over real tokens of −Σ_v q(v) log p(v), q = (1 − ε) one-hot + ε / V (§5.4).

    logits: (..., vocab_size); targets: (...) ids. Returns a scalar, in nats per token; zero without a real token,
    and so are its gradients then.
    """
    ### BEGIN SOLUTION
    real = targets != padding_id
    log_probabilities = logits[real].log_softmax(dim=-1)  # (tokens, vocab_size)
    right = log_probabilities.gather(1, targets[real][:, None]).squeeze(1)
    loss = -(1 - smoothing) * right - smoothing * log_probabilities.mean(dim=-1)
    return loss.sum() / real.sum().clamp(min=1)
    ### END SOLUTION


# %%
check("7.1", smoothed_cross_entropy)

# %%
hint("7.1")

# %% [markdown]
# Three ways to one number: yours, the loop, and PyTorch's own, which spreads ε over all V entries as well.

# %%
torch.manual_seed(1)
logits, targets = torch.randn(2, 4, 6), torch.tensor([[2, 5, 3, 1], [4, 2, 0, 0]])
for smoothing in (0.0, 0.1, 0.4):
    mine = smoothed_cross_entropy(logits, targets, smoothing)
    looped = loss_by_loop(logits, targets, smoothing)
    flat = logits.flatten(0, 1), targets.flatten()
    torchs = torch.nn.functional.cross_entropy(*flat, label_smoothing=smoothing, ignore_index=0)
    assert torch.allclose(mine, looped) and torch.allclose(mine, torchs)
    print(f"ε = {smoothing}: {mine:.4f} in all three")

# %% [markdown]
# > **Note.** Codes differ. Some give nothing to the padding entry, some spread ε over the V − 1 wrong words. Compare
# > losses within one code only.
#
# How sure may a model be under smoothing? The loss is smallest at p = q. For our vocabulary that asks for a certain
# distance between the right logit and all others, and it is a finite one:

# %%
V = tokeniser.vocab_size
right, wrong = 0.9 + 0.1 / V, 0.1 / V
print(f"V = {V}: p(right) = {right:.4f}, every other {wrong:.6f}; logits {math.log(right / wrong):.2f} apart")
floor = -right * math.log(right) - (V - 1) * wrong * math.log(wrong)
print(f"the smoothed loss cannot fall below {floor:.3f} nats")

# %% [markdown]
# ## Adam, and why β₂ = 0.98
#
# Adam keeps two running means for each weight: m of its gradients (with β₁) and v of their squares (with β₂), both
# corrected for having started at zero. The weight moves by rate · m̂ / (√v̂ + ε). So at the first update every weight
# that has a gradient moves by the rate, however large or small that gradient is:

# %%
weights = torch.zeros(3, requires_grad=True)
adam = torch.optim.Adam([weights], lr=0.01, betas=(0.9, 0.98), eps=1e-9)
weights.grad = torch.tensor([0.001, 1.0, -1000.0])
adam.step()
print("gradients 0.001, 1, −1000 → steps", [round(step, 5) for step in weights.tolist()])

# %% [markdown]
# 1/(1 − β₂) is how many updates v remembers, about: 50 with the paper's 0.98, 1000 with the usual 0.999. It matters
# when gradients change in size. By hand: a weight whose gradient is 1, from update 401 on 10, from update 801 on
# 1 again. How long is its step, in units of the rate?

# %%
def adam_steps(gradients, beta1=0.9, beta2=0.98):
    """Adam's steps for one weight, in units of the learning rate."""
    m = v = 0.0
    steps = []
    for n, gradient in enumerate(gradients, start=1):
        m = beta1 * m + (1 - beta1) * gradient
        v = beta2 * v + (1 - beta2) * gradient**2
        steps.append(m / (1 - beta1**n) / math.sqrt(v / (1 - beta2**n)))
    return steps


gradients = [1.0] * 400 + [10.0] * 400 + [1.0] * 600
steps = {beta2: adam_steps(gradients, beta2=beta2) for beta2 in (0.98, 0.999)}
for beta2, lengths in steps.items():
    print(f"β₂ = {beta2}: longest step {max(lengths):.2f}; 300 updates after the fall {lengths[1099]:.2f}")
assert max(steps[0.98]) < 2 < 3 < max(steps[0.999]) and steps[0.98][1099] > 0.8 > 0.3 > steps[0.999][1099]

# %%
figure = NotebookFigure(figsize=(9, 2.8), layout="constrained")
axes = figure.subplots()
for (beta2, lengths), colour in zip(steps.items(), ("#0072b2", "#d55e00")):
    axes.plot(range(1, 1401), lengths, color=colour)
    axes.text(1406, lengths[-1], f"β₂ = {beta2}", color=colour, va="center")
    print(f"β₂ = {beta2}: {sum(length > 1.5 for length in lengths)} steps longer than 1.5 rates")
for start, size in ((0, 1), (400, 10), (800, 1)):
    axes.axvline(start, color="#d9d9d9", linewidth=1, zorder=0)
    axes.text(start + 8, 3.9, f"gradient {size}", color="#5f5f5f")
axes.set(xlabel="update", ylabel="step (in learning rates)", xlim=(0, 1570), ylim=(0, 4.3))
axes.set_title("A long memory oversteps as gradients grow, and creeps as they shrink", loc="left", fontweight="bold")
figure

# %% [markdown]
# What is that worth in a training? A **recorded run**: 600 updates on the embedded corpus with each of the two, three
# seeds each.

# %%
import json
from pathlib import Path

RUNS = Path(plots.__file__).parents[2] / "assets/runs"
again = False  # True: trains all six anew; for the record it took about 3 minutes of one CPU core
record = json.loads((RUNS / "07-betas.json").read_text(encoding="utf-8"))
trainings = record["results"]
if again:
    from utils.experiments.betas import betas_experiment

    trainings = betas_experiment()
print(f"recorded by: {record['command']}; seeds {record['seeds']}, {record['settings']['updates']} updates")
for beta2 in (0.98, 0.999):
    found = [one for one in trainings if one["beta2"] == beta2]
    perplexities = "  ".join(f"{one['perplexity']:.2f}" for one in found)
    print(f"β₂ = {beta2}: perplexity {perplexities}   BLEU", *(f"{one['bleu']:.1f}" for one in found))
by_seed = {(one["beta2"], one["seed"]): one["perplexity"] for one in trainings}
assert all(by_seed[0.999, seed] < by_seed[0.98, seed] for seed in (1, 2, 3))

# %% [markdown]
# **Verdict: the paper's β₂ is no gain here.** The usual 0.999 ends with the lower perplexity in every seed, by a
# little. The long steps above may be rare here: these trainings have pre-norm, a warm-up, and gradients that are scaled
# down where their norm is above 1 (**clipping**). Whether that is the reason, this experiment does not say. The paper
# gives no reason for its choice; its model is post-norm, and it mentions no clipping. Nor are 600 updates long for a
# memory of 1000.
#
# ## The schedule
#
# A step of Adam's is about as long as the rate while a weight's gradients keep sign and size, however large or small
# they are; where their signs change, m̂ is the smaller and so is the step. At first v is an estimate from a handful of
# gradients, and a poor one: one reason to begin with a small rate. (The paper gives none; chapter 05 has another.)
#
# > **Paper (§5.3, Eq. 3).** lrate = d_model^−0.5 · min(step^−0.5, step · warmup^−1.5), with warmup = 4000: a line up,
# > then a fall with the root of the update.
#
# By hand, for d_model = 512: both terms are equal at update 4000, and there the rate is (512 · 4000)^−0.5 = 0.0007. At
# update 1 it is 4000 times smaller.
#
# ### Exercise 7.2 · The schedule
#
# Difficulty 1 · 10 minutes · 2 points.
#
# Updates are counted from 1. PyTorch's own schedulers ask for update 0 as well; there the rate shall be that of
# update 1.

# %%
# Exercise 7.2: the schedule
def paper_schedule(update, d_model, warmup=4000):
    """d_model^−0.5 · min(update^−0.5, update · warmup^−1.5), updates counted from 1 (§5.3, Eq. 3).

    Returns the learning rate, a number. For update 0 it is that of update 1.
    """
    ### BEGIN SOLUTION
    update = max(update, 1)
    return d_model**-0.5 * min(update**-0.5, update * warmup**-1.5)
    ### END SOLUTION


# %%
check("7.2", paper_schedule)

# %%
hint("7.2")

# %%
curves = {
    f"d_model {d_model}, warmup {warmup}": [paper_schedule(n, d_model, warmup) for n in range(1, 20_001)]
    for d_model, warmup in ((512, 1000), (512, 4000), (512, 8000), (1024, 4000))
}
for name, rates in curves.items():
    print(f"{name:26} peak {max(rates):.6f} at update {1 + rates.index(max(rates)):5}, at 20 000 {rates[-1]:.6f}")
plots.schedule_curves(curves, "A shorter warm-up peaks higher; later only the width matters")

# %% [markdown]
# The warm-up sets when the peak comes and how high it is, (d_model · warmup)^−0.5. After its end it changes nothing: from
# update 8000 on the first three curves are one.
#
# > **Note.** For narrow models Eq. 3 asks for much. With d_model = 64 and a warm-up of 100 updates the peak is
# > (64 · 100)^−0.5 = 0.0125. What codes call *the* schedule of the paper therefore often has a factor in front. Ours
# > below will have 0.5.

# %% [markdown]
# ## One update
#
# > **Paper (§5.4).** Dropout falls on the output of each sub-layer, before it is added and normalised, and on the sums
# > of embeddings and positions in both stacks: P_drop = 0.1 in the base model.
#
# Dropout sets a share of numbers to zero and divides the others by 1 − P_drop, so that the mean stays. It does so in
# training mode only. A model that has just translated is in evaluation mode, so every update says `model.train()`.

# %%
torch.manual_seed(0)
dropout, ones = torch.nn.Dropout(0.1), torch.ones(100_000)
dropped = dropout.train()(ones)
print("training:  ", sorted({round(number, 4) for number in dropped.tolist()}), f"mean {dropped.mean():.3f}")
print("evaluation:", sorted(set(dropout.eval()(ones).tolist())))
assert abs(dropped.mean() - 1) < 0.01

# %% [markdown]
# PyTorch *adds* each gradient to what lies in `parameter.grad` already. `optimiser.zero_grad()` empties it,
# `loss.backward()` fills it, `optimiser.step()` reads it and moves the weights. An optimiser keeps its parameters in
# groups, each a dictionary with the rate under "lr": `optimiser.param_groups`.
#
# ### Exercise 7.3 · One training step
#
# Difficulty 2 · 15 minutes · 2 points.
#
# Use your own loss. The number that is returned is that of the loss you differentiate; `.item()` takes it out.

# %%
# Exercise 7.3: one training step
def training_step(model, optimiser, source, decoder_input, wanted, rate, smoothing=0.1):
    """One update of the weights from one batch, in training mode, with the learning rate `rate` (§5.1, §5.3).

    model(source, decoder_input) gives logits (batch, target_len, vocab_size); wanted: (batch, target_len) ids.
    Gradients that were left over play no part. Returns the smoothed loss before the update, a number.
    """
    ### BEGIN SOLUTION
    model.train()
    for group in optimiser.param_groups:
        group["lr"] = rate
    loss = smoothed_cross_entropy(model(source, decoder_input), wanted, smoothing)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.item()
    ### END SOLUTION


# %%
check("7.3", training_step)

# %%
hint("7.3")

# %% [markdown]
# ## Before a long run
#
# Two checks cost seconds and save hours. The model is built from what you passed in chapters 03 to 06; the course's own
# parts stand in for the rest.

# %%
from utils.exercises import parts_from

learners_parts, told = parts_from(strict=False)
print(*told, sep="\n")

# %% [markdown]
# **First: the loss at initialisation.** A model that knows nothing gives every word about 1/V, and its loss is about
# ln V. If it is far above, the logits are too large at the start; if below, the model has seen what it should not.

# %%
def new_model(seed=1):
    """A fresh model of your parts, and the paper's optimiser for it."""
    torch.manual_seed(seed)
    model = Transformer(config, learners_parts)
    return model, torch.optim.Adam(model.parameters(), lr=0.0, betas=(0.9, 0.98), eps=1e-9)


def loss_of(model, batch):
    """The plain cross-entropy of a batch in evaluation mode, in nats per token."""
    with torch.no_grad():
        logits = model.eval()(batch.source, batch.target_input)  # (batch, target_len, V)
        return smoothed_cross_entropy(logits, batch.target_output, 0.0).item()  # not smoothed


model, adam = new_model()
at_start = loss_of(model, by_length[0])
print(f"ln V = {math.log(V):.2f}; the loss at the start is {at_start:.1f}")
assert abs(at_start - math.log(V)) < 1

# %% [markdown]
# **Second: overfit one batch.** Chapter 06 did it with a loop of its own; now it is your step that is tested. The loss
# has to come near the floor that was computed above, below which smoothing does not let it fall.

# %% tags=["machine"]
few = batches.make(torch.arange(32))
one_batch = few.source, few.target_input, few.target_output
losses = [training_step(model, adam, *one_batch, 3e-3 * min(1, n / 20)) for n in range(1, 101)]
print(f"from {losses[0]:.2f} to {losses[-1]:.2f}; the floor is {floor:.2f}")
assert losses[-1] < floor + 0.3 and loss_of(model, few) < 0.3

# %% [markdown]
# If this fails, no longer training will help. Look for: a mask, a shift, a mode, a rate of zero, an optimiser that
# holds another model's parameters.

# %% [markdown]
# ## When the batch does not fit: accumulation
#
# The paper's batches hold 25 000 target tokens; a small GPU has no room for the **graph** of so many: all
# that the forward pass keeps for the backward pass. Gradients add up, so
# a large batch can be had in pieces: forward and backward for each piece, one step at the end. Two things go wrong all
# the time.
#
# **The weights.** The loss of a batch is a *mean* over its real tokens. If two batches have 100 and 900 of them, the
# loss of both together is 0.1 · L₁ + 0.9 · L₂, not the mean of L₁ and L₂. By hand, with losses 5 and 1:

# %%
means, tokens = [5.0, 1.0], [100, 900]
together = sum(mean * count for mean, count in zip(means, tokens)) / sum(tokens)
print(f"all tokens alike: {together:.1f} nats; all batches alike: {sum(means) / 2:.1f} nats")

# %% [markdown]
# **The clock.** The schedule counts updates. With four batches an update, a schedule asked with the number of the batch
# would end its warm-up after a quarter of the updates meant for it.
#
# ### Exercise 7.4 · Gradient accumulation
#
# Difficulty 4 · 30 minutes · 3 points.
#
# Call `backward()` for each batch before the model reads the next: it lets go of that batch's graph. (Adding up the
# losses and calling it once gives the same numbers and needs the memory that you wanted to save.) The *targets* of a
# group may all be looked at beforehand, to count its tokens. Smoothing is 0.1, the default.

# %%
# Exercise 7.4: gradient accumulation
def accumulated_updates(model, optimiser, batches, accumulate, d_model, warmup):
    """One update for every `accumulate` batches, as if these were one large batch; ε = 0.1 (§5.1, §5.3).

    batches: (source, decoder_input, wanted) each, all read in training mode. Updates are counted from 1, and Eq. 3
    gives each its rate. Batches left over at the end make no update. A group without a real token makes one like any
    other, with zero as loss and gradient. Returns a list: of each update the mean loss of its real tokens, a number.
    """
    ### BEGIN SOLUTION
    model.train()
    losses = []
    for start in range(0, len(batches) - accumulate + 1, accumulate):
        group = batches[start : start + accumulate]
        all_tokens = sum(int((wanted != PADDING).sum()) for _, _, wanted in group)
        optimiser.zero_grad()
        losses.append(0.0)
        for source, decoder_input, wanted in group:
            share = int((wanted != PADDING).sum()) / max(all_tokens, 1)
            loss = share * smoothed_cross_entropy(model(source, decoder_input), wanted)
            loss.backward()  # adds to the gradients, and lets go of this batch's graph
            losses[-1] += loss.item()
        for parameters in optimiser.param_groups:
            parameters["lr"] = paper_schedule(len(losses), d_model, warmup)
        optimiser.step()
    return losses
    ### END SOLUTION


# %%
check("7.4", accumulated_updates)

# %%
hint("7.4")

# %% [markdown]
# Four quarters of a batch against the whole, with dropout off (each piece would draw its own). The gradients of all
# weights agree up to rounding; with the wrong shares they do not.

# %%
def gradients_of(pieces, shares):
    """All gradients, one behind the other, of Σ share · loss over the pieces."""
    torch.manual_seed(1)
    model = Transformer(config, learners_parts).eval()
    for rows, share in zip(pieces, shares):
        piece = batches.make(rows)
        (share * smoothed_cross_entropy(model(piece.source, piece.target_input), piece.target_output)).backward()
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])


order = batches.target_tokens[:64].argsort()  # short sentences first: quarters of different sizes
quarters = order.split(16)
counts = [int(batches.target_tokens[rows].sum()) for rows in quarters]
whole = gradients_of([order], [1.0])
for name, shares in (("by tokens", [count / sum(counts) for count in counts]), ("alike", [0.25] * 4)):
    off = (gradients_of(quarters, shares) - whole).norm() / whole.norm()
    print(f"{counts} tokens, weighted {name}: the gradient is {'right' if off < 1e-4 else f'off by {off:.0%}'}")
    assert (off < 1e-4) == (name == "by tokens")

# %% [markdown]
# ## Training
#
# Everything is there: batches, your loss, your schedule, your step, your modules. 400 updates take about half a minute
# on one CPU core that has nothing else to do. The picture is drawn anew every few seconds. Under the curve stand two
# sentences that the model has never seen, as it translates them on the way: the likeliest word each time, which is what
# `beam=1` says (chapter 08).

# %%
from utils.plots.live import LiveTraining
from utils.translation.bleu import corpus_bleu
from utils.translation.translate import translate

updates = 400
samples = corpus.split("valid")[2:4]
valid = list(TokenBatches(corpus.split("valid"), tokeniser, 4096).epoch(0, shuffle=False))


def valid_loss(model):
    """Plain cross-entropy on the validation split, in nats per token, and the perplexity that belongs to it."""
    total = sum(loss_of(model, batch) * batch.target_tokens for batch in valid)
    loss = total / sum(batch.target_tokens for batch in valid)
    return loss, math.exp(loss)


def stream():
    """Batches without an end, epoch after epoch."""
    epoch = 0
    while True:
        yield from batches.epoch(epoch)
        epoch += 1


# %% tags=["machine"]
model, adam = new_model()
live, checkpoints, valid_losses = LiveTraining(updates, samples), [], []
for update, batch in zip(range(1, updates + 1), stream()):
    rate = 0.5 * paper_schedule(update, 64, 100)  # width, warm-up
    one_batch = batch.source, batch.target_input, batch.target_output
    loss = training_step(model, adam, *one_batch, rate)
    if update in (50, 100, 200, 400):
        live.wrote(update, translate(model.eval(), tokeniser, [source for source, _ in samples], beam=1))
    if update % 100 == 0:
        valid_losses.append(valid_loss(model)[0])
        live.valid(update, valid_losses[-1])
    if update > 350 and update % 10 == 0:
        checkpoints.append({name: weight.clone() for name, weight in model.state_dict().items()})
    live.train(update, float(loss), batch.target_tokens)
live.finish()

# %% [markdown]
# The training loss lies above the validation loss: it is smoothed, and measured with dropout. What does the number mean
# in words? BLEU compares whole translations with the reference, from 0 to 100 (chapter 08 builds it); and a look at
# what it writes says most.

# %% tags=["machine"]
test = corpus.split("test")[:200]
said = translate(model.eval(), tokeniser, [english for english, _ in test], beam=1)
bleu = corpus_bleu(said, [german for _, german in test]).score
loss, perplexity = valid_loss(model)
print(f"validation: {loss:.2f} nats a word, perplexity {perplexity:.1f}; BLEU {bleu:.0f} on {len(test)} test sentences")
for (english, german), sentence in list(zip(test, said))[:3]:
    print(f"\n{english}\n  wanted: {german}\n  said:   {sentence[:90]}{' …' * (len(sentence) > 90)}")
assert valid_losses[-1] < valid_losses[0] / 2 and bleu > 20

# %% [markdown]
# `python -m utils train` trains a wider model for a few minutes. What it reaches is recorded:

# %%
record = json.loads((RUNS / "tiny-cpu.json").read_text(encoding="utf-8"))
score = next(one["scores"]["bleu"] for one in record["evaluations"] if one["test_set"] == "embedded test")
print(f"{record['command']}: {record['settings']['updates']:,} updates, BLEU {score:.1f} (all of test)")

# %% [markdown]
# ## Averaging checkpoints
#
# The last updates shake the weights about: each is one batch's opinion. The mean of several checkpoints lies nearer to
# the middle of what they circle around.
#
# > **Paper (§6.1).** For the base model the last 5 checkpoints, written 10 minutes apart, were averaged; for the big
# > one the last 20.
#
# ### Exercise 7.5 · Averaging checkpoints
#
# Difficulty 2 · 15 minutes · 2 points.
#
# A checkpoint is a dictionary, name of a weight → tensor, as `model.state_dict()` gives it. Add up in float64
# (`tensor.double()`): weights may have 16 bits, and sums of those overflow or are rounded. The mean comes back in the
# format in which each weight came, as new tensors.

# %%
# Exercise 7.5: averaging checkpoints
def average_states(states):
    """The mean of several models' weights, name by name, taken in float64 (§6.1).

    states: one dictionary of tensors a checkpoint, all with the same names and shapes. Dtypes stay as they are.
    What is returned are new tensors.
    """
    ### BEGIN SOLUTION
    total, count = {}, 0
    for state in states:
        count += 1
        for name, tensor in state.items():
            total[name] = total.get(name, 0) + tensor.double()
    return {name: (tensor / count).to(state[name].dtype) for name, tensor in total.items()}
    ### END SOLUTION


# %%
check("7.5", average_states)

# %%
hint("7.5")

# %% [markdown]
# Five checkpoints of the last 50 updates, each alone and their mean:

# %% tags=["machine"]
averaged, _ = new_model()
alone = []
for state in checkpoints:
    averaged.load_state_dict(state)
    alone.append(valid_loss(averaged)[0])
averaged.load_state_dict(average_states(checkpoints))
mean_loss = valid_loss(averaged)[0]
print("alone:", "  ".join(f"{loss:.3f}" for loss in alone), f"   averaged: {mean_loss:.3f}")
assert mean_loss < min(alone)

# %% [markdown]
# The mean beats each of the five. Checkpoints have to lie far enough apart to
# differ, and close enough that the oldest is not much worse than the last.
#
# ## When to stop
#
# The paper trains for a number of updates set beforehand. With less data the validation loss comes to a point from
# which it rises again, while the training loss still falls: the model begins to learn its training sentences by heart.
# **Early stopping** keeps the best checkpoint, and ends when `patience` validations in a row have not beaten it.
#
# ### Exercise 7.6 · Early stopping (optional)
#
# Difficulty 2 · 15 minutes · 1 point.
#
# A gain is a loss *below* the best so far, and before the first validation the best so far is infinite. A loss that is
# NaN is never a gain, not even the first (a comparison with NaN is False). What comes after the stop was never trained, so it cannot be the best.

# %%
# Exercise 7.6: early stopping
def early_stop(losses, patience):
    """Which validation was the best, and after which the training ends, both counted from 0.

    It ends after `patience` validations in a row without a loss below the best so far, or with the last one.
    patience = 0: it always goes on to the last one. A loss that is NaN is never better. Returns (best, stop).
    """
    ### BEGIN SOLUTION
    best_loss, best, without_gain = float("inf"), 0, 0
    for index, loss in enumerate(losses):
        if loss < best_loss:
            best_loss, best, without_gain = loss, index, 0
        else:
            without_gain += 1
        if 0 < patience <= without_gain:
            return best, index
    return best, len(losses) - 1
    ### END SOLUTION


# %%
check("7.6", early_stop)

# %%
hint("7.6")

# %%
noisy = [3.0, 2.4, 2.1, 2.2, 2.0, 2.05, 2.03, 1.9, 2.1, 2.2, 2.3]
for patience in (1, 2, 3):
    best, stop = early_stop(noisy, patience)
    print(f"patience {patience}: stops after validation {stop}, keeps {best} with a loss of {noisy[best]}")

# %% [markdown]
# With little patience a lucky validation ends the training: a patience of 2 stops right before the 1.9.

# %% [markdown]
# ## Sixteen bits, and what breaks in them
#
# GPUs are built to multiply 16-bit matrices several times as fast as 32-bit ones, and such numbers take half the
# memory. There are two formats. **float16** spends its bits on precision and has little range; **bfloat16** has
# float32's range and eight significant bits. No GPU is needed to see what breaks.

# %%
for dtype in (torch.float16, torch.bfloat16, torch.float32):
    limits = torch.finfo(dtype)
    tiny = limits.tiny * limits.eps  # the smallest number above 0 that the format can say at all
    print(f"{str(dtype)[6:]:9} largest {limits.max:8.2e}   smallest {tiny:8.2e}   next to 1: 1 + {limits.eps:.1e}")

# %% [markdown]
# **One: masks.** −10⁹ does not exist in float16. Filled in as a score it stops with an error; cast, it becomes −∞, and
# a row in which all is masked becomes NaN, which −10⁹ had hidden in 32 bits.

# %%
scores, hidden = torch.zeros(3), torch.tensor([True, True, True])
try:
    scores.half().masked_fill(hidden, -1e9)
except RuntimeError as error:
    print("masked_fill:", type(error).__name__)
print("float32:", [round(w, 3) for w in scores.masked_fill(hidden, -1e9).softmax(0).tolist()])
print("cast to float16:", scores.masked_fill(hidden, -1e9).half().softmax(0).tolist())

# %% [markdown]
# **Two: small gradients.** The gradient of the logits is (p − q) / tokens: where p is small, tiny. We take it from the
# model that you have just trained, and count the numbers that float16 rounds to zero. Multiplying the loss by a factor
# multiplies every gradient; before the step they are divided again, in 32 bits. That is **loss scaling**.

# %% tags=["machine"]
batch = by_length[0]
logits = model.train()(batch.source, batch.target_input).detach().requires_grad_()  # (batch, target_len, V)
smoothed_cross_entropy(logits, batch.target_output, 0.0).backward()
gradient = logits.grad[batch.target_output != 0]  # (tokens, V)
powers = list(range(0, 33, 2))
lost, infinite = [], []
for power in powers:
    scaled = (gradient * 2.0**power).half()
    lost.append(100 * ((scaled == 0) & (gradient != 0)).float().mean().item())
    infinite.append(100 * scaled.isinf().any(dim=-1).float().mean().item())
for power in (0, 10, 16, 32):
    at = powers.index(power)
    print(f"loss × 2^{power:<2}: {lost[at]:5.1f} % of gradients lost, {infinite[at]:5.1f} % of tokens overflow")
print(f"bfloat16, not scaled: {100 * ((gradient.bfloat16() == 0) & (gradient != 0)).float().mean():.1f} % lost")
assert lost[0] > 30 > 10 > lost[powers.index(16)] and infinite[powers.index(16)] == 0 < infinite[-1]

# %%
figure = NotebookFigure(figsize=(9, 2.8), layout="constrained")
axes = figure.subplots()
axes.plot(powers, lost, "o-", color="#0072b2", markersize=4)
axes.plot(powers, infinite, "s-", color="#d55e00", markersize=4)
axes.text(0.6, 64, "gradients of logits rounded to zero", color="#0072b2")
axes.text(26.3, 78, "tokens with\nan infinite gradient", color="#d55e00", ha="right")
axes.set(xlabel="loss × 2 to the power of", ylabel="share (%)", xticks=powers, ylim=(-3, 103))
axes.set_title("Too small a scale loses gradients, too large a one overflows", loc="left", fontweight="bold")
print("one scale saves both:", any(low < 10 and high == 0 for low, high in zip(lost, infinite)))
figure

# %% [markdown]
# Nobody knows the best factor beforehand, and it changes. `torch.amp.GradScaler` starts with 2^16, halves it when
# something overflows (and leaves that update out), and doubles it after 2000 updates without. The course's trainer
# does that in float16; bfloat16 needs no scaling.
#
# **Three: small steps.** A weight in bfloat16 has neighbours 1/128 to 1/256 of its size apart. A step that is smaller
# than half of that is lost, and the next one too. We let every weight of the trained model take a step of 10⁻⁴:

# %% tags=["machine"]
weights = torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
stuck = {}
for dtype in (torch.float32, torch.float16, torch.bfloat16):
    before = weights.to(dtype)
    stuck[dtype] = ((before + torch.tensor(1e-4, dtype=dtype)) == before).float().mean().item()
    print(f"{str(dtype)[6:]:9} {stuck[dtype]:6.1%} of the weights do not move")
assert stuck[torch.bfloat16] > 0.5 and stuck[torch.float32] < 0.01

# %% [markdown]
# So **mixed** precision: weights and Adam's two means stay in 32 bits, matrix products run in 16, softmax, norms and
# the loss in 32. `torch.autocast` chooses by operation; `python -m utils train --precision bf16` does it on a GPU.

# %% [markdown]
# ## Test the claim: how high, and after how long a warm-up?
#
# Chapter 05 compared warm-up and none, at constant rates: post-norm needs it from a rate of 0.001 on. Eq. 3 ties two
# things together, the length of the warm-up and the height of the peak. Which of the two does the good? We untie
# them: the same post-norm model of six layers, peaks and warm-ups chosen freely, then Eq. 3's fall with the root of the
# update. 240 updates, three seeds, **recorded**.

# %%
again = False  # True: trains all 18 anew; for the record it took about 5 minutes of one CPU core
record = json.loads((RUNS / "07-peaks.json").read_text(encoding="utf-8"))
trainings = record["results"]
if again:
    from utils.experiments.peaks import peaks_experiment

    trainings = peaks_experiment()
print(f"recorded by: {record['command']}; seeds {record['seeds']}, {record['settings']['updates']} updates")
grid = {}
for one in trainings:
    grid.setdefault((one["warm_up"], one["peak"]), []).append(one["valid"])
for (warm_up, peak), losses in grid.items():
    slope = peak / warm_up
    print(f"warm-up {warm_up:3}, peak {peak:g}, {slope:.1e} an update: loss", *(f"{loss:.2f}" for loss in losses))

# %% [markdown]
# To compare with: a model that knows nothing but how frequent each word is in the training text. Its loss is computed
# from counts.

# %%
from utils.transformer import BEGIN

trained_on = batches.target.flat.long()
counts = torch.bincount(trained_on[trained_on != BEGIN], minlength=V) + 1e-3  # a word never met is not impossible
met = torch.cat([batch.target_output[batch.target_output != 0] for batch in valid])
by_frequency = -(counts / counts.sum()).log()[met].mean().item()
print(f"by word frequencies alone: {by_frequency:.2f} nats a word")
short, long = ([grid[warm_up, peak] for peak in (1e-3, 2e-3, 4e-3)] for warm_up in (20, 160))
better = sum(b < a for ones, others in zip(short, long) for a, b in zip(ones, others))
lost = [sum(loss > by_frequency for losses in kind for loss in losses) for kind in (short, long)]
print(f"no better than that: {lost[0]} of 9 runs with 20 updates of warm-up, {lost[1]} of 9 with 160")
print(f"160 beats 20 in {better} of 9 pairs of the same seed and peak")
assert lost == [8, 1] and better == 8

# %%
figure = NotebookFigure(figsize=(9, 3), layout="constrained")
axes = figure.subplots()
for warm_up, colour in ((20, "#d55e00"), (160, "#0072b2")):
    peaks = sorted(peak for length, peak in grid if length == warm_up)
    means = [sum(grid[warm_up, peak]) / 3 for peak in peaks]
    axes.plot(peaks, means, "-", color=colour)
    for peak in peaks:
        axes.plot([peak] * 3, grid[warm_up, peak], "o", color=colour, markersize=4, alpha=0.7)
    axes.annotate(f"warm-up of {warm_up}", (peaks[-1], means[-1]), xytext=(8, -4), textcoords="offset points",
                  color=colour, va="top", annotation_clip=False)  # fmt: skip
    print(f"warm-up of {warm_up:3} updates, mean of three seeds:", *(f"{mean:.2f}" for mean in means))
axes.set(xscale="log", xlabel="peak of the learning rate", xlim=(9e-4, 5.6e-3))
axes.axhline(by_frequency, color="#5f5f5f", linewidth=0.8)
axes.text(1.25e-3, by_frequency - 0.02, "word frequencies alone", color="#5f5f5f", va="top")
axes.set_ylabel("validation loss (nats per word)")
axes.set_xticks([1e-3, 2e-3, 4e-3], ["0.001", "0.002", "0.004"])
axes.minorticks_off()
axes.set_title("Most runs beat word frequencies only after a long warm-up", loc="left", fontweight="bold")
figure

# %% [markdown]
# **Verdict: here the long, and so gentler, rise does it, not a low peak.** With 20 updates of warm-up the lowest peak does hardly
# better than the highest: at the end eight of nine are no better than word frequencies. With 160, a peak four times as
# high still trains in two seeds of three, though less and less surely the higher it is. Eq. 3 changes both to the safe
# side at once, as a longer warm-up lowers the peak.
#
# Limits. A longer warm-up is also a flatter one, and in this grid the two cannot be told apart: every run with a
# slope of 5·10⁻⁵ an update or more has a warm-up of 20. And after 240 updates nothing has been learnt well; the grid
# shows which runs get going. Peaks below 0.001 were not tried.

# %% [markdown]
# ## Test the claim: label smoothing
#
# > **Paper (§5.4).** Smoothing hurts perplexity, but improves accuracy and BLEU.
#
# Three values of ε, three seeds each, 1000 updates, all else alike: **recorded**. Perplexity is that of the plain
# cross-entropy on the validation split; accuracy is how often the likeliest next word is the right one; *confidence* is
# the probability that the model gives to its likeliest word, in the mean. Where confidence equals accuracy, a model
# knows how often it is right.

# %%
again = False  # True: trains all nine anew; for the record it took about 7 minutes of one CPU core
record = json.loads((RUNS / "07-smoothing.json").read_text(encoding="utf-8"))
trainings = record["results"]
if again:
    from utils.experiments.smoothing import smoothing_experiment

    trainings = smoothing_experiment()
print(f"recorded by: {record['command']}; seeds {record['seeds']}, {record['settings']['updates']} updates")
measured = {name: {} for name in ("perplexity", "accuracy", "confidence", "bleu")}
for one in trainings:
    for name, by_epsilon in measured.items():
        by_epsilon.setdefault(one["epsilon"], []).append(one[name])
for name, by_epsilon in measured.items():
    rows = ("  ".join(f"{number:.{1 if name == 'bleu' else 3}f}" for number in by_epsilon[e]) for e in by_epsilon)
    print(f"{name:10}", "   |   ".join(f"ε = {e}: {row}" for e, row in zip(by_epsilon, rows)))

# %%
figure = NotebookFigure(figsize=(9, 2.9), layout="constrained")
words = {"perplexity": "perplexity (validation)", "bleu": "BLEU (test)", "confidence": "share (validation)"}
for axes, (name, label) in zip(figure.subplots(1, 3), words.items()):
    for shown, colour in ((name, "#0072b2"), ("accuracy", "#d55e00"))[: 1 + (name == "confidence")]:
        epsilons = sorted(measured[shown])
        axes.plot(epsilons, [sum(measured[shown][e]) / 3 for e in epsilons], "-", color=colour, linewidth=2)
        for seed in range(3):  # a thin line joins the dots of one seed
            axes.plot(epsilons, [measured[shown][e][seed] for e in epsilons], "o-", color=colour, markersize=4, linewidth=0.6)
    axes.set(xlabel="smoothing ε", ylabel=label, xticks=epsilons)
axes.text(0.15, 0.955, "accuracy", color="#d55e00", ha="center")
axes.text(0.13, 0.72, "confidence", color="#0072b2", ha="right")
axes.set_ylim(0.6, 1)
figure.suptitle("Smoothing makes these models less sure, and no better", fontweight="bold")
for name in ("perplexity", "bleu"):
    print(name, "in the mean:", *(f"{sum(numbers) / 3:.2f}" for numbers in measured[name].values()))
figure

# %%
perplexity, bleu = measured["perplexity"], measured["bleu"]
for seed in range(3):
    assert perplexity[0.0][seed] < perplexity[0.1][seed] < perplexity[0.3][seed]
    assert bleu[0.0][seed] > bleu[0.1][seed] > bleu[0.3][seed]
    assert measured["confidence"][0.0][seed] < measured["accuracy"][0.0][seed]
    assert measured["accuracy"][0.1][seed] <= measured["accuracy"][0.0][seed]
print("every seed: the more smoothing, the higher the perplexity and the lower the BLEU")

# %% [markdown]
# **Verdict: the first half holds, the second does not hold here.** Perplexity rises, as the paper says. BLEU falls, in
# every seed, and accuracy does not rise. Two reasons lie at hand. Smoothing is to cure models of being too sure, and
# ours are not: even without it their confidence stays below their accuracy. And in this corpus a sentence has, as a
# rule, one right translation; in the paper's data it has many. The last panel shows the price: a smoothed model is
# right more often than it thinks (ε = 0.3: about 92 % against 64 %). What this does not show: that smoothing is of no
# use on real text; nor how longer trainings end, for a wider model goes on to a BLEU of 97 (the recorded run above), and
# these stop at 1000 updates: perhaps a smoothed one only learns more slowly at first.

# %% [markdown]
# ## On real text: Multi30k
#
# 29 000 captions of photographs, English and German (Elliott et al. 2016). Behind a switch, since it takes a while.
# Look first at what it costs. Memory: 16 bytes a weight (itself, its gradient, Adam's two means) and three copies of a
# batch's logits. Operations: about 6 a weight and token, forward and backward together. The GPU's recipe has eight
# times the tokens in a batch and a larger vocabulary. For a GPU no minutes were measured; the time left stands above
# the curve once it runs.

# %%
from utils.training.settings import preset_settings

def told_beforehand(settings):
    """Weights, GiB of memory and operations of a run: estimates, none of them measured."""
    sizes = settings.transformer_config(settings.vocab_size)
    weights = sum(parameter.numel() for parameter in Transformer(sizes).parameters())
    gibibytes = (16 * weights + 12 * settings.batch_tokens * settings.vocab_size) / 2**30
    return weights, gibibytes, 6 * weights * settings.batch_tokens * settings.updates


recipes = {place: preset_settings("multi30k", None, on_cpu=place == "CPU") for place in ("CPU", "GPU")}
for place, settings in recipes.items():
    weights, gibibytes, operations = told_beforehand(settings)
    print(f"{place}: {settings.updates:,} updates of {settings.batch_tokens:,} tokens, {weights:,} weights")
    print(f"     memory, estimated: {gibibytes:.1f} GiB, and what the layers keep for the way back")
record = json.loads((RUNS / "multi30k-cpu.json").read_text(encoding="utf-8"))
minutes = [one["seconds"] for one in record["metrics"] if one["kind"] == "train"][-1] / 60
score = record["evaluations"][1]["scores"]["bleu"]
print(f"CPU: {minutes:.0f} minutes on {record['hardware']['cores']} cores, recorded; BLEU {score:.1f} (test, beam 4)")
print(f"GPU: not measured; {operations:.1e} operations, {operations / 2e12 / 60:.0f} minutes if it did 2·10¹² a second (assumed)")

# %% [markdown]
# The run keeps its checkpoints in a folder of its own beside your passed code. Interrupt it whenever you like (the
# square in the toolbar); run the cell again, and it goes on from its newest checkpoint, on a CPU to the same numbers.
# The corpus is downloaded once, or read from the folder that the variable `MULTI30K_DIR` names. The model is made of
# your own code, once every part of it has passed (until then of the course's), and a copy of that code is kept with the
# run.

# %%
multi30k = False  # True: trains as told above; resumable

if multi30k:
    from utils.commands.own import own_run
    from utils.exercises.home import home
    from utils.training.device import choose_device

    settings = recipes["CPU" if choose_device().type == "cpu" else "GPU"]

    with own_run(home() / "runs" / "07-multi30k", settings) as trainer:
        live = LiveTraining(settings.updates)
        trainer.run(live.take)
        live.finish()
    print("kept in", trainer.folder.path)
else:
    print("switched off: nothing is trained here")

# %% [markdown]
# ## Since 2017
#
# **AdamW** (Loshchilov and Hutter 2017) takes weight decay out of the gradient, where Adam's division distorts it; it
# is what most models train with, with β₂ = 0.95 for large ones. **Schedules** still warm up; the fall is now mostly a
# cosine, or a long plateau with a short cool-down at the end. `python -m utils train` keeps the root of Eq. 3 and lets
# the rate go to zero over the last 60 % of the updates. **Gradient
# clipping** (at a norm of 1) is usual; the paper does not mention it. **Label smoothing** is standard in translation
# and mostly left out in language models. **Precision** went on from 16 bits to 8 in matrix products, with a scale for
# each block of numbers: loss scaling, grown finer.

# %% [markdown]
# ## Recap
#
# * Batches by length and by tokens: hardly any padding, against more than a third at random.
# * The loss is −Σ q log p over real tokens; ε is spread evenly over all V entries; padding as a target counts for nothing.
# * Adam's step is at most about as long as the rate while gradients keep their size, so the rate has a schedule; its
#   peak is (d_model · warmup)^−0.5.
# * Before a long run: the loss is ln V at the start, and one batch can be learnt by heart. Accumulation weighs batches
#   by tokens and counts updates.
# * float16 lacks range, bfloat16 digits: scale the loss for the first, and keep weights in 32 bits for both.
#
# Next: chapter 08 translates with what was trained, and scores it. To read on: Kingma and Ba (2015), "Adam"; Szegedy et
# al. (2016), "Rethinking the Inception Architecture", which has label smoothing; Micikevicius et al. (2018), "Mixed
# Precision Training"; Popel and Bojar (2018), "Training Tips for the Transformer Model".
