"""The decimal sign of a table that a net is asked about, where it is another than in the one that it learned from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from autogrow.data.reading import numerals
from autogrow.data.reading.column import MISSING, MISSING_AMONG_NUMBERS, Reading
from autogrow.data.reading.find import Asked, decimal_sign

if TYPE_CHECKING:
    import pandas as pd


def readings_as_written(sample: pd.DataFrame, numbers: Mapping[str, Reading | None]) -> dict[str, Reading]:
    """How the columns of numbers of a text file are read by its own decimal sign; none where they are read as in
    training, or where the file does not say for certain that they are not.

    sample: first rows (n, …), as text.  numbers: how a column was read in training, None for plain numbers.
    """
    texts = {name: _texts(sample[name]) for name in numbers}
    odd = [name for name, reading in numbers.items() if not _reads(texts[name], reading)]
    whole = {name: [s for s in numerals.DECIMALS if numerals.matches(t, s).all()] for name, t in texts.items()}
    signs = {whole[name][0] for name in odd if len(whole[name]) == 1}
    if len(signs) != 1:  # of no odd column it is certain, or they differ
        return {}
    (sign,) = signs
    if any(sign not in fits for fits in whole.values()):
        return {}
    if any(numerals.units(texts[name]) - {""} for name, reading in numbers.items() if reading is None):
        return {}  # prices or percents, where there were bare numbers
    asked = Asked(sign, sure=True)
    return {name: Reading("number", decimal_sign(texts[name], fits, asked)[0]) for name, fits in whole.items()}


def _texts(column: pd.Series) -> pd.Series:
    texts = column.dropna().drop_duplicates().astype("str").str.strip()
    return texts[~texts.isin([*MISSING, *MISSING_AMONG_NUMBERS])]


def _reads(texts: pd.Series, reading: Reading | None) -> bool:
    """Whether all texts are read as in training."""
    import pandas as pd

    if reading is not None:
        return bool(numerals.matches(texts, reading.decimal).all())
    return bool(pd.to_numeric(texts, errors="coerce").notna().all())
