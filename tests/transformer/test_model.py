"""The whole model: against PyTorch's, clear against fused, and what may move when something changes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from utils.transformer import (
    CLEAR,
    FUSED,
    PADDING,
    DecoderOnly,
    EncoderOnly,
    LearnedPositions,
    SinusoidalPositions,
    Transformer,
    TransformerConfig,
    causal_mask,
)

SMALL = dict(vocab_size=23, layers=2, d_model=8, d_ff=16, heads=2, max_len=32)
BOTH = pytest.mark.parametrize("parts", [CLEAR, FUSED], ids=["clear", "fused"])
NORMS = pytest.mark.parametrize("norm", ["post", "pre"])
MODES = pytest.mark.parametrize("mode", ["eval", "train without dropout", "train with dropout"])


def tokens(batch: int, length: int, padding: int = 0) -> torch.Tensor:
    """Random ids; every second sentence ends in so many padding tokens."""
    drawn = torch.randint(4, 23, (batch, length))
    if padding:
        drawn[1::2, -padding:] = PADDING
    return drawn


def model_in(mode: str, kind=Transformer, parts=FUSED, **settings) -> nn.Module:
    dropout = 0.3 if mode == "train with dropout" else 0.0
    return kind(TransformerConfig(**SMALL, dropout=dropout, **settings), parts).train(mode != "eval")


def seeded(model: nn.Module, *inputs: torch.Tensor) -> torch.Tensor:
    """The output with the same dropout each time."""
    torch.manual_seed(7)
    return model(*inputs)


# --- what may move --------------------------------------------------------------------------------------------


@BOTH
@NORMS
@MODES
@pytest.mark.parametrize("positions", ["sinusoidal", "learned"])
def test_change_the_future_and_nothing_earlier_moves(mode, norm, parts, positions):
    model = model_in(mode, parts=parts, norm=norm, positions=positions)
    source, target = tokens(3, 6, padding=2), tokens(3, 9)
    before = seeded(model, source, target)
    for changed_from in (1, 5, 8):
        other = target.clone()
        other[:, changed_from:] = tokens(3, 9 - changed_from)
        after = seeded(model, source, other)
        torch.testing.assert_close(after[:, :changed_from], before[:, :changed_from])
        assert not torch.allclose(after[:, changed_from:], before[:, changed_from:], atol=1e-3)


@BOTH
@MODES
def test_decoder_only_is_causal(mode, parts):
    model = model_in(mode, DecoderOnly, parts)
    text = tokens(2, 7)
    other = text.clone()
    other[:, 4:] = tokens(2, 3)
    before, after = seeded(model, text), seeded(model, other)
    torch.testing.assert_close(after[:, :4], before[:, :4])
    assert before.shape == (2, 7, 23) and not torch.allclose(after[:, 4:], before[:, 4:], atol=1e-3)


@BOTH
def test_encoder_only_sees_both_sides_and_no_padding(parts):
    model = model_in("eval", EncoderOnly, parts)
    text = tokens(2, 7)
    other = text.clone()
    other[:, 6] = (text[:, 6] - 3) % 19 + 4
    assert (other[:, 6] != text[:, 6]).all()
    assert not torch.allclose(model(other)[:, 0], model(text)[:, 0], atol=1e-4)
    padded = torch.cat([text, torch.full((2, 3), PADDING)], dim=1)
    torch.testing.assert_close(model(padded)[:, :7], model(text), atol=1e-5, rtol=1e-5)


@BOTH
@NORMS
def test_change_padding_and_nothing_else_moves(parts, norm):
    model = model_in("eval", parts=parts, norm=norm, tying="none")
    source, target = tokens(4, 7, padding=3), tokens(4, 6)
    before = model(source, target)
    longer = torch.cat([source, torch.full((4, 5), PADDING)], dim=1)  # more of it
    torch.testing.assert_close(model(longer, target), before, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(model(source[1:2, :4], target[1:2]), before[1:2], atol=1e-5, rtol=1e-5)  # none of it
    with torch.no_grad():
        model.source_embedding.weight[PADDING] = 50.0  # another vector in its place
    torch.testing.assert_close(model(source, target), before, atol=1e-5, rtol=1e-5)


def test_target_padding_moves_no_real_token():
    model = model_in("eval")
    source, target = tokens(2, 5), tokens(2, 6)
    padded = torch.cat([target, torch.full((2, 4), PADDING)], dim=1)
    torch.testing.assert_close(model(source, padded)[:, :6], model(source, target), atol=1e-5, rtol=1e-5)


@BOTH
def test_a_source_of_nothing_but_padding_gives_finite_numbers_and_gradients(parts):
    model = model_in("train without dropout", parts=parts)
    source = tokens(2, 4)
    source[1] = PADDING
    model(source, tokens(2, 3)).square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters() if parameter.grad is not None)


def test_sentences_of_a_batch_do_not_touch():
    model = model_in("eval")
    source, target = tokens(3, 6, padding=2), tokens(3, 5)
    one_by_one = torch.cat([model(source[i : i + 1], target[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(model(source, target), one_by_one, atol=1e-5, rtol=1e-5)


# --- the same model in other clothes --------------------------------------------------------------------------


@given(
    st.sampled_from(["post", "pre"]),
    st.sampled_from(["three-way", "output", "none"]),
    st.sampled_from([{}, {"d_k": 3, "d_v": 5}]),
    st.booleans(),
    st.integers(1, 6),
    st.integers(1, 6),
)
@settings(max_examples=25)
def test_clear_equals_fused_through_one_state_dict(norm, tying, widths, bias, source_len, target_len):
    config = TransformerConfig(**SMALL, norm=norm, tying=tying, attention_bias=bias, dropout=0.0, **widths)
    clear, fused = Transformer(config, CLEAR).double(), Transformer(config, FUSED).double()
    fused.load_state_dict(clear.state_dict())
    source, target = tokens(2, source_len, padding=source_len // 2), tokens(2, target_len)
    upstream = torch.randn(2, target_len, 23, dtype=torch.float64)
    for model in (clear, fused):
        (model(source, target) * upstream).sum().backward()
    torch.testing.assert_close(fused(source, target), clear(source, target))
    for (name, ours), theirs in zip(fused.named_parameters(), clear.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, msg=name)


def copy_attention(ours: nn.Module, theirs: nn.MultiheadAttention) -> None:
    projections = (ours.query_projection, ours.key_projection, ours.value_projection)
    theirs.in_proj_weight.copy_(torch.cat([p.weight for p in projections]))
    theirs.in_proj_bias.copy_(torch.cat([p.bias for p in projections]))
    theirs.out_proj.load_state_dict(ours.output_projection.state_dict())


def copy_norm(ours: nn.Module, theirs: nn.LayerNorm) -> None:
    theirs.weight.copy_(ours.gain)
    theirs.bias.copy_(ours.bias)


@torch.no_grad()
def as_torch(model: Transformer) -> nn.Transformer:
    """PyTorch's encoder–decoder with the weights of ours. Its last norms go where ours has none (post-norm)."""
    config = model.config
    theirs = nn.Transformer(
        config.d_model, config.heads, config.layers, config.layers, config.d_ff,
        dropout=0.0, norm_first=config.norm == "pre", batch_first=True,
    )  # fmt: skip
    for ours_stack, their_stack in ((model.encoder, theirs.encoder), (model.decoder, theirs.decoder)):
        for ours, their in zip(ours_stack.layers, their_stack.layers, strict=True):
            copy_attention(ours.self_attention, their.self_attn)
            if hasattr(ours, "cross_attention"):
                copy_attention(ours.cross_attention, their.multihead_attn)
            their.linear1.load_state_dict(ours.feed_forward.inner.state_dict())
            their.linear2.load_state_dict(ours.feed_forward.outer.state_dict())
            for index, residual in enumerate(ours.residuals):
                copy_norm(residual.normalise, getattr(their, f"norm{index + 1}"))
        if ours_stack.final_norm is None:
            their_stack.norm = None
        else:
            copy_norm(ours_stack.final_norm, their_stack.norm)
    return theirs.eval()


