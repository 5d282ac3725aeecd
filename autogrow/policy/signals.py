"""What a policy reads out of the rows: best so far, checks since, smoothed gap. Recomputed each time, never stored.

**The branch.** After an `Undo`, an `Anneal` or a `Refit` the net goes back to an earlier check, and the rows in between
belong to a net that no longer exists. `branch(history)` is the list of rows that led to the net as it is now: it is
found by walking back from the last row, each row's parent being the row before it, or the check that the action in
between went back to. Patience, "best at the last growth", the smoothed gap and checks-since are all read from the
branch, so that an abandoned branch leaves no trace in them; counts of what has been *tried* (`growths`) are read from
the whole history, undone growths included, so that nothing is tried for ever.

An action is decided at the end of a row and applied at the start of the next: a row's action belongs to the branch only
if the next row of the branch is the very next check.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

from autogrow.policy.event import Continued, Size
from autogrow.policy.history import GROWTHS, Anneal, Deepen, History, Refit, Row, Undo, Widen
from autogrow.policy.newborns import Newborns


def branch(history: History) -> list[Row]:
    """The rows that led to the net as it is now, oldest first; rows of abandoned branches are left out."""
    if not any(type(row.action) in (Undo, Anneal, Refit) for row in history[:-1]):
        return list(history)
    parent: dict[int, int] = {}
    for before, row in itertools.pairwise(history):
        match before.action:
            case Undo(to_check=back) | Anneal(back_to=back) | Refit(back_to=back):
                parent[row.check] = back
            case _:
                parent[row.check] = before.check
    by_check = {row.check: row for row in history}
    rows = [history[-1]] if history else []
    while rows and rows[-1].check in parent:
        rows.append(by_check[parent[rows[-1].check]])
    return rows[::-1]


def growths(history: History) -> list[Row]:
    """The rows at whose end a widening or deepening was decided that has been applied since, undone ones included."""
    return [row for row in history[:-1] if isinstance(row.action, (Widen, Deepen))]


def last_growth(rows: Sequence[Row], kinds: tuple[type, ...] = GROWTHS) -> int | None:
    """Where in a branch the last growth (of these kinds) was decided (it is in force from the next row on), or None."""
    for i in range(len(rows) - 2, -1, -1):
        if isinstance(rows[i].action, kinds) and rows[i + 1].check == rows[i].check + 1:
            return i
    return None


def continued(rows: Sequence[Row]) -> Continued | None:
    """How the run goes on from a finished net, None where it does not: its first row is what that net came with."""
    event = rows[0].event if rows else None
    return event.done if event is not None and isinstance(event.done, Continued) else None


def checks_since_growth(rows: Sequence[Row]) -> int | None:
    """Checks that the net of a branch has trained since its last growth; None if it never grew."""
    at = last_growth(rows)
    return None if at is None else len(rows) - 1 - at


def best(rows: Sequence[Row]) -> Row | None:
    """The finite row with the lowest score, the earliest of equals."""
    lowest = None
    for row in rows:
        # most rows are not better, and fail the cheaper test
        if (lowest is None or row.score < lowest.score) and row.finite():
            lowest = row
    return lowest


def lowest_score(rows: Sequence[Row]) -> float:
    """The best score of the rows; infinite if none is finite."""
    row = best(rows)
    return math.inf if row is None else row.score


def threshold(reference: float, *, relative: float = 0.0, absolute: float = 0.0) -> float:
    """What a value must be below to count as better than `reference`: by a share of its size and an absolute amount.

    For a positive reference this is (1 − relative) × reference − absolute; it stays below a negative one too.

    >>> round(threshold(0.455, relative=0.05, absolute=0.01), 5)
    0.42225
    """
    return math.inf if math.isinf(reference) else reference - relative * abs(reference) - absolute


def score_of(row: Row) -> float:
    """The row's score."""
    return row.score


def checks_since_improvement(
    rows: Sequence[Row],
    *,
    relative: float = 0.0,
    absolute: float = 0.0,
    value: Callable[[Row], float] = score_of,
) -> int:
    """Checks since the last row whose value was better than the best one before it.

    The reference moves only with an improvement, so that many small steps add up. Without any finite row it is the
    number of rows.
    """
    below, at = math.inf, -1
    for i, row in enumerate(rows):
        now = value(row)
        if now < below and math.isfinite(now) and row.finite():
            below, at = threshold(now, relative=relative, absolute=absolute), i
    return len(rows) - 1 - at


def smoothed(values: Sequence[float], *, weight: float = 0.5) -> list[float]:
    """Exponentially smoothed values, each new one with `weight`; starts at the first;
    a non-finite value changes nothing.

    >>> smoothed([0.0, 0.2, 0.2])
    [0.0, 0.1, 0.15000000000000002]
    """
    out: list[float] = []
    now = math.nan
    for value in values:
        if math.isfinite(value):
            now = value if math.isnan(now) else (1 - weight) * now + weight * value
        out.append(now)
    return out


def smoothed_gap(rows: Sequence[Row]) -> list[float]:
    """The relative gap, smoothed half and half, at each row (NaN until there is a finite one)."""
    return smoothed([row.relative_gap if row.finite() else math.nan for row in rows])


def births(history: History) -> dict[int, tuple[Size, Size]]:
    """The growths that added units to the net as it is now: by the check at whose start they were applied, its size
    before and after.
    """
    events = ((row.check, row.event) for row in branch(history) if row.event is not None and row.event.grew)
    return {
        check: (event.before, event.after)
        for check, event in events
        if event.before and event.after and sum(event.after.widths.values()) > sum(event.before.widths.values())
    }


def newborns_of(rows: Sequence[Row], grown_at: int) -> list[Newborns]:
    """How the units that the growth at check `grown_at` added have stood beside the old ones, check after check.

    1: alike (see `Newborns`). Empty where that growth added none, and in ledgers of before this was measured.
    """
    return [newborns for row in rows for newborns in row.newborns if newborns.grown_at == grown_at]


def annealing(history: History) -> int | None:
    """Position of the first row of the anneal in the history, or None if no anneal has begun."""
    for i, before in enumerate(history[:-1]):
        if isinstance(before.action, Anneal):
            return i + 1
    return None


def refitting(history: History) -> int | None:
    """Position of the first row of the refit in the history, or None if none has begun.

    From there on the net learns from validation rows too, and nothing is measured on them.
    """
    for i, before in enumerate(history[:-1]):
        if isinstance(before.action, Refit):
            return i + 1
    return None
