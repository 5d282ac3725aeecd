"""Columns of a file that cannot help, or must not: left out with the reason, kept where `data.keep` names them.

A number of the row tells the target of a sorted file and nothing of the next row. Text that is new in nearly every row
has no values that come again. A column that never varies, or is another one, says nothing. n rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from autogrow.data.as_text import coded
from autogrow.data.columns import is_numeric, stored
from autogrow.data.raw import Raw
from autogrow.data.same_columns import Known
from autogrow.data.spec import DataSpec
from autogrow.data.target import Target
from autogrow.errors import DataError, nearest

if TYPE_CHECKING:
    import pandas as pd

NEW = 0.9  # of a column's texts that occur once: the others are too few to learn from
FEW = 20  # rows with a value, below which nobody can tell
_FIRST = 1000  # rows that most columns are judged by
_ID = re.compile(
    r"(^|[ _.-])(id|uuid|guid)$"  # id, customer_id
    r"|(?-i:[a-z](Id|ID)$)"  # PassengerId
    r"|^row$|^((row|record|sample|case|obs|observation)[ _.-]*)?(index|idx|names?|nr|no|number)$",
    re.IGNORECASE,
)
_TIME = re.compile(r"year|date|time|month|week|day|hour|minute|second|quarter|period|trend|age|step", re.IGNORECASE)
_NUMBERS_ROWS = "numbers the rows"


def leave_out_columns(raw: Raw, target: Target, spec: DataSpec, read: Iterable[str] = ()) -> Raw:
    """The rows without the columns of their file that are of no use. read: columns that a finished net reads.

    What the settings name stays. Rows that come from no table's file stay as they are. Raises DataError for a name of
    `data.keep` that is no column, and where no column is left.
    """
    if raw.written is None or isinstance(raw.x, np.ndarray):
        return raw
    for name in spec.keep:
        if name not in raw.x.columns and name not in raw.written.counted:
            raise DataError(f"data.keep: {raw.origin} has no input column {name!r}; {nearest(name, raw.x.columns)}")
    named = {*spec.keep, *spec.categorical, *spec.numeric, *spec.dates, spec.arrival_column, *read}
    reasons = useless_columns(raw.x, raw.y, keep=named)
    notes = raw.notes
    if target.labels:
        leaks = likely_leaks(raw.x.drop(columns=list(reasons)), target.values)
        notes += tuple(
            f"column {name!r} has one value for each class, and another for each: if it is known only afterwards, "
            f"data.drop=[{name}]" for name in leaks[:3]
        )  # fmt: skip
    counted = dict.fromkeys(raw.written.counted, "has no name and counts the rows")
    return replace(raw, x=raw.x.drop(columns=list(reasons)), left_out={**counted, **reasons}, notes=notes)


def useless_columns(x: pd.DataFrame, y: pd.DataFrame, *, keep: Iterable[str] = ()) -> dict[str, str]:
    """The columns to leave out of x, each with its reason in words. keep: those that stay, whatever they hold.

    Where nothing else is left, a column that numbers the rows stays. Raises DataError where no column is left.
    """
    keep = set(keep)
    reasons: dict[str, str] = {}
    known = Known()
    for name in y.columns:
        known.add(f"the target {name!r}", y[name])
    for name in x.columns:
        same = known.same_as(x[name])
        if name not in keep:
            if same is not None:
                reasons[name] = f"is {same}"
            elif reason := _reason(x[name]):
                reasons[name] = reason
        if name not in reasons and same is None:
            known.add(f"the same as {name!r} in every row", x[name])
    if len(reasons) == len(x.columns):
        reasons = {name: why for name, why in reasons.items() if not why.startswith(_NUMBERS_ROWS)}
    if len(reasons) == len(x.columns) and reasons:
        listed = "; ".join(f"{name!r} {why}" for name, why in list(reasons.items())[:3])
        raise DataError(f"no input column is left: {listed}; data.keep=[{next(iter(reasons))}] keeps one")
    return reasons


def likely_leaks(x: pd.DataFrame, labels: np.ndarray) -> list[str]:
    """Columns of x with one value for each class, and another for each: they may be the target in other words."""
    import pandas as pd

    classes = len(np.unique(labels))
    return [
        name for name in x.columns
        if x[name].iloc[:_FIRST].nunique() <= classes and x[name].notna().all()
        and (codes := pd.factorize(x[name])[0]).max() + 1 == classes
        and len(np.unique(codes * np.int64(labels.max() + 1) + labels)) == classes
    ]  # fmt: skip


def _reason(column: pd.Series) -> str:
    """Why a column cannot help; '' where it may."""
    given = column.notna().to_numpy()
    if not given.any():
        return "holds no value"
    if is_numeric(column):
        return _reason_of_numbers(stored(column), str(column.name), given)
    counts = coded(column).counts()
    counts.pop(None, None)
    rows, distinct = sum(counts.values()), len(counts)
    if distinct == 1 and given.all():
        return f"is {str(next(iter(counts)))[:40]!r} in every row"
    if distinct >= NEW * rows and rows >= FEW:
        return f"is text that is new in nearly every row ({distinct:,} of {rows:,})"
    return ""


def _reason_of_numbers(values: np.ndarray, name: str, given: np.ndarray) -> str:
    if not given.all():
        return ""
    least, most = float(values.min()), float(values.max())
    if least == most:
        return f"is {least:g} in every row"
    if not _whole(values[:_FIRST]) or not _numbered(values.astype(np.float64, copy=False)) or _TIME.search(name):
        return ""
    if _ID.search(name.strip()) or name.startswith("Unnamed:"):
        return f"{_NUMBERS_ROWS} (an id: its name says so, and every value is another)"
    if least in (0, 1) and most - least < 1.1 * len(values):
        order = "" if (np.diff(values) > 0).all() else ", in another order"
        return f"{_NUMBERS_ROWS} (whole numbers from {least:.0f} to {most:.0f}, each once{order})"
    return ""


def _numbered(values: np.ndarray) -> bool:
    """Whether these are whole numbers, each another, of so many rows that this is no chance."""
    if len(values) < FEW or not np.isfinite(values).all() or not _whole(values):
        return False
    return values.max() - values.min() >= len(values) - 1 and len(np.unique(values)) == len(values)


def _whole(values: np.ndarray) -> bool:
    return bool((values == np.round(values)).all())
