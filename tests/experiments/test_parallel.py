"""The timing of chapter 09: all layers at all lengths, a GRU's two forms alike, a record to show."""

import torch

from utils.experiments.parallel import LENGTHS, StepByStep, WholeSequence, parallel_experiment, recorded

NAMES = {"GRU, step by step", "GRU, whole sequence", "self-attention"}


def test_each_layer_is_timed_at_each_length():
    found = parallel_experiment(torch.device("cpu"), (2, 5), d_model=8, heads=2, repeats=1, report=lambda line: None)
    assert {(one["layer"], one["length"]) for one in found} == {(name, length) for name in NAMES for length in (2, 5)}
    assert all(one["forward_ms"] > 0 and one["both_ms"] > 0 for one in found)


def test_both_forms_of_the_gru_compute_the_same():
    torch.manual_seed(0)
    steps, whole = StepByStep(6), WholeSequence(6)
    named = dict(whole.layer.named_parameters())
    steps.cell.load_state_dict({name: named[f"{name}_l0"].detach() for name in steps.cell.state_dict()})
    x = torch.randn(2, 5, 6)
    torch.testing.assert_close(steps(x), whole(x))


def test_the_record_says_where_it_comes_from():
    record = recorded("cpu")
    assert {"command", "versions", "hardware", "commit", "settings"} <= set(record)
    assert {(one["layer"], one["length"]) for one in record["results"]} == {(n, at) for n in NAMES for at in LENGTHS}
    assert recorded("abacus") is None
