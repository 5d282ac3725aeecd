"""A text table put together from some thousand rows at a time: what is known to be small enough is kept small at once.

A column whose parts are of one kind is what reading the whole file makes of it. Where they differ otherwise than in
whole numbers and fractions, or numbers turn out to lie further apart than their first rows, it is read again, whole.
n rows of a part.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from autogrow.data.centre import single_precision
from autogrow.data.columns import is_text
from autogrow.data.reading.column import Reading
from autogrow.data.sources.storage import Storage, rounds_safely, smaller
from autogrow.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

FIRST, LEAST, CELLS = 1000, 4096, 1 << 19  # rows that are read first, rows at least and cells at a time behind them


def assembled(read: Callable[..., Any], storage: Storage) -> pd.DataFrame:
    """The table that `read`, pandas' `read_csv` with all that it needs, finds in its file; text as categoricals."""
    import pandas as pd

    with read(iterator=True) as parts:
        part = parts.get_chunk(FIRST)
        names = part.columns
        columns = [Column(shrink=storage.may_shrink(str(name).strip())) for name in names]
        rows = max(LEAST, CELLS // max(1, len(names)))
        while part is not None:
            for column, (_, values) in zip(columns, part.items(), strict=True):
                column.add(values)
            try:
                part = parts.get_chunk(rows)
            except StopIteration:
                part = None
    whole = [column.whole() for column in columns]
    again = [k for k, column in enumerate(whole) if column is None]
    if again:
        table = read(usecols=again)
        for k, name in zip(again, table.columns, strict=True):
            whole[k] = table[name]
    return pd.DataFrame(dict(zip(names, whole, strict=True)), copy=False)


def read_coded(reading: Reading, column: pd.Series, storage: Storage) -> pd.Series:
    """As `Reading.read`, of a categorical each different text once; what is read is kept as `storage` says."""
    import pandas as pd

    if not isinstance(column.dtype, pd.CategoricalDtype):
        return storage.kept(reading.read(column))
    different = pd.Series(column.cat.categories, dtype="str", name=column.name)
    try:
        values = reading.read(different)
    except DataError:
        return reading.read(column.astype(object))  # it names the rows
    codes = column.cat.codes
    if reading.kind != "text" or not storage.saves(str(column.name), len(different), len(column)):
        return storage.kept(values.reindex(codes).set_axis(column.index))
    merged, texts = pd.factorize(values)
    codes_of_texts = np.append(merged, -1)[codes]
    return pd.Series(pd.Categorical.from_codes(codes_of_texts, texts), column.index, name=column.name, copy=False)


class Column:
    """One column, part by part. `odd`: it has to be read again."""

    def __init__(self, *, shrink: bool) -> None:
        self.shrink, self.odd = shrink, False
        self._parts: list[np.ndarray] = []
        self._codes: dict[str, int] = {}
        self._kind = ""  # of nothing, numbers, text or booleans

    def add(self, part: pd.Series) -> None:
        """The column's next rows (n,)."""
        kind = _kind_of(part)
        self._kind = self._kind or kind
        self.odd = self.odd or kind == "other" or kind not in ("", self._kind)
        if self.odd:
            self._parts = []
        elif kind == "text":
            self._parts.append(self._coded(part))
        else:
            self._parts.append(self._stored(part.to_numpy()))

    def _stored(self, values: np.ndarray) -> np.ndarray:
        """What is no text (n,) as it is kept: behind a part in 32 bits all are, and the whole is asked what it lost."""
        if self._parts and self._parts[-1].dtype == np.float32:
            return single_precision(values)
        return smaller(values) if self.shrink else values

    def _coded(self, part: pd.Series) -> np.ndarray:
        import pandas as pd

        codes, different = pd.factorize(part)
        known = [self._codes.setdefault(text, len(self._codes)) for text in different.tolist()]
        found: np.ndarray = np.array([*known, -1], dtype=np.int32)[codes]
        return found

    def whole(self) -> pd.Series | None:
        """All rows, text as a categorical; None where it has to be read again. The parts are let go."""
        import pandas as pd

        parts, self._parts = self._parts, []
        kinds = {part.dtype.name for part in parts}
        if self.odd or (self._kind == "booleans" and len(kinds) > 1):
            return None
        if self._kind == "text":
            codes = np.concatenate([p if p.dtype == np.int32 else np.full(len(p), -1, dtype=np.int32) for p in parts])
            return pd.Series(pd.Categorical.from_codes(codes, pd.Index(list(self._codes), dtype="str")), copy=False)
        if "float32" in kinds:
            values = np.concatenate(parts, dtype=np.float32, casting="unsafe")
            return pd.Series(values, copy=False) if rounds_safely(values) else None
        values = np.concatenate(parts) if kinds <= {"int32", "int64"} or len(kinds) == 1 else _as_doubles(parts)
        return pd.Series(smaller(values) if self.shrink else values, copy=False)


def _as_doubles(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts, dtype=np.float64, casting="unsafe")


def _kind_of(part: pd.Series) -> str:
    if part.dtype == np.float64:
        values = part.to_numpy()
        return "" if np.isnan(values[0]) and np.isnan(values).all() else "numbers"
    if part.dtype == np.int64:
        return "numbers"
    if part.dtype == bool:
        return "booleans"
    if not part.notna().any():
        return ""
    return "text" if is_text(part) else "other"
