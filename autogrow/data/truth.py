"""The targets of a table that a finished net is asked about, in the net's terms.

n rows, t targets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from autogrow.data.columns import with_text_names
from autogrow.data.continued.marks import mark_rows
from autogrow.data.pipeline import Pipeline
from autogrow.data.raw import Raw
from autogrow.data.target import Target, codes_of
from autogrow.errors import DataError, nearest

if TYPE_CHECKING:
    import pandas as pd


def read_truth(table: pd.DataFrame, pipeline: Pipeline) -> np.ndarray:
    """Codes (n,) int64, −1 where a row has no target; or values (n, t) float64, NaN where it has none.

    Raises DataError for a table that lacks a target, for a class that the net does not know, and for text in a target
    of numbers.
    """
    import pandas as pd

    table = with_text_names(table)
    for name in pipeline.targets:
        if name not in table.columns:
            raise DataError(f"the table lacks the target {name!r}; {nearest(name, table.columns)}")
    read = {name: reading.read(table[name]) for name, reading in pipeline.target_readings.items()}
    table = table.assign(**read) if read else table
    if pipeline.task == "classification":
        return codes_of(table[pipeline.targets[0]], pipeline.labels)
    columns = []
    for name in pipeline.targets:
        values = pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        bad = np.flatnonzero(np.isnan(values) & table[name].notna().to_numpy() | np.isinf(values))
        if len(bad):
            raise DataError(f"target {name!r} must hold numbers, got {table[name].iloc[bad[0]]!r} in row {bad[0]}")
        columns.append(values)
    return np.stack(columns, axis=1)


def has_truth(y: np.ndarray) -> np.ndarray:
    """Whether each row (n,) has its target: of what `read_truth` gives."""
    there: np.ndarray = y >= 0 if y.ndim == 1 else ~np.isnan(y).any(1)
    return there


def mark_truth(table: pd.DataFrame, y: np.ndarray, pipeline: Pipeline, way: str) -> np.ndarray:
    """Marks (n,) of rows with their targets `y`, by which the splits of a run know them. way: that of the run."""
    table = with_text_names(table)
    target = Target(pipeline.task, y, tuple(pipeline.labels), tuple(pipeline.targets), "the net's")
    return mark_rows(pipeline.encoder, Raw(table, table[list(pipeline.targets)], "the table"), target, way)
