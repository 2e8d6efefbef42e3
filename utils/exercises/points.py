"""Partial credit: what share of its points an answer has earned."""

from collections.abc import Iterable

from utils.exercises.report import Item

WEIGHTS = {"values": 3.0, "mask": 2.0, "shape": 1.0, "edge cases": 1.0, "property": 1.0}


def earned(points: int, items: Iterable[Item]) -> float:
    """Points for the parts of which every case is right, weighted as above, to quarters.

    Without right values nothing is earned: constants satisfy many a property and many an edge case.
    """
    parts: dict[str, bool] = {}
    for item in items:
        parts[item.part] = parts.get(item.part, True) and item.passed is True
    if not parts or not parts.get("values", True):
        return 0.0
    share = sum(WEIGHTS[part] for part, right in parts.items() if right) / sum(WEIGHTS[part] for part in parts)
    return points if share == 1 else int(4 * points * share) / 4
