"""How a text file writes a table: encoding, separator, header, decimal sign. Found from the file's first bytes.

r records of the sample, each a list of cells.
"""

from __future__ import annotations

import codecs
import csv
import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from autogrow.data.reading import dates, numerals
from autogrow.data.reading.column import BOOLEANS, MISSING, MISSING_AMONG_NUMBERS
from autogrow.errors import DataError, nearest

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", r"\s+": "blanks"}
"""What may stand between cells, by its name in words; blanks are one or more."""
SAMPLE = 1 << 18
"""Bytes that are looked at."""
_RECORDS = 1000
_COMPARED = 100  # records that separators and headers are judged by
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
         (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))  # fmt: skip
_NO_TEXT = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_PLAIN = {sign: re.compile(numerals.grammar(sign)) for sign in numerals.DECIMALS}
_WORDS = {word for pair in BOOLEANS for word in pair}


@dataclass(frozen=True)
class FileFormat:
    """How a file writes its table.

    separator: a key of `SEPARATORS`.  header: whether the first record names the columns.  decimal, sure: the sign, and
    whether a value of the sample (or the settings) says so.  skip: lines before the first record.
    """

    encoding: str = "utf-8"
    separator: str = ","
    header: bool = True
    decimal: str = "."
    sure: bool = False
    skip: int = 0

    def said(self) -> str:
        """In words, for the screen."""
        sign = "comma" if self.decimal == "," else "point"
        header = "a header" if self.header else "no header"
        return f"{SEPARATORS.get(self.separator, repr(self.separator))}, decimal {sign}, {header}, {self.encoding}"


def check_separator(separator: str | None, name: str) -> None:
    """Raise DataError for what cannot stand between cells; None is found from the file. name: of the setting."""
    if separator is not None and len(separator) != 1 and separator not in (r"\t", r"\s+"):
        raise DataError(f"{name} must be one character, or \\t for a tab, got {separator!r}")


def check_encoding(encoding: str | None, name: str) -> None:
    """Raise DataError for what is no encoding of text; None is found from the file. name: of the setting."""
    if encoding is None:
        return
    try:
        "".encode(encoding)
    except (LookupError, ValueError):  # codecs that Python knows beside (rot13, zip) make no text of bytes
        near = nearest(encoding, ("utf-8", "latin-1", "cp1252", "utf-16"))
        raise DataError(f"{name} {encoding!r} is unknown; {near}") from None


def find_encoding(sample: bytes, *, whole: bool) -> str:
    """The encoding of a text, by its byte-order mark, else what its bytes can be: UTF-8, UTF-16, else Windows-1252.

    whole: whether the sample is all of the text; else a character may be cut off at its end.
    """
    for mark, name in _BOMS:
        if sample.startswith(mark):
            return name
    if sample.count(0) > len(sample) // 4:
        return "utf-16-le" if sample[1::2].count(0) > sample[::2].count(0) else "utf-16-be"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample, final=whole)
    except UnicodeDecodeError:
        return "cp1252" if _decodes(sample, "cp1252") else "latin-1"
    return "utf-8"


def _decodes(sample: bytes, encoding: str) -> bool:
    try:
        sample.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def find_format(
    sample: bytes, *, whole: bool = True, encoding: str | None = None, separator: str | None = None,
    header: bool | None = None, decimal: str | None = None, names: Sequence[str] = (),
) -> FileFormat:  # fmt: skip
    """How the file that begins with `sample` writes its table; what is given is taken as it is.

    names: columns that the settings name: where the first record holds one, it is a header. Raises DataError for bytes
    that are no text, with the first one that is not.
    """
    encoding = encoding or find_encoding(sample, whole=whole)
    text = codecs.getincrementaldecoder(encoding)(errors="replace").decode(sample, final=whole)
    text = text.removeprefix("\ufeff")
    if found := _NO_TEXT.search(text):
        raise DataError(f"it is no text: character {found.start()} is {found[0]!r}")
    lines = text.splitlines(keepends=True)
    if not whole and len(lines) > 1:
        lines = lines[:-1]  # cut off
    skip = next((k for k, line in enumerate(lines) if line.strip()), 0)
    if skip < len(lines) and (hint := re.fullmatch(r"sep=(.)", lines[skip].strip())):  # Excel's own
        separator, skip = separator or hint[1], skip + 1
    separator = separator or _find_separator(lines[skip:])
    records = _records(lines[skip:], separator)
    if header is None:
        header = _has_header(records[:_COMPARED], names)
    found_sign = _find_decimal(records[header:], separator)
    sign = decimal or found_sign or "."
    return FileFormat(encoding, separator, header, sign, decimal is not None or found_sign is not None, skip)


