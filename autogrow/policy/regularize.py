"""Regularizing as a step that validation decides on: dropout, tried from the best net before the end of a run that
overfits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

from autogrow.errors import ConfigError
from autogrow.policy.actions import Regularize
from autogrow.policy.growth import kept
from autogrow.policy.history import Decision, History, Row, Stop
from autogrow.policy.paying import has_paid
from autogrow.policy.rows import read
from autogrow.policy.signals import best, branch, smoothed_gap
from autogrow.policy.verdict import Verdict, checks


class Regularizer(Protocol):
    """Whether to go on from the best net with more regularization where a run would end."""

    def __call__(self, history: History, over: Verdict) -> Decision | None:
        """What comes before the stop rule's verdict `over`: Regularize; Keep while what was tried is on trial; Stop,
        with the whole reason, where the run is to end. None: nothing, the verdict holds.
        """
        ...


@dataclass(frozen=True)
class NoRegularizer:
    """Nothing is tried: a run that overfits ends where the stop rule says so."""

    def __call__(self, history: History, over: Verdict) -> Decision | None:
        """None."""
        return None


@dataclass(frozen=True)
class Dropout:
    """Where the stop rule would end a run whose smoothed relative gap is above `gap`, go on from the best net with
    dropout, the first of `shares`; where it would end that again, with the next one.

    Each share is on trial for `checks` checks: it has paid if the best score since is below (1 − `gain`) × the best
    before, and then growth and training go on with it. If not, the run ends after all, and is annealed from its best
    net, which has not seen that share: on validation it is never worse than without, and costs these checks. In eval
    mode, in which everything is measured, dropout changes no answer: what goes on is the best net's very function.
    """

    shares: Sequence[float] = (0.2, 0.35)
    gap: float = 0.6
    gain: float = 0.02
    checks: int = 4
    needs: ClassVar[frozenset[str]] = frozenset({"dropout"})

    def __post_init__(self) -> None:
        object.__setattr__(self, "shares", tuple(self.shares))
        if not self.shares:
            raise ConfigError("regularize.shares must hold a share, such as [0.2] (no dropout: regularize=none)")
        for before, share in zip((0.0, *self.shares), self.shares, strict=False):
            if isinstance(share, bool) or not isinstance(share, (int, float)) or not before < share < 1:
                said = "must hold numbers between 0 and 1, each larger than the one before"
                raise ConfigError(f"regularize.shares {said}, got {list(self.shares)}")
        if not 0 <= self.gap <= 1:
            raise ConfigError(f"regularize.gap must be in [0, 1], got {self.gap}")
        if not 0 <= self.gain < 1:
            raise ConfigError(f"regularize.gain must be in [0, 1), got {self.gain}")
        if self.checks < 1:
            raise ConfigError(f"regularize.checks must be at least 1, got {self.checks}")

    def shortened(self, factor: float) -> Dropout:
        """For a stage that is not the last: its net has places for dropout and never comes to it."""
        return replace(self, gap=1.0)

    def __call__(self, history: History, over: Verdict) -> Decision | None:
        """Regularize, Keep or Stop while a share is on trial, and Stop where none is tried; None while the run goes on
        anyway.
        """
        tried = _tried(history)
        on_trial = self._on_trial(history, *tried[-1]) if tried else None
        if on_trial is not None:
            return on_trial
        target, gap = best(history), smoothed_gap(branch(history))
        if not over.fires or target is None:
            return None
        if len(tried) == len(self.shares):
            return Decision(Stop(), f"{over.reason}; dropout is at its last share, {self.shares[-1]:g}")
        if not gap > self.gap:
            why = f"the smoothed relative gap {gap:.4g} is not above {self.gap:g}"
            return Decision(Stop(), f"{over.reason}; no dropout, because {why}")
        share = self.shares[len(tried)]
        return Decision(
            Regularize(target.check, share),
            f"regularized: dropout {share:g} from check {target.check} (score {target.score:.4g}), because the smoothed relative gap "
            f"{gap:.4g} is above {self.gap:g}: {over.reason}",
        )

    def _on_trial(self, history: History, at: int, share: float) -> Decision | None:
        """Keep while the last share has not paid yet, Stop once it has had its checks; None where it has paid."""
        before, since = best(history[: at + 1]), len(history) - 1 - at
        paid = has_paid(math.inf if before is None else before.score, history[at + 1 :], self.gain)
        if paid.fires:
            return None
        if since < self.checks:
            return kept(f"because dropout {share:g} is on trial, {since} of {checks(self.checks)}: {paid.reason}")
        return Decision(Stop(), f"dropout {share:g} has not paid in {checks(since)}: {paid.reason}")


_Shares = tuple[tuple[int, float], ...]


def _tried(history: History) -> _Shares:
    """Where in the history dropout was decided that has been applied since, and its share."""
    start: tuple[int, _Shares] = (0, ())
    return read(history, "regularized", start, _with_share)[1]


def _with_share(seen: tuple[int, _Shares], before: Row | None, _: Row) -> tuple[int, _Shares]:
    place, tried = seen
    action = None if before is None else before.action
    return place + 1, (*tried, (place - 1, action.dropout)) if isinstance(action, Regularize) else tried
