"""How a run is kept, check after check: from the last row to the next one, whoever trains.

Our own run, a guest's module and the rehearsal all turn the same way: apply what is pending (`take`, `applied`), train,
measure, add the row before anything is decided (`row`), ask the policy (`decided`), enter the row, and what it decided
is pending (`enter`). Pure Python.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from autogrow.policy.actions import Action, Keep, action_from_plain, action_to_plain
from autogrow.policy.event import Event, Size
from autogrow.policy.guards import growth_ended
from autogrow.policy.history import Decision, History, Options, Row
from autogrow.policy.replay import options_to_plain, recording
from autogrow.policy.rows import Rows, read

Policy = Callable[[History, Options], Decision]


@dataclass(frozen=True)
class Measured:
    """What a check measured, before anything is decided:
    where the run stands, losses, the net's size, and what was spent since the last.

    train_flops, eval_flops: since the last check, without what applying the event took.
    """

    step: int
    passes: float
    train_loss: float
    val_loss: float
    train_error: float
    val_error: float
    score: float
    lr: float
    size: Size
    train_flops: int
    eval_flops: int
    timing: Mapping[str, float]
    judged: float | None = None


@dataclass
class Book:
    """The rows so far, what was decided and is to be applied, and what has been applied since.

    `event`: becomes the next row's; a run that continues from a finished net begins with one. `refusals`: sites where
    what was to be applied could not be, with the reason; the next row's, too.
    """

    policy: Policy
    rows: Rows = field(default_factory=Rows)
    pending: Action = field(default_factory=Keep)
    event: Event | None = None
    refusals: Mapping[str, str] = field(default_factory=dict)

    @property
    def last(self) -> Row | None:
        """The last row, None before the first."""
        return self.rows[-1] if self.rows else None

    @property
    def events(self) -> int:
        """How many events there were: new units are drawn from a generator that this number keys."""
        return sum(row.event is not None for row in self.rows)

    @property
    def decided_at(self) -> int:
        """The check that decided what is applied now."""
        return len(self.rows) - 1

    def take(self) -> Action:
        """What is to be applied now; from here on nothing is pending."""
        action, self.pending = self.pending, Keep()
        return action

    def applied(self, event: Event) -> None:
        """Note what was applied: it becomes the next row's event."""
        self.event = event

    def refuse(self, sites: Sequence[str], reason: str) -> None:
        """Note that what was to be applied cannot be: the next row says at which sites, and why."""
        self.refusals = dict.fromkeys(sites, reason)

    @property
    def all_refused(self) -> dict[str, str]:
        """Every site whose growth failed so far, with the reason: they are not offered again."""
        before: tuple[Mapping[str, str], ...] = ()
        before = read(self.rows, "refused", before, lambda all_, _, row: (*all_, row.refused) if row.refused else all_)
        return {site: why for kept in (*before, self.refusals) for site, why in kept.items()}

    def row(self, measured: Measured) -> Row:
        """The next row, before anything is decided: its sums go on from the last row's."""
        last, event = self.last, self.event
        row = Row(
            check=len(self.rows),
            step=measured.step,
            passes=measured.passes,
            phase="grow",
            lineage=(last.lineage if last else 0) + (event is not None),
            train_loss=measured.train_loss,
            val_loss=measured.val_loss,
            train_error=measured.train_error,
            val_error=measured.val_error,
            score=measured.score,
            gap=measured.val_loss - measured.train_loss,
            lr=measured.lr,
            widths=measured.size.widths,
            parameters=measured.size.parameters,
            flops_per_sample=measured.size.flops_per_sample,
            train_flops=(last.train_flops if last else 0) + measured.train_flops,
            eval_flops=(last.eval_flops if last else 0) + measured.eval_flops + (event.flops if event else 0),
            event=event,
            refused=self.refusals,
            knots=measured.size.knots,
            timing=measured.timing,
            judged=measured.judged,
        )
        return dataclasses.replace(row, phase=_phase(self.policy, self.rows.plus(row)))

    def decided(
        self, row: Row, options: Options, allowed: Callable[[Row, Decision], Decision] = lambda _, decision: decision
    ) -> Row:
        """The row with what the policy decided, why, and what it was shown.
        `allowed`: the decision, or what takes its place.
        """
        options = recording(options)
        decision = allowed(row, self.policy(self.rows.plus(row), options))
        shown = options_to_plain(options)
        return dataclasses.replace(row, action=decision.action, reason=decision.reason, options=shown)

    def enter(self, row: Row) -> None:
        """Enter a decided row; its action is pending."""
        self.rows.append(row)
        self.pending, self.event, self.refusals = row.action, None, {}

    def to_plain(self) -> dict[str, Any]:
        """Rows, pending action and fresh event, plain: what a checkpoint holds."""
        kept: dict[str, Any] = {
            "rows": [row.to_plain() for row in self.rows],
            "pending": action_to_plain(self.pending),
            "event": None if self.event is None else self.event.to_plain(),
        }
        return kept | ({"refusals": dict(self.refusals)} if self.refusals else {})

    def load(self, plain: Mapping[str, Any]) -> None:
        """The inverse of `to_plain`."""
        self.rows = Rows(Row.from_plain(row) for row in plain["rows"])
        self.pending = action_from_plain(plain["pending"])
        self.event = None if plain["event"] is None else Event.from_plain(plain["event"])
        self.refusals = dict(plain.get("refusals", {}))


def _phase(policy: Policy, rows: History) -> str:
    """In a policy's own words where it has some (a life cycle's), else whether growth is over for good."""
    phase: Callable[[History], str] | None = getattr(policy, "phase", None)
    if phase is not None:
        return phase(rows)
    return "hold" if growth_ended(policy, rows).fires else "grow"
