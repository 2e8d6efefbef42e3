# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 10 · What attention looks at (appendix, figures 3–5)
#
# **Where we are.** The translator is built and trained. Today nothing is added to it: you look inside, measure what you
# see, and find out how far that explains what it does.
#
# ![Figure 1 with the three kinds of attention lit](../assets/figure1_10.svg)
#
# After this chapter you can
#
# * take the attention maps out of any model, and label their rows and columns right;
# * say in numbers how well a head aligns words, against controls that know nothing;
# * find the head that finds the verb, the article's noun or the separable prefix, or show that there is none;
# * prune a head, and say what BLEU loses by it;
# * give two reasons, both measured, why weights are not explanations.
#
# About 150 minutes, six exercises (one of them optional), 13 points and 2 for the optional one.

# %% tags=["setup"]
# The set-up cell is written by the build.

# %% [markdown]
# ## The idea
#
# Attention weights are the one part of the model that seems to speak to us: a row of them says where a word has looked.
#
# > **Paper (§4, at its end; appendix, figures 3–5).** Many heads of the trained model behave in ways that appear to have
# > to do with the structure of sentences. Figure 3 follows a verb to a distant word that belongs to it, figure 4 a
# > pronoun to what it stands for, figure 5 shows two heads of one layer that do different things.
#
# > **Note.** These are three hand-picked examples from one layer of one model. Our corpus comes from a grammar, so each
# > pair has its **gold alignment** (which word translates which) and its parse trees on record. So we can count, over
# > hundreds of sentences and all heads, and compare with controls.
#
# There are three kinds of attention, and their maps must not be mixed up. **Rows are always queries.**
#
# | map | rows (queries) | columns (keys) | shape | what it cannot see |
# |---|---|---|---|---|
# | encoder | source words | source words | (S, S) | padding |
# | decoder | words being *written* | BEGIN and the words *read* so far | (T, T) | padding, and what comes later |
# | cross: attention to the source | words being *written* | source words | (T, S) | padding |
#
# Each has a map for every layer and head. S and T are the lengths of source and target; S counts END; T counts END in
# the rows and BEGIN in the columns.

# %% [markdown]
# ## Predict
#
# Three questions, to be answered before anything is run: put the letter of your answer behind the number, as in
# `predict("10.a", "b")`.

# %%
predict("10.a")

# %%
predict("10.b")

# %%
predict("10.c")

# %% [markdown]
# ## A model to look into
#
# A small translator, trained for 500 updates (13 seconds of a quiet core, twice that on a busy one). It is not good yet;
# a recorded run below repeats the measurements with other seeds.

# %% tags=["machine"]
from utils.training.short import train_briefly

small = dict(d_model=64, d_ff=128, batch_tokens=1024, warmup=100, peak=6e-3)
run = train_briefly(updates=500, **small)
tokeniser = run.tokeniser
print(f"loss on validation sentences: {run.valid_loss:.2f} nats a token")

# %% [markdown]
# Training used the fast, fused attention, which never writes its weights down. The same numbers go into the clear
# form, `MultiHeadAttention` of chapter 04, which returns (output, weights).

# %%
from utils.transformer import CLEAR, Transformer

model = Transformer(run.model.config, CLEAR)
model.load_state_dict(run.model.state_dict())
model.eval()
print(model.config.layers, "layers in each stack,", model.config.heads, "heads in each attention")
print(type(model.decoder.layers[0].cross_attention).__name__)

# %% [markdown]
# ## Hooks
#
# The attention returns its weights to the layer, and the layer throws them away. You could rewrite the layer. Or you
# hang a **hook** on the attention: a function that PyTorch calls each time a module has run, with the module, its inputs
# and its result. What registers it gives back a handle, and `handle.remove()` takes the hook off again.

# %%
from torch import nn

linear, seen = nn.Linear(3, 2), []
handle = linear.register_forward_hook(lambda module, inputs, result: seen.append(result.shape))
linear(torch.zeros(4, 3))
handle.remove()
linear(torch.zeros(5, 3))
print(seen)

# %% [markdown]
# The second call left no trace. A hook that is not removed stays for good, and collects tensors in every later call.
#
# ### Exercise 10.1 · Take the maps out of a model
#
# Difficulty 3 · 25 minutes · 3 points.
#
# Hang a hook on each attention of one kind, run the model once, and return what was caught, first layer first. The
# layers are in `model.encoder.layers` and `model.decoder.layers`. An encoder layer has `self_attention`; a decoder layer
# has `self_attention` and `cross_attention`. Dropout must be off while you look (`model.eval()`), and no gradients are
# needed. Afterwards everything is as before: no hook left, and the mode (`model.training`, `model.train(mode)`) as you
# found it.

# %%
# Exercise 10.1: take the maps out of a model
def maps_of(model, source, target, which):
    """The weights of all heads of one kind of attention, taken out of a model while it runs (§3.2.3).

    model(source, target) runs a `Transformer` of clear parts; source: (batch, source_len) ids; target:
    (batch, target_len) ids, BEGIN first; which: "encoder", "decoder" or "cross".
    Returns (layers, batch, heads, query_len, key_len), without dropout; the model is left as it was found.
    """
    ### BEGIN SOLUTION
    if which == "encoder":
        attentions = [layer.self_attention for layer in model.encoder.layers]
    elif which == "decoder":
        attentions = [layer.self_attention for layer in model.decoder.layers]
    else:
        attentions = [layer.cross_attention for layer in model.decoder.layers]
    caught = []
    hooks = [
        attention.register_forward_hook(lambda module, inputs, result: caught.append(result[1]))
        for attention in attentions
    ]
    was_training = model.training
    model.eval()
    with torch.no_grad():
        model(source, target)
    model.train(was_training)
    for hook in hooks:
        hook.remove()
    return torch.stack(caught)
    ### END SOLUTION


