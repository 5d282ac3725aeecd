"""Rows as scikit-learn means them: a weight of three is three copies of the row, and the order of rows says nothing.

n rows as given; u of them different.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Rows:
    """Different rows: `first` (u,) where each stands among those given, `weight` (u,) its copies' weights in all.

    In an order that hangs on their values alone.
    """

    first: np.ndarray
    weight: np.ndarray
    inputs: np.ndarray
    """A number (u,) for the inputs of each: two rows of one number differ in their targets alone."""


@dataclass(frozen=True)
class Part:
    """Rows of one split, by their number among those given, and how much each counts."""

    rows: np.ndarray
    weight: np.ndarray


def different_rows(x: pd.DataFrame, y: np.ndarray, weight: np.ndarray) -> Rows:
    """Rows (n, …) with targets (n,) or (n, t) and weights (n,): copies taken together, those of weight 0 left out."""
    import pandas as pd

    there = np.flatnonzero(weight > 0)
    inputs = pd.util.hash_pandas_object(x.iloc[there], index=False).to_numpy()
    targets = pd.util.hash_pandas_object(pd.DataFrame(y[there]), index=False).to_numpy()
    _, first, which = np.unique(inputs * np.uint64(31) + targets, return_index=True, return_inverse=True)
    return Rows(there[first], np.bincount(which, weights=weight[there]), inputs[first])


def hold_out(rows: Rows, classes: np.ndarray, share: float, seed: int) -> tuple[Part, Part]:
    """Rows to learn from and, about `share` of the weight of each class, rows to judge by.

    classes: class code (u,) of each row, all 0 for values. A row stays on one side with all its copies, else it would
    be known already where it is to judge; but where the same inputs come with several targets, the copies are cases of
    their own, and each is drawn by itself.
    """
    rng = np.random.default_rng(seed)
    first = _first_ones(rows, classes, share, rng)
    if not first.any():  # every class is too small to spare a row
        first = _first_ones(rows, np.zeros_like(classes), share, rng)
    held = np.where(first, rows.weight, 0.0)
    _, which, times = np.unique(rows.inputs, return_inverse=True, return_counts=True)
    cases = np.flatnonzero((times[which] > 1) & (rows.weight > 1) & (rows.weight % 1 == 0))
    held[cases] = rng.binomial(rows.weight[cases].astype(np.int64), share)
    order = rng.permutation(len(held))
    left = rows.weight - held
    return _part(rows, left, order), _part(rows, held, order)


def _first_ones(rows: Rows, classes: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Of each class, in a random order, the rows (u,) whose middle lies within the first `share` of its weight."""
    order = rng.permutation(len(classes))
    order = order[np.argsort(classes[order], kind="stable")]
    weight, code = rows.weight[order], classes[order]
    total = np.bincount(code, weights=weight)
    before = np.cumsum(total) - total  # of the classes in front
    middle = np.cumsum(weight) - weight / 2 - before[code]
    chosen = np.empty(len(order), dtype=bool)
    chosen[order] = middle < share * total[code]
    return chosen


def _part(rows: Rows, weight: np.ndarray, order: np.ndarray) -> Part:
    kept = order[weight[order] > 0]
    return Part(rows.first[kept], weight[kept])
