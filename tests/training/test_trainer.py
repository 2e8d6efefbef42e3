"""Training: it learns, it can be trusted to repeat, and it goes on after a stop to the same numbers."""

import copy
import json
import math
from pathlib import Path

import pytest
import torch

from utils.errors import CheckpointError, ConfigError, CourseError
from utils.exercises.chapter_07.references import accumulated_updates
from utils.training.prepare import new_run, taken_up_run
from utils.training.runs import RunFolder, find_run, load_run
from utils.training.settings import replace
from utils.training.trainer import Trainer
from utils.translation.translate import translate


def losses(path):
    """(kind, update, loss) of each metric record, exactly as written."""
    return [(record["kind"], record["update"], record["loss"]) for record in RunFolder(path).metrics()]


def train(settings, path, stop=lambda: False):
    with new_run(settings, path) as trainer:
        trainer.run(stop=stop)
    return trainer


def test_a_run_leaves_everything_it_promises_and_learns(small_settings, tmp_path):
    settings = replace(small_settings, updates=300, peak=5e-3, warmup=30, dropout=0.0, cooldown=0.3)
    trainer = train(settings, tmp_path / "run")
    folder = trainer.folder
    assert folder.settings() == trainer.settings
    assert folder.final_file.exists() and folder.best_file.exists()
    kinds = {record["kind"] for record in folder.metrics()}
    assert kinds == {"train", "valid"}
    assert len(folder.checkpoint_files()) == settings.keep
    model, tokeniser, _ = load_run(folder)
    assert translate(model, tokeniser, ["three one ten", "two"], beam=2) == ["drei eins zehn", "zwei"]
    first, last = (
        next(iter(r for r in records if r["kind"] == "valid"))
        for records in (folder.metrics(), reversed(folder.metrics()))
    )
    assert last["loss"] < 0.5 < first["loss"]
    assert last["perplexity"] == pytest.approx(math.exp(last["loss"]))


