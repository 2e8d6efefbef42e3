"""Turns the fields of `Settings` into options of a command, so that each is there and none is written twice."""

import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Annotated, get_args

import typer

from utils.errors import ConfigError
from utils.training.settings import MODELS, PRESETS, Settings

HELP = {
    "preset": "sizes and recipe: " + "; ".join(f"{name}: {what}" for name, what in PRESETS.items()),
    "corpus": "embedded (no download), multi30k, or files (your own)",
    "data_dir": "folder with the files of Multi30k (else $MULTI30K_DIR, else download)",
    "source_file": "corpus files: one sentence a line",
    "target_file": "corpus files: its translations, line by line",
    "direction": "en-de or de-en",
    "tokeniser": "words or bpe",
    "vocab_size": "V: at most so many entries, shared by both languages",
    "model": ", ".join(MODELS) + " (mine: made of what you wrote and passed; recurrent ones are matched in parameters)",
    "layers": "N: encoder layers and decoder layers",
    "d_model": "width of the residual stream",
    "d_ff": "inner width of the feed-forward network",
    "heads": "h: attention heads",
    "d_k": "width of a key per head; none: d_model / heads",
    "d_v": "width of a value per head; none: d_model / heads",
    "dropout": "P_drop",
    "norm": "post (the paper) or pre",
    "positions": "sinusoidal or learned",
    "max_len": "learned positions end here",
    "tying": "three-way, output or none",
    "attention_bias": "whether the projections of attention have biases",
    "updates": "updates of the whole run",
    "batch_tokens": "target tokens a batch, per process",
    "accumulate": "batches an update",
    "schedule": "paper (Eq. 3), constant, inverse-sqrt or cosine",
    "peak": "learning rate at the end of the warm-up; none: Eq. 3's own",
    "warmup": "updates of linear warm-up",
    "cooldown": "share of the updates, at the end, over which the rate falls to zero",
    "beta1": "Adam's beta 1",
    "beta2": "Adam's beta 2",
    "epsilon": "Adam's epsilon",
    "weight_decay": "decoupled weight decay",
    "label_smoothing": "epsilon_ls",
    "clip": "largest norm of the gradient; 0: no clipping",
    "average": "average so many of the last checkpoints at the end",
    "patience": "stop after so many validations without gain; 0: never",
    "seed": "of weights, dropout and the order of batches",
    "log_every": "updates between records of the training loss",
    "validate_every": "updates between validations",
    "checkpoint_every": "updates between checkpoints",
    "keep": "checkpoints kept",
    "device": "auto, cuda, mps or cpu",
    "precision": "auto, fp32, bf16 or fp16",
    "compile": "torch.compile the model",
}
GROUPS = (("preset", "The run"), ("corpus", "Data"), ("model", "Model"), ("updates", "Training"), ("seed", "The run"))


def with_settings(command: Callable) -> Callable:
    """Gives a command that takes **changes an option for each field of `Settings`; options not given are left out."""
    own = [p for p in inspect.signature(command).parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    group, added = "", []
    for field in fields(Settings):
        group = dict(GROUPS).get(field.name, group)
        added.append(_option(field.name, field.type, group))

    def called(**arguments):
        given = {name: value for name, value in arguments.items() if value is not None}
        return command(**{name: _cleared(name, value) for name, value in given.items()})

    called.__doc__ = command.__doc__
    called.__signature__ = inspect.Signature([*own, *added])
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in [*own, *added]}
    return called


def _option(name: str, kind: type, group: str) -> inspect.Parameter:
    kind = next((part for part in get_args(kind) if part is not type(None)), kind)
    if name in NUMBERS:
        kind = str  # "none" must get through; _cleared makes the number
    flags = [f"--{name.replace('_', '-')}"]
    if kind is bool:
        flags = [f"{flags[0]}/--no-{flags[0][2:]}"]
    option = typer.Option(*flags, help=HELP[name], rich_help_panel=group, show_default=False)
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option]
    )


NUMBERS = {
    field.name: kind
    for field in fields(Settings)
    for kind in get_args(field.type)
    if type(None) in get_args(field.type) and kind in (int, float)
}


def _cleared(name: str, value):
    if name not in NUMBERS:
        return value
    if value.lower() == "none":
        return None
    try:
        return NUMBERS[name](value)
    except ValueError:
        kind = "a whole number" if NUMBERS[name] is int else "a number"
        raise ConfigError(f"{name} is {value!r}: good values are {kind}, or none.") from None
