# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 01 · Tokens and embeddings (§3.4, §5.1)
#
# **Where we are.** A network computes with numbers, and a sentence is made of letters. Today you build both ends of the
# model: what turns text into vectors, and what turns vectors back into a choice among words.
#
# ![Figure 1 with the embeddings and the output layer lit](../assets/figure1_01.svg)
#
# After this chapter you can
#
# * turn text into ids, with words and with byte-pair encoding, and say what each costs;
# * say why embeddings are multiplied by √d_model, with three standard deviations that you have measured;
# * let input and output share one table, and count what that saves;
# * put sentences of many lengths into batches with little padding, and hide the rest with a mask.
#
# About two hours, six exercises, 10 points.

# %% tags=["setup"]
# The set-up cell is written by the build.

# %% [markdown]
# ## The idea
#
# Text goes through four stations: text → tokens → ids → vectors. A **token** is a word or a piece of one; its **id** is
# its number in a **vocabulary**; its vector is the row of that number in a table, the **embedding**, which is learnt
# with everything else. At the other end of the model the same path is walked backwards: a vector is compared with every
# row of a table, and each comparison gives one token's score.
#
# > **Paper (§5.1).** Sentences were encoded with byte-pair encoding, with one vocabulary of about 37 000 tokens for
# > English and German together. Batches hold sentence pairs of about equal length, with about 25 000 source tokens and
# > 25 000 target tokens.
#
# > **Paper (§3.4).** Learned embeddings turn tokens into vectors of width d_model; a linear map and a softmax turn the
# > decoder's output into probabilities. Both embeddings and that linear map share one matrix. In the embeddings its
# > numbers are multiplied by √d_model.
#
# > **Note.** The paper does not say why √d_model, nor how the table starts. You will answer both with numbers.
#
# | symbol | in code | shape | meaning |
# |---|---|---|---|
# | V | `vocab_size` | a number | entries of the vocabulary, special ones included |
# | d_model | `d_model` | a number | width of a vector |
# | | `tokens` | (batch, length) | ids, padded at the end |
# | E | `weight` | (V, d_model) | the table: one row for each token |
# | √d_model · E[tokens] | `vectors` | (batch, length, d_model) | what goes into the model |
# | x Eᵀ | `logits` | (batch, length, V) | one score for each token of the vocabulary |
#
# Four ids are special and the same everywhere in this course: padding 0, unknown 1, begin 2, end 3.

# %% [markdown]
# ## Predict
#
# Four questions, to be answered before anything is run. Put the letter of your answer behind the number, as in
# `predict("1.a", "b")`, and run the cell again.

# %%
predict("1.a")

# %%
predict("1.b")

# %%
predict("1.c")

# %%
predict("1.d")

# %% [markdown]
# ## Words and ids
#
# The text of this course is made by a grammar that comes with it: 20 000 English sentences with their German
# translations. To split a sentence into words, punctuation is cut off first.

# %%
from utils.text import load_corpus, split_words

corpus = load_corpus("embedded")
train, test = ([sentence for pair in corpus.split(name) for sentence in pair] for name in ("train", "test"))
print(train[0], "\n" + train[1])
print(split_words(train[1]))

# %% [markdown]
# A vocabulary is a list of the most frequent words; a word's id is its place in it. Here it has eight words, which get
# the ids from 4 on, after the four special ones.

# %%
from collections import Counter

PADDING, UNKNOWN, BEGIN, END = 0, 1, 2, 3
counts = Counter(word for sentence in train for word in split_words(sentence))
vocabulary = {word: index for index, (word, _) in enumerate(counts.most_common(8), start=4)}
print(vocabulary)

# %% [markdown]
# By hand: "The dog sleeps in the garden." By this vocabulary "The" and "the" are two words, 7 and 5, and "in" is 9;
# "dog", "sleeps" and "garden" are none that it knows, so they become unknown, 1. Begin (2) and end (3) stand around the
# sentence, since the decoder needs both: it starts from begin, and it says end when it is done. So the ids are 2, 7, 1,
# 1, 9, 5, 1, 4, 3.
#
# ### Exercise 1.1 · From words to ids
#
# Difficulty 1 · 10 minutes · 1 point.
#
# The same for any sentence and any vocabulary; neither of the two is to be changed.

# %%
# Exercise 1.1: from words to ids
def numericalise(words, vocabulary):
    """The ids of a sentence: begin (2), one id a word, end (3). A word that is not in the vocabulary is unknown (1).

    words: the words of one sentence, as they stand; vocabulary: {word: id}, with ids from 4 on.
    Returns a new list of len(words) + 2 ids.
    """
    ### BEGIN SOLUTION
    return [BEGIN, *(vocabulary.get(word, UNKNOWN) for word in words), END]
    ### END SOLUTION


# %%
check("1.1", numericalise)

# %%
hint("1.1")

# %% [markdown]
# torchtext's `Field` does the same for a whole batch: it counts words, numbers them, frames each sentence and pads the
# shorter ones, so that all fit into one tensor. (This is torchtext 0.6.0, the version in `requirements.txt`; later ones
# have no `Field`.)

