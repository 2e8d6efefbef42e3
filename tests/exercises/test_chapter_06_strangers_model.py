"""Chapter 06, shift right and the whole model: answers as strangers would hand them in, wrong and right,
which no misconception was written after. Each wrong answer comes with words that its report must hold, or None.
"""

import copy
import functools

import numpy as np
import torch
from torch import nn

from utils.exercises.chapter_06.references import shift_right
from utils.transformer import BEGIN, END, PADDING, causal_mask, padding_mask


def changed(base, **methods):
    return type("Changed", (base,), methods)


# 6.3 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def begun(target):
    return torch.cat([torch.full_like(target[:, :1], BEGIN), target[:, :-1]], dim=1)


def first_end_only(target):
    """Looks for END in the first sentence and takes that column out of all."""
    read = begun(target)
    at = (read[0] == END).nonzero()
    if len(at):
        read[:, at[0, 0] :] = PADDING
    return read, target


def last_token_of_all(target):
    """Cuts the column of the longest, whatever the others have."""
    read = begun(target)
    read[:, -1] = torch.where(read[:, -1] == END, PADDING, read[:, -1])
    return read, target


def by_lengths_off(target):
    lengths = (target != PADDING).sum(1, keepdim=True)
    return begun(target).masked_fill(torch.arange(target.size(1)) >= lengths - 1, PADDING), target


def square_only(target):
    read = target.clone()
    for row in range(target.size(0)):
        for column in range(1, min(target.shape)):
            read[row, column] = target[row, column - 1]
    read[:, 0] = BEGIN
    return read.masked_fill(read == END, PADDING), target


def batch_of_one(target):
    row = [BEGIN, *target[0].tolist()[:-1]]
    read = torch.tensor([row], dtype=target.dtype).expand_as(target)
    return read.masked_fill(read == END, PADDING), target


def up_to_eight(target):
    read = torch.zeros_like(target)
    read[:, 0] = BEGIN
    read[:, 1:5] = target[:, :4]
    return read.masked_fill(read == END, PADDING), target


def wanted_shortened(target):
    read, wanted = shift_right(target)
    return read, wanted.masked_fill(wanted == END, PADDING)


WRONG_6_3 = {
    "unknown words taken out": (
        lambda t: (lambda r: (r.masked_fill(r <= END, PADDING).index_fill(1, torch.tensor([0]), BEGIN), t))(begun(t)),
        "unknown words",
    ),
    "END of the first sentence": (first_end_only, "some sentence of the batch is shorter than the longest"),
    "END in the last column only": (last_token_of_all, "Right for the longest sentence of the batch"),
    "one too short": (by_lengths_off, None),
    "squares only": (square_only, None),
    "batch of one": (batch_of_one, None),
    "up to five": (up_to_eight, None),
    "END not wanted": (wanted_shortened, "You take END out of what is wanted"),
    "BEGIN as 1": (lambda t: (torch.cat([torch.ones_like(t[:, :1]), shift_right(t)[0][:, 1:]], 1), t), None),
    "BEGIN in every place of padding": (
        lambda t: (shift_right(t)[0].masked_fill(shift_right(t)[0] == PADDING, BEGIN), t),
        "some sentence of the batch is shorter than the longest",
    ),
    "shifted twice": (lambda t: (begun(shift_right(t)[0]), t), None),
    "BEGIN after": (lambda t: (torch.cat([t[:, 1:], torch.full_like(t[:, :1], BEGIN)], 1), t), None),
    "along the batch": (lambda t: (t.roll(1, 0).index_fill(0, torch.tensor([0]), BEGIN), t), None),
    "rolled alone": (lambda t: (t.roll(1, 1), t), None),
    "END made unknown": (
        lambda t: (begun(t).masked_fill(begun(t) == END, 1), t),
        "some sentence of the batch is shorter than the longest",
    ),
    "a dictionary": (lambda t: dict(zip(("decoder_input", "wanted"), shift_right(t), strict=True)), "dict"),
    "one tensor of both": (lambda t: torch.stack(shift_right(t)), None),
    "padding −1 in what is wanted": (
        lambda t: (shift_right(t)[0], t.masked_fill(t == PADDING, -100)),
        "some sentence of the batch is shorter than the longest",
    ),
    "wanted one hot": (lambda t: (shift_right(t)[0], nn.functional.one_hot(t.long())), "shape"),
    "NumPy": (lambda t: tuple(part.numpy() for part in shift_right(t)), "Tensor"),
    "words below 3 as END": (lambda t: (begun(t).masked_fill(begun(t) % 10 == END, PADDING), t), None),
    "BEGIN kept with END": (
        lambda t: (lambda r: (r * (r != END) * (r != BEGIN) + (r == BEGIN).to(r) * 2 * (t != END), t))(begun(t)),
        None,
    ),
}


def by_numpy(target):
    rows = np.roll(target.numpy(), 1, axis=1)
    rows[:, 0] = BEGIN
    return torch.from_numpy(np.where(rows == END, PADDING, rows).astype(rows.dtype)), target


