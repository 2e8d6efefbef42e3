"""Chapter 06, shifting right and the whole model, from outside: plausible wrong answers that no misconception was
written for, and unusual right ones. Each wrong answer comes with words that its report must hold, or None.
"""

import torch
from torch import nn

from utils.exercises.chapter_06.references import shift_right
from utils.transformer import BEGIN, END, PADDING, causal_mask, padding_mask

# 6.3 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def begun(target):
    return nn.functional.pad(target[:, :-1], (1, 0), value=BEGIN)


def rolled(target):
    decoder_input = target.roll(1, dims=1)
    decoder_input[:, 0] = BEGIN
    return decoder_input, target


def end_becomes_begin(target):
    decoder_input = begun(target)
    return decoder_input.masked_fill(decoder_input == END, BEGIN), target


def padding_becomes_end(target):
    decoder_input, wanted = shift_right(target)
    return decoder_input, wanted.masked_fill(wanted == PADDING, END)


def long_begin(target):
    begin = torch.full((target.size(0), 1), BEGIN)  # int64, whatever target is
    decoder_input = torch.cat([begin, target[:, :-1]], dim=1)
    return decoder_input.masked_fill(decoder_input == END, PADDING), target


def end_not_wanted(target):
    decoder_input, wanted = shift_right(target)
    return decoder_input, wanted.masked_fill(wanted == END, PADDING)


def end_in_place(target):
    decoder_input = begun(target)
    target.masked_fill_(target == END, PADDING)
    return decoder_input.masked_fill(decoder_input == END, PADDING), target


def over_sentences(target):
    decoder_input = target.roll(1, dims=0)
    decoder_input[0] = BEGIN
    return decoder_input.masked_fill(decoder_input == END, PADDING), target


def last_word_dropped(target):
    """Takes END for the last column of every sentence."""
    decoder_input = begun(target)
    decoder_input[:, -1] = PADDING
    return decoder_input, target


def early_end(target):
    """END of the input taken out, and all after it moved up: lengths shrink."""
    rows = [[BEGIN, *[token for token in row[:-1] if token not in (END, PADDING)]] for row in target.tolist()]
    return nn.utils.rnn.pad_sequence([torch.tensor(row, dtype=target.dtype) for row in rows], True), target


def begun_whole(target):
    return nn.functional.pad(target, (1, 0), value=BEGIN)


def no_end(tokens):
    return torch.where(tokens == END, PADDING, tokens)


WRONG_6_3 = {
    "idiom": (lambda t: (t[:, :-1], t[:, 1:]), "never predicted"),
    "idiom, END out": (lambda t: (no_end(t[:, :-1]), t[:, 1:]), "never predicted"),
    "idiom on BEGIN and target": (lambda t: (begun_whole(t)[:, :-1], begun_whole(t)[:, 1:]), "END stands in"),
    "input one longer": (lambda t: (begun_whole(t), t), "one longer than what it is to say"),
    "input one longer, END out": (lambda t: (no_end(begun_whole(t)), t), "one longer than what it is to say"),
    "both one longer": (lambda t: (begun_whole(t), nn.functional.pad(t, (0, 1))), "a column longer than the target"),
    "both one longer, END out": (
        lambda t: (no_end(begun_whole(t)), nn.functional.pad(t, (0, 1))),
        "a column longer than the target",
    ),
    "END put behind": (lambda t: (begun_whole(t), nn.functional.pad(t, (0, 1), value=END)), "has one already"),
    "rolled": (rolled, "END"),
    "end becomes begin": (end_becomes_begin, None),
    "padding becomes end": (padding_becomes_end, None),
    "int64": (long_begin, "int32"),
    "end not wanted": (end_not_wanted, None),
    "end taken out in place": (end_in_place, "`target`"),
    "over sentences": (over_sentences, None),
    "last column is END": (last_word_dropped, None),
    "moved up": (early_end, None),
    "begin is 1": (lambda t: (shift_right(t)[0].masked_fill(shift_right(t)[0] == BEGIN, 1), t), None),
    "lists": (lambda t: tuple(part.tolist() for part in shift_right(t)), "Tensor"),
    "floats": (lambda t: tuple(part.float() for part in shift_right(t)), "dtype"),
    "input alone": (lambda t: shift_right(t)[0], "tuple of 2"),
    "three results": (lambda t: (*shift_right(t), t != PADDING), "tuple of 2"),
    "one column short": (lambda t: (shift_right(t)[0][:, :-1], t[:, :-1]), "shape"),
    "without its first": (lambda t: (shift_right(t)[0][:, 1:], t[:, 1:]), "shape"),
    "read backwards": (lambda t: (shift_right(t)[0].flip(1), t), None),
    "first sentence for all": (lambda t: (shift_right(t)[0][:1].expand_as(t), t), None),
    "words in the thousands only": (lambda t: (shift_right(t)[0].clamp(max=1000), t.clamp(max=1000)), "30 000"),
    "nothing": (lambda t: None, "return"),
    "needs the length": (lambda target, length: shift_right(target), "parameters"),
}


