"""Chapter 06, counts and the families' masks, from outside: plausible wrong answers that no misconception was written
for, and unusual right ones. Each wrong answer comes with words that its report must hold, or None.
"""

import pytest
import torch

from utils.exercises.chapter_06.references import family_mask, transformer_parameters
from utils.transformer import BASE, BIG, Transformer, TransformerConfig

# 6.6 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def off_by(difference):
    def answer(vocab_size, layers, d_model, d_ff, bias=True):
        right = transformer_parameters(vocab_size, layers, d_model, d_ff, bias)
        return right + difference(vocab_size, layers, d_model, d_ff, bias)

    return answer


def built_of_base(vocab_size, layers, d_model, d_ff, bias=True):
    return {True: 63_082_496, False: 63_045_632}[bias]


def positions_counted(vocab_size, layers, d_model, d_ff, bias=True):
    return transformer_parameters(vocab_size, layers, d_model, d_ff, bias) + 256 * d_model


def millions(vocab_size, layers, d_model, d_ff, bias=True):
    return round(transformer_parameters(vocab_size, layers, d_model, d_ff, bias) / 1e6, 1)


WRONG_6_6 = {
    "base by heart": (built_of_base, None),
    "positions counted": (positions_counted, None),
    "in millions": (millions, None),
    "d_ff is 4 d_model": (lambda v, n, d, f, bias=True: transformer_parameters(v, n, d, 4 * d, bias), None),
    "biases twice": (off_by(lambda v, n, d, f, bias: 12 * n * d * bias), None),
    "one matrix in the feed-forward network": (off_by(lambda v, n, d, f, bias: -2 * n * d * f), None),
    "bias inverted": (lambda v, n, d, f, bias=True: transformer_parameters(v, n, d, f, not bias), None),
    "one norm more in the decoder": (off_by(lambda v, n, d, f, bias: 2 * n * d), None),
    "layers twice": (lambda v, n, d, f, bias=True: transformer_parameters(v, 2 * n, d, f, bias), None),
    "heads of their own": (off_by(lambda v, n, d, f, bias: 3 * n * 7 * 4 * d * d), None),
    "three attentions in the decoder": (off_by(lambda v, n, d, f, bias: n * 4 * (d * d + bias * d)), None),
    "no W^O bias": (off_by(lambda v, n, d, f, bias: -3 * n * d * bias), None),
    "a tensor of parts": (lambda v, n, d, f, bias=True: torch.tensor([v * d, n]), "int"),
    "text": (lambda v, n, d, f, bias=True: f"{transformer_parameters(v, n, d, f, bias):,}", "int"),
    "no bias parameter": (lambda vocab_size, layers, d_model, d_ff: 0, "bias=True"),
    "nothing": (lambda v, n, d, f, bias=True: None, "return"),
    "encoder's layers for both": (off_by(lambda v, n, d, f, bias: -n * (4 * (d * d + bias * d) + 2 * d)), None),
    "the whole of it squared off": (lambda v, n, d, f, bias=True: v * d + n * (12 * d * d + 4 * d * f), None),
}


def by_building(vocab_size, layers, d_model, d_ff, bias=True):
    with torch.device("meta"):
        config = TransformerConfig(vocab_size, max(layers, 1), d_model, d_ff, heads=1, attention_bias=bool(bias))
        model = Transformer(config)
    per_layer = sum(p.numel() for stack in (model.encoder, model.decoder) for p in stack.layers[0].parameters())
    return model.source_embedding.weight.numel() + layers * per_layer


def as_polynomial(vocab_size, layers, d_model, d_ff, bias=True):
    per_layer = 12 * d_model**2 + (12 * d_model if bias else 0) + 4 * d_model * d_ff + 2 * d_ff + 12 * d_model
    return vocab_size * d_model + layers * per_layer


def listed(vocab_size, layers, d_model, d_ff, bias=True):
    attention = [(d_model, d_model)] * 4 + ([(d_model,)] * 4 if bias else [])
    transform = [(d_model, d_ff), (d_ff,), (d_ff, d_model), (d_model,)]
    norm = [(d_model,), (d_model,)]
    one = [*attention, *norm, *transform, *norm, *attention, *norm, *attention, *norm, *transform, *norm]
    return sum(torch.Size(shape).numel() for shape in [(vocab_size, d_model), *one * layers])


RIGHT_6_6 = {
    "by building": by_building,
    "polynomial": as_polynomial,
    "listed": listed,
    "a float": lambda v, n, d, f, bias=True: float(transformer_parameters(v, n, d, f, bias)),
    "a tensor": lambda v, n, d, f, bias=True: torch.tensor(transformer_parameters(v, n, d, f, bias)),
    "heads with a default": lambda v, n, d, f, bias=True, heads=8: transformer_parameters(v, n, d, f, bias),
}


# 6.7 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def position_pairs(family, source_len, target_len):
    """(queries, keys) as columns and rows of positions."""
    place = torch.arange(source_len + target_len)
    return place[:, None], place[None, :]


