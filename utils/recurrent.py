"""The opponent of chapter 09: a recurrent encoder–decoder, with additive attention or without any (§1, §4).

It has the interface of `Transformer`, so that training, greedy decoding and beam search do not know which they drive.

What it is, and is not. The encoder is bidirectional (Bahdanau et al. 2014). Attention scores are Bahdanau's additive
ones, but attention stands behind the decoder's recurrence, as in Luong et al. (2015, Eq. 5): Bahdanau feeds each
step's context into the next step, so that his decoder has to be stepped even in training. Here the recurrence runs
over the whole target in one call and attention looks back for all positions at once, which trains several times
faster; the opponent gets the benefit of it.
"""

from dataclasses import asdict, dataclass, fields, replace

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from utils.errors import ConfigError
from utils.transformer.attention import AdditiveAttention
from utils.transformer.config import TransformerConfig
from utils.transformer.counts import parameter_counts
from utils.transformer.embeddings import OutputLayer, TokenEmbedding
from utils.transformer.incremental import FullDecoder
from utils.transformer.model import source_padding

CELLS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}  # "rnn": h = tanh(W x + U h), without a gate (Elman 1990)
GATES = {"rnn": 1, "gru": 3, "lstm": 4}  # matrices of a cell, the candidate's included
TYINGS = ("three-way", "output", "none")
State = tuple[Tensor, ...]  # (hidden,) of a GRU, (hidden, cell) of an LSTM, each (layers, rows, d_hidden)