@BOTH
@NORMS
@pytest.mark.filterwarnings("ignore:.*nested.*", "ignore:enable_nested_tensor")
def test_the_encoder_decoder_equals_torch_nn_transformer(parts, norm):
    model = Transformer(TransformerConfig(**SMALL, norm=norm), parts)
    with torch.no_grad():  # biases and gains that start as 0 and 1 would hide a missing one
        for name, parameter in model.named_parameters():
            if "bias" in name or "gain" in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
    model.eval()
    source, target = tokens(4, 7, padding=3), tokens(4, 6)
    hidden = source == PADDING  # their mask is True where ours is False
    theirs = as_torch(model)(
        model.source_positions(model.source_embedding(source)),
        model.target_positions(model.target_embedding(target)),
        tgt_mask=~causal_mask(6)[0, 0],
        src_key_padding_mask=hidden,
        memory_key_padding_mask=hidden,
    )
    torch.testing.assert_close(model.states(source, target), theirs, atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(model(source, target), theirs @ model.output.weight.T, atol=1e-4, rtol=1e-4)


# --- how it starts --------------------------------------------------------------------------------------------


def test_tying_shares_storage_as_it_says():
    for tying, same_embedding, same_output in (("three-way", 1, 1), ("output", 0, 1), ("none", 0, 0)):
        model = model_in("eval", tying=tying)
        source, target, output = model.source_embedding.weight, model.target_embedding.weight, model.output.weight
        assert (source is target, output is target) == (bool(same_embedding), bool(same_output))
        tables = {parameter.data_ptr() for parameter in (source, target, output)}
        assert len(tables) == 3 - same_embedding - same_output


def test_tied_weights_survive_saving_and_loading():
    model, other = model_in("eval"), model_in("eval")
    other.load_state_dict(model.state_dict())
    assert other.output.weight is other.source_embedding.weight
    source, target = tokens(2, 4), tokens(2, 3)
    torch.testing.assert_close(other(source, target), model(source, target))


@BOTH
def test_matrices_start_xavier_uniform_and_biases_zero(parts):
    model = Transformer(TransformerConfig(vocab_size=9, layers=1, d_model=32, d_ff=64, heads=2), parts)
    linears = [module for module in model.modules() if isinstance(module, nn.Linear)]
    assert len(linears) == 3 * 4 + 2 * 2
    for linear in linears:
        bound = (6 / (linear.in_features + linear.out_features)) ** 0.5
        assert 0.95 * bound < linear.weight.abs().max() <= bound
        assert (linear.bias == 0).all()


def test_the_encoders_input_starts_level():
    model = Transformer(TransformerConfig(vocab_size=500, layers=1, d_model=64, d_ff=8, heads=2))
    embedded = model.source_embedding(torch.arange(500)[None])
    assert abs(embedded.std().item() - 1) < 0.05


@pytest.mark.parametrize(("positions", "kind"), [("sinusoidal", SinusoidalPositions), ("learned", LearnedPositions)])
def test_positions_are_those_asked_for(positions, kind):
    model = model_in("eval", positions=positions)
    assert type(model.source_positions) is type(model.target_positions) is kind


def test_without_positions_the_encoder_would_not_see_order():
    model = model_in("eval")
    x, order = torch.randn(1, 6, 8), torch.tensor([3, 1, 5, 0, 2, 4])
    torch.testing.assert_close(model.encoder(x[:, order], None), model.encoder(x, None)[:, order], atol=1e-5, rtol=1e-5)
    source = tokens(1, 6)
    source[0] = torch.arange(4, 10)
    assert not torch.allclose(model.encode(source[:, order]), model.encode(source)[:, order], atol=1e-2)


def test_logits_have_one_score_an_entry():
    model = model_in("eval")
    assert model(tokens(2, 4), tokens(2, 3)).shape == (2, 3, 23)
    assert model(tokens(1, 1), tokens(1, 1)).shape == (1, 1, 23)


def test_a_few_updates_learn_to_copy():
    model = model_in("train without dropout", norm="pre")
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    source = tokens(16, 4)
    target = torch.cat([torch.full((16, 1), 2), source], dim=1)
    losses = []
    for _ in range(60):
        logits = model(source, target[:, :-1])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), target[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]
