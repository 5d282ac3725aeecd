"""What scikit-learn's users give, checked in scikit-learn's own words, as a table with its targets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import column_or_1d, validate_data

if TYPE_CHECKING:
    import pandas as pd


def as_table(estimator: BaseEstimator, X: Any, y: Any = "no_validation", *, reset: bool) -> pd.DataFrame:
    """X as a frame; `reset`: the estimator's columns are taken from it, else it must have them.

    A frame whose columns are not all numbers is taken as it is: those of text, categories or objects are categories.
    Anything else is checked by scikit-learn (missing values may be there, sparse and 3-D input is refused).
    """
    import pandas as pd

    if isinstance(X, pd.DataFrame) and not _all_numbers(X):
        validate_data(estimator, X, y, reset=reset, skip_check_array=True)
        if not len(X):
            raise ValueError(f"Found array with 0 sample(s) (shape={X.shape}) while a minimum of 1 is required.")
        return X.reset_index(drop=True)
    checked = {"reset": reset, "ensure_all_finite": "allow-nan", "dtype": (np.float64, np.float32)}
    if isinstance(y, str):
        values = validate_data(estimator, X, **checked)
    else:  # y is checked by who knows what it is; here only that it is there
        values, _ = validate_data(estimator, X, y, multi_output=True, y_numeric=False, **checked)
    names = getattr(estimator, "feature_names_in_", None)
    return pd.DataFrame(values, columns=[f"x{i}" for i in range(values.shape[1])] if names is None else list(names))


def _all_numbers(table: pd.DataFrame) -> bool:
    from pandas.api import types

    return all(types.is_numeric_dtype(kind) or types.is_bool_dtype(kind) for kind in table.dtypes)


def as_weights(sample_weight: Any, rows: int) -> np.ndarray:
    """One weight (n,) of 0 or more for each row; all 1 where none are given."""
    if sample_weight is None:
        return np.ones(rows)
    weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.ndim == 0:
        weight = np.full(rows, float(weight))
    if weight.ndim != 1:
        raise ValueError(f"Sample weights must be 1D array or scalar, got {weight.ndim}D array.")
    if len(weight) != rows:
        raise ValueError(f"sample_weight.shape == {weight.shape}, expected {(rows,)}!")
    if not np.isfinite(weight).all() or (weight < 0).any():
        raise ValueError("sample_weight must hold finite numbers of 0 or more")
    if not weight.any():
        raise ValueError("sample_weight is zero for every row: there is nothing to learn from")
    return weight


def as_values(y: Any) -> np.ndarray:
    """Targets of a regression, (n, t) float64."""
    from sklearn.utils import check_array

    y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    values: np.ndarray = y[:, None] if y.ndim == 1 else y
    return values
