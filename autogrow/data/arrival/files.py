"""Files that arrive in a watched folder, one after the other: each is a stage. What they hold is read as one table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from autogrow.data.columns import is_date, is_numeric
from autogrow.data.found import SUFFIXES, watched_folder
from autogrow.data.raw import Raw
from autogrow.data.reading.written import joined
from autogrow.data.spec import DataSpec, names_of
from autogrow.errors import DataError, nearest

if TYPE_CHECKING:
    import pandas as pd

ORDERS = ("name", "mtime")


def found_files(folder: Path, source: str, order: str = "name") -> list[str]:
    """The names of a folder's files of this kind (hidden ones aside), by name or by when they were last written."""
    files = [p for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")]
    files = [p for p in files if p.name.lower().endswith(SUFFIXES[source])]
    key: Callable[[Path], object] = (lambda p: (p.stat().st_mtime_ns, p.name)) if order == "mtime" else lambda p: p.name
    return [p.name for p in sorted(files, key=key)]  # type: ignore[arg-type]


def files_of(spec: DataSpec) -> list[str]:
    """The files in their order: those of `data.files`, else all of the folder, as `data.stages` (name, mtime) says."""
    folder = watched_folder(spec)
    given = list(names_of(spec.files))
    if given:
        for name in given:
            if not (folder / name).is_file():
                raise DataError(
                    f"data.files: there is no {name!r} in {folder}; {nearest(name, found_files(folder, spec.source))}"
                )
        return given
    order = "name" if spec.stages is None else spec.stages
    if order not in ORDERS:
        raise DataError(
            f"data.stages must be name or mtime (the order of the files) for data.arrival=files, got {order!r}"
        )
    names = found_files(folder, spec.source, order)
    if not names:
        raise DataError(f"data.path {folder} holds no {spec.source} file ({', '.join(SUFFIXES[spec.source])})")
    return names


def read_files(spec: DataSpec, read: Callable[[DataSpec], Raw]) -> Raw:
    """The files up to `data.stage`, each read by `read`, as one table; a column that came later is missing before.

    Raises DataError, naming the file and the column, where a column has gone or holds something else than before.
    """
    import pandas as pd

    folder, names = watched_folder(spec), files_of(spec)
    names = names if spec.stage is None else names[: spec.stage + 1]
    parts = [read(replace(spec, path=str(folder / name))) for name in names]
    kinds: dict[str, str] = {}
    tables: list[pd.DataFrame] = []
    for name, part in zip(names, parts, strict=True):
        assert not isinstance(part.x, np.ndarray)
        if not len(part):
            raise DataError(f"{name} holds a header and no rows")
        _check_columns(pd.concat([part.x, part.y], axis=1), kinds, name)
        tables.append(part.x)
    x = pd.concat(tables, ignore_index=True)
    y = pd.concat([part.y for part in parts], ignore_index=True)
    file_of_row = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    listed = ", ".join(names) if len(names) <= 4 else f"{names[0]}, …, {names[-1]}"
    notes = dict.fromkeys(note for part in parts for note in part.notes)
    origin = f"{len(names)} files in {folder}: {listed}"
    written = joined([part.written for part in parts if part.written is not None])
    return Raw(x, y, origin, notes=tuple(notes), files=file_of_row, file_names=tuple(names), written=written)


def _check_columns(table: pd.DataFrame, kinds: dict[str, str], file: str) -> None:
    """Compare a file's columns with those before it, and remember its own in `kinds`."""
    gone = [column for column in kinds if column not in table.columns]
    if gone:
        raise DataError(
            f"{file} has no column {gone[0]!r}, which the files before it have; {nearest(gone[0], table.columns)}"
        )
    for column in table.columns:
        kind = kind_of(table[column])
        before = kinds.get(column)
        if kind and before and kind != before:
            raise DataError(f"{file}: column {column!r} holds {kind}, and {before} in the files before it")
        if kind or before is None:
            kinds[column] = kind or before or ""


def kind_of(column: pd.Series) -> str:
    """'numbers', 'booleans', 'dates' or 'text'; empty for a column without a value."""
    from pandas.api import types

    if not column.notna().any():
        return ""
    if is_date(column):
        return "dates"
    if types.is_bool_dtype(column.dtype) or types.infer_dtype(column, skipna=True) == "boolean":
        return "booleans"
    return "numbers" if is_numeric(column) else "text"
