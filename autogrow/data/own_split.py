"""A split of one's own: a column that says of each row whether it is train, val or test, or a file that lists the rows.

n rows.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from autogrow.data.as_text import texts
from autogrow.data.splits import PARTS, Rows, random_rows
from autogrow.errors import DataError, nearest

if TYPE_CHECKING:
    import pandas as pd

CALLED = {"train": 0, "training": 0, "val": 1, "valid": 1, "validation": 1, "dev": 1, "test": 2, "testing": 2}
"""What a column may call them, in any case."""


def parts_of_column(column: pd.Series) -> np.ndarray:
    """The part of each row (n,) int64, an index into `PARTS`. Raises DataError for a value that names none."""
    found = [CALLED.get(str(value).strip().lower(), -1) for value in texts(column)]
    parts = np.array(found, dtype=np.int64)
    if (parts < 0).any():
        row = int((parts < 0).argmax())
        value = texts(column.iloc[row : row + 1])[0]
        got = "nothing" if value is None else repr(value)
        hint = "" if value is None else f"; {nearest(value, PARTS)}"
        raise DataError(
            f"data.split_column {column.name!r} must say train, val or test of every row, got {got} in row {row}{hint}"
        )
    return parts


def parts_of_file(path: Path, numbered: np.ndarray, n: int) -> np.ndarray:
    """The part of each of the rows `numbered`, of the n that the table has, counted from 0 without the header.

    path: an NPZ of the arrays train, val and test (a run folder's own), or a CSV with the columns row and part. Raises
    DataError for a row that is in no part, in two, or not in the table.
    """
    rows, parts = _read(path)
    outside = (rows < 0) | (rows >= n)
    if outside.any():
        raise DataError(f"{path} names row {rows[outside][0]}, and the table has {n} rows, from 0 to {n - 1}")
    different, times = np.unique(rows, return_counts=True)
    if (times > 1).any():
        raise DataError(f"{path} names row {different[times > 1][0]} more than once; a row is in one part")
    whole = np.full(n, -1)
    whole[rows] = parts
    found: np.ndarray = whole[numbered]
    if (found < 0).any():
        raise DataError(
            f"{path} says of {int((found < 0).sum())} rows in no part where they belong, the first is row "
            f"{numbered[found < 0][0]}; every row must be in train, val or test"
        )
    return found


def rows_of_parts(
    parts: np.ndarray, val: float, test: float, seed: int, *, classes: np.ndarray | None, where: str
) -> Rows:
    """The rows of each part (n,), in a seeded random order. A val or test that no row is in is drawn from train.

    val, test: the share of the train rows that is drawn. Raises DataError where no row is in train.
    """
    train, *held = (np.flatnonzero(parts == part) for part in range(3))
    if not len(train):
        raise DataError(f"{where} puts no row into train")
    drawn = random_rows(
        len(train),
        0.0 if len(held[0]) else val,
        0.0 if len(held[1]) else test,
        seed,
        classes=None if classes is None else classes[train],
    )
    rng = np.random.default_rng([seed, 5])
    val_rows, test_rows = (
        rng.permutation(own) if len(own) else train[rest]
        for own, rest in zip(held, (drawn.val, drawn.test), strict=True)
    )
    return Rows(train[drawn.train], val_rows, test_rows)


def rows_to_bytes(rows: Rows) -> bytes:
    """Which rows are in which part, in the order of the table, as the file that `parts_of_file` reads."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:  # more takes five times as long
        for name in PARTS:
            with packed.open(f"{name}.npy", "w", force_zip64=True) as array:
                np.lib.format.write_array(array, _in_order(getattr(rows, name)))
    return file.getvalue()


def _in_order(rows: np.ndarray) -> np.ndarray:
    """Different row numbers (m,) in the order of the table, without sorting: each says where it is."""
    there = np.zeros(rows.max(initial=-1) + 1, dtype=bool)
    there[rows] = True
    return np.flatnonzero(there)


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(row numbers, the part of each)."""
    if not path.is_file():
        raise DataError(f"data.split_file {path} does not exist")
    return _from_arrays(path) if zipfile.is_zipfile(path) else _from_csv(path)


def _from_arrays(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files if name in PARTS}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"data.split_file {path} cannot be read: {' '.join(str(error).split())}") from None
    bad = [name for name, rows in arrays.items() if rows.ndim != 1 or (len(rows) and rows.dtype.kind not in "iu")]
    if bad or "train" not in arrays:
        what = f"{bad[0]} is no list of whole numbers" if bad else "it has no train"
        raise DataError(f"data.split_file {path} must hold row numbers in the arrays train, val and test: {what}")
    rows = np.concatenate([arrays[name].astype(np.int64) for name in arrays])
    return rows, np.concatenate([np.full(len(arrays[name]), PARTS.index(name)) for name in arrays])


def _from_csv(path: Path) -> tuple[np.ndarray, np.ndarray]:
    import pandas as pd

    try:
        table = pd.read_csv(path)
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise DataError(f"data.split_file {path} cannot be read as CSV: {' '.join(str(error).split())}") from None
    if not {"row", "part"} <= set(table.columns) or table["row"].dtype.kind not in "iu":
        raise DataError(
            f"data.split_file {path} must be a CSV with the columns row (a whole number) and part (train, val or test), "
            f"or an NPZ of the arrays train, val and test; it has the columns {', '.join(map(str, table.columns))}"
        )
    return table["row"].to_numpy(dtype=np.int64), parts_of_column(table["part"])
