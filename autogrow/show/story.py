"""What a history tells: which growths there were and which are in the delivered net, where it returned,
what was delivered.

A row's `event` was applied at the start of that check; its reason is in the row that decided it. A return to an earlier
net (undo, anneal) takes back the growths that net did not have. Everything here is read off the rows; nothing is
measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from autogrow.policy.history import Event, History, Row, action_name
from autogrow.show import words


@dataclass(frozen=True)
class Episode:
    """An event in its place: what was applied to the net at the start of check `row.check`, and what became of it.

    `before` is the row of the check that ended when it was applied (None for the first); `reason` the words it was
    decided with; `number` counts growths from 1 and is 0 for anything else; `kept` says whether the delivered net has
    this growth; `target` is the row a return went back to.
    """

    row: Row
    before: Row | None
    event: Event
    reason: str
    number: int = 0
    kept: bool = True
    target: Row | None = None

    @property
    def is_growth(self) -> bool:
        """Whether the net got larger, as opposed to going back to an earlier one."""
        return self.number > 0


@dataclass(frozen=True)
class Story:
    """The episodes of a run in order, and the row whose net was delivered (None where there is no row)."""

    episodes: tuple[Episode, ...]
    delivered: Row | None

    @property
    def growths(self) -> tuple[Episode, ...]:
        """Every growth that was applied."""
        return tuple(e for e in self.episodes if e.is_growth)

    @property
    def kept(self) -> tuple[Episode, ...]:
        """The growths that are in the delivered net."""
        return tuple(e for e in self.growths if e.kept)


def tell(rows: History, best_epoch: float | None = None) -> Story:
    """Read the story off the rows; `best_epoch` (passes) says which check was delivered, else it is the last."""
    by_check = {row.check: row for row in rows}
    episodes: list[Episode] = []
    inside: tuple[int, ...] = ()
    inside_at: dict[int, tuple[int, ...]] = {}
    growths = 0
    for before, row in zip([None, *rows], rows, strict=False):
        if (event := row.event) is not None:
            target = None
            if event.grew:
                growths += 1
                inside = (*inside, growths)
            elif event.back_to is not None:
                target, inside = by_check.get(event.back_to), inside_at.get(event.back_to, inside)
            reason, number = decided_reason(before, event), growths if event.grew else 0
            episodes.append(Episode(row, before, event, reason, number, target=target))
        inside_at[row.check] = inside
    delivered = _delivered(rows, best_epoch)
    final = inside_at[delivered.check] if delivered else ()
    return Story(tuple(replace(e, kept=not e.is_growth or e.number in final) for e in episodes), delivered)


def decided_reason(before: Row | None, event: Event) -> str:
    """The reason `before` gave for what was then applied, empty where it decided something else."""
    return before.reason if before is not None and action_name(before.action) == event.do else ""


def _delivered(rows: History, best_epoch: float | None) -> Row | None:
    if not rows:
        return None
    if best_epoch is None:
        return rows[-1]
    return min(reversed(rows), key=lambda row: abs(row.passes - best_epoch))


def headline(rows: History, result: Mapping[str, Any]) -> str:
    """What the run found, in one sentence: 'Grew from 64 to 216-216 in 7 growths'."""
    final = words.widths(result["widths"])
    story = tell(rows, result.get("best_epoch"))
    if not story.growths:
        return f"Trained {final} as it was given: it did not grow"
    start, knots = words.widths(rows[0].widths), result.get("knots", {})
    finer = [name for name, pieces in knots.items() if pieces > rows[0].knots.get(name, 1)]
    if finer and start == final:
        grown = f"Kept {final} and resolved {words.times(len(finer), 'column')} more finely"
    else:
        grown = f"Grew from {start} to {final}" + (f", {words.times(len(finer), 'column')} finer," if finer else "")
    taken_back = len(story.growths) - len(story.kept)
    if not story.kept:
        return (
            f"Stayed at {final}: {words.times(taken_back, 'growth')} {'was' if taken_back == 1 else 'were'} taken back"
        )
    tail = f" ({taken_back} more taken back)" if taken_back else ""
    return f"{grown} in {words.times(len(story.kept), 'growth')}{tail}"
