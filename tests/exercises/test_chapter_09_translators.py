"""Chapter 09, an encoder–decoder without attention and a step with it, from outside: plausible wrong answers that no
misconception was written for, and unusual right ones. Each wrong one comes with words that its
report must hold, or None.
"""

import torch
from torch import nn

from utils.exercises.chapter_09.references import RecurrentPair, attentive_step, read_sequence
from utils.transformer import END, PADDING

# 9.3 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Kept(nn.Module):
    """Keeps its parts under the names that most would take."""

    def __init__(self, embedding, encoder, decoder, output):
        super().__init__()
        self.embedding, self.encoder, self.decoder, self.output = embedding, encoder, decoder, output

    def zeros(self, ids, fill=0.0):
        """(batch, d_hidden)."""
        return torch.full((len(ids), self.encoder.hidden_size), fill)

    def summary(self, source):
        """The encoder's last states."""
        return read_sequence(self.encoder, self.embedding(source), source != PADDING, self.zeros(source))[1]

    def write(self, target, state):
        """The decoder's states."""
        real = torch.ones_like(target, dtype=torch.bool)
        return read_sequence(self.decoder, self.embedding(target), real, state)[0]


def kept(forward):
    """A module of those parts with that forward(self, source, target)."""
    return type("Answer", (Kept,), {"forward": lambda self, source, target: forward(self, source, target)})


def starts_from_ones(self, source, target):
    real = source != PADDING
    _, summary = read_sequence(self.encoder, self.embedding(source), real, self.zeros(source, 1.0))
    return self.output(self.write(target, summary))


def summary_at_every_step(self, source, target):
    """Every step begins again from the summary."""
    summary = self.summary(source)
    states = [self.decoder(token, summary) for token in self.embedding(target).unbind(1)]
    return self.output(torch.stack(states, 1))


def summary_added(self, source, target):
    return self.output(self.write(target, self.zeros(target)) + self.summary(source)[:, None])


def greedy_feeding(self, source, target):
    """Reads its own choice in place of the target."""
    state, token, rows = self.summary(source), target[:, 0], []
    for _ in range(target.size(1)):
        state = self.decoder(self.embedding(token[:, None])[:, 0], state)
        rows.append(self.output(state))
        token = rows[-1].argmax(-1)
    return torch.stack(rows, 1)


def target_backwards(self, source, target):
    return self.output(self.write(target.flip(1), self.summary(source)).flip(1))


def first_sentence_only(self, source, target):
    return self.output(self.write(target, self.summary(source[:1]).expand(len(target), -1)))


def source_and_target_exchanged(self, source, target):
    return self.output(self.write(source, self.summary(target)))


def tanh_on_the_way(self, source, target):
    return self.output(self.write(target, self.summary(source).tanh()))


def zero_at_padding(self, source, target):
    states, _ = read_sequence(self.encoder, self.embedding(source), source != PADDING, self.zeros(source))
    return self.output(self.write(target, (states * (source != PADDING)[..., None])[:, -1]))


def only_in_training(self, source, target):
    logits = self.output(self.write(target, self.summary(source)))
    return logits if self.training else logits.softmax(-1)


def states_of_before(self, source, target):
    summary = self.summary(source)
    states = self.write(target, summary)
    return self.output(torch.cat([summary[:, None], states[:, :-1]], 1))


class OwnParts(Kept):
    """Makes new cells instead of keeping those that it is given."""

    def __init__(self, embedding, encoder, decoder, output):
        super().__init__(embedding, nn.GRUCell(encoder.input_size, encoder.hidden_size), decoder, output)

    def forward(self, source, target):
        """As asked for."""
        return self.output(self.write(target, self.summary(source)))


def unknown_as_padding(self, source, target):
    real = source > PADDING + 1
    return self.output(
        self.write(target, read_sequence(self.encoder, self.embedding(source), real, self.zeros(source))[1])
    )


def unknown_target_skipped(self, source, target):
    states, _ = read_sequence(self.decoder, self.embedding(target), target != 1, self.summary(source))
    return self.output(states)


def end_not_read(self, source, target):
    real = (source != PADDING) & (source != END)
    return self.output(
        self.write(target, read_sequence(self.encoder, self.embedding(source), real, self.zeros(source))[1])
    )