def test_same_seed_same_curve_and_another_seed_another(small_settings, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train(replace(small_settings, seed=seed), tmp_path / name)
    assert losses(tmp_path / "a") == losses(tmp_path / "b") != losses(tmp_path / "c")


@pytest.mark.parametrize("stop_at", [1, 4, 5, 8, 13, 23])
def test_stopped_anywhere_and_resumed_the_curve_is_the_same(small_settings, tmp_path, stop_at):
    settings = replace(small_settings, accumulate=2, patience=50)
    whole = train(settings, tmp_path / "whole")
    with new_run(settings, tmp_path / "parts") as trainer:
        trainer.run(stop=lambda: trainer.update == stop_at)
    with taken_up_run(RunFolder(tmp_path / "parts")) as trainer:
        assert trainer.update == stop_at
        trainer.run()
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    for ours, theirs in zip(whole.model.parameters(), trainer.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_killed_between_checkpoints_the_steps_since_are_done_again(small_settings, tmp_path):
    train(small_settings, tmp_path / "whole")

    class Killed(BaseException):
        pass

    def kill(record):
        if record["update"] >= 13:
            raise Killed

    with new_run(small_settings, tmp_path / "killed") as trainer, pytest.raises(Killed):
        trainer.run(report=kill)
    folder = RunFolder(tmp_path / "killed")
    with folder.metrics_file.open("a") as file:
        file.write('{"kind": "train", "upd')  # a kill may cut a line
    (folder.checkpoints / ".update-0000015.safetensors.1.tmp").write_bytes(b"half")
    with taken_up_run(folder) as trainer:
        assert trainer.update == 10
        trainer.run()
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")
    assert not list(folder.checkpoints.glob(".*"))


def test_resume_before_the_first_checkpoint_starts_over(small_settings, tmp_path):
    train(small_settings, tmp_path / "whole")
    with new_run(small_settings, tmp_path / "early"):
        pass
    with taken_up_run(RunFolder(tmp_path / "early")) as trainer:
        assert trainer.update == 0
        trainer.run()
    assert losses(tmp_path / "early") == losses(tmp_path / "whole")


def test_accumulated_batches_give_the_gradient_of_their_union(small_settings, tmp_path):
    settings = replace(small_settings, dropout=0.0, clip=0.0)
    with new_run(settings, tmp_path / "run") as trainer:
        groups = trainer.batch_groups()
        (first,), one = next(groups)
        (second,), two = next(groups)
        gradients = []
        trainer.optimiser.step = lambda *a, **k: gradients.append([p.grad.clone() for p in trainer.model.parameters()])
        trainer.step([first, second], one + two)
        trainer.step([first], one)
        trainer.step([second], two)
    for both, a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(both, (a * one + b * two) / (one + two), rtol=1e-4, atol=1e-6)


def test_clipping_bounds_the_gradient(small_settings, tmp_path):
    with new_run(replace(small_settings, clip=0.01), tmp_path / "run") as trainer:
        norms = []
        trainer.optimiser.step = lambda *a, **k: norms.append(
            torch.stack([p.grad.norm() for p in trainer.model.parameters()]).norm().item()
        )
        trainer.step(*next(trainer.batch_groups()))
    assert norms[0] == pytest.approx(0.01, rel=1e-3)


def test_early_stopping(small_settings, tmp_path):
    settings = replace(small_settings, updates=400, validate_every=2, patience=2, peak=1e-9)
    trainer = train(settings, tmp_path / "run")
    assert trainer.update < 400
    assert trainer.folder.final_file.exists()


def test_averaged_model_is_the_mean_of_the_last_checkpoints(small_settings, tmp_path):
    from utils.training.checkpoints import load_checkpoint

    folder = train(replace(small_settings, average=3, keep=1), tmp_path / "run").folder
    kept = [load_checkpoint(path)["model"] for path in folder.checkpoint_files()]
    assert len(kept) == 3
    name = "encoder.layers.0.feed_forward.inner.weight"
    mean = sum(model[name] for model in kept) / 3
    torch.testing.assert_close(load_checkpoint(folder.final_file)["model"][name], mean)


def test_a_loss_that_is_no_number_ends_in_a_sentence_and_spoils_no_checkpoint(small_settings, tmp_path):
    with new_run(replace(small_settings, checkpoint_every=1), tmp_path / "run") as trainer:
        trainer.run(stop=lambda: trainer.update == 4)
        with torch.no_grad():
            next(trainer.model.parameters()).fill_(math.nan)
        with pytest.raises(CourseError, match=r"loss became nan by update 5: .*--peak.*update-0000004"):
            trainer.run()
    assert trainer.folder.checkpoint_files()[-1].name == "update-0000004.safetensors"


def test_the_folder_of_another_run_is_never_touched(small_settings, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigError, match="not empty"):
        train(small_settings, tmp_path / "mine")
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(CourseError, match="--out"):
            train(small_settings, path)


def test_damaged_and_mismatched_runs_are_told_apart(small_settings, tmp_path):
    folder = train(small_settings, tmp_path / "run").folder
    newest = folder.checkpoint_files()[-1]
    good = newest.read_bytes()
    newest.write_bytes(good[:1000])
    with pytest.raises(CheckpointError, match="damaged"), taken_up_run(folder):
        pass
    newest.write_bytes(good)
    other = train(replace(small_settings, vocab_size=10), tmp_path / "other").folder
    with pytest.raises(CheckpointError, match="another vocabulary"):
        load_run(folder, other.final_file)
    wider = train(replace(small_settings, d_ff=48), tmp_path / "wider").folder
    with pytest.raises(CheckpointError, match="feed_forward"):
        load_run(folder, wider.final_file)
    folder.settings_file.write_text(json.dumps({"layers": 1, "colour": "red"}))
    with pytest.raises(ConfigError, match="colour"):
        folder.settings()
    folder.settings_file.write_text("{")
    with pytest.raises(CheckpointError, match=r"settings\.json is damaged"):
        folder.settings()


def test_the_newest_run_is_found(small_settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match="python -m utils train"):
        find_run()
    train(small_settings, tmp_path / "runs" / "one")
    with new_run(small_settings, tmp_path / "runs" / "started"):
        pass
    assert find_run().path.name == "one"
    with pytest.raises(CheckpointError, match="no run folder nothing"):
        find_run("nothing")


@pytest.mark.parametrize("model", ["gru", "lstm-no-attention"])
def test_recurrent_models_train_and_resume_alike(small_settings, tmp_path, model):
    settings = replace(small_settings, model=model)
    train(settings, tmp_path / "whole")
    with new_run(settings, tmp_path / "parts") as trainer:
        trainer.run(stop=lambda: trainer.update == 7)
    with taken_up_run(RunFolder(tmp_path / "parts")) as trainer:
        trainer.run()
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")


def test_trainer_is_exported_for_chapters():
    from utils.training import Settings, preset_settings
    from utils.training import Trainer as exported

    assert exported is Trainer and Settings and preset_settings


def test_learned_positions_leave_out_what_they_cannot_number(small_settings, tmp_path):
    trainer = train(replace(small_settings, positions="learned", max_len=6), tmp_path / "run")
    assert trainer.train_batches.left_out > 0
    assert int(trainer.train_batches.target.lengths.max()) <= 7  # BEGIN, six positions


def test_a_full_disk_ends_in_a_sentence(small_settings, tmp_path, monkeypatch):
    with new_run(small_settings, tmp_path / "run") as trainer:
        monkeypatch.setattr(RunFolder, "metrics_file", property(lambda self: self.path))
        with pytest.raises(CourseError, match="make room"):
            trainer.run()


def test_a_run_is_not_resumed_on_another_text(small_settings, tmp_path):
    source, target = tmp_path / "a.en", tmp_path / "a.de"
    for path, old in ((source, small_settings.source_file), (target, small_settings.target_file)):
        path.write_text(Path(old).read_text(encoding="utf-8"), encoding="utf-8")
    settings = replace(small_settings, source_file=str(source), target_file=str(target))
    with new_run(settings, tmp_path / "run") as trainer:
        trainer.run(stop=lambda: trainer.update == 5)
    target.write_text(target.read_text(encoding="utf-8").replace("eins", "zwei"), encoding="utf-8")
    with pytest.raises(CheckpointError, match="no longer the one"), taken_up_run(RunFolder(tmp_path / "run")):
        pass


@pytest.mark.parametrize("accumulate", [1, 2])
def test_an_update_is_the_one_that_chapter_07_teaches(small_settings, tmp_path, accumulate):
    """The trainer's fused loss and optimiser move the weights to where the chapter's references move them."""
    settings = replace(
        small_settings, accumulate=accumulate, clip=0.0, dropout=0.0, schedule="paper", peak=None, cooldown=0.0
    )
    with new_run(settings, tmp_path / "run") as trainer:
        groups = [next(stream)[0] for stream in [trainer.batch_groups()] for _ in range(3)]
        model = copy.deepcopy(trainer.model)
        # Plain descent: Adam would blow up the rounding of gradients that are zero but for it (keys' biases).
        descent = torch.optim.SGD(model.parameters(), lr=0.0, momentum=0.9)
        trainer.optimiser = torch.optim.SGD(trainer.model.parameters(), lr=0.0, momentum=0.9)
        batches = [(one.source, one.target_input, one.target_output) for group in groups for one in group]
        accumulated_updates(model, descent, batches, accumulate, settings.d_model, settings.warmup)
        for group in groups:
            trainer.step(group, sum(one.target_tokens for one in group))
    for own, taught in zip(trainer.model.parameters(), model.parameters(), strict=True):
        assert torch.allclose(own, taught, rtol=1e-3, atol=1e-6)
