"""Schedules: Eq. 3 by hand, peaks where they belong, cool-down to nothing."""

import pytest

from utils.errors import ConfigError
from utils.training.schedule import SCHEDULES, learning_rate, paper_schedule


def test_equation_3_by_hand():
    assert paper_schedule(1, 512, 4000) == pytest.approx(512**-0.5 * 4000**-1.5)
    assert paper_schedule(4000, 512, 4000) == pytest.approx(6.987712e-4, rel=1e-6)
    assert paper_schedule(16000, 512, 4000) == pytest.approx(6.987712e-4 / 2, rel=1e-6)


@pytest.mark.parametrize("update", [1, 5, 399, 400, 401, 5000])
def test_the_default_is_equation_3(update):
    assert learning_rate(update, warmup=400, d_model=128) == pytest.approx(paper_schedule(update, 128, 400))


@pytest.mark.parametrize("kind", SCHEDULES)
def test_warm_up_is_linear_and_ends_at_the_peak(kind):
    rates = [learning_rate(u, kind, peak=0.5, warmup=10, updates=100) for u in range(1, 101)]
    assert rates[:10] == pytest.approx([0.05 * u for u in range(1, 11)])
    assert max(rates) == pytest.approx(0.5)
    assert all(later <= earlier + 1e-12 for earlier, later in zip(rates[9:], rates[10:], strict=False))


def test_constant_and_cosine():
    assert learning_rate(99, "constant", 0.5, 10, 100) == 0.5
    assert learning_rate(55, "cosine", 0.5, 10, 100) == pytest.approx(0.25)
    assert learning_rate(100, "cosine", 0.5, 10, 100) == pytest.approx(0, abs=1e-12)


def test_cool_down_is_linear_over_its_share_and_never_negative():
    rates = [learning_rate(u, "constant", 1.0, 1, 100, cooldown=0.2) for u in range(1, 106)]
    assert rates[79] == 1.0 and rates[80] == 1.0
    assert rates[90] == pytest.approx(0.5)
    assert 0 < rates[99] <= 0.05
    assert rates[100:] == [0.0] * 5


def test_refusals():
    with pytest.raises(ConfigError, match="paper, constant, inverse-sqrt, cosine"):
        learning_rate(1, "linear")
    with pytest.raises(ConfigError, match="warmup is 0"):
        learning_rate(1, warmup=0)
    with pytest.raises(ConfigError, match="set updates"):
        learning_rate(5000, "cosine", 1.0)
