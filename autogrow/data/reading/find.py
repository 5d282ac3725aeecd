"""Find how a column of text is to be read, from the column and from what the settings ask for.

u distinct texts of a column, in the order in which they come.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from autogrow.data.reading import dates, numerals
from autogrow.data.reading.column import BOOLEANS, MISSING, MISSING_AMONG_NUMBERS, Reading, refuse_rows
from autogrow.errors import DataError
from autogrow.overrides import quoted

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 200  # distinct texts that a column is looked at by before all are
_NEARLY = 0.9  # of them have to be numbers for the others to be named


@dataclass(frozen=True)
class Asked:
    """What settings and file say of columns.

    decimal: the file's sign.  sure: whether the settings or a value in the file say so.  thousands: the one sign that
    may group, None for any.  numeric: names to be numbers, whatever they hold.  dates: names to be dates, each with
    its format or None.  as_they_are: names whose text is left alone.
    """

    decimal: str = "."
    sure: bool = False
    thousands: str | None = None
    numeric: tuple[str, ...] = ()
    dates: Mapping[str, str | None] = field(default_factory=dict)
    as_they_are: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """How a column is read, what its user should know of that, and the habit by which numbers are not plain ones."""

    reading: Reading
    notes: tuple[str, ...] = ()
    habit: str = ""


TEXT = Found(Reading("text"))


def find_reading(column: pd.Series, asked: Asked, *, target: bool = False) -> Found:
    """How a column of text (n,) is read; what is no number, boolean or date stays text.

    A target's words stay words: they are the labels. Raises DataError, rows named, for a column that writes decimals in
    two ways, and one that is no numbers or dates where the settings say it is.
    """
    name = str(column.name)
    written = column.dropna().drop_duplicates().astype("str")
    texts = written.str.strip()
    texts = texts[~texts.isin(MISSING)]
    texts = texts if texts.str.len().sum() == written.str.len().sum() else texts.drop_duplicates()
    if name in asked.as_they_are or not len(texts):
        return TEXT
    if name in asked.dates:
        return _as_dates(column, texts, asked.dates[name])
    if name not in asked.numeric and not target and _are_booleans(texts):
        return Found(Reading("boolean"))
    values = texts[~texts.isin(MISSING_AMONG_NUMBERS)]
    marks = texts[texts.isin(MISSING_AMONG_NUMBERS)]
    found = (_numbers(column, values, asked, target) or _dates(name, values) or TEXT) if len(values) else TEXT
    if found.reading.kind == "text" or not len(marks):
        return found
    said = f"column {name!r}: {', '.join(map(repr, marks))} among {found.reading.said()} is read as missing"
    return Found(found.reading, (*found.notes, said), found.habit)


def _are_booleans(texts: pd.Series) -> bool:
    words = set(texts.iloc[:10].str.lower())
    return len(texts) < 10 and any(
        words == set(pair) or (words < set(pair) and len(min(words, key=len)) > 1) for pair in BOOLEANS
    )


def _numbers(column: pd.Series, texts: pd.Series, asked: Asked, target: bool) -> Found | None:
    """The column as numbers; None where it holds others things, a note where it nearly does not."""
    name, forced = str(column.name), str(column.name) in asked.numeric
    shown = texts.iloc[:_SHOWN]
    of_shown = numerals.matches(shown, ".") | numerals.matches(shown, ",")
    if not forced and of_shown.mean() < _NEARLY:
        return None
    fits = {sign: numerals.matches(texts, sign, _thousands(sign, asked)) for sign in numerals.DECIMALS}
    either = fits["."] | fits[","]
    if not either.all():
        if forced:
            refuse_rows(column, set(texts[~either]), "must hold numbers (data.numeric)")
        if either.mean() < _NEARLY:
            return None
        odd = texts[~either]
        return Found(Reading("text"), (_nearly_numbers(name, odd),))
    whole = [sign for sign in numerals.DECIMALS if fits[sign].all()]
    if not whole:
        first = {sign: texts[fits[sign] & ~fits[other]].iloc[0] for sign, other in ((".", ","), (",", "."))}
        refuse_rows(
            column, set(first.values()),
            f"writes decimals in two ways; clean it, or data.categorical=[{name}] keeps it as text",
        )  # fmt: skip
    decimal, certain = decimal_sign(texts, whole, asked)
    units = numerals.units(texts)
    if len(units - {""}) > 1 or units == {"", "%"}:
        if forced or target:
            what = "target" if target else "column"
            raise DataError(
                f"{what} {name!r} must hold numbers of one currency, or percents alone, got {_listed(units)}; "
                "bring them to one unit first"
            )
        return Found(Reading("text"), (f"column {name!r} is text: its numbers have several units: {_listed(units)}",))
    return Found(Reading("number", decimal), *_said(name, texts, decimal, certain, units, asked))


def _thousands(decimal: str, asked: Asked) -> str | None:
    return asked.thousands if asked.thousands is not None and asked.thousands in numerals.GROUPS[decimal] else None


def decimal_sign(texts: pd.Series, whole: list[str], asked: Asked) -> tuple[str, bool]:
    """The decimal sign of numbers that can be read with those in `whole`, and whether that is certain."""
    if len(whole) == 1:
        return whole[0], True
    for sign, other in (",.", ".,"):
        if numerals.only_groups(texts, sign):
            return other, True
    return asked.decimal, asked.sure or not texts.str.contains(r"\d[.,]\d").any()


def _said(
    name: str, texts: pd.Series, decimal: str, certain: bool, units: set[str], asked: Asked
) -> tuple[tuple[str, ...], str]:
    """What the user should know of numbers that are not written plainly, with an example; and the habit, if certain."""
    grouped = texts[numerals.grouped(texts, decimal)]
    unit = texts[texts.str.contains(r"[^\d.,' ]", regex=True)] if units != {""} else texts[:0]
    example = next((some.iloc[0] for some in (grouped, unit, texts) if len(some)), "")
    if not len(grouped) and not len(unit) and decimal == asked.decimal:
        return (), ""
    value = float(numerals.to_numbers(texts[texts == example], decimal).iloc[0])
    rules = ["thousands"] * bool(len(grouped))
    rules += ["percent" if "%" in units else "currency"] * (units != {""})
    rules += ["decimal comma" if decimal == "," else "decimal point"] * (decimal != asked.decimal)
    habit = ", ".join(rules)
    said = f"column {name!r}: {example!r} is read as {value:.10g} ({habit})"
    if not certain:
        return (f'{said}; if it is a decimal sign: data.decimal="{"," if decimal == "." else "."}"',), ""
    return (said,), habit


def _nearly_numbers(name: str, odd: pd.Series) -> str:
    shown = ", ".join(repr(text) for text in odd.iloc[:3])
    return (
        f"column {name!r} is text: nearly all of its values are numbers, but {shown} "
        f"{'are' if len(odd) > 1 else 'is'} not; {_missing(*odd.iloc[:3])}"
    )


def _missing(*marks: str) -> str:
    """What would make marks missing, as it is typed."""
    listed = ",".join(mark if re.fullmatch(r"[\w.?-]+", mark) else quoted(mark) for mark in marks)
    typed = f"data.missing=[{listed}]"
    shown = f'"{typed}"' if "'" in typed else typed
    return f"{shown} would make {'them' if len(marks) > 1 else 'it'} missing"


def _dates(name: str, texts: pd.Series) -> Found | None:
    found = dates.find_dates(texts)
    if found is None:
        return None
    if isinstance(found, dates.Unreadable):
        like = f" as {', '.join(found.formats)}" if found.formats else ""
        said = f"column {name!r} is text: its values read{like} but {found.text!r} does not"
        is_mark = not any(sign.isdigit() for sign in found.text)
        return Found(Reading("text"), (f"{said}; {_missing(found.text)}" if is_mark else said,))
    notes = (f"column {name!r}: {found.note}",) if found.note else ()
    return Found(Reading("date", formats=found.formats), notes)


def _as_dates(column: pd.Series, texts: pd.Series, form: str | None) -> Found:
    texts = texts[~texts.isin(MISSING_AMONG_NUMBERS)]
    if form is None:
        found = dates.find_dates(texts)
        if not isinstance(found, dates.Dates):
            odd = texts.iloc[0] if found is None else found.text
            refuse_rows(column, {odd}, f'must hold dates; give its format: data.dates={{{column.name}: "%d.%m.%Y"}}')
            raise AssertionError
        notes = (f"column {column.name!r}: {found.note}",) if found.note else ()
        return Found(Reading("date", formats=found.formats), notes)
    try:
        moments = dates.parse(texts, form)
    except ValueError as error:
        raise DataError(f"data.dates: {form!r} is not a format of dates ({' '.join(str(error).split())})") from None
    if moments.isna().any():
        refuse_rows(column, set(texts[moments.isna()]), f"must hold dates as {form}")
    return Found(Reading("date", formats=(form,)))


def _listed(units: set[str]) -> str:
    return ", ".join(sorted(unit or "none" for unit in units))
