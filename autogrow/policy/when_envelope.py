"""When to grow, along the envelope of all sizes: once being larger promises more than seeing more rows does.

At each budget some fixed size is best, a larger one the larger the budget is. A net that does not know its budget can
keep to that envelope by asking, at any time, which of two things lowers its loss more for the same FLOPs: a share more
rows, or a share more parameters.
"""

from __future__ import annotations

import itertools
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

SPAN, STRAIGHT = 2.5, 1.6
"""A line is put through the checks since the run had 1/2.5 of its steps: scores are some tenths of a percent off, and
shorter lines go by that. Of the smaller net, whose line is led on, through those since 1/1.6."""

SETTLED, TOLD, FAR = 1.15, 1.5, 3.0
"""Times the steps at a growth: before the first the loss says more of the growth than of the size; from the second on a
net is compared with the smaller one; beyond the third the smaller net's line leads too far."""

START = 16
"""The width that `first` is meant for."""

TINY = 1e-12
"""The least score that has a logarithm here."""


@dataclass(frozen=True)
class Envelope:
    """Grow once a share more parameters promises more than the same share more rows.

    A step costs FLOPs in proportion to the parameters, and training goes on in proportion to the rows: for the same
    FLOPs a run may see a share more rows, or be a share larger. What rows bring is the fall of the score per e-fold of
    rows, from the run's latest checks of this size. What parameters bring is known from the last growth: how far the
    score is below where the smaller net's own line, put through its last checks, would have led, per e-fold of
    parameters and over the share of its steps that the larger net has had: new units come into their own little by
    little. `ratio` times that is expected of the next one: above 1, as the straight line flatters the smaller net.
    (Scores and rows are taken by their logarithms.) For a loss L(N, D) of parameters N and rows D this is to grow where
    −∂L/∂ln N exceeds −∂L/∂ln D, which is how Hoffmann et al. (arXiv 2203.15556) find the best size for a budget. The
    budget itself is not asked for.

    No width w is left before the run has spent `first`·(w/16)² FLOPs, w being the mean of the widths: a net twice as
    wide is the best at four times the budget at the earliest, as it asks for twice the rows and twice the FLOPs of
    each. The first growth comes then, as there is none to learn from. A few checks may measure a growth badly: one that
    seems to have brought nothing is followed by another once rows bring half of what they brought this size at first;
    two in a row are believed.

    Where steps or FLOPs have a limit, a growth comes within the first `latest` of the steps that the larger net could
    then end with, or not at all: new units need time.
    """

    first: float = 4.5e9
    ratio: float = 1.75
    latest: float = 0.5

    def __post_init__(self) -> None:
        for name, value in (("first", self.first), ("ratio", self.ratio)):
            if not value > 0:
                raise ConfigError(f"growth.when.{name} must be above 0, got {value}")
        if not 0 < self.latest <= 1:
            raise ConfigError(f"growth.when.latest must be in (0, 1], a share of the run's steps, got {self.latest}")

    def room(self, step: int) -> int:
        """The steps that a growth after so many must leave to the larger net."""
        return round(step * (1 / self.latest - 1))

    def __call__(self, history: History, options: Options) -> Verdict:
        """Yes where parameters promise more than rows."""
        now = history[-1]
        if not now.finite():
            return Verdict(False, f"the losses at check {now.check} are not finite")
        if options.max_steps is not None and now.step > self.latest * options.max_steps:
            return Verdict(False, f"step {now.step} is behind {self.latest:g} of the run's {options.max_steps} steps")
        width = sum(now.widths.values()) / max(1, len(now.widths))
        needed = self.first * (width / START) ** 2
        if now.train_flops < needed:
            return Verdict(
                False, f"{now.train_flops:.3g} FLOPs are spent (no net of this width grows before {needed:.3g})"
            )
        rows = branch(history)
        began = sizes_began(rows)
        if len(began) > 1:
            return self._compared([rows[a:b] for a, b in itertools.pairwise((*began, len(rows)))])
        known = len(_latest(rows, STRAIGHT))
        if known < LEAST:
            return Verdict(False, f"{known} checks of this size are too few to put a line through ({LEAST})")
        return Verdict(True, f"{now.train_flops:.3g} FLOPs are spent (the first growth comes at {needed:.3g})")

    def _compared(self, sizes: Sequence[Sequence[Row]]) -> Verdict:
        """By the rows of each size, in turn."""
        before, here = sizes[-2:]
        grown, step = before[-1].step, here[-1].step
        if step < TOLD * grown:
            return Verdict(
                False, f"step {step}: what the growth at {grown} brings is told from {TOLD:g} times as many on"
            )
        now, brought = _latest(_since(here, grown)), _brought(before, here)
        if len(now) < LEAST or brought is None:
            return Verdict(False, f"too few checks of this size or the last to put a line through ({LEAST})")
        by_rows, by_size = -_line(now).slope, self.ratio * brought
        fires = by_size > by_rows
        said = (
            f"an e-fold of parameters promises {100 * by_size:.3g} % of the score ({self.ratio:g} × what the last growth "
            f"brings), {'' if fires else 'not '}more than an e-fold of rows, {100 * by_rows:.3g} %"
        )
        if fires or brought > 0 or (len(sizes) > 2 and not (_brought(*sizes[-3:-1]) or 0.0) > 0):
            return Verdict(fires, said)
        early = _since(here, grown, SETTLED * SPAN)
        spent = step > SETTLED * SPAN * grown and len(early) >= LEAST and by_rows < -_line(early).slope / 2
        return Verdict(
            spent, f"{said}{', but half of what rows brought this size at first: once more' if spent else ''}"
        )


def _since(here: Sequence[Row], grown: int, until: float = math.inf) -> list[Row]:
    """The rows of a size that the growth at a step has settled in, up to so many times its steps."""
    return [row for row in here if SETTLED * grown <= row.step <= until * grown]


def _brought(before: Sequence[Row], here: Sequence[Row]) -> float | None:
    """By how much a growth lowers the logarithm of the score, per e-fold of parameters and over the share of the
    steps that the larger net has had; None where the checks are too few.
    """
    grown = before[-1].step
    old, then = _latest(before, STRAIGHT), _latest(_since(here, grown, FAR))
    larger = math.log(here[-1].parameters / before[-1].parameters)
    if min(len(old), len(then)) < LEAST or not larger > 0:
        return None
    when = math.log(then[-1].step)
    return (_line(old).at(when) - _line(then).at(when)) / (1 - grown / then[-1].step) / larger


def sizes_began(rows: Sequence[Row]) -> tuple[int, ...]:
    """The places of the first rows of each size, in a branch that has rows."""
    start: tuple[int, tuple[int, ...]] = (0, ())
    return read(rows, "sizes began", start, _with_size)[1]


def _with_size(seen: tuple[int, tuple[int, ...]], before: Row | None, row: Row) -> tuple[int, tuple[int, ...]]:
    place, began = seen
    changed = before is None or before.parameters != row.parameters
    return place + 1, (*began, place) if changed else began


def _latest(rows: Sequence[Row], span: float = SPAN) -> list[Row]:
    """Those of the rows that a line is put through, oldest first."""
    taken: list[Row] = []
    for i in range(len(rows) - 1, -1, -1):
        if span * rows[i].step < rows[-1].step:
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
