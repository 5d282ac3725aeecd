"""Whether what `data.path` names is there: looked for before a row is read, and without what reading needs."""

from __future__ import annotations

from pathlib import Path

from autogrow.data.spec import DataSpec, path_of
from autogrow.errors import DataError, nearest

SUFFIXES = {"csv": (".csv", ".csv.gz", ".tsv"), "parquet": (".parquet", ".pq")}
FILES = ("csv", "parquet", "npz")
"""Sources that are one file."""


def check_there(spec: DataSpec) -> None:
    """Raise DataError where the file, or the folder that files arrive in, is not there; other sources find theirs."""
    if spec.arrival == "files":
        watched_folder(spec)
    elif spec.source in FILES:
        existing(spec)


def existing(spec: DataSpec) -> Path:
    """The file that `data.path` names. Raises DataError with its nearest neighbours where there is none."""
    if not spec.path:
        raise DataError(f"data.path must name the {spec.source} file")
    path = path_of(spec.path)
    if path.is_file():
        return path
    if path.is_dir():
        raise DataError(f"data.path {path} is a folder; it must be a {spec.source} file")
    if not path.parent.is_dir():
        raise DataError(f"data.path {path} does not exist: there is no folder {path.parent}")
    beside = sorted(p.name for p in path.parent.iterdir() if p.is_file())[:50]
    raise DataError(f"data.path {path} does not exist; {nearest(path.name, beside)}")


def watched_folder(spec: DataSpec) -> Path:
    """The folder that `data.path` names.

    Raises DataError where it is none, or the source is not one that comes in files.
    """
    if spec.source not in SUFFIXES:
        raise DataError(f"data.arrival=files goes with data={' or data='.join(SUFFIXES)}, got data={spec.name}")
    if not spec.path:
        raise DataError(f"data.path must name the folder that {spec.source} files arrive in")
    folder = path_of(spec.path)
    if not folder.is_dir():
        kind = "is a file" if folder.exists() else "does not exist"
        raise DataError(f"data.path {folder} {kind}; data.arrival=files needs the folder that files arrive in")
    return folder
