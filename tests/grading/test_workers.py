"""How many processes grade at a time."""

import os
import time

import pytest

from utils.grading import workers as workers_module
from utils.grading.workers import LOADING, PAYS, Workers, _Worker


@pytest.fixture
def two(monkeypatch):
    """Two workers asked for on two cores, without a process behind them."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(Workers, "_start", lambda self, slot: self._workers.append(_Worker(None)))
    workers = Workers(2, True, [])
    yield workers
    workers._folder.cleanup()


def test_one_worker_begins_on_two_cores_and_two_on_four(two, monkeypatch):
    assert len(two._workers) == 1
    monkeypatch.setattr(workers_module.os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    wide = Workers(2, True, [])
    assert len(wide._workers) == 2
    wide._folder.cleanup()


def test_another_begins_when_the_rest_takes_longer_than_loading(two):
    quick = 0.3
    assert not two._worth_another(60, []), "nothing is known yet"
    assert not two._worth_another(60, [LOADING]), "the first answer took its worker's loading as well"
    assert not two._worth_another(int(PAYS * LOADING / quick) - 1, [LOADING, quick])
    assert two._worth_another(int(PAYS * LOADING / quick) + 1, [LOADING, quick])
    assert two._worth_another(2, [LOADING, 3 * LOADING]), "few, but slow ones"
    assert not two._worth_another(0, [LOADING, 3 * LOADING])


def test_another_begins_while_the_first_one_hangs(two):
    two._workers[0].submission, two._workers[0].since = object(), time.monotonic() - 3 * LOADING
    assert two._worth_another(PAYS + 1, [])


def test_there_are_no_more_than_were_asked_for(two):
    two._start(1)
    assert not two._worth_another(1000, [LOADING, 10.0])
