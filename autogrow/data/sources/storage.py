"""In how few bytes a column that was read is kept, so that a large table is never held in 64 bits.

Numbers whose rounding to 32 bits takes nothing from a net (see `centre`) are kept in these, whole numbers as whole ones
that are small enough, text as its different values once and a code for each row. What is encoded, compared or
fingerprinted is the same: all that is asked of such a column is asked in the same 32 bits. n rows.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from autogrow.data.centre import KEPT, rounds_well
from autogrow.data.columns import is_text
from autogrow.data.spec import DataSpec

if TYPE_CHECKING:
    import pandas as pd

_MARGIN = 0.5  # of the rounding that is harmless: the training rows may be closer together than all are
_OFTEN = 0.5  # different texts to a row, above which codes save nothing


@dataclass(frozen=True)
class Storage:
    """exactly: columns that are kept as they were read; None for all."""

    exactly: frozenset[str] | None = None

    def may_shrink(self, name: str) -> bool:
        """Whether a column may be kept in fewer bytes."""
        return self.exactly is not None and name not in self.exactly

    def saves(self, name: str, different: int, rows: int) -> bool:
        """Whether a column of so many different texts in n rows is kept as codes."""
        return self.may_shrink(name) and different <= _OFTEN * rows

    def kept(self, column: pd.Series) -> pd.Series:
        """The column (n,) as it is kept."""
        import pandas as pd

        if not self.may_shrink(str(column.name)):
            return column
        if isinstance(column.dtype, np.dtype) and column.dtype.kind in "if":
            values = column.to_numpy()
            small = smaller(values)
            return column if small is values else pd.Series(small, column.index, name=column.name, copy=False)
        if not is_text(column):
            return column
        codes, different = pd.factorize(column)
        if not self.saves(str(column.name), len(different), len(column)):
            return column
        return pd.Series(pd.Categorical.from_codes(codes, different), column.index, name=column.name, copy=False)


AS_READ = Storage()


def storage_for(spec: DataSpec, centred: Collection[str] = ()) -> Storage:
    """How the columns of a table are kept: those that the settings name for more than as an input stay as they are.

    centred: columns that a net which is there already knows in 64 bits.
    """
    named = (spec.split_column, spec.arrival_column, spec.weight, *spec.target, *spec.categorical, *spec.dates)
    return Storage(frozenset(name for name in (*named, *centred) if name))


def smaller(values: np.ndarray) -> np.ndarray:
    """Numbers (n,) of 64 bits in 32 where nothing is lost, else the same array."""
    if not len(values):
        return values
    if values.dtype == np.int64:
        limits = np.iinfo(np.int32)
        fits = limits.min <= values.min() and values.max() <= limits.max
        return values.astype(np.int32) if fits else values
    return values.astype(np.float32) if values.dtype == np.float64 and rounds_safely(values) else values


def rounds_safely(values: np.ndarray) -> bool:
    """Whether fractions (n,) can be kept in 32 bits; NaN is missing."""
    gaps = np.isnan(values)
    seen = values[~gaps] if gaps.any() else values
    return bool(len(seen)) and rounds_well(seen, kept=_MARGIN * KEPT)