def by_rows(target):
    rows = []
    for row in target.tolist():
        words = [token for token in row if token != PADDING]
        read = [BEGIN, *(words[:-1] if words and words[-1] == END else words)][: len(row)]
        rows.append(read + [PADDING] * (len(row) - len(read)))
    return torch.tensor(rows, dtype=target.dtype), target.clone()


def by_where(target):
    before = begun(target)
    return torch.where(before == END, torch.full_like(before, PADDING), before), target


def by_index(target):
    decoder_input = torch.empty_like(target)
    decoder_input[:, 0] = BEGIN
    decoder_input[:, 1:] = target[:, :-1]
    decoder_input[decoder_input == END] = PADDING
    return decoder_input, target


def end_out_first(target):
    words = target * (target != END)
    return torch.hstack([torch.full_like(target[:, :1], BEGIN), words[:, :-1]]), target


def by_wanted(target):
    """Nothing is read where nothing is wanted."""
    return begun(target) * (target != PADDING), target


RIGHT_6_3 = {
    "row by row": by_rows,
    "where": by_where,
    "index": by_index,
    "END out first": end_out_first,
    "read where something is wanted": by_wanted,
    "rolled and mended": lambda target, begin=BEGIN: (
        lambda r: (r.masked_fill(r == END, PADDING).index_fill(1, torch.tensor([0]), begin), target)
    )(target.roll(1, dims=1)),
    "a list of two": lambda target: list(shift_right(target)),
}


# 6.4 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Model(nn.Module):
    """Right, as a base for faults."""

    def __init__(self, embedding, positions, dropout, encoder, decoder, output):
        super().__init__()
        self.table, self.places, self.drop, self.read, self.write, self.score = (
            embedding, positions, dropout, encoder, decoder, output,
        )  # fmt: skip

    def embed(self, tokens):
        return self.drop(self.places(self.table(tokens)))

    def source_mask(self, source):
        return padding_mask(source)

    def target_mask(self, target):
        return causal_mask(target.size(1))

    def memory(self, source):
        return self.read(self.embed(source), self.source_mask(source))

    def states(self, source, target):
        return self.write(self.embed(target), self.memory(source), self.target_mask(target), self.source_mask(source))

    def forward(self, source, target):
        return self.score(self.states(source, target))


class TargetFromOne(Model):
    def states(self, source, target):
        embedded = self.drop(self.places(self.table(target), start=1))
        return self.write(embedded, self.memory(source), self.target_mask(target), self.source_mask(source))


class ScaledAgain(Model):
    def embed(self, tokens):
        return self.drop(self.places(self.table(tokens) * 8**0.5))


class Squashed(Model):
    def forward(self, source, target):
        return super().forward(source, target).log_softmax(dim=-1)


class DropsSourceOnly(Model):
    def states(self, source, target):
        embedded = self.places(self.table(target))
        return self.write(embedded, self.memory(source), self.target_mask(target), self.source_mask(source))


class DropsStates(Model):
    def states(self, source, target):
        return self.drop(super().states(source, target))


class MaskInverted(Model):
    def source_mask(self, source):
        return ~padding_mask(source)


class SeesOnlyTheFuture(Model):
    def target_mask(self, target):
        return causal_mask(target.size(1)).mT


class MaskOfSourceLength(Model):
    def states(self, source, target):
        mask = causal_mask(source.size(1))
        return self.write(self.embed(target), self.memory(source), mask, self.source_mask(source))


class DiagonalExcluded(Model):
    def target_mask(self, target):
        return torch.ones(target.size(1), target.size(1), dtype=torch.bool).tril(-1)


class EncodesTheTarget(Model):
    def states(self, source, target):
        memory = self.read(self.embed(target), padding_mask(target))
        return self.write(self.embed(target), memory, self.target_mask(target), padding_mask(target))


class MemoryAndTargetExchanged(Model):
    def states(self, source, target):
        return self.write(self.memory(source), self.embed(target), None, None)


class Words(Model):
    def forward(self, source, target):
        return super().forward(source, target).argmax(dim=-1)


class Turned(Model):
    def forward(self, source, target):
        return super().forward(source, target).transpose(1, 2)


class Unregistered(Model):
    def __init__(self, *parts):
        nn.Module.__init__(self)
        self.parts = dict(zip(("table", "places", "drop", "read", "write", "score"), parts, strict=True))

    def __getattr__(self, name):
        parts = self.__dict__.get("parts", {})
        return parts[name] if name in parts else super().__getattr__(name)


