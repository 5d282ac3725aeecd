"""Regularizing as a step that validation decides on: dropout, tried once the gap is open and the score has come to
rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from autogrow.errors import ConfigError
from autogrow.policy.actions import Regularize
from autogrow.policy.growth import kept
from autogrow.policy.history import Decision, History, Options, Row, Stop
from autogrow.policy.rows import read
from autogrow.policy.signals import best, branch, checks_since_growth, checks_since_improvement, smoothed_gap, threshold
from autogrow.policy.verdict import checks

NOISE = 0.002
"""Of a score: less of an improvement is none."""


class Regularizer(Protocol):
    """Whether to go on from the best net with more regularization, before a run ends."""

    def __call__(self, history: History, options: Options) -> Decision:
        """The decision after the history's last row: Regularize, Stop where what was tried has not paid, else Keep."""
        ...


@dataclass(frozen=True)
class NoRegularizer:
    """Nothing but growth and the stop rule: a net that overfits is annealed as it is."""

    def __call__(self, history: History, options: Options) -> Decision:
        """Always Keep."""
        return kept("no regularizing is asked for")


@dataclass(frozen=True)
class Dropout:
    """Go on from the best net with dropout, once the score has not improved for `after` checks (and `after_growth`
    since a growth) while the smoothed relative gap is above `gap`; with the next of `shares` once that has come to
    rest, too.

    Each share is on trial for `checks` checks: it has paid if the best score since is below (1 − `gain`) × the best
    before. What has not paid ends the run: the best net so far, which has not seen that share, is annealed. In eval
    mode, in which everything is measured, dropout changes no answer: the net that goes on is the best one's function.
    """

    shares: Sequence[float] = (0.1, 0.2)
    gap: float = 0.2
    after: int = 4
    after_growth: int = 7
    gain: float = 0.02
    checks: int = 6
    needs: ClassVar[frozenset[str]] = frozenset({"dropout"})

    def __post_init__(self) -> None:
        object.__setattr__(self, "shares", tuple(self.shares))
        for share, before in zip(self.shares, [0.0, *self.shares], strict=False):
            if not before < share < 1:
                said = "must be shares between 0 and 1, each larger than the one before"
                raise ConfigError(f"regularize.shares {said}, got {list(self.shares)}")
        if not self.shares:
            raise ConfigError("regularize.shares must name a share, such as [0.1] (no dropout: regularize=none)")
        if not 0 <= self.gap < 1:
            raise ConfigError(f"regularize.gap must be in [0, 1), got {self.gap}")
        for name, value, least in (
            ("after", self.after, 1),
            ("after_growth", self.after_growth, 0),
            ("checks", self.checks, 1),
        ):
            if value < least:
                raise ConfigError(f"regularize.{name} must be at least {least}, got {value}")
        if not 0 <= self.gain < 1:
            raise ConfigError(f"regularize.gain must be in [0, 1), got {self.gain}")

    def __call__(self, history: History, options: Options) -> Decision:
        """Regularize, Stop where the last share has not paid, else Keep."""
        tried = _tried(history)
        if tried:
            on_trial = self._on_trial(history, *tried[-1])
            if on_trial is not None:
                return on_trial
        if len(tried) == len(self.shares):
            return kept(f"dropout is at its last share, {self.shares[-1]:g}")
        rows, target = branch(history), best(history)
        gap, grown = smoothed_gap(rows), checks_since_growth(rows)
        stale = checks_since_improvement(rows, relative=NOISE)
        if target is None or not gap > self.gap:
            return kept(f"no dropout: the smoothed relative gap {gap:.4g} is not above {self.gap:g}")
        if stale < self.after or (grown is not None and grown < self.after_growth):
            return kept(f"no dropout yet: {checks(stale)} without improvement, {checks(grown or 0)} since a growth")
        share = self.shares[len(tried)]
        return Decision(
            Regularize(target.check, share),
            f"dropout {share:g} from check {target.check} (score {target.score:.4g}): no improvement for {checks(stale)} and "
            f"a smoothed relative gap of {gap:.4g}, above {self.gap:g}",
        )

    def _on_trial(self, history: History, at: int, share: float) -> Decision | None:
        """Keep while the last share has not paid yet, Stop once it has had its checks; None where it has paid."""
        before, now = best(history[: at + 1]), best(history[at + 1 :])
        since = len(history) - 1 - at
        wanted = threshold(before.score if before else float("inf"), relative=self.gain)
        if now is not None and now.score < wanted:
            return None
        found = "no finite score" if now is None else f"the best score {now.score:.4g}"
        seen = f"{found} with dropout {share:g} is not below {wanted:.4g} after {checks(since)}"
        return kept(f"because {seen}") if since < self.checks else Decision(Stop(), seen)


def _tried(history: History) -> tuple[tuple[int, float], ...]:
    """Where in the history dropout was decided that has been applied since, and its share."""
    start: tuple[int, tuple[tuple[int, float], ...]] = (0, ())
    return read(history, "regularized", start, _with_share)[1]


def _with_share(
    seen: tuple[int, tuple[tuple[int, float], ...]], before: Row | None, _: Row
) -> tuple[int, tuple[tuple[int, float], ...]]:
    place, tried = seen
    action = None if before is None else before.action
    return place + 1, (*tried, (place - 1, action.dropout)) if isinstance(action, Regularize) else tried
