# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 00 · Start here: the paper, the machine, and how you will work
#
# **Where we are.** At the beginning. This is the model of "Attention Is All You Need" (Vaswani et al. 2017), drawn by
# us after the paper's figure 1. Every box is lit, because in this course you build every box.
#
# ![Figure 1 with all its boxes lit](../assets/figure1_00.svg)
#
# After this chapter you can
#
# * say in five sentences what the paper did, and what it did not do;
# * point at any box of the drawing, say what it is for, and in which chapter you will build it;
# * write an answer, have it checked, read the report, take a hint, and see your progress;
# * train a small translator in about a minute, type sentences into it, and read its attention map.
#
# About 30 minutes, one exercise, 1 point. You need Python, and to have met PyTorch's tensors; you need not have read
# the paper. To run a cell, click into it and press Shift + Enter. Run this one first:

# %% tags=["setup"]
# The set-up cell is written by the build.

# %% [markdown]
# ## The idea: the paper in one page
#
# A translator reads a sentence in one language and writes it in another. Until 2017 nearly all good ones were
# **recurrent**: a network read the sentence word by word, and handed a state on from each word to the next. Two things
# about that hurt. The tenth word has to wait for the ninth, so not even reading a sentence can be done all at once,
# however many processors there are. And whatever the first word has to tell the last one passes through every state
# between them.
#
# Since 2014 such networks had had a helper, **attention** (Bahdanau et al.): before writing a word, the decoder looked
# back at all the words that had been read and took a weighted average of them, with weights computed on the spot.
#
# > **Paper (abstract, §1).** Leave out the recurrence, and convolutions too. Let attention, which had been the helper,
# > bring words together by itself: within the source, within the translation, and from one to the other.
#
# > **Paper (§5, §6.1, Table 2).** Trained on 4.5 million English–German sentence pairs, the big model reaches 28.4 BLEU
# > on the newstest2014 test set, over 2 more than the best published before, ensembles included; on English–French it
# > reaches 41.8. That takes 3.5 days on 8 GPUs. The base model reaches 27.3 in 12 hours.
#
# BLEU compares translations with references, from 0 to 100: how many of their words, word pairs, triples and
# quadruples occur there. You will see some scores of your own below.
#
# > **Note.** Two things are often said of the paper that it does not say. It did not invent attention. And its model is
# > no language model like GPT, which continues a text: it has an encoder that reads one sentence and a decoder that
# > writes another.
#
# > **Since 2017.** The decoder alone became GPT, the encoder alone BERT. What you build here is, with a few parts
# > exchanged, inside nearly every large language model. Each chapter ends with what has been exchanged, and why.

# %% [markdown]
# ## The drawing, box by box
#
# Read it from the bottom. The left column, the **encoder**, reads the source sentence. The right column, the
# **decoder**, writes the translation. What travels along the arrows is, for every word, one list of d_model numbers: a
# **vector**.
#
# | box | what it does | you build it in |
# |---|---|---|
# | source ids | replaces each word by its number in a vocabulary | chapter 01 |
# | target ids, shifted right | the same for the translation, moved by one place: a position gets the word before the one it has to find | 01, 06 |
# | embedding × √d_model | looks up the vector of each number in a table that is learnt | 01 |
# | + positions | adds to each vector a code for its place: first, second, … | 02 |
# | self-attention | lets each word look at all words of its own sentence and fetch from them what it needs | 03, 04 |
# | masked self-attention | the same in the decoder, where no word may look at those that come after it | 03, 04 |
# | attention to the source | lets each word of the translation look at the words that the encoder has read | 03, 04 |
# | feed-forward | works on the vector of each word by itself: a small network of two layers | 05 |
# | add and normalise | adds what a box has found to what went into it, and brings the sum back to a common scale | 05 |
# | N × | the dashed frame stands N times on top of itself, each time with weights of its own; N = 6 in the paper | 06 |
# | output layer and softmax | compares a vector with those of all words of the vocabulary, and makes probabilities of that | 01, 06 |
#
# Only in the boxes named *attention* does anything pass from one word to another. All other boxes treat each word as if
# it were alone.
#
# These letters mean the same in every chapter:
#
# | symbol | in code | paper's base model | meaning |
# |---|---|---|---|
# | d_model | `d_model` | 512 | how many numbers stand for one word |
# | N | `layers` | 6 | encoder layers, and decoder layers |
# | h | `heads` | 8 | how many ways of looking one attention has |
# | d_ff | `d_ff` | 2048 | inner width of the feed-forward network |
# | V | `vocab_size` | about 37 000 | entries of the vocabulary, shared by both languages |

