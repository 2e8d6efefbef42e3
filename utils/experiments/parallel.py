"""Milliseconds for one sentence against its length: a GRU, step by step and as PyTorch's own, and self-attention.

    python -m utils.experiments.parallel

times forward and forward with backward on the device there is, at the paper's width, and writes
assets/runs/09-parallel-cpu.json, or -cuda.json or -mps.json. Chapter 09 shows what has been recorded.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from utils.training.device import DEVICES, choose_device
from utils.training.origin import origin
from utils.training.runs import write_text
from utils.transformer.fused import FusedMultiHeadAttention

RUNS = Path(__file__).parents[2] / "assets" / "runs"
LENGTHS, D_MODEL, HEADS, REPEATS = (16, 64, 256, 1024), 512, 8, 7


class StepByStep(nn.Module):
    """A GRU as chapter 09 writes it: one cell, called once for each token."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.cell = nn.GRUCell(d_model, d_model)

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, length, d_model). Returns the states, the same shape."""
        state, states = x.new_zeros(x.size(0), x.size(-1)), []
        for token in x.unbind(dim=1):
            state = self.cell(token, state)
            states.append(state)
        return torch.stack(states, dim=1)


class WholeSequence(nn.Module):
    """PyTorch's GRU, which gets the sequence as a whole; on CUDA it is cuDNN's."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.layer = nn.GRU(d_model, d_model, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, length, d_model). Returns the states, the same shape."""
        return self.layer(x)[0]


class SelfAttention(nn.Module):
    """Multi-head self-attention in the form that training uses."""

    def __init__(self, d_model: int, heads: int) -> None:
        super().__init__()
        self.layer = FusedMultiHeadAttention(d_model, heads)

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, length, d_model). Returns the same shape."""
        return self.layer(x, x, x)[0]


def finish(device: torch.device) -> None:
    """Waits until the device has done what it was given: a GPU's calls come back before that."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def milliseconds(work: Callable[[], object], device: torch.device, repeats: int = REPEATS) -> float:
    """The median time of a call, after two that warm up."""
    clocks = []
    for turn in range(2 + repeats):
        finish(device)
        start = time.perf_counter()
        work()
        finish(device)
        if turn >= 2:
            clocks.append(1000 * (time.perf_counter() - start))
    return statistics.median(clocks)


def parallel_experiment(
    device: torch.device, lengths: Sequence[int] = LENGTHS, d_model: int = D_MODEL, heads: int = HEADS,
    repeats: int = REPEATS, report: Callable[[str], None] = print,
) -> list[dict]:  # fmt: skip
    """For each layer and length: {"layer", "length", "forward_ms", "both_ms"}, one sentence in a batch, float32."""
    torch.manual_seed(1)
    layers = {
        "GRU, step by step": StepByStep(d_model),
        "GRU, whole sequence": WholeSequence(d_model),
        "self-attention": SelfAttention(d_model, heads),
    }
    found = []
    for length in lengths:
        x = torch.randn(1, length, d_model, device=device, requires_grad=True)
        for name, layer in layers.items():
            layer.to(device)

            def forward(layer: nn.Module = layer, x: Tensor = x) -> None:
                with torch.no_grad():
                    layer(x)

            def both(layer: nn.Module = layer, x: Tensor = x) -> None:
                layer(x).sum().backward()

            times = [round(milliseconds(work, device, repeats), 3) for work in (forward, both)]
            found.append({"layer": name, "length": length, "forward_ms": times[0], "both_ms": times[1]})
            report(json.dumps(found[-1]))
    return found


def recorded(device: str) -> dict | None:
    """What was recorded on a kind of device, or None."""
    path = RUNS / f"09-parallel-{device}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m utils.experiments.parallel", description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto", choices=DEVICES)
    parser.add_argument("--out", type=Path, help="the JSON file to write; by default the one that chapter 09 shows")
    asked = parser.parse_args()
    device = choose_device(asked.device)
    come_from = {**origin(), "command": "python -m utils.experiments.parallel"}
    settings = {"d_model": D_MODEL, "heads": HEADS, "batch": 1, "repeats": REPEATS, "device": device.type}
    results = parallel_experiment(device, report=lambda line: print(line, flush=True))
    text = json.dumps({**come_from, "settings": settings, "results": "@"}, indent=1, ensure_ascii=False)
    lines = ",\n  ".join(json.dumps(one) for one in results)
    write_text(asked.out or RUNS / f"09-parallel-{device.type}.json", text.replace('"@"', f"[\n  {lines}\n ]") + "\n")


if __name__ == "__main__":
    main()