# %%
from torchtext.data import Field

field = Field(tokenize=split_words, init_token="<s>", eos_token="</s>", batch_first=True)
field.build_vocab([split_words(sentence) for sentence in train])
print(field.vocab.itos[:8])
print(field.process([split_words("The dog sleeps in the garden."), split_words("The whales sleep.")]))

# %% [markdown]
# > **Note.** Left alone, `Field` numbers unknown 0 and padding 1. The course's `WordTokeniser` uses `Field` with the
# > numbers 0 for padding and 1 for unknown, which is what masks and losses here rely on.

# %%
from utils.text import WordTokeniser

tokeniser = WordTokeniser.learn(train)
own_vocabulary = {word: index for index, word in enumerate(tokeniser.field.vocab.itos) if index >= 4}
sentence = "The whales sleep in the garden."
assert list(numericalise(split_words(sentence), own_vocabulary)) == [2, *tokeniser.encode(sentence), 3]
print(tokeniser.vocab_size, "entries;", tokeniser.decode(tokeniser.encode(sentence)))

# %% [markdown]
# ### See: a hundred words are about half of the text
#
# Order the words by frequency. In real text the count falls about as one over the rank (Zipf's law), so half of all
# word forms are met once. The grammar's text is tamer: its lexicon ends, so its curve does.

# %%
import json

from utils.text.coverage import rank_counts

recorded = json.loads((course / "assets/runs/01-vocabularies.json").read_text(encoding="utf-8"))["results"]
ranks = {
    "this course's grammar": list(enumerate(rank_counts(train), start=1)),
    "Multi30k (recorded)": recorded["rank_counts"],
}
real = recorded["train"]
once = real["words_seen_once"] / real["different_words"]
top = sum(count for _, count in ranks["this course's grammar"][:100]) / sum(counts.values())
print(f"grammar: {len(counts):,} words, the first 100 make up {top:.0%} of the text")
print(f"Multi30k: {real['different_words']:,} words, {once:.0%} of them seen once")

# %%
from utils.plots.style import NotebookFigure

figure = NotebookFigure(figsize=(8, 3.8), layout="constrained")
axes = figure.subplots()
for (name, points), colour, place in zip(ranks.items(), ("#0072B2", "#D55E00"), ((2, 900), (30, 6000))):
    axes.loglog(*zip(*points), color=colour)
    axes.annotate(name, place, color=colour)
axes.loglog([1, 30000], [60000, 2], ":", color="#5f5f5f")
axes.annotate("1 / rank", (9000, 12), color="#5f5f5f")
axes.set(xlabel="rank of the word", ylabel="times it occurs in training")
figure.suptitle("A hundred words are about half of the text, and real text has a long tail of rare ones")
figure

# %% [markdown]
# ## Byte-pair encoding
#
# A word vocabulary fails at the tail: a word that was never seen is lost, and one seen once has a vector that was
# trained once. Letters know no unknown words but make long sequences of parts that mean nothing. Byte-pair encoding
# (Sennrich et al. 2016) lies between: it starts from letters and gives the most frequent **pair of neighbours** a
# symbol of its own, again and again. Frequent words end up whole, rare ones in pieces.
#
# By hand, with a space at the beginning of a word written ▁: two words, seen 5 and 3 times.

# %%
from itertools import pairwise

words = {tuple("▁see"): 5, tuple("▁seen"): 3}
pairs = Counter()
for symbols, count in words.items():
    for pair in pairwise(symbols):
        pairs[pair] += count
print(pairs)

# %% [markdown]
# Three pairs count 8. Such ties need a rule, or the result would depend on the order of the words: we take the
# alphabetically first, ('e', 'e'). Python compares tuples of strings that way: by the first symbol, and only if those
# are equal by the second, so that ('a', 'bc') comes before ('ab', 'a'); capitals come before small letters, ▁ after
# both. The merge makes "▁ s ee" and "▁ s ee n", and in the next step the pairs are counted anew.
#
# ### Exercise 1.2 · One merge of byte-pair encoding
#
# Difficulty 3 · 25 minutes · 2 points.
#
# Count, choose, merge. `pairwise(symbols)` gives the pairs of neighbours. Four things want care: a pair counts as often
# as its word (which may be 0: such a word has no vote, and is merged like any other); where a pair overlaps itself, as
# in "a a a", the left one is merged first ("aa a"); a symbol may have several letters, so that "b" after "ca" is not
# the pair ("a", "b"); and finally, every word may be one symbol already: then there is no pair, and (None, words) is
# returned.

