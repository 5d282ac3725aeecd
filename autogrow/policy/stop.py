"""When to stop training. Every rule answers `stop(history, options) -> Verdict`; the finish comes after it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

from autogrow.errors import ConfigError
from autogrow.policy.budget import Budget, steps_left
from autogrow.policy.history import History, Options
from autogrow.policy.signals import best, branch, checks_since_growth, checks_since_improvement, smoothed_gap
from autogrow.policy.verdict import Verdict, checks


class StopRule(Protocol):
    """Whether training should end."""

    def __call__(self, history: History, options: Options) -> Verdict:
        """The verdict after the history's last row."""
        ...


@dataclass(frozen=True)
class NeverStop:
    """Only the budget ends the run."""

    never_stops: ClassVar[bool] = True

    def __call__(self, history: History, options: Options) -> Verdict:
        """Always no."""
        return Verdict(False, f"no stop rule (check {history[-1].check})")


@dataclass(frozen=True)
class Patience:
    """Stop after `checks` checks without improvement that are `passes` passes or more, but not before `after_growth`
    checks since a growth.

    An improvement is a score below (1 − `improvement`) × the best one. A check is half a pass over a table of up to
    51,200 rows, and a small part of one over a larger table: there it is `passes` that patience is counted in.
    """

    checks: int = 8
    after_growth: int = 11
    improvement: float = 0.002
    passes: float = 0.0

    def __post_init__(self) -> None:
        if self.checks < 1:
            raise ConfigError(f"stop.checks must be at least 1, got {self.checks}")
        if self.after_growth < 0:
            raise ConfigError(f"stop.after_growth must not be negative, got {self.after_growth}")
        if not 0 <= self.improvement < 1:
            raise ConfigError(f"stop.improvement must be in [0, 1), got {self.improvement}")
        if not 0 <= self.passes < math.inf:
            raise ConfigError(f"stop.passes must be a number of passes, 0 or more, got {self.passes}")

    def shortened(self, factor: float) -> Patience:
        """Less patience, for a stage that is not the last."""
        checks, after = (max(1, round(factor * n)) for n in (self.checks, self.after_growth))
        return replace(self, checks=checks, after_growth=after, passes=factor * self.passes)

    def __call__(self, history: History, options: Options) -> Verdict:
        """Yes once the score has not improved for long enough."""
        rows = branch(history)
        stale, grown = checks_since_improvement(rows, relative=self.improvement), checks_since_growth(rows)
        lowest = best(rows)
        found = "no finite score" if lowest is None else f"best score {lowest.score:.4g} at check {lowest.check}"
        if stale < self.checks:
            return Verdict(False, f"{checks(stale)} without improvement ({found}; patience {self.checks})")
        passes = rows[-1].passes - rows[max(0, len(rows) - 1 - stale)].passes
        if passes < self.passes:
            said = f"{passes:.3g} passes without improvement (patience {self.passes:g} passes; {found})"
            return Verdict(False, said)
        if grown is not None and grown < self.after_growth:
            return Verdict(False, f"{checks(grown)} since the last growth (at least {self.after_growth}; {found})")
        return Verdict(True, f"no improvement for {checks(stale)} (patience {self.checks}; {found})")


@dataclass(frozen=True)
class GapStop:
    """Stop when the smoothed relative gap is above `max_gap`, from check `from_check` on.

    Known to stop too early (at 0.10: 2.4 points of regret over nine sets where patience had 0.20): for study, not for
    use.
    """

    max_gap: float = 0.3
    from_check: int = 5

    def __post_init__(self) -> None:
        if not 0 < self.max_gap < 1:
            raise ConfigError(f"stop.max_gap must be between 0 and 1, got {self.max_gap}")

    def __call__(self, history: History, options: Options) -> Verdict:
        """Yes while the gap is open."""
        gap, check = smoothed_gap(branch(history)), history[-1].check
        fires = check >= self.from_check and gap > self.max_gap
        return Verdict(
            fires,
            f"the smoothed relative gap {gap:.4g} is {'' if fires else 'not '}above {self.max_gap:g} at check {check} (from check {self.from_check})",
        )


@dataclass(frozen=True)
class BudgetStop:
    """Stop when another check would not fit into a budget of training FLOPs or seconds."""

    budget: Budget
    may_wait: ClassVar[bool] = False

    def __call__(self, history: History, options: Options) -> Verdict:
        """Yes once less than a check is left."""
        left, limit = steps_left(self.budget, history, options)
        return Verdict(
            left < options.steps_per_check,
            f"{max(0, left):.6g} steps are left of {limit} (a check takes {options.steps_per_check})",
        )
