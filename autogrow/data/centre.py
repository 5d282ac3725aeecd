"""What 32-bit floats cannot tell apart, and how it is saved: such a column is centred and scaled in 64 bits first.

A 32-bit float holds 24 bits: of Unix seconds it knows every second minute, of numbers around a billion every
sixty-fourth. A net sees a value less its column's mean, so what is lost in the rounding before is lost for good.

n values of a column.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

KEPT = 1e-5  # of a standard deviation: rounding that moves no value by more changes nothing that a net could learn
SMALLEST, LARGEST = 1e-30, 1e30  # standard deviations whose inverse is a 32-bit float of full precision
NOISE = 4  # last digits of the largest value: a column that varies by no more is constant but for rounding

_LOOKED_AT = 1 << 12, 1 << 16  # values that most columns are judged by, and most others
_SURELY = 0.99  # of a standard deviation: what the rounding of its sum can be


@dataclass(frozen=True)
class Centring:
    """What is done to a column in 64 bits: (value − origin) / spread. A spread of 0: it is constant, and says 0."""

    origin: float
    spread: float

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """float64 (n,) → float64 (n,). What is missing stays so."""
        if self.spread == 0:
            return np.where(np.isfinite(values), 0.0, values)
        with np.errstate(over="ignore"):
            moved: np.ndarray = (values - self.origin) / self.spread
        return moved


def centring_of(values: np.ndarray, *, precision: float = np.finfo(np.float64).eps) -> Centring | None:
    """What a column (n,), floats, needs so that rounding to 32 bits takes nothing from it; None where it is nothing.

    NaN is missing, other values are finite. precision: of the type that the column is stored in.

    >>> centring_of(np.array([0.1, 0.25, np.nan])) is None
    True
    >>> centring_of(np.array([1_700_000_000.0, 1_700_000_060.0]))
    Centring(origin=1700000030.0, spread=30.0)
    """
    gaps = np.isnan(values)
    seen = values[~gaps] if gaps.any() else values
    if not len(seen) or rounds_well(seen, precision=precision):
        return None
    seen = seen.astype(np.float64, copy=False)
    rounded = single_precision(seen)
    if is_constant(seen, precision=precision):
        return None if rounded.min() == rounded.max() else Centring(float(seen[0]), 0.0)
    std = spread_of(seen)
    if rounding_is_harmless(seen, std):
        return None
    return Centring(mean_of(seen), std)


def is_constant(values: np.ndarray, *, precision: float = np.finfo(np.float64).eps) -> bool:
    """Whether values (n,) differ by no more than the last digits of what they are stored in."""
    low, high = float(values.min()), float(values.max())
    return high - low <= NOISE * precision * max(abs(low), abs(high))


def rounding_is_harmless(values: np.ndarray, std: float) -> bool:
    """Whether values (n,) with this standard deviation can be rounded to 32 bits as they are."""
    if not SMALLEST <= std <= LARGEST:
        return False
    return float(np.abs(single_precision(values) - values).max()) <= KEPT * std


def rounds_well(
    values: np.ndarray, rows: np.ndarray | None = None, *, precision: float = np.finfo(np.float64).eps,
    kept: float = KEPT,
) -> bool:  # fmt: skip
    """Whether values (n,), none missing, are surely told apart in 32 bits: from their least and largest one and a part
    of them. A standard deviation is at least that of every k-th value over √k. False where only all of them can say.

    rows: that only these (m,) are meant, in any order; then what may be missing, or far off, is so in all n.
    """
    low, high = float(values.min()), float(values.max())
    size, meant = max(abs(low), abs(high)), len(values) if rows is None else len(rows)
    if not np.isfinite(size) or high - low > LARGEST or high - low <= NOISE * precision * size:
        return False
    for looked_at in _LOOKED_AT:
        some = values[:: max(1, meant // looked_at)] if rows is None else values[rows[:looked_at]]
        part = some.astype(np.float64, copy=False)
        std = float(part.std()) * (len(part) / meant) ** 0.5 * _SURELY
        if std >= SMALLEST and size * 2.0**-24 <= kept * std:
            return True
        if len(part) == meant:
            break
    return False


def scaled_values_round_well(mean: float, std: float) -> bool:
    """Whether 32 bits hold the values of a column of which only mean and standard deviation are known."""
    return SMALLEST <= std <= LARGEST and abs(mean) * 2.0**-24 <= KEPT * std


def mean_of(values: np.ndarray) -> float:
    """The mean (n,) by the distances from one of them: as exact as the values, however far from 0 they lie."""
    return float(values[0] + (values - values[0]).mean())


def spread_of(values: np.ndarray) -> float:
    """The standard deviation (n,), likewise, and of numbers so small that their squares are 0."""
    distances = values - values[0]
    unit = float(np.abs(distances).max()) or 1.0
    return float((distances / unit).std()) * unit


def told_apart(values: np.ndarray) -> np.ndarray:
    """The values (n,) in 32 bits where these tell them apart well enough, else as they are: for a fingerprint."""
    return single_precision(values) if centring_of(values) is None else values.astype(np.float64, copy=False)


def single_precision(values: np.ndarray) -> np.ndarray:
    """The values (n,) in 32 bits, infinite where they are beyond these."""
    with np.errstate(over="ignore"):  # what is beyond 32 bits is refused by name where it is encoded
        rounded: np.ndarray = values.astype(np.float32, copy=False)
    return rounded