# %%
# Exercise 1.2: one merge of byte-pair encoding
def bpe_step(words):
    """One step of byte-pair encoding (§5.1; Sennrich et al. 2016): the most frequent pair becomes one symbol.

    words: {symbols of a word: how often the word occurs}. A pair is two neighbouring symbols of one word and counts
    as often as its word. Of equally frequent pairs the alphabetically first is taken. Merging goes from left to right.
    Returns (pair, words after the merge), or (None, words) where no word has two symbols.
    """
    ### BEGIN SOLUTION
    counts = Counter()
    for symbols, count in words.items():
        for pair in pairwise(symbols):
            counts[pair] += count
    if not counts:
        return None, words
    best = min(counts, key=lambda pair: (-counts[pair], pair))
    merged = {}
    for symbols, count in words.items():
        new = []
        for symbol in symbols:
            if new and (new[-1], symbol) == best:
                new[-1] += symbol
            else:
                new.append(symbol)
        merged[tuple(new)] = count
    return best, merged
    ### END SOLUTION


# %%
check("1.2", bpe_step)

# %%
hint("1.2")

# %% [markdown]
# Learning is this step in a loop. We cut the corpus into pieces as the course's tokeniser does (at spaces and around
# punctuation), and let two words go along with a count of 0: they have no vote, and every merge is applied to them in
# order. That is exactly how a new text is encoded later.

# %%
from utils.text import BPETokeniser

theirs = BPETokeniser.learn(train, 1000)
cut = theirs.tokenizer.pre_tokenizer.pre_tokenize_str
pieces = Counter(piece for sentence in train for piece, _ in cut(sentence))
guests = ["▁Dichter", "▁watering"]
assert not any(guest in pieces for guest in guests)  # neither occurs in the corpus

words = {tuple(piece): count for piece, count in pieces.items()} | {tuple(guest): 0 for guest in guests}
merges, stages = [], [words]
for _ in range(300):
    pair, words = bpe_step(words)
    merges.append(tuple(pair))
    stages.append(words)
sizes = [sum(len(symbols) * count for symbols, count in stage.items()) for stage in stages]
print("first merges:", " ".join("+".join(pair) for pair in merges[:10]))
print(f"300 merges shorten the text from {sizes[0]:,} symbols to {sizes[-1]:,}")

# %% [markdown]
# The library `tokenizers` learns the same: its first 150 merges are yours, in the same order. Later the two differ in
# ties, which it settles by the age of symbols and not by the alphabet.

# %%
library = [tuple(pair) for pair in json.loads(theirs.tokenizer.to_str())["model"]["merges"]]
assert merges[:150] == library[:150]
first = next(i for i, (mine, other) in enumerate(zip(merges, library)) if mine != other)
print(f"equal up to merge {first}; then {merges[first]} here, {library[first]} there")

# %% [markdown]
# Frequent words are whole after 100 merges, the guests are in pieces that other words have lent them.

# %%
from utils.plots.tokens import growing_pieces

shown = ["▁the", "▁nicht", *guests]
by_spelling = [{"".join(symbols): symbols for symbols in stage} for stage in stages]
rows = [(f"{n} merges", [by_spelling[n][word] for word in shown]) for n in (0, 10, 30, 60, 100)]
print("after 100 merges:", rows[-1][1])
growing_pieces(rows, "Frequent words grow together; words never seen are made of pieces that were")

# %% [markdown]
# One vocabulary for both languages makes sense only if they share entries. They do: names, numbers, punctuation, and
# all the short pieces.

# %%
english, german = ([pair[side] for pair in corpus.split("train")] for side in (0, 1))
used = [{index for sentence in text for index in theirs.encode(sentence)} for text in (english, german)]
both = used[0] & used[1]
print(f"{theirs.vocab_size} entries; used in English {len(used[0])}, in German {len(used[1])}, in both {len(both)}")
print("in both, for example:", theirs.tokens(sorted(both, key=lambda i: -len(theirs.tokens([i])[0]))[:8]))

# %% [markdown]
# ## Padding, and a mask that hides it
#
# A tensor is a rectangle, sentences are not. The shorter ones are filled up with id 0 at the end. Padding is no word:
# attention (chapter 03) must not look at it, the loss must not count it. So a mask goes along.
#
# A mask is boolean, `True` = may be attended to, and has four axes, (batch, heads, query, key), here or by
# broadcasting. Whether a key is padding depends on the sentence and the key alone, so heads and queries get axes of
# size 1: (batch, 1, 1, length).
#
# `source_batch` makes a tensor of source sentences. A source needs only the end, 3: begin is what a decoder starts
# from, and the encoder reads all words at once.

# %%
from utils.text import source_batch

tokens = source_batch(tokeniser, ["The dog sleeps.", "The small dog sleeps in the garden."])
print(tokens)
print([[index != 0 for index in row] for row in tokens.tolist()][0])

# %% [markdown]
# ### Exercise 1.3 · The padding mask
#
# Difficulty 1 · 10 minutes · 1 point.
#
# The loop above in one comparison, with the axes that broadcasting needs. Indexing with `None` makes an axis of size 1.

# %%
# Exercise 1.3: the padding mask
def padding_mask(tokens, padding_id=0):
    """Marks real tokens, so that nobody attends to padding.

    tokens: (batch, length) ids. Returns bool (batch, 1, 1, length), True = a real token.
    """
    ### BEGIN SOLUTION
    return (tokens != padding_id)[:, None, None, :]
    ### END SOLUTION


# %%
check("1.3", padding_mask)

