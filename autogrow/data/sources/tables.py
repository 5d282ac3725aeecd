"""Tables from typed files, Parquet and NPZ; and what becomes of any table that was read."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from autogrow.data.columns import is_text, refuse_duplicates, with_text_names, without_marks
from autogrow.data.found import existing
from autogrow.data.raw import Raw, from_arrays
from autogrow.data.reading.column import Reading
from autogrow.data.reading.find import Asked, find_reading
from autogrow.data.reading.written import Written
from autogrow.data.sources.sentinels import ask_about_sentinels
from autogrow.data.sources.storage import AS_READ, Storage
from autogrow.data.spec import DataSpec
from autogrow.errors import DataError, nearest

if TYPE_CHECKING:
    import pandas as pd

NPZ_INPUTS = ("x", "X", "x_train", "X_train", "data", "images")
NPZ_TARGETS = ("y", "Y", "y_train", "target", "targets", "labels")


def read_parquet(spec: DataSpec, storage: Storage = AS_READ) -> Raw:
    """A Parquet file (needs pyarrow), a column after the other: each is kept as `storage` says before the next."""
    import pandas as pd

    path = existing(spec)
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise DataError("Parquet needs the package pyarrow: pip install pyarrow") from None
    columns: dict[str, pd.Series] = {}
    readings: dict[str, Reading] = {}
    notes: list[str] = []
    try:
        with parquet.ParquetFile(path) as file:
            refuse_duplicates(list(file.schema_arrow.names), path)
            rows = file.metadata.num_rows
            for name in _columns_of(file.schema_arrow):
                column = _read_column(file, name)
                if is_text(column) and column.name in (*spec.numeric, *spec.dates):
                    found = find_reading(column, Asked(numeric=spec.numeric, dates=spec.dates))
                    readings[str(column.name)] = found.reading
                    notes += found.notes
                    column = found.reading.read(column)
                notes += _text_of_numbers(column, spec)
                (marked,) = without_marks(column.to_frame(), spec.missing).items()
                columns[str(column.name)] = storage.kept(marked[1])
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"cannot read {path} as Parquet: {one_line(error)}") from None
    pyarrow.default_memory_pool().release_unused()
    table = pd.DataFrame(columns, index=pd.RangeIndex(rows), copy=False)
    written = Written(readings=readings, missing=spec.missing)
    return from_table(table, spec, str(path), (*notes, *ask_about_sentinels(table)), written)


def _columns_of(schema: Any) -> list[str]:
    """The columns of a file, without those that pandas wrote as a frame's index."""
    index = (schema.pandas_metadata or {}).get("index_columns", [])
    return [name for name in schema.names if name not in index]


def _read_column(file: Any, name: str) -> pd.Series:
    """One column (n,) as pandas has it, its name as text."""
    frame = with_text_names(file.read(columns=[name]).to_pandas()).reset_index(drop=True)
    column: pd.Series = frame[frame.columns[0]]
    return column


def _text_of_numbers(column: pd.Series, spec: DataSpec) -> list[str]:
    """A note where a typed file holds a column as text, though all of it could be read as numbers or dates."""
    keys = {"number": "numeric", "date": "dates"}
    if not is_text(column) or column.name in (*spec.categorical, *spec.target):
        return []
    reading = _could_be(column)
    if reading.kind not in keys:
        return []
    return [
        f"column {column.name!r} is text of {reading.said()}, and is kept as categories: "
        f"data.{keys[reading.kind]}=[{column.name}] reads it"
    ]


def _could_be(column: pd.Series) -> Reading:
    try:
        return find_reading(column, Asked()).reading
    except DataError:  # decimals in two ways: text that it is
        return Reading("text")


def read_npz(spec: DataSpec) -> Raw:
    """Arrays of an NPZ file: x (or X, x_train, data …), y (or `data.target`), and x_test with y_test for a test set."""
    path = existing(spec)
    if not zipfile.is_zipfile(path):
        raise DataError(f"{path} is not an NPZ file, or cut short: save it with numpy.savez(path, x=…, y=…)")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"cannot read {path} as NPZ: {one_line(error)}") from None
    x_name, y_name = _key(arrays, NPZ_INPUTS, path), _key(arrays, spec.target or NPZ_TARGETS, path)
    x, y, test_rows = arrays[x_name], arrays[y_name], 0
    if {"x_test", "y_test"} <= {name.lower() for name in arrays}:
        lower = {name.lower(): values for name, values in arrays.items()}
        test_rows = len(lower["y_test"])
        if lower["x_test"].shape[1:] != x.shape[1:] or lower["y_test"].shape[1:] != y.shape[1:]:
            raise DataError(f"{path}: the test arrays must have the shape of the others but for the number of rows")
        x, y = np.concatenate([x, lower["x_test"]]), np.concatenate([y, lower["y_test"]])
    return from_arrays(x, y, str(path), test_rows=test_rows)


def from_table(
    table: pd.DataFrame, spec: DataSpec, origin: str, notes: tuple[str, ...] = (), written: Written | None = None
) -> Raw:
    """Inputs and targets of a whole table. Raises DataError where the target is not named or not there."""
    table = without_marks(with_text_names(table), spec.missing)
    columns = list(table.columns)
    refuse_duplicates(columns, origin)
    targets = list(spec.target)
    if not targets or not all(targets):
        raise DataError(f"data.target must name the column to predict; {origin} has {', '.join(columns)}")
    for name in targets:
        if name not in columns:
            raise DataError(f"data.target {name!r} is not a column of {origin}; {nearest(name, columns)}")
    return Raw(table.drop(columns=targets), table[targets], origin, notes=notes, written=written)


def _key(arrays: dict[str, np.ndarray], wanted: tuple[str, ...], path: Path) -> str:
    for name in wanted:
        if name in arrays:
            return name
    raise DataError(f"{path} has no array {wanted[0]!r}; {nearest(wanted[0], arrays)}")


def one_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__
