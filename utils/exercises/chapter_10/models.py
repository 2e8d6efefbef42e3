"""Small models whose maps are taken (exercise 10.1). Their attention tells of hooks that were left behind."""

import torch
from torch import Generator, Tensor, nn

from utils.transformer import CLEAR, END, Parts, Transformer, TransformerConfig
from utils.transformer.attention import MultiHeadAttention

VOCABULARY = 12


class Telling(MultiHeadAttention):
    """The clear attention; its state says how many hooks hang on it, so that one that was left behind shows."""

    def state_dict(self, *arguments, **keywords):
        """As usual, with `hooks_left` beside the weights."""
        state = super().state_dict(*arguments, **keywords)
        hooks = len(self._forward_hooks) + len(self._forward_pre_hooks)
        state[keywords.get("prefix", "") + "hooks_left"] = torch.tensor([hooks])
        return state

    def _load_from_state_dict(self, state_dict, prefix, *others):
        state_dict.pop(prefix + "hooks_left", None)
        super()._load_from_state_dict(state_dict, prefix, *others)


def small_model(generator: Generator, layers: int, heads: int, dropout: float = 0.0) -> Transformer:
    """A Transformer of clear parts with d_model = 8 and drawn weights."""
    config = TransformerConfig(VOCABULARY, layers, 8, 8, heads, dropout=dropout)
    parts = Parts(Telling, CLEAR.layer_norm, residual=CLEAR.residual)
    model = Transformer(config, parts)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(noise / parameter.shape[-1] ** 0.5 if parameter.dim() > 1 else 0.3 * noise + 0.5)
    return model


def sentences(generator: Generator, lengths: list[int]) -> Tensor:
    """Ids of words, padded at the end: (batch, longest)."""
    rows = [torch.randint(END + 1, VOCABULARY, (length,), generator=generator) for length in lengths]
    return nn.utils.rnn.pad_sequence(rows, batch_first=True)
