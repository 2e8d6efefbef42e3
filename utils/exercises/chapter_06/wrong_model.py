"""What goes wrong with shifting right and with putting the model together (chapter 06), and what puts it right."""

import torch
from torch import Tensor, nn

from utils.exercises.chapter_06.references import EncoderDecoder, shift_right
from utils.exercises.declare import Misconception
from utils.transformer.masks import BEGIN, END, PADDING, causal_mask, padding_mask

# 6.3, shift right ─────────────────────────────────────────────────────────────────────────────────────────────────


def begun(target: Tensor) -> Tensor:
    """BEGIN in front of all of target: (batch, length + 1)."""
    return torch.cat([target.new_full((target.size(0), 1), BEGIN), target], dim=1)


def first_word_lost(target: Tensor) -> tuple[Tensor, Tensor]:
    decoder_input = target.clone()
    decoder_input[:, 0] = BEGIN
    return decoder_input.masked_fill(decoder_input == END, PADDING), target


def not_shifted(target: Tensor) -> tuple[Tensor, Tensor]:
    decoder_input = begun(target)
    return decoder_input, decoder_input


def shifted_left(target: Tensor) -> tuple[Tensor, Tensor]:
    padding = target.new_full((target.size(0), 1), PADDING)
    return target.masked_fill(target == END, PADDING), torch.cat([target[:, 1:], padding], dim=1)


def begin_is_padding(target: Tensor) -> tuple[Tensor, Tensor]:
    decoder_input, wanted = shift_right(target)
    return decoder_input.masked_fill(decoder_input == BEGIN, PADDING), wanted


def changed_in_place(target: Tensor) -> tuple[Tensor, Tensor]:
    wanted = target.clone()
    target[:, 1:] = wanted[:, :-1]
    target[:, 0] = BEGIN
    return target.masked_fill_(target == END, PADDING), wanted


def without_end(tokens: Tensor) -> Tensor:
    """Padding in the place of END."""
    return tokens.masked_fill(tokens == END, PADDING)


def longer(target: Tensor, last: int) -> Tensor:
    """One more column behind target: (batch, length + 1)."""
    return torch.cat([target, target.new_full((target.size(0), 1), last)], dim=1)


IDIOM = (
    "`target[:, :-1]` and `target[:, 1:]` shift a row that begins with BEGIN against itself. Our target begins with "
    "its first word: this way it is read and never predicted, and both results are a column short. Put BEGIN in front."
)
BOTH_LONGER = (
    "Both of your tensors are a column longer than the target. What is wanted is the target as it is; the input is as "
    "long: BEGIN in front, and the last token dropped."
)

SHIFT_RIGHT = (
    Misconception("the idiom", lambda target: (target[:, :-1], target[:, 1:]), IDIOM),
    Misconception("the idiom, without END", lambda target: (without_end(target[:, :-1]), target[:, 1:]), IDIOM),
    Misconception("both too long", lambda target: (begun(target), longer(target, PADDING)), BOTH_LONGER),
    Misconception(
        "both too long, without END", lambda target: (without_end(begun(target)), longer(target, PADDING)), BOTH_LONGER
    ),
    Misconception(
        "END put behind",
        lambda target: (begun(target), longer(target, END)),
        "You put END behind the target, which has one already, before its padding: both of your tensors are a column "
        "too long, and the shorter sentences end twice. What is wanted is the target as it is.",
    ),
    Misconception(
        "one too long, without END",
        lambda target: (without_end(begun(target)), target),
        "Your decoder's input is one longer than what it is to say: its last token has no successor. Leave it out, "
        "`target[:, :-1]`.",
    ),
    Misconception(
        "END is read",
        lambda target: (begun(target)[:, :-1], target),
        "Right for the longest sentence of the batch. In the shorter ones END stands in your decoder's input, followed "
        "by padding: after END nothing is to be predicted, so it is never read. Put padding in its place.",
    ),
    Misconception(
        "one too long",
        lambda target: (begun(target), target),
        "Your decoder's input is one longer than what it is to say: its last token has no successor. Leave it out, "
        "`target[:, :-1]`.",
    ),
    Misconception(
        "begin in what is wanted",
        not_shifted,
        "What you want is what you give: BEGIN stands in both. Shifted against each other by one, position t of the "
        "input is answered by the token after it.",
    ),
    Misconception(
        "not shifted",
        lambda target: (target, target),
        "Your decoder's input is what it is to say: position t reads the very token it has to predict, and learns to "
        "copy. Put BEGIN in front, and drop the last.",
    ),
    Misconception(
        "first word overwritten",
        first_word_lost,
        "You write BEGIN over the first word. Nothing moves to the right that way, and the first word is lost.",
    ),
    Misconception(
        "shifted left",
        shifted_left,
        "You shift what is wanted to the left instead: then the first word is never predicted. It is the input that "
        "goes to the right, with BEGIN in front; what is wanted is the target as it is.",
    ),
    Misconception(
        "padding in front",
        begin_is_padding,
        "You put padding (0) in front. The decoder needs a token that says that a sentence begins: BEGIN, which is 2.",
    ),
    Misconception(
        "END not wanted",
        lambda target: (shift_right(target)[0], without_end(target)),
        "You take END out of what is wanted. It is to be predicted too, or the model never learns to stop; what is "
        "wanted is the target as it is, and only the input has no END.",
    ),
    Misconception(
        "wrong order",
        lambda target: shift_right(target)[::-1],
        "Both tensors are right, in the wrong order: what the decoder reads comes first, what it is to say second.",
    ),
    Misconception(
        "in place",
        changed_in_place,
        "You shift inside of the tensor you were given, so that whoever called you has lost the target. `torch.cat` "
        "makes a new one.",
    ),
)