WRONG_9_3 = {
    "unknown words as padding": (kept(unknown_as_padding), "unknown"),
    "unknown target words skipped": (kept(unknown_target_skipped), "unknown"),
    "END not read": (kept(end_not_read), None),
    "starts from ones": (kept(starts_from_ones), None),
    "the summary at every step": (kept(summary_at_every_step), None),
    "the summary added": (kept(summary_added), None),
    "reads its own choice": (kept(greedy_feeding), None),
    "target backwards": (kept(target_backwards), None),
    "first sentence's summary": (kept(first_sentence_only), None),
    "exchanged": (kept(source_and_target_exchanged), None),
    "tanh on the way": (kept(tanh_on_the_way), None),
    "zero at padding": (kept(zero_at_padding), None),
    "right in training mode only": (kept(only_in_training), "evaluation mode"),
    "states of before": (kept(states_of_before), None),
    "own parts": (OwnParts, None),
    "not a module": (lambda *parts: None, "nn.Module"),
    "with the summary": (kept(lambda self, s, t: (self.output(self.write(t, self.summary(s))), self.summary(s))), None),
    "detached": (kept(lambda self, s, t: self.output(self.write(t, self.summary(s).detach()))), None),
    "argmax": (kept(lambda self, s, t: self.output(self.write(t, self.summary(s))).argmax(-1)), "shape"),
    "vocabulary before length": (kept(lambda self, s, t: self.output(self.write(t, self.summary(s))).mT), None),
    "nothing": (kept(lambda self, s, t: None), None),
}


class OtherNames(nn.Module):
    """Other attribute names, and a loop over sentences."""

    def __init__(self, table, reader, writer, head):
        super().__init__()
        self.parts = nn.ModuleDict({"table": table, "reader": reader, "writer": writer, "head": head})

    def forward(self, source, target):
        """As asked for."""
        rows = []
        for words, tokens in zip(source, target, strict=True):
            state = None
            for vector in self.parts["table"](words[words != PADDING][None])[0]:
                state = self.parts["reader"](vector[None], state)
            states = []
            for vector in self.parts["table"](tokens[None])[0]:
                state = self.parts["writer"](vector[None], state)
                states.append(state)
            rows.append(self.parts["head"](torch.cat(states)))
        return torch.stack(rows)


class Subclassed(RecurrentPair):
    """A subclass that adds a method."""

    def encode(self, source):
        """The summary."""
        return read_sequence(self.encoder, self.embedding(source), source != PADDING, self.start(source))[1]

    def start(self, source):
        """A state of zeros."""
        return self.embedding(source).new_zeros(len(source), self.encoder.hidden_size)


def packed_by_hand(self, source, target):
    """Sorted by length, shorter and shorter batches, as packing does."""
    lengths = (source != PADDING).sum(1)
    embedded, state = self.embedding(source), self.zeros(source)
    for t in range(int(lengths.max())):
        rows = (lengths > t).nonzero()[:, 0]
        state = state.index_copy(0, rows, self.encoder(embedded[rows, t], state[rows]))
    return self.output(self.write(target, state))


def step_by_step(self, source, target):
    state, logits = self.summary(source), []
    for t in range(target.size(1)):
        state = self.decoder(self.embedding(target[:, t : t + 1]).squeeze(1), state)
        logits.append(self.output(state))
    return torch.stack(logits, dim=1)


class Optional(Kept):
    """A constructor and a forward with more arguments, with defaults."""

    def __init__(self, embedding, encoder, decoder, output, dropout=0.0):
        super().__init__(embedding, encoder, decoder, output)

    def forward(self, source, target, state=None):
        """As asked for."""
        return self.output(self.write(target, self.summary(source) if state is None else state))


RIGHT_9_3 = {
    "other names, sentence by sentence": OtherNames,
    "subclassed": Subclassed,
    "packed by hand": kept(packed_by_hand),
    "step by step": kept(step_by_step),
    "more arguments": Optional,
    "target not masked": kept(lambda self, source, target: self.output(self.write(target, self.summary(source)))),
}


# 9.4 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def asked(attention, state, memory, real):
    context, weights = attention(state[:, None], memory, memory, real[:, None])
    return context[:, 0], weights[:, 0]


def changed(change):
    """change(cell, embedded, state, memory, context, weights) after a right look back."""
    return lambda cell, attention, embedded, state, memory, real: change(
        cell, embedded, state, memory, *asked(attention, state, memory, real)
    )


def step(cell, embedded, context, state):
    return cell(torch.cat([embedded, context], -1), state)


def hardest(cell, embedded, state, memory, context, weights):
    """The word with the largest weight in place of the average."""
    return step(cell, embedded, memory[torch.arange(len(memory)), weights.argmax(-1)], state), weights


def context_twice(cell, embedded, state, memory, context, weights):
    new = step(cell, embedded, context, state)
    return step(cell, embedded, context, new), weights


def residual(cell, embedded, state, memory, context, weights):
    return state + step(cell, embedded, context, state), weights


def query_is_zero(cell, attention, embedded, state, memory, real):
    context, weights = asked(attention, torch.zeros_like(state), memory, real)
    return step(cell, embedded, context, state), weights


