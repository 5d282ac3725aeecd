"""Numbers as people write them: 1,234.5 or 1.234,5, with a currency or a percent sign.

A *grammar* is a decimal sign with the signs that may group thousands beside it. A group has three digits, and the first
does not begin with 0: 0,123 is no thousand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
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


def signs(decimal: str) -> str:
    """The pattern of all that is taken out of a number text of this grammar before its decimal sign becomes a point."""
    return f"{_CURRENCY}|[% \u00a0\u202f\u2009{GROUPS[decimal]}]"


def to_numbers(texts: pd.Series, decimal: str) -> pd.Series:
    """Texts that match the grammar of `decimal` as float64 (n,); a percent is the number in front of its sign."""
    import pandas as pd

    plain = texts.str.replace(signs(decimal), "", regex=True)
    plain = plain.str.replace("−", "-", regex=False).str.replace(decimal, ".", regex=False)
    return pd.to_numeric(plain).astype("float64")


def units(texts: pd.Series) -> set[str]:
    """The currency and percent signs that occur, '' for a text without one."""
    left = texts[texts.str.contains(f"{_CURRENCY}|%", regex=True)]
    found = {""} if len(left) < len(texts) else set()
    while len(left):
        unit = left.iloc[:1].str.extract(f"({_CURRENCY}|%)", expand=False).iloc[0]
        found.add(unit)
        left = left[~left.str.contains(unit, regex=False)]
    return found


def only_groups(texts: Iterable[str], sign: str) -> bool:
    """Whether a sign can only group thousands in these numbers, though each could be read with it as a decimal sign.

    So it is where a round number is written out (1.200) and one below a thousand has none (276): who writes as few
    decimals as he can does not do the former, and who writes a fixed number of them not the latter.

    >>> only_groups(["1.200", "276"], "."), only_groups(["1.234", "276"], "."), only_groups(["1.200", "0.276"], ".")
    (True, False, False)
    """
    bare = [re.sub(rf"{_CURRENCY}|[%+\-− \u00a0\u202f\u2009]", "", text) for text in texts]
    grouped_ones = [text for text in bare if sign in text]
    fits = all(re.fullmatch(rf"[1-9]\d{{0,2}}(?:[{sign}]\d{{3}})+", text) for text in grouped_ones)
    return (
        fits and any(text.endswith("0") for text in grouped_ones)
        and len(grouped_ones) < len(bare) and all(re.fullmatch(r"\d{1,3}", text) for text in bare if sign not in text)
    )  # fmt: skip


def grouped(texts: pd.Series, decimal: str) -> pd.Series:
    """Which texts (n,) hold a sign that groups thousands."""
    return texts.str.contains(rf"\d[{GROUPS[decimal]}]\d{{3}}", regex=True)
