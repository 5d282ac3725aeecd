"""A history that keeps what has been read out of it: a check reads one row, however many there are.

Whatever a policy knows of its history is folded together row by row, from the first to the last, and is still a
function of the rows alone. `Rows` only spares it to begin again at the first one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, SupportsIndex, TypeVar, overload

from autogrow.policy.history import Row

S = TypeVar("S")


class Rows(list[Row]):
    """Rows that become more at their end alone. What was `read` of them is kept, up to the row before the last: the
    last one has been measured, and its action may not be decided yet.

    The first so many rows, and all from some place on, know what is known of the whole.
    """

    def __init__(self, rows: Iterable[Row] = (), known: dict[Hashable, Any] | None = None) -> None:
        super().__init__(rows)
        self.known: dict[Hashable, Any] = {} if known is None else known

    def plus(self, row: Row) -> Rows:
        """These rows and one that is not entered yet."""
        return Rows([*self, row], self.known)

    @overload
    def __getitem__(self, index: SupportsIndex) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> Row | list[Row]:
        """A row, or several: from a place that is counted from the first row, they know what is known of them."""
        if not isinstance(index, slice):
            return super().__getitem__(index)
        taken = super().__getitem__(index)
        if index.step is not None or (index.start or 0) < 0:
            return taken
        return Rows(taken, self.known_from(index.start) if index.start else self.known)

    def known_from(self, place: Hashable) -> dict[Hashable, Any]:
        """What is known of other rows that only become more at their end as these do: they begin at `place`."""
        known: dict[Hashable, Any] = self.known.setdefault(("from", place), {})
        return known


def rows_of(history: Sequence[Row]) -> Rows:
    """A history as rows that keep what is read; of any other sequence nothing is known."""
    return history if isinstance(history, Rows) else Rows(history)


def read(history: Sequence[Row], what: Hashable, start: S, step: Callable[[S, Row | None, Row], S]) -> S:
    """Fold a history: `step(state, row before, row)` is the state after a row, from `start` before the first.

    `what` names the fold with all of its settings; states are values that nobody changes.
    """
    rows = rows_of(history)
    states: list[S] = rows.known.setdefault(what, [])
    last = len(rows) - 1
    for i in range(len(states), last):
        states.append(step(states[-1] if states else start, rows[i - 1] if i else None, rows[i]))
    if last < 0 or last < len(states):
        return start if last < 0 else states[last]
    return step(states[-1] if states else start, rows[last - 1] if last else None, rows[last])
