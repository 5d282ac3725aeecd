"""The loader: seeded, stateful, and exact. The batch of an optimizer step is a pure function of (seed, step).

A pass over the data is `n // batch_size` steps in an order of its own, drawn from (seed, pass[, member]); the rows that
do not fill a batch wait for another pass. One iteration is one *check* of `steps_per_check` steps, handed out in
*bursts* of several steps at once, because a Python loop that fetches and moves single batches costs a small net more
than its training step.

S steps in a burst, M members, B batch.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Protocol, final

import torch
from torch import Tensor

from autogrow.errors import CheckpointError, DataError


class RowSource(Protocol):
    """Training rows that need not fit into memory, ready for the net: as many in each pass, in an order of its own."""

    rows: int
    """How many rows a pass has."""
    once: bool
    """Whether there is only one pass, and no going back in it."""

    def read(self, a_pass: int, start: int, stop: int, *, seed: int) -> tuple[Tensor, ...]:
        """Rows start … stop − 1 of a pass in the order of this seed: x (n, …) and y (n, …). Cheapest where the last
        call ended.
        """
        ...


class BatchStream(ABC):
    """Bursts of training batches, a check at a time; what they are cut from is a subclass's.

    `set_epoch(check)` says which check the next iteration is; Lightning calls it through `.sampler`. `state_dict`
    within a check holds the position behind the last burst handed out, and the next iteration after `load_state_dict`
    goes on from there. Never touches the global random state.
    """

    def __init__(
        self, rows: int, *, batch_size: int, steps_per_check: int, burst: int = 16, seed: int, members: int = 1
    ) -> None:
        for name, value in (
            ("batch_size", batch_size),
            ("steps_per_check", steps_per_check),
            ("burst", burst),
            ("members", members),
        ):
            if value < 1:
                raise DataError(f"{name} must be at least 1, got {value}")
        self.own_rows = rows
        self.batch_size = min(batch_size, rows)
        self.steps_per_pass = rows // self.batch_size
        self.steps_per_check, self.burst = steps_per_check, min(burst, steps_per_check)
        self.seed, self.members = seed, members
        self.check, self.position = 0, 0  # position: bursts of this check already handed out
        self.more: tuple[Tensor, ...] | None = None

    @abstractmethod
    def steps(self, start: int, stop: int) -> tuple[Tensor, ...]:
        """The batches of optimizer steps start … stop − 1: (S, [M,] B, …), from (seed, step) alone."""

    def learn_also(self, *parts: Tensor) -> None:
        """From here on batches are drawn from these rows too (x, y and, where rows have weights, theirs).

        Passes are still counted by the rows of before.
        """
        self.more = parts

    @property
    def rows(self) -> int:
        """How many rows batches are drawn from."""
        return self.own_rows + (0 if self.more is None else len(self.more[0]))

    @property
    def sampler(self) -> BatchStream:
        """Itself: where Lightning looks for `set_epoch`."""
        return self

    def set_epoch(self, check: int) -> None:
        """The next iteration is this check."""
        self.check = check

    def __len__(self) -> int:
        """Bursts in a check."""
        return (self.steps_per_check + self.burst - 1) // self.burst

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        start, self.position = self.position % len(self), 0
        first = self.check * self.steps_per_check
        for i in range(start, len(self)):
            self.position = i + 1
            begin = i * self.burst
            yield self.steps(first + begin, first + min(begin + self.burst, self.steps_per_check))
        self.position = 0

    def passes(self, step: int) -> float:
        """Passes over the data after `step` optimizer steps."""
        return step / self.steps_per_pass

    def pieces(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """The steps start … stop − 1 pass by pass: (pass, first step in it, how many)."""
        steps_per_pass = self.rows // self.batch_size
        while start < stop:
            a_pass, first = divmod(start, steps_per_pass)
            count = min(stop - start, steps_per_pass - first)
            yield a_pass, first, count
            start += count

    def state_dict(self) -> dict[str, Any]:
        """Where in the check the stream stands, and what it must agree on to go on exactly."""
        return {"position": self.position % len(self), "check": self.check, "shape": self._shape()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on behind the last burst handed out. Raises CheckpointError where the data or the batches are others."""
        if list(state["shape"]) != self._shape():
            raise CheckpointError(
                "resume needs the rows, batch size, steps per check, burst and members of the run it goes on with: "
                f"{list(state['shape'])}, got {self._shape()}"
            )
        self.position, self.check = int(state["position"]), int(state["check"])

    def _shape(self) -> list[int]:
        return [self.own_rows, self.batch_size, self.steps_per_check, self.burst, self.members, self.seed]