# %%
check("10.1", maps_of)

# %%
hint("10.1")

# %% [markdown]
# ## Labels
#
# Which words belong to rows and columns? The decoder reads the target *shifted right*: BEGIN, and then each word one
# place later. At the place where it reads "Maria" it is about to write the next word, and looks for that one. So rows
# bear the words being **written**; the columns of the decoder's own map bear the words **read**.
#
# | place | 0 | 1 | 2 | 3 |
# |---|---|---|---|---|
# | column of the decoder's map: word read | BEGIN | Maria | lacht | . |
# | row: word being written | Maria | lacht | . | END |
#
# `views` puts that into code, for any sentence and the translation that the model itself writes. BEGIN shows as `<s>`,
# END as `</s>`.

# %%
from utils.plots import View
from utils.text import source_batch, split_words
from utils.transformer import BEGIN, PADDING
from utils.translation import translate

known = {word for english, _ in run.corpus.split("train") for word in split_words(english)}


def views(sentence):
    """{kind of attention: its maps for a sentence and the model's own translation, with their labels}."""
    if unknown := [word for word in split_words(sentence) if word not in known]:
        raise ValueError(f"The training sentences have no {', '.join(unknown)}.")
    source = source_batch(tokeniser, [sentence])
    written = tokeniser.encode(translate(run.model, tokeniser, [sentence])[0])
    target = torch.tensor([[BEGIN, *written]])
    asked, read = tokeniser.tokens(source[0].tolist()), tokeniser.tokens(target[0].tolist())
    writing = [*read[1:], "</s>"]
    maps = {which: maps_of(model, source, target, which)[:, 0] for which in ("encoder", "decoder", "cross")}
    return {
        "encoder": View(maps["encoder"], asked, asked, "query (source word)", "key (source word)"),
        "decoder": View(maps["decoder"], writing, read, "query (word being written)", "key (word read)"),
        "cross": View(maps["cross"], writing, asked, "query (word being written)", "key (source word)"),
    }


# %% [markdown]
# ## See
#
# Every head of every kind, for sentences of your own. In JupyterLab the cell below has lists to choose from, and a line
# to type a sentence into (end with Enter; words that the training sentences do not have are named). On GitHub, and
# wherever no kernel runs, one picture stands in their place.

# %%
sentences = [
    "Maria threw away this white shoe.",
    "The teacher who sees the dog wants to buy a house.",
    "Today the king does not open the door because he is sick.",
]
plots.HeadChooser(views, sentences, attention="cross", layer=2, head="all heads")

# %% [markdown]
# Things to try: the decoder's maps have nothing above the diagonal; in the encoder, many rows rest on the diagonal
# (the word looks at itself); in *cross*, rows of German words point at English ones; and some rows rest on
# `</s>` or the full stop.
#
# The paper draws the same numbers as lines, and its figure 3 shows all heads for one query only. Here is the row that is
# to write "weg", the separable prefix of *wegwerfen*, with the right translation going in. Each head of the attention to
# the source stands at the left.

# %%
pair_source, pair_target = "Maria threw away this white shoe.", "Maria warf diesen weißen Schuh weg."
source = source_batch(tokeniser, [pair_source])
words = tokeniser.tokens(source[0].tolist())
target = torch.tensor([[BEGIN, *tokeniser.encode(pair_target)]])
row = split_words(pair_target).index("weg")  # the row that writes it: what it reads is "Schuh"
cross = maps_of(model, source, target, "cross")[:, 0]  # (layers, heads, target_len, source_len)
rows = cross[:, :, row].flatten(0, 1)  # (layers · heads, source_len)
heads = [f"{number // 4 + 1}.{number % 4 + 1}" for number in range(8)]
assert torch.allclose(rows.sum(-1), torch.ones(8))
print(f"row {row}: reads {tokeniser.tokens(target[0].tolist())[row]!r}, is to write 'weg'; columns:", *words)
plots.attention_lines(rows, heads, words, "Where eight heads look before the prefix \"weg\" is written",
                      query_axis="layer.head", key_axis="key (source word)")

# %% [markdown]
# A picture of one sentence shows what can happen. How often it happens is a matter of counting.

# %% [markdown]
# ## Alignment: by hand
#
# A word of the translation is **linked** to the source word that its row looks at most. The grammar's links are of two
# kinds. A link is **sure** (S) where neither word has another one. The others are **possible** (P): "warf" and "weg"
# both go with "threw" and with "away", and one of them is enough. Every sure link is possible, too.
#
# The **alignment error rate** compares the links A that were made with both:
#
# AER = 1 − (|A ∩ S| + |A ∩ P|) / (|A| + |S|)
#
# It is 0 when every link made is possible and no sure one is missing. (The measure is Och and Ney's, 2003; it is older
# than attention.) Three rows, by hand: the first link is sure, the second possible only, the third wrong.

# %%
weights = torch.tensor([[0.8, 0.1, 0.1], [0.2, 0.5, 0.3], [0.6, 0.3, 0.1]])
sure = torch.tensor([[1, 0, 0], [0, 0, 0], [0, 0, 1]]).bool()
possible = torch.tensor([[1, 0, 0], [0, 1, 1], [0, 0, 1]]).bool()
in_sure = in_possible = 0
for number, line in enumerate(weights):
    column = line.argmax().item()
    in_sure += int(sure[number, column])
    in_possible += int(possible[number, column])
