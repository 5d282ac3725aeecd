"""The encoder of a table, from its training rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from autogrow.data.as_text import coded
from autogrow.data.centre import Centring, centring_of, rounds_well
from autogrow.data.columns import days, is_date, is_missing, is_numeric, single, stored
from autogrow.data.date_parts import different_days, varying_parts
from autogrow.data.encode import TableEncoder
from autogrow.data.reading.written import Written

if TYPE_CHECKING:
    import pandas as pd


def fit_table_encoder(
    table: pd.DataFrame, rows: np.ndarray | None = None, *, categorical: Sequence[str], coding: str, most: int,
    ignored: Sequence[str], written: Written | None = None,
) -> TableEncoder:  # fmt: skip
    """The encoder of a table, all from its training rows alone: of categories at most the `most` commonest of a column,
    of missing values and parts of dates those that occur.

    rows: which of the table's are training rows, None for all. A column is looked at after the other, so that only one
    is held besides the table.
    """
    columns = tuple(table.columns)
    categories: dict[str, tuple[str | None, ...]] = {}
    centred: dict[str, Centring] = {}
    parts: dict[str, tuple[str, ...]] = {}
    numeric, dates, indicators = [], [], []
    for name in columns:
        column = table[name]
        if name not in categorical and rows is not None and _is_plain(column, rows):
            numeric.append(name)
            continue
        column = column if rows is None else _taken(column, rows)
        if name in categorical or not is_numeric(column):
            categories[name] = _commonest(column, most)
            continue
        numeric.append(name)
        if (centring := _centring(column)) is not None:
            centred[name] = centring
        missing = is_missing(column)
        if missing.any() and not missing.all():
            indicators.append(name)
        if is_date(column):
            dates.append(name)
            if several := varying_parts(different_days(days(column))[1]):
                parts[name] = several
    written = written or Written()
    return TableEncoder(
        columns,
        tuple(numeric),
        tuple(dates),
        categories,
        coding,
        tuple(ignored),
        centred,
        {name: reading for name, reading in written.readings.items() if name in columns},
        written.missing,
        tuple(indicators),
        parts,
    )


def _is_plain(column: pd.Series, rows: np.ndarray) -> bool:
    """Whether a look at all of a column says that the training rows (m,), which then need not be picked, hold numbers
    without gaps that 32-bit floats tell apart.
    """
    return (
        isinstance(column.dtype, np.dtype)
        and column.dtype in (np.float32, np.float64, np.int32, np.int64)
        and bool(len(rows))
        and rounds_well(column.to_numpy(), rows)
    )


def _taken(column: pd.Series, rows: np.ndarray) -> pd.Series:
    """These rows (m,), numbered anew: their old numbers would take longer to pick than the values."""
    import pandas as pd

    return pd.Series(column.array.take(rows), name=column.name, copy=False)


def _commonest(column: pd.Series, most: int) -> tuple[str | None, ...]:
    counts = coded(column).counts()
    commonest = sorted(counts, key=lambda v: (-counts[v], v is None, v or ""))[:most]
    return tuple(sorted(commonest, key=lambda v: (v is None, v or "")))


def _centring(column: pd.Series) -> Centring | None:
    values = stored(column)
    single(values, column.name)  # what is infinite has no mean
    return centring_of(values, precision=_precision(column))


def _precision(column: pd.Series) -> float:
    """The relative distance of two numbers in what a column is stored in."""
    stored = column.dtype
    return 2.0**-23 if isinstance(stored, np.dtype) and stored in (np.float16, np.float32) else 2.0**-52