# %%
hint("1.3")

# %% [markdown]
# ## The embedding is a matrix product
#
# By hand: a table of four rows, and the id 2. Written as a **one-hot** vector, zeros with a single 1 at place 2, the id
# picks its row by an ordinary matrix product. Looking the row up gives the same and skips all the products with zero.

# %%
table = torch.tensor([[0.0, 0.0], [1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])  # (V, d_model)
one_hot = torch.tensor([0.0, 0.0, 1.0, 0.0])
print("product", (one_hot @ table).tolist(), "row", table[2].tolist())

# %% [markdown]
# A sentence is a loop over its ids. All at once: index with the whole tensor of ids; `nn.functional.embedding(tokens,
# table)` does the same. Ids are whole numbers of 64 bits here (int64) or, to save memory, of 32 (int32). A look-up
# takes both, `one_hot` only int64, so that for int32 one writes `one_hot(tokens.long(), …)`.

# %%
from torch import nn

tokens = torch.tensor([[2, 1, 2]])
loop = torch.stack([table[index] for index in tokens[0]])  # (length, d_model)
product = nn.functional.one_hot(tokens, num_classes=4).float() @ table  # (batch, length, d_model)
assert torch.equal(loop[None], product) and torch.equal(product, table[tokens])
assert torch.equal(product, nn.functional.embedding(tokens, table))
print(f"for V = 37 000 and d_model = 512 the product costs {37_000 * 512:,} multiplications a token, the look-up none")

# %% [markdown]
# The product also says what is learnt. Its gradient is the one-hot matrix turned over, times what comes back: a row is
# changed only by sentences that hold its token, once for each time. Rare tokens learn rarely.

# %%
leaf = table.clone().requires_grad_()
nn.functional.embedding(tokens, leaf).sum().backward()
print(leaf.grad.tolist())
assert leaf.grad[2, 0] == 2 and leaf.grad[0].abs().sum() == 0  # id 2 comes twice, id 0 never

# %% [markdown]
# ## Why × √d_model
#
# Two things come together at the bottom of figure 1: the word's vector and a code for its position (chapter 02), added.
# The code is made of sines and cosines, so its root mean square is √½ = 0.71, always. How large are the vectors? That
# depends on how the table starts. Here are three common ways, each multiplied by √512, and what share of the sum's
# variance is then the word's.

# %%
import math

from utils.transformer import sinusoidal_table

torch.manual_seed(0)
V, d_model = 37_000, 512
starts = {
    "Xavier": lambda: nn.init.xavier_uniform_(torch.empty(V, d_model)),
    "N(0, 1/d_model)": lambda: torch.randn(V, d_model) / math.sqrt(d_model),
    "nn.Embedding": lambda: nn.Embedding(V, d_model).weight.detach(),
}
rms = sinusoidal_table(100, d_model).square().mean().sqrt().item()
deviations = {name: (start().std() * math.sqrt(d_model)).item() for name, start in starts.items()}
for name, deviation in deviations.items():
    share = deviation**2 / (deviation**2 + rms**2)
    print(f"{name:16} vectors have std {deviation:5.2f} beside a code of {rms:.2f}: {share:.1%} of the variance")
assert math.isclose(rms, math.sqrt(0.5), rel_tol=1e-3)
assert all(math.isclose(d, w, rel_tol=0.02) for d, w in zip(deviations.values(), (0.165, 1.0, 22.6)))

# %%
figure = NotebookFigure(figsize=(8, 2.5), layout="constrained")
axes = figure.subplots()
axes.axvline(rms, color="#D55E00")
axes.annotate(f"positional code {rms:.2f}", (rms, 2.5), textcoords="offset points", xytext=(5, 0), color="#D55E00")
for row, (name, deviation) in enumerate(deviations.items()):
    axes.plot([rms, deviation], [row, row], color="#0072B2", alpha=0.4)
    axes.plot(deviation, row, "o", color="#0072B2")
    axes.annotate(f"{deviation:.2f}", (deviation, row + 0.2), ha="center", color="#0072B2")
axes.set(xscale="log", xlim=(0.08, 50), ylim=(-0.5, 3), xlabel="standard deviation of √512 · E (log scale)")
axes.set_yticks(range(3), labels=list(deviations))
figure.suptitle("Only a table drawn from N(0, 1/d_model) stands level with the positional code")
figure

# %% [markdown]
# With Xavier's start the position drowns the word: V is in the denominator of its formula, √(2 / (V + d_model)). With
# the default of `nn.Embedding` the word drowns the position. A table from N(0, 1/d_model), times √d_model, gives 1.0.
#
# Why not draw from N(0, 1) and leave the factor out? For the input that would be the same. But the table has a second
# job: its rows are compared with the decoder's last state to give the **logits**, the scores before the softmax. That
# state comes out of a **layer norm** (chapter 05), which brings the numbers of each vector to mean 0 and standard
# deviation 1. A logit is a sum of d_model products: with numbers of size 1/√d_model in the table its variance is
# d_model · 1/d_model = 1, with numbers of size 1 it is d_model.
#
# What that does is seen in the **loss**: the mean of −ln p, where p is the probability that the model gives to the
# right word. Its unit, since the logarithm is the natural one, is the **nat**: p = 1/2 costs 0.69 nats, p = 1/10
# costs 2.30.

# %%
torch.manual_seed(1)
states = nn.functional.layer_norm(torch.randn(256, d_model), (d_model,))
targets = torch.randint(V, (256,))
first_loss = {}
for name, start in starts.items():
    logits = states @ start().t()  # (256, V)
    first_loss[name] = nn.functional.cross_entropy(logits, targets).item()
    print(f"{name:16} std of the logits {logits.std():5.2f}, loss before training {first_loss[name]:6.1f} nats")
print(f"guessing evenly costs ln V = {math.log(V):.1f} nats")
assert first_loss["nn.Embedding"] > 5 * math.log(V) and first_loss["N(0, 1/d_model)"] < math.log(V) + 1

# %% [markdown]
# So the answer is: one table serves two ends that need two sizes. For the output its numbers may have a size of at most
# about 1/√d_model (Xavier's, which are smaller, start as well as even guessing); the input needs vectors of size 1. And
# √d_model is the ratio of the two.
#
# > **Note.** The authors' own code, tensor2tensor, does both: it draws the shared table from a normal distribution with
# > standard deviation d_model^−0.5, and multiplies by d_model^0.5 where the table is looked up.

# %% [markdown]
# ### Exercise 1.4 · The token embedding
#
# Difficulty 2 · 15 minutes · 2 points.
#
# Both halves of the answer: the start of the table in `__init__`, the factor in `forward`. A module with one parameter,
# `self.weight`: the output layer will look for the table under this name. Draw it from N(0, 1/d_model); 1/d_model is
# the variance, so its root is the standard deviation.

# %%
# Exercise 1.4: the token embedding
class TokenEmbedding(nn.Module):
    """A table of vectors, multiplied by √d_model when looked up (§3.4).

    Its only parameter is `weight`, (vocab_size, d_model), drawn from N(0, 1/d_model).
    """

    def __init__(self, vocab_size, d_model):
        super().__init__()
        ### BEGIN SOLUTION
        self.scale = math.sqrt(d_model)
        self.weight = nn.Parameter(torch.randn(vocab_size, d_model) / self.scale)  # (vocab_size, d_model)
        ### END SOLUTION

    def forward(self, tokens):
        """tokens: (batch, length) ids, int64 or int32. Returns (batch, length, d_model)."""
        ### BEGIN SOLUTION
        return nn.functional.embedding(tokens, self.weight) * self.scale
        ### END SOLUTION


# %%
check("1.4", TokenEmbedding)

# %%
hint("1.4")

# %% [markdown]
# ## The other end: one table, shared three ways
#
# The output layer compares a state with every row of the table. By hand, with the state (1, 1) and the table from
# above, each logit is a dot product:

# %%
state = torch.tensor([1.0, 1.0])
by_loop = [sum(s * number for s, number in zip(state.tolist(), row)) for row in table.tolist()]
assert (state @ table.t()).tolist() == by_loop
print(by_loop)

# %% [markdown]
# To **tie** two layers is to give one Parameter two names. Nothing is copied: a copy would be equal at first, get a
# gradient of its own and drift away with the first update. With one Parameter the gradients of both uses add up.
#
# ### Exercise 1.5 · The output layer
#
# Difficulty 3 · 15 minutes · 2 points.
#
# With `tied_to`, a `TokenEmbedding`, the layer shares its table; without, it has a matrix of its own,
# Xavier-initialised (`nn.init.xavier_uniform_` fills an empty tensor). It has no bias, and the bare table is used: no
# factor √d_model here. It returns logits; the softmax is left to whoever uses them.

# %%
# Exercise 1.5: the output layer
class OutputLayer(nn.Module):
    """Scores every vocabulary entry for every state: the linear map before the softmax (§3.4).

    Its only parameter is `weight`, (vocab_size, d_model): that of the embedding `tied_to`, if one is given, else an
    own matrix, Xavier-initialised.
    """

    def __init__(self, vocab_size, d_model, tied_to=None):
        super().__init__()
        ### BEGIN SOLUTION
        if tied_to is None:
            self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(vocab_size, d_model)))
        else:
            self.weight = tied_to.weight
        ### END SOLUTION

    def forward(self, states):
        """states: (..., d_model). Returns logits (..., vocab_size)."""
        ### BEGIN SOLUTION
        return nn.functional.linear(states, self.weight)
        ### END SOLUTION


