"""What chapter 06 asks for and the model has no use for: answers that live beside the exercise."""

import copy

import torch
from torch import Tensor, nn

from utils.transformer.masks import BEGIN, END, PADDING, causal_mask, padding_mask


def shift_right(target: Tensor) -> tuple[Tensor, Tensor]:
    """What the decoder reads and what it is to say, for teacher forcing (§3.1).

    target: (batch, length) ids: words, END, then padding. Returns (decoder_input, wanted), both (batch, length):
    at every position t, wanted[:, t] is the token that comes after decoder_input[:, t]. No END is read.
    """
    begin = target.new_full((target.size(0), 1), BEGIN)
    decoder_input = torch.cat([begin, target[:, :-1]], dim=1)  # (batch, length)
    return decoder_input.masked_fill(decoder_input == END, PADDING), target


class EncoderDecoder(nn.Module):
    """The whole model of figure 1, put together from its parts (§3)."""

    def __init__(
        self, embedding: nn.Module, positions: nn.Module, dropout: nn.Module, encoder: nn.Module, decoder: nn.Module,
        output: nn.Module,
    ) -> None:  # fmt: skip
        super().__init__()
        self.embedding = embedding
        self.positions = positions
        self.dropout = dropout
        self.encoder = encoder
        self.decoder = decoder
        self.output = output

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """source: (batch, source_len) ids, padded; target: (batch, target_len) ids, shifted right.

        Returns logits (batch, target_len, vocab_size): those at position t are for the token after target[:, t].
        """
        source_mask = padding_mask(source)  # (batch, 1, 1, source_len)
        target_mask = causal_mask(target.size(1), target.device)  # (1, 1, target_len, target_len)
        memory = self.encoder(self.dropout(self.positions(self.embedding(source))), source_mask)
        embedded = self.dropout(self.positions(self.embedding(target)))  # (batch, target_len, d_model)
        states = self.decoder(embedded, memory, target_mask, source_mask)
        return self.output(states)


def leaks(model: nn.Module, source: Tensor, target: Tensor, position: int) -> bool:
    """Whether logits at or before `position` move when the target tokens after it change (§3.1).

    model(source, target) gives logits (batch, target_len, vocab_size); source: (batch, source_len) ids; target:
    (batch, target_len) ids. Tries training and evaluation mode, and leaves model, inputs and random state as found.
    """
    probe = copy.deepcopy(model)  # its mode may be changed

    def logits(future_target: Tensor) -> Tensor:
        torch.manual_seed(0)  # the same dropout every time
        return probe(source, future_target)

    with torch.no_grad(), torch.random.fork_rng():
        for training in (True, False):
            probe.train(training)
            before = logits(target)
            for future in ((target + 1) % before.size(-1), torch.full_like(target, PADDING)):
                changed = torch.cat([target[:, : position + 1], future[:, position + 1 :]], dim=1)
                moved = (logits(changed) - before)[:, : position + 1].abs().max()
                if moved > 1e-4:
                    return True
    return False


def transformer_parameters(vocab_size: int, layers: int, d_model: int, d_ff: int, bias: bool = True) -> int:
    """How many numbers the model of figure 1 learns; one table serves source, target and output (§3.4, Table 3).

    bias: whether the four projections of an attention have biases. Heads share d_model, so their number plays no part.
    """
    attention = 4 * (d_model * d_model + bias * d_model)
    feed_forward = d_model * d_ff + d_ff + d_ff * d_model + d_model
    norm = 2 * d_model
    encoder_layer = attention + feed_forward + 2 * norm
    decoder_layer = 2 * attention + feed_forward + 3 * norm
    return vocab_size * d_model + layers * (encoder_layer + decoder_layer)


def family_mask(family: str, source_len: int, target_len: int) -> Tensor:
    """Who sees whom when source and target stand in one sequence (§3.1).

    family: "encoder-only", "decoder-only" or "encoder-decoder". Returns bool (length, length) with length = source_len
    + target_len; rows are queries, True = may attend.
    """
    length = source_len + target_len
    mask = torch.ones(length, length, dtype=torch.bool)
    if family == "encoder-only":
        return mask
    mask = mask.tril()
    if family == "encoder-decoder":
        mask[:source_len, :source_len] = True
    return mask
