"""A table's file, unpacked where it is packed: by what its first bytes say, not by its name."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from autogrow.errors import DataError

DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
"""What reading a damaged file raises."""
_TAR = slice(257, 262)
_OTHERS = {
    b"PAR1": "a Parquet file: data=parquet",
    b"\x93NUMPY": "an array of NumPy: save it with numpy.savez(path, x=…, y=…) and use data=npz",
    b"\x28\xb5\x2f\xfd": "packed by zstd: unpack it first",
    b"7z\xbc\xaf": "packed by 7-Zip: unpack it first",
    b"\xd0\xcf\x11\xe0": "an Excel workbook: save the sheet as CSV",
    b"\x89HDF": "an HDF5 file: save the table as CSV or Parquet",
    b"SQLite": "an SQLite database: save the table as CSV or Parquet",
}


def open_table(path: Path) -> IO[bytes]:
    """The file's bytes, unpacked (gzip, bzip2, xz, or zip with one file in it), seekable.

    Raises DataError for an archive of several files and for a kind of file that is no text, with what would be right.
    """
    with path.open("rb") as file:
        start = file.read(8)
    for mark, kind in _OTHERS.items():
        if start.startswith(mark):
            raise DataError(f"{path} is {kind}")
    opener = next((opener for mark, opener in _OPENERS.items() if start.startswith(mark)), Path.open)
    opened: IO[bytes] = opener(path, "rb")
    if opened.read(512)[_TAR] == b"ustar":
        raise DataError(f"{path} is an archive (tar): unpack it first; data.path must be one table")
    opened.seek(0)
    return opened


def _open_zip(path: Path, _: str) -> IO[bytes]:
    archive = zipfile.ZipFile(path)
    names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
    if "[Content_Types].xml" in names:
        raise DataError(f"{path} is an Excel workbook: save the sheet as CSV")
    if len(names) != 1:
        shown = ", ".join(names[:4]) + (", …" if len(names) > 4 else "")
        raise DataError(f"{path} holds {len(names)} files ({shown}); unpack the one to learn from")
    if archive.getinfo(names[0]).flag_bits & 1:
        raise DataError(f"{path} is locked by a password: unpack it first")
    return archive.open(names[0])


_OPENERS: dict[bytes, Callable[[Path, str], Any]] = {
    b"PK\x03\x04": _open_zip, b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open,
}  # fmt: skip
