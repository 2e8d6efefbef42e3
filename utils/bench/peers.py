"""What the bench compares with: `torch.nn.Transformer` written the usual way, and Hugging Face's Marian model.

Each peer can take over the weights of one of our models, and then gives the same numbers. So a bench shows that both
sides do the same work before it times them.
"""

import importlib.util
import math
import warnings

import torch
from torch import Tensor, nn

from utils.errors import CourseError
from utils.transformer import BEGIN, END, PADDING, Transformer, TransformerConfig, sinusoidal_table

LONGEST = 512  # positions in a peer's table


class UsualTransformer(nn.Module):
    """`torch.nn.Transformer` as most tutorials use it: batch first, float causal mask, masks from padding, one table
    for both languages and the output layer.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.scale = math.sqrt(config.d_model)
        self.embedding = nn.Embedding(config.vocab_size, config.d_model, padding_idx=PADDING)
        self.register_buffer("positions", sinusoidal_table(LONGEST, config.d_model), persistent=False)
        self.dropout = nn.Dropout(config.dropout)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="enable_nested_tensor is True")
            self.transformer = nn.Transformer(
                config.d_model, config.heads, config.layers, config.layers, config.d_ff, config.dropout,
                batch_first=True, norm_first=config.norm == "pre",
            )  # fmt: skip
        self.output = nn.Linear(config.d_model, config.vocab_size, bias=False)
        nn.init.normal_(self.embedding.weight, std=config.d_model**-0.5)
        self.output.weight = self.embedding.weight

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """source: (batch, source_len) ids; target: (batch, target_len) ids. Returns logits of all positions."""
        return self.output(self.states(source, target))

    def states(self, source: Tensor, target: Tensor) -> Tensor:
        """As `forward`, up to the last state: (batch, target_len, d_model)."""
        padding = source == PADDING
        return self.transformer(
            self.embed(source),
            self.embed(target),
            tgt_mask=nn.Transformer.generate_square_subsequent_mask(target.size(1)),
            src_key_padding_mask=padding,
            tgt_key_padding_mask=torch.zeros(target.shape).masked_fill(target == PADDING, -math.inf),
            memory_key_padding_mask=padding,
            tgt_is_causal=True,
        )

    def embed(self, tokens: Tensor) -> Tensor:
        """tokens: (batch, length) ids. Returns (batch, length, d_model)."""
        return self.dropout(self.embedding(tokens) * self.scale + self.positions[: tokens.size(1)])

    @torch.inference_mode()
    def greedy(self, source: Tensor, steps: int) -> Tensor:
        """The usual greedy loop: encodes once, then runs the whole prefix at every step. Returns (batch, steps) ids."""
        padding = source == PADDING
        memory = self.transformer.encoder(self.embed(source), src_key_padding_mask=padding)
        prefix = torch.full((source.size(0), 1), BEGIN)
        for _ in range(steps):
            mask = nn.Transformer.generate_square_subsequent_mask(prefix.size(1))
            states = self.transformer.decoder(
                self.embed(prefix), memory, tgt_mask=mask, memory_key_padding_mask=padding, tgt_is_causal=True
            )
            prefix = torch.cat([prefix, self.output(states[:, -1]).argmax(-1, keepdim=True)], dim=1)
        return prefix[:, 1:]


def usual_loss(logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """The mean loss per real token, from the logits of all positions, padding included."""
    return nn.functional.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=PADDING, label_smoothing=smoothing
    )


def marian_there() -> bool:
    """Whether the package `transformers` is installed; finding out does not import it."""
    return importlib.util.find_spec("transformers") is not None


def make_marian(config: TransformerConfig) -> nn.Module:
    """A `MarianMTModel` of the given sizes. It knows post-norm only; with "pre" it is the post-norm model of that size.

    CourseError when `transformers` is not installed.
    """
    if not marian_there():
        raise CourseError(
            "The package transformers is not installed: `pip install transformers` adds Marian to the bench."
        )
    from transformers import MarianConfig, MarianMTModel
    from transformers.utils import logging

    logging.set_verbosity_error()
    return MarianMTModel(
        MarianConfig(
            vocab_size=config.vocab_size, decoder_vocab_size=config.vocab_size, d_model=config.d_model,
            encoder_layers=config.layers, decoder_layers=config.layers,
            encoder_attention_heads=config.heads, decoder_attention_heads=config.heads,
            encoder_ffn_dim=config.d_ff, decoder_ffn_dim=config.d_ff, activation_function="relu",
            dropout=config.dropout, attention_dropout=0.0, activation_dropout=0.0, scale_embedding=True,
            init_std=config.d_model**-0.5, max_position_embeddings=LONGEST, share_encoder_decoder_embeddings=True,
            tie_word_embeddings=True, pad_token_id=PADDING, bos_token_id=BEGIN, decoder_start_token_id=BEGIN,
            eos_token_id=END, forced_eos_token_id=None,
        )
    )  # fmt: skip


def marian_logits(model: nn.Module, source: Tensor, target: Tensor) -> Tensor:
    """Logits (batch, target_len, vocab_size) of a Marian model, called as its documentation calls it."""
    return model(
        input_ids=source, attention_mask=(source != PADDING).long(), decoder_input_ids=target, use_cache=False
    ).logits


# ---- taking over weights --------------------------------------------------------------------------------------------


@torch.no_grad()
def copy_to_usual(ours: Transformer, peer: UsualTransformer) -> None:
    """Puts our weights into the peer; its last norms, which post-norm of the paper lacks, keep gain 1 and bias 0."""
    peer.embedding.weight.copy_(ours.source_embedding.weight)
    for side in ("encoder", "decoder"):
        stack, peer_stack = getattr(ours, side), getattr(peer.transformer, side)
        for layer, peer_layer in zip(stack.layers, peer_stack.layers, strict=True):
            pairs = [(layer.self_attention, peer_layer.self_attn)]
            if side == "decoder":
                pairs.append((layer.cross_attention, peer_layer.multihead_attn))
            for attention, peer_attention in pairs:
                projections = attention.query_projection, attention.key_projection, attention.value_projection
                peer_attention.in_proj_weight.copy_(torch.cat([projection.weight for projection in projections]))
                peer_attention.in_proj_bias.copy_(torch.cat([projection.bias for projection in projections]))
                _copy_linear(attention.output_projection, peer_attention.out_proj)
            _copy_linear(layer.feed_forward.inner, peer_layer.linear1)
            _copy_linear(layer.feed_forward.outer, peer_layer.linear2)
            norms = [getattr(peer_layer, f"norm{number}") for number in range(1, len(layer.residuals) + 1)]
            for residual, norm in zip(layer.residuals, norms, strict=True):
                _copy_norm(residual.normalise, norm)
        if stack.final_norm is not None:
            _copy_norm(stack.final_norm, peer_stack.norm)


@torch.no_grad()
def copy_to_marian(ours: Transformer, peer: nn.Module) -> None:
    """Puts our weights, and our positional code, into a Marian model; the same numbers come out with post-norm."""
    peer.model.shared.weight.copy_(ours.source_embedding.weight)
    for side in ("encoder", "decoder"):
        stack, peer_stack = getattr(ours, side), getattr(peer.model, side)
        peer_stack.embed_positions.weight.copy_(sinusoidal_table(LONGEST, ours.config.d_model))
        for layer, peer_layer in zip(stack.layers, peer_stack.layers, strict=True):
            pairs = [(layer.self_attention, peer_layer.self_attn)]
            norms = [peer_layer.self_attn_layer_norm, peer_layer.final_layer_norm]
            if side == "decoder":
                pairs.append((layer.cross_attention, peer_layer.encoder_attn))
                norms.insert(1, peer_layer.encoder_attn_layer_norm)
            for attention, peer_attention in pairs:
                _copy_linear(attention.query_projection, peer_attention.q_proj)
                _copy_linear(attention.key_projection, peer_attention.k_proj)
                _copy_linear(attention.value_projection, peer_attention.v_proj)
                _copy_linear(attention.output_projection, peer_attention.out_proj)
            _copy_linear(layer.feed_forward.inner, peer_layer.fc1)
            _copy_linear(layer.feed_forward.outer, peer_layer.fc2)
            for residual, norm in zip(layer.residuals, norms, strict=True):
                _copy_norm(residual.normalise, norm)


def _copy_linear(ours: nn.Linear, theirs: nn.Linear) -> None:
    theirs.weight.copy_(ours.weight)
    theirs.bias.copy_(ours.bias)


def _copy_norm(ours: nn.Module, theirs: nn.LayerNorm) -> None:
    theirs.weight.copy_(ours.gain)
    theirs.bias.copy_(ours.bias)


# ---- are they comparable? -------------------------------------------------------------------------------------------


def trained_parameters(model: nn.Module) -> int:
    """Parameters that training changes, tied ones once."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def check_same_loss(name: str, ours: float, theirs: float) -> None:
    """CourseError unless a peer with our weights has our loss."""
    if not abs(ours - theirs) < 1e-3:
        raise CourseError(
            f"{name} with our weights has a loss of {theirs:.5f}, ours is {ours:.5f}: it is no fair peer."
        )


def check_same_size(name: str, ours: nn.Module, theirs: nn.Module) -> None:
    """CourseError unless both have the same number of trained parameters within 3 %."""
    ratio = trained_parameters(theirs) / trained_parameters(ours)
    if not 0.97 < ratio < 1.03:
        raise CourseError(f"{name} has {ratio:.3f} times our parameters: it is no fair peer.")


def check_first_loss(name: str, loss: float, vocab_size: int) -> None:
    """CourseError unless an untrained model's loss is finite and lies near ln V, that of a uniform guess."""
    if not (math.isfinite(loss) and abs(loss - math.log(vocab_size)) < 2.5):
        raise CourseError(f"{name} starts with a loss of {loss:.3f}, far from ln V = {math.log(vocab_size):.3f}.")
