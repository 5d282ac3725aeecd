"""How the text of one column is read: as numbers, booleans or dates, or as the categories that it is.

Found from the whole column of a file, and kept with the net: text that is handed in later is read in the same way.
n rows, u distinct texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autogrow.data.reading import dates, numerals
from autogrow.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

MISSING = (
    "", "?", "NA", "N/A", "n/a", "<NA>", "#NA", "#N/A", "#N/A N/A", "NaN", "nan", "-NaN", "-nan", "NULL", "null", "None",
    "1.#IND", "1.#QNAN", "-1.#IND", "-1.#QNAN",
)  # fmt: skip
"""Texts that are a missing value in any column (pandas' own, and the question mark of UCI's files)."""
MISSING_AMONG_NUMBERS = ("-", "--", "–", "—", ".", "..", "n.a.", "na", "none", "#VALUE!", "#DIV/0!", "#REF!")
"""Texts that are one where all others are numbers or dates; elsewhere each is a category like any other."""
BOOLEANS = (
    ("no", "yes"), ("n", "y"), ("false", "true"), ("f", "t"), ("off", "on"), ("nein", "ja"), ("falsch", "wahr"),
    ("non", "oui"), ("no", "si"), ("no", "sí"),
)  # fmt: skip


@dataclass(frozen=True)
class Reading:
    """How a column's text becomes values.

    kind: number (by the grammar of `decimal`), boolean (yes and no in any case), date (by `formats`) or text (without
    the blanks around it).
    """

    kind: str
    decimal: str = "."
    formats: tuple[str, ...] = ()

    def read(self, column: pd.Series) -> pd.Series:
        """The column (n,) with its text read; whatever is no text stays. Raises DataError naming rows and rule."""
        import pandas as pd
        from pandas.api import types

        if types.is_numeric_dtype(column.dtype) and self.kind == "date":
            column = column.astype("Int64").astype("string")  # 20240131
        if not (types.is_object_dtype(column.dtype) or types.is_string_dtype(column.dtype)):
            return column
        is_text = column.map(lambda v: isinstance(v, str)).astype(bool)
        if not is_text.any():
            return column
        codes, distinct = pd.factorize(column[is_text])
        given = pd.Series(distinct, dtype="str").str.strip()
        values = self._values(given)
        bad = values.isna() & ~given.isin([*MISSING, *MISSING_AMONG_NUMBERS])
        if bad.any() and self.kind != "text":
            refuse_rows(column, set(pd.Series(distinct)[bad]), f"must hold {self.said()}")
        read: pd.Series = values.take(codes).set_axis(column.index[is_text])
        if is_text.all():
            read.name = column.name
            return read
        whole = column.astype(object)
        whole[is_text] = read.astype(object)
        return whole if self.kind == "text" else whole.infer_objects()

    def _values(self, texts: pd.Series) -> pd.Series:
        if self.kind == "text":
            return texts.where(~texts.isin(MISSING))
        if self.kind == "date":
            return dates.parse_all(texts, self.formats)
        if self.kind == "boolean":
            words = {word: bool(k) for pair in BOOLEANS for k, word in enumerate(pair)}
            return texts.str.lower().map(words).astype("boolean").astype(object)
        fits = numerals.matches(texts, self.decimal)
        return numerals.to_numbers(texts.where(fits), self.decimal)

    def said(self) -> str:
        """What the column holds, in words."""
        if self.kind == "number":
            return "numbers" if self.decimal == "." else "numbers with a decimal comma"
        return {
            "boolean": "yes or no",
            "text": "text",
            "date": f"dates ({', '.join(f.replace('8601', '') for f in self.formats)})",
        }[self.kind]

    def state(self) -> dict[str, Any]:
        """As plain containers."""
        return {"kind": self.kind, "decimal": self.decimal, "formats": list(self.formats)}

    @staticmethod
    def from_state(state: Mapping[str, Any]) -> Reading:
        """The inverse of `state`."""
        return Reading(state["kind"], state["decimal"], tuple(state["formats"]))


def refuse_rows(column: pd.Series, texts: set[str], rule: str) -> None:
    """Raise DataError: the column breaks the rule with these texts, its first rows named (counted from 0)."""
    import numpy as np

    rows = np.flatnonzero(column.isin(list(texts)).to_numpy())
    shown = ", ".join(f"{column.iloc[r]!r} in row {r}" for r in rows[:3])
    raise DataError(
        f"column {column.name!r} {rule}, got {shown}{f' and {len(rows) - 3:,} more' if len(rows) > 3 else ''}"
    )
