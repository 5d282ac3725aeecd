"""From target columns to what the loss needs: class codes with their labels, or numbers.

Decides the task where asked to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from autogrow.data.as_text import refuse_nested
from autogrow.data.columns import is_date, is_missing, is_numeric
from autogrow.errors import DataError, nearest

if TYPE_CHECKING:
    import pandas as pd

MOST_CLASSES = 20  # whole numbers with more different values than this are taken for a quantity


@dataclass(frozen=True)
class Target:
    """What is to be predicted, one of two.

    Classification: codes (n,) int64 into `labels`. Regression: values (n, t) float64, `labels` empty.
    `why`: how the task was chosen.
    """

    task: str
    values: np.ndarray
    labels: tuple[Any, ...]
    names: tuple[str, ...]
    why: str


def read_target(y: pd.DataFrame, task: str = "auto") -> Target:
    """The target of all rows.

    Raises DataError for missing, constant, non-numeric or infinite values and single-row classes.
    """
    names = tuple(y.columns)
    if not len(y):
        raise DataError("the table has no rows")
    for name in names:
        _complete(y[name], name)
    why = f"data.task={task}"
    if task == "auto":
        task, why = _infer(y)
    if task == "regression":
        values = np.stack([_numbers(y[c], c) for c in names], axis=1)
        return Target("regression", values, (), names, why)
    if len(names) > 1:
        raise DataError(
            f"classification takes one target, got {len(names)}: {', '.join(names)}; data.task=regression takes several"
        )
    codes, labels = _classes(y[names[0]], names[0])
    return Target("classification", codes, labels, names, why)


def _complete(column: pd.Series, name: str) -> None:
    refuse_nested(column)
    missing = is_missing(column)
    if column.dtype == object:  # text among others
        missing = missing | np.fromiter((isinstance(v, str) and not v.strip() for v in column), bool, len(column))
    if missing.all():
        raise DataError(f"target {name!r} is empty: none of its {len(column)} rows has a value")
    if missing.any():
        raise DataError(
            f"target {name!r} is missing in {int(missing.sum())} of {len(column)} rows, "
            f"the first is row {int(missing.argmax())}; every row must have one"
        )
    if is_date(column):
        raise DataError(
            f"target {name!r} holds dates; a target is classes or numbers, so turn it into one of these first"
        )
    if column.nunique() == 1:
        raise DataError(
            f"target {name!r} is constant: every row has {column.tolist()[0]!r}, one class only; "
            "there is nothing to learn"
        )


def _infer(y: pd.DataFrame) -> tuple[str, str]:
    if y.shape[1] > 1:
        return "regression", "several targets"
    column = y.iloc[:, 0]
    if column.dtype == bool or not is_numeric(column):
        return "classification", "the target is text or boolean"
    values = np.asarray(column, dtype=np.float64)
    different = len(np.unique(values))
    if not np.array_equal(values, np.round(values)):
        return "regression", "the target has fractions"
    if different > MOST_CLASSES:
        return "regression", f"the target has {different} different whole numbers, more than {MOST_CLASSES}"
    return "classification", f"the target has {different} different whole numbers, not more than {MOST_CLASSES}"


def _numbers(column: pd.Series, name: str) -> np.ndarray:
    import pandas as pd

    values = pd.to_numeric(column, errors="coerce")
    bad = np.flatnonzero(values.isna().to_numpy())
    if len(bad):
        raise DataError(
            f"target {name!r} must hold numbers for regression, got {column.iloc[bad[0]]!r} in row {bad[0]}"
            "; currencies, percents and thousands ($1,005) are read in a CSV, where a column has one kind of them"
        )
    array: np.ndarray = values.to_numpy(dtype=np.float64)
    infinite = np.flatnonzero(~np.isfinite(array))
    if len(infinite):
        raise DataError(f"target {name!r} holds {len(infinite)} infinite values, the first in row {infinite[0]}")
    return array


def _classes(column: pd.Series, name: str) -> tuple[np.ndarray, tuple[Any, ...]]:
    rows, different = _different(column)
    values = [plain_label(v) for v in different]
    if len({type(v) for v in values}) > 1:
        values = [str(v) for v in values]
    labels = tuple(sorted(set(values)))
    where = {label: code for code, label in enumerate(labels)}
    codes = np.array([where[v] for v in values])[rows]
    counts = np.bincount(codes, minlength=len(labels))
    if counts.min() < 2:
        quantity = all(isinstance(label, (int, float)) and not isinstance(label, bool) for label in labels)
        hint = " (data.task=regression if it is a quantity)" if quantity else ""
        raise DataError(
            f"class {labels[int(counts.argmin())]!r} of target {name!r} has a single row; each class needs at least 2, "
            f"one to learn from and one to check with{hint}"
        )
    return codes, labels


def _different(column: pd.Series) -> tuple[np.ndarray, list[Any]]:
    """Which of the values each row (n,) has, and these; of objects each row has its own, as 1 and True are equal."""
    import pandas as pd

    if column.dtype == object:
        return np.arange(len(column)), column.tolist()
    codes, different = pd.factorize(column)
    return codes, different.tolist()


def codes_of(column: pd.Series, labels: Sequence[Any]) -> np.ndarray:
    """The code (n,) int64 of each row's class among `labels`, −1 where it is missing.

    Classes that came from numbers or booleans are also known by their text, as a file has them. Raises DataError,
    naming the row, for a class that is not among the labels.
    """
    where = {label: code for code, label in enumerate(labels)}
    by_text = {str(label): code for code, label in enumerate(labels)}
    codes = np.full(len(column), -1)
    for i, (value, gone) in enumerate(zip(column.tolist(), column.isna(), strict=True)):
        if gone or (isinstance(value, str) and not value.strip()):
            continue
        code = where.get(plain_label(value), by_text.get(str(plain_label(value))))
        if code is None:
            raise DataError(
                f"target {column.name!r} holds the class {value!r} in row {i}, which the net does not know; "
                f"{nearest(str(value), [str(label) for label in labels[:20]])}"
            )
        codes[i] = code
    return codes


def plain_label(value: Any) -> Any:
    """A label as a plain bool, int or str: 1.0 from a column of floats is the label 1."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    return str(value)
