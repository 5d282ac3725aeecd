"""Whether what `data.path` names is there: looked for before a row is read, and without what reading needs."""

from __future__ import annotations

from pathlib import Path

from autogrow.data.spec import STREAM, DataSpec, names_of, path_of
from autogrow.errors import DataError, nearest

SUFFIXES = {"csv": (".csv", ".csv.gz", ".tsv"), "parquet": (".parquet", ".pq")}
FILES = ("csv", "parquet", "npz")
"""Sources that are one file."""


def check_there(spec: DataSpec) -> None:
    """Raise DataError where the file, or the folder that files arrive in, is not there; other sources find theirs."""
    if spec.arrival == "files":
        watched_folder(spec)
    elif spec.source == STREAM:
        files_of_stream(spec)
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


def files_of_stream(spec: DataSpec) -> list[Path]:
    """The files that `data.path` names: one, those of a folder, or those of a pattern; `data.files` says which of them.

    Raises DataError where there is none.
    """
    if not spec.path:
        raise DataError("data.path must name a Parquet file, a folder of them, or a pattern such as 'parts/*.parquet'")
    path, wanted = path_of(spec.path), names_of(spec.files)
    if path.is_dir():
        found = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES["parquet"] and p.is_file())
    elif path.is_file():
        found = [path]
    else:
        folder = Path(*path.parts[: _fixed(path)])
        found = sorted(p for p in folder.glob(str(Path(*path.parts[_fixed(path) :]))) if p.is_file())
    if not found:
        raise DataError(f"data.path {path} has no Parquet file; there must be one at least, named *.parquet or *.pq")
    by_name = {p.name: p for p in found}
    for name in wanted:
        if name not in by_name:
            raise DataError(f"data.files: {path} has no file {name!r}; {nearest(name, by_name)}")
    return [by_name[name] for name in wanted] or found


def _fixed(path: Path) -> int:
    """How many parts of a path come before the first that is a pattern."""
    signs = [i for i, part in enumerate(path.parts) if set(part) & set("*?[")]
    return signs[0] if signs else max(1, len(path.parts) - 1)