class KeepsTheMemory(Model):
    kept = None

    def memory(self, source):
        if type(self).kept is None or type(self).kept.shape != (*source.shape, 8):
            type(self).kept = super().memory(source).detach()
        return type(self).kept


class EndMasked(Model):
    def source_mask(self, source):
        return ((source != PADDING) & (source != END))[:, None, None]


class PositionsTwice(Model):
    def embed(self, tokens):
        return self.drop(self.places(self.places(self.table(tokens))))


class CausalWindow(Model):
    def target_mask(self, target):
        return torch.ones(target.size(1), target.size(1), dtype=torch.bool).tril().triu(-1)


class FirstSentencesMask(Model):
    def source_mask(self, source):
        return padding_mask(source)[:1]


WRONG_6_4 = {
    "target from position 1": (TargetFromOne, None),
    "scaled again": (ScaledAgain, None),
    "log softmax": (Squashed, None),
    "dropout on the source only": (DropsSourceOnly, "training mode"),
    "dropout on the states too": (DropsStates, "0.5 times"),
    "mask inverted": (MaskInverted, None),
    "the future only": (SeesOnlyTheFuture, None),
    "mask of the source's length": (MaskOfSourceLength, None),
    "diagonal excluded": (DiagonalExcluded, None),
    "encodes the target": (EncodesTheTarget, None),
    "memory and target exchanged": (MemoryAndTargetExchanged, None),
    "words": (Words, "shape"),
    "turned": (Turned, None),
    "parts unregistered": (Unregistered, "parameters()"),
    "keeps the memory": (KeepsTheMemory, None),
    "END masked": (EndMasked, None),
    "positions twice": (PositionsTwice, None),
    "window of two": (CausalWindow, None),
    "first sentence's mask": (FirstSentencesMask, None),
    "an instance": (Model(*[nn.Identity()] * 6), "class itself"),
    "no parts": (nn.Identity, None),
}


class TargetPaddingToo(Model):
    """Padding in the target is hidden twice: harmless."""

    def target_mask(self, target):
        return causal_mask(target.size(1)) & padding_mask(target)


class HandMade(Model):
    def source_mask(self, source):
        return source.ne(PADDING)[:, None, None, :].expand(-1, 1, source.size(1), -1)[:, :, :1]

    def target_mask(self, target):
        place = torch.arange(target.size(1))
        return place[None, :] <= place[:, None]


class TwoMethods(Model):
    def encode(self, source):
        return self.read(self.embed(source), padding_mask(source)), padding_mask(source)

    def forward(self, source, target):
        memory, mask = self.encode(source)
        return self.score(self.write(self.embed(target), memory, causal_mask(target.size(1)), source_mask=mask))


class EverythingInAList(nn.Module):
    def __init__(self, *parts):
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, source, target):
        table, places, drop, read, write, score = self.parts
        embedded = [drop(places(table(tokens))) for tokens in (source, target)]
        memory = read(embedded[0], padding_mask(source))
        return score(write(embedded[1], memory, causal_mask(target.size(1)), padding_mask(source)))


class TargetFirst(Model):
    def states(self, source, target):
        embedded = self.embed(target)
        return self.write(embedded, self.memory(source), self.target_mask(target), self.source_mask(source))


class SentenceBySentence(Model):
    def forward(self, source, target):
        rows = [Model.forward(self, one[None], other[None]) for one, other in zip(source, target, strict=True)]
        return torch.cat(rows)


RIGHT_6_4 = {
    "own names": Model, "target's padding too": TargetPaddingToo, "masks by hand": HandMade, "two methods": TwoMethods,
    "in a list": EverythingInAList, "target first": TargetFirst, "sentence by sentence": SentenceBySentence,
}  # fmt: skip


WRONG = {"6.3": WRONG_6_3, "6.4": WRONG_6_4}
RIGHT = {"6.3": RIGHT_6_3, "6.4": RIGHT_6_4}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)


def test_the_whole_model_runs_as_the_courses_own():
    """What exercise 6.4 asks for is what `Transformer` computes."""
    from utils.exercises.chapter_06.references import EncoderDecoder
    from utils.transformer import Transformer, TransformerConfig

    torch.manual_seed(1)
    model = Transformer(TransformerConfig(20, 2, d_model=16, d_ff=24, heads=4, dropout=0.0, norm="pre"))
    parts = model.source_embedding, model.source_positions, model.dropout, model.encoder, model.decoder, model.output
    source, target = torch.tensor([[5, 6, 7, END], [8, END, 0, 0]]), torch.tensor([[BEGIN, 9, 10], [BEGIN, 11, 0]])
    assert torch.allclose(EncoderDecoder(*parts)(source, target), model(source, target), atol=1e-6)
