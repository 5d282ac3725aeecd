"""The baseline: what is right without looking at a row. The commonest class of training and its shares, or its mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autogrow.evaluation.evaluate import Plain, evaluate, scalars


def prior_of(task: str, outputs: int, y: np.ndarray, weights: np.ndarray | None = None) -> list[float]:
    """What training rows say before a row is looked at: the share of each class (K,), or the mean of each target (t,).

    `y`: (N,) codes below `outputs`, or (N, t) values.
    """
    if task == "regression":
        means: list[float] = np.average(np.asarray(y, dtype=np.float64), axis=0, weights=weights).tolist()
        return means
    counts = np.bincount(y, weights=weights, minlength=outputs).astype(np.float64)
    shares: list[float] = (counts / counts.sum()).tolist()
    return shares


def baseline(
    task: str,
    labels: Sequence[Any],
    prior: Sequence[float],
    y: np.ndarray,
    *,
    weights: np.ndarray | None = None,
    names: Sequence[str] = (),
) -> Plain:
    """The metrics of `evaluate` that are one number, of answering every row with `prior`, and `answer`: the class it
    gives, or the mean of each target by name.
    """
    constant = np.tile(np.asarray(prior, dtype=np.float64), (len(y), 1))
    found = scalars(evaluate(task, labels, constant, y, weights=weights, names=names))
    if task == "regression":
        return {"answer": dict(zip(names, prior, strict=True)), **found}
    return {"answer": labels[int(np.argmax(prior))], **found}
