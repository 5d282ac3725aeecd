"""What a table's column holds: numbers, dates or categories; and its values in the form they are encoded from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from autogrow.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

MICROSECONDS_A_DAY = 86_400_000_000
NUMBERS_IN_OBJECTS = {"integer", "floating", "mixed-integer-float", "decimal", "boolean", "empty"}


def with_text_names(table: pd.DataFrame) -> pd.DataFrame:
    """The table with text for the names of its columns; the same object where they are text already."""
    if all(type(name) is str for name in table.columns):
        return table
    return table.set_axis([str(name) for name in table.columns], axis=1)


def with_dates(table: pd.DataFrame) -> pd.DataFrame:
    """The table with pandas' own dates for Python's and for periods (their beginnings); else the same object.

    Moments with different offsets are read as UTC, and one without as it stands.
    """
    dated = {name: as_dates(table[name]) for name in table.columns if _is_foreign_date(table[name])}
    return table.assign(**dated) if dated else table


def _is_foreign_date(column: pd.Series) -> bool:
    import pandas as pd
    from pandas.api import types

    if isinstance(column.dtype, pd.PeriodDtype):
        return True
    return types.is_object_dtype(column.dtype) and types.infer_dtype(column, skipna=True) in (
        "date", "datetime", "datetime64", "period",
    )  # fmt: skip


def as_dates(column: pd.Series) -> pd.Series:
    """Dates, moments or periods of any type as moments in UTC that do not say so."""
    import pandas as pd
    from pandas.api import types

    if types.infer_dtype(column, skipna=True) == "period":
        return pd.PeriodIndex(column).to_timestamp().to_series(index=column.index).dt.as_unit("us")
    return pd.to_datetime(column, utc=True).dt.tz_localize(None).dt.as_unit("us")


def is_text(column: pd.Series) -> bool:
    """Whether a column holds text and nothing else, but for missing values."""
    import pandas as pd
    from pandas.api import types

    if isinstance(column.dtype, pd.CategoricalDtype):
        return False
    if types.is_object_dtype(column.dtype):
        return types.infer_dtype(column, skipna=True) == "string"
    return types.is_string_dtype(column.dtype)


def is_missing(column: pd.Series) -> np.ndarray:
    """Which values (n,) are missing; a blank text is."""
    missing: np.ndarray = column.isna().to_numpy()
    if is_text(column):
        import pandas as pd

        codes, different = pd.factorize(column)
        blank = pd.Series(different, dtype="str").str.strip() == ""
        missing = missing | np.append(blank.to_numpy(dtype=bool), False)[codes]
    return missing


def without_marks(table: pd.DataFrame, marks: Sequence[str]) -> pd.DataFrame:
    """The table with what `marks` name missing: in text these texts, among numbers those of them that are numbers.

    The same object where there is none of them.
    """
    if not marks:
        return table
    floats = [value for mark in marks if (value := _as_number(mark)) is not None]
    found: dict[str, pd.Series] = {}
    for name in table.columns:
        column = table[name]
        if column.dtype == object:
            marked = column.map(lambda value: isinstance(value, str) and value in marks).astype(bool)
        elif is_text(column):
            marked = column.isin(list(marks))
        elif floats and is_numeric(column) and not is_date(column):
            marked = column.isin(floats)
        else:
            continue
        if marked.any():
            found[name] = column.mask(marked)
    return table.assign(**found) if found else table


def _as_number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def refuse_duplicates(columns: Sequence[str], where: object) -> None:
    """Raises DataError where two columns have one name."""
    name, times = Counter(columns).most_common(1)[0] if columns else ("", 0)
    if times > 1:
        raise DataError(f"{where} has the column {name!r} {times} times; columns must have different names")


def is_numeric(column: pd.Series) -> bool:
    """Whether a column holds numbers, booleans or dates, by its type and not by how its text looks."""
    from pandas.api import types

    if types.is_object_dtype(column.dtype):
        return types.infer_dtype(column, skipna=True) in NUMBERS_IN_OBJECTS
    kinds = (types.is_numeric_dtype, types.is_bool_dtype, types.is_timedelta64_dtype)
    return is_date(column) or any(kind(column.dtype) for kind in kinds)


def is_date(column: pd.Series) -> bool:
    """Whether a column holds dates, by its type."""
    from pandas.api import types

    return types.is_datetime64_any_dtype(column.dtype)


def numbers(column: pd.Series, *, date: bool = False) -> np.ndarray:
    """A numeric column as float32 (n,), NaN where missing; dates (text too, with `date`) as days since 1970.

    Raises DataError for text that is no number or date, and for infinite values.
    """
    return single(doubles(column, date=date), column.name)


def stored(column: pd.Series, *, date: bool = False) -> np.ndarray:
    """As `doubles`, but the 32-bit floats (n,) themselves where a column is kept in these: not to be written to."""
    if not date and isinstance(column.dtype, np.dtype) and column.dtype == np.float32:
        return column.to_numpy()
    return doubles(column, date=date)


def doubles(column: pd.Series, *, date: bool = False) -> np.ndarray:
    """As `numbers`, in float64 (n,): what a column holds before anything is rounded. Infinite values are kept."""
    import pandas as pd
    from pandas.api import types

    name = column.name
    if not date and isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf":
        return np.asarray(column, dtype=np.float64)
    if date or is_date(column):
        column = _days(column)
    elif types.is_timedelta64_dtype(column.dtype):
        column = column.dt.total_seconds() / 86400
    values = pd.to_numeric(column, errors="coerce")
    bad = np.flatnonzero(values.isna().to_numpy() & column.notna().to_numpy())
    if len(bad):
        raise DataError(f"column {name!r} must hold numbers, got {column.iloc[bad[0]]!r} in row {bad[0]}")
    array: np.ndarray = values.to_numpy(dtype=np.float64, na_value=np.nan)
    return array


def single(values: np.ndarray, name: object) -> np.ndarray:
    """Values (n,) of the column `name` as float32. Raises DataError for those that are infinite as such."""
    with np.errstate(over="ignore"):
        rounded: np.ndarray = values.astype(np.float32, copy=False)
    if np.isinf(rounded).any():
        infinite = np.flatnonzero(np.isinf(rounded))
        raise DataError(
            f"column {name!r} holds {len(infinite)} infinite values (or beyond 32-bit floats), "
            f"the first in row {infinite[0]}: {values[infinite[0]]}"
        )
    return rounded


def _days(column: pd.Series) -> pd.Series:
    import pandas as pd

    moments = pd.to_datetime(column, format=None if is_date(column) else "ISO8601", errors="coerce", utc=True)
    bad = np.flatnonzero(moments.isna().to_numpy() & column.notna().to_numpy())
    if len(bad):
        raise DataError(f"column {column.name!r} must hold ISO dates, got {column.iloc[bad[0]]!r} in row {bad[0]}")
    since = moments.dt.as_unit("us").dt.tz_localize(None)
    return since.astype("int64").where(moments.notna()).astype("float64") / MICROSECONDS_A_DAY


def days(column: pd.Series) -> np.ndarray:
    """Dates (text in ISO form too) as days since 1970, float64 (n,), NaN where missing."""
    return _days(column).to_numpy(dtype=np.float64)


def moments(column: pd.Series, key: str) -> np.ndarray:
    """A column that rows are ordered by (n,): numbers as they are, else ISO dates as microseconds since 1970.

    Raises DataError naming the key `data.<key>`.
    """
    import pandas as pd
    from pandas.api import types

    if types.is_numeric_dtype(column.dtype):
        return np.asarray(column, dtype=np.float64)
    try:
        dates = pd.to_datetime(column, format="ISO8601", utc=True)
        return np.asarray(dates.dt.as_unit("us").astype("int64"))
    except (ValueError, TypeError) as error:
        raise DataError(
            f"data.{key} {column.name!r} must hold numbers or ISO dates: {' '.join(str(error).split())[:120]}"
        ) from None
