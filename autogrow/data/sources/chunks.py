"""A table in a file, some rows at a time, for a net that is there already: what is not asked for is not read.

Columns of the net's categories, and those that are only passed on, are read as the text that they are in the file.
"""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autogrow.data.columns import refuse_duplicates, with_text_names
from autogrow.errors import DataError, nearest

if TYPE_CHECKING:
    import pandas as pd

SAMPLE = 1000  # rows that are looked at before any is read for good
PARQUET = (".parquet", ".pq")


@dataclass(frozen=True)
class TableFile:
    """A CSV file (plain or compressed) or a Parquet file. `separator`: of a CSV."""

    path: Path
    separator: str = ","

    def __post_init__(self) -> None:
        if self.path.is_dir():
            raise DataError(f"table {self.path} is a folder; it must be a CSV or Parquet file")
        if not self.path.is_file():
            beside = sorted(p.name for p in self.path.parent.glob("*") if p.is_file())[:50]
            raise DataError(f"table {self.path} does not exist; {nearest(self.path.name, beside)}")

    @property
    def parquet(self) -> bool:
        """Whether the name says that it is a Parquet file; any other is read as CSV."""
        return self.path.suffix.lower() in PARQUET

    def sample(self) -> pd.DataFrame:
        """The first rows, every column. Raises DataError for a file that is no table, or has two columns of a name."""
        if self.parquet:
            refuse_duplicates(list(_parquet(self.path).schema_arrow.names), self.path)
            return next(self._parquet_chunks(SAMPLE, None), _parquet(self.path).schema_arrow.empty_table().to_pandas())
        header = next(self._csv(header=None, nrows=1, dtype=str, chunksize=1))
        refuse_duplicates(list(header.iloc[0].dropna()), self.path)
        return next(self._csv(nrows=SAMPLE, dtype=str, chunksize=SAMPLE))

    def chunks(self, rows: int, columns: Sequence[str], *, as_text: Sequence[str]) -> Iterator[pd.DataFrame]:
        """`rows` rows of `columns` at a time, in the file's order, each frame's index counting on from the one before.

        as_text: columns of a CSV that are left as they are written.
        """
        if self.parquet:
            yield from self._parquet_chunks(rows, columns)
        else:
            dtype = dict.fromkeys(as_text, str)
            yield from self._csv(usecols=list(columns), dtype=dtype, chunksize=rows, low_memory=False)

    def _parquet_chunks(self, rows: int, columns: Sequence[str] | None) -> Iterator[pd.DataFrame]:
        file, first = _parquet(self.path), 0
        for batch in file.iter_batches(rows, columns=None if columns is None else list(columns)):
            frame = with_text_names(batch.to_pandas())
            yield frame.set_axis(range(first, first + len(frame)))
            first += len(frame)

    def _csv(self, **how: Any) -> Iterator[pd.DataFrame]:
        import pandas as pd

        sep = self.separator.replace(r"\t", "\t")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", pd.errors.ParserWarning)  # fields without a name would be cut off
                with pd.read_csv(self.path, sep=sep, na_values=["?"], index_col=False, **how) as reader:
                    for frame in reader:
                        yield with_text_names(frame)
        except pd.errors.EmptyDataError:
            raise DataError(f"{self.path} is empty: it must hold a header and rows") from None
        except (pd.errors.ParserError, pd.errors.ParserWarning, UnicodeDecodeError, OSError, EOFError, zlib.error) as e:
            raise DataError(f"cannot read {self.path} as CSV: {' '.join(str(e).split())}") from None


def _parquet(path: Path) -> Any:
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise DataError("Parquet needs the package pyarrow: pip install pyarrow") from None
    try:
        return parquet.ParquetFile(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"cannot read {path} as Parquet: {' '.join(str(error).split())}") from None