# %% [markdown]
# ## Predict
#
# Every chapter asks you a few questions before anything is run. A guess that turns out wrong is worth more here than
# no guess: you will remember why. Each cell shows its question; put the letter of your answer behind the number, as in
# `predict("0.a", "b")`, and run the cell again. You are told at once whether it holds, and the reason either way.

# %%
predict("0.a")

# %%
predict("0.b")

# %%
predict("0.c")

# %%
predict("0.d")

# %% [markdown]
# Question 0.b can be counted. `BASE` holds the sizes of the paper's base model, and `parameter_counts` does the sum for
# each box. (The paper's Table 3 says 65 million where we count 63; chapter 06 looks into that.)

# %%
from utils.transformer import BASE, parameter_counts

counts = parameter_counts(BASE)
total = sum(counts.values())
for name, count in counts.items():
    if count:
        print(f"{name:25} {count:12,} {count / total:6.1%}")
in_attention = sum(count for name, count in counts.items() if "attention" in name)
print(f"{'all':25} {total:12,}        of which in attention {in_attention / total:.0%}")
assert round(in_attention / total, 2) == 0.30

# %% [markdown]
# ## Your machine
#
# The whole course is made for an ordinary computer with two cores and no GPU. This cell says what you have, and what to
# expect of it.

# %% tags=["machine"]
import platform

from utils.training.device import choose_device, choose_precision, device_advice
from utils.training.origin import hardware
from utils.training.settings import MINUTES_ON_CPU

device, found = choose_device(), hardware()
print(f"Python {platform.python_version()}, PyTorch {torch.__version__}, on {found['processor']}")
print(f"{found['cores']} cores, {found['threads']} threads, {found['memory_gib'] or '?'} GiB of memory")
print(f"GPU: {', '.join(found['gpus']) or ('of Apple silicon' if device.type == 'mps' else 'none')}")
print(f"Training runs on {device}, in {choose_precision('auto', device) or torch.float32}.")
if device.type == "cpu":
    print(device_advice(device, "tiny", MINUTES_ON_CPU["tiny"]))
    print(f"Real text (preset multi30k) takes {MINUTES_ON_CPU['multi30k']} minutes. The paper's own sizes want a GPU.")
else:
    print("That is more than this course needs: every training of a chapter takes seconds to a few minutes.")

# %% [markdown]
# ## How exercises work
#
# An exercise is a function or class with a description of what goes in and what comes out. You write its body. Right
# under it stands a cell with `check`, which runs your code on inputs drawn anew each time and compares what comes out
# with the course's own answer. If they differ, it shows the smallest input on which they do, and, where it recognises
# the misunderstanding behind the numbers, says so.
#
# The warm-up is the **softmax**. It stands in the middle of every attention: the scores that say how well two words go
# together can be any numbers, and the softmax makes **weights** of them, positive and with sum one.
#
# > **Paper (§3.2.1, Eq. 1).** Attention(Q, K, V) = softmax(Q Kᵀ / √d_k) V
#
# Q, K and V are for chapter 03. Today only the softmax matters: the weight of score i is exp(s_i) / Σ_j exp(s_j).

