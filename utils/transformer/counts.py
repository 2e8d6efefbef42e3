"""Parameters counted by formula, part by part, to compare with Table 3."""

from utils.errors import ConfigError
from utils.transformer.config import TransformerConfig


def parameter_counts(config: TransformerConfig) -> dict[str, int]:
    """Parameters of each part of a `Transformer`; their sum is what the built model has (tested).

    Table 3 reports 65 and 213 million for base and big. With 37 000 shared entries the formulas give 63 082 496 and
    214 245 376 (63 045 632 and 214 171 648 with projections free of biases, as §3.2.2 writes them).
    """
    width, inner, layers = config.d_model, config.d_ff, config.layers
    d_k, d_v = config.d_k or width // config.heads, config.d_v or width // config.heads
    tables = {"three-way": 1, "output": 2, "none": 3}[config.tying]
    bias = config.attention_bias
    attention = config.heads * (2 * d_k + d_v) * (width + bias) + (config.heads * d_v + bias) * width
    feed_forward = 2 * width * inner + inner + width
    norm = 2 * width
    return {
        "embeddings and output": tables * config.vocab_size * width,
        "learned positions": 2 * config.max_len * width if config.positions == "learned" else 0,
        "encoder self-attention": layers * attention,
        "encoder feed-forward": layers * feed_forward,
        "decoder self-attention": layers * attention,
        "decoder cross-attention": layers * attention,
        "decoder feed-forward": layers * feed_forward,
        "layer norms": (layers * 5 + (2 if config.norm == "pre" else 0)) * norm,
    }


def implied_vocabulary(config: TransformerConfig, reported_millions: float) -> tuple[int, int]:
    """The smallest and largest vocabulary with which a model counts as the reported millions, rounded.

    `config.vocab_size` plays no part. A count rounds to M millions from M − 0.5 million on, up to but not including
    M + 0.5 million. Raises ConfigError when no vocabulary does.

    What Table 3 implies, with one table shared three ways and biases as in most code: every row that reports a
    size, base and (A) to (C), fits any vocabulary from 40 932 (d_ff = 1024: 53) to 41 160 (N = 4: 50), and no other;
    without biases in the attention, 41 004 to 41 208. The one exception is big: its 213 needs 35 296 to 36 272
    (without biases 35 368 to 36 344). So no one vocabulary explains the whole table, and the "about 37 000" of §5.1
    explains none of its rows: it gives base 63.08, not 65, and big 214.25, not 213.
    """
    counts = parameter_counts(config)
    per_entry = counts["embeddings and output"] // config.vocab_size
    rest = sum(counts.values()) - counts["embeddings and output"]
    low, high = round(reported_millions * 1e6) - 500_000 - rest, round(reported_millions * 1e6) + 500_000 - rest
    smallest, largest = max(1, -(-low // per_entry)), (high - 1) // per_entry
    if largest < smallest:
        raise ConfigError(
            f"No vocabulary brings this model to {reported_millions} million parameters: "
            f"good values are those near {rest / 1e6:.1f} million, what it has beside the embeddings, or above."
        )
    return smallest, largest
