"""Two gloo processes on the CPU give the loss of one process with twice the batches an update."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from utils.training.runs import RunFolder

ROOT = Path(__file__).parents[2]


def test_two_processes_equal_one_with_twice_the_batch(number_files, tmp_path):
    options = [
        "train", "--corpus", "files", "--preset", "tiny", "--source-file", str(number_files[0]),
        "--target-file", str(number_files[1]), "--layers", "1", "--d-model", "32", "--d-ff", "64", "--heads", "2",
        "--dropout", "0", "--updates", "12", "--batch-tokens", "128", "--log-every", "3", "--validate-every", "6",
        "--checkpoint-every", "6", "--device", "cpu",
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    one = [sys.executable, "-m", "utils", *options, "--accumulate", "2", "--out", str(tmp_path / "one")]
    two = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", "-m", "utils",
        *options, "--out", str(tmp_path / "two"),
    ]  # fmt: skip
    for command in (one, two):
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stderr[-3000:]
    records = [RunFolder(tmp_path / name).metrics() for name in ("one", "two")]
    assert [(r["kind"], r["update"]) for r in records[0]] == [(r["kind"], r["update"]) for r in records[1]]
    for ours, theirs in zip(*records, strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-5)