# %% [markdown]
# ### By hand
#
# Take the scores 2, 1 and 0. Their exponentials are 7.39, 2.72 and 1, which add up to 11.11. So the weights are
# 7.39 / 11.11 = 0.67, then 0.24 and 0.09. A higher score gives more weight, and even the lowest one gets some.

# %%
import math

scores = [2.0, 1.0, 0.0]
exponentials = [math.exp(score) for score in scores]
weights = [exponential / sum(exponentials) for exponential in exponentials]
print("exponentials", [round(exponential, 2) for exponential in exponentials], "sum", round(sum(exponentials), 2))
print("weights     ", [round(weight, 2) for weight in weights])
assert math.isclose(sum(weights), 1)

# %% [markdown]
# ### What a computer adds
#
# A float32 ends at about 3.4 · 10³⁸, and exp grows fast: already exp(89) is too large and becomes `inf`. Infinity
# divided by infinity is `nan`, "not a number", which then spoils every number it touches. The way out costs nothing:
# subtract the largest score from all of them. Every exponential is multiplied by the same exp(−largest), which cancels
# in the quotient, and the largest number that exp ever gets is 0.

# %%
large = torch.tensor([90.0, 89.0, 88.0])
print("exp of the scores           ", [float(f"{number:.3g}") for number in large.exp().tolist()])
print("weights made of them        ", (large.exp() / large.exp().sum()).tolist())
smaller = (large - large.max()).exp()
print("with the largest subtracted ", [round(weight, 2) for weight in (smaller / smaller.sum()).tolist()])
assert torch.allclose(smaller / smaller.sum(), torch.tensor(weights))

# %% [markdown]
# The last line shows the weights from above again: 90, 89, 88 are 2, 1, 0 with 88 added to each.

# %% [markdown]
# ### A wrong answer, on purpose
#
# Before you write yours, see what a check says when something is missing. Here is an answer that forgets to divide. Run
# the cell; its ✗ is meant to be there.

# %% tags=["refused"]
def without_division(scores):
    """exp of each score, the largest of its row subtracted."""
    return (scores - scores.amax(dim=-1, keepdim=True)).exp()


check("0.1", without_division, seed=1)

# %% [markdown]
# Read such a report from the top.
#
# 1. The first line says whether the exercise is passed and how many points the answer has earned. Each case belongs to
#    a part, and a part earns its share if all its cases are right: 3 for values (mostly with dtypes and gradients), 2
#    for masks, 1 each for shapes, edge cases and properties, as far as the exercise has them, and nothing at all while
#    one of the values is wrong.
# 2. Then comes what is wrong, and, where the check recognises it, **why**: it knows typical wrong answers to each
#    exercise, runs them on the same inputs, and names the one that gives your numbers.
# 3. The smallest input that shows it, what your code made of it, and what was expected: small enough to redo by hand.
# 4. Folded away: everything that was tried, with ✓ and ✗, and the seed. Inputs are drawn anew at each check; add
#    `seed=…` to get the same ones again while you search for a mistake.
#
# The second wrong answer has the right formula. It is right on ordinary numbers and fails where exp overflows, which
# only edge cases try. So it earns 3 + 1 + 1 of 6 shares, rounded down to a quarter of a point:

# %% tags=["refused"]
def without_subtraction(scores):
    """The formula as it stands in a textbook."""
    return scores.exp() / scores.exp().sum(dim=-1, keepdim=True)


check("0.1", without_subtraction, seed=1)

# %% [markdown]
# ### Exercise 0.1 · A softmax written out
#
# Difficulty 1 · 5 minutes · 1 point.
#
# Now yours. `scores` is a tensor with any number of axes; a row along the **last** one belongs together. Three steps:
# subtract the largest score of each row, take exp, divide by the sum of each row. Two methods of tensors help, and
# `keepdim=True` makes them keep the last axis with size 1, so that the result lines up with the rows again:
# `scores.amax(dim=-1, keepdim=True)` and `.sum(dim=-1, keepdim=True)`.
#
# Put your lines in the place of the one that says `raise NotImplementedError`. PyTorch has a softmax; here it is to be
# written out, and the check refuses an answer that calls it.