# %%
check("1.5", OutputLayer)

# %%
hint("1.5")

# %% [markdown]
# What tying does to learning: the look-up changes only the rows of tokens that were read, the output layer changes
# every row, since every wrong token is pushed away from the state a little.

# %%
torch.manual_seed(2)
embedding = TokenEmbedding(1000, 16)
output = OutputLayer(1000, 16, tied_to=embedding)
tokens, targets = torch.randint(4, 1000, (2, 3, 5))  # (batch, length) each
looked_up = embedding(tokens).sum()
tied = nn.functional.cross_entropy(output(embedding(tokens)).flatten(0, 1), targets.flatten())
for name, loss in (("look-up alone", looked_up), ("tied", tied)):
    (gradient,) = torch.autograd.grad(loss, embedding.weight)
    print(f"{name}: {(gradient.abs().sum(1) > 0).sum()} of 1000 rows get a gradient")
assert output.weight is embedding.weight

# %% [markdown]
# What it saves, counted by formula for the paper's base model:

# %%
from dataclasses import replace

from utils.transformer.config import BASE
from utils.transformer.counts import implied_vocabulary, parameter_counts

sizes = {}
for tying in ("none", "output", "three-way"):
    sizes[tying] = sum(parameter_counts(replace(BASE, tying=tying)).values())
    print(f"{tying:10} {sizes[tying]:12,} parameters")
