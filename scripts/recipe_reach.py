"""What a grown net spends to come as far as its own final net from scratch: training FLOPs to equal validation loss.

Two questions of each pair of cells, both of the checks before the anneal, whose falling rate flatters any net: at
which share of its FLOPs does the grown net reach the from-scratch net's best loss, if it ever does; and at which share
does it reach what both reach, the larger of their two best losses. The first favours the from-scratch net, whose best
is the luckiest of its checks; the second takes no side, and always has an answer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Cell = dict[str, Any]
Curve = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Reached:
    """Shares of the from-scratch net's FLOPs: to its best loss (None: not in `whole` of them), to what both reach."""

    its_best: float | None
    both: float
    whole: float


def reached(grown: Curve, scratch: Curve) -> Reached:
    """Of two curves, pairs of training FLOPs and validation loss.

    >>> reached([(1, 0.9), (2, 0.5), (9, 0.2)], [(2, 0.8), (4, 0.3), (8, 0.5)])
    Reached(its_best=2.25, both=2.25, whole=2.25)
    >>> reached([(1, 0.9), (2, 0.5)], [(2, 0.8), (4, 0.5), (8, 0.3)])
    Reached(its_best=None, both=0.5, whole=0.25)
    """
    best, own = (min(curve, key=lambda point: point[1]) for curve in (scratch, grown))
    first = _first(grown, best[1])
    both = max(best[1], own[1])
    at, other = _first(grown, both), _first(scratch, both)
    assert at is not None
    assert other is not None
    return Reached(None if first is None else first / best[0], at / other, grown[-1][0] / best[0])


def _first(curve: Curve, loss: float) -> float | None:
    """The FLOPs at which a curve first has at most this loss; None: never."""
    return next((flops for flops, at in curve if at <= loss), None)


def print_reached(pairs: Mapping[str, Sequence[tuple[Cell, Cell]]]) -> None:
    """One line per set, and geometric means over sets; a run that never got there counts as if it had at its end."""
    found = {
        name: [reached(x["curve"], y["curve"]) for x, y in group if "curve" in x and "curve" in y]
        for name, group in pairs.items()
    }
    found = {name: shares for name, shares in found.items() if shares}
    if not found:
        print("not run")
        return
    for name, shares in found.items():
        own = " ".join(f"> {r.whole:.2f}" if r.its_best is None else f"{r.its_best:.2f}" for r in shares)
        print(f"{name:14} to its best loss {own}; to what both reach {' '.join(f'{r.both:.2f}' for r in shares)}")
    every = [r for shares in found.values() for r in shares]
    least = [_mean([r.whole if r.its_best is None else r.its_best for r in shares]) for shares in found.values()]
    print(
        f"its best loss: reached by {sum(r.its_best is not None for r in every)} of {len(every)}, "
        f"by {sum(r.its_best is not None and r.its_best <= 0.7 for r in every)} for at most 0.7 of its FLOPs; "
        f"at least ×{_mean(least):.2f} {_interval(least)}, those that never did counted to their end"
    )
    both = [_mean([r.both for r in shares]) for shares in found.values()]
    print(f"what both reach: ×{_mean(both):.2f} {_interval(both)} ({len(found)} sets, {len(every)} pairs)")


def _mean(values: Sequence[float]) -> float:
    """The geometric mean."""
    return math.exp(float(np.mean(np.log(values))))


def _interval(values: Sequence[float]) -> str:
    """Its bootstrap 95 % interval over sets."""
    draws = np.random.default_rng(0).choice(np.log(values), (9999, len(values))).mean(1)
    low, high = np.exp(np.quantile(draws, [0.025, 0.975]))
    return f"[{low:.2f}, {high:.2f}]"