# %%
# Exercise 0.1: a softmax written out
def softmax(scores):
    """exp(s_i) / Σ_j exp(s_j) over the last axis, as Eq. 1 uses it (§3.2.1).

    scores: (..., n). Returns weights of the same shape: positive, with sum one along the last axis.
    """
    ### BEGIN SOLUTION
    largest = scores.amax(dim=-1, keepdim=True)  # (..., 1)
    exponentials = (scores - largest).exp()  # (..., n), none above 1
    return exponentials / exponentials.sum(dim=-1, keepdim=True)
    ### END SOLUTION


# %%
check("0.1", softmax)

# %% [markdown]
# Stuck? `hint` gives the next of three hints each time its cell is run: a nudge, a push, and one that is nearly the
# answer. Hints cost no points. Click on one to open it.

# %%
hint("0.1")

# %% [markdown]
# Your softmax gives the numbers of PyTorch's own. From the next chapter on, use that one: it is the same, in one call.

# %%
torch.manual_seed(0)
scores = 100 * torch.randn(4, 6)
assert torch.allclose(softmax(scores), torch.softmax(scores, dim=-1))
print("the same as torch.softmax, for scores up to", round(scores.abs().max().item()))

# %% [markdown]
# ### What happens to a passed answer
#
# `check` has written your function into a file, `my_transformer/chapter_00.py`. So it is done with every exercise that
# passes. Later chapters fetch what they need from there with `yours`, and say whose code they got: yours, or the
# course's own where you have not passed an exercise. So nobody is stuck in chapter 04 because of something in 03.

# %%
from utils.exercises import yours

my_softmax = yours("0.1")
print([round(weight, 2) for weight in my_softmax(torch.tensor([2.0, 1.0, 0.0])).tolist()])

# %% [markdown]
# And `progress` draws the map of the course: one row for each chapter, one circle for each exercise. Click on a chapter
# to see its exercises by name.

# %%
progress()

# %% [markdown]
# ## A translator in about a minute
#
# Now the thing itself, as it will be when you have built all of it: the drawing above, only smaller. It learns from the
# **embedded corpus**, 20 000 English sentences with their German translations, which a grammar of this course makes on
# the spot. The 1 000 test sentences hold combinations of words that occur in no training sentence, such as a known
# adjective with a known noun that it never stood beside.

# %%
from utils.text import load_corpus

corpus = load_corpus("embedded", direction="en-de")
print({split: len(pairs) for split, pairs in corpus.splits.items()})
for english, german in corpus.split("test")[:3]:
    print(f"{english}\n   {german}")
assert not {source for source, _ in corpus.split("train")} & {source for source, _ in corpus.split("test")}

# %% [markdown]
# The model starts from random numbers and sees about 1 000 German words at a time. For each of them it is told what
# the next word should have been, and all its numbers are moved a little so that this word becomes more likely. That is
# one **update**. The **loss** measures how surprised it was by the right word; it falls as the model learns. To train
# takes under a minute on two quiet cores, and less on a GPU.

# %% tags=["machine"]
from utils.training.short import train_briefly

run = train_briefly(corpus, d_model=64, d_ff=128, layers=2, heads=4, dropout=0.0, updates=900, warmup=100, peak=1e-2)
model, tokeniser = run.model, run.tokeniser
parameters = sum(parameter.numel() for parameter in model.parameters())
print(f"{parameters:,} parameters, {tokeniser.vocab_size:,} words; validation loss {run.valid_loss:.2f}")
spread = run.settings.label_smoothing / tokeniser.vocab_size
right = 1 - run.settings.label_smoothing + spread
lowest = -right * math.log(right) - (tokeniser.vocab_size - 1) * spread * math.log(spread)
print(f"told that the right word has probability {right:.2f}, no model gets a loss below {lowest:.2f} in training")
assert lowest < min(record["loss"] for record in run.metrics if record["kind"] == "train")

