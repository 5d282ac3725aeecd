"""When to grow, by the loss: while it still falls well, or when it has stopped falling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from autogrow.errors import ConfigError, nearest
from autogrow.policy.history import COARSE, History, Options, Row
from autogrow.policy.rows import read
from autogrow.policy.signals import branch, checks_since_improvement, continued, last_growth, lowest_score, threshold
from autogrow.policy.verdict import Verdict, checks

WATCHED = ("both", "either", "loss", "error")


@dataclass(frozen=True)
class LossPaced:
    """Grow while the score is still falling well: the recipe's rule, and the default.

    Fires when all of these hold: at least `cooldown` checks since the last growth (or the start); the last improvement
    (score < (1 − `improvement`) × best) is at most `fresh` checks ago; and the best score is below (1 − `fall`) × (best
    at the last growth) − `margin`. Before the first growth there is nothing to have fallen from, and the last condition
    holds.
    """

    cooldown: int = 3
    fall: float = 0.08
    margin: float = 0.01
    fresh: int = 1
    improvement: float = 0.002

    def __post_init__(self) -> None:
        for name, value in (("fall", self.fall), ("improvement", self.improvement)):
            if not 0 <= value < 1:
                raise ConfigError(f"growth.when.{name} must be in [0, 1), got {value}")
        for name, count in (("cooldown", self.cooldown), ("fresh", self.fresh)):
            if count < 0:
                raise ConfigError(f"growth.when.{name} must not be negative, got {count}")

    def __call__(self, history: History, options: Options) -> Verdict:
        """Yes while the loss is still falling well."""
        if not history[-1].finite():
            return Verdict(False, f"the losses at check {history[-1].check} are not finite")
        rows = branch(history)
        grown = last_growth(rows, COARSE)  # what a finer resolution brings is not held against a wider net
        since = len(rows) - 1 - (-1 if grown is None else grown)
        then = "the start" if grown is None else "the last growth"
        if since < self.cooldown:
            return Verdict(False, f"only {checks(since)} passed since {then} (cooldown {self.cooldown})")
        stale, lowest = checks_since_improvement(rows, relative=self.improvement), lowest_score(rows)
        if stale > self.fresh:
            return Verdict(
                False, f"the last improvement (best score {lowest:.4g}) is {checks(stale)} old (at most {self.fresh})"
            )
        if grown is None and continued(rows) is None:
            return Verdict(True, f"the score is still falling ({lowest:.4g} after {checks(len(rows))})")
        # a net that was there already is to show first that there is something to gain
        before = lowest_score(rows[: 1 if grown is None else grown + 1])
        then_at = "its first, with the new data" if grown is None else f"best at the last growth, {checks(since)} ago"
        below = lowest < threshold(before, relative=self.fall, absolute=self.margin)
        return Verdict(
            below,
            f"the best score {lowest:.4g} is {'' if below else 'not '}below {1 - self.fall:g} × {before:.4g} − {self.margin:g} "
            f"({then_at})",
        )


@dataclass(frozen=True)
class Plateau:
    """Grow when training has come to rest: neither score nor error fell by an absolute `min_delta` for `patience`
    checks.

    A starved net's loss creeps down for ever while its error is flat; an absolute min_delta, larger than the creep,
    tells the two apart, where a relative one would not. `watch`: 'both' must be flat (the default), 'either', 'loss' or
    'error'. Counted from the last growth.
    """

    patience: int = 4
    min_delta_loss: float = 0.02
    min_delta_error: float = 0.002
    watch: str = "both"

    def __post_init__(self) -> None:
        if self.watch not in WATCHED:
            raise ConfigError(f"growth.when.watch {self.watch!r} is unknown; {nearest(self.watch, WATCHED)}")
        if self.patience < 1:
            raise ConfigError(f"growth.when.patience must be at least 1, got {self.patience}")
        if self.min_delta_loss < 0 or self.min_delta_error < 0:
            raise ConfigError(
                f"growth.when.min_delta_* must not be negative, got {self.min_delta_loss} (loss), {self.min_delta_error} (error)"
            )

    @property
    def needs(self) -> frozenset[str]:
        """The error, unless the loss alone can fire."""
        return frozenset({"error"} if self.watch in ("both", "error") else ())

    def __call__(self, history: History, options: Options) -> Verdict:
        """Yes when what is watched fell less than its min_delta over the last `patience` checks of this size."""
        if not history[-1].finite():
            return Verdict(False, f"the losses at check {history[-1].check} are not finite")
        rows: Sequence[Row] = branch(history)
        grown = last_growth(rows)
        rows = rows if grown is None else rows[grown + 1 :]
        if len(rows) <= self.patience:
            return Verdict(False, f"only {checks(len(rows))} of this size (patience {self.patience})")
        earlier, recent = rows[: -self.patience], rows[-self.patience :]
        falls = {
            "loss": lowest_score(earlier) - lowest_score(recent),
            "error": _lowest_error(earlier) - _lowest_error(recent),
        }
        loss, error = falls["loss"] < self.min_delta_loss, falls["error"] < self.min_delta_error
        flat = {"both": loss and error, "either": loss or error, "loss": loss, "error": error}
        return Verdict(
            flat[self.watch],
            f"over the last {checks(self.patience)} the score fell by {falls['loss']:.4g} (flat below {self.min_delta_loss:g}) "
            f"and the error by {falls['error']:.4g} (flat below {self.min_delta_error:g}), watching {self.watch}",
        )


def _lowest_error(rows: Sequence[Row]) -> float:
    return read(rows, "error", math.inf, lambda low, _, row: min(low, row.val_error) if row.finite() else low)
