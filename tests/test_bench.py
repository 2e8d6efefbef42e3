"""The bench at tiny sizes: its peers do our work, its reports hold what they promise. Speeds are not tested here."""

import json
import math
import subprocess
import sys

import pytest
import torch
from rich.console import Console

from utils.bench import bench_data, bench_decode, bench_train, data, decode, peers, print_report, setup, train
from utils.bench.peak import forward_flops, matrix_peak, step_flops
from utils.bench.peers import UsualTransformer, copy_to_marian, copy_to_usual, make_marian, marian_logits
from utils.errors import ConfigError, CourseError
from utils.text import TokenBatches, learn_tokeniser
from utils.transformer import CLEAR, PADDING, Transformer, TransformerConfig

needs_marian = pytest.mark.skipif(not peers.marian_there(), reason="the extra package transformers is not installed")
TINY = {"layers": 2, "d_model": 32, "d_ff": 48, "heads": 4, "dropout": 0.1}
SIZES = {
    "larger": TransformerConfig(**TINY, vocab_size=50),
    "multi30k": TransformerConfig(**TINY, vocab_size=50, norm="pre"),
}
WORDS = ["the", "a", "cat", "dog", "bird", "sees", "hears", "likes", "small", "big", "old", "and"]


def pairs(count: int = 300) -> list[tuple[str, str]]:
    drawn = torch.randint(len(WORDS), (count, 20), generator=torch.Generator().manual_seed(1)).tolist()
    lengths = torch.randint(3, 7, (count, 2), generator=torch.Generator().manual_seed(2)).tolist()
    sentences = [[WORDS[index] for index in row] for row in drawn]
    return [(" ".join(row[:n]), " ".join(row[-m:])) for row, (n, m) in zip(sentences, lengths, strict=True)]


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """Tiny models and a tiny corpus in place of Multi30k."""

    def text(data_dir):
        tokeniser = learn_tokeniser("words", [sentence for pair in pairs() for sentence in pair], 50)
        return pairs(), tokeniser, ["a tiny corpus"]

    monkeypatch.setattr(setup, "SIZES", SIZES)
    monkeypatch.setattr(setup, "BATCH_TOKENS", 64)
    monkeypatch.setattr(data, "SIZES", SIZES)
    monkeypatch.setattr(data, "BATCH_TOKENS", 64)
    for module in (train, decode, data):
        monkeypatch.setattr(module, "real_text", text)
    monkeypatch.setattr(train, "matrix_peak", lambda: matrix_peak((64,), repeats=1))


@pytest.fixture
def without_marian(monkeypatch):
    for module in (peers, setup, train, decode):
        monkeypatch.setattr(module, "marian_there", lambda: False)


def ids(*lengths: int) -> torch.Tensor:
    drawn = torch.randint(4, 50, (len(lengths), max(lengths)))
    for row, length in zip(drawn, lengths, strict=True):
        row[length:] = PADDING
    return drawn


def shown(report: dict) -> str:
    console = Console(record=True, width=200, file=open("/dev/null", "w"))  # noqa: SIM115
    print_report(report, console)
    return console.export_text()


@pytest.mark.parametrize("norm", ["post", "pre"])
@torch.no_grad()
def test_torch_transformer_with_our_weights_gives_our_logits(norm):
    config = TransformerConfig(**TINY, vocab_size=50, norm=norm)
    ours, peer = Transformer(config).eval(), UsualTransformer(config).eval()
    copy_to_usual(ours, peer)
    source, target = ids(7, 4, 1), ids(6, 6, 3)
    real = target != PADDING
    torch.testing.assert_close(ours(source, target)[real], peer(source, target)[real], atol=1e-3, rtol=1e-3)


@needs_marian
@torch.no_grad()
def test_marian_with_our_weights_gives_our_logits():
    config = TransformerConfig(**TINY, vocab_size=50)
    ours, peer = Transformer(config).eval(), make_marian(config).eval()
    copy_to_marian(ours, peer)
    source, target = ids(7, 4, 1), ids(6, 6, 3)
    real = target != PADDING
    wanted = marian_logits(peer, source, target)[real]
    torch.testing.assert_close(ours(source, target)[real], wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("other", "words"), [({"d_ff": 480}, "times our parameters"), ({"layers": 1}, "times our parameters")]
)
def test_a_peer_of_another_size_is_refused(other, words):
    ours = Transformer(SIZES["larger"])
    theirs = UsualTransformer(TransformerConfig(**{**TINY, **other}, vocab_size=50))
    with pytest.raises(CourseError, match=words):
        peers.check_same_size("it", ours, theirs)


@pytest.mark.parametrize("loss", [math.nan, math.inf, 0.5, 30.0])
def test_a_peer_with_a_strange_first_loss_is_refused(loss):
    peers.check_first_loss("it", math.log(8000) + 0.6, 8000)
    with pytest.raises(CourseError, match="far from ln V"):
        peers.check_first_loss("it", loss, 8000)


def test_a_peer_that_does_other_work_is_refused():
    with pytest.raises(CourseError, match="no fair peer"):
        peers.check_same_loss("it", 9.0, 9.1)
    with pytest.raises(CourseError, match="no fair peer"):
        decode.check_agreement("it", 0.5)