print(f"A∩S {in_sure}, A∩P {in_possible}, A {len(weights)}, S {int(sure.sum())}")
print("AER", 1 - (in_sure + in_possible) / (len(weights) + int(sure.sum())))

# %% [markdown]
# ### Exercise 10.2 · The alignment error rate
#
# Difficulty 2 · 20 minutes · 3 points.
#
# The same for any number of sentences at once. Two rules: rows without any possible link (commas, END, padding) make no
# link, and all counts run over everything before you divide once. (A link to a column that is no word, such as `</s>`,
# does count in A: it is simply wrong.) `torch.nn.functional.one_hot(columns, width)` turns column numbers into rows with a
# single 1.

# %%
# Exercise 10.2: the alignment error rate
def alignment_error_rate(weights, sure, possible):
    """How wrong a map is as a word alignment: 1 − (|A∩S| + |A∩P|) / (|A| + |S|) (Och and Ney 2003).

    weights: (..., target_len, source_len); sure, possible: bool, the same shape, every sure link is possible too.
    A: each row that has a possible link is linked to the column of its largest weight. Counts run over everything.
    Returns a float; without any link in A or S the rate is 0.
    """
    ### BEGIN SOLUTION
    columns = weights.argmax(dim=-1)  # (..., target_len)
    links = nn.functional.one_hot(columns, weights.size(-1)).bool() & possible.any(dim=-1, keepdim=True)
    made = links.sum() + sure.sum()
    if made == 0:
        return 0.0
    right = (links & sure).sum() + (links & possible).sum()
    return 1 - (right / made).item()
    ### END SOLUTION


# %%
check("10.2", alignment_error_rate)

# %%
hint("10.2")

# %% [markdown]
# ## Test the claim: cross-attention aligns words
#
# The paper does not say so; it is a reading of attention older than the paper (Bahdanau et al., 2015, drew such maps).
#
# 500 test sentences, the right translation going in word by word. `gold_links` reads the grammar's record: bool
# (sentences, target_len, source_len), padded like the maps. Four controls:
#
# * **same place**: a head that looks as far along in the source as the row is in the target;
# * **random**: a source place drawn anew for each row;
# * **untrained**: the same model before its first update;
# * **wrong label**: the trained heads, with each row named by the word that is read (question 10.a).

# %%
from utils.experiments.looking import as_batch
from utils.experiments.relations import offset_map, gold_links
from utils.text.grammar import embedded_corpus

valid, test = embedded_corpus().valid[:500], embedded_corpus().test[:500]
sure, possible = gold_links(test)
real = as_batch(tokeniser, test)[0] != PADDING  # (sentences, source_len)
random_map = torch.rand(possible.shape, generator=torch.Generator().manual_seed(0)) * real[:, None]
same_place = alignment_error_rate(offset_map(test), sure, possible)
random_rate = alignment_error_rate(random_map, sure, possible)
print(f"{int(possible.sum())} links, {sure.sum() / possible.sum():.0%} of them sure")
print(f"AER of the controls: same place {same_place:.3f}, random {random_rate:.3f}")

# %%
def rates(model, pairs, later=0):
    """The rate of each head, (layers, heads). later=1 takes the row below, where the word is read."""
    sure, possible = gold_links(pairs)
    maps = maps_of(model, *as_batch(tokeniser, pairs), "cross").roll(-later, dims=-2)
    by_head = maps.transpose(1, 2)  # (layers, heads, batch, target_len, source_len)
    return torch.tensor([[alignment_error_rate(head, sure, possible) for head in layer] for layer in by_head])


# %% tags=["machine"]
torch.manual_seed(0)
trained, wrong_label = rates(model, test), rates(model, test, later=1)
untrained = rates(Transformer(model.config, CLEAR).eval(), test)
for layer, line in enumerate(trained):
    print(f"layer {layer + 1}, AER of its heads:", "  ".join(f"{rate:.2f}" for rate in line))
print(f"best untrained head {untrained.min():.2f}; the trained ones, wrongly labelled, {wrong_label.min():.2f} at best")
assert (trained < same_place).sum() >= 6 and same_place < min(untrained.min(), wrong_label.min())

# %%
from utils.plots.style import NotebookFigure, house_style

