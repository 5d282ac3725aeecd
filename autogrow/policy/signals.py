"""What a policy reads out of the rows: best so far, checks since, smoothed gap. Recomputed each time, never stored.

**The branch.** After an `Undo`, a `Regularize`, an `Anneal` or a `Refit` the net goes back to an earlier check, and the
rows in between belong to a net that no longer exists. `branch(history)` is the list of rows that led to the net as it
is now: it is found by walking back from the last row, each row's parent being the row before it, or the check that the
action in between went back to. Patience, "best at the last growth", the smoothed gap and checks-since are all read from
the branch, so that an abandoned branch leaves no trace in them; counts of what has been *tried* (`growths`) are read
from the whole history, undone growths included, so that nothing is tried for ever.

An action is decided at the end of a row and applied at the start of the next: a row's action belongs to the branch only
if the next row of the branch is the very next check.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence

from autogrow.policy.event import Continued, Size
from autogrow.policy.history import GROWTHS, RETURNS, Anneal, Deepen, History, Refit, Regularize, Row, Widen
from autogrow.policy.newborns import Newborns
from autogrow.policy.rows import Rows, read, rows_of


def branch(history: History) -> Rows:
    """The rows that led to the net as it is now, oldest first; rows of abandoned branches are left out."""
    rows = rows_of(history)
    _, back = read(rows, "went back", (0, 0), _went_back)
    if not back:
        return rows
    known = rows.known_from(("branch", back))
    if "stem" not in known:
        known["stem"] = _walk(rows[: back + 1])[:-1]
    return Rows([*known["stem"], *rows[back:]], known)


def _went_back(seen: tuple[int, int], before: Row | None, _: Row) -> tuple[int, int]:
    """(rows so far, the place of the first row after the net went back to an earlier one, for the last time)."""
    place, back = seen
    gone = before is not None and isinstance(before.action, RETURNS)
    return place + 1, place if gone else back


def _walk(history: Sequence[Row]) -> list[Row]:
    """The branch, from the last row back to the first."""
    parent: dict[int, int] = {}
    for before, row in itertools.pairwise(history):
        action = before.action
        parent[row.check] = action.back_to if isinstance(action, RETURNS) else before.check
    by_check = {row.check: row for row in history}
    rows = [history[-1]]
    while rows[-1].check in parent:
        rows.append(by_check[parent[rows[-1].check]])
    return rows[::-1]


def growths(history: History) -> Sequence[Row]:
    """The rows at whose end a widening or deepening was decided that has been applied since, undone ones included."""
    start: tuple[Row, ...] = ()
    return read(history, "growths", start, _with_growth)


def _with_growth(grown: tuple[Row, ...], before: Row | None, _: Row) -> tuple[Row, ...]:
    return (*grown, before) if before is not None and isinstance(before.action, (Widen, Deepen)) else grown


def last_growth(rows: Sequence[Row], kinds: tuple[type, ...] = GROWTHS) -> int | None:
    """Where in a branch the last growth (of these kinds) was decided (it is in force from the next row on), or None."""

    def at(seen: tuple[int, int | None], before: Row | None, row: Row) -> tuple[int, int | None]:
        place, found = seen
        grew = before is not None and isinstance(before.action, kinds) and row.check == before.check + 1
        return place + 1, place - 1 if grew else found

    start: tuple[int, int | None] = (0, None)
    return read(rows, ("last growth", kinds), start, at)[1]


def last_decided(history: History, kinds: tuple[type, ...] = GROWTHS) -> int | None:
    """The check at whose end the last action of these kinds was decided, whether or not it has been applied yet."""
    start: int | None = None
    return read(
        history, ("decided", kinds), start, lambda at, _, row: row.check if isinstance(row.action, kinds) else at
    )


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
    start: Row | None = None
    return read(rows, "best", start, _better)


def _better(lowest: Row | None, _: Row | None, row: Row) -> Row | None:
    # most rows are not better, and fail the cheaper test
    return row if (lowest is None or row.score < lowest.score) and row.finite() else lowest


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

    def since(seen: tuple[float, int], _: Row | None, row: Row) -> tuple[float, int]:
        below, checks = seen
        now = value(row)
        if now < below and math.isfinite(now) and row.finite():
            return threshold(now, relative=relative, absolute=absolute), 0
        return below, checks + 1

    return read(rows, ("improvement", relative, absolute, value), (math.inf, 0), since)[1]


def smoothed(values: Sequence[float], *, weight: float = 0.5) -> list[float]:
    """Exponentially smoothed values, each new one with `weight`; starts at the first;
    a non-finite value changes nothing.

    >>> smoothed([0.0, 0.2, 0.2])
    [0.0, 0.1, 0.15000000000000002]
    """
    return list(itertools.accumulate(values, lambda now, value: smooth(now, value, weight=weight), initial=math.nan))[
        1:
    ]


def smooth(now: float, value: float, *, weight: float = 0.5) -> float:
    """The smoothed value after one more."""
    if not math.isfinite(value):
        return now
    return value if math.isnan(now) else (1 - weight) * now + weight * value


def smoothed_gap(rows: Sequence[Row]) -> float:
    """The relative gap, smoothed half and half, at the last row (NaN until there is a finite one)."""
    return read(rows, "gap", math.nan, lambda gap, _, row: smooth_gap(gap, row))


def smooth_gap(gap: float, row: Row) -> float:
    """The smoothed relative gap after one more row."""
    return smooth(gap, row.relative_gap) if row.finite() else gap


def births(history: History) -> Mapping[int, tuple[Size, Size]]:
    """The growths that added units to the net as it is now: by the check at whose start they were applied, its size
    before and after.
    """
    start: Mapping[int, tuple[Size, Size]] = {}
    return read(branch(history), "births", start, _with_birth)


def _with_birth(born: Mapping[int, tuple[Size, Size]], _: Row | None, row: Row) -> Mapping[int, tuple[Size, Size]]:
    event = row.event
    if event is None or not event.grew or not event.before or not event.after:
        return born
    added = sum(event.after.widths.values()) > sum(event.before.widths.values())
    return {**born, row.check: (event.before, event.after)} if added else born


def newborns_of(rows: Sequence[Row], grown_at: int) -> list[Newborns]:
    """How the units that the growth at check `grown_at` added have stood beside the old ones, check after check.

    1: alike (see `Newborns`). Empty where that growth added none, and in ledgers of before this was measured.
    """
    return [newborns for row in rows for newborns in row.newborns if newborns.grown_at == grown_at]


def since_regularized(rows: Rows) -> Rows:
    """The rows of a branch since the net went on with other dropout for the last time; all where it never did."""
    return rows_of(rows[regularized_at(rows) or 0 :])


def regularized_at(rows: Rows) -> int | None:
    """Where in a branch the net began to train with its dropout; None where a policy never decided on any."""
    start: tuple[int, int | None] = (0, None)

    def at(seen: tuple[int, int | None], _: Row | None, row: Row) -> tuple[int, int | None]:
        place, found = seen
        begins = row.event is not None and isinstance(row.event.done, Regularize)
        return place + 1, place if begins else found

    return read(rows, "regularized at", start, at)[1]


def annealing(history: History) -> int | None:
    """Position of the first row of the anneal in the history, or None if no anneal has begun."""
    return _first_after(history, Anneal)


def refitting(history: History) -> int | None:
    """Position of the first row of the refit in the history, or None if none has begun.

    From there on the net learns from validation rows too, and nothing is measured on them.
    """
    return _first_after(history, Refit)


def _first_after(history: History, kind: type) -> int | None:
    def first(seen: tuple[int, int | None], before: Row | None, _: Row) -> tuple[int, int | None]:
        place, found = seen
        begins = found is None and before is not None and isinstance(before.action, kind)
        return place + 1, place if begins else found

    start: tuple[int, int | None] = (0, None)
    return read(history, ("first after", kind), start, first)[1]
