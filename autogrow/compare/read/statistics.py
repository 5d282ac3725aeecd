"""The statistics of a comparison: means with intervals, paired differences, ratios.
Plain lists in, plain floats out, always the same.

Intervals are percentile bootstraps over seeds, widened for small n: the plain one covers the mean in 84 % instead of 95
% of cases with five seeds. Source of the correction: T. Hesterberg, What teachers should know about the bootstrap, The
American Statistician 69 (2015), 371–386 (the expanded percentile interval).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.95
ENOUGH = 5
"""Fewer seeds than this are too few to tell: with four,
the widest bootstrap interval there is misses the mean in one case of eight.
"""

_RESAMPLES = 9999


@dataclass(frozen=True)
class Mean:
    """A mean and its interval; `low` and `high` are None where one value says nothing about its spread."""

    value: float
    low: float | None
    high: float | None


def mean(values: Sequence[float]) -> Mean:
    """The mean with its bootstrap interval (95 %), the same at every call.

    >>> mean([0.5, 0.5, 0.5])
    Mean(value=0.5, low=0.5, high=0.5)
    >>> mean([0.25])
    Mean(value=0.25, low=None, high=None)
    """
    x = np.asarray(values, dtype=float)
    value = float(x.mean())
    if len(x) < 2:
        return Mean(value, None, None)
    if np.ptp(x) == 0:
        return Mean(value, value, value)
    # around the mean: differences then have exactly the mirrored interval of their negatives
    found = stats.bootstrap(
        (x - value,),
        np.mean,
        n_resamples=_RESAMPLES,
        confidence_level=expanded_level(len(x)),
        method="percentile",
        random_state=np.random.default_rng(0),
    ).confidence_interval
    return Mean(value, value + float(found.low), value + float(found.high))


def expanded_level(n: int, level: float = LEVEL) -> float:
    """The level at which a percentile bootstrap of n values covers as Student's t does at `level` (Hesterberg 2015,
    section 3.2).

    >>> round(expanded_level(5), 4), round(expanded_level(1000), 4)
    (0.9981, 0.9504)
    """
    wide = math.sqrt(n / (n - 1)) * stats.t.ppf((1 + level) / 2, n - 1)
    return min(float(2 * stats.norm.cdf(wide) - 1), 1 - 1e-12)


def interquartile_mean(values: Sequence[float]) -> float:
    """The mean without the lowest and the highest quarter of the values (rounded down).

    >>> interquartile_mean([0, 1, 2, 3, 100])
    2.0
    """
    return float(stats.trim_mean(np.asarray(values, dtype=float), 0.25))


def geometric_ratio(a: Sequence[float], b: Sequence[float]) -> float | None:
    """The geometric mean of a/b, pair by pair; None where a value is not above 0.

    >>> geometric_ratio([1, 8], [2, 4])
    1.0
    """
    if not a or min(*a, *b) <= 0:
        return None
    return float(math.exp(np.mean(np.log(np.asarray(a, dtype=float)) - np.log(np.asarray(b, dtype=float)))))
