"""The commands as a person types them: train, translate, evaluate, resume; and every refusal in one sentence."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from utils.cli import main
from utils.training.runs import RunFolder

ROOT = Path(__file__).parents[1]
SMALL = ["--layers", "1", "--d-model", "32", "--d-ff", "64", "--heads", "2", "--batch-tokens", "512"]
SMALL += ["--device", "cpu", "--warmup", "40"]


@pytest.fixture
def utils(monkeypatch, capsys):
    """Runs `python -m utils ARGUMENTS` in this process; returns (exit status, output, error output)."""

    def run(*arguments, stdin: bytes | None = None):
        monkeypatch.setattr(sys, "argv", ["utils", *map(str, arguments)])
        if stdin is not None:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        try:
            main()
            status = 0
        except SystemExit as end:
            status = end.code or 0
        out, err = capsys.readouterr()
        return status, out, err

    return run


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A run of 200 updates on the embedded corpus, made by the command itself."""
    path = tmp_path_factory.mktemp("runs") / "embedded"
    command = [sys.executable, "-m", "utils", "train", *SMALL, "--updates", "200", "--peak", "5e-3", "--out", str(path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    path.with_suffix(".out").write_text(done.stdout + done.stderr)
    return path


def test_a_model_of_my_own_needs_what_it_is_made_of(utils, tmp_path, monkeypatch):
    monkeypatch.setenv("ATTENTION_REBUILT_HOME", str(tmp_path))
    status, _, err = utils("train", "--model", "mine", "--updates", "1")
    assert status == 1 and "comes into being when check() passes your first exercise" in err
    (tmp_path / "my_transformer").mkdir()
    status, _, err = utils("train", "--model", "mine", "--updates", "1")
    assert status == 1 and "Your own Transformer still lacks" in err and "--model transformer" in err
    assert not (tmp_path / "runs").exists()


def test_train_tells_what_it_does_and_leaves_a_run_folder(trained):
    told = trained.with_suffix(".out").read_text()
    for words in ("corpus  embedded, 20,000 training pairs", "million parameters", "tokens/s", "left", "BLEU", "Next:"):
        assert words in told
    names = {path.name for path in trained.iterdir()}
    assert names == {
        "settings.json", "origin.json", "tokeniser.json",
        "metrics.jsonl", "loss.png", "best.safetensors", "model.safetensors",
        "checkpoints",
    }  # fmt: skip
    assert (trained / "loss.png").read_bytes().startswith(b"\x89PNG")
    records = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    trained_losses = [record["loss"] for record in records if record["kind"] == "train"]
    assert trained_losses[-1] < 0.7 * trained_losses[0]


def test_translate_an_argument_a_file_and_standard_input(trained, utils, tmp_path):
    status, one, _ = utils("translate", "The dog sleeps.", "--run", trained)
    assert status == 0 and one.strip()
    status, piped, _ = utils("translate", "--run", trained, "--beam", "1", stdin=b"The dog sleeps.\nHe buys a key.\n")
    assert status == 0 and len(piped.splitlines()) == 2
    (tmp_path / "in.txt").write_text("The dog sleeps.\nHe buys a key.\n")
    status, filed, _ = utils("translate", "--run", trained, "--beam", "1", "--file", tmp_path / "in.txt")
    assert filed == piped


def test_translate_draws_attention(trained, utils, tmp_path):
    picture = tmp_path / "attention.png"
    status, _, err = utils("translate", "The dog sleeps.", "--run", trained, "--show-attention", picture)
    assert status == 0, err
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_evaluate_prints_scores_with_signature_and_writes_translations(trained, utils, tmp_path):
    status, out, err = utils("evaluate", "--run", trained, "--split", "valid", "--beam", "1")
    assert status == 0, err
    assert re.search(r"BLEU +\d+\.\d\d +nrefs:1\|case:mixed\|eff:no\|tok:13a\|smooth:exp\|version:2", out)
    assert re.search(r"chrF +\d", out) and re.search(r"perplexity +\d", out)
    written = Path(re.search(r"written +(.+)", out)[1])
    assert len(written.read_text(encoding="utf-8").splitlines()) == 1000
    assert "bleu_signature" in written.with_suffix(".json").read_text()


def test_evaluate_on_a_test_set_of_your_own(trained, utils, tmp_path):
    (tmp_path / "a.en").write_text("The dog sleeps.\nHe buys a key.\n")
    (tmp_path / "a.de").write_text("Der Hund schläft.\nEr kauft einen Schlüssel.\n", encoding="utf-8")
    files = ("--source-file", tmp_path / "a.en", "--target-file", tmp_path / "a.de")
    out_file = tmp_path / "out.txt"
    status, out, err = utils("evaluate", "--run", trained, *files, "--out", out_file, "--lowercase")
    assert status == 0, err
    assert "2 sentences" in out and "case:lc" in out
    before = out_file.read_text()
    status, _, err = utils("evaluate", "--run", trained, *files, "--out", out_file)
    assert status == 1 and "exists" in err and out_file.read_text() == before


def test_a_run_is_recorded_with_all_that_made_it(trained, utils, tmp_path):
    utils("evaluate", "--run", trained, "--split", "valid", "--beam", "1")
    out = tmp_path / "runs" / "embedded.json"
    status, _, err = utils("record", trained, "--out", out)
    assert status == 0, err
    record = json.loads(out.read_text(encoding="utf-8"))
    assert record["command"].startswith("python -m utils train --layers 1")
    assert record["seed"] == 1 and record["settings"]["updates"] == 200
    assert record["versions"]["torch"] and record["hardware"]["cores"] >= 1
    assert record["metrics"] == RunFolder(trained).metrics()
    assert [e["test_set"] for e in record["evaluations"]] == ["embedded valid"]
    status, _, err = utils("record", trained, "--out", out)
    assert status == 1 and "exists" in err


def test_killed_at_any_moment_and_resumed_the_curve_is_the_same(tmp_path, number_files_for_cli):
    source, target = number_files_for_cli
    options = [
        "train", *SMALL, "--corpus", "files", "--preset", "tiny", "--source-file", source, "--target-file", target,
        "--updates", "120", "--checkpoint-every", "10", "--validate-every", "30", "--log-every", "5",
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def command(*arguments):
        return [sys.executable, "-m", "utils", *map(str, arguments)]

    quiet = {"cwd": ROOT, "env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    assert subprocess.run(command(*options, "--out", tmp_path / "whole"), timeout=200, **quiet).returncode == 0
    process = subprocess.Popen(command(*options, "--out", tmp_path / "killed"), **quiet)
    folder = RunFolder(tmp_path / "killed")
    for wait_for in (2, 5):  # two kills, each a little after a checkpoint, wherever the process happens to be
        deadline = time.monotonic() + 100
        while len(folder.metrics()) < 4 * wait_for and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process = subprocess.Popen(command("resume", folder.path), **quiet)
    assert process.wait(timeout=200) == 0
    whole, resumed = (
        [(r["kind"], r["update"], r["loss"]) for r in RunFolder(tmp_path / name).metrics()]
        for name in ("whole", "killed")
    )
    assert resumed == whole
    again = subprocess.run(command("resume", folder.path), cwd=ROOT, env=environment, capture_output=True, text=True)
    assert again.returncode == 0 and "nothing to resume" in again.stdout


@pytest.fixture(scope="session")
def number_files_for_cli(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for name, words in (("a.en", ["one", "two", "three", "four"]), ("a.de", ["eins", "zwei", "drei", "vier"])):
        lines = [" ".join(words[(i * k) % 4] for k in range(1, 2 + i % 5)) + f" {i}" for i in range(200)]
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "a.en", folder / "a.de"


def test_interrupt_saves_and_says_how_to_go_on(tmp_path, number_files_for_cli):
    source, target = number_files_for_cli
    command = [
        sys.executable, "-m", "utils", "train", *SMALL, "--corpus", "files", "--preset", "tiny", "--source-file",
        str(source), "--target-file", str(target), "--updates", "100000", "--log-every", "1",
        "--out", str(tmp_path / "run"),
    ]  # fmt: skip
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores Ctrl-C
    )  # fmt: skip
    deadline = time.monotonic() + 100
    while not RunFolder(tmp_path / "run").metrics() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Go on with: python -m utils resume" in out
    assert RunFolder(tmp_path / "run").checkpoint_files()


def bad_calls(trained, tmp_path):
    """(arguments, standard input, words of the sentence) of calls that must be refused."""
    short, long = tmp_path / "short.txt", tmp_path / "long.txt"
    short.write_text("one\n")
    long.write_text("one\ntwo\n")
    invalid, blank = tmp_path / "invalid.txt", tmp_path / "blank.txt"
    invalid.write_bytes(b"fine\nnot f\xefne\n")
    blank.write_text("one\n\ntwo\n")
    not_checkpoint = tmp_path / "x.safetensors"
    not_checkpoint.write_bytes(b"hello")
    in_the_way = tmp_path / "a_file"
    in_the_way.write_text("")
    run = ("--run", trained)
    files = ("train", "--corpus", "files", "--source-file")
    return {
        "line counts": ((*files, short, "--target-file", long), None, "line 2 is missing in .*short.txt"),
        "invalid UTF-8": ((*files, invalid, "--target-file", long), None, r"invalid.txt, line 2: byte 6"),
        "blank line": ((*files, blank, "--target-file", long), None, "blank.txt, line 2 is empty"),
        "too few": ((*files, long, "--target-file", long), None, "20 or more"),
        "one file": ((*files, long), None, "--target-file"),
        "preset": (("train", "--preset", "huge"), None, "good values are tiny, multi30k, base, big"),
        "heads": (("train", "--heads", "7"), None, "good values are 1, 2, 4"),
        "peak": (("train", "--peak", "high"), None, "peak is 'high'"),
        "d_k": (("train", "--d-k", "1.5"), None, "d_k is '1.5'"),
        "device": (("train", "--device", "cuda:7"), None, "good values are auto, cuda, mps, cpu"),
        "data dir": (("train", "--corpus", "multi30k", "--data-dir", tmp_path), None, "neither train.en.gz"),
        "unwritable": (("train", *SMALL, "--out", in_the_way / "run"), None, "cannot be made .*--out"),
        "not empty": (("train", *SMALL, "--out", trained), None, "exists and is not empty"),
        "no run": (("translate", "Hello.", "--run", tmp_path / "none"), None, "no run folder"),
        "not a run": (("translate", "Hello.", "--run", tmp_path), None, "not a run folder"),
        "no checkpoint": (("translate", "Hello.", *run, "--checkpoint", tmp_path / "no"), None, "no checkpoint"),
        "foreign checkpoint": (("translate", "Hi.", *run, "--checkpoint", not_checkpoint), None, "damaged"),
        "empty text": (("translate", "", *run), None, "empty"),
        "blank text": (("translate", "  \t", *run), None, "empty"),
        "no known characters": (("translate", "漢字 日本", *run), None, "nothing that this run knows"),
        "empty input": (("translate", *run), b"", "standard input is empty"),
        "blank input line": (("translate", *run), b"one\n\nthree\n", "standard input, line 2 is empty"),
        "unknown input line": (("translate", *run), "The dog.\n漢字\n".encode(), "Line 2 of standard input"),
        "invalid input": (("translate", *run), b"\xff\n", "not valid UTF-8"),
        "endless text": (("translate", "word " * 1500, *run), None, "more than 1000"),
        "two pictures": (("translate", "One.", "Two.", *run, "--show-attention", "a.png"), None, "single one"),
        "picture nowhere": (("translate", "The dog.", *run, "--show-attention", in_the_way / "a.png"), None, "a.png"),
        "beam": (("translate", "The dog.", *run, "--beam", "0"), None, "beam is 0"),
        "split": (("evaluate", *run, "--split", "dev"), None, "good values are train, valid, test, long"),
        "half a test set": (("evaluate", *run, "--source-file", long), None, "both"),
        "counts in test set": (("evaluate", *run, "--source-file", long, "--target-file", short), None, "line 2"),
        "resume nothing": (("resume", tmp_path / "none"), None, "no run folder"),
    }


def test_every_refusal_is_one_sentence_and_changes_nothing(trained, utils, tmp_path):
    trained_before = snapshot(trained)
    calls = bad_calls(trained, tmp_path)
    before = snapshot(tmp_path)
    for name, (arguments, stdin, words) in calls.items():
        status, _, err = utils(*arguments, stdin=stdin)
        assert status == 1, f"{name}: status {status}, {err}"
        assert re.search(words, err), f"{name}: {err}"
        assert err.startswith("Error: ") and err.count("\n") == 1 and "Traceback" not in err, f"{name}: {err}"
        assert snapshot(tmp_path) == before, name
    assert snapshot(trained) == trained_before


def snapshot(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_unknown_options_and_commands_are_usage_errors(utils):
    for arguments in (("train", "--colour", "red"), ("trian",), ("train", "--layers", "many")):
        status, _, err = utils(*arguments)
        assert status == 2 and err


def test_help_lists_the_commands():
    done = subprocess.run([sys.executable, "-m", "utils", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0
    for command in ("train", "resume", "translate", "evaluate", "bench"):
        assert command in done.stdout


def test_only_a_command_that_needs_torch_imports_it():
    code = "import sys\nfrom utils.cli import main\ntry: main()\nexcept SystemExit: assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code, "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Train a translator" in done.stdout


def test_too_little_memory_is_told_in_a_sentence_and_a_bug_is_not_hidden(utils, monkeypatch):
    def fail(message):
        def command(*arguments, **options):
            raise RuntimeError(message)

        return command

    monkeypatch.setattr("utils.commands.evaluating.evaluate_run", fail("CUDA out of memory. Tried to allocate 2 GiB"))
    monkeypatch.setattr("utils.training.runs.find_run", lambda path: None)
    status, _, err = utils("evaluate")
    assert status == 1 and "lower --batch-tokens" in err
    monkeypatch.setattr("utils.commands.evaluating.evaluate_run", fail("a bug of ours"))
    with pytest.raises(RuntimeError, match="a bug of ours"):
        utils("evaluate")