# 6.4, the whole model ─────────────────────────────────────────────────────────────────────────────────────────────


def model_with(forward):
    """A wrong answer to 6.4: the model with another forward pass. `forward` gets the model, source and target."""

    class Wrong(EncoderDecoder):
        def forward(self, source, target):
            return forward(self, source, target)

    return Wrong


def embed(model, tokens: Tensor) -> Tensor:
    """(batch, length) ids → (batch, length, d_model), as both stacks get them."""
    return model.dropout(model.positions(model.embedding(tokens)))


def wired(
    source_mask=padding_mask,
    target_mask=lambda target: causal_mask(target.size(1)),
    cross_mask=padding_mask,
    embed_source=embed,
    embed_target=embed,
    finish=lambda model, states: model.output(states),
):
    """A wrong answer with something else in one place: masks are made from ids, embeddings from model and ids."""

    def forward(model, source, target):
        memory = model.encoder(embed_source(model, source), source_mask(source))
        states = model.decoder(embed_target(model, target), memory, target_mask(target), cross_mask(source))
        return finish(model, states)

    return model_with(forward)


def masks_exchanged(model, source, target):
    mask = padding_mask(source)
    memory = model.encoder(embed(model, source), mask)
    return model.output(model.decoder(embed(model, target), memory, mask, causal_mask(target.size(1))))


def encoder_skipped(model, source, target):
    mask = padding_mask(source)
    return model.output(model.decoder(embed(model, target), embed(model, source), causal_mask(target.size(1)), mask))


def shifted_again(model, source, target):
    return EncoderDecoder.forward(model, source, shift_right(target)[0])


class PartsInADictionary(nn.Module):
    """The right wiring of parts that the module does not know of."""

    def __init__(self, *parts):
        super().__init__()
        self.parts = dict(zip(("table", "places", "drop", "read", "write", "score"), parts, strict=True))

    def forward(self, source, target):
        table, places, drop, read, write, score = self.parts.values()
        mask = padding_mask(source)
        memory = read(drop(places(table(source))), mask)
        return score(write(drop(places(table(target))), memory, causal_mask(target.size(1)), mask))


def without_dropout(model, tokens):
    return model.positions(model.embedding(tokens))


def embedding_added(model, tokens):
    embedded = model.embedding(tokens)
    return model.dropout(embedded + model.positions(embedded))


def scaled_again(model, tokens):
    embedded = model.embedding(tokens)
    return model.dropout(model.positions(embedded * embedded.size(-1) ** 0.5))


