"""Numbers to places on paper: linear and logarithmic scales, and round ticks for them.

Positions are percentages of the plot, 0 at the left and at the top, so that a figure fits any width of screen or paper.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

LOG_FROM = 8.0  # a curve that spans this factor is read better on a logarithmic scale
SMALL = 1e-12


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: where (percent) and what it says."""

    at: float
    label: str


@dataclass(frozen=True)
class Scale:
    """Values between `low` and `high` onto 0…100; `log` spaces them by ratio,
    and what is below `low` (a zero) stands on the edge.
    """

    low: float
    high: float
    log: bool = False

    def at(self, value: float) -> float:
        """Percent of the way from low to high.

        >>> Scale(0, 4).at(1), Scale(0.01, 1, log=True).at(0.1)
        (25.0, 50.0)
        """
        low, high = self.low, self.high
        if self.log:
            low, high, value = (math.log10(max(v, self.low)) for v in (low, high, value))
        return round(100 * (value - low) / (high - low), 2)

    def from_top(self, value: float) -> float:
        """Percent from the top of a plot whose bottom is `low`."""
        return round(100 - self.at(value), 2)

    def round_values(self, most: int = 5) -> list[float]:
        """At most about `most` round values inside the scale.

        >>> Scale(0, 10).round_values(), Scale(0.03, 2.5, log=True).round_values()
        ([0.0, 2.0, 4.0, 6.0, 8.0, 10.0], [0.05, 0.1, 0.2, 0.5, 1.0, 2.0])
        """
        if self.log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            for digits in ((1, 2, 5), (1, 3), (1,)):
                values = [float(f"{d}e{p}") for p in powers for d in digits]
                inside = [v for v in values if self.low <= v <= self.high]
                if len(inside) <= most + 1:
                    return inside
            return inside[:: math.ceil(len(inside) / most)]
        step = _round_step((self.high - self.low) / most)
        first = math.ceil(self.low / step - 1e-9)
        return [k * step for k in range(first, math.floor(self.high / step + 1e-9) + 1)]

    def ticks(self, label: Callable[[float], str], most: int = 5, *, down: bool = True) -> list[Tick]:
        """Ticks at round values; `down` measures them from the top."""
        return [Tick(self.from_top(v) if down else self.at(v), label(v)) for v in self.round_values(most)]


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * m for m in (1, 2, 5, 10) if power * m >= rough * 0.999)


def fit(values: Iterable[float], *, zero: bool = False, may_log: bool = True) -> Scale:
    """A scale that holds all finite values, with a little air; `zero` makes it hold 0 as well.

    >>> fit([2.0, 0.02]).log, fit([2.0, 1.0]).log, fit([]), fit([3.0])
    (True, False, Scale(low=0.0, high=1.0, log=False), Scale(low=2.7, high=3.3, log=False))
    """
    finite = [v for v in values if math.isfinite(v)] + ([0.0] if zero else [])
    if not finite:
        return Scale(0.0, 1.0)
    low, high = min(finite), max(finite)
    least = min((v for v in finite if v > SMALL), default=high)
    if may_log and low >= 0 and high >= LOG_FROM * least > 0:
        air = (high / least) ** 0.05
        return Scale(least / (air if low >= least else max(air, 2.0)), high * air, log=True)
    air = 0.06 * (high - low)
    if air < SMALL * max(1.0, abs(high)):  # all values are one
        air = max(0.1 * abs(high), 1e-6)
    return Scale(low if zero and low == 0 else low - air, high + air)


def fit_late(values: Sequence[float], others: Iterable[float] = (), *, early: float = 0.25, room: float = 2.5) -> Scale:
    """A linear scale for curves that may begin far above where they end, on which a late rise is a rise on paper.

    It holds what is there behind their first quarter, and `others`, and of the start what is at most `room` times as
    high; what is above that stands outside.

    >>> scale = fit_late([0.9, 0.1, 0.02, 0.03])
    >>> round(scale.low, 3), round(scale.high, 3), scale.log
    (0.0, 0.265, False)
    """
    late = values[math.ceil(early * len(values)) :] if len(values) > 3 else values
    finite = [v for v in (*late, *others) if math.isfinite(v)]
    if not finite:
        return Scale(0.0, 1.0)
    top = max(finite)
    shown = [*finite, *(min(v, room * top) for v in values if math.isfinite(v))]
    return fit(shown, zero=min(shown) < max(shown) / 2, may_log=False)


def path(xs: Sequence[float], ys: Sequence[float | None], cut: frozenset[int] = frozenset()) -> str:
    """SVG path data, in tenths of a percent, through the points that are there.

    The line is interrupted where y is None and before the indices in `cut`. A lone point is a stroke of no length: with
    round caps, a dot.

    >>> path([0, 50, 100], [10.0, 20.0, None])
    'M0 100L500 200'
    >>> path([0, 50], [10.0, 20.0], cut=frozenset([1]))
    'M0 100h0M500 200h0'
    """
    runs: list[list[str]] = [[]]
    for i, (x, y) in enumerate(zip(xs, ys, strict=True)):
        if y is None or i in cut:
            runs.append([])
        if y is not None:
            runs[-1].append(f"{10 * x:.0f} {10 * y:.1f}".removesuffix(".0"))
    return "".join("M" + "L".join(run) + ("h0" if len(run) == 1 else "") for run in runs if run)
