"""One stack as a translator, beside encoder–decoder: wired as chapter 06 says, and equal in size."""

import json

import pytest
import torch

from utils.exercises.chapter_06.references import leaks
from utils.experiments import families
from utils.experiments.families import FAMILIES, OneSequence, family_model
from utils.training.settings import Settings
from utils.transformer import BEGIN, END, TransformerConfig
from utils.translation.greedy import greedy

SOURCE = torch.tensor([[5, 6, 7, 8, END], [9, 10, END, 0, 0]])
TARGET = torch.tensor([[BEGIN, 11, 12, 13], [BEGIN, 14, 15, 16]])


@pytest.fixture(params=[False, True], ids=["decoder-only", "prefix"])
def model(request):
    torch.manual_seed(0)
    return OneSequence(TransformerConfig(20, 2, 16, 24, 4, dropout=0.0), sees_ahead=request.param)


def logits(model, source, target):
    with torch.no_grad():
        return model.output(model.states(source, target))


def test_the_future_does_not_leak(model):
    class Called(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inside = model

        def forward(self, source, target):
            return logits(self.inside, source, target)

    assert not any(leaks(Called(), SOURCE, TARGET, position) for position in range(4))


def test_padding_of_the_source_moves_nothing(model):
    alone = logits(model, SOURCE[1:, :3], TARGET[1:])
    assert torch.allclose(logits(model, SOURCE, TARGET)[1:], alone, atol=1e-5)


def test_the_prefix_looks_ahead_and_the_causal_stack_does_not(model):
    first = []
    model.stack.layers[0].register_forward_hook(lambda module, inputs, output: first.append(output[:, 0]))
    changed = SOURCE.clone()
    changed[:, 1] = 4
    logits(model, SOURCE, TARGET), logits(model, changed, TARGET)
    assert torch.allclose(*first) == (not model.sees_ahead)


def test_it_writes_token_by_token(model):
    for translation, alone in zip(greedy(model, SOURCE, 3), [greedy(model, SOURCE[i : i + 1], 3)[0] for i in (0, 1)],
                                  strict=True):  # fmt: skip
        assert translation == alone


def test_all_families_have_the_same_size():
    settings = Settings(d_model=64, d_ff=128)
    sizes = [sum(p.numel() for p in family_model(name, settings, 1500).parameters()) for name in FAMILIES]
    assert max(sizes) / min(sizes) < 1.005


def test_the_experiment_writes_what_it_found(tmp_path, monkeypatch, capsys):
    out = tmp_path / "found.json"
    monkeypatch.setattr("sys.argv", ["families", "--out", str(out), "--seeds", "1", "--updates", "2"])
    monkeypatch.setattr(
        families, "SETTINGS", {**families.SETTINGS, "d_model": 16, "d_ff": 16, "batch_tokens": 64, "layers": 1}
    )
    families.main()
    record = json.loads(out.read_text(encoding="utf-8"))
    assert [result["family"] for result in record["results"]] == list(FAMILIES)
    assert record["command"].startswith("python -m utils.experiments.families") and record["settings"]["updates"] == 2