def memory_masked(cell, attention, embedded, state, memory, real):
    """Sets padding to zero in place of masking it."""
    memory = memory * real[..., None]
    context, weights = attention(state[:, None], memory, memory)
    return step(cell, embedded, context[:, 0], state), weights[:, 0]


def weights_masked_late(cell, attention, embedded, state, memory, real):
    _, weights = attention(state[:, None], memory, memory)
    weights = weights[:, 0] * real
    return step(cell, embedded, (weights[:, None] @ memory)[:, 0], state), weights


def memory_changed(cell, attention, embedded, state, memory, real):
    memory[~real] = 0.0
    return attentive_step(cell, attention, embedded, state, memory, real)


def batch_as_queries(cell, attention, embedded, state, memory, real):
    """All states ask the first sentence's memory."""
    context, weights = attention(state[None], memory[:1], memory[:1], real[:1, None])
    return step(cell, embedded, context[0], state), weights[0]


def no_embedding(cell, embedded, state, memory, context, weights):
    return step(cell, torch.zeros_like(embedded), context, state), weights


WRONG_9_4 = {
    "hard choice": (changed(hardest), None),
    "two steps": (changed(context_twice), None),
    "state added": (changed(residual), None),
    "nobody asks": (query_is_zero, None),
    "padding zeroed": (memory_masked, None),
    "masked after the softmax": (weights_masked_late, None),
    "memory changed": (memory_changed, "`memory`"),
    "first sentence's memory": (batch_as_queries, None),
    "token ignored": (changed(no_embedding), "`embedded`"),
    "context zero": (changed(lambda c, e, s, m, x, w: (step(c, e, 0 * x, s), w)), None),
    "context doubled": (changed(lambda c, e, s, m, x, w: (step(c, e, 2 * x, s), w)), None),
    "state alone": (lambda *a: attentive_step(*a)[0], "tuple of 2"),
    "other order": (lambda *a: attentive_step(*a)[::-1], None),
    "logarithm of the weights": (lambda *a: (attentive_step(*a)[0], attentive_step(*a)[1].clamp(1e-9).log()), None),
    "weights renormalised over the batch": (
        lambda *a: (attentive_step(*a)[0], attentive_step(*a)[1] / attentive_step(*a)[1].sum(0, keepdim=True)),
        None,
    ),
    "detached": (lambda *a: tuple(part.detach() for part in attentive_step(*a)), "gradient"),
    "float64": (lambda *a: tuple(part.double() for part in attentive_step(*a)), "float64"),
    "added in place of side by side": (changed(lambda c, e, s, m, x, w: (c(e + x, s), w)), None),
    "nothing": (lambda *a: None, "return"),
}


def attention_by_hand(cell, attention, embedded, state, memory, real):
    hidden = attention.query_projection(state)[:, None] + attention.key_projection(memory)
    scores = attention.score(hidden.tanh())[..., 0].masked_fill(~real, float("-inf"))
    weights = scores.softmax(-1)
    return cell(torch.hstack([embedded, (weights[..., None] * memory).sum(1)]), state), weights


def sentence_by_sentence(cell, attention, embedded, state, memory, real):
    states, rows = [], []
    for e, s, m, r in zip(embedded, state, memory, real, strict=True):
        context, weights = attention(s[None], m[r], m[r])
        states.append(cell(torch.cat([e, context[0]])[None], s[None])[0])
        row = m.new_zeros(len(m))
        row[r] = weights[0]
        rows.append(row)
    return torch.stack(states), torch.stack(rows)


def context_again(cell, attention, embedded, state, memory, real):
    weights = attention(state.unsqueeze(1), memory, memory, mask=real.unsqueeze(1))[1].squeeze(1)
    return cell(torch.cat((embedded, torch.einsum("bs,bsd->bd", weights, memory)), 1), state), weights


RIGHT_9_4 = {
    "attention by hand": attention_by_hand,
    "sentence by sentence": sentence_by_sentence,
    "einsum": context_again,
    "projected beforehand": lambda cell, attention, e, s, m, r: (
        lambda found: (cell(torch.cat([e, found[0][:, 0]], -1), s), found[1][:, 0])
    )(attention.attend(s[:, None], attention.key_projection(m), m, r[:, None])),
    "a list": lambda *a: list(attentive_step(*a)),
    "keywords": lambda cell, attention, e, s, m, r: changed(lambda c, e, s, m, x, w: (step(c, e, x, s), w))(
        cell=cell, attention=attention, embedded=e, state=s, memory=m, real=r
    ),
    "extra keyword": lambda cell, attention, embedded, state, memory, real, dropout=0.0: attentive_step(
        cell, attention, embedded, state, memory, real
    ),
}


WRONG = {"9.3": WRONG_9_3, "9.4": WRONG_9_4}
RIGHT = {"9.3": RIGHT_9_3, "9.4": RIGHT_9_4}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