# %% [markdown]
# The loss in training ends far above that of validation, on sentences that were kept aside. The reason is **label
# smoothing** (§5.4): in training the right word is said to have a probability of 0.9, and the rest is spread over the
# whole vocabulary. Against such a target no model gets down to zero, only to the number in the last line. In validation
# the right word counts alone, and zero could be reached.
#
# Let it translate 300 test sentences, and compare with the references:

# %% tags=["machine"]
from utils.translation import corpus_bleu, translate

pairs = corpus.split("test")[:300]
sources, references = [source for source, _ in pairs], [target for _, target in pairs]
translations = translate(model, tokeniser, sources)
bleu = corpus_bleu(translations, references).score
right = sum(translation == reference for translation, reference in zip(translations, references))
print(f"BLEU {bleu:.1f}; {right} of {len(pairs)} are the reference to the letter\n")
for source, translation, reference in list(zip(sources, translations, references))[:5]:
    print(f"source     {source}\ntranslated {translation}\nreference  {reference}\n")
assert bleu > 70 and right > len(pairs) / 2

# %% [markdown]
# > **Note.** This BLEU is not to be laid beside the paper's 28.4. Newspaper sentences have many good translations and a
# > large vocabulary; ours have one translation each and fewer than 2 000 words. A small corpus of known make is what
# > lets you see in a minute what an idea does.
#
# ### One word at a time
#
# This is the decoder at work, and the answer to question 0.d. It gets the words written so far, starting from a mark
# for the beginning, `<s>`, and gives a score for each word of the vocabulary. The best one is written down and goes
# back in, until the best one is the mark for the end, `</s>`. (`translate` does a little more: at each step it keeps
# the four best beginnings.)

# %%
from utils.text import source_batch
from utils.transformer import BEGIN, END

device = next(model.parameters()).device
source = source_batch(tokeniser, ["The boy sees a small dog."]).to(device)  # (1, source_len), ends with </s>
written = [BEGIN]
with torch.no_grad():
    while written[-1] != END and len(written) < 20:
        scores = model(source, torch.tensor([written], device=device))  # (1, target_len, V)
        written.append(scores[0, -1].argmax().item())
        print(" ".join(tokeniser.tokens(written)))

# %% [markdown]
# ### Your sentence
#
# Your turn to type. The vocabulary is small; these are some of the words it knows.

# %%
import difflib

from utils.text import split_words
from utils.text.lexicon import load_lexicon

lexicon = load_lexicon()
known = {word for english, _ in corpus.split("train") for word in split_words(english)}
print("who    ", ", ".join(entry.english for entry in (*lexicon.names[:6], *lexicon.nouns[:16])))
print("what   ", ", ".join(noun.english for noun in lexicon.nouns[60:90]))
print("is     ", ", ".join(adjective.english for adjective in lexicon.adjectives[:24]))
print("does   ", ", ".join(verb.english_third for verb in lexicon.verbs[:30]))
print("links  ", ", ".join(conjunction.english for conjunction in lexicon.conjunctions))
assert all(entry.english in known for entry in (*lexicon.names, *lexicon.nouns, *lexicon.adjectives))

# %% [markdown]
# Write a sentence between the quotation marks, with a capital at the beginning and a full stop or question mark at the
# end. Some to try: a question ("Does the cat see a dog?"), something denied ("The king does not buy the car."), a
# clause ("Anna laughs because the horse is small."). Then try to break it: with 25 words, or without sense. Run the
# cell again after each change.

# %% tags=["machine"]
sentence = "Today the teacher wants to visit the old king because he is sick."

unknown = [word for word in split_words(sentence) if word not in known]
for word in unknown:
    near = ", ".join(difflib.get_close_matches(word, known, n=3)) or "nothing that looks like it"
    print(f"The training sentences have no {word!r}; they have {near}.")
