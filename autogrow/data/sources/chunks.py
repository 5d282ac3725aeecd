"""A table in a file, some rows at a time, for a net that is there already: what is not asked for is not read.

How a text file is written is found from its first bytes, as in training; how a column is read, the net knows itself, so
columns that it read from text are handed over as text.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autogrow.data.columns import refuse_duplicates, with_text_names
from autogrow.data.reading.column import MISSING
from autogrow.data.sources.compressed import DAMAGED, open_table
from autogrow.data.sources.tables import one_line
from autogrow.data.sources.text_format import (
    SAMPLE,
    FileFormat,
    check_encoding,
    check_separator,
    find_format,
    first_record,
)
from autogrow.errors import DataError, nearest

if TYPE_CHECKING:
    import pandas as pd

LOOKED_AT = 1000  # rows, before any is read for good
PARQUET = (".parquet", ".pq")


@dataclass(frozen=True)
class TableFile:
    """A CSV file (plain or packed) or a Parquet file.

    separator, encoding, header: of a CSV; None is found from the file.  names: columns that it should have.  missing:
    texts that mean a missing value.
    """

    path: Path
    separator: str | None = None
    encoding: str | None = None
    header: bool | None = None
    names: tuple[str, ...] = ()
    missing: tuple[str, ...] = MISSING

    def __post_init__(self) -> None:
        check_separator(self.separator, "separator")
        check_encoding(self.encoding, "encoding")
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
            schema = open_parquet(self.path).schema_arrow
            refuse_duplicates(list(schema.names), self.path)
            return next(self._parquet_chunks(LOOKED_AT, None), schema.empty_table().to_pandas())
        return next(self._csv(LOOKED_AT, lambda _: True, None))

    def chunks(self, rows: int, columns: Sequence[str], *, as_text: Sequence[str]) -> Iterator[pd.DataFrame]:
        """`rows` rows of `columns` at a time, in the file's order, each frame's index counting on from the one before.

        as_text: columns of a CSV that are left as they are written.
        """
        if self.parquet:
            yield from self._parquet_chunks(rows, columns)
        else:
            yield from self._csv(rows, set(columns).__contains__, as_text)

    def _parquet_chunks(self, rows: int, columns: Sequence[str] | None) -> Iterator[pd.DataFrame]:
        file, first = open_parquet(self.path), 0
        for batch in file.iter_batches(rows, columns=None if columns is None else list(columns)):
            frame = with_text_names(batch.to_pandas())
            yield frame.set_axis(range(first, first + len(frame)))
            first += len(frame)

    def _csv(self, rows: int, wanted: Callable[[str], bool], as_text: Sequence[str] | None) -> Iterator[pd.DataFrame]:
        """Rows at a time. as_text: columns that stay text; None for all."""
        import pandas as pd

        try:
            with open_table(self.path) as file, warnings.catch_warnings():
                warnings.simplefilter("error", pd.errors.ParserWarning)  # fields without a name would be cut off
                form = self._format(file)
                how: dict[str, Any] = {
                    "sep": form.separator, "encoding": form.encoding, "header": 0 if form.header else None,
                    "skiprows": form.skip, "skipinitialspace": True, "index_col": False,
                }  # fmt: skip
                written = list(pd.read_csv(file, nrows=0 if form.header else 1, **how).columns)
                file.seek(0)
                called = {n: self._called(str(n)) for n in written}
                dtype: Any = str if as_text is None else {n: str for n in written if called[n] in as_text}
                reader = pd.read_csv(
                    file, keep_default_na=False, na_values=list(self.missing), low_memory=False, chunksize=rows,
                    dtype=dtype, usecols=lambda n: wanted(self._called(str(n))), **how,
                )  # fmt: skip
                for frame in reader:
                    yield with_text_names(frame.rename(columns=called))
        except UnicodeDecodeError as error:
            raise DataError(
                f"cannot read {self.path} as CSV: {one_line(error)}; encoding=latin-1 reads any byte"
            ) from None
        except (pd.errors.ParserError, pd.errors.ParserWarning, *DAMAGED) as error:
            raise DataError(f"cannot read {self.path} as CSV: {one_line(error)}") from None

    def _called(self, name: str) -> str:
        """A column's name without blanks around it, as training read it, unless a net knows it with them."""
        return name if name in self.names else name.strip()

    def _format(self, file: Any) -> FileFormat:
        """How the file is written; it is at its beginning again."""
        sample = file.read(SAMPLE)
        whole = not file.read(1)
        file.seek(0)
        if not sample.strip():
            raise DataError(f"{self.path} is empty: it must hold a header and rows")
        separator = None if self.separator is None else self.separator.replace(r"\t", "\t")
        try:
            form = find_format(
                sample, whole=whole, encoding=self.encoding, separator=separator, header=self.header, names=self.names
            )
        except DataError as error:
            raise DataError(f"cannot read {self.path} as CSV: {error}") from None
        if form.header:
            refuse_duplicates([name for name in first_record(sample, form, whole=whole) if name], self.path)
        return form


def open_parquet(path: Path) -> Any:
    """The file, its rows not yet read. Raises DataError where it is no Parquet file, or pyarrow is not there."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise DataError("Parquet needs the package pyarrow: pip install pyarrow") from None
    try:
        return parquet.ParquetFile(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"cannot read {path} as Parquet: {one_line(error)}") from None
