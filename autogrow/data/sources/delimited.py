"""Tables as text: CSV and its kin, read by pandas, in the format that the file's first bytes show."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from autogrow.data.columns import is_text, refuse_duplicates
from autogrow.data.found import existing
from autogrow.data.raw import Raw
from autogrow.data.reading.column import MISSING, Reading, digits
from autogrow.data.reading.find import Asked, Found, find_reading
from autogrow.data.reading.written import Written
from autogrow.data.sources.assemble import assembled, read_coded
from autogrow.data.sources.blanks import may_hold_blanks
from autogrow.data.sources.compressed import DAMAGED, open_table
from autogrow.data.sources.sentinels import ask_about_sentinels
from autogrow.data.sources.storage import AS_READ, Storage
from autogrow.data.sources.tables import from_table, one_line
from autogrow.data.sources.text_format import SAMPLE, SEPARATORS, FileFormat, find_format, first_record
from autogrow.data.spec import DataSpec
from autogrow.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_NOTES = 8  # notes on columns that are shown


def read_csv(spec: DataSpec, storage: Storage = AS_READ) -> Raw:
    """A text file of one table: separator, encoding, header, decimal sign and what each column holds are found in it.

    `data.separator`, `encoding`, `header`, `decimal`, `thousands`, `missing`, `dates`, `numeric` and `categorical` say
    otherwise. Raises DataError naming what cannot be read and what would help.
    """
    path = existing(spec)
    try:
        with open_table(path) as file:
            form, table = _read_table(file, spec, path, storage)
    except PermissionError as error:
        raise DataError(f"cannot read {path} as CSV: {one_line(error)}") from None
    except DAMAGED as error:
        raise DataError(f"cannot read {path} as CSV: it is damaged or cut short ({one_line(error)})") from None
    asked = asked_of(spec, form)
    table, readings, notes = _read_columns(table, asked, spec, storage)
    counted: tuple[str, ...] = ()
    first = table.columns[0]
    if (
        str(first).startswith("Unnamed:")
        and str(first) not in (*spec.keep, *spec.target)
        and np.array_equal(table[first].to_numpy(), np.arange(len(table)))
    ):
        table, counted = table.drop(columns=first), (str(first),)
    written = Written(form.said(), readings, (*MISSING, *spec.missing), counted)
    return from_table(table, spec, str(path), (*notes, *ask_about_sentinels(table)), written)


def asked_of(spec: DataSpec, form: FileFormat) -> Asked:
    """What settings and file say of columns."""
    return Asked(form.decimal, form.sure, spec.thousands, spec.numeric, spec.dates, spec.categorical)


def _read_table(file: IO[bytes], spec: DataSpec, path: Path, storage: Storage) -> tuple[FileFormat, pd.DataFrame]:
    """The format, and the table with numbers where cells are plain ones, text (as categoricals) elsewhere."""
    sample = file.read(SAMPLE)
    whole = not file.read(1)
    separator = None if spec.separator is None else spec.separator.replace(r"\t", "\t")
    if not sample.strip():
        raise DataError(f"{path} is empty: it must hold a header and rows")
    names = [*spec.target, *spec.drop, *spec.keep, *spec.categorical, *spec.numeric, *spec.dates]
    decimal = spec.decimal or {".": ",", ",": "."}.get(spec.thousands or "")
    given: dict[str, Any] = {"header": spec.header, "decimal": decimal, "names": names, "whole": whole}
    try:
        form = find_format(sample, encoding=spec.encoding, separator=separator, **given)
    except DataError as error:
        raise DataError(f"cannot read {path} as CSV: {error}") from None
    header = first_record(sample, form, whole=whole)
    if form.header:
        refuse_duplicates([name for name in header if name], path)
    if separator is not None and len(header) == 1:
        _refuse_other_separator(sample, spec, path, given)
    try:
        return form, _parse(file, form, spec, storage)
    except UnicodeDecodeError as error:
        if spec.encoding is not None or form.encoding != "utf-8":
            raise DataError(
                f"cannot read {path} as CSV: it is not {form.encoding} ({one_line(error)}); "
                "data.encoding=latin-1 reads any byte"
            ) from None
    rest = (replace(form, encoding=name) for name in ("cp1252", "latin-1"))  # the first bytes were plain ASCII
    return next(
        (other, table) for other in rest if (table := _parse_if_decodes(file, other, spec, storage)) is not None
    )


def _parse_if_decodes(file: IO[bytes], form: FileFormat, spec: DataSpec, storage: Storage) -> pd.DataFrame | None:
    try:
        return _parse(file, form, spec, storage)
    except UnicodeDecodeError:
        return None


def _refuse_other_separator(sample: bytes, spec: DataSpec, path: Path, given: dict[str, Any]) -> None:
    other = find_format(sample, encoding=spec.encoding, **given).separator
    if other != spec.separator and len(first_record(sample, FileFormat(separator=other), whole=given["whole"])) > 1:
        raise DataError(
            f"{path} has one column with data.separator={spec.separator!r}; it looks separated by {SEPARATORS[other]}: "
            f"'data.separator=\"{other}\"', or leave it to be found"
        )


def _parse(file: IO[bytes], form: FileFormat, spec: DataSpec, storage: Storage) -> pd.DataFrame:
    import pandas as pd

    decimal = form.decimal if form.decimal != form.separator else "."
    blanks = may_hold_blanks(file, form)

    def read(**how: Any) -> Any:
        file.seek(0)
        return pd.read_csv(
            file, sep=form.separator, encoding=form.encoding, decimal=decimal, header=0 if form.header else None,
            skiprows=form.skip, skipinitialspace=blanks, keep_default_na=False, na_values=[*MISSING, *spec.missing],
            low_memory=False, index_col=False, **how,
        )  # fmt: skip

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # fields without a name would be cut off
            return assembled(read, storage)
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        separator = SEPARATORS.get(form.separator, repr(form.separator))
        raise DataError(
            f"cannot read {spec.path} as CSV: {one_line(error)} (taken as {separator} with "
            f"{'a' if form.header else 'no'} header; 'data.separator=\";\"' or data.header=false say otherwise)"
        ) from None


def _read_columns(
    table: pd.DataFrame, asked: Asked, spec: DataSpec, storage: Storage
) -> tuple[pd.DataFrame, dict[str, Reading], list[str]]:
    """The table with its columns of text read, how each was, and what its user should know."""
    import pandas as pd

    table = table.set_axis([str(name).strip() for name in table.columns], axis=1)
    plain = Reading("number", asked.decimal)
    readings: dict[str, Reading] = {}
    found: dict[str, Found] = {}
    for name in table.columns:
        column = table[name]
        coded = isinstance(column.dtype, pd.CategoricalDtype)
        if coded or is_text(column) or name in asked.dates:
            as_text = column if is_text(column) or coded else digits(column)
            found[name] = find_reading(as_text, asked, target=name in spec.target)
            readings[name] = found[name].reading
            table[name] = read_coded(readings[name], as_text, storage)
        elif column.dtype in (bool, object):  # True and False, with gaps
            readings[name] = Reading("boolean")
        elif plain.decimal == "," and column.dtype.kind in "if":
            readings[name] = plain
    return table, readings, _told(found)


def _told(found: Mapping[str, Found]) -> list[str]:
    """What a user should know of the columns; those written by one habit are told of together."""
    alike: dict[str, list[str]] = {}
    for name, one in found.items():
        alike.setdefault(one.habit, []).append(name)
    notes: list[str] = []
    for name, one in found.items():
        others = alike[one.habit][1:] if one.habit else []
        if name in others:
            notes += one.notes[1:]
            continue
        likewise = f"; likewise {', '.join(others[:5])}{f' and {len(others) - 5} more' if others[5:] else ''}"
        notes += [note + (likewise if others and k == 0 else "") for k, note in enumerate(one.notes)]
    return notes if len(notes) <= _NOTES else [*notes[:_NOTES], f"… and {len(notes) - _NOTES} more notes on columns"]