@dataclass(frozen=True)
class RecurrentConfig:
    """Sizes and choices of one recurrent translator; names that `TransformerConfig` has mean the same here."""

    vocab_size: int = 8_000  # V
    cell: str = "gru"  # "lstm", "rnn"
    attention: bool = True  # without: the encoder's last states are all that the decoder knows of the source
    layers: int = 2  # in the encoder and in the decoder
    d_model: int = 256  # width of the embeddings and of the states before the output
    d_hidden: int = 256  # width of a cell, in the encoder of each direction
    dropout: float = 0.1
    tying: str = "three-way"  # source, target and output share one table (§3.4); "output", "none"

    def __post_init__(self) -> None:
        for name in ("vocab_size", "layers", "d_model", "d_hidden"):
            value = getattr(self, name)
            _check(isinstance(value, int) and value > 0, self, name, "whole numbers from 1")
        _check(0 <= self.dropout < 1, self, "dropout", "numbers from 0 up to, but not including, 1")
        _check(isinstance(self.attention, bool), self, "attention", "true, false")
        _check(self.cell in CELLS, self, "cell", ", ".join(CELLS))
        _check(self.tying in TYINGS, self, "tying", ", ".join(TYINGS))

    def to_dict(self) -> dict:
        """A plain dictionary, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> "RecurrentConfig":
        """The inverse of `to_dict`; an unknown name is a ConfigError that lists the known ones."""
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ConfigError(
                f"A recurrent translator has no setting {unknown[0]!r}: known are {', '.join(sorted(known))}."
            )
        return cls(**values)


def _check(holds: bool, config: object, name: str, good: str) -> None:
    if not holds:
        raise ConfigError(f"{name} is {getattr(config, name)!r}: good values are {good}.")


class RecurrentTranslator(nn.Module):
    """A bidirectional recurrent encoder and a recurrent decoder; `states`, `output` and `start` as in `Transformer`."""

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__()
        self.config = config
        width, hidden = config.d_model, config.d_hidden
        self.source_embedding = TokenEmbedding(config.vocab_size, width)
        self.target_embedding = (
            self.source_embedding if config.tying == "three-way" else TokenEmbedding(config.vocab_size, width)
        )
        self.dropout = nn.Dropout(config.dropout)
        between_layers = config.dropout if config.layers > 1 else 0.0
        cell = CELLS[config.cell]
        self.encoder = cell(width, hidden, config.layers, batch_first=True, bidirectional=True, dropout=between_layers)
        self.decoder = cell(width, hidden, config.layers, batch_first=True, dropout=between_layers)
        self.state_count = 2 if config.cell == "lstm" else 1  # tensors that make up a cell's state
        self.bridge = nn.Linear(2 * hidden, self.state_count * config.layers * hidden)
        self.attention = AdditiveAttention(hidden, 2 * hidden, hidden) if config.attention else None
        self.combine = nn.Linear(3 * hidden if config.attention else hidden, width)
        self.output = OutputLayer(config.vocab_size, width, None if config.tying == "none" else self.target_embedding)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """source: (batch, source_len) ids; target: (batch, target_len) ids, shifted right.

        Returns logits (batch, target_len, vocab_size): those at position t are for the token after target[:, t].
        """
        return self.output(self.states(source, target))

    def states(self, source: Tensor, target: Tensor) -> Tensor:
        """As `forward`, up to the last state: (batch, target_len, d_model)."""
        source_mask = source_padding(source)
        return self.decode(target, self.encode(source, source_mask), source_mask)

    def attention_weights(self, source: Tensor, target: Tensor) -> Tensor:
        """Where each target position looks: (batch, target_len, source_len), rows are queries and sum to one."""
        if self.attention is None:
            raise ConfigError("This translator was built with attention = false: it has no weights to look at.")
        source_mask = source_padding(source)
        memory = self.encode(source, source_mask)
        return self._decode(target, memory, source_mask)[1]

    def encode(self, source: Tensor, source_mask: Tensor | None = None) -> Tensor:
        """source: (batch, source_len) ids; source_mask: (batch, 1, 1, source_len).

        Returns (batch, source_len, 2 · d_hidden): at each position the forward and the backward state. Sentences
        are packed, since the backward direction would otherwise begin by reading padding.
        """
        embedded = self.dropout(self.source_embedding(source))
        if source_mask is None:
            return self.encoder(embedded)[0]
        lengths = real_lengths(source_mask).cpu()  # where packing wants them
        packed = pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.encoder(packed)[0], batch_first=True, total_length=source.size(1))[0]

    def decode(self, target: Tensor, memory: Tensor, source_mask: Tensor | None = None) -> Tensor:
        """target: (batch, target_len) ids; memory: (batch, source_len, 2 · d_hidden). Returns (…, d_model)."""
        return self._decode(target, memory, source_mask)[0]

    def _decode(self, target: Tensor, memory: Tensor, source_mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        hidden, _ = self.recur(target, self.first_state(memory, source_mask))
        keys = None if self.attention is None else self.attention.key_projection(memory)
        return self.attend(hidden, keys, memory, source_mask)

    def first_state(self, memory: Tensor, source_mask: Tensor | None = None) -> State:
        """The decoder's state before its first token, for every layer from the two states that have read it all:
        the forward one at the last token and the backward one at the first. Each (layers, batch, d_hidden).
        """
        forward, backward = memory.chunk(2, dim=-1)  # each (batch, source_len, d_hidden)
        if source_mask is None:
            last = forward[:, -1]
        else:
            last = forward[torch.arange(len(memory), device=memory.device), real_lengths(source_mask) - 1]
        joined = torch.cat([last, backward[:, 0]], dim=-1)  # (batch, 2 · d_hidden)
        state = self.bridge(joined).tanh().unflatten(-1, (self.state_count, self.config.layers, -1))
        return tuple(part.transpose(0, 1).contiguous() for part in state.unbind(dim=1))

    def recur(self, target: Tensor, state: State) -> tuple[Tensor, State]:
        """Runs the decoder's cells over target: (rows, target_len) ids. Returns (rows, target_len, d_hidden)
        and the state after the last of them.
        """
        embedded = self.dropout(self.target_embedding(target))
        hidden, state = self.decoder(embedded, state if self.state_count == 2 else state[0])
        return hidden, state if self.state_count == 2 else (state,)

    def attend(
        self, hidden: Tensor, keys: Tensor | None, memory: Tensor | None, source_mask: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """tanh(W [hidden; context]) for every position (Luong et al. 2015, Eq. 5), and the attention's weights.

        hidden: (batch, target_len, d_hidden); keys: (batch, source_len, d_hidden), the memory as projected once.
        """
        weights = None
        if self.attention is not None:
            mask = None if source_mask is None else source_mask.squeeze(1)  # (batch, 1, source_len)
            context, weights = self.attention.attend(hidden, keys, memory, mask)
            hidden = torch.cat([hidden, context], dim=-1)  # (batch, target_len, 3 · d_hidden)
        return self.dropout(self.combine(hidden).tanh()), weights

    def start(self, source: Tensor, beams: int = 1, cache: bool = True) -> "RecurrentDecoder | FullDecoder":
        """Encodes (batch, source_len) ids and returns a stepper for batch · beams rows. Its cache is a cell's state;
        without it the whole prefix is run again at every step.
        """
        source_mask = source_padding(source)
        stepper = RecurrentDecoder if cache else FullDecoder
        return stepper(self, self.encode(source, source_mask), source_mask, beams)


class RecurrentDecoder:
    """Steps a `RecurrentTranslator` through its output, one token for each of batch · beams rows at a time.

    The hypotheses of a sentence share its memory: they stand side by side as queries.
    """

    def __init__(self, model: RecurrentTranslator, memory: Tensor, source_mask: Tensor | None, beams: int = 1) -> None:
        self.model, self.memory, self.source_mask, self.beams = model, memory, source_mask, beams
        self.sentences = memory.size(0)
        self.keys = None if model.attention is None else model.attention.key_projection(memory)
        self.state = tuple(
            part.repeat_interleave(beams, dim=1) for part in model.first_state(memory, source_mask)
        )  # each (layers, batch · beams, d_hidden)

    def step(self, tokens: Tensor) -> Tensor:
        """tokens: (batch · beams,) the newest token of each row. Returns logits (batch · beams, vocab_size)."""
        hidden, self.state = self.model.recur(tokens[:, None], self.state)  # (batch · beams, 1, d_hidden)
        hidden = hidden.view(self.sentences, self.beams, -1)
        states, _ = self.model.attend(hidden, self.keys, self.memory, self.source_mask)
        return self.model.output(states).view(tokens.size(0), -1)

    def reorder(self, rows: Tensor) -> None:
        """Row i goes on from what was row rows[i], a row of the same sentence."""
        self.state = tuple(part.index_select(1, rows) for part in self.state)

    def keep(self, sentences: Tensor) -> None:
        """Goes on with the given sentences only, in that order."""
        rows = (sentences[:, None] * self.beams + torch.arange(self.beams, device=sentences.device)).flatten()
        self.reorder(rows)
        self.memory = self.memory[sentences]
        self.keys = None if self.keys is None else self.keys[sentences]
        self.source_mask = None if self.source_mask is None else self.source_mask[sentences]
        self.sentences = sentences.size(0)


def real_lengths(source_mask: Tensor) -> Tensor:
    """(batch, 1, 1, source_len) → (batch,), at least 1: packing knows no empty sentence."""
    return source_mask.sum(dim=-1).flatten().clamp(min=1)


def recurrent_parameter_count(config: RecurrentConfig) -> int:
    """Parameters by formula; the built model has as many (tested)."""
    width, hidden, layers, gates = config.d_model, config.d_hidden, config.layers, GATES[config.cell]
    tables = {"three-way": 1, "output": 2, "none": 3}[config.tying]

    def cell(inputs: int) -> int:
        return gates * hidden * (inputs + hidden + 2)  # PyTorch's cells have two biases

    encoder = 2 * (cell(width) + (layers - 1) * cell(2 * hidden))
    decoder = cell(width) + (layers - 1) * cell(hidden)
    bridge = (2 * hidden + 1) * hidden * layers * (2 if config.cell == "lstm" else 1)
    attention = (hidden + (2 * hidden + 1) + 1) * hidden if config.attention else 0
    combine = ((3 if config.attention else 1) * hidden + 1) * width
    return tables * config.vocab_size * width + encoder + decoder + bridge + attention + combine


def size_matched(
    config: TransformerConfig, cell: str = "gru", attention: bool = True, layers: int = 2
) -> RecurrentConfig:
    """A recurrent translator with as many parameters as the Transformer of `config`, within 2 %.

    Vocabulary, d_model, dropout and tying are taken over; d_hidden is chosen. In a very small model one step of
    d_hidden is more than 2 %; there d_model gives way too, by an eighth at most. Raises ConfigError when that fails.
    """
    wanted = sum(parameter_counts(config).values())
    shared = {"vocab_size": config.vocab_size, "dropout": config.dropout, "tying": config.tying}
    shared |= {"cell": cell, "attention": attention, "layers": layers}
    nearest = None
    for d_model in sorted(range(1, 2 * config.d_model), key=lambda width: abs(width - config.d_model)):
        if 8 * abs(d_model - config.d_model) > config.d_model:
            break
        candidate = _nearest_in_size(RecurrentConfig(d_model=d_model, **shared), wanted)
        if abs(recurrent_parameter_count(candidate) - wanted) <= 0.02 * wanted:
            return candidate
        nearest = nearest or candidate
    raise ConfigError(
        f"No {cell.upper()} with layers = {layers} comes within 2 % of {wanted:,} parameters; the nearest has "
        f"{recurrent_parameter_count(nearest):,}: take fewer layers or a larger Transformer."
    )


def _nearest_in_size(config: RecurrentConfig, wanted: int) -> RecurrentConfig:
    """`config` with the d_hidden whose parameter count is nearest to `wanted`; the count grows with d_hidden."""

    def excess(d_hidden: int) -> int:
        return recurrent_parameter_count(replace(config, d_hidden=d_hidden)) - wanted

    high = 1
    while excess(high) < 0:
        high *= 2
    low = max(1, high // 2)
    while high - low > 1:  # excess(low) < 0 <= excess(high)
        middle = (low + high) // 2
        low, high = (middle, high) if excess(middle) < 0 else (low, middle)
    return replace(config, d_hidden=min(low, high, key=lambda d_hidden: abs(excess(d_hidden))))
