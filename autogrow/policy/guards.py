"""Guards: wrappers that hold back a growth policy. Each takes the policy it guards and is one itself.

A guard lets everything pass that is not a growth (keeps, undos), and turns a growth that it refuses into a Keep that
says why.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from autogrow.errors import ConfigError
from autogrow.policy.growth import GrowthPolicy, kept
from autogrow.policy.history import GROWTHS, Decision, History, Options, Row
from autogrow.policy.needs import by_the_clock, guarded
from autogrow.policy.rows import read
from autogrow.policy.signals import branch, checks_since_growth, since_regularized, smooth_gap, smoothed_gap
from autogrow.policy.verdict import Verdict, checks


@dataclass(frozen=True)
class GapCloses:
    """End growth for good once the smoothed relative gap is above `max_gap`, from check `from_check` on;
    training goes on.

    The relative gap is (val loss − train loss) / val loss, both by one eval-mode function, smoothed half and half.
    The gap of a growth that was undone is forgotten with it, and that of before the net was regularized.
    """

    growth: GrowthPolicy
    max_gap: float = 0.60
    from_check: int = 5

    def __post_init__(self) -> None:
        if not 0 < self.max_gap < 1:
            raise ConfigError(f"growth.guards.gap_closes.max_gap must be between 0 and 1, got {self.max_gap}")
        if self.from_check < 0:
            raise ConfigError(f"growth.guards.gap_closes.from_check must not be negative, got {self.from_check}")

    def ended(self, history: History) -> Verdict:
        """Whether growth is over for good."""
        start: tuple[float, Row | None, float] = (math.nan, None, math.nan)
        _, row, gap = read(
            since_regularized(branch(history)), ("gap closes", self.max_gap, self.from_check), start, self._opened
        )
        if row is not None:
            return Verdict(
                True,
                f"growth ended at check {row.check}, where the smoothed relative gap {gap:.4g} was above {self.max_gap:g}",
            )
        return Verdict(False, f"the smoothed relative gap has not been above {self.max_gap:g}")

    def _opened(
        self, seen: tuple[float, Row | None, float], _: Row | None, row: Row
    ) -> tuple[float, Row | None, float]:
        """The smoothed gap, and the first row where it was above `max_gap`, with the gap there."""
        now, first, there = seen
        now = smooth_gap(now, row)
        opens = first is None and row.check >= self.from_check and now > self.max_gap
        return (now, row, now) if opens else (now, first, there)

    def __call__(self, history: History, options: Options) -> Decision:
        """What the guarded policy decides, until growth has ended."""
        decision = self.growth(history, options)
        if not isinstance(decision.action, GROWTHS):
            return decision
        over = self.ended(history)
        return kept(over.reason) if over.fires else decision


@dataclass(frozen=True)
class Cooldown:
    """At least `checks` checks between two growths."""

    growth: GrowthPolicy
    checks: int = 3

    def __post_init__(self) -> None:
        if self.checks < 1:
            raise ConfigError(f"growth.guards.cooldown.checks must be at least 1, got {self.checks}")

    @property
    def by_the_clock(self) -> bool:
        """Whether the guarded policy goes by the clock."""
        return by_the_clock(self.growth)

    def __call__(self, history: History, options: Options) -> Decision:
        """What the guarded policy decides, unless it grows too soon."""
        decision = self.growth(history, options)
        since = checks_since_growth(branch(history))
        if isinstance(decision.action, GROWTHS) and since is not None and since < self.checks:
            return kept(f"because only {checks(since)} passed since the last growth (cooldown {self.checks})")
        return decision


@dataclass(frozen=True)
class WarmUp:
    """No growth before `checks` checks have passed."""

    growth: GrowthPolicy
    checks: int = 3

    def __post_init__(self) -> None:
        if self.checks < 1:
            raise ConfigError(f"growth.guards.warm_up.checks must be at least 1, got {self.checks}")

    @property
    def by_the_clock(self) -> bool:
        """Whether the guarded policy goes by the clock."""
        return by_the_clock(self.growth)

    def __call__(self, history: History, options: Options) -> Decision:
        """What the guarded policy decides, unless it grows too early."""
        decision = self.growth(history, options)
        if isinstance(decision.action, GROWTHS) and len(history) < self.checks:
            return kept(f"because only {checks(len(history))} passed since the start (warm-up {self.checks})")
        return decision


@dataclass(frozen=True)
class Hysteresis:
    """Hold growth while the gap is open: from the smoothed relative gap above `close` until it is below `reopen`.

    Two thresholds, so that a gap that trembles around one of them does not switch growth on and off.
    """

    growth: GrowthPolicy
    close: float = 0.10
    reopen: float = 0.05

    def __post_init__(self) -> None:
        if not self.reopen < self.close:
            raise ConfigError(
                f"growth.guards.hysteresis.reopen must be below close, got reopen={self.reopen}, close={self.close}"
            )

    def __call__(self, history: History, options: Options) -> Decision:
        """What the guarded policy decides, unless growth is held."""
        _, held = read(branch(history), ("held", self.close, self.reopen), (math.nan, False), self._held)
        gap = smoothed_gap(branch(history))
        decision = self.growth(history, options)
        if held and isinstance(decision.action, GROWTHS):
            return kept(
                f"because the smoothed relative gap {gap:.4g} was above {self.close:g} and is not yet below {self.reopen:g}"
            )
        return decision

    def _held(self, seen: tuple[float, bool], _: Row | None, row: Row) -> tuple[float, bool]:
        """The smoothed gap, and whether it holds growth."""
        gap, held = smooth_gap(seen[0], row), seen[1]
        return gap, gap >= self.reopen if held else gap > self.close


def growth_ended(policy: object, history: History) -> Verdict:
    """Whether growth is over for good, by any guard of a policy, or its `when`, that can say so."""
    for part in guarded(policy):
        closed = getattr(part, "closed", None)  # what grows beside the rest: while that is open, so is growth
        still: Verdict | None = None if closed is None else closed(history)
        if still is not None and not still.fires:
            return still
        ended = getattr(part, "ended", None)
        if ended is not None:
            verdict: Verdict = ended(history)
            if verdict.fires:
                return verdict
    return Verdict(False, f"growth is open after {checks(len(history))}")