WHOLE_MODEL = (
    Misconception(
        "no mask in the encoder",
        wired(source_mask=lambda source: None),
        "Your encoder gets no mask: real words attend to the source's padding.",
    ),
    Misconception(
        "no source mask in the decoder",
        wired(cross_mask=lambda source: None),
        "Your decoder gets no source mask: it attends to the source's padding. The mask that the encoder gets serves "
        "here too, since the keys are the same positions.",
    ),
    Misconception(
        "no padding mask at all",
        wired(source_mask=lambda source: None, cross_mask=lambda source: None),
        "The source's padding is masked nowhere. `padding_mask(source)` belongs into the encoder, and into the decoder "
        "as its last argument.",
    ),
    Misconception(
        "no causal mask",
        wired(target_mask=lambda target: None),
        "Your decoder gets no causal mask: each position sees the words it has to predict. (A mask of the target's "
        "padding does not help there.) `causal_mask(target.size(1), target.device)` is the decoder's third argument.",
    ),
    Misconception(
        "causal encoder",
        wired(source_mask=lambda source: padding_mask(source) & causal_mask(source.size(1))),
        "Your encoder looks only backwards. The whole source is known before the first word is written, so only its "
        "padding is hidden.",
    ),
    Misconception(
        "masks exchanged",
        model_with(masks_exchanged),
        "Your decoder gets its masks in the wrong order: the target's, causal, comes first, then the source's.",
    ),
    Misconception(
        "encoder skipped",
        model_with(encoder_skipped),
        "Your decoder looks at the embedded source; the encoder's work is missing. Its output is the memory.",
    ),
    Misconception(
        "no positions in the target",
        wired(embed_target=lambda model, tokens: model.dropout(model.embedding(tokens))),
        "Your target gets no positions. They are added to both embeddings (§3.5, figure 1).",
    ),
    Misconception(
        "no positions",
        wired(*[padding_mask, lambda target: causal_mask(target.size(1)), padding_mask],
              *[lambda model, tokens: model.dropout(model.embedding(tokens))] * 2),
        "Positions are missing on both sides: your encoder sees a bag of words. `self.positions(embedded)` adds them.",
    ),
    Misconception(
        "dropout forgotten",
        wired(embed_source=without_dropout, embed_target=without_dropout),
        "In training mode something is missing: dropout also falls on the sums of embeddings and positions, in the "
        "encoder and in the decoder (§5.4).",
    ),
    Misconception(
        "dropout before positions",
        wired(*[padding_mask, lambda target: causal_mask(target.size(1)), padding_mask],
              *[lambda model, tokens: model.positions(model.dropout(model.embedding(tokens)))] * 2),
        "Your dropout comes before the positions. It falls on the sum of both (§5.4): positions first.",
    ),
    Misconception(
        "embedding added again",
        wired(*[padding_mask, lambda target: causal_mask(target.size(1)), padding_mask], *[embedding_added] * 2),
        "You add the embedding to what `positions` returns. `positions(x)` gives x + code already, so that every "
        "embedding counts twice: `self.positions(self.embedding(ids))`.",
    ),
    Misconception(
        "scaled again",
        wired(*[padding_mask, lambda target: causal_mask(target.size(1)), padding_mask], *[scaled_again] * 2),
        "You multiply by √d_model, which `embedding` has done already (chapter 01): now it is there twice.",
    ),
    Misconception(
        "parts in a dictionary",
        PartsInADictionary,
        "Your parts stand in a plain dictionary or list, which a module does not look into: they are not among its "
        "`parameters()`, and `.eval()` does not reach the dropout. Make each an attribute, or use `nn.ModuleDict`.",
    ),
    Misconception(
        "shifted again",
        model_with(shifted_again),
        "You shift the target right once more. What you are given as `target` is the decoder's input, shifted already.",
    ),
    Misconception(
        "probabilities",
        wired(finish=lambda model, states: model.output(states).softmax(dim=-1)),
        "You return probabilities. Asked for are logits: the loss takes the softmax itself, in a form that loses no "
        "digits.",
    ),
    Misconception(
        "states returned",
        wired(finish=lambda model, states: states),
        "You return the decoder's states, (batch, target_len, d_model). The output layer makes logits of them.",
    ),
    Misconception(
        "last position only",
        wired(finish=lambda model, states: model.output(states[:, -1:])),
        "You return the logits of the last position alone. In training every position is a prediction, and all of them "
        "are had from one forward pass.",
    ),
)  # fmt: skip