saved = sizes["none"] - sizes["three-way"]
assert saved == 2 * V * d_model
print(f"sharing saves {saved:,}, {saved / sizes['three-way']:.0%} of the model that is left")
low, high = implied_vocabulary(BASE, 65)
print(f"for the 65 million of Table 3 the vocabulary would need {low:,} to {high:,} entries")

# %% [markdown]
# > **Note.** Our count with 37 000 entries is 63.1 million, the paper's Table 3 says 65. Everything else in the model
# > is fixed by its sizes, so "about 37 000" and "65 million" do not quite go together.
#
# ### Does the start of the table matter after training?
#
# That takes fifteen trainings, so this is a recorded run: a small model (d_model = 128, N = 2) trained for 600 updates
# on the grammar's corpus, with five starts of the shared table and three seeds each. The number is the loss on the
# validation sentences, before and after training. With `again = True` it is run anew.

# %%
again = False  # True: train all fifteen again, 15 minutes on a CPU
run = json.loads((course / "assets/runs/01-scale.json").read_text(encoding="utf-8"))
if again:
    from utils.experiments.starts import starts_experiment

    run["results"] = starts_experiment()
print("recorded with:", run["command"], "on", run["hardware"]["processor"])
print(f"even guessing: {run['results']['chance']:.2f} nats a token")
after = {}
for result in run["results"]["runs"]:
    after.setdefault(result["start"], []).append((result["loss_before"], result["loss_after"]))
for start, pairs in after.items():
    before, ends = zip(*pairs)
    print(f"{start:37}before {sum(before) / 3:6.2f}   after {'  '.join(f'{loss:.2f}' for loss in ends)}")
chosen, *others = after.values()
assert max(end for _, end in chosen) < 0.5 < 0.9 < min(end for other in others for _, end in other)

# %% [markdown]
# **Verdict: it matters, after 600 updates still.** The paper's factor with a table from N(0, 1/d_model) stands at 0.43
# nats in all three seeds; no other start comes below 0.9. Xavier's small vectors lag behind, at 0.95 to 1.67. Without
# the factor the words are hardly heard beside the positions, and the loss stays above 4.3. Tables from N(0, 1) begin
# eight and seventeen times as high as even guessing, with wild logits, and spend the updates on coming down.
#
# > **Note.** Two effects are mixed here. Adam (Kingma and Ba 2015), the rule by which the paper and this course turn
# > gradients into updates (§5.3), divides each number's gradient by its usual size. So it moves every number of the
# > table by about the same amount in an update, however large the number or its gradient is, and the factor √d_model
# > also lets an input vector move √d_model times as far. And the rate of learning was chosen for the first start. So
# > the run says that the five are not equal under one recipe; it does not say what each could reach with a recipe and a
# > patience of its own.
#
# ## Batches by token budget
#
# How many sentences make a batch? If the number is fixed, a batch of long sentences needs several times the memory of a
# batch of short ones, and in a mixed one the short sentences are mostly padding. §5.1 does neither: sentences of about
# equal length go together, and a batch is full when it holds so many **tokens**. What counts is the padded rectangle,
# number of sentences × longest.
#
# By hand: lengths 3, 5, 4, 2, budget 10. From the shortest on: 2 and 3 give 2 × 3 = 6; with 4 it would be 3 × 4 = 12,
# too many, so 4 begins a new batch, to which 5 fits exactly: 2 × 5 = 10.
#
# ### Exercise 1.6 · Batches by token budget
#
# Difficulty 3 · 20 minutes · 2 points.
#
# It returns indices, so that the sentences can be fetched. So that two answers can be compared, everything is settled:
# from short to long, equally long ones in their given order, and a sentence longer than the budget gets a batch of its
# own.

# %%
# Exercise 1.6: batches by token budget
def token_budget_batches(lengths, budget):
    """Sentences in batches of similar length, each padded to at most `budget` tokens (§5.1).

    lengths: tokens of each sentence. Sentences are taken from the shortest to the longest, equally long ones in their
    given order, and a batch is closed when one more sentence would bring (number of sentences) × (longest) above the
    budget. A sentence longer than the budget has a batch of its own.
    Returns lists of indices into `lengths`.
    """
    ### BEGIN SOLUTION
    batches = []
    for index in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if batches and (len(batches[-1]) + 1) * lengths[index] <= budget:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
    ### END SOLUTION