if not unknown:
    print(translate(model, tokeniser, [sentence])[0])

# %% [markdown]
# ## See: where the translator looks
#
# The box *attention to the source* gives every word of the translation a row of weights over the words of the source,
# made by a softmax such as yours. Such a row can be looked at. Take a pair in which the order of words changes: the
# second part of the German verb stands at the end of its clause.

# %%
from utils.text.grammar import embedded_corpus
from utils.transformer import attention_maps

pair = embedded_corpus().test[7]
source = source_batch(tokeniser, [pair.source]).to(device)  # (1, source_len)
target = torch.tensor([[BEGIN, *tokeniser.encode(pair.target)]], device=device)  # (1, target_len)
maps = attention_maps(model, source, target)
weights = maps.cross[-1][0].mean(dim=0).cpu()  # (target_len, source_len): the last layer, the mean of its heads
rows, columns = [*pair.target_tokens, "</s>"], [*pair.source_tokens, "</s>"]
assert torch.allclose(weights.sum(dim=-1), torch.ones(len(rows)), atol=1e-5)
for word in ("besucht", "Hotel"):
    print(f"when it writes {word!r} it looks most at {columns[weights[rows.index(word)].argmax()]!r}")
plots.attention_map(weights, rows, columns, "The German verb ends its clause, and looks back to the English one")

# %% [markdown]
# **How to read it.** Each **row is a query**: a word that is about to be written. Each **column is a key**: a word of
# the source. The brighter a cell, the more of that source word goes into the row's mixture; a row sums to one. Read a
# row from left to right, never a column from top to bottom: columns do not sum to anything in particular.
#
# One trap: at the moment when row "besucht" is computed, the decoder has not yet seen *besucht*. What it got as input
# is the word before, "Hotel" (the box says *shifted right*). The row shows where it looks to find the next word.
#
# The picture was the mean of four heads. Here is each by itself:

# %%
each = maps.cross[-1][0].cpu()  # (heads, target_len, source_len)
print(f"{len(each)} heads, each with a map of {each.size(1)} rows and {each.size(2)} columns")
plots.heads_grid(each, rows, columns, "The four heads of the last layer, each with its own map")

# %% [markdown]
# ## Test the claim: attention shows which word comes from which
#
# > **Paper (§4, at its end).** As a side benefit, self-attention could make a model easier to interpret: different
# > heads learn different tasks, many of which appear to have to do with the structure of sentences.
#
# We test that where the right answer is known. Our corpus was made by a grammar, so it is on record for each German
# word which English word it stands for: its **gold alignment**. Does the attention to the source find it, which nobody
# has shown to the model? Here is the alignment of the pair above.

# %%
for position, word in enumerate(pair.target_tokens):
    partners = [pair.source_tokens[s] for s, t in pair.alignment if t == position]
    print(f"{word:9} ← {', '.join(partners) or 'nothing'}")

# %% [markdown]
# So we can count. For each German word: does the largest weight of its row stand on a gold source word? Two controls
# tell what such a number is worth. **Chance** points at a random word of the source. **Same place** points at the word
# that stands as far along in the source as this one in the target. It is the harder one to beat, since the two
# languages often agree in order. Commas and full stops are left out.

# %%
def gold_words(pairs):
    """The German words that have a counterpart: [(sentence, position, positions of its source words), …]."""
    found = []
    for number, pair in enumerate(pairs):
        for position, word in enumerate(pair.target_tokens):
            partners = {s for s, t in pair.alignment if t == position}
            if partners and word.isalpha():
                found.append((number, position, partners))
    return found


def share(guess, words):
    """How many of the words are guessed right, by a function of sentence and position."""
    return sum(guess(number, position) in partners for number, position, partners in words) / len(words)


