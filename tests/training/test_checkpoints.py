"""Checkpoints: everything comes back to the bit, files appear whole, damage is told in words."""

import math
import os

import pytest
import torch
from safetensors.torch import save_file

from utils.errors import CheckpointError
from utils.training.checkpoints import average_weights, load_checkpoint, load_weights, save_checkpoint, write_atomically


def test_a_nested_state_comes_back_to_the_bit(tmp_path):
    tied = torch.randn(3, 4)
    state = {
        "model": {"a": tied, "b": tied, "view": torch.randn(4, 6).T[1:3]},
        "optimiser": {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 0.1, "betas": (0.9, 0.98)}]},
        "generator": torch.get_rng_state(),
        "plain": [1, 2.5, None, True, "Ü", math.inf],
        "none": None,
    }
    path = tmp_path / "x.safetensors"
    save_checkpoint(path, state)
    again = load_checkpoint(path)
    assert torch.equal(again["model"]["a"], tied) and torch.equal(again["model"]["view"], state["model"]["view"])
    assert again["optimiser"]["state"][0]["step"].item() == 3.0
    assert again["optimiser"]["param_groups"] == [{"lr": 0.1, "betas": [0.9, 0.98]}]
    assert torch.equal(again["generator"], state["generator"])
    assert again["plain"] == state["plain"] and again["none"] is None
    assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"]


def test_truncated_foreign_and_missing_files(tmp_path):
    good = tmp_path / "good.safetensors"
    save_checkpoint(good, {"model": {"a": torch.randn(100)}})
    for size in (0, 5, 60, good.stat().st_size - 1):
        cut = tmp_path / "cut.safetensors"
        cut.write_bytes(good.read_bytes()[:size])
        with pytest.raises(CheckpointError, match="damaged or not a checkpoint"):
            load_checkpoint(cut)
    foreign = tmp_path / "foreign.safetensors"
    save_file({"a": torch.zeros(2)}, foreign)
    with pytest.raises(CheckpointError, match="not a checkpoint of this course"):
        load_checkpoint(foreign)
    torch.save({"model": {}}, tmp_path / "pickle.safetensors")
    with pytest.raises(CheckpointError, match="damaged or not"):
        load_checkpoint(tmp_path / "pickle.safetensors")
    with pytest.raises(CheckpointError, match="no checkpoint"):
        load_checkpoint(tmp_path / "nothing.safetensors")


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "x"
    path.write_text("old")

    def fail(temporary):
        temporary.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(CheckpointError, match="No space left"):
        write_atomically(path, fail)
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["x"]


def test_unwritable_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot be written"):
        save_checkpoint(tmp_path / "file" / "x.safetensors", {"model": {}})


def test_weights_that_do_not_fit_are_named(tmp_path):
    model = torch.nn.Linear(3, 2)
    good = model.state_dict()
    for weights, words in (
        ({**good, "weight": torch.zeros(2, 4)}, r"weight of shape \(2, 4\)"),
        ({"weight": good["weight"]}, "lacks the weight bias"),
        ({**good, "more": torch.zeros(1)}, "weight more that this model lacks"),
    ):
        with pytest.raises(CheckpointError, match=words):
            load_weights(model, weights, tmp_path / "x")


def test_averaging(tmp_path):
    paths = []
    for number in range(3):
        paths.append(tmp_path / f"{number}.safetensors")
        save_checkpoint(paths[-1], {"model": {"a": torch.tensor([1.0, 10.0]) * number}})
    assert average_weights(paths)["a"].tolist() == [1.0, 10.0]