# %%
check("1.6", token_budget_batches)

# %%
hint("1.6")

# %% [markdown]
# How much does that save? Two things are new, the sorting and the budget, so there are two controls: 64 sentences a
# batch as they come, and 64 sentences a batch after sorting. The text is the German half of the training sentences.

# %%
import random

lengths = [len(tokeniser.encode(sentence)) + 1 for sentence in german]  # with end
shuffled = random.Random(0).sample(range(len(lengths)), len(lengths))
ordered = sorted(shuffled, key=lambda i: lengths[i])
plans = {
    "64 sentences, as they come": [shuffled[i : i + 64] for i in range(0, len(shuffled), 64)],
    "64 sentences, sorted": [ordered[i : i + 64] for i in range(0, len(ordered), 64)],
    "1024 tokens, sorted": token_budget_batches(lengths, 1024),
}
waste = {}
for name, batches in plans.items():
    padded = [len(batch) * max(lengths[i] for i in batch) for batch in batches[:-1]]  # the last may be a remainder
    waste[name] = 1 - sum(lengths[i] for batch in batches[:-1] for i in batch) / sum(padded)
    print(f"{name:28}{len(batches)} batches of {min(padded):4} to {max(padded)} tokens, {waste[name]:5.1%} padding")
assert waste["1024 tokens, sorted"] < 0.02 < 0.25 < waste["64 sentences, as they come"]

# %%
from utils.plots.tokens import padding_rectangles

few = [lengths[i] for i in shuffled[:240]]
as_they_come = [few[i : i + 30] for i in range(0, 240, 30)]
by_budget = [[few[i] for i in batch] for batch in token_budget_batches(few, 300)]
padding_rectangles(
    [("30 sentences a batch, as they come", as_they_come), ("batches of 300 tokens, your function", by_budget)],
    "As they come, a third of a batch is padding; sorted by length, next to nothing",
)

# %% [markdown]
# **Verdict: holds.** Sorting removes the padding; the budget makes batches equally large, so that the memory for one
# suffices for all, and each update learns from about as many tokens.
#
# > **Note.** The price: sentences of one length stay together, so the gradients of neighbouring updates are less alike
# > than those of a random draw. Training therefore shuffles the order of the batches anew in every epoch, and among
# > equally long sentences who goes with whom (`utils.text.TokenBatches`).
#
# ## Test the claim: subwords leave no word unknown, and cost little length
#
# > **Paper (§5.1).** Sentences are encoded by byte-pair encoding, with a shared vocabulary of about 37 000 tokens.
#
# The paper gives no number for what that buys. We measure two on sentences that the vocabulary was not learnt from: how
# many tokens are unknown, and how many tokens a word becomes. The control is a vocabulary of whole words of the same
# size. First here and now, on the grammar's text:

# %%
from utils.text.coverage import coverage_by_size

measured = {kind: coverage_by_size(kind, train, test, (125, 250, 500, 1000, 2000)) for kind in ("words", "bpe")}
for kind, results in measured.items():
    for size, found in results:
        unknown, ratio = found.unknown, found.tokens_per_word
        print(f"{kind:5} {found.vocab_size:5} entries: {unknown:6.2%} unknown, {ratio:.2f} tokens a word")

# %% [markdown]
# This text is too kind: every word of the test has occurred in training, so 1 764 entries know all. Real text is not.
# The same on Multi30k, 58 000 training and 2 000 test sentences, English and German, as a recorded run:

# %%
again = False  # True: measure again, one minute on a CPU; downloads Multi30k, or reads it from MULTI30K_DIR
run = json.loads((course / "assets/runs/01-vocabularies.json").read_text(encoding="utf-8"))
if again:
    from utils.experiments.vocabularies import vocabularies_experiment

    run["results"] = vocabularies_experiment()
print("recorded with:", run["command"], "on", run["hardware"]["processor"])
real = run["results"]
for kind in ("words", "bpe"):
    for found in real[kind]:
        unknown, ratio = found["unknown"], found["tokens_per_word"]
        print(f"{kind:5} {found['vocab_size']:6,} entries: {unknown:6.2%} unknown, {ratio:.2f} tokens a word")

# %%
figure = NotebookFigure(figsize=(9, 3.4), layout="constrained")
panels = figure.subplots(1, 2)
colours = {"words": "#D55E00", "bpe": "#0072B2"}
for kind, colour in colours.items():
    real_sizes = [found["vocab_size"] for found in real[kind]]
    sizes = [found.vocab_size for _, found in measured[kind]]
    for axes, name, factor in zip(panels, ("unknown", "tokens_per_word"), (100, 1)):
        axes.semilogx(real_sizes, [factor * found[name] for found in real[kind]], "o-", color=colour)
        axes.semilogx(sizes, [factor * getattr(found, name) for _, found in measured[kind]], ":", color=colour)