@final
class TensorStream(BatchStream):
    """Rows in memory. Bursts `(xs, ys)` of training batches: xs (S, [M,] B, …) and ys (S, [M,] B, …), S ≤ burst; where
    rows have a `weight` (n,), `(xs, ys, ws)`.

    The last burst of a check may be shorter. With `members` > 1 every member sees each pass in its own order.
    `learn_also` adds rows: from the next burst on batches are drawn from them too.

    >>> stream = TensorStream(torch.arange(10.0), torch.arange(10), batch_size=4, steps_per_check=3, burst=2, seed=0)
    >>> [tuple(xs.shape) for xs, ys in stream]
    [(2, 4), (1, 4)]
    """

    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        *,
        batch_size: int,
        steps_per_check: int,
        burst: int = 16,
        seed: int,
        members: int = 1,
        weight: Tensor | None = None,
    ) -> None:
        if len(x) != len(y) or not len(x):
            raise DataError(f"a stream needs as many inputs as targets and at least one, got {len(x)} and {len(y)}")
        super().__init__(
            len(x), batch_size=batch_size, steps_per_check=steps_per_check, burst=burst, seed=seed, members=members
        )
        self.x, self.y = x, y
        self.parts: tuple[Tensor, ...] = (x, y) if weight is None else (x, y, weight)
        self._orders: dict[tuple[int, int], Tensor] = {}

    def learn_also(self, *parts: Tensor) -> None:
        """As any stream's."""
        super().learn_also(*(part.to(self.x.device) for part in parts))
        self._orders = {}

    def move_to(self, device: torch.device) -> None:
        """Keep the rows on a device: from here on batches are drawn there, and a burst copies nothing to it."""
        self.parts = tuple(part.to(device) for part in self.parts)
        self.x, self.y, *_ = self.parts
        self.more = None if self.more is None else tuple(part.to(device) for part in self.more)
        self._orders = {key: order.to(device) for key, order in self._orders.items()}

    @property
    def bytes(self) -> int:
        """Of the rows that batches are drawn from."""
        return sum(part.nbytes for part in (*self.parts, *(self.more or ())))

    def steps(self, start: int, stop: int) -> tuple[Tensor, ...]:
        """As any stream's."""
        rows = torch.stack([self._rows(start, stop, member) for member in range(self.members)], dim=1)
        shape = (stop - start, self.batch_size) if self.members == 1 else (stop - start, self.members, self.batch_size)
        return tuple(part.view(*shape, *part.shape[1:]) for part in self._taken(rows.flatten()))

    def _taken(self, rows: Tensor) -> list[Tensor]:
        """The rows of these numbers; those behind the last of `x` are of `more`, which is never copied to it."""
        if self.more is None:
            return [part.index_select(0, rows) for part in self.parts]
        own = len(self.x)
        first, second, behind = rows.clamp(max=own - 1), (rows - own).clamp(min=0), rows >= own
        taken = []
        for part, more in zip(self.parts, self.more, strict=True):  # how many are behind is not asked: a GPU would wait
            chosen = behind.view(-1, *(1,) * (part.ndim - 1))
            taken.append(torch.where(chosen, more.index_select(0, second), part.index_select(0, first)))
        return taken

    def _rows(self, start: int, stop: int, member: int) -> Tensor:
        """Row numbers (S, B) of the steps start … stop − 1, cut from as many passes as they lie in."""
        size = self.batch_size
        parts = [
            self._order(a_pass, member)[first * size : (first + count) * size]
            for a_pass, first, count in self.pieces(start, stop)
        ]
        return torch.cat(parts).view(-1, size)

    def _order(self, a_pass: int, member: int) -> Tensor:
        key = (a_pass, member)
        if key not in self._orders:
            if any(a_pass - known not in (0, 1) for known, _ in self._orders):  # keep this pass and the one before
                self._orders = {k: v for k, v in self._orders.items() if a_pass - k[0] in (0, 1)}
            generator = torch.Generator().manual_seed(mixed(self.seed, a_pass, member))
            self._orders[key] = torch.randperm(self.rows, generator=generator).to(self.x.device)
        return self._orders[key]


def mixed(*parts: int | str) -> int:
    """A generator seed: neighbouring (seed, pass, member) have nothing in common; the same on every platform."""
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=8).digest(), "big") >> 1
