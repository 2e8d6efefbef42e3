"""The whole model of figure 1, and its two relatives made of the same blocks (§3)."""

from torch import Tensor, nn

from utils.transformer.config import TransformerConfig
from utils.transformer.dropout import FusedDropout
from utils.transformer.incremental import FullDecoder, IncrementalDecoder, can_cache
from utils.transformer.masks import causal_mask, padding_mask
from utils.transformer.positions import LearnedPositions, SinusoidalPositions
from utils.transformer.stacks import FUSED, Parts, Stack, decoder_stack, encoder_stack


class Transformer(nn.Module):
    """The encoder–decoder of the paper.

    Training runs `states` (teacher forcing) and `output`; translating runs `start` and the stepper it returns.
    """

    def __init__(self, config: TransformerConfig, parts: Parts = FUSED) -> None:
        super().__init__()
        self.config = config
        self.source_embedding = parts.embedding(config.vocab_size, config.d_model)
        self.target_embedding = (
            self.source_embedding if config.tying == "three-way" else parts.embedding(config.vocab_size, config.d_model)
        )
        self.source_positions = make_positions(config, parts)
        self.target_positions = make_positions(config, parts)
        self.dropout = FusedDropout(config.dropout)
        self.encoder = encoder_stack(config, parts)
        self.decoder = decoder_stack(config, parts)
        tied_to = None if config.tying == "none" else self.target_embedding
        self.output = parts.output(config.vocab_size, config.d_model, tied_to)
        initialise(self.encoder, self.decoder)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """source: (batch, source_len) ids; target: (batch, target_len) ids, shifted right.

        Returns logits (batch, target_len, vocab_size): those at position t are for the token after target[:, t].
        """
        return self.output(self.states(source, target))

    def states(self, source: Tensor, target: Tensor) -> Tensor:
        """As `forward`, up to the last state: (batch, target_len, d_model)."""
        source_mask = source_padding(source)
        return self.decode(target, self.encode(source, source_mask), source_mask)

    def encode(self, source: Tensor, source_mask: Tensor | None = None) -> Tensor:
        """source: (batch, source_len) ids; source_mask: (batch, 1, 1, source_len). Returns the encoder's output."""
        embedded = self.dropout(self.source_positions(self.source_embedding(source)))
        return self.encoder(embedded, source_mask)  # (batch, source_len, d_model)

    def decode(self, target: Tensor, memory: Tensor, source_mask: Tensor | None = None) -> Tensor:
        """target: (batch, target_len) ids; memory: (batch, source_len, d_model). Returns (batch, target_len, d_model).

        The causal mask hides target padding too, since padding stands at the end and nobody looks ahead.
        """
        embedded = self.dropout(self.target_positions(self.target_embedding(target)))
        return self.decoder(embedded, memory, causal_mask(target.size(1), target.device), source_mask)

    def start(self, source: Tensor, beams: int = 1, cache: bool = True) -> IncrementalDecoder | FullDecoder:
        """Encodes (batch, source_len) ids and returns a stepper for batch · beams rows, with a key–value cache
        where the parts allow one.
        """
        source_mask = source_padding(source)
        stepper = IncrementalDecoder if cache and can_cache(self) else FullDecoder
        return stepper(self, self.encode(source, source_mask), source_mask, beams)


class EncoderOnly(nn.Module):
    """The encoder with an output layer: every position sees all others (as in BERT)."""

    def __init__(self, config: TransformerConfig, parts: Parts = FUSED) -> None:
        super().__init__()
        self.config = config
        self.embedding = parts.embedding(config.vocab_size, config.d_model)
        self.positions = make_positions(config, parts)
        self.dropout = FusedDropout(config.dropout)
        self.encoder = encoder_stack(config, parts)
        tied_to = None if config.tying == "none" else self.embedding
        self.output = parts.output(config.vocab_size, config.d_model, tied_to)
        initialise(self.encoder)

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens: (batch, length) ids. Returns logits (batch, length, vocab_size) for the tokens themselves."""
        embedded = self.dropout(self.positions(self.embedding(tokens)))
        return self.output(self.encoder(embedded, source_padding(tokens)))


class DecoderOnly(nn.Module):
    """Masked self-attention and feed-forward without an encoder: a language model (as in GPT)."""

    def __init__(self, config: TransformerConfig, parts: Parts = FUSED) -> None:
        super().__init__()
        self.config = config
        self.embedding = parts.embedding(config.vocab_size, config.d_model)
        self.positions = make_positions(config, parts)
        self.dropout = FusedDropout(config.dropout)
        self.decoder = encoder_stack(config, parts)  # a decoder layer less its second sub-layer is an encoder layer
        tied_to = None if config.tying == "none" else self.embedding
        self.output = parts.output(config.vocab_size, config.d_model, tied_to)
        initialise(self.decoder)

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens: (batch, length) ids. Returns logits (batch, length, vocab_size) for the token that comes next."""
        embedded = self.dropout(self.positions(self.embedding(tokens)))
        return self.output(self.decoder(embedded, causal_mask(tokens.size(1), tokens.device)))


def make_positions(config: TransformerConfig, parts: Parts = FUSED) -> nn.Module:
    """The positions that the configuration asks for."""
    if config.positions == "learned":
        return LearnedPositions(config.d_model, config.max_len)
    return SinusoidalPositions(config.d_model, config.max_len, parts.position_table)


def initialise(*stacks: Stack) -> None:
    """Xavier-uniform matrices and zero biases (Glorot and Bengio 2010); norms and embeddings keep their own start."""
    for stack in stacks:
        for module in stack.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)


def source_padding(tokens: Tensor) -> Tensor | None:
    """The padding mask, or None where the CPU can see at no cost that there is no padding."""
    mask = padding_mask(tokens)
    return None if tokens.device.type == "cpu" and bool(mask.all()) else mask
