"""Chapter 09, a recurrent encoder–decoder, as strangers answer: slips of learners, of language
models and of those who would rather not write it, and right answers in unusual clothes.
"""

import functools

import torch
from torch import nn
from torch.nn import functional as F

from utils.exercises.chapter_09.references import RecurrentPair, gru_step, read_sequence
from utils.transformer import PADDING

# 9.3 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Kept(nn.Module):
    """The constructor that the chapter gives."""

    def __init__(self, embedding, encoder, decoder, output):
        super().__init__()
        self.embedding, self.encoder, self.decoder, self.output = embedding, encoder, decoder, output


def encoded(self, source, real=None):
    x = self.embedding(source)
    begin = x.new_zeros(len(source), self.encoder.hidden_size)
    return read_sequence(self.encoder, x, source != PADDING if real is None else real, begin)


def decoded(self, target, state, real=None):
    return read_sequence(self.decoder, self.embedding(target), target != PADDING if real is None else real, state)[0]


def usual(self, source, target):
    return self.output(decoded(self, target, encoded(self, source)[1]))


def kept(forward):
    return type("Answer", (Kept,), {"forward": lambda self, source, target: forward(self, source, target)})


def six_units(self, source, target):
    begin = torch.zeros(len(source), 6)
    _, state = read_sequence(self.encoder, self.embedding(source), source != PADDING, begin)
    return self.output(decoded(self, target, state))


def as_wide_as_embedded(self, source, target):
    x = self.embedding(source)
    _, state = read_sequence(self.encoder, x, source != PADDING, x.new_zeros(len(source), x.size(-1)))
    return self.output(decoded(self, target, state))


def last_column(self, source, target):
    """Reads padding, and takes the last column."""
    states, _ = encoded(self, source, torch.ones_like(source, dtype=torch.bool))
    return self.output(decoded(self, target, states[:, -1]))


def begin_skipped(self, source, target):
    return self.output(decoded(self, target, encoded(self, source)[1], target > 3))


def encoder_states_read(self, source, target):
    states, _ = encoded(self, source)
    zeros = states.new_zeros(len(source), self.decoder.hidden_size)
    return self.output(decoded(self, target, zeros) + states.mean(1, keepdim=True))


def bare_table(self, source, target):
    """The table's rows without the embedding's factor."""
    x, y = F.embedding(source, self.embedding.weight), F.embedding(target, self.embedding.weight)
    _, state = read_sequence(self.encoder, x, source != PADDING, x.new_zeros(len(x), self.encoder.hidden_size))
    return self.output(read_sequence(self.decoder, y, target != PADDING, state)[0])


def positions_first(self, source, target):
    return usual(self, source, target).transpose(0, 1)


def one_logit_row(self, source, target):
    return self.output(decoded(self, target, encoded(self, source)[1])[:, -1:])


def drops(self, source, target):
    return self.output(decoded(self, target, F.dropout(encoded(self, source)[1], 0.5, self.training)))


def noise_for_zeros(self, source, target):
    x = self.embedding(source)
    begin = 0.1 * torch.randn(len(source), self.encoder.hidden_size)
    return self.output(decoded(self, target, read_sequence(self.encoder, x, source != PADDING, begin)[1]))


def first_state(self, source, target):
    return self.output(decoded(self, target, encoded(self, source)[0][:, 0]))


def summed_states(self, source, target):
    return self.output(decoded(self, target, encoded(self, source)[0].sum(1)))


def longest_state(self, source, target):
    return self.output(decoded(self, target, encoded(self, source)[0].amax(1)))


def target_mask_for_source(self, source, target):
    real = (target != PADDING)[:, :1].expand_as(source)
    return self.output(decoded(self, target, encoded(self, source, real)[1]))


def source_in_place(self, source, target):
    source[source == PADDING] = 3
    return usual(self, source, target)


def without_a_graph(self, source, target):
    with torch.no_grad():
        _, state = encoded(self, source)
    return self.output(decoded(self, target, state))


class InAList(nn.Module):
    """Parts in a plain list: no parameter is registered."""

    def __init__(self, embedding, encoder, decoder, output):
        super().__init__()
        self.parts = [embedding, encoder, decoder, output]

    embedding, encoder, decoder, output = (property(lambda self, i=i: self.parts[i]) for i in range(4))

    def forward(self, source, target):
        """As asked for."""
        return usual(self, source, target)


class LearntBeginning(Kept):
    """Begins with a parameter that happens to be zero."""

    def __init__(self, embedding, encoder, decoder, output):
        super().__init__(embedding, encoder, decoder, output)
        self.begin = nn.Parameter(torch.zeros(encoder.hidden_size))

    def forward(self, source, target):
        """As asked for."""
        begin = self.begin.expand(len(source), -1)
        _, state = read_sequence(self.encoder, self.embedding(source), source != PADDING, begin)
        return self.output(decoded(self, target, state))


