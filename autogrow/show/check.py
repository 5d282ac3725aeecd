"""What a check measured, in words. A refit learns from validation rows too: its checks have a train side only."""

from __future__ import annotations

import math

from autogrow.policy.history import Row
from autogrow.show import words


def judges(row: Row) -> bool:
    """Whether validation rows say something at this check; in a refit they are learned from."""
    return row.phase != "refit"


def in_trouble(row: Row) -> bool:
    """Whether something that was measured is not finite."""
    return not (row.finite() if judges(row) else math.isfinite(row.train_loss))


def measured(row: Row, metric: str, digits: int = 4) -> dict[str, str]:
    """Each measurement by its name: train, val, score, `metric` ('error' or 'rmse'), gap; only train in a refit."""
    found = {"train": words.number(row.train_loss, digits)}
    if judges(row):
        found["val"] = words.number(row.val_loss, digits)
        found["score"] = words.number(row.score, digits)
        found[metric] = words.measure(metric, row.val_error)
        found["gap"] = words.percent(row.relative_gap, 0)
    return found
