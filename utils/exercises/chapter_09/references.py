"""What chapter 09 asks for and the model has no use for: answers that live beside the exercise."""

import math

import torch
from torch import Tensor, nn

from utils.transformer.masks import PADDING


def gru_step(
    x: Tensor, state: Tensor, input_weight: Tensor, hidden_weight: Tensor, input_bias: Tensor, hidden_bias: Tensor
) -> Tensor:
    """One step of a gated recurrent unit (Cho et al. 2014; §1), in the form of nn.GRUCell.

    x: (batch, width); state: (batch, d_hidden); input_weight: (3 · d_hidden, width);
    hidden_weight: (3 · d_hidden, d_hidden); input_bias, hidden_bias: (3 · d_hidden,). The rows of each stand in three
    blocks: reset, update, candidate. Returns the new state, (batch, d_hidden).
    """
    from_input = (x @ input_weight.T + input_bias).chunk(3, dim=-1)  # three of (batch, d_hidden)
    from_state = (state @ hidden_weight.T + hidden_bias).chunk(3, dim=-1)  # three of (batch, d_hidden)
    reset = (from_input[0] + from_state[0]).sigmoid()
    update = (from_input[1] + from_state[1]).sigmoid()
    candidate = (from_input[2] + reset * from_state[2]).tanh()
    return (1 - update) * candidate + update * state


def read_sequence(cell: nn.Module, inputs: Tensor, real: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Runs a cell over a padded batch, one position after the other; padding leaves the state as it is.

    cell(x, state): (batch, width), (batch, d_hidden) → (batch, d_hidden); inputs: (batch, length, width);
    real: bool (batch, length), False at padding; state: (batch, d_hidden), the one before the first position.
    Returns (states (batch, length, d_hidden), last (batch, d_hidden)).
    """
    states = []
    for t in range(inputs.size(1)):
        state = torch.where(real[:, t, None], cell(inputs[:, t], state), state)
        states.append(state)
    return torch.stack(states, dim=1), state


class RecurrentPair(nn.Module):
    """An encoder and a decoder that share one state and nothing else (Sutskever et al. 2014; §1)."""

    def __init__(self, embedding: nn.Module, encoder: nn.Module, decoder: nn.Module, output: nn.Module) -> None:
        super().__init__()
        self.embedding = embedding
        self.encoder = encoder
        self.decoder = decoder
        self.output = output

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """source: (batch, source_len) ids, padded; target: (batch, target_len) ids, shifted right.
        Returns logits (batch, target_len, vocab_size): those at position t are for the token after target[:, t].
        """
        embedded = self.embedding(source)  # (batch, source_len, d_model)
        nothing_read = embedded.new_zeros(source.size(0), self.encoder.hidden_size)
        _, summary = read_sequence(self.encoder, embedded, source != PADDING, nothing_read)  # (batch, d_hidden)
        states, _ = read_sequence(self.decoder, self.embedding(target), target != PADDING, summary)
        return self.output(states)


def attentive_step(
    cell: nn.Module, attention: nn.Module, embedded: Tensor, state: Tensor, memory: Tensor, real: Tensor
) -> tuple[Tensor, Tensor]:
    """One step of a decoder with additive attention (Bahdanau et al. 2014; §1, §2).

    cell(x, state) → the new state, where x: (batch, width + d_memory); attention(query, key, value, mask) →
    (output, weights); embedded: (batch, width), the newest token; state: (batch, d_hidden), from the step before;
    memory: (batch, source_len, d_memory); real: bool (batch, source_len), False at padding.
    Returns (the new state (batch, d_hidden), weights (batch, source_len)).
    """
    context, weights = attention(state[:, None], memory, memory, real[:, None])  # (batch, 1, d_memory), …
    state = cell(torch.cat([embedded, context[:, 0]], dim=-1), state)
    return state, weights[:, 0]


def influence(run: nn.Module, inputs: Tensor) -> Tensor:
    """How much each input can move the last state: ‖∂ last state / ∂ input t‖, Frobenius norm, for each t.

    run(inputs): (length, width) → states (length, d_hidden); inputs: (length, width). Returns (length,).
    """
    inputs = inputs.detach().requires_grad_()
    last = run(inputs)[-1]  # (d_hidden,)
    rows = [torch.autograd.grad(unit, inputs, retain_graph=True)[0] for unit in last]  # each (length, width)
    return torch.stack(rows).square().sum(dim=(0, 2)).sqrt()


def layer_cost(layer: str, n: int, d: int, window: int) -> tuple[int, int, int]:
    """What one layer costs on n ≥ 2 positions of width d: Table 1, counted to the digit (§4).

    layer: "self-attention", "restricted" (to a window centred at the query), "convolution" (kernel as wide as the
    window, centred), "rnn", "gru" or "lstm"; window: odd, from 3; layers without a window ignore it.
    Returns (multiplications, sequential operations, longest path), whole numbers.
    """
    jumps = math.ceil((n - 1) / (window // 2))  # from one end to the other
    if layer == "self-attention":
        return 2 * n * n * d + 4 * n * d * d, 1, 1
    if layer == "restricted":
        return 2 * n * window * d + 4 * n * d * d, 1, jumps
    if layer == "convolution":
        return window * n * d * d, 1, jumps
    gates = {"rnn": 1, "gru": 3, "lstm": 4}[layer]
    return 2 * gates * n * d * d, n, n - 1


def window_mask(length: int, window: int, device: torch.device | str | None = None) -> Tensor:
    """Lets each position look at the `window` positions around it, itself in the middle (§4, restricted attention).

    window: odd. Returns bool (1, 1, length, length); rows are queries, columns are keys.
    """
    position = torch.arange(length, device=device)
    distance = (position[:, None] - position[None, :]).abs()  # (length, length)
    return (distance <= window // 2)[None, None]
