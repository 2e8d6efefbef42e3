"""One seed, one thread and no screen for every test."""

import random

import hypothesis
import matplotlib
import numpy as np
import pytest
import torch

matplotlib.use("Agg")
torch.set_num_threads(1)
hypothesis.settings.register_profile("course", deadline=None, derandomize=True)
hypothesis.settings.load_profile("course")


LONG_FILES = ("browser/test_chapters.py", "test_notebooks.py", "grading/test_outputs.py", "grading/test_hostile.py")


def pytest_collection_modifyitems(items):
    """Files of few long tests come first, so that the last minutes are shared by both processes."""
    long = {name: place for place, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: next((long[name] for name in long if str(item.path).endswith(name)), len(long)))


@pytest.fixture(autouse=True)
def seed() -> int:
    """Every test starts from the same random state."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    return 0
