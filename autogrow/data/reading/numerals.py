"""Numbers as people write them: 1,234.5 or 1.234,5, with a currency or a percent sign.

A *grammar* is a decimal sign with the signs that may group thousands beside it. A group has three digits, and the first
does not begin with 0: 0,123 is no thousand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

DECIMALS = (".", ",")
GROUPS = {".": ",' \u00a0\u202f\u2009_’", ",": ".' \u00a0\u202f\u2009_’"}
"""What may group thousands, for each decimal sign."""
CURRENCIES = ("US$", "R$", "$", "€", "£", "¥", "₹", "₽", "₩", "₺", "₴", "USD", "EUR", "GBP", "CHF", "JPY", "kr", "zł")
_SPACE = "[ \u00a0\u202f\u2009]?"


def _any_of(words: tuple[str, ...]) -> str:
    return "(?:" + "|".join(word.replace("$", r"\$") for word in words) + ")"


_CURRENCY = _any_of(CURRENCIES)
_PREFIX, _SUFFIX = f"(?:{_CURRENCY}{_SPACE})?", f"(?:{_SPACE}(?:{_CURRENCY}|%))?"


def grammar(decimal: str, thousands: str | None = None) -> str:
    """The pattern of a whole number text, for a full match. thousands: the one sign that may group, None for any."""
    point = f"[{decimal}]"
    signs = GROUPS[decimal] if thousands is None else thousands
    grouped = "".join(rf"|[1-9]\d{{0,2}}(?:[{s}]\d{{3}})+" for s in signs)
    whole = rf"(?:\d+{grouped})"
    return rf"[+\-−]?{_PREFIX}[+\-−]?(?:{whole}(?:{point}\d*)?|{point}\d+)(?:[eE][+\-]?\d+)?{_SUFFIX}"


def matches(texts: pd.Series, decimal: str, thousands: str | None = None) -> pd.Series:
    """Which texts (n,) are numbers by this grammar."""
    return texts.str.fullmatch(grammar(decimal, thousands))


def to_numbers(texts: pd.Series, decimal: str) -> pd.Series:
    """Texts that match the grammar of `decimal` as float64 (n,); a percent is the number in front of its sign."""
    import pandas as pd

    plain = texts.str.replace(f"{_CURRENCY}|[% \u00a0\u202f\u2009{GROUPS[decimal]}]", "", regex=True)
    plain = plain.str.replace("−", "-", regex=False).str.replace(decimal, ".", regex=False)
    return pd.to_numeric(plain).astype("float64")


def units(texts: pd.Series) -> set[str]:
    """The currency and percent signs that occur, '' for a text without one."""
    odd = texts[texts.str.contains(f"{_CURRENCY}|%", regex=True)]
    found = set(odd.str.extract(f"({_CURRENCY}|%)", expand=False).unique())
    return found | ({""} if len(odd) < len(texts) else set())


def grouped(texts: pd.Series, decimal: str) -> pd.Series:
    """Which texts (n,) hold a sign that groups thousands."""
    return texts.str.contains(rf"\d[{GROUPS[decimal]}]\d{{3}}", regex=True)