class GoesOn(Kept):
    """The next call begins where the last one ended."""

    state = None

    def forward(self, source, target):
        """As asked for."""
        x = self.embedding(source)
        begin = self.state if self.state is not None else x.new_zeros(len(source), self.encoder.hidden_size)
        _, self.state = read_sequence(self.encoder, x, source != PADDING, begin)
        return self.output(decoded(self, target, self.state))


class Halves(Kept):
    """Changes the weights that it is given."""

    def __init__(self, embedding, encoder, decoder, output):
        super().__init__(embedding, encoder, decoder, output)
        for parameter in self.parameters():
            nn.init.normal_(parameter)

    def forward(self, source, target):
        """As asked for."""
        return usual(self, source, target)


WRONG_9_3 = {
    "six units": (kept(six_units), None),
    "begins as wide as the embedding": (kept(as_wide_as_embedded), None),
    "the last column": (kept(last_column), "padding"),
    "BEGIN skipped": (kept(begin_skipped), "more than padding"),
    "states of the encoder added": (kept(encoder_states_read), None),
    "the table without its factor": (kept(bare_table), None),
    "positions first": (kept(positions_first), "shape"),
    "one position": (kept(one_logit_row), "shape"),
    "dropout on the way": (kept(drops), "training mode"),
    "begins with noise": (kept(noise_for_zeros), None),
    "the first state": (kept(first_state), "has read one word"),
    "states summed": (kept(summed_states), "the sum of the encoder's states"),
    "largest of the states": (kept(longest_state), None),
    "the target's mask for the source": (kept(target_mask_for_source), "padding"),
    "source changed": (kept(source_in_place), "`source`"),
    "encoder under no_grad": (kept(without_a_graph), "gradient"),
    "parts in a plain list": (InAList, "parameters"),
    "a learnt beginning": (LearntBeginning, "parameters"),
    "goes on from the last call": (GoesOn, "second call"),
    "weights drawn anew": (Halves, None),
    "logits halved": (kept(lambda self, s, t: usual(self, s, t) / 2), "0.5 times"),
    "no mask, target's length": (kept(lambda self, s, t: usual(self, s[:, : t.size(1)], t)), None),
    "a list of rows": (kept(lambda self, s, t: list(usual(self, s, t))), "Tensor"),
}


class Sequential(nn.Module):
    """Other names, a static helper, a loop over tokens with the cells' own weights."""

    def __init__(self, words, reader, writer, scores):
        super().__init__()
        self.words, self.reader, self.writer, self.scores = words, reader, writer, scores

    @staticmethod
    def step(cell, x, state):
        """One step of that cell."""
        return gru_step(x, state, cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)

    def forward(self, source, target):
        """As asked for."""
        state = torch.zeros(source.shape[0], self.reader.weight_hh.shape[1])
        for t in range(source.shape[1]):
            new = self.step(self.reader, self.words(source[:, t]), state)
            state = torch.where(source[:, t].ne(PADDING).unsqueeze(1), new, state)
        rows = []
        for tokens in target.unbind(1):
            state = self.step(self.writer, self.words(tokens), state)
            rows.append(self.scores(state)[:, None])
        return torch.cat(rows, 1)


class Encoded(RecurrentPair):
    """A subclass whose forward calls two methods."""

    def encode(self, source):
        """The summary: the state at the last real word."""
        states, _ = encoded(self, source)
        last = source.ne(PADDING).sum(1).sub(1)
        return states.gather(1, last[:, None, None].expand(-1, 1, states.size(-1)))[:, 0]

    def forward(self, source, target):
        """As asked for."""
        return self.output(decoded(self, target, self.encode(source)))


class Dictionary(nn.Module):
    """Keeps its parts in reverse order, in a ModuleDict."""

    def __init__(self, embedding, encoder, decoder, output, **options):
        super().__init__()
        self.held = nn.ModuleDict(dict(output=output, decoder=decoder, encoder=encoder, embedding=embedding))

    def __getattr__(self, name):
        return (
            super().__getattr__("held")[name]
            if name in ("output", "decoder", "encoder", "embedding")
            else (super().__getattr__(name))
        )

    def forward(self, source, target, **options):
        """As asked for."""
        return usual(self, source, target)


RIGHT_9_3 = {
    "other names, own steps": Sequential,
    "a subclass with encode": Encoded,
    "a ModuleDict in reverse": Dictionary,
    "last of the states": kept(lambda self, s, t: self.output(decoded(self, t, encoded(self, s)[0][:, -1]))),
    "source.bool()": kept(lambda self, s, t: self.output(decoded(self, t, encoded(self, s, s.bool())[1], t > 0))),
    "partial class": functools.partial(RecurrentPair),
    "state None to begin with": kept(
        lambda self, s, t: self.output(
            decoded(self, t, read_sequence(self.encoder, self.embedding(s), s != 0,
                                           torch.zeros_like(self.encoder(self.embedding(s[:, 0]))))[1])
        )
    ),
    "output by hand": kept(lambda self, s, t: decoded(self, t, encoded(self, s)[1]) @ self.output.weight.T),
}  # fmt: skip


WRONG = {"9.3": WRONG_9_3}
RIGHT = {"9.3": RIGHT_9_3}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
