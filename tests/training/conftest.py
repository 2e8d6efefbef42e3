"""A corpus that trains in a second, for runs of all kinds."""

import random

import pytest

from utils.training.settings import Settings

ENGLISH = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
GERMAN = ["eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn"]


@pytest.fixture(scope="session")
def number_files(tmp_path_factory):
    """Two files that count: word by word translation, all a tiny model can learn in no time."""
    folder = tmp_path_factory.mktemp("numbers")
    generator = random.Random(0)
    lines = [[generator.randrange(10) for _ in range(generator.randint(1, 7))] for _ in range(400)]
    for name, words in (("numbers.en", ENGLISH), ("numbers.de", GERMAN)):
        (folder / name).write_text("".join(" ".join(words[i] for i in line) + "\n" for line in lines), encoding="utf-8")
    return folder / "numbers.en", folder / "numbers.de"


@pytest.fixture
def small_settings(number_files):
    """Settings of a run over the counting files that takes a second or two."""
    return Settings(
        corpus="files", source_file=str(number_files[0]), target_file=str(number_files[1]), tokeniser="words",
        layers=1, d_model=32, d_ff=64, heads=2, updates=24, batch_tokens=128, warmup=5, log_every=3,
        validate_every=8, checkpoint_every=5, device="cpu",
    )  # fmt: skip
