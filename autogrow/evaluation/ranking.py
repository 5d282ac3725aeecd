"""Rows in the order of a score, sorted once: what every threshold on it finds, and the curves and areas of that.

All of it is what scikit-learn's functions of the same names give, to the bit; they sort, and check, for each anew.
N rows, T different scores.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Curve = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Ranking:
    """How many rows that are not of a class (`false`), and that are (`true`), score as much as each of the `cuts` or
    more, (T,) float64 each; cuts fall. With weights these are sums of them.
    """

    false: np.ndarray
    true: np.ndarray
    cuts: np.ndarray

    @staticmethod
    def of(theirs: np.ndarray, score: np.ndarray, weights: np.ndarray | None = None) -> Ranking:
        """theirs: whether each row is of the class, (N,). score: (N,). weights: (N,); rows of 0 are not there."""
        if weights is not None:
            there = weights != 0
            theirs, score, weights = theirs[there], score[there], weights[there]
        exact = weights is None  # and then the order of equal scores changes no count
        order = np.argsort(score)[::-1] if exact else np.argsort(-score, kind="stable")
        cuts, ones = score[order], theirs[order].astype(np.float64)
        last = np.append(np.flatnonzero(np.diff(cuts)), len(cuts) - 1)  # row of each score
        if weights is None:
            true = np.cumsum(ones)[last]
            return Ranking(1 + last.astype(np.float64) - true, true, cuts[last])
        weights = weights[order]
        return Ranking(np.cumsum((1 - ones) * weights)[last], np.cumsum(ones * weights)[last], cuts[last])

    def roc(self, *, corners: bool = True) -> Curve:
        """Shares of false and of true ones at each cut, from (0, 0), and the cuts, the first infinite.

        corners: only where the curve turns.
        """
        false, true, cuts = self.false, self.true, self.cuts
        if corners and len(false) > 2:
            turns = (np.diff(false, 2) != 0) | (np.diff(true, 2) != 0)
            kept = np.flatnonzero(np.concatenate([[True], turns, [True]]))
            false, true, cuts = false[kept], true[kept], cuts[kept]
        false, true = np.append(0.0, false), np.append(0.0, true)
        return false / false[-1], true / true[-1], np.append(np.inf, cuts)

    def precision_recall(self) -> tuple[np.ndarray, np.ndarray]:
        """Precision and recall at each cut, recall falling, and (1, 0) behind them: (T + 1,)."""
        precision, recall = self.true / (self.true + self.false), self.true / self.true[-1]
        return np.append(precision[::-1], 1.0), np.append(recall[::-1], 0.0)

    def area_under_roc(self) -> float:
        """By trapezoids."""
        false, true, _ = self.roc()
        return float((np.diff(false) * (true[1:] + true[:-1]) / 2.0).sum())

    def average_precision(self) -> float:
        """Area under precision against recall, by steps."""
        precision, recall = self.precision_recall()
        return float(max(0.0, -np.sum(np.diff(recall) * precision[:-1])))


Rankings = dict[int, Ranking]


def rankings(p: np.ndarray, y: np.ndarray, weights: np.ndarray | None) -> Rankings:
    """Of the second of two classes, else of each class that occurs, against the rest; none where one class only does.

    p: probabilities (N, K). y: classes (N,). weights: (N,) of 0 or more; rows of 0 are not there.
    """
    there = np.flatnonzero(np.bincount(y if weights is None else y[weights > 0])).tolist()
    if len(there) < 2:
        return {}
    return {c: Ranking.of(y == c, p[:, c], weights) for c in ([1] if p.shape[1] == 2 else there)}
