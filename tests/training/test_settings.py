"""Settings: presets, overrides, and a sentence with the good values for each bad one."""

import subprocess
import sys
from dataclasses import fields

import pytest

from utils.commands.options import HELP
from utils.errors import ConfigError
from utils.training.device import choose_device, choose_precision, device_advice
from utils.training.runs import build_model
from utils.training.settings import BASE, BIG, MINUTES_ON_CPU, MODELS, PRESETS, Settings, preset_settings
from utils.transformer import parameter_counts
from utils.transformer.config import BASE as PAPER_BASE
from utils.transformer.config import BIG as PAPER_BIG


def test_presets_of_the_paper_have_its_sizes():
    assert BASE.transformer_config(37_000) == PAPER_BASE
    assert BIG.transformer_config(37_000) == PAPER_BIG


@pytest.mark.parametrize("vocab_size", [8_000, 10_000])
def test_multi30k_is_transformer_tiny(vocab_size):
    settings = preset_settings("multi30k", None, on_cpu=False)
    assert (settings.layers, settings.d_model, settings.d_ff, settings.heads, settings.dropout) == (4, 128, 256, 4, 0.3)
    assert 2.3e6 <= sum(parameter_counts(settings.transformer_config(vocab_size)).values()) <= 2.65e6


def test_the_corpus_chooses_the_preset_and_changes_win():
    assert preset_settings(None, None, True).preset == "tiny"
    assert preset_settings(None, "multi30k", True).preset == "multi30k"
    changed = preset_settings("multi30k", "embedded", True, dropout=0.2, layers=1)
    assert (changed.corpus, changed.dropout, changed.layers, changed.d_model) == ("embedded", 0.2, 1, 128)


def test_settings_survive_json():
    assert Settings.from_dict(BIG.to_dict()) == BIG
    with pytest.raises(ConfigError, match="no setting 'colour'"):
        Settings.from_dict({"colour": "red"})


@pytest.mark.parametrize(
    ("field", "value", "good"),
    [
        ("preset", "huge", "tiny, multi30k, base, big"),
        ("corpus", "wmt", "embedded, multi30k, files"),
        ("tokeniser", "letters", "words, bpe"),
        ("model", "rnn", "transformer, mine, gru"),
        ("schedule", "linear", "paper, constant"),
        ("device", "tpu", "auto, cuda, mps, cpu"),
        ("precision", "fp8", "auto, fp32"),
        ("norm", "middle", "post, pre"),
        ("positions", "none", "sinusoidal, learned"),
        ("heads", 3, "1, 2, 4, 8"),
        ("heads", 0, "from 1"),
        ("layers", 0, "from 1"),
        ("d_model", -8, "from 1"),
        ("updates", 0, "from 1"),
        ("batch_tokens", 3, "from 16"),
        ("dropout", 1.0, "from 0 up to"),
        ("dropout", float("nan"), "from 0 up to"),
        ("label_smoothing", -0.1, "from 0 up to"),
        ("peak", 0.0, "above 0"),
        ("clip", -1.0, "from 0"),
        ("cooldown", 1.5, "from 0"),
        ("seed", -1, "from 0"),
        ("vocab_size", 3, "from"),
        ("patience", -1, "from 0"),
    ],
)
def test_bad_values_name_the_good_ones(field, value, good):
    with pytest.raises(ConfigError, match=f"{field} is .*{good}"):
        preset_settings(**{"preset": "tiny", "corpus": None, "on_cpu": True, field: value})


def test_every_field_has_help_and_every_preset_minutes():
    assert set(HELP) == {field.name for field in fields(Settings)}
    assert set(MINUTES_ON_CPU) == set(PRESETS)


@pytest.mark.parametrize("model", MODELS)
def test_every_model_is_built_with_about_the_same_parameters(model):
    settings = preset_settings("tiny", None, True, model=model)
    ours = sum(p.numel() for p in build_model(settings, 1500).parameters())
    reference = sum(parameter_counts(settings.transformer_config(1500)).values())
    assert ours == pytest.approx(reference, rel=0.02)


def test_device_and_precision():
    cpu = choose_device("cpu")
    assert choose_precision("auto", cpu) is None
    with pytest.raises(ConfigError, match="only fp32 pays"):
        choose_precision("bf16", cpu)
    assert "minutes" in device_advice(cpu, "tiny", 4) or "GPU" in device_advice(cpu, "tiny", 4)


def test_missing_gpu_is_told(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ConfigError, match="good values are auto.*cpu"):
        choose_device("cuda")
    monkeypatch.setattr("utils.training.device.gpu_present", lambda: False)
    assert "about 20 minutes" in device_advice(choose_device("cpu"), "multi30k", 20)
    assert "days" in device_advice(choose_device("cpu"), "base", None)
    monkeypatch.setattr("utils.training.device.gpu_present", lambda: True)
    assert "cannot use" in device_advice(choose_device("cpu"), "tiny", 4)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert "does not use it" in device_advice(choose_device("cpu"), "tiny", 4)


def test_what_notebooks_import_for_a_training_does_not_warn_there():
    """tqdm.auto warns in every notebook of an environment without ipywidgets."""
    ask = "import sys, utils.training.short, utils.translation; print('tqdm.auto' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True).stdout == "False\n"
