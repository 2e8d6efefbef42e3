"""What goes wrong with a recurrent encoder–decoder and with a step that attends (chapter 09)."""

import torch
from torch import Tensor, nn

from utils.exercises.chapter_09.references import read_sequence
from utils.exercises.declare import Misconception
from utils.transformer.masks import END, PADDING

# 9.3, one state between the halves ────────────────────────────────────────────────────────────────────────────────


class Built(nn.Module):
    """A wrong answer to 9.3 keeps what it is built from."""

    def __init__(self, embedding, encoder, decoder, output):
        super().__init__()
        self.embedding, self.encoder, self.decoder, self.output = embedding, encoder, decoder, output

    def zeros(self, ids: Tensor) -> Tensor:
        """(batch, d_hidden)."""
        return torch.zeros(len(ids), self.encoder.hidden_size)

    def read(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """The encoder's states and its last one."""
        return read_sequence(self.encoder, self.embedding(source), source != PADDING, self.zeros(source))

    def write(self, target: Tensor, summary: Tensor) -> Tensor:
        """The decoder's states."""
        return read_sequence(self.decoder, self.embedding(target), target != PADDING, summary)[0]

    def forward(self, source, target):
        """As asked for."""
        return self.output(self.write(target, self.read(source)[1]))


class PaddingRead(Built):
    """Padding of the source is read like words."""

    def read(self, source):
        real = torch.ones_like(source, dtype=torch.bool)
        return read_sequence(self.encoder, self.embedding(source), real, self.zeros(source))


class NothingHandedOver(Built):
    """The decoder begins with zeros."""

    def forward(self, source, target):
        return self.output(self.write(target, self.zeros(source)))


class EncoderTwice(Built):
    """The encoder's cell writes as well."""

    def write(self, target, summary):
        return read_sequence(self.encoder, self.embedding(target), target != PADDING, summary)[0]


class DecoderTwice(Built):
    """The decoder's cell reads as well."""

    def read(self, source):
        return read_sequence(self.decoder, self.embedding(source), source != PADDING, self.zeros(source))


class MeanState(Built):
    """The mean of the encoder's states is handed over."""

    def forward(self, source, target):
        return self.output(self.write(target, self.read(source)[0].mean(dim=1)))


class Backwards(Built):
    """The source is read from its last word to its first."""

    def read(self, source):
        return super().read(source.flip(1))


class FirstState(Built):
    """The encoder's first state is handed over."""

    def forward(self, source, target):
        return self.output(self.write(target, self.read(source)[0][:, 0]))


class SummedStates(Built):
    """The encoder's states are added up."""

    def forward(self, source, target):
        return self.output(self.write(target, self.read(source)[0].sum(dim=1)))


class BeginSkipped(Built):
    """The mask of the target leaves out BEGIN."""

    def write(self, target, summary):
        return read_sequence(self.decoder, self.embedding(target), target > END, summary)[0]


class SummaryAtEachStep(Built):
    """Every step of the decoder begins with the summary."""

    def write(self, target, summary):
        return torch.stack([self.decoder(token, summary) for token in self.embedding(target).unbind(1)], dim=1)


class Probabilities(Built):
    """The softmax is taken in the model."""

    def forward(self, source, target):
        return super().forward(source, target).softmax(dim=-1)


class LogProbabilities(Built):
    """Its logarithm is."""

    def forward(self, source, target):
        return super().forward(source, target).log_softmax(dim=-1)


class LastOnly(Built):
    """The logits of the last position alone."""

    def forward(self, source, target):
        return super().forward(source, target)[:, -1]


class States(Built):
    """No output layer."""

    def forward(self, source, target):
        return self.write(target, self.read(source)[1])


class ShiftedAgain(Built):
    """The target is shifted right although it comes shifted."""

    def forward(self, source, target):
        again = torch.cat([torch.full_like(target[:, :1], 2), target[:, :-1]], dim=1)
        return super().forward(source, again)


PAIR = (
    Misconception(
        "padding of the source read",
        PaddingRead,
        "Your encoder reads the source's padding, so that a sentence's summary depends on how long its neighbours are: "
        "hand `source != PADDING` to `read_sequence`.",
    ),
    Misconception(
        "nothing handed over",
        NothingHandedOver,
        "Your decoder begins with zeros and never learns what the source said. It begins with the encoder's last "
        "state.",
    ),
    Misconception(
        "the encoder's cell twice",
        EncoderTwice,
        "You read and write with the same cell, the encoder's. The decoder has a cell of its own.",
    ),
    Misconception(
        "the decoder's cell twice",
        DecoderTwice,
        "You read and write with the same cell, the decoder's. The encoder has a cell of its own.",
    ),
    Misconception(
        "the mean of the states",
        MeanState,
        "You hand over the mean of the encoder's states. Asked for is the last one, which has read the whole sentence.",
    ),
    Misconception(
        "the sum of the states",
        SummedStates,
        "You hand over the sum of the encoder's states. Asked for is the last one, which has read the whole sentence.",
    ),
    Misconception(
        "the first state",
        FirstState,
        "You hand over the encoder's first state, which has read one word. Asked for is the last one, which "
        "`read_sequence` returns second.",
    ),
    Misconception(
        "the summary at each step",
        SummaryAtEachStep,
        "Each step of your decoder begins with the summary again, and forgets what has been written. It begins with it "
        "once; then each step goes on from the one before.",
    ),
    Misconception(
        "BEGIN skipped",
        BeginSkipped,
        "Your mask of the target leaves out more than padding: BEGIN (2), END (3) and unknown words (1) are read like "
        "any word. Only `target != PADDING` counts.",
    ),
    Misconception(
        "read backwards",
        Backwards,
        "You read the source from its end, as Sutskever et al. (2014) did: it brings the first words of both "
        "sentences close together, and it helped them. Asked for here is the plain order.",
    ),
    Misconception(
        "softmax in the model",
        Probabilities,
        "You return probabilities. Asked for are logits: the loss takes the softmax itself.",
        everywhere=True,
    ),
    Misconception(
        "log-softmax in the model",
        LogProbabilities,
        "You return log-probabilities. Asked for are logits: the loss takes the softmax itself.",
        everywhere=True,
    ),
    Misconception(
        "the last position alone",
        LastOnly,
        "You return the logits of the last position. Teacher forcing wants them for all positions: the decoder's "
        "`states`, not its last state, go into the output layer.",
    ),
    Misconception(
        "no output layer",
        States,
        "You return the decoder's states. The output layer is still to make logits of them.",
    ),
    Misconception(
        "shifted again",
        ShiftedAgain,
        "You shift the target right. It comes shifted, BEGIN first: read it as it is.",
    ),
)


# 9.4, a step that attends ─────────────────────────────────────────────────────────────────────────────────────────


def unmasked(cell, attention, embedded, state, memory, real):
    context, weights = attention(state[:, None], memory, memory)
    return cell(torch.cat([embedded, context[:, 0]], dim=-1), state), weights[:, 0]


def mask_inverted(cell, attention, embedded, state, memory, real):
    context, weights = attention(state[:, None], memory, memory, ~real[:, None])
    return cell(torch.cat([embedded, context[:, 0]], dim=-1), state), weights[:, 0]


def mask_without_axis(cell, attention, embedded, state, memory, real):
    context, weights = attention(state[:, None], memory, memory, real)
    return cell(torch.cat([embedded, context[:, 0]], dim=-1), state), weights[:, 0]


def attended(then):
    """A wrong answer to 9.4: then(cell, embedded, state, context, weights, memory) from a right attention."""

    def answer(cell, attention, embedded, state, memory, real):
        context, weights = attention(state[:, None], memory, memory, real[:, None])
        return then(cell, embedded, state, context[:, 0], weights[:, 0], memory)

    return answer


def step(cell, embedded, state, context):
    return cell(torch.cat([embedded, context], dim=-1), state)


def averaged(cell, attention, embedded, state, memory, real):
    _, weights = attention(state[:, None], memory, memory, real[:, None])
    share = real.to(memory) / real.sum(dim=1, keepdim=True)
    return step(cell, embedded, state, (share[:, None] @ memory)[:, 0]), weights[:, 0]


def twice(cell, attention, embedded, state, memory, real):
    context, _ = attention(state[:, None], memory, memory, real[:, None])
    new = step(cell, embedded, state, context[:, 0])
    return new, attention(new[:, None], memory, memory, real[:, None])[1][:, 0]


def token_asks(cell, attention, embedded, state, memory, real):
    context, weights = attention(embedded[:, None], memory, memory, real[:, None])
    return step(cell, embedded, state, context[:, 0]), weights[:, 0]


def no_axis(cell, attention, embedded, state, memory, real):
    context, weights = attention(state, memory, memory, real)
    return step(cell, embedded, state, context), weights


def squeezed(context_too: bool):
    def answer(cell, attention, embedded, state, memory, real):
        context, weights = attention(state[:, None], memory, memory, real[:, None])
        context = context.squeeze() if context_too else context[:, 0]
        return step(cell, embedded, state, context), weights.squeeze()

    return answer


SQUEEZED = (
    "`.squeeze()` takes away *every* axis of size 1: that of the query, and the batch's too where there is one "
    "sentence, or the source's where it is one token. Say which: `.squeeze(1)`, or `[:, 0]`."
)
ATTENTIVE_STEP = (
    Misconception("everything squeezed", squeezed(True), SQUEEZED),
    Misconception("weights squeezed", squeezed(False), SQUEEZED),
    Misconception(
        "the token asks",
        token_asks,
        "Your query is the newest token. Bahdanau's decoder asks with its state, which knows what has been written so "
        "far.",
    ),
    Misconception(
        "no axis for the query",
        no_axis,
        "The state goes in as (batch, d_hidden), where the attention wants a query for each position, (batch, 1, "
        "d_hidden): `state[:, None]`, and `real[:, None]` for its mask.",
    ),
    Misconception(
        "input and state exchanged",
        attended(lambda cell, e, s, c, w, m: (cell(s, torch.cat([e, c], dim=-1)), w)),
        "You hand the cell the state first. It is called as cell(x, state), and x is [embedded; context].",
    ),
    Misconception(
        "three parts",
        attended(lambda cell, e, s, c, w, m: (step(cell, e, s, c), c, w)),
        "You return the context as well. Asked for are two things: the new state and the weights.",
    ),
    Misconception(
        "no mask",
        unmasked,
        "Padding of the source gets attention: `real` has to go into the attention as its mask.",
    ),
    Misconception(
        "mask inverted",
        mask_inverted,
        "Your mask works the wrong way round: it shows padding and hides words. True = may be attended to, and `real` "
        "is True at words already.",
    ),
    Misconception(
        "mask without its axis",
        mask_without_axis,
        "Every sentence gets the mask of the first. So it comes out when the mask goes in as (batch, source_len), "
        "where the attention expects (batch, 1, source_len): with the axis of the query missing, the sentences of the "
        "batch stand in its place. `real[:, None]` puts it there.",
    ),
    Misconception(
        "context first",
        attended(lambda cell, e, s, c, w, m: (cell(torch.cat([c, e], dim=-1), s), w)),
        "You put the context in front of the embedded token. The order is [embedded; context]; another one is as good "
        "in itself, but weights trained with this one would not fit.",
    ),
    Misconception(
        "old state returned",
        attended(lambda cell, e, s, c, w, m: (s, w)),
        "You return the state that came in. The cell's new state is asked for.",
    ),
    Misconception(
        "state not handed to the cell",
        attended(lambda cell, e, s, c, w, m: (cell(torch.cat([e, c], dim=-1)), w)),
        "Your cell gets no state and begins with zeros: the decoder forgets at each step what it has written.",
    ),
    Misconception(
        "average in place of attention",
        averaged,
        "Your cell gets the plain average of the memory. The context is the average by the attention's weights, "
        "which it returns first.",
    ),
    Misconception(
        "the last word in place of the context",
        attended(lambda cell, e, s, c, w, m: (step(cell, e, s, m[:, -1]), w)),
        "Your cell gets the memory's last position in place of the context.",
    ),
    Misconception(
        "attention after the step",
        twice,
        "Your weights come from the new state. Bahdanau's decoder asks with the state from the step before, since "
        "the answer goes into the step.",
    ),
    Misconception(
        "context returned",
        attended(lambda cell, e, s, c, w, m: (step(cell, e, s, c), c)),
        "Your second result is the context. Asked for are the weights, (batch, source_len).",
    ),
    Misconception(
        "axis left in the weights",
        attended(lambda cell, e, s, c, w, m: (step(cell, e, s, c), w[:, None])),
        "Your weights still have the axis of the one query, (batch, 1, source_len): `weights[:, 0]` takes it away.",
    ),
)