def by_padding(target):
    read = nn.functional.pad(target, (1, 0), value=BEGIN)[:, :-1]
    return torch.where(torch.eq(read, END), PADDING, read), target.detach()


def by_cumulation(target):
    """Nothing is read from the first END on."""
    read = begun(target)
    ended = (read == END).cumsum(dim=1) > 0
    return read * ~ended, target


class Shift(nn.Module):
    def forward(self, target):
        return shift_right(target)


RIGHT_6_3 = {
    "NumPy inside": by_numpy,
    "padded in front": by_padding,
    "from the first END on": by_cumulation,
    "a module made": Shift(),
    "cached by nobody": functools.wraps(shift_right)(lambda t: shift_right(t.clone())),
    "gathered": lambda t: (
        (lambda r: r - r * (r == END))(
            torch.gather(nn.functional.pad(t, (1, 0), value=BEGIN), 1, torch.arange(t.size(1)).expand_as(t))
        ),
        t,
    ),
}


# 6.4 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Model(nn.Module):
    """Right, as a base for faults."""

    def __init__(self, embedding, positions, dropout, encoder, decoder, output):
        super().__init__()
        self.embedding, self.positions, self.dropout = embedding, positions, dropout
        self.encoder, self.decoder, self.output = encoder, decoder, output

    def embed(self, tokens):
        return self.dropout(self.positions(self.embedding(tokens)))

    def encode(self, source, mask):
        return self.encoder(self.embed(source), mask)

    def masks(self, source, target):
        return padding_mask(source), causal_mask(target.size(1))

    def forward(self, source, target):
        source_mask, target_mask = self.masks(source, target)
        memory = self.encode(source, source_mask)
        return self.output(self.decoder(self.embed(target), memory, target_mask, source_mask))


class CausalMaskKept(Model):
    """Made once, for the first target."""

    mask = None

    def masks(self, source, target):
        if self.mask is None:
            self.mask = causal_mask(target.size(1))
        return padding_mask(source), self.mask


class MemoryKept(Model):
    memory = None

    def encode(self, source, mask):
        if self.memory is None:
            self.memory = super().encode(source, mask)
        return self.memory


class MaskOfEight(Model):
    """A buffer for eight positions, cut to size."""

    def __init__(self, *parts):
        super().__init__(*parts)
        self.register_buffer("seen", causal_mask(4))

    def masks(self, source, target):
        return padding_mask(source), self.seen[..., : target.size(1), : target.size(1)]


class TargetPadding(Model):
    """Hides the target's padding and not the future."""

    def masks(self, source, target):
        return padding_mask(source), padding_mask(target)


class Untied(Model):
    def __init__(self, embedding, *parts):
        super().__init__(copy.deepcopy(embedding), *parts)


class NewOutput(Model):
    def __init__(self, *parts):
        super().__init__(*parts)
        self.output = nn.Linear(8, 11, bias=False)


class Frozen(Model):
    @torch.no_grad()
    def forward(self, source, target):
        return super().forward(source, target)


class EncoderFrozen(Model):
    def encode(self, source, mask):
        with torch.no_grad():
            return super().encode(source, mask)


class MemoryDetached(Model):
    def encode(self, source, mask):
        return super().encode(source, mask).detach()


class InEvaluation(Model):
    def forward(self, source, target):
        self.eval()
        return super().forward(source, target)


