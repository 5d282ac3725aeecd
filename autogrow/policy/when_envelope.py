"""When to grow, along the envelope of all sizes: once being larger promises more than seeing more rows does.

At each budget some fixed size is best, a larger one the larger the budget is. A net that does not know its budget can
keep to that envelope by asking, at any time, which of two things lowers its loss more for the same FLOPs: a share more
rows, or a share more parameters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from autogrow.errors import ConfigError
from autogrow.policy.history import History, Options, Row
from autogrow.policy.rows import read
from autogrow.policy.signals import branch
from autogrow.policy.verdict import Verdict

LEAST = 4
"""Checks that a line is put through, at least."""

SPAN = 1.6
"""A line is put through the checks since the run had 1/1.6 of its steps."""

SETTLED, FAR = 1.15, 3.0
"""Times the steps at a growth: before the first the loss says more of the growth than of the size; beyond the second
the smaller net's line leads too far."""

TINY = 1e-12
"""The least score that has a logarithm here."""


@dataclass(frozen=True)
class Envelope:
    """Grow once a share more parameters promises more than the same share more rows.

    A step costs FLOPs in proportion to the parameters, and training goes on in proportion to the rows: for the same
    FLOPs a run may see a share more rows, or be a share larger. What rows bring is the fall of the score per e-fold of
    rows, from the run's latest checks of this size. What parameters bring is known from the last growth: how far the
    score is below where the smaller net's own line, put through its last checks, would have led, per e-fold of
    parameters, once the larger net is three times as old as that growth. `ratio` times that is expected of the next
    one: above 1, as the straight line flatters the smaller net. (Scores and rows are taken by their logarithms.) For a
    loss L(N, D) of parameters N and rows D this is to grow where −∂L/∂ln N exceeds −∂L/∂ln D, which is how Hoffmann et
    al. (arXiv 2203.15556) find the best size for a budget. The budget itself is not asked for.

    The first growth comes at `first` rows a parameter, and none before `least`: a larger net that has seen fewer is
    not told from a smaller one. With a limit of steps none comes behind `latest` of it: new units need time.
    """

    first: float = 600.0
    least: float = 100.0
    ratio: float = 1.5
    latest: float = 0.5

    def __post_init__(self) -> None:
        for name, value in (("first", self.first), ("least", self.least), ("ratio", self.ratio)):
            if not value > 0:
                raise ConfigError(f"growth.when.{name} must be above 0, got {value}")
        if not 0 < self.latest <= 1:
            raise ConfigError(f"growth.when.latest must be in (0, 1], a share of the run's steps, got {self.latest}")

    def __call__(self, history: History, options: Options) -> Verdict:
        """Yes where parameters promise more than rows."""
        now = history[-1]
        if not now.finite():
            return Verdict(False, f"the losses at check {now.check} are not finite")
        if options.max_steps is not None and now.step > self.latest * options.max_steps:
            return Verdict(False, f"step {now.step} is behind {self.latest:g} of the run's {options.max_steps} steps")
        rows = branch(history)
        seen = rows_seen(history) / now.parameters
        began = sizes_began(rows)
        needed = self.least if len(began) > 1 else self.first
        if seen < needed:
            return Verdict(False, f"the net has seen {seen:.3g} rows a parameter (at least {needed:g})")
        if len(began) == 1:
            return Verdict(True, f"the net has seen {seen:.3g} rows a parameter (the first growth comes at {needed:g})")
        return self._compared(rows[began[-2] : began[-1]], rows[began[-1] :])

    def _compared(self, before: Sequence[Row], here: Sequence[Row]) -> Verdict:
        grown = before[-1].step
        old, now = _latest(before), _latest([row for row in here if row.step >= SETTLED * grown])
        then = _latest([row for row in here if SETTLED * grown <= row.step <= FAR * grown])
        few = min(len(old), len(now), len(then))
        if few < LEAST:
            return Verdict(False, f"{few} checks of this size or the last are too few to put a line through ({LEAST})")
        by_rows = -_line(now).slope
        step = math.log(then[-1].step)
        larger = math.log(here[-1].parameters / before[-1].parameters)
        gained = _line(old).at(step) - _line(then).at(step)
        by_size = self.ratio * gained / larger if larger > 0 else 0.0
        fires = by_size > by_rows
        return Verdict(
            fires,
            f"an e-fold of parameters promises {100 * by_size:.3g} % of the score ({self.ratio:g} × what the last growth "
            f"has brought), {'' if fires else 'not '}more than an e-fold of rows, {100 * by_rows:.3g} %",
        )


def rows_seen(history: History) -> float:
    """About how many rows a net was trained on: by its training FLOPs, three forward passes a row."""
    return read(history, "rows seen", 0.0, _with_rows)


def _with_rows(seen: float, before: Row | None, row: Row) -> float:
    flops = row.train_flops - (0 if before is None else before.train_flops)
    return seen + flops / (3 * max(1, row.flops_per_sample))


def sizes_began(rows: Sequence[Row]) -> tuple[int, ...]:
    """The places of the first rows of each size, in a branch that has rows."""
    start: tuple[int, tuple[int, ...]] = (0, ())
    return read(rows, "sizes began", start, _with_size)[1]


def _with_size(seen: tuple[int, tuple[int, ...]], before: Row | None, row: Row) -> tuple[int, tuple[int, ...]]:
    place, began = seen
    changed = before is None or before.parameters != row.parameters
    return place + 1, (*began, place) if changed else began


def _latest(rows: Sequence[Row]) -> list[Row]:
    """Those of the rows that a line is put through, oldest first."""
    taken: list[Row] = []
    for i in range(len(rows) - 1, -1, -1):
        if SPAN * rows[i].step < rows[-1].step:
            break
        if rows[i].finite():
            taken.append(rows[i])
    return taken[::-1]


class _Line(NamedTuple):
    """The logarithm of the score as a line over the logarithm of the steps."""

    level: float
    slope: float

    def at(self, x: float) -> float:
        return self.level + self.slope * x


def _line(rows: Sequence[Row]) -> _Line:
    """By least squares."""
    x, y = [math.log(row.step) for row in rows], [math.log(max(row.score, TINY)) for row in rows]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    spread = sum((a - mean_x) ** 2 for a in x)
    slope = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / spread
    return _Line(mean_y - slope * mean_x, slope)
