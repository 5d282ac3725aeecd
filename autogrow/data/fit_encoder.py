"""The encoder of a table, from its training rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from autogrow.data.centre import Centring, centring_of
from autogrow.data.columns import days, doubles, is_date, is_missing, is_numeric, single, texts
from autogrow.data.date_parts import varying_parts
from autogrow.data.encode import TableEncoder
from autogrow.data.reading.written import Written

if TYPE_CHECKING:
    import pandas as pd


def fit_table_encoder(
    train: pd.DataFrame, *, categorical: Sequence[str], coding: str, most: int, ignored: Sequence[str],
    written: Written | None = None,
) -> TableEncoder:  # fmt: skip
    """The encoder of a table, all from the training rows alone: of categories at most the `most` commonest of a column,
    of missing values and parts of dates those that occur.
    """
    columns = tuple(train.columns)
    numeric = tuple(c for c in columns if c not in categorical and is_numeric(train[c]))
    categories: dict[str, tuple[str | None, ...]] = {}
    for name in columns:
        if name not in numeric:
            values = texts(train[name])
            counts = Counter(values)
            commonest = sorted(counts, key=lambda v: (-counts[v], v is None, v or ""))[:most]
            categories[name] = tuple(sorted(commonest, key=lambda v: (v is None, v or "")))
    dates = tuple(c for c in numeric if is_date(train[c]))
    centred = {name: found for name in numeric if (found := _centring(train[name])) is not None}
    indicators = tuple(name for name in numeric if 0 < is_missing(train[name]).sum() < len(train))
    parts = {name: several for name in dates if (several := varying_parts(days(train[name])))}
    written = written or Written()
    readings = {name: reading for name, reading in written.readings.items() if name in columns}
    return TableEncoder(
        columns,
        numeric,
        dates,
        categories,
        coding,
        tuple(ignored),
        centred,
        readings,
        written.missing,
        indicators,
        parts,
    )


def _centring(column: pd.Series) -> Centring | None:
    values = doubles(column)
    single(values, column.name)  # what is infinite has no mean
    return centring_of(values, precision=_precision(column))


def _precision(column: pd.Series) -> float:
    """The relative distance of two numbers in what a column is stored in."""
    stored = column.dtype
    return 2.0**-23 if isinstance(stored, np.dtype) and stored in (np.float16, np.float32) else 2.0**-52
