"""What the page draws of a delivered net: few enough points of curves, and of single rows, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autogrow.evaluation.evaluate import Plain
from autogrow.evaluation.ranking import Rankings, rankings

POINTS = 80  # of a curve
BINS = 10  # of a calibration
ROWS = 400  # of a cloud of single rows
CURVES = 6  # classes or targets


def curves(
    task: str,
    labels: Sequence[Any],
    outputs: np.ndarray,
    y: np.ndarray,
    *,
    before: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    names: Sequence[str] = (),
    ranked: Rankings | None = None,
) -> Plain:
    """The points to draw. Shapes, and `ranked`, as in `evaluate`; `before`: the probabilities (N, K) before the
    temperature was set.

    classification: `roc` and `precision_recall`, a curve (label, x, y) of the second of two classes, or of those of
    more that are told apart worst; `calibration`: for 'after' (and 'before') the mean probability and the share that
    was right, in tenths of the rows: of the second of two classes, or of the answers.
    regression: `cloud`, for each target some rows' true and predicted values.
    """
    if weights is not None:  # a row that counts for nothing is not there
        there = np.asarray(weights) > 0
        outputs, y, weights = outputs[there], y[there], np.asarray(weights)[there]
        before = None if before is None else before[there]
    if task == "regression":
        return {"cloud": _cloud(np.asarray(outputs, dtype=np.float64), y, names)}
    shown = {"after": outputs} if before is None else {"before": before, "after": outputs}
    ranked = rankings(outputs, y, weights) if ranked is None else ranked
    return {
        **_one_against_rest(list(labels), ranked),
        "calibration": {when: _calibration(p, y, weights) for when, p in shown.items()},
    }


def _one_against_rest(labels: list[Any], ranked: Rankings) -> Plain:
    worst = sorted(ranked, key=lambda c: ranked[c].area_under_roc()) if len(ranked) > 1 else list(ranked)
    roc, precision_recall = [], []
    for c in sorted(worst[:CURVES]):
        false, true, _ = ranked[c].roc()
        precision, recall = ranked[c].precision_recall()
        roc.append(_curve(labels[c], false, true))
        precision_recall.append(_curve(labels[c], recall[::-1], precision[::-1]))
    return {"roc": roc, "precision_recall": precision_recall}


def _curve(label: Any, x: np.ndarray, y: np.ndarray) -> Plain:
    """A curve thinned to points that are evenly far apart along it, its ends among them."""
    along = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
    kept = np.unique(np.searchsorted(along, np.linspace(0, along[-1], POINTS)).clip(max=len(x) - 1))
    return {"label": label, "x": _short(x[kept]), "y": _short(y[kept])}


def _calibration(p: np.ndarray, y: np.ndarray, weights: np.ndarray | None) -> Plain:
    if p.shape[1] == 2:
        said, right = p[:, 1], y == 1
    else:
        said, right = p.max(1), p.argmax(1) == y
    weights = np.ones(len(y)) if weights is None else weights
    parts = [part for part in np.array_split(np.argsort(said, kind="stable"), BINS) if len(part)]
    return {
        "said": _short([np.average(said[part], weights=weights[part]) for part in parts]),
        "right": _short([np.average(right[part], weights=weights[part]) for part in parts]),
    }


def _cloud(z: np.ndarray, y: np.ndarray, names: Sequence[str]) -> list[Plain]:
    some = np.sort(np.random.default_rng(0).permutation(len(y))[:ROWS])
    return [
        {"name": name, "true": _short(y[some, i]), "predicted": _short(z[some, i])}
        for i, name in enumerate(names[:CURVES])
    ]


def _short(values: Any) -> list[float]:
    """Five digits: more than a page can show."""
    return [float(f"{v:.5g}") for v in values]
