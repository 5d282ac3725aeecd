"""The rows that are learned from, and which part each belongs to: sampled, split by what the settings name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from autogrow.data.as_text import texts
from autogrow.data.columns import doubles, is_numeric, moments
from autogrow.data.own_split import parts_of_column, parts_of_file, rows_of_parts
from autogrow.data.raw import Raw
from autogrow.data.spec import DataSpec, path_of
from autogrow.data.splits import Rows, check_sizes, group_rows, random_rows, stratified_order, time_rows
from autogrow.data.target import Target
from autogrow.errors import DataError, nearest

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class SplitData:
    """Rows with their targets and their splits. numbered: which rows of the source they are, int64 (n,).

    weight: how much each row counts (n,), None for all alike.
    """

    raw: Raw
    target: Target
    rows: Rows
    numbered: np.ndarray
    weight: np.ndarray | None = None


def sample_rows(raw: Raw, target: Target, spec: DataSpec) -> tuple[Raw, Target, np.ndarray]:
    """At most `max_rows` rows, stratified (a test file stays whole), and which rows of the source they are."""
    pool = len(raw) - raw.test_rows
    if spec.max_rows is None or spec.max_rows >= pool:
        return raw, target, np.arange(len(raw))
    rng = np.random.default_rng([spec.split_seed, 1])
    order = stratified_order(target.values[:pool], rng) if target.labels else rng.permutation(pool)
    kept = np.concatenate([np.sort(order[: spec.max_rows]), np.arange(pool, len(raw))])
    note = f"a sample of {spec.max_rows:,} of {pool:,} rows (data.max_rows)"
    return replace(raw.take(kept), notes=(*raw.notes, note)), replace(target, values=target.values[kept]), kept


class Named(NamedTuple):
    """The columns of a table that the settings name and that are no inputs, or not only; None for those not named."""

    split: pd.Series | None
    arrival: pd.Series | None
    weight: pd.Series | None

    def at(self, rows: np.ndarray) -> Named:
        """These rows (m,) of them."""
        return Named(*(None if c is None else c.iloc[rows].reset_index(drop=True) for c in self))


def take_columns(raw: Raw, spec: DataSpec) -> tuple[Raw, Named]:
    """The inputs proper, and the columns that the settings name: to split by, that stages go by, of weights.

    Raises DataError for a name that is no input column, and where no input is left.
    """
    when = None if spec.arrival_column is None else _arrival_column(raw, spec.arrival_column)
    named = (*columns_away(spec), *spec.categorical)
    if isinstance(raw.x, np.ndarray):
        if named:
            raise DataError(
                f"images have no columns, so data.split_column, weight, drop and categorical cannot name {named[0]!r}"
            )
        return raw, Named(None, when, None)
    for name in named:
        if name not in raw.x.columns:
            raise DataError(f"{raw.origin} has no input column {name!r}; {nearest(name, raw.x.columns)}")
    away = columns_away(spec)
    x = raw.x.drop(columns=list(away))
    if not x.shape[1]:
        raise DataError(f"{raw.origin} has no input columns besides the target{' and what is dropped' if away else ''}")
    split, weight = (None if name is None else raw.x[name] for name in (spec.split_column, spec.weight))
    return replace(raw, x=x), Named(split, when, weight)


def columns_away(spec: DataSpec) -> tuple[str, ...]:
    """The columns beside the target that are not inputs: that the split goes by, of weights, and dropped ones."""
    own = (name for name in (spec.split_column, spec.weight) if name is not None)
    return tuple(dict.fromkeys((*own, *spec.drop)))


def _arrival_column(raw: Raw, name: str) -> pd.Series:
    columns = [] if isinstance(raw.x, np.ndarray) else list(raw.x.columns)
    if isinstance(raw.x, np.ndarray) or name not in columns:
        raise DataError(f"data.arrival_column: {raw.origin} has no input column {name!r}; {nearest(name, columns)}")
    column = raw.x[name]
    missing = int(column.isna().sum())
    if missing:
        raise DataError(
            f"data.arrival_column {name!r} is missing in {missing} rows; a row without it has no stage to arrive in"
        )
    return column


def parts_named(raw: Raw, column: pd.Series | None, numbered: np.ndarray, n: int, spec: DataSpec) -> np.ndarray | None:
    """The part of each row (m,) where a column or a file says it, else None. numbered: which of the source's n rows."""
    if spec.split == "file":
        if raw.test_rows or raw.files is not None:
            raise DataError("data.split=file goes with one table; there is a test file, or several files")
        return parts_of_file(path_of(str(spec.split_file)), numbered, n)
    return None if spec.split != "column" or column is None else parts_of_column(column)


