"""What chapter 10 asks for: tools that look into a trained model, and live beside the exercises."""

import torch
from torch import Tensor, nn


def maps_of(model: nn.Module, source: Tensor, target: Tensor, which: str) -> Tensor:
    """The weights of all heads of one kind of attention, taken out of a model while it runs (§3.2.3).

    model(source, target) runs a `Transformer` of clear parts; source: (batch, source_len) ids; target:
    (batch, target_len) ids, BEGIN first; which: "encoder", "decoder" or "cross".
    Returns (layers, batch, heads, query_len, key_len), without dropout; the model is left as it was found.
    """
    if which == "encoder":
        attentions = [layer.self_attention for layer in model.encoder.layers]
    elif which == "decoder":
        attentions = [layer.self_attention for layer in model.decoder.layers]
    else:
        attentions = [layer.cross_attention for layer in model.decoder.layers]
    caught = []
    hooks = [
        attention.register_forward_hook(lambda module, inputs, result: caught.append(result[1]))
        for attention in attentions
    ]
    was_training = model.training
    model.eval()
    with torch.no_grad():
        model(source, target)
    model.train(was_training)
    for hook in hooks:
        hook.remove()
    return torch.stack(caught)


def alignment_error_rate(weights: Tensor, sure: Tensor, possible: Tensor) -> float:
    """How wrong a map is as a word alignment: 1 − (|A∩S| + |A∩P|) / (|A| + |S|) (Och and Ney 2003).

    weights: (..., target_len, source_len); sure, possible: bool, the same shape, every sure link is possible too.
    A: each row that has a possible link is linked to the column of its largest weight. Counts run over everything.
    Without any link in A or S the rate is 0.
    """
    columns = weights.argmax(dim=-1)  # (..., target_len)
    links = nn.functional.one_hot(columns, weights.size(-1)).bool() & possible.any(dim=-1, keepdim=True)
    made = links.sum() + sure.sum()
    if made == 0:
        return 0.0
    right = (links & sure).sum() + (links & possible).sum()
    return 1 - (right / made).item()


def found(weights: Tensor, relation: Tensor) -> Tensor:
    """For each head: in which share of the rows with a wanted column does the largest weight stand on one?

    weights: (batch, heads, query_len, key_len); relation: bool (batch, query_len, key_len), True = wanted.
    Returns (heads,); zeros where no row wants anything.
    """
    columns = weights.argmax(dim=-1, keepdim=True)  # (batch, heads, query_len, 1)
    wanted = relation[:, None].expand_as(weights)
    hits = wanted.gather(-1, columns).squeeze(-1)  # (batch, heads, query_len)
    asked = relation.any(dim=-1).sum()
    return hits.sum(dim=(0, 2)) / asked.clamp(min=1)


def pruned(weight: Tensor, heads: int, silenced: list[int]) -> Tensor:
    """The weight of an output projection that no longer hears some heads (§3.2.2: rows of W^O set to zero).

    weight: (d_model, heads · d_v), W^O as nn.Linear stores it; silenced: numbers of heads, from 0.
    Returns the same shape; `weight` stays as it is.
    """
    parts = weight.unflatten(1, (heads, -1)).clone()  # (d_model, heads, d_v)
    parts[:, silenced] = 0.0
    return parts.flatten(1)


def other_weights(weights: Tensor, value: Tensor, direction: Tensor) -> Tensor:
    """Other weights with the same output: as far as one can go along the part of `direction` that changes nothing.

    weights: (source_len,), none negative, sum 1; value: (source_len, d_v); direction: (source_len,).
    Returns (source_len,), none negative, sum 1, the same mixture of values; `weights` where no direction is free.
    """
    held = torch.cat([value, torch.ones_like(value[:, :1])], dim=1).double()  # (source_len, d_v + 1)
    wish = direction.double()
    step = wish - held @ torch.linalg.pinv(held) @ wish
    falling = step < 0
    if step.norm() < 1e-6 * wish.norm() or not falling.any():
        return weights.clone()
    furthest = (weights[falling] / -step[falling]).min()
    return (weights + furthest * step).clamp(min=0).to(weights.dtype)


def contributions(weights: Tensor, value: Tensor, output_weight: Tensor) -> Tensor:
    """How much each key hands over to each query: the norm of weight · value · W^O (Kobayashi et al. 2020).

    weights: (heads, target_len, source_len); value: (heads, source_len, d_v); output_weight: (d_model, heads · d_v),
    as nn.Linear stores it. Returns (heads, target_len, source_len).
    """
    parts = output_weight.unflatten(1, (len(value), -1))  # (d_model, heads, d_v)
    handed = torch.einsum("hsv,mhv->hsm", value, parts)  # (heads, source_len, d_model)
    return weights * handed.norm(dim=-1).unsqueeze(1)
