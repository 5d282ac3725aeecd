"""How much each row counts: by a column of the table, and by its class. In the loss and in what is measured alike.

n rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from autogrow.data.columns import doubles, is_numeric
from autogrow.data.spec import DataSpec
from autogrow.data.splits import Rows
from autogrow.data.target import Target
from autogrow.errors import DataError, nearest

if TYPE_CHECKING:
    import pandas as pd

BALANCED = "balanced"


def weights_of_column(column: pd.Series) -> np.ndarray:
    """The weights (n,), numbers of 0 or more. Raises DataError for what is none."""
    name = column.name
    if not is_numeric(column):
        raise DataError(f"data.weight {name!r} must hold numbers of 0 or more, got {column.iloc[0]!r} in row 0")
    weights = doubles(column)
    bad = np.flatnonzero(~np.isfinite(weights) | (weights < 0))
    if len(bad):
        value = "no value" if np.isnan(weights[bad[0]]) else f"{weights[bad[0]]:g}"
        raise DataError(
            f"data.weight {name!r} must hold numbers of 0 or more: {len(bad)} rows do not, the first is row {bad[0]} "
            f"with {value}"
        )
    return weights


def weights_of_rows(own: np.ndarray | None, target: Target, rows: Rows, class_weight: Any) -> np.ndarray | None:
    """How much each row counts (n,): its own weight times that of its class; None where all count alike.

    Raises DataError where the rows of a part count nothing, and for class weights that do not go with the target.
    """
    by_class = None if class_weight is None else _of_classes(own, target, rows, class_weight)
    if own is None and by_class is None:
        return None
    weights = np.ones(len(target.values)) if own is None else own
    weights = weights if by_class is None else weights * by_class[target.values]
    for part in ("train", "val", "test"):
        there = getattr(rows, part)
        if len(there) and not weights[there].sum() > 0:
            raise DataError(f"every row of {part} has the weight 0, so that nothing of it counts")
    return weights


def _of_classes(own: np.ndarray | None, target: Target, rows: Rows, class_weight: Any) -> np.ndarray:
    """The weight of each class, by its code."""
    if not target.labels:
        raise DataError(f"data.class_weight={class_weight} is for classes, and the target holds numbers ({target.why})")
    if class_weight == BALANCED:
        train = target.values[rows.train]
        counts = np.bincount(train, None if own is None else own[rows.train], minlength=len(target.labels))
        balanced: np.ndarray = np.zeros(len(counts))
        there = counts > 0
        balanced[there] = counts.sum() / there.sum() / counts[there]
        return balanced
    known = {str(label): code for code, label in enumerate(target.labels)}
    weights = np.ones(len(known))
    for label, weight in class_weight.items():
        if str(label) not in known:
            raise DataError(
                f"data.class_weight names the class {label!r}, which is not there; {nearest(str(label), known)}"
            )
        weights[known[str(label)]] = weight
    return weights


def describe_weights(spec: DataSpec) -> list[str]:
    """What rows count by, in words for the data card; none where all count alike."""
    by = [] if spec.weight is None else [f"the column {spec.weight!r}"]
    if spec.class_weight is not None:
        listed = spec.class_weight == BALANCED or ", ".join(f"{k} {v:g}" for k, v in spec.class_weight.items())
        by.append("their class, all classes alike" if listed is True else f"their class ({listed})")
    return [f"rows count by {' and by '.join(by)}: in the loss, and in every error and metric below"] if by else []


def check_class_weight(value: Any) -> None:
    """Raises DataError for anything but null, balanced, or a number of 0 or more for each class."""
    if value is None or value == BALANCED:
        return
    if not isinstance(value, Mapping):
        raise DataError(
            f"data.class_weight must be balanced, or a weight for each class such as {{no:1,yes:5}}, got {value!r}"
        )
    for label, weight in value.items():
        number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
        if not number or not math.isfinite(weight) or weight < 0:
            raise DataError(f"data.class_weight of {label!r} must be a number of 0 or more, got {weight!r}")
