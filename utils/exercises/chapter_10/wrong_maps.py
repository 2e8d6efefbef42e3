"""What goes wrong when maps are taken out of a model (chapter 10), and what puts it right."""

import torch
from torch import Tensor, nn

from utils.exercises.declare import Misconception


def attentions_of(model: nn.Module, which: str) -> list[nn.Module]:
    """The attentions of one kind, in order."""
    if which == "encoder":
        return [layer.self_attention for layer in model.encoder.layers]
    return [layer.cross_attention if which == "cross" else layer.self_attention for layer in model.decoder.layers]


def taking(
    choose=attentions_of, part=1, hooks_removed=True, evaluated=True, restored=True, finish=torch.stack, swap=False,
    frozen=False, always_training=False,
):  # fmt: skip
    """A wrong answer to 10.1 that is right in all but one place."""

    def answer(model: nn.Module, source: Tensor, target: Tensor, which: str) -> Tensor:
        caught: list[Tensor] = []
        hooks = [
            attention.register_forward_hook(lambda module, inputs, result: caught.append(result[part]))
            for attention in choose(model, which)
        ]
        was_training = model.training
        if evaluated:
            model.eval()
        with torch.no_grad():
            model(target, source) if swap else model(source, target)
        if restored:
            model.train(was_training or always_training)
        if frozen:
            model.requires_grad_(False)
        if hooks_removed:
            for hook in hooks:
                hook.remove()
        return finish(caught)

    return answer


def self_attention_for_cross(model: nn.Module, which: str) -> list[nn.Module]:
    return attentions_of(model, "decoder" if which == "cross" else which)


def cross_for_decoder(model: nn.Module, which: str) -> list[nn.Module]:
    return attentions_of(model, "cross" if which == "decoder" else which)


def encoder_for_decoder(model: nn.Module, which: str) -> list[nn.Module]:
    return attentions_of(model, "encoder" if which == "decoder" else which)


MAPS = (
    Misconception(
        "hooks left behind",
        taking(hooks_removed=False),
        "The maps are right, but your hooks stay on the model, and go on collecting tensors in every later call. Keep "
        "what `register_forward_hook` returns, and call `.remove()` on each at the end: your own, and no others.",
        everywhere=True,
    ),
    Misconception(
        "left in evaluation mode",
        taking(restored=False),
        "The maps are right, but the model stays in evaluation mode: whoever trains on goes on without dropout. Keep "
        "`model.training` before you change the mode, and give it back with `model.train(was_training)`.",
        everywhere=True,
    ),
    Misconception(
        "dropout in the maps",
        taking(evaluated=False, restored=False),
        "Dropout is at work while you look: in training mode it changes what the layers hand on, so that each call "
        "gives other maps. `model.eval()`, before the run, switches it off in the model and all that is in it "
        "(`model.training = False` would set one flag alone); give the mode back afterwards.",
        everywhere=True,
    ),
    Misconception(
        "the attention's output",
        taking(part=0),
        "You keep `result[0]`, which is what the attention hands on, (batch, length, d_model). An attention of the "
        "course returns (output, weights): the weights are `result[1]`.",
    ),
    Misconception(
        "the decoder's self-attention for cross",
        taking(choose=self_attention_for_cross),
        'For "cross" you take the decoder\'s self-attention. A decoder layer has two attentions: `self_attention` '
        "looks at the target, `cross_attention` at the source.",
    ),
    Misconception(
        "cross-attention for the decoder",
        taking(choose=cross_for_decoder),
        'For "decoder" you take the attention to the source. The decoder looking at its own words is '
        "`layer.self_attention` of `model.decoder.layers`.",
    ),
    Misconception(
        "the encoder for the decoder",
        taking(choose=encoder_for_decoder),
        "For \"decoder\" you take the self-attention of the encoder's layers. Both stacks have one: the decoder's is "
        "in `model.decoder.layers`.",
    ),
    Misconception(
        "source and target exchanged",
        taking(swap=True),
        "Source and target are exchanged: a model is called as `model(source, target)`.",
    ),
    Misconception(
        "kept in training mode afterwards",
        taking(always_training=True),
        "The maps are right, but you put the model into training mode at the end, whatever it was in. Keep "
        "`model.training` before you change the mode, and give it back with `model.train(was_training)`.",
        everywhere=True,
    ),
    Misconception(
        "frozen",
        taking(frozen=True),
        "The maps are right, but the model's parameters ask for no gradients any more: whoever trains on trains "
        "nothing. `with torch.no_grad():` does without gradients for as long as you look.",
        everywhere=True,
    ),
    Misconception(
        "the last layer only",
        taking(choose=lambda model, which: attentions_of(model, which)[-1:]),
        "You take the last layer's maps alone. Asked for are all layers, the first one first.",
    ),
    Misconception(
        "layers reversed",
        taking(finish=lambda caught: torch.stack(caught[::-1])),
        "Your maps come last layer first. Index 0 is to be the layer that runs first.",
    ),
    Misconception(
        "heads averaged",
        taking(finish=lambda caught: torch.stack(caught).mean(dim=2)),
        "You average over the heads. Each head has a map of its own, and the chapter is about how they differ: return "
        "(layers, batch, heads, query_len, key_len).",
    ),
    Misconception(
        "keys as rows",
        taking(finish=lambda caught: torch.stack(caught).transpose(-2, -1)),
        "Your maps are turned over: rows are to be queries and columns keys, as the attention returns them.",
    ),
    Misconception(
        "first sentence only",
        taking(finish=lambda caught: torch.stack(caught)[:, :1]),
        "You keep the first sentence of the batch alone. The batch axis stays: (layers, batch, heads, query_len, "
        "key_len).",
    ),
    Misconception(
        "a list of layers",
        taking(finish=list),
        "You return a list with one tensor a layer. All have the same shape, so `torch.stack` makes one tensor of "
        "them, (layers, batch, heads, query_len, key_len).",
    ),
    Misconception(
        "layers joined to the batch",
        taking(finish=torch.cat),
        "`torch.cat` puts the layers behind each other on the batch axis, so that nobody can tell them from sentences. "
        "`torch.stack` gives them an axis of their own.",
    ),
)
