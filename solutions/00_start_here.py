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
# A translator reads a sentence in one language and writes it in another. Until 2017 the best ones were **recurrent**:
# a network read the sentence word by word, and handed a state on from each word to the next. Two things about that
# hurt. The tenth word has to wait for the ninth, so a sentence cannot be computed all at once, however many processors
# there are. And whatever the first word has to tell the last one passes through every state between them.
#
# Since 2014 such networks had had a helper, **attention** (Bahdanau et al.): before writing a word, the decoder looked
# back at all the words that had been read and took a weighted average of them, with weights computed on the spot.
#
# > **Paper (abstract, §1).** Leave out the recurrence. Let attention, which had been the helper, carry everything:
# > each word looks at all words directly, in the source, in the translation written so far, and from one to the other.
#
# > **Paper (§5, §6.1, Table 2).** Trained on 4.5 million English–German sentence pairs, the big model reaches 28.4 BLEU
# > on the newstest2014 test set, 2.0 more than the best published before, ensembles included; on English–French it
# > reaches 41.8. That takes 3.5 days on 8 GPUs. The base model reaches 27.3 in 12 hours.
#
# BLEU compares a translation with a reference, from 0 to 100: how many of its words, word pairs, triples and quadruples
# occur there. You will see some scores of your own below.
#
# > **Note.** Three things are often said of this paper that it does not say. It did not invent attention. It does not
# > use attention alone: the drawing has boxes of five other kinds, and they hold most of the parameters. And it is not
# > a language model like GPT: it has an encoder that reads one sentence and a decoder that writes another.
#
# > **Since 2017.** The decoder alone became GPT, the encoder alone BERT. What you build here is, with a few parts
# > exchanged, inside nearly every large language model. Each chapter ends with what has been exchanged, and why.

# %% [markdown]
# ## The drawing, box by box
#
# Read it from the bottom. The left column, the **encoder**, reads the source sentence. The right column, the
# **decoder**, writes the translation, one word at a time. In between, numbers travel: for every word one list of
# d_model of them, a **vector**.
#
# | box | what it does | you build it in |
# |---|---|---|
# | source ids | replaces each word by its number in a vocabulary | chapter 01 |
# | target ids, shifted right | the same for the translation so far, moved by one place: what a position gets in is the word before the one it has to find | 01, 06 |
# | embedding × √d_model | looks up the vector of each number in a table that is learnt | 01 |
# | + positions | adds a code for "first", "second", …, because nothing above knows the order of words | 02 |
# | self-attention | lets each word look at all words of its own sentence and fetch from them what it needs | 03, 04 |
# | masked self-attention | the same in the decoder, where nobody may look at words that are still to be written | 03, 04 |
# | attention to the source | lets each word of the translation look at the words that the encoder has read | 03, 04 |
# | feed-forward | works on the vector of each word by itself: a small network of two layers | 05 |
# | add and normalise | adds what a box has found to what went into it, and brings the sum back to a common scale | 05 |
# | N × | the dashed frame stands N times on top of itself, each time with weights of its own; N = 6 in the paper | 06 |
# | output layer and softmax | compares the last vector with the vector of each word of the vocabulary, and makes probabilities of it | 01, 06 |
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
print(f"{found['cores']} cores, {found['threads']} threads, {found['memory_gib']} GiB of memory, GPUs: {found['gpus'] or 'none'}")
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
print("exp of the scores           ", large.exp().tolist())
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
    """exp of each score."""
    return scores.exp()


check("0.1", without_division, seed=1)

# %% [markdown]
# Read such a report from the top.
#
# 1. The first line says whether the exercise is passed and how many points the answer has earned. Points are given for
#    parts: right values first, then shapes and edge cases.
# 2. Then comes what is wrong, and, where the check recognises it, **why**: it knows typical wrong answers to each
#    exercise, runs them on the same inputs, and names the one that gives your numbers.
# 3. The smallest input that shows it, what your code made of it, and what was expected. With three numbers you can do
#    it by hand.
# 4. Folded away: everything that was tried, with ✓ and ✗, and the seed. Inputs are drawn anew at each check; add
#    `seed=…` to get the same ones again while you search for a mistake.
#
# The second wrong answer has the right formula. It passes on ordinary numbers and fails where exp overflows, so it earns
# a part of the point:

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
# PyTorch has a softmax; here it is to be written out, and the check refuses an answer that calls it.

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
# answer. They cost no points. Click on a hint to open it.

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

run = train_briefly(corpus, d_model=64, d_ff=128, layers=2, heads=4, dropout=0.0, updates=1200, warmup=100, peak=6e-3)
model, tokeniser = run.model, run.tokeniser
parameters = sum(parameter.numel() for parameter in model.parameters())
print(f"{parameters:,} parameters, {tokeniser.vocab_size:,} words of English and German; validation loss {run.valid_loss:.2f}")

# %% [markdown]
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
# back in, until the best one is the mark for the end, `</s>`.

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
from utils.text.lexicon import load_lexicon

lexicon = load_lexicon()
print("who    ", ", ".join([name.english for name in lexicon.names][:6]), "and the", ", ".join(n.english for n in lexicon.nouns[:16]))
print("what   ", ", ".join(noun.english for noun in lexicon.nouns[60:90]))
print("is     ", ", ".join(adjective.english for adjective in lexicon.adjectives[:24]))
print("does   ", ", ".join(verb.english_third for verb in lexicon.verbs[:30]))
print("links  ", ", ".join(conjunction.english for conjunction in lexicon.conjunctions))

# %% [markdown]
# Write a sentence between the quotation marks, with a capital at the beginning and a full stop or question mark at the
# end. Good ones to try: a question ("Does the cat see a dog?"), something denied ("The king does not buy the car."), a
# clause ("Anna laughs because the horse is small."). Then try to break it: a sentence of 25 words, or one without sense.

# %%
sentence = "The old king buys a red car because he did not close the door."

from difflib import get_close_matches

from utils.text import split_words

known = {word for english, _ in corpus.split("train") for word in split_words(english)}
unknown = [word for word in split_words(sentence) if word not in known]
for word in unknown:
    near = ", ".join(get_close_matches(word, known, n=3)) or "nothing that looks like it"
    print(f"The training sentences have no {word!r}; they have {near}.")
if not unknown:
    print(translate(model, tokeniser, [sentence])[0])

# %% [markdown]
# ## See
