"""Parquet files as a list of row groups, which are read a piece at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autogrow.data.columns import refuse_duplicates, with_text_names
from autogrow.data.found import files_of_stream
from autogrow.data.sources.chunks import open_parquet
from autogrow.data.sources.tables import one_line
from autogrow.data.spec import DataSpec
from autogrow.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

PIECE = 16_384
"""Rows that are taken out of a file at once."""


@dataclass(frozen=True)
class RowGroup:
    """A row group: its file, its number there, how many rows it has, and how many lie before it in all files."""

    path: Path
    number: int
    rows: int
    before: int

    def pieces(self, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        """Its rows in order, at most `PIECE` at a time. Raises DataError for a file that cannot be read any more."""
        import pyarrow

        try:
            with open_parquet(self.path) as file:
                found = file.iter_batches(PIECE, row_groups=[self.number], columns=None if columns is None else columns)
                for batch in found:
                    yield with_text_names(batch.to_pandas().reset_index(drop=True))
        except (pyarrow.ArrowException, OSError) as error:
            raise DataError(
                f"cannot read row group {self.number} of {self.path} as Parquet: {one_line(error)}"
            ) from None

    def said(self) -> str:
        """Where it is, in words."""
        return f"row group {self.number} of {self.path}"


def row_groups_of(spec: DataSpec) -> list[RowGroup]:
    """The row groups of all files that have rows. Raises DataError where the files are not of one table."""
    groups: list[RowGroup] = []
    first: Any = None
    before = 0
    for path in files_of_stream(spec):
        with open_parquet(path) as file:
            schema = file.schema_arrow
            refuse_duplicates(list(schema.names), path)
            first = first or (path, schema)
            if {f.name: f.type for f in schema} != {f.name: f.type for f in first[1]}:
                raise DataError(f"{path} has other columns than {first[0]}, or columns of other types")
            for number in range(file.num_row_groups):
                rows = file.metadata.row_group(number).num_rows
                if rows:
                    groups.append(RowGroup(path, number, rows, before))
                    before += rows
    if not groups:
        raise DataError(f"data.path {spec.path}: its files hold no rows")
    return groups


def fingerprint_of(groups: Sequence[RowGroup], first_part: str) -> str:
    """sha256 of what the files say of themselves, and of the rows of the first part."""
    digest = hashlib.sha256(first_part.encode())
    for path, own in groupby(groups, lambda group: group.path):
        with open_parquet(path) as file:
            for group in own:
                found = file.metadata.row_group(group.number)
                digest.update(repr((path.name, group.number, group.rows, found.total_byte_size)).encode())
                for i in range(found.num_columns):
                    statistics = found.column(i).statistics
                    if statistics is not None and statistics.has_min_max:
                        digest.update(repr((statistics.min, statistics.max, statistics.null_count)).encode())
    return digest.hexdigest()
