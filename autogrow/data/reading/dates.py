"""Dates as people write them: 2012/01/01, 31.12.2024 18:30, 3 May 1999, ISO with offsets.

A *format* is one of `strptime`, or `ISO8601` for all that standard allows. Moments are read as UTC; one without an
offset is taken as it stands. Years are 1 to 9999.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

ISO = "ISO8601"
MOST = 6  # formats in one column; more is no habit of writing
_SHOWN = 200  # distinct values that a column is looked at by before all are

_TIME = re.compile(
    r"(?P<between>[T ]|, )(?P<hour>\d{1,2}):\d{2}(?P<second>:\d{2})?(?P<fraction>\.\d{1,9})?"
    r"(?P<half> ?[AaPp][Mm])?(?P<zone> ?(?:Z|UTC|GMT|[+-]\d{2}:?\d{2}))?$"
)
_ISO = re.compile(r"\d{4}-\d{1,2}-\d{1,2}$|\d{4}-\d{2}$")
_YEAR_FIRST = re.compile(r"\d{4}(?P<sign>[/.])\d{1,2}(?P=sign)\d{1,2}$")
_YEAR_LAST = re.compile(r"\d{1,2}(?P<sign>[-/.])\d{1,2}(?P=sign)(?P<year>\d{4}|\d{2})$")
_NAMED = {
    re.compile(r"\d{1,2} [A-Za-z]+ \d{4}$"): "%d {month} %Y",
    re.compile(r"\d{1,2}-[A-Za-z]+-\d{4}$"): "%d-{month}-%Y",
    re.compile(r"\d{1,2}-[A-Za-z]+-\d{2}$"): "%d-{month}-%y",
    re.compile(r"[A-Za-z]+ \d{1,2}, \d{4}$"): "{month} %d, %Y",
    re.compile(r"[A-Za-z]+ \d{1,2} \d{4}$"): "{month} %d %Y",
}


class Dates(NamedTuple):
    """The formats of a column, each for the values that those before it do not read, and what its user should know."""

    formats: tuple[str, ...]
    note: str = ""


class Unreadable(NamedTuple):
    """Why a column that looks like dates is none: the text that cannot be read, and the formats of the others."""

    text: str
    formats: tuple[str, ...]


def candidates(text: str) -> tuple[str, ...]:
    """The formats that a text may have: none, one, or day first and month first.

    >>> candidates("2012/01/01"), candidates("31.12.2024 18:30"), candidates("soon")
    (('%Y/%m/%d',), ('%d.%m.%Y %H:%M', '%m.%d.%Y %H:%M'), ())
    """
    time = _TIME.search(text)
    day, suffix = (text, "") if time is None else (text[: time.start()], _time_format(time))
    if _ISO.match(day):
        return (ISO,) if time is None or time["half"] is None else ("%Y-%m-%d" + suffix,)
    if found := _YEAR_FIRST.match(day):
        return (f"%Y{found['sign']}%m{found['sign']}%d{suffix}",)
    if found := _YEAR_LAST.match(day):
        sign, year = found["sign"], "%Y" if len(found["year"]) == 4 else "%y"
        return tuple(f"{order}{sign}{year}{suffix}" for order in (f"%d{sign}%m", f"%m{sign}%d"))
    for pattern, named in _NAMED.items():
        if pattern.match(day):
            short = len(max(re.findall("[A-Za-z]+", day), key=len)) == 3
            return (named.format(month="%b" if short else "%B") + suffix,)
    return ()


def _time_format(time: re.Match[str]) -> str:
    second = "" if time["second"] is None else ":%S"
    fraction = "" if time["fraction"] is None else ".%f"
    half = "" if time["half"] is None else (" %p" if time["half"].startswith(" ") else "%p")
    zone = "" if time["zone"] is None else (" %z" if time["zone"].startswith(" ") else "%z")
    return f"{time['between']}{'%I' if half else '%H'}:%M{second}{fraction}{half}{zone}"


def parse(texts: pd.Series, form: str) -> pd.Series:
    """Moments (n,), UTC without saying so; NaT for what the format does not read, and outside years 1 to 9999."""
    import pandas as pd

    moments = pd.to_datetime(texts, format=form, errors="coerce", utc=True).dt.tz_localize(None)
    return moments.where(moments.dt.year.between(1, 9999)).dt.as_unit("us")


def parse_all(texts: pd.Series, formats: tuple[str, ...]) -> pd.Series:
    """Moments (n,): each text by the first of the formats that reads it, NaT where none does."""
    moments = parse(texts, formats[0])
    for form in formats[1:]:
        left = moments.isna()
        if not left.any():
            break
        moments[left] = parse(texts[left], form)
    return moments


def find_dates(texts: pd.Series) -> Dates | Unreadable | None:
    """How distinct texts (n,) are dates; None where the first ones are not, Unreadable where most are and some not.

    Whether day or month comes first is decided by the whole column: a part above 12, or the first of every month. Where
    it says nothing the month is taken to come first with a slash, the day with a dot or a dash, and the note says so.
    """
    shown = texts.iloc[:_SHOWN]
    if sum(bool(candidates(text)) for text in shown) < 0.9 * len(shown):
        return None
    formats: list[str] = []
    note, left = "", texts
    while len(left):
        found = candidates(left.iloc[0])
        if not found or len(formats) == MOST:
            return Unreadable(left.iloc[0], tuple(formats))
        form, said = (found[0], "") if len(found) == 1 else _order(left, *found)
        if not form:  # some begin with the day and some with the month
            return Unreadable(said, tuple(formats))
        moments = parse(left, form)
        if moments.isna().iloc[0]:
            return Unreadable(left.iloc[0], tuple(formats))
        formats, note, left = [*formats, form], note or said, left[moments.isna()]
    return Dates(tuple(formats), note or _offsets(texts))


def _order(texts: pd.Series, day_first: str, month_first: str) -> tuple[str, str]:
    by_day, by_month = parse(texts, day_first), parse(texts, month_first)
    read = by_day.notna() | by_month.notna()
    if by_day[read].isna().any() and by_month[read].isna().any():
        return "", texts[read & by_day.isna()].iloc[0]
    if by_day[read].isna().any() or by_month[read].isna().any():
        return (month_first if by_day[read].isna().any() else day_first), ""
    if by_day.dt.day.nunique() == 1 < by_day.dt.month.nunique():
        return day_first, ""
    if by_month.dt.day.nunique() == 1 < by_month.dt.month.nunique():
        return month_first, ""
    if by_day[read].equals(by_month[read]):
        return day_first, ""
    taken, other = (month_first, day_first) if "/" in day_first else (day_first, month_first)
    which = "month" if taken == month_first else "day"
    return taken, (
        f"{texts.iloc[0]!r} may begin with the day or the month, and no value decides it: the {which} is taken ({taken}); "
        f"the other way is {other}"
    )


def _offsets(texts: pd.Series) -> str:
    if not texts.str.contains(r"\d:\d{2}.*(?:Z|UTC|GMT|[+-]\d{2}:?\d{2})$").any():
        return ""
    zones = set(texts.str.extract(r"\d:\d{2}.*?(Z|UTC|GMT|[+-]\d{2}:?\d{2})$", expand=False).fillna("none").unique())
    if len(zones) < 2:
        return ""
    return f"its times have different offsets ({', '.join(sorted(zones)[:4])}): read as UTC"
