"""The values of a column as text, which is how categories are known: each row's, or each different one once.

n rows, u different texts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from autogrow.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_JOINED = 1 << 16  # rows at a time


class Coded(NamedTuple):
    """A column as `codes` (n,) int64 into the different `texts`, −1 where it is missing. Texts may be there unused."""

    codes: np.ndarray
    texts: list[str]

    def counts(self) -> dict[str | None, int]:
        """How often each occurs, None for missing; without those that do not."""
        times = np.bincount(self.codes + 1, minlength=len(self.texts) + 1).tolist()
        return {value: count for value, count in zip([None, *self.texts], times, strict=True) if count}

    def at(self, values: dict[str | None, int], otherwise: int) -> np.ndarray:
        """What `values` says of each row's text (n,) int64."""
        table = np.array([values.get(text, otherwise) for text in [None, *self.texts]], dtype=np.int64)
        found: np.ndarray = table[self.codes + 1]
        return found

    def joined(self, between: str, missing: str) -> Iterator[bytes]:
        """All rows' texts with a sign between them, some thousand rows at a time."""
        table = np.array([missing, *self.texts], dtype=object)
        for start in range(0, len(self.codes), _JOINED):
            part = between.join(table[self.codes[start : start + _JOINED] + 1].tolist())
            yield (part if start == 0 else between + part).encode()


def texts(column: pd.Series) -> list[str | None]:
    """Each value as text, None where missing; a whole number reads the same from an integer and a float column."""
    if column.dtype != object:
        found = coded(column)
        each: list[str | None] = np.array([None, *found.texts], dtype=object)[found.codes + 1].tolist()
        return each
    refuse_nested(column)
    missing = column.isna().to_numpy()
    return [None if gone else text_of(v) for v, gone in zip(column.tolist(), missing, strict=True)]


def coded(column: pd.Series) -> Coded:
    """As `texts`, each different one once."""
    import pandas as pd

    if column.dtype == object:  # 1 and True are equal there, and other texts
        values = texts(column)
        where: dict[str | None, int] = {None: -1}
        for value in values:
            where.setdefault(value, len(where) - 1)
        own = np.fromiter((where[value] for value in values), dtype=np.int64, count=len(values))
        return Coded(own, [value for value in where if value is not None])
    codes: np.ndarray
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes, different = column.cat.codes.to_numpy(), column.cat.categories
    else:
        codes, different = pd.factorize(column)
    named = [text_of(value) for value in different.tolist()]
    codes = codes.astype(np.int64)
    if len(set(named)) == len(named):
        return Coded(codes, named)
    where = {None: -1}
    for name in named:
        where.setdefault(name, len(where) - 1)
    return Coded(
        np.array([-1, *(where[name] for name in named)])[codes + 1], [name for name in where if name is not None]
    )


def text_of(value: Any) -> str:
    """One value as text."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def refuse_nested(column: pd.Series) -> None:
    """Raises DataError where cells are lists, arrays or dicts."""
    from pandas.api import types

    if (isinstance(column.dtype, np.dtype) and column.dtype != object) or types.is_string_dtype(column.dtype.type):
        return
    nested = column.map(lambda v: isinstance(v, (list, dict, set, np.ndarray)))
    if bool(nested.any()):
        kind = type(column[nested].iloc[0]).__name__
        raise DataError(f"column {column.name!r} holds a {kind}; a cell must be a number, text, a boolean or a date")