def _records(lines: Sequence[str], separator: str, most: int = _RECORDS) -> list[list[str]]:
    """The cells of the first records, blank ones aside."""
    if separator == r"\s+":
        split = [line.split() for line in lines[:most]]
    else:
        csv.field_size_limit(2**31 - 1)
        reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
        split = [[cell.strip() for cell in record] for record in itertools.islice(reader, most)]
    return [record for record in split if any(record)]


def first_record(sample: bytes, form: FileFormat, *, whole: bool) -> list[str]:
    """The cells of the first record: with a header, the names of the columns."""
    text = codecs.getincrementaldecoder(form.encoding)(errors="replace").decode(sample, final=whole)
    lines = text.removeprefix("\ufeff").splitlines(keepends=True)[form.skip :]
    records = _records(lines, form.separator)
    return records[0] if records else []


def _find_separator(lines: Sequence[str]) -> str:
    """The separator that gives (nearly) every record the same number of cells, at least 2, most of them values."""
    best, best_score = ",", (0.0, 0.0)
    for separator in SEPARATORS:
        if separator == r"\s+" and best_score > (0.0, 0.0):
            break  # blanks are part of a text more often than not
        records = _records(lines, separator, _COMPARED)
        sizes = Counter(len(record) for record in records)
        size, times = sizes.most_common(1)[0] if sizes else (0, 0)
        agree = times / len(records) if records else 0.0
        if size < 2 or agree < (1.0 if separator == r"\s+" else 0.8) or (len(records[0]) < 2):
            continue
        cells = [cell for record in records[1:] or records for cell in record]
        score = (round(agree, 2), sum(map(_is_value, cells)) / len(cells))
        if score > best_score:
            best, best_score = separator, score
    return best


def _is_value(cell: str) -> bool:
    """Whether a cell is a number, a date, a boolean or a missing value."""
    return cell in MISSING or cell in MISSING_AMONG_NUMBERS or cell.lower() in _WORDS or _is_quantity(cell)


def _is_quantity(cell: str) -> bool:
    """Whether a cell is a number or a date."""
    return any(p.fullmatch(cell) for p in _PLAIN.values()) or bool(dates.candidates(cell))


def _has_header(records: Sequence[Sequence[str]], names: Sequence[str]) -> bool:
    """Whether the first record names the columns: it does unless it looks like the records below it."""
    if not records or any(name in records[0] for name in names):
        return True
    first, body = records[0], records[1:]
    if not body or (len(set(first)) < len(first) and not any(map(_is_quantity, first))):
        return True
    if first[0] == "" or [*first] in ([str(k) for k in range(n, n + len(first))] for n in (0, 1)):
        return True  # pandas' own: an index without a name; numbered columns
    votes = 0
    for k, cell in enumerate(first):
        column = [record[k] for record in body if k < len(record)]
        values = [c for c in column if c not in MISSING]
        if not values:
            continue
        if sum(map(_is_value, values)) >= 0.9 * len(values):
            votes += -1 if cell in values or _is_quantity(cell) else 1
        elif cell in values:
            votes -= 1
        elif _is_quantity(cell) or len(set(values)) < len(values) / 2:
            votes += 1
    return votes >= 0


def _fits(cells: Sequence[str]) -> dict[str, int]:
    """How many cells each sign reads; where one reads all and another does not, of that one at most as many."""
    every = {sign: len(cells) * all(map(p.fullmatch, cells)) for sign, p in _PLAIN.items()}
    if any(every.values()):
        return every
    return {sign: sum(bool(p.fullmatch(cell)) for cell in cells) for sign, p in _PLAIN.items()}


def _find_decimal(records: Sequence[Sequence[str]], separator: str) -> str | None:
    """The decimal sign that cells of the sample can only be read with, by columns; None where none says.

    A comma with three digits behind it may group thousands; between semicolons it is taken for a decimal sign where
    nothing else is said.
    """
    votes: Counter[str] = Counter()
    for column in zip(*(r for r in records if len(r) == len(records[0])), strict=True) if records else ():
        cells = [cell for cell in set(column) if cell not in MISSING and cell not in MISSING_AMONG_NUMBERS]
        fits = _fits(cells)
        if not cells or max(fits.values()) < 0.9 * len(cells):
            continue
        if fits["."] == fits[","]:
            votes[","] += numerals.only_groups(cells, ".")
            votes["."] += numerals.only_groups(cells, ",")
            continue
        votes[max(fits, key=fits.__getitem__)] += 1
    if votes.total():
        return votes.most_common(1)[0][0]
    doubtful = separator == ";" and any(re.fullmatch(r"\d+,\d{3}", cell) for record in records for cell in record)
    return "," if doubtful else None
