"""Columns that hold the same in every row: found by their first rows, and made sure of by all.

n rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from autogrow.data.as_text import coded, texts
from autogrow.data.centre import single_precision
from autogrow.data.columns import doubles, is_numeric

if TYPE_CHECKING:
    import pandas as pd

_FIRST = 1000  # rows that columns are told apart by where they can be


class Known:
    """Columns (n,) with what they are called; of those that hold the same the first."""

    def __init__(self) -> None:
        self._columns: dict[tuple[str, object], list[tuple[str, pd.Series]]] = {}

    def add(self, said: str, column: pd.Series) -> None:
        """Know this column, too."""
        self._columns.setdefault(_beginning(column), []).append((said, column))

    def same_as(self, column: pd.Series) -> str | None:
        """What a known column is called that holds the same; None where there is none."""
        alike = self._columns.get(_beginning(column), ())
        return next((said for said, known in alike if holds_the_same(column, known)), None)


def holds_the_same(one: pd.Series, two: pd.Series) -> bool:
    """Whether two columns hold the same numbers, or the same texts, gaps included. Numbers of 32 bits are compared with
    those of 64 as what these are in 32.
    """
    if is_numeric(one) != is_numeric(two):
        return False
    if is_numeric(one):
        a, b = doubles(one), doubles(two)
        if np.float32 in (one.dtype, two.dtype):
            a, b = single_precision(a), single_precision(b)
        return np.array_equal(a, b, equal_nan=True)
    a_coded, b_coded = coded(one), coded(two)
    where: dict[str | None, int] = {text: code for code, text in enumerate(a_coded.texts)}
    return np.array_equal(a_coded.codes, b_coded.at({None: -1, **where}, -2))


def _beginning(column: pd.Series) -> tuple[str, object]:
    """What columns that hold the same have in common, from their first rows."""
    first = column.iloc[:_FIRST]
    if is_numeric(column):
        values = single_precision(doubles(first)) + np.float32(0)  # −0 is 0
        return "numbers", np.where(np.isnan(values), np.float32(np.nan), values).tobytes()
    return "texts", tuple(texts(first))