with house_style():
    figure = NotebookFigure(figsize=(9, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, values, colour, lift in (("trained", trained, "#0072B2", -3), ("wrong label", wrong_label, "#CC79A7", 5),
                                       ("untrained", untrained, "#D55E00", -11)):
        axes.plot(range(8), values.flatten(), "o", color=colour)
        axes.annotate(name, (7, values[-1, -1]), textcoords="offset points", xytext=(9, lift), color=colour)
    for name, value in (("same place", same_place), ("random", random_rate)):
        axes.axhline(value, color="#5f5f5f", linestyle="--", linewidth=1)
        axes.annotate(name, (-0.6, value), textcoords="offset points", xytext=(0, -11), color="#5f5f5f")
    axes.set_xticks(range(8), [f"layer {n // 4 + 1}\nhead {n % 4 + 1}" for n in range(8)])
    axes.set(ylabel="alignment error rate\n(0: every word right)", ylim=(0, 1.03), xlim=(-0.7, 8.4))
    better = int((trained < same_place).sum())
    title = f"{better} of 8 trained heads align better than same place; untrained heads are near random"
    figure.suptitle(title, weight="bold")
print(f"{better} of 8 trained heads are below same place")
figure

# %% [markdown]
# One model might be luck. The recorded run trained three seeds and measured each in the same way.

# %%
import json

recorded = json.loads((course / "assets/runs/10-looking.json").read_text(encoding="utf-8"))
results = recorded["results"]
print(recorded["command"], "\n", recorded["settings"])
aer = torch.tensor([result["rates"] for result in results])  # (seeds, layers, heads)
for result, rates_of_seed in zip(results, aer):
    print(f"seed {result['seed']}: BLEU {result['bleu']:.1f}, AER {rates_of_seed.min():.2f} to {rates_of_seed.max():.2f}")
print(f"{(aer < same_place).sum()} of {aer.numel()} heads align better than same place")
assert (aer < same_place).sum() == aer.numel() - 1

# %%
again = False  # True repeats the recorded run: about 4 minutes on one CPU core
if again:
    import subprocess

    command = "-m utils.experiments.looking --out my-looking.json".split()
    subprocess.run([sys.executable, *command], cwd=course, check=True)

# %% [markdown]
# **Verdict: holds here.** Nobody told the model which word comes from which, and all heads of the attention to the
# source but one, in three seeds, align words better than the best control. Two limits. The rates are far from 0: 0.17 in the best
# of these heads, 0.53 in the worst, so a single map names many wrong words. And the alignment belongs to the row that *writes*: with
# the wrong label heads are no better than random links (first figure; yours may differ a little).

# %% [markdown]
# ## Heads that follow the grammar
#
# Alignment is one relation. The trees know others:
#
# | | encoder (English) | decoder (German) | cross |
# |---|---|---|---|
# | **verb** | subject → its verb | verb → its subject | verb → its subject in English |
# | **noun** | article → its noun | noun → its article | article → its noun in English |
# | **prefix** | particle ("away") → its verb | prefix ("weg") → its verb | prefix → its verb in English |
#
# Left of each arrow stands the row. A German article needs to know its noun, since it agrees with it: "this" becomes
# *dieser*, *diese*, *dieses* or *diesen*. The noun is not written yet, so only the source can tell. And a decoder looks
# back only, so there the row is always the later word.
#
# ### Exercise 10.3 · What a head finds
#
# Difficulty 3 · 20 minutes · 2 points.
#
# `relation` is True in the cells that a head would look at if it followed a relation. A row may have several such cells
# (any of them will do) or none (then it does not count). For each head: in which share of the rows that have one does
# the largest weight stand on one? `tensor.gather(-1, columns)` reads, in each row, the entries at the columns given.

# %%
# Exercise 10.3: what a head finds
def found(weights, relation):
    """For each head: in which share of the rows with a wanted column does the largest weight stand on one?

    weights: (batch, heads, query_len, key_len); relation: bool (batch, query_len, key_len), True = wanted.
    Returns (heads,), counted over all rows of all sentences; zeros where no row wants anything.
    """
    ### BEGIN SOLUTION
    columns = weights.argmax(dim=-1, keepdim=True)  # (batch, heads, query_len, 1)
    wanted = relation[:, None].expand_as(weights)
    hits = wanted.gather(-1, columns).squeeze(-1)  # (batch, heads, query_len)
    asked = relation.any(dim=-1).sum()
    return hits.sum(dim=(0, 2)) / asked.clamp(min=1)
    ### END SOLUTION


# %%
check("10.3", found)

# %%
hint("10.3")

# %% [markdown]
# A head that "finds the article's noun" may just look at the next word: most nouns follow their article at once. So the
# control is the best **fixed offset**, from 8 places before to 8 after, counted from the row's own word (in *cross*, from
# the same place). Head and offset are chosen on validation sentences and measured on test sentences.

# %%
from utils.experiments.relations import KINDS, RELATIONS, best_offset, relation_cells

asked, offsets = {}, {}
for kind in KINDS:
    for relation in RELATIONS:
        cells = relation_cells(test, kind, relation)
        by = best_offset(valid, kind, relation)
        asked[kind, relation] = int(cells.any(dim=-1).sum())
        offsets[kind, relation] = found(offset_map(test, kind, by)[:, None], cells).item()
        print(f"{kind:8}{relation:7} {asked[kind, relation]:4} rows   offset {by:+}: {offsets[kind, relation]:.0%}")

# %% tags=["machine"]
best = {}
for kind in KINDS:
    for relation in RELATIONS:
        shares = []
        for pairs in (valid, test):
            maps = maps_of(model, *as_batch(tokeniser, pairs), kind)
            shares.append(torch.stack([found(layer, relation_cells(pairs, kind, relation)) for layer in maps]))
        layer, head = divmod(shares[0].argmax().item(), 4)
        best[kind, relation] = shares[1][layer, head].item()
        print(f"{kind:8}{relation:7} layer {layer + 1}, head {head + 1}: {best[kind, relation]:4.0%}"
              f"   best offset {offsets[kind, relation]:4.0%}")

# %%
def columns_of(results):
    """{(kind, relation): [share of the best head, one a seed]} of recorded results."""
    names = results[0]["finds"]
    return {tuple(name.split()): [result["finds"][name]["share"] for result in results] for name in names}


with house_style():
    figure = NotebookFigure(figsize=(9, 3.6), layout="constrained")
    axes = figure.subplots()
    for place, key in enumerate(offsets):
        shares = [100 * share for share in columns_of(results)[key]]
        label = "best head, one dot a seed" if place == 0 else None
        axes.plot([place] * len(shares), shares, "o", color="#0072B2", alpha=0.7, label=label)
    axes.hlines([100 * share for share in offsets.values()], [p - 0.35 for p in range(9)], [p + 0.35 for p in range(9)],
                color="#D55E00", linewidth=2, label="best fixed offset")
    axes.set_xticks(range(9), [f"{kind}\n{relation}" for kind, relation in offsets])
    axes.set(ylabel="rows whose largest weight\nstands on the wanted word (%)", ylim=(0, 103))
    axes.legend(loc="upper center", ncols=2, bbox_to_anchor=(0.5, 1.14), frameon=False)
    figure.suptitle("In every seed, heads beat a fixed offset for the German prefix, and for nothing else", weight="bold")
wins = [" ".join(key) for key in offsets if min(columns_of(results)[key]) > offsets[key]]
print("best head above the best offset in every seed:", ", ".join(wins))
for key in offsets:
    print(f"{' '.join(key):15} offset {offsets[key]:4.0%}   best head", *(f"{share:4.0%}" for share in columns_of(results)[key]))
assert wins == ["decoder prefix", "cross prefix"]
figure

# %% [markdown]
# **Verdict: holds for the separable prefix, and for little else.** Before a prefix is written, one head of the attention
# to the source points at the English verb in about nine of ten rows (of 74, so a row is more than a point), and one of the decoder's own heads at the German
# verb, in every seed far more often than any fixed offset. For article and noun the best head is somewhere around the
# offset, above it by much in one seed and below it in another. Between subject and verb the decoder's best head is level
# with "one word back", and the heads of the encoder and of *cross* find next to nothing; an English particle's verb
# stands one place before it, and no head looks there reliably. A picture of one sentence in which a head links a
# subject to its verb could have been found, and would have proved nothing.
#
# > **Note.** Why the prefix? A guess, not tested here: which prefix it is hangs on a verb several words back, and no
# > fixed step leads there. The subject of a German verb, in contrast, is the word just before it in 72 % of its rows.

# %% [markdown]
# ## Pruning
#
# That a head looks somewhere does not say that anybody needs it. What if it falls silent? The heads' outputs stand side
# by side before W^O, head 0 first:
#
# > **Paper (§3.2.2).** MultiHead(Q, K, V) = Concat(head_1, …, head_h) W^O
#
# A row of W^O says what becomes of one number of one head. Set the d_v rows of a head to zero, and nobody hears it. One
# trap: `nn.Linear` keeps its matrix turned over, (d_model, h · d_v), so the rows of W^O are *columns* of `.weight`.
#
# ### Exercise 10.4 · Prune a head
#
# Difficulty 2 · 15 minutes · 2 points.

# %%
# Exercise 10.4: prune a head
def pruned(weight, heads, silenced):
    """The weight of an output projection that no longer hears some heads (§3.2.2: rows of W^O set to zero).

    weight: (d_model, heads · d_v), W^O as nn.Linear stores it; silenced: list of numbers of heads, from 0.
    Returns the same shape; `weight` stays as it is, and gradients still reach it.
    """
    ### BEGIN SOLUTION
    parts = weight.unflatten(1, (heads, -1)).clone()  # (d_model, heads, d_v)
    parts[:, silenced] = 0.0
    return parts.flatten(1)
    ### END SOLUTION


# %%
check("10.4", pruned)

# %%
hint("10.4")

# %% [markdown]
# It is the same as setting the head's output to zero before the heads are joined:

# %%
from utils.transformer.attention import join_heads, split_heads

attention = model.decoder.layers[1].cross_attention
each = torch.randn(2, 4, 5, 16, generator=torch.Generator().manual_seed(1))  # (batch, heads, length, d_v)
silent = each.clone()
silent[:, 2] = 0.0
with torch.no_grad():
    one = attention.output_projection(join_heads(silent))
    projection = attention.output_projection
    other = nn.functional.linear(join_heads(each), pruned(projection.weight, 4, [2]), projection.bias)
assert torch.allclose(one, other, atol=1e-5)
print("a silent head and a pruned W^O give the same")

# %% [markdown]
# Now each of the 24 heads in turn: its columns to zero, 200 test sentences translated greedily, BLEU, the columns back.
# The control at the other end: all four heads of a layer at once.

# %%
from utils.experiments.looking import without_heads
from utils.translation import score


def bleu_without(kind, layer, silenced):
    """BLEU of our model without some heads of one attention."""
    stack = run.model.encoder if kind == "encoder" else run.model.decoder
    block = stack.layers[layer]
    weight = (block.cross_attention if kind == "cross" else block.self_attention).output_projection.weight
    kept = weight.detach().clone()
    with torch.no_grad():
        weight.copy_(pruned(kept, 4, silenced))
        output = translate(run.model, tokeniser, [pair.source for pair in test[:200]], beam=1)
        weight.copy_(kept)
    return score(output, [pair.target for pair in test[:200]]).bleu


# %% tags=["machine"]
whole = bleu_without("cross", 0, [])
print(f"with all heads: BLEU {whole:.1f}")
lost = []
for kind in KINDS:
    for layer in range(2):
        without = [bleu_without(kind, layer, [head]) for head in range(4)]
        none = bleu_without(kind, layer, [0, 1, 2, 3])
        lost += [whole - bleu for bleu in without]
        print(f"{kind:8} layer {layer + 1}, without one head:", " ".join(f"{bleu:5.1f}" for bleu in without),
              f"  without all: {none:5.1f}")
with without_heads(run.model, "encoder", 0, [0, 1, 2, 3]):
    print(f"no self-attention in the encoder at all: BLEU {bleu_without('encoder', 1, [0, 1, 2, 3]):.1f}")
print(f"{sum(loss < whole / 4 for loss in lost)} of 24 heads cost less than a quarter of the BLEU")
assert sum(loss < whole / 4 for loss in lost) > 12  # most: small trainings differ from machine to machine

# %% [markdown]
# The recorded run did the same for each of its models, on 500 sentences, and also the opposite: **all but one**, where a
# single head of a layer is left.

# %%
def drops(results, what):
    """{kind: BLEU lost, (seeds, layers, heads or 1)} with "without" one head, "alone" or with "none"."""
    table = {kind: [[layer[what] for layer in result["bleu_without"][kind]] for result in results] for kind in KINDS}
    whole = torch.tensor([result["bleu"] for result in results])[:, None]
    return {kind: whole[..., None] - torch.tensor(left).reshape(len(results), 2, -1) for kind, left in table.items()}


for what, words in (("without", "one head less"), ("alone", "one head left"), ("none", "no head left")):
    print(f"{words}, BLEU lost (mean over seeds; heads sorted within a layer)")
    for kind, lost in drops(results, what).items():
        for layer in range(2):
            line = lost[:, layer].sort(-1).values.mean(dim=0).tolist()
            print(f"   {kind:8} layer {layer + 1}:", "  ".join(f"{loss:5.1f}" for loss in line))

# %%
with house_style():
    figure = NotebookFigure(figsize=(9, 3.6), layout="constrained")
    axes = figure.subplots()
    for what, words, colour in (("without", "one head less", "#0072B2"), ("alone", "one head left", "#E69F00"),
                                ("none", "no head left", "#D55E00")):
        shift = {"without": -0.2, "alone": 0.0, "none": 0.2}[what]
        for place, (kind, layer) in enumerate((kind, layer) for kind in KINDS for layer in range(2)):
            values = drops(results, what)[kind][:, layer].flatten()
            at, label = [place + shift] * len(values), words if place == 0 else None
            axes.plot(at, values, "o", color=colour, alpha=0.6, label=label)
    axes.axhline(0, color="#5f5f5f", linewidth=1)
    axes.set_xticks(range(6), [f"{kind}\nlayer {layer}" for kind in KINDS for layer in (1, 2)])
    axes.set(ylabel="BLEU lost (points)")
    axes.legend(loc="upper center", ncols=3, bbox_to_anchor=(0.5, 1.14), frameon=False)
    figure.suptitle("One head less costs most in the decoder's first layer", weight="bold")
one_less = torch.stack(list(drops(results, "without").values()))  # (kinds, seeds, layers, heads)
bleu = torch.tensor([result["bleu"] for result in results])[:, None, None]
print(f"one head less: {(one_less < bleu / 4).sum()} of {one_less.numel()} cost less than a quarter of the BLEU")
print(f"               {(one_less < bleu / 20).sum()} of {one_less.numel()} cost less than a twentieth")
elsewhere = torch.cat([one_less[0], one_less[2], one_less[1, :, 1:]], dim=1)  # all but the decoder's first layer
print(f"outside the decoder's first layer: at most {elsewhere.max():.1f} points lost")
print(f"no head left in an encoder layer: at most {drops(results, 'none')['encoder'].max():.1f} points lost")
assert drops(results, "none")["encoder"].max() < 8 and (one_less < bleu / 4).float().mean() > 0.8
figure

# %% [markdown]
# **Verdict: most heads can go one at a time; a layer of the decoder cannot.** That heads do different things (§4) does not
# make each of them necessary: outside the decoder's first layer no single head costs more than 9 points of about 50. That
# is not nothing: more than half of all heads cost over a twentieth of the BLEU. The exception is the decoder's first look
# at its own words: there one head less costs most, and a single head left is hardly better than none. And here is a
# surprise: **without any self-attention in one encoder layer** the translator loses less than 8 BLEU points in each seed,
# and the model of the page you read about 6 without any in both (yours stands above). At this size and after 500 updates the decoder can do with
# source words that know nothing of each other. (A better trained model, and longer sentences, need not be like this.)

# %% [markdown]
# ## Why weights are not explanations
#
# "It wrote *weg* because it looked at *away*." For this sentence to hold, other weights should have led to another
# word. Two ways to test that: change weights so that the head's output *cannot* change; and change them at will, and see
# whether anybody notices.
#
# ### First way: the output leaves the weights open
#
# The output of a head is a mixture of S values, each d_v wide. Given the output, the weights solve d_v equations, and
# one more says that they sum to one. With S > d_v + 1 unknowns, at least S − d_v − 1 directions are **free**: along
# them the weights change and the output does not. By hand, with three values of width 1: the middle one is the mean of
# the other two.

# %%
value = torch.tensor([[0.0], [1.0], [2.0]])
weights, free = torch.tensor([0.2, 0.6, 0.2]), torch.tensor([1.0, -2.0, 1.0])
for step in (0.0, 0.15, 0.3, -0.2):
    new = weights + step * free
    print([round(number, 2) for number in new.tolist()], "sum", round(new.sum().item(), 2), "output", new @ value)

# %% [markdown]
# From "mostly the middle" to "never the middle", and the output is 1 every time. The walk ends where a weight becomes
# zero; beyond that it would be negative.
#
# In general: put a column of ones beside the values, and call that matrix H, (S, d_v + 1). A step s changes neither
# output nor sum when sᵀH = 0. Any wish u has a part that does change them, H H⁺ u, where H⁺ is the **pseudo-inverse**
# (`torch.linalg.pinv`); what is left, u − H H⁺ u, is free. (`direction` is the wish.)
#
# ### Exercise 10.5 · Other weights, the same output
#
# Difficulty 4 · 30 minutes · 3 points.
#
# Walk along the free part of `direction` until the first weight is used up. A weight w that falls by f with each
# step lasts w / f steps; the smallest of these numbers, among the weights that fall, ends the walk. Where no direction is free, rounding leaves a tiny
# step that means nothing: if its norm is below 10⁻⁶ of direction's, return the weights as they are. Compute in float64
# (`.double()`), and return the dtype of `weights`.

# %%
# Exercise 10.5: other weights, the same output
def other_weights(weights, value, direction):
    """Other weights with the same output: as far as one can go along the part of `direction` that changes nothing.

    weights: (source_len,), none negative, sum 1; value: (source_len, d_v); direction: (source_len,).
    Returns (source_len,), none negative, sum 1, the same mixture of values; `weights` where no direction is free.
    """
    ### BEGIN SOLUTION
    held = torch.cat([value, torch.ones_like(value[:, :1])], dim=1).double()  # (source_len, d_v + 1)
    wish = direction.double()
    step = wish - held @ torch.linalg.pinv(held) @ wish
    falling = step < 0
    if step.norm() < 1e-6 * wish.norm() or not falling.any():
        return weights.clone()
    furthest = (weights[falling] / -step[falling]).min()
    return (weights + furthest * step).clamp(min=0).to(weights.dtype)
    ### END SOLUTION


# %%
check("10.5", other_weights)

# %%
hint("10.5")

# %% [markdown]
# Now in the model. d_v is 16 here, so sentences of 18 tokens or more leave something open. We take the twelve longest of
# the split `long` and the attention to the source of layer 2, and walk away from the largest weight of every row. All
# new weights go into the model at once: `exchanged` hangs a hook on the attention that recomputes its output with other
# weights (a hook that returns something replaces the result). Beside it the same with the untrained model.

# %%
from utils.experiments.looking import exchanged

longest = sorted(embedded_corpus().long, key=lambda pair: -len(pair.source_tokens))[:12]


def walked_away(model, pair):
    """(weights before, after, largest change of a logit): every row of layer 2's cross-attention walks away."""
    attention, caught = model.decoder.layers[1].cross_attention, {}
    hook = attention.register_forward_hook(lambda module, inputs, result: caught.update(key=inputs[2], maps=result[1]))
    with torch.no_grad():
        before = model(*as_batch(tokeniser, [pair]))
        hook.remove()
        maps = caught["maps"]  # (1, heads, target_len, source_len)
        values = split_heads(attention.value_projection(caught["key"]), 4)[0]  # (heads, source_len, d_v)
        away = -nn.functional.one_hot(maps[0].argmax(-1), maps.size(-1)).float()
        new = [[other_weights(w, value, d) for w, d in zip(*rows)] for *rows, value in zip(maps[0], away, values)]
        new = torch.stack([torch.stack(rows) for rows in new])[None]
        with exchanged(attention, lambda weights: new):
            return maps, new, (model(*as_batch(tokeniser, [pair])) - before).abs().max().item()


# %% tags=["machine"]
torch.manual_seed(0)
for name, looked_into in (("trained", model), ("untrained", Transformer(model.config, CLEAR).eval())):
    walks = [walked_away(looked_into, pair) for pair in longest]
    moved = torch.cat([(new - old).abs().sum(-1).flatten() / 2 for old, new, _ in walks])
    elsewhere = torch.cat([(new.argmax(-1) != old.argmax(-1)).flatten() for old, new, _ in walks]).float()
    print(f"{name:9} weight moved: mean {moved.mean():.3f}, at most {moved.max():.2f}; largest weight elsewhere in"
          f" {elsewhere.mean():.0%} of rows; logits differ by {max(change for *_, change in walks):.0e}")
    assert max(change for *_, change in walks) < 1e-3

# %% [markdown]
# The logits agree to rounding: same output, other weights, whatever the maps show. But look how far one could go. In the
# untrained model, whose weights are nearly even, the largest weight can be talked into standing elsewhere in most rows.
# In the trained one hardly anything moves: where a row has most of its weight in one place, the others are near zero
# already, and the free direction needs them to fall. So the free directions are there, as Question 10.c says, but along the
# one we tried a **sharp map can hardly move**. This way of doubting maps is worth less here than its equations promise.

# %% [markdown]
# ### Second way: who would notice?
#
# Now without any care for the head's output: one head's weights are made **even**, the same for every key that it may
# see. Its map then says nothing at all. In how many places does the model still predict the same word? (The right words
# before each place go in, as in training.)

# %%
def kept(results, kind):
    """The share of predicted words that stay the same, one number for each head of each seed."""
    return torch.tensor([result["words_kept"][kind] for result in results]).flatten()


for kind in KINDS:
    shares = kept(results, kind)
    most = (shares > 0.95).sum()
    print(f"{kind:8} even weights in one head: {shares.min():.0%} to {shares.max():.0%} of the words stay; "
          f"{most} of {len(shares)} heads keep more than 95 %")

# %%
with house_style():
    figure = NotebookFigure(figsize=(9, 3.0), layout="constrained")
    axes = figure.subplots()
    for place, (kind, colour) in enumerate(zip(KINDS, ("#009E73", "#D55E00", "#0072B2"))):
        heights = [2 - place + 0.3 * (n // 8 - 1) for n in range(8 * len(results))]
        axes.plot(100 * kept(results, kind), heights, "o", color=colour, alpha=0.7)
    axes.set_yticks([2, 1, 0], KINDS)
    axes.set(xlabel="predicted words that stay the same when one head's weights are made even (%)", ylim=(-0.6, 2.6),
             ylabel="kind of attention\n(one line a seed)")
    axes.axvline(90, color="#5f5f5f", linewidth=1, linestyle="--")
    figure.suptitle("Flatten one head, and most predicted words stay", weight="bold")
first = torch.tensor([result["words_kept"]["decoder"][0] for result in results])  # (seeds, heads) of layer 1
tenth = sum(int((kept(results, kind) > 0.9).sum()) for kind in KINDS)
print(f"{tenth} of {24 * len(results)} heads keep more than nine words of ten (dashed line)")
print(f"of the others, {(first <= 0.9).sum()} stand in the decoder's first layer")
assert tenth > 0.8 * 24 * len(results)
figure

# %% [markdown]
# **Verdict: for most words, the weights of one head alone are not the reason.** Here the weights are replaced by the least
# telling ones, and in most heads nine words of ten or more stay as they were. The exceptions, but for one a hair below the
# line, are heads of the decoder's first layer, where pruning hurt most as well. (One head at a time: several flattened
# together are another question.) The map of a head without which the words stay is not wrong: it says truly where the
# head looks. But "because it looked there" is a claim about what would have happened
# otherwise, and otherwise mostly the same happens. What does follow: look at **what changes when you change
# something** (BLEU without a head, words under other weights), and take maps as a place to form a guess.

# %% [markdown]
# ## Since 2017
#
# > **Since 2017.** Attention maps became a popular explanation, and then a disputed one. Jain and Wallace (2019) found
# > very different weights that give the same prediction; Wiegreffe and Pinter (2019) answered that this depends on what
# > one takes an explanation to be. Voita et al. (2019) pruned most encoder heads of a trained translator at little
# > cost; Michel et al. (2019) found that most heads can go one at a time, and about a fifth of them together. Brunner et al. (2020) counted the free directions of Exercise 10.5. Kobayashi et al. (2020) weigh each
# > weight by what it fetches, which is Exercise 10.6. Work on circuits goes on from weights to what is written into the
# > residual stream, and tests each claim by changing something, as you did.
#
# ### Exercise 10.6 · Weights times what they fetch (optional)
#
# Difficulty 3 · 20 minutes · 2 points.
#
# Key j hands over weight · value_j · W^O_i to query t in head i: a vector of width d_model. How long is it? `norm` means
# the root of the sum of squares. Head i's rows of W^O are, as above, columns of the stored weight.

# %%
# Exercise 10.6: weights times what they fetch
def contributions(weights, value, output_weight):
    """How much each key hands over to each query: the norm of weight · value · W^O (Kobayashi et al. 2020).

    weights: (heads, target_len, source_len); value: (heads, source_len, d_v); output_weight: (d_model, heads · d_v),
    as nn.Linear stores it. Returns (heads, target_len, source_len).
    """
    ### BEGIN SOLUTION
    parts = output_weight.unflatten(1, (len(value), -1))  # (d_model, heads, d_v)
    handed = torch.einsum("hsv,mhv->hsm", value, parts)  # (heads, source_len, d_model)
    return weights * handed.norm(dim=-1).unsqueeze(1)
    ### END SOLUTION


# %%
check("10.6", contributions)

# %%
hint("10.6")

# %% [markdown]
# What changes when the heads of our model are aligned by contributions in place of weights? The rate is that of Exercise
# 10.2, over 100 test sentences. (Without an answer of yours to 10.6, the course's is taken.)

# %% tags=["machine"]
from utils.exercises import yours

contributions = yours("10.6")
totals = torch.zeros(2, 2, 4)  # by weights and by contributions; layers; heads
for layer, block in enumerate(model.decoder.layers):
    attention, caught = block.cross_attention, []
    hook = attention.register_forward_hook(lambda module, inputs, result: caught.append((inputs[2], result[1])))
    with torch.no_grad():
        model(*as_batch(tokeniser, test[:100]))
        memory, maps = caught[0]  # (batch, source_len, d_model), (batch, heads, target_len, source_len)
        values = split_heads(attention.value_projection(memory), 4)
        weight = attention.output_projection.weight
        fetched = torch.stack([contributions(w, v, weight) for w, v in zip(maps, values)])
    hook.remove()
    gold = [links[:100, : maps.size(2), : maps.size(3)] for links in (sure, possible)]
    for row, numbers in enumerate((maps, fetched)):
        totals[row, layer] = torch.tensor([alignment_error_rate(numbers[:, head], *gold) for head in range(4)])
print("AER by weights      ", [round(rate, 2) for rate in totals[0].flatten().tolist()])
print("AER by contributions", [round(rate, 2) for rate in totals[1].flatten().tolist()])
print(f"largest difference {(totals[1] - totals[0]).abs().max():.3f}")

# %% [markdown]
# Next to nothing: in this model a key with a large weight also hands over much. A map of weights could have hidden a key
# whose value is near zero, and only this measurement shows that it did not, as far as alignment goes.

# %% [markdown]
# ## Recap
#
# * A hook takes the maps out of any model. Rows are queries; in the decoder and in *cross* they bear the words being
#   written, and with the wrong label the best head looks like a random one.
# * Nobody teaches alignment, and nearly all heads of the attention to the source align better than "same place".
# * Heads find the verb of a separable prefix far beyond any fixed offset; between subject and verb ours do no better than one.
# * Outside the decoder's first layer one head can go for 9 BLEU points at most. All heads of a layer of the decoder cannot;
#   those of one encoder layer cost less than 8.
# * Weights are not explanations: in most heads even weights change few words. A sharp map hardly moves along
#   directions that leave its output as it is; that the output mattered has to be shown by changing it.
#
# To read on: Voita et al. (2019), "Analyzing Multi-Head Self-Attention"; Michel et al. (2019), "Are Sixteen Heads Really
# Better than One?"; Jain and Wallace (2019), "Attention is not Explanation", with the answer by Wiegreffe and Pinter
# (2019), "Attention is not not Explanation".
