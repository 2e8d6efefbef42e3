"""Attention weights taken out of a model that keeps none."""

import pytest
import torch

from utils.errors import ShapeError
from utils.transformer import (
    CLEAR,
    FUSED,
    PADDING,
    MultiHeadAttention,
    Transformer,
    TransformerConfig,
    attention_maps,
)

SMALL = dict(vocab_size=19, layers=2, d_model=8, d_ff=12, heads=2)


def hooks(model) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def weights_returned(model, source, target) -> list[torch.Tensor]:
    """What the clear attentions of a model return, in the order in which they run."""
    caught = []
    handles = [
        module.register_forward_hook(lambda _, __, output: caught.append(output[1]))
        for module in model.modules()
        if isinstance(module, MultiHeadAttention)
    ]
    model.states(source, target)
    for handle in handles:
        handle.remove()
    return caught


@pytest.mark.parametrize("parts", [CLEAR, FUSED], ids=["clear", "fused"])
@pytest.mark.parametrize("norm", ["post", "pre"])
def test_maps_equal_the_weights_of_the_clear_model_layer_by_layer(parts, norm):
    config = TransformerConfig(**SMALL, norm=norm)
    clear, model = Transformer(config, CLEAR).eval(), Transformer(config, parts)
    model.load_state_dict(clear.state_dict())
    source, target = torch.randint(4, 19, (2, 5)), torch.randint(4, 19, (2, 4))
    source[1, 3:] = PADDING
    maps = attention_maps(model, source, target)
    first, second, *decoder = weights_returned(clear, source, target)
    own, cross = decoder[0::2], decoder[1::2]  # each decoder layer looks at itself, then at the source
    for have, want in zip((*maps.encoder, *maps.decoder, *maps.cross), (first, second, *own, *cross), strict=True):
        torch.testing.assert_close(have, want, atol=1e-5, rtol=1e-5)
    assert maps.encoder[0].shape == (2, 2, 5, 5) and maps.decoder[0].shape == (2, 2, 4, 4)
    assert maps.cross[1].shape == (2, 2, 4, 5)


def test_rows_are_queries_padding_is_unseen_and_nobody_looks_ahead():
    model = Transformer(TransformerConfig(**SMALL))
    source, target = torch.randint(4, 19, (2, 5)), torch.randint(4, 19, (2, 4))
    source[1, 3:] = PADDING
    maps = attention_maps(model, source, target)
    for weights in (*maps.encoder, *maps.decoder, *maps.cross):
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))
        assert not weights.requires_grad
    for weights in (*maps.encoder, *maps.cross):
        assert (weights[1, :, :, 3:] == 0).all()
    for weights in maps.decoder:
        assert (weights.triu(1) == 0).all()


@pytest.mark.parametrize("training", [True, False])
def test_mode_and_hooks_are_as_before(training):
    model = Transformer(TransformerConfig(**SMALL, dropout=0.5)).train(training)
    source, target = torch.randint(4, 19, (1, 5)), torch.randint(4, 19, (1, 4))
    one, two = attention_maps(model, source, target), attention_maps(model, source, target)
    torch.testing.assert_close(one.cross[1], two.cross[1])  # no dropout, whatever the mode
    assert hooks(model) == 0
    assert all(module.training == training for module in model.modules())


@pytest.mark.parametrize("training", [True, False])
def test_mode_and_hooks_are_as_before_when_the_model_raises(training):
    model = Transformer(TransformerConfig(**SMALL, positions="learned", max_len=4)).train(training)
    with pytest.raises(ShapeError, match="Learned positions end at 4"):
        attention_maps(model, torch.randint(4, 19, (1, 3)), torch.randint(4, 19, (1, 9)))
    assert hooks(model) == 0
    assert all(module.training == training for module in model.modules())
