"""The model of "Attention Is All You Need", one module per idea. Imports nothing of the floors above."""

from utils.transformer.attention import (
    AdditiveAttention,
    MultiHeadAttention,
    join_heads,
    scaled_dot_product_attention,
    split_heads,
)
from utils.transformer.config import BASE, BIG, TransformerConfig
from utils.transformer.counts import parameter_counts
from utils.transformer.embeddings import OutputLayer, TokenEmbedding
from utils.transformer.fused import FusedLayerNorm, FusedMultiHeadAttention, FusedResidual, fused_attention
from utils.transformer.layers import DecoderLayer, EncoderLayer, FeedForward, LayerNorm, Residual
from utils.transformer.maps import AttentionMaps, attention_maps
from utils.transformer.masks import BEGIN, END, PADDING, UNKNOWN, causal_mask, padding_mask
from utils.transformer.model import DecoderOnly, EncoderOnly, Transformer
from utils.transformer.positions import LearnedPositions, SinusoidalPositions, sinusoidal_table
from utils.transformer.stacks import CLEAR, FUSED, Parts, Stack, decoder_stack, encoder_stack

__all__ = [
    "BASE", "BEGIN", "BIG", "CLEAR", "END", "FUSED", "PADDING", "UNKNOWN", "AdditiveAttention", "AttentionMaps",
    "DecoderLayer", "DecoderOnly", "EncoderLayer", "EncoderOnly", "FeedForward", "FusedLayerNorm",
    "FusedMultiHeadAttention", "FusedResidual", "LayerNorm", "LearnedPositions", "MultiHeadAttention", "OutputLayer",
    "Parts", "Residual", "SinusoidalPositions", "Stack", "TokenEmbedding", "Transformer", "TransformerConfig",
    "attention_maps", "causal_mask", "decoder_stack", "encoder_stack", "fused_attention", "join_heads",
    "padding_mask", "parameter_counts", "scaled_dot_product_attention", "sinusoidal_table", "split_heads",
]  # fmt: skip