def split_rows(
    raw: Raw, target: Target, column: pd.Series | None, spec: DataSpec, named: np.ndarray | None = None
) -> Rows:
    """Which rows are train, val and test, as `data.split` says. column: the one that `data.split_column` names.
    named: the part of each row, where somebody says it.

    Raises DataError where it does not go with the data, or a part gets too few rows.
    """
    classes = target.values if target.labels else None
    if column is not None and raw.test_rows:
        raise DataError(f"data.split={spec.split} does not go with a test file; leave it at random")
    if spec.split == "column" and raw.files is not None:
        raise DataError("data.arrival=files splits each file at random; data.split=column does not go with it")
    if column is not None and bool(column.isna().any()):
        raise DataError(
            f"data.split_column {spec.split_column!r} is missing in {int(column.isna().sum())} rows; "
            "every row must have one"
        )
    if named is not None:
        where = f"data.split_{spec.split}={spec.split_file or spec.split_column}"
        rows = rows_of_parts(
            named, spec.val_fraction, spec.test_fraction, spec.split_seed, classes=classes, where=where
        )
    elif raw.files is not None:
        rows = _rows_by_file(raw, spec, classes)
    elif column is None:
        rows = random_rows(
            len(raw), spec.val_fraction, spec.test_fraction, spec.split_seed, classes=classes, held=raw.test_rows
        )
    elif spec.split == "group":
        rows = group_rows(_group_codes(column), spec.val_fraction, spec.test_fraction, spec.split_seed)
    else:
        rows = time_rows(moments(column, "split_column"), spec.val_fraction, spec.test_fraction, spec.split_seed)
    check_sizes(rows, classes, len(raw))
    return rows


def describe_split(spec: DataSpec, raw: Raw) -> str:
    """How the rows were split, in words for the data card."""
    how = {
        "random": "random",
        "group": f"by group {spec.split_column}",
        "time": f"by time {spec.split_column}",
        "column": f"as column {spec.split_column} says",
        "file": f"as {spec.split_file} says",
    }[spec.split]
    return f"{how}, split seed {spec.split_seed}{', test from its own file' if raw.test_rows else ''}"


def _group_codes(column: pd.Series) -> np.ndarray:
    import pandas as pd

    codes, _ = pd.factorize(column, sort=True)
    return np.asarray(codes)


def _rows_by_file(raw: Raw, spec: DataSpec, classes: np.ndarray | None) -> Rows:
    """Each file by itself, so that later ones change nothing; a row that an earlier one holds too keeps its split."""
    if spec.split != "random":
        raise DataError(f"data.arrival=files splits each file at random; data.split={spec.split} does not go with it")
    assert raw.files is not None
    split = np.zeros(len(raw), dtype=np.int64)
    orders: list[list[np.ndarray]] = [[], [], []]
    for number in range(int(raw.files.max()) + 1):
        own = np.flatnonzero(raw.files == number)
        seed: int | Sequence[int] = spec.split_seed if number == 0 else [spec.split_seed, 3, number]
        codes = None if classes is None else classes[own]
        rows = random_rows(len(own), spec.val_fraction, spec.test_fraction, seed, classes=codes)
        for part, chosen in enumerate((rows.train, rows.val, rows.test)):
            split[own[chosen]] = part
            orders[part].append(own[chosen])
    first = _first_seen(raw)
    again = raw.files[first] < raw.files
    split[again] = split[first[again]]
    order = np.concatenate([rows for part in orders for rows in part])
    order = np.random.default_rng([spec.split_seed, 4]).permutation(order)
    return Rows(*(order[split[order] == part] for part in range(3)))


def _first_seen(raw: Raw) -> np.ndarray:
    """For each row the first row that holds the same values, (n,)."""
    import pandas as pd

    assert not isinstance(raw.x, np.ndarray)
    table = pd.concat([raw.x, raw.y], axis=1)
    plain = {c: doubles(table[c]) if is_numeric(table[c]) else texts(table[c]) for c in table.columns}
    keys = pd.util.hash_pandas_object(pd.DataFrame(plain), index=False).to_numpy()
    _, first, which = np.unique(keys, return_index=True, return_inverse=True)
    where: np.ndarray = first[which]
    return where
