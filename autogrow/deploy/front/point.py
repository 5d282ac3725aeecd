"""The points of a front as plain data, and which of them is the smallest within the noise of the best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Point = dict[str, Any]
"""What `front.json` says of a net: see `deploy.front.run`."""


def mark(points: Sequence[Point], metric: str) -> list[Point]:
    """The points from the smallest net to the largest, with `on_front` (no smaller net errs
    as little on validation) and `chosen`: the smallest whose error is at most the best one's and its standard error.

    >>> val = lambda error: {"error": error, "standard_error": 0.01}
    >>> points = [{"parameters": n, "val": val(error)} for n, error in ((9, 0.10), (5, 0.108), (7, 0.2))]
    >>> [(p["parameters"], p["on_front"], p["chosen"]) for p in mark(points, "error")]
    [(5, True, True), (7, False, False), (9, True, False)]
    """
    ordered = sorted(points, key=lambda p: (p["parameters"], p["val"][metric]))
    best = min(ordered, key=lambda p: p["val"][metric])["val"]
    limit = best[metric] + best["standard_error"]
    chosen = next(p for p in ordered if p["val"][metric] <= limit)
    lowest, marked = float("inf"), []
    for point in ordered:
        better = point["val"][metric] < lowest
        lowest = min(lowest, point["val"][metric])
        marked.append({**point, "on_front": better, "chosen": point is chosen})
    return marked