panels[0].set(xlabel="entries of the vocabulary", ylabel="unknown tokens (%)")
panels[1].set(xlabel="entries of the vocabulary", ylabel="tokens for each word", ylim=(0, 5.6))
panels[0].annotate("words", (1000, 19), color=colours["words"])
panels[0].annotate("byte-pair encoding: none", (300, 1.5), color=colours["bpe"])
panels[1].annotate("words: always 1", (1000, 0.45), color=colours["words"])
panels[1].annotate("byte-pair encoding", (700, 2.1), color=colours["bpe"])
panels[1].annotate("solid: Multi30k (recorded)\ndotted: this course's grammar", (900, 4.6), color="#5f5f5f")
more = real["bpe"][6]["tokens_per_word"] - 1
figure.suptitle(f"Subwords know every word; at 8 000 entries they pay for it with {more:.0%} more tokens")
figure

# %%
bpe, whole = real["bpe"][6], real["words"][-1]
longer = bpe["tokens_per_word"]
words = whole["vocab_size"] - 4  # without the four special entries
assert words == real["train"]["different_words"]
print(f"all {words:,} words of the training text: {whole['unknown']:.1%} of the test's words unknown,")
print(f"  one or more in {whole['sentences_with_unknown']:.0%} of its sentences")
print(f"{bpe['vocab_size']:,} subwords: {bpe['unknown']:.1%} unknown, {longer - 1:.0%} more tokens,")
print(f"  so {longer**2 - 1:.0%} more attention weights, whose number grows with the square")
assert bpe["unknown"] == 0 and longer < 1.2 and whole["unknown"] > 0.01

# %% [markdown]
# **Verdict: holds**, on this text and for characters that the training text has shown. The cost falls with the size of
# the vocabulary: at 1 000 entries text gets 69 % longer, at 8 000 14 %, at 32 000 5 %. What a larger vocabulary costs
# in turn is rows of the table, each with fewer examples to learn from. Where nothing is ever unknown, as in our
# grammar, whole words do as well, and the short trainings of this course use them.
#
# ## Since 2017
#
# **Bytes.** A BPE that starts from letters still meets letters it has never seen. Starting from the 256 bytes of UTF-8
# (GPT-2, Radford et al. 2019) leaves nothing unknown in any script. SentencePiece (Kudo and Richardson 2018) learns
# from raw text, spaces included, and falls back to bytes if asked to.

# %%
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

by_bytes = Tokenizer(models.BPE())
by_bytes.pre_tokenizer = pre_tokenizers.ByteLevel()
by_bytes.decoder = decoders.ByteLevel()
alphabet = pre_tokenizers.ByteLevel.alphabet()  # one printable sign for each of the 256 bytes
trainer = trainers.BpeTrainer(vocab_size=1000, initial_alphabet=alphabet, show_progress=False)
by_bytes.train_from_iterator(train, trainer)
for text in ("The small dog sleeps.", "Ångström", "東京"):
    unknown = theirs.encode(text).count(1)
    ids = by_bytes.encode(text).ids
    assert by_bytes.decode(ids).strip() == text
    print(f"{text}: from letters {unknown} unknown; from bytes {len(ids)} tokens for {len(text)} characters, none lost")

# %% [markdown]
# The price is seen in the last line: a script that the training text lacks costs three tokens a character (and one for
# the space in front).
#
# **Size and tying.** Vocabularies have grown to 100 000 entries and more, since texts are in many languages and longer
# tokens make shorter sequences. Many large models no longer tie. A count shows why they can afford it: a layer grows
# with d_model², a table with d_model. For a decoder-only model of N layers with d_ff = 4 · d_model, attention has 4 ·
# d_model² and the feed-forward network 8 · d_model² numbers a layer.

# %%
counts_base = parameter_counts(BASE)
print(f"paper's base: one table is {counts_base['embeddings and output'] / sum(counts_base.values()):.0%} of the model")
for layers, width, entries in ((12, 768, 50_000), (32, 4096, 128_000)):
    body, rows = layers * 12 * width**2, entries * width
    one, two = rows / (body + rows), 2 * rows / (body + 2 * rows)
    print(f"N = {layers}, d_model = {width}, V = {entries:,}: one table is {one:.0%}, two are {two:.0%} of the model")

# %% [markdown]
# ## Recap
#
# * Text → tokens → ids → vectors. Byte-pair encoding merges frequent neighbours: nothing unknown, a little longer.
# * An embedding is a product with a one-hot matrix, done as a look-up; only rows that were read get a gradient from it.
# * × √d_model is the ratio of two needs: at most about 1/√d_model in the table for the logits, 1 beside the position.
# * Tying is one Parameter with several names. It saves 37.9 million of 101 million in the base model.
# * Batches by token budget of sentences sorted by length have next to no padding; a mask, True = may be attended to,
#   hides the rest.
#
# Next: chapter 02 tells each vector where it stands. To read on: Sennrich, Haddow and Birch (2016), "Neural Machine
# Translation of Rare Words with Subword Units"; Press and Wolf (2017), "Using the Output Embedding to Improve Language
# Models".
