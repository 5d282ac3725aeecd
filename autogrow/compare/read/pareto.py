"""Error against what a net costs: which nets no other net beats in both."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from autogrow.nets import DenseNet

AGAINST = ("parameters", "flops_per_sample", "latency_ms")

Point = dict[str, Any]


def pareto(points: Sequence[Mapping[str, Any]], error: str) -> dict[str, Any]:
    """`points`: each with `label`, `kind` ('trial', 'grow', 'arm'), the error,
    and what it costs → the plain data of the picture.
    """
    against = {}
    for cost in AGAINST:
        known = [p for p in points if p.get(cost) is not None and p.get(error) is not None]
        if known:
            spots = [{"label": p["label"], "kind": p["kind"], "x": p[cost], "y": p[error]} for p in known]
            against[cost] = {"points": [{**s, "front": on_front(s, spots)} for s in spots]}
    return {"error": error, "against": against}


def on_front(spot: Mapping[str, Any], spots: Sequence[Mapping[str, Any]]) -> bool:
    """Whether no other spot is at least as good in both and better in one.

    >>> spots = [{"x": 1, "y": 3}, {"x": 2, "y": 1}, {"x": 3, "y": 1}]
    >>> [on_front(s, spots) for s in spots]
    [True, True, False]
    """
    return not any(
        other["x"] <= spot["x"] and other["y"] <= spot["y"] and (other["x"] < spot["x"] or other["y"] < spot["y"])
        for other in spots
    )


def latency_ms(inputs: int, widths: Sequence[int], outputs: int, *, repeats: int = 200) -> float:
    """Median milliseconds of one row through a dense ReLU net of these widths, on this host, one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        net = DenseNet((inputs,), list(widths), outputs).eval()
        row = torch.zeros(1, inputs)
        taken = []
        with torch.no_grad():
            for _ in range(repeats):
                began = time.perf_counter()
                net(row)
                taken.append(time.perf_counter() - began)
    finally:
        torch.set_num_threads(before)
    return 1000 * statistics.median(taken)
