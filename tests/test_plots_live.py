"""The live picture of a training: what it says, when it is drawn, and that it stands still in the end."""

import pytest

from utils.plots.live import LONGEST, LiveTraining

SAMPLES = [("the dog sleeps", "der Hund schläft"), ("no", "nein " * 60)]


@pytest.fixture
def clock():
    class Clock:
        now = 100.0

        def __call__(self):
            return self.now

    return Clock()


@pytest.fixture
def shown(monkeypatch):
    """What display() gets, first pictures and updates alike."""
    pictures = []

    class Handle:
        def update(self, figure):
            pictures.append(("update", figure))

    def display(figure, display_id):
        pictures.append(("new", figure))
        return Handle()

    monkeypatch.setattr("IPython.display.display", display)
    return pictures


def title(figure):
    return figure.axes[0].get_title(loc="left")


def test_one_picture_is_updated_and_not_for_every_update(clock, shown):
    live = LiveTraining(100, SAMPLES, pause=2.0, clock=clock)
    for update in range(1, 11):
        clock.now += 1.0
        live.train(update, 8.0 - update / 10, tokens=500)
    live.finish()
    assert [kind for kind, _ in shown] == ["new", *["update"] * 5]
    assert title(shown[0][1]) == "Loss 7.90: update 1 of 100 · 500 tokens/s · 99 s left"
    assert title(shown[-1][1]).startswith("The loss falls from 7.90 to 7.00: update 10 of 100 · 500 tokens/s · 90 s")


def test_what_was_written_stands_under_the_curve(clock, shown):
    live = LiveTraining(20, SAMPLES, clock=clock)
    live.train(10, 2.0)
    live.wrote(10, ["der der der", "nein"])
    live.valid(10, 1.5)
    live.train(20, 1.0)
    live.finish()
    figure = shown[-1][1]
    words = [text.get_text() for text in figure.texts]
    assert "update 10: der der der" in words and "reference: der Hund schläft" in words
    assert max(map(len, words)) <= LONGEST and any(text.endswith("…") for text in words)
    assert {text.get_text() for text in figure.axes[0].texts} == {"training", "validation"}


def test_a_trainers_records_are_taken(clock, shown):
    live = LiveTraining(1000, clock=clock)
    for update, seconds in ((520, 5.0), (540, 10.0)):
        clock.now += 5.0
        record = {"kind": "train", "update": update, "loss": 2.0, "tokens_per_second": 1000.0, "seconds": seconds}
        live.take(record)
    live.take({"kind": "valid", "update": 540, "loss": 1.0})
    assert live.valid_losses == [(540, 1.0)]
    assert live.tokens == 5000
    assert "update 540 of 1 000".replace(" ", "") in title(live.figure(10.0)).replace("\u2009", "").replace(
        "\u202f", ""
    ).replace("\xa0", "").replace(" ", "")


def test_a_picture_without_an_update():
    assert title(LiveTraining(10).figure(0.0)) == "No update yet: update 0 of 10"
