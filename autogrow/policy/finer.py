"""Growth in the resolution of the inputs, beside that in width and depth: knots where they promise most."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from autogrow.errors import ConfigError
from autogrow.policy.growth import GrowthPolicy
from autogrow.policy.history import Column, Decision, History, Keep, Options, Refine
from autogrow.policy.rows import read
from autogrow.policy.signals import best, branch, last_growth, threshold
from autogrow.policy.verdict import Verdict, checks

NOISE = 0.002
"""Of a score: less of an improvement is none."""


@dataclass(frozen=True)
class Finer:
    """What the policy that it stands beside decides; where that keeps the net, refine the columns that promise most,
    `every` checks since the last growth (or the start), twice as many, ….

    A column that scores above `above` (signal of its new knots over noise, 1: nothing to gain) is refined at once to
    `knots` pieces, as far as its values allow; at most the share `share` of all columns that can be refined, the best
    ones first. With `factor` a column becomes so many times as fine at a time. With `turn` a refinement that is due
    goes before the other policy's next growth, if the last one was that policy's. It is put off while the score still
    falls by more than the share `fall` in `every` checks: the net is learning what it can with the inputs as they are.
    After a refinement that has brought the score no lower there is no further one, until the net has grown otherwise.

    Coarse to fine: a net that is as wide as it wants to be shows which columns it needs more finely; refined first, a
    small table is learnt by heart. (Scores are looked at only when a refinement is due.)
    """

    growth: GrowthPolicy
    knots: int = 32
    share: float = 0.25
    above: float = 3.0
    every: int = 3
    factor: int | None = None
    turn: bool = False
    fall: float = 0.3
    never_grows: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.knots < 2:
            raise ConfigError(f"growth.finer.knots must be at least 2, got {self.knots}")
        if not 0 < self.share <= 1:
            raise ConfigError(f"growth.finer.share must be above 0 and at most 1, got {self.share}")
        if self.above < 0:
            raise ConfigError(f"growth.finer.above must not be negative, got {self.above}")
        if self.every < 1:
            raise ConfigError(f"growth.finer.every must be at least 1, got {self.every}")
        if not 0 < self.fall <= 1:
            raise ConfigError(
                f"growth.finer.fall must be above 0 and at most 1 (1: refine at any time), got {self.fall}"
            )
        if self.factor is not None and self.factor < 2:
            raise ConfigError(f"growth.finer.factor must be at least 2 (null: at once), got {self.factor}")

    def closed(self, history: History) -> Verdict:
        """Whether every column was as fine as it may become when they were last looked at."""
        start: Sequence[Mapping[str, Any]] = ()
        looks = read(history, "columns", start, lambda last, _, row: row.options.get("columns", ()) or last)
        for look in looks:
            fine = [c["knots"] >= c["most"] for c in look["found"].values()]
            return Verdict(all(fine), f"{sum(fine)} of {len(fine)} columns are as fine as they may become")
        return Verdict(False, "no column has been looked at")

    def __call__(self, history: History, options: Options) -> Decision:
        """The decision of the policy beside, or a refinement where that keeps and one is due and promises enough."""
        decision = self.growth(history, options)
        rows = branch(history)
        grown = last_growth(rows)
        since = len(rows) - 1 - (-1 if grown is None else grown)
        due = history[-1].finite() and since > 0 and since % self.every == 0
        due = due and not self._falls(rows) and _has_paid(rows, grown)
        turn = self.turn and grown is not None and not isinstance(rows[grown].action, Refine)
        if not due or not (isinstance(decision.action, Keep) or turn):
            return decision
        found = options.columns(self.knots)
        chosen = self._chosen(found)
        if not chosen:
            return decision
        wanted = {name: self._wanted(found[name]) for name in chosen}
        low, high = (f"{end(found[name].score for name in chosen):.3g}" for end in (min, max))
        then = "the start" if grown is None else "the last growth"
        return Decision(
            Refine(wanted),
            f"refined {len(chosen)} of {len(found)} columns, because their new knots promise "
            f"{low if low == high else f'{low} to {high}'} times noise (above {self.above:g}), {checks(since)} since {then}",
        )

    def _falls(self, rows: History) -> bool:
        """Whether the score still falls well: a refinement can wait."""
        before = rows[max(0, len(rows) - 1 - self.every)]
        return before.finite() and before.score - rows[-1].score > self.fall * abs(before.score)

    def _chosen(self, found: dict[str, Column]) -> list[str]:
        open_ = {name: column for name, column in found.items() if column.knots < column.most}
        ranked = sorted(open_, key=lambda name: -open_[name].score)
        return [name for name in ranked[: math.ceil(self.share * len(found))] if open_[name].score > self.above]

    def _wanted(self, column: Column) -> int:
        return self.knots if self.factor is None else min(self.knots, self.factor * column.knots)


def _has_paid(rows: History, grown: int | None) -> bool:
    """Whether the last growth, if it was a refinement, has been followed by a better score than all before it."""
    if grown is None or not isinstance(rows[grown].action, Refine):
        return True
    before, since = best(rows[: grown + 1]), best(rows[grown + 1 :])
    return since is not None and (before is None or since.score < threshold(before.score, relative=NOISE))
