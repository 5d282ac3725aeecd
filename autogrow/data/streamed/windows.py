"""The loader of rows that go by: a pass is cut into windows, and each window's rows are put into an order of its own.

So the batch of a step is a function of (seed, step) alone, as it is of rows in memory, and a run that goes on reads the
window it was in and no other.

S steps in a burst, M members, B batch, W rows of a window.
"""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from autogrow.data.stream import BatchStream, RowSource, mixed

KEPT = 2
"""Windows in memory: a batch may lie in two."""


@final
class WindowStream(BatchStream):
    """Bursts `(xs, ys)` as a `TensorStream` hands them out, of a source of which at most two windows are in memory.

    `window`: rows that are shuffled together. All windows of a pass are about equally long. With `members` > 1 every
    member sees each window in its own order. Rows that are learned also are shared out among the windows.
    """

    def __init__(
        self,
        source: RowSource,
        *,
        window: int,
        batch_size: int,
        steps_per_check: int,
        burst: int = 16,
        seed: int,
        members: int = 1,
    ) -> None:
        super().__init__(
            source.rows, batch_size=batch_size, steps_per_check=steps_per_check, burst=burst, seed=seed, members=members
        )
        self.source, self.window = source, max(window, self.batch_size)
        self._windows: dict[tuple[int, int], tuple[Tensor, ...]] = {}

    def learn_also(self, *parts: Tensor) -> None:
        """As any stream's."""
        super().learn_also(*parts)
        self._windows = {}

    def steps(self, start: int, stop: int) -> tuple[Tensor, ...]:
        """As any stream's."""
        size, spans = self.batch_size, []
        for a_pass, first, count in self.pieces(start, stop):
            by_member = [self._span(a_pass, first * size, (first + count) * size, m) for m in range(self.members)]
            spans.append([torch.stack(part, dim=1) for part in zip(*by_member, strict=True)])
        whole = [torch.cat(part) for part in zip(*spans, strict=True)]  # (S, M, B, …)
        return tuple(part.squeeze(1) if self.members == 1 else part for part in whole)

    def _span(self, a_pass: int, start: int, stop: int, member: int) -> list[Tensor]:
        """Rows start … stop − 1 of a pass as a member sees it, as batches: x (S, B, …), y (S, B, …)."""
        taken: list[list[Tensor]] = []
        number = self._window_of(start)
        while self._begin(number) < stop:
            begin, end = self._begin(number), self._begin(number + 1)
            order = self._order(a_pass, number, member, end - begin)[max(0, start - begin) : stop - begin]
            taken.append([part.index_select(0, order) for part in self._rows_of(a_pass, number)])
            number += 1
        rows = (torch.cat(part) for part in zip(*taken, strict=True))
        return [part.view(-1, self.batch_size, *part.shape[1:]) for part in rows]

    @property
    def _count(self) -> int:
        """Windows in a pass."""
        return -(-self.rows // self.window)

    def _shares(self, number: int) -> tuple[int, int]:
        """How many rows lie before a window: of the source, and of those that are learned also."""
        return self.own_rows * number // self._count, (self.rows - self.own_rows) * number // self._count

    def _begin(self, number: int) -> int:
        return sum(self._shares(number)) if number <= self._count else self.rows + 1

    def _window_of(self, row: int) -> int:
        number = min(self._count - 1, row * self._count // self.rows)
        while self._begin(number) > row:
            number -= 1
        while self._begin(number + 1) <= row:
            number += 1
        return number

    def _order(self, a_pass: int, number: int, member: int, rows: int) -> Tensor:
        generator = torch.Generator().manual_seed(mixed(self.seed, "window", a_pass, number, member))
        return torch.randperm(rows, generator=generator)

    def _rows_of(self, a_pass: int, number: int) -> tuple[Tensor, ...]:
        """The rows of a window, read where they are not in memory."""
        key = (a_pass, number)
        if key not in self._windows:
            begin, end = self._shares(number), self._shares(number + 1)
            rows = self.source.read(a_pass, begin[0], end[0], seed=self.seed)
            if self.more is not None:
                rows = tuple(torch.cat([a, b[begin[1] : end[1]]]) for a, b in zip(rows, self.more, strict=True))
            kept = list(self._windows.items())[1 - KEPT :]
            self._windows = dict([*kept, (key, rows)])
        return self._windows[key]
