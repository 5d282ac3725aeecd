"""Numbers that may stand for a missing value: asked about, never decided."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

SENTINELS = (-9.0, -99.0, -999.0, -9999.0, -99999.0)


def ask_about_sentinels(table: pd.DataFrame) -> list[str]:
    """A note for each of `SENTINELS` that is the least of a column, twice or more, where all others are 0 or more."""
    asked: dict[float, list[str]] = {}
    for name in table.columns:
        column = table[name]
        if column.dtype.kind not in "if" or not len(column):
            continue
        values = column.to_numpy()
        least = np.nanmin(values) if not np.isnan(values).all() else 0.0
        if float(least) in SENTINELS and (values == least).sum() > 1 and not ((values > least) & (values < 0)).any():
            asked.setdefault(float(least), []).append(str(name))
    return [
        f"{value:.0f} is the only negative value of {', '.join(map(repr, names[:3]))}"
        f"{f' and {len(names) - 3} more' if len(names) > 3 else ''}: if it means missing, data.missing=[{value:.0f}]"
        for value, names in asked.items()
    ]
