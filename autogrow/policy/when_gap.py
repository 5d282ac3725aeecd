"""When to grow, by the gap between train and val: often while it is small, ever slower as it opens."""

from __future__ import annotations

import math
from dataclasses import dataclass

from autogrow.errors import ConfigError, nearest
from autogrow.policy.history import History, Options, Row
from autogrow.policy.rows import read
from autogrow.policy.signals import branch, last_growth, smooth, smoothed_gap
from autogrow.policy.verdict import Verdict

RISKS = ("error", "loss")


@dataclass(frozen=True)
class GapPaced:
    """Grow every `every` checks while the gap is closed, slower as it opens, not at all from `max_gap` on.

    The interval is every / (1 − gap / max_gap) checks, with the smoothed relative gap; a negative gap counts as closed.
    """

    every: int = 2
    max_gap: float = 0.15

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ConfigError(f"growth.when.every must be at least 1, got {self.every}")
        if not 0 < self.max_gap < 1:
            raise ConfigError(f"growth.when.max_gap must be between 0 and 1, got {self.max_gap}")

    def __call__(self, history: History, options: Options) -> Verdict:
        """Yes once the interval has passed."""
        if not history[-1].finite():
            return Verdict(False, f"the losses at check {history[-1].check} are not finite")
        rows = branch(history)
        gap = smoothed_gap(rows)
        share = max(0.0, gap) / self.max_gap
        if share >= 1:
            return Verdict(False, f"the smoothed relative gap {gap:.4g} has reached {self.max_gap:g}")
        return _interval_passed(rows, self.every / (1 - share), f"at a smoothed relative gap of {gap:.4g}")


@dataclass(frozen=True)
class FittingRisk:
    """Grow at intervals that follow the risk of overfitting: I = I_max / (1 + exp(α − risk)).

    Wu et al., "When To Grow? A Fitting Risk-Aware Policy for Layer Growing" (FRAGrow), AAAI 2024, arXiv 2401.03104.
    `longest` is I_max in checks, `alpha` α. The risk is the gap in percentage points between val and train error
    (`risk`='error', as in the paper), or 100 × the relative gap of the losses ('loss', for regression); smoothed half
    and half.
    """

    longest: float = 20.0
    alpha: float = 4.0
    risk: str = "error"

    def __post_init__(self) -> None:
        if self.risk not in RISKS:
            raise ConfigError(f"growth.when.risk {self.risk!r} is unknown; {nearest(self.risk, RISKS)}")
        if self.longest < 1:
            raise ConfigError(f"growth.when.longest must be at least 1 check, got {self.longest}")

    @property
    def needs(self) -> frozenset[str]:
        """The error, where the risk is read from it."""
        return frozenset({"error"} if self.risk == "error" else ())

    def __call__(self, history: History, options: Options) -> Verdict:
        """Yes once the interval has passed."""
        if not history[-1].finite():
            return Verdict(False, f"the losses at check {history[-1].check} are not finite")
        rows = branch(history)
        risk = read(rows, ("risk", self.risk), math.nan, lambda now, _, row: smooth(now, self._risk(row)))
        # the exponent is bounded: a risk of −1000 points is as good as one of −50
        interval = self.longest / (1 + math.exp(min(50.0, self.alpha - risk)))
        return _interval_passed(rows, interval, f"at a fitting risk of {risk:.4g} points ({self.risk})")

    def _risk(self, row: Row) -> float:
        if not row.finite():
            return math.nan
        return 100 * (row.val_error - row.train_error if self.risk == "error" else row.relative_gap)


def _interval_passed(rows: list[Row], interval: float, seen: str) -> Verdict:
    grown = last_growth(rows)
    since = len(rows) - 1 - (-1 if grown is None else grown)
    return Verdict(
        since >= interval - 1e-9,  # a gap of exactly half of max_gap must not wait one check more by rounding
        f"{since} of {max(1.0, interval):.4g} checks have passed since {'the start' if grown is None else 'the last growth'}, {seen}",
    )