def one_too_far(family, source_len, target_len):
    mask = family_mask(family, source_len, target_len)
    return mask if family == "encoder-only" else mask | mask.roll(1, dims=1).tril(1)


def diagonal_out(family, source_len, target_len):
    mask = family_mask(family, source_len, target_len)
    return mask if family == "encoder-only" else mask & ~torch.eye(len(mask), dtype=torch.bool)


def block_of_target(family, source_len, target_len):
    mask = family_mask("decoder-only" if family == "encoder-decoder" else family, source_len, target_len)
    if family == "encoder-decoder":
        mask[source_len:, source_len:] = True
    return mask


def other_names(family, source_len, target_len):
    return family_mask({"decoder-only": "encoder-decoder"}.get(family, family), source_len, target_len)


WRONG_6_7 = {
    "one too far": (one_too_far, None),
    "diagonal out": (diagonal_out, None),
    "the target's block": (block_of_target, None),
    "decoder-only sees the whole source": (other_names, None),
    "four axes": (lambda family, s, t: family_mask(family, s, t)[None, None], "shape"),
    "bytes": (lambda family, s, t: family_mask(family, s, t).byte(), "bool"),
    "list": (lambda family, s, t: family_mask(family, s, t).tolist(), "Tensor"),
    "to add": (lambda family, s, t: torch.zeros(s + t, s + t).masked_fill(~family_mask(family, s, t), -1e9), "bool"),
    "two masks": (lambda family, s, t: (family_mask(family, s, t), None), "Tensor"),
    "upside down": (lambda family, s, t: family_mask(family, s, t).flip(0), None),
    "lengths of 2 and 3": (lambda family, s, t: family_mask(family, 2, 3), "shape"),
    "source and target apart": (lambda family, s, t: torch.block_diag(
        torch.ones(s, s), torch.ones(t, t).tril()).bool(), None),
    "always causal": (lambda family, s, t: family_mask("decoder-only", s, t), None),
    "always everything": (lambda family, s, t: family_mask("encoder-only", s, t), None),
    "cross-attention only": (lambda family, s, t: torch.ones(t, s, dtype=torch.bool), "shape"),
    "source first, target last": (lambda family, source, target: family_mask(family, target, source).flip(0, 1), None),
    "one length": (lambda family, length: family_mask(family, length, length), "parameters"),
    "nothing": (lambda family, s, t: None, "return"),
    "unknown family": (lambda family, s, t: {"encoder_only": 1}[family], "KeyError"),
}  # fmt: skip


def by_rule(family, source_len, target_len):
    query, key = position_pairs(family, source_len, target_len)
    rules = {
        "encoder-only": query == query,
        "decoder-only": key <= query,
        "encoder-decoder": (key <= query) | ((query < source_len) & (key < source_len)),
    }
    length = source_len + target_len
    return rules[family].expand(length, length).clone()


def by_blocks(family, source_len, target_len):
    square = torch.ones
    if family != "encoder-decoder":
        whole = square(source_len + target_len, source_len + target_len)
        return (whole if family == "encoder-only" else whole.tril()) > 0
    above = torch.hstack([square(source_len, source_len), torch.zeros(source_len, target_len)])
    below = torch.hstack([square(target_len, source_len), square(target_len, target_len).tril()])
    return torch.vstack([above, below]).bool()


def by_loop(family, source_len, target_len):
    def sees(query, key):
        if family == "encoder-only" or key <= query:
            return True
        return family == "encoder-decoder" and query < source_len and key < source_len

    length = source_len + target_len
    rows = [[sees(query, key) for key in range(length)] for query in range(length)]
    return torch.tensor(rows, dtype=torch.bool).reshape(length, length)


def by_prefix_row(family, source_len, target_len):
    """Everybody sees the first so many: none, the source, or all."""
    length = source_len + target_len
    prefix = {"encoder-only": length, "decoder-only": 0, "encoder-decoder": source_len}[family]
    return torch.ones(length, length, dtype=torch.bool).tril() | (torch.arange(length) < prefix)


RIGHT_6_7 = {
    "by rule": by_rule,
    "by blocks": by_blocks,
    "by loop": by_loop,
    "by prefix": by_prefix_row,
    "inverted": lambda family, s, t: ~~family_mask(family, s, t),
    "with a device": lambda family, source_len, target_len, device=None: by_rule(family, source_len, target_len),
}


WRONG = {"6.6": WRONG_6_6, "6.7": WRONG_6_7}
RIGHT = {"6.6": RIGHT_6_6, "6.7": RIGHT_6_7}


def test_wrong_answers_are_rejected_with_words_that_fit(wrong_answer, rejected):
    rejected(*wrong_answer)


def test_unusual_right_answers_pass(right_answer, accepted):
    accepted(*right_answer)


@pytest.mark.parametrize("config", [BASE, BIG, TransformerConfig(90, 3, 12, 20, 3), TransformerConfig(7, 1, 8, 4, 2)])
def test_the_count_is_the_built_models(config):
    with torch.device("meta"):
        built = sum(parameter.numel() for parameter in Transformer(config).parameters())
    assert transformer_parameters(config.vocab_size, config.layers, config.d_model, config.d_ff) == built