# %%
def same_place(number, position):
    """The source position that is as far along as this target position."""
    source_end, target_end = len(test[number].source_tokens) - 1, len(test[number].target_tokens) - 1
    return round(position / target_end * source_end)


valid, test = embedded_corpus().valid[:300], embedded_corpus().test[:300]
words = gold_words(test)
diagonal = share(same_place, words)
chance = sum(len(partners) / len(test[number].source_tokens) for number, _, partners in words) / len(words)
print(f"{len(words)} German words in {len(test)} test sentences: chance {chance:.0%}, same place {diagonal:.0%}")

# %% [markdown]
# Now the model: every head of every layer, the right translation going in word by word. The best head is chosen on
# validation sentences and then measured on test sentences, as anything that is chosen should be. A third control is the
# same model **untrained**, with random numbers for parameters.

# %%
from torch.nn.utils.rnn import pad_sequence

from utils.transformer import Transformer


def shares(model, pairs, later=0):
    """The share of each head, (layers, heads); later=1 takes the row below, where the word is the input."""
    source = source_batch(tokeniser, [pair.source for pair in pairs]).to(device)
    targets = [torch.tensor([BEGIN, *tokeniser.encode(pair.target)]) for pair in pairs]
    target = pad_sequence(targets, batch_first=True).to(device)  # (sentences, target_len)
    weights = torch.stack(attention_maps(model, source, target).cross)  # (layers, sentences, heads, target, source)
    looks, words = weights.argmax(dim=-1).transpose(1, 2).tolist(), gold_words(pairs)
    return torch.tensor([[share(lambda n, p: head[n][p + later], words) for head in layer] for layer in looks])


# %% tags=["machine"]
layer, head = divmod(shares(model, valid).argmax().item(), 4)
trained, below = shares(model, test), shares(model, test, later=1)
torch.manual_seed(0)
untrained = shares(Transformer(model.config).to(device).eval(), test)
best, one_below = trained[layer, head], below[layer, head]
print(f"{best:.0%} of the German words look most at a gold source word, in head {head + 1} of layer {layer + 1}")
print(f"all eight trained heads: {trained.min():.0%} to {trained.max():.0%}")
print(f"best untrained head {untrained.max():.0%}; the best trained one, taken from one row below, {one_below:.0%}")
assert best > 0.85 > 0.6 > diagonal > 3 * max(chance, untrained.max(), one_below)

# %%
from utils.plots.style import NotebookFigure, house_style

with house_style():
    figure = NotebookFigure(figsize=(9, 3.2), layout="constrained")
    axes = figure.subplots()
    for name, values, colour, lift in (("trained", trained, "#0072B2", -3), ("untrained", untrained, "#D55E00", -12)):
        axes.plot(range(8), 100 * values.flatten(), "o", color=colour)
        axes.annotate(name, (7, 100 * values[-1, -1]), textcoords="offset points", xytext=(9, lift), color=colour)
    for name, value in (("same place", diagonal), ("chance", chance)):
        axes.axhline(100 * value, color="#5f5f5f", linestyle="--", linewidth=1)
        axes.annotate(name, (-0.6, 100 * value), textcoords="offset points", xytext=(0, 4), color="#5f5f5f")
    axes.set_xticks(range(8), [f"layer {n // 4 + 1}\nhead {n % 4 + 1}" for n in range(8)])
    axes.set(ylabel="German words that look most\nat a gold source word (%)", ylim=(0, 100), xlim=(-0.7, 8.2))
    figure.suptitle("Trained heads find the word that is being translated; untrained ones do not", weight="bold")
print(f"dashed: the controls, same place {diagonal:.0%} and chance {chance:.0%}")
figure

