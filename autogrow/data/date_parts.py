"""What a date says besides how long ago it was: its year, and where it lies in the year, month, week and day.

A part that comes round is given as sine and cosine of its share of the round: 23:00 lies beside 0:00. A part is given
only where it varies in the training rows. n rows, k encoded columns.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

ROUNDS = {"month": 12.0, "day": 31.0, "weekday": 7.0, "hour": 24.0}
"""The parts that come round, and how long their round is."""
_MICROSECONDS = 86_400_000_000


def different_days(days: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of the different ones each day (n,) is, and these, a missing one last: rows often share their days."""
    import pandas as pd

    which, different = pd.factorize(days)
    return which, np.append(different, np.nan)


def varying_parts(days: np.ndarray) -> tuple[str, ...]:
    """The parts, year among them, that take more than one value in `days` (n,), days since 1970 with NaN for missing.

    >>> varying_parts(np.array([0.0, 31.0, 59.0]))
    ('month', 'weekday')
    """
    seen = days[~np.isnan(days)]
    values = _parts(seen)
    return tuple(part for part in ("year", *ROUNDS) if len(seen) and values[part].min() < values[part].max())


def years(days: np.ndarray) -> np.ndarray:
    """The year of each day, float64 (n,); NaN where missing."""
    found: np.ndarray = np.full(len(days), np.nan)
    seen = ~np.isnan(days)
    found[seen] = _parts(days[seen])["year"]
    return found


def waves(days: np.ndarray, parts: Sequence[str]) -> np.ndarray:
    """Sine and cosine of each of the parts that come round, float32 (n, 2·parts); 0 where the date is missing."""
    found = np.zeros((len(days), 2 * len(parts)), dtype=np.float32)
    seen = ~np.isnan(days)
    values = _parts(days[seen])
    for k, part in enumerate(parts):
        angle = 2 * np.pi * values[part] / ROUNDS[part]
        found[seen, 2 * k], found[seen, 2 * k + 1] = np.sin(angle), np.cos(angle)
    return found


def _parts(days: np.ndarray) -> dict[str, np.ndarray]:
    """Each part of days without a missing one: month and day from 0, Monday is 0, hours with their fraction."""
    moments = np.round(days * _MICROSECONDS).astype("int64").astype("datetime64[us]")
    date, month = moments.astype("datetime64[D]"), moments.astype("datetime64[M]")
    year = moments.astype("datetime64[Y]")
    return {
        "year": year.astype("int64") + 1970.0,
        "month": (month - year).astype("int64").astype(float),
        "day": (date - month.astype("datetime64[D]")).astype("int64").astype(float),
        "weekday": (date.astype("int64") + 3) % 7.0,
        "hour": (moments - date).astype("int64") / (_MICROSECONDS / 24),
    }
