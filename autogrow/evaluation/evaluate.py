"""Every metric of a task as a plain dict, from answers and the truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn import metrics as sk

from autogrow.evaluation.ranking import Ranking, Rankings, rankings

Plain = dict[str, Any]

MOST_CONFUSED = 5
HALF = 0.5


def evaluate(
    task: str,
    labels: Sequence[Any],
    outputs: np.ndarray,
    y: np.ndarray,
    *,
    weights: np.ndarray | None = None,
    threshold: float | None = None,
    names: Sequence[str] = (),
    ranked: Rankings | None = None,
) -> Plain:
    """Every metric of `outputs` against `y`, JSON-ready. What the rows do not define (an area with one class) is None.

    classification: `outputs` (N, K) probabilities in the order of `labels`, `y` (N,) codes 0 … K−1. Keys: rows,
    log_loss, error, balanced_accuracy, f1, auroc, average_precision, classes (label, rows, precision, recall for each),
    confusion (truth down, answer across). Of two classes the second is the positive one, as in scikit-learn: f1, auroc
    and average_precision are its, brier, positive and threshold are added; its answer is given where its probability
    is at least `threshold` (None: above one half). Of more they are means over the classes that occur in `y`,
    one against the rest, and `confused` lists the commonest wrong answers.

    regression: `outputs` and `y` (N, t) in the units of the targets. Keys: rows, rmse, mae, r2, targets (name, rmse,
    mae, r2 for each of `names`).

    weights: (N,) of 0 or more, how much each row counts; the table of confusion then holds sums of them.
    ranked: the `rankings` of just these rows, where somebody has them.
    """
    outputs, y = np.asarray(outputs, dtype=np.float64), np.asarray(y)
    if weights is not None:  # a row that counts for nothing is not there
        there = np.asarray(weights) > 0
        outputs, y, weights = outputs[there], y[there], np.asarray(weights, dtype=np.float64)[there]
    if task == "regression":
        return _of_values(outputs, y.astype(np.float64), weights, names)
    ranked = rankings(outputs, y, weights) if ranked is None else ranked
    return _of_classes(list(labels), outputs, y, weights, threshold, list(ranked.values()))


def answers(outputs: np.ndarray, threshold: float | None = None) -> np.ndarray:
    """The codes (N,) that probabilities (N, K) answer with; of two classes by a threshold on the second's."""
    if threshold is None:
        codes: np.ndarray = outputs.argmax(1)
        return codes
    return (outputs[:, 1] >= threshold).astype(np.int64)


def scalars(found: Plain) -> dict[str, float]:
    """The metrics of `evaluate` that are one number, without how many rows there were."""
    return {k: v for k, v in found.items() if isinstance(v, float) and k != "threshold"}


def _of_classes(
    labels: list[Any], p: np.ndarray, y: np.ndarray, weights: np.ndarray | None, threshold: float | None,
    ranked: list[Ranking],
) -> Plain:  # fmt: skip
    codes, k = answers(p, threshold), len(labels)
    confusion = np.bincount(y * k + codes, weights, minlength=k * k).reshape(k, k)
    precision, recall, f1 = _of_answers(codes, y, weights, k)
    rows = np.bincount(y, minlength=k)
    there = np.flatnonzero(rows)
    found: Plain = {
        "rows": len(y),
        "log_loss": _log_loss(p, y, weights),
        "error": float(1 - np.average(y == codes, weights=weights)),
        "balanced_accuracy": float(recall[there].mean()),
        "f1": _known(f1[1] if k == 2 else f1[there].mean()),
        "auroc": _mean([one.area_under_roc() for one in ranked]),
        "average_precision": _mean([one.average_precision() for one in ranked]),
    }
    if k == 2:
        found |= {
            "brier": float(np.average((y - p[:, 1]) ** 2, weights=weights)),
            "positive": labels[1],
            "threshold": HALF if threshold is None else float(threshold),
        }
    found["classes"] = [
        {"label": label, "rows": int(n), "precision": _known(a), "recall": _known(b)}
        for label, n, a, b in zip(labels, rows, precision, recall, strict=True)
    ]
    found["confusion"] = confusion.tolist()
    if k > 2:
        found["confused"] = _most_confused(labels, confusion)
    return found


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _of_answers(
    codes: np.ndarray, y: np.ndarray, weights: np.ndarray | None, k: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision, recall and f1 of each class (k,), NaN where there is nothing that it is a share of."""
    right = y == codes
    hits = np.bincount(y[right], None if weights is None else weights[right], minlength=k)
    answered, true = (np.bincount(which, weights, minlength=k) for which in (codes, y))
    answered, true = hits + (answered - hits), hits + (true - hits)  # sums of weights as scikit-learn has them
    with np.errstate(invalid="ignore"):
        return hits / answered, hits / true, 2.0 * hits / (true + answered)


def _log_loss(p: np.ndarray, y: np.ndarray, weights: np.ndarray | None) -> float:
    """The mean of −log of what each row's own class is given, of rows that sum to one in 64 bits."""
    own, eps = p[np.arange(len(y)), y] / p.sum(1), np.finfo(np.float64).eps
    return float(np.average(-np.log(own.clip(eps, 1 - eps)), weights=weights))


def _known(value: float) -> float | None:
    """None for a share of nothing: the precision of a class that was never answered, the recall of one without rows."""
    return None if np.isnan(value) else float(value)


def _most_confused(labels: list[Any], confusion: np.ndarray) -> list[Plain]:
    wrong = confusion.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_CONFUSED]
    pairs = [(int(i), int(j)) for i, j in zip(*np.unravel_index(order, wrong.shape), strict=True)]
    return [{"truth": labels[i], "answer": labels[j], "rows": wrong[i, j].item()} for i, j in pairs if wrong[i, j]]


def _of_values(z: np.ndarray, y: np.ndarray, weights: np.ndarray | None, names: Sequence[str]) -> Plain:
    squares = sk.mean_squared_error(y, z, sample_weight=weights, multioutput="raw_values")
    sizes = sk.mean_absolute_error(y, z, sample_weight=weights, multioutput="raw_values")
    shares: list[float | None] = [None] * z.shape[1]  # one row has no spread to explain
    if len(y) > 1:
        shares = sk.r2_score(y, z, sample_weight=weights, multioutput="raw_values").tolist()
    named = list(names) or [str(i) for i in range(z.shape[1])]
    return {
        "rows": len(y),
        "rmse": float(np.sqrt(squares.mean())),
        "mae": float(sizes.mean()),
        "r2": None if None in shares else float(np.mean(np.array(shares, dtype=float))),
        "targets": [
            {"name": name, "rmse": float(np.sqrt(s)), "mae": float(m), "r2": r}
            for name, s, m, r in zip(named, squares, sizes, shares, strict=True)
        ],
    }