def test_flops_are_what_pytorch_counts():
    from torch.utils.flop_counter import FlopCounterMode

    config = TransformerConfig(**TINY, vocab_size=50)
    source, target = ids(7, 7, 7), ids(5, 5, 5)
    model = Transformer(config, CLEAR)  # the counter does not know the fused attention of CPUs
    with FlopCounterMode(display=False) as counter:
        model(source, target)
    assert forward_flops(config, 3, 7, 5, 15) == counter.get_total_flops()
    assert step_flops(config, 3, 7, 5, 15) == 3 * forward_flops(config, 3, 7, 5, 15)


def test_contestants_take_turns_and_the_first_changes():
    order = []
    seconds = setup.interleaved({name: lambda item, name=name: order.append((name, item)) for name in "ab"}, 2, 2)
    assert order[:2] == [("a", 0), ("b", 0)]  # unmeasured
    assert order[2:] == [("a", 0), ("b", 0), ("b", 1), ("a", 1), ("a", 0), ("b", 0), ("b", 1), ("a", 1)]
    assert [len(values) for values in seconds.values()] == [4, 4]


def test_ratios_say_how_many_times_faster_we_are():
    assert setup.ratios([1, 1, 1], [2, 3, 4]) == {"median": 3, "low": 2.5, "high": 3.5}
    assert setup.ratios([2.0], [3.0])["low"] == 1.5


def test_train_reports_every_contestant(tmp_path):
    threads = torch.get_num_threads()
    report = bench_train(out=tmp_path / "deep" / "train.json", batches=2, rounds=1)
    assert json.loads((tmp_path / "deep" / "train.json").read_text()) == report
    assert torch.get_num_threads() == threads
    wanted = {"ours", "torch.nn.Transformer", "torch.nn.Transformer, our loss", "ours, shuffled batches of 128"}
    for result in report["results"]:
        assert wanted < set(result["contestants"])
        assert ("Marian" in result["contestants"]) == peers.marian_there()
        assert result["contestants"]["ours"]["ours_is_faster"]["median"] == 1
        assert result["share_of_peak"]["median"] > 0
    assert report["padding"]["bucketed"]["target"] < report["padding"]["shuffled by 128"]["target"]
    text = shown(report)
    assert "torch.nn.Transformer" in text and "GFLOP/s" in text and "a tiny corpus" in text


def test_decode_reports_every_run(tmp_path):
    report = bench_decode(
        out=tmp_path / "decode.json", rounds=2, greedy_runs=[(4, 9)], beam_runs=[(3, 9)], cache_lengths=[6]
    )
    assert json.loads((tmp_path / "decode.json").read_text()) == report
    post = report["results"][0]
    assert post["greedy"][0]["same_tokens"] == 1
    assert post["beam"][0]["same_tokens"] == (1 if peers.marian_there() else None)
    assert "no cache" in shown(report)


def test_without_transformers_the_bench_works_and_says_so(without_marian):
    report = bench_train(batches=1, rounds=1, sizes=["larger"], variants=False)
    assert set(report["results"][0]["contestants"]) == {"ours", "torch.nn.Transformer"}
    assert "Marian was left out" in shown(report)
    report = bench_decode(rounds=1, sizes=["larger"], greedy_runs=[], beam_runs=[(2, 8)], cache_lengths=[])
    assert "ours_is_faster" not in report["results"][0]["beam"][0]
    assert "pip install transformers" in shown(report)
    with pytest.raises(CourseError, match="pip install transformers"):
        make_marian(SIZES["larger"])


def test_data_reports_both_loaders(tmp_path):
    report = bench_data(out=tmp_path / "data.json", updates=2, rounds=2)
    assert json.loads((tmp_path / "data.json").read_text()) == report
    assert report["token_batches"]["tokens_per_second"] > 0 < report["bucket_iterator"]["tokens_per_second"]
    corpus = TokenBatches(pairs(), learn_tokeniser("words", [s for pair in pairs() for s in pair], 50), 64)
    assert report["bucket_iterator"]["target_tokens"] == int(corpus.target_tokens.sum())  # END counts in both
    assert "BucketIterator" in shown(report)


@pytest.mark.parametrize("steps", [5, 12])
def test_every_search_takes_the_steps_it_is_told(steps):
    model = decode.endless(SIZES["multi30k"])
    source = ids(4, 4, 4)
    source[:, -1] = 3
    assert [len(tokens) for tokens in decode.greedy(model, source, decode.extra(source, steps))] == [steps] * 3
    found = decode.our_beams(model, source, steps)
    assert {len(hypothesis.tokens) for sentence in found for hypothesis in sentence} == {steps - 1}  # and END


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: bench_train(batches=0), "batches is 0"),
        (lambda: bench_decode(rounds=-1), "rounds is -1"),
        (lambda: bench_data(updates=0), "updates is 0"),
        (lambda: bench_train(batches=1, sizes=["huge"]), "sizes has 'huge': good values are larger, multi30k"),
    ],
)
def test_bad_values_end_in_one_sentence(call, words):
    with pytest.raises(ConfigError, match=words):
        call()


def test_importing_the_bench_does_not_import_transformers():
    code = "import sys, utils.bench; sys.exit('transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