WRONG_6_4 = {
    "unknown words hidden": (
        changed(Model, masks=lambda s, source, target: ((source > 1)[:, None, None], causal_mask(target.size(1)))),
        "unknown words",
    ),
    "causal mask kept": (CausalMaskKept, "the same module has been called before, with other"),
    "memory kept": (MemoryKept, "the same module has been called before, with other"),
    "mask of four": (MaskOfEight, None),
    "target's padding alone": (TargetPadding, "no causal mask"),
    "embedding copied": (Untied, "gradients are asked for"),
    "an output layer of its own": (NewOutput, None),
    "no gradients": (Frozen, "gradient"),
    "encoder without gradients": (EncoderFrozen, "gradient"),
    "memory detached": (MemoryDetached, "gradient"),
    "evaluation mode for good": (InEvaluation, "the module is in training mode"),
    "causal and padding joined for the source": (
        changed(
            Model,
            masks=lambda s, source, target: (
                padding_mask(source) & causal_mask(source.size(1)),
                causal_mask(target.size(1)),
            ),
        ),
        None,
    ),
    "source mask without its axes": (
        changed(Model, masks=lambda s, source, target: (source != PADDING, causal_mask(target.size(1)))),
        None,
    ),
    "mask turned over": (
        changed(Model, masks=lambda s, source, target: (padding_mask(source).mT, causal_mask(target.size(1)))),
        None,
    ),
    "mask by column": (
        changed(Model, masks=lambda s, source, target: (padding_mask(source), causal_mask(target.size(1)).mT)),
        None,
    ),
    "unknown hidden": (
        changed(
            Model,
            masks=lambda s, source, target: (
                padding_mask(source.masked_fill(source < 5, PADDING)),
                causal_mask(target.size(1)),
            ),
        ),
        None,
    ),
    "mask of the target's ids": (
        changed(Model, masks=lambda s, source, target: (padding_mask(target), causal_mask(target.size(1)))),
        None,
    ),
    "positions before the embedding": (changed(Model, embed=lambda s, t: s.dropout(s.embedding(s.positions(t)))), None),
    "dropout on the ids": (
        changed(Model, embed=lambda s, t: s.positions(s.embedding(s.dropout(t)))),
        "the module is in training mode",
    ),
    "dropout twice": (
        changed(Model, embed=lambda s, t: s.dropout(s.dropout(s.positions(s.embedding(t))))),
        "the module is in training mode",
    ),
    "divided by √d_model": (
        changed(Model, embed=lambda s, t: s.dropout(s.positions(s.embedding(t) / s.embedding(t).size(-1) ** 0.5))),
        None,
    ),
    "encoder's output as logits": (
        changed(Model, forward=lambda s, source, target: s.output(s.encode(source, padding_mask(source)))),
        "That happens exactly where this holds: source and target",
    ),
    "encoder for both": (
        changed(
            Model, forward=lambda s, source, target: s.output(s.encoder(s.embed(target), causal_mask(target.size(1))))
        ),
        None,
    ),
    "source and target exchanged": (
        changed(Model, forward=lambda s, source, target: Model.forward(s, target, source)),
        "That happens exactly where this holds: source and target",
    ),
    "target cut": (changed(Model, forward=lambda s, source, target: Model.forward(s, source, target[:, :-1])), None),
    "first sentence alone": (
        changed(Model, forward=lambda s, source, target: Model.forward(s, source[:1], target[:1])),
        None,
    ),
    "softmax over positions": (
        changed(Model, forward=lambda s, source, target: Model.forward(s, source, target).softmax(1)),
        None,
    ),
    "logits and memory": (
        changed(Model, forward=lambda s, source, target: (Model.forward(s, source, target), s.encode(source, None))),
        "tuple",
    ),
    "residual around the decoder": (
        changed(
            Model,
            forward=lambda s, source, target: s.output(
                s.embed(target)
                + s.decoder(
                    s.embed(target),
                    s.encode(source, padding_mask(source)),
                    causal_mask(target.size(1)),
                    padding_mask(source),
                )
            ),
        ),
        None,
    ),
}


class MaskGrown(Model):
    """A mask kept and made anew when it is too small."""

    def __init__(self, *parts):
        super().__init__(*parts)
        self.seen = torch.ones(1, 1, dtype=torch.bool)

    def masks(self, source, target):
        length = target.size(1)
        if self.seen.size(0) < length:
            self.seen = torch.ones(length, length, dtype=torch.bool).tril()
        return (source > 0)[:, None, None], self.seen[None, None, :length, :length]


class Keyworded(Model):
    def forward(self, source, target, source_mask=None):
        mask = padding_mask(source) if source_mask is None else source_mask
        memory = self.encoder(self.embed(source), mask=mask)
        states = self.decoder(
            self.embed(target), memory=memory, source_mask=mask, target_mask=causal_mask(target.size(1))
        )
        return self.output(states)


class Together(Model):
    """Source and target embedded in one go, where they are equally long."""

    def forward(self, source, target):
        if source.shape != target.shape:
            return super().forward(source, target)
        first, second = self.embed(torch.cat([source, target])).chunk(2)
        mask = padding_mask(source)
        return self.output(self.decoder(second, self.encoder(first, mask), causal_mask(target.size(1)), mask))


class Composed(nn.Module):
    def __init__(self, *parts):
        super().__init__()
        table, places, drop, self.read, self.write, self.score = parts
        self.bottom = nn.Sequential(table, places, drop)

    def forward(self, source, target):
        mask = source.ne(PADDING).unsqueeze(1).unsqueeze(2)
        memory = self.read(self.bottom(source), mask)
        future = torch.triu(torch.ones(target.size(1), target.size(1)), diagonal=1).bool()
        return self.score(self.write(self.bottom(target), memory, ~future, mask))


RIGHT_6_4 = {
    "a mask that grows": MaskGrown,
    "by keywords": Keyworded,
    "embedded together": Together,
    "bottom of both": Composed,
    "masks made wide": changed(
        Model,
        masks=lambda s, source, target: (
            padding_mask(source).expand(-1, 1, 1, -1),
            causal_mask(target.size(1)).expand(len(target), 1, -1, -1),
        ),
    ),
    "a maker": lambda *parts: Model(*parts),
}


WRONG = {"6.3": WRONG_6_3, "6.4": WRONG_6_4}
RIGHT = {"6.3": RIGHT_6_3, "6.4": RIGHT_6_4}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)
