"""Growth on trial: a growth that did not pay is undone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from autogrow.errors import ConfigError
from autogrow.policy.growth import GrowthPolicy, kept
from autogrow.policy.history import GROWTHS, Decision, Deepen, History, Options, Refine, Row, Undo, Widen
from autogrow.policy.paying import has_paid
from autogrow.policy.rows import read
from autogrow.policy.signals import best, branch, last_growth
from autogrow.policy.verdict import Verdict, checks


@dataclass(frozen=True)
class Trial:
    """Undo a growth that did not pay within `checks` checks.

    It paid if the best score since is below (1 − `gain`) × the best score before. While a growth is on trial no other
    one follows. After an undo growth rests for `rest` checks; after `give_up` undone growths it is over for good. The
    checks of an undone growth stay charged. The net as it was must have been kept: `requires` names 'undo'.
    """

    growth: GrowthPolicy
    checks: int = 4
    gain: float = 0.01
    rest: int = 3
    give_up: int = 2
    needs: ClassVar[frozenset[str]] = frozenset({"undo"})

    def __post_init__(self) -> None:
        for name, value, least in (("checks", self.checks, 1), ("rest", self.rest, 0), ("give_up", self.give_up, 1)):
            if value < least:
                raise ConfigError(f"growth.guards.trial.{name} must be at least {least}, got {value}")
        if not 0 <= self.gain < 1:
            raise ConfigError(f"growth.guards.trial.gain must be in [0, 1), got {self.gain}")

    def ended(self, history: History) -> Verdict:
        """Whether so many growths were undone that there will be no more."""
        undone = len(_undone(history))
        return Verdict(undone >= self.give_up, f"{undone} growths have been undone (at most {self.give_up})")

    def __call__(self, history: History, options: Options) -> Decision:
        """Undo what did not pay, hold while a growth is on trial, else what the guarded policy decides."""
        on_trial = self._on_trial(branch(history))
        if on_trial is not None:
            return on_trial
        decision = self.growth(history, options)
        if not isinstance(decision.action, GROWTHS):
            return decision
        over = self.ended(history)
        if over.fires:
            return kept(over.reason)
        undone = _undone(history)
        if undone and (since := len(history) - 1 - undone[-1]) <= self.rest:
            return kept(f"because only {checks(since)} passed since a growth was undone (rest {self.rest})")
        return decision

    def _on_trial(self, rows: list[Row]) -> Decision | None:
        grown = last_growth(rows)
        if grown is None or not isinstance(rows[grown].action, (Widen, Deepen, Refine)):
            return None
        since = len(rows) - 1 - grown
        before = best(rows[: grown + 1])
        if since > self.checks or before is None:
            return None
        when = f" since the growth at check {rows[grown].check}"
        paid = has_paid(before.score, rows[grown + 1 :], self.gain, when=when)
        if paid.fires:
            return None
        if since < self.checks:
            return kept(f"because the growth is on trial, {since} of {checks(self.checks)}: {paid.reason}")
        return Decision(Undo(rows[grown].check), f"undone: after {checks(since)} {paid.reason}")


def _undone(history: History) -> tuple[int, ...]:
    """The places of the rows at whose end a growth was undone."""
    start: tuple[int, tuple[int, ...]] = (0, ())
    return read(history, "undone", start, _with_undo)[1]


def _with_undo(seen: tuple[int, tuple[int, ...]], before: Row | None, _: Row) -> tuple[int, tuple[int, ...]]:
    place, undone = seen
    return place + 1, (*undone, place - 1) if before is not None and isinstance(before.action, Undo) else undone