# %% [markdown]
# **Verdict: holds here, for the attention to the source.** The model was only ever told the next word, and the best
# head finds the word that it comes from far more often than "same place" does. Three things keep this from being a law.
# It is a small model on short sentences, in which nearly every word has one counterpart. Heads differ: the cell above
# prints how far the eight lie apart. And where a head looks is not yet why the model writes what it writes: the values
# that it fetches there count as well, and so do all other boxes.
#
# "One row below" is the trap from above in numbers: who takes the row that *reads* a word for the row that *writes* it
# finds next to nothing.
#
# Here is the best head on the sentence that you typed. The stronger a line, the larger the weight:

# %% tags=["machine"]
translation = translate(model, tokeniser, [sentence])[0]
source, target_ids = source_batch(tokeniser, [sentence]).to(device), tokeniser.encode(translation)
maps = attention_maps(model, source, torch.tensor([[BEGIN, *target_ids]], device=device))
print(f"{sentence}\n{translation}")
plots.attention_lines(
    maps.cross[layer][0, head], [*tokeniser.tokens(target_ids), "</s>"], tokeniser.tokens(source[0].tolist()),
    f"Where head {head + 1} of layer {layer + 1} looks in your sentence",
)

# %% [markdown]
# ## Since 2017
#
# The drawing has held. What has been exchanged in it since, with the chapter that builds the exchange beside the
# original:
#
# > **Since 2017.** The normalisation moved from behind each box to before it, and became simpler (RMSNorm, chapter 05).
# > Positions are turned into the queries and keys instead of being added at the bottom (rotary positions, 02). Heads
# > share their keys and values, so that generating needs less memory (grouped queries, 04). The weights are never
# > stored as a whole (FlashAttention, 03). The feed-forward network has a gate (SwiGLU, 05). And the decoder stands
# > alone, trained to continue text (06).
#
# > **Note.** The translator above has one of these already: it normalises before each box, which chapter 05 compares
# > with the paper's way. It also does without the paper's dropout, for in a minute it has no time to learn sentences by
# > heart.
#
# ## What you will have at the end
#
# The model that you trained above came from `utils/transformer`. Each box of it is an exercise of a coming chapter, and
# what you pass is kept in `my_transformer/`. When all of it is there, in a terminal,
#
# ```
# python -m utils train --model mine
# ```
#
# trains a translator out of them, and says of each part whose it is. `python -m utils train` does the same with the
# course's own parts, in a model twice as wide and with more updates. This is what a recorded run of it gave:

# %%
import json

recorded = json.loads((course / "assets/runs/tiny-cpu.json").read_text(encoding="utf-8"))
minutes = max(record.get("seconds", 0) for record in recorded["metrics"]) / 60
settings = recorded["settings"]
print(f"{recorded['command']}   (recorded with seed {recorded['seed']} on {recorded['hardware']['cores']} cores)")
print(f"d_model {settings['d_model']}, {settings['updates']} updates, {minutes:.1f} minutes")
for evaluation in recorded["evaluations"]:
    print(f"{evaluation['test_set']:14} BLEU {evaluation['scores']['bleu']:.1f}")

# %% [markdown]
# The last lines say something else, too: on sentences longer than any it was trained on (`long`), the same model does
# much worse. Why, and what helps, is a question that runs through several chapters.

# %% [markdown]
# ## Recap
#
# * The paper took a translator with attention and left out the recurrence, so that all words of a sentence can be
#   computed at once in training; writing a translation still goes word by word.
# * The drawing has an encoder that reads and a decoder that writes. Only attention passes anything between words.
# * Of the base model's 63 million parameters three tenths lie in attention, four in feed-forward networks, three in the
#   embeddings.
# * A softmax is exp, divided by the row's sum, with the largest score subtracted first.
# * A row of an attention map is a query, a word about to be written. In a minute of training some heads learn to look
#   at the word that is being translated.
#
# Next: chapter 01 turns words into numbers and numbers into vectors. To read on: the paper itself,
# [arXiv:1706.03762](https://arxiv.org/abs/1706.03762), of which sections 1 and 3 with figure 1 are enough for now; and
# Bahdanau et al. (2014), "Neural Machine Translation by Jointly Learning to Align and Translate".
